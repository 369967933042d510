"""A board whose MicroPython answers at a port, by the mpremote library. Host only; the only module that imports it.

The library is made for its own command line: it prints what it doesn't understand, waits as long as it likes unless it
is told otherwise, and raises whatever the layer below raises. All of that ends here.
"""

import ast
import base64
import contextlib
import struct
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import serial
from mpremote import transport_serial
from mpremote.transport import TransportError, TransportExecError

from pinprick import transport
from pinprick.board.install import About
from pinprick.errors import BOARD_FAILED, BOARD_LOST, NOT_A_BOARD, NoDevice, PinprickError

_ANSWER_S = 10.0
"""Longest wait for a byte of an answer, and for the board to take the interpreter's prompt."""
_PIECE = 1024
"""Bytes written at a time: whole pages of the flash, in a line that MicroPython has room to compile."""
_LOST = (TransportError, serial.SerialException, OSError, struct.error, EOFError)

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
    import os, machine, hashlib, binascii
finally:
    sys.path[:] = _path
def _list(d):
    for e in os.ilistdir('/' + d):
        p = d + '/' + e[0] if d else e[0]
        print(repr((p, e[1] == 0x4000)), end=',')
        if e[1] == 0x4000:
            _list(p)
def _digest(p):
    h = hashlib.sha256()
    b = memoryview(bytearray(512))
    with open('/' + p, 'rb') as f:
        while True:
            n = f.readinto(b)
            if not n:
                break
            h.update(b[:n])
    print(repr(binascii.hexlify(h.digest()).decode()))
"""
"""What the scripts below are made of. With nothing on the path no folder and no file is taken for a module."""
_LIST = "print('[', end='')\n_list('')\nprint(']')"
_RESET = "machine.reset()"


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
        try:
            self._wire = transport_serial.SerialTransport(port, timeout=_ANSWER_S)
        except (ValueError, *_LOST):
            # The library keeps the reason to itself; whoever tries again hears it.
            transport.SerialTransport(port).close()
            raise NoDevice(NOT_A_BOARD, f"The port {port} cannot be opened.", field="--port", given=port) from None
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
                self._wire.exit_raw_repl()
        with contextlib.suppress(*_LOST):
            self._wire.close()

    def about(self) -> About:
        """Return what it runs."""
        return About(*self._told(_ABOUT))

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
        told: bytes = self._told(f"print(repr(open({_absolute(path)}, 'rb').read()))")
        return told

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of these files, in hex."""
        self._learn()
        return {path: self._told(f"_digest({path!r})") for path in paths}

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
        listed: list[tuple[str, bool]] = self._told(_LIST)
        return listed

    def _run(self, script: str) -> bytes:
        with self._asking():
            said: bytes = self._wire.exec(script)
        return said

    def _told(self, script: str) -> Any:
        """Run `script` and return the Python literal that it prints."""
        said = self._run(script).strip().decode(errors="replace")
        try:
            return ast.literal_eval(said)
        except (ValueError, SyntaxError):
            message = f"The board at {self.name} printed something else than what it was asked for."
            raise PinprickError(BOARD_FAILED, message, given=said[:100]) from None

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Tell what the board itself refused from a board that is gone."""
        try:
            yield
        except TransportExecError as error:
            last = (error.error_output.strip().splitlines() or ["nothing"])[-1]
            raise PinprickError(BOARD_FAILED, f"The board at {self.name} said: {last}.", given=last) from None
        except _LOST:
            self._wire.in_raw_repl = False
            raise NoDevice(BOARD_LOST, f"The connection to {self.name} broke off.", field="--port") from None


def _silent(*_words: object, **_options: object) -> None:
    """Print nothing."""


def _absolute(path: str) -> str:
    return repr("/" + path)
