"""Told to end, from the first moment on: heard whatever the tool is at, and answered with a result."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pensim.locks import lock
from pinprick.cli.endings import Ended, ended_by_signals

_IGNORING = "trap '' INT; exec \"$@\""
"""What a script's `&` does to a command: it ignores Ctrl-C from its first moment."""


def forever() -> None:
    """Wait as long as a test may take."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.01)


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
