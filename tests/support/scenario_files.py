"""The scenario files of this folder's neighbour, read and played; targets as a served pen's port gives them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pensim.hands import BadCommand
from pensim.scenario.model import Scenario, parse, provisioning
from pensim.scenario.run import Outcome, play
from pensim.scenario.targets import InProcess, Served
from pinprick.cli.scenario import ScenarioPort, reopened
from tests.support.bench import BOOK
from tests.support.served import served

FOLDER = Path(__file__).parents[1] / "scenarios" / "files"
FILES = tuple(sorted(FOLDER.glob("*.toml")))


def read(path: Path, change: Callable[[str], str] = lambda text: text) -> Scenario:
    """Return the scenario in a file, its text changed first."""
    text = change(path.read_text(encoding="utf-8"))
    return parse(text, path.name, lambda name: (path.parent / name).read_text(encoding="utf-8"))


def of(text: str) -> Scenario:
    """Return the scenario in `text`, as if it lay among the files."""
    return parse(text, "test.toml", lambda name: (FOLDER / name).read_text(encoding="utf-8"))


def play_here(scenario: Scenario, seed: int | None = None) -> Outcome:
    """Play a scenario in this process."""
    target = InProcess(scenario, seed, BOOK)
    try:
        return play(scenario, target, seed)
    finally:
        target.close()


@cache
def outcome(path: Path) -> Outcome:
    """Return how a file went in this process; played once."""
    return play_here(read(path))


@contextmanager
def served_target(end: str, scenario: Scenario) -> Iterator[Served]:
    """Serve the pen that a scenario wants, at a "tcp" or "pty" end; yield it as a target."""
    with served(end, setup=provisioning(scenario.pen)) as pen:

        def act(command: dict[str, Any]) -> dict[str, Any]:
            pen.send(command)
            answer = pen.answer()
            if answer["event"] == "refused":
                raise BadCommand(answer["problem"])
            return answer

        target = Served(pen.where, ScenarioPort(pen.where), lambda: reopened(pen.where), act)
        try:
            yield target
        finally:
            target.close()
