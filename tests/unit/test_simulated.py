"""How simulated pens register, are found while they run and only then, and are provoked."""

import errno
import json
import os
import socket
import stat
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pinprick import errors, simulated
from pinprick.errors import InputError, NoDevice
from pinprick.simulated import Control, Registration, registered, registering
from tests.support.strangers import control_channel


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder where pens register, apart from the user's."""
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "pens"


def put(folder: Path, name: str, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_a_pen_is_listed_while_it_runs(folder: Path) -> None:
    assert registered() == []
    with control_channel("SIM-0002", "/dev/pts/2") as second, registering(second):
        with control_channel("SIM-0001", "socket://127.0.0.1:1") as first, registering(first):
            assert registered() == [first, second]
        assert registered() == [second]
    assert registered() == []
    assert list(folder.iterdir()) == []


def test_names_are_taken_by_whoever_is_listed_even_by_those_that_say_nothing(folder: Path) -> None:
    assert simulated.listed() == set()
    put(folder, "SIM%2E1.json", b"")
    put(folder, "other.txt", b"")
    with control_channel("A/B", "p") as pen, registering(pen):
        assert simulated.listed() == {"SIM.1", "A/B"}
    assert simulated.listed() == {"SIM.1"}


def test_a_slow_one_says_at_its_port_how_patient_hosts_must_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path
) -> None:
    with control_channel("SIM-0001", "p") as quick, registering(quick), control_channel("SIM-0002", "q") as other:
        with registering(replace(other, patience=10.0)):
            assert [simulated.patience(port) for port in ("p", "q", "r")] == [1.0, 10.0, 1.0]
            assert [pen.patience for pen in registered()] == [1.0, 10.0]
        # Listed by a tool that knows of no patience, and what nobody could mean.
        fields = asdict(other)
        put(folder, "SIM-0002.json", {"schema": 1, **{name: fields[name] for name in fields if name != "patience"}})
        assert simulated.patience("q") == 1.0
        wrongs: tuple[object, ...] = (0.5, -1, 1e9, "much", None, [], float("nan"))
        for wrong in wrongs:
            put(folder, "SIM-0002.json", {"schema": 1, **fields, "patience": wrong})
            assert simulated.patience("q") == 1.0
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / ("n" * 300)))
    assert simulated.patience("q") == 1.0


def test_its_token_is_for_its_owner_alone(folder: Path) -> None:
    with control_channel("SIM-0001", "p") as pen, registering(pen):
        (path,) = folder.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "secret" not in repr(pen)


def test_two_of_one_name_cannot_run(folder: Path) -> None:
    with control_channel("SIM-0001", "p") as pen, registering(pen):
        with control_channel("SIM-0001", "q") as other, pytest.raises(InputError) as caught, registering(other):
            pytest.fail("it is taken")
        assert caught.value.code == errors.USAGE
        assert registered() == [pen]


def test_the_place_of_a_dead_one_is_free(folder: Path) -> None:
    with control_channel("SIM-0001", "p") as dead:
        pass
    put(folder, "SIM-0001.json", {"schema": 1, **asdict(dead)})
    with control_channel("SIM-0001", "q") as pen, registering(pen):
        assert registered() == [pen]


def test_whoever_lost_its_place_leaves_the_other_alone(folder: Path) -> None:
    with ExitStack() as stack:
        old = stack.enter_context(control_channel("SIM-0001", "p"))
        new = stack.enter_context(control_channel("SIM-0001", "q"))
        with registering(old):
            put(folder, "SIM-0001.json", {"schema": 1, **asdict(new)})
        assert registered() == [new]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"serial": 7},
        {"port": None},
        {"control": 5},
        {"control": "127.0.0.1"},
        {"control": "127.0.0.1:-1"},
        {"control": "elsewhere.example:7"},
        {"control": "127.0.0.1:http"},
        {"control": ":99999"},
        {"token": ["secret"]},
        {"token": "another", "pid": 2**40},
        {"serial": "SIM-0009", "pid": 0x7FFF_FFFF},
        {"pid": "1"},
    ],
    ids=str,
)
def test_a_file_that_says_nothing_of_use_is_removed(folder: Path, change: dict[str, object]) -> None:
    with control_channel("SIM-0001", "p") as pen:
        path = put(folder, "SIM-0001.json", {"schema": 1, **asdict(pen), **change})
        assert registered() == []
        assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 5000, {}])
def test_rubbish_is_removed(folder: Path, content: object) -> None:
    path = put(folder, "x.json", content)
    assert registered() == []
    assert not path.exists()


