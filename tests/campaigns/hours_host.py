"""A pen with a host that gets over what happens to its cable, and a trigger that is looked at. Host only."""

from collections import deque
from typing import Any

from pencore import faults as codes
from pencore.faults import Refusal
from pensim.clock import TICKS_PER_MS
from tests.support.bench import Bench, NoAnswer

PING_MS = 500
ANSWER_MS = 1000
TRIES = 3
"""How often the host asks the same again, under the same id."""
HEAR_MS = 5000
"""How long a pen that was mended may take for anything."""
TELEMETRY_EACH = 50
_TELEMETRY = b'{"jsonrpc":"2.0","method":"telemetry",'
_LOST_IDS = (codes.WIRE_BAD_NONCE, codes.WIRE_STALE_ID, codes.WIRE_ID_REUSED)
_LOST_MARKS = tuple(b'"error":{"code":%d,' % code for code in _LOST_IDS)
_PAUSES_MS = (50, 50, 100, 100, 200, 200, 400, 400, 800, 800, 1000, 1000)
_LATER = (codes.BUSY, codes.NOT_AT_HOME)
BLIP_MS = 12
"""A press as short as this is noise of the contact to the pen, which takes two samples 10 ms apart, and none in between
counts; the oracle takes every press for one, and the next then for one that comes too soon.
"""


class Hosted(Bench):
    """A pen on a laptop whose program asks again, greets a pen that started anew, and minds nothing that it hears.

    `figures`: what happened how often.
    """

    def __init__(self, **bench: Any) -> None:
        self.figures: dict[str, int] = {}
        self._heard_lines = 0
        self._pressed: deque[int] = deque(maxlen=20)
        self._let_go: deque[int] = deque(maxlen=20)
        super().__init__(greet=False, strict=False, **bench)
        self.may_coast = True
        self.may_garble = True

    def note(self, name: str, more: int = 1) -> None:
        """Count something."""
        self.figures[name] = self.figures.get(name, 0) + more

    # --- the trigger -------------------------------------------------------------------------------------------------
    def press(self) -> None:
        """Press the trigger."""
        if not self.plant.trigger_down:
            self._pressed.append(self.clock.now)
        super().press()

    def release(self) -> None:
        """Let the trigger go."""
        if self.plant.trigger_down:
            self._let_go.append(self.clock.now)
        super().release()

    def blipped(self, at: int) -> bool:
        """Return whether the press before the one at hand was too short to be one."""
        begun = [moment for moment in self._pressed if moment <= at][-2:]
        ended = [moment for moment in self._let_go if moment <= at][-1:]
        return len(begun) == 2 and bool(ended) and ended[0] - begun[0] < BLIP_MS * TICKS_PER_MS

    # --- the host ----------------------------------------------------------------------------------------------------
    def listen(self) -> None:
        """Take in what the pen has said, of its telemetry only a part: nobody here goes by it."""
        data = self._heard + self.host.receive()
        end = data.rfind(b"\n") + 1
        kept = []
        for line in data[:end].splitlines(keepends=True):
            self._heard_lines += 1
            if not line.startswith(_TELEMETRY) or self._heard_lines % TELEMETRY_EACH == 0:
                kept.append(line)
        self._heard = b"".join(kept) + data[end:]
        super().listen()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask, and ask the same again when nothing comes; NoAnswer in the end. A pen that started anew is greeted."""
        self.listen()
        self._answers.clear()
        line = self.line(method, **params)
        for _ in range(TRIES):
            self.send(line)
            if self.run_until(self._answered, ANSWER_MS) and self._answers:
                answer = self._answers.pop(0)
                if answer.refusal is None:
                    return answer.values
                if answer.refusal.code in _LOST_IDS and method != "hello":
                    self.note("greeted again")
                    self.hello()
                raise answer.refusal
            if not self.powered:
                break
        self.note("no answer")
        raise NoAnswer(method)

    def _answered(self) -> bool:
        self.listen()
        return bool(self._answers) or not self.powered

    def live(self, ms: int) -> None:
        """Let `ms` pass with a host that pings, and minds nothing but a pen that doesn't know it any more."""
        lost = False
        while ms > 0:
            if self.powered and self.usb:
                self.send(self.line("ping"))
            self.run_ms(min(ms, PING_MS))
            ms -= PING_MS
            data = self._heard + self.host.receive()
            self._heard = data[data.rfind(b"\n") + 1 :]
            lost = lost or any(mark in data for mark in _LOST_MARKS)
        if lost:
            self.note("greeted again")
            self.hello()

    def persist(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask again as long as the pen is busy, for some seconds, more and more seldom."""
        for pause_ms in _PAUSES_MS:
            try:
                return self.ask(method, **params)
            except Refusal as refusal:
                if refusal.code not in _LATER:
                    raise
            self.live(pause_ms)
        raise NoAnswer(f"{method} finds the pen busy")

    def until(self, *states: int) -> int:
        """Wait some seconds for one of these states; return the state that the pen is in then."""
        for _ in range(HEAR_MS // 50):
            state = int(self.status()["state"])
            if state in states:
                return state
            self.live(50)
        return int(self.status()["state"])
