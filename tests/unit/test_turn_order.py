"""What comes first in a turn of the pen, what a turn leaves alone, and what a second fault adds to the first."""

from collections.abc import Callable

import pytest

from pencore import faults, record, signals
from pencore.ledger import CLOCK, Entry
from pencore.runner import Runner
from tests.portable.ideal_pen import IdealPen
from tests.unit.test_runner import in_state, sealed, state_of

PARTS = ("_take_evidence", "_watch_people", "_work", "_drive")


def watched(pen: IdealPen, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the parts that the pen's next turns come to, in order."""
    came: list[str] = []

    def noting(name: str, part: Callable[[Runner], None]) -> Callable[[Runner], None]:
        def noted(runner: Runner) -> None:
            came.append(name)
            part(runner)

        return noted

    for name in PARTS:
        monkeypatch.setattr(Runner, name, noting(name, getattr(Runner, name)))
    return came


def test_a_turn_has_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    pen = in_state("RUNNING")
    came = watched(pen, monkeypatch)
    pen.step()
    assert came == list(PARTS)


@pytest.mark.parametrize("state", ["ARMED", "RUNNING", "PAUSED"])
def test_nothing_comes_before_a_stop(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No evidence is judged, no task goes on, nothing is credited in the turn that sees it."""
    pen = in_state(state)
    came = watched(pen, monkeypatch)
    pen.set_level(signals.STOP, True)
    pen.step()
    assert came == []
    assert pen.runner.fault_code == faults.STOP_BUTTON


@pytest.mark.parametrize("bit", [signals.TRIP_DEPTH, signals.TRIP_COUNT, signals.HOME_WAIT, signals.DRIVER_FAULT])
def test_nothing_comes_before_a_trip(bit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pen = in_state("RUNNING")
    came = watched(pen, monkeypatch)
    pen.engine.trip(bit)
    pen.step()
    assert came == []
    assert state_of(pen) == "FAULT"


def test_a_cartridge_opened_in_fault_is_on_record_beside_what_came_before() -> None:
    """The first fault stays the one that is shown."""
    pen = in_state("PAUSED")
    pen.ask("stop")
    pen.advance(200)
    pen.set_level(signals.CARTRIDGE, False)
    pen.advance(500)
    assert pen.runner.fault_code == faults.OPERATOR_STOP
    kept = sealed(pen)
    assert kept.end_reason == record.END_CARTRIDGE
    assert [code for code, _, _ in kept.faults] == [faults.OPERATOR_STOP, faults.CARTRIDGE_OPENED]


def test_a_stop_in_fault_switches_the_driver_off_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pen = in_state("FAULT")
    pen.advance(200)
    asked: list[bool] = []
    monkeypatch.setattr(pen.engine, "disarm", lambda: asked.append(True))
    pen.ask("stop")
    assert asked == [True]
    assert pen.runner.fault_code == faults.OPERATOR_STOP


@pytest.mark.parametrize("state", ["LOADED", "ARMED"])
def test_a_profile_that_made_no_stroke_is_gone_after_a_fault(state: str) -> None:
    pen = in_state(state)
    pen.ask("stop")
    pen.advance(200)
    assert pen.code("clear") == 0
    assert state_of(pen) == "SAFE"
    assert pen.runner.session is None
    assert pen.ask("status")["session_id"] == 0


def test_a_stroke_that_never_ends_is_a_fault_after_its_period_and_a_quarter_of_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pen = in_state("RUNNING")
    assert pen.runner.motion is not None
    assert pen.runner.motion.plan is not None
    period_ms = pen.runner.motion.plan.period_ticks // 125_000
    pen.advance(period_ms)
    monkeypatch.setattr(pen.engine, "take", lambda: None)
    since_ms = pen.runner.motion._progress_ms
    while state_of(pen) == "RUNNING" and pen.time.total_ms < since_ms + 2_000:
        pen.advance(1)
    assert pen.runner.fault_code == faults.STROKE_OVERDUE
    assert pen.time.total_ms == since_ms + period_ms + 251


def test_after_a_reset_the_carriage_has_fifty_milliseconds_to_come_home() -> None:
    pen = in_state("PAUSED")
    pen.cut_power()
    pen.boot()
    begun_ms, writes = pen.time.total_ms, pen.store.writes
    while pen.store.writes == writes:
        assert pen.time.total_ms <= begun_ms + 100
        pen.advance(1)
    assert pen.time.total_ms >= begun_ms + 50


def test_a_write_s_time_is_time_of_the_session() -> None:
    pen = in_state("PAUSED")
    before_ms, elapsed_ms = pen.time.total_ms, pen.runner._elapsed_ms
    for _ in range(5):
        pen.runner.append([Entry(CLOCK, aux=1)])
    assert pen.runner._elapsed_ms - elapsed_ms == pen.time.total_ms - before_ms >= 5 * pen.store.write_ms
