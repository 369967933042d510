"""Runs with power cuts that are drawn from a seed: the pen's past, the session, what the practitioner does, the cuts.

A run is a number of lives, each from power-up to the next cut. A cut falls into an operation of the flash, torn in some
way, or at some microsecond, in a stroke, in an answer, in the boot. After the last one the practitioner goes on as in
every other case (`tests.support.cuts.go_on`). Host only.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pencore import faults, wire
from pencore.faults import Refusal
from pencore.record import Record
from pensim.clock import TICKS_PER_US
from pensim.flash import Snapshot, Torn
from tests.campaigns.frame import Done, Violation, alike, broken, shrunk
from tests.support import profiles
from tests.support.bench import Bench
from tests.support.cuts import ONE_STROKE, aged, go_on

_AREAS = ((profiles.PERIORBITAL, profiles.LEFT), (profiles.NOSE, profiles.NONE), (profiles.CHEEK, profiles.RIGHT))
_STROKES = (1, 2, 49, 50, 51, 53, 99, 100, 101, 120)
"""Around the ends of the blocks in which strokes are reserved."""
_PASTS = (0, 0, 0, 100, 360, 364, 366, 368, 370, 372, 375, 378, 381)
"""Entries that the journal holds before: at 384 it is compacted, and a session makes some twenty."""
_ACTS = ("burst", "burst", "burst", "tap", "pause", "select", "stop", "unplug", "wait", "finish")

Act = tuple[str, int]
"""What the practitioner does, and for how many ms."""


@dataclass(frozen=True)
class Going:
    """How the power goes: in an operation of the flash, counted from the power-up, or at a time after it, in us."""

    operation: int | None
    at_us: int
    torn: Torn
    seed: int

    def __str__(self) -> str:
        when = f"{self.at_us} us after power-up" if self.operation is None else f"in flash operation {self.operation}"
        return f"the power goes {when}; what was being written is left {self.torn}"


@dataclass(frozen=True)
class Life:
    """From power-up to the next cut: what is done, how it ends, how long the power is gone."""

    acts: tuple[Act, ...]
    going: Going | None
    dark_ms: int


@dataclass(frozen=True)
class Past:
    """What a pen has behind it: entries of its journal, sealed sessions, whether those are acknowledged."""

    entries: int
    sessions: int
    acknowledged: bool


@dataclass(frozen=True)
class Run:
    """A whole run."""

    past: Past
    zones: tuple[profiles.ZoneSpec, ...]
    lives: tuple[Life, ...]
    finish: bool


def case_of(seed: int, number: int) -> str:
    """Return the name of a run."""
    return f"seed={seed}:{number}"


def seeds_of(case: str) -> tuple[int, int]:
    """Return seed and number of a run from its name; ValueError for another name."""
    seed, _, number = case.removeprefix("seed=").partition(":")
    return int(seed), int(number)


def drawn(seed: int, number: int) -> Run:
    """Return the run that is drawn under a number; the same for ever."""
    rng = random.Random(f"power {seed} {number}")
    past = Past(rng.choice(_PASTS), rng.choice((0, 0, 1, 2)), rng.random() < 0.5)
    zones = tuple(
        (area, side, rng.choice((100, 150, 200)), rng.choice(_STROKES), rng.choice((10, 20, 30)))
        for area, side in rng.sample(_AREAS, rng.randint(1, len(_AREAS)))
    )
    lives = tuple(_life(rng) for _ in range(rng.randint(1, 3)))
    return Run(past, zones, lives, rng.random() < 0.5)


def _life(rng: random.Random) -> Life:
    acts = tuple((rng.choice(_ACTS), rng.randint(1, 900)) for _ in range(rng.randint(0, 5)))
    operation = rng.randrange(70) if rng.random() < 0.5 else None
    # A session lasts some seconds; the boot and the load are its first tenths.
    at_us = rng.randint(0, rng.choice((20_000, 300_000, 2_000_000, 9_000_000)))
    going = Going(operation, at_us, rng.choice(list(Torn)), rng.randrange(1 << 30))
    return Life(acts, going, rng.randint(1, 500))


# --- how it is played -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Left:
    """What a past leaves: the flash, and what the host and the inspector know."""

    flash: Snapshot
    strokes: Mapping[str, int]
    budgets: Mapping[str, tuple[int, int]]
    sealed: Mapping[int, Record]
    sealed_data: Mapping[int, bytes]


@lru_cache(maxsize=100)
def _left(past: Past) -> _Left:
    pen = Bench(flash=aged(past.entries))
    for _ in range(past.sessions):
        pen.play_session(ONE_STROKE)
    if past.acknowledged:
        pen.acknowledge()
    pen.run_ms(500)
    return _Left(pen.snapshot_flash(), pen.needle_strokes(), pen.budgets, pen.sealed, pen.sealed_data)


def play(run: Run, done: Done) -> None:
    """Play a run; raises what it breaks. `done` counts what was cut in it."""
    left = _left(run.past)
    pen = Bench(flash=left.flash, earlier=left.strokes, greet=False)
    pen.budgets.update(left.budgets)
    pen.sealed.update(left.sealed)
    pen.sealed_data.update(left.sealed_data)
    pen.may_coast = True
    practitioner = _Practitioner(pen, run)
    for life in run.lives:
        _live(practitioner, life, done)
    pen.torn = Torn.NONE
    pen.restart()
    practitioner.clear()
    if pen.loaded is None:
        pen.remember(practitioner.profile())
    go_on(pen, pen.loaded_data, finish=run.finish)


def _live(practitioner: "_Practitioner", life: Life, done: Done) -> None:
    """Let one life pass, to its cut, or to the cut at rest that ends it when the other didn't come."""
    pen = practitioner.pen
    going = life.going
    event = None

    def go() -> None:
        done.count("cuts at rest" if pen.plant.at_rest() else "cuts in motion")
        pen.unpower()

    if going is not None and going.operation is not None:
        pen.cut_at_operation(going.operation, going.torn, going.seed)
    elif going is not None:
        pen.torn = going.torn
        event = pen.clock.after(going.at_us * TICKS_PER_US, go)
    if not pen.without_power(lambda: practitioner.treat(life.acts)):
        done.count("cuts after the session")
    elif event is None:
        done.count("cuts in an operation")
    if event is not None:
        pen.clock.cancel(event)
    pen.unpower()
    pen.release()
    pen.run_ms(life.dark_ms)


