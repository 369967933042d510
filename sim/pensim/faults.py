"""Faults that can be done to a virtual pen, by name and parameters: for tests, scenario files, command line. Host only.

Each is a small frozen dataclass; `apply` does it to a bench now, `mend` (where something can be mended) undoes it.
`fault` makes one from a name and parameters that somebody gave, `Damage` remembers what a pen suffers from. What the
power, the CPU and the cable suffer belongs to the world, which runs them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from pensim.bench import Bench
from pensim.clock import TICKS_PER_US
from pensim.flash import BLOCK_COUNT, BLOCK_SIZE, Torn
from pensim.plant import EdgeFault, Plant, SensorFault

PIN = "pin"
"""Between the stroke program and the chip's pads: the guards see what comes of it."""
WIRE = "wire"
"""Between the chip's pads and the driver: nobody on the chip sees it."""


class Fault(Protocol):
    """A fault with its parameters."""

    NAME: ClassVar[str]

    def apply(self, bench: Bench) -> None:
        """Do it now."""


@runtime_checkable
class Mendable(Protocol):
    """A fault that can be undone."""

    NAME: ClassVar[str]

    def apply(self, bench: Bench) -> None:
        """Do it now."""

    def mend(self, bench: Bench) -> None:
        """Undo it, whatever else was done to the pen."""


Value = int | float | str | bool


@dataclass(frozen=True)
class Parameter:
    """A parameter of a fault as others give it: a number from `low` to `high`, one of `choices`, or true or false."""

    name: str
    default: Value
    low: float
    high: float
    choices: tuple[str, ...]
    text: str

    def allowed(self) -> str:
        """Say what it may be."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, float):
            return f"a number from {self.low:g} to {self.high:g}"
        return f"a whole number from {self.low:,} to {self.high:,}"

    def takes(self, value: object) -> bool:
        """Return whether it may be `value`."""
        if self.choices:
            return isinstance(value, str) and value in self.choices
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(value, bool) and isinstance(self.default, bool)
        kinds = (int, float) if isinstance(self.default, float) else (int,)
        if not isinstance(value, kinds) or not math.isfinite(value):
            return False
        return self.low <= value <= self.high


def _edges_at(where: str) -> str:
    return f"edges at the {where}"


def _whole(default: int, low: int, high: int, text: str) -> int:
    whole: int = field(default=default, metadata={"low": low, "high": high, "text": text})
    return whole


def _number(default: float, low: float, high: float, text: str) -> float:
    number: float = field(default=default, metadata={"low": low, "high": high, "text": text})
    return number


def _choice(default: str, choices: tuple[str, ...], text: str) -> str:
    choice: str = field(default=default, metadata={"choices": choices, "text": text})
    return choice


def _flag(default: bool, text: str) -> bool:
    flag: bool = field(default=default, metadata={"text": text})
    return flag


_FLASH_BYTES = BLOCK_SIZE * BLOCK_COUNT
_MANY = 1_000_000
_SEED_MOST = 2**31 - 1
_WHERE = (PIN, WIRE)
_WHERE_TEXT = "pin: before the chip's pads, so that the guards see it; wire: behind them"


# --- motor and mechanics ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LostSteps:
    """The rotor slips by whole electrical cycles of four full steps, now; nothing happens while the driver is off."""

    NAME: ClassVar[str] = "lost-steps"
    cycles: int = _whole(-1, -50, 50, "how many cycles; negative: towards home")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.plant.lose_steps(self.cycles)


@dataclass(frozen=True)
class _EdgesMade:
    """Of the STEP edges from now on, the first `after` pass and each of the next `count` comes `TIMES` times."""

    TIMES: ClassVar[int]
    after: int = _whole(0, 0, _MANY, "edges that pass before")
    count: int = _whole(1, 1, _MANY, "edges that it is done to")
    where: str = _choice(WIRE, _WHERE, _WHERE_TEXT)

    @property
    def place(self) -> str:
        """Where it sits: one fault of its kind fits there."""
        return _edges_at(self.where)

    @property
    def needs_power(self) -> bool:
        """Whether the chip must be there: its pins are a part of it."""
        return self.where == PIN

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        _set_edge_fault(bench, self.where, _between(self.after, self.count, self.TIMES))

    def mend(self, bench: Bench) -> None:
        """Let every edge come once again."""
        _set_edge_fault(bench, self.where, None)


@dataclass(frozen=True)
class EdgesDropped(_EdgesMade):
    """Of the STEP edges from now on, the first `after` pass and the next `count` are swallowed."""

    NAME: ClassVar[str] = "edges-dropped"
    TIMES: ClassVar[int] = 0
    count: int = _whole(1, 1, _MANY, "edges that are swallowed")


@dataclass(frozen=True)
class EdgesExtra(_EdgesMade):
    """Of the STEP edges from now on, the first `after` pass and each of the next `count` comes twice."""

    NAME: ClassVar[str] = "edges-extra"
    TIMES: ClassVar[int] = 2
    count: int = _whole(1, 1, _MANY, "edges that come twice")
    where: str = _choice(PIN, _WHERE, _WHERE_TEXT)


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
        bench.reset_driver()


@dataclass(frozen=True)
class DriverFailed:
    """The motor driver switches itself off and says so."""

    NAME: ClassVar[str] = "driver-failed"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.fail_driver(True)

    def mend(self, bench: Bench) -> None:
        """Let it work again."""
        bench.fail_driver(False)


@dataclass(frozen=True)
class WeakMotor:
    """The motor has only this part of its torque (a sagging supply, a wrong current)."""

    NAME: ClassVar[str] = "weak-motor"
    factor: float = _number(0.5, 0.0, 1.0, "part of the torque that is left")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        plant = bench.plant
        pullout = tuple((speed, torque * self.factor) for speed, torque in plant.built.pullout)
        plant.set_parameters(replace(plant.parameters, pullout=pullout))

    def mend(self, bench: Bench) -> None:
        """Give it back the torque it was built with."""
        plant = bench.plant
        plant.set_parameters(replace(plant.parameters, pullout=plant.built.pullout))


@dataclass(frozen=True)
class BrokenSpring:
    """The return spring no longer pushes."""

    NAME: ClassVar[str] = "broken-spring"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        parameters = replace(bench.plant.parameters, spring_n=0.0, spring_n_per_mm=0.0)
        bench.plant.set_parameters(parameters)

    def mend(self, bench: Bench) -> None:
        """Put in the spring it was built with."""
        plant = bench.plant
        built = plant.built
        spring = replace(plant.parameters, spring_n=built.spring_n, spring_n_per_mm=built.spring_n_per_mm)
        plant.set_parameters(spring)


@dataclass(frozen=True)
class NeedleJam:
    """The needle meets something that it can't pass, at a depth, or where it is now if that is deeper."""

    NAME: ClassVar[str] = "needle-jam"
    at_um: int = _whole(0, -400, 2600, "depth of the obstacle; negative: inside the nose piece")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        plant = bench.plant
        here_um = max(float(self.at_um), plant.depth_um())
        plant.set_parameters(replace(plant.parameters, stop_um=min(here_um, plant.built.stop_um)))

    def mend(self, bench: Bench) -> None:
        """Take the obstacle away."""
        plant = bench.plant
        plant.set_parameters(replace(plant.parameters, stop_um=plant.built.stop_um))


