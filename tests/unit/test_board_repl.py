"""A board behind a port: what mpremote is asked, what is said when it fails, and the commands that use it."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pinprick import errors
from pinprick.board import service
from pinprick.board.build import MANIFEST, Build, build
from pinprick.board.install import About
from pinprick.board.repl import ReplBoard
from pinprick.cli import board as commands
from pinprick.errors import NoDevice, PinprickError
from pinprick.told import PenInfo
from tests.support.cli import Run, settle_terminal
from tests.support.fake_board import RIGHT, FakeBoard
from tests.support.fake_repl import FakeRepl
from tests.support.served import served
from tests.support.strangers import stranger
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

SOURCES = {"pen/boot.py": b"X = 1\n", "pen/main.py": b"Y = 2\n", "pencore/units.py": b"Z = 3\n" * 700}


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    # The library looks for each byte every 10 ms; here the bytes are there at once.
    quick = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(seconds / 20))
    monkeypatch.setattr("mpremote.transport_serial.time", quick)


@pytest.fixture
def repl() -> Iterator[FakeRepl]:
    """Return a board at a port, with a pen's memory and some old code."""
    with FakeRepl(FakeBoard({"prov.bin": b"who I am", "pencore/old.py": b"old", "pencore/sub/older.py": b""})) as found:
        yield found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Return a small firmware, which the commands take for theirs."""
    small = build(SOURCES)
    monkeypatch.setattr(commands, "built", lambda: small)
    return small


def running(identity: str) -> PenInfo:
    """Return what a pen with this build says of itself."""
    fields: dict[str, Any] = dict.fromkeys(PenInfo.__dataclass_fields__, 0)
    return PenInfo(**{**fields, "firmware": "0.1.0", "build": identity, "serial": "PP-1"})


# --- the board -------------------------------------------------------------------------------------------------------
def test_every_operation_reaches_the_board(repl: FakeRepl) -> None:
    data = bytes(range(256)) * 9
    with ReplBoard(repl.port) as board:
        assert board.about() == RIGHT
        assert sorted(board.files()) == ["pencore/old.py", "pencore/sub/older.py", "prov.bin"]
        assert board.folders() == ["pencore", "pencore/sub"]
        board.make_folder("lib")
        board.write("lib/a.new", data)
        board.rename("lib/a.new", "lib/a")
        assert board.digests(["lib/a", "prov.bin"]) == repl.board.digests(["lib/a", "prov.bin"])
        assert repl.board.content["lib/a"] == data == board.read("lib/a")
        board.remove("lib/a")
        board.remove_folder("lib")
        assert repl.board.dirs == {"pencore", "pencore/sub"}
        assert board.digests([]) == {}
        board.reset()
    assert repl.resets == 1


def test_taking_a_board_over_restarts_nothing_and_leaves_its_prompt(repl: FakeRepl) -> None:
    with ReplBoard(repl.port) as board:
        assert board.about() == RIGHT
        assert board.files()
        assert (repl.restarts, repl.resets, repl.prompt_left) == (0, 0, False)
    assert settled(lambda: repl.prompt_left)
    assert (repl.restarts, repl.resets, repl.path) == (0, 0, ["", ".frozen", "/lib"])


def test_a_board_can_be_started_anew_and_asked_again(repl: FakeRepl) -> None:
    with ReplBoard(repl.port) as board:
        first = board.digests(["prov.bin"])
        board.start_anew()
        assert repl.restarts == 1
        assert (board.digests(["prov.bin"]), board.folders()) == (first, ["pencore", "pencore/sub"])
        board.start_anew()
        repl.lose_after = 0
        with pytest.raises(NoDevice) as caught:
            board.files()
    assert caught.value.code == errors.BOARD_LOST


@pytest.mark.parametrize("name", ["os", "hashlib", "binascii", "machine", "time"])
def test_a_folder_with_a_module_s_name_is_no_module(repl: FakeRepl, name: str) -> None:
    repl.board.dirs.add(name)
    with ReplBoard(repl.port) as board:
        board.write("a", b"data")
        assert board.digests(["a"]) == repl.board.digests(["a"])
        board.remove_folder(name)
        assert name not in board.folders()
        repl.board.dirs.add(name)
        board.reset()
    assert repl.resets == 1


def settled(done: Callable[[], bool]) -> bool:
    """Return whether `done` is so within some seconds: the board reads on when its host has let go."""
    end = time.monotonic() + 10
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return done()


def test_what_the_board_refuses_is_said_in_its_words(repl: FakeRepl) -> None:
    repl.full = True
    with ReplBoard(repl.port) as board, pytest.raises(PinprickError, match="ENOSPC") as caught:
        board.write("a", b"data")
    assert caught.value.code == errors.BOARD_FAILED


def test_a_connection_that_breaks_off_is_said_so(repl: FakeRepl) -> None:
    with ReplBoard(repl.port) as board:
        repl.lose_after = 0
        with pytest.raises(NoDevice) as caught:
            board.files()
    assert caught.value.code == errors.BOARD_LOST


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoDevice) as caught:
        ReplBoard(str(tmp_path / "none"))
    assert caught.value.code == errors.NO_DEVICE
    with pytest.raises(PinprickError) as usage:
        ReplBoard("nonsense://x")
    assert usage.value.code == errors.USAGE


def test_what_answers_like_no_board(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pinprick.board.repl._ANSWER_S", 0.3)
    with stranger("modem") as modem, pytest.raises(NoDevice) as caught:
        service.taken(modem.port)
    assert caught.value.code == errors.NOT_A_BOARD
    assert capsys.readouterr() == ("", "")


def test_a_pen_that_runs_says_how_its_board_is_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinprick.board.repl._ANSWER_S", 0.3)
    with served("pty") as pen:
        with pytest.raises(PinprickError, match="its port takes no files") as caught:
            service.taken(pen.where)
        state = pen.state
    assert (caught.value.code, caught.value.exit_code) == (errors.BOARD_CLOSED, errors.EXIT_FAILED)
    assert "service button" in caught.value.hint
    assert state == 1


# --- the commands ----------------------------------------------------------------------------------------------------
def test_install_and_verify(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl, made: Build
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: running(made.identity) if repl.resets == 1 else None)
    run = Run(capsys, "board", "install", "--port", repl.port, "--json")
    result = run.result
    assert (result["ok"], result["build"], result["serial"]) == (True, made.identity, "PP-1")
    assert sorted(result["copied"]) == sorted(made.files)
    assert sorted(result["purged"]) == ["pencore/old.py", "pencore/sub/", "pencore/sub/older.py"]
    steps = [event for event in run.lines if event["event"] == "step"]
    assert [step["kind"] for step in steps].count("copy") == len(made.files)
    assert repl.board.content == {**made.files, MANIFEST: made.manifest, "prov.bin": b"who I am"}

    repl.resets = 5
    verified = Run(capsys, "board", "verify", "--port", repl.port, "--json").result
    assert (verified["ok"], verified["by"], verified["build"]) == (True, "files", made.identity)
    repl.board.content["pencore/units.mpy"] = b"rotten"
    wrong = Run(capsys, "board", "verify", "--port", repl.port, "--json").result
    assert (wrong["exit"], wrong["error"]["name"], wrong["error"]["field"]) == (4, "BOARD_DIFFERS", "pencore/units.mpy")
    assert repl.resets == 7


def test_install_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl, made: Build
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: running(made.identity))
    first = " ".join(Run(capsys, "board", "install", "--port", repl.port).text.split())
    for words in ("copying", "reading back", "writing the manifest", "3 files copied", "pencore/old.py", "pen PP-1"):
        assert words in first
    assert "were there already" in Run(capsys, "board", "install", "--port", repl.port).text


def test_a_pen_that_does_not_come_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl, made: Build
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: None)
    monkeypatch.setattr(service, "START_S", 0.0)
    result = Run(capsys, "board", "install", "--port", repl.port, "--json").result
    assert (result["exit"], result["error"]["name"], sorted(result["copied"])) == (
        3,
        "BOARD_NOT_UP",
        sorted(made.files),
    )


def test_a_running_pen_is_verified_by_its_own_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, made: Build
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: running(made.identity))
    assert "the same as this tool's" in " ".join(
        Run(capsys, "board", "verify", "--port", "socket://127.0.0.1:1").text.split()
    )
    result = Run(capsys, "board", "verify", "--port", "socket://127.0.0.1:1", "--json").result
    assert (result["ok"], result["by"]) == (True, "pen")
    monkeypatch.setattr(service, "answering", lambda _: running("0" * 16))
    assert Run(capsys, "board", "verify", "--port", "socket://127.0.0.1:1", "--json").result["exit"] == 4


@pytest.mark.parametrize("command", ["install", "verify"])
@pytest.mark.usefixtures("made")
def test_what_is_waited_for_is_said_before_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setattr("pinprick.board.repl._ANSWER_S", 0.3)
    said: list[str] = []

    def asked(_port: str) -> None:
        said.append(capsys.readouterr().out)

    monkeypatch.setattr(service, "answering", asked)
    with stranger("silence") as silent:
        lines = Run(capsys, "board", command, "--port", silent.port, "--json").lines
        waited = [json.loads(line)["what"] for line in "".join(said).splitlines()] + [
            line["what"] for line in lines[:-1]
        ]
        assert waited == (["prompt", "pen"] if command == "install" else ["pen", "prompt", "pen"])
        assert lines[-1]["error"]["name"] == "NOT_A_BOARD"
        said.clear()
        Run(capsys, "board", command, "--port", silent.port)
        assert f"Asking whether a pen runs at {silent.port}" in " ".join(said[0].split())


@pytest.mark.parametrize("command", ["install", "verify"])
def test_a_port_without_a_name_is_refused_before_anything_is_said(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    run = Run(capsys, "board", command, "--port", "")
    assert (run.exit, run.out) == (2, "")
    assert "no port is named" in " ".join(run.err.split())


def test_only_what_replaces_files_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = {command: Run(capsys, "board", command, "--help").text for command in ("install", "verify")}
    assert "replaced" in said["install"]
    assert "replaced" not in said["verify"]


@pytest.mark.usefixtures("made")
def test_another_micropython_is_refused(capsys: pytest.CaptureFixture[str], repl: FakeRepl) -> None:
    repl.board.is_about = About("1.27.0", "RPI_PICO", "Raspberry Pi Pico with RP2040")
    before = dict(repl.board.content)
    result = Run(capsys, "board", "install", "--port", repl.port, "--json").result
    assert (result["exit"], result["error"]["name"], result["error"]["given"]) == (1, "BOARD_WRONG", "1.27.0")
    assert repl.board.content == before


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("command", ["install", "verify"])
def test_another_micropython_is_never_restarted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl, command: str
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: None)
    repl.board.is_about = About("1.28.0", "RPI_PICO_W", "Raspberry Pi Pico W with RP2040")
    repl.board.content[MANIFEST] = build(SOURCES).manifest
    result = Run(capsys, "board", command, "--port", repl.port, "--json").result
    assert (result["exit"], result["error"]["name"]) == (1, "BOARD_WRONG")
    assert (repl.restarts, repl.resets) == (0, 0)


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("manifest", [None, b"", b"0" * 64 + b"  boot.py\n"])
def test_verifying_restarts_no_board_that_is_no_pen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl, manifest: bytes | None
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: None)
    if manifest is not None:
        repl.board.content[MANIFEST] = manifest
    result = Run(capsys, "board", "verify", "--port", repl.port, "--json").result
    assert (result["exit"], result["error"]["name"]) == (4, "BOARD_DIFFERS")
    assert (repl.restarts, repl.resets) == (0, 0)


@pytest.mark.parametrize("whole", [True, False])
def test_a_reset_that_fails_is_no_word_on_the_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, repl: FakeRepl, made: Build, whole: bool
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: None)
    repl.board.content = {**made.files, MANIFEST: made.manifest}
    repl.board.dirs = {"pencore"} if whole else {"pencore", "machine"}
    asked = []

    def failing(board: ReplBoard) -> None:
        asked.append(board.name)
        raise NoDevice(errors.BOARD_LOST, "It broke off.")

    monkeypatch.setattr(ReplBoard, "reset", failing)
    result = Run(capsys, "board", "verify", "--port", repl.port, "--json").result
    assert asked == [repl.port]
    assert result["ok"] if whole else result["error"]["field"] == "machine/"


@pytest.mark.parametrize("command", ["install", "verify"])
def test_the_help_says_what_happens_to_another_program(capsys: pytest.CaptureFixture[str], command: str) -> None:
    text = " ".join(Run(capsys, "board", command, "--help").text.split())
    assert "interrupted" in text


def test_on_a_terminal_the_progress_is_drawn_while_the_board_is_busy() -> None:
    with FakeRepl(FakeBoard()) as repl, Terminal("board", "install", "--port", repl.port, columns=120) as terminal:
        terminal.shows("copying pencore/")
        terminal.shows("reading back pencore/")
