"""The virtual pen as a device: every kind of port, hosts that come, go, dawdle and die, the two clocks, the hands."""

import itertools
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pencore import faults, wire
from pensim import hands, serve
from pensim.ends import End, PipeEnd, PtyEnd, SocketEnd, TcpEnd, best_end
from pensim.world import World
from pinprick import errors, link
from pinprick.device import Pen, Telemetry, Update
from pinprick.errors import NoDevice, PinprickError
from pinprick.transport import SerialTransport, Transport
from tests.support.profiles import CHEEK, PERIORBITAL
from tests.support.served import ENDS, LONG_ZONES, Served, load, served, small, until

FAST_GRACE_S = 0.4
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=sorted(ENDS))
def bench(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Return a pen at a pipe, at a pseudo-terminal, at a TCP port."""
    with served(request.param) as pen:
        yield pen


def strokes(bench: Served) -> int:
    return bench.operator.needle().total.crossings


def run_long_zone(bench: Served, pen: Pen) -> None:
    """Load a long session, arm it and press; return when strokes are being made."""
    load(pen, small(LONG_ZONES))
    pen.arm()
    bench.press()
    until(lambda: strokes(bench) > 20)


# --- ports -----------------------------------------------------------------------------------------------------------
def test_a_session_over_every_kind_of_port(bench: Served) -> None:
    with Pen(bench.connect()) as pen:
        load(pen, small(((PERIORBITAL, 1, 200, 60, 20),)))
        pen.arm()
        bench.press()
        assert pen.wait_for(wire.SAFE) == wire.SAFE
    needle = bench.operator.needle()
    assert (needle.total.begun, needle.total.strokes, needle.total.deepest_um) == (60, 60, 200)
    assert needle.violations == ()


def test_hosts_come_and_go(bench: Served) -> None:
    nonces = set()
    for _ in range(3):
        until(lambda: not bench.server.end.present)
        with Pen(bench.connect()) as pen:
            nonces.add(pen.info.nonce)
            until(lambda: bench.server.end.present)
    assert len(nonces) == 1  # the pen was never switched off


def test_a_host_hears_nothing_of_what_was_said_to_the_one_before(bench: Served) -> None:
    with Pen(bench.connect()) as pen:
        run_long_zone(bench, pen)
    until(lambda: bench.state == wire.LOADED)
    until(lambda: not bench.server.end.present)
    bench.operator.do("wait", 1000)
    transport = bench.connect()
    assert transport.read(0.2) == b""
    transport.close()


def test_a_pseudo_terminal_gives_no_echo_and_changes_no_byte() -> None:
    end = PtyEnd()
    # As `cat` opens it: a program that sets nothing.
    host = os.open(end.address, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    data = bytes(range(256))
    os.write(host, data)
    until(lambda: end.receive() == data)
    with pytest.raises(BlockingIOError):
        os.read(host, 1)
    assert end.send(data) == 256
    assert os.read(host, 1000) == data
    os.close(host)
    end.close()


def test_a_host_that_takes_no_more_is_given_no_more() -> None:
    ends: list[End] = [PtyEnd(), TcpEnd()]
    for end in ends:
        transport = SerialTransport(end.address)
        until(lambda here=end: here.receive() == b"" and here.present)  # type: ignore[misc]  # mypy knows no default
        sent = 0
        while taken := end.send(bytes(65_536)):
            sent += taken
        assert sent > 0
        assert end.present
        transport.close()
        end.close()


def test_a_second_host_is_turned_away_and_the_first_goes_on() -> None:
    with served("tcp") as bench, Pen(bench.connect()) as first:
        with pytest.raises(NoDevice) as caught:
            Pen(bench.connect())
        assert caught.value.code == errors.PORT_IN_USE
        assert first.status().state == wire.SAFE


def test_the_end_of_the_pen_is_a_lost_link() -> None:
    for kind in ENDS:
        bench = Served(ENDS[kind]())
        with Pen(bench.connect()) as pen:
            bench.stop()
            with pytest.raises(NoDevice) as caught:
                pen.status()
            assert caught.value.code == errors.LINK_LOST
            assert caught.value.exit_code == 3


def test_there_is_a_port_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for end, kind in ((best_end(), PtyEnd), (best_end(tcp=True), TcpEnd)):
        assert isinstance(end, kind)
        end.close()
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        end = best_end()
    assert isinstance(end, TcpEnd)
    assert end.address.startswith("socket://127.0.0.1:")
    assert end.receive() == b""
    assert end.send(b"x") == 0
    end.close()


def test_a_connection_that_breaks_is_noticed_while_sending() -> None:
    import socket

    ours, theirs = socket.socketpair()
    end = SocketEnd(ours)
    theirs.close()
    until(lambda: end.send(b"x") == 0)
    assert not end.present
    assert end.receive() == b""
    assert end.watched() == []


def test_a_new_host_at_a_pipe_closes_nothing_that_is_being_waited_for() -> None:
    """It connects from its own thread, while the one that serves waits for the host before."""
    end = PipeEnd()
    first = end.connect()
    waited_for = end.watched()
    with first, end.connect() as second:
        assert select.select(waited_for, [], [], 0)[0] == []
        assert end.present
        assert end.watched() != waited_for
        assert first.recv(1) == b"", "it was given up"
        second.send(b"x")
        assert select.select(end.watched(), [], [], 1)[0] == end.watched()
        assert end.receive() == b"x"
        end.plug(False)
        assert second.recv(1) == b""
    with end.connect() as third:
        assert end.watched() == []
        assert third.recv(1) == b"", "the cable is out"
    end.close()


# --- the lease -------------------------------------------------------------------------------------------------------
def never_pings(pen: Pen, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing keeps the pen's lease by itself."""
    monkeypatch.setattr(pen._link, "_ping_wait_s", lambda: 1000.0)


class PlainHost:
    """A host that pings by its own clock alone, as a simple program would, not by what the pen says of its time."""

    def __init__(self, pen: Pen, every_s: float) -> None:
        self._link = pen._link
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ping, daemon=True)
        self._thread.start()

    def _ping(self) -> None:
        while not self._ended.wait(self._every_s):
            self._link.request("ping")

    def end(self) -> None:
        self._ended.set()
        self._thread.join(5)


