"""From a profile file to the profile that the pen takes: field by field, through one table. Host only; pure.

The same table serves a whole file and one with mistakes: where a value is unusable, a neutral one that can cause no
problem of its own takes its place, so that all other limits can still be checked and shown at once.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

from pencore import limits
from pencore.profile import HEADS, Profile, Zone
from pencore.units import U32_MAX
from pinprick.profiles.model import AREA_NAMES
from pinprick.profiles.positions import Path
from pinprick.profiles.units import whole_um

_EPOCH = date(1970, 1, 1)
_WIDEST = max(range(len(limits.AREAS)), key=limits.zone_cap_um)
"""The area with the widest cap: the other limits of a zone whose area is unknown can be checked with it."""
_NO_SIDE = -1
"""Equals no side, so that no two zones seem to be the same one."""


def _day(value: date) -> int:
    return (value - _EPOCH).days


def _same(value: Any) -> Any:
    return value


_HEADER: tuple[tuple[Path, str, Callable[[Any], Any], Any], ...] = (
    (("head",), "head", HEADS.index, 0),
    (("name",), "name", _same, "-"),
    (("course", "id"), "course_id", _same, "-"),
    (("course", "index"), "course_index", _same, 1),
    (("course", "of"), "course_of", _same, limits.COURSE_SESSIONS_MAX),
    (("course", "interval_days"), "interval_days", _same, limits.INTERVAL_MAX_DAYS),
    (("course", "max_step_mm"), "max_step_um", whole_um, 0),
    (("cartridge", "id"), "cartridge_id", _same, "-"),
    (("cartridge", "lot"), "cartridge_lot", _same, "-"),
    (("cartridge", "expires"), "expires_day", _day, U32_MAX),
    (("cartridge", "needles"), "needles", _same, 1),
    (("limits", "depth_mm"), "depth_um", whole_um, limits.DEPTH_CEILING_UM),
    (("limits", "strokes"), "strokes", _same, limits.SESSION_STROKES_MAX),
)
"""(path in the file, attribute of pencore's Profile, conversion, neutral value)."""

_ZONE: tuple[tuple[str, Callable[[Any], Any], int], ...] = (
    ("area", AREA_NAMES.index, _WIDEST),
    ("side", limits.SIDES.index, _NO_SIDE),
    ("depth_mm", whole_um, limits.DEPTH_MIN_UM),
    ("strokes", _same, limits.STROKES_MIN),
    ("rate_per_s", _same, limits.RATE_MIN_PER_S),
)
"""(key, conversion, neutral value), in the order of pencore's Zone."""


def fill(document: Mapping[str, Any], unusable: Collection[Path] = ()) -> Profile:
    """Return the pencore Profile of `document`, the tables of a profile file as tomllib or pydantic gives them.

    Values at or below a path of `unusable` are replaced by neutral ones. Serial, session id, ledger head and issue time
    are left for whoever loads it.
    """
    profile = Profile()
    for path, attribute, convert, neutral in _HEADER:
        value = neutral if _within(path, unusable) else convert(_dig(document, path))
        setattr(profile, attribute, value)
    zones = [] if ("zone",) in unusable else document.get("zone", [])
    for index, entry in enumerate(zones):
        values = [
            neutral if _within(("zone", index, key), unusable) else convert(entry[key])
            for key, convert, neutral in _ZONE
        ]
        profile.zones.append(Zone(*values))
    return profile


def _within(path: Path, paths: Collection[Path]) -> bool:
    """Return whether `path` or a table around it is one of `paths`."""
    return any(path[:length] in paths for length in range(1, len(path) + 1))


def _dig(document: Mapping[str, Any], path: Path) -> Any:
    value: Any = document
    for part in path:
        value = value[part]
    return value
