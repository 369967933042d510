"""Pens on emulated chips: the guards alone under edges from outside, and both blocks with a plant. Host only.

What is asserted is read off the pads, by `Watch`, which counts for itself.
"""

import struct
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from pensim.clock import VirtualClock
from pensim.plant import PenParameters, Plant
from tests.pio.chip import Chip, Dma, Pin, StateMachine, firmware

PEN = firmware()
BOARD = PEN.board
GUARD_PIO = PEN.guard_pio
STROKE_PIO = PEN.stroke_pio

EMULATORS = ("rp2040py", "pioemu")
OUT, BACK = 1, 0

Word = tuple[int, int]
"""(delay in ticks, direction)."""


def table(words: Iterable[Word]) -> bytes:
    """Return a stroke table of these words, with its end."""
    packed = [delay << 1 | direction for delay, direction in words]
    return struct.pack(f"<{len(packed) + 1}I", *packed, 0)


def stroke(steps: int, ticks: int) -> list[Word]:
    """Return a stroke of `steps` out and back."""
    return [(ticks, OUT)] * steps + [(ticks, BACK)] * steps


class Watch:
    """What the pads did: rising edges of STEP with DIR's level then, and every change of the enable."""

    def __init__(self, chip: Chip) -> None:
        self.steps: list[tuple[int, int]] = []
        """(tick, direction)."""
        self.falls: list[int] = []
        """Ticks at which STEP fell."""
        self.turns: list[tuple[int, int]] = []
        """(tick, level) of DIR."""
        self.switched: list[tuple[int, bool]] = []
        """(tick, driver on)."""
        self._chip = chip
        chip.on_edge = self.edge

    def edge(self, pin: int, level: int, at: int) -> None:
        """Take a change of a pad."""
        if pin == BOARD.STEP:
            if level:
                self.steps.append((at, self._chip.level(BOARD.DIR)))
            else:
                self.falls.append(at)
        elif pin == BOARD.DIR:
            self.turns.append((at, level))
        elif pin == BOARD.ENABLE:
            self.switched.append((at, level == BOARD.ENABLE_ON))

    def forget(self) -> None:
        """Begin anew with STEP and DIR."""
        self.steps.clear()
        self.falls.clear()
        self.turns.clear()

    @property
    def on(self) -> bool:
        """The driver is on now."""
        return bool(self._chip.level(BOARD.ENABLE) == BOARD.ENABLE_ON)

    def switched_on(self) -> list[int]:
        """Return the ticks at which the driver was switched on."""
        return [at for at, on in self.switched if on]

    def intervals(self) -> list[int]:
        """Return the ticks from each STEP edge to the next."""
        return [later - at for (at, _), (later, _) in zip(self.steps, self.steps[1:], strict=False)]


class GuardRig:
    """The guards of a pen whose STEP, DIR and stop line are driven from outside."""

    def __init__(self, emulator: str) -> None:
        self.chip = Chip(emulator)
        for pin in (BOARD.STEP, BOARD.DIR, BOARD.STOP):
            self.chip.drive(pin, 0)
        self.watch = Watch(self.chip)
        self.guards: Any = PEN.guards.Guards()

    def step(self, direction: int, spacing: int = 40, high: int = 20) -> None:
        """Make one STEP edge, `spacing` ticks (>= 8) after the one before; `high` (< spacing) ticks long."""
        self.chip.run(4)
        self.chip.drive(BOARD.DIR, direction)
        self.chip.run(4)
        self.chip.drive(BOARD.STEP, 1)
        self.chip.after(high, lambda: self.chip.drive(BOARD.STEP, 0))
        self.chip.run(spacing - 8)

    def steps(self, directions: Iterable[int]) -> None:
        """Make STEP edges one after the other, and let them end."""
        for direction in directions:
            self.step(direction)
        self.chip.run(40)

    def extend_and_return(self) -> None:
        """Make DIR rise and fall once, without a STEP edge: what the count guard takes for a stroke."""
        self.chip.drive(BOARD.DIR, 1)
        self.chip.run(20)
        self.chip.drive(BOARD.DIR, 0)
        self.chip.run(20)


