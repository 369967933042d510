"""What the chip's emulator does unlike an RP2040, and `pensim.chip` works around: each test passes while that is so.

One that fails says which mend has become needless. No image runs here: the CPU executes one or two instructions from
its memory, or its part is played by writing registers. The faults of its PIO alone are in tests/pio/test_emulators.py.
"""

import struct
from typing import Any

import pytest
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.reset_cause import ResetCause
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

_RAM = 0x2000_0000
_SPIN = (0xE7FE,)
"""`b .`, two cycles each time round."""
_SLEEP = (0xBF30, 0xE7FD)
"""`wfi`, for ever."""
_TICK_NS = 8
_RAN_TICKS = 3_000

_PIO, _FIRST_INSTRUCTION = 0x5020_0000, 0x48
_EXECCTRL, _INSTR, _PINCTRL = 0xCC, 0xD8, 0xDC
_SET_PINS_0, _SET_PINS_1, _SET_PINDIRS_1, _PULL, _JMP_5 = 0xE000, 0xE001, 0xE081, 0x80A0, 0x0005
_BY_SIO, _BY_PIO = 5, 6
_IO_CTRL = 0x4001_4004
_SIO_IN, _SIO_OUT_SET, _SIO_OE_SET = 0xD000_0004, 0xD000_0014, 0xD000_0024
_QSPI_SS_CTRL, _SSI_ENABLE, _SSI_DATA = 0x4001_800C, 0x1800_0008, 0x1800_0060
_LOW, _HIGH = 2 << 8, 3 << 8
_WRITE_ENABLE, _STATUS, _ERASE, _PROGRAM, _UNIQUE_ID, _MAKER = 0x06, 0x05, 0x20, 0x02, 0x4B, 0x9F
_AT = 0x10_0000
"""A place among the files."""
_USB_DPRAM, _USB = 0x5010_0000, 0x5011_0000
_MAIN_CTRL, _FRAME, _INTR = 0x40, 0x48, 0x8C
_START_OF_FRAME, _BUS_RESET = 1 << 17, 1 << 12
_BUS_RESET_TICKS = 1_300_000
_AVAILABLE, _FULL = 1 << 10, 1 << 15
_PIN = 2


def needless(mend: str) -> str:
    """Return what to do about a fault that is gone."""
    return f"the emulator does this right now: pensim.chip.{mend} may go, with this test"


class Bare:
    """A chip out of its box, its CPU in a program of a few instructions."""

    def __init__(self, program: tuple[int, ...] = _SPIN) -> None:
        self.simulator = Simulator()
        self.chip: Any = self.simulator.rp2040
        self.chip.logger = ConsoleLogger(LogLevel.ERROR)
        code = struct.pack(f"<{len(program)}H", *program)
        self.chip.sram[: len(code)] = code
        self.chip.core.pc = _RAM
        self.edges: list[float] = []
        self.chip.gpio[_PIN].add_listener(lambda _new, _old: self.edges.append(self.chip.clock.nanos / _TICK_NS))

    def write(self, address: int, value: int) -> None:
        """Write a register, as the CPU does."""
        self.chip.write_uint32(address, value)

    def read(self, address: int) -> int:
        """Read a register, as the CPU does."""
        return int(self.chip.read_uint32(address))

    def run(self, ticks: int) -> None:
        """Let the CPU run."""
        self.simulator.stopped = False
        alarm = self.chip.clock.create_alarm(self.simulator.stop)
        alarm.schedule(ticks * _TICK_NS)
        while not self.simulator.stopped:
            self.simulator._execute_batch()

    def start_pio(self, *words: int) -> None:
        """Have the first machine go round in `words`, the pin its own."""
        self.write(_IO_CTRL + 8 * _PIN, _BY_PIO)
        for place, word in enumerate(words):
            self.write(_PIO + _FIRST_INSTRUCTION + 4 * place, word)
        self.write(_PIO + _EXECCTRL, len(words) - 1 << 12)
        self.write(_PIO + _PINCTRL, 1 << 26 | _PIN << 5)
        self.write(_PIO + _INSTR, _SET_PINDIRS_1)
        self.edges.clear()
        self.write(_PIO, 1)

    def flash(self, *command: int, answer: int = 0) -> bytes:
        """Shift a command out to the flash; return the `answer` bytes that come after it."""
        self.write(_SSI_ENABLE, 1)
        self.write(_QSPI_SS_CTRL, _LOW)
        came = bytearray()
        for byte in (*command, *bytes(answer)):
            self.write(_SSI_DATA, byte)
            came.append(self.read(_SSI_DATA) & 0xFF)
        self.write(_QSPI_SS_CTRL, _HIGH)
        return bytes(came[len(command) :])


# --- time of PIO -----------------------------------------------------------------------------------------------------
def test_a_machine_gets_no_more_than_one_instruction_for_each_of_the_cpu_s() -> None:
    bare = Bare()
    bare.start_pio(_SET_PINS_1, _SET_PINS_0)
    bare.run(_RAN_TICKS)
    assert len(bare.edges) <= _RAN_TICKS // 2 + 1, needless("pio_time")
    assert bare.chip.pio[0].backlog_drops, needless("pio_time")


def test_a_machine_stands_still_while_the_cpu_sleeps() -> None:
    bare = Bare(_SLEEP)
    bare.start_pio(_SET_PINS_1, _SET_PINS_0)
    bare.run(_RAN_TICKS)
    assert len(bare.edges) <= 3, needless("pio_time")


