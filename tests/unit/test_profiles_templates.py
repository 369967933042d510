"""Templates, examples and the JSON Schema: right by the tool's own check, and right among each other."""

import re
import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pencore import limits
from pencore.units import Geometry
from pinprick import protocol_doc
from pinprick.cli.gendocs import generated
from pinprick.errors import ValidationFailed
from pinprick.profiles import load_profile, parse_profile
from pinprick.profiles.edit import PLACEHOLDERS, remarks
from pinprick.profiles.model import AREA_NAMES, known_keys
from pinprick.profiles.schema import json_schema, schema_text
from pinprick.profiles.templates import PLANS, examples, placeholders, render
from tests.support.profile_files import GOOD, NOW, all_problems, spoilt

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))
COURSE = [ROOT / "examples" / f"full-face-session-{number}.toml" for number in range(1, 6)]


def test_generated_files_are_up_to_date() -> None:
    files = generated()
    assert set(files) == {protocol_doc.PATH, "docs/profile.schema.json", *(f"examples/{name}" for name in examples())}
    for path, text in files.items():
        assert (ROOT / path).read_bytes() == text.encode(), f"{path}: run `make docs`"


def test_there_is_no_example_that_nobody_makes() -> None:
    assert [path.name for path in EXAMPLES] == sorted(examples())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_a_good_profile_for_years(path: Path) -> None:
    profile = load_profile(path)
    assert profile.cartridge.expires > date(2030, 1, 1)
    assert remarks(profile, date(2030, 1, 1)) == []
    for zone in profile.zones:
        low = limits.AREAS[AREA_NAMES.index(zone.area)][1]
        assert low <= zone.depth_um <= limits.zone_cap_um(AREA_NAMES.index(zone.area))
        assert zone.rate_per_s <= limits.max_rate(zone.depth_um, Geometry())


def test_the_face_is_whole_and_left_and_right_are_apart() -> None:
    profile = load_profile(COURSE[1])
    assert [zone.label for zone in profile.zones] == [
        *("forehead left", "forehead right", "glabella", "periorbital left", "periorbital right", "nose"),
        *("cheek left", "cheek right", "upper-lip left", "upper-lip right", "chin-jaw left", "chin-jaw right"),
        *("neck left", "neck right"),
    ]


def test_the_second_session_is_the_demo_that_takes_twenty_minutes() -> None:
    profile = load_profile(COURSE[1])
    assert profile.strokes == profile.limits.strokes == 25_000
    assert 1_150 <= profile.trigger_s <= 1_200


def test_a_course_deepens_by_its_step_at_most_and_changes_nothing_else_of_the_plan() -> None:
    course = [load_profile(path) for path in COURSE]
    assert [profile.course.index for profile in course] == [1, 2, 3, 4, 5]
    assert len({profile.course.id for profile in course}) == 1
    assert len({profile.cartridge.id for profile in course}) == 5
    assert course[0].limits.depth_mm < course[-1].limits.depth_mm
    for before, after in pairwise(course):
        assert (after.course.of, after.course.interval_days) == (before.course.of, before.course.interval_days)
        for old, new in zip(before.zones, after.zones, strict=True):
            assert old.label == new.label
            assert 0 <= new.depth_mm - old.depth_mm <= after.course.max_step_mm


@pytest.mark.parametrize("name", PLANS)
def test_each_session_of_each_template_is_a_good_profile(name: str) -> None:
    plan = PLANS[name]
    assert {len(zone.depths_um) for zone in plan.zones} == {plan.sessions}
    today = date(2030, 3, 17)
    for session in range(1, plan.sessions + 1):
        text = render(plan, session, placeholders(today))
        profile = parse_profile(text, issued_at=NOW)
        assert profile.course.index == session
        assert profile.name == f"{plan.title}, session {session} of {plan.sessions}"
        assert len(remarks(profile, today)) == len(PLACEHOLDERS) + 1 == 4
        assert "\nexpires = 2030-03-17 # PLACEHOLDER (today): write the date on the pouch\n" in text
        assert f"session {session}" not in "".join(line for line in text.splitlines() if line.startswith("#"))
        with pytest.raises(ValidationFailed):
            parse_profile(text, issued_at=NOW + 86_400)


