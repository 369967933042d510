"""`pinprick demo`: a whole session and five things that must not happen, over every kind of port, for every reader."""

import dataclasses
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from pencore import faults, record
from pinprick import errors
from pinprick.cli import demo, main, trials
from pinprick.cli.virtual_pen import Needle, NeedleReport, Operator
from pinprick.profiles import load_profile
from pinprick.records import RecordStore

ROOT = Path(__file__).parents[2]
RESULT = {
    "event", "ok", "exit",
    "strokes_recorded", "strokes_needle", "strokes_budget", "deepest_um", "limit_um", "zones", "refusals", "speed",
    "simulated_s", "record", "violations",
}  # fmt: skip
ZONE = {"zone", "limit_um", "deepest_um", "counted", "needle", "budget"}
REFUSALS = {
    "depth_above_ceiling": faults.DEPTH_ABOVE_CEILING,
    "stroke_over_budget": faults.ZONE_SPENT,
    "session_replayed": faults.PROFILE_SESSION_ID,
    "cartridge_used": faults.CARTRIDGE_USED,
    "wire_corrupted": faults.WIRE_BAD_CRC,
}

SHORT = """\
schema = 1
name = "Short"
head = "pen"

[course]
id = "short"
index = 1
of = 1
interval_days = 30
max_step_mm = 0.25

[cartridge]
id = "SHORT-1"
lot = "LOT-1"
expires = 2060-12-31
needles = 14

[limits]
depth_mm = 0.501
strokes = 1500

[[zone]]
area = "cheek"
side = "left"
depth_mm = 0.501
strokes = 1400
rate_per_s = 20

[[zone]]
area = "nose"
side = "none"
depth_mm = 0.30
strokes = 100
rate_per_s = 20
"""


