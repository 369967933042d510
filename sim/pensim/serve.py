"""A simulated pen as a device: one loop between a host's port, an operator's commands and the pen's clock. Host only.

Two clocks meet here, the pen's simulated one and the real one of host and operator, and neither may starve the other:

- **Work takes no time.** While the pen homes, strokes, seals or writes, and while an operator's command waits for its
  `after_ms`, simulated time runs as fast as it can be computed, or `speed` times as fast as the real one.
- **Rest takes its time.** Otherwise simulated time goes with the real one, so that fifteen minutes without a stroke are
  fifteen minutes.
- **A live host keeps its lease.** The pen takes a host that says nothing for 2 s for gone. Those are simulated seconds,
  and the host counts real ones. So the clock stops `HOLD_MS` of simulated time after the host's last line, and goes on
  only when the host has been silent for `GRACE_S` of real time too, or has closed its port: whoever keeps the lease by
  their own clock never loses it by the pen's, and whoever is gone does lose it.

A host that doesn't read holds up nothing: what it does not take waits in the cable, which holds 4 KiB, and then in the
pen, which drops telemetry. A host that says more than the pen can hear is heard no faster: the rest waits on its side.
"""

import contextlib
import select
import socket
import threading
import time
from collections import deque
from typing import Protocol

from pencore.units import ms_since
from pensim import hands
from pensim.clock import TICKS_PER_MS, VirtualClock
from pensim.control import Control, Sink
from pensim.ends import End
from pensim.hands import BadCommand, Command, carry_out, delay_ms

HOLD_MS = 1500
"""Simulated time after the host's last line at which the clock waits for it; the lease is 2,000 ms."""
GRACE_S = 3.0
"""Real time since the host's last line for which it waits: the lease as the host counts it, and a second for a computer
that is busy with other things."""
TICK_S = 0.01
"""Longest nap while a host is there: the grain of time at rest."""
_IDLE_TICK_S = 0.05
_NAP_S = 0.001
_STEP_MS = 1000
_BEHIND_S = 0.5
_HEARING_TURNS = 3
_HEAR_MOST = 4096
"""Bytes that may wait for the pen before no more are taken from the host."""


class Pen(hands.Pen, Protocol):
    """A pen that can be served."""

    @property
    def clock(self) -> VirtualClock:
        """The time it lives in."""

    @property
    def port(self) -> bool:
        """Whether a host's computer shows a port."""

    def step(self, limit_ms: int | None = None) -> int:
        """Let a little time pass, at most `limit_ms`; return how much, in ms."""

    def unheard(self) -> int:
        """Return how many bytes of the host's it has not worked off, at least about."""

    def heard_ms(self) -> int:
        """Return when it heard its host last, by its clock; asked only while it has power."""

    def leased(self) -> bool:
        """Return whether a host that says nothing would lose its lease now."""

    def working(self) -> bool:
        """Return whether it is at something that no host and no person has to wait for."""


class _Queue:
    """What one of those who give commands still wants, in order; each of them has a time of their own."""

    def __init__(self, now: int) -> None:
        self._commands: deque[tuple[Command | BadCommand, int]] = deque()
        self._acted = now

    def add(self, command: Command | BadCommand) -> None:
        """Add a command behind the others; one that will be refused waits for nothing."""
        self._commands.append((command, _wait_ms(command)))

    def due(self) -> int:
        """Return the tick at which the next one is due."""
        return self._acted + self._commands[0][1] * TICKS_PER_MS

    def take(self, now: int) -> Command | BadCommand:
        """Return the next one; the wait for the one behind it begins."""
        self._acted = now
        return self._commands.popleft()[0]

    def __len__(self) -> int:
        return len(self._commands)


