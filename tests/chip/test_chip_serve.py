"""`pinprick sim chip` as programs use it: the list of pens, a session with hands at its channel, faults, mpremote."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pencore import wire
from pinprick import simulated
from pinprick.device import Pen
from pinprick.transport import SerialTransport
from tests.support.cli import Run
from tests.support.served import load, small

pytestmark = [pytest.mark.chip, pytest.mark.timeout(300)]

WAIT_S = 90.0
"""An emulated chip on a busy computer is slow."""
_BOOT_MS = 3000


class Serving:
    """A `sim chip` that runs: what it said first, and its hands."""

    def __init__(self, said: dict[str, Any], process: "subprocess.Popen[bytes]") -> None:
        self.said = said
        self.port: str = said["port"]
        self.process = process
        self.pen = simulated.registered(WAIT_S)[0]

    def do(self, do: str, **keys: Any) -> dict[str, Any]:
        """Have the hands do something."""
        with simulated.Control(self.pen, WAIT_S) as hands:
            return hands.do({"do": do, **keys})

    def line(self, event: str) -> dict[str, Any]:
        """Return the next line that it writes with this event."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            said: dict[str, Any] = json.loads(text)
            if said["event"] == event:
                return said
        raise AssertionError(f"it ended without {event}")


@contextmanager
def serving(uf2_path: Path, *options: str) -> Iterator[Serving]:
    """Run `pinprick sim chip` until the end of the block."""
    digest = sha256(uf2_path.read_bytes()).hexdigest()
    command = [sys.executable, "-m", "pinprick", "sim", "chip", "--json", "--uf2", str(uf2_path), *options]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PINPRICK_UF2_ALLOW_HASH": digest},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = next(line for line in map(json.loads, process.stdout) if line["event"] != "booting")
        assert said["event"] == "serving", said
        yield Serving(said, process)
    finally:
        process.stdin.close()
        assert process.wait(WAIT_S) == 0
        process.stdout.close()


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a runtime folder of its own."""
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path))


def until(condition: Callable[[], bool]) -> None:
    """Wait, in real time, until `condition` holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def mpremote(port: str) -> "subprocess.CompletedProcess[bytes]":
    """Have mpremote, which knows nothing of pens, compute something at a port."""
    command = [sys.executable, "-m", "mpremote", "connect", port, "exec", "print(6 * 7)"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=WAIT_S)


def test_a_session_by_its_port_with_hands_at_its_control_channel(uf2_path: Path) -> None:
    digest = sha256(uf2_path.read_bytes()).hexdigest()
    with serving(uf2_path) as chip:
        image = chip.said["image"]
        assert image["sha256"] == digest
        assert isinstance(image["official"], bool)
        assert (chip.pen.serial, chip.pen.port) == ("SIM-0001", chip.port)
        # Its strokes take a host's time: whoever opens its port knows.
        assert simulated.patience(chip.port) == chip.pen.patience == 10.0
        with Pen(SerialTransport(chip.port), wait_s=WAIT_S) as host:
            assert host.info.build == chip.said["build"]
            load(host, small(((0, 1, 200, 6, 20),)))
            host.arm()
            chip.do("zone", label="only", limit_um=200)
            chip.do("press", after_ms=300)
            until(lambda: host.status().state == wire.SAFE)
            chip.do("release")
        oracle = chip.do("oracle")
        assert oracle["labels"]["only"]["strokes"] == oracle["total"]["strokes"] == 6
        assert (oracle["violations"], oracle["crashes"], oracle["driver_on"]) == ([], 0, False)


def test_a_hung_chip_is_reset_told_of_and_its_port_comes_back(uf2_path: Path) -> None:
    with serving(uf2_path, "--speed", "100") as chip:
        chip.do("hang")
        assert chip.line("crashed")["problem"].startswith("the watchdog was not fed; reset at ")
        chip.do("wait", after_ms=_BOOT_MS)
        until(lambda: Path(chip.port).exists())
        with Pen(SerialTransport(chip.port), wait_s=WAIT_S) as host:
            assert host.status().state == wire.SAFE
        assert chip.do("oracle")["crashes"] == 1


def test_the_flash_file_keeps_what_the_pen_remembers_and_takes_a_new_firmware(uf2_path: Path, tmp_path: Path) -> None:
    from pensim.chip.files import files_in, with_files

    flash = tmp_path / "pen.flash"
    with serving(uf2_path, "--flash", str(flash), "--serial", "KEPT"):
        pass
    before = files_in(flash.read_bytes())
    flash.write_bytes(with_files(flash.read_bytes(), {"pencore/wire.mpy": b"old"}))
    with serving(uf2_path, "--flash", str(flash)) as chip:
        assert chip.said["serial"] == "KEPT"
    after = files_in(flash.read_bytes())
    assert after["pencore/wire.mpy"] == before["pencore/wire.mpy"]
    assert after["prov.bin"] == before["prov.bin"]


def test_mpremote_reaches_the_prompt_only_with_the_service_button(uf2_path: Path) -> None:
    with serving(uf2_path, "--service") as chip:
        said = mpremote(chip.port)
        assert (said.returncode, said.stdout.strip()) == (0, b"42")
    with serving(uf2_path) as chip:
        said = mpremote(chip.port)
        assert said.returncode != 0
        assert b"42" not in said.stdout
        with Pen(SerialTransport(chip.port), wait_s=WAIT_S) as host:
            # One of mpremote's first bytes is a stop.
            assert host.status().state in (wire.SAFE, wire.FAULT)
        assert chip.do("oracle")["crashes"] == 0


def test_a_board_at_its_prompt_is_provisioned_and_started_by_its_port(
    uf2_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reset takes the port away, and not what was said before it."""
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    with serving(uf2_path, "--service", "--blank") as chip:
        chip.do("service", held=False)
        command = ("board", "provision", "--port", chip.port, "--serial", "PP-1", "--key", "none", "--json")
        result = Run(capsys, *command).result
        assert (result["ok"], result["new"], result["verified"]) == (True, True, True)


def test_a_pen_that_was_never_provisioned_answers_and_keeps_its_flash(uf2_path: Path, tmp_path: Path) -> None:
    flash = tmp_path / "new.flash"
    for _ in range(2):
        with (
            serving(uf2_path, "--blank", "--flash", str(flash)) as chip,
            Pen(SerialTransport(chip.port), wait_s=WAIT_S) as host,
        ):
            assert (host.info.serial, host.info.build) == ("", chip.said["build"])
