"""A profile file as text: reading it within bounds, parsing it, and saying where things stand. Host only.

Reads at most 64 KiB: no profile comes near it (32 zones with comments are about 8 KiB), and no wrong file can fill the
memory. Everything wrong here is one Problem about the whole file, for nothing else in it can be trusted then.
"""

import codecs
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, NoReturn

from pinprick import errors
from pinprick.errors import Problem, ValidationFailed
from pinprick.files import TooBig, read_bounded
from pinprick.profiles.positions import Path, Place, positions

SIZE_MAX = 64 * 1024
"""Most bytes a profile file may have."""

_AT_END = " (at end of document)"
_UNIT_AFTER_NUMBER = re.compile(r"""=\s*[-+]?[0-9_]*[.,]?[0-9]+\s*(mm|um|µm|μm|cm|inch|in|"|%|/s|Hz)\s*(#.*)?$""")
_COMMA_IN_NUMBER = re.compile(r"^\s*([\w-]+)\s*=\s*([-+]?[0-9]+(?:,[0-9]+)+)\s*(#.*)?$")
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(,[0-9]{3})+")
# “ ” „ « » and their single kin, spelt as escapes where they look like other signs.
_CURLY_QUOTES = re.compile(r"""^\s*([\w-]+)\s*=\s*[“”„«»\u2018\u2019\u201A](.*?)[“”«»\u2018\u2019"']\s*(#.*)?$""")
_DATE = re.compile(r"^\s*expires\s*=\s*([0-9]{1,4})([./-])([0-9]{1,2})\2([0-9]{1,4})\s*(#.*)?$")
_BARE_WORD = re.compile(r"=\s*[A-Za-z][A-Za-z -]*\s*(#.*)?$")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a profile came from: `file` as it was named, `lines` of its text, and the place of every key."""

    file: str = ""
    lines: tuple[str, ...] = ()
    places: Mapping[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place | None:
        """Return the place of `path` or of the nearest table around it; None for the file as a whole."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path)

    def excerpt(self, line: int | None) -> str:
        """Return the text of `line` without its indent; "" where there is no such line."""
        return self.lines[line - 1].strip() if line and line <= len(self.lines) else ""


def read(path: FilePath) -> str:
    """Return the text of the file at `path`; ValidationFailed (FILE_*) when it is no text of at most 64 KiB."""
    name = str(path)
    try:
        return _decode(read_bounded(path, SIZE_MAX), name)
    except FileNotFoundError:
        _refuse(errors.FILE_MISSING, name, f"There is no file {name}.")
    except IsADirectoryError:
        _refuse(errors.FILE_IS_FOLDER, name, f"{name} is a folder, not a file.")
    except TooBig as error:
        _too_big(name, error.size)
    except OSError as error:
        _refuse(errors.FILE_UNREADABLE, name, f"{name} cannot be read: {error.strerror}.")


def _too_big(name: str, size: int | None) -> NoReturn:
    given = f"{name} has {size:,} bytes" if size else f"{name} has more than {SIZE_MAX:,} bytes"
    _refuse(
        errors.FILE_TOO_BIG,
        name,
        f"{given}; no profile has more than {SIZE_MAX:,}, so it was not read.",
        given=size,
        limit=SIZE_MAX,
        allowed=f"up to {SIZE_MAX:,} bytes (64 KiB)",
    )


