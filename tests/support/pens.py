"""Hypothesis strategies: pens of every geometry that a motor can drive, profiles they take, people who use them."""

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from pencore import limits, profile, provision
from pencore.faults import Refusal
from pencore.provision import Provision
from pencore.units import Geometry
from pensim.mechanics import Mechanics, PenParameters
from tests.support import profiles

_REAR_UM = PenParameters().rear_um
_HYSTERESIS_STEPS = PenParameters().home_hysteresis_steps


def _numbers(low: int, high: int) -> st.SearchStrategy[int]:
    """Return a strategy for low..high that likes both ends."""
    return st.sampled_from([low, high]) | st.integers(low, high)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Return a geometry that the model's motor follows: within half of its pull, at up to 25 turns/s."""
    full_steps = draw(st.sampled_from([200, 200, 400, 100, 48]))
    microsteps = draw(st.sampled_from([8, 8, 1, 2, 4, 16, 32]))
    lead_um = draw(_numbers(2000, 8000))
    offset_um = draw(_numbers(300, 1500))
    parameters = PenParameters(
        full_steps=full_steps, microsteps=microsteps, lead_um=lead_um, retract_offset_um=offset_um
    )
    mechanics = Mechanics(parameters)
    pull_mm_s2 = int(mechanics.flat_pull * mechanics.step_um / 1000 / 2)
    return Geometry(
        full_steps=full_steps,
        microsteps=microsteps,
        lead_um=lead_um,
        v_max_um_s=draw(_numbers(10_000, min(25 * lead_um, 150_000))),
        a_max_mm_s2=draw(_numbers(2_000, max(2_001, min(pull_mm_s2 - 15_000, 40_000)))),
        retract_offset_um=offset_um,
        home_margin_steps=draw(_numbers(0, microsteps)),
        stop_um=2600,
        dwell_us=draw(_numbers(0, 5_000)),
    )


@st.composite
def pens(draw: st.DrawFn) -> Provision:
    """Return a provisioning that is accepted, with a homing that can succeed."""
    geometry = draw(geometries())
    ceiling_um = draw(_numbers(500, 2500))
    setup = profiles.pen(
        geometry,
        ceiling_um=ceiling_um,
        calibration_um=draw(_numbers(400, ceiling_um)),
        caps_um=draw(st.lists(st.integers(300, 500), max_size=3)),
    )
    setup.backoff_um = draw(_numbers(100, geometry.retract_offset_um - 50))
    # From the rear stop, and from half a cycle behind it, the back-off has to reach the sensor's far edge; a pen built
    # otherwise never arms.
    reach_steps = 2 * geometry.home_margin_steps + _HYSTERESIS_STEPS + 2 * geometry.microsteps + 2
    reach_um = _REAR_UM + geometry.um_ceil(reach_steps)
    assume(setup.backoff_um >= reach_um)
    try:
        provision.check(setup)
    except Refusal:
        assume(False)
    return setup


@st.composite
def sessions(draw: st.DrawFn, setup: Provision, most_strokes: int = 70) -> list[profiles.ZoneSpec]:
    """Return one to four zones that the pen accepts, depths and rates up to what is allowed."""
    zones: list[profiles.ZoneSpec] = []
    for _ in range(draw(st.integers(1, 4))):
        area = draw(st.integers(0, len(limits.AREAS) - 1))
        side = draw(st.integers(0, 2))
        if any(zone[:2] == (area, side) for zone in zones):
            continue
        deepest_um = min(setup.bounds.zone_cap_um(area), setup.bounds.calibration_um)
        depth_um = draw(_numbers(100, deepest_um))
        highest = limits.max_rate(depth_um, setup.bounds.geometry)
        if not highest:
            continue
        rate = draw(_numbers(min(5, highest), highest))
        zones.append((area, side, depth_um, draw(_numbers(1, most_strokes)), rate))
    assume(zones)
    return zones


def accepted(setup: Provision, made: profile.Profile) -> bool:
    """Return whether the pen's own check finds nothing wrong with a profile."""
    return not list(profile.problems(made, setup.bounds))


ACTS: dict[str, st.SearchStrategy[Any]] = {
    "press": st.integers(20, 1500),
    "release": st.integers(10, 300),
    "pause": st.just(None),
    "select": st.integers(0, 4),
    "arm": st.none() | st.integers(0, 4),
    "stop": st.just(None),
    "button": st.just(None),
    "clear": st.just(None),
    "leave": st.integers(1500, 2600),
    "cut": st.integers(20, 300),
}
"""What people do, and the strategy for its argument: ms, a zone."""


def people(longest: int = 14) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Return a strategy for what people do one after the other; mostly they press and release."""
    names = [*ACTS, "press", "press", "release", "release", "select"]
    act = st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), ACTS[name]))
    return st.lists(act, max_size=longest)
