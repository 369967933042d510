"""The mend of the emulator's PIO time: exact whatever the CPU does, and the same with and without leaps. No image.

The pen's own programs play a stroke that DMA feeds them, under the guards; the CPU spins, or sleeps.
"""

import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from pensim.chip.emulator import SYNC_TICKS, Emulator
from pensim.chip.pen import DIR, ENABLE, HOME, STEP, STOP
from pensim.clock import VirtualClock
from tests.pio.assembler import Program
from tests.pio.rigs import GUARD_PIO, STROKE_PIO, Word, stroke, table

_RAM, _TABLE = 0x2000_0000, 0x2001_0000
_SPIN, _SLEEP = (0xE7FE,), (0xBF30, 0xE7FD)
_PIO = (0x5020_0000, 0x5030_0000)
_MEMORY, _CTRL, _TXF, _IRQ = 0x48, 0x00, 0x10, 0x30
_EXECCTRL, _SHIFTCTRL, _INSTR, _PINCTRL = 0xCC, 0xD0, 0xD8, 0xDC
_MACHINE = 0x18
_SET_PINS, _SET_PINDIRS = 0xE000, 0xE080
_IO_CTRL = 0x4001_4004
_DMA = 0x5000_0000
_READ, _WRITE, _COUNT, _TRIGGER = range(0, 16, 4)
_FEED = 1 | 2 << 2 | 1 << 4
"""Enabled, by words, counting up in memory, paced by block 0's machine 0, chained to nobody but itself."""
_FOREVER = 125_000

Edge = tuple[int, int, int]
"""(pin, level, tick)."""


