"""What is wrong with a profile file, in words: pydantic's errors and pencore's refusals as Problems. Host only; pure.

Each Problem says what was given, what is allowed (the tightest bound that holds, so that one correction is enough) and
what to do, and points at the line.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError

from pencore import faults, limits
from pencore.faults import Refusal
from pencore.limits import Bounds
from pencore.profile import HEADS, Profile
from pinprick import errors
from pinprick.errors import Problem, Value
from pinprick.profiles.model import context_of, kind, known_keys, shown
from pinprick.profiles.positions import Path, path_text
from pinprick.profiles.source import Source
from pinprick.profiles.units import counted, mm, mm_number, to_mm

_EPOCH = date(1970, 1, 1)


def zone_label(document: Mapping[str, Any], path: Path) -> str:
    """Return "cheek left" for a path inside a zone whose area and side can be read; else ""."""
    try:
        entry = document["zone"][path[1]] if path[0] == "zone" else {}
        area, side = entry.get("area", ""), entry.get("side", "")
    except (LookupError, TypeError, AttributeError):
        return ""
    words = [word for word in (area, side) if isinstance(word, str) and word not in ("", "none")]
    return " ".join(words)


# --- form -----------------------------------------------------------------------------------------------------------


def form_problems(
    error: ValidationError, document: Mapping[str, Any], source: Source
) -> tuple[list[Problem], set[Path]]:
    """Return the Problems of a file's form, and the paths whose values can't be used."""
    details = error.errors(include_url=False)
    missing: list[Path] = [tuple(detail["loc"]) for detail in details if detail["type"] == "missing"]
    problems: list[Problem] = []
    unusable: set[Path] = set(missing)
    for detail in details:
        path: Path = tuple(detail["loc"])
        if detail["type"] == "extra_forbidden":
            problem, meant = _unknown(path, missing)
            # A misspelt key is one mistake: don't also say that the right one is missing.
            missing = [other for other in missing if other != meant]
        elif detail["type"] == "missing":
            continue
        else:
            unusable.add(path)
            problem = _wrong_form(path, detail)
        problems.append(_placed(problem, path, document, source))
    problems += [_placed(_missing(path), path, document, source) for path in missing]
    return problems, unusable


def _placed(problem: Problem, path: Path, document: Mapping[str, Any], source: Source) -> Problem:
    """Return `problem` with its field, zone, file, line and excerpt filled in for `path`."""
    place = source.place(path)
    return Problem(
        problem.code,
        problem.message,
        field=path_text(path),
        given=problem.given,
        limit=problem.limit,
        allowed=problem.allowed,
        hint=problem.hint,
        zone=zone_label(document, path),
        file=source.file,
        line=place.line if place else None,
        column=place.column if place else None,
        excerpt=source.excerpt(place.line) if place else "",
    )


def _table_of(path: Path) -> str:
    """Return the name of the table that the key at the end of `path` is in; "" for the file itself."""
    return str(path[0]) if len(path) > 1 else ""


def _header(table: str) -> str:
    return "[[zone]]" if table == "zone" else f"[{table}]"


def _unknown(path: Path, missing: Collection[Path]) -> tuple[Problem, Path]:
    """Return the Problem of an unknown key, and the path of the key that was probably meant (perhaps of none)."""
    keys = known_keys()
    table, key = _table_of(path), str(path[-1])
    place = f"in {_header(table)}" if table else "outside the tables"
    allowed = ", ".join(keys[table])
    stem = key.lower().rsplit("_", 1)[0]
    same_stem = [known for known in keys[table] if known.rsplit("_", 1)[0] == stem and known != key]
    if same_stem and "_" in same_stem[0]:
        unit = same_stem[0].rsplit("_", 1)[1]
        message = f'"{key}" is not a key {place}: this value is given in {_UNITS[unit]}, as {same_stem[0]}.'
        meant = (*path[:-1], same_stem[0])
        hint = f"Write it as {same_stem[0]}, and convert the number."
        return Problem(errors.FIELD_UNIT, message, given=key, allowed=allowed, hint=hint), meant
    open_keys = [known for known in keys[table] if (*path[:-1], known) in missing]
    near = get_close_matches(key.lower(), open_keys, n=1)
    elsewhere = [name for name, known in keys.items() if key in known and name != table]
    if elsewhere and not near:
        hint = f"That key belongs {'in ' + _header(elsewhere[0]) if elsewhere[0] else 'before the first table'}."
    else:
        near = near or get_close_matches(key.lower(), keys[table], n=1)
        hint = f'Did you mean "{near[0]}"?' if near else "Remove the line; nothing is ignored silently."
    message = f'"{key}" is not a key that a profile has {place}.'
    meant = (*path[:-1], near[0]) if near else ()
    return Problem(errors.FIELD_UNKNOWN, message, given=key, allowed=allowed, hint=hint), meant


_UNITS = {"mm": "millimetres", "s": "strokes per second", "days": "days"}


def _missing(path: Path) -> Problem:
    table, key = _table_of(path), str(path[-1])
    if not table and key in known_keys():
        return Problem(
            errors.FIELD_MISSING, f"The table {_header(key)} is missing.", hint=f"Add {_header(key)} with its keys."
        )
    place = f"in this {_header(table)}" if table == "zone" else f"in {_header(table)}" if table else "at the top"
    example = _EXAMPLES.get(key, "...")
    return Problem(errors.FIELD_MISSING, f'"{key}" is missing {place}.', hint=f"Add a line like {key} = {example}")


_EXAMPLES = {
    "schema": "1",
    "name": '"Full face, session 2"',
    "head": '"pen"',
    "id": '"A-1234"',
    "index": "2",
    "of": "5",
    "interval_days": "30",
    "max_step_mm": "0.25",
    "lot": '"LOT-17"',
    "expires": "2029-06-30",
    "needles": "14",
    "depth_mm": "0.5",
    "strokes": "1200",
    "rate_per_s": "20",
    "area": '"cheek"',
    "side": '"left"',
}


def _wrong_form(path: Path, detail: Any) -> Problem:
    if context := context_of(detail):
        return Problem(**context)
    given = detail["input"]
    name = str(path[0])
    if path == ("zone",):
        hint = "Write [[zone]] with double brackets above each zone."
    elif name == "zone":
        hint = "Write each zone as a [[zone]] with its keys below."
    else:
        hint = f"Write [{name}] and its keys below it."
    return Problem(
        errors.FIELD_TYPE,
        f"{path_text(path)} is {kind(given)}, where {'a list of zones' if path == ('zone',) else 'a table'} is due.",
        given=shown(given),
        hint=hint,
    )


# --- limits ---------------------------------------------------------------------------------------------------------


class _Case(NamedTuple):
    """A refusal with what is needed to word it."""

    refusal: Refusal
    profile: Profile
    bounds: Bounds

    @property
    def given(self) -> int:
        return self.refusal.given or 0

    @property
    def limit(self) -> int:
        return self.refusal.limit or 0

    def highest_um(self) -> int:
        """Return the deepest depth that every bound allows at the refusal's place."""
        high = min(self.bounds.ceiling_um, self.bounds.calibration_um)
        if self.refusal.zone is not None:
            high = min(high, self.bounds.zone_cap_um(self.profile.zones[self.refusal.zone].area))
            if self.profile.depth_um >= limits.DEPTH_MIN_UM:
                high = min(high, self.profile.depth_um)
        return high


