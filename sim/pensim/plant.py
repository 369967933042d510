"""The physical pen: motor, screw, spring, carriage, needle, home sensor, buttons and supply. Host only.

It knows by itself where the needle is and tells the oracle; it shares no code with the firmware. It is moved by STEP
edges and by the driver's enable, looked at through the levels of its sensor and buttons, and hindered by faults.
Everything is computed when somebody looks: between two looks nothing runs, so an idle pen costs nothing.

An engine that plays whole strokes at once (`pensim.engine`) is attached to it and is asked to catch up, edge by edge,
before anything is changed or looked at that a stroke in the air would not answer.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from pensim.clock import TICKS_PER_MS, VirtualClock
from pensim.mechanics import Mechanics, PenParameters
from pensim.motor import Coast, Drive
from pensim.oracle import COAST_LIMIT, DEPTH_LIMIT, EDGE_DISABLED, NEEDLE_OUT, NeedleReport, Oracle

__all__ = ["Attached", "EdgeFault", "PenParameters", "Plant", "SensorFault", "Transitions"]

SensorFault = Callable[[bool, float, int], bool]
"""(true level, position in steps, tick) -> the level that the sensor shows instead."""

EdgeFault = Callable[[int], tuple[int, ...]]
"""Direction of an edge (+1 down, -1 home) -> the directions of the edges that come out of it, none to many."""

Transitions = tuple[tuple[int, bool], ...]
"""Home sensor's levels over a stroke: (ticks since its first edge, level from then on), in order of time."""

_FAR = 1e18
_SHORT = 0.5
_EXACT_UM = 1e-6
"""Far below a microstep, far above what a float makes of one: a limit is reached exactly, not passed."""


class Attached(Protocol):
    """What moves the plant: brings it up to now before somebody looks, and hears of the stop line."""

    def catch_up(self) -> None:
        """Play every edge up to now."""

    def stop_changed(self) -> None:
        """The stop line has changed its level."""


