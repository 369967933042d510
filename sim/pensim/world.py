"""The composition root of the virtual pen: joins the firmware's own `Runner` to plant, engine, flash and cable. Host
only.

One `World` is one pen on one bench: it can be powered, cut, reset, talked to, pressed. Virtual time jumps from event to
event: a turn of the firmware falls when the runner asked for it, when a byte, a level or a stroke gives it reason to.
Nothing is random but what `seed` draws (the nonce of each boot); two worlds with the same acts are the same run.
"""

import random
from collections.abc import Callable
from contextlib import suppress

from pencore import faults, ledger, limits, provision, units, wire
from pencore.ports import Ports
from pencore.runner import Runner
from pensim.clock import TICKS_PER_MS, TICKS_PER_US, VirtualClock
from pensim.engine import SimEngine
from pensim.errors import PowerCut
from pensim.faults import Damage
from pensim.faults.flash import POWER_UP as LAST_POWER_UP
from pensim.flash import FlashDevice, FlashImage, FlashTiming, Operation, SimStore, Snapshot, Torn
from pensim.host_end import HostEnd
from pensim.innards import LogicParts
from pensim.plant import PenParameters, Plant
from pensim.ports import (
    POWER_UP,
    WATCHDOG_RESET,
    Cable,
    SimClock,
    SimIdentity,
    SimIndicator,
    SimInputs,
    SimWatchdog,
)
from pensim.stroke import StrokeBook

DEFAULT_SERIAL = "SIM-0001"
CALIBRATED_AT = 1_750_000_000
"""When the simulator's pens were calibrated, unless told otherwise: June 2025, in seconds since 1970."""
_BUILD = "0" * 16
_WORKING = (wire.BOOT, wire.HOMING, wire.RUNNING, wire.SEALING)
_LEASED = (wire.ARMED, wire.RUNNING, wire.PAUSED)


def default_provision(serial: str = DEFAULT_SERIAL) -> provision.Provision:
    """Return the provisioning of a simulated pen: the reference geometry with the absolute bounds, no clinic key."""
    setup = provision.Provision(serial, limits.Bounds(units.Geometry()))
    setup.calibrated_at = CALIBRATED_AT
    return setup


def parameters_of(setup: provision.Provision) -> PenParameters:
    """Return the mechanics that fit a provisioning's geometry."""
    geometry = setup.bounds.geometry
    return PenParameters(
        full_steps=geometry.full_steps,
        microsteps=geometry.microsteps,
        lead_um=geometry.lead_um,
        retract_offset_um=geometry.retract_offset_um,
        home_on_steps=geometry.home_margin_steps,
        stop_um=geometry.stop_um,
    )


def _image(flash: Snapshot | bytes | FlashImage | None) -> FlashImage:
    if isinstance(flash, FlashImage):
        return flash
    return FlashImage.from_bytes(flash) if isinstance(flash, bytes) else FlashImage(flash)


def provision_in(image: FlashImage) -> provision.Provision | None:
    """Return the provisioning that a flash holds, and leave the flash as it is; None when it holds no valid one."""
    store = SimStore(FlashDevice(image.clone()))
    try:
        size = store.size(provision.FILE)
        return provision.decode(store.read(provision.FILE, 0, size)) if size > 0 else None
    except (faults.Refusal, OSError):
        return None
    finally:
        store.close()


def write_provision(image: FlashImage, setup: provision.Provision) -> None:
    """Make an erased flash that of a provisioned pen, with an empty ledger."""
    store = SimStore(FlashDevice(image))
    store.append(provision.FILE, provision.encode(setup))
    ledger.create(store)
    store.close()


class Host(HostEnd):
    """The host's end of the virtual cable."""

    def __init__(self, cable: Cable, heard: Callable[[], None]) -> None:
        super().__init__(heard)
        self._cable = cable

    @property
    def reading(self) -> bool:
        """Whether the host takes what the pen says; set it False for one that doesn't."""
        return self._cable.reading

    @reading.setter
    def reading(self, reading: bool) -> None:
        self._cable.reading = reading

    def plug(self) -> None:
        """Put it back."""
        self._cable.plug()

    def _put(self, data: bytes) -> bool:
        self._cable.send(data)
        return self._cable.plugged

    def _take(self) -> bytes:
        return self._cable.receive()

    def _pull(self) -> None:
        self._cable.unplug()


