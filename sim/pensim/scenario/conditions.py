"""The small language of conditions and expectations: `what op value`, joined by `and`. Host only; pure.

`WHATS` is the table of everything that can be asked. There is nothing in it of the firmware's insides: what was said
on the wire, what a sealed record holds, what the needle did by its own account, and levels of pins.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pencore import faults, lines, record, wire
from pensim.scenario.form import Finding, Path, is_number, meant, shown

NUMBER = "number"
TEXT = "text"
STATE = "state"
CODE = "code"
YES_NO = "yes or no"
LIST = "list"
"""Kinds of answers; the items of a list are texts, states, codes or numbers."""

WIRE = "wire"
RECORD = "record"
NEEDLE = "needle"
PINS = "pins"

OPS = ("==", "!=", "<", "<=", ">", ">=", "in", "contains")
_ORDERED = ("<", "<=", ">", ">=")
TOLERANCE_MOST = 1000
_WITH_TOLERANCE = ("==", *_ORDERED)
_INDEX_DIGITS = 2
_LITERAL = re.compile(r"[-+]?[0-9][0-9_]{0,19}(\.[0-9]{1,12})?")
_PART = re.compile(r"^(\S+)\s+(==|!=|<=|>=|<|>|in|contains)\s+(.+)$")
NONE = "NONE"
"""What a code is called where there is none."""

Value = int | Decimal | str | bool
Answer = Any
"""What can be asked comes as a number, a text, True or False, a list of these, or None: not known yet."""


@dataclass(frozen=True)
class What:
    """Something that can be asked: its name (N stands for a number, STATE for a state), kind, where it comes from."""

    name: str
    kind: str
    source: str
    doc: str
    items: str = ""


def _fields(prefix: str, fields: Any, source: str, doc: str) -> list[What]:
    """Return the whats of a message's fields; of a list, also those of its single items."""
    made = []
    for field in fields:
        name = f"{prefix}.{field[0]}"
        if field[0] == "state":
            made.append(What(name, STATE, source, doc))
        elif field[0] in ("fault", "code"):
            made.append(What(name, CODE, source, doc))
        elif field[1] == lines.INTEGERS:
            made.append(What(name, LIST, source, doc, NUMBER))
            made.append(What(f"{name}.N", NUMBER, source, f"{doc}; one item"))
        elif field[1] in (lines.TEXT, lines.HEX, lines.BASE64):
            made.append(What(name, TEXT, source, doc))
        else:
            made.append(What(name, NUMBER, source, doc))
    return made


def _answers() -> list[What]:
    """Return the whats of every field that an answer can have, once each."""
    made: dict[str, What] = {}
    for method, (_, fields, _) in wire.METHODS.items():
        for what in _fields("answer", fields, WIRE, "of the last answer to an act"):
            if method not in ("hello", "status"):
                made.setdefault(what.name, what)
    return list(made.values())


_TALLY = (
    ("strokes", "whole strokes: out of the nose piece and back in"),
    ("begun", "strokes whose extension began"),
    ("crossings", "times the needles went out of the nose piece"),
    ("deepest_um", "deepest while the motor was driven"),
    ("deepest_coast_um", "deepest of all, coasting after a cut included"),
)
_RECORD_NUMBERS = (
    "session",
    "course_index",
    "course_of",
    "expires_day",
    "start_s",
    "end_s",
    "session_depth_um",
    "session_strokes",
    "key_id",
    "more_faults",
)
_RECORD_TEXTS = ("serial", "profile_name", "course_id", "cartridge_id", "cartridge_lot", "build")
_ZONE_NUMBERS = ("counted", "made", "forfeited", "budget", "depth_um", "deepest_um", "rate_per_s", "area", "side")
_LEVELS = (
    ("driver_enable", "the level of the driver's enable"),
    ("driver_on", "the motor is under current"),
    ("home", "the home sensor sees the carriage"),
    ("trigger", "the trigger is down"),
    ("stop", "the stop line is open"),
    ("cartridge", "the cartridge holder is closed"),
    ("service", "the service button is held"),
    ("usb", "the USB cable is in"),
    ("power", "the pen has power"),
)


