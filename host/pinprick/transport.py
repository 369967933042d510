"""Bytes to and from a pen: one class over pyserial, one over a pipe within the process. Host only.

A transport knows nothing of lines. It never blocks for ever: a read waits at most as long as it is told, a write at
most `WRITE_TIMEOUT_S`. Whatever goes wrong on the way becomes a NoDevice with a code of its own. Reading is for one
thread; any thread may write, also while another one does (a stop byte waits for nobody).
"""

import contextlib
import errno
import io
import select
import socket
from pathlib import Path
from typing import Protocol, runtime_checkable

import serial

from pinprick.errors import LINK_LOST, NO_DEVICE, PORT_DENIED, PORT_IN_USE, USAGE, InputError, NoDevice

WRITE_TIMEOUT_S = 1.0
"""Longest a write waits for a pen, or a program in its place, that does not read."""
POLL_S = 0.05
"""Longest a read waits where the system can only wait in slices (COM ports of Windows)."""
_PIECE = 65_536
_TCP = "socket://"
_WHICH = "Plug it in, or see with `pinprick devices --all` which ports there are."


@runtime_checkable
class Transport(Protocol):
    """A way to a pen. `name` is what people call it: the port."""

    name: str

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, waiting for a first byte up to `timeout_s`; b"" when none came.

        Raises NoDevice LINK_LOST when the other end is gone.
        """

    def write(self, data: bytes) -> None:
        """Send all of `data`; NoDevice LINK_LOST when the other end is gone or doesn't take it in `WRITE_TIMEOUT_S`."""

    def close(self) -> None:
        """Let go of the port; closing twice does nothing."""


class SerialTransport:
    """A pen on a serial port, a pseudo-terminal or a TCP port, all through pyserial. Nobody else can open it meanwhile.

    `port` is `/dev/...`, `COMn` or `socket://host:port`. Raises NoDevice NO_DEVICE, PORT_DENIED or PORT_IN_USE, and
    InputError USAGE for what cannot be the name of a port.
    """

    def __init__(self, port: str) -> None:
        self.name = port
        if not port:
            raise InputError(USAGE, "No port is named.", field="--port")
        tcp = port.lower().startswith(_TCP)
        if tcp and not port.rpartition(":")[2].split("/")[0].isdecimal():
            message = f"{port} has no port number."
            raise InputError(USAGE, message, field="--port", given=port, hint=f"Write {_TCP}host:port.")
        try:
            # A Windows port has no descriptor to wait on, so its reads wait by themselves; all others return at once.
            self._port = serial.serial_for_url(
                port, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True, do_not_open=True
            )
            if tcp:
                # pyserial begins with reading all that comes: from what never stops sending it would not come back,
                # nor a stop ever get there.
                self._port.reset_input_buffer = _leave  # type: ignore[method-assign]  # this one's alone
            self._port.open()
        except ValueError as error:
            raise InputError(USAGE, f"{port} is not the name of a port: {error}.", field="--port", given=port) from None
        except (OSError, EOFError) as error:
            raise _open_error(port, error) from None
        self._closed = False
        # pyserial forgets its socket without closing it when the other end was first to go.
        self._socket: socket.socket | None = getattr(self._port, "_socket", None)
        if self._socket is not None:
            # Else a stop byte waits for the other side to acknowledge the request before it: 40 ms, on Linux.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._descriptor: int | None = None
        try:
            self._descriptor = self._port.fileno()
        except (AttributeError, io.UnsupportedOperation):
            self._port.timeout = POLL_S

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived; see Transport."""
        try:
            if self._descriptor is None:
                return self._read_slices(timeout_s)
            if not select.select([self._descriptor], [], [], timeout_s)[0]:
                return b""
            return self._port.read(_PIECE)
        except (OSError, TypeError, ValueError) as error:
            # TypeError, ValueError: the descriptor went away under the call, because another thread closed the port.
            raise _lost(self.name, error) from None

    def _read_slices(self, timeout_s: float) -> bytes:
        """Read a port that can only wait in slices of `POLL_S`; waits at least one."""
        waited_s = 0.0
        while True:
            first = self._port.read(1)
            waited_s += POLL_S
            if first or waited_s >= timeout_s:
                return first + self._port.read(self._port.in_waiting) if first else b""

    def write(self, data: bytes) -> None:
        """Send all of `data`; see Transport."""
        try:
            self._port.write(data)
        except (OSError, TypeError, ValueError) as error:
            raise _lost(self.name, error) from None

    def close(self) -> None:
        """Let go of the port."""
        if self._closed:
            return
        self._closed = True
        if self._socket is not None:
            # Closed here, so that pyserial has nothing left to do: it would sleep 0.3 s after it.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._port.is_open = False
            return
        with contextlib.suppress(OSError):
            self._port.close()


class PipeTransport:
    """A pen in this very process, at the other end of a pair of sockets that nobody else can reach."""

    def __init__(self, end: socket.socket, name: str = "pipe") -> None:
        self.name = name
        self._end = end
        end.settimeout(WRITE_TIMEOUT_S)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived; see Transport."""
        try:
            if not select.select([self._end], [], [], timeout_s)[0]:
                return b""
            data = self._end.recv(_PIECE)
        except (OSError, ValueError) as error:
            raise _lost(self.name, error) from None
        if not data:
            raise _lost(self.name, None)
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`; see Transport."""
        try:
            self._end.sendall(data)
        except OSError as error:
            raise _lost(self.name, error) from None

    def close(self) -> None:
        """Let go of this end."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()


def _leave() -> None:
    """Leave what has come to whoever reads."""


def _open_error(port: str, error: Exception) -> NoDevice:
    """Return what to say of a port that can't be opened."""
    number = error.errno if isinstance(error, OSError) else None
    text = str(error)
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        # Windows says "access denied" for a port that another program holds.
        if port.upper().startswith("COM"):
            return NoDevice(PORT_IN_USE, f"Port {port} is held by another program.", field="--port", given=port)
        return NoDevice(PORT_DENIED, f"This account may not use port {port}.", field="--port", given=port)
    if number in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EBUSY):
        return NoDevice(PORT_IN_USE, f"Port {port} is held by another program.", field="--port", given=port)
    if "Could not configure" in text or number in (errno.ENOTTY, errno.EINVAL, errno.EISDIR, errno.ENXIO):
        message = f"{port} is not a serial port." if Path(port).exists() else f"There is no port {port}."
        return NoDevice(NO_DEVICE, message, field="--port", given=port, hint=_WHICH)
    if port.lower().startswith(_TCP):
        message = f"Nothing answers at {port}."
        return NoDevice(NO_DEVICE, message, field="--port", given=port, hint="Is the virtual pen still running?")
    return NoDevice(NO_DEVICE, f"There is no port {port}.", field="--port", given=port, hint=_WHICH)


def _lost(name: str, error: Exception | None) -> NoDevice:
    """Return what to say of a connection that broke off."""
    if isinstance(error, serial.SerialTimeoutException | TimeoutError):
        return NoDevice(LINK_LOST, f"What is connected to {name} does not take what it is sent.", field="--port")
    return NoDevice(LINK_LOST, f"The connection to {name} broke off.", field="--port")
