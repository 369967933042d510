"""Told to end, from the first moment on: heard whatever the tool is at, and answered with a result."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pensim.locks import lock
from pinprick.cli import endings
from pinprick.cli.endings import Ended, ended_by_signals, heed, see_through, told_to_end

_IGNORING = "trap '' INT; exec \"$@\""
"""What a script's `&` does to a command: it ignores Ctrl-C from its first moment."""


def forever() -> None:
    """Wait as long as a test may take."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.01)


def ended(act: Callable[[], object]) -> bool:
    """Return whether Ended comes out of `act`: uncaught it would end the tests."""
    try:
        act()
    except Ended:
        return True
    return False


class Finaliser:
    """Is told to end where no exception gets through."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_of_them_ends_it_and_is_given_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Ended), ended_by_signals():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_one_that_comes_where_no_exception_gets_through_is_raised_again() -> None:
    hook = sys.unraisablehook

    def finalised() -> None:
        with ended_by_signals():
            del [Finaliser()][0]
            forever()

    with pytest.raises(Ended):
        finalised()
    assert sys.unraisablehook is hook


def test_one_that_was_lost_is_raised_again_as_what_it_was() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def finalised() -> None:
        with ended_by_signals():
            del [Finaliser()][0]
            forever()

    try:
        with pytest.raises(Ended):
            finalised()
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_waits_for_something_hears_the_one_that_is_raised_again() -> None:
    begin = time.monotonic()

    def finalised() -> None:
        with ended_by_signals():
            del [Finaliser()][0]
            threading.Event().wait(30)

    with pytest.raises(Ended):
        finalised()
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_imported_is_imported_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    (tmp_path / "signalled.py").write_text(f"import signal\nsignal.raise_signal({int(number)})\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with ended_by_signals():
        assert not ended(lambda: import_module("signalled"))
        assert ended(heed)
    assert sys.modules.pop("signalled").whole


def test_an_import_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "_IMPORT_MOST_S", 0.2)
    lines = ("import signal, time", "signal.raise_signal(signal.SIGINT)", "time.sleep(30)")
    (tmp_path / "stuck.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    begin = time.monotonic()
    with ended_by_signals():
        assert ended(lambda: import_module("stuck"))
    assert time.monotonic() - begin < 20
    assert "stuck" not in sys.modules


def test_nothing_is_raised_before_it_is_heeded() -> None:
    with ended_by_signals(at_heed=True):
        assert not ended(lambda: signal.raise_signal(signal.SIGINT))
        assert not told_to_end()
        assert ended(heed)
        assert told_to_end()
    assert not told_to_end()
    heed()
    see_through()


def test_what_comes_right_after_it_wants_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "SAME_S", 0.3)
    with ended_by_signals():
        assert ended(lambda: signal.raise_signal(signal.SIGINT))
        assert not ended(lambda: signal.raise_signal(signal.SIGINT))
        assert not ended(lambda: signal.raise_signal(signal.SIGTERM))
        time.sleep(0.35)
        assert ended(lambda: signal.raise_signal(signal.SIGTERM))


def test_what_is_seen_through_ends_by_itself_or_within_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []
    monkeypatch.setattr(endings, "_LAST_S", 0.05)
    monkeypatch.setattr(os, "_exit", forced.append)
    with ended_by_signals():
        see_through()
        signal.raise_signal(signal.SIGINT)
        heed()
    time.sleep(0.1)
    assert forced == []
    with ended_by_signals():
        see_through()
        time.sleep(0.1)
        assert forced == []
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.2)
    assert forced == [1]


def test_what_is_lost_besides_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    class Breaks:
        def __del__(self) -> None:
            raise ValueError

    with ended_by_signals():
        del [Breaks()][0]
    assert len(told) == 1


