"""The CPU's hold on the three guards: loads them, reloads the count, reads the trips, switches off. Runs on the pen.

The only module that touches the enable pin. It can't switch the driver on: it can only set the guards going, and the
enabler does it, last of all. Allocates when it is made and at `load`, nothing else.
"""

import gc

import machine
import rp2

from pencore.compat import const
from pencore.signals import ENABLED, TRIP_COUNT, TRIP_DEPTH, TRIP_STOP
from pendevice import board, guard_pio

_BLOCK = const(1)
_FIRST = const(4)
_IRQ = const(0x50300030)  # the block's IRQ register: reading gives the flags, writing 1 clears one
_FLAGS = const(7)
_SET_OFF = const(0xE001)
"""The instruction set(pins, 1)."""


class Guards:
    """The guards of PIO block 1. A new one, and one that is `off`, holds the driver off."""

    def __init__(self) -> None:
        self._enable = machine.Pin(board.ENABLE)
        self._step = machine.Pin(board.STEP)
        self._dir = machine.Pin(board.DIR)
        # Pads wake pulled down, which is a closed line: without its pull-up the guard would be blind.
        self._line = machine.Pin(board.STOP, machine.Pin.IN, machine.Pin.PULL_UP)
        self._depth = rp2.StateMachine(_FIRST)
        self._count = rp2.StateMachine(_FIRST + 1)
        self._stop = rp2.StateMachine(_FIRST + 2)
        self._init()

    def _init(self) -> None:
        # The enabler first, which may be about to write "on"; each initialisation ends by writing "off".
        self._depth.init(guard_pio.depth, in_base=self._step, jmp_pin=self._dir, set_base=self._enable)
        self._count.init(guard_pio.count, jmp_pin=self._dir, set_base=self._enable)
        self._stop.init(guard_pio.stop, in_base=self._line, set_base=self._enable)
        machine.mem32[_IRQ] = _FLAGS

    def load(self, limit_steps: int, strokes: int) -> None:
        """Initialise all three, clear their trips and start them, the enabler last: the driver is on afterwards, unless
        the stop line is open. `limit_steps` (>= 0) of net extension from here; `strokes` (>= 0) times may DIR rise.

        Only at rest, with DIR and STEP low: the driver is off while this lasts. In 2 ms the spring has not moved the
        carriage out of the motor's hold, so garbage is collected before, and not in between.
        """
        if limit_steps < 0 or strokes < 0:
            raise ValueError("limits are not negative")
        gc.collect()
        self._init()
        self._count.put(strokes)
        self._depth.put(limit_steps)
        self._stop.active(1)
        self._count.active(1)
        self._depth.active(1)

    def allow(self, strokes: int) -> None:
        """Tell the count guard how often DIR may rise from now on (>= 0), while DIR is low."""
        if strokes < 0:
            raise ValueError("limits are not negative")
        # A guard that has tripped takes nothing more, and a full FIFO would be waited for.
        if not self._count.tx_fifo():
            self._count.put(strokes)

    def bits(self) -> int:
        """Return ENABLED if the driver's enable is on, and TRIP_* for each guard that has cut it since `load`."""
        flags = machine.mem32[_IRQ]
        bits = 0 if self._enable.value() == board.ENABLE_OFF else ENABLED
        if flags & 1:
            bits |= TRIP_DEPTH
        if flags & 2:
            bits |= TRIP_COUNT
        if flags & 4:
            bits |= TRIP_STOP
        return bits

    def off(self) -> None:
        """Switch the driver off, until `load`. The enabler is stopped first: nothing is left then that writes "on"."""
        self._depth.active(0)
        self._depth.exec(_SET_OFF)
