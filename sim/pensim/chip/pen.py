"""A pen whose firmware is the real image on the emulated chip: plant, people and host around it. Host only.

The composition root of the chip tier, what `pensim.world` is for the logic alone; the same hands reach it. What the
needle does comes from the STEP, DIR and ENABLE pads, what the firmware sees from the plant; nothing else joins them.
A snapshot in memory is a fork of the process: `pensim.chip.copies`.
"""

from collections.abc import Callable
from typing import Any

from pensim.chip.emulator import Emulator
from pensim.chip.flash import ChipFlash
from pensim.chip.image import Image
from pensim.chip.inside import ChipParts, ChipReset, own_reset, trigger_watchdog
from pensim.chip.uart import DriverLine
from pensim.chip.usb import UsbHost
from pensim.clock import TICKS_PER_MS, TICKS_PER_US, VirtualClock
from pensim.faults import Damage
from pensim.faults.flash import POWER_UP
from pensim.flash import FlashImage, FlashTiming, Operation, Torn
from pensim.host_end import HostEnd
from pensim.oracle import FLASH_IN_MOTION
from pensim.plant import PenParameters, Plant

# The pads, by what hangs on them; `pendevice.board` says the same to the firmware, and a test holds the two equal.
STEP, DIR, HOME, ENABLE, STOP, TRIGGER, CARTRIDGE, SERVICE = range(2, 10)
UART_TX, UART_RX = 12, 13

_LOOK_TICKS = 100 * TICKS_PER_US
"""The sensor is looked at so often while no edge moves the carriage: the spring may."""
_SETTLED_TICKS = 2 * TICKS_PER_MS
"""Without an edge for so long, the carriage rests where the field holds it."""
_STILL_MS = 200
"""A pen whose motor has not moved for so long is at rest."""


class ChipHost(HostEnd):
    """The host's end of the chip's USB cable."""

    def __init__(self, usb: UsbHost, heard: Callable[[], None]) -> None:
        super().__init__(heard)
        self.usb = usb

    @property
    def reading(self) -> bool:
        """Whether the host takes what the pen says; set it False for one that doesn't."""
        return self.usb.reading

    @reading.setter
    def reading(self, reading: bool) -> None:
        self.usb.reading = reading

    def plug(self) -> None:
        """Put it back."""
        self.usb.plug()

    def _put(self, data: bytes) -> bool:
        if not self.usb.present:
            return False
        self.usb.send(data)
        return True

    def _take(self) -> bytes:
        return self.usb.receive()

    def _pull(self) -> None:
        self.usb.unplug()


