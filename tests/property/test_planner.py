"""Tables of any pen that can be provisioned, at any depth and rate it accepts, in exact arithmetic."""

from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pencore import limits
from pencore.limits import Bounds
from pencore.planner import Plan
from tests.support.stroke_oracle import HZ, check_table, pens, steps_of


@settings(max_examples=150)
@given(bounds=pens(), data=st.data())
def test_a_table_is_the_stroke_that_was_asked_for(bounds: Bounds, data: st.DataObject) -> None:
    geometry = bounds.geometry
    depth_um = data.draw(st.integers(100, bounds.ceiling_um))
    highest = limits.max_rate(depth_um, geometry)
    assert highest == min(200, HZ // limits.stroke_ticks(depth_um, geometry))
    assume(highest)
    rate_per_s = data.draw(st.sampled_from([1, highest]) | st.integers(1, highest))
    plan = Plan(depth_um, rate_per_s, geometry)
    while not plan.advance(1000):
        pass
    check_table(plan.table, depth_um, rate_per_s, geometry)
    assert plan.intact()
    deepest = sum(step.extends for step in steps_of(plan.table))
    step_um = Fraction(geometry.lead_um, geometry.steps_per_turn)
    assert 0 <= depth_um + geometry.retract_offset_um - deepest * step_um < step_um
    assert max(step.delay for step in steps_of(plan.table)) * 2 + 1 < 2**30
