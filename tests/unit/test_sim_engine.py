"""The virtual engine and its guards: what the port promises, edge by edge and by whole strokes."""

import pytest

from pencore.ports import (
    DRIVER_FAULT,
    DRIVER_RESET,
    ENABLED,
    HOME_WAIT,
    IDLE,
    TRIP_COUNT,
    TRIP_DEPTH,
    TRIP_STOP,
    HomingEvidence,
    StrokeEvidence,
)
from pensim.clock import TICKS_PER_MS, TICKS_PER_US
from pensim.engine import CHAIN_TICKS, DRIVER_WATCH_TICKS
from pensim.errors import PortMisuse
from pensim.mechanics import PenParameters
from pensim.plant import EdgeFault
from pensim.stroke import WORD_TICKS_MIN, evaluate, read_table
from tests.support.sim_bench import (
    BACKOFF,
    CAP,
    HOMING_TICKS,
    MARGIN,
    STEP_UM,
    SimBench,
    pack,
    steps_of,
    stroke_table,
    words_of,
)

DEPTH_UM = 1500
STEPS = steps_of(DEPTH_UM)
TABLE = stroke_table(DEPTH_UM)
TICKS = sum(word >> 1 for word in words_of(TABLE))
WHOLE = StrokeEvidence(0, MARGIN + 5, STEPS - MARGIN, 0, 0)
REAR_STEPS = int(PenParameters().rear_um / STEP_UM)


def ready(strokes: int = 10, limit_steps: int = STEPS, table: bytes | bytearray = TABLE) -> SimBench:
    bench = SimBench()
    bench.ready(table, limit_steps, strokes)
    return bench


# --- homing -----------------------------------------------------------------------------------------------------------


def test_homing_from_the_rear_stop_ends_at_position_0() -> None:
    bench = SimBench()
    assert bench.engine.poll() == IDLE
    evidence = bench.home()
    assert evidence.found_step == 0
    assert evidence.clear_step > REAR_STEPS
    assert evidence.return_step == 5
    assert bench.plant.position_steps() == 0
    assert bench.plant.nominal()
    assert bench.engine.poll() == IDLE | ENABLED
    assert bench.engine.homing() == evidence


def test_homing_from_a_depth_retracts_first() -> None:
    bench = ready(table=stroke_table(DEPTH_UM, v_mm_s=20.0))
    bench.engine.credit()
    bench.run_ms(60)
    x = int(bench.plant.position_steps())
    evidence = bench.home()
    assert x > 400
    assert evidence == HomingEvidence(x - MARGIN, MARGIN + 5, 5)
    assert bench.plant.position_steps() == 0


def test_a_field_that_turns_back_at_full_speed_loses_the_rotor() -> None:
    """Homing from the middle of a fast stroke: the carriage runs on, and the sensor is found later than expected."""
    bench = ready()
    bench.engine.credit()
    bench.run_ms(20)
    x = int(bench.plant.position_steps())
    evidence = bench.home()
    assert evidence.found_step > x - MARGIN + 64
    assert evidence.return_step == 5
    assert bench.plant.position_steps() == 0


def test_homing_takes_the_time_of_its_edges() -> None:
    bench = ready()
    begin = bench.clock.now
    bench.engine.home(CAP, BACKOFF, MARGIN, HOMING_TICKS)
    edges = MARGIN + (2 * MARGIN + 5) + 5 + MARGIN
    bench.clock.run_until(begin + edges * HOMING_TICKS - 1)
    assert bench.engine.homing() is None
    assert not bench.engine.poll() & IDLE
    bench.clock.advance(1)
    assert bench.engine.homing() == HomingEvidence(0, 2 * MARGIN + 5, 5)


def test_homing_gives_up_at_its_bounds() -> None:
    bench = SimBench()
    bench.plant.set_sensor_fault(lambda _seen, _x, _at: False)
    assert bench.home() == HomingEvidence(-1, -1, -1)
    bench.plant.set_sensor_fault(lambda _seen, _x, _at: True)
    assert bench.home() == HomingEvidence(0, -1, -1)
    assert bench.engine.poll() == IDLE | ENABLED
    assert bench.plant.position_steps() <= BACKOFF
    assert bench.plant.report().total.crossings == 0


def test_homing_with_an_open_stop_line_never_switches_on() -> None:
    bench = SimBench()
    bench.plant.press_stop(True)
    assert bench.home() == HomingEvidence(-1, -1, -1)
    assert bench.engine.poll() == IDLE | TRIP_STOP
    assert bench.plant.report().kinds() == set()


