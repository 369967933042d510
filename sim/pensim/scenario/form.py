"""What a scenario's tables may hold: keys with their kinds, and findings where a value is none of them. Host only.

One table of keys makes the check and the documentation; nothing is converted, nothing ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

Path = tuple[str | int, ...]
"""A place in the file: keys and, inside arrays, indexes from 0: ("act", 3, "do")."""

WHOLE = "a whole number"
NUMBER = "a number"
YES_NO = "true or false"
TEXT = "a text"
WORD = "a word"
HEX = "hex digits"
TABLE = "a table"
WHOLES = "a list of whole numbers"
PAIRS = "a list of pairs of whole numbers"
WORDS = "a list of words"
TEXTS = "a list of texts"
ANY = "a value"
CONDITION = "a condition"
CODE = "the name of a code"

U32_MAX = 0xFFFFFFFF
NUMBER_MOST = 2**64
"""Largest number that a scenario may compare with, either way of 0: nothing that can be asked comes near it."""
_SHOWN_MAX = 60


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a scenario: where, what was given, what is allowed. `line` only where `path` can't tell."""

    path: Path
    message: str
    given: str = ""
    allowed: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")
        return f"{place or 'file'}: {self.message}"


class BadScenario(ValueError):
    """A scenario file that is none; holds all that was found, at least one."""

    def __init__(self, findings: Sequence[Finding], *, toml: bool = True) -> None:
        self.toml = toml
        """Whether the file is TOML at all, so that places in it can be found."""
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Key:
    """One key of a table: its `kind` and, as that asks for it, the bounds or the words that are allowed."""

    kind: str
    doc: str
    needed: bool = False
    low: int = 0
    high: int = U32_MAX
    words: tuple[str, ...] = ()

    def allowed(self) -> str:
        """Return what the value may be, in words."""
        if self.kind in (WHOLE, NUMBER):
            return f"{self.kind} from {self.low} to {self.high}"
        if self.words:
            return f"{self.kind}: {', '.join(self.words)}"
        return self.kind

    def fits(self, value: object) -> bool:
        """Return whether `value` is of the kind and within its bounds."""
        if self.kind == WHOLE:
            return type(value) is int and self.low <= value <= self.high
        if self.kind == NUMBER:
            return is_number(value, self.low, self.high)
        if self.kind == YES_NO:
            return isinstance(value, bool)
        if self.kind in (WORD, CODE):
            return isinstance(value, str) and value in self.words
        if self.kind in (TEXT, CONDITION):
            return isinstance(value, str) and value != "" and value.isprintable()
        if self.kind == HEX:
            return isinstance(value, str) and _is_hex(value)
        if self.kind == TABLE:
            return isinstance(value, Mapping)
        return self._fits_list(value) if self.kind in (WHOLES, PAIRS, WORDS, TEXTS) else True

    def _fits_list(self, value: object) -> bool:
        if not isinstance(value, list):
            return False
        if self.kind == WHOLES:
            return all(type(item) is int and self.low <= item <= self.high for item in value)
        if self.kind == WORDS:
            return all(item in self.words for item in value)
        if self.kind == TEXTS:
            return all(isinstance(item, str) for item in value)
        return all(
            isinstance(pair, list) and len(pair) == 2 and all(type(item) is int for item in pair) for pair in value
        )


def is_number(value: object, low: int = -NUMBER_MOST, high: int = NUMBER_MOST) -> bool:
    """Return whether `value` is a number from `low` to `high`; one that is infinite or none at all isn't."""
    if type(value) is int:
        return low <= value <= high
    return isinstance(value, Decimal) and value.is_finite() and low <= value <= high


def _is_hex(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) > 0
    except ValueError:
        return False


def shown(value: object) -> str:
    """Return `value` as a message can carry it."""
    try:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:
        # Python doesn't write out whole numbers of thousands of digits, and a hexadecimal one can have them.
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 4] + " ..."


def check(table: Mapping[str, Any], keys: Mapping[str, Key], path: Path) -> list[Finding]:
    """Return what is wrong with `table`, which stands at `path`: unknown keys, missing ones, wrong values."""
    found = []
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            known = ", ".join(keys)
            found.append(Finding((*path, name), f"There is no key {name!r} here.{meant(name, known)}", name, known))
        elif not key.fits(value):
            found.append(wrong((*path, name), value, key.allowed()))
    for name, key in keys.items():
        if key.needed and name not in table:
            found.append(Finding(path, f"The key {name!r} is missing.", "", key.allowed()))
    return found


def meant(given: object, allowed: str) -> str:
    """Return " Did you mean ...?" where `given` is nearly one of the words in `allowed`."""
    near = get_close_matches(str(given), allowed.split(", "), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def wrong(path: Path, value: object, allowed: str) -> Finding:
    """Return the finding of a value that is not one of `allowed`."""
    return Finding(path, f"{shown(value)!r} is not {allowed}.", shown(value), allowed)
