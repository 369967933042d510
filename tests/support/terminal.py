"""The command as a process at a terminal of its own: what it draws, which keys it gets, how it ends. POSIX only."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_IN_FRONT = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from pinprick.cli import main; sys.exit(main())"
)
"""Makes the terminal the process's own, so that Ctrl-C in it becomes a signal."""
_CODES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-_])")


class Terminal:
    """`pinprick ARGV` at a terminal; a thread reads what it draws."""

    def __init__(self, *argv: str, rows: int = 30, columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (rows, columns))
        environment = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        environment |= {"TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_FRONT, *argv],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        )  # fmt: skip
        self._slave = slave
        self._drawn = bytearray()
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._ended.is_set():
            if select.select([self._master], [], [], 0.05)[0]:
                self._drawn += os.read(self._master, 65_536)

    @property
    def text(self) -> str:
        """Everything drawn so far, one picture after the other, without colours."""
        return " ".join(_CODES.sub(" ", self._drawn.decode(errors="replace")).split())

    @property
    def settings(self) -> object:
        """The terminal's settings."""
        return termios.tcgetattr(self._slave)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def forget(self) -> None:
        """Look only at what is drawn from now on."""
        self._drawn.clear()

    def shows(self, words: str, within_s: float = 60.0) -> None:
        """Wait until `words` have been drawn; fail when they aren't in time."""
        self._until(lambda: words in self.text, within_s, words)

    def exit_code(self, within_s: float = 60.0) -> int:
        """Wait for the end; return the exit code, once all that was drawn is read."""
        self._until(lambda: self.process.poll() is not None, within_s, "the end")
        while select.select([self._master], [], [], 0.2)[0]:
            time.sleep(0.01)
        return self.process.wait()

    def _until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not shown: {what}; drawn: {self.text[-2000:]}"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._ended.set()
        self._reader.join(5)
        os.close(self._master)
        os.close(self._slave)
