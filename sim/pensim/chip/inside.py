"""What can go wrong inside the emulated chip, and what made it reset itself. Host only.

A stroke table is found as the chip itself finds it: by the registers of the DMA channels that feed the stroke program.
Edges are lost or doubled between a machine's output and the pad, so that guards, driver and CPU all see what comes of
it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pensim.bench import CannotBeDone
from pensim.chip.emulator import Emulator
from pensim.chip.uart import DriverLine
from pensim.clock import TICKS_PER_MS, TICKS_PER_US, VirtualClock
from pensim.driver_chip import HOT_C
from pensim.plant import EdgeFault, Plant

STEP, DIR = 2, 3
"""The pads of the stroke program."""
ROOM_C = 25

_STROKE_PROGRAM = 0x5020_0010
"""TXF0 of PIO block 0: where the stroke program's words go."""
_CHANNELS = 12
_CHANNEL_SIZE = 0x40
_READ_ADDR, _WRITE_ADDR, _TRANS_COUNT, _RELOAD = 0x00, 0x04, 0x08, 0x804
_SRAM = 0x2000_0000
_WORD = 4
_PULSE_TICKS = TICKS_PER_US
"""Before an edge too many STEP is so long high and then so long low: five such fit into the fastest stroke's step."""

# The watchdog's registers, RP2040 data sheet 4.7.6.
_CTRL, _REASON = 0x00, 0x08
_BY_TIMER = 1
_TRIGGER = 1 << 31


@dataclass(frozen=True)
class ChipReset:
    """The chip has reset itself: because its watchdog was not fed, or because its program wanted it."""

    by_watchdog: bool
    at_ms: int

    def __str__(self) -> str:
        cause = "the watchdog was not fed" if self.by_watchdog else "the firmware ended"
        return f"{cause}; reset at {self.at_ms:,} ms"


def own_reset(chip: Any, clock: VirtualClock) -> ChipReset:
    """Return what the watchdog's registers say of a reset that has just been."""
    reason = int(chip.watchdog.read_uint32(_REASON))
    return ChipReset(bool(reason & _BY_TIMER), clock.now // TICKS_PER_MS)


def trigger_watchdog(chip: Any) -> None:
    """Let the watchdog reset the chip now."""
    chip.watchdog.write_uint32(_CTRL, _TRIGGER)


def flip_table_bit(chip: Any, bit: int) -> None:
    """Flip a bit, counted from its first word's lowest, of the stroke table that is played or was played last.

    Raises CannotBeDone when none was played since the last homing, whose steps take the same way.
    """
    start, words = _table(chip)
    place = bit % (words * _WORD * 8)
    chip.sram[start - _SRAM + place // 8] ^= 1 << place % 8


def _table(chip: Any) -> tuple[int, int]:
    """Return where the table begins, and its words with the end, which is 0 and which no homing has."""
    for channel in range(_CHANNELS):

        def register(number: int, base: int = channel * _CHANNEL_SIZE) -> int:
            return int(chip.dma.read_uint32(base + number))

        words = register(_RELOAD)
        if register(_WRITE_ADDR) != _STROKE_PROGRAM or not words:
            continue
        start = register(_READ_ADDR) - (words - register(_TRANS_COUNT)) * _WORD
        end = start - _SRAM + words * _WORD
        if 0 <= start - _SRAM < end <= len(chip.sram) and not any(chip.sram[end - _WORD : end]):
            return start, words
    raise CannotBeDone("no stroke has been played since the last homing, so nothing tells where its table lies")


class ChipParts:
    """The faults of a pen whose chip is emulated; who inherits it has them as attributes."""

    clock: VirtualClock
    plant: Plant
    emulator: Emulator
    driver: DriverLine

    def reset_driver(self) -> None:
        """Let the motor driver lose its supply for a moment."""
        self.driver.driver.dip()
        self.plant.reset_driver()

    def fail_driver(self, failed: bool) -> None:
        """Let the motor driver switch itself off for heat, or be cool again."""
        self.driver.driver.heat(HOT_C if failed else ROOM_C)
        self.plant.fail_driver(failed)

    def set_pin_fault(self, edges: EdgeFault | None) -> None:
        """Let `edges` stand between the stroke program and the chip's STEP pad; None: nothing."""
        emulator = self.emulator
        emulator.between.pop(STEP, None)
        if edges is not None:
            fault = PadFault(edges, self.clock, lambda: 1 if emulator.level(DIR) else -1, lambda: emulator.look(STEP))
            emulator.between[STEP] = fault.made
        emulator.look(STEP)

    def corrupt_table(self, bit: int) -> None:
        """Flip a bit of the stroke table that is played or was played last, in the chip's memory."""
        flip_table_bit(self.emulator.chip, bit)

    def refuse_space(self, full: bool) -> None:
        """Nobody can: what is free is in the firmware's memory. CannotBeDone."""
        if full:
            raise CannotBeDone("an emulated chip's file system is filled by its firmware alone")


class PadFault:
    """Stands between what drives the STEP pad and the pad: `made` is told the driven level and returns the pad's.

    `direction` returns that of an edge now (+1 down, -1 home), `look` has the pad looked at again.
    """

    def __init__(
        self, edges: EdgeFault, clock: VirtualClock, direction: Callable[[], int], look: Callable[[], None]
    ) -> None:
        self._edges = edges
        self._clock = clock
        self._direction = direction
        self._look = look
        self._driven = self._pad = 0
        self._owed = self._pulse = 0

    def made(self, level: int) -> int:
        """Return the pad's level for a driven one."""
        if level != self._driven:
            self._driven = self._pad = level
            self._pulse += 1
            if level:
                turns = len(self._edges(self._direction()))
                self._pad = int(turns > 0)
                self._owed = max(turns - 1, 0)
                if self._owed:
                    self._toggle_later()
        return self._pad

    def _toggle_later(self) -> None:
        pulse = self._pulse
        self._clock.after(_PULSE_TICKS, lambda: self._toggle(pulse))

    def _toggle(self, pulse: int) -> None:
        """Go low in the middle of a high time, or high again: the pad is high for half of a step."""
        if pulse != self._pulse:
            return
        self._owed -= self._pad
        self._pad ^= 1
        self._look()
        if self._owed or not self._pad:
            self._toggle_later()
