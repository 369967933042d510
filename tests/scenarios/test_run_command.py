"""`pinprick run` with a virtual pen at a port, as people and programs start it; the needle says what happened."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pencore import faults, wire
from pinprick import errors
from pinprick.cli.following import Follower
from pinprick.cli.live import SessionView, ZoneView
from pinprick.cli.output import Output
from pinprick.cli.run import _Run
from pinprick.device import Pen
from pinprick.records import RecordStore
from tests.support.cli import Run, settle_terminal
from tests.support.served import Served, served, until
from tests.support.terminal import Terminal

HEAD = """\
schema = 1
name = "Two zones"
head = "pen"
course = {{ id = "two", index = 1, of = 1, interval_days = 30, max_step_mm = 0.25 }}
cartridge = {{ id = "TWO-1", lot = "LOT-1", expires = 2060-12-31, needles = 14 }}
limits = {{ depth_mm = 0.5, strokes = {total} }}
"""
ZONE = '[[zone]]\narea = "{}"\nside = "{}"\ndepth_mm = {}\nstrokes = {}\nrate_per_s = 20\n'


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what the command keeps in folders of the test's own."""
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    settle_terminal(monkeypatch, 120)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[int, int], str]:
    """Return what writes a profile of two zones with so many strokes and returns its path."""

    def write(first: int, second: int) -> str:
        path = tmp_path / "two.toml"
        zones = ZONE.format("periorbital", "left", 0.2, first) + ZONE.format("cheek", "right", 0.4, second)
        path.write_text(HEAD.format(total=first + second) + zones)
        return str(path)

    return write


def records() -> RecordStore:
    return RecordStore(Path(os.environ["PINPRICK_DATA_DIR"]) / "records")


def made_by_needle(pen: Served) -> int:
    return pen.operator.needle().total.crossings


