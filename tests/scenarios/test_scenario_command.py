"""`pinprick sim run` as people and programs see it: what it prints, how it ends, and which pens it takes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pensim.scenario import run
from pensim.scenario.model import parse
from pensim.scenario.targets import InProcess
from pinprick.cli import main
from pinprick.cli.output import Output
from pinprick.cli.scenario import Shown
from pinprick.errors import EXPECTATION_BROKEN, SCENARIO_BAD, TARGET_LACKS
from tests.support.scenario_files import FOLDER
from tests.support.served import served

PROFILE = Path(__file__).parents[2] / "examples" / "scalp.toml"


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("COLUMNS", "80")


def copied(folder: Path, name: str, old: str = "", new: str = "") -> Path:
    """Return a copy of a scenario in `folder`, changed; its profiles beside it."""
    shutil.copytree(FOLDER / "profiles", folder / "profiles", dirs_exist_ok=True)
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    path = folder / f"{name}.toml"
    path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return path


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the command for a program; return its exit code and what it printed."""
    code = main(["sim", "run", *words, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_people_read_a_line_for_each_file(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["depth-limits", "whole-session"]
    assert main(["sim", "run", *(str(FOLDER / f"{name}.toml") for name in names)]) == 0
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines()[:2]] == [["ok", name] for name in names]
    assert "2 scenarios, all as expected." in out


def test_programs_read_an_event_for_each_file_and_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    code, events = run_json(capsys, str(FOLDER / "whole-session.toml"), "--log", "--seed", "3")
    went, result = events
    assert code == 0
    assert (went["ok"], went["strokes"], went["deepest_um"], went["seed"]) == (True, 24, 400.0, 3)
    assert {"at_ms": 0, "who": "host", "what": "arm"} in went["events"]
    assert result["event"] == "result"
    assert (result["ok"], result["exit"], result["scenarios"], result["broken"]) == (True, 0, 1, 0)


def test_a_broken_run_is_shown_with_what_happened_around_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copied(tmp_path, "stop-byte-in-a-stroke", "value = 12 }", "value = 11 }")
    assert main(["sim", "run", str(path)]) == 1
    printed = capsys.readouterr()
    out = printed.out
    assert out.startswith("BROKEN  stop-byte-in-a-stroke")
    line = (
        path.read_text(encoding="utf-8")
        .splitlines()
        .index('  { what = "record.zones.0.counted", op = "==", value = 11 },')
    )
    assert f"{path}:{line + 1}  [[expect]] number 5" in out
    assert "expected  record.zones.0.counted == 11" in out
    assert "found     12" in out
    assert "  >    " in out
    assert f"pinprick sim run {path} --target inproc --seed 0" in out
    events = [text for text in out.splitlines() if " ms  " in text]
    assert 8 <= len(events) <= 12
    assert all(len(text) <= 80 for text in events)
    assert "EXPECTATION_BROKEN 1402" in printed.err


def test_a_broken_run_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied(tmp_path, "lost-steps", '["LOST_STEPS"] },\n  { what = "pins', '["HOME_LOST"] },\n  { what = "pins')
    copied(tmp_path, "depth-limits")
    code, events = run_json(capsys, str(tmp_path))
    assert code == 1
    good, bad, result = events
    assert good["ok"]
    assert not bad["ok"]
    assert (bad["broken"]["expected"], bad["broken"]["found"]) == ("faults == [HOME_LOST]", "[LOST_STEPS]")
    assert bad["broken"]["line"]
    assert len(bad["broken"]["around"]) >= 8
    assert (result["scenarios"], result["broken"], result["error"]["code"]) == (2, 1, EXPECTATION_BROKEN)


def test_everything_wrong_with_the_files_is_shown_before_any_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = copied(tmp_path, "depth-limits", 'do = "load"', 'do = "lod"')
    copied(tmp_path, "lost-steps", "schema = 1", "schema = 1\nname =")
    copied(tmp_path, "whole-session")
    code, events = run_json(capsys, str(tmp_path))
    assert code == 2
    (result,) = events
    assert result["error"]["code"] == SCENARIO_BAD
    wrong = [(Path(found["file"]).name, found["line"], found["field"]) for found in result["problems"]]
    lines = first.read_text(encoding="utf-8").splitlines()
    assert (first.name, lines.index("act = [") + 2, "act[0].do") in wrong
    assert ("lost-steps.toml", 2, "") in wrong


@pytest.mark.parametrize("name", ["/dev/zero", "pipe", "no\\u0000name", "x" * 5000, "."])
def test_a_profile_that_is_no_file_is_named_with_its_scenario(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    bad = copied(tmp_path, "depth-limits", "profiles/two-zones.toml", name)
    copied(tmp_path, "whole-session")
    code, (result,) = run_json(capsys, str(tmp_path))
    assert code == 2
    (problem,) = [each for each in result["problems"] if each["field"] == "profile.file"]
    assert (problem["name"], problem["file"]) == ("SCENARIO_BAD", str(bad))
    assert {each["file"] for each in result["problems"]} == {str(bad)}


def test_files_that_are_none_are_named_beside_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    deep = tmp_path / "deep.toml"
    deep.write_text(f"act = {'[' * 3000}{']' * 3000}\n")
    long = "x" * 5000
    code, (result,) = run_json(capsys, str(tmp_path), long, str(copied(tmp_path / "good", "whole-session")))
    assert code == 2
    assert {(each["name"], each["file"]) for each in result["problems"]} == {
        ("SCENARIO_BAD", str(deep)),
        ("FILE_UNREADABLE", str(tmp_path / "pipe.toml")),
        ("FILE_UNREADABLE", long),
    }


def test_a_crash_breaks_the_run_of_its_file_and_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    play = run.play

    def sometimes(scenario: Any, *rest: Any) -> Any:
        if "depth-limits" in scenario.file:
            raise IndexError("out of range")
        return play(scenario, *rest)

    monkeypatch.setattr(run, "play", sometimes)
    files = [str(copied(tmp_path, name)) for name in ("depth-limits", "whole-session")]
    code, events = run_json(capsys, *files)
    assert code == 1
    assert [(went["file"], went["ok"]) for went in events[:2]] == [(files[0], False), (files[1], True)]
    assert events[0]["broken"]["found"] == "IndexError: out of range"
    assert (events[2]["broken"], events[2]["error"]["field"]) == (1, files[0])
    assert main(["sim", "run", files[0]]) == 1
    assert "IndexError: out of range" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["none.toml"], ["."]])
def test_no_file_is_an_error_of_input(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, events = run_json(capsys, *words)
    assert code == 2
    assert events[-1]["error"]["name"] == "FILE_MISSING"


def test_a_port_without_hands_is_refused_what_needs_them_before_the_first_act(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with served("tcp") as pen:
        code, events = run_json(capsys, str(FOLDER / "whole-session.toml"), "--target", pen.where)
        assert pen.world.cable.sent_bytes == 0
    assert code == 2
    error = events[-1]["error"]
    assert (error["code"], error["limit"]) == (TARGET_LACKS, "hands")
    assert "[[act]] number 3: press" in error["message"]


def test_each_file_that_the_target_lacks_something_for_is_named_and_none_is_played(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("transfer-errors", "whole-session", "depth-limits")
    files = [str(FOLDER / f"{name}.toml") for name in names]
    with served("tcp") as pen:
        code, (result,) = run_json(capsys, *files, "--target", pen.where)
        assert pen.world.cable.sent_bytes == 0
    assert code == 2
    assert [(each["file"], each["name"]) for each in result["problems"]] == [
        (file, "TARGET_LACKS") for file in files[1:]
    ]
    for problem in result["problems"]:
        assert "without this one" in problem["hint"]
        assert f"sim run {problem['file']} --target inproc" in problem["hint"]


@pytest.mark.parametrize(("target", "meant"), [("chop", "chip"), ("in-proc", "inproc"), ("board", ""), ("", "")])
def test_a_target_that_is_none_is_a_wrong_word(target: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, (result,) = run_json(capsys, str(FOLDER / "whole-session.toml"), "--target", target)
    assert (code, result["error"]["name"], result["error"]["field"]) == (2, "USAGE", "--target")
    hint = result["error"]["hint"]
    assert hint.startswith(f"Did you mean {meant}?" if meant else "A target is inproc, chip")
    assert "--port" not in hint


def test_a_port_of_windows_is_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_json(capsys, str(FOLDER / "transfer-errors.toml"), "--target", "com99")[0] == 3


def test_a_profile_is_said_to_be_one_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, (result,) = run_json(capsys, str(PROFILE))
    assert (code, len(result["problems"])) == (2, 1)
    assert "session profile" in result["error"]["message"]
    assert "profile check" in result["error"]["hint"]


def test_what_takes_its_time_says_that_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown(Output(True), slow=True)
    file = str(FOLDER / "whole-session.toml")
    scenario = parse(Path(file).read_text(encoding="utf-8"), file, lambda name: (FOLDER / name).read_text())
    target = InProcess(scenario)
    with shown.during(scenario, "playing"):
        assert str(shown.__rich__()) == "whole-session: playing"
        shown.target = target
        assert str(shown.__rich__()) == "whole-session: playing, 0.1 s of the chip's time"
    target.close()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said == [{"event": "begins", "file": file, "what": "playing"}]


def test_a_port_without_hands_takes_what_speaks_of_the_wire_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with served("tcp") as pen:
        code, events = run_json(capsys, str(FOLDER / "transfer-errors.toml"), "--target", pen.where)
    assert code == 0, events
    assert events[0]["strokes"] is None


def test_no_pen_at_the_port(capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = run_json(capsys, str(FOLDER / "transfer-errors.toml"), "--target", "socket://127.0.0.1:1")
    assert code == 3


@contextmanager
def serving() -> Iterator[str]:
    """Run `pinprick sim serve` in a process of its own; yield its port."""
    command = [sys.executable, "-m", "pinprick", "sim", "serve", "--tcp", "--json"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ), text=True, encoding="utf-8"
    )
    with process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["port"]
        finally:
            # The end of its input is the end of the serving.
            process.communicate(timeout=30)


def test_a_pen_that_registered_has_hands_and_a_past(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(FOLDER / f"{name}.toml") for name in ("whole-session", "home-not-found")]
    with serving() as port:
        for _ in range(2):
            # The second time the pen knows course and cartridge of the first: it gets to see others.
            code, events = run_json(capsys, *files, "--target", port)
            assert code == 0, events
            assert [event["strokes"] for event in events[:-1]] == [24, 0]