def test_homing_flushes_the_queue_and_clears_the_trips() -> None:
    bench = ready()
    bench.engine.credit()
    bench.engine.credit()
    bench.run_ms(10)
    bench.plant.press_stop(True)
    bench.plant.press_stop(False)
    bench.home()
    assert bench.engine.queued() == 0
    assert bench.engine.poll() == IDLE | ENABLED
    bench.run_ms(200)
    assert bench.plant.report().total.begun == 1


# --- strokes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge_by_edge", [False, True])
def test_two_queued_strokes_follow_each_other_without_anybody(edge_by_edge: bool) -> None:
    bench = ready()
    bench.engine.edge_by_edge = edge_by_edge
    bench.engine.credit()
    bench.engine.credit()
    assert bench.engine.queued() == 2
    begin = bench.clock.now
    bench.clock.run_until(begin + TICKS - 1)
    assert bench.engine.take() is None
    bench.clock.run_until(begin + TICKS)
    assert bench.engine.take() == WHOLE
    assert bench.engine.queued() == 1
    bench.clock.run_until(begin + 2 * TICKS + CHAIN_TICKS - 1)
    assert bench.engine.take() is None
    bench.clock.advance(1)
    assert bench.engine.take() == WHOLE._replace(index=1)
    assert bench.engine.poll() == IDLE | ENABLED
    total = bench.plant.report().total
    assert (total.begun, total.crossings, total.strokes) == (2, 2, 2)
    assert total.deepest_um == total.deepest_coast_um == DEPTH_UM
    assert bench.engine.short_strokes == (0 if edge_by_edge else 2)


def test_a_hung_cpu_leaves_what_was_credited_and_nothing_more() -> None:
    bench = ready()
    bench.engine.credit()
    bench.engine.credit()
    bench.run_ms(10_000)
    assert bench.plant.report().total.strokes == 2
    assert bench.plant.position_steps() == 0
    assert bench.engine.poll() == IDLE | ENABLED


@pytest.mark.parametrize("edge_by_edge", [False, True])
def test_the_sensor_can_be_watched_while_a_stroke_is_in_the_air(edge_by_edge: bool) -> None:
    bench = ready()
    bench.engine.edge_by_edge = edge_by_edge
    words = words_of(TABLE)
    clear_at = sum(word >> 1 for word in words[: MARGIN + 4])
    return_at = sum(word >> 1 for word in words[: 2 * STEPS - MARGIN - 1])
    begin = bench.clock.now
    bench.engine.credit()
    for at, level in ((clear_at - 1, True), (clear_at, False), (return_at - 1, False), (return_at, True)):
        bench.clock.run_until(begin + at)
        assert bench.plant.home_seen() == level
    assert bench.engine.short_strokes == (0 if edge_by_edge else 1)


def test_withdraw_takes_back_only_what_has_not_begun() -> None:
    bench = ready()
    assert bench.engine.withdraw() == 0
    bench.engine.credit()
    assert bench.engine.withdraw() == 0
    bench.engine.credit()
    bench.run_ms(5)
    assert bench.engine.withdraw() == 1
    assert bench.engine.queued() == 1
    bench.run_ms(500)
    assert bench.plant.report().total.strokes == 1


def test_disarm_stops_where_it_is_and_the_spring_retracts() -> None:
    bench = ready()
    bench.engine.credit()
    bench.engine.credit()
    bench.run_ms(15)
    bench.engine.disarm()
    assert bench.engine.poll() == IDLE
    assert bench.engine.queued() == 0
    assert bench.plant.depth_um() > 0
    bench.run_ms(40)
    assert bench.plant.position_steps() == -REAR_STEPS
    assert bench.taken() == []
    assert bench.plant.report().total.begun == 1


def test_no_home_no_motion() -> None:
    """Steps lost on the way back: the second credited stroke never starts; HOME_WAIT after 50 ms."""
    bench = ready()
    bench.engine.credit()
    bench.engine.credit()
    bench.run_ms(30)
    bench.plant.lose_steps(1)
    bench.clock.advance(TICKS - 30 * TICKS_PER_MS)
    assert bench.engine.take() == StrokeEvidence(0, MARGIN + 5, -1, 0, 0)
    begin = bench.clock.now
    while not bench.engine.poll() & HOME_WAIT:
        bench.run_ms(0.1)
    assert 49 * TICKS_PER_MS <= bench.clock.now - begin <= 51 * TICKS_PER_MS
    bench.run_ms(1000)
    assert bench.engine.queued() == 1
    assert not bench.engine.poll() & IDLE
    assert bench.plant.report().total.begun == 1
    assert bench.plant.position_steps() == 32


