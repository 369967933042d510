"""One conversation under load: threads that want it at once, an end in the middle, a pen that answers oddly or never.

Nothing here may hang: every wait has an end, and what ended it is said. How fast anything is, no test asks.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pencore import wire
from pinprick import errors, link
from pinprick.device import Pen
from pinprick.errors import NoDevice
from pinprick.link import Link
from pinprick.transport import Transport
from tests.support.served import LONG_ZONES, Served, Tampered, load, small, until

_JOIN_S = 20.0


class Talker:
    """A transport to a pen that a test writes: `answer` gets each request and returns the lines that it says to it."""

    name = "talker"

    def __init__(self, answer: Callable[[wire.Request], Iterable[bytes]]) -> None:
        self.requests: list[wire.Request] = []
        self.written: list[bytes] = []
        self.broken: Exception | None = None
        self._answer = answer
        self._said: deque[bytes] = deque()
        self._news = threading.Condition()

    def say(self, line: bytes) -> None:
        """Say something unasked."""
        with self._news:
            self._said.append(line)
            self._news.notify_all()

    def read(self, timeout_s: float) -> bytes:
        with self._news:
            self._news.wait_for(lambda: self._said or self.broken, timeout_s)
            if self.broken is not None:
                raise self.broken
            return self._said.popleft() if self._said else b""

    def write(self, data: bytes) -> None:
        self.written.append(data)
        for line in data.splitlines(keepends=True):
            if line.startswith(b"{"):
                request = wire.decode_request(line)
                self.requests.append(request)
                for said in self._answer(request):
                    self.say(said)

    def close(self) -> None:
        pass


def pong(request: wire.Request, uptime_ms: int | None = None) -> bytes:
    """Return the answer to a ping; its milliseconds are its id, unless told otherwise."""
    told = {"state": wire.SAFE, "uptime_ms": request.id if uptime_ms is None else uptime_ms}
    return wire.encode_result("ping", request.id, told)


def silently(asked: threading.Event) -> Callable[[wire.Request], Iterable[bytes]]:
    """Return the answer of a pen that hears, and says nothing."""

    def answer(_: wire.Request) -> Iterable[bytes]:
        asked.set()
        return ()

    return answer


@pytest.fixture
def started() -> Iterable[Callable[[Transport], Link]]:
    """Return what makes a Link that has had its hello; it is closed at the end."""
    links: list[Link] = []

    def start(transport: Transport, heard: Callable[[wire.Message], None] = lambda _: None) -> Link:
        made = Link(transport, heard)
        made._nonce = "0" * 16
        links.append(made)
        return made

    yield start
    for made in links:
        made.close()


Start = Callable[..., Link]


class Attempt(threading.Thread):
    """Something done in a thread of its own; `result` or `error` is what came of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self.result: Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._act()
        except Exception as error:  # noqa: BLE001  # whatever it is, the test wants to see it
            self.error = error

    def ended(self) -> "Attempt":
        """Wait for its end, which must come."""
        self.join(_JOIN_S)
        assert not self.is_alive(), "it hangs"
        return self


# --- several threads -------------------------------------------------------------------------------------------------
def test_requests_from_many_threads_go_one_after_the_other(started: Start) -> None:
    begun = threading.Barrier(4)
    talker = Talker(lambda request: [pong(request)])
    pen = started(talker)

    def ask() -> list[int]:
        begun.wait(_JOIN_S)
        return [pen.request("ping")["uptime_ms"] for _ in range(50)]

    attempts = [Attempt(ask) for _ in range(4)]
    # Everybody got an answer of their own, each id was used once, and they grew.
    given = [number for attempt in attempts for number in attempt.ended().result]
    assert sorted(given) == [request.id for request in talker.requests] == list(range(1, 201))


def test_a_request_waits_for_the_one_before_it(started: Start) -> None:
    asked = threading.Event()
    talker = Talker(silently(asked))
    pen = started(talker)
    first = Attempt(lambda: pen.request("ping"))
    assert asked.wait(_JOIN_S)
    second = Attempt(lambda: pen.request("status"))
    talker._answer = lambda request: [pong(request)] if request.method == "ping" else []
    talker.say(pong(talker.requests[0]))
    assert first.ended().result == {"state": wire.SAFE, "uptime_ms": 1}
    until(lambda: any(request.method == "status" for request in talker.requests))
    assert [request.method for request in talker.requests][:2] == ["ping", "status"]
    pen.close()
    assert isinstance(second.ended().error, NoDevice)


