"""The campaign of hours tells what is broken: bugs are planted in the firmware's logic, found, shrunk and played again.

And an hour of it, for what it reaches: every act, every class of faults; and each kind of fault in a short life.
"""

import re
from collections.abc import Callable

import pytest

from pencore.consent import Trigger
from pencore.runner import Runner
from pencore.session import Session
from pencore.units import Geometry
from pensim import faults
from tests.campaigns import hours, hours_pen
from tests.campaigns.frame import Done, Size, Violation
from tests.campaigns.hours_pen import Broken, Used, play
from tests.campaigns.hours_people import Act, Do, Life, Past
from tests.support import profiles

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, profiles.LEFT, 400, 60, 20), (profiles.NOSE, 0, 200, 20, 10))
CALM = (
    Act(Do.LOAD, (ZONES, 0)),
    Act(Do.READY, 0),
    Act(Do.PRESS, 1500),
    Act(Do.RELEASE, 600),
    Act(Do.READY, 1),
    Act(Do.PRESS, 700),
    Act(Do.RELEASE, 400),
)
"""What somebody does who minds the pen."""
END = (Act(Do.REPAIR), Act(Do.READY, 0), Act(Do.PRESS, 400), Act(Do.RELEASE, 400), Act(Do.FINISH), Act(Do.PULL, True))


def test_two_hours_reach_every_act_and_class_of_fault() -> None:
    done = Done()
    for shard in ("0+1", "1+1"):
        done.add(hours.HOURS.play(shard, Size.COMMIT, 1, None))
    assert done.violations == []
    assert done.cases == 2
    assert done.counts["treatment_s"] >= 2 * hours.HOUR_S > done.counts["stroking_s"] > 0
    assert done.counts["strokes"] > 1000
    assert done.counts["strokes made after a repair"] > 5
    assert {f"did: {act}" for act in Do} <= done.counts.keys()
    for name, kinds in faults.classes().items():
        assert any(f"fault: {kind.NAME}" in done.counts for kind in kinds), name


@pytest.mark.parametrize("past", Past)
def test_a_calm_person_loses_nothing(past: Past) -> None:
    pen = play(Life(past, (*CALM, *END)), 3)
    sealed = pen.sealed[max(pen.sealed)]
    assert sealed.made() == pen.strokes_made() > 30
    assert sum(zone.forfeited for zone in sealed.zones) == 0


@pytest.mark.parametrize("kind", faults.ALL, ids=lambda kind: kind.NAME)
def test_each_kind_of_fault_is_done_and_the_pen_gets_over_it(kind: type[faults.Fault]) -> None:
    for number, fault in enumerate(faults.typical(kind)):
        for moment in (1, 3, 4):
            struck = Act(Do.FAULT, 37 * number, fault)
            acts = (*CALM[:moment], struck, *CALM[moment:], Act(Do.WAIT, 1000), *END)
            pen = play(Life(Past.NEW, acts), number)
            assert pen.figures.get(f"fault: {kind.NAME}", 0) + pen.figures.get("faults that could not be done", 0) == 1


def test_a_pen_that_is_left_alone_for_a_quarter_of_an_hour_is_off() -> None:
    pen = Used(Past.NEW, 1)
    for act in CALM[:4]:
        pen.play(act)
    pen.play(Act(Do.WALK, 905_000))
    assert not pen.plant.energised
    assert hours_pen.seconds(pen.treated) >= 905
    assert pen.stroking < pen.treated // 100


def test_an_exception_that_no_fault_explains_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def abandoned(_self: Runner, _code: int) -> None:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr(Runner, "end_burst", abandoned)
    with pytest.raises(Broken, match="the firmware raised"):
        play(Life(Past.NEW, CALM), 1)


def test_strokes_that_go_on_without_a_host_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    unplugged = Act(Do.FAULT, 0, faults.fault("unplugged", for_ms=0))
    acts = (*CALM[:2], unplugged, Act(Do.PRESS, 2900), Act(Do.RELEASE, 100), *END)
    play(Life(Past.NEW, acts), 1)
    monkeypatch.setattr(Runner, "leased", lambda _self: True)
    with pytest.raises(Broken, match="no_lease"):
        play(Life(Past.NEW, acts), 1)


# --- planted bugs -----------------------------------------------------------------------------------------------------
def _one_more(patch: pytest.MonkeyPatch) -> None:
    """Every zone may make one stroke more than it has."""
    left = Session.left
    patch.setattr(Session, "left", lambda self, zone: left(self, zone) + (self.opened and self.counted(zone) > 0))


def _too_deep(patch: pytest.MonkeyPatch) -> None:
    """The strokes of a session are two steps deeper than asked for."""
    steps = Geometry.stroke_steps
    patch.setattr(Geometry, "stroke_steps", lambda self, depth_um: steps(self, depth_um) + 2)


def _stays_down(patch: pytest.MonkeyPatch) -> None:
    """A release of the trigger is looked over."""
    sample = Trigger.sample
    patch.setattr(Trigger, "sample", lambda self, level, now_ms: sample(self, level or self.down, now_ms))


def _forgetful(patch: pytest.MonkeyPatch) -> None:
    """Strokes that were made aren't counted, every seventh of them."""
    made = Session.made_one

    def counted(self: Session) -> None:
        if self._made.get() % 7 != 6:
            made(self)
        else:
            self._outstanding.set(self._outstanding.get() - 1)
            self._made.set(self._made.get())

    patch.setattr(Session, "made_one", counted)


def _never_clears(patch: pytest.MonkeyPatch) -> None:
    """A fault can't be cleared."""
    patch.setattr(Runner, "clear_fault", lambda _self: None)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (_one_more, "strokes in zone|session_left|back to work"),
        (_too_deep, "depth_limit"),
        (_stays_down, "no_consent|TRIGGER_HELD"),
        (_forgetful, "strokes in zone"),
        (_never_clears, "back to work|can't be pulled"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_bug_is_told_shrunk_and_played_again(
    plant: Callable[[pytest.MonkeyPatch], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "SHRINK_TRIES", 40)
    for past in Past:
        hours_pen.past_flash(past)
    plant(monkeypatch)
    violation = _first()
    assert re.search(words, violation.what), violation
    assert 2 <= len(violation.trace) <= 60
    monkeypatch.setattr(hours, "SHRINK_TRIES", 1)
    again = hours.HOURS.replay(violation.case, 1)
    assert again is not None
    assert again.what == violation.what
    monkeypatch.undo()
    assert hours.HOURS.replay(violation.case, 1) is None


def _first() -> Violation:
    for shard in ("0+1", "1+1"):
        for violation in hours.HOURS.play(shard, Size.COMMIT, 1, None).violations:
            return violation
    raise AssertionError("nothing was told")
