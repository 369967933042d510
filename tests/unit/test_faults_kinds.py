"""What is known of every kind of fault: its class, the few that stand for it, and what is drawn of it."""

import random
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pensim import faults


def test_every_kind_has_a_class_and_each_class_its_kinds() -> None:
    by_class = faults.classes()
    assert tuple(by_class) == faults.CLASSES
    assert tuple(kind for kinds in by_class.values() for kind in kinds) == faults.ALL
    assert all(len(kinds) >= 3 for kinds in by_class.values())


@pytest.mark.parametrize("name", faults.CLASSES)
def test_every_fault_of_a_class_is_in_its_module_and_among_its_kinds(name: str) -> None:
    module = import_module(f"pensim.faults.{name}")
    made = [each for each in vars(module).values() if hasattr(each, "NAME") and each.__module__ == module.__name__]
    assert tuple(made) == module.KINDS
    assert {kind.CLASS for kind in made} == {name}


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(faults.ALL))
def test_whatever_is_drawn_is_a_fault_that_could_be_given(seed: int, kind: type[faults.Fault]) -> None:
    drawn = faults.drawn(random.Random(seed), kind)
    assert faults.fault(kind.NAME, **faults.described(drawn)) == drawn
    assert faults.drawn(random.Random(seed), kind) == drawn


@pytest.mark.parametrize("likely", [None, (1, 2)])
def test_what_is_drawn_is_in_its_range_up_to_both_ends(likely: tuple[float, float] | None) -> None:
    rng = random.Random(2)
    low = faults.Parameter("n", 1, 0, 3, (), "a number", likely)
    assert {low.drawn(rng) for _ in range(500)} == {0, 1, 2, 3}
    part = faults.Parameter("f", 0.5, 0.25, 0.75, (), "a part", likely=None)
    assert all(part.takes(part.drawn(rng)) for _ in range(200))
    assert {faults.Parameter("b", False, 0, 0, (), "a flag").drawn(rng) for _ in range(50)} == {False, True}


def test_every_class_and_every_kind_is_drawn() -> None:
    rng = random.Random(1)
    names = [faults.drawn(rng).NAME for _ in range(2000)]
    assert {*names} == {kind.NAME for kind in faults.ALL}
    assert min(sum(name == kind.NAME for name in names) for kind in faults.ALL) > 5


def test_those_that_stand_for_all_are_few() -> None:
    assert 45 <= sum(len(faults.typical(kind)) for kind in faults.ALL) <= 62
