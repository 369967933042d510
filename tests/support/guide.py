"""Guides as they stand in docs/users: their console blocks are carried out, what comes out is held against the page.

    python -m tests.support.guide [--write] [PAGE ...]

A block that begins with ```console holds commands, each after `$ `, and what they print. Every page has a folder of
its own, with its data in `data` and its simulated pens in `run`; `pinprick` is this checkout's. What the reader does
not see stands in comments of one line:

    <!-- guide: background COMMAND -->           started now, ended with the page
    <!-- guide: run COMMAND -->                  carried out now; it has to succeed
    <!-- guide: file NAME -->                    the next code block is the text of this file
    <!-- guide: when "TEXT" run COMMAND -->      in the next block or `run`: each time a command prints TEXT
    <!-- guide: when "TEXT" interrupt -->        the same, with a Ctrl-C

A command that ends in ` &` goes on in the background. `echo $?` tells the exit code of the command before it. What is
different each time, and nothing else, is made equal by `VARIES` before it is compared. `--write` writes what was
printed into the page, where it is not equal. Host only; POSIX only, as the guides are.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "users").glob("*.md"))
COLUMNS = 120
_COMMAND_S = 60.0
_END_S = 10.0

VARIES: tuple[tuple[str, str, str], ...] = (
    ("progress, told by the clock", r"(?m)^ +\d+:\d\d  [A-Z]+ .*\n", ""),
    ("moments of a fault", r"(?m)^ +\d+:\d\d  ([A-Z]+_)", r"MIN  \1"),
    ("times of day", r"\b\d\d:\d\d(:\d\d)?\sUTC", "TIME"),
    ("dates", r"\b\d{4}-\d\d-\d\d\b", "DATE"),
    ("durations", r"\b\d+:\d\d min with power on", "MIN"),
    ("ages", r"\b\d+ days (ago|before)\b", "AGE"),
    ("digests and builds", r"\b[0-9a-f]{16}([0-9a-f]{48})?\b", "HEX"),
    ("fingerprints of keys", r"\bfingerprint [0-9a-f]{8}\b", "fingerprint HEX"),
    ("free TCP ports", r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    ("ages in JSON", r'"calibration_age_days":\d+', '"calibration_age_days":AGE'),
    ("times in JSON", r'"time_floor":\d+', '"time_floor":TIME'),
)
"""What is different each time: what it is, a pattern, and what is put in its place before two texts are compared."""

_DIRECTIVE = re.compile(r"<!-- guide: (.*) -->")
_WHEN = re.compile(r'when "([^"]+)" (?:run (.+)|(interrupt))')


class BadGuide(Exception):
    """A page that can't be carried out: a comment that is none, a hidden command that fails, one that never ends."""


@dataclass
class Command:
    """A command in a page: its words, what it printed when the page was written, and what happens meanwhile.

    `first` and `last` are the lines of the page, from 0, between which the output stands.
    """

    text: str
    line: int
    first: int
    last: int
    meanwhile: list[tuple[str, str | None]] = field(default_factory=list)


@dataclass
class Hidden:
    """Something the reader doesn't see: `kind` is background, run or file."""

    kind: str
    text: str
    body: str = ""
    meanwhile: list[tuple[str, str | None]] = field(default_factory=list)


@dataclass
class Page:
    """A page taken apart: its lines, and what is to be done, in order."""

    path: Path
    lines: list[str]
    steps: list[Command | Hidden]

    def told(self, command: Command) -> str:
        """Return what the page says that `command` prints."""
        return "".join(f"{line}\n" for line in self.lines[command.first : command.last])

    def commands(self) -> list[Command]:
        """Return the commands that a reader sees."""
        return [step for step in self.steps if isinstance(step, Command)]


@dataclass
class Outcome:
    """What a command printed, and its exit code; None for one that goes on."""

    command: Command
    printed: str
    exit: int | None


# --- reading ---------------------------------------------------------------------------------------------------------
def read(path: Path) -> Page:
    """Return the page at `path`; BadGuide for a comment to this module that it doesn't know."""
    lines = path.read_text(encoding="utf-8").splitlines()
    page = Page(path, lines, [])
    meanwhile: list[tuple[str, str | None]] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        directive = _DIRECTIVE.fullmatch(line)
        if directive is not None:
            when = _WHEN.fullmatch(directive[1])
            kind, _, text = directive[1].partition(" ")
            if when is not None:
                meanwhile.append((when[1], when[2]))
            elif kind == "run" and text:
                page.steps.append(Hidden(kind, text, meanwhile=meanwhile))
                meanwhile = []
            elif kind in ("background", "file") and text:
                page.steps.append(Hidden(kind, text))
            else:
                raise BadGuide(f"{path.name}:{number + 1}: {directive[1]}")
        elif line.startswith("```") and line != "```":
            end = lines.index("```", number + 1)
            if line == "```console":
                page.steps += _commands(lines, number + 1, end, meanwhile)
                meanwhile = []
            elif page.steps and isinstance(page.steps[-1], Hidden) and page.steps[-1].kind == "file":
                page.steps[-1].body = "".join(f"{line}\n" for line in lines[number + 1 : end])
            number = end
        number += 1
    return page


