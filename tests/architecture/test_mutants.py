"""The table of planted bugs fits the sources: every text stands where it is said to, every test exists."""

import ast

import pytest

from tests.architecture.source import ROOT
from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS


def test_no_bug_has_two_entries() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_can_be_planted_and_names_a_test(mutant: Mutant) -> None:
    text = (ROOT / "firmware" / "pencore" / mutant.file).read_text(encoding="utf-8")
    for old, new in mutant.edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    ast.parse(text)
    path, _, name = mutant.test.partition("::")
    tests = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tests.body if isinstance(node, ast.FunctionDef)}
