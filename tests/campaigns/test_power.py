"""The power campaign tells a pen that forgets what it has reserved, and says how to see it again."""

import pytest

from pencore import session
from pencore.ledger import Entry, OpenSession
from pensim.flash import Torn
from tests.campaigns import power, power_drawn
from tests.campaigns.frame import Done, Size
from tests.campaigns.power import DRAWN, POWER
from tests.support.cuts import busy_session, short_session

SHORT = "short:{}:none:resume"


def mid_session() -> int:
    """Return the operation that confirms the first block of strokes: they are made, and nobody has said so."""
    return next(cut.number for cut in short_session().cuts if sum(cut.strokes.values()) == 50)


@pytest.fixture
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the bug: after a cut, what was reserved and not confirmed is given back."""
    sound = session.recovery_entries

    def forgetful(account: OpenSession, code: int) -> list[Entry]:
        entries: list[Entry] = sound(account, code)
        for entry in entries:
            entry.forfeited = 0
        return entries

    monkeypatch.setattr(session, "recovery_entries", forgetful)


def test_commit_cuts_every_operation_in_every_way_that_leaves_something_else() -> None:
    plan = POWER.planned(Size.COMMIT, 1)
    runs = short_session(), busy_session()
    assert plan.total == 2 * sum(len(run.cuts) for run in runs) > 2000
    for run in runs:
        assert {cut.number for cut in run.cuts} == set(range(run.operations))
        assert {cut.torn for cut in run.cuts} == set(Torn)
    done = POWER.play(plan.shards[0], Size.COMMIT, 1, None)
    assert (done.cases, done.violations) == (40, [])


def test_a_sound_pen_breaks_nothing_in_any_size() -> None:
    number = mid_session()
    assert POWER.replay(SHORT.format(number), 1) is None
    assert POWER.replay(f"two:{number}:none:resume:4:none:finish", 1) is None
    assert POWER.replay("seed=1:7", 1) is None


@pytest.mark.usefixtures("_forgetful")
def test_a_pen_that_forgets_is_told_and_seen_again() -> None:
    case = SHORT.format(mid_session())
    found = POWER.replay(case, 1)
    assert found is not None
    assert found.case == case
    assert found.what.startswith(("AssertionError", "Refusal"))
    assert found.trace[0].startswith(f"the power goes in flash operation {mid_session()} and leaves none of it")
    assert POWER.play("short:0+40", Size.COMMIT, 1, None).violations == [], (
        "before the first stroke nothing can be forgotten"
    )


@pytest.mark.usefixtures("_forgetful")
def test_a_drawn_run_is_shrunk_to_the_cuts_and_acts_that_it_takes() -> None:
    done = Done()
    broken = next(
        number
        for number in range(60)
        if power_drawn.violation(power_drawn.drawn(1, number), done, power_drawn.case_of(1, number)) is not None
    )
    found = POWER.replay(power_drawn.case_of(1, broken), 1)
    assert found is not None
    acts = [line for line in found.trace if line.startswith("life ")]
    whole = power_drawn.drawn(1, broken)
    assert 0 < len(acts) <= sum(len(life.acts) + 1 for life in whole.lives)
    assert sum("the power goes" in line for line in acts) == 1, "one cut is enough"
    played = POWER.play(f"{broken}+1", Size.RELEASE, 1, None)
    assert played.cases == 1
    assert [violation.case for violation in played.violations] == [found.case]


def test_a_pair_whose_first_cut_already_breaks_is_no_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told under the name of the single cut, and no pair is counted."""

    def planted(*_: object, **__: object) -> None:
        raise AssertionError("planted")

    monkeypatch.setattr(power, "go_on", planted)
    done = POWER.play(f"two:{mid_session()}:none:resume", Size.NIGHTLY, 1, None)
    assert done.cases == 0
    assert [violation.what for violation in done.violations] == ["AssertionError: planted"]


def test_what_is_drawn_is_the_same_for_ever_and_reaches_everything() -> None:
    assert power_drawn.drawn(1, 5) == power_drawn.drawn(1, 5) != power_drawn.drawn(2, 5)
    runs = [power_drawn.drawn(3, number) for number in range(300)]
    goings = [life.going for run in runs for life in run.lives if life.going is not None]
    assert {going.torn for going in goings} == set(Torn)
    assert {going.operation is None for going in goings} == {True, False}
    assert {len(run.lives) for run in runs} == {1, 2, 3}
    assert {what for run in runs for life in run.lives for what, _ in life.acts} >= {
        "burst",
        "stop",
        "select",
        "finish",
    }
    assert {run.past.entries for run in runs} >= {0, 366, 381}
    assert len(POWER.planned(Size.RELEASE, 1).shards) * 100 == DRAWN == 10_000_000


@pytest.mark.parametrize(
    "case", ["short:999:none:resume", "short:1:none:resume:2:none:finish", "two:1:none:resume", "x"]
)
def test_a_name_of_no_case_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match="cut"):
        POWER.replay(case, 1)


def test_the_campaign_kept_to_its_deadline() -> None:
    done = POWER.play("short:0+40", Size.COMMIT, 1, 0.0)
    assert (done.cases, done.violations) == (0, [])
