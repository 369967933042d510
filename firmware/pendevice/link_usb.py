"""The bytes to and from the host over the board's USB serial port: `Link` of the ports. Runs on the pen.

Standard input and output are the port. Neither direction ever blocks. A byte is read only after `poll` has said that
there is one, because MicroPython's streams wait for the rest of a longer piece. A write waits, up to 500 ms, for a host
that doesn't read, unless all of it fits: one byte does when `poll` has said that there is room, and a whole packet when
the controller has none in hand, because then it takes this one at once. What the host sends faster than it is taken
waits in the port, which holds it back; what the host doesn't take waits in a queue here, and when that is full the
logic drops telemetry.

The queue is a ring of fixed size; `read` allocates the piece that it returns, a write its slices. Bytes are moved
through `.buffer`: text mode would rewrite line ends.
"""

import select
import sys
import time

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any, Callable

_TAKEN_MOST = const(32)
"""Bytes taken at once, at about 45 us each; the rest waits in the port."""
_OUT_ROOM = const(2048)
_FRAMES_LOST_MS = const(3)
"""A bus without frames for so long is asleep (USB 2.0, 7.1.7.6)."""
_TICKS_MASK = const(0x3FFFFFFF)
"""MicroPython's milliseconds wrap at 2**30."""
_WRITES_MOST = const(96)
_WRITES_BUSY = const(8)
"""Writes in one turn, of a packet or a byte each. Either takes about 130 us, most of it the question for room."""

PACKET = const(64)
"""Bytes of a packet of the serial port, at full speed."""
# The port's endpoint to the host in the controller's memory: RP2040 data sheet, 4.1.2.5; MicroPython's is the second.
_KIND_MASK = const(0x8C)
_BULK = const(0x88)
"""In use, and for bulk transfers."""
_IN_HAND = const(0x04)
"""Available: the controller has this buffer, for the host to fetch."""


def packet_room(memory: "Any") -> int:
    """Return how many bytes can be written without waiting for the host, if there is room for one: 64 when the
    controller has no packet in hand, 1 when it has or isn't set up. `memory`: bytes by address, `machine.mem8`.
    """
    # The top byte of EP2_IN_CONTROL, then the second byte of each half of EP2_IN_BUFFER_CONTROL.
    if memory[0x50100013] & _KIND_MASK != _BULK:
        return 1
    in_hand = (memory[0x50100091] | memory[0x50100093]) & _IN_HAND
    return 1 if in_hand else PACKET


def bus_frame(memory: "Any") -> int:
    """Return the low byte of the bus's frame number (SOF_RD), which changes each ms: while the cable is out, or the
    host asleep, it stands still.
    """
    number: int = memory[0x50110048]
    return number


