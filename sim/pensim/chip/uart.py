"""The motor driver at the emulated chip's serial line: `pensim.driver_chip` on UART 0. Host only.

A byte reaches the wire when its stop bit has gone out, at the baud rate the firmware set; who listens on the same wire
hears it then, and the driver's answer byte by byte at its time. All of it are alarms of the emulator's clock.
"""

from collections import deque
from typing import Any

from pensim.driver_chip import DriverChip, Heard

_NS_PER_S = 1_000_000_000


class DriverLine:
    """The one wire between UART `number` of `chip` and `driver`, with a supply until it is taken away."""

    def __init__(self, chip: Any, driver: DriverChip | None = None, number: int = 0) -> None:
        self.driver = DriverChip() if driver is None else driver
        self._clock = chip.clock
        self._uart = chip.uart[number]
        self._uart.on_byte = self._sent
        self._answer: deque[Heard] = deque()
        self._cut = False
        self._next = self._clock.create_alarm(self._say)

    @property
    def answering(self) -> bool:
        """Whether the driver is talking, or about to."""
        return bool(self._answer)

    def supply(self, on: bool) -> None:
        """Switch the driver's supply: without it there is no answer, and afterwards nothing of what it was set to."""
        if on and not self.driver.present:
            self.driver.dip()
        self.driver.present = on
        if not on:
            self._next.cancel()
            self._answer.clear()

    def cut(self, cut: bool) -> None:
        """Cut the line at the chip's pads, or join it: nothing that is sent comes back, and no answer arrives."""
        self._cut = cut
        if cut:
            self._next.cancel()
            self._answer.clear()

    def _now_ns(self) -> int:
        return int(self._clock.nanos)

    def _sent(self, byte: int) -> None:
        """A byte of the firmware's has gone out."""
        if self._cut:
            return
        now_ns = self._now_ns()
        waits = bool(self._answer)
        for heard in self.driver.hear(byte, now_ns, _NS_PER_S // self._uart.baud_rate):
            if heard.at_ns <= now_ns:
                self._uart.feed_byte(heard.byte)
            else:
                self._answer.append(heard)
        if not waits:
            self._wait()

    def _say(self) -> None:
        """The driver's next byte has arrived."""
        self._uart.feed_byte(self._answer.popleft().byte)
        self._wait()

    def _wait(self) -> None:
        if self._answer:
            self._next.schedule(max(self._answer[0].at_ns - self._now_ns(), 0))
