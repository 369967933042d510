"""The bytes to and from the host over the board's USB serial port: `Link` of the ports. Runs on the pen.

Standard input and output are the port. Neither direction ever blocks: a byte is read or written only after `poll` has
said that it can be, one at a time, because MicroPython's streams would wait for the rest of a longer piece (a write up
to 500 ms for a host that doesn't read). What the host sends faster than it is taken waits in the port, which holds it
back; what the host doesn't take waits in a queue here, and when that is full the logic drops telemetry.

The queue is a ring of fixed size; a turn allocates the piece that `read` returns, a write its slices. Bytes are moved
through `.buffer`: text mode would rewrite line ends.
"""

import select
import sys

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

_TAKEN_MOST = const(32)
"""Bytes taken in one turn, at about 110 us each; the rest waits in the port."""
_OUT_ROOM = const(2048)
_MOVED_MOST = const(96)
_MOVED_BUSY = const(24)
"""Bytes written in one turn. A byte takes about 130 us, most of it the question whether there is room."""


class UsbLink:
    """The port at `port`, a binary stream that is read and written. `poll` and `wake` are two of `select.poll` that
    nobody else uses.
    """

    def __init__(self, port: "Any", poll: "Any", wake: "Any") -> None:
        self._port = port
        self._poll = poll
        self._wake = wake
        # Once, with both: registering the same stream again would replace what is waited for.
        poll.register(port, select.POLLIN | select.POLLOUT)
        wake.register(port, select.POLLIN)
        self._one = bytearray(1)
        self._piece = bytearray(_TAKEN_MOST)
        self._view = memoryview(self._piece)
        self._ring = bytearray(_OUT_ROOM)
        self._first = 0
        self._waiting = 0
        self._stalled = False
        self._deaf = False

    def read(self) -> bytes:
        """Return what has arrived, at most 32 bytes; b"" when there is nothing."""
        count = 0
        piece = self._piece
        while count < _TAKEN_MOST and self._can(select.POLLIN):
            if not self._port.readinto(self._one):
                break
            piece[count] = self._one[0]
            count += 1
        if count:
            self._deaf = False
        return bytes(self._view[:count]) if count else b""

    def room(self) -> int:
        """Return how many bytes `write` takes now; 0 while the host doesn't take what it was given."""
        return 0 if self._stalled else _OUT_ROOM - self._waiting

    def write(self, data: bytes) -> int:
        """Take as many bytes of `data` as there is room for; return how many."""
        count = min(len(data), self.room())
        at = (self._first + self._waiting) % _OUT_ROOM
        until_end = _OUT_ROOM - at
        if count <= until_end:
            self._ring[at : at + count] = data[:count]
        else:
            self._ring[at:] = data[:until_end]
            self._ring[: count - until_end] = data[until_end:count]
        self._waiting += count
        return count

    def flush(self, hurried: bool = False) -> None:
        """Give the host what it takes now, 96 bytes at most, 24 in a hurry; called every turn."""
        if self._deaf:
            return
        last = self._one
        self._stalled = False
        for _ in range(_MOVED_BUSY if hurried else _MOVED_MOST):
            if not self._waiting:
                return
            if not self._can(select.POLLOUT):
                self._stalled = True
                return
            last[0] = self._ring[self._first]
            if not self._port.write(last):
                # The port said that there is room, waited half a second, and took nothing: the cable is out, or the
                # host asleep. Nothing more is tried until the host says something.
                self._stalled = True
                self._deaf = True
                return
            self._first = self._first + 1 if self._first + 1 < _OUT_ROOM else 0
            self._waiting -= 1

    def waiting(self) -> bool:
        """Return whether there is more for the host, and it takes it."""
        return self._waiting > 0 and not self._stalled

    def wait(self, most_ms: int) -> bool:
        """Return True as soon as something has arrived, False after so many ms."""
        for _event in self._wake.ipoll(most_ms):
            return True
        return False

    def _can(self, wanted: int) -> bool:
        """Return whether the stream is ready for `wanted`, without waiting."""
        for _stream, events in self._poll.ipoll(0):
            if events & wanted:
                return True
        return False


def usb_link() -> UsbLink:
    """Return the link over the board's own port: on the RP2040 one stream is behind stdin, stdout and their buffers."""
    return UsbLink(sys.stdin.buffer, select.poll(), select.poll())
