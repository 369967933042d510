"""The levels of switches and sensor: `Inputs` of the ports. Runs on the pen.

Levels only; what bounces is settled by the logic (`pencore.consent`), and what must be quick (stop, home) is watched by
the guard and stroke programs on the very same pins. Every input is wired so that a broken wire says the safer thing: no
trigger, stop open, no cartridge, not home. Allocates its pins once.
"""

from pencore.compat import const
from pencore.signals import CARTRIDGE, HOME, SERVICE, STOP, TRIGGER
from pendevice import board

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Callable, Protocol

    class Level(Protocol):
        """What is used of `machine.Pin`."""

        def value(self) -> int:
            """Return the level, 0 or 1."""


class PinInputs:
    """The inputs at the pins that `pin` makes of their numbers, each pulled up."""

    def __init__(self, pin: "Callable[[int], Level]") -> None:
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