def test_a_waiting_stroke_begins_when_home_is_seen_after_all() -> None:
    bench = ready()
    bench.plant.set_sensor_fault(lambda _seen, _x, _at: False)
    bench.engine.credit()
    bench.run_ms(20)
    assert bench.plant.report().total.begun == 0
    bench.plant.set_sensor_fault(None)
    bench.run_ms(100)
    assert bench.taken() == [WHOLE]


def test_home_wait_is_told_of_the_stroke_that_waited_and_stays_in_the_state() -> None:
    bench = ready()
    bench.plant.set_sensor_fault(lambda _seen, _x, _at: False)
    bench.engine.credit()
    bench.engine.credit()
    bench.run_ms(60)
    bench.plant.set_sensor_fault(None)
    bench.run_ms(200)
    assert bench.taken() == [WHOLE._replace(flags=HOME_WAIT), WHOLE._replace(index=1)]
    assert bench.engine.poll() == IDLE | ENABLED | HOME_WAIT


def test_a_withdrawn_stroke_does_not_begin_when_home_is_seen_at_last() -> None:
    bench = ready()
    bench.plant.set_sensor_fault(lambda _seen, _x, _at: False)
    bench.engine.credit()
    assert bench.engine.withdraw() == 1
    bench.plant.set_sensor_fault(None)
    bench.run_ms(100)
    assert bench.plant.report().total.begun == 0
    assert bench.engine.poll() & IDLE


def test_the_stroke_program_takes_its_time_for_every_word() -> None:
    """A delay shorter than its own instructions is as long as they are."""
    assert evaluate(read_table(pack([3 << 1 | 1, 25_000 << 1])), PenParameters()).ticks == 25_000 + WORD_TICKS_MIN


def test_arm_starts_the_evidence_anew() -> None:
    bench = ready()
    bench.engine.credit()
    bench.run_ms(100)
    bench.engine.arm(STEPS, 5)
    assert bench.engine.take() is None
    bench.engine.credit()
    bench.run_ms(100)
    assert bench.taken() == [WHOLE]


def test_what_was_known_of_a_stroke_is_forgotten_when_the_mechanics_change() -> None:
    bench = ready()
    bench.engine.credit()
    bench.run_ms(100)
    bench.plant.set_skin(40.0)
    bench.engine.credit()
    bench.run_ms(100)
    first, second = bench.taken()
    assert first == WHOLE
    assert second.return_step != WHOLE.return_step
    assert bench.plant.report().slips > 0


def test_a_flipped_bit_in_the_table_is_played_as_it_is() -> None:
    bench = ready()
    bench.engine.credit()
    bench.run_ms(100)
    bench.engine.corrupt_table(0)
    bench.engine.credit()
    bench.run_ms(100)
    assert [evidence.net_steps for evidence in bench.taken()] == [0, -2]


def test_the_table_stays_where_it_is_and_is_played_from_there() -> None:
    table = bytearray(TABLE)
    bench = ready(table=table)
    bench.engine.corrupt_table(0)
    assert table != TABLE
    assert table[1:] == TABLE[1:]
    bench.engine.credit()
    bench.run_ms(100)
    table[0] ^= 1
    bench.engine.credit()
    # What a stroke began with it keeps.
    table[0] ^= 1
    bench.run_ms(100)
    assert [evidence.net_steps for evidence in bench.taken()] == [-2, 0]


# --- guards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge_by_edge", [False, True])
def test_the_depth_guard_lets_its_limit_pass_and_cuts_the_next_step(edge_by_edge: bool) -> None:
    exact = ready(limit_steps=STEPS)
    short = ready(limit_steps=STEPS - 1)
    for bench in (exact, short):
        bench.engine.edge_by_edge = edge_by_edge
        bench.engine.credit()
        bench.engine.credit()
        bench.run_ms(200)
    assert exact.taken() == [WHOLE, WHOLE._replace(index=1)]
    assert short.taken() == [StrokeEvidence(0, MARGIN + 5, -1, STEPS, TRIP_DEPTH)]
    assert short.engine.poll() == IDLE | TRIP_DEPTH
    total = short.plant.report().total
    assert total.deepest_um == DEPTH_UM
    assert (total.begun, total.strokes) == (1, 1)
    assert short.plant.position_steps() == -REAR_STEPS


def test_the_depth_guard_cuts_a_stroke_at_full_speed_and_the_coast_is_reported_apart() -> None:
    bench = SimBench()
    bench.ready(stroke_table(2500), STEPS, 1)
    bench.plant.set_limit_um(DEPTH_UM)
    bench.engine.credit()
    bench.run_ms(100)
    report = bench.plant.report()
    assert report.total.deepest_um == DEPTH_UM + STEP_UM
    assert 1800 < report.total.deepest_coast_um < 2000
    assert report.kinds() == {"depth_limit"}


