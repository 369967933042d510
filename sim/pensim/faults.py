"""Faults that can be done to a virtual pen, by name and parameters: for tests, scenario files, command line. Host only.

Each is a small frozen dataclass; `apply` does it to a bench now, `mend` (where something can be mended) undoes it. What
the power, the CPU and the cable suffer belongs to the world, which runs them.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from pensim.clock import TICKS_PER_US
from pensim.engine import SimEngine
from pensim.flash import FlashDevice, FlashImage, SimStore, Torn
from pensim.plant import EdgeFault, Plant, SensorFault

PIN = "pin"
"""Between the stroke program and the chip's pads: the guards see what comes of it."""
WIRE = "wire"
"""Between the chip's pads and the driver: nobody on the chip sees it."""


class Bench(Protocol):
    """What a fault is done to; the world is one."""

    plant: Plant
    engine: SimEngine
    image: FlashImage
    flash: FlashDevice
    store: SimStore


class Fault(Protocol):
    """A fault with its parameters."""

    NAME: ClassVar[str]

    def apply(self, bench: Bench) -> None:
        """Do it now."""


# --- motor and mechanics ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LostSteps:
    """The rotor slips by whole electrical cycles of four full steps, now; negative: towards home."""

    NAME: ClassVar[str] = "lost-steps"
    cycles: int = -1

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.plant.lose_steps(self.cycles)


@dataclass(frozen=True)
class EdgesDropped:
    """Of the STEP edges from now on, the first `after` pass and the next `count` are swallowed."""

    NAME: ClassVar[str] = "edges-dropped"
    after: int = 0
    count: int = 1
    where: str = WIRE

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        _set_edge_fault(bench, self.where, _between(self.after, self.count, 0))

    def mend(self, bench: Bench) -> None:
        """Let every edge pass again."""
        _set_edge_fault(bench, self.where, None)


@dataclass(frozen=True)
class EdgesExtra:
    """Of the STEP edges from now on, the first `after` pass and each of the next `count` comes twice."""

    NAME: ClassVar[str] = "edges-extra"
    after: int = 0
    count: int = 1
    where: str = PIN

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        _set_edge_fault(bench, self.where, _between(self.after, self.count, 2))

    def mend(self, bench: Bench) -> None:
        """Let every edge come once again."""
        _set_edge_fault(bench, self.where, None)


@dataclass(frozen=True)
class DirectionInverted:
    """A motor coil is swapped: down is home and home is down."""

    NAME: ClassVar[str] = "direction-inverted"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.plant.invert_direction(True)

    def mend(self, bench: Bench) -> None:
        """Swap it back."""
        bench.plant.invert_direction(False)


@dataclass(frozen=True)
class DriverReset:
    """A dip of the supply resets the motor driver."""

    NAME: ClassVar[str] = "driver-reset"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.plant.reset_driver()


@dataclass(frozen=True)
class DriverFailed:
    """The motor driver switches itself off and says so."""

    NAME: ClassVar[str] = "driver-failed"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.plant.fail_driver(True)

    def mend(self, bench: Bench) -> None:
        """Let it work again."""
        bench.plant.fail_driver(False)


@dataclass(frozen=True)
class WeakMotor:
    """The motor has only this part of its torque (a sagging supply, a wrong current)."""

    NAME: ClassVar[str] = "weak-motor"
    factor: float = 0.5

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        parameters = bench.plant.parameters
        pullout = tuple((speed, torque * self.factor) for speed, torque in parameters.pullout)
        bench.plant.set_parameters(replace(parameters, pullout=pullout))


@dataclass(frozen=True)
class BrokenSpring:
    """The return spring no longer pushes."""

    NAME: ClassVar[str] = "broken-spring"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        parameters = replace(bench.plant.parameters, spring_n=0.0, spring_n_per_mm=0.0)
        bench.plant.set_parameters(parameters)


@dataclass(frozen=True)
class TableBit:
    """One bit of the loaded stroke table flips in RAM; counted from its first word's lowest."""

    NAME: ClassVar[str] = "table-bit"
    bit: int = 0

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.engine.corrupt_table(self.bit)