@dataclass(frozen=True)
class TableBit:
    """One bit of the loaded stroke table flips in RAM; counted from its first word's lowest."""

    NAME: ClassVar[str] = "table-bit"
    needs_power: ClassVar[bool] = True
    bit: int = _whole(0, 0, _MANY, "which bit")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.corrupt_table(self.bit)


# --- home sensor ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HomeStuck:
    """The home sensor shows one level for ever. A broken wire is `seen=false`."""

    NAME: ClassVar[str] = "home-stuck"
    place: ClassVar[str] = "home sensor"
    seen: bool = _flag(False, "what it shows: true at home, false elsewhere and with a broken wire")

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
    place: ClassVar[str] = "home sensor"
    steps: float = _number(6.0, 0.0, 200.0, "microsteps on either side of the edge in which it chatters")
    period_us: int = _whole(50, 1, _MANY, "time from level to level")
    seed: int = _whole(0, 0, _SEED_MOST, "what the levels are drawn from")

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
    needs_power: ClassVar[bool] = True
    after: int = _whole(0, 0, _MANY, "operations that are done before")
    torn: str = _choice(Torn.NONE, tuple(Torn), "what is left of the operation")
    seed: int = _whole(0, 0, _SEED_MOST, "what torn bits are drawn from")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flash.cut_at(bench.flash.operations + self.after, Torn(self.torn), self.seed)


@dataclass(frozen=True)
class FlashBitRot:
    """One bit of the flash flips."""

    NAME: ClassVar[str] = "flash-bit-rot"
    address: int = _whole(0, 0, _FLASH_BYTES - 1, "byte of the file system")
    bit: int = _whole(0, 0, 7, "bit of that byte")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.image.flip(self.address, self.bit)


@dataclass(frozen=True)
class FlashStuckBit:
    """One bit of the flash keeps its level whatever is written."""

    NAME: ClassVar[str] = "flash-stuck-bit"
    address: int = _whole(0, 0, _FLASH_BYTES - 1, "byte of the file system")
    bit: int = _whole(0, 0, 7, "bit of that byte")
    level: int = _whole(0, 0, 1, "what it is stuck at")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.image.stick(self.address, self.bit, self.level)