def _table() -> tuple[What, ...]:
    made = [
        What("state", STATE, WIRE, "the pen's state, as last heard"),
        What("code", CODE, WIRE, "why it went there; NONE for no reason"),
        What("fault", CODE, WIRE, "the fault that is latched; NONE when none is"),
        What("states", LIST, WIRE, "all states it went through", STATE),
        What("codes", LIST, WIRE, "all reasons it gave for a state", CODE),
        What("faults", LIST, WIRE, "all faults it told of", CODE),
        What("at_ms.STATE", NUMBER, WIRE, "when it last went into that state, in ms since the start"),
        What("refusal", CODE, WIRE, "the last refusal of an act; NONE when there was none"),
        What("refusal.field", TEXT, WIRE, "which field the last refusal names"),
        What("refusal.given", NUMBER, WIRE, "the value it names"),
        What("refusal.limit", NUMBER, WIRE, "the bound it names"),
        What("refusal.zone", NUMBER, WIRE, "the zone it names"),
        What("refusals", LIST, WIRE, "all refusals, complaints about lines included", CODE),
        What("replay.same", YES_NO, WIRE, "whether the line sent again brought the very same answer"),
        *_answers(),
        *_fields("hello", wire.METHODS["hello"][1], WIRE, "of the last answer to hello"),
        *_fields("status", wire.METHODS["status"][1], WIRE, "of the pen's status, asked when it is wanted"),
        *_fields("telemetry", wire.NOTIFICATIONS["telemetry"], WIRE, "of the last telemetry"),
        What("records", NUMBER, RECORD, "how many records were pulled"),
        What("record.ended", TEXT, RECORD, f"why the last session ended: {', '.join(record.END_REASONS)}"),
        What("record.counted", NUMBER, RECORD, "strokes that count, in all zones: made and forfeited"),
        What("record.made", NUMBER, RECORD, "strokes made, in all zones"),
        What("record.forfeited", NUMBER, RECORD, "strokes forfeited, in all zones"),
        What("record.zones", NUMBER, RECORD, "how many zones it has"),
        What("record.faults", LIST, RECORD, "the faults it holds", CODE),
        *(What(f"record.{name}", NUMBER, RECORD, "a field of the record") for name in _RECORD_NUMBERS),
        *(What(f"record.{name}", TEXT, RECORD, "a field of the record") for name in _RECORD_TEXTS),
        *(What(f"record.zones.N.{name}", NUMBER, RECORD, "a field of zone N") for name in _ZONE_NUMBERS),
        *(What(f"needle.{name}", NUMBER, NEEDLE, f"{doc}, in all") for name, doc in _TALLY),
        *(What(f"needle.zones.N.{name}", NUMBER, NEEDLE, f"{doc}, in zone N") for name, doc in _TALLY),
        What("needle.slips", NUMBER, NEEDLE, "electrical cycles that the motor lost or won"),
        What("needle.violations", LIST, NEEDLE, "kinds of what must never happen and did", TEXT),
        What("needle.depth_um", NUMBER, PINS, "how far the needles are out now; below 0 inside the nose piece"),
        *(What(f"pins.{name}", YES_NO, PINS, doc) for name, doc in _LEVELS),
    ]
    return tuple(made)


WHATS = _table()
"""Everything that can be asked, in the order of the documentation."""
_BY_NAME = {what.name: what for what in WHATS}