def test_a_machine_that_waits_goes_on_waiting_when_it_is_told_to_jump() -> None:
    bare = Bare()
    bare.start_pio(_PULL, _SET_PINS_0, _SET_PINS_0, _SET_PINS_0, _SET_PINS_0, _SET_PINS_1)
    bare.run(10)
    machine = bare.chip.pio[0].machines[0]
    assert machine.waiting
    bare.write(_PIO + _INSTR, _JMP_5)
    bare.run(10)
    assert (machine.pc, machine.waiting) == (5, True), needless("pio_time.PioTime._execute")


# --- pads ------------------------------------------------------------------------------------------------------------
def test_a_level_is_seen_without_the_synchroniser_s_two_ticks() -> None:
    bare = Bare()
    bare.write(_IO_CTRL + 8 * _PIN, _BY_SIO)
    bare.write(_SIO_OE_SET, 1 << _PIN)
    bare.write(_SIO_OUT_SET, 1 << _PIN)
    assert bare.read(_SIO_IN) >> _PIN & 1, needless("emulator.SYNC_TICKS for what the chip drives")
    bare.chip.gpio[_PIN + 1].set_input_value(True)
    assert bare.read(_SIO_IN) >> (_PIN + 1) & 1, needless("emulator.SYNC_TICKS for what comes from outside")


def test_nobody_hears_of_the_pads_that_a_reset_lets_go_of() -> None:
    bare = Bare()
    bare.start_pio(_SET_PINS_1)
    bare.run(10)
    pin = bare.chip.gpio[_PIN]
    assert pin.value == GPIOPinState.HIGH
    bare.edges.clear()
    bare.chip.enter_reset(cause=ResetCause.RUN_PIN)
    assert pin.value == GPIOPinState.INPUT_PULL_DOWN
    assert bare.edges == [], needless("emulator.Emulator._release_pads after a reset")


def test_memory_outlasts_the_loss_of_power() -> None:
    bare = Bare()
    bare.chip.enter_reset(cause=ResetCause.POWER_ON)
    assert bare.chip.sram[:2] == struct.pack("<H", *_SPIN), needless("emulator.Emulator.power_on's noise")


# --- flash -----------------------------------------------------------------------------------------------------------
def test_the_flash_is_never_busy() -> None:
    bare = Bare()
    sector = slice(_AT, _AT + 4096)
    bare.chip.flash[sector] = bytes(4096)
    bare.flash(_WRITE_ENABLE)
    bare.flash(_ERASE, *_AT.to_bytes(3, "big"))
    assert bare.flash(_STATUS, answer=1) == b"\0", needless("flash's time")
    assert bare.chip.flash[sector] == b"\xff" * 4096, needless("flash's time")


def test_the_flash_programs_on_into_the_next_page() -> None:
    bare = Bare()
    bare.chip.flash[_AT : _AT + 512] = b"\xff" * 512
    bare.flash(_WRITE_ENABLE)
    bare.flash(_PROGRAM, *(_AT + 0xFF).to_bytes(3, "big"), 0x12, 0x34)
    found = bytes(bare.chip.flash[_AT + 0xFF : _AT + 0x101])
    assert found == b"\x12\x34", needless("flash's going round within a page")


def test_every_flash_has_the_same_number() -> None:
    bare = Bare()
    assert bare.flash(_MAKER, answer=1) == b"\xef"
    assert bare.flash(_UNIQUE_ID, answer=12) == b"\xff" * 12, needless("flash's unique number")


# --- USB -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def plugged() -> Bare:
    """Return a chip whose USB controller is on, its first endpoint's data at 0x180."""
    bare = Bare()
    bare.write(_USB + _MAIN_CTRL, 1)
    for direction in (0, 4):
        bare.write(_USB_DPRAM + 0x08 + direction, 1 << 31 | 1 << 29 | 2 << 26 | 0x180)
    return bare


def test_a_buffer_is_taken_though_the_host_hasn_t_asked_for_it(plugged: Bare) -> None:
    taken: list[tuple[int, bytes]] = []
    plugged.chip.usb_ctrl.on_endpoint_write = lambda endpoint, data: taken.append((endpoint, bytes(data)))
    plugged.write(_USB_DPRAM + 0x180, 0x44434241)
    plugged.write(_USB_DPRAM + 0x88, _AVAILABLE | _FULL | 4)
    plugged.run(100_000)
    assert taken == [(1, b"ABCD")], needless("usb's tokens")


def test_a_buffer_for_the_host_s_data_is_taken_away_before_there_are_any(plugged: Bare) -> None:
    plugged.chip.usb_ctrl.on_endpoint_read = lambda _endpoint, _length: None
    plugged.write(_USB_DPRAM + 0x8C, _AVAILABLE | 64)
    assert not plugged.read(_USB_DPRAM + 0x8C) & _AVAILABLE, needless("usb's tokens")


def test_there_are_no_frames(plugged: Bare) -> None:
    plugged.chip.usb_ctrl.reset_device()
    plugged.run(_BUS_RESET_TICKS)
    assert plugged.read(_USB + _INTR) & _BUS_RESET, "the host has not begun"
    plugged.run(5 * 125_000)
    assert not plugged.read(_USB + _INTR) & _START_OF_FRAME, needless("usb's frames")
    assert plugged.read(_USB + _FRAME) == 0, needless("usb's frames")