def test_many_threads_on_a_real_pen(bench: Served, pen: Pen) -> None:
    load(pen)
    attempts = [Attempt(lambda: [pen.status().session_id for _ in range(30)]) for _ in range(3)]
    attempts.append(Attempt(lambda: [pen.hello().serial for _ in range(10)]))
    assert [attempt.ended().result for attempt in attempts] == [[1] * 30] * 3 + [["SIM-0001"] * 10]


# --- the end in the middle -------------------------------------------------------------------------------------------
def test_closing_ends_a_request_of_another_thread_at_once(monkeypatch: pytest.MonkeyPatch, started: Start) -> None:
    # Without these the request would end by itself.
    monkeypatch.setattr(link, "REPEAT_S", 60.0)
    monkeypatch.setattr(link, "ANSWER_S", 120.0)
    asked = threading.Event()
    pen = started(Talker(silently(asked)))
    waiting = [Attempt(lambda: pen.request("ping")) for _ in range(3)]
    assert asked.wait(_JOIN_S)
    pen.close()
    for attempt in waiting:
        error = attempt.ended().error
        assert isinstance(error, NoDevice)
        assert error.code == errors.LINK_LOST
        assert "was closed" in error.message


def test_closing_ends_who_follows_the_updates(bench: Served) -> None:
    pen = Pen(bench.connect())
    following = Attempt(lambda: list(pen.updates()))
    until(lambda: bool(pen._listeners))
    pen.close()
    error = following.ended().error
    assert isinstance(error, NoDevice)
    assert error.code == errors.LINK_LOST


def test_closing_from_several_threads_and_from_a_callback(bench: Served) -> None:
    pen = Pen(bench.connect())
    closers: list[Attempt] = [Attempt(pen.close) for _ in range(3)]
    for closer in closers:
        assert closer.ended().error is None
    again = Pen(bench.connect())
    again.listen(lambda _: again.close())
    bench.operator.do("stop_button", down=True)  # its notice closes
    until(lambda: not any(thread.is_alive() for thread in (again._link._reader, again._link._keeper)))
    with pytest.raises(NoDevice):
        again.status()


@pytest.mark.parametrize("before", [0, 40])
def test_a_transport_that_fails_in_the_middle_of_a_write(bench: Served, before: int) -> None:
    half = Tampered(bench.connect())
    with Pen(half) as pen:
        load(pen)

        def fail(data: bytes) -> bytes:
            half.under.write(data[:before])
            raise NoDevice(errors.LINK_LOST, "The cable is out.", field="--port")

        half.on_write = fail
        for use in (pen.status, pen.stop, lambda: list(pen.updates(0.1))):
            with pytest.raises(NoDevice) as caught:
                use()
            assert caught.value.code == errors.LINK_LOST
            assert "The cable is out." in caught.value.message
    # The half of a line is noise to the pen, the stop byte none; the next host greets it all the same.
    with Pen(bench.connect()) as pen:
        assert pen.status().state == (wire.FAULT if before else wire.LOADED)


# --- stop ------------------------------------------------------------------------------------------------------------
def test_stop_goes_out_though_nobody_reads_any_more(monkeypatch: pytest.MonkeyPatch, bench: Served) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.3)
    deaf = Tampered(bench.connect())
    with Pen(deaf) as pen:
        load(pen, small(LONG_ZONES))
        pen.arm()
        bench.press()
        until(lambda: bench.state == wire.RUNNING)

        def break_off(data: bytes) -> bytes:
            raise NoDevice(errors.LINK_LOST, "Reading is over.", field="--port")

        deaf.on_read = break_off
        until(lambda: not pen._link._reader.is_alive())
        stops = [Attempt(pen.stop) for _ in range(3)]
        until(lambda: bench.state == wire.FAULT)
        for stop in stops:
            error = stop.ended().error
            assert isinstance(error, NoDevice)
            assert error.code == errors.LINK_LOST
    assert not bench.operator.needle().driver_on


