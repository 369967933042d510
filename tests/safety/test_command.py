"""`python -m tests.safety`: what it prints, what it writes, and how it exits, on runs that were made up."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pinprick.board.build import build
from pinprick.firmware import firmware_files
from tests.safety import ran
from tests.safety.__main__ import ROOT, SHOWN, campaign_names, main
from tests.safety.check import CAMPAIGN, CHIP
from tests.safety.ran import FORMAT, LEFT_OUT, NEEDS_IMAGE
from tests.safety.rows import read

PASSED = {"outcome": "passed", "seconds": 0.1, "reason": ""}


TREE = "the tree as it was"


@pytest.fixture(autouse=True)
def still_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's editing while a test runs is what these are about."""
    monkeypatch.setattr(ran, "tree_digest", lambda _: TREE)


@cache
def identity() -> str:
    """Return the firmware's build; compiled once."""
    return build(firmware_files()).identity


class Runs:
    """Files of a run of the tests and of the campaigns in which all went well, for the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = read(ROOT)
        tests = [row.tests for row in rows.hazards] + [row.tests for row in rows.limits]
        tests += [row.tests for row in rows.codes]
        proofs = {proof for named in tests for proof in named}
        names = {f"tests/{proof}" for proof in proofs if not proof.startswith(CAMPAIGN)}
        chip = {test for test in names if test.startswith(f"tests/{CHIP}/")}
        self.tests: dict[str, Any] = {
            "format": FORMAT,
            "exit": 0,
            "tree": TREE,
            "tests": dict.fromkeys(sorted(names - chip), PASSED),
            LEFT_OUT: dict.fromkeys(sorted(chip), NEEDS_IMAGE),
        }
        part = {"violations": 0, "cases": 9, "complete": True}
        self.campaigns: dict[str, Any] = {
            "firmware": {"build": identity()},
            "campaigns": {name: dict(part) for name in campaign_names(ROOT)},
        }

    def judged(self) -> int:
        """Write them, and return how the command exits."""
        for name, told in (("tests.json", self.tests), ("campaign.json", self.campaigns)):
            (self.folder / name).write_text(json.dumps(told), encoding="utf-8")
        options = {"--tests": "tests.json", "--campaigns": "campaign.json", "--json": "out/safety.json"}
        return main([text for key, name in options.items() for text in (key, str(self.folder / name))])

    def told(self) -> Any:
        """Return what it wrote."""
        return json.loads((self.folder / "out" / "safety.json").read_text(encoding="utf-8"))


def test_a_proven_case_is_a_short_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(tmp_path)
    assert runs.judged() == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 12
    hazards = str(len(read(ROOT).hazards))
    assert next(line.split() for line in out.splitlines() if line.startswith("hazards")) == [
        "hazards",
        hazards,
        hazards,
    ]
    assert "no row rests on them alone" in out
    told = runs.told()
    assert (told["ok"], told["orphans"]) == (True, [])
    assert len(told["rows"]) > 250
    assert {entry["outcome"] for entry in told["proofs"].values()} == {"passed", "not run"}


def test_orphans_are_told_and_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(tmp_path)
    name = "tests/unit/test_motion.py::test_every_stroke_is_judged"
    runs.tests["tests"][name] = PASSED | {"outcome": "failed", "reason": "call: wrong"}
    assert runs.judged() == 1
    out = capsys.readouterr().out
    assert "ORPHAN hazard 4: unit/test_motion.py::test_every_stroke_is_judged failed: " in out
    assert "ORPHAN code LOST_STEPS: " in out
    assert runs.told()["proofs"]["unit/test_motion.py::test_every_stroke_is_judged"]["outcome"] == "failed"


def test_without_any_run_nothing_is_proven_and_not_all_of_it_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs(tmp_path)
    runs.tests["tests"] = {}
    assert runs.judged() == 1
    out = capsys.readouterr().out
    assert out.count("ORPHAN ") == SHOWN
    assert "more; all of them are in safety.json" in out
    assert len(runs.told()["orphans"]) > SHOWN


def test_a_broken_campaign_is_an_orphan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(tmp_path)
    runs.campaigns["campaigns"]["power"]["violations"] = 3
    assert runs.judged() == 1
    assert "ORPHAN hazard 10: campaign:power failed: 3 violations" in capsys.readouterr().out


def test_the_page_is_checked_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""
