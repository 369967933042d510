"""Lines with a right sum that are almost messages: a byte more, another way to write it, an answer nobody asked for."""

import pytest

from pencore import faults, wire
from pencore.faults import Refusal
from pencore.lines import LineRefusal, framed

NONCE = "5e1f0c84a2b96d37"
REQUEST = b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"nonce":"5e1f0c84a2b96d37"}}'
SAID = (
    b'{"jsonrpc":"2.0","id":7,"result":{"state":1,"uptime_ms":5}}',
    b'{"jsonrpc":"2.0","method":"state","params":{"state":1,"code":0,"session_id":0}}',
    wire.encode_error(7, Refusal(faults.BUSY, "state", 3))[:-10],
)


def refused(line: bytes) -> int:
    with pytest.raises(LineRefusal) as told:
        wire.decode_request(line)
    return told.value.code


def test_nothing_may_follow_a_request() -> None:
    assert wire.decode_request(framed(REQUEST)).id == 7
    for more in (b" ", b"}", b"{}", b"\\", REQUEST):
        assert refused(framed(REQUEST + more)) == faults.WIRE_BAD_FORM


@pytest.mark.parametrize("said", SAID)
def test_nothing_may_follow_what_the_pen_says(said: bytes) -> None:
    wire.decode_message(framed(said), {7: "ping"})
    for more in (b" ", b"}", b"{}"):
        with pytest.raises(LineRefusal) as told:
            wire.decode_message(framed(said + more), {7: "ping"})
        assert told.value.code == faults.WIRE_BAD_FORM


@pytest.mark.parametrize("byte", [0, 9, 0x18, 0x1F, 0x7F, 0x80, 0xFF])
def test_a_byte_that_is_no_character_is_bad_form_wherever_it_stands(byte: int) -> None:
    hello = b'{"jsonrpc":"2.0","id":7,"method":"hello","params":{"protocol_major":1,"protocol_minor":0,"client":"a"}}'
    assert wire.decode_request(framed(hello)).params["client"] == "a"
    for at in (0, hello.index(b'"a"') + 1, len(hello) - 1):
        assert refused(framed(hello[:at] + bytes([byte]) + hello[at + 1 :])) == faults.WIRE_BAD_FORM


@pytest.mark.parametrize(
    ("good", "others"), [("QUI=", ["QUJ=", "QUK="]), ("QQ==", ["QR==", "Qf=="]), ("QUJD", ["QUJ*", "*UJD"])]
)
def test_bytes_are_written_in_one_way(good: str, others: list[str]) -> None:
    """The bits that padding leaves over are zero, and no character is passed over."""

    def chunk(data: str) -> bytes:
        return framed(
            b'{"jsonrpc":"2.0","id":7,"method":"load.chunk","params":{"nonce":"%s","offset":0,"data":"%s"}}'
            % (NONCE.encode(), data.encode())
        )

    assert wire.decode_request(chunk(good)).params["data"] == b"ABC"[: len(good.rstrip("=")) - 1]
    for other in others:
        assert refused(chunk(other)) == faults.WIRE_BAD_PARAM


@pytest.mark.parametrize("pending", [{}, {6: "ping", 8: "ping"}])
def test_an_answer_that_nobody_waits_for_is_refused(pending: dict[int, str]) -> None:
    with pytest.raises(LineRefusal) as told:
        wire.decode_message(framed(SAID[0]), pending)
    assert (told.value.code, told.value.given) == (faults.WIRE_STALE_ID, 7)
