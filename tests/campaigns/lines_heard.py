"""A pen that is asked and listened to: its answers, held against what they must be. Host only."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pencore import wire
from pencore.conversation import Conversation
from pensim.clock import TICKS_PER_MS
from tests.campaigns.lines_acts import Broken
from tests.campaigns.lines_cover import Tracer
from tests.campaigns.lines_grammar import Piece
from tests.campaigns.lines_model import Answer, Sort, Talk, Verdict, matched
from tests.support.bench import Bench

HELLO = {"protocol_major": 1, "protocol_minor": 0, "client": "lines"}
_ANSWER_MS = 5000
_STRAYS_GAP_MS = 500
_QUESTIONS = 4_100_000_000
"""Ids of its own hellos: a hello is answered under any id."""


class Listener(Protocol):
    """Who wants to know what lines show."""

    def saw(self, piece: Piece, features: Iterable[Any]) -> bool: ...


@dataclass
class Figures:
    """What was done so far. `lines`: not empty, taken by the pen; its own questions are not counted."""

    lines: int = 0
    by_state: dict[int, int] = field(default_factory=dict)
    sorts: dict[Sort, int] = field(default_factory=dict)
    acted: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)

    def note(self, name: str, more: int = 1) -> None:
        """Count something else."""
        self.other[name] = self.other.get(name, 0) + more


class Heard:
    """A pen, the model of its conversation, and who wants to know what its lines show."""

    def __init__(self, pen: Bench, listener: Listener | None) -> None:
        self.pen = pen
        self.talk = Talk()
        self.figures = Figures()
        self.tracing = False
        self.status: dict[str, Any] = {}
        self._listener = listener
        self._tracer = Tracer()
        self._of: dict[bytes, Piece] = {}
        self._shown: dict[bytes, list[Any]] = {}
        self._heard = b""
        self._strays = 0
        self._strays_at = pen.clock.now
        self._question = _QUESTIONS
        self._boot()

    @property
    def state(self) -> int:
        """The pen's state, as it was when it was last looked at."""
        found: int = self.status["state"]
        return found

    def _boot(self) -> None:
        """A new boot: what the firmware holds is compared from here on."""
        self._runner = self.pen.runner
        talk = self._runner.talk
        take = talk._request

        def request(line: bytes, now_ms: int) -> None:
            if not self.tracing:
                take(line, now_ms)
                return
            try:
                with self._tracer.on():
                    take(line, now_ms)
            finally:
                state = self.state
                self._shown.setdefault(line, []).extend((state, *seen) for seen in self._tracer.features())

        _replace(talk, "_request", request)

    def _ask(self, method: str) -> dict[str, Any]:
        """Ask something that changes nothing; return the result."""
        self._receive()
        self._take()
        if method == "hello":
            self._question += 1
            line = wire.encode_request(method, self._question, HELLO)
            number = self._question
        else:
            number = self.talk.last_id + 1
            line = wire.encode_request(method, number, {"nonce": self.talk.nonce})
        verdict = self.talk.judge(line)
        self.pen.host.send(line)
        self._work_off()
        code, values = self._match([verdict])
        if code:
            raise Broken(f"{method} is refused with {code}")
        return values

    def _work_off(self) -> None:
        pen = self.pen

        def done() -> bool:
            self._receive()
            return not pen.unheard() and not (pen.host.reading and pen.runner.talk.waiting())

        if not pen.run_until(done, _ANSWER_MS):
            raise Broken(f"lines still unheard after {_ANSWER_MS} ms")

    def _receive(self) -> None:
        self._heard += self.pen.host.receive()

    def _take(self) -> list[Answer]:
        """Take in what the pen has said; return the answers that carry an id or refuse a line."""
        *lines, self._heard = self._heard.split(b"\n")
        answers = [Answer(line + b"\n") for line in lines]
        answers = [answer for answer in answers if not answer.note]
        self._strays += sum(answer.id is None for answer in answers)
        since_ms = (self.pen.clock.now - self._strays_at) // TICKS_PER_MS
        if self._strays > since_ms // _STRAYS_GAP_MS + 2:
            raise Broken(f"{self._strays} answers to noise in {since_ms} ms")
        if since_ms > 2000:
            self._strays, self._strays_at = 0, self.pen.clock.now
        return answers

    def _match(self, verdicts: list[Verdict], *, deaf: bool = False) -> tuple[int, dict[str, Any]]:
        """Fail unless the answers fit; return code and values of the last one."""
        self._receive()
        pairs = matched(verdicts, self._take(), deaf=deaf)
        for verdict, answer in pairs:
            self.talk.answered(verdict, answer.line)
            if verdict.line in self._of:
                self._shown.setdefault(verdict.line, []).append((self.state, verdict.method, answer.code, answer.field))
        if self._listener is not None:
            for line, features in self._shown.items():
                if line in self._of:
                    self._listener.saw(self._of[line], features)
        self._of.clear()
        self._shown.clear()
        return (pairs[-1][1].code, pairs[-1][1].values) if pairs else (0, {})

    def _count(self, verdicts: list[Verdict]) -> None:
        figures = self.figures
        for verdict in verdicts:
            if len(verdict.line) > 1:
                figures.lines += 1
                figures.by_state[self.state] = figures.by_state.get(self.state, 0) + 1
                figures.sorts[verdict.sort] = figures.sorts.get(verdict.sort, 0) + 1


def _replace(talk: Conversation, name: str, call: Callable[[bytes, int], None]) -> None:
    """Let one conversation's own method be another one."""
    vars(talk)[name] = call