@pytest.mark.parametrize("every_s", [0.5, 1.2])
def test_a_live_host_never_loses_its_lease_however_fast_simulated_time_is(
    monkeypatch: pytest.MonkeyPatch, every_s: float
) -> None:
    with served() as bench, Pen(bench.connect()) as pen:
        load(pen, small(((PERIORBITAL, 1, 200, 80, 20), (CHEEK, 2, 400, 40, 20))))
        pen.arm()
        never_pings(pen, monkeypatch)
        host = PlainHost(pen, every_s)
        bench.press()
        until(lambda: strokes(bench) == 80, 20)
        assert bench.state == wire.PAUSED
        assert bench.operator.needle().violations == ()
        host.end()


def test_a_silent_host_loses_its_lease(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr(serve, "GRACE_S", FAST_GRACE_S)
    with Pen(bench.connect()) as pen:
        run_long_zone(bench, pen)
        begin = time.monotonic()
        never_pings(pen, monkeypatch)
        until(lambda: bench.state == wire.LOADED)
        assert time.monotonic() - begin > FAST_GRACE_S / 2
        made = strokes(bench)
        needle = bench.operator.needle()
        assert not needle.driver_on
        assert needle.violations == ()  # none begun more than 2 s after the last line
        bench.operator.do("wait", 10_000)
        assert strokes(bench) == made < 5000


def test_noise_is_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "GRACE_S", FAST_GRACE_S)
    with served() as bench, Pen(bench.connect()) as pen:
        run_long_zone(bench, pen)
        never_pings(pen, monkeypatch)
        deadline = time.monotonic() + 10
        while bench.state != wire.LOADED:
            assert time.monotonic() < deadline
            pen._link._transport.write(b"still here\n")
            time.sleep(0.02)
        assert not bench.operator.needle().driver_on


def test_a_host_that_closes_its_port_is_gone_at_once(bench: Served) -> None:
    pen = Pen(bench.connect())
    run_long_zone(bench, pen)
    pen.close()
    begin = time.monotonic()
    until(lambda: bench.state == wire.LOADED)
    assert time.monotonic() - begin < serve.GRACE_S
    needle = bench.operator.needle()
    assert not needle.driver_on
    assert needle.violations == ()


_HOST = """
import sys
from pinprick.device import Pen
from tests.support.served import LONG_ZONES, load, small
pen = Pen.open(sys.argv[1])
load(pen, small(LONG_ZONES))
pen.arm()
print("armed", flush=True)
for _ in pen.updates():
    pass
"""


@pytest.mark.parametrize("kind", ["pty", "tcp"])
def test_a_host_that_is_killed_in_the_middle_of_a_session(kind: str) -> None:
    with served(kind) as bench:
        host = subprocess.Popen([sys.executable, "-c", _HOST, bench.where], stdout=subprocess.PIPE, cwd=ROOT)
        assert host.stdout is not None
        assert host.stdout.readline() == b"armed\n"
        bench.press()
        until(lambda: strokes(bench) > 50)
        host.kill()
        host.wait()
        host.stdout.close()
        until(lambda: bench.state == wire.LOADED)
        needle = bench.operator.needle()
        assert not needle.driver_on
        assert needle.violations == ()
        bench.operator.do("release")
        with Pen(bench.connect()) as pen:
            status = pen.status()
            assert status.resumed == (status.made[0] < needle.total.crossings) or not status.resumed
            assert status.made[0] + status.forfeited[0] >= needle.total.crossings
            pen.arm()
            bench.press()
            before = needle.total.crossings
            until(lambda: strokes(bench) > before)


