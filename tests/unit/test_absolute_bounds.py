"""The bounds that nothing can raise, as numbers: the last value that is taken, and the first that is refused."""

from typing import Any

import pytest

from pencore import faults, limits, motion, profile, provision
from pencore.faults import Fault, Refusal
from pencore.planner import Plan
from pencore.units import TICK_HZ, Geometry
from tests.portable import samples
from tests.unit.test_limits import CAPS_UM

STRETCH_MARKS = 10
DAY_S = 86_400


def problems(**changes: Any) -> list[int]:
    """Return the codes of what is wrong with a profile for a pen that allows all there is."""
    zones = changes.pop("zones", ((STRETCH_MARKS, samples.NONE, 1500, 30, 5),))
    return [problem.code for problem in profile.problems(samples.filled(zones, **changes), samples.bounds())]


@pytest.mark.parametrize(
    ("name", "most", "code"),
    [
        ("depth_um", 2_500, faults.DEPTH_ABOVE_CEILING),
        ("strokes", 200_000, faults.STROKES_ABOVE_MAX),
        ("course_of", 12, faults.COURSE_OF),
        ("interval_days", 365, faults.COURSE_INTERVAL),
        ("max_step_um", 500, faults.COURSE_STEP),
        ("needles", 64, faults.CARTRIDGE_NEEDLES),
    ],
)
def test_a_profile_may_ask_for_so_much_and_no_more(name: str, most: int, code: int) -> None:
    assert problems(**{name: most}) == []
    assert problems(**{name: most + 1}) == [code]


@pytest.mark.parametrize(
    ("name", "least", "code"),
    [
        ("depth_um", 100, faults.DEPTH_TOO_SMALL),
        ("strokes", 1, faults.STROKES_TOO_FEW),
        ("course_of", 1, faults.COURSE_OF),
        ("course_index", 1, faults.COURSE_INDEX),
        ("interval_days", 4, faults.COURSE_INTERVAL),
        ("max_step_um", 0, faults.COURSE_STEP),
        ("needles", 1, faults.CARTRIDGE_NEEDLES),
    ],
)
def test_a_profile_may_ask_for_so_little_and_no_less(name: str, least: int, code: int) -> None:
    shallow = {"zones": ((STRETCH_MARKS, samples.NONE, 100, 1, 1),)}
    assert problems(**(shallow | {name: least})) == []
    assert code in problems(**(shallow | {name: least - 1}))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *((name, 0xFF) for name in ("head", "course_index", "course_of", "needles")),
        *((name, 0xFFFF) for name in ("interval_days", "max_step_um", "expires_day", "depth_um")),
        *((name, 0xFFFF_FFFF) for name in ("session_id", "issued_at", "strokes")),
    ],
)
def test_a_number_that_has_no_form_is_refused_and_never_cut(name: str, most: int) -> None:
    assert getattr(profile.decode(profile.encode(samples.filled(**{name: most}))), name) == most
    for number in (-1, most + 1):
        with pytest.raises(Refusal) as refused:
            profile.encode(samples.filled(**{name: number}))
        assert refused.value.code == faults.WIRE_BAD_PARAM


def test_each_area_has_its_cap() -> None:
    assert {name: limits.zone_cap_um(code) for code, (name, _, _) in enumerate(limits.AREAS)} == CAPS_UM
    for code, cap_um in enumerate(CAPS_UM.values()):
        assert problems(depth_um=2_500, zones=((code, 0, cap_um, 30, 1),)) == []
        assert problems(depth_um=2_500, zones=((code, 0, cap_um + 1, 30, 1),)) == [faults.DEPTH_ABOVE_ZONE_CAP]
        assert samples.bounds().zone_cap_um(code) == cap_um


@pytest.mark.parametrize(
    ("depth_um", "strokes", "rate_per_s", "code"),
    [
        (99, 30, 5, faults.DEPTH_TOO_SMALL),
        (1501, 30, 5, faults.DEPTH_ABOVE_SESSION),
        (1500, 0, 5, faults.STROKES_TOO_FEW),
        (1500, 200_001, 5, faults.STROKES_ABOVE_MAX),
        (1500, 30, 0, faults.RATE_TOO_LOW),
    ],
)
def test_a_zone_out_of_bounds_is_refused(depth_um: int, strokes: int, rate_per_s: int, code: int) -> None:
    zones = ((STRETCH_MARKS, samples.NONE, depth_um, strokes, rate_per_s),)
    assert problems(zones=zones, depth_um=1500, strokes=200_000)[0] == code


def accepted(change: str, value: int) -> bool:
    """Return whether a pen may be provisioned with `value`; a refusal that names another field is raised."""
    made = samples.provisioned()
    if hasattr(made.bounds, change):
        setattr(made.bounds, change, value)
    else:
        setattr(made, change, value)
    try:
        provision.check(made)
    except Refusal as refusal:
        if refusal.field != change:
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("cartridge_strokes", 1, 200_000),
        ("interval_days", 4, 365),
        ("calibration_um", 100, 2_500),
        ("backoff_um", 50, samples.coarse().retract_offset_um - 50),
    ],
)
def test_a_pen_may_be_provisioned_within_these_bounds(name: str, least: int, most: int) -> None:
    assert [accepted(name, value) for value in (least - 1, least, most, most + 1)] == [False, True, True, False]


