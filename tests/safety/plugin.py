"""Notes which tests ran and how they ended, for `python -m tests.safety`. A plugin of pytest; `--ran FILE` asks for it.

Works with and without workers: reports arrive where the run is led from, what a worker leaves out comes with its end.
The file is written at the very end, whatever that is: a run that was broken off says so.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.safety.ran import FORMAT, LEFT_OUT, NEEDS_IMAGE, tree_digest

_WORKERS_SHARE = "left_out"
_OUTCOMES = ("passed", "skipped", "failed")
"""From the best to the worst: a test is as good as the worst of its three phases."""


class Notes:
    """What is noted of one run of pytest, in the process that leads it."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = root
        self._began = time.monotonic()
        self._tests: dict[str, dict[str, Any]] = {}
        self._left_out: dict[str, str] = {}
        self._digest = tree_digest(root)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one phase of one test."""
        noted = self._tests.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0.0, "reason": ""})
        noted["seconds"] = round(noted["seconds"] + report.duration, 3)
        if _OUTCOMES.index(report.outcome) > _OUTCOMES.index(noted["outcome"]):
            noted["outcome"] = report.outcome
            noted["reason"] = _reason(report)

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """Take what a run without workers leaves out."""
        self._left_out.update(_left_out(items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take what a worker has left out."""
        self._left_out.update(getattr(node, "workeroutput", {}).get(_WORKERS_SHARE, {}))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write all of it down."""
        told = {
            "format": FORMAT,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._began, 1),
            "exit": int(exitstatus),
            "tree": self._digest,
            "tests": dict(sorted(self._tests.items())),
            LEFT_OUT: dict(sorted(self._left_out.items())),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


class WorkersNotes:
    """What a worker notes: the tests that it leaves out, which only it knows."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._left_out: dict[str, str] = {}

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """Take what is left out."""
        self._left_out.update(_left_out(items))

    def pytest_sessionfinish(self) -> None:
        """Hand it over."""
        vars(self._config)["workeroutput"][_WORKERS_SHARE] = self._left_out


def add_option(parser: pytest.Parser) -> None:
    """Let a run be asked for its notes."""
    parser.addoption("--ran", type=Path, metavar="FILE", help="note in FILE which tests ran and how they ended")


def take_notes(config: pytest.Config) -> None:
    """Begin to take notes if that was asked for."""
    path: Path | None = config.getoption("--ran")
    if path is None:
        return
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(WorkersNotes(config), "safety-notes")
    else:
        config.pluginmanager.register(Notes(path.absolute(), config.rootpath), "safety-notes")


def _left_out(items: Iterable[pytest.Item]) -> dict[str, str]:
    return {item.nodeid: NEEDS_IMAGE if item.get_closest_marker("chip") else "left out" for item in items}


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return report.when + ": " + (crash.message if crash is not None else str(report.longrepr)).partition("\n")[0]
