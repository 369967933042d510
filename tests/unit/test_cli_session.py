"""`pinprick load arm zone pause stop finish clear status` against the real firmware in a virtual pen."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pencore import faults, wire
from pensim.world import default_provision
from pinprick import errors
from pinprick.device import Pen
from pinprick.keys import ClinicKey, key_path, save_key
from pinprick.records import RecordStore
from pinprick.sent import SentProfiles
from pinprick.simulated import Registration, registering
from tests.support.cli import Run, settle_terminal
from tests.support.profile_files import spoilt
from tests.support.served import Served, served, until
from tests.support.strangers import control_channel, stranger

KEY = ClinicKey(7, bytes(range(32)))


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep these tests apart from the user's pens, records and keys."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def bench() -> Iterator[Served]:
    """Return a pen at a pseudo-terminal."""
    with served("pty") as pen:
        yield pen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a good profile file whose cartridge is in date for years."""
    path = tmp_path / "good.toml"
    path.write_text(spoilt("2031-06-30", "2090-06-30"))
    return path


class Tool:
    """The command line, on one pen."""

    def __init__(self, capsys: pytest.CaptureFixture[str], bench: Served) -> None:
        self._capsys = capsys
        self._bench = bench

    def __call__(self, *argv: str, ok: bool = True) -> Run:
        """Run a command on the pen; fail unless it ends well, or, when not `ok`, badly."""
        run = Run(self._capsys, *argv, "--port", self._bench.where)
        assert (run.exit == 0) == ok, run.out + run.err
        until(lambda: not self._bench.server.end.present)
        return run


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str], bench: Served) -> Tool:
    """Return the command line."""
    return Tool(capsys, bench)


def begin_session(tool: Tool, bench: Served, file: Path) -> None:
    """Load, arm, make strokes, let go, and let the lease run out: a session is open and LOADED."""
    tool("load", str(file))
    tool("arm")
    bench.press()
    # How many there are by the end of the lease hangs on how long all of that took.
    until(lambda: bench.operator.needle().total.crossings > 0)
    bench.operator.do("release")
    until(lambda: bench.state == wire.LOADED)


# --- load ------------------------------------------------------------------------------------------------------------
def test_load_says_what_was_loaded(tool: Tool, bench: Served, file: Path) -> None:
    run = tool("load", str(file))
    assert bench.state == wire.LOADED
    text = run.text
    assert text.startswith(f"Loaded as session 1 on SIM-0001, {bench.where}\n")
    assert "Cheeks, session 2 of 6" in text
    assert re.search(r"0  cheek left +█", text)
    assert "unsigned: the pen wants no signature" in " ".join(text.split())
    assert "1.25" in text
    (kept,) = (SentProfiles().folder / "pen-SIM-0001").iterdir()
    assert kept.read_bytes() == SentProfiles().get("SIM-0001", 1)


def test_load_for_programs(tool: Tool, file: Path) -> None:
    result = tool("load", str(file), "--json").result
    assert (result["serial"], result["session"], result["zones"], result["resumed"]) == ("SIM-0001", 1, 3, False)
    assert (result["key_id"], result["profile"], len(result["digest"])) == (None, "Cheeks, session 2 of 6", 64)


@pytest.mark.parametrize("columns", [44, 80, 120])
def test_every_picture_fits_its_terminal(
    monkeypatch: pytest.MonkeyPatch, tool: Tool, bench: Served, file: Path, columns: int
) -> None:
    settle_terminal(monkeypatch, columns)
    runs = [tool("load", str(file)), tool("arm"), tool("status"), tool("stop"), tool("status"), tool("clear")]
    for run in runs:
        assert max(map(len, run.text.splitlines())) <= columns
        assert "…" not in run.text


def test_all_that_is_wrong_with_a_file_is_said_before_a_pen_is_looked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(spoilt("1.25", "2.75", spoilt("strokes = 500", "strokes = 0", spoilt("2031-06-30", "2020-01-01"))))
    run = Run(capsys, "load", str(bad), "--port", "/dev/nowhere", "--json")
    assert run.exit == 2
    codes = {problem["name"] for problem in run.result["problems"]}
    assert "CARTRIDGE_EXPIRED" in codes
    assert len(run.result["problems"]) >= 3
    assert Run(capsys, "load", str(tmp_path / "no.toml")).exit == 2
    assert Run(capsys, "load").exit == 2


