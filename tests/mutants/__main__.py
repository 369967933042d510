"""Plant each bug of the table in a copy of the tree, and see the test that is named for it fail.

    python -m tests.mutants [--jobs N] [word ...]   all bugs, or those whose name or file holds one of the words
    python -m tests.mutants --fixed                 the twenty of `make check`
    python -m tests.mutants --table                 plant nothing, print the table alone

Prints a table in Markdown, and before that, on stderr, with what words each test failed; exits 1 when a bug was not
found, or when a test fails without one. The tree itself is never touched. All of them take minutes;
`tests/architecture/test_mutants.py` keeps table and document true to the sources.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.fixed import FIXED
from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]
_COPIED = ("firmware", "sim", "host", "tests", "docs", "examples", "pyproject.toml")
_LEFT_OUT = shutil.ignore_patterns("node_modules", "__pycache__", "*.pyc", ".hypothesis")
_FAILED = 1
"""What pytest exits with when a test failed; anything else means that it could not run."""
_SUMMARY = re.compile(r"^(FAILED|ERROR) .*?(?: - (.*))?$", re.MULTILINE)
"""pytest's last words on a test: what became of it, and why."""
_HUNG = "Failed: Timeout"
_STUMBLES = ("ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError", "SyntaxError")
"""Why a test fails that has found nothing: Python itself stumbled over the bug."""
_WORDS_SHOWN = 100
_PLAIN = ("-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:pytest_cov")


class Tree:
    """A copy of what the tests need, in `folder`; bugs are planted in it one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written_s = int(time.time())
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=_LEFT_OUT)
            elif source.exists():
                shutil.copy(source, folder / name)

    def passes(self, tests: Iterable[str]) -> bool:
        """Return whether tests pass on the copy; what fails is shown."""
        done = self._pytest(tests)
        if done.returncode:
            _show(done)
        return done.returncode == 0

    def finds(self, mutant: Mutant) -> str:
        """Return with what words the bug makes its test fail; "" when it wasn't found."""
        path = self.folder / "firmware" / "pencore" / mutant.file
        sound = path.read_text(encoding="utf-8")
        self._write(path, mutant.planted(sound))
        try:
            done = self._pytest([mutant.test])
        finally:
            self._write(path, sound)
        words = failure(done.stdout) if done.returncode == _FAILED else ""
        if not words:
            _show(done)
        return words

    def uses_its_own(self) -> bool:
        """Return whether the tests in the copy import the copy's firmware, and not the tree's."""
        probe = self.folder / "tests" / "test_probe.py"
        probe.write_text(
            "from pathlib import Path\nimport pencore\n\n\ndef test_probe() -> None:\n"
            "    assert Path(pencore.__file__).parents[2] == Path.cwd()\n",
            encoding="utf-8",
        )
        try:
            return self.passes(["tests/test_probe.py"])
        finally:
            probe.unlink()

    def _pytest(self, tests: Iterable[str]) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join(str(self.folder / part) for part in ("firmware", "sim", "host", "."))
        environment = {**os.environ, "PYTHONPATH": path, "CI": "1"}
        command = [sys.executable, "-m", "pytest", *_PLAIN, *tests]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def _write(self, path: Path, text: str) -> None:
        # Python takes its compiled file for good as long as size and second of the source are the same.
        path.write_text(text, encoding="utf-8")
        self._written_s += 1
        os.utime(path, (self._written_s, self._written_s))


def _show(done: "subprocess.CompletedProcess[str]") -> None:
    sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])


def failure(said: str) -> str:
    """Return with what words a test has failed, of all that pytest `said`; "" when it couldn't be set up, only hung, or
    stumbled over a bug that Python itself refuses: then it has found nothing.
    """
    ends = _SUMMARY.findall(said)
    if not ends or _HUNG in said or any(end == "ERROR" or why.startswith(_STUMBLES) for end, why in ends):
        return ""
    return ends[0][1] or "failed"


def sound(trees: Sequence[Tree], tests: Sequence[str]) -> bool:
    """Return whether the tests pass without a bug; each tree runs its share."""
    with ThreadPoolExecutor(len(trees)) as pool:
        shares = [tests[number :: len(trees)] for number in range(len(trees))]
        return all(list(pool.map(lambda tree, share: not share or tree.passes(share), trees, shares)))


def plant_all(trees: Sequence[Tree], chosen: Sequence[Mutant]) -> dict[str, bool]:
    """Plant all that are chosen, in each tree one after the other; return which were found, by name."""
    waiting = iter(chosen)
    lock = threading.Lock()
    found: dict[str, bool] = {}

    def work(tree: Tree) -> None:
        while True:
            with lock:
                mutant = next(waiting, None)
            if mutant is None:
                return
            begun = time.monotonic()
            words = tree.finds(mutant)
            found[mutant.name] = bool(words)
            mark = "found" if words else "NOT FOUND"
            sys.stderr.write(f"{mark:10} {time.monotonic() - begun:5.1f} s  {mutant.name}  {words[:_WORDS_SHOWN]}\n")

    with ThreadPoolExecutor(len(trees)) as pool:
        list(pool.map(work, trees))
    return found


def table(chosen: Iterable[Mutant]) -> list[str]:
    """Return the lines of the table."""
    lines = ["| the bug | in | found by |", "|---|---|---|"]
    return lines + [mutant.row() for mutant in chosen]


def summary(chosen: Iterable[Mutant]) -> list[str]:
    """Return the lines of the table that counts the bugs of each module."""
    counts = Counter(mutant.module for mutant in chosen)
    lines = ["| module | bugs |", "|---|---|"]
    return [*lines, *(f"| `{module}` | {count} |" for module, count in sorted(counts.items()))]


def main(arguments: list[str]) -> int:
    """Plant what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--fixed", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(arguments)
    fixed = {name for names in FIXED.values() for name in names}
    chosen = [mutant for mutant in MUTANTS if not asked.fixed or mutant.name in fixed]
    if asked.words:
        chosen = [mutant for mutant in chosen if any(word in mutant.name + mutant.file for word in asked.words)]
    begun = time.monotonic()
    found: dict[str, bool] = {}
    if not asked.table:
        with tempfile.TemporaryDirectory() as folder:
            trees = []
            for number in range(asked.jobs):
                (Path(folder) / str(number)).mkdir()
                trees.append(Tree(Path(folder) / str(number)))
            if not trees[0].uses_its_own():
                raise SystemExit("the tests would not run on the copy")
            if not sound(trees, sorted({mutant.test for mutant in chosen})):
                raise SystemExit("a test fails without any bug")
            found = plant_all(trees, chosen)
        sys.stderr.write(f"{sum(found.values())} of {len(chosen)} found in {time.monotonic() - begun:.0f} s\n")
    missed = [mutant.name for mutant in chosen if not found.get(mutant.name, asked.table)]
    if not asked.fixed:
        sys.stdout.write("\n".join([*summary(chosen), "", *table(chosen)]) + "\n")
    for name in missed:
        sys.stderr.write(f"not found: {name}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
