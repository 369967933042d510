"""Which pens there are, and which one is meant: never a guess between two, never a word to a port that is no pen's."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from pinprick import discovery, errors, link
from pinprick.candidates import hurried_candidates
from pinprick.discovery import SIM, USB, Candidate, candidates, find, look, others
from pinprick.errors import InputError, NoDevice
from pinprick.simulated import registering
from tests.support.served import Served, served, until
from tests.support.strangers import control_channel, stranger, usb_port


class Ports:
    """The ports that this computer has, as far as the tool can see."""

    def __init__(self) -> None:
        self.listed: list[SimpleNamespace] = []

    def plug(self, device: str, vid: int | None = 0x2E8A, pid: int | None = 0x0005) -> None:
        self.listed.append(usb_port(device, vid, pid))


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ports:
    """Return an empty computer."""
    found = Ports()
    monkeypatch.setattr(list_ports, "comports", lambda: found.listed)
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(link, "HELLO_S", 0.5)
    monkeypatch.setattr(link, "HELLO_REPEAT_S", 0.2)
    return found


@contextmanager
def usb(ports: Ports, serial: str) -> Iterator[Served]:
    """Plug in a pen with this serial number."""
    with served("pty", serial=serial) as bench:
        ports.plug(bench.where)
        yield bench


@contextmanager
def simulated(serial: str) -> Iterator[Served]:
    """Run a registered simulated pen with this serial number."""
    with (
        served("tcp", serial=serial) as bench,
        control_channel(serial, bench.where) as pen,
        registering(pen),
    ):
        yield bench


def no_pen(port: str | None = None, serial_number: str | None = None) -> NoDevice:
    with pytest.raises(NoDevice) as caught:
        find(port, serial_number)
    assert caught.value.exit_code == 3
    return caught.value


# --- candidates ------------------------------------------------------------------------------------------------------
def test_candidates_are_micropython_boards_and_registered_pens(ports: Ports) -> None:
    ports.plug("/dev/ttyACM1")
    ports.plug("/dev/ttyACM0")
    for vid, pid in ((None, None), (0x2E8A, 0x000C), (0x2E8A, 0x0004), (0x2E8A, 0x0003), (0x2341, 0x0005)):
        ports.plug(f"/dev/tty{vid}-{pid}", vid, pid)
    with simulated("SIM-0007") as bench:
        assert candidates() == [
            Candidate("/dev/ttyACM0", USB, "", "Board in FS mode"),
            Candidate("/dev/ttyACM1", USB, "", "Board in FS mode"),
            Candidate(bench.where, SIM, "SIM-0007", "simulated pen"),
        ]
    assert len(others()) == 5


def test_no_other_port_is_ever_written_to(ports: Ports) -> None:
    with stranger("echo") as modem, stranger("echo") as probe:
        ports.plug(modem.port, None, None)
        ports.plug(probe.port, 0x2E8A, 0x000C)
        assert no_pen().code == errors.NO_DEVICE
        assert no_pen(serial_number="SIM-0001").code == errors.NO_DEVICE
        assert look(candidates()) == []
        time.sleep(0.1)
        assert modem.heard == probe.heard == b""


# --- which one -------------------------------------------------------------------------------------------------------
def test_no_pen(ports: Ports) -> None:
    assert no_pen().code == errors.NO_DEVICE
    error = no_pen(serial_number="SIM-0001")
    assert (error.code, error.given) == (errors.NO_DEVICE, "SIM-0001")
    assert "SIM-0001" in error.message


def test_the_only_pen_is_meant(ports: Ports) -> None:
    with usb(ports, "PEN-1") as bench, find() as pen:
        assert (pen.info.serial, pen.port) == ("PEN-1", bench.where)
    ports.listed.clear()
    with simulated("SIM-0007"), find() as pen:
        assert pen.info.serial == "SIM-0007"


def test_between_two_nobody_chooses(ports: Ports) -> None:
    with usb(ports, "PEN-1") as one, simulated("SIM-0007") as two:
        error = no_pen()
        assert error.code == errors.SEVERAL_PENS
        assert error.message == f"2 pens are connected: PEN-1 on {one.where}, SIM-0007 on {two.where}."
        for serial in ("PEN-1", "SIM-0007"):
            with find(serial_number=serial) as pen:  # and both were let go of
                assert pen.info.serial == serial
        with find(two.where) as pen:
            assert pen.info.serial == "SIM-0007"
        assert no_pen(serial_number="SIM-0001").code == errors.NO_DEVICE


def test_a_serial_number_in_another_case_is_no_pen_and_is_told_of(ports: Ports) -> None:
    with usb(ports, "PEN-1") as one, simulated("SIM-0007") as two:
        there = f" There is PEN-1 on {one.where}, SIM-0007 on {two.where}."
        for given, hint in (
            ("pen-1", "Upper and lower case count: PEN-1."),
            ("Sim-0007", "Upper and lower case count: SIM-0007."),
            ("PEN-11", ""),
        ):
            error = no_pen(serial_number=given)
            assert (error.code, error.given, error.hint) == (errors.NO_DEVICE, given, hint)
            assert error.message.endswith(there)
            with pytest.raises(NoDevice) as caught:
                discovery.first(candidates(), given)
            assert (caught.value.message, caught.value.hint) == (error.message, hint)


def test_port_and_serial_number_must_agree(ports: Ports) -> None:
    with usb(ports, "PEN-1") as bench:
        with find(bench.where, "PEN-1") as pen:
            assert pen.info.serial == "PEN-1"
        error = no_pen(bench.where, "PEN-2")
        assert (error.code, error.given) == (errors.WRONG_PEN, "PEN-2")
        assert "PEN-1" in error.message
        with find(bench.where):  # it was let go of
            pass


def test_the_first_that_answers_to_its_name_is_not_kept_waiting_by_the_others(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "HELLO_S", 20.0)
    with stranger("silence") as silent, usb(ports, "PEN-1") as bench:
        begin = time.monotonic()
        with discovery.first([Candidate(silent.port, USB), Candidate(bench.where, USB)], "PEN-1") as pen:
            assert pen.info.serial == "PEN-1"
        assert time.monotonic() - begin < 10.0
    # The other thread ends with its port.
    until(lambda: not any(thread.name == f"asking {silent.port}" for thread in threading.enumerate()), 30)


def test_of_many_the_named_one_is_none(ports: Ports) -> None:
    with stranger("silence") as silent, usb(ports, "PEN-1") as bench:
        found = [Candidate(silent.port, USB), Candidate(bench.where, USB)]
        with pytest.raises(NoDevice) as caught:
            discovery.first(found, "PEN-2")
        assert (caught.value.code, caught.value.given) == (errors.NO_DEVICE, "PEN-2")
        assert silent.port in caught.value.message
        with find(bench.where):  # it was let go of
            pass


@pytest.mark.parametrize("kind", ["repl", "marlin"])
def test_a_board_that_runs_something_else_is_no_second_pen(ports: Ports, kind: str) -> None:
    with stranger(kind) as other, usb(ports, "PEN-1"):
        ports.plug(other.port)
        with find() as pen:
            assert pen.info.serial == "PEN-1"


def test_a_pen_that_cannot_be_asked_may_be_the_one(ports: Ports) -> None:
    """Held by another program, or silent: it counts when it is asked whether there is only one."""
    with usb(ports, "PEN-1") as held, usb(ports, "PEN-2"), find(held.where):
        error = no_pen()
        assert error.code == errors.SEVERAL_PENS
        assert f"unknown on {held.where}" in error.message
        with find(serial_number="PEN-2") as pen:
            assert pen.info.serial == "PEN-2"
        error = no_pen(serial_number="PEN-1")
        assert error.code == errors.NO_DEVICE
        assert held.where in error.message
    with stranger("silence") as silent, usb(ports, "PEN-3"):
        ports.listed[:] = [usb_port(silent.port), ports.listed[-1]]
        assert no_pen().code == errors.SEVERAL_PENS


@pytest.mark.parametrize("serial", [None, "SIM-0007"])
def test_why_the_only_one_cannot_be_had_is_said(ports: Ports, serial: str | None) -> None:
    with simulated("SIM-0007") as bench, find(bench.where):
        assert no_pen(serial_number=serial).code == errors.PORT_IN_USE


def test_of_a_simulated_pen_the_name_is_known_beforehand(ports: Ports) -> None:
    with stranger("echo") as other, control_channel("SIM-0008", other.port) as listed, registering(listed):
        with simulated("SIM-0007"), find(serial_number="SIM-0007") as pen:
            assert pen.info.serial == "SIM-0007"
        assert other.heard == b""


# --- a look at all ---------------------------------------------------------------------------------------------------
def test_all_are_asked_at_once_and_each_says_why_not(ports: Ports) -> None:
    with ExitStack() as stack:
        strangers = [stack.enter_context(stranger("silence")) for _ in range(6)]
        strange = stack.enter_context(stranger("marlin"))
        held = stack.enter_context(usb(ports, "PEN-1"))
        free = stack.enter_context(usb(ports, "PEN-2"))
        stack.enter_context(find(held.where))
        begin = time.monotonic()
        found = look([Candidate(port, USB) for port in (*(s.port for s in strangers), strange.port, held.where)])
        assert time.monotonic() - begin < 6 * link.HELLO_S
        codes = [told.error.code if told.error else None for told in found]
        assert codes == [errors.PEN_SILENT] * 6 + [errors.NOT_A_PEN, errors.PORT_IN_USE]
        (told,) = look([Candidate(free.where, USB)])
        assert told.error is None
        assert told.info is not None
        assert (told.candidate.serial, told.info.serial) == ("PEN-2", "PEN-2")


def test_nothing_to_look_at() -> None:
    assert look([]) == []
    assert discovery.several([Candidate("p", USB)]).code == errors.SEVERAL_PENS


# --- a computer on which it can't be seen who runs --------------------------------------------------------------------
def test_what_hides_simulated_pens_is_said_unless_a_real_one_is_there(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "pens").write_text("no folder")
    for looked in (candidates, find, lambda: hurried_candidates(busy=False)):
        with pytest.raises(InputError) as caught:
            looked()
        assert caught.value.code == errors.FILE_UNREADABLE
    with usb(ports, "PEN-1") as bench:
        assert [found.port for found in candidates()] == [bench.where]
        assert len(hurried_candidates(busy=True)) == 1
        find().close()
        find(serial_number="PEN-1").close()
        with pytest.raises(InputError) as caught:
            find(serial_number="SIM-0001")
        assert caught.value.code == errors.FILE_UNREADABLE
