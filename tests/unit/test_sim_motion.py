"""The plant's physics: what the reference pen can do, what it cannot, and what it does when it is let go."""

from dataclasses import replace

import pytest

from pensim.clock import TICKS_PER_MS, TICKS_PER_US, VirtualClock
from pensim.mechanics import Mechanics, PenParameters
from pensim.motor import Drive
from pensim.plant import Plant
from pensim.stroke import evaluate, read_table
from tests.support.sim_bench import MARGIN, OFFSET_UM, STEP_UM, SimBench, steps_of, stroke_table, words_of

DEPTHS_UM = (500, 1500, 2500)
HYSTERESIS = 4

COAST_MAX_UM = 480.0
"""Furthest a stroke of the reference pen goes on when it is cut at its highest speed."""
RETURN_MAX_MS = 35.0
"""Longest the spring takes to bring the needles from where they were cut back to rest behind home."""


@pytest.mark.parametrize("depth_um", DEPTHS_UM)
def test_a_stroke_at_full_speed_is_followed_exactly(depth_um: int) -> None:
    outcome = evaluate(read_table(stroke_table(depth_um)), PenParameters())
    steps = steps_of(depth_um)
    assert outcome.whole
    assert outcome.slips == 0
    assert outcome.depth_um == depth_um
    assert outcome.end_steps == 0
    assert (outcome.crossings, outcome.strokes) == (1, 1)
    assert outcome.edges == 2 * steps
    assert outcome.clear_step == MARGIN + HYSTERESIS + 1
    assert outcome.return_step == steps - MARGIN


@pytest.mark.parametrize("depth_um", DEPTHS_UM)
@pytest.mark.parametrize(("v_mm_s", "a_m_s2"), [(115.0, 30.0), (100.0, 43.0)])
def test_there_is_margin(depth_um: int, v_mm_s: float, a_m_s2: float) -> None:
    assert evaluate(read_table(stroke_table(depth_um, v_mm_s, a_m_s2)), PenParameters()).whole


@pytest.mark.parametrize("depth_um", DEPTHS_UM)
@pytest.mark.parametrize(("v_mm_s", "a_m_s2"), [(100.0, 60.0), (100.0, 100.0), (150.0, 30.0), (200.0, 30.0)])
def test_too_much_speed_or_acceleration_loses_steps(depth_um: int, v_mm_s: float, a_m_s2: float) -> None:
    outcome = evaluate(read_table(stroke_table(depth_um, v_mm_s, a_m_s2)), PenParameters())
    assert outcome.slips > 0
    assert not outcome.whole


@pytest.mark.parametrize(("part", "follows"), [(0.96, True), (1.04, False)])
def test_what_the_motor_can_follow_ends_where_force_is_mass_times_acceleration(part: float, follows: bool) -> None:
    mechanics = Mechanics(PenParameters())
    most = mechanics.pull(0.0) - mechanics.spring - 20 * mechanics.spring_rate - mechanics.friction
    drive = Drive(mechanics, lambda _x, _at: None)
    assert drive.catch(0.0, 0.0, 0) == 0.0
    exact = True
    for step in range(20):
        at = 1000 + round((2 * step / (part * most)) ** 0.5 / 8e-9)
        exact = drive.step(1, at) == step + 1 and exact
    assert exact == follows


def drive_survives(v_mm_s: float, mechanics: Mechanics) -> bool:
    """Return whether a field that speeds up, runs at `v_mm_s` and stops dead keeps its rotor."""
    speed = v_mm_s * 1000 / STEP_UM
    drive = Drive(mechanics, lambda _x, _at: None)
    drive.catch(0.0, 0.0, 0)
    at = 0
    for step in range(100):
        time_s = 40 / speed * (step / 20) ** 0.5 if step < 20 else (step + 20) / speed
        at = 1000 + round(time_s / 8e-9)
        drive.step(1, at)
    drive.settle(at)
    return drive.slips == 0


