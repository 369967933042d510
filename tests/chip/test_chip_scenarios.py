"""The short scenario files, unchanged, on the whole chip: they go as they say, or are known to differ."""

import pytest

from pensim.chip.image import Image
from pensim.chip.target import ChipTargets
from pensim.faults import FlashFull
from pensim.scenario.report import lines
from pensim.scenario.run import Outcome, play
from pensim.scenario.targets import Lacks
from pinprick.board.build import MANIFEST, Build
from tests.support.scenario_files import FILES, FOLDER, read

pytestmark = [pytest.mark.chip, pytest.mark.timeout(300)]

LACKING = ("flash-full",)
"""What can't be done to a chip from outside."""
DIFFERS = {
    "asked-while-busy": "the chip reads a request in several turns, and by then the flash is written",
    "cable-pulled-in-a-stroke": "a write to a port that has gone stalls a turn for 500 ms: STROKE_OVERDUE",
    "driver-failed": "the driver is asked at press and block alone: the spring is noticed first, HOME_NOT_CLEARED",
    "driver-reset": "the same: strokes go on to the block's end before the driver is asked",
    "flash-block-lost": "with the file system the firmware is gone as well, and the port is MicroPython's prompt",
    "home-sensor-chatters": "the chip looks at other moments: its homing may end in HOME_LOST",
    "noise-on-the-line": "the firmware takes 32 bytes a turn: 100,000 bytes of noise keep it for longer than 5 s",
    "table-damaged": "the chip plays the very table that the firmware checks: TABLE_CORRUPT comes first",
}
"""Findings that are open, and why; one that has gone must leave."""
LONG = (
    "fifteen-minutes-without-a-stroke",
    "full-of-records",
    "host-falls-silent",
    "host-that-does-not-read",
    "unload-without-a-stroke",
)
"""What takes minutes on an emulated chip."""
SHORT = [path.stem for path in FILES if path.stem not in LACKING + LONG]


@pytest.fixture(scope="module")
def targets(chip_image: Image, firmware: Build) -> ChipTargets:
    """Return what makes pens for scenarios."""
    return ChipTargets(chip_image, {**firmware.files, MANIFEST: firmware.manifest})


def went(targets: ChipTargets, name: str) -> Outcome:
    """Play a file."""
    scenario = read(FOLDER / f"{name}.toml")
    target = targets(scenario)
    try:
        return play(scenario, target)
    finally:
        target.close()


@pytest.mark.parametrize("name", [name for name in SHORT if name not in DIFFERS])
def test_a_file_goes_as_it_says(name: str, targets: ChipTargets) -> None:
    outcome = went(targets, name)
    assert outcome.ok, "\n".join(lines(outcome))
    assert outcome.expected == len(outcome.scenario.expects)


@pytest.mark.parametrize("name", DIFFERS)
def test_what_is_known_to_differ_still_does(name: str, targets: ChipTargets) -> None:
    assert not went(targets, name).ok, "it goes as it says after all: take it out of the list"


@pytest.mark.parametrize("name", LACKING)
def test_what_nobody_can_do_to_a_chip_is_refused_before_anything_happens(name: str, targets: ChipTargets) -> None:
    with pytest.raises(Lacks, match=FlashFull.NAME):
        went(targets, name)


def test_the_same_file_makes_the_same_events_to_the_last_byte(targets: ChipTargets) -> None:
    first = went(targets, "stop-request")
    assert first.log() == went(targets, "stop-request").log()
    assert first.log().count("\n") > 10
