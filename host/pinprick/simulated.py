"""The simulated pens that run on this computer: how they register, how others find and provoke them. Host only.

A served pen leaves one file in the runtime folder, `pens/SERIAL.json`, which its owner alone can read: serial number,
port, address of its control channel, the token that opens it, process id. It is removed at the end; one whose process
is gone, or with nobody at its channel any more, was left behind, and whoever finds it removes it.
"""

import contextlib
import errno
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pinprick.errors import (
    FILE_UNREADABLE,
    FILE_UNWRITABLE,
    SIM_UNREACHABLE,
    USAGE,
    InputError,
    NoDevice,
    PinprickError,
)
from pinprick.files import file_name, read_bounded, text_of, write_private
from pinprick.places import RUNTIME_VARIABLE, runtime_folder

_CONNECT_S = 1.0
_HELLO_S = 5.0
"""Longest wait for a channel's greeting: its pen may be busy, and so may the computer."""
_ANSWER_S = 60.0
"""Longest wait for a command, whose `after_ms` at a low speed takes its time."""
_PIECE = 65_536
_AT_ONCE = 32
_SUFFIX = ".json"
_PATIENCE_MOST = 1000.0
_CONTROL = re.compile(r"127\.0\.0\.1:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Registration:
    """A simulated pen as it registered: `control` is "127.0.0.1:PORT", `token` opens that."""

    serial: str
    port: str
    control: str
    token: str = field(repr=False)
    pid: int
    patience: float = 1.0
    """For how many seconds of a host's it may take what a real pen does in one; 1 for those that are never slower."""


def _folder() -> Path:
    return runtime_folder() / "pens"


def _path(serial: str) -> Path:
    return _folder() / (file_name(serial) + _SUFFIX)


def _paths() -> list[Path]:
    """Return the files in which pens registered, by name; InputError FILE_UNREADABLE when this account may not look."""
    folder = _folder()
    try:
        found = sorted(folder.iterdir())
        if not os.access(folder, os.X_OK):
            # Names alone can be read.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"Simulated pens register in {folder}, which cannot be read: {error.strerror}."
        hint = f"Give this account the right to read it, or name another folder in {RUNTIME_VARIABLE}."
        raise InputError(FILE_UNREADABLE, message, given=str(folder), hint=hint) from None
    return [path for path in found if path.name.endswith(_SUFFIX)]


@contextlib.contextmanager
def registering(registration: Registration) -> Iterator[None]:
    """List a simulated pen until the block ends.

    InputError USAGE when one of the same serial number runs, FILE_UNWRITABLE when the folder can't be written.
    """
    path = _path(registration.serial)
    there = _read(path)
    if there is not None and _runs(there) is not False:
        message = f"A simulated pen {there.serial} is running already, on {there.port}."
        raise InputError(USAGE, message, field="--serial", given=there.serial)
    try:
        write_private(path, json.dumps({"schema": 1, **asdict(registration)}).encode())
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None
    try:
        yield
    finally:
        # Unless somebody took it for dead and another one has its place by now.
        if _read(path) == registration:
            with contextlib.suppress(OSError):
                path.unlink()


def registered(within_s: float | None = None, *, busy: bool = False) -> list[Registration]:
    """Return the simulated pens that run, by serial number; what dead ones left behind is removed.

    All are asked at once. Those that seem to be alive but don't answer `within_s` are left out, unless `busy`. Raises
    InputError FILE_UNREADABLE when it can't be seen which there are.
    """
    paths = [path for path in _paths() if path.is_file()]
    if not paths:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(paths))) as pool:
        asked = list(pool.map(lambda path: _ask(path, within_s), paths))
    return [found for found, runs in asked if found is not None and (runs or (busy and runs is None))]


def listed() -> set[str]:
    """Return the serial numbers under which pens are registered, whether they run, are too busy to answer, or are gone;
    asks nobody. Raises as `registered`.
    """
    return {text_of(path.name.removesuffix(_SUFFIX)) for path in _paths()}


