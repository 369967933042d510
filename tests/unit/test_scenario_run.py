"""The run itself: times, what goes on beside, what is wrong though no expectation says so, targets that lack things."""

import pytest

from pencore import faults
from pencore.digest import ZERO_DIGEST
from pencore.record import Record, RecordZone
from pensim.scenario import checks, run
from pensim.scenario.run import play
from pensim.scenario.targets import Lacks
from tests.support.bench import Bench
from tests.support.scenario_files import of, play_here, served_target

HEAD = """
schema = 1
name = "Test"
summary = "A test."
motion_s = 3
profile.file = "profiles/two-zones.toml"
"""
SAFE = 'expect = [{ what = "state", op = "==", value = "SAFE" }]\n'
LOADED = 'expect = [{ what = "state", op = "==", value = "LOADED" }]\n'


def test_times_are_kept_to_the_millisecond() -> None:
    text = HEAD + SAFE
    text += 'act = [{ do = "press", at_ms = 100 }, { do = "release", after_ms = 23 }, { do = "ping", at_ms = 777 }]'
    went = play_here(of(text))
    assert went.ok
    assert [(event.at_ms, event.what) for event in went.events if event.who == "hands"] == [
        (100, "press"),
        (123, "release"),
    ]
    assert [event.at_ms for event in went.events if event.what == "ping"] == [777]


def test_faults_come_beside_the_acts_at_their_own_time() -> None:
    text = HEAD + SAFE + 'act = [{ do = "wait", after_ms = 500 }]\n'
    text += 'fault = [{ do = "driver-failed", at_ms = 311 }, { do = "mend", name = "driver-failed", at_ms = 400 }]'
    went = play_here(of(text))
    assert went.ok
    assert [event.at_ms for event in went.events if event.who == "fault"] == [311, 400]


@pytest.mark.parametrize(
    ("line", "expected", "found"),
    [
        ('act = [{ do = "ping", when = "state == ARMED", within_ms = 300 }]', "state == ARMED within 300 ms", "SAFE"),
        ('fault = [{ do = "driver-reset", when = "state == ARMED", within_ms = 300 }]', "driver-reset", "never came"),
    ],
)
def test_what_never_comes_breaks_the_run(line: str, expected: str, found: str) -> None:
    went = play_here(of(HEAD + SAFE + line))
    assert went.broken is not None
    assert expected in went.broken.expected
    assert found in went.broken.found


def test_a_timed_expectation_that_fails_ends_the_run_with_what_followed() -> None:
    text = HEAD + 'act = [{ do = "load" }, { do = "arm" }, { do = "finish", after_ms = 100 }]\n'
    text += 'expect = [{ what = "state", op = "==", value = "SAFE", when = "state == HOMING" }]'
    went = play_here(of(text))
    assert went.broken is not None
    assert went.broken.path == ("expect", 0)
    assert went.events[went.broken_at].what.startswith("here it broke")
    assert "finish" not in went.log()


def test_strokes_that_no_expectation_speaks_of_break_the_run_all_the_same() -> None:
    text = HEAD + LOADED.replace("LOADED", "PAUSED") + 'allow = ["coast_limit"]\n'
    text += 'act = [{ do = "load" }, { do = "arm" }, { do = "press", after_ms = 150 }, '
    text += '{ do = "release", when = "code == ZONE_SPENT" }]\n'
    assert play_here(of(text)).ok
    inverted = text + 'fault = [{ do = "edges-extra", count = 100, after = 20, when = "state == RUNNING" }]'
    went = play_here(of(inverted))
    assert went.broken is not None


def test_a_pen_without_power_is_greeted_by_the_file_itself() -> None:
    text = HEAD + SAFE + "pen = { powered = false, new_cartridge = false }\n"
    text += 'act = [{ do = "ping", refused = "NO_ANSWER", within_ms = 200 }, { do = "power_on" }, '
    text += '{ do = "hello", after_ms = 100 }, { do = "ping" }]'
    assert play_here(of(text)).ok


def test_a_pen_with_another_provisioning_is_told_apart() -> None:
    made = of(HEAD + LOADED + 'act = [{ do = "load" }]\n')
    wanted = of(HEAD + LOADED + 'act = [{ do = "load" }]\npen = { ceiling_um = 2000 }\n')
    with served_target("tcp", made) as target, pytest.raises(Lacks, match="ceiling_um = 2000"):
        play(wanted, target)


def test_a_pen_with_a_session_loaded_is_left_alone_and_one_with_a_past_is_not() -> None:
    scenario = of(HEAD + LOADED + 'act = [{ do = "load" }]\n')
    used = of(
        HEAD + SAFE + 'act = [{ do = "load" }, { do = "arm" }, { do = "press", after_ms = 150 }, '
        '{ do = "release", when = "code == ZONE_SPENT" }, { do = "finish" }]\n'
    )
    with served_target("tcp", scenario) as target:
        for _ in range(2):
            # The same cartridge and course in the file: the pen gets to see others.
            went = play(used, target)
            assert went.ok, went.log()
        assert play(scenario, target).ok
        with pytest.raises(Lacks, match="SAFE"):
            play(scenario, target)