def what_of(name: str) -> What | None:
    """Return the What that `name` asks for ("record.zones.0.made"), or None when there is none."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    parts = name.split(".")
    if len(parts) == 2 and parts[1] in wire.STATE_NAMES:
        return _BY_NAME.get(f"{parts[0]}.STATE")
    return _BY_NAME.get(".".join("N" if _is_index(part) else part for part in parts))


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= _INDEX_DIGITS


@dataclass(frozen=True)
class Comparison:
    """`what op value`; with a `tolerance` numbers may be off by that much."""

    what: str
    op: str
    value: Value | tuple[Value, ...]
    tolerance: Decimal = Decimal(0)

    def __str__(self) -> str:
        value = f"[{', '.join(map(_plain, self.value))}]" if isinstance(self.value, tuple) else _plain(self.value)
        return f"{self.what} {self.op} {value}" + (f" (+- {self.tolerance})" if self.tolerance else "")

    @property
    def source(self) -> str:
        """Where the answer comes from: WIRE, RECORD, NEEDLE or PINS."""
        what = what_of(self.what)
        return WIRE if what is None else what.source

    def holds(self, answer: Answer) -> bool:
        """Return whether it holds for `answer`; nothing holds for what is not known."""
        if answer is None:
            return False
        if self.op == "in":
            return isinstance(self.value, tuple) and answer in self.value
        if self.op == "contains":
            return self.value in answer
        if self.op in _ORDERED or (self.tolerance and self.op == "=="):
            return self._compare(Decimal(str(answer)), Decimal(str(self.value)))
        same = answer == (list(self.value) if isinstance(self.value, tuple) else self.value)
        return same if self.op == "==" else not same

    def _compare(self, answer: Decimal, value: Decimal) -> bool:
        slack = self.tolerance
        results: Mapping[str, bool] = {
            "==": abs(answer - value) <= slack,
            "<": answer < value + slack,
            "<=": answer <= value + slack,
            ">": answer > value - slack,
            ">=": answer >= value - slack,
        }
        return results[self.op]


@dataclass(frozen=True)
class Condition:
    """Comparisons that must all hold at once; `text` as it was written."""

    text: str
    parts: tuple[Comparison, ...]

    def holds(self, ask: Callable[[str], Answer]) -> bool:
        """Return whether all parts hold for what `ask` says."""
        return all(part.holds(ask(part.what)) for part in self.parts)


def parse_condition(text: str, path: Path) -> Condition | Finding:
    """Return the condition in `text`, or what is wrong with it."""
    parts = []
    for piece in re.split(r"\s+and\s+", text.strip()):
        match = _PART.match(piece)
        if match is None:
            return Finding(path, f"{piece!r} is no condition.", piece, "what op value, joined by and")
        made = comparison(match[1], match[2], _literal(match[3]), 0, path)
        if isinstance(made, Finding):
            return made
        parts.append(made)
    return Condition(text, tuple(parts))


def comparison(what: str, op: str, value: object, tolerance: object, path: Path) -> Comparison | Finding:
    """Return the comparison of these parts, or what is wrong with them."""
    known = what_of(what)
    if known is None:
        names = ", ".join(_BY_NAME)
        return Finding(path, f"Nothing is called {what!r}.{meant(what, names)}", what, "see docs/scenarios.md")
    if op not in _ops_of(known):
        return Finding(path, f"{what} is a {known.kind}: {op!r} can't be asked of it.", op, ", ".join(_ops_of(known)))
    if tolerance and (known.kind != NUMBER or op not in _WITH_TOLERANCE):
        message = f"{what} {op} takes no tolerance."
        return Finding((*path, "tolerance"), message, shown(tolerance), f"only with {', '.join(_WITH_TOLERANCE)}")
    kind = known.items if op == "contains" else known.kind
    listed = op == "in" or (known.kind == LIST and op in ("==", "!="))
    if listed:
        items = value if isinstance(value, list | tuple) else None
        if items is None or not all(_fits(known.items or kind, item) for item in items):
            return Finding(path, f"{what} {op} wants a list.", shown(value), f"[..] of {_allowed(known.items or kind)}")
        if op == "in" and not items:
            return Finding(path, f"{what} is never in an empty list.", "[]", f"[..] of {_allowed(kind)}")
        return Comparison(what, op, tuple(items))
    if op == "contains" and value == "":
        return Finding(path, "Nothing at all is in every text.", "", "at least one character")
    if not _fits(kind, value):
        return Finding(path, f"{shown(value)!r} is nothing that {what} can be.", shown(value), _allowed(kind))
    if not isinstance(value, int | Decimal | str):
        return Finding(path, f"{shown(value)!r} is no value.", shown(value), _allowed(kind))
    return Comparison(what, op, value, Decimal(str(tolerance)))


def _ops_of(what: What) -> tuple[str, ...]:
    if what.kind == NUMBER:
        return ("==", "!=", *_ORDERED, "in")
    if what.kind == LIST:
        return ("contains", "==", "!=")
    return (
        ("==", "!=")
        if what.kind == YES_NO
        else ("==", "!=", "in", "contains")
        if what.kind == TEXT
        else ("==", "!=", "in")
    )


def _fits(kind: str, value: object) -> bool:
    if kind == NUMBER:
        return is_number(value)
    if kind == YES_NO:
        return isinstance(value, bool)
    if kind == STATE:
        return value in wire.STATE_NAMES
    if kind == CODE:
        return value == NONE or value in faults.NAMES.values()
    return isinstance(value, str)


def _allowed(kind: str) -> str:
    texts = {NUMBER: "a number", YES_NO: "true or false", STATE: ", ".join(wire.STATE_NAMES), TEXT: "a text"}
    return texts.get(kind, "the name of one of the pen's codes, or NONE")


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literal(text: str) -> object:
    """Return the value that `text` stands for: a number, true, false, a list in brackets, or a word."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [_literal(item) for item in text[1:-1].split(",") if item.strip()]
    if text in ("true", "false"):
        return text == "true"
    # Words such as Infinity, and numbers of a million digits, are numbers to Decimal as well.
    if not _LITERAL.fullmatch(text):
        return text.strip("\"'")
    return Decimal(text) if "." in text else int(Decimal(text))