class World(LogicParts):
    """A virtual pen. `flash`: an earlier `snapshot_flash`, its bytes, or the image itself; without, a freshly
    provisioned pen.

    `strict`: an exception that the firmware lets through is raised to the caller; otherwise it is noted in `crashes`
    and the pen is reset, as the board's root does it. `blank`: not provisioned at all.
    """

    def __init__(
        self,
        *,
        serial: str = DEFAULT_SERIAL,
        seed: int = 0,
        start_ms: int = 0,
        flash: Snapshot | bytes | FlashImage | None = None,
        setup: provision.Provision | None = None,
        blank: bool = False,
        strict: bool = True,
        build: str = _BUILD,
        book: StrokeBook | None = None,
        timing: FlashTiming | None = None,
    ) -> None:
        self.setup = default_provision(serial) if setup is None else setup
        self.clock = VirtualClock(start_ms)
        self.plant = Plant(self.clock, parameters_of(self.setup))
        self.oracle = self.plant.oracle
        self.image = _image(flash)
        self.flash = FlashDevice(self.image, timing)
        self.cable = Cable(self._notice)
        self.host = Host(self.cable, self._host_heard)
        self.damage = Damage(self)
        """What it suffers from and can be mended."""
        self.usb = True
        """Whether the USB cable is in; the pen has a supply of its own."""
        self.crashes: list[Exception] = []
        self._guard = _Guard(self)
        self.turns = 0
        self.hung = False
        """The CPU does nothing any more; engine, guards and watchdog go on."""
        self.powered = False
        self._strict = strict
        self._rng = random.Random(seed)
        self._build = build
        self._book = StrokeBook() if book is None else book
        self._turn_at = 0
        self._awake = False
        self._heard_at = 0
        self._next_cut: tuple[int, Torn, int] | None = None
        self._later: dict[str, tuple[int, Callable[[], None]]] = {}
        self.torn = Torn.NONE
        """What a `power_cut` in the middle of a flash operation leaves of it."""
        self._torn_seed = seed
        if flash is None and not blank:
            write_provision(self.image, self.setup)

    # --- power -------------------------------------------------------------------------------------------------------
    def power_on(self) -> None:
        """Switch the supply on; the firmware boots."""
        if not self.powered:
            self.powered = True
            self.image.mark(LAST_POWER_UP)
            self.plant.supply(True)
            self._boot(POWER_UP)

    def power_cut(self) -> None:
        """Cut the supply: driver and CPU are off at once, the flash keeps what it holds."""
        if self.powered:
            self.powered = False
            self.spare_calls()
            self.flash.cut(self.torn, self._torn_seed)
            self.engine.shut_down()
            self.plant.supply(False)
            self.store.close()
            self.damage.unpowered()

    def reset(self) -> None:
        """Reset the chip as a watchdog or `machine.reset()` does: the driver goes off, the firmware boots again."""
        self.spare_calls()
        self.engine.shut_down()
        self.store.close()
        self._boot(WATCHDOG_RESET)

    def _boot(self, cause: int) -> None:
        self.engine = SimEngine(self.clock, self.plant, self._book)
        self.flash = self._new_device()
        self.watchdog = SimWatchdog(self.clock)
        self.indicator = SimIndicator()
        self._turn_at = self.clock.now
        self.hung = False
        with self._guard:
            self.store = SimStore(self.flash)
            self.ports = Ports(
                clock=SimClock(self.clock),
                link=self.cable,
                inputs=SimInputs(self.plant),
                engine=self.engine,
                store=self.store,
                watchdog=self.watchdog,
                indicator=self.indicator,
                identity=SimIdentity(self._rng, cause, self._build),
            )
            self.damage.booted()
            self.runner = Runner(self.ports)
            self.runner.boot(self.clock.now_ms())

    def _new_device(self) -> FlashDevice:
        """Return the flash's circuit for one boot: the counters go on, what was cut is whole again."""
        before = self.flash
        device = FlashDevice(self.image, before.timing)
        device.before = self._flash_operation
        device.spend = self._flash_time
        if self._next_cut is not None:
            device.cut_at(*self._next_cut)
            self._next_cut = None
        return device

    def cut_at_operation(self, number: int, torn: Torn = Torn.NONE, seed: int = 0) -> None:
        """Cut the power in flash operation `number`, counted from the next (or present) power-up, leaving `torn` of
        it.
        """
        if self.powered:
            self.flash.cut_at(number, torn, seed)
        else:
            self._next_cut = (number, torn, seed)

    # --- time --------------------------------------------------------------------------------------------------------
    def later(self, what: str, ms: int, act: Callable[[], None]) -> None:
        """Have `act` done `ms` from now, between two turns of the firmware, in place of an earlier act on `what`."""
        self._later[what] = (self.clock.now + ms * TICKS_PER_MS, act)

    def never(self, what: str) -> None:
        """Take back what was to be done later on `what`."""
        self._later.pop(what, None)

    def step(self, limit_ms: int | None = None) -> int:
        """Go on to the next event or turn of the firmware, at most `limit_ms` (1,000 if None); return the ms passed."""
        begin = self.clock.now
        self._advance(begin + (1000 if limit_ms is None else limit_ms) * TICKS_PER_MS)
        return (self.clock.now - begin) // TICKS_PER_MS

    def run_ms(self, ms: int) -> None:
        """Let `ms` of virtual time pass."""
        end = self.clock.now + ms * TICKS_PER_MS
        while self.clock.now < end:
            self._advance(end)

    def run_until(self, condition: Callable[[], bool], limit_ms: int) -> bool:
        """Let time pass until `condition` holds, at most `limit_ms`; return whether it does."""
        end = self.clock.now + limit_ms * TICKS_PER_MS
        while not condition():
            if self.clock.now >= end:
                return False
            self._advance(end)
        return True

    def _advance(self, end: int) -> None:
        """Go to the next thing that happens, at tick `end` at the latest, and let the firmware take a turn if it is
        one.
        """
        if not self._later:
            self._pass(end)
            return
        self._pass(max(min(end, *(due for due, _ in self._later.values())), self.clock.now))
        due, what = min((due, what) for what, (due, _) in self._later.items())
        if due <= self.clock.now:
            self._later.pop(what)[1]()

    def _pass(self, end: int) -> None:
        """Do what `_advance` says while nobody lays hands on the pen."""
        clock = self.clock
        if not self.powered:
            clock.run_until(end)
            return
        due = end
        if self._awake and not self.hung:
            due = clock.now
        else:
            event = clock.next_due()
            if event is not None and event < due:
                due = event
            if not self.hung and self._turn_at < due:
                due = self._turn_at
        if self.watchdog.due <= due:
            clock.run_until(self.watchdog.due)
            self.reset()
            return
        # An engine event or a changed level is seen by the polling firmware at once; `end` alone gives no turn.
        turn = due < end or self._turn_at <= due
        clock.run_until(due)
        if turn and not self.hung:
            self._take_turn()

    def _take_turn(self) -> None:
        self._awake = False
        self.turns += 1
        with self._guard:
            wait_ms = self.runner.step(self.clock.now_ms())
            self.watchdog.feed()
            if self.cable.waiting():
                wait_ms = 1
            self._turn_at = self.clock.now + wait_ms * TICKS_PER_MS

    def crashed(self, error: Exception) -> bool:
        """Do what the board's root does when the firmware lets `error` through; return whether that is all."""
        if self._strict and (self.wire is None or error is not self.wire.error):
            return False
        self.spare_calls()
        self.crashes.append(error)
        self.engine.disarm()
        self.reset()
        return True

    def _notice(self) -> None:
        self._awake = True

    def _host_heard(self) -> None:
        self._heard_at = self.clock.now
        self.oracle.host_heard(self.clock.now)

    def _flash_operation(self, operation: Operation) -> None:
        """The flash is about to be changed: the oracle wants the needle at home and the engine idle."""
        self.engine.flash_operation(operation.block)

    def _flash_time(self, us: int) -> None:
        """The CPU stands still while the flash works; engine, guards and people don't. The lease waits."""
        self.clock.run_until(self.clock.now + us * TICKS_PER_US)
        self._heard_at += us * TICKS_PER_US
        self.oracle.host_heard(self._heard_at)

    # --- hands -------------------------------------------------------------------------------------------------------
    def press(self) -> None:
        """Press the trigger."""
        self.plant.press_trigger(True)
        self._notice()

    def release(self) -> None:
        """Let the trigger go."""
        self.plant.press_trigger(False)
        self._notice()

    def stop_button(self, down: bool) -> None:
        """Press the stop button or let it go."""
        self.plant.press_stop(down)
        self._notice()

    def cartridge(self, closed: bool) -> None:
        """Close the cartridge holder or open it."""
        self.plant.seat_cartridge(closed)
        self._notice()

    def service(self, held: bool) -> None:
        """Hold the service button or let go."""
        self.plant.hold_service(held)
        self._notice()

    def plug(self, plugged: bool) -> None:
        """Plug the USB cable in or pull it: what was on its way is lost, and the pen goes on by itself."""
        self.usb = plugged
        if not plugged:
            self.host.unplug()
        elif self.powered:
            self.host.plug()

    def hang(self) -> None:
        """Let the CPU do nothing more; engine, guards and watchdog go on, and the watchdog bites."""
        self.hung = True

    def change_cartridge(self) -> None:
        """Open the holder, wait, close it: what makes a cartridge count as new. Takes 200 ms."""
        self.cartridge(False)
        self.run_ms(100)
        self.cartridge(True)
        self.run_ms(100)

    # --- for who serves it -------------------------------------------------------------------------------------------
    @property
    def port(self) -> bool:
        """Whether a host's computer shows a port: the USB cable is in."""
        return self.usb

    def unheard(self) -> int:
        """Return how many bytes of the host's are not worked off yet, at least about."""
        return self.cable.waiting() + (self.powered and self.runner.talk.unheard())

    def heard_ms(self) -> int:
        """Return when the pen, which has power, heard its host last: ms of its clock."""
        return self.runner.talk.heard_ms

    def leased(self) -> bool:
        """Return whether a host that says nothing would lose its lease now."""
        return self.powered and self.runner.state in _LEASED

    def working(self) -> bool:
        """Return whether the pen is at something that no host and no person has to wait for."""
        if not self.powered:
            return False
        return self.runner.state in _WORKING or self.runner.busy() or self.unheard() > 0

    # --- flash -------------------------------------------------------------------------------------------------------
    def snapshot_flash(self) -> Snapshot:
        """Return what the flash holds now; cheap, and good for any number of new worlds."""
        return self.image.snapshot()


class _Guard:
    """Turns what the firmware raises into what happens to the pen."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, PowerCut):
            self._world.power_cut()
            return True
        if isinstance(error, Exception):
            with suppress(PowerCut):
                return self._world.crashed(error)
        return False
