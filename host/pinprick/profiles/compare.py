"""What differs between two profiles, field by field, zones matched by area and side. Host only; pure."""

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from pinprick.profiles.model import ProfileFile, ZoneEntry

Value = str | int | Decimal | date | None


class Change(NamedTuple):
    """One difference: `field` ("limits.depth_mm", "depth_mm"), `zone` ("cheek left", "" outside zones), and the value
    in each of the two profiles; None where there is no such zone."""

    field: str
    zone: str
    before: Value
    after: Value


def changes(before: ProfileFile, after: ProfileFile) -> list[Change]:
    """Return what differs from `before` to `after`: the header in the file's order, then the zones in `before`'s."""
    found = [
        Change(field, "", old, new)
        for (field, old), (_, new) in zip(_header(before), _header(after), strict=True)
        if old != new
    ]
    new_zones = {zone.label: zone for zone in after.zones}
    old_zones = {zone.label: zone for zone in before.zones}
    for label, old in old_zones.items():
        found += _zone_changes(label, old, new_zones.get(label))
    for label, new in new_zones.items():
        if label not in old_zones:
            found += _zone_changes(label, None, new)
    shared_before = [label for label in old_zones if label in new_zones]
    shared_after = [label for label in new_zones if label in old_zones]
    if shared_before != shared_after:
        found.append(Change("order of zones", "", ", ".join(shared_before), ", ".join(shared_after)))
    return found


_ZONE_FIELDS = ("depth_mm", "strokes", "rate_per_s")


def _header(profile: ProfileFile) -> list[tuple[str, Value]]:
    fields: list[tuple[str, Value]] = []
    for key, value in profile.model_dump(by_alias=True, exclude={"zones"}).items():
        if isinstance(value, dict):
            fields += [(f"{key}.{inner}", inner_value) for inner, inner_value in value.items()]
        else:
            fields.append((key, value))
    return fields


def _zone_changes(label: str, old: ZoneEntry | None, new: ZoneEntry | None) -> list[Change]:
    pairs = [(key, getattr(old, key, None), getattr(new, key, None)) for key in _ZONE_FIELDS]
    return [Change(key, label, before, after) for key, before, after in pairs if before != after]