def _commands(lines: list[str], begin: int, end: int, meanwhile: list[tuple[str, str | None]]) -> Iterator[Command]:
    """Yield the commands of a block; what happens meanwhile happens in each."""
    starts = [number for number in range(begin, end) if lines[number].startswith("$ ")]
    for start, after in zip(starts, [*starts[1:], end], strict=True):
        text, first = lines[start][2:], start + 1
        while text.endswith("\\"):
            text, first = text[:-1].rstrip() + " " + lines[first].strip(), first + 1
        yield Command(text, start + 1, first, after, meanwhile)


def normal(text: str) -> str:
    """Return `text` with all that is different each time made equal."""
    for _, pattern, instead in VARIES:
        text = re.sub(pattern, instead, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


# --- carrying out ----------------------------------------------------------------------------------------------------
class Shell:
    """The folder and the environment of one page. Whatever goes on in the background ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._exit = 0
        self._background: list[subprocess.Popen[str]] = []
        tools = folder / ".bin"
        tools.mkdir()
        tool = tools / "pinprick"
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pinprick "$@"\n')
        tool.chmod(0o755)
        shutil.copytree(ROOT / "examples", folder / "examples")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PINPRICK_")}
        self._environment = {
            **kept,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            # Relative, so that the pages show the same paths wherever they are made.
            "PINPRICK_DATA_DIR": "data",
            # The same on every computer, and nobody's own keyring is touched.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "PINPRICK_RUNTIME_DIR": "run",
            "COLUMNS": str(COLUMNS),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # Whoever was started in the background hears no Ctrl-C, and hands that on; the commands have to hear it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._background):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _start(self, text: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["/bin/sh", "-c", text],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            # A Ctrl-C reaches all that a terminal would give it to, and nobody else.
            start_new_session=True,
        )

    def background(self, text: str, *, heard: bool = False) -> None:
        """Start a command that goes on; with `heard` it is waited for its first line."""
        process = self._start(f"exec {text}")
        self._background.append(process)
        if heard and process.stdout is not None and not process.stdout.readline():
            raise BadGuide(f"{text}: ended at once")

    def hide(self, hidden: Hidden) -> None:
        """Do what the reader doesn't see; BadGuide when it fails."""
        if hidden.kind == "file":
            (self.folder / hidden.text).write_text(hidden.body, encoding="utf-8")
        elif hidden.kind == "background":
            self.background(hidden.text, heard=True)
        else:
            printed, code = self.run(hidden.text, hidden.meanwhile)
            if code:
                raise BadGuide(f"{hidden.text}: exit code {code}\n{printed}")

    def run(self, text: str, meanwhile: list[tuple[str, str | None]] | None = None) -> tuple[str, int]:
        """Carry out a command to its end; return what it printed and its exit code."""
        process = self._start(text)
        printed: list[str] = []
        assert process.stdout is not None
        with _limited(process, text), process.stdout as output:
            self._follow(process, output, meanwhile or [], printed)
            code = process.wait()
        return "".join(printed), code

    def _follow(
        self,
        process: "subprocess.Popen[str]",
        output: IO[str],
        meanwhile: list[tuple[str, str | None]],
        printed: list[str],
    ) -> None:
        for line in output:
            printed.append(line)
            for text, command in meanwhile:
                if text not in line:
                    continue
                if command is None:
                    os.killpg(process.pid, signal.SIGINT)
                else:
                    self.hide(Hidden("run", command))

    def act(self, command: Command) -> Outcome:
        """Carry out a command of the page."""
        if command.text.endswith(" &"):
            self.background(command.text.removesuffix(" &"))
            return Outcome(command, "", None)
        text = f"(exit {self._exit}); {command.text}" if "$?" in command.text else command.text
        printed, self._exit = self.run(text, command.meanwhile)
        return Outcome(command, printed, self._exit)


@contextmanager
def _limited(process: "subprocess.Popen[str]", text: str) -> Iterator[None]:
    """End `process` when it takes too long, and say so."""
    late = threading.Event()

    def end() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(_COMMAND_S, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        raise BadGuide(f"{text}: still running after {_COMMAND_S:.0f} s")


def carry_out(page: Page, folder: Path) -> Iterator[Outcome]:
    """Do all that `page` says in `folder`, which is empty, and yield what each visible command printed."""
    with Shell(folder) as shell:
        for step in page.steps:
            if isinstance(step, Hidden):
                shell.hide(step)
            else:
                yield shell.act(step)


# --- writing ---------------------------------------------------------------------------------------------------------
def rewritten(page: Page, outcomes: list[Outcome]) -> str:
    """Return the page with what was printed, where that is not what it says already."""
    lines = list(page.lines)
    for outcome in reversed(outcomes):
        command = outcome.command
        if normal(outcome.printed) != normal(page.told(command)):
            lines[command.first : command.last] = [line.rstrip() for line in outcome.printed.splitlines()]
    return "".join(f"{line}\n" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Carry out pages; return 1 when one of them isn't what comes out, unless it was written anew."""
    parser = argparse.ArgumentParser(description="Carry out the commands of the guides.")
    parser.add_argument("--write", action="store_true", help="write what is printed into the pages")
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES, help="pages (default: all of docs/users)")
    options = parser.parse_args(arguments)
    stale = 0
    with ExitStack() as stack:
        for path in options.pages:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            page = read(path)
            text = rewritten(page, list(carry_out(page, folder)))
            if text == path.read_text(encoding="utf-8"):
                continue
            stale = 1
            print(f"{'writing' if options.write else 'out of date:'} {path}")  # noqa: T201  # this is a command
            if options.write:
                path.write_text(text, encoding="utf-8")
    return 0 if options.write else stale


if __name__ == "__main__":
    sys.exit(main())
