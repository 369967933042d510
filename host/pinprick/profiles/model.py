"""The form of a profile file: which keys there are and of what kind, as pydantic models. Host only.

Form alone: what is a number, a text, a date. How large a number may be is asked of `pencore.profile.problems`, the same
code that the pen asks; the bounds shown in the JSON Schema are read from `pencore.limits`.
"""

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, WithJsonSchema
from pydantic_core import PydanticCustomError

from pencore import limits as core_limits
from pencore.digest import text_problem
from pencore.faults import COURSE_STEP, PROFILE_HEAD, PROFILE_SCHEMA, PROFILE_TEXT, PROFILE_ZONE_AREA, PROFILE_ZONE_SIDE
from pencore.profile import HEADS, ID_SIZE, NAME_SIZE, SCHEMA
from pinprick.errors import FIELD_NOT_FINITE, FIELD_TOO_FINE, FIELD_TYPE, FIELD_UNIT, Value, code_name
from pinprick.profiles.source import Source
from pinprick.profiles.units import neighbours_um, to_mm, to_um, whole_um

AREA_NAMES = tuple(name for name, _, _ in core_limits.AREAS)
"""Names of the areas; the index is the code."""


def refused(
    code: int, message: str, *, allowed: str = "", hint: str = "", given: Value = None, limit: Value = None
) -> PydanticCustomError:
    """Return the error by which a validator refuses a value with `code`; `findings` makes a Problem of it."""
    context = {"code": code, "message": message, "allowed": allowed, "hint": hint, "given": given, "limit": limit}
    return PydanticCustomError("profile", "{message}", context)


def kind(value: object) -> str:
    """Return what a TOML value is, in plain words: "a text", "a whole number"."""
    if isinstance(value, bool) or (isinstance(value, Decimal) and not value.is_finite()):
        return f"{value}".lower()
    names: Sequence[tuple[type | tuple[type, ...], str]] = (
        (str, "a text"),
        (int, "a whole number"),
        (Decimal, "a number with a decimal point"),
        (datetime, "a date with a time"),
        (date, "a date"),
        (dict, "a table"),
        (list, "a list"),
    )
    return next((name for types, name in names if isinstance(value, types)), "a time of day")


