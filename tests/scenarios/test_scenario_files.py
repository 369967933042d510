"""Every scenario file, on the virtual pen in this process; some on served pens; and what all of them together reach."""

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pencore import faults, wire
from pensim.faults import ALL
from pensim.scenario.conditions import Comparison
from pensim.scenario.model import Expectation, Scenario
from pensim.scenario.report import again, lines
from pensim.scenario.run import play
from tests.support.scenario_files import FILES, FOLDER, outcome, play_here, read, served_target

ROOT = Path(__file__).parents[2]

# What no host, no hand and no fault from outside brings about: (why, the test that does it from inside).
UNREACHED: dict[str, tuple[str, str]] = {
    "BOOT": (
        "a pen that boots says nothing before it is SAFE, LOADED or in FAULT",
        "tests/unit/test_session.py::test_the_arrows_name_every_state_and_every_event",
    ),
    "COURSE_MEMORY_FULL": (
        "takes 512 courses within a year",
        "tests/unit/test_course.py::test_courses_have_room_up_to_their_number",
    ),
    "CARTRIDGE_MEMORY_FULL": (
        "takes 4,096 sessions",
        "tests/unit/test_course.py::test_cartridges_have_room_up_to_their_number",
    ),
    "NET_STEPS": (
        "a table that was damaged is found before the stroke that plays it has ended",
        "tests/unit/test_motion.py::test_every_stroke_is_judged",
    ),
    "NO_PROFILE": (
        "the states without a profile refuse earlier",
        "tests/unit/test_scenario_run.py::test_a_pen_whose_profile_is_gone_from_memory_says_so",
    ),
    "LEDGER_READ_BACK": (
        "the file system reads back by itself and fails before",
        "tests/unit/test_ledger.py::test_flash_that_gives_back_wrong_twice_is_a_fault",
    ),
    "COUNT_GUARD": (
        "needs a firmware that credits more than it reserved",
        "tests/unit/test_runner_faults.py::test_a_trip_is_a_fault_and_homing_anew_ends_it",
    ),
    "STROKE_SEQUENCE": (
        "needs an engine that miscounts its strokes",
        "tests/unit/test_motion.py::test_a_stroke_nobody_credited_is_a_fault",
    ),
    "STROKE_RATE": (
        "needs an engine that plays another table",
        "tests/unit/test_motion.py::test_strokes_faster_than_planned_are_a_fault",
    ),
    "STROKE_OVERDUE": (
        "needs an engine that stops without a word",
        "tests/unit/test_motion.py::test_a_stroke_that_does_not_end_is_a_fault",
    ),
    "INTERNAL": (
        "a mistake in the firmware itself",
        "tests/unit/test_runner_faults.py::test_a_task_is_not_begun_over_another",
    ),
    "FLASH_IN_MOTION": (
        "a mistake in the firmware itself",
        "tests/unit/test_runner_faults.py::test_no_flash_is_written_in_motion_whoever_asks",
    ),
}
SERVED = (
    "whole-session",
    "depth-limits",
    "cartridge-rules",
    "ids-and-nonces",
    "home-not-found",
    "flash-full",
    "laptop-clock-wrong",
    "two-hosts",
)
"""Files that leave a pen with a clock of its own the room that it needs."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_goes_as_it_says(path: Path) -> None:
    went = outcome(path)
    assert went.ok, "\n".join(lines(went))
    assert went.expected == len(went.scenario.expects)
    assert went.violations == set(went.scenario.allow), "a file allows what it provokes, and no more"


@pytest.mark.parametrize("end", ["tcp", "pty"])
@pytest.mark.parametrize("name", SERVED)
def test_a_file_goes_the_same_on_a_served_pen(name: str, end: str) -> None:
    scenario = read(FOLDER / f"{name}.toml")
    with served_target(end, scenario) as target:
        went = play(scenario, target)
    assert went.ok, "\n".join(lines(went))


def test_there_are_files_and_each_says_what_it_shows() -> None:
    assert len(FILES) >= 45
    names = [outcome(path).scenario.name for path in FILES]
    assert len(set(names)) == len(names)


def seen() -> set[str]:
    """Return every state and code that came up in any file."""
    return {name for path in FILES for name in outcome(path).seen}


def test_every_state_and_code_comes_up_or_is_accounted_for() -> None:
    wanted = {*wire.STATE_NAMES, *faults.NAMES.values()}
    missing = wanted - seen() - UNREACHED.keys()
    assert not missing, "reached by no scenario file, and no reason is given"
    stale = UNREACHED.keys() & seen()
    assert not stale, "reached after all: take the reason away"
    assert UNREACHED.keys() <= wanted


@pytest.mark.parametrize("name", UNREACHED)
def test_what_no_file_reaches_has_a_test_of_its_own(name: str) -> None:
    file, _, test = UNREACHED[name][1].partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {test}\(", text, re.MULTILINE), f"{file} has no {test}"


def test_every_fault_of_the_library_is_done_somewhere() -> None:
    done = {act.do for path in FILES for act in read(path).faults}
    assert {kind.NAME for kind in ALL} <= done


def test_the_same_file_and_seed_make_the_same_events_to_the_last_byte() -> None:
    for name in ("power-cut-in-a-stroke", "noise-on-the-line", "home-sensor-chatters"):
        scenario = read(FOLDER / f"{name}.toml")
        first = play_here(scenario, 5)
        assert first.log() == play_here(scenario, 5).log()
        assert first.log().count("\n") > 20
    # The nonce is all that is random about a pen, and only who asks for it gets to see it.
    forged = read(FOLDER / "ids-and-nonces.toml")
    assert play_here(forged, 1).log() != play_here(forged, 2).log()


# --- the engine can fail ---------------------------------------------------------------------------------------------
def flipped(expect: Expectation) -> Expectation:
    """Return an expectation that must not hold where `expect` does."""
    test = expect.test
    opposite = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
    if test.op == "contains":
        return replace(expect, test=Comparison(test.what, "==", ()))
    if test.op == "in":
        assert isinstance(test.value, tuple)
        return replace(expect, test=replace(test, value=()))
    if test.tolerance and test.op == "==":
        assert isinstance(test.value, int)
        return replace(expect, test=replace(test, value=test.value + 1000))
    return replace(expect, test=replace(test, op=opposite[test.op], tolerance=Decimal(0)))


def mutants(name: str) -> Iterator[tuple[Scenario, Expectation]]:
    """Yield a file's scenario with one expectation after the other turned round, and that expectation."""
    scenario = read(FOLDER / f"{name}.toml")
    for index, expect in enumerate(scenario.expects):
        turned = flipped(expect)
        expects = (*scenario.expects[:index], turned, *scenario.expects[index + 1 :])
        yield replace(scenario, expects=expects), turned


