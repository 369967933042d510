"""The heap as the benchmark sees it from outside is the one that MicroPython counts from inside."""

from pathlib import Path

import pytest

from bench.parts.chip_heap import Heap
from tests.chip.console import Console

FILL = "import gc\nkept = [[n] for n in range(500)]\nlost = [[n] for n in range(500)]\nlost = None\n"
SLACK = 512
"""What typing and printing may take or leave between two looks, in bytes."""


@pytest.mark.chip
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


@pytest.mark.chip
def test_what_is_allocated_is_counted_though_it_is_freed_again(uf2_path: Path) -> None:
    console = Console(uf2_path)
    console.prompt()
    console.run("import gc\ngc.collect()")
    heap = Heap(console.emulator.chip)
    before = heap.allocated()
    console.run("for _ in range(10):\n    bytearray(1600)\n")
    assert 0 <= heap.allocated() - before - 10 * 1600 <= 10 * 100 + SLACK * 4