@dataclass(frozen=True)
class FlashBlockLost:
    """A whole block of the flash reads as erased."""

    NAME: ClassVar[str] = "flash-block-lost"
    block: int = _whole(0, 0, BLOCK_COUNT - 1, "which block of 4,096 bytes")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.image.erase(self.block)


@dataclass(frozen=True)
class FlashIgnoresWrites:
    """The next operations report success and change nothing: worn cells."""

    NAME: ClassVar[str] = "flash-ignores-writes"
    needs_power: ClassVar[bool] = True
    count: int = _whole(1, 1, _MANY, "how many operations")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flash.ignore_writes(self.count)


@dataclass(frozen=True)
class FlashFailsWrites:
    """Every operation reports an error and changes nothing."""

    NAME: ClassVar[str] = "flash-fails-writes"
    needs_power: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

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
    needs_power: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.refuse_space(True)

    def mend(self, bench: Bench) -> None:
        """Let there be room again."""
        bench.refuse_space(False)


ALL: tuple[type[Fault], ...] = (
    LostSteps,
    EdgesDropped,
    EdgesExtra,
    DirectionInverted,
    DriverReset,
    DriverFailed,
    WeakMotor,
    BrokenSpring,
    NeedleJam,
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


def parameters(kind: type[Fault]) -> tuple[Parameter, ...]:
    """Return the parameters of a kind of fault, in their order."""
    found = []
    for each in fields(kind):  # type: ignore[arg-type]  # every fault is a dataclass, which a Protocol can't demand
        about = each.metadata
        default: Any = str(each.default) if isinstance(each.default, Torn) else each.default
        choices = tuple(str(choice) for choice in about.get("choices", ()))
        found.append(Parameter(each.name, default, about.get("low", 0), about.get("high", 0), choices, about["text"]))
    return tuple(found)


def kind_of(name: str) -> type[Fault]:
    """Return the kind of fault called `name`; ValueError when there is none."""
    for kind in ALL:
        if name == kind.NAME:
            return kind
    raise ValueError(f"no fault is called {name!r:.60}; there are {', '.join(kind.NAME for kind in ALL)}")


def fault(name: str, **given: Any) -> Fault:
    """Return the fault called `name` with its parameters; ValueError for a name, parameter or value that is none."""
    kind = kind_of(name)
    known = {parameter.name: parameter for parameter in parameters(kind)}
    for key, value in given.items():
        if key not in known:
            has = f"; it has {', '.join(known)}" if known else "; it has none"
            raise ValueError(f"{name} has no parameter {key!r:.60}{has}")
        if not known[key].takes(value):
            raise ValueError(f"{key} of {name} is {known[key].allowed()}, not {value!r:.60}")
    return kind(**given)


def needs_power(done: Fault) -> bool:
    """Return whether it can only be done to a pen that is switched on."""
    return bool(getattr(done, "needs_power", False))


def can_mend(kind: type[Fault]) -> bool:
    """Return whether this kind can be undone."""
    return hasattr(kind, "mend")


class Damage:
    """What a pen suffers from: the faults that were done to it and can be mended.

    A place (the home sensor, the motor's wires) holds one fault: the next one there takes the place of the one before.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._faults: dict[str, Mendable] = {}

    def do(self, done: Fault) -> None:
        """Do a fault now, and remember it if it can be mended."""
        done.apply(self._bench)
        if isinstance(done, Mendable):
            self._faults[str(getattr(done, "place", done.NAME))] = done

    def mend(self, name: str) -> bool:
        """Undo the faults called `name`; return whether there was one. ValueError for one that can't be mended."""
        if not can_mend(kind_of(name)):
            raise ValueError(f"{name} can't be mended: what it did is done")
        found = [place for place, done in self._faults.items() if name == done.NAME]
        for place in found:
            self._faults.pop(place).mend(self._bench)
        return bool(found)

    def present(self) -> tuple[Fault, ...]:
        """Return the faults that the pen suffers from now."""
        return tuple(self._faults.values())

    def booted(self) -> None:
        """The chip has been switched on or reset: what was done to its pins is over, what is wrong around it lasts."""
        self._faults.pop(_edges_at(PIN), None)
        for done in self._faults.values():
            if getattr(done, "lasts", False):
                done.apply(self._bench)


def described(done: Fault) -> Mapping[str, Value]:
    """Return a fault's parameters and their values."""
    return {parameter.name: getattr(done, parameter.name) for parameter in parameters(type(done))}


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
        bench.set_pin_fault(edges)
    elif where == WIRE:
        bench.plant.set_wire_fault(edges)
    else:
        raise ValueError(f"an edge fault sits at {PIN!r} or {WIRE!r}, not at {where!r}")