def test_a_listener_that_raises_is_told_of_and_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, bench: Served
) -> None:
    raised: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: raised.append(told.exc_value))
    with Pen(bench.connect()) as pen:

        def break_down(_: object) -> None:
            raise ZeroDivisionError

        pen.listen(break_down)
        bench.operator.do("stop_button", down=True)
        until(lambda: pen._link.lost is not None)
        with pytest.raises(NoDevice) as caught:
            pen.status()
        assert caught.value.code == errors.LINK_LOST
    assert [type(error) for error in raised] == [ZeroDivisionError]


# --- odd answers -----------------------------------------------------------------------------------------------------
def test_the_first_of_two_answers_is_taken_and_the_second_goes_nowhere(started: Start) -> None:
    pen = started(Talker(lambda request: [pong(request, 100 * request.id), pong(request, 7)]))
    assert [pen.request("ping")["uptime_ms"] for _ in range(20)] == [100 * number for number in range(1, 21)]


def test_an_answer_under_another_id_is_no_answer(monkeypatch: pytest.MonkeyPatch, started: Start) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.4)
    monkeypatch.setattr(link, "REPEAT_S", 0.1)

    def other(request: wire.Request) -> Iterable[bytes]:
        for wrong in (request.id - 1, request.id + 1, 0xFFFFFFFF):
            if wrong > 0:
                yield wire.encode_result("ping", wrong, {"state": wire.SAFE, "uptime_ms": 0})

    talker = Talker(other)
    pen = started(talker)
    with pytest.raises(NoDevice) as caught:
        pen.request("ping")
    assert caught.value.code == errors.PEN_SILENT
    assert len({request.id for request in talker.requests}) == 1
    talker._answer = lambda request: [*other(request), pong(request)]
    assert pen.request("ping")["uptime_ms"] == 2


def test_an_answer_that_comes_after_the_repetition_is_taken_once(
    monkeypatch: pytest.MonkeyPatch, started: Start
) -> None:
    monkeypatch.setattr(link, "REPEAT_S", 0.05)
    seen: list[int] = []

    def late(request: wire.Request) -> Iterable[bytes]:
        seen.append(request.id)
        if seen.count(request.id) == 1:
            return ()
        # Both answers at once: to the first line, late, and the kept one to its repetition.
        return (pong(request, 1000 + request.id), pong(request, 9))

    talker = Talker(late)
    pen = started(talker)
    assert [pen.request("ping")["uptime_ms"] for _ in range(3)] == [1001, 1002, 1003]
    lines = [line for line in talker.written if line.startswith(b"{")]
    assert lines[0::2] == lines[1::2]


def test_a_flood_of_telemetry_does_not_hide_an_answer(bench: Served, pen: Pen) -> None:
    load(pen, small(LONG_ZONES))
    pen.arm()
    heard: list[object] = []
    pen.listen(heard.append)
    bench.press()
    until(lambda: len(heard) > 20)
    while pen.state == wire.RUNNING:
        assert pen.status().session_id == 1
    assert bench.operator.needle().total.crossings == 5000
    assert len(heard) > 2000  # 250 s of ten lines each, while it was asked without a pause


def test_a_flood_of_noise_between_lines_is_passed_over(started: Start) -> None:
    noise = b"\xff" * 5000 + b"\n" + b'{"jsonrpc":"2.0"' + b"[" * 3000 + b"\n\n" + b"x" * 1023 + b"\n"
    pen = started(Talker(lambda request: [noise, pong(request)]))
    assert [pen.request("ping")["uptime_ms"] for _ in range(20)] == list(range(1, 21))


@pytest.mark.slow
def test_ten_thousand_requests_over_a_pipe(bench: Served, pen: Pen) -> None:
    load(pen)
    before = threading.active_count()
    last_ms = 0
    for number in range(10_000):
        now_ms = pen.ping()
        assert now_ms >= last_ms, number
        last_ms = now_ms
        if number % 1000 == 0:
            assert pen.status().state == wire.LOADED
    assert threading.active_count() == before
    assert bench.world.crashes == []
