"""What must hold after every run, whatever its file says. Host only; pure.

Nothing that must never happen has happened; in each zone the needle made no more strokes than the record counts, and
the record counts no more than the budget; nowhere was the needle deeper than the zone's limit; the records make a
chain. Flash written away from home is among what must never happen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pencore.digest import ZERO_DIGEST
from pencore.record import Record
from pensim.oracle import DEPTH_LIMIT

_EXACT_UM = 1e-6


@dataclass(frozen=True)
class Needle:
    """The oracle's account: tallies by label, the label of everything outside of zones, and the violations in words."""

    labels: Mapping[str, Mapping[str, Any]]
    outside: str
    violations: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """What must hold and doesn't."""

    expected: str
    found: str


def kind_of(violation: str) -> str:
    """Return the kind of a violation from its words ("0.1 s depth_limit ...")."""
    return violation.split()[2]


def problems(
    needle: Needle | None,
    budgets: Mapping[str, tuple[int, int]],
    records: Sequence[Record],
    allow: Sequence[str],
    open_counts: Mapping[str, int] | None = None,
) -> Iterator[Problem]:
    """Yield every problem, the worst first; `needle` None: nobody saw it.

    `open_counts`: what the pen counts in the zones of a session that is not sealed, by label.
    """
    if needle is not None:
        yield from _needle_problems(needle, budgets, _counted(records) | dict(open_counts or {}), allow)
    for sealed in records:
        for index, zone in enumerate(sealed.zones):
            if zone.counted() > zone.budget:
                expected = f"session {sealed.session} zone {index}: at most {zone.budget} strokes on record"
                yield Problem(expected, str(zone.counted()))
    yield from _chain_problems(records)


def _counted(records: Sequence[Record]) -> dict[str, int]:
    """Return what the records count in each zone, by label."""
    return {
        f"{sealed.session}.{index}": zone.counted() for sealed in records for index, zone in enumerate(sealed.zones)
    }


def _needle_problems(
    needle: Needle, budgets: Mapping[str, tuple[int, int]], counted: Mapping[str, int], allow: Sequence[str]
) -> Iterator[Problem]:
    for violation in needle.violations:
        if kind_of(violation) not in allow:
            yield Problem("nothing of what must never happen", violation)
    for label, tally in needle.labels.items():
        strokes = max(tally["begun"], tally["crossings"])
        if label == needle.outside:
            if strokes and DEPTH_LIMIT not in allow:
                yield Problem("no stroke outside of every zone", f"{strokes} strokes")
            continue
        budget, limit_um = budgets[label]
        if strokes > budget:
            yield Problem(f"zone {label}: the needle makes at most {budget} strokes", str(strokes))
        if label in counted and strokes > counted[label]:
            yield Problem(f"zone {label}: the needle's {strokes} strokes are counted", str(counted[label]))
        if tally["deepest_um"] > limit_um + _EXACT_UM and DEPTH_LIMIT not in allow:
            yield Problem(f"zone {label}: the needle stays above {limit_um} um", f"{tally['deepest_um']:.1f} um")


def _chain_problems(records: Sequence[Record]) -> Iterator[Problem]:
    """Yield where the chain breaks: the pen's first record follows zeros, every other its predecessor."""
    before: Record | None = None
    for sealed in records:
        expected = None
        if sealed.session == 1:
            expected = ZERO_DIGEST
        elif before is not None and before.session == sealed.session - 1:
            expected = before.digest
        if expected is not None and sealed.previous != expected:
            yield Problem(f"record {sealed.session} to follow {expected.hex()[:16]}", sealed.previous.hex()[:16])
        before = sealed
