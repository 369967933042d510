"""What a fault is, and its parameters. Host only.

A kind of fault is a small frozen dataclass whose fields come from `whole`, `number`, `choice` and `flag`: range, text
and, for `drawn`, the part of the range that matters most.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

from pensim.bench import Bench
from pensim.flash import Torn


class Fault(Protocol):
    """A fault with its parameters."""

    NAME: ClassVar[str]
    CLASS: ClassVar[str]
    """One of `CLASSES`."""

    def apply(self, bench: Bench) -> None:
        """Do it now."""


@runtime_checkable
class Mendable(Protocol):
    """A fault that can be undone."""

    NAME: ClassVar[str]
    CLASS: ClassVar[str]

    def apply(self, bench: Bench) -> None:
        """Do it now."""

    def mend(self, bench: Bench) -> None:
        """Undo it, whatever else was done to the pen."""


Value = int | float | str | bool

CLASSES = ("power", "flash", "wire", "mechanics", "cpu", "driver", "memory", "people")
"""The classes of faults, in the order in which they are told of."""
FOR_MOST_MS = 3_600_000
"""Longest time after which a fault ends by itself."""
MANY = 1_000_000
SEED_MOST = 2**31 - 1


# --- parameters -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Parameter:
    """A parameter of a fault as others give it: a number from `low` to `high`, one of `choices`, or true or false.

    `likely`: the part of the range from which most are drawn.
    """

    name: str
    default: Value
    low: float
    high: float
    choices: tuple[str, ...]
    text: str
    likely: tuple[float, float] | None = None

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

    def drawn(self, rng: random.Random) -> Value:
        """Return a value that it may be: of nine in ten, one of those that matter."""
        if self.choices:
            return rng.choice(self.choices)
        if isinstance(self.default, bool):
            return rng.random() < 0.5
        low, high = (self.low, self.high) if self.likely is None or rng.random() < 0.1 else self.likely
        return rng.uniform(low, high) if isinstance(self.default, float) else rng.randint(int(low), int(high))


Likely = tuple[float, float] | None


def whole(default: int, low: int, high: int, text: str, likely: Likely = None) -> int:
    """Return the field of a whole number."""
    made: int = field(default=default, metadata={"low": low, "high": high, "text": text, "likely": likely})
    return made


def number(default: float, low: float, high: float, text: str, likely: Likely = None) -> float:
    """Return the field of a number."""
    made: float = field(default=default, metadata={"low": low, "high": high, "text": text, "likely": likely})
    return made


def choice(default: str, choices: tuple[str, ...], text: str) -> str:
    """Return the field of one of some words."""
    made: str = field(default=default, metadata={"choices": choices, "text": text})
    return made


def flag(default: bool, text: str) -> bool:
    """Return the field of a yes or no."""
    made: bool = field(default=default, metadata={"text": text})
    return made


def lasting(default: int, text: str) -> int:
    """Return the field of a time after which the fault ends by itself; 0: it doesn't."""
    return whole(default, 0, FOR_MOST_MS, f"{text}; 0: until it is mended", (0, 3000))


def drawn_from() -> int:
    """Return the field of what randomness is drawn from."""
    return whole(0, 0, SEED_MOST, "what chance is drawn from")


def parameters(kind: type[Fault]) -> tuple[Parameter, ...]:
    """Return the parameters of a kind of fault, in their order."""
    found = []
    for each in fields(kind):  # type: ignore[arg-type]  # every fault is a dataclass, which a Protocol can't demand
        about = each.metadata
        default: Any = str(each.default) if isinstance(each.default, Torn) else each.default
        choices = tuple(str(word) for word in about.get("choices", ()))
        low, high = about.get("low", 0), about.get("high", 0)
        found.append(Parameter(each.name, default, low, high, choices, about["text"], about.get("likely")))
    return tuple(found)


def described(done: Fault) -> Mapping[str, Value]:
    """Return a fault's parameters and their values."""
    return {parameter.name: getattr(done, parameter.name) for parameter in parameters(type(done))}


# --- what is known of a kind ------------------------------------------------------------------------------------------
def needs_power(done: Fault) -> bool:
    """Return whether it can only be done to a pen that is switched on."""
    return bool(getattr(done, "needs_power", False))


def can_mend(kind: type[Fault]) -> bool:
    """Return whether this kind can be undone."""
    return hasattr(kind, "mend")


def typical(kind: type[Fault]) -> tuple[Fault, ...]:
    """Return the one to four faults that stand for a kind."""
    made: tuple[Mapping[str, Value], ...] = getattr(kind, "TYPICAL", ({},))
    return tuple(kind(**values) for values in made)


def not_on_chip(kind: type[Fault]) -> str:
    """Return why this kind can't be done to an emulated chip, or only in part; "" for all others."""
    return str(getattr(kind, "NOT_ON_CHIP", ""))


def fits_chip(done: Fault) -> bool:
    """Return whether it can be done to an emulated chip with the firmware as it is."""
    return bool(getattr(done, "fits_chip", not not_on_chip(type(done))))
