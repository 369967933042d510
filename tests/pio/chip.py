"""The half of an RP2040 that the programs need: two PIO blocks, pads, DMA, and the modules that firmware imports.

`firmware()` imports the pen's modules as the pen does, with `rp2` and `machine` of this file under them. A `Chip` is
what they then drive: time passes in ticks, a pad that one block drives is an input of the other, and every input
reaches the machines two ticks late, by its synchroniser (data sheet 3.5.6.3). Each call of the CPU takes time.
Host only.
"""

import heapq
import importlib
import struct
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

from tests.pio.assembler import Program, asm_pio
from tests.pio.blocks import BLOCKS, FIFO_DEPTH, MACHINES, Block, Settings

SYNC_TICKS = 2
DMA_TICKS = 8
"""From room in a FIFO to the word in it: several bus cycles."""
CALL_TICKS = 40
"""What a call of the CPU takes, at the least."""
_PERIOD_TICKS = 12
"""A multiple of the length of every loop in which a machine may wait."""
_LEAP_MIN_TICKS = 60
_IRQ_REGISTERS = {0x50200030: 0, 0x50300030: 1}
MODULES = ("board", "guard_pio", "guards", "samples", "stroke_pio")

_SET_PINS, _SET_PINDIRS = 0xE000, 0xE080
_ENABLE = 5


class Dma:
    """A chain of transfers into a machine's FIFO, paced by its request: the words of one table after the other."""

    def __init__(self, chip: "Chip", block: int, machine: int) -> None:
        self._chip = chip
        self._target = (block, machine)
        self.words: list[int] = []
        self.at = 0
        self._asked = False
        chip.dmas.append(self)

    def send(self, table: bytes | bytearray) -> None:
        """Chain one more table; end word and all."""
        self.words += struct.unpack(f"<{len(table) // 4}I", table)
        self.look()

    def abort(self) -> None:
        """Forget what is not transferred yet."""
        self.words.clear()
        self.at = 0

    def look(self) -> None:
        """Begin a transfer if there is a word, room for it, and none under way."""
        block, machine = self._target
        if self.at < len(self.words) and not self._asked and self._chip.blocks[block].tx_level(machine) < FIFO_DEPTH:
            self._asked = True
            self._chip.after(DMA_TICKS, self._transfer)

    def _transfer(self) -> None:
        block, machine = self._target
        self._asked = False
        if self.at < len(self.words):
            self._chip.blocks[block].put(self._chip.now, machine, self.words[self.at])
            self.at += 1
            self.look()


