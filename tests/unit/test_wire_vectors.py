"""Lines that were legal, or refused, when the protocol was frozen: read and written the same for ever."""

import json
from pathlib import Path
from typing import Any

import pytest

from pencore import faults, version, wire
from pencore.faults import Refusal
from pencore.lines import LineRefusal
from tests.support.wire_lines import ACCEPTED, lines_of, reference_code

_FILE = Path(__file__).parents[1] / "vectors" / "wire-v1.json"
VECTORS: dict[str, Any] = json.loads(_FILE.read_text(encoding="ascii"))
_KINDS = {"result": wire.RESULT, "failure": wire.FAILURE, "notification": wire.NOTIFICATION}


def vectors(part: str) -> pytest.MarkDecorator:
    """Return the parametrization over the vectors of one part of the file."""
    return pytest.mark.parametrize("vector", VECTORS[part], ids=lambda vector: str(vector["what"]))


def line_of(vector: dict[str, Any]) -> bytes:
    """Return the bytes a vector's line stands for."""
    line: str = vector["line"]
    return line.encode("latin-1")


def values_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return params or values with their bytes."""
    return {name: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for name, value in values.items()}


def pending_of(vector: dict[str, Any]) -> dict[int, str]:
    return {int(number): method for number, method in vector["pending"].items()}


@vectors("requests")
def test_request(vector: dict[str, Any]) -> None:
    request = wire.decode_request(line_of(vector))
    assert (request.id, request.method, request.params) == (
        vector["id"],
        vector["method"],
        values_of(vector["params"]),
    )
    assert wire.encode_request(request.method, request.id, request.params) == line_of(vector)
    assert reference_code(line_of(vector)) == ACCEPTED


@vectors("refused_requests")
def test_refused_request(vector: dict[str, Any]) -> None:
    with pytest.raises(LineRefusal) as caught:
        wire.decode_request(line_of(vector))
    refusal = caught.value
    expected = (vector["code"], vector["field"], vector["given"], vector["limit"], vector["id"])
    assert (refusal.code, refusal.field, refusal.given, refusal.limit, refusal.request_id) == expected
    assert refusal.zone is None
    assert reference_code(line_of(vector)) == vector["code"]


@vectors("messages")
def test_message(vector: dict[str, Any]) -> None:
    message = wire.decode_message(line_of(vector), pending_of(vector))
    assert (message.kind, message.id, message.name) == (_KINDS[vector["kind"]], vector["id"], vector["name"])
    assert message.values == values_of(vector.get("values", {}))
    if "refusal" not in vector:
        assert message.refusal is None
        return
    refusal = message.refusal
    assert refusal is not None
    told = {name: getattr(refusal, name) for name in ("code", "field", "zone", "given", "limit")}
    assert told == vector["refusal"]


@vectors("messages")
def test_message_is_written_the_same(vector: dict[str, Any]) -> None:
    values = values_of(vector.get("values", {}))
    if vector["kind"] == "result":
        line = wire.encode_result(vector["name"], vector["id"], values)
    elif vector["kind"] == "notification":
        line = wire.encode_notification(vector["name"], values)
    else:
        told = vector["refusal"]
        refusal = Refusal(told["code"], told["field"], told["given"], told["limit"], told["zone"])
        line = wire.encode_error(vector["id"], refusal)
    # What only a newer pen says can be read here, not written.
    assert (line == line_of(vector)) is not vector.get("decode_only", False)


@vectors("refused_messages")
def test_refused_message(vector: dict[str, Any]) -> None:
    with pytest.raises(LineRefusal) as caught:
        wire.decode_message(line_of(vector), pending_of(vector))
    refusal = caught.value
    expected = (vector["code"], vector["field"], vector["given"], vector["limit"])
    assert (refusal.code, refusal.field, refusal.given, refusal.limit) == expected


@pytest.mark.parametrize("size", [1, 2, 7, 100, 511, 512])
@vectors("streams")
def test_stream(vector: dict[str, Any], size: int) -> None:
    stream: bytes = vector["bytes"].encode("latin-1")
    expected = [faults.WIRE_TOO_LONG if line is None else line.encode("latin-1") for line in vector["lines"]]
    assert lines_of(stream[start : start + size] for start in range(0, len(stream), size)) == expected


def test_vectors_hold_every_message_of_this_version() -> None:
    assert VECTORS["protocol"] == f"{version.PROTOCOL_MAJOR}.{version.PROTOCOL_MINOR}"
    assert {vector["method"] for vector in VECTORS["requests"]} == set(wire.METHODS)
    told = {(vector["kind"], vector["name"]) for vector in VECTORS["messages"]}
    assert {("result", method) for method in wire.METHODS} <= told
    assert {("notification", name) for name in wire.NOTIFICATIONS} <= told
