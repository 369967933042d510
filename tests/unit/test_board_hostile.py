"""What may be at a board's port instead of a board: floods, answers of any shape, names that are no text."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pinprick.board import image as images
from pinprick.board import install as installing
from pinprick.board import repl, service
from pinprick.board.build import MANIFEST, Build, build
from pinprick.board.repl import ReplBoard
from pinprick.cli import board as commands
from pinprick.errors import BOARD_FAILED, NOT_A_BOARD, PinprickError
from tests.support.cli import Run, settle_terminal
from tests.support.fake_board import FakeBoard
from tests.support.fake_repl import FakeRepl
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

SOURCES = {"pen/boot.py": b"X = 1\n", "pen/main.py": b"Y = 2\n", "pencore/units.py": b"Z = 3\n"}
LATIN = b"caf\xe9.py".decode(errors="surrogateescape")
MUCH = 200_000
"""Bytes of an answer that is still one: more than a listing of a full flash has."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    quick = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(seconds / 20))
    monkeypatch.setattr("mpremote.transport_serial.time", quick)


@pytest.fixture
def board() -> Iterator[FakeRepl]:
    """Return a board at a port, without files."""
    with FakeRepl(FakeBoard()) as found:
        yield found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Return a small firmware, which the commands take for theirs."""
    small = build(SOURCES)
    monkeypatch.setattr(commands, "built", lambda: small)
    return small


def says(answer: bytes, to: str) -> Callable[[str], bytes | None]:
    """Return what says `answer` to each script with these words."""
    return lambda script: answer + b"\x04" if to in script else None


# --- floods -----------------------------------------------------------------------------------------------------------
def test_what_never_stops_sending_is_no_board(board: FakeRepl) -> None:
    board.floods = "start"
    began = time.monotonic()
    with pytest.raises(PinprickError) as caught:
        service.taken(board.port)
    assert caught.value.code == NOT_A_BOARD
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("command", ["install", "verify"])
@pytest.mark.usefixtures("made")
def test_an_answer_without_an_end_is_given_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, board: FakeRepl, command: str
) -> None:
    monkeypatch.setattr(service, "answering", lambda _: None)
    board.floods = "answer"
    began = time.monotonic()
    error = Run(capsys, "board", command, "--port", board.port, "--json").result["error"]
    assert (error["name"], "does not stop" in error["message"]) == ("BOARD_FAILED", True)
    assert time.monotonic() - began < 30


def test_an_answer_in_drops_has_no_more_time_than_another(monkeypatch: pytest.MonkeyPatch, board: FakeRepl) -> None:
    monkeypatch.setattr(repl, "_WHOLE_S", 0.5)

    def dripping(_script: str) -> bytes:
        time.sleep(1.0)
        return b"x"

    with ReplBoard(board.port) as found:
        board.instead = dripping
        with pytest.raises(PinprickError, match="does not stop") as caught:
            found.about()
        assert caught.value.code == BOARD_FAILED
        # Whatever comes later is no answer to the next question.
        with pytest.raises(PinprickError):
            found.about()


def test_a_long_answer_is_one(board: FakeRepl) -> None:
    board.board.content["big.bin"] = bytes(MUCH // 4)
    with ReplBoard(board.port) as found:
        assert found.read("big.bin") == bytes(MUCH // 4)


# --- answers of any shape ---------------------------------------------------------------------------------------------
ODD = [
    b"5",
    b"['a']",
    b"[1,2,3]",
    b"['1.28.0', 'RPI_PICO', 'x', 'y']",
    b"{'a':1,'b':2,'c':3}",
    b"(" * 5000,
    b"[" * 90 + b"]" * 90,
    b"-" * 20000 + b"1",
    b"-" * 5000 + b"1",
    b"",
    b"\xff\xfe",
    b"\x00",
    b"{[]: 1}",
    b"{1, []}",
    b"['1.28.0', ['RPI_PICO'], 'x']",
    b"'\\d'",
    b"9" * 5000,
    b"10**10**10",
    b"None",
]
LISTS = [
    *ODD,
    b"['ab']",
    b"[('a',)]",
    b"[(1, False)]",
    b"[('x', False)]",
    b"[(None, True)]",
    b"[(b'a', False, 1)]",
    b"[(b'a', 0)]",
    b"[(b'', True)]",
    b"[([], False)]",
    b"[(b'a', True)] * 3",
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_no_account_of_itself_is_more_than_a_failure(board: FakeRepl, odd: bytes) -> None:
    board.instead = says(odd, "implementation")
    with ReplBoard(board.port) as found, pytest.raises(PinprickError, match="something else") as caught:
        found.about()
    assert caught.value.code == BOARD_FAILED


@pytest.mark.parametrize("odd", LISTS, ids=range(len(LISTS)))
def test_no_listing_is_more_than_a_failure(board: FakeRepl, odd: bytes) -> None:
    board.instead = says(odd, "_list(b'')")
    with ReplBoard(board.port) as found, pytest.raises(PinprickError, match="something else") as caught:
        found.files()
    assert caught.value.code == BOARD_FAILED


@pytest.mark.parametrize("odd", [b"5", b"'abc'", b"[]", b"None", b"b'a'"])
def test_no_digest_and_no_file_is_more_than_a_failure(board: FakeRepl, odd: bytes) -> None:
    def failing(ask: Callable[[], object]) -> None:
        with pytest.raises(PinprickError, match="something else") as caught:
            ask()
        assert caught.value.code == BOARD_FAILED

    board.instead = lambda script: odd + b"\x04" if script.startswith("_digest(") or ".read()" in script else None
    with ReplBoard(board.port) as found:
        failing(lambda: found.digests(["a"]))
        if odd == b"b'a'":
            assert found.read("a") == b"a"
        else:
            failing(lambda: found.read("a"))


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("words", [b"\xff\x1b[2J" * 10, b"\r\n", b"x" * 5000])
def test_no_complaint_is_more_than_a_failure(capsys: pytest.CaptureFixture[str], board: FakeRepl, words: bytes) -> None:
    board.instead = lambda _script: b"\x04" + words
    run = Run(capsys, "board", "install", "--port", board.port)
    said = run.out + run.err
    assert "BOARD_FAILED" in said
    assert "\x1b[2J" not in said
    assert len(said) < 2000


# --- names ------------------------------------------------------------------------------------------------------------
def test_a_name_that_is_no_text_goes_like_any_strangers(board: FakeRepl, made: Build) -> None:
    board.board.content = {LATIN: b"x", f"lib/{LATIN}": b"y"}
    board.board.dirs = {"lib"}
    with ReplBoard(board.port) as found:
        assert sorted(found.files()) == sorted([LATIN, f"lib/{LATIN}"])
        done = installing.install(found, made, images.locked(), lambda _step: None)
    assert LATIN in done.purged
    assert board.board.content == {**made.files, MANIFEST: made.manifest}


@pytest.mark.parametrize("name", ["[/x].py", "[red]x.py", "\x1b]0;t\x07\x1b[31m.py", LATIN])
def test_no_name_steers_the_terminal(
    name: str, made: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeRepl(FakeBoard({name: b"x"})) as odd:
        monkeypatch.setattr(service, "answering", lambda _: None)
        monkeypatch.setattr(service, "START_S", 0.0)
        run = Run(capsys, "board", "install", "--port", odd.port)
        assert "removed: " in run.out
        assert not set(run.out + run.err) & {"\x1b", "\x07"}
        assert odd.board.content == {**made.files, MANIFEST: made.manifest}


def test_no_name_is_markup_where_the_progress_is_drawn() -> None:
    class Slow(FakeBoard):
        def remove(self, path: str) -> None:
            time.sleep(1.0)
            super().remove(path)

    odd = Slow({"[/x].py": b"x", "\x1b]0;title\x07.py": b"x"})
    with FakeRepl(odd) as found, Terminal("board", "install", "--port", found.port, columns=120) as terminal:
        terminal.shows("removing [/x].py")
        terminal.shows("removing \N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}.py")


# --- two at once ------------------------------------------------------------------------------------------------------
def test_a_second_one_meanwhile_is_told_that_no_board_answers(monkeypatch: pytest.MonkeyPatch, board: FakeRepl) -> None:
    with ReplBoard(board.port) as first:
        monkeypatch.setattr(repl, "_ANSWER_S", 0.3)
        with pytest.raises(PinprickError) as caught:
            service.taken(board.port)
        assert caught.value.code == NOT_A_BOARD
        monkeypatch.setattr(repl, "_ANSWER_S", 10.0)
        assert first.files() == []
