"""Checks of `pencore.wire` and `pencore.lines` that both Pythons run, and the codec as plain data for properties."""

from pencore import faults, wire
from pencore.faults import Refusal
from pencore.lines import INT_MAX, INT_MIN, LineReader, LineRefusal, frame, unframe
from tests.portable.expect import equal, raised, true

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NONCE = "5e1f0c84a2b96d37"
_ARM = b'{"jsonrpc":"2.0","id":41,"method":"arm","params":{"nonce":"5e1f0c84a2b96d37","zone":3}}*4a092f2f\n'


def check_a_worked_line() -> None:
    """Byte for byte, in both directions."""
    equal(wire.encode_request("arm", 41, {"zone": 3, "nonce": _NONCE}), _ARM)
    equal(request(_ARM), ["request", 41, "arm", {"nonce": _NONCE, "zone": 3}])
    equal(unframe(_ARM), _ARM[:-10])


def check_no_order_of_a_dict_reaches_the_line() -> None:
    """MicroPython keeps no order in a dict; the table's order is the line's."""
    forwards = {"state": 1, "code": 2, "session_id": 3}
    backwards = {"session_id": 3, "code": 2, "state": 1}
    equal(wire.encode_notification("state", forwards), wire.encode_notification("state", backwards))


def check_what_json_parsers_let_pass() -> None:
    """Each of these is taken by one JSON parser or another; none is canonical."""
    for value in (
        "03",
        "-0",
        "3.0",
        "3e0",
        "true",
        "3,",
        "3 ",
        " 3",
        "[3]",
        "0x3",
        '"3"',
        "+3",
        "4294967296",
        "9" * 400,
    ):
        line = frame(_ARM[:-10].decode().replace('"zone":3', '"zone":' + value))
        equal(request(line)[1:2], [faults.WIRE_BAD_FORM], value)
    equal(request(frame("[" * 1000))[1:2], [faults.WIRE_BAD_FORM])


def check_integers_of_32_bits_are_whole() -> None:
    """Numbers past the pen's 31-bit small integers, and past what the wire carries."""
    for number in (INT_MIN, -(2**30) - 1, -1, 0, 2**30, 2**31, INT_MAX):
        line = wire.encode_notification("fault", {"code": 1, "aux": number, "state": 8})
        equal(wire.decode_message(line, {}).values["aux"], number)
    for number in (INT_MIN - 1, INT_MAX + 1, 2**64):
        raised(ValueError, wire.encode_notification, "fault", {"code": 1, "aux": number, "state": 8})
        told = wire.decode_message(wire.encode_error(1, Refusal(faults.INTERNAL, "", number)), {}).refusal
        true(told is not None and told.given is None)


def check_true_is_no_integer() -> None:
    """In CPython it is one."""
    for value in (True, False):
        equal(request_line("arm", 1, {"nonce": _NONCE, "zone": value}), ["refused", 105, "zone", None, None, None])


def check_a_stream() -> None:
    """A line cut in two, a stop byte, noise, a line too long."""
    pieces = [_ARM[:30], _ARM[30:] + b"\x18", _ARM, b"noise\xff\n", b"x" * 512, b"x" * 512, b"x\n" + _ARM]
    equal(lines_of(pieces), [_ARM, _ARM, b"noise\xff\n", faults.WIRE_TOO_LONG, _ARM])


def _refused(refusal: LineRefusal) -> "list[Any]":
    return ["refused", refusal.code, refusal.field, refusal.given, refusal.limit, refusal.request_id]


def request(line: bytes) -> "list[Any]":
    """Return what `decode_request` makes of `line`."""
    try:
        found = wire.decode_request(line)
    except LineRefusal as refusal:
        return _refused(refusal)
    return ["request", found.id, found.method, found.params]


def message(line: bytes, pending: "dict[int, str]") -> "list[Any]":
    """Return what `decode_message` makes of `line`."""
    try:
        found = wire.decode_message(line, pending)
    except LineRefusal as refusal:
        return _refused(refusal)
    told = None
    if found.refusal is not None:
        told = [found.refusal.code, found.refusal.field, found.refusal.given, found.refusal.limit, found.refusal.zone]
    return ["message", found.kind, found.id, found.name, found.values, told]


def request_line(method: str, request_id: int, params: "dict[str, Any]") -> "list[Any]":
    """Return what `encode_request` makes of its arguments."""
    try:
        return ["line", wire.encode_request(method, request_id, params)]
    except LineRefusal as refusal:
        return _refused(refusal)


def pen_line(name: str, request_id: int, values: "dict[str, Any]") -> "list[Any]":
    """Return the line of a notification or of a method's result, or what ValueError says of it."""
    try:
        if name in wire.NOTIFICATIONS:
            return ["line", wire.encode_notification(name, values)]
        return ["line", wire.encode_result(name, request_id, values)]
    except ValueError as error:
        return ["ValueError", str(error)]


def lines_of(pieces: "list[bytes]") -> "list[Any]":
    """Return the lines that a LineReader finds in `pieces`, and the codes of what it refuses."""
    reader = LineReader()
    seen: "list[Any]" = []
    for piece in pieces:
        reader.feed(piece)
        line: "Any" = b""
        while line is not None:
            try:
                line = reader.take()
                if line is not None:
                    seen.append(line)
            except LineRefusal as refusal:
                seen.append(refusal.code)
    return seen