def shown(value: object) -> Value:
    """Return `value` as an error can carry it; tables, lists and true/false become text."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, str | int | Decimal | date) else kind(value)


def _depth(value: object) -> Decimal:
    allowed = "a number of millimetres, up to three decimals"
    if isinstance(value, str):
        raise refused(
            FIELD_UNIT,
            f'The depth is written as the text "{value}".',
            allowed=f"{allowed}: a bare number, no unit and no quotation marks",
            hint=_depth_hint(value),
            given=value,
        )
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refused(
            FIELD_TYPE,
            f"A depth is a number, this is {kind(value)}.",
            allowed=allowed,
            hint="Write it like 0.5 or 1.25.",
            given=shown(value),
        )
    exact = Decimal(value)
    if not exact.is_finite():
        raise refused(
            FIELD_NOT_FINITE, f"{value} is not a depth.", allowed=allowed, hint="Write it like 0.5.", given=str(value)
        )
    if to_um(exact) is None:
        raise refused(
            FIELD_TOO_FINE,
            f"{_short(exact)} mm is finer than a thousandth of a millimetre; depths are never rounded for you.",
            allowed=allowed,
            hint=f"Write {_neighbours(exact)}.",
            given=exact,
        )
    return exact


def _depth_hint(text: str) -> str:
    """Return what to write instead of a depth given as text: the number in mm, when the text says what it means."""
    factors = {"": "1", "mm": "1", "um": "0.001", "µm": "0.001", "μm": "0.001", "cm": "10", "in": "25.4", '"': "25.4"}
    stripped = text.strip()
    number = stripped.rstrip('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµμ" ').strip()
    factor = factors.get(stripped[len(number) :].strip().lower())
    plain = number.replace(",", ".", 1)
    if factor is None or len(plain) > 12 or not plain.replace(".", "", 1).isdecimal() or not plain.isascii():
        return "Write the bare number in mm, like 0.5 or 1.25."
    inches = factor == "25.4"
    value = to_um(Decimal(plain) * Decimal(factor))
    if value is None or inches:
        return f"Write the bare number in mm; {text} is about {Decimal(plain) * Decimal(factor):.2f} mm."
    return f"Write {to_mm(value):f} (mm), without quotation marks."


def _neighbours(value: Decimal) -> str:
    return " or ".join(f"{to_mm(um):f}" for um in neighbours_um(value))


def _short(value: Decimal) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:21] + "..."


def _step(value: object) -> Decimal:
    step = _depth(value)
    if step < 0:
        raise refused(
            COURSE_STEP,
            f"{_short(step)} mm: the depth cannot grow by less than nothing.",
            allowed="0 or more",
            hint="Write 0 for a course that stays at one depth.",
            given=step,
            limit=Decimal(0),
        )
    return step


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        is_whole = isinstance(value, Decimal) and value.is_finite() and value.adjusted() < 12 and value == int(value)
        if isinstance(value, str):
            hint = "Remove the quotation marks and any unit."
        elif is_whole and isinstance(value, Decimal):
            hint = f"Write {int(value)}, without the decimal point."
        else:
            hint = "Write it like 1200."
        raise refused(
            FIELD_TYPE,
            f"This is a count, and the value is {kind(value)}.",
            allowed="a whole number",
            hint=hint,
            given=shown(value),
        )
    return value


class _Text:
    """Validator of a text of 1..`size` characters that the wire can carry."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, value: object) -> str:
        allowed = f'1 to {self.size} characters: plain letters, digits, spaces and signs, but not " and \\'
        if not isinstance(value, str):
            raise refused(
                FIELD_TYPE,
                f"This is a name, and the value is {kind(value)}.",
                allowed=allowed,
                hint="Put it in quotation marks.",
                given=shown(value),
            )
        if text_problem(value, self.size):
            message, hint = self._wrong(value)
            raise refused(PROFILE_TEXT, message, allowed=allowed, hint=hint, given=value, limit=self.size)
        return value

    def _wrong(self, value: str) -> tuple[str, str]:
        """Return what is wrong with a text that the wire refuses, and what to do."""
        if not value:
            return "The text is empty.", "Write a name."
        for place, char in enumerate(value, start=1):
            if text_problem(char, 1):
                plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
                sign = f'the character "{char}"' if char.isprintable() else f"the control character U+{ord(char):04X}"
                fitting = plain != value and not text_problem(plain, self.size)
                hint = f'Write "{plain}", for example.' if fitting else "Leave that character out."
                return f"The pen cannot carry {sign}, number {place} of this text.", hint
        return f"The text has {len(value)} characters.", f"Shorten it to {self.size}."


class _Word:
    """Validator of one of `words`, refused with `code`."""

    def __init__(self, what: str, words: Sequence[str], code: int) -> None:
        self.what = what
        self.words = words
        self.code = code

    def __call__(self, value: object) -> str:
        allowed = ", ".join(self.words)
        if not isinstance(value, str):
            raise refused(
                FIELD_TYPE,
                f"{self.what} is a word in quotation marks, this is {kind(value)}.",
                allowed=allowed,
                given=shown(value),
            )
        if value not in self.words:
            near = get_close_matches(value.strip().lower().replace("_", "-").replace(" ", "-"), self.words, n=1)
            raise refused(
                self.code,
                f'"{value}" is not {self.what.lower()} that this version knows.',
                allowed=allowed,
                hint=f'Did you mean "{near[0]}"?' if near else "",
                given=value,
            )
        return value


def _schema_number(value: object) -> int:
    if type(value) is not int or value != SCHEMA:
        raise refused(
            PROFILE_SCHEMA,
            "The file is written in a form that this version does not know.",
            allowed=str(SCHEMA),
            hint=f"Write schema = {SCHEMA}; a file from a newer tool needs a newer tool.",
            given=shown(value),
            limit=SCHEMA,
        )
    return SCHEMA


