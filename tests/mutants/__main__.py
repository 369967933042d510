"""Plant each bug of the table in a copy of the tree, and see the test that is named for it fail.

    python -m tests.mutants [word ...]     only the bugs whose name holds one of the words

Prints a table in Markdown; exits 1 when a bug was not found, or when a test fails without one. The tree itself is never
touched. Minutes long, so it is no part of `make check`; `tests/architecture/test_mutants.py`, which is, keeps the table
true to the sources.
"""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]
WORKERS = 2
_COPIED = ("firmware", "sim", "host", "tests", "docs", "examples", "pyproject.toml")
_LEFT_OUT = shutil.ignore_patterns("node_modules", "__pycache__", "*.pyc", ".hypothesis")
_FAILED = 1
"""What pytest exits with when a test failed; anything else means that it could not run."""
_OUT_OF_TIME = -1
"""What stands for a test that failed by its time limit alone: a bug that only hangs a test was not found by it."""


def copy_tree(to: Path) -> None:
    """Copy what the tests need to `to`."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=_LEFT_OUT)
        elif source.exists():
            shutil.copy(source, to / name)


def run(tree: Path, tests: Iterable[str]) -> int:
    """Run tests on a copy; return pytest's exit code, or _OUT_OF_TIME."""
    path = os.pathsep.join(str(tree / part) for part in ("firmware", "sim", "host", "."))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, _FAILED):
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
    return _OUT_OF_TIME if "Failed: Timeout" in done.stdout else done.returncode


def plant(tree: Path, mutant: Mutant) -> str:
    """Put the bug into a copy; return the text that it replaces, to be put back."""
    path = tree / "firmware" / "pencore" / mutant.file
    sound = text = path.read_text(encoding="utf-8")
    for old, new in mutant.edits:
        if text.count(old) != 1:
            raise SystemExit(f"{mutant.name}: {mutant.file} holds {text.count(old)} times: {old}")
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return sound


def found(tree: Path, mutant: Mutant) -> bool:
    """Return whether the bug makes its test fail."""
    sound = plant(tree, mutant)
    try:
        return run(tree, [mutant.test]) == _FAILED
    finally:
        (tree / "firmware" / "pencore" / mutant.file).write_text(sound, encoding="utf-8")


def uses_the_copy(tree: Path) -> bool:
    """Return whether the tests in a copy import the copy's firmware, and not the tree's."""
    probe = tree / "tests" / "test_probe.py"
    probe.write_text(
        "from pathlib import Path\nimport pencore\n\n\ndef test_probe() -> None:\n"
        "    assert Path(pencore.__file__).parents[2] == Path.cwd()\n",
        encoding="utf-8",
    )
    try:
        return run(tree, ["tests/test_probe.py"]) == 0
    finally:
        probe.unlink()


def main(words: list[str]) -> int:
    """Plant what was asked for; return the exit code."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in chosen:
        waiting.put(mutant)
    results: dict[str, tuple[bool, float]] = {}

    def work(tree: Path) -> None:
        while not waiting.empty():
            try:
                mutant = waiting.get_nowait()
            except queue.Empty:
                return
            begun = time.monotonic()
            results[mutant.name] = found(tree, mutant), time.monotonic() - begun
            mark = "found" if results[mutant.name][0] else "NOT FOUND"
            sys.stderr.write(f"{mark:10} {results[mutant.name][1]:5.1f} s  {mutant.name}\n")

    with tempfile.TemporaryDirectory() as folder:
        trees = [Path(folder) / str(number) for number in range(WORKERS)]
        for tree in trees:
            tree.mkdir()
            copy_tree(tree)
        if not uses_the_copy(trees[0]):
            raise SystemExit("the tests would not run on the copy")
        if run(trees[0], sorted({mutant.test for mutant in chosen})) != 0:
            raise SystemExit("a test fails without any bug")
        threads = [threading.Thread(target=work, args=(tree,)) for tree in trees]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = ["| the bug | in | found by |", "|---|---|---|"]
    for mutant in chosen:
        test = mutant.test.partition("::")[2]
        verdict = f"`{test}`" if results[mutant.name][0] else "**not found**"
        lines.append(f"| {mutant.name} | `{mutant.file}` | {verdict} |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(done for done, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
