"""`pencore.planner`: worked tables, every flipped bit, bounded pieces of work."""

import copy
import struct

import pytest

from pencore import faults, limits
from pencore.faults import Fault, Refusal
from pencore.planner import Plan
from pencore.units import TICK_HZ, Geometry
from tests.portable import samples
from tests.support.stroke_oracle import check_table, steps_of


def planned(depth_um: int, rate_per_s: int, geometry: Geometry) -> Plan:
    """Return the finished plan."""
    plan = Plan(depth_um, rate_per_s, geometry)
    while not plan.advance(100):
        pass
    return plan


@pytest.mark.parametrize("depth_um", [100, 101, 250, 499, 750, 1001, 1500, 2499, 2500])
@pytest.mark.parametrize("geometry", [Geometry(), samples.coarse(), Geometry(a_max_mm_s2=900)], ids=["a", "b", "slow"])
def test_tables_of_a_pen(geometry: Geometry, depth_um: int) -> None:
    """An odd number of steps has a middle one; a pen that never reaches v_max has it at the top of its ramp."""
    highest = limits.max_rate(depth_um, geometry)
    for rate_per_s in {1, 2, highest}:
        check_table(planned(depth_um, rate_per_s, geometry).table, depth_um, rate_per_s, geometry)


@pytest.mark.parametrize("steps", range(1, 12))
@pytest.mark.parametrize("v_max_um_s", [1_000, 30_000, 1_000_000])
def test_tables_of_few_steps(steps: int, v_max_um_s: int) -> None:
    """Fewer than a pen can be provisioned with: here every ramp is nothing but its ends."""
    geometry = Geometry(microsteps=1, lead_um=4000, retract_offset_um=20, v_max_um_s=v_max_um_s, dwell_us=0)
    depth_um = 20 * steps - 20
    check_table(planned(depth_um, 1, geometry).table, depth_um, 1, geometry)


def test_the_middle_step_of_an_odd_move_is_no_jump() -> None:
    """With v_max out of reach, the middle interval belongs between its neighbours, not at v_max."""
    geometry = Geometry(v_max_um_s=1_000_000)
    depth_um = 103
    out = [step.delay for step in steps_of(planned(depth_um, 1, geometry).table) if step.extends]
    assert len(out) % 2 == 1
    middle = len(out) // 2
    assert out[middle - 2] > out[middle - 1] > out[middle] > 0.9 * out[middle - 1]


def test_every_word_of_the_reference_pen_is_a_small_integer_on_it() -> None:
    for depth_um in range(100, 2501, 240):
        table = planned(depth_um, 1, Geometry()).table
        assert max(struct.unpack(f"<{len(table) // 4}I", table)) < 2**30


@pytest.mark.parametrize("rate_per_s", [-1, 0, 22, 200, 65_535])
def test_a_rate_out_of_reach_is_refused_with_the_highest_one(rate_per_s: int) -> None:
    with pytest.raises(Refusal) as refused:
        Plan(1500, rate_per_s, Geometry())
    told = refused.value
    assert (told.code, told.field, told.given, told.limit) == (faults.RATE_TOO_HIGH, "zone.rate_per_s", rate_per_s, 21)


def test_the_planner_and_the_profile_s_check_have_one_bound() -> None:
    """A stroke that is longer than a second's share by less than a tick: no rounding makes it fit."""
    geometry = Geometry(v_max_um_s=1_000_000, a_max_mm_s2=100_000, retract_offset_um=100, dwell_us=0)
    found = False
    for dwell_us in range(3_000):
        geometry.dwell_us = dwell_us
        busy = limits.stroke_ticks(100, geometry)
        highest = limits.max_rate(100, geometry)
        rate_per_s = highest + 1
        Plan(100, highest, geometry)
        with pytest.raises(Refusal):
            Plan(100, rate_per_s, geometry)
        found = found or busy == -(-TICK_HZ // rate_per_s)
    assert found, "no geometry at the very edge: the test says nothing"


def test_every_flipped_bit_of_a_finished_table_shows() -> None:
    plan = planned(100, 20, samples.coarse())
    assert plan.intact()
    for bit in range(8 * len(plan.table)):
        plan.table[bit // 8] ^= 1 << bit % 8
        assert not plan.intact()
        plan.table[bit // 8] ^= 1 << bit % 8
    assert plan.intact()


def work_of(plan: Plan) -> int:
    """Return how many pieces a plan takes."""
    pieces = 1
    while not plan.advance(1):
        pieces += 1
    return pieces


def test_a_bit_that_flips_before_the_audit_ends_is_a_fault() -> None:
    """Each bit once, at the audit's begin, in its midst and before its last word."""
    geometry = Geometry(microsteps=1, retract_offset_um=100)
    pieces = work_of(Plan(100, 20, geometry))
    words = 2 * geometry.stroke_steps(100) + 1
    for bit in range(32 * words):
        for before_end in (words, words // 2, 1):
            plan = Plan(100, 20, geometry)
            for _ in range(pieces - before_end):
                plan.advance(1)
            assert not plan.ready()
            plan.table[bit // 8] ^= 1 << bit % 8
            with pytest.raises(Fault) as fault:
                plan.advance(words + 1)
            assert fault.value.code == faults.TABLE_CORRUPT
            assert not plan.intact()


def test_the_sum_that_each_credit_compares_is_a_small_number_on_the_pen() -> None:
    """Above 2**30 MicroPython would allocate it; a bit that flips while it is looked for is seen."""
    for rate_per_s in range(1, 31):
        assert planned(300, rate_per_s, Geometry()).crc < 1 << 30
    geometry = Geometry(microsteps=1, retract_offset_um=100)
    filled = Plan(100, 20, geometry)
    while not filled.crc:
        filled.advance(1)
    for bit in range(8 * len(filled.table)):
        plan = copy.deepcopy(filled)
        plan.table[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Fault):
            plan.advance(10_000)


@pytest.mark.parametrize("name", ["_rest_ticks", "_dwell_ticks", "_cruise_ticks", "_ramp_time"])
def test_the_audit_adds_up_the_time_by_itself(name: str) -> None:
    """A number that was wrong while the table was filled makes a table whose CRC is right, and whose period isn't."""
    plan = Plan(1500, 20, Geometry())
    setattr(plan, name, getattr(plan, name) + 1)
    with pytest.raises(Fault) as fault:
        plan.advance(100_000)
    assert fault.value.code == faults.TABLE_CORRUPT


def test_work_comes_in_the_pieces_asked_for() -> None:
    """One step of the ramp or one word a piece, whatever the geometry; nothing is usable before the last."""
    plan = Plan(1500, 21, Geometry())
    ramp = limits.ramp_steps(plan.steps, Geometry())
    tries = work_of(plan) - (ramp + 2 * plan.steps + 2 * plan.steps + 1)
    assert 1 <= tries <= 64
    whole = planned(1500, 21, Geometry())
    assert plan.table == whole.table
    assert plan.advance(1)
    unfinished = Plan(1500, 21, Geometry())
    unfinished.advance(ramp + 10)
    assert not unfinished.ready()
    assert not unfinished.intact()