class UsbLink:
    """The port at `port`, a binary stream that is read and written. `poll` and `wake` are two of `select.poll` that
    nobody else uses; `packet_room` says what can be written at once where there is room at all.
    """

    def __init__(
        self,
        port: "Any",
        poll: "Any",
        wake: "Any",
        packet_room: "Callable[[], int]",
        bus_frame: "Callable[[], int]",
        ticks_ms: "Callable[[], int]",
    ) -> None:
        self._port = port
        self._wake = wake
        # Once, each for one direction: registering the same stream again would replace what is waited for.
        poll.register(port, select.POLLOUT)
        wake.register(port, select.POLLIN)
        # Kept, because each time they are asked for one is made.
        self._can_write: "Callable[[int], Any]" = poll.ipoll
        self._can_read: "Callable[[int], Any]" = wake.ipoll
        self._packet_room = packet_room
        self._bus_frame = bus_frame
        self._ticks_ms = ticks_ms
        self._frame = -1
        self._frame_ms = 0
        self._take = port.readinto
        self._view = memoryview(bytearray(_TAKEN_MOST))
        self._ones = tuple([self._view[at : at + 1] for at in range(_TAKEN_MOST)])
        self._ring = bytearray(_OUT_ROOM)
        self._ring_view = memoryview(self._ring)
        self._first = 0
        self._waiting = 0
        self._stalled = False
        self._deaf = False

    def read(self) -> bytes:
        """Return what has arrived, at most 32 bytes; b"" when there is nothing."""
        # Most often there is nothing: asked first, in a call so small that it needs no memory of its own.
        for _event in self._can_read(0):
            return self._read_piece()
        return b""

    def _read_piece(self) -> bytes:
        count = 0
        can_read = self._can_read
        take = self._take
        for one in self._ones:
            for _event in can_read(0):
                break
            else:
                break
            if not take(one):
                break
            count += 1
        if not count:
            return b""
        self._deaf = False
        return bytes(self._view[:count])

    def room(self) -> int:
        """Return how many bytes `write` takes now; 0 while the host doesn't take what it was given."""
        return 0 if self._stalled else _OUT_ROOM - self._waiting

    def write(self, data: "bytes | memoryview") -> int:
        """Take as many bytes of `data` as there is room for; return how many."""
        count = min(len(data), self.room())
        at = (self._first + self._waiting) % _OUT_ROOM
        until_end = _OUT_ROOM - at
        if count <= until_end:
            self._ring[at : at + count] = data if count == len(data) else data[:count]
        else:
            self._ring[at:] = data[:until_end]
            self._ring[: count - until_end] = data[until_end:count]
        self._waiting += count
        return count

    def flush(self, hurried: bool = False) -> None:
        """Give the host what it takes now, in a bounded time, and less of it in a hurry; called every turn."""
        # Asked every turn, so that it is known how long the bus has been still.
        if not self._bus_lives():
            self._stalled = True
        elif not self._deaf:
            # With nothing to write it would stay so, and take nothing more.
            self._stalled = False
            if self._waiting:
                self._write_pieces(_WRITES_BUSY if hurried else _WRITES_MOST)

    def _bus_lives(self) -> bool:
        """Return whether frames go by. Without them nothing that is written is fetched, and once the port's buffer is
        full each write would wait half a second.
        """
        frame = self._bus_frame()
        now_ms = self._ticks_ms()
        if frame != self._frame:
            self._frame = frame
            self._frame_ms = now_ms
            return True
        return (now_ms - self._frame_ms) & _TICKS_MASK < _FRAMES_LOST_MS

    def _write_pieces(self, most: int) -> None:
        can_write = self._can_write
        self._stalled = False
        for _ in range(most):
            # Asked for first: what is in hand now may be gone by the time of the write, but not the other way round.
            size = min(self._packet_room(), self._waiting)
            for _event in can_write(0):
                break
            else:
                self._stalled = True
                return
            # At the ring's end the piece is shorter.
            taken = self._port.write(self._ring_view[self._first : self._first + size])
            if not taken:
                # The port said that there is room, waited half a second, and took nothing: the cable is out, or the
                # host asleep. Nothing more is tried until the host says something.
                self._stalled = True
                self._deaf = True
                return
            self._first = (self._first + taken) % _OUT_ROOM
            self._waiting -= taken
            if not self._waiting:
                return

    def waiting(self) -> bool:
        """Return whether there is more for the host, and it takes it."""
        return self._waiting > 0 and not self._stalled

    def wait(self, most_ms: int) -> bool:
        """Return True as soon as something has arrived, False after so many ms."""
        for _event in self._wake.ipoll(most_ms):
            return True
        return False


def usb_link(memory: "Any") -> UsbLink:
    """Return the link over the board's own port: on the RP2040 one stream is behind stdin, stdout and their buffers.
    `memory`: `machine.mem8`.
    """
    # The stubs know ticks as a type of their own.
    ticks_ms: "Any" = time.ticks_ms
    ways = (lambda: packet_room(memory), lambda: bus_frame(memory), ticks_ms)
    return UsbLink(sys.stdin.buffer, select.poll(), select.poll(), *ways)
