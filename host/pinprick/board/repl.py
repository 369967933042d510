"""A board whose MicroPython answers at a port, by the mpremote library. Host only; the only module that imports it.

The library is made for its own command line: it prints what it doesn't understand, listens as long as anything comes,
and raises whatever the layer below raises. All of that ends here. What is at the port may be anything, so an answer has
a longest time and a most of bytes, and is what it has to be, or the board has failed.
"""

import ast
import base64
import contextlib
import re
import struct
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from mpremote import transport_serial
from mpremote.transport import TransportError

from pinprick import transport
from pinprick.board.install import About
from pinprick.errors import BOARD_FAILED, BOARD_LOST, NOT_A_BOARD, NoDevice, PinprickError

_ANSWER_S = 10.0
"""Longest wait for a byte of an answer, and for the board to take the interpreter's prompt."""
_WHOLE_S = 3 * _ANSWER_S
"""Longest time of one question with its whole answer; a slow board's longest, a listing, takes some seconds."""
_MOST = 262_144
"""Most bytes that may come in that time; a listing of a flash full of small files is a third of that."""
_PIECE = 1024
"""Bytes written at a time: whole pages of the flash, in a line that MicroPython has room to compile."""
_LOST = (TransportError, NoDevice, OSError, struct.error)
_HUNG_UP_S = 0.3
"""What a server at a TCP port is given to see that its host is gone, before the next one comes."""
_SAID_MOST = 200
"""Most characters of a board's words that are told."""
_ANY_BYTES = "surrogateescape"
"""How a name that is no UTF-8 becomes text, and bytes again."""
_SHA256 = re.compile(r"[0-9a-f]{64}")

_ABOUT = """
import sys
i = sys.implementation
print(repr(['.'.join([str(n) for n in i.version[:3]]), getattr(i, '_build', ''), getattr(i, '_machine', '')]))
"""
_WORDS = """
import sys
_path = sys.path[:]
sys.path[:] = []
try:
    import os, machine, hashlib, binascii, time
finally:
    sys.path[:] = _path
def _list(d):
    for e in os.ilistdir(b'//' + d):
        p = d + b'/' + e[0] if d else e[0]
        print(repr((p, e[1] == 0x4000)), end=',')
        if e[1] == 0x4000:
            _list(p)
def _digest(p):
    h = hashlib.sha256()
    b = memoryview(bytearray(512))
    with open(p, 'rb') as f:
        while True:
            n = f.readinto(b)
            if not n:
                break
            h.update(b[:n])
    print(repr(binascii.hexlify(h.digest()).decode()))
"""
"""What the scripts below are made of. With nothing on the path no folder and no file is taken for a module. A name is
bytes, for the file system takes any; of the root itself, `/`, MicroPython lists them as text all the same.
"""
_LIST = "print('[', end='')\n_list(b'')\nprint(']')"
_RESET = "time.sleep_ms(100)\nmachine.reset()"
"""At once, it would take with it what the board has just said: that it has understood."""


class _Endless(TransportError):  # type: ignore[misc]  # the library has no types
    """What is at the port sends without an end."""


