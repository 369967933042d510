"""What a line is, byte for byte, whatever it says: frame, canonical values, the walk along a table.

Runs on pen, host and simulator. A line is `JSON*crc32hex8` and a newline, at most 1,024 bytes in all. Its JSON is
canonical: keys in the table's order, no spaces, integers of -2**31..2**32-1, strings of `[ -~]` without quote and
backslash. A line is legal only if it is what the encoder would have written, so the decoder is not a JSON parser: it
walks the bytes along the table and refuses the first one that differs. What it accepts can't depend on whose parser is
underneath, nesting can't exhaust a stack, and no number outgrows 32 bits. The messages are in `pencore.wire`.

Allocates one LineReader of 1 KiB, and per line a few times its length; a Stencil is for lines that must not.
"""

import binascii
import struct

from pencore import faults
from pencore.compat import const
from pencore.digest import crc32, text_problem
from pencore.faults import Refusal

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Sequence

    Field = tuple[str, int, int, int, int, int]
    Fields = tuple[Field, ...]

LINE_MAX = const(1024)
"""Longest line in bytes, newline included."""
FEED_MAX = const(512)
"""Most bytes a LineReader takes at once: bounds the work of one turn of the loop."""
STOP_BYTE = const(0x18)
"""Anywhere in the stream, outside and inside of lines: stop."""
_STOP = const(b"\x18")

INT_MIN = -0x80000000
INT_MAX = 0xFFFFFFFF

