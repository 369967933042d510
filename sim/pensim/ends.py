"""Where a host's program takes hold of the virtual pen: a pseudo-terminal, a TCP port, a pair of sockets. Host only.

Each end carries bytes both ways and never waits. It also says whether a host is there at all: a pen whose port nobody
has open has lost its host for good, one whose host is only slow has not.
"""

import contextlib
import os
import socket
from typing import Protocol

_PIECE = 4096
_BEHIND = 65_536
"""Bytes that a TCP connection holds, on this side, for a pen that is behind; a stop waits behind them."""


class End(Protocol):
    """The pen's end of a host's port; `address` is what a host opens."""

    address: str

    @property
    def present(self) -> bool:
        """Whether a host has it open."""

    def watched(self) -> list[int]:
        """Return the descriptors that become readable when there is something to `receive`."""

    def receive(self) -> bytes:
        """Return what the host has sent, b"" for nothing; finds out about hosts that come and go."""

    def send(self, data: bytes) -> int:
        """Give the host what it takes of `data`; return how much that was."""

    def close(self) -> None:
        """Let go of everything; a host that has it open sees the connection break."""


class PtyEnd:
    """A pseudo-terminal, raw and without echo: a host opens it like a serial port. POSIX only."""

    def __init__(self) -> None:
        # Here and not above: Windows has neither.
        import pty
        import tty

        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.address = os.ttyname(slave)
        # Closed at once: only while no host has it open does reading the master fail, which is how we know.
        os.close(slave)
        os.set_blocking(self._master, False)
        self.present = False

    def watched(self) -> list[int]:
        """Return the master, but only while somebody has the other side open: else it would always be readable."""
        return [self._master] if self.present else []

    def receive(self) -> bytes:
        """Return what the host has sent."""
        try:
            data = os.read(self._master, _PIECE)
            self.present = bool(data)
        except BlockingIOError:
            self.present = True
            return b""
        except OSError:
            self.present = False
            return b""
        return data

    def send(self, data: bytes) -> int:
        """Give the host what it takes."""
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.present = False
            return 0

    def close(self) -> None:
        """Close the master; the name goes away."""
        os.close(self._master)


class SocketEnd:
    """A connected socket."""

    def __init__(self, connected: socket.socket, address: str = "") -> None:
        self.address = address
        self.present = True
        self._socket = connected
        connected.setblocking(False)

    def watched(self) -> list[int]:
        """Return the socket while it is open."""
        return [self._socket.fileno()] if self.present else []

    def receive(self) -> bytes:
        """Return what the host has sent."""
        if not self.present:
            return b""
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self.close()
        return data

    def send(self, data: bytes) -> int:
        """Give the host what it takes."""
        try:
            return self._socket.send(data) if self.present else 0
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return 0

    def close(self) -> None:
        """Close the socket."""
        self.present = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class PipeEnd:
    """A pen in the same process as its host: each `connect` makes a pair of sockets and gives the host one of them."""

    def __init__(self) -> None:
        self.address = "pipe"
        self._host: SocketEnd | None = None

    def connect(self) -> socket.socket:
        """Return the host's side of a new connection, from any thread; one before is given up."""
        ours, theirs = socket.socketpair()
        before, self._host = self._host, SocketEnd(ours)
        if before is not None:
            before.close()
        return theirs

    @property
    def present(self) -> bool:
        """Whether a host is connected."""
        return self._host is not None and self._host.present

    def watched(self) -> list[int]:
        """Return the connection."""
        return [] if self._host is None else self._host.watched()

    def receive(self) -> bytes:
        """Return what the host has sent."""
        return b"" if self._host is None else self._host.receive()

    def send(self, data: bytes) -> int:
        """Give the host what it takes."""
        return 0 if self._host is None else self._host.send(data)

    def close(self) -> None:
        """Close the connection."""
        if self._host is not None:
            self._host.close()


class TcpEnd:
    """A TCP port of this computer alone (127.0.0.1), for one host at a time: a second one is turned away at once."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        # Connections have it from the listener.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BEHIND)
        self.address = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._host: SocketEnd | None = None

    @property
    def present(self) -> bool:
        """Whether a host is connected."""
        return self._host is not None and self._host.present

    def watched(self) -> list[int]:
        """Return the port and the connection."""
        return [self._listener.fileno(), *(self._host.watched() if self._host is not None else [])]

    def receive(self) -> bytes:
        """Return what the host has sent."""
        data = self._host.receive() if self._host is not None else b""
        self._accept()
        return data

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:
            return
        if self.present:
            connected.close()
            return
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = SocketEnd(connected, self.address)

    def send(self, data: bytes) -> int:
        """Give the host what it takes."""
        return self._host.send(data) if self._host is not None else 0

    def close(self) -> None:
        """Close port and connection."""
        self._listener.close()
        if self._host is not None and self._host.present:
            self._host.close()


def best_end(tcp: bool = False) -> End:
    """Return a pseudo-terminal where the system has them and `tcp` is False, else a TCP port."""
    return TcpEnd() if tcp or os.name != "posix" else PtyEnd()