def test_the_depth_guard_saturates() -> None:
    """Retraction beyond home buys no extension: 40 steps back and one more than the limit out are cut."""
    slow = 300 * TICKS_PER_US << 1
    bench = ready(table=pack([slow] * 40 + [slow | 1] * 101 + [slow] * 61), limit_steps=100)
    bench.engine.credit()
    bench.run_ms(100)
    assert bench.engine.poll() & TRIP_DEPTH
    assert bench.taken()[0].net_steps == 61


def test_the_count_guard_cuts_the_stroke_that_is_not_allowed_for() -> None:
    bench = ready(strokes=1)
    bench.engine.credit()
    bench.engine.credit()
    bench.run_ms(200)
    first, second = bench.taken()
    assert first == WHOLE
    assert second == StrokeEvidence(1, -1, -1, 1, TRIP_COUNT)
    assert bench.engine.poll() == IDLE | TRIP_COUNT
    assert bench.plant.report().total.crossings == 1


def test_the_count_guard_is_reloaded_with_an_absolute_number() -> None:
    bench = ready(strokes=1)
    bench.engine.allow(2)
    for _ in range(2):
        bench.engine.credit()
        bench.run_ms(100)
    assert len(bench.taken()) == 2
    bench.engine.credit()
    assert bench.engine.poll() & TRIP_COUNT


@pytest.mark.parametrize("edge", range(0, 2 * STEPS, 97))
def test_the_stop_guard_cuts_at_once_and_stays_latched(edge: int) -> None:
    bench = ready()
    bench.engine.credit()
    bench.engine.credit()
    bench.clock.advance(sum(word >> 1 for word in words_of(TABLE)[:edge]))
    bench.plant.press_stop(True)
    assert bench.engine.poll() == IDLE | TRIP_STOP
    made = bench.taken()
    assert [evidence.flags for evidence in made] == [TRIP_STOP]
    assert made[0].net_steps == min(edge + 1, 2 * STEPS - edge - 1)
    bench.plant.press_stop(False)
    bench.run_ms(200)
    assert bench.engine.poll() == IDLE | TRIP_STOP
    bench.engine.credit()
    bench.run_ms(200)
    report = bench.plant.report()
    assert report.total.begun == 1
    assert report.kinds() == set()
    assert bench.plant.position_steps() == -REAR_STEPS


def test_a_trip_is_cleared_by_arming_again() -> None:
    bench = ready()
    bench.plant.press_stop(True)
    bench.plant.press_stop(False)
    bench.run_ms(50)
    bench.engine.arm(STEPS, 1)
    assert bench.engine.poll() == IDLE | ENABLED


def doubled_once(number: int) -> EdgeFault:
    """Return an edge fault that makes two edges of one: the `number`-th from now."""
    left = number

    def edges(direction: int) -> tuple[int, ...]:
        nonlocal left
        left -= 1
        return (direction, direction) if left == 0 else (direction,)

    return edges


def test_an_extra_edge_on_the_pins_meets_the_guard() -> None:
    bench = ready()
    bench.engine.set_pin_fault(doubled_once(100))
    bench.engine.credit()
    bench.run_ms(100)
    assert bench.engine.poll() == IDLE | TRIP_DEPTH
    assert bench.plant.report().total.deepest_um == DEPTH_UM + STEP_UM


def test_an_extra_edge_on_the_wire_is_seen_by_the_sensor_alone() -> None:
    bench = ready()
    bench.plant.set_wire_fault(doubled_once(100))
    bench.engine.credit()
    bench.run_ms(100)
    assert bench.engine.poll() == IDLE | ENABLED
    assert bench.plant.report().total.deepest_um == DEPTH_UM + STEP_UM
    assert bench.taken() == [WHOLE._replace(return_step=STEPS - MARGIN + 1)]


# --- driver -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_ms", [0, 7, 49])
def test_what_the_driver_says_is_told_when_it_is_asked_and_no_sooner(after_ms: int) -> None:
    bench = ready()
    since_ms = 0
    bench.run_ms(100)
    bench.engine.poll()
    bench.run_ms(after_ms)
    bench.plant.reset_driver()
    while not bench.engine.poll() & DRIVER_RESET:
        bench.run_ms(1)
        since_ms += 1
    assert since_ms == DRIVER_WATCH_TICKS // TICKS_PER_MS - after_ms


