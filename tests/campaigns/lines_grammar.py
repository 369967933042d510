"""Lines that are almost legal: drawn from the wire's table, and changed where it hurts. Host only.

A piece is a line before it is sent: its JSON with marks where the pen's nonce and the next id go, and how it ends. So
the same piece can be sent to any pen, at any time, and a run can be played again without some of its pieces.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pencore import lines, wire
from tests.campaigns.lines_model import STOP, Talk
from tests.support.wire_lines import NONCE, largest, sealed, smallest
from tests.support.wire_strategies import KEYS, ODD_VALUES

if TYPE_CHECKING:
    from pencore.lines import Field

NEXT = b"@+1@"
"""Stands for the next id; other numbers for ids before and after."""
AGAIN = b"@again@"
"""Stands for the last request that was carried out, as it was."""
BODY_MOST = 3000
"""Longest JSON: what is longer than a line is refused as such, and floods are many pieces."""

_SHOWN = 240
_ID = re.compile(rb"@([+-][0-9]{1,11})@")
_NONCE = NONCE.encode()
_OLDEST = b"@session@"
_DIGEST = b"@digest@"


class End(StrEnum):
    """How a line ends after its JSON."""

    RIGHT = "right"
    FLIPPED = "one digit wrong"
    UPPER = "capital digits"
    SHORT = "seven digits"
    LONG = "nine digits"
    ZERO = "zeros"
    NO_STAR = "no star"
    RETURN = "CR LF"
    BARE = "no CRC"
    OPEN = "no newline"


@dataclass(frozen=True)
class Piece:
    """What is going to be a line, or a piece of noise."""

    body: bytes
    end: End = End.RIGHT

    def __str__(self) -> str:
        shown = repr(self.body)[1:]
        if len(shown) > _SHOWN:
            shown = f"{shown[: _SHOWN // 2]} ... {shown[-_SHOWN // 2 :]} ({len(self.body)} bytes)"
        return f"{shown} {self.end}"


def rendered(piece: Piece, talk: Talk, record: tuple[int, str] = (0, "0" * 64)) -> bytes:
    """Return the bytes of a piece for a pen; `record`: session and digest of its oldest record not acknowledged."""
    if piece.body == AGAIN:
        return talk.last_line or b"\n"
    body = piece.body.replace(_NONCE, talk.nonce.encode())
    if b"@" in body:
        body = _ID.sub(lambda mark: b"%d" % max(talk.last_id + int(mark[1]), -1), body)
        body = body.replace(_OLDEST, b"%d" % record[0]).replace(_DIGEST, record[1].encode())
    return _ended(body, piece.end)


def _ended(body: bytes, end: End) -> bytes:
    line = sealed(body)
    match end:
        case End.RIGHT:
            return line
        case End.FLIPPED:
            return line[:-2] + (b"0" if line[-2:-1] != b"0" else b"1") + b"\n"
        case End.UPPER:
            return line[:-9] + line[-9:].upper()
        case End.SHORT:
            return line[:-2] + b"\n"
        case End.LONG:
            return line[:-1] + b"0\n"
        case End.ZERO:
            return body + b"*00000000\n"
        case End.NO_STAR:
            return line[:-10] + line[-9:]
        case End.RETURN:
            return line[:-1] + b"\r\n"
        case End.BARE:
            return body + b"\n"
        case End.OPEN:
            return line[:-1]


# --- legal values, and those beside them ------------------------------------------------------------------------------
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\@')
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _number(rng: random.Random, low: int, high: int) -> str:
    """Return a number as text: mostly at one of its bounds, or just past it."""
    chance = rng.random()
    if chance < 0.4:
        return str(rng.randint(low, min(high, low + 300)))
    near = rng.choice((low, high)) + rng.choice((0, 0, 0, -1, 1))
    return str(near) if chance < 0.8 else str(rng.choice((0, 1, 2, low, high, lines.INT_MAX, lines.INT_MIN)))


def _text(rng: random.Random, low: int, high: int) -> str:
    size = rng.choice((low, high, rng.randint(low, high), rng.randint(low, high), high + 1, max(low - 1, 0)))
    text = "".join(rng.choices(_PLAIN, k=size))
    if rng.random() < 0.1:
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice(('"', "\\", "\\u0041", "\t", "\x7f", "\x00", "\xe4")) + text[at:]
    return f'"{text}"'


def _hex(rng: random.Random, digits: int) -> str:
    if digits == 16:
        # The only field of 16 digits is the nonce.
        return f'"{NONCE}"'
    size = rng.choice((digits, digits, digits, digits, digits - 1, digits + 1, 0))
    alphabet = rng.choice(("0123456789abcdef", "0", "f", "0123456789abcdef", "0123456789ABCDEF", "0123456789abcdefg"))
    return f'"{"".join(rng.choices(alphabet, k=size))}"'


def _base64(rng: random.Random, low: int, high: int) -> str:
    groups = rng.choice((low // 4, 1, 2, rng.randint(1, high // 4), high // 4, high // 4 + 1))
    text = "".join(rng.choices(_BASE64, k=4 * groups))
    if rng.random() < 0.4 and text:
        # Padding: as it is to be, with bits left over, and in a wrong place.
        text = text[:-2] + rng.choice(("A=", "B=", "==", "=A", "_A", "A", " ="))
    return f'"{text}"'


def _value(rng: random.Random, field: "Field") -> str:
    name, kind, low, high, _, _ = field
    if kind == lines.NULLABLE and rng.random() < 0.3:
        return "null"
    if kind in (lines.INTEGER, lines.NULLABLE):
        if name == "session" and rng.random() < 0.5:
            return _OLDEST.decode() if rng.random() < 0.7 else str(rng.randint(0, 5))
        return _number(rng, low, high)
    if kind == lines.HEX:
        if name == "sha256" and rng.random() < 0.3:
            return f'"{_DIGEST.decode()}"'
        return _hex(rng, high)
    return _text(rng, low, high) if kind == lines.TEXT else _base64(rng, low, high)


_METHODS = tuple(wire.METHODS)


def request(rng: random.Random, method: str | None = None) -> Piece:
    """Return a request of the table, its params at and just past their bounds, everything else as it is to be."""
    method = rng.choice(_METHODS) if method is None else method
    params = ",".join(f'"{field[0]}":{_value(rng, field)}' for field in wire.METHODS[method][0])
    return asked(method, params)


def asked(method: str, params: str) -> Piece:
    """Return the request of a method with `params` as they are written."""
    return Piece(
        f'{{"jsonrpc":"2.0","id":{NEXT.decode()},"method":"{method}","params":{{{params}}}}}'.encode("latin-1")
    )


def plain(method: str, **params: str) -> Piece:
    """Return a request with the right nonce and these params, written as JSON."""
    return asked(method, ",".join([f'"nonce":"{NONCE}"', *(f'"{name}":{value}' for name, value in params.items())]))


@cache
def first_pieces() -> tuple[Piece, ...]:
    """Return what a corpus begins with: the smallest and the largest request of each method."""
    found = []
    for method, (fields, _, _) in wire.METHODS.items():
        for values in (smallest(fields), largest(fields)):
            if "nonce" in values:
                values["nonce"] = NONCE
            line = wire.encode_request(method, 1, values)
            found.append(Piece(line[: line.rindex(b"*")].replace(b'"id":1,', b'"id":%s,' % NEXT, 1)))
    return tuple(found)


# --- what is done to a line -------------------------------------------------------------------------------------------
Change = Callable[[random.Random, bytes, Piece], bytes]

_BITS = (
    b" ",
    b"  ",
    b"0",
    b"-",
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b"\\",
    b"*",
    b"@",
    b"null",
    b"\x00",
    b"\xff",
)
_IDS = (
    b"@+0@",
    b"@-1@",
    b"@+2@",
    b"@+7@",
    b"@+256@",
    b"@+257@",
    b"0",
    b"1",
    b"4294967295",
    b"4294967296",
    b"01",
    b"-1",
)
_ODD = tuple(value.encode("latin-1") for value in ODD_VALUES)
_NAMES = tuple(key.encode() for key in KEYS)
_LITERALS = (
    b"[" * 700,
    b"{" * 300,
    b"import machine",
    b"\x04\x03\x02\x01\x05",
    b"\r\n",
    b'{"jsonrpc":"2.0","method":"arm"}',
)


def _spots(body: bytes, marks: bytes) -> list[int]:
    return [at for at, byte in enumerate(body) if byte in marks]


def _spot(rng: random.Random, body: bytes, marks: bytes) -> int:
    found = _spots(body, marks)
    return rng.choice(found) if found else 0


def _bit_flipped(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    at = rng.randrange(len(body)) if body else 0
    return body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :] if body else b"{"


def _byte_put(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    at = rng.randint(0, len(body))
    return body[:at] + rng.choice(_BITS) + body[at + rng.randint(0, 1) :]


def _cut_out(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    at = rng.randint(0, len(body))
    return body[:at] + body[at + rng.choice((1, 1, 2, 5, 40, 2000)) :]


def _doubled(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    begin, end = sorted((rng.randint(0, len(body)), rng.randint(0, len(body))))
    return body[:end] + body[begin:end] * rng.choice((1, 1, 1, 3, 30)) + body[end:]


def _other_value(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    start = _spot(rng, body, b":") + 1
    end = start
    while end < len(body) and body[end] not in b",}":
        end += 1
    return body[:start] + rng.choice(_ODD) + body[end:]


def _other_id(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    return body.replace(NEXT, rng.choice(_IDS), 1)


def _moved(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    parts = body.split(b",")
    chance = rng.random()
    if chance < 0.4:
        rng.shuffle(parts)
    elif chance < 0.7:
        parts.insert(rng.randint(0, len(parts)), rng.choice(parts))
    else:
        parts.pop(rng.randrange(len(parts)))
    return b",".join(parts)


def _other_key(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    return body.replace(b'"%s"' % rng.choice(body.split(b'"')), b'"%s"' % rng.choice(_NAMES), 1)


def _member_more(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    at = _spot(rng, body, b",}")
    return body[:at] + b',"%s":%s' % (rng.choice(_NAMES), rng.choice(_ODD)) + body[at:]


def _other_method(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    name = rng.choice((*_METHODS, "state", "telemetry", "ARM", "arm ", "", "load", "x" * 40)).encode()
    return re.sub(rb'"method":"[^"]*"', b'"method":"%s"' % name, body, count=1)


def _spliced(rng: random.Random, body: bytes, other: Piece) -> bytes:
    """Go over to another line between two tokens, or between two brackets."""
    marks = rng.choice((b",", b":", b'"', b"{}", b",:{}"))
    return body[: _spot(rng, body, marks)] + other.body[_spot(rng, other.body, marks) :]


def _digits(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    """Change one number a little: by one, by a digit, by its sign."""
    found = list(re.finditer(rb"-?[0-9]+", body))
    if not found:
        return body
    number = rng.choice(found)
    text = number[0]
    value = int(text) if len(text) < 30 else 0
    changed = rng.choice(
        (b"%d" % (value + 1), b"%d" % (value - 1), b"%d" % -value, text + b"0", b"0" + text, text[1:], b"-" + text)
    )
    return body[: number.start()] + changed + body[number.end() :]


def _spaced(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    at = _spot(rng, body, b",:{}[]") + rng.randint(0, 1)
    return body[:at] + rng.choice((b" ", b"\t", b"\r", b"  ")) + body[at:]


def _widened(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    """Make it just as long as a line may be, or a little longer or shorter, by what stands in a string."""
    at = body.rfind(b'"')
    room = 1014 + rng.choice((-1, 0, 0, 1, 2)) - len(body)
    return body[:at] + b"0" * max(room, 0) + body[at:] if at > 0 else body


def _stop_in(rng: random.Random, body: bytes, _other: Piece) -> bytes:
    at = rng.choice((0, len(body), rng.randint(0, len(body))))
    return body[:at] + STOP * rng.choice((1, 1, 1, 2, 9)) + body[at:]


_CHANGES: tuple[Change, ...] = (
    _bit_flipped,
    _byte_put,
    _cut_out,
    _doubled,
    _other_value,
    _other_id,
    _moved,
    _other_key,
    _member_more,
    _other_method,
    _spliced,
    _digits,
    _spaced,
    _widened,
    # The likelier ones; a stop byte is put in apart, for it alone has an effect.
    _other_value,
    _digits,
    _digits,
    _spliced,
)
_ENDS = (*(End.RIGHT,) * 24, *End)


def changed(rng: random.Random, piece: Piece, other: Piece) -> Piece:
    """Return a piece with one to three things changed, its CRC mostly right; the nonce stays where it was."""
    body = piece.body
    for _ in range(rng.randint(1, 3)):
        body = rng.choice(_CHANGES)(rng, body, other)
    return Piece(body.replace(b"\n", b" ").replace(STOP, b"?")[:BODY_MOST], rng.choice(_ENDS))


def with_stop(rng: random.Random, piece: Piece) -> Piece:
    """Return a piece with stop bytes somewhere in it."""
    return Piece(_stop_in(rng, piece.body, piece), piece.end)


def noise(rng: random.Random) -> Piece:
    """Return a piece of what no host would say."""
    chance = rng.random()
    if chance < 0.5:
        body = rng.randbytes(rng.choice((1, 3, 20, 100, 500, 1020, 1500)))
    elif chance < 0.8:
        body = rng.choice((b"[", b"{", b" ", b'"', b"9", b"\xff", b"\x00")) * rng.choice(
            (1, 1000, 1023, 1024, 1025, 2500)
        )
    else:
        body = rng.choice(_LITERALS)
    return Piece(
        body.replace(b"\n", b" ").replace(STOP, b"?"), rng.choice((End.BARE, End.BARE, End.RIGHT, End.ZERO, End.OPEN))
    )