def patience(port: str) -> float:
    """Return for how many seconds what is at `port` may take what a real pen does in one; 1 unless a simulated pen that
    is slower is registered there. Asks nobody.
    """
    try:
        found = [_read(path) for path in _paths()]
    except (OSError, PinprickError):
        return 1.0
    return max((pen.patience for pen in found if pen is not None and pen.port == port), default=1.0)


def _ask(path: Path, within_s: float | None) -> tuple[Registration | None, bool | None]:
    """Return what a file says, and whether its pen runs, as `_runs`; remove it when it doesn't."""
    found = _read(path)
    runs = False if found is None else _runs(found, within_s)
    if runs is False and _read(path) == found:
        # Nobody has taken its place meanwhile.
        with contextlib.suppress(OSError):
            path.unlink()
    return found, runs


def _read(path: Path) -> Registration | None:
    """Return what a file says; None for one that is gone, that another user wrote, or that says nothing of use."""
    try:
        if os.name == "posix" and path.stat().st_uid != os.getuid():
            return None
        fields = json.loads(read_bounded(path, _PIECE))
        texts = [fields[name] for name in ("serial", "port", "control", "token")]
        if fields["schema"] != 1 or type(fields["pid"]) is not int or not all(isinstance(text, str) for text in texts):
            return None
        serial, port, control, token = texts
        if not _CONTROL.fullmatch(control):
            return None
        patience = float(fields.get("patience", 1.0))
        if not 1.0 <= patience <= _PATIENCE_MOST:
            return None
        return Registration(serial, port, control, token, fields["pid"], patience)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _runs(registration: Registration, within_s: float | None = None) -> bool | None:
    """Return whether a pen runs: False when nobody is at its channel or its process is gone, None when it is too busy
    to say so.
    """
    try:
        Control(registration, _HELLO_S if within_s is None else within_s).close()
    except _Nobody:
        return False
    except PinprickError:
        return None if _lives(registration.pid) else False
    return True


def _lives(pid: int) -> bool:
    """Return whether there is such a process; where the system can't be asked without harm, that there is."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


class _Nobody(NoDevice):
    """Nobody is at the channel."""


class Control:
    """The control channel of a simulated pen: what is done to it, one command after the other.

    Raises NoDevice SIM_UNREACHABLE when nobody answers with the right token.
    """

    def __init__(self, registration: Registration, within_s: float = _HELLO_S) -> None:
        self.serial = registration.serial
        self._heard = b""
        host, _, port = registration.control.rpartition(":")
        try:
            self._socket = socket.create_connection((host, int(port)), min(within_s, _CONNECT_S))
        except ConnectionRefusedError:
            raise self._unreachable(_Nobody) from None
        except (OSError, ValueError, OverflowError):
            raise self._unreachable() from None
        try:
            hello = self._exchange({"token": registration.token}, within_s)
            if (hello.get("event"), hello.get("serial")) != ("hello", registration.serial):
                raise self._unreachable()
        except BaseException:
            self._socket.close()
            raise

    def _unreachable(self, kind: type[NoDevice] = NoDevice) -> NoDevice:
        message = f"The simulated pen {self.serial} does not answer on its control channel."
        return kind(SIM_UNREACHABLE, message, field="--serial-number", given=self.serial)

    def _exchange(self, command: dict[str, Any], limit_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + limit_s
        try:
            self._socket.settimeout(limit_s)
            self._socket.sendall(json.dumps(command).encode() + b"\n")
            while b"\n" not in self._heard:
                # An answer that comes in drops has no more time than another.
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                data = self._socket.recv(_PIECE)
                if not data:
                    raise self._unreachable()
                self._heard += data
            line, _, self._heard = self._heard.partition(b"\n")
            answer = json.loads(line)
        except (OSError, ValueError, RecursionError):
            raise self._unreachable() from None
        if not isinstance(answer, dict):
            raise self._unreachable()
        return answer

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """Have a command of `pensim.hands` carried out, and return what there is to say of it.

        Raises InputError USAGE when it is none, NoDevice SIM_UNREACHABLE.
        """
        answer = self._exchange(command, _ANSWER_S)
        if answer.get("event") == "refused":
            raise InputError(USAGE, f"The simulated pen refuses: {answer.get('problem')}.", field="do")
        return answer

    def close(self) -> None:
        """Let go of the channel."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
