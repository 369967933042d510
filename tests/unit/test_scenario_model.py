"""What is wrong with a scenario file is found before anything moves, all of it, with its place."""

from collections.abc import Sequence

import pytest

from pensim.scenario.acts import FILES, HANDS, ORACLE
from pensim.scenario.form import BadScenario, Finding
from pensim.scenario.model import Scenario, parse, provisioning
from pensim.scenario.targets import Board, Lacks, needed
from tests.support.scenario_files import FOLDER, of

GOOD = """
schema = 1
name = "Good"
summary = "Nothing happens."
motion_s = 1
profile.file = "profiles/two-zones.toml"
expect = [{ what = "state", op = "==", value = "SAFE" }]
"""


def found(text: str) -> Sequence[Finding]:
    """Return what is wrong with a scenario."""
    with pytest.raises(BadScenario) as bad:
        of(text)
    return bad.value.findings


def test_the_least_scenario() -> None:
    scenario = of(GOOD)
    assert (scenario.name, scenario.acts, scenario.faults, len(scenario.expects)) == ("Good", (), (), 1)
    assert scenario.needs == {}
    assert provisioning(scenario.pen).serial == "SIM-0001"


@pytest.mark.parametrize(
    ("line", "path", "said"),
    [
        ("schema = 2", ("schema",), "not a whole number from 1 to 1"),
        ("name = 3", ("name",), "not a text"),
        ("motion_s = 4", ("motion_s",), "long"),
        ('allow = ["no_such"]', ("allow",), "not a list of words"),
        ("colour = 1", ("colour",), "no key 'colour'"),
        ("motion = 1", ("motion",), "Did you mean 'motion_s'?"),
        ("pen = { ceiling_um = 3000 }", ("pen", "ceiling_um"), "from 0 to 2500"),
        ("pen = { ceiling_um = 50 }", ("pen",), "ceiling_um = 50"),
        ("act = 3", ("act",), "[[act]]"),
        ('act = [{ do = "arm", zone = 40 }]', ("act", 0, "zone"), "from 0 to 31"),
        ('act = [{ do = "finsh" }]', ("act", 0, "do"), "Did you mean 'finish'?"),
        ('act = [{ do = "arm", zon = 1 }]', ("act", 0, "zon"), "Did you mean 'zone'?"),
        ("act = [{ zone = 1 }]", ("act", 0, "do"), "no act"),
        ('act = [{ do = "arm", refused = "NO_SUCH" }]', ("act", 0, "refused"), "the name of a code"),
        ('act = [{ do = "arm", when = "state = 1" }]', ("act", 0, "when"), "no condition"),
        ('act = [{ do = "press", hard = true }]', ("act", 0), "no key 'hard'"),
        ('act = [{ do = "cartridge" }]', ("act", 0), "wants closed"),
        (
            'act = [{ do = "load", with = { "zone.9.strokes" = 1 } }]',
            ("act", 0, "with", "zone.9.strokes"),
            "nothing at",
        ),
        (
            'act = [{ do = "load", with = { "limits.strokes" = "x" } }]',
            ("act", 0, "with", "limits", "strokes"),
            "whole",
        ),
        ('act = [{ do = "quit" }]', ("act", 0, "do"), "no act 'quit'"),
        ('fault = [{ do = "lost-steps" }]', ("fault", 0), "at_ms or a when"),
        ('fault = [{ do = "lost-step", at_ms = 1 }]', ("fault", 0, "do"), "Did you mean 'lost-steps'?"),
        ('fault = [{ do = "lost-steps", cycles = 900, at_ms = 1 }]', ("fault", 0), "from -50 to 50"),
        ('fault = [{ do = "mend", name = "nothing", at_ms = 1 }]', ("fault", 0, "name"), "not a word"),
        ("profile.file = 3", ("profile", "file"), "name of a file"),
        ('profile.file = "none.toml"', ("profile", "file"), "cannot be read"),
        ('profile.colour = "red"', ("profile", "colour"), "no key 'colour'"),
        ('profile.limits.depth_mm = "0.4"', ("profile", "limits", "depth_mm"), "millimetres"),
        ("profile.limits.depth_mm = 0.4001", ("profile", "limits", "depth_mm"), "millimetres"),
        ("profile.zone = []", ("profile", "zone"), "at least one"),
        ("profile.zone = [{ area = 'knee' }]", ("profile", "zone", 0, "area"), "'knee'"),
        ('expect = [{ what = "state", op = "~", value = "SAFE" }]', ("expect", 0, "op"), "not a word"),
        ('expect = [{ what = "mood", op = "==", value = 1 }]', ("expect", 0), "Nothing is called 'mood'"),
        ('expect = [{ what = "state", op = "==", value = "SAVE" }]', ("expect", 0), "nothing that state can be"),
        ('expect = [{ what = "state", op = "==" }]', ("expect", 0), "'value' is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(line: str, path: tuple[str | int, ...], said: str) -> None:
    key = line.partition(" ")[0]
    kept = [other for other in GOOD.splitlines() if other.partition(" ")[0] != key]
    (finding,) = [one for one in found("\n".join([*kept, line])) if one.path[: len(path)] == path][:1]
    assert said in finding.message


def test_everything_wrong_is_found_at_once() -> None:
    text = GOOD.replace("schema = 1", "schema = 7").replace("motion_s = 1", "motion_s = 9").replace('"SAFE"', "3")
    assert {finding.path for finding in found(text)} == {("schema",), ("motion_s",), ("expect", 0)}


def test_what_is_no_toml_says_where() -> None:
    with pytest.raises(BadScenario) as bad:
        parse("schema = 1\nname = \n", "bad.toml", str)
    (finding,) = bad.value.findings
    assert finding.line == 2
    assert "TOML" in finding.message


@pytest.mark.parametrize(
    ("line", "need", "first"),
    [
        ('act = [{ do = "ping" }, { do = "press" }]', HANDS, "[[act]] number 2: press"),
        ('fault = [{ do = "driver-reset", at_ms = 1 }]', HANDS, "[[fault]] number 1: driver-reset"),
        ('act = [{ do = "tamper", file = "ledger.bin", how = "remove" }]', FILES, "[[act]] number 1: tamper"),
        ('act = [{ do = "ping", when = "needle.strokes > 1" }]', ORACLE, "[[act]] number 1: when needle.strokes > 1"),
        ('act = [{ do = "ping", when = "pins.home == true" }]', ORACLE, "[[act]] number 1: when pins.home == true"),
        ("pen = { powered = false }", HANDS, "[pen] powered = false"),
    ],
)
def test_a_board_is_refused_what_it_has_not_before_the_first_act(line: str, need: str, first: str) -> None:
    with pytest.raises(Lacks) as lacks:
        needed(of(GOOD + line), Board("/dev/board", Deaf(), Deaf))
    assert (lacks.value.need, lacks.value.first) == (need, first)


def test_a_board_is_enough_where_only_the_wire_is_spoken_of() -> None:
    text = GOOD + 'act = [{ do = "load" }, { do = "arm", refused = "STATE_FORBIDS" }]'
    needed(of(text), Board("/dev/board", Deaf(), Deaf))


class Deaf:
    """A port that nobody is at."""

    def read(self, timeout_s: float) -> bytes:
        return b""

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_profile_may_be_written_out_or_changed_in_its_place() -> None:
    whole = (FOLDER / "profiles" / "one-stroke.toml").read_text(encoding="utf-8")
    tables = "\n".join(
        line.replace("[[zone]]", "[[profile.zone]]").replace("[", "[profile.", 1)
        if line.startswith("[") and not line.startswith("[[")
        else line.replace("[[zone]]", "[[profile.zone]]")
        for line in whole.splitlines()
        if not line.startswith(("schema", "name", "head"))
    )
    text = GOOD.replace('profile.file = "profiles/two-zones.toml"', "")
    text += f'[profile]\nname = "Written out"\nhead = "pen"\n{tables}\n'
    assert zones(of(text)) == 1
    changed = of(GOOD + "profile.limits.strokes = 30\n")
    assert changed.profile["limits"]["strokes"] == 30
    assert zones(changed) == 2


def zones(scenario: Scenario) -> int:
    """Return how many zones the profile has."""
    return len(scenario.profile["zone"])


# --- files that would show nothing ------------------------------------------------------------------------------------
def expecting(what: str, op: str, value: str, more: str = "") -> str:
    """Return a scenario with one expectation."""
    head = GOOD.replace(GOOD[GOOD.index("expect") :], "")
    return f'{head}expect = [{{ what = "{what}", op = "{op}", value = {value}{more} }}]\n'


@pytest.mark.parametrize(
    ("text", "path", "given", "allowed"),
    [
        (GOOD[: GOOD.index("expect")] + "expect = []\n", ("expect",), "[]", "at least one"),
        (expecting("needle.strokes", "!=", "nan"), ("expect", 0), "NaN", "a number"),
        (expecting("needle.strokes", "<", "nan"), ("expect", 0), "NaN", "a number"),
        (expecting("needle.strokes", "<=", "inf"), ("expect", 0), "Infinity", "a number"),
        (expecting("needle.strokes", "<", "1e9999999"), ("expect", 0), "1E+9999999", "a number"),
        (expecting("needle.strokes", "in", "[]"), ("expect", 0), "[]", "a number"),
        (expecting("needle.strokes", "!=", "7", ", tolerance = 5"), ("expect", 0, "tolerance"), "5", "=="),
        (expecting("needle.strokes", "in", "[7]", ", tolerance = 5"), ("expect", 0, "tolerance"), "5", "=="),
        (expecting("state", "==", "'SAFE'", ", tolerance = 5"), ("expect", 0, "tolerance"), "5", "=="),
        (expecting("needle.strokes", "==", "7", ", tolerance = 1e30"), ("expect", 0, "tolerance"), "1E+30", "to 1000"),
        (expecting("needle.strokes", "==", "7", ", tolerance = -1"), ("expect", 0, "tolerance"), "-1", "from 0"),
        (expecting("record.ended", "contains", "''"), ("expect", 0), "", "at least one character"),
        (expecting("needle.zones.99.strokes", "==", "0"), ("expect", 0), "99", "zones 0 to 1"),
        (expecting("record.zones.2.made", "!=", "5"), ("expect", 0), "2", "zones 0 to 1"),
        (GOOD + 'act = [{ do = "bytes" }]', ("act", 0), "", "either text or hex"),
        (GOOD + 'act = [{ do = "bytes", text = "a", hex = "00" }]', ("act", 0), "both", "either text or hex"),
        (GOOD + 'act = [{ do = "bytes", text = "" }]', ("act", 0, "text"), "", "a text"),
        (GOOD + 'act = [{ do = "bytes", text = 5 }]', ("act", 0, "text"), "5", "a text"),
        (GOOD + 'act = [{ do = "bytes", text = "ab", repeat = 500001 }]', ("act", 0, "repeat"), "500001", "1000000"),
    ],
)
def test_what_would_show_nothing_is_refused(text: str, path: tuple[str | int, ...], given: str, allowed: str) -> None:
    (finding,) = found(text)
    assert (finding.path, finding.given) == (path, given)
    assert allowed in finding.allowed


def test_a_zone_that_a_load_adds_can_be_asked_about() -> None:
    zone = '{ area = "cheek", side = "left", depth_mm = 0.4, strokes = 12, rate_per_s = 60 }'
    text = expecting("needle.zones.2.strokes", "==", "0")
    (missing,) = found(text)
    assert missing.given == "2"
    assert len(of(text + f'act = [{{ do = "load", with = {{ zone = [{zone}, {zone}, {zone}] }} }}]').expects) == 1


# --- files that mean no good ------------------------------------------------------------------------------------------
def waiting(text: str) -> str:
    return GOOD + f'act = [{{ do = "wait", when = "{text}" }}]'


HUGE = "9" * 5000
BAD = [
    (waiting("needle.strokes < Infinity"), ("act", 0, "when"), "'Infinity'"),
    (waiting("needle.strokes == sNaN"), ("act", 0, "when"), "'sNaN'"),
    (waiting("needle.strokes == 1e9999999"), ("act", 0, "when"), "'1e9999999'"),
    (waiting(f"needle.strokes == {'1' * 10_000}"), ("act", 0, "when"), "nothing that needle.strokes can be"),
    (waiting("needle.strokes == 99999999999999999999"), ("act", 0, "when"), "nothing that needle.strokes can be"),
    (waiting(f"needle.zones.{HUGE}.strokes == 0"), ("act", 0, "when"), "Nothing is called"),
    (expecting(f"needle.zones.{HUGE}.strokes", "==", "0"), ("expect", 0), "Nothing is called"),
    (expecting(f"hello.zone_caps_um.{HUGE}", "==", "0"), ("expect", 0), "Nothing is called"),
    (expecting("needle.strokes", "==", "0x" + "f" * 5000), ("expect", 0), "thousands of digits"),
    (expecting("needle.strokes", "==", HUGE), (), "too many digits"),
    (GOOD.replace("motion_s = 1", "motion_s = 1e9999999"), ("motion_s",), "from 0 to 3600"),
    (GOOD.replace("motion_s = 1", "motion_s = -1"), ("motion_s",), "from 0 to 3600"),
    (GOOD + 'act = [{ do = "load", with = { zone = 3 } }]', ("act", 0, "with", "zone"), "at least one"),
    (GOOD + 'act = [{ do = "load", with = { limits = 3 } }]', ("act", 0, "with"), "'limits.depth_mm' is missing"),
    (
        GOOD + 'act = [{ do = "load", with = { "limits.depth_mm" = 1e9999999 } }]',
        ("act", 0, "with", "limits", "depth_mm"),
        "millimetres",
    ),
    (
        GOOD + f'act = [{{ do = "load", with = {{ "zone.{HUGE}.strokes" = 1 }} }}]',
        ("act", 0, "with", f"zone.{HUGE}.strokes"),
        "nothing at",
    ),
    (GOOD + 'act = [{ do = "load", patch = [[-1, 1]] }]', ("act", 0, "patch"), "no byte"),
    (GOOD + 'act = [{ do = "load", patch = [[1, 256]] }]', ("act", 0, "patch"), "no byte"),
    (GOOD + f"act = {'[' * 3000}{']' * 3000}", (), "nested too deep"),
    (GOOD + f"profile{'.a' * 3000} = 1", (), "nested too deep"),
    (
        GOOD + 'act = [{ do = "wait", after_ms = 3600000 }, { do = "wait", after_ms = 3600000, at_ms = 1 }]',
        ("act",),
        "too long",
    ),
    (GOOD + "[[act]]\ndo = 'wait'\nafter_ms = 3600000\n" * 40, ("act",), "too long"),
]


@pytest.mark.parametrize(("text", "path", "said"), BAD)
def test_what_would_crash_or_never_end_is_refused(text: str, path: tuple[str | int, ...], said: str) -> None:
    findings = found(text)
    assert path in [finding.path for finding in findings]
    assert any(said in finding.message for finding in findings)


@pytest.mark.parametrize("reason", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), OSError(22, "it is a pipe")])
def test_a_profile_that_can_not_be_read_is_named(reason: Exception) -> None:
    def none(_: str) -> str:
        raise reason

    with pytest.raises(BadScenario) as bad:
        parse(GOOD, "test.toml", none)
    assert bad.value.findings[0].path == ("profile", "file")
    assert bad.value.findings[0].given == "profiles/two-zones.toml"
