"""Where a host's program takes hold of the virtual pen: a pseudo-terminal, a TCP port, a pair of sockets. Host only.

Each end carries bytes both ways and never waits. It also says whether a host is there at all: a pen whose port nobody
has open has lost its host for good, one whose host is only slow has not.

An end can be unplugged, as a USB cable: the host's connection breaks, and nobody can make a new one until it is
plugged in again. A TCP port refuses everybody meanwhile, and nobody else can take it. The name of a pseudo-terminal
vanishes, as /dev/ttyACM0 does, and comes back: it is a link that leads to another pseudo-terminal each time.
"""

import contextlib
import os
import socket
from collections import deque
from pathlib import Path
from typing import Protocol

_PIECE = 4096
_BEHIND = 65_536
"""Bytes that a TCP connection holds, on this side, for a pen that is behind; a stop waits behind them."""


class End(Protocol):
    """The pen's end of a host's port; `address` is what a host opens."""

    address: str
    plugged: bool
    """Whether the cable is in."""

    def plug(self, plugged: bool) -> None:
        """Put the cable in, or pull it."""

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
    """A pseudo-terminal, raw and without echo: a host opens it like a serial port. POSIX only.

    `link` is a path that always leads to it, so that it has the same name after it was unplugged; its folder must be
    there. What lies at `link` is replaced whenever the end is plugged in, and left alone before. Without a `link` its
    address changes each time.
    """

    def __init__(self, link: Path | None = None, *, plugged: bool = True) -> None:
        self._link = link
        self.present = False
        self.plugged = False
        self.address = "" if link is None else str(link)
        self._master = -1
        self._leads_to = ""
        self.plug(plugged)

    def plug(self, plugged: bool) -> None:
        """Put the cable in, or pull it; see the module."""
        if plugged and not self.plugged:
            self._open()
        elif not plugged and self.plugged:
            self.close()
        self.plugged = plugged

    def _open(self) -> None:
        # Here and not above: Windows has neither.
        import pty
        import tty

        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self._leads_to = os.ttyname(slave)
        # Closed at once: only while no host has it open does reading the master fail, which is how we know.
        os.close(slave)
        os.set_blocking(self._master, False)
        if self._link is None:
            self.address = self._leads_to
            return
        try:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._leads_to)
        except OSError:
            os.close(self._master)
            raise

    def watched(self) -> list[int]:
        """Return the master, but only while somebody has the other side open: else it would always be readable."""
        return [self._master] if self.present else []

    def receive(self) -> bytes:
        """Return what the host has sent."""
        if not self.plugged:
            return b""
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
        if not self.plugged:
            return 0
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.present = False
            return 0

    def close(self) -> None:
        """Close the master; the name goes away."""
        if not self.plugged:
            return
        self.plugged = self.present = False
        if self._link is not None:
            # Unless another pen has the name by now.
            with contextlib.suppress(OSError):
                if str(self._link.readlink()) == self._leads_to:
                    self._link.unlink()
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
    """A pen in the same process as its host: each `connect` makes a pair of sockets and gives the host one of them.

    Hosts connect from any thread; all else is for the one that serves. That alone closes what it may be waiting for.
    """

    def __init__(self) -> None:
        self.address = "pipe"
        self.plugged = True
        self._host: SocketEnd | None = None
        self._coming: deque[SocketEnd] = deque()

    def connect(self) -> socket.socket:
        """Return the host's side of a new connection; one before is given up when this one is noticed."""
        ours, theirs = socket.socketpair()
        self._coming.append(SocketEnd(ours))
        return theirs

    def plug(self, plugged: bool) -> None:
        """Put the cable in, or pull it; see the module."""
        self.plugged = plugged
        if not plugged:
            self.close()

    @property
    def present(self) -> bool:
        """Whether a host is connected."""
        return bool(self._coming) or (self._host is not None and self._host.present)

    def watched(self) -> list[int]:
        """Return the connection."""
        self._let_in()
        return [] if self._host is None else self._host.watched()

    def receive(self) -> bytes:
        """Return what the host has sent."""
        return b"" if self._host is None else self._host.receive()

    def send(self, data: bytes) -> int:
        """Give the host what it takes."""
        return 0 if self._host is None else self._host.send(data)

    def close(self) -> None:
        """Close the connection."""
        self._let_in()
        if self._host is not None:
            self._host.close()

    def _let_in(self) -> None:
        """Take the newest connection in place of those before."""
        while self._coming:
            before, self._host = self._host, self._coming.popleft()
            if before is not None:
                before.close()
        if not self.plugged and self._host is not None:
            self._host.close()


def _bound(port: int) -> socket.socket:
    """Return a socket at a port of this computer, which nobody can connect to yet; OSError when it is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Else a port that was just in use could not be had for a minute; elsewhere it means something else.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections have it from the listener.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BEHIND)
        bound.setblocking(False)
        bound.bind(("127.0.0.1", port))
    except BaseException:
        bound.close()
        raise
    return bound


class TcpEnd:
    """A TCP port of this computer alone (127.0.0.1), for one host at a time: a second one is turned away at once."""

    def __init__(self, port: int = 0) -> None:
        self._listener = _bound(port)
        self._listener.listen()
        self.address = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self.plugged = True
        self._host: SocketEnd | None = None

    def plug(self, plugged: bool) -> None:
        """Put the cable in, or pull it; see the module."""
        if plugged and not self.plugged:
            self._listener.listen()
        elif not plugged and self.plugged:
            port = self._listener.getsockname()[1]
            self.close()
            # Bound and deaf: who knocks is refused, and the port stays ours.
            self._listener = _bound(port)
        self.plugged = plugged

    @property
    def present(self) -> bool:
        """Whether a host is connected."""
        return self._host is not None and self._host.present

    def watched(self) -> list[int]:
        """Return the port and the connection."""
        if not self.plugged:
            return []
        return [self._listener.fileno(), *(self._host.watched() if self._host is not None else [])]

    def receive(self) -> bytes:
        """Return what the host has sent."""
        if not self.plugged:
            return b""
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


def best_end(tcp: bool = False, *, port: int = 0, link: Path | None = None, plugged: bool = True) -> End:
    """Return a pseudo-terminal where the system has them and `tcp` is False, else a TCP port (`port`).

    `plugged`: whether a pseudo-terminal is there from the start. A TCP port is, to be nobody else's.
    """
    return TcpEnd(port) if tcp or os.name != "posix" else PtyEnd(link, plugged=plugged)
