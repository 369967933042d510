"""A Python that has imported beforehand what others wrote, and carries out in copies of itself whatever it is asked.

Host only; wants a system that can copy a process (`os.fork`).

A copy is there at once, and is a process of its own: what it imports, prints or breaks is gone with it. Nothing of the
project is imported beforehand, unless the safety case is to be read: then what reads it, which has read the tree as it
was at first, and of one that differs in a file reads one file.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.campaigns.forked import tried

PYTEST = ("pytest", "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
"""How pytest is begun here: what is there before it begins, it can't make over, and needn't."""
_BEFOREHAND = ("hypothesis.strategies", "littlefs", "pydantic", "pytest", "rich.live", "rich.table", "serial", "typer")
_CASE = "--case"


class Warm:
    """Such a Python in `folder`, where modules are looked for first, with `environment`. `case`: see the module."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, case: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm", *([_CASE] if case else [])],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # It may wait for a copy that never ends.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run `python -m` with these words, in this environment besides; all that it printed is in `stdout`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([words, environment]), file=self._process.stdin, flush=True)
        code, printed = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(words, code, printed)


def main() -> None:
    """Do what each line of the input asks for, and print what came of it."""
    for name in _BEFOREHAND:
        import_module(name)
    if _CASE in sys.argv:
        _read_case(Path.cwd())
    for line in sys.stdin:
        words, environment = json.loads(line)
        print(json.dumps(tried(partial(_carried_out, words, environment))), flush=True)  # noqa: T201  # the answer


def _read_case(root: Path) -> None:
    from tests.safety.firmware import Firmware
    from tests.safety.suite import Suite

    Suite(root).tests()
    list(Firmware(root).modules)


def _carried_out(words: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Be a program: run a module as a command; return its exit code and all that it printed."""
    os.environ.update(environment)
    sys.argv = list(words)
    with tempfile.TemporaryFile() as printed, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        for number in (1, 2):
            os.dup2(printed.fileno(), number)
        code = _exit_code(words[0])
        sys.stdout.flush()
        sys.stderr.flush()
        printed.seek(0)
        return code, printed.read().decode(errors="replace")


def _exit_code(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001  # as Python itself does with what nobody catches
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
