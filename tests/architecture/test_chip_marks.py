"""`make test` never runs the whole chip, whether there is an image or not; whoever asks for it by its marker does."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.architecture.source import ROOT
from tests.support.warm import PYTEST, Warm

NOTHING_COLLECTED = 5


CHIP_FILE = "tests/chip/test_chip_session.py"


class Collect:
    """Has pytest collect one file, of the chip's if no other is named, and no more."""

    def __init__(self, python: Warm) -> None:
        self._python = python

    def __call__(self, *options: str, image: str = "", path: str = CHIP_FILE) -> "subprocess.CompletedProcess[str]":
        words = (*PYTEST, "-p", "no:cacheprovider", "-n", "0", "--collect-only", "-q", *options, path)
        return self._python.run(*words, PINPRICK_UF2=image)


@pytest.fixture(scope="module")
def collected() -> Iterator[Collect]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PINPRICK_"))}
    with Warm(ROOT, kept) as python:
        yield Collect(python)


@pytest.mark.parametrize("image", ["", __file__])
def test_what_leaves_slow_ones_out_leaves_the_chip_out(collected: Collect, image: str) -> None:
    said = collected("-m", "not slow", image=image)
    assert said.returncode == NOTHING_COLLECTED, said.stdout
    assert "3 deselected" in said.stdout


def test_with_an_image_who_leaves_nothing_out_runs_it(collected: Collect) -> None:
    said = collected(image=__file__)
    assert said.returncode == 0, said.stdout
    assert said.stdout.count("::test_") == 3


def test_without_one_it_is_left_out_loudly_unless_asked_for(collected: Collect) -> None:
    said = collected()
    assert said.returncode == NOTHING_COLLECTED
    assert "TIER 4 WAS NOT RUN" in said.stdout
    assert collected("-m", "chip").returncode == 0


@pytest.mark.parametrize(
    ("path", "told"), [("tests/unit/test_units.py", False), (f"{CHIP_FILE}::test_nothing", True), ("tests/chip", True)]
)
def test_only_a_run_that_would_have_had_them_says_that_they_are_missing(
    collected: Collect, path: str, told: bool
) -> None:
    assert ("TIER 4 WAS NOT RUN" in collected(path=path).stdout) is told
