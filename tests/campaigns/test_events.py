"""The events campaign tells a pen that loses count after a fault, and one that dies of it."""

import os

import pytest

from pensim.bench import Bench
from pensim.faults import ALL, CLASSES, kind_of
from pensim.faults.power import PowerCut
from tests.campaigns import events, events_model
from tests.campaigns.events import EVENTS, firsts, instances, recorded
from tests.campaigns.forked import Lost, tried
from tests.campaigns.frame import Size


def at(name: str) -> int:
    """Return the number of the visit's first event of a name."""
    return next(moment.number for moment in recorded() if moment.name == name)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do no more than a few faults at each event: what all of them come to is seen where nothing is broken."""
    names = ("power-cut/0", "power-cut/1", "wire-drop/0", "lost-steps/0", "laptop-clock-wrong/0")
    chosen = {name: instances()[name] for name in names}
    monkeypatch.setattr(events, "instances", lambda: chosen)


def test_the_visit_has_every_kind_of_event_and_no_kind_of_fault_is_left_out() -> None:
    names = {moment.name for moment in recorded()}
    for state in ("SAFE", "LOADED", "HOMING", "ARMED", "RUNNING", "PAUSED", "SEALING"):
        assert f"{state} reached" in names
    for event in ("a stroke begins", "a stroke turns", "a stroke ends", "flash program", "a line to the pen"):
        assert f"RUNNING {event}" in names
    assert {"ARMED the trigger is pressed", "HOMING a line from the pen", "SEALING flash erase"} <= names
    assert {type(each) for each in instances().values()} == {type(each) for each in firsts().values()} == set(ALL)
    assert {kind.CLASS for kind in ALL} == set(CLASSES)
    plan = EVENTS.planned(Size.COMMIT, 1)
    assert plan.total == len(recorded()) * len(instances()) > 5000


def test_the_model_speaks_of_faults_that_there_are() -> None:
    assert all(kind_of(name) for name in events_model.MODEL)
    assert events_model.after("wire-drop") == events_model.After()
    both = events_model.after("flash-rolled-back").and_then(events_model.after("cpu-hang"))
    assert (both.counts, both.goes_on, both.unasked) == (False, False, 2)


def test_a_sound_pen_breaks_nothing() -> None:
    shard = at("RUNNING a stroke turns") // 3 * 3
    done = EVENTS.play(str(shard), Size.COMMIT, 1, None)
    assert done.violations == []
    assert done.cases + done.void == 3 * len(instances())
    assert set(done.counts) >= {"power-cut", "wire-drop", "lost-steps", "cpu-hang", "stop-hammered"}


@pytest.mark.usefixtures("few")
def test_a_pen_that_strokes_once_more_is_told_shrunk_and_seen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = PowerCut.apply

    def twitching(fault: PowerCut, bench: Bench) -> None:
        bench.plant.oracle.stroke_begun(bench.plant.clock.now)
        sound(fault, bench)

    monkeypatch.setattr(PowerCut, "apply", twitching)
    first = at("LOADED reached")
    done = EVENTS.play(str(first // 3 * 3), Size.COMMIT, 1, None)
    assert {violation.case.split(":")[1] for violation in done.violations} == {"power-cut/0", "power-cut/1"}
    again = EVENTS.replay(f"{first}:power-cut/0", 1)
    assert again is not None
    assert "no_consent" in again.what
    assert again.trace[0].endswith("LOADED reached")
    assert "power-cut for_ms=200" in again.trace[1]
    of_two = EVENTS.replay(f"{first}:laptop-clock-wrong/0:{first + 1}:power-cut/0", 1)
    assert of_two is not None
    assert any("takes no more than" in line and "clock" not in line for line in of_two.trace)


@pytest.mark.usefixtures("few")
def test_a_fault_that_kills_the_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PowerCut, "apply", lambda _self, _bench: os._exit(9))
    shard = at("ARMED reached") // 3 * 3
    done = EVENTS.play(str(shard), Size.COMMIT, 1, None)
    assert {violation.case.split(":")[1] for violation in done.violations} == {"power-cut/0", "power-cut/1"}
    assert all("exit code 9" in violation.what for violation in done.violations)


def test_nightly_pairs_go_on_after_the_first_fault() -> None:
    turning = [moment.number for moment in recorded() if moment.turning]
    plan = EVENTS.planned(Size.NIGHTLY, 1)
    assert len(plan.shards) == len(turning) * len(ALL)
    assert EVENTS.replay(f"{turning[5]}:power-cut/0:{turning[5] + 4}:wire-drop/0", 1) is None
    assert EVENTS.planned(Size.RELEASE, 1).total == 0


@pytest.mark.parametrize("case", ["1:no-fault/0", "9999:power-cut/0", "x"])
def test_a_name_of_no_case_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match="event"):
        EVENTS.replay(case, 1)


def test_what_a_copy_raises_and_that_it_dies_reaches_the_original() -> None:
    assert tried(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        tried(lambda: 1 // len(""))
    with pytest.raises(Lost, match="exit code 4"):
        tried(lambda: os._exit(4))