class _Said(NamedTuple):
    message: str
    allowed: str = ""
    hint: str = ""


def refusal_path(refusal: Refusal) -> Path:
    """Return the path in the file of the field that a refusal of pencore names."""
    parts = refusal.field.split(".")
    if parts[0] == "zone":
        return ("zone",) if refusal.zone is None else ("zone", refusal.zone, *parts[1:])
    return tuple(parts)


def limit_problem(
    refusal: Refusal, profile: Profile, bounds: Bounds, document: Mapping[str, Any], source: Source
) -> Problem:
    """Return pencore's `refusal` of `profile` as a Problem of the file."""
    path = refusal_path(refusal)
    # The sum of all zones is no zone's fault: show the bound they break.
    shown_at: Path = ("limits", "strokes") if refusal.code == faults.STROKES_ABOVE_SESSION else path
    said = _WORDS.get(refusal.code, _out_of_range)(_Case(refusal, profile, bounds))
    problem = Problem(
        refusal.code,
        said.message,
        given=_value(refusal, refusal.given),
        limit=_value(refusal, refusal.limit),
        allowed=said.allowed,
        hint=said.hint,
    )
    return _placed(problem, shown_at, document, source)


def _value(refusal: Refusal, value: int | None) -> Value:
    """Return a refusal's number in the unit that the field's name ends with."""
    if value is None:
        return None
    if refusal.field.endswith("_mm"):
        return to_mm(value)
    if refusal.field == "cartridge.expires":
        return _day(value)
    if refusal.field == "head":
        return HEADS[value]
    return value


def _day(day: int) -> date | str:
    try:
        return _EPOCH + timedelta(days=day)
    except OverflowError:
        return f"day {day}"


