"""docs/safety.md names tests that exist, leaves no code without a place, and numbers every hazard."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from pencore import faults

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", TEXT)))
ROWS = [line.split("|") for line in TEXT.splitlines() if re.match(r"\| \d+", line)]


@cache
def functions(path: Path) -> frozenset[str]:
    """Return the names of the functions in a file of tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_the_document_names_tests() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_exists(file: str, name: str) -> None:
    path = ROOT / "tests" / file
    assert path.exists(), file
    assert name in functions(path), f"{file} has no {name}"


def test_every_hazard_has_its_row() -> None:
    numbers = [int(number) for row in ROWS for number in row[1].split(",")]
    assert sorted(numbers) == list(range(1, 41))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1].strip())
def test_a_row_names_a_control_and_a_test(row: list[str]) -> None:
    assert row[3].strip(), "no control"
    assert "::test_" in row[5], "no test"


@pytest.mark.parametrize("name", sorted(faults.NAMES.values()))
def test_every_code_has_its_place(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT), name
