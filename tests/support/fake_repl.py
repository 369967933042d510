"""MicroPython's raw REPL on a TCP port, as far as `pinprick.board.repl` needs it, with the files of a FakeBoard.

CPython executes the scripts; what MicroPython has and CPython hasn't (`os.ilistdir`, `machine`, `sys.implementation`)
is put in.
"""

import binascii
import builtins
import contextlib
import errno
import hashlib
import io
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from tests.support.fake_board import FakeBoard

_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_FOLDER = 0x4000


class _Reset(BaseException):
    """The board resets itself."""


class _File(io.BytesIO):
    """A file that is written to the board when it is closed."""

    def __init__(self, board: FakeBoard, path: str, data: bytes) -> None:
        super().__init__(data)
        self._board = board
        self._path = path

    def close(self) -> None:
        self._board.content[self._path] = self.getvalue()
        super().close()


class FakeRepl:
    """A board at a port. `full` makes its flash take no more; `resets` counts how often it was told to reset,
    `restarts` how often its interpreter was. A folder is taken for a module, unless nothing is on the path.

    Names are bytes in the flash: those of the FakeBoard are text that stands for them, `surrogateescape` where they are
    no UTF-8. `instead` is asked what is said to a script in place of its output; None leaves that. `floods`: at
    "start" or in each "answer" it sends without pause until its host hangs up.
    """

    def __init__(self, board: FakeBoard) -> None:
        self.board = board
        self.full = False
        self.resets = 0
        self.restarts = 0
        self.path = ["", ".frozen", "/lib"]
        self.prompt_left = False
        self.lose_after: int | None = None
        self.instead: Callable[[str], bytes | None] = lambda _script: None
        self.floods = ""
        self._unsent = bytearray()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(_Reset, ConnectionError):
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.floods == "start":
            _flood(connection)
        script = bytearray()
        self._unsent.clear()
        names = self._names(connection)
        waiting = bytearray()
        while True:
            if not waiting:
                data = connection.recv(4096)
                if not data:
                    return
                waiting += data
            byte = waiting.pop(0)
            if byte in (2, 3) or (byte == 13 and not script):
                self.prompt_left = byte == 2
                continue
            if byte == 1:
                connection.sendall(_BANNER)
            elif byte == 5:
                # Asked for raw paste: known, and not done.
                while len(waiting) < 2:
                    waiting += connection.recv(4096)
                del waiting[:2]
                connection.sendall(b"R\x00")
            elif byte == 4 and not script:
                self.restarts += 1
                self.path[:] = ["", ".frozen", "/lib"]
                names = self._names(connection)
                connection.sendall(b"OK\r\nMPY: soft reboot\r\n" + _BANNER)
            elif byte == 4:
                if self.lose_after is not None:
                    self.lose_after -= 1
                    if self.lose_after < 0:
                        raise _Reset
                # On its way, and lost with the port if the board resets itself before any time has passed.
                self._unsent += b"OK"
                if self.floods == "answer":
                    self._passed(connection)
                    _flood(connection)
                said = self.instead(script.decode())
                said = self._run(script.decode(), names) if said is None else said
                self._passed(connection)
                connection.sendall(said + b"\x04>")
                script.clear()
            else:
                script.append(byte)

    def _run(self, script: str, names: dict[str, Any]) -> bytes:
        said = io.StringIO()
        names["print"] = lambda *words, end="\n": said.write(" ".join(map(str, words)) + end)
        try:
            exec(script, names)  # noqa: S102  # this is what an interpreter does
        except Exception as error:  # noqa: BLE001  # whatever it is, the board says it and goes on
            return said.getvalue().encode() + b"\x04Traceback (most recent call last):\r\n" + repr(error).encode()
        return said.getvalue().replace("\n", "\r\n").encode() + b"\x04"

    def _passed(self, connection: socket.socket) -> None:
        """Let time pass: what was said arrives."""
        connection.sendall(self._unsent)
        self._unsent.clear()

    def _names(self, connection: socket.socket) -> dict[str, Any]:
        """Return what a script finds: MicroPython's modules, and files that are the board's."""
        board = self.board
        modules = {
            "os": SimpleNamespace(
                ilistdir=self._list,
                mkdir=lambda path: board.make_folder(_named(path)),
                rmdir=lambda path: board.remove_folder(_named(path)),
                rename=lambda old, new: board.rename(_named(old), _named(new)),
                remove=lambda path: board.remove(_named(path)),
            ),
            "sys": SimpleNamespace(implementation=self._implementation(), path=self.path),
            "machine": SimpleNamespace(reset=self._reset),
            "hashlib": hashlib,
            "binascii": binascii,
            "time": SimpleNamespace(sleep_ms=lambda _ms: self._passed(connection)),
        }

        def imported(name: str, *_: object) -> object:
            if name != "sys" and self.path and name in board.dirs:
                return SimpleNamespace()
            return modules[name]

        return {"__builtins__": {**vars(builtins), "open": self._open, "__import__": imported}}

    def _implementation(self) -> SimpleNamespace:
        about = self.board.is_about
        version = (*(int(number) for number in about.version.split(".")), "")
        return SimpleNamespace(version=version, _build=about.board, _machine=about.machine)

    def _list(self, folder: str | bytes) -> Iterator[tuple[str | bytes, int, int, int]]:
        """Yield what lies in a folder, by names of the type that the folder's was given in; of `/` itself they are
        always text, as MicroPython has it. Text has to be UTF-8.
        """
        inside = f"{_named(folder)}/" if _named(folder) else ""
        for paths, kind in ((self.board.dirs, _FOLDER), (set(self.board.content), 0x8000)):
            for path in sorted(paths):
                name = path.removeprefix(inside)
                if path.startswith(inside) and "/" not in name:
                    raw = name.encode(errors="surrogateescape")
                    yield raw if isinstance(folder, bytes) and folder != b"/" else raw.decode(), kind, 0, 0

    def _open(self, name: str | bytes, mode: str = "r") -> io.BytesIO:
        path = _named(name)
        if mode in ("wb", "ab"):
            if self.full:
                raise OSError(errno.ENOSPC, "ENOSPC")
            self.board.check_open(path)
            file = _File(self.board, path, self.board.content.get(path, b"") if mode == "ab" else b"")
            file.seek(0, io.SEEK_END)
            return file
        return io.BytesIO(self.board.read(path))

    def _reset(self) -> None:
        self.resets += 1
        raise _Reset


def _named(path: str | bytes) -> str:
    """Return the FakeBoard's name of an absolute path."""
    return (path if isinstance(path, str) else path.decode(errors="surrogateescape")).lstrip("/")


def _flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 4096)
