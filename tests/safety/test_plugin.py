"""The plugin that notes what ran: each outcome, with and without workers, and of a run that is broken off."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.safety.ran import FORMAT, LEFT_OUT, NEEDS_IMAGE, PASSED, read_run
from tests.safety.suite import Named

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.safety import plugin

def pytest_addoption(parser):
    plugin.add_option(parser)

def pytest_configure(config):
    config.addinivalue_line("markers", "chip: the whole chip")
    plugin.take_notes(config)

def pytest_collection_modifyitems(config, items):
    chip = [item for item in items if item.get_closest_marker("chip")]
    config.hook.pytest_deselected(items=chip)
    items[:] = [item for item in items if item not in chip]
"""
SUITE = """
import pytest

@pytest.fixture
def broken():
    raise OSError("no such board")

@pytest.fixture
def untidy():
    yield
    raise OSError("left open")

@pytest.mark.parametrize("number", [1, 2, 3])
def test_numbers(number):
    assert number < 3

def test_good():
    pass

@pytest.mark.{SKIP}(reason="no time")
def test_left():
    pass

def test_setup(broken):
    pass

def test_teardown(untidy):
    pass

@pytest.mark.chip
def test_whole_chip():
    pass
""".replace("{SKIP}", "sk" + "ip")


def played(folder: Path, *arguments: str, suite: str = SUITE) -> dict[str, Any]:
    """Run a suite in a process of its own; return what was noted."""
    tests = folder / "tests" / "unit"
    tests.mkdir(parents=True)
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tests / "test_x.py").write_text(suite, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    path = os.pathsep.join(str(ROOT / part) for part in ("firmware", "sim", "host", "."))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ran", "out/ran.json", *arguments]
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    for name in [name for name in environment if name.startswith(("PYTEST_", "COV_"))]:
        del environment[name]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=100)
    told: dict[str, Any] = json.loads((folder / "out" / "ran.json").read_text(encoding="utf-8"))
    return told


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_each_outcome_is_noted(tmp_path: Path, workers: str) -> None:
    told = played(tmp_path, "-n", workers)
    file = "tests/unit/test_x.py::"
    outcomes = {name.removeprefix(file): entry["outcome"] for name, entry in told["tests"].items()}
    assert outcomes == {
        "test_numbers[1]": "passed",
        "test_numbers[2]": "passed",
        "test_numbers[3]": "failed",
        "test_good": "passed",
        "test_left": "skipped",
        "test_setup": "failed",
        "test_teardown": "failed",
    }
    reasons = {name.removeprefix(file): entry["reason"] for name, entry in told["tests"].items()}
    assert reasons["test_good"] == ""
    assert reasons["test_left"].endswith("no time")
    assert "assert 3 < 3" in reasons["test_numbers[3]"]
    assert "no such board" in reasons["test_setup"]
    assert "left open" in reasons["test_teardown"]
    assert told[LEFT_OUT] == {f"{file}test_whole_chip": NEEDS_IMAGE}
    assert (told["format"], told["exit"]) == (FORMAT, 1)
    run = read_run(tmp_path / "out" / "ran.json", tmp_path)
    assert run.problems == ["the tests ended with exit code 1"]
    assert run.result(Named("unit/test_x.py", "test_good", "")).outcome == PASSED
    assert run.result(Named("unit/test_x.py", "test_numbers", "")).outcome == "failed"
    assert run.result(Named("unit/test_x.py", "test_numbers", "2")).outcome == PASSED
    assert run.result(Named("unit/test_x.py", "test_whole_chip", "")).wants_an_image


def test_what_is_deselected_otherwise_has_no_excuse(tmp_path: Path) -> None:
    told = played(tmp_path, "-n", "0", "-k", "good")
    assert list(told["tests"]) == ["tests/unit/test_x.py::test_good"]
    assert set(told[LEFT_OUT].values()) == {NEEDS_IMAGE, "left out"}
    assert told["exit"] == 0
    run = read_run(tmp_path / "out" / "ran.json", tmp_path)
    left = run.result(Named("unit/test_x.py", "test_setup", ""))
    assert not left.passed
    assert not left.wants_an_image


def test_a_run_that_collects_nothing_or_breaks_off_says_so(tmp_path: Path) -> None:
    for number, (suite, exit_code) in enumerate((("", 5), ("import nothing_of_that_name\n", 2))):
        told = played(tmp_path / str(number), "-n", "0", suite=suite)
        assert (told["exit"], told["tests"]) == (exit_code, {})


def test_nothing_is_noted_unless_it_was_asked_for(pytestconfig: pytest.Config) -> None:
    asked = pytestconfig.getoption("--ran") is not None
    assert pytestconfig.pluginmanager.has_plugin("safety-notes") == asked
