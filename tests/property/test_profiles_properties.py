"""Profiles as files: what holds for every text, every depth and every combination of values."""

import contextlib
import datetime
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import tomlkit
from hypothesis import example, given
from hypothesis import strategies as st

from pencore import limits
from pencore import profile as core
from pencore.limits import Bounds
from pencore.profile import Profile, Zone
from pencore.units import Geometry
from pinprick import wording
from pinprick.errors import Problem, ValidationFailed
from pinprick.profiles import ProfileFile, check, load_profile, parse_profile, to_core
from pinprick.profiles.edit import edit
from pinprick.profiles.positions import positions
from pinprick.profiles.units import mm_number, neighbours_um, to_mm, to_um
from tests.support.profile_files import GOOD, NOW

# --- places ---------------------------------------------------------------------------------------------------------

KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5) | st.sampled_from(
    ["a", "b", "zone", "a.b", "[x]", "#", "=", '"', "'", "\\"]
)
SCALARS = (
    st.booleans()
    | st.integers(-99, 99)
    | st.dates()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(['"""', "'''", "\\", "a = 1\n[b]\n", '\\"', "]", "}", "# no comment"])
)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(KEYS, inner, max_size=3)
            | st.lists(st.dictionaries(KEYS, inner, min_size=1, max_size=2), max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Return the path of everything inside `value`."""
    if isinstance(value, dict):
        items: list[tuple[str | int, Any]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        items = []
    return {(*path, key) for key, _ in items}.union(*(paths_of(item, (*path, key)) for key, item in items))


@given(DOCUMENTS)
def test_everything_in_a_document_has_a_place_and_nothing_else_has(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    known = paths_of(tomllib.loads(text))
    places = positions(text)
    assert set(places) == known
    lines = text.split("\n")
    for path, place in places.items():
        rest = lines[place.line - 1][place.column - 1 :]
        key = path[-1]
        if isinstance(key, str) and not rest.startswith(("[", '"', "'")):
            assert rest.startswith(key)


# --- depths ---------------------------------------------------------------------------------------------------------

FINITE = st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(-3, 3, places=4)


@given(FINITE)
@example(Decimal("0E+100"))
@example(Decimal("1E+999999"))
@example(Decimal("-1E-999999"))
@example(Decimal("1.5000000000000000000000000000000000000000001"))
@example(Decimal("123456789012345678901234567890.123"))
def test_millimetres_become_micrometres_exactly_or_not_at_all(value: Decimal) -> None:
    um = to_um(value)
    if value and value.adjusted() >= 40:
        assert um == (10**43 if value > 0 else -(10**43))
    elif value and value.adjusted() < -60:
        assert um is None
    else:
        exact = Fraction(value) * 1000
        assert um == (exact if exact.denominator == 1 else None)
        if um is None:
            low, high = neighbours_um(value)
            assert low < exact < high == low + 1


@given(st.integers(-(10**6), 10**6))
def test_micrometres_are_shown_exactly(um: int) -> None:
    assert to_um(to_mm(um)) == um
    shown = mm_number(um)
    assert Fraction(shown) * 1000 == um
    assert len(shown.partition(".")[2]) == (2 if um % 10 == 0 else 3)


# --- values ---------------------------------------------------------------------------------------------------------


def around(*bounds: int) -> st.SearchStrategy[int]:
    """Return numbers on and next to `bounds`, and now and then far from them."""
    near = [bound + step for bound in bounds for step in (-1, 0, 1)]
    return st.sampled_from(near) | st.integers(min(near), max(near))


ZONES = st.builds(
    Zone,
    st.integers(0, len(limits.AREAS) - 1),
    st.integers(0, 2),
    around(0, 100, 500, 750, 1000, 1500, 2000, 2500),
    around(1, 300),
    around(1, 15, 21, 37),
)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Return profiles on both sides of each limit."""
    profile = Profile()
    profile.name = "any"
    profile.course_id = "c"
    profile.course_of = draw(st.sampled_from([1, 6, 12] * 3 + [0, 13]))
    profile.course_index = draw(st.sampled_from([1] * 9 + [0, 2, 6, 12]))
    profile.interval_days = draw(st.sampled_from([4, 30, 365] * 3 + [3, 366, -1]))
    profile.max_step_um = draw(st.sampled_from([0, 250, 500] * 3 + [-1, 501]))
    profile.cartridge_id = "k"
    profile.cartridge_lot = "l"
    profile.expires_day = NOW // 86_400 + draw(st.sampled_from([0, 1, 900] * 3 + [-1]))
    profile.needles = draw(st.sampled_from([1, 14, 64] * 3 + [0, 65]))
    profile.depth_um = draw(st.sampled_from([2500] * 6 + [1500, 99, 2501]))
    profile.strokes = draw(st.sampled_from([10_000] * 6 + [200_000, 200_001, 0, 500]))
    profile.zones = draw(st.lists(ZONES, max_size=3))
    profile.issued_at = NOW
    profile.serial = "P-1"
    return profile


def as_text(profile: Profile) -> str:
    """Return `profile` as a file."""
    expires = datetime.date(1970, 1, 1) + datetime.timedelta(days=profile.expires_day)
    text = (
        f'schema = 1\nname = "{profile.name}"\nhead = "pen"\n[course]\nid = "{profile.course_id}"\n'
        f"index = {profile.course_index}\nof = {profile.course_of}\ninterval_days = {profile.interval_days}\n"
        f'max_step_mm = {Decimal(profile.max_step_um) / 1000}\n[cartridge]\nid = "{profile.cartridge_id}"\n'
        f'lot = "{profile.cartridge_lot}"\nexpires = {expires}\nneedles = {profile.needles}\n[limits]\n'
        f"depth_mm = {Decimal(profile.depth_um) / 1000}\nstrokes = {profile.strokes}\n"
    )
    for zone in profile.zones:
        text += (
            f'[[zone]]\narea = "{limits.AREAS[zone.area][0]}"\nside = "{limits.SIDES[zone.side]}"\n'
            f"depth_mm = {Decimal(zone.depth_um) / 1000}\nstrokes = {zone.strokes}\nrate_per_s = {zone.rate_per_s}\n"
        )
    return text


def read(text: str, bounds: Bounds | None = None) -> tuple[ProfileFile | None, list[int]]:
    """Return the profile in `text`, or the codes of its problems, sorted."""
    try:
        return parse_profile(text, "any.toml", bounds, NOW), []
    except ValidationFailed as failed:
        return None, sorted(problem.code for problem in failed.problems)


def said_alike(told: list[int], profile: Profile, bounds: Bounds) -> bool:
    """Return whether `told` are the codes that the pen would refuse `profile` with."""
    return told == sorted(refusal.code for refusal in core.problems(profile, bounds))


@given(profiles())
def test_the_tool_refuses_exactly_what_the_pen_refuses(profile: Profile) -> None:
    _, told = read(as_text(profile))
    assert said_alike(told, profile, Bounds(Geometry()))


@given(profiles(), st.integers(100, 2500), st.integers(0, 12), st.integers(1, 40_000))
def test_a_pen_with_tighter_bounds_is_asked_the_same_way(profile: Profile, cap: int, areas: int, most: int) -> None:
    ceiling = max(cap, 600)
    bounds = Bounds(Geometry(), 0, ceiling, min(ceiling, 1200), [cap] * areas, most, 28)
    _, told = read(as_text(profile), bounds)
    assert said_alike(told, profile, bounds)


@st.composite
def zones_within_limits(draw: st.DrawFn) -> list[Zone]:
    """Return 1 to 32 zones that a pen carries out, strokes of at most 6,000 each."""
    pairs = st.tuples(st.integers(0, len(limits.AREAS) - 1), st.integers(0, 2))
    zones = []
    for area, side in draw(st.lists(pairs, min_size=1, max_size=32, unique=True)):
        depth_um = draw(st.integers(limits.DEPTH_MIN_UM, limits.zone_cap_um(area)))
        rate = draw(st.integers(1, limits.max_rate(depth_um, Geometry())))
        zones.append(Zone(area, side, depth_um, draw(st.integers(1, 6_000)), rate))
    return zones


@given(profiles(), zones_within_limits())
def test_a_profile_within_the_limits_arrives_as_it_was_written(profile: Profile, zones: list[Zone]) -> None:
    profile.course_of, profile.course_index, profile.interval_days, profile.max_step_um = 6, 2, 30, 250
    profile.expires_day, profile.needles, profile.depth_um, profile.strokes = NOW // 86_400, 14, 2500, 200_000
    profile.zones = zones
    file, told = read(as_text(profile))
    assert told == []
    assert file is not None
    assert check(file, issued_at=NOW) == []
    sent = core.encode(to_core(file, profile.serial, 0, bytes(32), NOW))
    assert sent == core.encode(profile)
    assert core.encode(core.decode(sent)) == sent


# --- any text -------------------------------------------------------------------------------------------------------


def problems_of(text: str) -> Sequence[Problem]:
    """Return the problems of `text`; nothing but a ValidationFailed may come of reading it."""
    try:
        parse_profile(text, "any.toml", issued_at=NOW)
    except ValidationFailed as failed:
        return failed.problems
    return ()


def is_refused_or_read(text: str) -> None:
    """Read `text` as a profile, and look at what is said of it."""
    for problem in problems_of(text):
        assert problem.code in wording.WORDING
        assert problem.message
        assert problem.file == "any.toml"
        assert problem.line is None or 1 <= problem.line <= text.count("\n") + 1


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    is_refused_or_read(text)


@given(st.data())
def test_a_good_file_with_a_piece_changed_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(len(GOOD), start + 30)))
    piece = data.draw(
        st.text("\"'[]{}=.,#\n 01-eainftru\\", max_size=8) | st.sampled_from([GOOD[100:200], "[[zone]]\n"])
    )
    is_refused_or_read(GOOD[:start] + piece + GOOD[end:])