def test_the_driver_is_asked_before_it_moves_in_a_homing() -> None:
    bench = SimBench()
    bench.plant.fail_driver(True)
    bench.engine.home(CAP, BACKOFF, MARGIN, HOMING_TICKS)
    assert bench.engine.poll() & DRIVER_FAULT


def test_a_driver_that_was_reset_is_told_until_the_next_arming() -> None:
    bench = ready()
    bench.engine.credit()
    bench.run_ms(20)
    bench.plant.reset_driver()
    bench.run_ms(100)
    assert bench.taken()[0].flags == DRIVER_RESET
    assert bench.engine.poll() & DRIVER_RESET
    bench.home()
    assert not bench.engine.poll() & DRIVER_RESET


def test_a_failed_driver_lets_go_and_is_told() -> None:
    bench = ready()
    bench.engine.credit()
    bench.run_ms(20)
    bench.plant.fail_driver(True)
    bench.run_ms(100)
    assert bench.engine.poll() & DRIVER_FAULT
    assert bench.plant.report().kinds() == set()
    assert bench.plant.position_steps() == -REAR_STEPS


# --- power ------------------------------------------------------------------------------------------------------------


def test_a_new_engine_on_the_old_plant_knows_nothing_and_starts_from_the_rear_stop() -> None:
    bench = ready()
    bench.engine.credit()
    bench.engine.credit()
    bench.run_ms(25)
    bench.engine.shut_down()
    bench.plant.supply(False)
    bench.run_ms(100)
    again = SimBench.__new__(SimBench)
    again.clock, again.plant = bench.clock, bench.plant
    again.plant.supply(True)
    again.engine = type(bench.engine)(bench.clock, bench.plant)
    assert again.engine.poll() == IDLE
    assert again.engine.take() is None
    again.run_ms(1000)
    assert again.plant.report().total.begun == 1
    again.ready(TABLE, STEPS, 1)
    again.engine.credit()
    again.run_ms(100)
    assert again.taken() == [WHOLE]


# --- preconditions ----------------------------------------------------------------------------------------------------


def misuses() -> "dict[str, SimBench]":
    """Return benches in states in which the call that names them is forbidden."""
    busy = ready()
    busy.engine.credit()
    busy.engine.credit()
    away = ready()
    away.plant.set_sensor_fault(lambda _seen, _x, _at: False)
    homed = ready()
    homed.home()
    return {"busy": busy, "away": away, "new": SimBench(), "idle": ready(), "homed": homed}


@pytest.mark.parametrize(
    ("state", "call", "arguments"),
    [
        ("busy", "load", (TABLE,)),
        ("busy", "arm", (STEPS, 1)),
        ("busy", "allow", (1,)),
        ("busy", "credit", ()),
        ("away", "arm", (STEPS, 1)),
        ("new", "credit", ()),
        ("homed", "credit", ()),
        ("idle", "arm", (0, 1)),
        ("idle", "arm", (STEPS, -1)),
        ("idle", "allow", (-1,)),
        ("idle", "load", (b"",)),
        ("idle", "load", (TABLE[:-4],)),
        ("idle", "load", (TABLE[:-1],)),
        ("idle", "load", (b"\0" * 8,)),
        ("idle", "home", (CAP, -1, MARGIN, HOMING_TICKS)),
        ("idle", "home", (CAP, BACKOFF, MARGIN, 0)),
    ],
)
def test_a_broken_precondition_is_raised_and_noted(state: str, call: str, arguments: "tuple[object, ...]") -> None:
    bench = misuses()[state]
    with pytest.raises(PortMisuse):
        getattr(bench.engine, call)(*arguments)
    assert bench.plant.report().kinds() == {"port_misuse"}


def test_credit_needs_a_table() -> None:
    bench = SimBench()
    bench.home()
    bench.engine.arm(STEPS, 1)
    with pytest.raises(PortMisuse, match="without a table"):
        bench.engine.credit()


def test_flash_may_be_written_at_home_and_idle_only() -> None:
    bench = ready()
    bench.engine.flash_operation(7)
    assert bench.plant.report().kinds() == set()
    bench.engine.credit()
    bench.engine.flash_operation(7)
    bench.run_ms(20)
    bench.engine.disarm()
    bench.engine.flash_operation(8)
    found = bench.plant.report().violations
    assert [violation.kind for violation in found] == ["flash_in_motion"] * 2
    assert [dict(violation.numbers)["busy"] for violation in found] == [True, False]
    bench.run_ms(100)
    bench.engine.flash_operation(9)
    assert len(bench.plant.report().violations) == 2
