"""From a file to what the pen takes; checking with the bounds of one pen; comparing and editing."""

import datetime
from decimal import Decimal

import pytest

from pencore import faults
from pencore import profile as core
from pencore.limits import Bounds
from pencore.units import Geometry
from pinprick.errors import ValidationFailed
from pinprick.profiles import Change, changes, check, default_bounds, parse_profile, to_core
from pinprick.profiles.edit import edit, next_session, remarks
from tests.support.profile_files import GOOD, NOW, spoilt

DAY_S = 86_400


def test_every_field_reaches_the_pen() -> None:
    file = parse_profile(GOOD, issued_at=NOW)
    profile = to_core(file, "PEN-7", 41, bytes(range(32)), NOW)
    assert (profile.serial, profile.session_id, profile.ledger_head) == ("PEN-7", 41, bytes(range(32)))
    assert (profile.issued_at, profile.name, profile.head) == (NOW, "Cheeks, session 2 of 6", core.HEAD_PEN)
    assert (profile.course_id, profile.course_index, profile.course_of) == ("course-7", 2, 6)
    assert (profile.interval_days, profile.max_step_um) == (30, 250)
    assert (profile.cartridge_id, profile.cartridge_lot, profile.needles) == ("A-1234", "LOT-17", 14)
    assert profile.expires_day * DAY_S == datetime.datetime(2031, 6, 30, tzinfo=datetime.UTC).timestamp()
    assert (profile.depth_um, profile.strokes) == (1500, 3000)
    zones = [(zone.area, zone.side, zone.depth_um, zone.strokes, zone.rate_per_s) for zone in profile.zones]
    assert zones == [(4, 1, 1250, 1000, 20), (4, 2, 1000, 1000, 20), (3, 0, 500, 500, 15)]
    assert core.decode(core.encode(profile)).zones[0].depth_um == 1250


def test_a_file_knows_its_zones_budget_and_time() -> None:
    file = parse_profile(GOOD, issued_at=NOW)
    assert [zone.label for zone in file.zones] == ["cheek left", "cheek right", "nose"]
    assert file.zones[0].depth_um == 1250
    assert file.strokes == 2500
    assert file.trigger_s == pytest.approx(1000 / 20 + 1000 / 20 + 500 / 15)


def test_the_expiry_counts_to_the_end_of_its_day() -> None:
    last_second = int(datetime.datetime(2031, 6, 30, 23, 59, 59, tzinfo=datetime.UTC).timestamp())
    file = parse_profile(GOOD, issued_at=last_second)
    assert check(file, issued_at=last_second) == []
    assert [problem.name for problem in check(file, issued_at=last_second + 1)] == ["CARTRIDGE_EXPIRED"]


def test_without_a_time_the_present_counts() -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    far = (today + datetime.timedelta(days=2)).isoformat()
    past = (today - datetime.timedelta(days=2)).isoformat()
    assert check(parse_profile(spoilt("2031-06-30", far))) == []
    with pytest.raises(ValidationFailed) as caught:
        parse_profile(spoilt("2031-06-30", past))
    assert caught.value.code == faults.CARTRIDGE_EXPIRED


def test_a_checked_file_is_checked_again_for_one_pen_and_keeps_its_lines() -> None:
    file = parse_profile(GOOD, "face.toml", issued_at=NOW)
    tight = Bounds(Geometry(), 0, 2000, 1400, [750] * 4 + [1100], 2_999, 31)
    found = [(problem.line, problem.name, problem.limit, problem.allowed) for problem in check(file, tight, NOW)]
    assert found == [
        (10, "COURSE_INTERVAL", 31, "31 to 365 days"),
        (20, "DEPTH_ABOVE_CALIBRATION", Decimal("1.4"), "0.10 to 1.40 mm"),
        (21, "STROKES_ABOVE_CARTRIDGE", 2_999, "1 to 2,999"),
        (26, "DEPTH_ABOVE_ZONE_CAP", Decimal("1.1"), "0.10 to 1.10 mm"),
    ]


def test_a_pen_too_slow_for_one_stroke_a_second_says_so() -> None:
    slow = Bounds(Geometry(v_max_um_s=1_000, a_max_mm_s2=100, lead_um=500))
    file = parse_profile(GOOD, issued_at=NOW)
    found = check(file, slow, NOW)
    assert [(problem.field, problem.limit) for problem in found] == [
        (f"zone[{index}].rate_per_s", 0) for index in range(3)
    ]
    assert found[0].message == "This pen cannot make even one stroke per second at 1.25 mm."


def test_a_lower_session_limit_above_the_cap_is_not_offered_to_be_raised() -> None:
    text = spoilt("depth_mm = 1.50", "depth_mm = 1.2", spoilt("depth_mm = 1.25", "depth_mm = 1.51"))
    with pytest.raises(ValidationFailed) as caught:
        parse_profile(text, issued_at=NOW)
    (problem,) = caught.value.problems
    # The cap is named first; keeping to the session's limit mends both.
    assert (problem.name, problem.allowed) == ("DEPTH_ABOVE_ZONE_CAP", "0.10 to 1.20 mm")
    assert problem.hint == "Set depth_mm to 1.20 or less."