def _too_deep(case: _Case, what: str) -> _Said:
    high = case.highest_um()
    hint = f"Set depth_mm to {mm_number(high)} or less."
    if case.given >= 1000 * limits.DEPTH_MIN_UM and case.given % 1000 == 0 and case.given // 1000 <= high:
        hint = f"Depths are in mm: if {case.given // 1000} um was meant, write {to_mm(case.given // 1000):f}."
    return _Said(f"{mm(case.given)} is deeper than {what}.", f"{mm_number(limits.DEPTH_MIN_UM)} to {mm(high)}", hint)


def _above_ceiling(case: _Case) -> _Said:
    return _too_deep(case, f"the pen goes at all, {mm(case.limit)}")


def _above_calibration(case: _Case) -> _Said:
    return _too_deep(case, f"this pen is calibrated for, {mm(case.limit)}")


def _above_cap(case: _Case) -> _Said:
    area = limits.area_name(case.profile.zones[case.refusal.zone or 0].area)
    return _too_deep(case, f"the cap of the area {area}, {mm(case.limit)}; no profile can raise a cap")


def _above_session(case: _Case) -> _Said:
    said = _too_deep(case, f"the session's own limit, limits.depth_mm = {mm_number(case.limit)}")
    without = min(case.bounds.ceiling_um, case.bounds.calibration_um)
    without = min(without, case.bounds.zone_cap_um(case.profile.zones[case.refusal.zone or 0].area))
    if case.given <= without:
        return said._replace(hint=f"{said.hint[:-1]}, or raise limits.depth_mm if that is meant.")
    return said


def _too_small(case: _Case) -> _Said:
    given = "is no depth" if case.given == 0 else "is a negative depth" if case.given < 0 else "is too shallow"
    high = max(case.highest_um(), limits.DEPTH_MIN_UM)
    low = limits.DEPTH_MIN_UM
    hint = f"Set depth_mm to {mm_number(low)} or more"
    leave = ", or remove the zone if it is not to be treated." if case.refusal.zone is not None else "."
    return _Said(f"{mm(case.given)} {given}.", f"{mm_number(low)} to {mm(high)}", hint + leave)


def _most_strokes(case: _Case) -> int:
    return min(limits.SESSION_STROKES_MAX, case.bounds.cartridge_strokes)


def _strokes_range(case: _Case) -> str:
    return f"{limits.STROKES_MIN} to {_most_strokes(case):,}"


def _too_few(case: _Case) -> _Said:
    what = "session" if case.refusal.zone is None else "zone"
    leave = ", or remove the zone." if what == "zone" else "."
    hint = f"Give the {what} a budget of at least one stroke{leave}"
    return _Said(f"{case.given:,} strokes are no budget.", _strokes_range(case), hint)


def _too_many(case: _Case) -> _Said:
    message = f"{case.given:,} strokes are more than any session may hold, {case.limit:,}."
    return _Said(message, _strokes_range(case), "Lower the budget.")


def _above_cartridge(case: _Case) -> _Said:
    message = f"{case.given:,} strokes are more than one cartridge may make, {case.limit:,}."
    return _Said(message, _strokes_range(case), "Lower the session's strokes; a cartridge serves one session.")


def _sum_above(case: _Case) -> _Said:
    # No session can be given that many: raising its limit would only lead to the next refusal.
    or_raise = ", or raise limits.strokes if that is meant" if case.given <= _most_strokes(case) else ""
    return _Said(
        f"The zones' strokes add up to {case.given:,}, the session allows {case.limit:,}.",
        f"zones of up to {counted(case.limit, 'stroke')} together",
        f"Take {counted(case.given - case.limit, 'stroke')} from the zones{or_raise}.",
    )


def _rate_low(case: _Case) -> _Said:
    highest = limits.max_rate(_possible_depth(case), case.bounds.geometry)
    return _Said(
        f"{case.given} strokes per second are none.",
        f"{limits.RATE_MIN_PER_S} to {highest} per second at this depth",
        "Set rate_per_s to 1 or more.",
    )


def _possible_depth(case: _Case) -> int:
    depth = case.profile.zones[case.refusal.zone or 0].depth_um
    return min(max(depth, limits.DEPTH_MIN_UM), limits.DEPTH_CEILING_UM)


def _rate_high(case: _Case) -> _Said:
    depth_um = case.profile.zones[case.refusal.zone or 0].depth_um
    if case.limit < limits.RATE_MIN_PER_S:
        return _Said(f"This pen cannot make even one stroke per second at {mm(depth_um)}.", hint="Set a smaller depth.")
    return _Said(
        f"{case.given} strokes per second are more than the pen can make at {mm(depth_um)}; "
        f"the highest possible rate is {case.limit}.",
        f"{limits.RATE_MIN_PER_S} to {case.limit} per second at {mm(depth_um)}",
        f"Set rate_per_s to {case.limit} or less; a shallower stroke can be faster.",
    )


