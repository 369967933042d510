"""The tests as they are written, read from the syntax trees: which there are, and which codes and bounds each names.

Host only. A test names what stands in it, in its decorators, and in whatever of its own file it uses, however far away;
a scenario file names what stands in it, for the test that plays it.
"""

import ast
import re
import tomllib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

SCENARIO = "scenarios/test_scenario_files.py::test_a_file_goes_as_it_says"
"""The test that plays every scenario file; its variants are the files' names."""
_SCENARIO_FILES = "scenarios/files"
_USES = (ast.Name, ast.arg)
_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b")

TIERS = {
    "chip": "whole chip, emulated",
    "pio": "PIO programs, two emulators",
    "vm": "MicroPython and CPython",
    "scenarios": "virtual pen",
    "property": "properties, random",
    "contract": "ports, each rig",
    "unit": "one module",
    "architecture": "the tree itself",
}
"""Folder of a test -> what it runs on."""


class Named(NamedTuple):
    """A test as a row names it: file below `tests`, function, and the one variant that is meant, or ""."""

    file: str
    function: str
    variant: str

    @property
    def base(self) -> str:
        """Its name without the variant."""
        return f"{self.file}::{self.function}"

    @property
    def tier(self) -> str:
        """The folder that it lies in."""
        return self.file.partition("/")[0]

    def __str__(self) -> str:
        return f"{self.base}[{self.variant}]" if self.variant else self.base


_FORM = re.compile(r"([a-z_]+/test_\w+\.py)::(test_\w+)(?:\[([^\[\]\s]+)\])?")


def named(text: str) -> Named | None:
    """Return the test that `text` names; None when it has not the form of one."""
    match = _FORM.fullmatch(text)
    return None if match is None else Named(match[1], match[2], match[3] or "")


class _File:
    """One file of tests: what each thing defined at its top uses and names."""

    def __init__(self, text: str) -> None:
        body = [(node, list(ast.walk(node))) for node in ast.parse(text).body]
        codes = frozenset(name for _, nodes in body for name in _modules_of_codes(nodes))
        self.tests: set[str] = set()
        self._uses: dict[str, set[str]] = {}
        self._says: dict[str, set[str]] = {}
        for node, nodes in body:
            for name in _defined(node):
                self._uses.setdefault(name, set()).update(_used(nodes))
                self._says.setdefault(name, set()).update(_said(nodes, codes))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                self.tests.add(node.name)

    def said_by(self, test: str) -> frozenset[str]:
        """Return the names in capitals that a test says, itself or by what it uses of its file."""
        said: set[str] = set()
        waiting, seen = [test], {test}
        while waiting:
            name = waiting.pop()
            said |= self._says[name]
            new = (self._uses[name] & self._uses.keys()) - seen
            seen |= new
            waiting.extend(new)
        return frozenset(said)


@lru_cache(maxsize=512)
def _file(text: str) -> _File:
    """Return a file by its text: of two trees that differ in one file, one is read anew."""
    return _File(text)


class Suite:
    """All tests below `root`/tests."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "tests"
        self._files: dict[str, _File | None] = {}

    def _file(self, name: str) -> _File | None:
        if name not in self._files:
            path = self._folder / name
            self._files[name] = _file(path.read_text(encoding="utf-8")) if path.is_file() else None
        return self._files[name]

    def has(self, test: Named) -> bool:
        """Return whether there is such a test. Of variants only those are known before a run that are files."""
        file = self._file(test.file)
        if file is None or test.function not in file.tests:
            return False
        return test.base != SCENARIO or not test.variant or test.variant in self.scenario_files

    def said_by(self, test: Named) -> frozenset[str]:
        """Return the names in capitals that a test says; of a scenario's test those of its file."""
        if test.base == SCENARIO and test.variant:
            return self.scenario_files.get(test.variant, frozenset())
        file = self._file(test.file)
        return file.said_by(test.function) if file is not None and test.function in file.tests else frozenset()

    @cached_property
    def scenario_files(self) -> dict[str, frozenset[str]]:
        """The names in capitals that each scenario file says; comments say nothing."""
        found = {}
        for path in sorted((self._folder / _SCENARIO_FILES).glob("*.toml")):
            said = str(tomllib.loads(path.read_text(encoding="utf-8")))
            found[path.stem] = frozenset(_NAME.findall(said))
        return found

    def tests(self) -> list[Named]:
        """Return every test there is, and every scenario file as a variant of the test that plays it."""
        found = []
        for path in sorted(self._folder.glob("*/test_*.py")):
            name = path.relative_to(self._folder).as_posix()
            file = self._file(name)
            found += [Named(name, test, "") for test in sorted(file.tests if file is not None else ())]
        scenario = named(SCENARIO)
        if scenario is not None and scenario in found:
            found += [scenario._replace(variant=stem) for stem in self.scenario_files]
        return found


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return []


def _used(nodes: Sequence[ast.AST]) -> set[str]:
    # A fixture is used by the name of an argument.
    return {node.id if isinstance(node, ast.Name) else node.arg for node in nodes if isinstance(node, _USES)}


def _modules_of_codes(nodes: Sequence[ast.AST]) -> list[str]:
    """Return what a file calls `pencore.faults`; `signals`, for one, has bits of the same names."""
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "pencore"]
    names = [name for node in imports for name in node.names if name.name == "faults"]
    return [name.asname or name.name for name in names]


def _said(nodes: Sequence[ast.AST], codes: frozenset[str]) -> set[str]:
    said: set[str] = set()
    docstrings = {
        id(child.body[0].value)
        for child in nodes
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and child.body and isinstance(child.body[0], ast.Expr)
    }
    for child in nodes:
        if isinstance(child, ast.Attribute):
            if isinstance(child.value, ast.Name) and child.value.id in codes:
                said.add(child.attr)
        elif isinstance(child, ast.Name):
            said.add(child.id)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str) and id(child) not in docstrings:
            said.update(_NAME.findall(child.value))
    return said
