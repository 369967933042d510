"""The numbers of a virtual pen's mechanics: what a maker would measure, and what the equations of motion need. Host
only.

`PenParameters` are in everyday units; the defaults are the reference pen "pen-a". `Mechanics` derives from them what
the motion is computed with: positions in microsteps from home (down is positive), times in seconds, every force as
the acceleration in steps/s2 that it gives to the moving mass. Both are immutable; a fault that changes the mechanics
(a weak motor, a broken spring) is another set of parameters. Shares no code with the firmware.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PenParameters:
    """One pen's mechanics.

    Where the figures come from: *given* are the project's reference geometry; *class* are what data sheets of the
    class give (20 mm hybrid stepper of 200 full steps, 0.02..0.04 N m holding torque, 1.6..3.6 g cm2 of rotor);
    *chosen* are choices of this model, picked so that 100 mm/s and 30 m/s2 are feasible with about half again in
    reserve, while twice the acceleration or one and a half times the speed lose steps.
    """

    full_steps: int = 200
    """Full steps per turn of the motor (given)."""
    microsteps: int = 8
    """Microsteps per full step, the driver's strap (given)."""
    lead_um: int = 4000
    """Travel per turn of the screw (given)."""
    retract_offset_um: float = 500.0
    """From home down to depth 0, the plane of the nose piece (given)."""
    stop_um: float = 2600.0
    """Depth of the hard mechanical stop (given)."""
    rear_um: float = 60.0
    """How far behind home the rear stop is (chosen): the spring rests the carriage there when it is let go."""

    home_on_steps: int = 8
    """The sensor comes on when the carriage is this many microsteps from home or nearer (given: the margin)."""
    home_hysteresis_steps: int = 4
    """The sensor goes off when the carriage is further out than on-point plus this (class: 10 um, interrupter)."""

    rotor_kg_m2: float = 2.9e-7
    """Inertia of rotor and screw (class)."""
    carriage_kg: float = 0.03
    """Mass of carriage and cartridge (chosen)."""
    pullout: tuple[tuple[float, float], ...] = ((0.0, 0.036), (26.25, 0.036), (30.0, 0.025), (37.5, 0.003), (39.0, 0.0))
    """Pull-out torque in N m over speed in turns/s, straight between the points (class: flat, then a fall where the
    supply no longer drives the current; the place of the fall is chosen)."""
    screw_efficiency: float = 0.8
    """Of a multi-start screw with a plastic nut (class)."""
    friction_n: float = 1.2
    """Sliding friction of screw and guides (chosen)."""
    detent_n: float = 3.0
    """Detent of the unpowered motor, as a force on the carriage (class: 0.002 N m); it holds, it does not brake."""
    spring_n: float = 6.5
    """Force of the return spring at home, towards home: 1.5 x (detent + friction) and a little more (given rule)."""
    spring_n_per_mm: float = 0.3
    """Rate of the return spring (chosen)."""
    skin_n_per_mm: float = 0.8
    """Load of the skin per mm of depth, pushing towards home (chosen: some N at full depth for a dozen needles)."""

    @property
    def step_um(self) -> float:
        """Travel of one microstep in um."""
        return self.lead_um / (self.full_steps * self.microsteps)


class Mechanics:
    """What the equations of motion need, derived once from `PenParameters`."""

    def __init__(self, parameters: PenParameters) -> None:
        self.parameters = parameters
        step_um = parameters.step_um
        turn_steps = parameters.full_steps * parameters.microsteps
        per_turn_m = parameters.lead_um * 1e-6
        screw = 2.0 * math.pi / per_turn_m
        # Rotor and screw turn with the carriage: along the screw they weigh J (2 pi / lead)2, far more than it does.
        self.mass_kg = parameters.rotor_kg_m2 * screw * screw + parameters.carriage_kg
        self._per_newton = 1.0 / (self.mass_kg * step_um * 1e-6)
        self.step_um = step_um
        self.cycle_steps = 4 * parameters.microsteps
        """One electrical cycle: what a stepper loses at a time."""
        self.half_steps = 2 * parameters.microsteps
        """Lag at which the field has turned half a cycle ahead of the rotor and its pull has vanished."""
        self.nose_steps = parameters.retract_offset_um / step_um
        self.front_steps = (parameters.retract_offset_um + parameters.stop_um) / step_um
        self.rear_steps = -parameters.rear_um / step_um
        self.home_on_steps = parameters.home_on_steps
        self.home_off_steps = parameters.home_on_steps + parameters.home_hysteresis_steps

        per_newton = self._per_newton
        steps_per_mm = 1000.0 / step_um
        self.friction = parameters.friction_n * per_newton
        self.breakaway = (parameters.friction_n + parameters.detent_n) * per_newton
        self.spring = parameters.spring_n * per_newton
        self.spring_rate = parameters.spring_n_per_mm / steps_per_mm * per_newton
        self.skin_rate = parameters.skin_n_per_mm / steps_per_mm * per_newton
        newtons_per_nm = screw * parameters.screw_efficiency
        self._pullout = [
            (turns_per_s * turn_steps, torque_nm * newtons_per_nm * per_newton)
            for turns_per_s, torque_nm in parameters.pullout
        ]
        self.flat_pull = self._pullout[0][1]
        self.flat_speed = max(speed for speed, pull in self._pullout if pull == self.flat_pull)

    def pull(self, speed: float) -> float:
        """Return the most the motor can accelerate the moving mass by, in steps/s2, at `speed` steps/s (>= 0)."""
        below_speed, below_pull = self._pullout[0]
        for above_speed, above_pull in self._pullout[1:]:
            if speed <= above_speed:
                part = (speed - below_speed) / (above_speed - below_speed)
                return below_pull + part * (above_pull - below_pull)
            below_speed, below_pull = above_speed, above_pull
        return 0.0

    def homeward(self, x: float) -> float:
        """Return the acceleration towards home, steps/s2, that spring and skin give to a carriage at `x` steps."""
        push = self.spring + self.spring_rate * x
        return push + self.skin_rate * (x - self.nose_steps) if x > self.nose_steps else push

    def depth_um(self, x: float) -> float:
        """Return the depth in um of a carriage at `x` steps from home; negative: the needles are inside the nose."""
        return (x - self.nose_steps) * self.step_um
