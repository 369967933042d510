"""`pencore.limits`: CPython and MicroPython give the same answers, and the ones the rules ask for."""

from hypothesis import assume, given
from hypothesis import strategies as st

from pencore import faults, limits
from pencore.units import Geometry
from tests.vm.geometry import as_argument, geometries
from tests.vm.machine import Make, MicroPythonVM, agreed

LIMITS = "pencore.limits"

depths_um = st.integers(limits.DEPTH_MIN_UM, limits.DEPTH_CEILING_UM)
areas = st.integers(-2, len(limits.AREAS) + 2) | st.integers(0, 255)
strokes = st.integers(0, limits.SESSION_STROKES_MAX)
integers = st.integers(-(2**31), 2**32 - 1)


@given(area=areas, side=st.integers(-1, 4))
def test_names_and_caps_of_zones(vm: MicroPythonVM, area: int, side: int) -> None:
    agreed(vm, LIMITS, "area_name", [area])
    agreed(vm, LIMITS, "zone_name", [area, side])
    cap = agreed(vm, LIMITS, "zone_cap_um", [area])
    if 0 <= area < len(limits.AREAS):
        assert cap.value == limits.AREAS[area][2]
    else:
        assert cap.detail == (faults.PROFILE_ZONE_AREA, "zone.area", area, len(limits.AREAS) - 1, None)


@given(
    ceiling_um=depths_um,
    calibration_um=depths_um,
    caps_um=st.lists(st.integers(0, 3_000), max_size=limits.AREA_CODES_MAX),
    area=st.integers(0, len(limits.AREAS) - 1),
    session_um=depths_um,
    depth_um=depths_um,
)
def test_no_bound_is_ever_passed(
    vm: MicroPythonVM,
    ceiling_um: int,
    calibration_um: int,
    caps_um: list[int],
    area: int,
    session_um: int,
    depth_um: int,
) -> None:
    bounds = Make(LIMITS, "Bounds", [Make("pencore.units", "Geometry"), 0, ceiling_um, calibration_um, caps_um])
    holding = [ceiling_um, calibration_um, limits.AREAS[area][2], session_um, depth_um, *caps_um[area : area + 1]]
    assert agreed(vm, LIMITS, "effective_um", [bounds, area, session_um, depth_um]).value == min(holding)


@given(budget=strokes, left=strokes)
def test_block_strokes(vm: MicroPythonVM, budget: int, left: int) -> None:
    wanted = min(500, max(50, (budget + 19) // 20), left)
    assert agreed(vm, LIMITS, "block_strokes", [budget, left]).value == wanted


@given(geometry=geometries, depth_um=depths_um)
def test_the_highest_rate_fits_into_a_second_and_the_next_does_not(
    vm: MicroPythonVM, geometry: Geometry, depth_um: int
) -> None:
    assume(geometry.stroke_steps(depth_um) >= 1)
    pen = as_argument(geometry)
    ticks = agreed(vm, LIMITS, "stroke_ticks", [depth_um, pen]).value
    rate = agreed(vm, LIMITS, "max_rate", [depth_um, pen]).value
    assert isinstance(ticks, int)
    assert isinstance(rate, int)
    assert rate * ticks <= 125_000_000
    assert (rate + 1) * ticks > 125_000_000


@given(geometry=geometries, steps=st.integers(1, 4_000))
def test_a_move_keeps_below_the_pen_s_speed_and_acceleration(vm: MicroPythonVM, geometry: Geometry, steps: int) -> None:
    pen = as_argument(geometry)
    for function in ("ramp_ticks", "ramp_steps", "move_ticks"):
        agreed(vm, LIMITS, function, [steps, pen])
    cruise = agreed(vm, LIMITS, "cruise_ticks", [pen]).value
    ramp = agreed(vm, LIMITS, "ramp_ticks", [steps, pen]).value
    assert isinstance(cruise, int)
    assert isinstance(ramp, int)
    # v = lead * 125 MHz / (steps per turn * ticks); s = a t2 / 2. Both as products, so that nothing is rounded.
    assert geometry.lead_um * 125_000_000 <= geometry.v_max_um_s * geometry.steps_per_turn * cruise
    travelled = 2 * steps * geometry.lead_um * 125_000_000**2
    assert travelled <= geometry.a_max_mm_s2 * 1000 * geometry.steps_per_turn * ramp**2


@given(given_value=integers, low=integers, high=integers, zone=st.none() | st.integers(0, 31))
def test_check_range(vm: MicroPythonVM, given_value: int, low: int, high: int, zone: int | None) -> None:
    code = faults.STROKES_TOO_FEW
    outcome = agreed(vm, LIMITS, "check_range", [code, "zone.strokes", given_value, low, high, zone])
    if low <= given_value <= high:
        assert outcome.raised == ""
    else:
        assert outcome.detail == (code, "zone.strokes", given_value, low if given_value < low else high, zone)
