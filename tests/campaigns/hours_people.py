"""Who uses the pens of the campaign of hours: what they do in a life of a pen, drawn from a seed. Host only.

A life is a list of acts, drawn before anything is played, so that any part of it can be played again. Nothing here
knows a pen: an act that doesn't fit is what people do, too.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pencore import limits
from pencore.units import Geometry
from pensim import faults
from pensim.faults.core import Fault, described
from tests.support import profiles


class Past(StrEnum):
    """What a pen has behind it at the beginning of its life."""

    NEW = "new"
    AGED = "its journal nearly full"
    FULL = "its records nearly full"


class Do(StrEnum):
    """What is done."""

    LOAD = "load"
    ARM = "arm"
    SELECT = "select"
    READY = "make ready"
    PRESS = "press"
    TAP = "tap"
    RELEASE = "release"
    PAUSE = "pause"
    STOP = "stop"
    BUTTON = "button"
    CLEAR = "clear"
    WALK = "walk away"
    WAIT = "wait"
    CARTRIDGE = "open the cartridge"
    UNPLUG = "unplug"
    RESTART = "restart the host"
    POWER = "power off and on"
    CLOCK = "correct the clock"
    FINISH = "finish"
    PULL = "pull records"
    FAULT = "fault"
    REPAIR = "repair"


@dataclass(frozen=True)
class Act:
    """One act with what belongs to it: a time in ms, a zone, zones and a time for a profile, a fault."""

    do: Do
    value: Any = None
    fault: Fault | None = None

    def __str__(self) -> str:
        if self.fault is not None:
            told = " ".join(f"{name}={value}" for name, value in described(self.fault).items())
            return f"fault {self.fault.NAME} {told} in {self.value} ms".replace("  ", " ")
        return f"{self.do}{'' if self.value is None else f' {self.value}'}"


@dataclass(frozen=True)
class Life:
    """A pen's life."""

    past: Past
    acts: tuple[Act, ...]


_GEOMETRY = Geometry()
_CALM, _HASTY, _CARELESS = range(3)
_LOOKS = (0.95, 0.5, 0.6)
"""How often each looks at the pen before they press."""


def life(rng: random.Random) -> Life:
    """Draw a life: some sessions, each with the person who treats."""
    past = rng.choice((Past.NEW, Past.NEW, Past.NEW, Past.AGED, Past.FULL))
    acts: list[Act] = []
    sessions = rng.randint(2, 6)
    for _ in range(sessions):
        acts += _session(rng, rng.choice((_CALM, _HASTY, _CARELESS)))
    return Life(past, tuple(acts))


def zones(rng: random.Random) -> tuple[profiles.ZoneSpec, ...]:
    """Draw the zones of a profile that a pen of the reference takes."""
    count = rng.choice((1, 1, 2, 3, 4, 6, 10, 14))
    places = [(area, side) for area in range(len(limits.AREAS)) for side in range(3)]
    drawn = []
    for area, side in rng.sample(places, count):
        deepest_um = limits.zone_cap_um(area)
        depth_um = rng.choice((100, deepest_um, rng.randint(100, deepest_um), rng.randint(100, deepest_um)))
        fastest = limits.max_rate(depth_um, _GEOMETRY)
        rate = rng.choice((1, 3, 5, 8, min(12, fastest), fastest))
        strokes = rng.choice((1, 49, 50, 51, rng.randint(1, 300), rng.randint(100, 1500)))
        drawn.append((area, side, depth_um, strokes, min(rate, fastest)))
    return tuple(drawn)


def _session(rng: random.Random, person: int) -> list[Act]:
    """Draw a session of one person, with what goes wrong in it."""
    chosen = zones(rng)
    acts = [Act(Do.LOAD, (chosen, rng.choice((0, 0, 0, 3600, 3 * 86_400, 40 * 86_400))))]
    for _ in range(rng.randint(1, len(chosen) + 2)):
        acts.append(_next_zone(rng, len(chosen)))
        for _ in range(rng.randint(1, 5)):
            if rng.random() < _LOOKS[person]:
                acts.append(Act(Do.READY, rng.randrange(len(chosen))))
            acts += _burst(rng, person)
        if rng.random() < 0.25:
            acts += _interruption(rng)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        fault = faults.drawn(rng)
        acts.insert(rng.randint(0, len(acts)), Act(Do.FAULT, rng.choice((0, 3, 40, rng.randint(0, 3000))), fault))
    acts.append(Act(Do.REPAIR))
    acts.append(Act(Do.FINISH))
    if rng.random() < 0.6:
        acts.append(Act(Do.PULL, rng.random() < 0.6))
    return acts


def _next_zone(rng: random.Random, count: int) -> Act:
    zone = rng.choice((None, rng.randrange(count), rng.randrange(count), count))
    return Act(rng.choice((Do.ARM, Do.SELECT, Do.SELECT)), zone)


def _burst(rng: random.Random, person: int) -> list[Act]:
    if person == _HASTY and rng.random() < 0.4:
        return [
            Act(Do.TAP, rng.randint(5, 120)),
            Act(Do.PRESS, rng.randint(50, 2500)),
            Act(Do.RELEASE, rng.randint(5, 200)),
        ]
    if person == _CARELESS and rng.random() < 0.3:
        # Pauses and forgets the finger on the trigger, or lifts it before anything has begun.
        return [
            Act(Do.PRESS, rng.randint(10, 400)),
            Act(Do.PAUSE),
            Act(Do.WAIT, rng.randint(0, 1500)),
            Act(Do.RELEASE, 100),
        ]
    return [Act(Do.PRESS, rng.randint(500, 9000)), Act(Do.RELEASE, rng.randint(200, 6_000))]


def _interruption(rng: random.Random) -> list[Act]:
    kind = rng.choice((Do.STOP, Do.BUTTON, Do.WALK, Do.WAIT, Do.CARTRIDGE, Do.UNPLUG, Do.RESTART, Do.POWER, Do.CLOCK))
    if kind is Do.WALK:
        return [Act(kind, rng.choice((30_000, 120_000, 400_000, 905_000))), Act(Do.ARM, None)]
    if kind in (Do.STOP, Do.BUTTON):
        return [Act(kind, rng.randint(20, 800)), Act(Do.WAIT, rng.randint(0, 3000)), Act(Do.CLEAR), Act(Do.ARM, None)]
    if kind is Do.CLOCK:
        return [Act(kind, rng.choice((-86_400, 86_400, 60 * 86_400)))]
    return [Act(kind, rng.choice((10, 200, 1500, 5000, 20_000))), Act(Do.CLEAR), Act(Do.ARM, None)]
