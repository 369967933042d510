"""`pencore.limits`: the absolute bounds as they are written down, blocks, and the motion envelope."""

from itertools import pairwise

import pytest

from pencore import faults, limits, provision
from pencore.faults import Refusal
from pencore.units import Geometry
from tests.portable import samples

CAPS_UM = {
    "forehead": 750,
    "glabella": 1000,
    "periorbital": 500,
    "nose": 750,
    "cheek": 1500,
    "upper-lip": 750,
    "chin-jaw": 1500,
    "neck": 1000,
    "scalp": 1500,
    "abdomen": 2000,
    "stretch-marks": 2000,
    "facial-acne-scar": 1500,
}


def test_the_absolute_bounds() -> None:
    """A changed limit changes this test, and the changelog under its own heading."""
    assert (limits.DEPTH_MIN_UM, limits.DEPTH_CEILING_UM) == (100, 2_500)
    assert (limits.ZONES_MAX, limits.SESSION_STROKES_MAX, limits.CARTRIDGE_STROKES_MAX) == (32, 200_000, 200_000)
    assert (limits.RATE_MIN_PER_S, limits.RATE_MAX_PER_S) == (1, 200)
    assert (limits.COURSE_SESSIONS_MAX, limits.INTERVAL_MIN_DAYS, limits.INTERVAL_MAX_DAYS) == (12, 4, 365)
    assert (limits.COURSE_STEP_MAX_UM, limits.NEEDLES_MAX) == (500, 64)
    assert limits.TIME_JUMP_MAX_S == 3_888_000
    assert {name: cap for name, _, cap in limits.AREAS} == CAPS_UM


@pytest.mark.parametrize("area", range(len(limits.AREAS)))
def test_a_provisioned_cap_tightens_and_never_widens(area: int) -> None:
    cap_um = limits.zone_cap_um(area)
    for given_um in (100, cap_um - 1, cap_um, cap_um + 1, 65_535):
        caps = [65_535] * area + [given_um]
        assert samples.bounds(caps_um=caps).zone_cap_um(area) == min(cap_um, given_um)
    assert samples.bounds(caps_um=[100] * area).zone_cap_um(area) == cap_um


@pytest.mark.parametrize("area", [-1, len(limits.AREAS), 255])
def test_an_unknown_area_has_no_cap(area: int) -> None:
    with pytest.raises(Refusal) as refused:
        samples.bounds(caps_um=[100] * 32).zone_cap_um(area)
    assert (refused.value.code, refused.value.given) == (faults.PROFILE_ZONE_AREA, area)


def test_zone_names() -> None:
    assert limits.zone_name(samples.CHEEK, samples.LEFT) == "cheek left"
    assert limits.zone_name(samples.NOSE, samples.NONE) == "nose"
    assert limits.zone_name(99, 7) == "area-99"


@pytest.mark.parametrize("budget", [1, 49, 50, 51, 999, 1_000, 1_001, 9_999, 10_000, 10_001, 200_000])
def test_blocks_add_up_to_the_budget(budget: int) -> None:
    left, blocks = budget, []
    while left > 0:
        blocks.append(limits.block_strokes(budget, left))
        assert 0 < blocks[-1] <= left
        left -= blocks[-1]
    full = min(500, max(50, -(-budget // 20)))
    assert all(block == full for block in blocks[:-1])
    assert blocks[-1] <= full
    assert limits.block_strokes(budget, 0) == 0


def test_depth_only_slows_a_pen_down() -> None:
    for geometry in (Geometry(), samples.coarse(), Geometry(a_max_mm_s2=100), Geometry(v_max_um_s=1_000)):
        rates = [limits.max_rate(depth_um, geometry) for depth_um in range(100, 2_501, 7)]
        assert all(deeper <= shallower for shallower, deeper in pairwise(rates))


def test_no_rate_passes_what_the_wire_can_say() -> None:
    """The quickest geometries that can be provisioned: shortest way, greatest acceleration, steps of any size."""
    highest = 0
    for full_steps in range(25, 401, 3):
        for lead_um in range(500, min(20_000, 20 * full_steps) + 1, 37):
            quick = Geometry(
                full_steps=full_steps,
                microsteps=1,
                home_margin_steps=0,
                lead_um=lead_um,
                v_max_um_s=1_000_000,
                a_max_mm_s2=100_000,
                retract_offset_um=100,
                dwell_us=0,
            )
            made = provision.Provision("quick", limits.Bounds(quick, ceiling_um=100, calibration_um=100))
            made.backoff_um = 50
            provision.check(made)
            highest = max(highest, limits.max_rate(limits.DEPTH_MIN_UM, quick))
    assert 180 < highest < limits.RATE_MAX_PER_S


def test_a_pen_too_slow_for_one_stroke_a_second_has_no_rate() -> None:
    assert limits.max_rate(2_500, Geometry(v_max_um_s=1_000)) == 0
