"""From a scenario's `[profile]` to the bytes that a pen gets: as a host makes them, or wrong on purpose. Host only.

The keys are those of profile files. Their form is checked, their limits are not: it is the pen that has to refuse
them. Depths are decimals of millimetres and never rounded.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pencore import limits, profile
from pencore.digest import DIGEST_SIZE, hmac_sha256, sha256
from pencore.profile import HEADS, Profile, Zone
from pensim.scenario.form import Finding, Path, is_number, shown

KEY = bytes(range(32))
"""The clinic key of pens that a scenario gives a `key_id`; it opens nothing but simulated pens."""

_EPOCH = date(1970, 1, 1)
_AREAS = tuple(name for name, _, _ in limits.AREAS)
_TEXT = "a text"
_WHOLE = "a whole number"
_DEPTH = "millimetres, up to three decimals"
_DAY = "a date"
_MM_MOST = 1_000_000
_INDEX_DIGITS = 4
_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("name", "name", _TEXT),
    ("head", "head", ", ".join(HEADS)),
    ("course.id", "course_id", _TEXT),
    ("course.index", "course_index", _WHOLE),
    ("course.of", "course_of", _WHOLE),
    ("course.interval_days", "interval_days", _WHOLE),
    ("course.max_step_mm", "max_step_um", _DEPTH),
    ("cartridge.id", "cartridge_id", _TEXT),
    ("cartridge.lot", "cartridge_lot", _TEXT),
    ("cartridge.expires", "expires_day", _DAY),
    ("cartridge.needles", "needles", _WHOLE),
    ("limits.depth_mm", "depth_um", _DEPTH),
    ("limits.strokes", "strokes", _WHOLE),
)
"""(key in the file, attribute of pencore's Profile, what it is)."""
_ZONE: tuple[tuple[str, str], ...] = (
    ("area", ", ".join(_AREAS)),
    ("side", ", ".join(limits.SIDES)),
    ("depth_mm", _DEPTH),
    ("strokes", _WHOLE),
    ("rate_per_s", _WHOLE),
)


@dataclass(frozen=True)
class Filling:
    """What the host fills in: for which pen, which session, after which record, and when (seconds since 1970).

    `suffix` joins the ids of course and cartridge, so that a pen with a history doesn't know them yet.
    """

    serial: str
    session_id: int
    ledger_head: bytes
    issued_at: int
    suffix: str = ""


def problems(table: Mapping[str, Any], path: Path) -> list[Finding]:
    """Return what is wrong with the form of a profile's table at `path`."""
    found = [Finding((*path, name), f"A profile has no key {name!r}.", name) for name in _unknown(table)]
    for key, _, allowed in _FIELDS:
        value = _dig(table, key)
        if value is None:
            found.append(Finding(path, f"The profile's key {key!r} is missing.", "", allowed))
        elif _converted(value, allowed) is None:
            place = (*path, *key.split("."))
            found.append(Finding(place, f"{shown(value)!r} is not {allowed}.", shown(value), allowed))
    zones = table.get("zone", [])
    if not isinstance(zones, list) or not zones or not all(isinstance(zone, Mapping) for zone in zones):
        return [*found, Finding((*path, "zone"), "A profile has at least one [[profile.zone]].")]
    for index, zone in enumerate(zones):
        for name, allowed in _ZONE:
            value = zone.get(name)
            if value is None or _converted(value, allowed) is None:
                place = (*path, "zone", index, name)
                found.append(Finding(place, f"{shown(value)!r} is not {allowed}.", shown(value), allowed))
    return found


def _unknown(table: Mapping[str, Any]) -> list[str]:
    tables = {key.partition(".")[0] for key, _, _ in _FIELDS}
    unknown = [name for name in table if name not in tables | {"schema", "zone"}]
    for name in ("course", "cartridge", "limits"):
        inner = table.get(name)
        known = {key for key, _, _ in _FIELDS}
        keys = inner if isinstance(inner, Mapping) else ()
        unknown += [f"{name}.{key}" for key in keys if f"{name}.{key}" not in known]
    zones = table.get("zone")
    for zone in zones if isinstance(zones, list) else ():
        if isinstance(zone, Mapping):
            unknown += [f"zone.{key}" for key in zone if key not in dict(_ZONE)]
    return unknown


def _dig(table: Mapping[str, Any], key: str) -> Any:
    value: Any = table
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _converted(value: object, kind: str) -> Any:
    """Return `value` as the binary form has it; None when it is not of that `kind`. Codes may be given as numbers."""
    if kind == _DEPTH:
        return _um(value)
    if kind == _DAY:
        return (value - _EPOCH).days if isinstance(value, date) and not isinstance(value, datetime) else None
    if kind == _TEXT:
        return value if isinstance(value, str) else None
    if type(value) is int:
        return value
    words: Sequence[str] = () if kind == _WHOLE else kind.split(", ")
    return words.index(value) if isinstance(value, str) and value in words else None


def _um(value: object) -> int | None:
    if not is_number(value, -_MM_MOST, _MM_MOST):
        return None
    um = Decimal(str(value)) * 1000
    return int(um) if um == um.to_integral_value() else None


def changed(table: Mapping[str, Any], changes: Mapping[str, Any], path: Path) -> dict[str, Any] | Finding:
    """Return `table` with `changes` by dotted key ("zone.0.depth_mm", "limits.strokes"), or what is wrong with them."""
    result: dict[str, Any] = deepcopy(dict(table))
    for key, value in changes.items():
        parts = key.split(".")
        here: Any = result
        for part in parts[:-1]:
            step: Any = int(part) if part.isascii() and part.isdigit() and len(part) <= _INDEX_DIGITS else part
            try:
                here = here[step]
            except (LookupError, TypeError):
                return Finding((*path, key), f"The profile has nothing at {key!r}.", key)
        if not isinstance(here, dict):
            return Finding((*path, key), f"The profile has nothing at {key!r}.", key)
        here[parts[-1]] = value
    return result


def fill(table: Mapping[str, Any], filling: Filling) -> Profile:
    """Return the Profile of a table that has no `problems`, filled in for one pen and one session."""
    made = Profile()
    for key, attribute, kind in _FIELDS:
        setattr(made, attribute, _converted(_dig(table, key), kind))
    made.zones = [Zone(*(_converted(zone[name], kind) for name, kind in _ZONE)) for zone in table["zone"]]
    made.serial = filling.serial
    made.session_id = filling.session_id
    made.ledger_head = filling.ledger_head
    made.issued_at = filling.issued_at
    made.course_id += filling.suffix
    made.cartridge_id += filling.suffix
    return made


SIGNATURES = ("right", "none", "wrong", "unknown-key")


def encode(made: Profile, key_id: int, sign: str) -> bytes:
    """Return the bytes of `made`, signed as a pen with `key_id` (0: none) wants it, or as `sign` says."""
    if sign == "none" or (sign == "right" and not key_id):
        return profile.encode(made)
    if sign == "unknown-key":
        return profile.encode(made, key_id + 1, KEY)
    return profile.encode(made, key_id, KEY if sign == "right" else bytes(32))


def patched(data: bytes, patches: Sequence[Sequence[int]], reseal: bool) -> bytes:
    """Return `data` with the bytes at some offsets replaced; with `reseal` digest and signature fit again.

    ValueError for an offset that is not there.
    """
    body = bytearray(data)
    for offset, value in patches:
        if not 0 <= offset < len(body):
            raise ValueError(f"the profile has {len(body)} bytes: there is no byte {offset} to patch")
        body[offset] = value
    if reseal:
        end = len(body) - profile.TRAILER_SIZE
        body[end : end + DIGEST_SIZE] = sha256(bytes(body[:end]))
        signed = bytes(body[:-DIGEST_SIZE])
        if any(signed[-4:]):
            body[-DIGEST_SIZE:] = hmac_sha256(KEY, signed)
    return bytes(body)


def budgets(made: Profile, greeting: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return (strokes, limit in um) of each zone: the least of ceiling, calibration, cap, session and zone.

    Written out here, so that the limit the needle is held to isn't the pen's own idea of it.
    """
    result = []
    for zone in made.zones:
        caps = [limits.AREAS[zone.area][2], *greeting["zone_caps_um"][zone.area : zone.area + 1]]
        limit_um = min(greeting["ceiling_um"], greeting["calibration_um"], *caps, made.depth_um, zone.depth_um)
        result.append((zone.strokes, limit_um))
    return result
