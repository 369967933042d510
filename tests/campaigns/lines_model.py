"""What the pen must make of each line: a second opinion on the conversation, written from its description. Host only.

Shares with the firmware the tables of `pencore.wire` and nothing else: what a legal line is says the definition read
literally (`tests.support.wire_lines`), over CPython's json. The model knows ids, the nonce and the stored answer; of
what a request does it knows in which states it may do anything at all.
"""

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pencore import faults, wire
from tests.support.wire_lines import ACCEPTED, reference_code

STOP = b"\x18"
ID_JUMP_MOST = 256
LINE_MOST = 1024

MAY_ACT = frozenset(
    ["load.commit", "arm", "zone.select", "pause", "stop", "finish", "clear", "clock.correct", "record.ack"]
)
"""What can change a pen in the states where it is allowed; a transfer that was only begun can't be seen."""

_ENVELOPE = re.compile(rb'\{"jsonrpc":"2\.0","id":([1-9][0-9]{0,9}),"method":"([^"\\]*)",')


class Sort(Enum):
    """What becomes of a line."""

    REFUSED = "refused"
    """It is refused as a line or for its place in the conversation."""
    FORBIDDEN = "forbidden"
    """It is a legal request, and not one for this state."""
    AGAIN = "again"
    """It was carried out before: the stored answer comes."""
    DONE = "done"
    """It is carried out, or refused by what it meets."""


@dataclass(frozen=True)
class Verdict:
    """What the pen must answer to `line`: under `id`, None for a line without one; a refusal with one of `codes` (none:
    any, or a result), or the very `answer` that it gave before. `method`: of a legal request.
    """

    line: bytes
    sort: Sort
    id: int | None
    codes: frozenset[int] = frozenset()
    method: str = ""
    answer: bytes | None = None

    def may_act(self) -> bool:
        """Return whether the pen may be another one after it."""
        return self.sort is Sort.DONE and self.method in MAY_ACT


class Talk:
    """The conversation with one pen, as the host knows it. `states`: those the pen may be in now."""

    def __init__(self) -> None:
        self.nonce = ""
        self.last_id = 0
        self.states = frozenset([wire.SAFE])
        self._last_line = b""
        self._last_answer: bytes | None = None

    def greeted(self, nonce: str, last_id: int) -> None:
        """Take over what a hello says."""
        if (nonce, last_id) != (self.nonce, self.last_id):
            self.nonce = nonce
            self.last_id = last_id
            self._last_line = b""
            self._last_answer = None

    @property
    def last_line(self) -> bytes:
        """The last request that was carried out."""
        return self._last_line

    def mark(self) -> tuple[int, bytes, bytes | None]:
        """Return what `back` takes to forget the lines that are judged from now on."""
        return self.last_id, self._last_line, self._last_answer

    def back(self, mark: tuple[int, bytes, bytes | None]) -> None:
        """Forget the lines that were judged since `mark`: they are sent later, or not at all."""
        self.last_id, self._last_line, self._last_answer = mark

    def judge(self, line: bytes) -> Verdict:
        """Return what becomes of a whole line (newline included) that the pen takes next."""
        code = reference_code(line)
        if code not in (ACCEPTED, faults.WIRE_UNKNOWN_METHOD, faults.WIRE_BAD_PARAM):
            return Verdict(line, Sort.REFUSED, None, frozenset([code]))
        envelope = _ENVELOPE.match(line)
        if envelope is None:
            raise ValueError(f"a legal line without an envelope: {line!r}")
        number, method = int(envelope[1]), envelope[2].decode()
        if code != ACCEPTED:
            return Verdict(line, Sort.REFUSED, number, frozenset([code]))
        params = json.loads(line[: line.rindex(b"*")])["params"]
        if method == "hello":
            refused = params["protocol_major"] != 1
            codes = frozenset([faults.WIRE_PROTOCOL] if refused else [])
            return Verdict(line, Sort.REFUSED if refused else Sort.DONE, number, codes, method)
        return self._placed(line, number, method, params)

    def _placed(self, line: bytes, number: int, method: str, params: dict[str, Any]) -> Verdict:
        """Judge a legal request by its place in the conversation."""
        refused = 0
        if params["nonce"] != self.nonce:
            refused = faults.WIRE_BAD_NONCE
        elif number == self.last_id:
            if line == self._last_line:
                return Verdict(line, Sort.AGAIN, number, method=method, answer=self._last_answer)
            refused = faults.WIRE_ID_REUSED
        elif number < self.last_id:
            refused = faults.WIRE_STALE_ID
        elif number - self.last_id > ID_JUMP_MOST:
            refused = faults.WIRE_BAD_PARAM
        if refused:
            return Verdict(line, Sort.REFUSED, number, frozenset([refused]), method)
        self.last_id = number
        self._last_line = line
        self._last_answer = None
        forbidden = [not wire.METHODS[method][2] >> state & 1 for state in self.states]
        if all(forbidden):
            return Verdict(line, Sort.FORBIDDEN, number, frozenset([faults.STATE_FORBIDS]), method)
        return Verdict(line, Sort.DONE, number, method=method)

    def answered(self, verdict: Verdict, answer: bytes) -> None:
        """Know the answer to a request, which is stored while it is the last one."""
        if verdict.line == self._last_line and verdict.sort is not Sort.AGAIN:
            self._last_answer = answer


