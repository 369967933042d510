"""A broken run in words: what was expected, what was found, what happened around it, how to see it again. Host only;
pure.
"""

from collections.abc import Sequence

from pensim.scenario.form import Path
from pensim.scenario.run import Event, Outcome

AROUND = 12
"""How many events are shown around the one where it broke."""
_AFTER = 3


def place(path: Path) -> str:
    """Return a place in a scenario file for people: "[[act]] number 3"."""
    if not path:
        return "what must hold after every run"
    if len(path) > 1 and isinstance(path[1], int):
        return f"[[{path[0]}]] number {path[1] + 1}"
    return str(path[0])


def around(outcome: Outcome) -> Sequence[Event]:
    """Return the events around the one where it broke."""
    last = min(len(outcome.events), outcome.broken_at + 1 + _AFTER)
    return outcome.events[max(0, last - AROUND) : last]


def again(outcome: Outcome) -> str:
    """Return the command line that plays the same run once more."""
    return f"pinprick sim run {outcome.scenario.file} --target {outcome.target} --seed {outcome.seed}"


def lines(outcome: Outcome) -> list[str]:
    """Return the report of a broken run, line by line; no line for one that is not."""
    broken = outcome.broken
    if broken is None:
        return []
    told = [f"expected  {broken.expected}", f"found     {broken.found}", "", "What happened around it:"]
    for event in around(outcome):
        mark = ">" if event is outcome.events[outcome.broken_at] else " "
        told.append(f"{mark}{event}")
    return [*told, "", "See it again:", f"  {again(outcome)}"]
