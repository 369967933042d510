"""A short session on the whole chip and on the virtual pen: one record. On the chip twice: one run, to the cycle."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from pencore import wire
from pensim.chip.copies import in_copy
from pensim.clock import TICKS_PER_S
from tests.chip import moves
from tests.chip.bench import ChipBench
from tests.chip.moves import Moves
from tests.support import profiles
from tests.support.bench import Bench, Watch

pytestmark = pytest.mark.chip

ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 200, 8, 30),
    (profiles.CHEEK, profiles.RIGHT, 400, 5, 25),
    (profiles.FOREHEAD, profiles.NONE, 150, 4, 20),
)
OF_TIME = {"start_s", "end_s", "calibration_s"}
OF_THE_BUILD = {"build"}
OF_BOTH = {"previous", "digest"}
"""The digest is made of the others; what comes before the first record is zeros."""


class Told(NamedTuple):
    """What is known of a session: its record but for times and build, and the needle's strokes and deepest points."""

    record: Mapping[str, Any]
    elapsed_s: int
    took_s: float
    needle: Mapping[str, tuple[int, float]]


def play(pen: Watch) -> Told:
    """Play a session with a burst that is broken off, a zone chosen by hand, and one that ends by itself."""
    pen.load_new(ZONES)
    pen.arm(0)
    began = pen.clock.now
    # Two presses: whichever stroke the release falls into, the zone's budget is spent in the end.
    pen.stroke_for(230)
    pen.play_zone()
    assert pen.status()["left"][0] == 0
    pen.select(2)
    pen.stroke_for(180)
    pen.select(1)
    pen.play_zone()
    pen.finish_session()
    took_s = (pen.clock.now - began) / TICKS_PER_S
    pen.pull()
    pen.check(exact=True)
    sealed = pen.sealed[1]
    fields = dict(vars(sealed))
    elapsed_s = fields["end_s"] - fields["start_s"]
    for name in OF_TIME - {"start_s"} | OF_THE_BUILD | OF_BOTH:
        del fields[name]
    fields["zones"] = [vars(zone) for zone in sealed.zones]
    tallies = pen.plant.report().labels
    needle = {name: (tally.strokes, tally.deepest_um) for name, tally in tallies.items() if name}
    return Told(fields, elapsed_s, took_s, needle)


def test_a_session_on_the_chip_leaves_the_record_that_it_leaves_on_the_virtual_pen(safe_pen: ChipBench) -> None:
    on_chip = in_copy(lambda: play(safe_pen))
    virtual = play(Bench(setup=safe_pen.setup))
    assert on_chip.record == virtual.record
    assert on_chip.needle == virtual.needle
    assert on_chip.needle == {"1.0": (8, 200.0), "1.1": (5, 400.0), "1.2": (4, 150.0)}
    # Its time goes from the first reservation to the seal, in whole seconds; the chip takes longer for all of it.
    for told in (on_chip, virtual):
        assert told.took_s - 2 < told.elapsed_s <= told.took_s


def run_once(pen: ChipBench) -> tuple[str, str, int, int]:
    """Make a few strokes; return the digests of all edges and of the flash, the edges' number and the last tick."""
    edges = hashlib.sha256()
    moved = Moves(pen)
    # Until the first one: who lets go while they are reserved, up to 140 ms, makes none.
    pen.running()
    pen.run_ms(60)
    pen.release()
    assert pen.wait_for(wire.PAUSED)
    pen.run_ms(200)
    for edge in moved.edges:
        edges.update(b"%d %d\n" % edge)
    for at, on in moved.switched:
        edges.update(b"%d %d\n" % (at, on))
    flash = hashlib.sha256(pen.image.to_bytes()).hexdigest()
    return edges.hexdigest(), flash, len(moved.edges), pen.clock.now


def test_two_runs_are_the_same_to_the_cycle(armed_pen: ChipBench) -> None:
    first, again = in_copy(lambda: run_once(armed_pen)), in_copy(lambda: run_once(armed_pen))
    assert first == again
    assert first[2] > 500


def test_each_step_has_its_very_tick_and_each_stroke_follows_at_once(armed_pen: ChipBench) -> None:
    def trial() -> None:
        moved = Moves(armed_pen)
        armed_pen.stroke_for(330)
        strokes = moved.strokes()
        assert len(strokes) > 5
        moves.check_timing(strokes, moves.planned(armed_pen, 0), seamless=True)

    in_copy(trial)
