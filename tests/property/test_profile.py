"""Any profile, any pen: what is accepted is within every layer; what is not is refused, whichever field it is."""

from collections.abc import Callable
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from pencore import limits, profile
from pencore.limits import Bounds
from pencore.profile import Profile
from tests.portable import samples
from tests.support.stroke_oracle import HZ, pens

# Each field of a profile: how to set it, and what it may be, written down apart from the code.
FIELDS: dict[str, tuple[int, int, int]] = {
    "head": (0, 0, 0xFF),
    "course_of": (1, 12, 0xFF),
    "course_index": (1, 6, 0xFF),
    "interval_days": (4, 365, 0xFFFF),
    "max_step_um": (0, 500, 0xFFFF),
    "needles": (1, 64, 0xFF),
    "expires_day": (samples.TODAY_S // samples.DAY_S, 0xFFFF, 0xFFFF),
    "depth_um": (1500, 2500, 0xFFFF),
    "strokes": (150, 200_000, 0xFFFFFFFF),
}
"""name: (lowest accepted, highest accepted, highest that fits) for the sample's zones."""


@given(name=st.sampled_from(sorted(FIELDS)), data=st.data())
def test_one_field_out_of_range_refuses_the_whole(name: str, data: st.DataObject) -> None:
    low, high, top = FIELDS[name]
    value = data.draw(st.integers(0, top) | st.sampled_from([max(0, low - 1), low, high, min(top, high + 1)]))
    made = samples.filled(**{name: value})
    decoded = profile.decode(profile.encode(made))
    assert (list(profile.problems(decoded, samples.bounds())) == []) == (low <= value <= high)


def accepted(made: Profile, bounds: Bounds) -> bool:
    return not list(profile.problems(profile.decode(profile.encode(made)), bounds))


@st.composite
def profiles(draw: st.DrawFn, pen: Bounds) -> Profile:
    """Draw a profile for `pen`: three of four are within every bound, the fourth may pass some of them by a little."""
    slack = draw(st.sampled_from([0, 0, 0, 1]))
    deepest_um = min(pen.ceiling_um, pen.calibration_um)
    session_um = draw(st.integers(100 - slack, deepest_um + slack))
    codes = draw(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), min_size=1, max_size=5, unique=True))
    zones: list[Any] = []
    for area, side in codes:
        cap_um = min(pen.zone_cap_um(area), session_um)
        depth_um = draw(st.integers(100 - slack, max(100, cap_um) + slack))
        highest = max(1, limits.max_rate(max(100, depth_um), pen.geometry))
        zones.append((area, side, depth_um, draw(st.integers(1, 400)), draw(st.integers(1, highest + slack))))
    total = sum(zone[3] for zone in zones)
    return samples.filled(zones, depth_um=session_um, strokes=total - slack + draw(st.integers(0, 3)))


def tightened(draw: Callable[[st.SearchStrategy[Any]], Any], pen: Bounds) -> None:
    """Draw a calibration and caps for `pen`."""
    pen.calibration_um = draw(st.integers(100, pen.ceiling_um) | st.just(pen.ceiling_um))
    pen.caps_um = draw(st.lists(st.integers(100, 2500), max_size=12))


@settings(max_examples=200)
@given(pen=pens(), data=st.data())
def test_what_is_accepted_is_within_every_layer(pen: Bounds, data: st.DataObject) -> None:
    tightened(data.draw, pen)
    made = data.draw(profiles(pen))
    within = True
    for zone in made.zones:
        caps = [limits.AREAS[zone.area][2], *pen.caps_um[zone.area : zone.area + 1]]
        layers = [pen.ceiling_um, pen.calibration_um, *caps, made.depth_um]
        deep = zone.depth_um > min(layers) or zone.depth_um < 100
        busy = limits.stroke_ticks(max(100, zone.depth_um), pen.geometry)
        within = within and not deep and zone.rate_per_s * busy <= HZ
    within = within and 100 <= made.depth_um <= min(pen.ceiling_um, pen.calibration_um)
    within = within and 1 <= sum(zone.strokes for zone in made.zones) <= made.strokes
    event("accepted" if within else "refused")
    assert accepted(made, pen) == within
    if within:
        for zone in made.zones:
            assert limits.effective_um(pen, zone.area, made.depth_um, zone.depth_um) == zone.depth_um


@given(pen=pens(), data=st.data())
def test_what_a_tighter_pen_accepts_a_looser_one_accepts(pen: Bounds, data: st.DataObject) -> None:
    ceiling_um = pen.ceiling_um
    tightened(data.draw, pen)
    pen.cartridge_strokes = data.draw(st.integers(1, 3_000))
    pen.interval_days = data.draw(st.integers(4, 40))
    made = data.draw(profiles(pen))
    if accepted(made, pen):
        assert accepted(made, Bounds(pen.geometry, ceiling_um=ceiling_um))
    else:
        event("refused")