class Wrong(Exception):
    """The pen said what it must not, or not what it must."""


class Answer:
    """A line of the pen's, taken apart; Wrong unless it is a legal one. Of a result the fields are looked at later."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        body, star, crc = line[:-1].rpartition(b"*")
        if len(line) > LINE_MOST or not star or crc != b"%08x" % zlib.crc32(body):
            raise Wrong(f"the pen says {line!r}")
        told = json.loads(body)
        self.id: int | None = told.get("id")
        self.note: str = told.get("method", "")
        self.values: dict[str, Any] = told.get("result", told.get("params", {}))
        self.code = 0
        self.field = ""
        keys = ["jsonrpc", "id", "result"]
        if self.note:
            keys = ["jsonrpc", "method", "params"]
        elif "error" in told:
            keys = ["jsonrpc", "id", "error"]
            self._take_error(told["error"])
        canonical = json.dumps(told, separators=(",", ":")).encode() == body
        if not canonical or list(told) != keys or (self.note and not self.has(wire.NOTIFICATIONS[self.note])):
            raise Wrong(f"the pen says {line!r}")

    def has(self, fields: Iterable[tuple[Any, ...]]) -> bool:
        """Return whether its values are just these fields."""
        return list(self.values) == [field[0] for field in fields]

    def _take_error(self, error: dict[str, Any]) -> None:
        self.code = error["code"]
        self.field = error["data"]["field"]
        if list(error) != ["code", "message", "data"] or faults.NAMES.get(self.code) != error["message"]:
            raise Wrong(f"the pen says {self.line!r}")


def matched(verdicts: list[Verdict], answers: list[Answer], *, deaf: bool = False) -> list[tuple[Verdict, Answer]]:
    """Return each answer with what it answers; Wrong unless they fit.

    They come in order, one for each line with an id, and for one without an id one or none. `deaf`: the host didn't
    read, and any answer may be missing.
    """
    waiting = iter(verdicts)
    pairs = []
    for answer in answers:
        for verdict in waiting:
            if verdict.id == answer.id and _fits(verdict, answer):
                pairs.append((verdict, answer))
                break
            if verdict.id is not None and not deaf:
                raise Wrong(f"{verdict.line!r} is answered with {answer.line!r}")
        else:
            raise Wrong(f"nothing asked for {answer.line!r}")
    missing = [verdict for verdict in waiting if verdict.id is not None]
    if missing and not deaf:
        raise Wrong(f"no answer to {missing[0].line!r}")
    return pairs


def _fits(verdict: Verdict, answer: Answer) -> bool:
    if verdict.sort is Sort.AGAIN:
        return verdict.answer is None or answer.line == verdict.answer
    if verdict.codes:
        return answer.code in verdict.codes
    if answer.code:
        return answer.code >= faults.LOAD_NOT_BEGUN or answer.code == faults.WIRE_BAD_PARAM
    return answer.has(wire.METHODS[verdict.method][1])