class _Line:
    """What the library takes for a serial port: one that bounds what comes, in bytes and in time, from each `begin`.

    Once a bound is reached nothing more is sent or heard: what would come is no answer to anything. Raises _Endless
    then, and NoDevice as `pinprick.transport`.
    """

    def __init__(self, port: str) -> None:
        self.rts = self.dtr = True
        self._transport = transport.SerialTransport(port)
        self._heard = bytearray()
        self._endless = False
        self._closed = False
        self.begin(_ANSWER_S)

    def begin(self, within_s: float) -> None:
        """Begin a question and its answer, which take at most `within_s`."""
        self._end_s = time.monotonic() + within_s
        self._left = _MOST

    def inWaiting(self) -> int:  # noqa: N802  # the library calls it so
        """Return how many bytes there are to read."""
        self._listen(0.0)
        return len(self._heard)

    def read(self, size: int = 1) -> bytes:
        """Return `size` bytes, or as many as come in time."""
        end_s = time.monotonic() + _ANSWER_S
        while len(self._heard) < size and (left_s := end_s - time.monotonic()) > 0:
            self._listen(left_s)
        data = bytes(self._heard[:size])
        del self._heard[:size]
        return data

    def write(self, data: bytes) -> int:
        """Send all of `data`."""
        self._check()
        self._transport.write(data)
        return len(data)

    def close(self) -> None:
        """Let go of the port; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._transport.close()
        if self._transport.name.lower().startswith("socket:"):
            time.sleep(_HUNG_UP_S)

    def _listen(self, timeout_s: float) -> None:
        """Take what has come, if there is nothing yet that nobody has read."""
        self._check()
        if not self._heard:
            self._heard += self._transport.read(timeout_s)
            self._left -= len(self._heard)

    def _check(self) -> None:
        self._endless = self._endless or self._left < 0 or time.monotonic() >= self._end_s
        if self._endless:
            raise _Endless("it does not stop sending")


class _Wire(transport_serial.SerialTransport):  # type: ignore[misc]  # the library has no types
    """The library's own, over a line that ends."""

    def __init__(self, port: str) -> None:
        # Not the library's: it opens the port, and keeps to itself why it can't.
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.device_name = port
        self.mounted = False
        self.serial = _Line(port)


