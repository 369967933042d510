"""Each mistake in a profile file has its own message: code, field, line, given, allowed, what to do."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.profile_files import GOOD, all_problems, only_problem, spoilt, without

VECTORS = Path(__file__).parents[1] / "vectors" / "profile-mistakes.toml"
MISTAKES: list[dict[str, Any]] = tomllib.loads(VECTORS.read_text(encoding="utf-8"), parse_float=Decimal)["mistake"]

BEFORE_ZONES = GOOD[: GOOD.index("[[zone]]")]
THIRTY_ZONES = "".join(
    f'\n[[zone]]\narea = "{area}"\nside = "{side}"\ndepth_mm = 0.5\nstrokes = 10\nrate_per_s = 9\n'
    for area in (
        *("forehead", "glabella", "periorbital", "upper-lip", "chin-jaw"),
        *("neck", "scalp", "abdomen", "stretch-marks", "facial-acne-scar"),
    )
    for side in ("none", "left", "right")
)

STRUCTURE = {
    "no zones": (
        BEFORE_ZONES,
        ("PROFILE_ZONE_COUNT", "zone", None),
        "The profile has no zones.",
        "Add a [[zone]] with area, side, depth_mm, strokes, rate_per_s.",
    ),
    "an empty list of zones": (
        "zone = []\n" + BEFORE_ZONES,
        ("PROFILE_ZONE_COUNT", "zone", 1),
        "The profile has no zones.",
        "Add a [[zone]] with area, side, depth_mm, strokes, rate_per_s.",
    ),
    "33 zones": (
        GOOD + THIRTY_ZONES,
        ("PROFILE_ZONE_COUNT", "zone", 23),
        "The profile has 33 zones.",
        "Remove zones, or split the profile into two sessions.",
    ),
    "a missing key": (
        without("strokes = 500"),
        ("FIELD_MISSING", "zone[2].strokes", 37),
        '"strokes" is missing in this [[zone]].',
        "Add a line like strokes = 1200",
    ),
    "a missing key at the top": (
        without("name"),
        ("FIELD_MISSING", "name", None),
        '"name" is missing at the top.',
        'Add a line like name = "Full face, session 2"',
    ),
    "a missing table": (
        GOOD[: GOOD.index("[limits]")] + GOOD[GOOD.index("[[zone]]") :],
        ("FIELD_MISSING", "limits", None),
        "The table [limits] is missing.",
        "Add [limits] with its keys.",
    ),
    "a value for a table": (
        'course = "course-7"\n' + GOOD[: GOOD.index("[course]")] + GOOD[GOOD.index("[cartridge]") :],
        ("FIELD_TYPE", "course", 1),
        "course is a text, where a table is due.",
        "Write [course] and its keys below it.",
    ),
    "a single zone table": (
        BEFORE_ZONES + '[zone]\narea = "cheek"\n',
        ("FIELD_TYPE", "zone", 23),
        "zone is a table, where a list of zones is due.",
        "Write [[zone]] with double brackets above each zone.",
    ),
    "zones that are no tables": (
        "zone = [1]\n" + BEFORE_ZONES,
        ("FIELD_TYPE", "zone[0]", 1),
        "zone[0] is a whole number, where a table is due.",
        "Write each zone as a [[zone]] with its keys below.",
    ),
}


def test_good_file_has_no_problem() -> None:
    assert all_problems(GOOD) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake["what"])
def test_one_mistake_has_its_own_message(mistake: dict[str, Any]) -> None:
    text = spoilt(mistake["old"], mistake["new"])
    problem = only_problem(text)
    assert (problem.name, problem.field, problem.line) == (mistake["name"], mistake["field"], mistake["line"])
    assert (problem.given, problem.limit) == (mistake.get("given"), mistake.get("limit"))
    assert problem.message == mistake["message"]
    assert (problem.allowed, problem.hint) == (mistake["allowed"], mistake["hint"])
    assert problem.file == "face.toml"
    # The line is where the field stands, by another count than the tool's own.
    line = text.splitlines()[mistake["line"] - 1]
    key = mistake["field"].rpartition(".")[2] or "depth_mm"
    assert line.startswith("[[zone]]" if key == "zone[1]" else f"{key} = ")
    assert problem.excerpt == line


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("strokes = 500", "strokes = 2,400", "Write strokes = 2400 or 2_400; a count has no comma."),
        ("strokes = 500", "strokes = 1,200,000 # all", "Write strokes = 1200000 or 1_200_000; a count has no comma."),
        ("strokes = 500", "strokes = 2,4", "Write strokes as a whole number; a count has no comma."),
        ("depth_mm = 1.25", "depth_mm = 0,25", "Write depth_mm = 0.25."),
        ("max_step_mm = 0.25", "max_step_mm = 0,125", "Write max_step_mm = 0.125."),
        ("depth_mm = 1.25", "depth_mm = 1,000,25", "Write one decimal point."),
        ('area = "nose"', "area = “forehead”", 'Use straight quotation marks: area = "forehead"'),
        ('lot = "LOT-17"', "lot = \u2018LOT-17\u2019 # new", 'Use straight quotation marks: lot = "LOT-17"'),
        ("2031-06-30", "31.12.2027", "Write expires = 2027-12-31 (year-month-day)."),
        ("2031-06-30", "31-12-2027", "Write expires = 2027-12-31 (year-month-day)."),
        ("2031-06-30", "12/31/2027", "Write expires = 2027-12-31 (year-month-day)."),
        ("2031-06-30", "3/4/2027", "Write expires = 2027-04-03 or 2027-03-04 (year-month-day)."),
        ("2031-06-30", "4/4/2027", "Write expires = 2027-04-04 (year-month-day)."),
        ("2031-06-30", "2027-2-3", "Write expires = 2027-02-03 (year-month-day)."),
        ("2031-06-30", "2027-02-30", "There is no such day."),
        ("2031-06-30", "31.02.2027", "There is no such day."),
    ],
)
def test_a_value_that_is_no_toml_has_a_hint_of_its_own(old: str, new: str, hint: str) -> None:
    problem = only_problem(spoilt(old, new))
    assert (problem.name, problem.hint) == ("TOML_SYNTAX", hint)


@pytest.mark.parametrize(
    ("limit", "strokes", "hint"),
    [
        ("200_000", "199_000", "Take 500 strokes from the zones."),
        ("199_999", "199_000", "Take 501 strokes from the zones."),
        ("199_999", "198_500", "Take 1 stroke from the zones, or raise limits.strokes if that is meant."),
    ],
)
def test_raising_the_sessions_strokes_is_proposed_only_where_it_helps(limit: str, strokes: str, hint: str) -> None:
    text = spoilt("strokes = 1_000", f"strokes = {strokes}", spoilt("strokes = 3_000", f"strokes = {limit}"))
    problem = only_problem(text)
    assert (problem.name, problem.hint) == ("STROKES_ABOVE_SESSION", hint)


@pytest.mark.parametrize("what", STRUCTURE)
def test_a_wrong_structure_has_its_own_message(what: str) -> None:
    text, place, message, hint = STRUCTURE[what]
    problem = only_problem(text)
    assert (problem.name, problem.field, problem.line) == place
    assert (problem.message, problem.hint) == (message, hint)


def test_messages_tell_the_mistakes_apart() -> None:
    messages = {mistake["message"] for mistake in MISTAKES if mistake["name"] != "PROFILE_SCHEMA"}
    assert len(messages) == sum(mistake["name"] != "PROFILE_SCHEMA" for mistake in MISTAKES) > 40


def test_a_problem_names_line_column_zone_and_the_line_itself() -> None:
    problem = only_problem(spoilt("depth_mm = 0.5", "  depth_mm = 0.5009 # fine"))
    assert (problem.line, problem.column, problem.zone) == (40, 3, "nose")
    assert problem.excerpt == "depth_mm = 0.5009 # fine"


MANY = """\
name = "Café"
head = "pen"
schema = 1

