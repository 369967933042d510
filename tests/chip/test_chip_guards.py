"""Depth and count by the plant: what memory and DMA are made to do behind the firmware's back, the guards cut.

Nothing here is asked of the firmware but what it says of itself afterwards. The limits are the test's own: steps from
home to the zone's depth, strokes that were reserved.
"""

from collections.abc import Callable

import pytest

from pencore import faults, wire
from pensim.chip.copies import in_copy
from pensim.oracle import DEPTH_LIMIT
from tests.chip import moves
from tests.chip.bench import ChipBench
from tests.chip.moves import Edge, Moves
from tests.support import profiles

pytestmark = pytest.mark.chip

LIMIT_STEPS = 280
"""From home to 200 um: (500 + 200) um of 2.5 um each."""
STEP_UM = 2.5
CUT_TICKS = 16
"""From the edge, or DIR's rise, to the driver off, with both pads' synchronisers in between."""
FEW = 4
SRAM = 0x2000_0000
WORD = 4


def table_at(pen: ChipBench) -> int:
    """Return where the stroke table lies, by what the DMA channel that plays it has still to do."""
    channel = playing(pen)
    read = pen.emulator.chip.read_uint32(channel)
    left = pen.emulator.chip.read_uint32(channel + 8)
    return int(read) - (2 * LIMIT_STEPS + 1 - int(left)) * WORD


def playing(pen: ChipBench) -> int:
    """Return the registers of the DMA channel that feeds the stroke program now."""
    busy = [0x5000_0000 + 0x40 * number for number, _, active in moves.feeders(pen) if active]
    assert busy, "no table is being played"
    return busy[0]


def word(pen: ChipBench, number: int) -> int:
    """Return a word of the stroke table."""
    at = table_at(pen) - SRAM + number * WORD
    return int.from_bytes(pen.emulator.chip.sram[at : at + WORD], "little")


def put_word(pen: ChipBench, number: int, value: int) -> None:
    """Change a word of the stroke table in the chip's memory."""
    at = table_at(pen) - SRAM + number * WORD
    pen.emulator.chip.sram[at : at + WORD] = value.to_bytes(WORD, "little")


def net_extension(edges: list[Edge], until: int) -> int:
    """Return the furthest that the edges up to a tick went from where they began, in steps."""
    at = deepest = 0
    for edge in edges:
        if edge.at <= until:
            at += edge.turn
            deepest = max(deepest, at)
    return deepest


def extend_further(pen: ChipBench, steps: int) -> None:
    """Turn the first retracting words of the stroke into extending ones."""
    for number in range(LIMIT_STEPS, LIMIT_STEPS + steps):
        put_word(pen, number, word(pen, number) | 1)


def extend_once(pen: ChipBench) -> None:
    """Turn a single one."""
    extend_further(pen, 1)


def extend_all(pen: ChipBench) -> None:
    """Turn all of them."""
    extend_further(pen, LIMIT_STEPS)


def never_end(pen: ChipBench) -> None:
    """Put an extending step where the table ends, and before it nothing but such steps."""
    extend_all(pen)
    put_word(pen, 2 * LIMIT_STEPS, 31_250 << 1 | 1)


def home_less(pen: ChipBench) -> None:
    """Have the stroke swing about its limit: a step home, two down, again and again."""
    for number in range(LIMIT_STEPS, 2 * LIMIT_STEPS):
        put_word(pen, number, word(pen, number) & ~1 | (number % 3 != 0))


def run_out_of_time(pen: ChipBench) -> None:
    """Make all delays but the first ones the shortest that a word can have: faster than any motor turns."""
    for number in range(270, 2 * LIMIT_STEPS):
        put_word(pen, number, 3)


