"""What can be asked, how it is compared, and what is no condition."""

from decimal import Decimal

import pytest

from pensim.scenario.conditions import OPS, WHATS, Comparison, Condition, comparison, parse_condition, what_of
from pensim.scenario.form import Finding


def condition(text: str) -> Condition:
    """Return the condition in `text`."""
    parsed = parse_condition(text, ())
    assert isinstance(parsed, Condition), parsed
    return parsed


@pytest.mark.parametrize(
    ("text", "known", "holds"),
    [
        ("state == ARMED", {"state": "ARMED"}, True),
        ("state == ARMED", {"state": "SAFE"}, False),
        ("state != ARMED", {"state": "SAFE"}, True),
        ("state in [ARMED, PAUSED]", {"state": "PAUSED"}, True),
        ("state in [ARMED, PAUSED]", {"state": "SAFE"}, False),
        ("needle.strokes >= 5", {"needle.strokes": 5}, True),
        ("needle.strokes > 5", {"needle.strokes": 5}, False),
        ("needle.strokes < 5", {"needle.strokes": 4}, True),
        ("needle.strokes <= 5", {"needle.strokes": 6}, False),
        ("needle.deepest_um < 400.5", {"needle.deepest_um": 400.25}, True),
        ("faults contains LOST_STEPS", {"faults": ["LOST_STEPS"]}, True),
        ("faults contains LOST_STEPS", {"faults": []}, False),
        ("pins.driver_on == false", {"pins.driver_on": False}, True),
        ('record.ended == "all zones spent"', {"record.ended": "all zones spent"}, True),
        ("record.ended contains spent", {"record.ended": "all zones spent"}, True),
        ("state == ARMED and needle.strokes >= 5", {"state": "ARMED", "needle.strokes": 4}, False),
        ("state == ARMED and needle.strokes >= 5", {"state": "ARMED", "needle.strokes": 7}, True),
        ("status.made.1 == 12", {"status.made.1": 12}, True),
        ("at_ms.FAULT < 100", {"at_ms.FAULT": 99}, True),
    ],
)
def test_conditions_hold_or_do_not(text: str, known: dict[str, object], holds: bool) -> None:
    assert condition(text).holds(known.get) is holds


@pytest.mark.parametrize("op", ["==", "!=", "<", "<=", ">", ">=", "in"])
def test_nothing_holds_for_what_is_not_known(op: str) -> None:
    made = comparison("needle.strokes", op, [1] if op == "in" else 1, 0, ())
    assert isinstance(made, Comparison)
    assert not made.holds(None)


@pytest.mark.parametrize(
    ("op", "value", "answer", "holds"),
    [
        ("==", 100, 103, True),
        ("==", 100, 97, True),
        ("==", 100, 104, False),
        ("<=", 100, 103, True),
        ("<=", 100, 104, False),
        (">=", 100, 97, True),
        (">=", 100, 96, False),
        ("<", 100, 102, True),
        ("<", 100, 103, False),
        (">", 100, 98, True),
        (">", 100, 97, False),
    ],
)
def test_a_tolerance_widens_to_both_sides(op: str, value: int, answer: int, holds: bool) -> None:
    made = comparison("needle.deepest_um", op, value, Decimal(3), ())
    assert isinstance(made, Comparison)
    assert made.holds(answer) is holds
    assert str(made).endswith("(+- 3)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("state", "no condition"),
        ("state = ARMED", "no condition"),
        ("state == ARMED or state == SAFE", "nothing that state can be"),
        ("stat == ARMED", "Did you mean 'state'?"),
        ("state == ARMD", "nothing that state can be"),
        ("state >= ARMED", "can't be asked"),
        ("faults == LOST_STEPS", "wants a list"),
        ("faults contains LOST", "nothing that faults can be"),
        ("needle.strokes == many", "nothing that needle.strokes can be"),
        ("pins.driver_on == 1", "nothing that pins.driver_on can be"),
        ("runner.state == ARMED", "Nothing is called 'runner.state'"),
    ],
)
def test_what_is_no_condition_says_why(text: str, said: str) -> None:
    parsed = parse_condition(text, ("act", 0, "when"))
    assert isinstance(parsed, Finding)
    assert said in parsed.message
    assert parsed.path == ("act", 0, "when")


def test_every_what_is_found_by_its_name() -> None:
    names = [what.name for what in WHATS]
    assert len(set(names)) == len(names)
    for what in WHATS:
        concrete = what.name.replace(".N", ".7").replace(".STATE", ".ARMED")
        assert what_of(concrete) == what
        assert what.doc
    assert what_of("record.zones.x.made") is None
    assert set(OPS) == {"==", "!=", "<", "<=", ">", ">=", "in", "contains"}
