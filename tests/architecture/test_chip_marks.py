"""`make test` never runs the whole chip, whether there is an image or not; whoever asks for it by its marker does."""

import os
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

NOTHING_COLLECTED = 5


CHIP_FILE = "tests/chip/test_chip_session.py"


def collected(*options: str, image: str = "", path: str = CHIP_FILE) -> "subprocess.CompletedProcess[str]":
    """Have pytest collect one file, of the chip's if no other is named, and no more."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "--collect-only", "-q", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PINPRICK_"))}
    environment["PINPRICK_UF2"] = image
    return subprocess.run([*command, path], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("image", ["", __file__])
def test_what_leaves_slow_ones_out_leaves_the_chip_out(image: str) -> None:
    said = collected("-m", "not slow", image=image)
    assert said.returncode == NOTHING_COLLECTED, said.stdout + said.stderr
    assert "3 deselected" in said.stdout


def test_with_an_image_who_leaves_nothing_out_runs_it() -> None:
    said = collected(image=__file__)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("::test_") == 3


def test_without_one_it_is_left_out_loudly_unless_asked_for() -> None:
    said = collected()
    assert said.returncode == NOTHING_COLLECTED
    assert "TIER 4 WAS NOT RUN" in said.stdout
    assert collected("-m", "chip").returncode == 0


@pytest.mark.parametrize(
    ("path", "told"), [("tests/unit/test_units.py", False), (f"{CHIP_FILE}::test_nothing", True), ("tests/chip", True)]
)
def test_only_a_run_that_would_have_had_them_says_that_they_are_missing(path: str, told: bool) -> None:
    assert ("TIER 4 WAS NOT RUN" in collected(path=path).stdout) is told
