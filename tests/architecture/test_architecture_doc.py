"""docs/architecture.md is of the tree as it is: every module has its line, every name in it is one of the code."""

import re

import pytest

from tests.architecture import layers
from tests.architecture.source import ROOT, known_modules
from tests.safety.firmware import Module

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = ("pencore", "pendevice", "pensim", "pinprick")
HOMES = {"pencore": "firmware", "pendevice": "firmware", "pensim": "sim", "pinprick": "host"}
_NAME = re.compile(r"`([\w./]+)`")


def rows(head: str) -> list[list[str]]:
    """Return the cells of the table whose first line begins with `head`."""
    (table,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [line.strip("| ").split(" | ") for line in table.splitlines()]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_module_of_a_package_has_its_line_and_one_alone(package: str) -> None:
    told = [name for row in rows(f"module of `{package}`") for name in _NAME.findall(row[0])]
    own = {name.split(".")[1] for name in known_modules() if name.startswith(f"{package}.")}
    assert sorted(told) == sorted(own - {"__main__"})


def test_each_stop_is_a_function_of_the_code() -> None:
    stops = [_NAME.findall(row[1])[0] for row in rows("stop")]
    assert len(stops) >= 15
    for stop in stops:
        module = max((name for name in known_modules() if stop.startswith(f"{name}.")), key=len)
        path = ROOT / HOMES[module.partition(".")[0]] / f"{module.replace('.', '/')}.py"
        assert stop.removeprefix(f"{module}.") in Module(path.read_text(encoding="utf-8")).names, stop


def test_the_host_may_know_what_the_page_says() -> None:
    (row,) = (row for row in rows("package") if row[0] == "`pinprick`")
    assert {f"pencore.{name}" for name in _NAME.findall(row[1])} == layers.VOCABULARY - {"pencore"}


def test_each_folder_and_module_that_is_named_is_there() -> None:
    for name in _NAME.findall(TEXT):
        if name.startswith(("tests/", "docs/", "pen/")):
            assert (ROOT / name).exists() or (ROOT / "firmware" / name).exists(), name
        if name.startswith("cli."):
            assert f"pinprick.{name}" in known_modules(), name
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*.py")} - {"support"}
    assert {f"tests/{folder}" for folder in folders} <= set(_NAME.findall(TEXT))