class Chip:
    """One chip on one emulator. `on_edge` is called with (pin, level, tick) when a pad changes."""

    plugged: ClassVar["Chip"]
    """The one that the firmware's modules drive."""

    def __init__(self, emulator: str) -> None:
        self.emulator = emulator
        self.now = 0
        self.blocks: list[Block] = [BLOCKS[emulator](index) for index in (0, 1)]
        self.owner: dict[int, int] = {}
        self.dmas: list[Dma] = []
        self.sinks: list[tuple[int, int, Callable[[int], None]]] = []
        """DMA the other way: (block, machine, who takes the words of its FIFO)."""
        self.on_edge: Callable[[int, int, int], None] | None = None
        self.call_ticks = CALL_TICKS
        self.leaping = True
        """Leap over ticks in which nothing happens but counting; the outcome is the same."""
        self._room = [32, 32]
        self._places: dict[tuple[int, int], int] = {}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._outside = 1 << _ENABLE
        """Pads that nothing drives wake pulled down; the driver's enable has a stronger resistor up."""
        self._driven_outside = 0
        self._pads = self._outside
        self._inputs = self._outside
        self._late: list[tuple[int, int]] = []
        Chip.plugged = self

    # --- pads --------------------------------------------------------------------------------------------------------
    def level(self, pin: int) -> int:
        """Return the level of a pad now."""
        return self._pads >> pin & 1

    def pull_up(self, pin: int) -> None:
        """Have a pad read high while nothing drives it."""
        if not self._driven_outside >> pin & 1:
            self._outside |= 1 << pin
            self._settle(self.now)

    def drive(self, pin: int, level: int) -> None:
        """Set a pad from outside, now."""
        self._driven_outside |= 1 << pin
        self._outside = self._outside & ~(1 << pin) | level << pin
        self._settle(self.now)

    def _settle(self, at: int) -> None:
        """Take over what the blocks drive: pads change at tick `at`."""
        pads = self._outside
        for pin, block in self.owner.items():
            made = self.blocks[block]
            if made.driven >> pin & 1:
                pads = pads & ~(1 << pin) | (made.levels >> pin & 1) << pin
        changed = pads ^ self._pads
        if not changed:
            return
        self._pads = pads
        self._late.append((at + SYNC_TICKS, pads))
        if self.on_edge is not None:
            for pin in range(30):
                if changed >> pin & 1:
                    self.on_edge(pin, pads >> pin & 1, at)

    # --- time --------------------------------------------------------------------------------------------------------
    def after(self, ticks: int, callback: Callable[[], None]) -> None:
        """Have `callback` called `ticks` from now, before the machines of that tick."""
        self._order += 1
        heapq.heappush(self._events, (self.now + ticks, self._order, callback))

    def run(self, ticks: int) -> None:
        """Let time pass."""
        self.run_until(self.now + ticks)

    def run_until(self, until: int) -> None:
        """Let time pass up to tick `until`, that tick not included."""
        while self.now < until:
            limit = until
            if self._late:
                limit = min(limit, self._late[0][0])
            if self._events:
                limit = min(limit, self._events[0][0])
            if not (self.leaping and limit - self.now > _LEAP_MIN_TICKS and self._leap(limit)):
                self._run(min(until, self.now + _LEAP_MIN_TICKS))

    def _run(self, until: int) -> None:
        first, second = self.blocks
        while True:
            due = min(first.due(), second.due())
            if self._late and self._late[0][0] < due:
                due = self._late[0][0]
            if self._events and self._events[0][0] < due:
                due = self._events[0][0]
            if due >= until:
                break
            self.now = due
            while self._events and self._events[0][0] <= due:
                heapq.heappop(self._events)[2]()
            while self._late and self._late[0][0] <= due:
                self._inputs = self._late.pop(0)[1]
            first.run(due, self._inputs)
            second.run(due, self._inputs)
            self._settle(due + 1)
            for dma in self.dmas:
                dma.look()
            for block, machine, take in self.sinks:
                if self.blocks[block].rx_level(machine):
                    take(self.blocks[block].get(due, machine))
            self.now = due + 1
        self.now = max(self.now, until)

    def _leap(self, limit: int) -> bool:
        """Run a little; if every machine then does what it did before, leap over as much of that as fits in.

        A loop that counts X down to Y is what a stroke's delay is: it goes on alike until the two are close.
        """
        before = [block.picture(self.now, machine) for block in self.blocks for machine in range(MACHINES)]
        pads = self._pads
        self._run(self.now + _PERIOD_TICKS)
        times = (limit - self.now) // _PERIOD_TICKS
        if pads != self._pads or self._late:
            return True
        xs = []
        for number, was in enumerate(before):
            now = self.blocks[number // MACHINES].picture(self.now, number % MACHINES)
            if now != was._replace(x=now.x):
                return True
            fallen = was.x - now.x
            if fallen:
                left = now.x - now.y if now.x >= now.y else now.x
                times = min(times, left // fallen - 1) if fallen == _PERIOD_TICKS // 2 else 0
            xs.append((now.x, fallen))
        if times > 0:
            for number, (x, fallen) in enumerate(xs):
                self.blocks[number // MACHINES].leap(number % MACHINES, times * _PERIOD_TICKS, x - times * fallen)
            self.now += times * _PERIOD_TICKS
        return True

    # --- what the modules do -----------------------------------------------------------------------------------------
    def init(self, number: int, program: Program, pins: dict[str, int]) -> None:
        """Set a machine up as MicroPython's StateMachine.init does: programs are placed from the memory's end."""
        index, machine = divmod(number, 4)
        block = self.blocks[index]
        place = self._places.get((index, id(program)))
        if place is None:
            self._room[index] -= len(program.words)
            place = self._room[index]
            if place < 0:
                raise MemoryError("no room for the program")
            self._places[index, id(program)] = place
            block.load(place, [word + place if word >> 13 == 0 else word for word in program.words])
        settings = program.settings
        groups = [(kind, settings.get(f"{kind}_init"), pins.get(f"{kind}_base")) for kind in ("out", "set")]
        made = Settings(
            wrap_target=program.wrap_target + place,
            wrap=program.wrap + place,
            in_base=pins.get("in_base", 0),
            jmp_pin=pins.get("jmp_pin", 0),
            out_base=pins.get("out_base", 0),
            out_count=1 if "out_base" in pins else 0,
            set_base=pins.get("set_base", 0),
            set_count=1 if "set_base" in pins else 0,
            in_right=bool(settings.get("in_shiftdir", 0)),
            out_right=bool(settings.get("out_shiftdir", 0)),
            autopush=bool(settings.get("autopush", False)),
            push_thresh=int(str(settings.get("push_thresh", 32))),
        )
        block.init(machine, made, place)
        for _, value, base in groups:
            if base is None or not isinstance(value, int):
                continue
            # As the SDK does it: by an instruction that the machine executes, with the pin as its SET pin.
            block.init(machine, Settings(set_base=base, set_count=1), place)
            block.execute(self.now, machine, _SET_PINS | value & 1)
            block.execute(self.now, machine, _SET_PINDIRS | value >> 1)
            self.owner[base] = index
        block.init(machine, made, place)
        self._settle(self.now)
        self.run(self.call_ticks)

    def place(self, number: int, program: Program) -> int:
        """Return where a program lies in the memory of a machine's block."""
        return self._places[number // 4, id(program)]


class Pin:
    """machine.Pin, as far as the guards use it."""

    IN = 0
    PULL_UP = 1

    def __init__(self, number: int, mode: int | None = None, pull: int | None = None) -> None:
        self.number = number
        if mode == self.IN and pull == self.PULL_UP:
            Chip.plugged.pull_up(number)

    def value(self) -> int:
        return Chip.plugged.level(self.number)


class _Registers:
    """machine.mem32: the IRQ registers of the blocks."""

    def __getitem__(self, address: int) -> int:
        Chip.plugged.run(Chip.plugged.call_ticks)
        return Chip.plugged.blocks[_IRQ_REGISTERS[address]].flags()

    def __setitem__(self, address: int, value: int) -> None:
        Chip.plugged.blocks[_IRQ_REGISTERS[address]].clear_flags(value)
        Chip.plugged.run(Chip.plugged.call_ticks)


class StateMachine:
    """rp2.StateMachine."""

    def __init__(self, number: int) -> None:
        self.chip = Chip.plugged
        self.number = number
        self.block = self.chip.blocks[number // 4]
        self.machine = number % 4

    def init(self, program: Program, **pins: Pin) -> None:
        self.chip.init(self.number, program, {name: pin.number for name, pin in pins.items()})

    def active(self, on: int) -> None:
        self.block.enable(self.chip.now, self.machine, bool(on))
        self.chip.run(self.chip.call_ticks)

    def put(self, word: int) -> None:
        if self.block.tx_level(self.machine) >= FIFO_DEPTH:
            raise RuntimeError("put would wait for ever")
        self.block.put(self.chip.now, self.machine, word)
        self.chip.run(self.chip.call_ticks)

    def get(self, into: bytearray | None = None) -> int:
        """Take a word; MicroPython fills a buffer of bytes with one word each, and waits for as many."""
        if into is not None and len(into) > self.rx_fifo():
            raise AssertionError("this would wait")
        word = self.block.get(self.chip.now, self.machine)
        if into is not None:
            into[0] = word & 0xFF
        return word

    def tx_fifo(self) -> int:
        return self.block.tx_level(self.machine)

    def rx_fifo(self) -> int:
        return self.block.rx_level(self.machine)

    def exec(self, word: int) -> None:
        self.block.execute(self.chip.now, self.machine, word)
        self.chip._settle(self.chip.now + 1)
        self.chip.run(self.chip.call_ticks)


_PIO = SimpleNamespace(OUT_LOW=2, OUT_HIGH=3, SHIFT_LEFT=0, SHIFT_RIGHT=1)


@contextmanager
def modules(**named: Any) -> Iterator[None]:
    """Have modules of these names, and forget what was imported meanwhile."""
    before = dict(sys.modules)
    # What another such import has made of the package must not be found by this one.
    for name in before:
        if name.partition(".")[0] == "pendevice":
            del sys.modules[name]
    for name, content in named.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in list(sys.modules):
            if name in named or name.partition(".")[0] == "pendevice":
                del sys.modules[name]
        sys.modules.update({name: module for name, module in before.items() if name not in sys.modules})


def firmware() -> SimpleNamespace:
    """Import the pen's modules, with this file's `rp2` and `machine`; return them by their names."""
    rp2 = {"PIO": _PIO, "asm_pio": asm_pio, "StateMachine": StateMachine}
    machine = {"Pin": Pin, "mem32": _Registers()}
    with modules(rp2=rp2, machine=machine, gc={"collect": lambda: None}):
        return SimpleNamespace(**{name: importlib.import_module(f"pendevice.{name}") for name in MODULES})


__all__ = ["CALL_TICKS", "SYNC_TICKS", "Chip", "Dma", "Pin", "StateMachine", "firmware", "modules"]