VALUES = st.sampled_from(
    ["1", "-1", "0.5", "1e400", "nan", "inf", '"text"', "true", "[]", "{}", "[[1]]", "{ a = 1 }", "12:00:00"]
) | st.sampled_from(
    ["1979-05-27", "1979-05-27T07:32:00Z", "9" * 400, "0.1234", "-0.0", '""', '"\\u0000"', "0001-01-01"]
)
LINES = [number for number, line in enumerate(GOOD.split("\n")) if " = " in line]


@given(st.lists(st.tuples(st.sampled_from(LINES), VALUES), min_size=1, max_size=4))
def test_any_value_at_any_key_is_read_or_refused(changes: list[tuple[int, str]]) -> None:
    lines = GOOD.split("\n")
    for number, value in changes:
        lines[number] = f"{lines[number].partition(' = ')[0]} = {value}"
    is_refused_or_read("\n".join(lines))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: Any, data: bytes) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with contextlib.suppress(ValidationFailed):
        load_profile(path, issued_at=NOW)


# --- edits ----------------------------------------------------------------------------------------------------------


@given(st.sampled_from([("course", "index"), ("limits", "strokes"), ("cartridge", "needles")]), st.integers(1, 99))
def test_an_edit_changes_its_line_and_no_other(path: tuple[str, str], value: int) -> None:
    after = edit(GOOD, {path: value})
    line = positions(GOOD)[path].line
    changed = [
        number
        for number, (old, new) in enumerate(zip(GOOD.split("\n"), after.split("\n"), strict=True), start=1)
        if old != new
    ]
    before = tomllib.loads(GOOD)[path[0]][path[1]]
    assert changed == ([] if before == value and f"= {value}\n" in GOOD else [line])
    assert tomllib.loads(after)[path[0]][path[1]] == value