@pytest.mark.parametrize(
    "name", ["whole-session", "stop-byte-in-a-stroke", "power-cut-in-a-stroke", "depth-limits", "lost-steps"]
)
def test_each_expectation_turned_round_breaks_the_run_there_and_says_so(name: str) -> None:
    for scenario, turned in mutants(name):
        went = play_here(scenario)
        assert went.broken is not None, str(turned.test)
        assert went.broken.path == turned.path
        told = "\n".join(lines(went))
        assert str(turned.test) in told
        assert went.broken.found in told
        assert again(went) == f"pinprick sim run {name}.toml --target inproc --seed 0"
        assert 4 <= sum(" ms  " in line for line in lines(went)) <= 12


@pytest.mark.parametrize(
    ("name", "old", "new", "expected", "found"),
    [
        ("whole-session", "motion_s = 2.5", "motion_s = 0.9", "motion for at most 900 ms", "920 ms"),
        ("stop-byte-in-a-stroke", 'do = "clear"', 'do = "ping"', "arm done", "refused with STATE_FORBIDS"),
        ("asked-while-busy", ', refused = "BUSY"', "", "refusals == [BUSY]", "[]"),
        ("zones-in-any-order", '"ZONE_UNKNOWN"', '"ZONE_SPENT"', "zone refused with ZONE_SPENT", "ZONE_UNKNOWN"),
        ("trigger-held-while-arming", ', refused = "TRIGGER_HELD"', "", "arm done", "refused with TRIGGER_HELD"),
        ("spring-broken", ', "needle_out"', "", "what must never happen", "needle_out"),
    ],
)
def test_a_file_that_is_not_as_it_went_breaks(name: str, old: str, new: str, expected: str, found: str) -> None:
    scenario = read(FOLDER / f"{name}.toml", lambda text: text.replace(old, new))
    assert scenario != read(FOLDER / f"{name}.toml")
    went = play_here(scenario)
    assert went.broken is not None
    assert expected in went.broken.expected
    assert found in went.broken.found
