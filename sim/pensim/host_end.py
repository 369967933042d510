"""The host's end of the cable, as a test or a server holds it: the same for the virtual cable and an emulated chip's
USB. Host only.

Everything between a host and a pen goes through here, and through the `Tap` on it; a whole line with the right CRC that
really reaches the pen tells the oracle that the host lives.
"""

import zlib
from collections.abc import Callable

from pensim.tap import Tap

_LINE_MOST = 2048


class HostEnd:
    """What both have in common. `heard` is told of each whole line that reaches the pen."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self.tap = Tap()
        """What happens to the bytes on their way."""
        self.clock_off_s = 0
        """By how much the computer's clock is wrong: whoever writes a date into something for the pen adds it."""
        self._heard = heard
        self._tail = b""

    @property
    def reading(self) -> bool:
        """Whether the host takes what the pen says; set it False for one that doesn't."""
        raise NotImplementedError

    @reading.setter
    def reading(self, reading: bool) -> None:
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Send bytes; while there is no port, the cable out or the pen without power, they are gone."""
        self.arrive(self.tap.to_pen.passed(data))

    def arrive(self, data: bytes) -> None:
        """Let bytes reach the pen's plug, whoever sent them."""
        if not data or not self._put(data):
            return
        lines = (self._tail + data).split(b"\n")
        self._tail = lines.pop()[-_LINE_MOST:]
        for line in lines:
            body, star, crc = line.rpartition(b"*")
            if star and crc == b"%08x" % zlib.crc32(body):
                self._heard()

    def receive(self) -> bytes:
        """Return what the pen has said since the last call."""
        return self.tap.to_host.passed(self._take())

    def unplug(self) -> None:
        """Pull the cable."""
        self._tail = b""
        self.tap.forget()
        self._pull()

    def plug(self) -> None:
        """Put it back."""
        raise NotImplementedError

    # --- of each cable its own ---------------------------------------------------------------------------------------
    def _put(self, data: bytes) -> bool:
        """Give bytes to the pen; return whether there was somebody to take them."""
        raise NotImplementedError

    def _take(self) -> bytes:
        """Return what the pen has said since the last call."""
        raise NotImplementedError

    def _pull(self) -> None:
        """Pull the cable."""
        raise NotImplementedError
