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
