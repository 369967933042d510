"""The command itself, killed without a chance to say goodbye: the pen goes safe alone, and the next command goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pencore import wire
from pinprick.device import Pen
from pinprick.sent import SentProfiles
from tests.support.served import Served, load, served, small, until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "full-face-session-2.toml"
SLOW = 0.05
"""Simulated seconds per second at which homing takes a while."""


@pytest.fixture(autouse=True)
def _folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what the processes write apart from the user's."""
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))


def begun(bench: Served, *argv: str) -> subprocess.Popen[bytes]:
    """Start a command on the pen."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "pinprick", *argv, "--port", bench.where, "--json"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    assert process.wait(20) == -signal.SIGKILL


def finished(bench: Served, *argv: str) -> int:
    """Run a command on the pen to its end; return its exit code."""
    until(lambda: not bench.server.end.present)
    return begun(bench, *argv).wait(60)


def monitoring(bench: Served) -> subprocess.Popen[bytes]:
    """Start `monitor` on the pen; return when it has the port."""
    until(lambda: not bench.server.end.present)
    host = begun(bench, "monitor")
    until(lambda: bench.server.end.present, 60)
    return host


def test_killed_while_it_loads() -> None:
    with served("pty") as bench:
        host = begun(bench, "load", str(EXAMPLE))
        until(lambda: bench.server.end.present, 60)
        killed(host)
        assert bench.state in (wire.SAFE, wire.LOADED)
        assert finished(bench, "load", str(EXAMPLE)) == 0
        assert bench.state == wire.LOADED
        assert SentProfiles().get("SIM-0001", 1) is not None


def test_killed_while_the_pen_homes() -> None:
    with served("pty", speed=SLOW) as bench:
        assert finished(bench, "load", str(EXAMPLE)) == 0
        host = begun(bench, "arm")
        until(lambda: bench.state == wire.HOMING, 60)
        killed(host)
        until(lambda: bench.state == wire.LOADED, 120)
        needle = bench.operator.needle()
        assert not needle.driver_on
        assert (needle.total.begun, needle.violations) == (0, ())


def test_killed_while_the_needle_works() -> None:
    with served("pty") as bench:
        with Pen(bench.connect()) as pen:
            load(pen, small(((2, 1, 200, 4000, 20), (4, 2, 400, 40, 20))), sent=SentProfiles())
            pen.arm()
        host = monitoring(bench)
        while bench.state == wire.LOADED:
            # The lease is two seconds of real time here, and a computer may need longer to start a program.
            killed(host)
            assert finished(bench, "arm") == 0
            host = monitoring(bench)
        bench.press()
        until(lambda: bench.operator.needle().total.crossings > 50)
        killed(host)
        until(lambda: bench.state == wire.LOADED, 60)
        needle = bench.operator.needle()
        assert not needle.driver_on
        assert needle.violations == ()
        bench.operator.do("release")
        assert finished(bench, "load", "--resume") == 0
        with Pen(bench.connect()) as pen:
            status = pen.status()
            assert status.counted == needle.total.crossings
            pen.arm()
            bench.press()
            until(lambda: bench.operator.needle().total.crossings > needle.total.crossings)
        bench.operator.do("release")