class Plant:
    """One pen. Levels are attributes to read and methods to change; positions are in microsteps from home, down
    positive.

    A new pen stands at its rear stop with the supply on, the driver off, the stop line closed and a cartridge seated.
    """

    def __init__(
        self, clock: VirtualClock, parameters: PenParameters | None = None, oracle: Oracle | None = None
    ) -> None:
        self.clock = clock
        self.oracle = Oracle() if oracle is None else oracle
        self.parameters = PenParameters() if parameters is None else parameters
        self.built = self.parameters
        """The mechanics it was made with, whatever has gone wrong since."""
        self.mechanics = Mechanics(self.parameters)
        self.trigger_down = False
        self.trigger_moved = False
        """It was pressed or let go since somebody set this back."""
        self.stop_moved = False
        """Its button was pressed or pulled since somebody set this back."""
        self.cartridge_moved = False
        """Its holder was opened or closed since somebody set this back."""
        self.stop_open = False
        self.cartridge_seated = True
        self.service_held = False
        self.supplied = True
        self.energised = False
        """The motor is under current: driver enabled, supplied and well."""
        self.driver_resets = 0
        """Times the driver lost its supply or was reset: its settings and its place in the cycle are gone."""
        self.driver_failed = False
        self.driver_silent = False
        """Its serial line is cut: it goes on, and answers nothing."""
        self.version = 0
        """Grows with every change of parameters."""
        self._attached: Attached | None = None
        self._wanted = False
        self._powered = True
        self._flight: Transitions | None = None
        self._flight_at = 0
        self._sensor_fault: SensorFault | None = None
        self._wire_fault: EdgeFault | None = None
        self._inverted = False
        self._drive = Drive(self.mechanics, self._moved_driven)
        self._coast = Coast(self.mechanics, self._moved_coasting)
        self._coast.start(self.mechanics.rear_steps, 0.0, clock.now)
        self._off_at = clock.now
        self._out_told = False
        self._seen = True
        self._out = False
        self._past = False
        self._past_coasting = False
        self._peak = self._coast_peak = -_FAR
        self._x: float = self._coast.x
        self._low = self._high = 0.0
        self._set_bounds()

    # --- who moves it ------------------------------------------------------------------------------------------------
    def attach(self, engine: Attached) -> None:
        """Let `engine` be asked to catch up from here on; one at a time (a reset pen brings a new one)."""
        self._attached = engine

    def catch_up(self) -> None:
        """Bring everything up to now: edges still to be played, a carriage still coasting."""
        if self._attached is not None:
            self._attached.catch_up()
        self._run_coast(self.clock.now)

    # --- the driver's pins, for the engine alone ---------------------------------------------------------------------
    def step(self, direction: int, at: int) -> None:
        """Take one STEP edge as it leaves the chip: +1 down, -1 home, at tick `at`."""
        if self._wire_fault is not None or self._inverted:
            turns = (direction,) if self._wire_fault is None else self._wire_fault(direction)
            for turn in turns:
                self._step_motor(-turn if self._inverted else turn, at)
        else:
            self._step_motor(direction, at)

    def _step_motor(self, direction: int, at: int) -> None:
        if not self.energised:
            if self._powered:
                # The driver counts on without current, so that the field is elsewhere when it comes back.
                self._drive.field += direction
            if not self._wanted:
                self.oracle.violate(EDGE_DISABLED, at, x_steps=self._coast.x)
            return
        x = self._drive.step(direction, at)
        self._x = x
        if x > self._high or x < self._low:
            self._cross(x, at)
        if x > self._peak:
            self._peak = x

    def settle(self, at: int) -> None:
        """No edge follows for a while: the carriage comes to rest where the field holds it."""
        if self.energised:
            self._moved_driven(self._drive.settle(at), at)

    def enable(self, on: bool, at: int) -> None:
        """Set the driver's enable at tick `at`."""
        self._wanted = on
        self._switch(at)

    def home_level(self, at: int) -> bool:
        """Return what the home sensor shows at tick `at`, when every edge up to then has been played."""
        if not self.energised:
            self._run_coast(at)
        if self._sensor_fault is None:
            return self._seen
        return self._sensor_fault(self._seen, self._x, at)

    def nominal(self) -> bool:
        """Return whether the pen rests at home, driven and without any fault: every stroke from here is alike."""
        return (
            self._x == 0.0
            and self.energised
            and self._seen
            and not self._out
            and self._drive.settled()
            and self._sensor_fault is None
            and self._wire_fault is None
            and not self._inverted
        )

    def place_nominal(self) -> None:
        """Put a pen that has no engine yet at home, driven and at rest, as after a good homing."""
        self._wanted = True
        self.energised = True
        self._moved_driven(self._drive.catch(0.0, 0.0, self.clock.now), self.clock.now)

    def fly(self, transitions: Transitions, at: int) -> None:
        """A stroke known beforehand begins at tick `at`: until `land`, the sensor follows `transitions`."""
        self._flight = transitions
        self._flight_at = at

    def land(self) -> None:
        """The stroke in the air is over, or is going to be played edge by edge from where it began."""
        self._flight = None

    # --- what can be seen --------------------------------------------------------------------------------------------
    def driver_enabled(self) -> bool:
        """Return the level of the driver's enable; the motor is under current only with supply and a closed stop."""
        self.catch_up()
        return self._wanted

    def home_seen(self) -> bool:
        """Return what the home sensor shows now."""
        if self._flight is not None:
            level = True
            ticks = self.clock.now - self._flight_at
            for offset, after in self._flight:
                if ticks < offset:
                    break
                level = after
            return level
        self.catch_up()
        return self.home_level(self.clock.now)

    def position_steps(self) -> float:
        """Return where the carriage is now, in microsteps from home."""
        self.catch_up()
        return self._x

    def depth_um(self) -> float:
        """Return how far the needles protrude now, in um; negative while they are inside the nose."""
        return self.mechanics.depth_um(self.position_steps())

    def at_rest(self) -> bool:
        """Return whether the carriage lies still now."""
        self.catch_up()
        return self._drive.resting() if self.energised else self._coast.resting()

    def report(self, since_mark: bool = False) -> NeedleReport:
        """Return the oracle's account up to now."""
        self.catch_up()
        self._tell_peaks()
        return self.oracle.report(self._drive.slips, since_mark)

    # --- the oracle's settings, in step with the motion --------------------------------------------------------------
    def set_limit_um(self, limit_um: float | None) -> None:
        """Tell the oracle how deep the needle may be driven from now on; None: as deep as it likes."""
        self.catch_up()
        self.oracle.limit_um = limit_um
        self._set_bounds()

    def label(self, name: str) -> None:
        """Have the oracle count under `name` from now on."""
        self.catch_up()
        self._end_stretch()
        self.oracle.label(name)

    def mark(self) -> None:
        """Start a new stretch for `report(since_mark=True)`."""
        self.catch_up()
        self._end_stretch()
        self.oracle.mark()

    # --- people ------------------------------------------------------------------------------------------------------
    def press_trigger(self, down: bool) -> None:
        """Press or release the trigger."""
        self.trigger_moved = self.trigger_moved or self.trigger_down != down
        self.trigger_down = down
        self.oracle.trigger(down, self.clock.now)

    def press_stop(self, pressed: bool) -> None:
        """Press the stop button or let go. It has two poles: one breaks the motor's supply, one the stop line."""
        if pressed == self.stop_open:
            return
        self.catch_up()
        self.stop_open = pressed
        self.stop_moved = True
        self.oracle.stop_line(pressed)
        self._switch(self.clock.now)
        if self._attached is not None:
            self._attached.stop_changed()

    def seat_cartridge(self, seated: bool) -> None:
        """Seat the cartridge or take it out."""
        self.cartridge_moved = self.cartridge_moved or self.cartridge_seated != seated
        self.cartridge_seated = seated

    def hold_service(self, held: bool) -> None:
        """Hold the service button or let go."""
        self.service_held = held

    def supply(self, on: bool) -> None:
        """Switch the pen's supply. The engine, a part of the chip, is gone with it: attach a new one afterwards."""
        self.catch_up()
        self.supplied = on
        if not on:
            self._attached = None
            self._flight = None
            self._wanted = False
        self._switch(self.clock.now)

    # --- what can go wrong -------------------------------------------------------------------------------------------
    def set_parameters(self, parameters: PenParameters) -> None:
        """Go on with other mechanics from now on; steps and lead stay what they are."""
        self.catch_up()
        self.parameters = parameters
        self.mechanics = Mechanics(parameters)
        self.version += 1
        self._drive.rebuild(self.mechanics)
        self._coast.mechanics = self.mechanics
        self._set_bounds()

    def set_skin(self, newtons_per_mm: float) -> None:
        """Load the needles with skin of this stiffness, N per mm of depth."""
        if newtons_per_mm != self.parameters.skin_n_per_mm:
            self.set_parameters(replace(self.parameters, skin_n_per_mm=newtons_per_mm))

    def set_sensor_fault(self, fault: SensorFault | None) -> None:
        """Let `fault` stand between the home sensor and the chip; None mends it."""
        self.catch_up()
        self._sensor_fault = fault

    def set_wire_fault(self, fault: EdgeFault | None) -> None:
        """Let `fault` stand between the chip's STEP pad and the driver, where no guard sees it; None mends it."""
        self.catch_up()
        self._wire_fault = fault

    def invert_direction(self, inverted: bool) -> None:
        """Swap a motor coil, or mend it: every edge turns the other way."""
        self.catch_up()
        self._inverted = inverted

    def lose_steps(self, cycles: int) -> None:
        """Throw the rotor out of step by `cycles` electrical cycles of four full steps; negative: towards home."""
        self.catch_up()
        if self.energised:
            self._moved_driven(self._drive.lose(cycles), self.clock.now)

    def reset_driver(self) -> None:
        """Reset the motor driver (a dip of its supply): the field starts again at the beginning of its cycle."""
        self.catch_up()
        self.driver_resets += 1
        if self.energised:
            self._drive.field = 0
            self._moved_driven(self._drive.catch(self._x, 0.0, self.clock.now), self.clock.now)

    def fail_driver(self, failed: bool) -> None:
        """Let the motor driver switch itself off for heat or a short, or be well again."""
        self.catch_up()
        self.driver_failed = failed
        self._switch(self.clock.now)

    def silence_driver(self, silent: bool) -> None:
        """Cut the motor driver's serial line, or join it again."""
        self.catch_up()
        self.driver_silent = silent

    # --- inside ------------------------------------------------------------------------------------------------------
    def _switch(self, at: int) -> None:
        """Bring the current in the motor in line with enable, supply, stop button and the driver's health."""
        powered = self.supplied and not self.stop_open
        wanted = self._wanted and powered and not self.driver_failed
        if wanted and not self.energised:
            self._run_coast(at)
            self.energised = True
            self._moved_driven(self._drive.catch(self._coast.x, self._coast.speed, at), at)
        elif not wanted and self.energised:
            self._x = self._drive.x
            self._coast.start(self._x, self._drive.cut(at), at)
            self.energised = False
            self._off_at = at
            self._out_told = False
        if self._powered and not powered:
            # Without supply the driver forgets where in its cycle it was.
            self._drive.field = 0
            self.driver_resets += 1
        self._powered = powered

    def _run_coast(self, at: int) -> None:
        """Let an unpowered carriage go on to tick `at`."""
        if self.energised:
            return
        self._coast.run_until(at)
        self._x = self._coast.x
        if self._out and not self._out_told:
            out_ms = (at - self._off_at) / TICKS_PER_MS
            if out_ms > self.oracle.needle_out_ms:
                self._out_told = True
                self.oracle.violate(NEEDLE_OUT, at, out_ms=out_ms, depth_um=self.mechanics.depth_um(self._x))

    def _moved_driven(self, x: float, at: int) -> None:
        self._x = x
        if x > self._high or x < self._low:
            self._cross(x, at)
        if x > self._peak:
            self._peak = x

    def _moved_coasting(self, x: float, at: int) -> None:
        self._x = x
        if x > self._coast_peak:
            self._coast_peak = x
        if x > self._high or x < self._low:
            self._cross(x, at)

    def _cross(self, x: float, at: int) -> None:
        """Note which of the marks along the way have been passed: sensor, nose, limit."""
        mechanics = self.mechanics
        if self._seen:
            self._seen = x <= mechanics.home_off_steps
        else:
            self._seen = x <= mechanics.home_on_steps
        out = x > mechanics.nose_steps
        if out != self._out:
            self._out = out
            if out:
                self.oracle.tally.crossings += 1
            else:
                self.oracle.tally.strokes += 1
                self._end_stretch()
        limit_um = self.oracle.limit_um
        if limit_um is not None and mechanics.depth_um(x) > limit_um + _EXACT_UM:
            if self.energised and not self._past:
                self._past = True
                self.oracle.violate(DEPTH_LIMIT, at, depth_um=mechanics.depth_um(x), limit_um=limit_um)
            elif not self.energised and not self._past and not self._past_coasting:
                self._past_coasting = True
                self.oracle.violate(COAST_LIMIT, at, depth_um=mechanics.depth_um(x), limit_um=limit_um)
        self._set_bounds()

    def _set_bounds(self) -> None:
        """Set the stretch of way in which nothing has to be noted but the deepest point."""
        mechanics = self.mechanics
        # A mark on the way home is passed by reaching it: the stretch ends short of it.
        self._low = _SHORT + (mechanics.nose_steps if self._out else -_FAR if self._seen else mechanics.home_on_steps)
        high = _FAR if self._out else mechanics.nose_steps
        if self._seen:
            high = min(high, mechanics.home_off_steps)
        limit_um = self.oracle.limit_um
        if limit_um is not None and not self._past:
            high = min(high, limit_um / mechanics.step_um + mechanics.nose_steps)
        self._high = high

    def _tell_peaks(self) -> None:
        """Tell the oracle the deepest points since the last time the needles came in."""
        driven_um = max(self.mechanics.depth_um(self._peak), 0.0)
        any_um = max(self.mechanics.depth_um(self._coast_peak), driven_um)
        self.oracle.reached(driven_um, any_um)

    def _end_stretch(self) -> None:
        """Tell the peaks and begin new ones from where the carriage is."""
        self._tell_peaks()
        self._peak = self._x if self.energised else -_FAR
        self._coast_peak = -_FAR if self.energised else self._x
        self._past = False
        self._past_coasting = False
