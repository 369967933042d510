"""How the carriage moves: pulled by the motor's turning field, or left to itself. Host only; allocates nothing per
edge.

*Drive*, the powered motor. The field advances one microstep per STEP edge; the carriage stands where rotor and field
agree (`field + sync`; `sync` is a whole number of electrical cycles once the rotor has fallen into a place). As long
as the acceleration that the edges ask for stays within what pull-out torque, friction, spring and skin leave, the
rotor follows exactly: its load angle, up to a full step, is not modelled as a change of depth. Asked for more, the
rotor follows with what it has and lags; the pull falls with the lag and is gone at half a cycle, where the rotor
slips by one cycle of four full steps. It is caught again when it meets its place slowly enough to be held there. The
same happens at a hard stop.

*Coast*, the unpowered one: inertia, friction, spring and skin alone, in steps of 20 us counted from the cut, so that
the way does not depend on who looks at it when.

Positions in microsteps from home, speeds in steps/s, times in ticks of 8 ns at the interface and in seconds inside.
"""

from collections.abc import Callable

from pensim.clock import TICKS_PER_US
from pensim.mechanics import Mechanics

_TICK_S = 8e-9

_RATIO = 2.5
"""Neighbouring intervals of a constant acceleration differ by 1 + sqrt(2) = 2.414 at most (the first and the second): a
longer one is a field that stands still, after a shorter one it starts from rest."""

_DRAG_S = 50e-6
"""Step of integration while the rotor lags."""

_DAMPED = 2.0
"""A swing through the rotor's place is caught if it has at most this many times the energy that would carry it over to
the next one: iron and driver take the other half out of it (chosen)."""

_SETTLE_S = 20e-3
"""A field that stands still is met or lost within this; it is several periods of the rotor's swing."""

_COAST_TICKS = 20 * TICKS_PER_US
_COAST_S = 20e-6

Moved = Callable[[float, int], None]
"""Told every new position in steps, and its tick, that does not come with an edge."""