@pytest.mark.parametrize("corrupt", [extend_once, extend_all, never_end, home_less, run_out_of_time])
def test_a_table_that_goes_too_deep_in_memory_is_cut_one_step_past_the_limit(
    running_pen: ChipBench, corrupt: Callable[[ChipBench], None]
) -> None:
    def trial() -> None:
        pen = running_pen
        moved = Moves(pen)
        moves.reach(pen, moved, moves.between)
        begun = len(moved.edges)
        # With two queued the firmware doesn't look at the table before the next one.
        moves.reach_with_two_queued(pen, moved, moves.nearly_down)
        corrupt(pen)
        assert pen.run_until(lambda: moved.off_at() is not None, 100, 0.1), "never cut"
        off_at = moved.off_at()
        assert off_at is not None
        # One step too far is what it takes to know; it is the last.
        last = moved.edges[-1]
        assert net_extension(moved.edges[begun:], off_at) == LIMIT_STEPS + 1
        assert last.turn > 0
        assert 0 < off_at - last.at <= CUT_TICKS
        pen.hold(120)
        assert moved.edges[-1] == last
        assert pen.plant.depth_um() <= 0
        tally = pen.plant.report().labels["1.0"]
        assert tally.deepest_um <= 200 + STEP_UM
        assert pen.status()["fault"] == faults.DEPTH_GUARD
        pen.may_coast = True
        pen.check(allow=[DEPTH_LIMIT])

    in_copy(trial)


def test_a_table_that_has_changed_is_played_no_more(running_pen: ChipBench) -> None:
    def trial() -> None:
        pen = running_pen
        moved = Moves(pen)
        # With one queued it might just have been checked, and be credited all the same: another half millisecond.
        moves.reach_with_two_queued(pen, moved, moves.extending)
        # Of the word that has just been played: what is under way stays as it should be.
        put_word(pen, 1, word(pen, 1) ^ 2)
        begun = len(moved.strokes())
        pen.run_ms(100)
        pen.hold(20)
        assert pen.state() == wire.FAULT
        assert pen.status()["fault"] == faults.TABLE_CORRUPT
        # The one behind it had been credited before.
        assert len(moved.strokes()) - begun == 1
        pen.may_coast = True
        pen.check()

    in_copy(trial)


def credit_again(pen: ChipBench) -> None:
    """Have DMA play the table once more, behind the stroke under way: as a firmware would that lost count."""
    chip = pen.emulator.chip
    start, channel = table_at(pen), playing(pen)
    assert pen.run_until(lambda: not chip.read_uint32(channel + 0x10) >> 24 & 1, 60, 0.01)
    chip.write_uint32(channel + 8, 2 * LIMIT_STEPS + 1)
    chip.write_uint32(channel + 0x3C, start)


@pytest.fixture(scope="module")
def few_left(armed_pen: ChipBench) -> Callable[[Callable[[ChipBench, Moves], None]], None]:
    """Return what tries something in a copy of a pen that is in the last of the few strokes it has reserved."""

    def run(act: Callable[[ChipBench, Moves], None]) -> None:
        def trial() -> None:
            pen = armed_pen
            pen.stop_button(True)
            pen.run_ms(50)
            pen.stop_button(False)
            pen.run_ms(200)
            pen.recover_from_fault()
            pen.load_new(((profiles.PERIORBITAL, profiles.LEFT, 200, FEW, 30),))
            pen.arm(0)
            moved = Moves(pen)
            pen.running()
            assert pen.run_until(lambda: len(moved.strokes()) == FEW, 500, 0.1)
            act(pen, moved)

        in_copy(trial)

    return run


def test_a_stroke_credited_beyond_what_was_reserved_is_cut_before_its_first_step(
    few_left: Callable[[Callable[[ChipBench, Moves], None]], None],
) -> None:
    def act(pen: ChipBench, moved: Moves) -> None:
        assert moves.queued(pen) == 1
        credit_again(pen)
        assert pen.run_until(lambda: moved.off_at() is not None, 100, 0.1), "never cut"
        pen.hold(100)
        assert len(moved.strokes()) == FEW
        assert len(moved.edges) == FEW * 2 * LIMIT_STEPS
        assert pen.needle_strokes()["1.0"] == FEW
        status = pen.status()
        assert status["fault"] == faults.COUNT_GUARD
        # It can't know that the one beyond came to nothing: it has no room for it in its count.
        assert status["counted"] == FEW
        pen.check()

    few_left(act)