_TAIL_SIZE = const(10)
_DIGITS_MAX = const(10)
_FIRST = const(0x20)
_LAST = const(0x7E)
_DIGITS = const(b"0123456789")
_HEX_DIGITS = const("0123456789abcdef")
_ZERO = const(0x30)
_STAR = const(0x2A)
_NEWLINE = const(0x0A)
_BASE64_DIGITS = const("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

# --- kinds of fields; a field is (name, kind, low, high, fewest, most) -----------------------------------------------
INTEGER = const(0)
"""An integer low..high."""
NULLABLE = const(1)
"""An integer low..high, or null."""
TEXT = const(2)
"""A string of low..high characters."""
HEX = const(3)
"""A string of exactly `high` lower-case hex digits."""
BASE64 = const(4)
"""Bytes, sent as low..high characters of canonical base64; `bytes` on both ends of the codec."""
INTEGERS = const(5)
"""A list of fewest..most integers, each low..high."""


class LineRefusal(Refusal):
    """A line that is not accepted, or a message that can't be sent; always a code 1xx.

    `request_id` is the id to answer under; None (null in the answer) when the line was not understood well enough to
    have one. For WIRE_BAD_FORM `given` is the offset of the piece (fixed text or value) that is not as the encoder
    would write it.
    """

    def __init__(
        self,
        code: int,
        field: str = "",
        given: "Optional[int]" = None,
        limit: "Optional[int]" = None,
        request_id: "Optional[int]" = None,
    ) -> None:
        super().__init__(code, field, given, limit)
        self.request_id = request_id


# --- frame -----------------------------------------------------------------------------------------------------------
def frame(text: str) -> bytes:
    """Return the line that carries `text` (canonical JSON); ValueError when it would be too long."""
    return framed(text.encode())


# What the pen sends is put together as bytes: MicroPython seeks each new str among all names it knows, for 0.2 ms.
def framed(body: bytes) -> bytes:
    """Return the line that carries `body`, as `frame` does."""
    line = body + _tail(body)
    if len(line) > LINE_MAX:
        raise ValueError("line of %d bytes" % len(line))
    return line


def unframe(line: bytes) -> bytes:
    """Return the JSON of `line`.

    Raises LineRefusal, the first that holds of WIRE_TOO_LONG, WIRE_BAD_FORM (a byte outside `[ -~]`), WIRE_BAD_CRC.
    """
    size = len(line)
    if size > LINE_MAX:
        raise LineRefusal(faults.WIRE_TOO_LONG, "", size, LINE_MAX)
    text = line[:-1]
    # min() and max() look at each byte much faster than a loop of ours, or strip(), which seeks each in a set.
    if line[-1:] != b"\n" or (text and not (min(text) >= _FIRST and max(text) <= _LAST)):
        raise LineRefusal(faults.WIRE_BAD_FORM)
    body = line[: size - _TAIL_SIZE] if size > _TAIL_SIZE else b""
    if line[len(body) :] != _tail(body):
        raise LineRefusal(faults.WIRE_BAD_CRC)
    return body


def _tail(body: bytes) -> bytes:
    """Return what ends the line of `body`: star, CRC-32, newline."""
    return b"*%08x\n" % crc32(body)


class Stencil:
    """A line of `fields`, integers of 0 or more, that is sent all the time: cut once, filled in place each time.

    `head`: the line up to the object of the fields, whose brace and its parent's end it. Allocates its memory when it
    is made; a line takes a view of it and a CRC.
    """

    def __init__(self, head: bytes, fields: "Fields") -> None:
        self._fields = fields
        self._texts = tuple(
            [b'%s"%s":' % (b"," if at else head, field[0].encode()) for at, field in enumerate(fields)] + [b"}}"]
        )
        # Packed and not assigned to a slice, which would allocate one each time.
        self._forms = tuple(["%ds" % len(text) for text in self._texts])
        size = sum([len(text) + _DIGITS_MAX for text in self._texts]) + _TAIL_SIZE
        self._line = bytearray(size)
        self._view = memoryview(self._line)
        self._crc = bytearray(4)

    def fill(self, values: "Sequence[Optional[int]]") -> memoryview:
        """Return the line with `values`, in the fields' order, good until the next call; ValueError as `members`."""
        line = self._line
        at = 0
        for index, field in enumerate(self._fields):
            at = self._text(index, at)
            value = values[index]
            if type(value) is int and value >= 0 and field[2] <= value <= field[3]:
                at = _put_digits(line, at, value)
            elif value is None and field[1] == NULLABLE:
                struct.pack_into("4s", line, at, b"null")
                at += 4
            else:
                raise ValueError("no value for %s" % field[0])
        at = self._text(len(self._fields), at)
        struct.pack_into(">I", self._crc, 0, crc32(self._view[:at]))
        line[at] = _STAR
        digits = b"0123456789abcdef"
        for byte in self._crc:
            line[at + 1] = digits[byte >> 4]
            line[at + 2] = digits[byte & 15]
            at += 2
        line[at + 1] = _NEWLINE
        return self._view[: at + 2]

    def _text(self, index: int, at: int) -> int:
        text = self._texts[index]
        struct.pack_into(self._forms[index], self._line, at, text)
        return at + len(text)


def _put_digits(line: bytearray, at: int, value: int) -> int:
    """Write `value` (>= 0) at `at`; return where it ends."""
    end = at + 1
    bound = 10
    while value >= bound:
        bound *= 10
        end += 1
    at = end
    while True:
        at -= 1
        line[at] = _ZERO + value % 10
        value //= 10
        if not value:
            return end


# --- values ----------------------------------------------------------------------------------------------------------
def members(fields: "Fields", values: "Mapping[str, Any]") -> bytes:
    """Return the members of a JSON object in the table's order; ValueError for a missing, unknown or bad value."""
    return template(fields) % checked(fields, values)


def template(fields: "Fields") -> bytes:
    """Return the members of a JSON object with a place for each value that `checked` returns."""
    places = [b'"%s":%s' % (field[0].encode(), b"%d" if field[1] == INTEGER else b"%s") for field in fields]
    return b",".join(places)


def checked(fields: "Fields", values: "Mapping[str, Any]") -> "tuple[Any, ...]":
    """Return the values in the table's order, integers as they are, others as JSON; ValueError as `members`."""
    if len(values) != len(fields):
        raise ValueError("%d values for %d fields" % (len(values), len(fields)))
    found = []
    for field in fields:
        name = field[0]
        if name not in values:
            raise ValueError("no %s" % name)
        value = values[name]
        # The kind that most fields are of, in range, needs no more questions: telemetry has eleven of them.
        if not (field[1] == INTEGER and type(value) is int and field[2] <= value <= field[3]):
            problem = field_problem(field, value)
            if problem:
                raise ValueError(str(problem))
            value = _json(field[1], value)
        found.append(value)
    return tuple(found)


def _json(kind: int, value: "Any") -> bytes:
    """Return the canonical JSON of a value already checked by `field_problem`."""
    if value is None:
        return b"null"
    if kind == TEXT or kind == HEX:
        text: bytes = value.encode()
        return b'"%s"' % text
    if kind == BASE64:
        return b'"%s"' % _to_base64(value)
    if kind == INTEGERS:
        return b"[%s]" % b",".join([b"%d" % item for item in value])
    return b"%d" % value


def _to_base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data)[:-1]


