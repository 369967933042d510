"""The short scenario files, unchanged, on the whole chip: they go as they say, or are known to differ."""

from dataclasses import dataclass, replace

import pytest

from pensim.chip.image import Image
from pensim.chip.target import ChipTargets
from pensim.faults.cpu import ClockWraps, PortRaises
from pensim.faults.flash import FlashFull
from pensim.oracle import COAST_LIMIT
from pensim.scenario.form import Path
from pensim.scenario.report import lines
from pensim.scenario.run import Outcome, play
from pensim.scenario.targets import Lacks
from pinprick.board.build import Build
from pinprick.cli.sim_chip import files_of
from tests.support.scenario_files import FILES, FOLDER, read

pytestmark = [pytest.mark.chip, pytest.mark.timeout(300)]

LACKING = {
    "flash-full": FlashFull.NAME,
    "ports-that-raise": PortRaises.NAME,
    "clock-wraps-in-a-session": ClockWraps.NAME,
}
"""What can't be done to a chip from outside: the file, and its first such fault."""


@dataclass(frozen=True)
class Difference:
    """Why a file breaks on a chip, and how: its place in the file, what was expected there, what was found."""

    why: str
    path: Path
    expected: str
    found: str


DIFFERS = {
    "asked-while-busy": Difference(
        "the chip reads a request in several turns, and by then the flash is written",
        ("act", 3),
        "zone refused with BUSY",
        "done",
    ),
    "flash-block-lost": Difference(
        "MicroPython makes its file system anew, without our firmware: a prompt is at the port, and the driver is off",
        ("act", 7),
        "hello done",
        "refused with NO_ANSWER",
    ),
    "noise-on-the-line": Difference(
        "the firmware takes 32 bytes a turn: 100,000 bytes of noise keep it for longer than the 5 s of a request",
        ("act", 2),
        "load done",
        "refused with NO_ANSWER",
    ),
}
"""Findings that are open; one that has gone must leave, and one that breaks in another way is another."""
LONG = {
    "fifteen-minutes-without-a-stroke": "15 minutes of emulated time",
    "full-of-records": "64 sessions, each sealed",
    "host-falls-silent": "half a minute",
    "host-that-does-not-read": "a minute",
}
"""What takes too long on an emulated chip, and why; the virtual pen plays them all."""
CUT_MIDWAY = ("bits-flip-in-memory",)
"""Where the chip, by its own time, may switch the motor off in the midst of a stroke and the virtual pen does not: what
the carriage then coasts beyond its depth is told apart, and is in no other file's leave.
"""
SHORT = [path.stem for path in FILES if path.stem not in (*LACKING, *LONG)]


@pytest.fixture(scope="module")
def targets(chip_image: Image, firmware: Build) -> ChipTargets:
    """Return what makes pens for scenarios."""
    return ChipTargets(chip_image, files_of(firmware))


def went(targets: ChipTargets, name: str) -> Outcome:
    """Play a file."""
    scenario = read(FOLDER / f"{name}.toml")
    if name in CUT_MIDWAY:
        scenario = replace(scenario, allow=(*scenario.allow, COAST_LIMIT))
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
def test_what_is_known_to_differ_does_so_where_and_as_it_did(name: str, targets: ChipTargets) -> None:
    outcome = went(targets, name)
    assert outcome.broken is not None, "it goes as it says after all: take it out of the list"
    broken, known = outcome.broken, DIFFERS[name]
    assert (broken.path, broken.expected, broken.found) == (known.path, known.expected, known.found)


def test_what_is_left_out_is_there() -> None:
    names = {path.stem for path in FILES}
    assert {*LACKING, *LONG, *DIFFERS} <= names


@pytest.mark.parametrize("name", LACKING)
def test_what_nobody_can_do_to_a_chip_is_refused_before_anything_happens(name: str, targets: ChipTargets) -> None:
    with pytest.raises(Lacks, match=LACKING[name]):
        went(targets, name)


def test_the_same_file_makes_the_same_events_to_the_last_byte(targets: ChipTargets) -> None:
    first = went(targets, "stop-request")
    assert first.log() == went(targets, "stop-request").log()
    assert first.log().count("\n") > 10