def newton_survives(v_mm_s: float, mechanics: Mechanics) -> bool:
    """Return the same from a fine integration of the same forces: the rotor turns back before half a cycle."""
    x, v = 0.0, v_mm_s * 1000 / STEP_UM
    while v > 0.0 and x < mechanics.half_steps:
        v -= (mechanics.pull(v) * x / abs(x or 1.0) * (1 - x / mechanics.half_steps)) * 1e-6
        v -= (mechanics.homeward(x) + mechanics.friction) * 1e-6
        x += v * 1e-6
    return x < mechanics.half_steps


def test_a_field_that_stops_dead_loses_the_rotor_where_newton_says() -> None:
    mechanics = Mechanics(PenParameters())
    speeds = range(30, 100)
    lost = next(v_mm_s for v_mm_s in speeds if not drive_survives(v_mm_s, mechanics))
    expected = next(v_mm_s for v_mm_s in speeds if not newton_survives(v_mm_s, mechanics))
    assert lost == pytest.approx(expected, rel=0.15)


def test_a_weak_motor_loses_steps_where_a_healthy_one_does_not() -> None:
    pullout = tuple((speed, torque * 0.6) for speed, torque in PenParameters().pullout)
    words = read_table(stroke_table(1500))
    assert not evaluate(words, replace(PenParameters(), pullout=pullout)).whole
    assert evaluate(words, PenParameters()).whole


def test_stiff_skin_stalls_the_motor() -> None:
    words = read_table(stroke_table(2500))
    assert evaluate(words, replace(PenParameters(), skin_n_per_mm=4.0)).whole
    assert evaluate(words, replace(PenParameters(), skin_n_per_mm=40.0)).slips > 0


def test_a_jammed_screw_stalls_the_motor() -> None:
    words = read_table(stroke_table(1500))
    assert evaluate(words, replace(PenParameters(), friction_n=6.0)).whole
    assert evaluate(words, replace(PenParameters(), friction_n=19.0)).slips > 0


def test_slow_single_steps_are_always_followed() -> None:
    """Whatever the pauses between them: a field that moves a microstep at a time is never lost."""
    words = tuple((500 + 7919 * index % 90_000) * TICKS_PER_US << 1 | (index % 5 > 1) for index in range(40))
    outcome = evaluate(words, PenParameters())
    assert outcome.slips == 0
    assert outcome.end_steps == outcome.net_steps


def test_lost_steps_are_whole_electrical_cycles() -> None:
    bench = SimBench()
    bench.home()
    for cycles, x in ((1, 32), (2, 96), (-3, 0)):
        bench.plant.lose_steps(cycles)
        assert bench.plant.position_steps() == x


def test_the_mechanical_stop_holds_against_the_motor() -> None:
    """Driven slowly into it, the rotor slips cycle by cycle and the needle stays where the stop is."""
    bench = SimBench()
    bench.home()
    at = bench.clock.now
    for _ in range(1400):
        at += 200 * TICKS_PER_US
        bench.plant.step(1, at)
    bench.plant.settle(at)
    bench.clock.run_until(at)
    report = bench.plant.report()
    assert report.total.deepest_um == PenParameters().stop_um
    assert report.slips == 5
    assert bench.plant.position_steps() <= steps_of(PenParameters().stop_um)


def test_the_rear_stop_pushes_a_lagging_rotor_back_into_step() -> None:
    bench = SimBench()
    bench.home()
    at = bench.clock.now
    for _ in range(64):
        at += 200 * TICKS_PER_US
        bench.plant.step(-1, at)
    bench.plant.settle(at)
    bench.clock.run_until(at)
    assert bench.plant.position_steps() == -PenParameters().rear_um / STEP_UM
    assert bench.plant.report().slips == 1


def test_a_carriage_that_is_held_against_its_stop_lies_still() -> None:
    bench = SimBench()
    bench.home()
    at = bench.clock.now
    for _ in range(32):
        at += 200 * TICKS_PER_US
        bench.plant.step(-1, at)
        assert not bench.plant.at_rest()
    bench.plant.settle(at)
    bench.clock.run_until(at)
    assert bench.plant.position_steps() == -PenParameters().rear_um / STEP_UM
    assert bench.plant.at_rest()
    assert not bench.plant.nominal(), "it doesn't lie where the field would have it"