def _expires(value: object) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        hint = "Write the bare date, without time."
        if isinstance(value, str):
            hint = "Remove the quotation marks, and write year-month-day."
        raise refused(
            FIELD_TYPE,
            f"The expiry is a date, this is {kind(value)}.",
            allowed="a bare date: expires = 2029-06-30",
            hint=hint,
            given=shown(value),
        )
    return value


# No multipleOf: validators that count in binary fractions would call 0.57 no multiple of 0.001.
def _number_schema(low_um: int, high_um: int, description: str) -> WithJsonSchema:
    bounds = {"minimum": float(to_mm(low_um)), "maximum": float(to_mm(high_um))}
    return WithJsonSchema({"type": "number", "description": description, "x-unit": "mm"} | bounds)


def _count_schema(low: int, high: int, description: str, unit: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "integer", "description": description, "minimum": low, "maximum": high, "x-unit": unit}
    )


def _text_schema(size: int, description: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "description": description, "minLength": 1, "maxLength": size, "pattern": r"^[ !#-\[\]-~]+$"}
    )


def _word_schema(words: Sequence[str], description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, "enum": list(words)})


class _Form(BaseModel):
    """What all tables of a profile file have in common: no key but the known ones, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


class Course(_Form):
    """The course this session belongs to: 4 to 6 sessions, usually about 30 days apart."""

    id: Annotated[
        str,
        BeforeValidator(_Text(ID_SIZE)),
        _text_schema(ID_SIZE, "Names the course; the pen remembers it. No client name. A new course needs a new id."),
    ]
    index: Annotated[
        int,
        BeforeValidator(_whole),
        _count_schema(1, core_limits.COURSE_SESSIONS_MAX, "Which session of the course this is, from 1.", "session"),
    ]
    of: Annotated[
        int,
        BeforeValidator(_whole),
        _count_schema(1, core_limits.COURSE_SESSIONS_MAX, "How many sessions the course has.", "session"),
    ]
    interval_days: Annotated[
        int,
        BeforeValidator(_whole),
        _count_schema(
            core_limits.INTERVAL_MIN_DAYS,
            core_limits.INTERVAL_MAX_DAYS,
            "Fewest days from one session to the next; the pen refuses an earlier one.",
            "day",
        ),
    ]
    max_step_mm: Annotated[
        Decimal,
        BeforeValidator(_step),
        _number_schema(
            0, core_limits.COURSE_STEP_MAX_UM, "The most by which a zone may go deeper than in the last session."
        ),
    ]


class Cartridge(_Form):
    """The sterile cartridge fitted for this session; a cartridge serves one session."""

    id: Annotated[
        str,
        BeforeValidator(_Text(ID_SIZE)),
        _text_schema(ID_SIZE, "The cartridge's own number; the pen never takes it a second time."),
    ]
    lot: Annotated[str, BeforeValidator(_Text(ID_SIZE)), _text_schema(ID_SIZE, "The lot printed on the pouch.")]
    expires: Annotated[
        date,
        BeforeValidator(_expires),
        WithJsonSchema(
            {
                "type": "string",
                "format": "date",
                "description": "The expiry date printed on the pouch, as a bare TOML date without quotation marks.",
            }
        ),
    ]
    needles: Annotated[
        int,
        BeforeValidator(_whole),
        _count_schema(1, core_limits.NEEDLES_MAX, "How many needles the cartridge has.", "needle"),
    ]


class Limits(_Form):
    """The session's own limits; they can only tighten what pen and area allow."""

    depth_mm: Annotated[
        Decimal,
        BeforeValidator(_depth),
        _number_schema(core_limits.DEPTH_MIN_UM, core_limits.DEPTH_CEILING_UM, "No zone may be deeper than this."),
    ]
    strokes: Annotated[
        int,
        BeforeValidator(_whole),
        _count_schema(
            core_limits.STROKES_MIN,
            core_limits.SESSION_STROKES_MAX,
            "The zones' strokes together may not exceed this.",
            "stroke",
        ),
    ]


