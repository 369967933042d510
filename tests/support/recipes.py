"""A recipe of CONTRIBUTING.md, carried out in a copy of the tree: after each step, which checks complain. Host only.

The checks run in the copy, on the copy: a process of pytest a step, on the few files that the recipe names.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.warm import PYTEST, Warm

ROOT = Path(__file__).parents[2]
PAGE = "CONTRIBUTING.md"
DOCS = "make docs"
"""The step that makes the generated pages anew, as `make docs` does."""

_PARTS = ("docs", "examples", "firmware", "host", "sim", "tests")
_LEFT_OUT = shutil.ignore_patterns("node_modules", ".hypothesis", "*.so")
_FAILED = re.compile(r"^(?:FAILED|ERROR) tests/([^\s\[]+)", re.MULTILINE)


class House:
    """A copy of the tree at `root`, to be changed, for the length of a with block."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for part in _PARTS:
            shutil.copytree(ROOT / part, root / part, ignore=_LEFT_OUT)
        shutil.copy(ROOT / "pyproject.toml", root)
        homes = [str(root / home) for home in ("firmware", "sim", "host")]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        self._python = Warm(root, kept | {"PYTHONPATH": os.pathsep.join([*homes, str(root)]), "CI": "1"}, case=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._python.__exit__(kind, error, trace)

    def replace(self, path: str, old: str, new: str) -> None:
        """Put `new` for `old`, which stands in a file exactly once."""
        text = (self._root / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has {text.count(old)} of {old!r}"
        (self._root / path).write_text(text.replace(old, new), encoding="utf-8")

    def insert(self, path: str, before: str, new: str) -> None:
        """Put `new` before `before`, which stands in a file exactly once."""
        self.replace(path, before, new + before)

    def append(self, path: str, new: str) -> None:
        """Put `new` at a file's end; it needn't be there yet."""
        with (self._root / path).open("a", encoding="utf-8") as file:
            file.write(new)

    def make_pages(self) -> None:
        """Do the half of `make docs` that makes all pages but the safety case."""
        self._make("pinprick.cli.gendocs")

    def make_case(self) -> None:
        """Do the other half: the safety case's page."""
        self._make("tests.safety", "--write")

    def make_docs(self) -> None:
        """Do both."""
        self.make_pages()
        self.make_case()

    def _make(self, *words: str) -> None:
        ran = self._python.run(*words)
        assert ran.returncode == 0, ran.stdout

    def complaints(self, checks: Sequence[str]) -> set[str]:
        """Return which of the tests `checks` fail; one that isn't there yet doesn't."""
        there = [check for check in checks if self._has(check)]
        asked = [f"tests/{check}" for check in there]
        # Nobody reads why one fails: two pages held against each other in words are ten seconds.
        quiet = ("-q", "-n", "0", "-p", "no:cacheprovider", "-rfE", "--tb=no", "--assert=plain")
        ran = self._python.run(*PYTEST, *quiet, *asked)
        failed = set(_FAILED.findall(ran.stdout))
        # One that can't even be gathered is a mistake of the recipe's.
        assert failed <= set(there), ran.stdout
        assert ran.returncode == (1 if failed else 0), ran.stdout
        return failed

    def _has(self, check: str) -> bool:
        path, _, function = check.partition("::")
        return f"def {function}(" in (self._root / "tests" / path).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Step:
    """What is done where, which checks complain from then on, and which have nothing to complain of any more."""

    where: tuple[str, ...]
    """The files, as the page names them, or `DOCS`."""
    do: Callable[[House], None]
    wakes: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How something new comes into the tree. Each check, "unit/test_x.py::test_y", knows when a step is missing."""

    name: str
    steps: tuple[Step, ...]

    @property
    def checks(self) -> tuple[str, ...]:
        """All of its checks."""
        return tuple(dict.fromkeys(check for step in self.steps for check in (*step.wakes, *step.ends)))


def paragraph(name: str) -> str:
    """Return the page's paragraph on what is new: "A limit"."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    found = re.search(rf"^- \*\*{name}\*\*.*?(?=^- \*\*|\n\n)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{PAGE} has no recipe for {name}"
    return " ".join(found[0].split())
