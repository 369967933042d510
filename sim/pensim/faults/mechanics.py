"""Faults of motor, screw, spring, home sensor and cartridge holder. Host only."""

from dataclasses import dataclass, replace
from typing import ClassVar

from pensim.bench import Bench, Parts
from pensim.clock import TICKS_PER_US
from pensim.faults.core import MANY, Fault, choice, drawn_from, flag, lasting, number, whole
from pensim.plant import EdgeFault, Plant, SensorFault

PIN = "pin"
"""Between the stroke program and the chip's pads: the guards see what comes of it."""
WIRE = "wire"
"""Between the chip's pads and the driver: nobody on the chip sees it."""

_WHERE = (PIN, WIRE)
_WHERE_TEXT = "pin: before the chip's pads, so that the guards see it; wire: behind them"
_A_STROKE = (0, 1200)
"""Edges of a deep stroke and the way back."""


# --- motor and mechanics ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LostSteps:
    """The rotor slips by whole electrical cycles of four full steps, now; nothing happens while the driver is off."""

    NAME: ClassVar[str] = "lost-steps"
    CLASS: ClassVar[str] = "mechanics"
    TYPICAL: ClassVar = ({"cycles": -1}, {"cycles": 1})
    cycles: int = whole(-1, -50, 50, "how many cycles; negative: towards home", (-4, 4))

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.plant.lose_steps(self.cycles)


@dataclass(frozen=True)
class _EdgesMade:
    """Of the STEP edges from now on, the first `after` pass and each of the next `count` comes `TIMES` times."""

    TIMES: ClassVar[int]
    after: int = whole(0, 0, MANY, "edges that pass before", _A_STROKE)
    count: int = whole(1, 1, MANY, "edges that it is done to", (1, 400))
    where: str = choice(WIRE, _WHERE, _WHERE_TEXT)

    @property
    def place(self) -> str:
        """Where it sits: one fault of its kind fits there."""
        return f"edges at the {self.where}"

    @property
    def until_boot(self) -> bool:
        """Whether it ends with the boot in which it was done: it is inside the chip."""
        return self.where == PIN

    @property
    def needs_power(self) -> bool:
        """Whether the chip must be there: its pins are a part of it."""
        return self.where == PIN

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        _set_edge_fault(bench, self.where, _between(self.after, self.count, self.TIMES))

    def mend(self, bench: Parts) -> None:
        """Let every edge come once again."""
        _set_edge_fault(bench, self.where, None)


@dataclass(frozen=True)
class EdgesDropped(_EdgesMade):
    """Of the STEP edges from now on, the first `after` pass and the next `count` are swallowed."""

    NAME: ClassVar[str] = "edges-dropped"
    CLASS: ClassVar[str] = "mechanics"
    TYPICAL: ClassVar = ({"count": 60, "where": WIRE}, {"count": 3, "where": PIN})
    TIMES: ClassVar[int] = 0
    count: int = whole(1, 1, MANY, "edges that are swallowed", (1, 400))


@dataclass(frozen=True)
class EdgesExtra(_EdgesMade):
    """Of the STEP edges from now on, the first `after` pass and each of the next `count` comes twice."""

    NAME: ClassVar[str] = "edges-extra"
    CLASS: ClassVar[str] = "mechanics"
    TYPICAL: ClassVar = ({"count": 20, "where": WIRE}, {"count": 3, "where": PIN})
    TIMES: ClassVar[int] = 2
    count: int = whole(1, 1, MANY, "edges that come twice", (1, 400))
    where: str = choice(PIN, _WHERE, _WHERE_TEXT)


@dataclass(frozen=True)
class DirectionInverted:
    """A motor coil is swapped: down is home and home is down."""

    NAME: ClassVar[str] = "direction-inverted"
    CLASS: ClassVar[str] = "mechanics"

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.plant.invert_direction(True)

    def mend(self, bench: Parts) -> None:
        """Swap it back."""
        bench.plant.invert_direction(False)


@dataclass(frozen=True)
class WeakMotor:
    """The motor has only this part of its torque (a sagging supply, a wrong current)."""

    NAME: ClassVar[str] = "weak-motor"
    CLASS: ClassVar[str] = "mechanics"
    factor: float = number(0.5, 0.0, 1.0, "part of the torque that is left")

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        plant = bench.plant
        pullout = tuple((speed, torque * self.factor) for speed, torque in plant.built.pullout)
        plant.set_parameters(replace(plant.parameters, pullout=pullout))

    def mend(self, bench: Parts) -> None:
        """Give it back the torque it was built with."""
        plant = bench.plant
        plant.set_parameters(replace(plant.parameters, pullout=plant.built.pullout))


