"""Letting the trigger go on the whole chip, with one stroke queued and with two: how many follow, what is counted."""

import random
from functools import partial

import pytest

from pencore import wire
from pensim.chip.copies import in_copy
from pensim.clock import TICKS_PER_MS
from tests.chip import moves
from tests.chip.bench import ChipBench
from tests.chip.moves import Moves

pytestmark = pytest.mark.chip

SEEN_MS = 15
"""So late may a stroke begin after the release: what the oracle's rule of consent grants."""
RANDOM_TRIALS = 8
RESERVED_MS = 140
"""From the press to the first stroke: session and strokes are written, read back, credited."""
PERIOD_MS = 33
STEPS = 280


def let_go(pen: ChipBench, moved: Moves) -> int:
    """Release, wait until all is over, and return how many strokes began after it. Needle and record must agree."""
    released_at = pen.clock.now
    pen.release()
    assert pen.run_until(lambda: not pen.moving() and pen.quiet_ms() > 40, 400)
    pen.hold(60)
    assert pen.wait_for(wire.PAUSED) == wire.PAUSED
    late = [stroke[0].at - released_at for stroke in moved.strokes() if stroke[0].at > released_at]
    assert all(ticks <= SEEN_MS * TICKS_PER_MS for ticks in late)
    # Nothing was broken off: each stroke that began went all the way down and home.
    downs = sum(edge.turn > 0 for edge in moved.edges)
    ups = len(moved.edges) - downs
    assert (downs, ups) == (STEPS * (downs // STEPS), downs)
    needle = pen.needle_strokes()["1.0"]
    assert needle == downs // STEPS
    status = pen.status()
    assert (status["made"][0], status["forfeited"][0]) == (needle, 0)
    pen.check(exact=True)
    return len(late)


def pressed(pen: ChipBench) -> Moves:
    """Press, and let time pass until the first stroke has begun."""
    moved = Moves(pen)
    pen.release()
    pen.hold(150)
    pen.press()
    assert pen.run_until(lambda: bool(moved.edges), 400, 0.1)
    return moved


def test_with_one_stroke_queued_that_one_is_finished_and_none_follows(armed_pen: ChipBench) -> None:
    def trial() -> None:
        moved = pressed(armed_pen)
        assert moves.queued(armed_pen) == 1
        assert let_go(armed_pen, moved) <= 1
        assert len(moved.strokes()) == 1

    in_copy(trial)


def test_released_while_strokes_are_reserved_in_flash_none_begins_later(armed_pen: ChipBench) -> None:
    def trial(wait_ms: float) -> None:
        moved = Moves(armed_pen)
        armed_pen.release()
        armed_pen.hold(150)
        armed_pen.press()
        armed_pen.run_ms(wait_ms)
        let_go(armed_pen, moved)

    seeded = random.Random(7)
    for _ in range(RANDOM_TRIALS):
        in_copy(partial(trial, seeded.uniform(30, RESERVED_MS)))


@pytest.mark.parametrize("place", [moves.nearly_down, moves.at_depth, moves.retracting])
def test_with_two_queued_the_one_under_way_is_finished_and_the_other_withdrawn(
    armed_pen: ChipBench, place: moves.Place
) -> None:
    def trial() -> None:
        moved = pressed(armed_pen)
        moves.reach_with_two_queued(armed_pen, moved, place)
        begun = len(moved.strokes())
        assert let_go(armed_pen, moved) == 0
        assert len(moved.strokes()) == begun

    in_copy(trial)


def test_released_between_two_strokes_the_queued_one_is_withdrawn_or_begins_at_once(armed_pen: ChipBench) -> None:
    def trial() -> None:
        moved = pressed(armed_pen)
        moves.reach(armed_pen, moved, moves.between)
        assert let_go(armed_pen, moved) <= 1

    in_copy(trial)


def test_whenever_it_is_released_one_stroke_follows_at_most(armed_pen: ChipBench) -> None:
    def trial(wait_ms: float) -> int:
        moved = pressed(armed_pen)
        armed_pen.run_ms(wait_ms)
        return let_go(armed_pen, moved)

    seeded = random.Random(4)
    for _ in range(RANDOM_TRIALS):
        wait_ms = seeded.uniform(0, 3 * PERIOD_MS)
        assert in_copy(partial(trial, wait_ms)) <= 1, wait_ms


@pytest.mark.parametrize("block", [0, 1])
def test_let_go_for_a_moment_while_strokes_are_reserved_none_follows(armed_pen: ChipBench, block: int) -> None:
    """The CPU can't look while it writes; the pads remember. 60 strokes in the zone, blocks of 50."""

    def trial(away_ms: int) -> None:
        pen = armed_pen
        pen.release()
        pen.hold(150)
        pen.press()
        if block:
            pen.hold(1_200)
            assert 20 < sum(pen.needle_strokes().values()) < 50
            assert pen.run_until(lambda: sum(pen.needle_strokes().values()) == 50, 1_500, 0.2)
        assert pen.run_until(lambda: pen.flash.busy, 150, 0.1)
        pen.release()
        pen.run_ms(away_ms)
        pen.press()
        pen.hold(300)
        assert sum(pen.needle_strokes().values()) == 50 * block
        assert pen.state() == wire.PAUSED
        pen.release()
        pen.hold(200)
        pen.check(exact=True)

    for away_ms in (2, 20, 45):
        in_copy(partial(trial, away_ms))
