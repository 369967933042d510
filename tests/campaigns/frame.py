"""What a campaign is, and what it hands back: cases in shards, violations by name, figures of what was really run.

A campaign names its shards beforehand; a shard is played in a worker process, by itself, and says how many cases that
were. Nothing here runs one: see `pool` for the workers, `__main__` for the command. Host only.
"""

import itertools
import re
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar, overload

Act = TypeVar("Act")
_NUMBER = re.compile(r"\d+")

SHARD_CASE = "shard="
"""What the name of a case begins with when it is a whole shard, which crashed or killed its worker."""
SHRUNK = 3
"""How many violations of a shard are shrunk there; replaying shrinks any of them."""
TOLD_LINES = 40
"""Most lines of a traceback that a violation keeps: its last ones."""


class Size(StrEnum):
    """How much of a campaign is run: with each commit, each night, for a release."""

    COMMIT = "commit"
    NIGHTLY = "nightly"
    RELEASE = "release"


@dataclass(frozen=True)
class Violation:
    """What a case broke. `case`: its name, which replays it, ASCII without spaces; `what`: in one line what is wrong,
    in the words of who found it; `trace`: the acts that are needed for it, a line each.
    """

    case: str
    what: str
    trace: tuple[str, ...] = ()


@dataclass
class Done:
    """What was done of a shard: cases that were played to their end, or to their violation; further figures. `void`:
    cases that there turned out not to be, such as a fault that can't be done at that moment; they count as no case.
    """

    cases: int = 0
    violations: list[Violation] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    void: int = 0

    def count(self, name: str, more: int = 1) -> None:
        """Add to one of the further figures."""
        self.counts[name] = self.counts.get(name, 0) + more

    def case(self, violation: Violation | None) -> None:
        """Take in that one more case was played, and what it broke, if anything."""
        self.cases += 1
        if violation is not None:
            self.violations.append(violation)

    def add(self, other: "Done") -> None:
        """Take another's cases, violations and figures in."""
        self.cases += other.cases
        self.void += other.void
        self.violations += other.violations
        for name, more in other.counts.items():
            self.count(name, more)


@dataclass(frozen=True)
class Plan:
    """What a campaign is going to do. `total`: its cases, None where only the run will tell; `shards`: their names,
    each 1 to 20 seconds of work; `unit`: what a case is called.
    """

    total: int | None
    shards: Sequence[str]
    unit: str = "cases"


class Campaign(Protocol):
    """A campaign: many cases of one question."""

    NAME: str
    ABOUT: str
    """A line for people: what is asked."""

    def planned(self, size: Size, seed: int) -> Plan:
        """Return what is to be done; a plan without shards where this size has none of it."""

    def play(self, shard: str, size: Size, seed: int, deadline: float | None) -> Done:
        """Play a shard, in a worker process, and say what was done; stop at the deadline, a time of
        `time.monotonic`.
        """

    def replay(self, case: str, seed: int) -> Violation | None:
        """Play one case again; return what it breaks, shrunk, or None. ValueError for a name that is none."""


def out_of_time(deadline: float | None) -> bool:
    """Return whether a deadline has passed."""
    return deadline is not None and time.monotonic() >= deadline


def told(error: BaseException) -> tuple[str, tuple[str, ...]]:
    """Return an exception as a violation tells it: in one line, and as the last lines of its traceback."""
    said = str(error).strip().splitlines()
    if not said:
        # A bare assertion says nothing but where it stands.
        where = traceback.extract_tb(error.__traceback__)[-1:]
        said = [f"{frame.line} (in {frame.name})" for frame in where]
    what = ": ".join([type(error).__name__, *said[:1]])
    lines = [line for piece in traceback.format_exception(error) for line in piece.rstrip().splitlines()]
    return what, tuple(lines[-TOLD_LINES:])


def broken(case: str, play: Callable[[], object]) -> Violation | None:
    """Play a case; return what it broke, which is whatever it raises, or None."""
    try:
        play()
    except Exception as error:  # noqa: BLE001  # that a case raises anything at all is what a campaign looks for
        return Violation(case, *told(error))
    return None


def alike(violation: Violation | None, first: Violation) -> bool:
    """Return whether something is broken, and of the same kind as at first: the same words, whatever the numbers."""
    return violation is not None and _NUMBER.sub("#", violation.what) == _NUMBER.sub("#", first.what)


def shrunk(acts: Sequence[Act], fails: Callable[[Sequence[Act]], bool], tries: int | None = None) -> tuple[Act, ...]:
    """Return acts of `acts`, in their order, with which it still fails, and none of which can be left out; what is left
    by then, after so many `tries`.

    `fails` plays some of the acts anew and says whether they break what was broken; ValueError unless all of them do.
    Delta debugging: leaves out halves, quarters, down to single acts.
    """
    tried = itertools.count()

    def still(some: list[Act]) -> bool:
        return (tries is None or next(tried) < tries) and fails(some)

    kept = list(acts)
    if not still(kept):
        raise ValueError("what is to be shrunk doesn't fail")
    pieces = min(2, len(kept))
    while pieces and kept:
        for without in _pieces_less(kept, pieces):
            if still(without):
                kept = without
                pieces = min(max(pieces - 1, 2), len(kept))
                break
        else:
            if pieces == len(kept):
                break
            pieces = min(pieces * 2, len(kept))
    return tuple(kept)


def _pieces_less(acts: list[Act], pieces: int) -> Iterator[list[Act]]:
    """Yield `acts` without the first, the second ... of so many pieces of about one length."""
    marks = [len(acts) * number // pieces for number in range(pieces + 1)]
    for begin, end in itertools.pairwise(marks):
        yield acts[:begin] + acts[end:]


class Ranges(Sequence[str]):
    """The shards "0+50", "50+50" ... of `cases` numbered cases, `each` in one: made when they are asked for."""

    def __init__(self, cases: int, each: int) -> None:
        self.cases = cases
        self.each = each

    def __len__(self) -> int:
        return (self.cases + self.each - 1) // self.each

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        first = index % len(self) * self.each
        return f"{first}+{min(self.each, self.cases - first)}"


def range_of(shard: str) -> range:
    """Return the numbers of the cases of one of `Ranges`' shards."""
    first, _, count = shard.partition("+")
    return range(int(first), int(first) + int(count))
