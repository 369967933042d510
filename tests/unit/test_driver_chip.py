"""The model of the motor driver, against what the data sheet says of it."""

from itertools import pairwise

import pytest

from pensim.driver_chip import (
    CHOPCONF,
    DRIVER_ERROR,
    DRV_STATUS,
    GCONF,
    GSTAT,
    HOT,
    IFCNT,
    IHOLD_IRUN,
    IOIN,
    REGISTERS_RULE,
    RESET,
    SG_RESULT,
    SGTHRS,
    SLAVECONF,
    STANDSTILL,
    STANDSTILL_STEP,
    TCOOLTHRS,
    TSTEP,
    UNDERVOLTAGE,
    VACTUAL,
    WARM,
    DriverChip,
    Heard,
    check_byte,
)
from tests.support.driver_port import BIT_NS, datagram

BYTE_NS = 10 * BIT_NS


class Wire:
    """The wire of one driver, and the time."""

    def __init__(self, chip: DriverChip) -> None:
        self.chip = chip
        self.now_ns = 0

    def say(self, data: bytes | bytearray) -> list[Heard]:
        """Send bytes one after the other; return all that is heard."""
        heard = []
        for byte in data:
            self.now_ns += BYTE_NS
            heard += self.chip.hear(byte, self.now_ns, BIT_NS)
        self.now_ns = max([self.now_ns, *(each.at_ns for each in heard)])
        return heard

    def write(self, register: int, value: int, address: int = 0) -> None:
        assert len(self.say(datagram(register, value, address))) == 8

    def read(self, register: int, address: int = 0) -> int | None:
        """Return a register, or None without an answer."""
        answer = bytes(each.byte for each in self.say(datagram(register, address=address)))[4:]
        if not answer:
            return None
        assert answer[:3] == bytes((0x05, 0xFF, register))
        assert check_byte(answer[:-1]) == answer[-1]
        return int.from_bytes(answer[3:7], "big")

    def rest(self, bits: int = 20) -> None:
        self.now_ns += bits * BIT_NS


@pytest.fixture
def chip() -> DriverChip:
    return DriverChip()


@pytest.fixture
def wire(chip: DriverChip) -> Wire:
    return Wire(chip)


def test_the_check_byte_is_the_sheets_polynomial() -> None:
    # x8 + x2 + x + 1 by long division, each byte's lowest bit first: another way than the model's register.
    for data in (b"\x05\x00\x02", b"\x05\x00\x80\x00\x00\x00\xc0", b"\x05\xff\x06\x21\x00\x00\x40"):
        bits = [byte >> place & 1 for byte in data for place in range(8)] + [0] * 8
        for place in range(len(bits) - 8):
            if bits[place]:
                for offset in (0, 6, 7, 8):
                    bits[place + offset] ^= 1
        assert int("".join(map(str, bits[-8:])), 2) == check_byte(data)


def test_who_sends_hears_it_and_then_the_answer(chip: DriverChip, wire: Wire) -> None:
    request = datagram(IFCNT)
    heard = wire.say(request)
    assert bytes(each.byte for each in heard[:4]) == request
    assert [each.at_ns for each in heard[:4]] == [BYTE_NS * (place + 1) for place in range(4)]
    first, *rest = heard[4:]
    assert first.at_ns - heard[3].at_ns == 8 * BIT_NS + BYTE_NS, "8 bit times, then a byte's"
    assert [b.at_ns - a.at_ns for a, b in pairwise([first, *rest])] == [BYTE_NS] * 7
    chip.echo = False
    wire.rest()
    assert len(wire.say(request)) == 8


@pytest.mark.parametrize(("senddelay", "bits"), [(0, 8), (1, 8), (2, 24), (3, 24), (7, 56), (15, 120)])
def test_the_pause_before_an_answer_is_set(wire: Wire, senddelay: int, bits: int) -> None:
    wire.write(SLAVECONF, senddelay << 8)
    heard = wire.say(datagram(IFCNT))
    assert heard[4].at_ns - heard[3].at_ns == bits * BIT_NS + BYTE_NS


