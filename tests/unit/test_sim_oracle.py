"""The oracle: what it counts, under which name, and what it calls a violation."""

import pytest

from pensim.clock import TICKS_PER_MS, TICKS_PER_US
from pensim.oracle import ConsentRule, LeaseRule
from tests.support.sim_bench import STEP_UM, SimBench, steps_of, stroke_table, words_of

DEPTH_UM = 1000
STEPS = steps_of(DEPTH_UM)
TABLE = stroke_table(DEPTH_UM)


def ready() -> SimBench:
    bench = SimBench()
    bench.ready(TABLE, STEPS, 100)
    return bench


def stroke(bench: SimBench) -> None:
    bench.engine.credit()
    bench.run_ms(60)


def press(bench: SimBench, down: bool, ms: float) -> None:
    bench.plant.press_trigger(down)
    bench.run_ms(ms)


# --- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge_by_edge", [False, True])
def test_strokes_are_counted_under_the_label_of_the_moment(edge_by_edge: bool) -> None:
    bench = ready()
    bench.engine.edge_by_edge = edge_by_edge
    bench.plant.label("nose")
    stroke(bench)
    bench.plant.label("cheek left")
    stroke(bench)
    stroke(bench)
    bench.plant.label("nose")
    stroke(bench)
    report = bench.plant.report()
    assert {name: tally.strokes for name, tally in report.labels.items()} == {"": 0, "nose": 2, "cheek left": 2}
    assert report.labels["nose"].begun == report.labels["nose"].crossings == 2
    assert report.total.strokes == 4
    assert report.labels[""].deepest_um == 0.0


def test_depth_belongs_to_the_label_under_which_it_was_reached() -> None:
    bench = ready()
    bench.plant.label("deep")
    stroke(bench)
    bench.plant.label("shallow")
    bench.engine.load(stroke_table(300))
    stroke(bench)
    labels = bench.plant.report().labels
    assert (labels["deep"].deepest_um, labels["shallow"].deepest_um) == (DEPTH_UM, 300.0)


def test_a_label_in_mid_stroke_takes_the_depth_from_there_on() -> None:
    bench = ready()
    bench.plant.label("first")
    bench.engine.credit()
    bench.run_ms(15)
    depth_um = bench.plant.depth_um()
    bench.plant.label("second")
    bench.run_ms(100)
    labels = bench.plant.report().labels
    assert 0 < labels["first"].deepest_um == depth_um < DEPTH_UM
    assert labels["second"].deepest_um == DEPTH_UM
    assert (labels["first"].crossings, labels["second"].strokes) == (1, 1)


def test_a_mark_starts_a_new_account_and_keeps_the_old_one() -> None:
    bench = ready()
    bench.plant.set_limit_um(DEPTH_UM - 100)
    stroke(bench)
    bench.plant.mark()
    bench.engine.load(stroke_table(300))
    stroke(bench)
    since = bench.plant.report(since_mark=True)
    assert (since.total.strokes, since.total.deepest_um, since.violations) == (1, 300.0, ())
    whole = bench.plant.report()
    assert (whole.total.strokes, whole.total.deepest_um) == (2, DEPTH_UM)
    assert len(whole.violations) == 1


def test_a_stroke_still_out_has_crossed_and_is_not_whole() -> None:
    bench = ready()
    bench.engine.credit()
    bench.run_ms(15)
    total = bench.plant.report().total
    assert (total.begun, total.crossings, total.strokes) == (1, 1, 0)
    assert total.deepest_um == bench.plant.depth_um() > 0


def test_a_stroke_cut_inside_the_nose_has_begun_and_not_crossed() -> None:
    bench = ready()
    bench.engine.credit()
    bench.run_ms(2)
    bench.plant.press_stop(True)
    bench.run_ms(100)
    total = bench.plant.report().total
    assert (total.begun, total.crossings, total.strokes) == (1, 0, 0)
    assert total.deepest_coast_um == 0.0


# --- depth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge_by_edge", [False, True])
def test_a_limit_may_be_reached_and_not_passed_by_a_step(edge_by_edge: bool) -> None:
    for limit_um, kinds in ((DEPTH_UM, set()), (DEPTH_UM - STEP_UM, {"depth_limit"})):
        bench = ready()
        bench.engine.edge_by_edge = edge_by_edge
        bench.plant.set_limit_um(limit_um)
        stroke(bench)
        stroke(bench)
        report = bench.plant.report()
        assert report.kinds() == kinds
        assert len(report.violations) == 2 * len(kinds)


