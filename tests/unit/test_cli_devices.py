"""`pinprick devices`: a row for each port that may be a pen's, with the reason where it is none."""

import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from pencore import version
from pensim.world import default_provision
from pinprick import errors, link
from pinprick.device import Pen
from pinprick.simulated import registering
from tests.support.cli import Run, settle_terminal
from tests.support.served import LONG_ZONES, Served, load, served, small, until
from tests.support.strangers import control_channel, stranger, usb_port

DAY_S = 86_400
NOW_S = 1_800_000_000


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[SimpleNamespace]:
    """Return the ports of an empty computer; nobody waits long for a silent one."""
    listed: list[SimpleNamespace] = []
    settle_terminal(monkeypatch)
    monkeypatch.setattr(list_ports, "comports", lambda: listed)
    monkeypatch.setattr(link, "HELLO_S", 0.5)
    monkeypatch.setattr(link, "HELLO_REPEAT_S", 0.2)
    monkeypatch.setattr(time, "time", lambda: float(NOW_S))
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    return listed


def pen(serial: str, calibrated_at: int = NOW_S - 12 * DAY_S - 5, kind: str = "pty") -> AbstractContextManager[Served]:
    setup = default_provision(serial)
    setup.calibrated_at = calibrated_at
    return served(kind, setup=setup)


def test_no_pen_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "devices")
    assert (run.exit, run.err) == (0, "")
    assert run.text.startswith("No pen is connected, and no simulated one runs.")
    assert "sim serve" in run.text
    assert Run(capsys, "devices", "--json").lines == [{"event": "result", "ok": True, "exit": 0, "pens": 0, "ports": 0}]


def test_a_list_that_may_not_be_whole_says_so_after_what_there_is(
    capsys: pytest.CaptureFixture[str], ports: list[SimpleNamespace], tmp_path: Path
) -> None:
    (tmp_path / "run").write_text("no folder")
    run = Run(capsys, "devices")
    assert run.exit == errors.EXIT_INPUT
    assert "No pen is connected" not in run.out
    assert "FILE_UNREADABLE" in run.err
    assert "PINPRICK_RUNTIME_DIR" in run.err
    with pen("PEN-1") as one:
        ports.append(usb_port(one.where))
        lines = Run(capsys, "devices", "--json").lines
        assert [line.get("serial") for line in lines[:-1]] == ["PEN-1"]
        assert (lines[-1]["error"]["name"], lines[-1]["pens"]) == ("FILE_UNREADABLE", 1)
        assert "PEN-1" in Run(capsys, "devices").out


def test_a_pen_on_usb_and_a_simulated_one(capsys: pytest.CaptureFixture[str], ports: list[SimpleNamespace]) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(pen("PEN-1"))
        two = stack.enter_context(pen("SIM-7", 0, "tcp"))
        stack.enter_context(registering(stack.enter_context(control_channel("SIM-7", two.where))))
        ports.append(usb_port(one.where))
        with Pen(one.connect()) as host:
            load(host, small(LONG_ZONES))
            host.arm()
            one.press()
            until(lambda: one.world.runner.session is not None and one.world.runner.session.total() > 20)
        until(lambda: not one.server.end.present)
        first, second, result = Run(capsys, "devices", "--json").lines
        assert (result["pens"], result["ports"]) == (2, 2)
        assert first | {"state": "", "build": ""} == {
            "event": "device",
            "serial": "PEN-1",
            "port": one.where,
            "kind": "usb",
            "description": "Board in FS mode",
            "state": "",
            "firmware": version.FIRMWARE,
            "build": "",
            "calibration_age_days": 12,
            "open_session": 1,
            "records": 0,
            "error": None,
        }
        assert (second["serial"], second["kind"], second["state"]) == ("SIM-7", "sim", "SAFE")
        assert (second["calibration_age_days"], second["open_session"]) == (None, None)
        text = Run(capsys, "devices").text
        rows = [line.split() for line in text.splitlines()]
        assert rows[0] == ["serial", "port", "kind", "state", "session", "firmware", "calibrated"]
        assert rows[1][:3] == ["PEN-1", one.where, "usb"]
        assert rows[1][-4:] == [version.FIRMWARE, "12", "days", "ago"]
        assert rows[2] == ["SIM-7", two.where, "sim", "SAFE", "-", version.FIRMWARE, "never"]
        assert "pinprick load FILE" in text


@pytest.mark.parametrize("columns", [44, 80, 120])
def test_what_keeps_a_port_from_being_a_pen_is_in_its_row(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ports: list[SimpleNamespace],
    columns: int,
) -> None:
    settle_terminal(monkeypatch, columns)
    with ExitStack() as stack:
        held = stack.enter_context(pen("PEN-1"))
        stack.enter_context(Pen(held.connect()))
        printer = stack.enter_context(stranger("marlin"))
        silent = stack.enter_context(stranger("silence"))
        ports += [usb_port(port) for port in (held.where, printer.port, silent.port, "/dev/gone")]
        lines = Run(capsys, "devices", "--json").lines
        codes = {line["port"]: line["error"]["code"] for line in lines[:-1]}
        assert codes == {
            held.where: errors.PORT_IN_USE,
            printer.port: errors.NOT_A_PEN,
            silent.port: errors.PEN_SILENT,
            "/dev/gone": errors.NO_DEVICE,
        }
        run = Run(capsys, "devices")
        assert run.exit == 0
        rows = [line.split() for line in run.text.splitlines()[1:5]]
        states = {row[1]: " ".join(row[2:]).removeprefix("usb ") for row in rows}
        assert states == {
            held.where: "in use",
            printer.port: "no pen",
            silent.port: "silent",
            "/dev/gone": "gone",
        }
        assert max(map(len, run.text.splitlines())) <= columns
        assert "pinprick explain CODE" in " ".join(run.text.split())


def test_other_ports_are_listed_when_asked_for_and_never_spoken_to(
    capsys: pytest.CaptureFixture[str], ports: list[SimpleNamespace]
) -> None:
    with stranger("modem") as modem:
        ports.append(usb_port(modem.port, None, None))
        assert Run(capsys, "devices", "--json").result["ports"] == 0
        (line, _) = Run(capsys, "devices", "--all", "--json").lines
        assert (line["kind"], line["state"], line["error"]) == ("other", None, None)
        assert "unasked" in Run(capsys, "devices", "--all").text
        assert modem.heard == b""


def test_a_pen_that_was_never_provisioned(capsys: pytest.CaptureFixture[str], ports: list[SimpleNamespace]) -> None:
    with served("pty", blank=True) as bench:
        ports.append(usb_port(bench.where))
        assert "(none yet)" in Run(capsys, "devices").text
        line = Run(capsys, "devices", "--json").lines[0]
        assert (line["serial"], line["calibration_age_days"]) == (None, None)