def _decode(data: bytes, name: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _refuse(
            errors.FILE_NOT_TEXT,
            name,
            f"{name} is saved as UTF-16.",
            allowed="plain text in UTF-8",
            hint="Save it again with the encoding UTF-8.",
        )
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\x00" in data:
        _refuse(errors.FILE_NOT_TEXT, name, f"{name} is a binary file, not a text.", allowed="plain text in UTF-8")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(
            errors.FILE_NOT_TEXT,
            name,
            f"{name} is not text in UTF-8: the byte 0x{data[error.start]:02X} in line {line} does not belong there.",
            line=line,
            allowed="plain text in UTF-8",
        )
    if not text.strip():
        _refuse(errors.FILE_EMPTY, name, f"{name} is empty.")
    return text


def parse(text: str, name: str) -> tuple[dict[str, Any], Source]:
    """Return the document in `text` and where things stand in it; numbers with a point come as Decimal.

    Raises ValidationFailed: TOML_SYNTAX with line and column, FILE_EMPTY when it holds nothing but comments.
    """
    lines = tuple(text.replace("\r\n", "\n").split("\n"))
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        _refuse_syntax(str(error), lines, name)
    except RecursionError:
        _refuse_syntax("Tables or lists are nested too deep", lines, name)
    except ValueError:
        # Python refuses to read whole numbers of thousands of digits.
        _refuse_syntax("A number has far too many digits", lines, name)
    if not document:
        _refuse(errors.FILE_EMPTY, name, f"{name} holds nothing but comments.")
    return document, Source(name, lines, positions(text))


def _refuse_syntax(reason: str, lines: tuple[str, ...], name: str) -> NoReturn:
    """Refuse a text that is not TOML; `reason` is tomllib's, "... (at line 3, column 5)"."""
    found = re.search(r" \(at line (\d+), column (\d+)\)$", reason)
    line, column = (int(found[1]), int(found[2])) if found else (None, None)
    if reason.endswith(_AT_END):
        line = max((number for number, text in enumerate(lines, start=1) if text.strip()), default=1)
        column = len(lines[line - 1]) + 1
    reason = re.sub(r" \(at .*\)$", "", reason)
    excerpt = lines[line - 1] if line and line <= len(lines) else ""
    hint = ""
    if unit := _UNIT_AFTER_NUMBER.search(excerpt):
        _refuse(
            errors.FIELD_UNIT,
            name,
            f'The number in line {line} is followed by a unit, "{unit[1]}".',
            line=line,
            column=column,
            excerpt=excerpt.strip(),
            allowed="a bare number in the unit that ends the key's name",
            hint="Write the number alone, as in depth_mm = 1.5.",
        )
    if comma := _COMMA_IN_NUMBER.search(excerpt):
        hint = _comma_hint(comma[1], comma[2])
    elif curly := _CURLY_QUOTES.search(excerpt):
        hint = f'Use straight quotation marks: {curly[1]} = "{curly[2]}"'
    elif day := _DATE.search(excerpt):
        hint = _date_hint(day[1], day[2], day[3], day[4])
    elif _BARE_WORD.search(excerpt):
        hint = 'Put words in quotation marks: side = "left".'
    elif "overwrite" in reason or "twice" in reason:
        hint = "A key or a [table] may be given once; further zones each begin with [[zone]]."
    where = f"line {line}, column {column}" if line else "the file"
    _refuse(
        errors.TOML_SYNTAX,
        name,
        f"{where[0].upper()}{where[1:]} is not TOML: {reason[:1].lower()}{reason[1:]}.",
        line=line,
        column=column,
        excerpt=excerpt.strip(),
        hint=hint,
        allowed="TOML: key = value, one to a line, under [course], [cartridge], [limits] and [[zone]]",
    )


def _comma_hint(key: str, number: str) -> str:
    """Return how to write `number`, in which somebody put a comma, as the value of `key`."""
    if key.endswith("_mm"):
        return f"Write {key} = {number.replace(',', '.', 1)}." if number.count(",") == 1 else "Write one decimal point."
    if _THOUSANDS.fullmatch(number):
        return f"Write {key} = {number.replace(',', '')} or {number.replace(',', '_')}; a count has no comma."
    return f"Write {key} as a whole number; a count has no comma."


def _date_hint(first: str, sign: str, second: str, third: str) -> str:
    """Return how to write the expiry that somebody wrote as `first`, `second` and `third` with `sign` between them."""
    if len(first) == 4:
        orders = [(first, second, third)]
    elif sign == "/":
        # Some put the day first, some the month; where both would do, nobody but the writer knows.
        orders = [(third, second, first), (third, first, second)]
    else:
        orders = [(third, second, first)]
    days: list[str] = []
    for order in orders:
        with suppress(ValueError):
            days.append(date(*map(int, order)).isoformat())
    if not days:
        return "There is no such day."
    return f"Write expires = {' or '.join(dict.fromkeys(days))} (year-month-day)."


def _refuse(code: int, file: str, message: str, **details: Any) -> NoReturn:
    raise ValidationFailed([Problem(code, message, file=file, **details)])