def test_a_pen_whose_profile_is_gone_from_memory_says_so() -> None:
    pen = Bench()
    pen.load_new()
    pen.runner.session = None
    assert pen.refusal("arm", zone=None) == faults.NO_PROFILE


# --- what must hold after every run ----------------------------------------------------------------------------------
def tally(strokes: int, deepest_um: float = 100.0) -> dict[str, float]:
    """Return what the oracle says of a zone."""
    return {"begun": strokes, "crossings": strokes, "strokes": strokes, "deepest_um": deepest_um}


def sealed(session: int, made: int, previous: bytes = ZERO_DIGEST) -> Record:
    """Return a record of one zone with a budget of ten."""
    record = Record()
    record.session = session
    record.previous = previous
    record.digest = bytes([session]) * 32
    record.zones = [RecordZone(0, 0, 200, 10, made, 0, 200, 20)]
    return record


@pytest.mark.parametrize(
    ("needle", "records", "said"),
    [
        (checks.Needle({"1.0": tally(10, 200.0)}, "out", ()), [sealed(1, 10)], ""),
        (checks.Needle({"1.0": tally(11)}, "out", ()), [sealed(1, 11)], "at most 10"),
        (checks.Needle({"1.0": tally(9)}, "out", ()), [sealed(1, 8)], "strokes are counted"),
        (checks.Needle({"1.0": tally(9, 201.0)}, "out", ()), [sealed(1, 9)], "stays above 200 um"),
        (checks.Needle({"out": tally(1)}, "out", ()), [], "no stroke outside"),
        (checks.Needle({}, "out", ("0.1 s no_lease silent_ms=1",)), [], "must never happen"),
        (checks.Needle({}, "out", ("0.1 s flash_in_motion block=1",)), [], "must never happen"),
        (None, [sealed(1, 1), sealed(2, 1)], "to follow"),
        (None, [sealed(1, 1, b"x" * 32)], "to follow"),
        (None, [sealed(1, 1), sealed(2, 1, bytes([1]) * 32)], ""),
        (None, [sealed(1, 11)], "at most 10 strokes on record"),
    ],
)
def test_what_must_hold_after_every_run(needle: checks.Needle | None, records: list[Record], said: str) -> None:
    found = list(checks.problems(needle, {"1.0": (10, 200)}, records, []))
    assert bool(found) == bool(said)
    if said:
        assert said in found[0].expected


def test_an_open_session_counts_at_least_what_the_needle_did() -> None:
    needle = checks.Needle({"1.0": tally(4)}, "out", ())
    assert not list(checks.problems(needle, {"1.0": (10, 200)}, [], [], {"1.0": 4}))
    (found,) = checks.problems(needle, {"1.0": (10, 200)}, [], [], {"1.0": 3})
    assert (found.expected, found.found) == ("zone 1.0: the needle's 4 strokes are counted", "3")


def test_what_a_file_allows_is_no_problem() -> None:
    needle = checks.Needle({"1.0": tally(3, 900.0)}, "out", ("0.1 s depth_limit depth_um=900",))
    assert list(checks.problems(needle, {"1.0": (10, 200)}, [], []))
    assert not list(checks.problems(needle, {"1.0": (10, 200)}, [], ["depth_limit"]))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('greet = false\nact = [{ do = "replay", refused = "NO_ANSWER", within_ms = 10 }]', "no request was made yet"),
        ('act = [{ do = "replay" }]', "no request was made yet"),
        ('act = [{ do = "tamper", file = "ledger.bin", how = "remove" }]', "the pen has power"),
        ('act = [{ do = "ask", method = "load.chunk", params = { offset = 0, data = 5 } }]', "given as hex digits"),
        ('act = [{ do = "load", patch = [[99999999, 1]] }]', "there is no byte 99999999"),
        ('act = [{ do = "load", with = { "limits.strokes" = 0xFFFFFFFFFFFFFFFFFFFF } }]', "binary form"),
    ],
)
def test_what_only_the_run_can_tell_breaks_it(lines: str, said: str) -> None:
    went = play_here(of(HEAD + SAFE + lines))
    assert went.broken is not None
    assert went.broken.path == ("act", 0)
    assert said in went.broken.found


def test_a_run_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LASTS_MOST_MS", 60_000)
    never = '{ do = "ask", method = "ping", refused = "NO_ANSWER", within_ms = 50_000 }'
    acts = f'act = [{{ do = "power_cut" }}, {", ".join([never] * 3)}]'
    went = play_here(of(HEAD + SAFE + acts))
    assert went.broken is not None
    assert went.broken.expected == "an end within 60,000 ms"
    assert went.events[-1].at_ms < 61_000


def test_a_file_that_no_flash_can_have_breaks_the_run() -> None:
    acts = 'act = [{ do = "power_cut" }, { do = "tamper", file = "../ledger.bin", how = "cut" }]'
    went = play_here(of(HEAD + SAFE + acts))
    assert went.broken is not None
    assert went.broken.path == ("act", 1)
    assert "../ledger.bin can't be tampered with" in went.broken.found
