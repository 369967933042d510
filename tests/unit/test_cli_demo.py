"""What `pinprick demo` says and leaves behind, and how virtual pens end without their library."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from pinprick.cli import main
from pinprick.cli.demo import _comparison, _Row
from tests.support.profile_files import GOOD

ROWS = [
    _Row("periorbital right", 1_250, 1_250, 13_600, 13_600, 13_600),
    _Row("nose", 501, 500.25, 9, 8, 9),
]


def drawn(width: int) -> list[str]:
    """Return the lines of the closing table in a terminal of `width`."""
    console = Console(width=width)
    with console.capture() as captured:
        console.print(_comparison(ROWS, width))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_closing_table_has_every_column_where_there_is_room() -> None:
    title, first, second = drawn(80)
    assert title.split() == ["zone", "limit", "mm", "needle", "mm", "needle", "strokes", "record", "budget"]
    assert first.split() == ["periorbital", "right", "1.25", "1.25", "13,600", "13,600", "13,600", "agree"]
    assert second.split() == ["nose", "0.501", "0.50", "8", "9", "9", "DIFFER"]


@pytest.mark.parametrize("width", [60, 44])
def test_a_narrow_closing_table_cuts_no_number(width: int) -> None:
    lines = drawn(width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert "…" not in "".join(words)
    assert words.count("13,600") == 2
    assert {"agree", "DIFFER"} <= set(words)
    assert "budget" not in words


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder that temporary folders are made in."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """Return the path of a profile of one stroke, not as deep as its session allows."""
    zone = '[[zone]]\narea = "nose"\nside = "none"\ndepth_mm = 0.4\nstrokes = 1\nrate_per_s = 20\n'
    path = tmp_path / "tiny.toml"
    path.write_text(GOOD[: GOOD.index("[[zone]]")].replace("2031-06-30", "2060-12-31") + zone)
    return str(path)


def test_one_is_not_many_and_the_depth_said_is_the_deepest_zones(
    capsys: pytest.CaptureFixture[str], temporary: Path, tiny: str
) -> None:
    main(["demo", tiny, "--in-process"])
    said = capsys.readouterr().out
    assert "Cheeks, session 2 of 6: 1 zone, 1 stroke, up to 0.40 mm. The pen accepted it" in said
    assert "1 strokes" not in said.replace("1 of       1 strokes", "")
    assert [path.name[:14] for path in temporary.iterdir()] == ["pinprick-demo-"]


MISSING = "raise ModuleNotFoundError(\"No module named 'littlefs'\", name='littlefs')\n"


@pytest.mark.parametrize("command", [["demo"], ["demo", "--in-process"], ["sim", "serve"]], ids=" ".join)
def test_without_their_library_virtual_pens_end_all_in_one_way(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "littlefs.py").write_text(MISSING)
    (tmp_path / "temporary").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "TMPDIR": str(tmp_path / "temporary"),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pinprick", *command],
        capture_output=True, text=True, check=False, env=environment, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "EXTRA_MISSING 1205  Virtual pens need littlefs-python, which is not installed." in ran.stderr
    assert "pip install littlefs-python" in ran.stderr
    # A demo that saved nothing leaves no folder.
    assert list((tmp_path / "temporary").iterdir()) == []
