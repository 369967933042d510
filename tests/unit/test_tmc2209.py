"""The motor driver's serial line: set up, looked after, absent, reset, hot, silent, damaged."""

import pytest

from pencore.signals import DRIVER_FAULT, DRIVER_RESET
from pendevice.tmc2209 import ABSENT, PRESENT, WATCH_MS, Tmc2209, crc8
from pensim.driver_chip import CHOPCONF, GCONF, GSTAT, IHOLD_IRUN, SGTHRS, DriverChip, check_byte
from tests.support.driver_port import DriverPort, datagram


class Bench:
    """The firmware's driver, a chip, the wire between them, and the time, in turns of `turn_us`."""

    def __init__(self, chip: DriverChip, stall: int = 0, start_ms: int = 0) -> None:
        self.chip = chip
        self.port = DriverPort(chip)
        self.driver = Tmc2209(self.port, run_current=20, hold_current=8, stall=stall)
        self.start_ms = start_ms
        self.turn_us = 1000

    def turn(self) -> None:
        self.driver.turn((self.start_ms + self.port.now_ns // 1_000_000) & 0xFFFFFFFF)
        self.port.now_ns += self.turn_us * 1000

    def turns(self, ms: int) -> None:
        """Take turns for so many ms."""
        for _ in range(ms * 1000 // self.turn_us):
            self.turn()

    def told_ms(self, most_ms: int = 1000) -> int:
        """Take turns, and nothing else, until the driver's bits tell of something; return how many ms it took."""
        for us in range(0, most_ms * 1000, self.turn_us):
            if self.driver.bits():
                return us // 1000
            self.turn()
        raise AssertionError("it is never told")

    def settle(self) -> int:
        """Take turns until nothing is being asked; return how many it took."""
        for turn in range(1000):
            if self.driver.settled():
                return turn
            self.turn()
        raise AssertionError("it never settles")

    def looked(self) -> int:
        """Look after the driver; return what was found."""
        self.driver.look()
        self.settle()
        return self.driver.bits()

    def gstat(self) -> int:
        return self.chip.register(GSTAT, self.port.now_ns)


@pytest.fixture
def chip() -> DriverChip:
    return DriverChip()


@pytest.fixture
def bench(chip: DriverChip) -> Bench:
    made = Bench(chip, stall=60)
    made.settle()
    return made


def test_the_check_byte_is_the_data_sheets() -> None:
    for seed in range(200):
        data = bytes((seed * 37 + index * 101 + seed // 3) % 256 for index in range(seed % 9))
        assert crc8(data, len(data)) == check_byte(data)
    # A read of IFCNT at address 0, worked out by hand on the sheet's shift register.
    assert crc8(b"\x05\x00\x02", 3) == 0x8F


def test_it_is_set_up_with_the_currents_and_the_straps_microsteps(chip: DriverChip, bench: Bench) -> None:
    assert bench.driver.presence == PRESENT
    assert bench.driver.bits() == 0
    assert (chip.run_current, chip.hold_current) == (20, 8)
    written = dict(chip.written)
    assert written[SGTHRS] == 60
    assert not written[GCONF] & 1 << 7, "mstep_reg_select: the straps must rule, or a reset changes the geometry"
    assert written[GCONF] & 1 << 6, "pdn_disable"
    assert written[CHOPCONF] & 0xF, "toff 0 would switch the bridges off"
    assert not bench.gstat() & 1
    microsteps = chip.microsteps
    chip.dip()
    assert chip.microsteps == microsteps == 8


def test_a_sound_driver_stays_without_a_word(chip: DriverChip, bench: Bench) -> None:
    for _ in range(100):
        assert bench.looked() == 0
    assert bench.driver.stall_value == 0x1A3


def test_a_reset_is_told_until_it_is_forgiven(chip: DriverChip, bench: Bench) -> None:
    chip.dip()
    assert bench.looked() & DRIVER_RESET
    assert bench.looked() & DRIVER_RESET
    bench.driver.forgive()
    bench.settle()
    assert bench.driver.bits() == 0
    assert chip.run_current == 20
    assert bench.looked() == 0


@pytest.mark.parametrize("turn_ms", [1, 5, 12])
@pytest.mark.parametrize("after_ms", range(0, 72, 7))
@pytest.mark.parametrize("happens", ["reset", "hot", "short", "supply"])
def test_what_happens_to_a_driver_is_told_soon_though_nobody_looks(
    chip: DriverChip, bench: Bench, happens: str, after_ms: int, turn_ms: int
) -> None:
    bench.turn_us = turn_ms * 1000
    bench.turns(after_ms)
    assert bench.driver.bits() == 0
    if happens == "reset":
        chip.dip()
    elif happens == "hot":
        chip.heat(150)
    elif happens == "short":
        chip.short(1 << 3)
    else:
        chip.charge_pump_low = True
    # A question that is just under way may miss it: then it is the next, which takes a turn to come and one to hear.
    assert bench.told_ms() <= WATCH_MS + max(5, 4 * turn_ms)
    assert bench.driver.bits() == (DRIVER_RESET if happens == "reset" else DRIVER_FAULT)
    chip.heat(25)
    bench.turns(200)
    assert bench.driver.bits()


def test_one_that_falls_silent_is_told_of_though_nobody_looks(chip: DriverChip, bench: Bench) -> None:
    chip.present = False
    assert bench.told_ms() <= WATCH_MS + 3 * 10
    assert bench.driver.bits() == DRIVER_FAULT


def test_by_itself_one_register_is_asked_and_not_often(chip: DriverChip, bench: Bench) -> None:
    bench.port.asked.clear()
    bench.turns(1000)
    assert set(bench.port.asked) == {GSTAT}
    assert 1000 // (WATCH_MS + 5) <= len(bench.port.asked) <= 1000 // WATCH_MS
    assert bench.driver.ready()
    chip.dip()
    bench.told_ms()
    bench.port.asked.clear()
    bench.turns(1000)
    assert bench.port.asked == [], "it has been told, and stays so until it is forgiven"
    bench.driver.forgive()
    bench.settle()
    assert (bench.driver.bits(), chip.run_current) == (0, 20)


def test_a_plain_driver_is_not_asked_by_itself() -> None:
    chip = DriverChip()
    chip.present = False
    bench = Bench(chip)
    bench.settle()
    bench.port.asked.clear()
    bench.turns(1000)
    assert bench.port.asked == []


@pytest.mark.parametrize("turns", range(WATCH_MS - 4, WATCH_MS + 6))
def test_a_look_is_a_whole_look_also_while_it_is_asked_by_itself(chip: DriverChip, bench: Bench, turns: int) -> None:
    bench.turns(turns)
    bench.port.write(datagram(SGTHRS, 60))
    bench.port.now_ns += 3_000_000
    assert bench.looked() == DRIVER_RESET, "somebody else's write, which the counter alone tells"
    assert bench.driver.stall_value == 0x1A3


def test_being_asked_by_itself_neither_makes_ready_nor_holds_up_a_setting_up(chip: DriverChip) -> None:
    for turns in range(WATCH_MS - 3, WATCH_MS + 6):
        bench = Bench(chip)
        bench.settle()
        bench.turns(turns)
        chip.dip()
        bench.driver.forgive()
        assert not bench.driver.ready()
        bench.settle()
        assert (bench.driver.ready(), bench.driver.bits(), chip.run_current) == (True, 0, 20)


@pytest.mark.parametrize("turn_us", [1000, 1060, 1140, 1180, 3000])
@pytest.mark.parametrize("byte", [0x00, 0x05, 0xFF])
@pytest.mark.parametrize("at_us", range(0, 5000, 190))
def test_a_stray_byte_is_no_fault(chip: DriverChip, bench: Bench, at_us: int, byte: int, turn_us: int) -> None:
    # Among them are turns that fall between the last two bytes of an answer shifted by one, each time anew.
    bench.turn_us = turn_us
    bench.turns(WATCH_MS - 3)
    for _ in range(3):
        bench.port.stray(byte, bench.port.now_ns + at_us * 1000)
        bench.turns(WATCH_MS + 3)
    assert bench.looked() == 0
    bench.driver.forgive()
    for ms in range(4):
        bench.port.stray(byte, bench.port.now_ns + at_us * 1000 + ms * 7_000_000)
    bench.settle()
    assert (bench.driver.ready(), bench.driver.bits()) == (True, 0)


def test_noise_without_end_is_a_fault(chip: DriverChip, bench: Bench) -> None:
    for byte in range(2000):
        bench.port.stray(byte % 251, bench.port.now_ns + byte * 100_000)
    assert bench.told_ms() <= WATCH_MS + 3 * 40
    assert bench.driver.bits() == DRIVER_FAULT
    assert bench.driver.settled()


class Babble:
    """A line on which more has arrived whenever it is asked."""

    def __init__(self) -> None:
        self.taken = 0

    def any(self) -> int:
        return 256

    def readinto(self, buf: bytearray) -> int:
        self.taken += len(buf)
        if self.taken > 10_000:
            raise AssertionError("this turn would never end")
        return len(buf)

    def write(self, data: bytearray | memoryview) -> int:
        return len(data)


def test_a_line_that_never_falls_silent_holds_no_turn_up() -> None:
    """A turn takes the port's buffer of 256 bytes at most, and one reading more to hear an answer."""
    line = Babble()
    driver = Tmc2209(line, run_current=20, hold_current=8)
    taken = []
    for now_ms in range(500):
        line.taken = 0
        driver.turn(now_ms)
        taken.append(line.taken)
    assert 256 <= max(taken) <= 256 + 2 * 12
    assert driver.settled()


def test_a_reset_whose_flag_is_gone_is_found_by_the_write_counter(chip: DriverChip, bench: Bench) -> None:
    chip.dip()
    bench.port.write(datagram(GSTAT, 1))
    assert bench.gstat() == 0
    bench.port.now_ns += 1_000_000
    assert bench.looked() & DRIVER_RESET


def test_somebody_elses_write_is_found(chip: DriverChip, bench: Bench) -> None:
    bench.port.write(datagram(SGTHRS, 60))
    bench.port.now_ns += 1_000_000
    assert bench.looked() & DRIVER_RESET


def test_a_setting_that_never_arrived_is_found(chip: DriverChip) -> None:
    bench = Bench(chip)
    bench.port.spoilt = IHOLD_IRUN
    bench.settle()
    assert bench.driver.bits() & DRIVER_RESET
    assert chip.run_current == 31


@pytest.mark.parametrize("bit", [2, 3, 4, 5])
def test_short_circuits_are_faults(chip: DriverChip, bench: Bench, bit: int) -> None:
    chip.short(1 << bit)
    assert bench.looked() == DRIVER_FAULT


def test_a_driver_that_is_too_hot_is_a_fault(chip: DriverChip, bench: Bench) -> None:
    chip.heat(150)
    assert bench.looked() == DRIVER_FAULT


def test_a_warning_of_heat_alone_stops_nothing(chip: DriverChip, bench: Bench) -> None:
    chip.heat(130)
    assert bench.looked() == 0


def test_an_error_that_has_passed_is_still_a_fault(chip: DriverChip, bench: Bench) -> None:
    chip.heat(150)
    chip.heat(25)
    assert bench.looked() == DRIVER_FAULT


def test_a_low_supply_is_a_fault(chip: DriverChip, bench: Bench) -> None:
    chip.charge_pump_low = True
    assert bench.looked() == DRIVER_FAULT


def test_two_damaged_answers_are_asked_for_again(chip: DriverChip, bench: Bench) -> None:
    chip.damage = 2
    assert bench.looked() == 0


def test_answers_damaged_for_good_are_a_fault(chip: DriverChip, bench: Bench) -> None:
    chip.damage = 3
    assert bench.looked() == DRIVER_FAULT


def test_one_that_falls_silent_is_a_fault(chip: DriverChip, bench: Bench) -> None:
    chip.present = False
    assert bench.looked() == DRIVER_FAULT


@pytest.mark.parametrize("echo", [True, False])
def test_a_plain_driver_that_never_answers_is_none(echo: bool) -> None:
    chip = DriverChip(echo=echo)
    chip.present = False
    bench = Bench(chip)
    turns = bench.settle()
    assert bench.driver.presence == ABSENT
    assert turns < 40
    assert bench.looked() == 0
    bench.driver.forgive()
    assert bench.settle() < 40
    assert (bench.driver.presence, bench.driver.bits()) == (ABSENT, 0)


def test_a_driver_without_its_supply_at_power_up_is_found_when_it_comes(chip: DriverChip) -> None:
    chip.present = False
    bench = Bench(chip)
    bench.settle()
    assert bench.driver.presence == ABSENT
    chip.present = True
    bench.driver.forgive()
    bench.settle()
    assert bench.driver.presence == PRESENT
    assert chip.run_current == 20
    chip.heat(150)
    assert bench.looked() == DRIVER_FAULT


def test_the_milliseconds_may_wrap(chip: DriverChip) -> None:
    chip.present = False
    bench = Bench(chip, start_ms=0xFFFFFFFC)
    assert bench.settle() < 40
    assert bench.driver.presence == ABSENT


def test_ready_is_one_whose_settings_were_all_counted_or_none_at_all(chip: DriverChip) -> None:
    bench = Bench(chip)
    for settings in (7, 14):
        while not bench.driver.ready():
            assert not bench.driver.settled()
            bench.turn()
        assert len(chip.written) == settings
        bench.settle()
        assert bench.driver.ready()
        bench.driver.forgive()
        assert not bench.driver.ready(), "set up anew"
    gone = DriverChip()
    gone.present = False
    bench = Bench(gone)
    assert not bench.driver.ready()
    bench.settle()
    assert bench.driver.ready()


def test_not_ready_is_one_that_missed_a_setting_or_fell_silent(chip: DriverChip) -> None:
    bench = Bench(chip)
    bench.port.spoilt = SGTHRS
    bench.settle()
    assert not bench.driver.ready()
    bench.port.spoilt = None
    bench.driver.forgive()
    while len(chip.written) < 10:
        bench.turn()
    chip.present = False
    bench.settle()
    assert not bench.driver.ready()
    assert bench.driver.bits() & DRIVER_FAULT


@pytest.mark.parametrize("turns", range(12))
def test_an_answer_to_what_was_asked_before_is_not_taken_for_another(chip: DriverChip, turns: int) -> None:
    bench = Bench(chip)
    bench.settle()
    bench.driver.look()
    for _ in range(turns):
        bench.turn()
    chip.dip()
    bench.driver.forgive()
    bench.settle()
    assert (bench.driver.ready(), bench.driver.bits()) == (True, 0)
    assert chip.run_current == 20
    assert bench.looked() == 0


def test_one_that_is_silent_when_forgiven_is_tried_as_often_as_any(chip: DriverChip, bench: Bench) -> None:
    chip.present = False
    bench.driver.look()
    for _ in range(8):
        bench.turn()
    bench.driver.forgive()
    chip.present = True
    chip.damage = 2
    bench.settle()
    assert (bench.driver.ready(), bench.driver.bits()) == (True, 0)


def test_each_turn_says_at_most_one_thing(chip: DriverChip) -> None:
    bench = Bench(chip)
    said = 0
    for _ in range(100):
        before = len(chip.written)
        bench.turn()
        assert len(chip.written) - before <= 1
        said += len(chip.written) - before
    assert said == 7


@pytest.mark.parametrize(("run", "hold", "stall"), [(32, 8, 0), (-1, 8, 0), (20, 32, 0), (20, 8, 256)])
def test_settings_out_of_range_are_refused(chip: DriverChip, run: int, hold: int, stall: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Tmc2209(DriverPort(chip), run, hold, stall)