def field_problem(field: "Field", value: "Any") -> "Optional[LineRefusal]":
    """Return why `value` is not one of `field`'s (WIRE_BAD_PARAM with given and limit), or None when it is.

    Of strings, bytes and lists, given and limit are lengths; a value of another kind, or with a character that is not
    allowed, has neither.
    """
    name, kind, low, high, fewest, most = field
    if kind == INTEGER:
        return _range_problem(name, value, low, high)
    if kind == TEXT or kind == HEX:
        if type(value) is not str:
            return LineRefusal(faults.WIRE_BAD_PARAM, name)
        if not low <= len(value) <= high:
            return _range_problem(name, len(value), low, high)
        foreign = value.strip(_HEX_DIGITS) != "" if kind == HEX else value != "" and text_problem(value, high)
        return LineRefusal(faults.WIRE_BAD_PARAM, name) if foreign else None
    if kind == BASE64:
        if not isinstance(value, (bytes, bytearray)):
            return LineRefusal(faults.WIRE_BAD_PARAM, name)
        return _range_problem(name, (len(value) + 2) // 3 * 4, low, high)
    if kind == INTEGERS:
        if not isinstance(value, (list, tuple)):
            return LineRefusal(faults.WIRE_BAD_PARAM, name)
        problem = _range_problem(name, len(value), fewest, most)
        for item in value:
            problem = problem or _range_problem(name, item, low, high)
        return problem
    if value is None and kind == NULLABLE:
        return None
    return _range_problem(name, value, low, high)


def _range_problem(name: str, value: "Any", low: int, high: int) -> "Optional[LineRefusal]":
    """Return a refusal that names the bound broken, or None for an integer (True is none) of low..high."""
    if type(value) is not int:
        return LineRefusal(faults.WIRE_BAD_PARAM, name)
    if value < low:
        return LineRefusal(faults.WIRE_BAD_PARAM, name, value, low)
    if value > high:
        return LineRefusal(faults.WIRE_BAD_PARAM, name, value, high)
    return None


def refuse_problem(field: "Field", value: "Any", request_id: "Optional[int]") -> None:
    """Raise `field_problem`'s refusal, if there is one, as the answer to `request_id`."""
    problem = field_problem(field, value)
    if problem:
        problem.request_id = request_id
        raise problem


def in_range(fields: "Fields", values: "dict[str, Any]", request_id: "Optional[int]") -> "dict[str, Any]":
    """Return `values` with base64 turned into bytes, or refuse the first that is not in its field's range."""
    for field in fields:
        name = field[0]
        if field[1] == BASE64:
            values[name] = _from_base64(values[name])
        refuse_problem(field, values[name], request_id)
    return values


def _from_base64(text: str) -> "Optional[bytes]":
    """Return the bytes whose canonical base64 is `text`, or None when there are none."""
    padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0
    # The decoders underneath differ in what they pass over and what they raise: they get to see nothing doubtful.
    if len(text) % 4 or text[: len(text) - padding].strip(_BASE64_DIGITS):
        return None
    data = binascii.a2b_base64(text)
    return data if _to_base64(data) == text.encode() else None


# --- the walk --------------------------------------------------------------------------------------------------------
class Walker:
    """Walks the JSON of one line; each step takes what the encoder would have written there or refuses the line."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def refuse(self, field: str) -> "LineRefusal":
        """Return the refusal of the line at the present byte."""
        return LineRefusal(faults.WIRE_BAD_FORM, field, self.at)

    def literal(self, text: bytes, field: str) -> None:
        """Take `text`."""
        if not self.body.startswith(text, self.at):
            raise self.refuse(field)
        self.at += len(text)

    def tail(self, text: bytes) -> None:
        """Take all that is left, which must end in `text`."""
        if not self.body.endswith(text):
            raise self.refuse("")
        self.at = len(self.body)

    def end(self) -> None:
        """Refuse anything that is left."""
        if self.at != len(self.body):
            raise self.refuse("")

    def message_id(self) -> int:
        """Take the id of a message, 1..2**32-1."""
        value = self.integer("id")
        if value < 1:
            raise self.refuse("id")
        return value

    def integer(self, field: str) -> int:
        """Take an integer of -2**31..2**32-1 as `%d` writes it: no sign but a minus, no leading zero, no -0."""
        body = self.body
        first = self.at + (1 if body.startswith(b"-", self.at) else 0)
        piece = body[first : first + _DIGITS_MAX + 1]
        end = first + len(piece) - len(piece.lstrip(_DIGITS))
        zero = piece.startswith(b"0")
        if first < end <= first + _DIGITS_MAX and not (zero and end - self.at > 1):
            value = int(body[self.at : end])
            if INT_MIN <= value <= INT_MAX:
                self.at = end
                return value
        raise self.refuse(field)

    def string(self, field: str) -> str:
        """Take a string; there is no escape in it, so it ends at the next quote."""
        self.literal(b'"', field)
        end = self.body.find(b'"', self.at)
        value = self.body[self.at : end]
        if end < 0 or b"\\" in value:
            raise self.refuse(field)
        self.at = end + 1
        return value.decode()

    def integers(self, field: str) -> "list[int]":
        """Take a list of integers."""
        self.literal(b"[", field)
        items = []
        if not self.body.startswith(b"]", self.at):
            items.append(self.integer(field))
            while self.body.startswith(b",", self.at):
                self.at += 1
                items.append(self.integer(field))
        self.literal(b"]", field)
        return items

    def members(self, fields: "Fields") -> "dict[str, Any]":
        """Take the members of an object, all of `fields` in their order; values of the right kind in any range."""
        values: "dict[str, Any]" = {}
        comma = b""
        for field in fields:
            name = field[0]
            kind = field[1]
            self.literal(b'%s"%s":' % (comma, name.encode()), name)
            comma = b","
            if kind == INTEGERS:
                values[name] = self.integers(name)
            elif kind == NULLABLE and self.body.startswith(b"null", self.at):
                self.at += 4
                values[name] = None
            elif kind == INTEGER or kind == NULLABLE:
                values[name] = self.integer(name)
            else:
                values[name] = self.string(name)
        return values


# --- lines out of a stream -------------------------------------------------------------------------------------------
class LineReader:
    """Cuts a stream of bytes into lines, however it arrives in pieces. Holds one line and one piece, never more.

    `feed` a piece, then `take` until it returns None, then the next piece. A line that gets too long is dropped up to
    its newline and refused once. Stop bytes before a line are passed over, so that a stop never spoils the line that
    follows; inside a line one stays, and makes the line illegal.
    """

    def __init__(self) -> None:
        self._line = bytearray(LINE_MAX)
        self._view = memoryview(self._line)
        self._length = 0
        self._dropping = False
        self._piece = b""
        self._at = 0

    def feed(self, piece: bytes) -> None:
        """Take in `piece`, at most 512 bytes; ValueError when it is longer or the piece before is not used up."""
        if len(piece) > FEED_MAX or self.pending():
            raise ValueError("piece of %d bytes" % len(piece))
        self._piece = piece
        self._at = 0

    def pending(self) -> bool:
        """Return whether the piece is not used up."""
        return self._at < len(self._piece)

    def stop_behind(self) -> bool:
        """Return whether there is a stop byte in what is not used up."""
        return self._piece.find(_STOP, self._at) >= 0

    def take(self) -> "Optional[bytes]":
        """Return the next line, newline included, or None when the piece is used up; LineRefusal WIRE_TOO_LONG."""
        piece = self._piece
        size = len(piece)
        while self._at < size:
            if self._length == 0 and not self._dropping and piece[self._at] == STOP_BYTE:
                self._at += 1
                continue
            newline = piece.find(b"\n", self._at)
            start = self._at
            self._at = size if newline < 0 else newline + 1
            if self._dropping:
                self._dropping = newline < 0
                continue
            length = self._length + self._at - start
            if length > LINE_MAX or (length == LINE_MAX and newline < 0):
                self._length = 0
                self._dropping = newline < 0
                raise LineRefusal(faults.WIRE_TOO_LONG, "", None, LINE_MAX)
            self._line[self._length : length] = piece[start : self._at]
            self._length = length
            if newline >= 0:
                self._length = 0
                return bytes(self._view[:length])
        return None
