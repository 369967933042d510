"""What ran and how it ended: tests as the plugin noted them, campaigns as they tell of themselves. Host only."""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.safety.suite import Named

TESTS = Path("build/tests.json")
CAMPAIGNS = Path("build/campaign.json")
FORMAT = 1
LEFT_OUT = "left_out"
NEEDS_IMAGE = "needs an image"

PASSED = "passed"
NOT_RUN = "not run"
_SOURCES = ("firmware", "sim", "host", "tests")
_KINDS = frozenset({".py", ".toml", ".json", ".mjs"})
_OTHERS = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True)
class Result:
    """How one named test or campaign came out. `outcome`: passed, failed, skipped, not run; `told` is for people."""

    outcome: str
    told: str = ""
    runs: int = 0

    @property
    def passed(self) -> bool:
        """Whether it ran, and all of it passed."""
        return self.outcome == PASSED

    @property
    def wants_an_image(self) -> bool:
        """Whether it was left out for nothing but the want of an image."""
        return self.outcome == NOT_RUN and self.told == NEEDS_IMAGE


def tree_digest(root: Path) -> str:
    """Return the SHA-256 of all that the tests are about, to tell a run of this tree from one of another."""
    digest = hashlib.sha256()
    for part in _SOURCES:
        for folder, folders, names in os.walk(root / part):
            folders[:] = sorted(set(folders) - _OTHERS)
            for path in (Path(folder, name) for name in sorted(names)):
                if path.suffix in _KINDS:
                    digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@dataclass
class Run:
    """A run of pytest. `problems` says what keeps it from proving anything at all."""

    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._variants: dict[str, list[str]] = {}
        for node in [*self.tests, *self.left_out]:
            self._variants.setdefault(node.partition("[")[0], []).append(node)

    def result(self, test: Named) -> Result:
        """Return how `test` came out: all variants of it, unless one is named."""
        base = f"tests/{test.base}"
        nodes = [f"{base}[{test.variant}]"] if test.variant else self._variants.get(base, [])
        ran = [node for node in nodes if node in self.tests]
        for node in ran:
            told = self.tests[node]
            if told["outcome"] != PASSED:
                return Result(told["outcome"], f"{node.partition('::')[2]}: {told['reason']}", len(ran))
        reasons = {self.left_out[node] for node in nodes if node in self.left_out}
        if reasons - {NEEDS_IMAGE}:
            return Result(NOT_RUN, ", ".join(sorted(reasons)), len(ran))
        if ran:
            return Result(PASSED, runs=len(ran))
        return Result(NOT_RUN, NEEDS_IMAGE if reasons else "")


def read_run(path: Path, root: Path) -> Run:
    """Return the run noted in `path`; one that proves nothing says why."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            return Run(problems=[f"{path} has another form: run the tests again"])
        run = Run(told["tests"], told[LEFT_OUT])
    except FileNotFoundError:
        return Run(problems=[f"{path} is not there: run the tests with --ran {path}"])
    except (ValueError, KeyError, TypeError) as error:
        return Run(problems=[f"{path} can't be read: {error}"])
    if told["exit"] != 0:
        run.problems.append(f"the tests ended with exit code {told['exit']}")
    if told["tree"] != tree_digest(root):
        run.problems.append("the tree has changed since the tests ran")
    return run


@dataclass
class Campaigns:
    """A run of campaigns. `problems` says what keeps it from proving anything at all."""

    results: dict[str, Result] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def result(self, name: str) -> Result:
        """Return how the campaign `name` came out."""
        return self.results.get(name, Result(NOT_RUN))


def read_campaigns(path: Path, build: str) -> Campaigns:
    """Return what the campaigns told in `path`; `build` is the firmware that they are to have been about."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = Campaigns({name: _campaign(part) for name, part in told["campaigns"].items()})
        if told["firmware"]["build"] != build:
            found.problems.append("the firmware has changed since the campaigns ran")
    except FileNotFoundError:
        return Campaigns(problems=[f"{path} is not there: run python -m tests.campaigns"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Campaigns(problems=[f"{path} can't be read: {error!r}"])
    return found


def _campaign(part: dict[str, Any]) -> Result:
    """Judge what a campaign tells of itself: all that was planned, and nothing broken."""
    cases = int(part["cases"])
    if part["violations"]:
        return Result("failed", f"{part['violations']} violations", cases)
    if part["complete"] is not True or cases <= 0:
        return Result(NOT_RUN, f"no more than {cases} cases of it", cases)
    return Result(PASSED, runs=cases)
