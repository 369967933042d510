"""Ports with no pen behind them, with one too many, with another program's: what the command line says of each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial
from serial.tools import list_ports

from pencore import faults, version, wire
from pencore.faults import Refusal
from pinprick import errors, link
from pinprick.device import Pen
from pinprick.simulated import registering
from tests.support.cli import Run, settle_terminal
from tests.support.served import served
from tests.support.strangers import Stranger, control_channel, stranger, usb_port
from tests.unit.test_device import LIARS_HELLO


@pytest.fixture(autouse=True)
def _computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test an empty computer, whose host waits for a hello no longer than it must."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(list_ports, "comports", lambda: [])
    monkeypatch.setattr(link, "HELLO_S", 1.0)
    monkeypatch.setattr(link, "HELLO_REPEAT_S", 0.3)


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, int, str]:
    """Return exit code, the error's code and all that is said for people."""
    result = Run(capsys, *argv, "--json").result
    run = Run(capsys, *argv)
    assert run.exit == result["exit"]
    assert "To do:" in run.err
    return run.exit, result["error"]["code"], " ".join(run.text.split())


# --- no pens ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["status", "stop"])
@pytest.mark.parametrize("kind", ["modem", "gps", "marlin", "repl", "echo"])
def test_something_else_is_not_a_pen(capsys: pytest.CaptureFixture[str], kind: str, command: str) -> None:
    with stranger(kind) as port:
        exit_code, code, text = said(capsys, command, "--port", port.port)
        assert (exit_code, code) == (3, errors.NOT_A_PEN)
        assert f"What is connected to {port.port} does not answer as a pen." in text


@pytest.mark.parametrize("command", ["status", "stop"])
def test_silence(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with stranger("silence") as port:
        exit_code, code, text = said(capsys, command, "--port", port.port)
        assert (exit_code, code) == (3, errors.PEN_SILENT)
        assert f"The pen at {port.port} does not answer." in text


def test_no_pen(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "arm", "pause", "stop", "finish", "clear"):
        exit_code, code, text = said(capsys, command)
        assert (exit_code, code) == (3, errors.NO_DEVICE)
        assert "No pen is connected" in text
    assert said(capsys, "status", "--port", "/dev/ttyACM9")[:2] == (3, errors.NO_DEVICE)
    assert said(capsys, "status", "--serial-number", "PEN-1")[:2] == (3, errors.NO_DEVICE)


# --- another version of the protocol ---------------------------------------------------------------------------------
NEWER: dict[str, Any] = {**LIARS_HELLO, "protocol_major": 2}


def _newer_pen(refuses: bool) -> Stranger:
    """Return a pen of the next protocol: it refuses our hello, or takes it and tells its own version."""

    def answer(data: bytes) -> bytes:
        told = b""
        for line in data.splitlines(keepends=True):
            if line.startswith(b"{"):
                request = wire.decode_request(line)
                refusal = Refusal(faults.WIRE_PROTOCOL, "protocol_major", version.PROTOCOL_MAJOR, 2)
                told += wire.encode_error(request.id, refusal) if refuses else b""
                told += b"" if refuses else wire.encode_result("hello", request.id, NEWER)
        return told

    return Stranger(answer)


@pytest.mark.parametrize("refuses", [True, False])
def test_a_pen_of_another_protocol_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refuses: bool
) -> None:
    pen = _newer_pen(refuses)
    try:
        exit_code, code, text = said(capsys, "status", "--port", pen.port)
        assert (exit_code, code) == (1, faults.WIRE_PROTOCOL)
        assert "different versions of the protocol" in text
        assert "Update the older" in text
        monkeypatch.setattr(list_ports, "comports", lambda: [usb_port(pen.port)])
        rows = [line.split() for line in Run(capsys, "devices").text.splitlines()]
        assert rows[1][:4] == ["?", pen.port, "usb", "protocol"]
    finally:
        pen.close()


# --- two hosts, two pens ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["pty", "tcp"])
def test_two_hosts_on_one_pen(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    with served(kind) as bench, Pen(bench.connect()) as first:
        for command in ("status", "stop", "arm"):
            exit_code, code, text = said(capsys, command, "--port", bench.where)
            assert (exit_code, code) == (3, errors.PORT_IN_USE)
            assert "another program" in text
        # The first one never noticed.
        assert first.status().state == wire.SAFE


@contextmanager
def simulated(serial_number: str) -> Iterator[str]:
    with (
        served("tcp", serial=serial_number) as bench,
        control_channel(serial_number, bench.where) as pen,
        registering(pen),
    ):
        yield bench.where


def test_two_pens(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated("SIM-0001") as one, simulated("SIM-0002") as two:
        for command in ("status", "stop", "arm"):
            exit_code, code, text = said(capsys, command)
            assert (exit_code, code) == (3, errors.SEVERAL_PENS)
            assert f"2 pens are connected: SIM-0001 on {one}, SIM-0002 on {two}." in text
        for serial_number, port in (("SIM-0001", one), ("SIM-0002", two)):
            result = Run(capsys, "status", "--serial-number", serial_number, "--json").result
            assert (result["serial"], result["port"], result["state"]) == (serial_number, port, "SAFE")
        assert Run(capsys, "stop", "--serial-number", "SIM-0002", "--json").result["port"] == two
        assert Run(capsys, "status", "--port", one, "--json").result["state"] == "SAFE"
        assert said(capsys, "status", "--port", one, "--serial-number", "SIM-0002")[1] == errors.WRONG_PEN


def test_the_only_pen_needs_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    with simulated("SIM-0001"):
        assert Run(capsys, "status", "--json").result["serial"] == "SIM-0001"
        assert Run(capsys, "stop", "--json").result["serial"] == "SIM-0001"
        assert Run(capsys, "status", "--json").result["state"] == "FAULT"


# --- no permission ---------------------------------------------------------------------------------------------------
def test_a_port_without_permission(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with stranger("silence") as port:
        Path(port.port).chmod(0)
        if os.access(port.port, os.R_OK):
            # Root may open anything: then pyserial's own words stand for the system's.
            def denied(*_: object, **__: object) -> None:
                raise serial.SerialException(13, f"could not open port {port.port}: Permission denied")

            monkeypatch.setattr(serial, "serial_for_url", denied)
        for command in ("status", "stop"):
            exit_code, code, text = said(capsys, command, "--port", port.port)
            assert (exit_code, code) == (3, errors.PORT_DENIED)
            assert "dialout" in text
        monkeypatch.setattr(list_ports, "comports", lambda: [usb_port(port.port)])
        run = Run(capsys, "devices")
        assert run.exit == 0
        assert run.text.splitlines()[1].split() == ["?", port.port, "usb", "denied"]