class Rig:
    """The five programs on a bare chip; `edges` are those of the pads that it drives."""

    def __init__(self, cpu: tuple[int, ...] = _SPIN, leaping: bool = True) -> None:
        self.edges: list[Edge] = []
        self.emulator = Emulator(VirtualClock(), mirrored=(STEP, DIR, ENABLE), pulled_up=(ENABLE,))
        self.emulator.pio.leaping = leaping
        self.emulator.on_edge = lambda pin, level, at: self.edges.append((pin, level, at))
        self.emulator.power_on()
        chip: Any = self.emulator.chip
        self.chip = chip
        code = struct.pack(f"<{len(cpu)}H", *cpu)
        chip.sram[: len(code)] = code
        chip.core.pc = _RAM
        for pin in (HOME, STOP):
            self.emulator.drive(pin, 0)
        self._room = [32, 32]
        self._init(0, 0, STROKE_PIO.stroke, in_base=HOME, out_base=DIR, set_base=STEP, jmp_pin=ENABLE)
        self._init(0, 1, STROKE_PIO.sample, in_base=STEP)
        self._init(1, 0, GUARD_PIO.depth, in_base=STEP, set_base=ENABLE, jmp_pin=DIR)
        self._init(1, 1, GUARD_PIO.count, set_base=ENABLE, jmp_pin=DIR)
        self._init(1, 2, GUARD_PIO.stop, in_base=STOP, set_base=ENABLE)

    def write(self, address: int, value: int) -> None:
        """Write a register, as the CPU does."""
        self.chip.write_uint32(address, value)

    def _init(self, block: int, machine: int, program: Program, **pins: int) -> None:
        base, own = _PIO[block], _PIO[block] + machine * _MACHINE
        self._room[block] -= len(program.words)
        place = self._room[block]
        for number, word in enumerate(program.words):
            self.write(base + _MEMORY + 4 * (place + number), word + place if word >> 13 == 0 else word)
        made = program.settings
        wraps = program.wrap + place << 12 | program.wrap_target + place << 7
        right = bool(made.get("out_shiftdir", 0)) << 19 | bool(made.get("in_shiftdir", 0)) << 18
        push = int(str(made.get("push_thresh", 32))) % 32 << 20 | bool(made.get("autopush", False)) << 16
        self.write(own + _EXECCTRL, pins.get("jmp_pin", 0) << 24 | wraps)
        self.write(own + _SHIFTCTRL, right | push)
        for kind in ("out", "set"):
            if f"{kind}_base" in pins:
                pin = pins[f"{kind}_base"]
                value = int(str(made[f"{kind}_init"]))
                self.write(_IO_CTRL + 8 * pin, 6 + block)
                self.write(own + _PINCTRL, 1 << 26 | pin << 5)
                self.write(own + _INSTR, _SET_PINS | value & 1)
                self.write(own + _INSTR, _SET_PINDIRS | value >> 1)
        counts = ("set_base" in pins) << 26 | ("out_base" in pins) << 20 | pins.get("in_base", 0) << 15
        self.write(own + _PINCTRL, counts | pins.get("set_base", 0) << 5 | pins.get("out_base", 0))
        self.write(own + _INSTR, place)

    def arm(self, steps: int, strokes: int) -> None:
        """Load the guards and start every machine; the enabler last."""
        self.write(_PIO[0] + _TXF, STROKE_PIO.HOLD_WORD)
        self.write(_PIO[0] + _CTRL, 0b11)
        self.run(50)
        self.write(_PIO[1] + _TXF, steps)
        self.write(_PIO[1] + _TXF + 4, strokes)
        self.write(_PIO[1] + _CTRL, 0b110)
        self.run(50)
        self.write(_PIO[1] + _CTRL, 0b111)
        self.run(100)

    def play(self, words: list[Word]) -> None:
        """Have DMA feed a table."""
        data = table(words)
        at = _TABLE - _RAM
        self.chip.sram[at : at + len(data)] = data
        self.write(_DMA + _READ, _TABLE)
        self.write(_DMA + _WRITE, _PIO[0] + _TXF)
        self.write(_DMA + _COUNT, len(data) // 4)
        self.write(_DMA + _TRIGGER, _FEED)

    def run(self, ticks: int) -> None:
        """Let time pass."""
        self.emulator.run_until(self.emulator.clock.now + ticks)

    def ticks_of(self, pin: int, level: int) -> list[int]:
        """Return when a pad took a level."""
        return [at for each, to, at in self.edges if (each, to) == (pin, level)]


def trace(words: list[Word], steps: int, strokes: int, cpu: tuple[int, ...], leaping: bool) -> list[Edge]:
    """Return every edge of a stroke that is played under guards which allow so much."""
    rig = Rig(cpu, leaping)
    rig.arm(steps, strokes)
    rig.play(words)
    rig.run(sum(delay for delay, _ in words) + 2_000)
    return rig.edges


@pytest.mark.parametrize("cpu", [_SPIN, _SLEEP], ids=["busy", "asleep"])
def test_every_edge_is_where_the_table_says(cpu: tuple[int, ...]) -> None:
    words = [(120, 1), (121, 1), (999, 1), (20_001, 1), (777, 0), (122, 0), (4_323, 0), (300, 0)]
    rig = Rig(cpu)
    rig.arm(4, 1)
    rig.play(words)
    rig.run(40_000)
    edges = rig.ticks_of(STEP, 1)
    assert [after - before for before, after in pairwise(edges)] == [d for d, _ in words[:-1]]


@settings(max_examples=8, phases=(Phase.explicit, Phase.generate))
@example(out=[122], back=[120], limit=1, strokes=1)
@given(
    out=st.lists(st.integers(120, 900), min_size=1, max_size=4),
    back=st.lists(st.integers(120, 900), min_size=1, max_size=4),
    limit=st.integers(0, 4),
    strokes=st.integers(0, 2),
)
def test_neither_leaps_nor_the_cpu_change_an_edge(out: list[int], back: list[int], limit: int, strokes: int) -> None:
    words = [(delay, 1) for delay in out] + [(delay, 0) for delay in back]
    ways = [(cpu, leaping) for cpu in (_SPIN, _SLEEP) for leaping in (True, False)]
    first, *others = (trace(words, limit, strokes, *way) for way in ways)
    assert first
    assert others == [first] * 3


@pytest.mark.parametrize("cpu", [_SPIN, _SLEEP], ids=["busy", "asleep"])
def test_guards_cut_as_fast_as_on_the_other_emulators(cpu: tuple[int, ...]) -> None:
    """bench/pio.py's figures: from the STEP edge, from DIR's, from the stop line's, to the enable's."""
    deep = Rig(cpu)
    deep.arm(3, 1)
    deep.play(stroke(6, 400))
    deep.run(5_000)
    assert len(deep.ticks_of(STEP, 1)) == 4
    assert deep.ticks_of(ENABLE, 1)[-1] - deep.ticks_of(STEP, 1)[-1] == 7
    often = Rig(cpu)
    often.arm(6, 1)
    often.play(stroke(2, 400) + stroke(2, 400))
    often.run(5_000)
    assert len(often.ticks_of(STEP, 1)) == 4
    assert 6 <= often.ticks_of(ENABLE, 1)[-1] - often.ticks_of(DIR, 1)[-1] <= 9
    stopped = Rig(cpu)
    stopped.arm(6, 1)
    stopped.play(stroke(6, 4_000))
    stopped.run(6_000)
    stopped.emulator.drive(STOP, 1)
    at = stopped.emulator.clock.now
    stopped.run(30_000)
    assert stopped.ticks_of(ENABLE, 1)[-1] - at == 5
    assert not [edge for edge in stopped.ticks_of(STEP, 1) if edge > at + SYNC_TICKS + 5]


def test_a_tripped_guard_holds_the_driver_off_in_its_sleep() -> None:
    """The count guard has cut and goes round in one instruction; the enabler is started anew, and the higher wins."""
    rig = Rig(_SLEEP)
    rig.arm(6, 0)
    rig.play(stroke(1, 400))
    rig.run(3_000)
    assert rig.ticks_of(ENABLE, 1)
    rig.edges.clear()
    place = 32 - len(GUARD_PIO.depth.words)
    rig.write(_PIO[1] + _TXF, 6)
    rig.write(_PIO[1] + _INSTR, place)
    rig.run(3_000)
    assert not rig.edges


def test_an_instruction_from_outside_frees_a_machine_that_waits() -> None:
    """The player's way of taking words back: drain with pull, then a jump."""
    rig = Rig(_SLEEP)
    rig.run(20)
    rig.write(_PIO[0] + _TXF, STROKE_PIO.HOLD_WORD)
    rig.write(_PIO[0] + _CTRL, 1)
    rig.run(200)
    machine = rig.emulator.pio.blocks[0].machines[0]
    assert machine.waiting
    place = 32 - len(STROKE_PIO.stroke.words)
    rig.write(_PIO[0] + _INSTR, place + STROKE_PIO.OFF_AT)
    rig.run(50)
    assert not machine.waiting
    rig.emulator.run_until(rig.emulator.clock.now + _FOREVER)
    rig.write(_PIO[0] + _CTRL, 1)
    assert machine.pc == place + STROKE_PIO.OFF_AT