def test_a_pen_that_is_too_busy_to_answer_keeps_its_place(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(simulated, "_HELLO_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pen = Registration("SIM-0001", "p", f"127.0.0.1:{silent.getsockname()[1]}", "secret", 1)
        path = put(folder, "SIM-0001.json", {"schema": 1, **asdict(pen)})
        assert registered(0.05) == []
        assert registered(0.05, busy=True) == [pen]
        assert path.exists()
        with pytest.raises(InputError), registering(pen):
            pytest.fail("it may be alive")


def test_busy_ones_are_asked_at_once_not_one_after_the_other(folder: Path) -> None:
    with ExitStack() as stack:
        for at in range(6):
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            pen = Registration(f"SIM-{at}", "p", f"127.0.0.1:{silent.getsockname()[1]}", "secret", os.getpid())
            put(folder, f"SIM-{at}.json", {"schema": 1, **asdict(pen)})
        begin = time.monotonic()
        assert len(registered(0.5, busy=True)) == 6
        assert time.monotonic() - begin < 2.5


@pytest.mark.parametrize("change", [{"token": "another"}, {"serial": "SIM-0009"}], ids=str)
def test_nothing_is_removed_while_its_process_lives(folder: Path, change: dict[str, object]) -> None:
    with control_channel("SIM-0001", "p") as pen:
        path = put(folder, "SIM-0001.json", {"schema": 1, **asdict(pen), **change})
        assert registered() == []
        assert path.exists()


def test_a_pipe_among_the_files_holds_up_nobody(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "x.json")
    with control_channel("SIM-0001", "p") as pen, registering(pen):
        assert registered() == [pen]


@pytest.mark.parametrize(
    "reply",
    [b"\n", b"7\n", b"{}\n", b"nonsense\n", b"[" * 5000 + b"\n", b'{"event":"done","serial":"SIM-0001"}\n'],
)
def test_somebody_else_at_its_channel_is_not_the_pen(folder: Path, reply: bytes) -> None:
    with control_channel("SIM-0001", "p", reply=lambda _: reply) as pen, pytest.raises(NoDevice) as caught:
        Control(pen)
    assert caught.value.code == errors.SIM_UNREACHABLE


@pytest.mark.parametrize("serial", ["a/b", "..", ".", "a.b", "%2F", "x y", "*"])
def test_whatever_its_name_its_file_is_in_the_folder(folder: Path, serial: str) -> None:
    with control_channel(serial, "p") as pen, registering(pen):
        assert len(list(folder.glob("*.json"))) == 1
        assert [found.serial for found in registered()] == [serial]


def test_a_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "file"))
    with control_channel("SIM-0001", "p") as pen, pytest.raises(InputError) as caught, registering(pen):
        pytest.fail("it has no place")
    assert caught.value.code == errors.FILE_UNWRITABLE


# --- what is done to one ---------------------------------------------------------------------------------------------
def test_commands_and_refusals() -> None:
    with control_channel("SIM-0001", "p") as pen, Control(pen) as control:
        assert control.do({"do": "oracle"}) == {"event": "done", "do": "oracle", "at_ms": 7}
        with pytest.raises(InputError) as caught:
            control.do({"do": "nonsense"})
        assert caught.value.code == errors.USAGE
        assert "there is no such command" in caught.value.message
        assert control.do({"do": "oracle"})["at_ms"] == 7


def test_a_pen_that_is_gone() -> None:
    with control_channel("SIM-0001", "p") as pen:
        pass
    with pytest.raises(NoDevice) as caught:
        Control(pen)
    assert (caught.value.code, caught.value.exit_code) == (errors.SIM_UNREACHABLE, 3)


# --- a folder that can't be looked into -------------------------------------------------------------------------------
def unreadable(_folder: Path) -> list[Path]:
    raise PermissionError(errno.EACCES, "Permission denied")


def denied(monkeypatch: pytest.MonkeyPatch, folder: Path, what: str) -> None:
    """Have the system refuse this account what it needs to see who registered."""
    folder.mkdir()
    if what == "file":
        folder.rmdir()
        folder.write_text("")
    elif what == "names":
        monkeypatch.setattr(Path, "iterdir", unreadable)
    else:
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: path != folder and allowed(path, mode))


@pytest.mark.parametrize("what", ["file", "names", "files"])
def test_a_folder_that_cannot_be_looked_into_is_said(monkeypatch: pytest.MonkeyPatch, folder: Path, what: str) -> None:
    denied(monkeypatch, folder, what)
    for look in (registered, simulated.listed):
        with pytest.raises(InputError) as caught:
            look()
        assert (caught.value.code, caught.value.exit_code) == (errors.FILE_UNREADABLE, errors.EXIT_INPUT)
        assert str(folder) in caught.value.message
        assert "PINPRICK_RUNTIME_DIR" in caught.value.hint
    assert simulated.patience("p") == 1.0