class _Practitioner:
    """Who treats, life after life."""

    def __init__(self, pen: Bench, run: Run) -> None:
        self.pen = pen
        self._run = run
        self._session = run.past.sessions + 1

    def profile(self) -> bytes:
        """Return the profile of the session, for the pen that was greeted."""
        return profiles.data(self.pen.greeting, self._run.zones)

    def clear(self) -> None:
        """Clear a stop that is still in force, once the pen was greeted."""
        pen = self.pen
        if pen.greeting["state"] == wire.FAULT:
            assert pen.status()["fault"] == faults.OPERATOR_STOP
            pen.recover_from_fault()
            pen.hello()

    def treat(self, acts: Sequence[Act]) -> None:
        """Power up, resume or load, do `acts`, play the rest, pull and acknowledge."""
        pen = self.pen
        pen.restart()
        self.clear()
        if pen.greeting["open_session"]:
            pen.load(pen.loaded_data)
        elif pen.greeting["session_id"] == self._session:
            pen.change_cartridge()
            data = pen.loaded_data or self.profile()
            # What the pen accepts it may have accepted although nobody heard it say so.
            pen.remember(data)
            pen.load(data)
        if pen.greeting["session_id"] == self._session:
            for what, ms in acts:
                self._do(what, ms)
            pen.finish_session()
        pen.pull()
        pen.acknowledge()
        pen.run_ms(300)

    def _do(self, what: str, ms: int) -> None:
        """Do one act, if the pen is in a state for it."""
        pen = self.pen
        status = pen.status()
        unspent = [zone for zone, strokes in enumerate(status["left"]) if strokes]
        if status["state"] == wire.LOADED and unspent:
            pen.release()
            pen.arm(unspent[ms % len(unspent)])
            status = pen.status()
        if what == "wait":
            pen.hold(ms)
        elif what == "unplug":
            pen.host.unplug()
            pen.run_ms(ms)
            pen.host.plug()
            pen.hello()
        elif what == "finish":
            # Not each time, or few sessions would be played to their end.
            if ms % 3 == 0 and status["state"] in (wire.LOADED, wire.ARMED, wire.PAUSED):
                pen.insist("finish")
                pen.wait_for(wire.SAFE)
        elif status["state"] in (wire.ARMED, wire.PAUSED) and unspent:
            self._stroke(what, ms, unspent)

    def _stroke(self, what: str, ms: int, unspent: Sequence[int]) -> None:
        pen = self.pen
        if what == "select":
            pen.select(unspent[ms % len(unspent)])
        elif what in ("burst", "tap"):
            pen.stroke_for(ms if what == "burst" else 15)
        elif what in ("pause", "stop"):
            pen.release()
            pen.hold(150)
            pen.press()
            pen.hold(ms)
            if what == "stop":
                pen.send(b"\x18")
                pen.run_ms(50)
                pen.release()
                pen.hold(100)
                if pen.state() == wire.FAULT:
                    pen.recover_from_fault()
            else:
                try:
                    pen.ask("pause")
                except Refusal as refusal:
                    # The zone was spent before.
                    if refusal.code != faults.STATE_FORBIDS:
                        raise
                pen.release()
                pen.hold(100)


