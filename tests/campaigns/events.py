"""Something goes wrong at an event of a visit: every kind of fault that there is, at every event that there is.

Commit: one fault, each of `faults.typical` of each kind, at each event of `events_visit.Visit`. Nightly: two faults,
each pair of kinds, the first at each turning point of the visit, the second at each that comes after it, those of the
way out of the first fault included. What may follow is `events_model`. Release has none of its own: the hours draw
more. Host only.
"""

import gc
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pensim.faults import ALL, Fault, described, typical
from tests.campaigns.events_visit import VOID, Moment, Outcome, Visit
from tests.campaigns.frame import Done, Plan, Size, Violation, alike, out_of_time, shrunk

_EACH = 3
"""Events in a shard."""
_PAIR = "pair:"
_CASE = re.compile(r"(\d+):([a-z-]+/\d)(?::(\d+):([a-z-]+/\d))?")


@cache
def instances() -> dict[str, Fault]:
    """Return the faults that are done, by name: the kind's, and which of its typical ones."""
    return {f"{kind.NAME}/{number}": each for kind in ALL for number, each in enumerate(typical(kind))}


@cache
def firsts() -> dict[str, Fault]:
    """Return one fault of each kind, by the same names: those that come in pairs."""
    return {name: each for name, each in instances().items() if name.endswith("/0")}


def name_of(fault: Fault) -> str:
    """Return the name of one of these."""
    return next(name for name, each in instances().items() if each == fault)


@cache
def recorded() -> tuple[Moment, ...]:
    """Return the visit's events, in order."""
    moments: list[Moment] = []

    def aimed(moment: Moment) -> Sequence[Fault]:
        moments.append(moment)
        return ()

    Visit(aimed, lambda _: None).play()
    return tuple(moments)


class Events:
    """See the module."""

    NAME = "events"
    ABOUT = "something goes wrong at an event of a visit: every kind of fault, at every event"

    def planned(self, size: Size, seed: int) -> Plan:
        """Return what is to be done."""
        moments = recorded()
        if size is Size.COMMIT:
            shards = [str(first) for first in range(0, len(moments), _EACH)]
            return Plan(len(moments) * len(instances()), shards, "faults at events")
        if size is Size.NIGHTLY:
            # How many second faults there are shows on the way out of the first.
            turning = [moment.number for moment in moments if moment.turning]
            return Plan(None, [f"{_PAIR}{number}:{name}" for number in turning for name in firsts()], "pairs of faults")
        return Plan(0, ())

    def play(self, shard: str, size: Size, seed: int, deadline: float | None) -> Done:
        """Play a shard."""
        done = Done()
        if shard.startswith(_PAIR):
            number, _, name = shard.removeprefix(_PAIR).partition(":")
            _play(_Pairs(int(number), instances()[name], deadline), done, 2)
        else:
            _play(_Singles(int(shard), deadline), done, 1)
        return done

    def replay(self, case: str, seed: int) -> Violation | None:
        """Play one case again."""
        found = _CASE.fullmatch(case)
        names = [] if found is None else [name for name in (found[2], found[4]) if name is not None]
        if found is None or not all(name in instances() for name in names):
            raise ValueError(f"{case!r} names no fault at an event")
        faults = list(zip([int(number) for number in (found[1], found[3]) if number], names, strict=True))
        first = _exactly(case, faults)
        if first is None:
            return None

        def fails(some: Sequence[tuple[int, str]]) -> bool:
            try:
                return bool(some) and alike(_exactly(case, some), first)
            except ValueError:
                # What comes second alone may fall where there is no such event.
                return False

        needed = shrunk(faults, fails)
        trace = [f"event {number} is: {recorded()[number].name}" for number, _ in needed[:1]]
        alone = () if len(needed) == len(faults) else (f"it takes no more than {needed}",)
        return Violation(case, first.what, (*trace, *alone, *first.trace))


def _exactly(case: str, faults: Sequence[tuple[int, str]]) -> Violation | None:
    """Play these faults; return what that broke. ValueError when one of them can't be done there."""
    done = Done()
    _play(_Exactly(faults), done, len(faults))
    if not done.cases:
        raise ValueError(f"what {case!r} names can't be done there, or the visit has not so many events")
    return done.violations[0] if done.violations else None


# --- what is aimed at -------------------------------------------------------------------------------------------------
@dataclass
class _Singles:
    """Every fault at a few events, from `first` on."""

    first: int
    deadline: float | None

    def __call__(self, moment: Moment) -> Sequence[Fault]:
        if not self.first <= moment.number < self.first + _EACH or out_of_time(self.deadline):
            return ()
        return tuple(instances().values())


@dataclass
class _Pairs:
    """One fault at one event, and one of each kind at every turning point after it."""

    number: int
    fault: Fault
    deadline: float | None

    def __call__(self, moment: Moment) -> Sequence[Fault]:
        if not moment.struck:
            return (self.fault,) if moment.number == self.number else ()
        return tuple(firsts().values()) if moment.turning and not out_of_time(self.deadline) else ()


@dataclass
class _Exactly:
    """These faults at these events, by number and name."""

    faults: Sequence[tuple[int, str]]

    def __call__(self, moment: Moment) -> Sequence[Fault]:
        number, name = self.faults[len(moment.struck)]
        return (instances()[name],) if moment.number == number else ()


def _play(aimed: "_Singles | _Pairs | _Exactly", done: Done, depth: int) -> None:
    # What is there already is shared with the copies as long as nobody touches it, and the collector would.
    gc.freeze()
    try:
        Visit(aimed, lambda outcome: _account(done, (), outcome), depth).play()
    finally:
        gc.unfreeze()


def _account(done: Done, before: tuple[Outcome, ...], outcome: Outcome) -> None:
    """Take what came of a fault, and of those that came after it, into the account."""
    verdict = outcome.verdict
    all_of_it = (*before, outcome)
    if isinstance(verdict, list):
        for further in verdict:
            _account(done, all_of_it, further)
    elif verdict == VOID:
        done.void += 1
    else:
        done.count(outcome.fault.NAME)
        case = ":".join(f"{each.number}:{name_of(each.fault)}" for each in all_of_it)
        if isinstance(verdict, Violation):
            trace = (*(_told(each) for each in all_of_it), *verdict.trace[-6:])
            done.case(Violation(case, verdict.what, trace))
        else:
            done.case(None)


def _told(outcome: Outcome) -> str:
    values = " ".join(f"{name}={value}" for name, value in described(outcome.fault).items())
    return f"at event {outcome.number}: {outcome.fault.NAME} {values}".rstrip()


EVENTS = Events()