def _zone_count(case: _Case) -> _Said:
    allowed = f"1 to {limits.ZONES_MAX} zones"
    if case.given == 0:
        return _Said(
            "The profile has no zones.", allowed, "Add a [[zone]] with area, side, depth_mm, strokes, rate_per_s."
        )
    hint = "Remove zones, or split the profile into two sessions."
    return _Said(f"The profile has {case.given} zones.", allowed, hint)


def _zone_twice(case: _Case) -> _Said:
    zone = case.profile.zones[case.given]
    name = limits.zone_name(zone.area, zone.side)
    return _Said(
        f"The zone {name} is given twice: zone[{case.limit}] and zone[{case.given}].",
        "each pair of area and side once",
        "Put the strokes of both into one zone, or give one of them the other side.",
    )


def _head(case: _Case) -> _Said:
    given, wanted = HEADS[case.given], HEADS[case.limit]
    return _Said(f'The profile is for the head "{given}", and this is a {wanted}.', wanted, f'Write head = "{wanted}".')


def _course_index(case: _Case) -> _Said:
    of = case.profile.course_of
    return _Said(
        f"Session {case.given} of {of} does not exist.",
        f"1 to {max(of, 1)}",
        "Correct index, or of if the course has more sessions.",
    )


def _course_of(case: _Case) -> _Said:
    high = limits.COURSE_SESSIONS_MAX
    return _Said(f"A course cannot have {case.given} sessions.", f"1 to {high} sessions", "Correct of.")


def _course_interval(case: _Case) -> _Said:
    low, high = case.bounds.interval_days, limits.INTERVAL_MAX_DAYS
    which = "shorter than the pen allows" if case.given < low else "longer than a course may have"
    hint = "Correct interval_days; 30 is usual."
    return _Said(f"An interval of {case.given} days is {which}.", f"{low} to {high} days", hint)


def _course_step(case: _Case) -> _Said:
    high = limits.COURSE_STEP_MAX_UM
    return _Said(
        f"{mm(case.given)} more from one session to the next is more than any course may plan.",
        f"0 to {mm(high)}",
        f"Set max_step_mm to {mm_number(high)} or less; 0.25 is usual.",
    )


def _expired(case: _Case) -> _Said:
    return _Said(
        f"The cartridge expired on {_day(case.given)}; today is {_day(case.limit)}.",
        f"{_day(case.limit)} or later",
        "Take a cartridge that is in date, and write its id, lot and expiry date. If today is another"
        " day, set this computer's clock right.",
    )


def _needles(case: _Case) -> _Said:
    high = limits.NEEDLES_MAX
    return _Said(f"A cartridge cannot have {case.given} needles.", f"1 to {high} needles", "Correct needles.")


def _out_of_range(case: _Case) -> _Said:
    refusal = case.refusal
    given, limit = _value(refusal, refusal.given), _value(refusal, refusal.limit)
    low = refusal.given is not None and refusal.limit is not None and refusal.given < refusal.limit
    return _Said(
        f"{given} does not fit into the field that carries it to the pen.",
        f"{limit} or {'more' if low else 'less'}",
        "Correct the value.",
    )


_WORDS: dict[int, Callable[[_Case], _Said]] = {
    faults.PROFILE_HEAD: _head,
    faults.PROFILE_ZONE_COUNT: _zone_count,
    faults.PROFILE_ZONE_TWICE: _zone_twice,
    faults.DEPTH_TOO_SMALL: _too_small,
    faults.DEPTH_ABOVE_SESSION: _above_session,
    faults.DEPTH_ABOVE_ZONE_CAP: _above_cap,
    faults.DEPTH_ABOVE_CEILING: _above_ceiling,
    faults.DEPTH_ABOVE_CALIBRATION: _above_calibration,
    faults.STROKES_TOO_FEW: _too_few,
    faults.STROKES_ABOVE_SESSION: _sum_above,
    faults.STROKES_ABOVE_MAX: _too_many,
    faults.STROKES_ABOVE_CARTRIDGE: _above_cartridge,
    faults.RATE_TOO_LOW: _rate_low,
    faults.RATE_TOO_HIGH: _rate_high,
    faults.COURSE_INDEX: _course_index,
    faults.COURSE_OF: _course_of,
    faults.COURSE_INTERVAL: _course_interval,
    faults.COURSE_STEP: _course_step,
    faults.CARTRIDGE_EXPIRED: _expired,
    faults.CARTRIDGE_NEEDLES: _needles,
}
"""Refusal code -> its wording; what pencore's `encode` refuses beyond these is a range of the binary form."""
