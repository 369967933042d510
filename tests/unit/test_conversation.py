"""`pencore.conversation`: once is once, noise is short, and a host that doesn't read holds nothing up."""

from collections.abc import Mapping
from typing import Any

import pytest

from pencore import faults, wire
from pencore.conversation import Conversation
from pencore.faults import Refusal
from pencore.units import ms_add
from tests.portable.ideal_ports import Log, Pipe

NONCE = "5e1f0c84a2b96d37"


class Desk:
    """A conversation with the handler that a test wants, and its host's end."""

    def __init__(self, start_ms: int = 1_000) -> None:
        self.link = Pipe(Log())
        self.done: list[tuple[str, int]] = []
        self.refuse: Refusal | None = None
        self.talk = Conversation(self.link, NONCE, self._handle)
        self.now_ms = start_ms

    def _handle(self, request: wire.Request) -> Mapping[str, Any]:
        self.done.append((request.method, request.id))
        if self.refuse is not None:
            raise self.refuse
        if request.method == "hello":
            return hello(self.talk)
        return {"state": wire.SAFE, "uptime_ms": len(self.done)} if request.method == "ping" else {"state": wire.SAFE}

    def say(self, *lines: bytes) -> list[bytes]:
        """Send lines, let the pen work them off, return what it sent."""
        self.link.to_pen += b"".join(lines)
        while self.talk.take_in() or self.talk.unheard():
            self.talk.work(self.now_ms)
        return self.heard()

    def heard(self) -> list[bytes]:
        data, self.link.to_host = self.link.to_host, b""
        return data.splitlines(keepends=True)

    def codes(self, *lines: bytes) -> list[tuple[int | None, int]]:
        """Send lines; return (id, code) of each answer, code 0 for a result."""
        messages = [wire.decode_message(line, dict.fromkeys(range(1, 200), "ping")) for line in self.say(*lines)]
        return [(message.id, message.refusal.code if message.refusal else 0) for message in messages]


def hello(talk: Conversation) -> dict[str, Any]:
    """Return a result of hello in which only `request_id` matters."""
    numbers = {field[0]: field[2] for field in wire.METHODS["hello"][1]}
    texts = {"firmware": "0", "build": "0" * 16, "serial": "", "nonce": NONCE, "open_digest": "0" * 64}
    lists = {"ledger_head": "0" * 64, "zone_caps_um": [], "geometry": [0] * 9}
    return numbers | texts | lists | {"request_id": talk.last_id}


def ping(request_id: int, nonce: str = NONCE) -> bytes:
    return wire.encode_request("ping", request_id, {"nonce": nonce})


def test_requests_are_carried_out_in_the_order_of_their_ids() -> None:
    desk = Desk()
    assert desk.codes(ping(1), ping(2), ping(9)) == [(1, 0), (2, 0), (9, 0)]
    assert desk.codes(ping(8), ping(1)) == [(8, faults.WIRE_STALE_ID), (1, faults.WIRE_STALE_ID)]
    assert desk.done == [("ping", 1), ("ping", 2), ("ping", 9)]


def test_one_line_does_not_use_up_the_ids() -> None:
    desk = Desk()
    desk.say(ping(1))
    assert desk.codes(ping(1 + 257), ping(0xFFFFFFFF)) == [
        (258, faults.WIRE_BAD_PARAM),
        (0xFFFFFFFF, faults.WIRE_BAD_PARAM),
    ]
    assert desk.talk.last_id == 1
    desk.say(ping(1 + 256))
    assert desk.talk.last_id == 257


def test_a_repeated_request_gets_the_same_answer_and_is_not_done_again() -> None:
    desk = Desk()
    first = desk.say(ping(1))
    desk.now_ms += 700
    assert desk.say(ping(1)) == first
    assert desk.say(ping(1)) == first
    assert desk.done == [("ping", 1)]
    assert desk.talk.heard_ms == desk.now_ms, "a host that asks again is a host that is there"


def test_a_refusal_is_an_answer_like_any_other() -> None:
    desk = Desk()
    desk.refuse = Refusal(faults.ZONE_SPENT, "zone", 60, 60, 3)
    first = desk.say(ping(1))
    told = wire.decode_message(first[0], {}).refusal
    assert told is not None
    assert (told.code, told.field, told.given, told.limit, told.zone) == (faults.ZONE_SPENT, "zone", 60, 60, 3)
    desk.refuse = None
    assert desk.say(ping(1)) == first
    assert desk.done == [("ping", 1)]