class ChipPen(ChipParts):
    """A pen, without power: `image` is its MicroPython, `files` the flash that holds its files and what it remembers.

    The plant has a cartridge seated, the trigger up, the stop button out.
    """

    def __init__(
        self,
        image: Image,
        files: FlashImage,
        parameters: PenParameters | None = None,
        timing: FlashTiming | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.plant = Plant(self.clock, parameters)
        self.oracle = self.plant.oracle
        self.emulator = Emulator(self.clock, mirrored=(STEP, DIR, ENABLE), pulled_up=(ENABLE,))
        chip = self.emulator.chip
        image.put_into(chip)
        self.image = files
        self.flash = ChipFlash(chip, files, timing)
        self.flash.before = self._flash_operation
        self.flash.on_cut = self.power_cut
        self.emulator.on_restart = self.flash.chip_reset
        self.emulator.readable = lambda: not self.flash.busy
        self.usb_host = UsbHost(chip)
        self.host = ChipHost(self.usb_host, self._host_heard)
        self.driver = DriverLine(chip)
        self.powered = False
        self.usb = True
        """Whether the USB cable is in; the pen has a supply of its own."""
        self.crashes: list[ChipReset] = []
        """Each time the chip has reset itself."""
        self.damage = Damage(self)
        """What it suffers from and can be mended."""
        self.torn = Torn.NONE
        """What a `power_cut` in the middle of a flash operation leaves of it."""
        self.on_step: Callable[[int, int], None] | None = None
        """Is told of each STEP edge that leaves the chip: +1 or -1, and its tick."""
        self.on_enable: Callable[[bool, int], None] | None = None
        """Is told of each change of the driver's enable, and its tick."""
        self._later: dict[str, Any] = {}
        self._heard_ms = 0
        self._stepped_at = 0
        self._settling = False
        self._run_began: int | None = None
        self._crossings = 0
        self.emulator.on_edge = self._edge
        self.emulator.on_reset = self._has_reset

    # --- power -------------------------------------------------------------------------------------------------------
    def power_on(self) -> None:
        """Switch the supply on; the image boots."""
        if self.powered:
            return
        self.powered = True
        self.image.mark(POWER_UP)
        self.plant.supply(True)
        self.driver.supply(True)
        self.flash.power_on()
        self.emulator.power_on()
        self._booted()
        self._watch()

    def power_cut(self) -> None:
        """Cut the supply: driver and CPU are off at once, the flash keeps what it holds."""
        if not self.powered:
            return
        self.powered = False
        self.flash.cut(self.torn)
        self.emulator.power_off()
        self.driver.supply(False)
        self.plant.supply(False)
        self.damage.unpowered()

    def reset(self) -> None:
        """Have the watchdog reset the chip now; a reset by the RUN pin is the emulator's."""
        crashes = len(self.crashes)
        trigger_watchdog(self.emulator.chip)
        del self.crashes[crashes:]

    def hang(self) -> None:
        """Let the CPU do nothing more, interrupts masked; PIO, DMA and watchdog go on."""
        self.emulator.hang()

    def cut_at_operation(self, number: int, torn: Torn = Torn.NONE, seed: int = 0) -> None:
        """Cut the power in flash operation `number` from now, leaving `torn` of it."""
        self.flash.cut_at(number, torn, seed)

    def _has_reset(self) -> None:
        self.crashes.append(own_reset(self.emulator.chip, self.clock))
        self._booted()

    def _booted(self) -> None:
        """The chip starts anew: what was done inside it is over, what is wrong around it lasts."""
        self.set_pin_fault(None)
        self.damage.booted()
        self._drive_inputs()

    # --- time --------------------------------------------------------------------------------------------------------
    def run_ms(self, ms: float) -> None:
        """Let `ms` pass."""
        self.emulator.run_until(self.clock.now + int(ms * TICKS_PER_MS))

    def run_until(self, condition: Callable[[], bool], limit_ms: int, grain_ms: float = 1) -> bool:
        """Let time pass until `condition` holds, at most `limit_ms`; return whether it does. It is asked every
        `grain_ms`.
        """
        end = self.clock.now + limit_ms * TICKS_PER_MS
        while not condition():
            if self.clock.now >= end:
                return False
            self.run_ms(grain_ms)
        return True

    def step(self, limit_ms: int | None = None) -> int:
        """Let a little time pass, at most `limit_ms`; return the ms passed."""
        ms = 10 if limit_ms is None else min(limit_ms, 10)
        self.run_ms(ms)
        return ms

    def later(self, what: str, ms: int, act: Callable[[], None]) -> None:
        """Have `act` done `ms` from now, in place of an earlier act on `what`."""
        self.never(what)
        self._later[what] = self.clock.after(ms * TICKS_PER_MS, act)

    def never(self, what: str) -> None:
        """Take back what was to be done later on `what`."""
        event = self._later.pop(what, None)
        if event is not None:
            self.clock.cancel(event)

    # --- hands -------------------------------------------------------------------------------------------------------
    def press(self) -> None:
        """Press the trigger."""
        self.plant.press_trigger(True)
        self._drive_inputs()

    def release(self) -> None:
        """Let the trigger go."""
        self.plant.press_trigger(False)
        self._drive_inputs()

    def stop_button(self, down: bool) -> None:
        """Press the stop button or let it go."""
        self.plant.press_stop(down)
        self.driver.supply(not down)
        self._drive_inputs()

    def cartridge(self, closed: bool) -> None:
        """Close the cartridge holder or open it."""
        self.plant.seat_cartridge(closed)
        self._drive_inputs()

    def service(self, held: bool) -> None:
        """Hold the service button or let go."""
        self.plant.hold_service(held)
        self._drive_inputs()

    def plug(self, plugged: bool) -> None:
        """Plug the USB cable in or pull it; the pen goes on by itself."""
        if plugged != self.usb:
            self.usb = plugged
            if plugged:
                self.host.plug()
            else:
                self.host.unplug()

    def change_cartridge(self) -> None:
        """Open the holder, wait, close it: what makes a cartridge count as new. Takes 200 ms."""
        self.cartridge(False)
        self.run_ms(100)
        self.cartridge(True)
        self.run_ms(100)

    # --- pads --------------------------------------------------------------------------------------------------------
    def _edge(self, pin: int, level: int, at: int) -> None:
        """A pad that the chip drives has changed."""
        plant = self.plant
        if pin == STEP:
            if level:
                turn = 1 if self.emulator.level(DIR) else -1
                if turn < 0:
                    self._run_began = None
                elif self._run_began is None:
                    self._run_began = at
                self._stepped_at = at
                plant.step(turn, at)
                self._mind_strokes()
                self._drive_home()
                if not self._settling:
                    self._settle_later(at)
                if self.on_step is not None:
                    self.on_step(turn, at)
        elif pin == ENABLE:
            plant.enable(not level, at)
            if not level:
                self.oracle.armed(at)
            self._drive_home()
            if self.on_enable is not None:
                self.on_enable(not level, at)

    def _mind_strokes(self) -> None:
        """Tell the oracle of a stroke when its needles come out; it began with the run's first edge."""
        crossings = self.oracle.tally.crossings
        if crossings != self._crossings:
            if crossings > self._crossings and self._run_began is not None:
                self.oracle.stroke_begun(self._run_began)
            self._crossings = crossings

    def _settle_later(self, at: int) -> None:
        self._settling = True
        self.clock.schedule(max(at + _SETTLED_TICKS, self.clock.now), self._settle)

    def _settle(self) -> None:
        since = self.clock.now - self._stepped_at
        if since < _SETTLED_TICKS:
            self._settle_later(self._stepped_at)
            return
        self._settling = False
        self.plant.settle(self.clock.now)

    def _watch(self) -> None:
        """Look at the sensor for as long as there is power."""
        if self.powered:
            self._drive_home()
            self.clock.after(_LOOK_TICKS, self._watch)

    def _drive_home(self) -> None:
        self.emulator.drive(HOME, int(not self.plant.home_level(self.clock.now)))

    def _drive_inputs(self) -> None:
        """Bring the pads in line with what people do."""
        plant = self.plant
        self.emulator.drive(STOP, int(plant.stop_open))
        self.emulator.drive(TRIGGER, int(not plant.trigger_down))
        self.emulator.drive(CARTRIDGE, int(not plant.cartridge_seated))
        self.emulator.drive(SERVICE, int(not plant.service_held))
        self._drive_home()

    # --- for who serves it -------------------------------------------------------------------------------------------
    @property
    def port(self) -> bool:
        """Whether a host's computer shows a port: the cable is in, and the chip has told the host what it is."""
        return self.usb_host.present

    def unheard(self) -> int:
        """Return how many bytes of the host's the chip has not taken."""
        return self.usb_host.unsent

    def heard_ms(self) -> int:
        """Return when the host last sent a whole line: ms of the virtual clock."""
        return self._heard_ms

    def leased(self) -> bool:
        """Return whether a host that says nothing would lose its lease now: the driver is on."""
        return self.plant.driver_enabled()

    def working(self) -> bool:
        """Return whether the chip is at something that no host and no person has to wait for."""
        if not self.powered:
            return False
        return not self.port or self.flash.busy or self.unheard() > 0 or self.quiet_ms() < _STILL_MS

    def quiet_ms(self) -> float:
        """Return how long ago the last STEP edge left the chip."""
        return (self.clock.now - self._stepped_at) / TICKS_PER_MS

    # --- what the oracle is told -------------------------------------------------------------------------------------
    def _host_heard(self) -> None:
        self._heard_ms = self.clock.now_ms()
        self.oracle.host_heard(self.clock.now)

    def _flash_operation(self, operation: Operation) -> None:
        """The flash is about to be changed: the needle has to be at home and still."""
        busy = self.quiet_ms() < 1
        if busy or not self.plant.home_seen():
            x_steps = self.plant.position_steps()
            self.oracle.violate(FLASH_IN_MOTION, self.clock.now, block=operation.block, x_steps=x_steps, busy=busy)