def test_valid_writes_are_counted_round_and_reads_are_not(wire: Wire) -> None:
    for number in range(300):
        assert wire.read(IFCNT) == number % 256
        wire.write(SGTHRS, number)


def test_a_datagram_that_is_none_is_ignored_until_the_wire_has_been_idle(chip: DriverChip, wire: Wire) -> None:
    broken = datagram(SGTHRS, 7)
    broken[5] ^= 4
    wire.say(broken)
    wire.say(datagram(SGTHRS, 8))
    assert chip.written == [], "no recovery without 12 idle bit times"
    wire.rest(13)
    wire.write(SGTHRS, 9)
    assert chip.written == [(SGTHRS, 9)]
    wire.rest()
    wire.say(b"\x0a\x00\x02\x8f")
    assert wire.read(IFCNT) is None, "another sync nibble"
    wire.rest()
    assert wire.read(IFCNT) == 1


def test_a_datagram_that_was_broken_off_ends_with_the_pause(wire: Wire) -> None:
    wire.say(datagram(SGTHRS, 7)[:5])
    wire.rest(54)
    assert wire.read(IFCNT) == 0
    wire.say(datagram(IFCNT)[:2])
    wire.rest(50)
    heard = wire.say(datagram(IFCNT)[2:])
    assert len(heard) == 2 + 8, "60 bit times from start to start are none too many"


@pytest.mark.parametrize(("ms1", "ms2", "microsteps"), [(0, 0, 8), (1, 0, 32), (0, 1, 64), (1, 1, 16)])
def test_the_straps_are_microsteps_and_address(ms1: int, ms2: int, microsteps: int) -> None:
    chip = DriverChip(ms1, ms2)
    wire = Wire(chip)
    address = ms1 | ms2 << 1
    assert chip.microsteps == microsteps
    assert (wire.read(IOIN, address) or 0) >> 2 & 3 == address
    assert wire.read(IFCNT, address ^ 1) is None
    wire.write(SGTHRS, 5, address ^ 2)
    assert chip.written == []


def test_microsteps_are_the_registers_only_when_told_so(chip: DriverChip, wire: Wire) -> None:
    wire.write(CHOPCONF, 4 << 24 | 3)
    assert chip.microsteps == 8
    wire.write(GCONF, REGISTERS_RULE)
    assert chip.microsteps == 16
    for mres, microsteps in ((0, 256), (5, 8), (8, 1)):
        wire.write(CHOPCONF, mres << 24 | 3)
        assert chip.microsteps == microsteps
    chip.dip()
    assert chip.microsteps == 8


def test_a_dip_of_the_supply_loses_everything_and_is_told(chip: DriverChip, wire: Wire) -> None:
    assert wire.read(GSTAT) == RESET
    wire.write(GSTAT, 0)
    assert wire.read(GSTAT) == RESET, "only ones clear"
    wire.write(GSTAT, RESET)
    assert wire.read(GSTAT) == 0
    wire.write(IHOLD_IRUN, 20 << 8 | 4)
    assert (chip.run_current, chip.hold_current) == (20, 4)
    wire.say(datagram(SGTHRS, 7)[:3])
    chip.dip()
    assert wire.read(GSTAT) == RESET
    assert wire.read(IFCNT) == 0
    assert (chip.run_current, chip.hold_current) == (31, 16)


def test_heat_warns_then_switches_off_until_it_has_cooled(chip: DriverChip, wire: Wire) -> None:
    wire.write(GSTAT, RESET)
    seen = []
    for celsius in (119, 121, 142, 144, 142, 121, 119):
        chip.heat(celsius)
        status = wire.read(DRV_STATUS) or 0
        seen.append((status & (WARM | HOT), chip.bridges_on))
        wire.write(GSTAT, DRIVER_ERROR)
        assert bool(wire.read(GSTAT)) == (not chip.bridges_on), "told for as long as it lasts"
    assert seen == [
        (0, True),
        (WARM, True),
        (WARM, True),
        (WARM | HOT, False),
        (WARM | HOT, False),
        (WARM | HOT, False),
        (0, True),
    ]
    chip.heat(150)
    chip.heat(25)
    assert wire.read(GSTAT) == DRIVER_ERROR, "it stays known"


