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
from pensim.chip.files import NoFiles, files_in
from pensim.chip.heap import Heap
from pensim.chip.uart import DriverLine
from pensim.clock import TICKS_PER_MS, TICKS_PER_US, VirtualClock
from pensim.driver_chip import HOT_C
from pensim.faults import Damage
from pensim.faults.cpu import ClockWraps, PortRaises
from pensim.faults.flash import FlashFull
from pensim.flash import FlashImage
from pensim.plant import EdgeFault, Plant
from pensim.tripwire import ANY, CALLS, RAISED

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
_RESET_BY_WATCHDOG = 0x4001_0008
"""WDSEL of the power-on state machine, data sheet 2.13.5: what the watchdog resets."""
_ALL_BUT_OSCILLATORS = 0x1_FFFC
WIRE = 0x4005_800C
"""A scratch register of the watchdog, which nobody else uses: it tells a firmware that was built with wires across its
ports which call is to raise. From the lowest bit: 8 of the call's number (`wire_of`), 8 of what is raised, 16 of how
many calls still work. 0: none. It lasts over resets, but for those that take the power.
"""
WIRES = "pendevice/trip.mpy"
"""The file that only such a firmware has."""
ANY_WIRE = 0xFF
"""The number of any call."""
_CALLS_MOST = 0xFFFF

# The timer, data sheet 4.6: its time is set low word first.
_TIME_HIGH, _TIME_LOW = 0x4005_4000, 0x4005_4004
_TICKS_BITS = 30
"""Where MicroPython's milliseconds wrap."""
_TIMER_RUNS_MS = 300
"""By then the firmware's own start-up has reset the timer, and nothing of the pen's has asked it."""
_RUNNER = ("profile_data", "provision", "session", "motion")


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
    """Let the watchdog reset the chip now: all but its oscillators, as the firmware sets it when it starts it."""
    chip.write_uint32(_RESET_BY_WATCHDOG, _ALL_BUT_OSCILLATORS)
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
    image: FlashImage
    damage: Damage
    powered: bool
    later: Callable[[str, int, Callable[[], None]], None]

    def reset_driver(self) -> None:
        """Let the motor driver lose its supply for a moment."""
        self.driver.driver.dip()
        self.plant.reset_driver()

    def fail_driver(self, failed: bool) -> None:
        """Let the motor driver switch itself off for heat, or be cool again."""
        self.driver.driver.heat(HOT_C if failed else ROOM_C)
        self.plant.fail_driver(failed)

    def silence_driver(self, silent: bool) -> None:
        """Cut the motor driver's serial line, or join it again."""
        self.driver.cut(silent)
        self.plant.silence_driver(silent)

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
            raise CannotBeDone(FlashFull.NOT_ON_CHIP)

    def raise_at(self, call: str, after: int, error: str, next_boot: bool = False) -> None:
        """Let a port's call raise once, after so many that work; CannotBeDone unless the firmware has wires."""
        if not has_wires(self.image):
            raise CannotBeDone(PortRaises.NOT_ON_CHIP)
        if after > _CALLS_MOST:
            raise CannotBeDone(f"a wire counts up to {_CALLS_MOST:,} calls")
        word = after << 16 | RAISED.index(error) << 8 | wire_of(call)
        chip = self.emulator.chip
        if next_boot:
            self.damage.at_boot(lambda: chip.write_uint32(WIRE, word))
        else:
            chip.write_uint32(WIRE, word)

    def spare_calls(self) -> None:
        """Let every call of a port work again."""
        self.emulator.chip.write_uint32(WIRE, 0)

    def start_clock(self, before_ms: int, bits: int) -> None:
        """Let the next boot have a millisecond clock that is `before_ms` from its wrap at 2**bits."""
        if bits != _TICKS_BITS:
            raise CannotBeDone(ClockWraps.NOT_ON_CHIP)

        def set_time() -> None:
            time_us = ((1 << bits) - before_ms + _TIMER_RUNS_MS) * 1000
            if self.powered:
                self.emulator.chip.write_uint32(_TIME_LOW, time_us & 0xFFFF_FFFF)
                self.emulator.chip.write_uint32(_TIME_HIGH, time_us >> 32)

        self.damage.at_boot(lambda: self.later("clock", _TIMER_RUNS_MS, set_time))

    def flip_profile(self, bit: int) -> None:
        """Flip a bit of the loaded profile, in the chip's memory."""
        heap = Heap(self.emulator.chip)
        place = heap.bytes_at(_only(heap, *_RUNNER)["profile_data"])
        if not place:
            raise CannotBeDone("no profile is loaded")
        heap.flip_byte(place[bit // 8 % len(place)], bit % 8)

    def flip_limit(self, name: str, bit: int) -> None:
        """Flip a bit of one of the pen's bounds, in the chip's memory."""
        heap = Heap(self.emulator.chip)
        place = _only(heap, *_RUNNER)["provision"]
        for step in ("bounds", *name.split(".")):
            place = heap.inside(place, step)[step]
        heap.flip_number(place, bit)

    def flip_counter(self, name: str, inverse: bool, bit: int) -> None:
        """Flip a bit of one of the session's counters, in the chip's memory."""
        heap = Heap(self.emulator.chip)
        counter = heap.inside(_only(heap, *_RUNNER)["session"], f"_{name}")[f"_{name}"]
        halves = heap.inside(counter, "_value", "_inverse")
        heap.flip_number(halves["_inverse" if inverse else "_value"], bit)


def _only(heap: Heap, *names: str) -> dict[str, int]:
    """Return the one object with attributes of these names; CannotBeDone unless there is just one."""
    found = list(heap.objects(*names))
    if len(found) != 1:
        raise CannotBeDone(f"{len(found)} objects in the chip's memory have {', '.join(names)}, not one")
    return found[0]


def has_wires(image: FlashImage) -> bool:
    """Return whether the firmware in a flash was built with wires across its ports."""
    try:
        return WIRES in files_in(image.to_bytes())
    except NoFiles:
        return False


def wire_of(call: str) -> int:
    """Return the number of a port's call in the scratch register."""
    return ANY_WIRE if call == ANY else CALLS.index(call) + 1


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
