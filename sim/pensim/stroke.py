"""Stroke tables: read from their words, played edge by edge, and known beforehand where nothing disturbs them. Host
only.

A table is little-endian 32-bit words, `delay_ticks << 1 | direction` (1 down, 0 home): one STEP edge at the word's
start, then the delay; a zero word ends it. `Play` sends the edges through the pins to the plant. `StrokeBook` plays
each table once on a scratch pen at rest at home and remembers the outcome, so that a session's thousands of equal
strokes cost one.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pensim.clock import VirtualClock
from pensim.errors import PortMisuse
from pensim.plant import PenParameters, Plant, Transitions

WORD_TICKS_MIN = 12
"""What the stroke program takes for a word whatever its delay: ten instructions and the side effects of two."""

Pins = Callable[[int, int], int]
"""(direction, tick) of an edge -> the trip bits of the guards that it tripped; 0 when it went through."""


def read_table(table: bytes) -> tuple[int, ...]:
    """Return the words of `table` before its first zero word; PortMisuse for a table without end or step."""
    if len(table) % 4:
        raise PortMisuse(f"a stroke table of {len(table)} bytes is no row of words")
    words = struct.unpack(f"<{len(table) // 4}I", table)
    if 0 not in words:
        raise PortMisuse("a stroke table without a zero word has no end")
    end = words.index(0)
    if not end:
        raise PortMisuse("a stroke table without a step")
    return words[:end]


def word_ticks(word: int) -> int:
    """Return how long the stroke program takes for a word."""
    ticks = word >> 1
    return ticks if ticks > WORD_TICKS_MIN else WORD_TICKS_MIN


class Play:
    """One stroke in progress: sends the edges of `words` from tick `at` on, and keeps what the engine saw of them."""

    def __init__(self, words: tuple[int, ...], at: int, plant: Plant, pins: Pins) -> None:
        self._words = words
        self._plant = plant
        self._pins = pins
        self._index = 0
        self._next_at = at
        self.end_at = at + sum(map(word_ticks, words))
        self.down = 0
        """Extension steps made."""
        self.back = 0
        """Retraction steps made."""
        self.clear_step = -1
        self.return_step = -1
        self.begun = False

    def run_until(self, until: int) -> int:
        """Play every edge up to tick `until`; return the trip bits that ended it early, or 0."""
        words = self._words
        count = len(words)
        index = self._index
        pins = self._pins
        level = self._plant.home_level
        while index < count and self._next_at <= until:
            word = words[index]
            at = self._next_at
            index += 1
            self._index = index
            self._next_at = at + word_ticks(word)
            if not self.begun:
                self.begun = True
                self._plant.oracle.stroke_begun(at)
            if word & 1:
                self.down += 1
                tripped = pins(1, at)
                if self.clear_step < 0 and not level(at):
                    self.clear_step = self.down
            else:
                self.back += 1
                tripped = pins(-1, at)
                if self.return_step < 0 <= self.clear_step and level(at):
                    self.return_step = self.back
            if tripped:
                return tripped
        return 0


@dataclass(frozen=True)
class StrokeOutcome:
    """What a table does to a pen that rests at home without any fault."""

    ticks: int
    """From the first edge to the end of the last word's delay."""
    depth_um: float
    """Deepest point; 0 when the needles stayed inside the nose."""
    guarded_steps: int
    """Most net extension that a depth guard counts, in steps: retraction past the start is not made good."""
    clear_step: int
    return_step: int
    net_steps: int
    end_steps: float
    """Where the carriage comes to rest."""
    edges: int
    crossings: int
    strokes: int
    slips: int
    transitions: Transitions
    whole: bool
    """The pen rests at home afterwards as before: the next stroke will be just like this one."""


def evaluate(words: tuple[int, ...], parameters: PenParameters) -> StrokeOutcome:
    """Play a table once, edge by edge, on a scratch pen at home; return what came of it."""
    plant = Plant(VirtualClock(), parameters)
    plant.place_nominal()
    transitions: list[tuple[int, bool]] = []
    level = True
    net = highest = 0

    def pins(direction: int, at: int) -> int:
        nonlocal level, net, highest
        net = max(net + direction, 0)
        highest = max(highest, net)
        plant.step(direction, at)
        if plant.home_level(at) != level:
            level = not level
            transitions.append((at, level))
        return 0

    play = Play(words, 0, plant, pins)
    play.run_until(play.end_at)
    plant.settle(play.end_at)
    plant.clock.run_until(play.end_at)
    report = plant.report()
    total = report.total
    net_steps = play.down - play.back
    whole = plant.nominal() and level and net_steps == 0 and report.slips == 0
    return StrokeOutcome(
        ticks=play.end_at,
        depth_um=total.deepest_um,
        guarded_steps=highest,
        clear_step=play.clear_step,
        return_step=play.return_step,
        net_steps=net_steps,
        end_steps=plant.position_steps(),
        edges=play.down + play.back,
        crossings=total.crossings,
        strokes=total.strokes,
        slips=report.slips,
        transitions=tuple(transitions),
        whole=whole,
    )


class StrokeBook:
    """The outcomes of all tables played so far, by table and mechanics; worlds of one process may share one."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[tuple[int, ...], PenParameters], StrokeOutcome] = {}

    def outcome(self, words: tuple[int, ...], parameters: PenParameters) -> StrokeOutcome:
        """Return the outcome of a table, played now if never before."""
        key = (words, parameters)
        found = self._outcomes.get(key)
        if found is None:
            found = evaluate(words, parameters)
            self._outcomes[key] = found
        return found