def test_short_circuits_and_a_weak_supply_switch_off(chip: DriverChip, wire: Wire) -> None:
    wire.write(GSTAT, RESET)
    chip.charge_pump_low = True
    assert (wire.read(GSTAT), chip.bridges_on) == (UNDERVOLTAGE, False)
    chip.charge_pump_low = False
    assert (wire.read(GSTAT), chip.bridges_on) == (0, True)
    chip.short(1 << 4)
    assert ((wire.read(DRV_STATUS) or 0) & 0x3F, wire.read(GSTAT), chip.bridges_on) == (1 << 4, DRIVER_ERROR, False)
    with pytest.raises(ValueError, match="short"):
        chip.short(1 << 6)


def test_bridges_are_off_by_pin_and_by_toff(chip: DriverChip, wire: Wire) -> None:
    on = [chip.bridges_on]
    chip.enable_pin = 1
    on.append(chip.bridges_on)
    assert (wire.read(IOIN) or 0) & 1
    chip.enable_pin = 0
    on.append(chip.bridges_on)
    wire.write(CHOPCONF, 0)
    on.append(chip.bridges_on)
    assert on == [True, False, True, False]


def test_nobody_answers_without_a_supply_and_the_wire_still_echoes(chip: DriverChip, wire: Wire) -> None:
    chip.present = False
    assert len(wire.say(datagram(IFCNT))) == 4
    chip.echo = False
    assert wire.say(datagram(IFCNT)) == []


def test_damaged_answers_fail_their_check_and_are_counted(chip: DriverChip, wire: Wire) -> None:
    chip.damage = 1
    answer = bytes(each.byte for each in wire.say(datagram(IFCNT)))[4:]
    assert check_byte(answer[:-1]) != answer[-1]
    assert wire.read(IFCNT) == 0


def test_the_time_of_a_step_is_measured_in_its_clocks(chip: DriverChip, wire: Wire) -> None:
    assert wire.read(TSTEP) == STANDSTILL_STEP
    assert (wire.read(DRV_STATUS) or 0) >> 16 & 0x1F == 16, "holding"
    base_ns = wire.now_ns + 10_000_000
    for step in range(3):
        chip.stepped(base_ns + step * 1_000_000)
    wire.now_ns = base_ns + 2_000_000 - 4 * BYTE_NS
    # 1 ms a microstep of 1/8 is 12,000 clocks, 32 of 1/256 in it.
    assert wire.read(TSTEP) == 12_000 // 32
    status = wire.read(DRV_STATUS) or 0
    assert (status >> 16 & 0x1F, status & STANDSTILL) == (31, 0)
    wire.now_ns += 100_000_000
    assert (wire.read(DRV_STATUS) or 0) & STANDSTILL


def test_a_stall_shows_at_diag_while_stallguard_is_on(chip: DriverChip, wire: Wire) -> None:
    chip.load = 100
    assert wire.read(SG_RESULT) == 100
    wire.write(SGTHRS, 60)
    assert not chip.diag(wire.now_ns)
    wire.write(TCOOLTHRS, 0xFFFFF)
    assert chip.diag(wire.now_ns)
    assert (wire.read(IOIN) or 0) & 1 << 4
    chip.load = 121
    assert not chip.diag(wire.now_ns)


@pytest.mark.parametrize(("written", "velocity"), [(0, 0), (5, 5), (0xFF_FFFF, -1), (0x80_0000, -(1 << 23))])
def test_a_velocity_turns_the_motor_by_itself(chip: DriverChip, wire: Wire, written: int, velocity: int) -> None:
    wire.write(VACTUAL, written)
    assert chip.velocity == velocity


def test_what_cannot_be_read_or_written_is_zero_or_stays(chip: DriverChip, wire: Wire) -> None:
    assert wire.read(IHOLD_IRUN) == 0
    assert wire.read(0x55) == 0
    wire.write(SG_RESULT, 1)
    assert wire.read(SG_RESULT) == 0x1A3
    assert (wire.read(IOIN) or 0) >> 24 == 0x21
