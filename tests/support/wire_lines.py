"""What the tests of the wire share: values at the edges of each field, and a second opinion on what a legal line is.

The second opinion is the definition read literally, over CPython's json: parse, write again, compare byte for byte. It
shares the tables of `pencore.wire` with the code under test, and nothing else.
"""

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pencore import faults, lines, wire
from pencore.lines import LineReader, LineRefusal

if TYPE_CHECKING:
    from pencore.lines import Field, Fields

NONCE = "5e1f0c84a2b96d37"
ACCEPTED = 0

_ENVELOPE = re.compile(rb'\{"jsonrpc":"2\.0","id":([1-9][0-9]{0,9}),"method":"([^"\\]*)","params":\{.*\}\}')
_PLAIN = re.compile(r"[ !#-\[\]-~]*")


def sealed(body: bytes) -> bytes:
    """Return the line of any `body`, however wrong it is, with the right CRC."""
    return body + b"*%08x\n" % zlib.crc32(body)


def smallest(fields: "Fields") -> dict[str, Any]:
    """Return the lowest or shortest legal value of each field; null where there is one."""
    return {field[0]: _edge(field, field[2], field[4]) for field in fields}


def largest(fields: "Fields") -> dict[str, Any]:
    """Return the value of each field that takes the most room on the line."""
    values = {}
    for field in fields:
        longest = max(field[2], field[3], key=lambda bound: len(str(bound)))
        values[field[0]] = _edge(field, longest, field[5])
    return values


def _edge(field: "Field", bound: int, count: int) -> Any:
    _, kind, low, _, _, _ = field
    if kind == lines.TEXT:
        return "~" * bound
    if kind == lines.HEX:
        return "f" * bound
    if kind == lines.BASE64:
        return b"\xff" * (bound // 4 * 3)
    if kind == lines.INTEGERS:
        return [bound] * count
    return None if kind == lines.NULLABLE and bound == low else bound


# --- the second opinion -----------------------------------------------------------------------------------------------
def reference_code(line: bytes) -> int:
    """Return ACCEPTED for a legal request, else the code it is refused with."""
    if len(line) > 1024:
        return faults.WIRE_TOO_LONG
    if not re.fullmatch(rb"[ -~]*\n", line):
        return faults.WIRE_BAD_FORM
    frame = re.fullmatch(rb"(.*)\*([0-9a-f]{8})\n", line)
    if frame is None or zlib.crc32(frame[1]) != int(frame[2], 16):
        return faults.WIRE_BAD_CRC
    envelope = _ENVELOPE.fullmatch(frame[1])
    if envelope is None or int(envelope[1]) > 0xFFFFFFFF:
        return faults.WIRE_BAD_FORM
    method = envelope[2].decode()
    if method not in wire.METHODS:
        return faults.WIRE_UNKNOWN_METHOD
    fields = wire.METHODS[method][0]
    values = _parsed(frame[1], fields)
    if values is None:
        return faults.WIRE_BAD_FORM
    if all(_in_range(field, values[field[0]]) for field in fields):
        return ACCEPTED
    return faults.WIRE_BAD_PARAM


def _parsed(body: bytes, fields: "Fields") -> dict[str, Any] | None:
    """Return the params of a request in canonical form, or None."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    # Parsing and writing again drops duplicates and spaces, and turns 1e3 and 01 into something else.
    if json.dumps(message, separators=(",", ":")).encode() != body or list(message) != [
        "jsonrpc",
        "id",
        "method",
        "params",
    ]:
        return None
    params: dict[str, Any] = message["params"]
    if list(params) != [field[0] for field in fields]:
        return None
    return params if all(_of_kind(field, params[field[0]]) for field in fields) else None


def _of_kind(field: "Field", value: Any) -> bool:
    kind = field[1]
    if kind in (lines.INTEGER, lines.NULLABLE):
        return _is_integer(value) or (kind == lines.NULLABLE and value is None)
    if kind == lines.INTEGERS:
        return isinstance(value, list) and all(_is_integer(item) for item in value)
    return isinstance(value, str) and _PLAIN.fullmatch(value) is not None


def _is_integer(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**32


def _in_range(field: "Field", value: Any) -> bool:
    _, kind, low, high, fewest, most = field
    if value is None:
        return True
    if kind == lines.TEXT:
        return low <= len(value) <= high
    if kind == lines.HEX:
        return len(value) == high and re.fullmatch("[0-9a-f]*", value) is not None
    if kind == lines.BASE64:
        return low <= len(value) <= high and _is_base64(value)
    if kind == lines.INTEGERS:
        return fewest <= len(value) <= most and all(low <= item <= high for item in value)
    return bool(low <= value <= high)


def _is_base64(text: str) -> bool:
    try:
        return b64encode(b64decode(text, validate=True)).decode() == text
    except ValueError:
        return False


# --- the code under test ----------------------------------------------------------------------------------------------
def code_of(line: bytes) -> int:
    """Return ACCEPTED when the decoder takes `line` as a request, else the code it refuses it with."""
    try:
        wire.decode_request(line)
    except LineRefusal as refusal:
        return refusal.code
    return ACCEPTED


def lines_of(pieces: Iterable[bytes]) -> list[bytes | int]:
    """Return what a LineReader makes of `pieces`: lines, and the codes of what it refuses."""
    reader = LineReader()
    seen: list[bytes | int] = []
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                line = reader.take()
            except LineRefusal as refusal:
                seen.append(refusal.code)
                continue
            if line is None:
                break
            seen.append(line)
    return seen
