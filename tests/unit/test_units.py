"""`pencore.units`: roots, wrapping milliseconds, and steps against exact fractions."""

import math
from fractions import Fraction
from itertools import product

import pytest

from pencore.units import U32_MAX, Geometry, isqrt, ms_add, ms_since
from tests.portable import samples

EDGES = [0, 1, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 2**31 + 1, U32_MAX - 1, U32_MAX]


def test_isqrt_of_all_small_numbers() -> None:
    assert [isqrt(value) for value in range(20_000)] == [math.isqrt(value) for value in range(20_000)]


@pytest.mark.parametrize("bits", range(2, 130, 7))
def test_isqrt_around_powers_of_two(bits: int) -> None:
    for value in range(2**bits - 2, 2**bits + 3):
        assert isqrt(value) == math.isqrt(value)


@pytest.mark.parametrize(("now_ms", "then_ms"), list(product(EDGES, EDGES)))
def test_ms_since_is_the_nearest_difference(now_ms: int, then_ms: int) -> None:
    since = ms_since(now_ms, then_ms)
    assert -(2**31) <= since < 2**31
    assert (since - (now_ms - then_ms)) % 2**32 == 0


@pytest.mark.parametrize(("now_ms", "delta_ms"), list(product(EDGES, [0, 1, 1000, 2**31 - 1])))
def test_ms_since_undoes_ms_add(now_ms: int, delta_ms: int) -> None:
    later = ms_add(now_ms, delta_ms)
    assert 0 <= later <= U32_MAX
    assert ms_since(later, now_ms) == delta_ms


@pytest.mark.parametrize("geometry", [Geometry(), samples.coarse(), Geometry(lead_um=4001, microsteps=16)])
def test_no_depth_is_passed_by_a_step_or_missed_by_more_than_one(geometry: Geometry) -> None:
    step_um = Fraction(geometry.lead_um, geometry.steps_per_turn)
    for depth_um in range(1, 2501):
        steps = geometry.stroke_steps(depth_um)
        assert steps * step_um <= geometry.retract_offset_um + depth_um < (steps + 1) * step_um
        reached = max(0, math.ceil(steps * step_um) - geometry.retract_offset_um)
        assert geometry.depth_um(steps) == reached <= depth_um


def test_the_list_is_in_the_order_of_the_constructor() -> None:
    numbers = [21, 4, 501, 1_001, 101, 102, 3, 103, 5]
    assert Geometry(*numbers).as_list() == numbers
    assert Geometry(*numbers).steps_per_turn == 84