@contextmanager
def pressing(pen: Served, watched: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Have somebody press the trigger anew whenever the pen waits for it, until the block ends."""
    ended = threading.Event()

    def act() -> None:
        while not ended.wait(0.02):
            if not watched() and pen.state in (wire.ARMED, wire.PAUSED):
                pen.operator.begin("release")
                pen.operator.do("press", 200)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(20)


# --- a whole session --------------------------------------------------------------------------------------------------
def test_a_whole_session_for_a_program(capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]) -> None:
    with served("tcp") as pen, pressing(pen):
        ran = Run(capsys, "run", file(60, 40), "--port", pen.where, "--json")
        assert ran.exit == 0
        needle = pen.operator.needle()
        violations = needle.violations
        strokes = needle.total.crossings
    events = [line["event"] for line in ran.lines]
    assert [event for event in events if event not in ("telemetry", "state")] == [
        "loaded", "status", "zone", "record", "result",
    ]  # fmt: skip
    states = [line["state"] for line in ran.lines if line["event"] == "state"]
    assert [state for state in states if state != "RUNNING"][-2:] == ["SEALING", "SAFE"]
    assert ran.lines[events.index("zone")] == {
        "event": "zone", "zone": 1, "name": "cheek right", "set_um": 400, "left": 40
    }  # fmt: skip
    assert (ran.result["counted"], ran.result["made"], ran.result["forfeited"]) == (100, 100, 0)
    assert strokes == 100
    assert violations == ()
    assert records().load("SIM-0001", 1).record.made() == 100
    told = next(line for line in ran.lines if line["event"] == "telemetry")
    assert {"state", "zone", "depth_um", "limit_um", "made", "reserved", "left", "uptime_ms"} <= set(told)


def test_what_counts_in_the_end_is_the_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    # What the pen told last may be from just before its last stroke.
    monkeypatch.setattr(SessionView, "counted", property(lambda _: 99))
    with served("tcp") as pen, pressing(pen):
        assert Run(capsys, "run", file(60, 40), "--port", pen.where, "--json").result["counted"] == 100


def test_a_whole_session_line_by_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, file: Callable[[int, int], str]
) -> None:
    with served("tcp") as pen, pressing(pen):
        ran = Run(capsys, "run", file(60, 1), "--port", pen.where, "--out", str(tmp_path / "kept"))
    assert (ran.exit, ran.err) == (0, "")
    text = " ".join(ran.text.split())
    assert "Two zones: session 1, 2 zones, 61 strokes left, up to 0.40 mm." in text
    assert "Keys: Ctrl-C: stop." in text
    assert "NEXT ZONE: cheek right, 0.40 mm. Let go of the trigger, move there, press." in text
    assert "ARMED periorbital left 0.20 mm set, 0.50 mm limit 0 of 60 strokes made, 60 left" in text
    assert "of 1 stroke made" in text
    assert "SAFE 61 of 61 strokes counted" in text
    assert "Counted 61 strokes: 61 made, 0 forfeited" in text
    assert "\x1b" not in ran.out
    assert RecordStore(tmp_path / "kept").verify("SIM-0001") == 1


def test_on_a_terminal_zone_by_hand_and_finished_early(file: Callable[[int, int], str]) -> None:
    with served("tcp") as pen, Terminal("run", file(60, 40), "--port", pen.where, "--zone-by-hand") as terminal:
        before = terminal.settings
        terminal.shows("Press its trigger to begin.")
        assert terminal.settings != before
        terminal.press("x\x1b[A\x1bOP?")
        terminal.shows("Finish, pressed twice")
        terminal.press("?p")
        terminal.shows("There is nothing to pause")
        pen.press()
        terminal.shows("This zone is spent. Choose the next one: n.")
        terminal.press("n")
        terminal.shows("NEXT ZONE: cheek right, 0.40 mm.")
        terminal.press("n")
        terminal.shows("No other zone has strokes left.")
        terminal.press("f")
        terminal.shows("Press f once more to seal the session; 40 strokes left will be given up.")
        terminal.press("f")
        assert terminal.exit_code() == 0
        assert "Counted 60 strokes: 60 made, 0 forfeited" in terminal.text
        assert "Ended finished" in terminal.text
        assert terminal.settings == before
        assert made_by_needle(pen) == 60


def test_a_visit_without_a_stroke(file: Callable[[int, int], str]) -> None:
    with served("tcp") as pen, Terminal("run", file(60, 40), "--port", pen.where) as terminal:
        terminal.shows("Press its trigger to begin.")
        terminal.press("f")
        terminal.shows("Press f once more")
        terminal.press("f")
        assert terminal.exit_code() == 0
        assert "No stroke was made, so there is nothing to record." in terminal.text


def test_choosing_by_hand_needs_hands(capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]) -> None:
    ran = Run(capsys, "run", file(60, 40), "--zone-by-hand", "--json", "--port", "socket://127.0.0.1:1")
    assert (ran.exit, ran.result["error"]["field"]) == (2, "--zone-by-hand")


# --- stopped ----------------------------------------------------------------------------------------------------------
def running(pen: Served, *argv: str) -> Terminal:
    """Return a terminal in which a long first zone is being made."""
    terminal = Terminal("run", *argv, "--port", pen.where)
    try:
        terminal.shows("Press its trigger to begin.")
        pen.press()
        until(lambda: made_by_needle(pen) > 5, 60)
    except BaseException:
        terminal.__exit__(None, None, None)
        raise
    return terminal


def at_rest_after_stop(pen: Served) -> None:
    """See by the needle that it came home, that the driver is off, and that no stroke follows."""
    until(lambda: pen.state == wire.FAULT, 20)
    after = pen.operator.needle()
    pen.operator.do("wait", 500)
    later = pen.operator.needle()
    assert not later.driver_on
    assert pen.world.plant.depth_um() <= 0
    assert later.total.begun == after.total.begun
    assert later.violations == ()


@pytest.mark.parametrize("way", ["ctrl-c", "sigterm", "sighup"])
def test_a_signal_stops_first(file: Callable[[int, int], str], way: str) -> None:
    path = file(2000, 40)
    with served("tcp", speed=1.0) as pen, running(pen, path) as terminal:
        if way == "ctrl-c":
            terminal.press("\x03")
        else:
            terminal.process.send_signal(signal.SIGTERM if way == "sigterm" else signal.SIGHUP)
        at_rest_after_stop(pen)
        assert pen.world.runner.fault_code == faults.OPERATOR_STOP
        assert terminal.exit_code() == 1
        assert "OPERATOR_STOP 510 The operator stopped the pen." in terminal.text
        assert "`pinprick clear`, then `pinprick run" in terminal.text


def test_a_key_stops_and_the_run_ends_with_what_to_do(file: Callable[[int, int], str]) -> None:
    with served("tcp", speed=1.0) as pen, running(pen, file(2000, 40)) as terminal:
        terminal.press("?")
        terminal.shows("Back to the picture.")
        terminal.press("s")
        at_rest_after_stop(pen)
        assert terminal.exit_code() == 1
        last = terminal.text.rpartition("Back to the picture.")[2]
        # The picture that stays is the one with the counts.
        assert " of 2,040 strokes" in last
        assert "OPERATOR_STOP 510" in last
        assert "strokes left. `pinprick clear`, then `pinprick run" in last
        assert "or `pinprick finish`" in last


def test_a_stopped_session_goes_on_after_a_clear(
    capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    path = file(300, 40)
    with served("tcp", speed=4.0) as pen:
        with running(pen, path) as terminal:
            terminal.press(" ")
            assert terminal.exit_code() == 1
        at_rest_after_stop(pen)
        refused = Run(capsys, "run", path, "--port", pen.where, "--json")
        assert refused.exit == 1
        assert refused.result["error"]["name"] == "OPERATOR_STOP"
        assert "pinprick clear" in refused.result["error"]["hint"]
        pen.operator.do("release")
        assert Run(capsys, "clear", "--port", pen.where).exit == 0
        with pressing(pen):
            ran = Run(capsys, "run", path, "--port", pen.where, "--json")
        assert ran.exit == 0
        assert next(line for line in ran.lines if line["event"] == "loaded")["resumed"]
        strokes = made_by_needle(pen)
        sealed = records().load("SIM-0001", 1).record
        assert sealed.counted() == 340
        assert 340 - sealed.forfeited() <= strokes <= 340


# --- gone -------------------------------------------------------------------------------------------------------------
def test_a_killed_run_leaves_a_pen_that_pauses_and_another_goes_on(
    capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    path = file(300, 40)
    with served("tcp", speed=4.0) as pen:
        with running(pen, path) as terminal:
            terminal.process.kill()
            terminal.process.wait()
        until(lambda: pen.state == wire.LOADED, 30)
        needle = pen.operator.needle()
        assert not needle.driver_on
        assert needle.violations == ()
        pen.operator.do("release")
        with pressing(pen):
            ran = Run(capsys, "run", path, "--port", pen.where, "--json")
        assert ran.exit == 0
        # The pen paused in good order: nothing is forfeited, and the needle has made the budget exactly.
        assert made_by_needle(pen) == 340
        assert (ran.result["made"], ran.result["forfeited"]) == (340, 0)


def test_a_pulled_cable_ends_it_and_says_what_the_pen_does(
    capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    path = file(300, 40)
    with served("tcp", speed=4.0) as pen:
        with running(pen, path) as terminal:
            pen.operator.do("usb", plugged=False)
            assert terminal.exit_code() == 3
            text = terminal.text
        assert "LINK_LOST 1308" in text
        assert text.count("The pen was RUNNING when last heard of. Hearing nothing, it") == 1
        assert f"`pinprickrun{path}`goesonwithwhatisleft." in text.replace(" ", "")
        until(lambda: pen.state == wire.LOADED, 30)
        pen.operator.begin("release")
        pen.operator.do("usb", plugged=True)
        with pressing(pen):
            ran = Run(capsys, "run", path, "--port", pen.where, "--json")
        assert ran.exit == 0
        assert made_by_needle(pen) == 340 == ran.result["made"]


def test_a_run_that_stood_still_too_long_says_how_to_go_on(file: Callable[[int, int], str]) -> None:
    with served("tcp", speed=4.0) as pen, running(pen, file(2000, 40)) as terminal:
        terminal.process.send_signal(signal.SIGSTOP)
        until(lambda: pen.state == wire.LOADED, 30)
        terminal.process.send_signal(signal.SIGCONT)
        assert terminal.exit_code() == 1
        assert "LEASE_EXPIRED 513" in terminal.text
        assert "goes on: " in terminal.text


def test_a_reset_pen_ends_it(file: Callable[[int, int], str]) -> None:
    with served("tcp", speed=4.0) as pen, running(pen, file(2000, 40)) as terminal:
        pen.operator.do("reset")
        assert terminal.exit_code() in (1, 3)
        assert "goes on with what is left." in terminal.text
        assert "Traceback" not in terminal.text


def test_a_pen_reset_before_its_first_stroke_has_forgotten_the_session(
    capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    path = file(60, 40)
    with served("tcp", speed=4.0) as pen:
        with Terminal("run", path, "--port", pen.where) as terminal:
            terminal.shows("Press its trigger to begin.")
            pen.operator.do("reset")
            assert terminal.exit_code() in (1, 3)
            assert "open and close its cartridge" in terminal.text
            assert "goes on with what is left" not in terminal.text
            assert "stayed as it was" not in terminal.text
        pen.operator.new_cartridge()
        with pressing(pen):
            assert Run(capsys, "run", path, "--port", pen.where, "--json").exit == 0


def test_a_run_whose_words_nobody_reads_holds_no_pen_and_ends(file: Callable[[int, int], str]) -> None:
    with served("tcp", speed=4.0) as pen:
        process = subprocess.Popen(
            [sys.executable, "-m", "pinprick", "run", file(2000, 40), "--port", pen.where, "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert process.stdout is not None
        with process, process.stdout as words:
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                # The sooner it is full.
                fcntl.fcntl(words, fcntl.F_SETPIPE_SZ, 4096)
            while b'"ARMED"' not in words.readline():
                pass
            pen.press()
            until(lambda: made_by_needle(pen) > 5, 60)
            until(lambda: pen.state == wire.LOADED, 120)
            assert made_by_needle(pen) < 2000
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 1
        until(lambda: pen.state == wire.FAULT, 20)
        assert pen.operator.needle().violations == ()


# --- the record -------------------------------------------------------------------------------------------------------
def test_when_only_the_record_is_missing_no_other_session_is_advised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    with served("tcp") as pen:
        pull = Pen.pull_records

        def unplugged(self: Pen, *args: Any, **options: Any) -> Any:
            pen.operator.begin("usb", plugged=False)
            until(lambda: not pen.server.end.present)
            return pull(self, *args, **options)

        monkeypatch.setattr(Pen, "pull_records", unplugged)
        with pressing(pen):
            ran = Run(capsys, "run", file(60, 40), "--port", pen.where, "--json")
        assert ran.exit == 3
        hint = ran.result["error"]["hint"]
        assert "`pinprick records pull` fetches the record" in hint
        assert "pinprick run" not in hint
        monkeypatch.undo()


def test_a_full_disk_loses_no_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with served("tcp") as pen:
        with monkeypatch.context() as patch:
            patch.setattr("pinprick.records.store.Staged", full)
            with pressing(pen):
                ran = Run(capsys, "run", file(60, 40), "--port", pen.where, "--json")
        assert (ran.exit, ran.result["error"]["name"]) == (1, "FILE_UNWRITABLE")
        assert "The record is safe on the pen." in ran.result["error"]["hint"]
        assert "`pinprick records pull`" in ran.result["error"]["hint"]
        assert Run(capsys, "records", "pull", "--port", pen.where).exit == 0
        assert records().load("SIM-0001", 1).record.made() == 100


@pytest.mark.parametrize(("left", "reached"), [(0, wire.PAUSED), (3, wire.SEALING)])
def test_after_a_stop_with_nothing_to_come_no_other_session_is_advised(left: int, reached: int) -> None:
    with served() as bench, Pen(bench.connect()) as pen:
        run = _Run(Output(), pen, records(), "pinprick run two.toml", False)
        zone = ZoneView("cheek left", 200, 400, 500, 5, made=5 - left, left=left)
        run._view = SessionView("two", "SIM-0001", [zone], state=wire.FAULT)
        run._follower = Follower(Output(), pen, run._view, run._left)
        run._follower.reached.add(reached)
        assert run._left().startswith("`pinprick clear`, then `pinprick records pull` fetches the record")
        zone.left = 2
        run._follower.reached.clear()
        assert run._left().startswith("2 strokes left.")


# --- faults -----------------------------------------------------------------------------------------------------------
def test_the_pens_own_stop_button(file: Callable[[int, int], str]) -> None:
    with served("tcp", speed=4.0) as pen, running(pen, file(2000, 40)) as terminal:
        pen.operator.do("stop_button", down=True)
        assert terminal.exit_code() == 1
        assert "STOP_BUTTON 511" in terminal.text
        assert "Release the stop button." in terminal.text
        assert "`pinprick clear`, then `pinprick run" in terminal.text


def test_an_opened_cartridge_seals_and_its_record_is_kept(
    capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]
) -> None:
    with served("tcp", speed=1.0) as pen:
        with running(pen, file(2000, 40)) as terminal:
            pen.operator.do("cartridge", closed=False)
            assert terminal.exit_code() == 1
            assert "CARTRIDGE_OPENED 512" in terminal.text
        sealed = records().load("SIM-0001", 1).record
        assert 0 < made_by_needle(pen) <= sealed.counted() < 2040
        assert pen.world.runner.ledger.acked == 0


def test_a_held_trigger_says_to_let_go(capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]) -> None:
    with served("tcp") as pen:
        pen.operator.do("press")
        ran = Run(capsys, "run", file(60, 40), "--port", pen.where, "--json")
        assert ran.exit == 1
        assert ran.result["error"]["code"] == faults.TRIGGER_HELD
        assert "Let go of the trigger" in ran.result["error"]["hint"]


def test_a_pen_left_armed_is_waited_for(capsys: pytest.CaptureFixture[str], file: Callable[[int, int], str]) -> None:
    path = file(60, 40)
    with served("tcp") as pen:
        assert Run(capsys, "load", path, "--port", pen.where).exit == 0
        assert Run(capsys, "arm", "--port", pen.where).exit == 0
        let_go = threading.Event()

        def hands_off() -> bool:
            if pen.state == wire.LOADED:
                let_go.set()
            return not let_go.is_set()

        with pressing(pen, hands_off):
            ran = Run(capsys, "run", path, "--port", pen.where, "--json")
        assert ran.exit == 0
        assert made_by_needle(pen) == 100


def test_nothing_is_asked_of_a_pen_for_a_bad_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ran = Run(capsys, "run", str(tmp_path / "nowhere.toml"), "--port", "socket://127.0.0.1:1", "--json")
    assert (ran.exit, ran.result["error"]["code"]) == (2, errors.FILE_MISSING)


def test_as_a_process_without_a_terminal(file: Callable[[int, int], str]) -> None:
    with served("tcp") as pen, pressing(pen):
        ran: subprocess.CompletedProcess[str] = subprocess.run(
            [sys.executable, "-m", "pinprick", "run", file(60, 40), "--port", pen.where, "--json"],
            capture_output=True, text=True, check=False, timeout=100, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    assert (ran.returncode, ran.stderr, result["made"]) == (0, "", 100)
