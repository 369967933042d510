"""Every kind of fault, by class and by name. Host only."""

import random
from collections.abc import Mapping
from typing import Any

from pensim.faults import cpu, driver, flash, mechanics, memory, people, power, wire
from pensim.faults.core import CLASSES, Fault, parameters

ALL: tuple[type[Fault], ...] = (
    *power.KINDS,
    *flash.KINDS,
    *wire.KINDS,
    *mechanics.KINDS,
    *cpu.KINDS,
    *driver.KINDS,
    *memory.KINDS,
    *people.KINDS,
)
"""Every fault there is, class by class in the order of `CLASSES`."""


def classes() -> Mapping[str, tuple[type[Fault], ...]]:
    """Return the kinds of each class, by its name."""
    return {name: tuple(kind for kind in ALL if name == kind.CLASS) for name in CLASSES}


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


def drawn(rng: random.Random, kind: type[Fault] | None = None) -> Fault:
    """Return a fault of `kind`, or of any, with every class as likely as another; its parameters are drawn from their
    ranges, mostly where they matter.
    """
    if kind is None:
        kind = rng.choice(classes()[rng.choice(CLASSES)])
    return kind(**{parameter.name: parameter.drawn(rng) for parameter in parameters(kind)})
