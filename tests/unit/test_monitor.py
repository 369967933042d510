"""The stop on its way past everything else, the keys, and the loop that `monitor` and `run` share."""

import os
import pty
import signal
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from pencore import faults, wire
from pinprick.cli import keys_pressed
from pinprick.cli.following import Follower, Notes
from pinprick.cli.keys_pressed import following_keys, keys_of
from pinprick.cli.live import SessionView, ZoneView
from pinprick.cli.output import Output
from pinprick.cli.stopping import UNCONFIRMED, Stopper, stopping_on_signals
from pinprick.device import Pen, StateChange, Status
from pinprick.errors import PinprickError
from tests.support.served import LONG_ZONES, Served, Tampered, load, served, small, until

STOP = b"\x18"


@pytest.fixture(autouse=True)
def nobody_ends_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Output that no `reporting` ends would end this process."""
    monkeypatch.setattr(Output, "end_within", lambda *_: None)


class Stalled(Tampered):
    """A way to a pen whose words don't arrive from `stall` on, until a stop byte was sent; never, when `deaf`."""

    def __init__(self, served_pen: Served) -> None:
        super().__init__(served_pen.connect())
        self.stopped = threading.Event()
        self.asked = threading.Event()
        self.deaf = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._kept = b""
        self.on_read = self._hold
        self.on_write = self._watch

    def stall(self) -> None:
        self._flowing.clear()

    def _hold(self, data: bytes) -> bytes:
        self._kept += data
        if self.deaf or (not self._flowing.is_set() and not self.stopped.is_set()):
            return b""
        kept, self._kept = self._kept, b""
        return kept

    def _watch(self, data: bytes) -> bytes:
        if data == STOP:
            self.stopped.set()
        elif not self._flowing.is_set():
            self.asked.set()
        return data


@contextmanager
def running() -> Iterator[tuple[Served, Stalled, Pen]]:
    """Give a pen in the middle of a long zone."""
    with served(speed=1.0) as bench:
        way = Stalled(bench)
        with Pen(way) as pen:
            load(pen, small(LONG_ZONES))
            pen.arm()
            bench.press()
            until(lambda: pen.state == wire.RUNNING)
            yield bench, way, pen


def told(stopper_errors: list[tuple[bool, PinprickError | None]], pen: Pen) -> Stopper:
    return Stopper(pen, lambda by_signal, error: stopper_errors.append((by_signal, error)))


# --- the stop ---------------------------------------------------------------------------------------------------------
def test_a_stop_does_not_wait_for_a_request_in_flight() -> None:
    results: list[tuple[bool, PinprickError | None]] = []
    with running() as (bench, way, pen):
        stopper = told(results, pen)
        way.stall()

        def press() -> None:
            way.asked.wait(10)
            stopper.stop()

        key = threading.Thread(target=press)
        key.start()
        # Answered only because the stop went out meanwhile: nothing else lets the answer through.
        assert pen.status().state in (wire.RUNNING, wire.FAULT)
        key.join(10)
        assert way.stopped.is_set()
        until(lambda: bool(results))
        assert results == [(False, None)]
        until(lambda: bench.state == wire.FAULT)


def test_a_signal_does_not_wait_for_the_main_thread() -> None:
    results: list[tuple[bool, PinprickError | None]] = []
    with running() as (bench, way, pen):
        with stopping_on_signals(told(results, pen)):
            way.stall()

            def kill() -> None:
                way.asked.wait(10)
                os.kill(os.getpid(), signal.SIGINT)

            sender = threading.Thread(target=kill)
            sender.start()
            assert pen.status().state in (wire.RUNNING, wire.FAULT)
            sender.join(10)
        assert results == [(True, None)]
        assert bench.state == wire.FAULT


def test_the_signals_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with running() as (_, _, pen), stopping_on_signals(told([], pen)):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    results: list[tuple[bool, PinprickError | None]] = []
    try:
        with running() as (bench, _, pen), stopping_on_signals(told(results, pen)):
            os.kill(os.getpid(), signal.SIGHUP)
            bench.operator.do("wait", 100)
            assert bench.state == wire.RUNNING
    finally:
        signal.signal(signal.SIGHUP, before)
    assert results == []


def test_a_second_signal_ends_what_is_waited_for_and_the_stop_was_sent() -> None:
    results: list[tuple[bool, PinprickError | None]] = []
    with running() as (bench, way, pen):
        waiting = threading.Event()
        turns = 0

        def twice() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            way.stopped.wait(10)
            # Two signals that the main thread has not come to yet are one: it has to have had its turn.
            seen = turns
            until(lambda: turns > seen + 2)
            os.kill(os.getpid(), signal.SIGINT)

        sender = threading.Thread(target=twice)

        def wait() -> None:
            with stopping_on_signals(told(results, pen)):
                nonlocal turns
                sender.start()
                while turns < 2000:
                    waiting.wait(0.01)
                    turns += 1

        with pytest.raises(KeyboardInterrupt):
            wait()
        sender.join(10)
        assert way.sent.count(STOP) >= 1
        assert results[0] == (True, None)
        assert bench.state == wire.FAULT


