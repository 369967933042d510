"""The planner's audit alone: tables whose CRC is right and which are not the stroke that was asked for."""

import struct

import pytest

from pencore import faults
from pencore.digest import crc32
from pencore.faults import Fault
from pencore.planner import EXTEND, Plan
from pencore.units import Geometry

STEPS = 5


def words_of(plan: Plan, directions: list[int]) -> list[int]:
    """Return words of one step each, 1 extends, whose delays add up to the period."""
    delay = plan.period_ticks // len(directions)
    delays = [delay] * len(directions)
    delays[-1] += plan.period_ticks - delay * len(directions)
    return [ticks << 1 | (EXTEND if extend else 0) for ticks, extend in zip(delays, directions, strict=True)]


def filled() -> Plan:
    """Return a plan whose table is full, with its CRC taken and nothing of it audited."""
    geometry = Geometry(microsteps=1, retract_offset_um=100)
    depth_um = next(depth for depth in range(100, 2500) if geometry.stroke_steps(depth) >= STEPS)
    plan = Plan(depth_um, 20, geometry)
    while not plan.crc:
        plan.advance(1)
    return plan


def audited(plan: Plan, words: list[int]) -> None:
    """Audit `words` in the place of the plan's own, as if they had been filled in."""
    plan.table = bytearray(struct.pack(f"<{len(words)}I", *words))
    plan.crc = crc32(plan.table)
    while not plan.advance(1):
        pass


def there_and_back(plan: Plan) -> list[int]:
    return [1] * plan.steps + [0] * plan.steps


def test_what_the_others_change_one_thing_of_is_taken() -> None:
    plan = filled()
    audited(plan, [*words_of(plan, there_and_back(plan)), 0])
    assert plan.ready()
    assert plan.intact()


@pytest.mark.parametrize(
    "what", ["does not come back", "not deep enough", "too deep", "behind home", "without end", "too fast", "too slow"]
)
def test_another_stroke_than_was_asked_for_is_a_fault(what: str) -> None:
    plan = filled()
    directions = there_and_back(plan)
    if what == "does not come back":
        directions.pop()
    elif what == "not deep enough":
        directions = directions[1:-1]
    elif what == "too deep":
        directions = [1, *directions, 0]
    elif what == "behind home":
        directions = [0, *directions, 1]
    words = words_of(plan, directions)
    if what == "too fast":
        words[-1] -= 2
    elif what == "too slow":
        words[0] += 2
    words.append(words[0] if what == "without end" else 0)
    with pytest.raises(Fault) as fault:
        audited(plan, words)
    assert fault.value.code == faults.TABLE_CORRUPT
    assert not plan.ready()
    assert not plan.intact()


def test_a_table_that_changes_while_it_is_audited_is_a_fault() -> None:
    """Two delays that change by the same behind the audit's back leave time, depth and way as they were."""
    plan = filled()
    while plan._stage != 3:
        plan.advance(1)
    plan.advance(4)
    first, second = struct.unpack_from("<2I", plan.table)
    struct.pack_into("<2I", plan.table, 0, first + 2, second - 2)
    with pytest.raises(Fault) as fault:
        plan.advance(1_000)
    assert fault.value.code == faults.TABLE_CORRUPT


def test_a_table_that_changed_before_its_check_was_chosen_is_a_fault() -> None:
    plan = filled()
    first, second = struct.unpack_from("<2I", plan.table)
    struct.pack_into("<2I", plan.table, 0, first + 2, second - 2)
    with pytest.raises(Fault) as fault:
        plan.advance(1_000)
    assert fault.value.code == faults.TABLE_CORRUPT
