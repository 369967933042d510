"""The checker of the safety case: each kind of orphan, planted in a copy of the tree, is found."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.safety.__main__ import campaign_names
from tests.safety.check import Case
from tests.safety.ran import (
    FORMAT,
    LEFT_OUT,
    NEEDS_IMAGE,
    Campaigns,
    Result,
    Run,
    read_campaigns,
    read_run,
    tree_digest,
)
from tests.safety.rows import BadRow, Rows, read
from tests.safety.suite import SCENARIO

ROOT = Path(__file__).parents[2]
COPIED = ("docs", "firmware", "host", "sim", "tests")
_LEFT_OUT = shutil.ignore_patterns("node_modules", "__pycache__", "chip", "vectors")
CAMPAIGNS = campaign_names(ROOT)

HAZARDS = "docs/safety/hazards.toml"
LIMITS = "docs/safety/limits.toml"
CODES = "docs/safety/codes.toml"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of all that the checker looks at; whoever changes it puts it back."""
    folder = tmp_path_factory.mktemp("tree")
    for part in COPIED:
        shutil.copytree(ROOT / part, folder / part, ignore=_LEFT_OUT)
    (folder / "tests" / "chip").symlink_to(ROOT / "tests" / "chip")
    return folder


@pytest.fixture(scope="module")
def rows() -> Rows:
    return read(ROOT)


