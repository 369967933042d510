"""Runs every portable check under CPython and under MicroPython, as one test each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.machine import CPython, MicroPythonVM

TESTS = Path(__file__).parents[1]
PORTABLE = TESTS / "portable"


def found() -> Iterator[tuple[str, str]]:
    """Yield (module, function) of every check, from the files' syntax: nothing of them is imported to collect."""
    for path in sorted(PORTABLE.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("check_"):
                yield path.stem, node.name


CHECKS = list(found())


@pytest.mark.parametrize(("module", "check"), CHECKS, ids=lambda part: part)
def test_on_cpython(module: str, check: str) -> None:
    CPython().call(f"tests.portable.{module}", check)


@pytest.mark.parametrize(("module", "check"), CHECKS, ids=lambda part: part)
def test_on_micropython(vm: MicroPythonVM, module: str, check: str) -> None:
    vm.call(f"tests.portable.{module}", check)


def test_every_portable_module_holds_checks_or_serves_a_test() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py")}
    with_checks = {module for module, _ in CHECKS}
    for path in PORTABLE.glob("*.py"):
        others = [text for other, text in texts.items() if other != path]
        assert path.stem in with_checks or any(f"tests.portable.{path.stem}" in text for text in others), path.name