class Deaf:
    """A transport whose host stops reading when told to."""

    def __init__(self, under: Transport) -> None:
        self.name = under.name
        self.deaf = False
        self._under = under

    def read(self, timeout_s: float) -> bytes:
        if self.deaf:
            time.sleep(0.01)
            return b""
        return self._under.read(timeout_s)

    def write(self, data: bytes) -> None:
        self._under.write(data)

    def close(self) -> None:
        self._under.close()


def test_a_host_that_does_not_read_holds_up_nothing(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr(link, "REPEAT_S", 0.3)
    transport = Deaf(bench.connect())
    with Pen(transport) as pen:
        run_long_zone(bench, pen)
        transport.deaf = True
        time.sleep(0.3)
        before = strokes(bench)
        time.sleep(1.0)  # requests go unanswered and are sent again, so the pen hears the host
        assert strokes(bench) > before
        transport.deaf = False
        assert pen.status().made[0] > before
        heard: list[Update] = []
        pen.listen(heard.append)
        until(lambda: any(isinstance(update, Telemetry) for update in heard))
        assert bench.operator.needle().violations == ()


@pytest.mark.parametrize("speed", [None, 1.0])
def test_a_host_that_floods_the_pen_is_heard_no_faster_than_the_pen_can(speed: float | None) -> None:
    with served("pty", speed) as bench:
        transport = bench.connect()
        quiet = threading.Event()

        def flood() -> None:
            while not quiet.is_set():
                transport.write(b"x" * 4096)

        flooding = threading.Thread(target=flood, daemon=True)
        flooding.start()
        until(lambda: bench.world.cable.waiting() > 0)
        most = 0
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            most = max(most, bench.world.cable.waiting())
            time.sleep(0)
        quiet.set()
        flooding.join(5)
        assert most <= 8192
        transport.write(b"\n\x18")
        until(lambda: bench.state == wire.FAULT, 5)
        transport.close()
        until(lambda: not bench.server.end.present, 5)


# --- the two clocks --------------------------------------------------------------------------------------------------
def test_time_at_rest_goes_with_the_real_one() -> None:
    with served() as bench, Pen(bench.connect()):
        begin, begin_ms = time.monotonic(), bench.operator.now_ms()
        time.sleep(0.6)
        passed_ms = bench.operator.now_ms() - begin_ms
        real_ms = (time.monotonic() - begin) * 1000
        assert 400 <= passed_ms <= real_ms + 50


def test_time_at_rest_passes_however_often_the_pen_is_asked() -> None:
    with served(speed=50.0) as bench, Pen(bench.connect()) as pen:
        load(pen)
        pen.arm()
        begin, begin_ms = time.monotonic(), bench.operator.now_ms()
        while time.monotonic() < begin + 0.6:
            pen.status()  # each is a moment of work, and shorter than a millisecond
        assert bench.operator.now_ms() - begin_ms >= 300


def test_work_takes_no_time_unless_it_is_told_to() -> None:
    zones = ((PERIORBITAL, 1, 200, 1200, 20), (CHEEK, 2, 400, 40, 20))
    for speed, least_s, most_s in ((None, 0.0, 10.0), (60.0, 0.9, 10.0)):
        with served(speed=speed) as bench, Pen(bench.connect()) as pen:
            load(pen, small(zones))
            pen.arm()
            begin, begin_ms = time.monotonic(), bench.operator.now_ms()
            bench.press()
            until(lambda here=bench: strokes(here) == 1200, 30)  # type: ignore[misc]  # a default
            assert least_s <= time.monotonic() - begin <= most_s
            assert bench.operator.now_ms() - begin_ms >= 59_000


def test_strokes_in_real_time_take_their_time() -> None:
    with served(speed=1.0) as bench, Pen(bench.connect()) as pen:
        load(pen, small(LONG_ZONES))
        pen.arm()
        bench.press()
        until(lambda: strokes(bench) > 0)
        before, begin = strokes(bench), time.monotonic()
        until(lambda: strokes(bench) >= before + 12)
        made, took_s = strokes(bench) - before, time.monotonic() - begin
        assert made <= 20 * took_s + 3


# --- hands -----------------------------------------------------------------------------------------------------------
def test_commands_are_carried_out_in_order_at_their_times(bench: Served) -> None:
    # Held up by the first, so that all have come before any is due.
    delays = [600_000, 500, 0, 100, 1, 60_000]
    for delay_ms in delays:
        bench.send({"do": "release", "after_ms": delay_ms})
    at = []
    for _ in delays:
        answer = bench.answer()
        assert (answer["event"], answer["do"]) == ("done", "release")
        at.append(answer["at_ms"])
    assert at[0] >= delays[0]
    assert [after - before for before, after in itertools.pairwise(at)] == delays[1:]


@pytest.mark.parametrize(
    "command",
    [{}, {"do": ["press"]}, {"do": float("nan")}, {"do": "cartridge"}, {"do": "quit", "now": 1, "after_ms": 600_000}],
)
def test_a_command_that_is_none_is_refused_at_once_and_the_next_is_carried_out(command: dict[str, Any]) -> None:
    with served() as bench:
        bench.send(command)
        answer = bench.answer()
        name = command.get("do")
        assert (answer["event"], answer["do"]) == ("refused", name if isinstance(name, str) else None)
        assert answer["problem"]
        with pytest.raises(PinprickError):
            bench.operator.do("jump")
        assert bench.operator.do("release")["event"] == "done"
        assert bench.operator.now_ms() < 600_000  # nobody waited for it


def test_answers_come_in_the_order_of_the_commands_and_none_after_quit() -> None:
    answers: list[hands.Answer] = []
    server = serve.PenServer(_world(), TcpEnd(), answers.append)
    server.submit({"do": "wait", "after_ms": 600_000})
    server.submit(hands.BadCommand("gibberish"))
    server.submit({"do": "press", "after_ms": "x"})
    server.submit({"do": "oracle"})
    server.submit({"do": "quit", "after_ms": 1000})
    server.submit({"do": "release"})
    server.run()
    assert [(answer["event"], answer["do"]) for answer in answers] == [
        ("done", "wait"),
        ("refused", None),
        ("refused", "press"),
        ("done", "oracle"),
    ]
    assert answers[1]["problem"] == "gibberish"
    assert answers[3]["at_ms"] == answers[0]["at_ms"]


def _world() -> World:
    world = World()
    world.power_on()
    return world


def test_the_stop_button_and_the_cartridge_do_what_they_do(bench: Served) -> None:
    with Pen(bench.connect()) as pen:
        run_long_zone(bench, pen)
        bench.operator.do("stop_button", down=True)
        until(lambda: bench.state == wire.FAULT)
        assert pen.status().fault == faults.STOP_BUTTON
        assert not bench.operator.needle().driver_on
        bench.operator.do("stop_button", down=False)
        bench.operator.do("release")
        until(lambda: not pen.status().inputs & 2)
        pen.clear()
        pen.arm()
        bench.operator.do("cartridge", closed=False)
        until(lambda: bench.state == wire.FAULT)
        assert pen.status().fault == faults.CARTRIDGE_OPENED


def test_without_power_nothing_answers_and_nothing_is_kept_for_later(
    monkeypatch: pytest.MonkeyPatch, bench: Served
) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.2)
    with Pen(bench.connect()) as pen:
        bench.operator.do("power_cut")
        with pytest.raises(NoDevice):
            pen.status()
        bench.operator.begin("power_cut")
        bench.operator.do("power_on")
        bench.operator.do("power_on")
        bench.operator.do("wait", 100)
        assert pen.hello().state == wire.SAFE