def test_a_passed_limit_tells_when_and_how_deep() -> None:
    bench = ready()
    bench.plant.set_limit_um(600.0)
    begin = bench.clock.now
    stroke(bench)
    (violation,) = bench.plant.report().violations
    edge = steps_of(600) + 1
    assert violation.at == begin + sum(word >> 1 for word in words_of(TABLE)[: edge - 1])
    assert dict(violation.numbers) == {"depth_um": 602.5, "limit_um": 600.0}
    assert str(violation).endswith("s depth_limit depth_um=602.5 limit_um=600")


def test_coasting_past_the_limit_is_another_kind() -> None:
    bench = ready()
    bench.plant.set_limit_um(600.0)
    bench.engine.credit()
    while bench.plant.depth_um() < 500:
        bench.run_ms(0.05)
    bench.plant.press_stop(True)
    bench.run_ms(100)
    report = bench.plant.report()
    assert report.kinds() == {"coast_limit"}
    assert report.total.deepest_um < 600 < report.total.deepest_coast_um


# --- consent ----------------------------------------------------------------------------------------------------------


def watched() -> SimBench:
    bench = ready()
    bench.plant.oracle.watch_consent(ConsentRule())
    return bench


def test_a_fresh_press_is_a_consent() -> None:
    bench = watched()
    bench.run_ms(120)
    press(bench, True, 20)
    stroke(bench)
    stroke(bench)
    assert bench.plant.report().kinds() == set()


@pytest.mark.parametrize(
    ("steps", "fine"),
    [
        ([], False),
        ([(True, 20)], False),
        ([(False, 60), (True, 20)], False),
        ([(False, 120), (True, 20)], True),
        ([(False, 120), (True, 20), (False, 50)], False),
        ([(False, 120), (True, 20), (False, 10)], True),
        ([(False, 120), (True, 500), (False, 60), (True, 20)], False),
        ([(False, 120), (True, 500), (False, 5), (True, 20)], True),
        ([(False, 120), (True, 500), (False, 110), (True, 20)], True),
    ],
)
def test_which_presses_let_a_stroke_begin(steps: list[tuple[bool, float]], fine: bool) -> None:
    bench = watched()
    for down, ms in steps:
        press(bench, down, ms)
    stroke(bench)
    assert bench.plant.report().kinds() == (set() if fine else {"no_consent"})


def test_a_trigger_held_through_homing_is_no_consent() -> None:
    bench = watched()
    bench.run_ms(200)
    press(bench, True, 100)
    bench.ready(TABLE, STEPS, 100)
    stroke(bench)
    assert bench.plant.report().kinds() == {"no_consent"}


def test_arming_another_zone_without_homing_keeps_the_consent_it_found() -> None:
    bench = watched()
    bench.run_ms(120)
    press(bench, True, 20)
    bench.engine.arm(STEPS, 100)
    stroke(bench)
    assert bench.plant.report().kinds() == set()


# --- lease, stop ------------------------------------------------------------------------------------------------------


def test_a_stroke_without_a_host_is_a_violation() -> None:
    bench = ready()
    bench.plant.oracle.watch_lease(LeaseRule())
    bench.plant.oracle.host_heard(bench.clock.now)
    bench.run_ms(1900)
    stroke(bench)
    assert bench.plant.report().kinds() == set()
    bench.run_ms(100)
    stroke(bench)
    (violation,) = bench.plant.report().violations
    assert violation.kind == "no_lease"
    assert dict(violation.numbers)["silent_ms"] == pytest.approx(2060, abs=1)


def test_a_stroke_with_an_open_stop_line_is_a_violation() -> None:
    """The guard prevents it; told of the line without the engine hearing of it, the oracle sees it."""
    bench = ready()
    bench.plant.oracle.stop_line(True)
    stroke(bench)
    assert bench.plant.report().kinds() == {"stop_open"}


def test_needles_may_be_out_for_a_moment_after_a_cut_but_not_for_long() -> None:
    for allowed_ms, kinds in ((100.0, set()), (10.0, {"needle_out"})):
        bench = ready()
        bench.plant.oracle.needle_out_ms = allowed_ms
        bench.engine.credit()
        bench.run_ms(15)
        bench.engine.disarm()
        for _ in range(40):
            bench.clock.advance(500 * TICKS_PER_US)
            bench.plant.report()
        assert bench.plant.report().kinds() == kinds
        assert bench.clock.now > 15 * TICKS_PER_MS
