"""The heap as the benchmark sees it from outside is the one that MicroPython counts from inside; what is watched there.

MicroPython says nothing of a collection, but sets its account of what was allocated to zero when one begins, and does
nothing else until it is over: what is allocated next comes after it.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from bench.parts.chip_heap import Heap
from pencore import wire
from pensim.chip.copies import in_copy
from pensim.clock import TICKS_PER_US
from tests.chip.bench import ChipBench
from tests.chip.console import Console
from tests.chip.moves import Moves
from tests.support import profiles

pytestmark = pytest.mark.chip

FILL = "import gc\nkept = [[n] for n in range(500)]\nlost = [[n] for n in range(500)]\nlost = None\n"
BLOCKS: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 100, 53, 30),
    (profiles.NOSE, profiles.NONE, 150, 8, 30),
)
"""Strokes are reserved by 50: the first of these zones has two blocks."""
LOOK_TICKS = 100 * TICKS_PER_US
SLACK = 512
"""What typing and printing may take or leave between two looks, in bytes."""


def test_free_and_garbage_are_those_of_gc(uf2_path: Path) -> None:
    console = Console(uf2_path)
    console.prompt()
    console.run(FILL)
    free = int(console.run("print(gc.mem_free())"))
    heap = Heap(console.emulator.chip)
    assert abs(heap.free() - free) <= SLACK
    expected, longest = heap.free_when_collected()
    assert heap.free() + 500 * 32 <= expected
    collected = int(console.run("gc.collect()\nprint(gc.mem_free())"))
    # What a stack that is no longer in use points to is kept here: never more than MicroPython, at times less is free.
    assert -SLACK <= collected - expected <= 8 * SLACK
    assert SLACK < longest <= expected


def test_what_is_allocated_is_counted_though_it_is_freed_again(uf2_path: Path) -> None:
    console = Console(uf2_path)
    console.prompt()
    console.run("import gc\ngc.collect()")
    heap = Heap(console.emulator.chip)
    before = heap.allocated()
    console.run("for _ in range(10):\n    bytearray(1600)\n")
    assert 0 <= heap.allocated() - before - 10 * 1600 <= 10 * 100 + SLACK * 4


class Collection(NamedTuple):
    """One collection of garbage: the ticks between which it was."""

    begun: int
    ended: int


class Collections:
    """Every collection on `pen` from now on, as they end."""

    def __init__(self, pen: ChipBench) -> None:
        self.seen: list[Collection] = []
        self._pen = pen
        self._heap = Heap(pen.emulator.chip)
        self._allocated = self._heap.allocated()
        self._looked_at = pen.clock.now
        self._begun: int | None = None
        self._look()

    def _look(self) -> None:
        now, allocated = self._pen.clock.now, self._heap.allocated()
        if self._begun is not None and allocated:
            self.seen.append(Collection(self._begun, now))
            self._begun = None
        if allocated < self._allocated:
            self._begun = self._looked_at
            if allocated:
                self.seen.append(Collection(self._begun, now))
                self._begun = None
        self._allocated, self._looked_at = allocated, now
        self._pen.clock.after(LOOK_TICKS, self._look)


def test_in_a_whole_session_nothing_is_collected_while_a_stroke_is_made_or_waits(safe_pen: ChipBench) -> None:
    """Between a block's last stroke and the next one's first: there the needle rests, and the flash takes its time."""

    def trial() -> None:
        pen = safe_pen
        pen.load_new(BLOCKS)
        pen.arm(0)
        collections, moved = Collections(pen), Moves(pen)
        states: list[tuple[int, int]] = []
        pen.release()
        pen.hold(150)
        for zone in range(len(BLOCKS)):
            if zone:
                pen.select(zone)
            begun = pen.clock.now
            pen.play_zone()
            states.append((begun, pen.clock.now))
        strokes = moved.strokes()
        assert len(strokes) == sum(zone[3] for zone in BLOCKS)
        running = [each for each in collections.seen if any(begun < each.begun < end for begun, end in states)]
        # One before each block, or nothing was watched.
        assert len(running) >= 3
        for begun, ended in running:
            assert [stroke[0].at for stroke in strokes if stroke[0].at < ended and begun < stroke[-1].at] == []
        pen.finish_session()
        pen.pull()
        pen.check(exact=True)
        assert pen.state() == wire.SAFE

    in_copy(trial)
