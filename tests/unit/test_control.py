"""The control channel: its token, several clients, and those that mean no good."""

import json
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest

from pencore import wire
from pensim import control, handbook
from pensim.control import Control
from pinprick.device import Pen
from tests.architecture.source import ROOT
from tests.support.served import LONG_ZONES, Served, load, served, small, until

TOKEN = "7f3a-token"


class Client:
    """A client that reads and writes bytes as it likes; greeted unless it shows no token."""

    def __init__(self, channel: Control, token: str | None = TOKEN) -> None:
        host, _, port = channel.address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 20)
        self._lines = self.socket.makefile("rb")
        if token is not None:
            self.say({"token": token})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def say(self, *commands: object) -> None:
        self.send(b"".join(json.dumps(command).encode() + b"\n" for command in commands))

    def hear(self) -> dict[str, Any]:
        line = self._lines.readline()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def do(self, do: str, **keys: object) -> dict[str, Any]:
        self.say({"do": do, **keys})
        return self.hear()

    def turned_away(self) -> bool:
        """Return whether the connection ends without a word."""
        try:
            return self._lines.read() == b""
        except ConnectionResetError:
            return True


@contextmanager
def bench(**options: Any) -> Iterator[tuple[Served, Control]]:
    """Serve a pen with a control channel; it must still do what it is told afterwards."""
    channel = Control(TOKEN, {"serial": "SIM-0001", "port": "pipe"})
    with served(control=channel, **options) as pen:
        yield pen, channel
        with Client(channel) as client:
            assert client.hear()["event"] == "hello"
            assert client.do("wait")["event"] == "done"


def greeted(channel: Control) -> Client:
    client = Client(channel)
    assert client.hear() == {"event": "hello", "serial": "SIM-0001", "port": "pipe"}
    return client


def test_it_is_on_this_computer_alone() -> None:
    with bench() as (_, channel):
        assert channel.address.startswith("127.0.0.1:")


def test_a_port_that_is_taken_is_an_error() -> None:
    with bench() as (_, channel), pytest.raises(OSError, match="in use"):
        Control(TOKEN, {}, int(channel.address.rpartition(":")[2]))


def test_each_command_has_one_answer_in_its_order() -> None:
    with bench() as (_, channel), greeted(channel) as client:
        client.say({"do": "wait", "after_ms": 60_000}, {"do": "press"}, {"do": "jump"}, [1], {"do": "oracle"})
        client.send(b"nonsense\n\n  \n" + json.dumps({"do": "release"}).encode() + b"\r\n")
        said = [client.hear() for _ in range(7)]
        assert [(answer["event"], answer["do"]) for answer in said] == [
            ("done", "wait"),
            ("done", "press"),
            ("refused", "jump"),
            ("refused", None),
            ("done", "oracle"),
            ("refused", None),
            ("done", "release"),
        ]
        assert said[1]["at_ms"] == said[0]["at_ms"] >= 60_000
        assert said[3]["problem"] == "a command is a JSON object"
        assert said[5]["problem"].startswith("not JSON")


def test_two_clients_and_the_standard_input_don_t_wait_for_one_another() -> None:
    with bench(speed=1.0) as (pen, channel), greeted(channel) as slow, greeted(channel) as quick:
        slow.say({"do": "wait", "after_ms": 3_000_000}, {"do": "press"})
        assert not pen.world.plant.trigger_down
        assert quick.do("stop_button", down=True)["event"] == "done"
        assert pen.operator.do("stop_button", down=False)["event"] == "done"
        for _ in range(20):
            assert quick.do("wait")["at_ms"] < 600_000
        assert not pen.world.plant.trigger_down


def test_the_answers_of_two_clients_are_not_mixed_up() -> None:
    with bench() as (_, channel), greeted(channel) as one, greeted(channel) as other:
        for round_ in range(20):
            one.say({"do": "zone", "label": f"one {round_}"}, {"do": "oracle"})
            other.say({"do": "wait"}, {"do": "pins"})
            assert [other.hear()["do"], other.hear()["do"]] == ["wait", "pins"]
            assert [one.hear()["do"], one.hear()["do"]] == ["zone", "oracle"]


def test_quit_is_answered_and_ends_the_serving() -> None:
    channel = Control(TOKEN, {"serial": "SIM-0001", "port": "pipe"})
    with served(control=channel) as pen:
        with greeted(channel) as client, greeted(channel) as other:
            client.say({"do": "quit"}, {"do": "press"})
            assert client.hear()["event"] == "done"
            assert client.turned_away()
            assert other.turned_away()
        pen.stop()
        assert not pen.world.plant.trigger_down


@pytest.mark.parametrize(
    "first",
    [
        b"{}\n",
        b'{"token":"7f3a-toke"}\n',
        b'{"token":"7f3a-token "}\n',
        b'{"token":""}\n',
        b'{"token":null}\n',
        b'{"token":["7f3a-token"]}\n',
        b'{"token":"\\ud800"}\n',
        b'"7f3a-token"\n',
        b"7f3a-token\n",
        b'{"do":"press"}\n{"token":"7f3a-token"}\n',
        b"\xff\xfe\n",
        b"[" * 900 + b"\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"x" * (control.TOKEN_LINE_MOST + 1),
    ],
)
def test_without_the_token_nothing_is_done_and_nothing_is_said(first: bytes) -> None:
    with bench() as (pen, channel), Client(channel, None) as client:
        client.send(first)
        assert client.turned_away()
        assert not pen.world.plant.trigger_down