@pytest.fixture
def short(tmp_path: Path) -> str:
    """Return the path of a short profile; one zone is long enough for a pause in its middle."""
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the demo for a program; return exit code and lines."""
    code = main(["demo", "--json", *options])
    out, err = capsys.readouterr()
    assert err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1]["event"] == "result"
    assert lines[-1]["exit"] == code
    return code, lines


# --- as the vocabulary says ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [[], ["--tcp"], ["--in-process"]], ids=["pty", "tcp", "in-process"])
def test_the_whole_example_session(capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str]) -> None:
    begin = time.monotonic()
    code, lines = run(capsys, "--out", str(tmp_path), *options)
    assert code == 0
    assert time.monotonic() - begin < 60  # 20 s on a computer that has nothing else to do
    result = lines[-1]
    assert set(result) == RESULT
    assert result["ok"] is True
    assert result["strokes_recorded"] == result["strokes_needle"] == result["strokes_budget"] == 25_000
    assert result["deepest_um"] == result["limit_um"] == 750
    assert result["refusals"] == {key: faults.NAMES[value] for key, value in REFUSALS.items()}
    assert result["speed"] > 20
    assert 1200 <= result["simulated_s"] <= 1260
    assert result["violations"] == []
    example = load_profile(ROOT / "examples" / demo.EXAMPLE)
    assert len(result["zones"]) == len(example.zones) >= 12
    for zone in result["zones"]:
        assert set(zone) == ZONE
        assert zone["needle"] == zone["counted"] == zone["budget"]
        assert 0 < zone["deepest_um"] <= zone["limit_um"]
    assert sum(zone["budget"] for zone in result["zones"]) == 25_000
    saved = record.decode(Path(result["record"]).read_bytes())
    assert [zone.counted() for zone in saved.zones] == [zone["counted"] for zone in result["zones"]]
    assert Path(result["record"]).is_relative_to(tmp_path)
    assert RecordStore(tmp_path).verify(saved.serial) == 2  # the session, and the one that was held past its budget
    events = [line["event"] for line in lines]
    assert events == ["pen", "loaded", *["zone"] * len(result["zones"]), "record", *["refusal"] * 5, "result"]


def test_every_refusal_is_told_with_its_code_and_what_the_needle_did(
    capsys: pytest.CaptureFixture[str], short: str
) -> None:
    code, lines = run(capsys, short, "--in-process")
    assert code == 0
    told = {line["what"]: line for line in lines if line["event"] == "refusal"}
    assert {what: line["code"] for what, line in told.items()} == REFUSALS
    for what, line in told.items():
        assert line["held"]
        assert not line["needle_moved"]
        assert line["strokes"] == line["strokes_allowed"] == (60 if what == "stroke_over_budget" else 0)
    assert lines[-1]["deepest_um"] == 500  # 0.501 mm is not a whole number of steps: rounded down, never up
    assert lines[-1]["limit_um"] == 501


def test_records_go_into_a_folder_of_their_own_when_none_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short: str
) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: str(tmp_path / prefix))
    code, lines = run(capsys, short, "--in-process")
    assert code == 0
    assert Path(lines[-1]["record"]).is_relative_to(tmp_path / "pinprick-demo-")


def test_twice_into_the_same_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path, short: str) -> None:
    for _ in range(2):
        assert run(capsys, short, "--in-process", "--out", str(tmp_path / "kept"))[0] == 0
    assert len(list((tmp_path / "kept").iterdir())) == 2  # a pen each time


def test_the_example_comes_with_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    from_file = demo._example()
    monkeypatch.setattr(demo, "_EXAMPLES", ROOT / "no-such-folder")
    assert demo._example().model_dump() == from_file.model_dump()


# --- for people ------------------------------------------------------------------------------------------------------
def test_plain_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["demo", short, "--in-process"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert all(len(line) <= 80 or "/" in line for line in out.splitlines())  # paths are never cut
    words = re.sub(r"\s+", " ", out)
    assert "1/2 cheek left 0.50 of 0.501 mm 1,400 of 1,400 strokes" in words
    assert "412 CARTRIDGE_USED, the needle did not move." in words
    assert "Needle and record agree: 1,500 strokes, none deeper than 0.50 mm." in words
    last = out[out.index("What the needle did") :].splitlines()
    assert [line.split()[-6:] for line in last[2:4]] == [
        ["0.501", "0.50", "1,400", "1,400", "1,400", "agree"],
        ["0.30", "0.30", "100", "100", "100", "agree"],
    ]


def test_a_picture_on_a_terminal(short: str) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    command = [sys.executable, "-m", "pinprick", "demo", short, "--speed", "100"]
    process = subprocess.Popen(command, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm-256color"})
    os.close(slave)
    drawn = b""
    while True:
        try:
            data = os.read(master, 65_536)
        except OSError:
            break
        if not data:
            break
        drawn += data
    os.close(master)
    assert process.wait(20) == 0
    text = drawn.decode()
    assert text.count("cheek left") > 5  # drawn again and again
    assert "trigger pressed" in text
    assert "RUNNING" in text
    assert "Needle and record agree" in text


# --- when something does not hold ------------------------------------------------------------------------------------
def tampered(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], label: str) -> None:
    """Let the needle's account under `label` be another one."""
    needle = Operator.needle

    def lie(operator: Operator) -> NeedleReport:
        report = needle(operator)
        labels = dict(report.labels)
        if label in labels:
            labels[label] = dataclasses.replace(labels[label], **change)
        return dataclasses.replace(report, labels=labels)

    monkeypatch.setattr(Operator, "needle", lie)


@pytest.mark.parametrize(
    "change",
    [{"crossings": 1401}, {"crossings": 1399, "begun": 1399, "strokes": 1399}, {"deepest_um": 501.5}],
)
def test_an_account_that_differs_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str, change: dict[str, Any]
) -> None:
    tampered(monkeypatch, change, "cheek left")
    code, lines = run(capsys, short, "--in-process")
    assert code == 1
    result = lines[-1]
    assert not result["ok"]
    assert result["error"]["name"] == "CHECK_FAILED"
    assert "cheek left: needle and record differ" in result["error"]["message"]
    assert set(result["zones"][0]) == ZONE  # what was found is told all the same


