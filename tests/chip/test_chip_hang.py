"""A CPU that hangs, anywhere in the loop: what was credited is finished, at home, and the watchdog ends it.

The CPU is sent round in one instruction with interrupts masked; DMA, PIO and watchdog go on. When it happens is drawn
from a seed, to the cycle.
"""

import random

import pytest

from pencore import faults, wire
from pensim.chip.copies import in_copy
from pensim.clock import TICKS_PER_MS
from tests.chip import moves
from tests.chip.bench import ChipBench
from tests.chip.moves import Moves

pytestmark = pytest.mark.chip

TIMEOUT_MS = 4000
"""From the last feeding to the reset."""
FINISHED_MS = 120
"""Two strokes at 30 a second take 67 ms."""
STEPS = 280
RUNNING_TRIALS = 8
RESTING_TRIALS = 3


def hang(pen: ChipBench, moved: Moves) -> None:
    """Hang the CPU; see the driver go off with the reset that the watchdog makes, in its time."""
    begun = pen.clock.now
    on = pen.plant.driver_enabled()
    pen.hang()
    assert pen.run_until(lambda: bool(pen.crashes), TIMEOUT_MS + 100)
    assert pen.crashes[0].by_watchdog
    assert on == (moved.off_at() is not None)
    off_at = moved.off_at() or pen.clock.now
    assert TIMEOUT_MS - 100 <= (off_at - begun) / TICKS_PER_MS <= TIMEOUT_MS


def come_back(pen: ChipBench, moved: Moves) -> None:
    """Let it boot, and look: nothing moves, the driver stays off."""
    edges, switched = len(moved.edges), len(moved.switched)
    pen.greet()
    pen.hold(60)
    assert (len(moved.edges), len(moved.switched)) == (edges, switched)
    assert pen.plant.depth_um() <= 0


def moments(when: str, count: int, until_ms: float) -> list[float]:
    """Return so many moments to hang at, in ms."""
    seeded = random.Random(when)
    return [seeded.uniform(0, until_ms) for _ in range(count)]


@pytest.mark.parametrize("wait_ms", moments("running", RUNNING_TRIALS, 100))
def test_running_what_was_credited_is_finished_and_nothing_else(running_pen: ChipBench, wait_ms: float) -> None:
    def trial() -> None:
        pen = running_pen
        moved = Moves(pen)
        pen.run_ms(wait_ms)
        assert pen.run_until(lambda: moves.queued(pen) == 2, 60, 0.1)
        needle = pen.needle_strokes()["1.0"]
        whole = pen.plant.report().labels["1.0"].strokes
        hung_at = pen.clock.now
        hang(pen, moved)
        # The one under way and the one behind it, or, in the tail of a stroke, those two behind it.
        late = moved.after(hung_at)
        assert late[-1].at - hung_at <= FINISHED_MS * TICKS_PER_MS
        assert late[-1].turn < 0
        assert pen.needle_strokes()["1.0"] - whole <= 2
        assert pen.needle_strokes()["1.0"] - needle <= 2
        assert sum(edge.turn > 0 for edge in late) <= 2 * STEPS
        come_back(pen, moved)
        status = pen.status()
        needle = pen.needle_strokes()["1.0"]
        assert status["state"] == wire.LOADED
        assert status["resumed"] == 1
        assert needle <= status["made"][0] + status["forfeited"][0] <= 60
        # Whoever still holds the trigger arms nothing.
        assert pen.refusal("arm", zone=0) == faults.TRIGGER_HELD
        pen.release()
        pen.run_ms(40)
        pen.insist("finish")
        pen.wait_for(wire.SAFE)
        pen.pull()
        assert needle <= pen.sealed[1].counted() <= 60
        assert pen.sealed[1].faults[0][0] == faults.WATCHDOG_RESET
        pen.check()

    in_copy(trial)


@pytest.mark.parametrize("wait_ms", moments("armed", RESTING_TRIALS, 50))
def test_armed_nothing_moves(armed_pen: ChipBench, wait_ms: float) -> None:
    def trial() -> None:
        pen = armed_pen
        moved = Moves(pen)
        pen.hold(20)
        pen.run_ms(wait_ms)
        # A trigger that is pressed when nobody looks starts nothing.
        pen.after(200, pen.press)
        hang(pen, moved)
        assert not moved.edges
        pen.release()
        come_back(pen, moved)
        assert pen.state() == wire.SAFE
        pen.check()

    in_copy(trial)


@pytest.mark.parametrize("wait_ms", moments("homing", RESTING_TRIALS, 60))
def test_homing_no_more_is_moved_than_was_sent(safe_pen: ChipBench, wait_ms: float) -> None:
    def trial() -> None:
        pen = safe_pen
        pen.load_new()
        moved = Moves(pen)
        pen.insist("arm", zone=0)
        assert pen.run_until(lambda: bool(moved.edges), 1000)
        pen.run_ms(wait_ms)
        hung_at = pen.clock.now
        hang(pen, moved)
        # A piece of homing is as long as the margin that it may go too far.
        assert len(moved.after(hung_at)) <= pen.setup.bounds.geometry.home_margin_steps
        come_back(pen, moved)
        assert pen.state() == wire.SAFE
        pen.check()

    in_copy(trial)