def test_a_line_of_a_megabyte_is_refused_and_the_next_is_carried_out() -> None:
    with bench() as (_, channel), greeted(channel) as client, greeted(channel) as other:
        piece = b"x" * 65_536
        for _ in range(16):
            client.send(piece)
            assert other.do("wait")["event"] == "done"
        client.send(b'"\n' + json.dumps({"do": "press"}).encode() + b"\n")
        refused = client.hear()
        assert (refused["event"], refused["problem"]) == ("refused", "a line has at most 65536 bytes")
        assert client.hear()["do"] == "press"


def test_half_a_line_is_never_carried_out_and_a_whole_one_always() -> None:
    with bench() as (pen, channel), greeted(channel) as other:
        with greeted(channel) as client:
            client.send(b'{"do":"stop_button","down":true}\n{"do":"press"}')
        until(lambda: pen.world.plant.stop_open)
        other.do("wait")
        assert not pen.world.plant.trigger_down


def test_a_client_that_says_no_more_still_has_its_answers() -> None:
    with bench() as (_, channel), greeted(channel) as client:
        client.say(*[{"do": "wait", "after_ms": 1000}] * (3 * control.PENDING_MOST))
        client.socket.shutdown(socket.SHUT_WR)
        for _ in range(3 * control.PENDING_MOST):
            assert client.hear()["do"] == "wait"
        assert client.turned_away()


def test_a_connection_that_is_reset_is_noticed() -> None:
    with bench() as (_, channel), greeted(channel) as other:
        for _ in range(5):
            client = greeted(channel)
            client.say(*[{"do": "faults"}] * 20)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client._lines.close()
            client.socket.close()
        until(lambda: len(channel._clients) == 1)
        assert other.do("wait")["event"] == "done"


def test_a_client_that_does_not_read_is_not_read_either() -> None:
    with bench() as (pen, channel), greeted(channel) as deaf, greeted(channel) as other:
        deaf.socket.setblocking(False)
        line = json.dumps({"do": "faults"}).encode() + b" " * 4000 + b"\n"
        sent, stuck = 0, 0
        data = b""
        while stuck < 200:
            data = data or line * 200
            try:
                taken = deaf.socket.send(data)
                data, sent, stuck = data[taken:], sent + taken, 0
                assert sent < 30_000_000, "it is read without end"
            except BlockingIOError:
                stuck += 1
                assert other.do("wait")["event"] == "done"
        held = next(client for client in channel._clients if client.unsent())
        assert len(held._out) < control.UNSENT_MOST + 64 * 16_384
        assert len(held._in) <= 2 * control.LINE_MOST
        assert pen.state == wire.SAFE


def test_strangers_make_room_for_one_another_and_for_friends() -> None:
    with bench() as (_, channel), greeted(channel) as friend:
        strangers = [Client(channel, None) for _ in range(control.STRANGERS_MOST + 5)]
        until(lambda: len(channel._clients) == control.STRANGERS_MOST + 1)
        assert strangers[0].turned_away()
        assert friend.do("wait")["event"] == "done"
        with greeted(channel):
            assert friend.do("wait")["event"] == "done"
        for stranger in strangers:
            stranger.__exit__()


def test_when_all_places_are_taken_by_friends_the_next_is_told_so_and_let_go() -> None:
    channel = Control(TOKEN, {"serial": "SIM-0001", "port": "pipe"})
    with served(control=channel) as pen:
        friends = [greeted(channel) for _ in range(control.CLIENTS_MOST)]
        with Client(channel) as late:
            late.say({"do": "press"})
            assert late.hear() == {
                "event": "refused",
                "do": None,
                "problem": f"{control.CLIENTS_MOST} programs have their hands on this pen already",
            }
            assert late.turned_away()
        with Client(channel, "no token") as stranger:
            assert stranger.turned_away()
        assert friends[0].do("wait")["event"] == "done"
        assert not pen.world.plant.trigger_down
        friends.pop().__exit__()
        until(lambda: len(channel._clients) == len(friends))
        friends.append(greeted(channel))
        for friend in friends:
            friend.__exit__()


def test_a_session_goes_on_while_the_channel_is_flooded() -> None:
    with bench() as (pen, channel), Pen(pen.connect()) as host, greeted(channel) as client:
        load(host, small(LONG_ZONES))
        host.arm()
        client.say({"do": "release"}, {"do": "press", "after_ms": 200})
        assert [client.hear()["event"] for _ in range(2)] == ["done", "done"]
        until(lambda: pen.state == wire.RUNNING)
        noise = Client(channel)
        for _ in range(30):
            noise.say(*[{"do": "jump"}] * 30)
            assert host.status().state == wire.RUNNING
        noise.__exit__()
        said = client.do("oracle")
        assert said["total"]["strokes"] > 0
        assert said["violations"] == []


def test_the_transcript_of_the_page_is_what_happens() -> None:
    page = (ROOT / handbook.PATH).read_text(encoding="utf-8")
    found = re.search(r"<!-- transcript -->\n```text\n(.*?)```\n<!-- end", page, re.DOTALL)
    assert found is not None
    lines = found[1].splitlines()
    sent, told = [[line[2:] for line in lines if line.startswith(mark)] for mark in "><"]
    token, hello = json.loads(sent[0])["token"], json.loads(told[0])
    assert hello.pop("event") == "hello"
    assert len(sent) == len(told) > 10
    channel = Control(token, hello)
    with served(control=channel), Client(channel, None) as client:
        for line, answer in zip(sent, told, strict=True):
            client.send(line.encode() + b"\n")
            heard = client._lines.readline().decode().strip()
            # Only when it happened differs: at rest time is real time.
            assert re.sub(r'"at_ms":\d+', "", heard) == re.sub(r'"at_ms":\d+', "", answer)
