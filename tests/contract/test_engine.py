"""The words of the Engine port, held by every engine."""

from pencore.ports import ENABLED, HOME, IDLE, TRIP_COUNT, TRIP_DEPTH
from tests.contract.rigs import BACKOFF_STEPS, GEOMETRY, Rig, armed, homed, period_ms, plan


def test_a_new_engine_is_idle_and_off(rig: Rig) -> None:
    assert rig.engine.poll() == IDLE
    assert rig.engine.homing() is None
    assert rig.engine.take() is None
    assert rig.engine.queued() == 0


def test_homing_is_busy_and_ends_with_good_evidence_at_home(rig: Rig) -> None:
    rig.engine.home(1440, BACKOFF_STEPS, GEOMETRY.home_margin_steps, 25_000)
    assert not rig.engine.poll() & IDLE
    evidence = homed(rig)
    assert 0 <= evidence.found_step <= 1440
    assert GEOMETRY.home_margin_steps <= evidence.clear_step <= BACKOFF_STEPS
    assert 0 < evidence.return_step <= BACKOFF_STEPS
    assert rig.engine.poll() & IDLE
    assert rig.inputs.read() & HOME


def test_arming_switches_the_driver_on_and_disarming_off(rig: Rig) -> None:
    armed(rig, 0)
    assert rig.engine.poll() == IDLE | ENABLED
    rig.engine.disarm()
    assert rig.engine.poll() == IDLE


def test_nothing_moves_without_a_credit(rig: Rig) -> None:
    armed(rig, 10)
    rig.run_ms(500)
    assert rig.engine.take() is None
    assert rig.engine.poll() & IDLE


def test_a_credit_makes_one_stroke_with_its_evidence(rig: Rig) -> None:
    made = armed(rig, 10)
    rig.engine.credit()
    assert rig.engine.queued() == 1
    assert not rig.engine.poll() & IDLE
    assert rig.engine.take() is None
    rig.run_ms(period_ms(made) + 1)
    assert rig.engine.queued() == 0
    assert rig.engine.poll() == IDLE | ENABLED
    evidence = rig.engine.take()
    assert evidence is not None
    assert (evidence.index, evidence.net_steps, evidence.flags) == (0, 0, 0)
    window = 2 * GEOMETRY.microsteps
    assert 0 < evidence.clear_step <= GEOMETRY.home_margin_steps + window
    assert abs(evidence.return_step - (made.steps - GEOMETRY.home_margin_steps)) <= window
    assert rig.engine.take() is None


def test_a_stroke_leaves_home_and_comes_back(rig: Rig) -> None:
    made = armed(rig, 1)
    rig.engine.credit()
    rig.run_ms(period_ms(made) // 3)
    assert not rig.inputs.read() & HOME
    rig.run_ms(period_ms(made))
    assert rig.inputs.read() & HOME


def test_two_credits_make_two_strokes_in_a_row(rig: Rig) -> None:
    made = armed(rig, 2)
    rig.engine.credit()
    rig.engine.credit()
    assert rig.engine.queued() == 2
    rig.run_ms(2 * period_ms(made) + 2)
    indices = []
    while (evidence := rig.engine.take()) is not None:
        indices.append(evidence.index)
    assert indices == [0, 1]


def test_withdrawing_takes_back_the_one_that_has_not_begun(rig: Rig) -> None:
    made = armed(rig, 2)
    rig.engine.credit()
    rig.engine.credit()
    assert rig.engine.withdraw() == 1
    assert rig.engine.withdraw() == 0
    rig.run_ms(3 * period_ms(made))
    assert rig.engine.take() is not None
    assert rig.engine.take() is None


def test_the_count_guard_lets_no_stroke_begin_that_was_not_allowed(rig: Rig) -> None:
    made = armed(rig, 1)
    rig.engine.credit()
    rig.engine.credit()
    rig.run_ms(3 * period_ms(made))
    bits = rig.engine.poll()
    assert bits & TRIP_COUNT
    assert not bits & ENABLED


def test_allowing_more_at_a_block_boundary_goes_on_without_arming(rig: Rig) -> None:
    made = armed(rig, 0)
    for allowed in (1, 1):
        rig.engine.allow(allowed)
        rig.engine.credit()
        rig.run_ms(period_ms(made) + 1)
    assert rig.engine.poll() == IDLE | ENABLED
    first, second = rig.engine.take(), rig.engine.take()
    assert first is not None
    assert second is not None
    assert (first.index, second.index) == (0, 1)


def test_the_depth_guard_cuts_a_table_deeper_than_its_limit(rig: Rig) -> None:
    homed(rig)
    made = plan()
    rig.engine.load(made.table)
    rig.engine.arm(made.steps - 1, 1)
    rig.engine.credit()
    rig.run_ms(period_ms(made))
    bits = rig.engine.poll()
    assert bits & TRIP_DEPTH
    assert not bits & ENABLED


def test_disarming_in_mid_stroke_ends_it_and_forgets_the_queue(rig: Rig) -> None:
    made = armed(rig, 2)
    rig.engine.credit()
    rig.engine.credit()
    rig.run_ms(period_ms(made) // 3)
    rig.engine.disarm()
    assert not rig.engine.poll() & ENABLED
    assert rig.engine.queued() == 0
    rig.run_ms(200)
    assert rig.inputs.read() & HOME
    assert rig.engine.poll() & IDLE


def test_arming_again_starts_the_index_anew_and_clears_trips(rig: Rig) -> None:
    made = armed(rig, 1)
    rig.engine.credit()
    rig.engine.credit()
    rig.run_ms(3 * period_ms(made))
    assert rig.engine.poll() & TRIP_COUNT
    armed(rig, 1)
    assert rig.engine.poll() == IDLE | ENABLED
    rig.engine.credit()
    rig.run_ms(period_ms(made) + 1)
    evidence = rig.engine.take()
    assert evidence is not None
    assert evidence.index == 0
