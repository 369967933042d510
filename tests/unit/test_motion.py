"""`pencore.motion`: every number of evidence around its window, and what is asked of the engine."""

from typing import Any

import pytest

from pencore import faults, limits, motion, signals
from pencore.faults import Fault
from pencore.motion import Motion
from pencore.planner import Plan
from pencore.ports import HomingEvidence, StrokeEvidence
from pencore.units import Geometry, ms_add
from tests.portable import samples

GEOMETRY = samples.coarse()
MARGIN = 4
BACKOFF = 30
CLEAR = MARGIN + 3
WINDOW = 4
"""Two full steps of this geometry."""
PERIOD_MS = 50
START_MS = 2**32 - 120


class Engine:
    """Does what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.homing_evidence: HomingEvidence | None = None
        self.seen: list[StrokeEvidence] = []
        self.unbegun = 0

    def poll(self) -> int:
        return signals.IDLE

    def home(self, cap_steps: int, backoff_steps: int, margin_steps: int, step_ticks: int) -> None:
        self.calls.append(("home", cap_steps, backoff_steps, margin_steps, step_ticks))

    def homing(self) -> HomingEvidence | None:
        return self.homing_evidence

    def load(self, table: bytes | bytearray) -> None:
        self.calls.append(("load", bytes(table)))

    def arm(self, limit_steps: int, strokes: int) -> None:
        self.calls.append(("arm", limit_steps, strokes))

    def allow(self, strokes: int) -> None:
        self.calls.append(("allow", strokes))

    def queued(self) -> int:
        return 0

    def credit(self) -> None:
        self.calls.append(("credit",))

    def withdraw(self) -> int:
        return self.unbegun

    def take(self) -> StrokeEvidence | None:
        return self.seen.pop(0) if self.seen else None

    def disarm(self) -> None:
        self.calls.append(("disarm",))


def planned(depth_um: int = 1500, rate_per_s: int = 20) -> Plan:
    plan = Plan(depth_um, rate_per_s, GEOMETRY)
    while not plan.advance(100):
        pass
    return plan


def homed() -> tuple[Motion, Engine]:
    """Return a motion that has homed well."""
    engine = Engine()
    mover = Motion(engine, GEOMETRY, 300)
    mover.home(START_MS)
    engine.homing_evidence = HomingEvidence(10, CLEAR, 3)
    assert mover.homed(START_MS)
    return mover, engine


def moving(outstanding: int = 9) -> tuple[Motion, Engine, Plan]:
    """Return a motion with strokes credited at START_MS."""
    mover, engine = homed()
    plan = planned()
    mover.arm(plan, plan.steps)
    mover.allow(outstanding, START_MS)
    mover.credit(outstanding, plan.steps)
    return mover, engine, plan


def evidence(index: int = 0, **changes: int) -> StrokeEvidence:
    good = {"index": index, "clear_step": CLEAR, "return_step": 200 - MARGIN, "net_steps": 0, "flags": 0}
    return StrokeEvidence(**(good | changes))


def code_of(act: Any, *args: Any) -> int:
    with pytest.raises(Fault) as fault:
        act(*args)
    return fault.value.code


# --- homing -----------------------------------------------------------------------------------------------------------
def test_homing_is_bounded_by_travel_and_back_off() -> None:
    _, engine = homed()
    assert engine.calls == [("home", 360, BACKOFF, MARGIN, limits.ramp_ticks(1, GEOMETRY))]


def test_a_slow_pen_homes_no_faster_than_it_can() -> None:
    engine = Engine()
    slow = Geometry(v_max_um_s=1_000)
    Motion(engine, slow, 300).home(0)
    assert engine.calls[0][-1] == limits.cruise_ticks(slow) > limits.ramp_ticks(1, slow)


@pytest.mark.parametrize(
    ("found", "clear", "back", "code"),
    [
        (0, CLEAR, 3, 0),
        (360, CLEAR, 3, 0),
        (-1, CLEAR, 3, faults.HOME_NOT_FOUND),
        (361, CLEAR, 3, faults.HOME_NOT_FOUND),
        (10, MARGIN, 3, 0),
        (10, BACKOFF, 26, 0),
        (10, -1, 3, faults.HOME_NOT_CLEARED),
        (10, MARGIN - 1, 3, faults.HOME_NOT_CLEARED),
        (10, BACKOFF + 1, 3, faults.HOME_NOT_CLEARED),
        (10, CLEAR, 1, 0),
        (10, CLEAR, BACKOFF, 0),
        (10, CLEAR, 0, faults.HOME_LOST),
        (10, CLEAR, -1, faults.HOME_LOST),
        (10, CLEAR, BACKOFF + 1, faults.HOME_LOST),
    ],
)
def test_homing_is_judged(found: int, clear: int, back: int, code: int) -> None:
    engine = Engine()
    mover = Motion(engine, GEOMETRY, 300)
    mover.home(0)
    assert not mover.homed(0)
    engine.homing_evidence = HomingEvidence(found, clear, back)
    if code:
        assert code_of(mover.homed, 0) == code
    else:
        assert mover.homed(0)


def test_a_homing_that_never_ends_is_a_fault() -> None:
    mover = Motion(Engine(), GEOMETRY, 300)
    longest_ms = (360 + 2 * BACKOFF + 2 * MARGIN) * limits.ramp_ticks(1, GEOMETRY) // 125_000 + 700
    mover.home(START_MS)
    assert not mover.homed(ms_add(START_MS, longest_ms))
    assert code_of(mover.homed, ms_add(START_MS, longest_ms + 1)) == faults.HOME_NOT_FOUND


# --- tables and credits -----------------------------------------------------------------------------------------------
def test_arming_loads_the_table_before_the_guards() -> None:
    mover, engine = homed()
    plan = planned()
    mover.arm(plan, plan.steps)
    assert engine.calls[1:] == [("load", bytes(plan.table)), ("arm", 200, 0)]


def test_a_table_deeper_than_its_limit_or_damaged_is_never_loaded() -> None:
    for spoil in (0, 1):
        mover, engine = homed()
        plan = planned()
        plan.table[100] ^= spoil
        assert code_of(mover.arm, plan, plan.steps - 1 + spoil) == faults.TABLE_CORRUPT
        assert [call[0] for call in engine.calls] == ["home"]


@pytest.mark.parametrize(("outstanding", "credited"), [(0, 0), (1, 1), (2, 2), (3, 2), (500, 2)])
def test_never_more_than_two_are_queued_nor_more_than_outstanding(outstanding: int, credited: int) -> None:
    mover, engine, plan = moving(outstanding)
    assert engine.calls.count(("credit",)) == mover.queued == credited
    mover.credit(outstanding, plan.steps)
    assert engine.calls.count(("credit",)) == credited


def test_a_table_is_checked_before_each_credit() -> None:
    for spoil in range(3):
        mover, engine, plan = moving(1)
        limit = plan.steps
        if spoil == 0:
            plan.table[9] ^= 4
        elif spoil == 1:
            limit -= 1
        else:
            mover.plan = None
        assert code_of(mover.credit, 2, limit) == faults.TABLE_CORRUPT
        assert engine.calls.count(("credit",)) == 1


def test_what_was_withdrawn_is_not_waited_for() -> None:
    mover, engine, _ = moving()
    engine.unbegun = 1
    mover.withdraw()
    assert mover.queued == 1
    engine.unbegun = 0
    mover.withdraw()
    assert mover.queued == 1


# --- evidence ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"index": 1}, faults.STROKE_SEQUENCE),
        ({"index": -1}, faults.STROKE_SEQUENCE),
        ({"net_steps": 1}, faults.NET_STEPS),
        ({"net_steps": -1}, faults.NET_STEPS),
        ({"clear_step": -1}, faults.HOME_NOT_CLEARED),
        ({"return_step": -1}, faults.HOME_LOST),
        ({"clear_step": CLEAR - WINDOW}, 0),
        ({"clear_step": CLEAR + WINDOW}, 0),
        ({"clear_step": CLEAR - WINDOW - 1}, faults.LOST_STEPS),
        ({"clear_step": CLEAR + WINDOW + 1}, faults.LOST_STEPS),
        ({"return_step": 200 - MARGIN - WINDOW}, 0),
        ({"return_step": 200 - MARGIN + WINDOW}, 0),
        ({"return_step": 200 - MARGIN - WINDOW - 1}, faults.LOST_STEPS),
        ({"return_step": 200 - MARGIN + WINDOW + 1}, faults.LOST_STEPS),
        ({"flags": signals.TRIP_DEPTH}, faults.DEPTH_GUARD),
        ({"flags": signals.TRIP_COUNT}, faults.COUNT_GUARD),
        ({"flags": signals.TRIP_STOP}, faults.STOP_GUARD),
        ({"flags": signals.HOME_WAIT}, faults.HOME_LOST),
        ({"flags": signals.DRIVER_RESET}, faults.DRIVER_RESET),
        ({"flags": signals.DRIVER_FAULT}, faults.DRIVER_FAULT),
        ({"flags": signals.TRIP_STOP | signals.TRIP_DEPTH | signals.DRIVER_FAULT}, faults.DEPTH_GUARD),
    ],
)
def test_every_stroke_is_judged(changes: dict[str, int], code: int) -> None:
    mover, engine, _ = moving()
    engine.seen = [evidence(**changes)]
    if code == 0:
        assert mover.collect(ms_add(START_MS, PERIOD_MS))
        assert mover.queued == 1
        return
    assert code_of(mover.collect, ms_add(START_MS, PERIOD_MS)) == code
    assert mover.queued == 2, "a stroke that is a fault may have been one: it stays among those to be forfeited"
    assert mover.cut() == 2


def test_a_window_is_less_than_four_full_steps() -> None:
    """A stepper loses steps four full ones at a time; anything it can lose is seen."""
    assert limits.HOME_WINDOW_FULL_STEPS * GEOMETRY.microsteps == WINDOW
    assert limits.HOME_WINDOW_FULL_STEPS < 4


def test_a_stroke_nobody_credited_is_a_fault() -> None:
    mover, engine = homed()
    engine.seen = [evidence()]
    assert code_of(mover.collect, START_MS) == faults.STROKE_SEQUENCE
    mover, engine, _ = moving(1)
    engine.seen = [evidence(0), evidence(1)]
    assert mover.collect(ms_add(START_MS, PERIOD_MS))
    assert code_of(mover.collect, ms_add(START_MS, 2 * PERIOD_MS)) == faults.STROKE_SEQUENCE


def test_strokes_faster_than_planned_are_a_fault() -> None:
    """Three strokes of slack, then one a period; a bounded burst can't hide in it for long."""
    mover, engine, plan = moving(500)
    for index in range(40):
        engine.seen = [evidence(index)]
        early_ms = (index - 2) * PERIOD_MS
        assert mover.collect(ms_add(START_MS, max(0, early_ms)))
        mover.credit(500, plan.steps)
    engine.seen = [evidence(40)]
    assert code_of(mover.collect, ms_add(START_MS, 38 * PERIOD_MS - 1)) == faults.STROKE_RATE