# --- home sensor ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HomeStuck:
    """The home sensor shows one level for ever. A broken wire is `seen=False`."""

    NAME: ClassVar[str] = "home-stuck"
    seen: bool = False

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        seen = self.seen
        bench.plant.set_sensor_fault(lambda _level, _x, _at: seen)

    def mend(self, bench: Bench) -> None:
        """Let it see again."""
        bench.plant.set_sensor_fault(None)


@dataclass(frozen=True)
class HomeChatter:
    """Near its edge the home sensor shows levels at random, a new one every `period_us`; the same for the same seed."""

    NAME: ClassVar[str] = "home-chatter"
    steps: float = 6.0
    period_us: int = 50
    seed: int = 0

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.plant.set_sensor_fault(self._fault(bench.plant))

    def mend(self, bench: Bench) -> None:
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


# --- flash ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlashCut:
    """The power goes in the middle of the flash operation that comes after `after` more."""

    NAME: ClassVar[str] = "flash-cut"
    after: int = 0
    torn: Torn = Torn.NONE
    seed: int = 0

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flash.cut_at(bench.flash.operations + self.after, Torn(self.torn), self.seed)


@dataclass(frozen=True)
class FlashBitRot:
    """One bit of the flash flips."""

    NAME: ClassVar[str] = "flash-bit-rot"
    address: int = 0
    bit: int = 0

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.image.flip(self.address, self.bit)


@dataclass(frozen=True)
class FlashStuckBit:
    """One bit of the flash keeps its level whatever is written."""

    NAME: ClassVar[str] = "flash-stuck-bit"
    address: int = 0
    bit: int = 0
    level: int = 0

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.image.stick(self.address, self.bit, self.level)


@dataclass(frozen=True)
class FlashBlockLost:
    """A whole block of the flash reads as erased."""

    NAME: ClassVar[str] = "flash-block-lost"
    block: int = 0

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.image.erase(self.block)


@dataclass(frozen=True)
class FlashIgnoresWrites:
    """The next operations report success and change nothing: worn cells."""

    NAME: ClassVar[str] = "flash-ignores-writes"
    count: int = 1

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flash.ignore_writes(self.count)


@dataclass(frozen=True)
class FlashFailsWrites:
    """Every operation reports an error and changes nothing."""

    NAME: ClassVar[str] = "flash-fails-writes"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flash.fail_writes(True)

    def mend(self, bench: Bench) -> None:
        """Let it work again."""
        bench.flash.fail_writes(False)


@dataclass(frozen=True)
class FlashFull:
    """Every write finds the flash full."""

    NAME: ClassVar[str] = "flash-full"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.store.refuse_space(True)

    def mend(self, bench: Bench) -> None:
        """Let there be room again."""
        bench.store.refuse_space(False)


ALL: tuple[type[Fault], ...] = (
    LostSteps,
    EdgesDropped,
    EdgesExtra,
    DirectionInverted,
    DriverReset,
    DriverFailed,
    WeakMotor,
    BrokenSpring,
    TableBit,
    HomeStuck,
    HomeChatter,
    FlashCut,
    FlashBitRot,
    FlashStuckBit,
    FlashBlockLost,
    FlashIgnoresWrites,
    FlashFailsWrites,
    FlashFull,
)
"""Every fault there is, in the order of this file."""


def fault(name: str, **parameters: Any) -> Fault:
    """Return the fault called `name` with its parameters; ValueError for a name or parameter that does not exist."""
    for kind in ALL:
        if name == kind.NAME:
            try:
                return kind(**parameters)
            except TypeError as error:
                raise ValueError(f"{name}: {error}") from None
    raise ValueError(f"no fault is called {name!r}; there are {', '.join(kind.NAME for kind in ALL)}")


def _between(after: int, count: int, times: int) -> EdgeFault:
    """Return an edge fault that lets `after` edges pass and then makes `times` edges of each of the next `count`."""
    seen = 0

    def edges(direction: int) -> tuple[int, ...]:
        nonlocal seen
        seen += 1
        return (direction,) * times if after < seen <= after + count else (direction,)

    return edges


def _set_edge_fault(bench: Bench, where: str, edges: EdgeFault | None) -> None:
    if where == PIN:
        bench.engine.set_pin_fault(edges)
    elif where == WIRE:
        bench.plant.set_wire_fault(edges)
    else:
        raise ValueError(f"an edge fault sits at {PIN!r} or {WIRE!r}, not at {where!r}")