# --- home sensor ------------------------------------------------------------------------------------------------------


def test_the_home_sensor_has_hysteresis() -> None:
    bench = SimBench()
    bench.home()
    plant = bench.plant
    at = bench.clock.now
    seen = []
    for direction in [1] * 20 + [-1] * 20:
        at += 200 * TICKS_PER_US
        plant.step(direction, at)
        seen.append(plant.home_level(at))
    off = MARGIN + HYSTERESIS
    assert seen[:20] == [step <= off for step in range(1, 21)]
    assert seen[20:] == [step <= MARGIN for step in range(19, -1, -1)]


# --- let go -----------------------------------------------------------------------------------------------------------


def cut_after(depth_um: int, edges: int) -> SimBench:
    """Return a bench whose stroke to `depth_um` was stopped right after so many edges."""
    bench = SimBench()
    table = stroke_table(depth_um)
    bench.ready(table, steps_of(depth_um), 1)
    bench.engine.credit()
    bench.clock.advance(sum(word >> 1 for word in words_of(table)[: edges - 1]))
    bench.plant.press_stop(True)
    return bench


@pytest.mark.parametrize("depth_um", DEPTHS_UM)
def test_a_cut_carriage_coasts_and_comes_home(depth_um: int) -> None:
    """Cut all along the way: coasting is bounded, ends at the stop, is told apart, and the spring brings it home."""
    furthest_um = longest_ms = 0.0
    for edges in range(1, 2 * steps_of(depth_um) + 1, 37):
        bench = cut_after(depth_um, edges)
        bench.run_ms(0.001)
        before = bench.plant.report().total
        begin = bench.clock.now
        while not bench.plant.at_rest():
            bench.run_ms(0.1)
            assert bench.clock.now < begin + 1000 * TICKS_PER_MS
        total = bench.plant.report().total
        assert total.deepest_um == before.deepest_um <= depth_um
        assert total.deepest_coast_um <= PenParameters().stop_um
        assert bench.plant.position_steps() == -PenParameters().rear_um / STEP_UM
        assert bench.plant.home_seen()
        cut_um = min(edges, 2 * steps_of(depth_um) - edges) * STEP_UM - OFFSET_UM
        if edges <= steps_of(depth_um):
            furthest_um = max(furthest_um, total.deepest_coast_um - cut_um if total.deepest_coast_um else 0.0)
        longest_ms = max(longest_ms, (bench.clock.now - begin) / TICKS_PER_MS)
    assert 0.8 * COAST_MAX_UM < furthest_um <= COAST_MAX_UM
    assert 20.0 < longest_ms <= RETURN_MAX_MS


def test_coasting_grows_with_speed() -> None:
    """Half the speed, a quarter of the way: kinetic energy against spring, friction and skin."""
    ways = []
    for v_mm_s in (25.0, 50.0, 100.0):
        bench = SimBench()
        table = stroke_table(1500, v_mm_s)
        bench.ready(table, steps_of(1500), 1)
        bench.engine.credit()
        bench.clock.advance(sum(word >> 1 for word in words_of(table)[:500]))
        at_um = bench.plant.depth_um()
        bench.plant.press_stop(True)
        bench.run_ms(100)
        ways.append(bench.plant.report().total.deepest_coast_um - at_um)
    assert ways[1] == pytest.approx(4 * ways[0], rel=0.1)
    assert ways[2] == pytest.approx(4 * ways[1], rel=0.1)