class Drive:
    """The powered motor with all it moves. `step` per edge, `settle` after the last one, `cut` when the power goes."""

    def __init__(self, mechanics: Mechanics, moved: Moved) -> None:
        self.field = 0
        """Microsteps the field has turned since the driver's reset."""
        self.sync = 0
        self.x: float = 0
        """Where the carriage was last known to be; a whole number while rotor and field agree."""
        self.slips = 0
        """Electrical cycles lost or won since the beginning, each counted once."""
        self._moved = moved
        self._lag = 0.0
        self._relative = 0.0
        self._lagging = False
        self._direction = 0
        self._since = 0
        self._speed = 0.0
        self._interval_s = 0.0
        self.mechanics = mechanics
        self.rebuild(mechanics)

    def rebuild(self, mechanics: Mechanics) -> None:
        """Go on with other mechanics; the geometry (steps, lead) must be the same."""
        self.mechanics = mechanics
        self._nose = mechanics.nose_steps
        self._front = mechanics.front_steps
        self._rear = mechanics.rear_steps
        self._spring = mechanics.spring
        self._spring_rate = mechanics.spring_rate
        self._skin_rate = mechanics.skin_rate
        self._friction = mechanics.friction
        self._flat_pull = mechanics.flat_pull
        self._flat_speed = mechanics.flat_speed

    def settled(self) -> bool:
        """Return whether the carriage rests exactly where the field holds it."""
        return not self._lagging and self._direction == 0

    def resting(self) -> bool:
        """Return whether the carriage lies still: where the field holds it, or against a stop that it is held to."""
        if self._direction:
            return False
        return not self._lagging or (self._relative == 0.0 and self.x in (self._rear, self._front))

    def step(self, direction: int, at: int) -> float:
        """Take one STEP edge (+1 down, -1 home) at tick `at`; return the carriage's position."""
        if self._direction:
            self._close(at - self._since)
        self.field += direction
        self._direction = direction
        self._since = at
        if self._lagging:
            return self.x
        x: float = self.field + self.sync
        if x > self._front:
            x = self._front
        elif x < self._rear:
            x = self._rear
        self.x = x
        return x

    def settle(self, at: int) -> float:
        """Let the carriage come to rest: no edge follows the last one for a while. Return its position.

        Modelling choice: the rest is reached at once. Real tables end with an interval of some 100 us at walking pace.
        """
        if self._direction:
            self._close(max(at - self._since, int(_SETTLE_S / _TICK_S)))
            self._direction = 0
        self._speed = 0.0
        self._interval_s = 0.0
        if self._lagging:
            self._drag(0.0, _SETTLE_S, at)
        return self.x

    def cut(self, at: int) -> float:
        """End the pull at tick `at`; return the speed at that moment, steps/s. `x` is where the carriage was."""
        if self._lagging:
            return self._speed - self._relative
        if not self._direction:
            return 0.0
        elapsed_s = (at - self._since) * _TICK_S
        before_s = self._interval_s
        if self._speed * self._direction <= 0.0 or elapsed_s > _RATIO * before_s:
            return 0.0
        return self._speed if elapsed_s <= before_s else self._direction / elapsed_s

    def catch(self, x: float, speed: float, at: int) -> float:
        """Switch the field on while the carriage is at `x` and moves with `speed`; return where it comes to rest.

        The rotor goes to the nearest place where it agrees with the standing field (modelling choice: at once).
        """
        cycle = self.mechanics.cycle_steps
        self.sync = cycle * round((x - self.field) / cycle)
        self._lag = self.field + self.sync - x
        self._relative = -speed
        self._lagging = self._lag != 0.0 or speed != 0.0
        self._direction = 0
        self.x = x
        place = self.field + self.sync
        if speed == 0.0 and self._rear <= place <= self._front:
            self._lag = 0.0
            self._lagging = False
            self.x = place
        return self.settle(at)

    def lose(self, cycles: int) -> float:
        """Force the rotor out of step by `cycles` electrical cycles (negative: towards home); return the position."""
        self.sync += cycles * self.mechanics.cycle_steps
        self.slips += abs(cycles)
        self.x = min(max(self.field + self.sync, self._rear), self._front)
        return self.x

    def _close(self, ticks: int) -> None:
        """Account for the interval of `ticks` that began with the last edge."""
        interval_s = (ticks or 1) * _TICK_S
        before_s = self._interval_s
        speed = self._direction / interval_s
        if before_s <= 0.0 or before_s > _RATIO * interval_s:
            self._follow(speed, speed - self._speed, 0.5 * interval_s, interval_s)
        elif interval_s <= _RATIO * before_s:
            self._follow(speed, speed - self._speed, 0.5 * (interval_s + before_s), interval_s)
        else:
            # The field makes its step and then stands: the rotor comes to rest in the remainder.
            first_s = _RATIO * before_s
            speed = self._direction / first_s
            self._follow(speed, speed - self._speed, 0.5 * (first_s + before_s), first_s)
            rest_s = interval_s - first_s
            self._follow(0.0, -speed, 0.5 * (first_s + min(rest_s, _RATIO * first_s)), rest_s)
            self._interval_s = 0.0

    def _follow(self, speed: float, change: float, change_s: float, interval_s: float) -> None:
        """Let the rotor follow a field of `speed` for `interval_s`, its speed changing by `change` in `change_s`."""
        if not self._lagging:
            x = self.x
            load = self._spring + self._spring_rate * x
            if x > self._nose:
                load += self._skin_rate * (x - self._nose)
            load = -load - self._friction * self._direction
            pace = speed if speed >= 0.0 else -speed
            pull = self._flat_pull if pace <= self._flat_speed else self.mechanics.pull(pace)
            need = change / change_s
            if load - pull <= need <= load + pull and x == self.field + self.sync:
                self._speed = speed
                self._interval_s = interval_s
                return
            self._lagging = True
            self._lag = 0.0
            self._relative = 0.0
        self._relative += change
        self._speed = speed
        self._interval_s = interval_s
        self._drag(speed, interval_s, self._since)

    def _drag(self, speed: float, interval_s: float, at: int) -> None:
        """Integrate a rotor that is not in its place, through `interval_s` of a field that turns with `speed`."""
        mechanics = self.mechanics
        half = mechanics.half_steps
        cycle = mechanics.cycle_steps
        pieces = int(interval_s / _DRAG_S) + 1
        piece_s = interval_s / pieces
        lag = self._lag
        relative = self._relative
        for piece in range(1, pieces + 1):
            # The edges of a turning field are steps; between them it is taken to turn evenly up to where it will be.
            place = self.field + self.sync - speed * (interval_s - piece * piece_s)
            own = speed - relative
            pull = mechanics.pull(abs(own))
            ahead = lag if lag else relative
            force = pull * (1.0 - abs(lag) / half)
            load = -mechanics.homeward(place - lag)
            load += -mechanics.friction if own > 0.0 else mechanics.friction if own < 0.0 else 0.0
            relative -= ((force if ahead > 0.0 else -force) + load) * piece_s
            before = lag
            lag += relative * piece_s
            if before * lag < 0.0 and relative * relative <= _DAMPED * pull * half:
                lag = relative = 0.0
                self._lagging = False
                place = self.field + self.sync
                if self._rear <= place <= self._front:
                    break
                self._lagging = True
            if lag > half:
                self.sync -= cycle
                self.slips += 1
                lag -= cycle
                place -= cycle
            elif lag < -half:
                self.sync += cycle
                self.slips += 1
                lag += cycle
                place += cycle
            x = place - lag
            if x > self._front:
                x = self._front
                relative = max(relative, speed)
            elif x < self._rear:
                x = self._rear
                relative = min(relative, speed)
            lag = place - x
            self.x = x
            self._moved(x, at + int(piece * piece_s / _TICK_S))
        self._lag = lag
        self._relative = relative
        if not self._lagging:
            self.x = self.field + self.sync
            self._moved(self.x, at + int(interval_s / _TICK_S))


