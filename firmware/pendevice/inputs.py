"""The levels of switches and sensor: `Inputs` of the ports. Runs on the pen.

Levels only; what bounces is settled by the logic (`pencore.consent`), and what must be quick (stop, home) is watched by
the guard and stroke programs on the very same pins. Every input is wired so that a broken wire says the safer thing: no
trigger, stop open, no cartridge, not home. Allocates its pins once.

What hands do while the CPU writes flash is seen in the chip's own memory of edges (RP2040 data sheet 2.19.6.1, INTR):
bits that an edge sets and only a write clears.
"""

from pencore.compat import const
from pencore.signals import CARTRIDGE, HOME, SERVICE, STOP, TRIGGER
from pendevice import board

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

    class Level(Protocol):
        """What is used of `machine.Pin`."""

        def value(self) -> int:
            """Return the level, 0 or 1."""


_EDGES = const(0x400140F0)
_PINS_A_WORD = const(8)
_BITS_A_PIN = const(4)
_BOTH = const(0x0C)
"""Of a pin's bits those of the falling and the rising edge."""


class PinInputs:
    """The inputs at the pins that `pin` makes of their numbers, each pulled up. `words`: memory by address, in words of
    32 bits, `machine.mem32`.
    """

    def __init__(self, pin: "Callable[[int], Level]", words: "Any") -> None:
        self._words = words
        self._trigger = pin(board.TRIGGER)
        self._stop = pin(board.STOP)
        self._cartridge = pin(board.CARTRIDGE)
        self._home = pin(board.HOME)
        self._service = pin(board.SERVICE)

    def read(self) -> int:
        """Return the present levels as bits TRIGGER STOP CARTRIDGE HOME SERVICE."""
        bits = 0
        if self._trigger.value() == board.TRIGGER_DOWN:
            bits |= TRIGGER
        if self._stop.value() == board.STOP_OPEN:
            bits |= STOP
        if self._cartridge.value() == board.CARTRIDGE_SEATED:
            bits |= CARTRIDGE
        if self._home.value() == board.HOME_SEEN:
            bits |= HOME
        if self._service.value() == board.SERVICE_HELD:
            bits |= SERVICE
        return bits

    def moved(self) -> int:
        """Return as bits TRIGGER STOP CARTRIDGE which of these have changed since the last call, however shortly, also
        while nobody could look.
        """
        bits = TRIGGER if self._edges(board.TRIGGER) else 0
        if self._edges(board.STOP):
            bits |= STOP
        return bits | CARTRIDGE if self._edges(board.CARTRIDGE) else bits

    def _edges(self, number: int) -> bool:
        """Return whether there was an edge at a pin since the last call."""
        at = _EDGES + 4 * (number // _PINS_A_WORD)
        both = _BOTH << _BITS_A_PIN * (number % _PINS_A_WORD)
        seen: int = self._words[at] & both
        self._words[at] = both
        return seen != 0
