"""The replay campaign tells a pen that takes what was said before its reset for news."""

import pytest

from pencore import wire
from pensim.ports import SimIdentity
from pensim.world import World
from tests.campaigns.frame import Size
from tests.campaigns.replay import REPLAY
from tests.support.scenario_files import FILES
from tests.support.talks import TALKS, length, recording

SOUND = ["talk/session:afterwards:20", "talk/session:between:9", "talk/stopped:reset:30", "talk/stopped:forgot:30"]


@pytest.fixture
def _same_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the bug: every boot has the nonce of the one before."""
    monkeypatch.setattr(SimIdentity, "nonce", lambda _: "0123456789abcdef")


def test_commit_has_every_prefix_of_every_conversation_each_way() -> None:
    plan = REPLAY.planned(Size.COMMIT, 1)
    assert plan.total == sum(4 * length(kind) + 3 for kind in TALKS.values())
    assert all(len(recording(kind)) > length(kind) > 50 for kind in TALKS.values())
    done = REPLAY.play(plan.shards[0], Size.COMMIT, 1, None)
    assert (done.cases, done.violations) == (40, [])


@pytest.mark.parametrize("case", SOUND)
def test_a_sound_pen_breaks_nothing(case: str) -> None:
    assert REPLAY.replay(case, 1) is None


@pytest.mark.usefixtures("_same_nonce")
def test_a_pen_that_believes_old_lines_is_told_and_seen_again() -> None:
    cases = [f"talk/session:reset:{number}" for number in range(10, 40, 4)]
    broken = [violation for case in cases if (violation := REPLAY.replay(case, 1)) is not None]
    assert broken
    for violation in broken:
        again = REPLAY.replay(violation.case, 1)
        assert again is not None
        assert again.what == violation.what
        assert any("load.commit" in line for line in violation.trace)
        assert "press" in violation.trace


def test_nightly_has_every_scenario_file_and_each_of_its_lines() -> None:
    plan = REPLAY.planned(Size.NIGHTLY, 1)
    assert [shard.removeprefix("file/") for shard in plan.shards] == [path.stem for path in FILES]
    done = REPLAY.play("file/stop-request", Size.NIGHTLY, 1, None)
    assert done.violations == []
    assert done.cases == 2 * done.counts["same"] == 2 * done.counts["reset"] > 20
    assert REPLAY.replay("file/stop-request:same:5", 1) is None


def test_a_pen_that_strokes_at_any_press_is_told_and_seen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    press = World.press

    def eager(world: World) -> None:
        press(world)
        if world.runner.state in (wire.SAFE, wire.LOADED):
            world.oracle.stroke_begun(world.clock.now)

    monkeypatch.setattr(World, "press", eager)
    done = REPLAY.play("file/stop-request", Size.NIGHTLY, 1, None)
    told = [violation for violation in done.violations if violation.case.startswith("file/stop-request:reset:")]
    assert told
    again = REPLAY.replay(told[-1].case, 1)
    assert again is not None
    assert (again.what, again.trace) == (told[-1].what, told[-1].trace)
    assert "press" in again.trace


def test_release_has_none() -> None:
    assert REPLAY.planned(Size.RELEASE, 1).total == 0


@pytest.mark.parametrize("case", ["talk/session:reset:999", "talk/nobody:reset:1", "file/nothing:same:1", "x"])
def test_a_name_of_no_case_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match="no "):
        REPLAY.replay(case, 1)