# --- schema ---------------------------------------------------------------------------------------------------------

SCHEMA = json_schema()
TABLES = {"course": "Course", "cartridge": "Cartridge", "limits": "Limits", "zone": "ZoneEntry"}


def fields() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (table, key, schema) of every value in a profile file; the table is "" at the top."""
    found = [("", key, value) for key, value in SCHEMA["properties"].items() if "$ref" not in value and key != "zone"]
    for table, definition in TABLES.items():
        found += [(table, key, value) for key, value in SCHEMA["$defs"][definition]["properties"].items()]
    return found


def test_the_schema_has_every_key_wants_every_key_and_takes_no_other() -> None:
    keys = known_keys()
    for table, definition in [("", SCHEMA), *((table, SCHEMA["$defs"][name]) for table, name in TABLES.items())]:
        assert tuple(definition["properties"]) == keys[table]
        assert sorted(definition["required"]) == sorted(keys[table])
        assert definition["additionalProperties"] is False
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema_text().endswith("}\n")


@pytest.mark.parametrize(("table", "key", "value"), fields(), ids=lambda value: value if isinstance(value, str) else "")
def test_each_field_is_described_and_a_number_has_its_unit(table: str, key: str, value: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Zl].*\.", value["description"])
    if value["type"] in ("number", "integer") and "const" not in value:
        assert value["x-unit"]
        assert value["minimum"] < value["maximum"]
    if key.endswith("_mm"):
        assert value["x-unit"] == "mm"


NUMBERS = [(table, key, value) for table, key, value in fields() if "maximum" in value]
STEP = {"number": 0.001, "integer": 1}
# An end that another field forbids is not the schema's: the zones' budgets, the area's cap, the depth's highest rate.
FORBIDDEN_ENDS = {("limits", "strokes", "minimum"), ("zone", "depth_mm", "maximum"), ("zone", "rate_per_s", "maximum")}


@pytest.mark.parametrize(("table", "key", "value"), NUMBERS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_tool_takes_a_number_as_far_as_the_schema_does(table: str, key: str, value: dict[str, Any]) -> None:
    header = "[[zone]]" if table == "zone" else f"[{table}]"
    field = f"zone[0].{key}" if table == "zone" else f"{table}.{key}"
    before, _, after = spoilt("of = 6", "of = 12").partition(header)

    def refused(number: float) -> bool:
        text = before + header + re.sub(rf"\n{key} = \S+", f"\n{key} = {round(number, 3)}", after, count=1)
        return field in [problem.field for problem in all_problems(text)]

    step = STEP[value["type"]]
    for end, beyond in (("minimum", -step), ("maximum", step)):
        assert refused(value[end] + beyond)
        assert refused(value[end]) == ((table, key, end) in FORBIDDEN_ENDS)


def test_each_cap_is_in_the_schema() -> None:
    rules = SCHEMA["$defs"]["ZoneEntry"]["allOf"]
    caps = {
        rule["if"]["properties"]["area"]["const"]: rule["then"]["properties"]["depth_mm"]["maximum"] for rule in rules
    }
    assert caps == {name: cap / 1000 for name, _, cap in limits.AREAS}


@pytest.mark.parametrize("text", ["plain", "a b-c_d.e(1)!~", 'quo"te', "back\\slash", "é", "tab\t"])
def test_the_schema_takes_the_texts_that_the_tool_takes(text: str) -> None:
    pattern = SCHEMA["$defs"]["Cartridge"]["properties"]["lot"]["pattern"]
    try:
        parse_profile(spoilt('"LOT-17"', "'" + text + "'"), issued_at=NOW)
        taken = True
    except ValidationFailed:
        taken = False
    assert bool(re.search(pattern, text)) == taken


def test_the_good_file_has_the_keys_of_the_schema() -> None:
    document = tomllib.loads(GOOD)
    assert set(document) == set(SCHEMA["properties"])
    assert set(document["zone"][0]) == set(SCHEMA["$defs"]["ZoneEntry"]["properties"])