class ReplBoard:
    """The board at `port` (`/dev/...`, `COMn`, `socket://host:port`), its interpreter taken over: a program that ran is
    interrupted, which is the only way to ask; nothing is started anew before `start_anew` or `reset` is called.

    Raises NoDevice NO_DEVICE, PORT_DENIED or PORT_IN_USE when the port can't be opened, and NOT_A_BOARD when nothing
    there answers like MicroPython: a pen, whose port is closed, is such a thing.
    """

    def __init__(self, port: str) -> None:
        self.name = port
        self._knows_words = False
        # A name in the library's module goes before the builtin. To redirect standard output instead would take it
        # from whoever draws there meanwhile.
        transport_serial.print = _silent
        self._wire = _Wire(port)
        try:
            self._wire.enter_raw_repl(soft_reset=False, timeout_overall=_ANSWER_S)
        except _LOST:
            self.close()
            message = f"What is connected to {port} does not answer like a board with MicroPython."
            raise NoDevice(NOT_A_BOARD, message, field="--port", given=port) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the port, and leave the prompt to whoever comes next."""
        with contextlib.suppress(*_LOST):
            if self._wire.in_raw_repl:
                self._wire.serial.begin(_ANSWER_S)
                self._wire.exit_raw_repl()
        self._wire.close()

    def about(self) -> About:
        """Return what it runs."""
        version, board, machine = self._told(_ABOUT, _three_words)
        return About(version, board, machine)

    def start_anew(self) -> None:
        """End whatever runs or waits on the board, and start its interpreter anew; only boot.py is run."""
        self._knows_words = False
        with self._asking():
            self._wire.enter_raw_repl(timeout_overall=_ANSWER_S)

    def files(self) -> list[str]:
        """Return the paths of all files."""
        return [path for path, is_folder in self._listed() if not is_folder]

    def folders(self) -> list[str]:
        """Return the paths of all folders."""
        return [path for path, is_folder in self._listed() if is_folder]

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""
        told: bytes = self._told(f"print(repr(open({_absolute(path)}, 'rb').read()))", _is_bytes)
        return told

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of these files, in hex."""
        self._learn()
        return {path: self._told(f"_digest({_absolute(path)})", _is_digest) for path in paths}

    def make_folder(self, path: str) -> None:
        """Make a folder."""
        self._learn()
        self._run(f"os.mkdir({_absolute(path)})")

    def write(self, path: str, data: bytes) -> None:
        """Write a file."""
        self._learn()
        self._run(f"_file = open({_absolute(path)}, 'wb')")
        for start in range(0, len(data), _PIECE):
            # Half the characters of a literal of bytes, to send and to compile.
            self._run(f"_file.write(binascii.a2b_base64({base64.b64encode(data[start : start + _PIECE])!r}))")
        self._run("_file.close()")

    def append(self, path: str, data: bytes) -> None:
        """Append up to 1,024 bytes to a file, in one write that reaches the flash; makes the file."""
        self._learn()
        self._run(f"_file = open({_absolute(path)}, 'ab')")
        self._run(f"_file.write(binascii.a2b_base64({base64.b64encode(data)!r}))\n_file.close()")

    def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        self._learn()
        self._run(f"os.rename({_absolute(old)}, {_absolute(new)})")

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._learn()
        self._run(f"os.remove({_absolute(path)})")

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        self._learn()
        self._run(f"os.rmdir({_absolute(path)})")

    def reset(self) -> None:
        """Reset the chip, and let go of the port: it vanishes and comes back."""
        self._learn()
        with self._asking():
            self._wire.exec_raw_no_follow(_RESET)
        # There is no prompt any more to be left.
        self._wire.in_raw_repl = False
        self.close()

    def _learn(self) -> None:
        """Define the words of the scripts, once each time that the interpreter was started."""
        if not self._knows_words:
            self._run(_WORDS)
            self._knows_words = True

    def _listed(self) -> list[tuple[str, bool]]:
        """Return the path of everything in the flash, and whether it is a folder."""
        self._learn()
        listed = self._told(_LIST, _is_listing)
        return [(path.decode(errors=_ANY_BYTES), is_folder) for path, is_folder in listed]

    def _run(self, script: str) -> bytes:
        """Run `script` and return what it prints; BOARD_FAILED with its last words when it ends with an error."""
        said: bytes
        with self._asking():
            said, error = self._wire.exec_raw(script, timeout=_ANSWER_S)
        if error:
            words = error[-_SAID_MOST * 4 :].decode(errors="replace").strip().splitlines() or ["nothing"]
            last = words[-1][-_SAID_MOST:]
            raise PinprickError(BOARD_FAILED, f"The board at {self.name} said: {last}.", given=last)
        return said

    def _told(self, script: str, is_right: Callable[[Any], bool]) -> Any:
        """Run `script` and return the Python literal that it prints, which has to be of the right kind."""
        said = self._run(script).strip().decode(errors="replace")
        try:
            with warnings.catch_warnings():
                # Of a literal that nothing prints so.
                warnings.simplefilter("error")
                told = ast.literal_eval(said)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            # The last three: of one that is nested too deeply, or has a list for a key.
            told = None
        if not is_right(told):
            message = f"The board at {self.name} printed something else than what it was asked for."
            raise PinprickError(BOARD_FAILED, message, given=said[:_SAID_MOST])
        return told

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask one question in time; tell a board that never comes to an end from one that is gone."""
        self._wire.serial.begin(_WHOLE_S)
        try:
            yield
        except _Endless:
            self._wire.in_raw_repl = False
            message = f"The board at {self.name} does not stop sending, or takes far too long for an answer."
            raise PinprickError(BOARD_FAILED, message, field="--port") from None
        except _LOST:
            self._wire.in_raw_repl = False
            raise NoDevice(BOARD_LOST, f"The connection to {self.name} broke off.", field="--port") from None


def _silent(*_words: object, **_options: object) -> None:
    """Print nothing."""


def _absolute(path: str) -> str:
    """Return the literal of a path's bytes, from the root on."""
    return repr(b"/" + path.encode(errors=_ANY_BYTES))


def _three_words(told: Any) -> bool:
    return isinstance(told, list) and len(told) == 3 and all(isinstance(word, str) for word in told)


def _is_bytes(told: Any) -> bool:
    return isinstance(told, bytes)


def _is_digest(told: Any) -> bool:
    return isinstance(told, str) and _SHA256.fullmatch(told) is not None


def _is_listing(told: Any) -> bool:
    return isinstance(told, list) and all(
        isinstance(entry, tuple) and [type(part) for part in entry] == [bytes, bool] and entry[0] != b""
        for entry in told
    )