[course]
id = "c"
index = 7
of = 6
interval_days = 30
max_step_mm = -1

[cartridge]
id = "x"
lot = "l"
expires = 2020-01-01
needles = 14
colour = "red"

[limits]
depth_mm = 2.501
strokes = 100

[[zone]]
area = "cheek"
side = "left"
depth_mm = "1.5 mm"
strokes = 100.0
rate_per_s = 60

[[zone]]
area = "forhead"
side = "left"
depth_mm = 2.6
strokes = 0
rate_per_s = 60

[[zone]]
area = "nose"
side = "none"
depth_um = 500
strokes = 2000
rate_per_s = 60

[[zone]]
area = "nose"
side = "none"
depth_mm = 0.5
strokes = 2000
rate_per_s = 60
"""


def test_all_problems_are_found_at_once_in_the_order_of_lines() -> None:
    found = [(problem.line, problem.field, problem.name) for problem in all_problems(MANY)]
    assert found == [
        (1, "name", "PROFILE_TEXT"),
        (7, "course.index", "COURSE_INDEX"),
        (10, "course.max_step_mm", "COURSE_STEP"),
        (15, "cartridge.expires", "CARTRIDGE_EXPIRED"),
        (17, "cartridge.colour", "FIELD_UNKNOWN"),
        (20, "limits.depth_mm", "DEPTH_ABOVE_CEILING"),
        (21, "limits.strokes", "STROKES_ABOVE_SESSION"),
        (26, "zone[0].depth_mm", "FIELD_UNIT"),
        (27, "zone[0].strokes", "FIELD_TYPE"),
        (31, "zone[1].area", "PROFILE_ZONE_AREA"),
        (33, "zone[1].depth_mm", "DEPTH_ABOVE_CEILING"),
        (34, "zone[1].strokes", "STROKES_TOO_FEW"),
        (40, "zone[2].depth_um", "FIELD_UNIT"),
        (44, "zone[3]", "PROFILE_ZONE_TWICE"),
        (49, "zone[3].rate_per_s", "RATE_TOO_HIGH"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        # What rests on an unusable value is not said: the number in it would be a guess.
        ("depth_mm = 1.25\nstrokes = 1_000\nrate_per_s = 20", 'depth_mm = "x"\nstrokes = 1_000\nrate_per_s = 60',
         ["FIELD_UNIT"]),
        ('area = "nose"', 'area = "noze"', ["PROFILE_ZONE_AREA"]),
        ("of = 6", 'of = "six"', ["FIELD_TYPE"]),
        ("strokes = 3_000", 'strokes = "many"', ["FIELD_TYPE"]),
        ("depth_mm = 1.50", 'depth_mm = "1"', ["FIELD_UNIT"]),
        ('side = "right"', 'side = "lefft"', ["PROFILE_ZONE_SIDE"]),
        ("2031-06-30", '"2020-01-01"', ["FIELD_TYPE"]),
        ('head = "pen"', 'head = "roler"', ["PROFILE_HEAD"]),
    ],
)  # fmt: skip
def test_nothing_is_concluded_from_an_unusable_value(old: str, new: str, names: list[str]) -> None:
    assert [problem.name for problem in all_problems(spoilt(old, new))] == names


def test_an_index_beyond_every_course_waits_for_a_usable_number_of_sessions() -> None:
    text = spoilt("of = 6", 'of = "six"', spoilt("index = 2", "index = 13"))
    assert [problem.field for problem in all_problems(text)] == ["course.of"]


ONE_MORE = '\n[[zone]]\narea = "{}"\nside = "{}"\ndepth_mm = {}\nstrokes = 10\nrate_per_s = 10\n'


@pytest.mark.parametrize(
    ("zones", "names"),
    [
        # Two zones that are wrong in the same way are not therefore the same zone.
        ([("neck", "up", 0.5), ("neck", "down", 0.5)], ["PROFILE_ZONE_SIDE"] * 2),
        ([("nek", "left", 0.5), ("neckk", "left", 0.5)], ["PROFILE_ZONE_AREA"] * 2),
        # A zone whose place is unknown hides no zone that is given twice.
        ([("neck", "up", 0.5), *[("neck", "none", 0.5)] * 2], ["PROFILE_ZONE_SIDE", "PROFILE_ZONE_TWICE"]),
        ([("?", "none", 0.5), *[("abdomen", "none", 0.5)] * 2], ["PROFILE_ZONE_AREA", "PROFILE_ZONE_TWICE"]),
        # Without its area a zone has no cap, but still the pen's ceiling.
        ([("?", "none", 2.2)], ["PROFILE_ZONE_AREA"]),
        ([("?", "none", 2.6)], ["PROFILE_ZONE_AREA", "DEPTH_ABOVE_CEILING"]),
    ],
)  # fmt: skip
def test_zones_of_unknown_place(zones: list[tuple[str, str, float]], names: list[str]) -> None:
    text = spoilt("depth_mm = 1.50", "depth_mm = 2.5") + "".join(ONE_MORE.format(*zone) for zone in zones)
    assert [problem.name for problem in all_problems(text)] == names


def test_budgets_are_not_held_against_an_unusable_session_budget() -> None:
    text = spoilt("strokes = 3_000", 'strokes = "many"').replace("1_000", "150_000")
    assert [problem.name for problem in all_problems(text)] == ["FIELD_TYPE"]