class PenRig:
    """Both blocks of a chip with a plant on their pins, homed: STEP, DIR and ENABLE move it, HOME comes from it."""

    def __init__(self, emulator: str, limit_steps: int, strokes: int, parameters: PenParameters | None = None) -> None:
        self.chip = Chip(emulator)
        self.clock = VirtualClock()
        self.plant = Plant(self.clock, parameters)
        self.watch = Watch(self.chip)
        self.chip.on_edge = self._edge
        self.net = 0
        self.sensor: int | None = None
        """The level of HOME, whatever the plant says; None: as the plant says."""
        self.guards: Any = PEN.guards.Guards()
        self.plant.place_nominal()
        self.chip.drive(BOARD.STOP, 0)
        self.chip.drive(BOARD.HOME, BOARD.HOME_SEEN)
        self.player = StateMachine(0)
        self.sampler = StateMachine(1)
        self.samples = bytearray(PEN.samples.SIZE)
        self.sampled = 0
        self.begin()
        self.guards.load(limit_steps, strokes)
        self.chip.run(20)
        self.watch.forget()

    def begin(self) -> None:
        """Flush the queue and start both machines, as an engine does before it loads the guards."""
        self.player.active(0)
        for dma in self.chip.dmas:
            dma.abort()
        self.player.init(
            STROKE_PIO.stroke,
            in_base=Pin(BOARD.HOME),
            out_base=Pin(BOARD.DIR),
            set_base=Pin(BOARD.STEP),
            jmp_pin=Pin(BOARD.ENABLE),
        )
        self.player.put(STROKE_PIO.HOLD_WORD)
        self.sampler.init(STROKE_PIO.sample, in_base=Pin(BOARD.STEP))
        self.dma = Dma(self.chip, 0, 0)
        self.chip.sinks = [(0, 1, self._sample)]
        self.sampler.active(1)
        self.player.active(1)

    def _edge(self, pin: int, level: int, at: int) -> None:
        self.watch.edge(pin, level, at)
        if pin == BOARD.ENABLE:
            self.clock.run_until(at)
            self.plant.enable(level == BOARD.ENABLE_ON, at)
        elif pin == BOARD.STEP and level:
            turn = 1 if self.chip.level(BOARD.DIR) else -1
            self.net += turn
            self.plant.step(turn, at)
            self.chip.after(2, self._look)

    def _look(self) -> None:
        """Let the sensor follow the carriage."""
        seen = self.plant.home_level(self.chip.now)
        level = BOARD.HOME_SEEN if seen else 1 - BOARD.HOME_SEEN
        if self.sensor is not None:
            level = self.sensor
        if level != self.chip.level(BOARD.HOME):
            self.chip.drive(BOARD.HOME, level)

    def _sample(self, word: int) -> None:
        self.samples[self.sampled % len(self.samples)] = word
        self.sampled += 1

    def run(self, ticks: int) -> None:
        """Let time pass."""
        self.chip.run(ticks)

    def play(self, words: Sequence[Word]) -> None:
        """Queue one more stroke."""
        self.dma.send(table(words))

    def ended(self) -> int:
        """Return how many strokes have ended since the last time."""
        ended = 0
        while self.player.rx_fifo():
            self.player.get()
            ended += 1
        return ended

    def at(self) -> int:
        """Return where the stroke program stands, counted from its first instruction."""
        return self.chip.blocks[0].address(0) - self.chip.place(0, STROKE_PIO.stroke)

    def evidence(self, begin: int, end: int) -> tuple[int, int, int]:
        """Return what the firmware makes of samples `begin` to `end`: clear step, return step, net steps."""
        made = PEN.samples
        ring = self.samples
        evidence = SimpleNamespace()
        made.judge(evidence, ring, begin, end)
        return evidence.clear_step, evidence.return_step, evidence.net_steps
