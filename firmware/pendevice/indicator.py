"""Light and sound for each state: `Indicator` of the ports. Runs on the pen.

An RGB light and a small buzzer, driven by a table of patterns, one per state. Colour is never the only sign: each state
has a rhythm of its own, so that whoever can't tell red from green can still tell FAULT from ARMED. `turn` switches at
most four pins and is called once per loop; nothing here waits. Allocates its pins once.

| state | light | rhythm | sound |
|---|---|---|---|
| BOOT | white | very slow, a second on | none |
| SAFE | white | one short blink every 2 s | none |
| LOADED | blue | once a second, half on, half off | none |
| HOMING | yellow | four times a second | none |
| ARMED | green | steady | two short |
| RUNNING | green | twice a second, short gaps | none |
| PAUSED | green and blue | twice a second, half on, half off | one short |
| SEALING | white | twice a second, short | none |
| FAULT | red | double blink | three long |
"""

from pencore import wire
from pencore.compat import const
from pencore.units import ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Protocol

    class Output(Protocol):
        """What is used of `machine.Pin`."""

        def value(self, level: int) -> None:
            """Set the level."""


_RED = const(1)
_GREEN = const(2)
_BLUE = const(4)
_WHITE = const(7)
_YELLOW = const(3)
_CYAN = const(6)
_BEEP_SLOTS = const(16)
SLOT_MS = const(125)
"""A pattern is 16 slots of this length; two seconds."""

_STEADY = const(0xFFFF)
_VERY_SLOW = const(0x00FF)
_SHORT = const(0x0001)
_SLOW = const(0x0F0F)
_QUICK = const(0x5555)
_GAPS = const(0x7777)
_HALVES = const(0x3333)
_BLINKS = const(0x1111)
_DOUBLE = const(0x0505)

PATTERNS = (
    (_WHITE, _VERY_SLOW, 0),
    (_WHITE, _SHORT, 0),
    (_BLUE, _SLOW, 0),
    (_YELLOW, _QUICK, 0),
    (_GREEN, _STEADY, 0x0005),
    (_GREEN, _GAPS, 0),
    (_CYAN, _HALVES, 0x0001),
    (_WHITE, _BLINKS, 0),
    (_RED, _DOUBLE, 0x0777),
)
"""State -> colour, slots of the light (lowest bit first, again and again), slots of the buzzer (once)."""


class Lights:
    """The indicator at four outputs, each on at level 1."""

    def __init__(self, red: "Output", green: "Output", blue: "Output", buzzer: "Output") -> None:
        self._red = red
        self._green = green
        self._blue = blue
        self._buzzer = buzzer
        self._state = wire.BOOT
        self._began_ms = 0
        self._new = True
        self._slot = -1

    def show(self, state: int, code: int) -> None:  # noqa: ARG002  # the port's signature; the code is the host's to tell
        """Show a state from the next turn on."""
        if state != self._state:
            self._state = state
            self._new = True

    def turn(self, now_ms: int) -> None:
        """Set light and buzzer as the pattern has them now; `now_ms` as the loop has it, uint32."""
        if self._new:
            self._new = False
            self._began_ms = now_ms
            self._slot = -1
        # What lies more than 24 days back reads as being ahead.
        slot = ms_since(now_ms, self._began_ms) // SLOT_MS
        if slot != self._slot:
            self._slot = slot
            self._set(slot)

    def _set(self, slot: int) -> None:
        """Set the outputs as they are in a slot of the pattern."""
        colour, light, sound = PATTERNS[self._state]
        shown = colour if light >> slot % 16 & 1 else 0
        self._red.value(shown & _RED)
        self._green.value((shown & _GREEN) >> 1)
        self._blue.value((shown & _BLUE) >> 2)
        self._buzzer.value(sound >> slot & 1 if 0 <= slot < _BEEP_SLOTS else 0)
