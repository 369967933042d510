"""`pinprick monitor` with a virtual pen at a port: in every state, for people and programs, to whatever end."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pencore import faults, wire
from pinprick.device import Pen
from pinprick.sent import SentProfiles
from tests.support.cli import Run, settle_terminal
from tests.support.served import LONG_ZONES, Served, load, served, small, until
from tests.support.terminal import Terminal


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what the command keeps in folders of the test's own."""
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    settle_terminal(monkeypatch, 120)


@pytest.fixture
def bench() -> Iterator[Served]:
    """Return a pen at a TCP port; its strokes take their time."""
    with served("tcp", speed=2.0) as pen:
        yield pen


def prepare(bench: Served, *, armed: bool, known: bool = True, long: bool = True) -> None:
    """Have a session loaded and, if wanted, armed; `known` when this computer keeps what it sent."""
    with Pen(bench.connect()) as pen:
        load(pen, small(LONG_ZONES) if long else None, sent=SentProfiles() if known else None)
        if armed:
            pen.arm()


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Have `act` done in another thread; its failure is the test's."""
    with ThreadPoolExecutor(1) as hands:
        done = hands.submit(act)
        yield
        done.result(60)


# --- what it shows ----------------------------------------------------------------------------------------------------
def test_a_pen_without_a_session(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    ran = Run(capsys, "monitor", "--port", bench.where, "--for", "0.5", "--json")
    assert ran.exit == 0
    assert [line["event"] for line in ran.lines] == ["status", "result"]
    assert (ran.lines[0]["state"], ran.lines[0]["zones"]) == ("SAFE", [])
    assert ran.result["state"] == "SAFE"


def test_zones_have_names_where_the_profile_was_sent_from(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    prepare(bench, armed=False)
    ran = Run(capsys, "monitor", "--port", bench.where, "--until", "loaded", "--json")
    assert (ran.exit, ran.result["state"]) == (0, "LOADED")
    assert [zone["zone"] for zone in ran.lines[0]["zones"]] == ["periorbital left", "cheek right"]
    assert [zone["set_um"] for zone in ran.lines[0]["zones"]] == [200, 400]


def test_elsewhere_they_have_numbers(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    prepare(bench, armed=False, known=False)
    ran = Run(capsys, "monitor", "--port", bench.where, "--for", "0.3", "--json")
    assert [zone["zone"] for zone in ran.lines[0]["zones"]] == ["zone 0", "zone 1"]
    assert [zone["left"] for zone in ran.lines[0]["zones"]] == [5000, 100]


def test_it_keeps_the_lease_and_tells_line_by_line(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    prepare(bench, armed=True)

    def hands() -> None:
        # Longer than the pen waits for a host that is silent.
        bench.operator.do("wait", 6000)
        assert bench.state == wire.ARMED
        bench.press()
        bench.operator.do("wait", 1000)
        bench.operator.do("release")

    with meanwhile(hands):
        ran = Run(capsys, "monitor", "--port", bench.where, "--until", "Paused")
    assert (ran.exit, ran.err) == (0, "")
    lines = [" ".join(line.split()) for line in ran.text.splitlines()]
    assert lines[0] == "Keys: Ctrl-C: stop."
    assert "ARMED periorbital left 0.20 mm set, 0.40 mm limit 0 of 5,000 strokes made, 5,000 left" in lines[1]
    assert any("RUNNING periorbital left" in line for line in lines)
    assert bench.operator.needle().violations == ()


def test_its_events_are_the_pens_words(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    prepare(bench, armed=True)

    def hands() -> None:
        bench.press()
        bench.operator.do("wait", 500)
        bench.operator.do("release")

    with meanwhile(hands):
        ran = Run(capsys, "monitor", "--port", bench.where, "--until", "paused", "--json")
    telemetry = [line for line in ran.lines if line["event"] == "telemetry"]
    assert {line["state"] for line in telemetry} <= {"ARMED", "RUNNING", "PAUSED"}
    last = telemetry[-1]
    assert (last["zone"], last["depth_um"], last["limit_um"], last["rate_per_s"]) == (0, 200, 400, 20)
    assert last["made"] + last["left"] == 5000
    states = [(line["state"], line["code"], line["name"]) for line in ran.lines if line["event"] == "state"]
    assert states[-2:] == [("RUNNING", 0, None), ("PAUSED", 0, None)]


def test_it_ends_when_the_session_is_sealed(capsys: pytest.CaptureFixture[str]) -> None:
    with served("tcp") as bench:
        prepare(bench, armed=True, long=False)
        terminal = Terminal("monitor", "--port", bench.where)
        with terminal:
            terminal.shows("ARMED periorbital left")
            bench.press()
            terminal.shows("PAUSED periorbital left")
            terminal.press("n")
            terminal.shows("NEXT ZONE: cheek right, 0.40 mm.")
            bench.press()
            assert terminal.exit_code() == 0
            assert "SAFE" in terminal.text
        assert bench.operator.needle().total.crossings == 100


def test_a_state_that_is_not_reached(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    ran = Run(capsys, "monitor", "--port", bench.where, "--for", "0.3", "--until", "armed", "--json")
    assert ran.exit == 1
    assert ran.result["error"]["message"] == "The pen did not get to ARMED in time; it is SAFE."


def test_a_state_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    ran = Run(capsys, "monitor", "--until", "asleep", "--json")
    assert (ran.exit, ran.result["error"]["field"]) == (2, "--until")
    assert "paused" in ran.result["error"]["hint"]


# --- how it ends badly ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("json_lines", [False, True])
def test_a_fault_ends_it_where_nobody_looks(
    capsys: pytest.CaptureFixture[str], bench: Served, json_lines: bool
) -> None:
    prepare(bench, armed=True)
    options = ["--json"] if json_lines else []
    with meanwhile(lambda: (bench.operator.do("wait", 500), bench.operator.do("stop_button", down=True))):
        ran = Run(capsys, "monitor", "--port", bench.where, *options)
    assert ran.exit == 1
    if json_lines:
        assert ran.result["error"]["code"] == faults.STOP_BUTTON
        assert any(line["event"] == "fault" and line["name"] == "STOP_BUTTON" for line in ran.lines)
    else:
        assert "FAULT" in ran.out
        assert "STOP_BUTTON 511" in ran.err


def test_a_fault_may_be_what_is_waited_for(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    bench.operator.do("stop_button", down=True)
    assert Run(capsys, "monitor", "--port", bench.where, "--until", "fault").exit == 0


def test_a_fault_stays_on_the_screen_until_somebody_leaves(bench: Served) -> None:
    prepare(bench, armed=True)
    with Terminal("monitor", "--port", bench.where) as terminal:
        terminal.shows("ARMED periorbital left")
        terminal.press("q")
        terminal.shows("The driver is on: stop the pen, or finish the session.")
        terminal.press(" ")
        terminal.shows("To do: When the cause is gone, `clear` the fault")
        assert bench.state == wire.FAULT
        assert terminal.process.poll() is None
        terminal.press("q")
        assert terminal.exit_code() == 1
        assert "OPERATOR_STOP 510" in terminal.text


@pytest.mark.parametrize("state", [wire.SAFE, wire.LOADED, wire.ARMED, wire.RUNNING])
def test_ctrl_c_stops_first_in_every_state(bench: Served, state: int) -> None:
    if state != wire.SAFE:
        prepare(bench, armed=state != wire.LOADED)
    with Terminal("monitor", "--port", bench.where) as terminal:
        terminal.shows(wire.STATE_NAMES[min(state, wire.ARMED)])
        if state == wire.RUNNING:
            bench.press()
            terminal.shows("RUNNING")
        terminal.press("\x03")
        assert terminal.exit_code() == 1
        assert "OPERATOR_STOP 510" in terminal.text
    assert bench.state == wire.FAULT
    assert bench.world.runner.fault_code == faults.OPERATOR_STOP
    needle = bench.operator.needle()
    assert not needle.driver_on
    assert needle.violations == ()


def test_many_signals_at_once_stop_as_one(bench: Served) -> None:
    prepare(bench, armed=True)
    with Terminal("monitor", "--port", bench.where) as terminal:
        terminal.shows("ARMED periorbital left")
        for _ in range(5):
            terminal.process.send_signal(signal.SIGINT)
        assert terminal.exit_code() == 1
        assert "Traceback" not in terminal.text
    assert bench.state == wire.FAULT
    assert bench.world.runner.fault_code == faults.OPERATOR_STOP


def test_a_pulled_cable_ends_it(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    prepare(bench, armed=True)
    with meanwhile(lambda: (bench.operator.do("wait", 500), bench.operator.do("usb", plugged=False))):
        ran = Run(capsys, "monitor", "--port", bench.where, "--json")
    assert ran.exit == 3
    message = ran.result["error"]["message"]
    assert "The pen was ARMED when last heard of. Hearing nothing, it" in message
    until(lambda: bench.state == wire.LOADED, 20)


def test_a_reset_pen_ends_it(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    prepare(bench, armed=True)
    with meanwhile(lambda: (bench.operator.do("wait", 500), bench.operator.do("reset"))):
        ran = Run(capsys, "monitor", "--port", bench.where, "--json")
    assert ran.exit in (1, 3)
    assert ran.result["error"]["name"] in ("PEN_RESTARTED", "PEN_SILENT")


def test_the_end_of_a_lease_is_told(capsys: pytest.CaptureFixture[str], bench: Served) -> None:
    prepare(bench, armed=True)
    with Terminal("monitor", "--port", bench.where) as terminal:
        terminal.shows("ARMED periorbital left")
        terminal.process.send_signal(signal.SIGSTOP)
        until(lambda: bench.state == wire.LOADED, 30)
        terminal.forget()
        terminal.process.send_signal(signal.SIGCONT)
        terminal.shows("LOADED session loaded")
        terminal.shows("none needed, the driver is off")
        terminal.press("q")
        assert terminal.exit_code() == 0