@pytest.mark.parametrize("even_ignored", [False, True])
def test_what_is_ignored_stays_so_but_for_what_serves_others(
    monkeypatch: pytest.MonkeyPatch, even_ignored: bool
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_signals(even_ignored=even_ignored):
            heard = False
            try:
                signal.raise_signal(signal.SIGINT)
            except Ended:
                heard = True
        assert heard is even_ignored
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_the_middle_of_an_exec_it_ends_with_its_own_exit_code() -> None:
    code = """
import sys
from pinprick import cli

def called(*_):
    exec("import signal; signal.raise_signal(signal.SIGTERM)")

cli._called = called
sys.exit(cli.main(["devices", "--json"]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert json.loads(ran.stdout)["error"]["name"] == "INTERRUPTED"


@pytest.mark.parametrize("module", ["typer", "pinprick.cli.devices"])
def test_while_the_commands_are_imported_it_ends_with_a_result(module: str) -> None:
    code = f"""
import importlib.abc, signal, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
from pinprick.cli import main
sys.exit(main(["devices", "--json"]))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert json.loads(ran.stdout)["error"]["name"] == "INTERRUPTED"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pen_that_is_still_being_started_hears_it_though_a_script_had_it_ignore_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    environment = os.environ | {"PINPRICK_RUNTIME_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["sh", "-c", _IGNORING, "sh", sys.executable, "-v", "-m", "pinprick", "sim", "serve", "--json"]
    with (tmp_path / "serve.lock").open("ab") as turn:
        # It waits for its turn, which never comes; what it has imported tells that it has got so far.
        assert lock(turn)
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment,
        ) as process:  # fmt: skip
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("import 'pensim.locks'"):
                    break
            process.send_signal(number)
            out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert json.loads(out.splitlines()[-1])["error"]["name"] == "INTERRUPTED"


def ran(code: str, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run a command in a Python of its own, after `code`; return exit code, what it said, and its standard error."""
    code = f"import os, signal, sys\nfrom pinprick import cli\n{code}\nsys.exit(cli.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--json"], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_an_error_that_a_library_makes_of_it_is_none_of_the_tool_s() -> None:
    code = """
def called(*_):
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise SyntaxError

cli._called = called
"""
    exit_code, said, err = ran(code, "devices")
    assert (exit_code, err, [each["error"]["name"] for each in said]) == (1, "", ["INTERRUPTED"])


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_a_second_one_changes_nothing_of_what_is_told_of_the_first(failing: bool, told: bool) -> None:
    code = f"""
import typer
from pinprick.cli import endings, output

endings.SAME_S = 0
fail = output.Output.fail

def again(*given):
    if not {told}:
        signal.raise_signal(signal.SIGINT)
    fail(*given)
    signal.raise_signal(signal.SIGTERM)

output.Output.fail = again

def called(*_):
    if {failing}:
        raise ValueError
    try:
        with output.reporting(True):
            signal.raise_signal(signal.SIGINT)
    except typer.Exit as ended:
        return ended.exit_code

cli._called = called
"""
    exit_code, said, err = ran(code, "devices")
    assert (exit_code, err) == (1, "")
    assert [each["error"]["name"] for each in said] == ["INTERNAL" if failing else "INTERRUPTED"]


def test_the_exit_code_is_that_of_the_result_that_was_printed() -> None:
    code = """
import atexit
from pinprick.cli import output

succeed = output.Output.succeed

def told(out):
    succeed(out)
    os.kill(os.getpid(), signal.SIGINT)

output.Output.succeed = told

class Last:
    def __del__(self, kill=os.kill, me=os.getpid()):
        kill(me, 2)

os.last = Last()
atexit.register(os.kill, os.getpid(), signal.SIGINT)
atexit.register(os.kill, os.getpid(), signal.SIGTERM)
"""
    exit_code, said, err = ran(code, "explain", "311")
    assert (exit_code, err, [each["ok"] for each in said if each["event"] == "result"]) == (0, "", [True])


def test_little_is_imported_before_anything_is_heard() -> None:
    code = "import sys; had = set(sys.modules); import pinprick.cli; print(*set(sys.modules) - had)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert {"pinprick.cli.endings", "signal"} <= set(out.split())
    for name in ("typing", "pathlib", "dataclasses", "re", "pinprick.errors", "pinprick.firmware", "typer"):
        assert name not in out.split(), name
