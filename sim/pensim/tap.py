"""What can happen to bytes on the cable between a host and a pen, one way and the other. Host only; pure.

A `Tap` has two ways. Each passes what it is given through the effects that were put on it, in their order, and costs
nothing while there are none. An effect sees a stream in pieces of any size; those on lines work on whole ones (up to
and with the newline) and let every other byte pass at once. What an effect holds back goes on when it is taken off.
"""

import json
import random
import re
import zlib
from collections.abc import Iterator
from typing import Protocol

_NONCE = re.compile(rb'"nonce":"([0-9a-f]{16})"')
_ID = re.compile(rb'"id":(\d{1,10})')
_AHEAD = 200
"""So far ahead of the first host's ids are those of a second one that has found out its nonce: as far as is taken."""
_STRANGE_ID = 77
_STRANGE_NONCE = "0123456789abcdef"


class Effect(Protocol):
    """Something that happens to the bytes of one way."""

    def passed(self, data: bytes) -> bytes:
        """Take the next bytes; return what comes out of them now."""

    def ended(self) -> bytes:
        """End it; return what it has held back."""


class Way:
    """One direction of the cable."""

    def __init__(self) -> None:
        self._effects: dict[str, Effect] = {}
        self._left = b""

    @property
    def disturbed(self) -> bool:
        """Whether anything happens to it, or something is still held back."""
        return bool(self._effects) or bool(self._left)

    def put(self, name: str, effect: Effect) -> None:
        """Let `effect` happen to all that comes from now on, in place of an earlier one of that name."""
        self.take_off(name)
        self._effects[name] = effect

    def take_off(self, name: str) -> None:
        """End the effect of that name, if there is one; what it held back goes first with what comes next."""
        effect = self._effects.pop(name, None)
        if effect is not None:
            self._left += effect.ended()

    def passed(self, data: bytes) -> bytes:
        """Return what comes out of the next bytes now."""
        if self._effects:
            for effect in self._effects.values():
                data = effect.passed(data)
        if self._left:
            data, self._left = self._left + data, b""
        return data

    def forget(self) -> None:
        """The cable is out: what is held back is lost, the effects stay."""
        for effect in self._effects.values():
            effect.ended()
        self._left = b""


class Tap:
    """Both directions."""

    def __init__(self) -> None:
        self.to_pen = Way()
        self.to_host = Way()

    @property
    def disturbed(self) -> bool:
        """Whether anything happens to either."""
        return self.to_pen.disturbed or self.to_host.disturbed

    def forget(self) -> None:
        """The cable is out: what is held back is lost."""
        self.to_pen.forget()
        self.to_host.forget()


