"""What the tests of the whole chip share: the image, the firmware, a pen that is booted and one that is armed."""

import os
from pathlib import Path

import pytest

from pensim.chip.image import Image
from pensim.world import default_provision
from pinprick.board.build import Build, build
from tests.chip.bench import ChipBench, flash_of, image_at
from tests.support import profiles

UF2 = "PINPRICK_UF2"


@pytest.fixture(scope="session")
def uf2_path() -> Path:
    """Return the path of the MicroPython image that `PINPRICK_UF2` names; without it these tests fail."""
    given = os.environ.get(UF2)
    assert given, f"{UF2} names no image: set it to the path of a MicroPython UF2 for the Pico"
    path = Path(given)
    assert path.is_file(), f"{UF2} names {given}, which is no file"
    return path


@pytest.fixture(scope="session")
def chip_image(uf2_path: Path) -> Image:
    """Return that image."""
    return image_at(uf2_path)


@pytest.fixture(scope="session")
def firmware() -> Build:
    """Return the firmware, built."""
    return build()


def _booted(image: Image, firmware: Build) -> ChipBench:
    pen = ChipBench(image, flash_of(firmware, default_provision()))
    pen.boot()
    return pen


def _armed(image: Image, firmware: Build) -> ChipBench:
    pen = _booted(image, firmware)
    pen.load_new(profiles.TWO_ZONES)
    pen.arm(0)
    return pen


@pytest.fixture(scope="session")
def safe_pen(chip_image: Image, firmware: Build) -> ChipBench:
    """Return a pen that is SAFE and greeted. Not to be used but in copies."""
    return _booted(chip_image, firmware)


@pytest.fixture(scope="session")
def armed_pen(chip_image: Image, firmware: Build) -> ChipBench:
    """Return a pen that is ARMED for the first of two zones. Not to be used but in copies."""
    return _armed(chip_image, firmware)


@pytest.fixture(scope="session")
def running_pen(chip_image: Image, firmware: Build) -> ChipBench:
    """Return a pen in the first stroke of 60, the trigger held. Not to be used but in copies."""
    pen = _armed(chip_image, firmware)
    pen.running()
    return pen