def test_a_stroke_that_does_not_end_is_a_fault() -> None:
    mover, engine, _ = moving()
    due_ms = PERIOD_MS + 250
    for late_ms in range(0, due_ms + 1, 50):
        mover.check_progress(ms_add(START_MS, late_ms))
        assert mover.overdue_wait_ms(ms_add(START_MS, late_ms)) == due_ms + 1 - late_ms
    assert code_of(mover.check_progress, ms_add(START_MS, due_ms + 1)) == faults.STROKE_OVERDUE
    engine.seen = [evidence()]
    mover.collect(ms_add(START_MS, 60))
    mover.check_progress(ms_add(START_MS, 60 + due_ms))
    assert code_of(mover.check_progress, ms_add(START_MS, 61 + due_ms)) == faults.STROKE_OVERDUE


def test_nothing_is_overdue_with_nothing_queued() -> None:
    mover, _ = homed()
    mover.check_progress(ms_add(START_MS, 100_000))
    assert mover.overdue_wait_ms(START_MS) >= 1_000_000


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_a_cut_tells_how_many_may_have_begun(finished: int) -> None:
    """Finished or not, what was not judged counts as lost; what it has to say is thrown away."""
    mover, engine, _ = moving()
    engine.seen = [evidence(index) for index in range(finished)]
    assert mover.cut() == 2
    assert engine.calls[-1] == ("disarm",)
    assert engine.seen == []
    assert mover.cut() == 0


def test_trip_codes() -> None:
    assert motion.trip_code(0) == motion.trip_code(signals.IDLE | signals.ENABLED) == 0
