"""The frame of the campaigns: it counts what was run and nothing else, and tells everything that is broken."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaigns import __main__ as command
from tests.campaigns import pool, report
from tests.campaigns.frame import Campaign, Done, Plan, Ranges, Size, Violation, broken, out_of_time, range_of, shrunk
from tests.campaigns.registry import CAMPAIGNS

SHARDS = 12
EACH = 10


@dataclass
class Counting:
    """Cases that do nothing; every 50th is broken, and some shards are worse."""

    NAME: str = "counting"
    ABOUT: str = "counts"
    total: int | None = SHARDS * EACH
    slow_s: float = 0.0
    dies_in: str = ""
    hangs_in: str = ""
    raises_in: str = ""
    lazy: bool = False
    void: int = 0

    def planned(self, size: Size, seed: int) -> Plan:
        """Return what is to be done."""
        if self.raises_in == "plan":
            raise RuntimeError("no plan")
        return Plan(self.total, Ranges(SHARDS * EACH, EACH), "counts")

    def play(self, shard: str, size: Size, seed: int, deadline: float | None) -> Done:
        """Play a shard."""
        if shard == self.dies_in:
            os._exit(7)
        if shard == self.raises_in:
            raise RuntimeError("planted")
        time.sleep(60 if shard == self.hangs_in else 0)
        done = Done()
        for number in range_of(shard):
            if out_of_time(deadline):
                break
            time.sleep(self.slow_s)
            if self.lazy and number == 3:
                continue
            if number < self.void:
                done.void += 1
                continue
            done.count("even", number % 2 == 0)
            done.case(self.replay(str(number), seed))
        return done

    def replay(self, case: str, seed: int) -> Violation | None:
        """Play one case again."""
        return Violation(case, "it is the fiftieth", ("count to 49",)) if int(case) % 50 == 49 else None


def run(campaign: Campaign, jobs: int = 2, seconds: float | None = None, hung_s: float = 60) -> pool.Run:
    """Run a campaign."""
    deadline = None if seconds is None else time.monotonic() + seconds
    return pool.planned_run(pool.Job(campaign, Size.COMMIT, 1, deadline), jobs, lambda _: None, hung_s)


def cases(found: pool.Run) -> list[str]:
    """Return which cases were broken."""
    return sorted(violation.case for violation in found.done.violations)


@pytest.mark.parametrize("jobs", [0, 1, 3])
def test_all_cases_are_run_once_and_counted(jobs: int) -> None:
    found = run(Counting(), jobs)
    assert (found.done.cases, found.done.counts) == (120, {"even": 60})
    assert found.complete
    assert cases(found) == ["49", "99"]


def test_a_worker_that_dies_is_a_violation_and_its_cases_are_not_counted() -> None:
    found = run(Counting(dies_in="40+10"))
    assert found.done.cases == 110
    assert not found.complete
    assert cases(found) == ["99", "shard=40+10"]
    (lost,) = (violation for violation in found.done.violations if violation.case.startswith("shard="))
    assert "exit code 7" in lost.what


def test_a_worker_that_hangs_is_one_too() -> None:
    found = run(Counting(hangs_in="10+10"), hung_s=1)
    assert found.done.cases == 110
    assert cases(found) == ["49", "99", "shard=10+10"]


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_shard_that_raises_is_one_too(jobs: int) -> None:
    found = run(Counting(raises_in="0+10"), jobs)
    assert found.done.cases == 110
    assert not found.complete
    (raised,) = (violation for violation in found.done.violations if violation.case == "shard=0+10")
    assert raised.what == "RuntimeError: planted"
    assert "in play" in "".join(raised.trace)


def test_a_campaign_that_cannot_be_planned_is_one_too() -> None:
    found = run(Counting(raises_in="plan"))
    assert (found.done.cases, found.complete, cases(found)) == (0, False, ["plan"])


def test_a_case_that_gets_lost_on_the_way_is_told() -> None:
    found = run(Counting(lazy=True))
    assert found.done.cases == 119
    assert not found.complete
    assert "119 counts" in found.done.violations[-1].what


def test_what_turned_out_to_be_no_case_is_not_counted_as_one() -> None:
    found = run(Counting(void=5))
    assert (found.done.cases, found.done.void, found.complete) == (115, 5, True)


@pytest.mark.parametrize("jobs", [0, 2])
def test_the_deadline_ends_a_run_and_no_more_is_counted_than_was_run(jobs: int) -> None:
    found = run(Counting(slow_s=0.02), jobs, seconds=0.5)
    assert 0 < found.done.cases < 120
    assert found.done.counts["even"] <= found.done.cases
    assert found.begun < SHARDS
    assert not found.complete
    assert "plan" not in cases(found)


def test_without_a_total_the_deadline_makes_a_run_incomplete_as_well() -> None:
    assert run(Counting(total=None)).complete
    assert not run(Counting(total=None, slow_s=0.02), seconds=0.5).complete
    assert not run(Counting(total=None), seconds=0).complete


def test_the_result_has_every_figure_and_each_violation_its_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CAMPAIGNS", {"counting": Counting(slow_s=0.001)})
    path = tmp_path / "build" / "campaign.json"
    assert command.main(["--jobs", "0", "--json", str(path), "--seed", "5"]) == 1
    result = json.loads(path.read_text(encoding="utf-8"))
    assert set(result) >= {"size", "seed", "firmware", "campaigns", "violations", "complete", "ok", "wall_s", "jobs"}
    assert len(result["firmware"]["build"]) == 16
    assert (result["seed"], result["violations"], result["complete"], result["ok"]) == (5, 2, True, False)
    part = result["campaigns"]["counting"]
    assert (part["planned"], part["cases"], part["void"], part["violations"], part["unit"]) == (
        120,
        120,
        0,
        2,
        "counts",
    )
    assert part["counts"] == {"even": 60}
    assert part["seeds"] == {"seed": 5, "shards": 12, "played": 12, "lost": 0, "first": "0+10", "last": "110+10"}
    assert part["wall_s"] > 0
    assert part["rate_per_s"] == pytest.approx(120 / part["wall_s"], rel=0.2)
    assert "whole_takes_h" not in part
    (first, _) = part["broken"]
    assert first["case"] == "49"
    assert first["trace"] == ["count to 49"]
    assert first["replay"].endswith("--size commit --seed 5 --replay counting 49")


def test_a_part_run_tells_how_long_all_of_it_takes_and_of_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = {"first": Counting(NAME="first", slow_s=0.02), "second": Counting(NAME="second", slow_s=0.02, total=None)}
    monkeypatch.setattr(command, "CAMPAIGNS", both)
    path = tmp_path / "campaign.json"
    command.main(["--jobs", "0", "--json", str(path), "--minutes", "0.02"])
    result = json.loads(path.read_text(encoding="utf-8"))
    assert not result["complete"]
    assert result["wall_s"] < 10
    first, second = result["campaigns"]["first"], result["campaigns"]["second"]
    assert 0 < first["cases"] < 120
    assert first["whole_takes_h"] == pytest.approx(120 / first["rate_per_s"] / 3600, abs=0.01)
    assert second["planned"] is None
    assert second["cases"] > 0, "the second has its share of the time"
    assert second["whole_takes_h"] > 0
    said = capsys.readouterr().out
    assert f"first: {first['cases']} counts of 120, not all" in said
    assert "120 counts;" not in said


def test_a_violation_is_replayed_by_its_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CAMPAIGNS", {"counting": Counting(raises_in="0+10")})
    assert command.main(["--replay", "counting", "49"]) == 1
    assert "it is the fiftieth" in capsys.readouterr().out
    assert command.main(["--replay", "counting", "50"]) == 0
    assert command.main(["--replay", "counting", "shard=0+10"]) == 1
    assert "RuntimeError: planted" in capsys.readouterr().out
    assert command.main(["--replay", "counting", "shard=50+10"]) == 0
    assert command.main(["--replay", "counting", "none"]) == 2


def test_the_command_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "campaign.json"
    line = [sys.executable, "-m", "tests.campaigns", "--minutes", "0", "--jobs", "1", "--json", str(path)]
    done = subprocess.run(line, cwd=command.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text(encoding="utf-8"))
    assert set(result["campaigns"]) == set(CAMPAIGNS)
    assert not any(part["cases"] for part in result["campaigns"].values())


# --- parts ------------------------------------------------------------------------------------------------------------
def test_every_campaign_is_under_its_name_and_plans_every_size_quickly() -> None:
    for name, campaign in CAMPAIGNS.items():
        assert name == campaign.NAME
        assert campaign.ABOUT
        plan = campaign.planned(Size.RELEASE, 1)
        assert (plan.total or 1) >= len(plan.shards) > 0 or not plan.shards


@pytest.mark.parametrize("needed", [(), (0,), (99,), (3, 50), (10, 11, 12, 60)])
def test_shrinking_leaves_what_is_needed_and_nothing_else(needed: tuple[int, ...]) -> None:
    tried = 0

    def fails(acts: Sequence[int]) -> bool:
        nonlocal tried
        tried += 1
        return set(needed) <= set(acts)

    assert shrunk(range(100), fails) == needed
    assert tried < 150


@pytest.mark.parametrize(("tries", "acts"), [(1, 100), (2, 100), (3, 50), (5, 25)])
def test_after_so_many_tries_what_is_left_is_told(tries: int, acts: int) -> None:
    tried: list[Sequence[int]] = []

    def fails(some: Sequence[int]) -> bool:
        tried.append(some)
        return 3 in some

    left = shrunk(range(100), fails, tries)
    assert len(tried) == tries
    assert left == tuple(range(acts))


def test_what_does_not_fail_is_not_shrunk() -> None:
    with pytest.raises(ValueError, match="doesn't fail"):
        shrunk([1, 2], lambda _: False)
    assert shrunk([], lambda _: True) == ()


def test_ranges_are_every_number_once() -> None:
    ranges = Ranges(1003, 50)
    assert [number for shard in ranges for number in range_of(shard)] == list(range(1003))
    assert (len(ranges), ranges[-1], list(ranges[:2])) == (21, "1000+3", ["0+50", "50+50"])
    assert len(Ranges(10_000_000, 100)) == 100_000


def test_a_bare_assertion_is_told_by_its_line() -> None:
    def check() -> None:
        # As an assertion does where pytest has not put words into it.
        raise AssertionError

    violation = broken("case", check)
    assert violation is not None
    assert violation.what == "AssertionError: raise AssertionError (in check)"
    assert report.replay_line("power", "case", Size.COMMIT, 1).startswith(".venv/bin/python -m tests.campaigns")