def test_a_stop_that_nobody_confirms_says_so() -> None:
    results: list[tuple[bool, PinprickError | None]] = []
    with running() as (_, way, pen):
        way.deaf = True
        stopper = told(results, pen)
        stopper.stop()
        until(stopper.ended.is_set)
        until(lambda: bool(results))
        (only,) = results
        assert only[1] is not None
        assert only[1].name == "PEN_SILENT"
        assert STOP in way.sent


def test_every_press_sends_a_stop_though_an_earlier_one_is_unconfirmed() -> None:
    results: list[tuple[bool, PinprickError | None]] = []
    with running() as (bench, way, pen):
        way.on_write = lambda data: None if data == STOP and way.sent.count(STOP) == 1 else data
        way.deaf = True
        stopper = told(results, pen)
        begin = time.monotonic()
        stopper.stop()
        stopper.stop()
        stopper.stop(by_signal=True)
        assert time.monotonic() - begin < 1.0
        assert way.sent.count(STOP) == 3
        until(lambda: bench.state == wire.FAULT)
        assert not stopper.ended.is_set()
        way.deaf = False
        until(lambda: bool(results), 20)
        assert results == [(True, None)]


# --- the loop ---------------------------------------------------------------------------------------------------------
class Blocking(StringIO):
    """A terminal that takes nothing any more, from `block` on."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.held = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self.free.is_set():
            self.held.set()
            self.free.wait(30)
        return super().write(text)


def follower(pen: Pen, terminal: StringIO | None = None, json_lines: bool = False) -> tuple[Follower, SessionView]:
    out = Output(json_lines)
    if terminal is not None:
        out.console = Console(file=terminal, force_terminal=True, width=80, height=30)
    view = SessionView("Long", "SIM-0001", [ZoneView(f"zone {at}", 200, 400, 500, 5000, left=5000) for at in range(2)])
    return Follower(out, pen, view, lambda: "Go on like this."), view


def test_a_terminal_that_takes_nothing_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Blocking()
    with running() as (bench, _, pen):
        following, _ = follower(pen, terminal)

        def stop() -> None:
            terminal.free.clear()
            terminal.held.wait(10)
            os.kill(os.getpid(), signal.SIGINT)
            until(lambda: bench.state == wire.FAULT)
            stopped.set()
            terminal.free.set()

        stopped = threading.Event()
        sender = threading.Thread(target=stop)

        def follow() -> None:
            with following.attached():
                sender.start()
                following.follow(lambda: False)

        with pytest.raises(PinprickError) as caught:
            follow()
        sender.join(10)
        assert terminal.held.is_set()
        assert stopped.is_set()
        assert (caught.value.code, caught.value.hint) == (faults.OPERATOR_STOP, "Go on like this.")


@pytest.mark.parametrize("deaf", [False, True])
def test_two_quick_signals_tell_what_became_of_the_stop(deaf: bool) -> None:
    with running() as (bench, way, pen):
        following, _ = follower(pen)

        def twice() -> None:
            way.deaf = deaf
            os.kill(os.getpid(), signal.SIGINT)
            way.stopped.wait(10)
            while not ended.wait(0.02):
                os.kill(os.getpid(), signal.SIGINT)

        ended = threading.Event()
        sender = threading.Thread(target=twice)

        def follow() -> None:
            with following.attached():
                sender.start()
                until(ended.is_set, 60)

        # Signals that come after the end of `attached` are the test's own affair.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            with pytest.raises(PinprickError) as caught:
                follow()
        finally:
            ended.set()
            sender.join(10)
            signal.signal(signal.SIGINT, before)
        assert bench.state == wire.FAULT
        told_of = (caught.value.name, caught.value.hint)
        assert told_of == (("PEN_SILENT", UNCONFIRMED) if deaf else ("OPERATOR_STOP", "Go on like this."))


def test_following_ends_where_the_pen_is_lost() -> None:
    with running() as (bench, _, pen):
        following, view = follower(pen)

        def pull() -> None:
            until(lambda: bool(following.reached))
            bench.operator.do("usb", plugged=False)

        hands = threading.Thread(target=pull)
        hands.start()
        with pytest.raises(PinprickError) as caught, following.attached():
            following.follow(lambda: False)
        hands.join(10)
        assert caught.value.exit_code == 3
        assert "The pen was RUNNING when last heard of." in caught.value.message
        assert view.lost


@pytest.mark.parametrize(
    ("at", "left", "wanted"),
    [(0, (0, 5, 5), 1), (1, (5, 0, 5), 2), (2, (5, 5, 0), 0), (1, (0, 5, 0), None), (None, (5, 5, 5), 0)],
)
def test_the_next_zone_is_the_next_with_strokes_left(
    at: int | None, left: tuple[int, ...], wanted: int | None, pen: Pen
) -> None:
    following, view = follower(pen)
    view.told(Status(wire.PAUSED, 0, 1, False, at, 0, 0, 0, (0,) * 3, (0,) * 3, left))
    assert following.next_zone() == wanted


def test_a_zone_that_was_chosen_forgets_why_the_last_one_ended(pen: Pen, monkeypatch: pytest.MonkeyPatch) -> None:
    following, _ = follower(pen)
    following.why = faults.ZONE_SPENT
    monkeypatch.setattr(Pen, "zone_select", lambda *_: None)
    following.select(1)
    assert following.why == 0


# --- what is said beside the picture ----------------------------------------------------------------------------------
@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds on the clock by which notes pass."""
    now = [100.0]
    monkeypatch.setattr("pinprick.cli.following.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_what_is_said_holds_until_the_pen_leaves_its_state(clock: list[float]) -> None:
    notes = Notes()
    notes.heard(wire.ARMED)
    notes.stand("Press.", wire.ARMED)
    clock[0] += 3600
    notes.heard(wire.ARMED)
    assert notes.text() == "Press."
    notes.heard(wire.RUNNING)
    assert notes.text() == ""
    notes.heard(wire.ARMED)
    assert notes.text() == ""


def test_the_answer_to_a_key_passes_and_what_stood_before_is_said_again(clock: list[float]) -> None:
    notes = Notes()
    notes.stand("Press.", wire.ARMED)
    notes.pass_by("Press f once more.", 4.0)
    clock[0] += 3.9
    assert notes.text() == "Press f once more."
    clock[0] += 0.2
    assert notes.text() == "Press."
    notes.pass_by("There is nothing to pause.", 4.0)
    notes.heard(wire.RUNNING)
    assert notes.text() == ""
    notes.pass_by("Let go of the trigger.", 4.0)
    notes.stand("This zone is spent.", wire.PAUSED)
    assert notes.text() == "This zone is spent."


def test_a_stop_that_nobody_confirms_is_said_until_the_pen_has_stopped(clock: list[float]) -> None:
    notes = Notes()
    notes.alarm = "Lift the pen off the skin."
    notes.stand("Next zone.", wire.ARMED)
    assert notes.text() == "Lift the pen off the skin."
    notes.pass_by("There is nothing to pause.", 4.0)
    assert notes.text() == "Lift the pen off the skin."
    for state in (wire.RUNNING, wire.PAUSED, wire.LOADED):
        notes.heard(state)
        clock[0] += 60
        assert notes.text() == "Lift the pen off the skin."
    notes.heard(wire.FAULT)
    assert notes.text() == ""


def test_notes_leave_the_picture_when_they_hold_no_more(pen: Pen, clock: list[float]) -> None:
    following, view = follower(pen)
    following.ask()
    following.say("The pen is armed.")
    following._press("p")
    assert view.note.startswith("There is nothing to pause")
    clock[0] += 10
    following._take(0)
    assert view.note == "The pen is armed."
    following._take_in(StateChange(wire.HOMING, 0, 0))  # from before it was said
    following._take(0)
    assert view.note == "The pen is armed."
    following._hear(StateChange(wire.ARMED, 0, 0))
    following._take(0)
    assert view.note == ""


# --- keys -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sent", "keys"),
    [("S", "s"), ("\x1b[A\x1b[1;5Cn", "n"), ("\x1bOS", ""), ("\x1bOPp", "p"), (" ", " "), ("sss", "sss"), ("", "")],
)
def test_arrows_and_function_keys_are_no_keys(sent: str, keys: str) -> None:
    assert keys_of(sent) == keys


def test_keys_come_one_by_one_and_the_terminal_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    pressed: list[str] = []
    with open(slave, closefd=False) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(keys_pressed, "available", lambda: True)
        before = termios.tcgetattr(slave)
        with following_keys(pressed.append):
            during = termios.tcgetattr(slave)
            assert not during[3] & (termios.ECHO | termios.ICANON)
            assert during[3] & termios.ISIG
            assert not during[0] & termios.IXON
            assert during[6][termios.VSUSP] == b"\x00"
            os.write(master, b"pN \x1b[A?")
            until(lambda: pressed == ["p", "n", " ", "?"])
        assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_without_a_terminal_no_keys_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("s"))
    assert not keys_pressed.available()
    monkeypatch.setattr(sys, "stdin", None)
    assert not keys_pressed.available()
    with following_keys(pytest.fail):
        pass