@dataclass(frozen=True)
class BrokenSpring:
    """The return spring no longer pushes."""

    NAME: ClassVar[str] = "broken-spring"
    CLASS: ClassVar[str] = "mechanics"

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        parameters = replace(bench.plant.parameters, spring_n=0.0, spring_n_per_mm=0.0)
        bench.plant.set_parameters(parameters)

    def mend(self, bench: Parts) -> None:
        """Put in the spring it was built with."""
        plant = bench.plant
        built = plant.built
        spring = replace(plant.parameters, spring_n=built.spring_n, spring_n_per_mm=built.spring_n_per_mm)
        plant.set_parameters(spring)


@dataclass(frozen=True)
class NeedleJam:
    """The needle meets something that it can't pass, at a depth, or where it is now if that is deeper."""

    NAME: ClassVar[str] = "needle-jam"
    CLASS: ClassVar[str] = "mechanics"
    TYPICAL: ClassVar = ({"at_um": -300},)
    at_um: int = whole(0, -400, 2600, "depth of the obstacle; negative: inside the nose piece")

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        plant = bench.plant
        here_um = max(float(self.at_um), plant.depth_um())
        plant.set_parameters(replace(plant.parameters, stop_um=min(here_um, plant.built.stop_um)))

    def mend(self, bench: Parts) -> None:
        """Take the obstacle away."""
        plant = bench.plant
        plant.set_parameters(replace(plant.parameters, stop_um=plant.built.stop_um))


# --- home sensor and cartridge ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HomeStuck:
    """The home sensor shows one level for ever. A broken wire is `seen=false`."""

    NAME: ClassVar[str] = "home-stuck"
    CLASS: ClassVar[str] = "mechanics"
    TYPICAL: ClassVar = ({"seen": False}, {"seen": True})
    place: ClassVar[str] = "home sensor"
    seen: bool = flag(False, "what it shows: true at home, false elsewhere and with a broken wire")

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        seen = self.seen
        bench.plant.set_sensor_fault(lambda _level, _x, _at: seen)

    def mend(self, bench: Parts) -> None:
        """Let it see again."""
        bench.plant.set_sensor_fault(None)


@dataclass(frozen=True)
class HomeChatter:
    """Near its edge the home sensor shows levels at random, a new one every `period_us`; the same for the same seed."""

    NAME: ClassVar[str] = "home-chatter"
    CLASS: ClassVar[str] = "mechanics"
    place: ClassVar[str] = "home sensor"
    steps: float = number(6.0, 0.0, 200.0, "microsteps on either side of the edge in which it chatters", (0, 30))
    period_us: int = whole(50, 1, MANY, "time from level to level", (10, 2000))
    seed: int = drawn_from()

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.plant.set_sensor_fault(self._fault(bench.plant))

    def mend(self, bench: Parts) -> None:
        """Let it settle."""
        bench.plant.set_sensor_fault(None)

    def _fault(self, plant: Plant) -> SensorFault:
        low = plant.mechanics.home_on_steps - self.steps
        high = plant.mechanics.home_off_steps + self.steps
        period = self.period_us * TICKS_PER_US

        def level(seen: bool, x: float, at: int) -> bool:
            if not low <= x <= high:
                return seen
            # One bit of a multiplicative hash: random to look at, and a function of time and seed alone.
            mixed = (at // period + 1) * 0x9E3779B97F4A7C15 + self.seed * 0xBF58476D1CE4E5B9
            return bool((mixed ^ mixed >> 29) >> 40 & 1)

        return level


@dataclass(frozen=True)
class CartridgeOpened:
    """The cartridge holder springs open, and somebody closes it after so long or when it is mended."""

    NAME: ClassVar[str] = "cartridge-opened"
    CLASS: ClassVar[str] = "mechanics"
    TYPICAL: ClassVar = ({"for_ms": 500},)
    for_ms: int = lasting(500, "how long it is open")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.cartridge(False)
        bench.damage.end_later(self, "cartridge", self.for_ms)

    def mend(self, bench: Bench) -> None:
        """Close it."""
        bench.cartridge(True)


def _between(after: int, count: int, times: int) -> EdgeFault:
    """Return an edge fault that lets `after` edges pass and then makes `times` edges of each of the next `count`."""
    seen = 0

    def edges(direction: int) -> tuple[int, ...]:
        nonlocal seen
        seen += 1
        return (direction,) * times if after < seen <= after + count else (direction,)

    return edges


def _set_edge_fault(bench: Parts, where: str, edges: EdgeFault | None) -> None:
    if where == PIN:
        bench.set_pin_fault(edges)
    elif where == WIRE:
        bench.plant.set_wire_fault(edges)
    else:
        raise ValueError(f"an edge fault sits at {PIN!r} or {WIRE!r}, not at {where!r}")


KINDS: tuple[type[Fault], ...] = (
    LostSteps,
    EdgesDropped,
    EdgesExtra,
    DirectionInverted,
    WeakMotor,
    BrokenSpring,
    NeedleJam,
    HomeStuck,
    HomeChatter,
    CartridgeOpened,
)