def test_no_pen_is_deeper_than_its_calibration_its_ceiling_and_its_stop() -> None:
    made = samples.provisioned(ceiling_um=2_500, calibration_um=2_500)
    made.bounds.geometry.stop_um = 2_500
    provision.check(made)
    for name, value in (("ceiling_um", 2_501), ("stop_um", 2_499)):
        made = samples.provisioned(ceiling_um=2_500, calibration_um=2_500)
        setattr(made.bounds if name == "ceiling_um" else made.bounds.geometry, name, value)
        with pytest.raises(Refusal) as refused:
            provision.check(made)
        assert refused.value.field == "ceiling_um"
    made = samples.provisioned(ceiling_um=2_000, calibration_um=2_001)
    with pytest.raises(Refusal) as refused:
        provision.check(made)
    assert (refused.value.field, refused.value.limit) == ("calibration_um", 2_000)


def test_what_is_read_from_flash_is_within_the_bounds_whatever_its_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A right sum over a value out of range."""
    made = samples.provisioned()
    good = provision.encode(made)
    made.bounds.cartridge_strokes = 200_001
    with monkeypatch.context() as unchecked:
        unchecked.setattr(provision, "check", lambda _: None)
        bad = provision.encode(made)
    assert len(bad) == len(good)
    with pytest.raises(Refusal) as refused:
        provision.decode(bad)
    assert refused.value.field == "cartridge_strokes"


@pytest.mark.parametrize("geometry", [Geometry(), samples.coarse(), Geometry(lead_um=1_999, v_max_um_s=77_777)])
def test_no_time_of_the_envelope_is_shorter_than_what_it_stands_for(geometry: Geometry) -> None:
    """Steps in exact arithmetic: v_max between two of them, a_max from rest to any."""
    step = geometry.lead_um * TICK_HZ
    assert limits.cruise_ticks(geometry) * geometry.steps_per_turn * geometry.v_max_um_s >= step
    for count in range(1, 400):
        ticks = limits.ramp_ticks(count, geometry)
        way = 2 * count * geometry.lead_um * TICK_HZ * TICK_HZ
        assert ticks * ticks * geometry.steps_per_turn * geometry.a_max_mm_s2 * 1000 >= way
    for depth_um in range(100, 2_501, 100):
        ticks = limits.stroke_ticks(depth_um, geometry)
        moves = 2 * limits.move_ticks(geometry.stroke_steps(depth_um), geometry)
        assert ticks == moves + geometry.dwell_us * TICK_HZ // 1_000_000


def test_a_zone_s_depth_is_held_by_each_limit_alone() -> None:
    bounds = samples.bounds(ceiling_um=1_400, calibration_um=1_300)
    bounds.caps_um = (700,) * 5
    assert limits.effective_um(samples.bounds(), STRETCH_MARKS, 2_500, 2_500) == 2_000
    assert limits.effective_um(samples.bounds(ceiling_um=1_400), STRETCH_MARKS, 2_500, 2_500) == 1_400
    assert limits.effective_um(samples.bounds(calibration_um=1_300), STRETCH_MARKS, 2_500, 2_500) == 1_300
    assert limits.effective_um(samples.bounds(), STRETCH_MARKS, 1_200, 2_500) == 1_200
    assert limits.effective_um(samples.bounds(), STRETCH_MARKS, 1_200, 1_100) == 1_100
    assert limits.effective_um(bounds, samples.CHEEK, 1_200, 1_100) == 700


def test_the_sensor_s_edges_may_wander_by_two_full_steps() -> None:
    for microsteps in (1, 8, 64):
        held = motion.Motion(object(), Geometry(microsteps=microsteps), 300)  # type: ignore[arg-type]  # never asked
        for error_steps in (2 * microsteps, -2 * microsteps):
            held._judge_edge(error_steps)
        for error_steps in (2 * microsteps + 1, -2 * microsteps - 1):
            with pytest.raises(Fault) as fault:
                held._judge_edge(error_steps)
            assert fault.value.code == faults.LOST_STEPS


def test_the_fastest_rate_is_refused_one_above() -> None:
    for depth_um in (100, 777, 1_500, 2_500):
        highest = limits.max_rate(depth_um, Geometry())
        assert Plan(depth_um, highest, Geometry()).period_ticks >= limits.stroke_ticks(depth_um, Geometry())
        with pytest.raises(Refusal):
            Plan(depth_um, highest + 1, Geometry())


def test_a_period_is_never_shorter_than_its_rate_s_share_of_a_second() -> None:
    for rate_per_s in range(1, 22):
        assert Plan(1_500, rate_per_s, Geometry()).period_ticks * rate_per_s >= TICK_HZ


def test_a_jump_of_forty_five_days_needs_no_correction() -> None:
    assert limits.TIME_JUMP_MAX_S == 45 * DAY_S