def _pieces(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield `data` up to each newline, and whether it ends there."""
    while data:
        end = data.find(b"\n") + 1
        piece, data = (data[:end], data[end:]) if end else (data, b"")
        yield piece, end > 0


class _Lines:
    """Of the lines from now on, the first `after` pass and something is done to each of the next `count`."""

    def __init__(self, after: int, count: int) -> None:
        self._first = after
        self._end = after + count
        self._number = 0
        self._line = b""

    def passed(self, data: bytes) -> bytes:
        """Take the next bytes."""
        out = b""
        for piece, ends in _pieces(data):
            if self._wanted():
                self._line += piece
                if ends:
                    line, self._line = self._line, b""
                    out += self._made(line)
            else:
                out += piece
            self._number += ends
        return out

    def ended(self) -> bytes:
        """End it; the line that isn't whole yet goes on as it is."""
        line, self._line = self._line, b""
        return line

    def _wanted(self) -> bool:
        """Return whether something is done to the line that comes now."""
        return self._first <= self._number < self._end

    def _made(self, line: bytes) -> bytes:
        raise NotImplementedError


class LinesDropped(_Lines):
    """They are lost."""

    def _made(self, line: bytes) -> bytes:  # noqa: ARG002  # nothing of it is left
        return b""


class LinesDoubled(_Lines):
    """Each comes twice."""

    def _made(self, line: bytes) -> bytes:
        return line + line


class LinesCut(_Lines):
    """Of each only the first `keep` bytes come, and its newline if `newline`."""

    def __init__(self, after: int, count: int, keep: int, newline: bool) -> None:
        super().__init__(after, count)
        self._keep = keep
        self._newline = newline

    def _made(self, line: bytes) -> bytes:
        return line[: min(self._keep, len(line) - 1)] + (b"\n" if self._newline else b"")


class LinesSwapped(_Lines):
    """Each comes behind the one that follows it."""

    def __init__(self, after: int, count: int) -> None:
        super().__init__(after, 2 * count)
        self._held = b""

    def ended(self) -> bytes:
        """End it; what is held back goes on in its order."""
        held, self._held = self._held, b""
        return held + super().ended()

    def _wanted(self) -> bool:
        return super()._wanted() or bool(self._held)

    def _made(self, line: bytes) -> bytes:
        if not self._held:
            self._held = line
            return b""
        held, self._held = self._held, b""
        return line + held


class BytesDropped:
    """Of the bytes from now on, the first `after` pass and the next `count` are lost."""

    def __init__(self, after: int, count: int) -> None:
        self._after = after
        self._count = count

    def passed(self, data: bytes) -> bytes:
        """Take the next bytes."""
        start = min(self._after, len(data))
        lost = min(self._count, len(data) - start)
        self._after -= start
        self._count -= lost
        return data[:start] + data[start + lost :]

    def ended(self) -> bytes:
        """End it; nothing is held back."""
        return b""


class BitsFlipped:
    """Of the bytes from now on, the first `after` pass; the next, and each `apart` later, up to `count` of them, has
    the bits of `mask` flipped.
    """

    def __init__(self, after: int, count: int, apart: int, mask: int) -> None:
        self._due = after
        self._count = count
        self._apart = apart
        self._mask = mask

    def passed(self, data: bytes) -> bytes:
        """Take the next bytes."""
        if not self._count:
            return data
        body = bytearray(data)
        while self._count and self._due < len(body):
            body[self._due] ^= self._mask
            self._due += self._apart
            self._count -= 1
        self._due -= len(body)
        return bytes(body)

    def ended(self) -> bytes:
        """End it; nothing is held back."""
        return b""


GREETS, GUESSES, KNOWS, MIXES = "greets", "guesses", "knows", "mixes"
SECOND_HOST = (GREETS, GUESSES, KNOWS, MIXES)
"""What a second host does: says hello; asks under a nonce that isn't this boot's; asks under the right one, which it
has overheard, with ids far ahead of the first one's; speaks in the middle of the first one's lines."""


class TwoHosts:
    """After each `every`-th line of the host's comes one of another host's, legal in its form."""

    def __init__(self, does: str, every: int) -> None:
        self._does = does
        self._every = every
        self._lines = 0
        self._asked = 0
        self._nonce = _STRANGE_NONCE
        self._id = 0

    def passed(self, data: bytes) -> bytes:
        """Take the next bytes."""
        out = b""
        for piece, ends in _pieces(data):
            self._overhear(piece)
            self._lines += ends
            its_turn = ends and self._lines % self._every == 0
            if not its_turn:
                out += piece
                continue
            middle = len(piece) // 2 if self._does == MIXES else len(piece)
            out += piece[:middle] + self._line() + piece[middle:]
        return out

    def ended(self) -> bytes:
        """End it; nothing is held back."""
        return b""

    def _overhear(self, piece: bytes) -> None:
        nonce, number = _NONCE.search(piece), _ID.search(piece)
        if nonce is not None:
            self._nonce = nonce[1].decode()
            # A hello's id is no measure: it may be any.
            self._id = int(number[1]) if number is not None else self._id

    def _line(self) -> bytes:
        self._asked += 1
        if self._does == GREETS:
            params = {"protocol_major": 1, "protocol_minor": 0, "client": "another host"}
            return framed(_request("hello", _STRANGE_ID + self._asked, params))
        if self._does == KNOWS:
            return framed(_request("ping", self._id + _AHEAD, {"nonce": self._nonce}))
        return framed(_request("ping", _STRANGE_ID + self._asked, {"nonce": _STRANGE_NONCE}))


def framed(body: bytes) -> bytes:
    """Return the line that carries `body`, its CRC right."""
    return b"%s*%08x\n" % (body, zlib.crc32(body))


def _request(method: str, number: int, params: dict[str, object]) -> bytes:
    said = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(said, separators=(",", ":")).encode()


NOISE, ENDLESS, PINGS = "noise", "endless", "pings"
FLOODS = (NOISE, ENDLESS, PINGS)
"""What a flood is made of: bytes at random, one line without an end, or requests under a nonce that isn't this boot's.
"""


def flood(kind: str, size: int, seed: int) -> bytes:
    """Return about `size` bytes of a flood, the same for the same seed."""
    if kind == NOISE:
        return random.Random(seed).randbytes(size)
    if kind == ENDLESS:
        return b"x" * size
    line = framed(_request("ping", _STRANGE_ID, {"nonce": _STRANGE_NONCE}))
    return line * (size // len(line) + 1)