@pytest.fixture
def planted(copy: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return the copy with (file, old, new) planted: the one place of `old` is `new` now."""
    file, old, new = request.param
    path = copy / file
    sound = path.read_text(encoding="utf-8")
    assert sound.count(old) >= 1, f"{file} has no {old!r}"
    path.write_text(sound.replace(old, new), encoding="utf-8")
    yield copy
    path.write_text(sound, encoding="utf-8")


def orphans(root: Path) -> list[str]:
    return [str(orphan) for orphan in Case(root, read(root), CAMPAIGNS).standing()]


def test_the_copy_has_no_orphan(copy: Path) -> None:
    assert orphans(copy) == []


@pytest.mark.parametrize(
    ("planted", "row", "what"),
    [
        (
            ("tests/unit/test_motion.py", "def test_homing_is_judged(", "def test_homing_was_judged("),
            "hazard 6",
            "there is no test unit/test_motion.py::test_homing_is_judged",
        ),
        ((HAZARDS, "[usb-pulled-by-hand]", "[usb-pulled-by-foot]"), "hazard 24", "there is no test"),
        ((HAZARDS, "::test_every_stroke_is_judged", ":test_every_stroke_is_judged"), "hazard 4", "there is no test"),
        (("firmware/pencore/motion.py", "_judge_edge", "_judge_edges"), "hazard 4", "there is no pencore/motion.py"),
        (("docs/hardware.md", "X2, the mechanical stop", "X2, a stop"), "hazard 35", "there is no docs/hardware.md"),
        (("firmware/pencore/consent.py", "RELEASE_MS = const(100)", "RELEASE_MS = const(80)"), "RELEASE_MS", "80 in"),
        (
            ("firmware/pencore/consent.py", "const(10)\n", "const(10)\nFRESH_MS = const(7)\n"),
            "FRESH_MS",
            "7 has no row",
        ),
        (("firmware/pencore/consent.py", "const(10)\n", "const(10)\n_X = const(len('a'))\n"), "_X", "can't be read"),
        (("firmware/pencore/consent.py", "RELEASE_MS", "LET_GO_MS"), "RELEASE_MS", "the code has no such bound"),
        (
            ("firmware/pencore/limits.py", '("neck", 250, 1000)', '("neck", 250, 1100)'),
            "limit neck",
            "1100 in the code",
        ),
        (("firmware/pencore/limits.py", '("neck", 250, 1000)', '("nape", 250, 1000)'), "limit nape", "has no row"),
        (
            ("firmware/pencore/provision.py", "geometry.dwell_us, 0, 20_000", "geometry.dwell_us, 0, 30_000"),
            "dwell",
            "is",
        ),
        ((LIMITS, 'value = 2_000\nwhat = "without a line', 'value = 3_000\nwhat = "without a line'), "LEASE_MS", "is"),
        ((LIMITS, '"_POWER_ON"]', '"_POWER_ON", "_GONE"]'), "_GONE", "no such integer"),
        ((LIMITS, '"_POWER_ON"]', '"_POWER_ON", "LEASE_MS"]'), "LEASE_MS", "it has a row as a limit"),
        ((LIMITS, 'module = "pencore/version.py"', 'module = "pencore/no.py"'), "pencore/no.py", "has no integers"),
        (
            ("firmware/pencore/faults.py", "BUSY = const(507)", "BUSY = const(507)\nNEW = const(599)"),
            "NEW",
            "has no row",
        ),
        (
            ("firmware/pencore/faults.py", "BUSY = const(507)", "BUSY = const(507)\nNEW = const(599)"),
            "NEW",
            "nothing gives",
        ),
        (("firmware/pencore/runner.py", "faults.IDLE_TIMEOUT", "514"), "IDLE_TIMEOUT", "nothing gives it out"),
        (
            (
                "firmware/pencore/runner.py",
                "self._lapse(faults.IDLE_TIMEOUT)",
                "self._lapse(self.state == faults.IDLE_TIMEOUT)",
            ),
            "IDLE_TIMEOUT",
            "nothing gives it out",
        ),
        ((CODES, "IDLE_TIMEOUT = [", "NEVER_TIMEOUT = ["), "code IDLE_TIMEOUT", "has no row"),
        ((CODES, "IDLE_TIMEOUT = [", "NEVER_TIMEOUT = ["), "code NEVER_TIMEOUT", "the pen has no such code"),
        ((HAZARDS, 'codes = ["IDLE_TIMEOUT"]', 'codes = ["NO_TIMEOUT"]'), "code IDLE_TIMEOUT", "answers no hazard"),
        (
            (HAZARDS, 'codes = ["IDLE_TIMEOUT"]', 'codes = ["NO_TIMEOUT"]'),
            "hazard 69",
            "the pen has no code NO_TIMEOUT",
        ),
        (("tests/unit/test_runner.py", "faults.IDLE_TIMEOUT", "514"), "IDLE_TIMEOUT", "doesn't name it"),
        (
            ("tests/scenarios/files/fifteen-minutes-without-a-stroke.toml", "IDLE_TIMEOUT", "514"),
            "IDLE_TIMEOUT",
            "doesn't name it",
        ),
        (
            (HAZARDS, '"unit/test_ledger.py::test_a_spoilt_witness_is_a_fault"', '"campaign:luck"'),
            "hazard 56",
            "campaign:luck",
        ),
    ],
    indirect=["planted"],
)
def test_an_orphan_is_found(planted: Path, row: str, what: str) -> None:
    found = orphans(planted)
    assert any(row in orphan and what in orphan for orphan in found), "\n".join(found) or "none was found"


@pytest.mark.parametrize(
    ("planted", "why"),
    [
        ((HAZARDS, 'residual = "As hazard 41', 'residue = "As hazard 41'), "hazard 42: residual is empty"),
        ((HAZARDS, "number = 40\n", "number = 400\n"), "numbered from 1 on without gaps"),
        ((HAZARDS, "number = 40\n", "number = 39\n"), "numbered from 1 on without gaps"),
        ((HAZARDS, "number = 70", "number = 70\nrisk = 1"), "hazard 70: unknown risk"),
        ((HAZARDS, 'cause = "Impatience."', 'cause = "None known."'), "hazard 70: cause is empty, or no answer"),
        ((HAZARDS, 'cause = "Impatience."', 'cause = "-"'), "hazard 70: cause is empty, or no answer"),
        ((HAZARDS, 'where = ["pencore/tasks.py: log_faults"', 'where = []\nx = ["a"'), "hazard 70: a list is empty"),
        ((CODES, "BUSY = [", "BUSY = []\nX = ["), "code BUSY: a list is empty"),
        ((CODES, "[\n", "[[\n"), "codes.toml"),
        ((LIMITS, "value = 250\n", ""), "limit pencore/motion.py: _OVERDUE_MS: no value"),
        ((LIMITS, "[[cap]]", "[[caps]]"), "limits.toml: unknown caps"),
    ],
    indirect=["planted"],
)
def test_a_row_that_is_not_whole_is_not_read(planted: Path, why: str) -> None:
    with pytest.raises(BadRow, match=why.replace("[", r"\[")):
        read(planted)


def test_a_row_may_not_rest_on_the_chip_alone(rows: Rows) -> None:
    chip = ("chip/test_chip_stop.py::test_only_a_clear_and_a_homing_lead_back_from_a_stop",)
    alone = replace(rows, hazards=(replace(rows.hazards[0], tests=chip), *rows.hazards[1:]))
    found = [str(orphan) for orphan in Case(ROOT, alone, CAMPAIGNS).standing()]
    assert found == ["hazard 1: rests on nothing that runs without an image"]


# --- what ran ---------------------------------------------------------------------------------------------------------
ONE = "unit/test_x.py::test_one"
MANY = "unit/test_x.py::test_many"
CHIP = "chip/test_y.py::test_chip"
PASSED = {"outcome": "passed", "seconds": 0.1, "reason": ""}
FAILED = {"outcome": "failed", "seconds": 0.1, "reason": "call: assert 1 == 2"}
SKIPPED = {"outcome": "skipped", "seconds": 0.1, "reason": "no reason"}


def unproven(run: Run, *proofs: str, campaigns: Campaigns | None = None) -> list[str]:
    """Return what is wrong with one hazard that rests on `proofs`."""
    rows = read(ROOT)
    one = replace(rows, hazards=(replace(rows.hazards[0], tests=proofs),), limits=(), codes=())
    return [str(orphan) for orphan in Case(ROOT, one, CAMPAIGNS).unproven(run, campaigns or Campaigns())]


def test_what_ran_and_passed_proves_a_row() -> None:
    run = Run({f"tests/{ONE}": PASSED, f"tests/{MANY}[a]": PASSED, f"tests/{MANY}[b]": PASSED})
    assert unproven(run, ONE, MANY) == []
    assert unproven(run, f"{MANY}[b]") == []


@pytest.mark.parametrize(
    ("run", "proof", "told"),
    [
        (Run(), ONE, "not run"),
        (Run({f"tests/{ONE}": FAILED}), ONE, "failed: test_one: call: assert 1 == 2"),
        (Run({f"tests/{ONE}": SKIPPED}), ONE, "skipped: test_one: no reason"),
        (Run({f"tests/{MANY}[a]": PASSED, f"tests/{MANY}[b]": FAILED}), MANY, r"failed: test_many[b]"),
        (Run({f"tests/{MANY}[a]": PASSED}, {f"tests/{MANY}[b]": "left out"}), MANY, "not run: left out"),
        (Run({f"tests/{MANY}[a]": PASSED}), f"{MANY}[b]", "not run"),
        (Run({f"tests/{ONE}_more": PASSED}), ONE, "not run"),
        (Run({f"tests/{CHIP}": FAILED, f"tests/{ONE}": PASSED}), CHIP, "failed"),
        (Run({f"tests/{ONE}": PASSED}), CHIP, "not run"),
    ],
)
def test_what_did_not_run_and_pass_is_told(run: Run, proof: str, told: str) -> None:
    """Also when something else that the row rests on has passed."""
    other = "unit/test_x.py::test_other"
    run.tests[f"tests/{other}"] = PASSED
    assert any(proof in orphan and told in orphan for orphan in unproven(run, other, proof))


def test_the_chip_may_want_its_image_beside_what_ran() -> None:
    run = Run({f"tests/{ONE}": PASSED}, {f"tests/{CHIP}[a]": NEEDS_IMAGE})
    assert unproven(run, ONE, CHIP) == []
    assert unproven(run, CHIP) == ["hazard 1: nothing that proves it ran and passed"]
    with_image = Run({f"tests/{ONE}": PASSED, f"tests/{CHIP}": PASSED})
    assert unproven(with_image, CHIP) == ["hazard 1: nothing that proves it ran and passed"]
    # Nothing else may be left out for that reason.
    left = Run({f"tests/{MANY}": PASSED}, {f"tests/{ONE}": NEEDS_IMAGE})
    assert unproven(left, MANY, ONE) == [f"hazard 1: {ONE} not run: {NEEDS_IMAGE}"]


def test_a_run_that_went_wrong_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tests.json"
    assert "is not there" in read_run(path, ROOT).problems[0]
    good = {"format": FORMAT, "exit": 0, "tree": tree_digest(tmp_path), "tests": {f"tests/{ONE}": PASSED}, LEFT_OUT: {}}
    for change, told in (
        ({}, ""),
        ({"exit": 1}, "exit code 1"),
        ({"tree": "0"}, "the tree has changed"),
        ({"format": 0}, "another form"),
        ({"tests": None}, "can't be read"),
    ):
        path.write_text(json.dumps(good | change), encoding="utf-8")
        run = read_run(path, tmp_path)
        assert (told in run.problems[0]) if told else run.problems == []
        assert (unproven(run, ONE) == []) == (not told)
    path.write_text("{", encoding="utf-8")
    assert "can't be read" in read_run(path, tmp_path).problems[0]


def test_a_changed_tree_is_another_tree(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.py").write_text("1", encoding="utf-8")
    first = tree_digest(tmp_path)
    (tmp_path / "tests" / "notes.txt").write_text("1", encoding="utf-8")
    assert tree_digest(tmp_path) == first
    (tmp_path / "tests" / "a.py").write_text("2", encoding="utf-8")
    assert tree_digest(tmp_path) != first
    (tmp_path / "tests" / "a.py").rename(tmp_path / "tests" / "b.py")
    assert tree_digest(tmp_path) != first


# --- campaigns --------------------------------------------------------------------------------------------------------
def test_a_campaign_proves_a_row_when_all_of_it_ran_and_nothing_broke(tmp_path: Path) -> None:
    path = tmp_path / "campaign.json"
    assert "is not there" in read_campaigns(path, "b1").problems[0]
    part = {"violations": 0, "cases": 12, "complete": True}
    for change, build, told in (
        ({}, "b1", ""),
        ({"violations": 2}, "b1", "failed: 2 violations"),
        ({"complete": False}, "b1", "no more than 12 cases"),
        ({"cases": 0}, "b1", "no more than 0 cases"),
        ({}, "b2", "the firmware has changed"),
    ):
        whole = {"firmware": {"build": "b1"}, "campaigns": {"power": part | change}}
        path.write_text(json.dumps(whole), encoding="utf-8")
        found = unproven(Run(), "campaign:power", campaigns=read_campaigns(path, build))
        assert any(told in orphan for orphan in found) if told else found == []
    path.write_text('{"campaigns": {"power": {}}}', encoding="utf-8")
    assert "can't be read" in read_campaigns(path, "b1").problems[0]
    assert unproven(Run(), "campaign:power", campaigns=Campaigns({"lines": Result("passed")})) != []


def test_the_scenario_files_are_the_variants_of_the_test_that_plays_them(rows: Rows) -> None:
    suite = Case(ROOT, rows, CAMPAIGNS).suite
    variants = {test.variant for test in suite.tests() if test.base == SCENARIO and test.variant}
    assert variants == {path.stem for path in (ROOT / "tests/scenarios/files").glob("*.toml")}
