"""The wire on a real MicroPython: the frozen lines, and agreement with CPython on anything hypothesis thinks of."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.test_wire_lines import CHUNKS, pieces_of
from tests.support.wire_lines import sealed
from tests.support.wire_strategies import Sent, almost_requests, messages, requests
from tests.unit.test_wire_vectors import VECTORS, line_of, pending_of, values_of, vectors
from tests.vm.machine import MicroPythonVM, Outcome, agreed

PORTABLE = "tests.portable.wire"
differential = settings(max_examples=150)


def both(vm: MicroPythonVM, function: str, *args: object) -> Any:
    """Return what `function` of the portable checks returns, the same on both Pythons."""
    outcome: Outcome = agreed(vm, PORTABLE, function, args)
    assert outcome.raised == "", outcome.trace
    return outcome.value


# --- frozen lines -----------------------------------------------------------------------------------------------------
@vectors("requests")
def test_request(vm: MicroPythonVM, vector: dict[str, Any]) -> None:
    params = values_of(vector["params"])
    assert vm.call(PORTABLE, "request", [line_of(vector)]) == ["request", vector["id"], vector["method"], params]
    assert vm.call(PORTABLE, "request_line", [vector["method"], vector["id"], params]) == ["line", line_of(vector)]


@vectors("refused_requests")
def test_refused_request(vm: MicroPythonVM, vector: dict[str, Any]) -> None:
    expected = ["refused", *(vector[name] for name in ("code", "field", "given", "limit", "id"))]
    assert vm.call(PORTABLE, "request", [line_of(vector)]) == expected


@vectors("messages")
def test_message(vm: MicroPythonVM, vector: dict[str, Any]) -> None:
    values = values_of(vector.get("values", {}))
    heard = both(vm, "message", line_of(vector), pending_of(vector))
    assert heard[0] == "message"
    assert heard[2:5] == [vector["id"], vector["name"], values]
    if vector["kind"] != "failure":
        assert both(vm, "pen_line", vector["name"], vector["id"], values) == ["line", line_of(vector)]


@vectors("refused_messages")
def test_refused_message(vm: MicroPythonVM, vector: dict[str, Any]) -> None:
    expected = ["refused", *(vector[name] for name in ("code", "field", "given", "limit"))]
    assert both(vm, "message", line_of(vector), pending_of(vector))[:5] == expected


def test_streams(vm: MicroPythonVM) -> None:
    for vector in VECTORS["streams"]:
        stream = vector["bytes"].encode("latin-1")
        for size in (1, 100, 512):
            pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
            seen = vm.call(PORTABLE, "lines_of", [pieces])
            assert seen == [101 if line is None else line.encode("latin-1") for line in vector["lines"]], vector["what"]


# --- agreement --------------------------------------------------------------------------------------------------------
@differential
@given(requests())
def test_requests_are_written_and_read_the_same(vm: MicroPythonVM, sent: Sent) -> None:
    method, request_id, params = sent
    kind, line = both(vm, "request_line", method, request_id, params)
    assert kind == "line"
    assert both(vm, "request", line) == ["request", request_id, method, params]


@differential
@given(messages())
def test_what_the_pen_says_is_written_and_read_the_same(vm: MicroPythonVM, sent: Sent) -> None:
    name, request_id, values = sent
    kind, line = both(vm, "pen_line", name, request_id, values)
    assert kind == "line"
    assert both(vm, "message", line, {request_id: name})[3:] == [name, values, None]


@settings(differential, max_examples=400)
@given(almost_requests())
def test_almost_legal_lines_are_refused_the_same(vm: MicroPythonVM, body: str) -> None:
    both(vm, "request", sealed(body.encode("latin-1")))


@differential
@given(almost_requests())
def test_almost_legal_messages_are_refused_the_same(vm: MicroPythonVM, body: str) -> None:
    for method in ("ping", "record.list"):
        both(vm, "message", sealed(body.replace('"params"', '"result"').encode("latin-1")), {41: method})


@differential
@given(st.binary(max_size=1100), st.booleans())
def test_noise_is_refused_the_same(vm: MicroPythonVM, noise: bytes, with_crc: bool) -> None:
    assert both(vm, "request", sealed(noise) if with_crc else noise)[0] == "refused"


@differential
@given(
    st.sampled_from(["ping", "arm", "load.chunk", "status", "record.list", "telemetry"]),
    st.dictionaries(
        st.sampled_from(["nonce", "zone", "offset", "data", "state", "sessions", "acked", "uptime_ms"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=20)
        | st.binary(max_size=20)
        | st.lists(st.none() | st.booleans() | st.integers(-1, 9), max_size=3),
        max_size=4,
    ),
)
def test_encoders_refuse_the_same(vm: MicroPythonVM, name: str, values: dict[str, Any]) -> None:
    both(vm, "pen_line", name, 41, values)


@differential
@given(CHUNKS, st.lists(st.integers(0, 10_000), max_size=30))
def test_streams_are_cut_the_same(vm: MicroPythonVM, chunks: list[bytes], cuts: list[int]) -> None:
    both(vm, "lines_of", pieces_of(b"".join(chunks), cuts))