def test_the_default_bounds_are_the_widest() -> None:
    bounds = default_bounds()
    assert (bounds.ceiling_um, bounds.calibration_um, bounds.cartridge_strokes) == (2500, 2500, 200_000)


def test_validation_failed_carries_its_first_problem() -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse_profile(spoilt("index = 2", "index = 7", spoilt("needles = 14", "needles = 0")), "f.toml", issued_at=NOW)
    failed = caught.value
    assert [problem.name for problem in failed.problems] == ["COURSE_INDEX", "CARTRIDGE_NEEDLES"]
    assert (failed.exit_code, failed.name, failed.field, failed.given, failed.limit) == (
        2,
        "COURSE_INDEX",
        "course.index",
        7,
        6,
    )
    assert str(failed) == failed.message == failed.problems[0].message


# --- compare --------------------------------------------------------------------------------------------------------


def differences(text: str) -> list[Change]:
    """Return what differs from the good file to `text`."""
    return changes(parse_profile(GOOD, issued_at=NOW), parse_profile(text, issued_at=NOW))


def test_equal_files_do_not_differ() -> None:
    assert differences(GOOD) == []
    assert differences(spoilt("1.25", "1.250", spoilt("3_000", "3000", spoilt("# the left one", "")))) == []


def test_differences_field_by_field() -> None:
    text = spoilt(
        "index = 2", "index = 3", spoilt("depth_mm = 1.25", "depth_mm = 1.3", spoilt("2031-06-30", "2031-07-01"))
    )
    assert differences(text) == [
        Change("course.index", "", 2, 3),
        Change("cartridge.expires", "", datetime.date(2031, 6, 30), datetime.date(2031, 7, 1)),
        Change("depth_mm", "cheek left", Decimal("1.25"), Decimal("1.3")),
    ]


def test_zones_are_matched_by_area_and_side() -> None:
    text = spoilt('side = "right"', 'side = "none"')
    assert differences(text) == [
        Change("depth_mm", "cheek right", Decimal(1), None),
        Change("strokes", "cheek right", 1000, None),
        Change("rate_per_s", "cheek right", 20, None),
        Change("depth_mm", "cheek", None, Decimal(1)),
        Change("strokes", "cheek", None, 1000),
        Change("rate_per_s", "cheek", None, 20),
    ]


def test_another_order_of_zones_is_a_difference() -> None:
    first, left, right, nose = GOOD.split("[[zone]]")
    text = "[[zone]]".join([first, nose + "\n", left, right])
    before, after = "cheek left, cheek right, nose", "nose, cheek left, cheek right"
    assert differences(text) == [Change("order of zones", "", before, after)]


# --- edit -----------------------------------------------------------------------------------------------------------


def test_an_edit_keeps_comments_and_spacing() -> None:
    text = edit(spoilt("index = 2", "index  =  2   # second"), {("course", "index"): 3, ("cartridge", "lot"): "L-2"})
    assert text == spoilt("index = 2", "index  =  3   # second", spoilt("LOT-17", "L-2"))


def test_an_edit_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        edit(GOOD, {("course", "colour"): 3})


def test_the_next_session_keeps_all_but_number_name_and_cartridge() -> None:
    text = next_session(GOOD, 2, "Cheeks, session 2 of 6", datetime.date(2030, 3, 17))
    expected = spoilt("session 2 of 6", "session 3 of 6", spoilt("index = 2", "index = 3"))
    expected = spoilt('"A-1234"', '"CARTRIDGE-ID"', spoilt('"LOT-17"', '"LOT"', expected))
    note = "# PLACEHOLDER (today): write the date on the pouch"
    assert text == expected.replace("2031-06-30", f"2030-03-17 {note}")
    file = parse_profile(text, issued_at=NOW)
    assert remarks(file, datetime.date(2030, 3, 17)) == [
        'cartridge.id is the placeholder "CARTRIDGE-ID"; write the real one',
        'cartridge.lot is the placeholder "LOT"; write the real one',
        "cartridge.expires is today's date, the placeholder; write the date on the pouch",
    ]
    assert len(remarks(file, datetime.date(2030, 3, 16))) == 2
    # Left as it is, it is refused from the next day on.
    assert [problem.name for problem in check(file, issued_at=NOW + DAY_S)] == ["CARTRIDGE_EXPIRED"]


def test_a_name_without_the_session_stays() -> None:
    text = next_session(spoilt("Cheeks, session 2 of 6", "Cheeks"), 2, "Cheeks", datetime.date(2030, 3, 17))
    assert parse_profile(text, issued_at=NOW).name == "Cheeks"
