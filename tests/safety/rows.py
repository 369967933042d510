"""The rows of the safety page, as they are written down in docs/safety: hazards, limits, codes. Host only.

Hazards have a number that is never given again. A row without one of its columns isn't read at all: it is a problem.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path("docs/safety")
HAZARDS_MIN = 40
"""The hazards that were known before there was any code; others are only ever added."""
_EMPTY = frozenset({"", "-", "none", "none known", "nothing", "n/a", "no"})
"""What is no answer in any column, and least of all in the residual risk's."""


class BadRow(Exception):
    """A file of rows, or a row, is not as it must be."""


@dataclass(frozen=True)
class Hazard:
    """What can go wrong, what is done against it, and what proves that."""

    number: int
    group: str
    hazard: str
    cause: str
    control: str
    where: tuple[str, ...]
    residual: str
    tests: tuple[str, ...]
    codes: tuple[str, ...]

    @property
    def name(self) -> str:
        """How it is called in findings."""
        return f"hazard {self.number}"


@dataclass(frozen=True)
class Limit:
    """A bound in the code. `where` is `module: CONSTANT`, an area of the caps, or a field of the provisioning."""

    kind: str
    where: str
    value: int | str
    what: str
    why: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """How it is called in findings."""
        return f"limit {self.where}"


@dataclass(frozen=True)
class Code:
    """A refusal or fault of the pen."""

    code: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """How it is called in findings."""
        return f"code {self.code}"


@dataclass(frozen=True)
class NoBounds:
    """Integers of a module that bound nothing: `names`, or all that have no row, and what they are."""

    module: str
    names: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Rows:
    """All of the page's rows."""

    hazards: tuple[Hazard, ...] = ()
    limits: tuple[Limit, ...] = ()
    codes: tuple[Code, ...] = ()
    no_bounds: tuple[NoBounds, ...] = ()
    groups: tuple[str, ...] = field(default=())


CONSTANT = "constant"
CAP = "cap"
RANGE = "range"
_LIMITS = {"limit": CONSTANT, "cap": CAP, "range": RANGE}


def read(root: Path) -> Rows:
    """Return the rows below `root`; BadRow names what is missing or too much."""
    hazards = [_hazard(entry) for entry in _entries(root, "hazards.toml", "hazard")]
    numbers = [hazard.number for hazard in hazards]
    if sorted(numbers) != list(range(1, len(numbers) + 1)) or len(numbers) < HAZARDS_MIN:
        raise BadRow(f"hazards are numbered from 1 on without gaps, and there were {HAZARDS_MIN} from the beginning")
    groups = tuple(dict.fromkeys(hazard.group for hazard in hazards))
    limits = _read(root, "limits.toml")
    shared = limits.pop("shared", {})
    found = []
    for key, kind in _LIMITS.items():
        for entry in limits.pop(key, []):
            found.append(_limit(kind, {**shared.get(key, {}), **entry}))
    no_bounds = tuple(_no_bounds(entry) for entry in limits.pop("no_bounds", []))
    if limits:
        raise BadRow(f"limits.toml: unknown {', '.join(limits)}")
    codes = tuple(Code(code, _texts(f"code {code}", tests)) for code, tests in _read(root, "codes.toml").items())
    return Rows(tuple(sorted(hazards, key=lambda row: row.number)), tuple(found), codes, no_bounds, groups)


def _read(root: Path, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads((root / FOLDER / name).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadRow(f"{name}: {error}") from None


def _entries(root: Path, name: str, key: str) -> list[dict[str, Any]]:
    whole = _read(root, name)
    entries: list[dict[str, Any]] = whole.pop(key, [])
    if whole:
        raise BadRow(f"{name}: unknown {', '.join(whole)}")
    return entries


def _hazard(entry: dict[str, Any]) -> Hazard:
    row = dict(entry)
    name = f"hazard {row.get('number')}"
    number = row.pop("number", None)
    if not isinstance(number, int):
        raise BadRow(f"{name}: no number")
    made = Hazard(
        number,
        _text(name, row, "group"),
        _text(name, row, "hazard"),
        _text(name, row, "cause"),
        _text(name, row, "control"),
        _texts(name, row.pop("where", ())),
        _text(name, row, "residual"),
        _texts(name, row.pop("tests", ())),
        _texts(name, row.pop("codes", ()), some=False),
    )
    _nothing_left(name, row)
    return made


def _limit(kind: str, entry: dict[str, Any]) -> Limit:
    row = dict(entry)
    name = f"limit {row.get('where')}"
    value = row.pop("value", None)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise BadRow(f"{name}: no value")
    made = Limit(
        kind,
        _text(name, row, "where"),
        value,
        _text(name, row, "what"),
        _text(name, row, "why"),
        _texts(name, row.pop("tests", ())),
    )
    _nothing_left(name, row)
    return made


def _no_bounds(entry: dict[str, Any]) -> NoBounds:
    row = dict(entry)
    module = _text("no_bounds", row, "module")
    made = NoBounds(module, _texts(module, row.pop("names", ()), some=False), _text(module, row, "why"))
    _nothing_left(module, row)
    return made


def _text(name: str, row: dict[str, Any], column: str) -> str:
    text = row.pop(column, "")
    if not isinstance(text, str) or text.strip().rstrip(".").lower() in _EMPTY:
        raise BadRow(f"{name}: {column} is empty, or no answer")
    return " ".join(text.split())


def _texts(name: str, given: object, some: bool = True) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(text, str) and text.strip() for text in given):
        raise BadRow(f"{name}: not a list of texts")
    if some and not given:
        raise BadRow(f"{name}: a list is empty")
    if len(set(given)) < len(given):
        raise BadRow(f"{name}: something is named twice")
    return tuple(given)


def _nothing_left(name: str, row: dict[str, Any]) -> None:
    if row:
        raise BadRow(f"{name}: unknown {', '.join(row)}")