# --- what is told of it -----------------------------------------------------------------------------------------------
def violation(run: Run, done: Done | None = None, case: str = "") -> Violation | None:
    """Return what a run breaks."""
    return broken(case, lambda: play(run, Done() if done is None else done))


_Item = tuple[int, "Act | Going"]


def _items(run: Run) -> list[_Item]:
    """Return what may be left out of a run, with the life that it belongs to."""
    found: list[_Item] = []
    for number, life in enumerate(run.lives):
        found += [(number, act) for act in life.acts]
        if life.going is not None:
            found.append((number, life.going))
    return found


def _only(run: Run, items: Sequence[_Item]) -> Run:
    """Return a run with nothing but `items`; a life without any never was."""
    lives = []
    for number, life in enumerate(run.lives):
        mine = [item for at, item in items if at == number]
        going = [item for item in mine if isinstance(item, Going)]
        acts = tuple(item for item in mine if not isinstance(item, Going))
        if mine:
            lives.append(replace(life, acts=acts, going=going[0] if going else None))
    return replace(run, lives=tuple(lives))


def shrunk_violation(seed: int, number: int) -> Violation | None:
    """Return what a drawn run breaks, with the acts and cuts that are needed for it; None when it breaks nothing."""
    case = case_of(seed, number)
    run = drawn(seed, number)
    first = violation(run, case=case)
    if first is None:
        return None
    items = shrunk(_items(run), lambda some: alike(violation(_only(run, some)), first))
    return Violation(case, first.what, tuple(_told(_only(run, items))) + first.trace[-3:])


def _told(run: Run) -> list[str]:
    lines = [
        f"a pen with {run.past.entries} entries in its journal and {run.past.sessions} sealed sessions"
        + (", acknowledged" if run.past.acknowledged else ""),
        "zones (area, side, um, strokes, per s): " + " ".join(str(zone) for zone in run.zones),
    ]
    for number, life in enumerate(run.lives, 1):
        lines += [f"life {number}: {what} {ms} ms" for what, ms in life.acts]
        lines.append(f"life {number}: {life.going or 'the session is played'}; {life.dark_ms} ms without power")
    return [*lines, "then the session is " + ("finished" if run.finish else "played to its end")]