def test_an_expired_cartridge_is_refused_before_anything_is_sent(tool: Tool, bench: Served, tmp_path: Path) -> None:
    old = tmp_path / "old.toml"
    old.write_text(spoilt("2031-06-30", "2020-01-01"))
    run = tool("load", str(old), "--json", ok=False)
    assert run.exit == 2
    assert [problem["name"] for problem in run.result["problems"]] == ["CARTRIDGE_EXPIRED"]
    assert bench.state == wire.SAFE


def test_a_pen_with_tighter_limits_says_all_of_them(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    setup = default_provision()
    setup.bounds.calibration_um = 900
    with served("pty", setup=setup) as bench:
        run = Tool(capsys, bench)("load", str(file), "--json", ok=False)
        assert run.exit == 2
        assert len(run.result["problems"]) >= 2
        assert {problem["file"] for problem in run.result["problems"]} == {str(file)}
        assert bench.state == wire.SAFE


def test_a_pen_with_a_key_wants_a_signature(capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path) -> None:
    setup = default_provision()
    setup.key_id, setup.key = KEY.key_id, KEY.key
    with served("pty", setup=setup) as bench:
        tool = Tool(capsys, bench)
        error = tool("load", str(file), "--json", ok=False).result["error"]
        assert error["code"] == errors.KEY_MISSING
        save_key(ClinicKey(8, KEY.key), tmp_path / "other")
        assert tool("load", str(file), "--key", str(tmp_path / "other"), ok=False).exit == 2
        save_key(ClinicKey(7, bytes(31) + b"\1"), tmp_path / "wrong")
        wrong = tool("load", str(file), "--key", str(tmp_path / "wrong"), "--json", ok=False)
        assert (wrong.exit, wrong.result["error"]["code"]) == (1, faults.SIGNATURE_WRONG)
        save_key(KEY, tmp_path / "key")
        assert tool("load", str(file), "--key", str(tmp_path / "key"), "--json").result["key_id"] == 7
        save_key(KEY, key_path(7))
        assert "signed with key 7" in tool("load", str(file)).text


def test_a_key_that_the_pen_does_not_want_is_told_of(tool: Tool, file: Path, tmp_path: Path) -> None:
    assert "was not used" in " ".join(tool("load", str(file), "--key", str(tmp_path / "any")).text.split())


def test_a_pen_whose_memory_was_set_back_gets_nothing(tool: Tool, bench: Served, file: Path) -> None:
    begin_session(tool, bench, file)
    tool("finish")
    with Pen(bench.connect()) as pen:
        pen.pull_records(RecordStore())
    until(lambda: not bench.server.end.present)
    with served("pty") as other:
        run = Tool(tool._capsys, other)("load", str(file), "--json", ok=False)
        assert (run.exit, run.result["error"]["code"]) == (4, errors.RECORDS_AHEAD)
        assert other.state == wire.SAFE


@pytest.mark.parametrize("how", ["same file", "same file, expired since", "--resume", "both"])
def test_an_open_session_goes_on(
    monkeypatch: pytest.MonkeyPatch, tool: Tool, bench: Served, file: Path, how: str
) -> None:
    begin_session(tool, bench, file)
    if "expired" in how:
        decades = 75 * 366 * 86_400.0
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + decades)
    argv = {"--resume": ["--resume"], "both": [str(file), "--resume"]}.get(how, [str(file)])
    result = tool("load", *argv, "--json").result
    assert (result["resumed"], result["session"]) == (True, 1)
    text = tool("load", *argv).text
    assert text.startswith("Goes on with session 1")
    assert "made" in text


def test_another_file_or_none_at_all_does_not_go_on(tool: Tool, bench: Served, file: Path, tmp_path: Path) -> None:
    run = tool("load", str(file), "--resume", "--json", ok=False)
    assert run.result["error"]["code"] == faults.NO_PROFILE
    begin_session(tool, bench, file)
    other = tmp_path / "other.toml"
    other.write_text(spoilt("1.25", "1.24", file.read_text()))
    run = tool("load", str(other), "--json", ok=False)
    assert (run.exit, run.result["error"]["code"]) == (1, faults.SESSION_OPEN)
    assert "Cheeks, session 2 of 6" in run.result["error"]["hint"]
    SentProfiles().drop("SIM-0001", 1, SentProfiles().get("SIM-0001", 1) or b"")
    run = tool("load", str(file), "--json", ok=False)
    assert (run.exit, run.result["error"]["code"]) == (1, errors.SESSION_ELSEWHERE)


