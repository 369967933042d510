"""What is known while a scenario runs: every answer to what a condition or an expectation may ask. Host only.

Facts of the wire are the client's, records those that were pulled; the needle and the pins are looked at anew after
every bit of time that has passed.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pencore import faults, record, wire
from pensim.scenario import checks
from pensim.scenario.conditions import NEEDLE, NONE, PINS, Answer, what_of

if TYPE_CHECKING:
    from pensim.scenario.run import Player


class Knowledge:
    """What one run knows; `begin` tells it that what the oracle holds so far is none of this run's."""

    def __init__(self, run: "Player") -> None:
        self._run = run
        self._seen: Mapping[str, Any] | None = None
        self._pins: Mapping[str, Any] | None = None
        self._violations = 0
        self._slips = 0

    def begin(self) -> None:
        """Count violations and slips from now on."""
        self._violations = len(self.oracle()["violations"])
        self._slips = self.oracle()["slips"]

    def forget(self) -> None:
        """Time has passed: what was seen is no longer sure."""
        self._seen = None
        self._pins = None

    def ask(self, name: str) -> Answer:
        """Return what is known of `name` (see `conditions.WHATS`); None when nothing is."""
        what = what_of(name)
        head, _, rest = name.partition(".")
        if what is None:
            return None
        if what.source in (NEEDLE, PINS):
            return self._looked(name, rest, what.source)
        simple: Mapping[str, Callable[[str], Answer]] = {
            "refusal": self._of_refusal,
            "answer": lambda key: _dig(self._run.answer, key),
            "hello": lambda key: _named(_dig(self._run.client.hello, key), key),
            "status": lambda key: _named(_dig(self._run.client.status, key), key),
            "telemetry": lambda key: _named(_dig(self._run.client.telemetry, key), key),
            "record": self._of_record,
            "at_ms": self._run.client.at_ms.get,
            "replay": lambda _: self._run.same,
        }
        if head in simple:
            return simple[head](rest)
        if head == "records":
            return len(self._run.records)
        if head == "refusals":
            return [*self._run.refusals, *(faults.NAMES.get(each.code, "?") for each in self._run.client.complaints)]
        return getattr(self._run.client, head)

    def _of_refusal(self, key: str) -> Answer:
        refusal = self._run.refusal
        if not key:
            return NONE if refusal is None else faults.NAMES.get(refusal.code, NONE)
        return None if refusal is None else getattr(refusal, key)

    def _of_record(self, key: str) -> Answer:
        if not self._run.records:
            return None
        sealed = self._run.records[-1]
        parts = key.split(".")
        if key == "faults":
            return [faults.NAMES.get(code, str(code)) for code, _, _ in sealed.faults]
        if key == "ended":
            return record.END_REASONS[sealed.end_reason]
        if key == "zones":
            return len(sealed.zones)
        if parts[0] == "zones":
            index = int(parts[1])
            return _called(sealed.zones[index], parts[2]) if index < len(sealed.zones) else None
        return _called(sealed, key)

    def oracle(self) -> Mapping[str, Any]:
        """Return the oracle's account now."""
        if self._seen is None:
            self._seen = self._run.target.do({"do": "oracle"})
        return self._seen

    def violations(self) -> list[str]:
        """Return what must never happen and did, since the start."""
        return list(self.oracle()["violations"][self._violations :])

    def _looked(self, name: str, rest: str, source: str) -> Answer:
        if source == PINS:
            if self._pins is None:
                self._pins = self._run.target.do({"do": "pins"})
            return self._pins.get(rest)
        if rest == "violations":
            return [checks.kind_of(violation) for violation in self.violations()]
        if rest == "slips":
            return self.oracle()["slips"] - self._slips
        parts = name.split(".")
        if parts[1] == "zones":
            label = self._run.label(int(parts[2]))
            return _sum({key: tally for key, tally in self.labels().items() if key == label})[parts[3]]
        return _sum(self.labels())[rest]

    def labels(self) -> dict[str, Mapping[str, Any]]:
        """Return the tallies of this scenario's zones, and of what was outside of them."""
        own = {*self._run.budgets, self._run.outside}
        return {label: tally for label, tally in self.oracle()["labels"].items() if label in own}

    def total(self) -> dict[str, Any]:
        """Return what the needle did in all of this run."""
        return _sum(self.labels())


def _sum(labels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {
        name: sum(tally[name] for tally in labels.values()) for name in ("strokes", "begun", "crossings")
    }
    for name in ("deepest_um", "deepest_coast_um"):
        total[name] = max((tally[name] for tally in labels.values()), default=0.0)
    return total


def shown_answer(answer: Answer) -> str:
    """Return an answer as a log and a report show it."""
    if answer is None:
        return "nothing known"
    if isinstance(answer, bool):
        return str(answer).lower()
    if isinstance(answer, float):
        return f"{answer:.3f}"
    if isinstance(answer, list):
        return f"[{', '.join(map(str, answer))}]"
    return str(answer)


def _dig(values: Mapping[str, Any], key: str) -> Answer:
    """Return the value at a dotted key; None where there is none."""
    name, _, index = key.partition(".")
    value = values.get(name)
    if index and isinstance(value, list | tuple):
        return value[int(index)] if int(index) < len(value) else None
    return list(value) if isinstance(value, tuple) else value


def _named(value: Answer, key: str) -> Answer:
    """Return the name of a state or a code that came as a number."""
    if value is None or not isinstance(value, int):
        return value
    if key == "state":
        return wire.STATE_NAMES[value]
    if key == "fault":
        return faults.NAMES.get(value, str(value)) if value else NONE
    return value


def _called(thing: object, name: str) -> Answer:
    """Return an attribute, called where it is a method."""
    value = getattr(thing, name)
    return value() if callable(value) else value
