"""Targets at the end of a port: what is sent, heard and lost there, and what they have not got."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pensim.scenario.targets import Board, Lacks, Port, Served, Target


class Wire:
    """A port with what the pen says in it; `broken` breaks it."""

    def __init__(self, says: bytes = b"") -> None:
        self.says = says
        self.sent = b""
        self.broken = False
        self.closed = False

    def read(self, timeout_s: float) -> bytes:
        self._check()
        said, self.says = self.says, b""
        return said

    def write(self, data: bytes) -> None:
        self._check()
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.broken:
            raise ConnectionError("gone")


def act(command: Mapping[str, Any]) -> dict[str, Any]:
    """Do what hands do: every wait takes its time."""
    clock["now"] += command.get("after_ms", 0)
    return {"event": "done", "at_ms": clock["now"]}


clock = {"now": 1000}


def made(kind: str, port: Port, again: Callable[[], Port]) -> Target:
    """Return a target at `port`."""
    return Served("port", port, again, act) if kind == "served" else Board("port", port, again)


BOTH = pytest.mark.parametrize("kind", ["served", "board"])


@BOTH
def test_bytes_go_both_ways(kind: str) -> None:
    wire = Wire(b"word\n")
    target = made(kind, wire, Wire)
    target.send(b"line\n")
    target.advance(1)
    assert target.receive() == b"word\n"
    assert target.receive() == b""
    assert wire.sent == b"line\n"


@BOTH
def test_a_cable_that_is_out_carries_nothing_and_is_opened_anew_when_it_is_back(kind: str) -> None:
    first, second = Wire(b"old"), Wire(b"new")
    target = made(kind, first, lambda: second)
    target.plug(False)
    assert first.closed
    target.send(b"lost")
    target.advance(1)
    assert target.receive() == b""
    assert first.sent == second.sent == b""
    target.plug(True)
    target.send(b"heard")
    target.advance(1)
    assert target.receive() == b"new"
    assert second.sent == b"heard"
    target.close()
    assert second.closed


def test_a_served_port_that_broke_off_is_opened_anew_as_soon_as_it_can_be() -> None:
    first, second = Wire(), Wire(b"back")
    there = False

    def again() -> Wire:
        if not there:
            raise ConnectionError("not yet")
        return second

    target = made("served", first, again)
    first.broken = True
    assert target.receive() == b""
    assert first.closed
    target.send(b"one")
    there = True
    target.send(b"two")
    assert second.sent == b"two"
    target.advance(5)
    assert target.receive() == b"back"


def test_a_port_that_breaks_off_while_it_is_written_to_is_no_end() -> None:
    for kind in ("served", "board"):
        wire = Wire()
        target = made(kind, wire, Wire)
        wire.broken = True
        target.send(b"line")
        assert wire.closed
        assert target.receive() == b""


def test_a_served_pen_s_time_is_what_its_hands_say() -> None:
    target = made("served", Wire(), Wire)
    before = target.now_ms()
    target.advance(250)
    assert target.now_ms() == before + 250


@BOTH
def test_a_host_that_does_not_read_leaves_it_in_the_port(kind: str) -> None:
    wire = Wire(b"word")
    target = made(kind, wire, Wire)
    target.reading = False
    target.advance(1)
    assert target.receive() == b""
    assert wire.says == b"word"


@BOTH
def test_nobody_changes_files_through_a_port(kind: str) -> None:
    target = made(kind, Wire(), Wire)
    with pytest.raises(Lacks, match="files"):
        target.tamper("ledger.bin", lambda data: data)


def test_a_board_has_no_hands() -> None:
    with pytest.raises(Lacks, match="press"):
        made("board", Wire(), Wire).do({"do": "press"})


def test_letting_go_of_a_served_pen_lets_go_of_its_hands() -> None:
    released = []
    target = Served("port", Wire(), Wire, act, lambda: released.append(True))
    target.close()
    assert released == [True]