# --- arm, zone, pause, finish, clear ---------------------------------------------------------------------------------
def test_zones_are_named_or_numbered_as_the_picture_has_them(tool: Tool, bench: Served, file: Path) -> None:
    tool("load", str(file))
    result = tool("arm", "cheek", "right", "--json").result
    assert (result["state"], result["zone"]["zone"], result["zone"]["name"]) == ("ARMED", 1, "cheek right")
    assert (result["zone"]["limit_um"], result["zone"]["left"]) == (1000, 1000)
    assert tool("zone", "2", "--json").result["zone"]["name"] == "nose"
    text = tool("zone", "Cheek left").text
    assert "Zone 0, cheek left: 1,000 strokes left, at most 1.25 mm" in text
    assert "pinprick monitor" in " ".join(text.split())
    assert bench.operator.needle().total.begun == 0


@pytest.mark.parametrize("zone", ["3", "99999999999", "chin", "cheek", "1.0", "٣"])
def test_a_zone_that_is_not_there(tool: Tool, bench: Served, file: Path, zone: str) -> None:
    tool("load", str(file))
    run = tool("arm", zone, "--json", ok=False)
    error = run.result["error"]
    assert (run.exit, error["code"], error["field"], error["given"]) == (2, errors.USAGE, "ZONE", zone)
    assert "0 to 2" in error["hint"] or "cheek left, cheek right, nose" in error["hint"]
    assert bench.state == wire.LOADED


def test_names_are_known_only_where_the_profile_was_sent_from(
    monkeypatch: pytest.MonkeyPatch, tool: Tool, file: Path, tmp_path: Path
) -> None:
    tool("load", str(file))
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "another computer"))
    status = tool("status", "--json").result
    assert [zone["name"] for zone in status["zones"]] == ["zone 0", "zone 1", "zone 2"]
    assert (status["profile"], status["zones"][0]["limit_um"]) == (None, None)
    assert "was not sent from here" in tool("status").text
    assert tool("arm", "nose", ok=False).exit == 2
    assert tool("arm", "2", "--json").result["zone"]["left"] == 500


def test_a_profile_loaded_from_elsewhere_is_not_taken_for_the_one_sent_before(
    monkeypatch: pytest.MonkeyPatch, tool: Tool, file: Path, tmp_path: Path
) -> None:
    tool("load", str(file))
    here = str(tmp_path / "data")
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "another computer"))
    other = tmp_path / "other.toml"
    other.write_text(spoilt("strokes = 500", "strokes = 499", file.read_text()))
    tool("load", str(other))
    monkeypatch.setenv("PINPRICK_DATA_DIR", here)
    assert tool("status", "--json").result["profile"] is None


