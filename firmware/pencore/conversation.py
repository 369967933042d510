"""One host at a time: lines in, lines out, each request carried out once. Runs on the pen and in the simulator.

Knows ids, the nonce and the answer kept for a repeated request; knows nothing of what a request does (`handle` is
given). Never blocks and never grows: a few answers and notifications wait for a host that doesn't read; what finds no
room is dropped, and an answer that was can be had by the same request again. Allocates one line in and one out per
request.
"""

from pencore import faults, wire
from pencore.compat import const
from pencore.digest import crc32
from pencore.faults import Refusal
from pencore.lines import FEED_MAX, STOP_BYTE
from pencore.units import ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pencore.ports import Link

_OUT_MAX = const(4096)
_BAD_LINE_GAP_MS = const(500)
_LINE_ROOM = const(1024)
_AHEAD_MOST = const(64)
"""Bytes read ahead of a piece in hand that are enough: each costs the pen's CPU some time."""
ID_JUMP_MAX = const(256)
"""How far a request's id may lie above the last one."""


class Conversation:
    """The pen's end of the wire. `nonce`: 16 hex digits of this boot; `request_id`: the id of the request in hand;
    `last_id`: that of the last one carried out.

    `heard_ms`: when the last legal line with the right nonce arrived.
    """

    def __init__(self, link: "Link", nonce: str, handle: "Callable[[wire.Request], Mapping[str, Any]]") -> None:
        self._link = link
        self._handle = handle
        self.nonce = nonce
        self.request_id = 0
        self.last_id = 0
        self._last_crc = 0
        self._last_answer = b""
        self._ahead = b""
        self._reader = wire.LineReader()
        self._out = b""
        self._bad_ms = 0
        self._bad_seen = False
        self.heard_ms = 0

    def take_in(self) -> bytes:
        """Take what the link has, and return it: up to two pieces ahead of the one in hand, so that what stands in them
        needn't wait behind a row of lines. b"" when there is nothing, or that much is ahead already.
        """
        if len(self._ahead) >= _AHEAD_MOST:
            return b""
        piece = self._link.read()
        if piece:
            self._ahead = self._ahead + piece if self._ahead else piece
        return piece

    def unheard(self) -> bool:
        """Return whether something that was taken in is not worked off."""
        return bool(self._ahead) or self._reader.pending()

    def stop_behind(self) -> bool:
        """Return whether a stop byte is in it."""
        return STOP_BYTE in self._ahead or self._reader.stop_behind()

    def work(self, now_ms: int) -> None:
        """Work off at most one line, whether or not the host reads: behind it there may be a stop. Then send what the
        host takes.
        """
        if self._ahead and not self._reader.pending():
            self._reader.feed(self._ahead[:FEED_MAX])
            self._ahead = self._ahead[FEED_MAX:]
        if self._reader.pending():
            self._work_line(now_ms)
        self.flush()

    def _work_line(self, now_ms: int) -> None:
        try:
            line = self._reader.take()
            if line is not None:
                self._request(line, now_ms)
        except Refusal as refusal:
            self._refuse(refusal, now_ms)

    def _request(self, line: bytes, now_ms: int) -> None:
        request = wire.decode_request(line)
        fingerprint = crc32(line)
        if request.method != "hello":
            if request.params["nonce"] != self.nonce:
                raise wire.LineRefusal(faults.WIRE_BAD_NONCE, "nonce", request_id=request.id)
            if request.id == self.last_id:
                if fingerprint != self._last_crc:
                    raise wire.LineRefusal(faults.WIRE_ID_REUSED, "id", request.id, request_id=request.id)
                self.heard_ms = now_ms
                self._send(self._last_answer)
                return
            if request.id < self.last_id:
                raise wire.LineRefusal(faults.WIRE_STALE_ID, "id", request.id, self.last_id, request.id)
            if request.id - self.last_id > ID_JUMP_MAX:
                # One line must not use up all ids there are: nothing but a reset would bring them back.
                raise wire.LineRefusal(faults.WIRE_BAD_PARAM, "id", request.id, self.last_id + ID_JUMP_MAX, request.id)
            # A hello keeps no lease: whoever looks at the port must not stand in for the host that armed the pen.
            self.heard_ms = now_ms
        self.request_id = request.id
        try:
            answer = wire.encode_result(request.method, request.id, self._handle(request))
        except Refusal as refusal:
            answer = wire.encode_error(request.id, refusal)
        if request.method != "hello":
            # A hello changes nothing and may come under any id, so it doesn't take part in the order of ids.
            self.last_id = request.id
            self._last_crc = fingerprint
            self._last_answer = answer
        self._send(answer)

    def _refuse(self, refusal: Refusal, now_ms: int) -> None:
        request_id = refusal.request_id if isinstance(refusal, wire.LineRefusal) else None
        if request_id is None:
            # Noise must not make the pen talk without end: two such answers a second are enough to find a wrong port.
            if self._bad_seen and 0 <= ms_since(now_ms, self._bad_ms) < _BAD_LINE_GAP_MS:
                return
            self._bad_seen = True
            self._bad_ms = now_ms
        self._send(wire.encode_error(request_id, refusal))

    def offer(self, line: memoryview) -> None:
        """Send a line if the host takes it whole at once, or drop it."""
        if not self._out and self._link.room() >= len(line):
            self._link.write(line)

    def notify(self, name: str, params: "Mapping[str, Any]") -> None:
        """Send a notification if there is room."""
        line = wire.encode_notification(name, params)
        if len(self._out) + len(line) <= _OUT_MAX - _LINE_ROOM:
            self._send(line)

    def _send(self, line: bytes) -> None:
        if len(self._out) + len(line) <= _OUT_MAX:
            # Nothing is copied that needn't be: most lines find nothing in their way.
            self._out = self._out + line if self._out else line
        self.flush()

    def flush(self) -> None:
        """Give the link what it takes of what waits."""
        if self._out:
            taken = self._link.write(self._out)
            if taken:
                self._out = self._out[taken:] if taken < len(self._out) else b""

    def waiting(self) -> bool:
        """Return whether lines wait for a host that doesn't read."""
        return bool(self._out)
