"""The homing move of the virtual engine, edge by edge: back to the sensor, out until it clears, back. Host only."""

from collections.abc import Generator, Iterator

from pensim.plant import Plant
from pensim.stroke import Pins


class HomingMove:
    """One homing in progress: at most `cap_steps` back, `backoff_steps` out; one edge per `step_ticks` from tick `at`
    on.

    `found_step`, `clear_step`, `return_step` are -1 until seen, and stay so when a bound ends the move.
    """

    def __init__(
        self, cap_steps: int, backoff_steps: int, margin_steps: int, step_ticks: int, at: int, plant: Plant, pins: Pins
    ) -> None:
        self.found_step = -1
        self.clear_step = -1
        self.return_step = -1
        self.done = False
        self.next_at = at
        self._cap_steps = cap_steps
        self._backoff_steps = backoff_steps
        self._margin_steps = margin_steps
        self._step_ticks = step_ticks
        self._plant = plant
        self._pins = pins
        self._edges = self._script()

    def run_until(self, until: int) -> int:
        """Make every edge up to tick `until`; return the trip bits that ended the move early, or 0."""
        while not self.done and self.next_at <= until:
            direction = next(self._edges, 0)
            if not direction:
                self.done = True
                return 0
            tripped = self._pins(direction, self.next_at)
            self.next_at += self._step_ticks
            if tripped:
                self.done = True
                return tripped
        return 0

    def _seen(self) -> bool:
        return self._plant.home_level(self.next_at)

    def _script(self) -> Iterator[int]:
        """Yield the direction of each edge; the sensor is looked at just before the next."""
        found = yield from self._towards_home()
        if found is None:
            return
        self.found_step = found
        for _ in range(self._margin_steps):
            yield -1
        steps = 0
        while self._seen():
            if steps == self._backoff_steps:
                return
            yield 1
            steps += 1
        self.clear_step = steps
        returned = yield from self._towards_home()
        if returned is None:
            return
        self.return_step = returned
        for _ in range(self._margin_steps):
            yield -1

    def _towards_home(self) -> Generator[int, None, int | None]:
        """Yield edges until the sensor sees home, and return how many; None: so many as there may be were too few."""
        steps = 0
        while not self._seen():
            if steps == self._cap_steps:
                return None
            yield -1
            steps += 1
        return steps