def test_arm_without_waiting(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    with served("pty", speed=0.5) as bench:
        tool = Tool(capsys, bench)
        tool("load", str(file))
        assert tool("arm", "--no-wait", "--json").result["state"] in ("HOMING", "ARMED")


def test_commands_in_the_wrong_state_say_so(tool: Tool, file: Path) -> None:
    for command, state in ((["arm"], "SAFE"), (["zone", "0"], "SAFE"), (["pause"], "SAFE"), (["finish"], "SAFE")):
        run = tool(*command, "--json", ok=False)
        error = run.result["error"]
        assert (run.exit, error["code"]) == (1, faults.STATE_FORBIDS)
        assert f"(it is {state})" in error["message"]
        assert error["hint"].startswith("A pen takes "), "nothing to clear"
        assert "only while it is" in error["hint"]
    assert "LOADED, ARMED or PAUSED" in " ".join(tool("finish", ok=False).text.split()).replace(" or ARMED", ", ARMED")


@pytest.fixture
def slow_bench() -> Iterator[Served]:
    """Return a pen whose strokes take four times as long as a real one's: so does its lease, while it makes them."""
    with served("pty", speed=0.25) as pen:
        yield pen


@pytest.fixture
def striking(capsys: pytest.CaptureFixture[str], slow_bench: Served, file: Path) -> Tool:
    """Return the command line of a pen in the midst of strokes."""
    tool = Tool(capsys, slow_bench)
    tool("load", str(file))
    tool("arm")
    slow_bench.press()
    until(lambda: slow_bench.operator.needle().total.crossings > 0)
    return tool


def test_pause_and_finish(striking: Tool, slow_bench: Served) -> None:
    tool, bench = striking, slow_bench
    assert "Paused" in tool("pause").text
    assert bench.state == wire.PAUSED
    bench.operator.do("release")
    result = tool("finish", "--json").result
    assert (result["state"], result["sealed"]) == ("SAFE", 1)
    status = tool("status", "--json").result
    assert (status["records"], status["session"], status["zones"]) == (1, None, [])
    assert "records pull" in tool("status").text


def test_finish_of_what_made_no_stroke(tool: Tool, bench: Served, file: Path) -> None:
    tool("load", str(file))
    run = tool("finish")
    assert "nothing to record" in run.text
    assert bench.state == wire.SAFE


# --- stop ------------------------------------------------------------------------------------------------------------
def test_stop_in_every_state_and_clear(tool: Tool, bench: Served, file: Path) -> None:
    for act in ((), ("load", str(file)), ("arm",)):
        if act:
            tool(*act)
        result = tool("stop", "--json").result
        assert (result["state"], bench.state) == ("FAULT", wire.FAULT)
        assert "Stopped: SIM-0001" in tool("stop").text  # again
        cleared = tool("clear", "--json").result
        assert cleared["state"] == ("LOADED" if bench.state == wire.LOADED else "SAFE")
        if bench.state == wire.SAFE and act:
            tool("load", str(file))
    assert bench.operator.needle().total.begun == 0


def test_stop_while_the_needle_works(striking: Tool, slow_bench: Served) -> None:
    tool, bench = striking, slow_bench
    assert bench.operator.needle().driver_on
    tool("stop")
    needle = bench.operator.needle()
    assert not needle.driver_on
    assert bench.operator.needle().total == needle.total
    status = tool("status", "--json").result
    assert status["fault"] == {"code": faults.OPERATOR_STOP, "name": "OPERATOR_STOP"}
    assert "OPERATOR_STOP" in tool("status").text


def test_the_stop_byte_is_the_first_that_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    with stranger("echo") as port:
        run = Run(capsys, "stop", "--port", port.port, "--json")
        assert port.heard[:1] == b"\x18"
        assert (run.exit, run.result["error"]["code"]) == (3, errors.NOT_A_PEN)
        assert "The stop was sent" in run.result["error"]["hint"]


def test_stop_by_serial_number_stops_no_other_pen(tool: Tool, bench: Served) -> None:
    run = tool("stop", "--serial-number", "SIM-0002", "--json", ok=False)
    assert (run.exit, run.result["error"]["code"]) == (3, errors.WRONG_PEN)
    assert bench.state == wire.SAFE
    tool("stop", "--serial-number", "SIM-0001")


@pytest.mark.parametrize("named", [[], ["--serial-number", "SIM-0007"]])
def test_stop_does_not_wait_for_other_simulated_pens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, named: list[str]
) -> None:
    monkeypatch.setattr("pinprick.simulated._HELLO_S", 60.0)
    with (
        served("tcp", serial="SIM-0007") as bench,
        control_channel("SIM-0007", bench.where) as pen,
        registering(pen),
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        control = f"127.0.0.1:{silent.getsockname()[1]}"
        with registering(Registration("SIM-0008", "socket://127.0.0.1:1", control, "secret", os.getpid())):
            begin = time.monotonic()
            run = Run(capsys, "stop", *named, "--json")
            assert (run.exit, run.result["serial"]) == (0, "SIM-0007")
            assert time.monotonic() - begin < 20
        assert bench.state == wire.FAULT


def test_stop_of_a_pen_that_another_program_holds(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    with Pen(bench.connect()):
        run = Run(capsys, "stop", "--port", bench.where, "--json")
        assert (run.exit, run.result["error"]["code"]) == (3, errors.PORT_IN_USE)
        assert "stop button" in run.result["error"]["hint"]


def test_stop_imports_little_before_the_byte() -> None:
    from tests.unit.test_cli_process import python

    ran = python("-c", "import sys, pinprick.cli.stop; print(*sys.modules)")
    for name in ("pydantic", "pinprick.profiles", "pinprick.device", "pensim", "rich.table", "rich.live", "tomllib"):
        assert name not in ran.stdout.split(), name


# --- status ----------------------------------------------------------------------------------------------------------
def test_status_of_a_session_in_work(tool: Tool, bench: Served, file: Path) -> None:
    begin_session(tool, bench, file)
    result = tool("status", "--json").result
    needle = bench.operator.needle().total
    assert (result["state"], result["session"], result["open"]) == ("LOADED", 1, True)
    assert result["zones"][0]["counted"] == result["counted"] >= needle.crossings > 0
    assert result["zones"][0]["made"] + result["zones"][0]["left"] + result["zones"][0]["forfeited"] == 1000
    assert result["inputs"] == {"trigger": False, "stop": False, "cartridge": True, "home": True}
    text = tool("status").text
    assert "1, open: Cheeks, session 2 of 6" in text
    assert "cheek left" in text
    assert "Depth      at most 2.50 mm; this session at most 1.50 mm" in text
    assert "██ made   ▒▒ forfeited   ░░ left" in text


def test_status_shows_what_the_inputs_say(tool: Tool, bench: Served) -> None:
    bench.operator.do("cartridge", closed=False)
    bench.operator.do("press")
    bench.operator.do("stop_button", down=True)
    bench.operator.do("wait", 300)
    text = tool("status").text
    assert "Trigger    pressed" in text
    assert "Cartridge  not in" in text
    assert "Stop       pressed, or its wire is broken" in text
    assert "STOP_BUTTON" in text


def test_status_tells_the_key_that_the_pen_wants_and_the_time_that_it_was_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    setup = default_provision()
    setup.key_id, setup.key = KEY.key_id, KEY.key
    with served("pty", setup=setup) as bench:
        tool = Tool(capsys, bench)
        status = tool("status", "--json").result
        assert (status["key_id"], status["time_floor"]) == (7, None)
        text = tool("status").text
        assert "Key        7: profiles signed with it are taken\n" in text
        assert "Time       never told\n" in text
        with Pen(bench.connect()) as pen:
            pen.clock_correct(1_835_395_200, "why", KEY)
        until(lambda: not bench.server.end.present)
        assert tool("status", "--json").result["time_floor"] == 1_835_395_200
        assert "Time       2028-02-29 00:00:00 UTC, the latest that it was told\n" in tool("status").text


def test_status_of_a_pen_without_a_key(tool: Tool) -> None:
    assert tool("status", "--json").result["key_id"] is None
    assert "Key        none: unsigned profiles are taken\n" in tool("status").text


def test_status_of_an_unprovisioned_pen(capsys: pytest.CaptureFixture[str]) -> None:
    with served("pty", blank=True) as bench:
        text = Tool(capsys, bench)("status").text
        assert "A pen without a serial number" in text
        assert "are taken" not in text


def test_a_profile_with_placeholders_reaches_no_pen(
    capsys: pytest.CaptureFixture[str], bench: Served, tmp_path: Path
) -> None:
    file = tmp_path / "new.toml"
    assert Run(capsys, "profile", "new", "--template", "scalp", "--out", str(file)).exit == 0
    assert Run(capsys, "profile", "check", str(file)).exit == 0
    ran = Run(capsys, "load", str(file), "--port", bench.where, "--json")
    assert ran.exit == 2
    problems = ran.result["problems"]
    assert [(problem["name"], problem["field"], problem["given"]) for problem in problems] == [
        ("FIELD_PLACEHOLDER", "course.id", "COURSE-ID"),
        ("FIELD_PLACEHOLDER", "cartridge.id", "CARTRIDGE-ID"),
        ("FIELD_PLACEHOLDER", "cartridge.lot", "LOT"),
    ]
    assert all(problem["line"] for problem in problems)
    assert bench.state == wire.SAFE


def test_a_stopped_pen_wants_to_be_cleared_first(tool: Tool) -> None:
    tool("stop")
    for command in (["finish"], ["arm"], ["pause"]):
        error = tool(*command, "--json", ok=False).result["error"]
        assert error["code"] == faults.STATE_FORBIDS
        assert error["hint"].startswith("First `pinprick clear`"), command
