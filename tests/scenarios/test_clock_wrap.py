"""The pen's millisecond counter wraps in the midst of everything, and nothing is different.

MicroPython's small integers end at 2**30, signed 32-bit numbers at 2**31, the counter itself at 2**32.
"""

from functools import cache
from typing import Any

import pytest

from pencore import faults, wire
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 150, 53, 30),
    (profiles.CHEEK, 0, 300, 6, 25),
)
EDGES = {"2^30": 2**30, "2^31": 2**31, "2^32": 2**32}

Trace = tuple[Any, ...]


def played(start_ms: int) -> Trace:
    """Play a session with a pause, a lost lease, a stop and a resumption; return all that can be told of it."""
    pen = Bench(start_ms=start_ms)
    pen.may_coast = True
    pen.load_new(ZONES)
    pen.arm()
    pen.stroke_for(300)
    pen.press()
    pen.run_ms(2700)
    lapsed = pen.indicator.shown
    pen.release()
    pen.arm()
    pen.stroke_for(200)
    pen.send(b"\x18")
    pen.run_ms(100)
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()
    states = [
        (note.name, note.values["state"], note.values.get("code")) for note in pen.notes if note.name != "telemetry"
    ]
    tallies = [(name, tally.begun, tally.deepest_um) for name, tally in pen.plant.report().labels.items()]
    return lapsed, states, tallies, pen.clock.now, pen.sealed_data[1], pen.snapshot_flash()


@cache
def plain() -> Trace:
    """Return the trace of a pen that was just switched on."""
    return played(0)


def test_the_plain_session_has_everything_in_it() -> None:
    lapsed, states, tallies, _, _, _ = plain()
    assert lapsed == (wire.LOADED, faults.LEASE_EXPIRED)
    assert {state for _, state, _ in states} >= {wire.ARMED, wire.RUNNING, wire.PAUSED, wire.FAULT, wire.SEALING}
    assert sum(begun for _, begun, _ in tallies) == 59


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("before_ms", [1, 50, 333, 700, 1000, 1500, 1999, 2500, 3100, 4500, 5200, 6000, 7000])
def test_a_session_across_the_edge_is_the_same_session(edge: str, before_ms: int) -> None:
    assert played(EDGES[edge] - before_ms) == plain()


@pytest.mark.parametrize("edge", EDGES)
def test_a_trigger_held_since_power_up_across_the_edge_starts_nothing(edge: str) -> None:
    pen = Bench(start_ms=EDGES[edge] - 400)
    pen.press()
    pen.load_new(ZONES)
    pen.hold(600)
    assert pen.refusal("arm", zone=None) == faults.TRIGGER_HELD
    pen.check()