# --- the supply ------------------------------------------------------------------------------------------------------
def test_a_power_cut_of_half_a_second_under_a_host_that_stays(bench: Served) -> None:
    with Pen(bench.connect()) as pen:
        run_long_zone(bench, pen)
        bench.operator.begin("power_cut", for_ms=500)
        bench.operator.begin("release")
        bench.operator.do("wait", 700)
        assert bench.world.powered
        needle = bench.operator.needle()
        assert not needle.driver_on
        until(lambda: pen.hello().state == wire.LOADED)
        status = pen.status()
        assert status.resumed
        assert needle.total.begun <= status.counted <= needle.total.begun + 500
        pen.arm()
        bench.press()
        until(lambda: strokes(bench) > needle.total.crossings)


def test_what_was_on_its_way_when_the_power_went_is_lost() -> None:
    world = _world()
    world.host.send(bytes(2000))
    hands.carry_out(world, {"do": "power_cut"})
    hands.carry_out(world, {"do": "power_on"})
    assert not world.cable.waiting()
    world.host.send(b"x")
    assert world.cable.waiting()


def test_firmware_that_gives_up_is_reported_and_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(strict=False) as bench, Pen(bench.connect()) as pen:
        load(pen)
        runner = bench.world.runner

        def give_up(_: int) -> int:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(runner, "step", give_up)
        bench.operator.begin("press")
        answers = [bench.answer(), bench.answer()]
        assert {"event": "crashed", "problem": "RuntimeError: out of memory"} in answers
        assert pen.hello().state == wire.SAFE


def test_a_stopped_server_takes_no_more() -> None:
    bench = Served(TcpEnd())
    bench.send({"do": "quit"})
    bench.stop()
    bench.send({"do": "press"})
    bench.server.stop()
