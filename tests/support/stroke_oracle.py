"""What a stroke table must be, worked out apart from the planner: exact integers scaled by 2**40, no ramp counted."""

import struct
from math import isqrt
from typing import NamedTuple

from hypothesis import assume
from hypothesis import strategies as st

from pencore import provision
from pencore.faults import Refusal
from pencore.limits import Bounds
from pencore.units import Geometry
from tests.portable import samples

HZ = 125_000_000
SCALE = 40
TICK = 1 << SCALE


class Step(NamedTuple):
    """One word of a table."""

    delay: int
    extends: bool


def steps_of(table: bytes | bytearray) -> list[Step]:
    """Return the words of `table` before its end; AssertionError unless exactly one zero word ends it."""
    words = struct.unpack(f"<{len(table) // 4}I", table)
    assert len(table) % 4 == 0
    assert words[-1] == 0
    assert 0 not in words[:-1]
    return [Step(word >> 1, word & 1 == 1) for word in words[:-1]]


def rest_to(steps: int, geometry: Geometry) -> int:
    """Return the least scaled ticks from rest to the `steps`-th step: s = a t2 / 2, rounded down."""
    numerator = 2 * steps * geometry.lead_um * HZ * HZ << 2 * SCALE
    return isqrt(numerator // (geometry.steps_per_turn * geometry.a_max_mm_s2 * 1000))


def fastest_step(geometry: Geometry) -> int:
    """Return the scaled ticks of one step at v_max, rounded down."""
    return (geometry.lead_um * HZ << SCALE) // (geometry.steps_per_turn * geometry.v_max_um_s)


def check_move(delays: list[int], geometry: Geometry) -> None:
    """Assert that a move from rest to rest (its pauses taken off) is as fast as v_max and a_max allow, and no faster.

    From either end no step comes earlier than constant a_max would bring it; no interval is shorter than v_max allows;
    each is, to one tick, the longer of the two.
    """
    at_v_max = fastest_step(geometry)
    for way in (delays, delays[::-1]):
        time = 0
        for number, delay in enumerate(way[: (len(way) + 1) // 2]):
            at_a_max = rest_to(number + 1, geometry) - rest_to(number, geometry)
            time += delay
            assert time * TICK >= rest_to(number + 1, geometry)
            assert (delay + 1) * TICK >= at_v_max
            assert abs(delay * TICK - max(at_a_max, at_v_max)) <= TICK + 2


def check_table(table: bytes | bytearray, depth_um: int, rate_per_s: int, geometry: Geometry) -> None:
    """Assert all that a table of this depth and rate promises."""
    steps = steps_of(table)
    deepest = (geometry.retract_offset_um + depth_um) * geometry.steps_per_turn // geometry.lead_um
    assert [step.extends for step in steps] == [True] * deepest + [False] * deepest
    out = [step.delay for step in steps[:deepest]]
    back = [step.delay for step in steps[deepest:]]
    assert sum(out) + sum(back) == -(-HZ // rate_per_s)
    out[-1] -= geometry.dwell_us * 125
    rest = back[-1] - out[-1]
    assert rest >= 0
    back[-1] -= rest
    assert out == back
    check_move(out, geometry)


@st.composite
def pens(draw: st.DrawFn) -> Bounds:
    """Draw the bounds of any pen that can be provisioned."""
    full_steps = draw(st.integers(20, 400))
    microsteps = draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
    turn = full_steps * microsteps
    ceiling_um = draw(st.integers(100, 2500))
    offset_um = draw(st.integers(100, 2000))
    finest = max(500, -(-(offset_um + ceiling_um) * turn // 2000))
    coarsest = min(20_000, 20 * turn)
    assume(finest <= coarsest)
    geometry = Geometry(
        full_steps=full_steps,
        microsteps=microsteps,
        lead_um=draw(st.integers(finest, coarsest)),
        v_max_um_s=draw(st.integers(1_000, 1_000_000)),
        a_max_mm_s2=draw(st.integers(100, 100_000)),
        retract_offset_um=offset_um,
        home_margin_steps=draw(st.integers(0, 2 * microsteps)),
        stop_um=draw(st.integers(ceiling_um, 5_000)),
        dwell_us=draw(st.integers(0, 20_000)),
    )
    made = provision.Provision(samples.SERIAL, Bounds(geometry, ceiling_um=ceiling_um, calibration_um=ceiling_um))
    made.backoff_um = 50
    try:
        provision.check(made)
    except Refusal as refusal:
        # A screw and a speed that together ask for more than the stroke program can do.
        assume(refusal.field != "geometry.step_ticks")
        raise AssertionError(f"not a pen: {refusal}") from refusal
    return made.bounds