class Coast:
    """The unpowered carriage, from a cut until it lies still."""

    def __init__(self, mechanics: Mechanics, moved: Moved) -> None:
        self.mechanics = mechanics
        self.x: float = 0.0
        self.speed = 0.0
        self._moved = moved
        self._at = 0

    def start(self, x: float, speed: float, at: int) -> None:
        """Begin at `x` with `speed` steps/s at tick `at`."""
        self.x = x
        self.speed = speed
        self._at = at

    def resting(self) -> bool:
        """Return whether the carriage lies still: friction and detent hold it, or the spring presses it on its stop."""
        if self.speed != 0.0:
            return False
        push = self.mechanics.homeward(self.x)
        return abs(push) <= self.mechanics.breakaway or (push > 0.0 and self.x <= self.mechanics.rear_steps)

    def run_until(self, at: int) -> None:
        """Move on to tick `at`, in whole pieces of 20 us."""
        mechanics = self.mechanics
        friction = mechanics.friction
        while self._at + _COAST_TICKS <= at:
            if self.speed == 0.0 and self.resting():
                # Nothing will move it: the grid goes on from a multiple of its pieces, whenever that is asked.
                self._at += (at - self._at) // _COAST_TICKS * _COAST_TICKS
                return
            self._at += _COAST_TICKS
            force = -mechanics.homeward(self.x)
            speed = self.speed
            if speed > 0.0 or (speed == 0.0 and force > 0.0):
                after = speed + (force - friction) * _COAST_S
            else:
                after = speed + (force + friction) * _COAST_S
            if speed * after < 0.0:
                after = 0.0
            x = self.x + after * _COAST_S
            if x >= mechanics.front_steps:
                x = mechanics.front_steps
                after = 0.0
            elif x <= mechanics.rear_steps:
                x = mechanics.rear_steps
                after = 0.0
            self.x = x
            self.speed = after
            self._moved(x, self._at)
