"""The chip's watchdog: `Watchdog` of the ports. Runs on the pen. Allocates one object."""

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Callable, Protocol

    class Dog(Protocol):
        """What is used of `machine.WDT`."""

        def feed(self) -> None:
            """Start the time anew."""


TIMEOUT_MS = const(4000)
"""Longer than one flash append at its worst (1.2 s) three times over; the chip's longest is 8,388 ms."""


class ChipWatchdog:
    """The watchdog that `make` starts with its timeout in ms; once started nothing but a reset stops it."""

    def __init__(self, make: "Callable[[int], Dog]") -> None:
        self._dog = make(TIMEOUT_MS)

    def feed(self) -> None:
        """Tell the watchdog that one whole loop was completed."""
        self._dog.feed()