class ZoneEntry(_Form):
    """One area and side with its own depth, stroke budget and rate."""

    area: Annotated[
        str,
        BeforeValidator(_Word("An area", AREA_NAMES, PROFILE_ZONE_AREA)),
        _word_schema(AREA_NAMES, "The body area; it brings a cap on the depth that no profile can raise."),
    ]
    side: Annotated[
        str,
        BeforeValidator(_Word("A side", core_limits.SIDES, PROFILE_ZONE_SIDE)),
        _word_schema(
            core_limits.SIDES, "left or right of the client, none for the middle or for an area without sides."
        ),
    ]
    depth_mm: Annotated[
        Decimal,
        BeforeValidator(_depth),
        _number_schema(
            core_limits.DEPTH_MIN_UM,
            core_limits.DEPTH_CEILING_UM,
            "Depth set: commanded protrusion of the needles past the nose piece, to a thousandth of a millimetre.",
        ),
    ]
    strokes: Annotated[
        int,
        BeforeValidator(_whole),
        _count_schema(
            core_limits.STROKES_MIN, core_limits.SESSION_STROKES_MAX, "The most strokes this zone gets.", "stroke"
        ),
    ]
    rate_per_s: Annotated[
        int,
        BeforeValidator(_whole),
        _count_schema(
            core_limits.RATE_MIN_PER_S,
            core_limits.RATE_MAX_PER_S,
            "Strokes per second while the trigger is held; a deeper stroke takes longer, so less is possible.",
            "1/s",
        ),
    ]

    @property
    def label(self) -> str:
        """How the zone is called: "cheek left", "nose"."""
        return core_limits.zone_name(AREA_NAMES.index(self.area), core_limits.SIDES.index(self.side))

    @property
    def depth_um(self) -> int:
        """The depth set, in um."""
        return whole_um(self.depth_mm)

    @property
    def trigger_s(self) -> float:
        """How long the trigger is held for the whole budget, in seconds."""
        return self.strokes / self.rate_per_s


class ProfileFile(_Form):
    """A session profile: what a practitioner loads onto the pen for one visit."""

    version: Annotated[
        int,
        BeforeValidator(_schema_number),
        WithJsonSchema({"type": "integer", "const": SCHEMA, "description": "The form of this file."}),
    ] = Field(alias="schema")
    name: Annotated[
        str, BeforeValidator(_Text(NAME_SIZE)), _text_schema(NAME_SIZE, "What people call it. No client name.")
    ]
    head: Annotated[
        str,
        BeforeValidator(_Word("A head", HEADS, PROFILE_HEAD)),
        _word_schema(HEADS[:1], "What is driven. Only the pen so far."),
    ]
    course: Course
    cartridge: Cartridge
    limits: Limits
    zones: list[ZoneEntry] = Field(
        alias="zone",
        default_factory=list,
        json_schema_extra={
            "minItems": 1,
            "maxItems": core_limits.ZONES_MAX,
            "description": "The zones, in the order they are worked through; area and side appear together once.",
        },
    )
    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def strokes(self) -> int:
        """The zones' strokes together; the session's limit may be higher."""
        return sum(zone.strokes for zone in self.zones)

    @property
    def trigger_s(self) -> float:
        """How long the trigger is held for all budgets, in seconds."""
        return sum(zone.trigger_s for zone in self.zones)

    @property
    def source(self) -> Source:
        """Where the values stand in the file they were read from."""
        return self._source


def known_keys() -> dict[str, tuple[str, ...]]:
    """Return the keys of each table by its name; "" is the file itself."""
    tables: dict[str, type[_Form]] = {
        "": ProfileFile,
        "course": Course,
        "cartridge": Cartridge,
        "limits": Limits,
        "zone": ZoneEntry,
    }
    return {
        name: tuple(field.alias or key for key, field in model.model_fields.items()) for name, model in tables.items()
    }


def context_of(error: Any) -> dict[str, Any]:
    """Return what `refused` put into a pydantic error; {} for one of pydantic's own."""
    context = error.get("ctx", {})
    return context if context.get("code") and code_name(context["code"]) else {}
