"""What a record says, in names and units. Host only; pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pencore import limits, record
from pencore.profile import HEADS
from pencore.record import Record
from pinprick.errors import code_name

_EPOCH = date(1970, 1, 1)
_UNNAMED = re.compile(r"UNKNOWN|(head|reason)-\d+|area-\d+( left| right)?")
"""What stands for a code that the tool had no name for when it wrote; a later one may have it."""


def describe(sealed: Record) -> dict[str, Any]:
    """Return `sealed` in names and units for people and JSON: digests in hex, times in UTC, areas and codes by name."""
    return {
        "schema": 1,
        "serial": sealed.serial,
        "session": sealed.session,
        "profile": sealed.profile_name,
        "profile_sha256": sealed.profile_digest.hex(),
        "head": HEADS[sealed.head] if sealed.head < len(HEADS) else f"head-{sealed.head}",
        "course": {"id": sealed.course_id, "index": sealed.course_index, "of": sealed.course_of},
        "cartridge": {
            "id": sealed.cartridge_id,
            "lot": sealed.cartridge_lot,
            "expires": (_EPOCH + timedelta(days=sealed.expires_day)).isoformat(),
        },
        "firmware_build": sealed.build,
        "key_id": sealed.key_id,
        "start": _utc(sealed.start_s),
        "end": _utc(sealed.end_s),
        "calibration_age_s": sealed.calibration_s,
        "ended": _reason(sealed.end_reason),
        "limits": {"depth_um": sealed.session_depth_um, "strokes": sealed.session_strokes},
        "counted": sealed.counted(),
        "made": sealed.made(),
        "forfeited": sealed.forfeited(),
        "zones": [
            {
                "zone": limits.zone_name(zone.area, zone.side),
                "depth_um": zone.depth_um,
                "deepest_commanded_um": zone.deepest_um,
                "rate_per_s": zone.rate_per_s,
                "budget": zone.budget,
                "made": zone.made,
                "forfeited": zone.forfeited,
                "counted": zone.counted(),
            }
            for zone in sealed.zones
        ],
        "faults": [_fault(sealed, *entry) for entry in sealed.faults],
        "more_faults": sealed.more_faults,
        "previous_sha256": sealed.previous.hex(),
        "sha256": sealed.digest.hex(),
    }


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _reason(code: int) -> str:
    return record.END_REASONS[code] if code < len(record.END_REASONS) else f"reason-{code}"


def _fault(sealed: Record, code: int, zone: int, elapsed_s: int) -> dict[str, Any]:
    known = zone < len(sealed.zones)
    return {
        "code": code,
        "name": code_name(code),
        "zone": limits.zone_name(sealed.zones[zone].area, sealed.zones[zone].side) if known else None,
        "elapsed_s": elapsed_s,
    }


def difference(said: object, sealed: object, at: str = "") -> str | None:
    """Return the first place ("zones[0].made") where `said`, JSON as somebody has it, isn't what `describe` gave.

    None when they agree; "the whole" when `said` is nothing of the kind. A code for which `said` has no name yet is no
    difference.
    """
    if isinstance(sealed, Mapping) and isinstance(said, Mapping):
        for key in [*sealed, *(key for key in said if key not in sealed)]:
            place = f"{at}.{key}" if at else str(key)
            if key not in said or key not in sealed:
                return place
            found = difference(said[key], sealed[key], place)
            if found:
                return found
        return None
    if isinstance(sealed, list) and isinstance(said, list) and len(sealed) == len(said):
        pairs = (
            difference(one, other, f"{at}[{index}]")
            for index, (one, other) in enumerate(zip(said, sealed, strict=True))
        )
        return next((found for found in pairs if found), None)
    if type(said) is type(sealed) and (said == sealed or (isinstance(said, str) and _UNNAMED.fullmatch(said))):
        return None
    return at or "the whole"