class PenServer:
    """Serves `pen` at `end`, and its hands on `control`, until `stop`. `answer` gets the answers to what `submit` was
    given alone, and hears of crashes; in the serving thread, as everybody who is answered.

    `speed` is how much faster than the real one simulated time may go at work; None: as fast as it can be computed.
    `submit` and `stop` may be called from any thread; all else belongs to the one that calls `run`.
    """

    def __init__(
        self, pen: Pen, end: End, answer: Sink, *, speed: float | None = None, control: Control | None = None
    ) -> None:
        self.pen = pen
        self.end = end
        self._answer = answer
        self._control = control
        self._speed = speed
        self._commands: deque[tuple[Command | BadCommand, Sink]] = deque()
        self._queues: dict[Sink, _Queue] = {}
        self._ended = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._backlog = b""
        self._crashes = 0
        self._heard_at = self._looked_at = time.monotonic()
        self._owed_ms = 0.0

    # --- from any thread ---------------------------------------------------------------------------------------------
    def submit(self, command: Command | BadCommand, answer: Sink | None = None) -> None:
        """Have `command` carried out after all that came before it with the same `answer`, which is then told.

        A BadCommand is refused in its turn. "quit" ends the serving, and nothing is carried out after it; without an
        `answer` of its own it has none.
        """
        self._commands.append((command, self._answer if answer is None else answer))
        self._wake()

    def stop(self) -> None:
        """Have `run` return soon."""
        self._ended.set()
        self._wake()

    def _wake(self) -> None:
        # A full pipe wakes as well, and a closed one means that nobody sleeps any more.
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\x00")

    # --- the loop ----------------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Serve until `stop`; then let go of the port."""
        try:
            wait_s = 0.0
            while not self._ended.is_set():
                self._listen(wait_s)
                self._act()
                wait_s = self._go_on()
                self._mind_cable()
                self._speak()
                self._report_crashes()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of every port; `run` does it at its end."""
        if self._control is not None:
            self._control.close()
        self.end.close()
        self._wake_in.close()
        self._wake_out.close()

    def _listen(self, wait_s: float) -> None:
        """Wait for bytes or a command, at most `wait_s`, and give the bytes to the pen.

        None are taken while too many wait for the pen. It always works those off, so that what is behind them, a stop
        or the end of the connection, is found out about as well.
        """
        full = self.pen.unheard() > _HEAR_MOST
        watched = [] if full else self.end.watched()
        wake = self._wake_in.fileno()
        control = self._control
        others = [wake] if control is None else [wake, *control.reading()]
        ready = select.select([*watched, *others], control.writing() if control else [], [], wait_s)[0]
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_in.recv(4096)
        if control is not None:
            self._commands.extend(control.hear(ready))
        if full or (watched and not set(watched) & set(ready)):
            return
        data = self.end.receive()
        if data and self.pen.powered:
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        pen = self.pen
        heard_ms = pen.heard_ms()
        pen.host.send(data)
        # The bytes have woken the pen: it takes a turn before any time passes. A line may be worked off in the next.
        for _ in range(_HEARING_TURNS):
            pen.step(1)
            if not pen.unheard():
                break
        if pen.powered and pen.heard_ms() != heard_ms:
            self._heard_at = time.monotonic()

    def _mind_cable(self) -> None:
        """Break the host's port when the pen's is gone, its cable pulled say, and let it come back with that."""
        if self.end.plugged != self.pen.port:
            self.end.plug(self.pen.port)
            self._backlog = b""

    def _speak(self) -> None:
        """Give the host what the pen says, and everybody else their answers.

        What the host doesn't take waits, and the rest waits in the pen's cable.
        """
        if self._control is not None:
            self._control.speak()
        data = self._backlog or self.pen.host.receive()
        if data:
            # Without a host the words are gone, as on a USB port that nobody has open.
            data = data[self.end.send(data) :] if self.end.present else b""
        self._backlog = data

    def _report_crashes(self) -> None:
        """Tell of everything that the pen has reset itself for."""
        for error in self.pen.crashes[self._crashes :]:
            self._crashes += 1
            # What the firmware raised is told with its name; what became of a chip is told in words.
            problem = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
            self._answer({"event": "crashed", "problem": problem})

    # --- people ------------------------------------------------------------------------------------------------------
    def _act(self) -> None:
        """Carry out what is due of what everybody wants, each in their own order."""
        clock = self.pen.clock
        while self._commands:
            command, answer = self._commands.popleft()
            self._queues.setdefault(answer, _Queue(clock.now)).add(command)
        while self._queues and not self._ended.is_set():
            answer, queue = min(self._queues.items(), key=lambda item: item[1].due())
            if queue.due() > clock.now:
                return
            command = queue.take(clock.now)
            if not queue:
                del self._queues[answer]
            self._carry_out(command, answer)

    def _carry_out(self, command: Command | BadCommand, answer: Sink) -> None:
        try:
            if isinstance(command, BadCommand):
                raise command
            said = carry_out(self.pen, command)
            # Whoever is told that the cable is out finds it so.
            self._mind_cable()
        except BadCommand as problem:
            name = None if isinstance(command, BadCommand) else command.get("do")
            # A `do` that is no name may be what nobody can print, and isn't repeated.
            name = name if isinstance(name, str) else None
            answer({"event": "refused", "do": name, "problem": str(problem)})
            return
        if command["do"] == "quit":
            self._ended.set()
            if answer == self._answer:
                return
        answer({"event": "done", "do": command["do"], "at_ms": self.pen.clock.now // TICKS_PER_MS, **said})

    def _until_act_ms(self) -> int:
        """Return how many simulated ms there are until the next command waiting is due, rounded up."""
        due = min(queue.due() for queue in self._queues.values())
        return -((self.pen.clock.now - due) // TICKS_PER_MS)

    # --- time --------------------------------------------------------------------------------------------------------
    def _go_on(self) -> float:
        """Let simulated time pass as far as it may now; return for how long to wait before asking again."""
        now_s = time.monotonic()
        passed_s, self._looked_at = now_s - self._looked_at, now_s
        rate = self._speed if self._queues or self.pen.working() else 1.0
        left_ms = _STEP_MS
        if rate is not None:
            # What is owed outlives a change of the rate: else requests in quick succession, each a moment of work,
            # would keep time at rest from ever passing. A computer that was asleep makes up for little of it.
            self._owed_ms = min(self._owed_ms + passed_s * 1000 * rate, _BEHIND_S * 1000 * rate)
            left_ms = int(self._owed_ms)
        left_ms = min(left_ms, self._hold_ms())
        if self._queues:
            left_ms = min(left_ms, self._until_act_ms())
        if left_ms > 0:
            begin = self.pen.clock.now
            self.pen.step(left_ms)
            if rate is not None:
                self._owed_ms -= (self.pen.clock.now - begin) / TICKS_PER_MS
            return 0.0
        if rate is not None and rate > 1.0:
            return _NAP_S
        return TICK_S if self.end.present else _IDLE_TICK_S

    def _hold_ms(self) -> int:
        """Return how many ms simulated time may go on before it has to wait for the host; a large number if it
        needn't.
        """
        pen = self.pen
        if not (pen.powered and self.end.present and pen.leased()):
            return _STEP_MS
        if time.monotonic() - self._heard_at >= GRACE_S or pen.unheard() > _HEAR_MOST:
            # A host that has said more than the pen has heard is not the one that is waited for.
            return _STEP_MS
        left_ms = HOLD_MS - ms_since(pen.clock.now_ms(), pen.heard_ms())
        # The pen works off one line a turn: without time, the second of two would never be heard.
        return max(left_ms, 1) if pen.unheard() else left_ms


def _wait_ms(command: Command | BadCommand) -> int:
    """Return the command's `after_ms`; 0 for one that will be refused when it is its turn."""
    try:
        return 0 if isinstance(command, BadCommand) else delay_ms(command)
    except BadCommand:
        return 0