def test_a_needle_that_moves_in_a_trial_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str
) -> None:
    tampered(monkeypatch, {"begun": 1}, "trial cartridge_used")
    code, lines = run(capsys, short, "--in-process")
    assert code == 1
    assert lines[-1]["refusals"]["cartridge_used"] is None
    assert lines[-1]["refusals"]["session_replayed"] == "PROFILE_SESSION_ID"
    assert "used cartridge" in lines[-1]["error"]["message"]


def test_what_is_not_refused_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str
) -> None:
    # Nothing is wrong with this depth: the pen takes it.
    monkeypatch.setattr(trials, "_TOO_DEEP_UM", 400)
    code = main(["demo", short, "--in-process"])
    out, err = capsys.readouterr()
    assert code == 1
    assert "NOT REFUSED" in out
    assert "CHECK_FAILED" in err
    assert "Needle and record agree" not in out


def test_violations_of_the_plant_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str
) -> None:
    needle = Operator.needle
    monkeypatch.setattr(
        Operator, "needle", lambda self: dataclasses.replace(needle(self), violations=("1.0 s no_consent",))
    )
    code, lines = run(capsys, short, "--in-process")
    assert code == 1
    assert lines[-1]["violations"] == ["1.0 s no_consent"]


def test_a_trial_holds_only_with_the_right_code_and_a_still_needle() -> None:
    still = Needle(0, 0, 0, 0.0)
    good = trials.Trial("x", "x", faults.WIRE_BAD_CRC, faults.WIRE_BAD_CRC, still, still)
    assert good.held
    for change in ({"code": faults.BUSY}, {"code": None}, {"needle": Needle(1, 0, 0, 0.0)}):
        assert not dataclasses.replace(good, **change).held


def test_a_session_that_stops_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str
) -> None:
    begin = Operator.begin

    def stumble(operator: Operator, do: str, after_ms: int = 0, **fields: object) -> None:
        begin(operator, do, after_ms, **fields)
        if do == "press":
            begin(operator, "stop_button", 1000, down=True)

    monkeypatch.setattr(Operator, "begin", stumble)
    code, lines = run(capsys, short, "--in-process")
    assert code == 1
    assert lines[-1]["error"]["name"] in ("STOP_BUTTON", "STOP_GUARD")


def test_a_wrong_profile_starts_no_pen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    path = tmp_path / "deep.toml"
    path.write_text(SHORT.replace("0.501", "2.501"))
    code, lines = run(capsys, str(path))
    assert code == 2
    assert {problem["code"] for problem in lines[-1]["problems"]} == {faults.DEPTH_ABOVE_CEILING}
    assert run(capsys, str(tmp_path / "none.toml"))[1][-1]["error"]["code"] == errors.FILE_MISSING


def test_a_folder_that_cannot_be_made_is_found_before_the_session(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    code, lines = run(capsys, short, "--out", short)
    assert code == 2
    assert (lines[-1]["error"]["name"], lines[-1]["error"]["field"]) == ("FILE_UNWRITABLE", "--out")


def test_a_virtual_pen_that_does_not_start_is_worded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: str
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name == "posix" else sys.executable)
    code, lines = run(capsys, short)
    assert code == 1
    assert "virtual pen has ended" in lines[-1]["error"]["message"]


def test_no_process_is_left_behind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, short: str
) -> None:
    started = []
    popen = subprocess.Popen

    def note(*arguments: Any, **options: Any) -> Any:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", note)
    monkeypatch.setattr(demo, "_try", lambda *_: 1 / 0)
    assert main(["demo", short, "--json"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert len(started) == 1
    assert started[0].returncode is not None
