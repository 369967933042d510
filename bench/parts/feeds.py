"""A pen that does nothing but talk, as fast as a host takes it: what the host alone can bear. Host only.

It is RUNNING and sends telemetry, ten lines a second of its own time. As a served pen does, it stands still `HOLD_MS`
after the host's last line: so its time goes as fast as the host can read *and* keep the lease, and no faster.
"""

import threading
from collections.abc import Mapping
from typing import Any

from pencore import wire
from pensim.serve import HOLD_MS

_TELL_MS = 100
_BEGIN_MS = 1_000_000
"""Time of the first line: one in which numbers have as many digits as in a long session."""
_DEPTH_UM = 1500
_BUDGET = 25_000


class Chatter:
    """A Transport with that pen at its other end. `greeting`: its answer to hello; `lines`: how many it has to say."""

    name = "chatter"

    def __init__(self, greeting: Mapping[str, Any], lines: int) -> None:
        self._greeting = {**greeting, "state": wire.RUNNING}
        self._lines = [telemetry(number) for number in range(lines)]
        self._answers = b""
        self._heard_at = 0
        self._told = threading.Condition()
        self.said = 0
        """Lines of telemetry that the host has taken."""
        self.requests = 0
        """Requests that it made meanwhile."""

    def read(self, timeout_s: float) -> bytes:
        """Return answers, and as much telemetry as may be said before the host is heard again."""
        with self._told:
            if not self._answers and not self._due():
                self._told.wait(timeout_s)
            answers, self._answers = self._answers, b""
            due = self._due()
            self.said += due
            return answers + b"".join(self._lines[self.said - due : self.said])

    def _due(self) -> int:
        return min(self._heard_at + HOLD_MS // _TELL_MS, len(self._lines)) - self.said

    def write(self, data: bytes) -> None:
        """Take requests (hello, ping, status of a pen that has nothing else), and have their answers ready."""
        with self._told:
            for line in data.splitlines(keepends=True):
                if not line.startswith(b"{"):
                    continue
                request = wire.decode_request(line)
                said = {"state": wire.RUNNING, "uptime_ms": _BEGIN_MS + _TELL_MS * self.said}
                answer = self._greeting if request.method == "hello" else said
                self._answers += wire.encode_result(request.method, request.id, answer)
                self._heard_at = self.said
                self.requests += 1
            self._told.notify_all()

    def close(self) -> None:
        """Let go of nothing."""


def telemetry(number: int) -> bytes:
    """Return the line of telemetry that is the `number`-th of a long session."""
    made = 2 * number % _BUDGET
    values = {
        "state": wire.RUNNING,
        "zone": 7,
        "depth_um": _DEPTH_UM,
        "limit_um": _DEPTH_UM,
        "rate_per_s": 20,
        "made": made,
        "forfeited": 0,
        "reserved": min(made + 500, _BUDGET),
        "left": _BUDGET - made,
        "session_counted": made,
        "session_left": _BUDGET - made,
        "uptime_ms": _BEGIN_MS + _TELL_MS * number,
    }
    return wire.encode_notification("telemetry", values)
