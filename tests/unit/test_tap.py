"""What can happen to bytes on the cable, in pieces of every size."""

import itertools
import json
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pensim import tap
from pensim.tap import Effect, Way

LINES = (b"one\n", b"two\n", b"three\n", b"four\n", b"five\n")
ALL = b"".join(LINES)


def out(effect: Effect, pieces: list[bytes]) -> bytes:
    """Return all that comes out of a way with that effect, and what it held back in the end."""
    way = Way()
    way.put("it", effect)
    came = b"".join(way.passed(piece) for piece in pieces)
    way.take_off("it")
    return came + way.passed(b"")


CASES: list[tuple[Callable[[], Effect], bytes]] = [
    (lambda: tap.LinesDropped(0, 1), b"two\nthree\nfour\nfive\n"),
    (lambda: tap.LinesDropped(1, 2), b"one\nfour\nfive\n"),
    (lambda: tap.LinesDoubled(2, 1), b"one\ntwo\nthree\nthree\nfour\nfive\n"),
    (lambda: tap.LinesSwapped(0, 1), b"two\none\nthree\nfour\nfive\n"),
    (lambda: tap.LinesSwapped(1, 2), b"one\nthree\ntwo\nfive\nfour\n"),
    (lambda: tap.LinesSwapped(4, 1), ALL),
    (lambda: tap.LinesCut(2, 1, 2, True), b"one\ntwo\nth\nfour\nfive\n"),
    (lambda: tap.LinesCut(2, 1, 2, False), b"one\ntwo\nthfour\nfive\n"),
    (lambda: tap.LinesCut(0, 9, 90, True), ALL),
    (lambda: tap.BytesDropped(1, 4), b"owo\nthree\nfour\nfive\n"),
    (lambda: tap.BitsFlipped(0, 2, 4, 0x20), b"One\nTwo\nthree\nfour\nfive\n"),
    (lambda: tap.BitsFlipped(100, 2, 4, 0x20), ALL),
]


def pieces_of(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy for the ways in which a stream comes in pieces."""

    def cut(places: list[int]) -> list[bytes]:
        edges = [0, *sorted(places), len(data)]
        return [data[start:end] for start, end in itertools.pairwise(edges)]

    return st.lists(st.integers(0, len(data)), max_size=6).map(cut)


@pytest.mark.parametrize(("make", "expected"), CASES)
@given(pieces=pieces_of(ALL))
def test_each_effect_does_the_same_whatever_the_pieces(
    make: Callable[[], Effect], expected: bytes, pieces: list[bytes]
) -> None:
    assert out(make(), pieces) == expected


def test_a_line_that_nothing_is_done_to_passes_at_once() -> None:
    way = Way()
    way.put("it", tap.LinesDoubled(1, 1))
    assert way.passed(b"on") == b"on"
    assert way.passed(b"e\ntw") == b"e\n"
    assert way.passed(b"o\nth") == b"two\ntwo\nth"


def test_what_is_held_back_goes_on_when_the_effect_is_taken_off_and_is_lost_with_the_cable() -> None:
    way = Way()
    way.put("it", tap.LinesSwapped(0, 1))
    assert way.passed(b"one\ntw") == b""
    way.take_off("it")
    assert way.passed(b"o\n") == b"one\ntwo\n"
    way.put("it", tap.LinesSwapped(0, 1))
    assert way.passed(b"one\ntw") == b""
    way.forget()
    assert way.passed(b"x\n") == b""
    assert way.passed(b"y\n") == b"y\nx\n"


def test_the_next_of_a_name_takes_the_place_of_the_one_before_and_others_follow_one_another() -> None:
    way = Way()
    way.put("a", tap.LinesDropped(0, 1))
    way.put("b", tap.LinesDoubled(0, 1))
    way.put("a", tap.LinesDropped(2, 1))
    assert way.passed(ALL) == b"one\none\nthree\nfour\nfive\n"


def test_without_an_effect_the_very_bytes_come_out() -> None:
    way = Way()
    assert way.passed(ALL) is ALL
    assert not way.disturbed


@pytest.mark.parametrize("effect", [tap.LinesDropped(0, 1), tap.BytesDropped(0, 1)])
def test_a_way_with_an_effect_is_disturbed(effect: Effect) -> None:
    ends = tap.Tap()
    ends.to_host.put("it", effect)
    assert ends.disturbed


# --- another host -----------------------------------------------------------------------------------------------------
def read(line: bytes) -> dict[str, object]:
    """Return what a line says; AssertionError unless its CRC is right."""
    body, _, crc = line.rpartition(b"*")
    assert int(crc, 16) == zlib.crc32(body)
    said: dict[str, object] = json.loads(body)
    return said


OURS = tap.framed(b'{"jsonrpc":"2.0","id":41,"method":"ping","params":{"nonce":"00ff00ff00ff00ff"}}')


def heard(does: str, every: int = 1, times: int = 2) -> Iterator[bytes]:
    """Yield the lines that reach the pen when its own host says so many."""
    yield from tap.TwoHosts(does, every).passed(OURS * times).splitlines()


def test_another_host_greets_guesses_or_knows() -> None:
    ours, greets, again, second = heard(tap.GREETS)
    assert ours == again == OURS.rstrip()
    assert (read(greets)["method"], read(second)["method"]) == ("hello", "hello")
    assert read(greets)["id"] != read(second)["id"]
    _, guess, *_ = heard(tap.GUESSES)
    assert read(guess)["params"] == {"nonce": "0123456789abcdef"}
    _, knows, *_ = heard(tap.KNOWS)
    assert read(knows)["params"] == {"nonce": "00ff00ff00ff00ff"}
    assert read(knows)["id"] == 241


def test_another_host_speaks_in_the_middle_or_seldom() -> None:
    mixed = b"".join(line + b"\n" for line in heard(tap.MIXES, times=1))
    assert OURS not in mixed
    assert mixed.startswith(OURS[: len(OURS) // 2])
    assert mixed.endswith(OURS[len(OURS) // 2 :])
    assert len(list(heard(tap.GREETS, every=3, times=6))) == 8


@pytest.mark.parametrize("kind", tap.FLOODS)
def test_a_flood_is_of_its_size_and_the_same_again(kind: str) -> None:
    assert 5000 <= len(tap.flood(kind, 5000, 1)) < 5200
    assert tap.flood(kind, 500, 1) == tap.flood(kind, 500, 1)
    assert (tap.flood(tap.NOISE, 500, 1) == tap.flood(tap.NOISE, 500, 2)) is False
    if kind == tap.PINGS:
        for line in tap.flood(kind, 500, 0).splitlines():
            read(line)