def test_coasting_does_not_depend_on_who_looks_when() -> None:
    ends = []
    for glance_us in (100_000, 1000, 333, 7):
        bench = cut_after(1500, 600)
        for _ in range(20_000 // glance_us):
            bench.clock.advance(glance_us * TICKS_PER_US)
            bench.plant.position_steps()
        bench.clock.run_until((bench.clock.now // (100 * TICKS_PER_MS) + 1) * 100 * TICKS_PER_MS)
        ends.append(bench.plant.report().total)
    assert ends[1:] == ends[:1] * 3


def test_a_broken_spring_leaves_the_needles_out_and_the_oracle_says_so() -> None:
    bench = cut_after(1500, 700)
    bench.plant.set_parameters(replace(PenParameters(), spring_n=0.0, spring_n_per_mm=0.0, skin_n_per_mm=0.0))
    bench.run_ms(99)
    assert bench.plant.report().kinds() == set()
    bench.run_ms(2)
    assert bench.plant.report().kinds() == {"needle_out"}
    assert bench.plant.depth_um() > 0
    assert bench.plant.at_rest()


def test_a_mended_spring_pushes_from_then_on() -> None:
    bench = cut_after(1500, 700)
    bench.plant.set_parameters(replace(PenParameters(), spring_n=0.0, spring_n_per_mm=0.0, skin_n_per_mm=0.0))
    bench.run_ms(500)
    x = bench.plant.position_steps()
    bench.plant.set_parameters(PenParameters())
    bench.run_ms(1)
    assert x - 20 < bench.plant.position_steps() < x
    bench.run_ms(RETURN_MAX_MS)
    assert bench.plant.home_seen()


def test_the_spring_overcomes_detent_and_friction_at_home() -> None:
    mechanics = Mechanics(PenParameters())
    assert mechanics.homeward(0.0) >= 1.5 * mechanics.breakaway


def test_the_driver_catches_a_resting_carriage_in_the_nearest_place() -> None:
    """The field stands at the beginning of its cycle after power-up; its places are whole cycles apart."""
    for start, place in ((10, 0), (17, 32), (40, 32), (100, 96)):
        bench = SimBench()
        bench.home()
        at = bench.clock.now
        for _ in range(start):
            at += 200 * TICKS_PER_US
            bench.plant.step(1, at)
        bench.plant.settle(at)
        bench.plant.reset_driver()
        assert bench.plant.position_steps() == place
        assert bench.plant.driver_resets == 1


# --- supply and driver ------------------------------------------------------------------------------------------------


def test_the_stop_button_takes_the_motors_supply_by_itself() -> None:
    """Even with an enable that nobody withdraws: no engine here listens to the stop line."""
    plant = Plant(VirtualClock())
    plant.place_nominal()
    for index in range(300):
        plant.step(1, (index + 1) * 200 * TICKS_PER_US)
    plant.clock.run_until(301 * 200 * TICKS_PER_US)
    plant.press_stop(True)
    plant.clock.advance(100 * TICKS_PER_MS)
    assert not plant.energised
    assert plant.position_steps() < 0
    assert plant.driver_resets == 1


def test_a_driver_that_lost_its_supply_starts_again_at_the_beginning_of_its_cycle() -> None:
    """12 microsteps into a cycle the field would hold the carriage at -20; from its start it presses on the rear."""
    bench = SimBench()
    bench.home()
    at = bench.clock.now
    for _ in range(12):
        at += 200 * TICKS_PER_US
        bench.plant.step(1, at)
    bench.clock.run_until(at)
    bench.plant.press_stop(True)
    bench.run_ms(100)
    bench.plant.press_stop(False)
    bench.plant.enable(True, bench.clock.now)
    assert bench.plant.position_steps() == -24
    assert bench.plant.driver_resets == 1


def test_edges_while_the_driver_is_off_move_nothing_and_are_a_violation() -> None:
    plant = Plant(VirtualClock())
    x = plant.position_steps()
    plant.step(1, 0)
    assert plant.position_steps() == x
    assert plant.report().kinds() == {"edge_disabled"}


def test_a_new_pen_rests_at_its_rear_stop_with_home_seen() -> None:
    plant = Plant(VirtualClock())
    assert plant.position_steps() == -PenParameters().rear_um / STEP_UM
    assert plant.home_seen()
    assert plant.at_rest()
    assert not plant.energised
