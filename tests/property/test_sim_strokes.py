"""Whole strokes at once and edge by edge are the same: same needle, same evidence, same times, whatever happens."""

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pensim.clock import TICKS_PER_MS, TICKS_PER_US
from pensim.mechanics import PenParameters
from pensim.stroke import StrokeBook, evaluate, read_table
from tests.support.sim_bench import SimBench, pack, steps_of, stroke_table, words_of

BOOK = StrokeBook()
GLANCE_TICKS = 3 * TICKS_PER_MS + 17
SPAN_MS = 260
GAP_US = sum(word >> 1 for word in words_of(stroke_table(1500))) // TICKS_PER_US + 5
"""Between two queued strokes to 1.5 mm: the first is over, the second's first edge has yet to come."""


@dataclass(frozen=True)
class Script:
    """A table, guards, and at most one thing that happens at a tick after the first credit."""

    table: bytes
    limit_steps: int
    strokes: int
    event: str
    at_us: int
    limit_um: float | None = None


def happen(bench: SimBench, event: str) -> None:
    """Let the event of a script happen now."""
    plant, engine = bench.plant, bench.engine
    if event == "stop":
        plant.press_stop(True)
    elif event == "disarm":
        engine.disarm()
    elif event == "supply":
        engine.shut_down()
        plant.supply(False)
    elif event == "lose":
        plant.lose_steps(1)
    elif event == "reset":
        plant.reset_driver()
    elif event == "blind":
        plant.set_sensor_fault(lambda _seen, _x, _at: False)
    elif event == "skin":
        plant.set_skin(2.0)
    elif event == "label":
        plant.label("next")
    elif event == "mark":
        plant.mark()
    elif event == "withdraw":
        engine.withdraw()
    elif event == "home":
        engine.home(1440, 120, 8, 25_000)


EVENTS = ("", "stop", "disarm", "supply", "lose", "reset", "blind", "skin", "label", "mark", "withdraw", "home")


def play(script: Script, edge_by_edge: bool) -> tuple[list[Any], int]:
    """Return all that can be seen of a script, and how many strokes went the short way."""
    bench = SimBench(book=BOOK)
    bench.engine.edge_by_edge = edge_by_edge
    bench.plant.set_limit_um(script.limit_um)
    bench.ready(script.table, script.limit_steps, script.strokes)
    seen: list[Any] = []
    begin = bench.clock.now
    event_at = begin + script.at_us * TICKS_PER_US if script.event else None
    bench.engine.credit()
    bench.engine.credit()
    glance = begin
    credited = 2
    while glance < begin + SPAN_MS * TICKS_PER_MS:
        glance += GLANCE_TICKS
        if event_at is not None and event_at <= glance:
            bench.clock.run_until(event_at)
            happen(bench, script.event)
            seen.append((script.event, bench.engine.poll(), bench.engine.queued()))
            event_at = None
        bench.clock.run_until(glance)
        taken = bench.taken()
        seen.append((bench.engine.poll(), bench.engine.queued(), bench.plant.home_seen(), taken))
        if script.event in ("", "skin", "label") and credited < 4 and bench.engine.queued() < 2:
            bench.engine.credit()
            credited += 1
    seen.append(bench.plant.position_steps())
    seen.append(bench.plant.report())
    seen.append(bench.plant.report(since_mark=True))
    return seen, bench.engine.short_strokes


def random_table(seed: int) -> bytes:
    """Return a table of one of several kinds: clean, too fast, torn, of random runs of steps."""
    rng = random.Random(seed)
    kind = rng.randrange(5)
    clean = stroke_table(
        rng.randrange(100, 2700, 10),
        rng.choice([20.0, 60.0, 100.0, 100.0, 130.0, 160.0]),
        rng.choice([10.0, 30.0, 30.0, 45.0, 70.0]),
        rest_us=rng.choice([1000, 1000, 60_000]),
    )
    words = list(words_of(clean))
    if kind <= 1:
        return clean
    if kind == 2:
        for _ in range(rng.randrange(1, 4)):
            words[rng.randrange(len(words))] ^= 1 << rng.choice([0, 0, 3, 12, 20])
    elif kind == 3:
        at = rng.randrange(len(words))
        words[at : at + rng.randrange(1, 40)] = words[at : at + 1] * rng.randrange(0, 60)
    else:
        words = []
        while len(words) < 600:
            delay = rng.choice([0, 20, 2000, 4000, 12_000, 30_000, 60_000])
            words += [delay << 1 | (rng.random() < 0.55)] * rng.randrange(1, 90)
    return pack([word or 1 for word in words] or [25_001])


