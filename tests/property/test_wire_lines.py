"""The wire, for any message, any damage and any way the bytes arrive: hypothesis against the definition."""

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pencore import faults, lines, wire
from pencore.faults import Refusal
from tests.support.wire_lines import ACCEPTED, NONCE, code_of, lines_of, reference_code, sealed
from tests.support.wire_strategies import almost_requests, messages, requests, values

if TYPE_CHECKING:
    from tests.support.wire_strategies import Sent

PING = wire.encode_request("ping", 41, {"nonce": NONCE})


@given(requests())
def test_a_request_comes_back_as_it_was_sent(sent: "Sent") -> None:
    method, request_id, params = sent
    line = wire.encode_request(method, request_id, params)
    request = wire.decode_request(line)
    assert (request.method, request.id, request.params) == sent
    assert reference_code(line) == ACCEPTED


@given(requests())
def test_a_line_is_plain_json_rpc(sent: "Sent") -> None:
    method, request_id, params = sent
    line = wire.encode_request(method, request_id, params)
    assert re.fullmatch(rb"[ -~]{1,1023}\n", line)
    message = json.loads(line[:-10])
    assert json.dumps(message, separators=(",", ":")).encode() + line[-10:] == line
    assert list(message) == ["jsonrpc", "id", "method", "params"]
    for name, value in params.items():
        assert isinstance(value, bytes) or message["params"][name] == value


@given(messages())
def test_what_the_pen_says_comes_back_as_it_was_sent(sent: "Sent") -> None:
    name, request_id, told = sent
    if name in wire.NOTIFICATIONS:
        message = wire.decode_message(wire.encode_notification(name, told), {})
        assert (message.kind, message.id) == (wire.NOTIFICATION, None)
    else:
        message = wire.decode_message(wire.encode_result(name, request_id, told), {request_id: name})
        assert (message.kind, message.id) == (wire.RESULT, request_id)
    assert (message.name, message.values, message.refusal) == (name, told, None)


@given(st.none() | st.integers(1, lines.INT_MAX), st.sampled_from(sorted(faults.NAMES)), values(wire.ERROR_DATA))
def test_a_refusal_comes_back_as_it_was_sent(request_id: int | None, code: int, data: dict[str, Any]) -> None:
    sent = Refusal(code, data["field"], data["given"], data["limit"], data["zone"])
    message = wire.decode_message(wire.encode_error(request_id, sent), {})
    assert (message.kind, message.id, message.name) == (wire.FAILURE, request_id, faults.NAMES[code])
    assert str(message.refusal) == str(sent)


@given(st.integers(), st.text(), st.integers(), st.integers(), st.integers())
def test_no_refusal_is_too_odd_to_be_told(code: int, field: str, given_: int, limit: int, zone: int) -> None:
    message = wire.decode_message(wire.encode_error(1, Refusal(code, field, given_, limit, zone)), {})
    assert message.refusal is not None
    assert message.refusal.code == (code if code in faults.NAMES else faults.INTERNAL)
    assert message.refusal.given in (given_, None)


@settings(max_examples=400)
@given(requests(), st.data())
def test_a_changed_byte_is_refused(sent: "Sent", data: st.DataObject) -> None:
    method, request_id, params = sent
    line = wire.encode_request(method, request_id, params)
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
    changed = line[:at] + bytes((byte,)) + line[at + 1 :]
    assert code_of(changed) in (faults.WIRE_BAD_FORM, faults.WIRE_BAD_CRC)


@settings(max_examples=1500)
@given(almost_requests())
@example('{"jsonrpc":"2.0","id":41,"method":"ping","params":{"nonce":"' + NONCE + '","nonce":"' + NONCE + '"}}')
def test_the_definition_and_the_decoder_agree(body: str) -> None:
    line = sealed(body.encode("latin-1"))
    assert code_of(line) == reference_code(line)


@given(st.binary(max_size=1100))
def test_noise_is_refused(noise: bytes) -> None:
    assert code_of(noise) == reference_code(noise) != ACCEPTED


@given(st.binary(max_size=1014))
def test_noise_with_a_right_crc_is_refused(noise: bytes) -> None:
    line = sealed(noise)
    assert code_of(line) == reference_code(line) != ACCEPTED


def pieces_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return `stream` cut at `cuts`, and so that no piece is longer than a reader takes."""
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    return [piece[at : at + 512] for piece in pieces for at in range(0, len(piece), 512)]


def reference_lines(stream: bytes) -> list[bytes | int]:
    """Return what the definition makes of a whole stream: lines, WIRE_TOO_LONG, and nothing of an unfinished line."""
    found: list[bytes | int] = []
    *whole, rest = stream.split(b"\n")
    for text in whole:
        line = text.lstrip(b"\x18") + b"\n"
        found.append(faults.WIRE_TOO_LONG if len(line) > 1024 else line)
    if len(rest.lstrip(b"\x18")) >= 1024:
        found.append(faults.WIRE_TOO_LONG)
    return found


CHUNKS = st.lists(
    st.sampled_from([PING, PING[:-1], b"\n", b"\x18", b"{", b"x" * 1023, b"x" * 1024, b"y" * 600, b"\x18" * 700])
    | st.binary(max_size=40),
    max_size=12,
)


@settings(max_examples=300)
@given(CHUNKS, st.lists(st.integers(0, 10_000), max_size=30))
def test_lines_are_the_same_however_they_arrive(chunks: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(chunks)
    assert lines_of(pieces_of(stream, cuts)) == reference_lines(stream)


@given(st.binary(max_size=3000).filter(lambda noise: b"\x18" not in noise), st.lists(st.integers(0, 3000), max_size=9))
def test_noise_ends_at_the_next_newline(noise: bytes, cuts: list[int]) -> None:
    seen = lines_of(pieces_of(noise + b"\n" + PING, cuts))
    assert seen[-1] == PING
    assert all(isinstance(line, int) or code_of(line) != ACCEPTED for line in seen[:-1])