def test_another_request_under_the_same_id_is_refused() -> None:
    desk = Desk()
    desk.say(ping(5))
    stop = wire.encode_request("stop", 5, {"nonce": NONCE})
    assert desk.codes(stop) == [(5, faults.WIRE_ID_REUSED)]
    assert desk.codes(ping(5)) == [(5, 0)]
    assert desk.done == [("ping", 5)]


def test_another_boot_s_nonce_is_refused() -> None:
    desk = Desk()
    for nonce in ("0" * 16, NONCE[:-1] + "8", "f" * 16):
        assert desk.codes(ping(1, nonce)) == [(1, faults.WIRE_BAD_NONCE)]
    assert desk.done == []
    assert desk.talk.heard_ms == 0


def test_hello_may_come_at_any_time_under_any_id_and_keeps_no_lease() -> None:
    desk = Desk()
    desk.say(ping(7))
    heard_ms = desk.talk.heard_ms
    desk.now_ms += 900
    for request_id in (1, 7, 7, 4_000_000_000):
        line = wire.encode_request("hello", request_id, {"protocol_major": 1, "protocol_minor": 0, "client": "x"})
        answer = wire.decode_message(desk.say(line)[0], {request_id: "hello"})
        assert answer.values["request_id"] == 7
    assert desk.talk.heard_ms == heard_ms
    assert desk.codes(ping(8)) == [(8, 0)]


@pytest.mark.parametrize("start_ms", [1_000, 2**31 - 200, 2**32 - 200, 0])
def test_noise_is_answered_twice_a_second(start_ms: int) -> None:
    desk = Desk(start_ms)
    answers = 0
    for _ in range(100):
        answers += len(desk.say(b"noise\n"))
        desk.now_ms = ms_add(desk.now_ms, 20)
    assert answers == 4
    assert desk.codes(ping(1)) == [(1, 0)]
    desk.now_ms = ms_add(desk.now_ms, 2**31 + 5)
    assert len(desk.say(b"noise\n")) == 1, "a month later as well"


def test_requests_that_were_understood_are_refused_each() -> None:
    desk = Desk()
    assert desk.codes(*[ping(index, "0" * 16) for index in range(1, 20)]) == [
        (index, faults.WIRE_BAD_NONCE) for index in range(1, 20)
    ]


def test_one_line_is_worked_off_at_a_time() -> None:
    desk = Desk()
    desk.link.to_pen = ping(1) + ping(2) + ping(3)
    desk.talk.take_in()
    for number in (1, 2, 3):
        desk.talk.work(desk.now_ms)
        assert len(desk.done) == number


def test_a_host_that_does_not_read_holds_nothing_up() -> None:
    """Requests go on being carried out, what finds no room is dropped whole, and can be had by asking again."""
    desk = Desk()
    desk.link.room_left = 10
    assert len(desk.say(*[ping(index) for index in range(1, 101)])) == 1
    assert len(desk.done) == 100
    assert not desk.talk.unheard()
    desk.link.room_left = None
    desk.talk.flush()
    assert not desk.talk.waiting()
    waited = desk.link.to_host
    assert len(waited) <= 4096
    assert waited.endswith(b"\n")
    desk.heard()
    assert desk.codes(ping(100)) == [(100, 0)]
    assert len(desk.done) == 100


def test_telemetry_is_dropped_unless_it_can_go_whole_at_once() -> None:
    desk = Desk()
    report = {"state": wire.SAFE, "code": 0, "session_id": 0}
    line = memoryview(wire.encode_notification("state", report))
    size = len(line)
    for room, sent in ((size - 1, False), (size, True)):
        desk.link.room_left = room
        desk.talk.offer(line)
        assert (len(desk.heard()) == 1) == sent
        assert not desk.talk.waiting()
    desk.link.room_left = 5
    desk.talk.notify("state", report)
    assert desk.talk.waiting()
    desk.link.room_left = None
    desk.talk.offer(line)
    assert desk.link.to_host.count(b"\n") == 0, "what must arrive goes first"
    desk.talk.flush()
    assert desk.link.to_host.count(b"\n") == 1


def test_notifications_leave_room_for_an_answer() -> None:
    desk = Desk()
    desk.link.room_left = 0
    for _ in range(200):
        desk.talk.notify("state", {"state": wire.SAFE, "code": 0, "session_id": 0})
    desk.say(ping(1))
    desk.link.room_left = None
    desk.talk.flush()
    assert desk.heard()[-1].startswith(b'{"jsonrpc":"2.0","id":1,"result"')
