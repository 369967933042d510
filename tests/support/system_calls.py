"""The calls by which a program reads and changes files: made to fail, to be its last, or watched. Host only.

`Calls` stands between a program and the system: all that `pathlib` and `tempfile` do passes `os`. `Disk` knows what
would still be there if the computer lost its power now.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

CHANGING = ("open", "close", "write", "fsync", "link", "unlink", "replace", "rename", "mkdir")
LOOKING = ("lstat", "stat", "fstat", "read", "scandir")

Act = Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]
"""What is done in place of a call: its name, the real one, its arguments."""


class Killed(BaseException):
    """The program was killed: it changes nothing any more."""


class Calls:
    """The calls of a program, counted from 0; in place of call `at` is done `act`. Nothing is really synced."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int = -1, act: Act | None = None) -> None:
        self.names: list[str] = []
        self.at, self.act = at, act
        self.synced: Callable[[int], None] = lambda _: None
        self.made: Callable[[int], None] = lambda _: None
        self._dead = False
        self._apart = False
        for name in (*CHANGING, *LOOKING):
            patch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def real(*arguments: Any, **options: Any) -> Any:
            if name == "fsync":
                return self.synced(arguments[0])
            result = call(*arguments, **options)
            if name == "open" and arguments[1] & os.O_EXCL:
                self.made(result)
            return result

        def wrapped(*arguments: Any, **options: Any) -> Any:
            if self._apart:
                return real(*arguments, **options)
            if self._dead and name in CHANGING:
                if name == "close":
                    call(*arguments)
                raise Killed
            self.names.append(name)
            if len(self.names) - 1 != self.at or self.act is None:
                return real(*arguments, **options)
            return self.act(name, partial(real, **options), arguments)

        return wrapped

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Let the calls of another program, or of the test, pass."""
        before, self._apart = self._apart, True
        try:
            yield
        finally:
            self._apart = before

    def kill_at(self, at: int, *, after: bool) -> None:
        """End the program before or `after` call `at`. Looking about does no harm: it may do that after its end."""

        def act(name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
            # What a dead program had open is closed for it.
            self._dead = True
            if after or name == "close":
                with suppress(OSError):
                    call(*arguments)
            raise Killed

        self.at, self.act = at, act

    def revive(self) -> None:
        """Let a new program begin."""
        self._dead = False
        self.at = -1


def failing(number: int) -> Act:
    """Return an act that fails with errno `number` and does nothing; but a close that fails closes."""

    def act(name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if name == "close":
            call(*arguments)
        raise OSError(number, os.strerror(number))

    return act


def half(name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Write or read half of what is asked; do other calls as they are."""
    descriptor, what, *_ = (*arguments, None)
    if name == "write":
        return call(descriptor, what[: (len(what) + 1) // 2])
    if name == "read":
        return call(descriptor, (what + 1) // 2)
    return call(*arguments)


class Disk:
    """What has reached the disk: the names in folders and the bytes of files, as of their last sync; POSIX only."""

    def __init__(self, calls: Calls, root: Path) -> None:
        self._calls = calls
        self._root = root
        self._names: dict[int, dict[str, int]] = {}
        self._bytes: dict[int, bytes] = {}
        calls.synced = self._synced
        calls.made = self._made

    def _made(self, descriptor: int) -> None:
        with self._calls.apart():
            # It may have the number of one that is gone.
            self._bytes.pop(os.fstat(descriptor).st_ino, None)

    def _synced(self, descriptor: int) -> None:
        with self._calls.apart():
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            number = os.fstat(descriptor).st_ino
            if not path.is_relative_to(self._root):
                return
            if path.is_dir():
                self._names[number] = {place.name: place.lstat().st_ino for place in path.iterdir()}
            else:
                self._bytes[number] = path.read_bytes()

    def holds(self, path: Path, data: bytes) -> bool:
        """Return whether `path` would hold `data` if the power went now; what leads to the root is there for ever."""
        with self._calls.apart():
            place = self._root
            for name in path.relative_to(self._root).parts:
                names = self._names.get(place.stat().st_ino, {})
                place /= name
                if not place.exists() or names.get(name) != place.lstat().st_ino:
                    return False
            return self._bytes.get(path.lstat().st_ino) == data