scripts = st.builds(
    Script,
    table=st.integers(0, 2**32).map(random_table),
    limit_steps=st.sampled_from([120, 400, 800, 1200, 1300]),
    strokes=st.sampled_from([1, 2, 10, 10, 10]),
    event=st.sampled_from(EVENTS),
    at_us=st.integers(0, 200_000),
    limit_um=st.sampled_from([None, None, 500.0, 1500.0]),
)


@settings(max_examples=120, deadline=None)
@given(scripts)
@example(Script(stroke_table(1500), 800, 10, "", 0))
@example(Script(stroke_table(1500), 800, 10, "", 0, 1500.0))
@example(Script(stroke_table(1500), 800, 10, "", 0, 1497.5))
@example(Script(stroke_table(1500), 799, 10, "", 0))
@example(Script(stroke_table(1500, a_m_s2=60.0), 800, 10, "", 0))
@example(Script(stroke_table(2600), 1300, 10, "", 0))
@example(Script(stroke_table(2700), 1300, 10, "", 0))
@example(Script(stroke_table(1500), 800, 10, "stop", 17_000))
@example(Script(stroke_table(1500), 800, 1, "disarm", 48_873))
@example(Script(stroke_table(1500), 800, 10, "label", 60_000))
@example(Script(stroke_table(1500), 800, 10, "mark", 15_000))
@example(Script(stroke_table(1500), 800, 10, "stop", GAP_US))
@example(Script(stroke_table(1500), 800, 10, "label", GAP_US))
def test_both_ways_are_the_same(script: Script) -> None:
    slow, none = play(script, True)
    fast, _ = play(script, False)
    assert fast == slow
    assert none == 0


def test_the_short_way_is_taken_where_it_can_be_and_nowhere_else() -> None:
    def short(depth_um: float = 1500, limit_um: float | None = None, limit_steps: int = 800, a: float = 30.0) -> int:
        return play(Script(stroke_table(depth_um, a_m_s2=a), limit_steps, 10, "", 0, limit_um), False)[1]

    assert short() == 4
    assert short(limit_um=1500.0) == 4
    assert short(limit_um=1499.0) == 0
    assert short(limit_steps=799) == 0
    assert short(a=60.0) == 0
    assert play(Script(stroke_table(1500), 800, 10, "stop", 60_000), False)[1] == 2
    assert play(Script(stroke_table(1500), 800, 10, "skin", 30_000), False)[1] >= 3


@settings(max_examples=60, deadline=None)
@given(
    depth_um=st.integers(100, 2500),
    v_mm_s=st.floats(5.0, 100.0),
    a_m_s2=st.floats(2.0, 30.0),
    dwell_us=st.integers(0, 20_000),
    skin=st.floats(0.0, 1.5),
)
def test_whatever_is_within_the_envelope_is_followed_exactly(
    depth_um: int, v_mm_s: float, a_m_s2: float, dwell_us: int, skin: float
) -> None:
    table = stroke_table(depth_um, v_mm_s, a_m_s2, dwell_us)
    outcome = evaluate(read_table(table), PenParameters(skin_n_per_mm=skin))
    assert outcome.whole
    assert outcome.slips == 0
    assert outcome.depth_um == steps_of(depth_um) * 2.5 - 500
    assert outcome.ticks == sum(word >> 1 for word in words_of(table))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_needle_never_passes_the_mechanical_stop(seed: int) -> None:
    outcome = evaluate(read_table(random_table(seed)), PenParameters())
    assert outcome.depth_um <= PenParameters().stop_um
    assert outcome.end_steps >= -PenParameters().rear_um / 2.5
