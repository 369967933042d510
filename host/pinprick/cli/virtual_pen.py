"""A virtual pen to run against, in a process of its own or in this one, and the hands of whoever holds it. Host only.

What the hands do and what the needle did goes past the wire, over a channel of its own: the host knows it from nowhere
else.
"""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from pencore.faults import INTERNAL
from pinprick.errors import PinprickError
from pinprick.transport import PipeTransport, SerialTransport, Transport

_ANSWER_S = 60.0
"""Longest wait for the virtual pen to carry out a command, its `after_ms` at a low speed included."""
_END_S = 5.0

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Needle:
    """What the needle did by the plant's own account: strokes begun, times out of the nose, times in again, depth in
    um.
    """

    begun: int
    crossings: int
    strokes: int
    deepest_um: float


@dataclass(frozen=True, slots=True)
class NeedleReport:
    """The account in all, by label, and everything that should never happen."""

    total: Needle
    labels: Mapping[str, Needle]
    violations: tuple[str, ...]
    driver_on: bool


class VirtualPen(Protocol):
    """A virtual pen: `where` names it for people, `connect` opens its port."""

    where: str

    def connect(self) -> Transport:
        """Return a new way to the pen; one at a time."""

    def send(self, command: Answer) -> None:
        """Have a command carried out after those before it; its answer waits for `answer`."""

    def answer(self) -> Answer:
        """Return the next answer."""


class Operator:
    """The hands at a virtual pen. `after_ms` is simulated time since the hands last did something."""

    def __init__(self, pen: VirtualPen) -> None:
        self._pen = pen
        self._unanswered = 0

    def begin(self, do: str, after_ms: int = 0, **fields: object) -> None:
        """Have something done without waiting for it."""
        self._pen.send({"do": do, "after_ms": after_ms, **fields})
        self._unanswered += 1

    def do(self, do: str, after_ms: int = 0, **fields: object) -> Answer:
        """Have something done, after all that was begun before; return what there is to say of it."""
        self.begin(do, after_ms, **fields)
        answer: Answer = {}
        while self._unanswered:
            answer = self._pen.answer()
            self._unanswered -= 1
            if answer["event"] != "done":
                raise PinprickError(INTERNAL, f"The virtual pen did not do it: {answer}")
        return answer

    def now_ms(self) -> int:
        """Return the simulated time since the virtual pen was made."""
        return int(self.do("wait")["at_ms"])

    def new_cartridge(self) -> None:
        """Open the cartridge holder and close it again."""
        self.begin("cartridge", closed=False)
        self.begin("cartridge", 300, closed=True)
        self.do("wait", 100)

    def power_cycle(self) -> None:
        """Cut the supply for two seconds."""
        self.begin("power_cut")
        self.begin("power_on", 2000)
        self.do("wait", 300)

    def squeeze(self) -> None:
        """Press the trigger as for a stroke, hold it for a while, let go."""
        self.begin("release")
        self.begin("press", 200)
        self.begin("release", 500)
        self.do("wait", 300)

    def count_under(self, label: str, limit_um: int) -> None:
        """Have the needle's strokes counted under `label` from now on, and its depth minded."""
        self.do("zone", label=label, limit_um=limit_um)

    def needle(self) -> NeedleReport:
        """Return what the needle has done so far."""
        said = self.do("oracle")
        labels = {label: _needle(tally) for label, tally in said["labels"].items()}
        return NeedleReport(_needle(said["total"]), labels, tuple(said["violations"]), said["driver_on"])


def _needle(tally: Mapping[str, Any]) -> Needle:
    # Coasting counts: the deepest point of all is what the skin would have met.
    deepest_um = max(tally["deepest_um"], tally["deepest_coast_um"])
    return Needle(tally["begun"], tally["crossings"], tally["strokes"], deepest_um)


@contextmanager
def virtual_pen(serial: str, *, in_process: bool, tcp: bool, speed: float | None) -> Iterator[VirtualPen]:
    """Run a new virtual pen and end it afterwards, whatever happens."""
    pen = _ThreadPen(serial, speed) if in_process else _ChildPen(serial, tcp, speed)
    try:
        yield pen
    finally:
        pen.end()


class _ChildPen:
    """A pen in a process of its own: `pinprick sim serve`, driven through its standard input and output."""

    def __init__(self, serial: str, tcp: bool, speed: float | None) -> None:
        command = [sys.executable, "-m", "pinprick", "sim", "serve", "--json", "--unlisted", "--serial", serial]
        command += ["--tcp"] if tcp else []
        command += [] if speed is None else ["--speed", f"{speed:g}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin
        self._output = self._process.stdout
        self._lines: queue.Queue[Answer] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="virtual pen", daemon=True)
        self._reader.start()
        try:
            self._port = self.answer()["port"]
        except BaseException:
            self.end()
            raise
        self.where = f"{self._port}, in a process of its own"

    def connect(self) -> Transport:
        """Open the port."""
        return SerialTransport(self._port)

    def send(self, command: Answer) -> None:
        """Write a command."""
        with suppress(BrokenPipeError):
            # A dead child is found by `answer`, which knows what it said last.
            self._input.write(json.dumps(command).encode() + b"\n")
            self._input.flush()

    def answer(self) -> Answer:
        """Return the next line it writes; PinprickError when it writes none, or its last."""
        try:
            line = self._lines.get(timeout=_ANSWER_S)
        except queue.Empty:
            raise PinprickError(INTERNAL, "The virtual pen does not answer.") from None
        if line.get("event") == "result":
            error = line.get("error") or {"code": INTERNAL, "message": "The virtual pen has ended.", "hint": ""}
            raise PinprickError(error["code"], error["message"], hint=error["hint"])
        return line

    def _read(self) -> None:
        for line in self._output:
            self._lines.put(json.loads(line))
        self._lines.put({"event": "result"})

    def end(self) -> None:
        """End the process: its input ends, and it with it; if not, by force."""
        with suppress(OSError):
            self._input.close()
        for force in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(_END_S)
                break
            except subprocess.TimeoutExpired:
                force()
        self._process.wait()
        self._reader.join(_END_S)
        self._output.close()


class _ThreadPen:
    """A pen in a thread of this process, at a pair of sockets."""

    def __init__(self, serial: str, speed: float | None) -> None:
        from pinprick.cli.sim import pipe_pen

        self._answers: queue.Queue[Answer] = queue.Queue()
        self._server, self._connect = pipe_pen(serial, speed, self._answers.put)
        self._thread = threading.Thread(target=self._server.run, name="virtual pen", daemon=True)
        self._thread.start()
        self.where = "a pipe within this process"

    def connect(self) -> Transport:
        """Make a new pipe."""
        return PipeTransport(self._connect())

    def send(self, command: Answer) -> None:
        """Hand over a command."""
        self._server.submit(command)

    def answer(self) -> Answer:
        """Return the next answer."""
        try:
            return self._answers.get(timeout=_ANSWER_S)
        except queue.Empty:
            raise PinprickError(INTERNAL, "The virtual pen does not answer.") from None

    def end(self) -> None:
        """End the thread."""
        self._server.stop()
        self._thread.join(_END_S)
