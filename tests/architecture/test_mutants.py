"""The tables of planted bugs fit the sources: every text and every test is where it should be, every bug is shown."""

import ast
from collections import Counter
from functools import cache

import pytest

from tests.architecture.source import ROOT
from tests.mutants.__main__ import failure
from tests.mutants.fixed import FIXED
from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

CORE = ("limits", "profile", "planner", "ledger", "session", "runner", "wire", "record", "provision")
"""The modules that decide over depth, count, consent and records."""
PAGE = ROOT / "docs" / "decisions" / "0005-planted-bugs.md"


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the functions in a file."""
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef))


def test_no_bug_has_two_entries() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 150


@pytest.mark.parametrize("module", CORE)
def test_each_module_of_the_core_has_bugs_planted(module: str) -> None:
    counts = Counter(mutant.module for mutant in MUTANTS)
    assert counts[f"{module}.py"] >= 10


def test_the_fixed_ones_are_twenty_and_stand_for_every_invariant() -> None:
    names = [name for chosen in FIXED.values() for name in chosen]
    assert len(set(names)) == len(names) == 20
    assert set(names) <= {mutant.name for mutant in MUTANTS}
    assert set(FIXED) == {f"I{number}" for number in range(1, 12)}
    assert all(FIXED.values())


def test_the_fixed_ones_reach_every_module_of_the_core_and_both_programs() -> None:
    names = {name for chosen in FIXED.values() for name in chosen}
    modules = {mutant.module for mutant in MUTANTS if mutant.name in names}
    assert modules >= {*(f"{module}.py" for module in CORE), "stroke_pio.py", "guard_pio.py"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("FAILED tests/unit/test_x.py::test_y - assert 3 == 4\n1 failed in 0.1s\n", "assert 3 == 4"),
        ("FAILED tests/unit/test_x.py::test_y[a-b]\n1 failed in 0.1s\n", "failed"),
        ("FAILED tests/unit/test_x.py::test_y - Failed: Timeout (>120.0s) from pytest-timeout.\n", ""),
        ("FAILED tests/unit/test_x.py::test_y - NameError: name 'entry' is not defined\n1 failed\n", ""),
        ("ERROR tests/unit/test_x.py - ImportError: cannot import name 'runner'\n1 error in 0.1s\n", ""),
        ("ERROR tests/unit/test_x.py::test_y - OSError: no such fixture's file\n1 error in 0.1s\n", ""),
        ("1 passed in 0.1s\n", ""),
    ],
)
def test_a_bug_is_found_by_what_a_test_says_and_by_no_stumble(said: str, words: str) -> None:
    assert failure(said) == words


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_can_be_planted_and_names_a_test(mutant: Mutant) -> None:
    ast.parse(mutant.planted((ROOT / "firmware" / "pencore" / mutant.file).read_text(encoding="utf-8")))
    path, _, name = mutant.test.partition("::")
    assert name in names_in(path)


def test_the_page_shows_every_bug() -> None:
    shown = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    missing = [mutant.name for mutant in MUTANTS if mutant.row() not in shown]
    assert not missing, "print it anew: python -m tests.mutants --table"
