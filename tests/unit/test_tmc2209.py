"""The motor driver's serial line: set up, looked after, absent, reset, hot, silent, damaged."""

import pytest

from pencore.signals import DRIVER_FAULT, DRIVER_RESET
from pendevice.tmc2209 import ABSENT, PRESENT, Tmc2209, crc8
from tests.support.driver_chip import DRV_STATUS, GSTAT, IFCNT, DriverChip, check_byte

IHOLD_IRUN, GCONF, CHOPCONF, SGTHRS = 0x10, 0x00, 0x6C, 0x40


def settle(driver: Tmc2209, start_ms: int = 0) -> int:
    """Take turns, one each ms, until nothing is being asked; return how many it took."""
    for turn in range(1000):
        if driver.settled():
            return turn
        driver.turn((start_ms + turn) & 0xFFFFFFFF)
    raise AssertionError("it never settles")


def looked(driver: Tmc2209) -> int:
    driver.look()
    settle(driver)
    return driver.bits()


@pytest.fixture
def chip() -> DriverChip:
    return DriverChip()


@pytest.fixture
def driver(chip: DriverChip) -> Tmc2209:
    made = Tmc2209(chip, run_current=20, hold_current=8, stall=60)
    settle(made)
    return made


def test_the_check_byte_is_the_data_sheets() -> None:
    for seed in range(200):
        data = bytes((seed * 37 + index * 101 + seed // 3) % 256 for index in range(seed % 9))
        assert crc8(data, len(data)) == check_byte(data)
    # A read of IFCNT at address 0, worked out by hand on the sheet's shift register.
    assert crc8(b"\x05\x00\x02", 3) == 0x8F


def test_it_is_set_up_with_the_currents_and_the_straps_microsteps(chip: DriverChip, driver: Tmc2209) -> None:
    assert driver.presence == PRESENT
    assert driver.bits() == 0
    written = dict(chip.written)
    assert written[IHOLD_IRUN] & 0x1F == 8
    assert written[IHOLD_IRUN] >> 8 & 0x1F == 20
    assert written[SGTHRS] == 60
    assert not written[GCONF] & 1 << 7, "mstep_reg_select: the straps must rule, or a reset changes the geometry"
    assert written[GCONF] & 1 << 6, "pdn_disable"
    assert written[CHOPCONF] & 0xF, "toff 0 would switch the bridges off"
    assert not chip.registers[GSTAT] & 1


def test_a_sound_driver_stays_without_a_word(chip: DriverChip, driver: Tmc2209) -> None:
    for _ in range(300):
        assert looked(driver) == 0
    assert driver.stall_value == 0x1A3


def test_a_reset_is_told_until_it_is_forgiven(chip: DriverChip, driver: Tmc2209) -> None:
    chip.reset()
    assert looked(driver) & DRIVER_RESET
    assert looked(driver) & DRIVER_RESET
    driver.forgive()
    settle(driver)
    assert driver.bits() == 0
    assert dict(chip.written)[IHOLD_IRUN] >> 8 & 0x1F == 20
    assert looked(driver) == 0


def test_a_reset_whose_flag_is_gone_is_found_by_the_write_counter(chip: DriverChip, driver: Tmc2209) -> None:
    chip.reset()
    chip.registers[GSTAT] = 0
    assert looked(driver) & DRIVER_RESET


def test_somebody_elses_write_is_found(chip: DriverChip, driver: Tmc2209) -> None:
    chip.registers[IFCNT] += 1
    assert looked(driver) & DRIVER_RESET


def test_a_setting_that_never_arrived_is_found(chip: DriverChip) -> None:
    class Deaf(DriverChip):
        def _take(self, data: bytes) -> None:
            if data[2] != IHOLD_IRUN | 0x80:
                super()._take(data)

    driver = Tmc2209(Deaf(), 20, 8)
    settle(driver)
    assert driver.bits() & DRIVER_RESET


@pytest.mark.parametrize("bit", [1, 2, 3, 4, 5])
def test_heat_and_short_circuits_are_faults(chip: DriverChip, driver: Tmc2209, bit: int) -> None:
    chip.registers[DRV_STATUS] = 1 << bit
    assert looked(driver) == DRIVER_FAULT


def test_a_warning_of_heat_alone_stops_nothing(chip: DriverChip, driver: Tmc2209) -> None:
    chip.registers[DRV_STATUS] = 1
    assert looked(driver) == 0


@pytest.mark.parametrize("bit", [1, 2])
def test_driver_errors_and_low_voltage_are_faults(chip: DriverChip, driver: Tmc2209, bit: int) -> None:
    chip.registers[GSTAT] |= 1 << bit
    assert looked(driver) == DRIVER_FAULT


def test_two_damaged_answers_are_asked_for_again(chip: DriverChip, driver: Tmc2209) -> None:
    chip.damage = 2
    assert looked(driver) == 0


def test_answers_damaged_for_good_are_a_fault(chip: DriverChip, driver: Tmc2209) -> None:
    chip.damage = 3
    assert looked(driver) == DRIVER_FAULT


def test_one_that_falls_silent_is_a_fault(chip: DriverChip, driver: Tmc2209) -> None:
    chip.present = False
    assert looked(driver) == DRIVER_FAULT


@pytest.mark.parametrize("echo", [True, False])
def test_a_plain_driver_that_never_answers_is_none(echo: bool) -> None:
    driver = Tmc2209(DriverChip(present=False, echo=echo), 20, 8)
    turns = settle(driver)
    assert driver.presence == ABSENT
    assert turns < 40
    assert looked(driver) == 0
    driver.forgive()
    assert settle(driver) < 40
    assert (driver.presence, driver.bits()) == (ABSENT, 0)


def test_a_driver_without_its_supply_at_power_up_is_found_when_it_comes(chip: DriverChip) -> None:
    chip.present = False
    driver = Tmc2209(chip, run_current=20, hold_current=8)
    settle(driver)
    assert driver.presence == ABSENT
    chip.present = True
    driver.forgive()
    settle(driver)
    assert driver.presence == PRESENT
    assert dict(chip.written)[IHOLD_IRUN] >> 8 & 0x1F == 20
    chip.registers[DRV_STATUS] = 1 << 1
    assert looked(driver) == DRIVER_FAULT


def test_the_milliseconds_may_wrap(chip: DriverChip) -> None:
    chip.present = False
    driver = Tmc2209(chip, 20, 8)
    assert settle(driver, 0xFFFFFFFC) < 40
    assert driver.presence == ABSENT


def test_each_turn_says_at_most_one_thing(chip: DriverChip) -> None:
    driver = Tmc2209(chip, 20, 8)
    said = 0
    for turn in range(100):
        before = len(chip.written)
        driver.turn(turn)
        assert len(chip.written) - before <= 1
        said += len(chip.written) - before
    assert said == 7


@pytest.mark.parametrize(("run", "hold", "stall"), [(32, 8, 0), (-1, 8, 0), (20, 32, 0), (20, 8, 256)])
def test_settings_out_of_range_are_refused(chip: DriverChip, run: int, hold: int, stall: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Tmc2209(chip, run, hold, stall)
