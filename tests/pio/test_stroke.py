"""The stroke program plays its table to the tick, moves only from home and with the driver on, tells what it did."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore.planner import Plan
from pencore.ports import ENABLED, TRIP_COUNT, TRIP_DEPTH
from pencore.units import Geometry
from pensim.clock import TICKS_PER_MS
from pensim.plant import EdgeFault
from tests.pio.rigs import BACK, BOARD, EMULATORS, OUT, STROKE_PIO, PenRig, Word, stroke, table
from tests.support.sim_bench import SimBench

FASTEST: int = STROKE_PIO.SHORTEST_TICKS
HIGH_TICKS, LOW_TICKS = 36, 84
"""Of the shortest step."""
DIR_TICKS = 34
"""From DIR to the STEP edge that it belongs to."""

delays = st.integers(FASTEST, FASTEST + 60) | st.integers(FASTEST, 4000) | st.integers(FASTEST, 1_000_000)
words = st.lists(st.tuples(delays, st.sampled_from([OUT, BACK])), min_size=1, max_size=12)


def low_ticks(delay: int) -> int:
    """Return how long STEP is low in a step of so many ticks: half of what the shortest lacks, to whole fours."""
    return LOW_TICKS + (delay // 4 - FASTEST // 4) * 2


def pen_at_home(emulator: str, limit_steps: int = 1000, strokes: int = 100) -> PenRig:
    """Return a pen whose sensor is held at home, so that any table may follow any other."""
    pen = PenRig(emulator, limit_steps, strokes)
    pen.sensor = BOARD.HOME_SEEN
    return pen


@pytest.mark.parametrize("emulator", EMULATORS)
@given(played=words)
@settings(max_examples=40)
def test_edges_and_spacing_are_the_table_s(emulator: str, played: list[Word]) -> None:
    pen = pen_at_home(emulator)
    pen.play(played)
    pen.run(sum(delay for delay, _ in played) + 1000)
    assert [direction for _, direction in pen.watch.steps] == [direction for _, direction in played]
    assert pen.watch.intervals() == [delay for delay, _ in played[:-1]]
    highs = [fall - at for (at, _), fall in zip(pen.watch.steps, pen.watch.falls, strict=True)]
    assert highs == [delay - low_ticks(delay) for delay, _ in played]
    assert pen.ended() == 1
    assert (pen.chip.level(BOARD.STEP), pen.chip.level(BOARD.DIR)) == (0, 0)


@pytest.mark.parametrize("emulator", EMULATORS)
@given(played=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([OUT, BACK])), min_size=1, max_size=20))
@settings(max_examples=40)
def test_no_table_makes_a_pulse_too_short(emulator: str, played: list[Word]) -> None:
    """Delays too short to be kept are played slower than asked, by little more than the shortest interval, never
    faster.
    """
    pen = pen_at_home(emulator)
    played = [word for word in played if any(word)]
    pen.play(played)
    pen.run(1000 * (len(played) + 1))
    watch = pen.watch
    assert len(watch.steps) == len(played)
    for (at, _), fall in zip(watch.steps, watch.falls, strict=True):
        assert fall - at >= HIGH_TICKS
    for (at, _), fall in zip(watch.steps[1:], watch.falls, strict=False):
        assert at - fall >= LOW_TICKS
    for (delay, _), interval in zip(played, watch.intervals(), strict=False):
        assert interval == (delay if delay >= FASTEST else FASTEST + 4 + delay)
    rises = [at for at, _ in watch.steps]
    for turn, _ in watch.turns:
        assert all(not 0 <= at - turn < DIR_TICKS and not 0 <= turn - at < HIGH_TICKS for at in rises)


def keeping(edges: list[tuple[int, int, int]]) -> Callable[[int, int, int], None]:
    """Return what keeps every change of a pad."""
    return lambda pin, level, at: edges.append((at, pin, level))


@given(played=st.lists(words, min_size=1, max_size=3), home=st.integers(0, 20_000), stop=st.integers(0, 200_000))
@settings(max_examples=25)
def test_both_emulators_agree_on_every_edge_of_every_pin(played: list[list[Word]], home: int, stop: int) -> None:
    """Whole runs of both blocks: home late, a guard that trips or a stop somewhere."""
    seen = []
    for emulator in EMULATORS:
        pen = PenRig(emulator, 4, 2)
        edges: list[tuple[int, int, int]] = []
        pen.sensor = BOARD.HOME_SEEN
        pen.chip.on_edge = keeping(edges)
        pen.chip.drive(BOARD.HOME, 1)
        pen.chip.after(home, partial(pen.chip.drive, BOARD.HOME, 0))
        pen.chip.after(stop, partial(pen.chip.drive, BOARD.STOP, 1))
        for one in played:
            pen.play(one)
        pen.run(300_000)
        seen.append((edges, pen.guards.bits(), pen.at(), pen.ended(), bytes(pen.samples[: pen.sampled])))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("emulator", EMULATORS)
def test_leaping_over_delays_changes_nothing(emulator: str) -> None:
    seen = []
    for leaping in (True, False):
        pen = pen_at_home(emulator, 4, 2)
        pen.chip.leaping = leaping
        for _ in range(3):
            pen.play([(700, OUT), (FASTEST, OUT), (1501, OUT), (1000, BACK), (10, BACK), (2000, BACK)])
        pen.run(30_000)
        seen.append((pen.watch.steps, pen.watch.falls, pen.watch.turns, pen.watch.switched, pen.at()))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("emulator", EMULATORS)
@given(wait=st.integers(0, 100_000))
@settings(max_examples=15)
def test_no_home_no_motion(emulator: str, wait: int) -> None:
    pen = pen_at_home(emulator)
    pen.chip.drive(BOARD.HOME, 1 - BOARD.HOME_SEEN)
    pen.run(10)
    pen.play(stroke(3, 200))
    pen.run(wait + 100)
    assert pen.watch.steps == []
    assert pen.watch.turns == []
    assert pen.at() == STROKE_PIO.WAIT_AT
    began = pen.chip.now
    pen.chip.drive(BOARD.HOME, BOARD.HOME_SEEN)
    pen.run(3000)
    assert len(pen.watch.steps) == 6
    assert pen.watch.steps[0][0] - began < 100


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_wait_for_home_that_lasts_can_be_seen(emulator: str) -> None:
    """After 50 ms the machine still stands at the wait, and nowhere else: that is what an engine asks for HOME_WAIT."""
    pen = pen_at_home(emulator)
    pen.run(50)
    assert pen.at() == STROKE_PIO.WAIT_AT - 1, "without a stroke it waits for words, not for home"
    pen.chip.drive(BOARD.HOME, 1 - BOARD.HOME_SEEN)
    pen.play(stroke(3, 200))
    pen.run(50 * TICKS_PER_MS)
    assert pen.at() == STROKE_PIO.WAIT_AT


@pytest.mark.parametrize("emulator", EMULATORS)
def test_homing_enters_where_home_is_not_asked_for(emulator: str) -> None:
    pen = pen_at_home(emulator)
    pen.sensor = 1 - BOARD.HOME_SEEN
    pen.chip.drive(BOARD.HOME, pen.sensor)
    pen.run(50)
    pen.player.active(0)
    pen.player.exec(pen.chip.place(0, STROKE_PIO.stroke) + STROKE_PIO.ANYWHERE_AT)
    pen.player.active(1)
    pen.play([(300, BACK)] * 5)
    pen.run(3000)
    assert len(pen.watch.steps) == 5
    assert pen.ended() == 1
    pen.play([(300, BACK)] * 5)
    pen.run(3000)
    assert len(pen.watch.steps) == 5, "the next table waits for home again"


@pytest.mark.parametrize("emulator", EMULATORS)
def test_nothing_moves_while_the_driver_is_off(emulator: str) -> None:
    """Off before a stroke, or in it: no further edge, and none when the driver comes on again, until initialised."""
    for wait in (0, 900):
        pen = pen_at_home(emulator)
        if wait:
            pen.play(stroke(5, 200))
            pen.run(wait)
        made = len(pen.watch.steps)
        assert bool(made) == bool(wait)
        pen.guards.off()
        pen.play(stroke(5, 200))
        pen.run(5000)
        assert len(pen.watch.steps) <= made + 1
        assert pen.at() == STROKE_PIO.OFF_AT
        made = len(pen.watch.steps)
        pen.guards.load(100, 100)
        pen.run(5000)
        assert pen.guards.bits() == ENABLED
        assert len(pen.watch.steps) == made
        pen.begin()
        pen.play(stroke(5, 200))
        pen.run(5000)
        assert len(pen.watch.steps) == made + 10


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_hung_cpu_leaves_exactly_what_was_queued(emulator: str) -> None:
    """Nobody takes the ends or the samples: both strokes are made, the machine waits for words, STEP and DIR low."""
    pen = PenRig(emulator, 10, 2)
    pen.chip.sinks.clear()
    pen.play(stroke(10, 300))
    pen.play(stroke(10, 300))
    pen.run(50_000)
    assert len(pen.watch.steps) == 40
    assert pen.net == 0
    assert pen.player.rx_fifo() == 2
    assert pen.at() == STROKE_PIO.WAIT_AT - 1
    assert (pen.chip.level(BOARD.STEP), pen.chip.level(BOARD.DIR)) == (0, 0)


@pytest.mark.parametrize("emulator", EMULATORS)
def test_ends_that_nobody_takes_hold_up_no_stroke(emulator: str) -> None:
    """More tables than the FIFO has room for ends: each is played whole."""
    pen = PenRig(emulator, 10, 7)
    for _ in range(7):
        pen.play(stroke(3, 200))
    pen.run(20_000)
    assert len(pen.watch.steps) == 42
    assert pen.player.rx_fifo() == 4


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_queued_stroke_follows_within_its_gap(emulator: str) -> None:
    pen = PenRig(emulator, 10, 2)
    made = stroke(10, 300)
    pen.play(made)
    pen.play(made)
    pen.run(20_000)
    intervals = pen.watch.intervals()
    assert intervals[len(made) - 1] == 300 + STROKE_PIO.GAP_TICKS
    assert intervals[: len(made) - 1] == intervals[len(made) :] == [300] * (len(made) - 1)


def losing(steps: int) -> EdgeFault:
    """Return a wire to the driver that loses the first retraction steps."""
    left = steps

    def passed(turn: int) -> tuple[int, ...]:
        nonlocal left
        if turn < 0 and left:
            left -= 1
            return ()
        return (turn,)

    return passed


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("lost", [0, 1, 8, 9, 30])
def test_steps_lost_in_the_first_of_two_credited_strokes(emulator: str, lost: int) -> None:
    """A needle that is not home at the end starts no second stroke; one that is tells what it lost.

    The sensor comes on 8 steps from home. The pads saw every step, so that the net is 0 throughout.
    """
    pen = PenRig(emulator, 40, 2)
    pen.plant.set_wire_fault(losing(lost))
    pen.play(stroke(40, 60_000))
    pen.play(stroke(40, 60_000))
    pen.run(11_000_000)
    assert pen.guards.bits() == ENABLED
    if lost <= 8:
        assert len(pen.watch.steps) == 160
        assert pen.evidence(0, 80) == (13, 32 + lost, 0)
        assert pen.evidence(80, 160) == (13 - lost, 32 + lost, 0)
        assert pen.ended() == 2
    else:
        assert len(pen.watch.steps) == 80
        assert pen.evidence(0, 80) == (13, -1, 0)
        assert pen.ended() == 1
        assert pen.at() == STROKE_PIO.WAIT_AT


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_planned_stroke_moves_the_needle_and_tells_as_the_virtual_engine_does(emulator: str) -> None:
    """A real table on the plant: depth, edges, times and evidence are those of the simulator's engine."""
    geometry = Geometry()
    plan = Plan(500, 10, geometry)
    while not plan.advance(1000):
        pass
    bench = SimBench()
    bench.engine.home(1440, 120, geometry.home_margin_steps, 25_000)
    bench.run_ms(1000)
    bench.engine.load(plan.table)
    bench.engine.arm(plan.steps, 2)
    bench.engine.credit()
    bench.run_ms(200)
    wanted = bench.engine.take()
    assert wanted is not None

    pen = PenRig(emulator, plan.steps, 1)
    pen.dma.send(plan.table)
    pen.run(plan.period_ticks + 1000)
    assert len(pen.watch.steps) == 2 * plan.steps
    last = int.from_bytes(plan.table[-8:-4], "little") >> 1
    high = pen.watch.falls[-1] - pen.watch.steps[-1][0]
    assert sum(pen.watch.intervals()) + high + low_ticks(last) == plan.period_ticks
    assert pen.evidence(0, pen.sampled) == (wanted.clear_step, wanted.return_step, wanted.net_steps)
    pen.clock.run_until(pen.chip.now)
    report = pen.plant.report()
    assert report.total.deepest_um == geometry.depth_um(plan.steps)
    assert (report.total.strokes, report.slips, report.violations) == (1, 0, ())
    assert pen.ended() == 1
    assert pen.guards.bits() == ENABLED
    pen.dma.send(plan.table)
    pen.run(plan.period_ticks)
    assert pen.guards.bits() == TRIP_COUNT
    assert len(pen.watch.steps) == 2 * plan.steps


@pytest.mark.parametrize("emulator", EMULATORS)
def test_one_flipped_bit_of_a_real_table_costs_one_microstep_at_most(emulator: str) -> None:
    """The first retracting word turned round: the step past the limit is made under power, and nothing after it."""
    geometry = Geometry()
    plan = Plan(500, 10, geometry)
    while not plan.advance(1000):
        pass
    plan.table[4 * plan.steps] ^= 1
    pen = PenRig(emulator, plan.steps, 1)
    pen.dma.send(plan.table)
    pen.run(plan.period_ticks)
    pen.clock.run_until(pen.chip.now)
    assert pen.guards.bits() == TRIP_DEPTH
    assert len(pen.watch.steps) == plan.steps + 1
    assert pen.plant.report().total.deepest_um <= geometry.depth_um(plan.steps + 1)
    assert pen.plant.home_seen(), "the spring has retracted it"


def test_the_table_helper_writes_what_the_planner_does() -> None:
    plan = Plan(500, 10, Geometry())
    while not plan.advance(1000):
        pass
    words = [int.from_bytes(plan.table[at : at + 4], "little") for at in range(0, len(plan.table), 4)]
    assert table((word >> 1, word & 1) for word in words[:-1]) == plan.table
