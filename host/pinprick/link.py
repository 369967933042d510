"""One conversation with a pen: requests that are carried out once, notices as they come, the lease kept. Host only.

The only module of the host that speaks the wire; `pinprick.device` gives its messages types. Two threads serve a Link:
one reads, one pings while a session is armed. A request may be made from any other thread, never from a notice's
callback.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from pencore import faults, version, wire
from pencore.lines import FEED_MAX, STOP_BYTE
from pinprick import __version__, wording
from pinprick.clock import shown
from pinprick.errors import LINK_LOST, NOT_A_PEN, PEN_RESTARTED, PEN_SILENT, PORT_IN_USE, NoDevice, PinprickError
from pinprick.profiles.units import mm
from pinprick.transport import Transport
from pinprick.wording.states import alone

ANSWER_S = 4.0
"""Longest wait for an answer, repetitions included; the slowest flash write of a pen takes 1.2 s."""
REPEAT_S = 1.0
"""After so long without an answer the same line is sent again; the pen answers it from its memory, and does nothing
twice."""
HELLO_S = 3.0
HELLO_REPEAT_S = 0.5
PING_S = 0.5
"""A leased pen hears something at least this often: by the host's clock and, as telemetry tells it, by the pen's own.
The second matters where the pen's time is simulated and runs faster than the host's."""
_PING_MS = 500
_READ_S = 0.05
_JOIN_S = 2.0
_REPEATS_MOST = 8
_DAMAGED_MOST = 3
_HELLO_ID = 0xFFFFFFFF
Params = Mapping[str, Any] | Callable[[int], Mapping[str, Any]]
"""What a request says, or what makes it of the request's id."""
_LEASED = (wire.HOMING, wire.ARMED, wire.RUNNING, wire.PAUSED)


class PenRefused(PinprickError):
    """The pen refused a request; nothing was changed. `zone` is the index of the zone meant, or None."""

    def __init__(self, refusal: faults.Refusal, hint: str = "") -> None:
        message = wording.of(refusal.code).what + _detail(refusal)
        super().__init__(
            refusal.code, message, field=refusal.field, given=refusal.given, limit=refusal.limit, hint=hint
        )
        self.zone = refusal.zone


def _day(days: int) -> str:
    return f"{date(1970, 1, 1) + timedelta(days=min(days, _DAYS_MOST))}"


_DAYS_MOST = 2_932_896
"""The last day that has a name of four digits for its year."""
_SHOWN: dict[str, Callable[[int], str]] = {
    "issued_at": shown,
    "time": shown,
    "cartridge.expires": _day,
    "hmac": "{} s".format,
}
"""How the numbers of a field are told where they are a moment or a day, as seconds or days since 1970, or a time."""


def _detail(refusal: faults.Refusal) -> str:
    """Return what the pen said beside the code: " (zone.depth_mm of zone 3: given 2.60 mm, bound 2.50 mm)"."""
    if not refusal.field:
        return ""
    if refusal.field == "state" and refusal.given is not None:
        return f" (it is {wire.STATE_NAMES[refusal.given] if refusal.given <= wire.FAULT else refusal.given})"
    text = refusal.field + ("" if refusal.zone is None else f" of zone {refusal.zone}")
    show = _SHOWN.get(refusal.field, mm if refusal.field.endswith("_mm") else "{:,}".format)
    told = [f"given {show(refusal.given)}"] if refusal.given is not None else []
    told += [f"bound {show(refusal.limit)}"] if refusal.limit is not None else []
    return f" ({text}{': ' if told else ''}{', '.join(told)})"


_ASKED = {"clock.correct": "clock correct", "record.ack": "records pull"}
"""Method -> the command that asks for it, where that is not the method's first word."""


def _when(method: str, state: int | None) -> str:
    """Return what to say to whoever asks for `method` in a `state` (None: unknown) that is the wrong one."""
    if method == "clock.correct" and state == wire.LOADED:
        # The state is right, what is loaded isn't.
        return (
            "The loaded profile was checked against the time that the pen has now, and made no stroke: `pinprick"
            " finish` unloads it. Then correct the time, and load it again."
        )
    states = [name for code, name in enumerate(wire.STATE_NAMES) if wire.allowed(method, code)]
    # As the command is called: "load" for load.begin, "zone" for zone.select.
    what = _ASKED.get(method, method.partition(".")[0])
    first = "First `pinprick clear`, when the cause is gone. " if state == wire.FAULT else ""
    return f"{first}A pen takes {what} only while it is {' or '.join(states)}; `pinprick status` shows how it is."


def _closed(name: str) -> NoDevice:
    return NoDevice(LINK_LOST, f"The connection to {name} was closed.", field="--port")


class Link:
    """A pen at the other end of `transport`, from `hello` to `close`.

    `notify` gets every notification, in the reading thread, in order; it must return soon and must not make a request.
    `state` is the pen's state as last heard (a code of `pencore.wire`; BOOT before the first), `lost` the error that
    ended the connection, or None. With `lease_s` a number, the lease is kept only for so long after the last `request`:
    a program that got stuck holds no pen. An answer is waited for `patience` times as long as a real pen's.
    """

    def __init__(self, transport: Transport, notify: Callable[[wire.Message], None], *, patience: float = 1.0) -> None:
        self.name = transport.name
        self.state: int = wire.BOOT
        self.lost: NoDevice | None = None
        self.lease_s: float | None = None
        self._asked_at = time.monotonic()
        self._transport = transport
        self._notify = notify
        self._patience = patience
        self._nonce = ""
        self._last_id = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._pending: dict[int, str] = {}
        self._answer: wire.Message | None = None
        self._complaints = 0
        self._complaint: faults.Refusal | None = None
        self._received = 0
        self._closing = False
        self._sent_at = time.monotonic()
        self._uptime_ms = 0
        self._sent_uptime_ms = 0
        self._reader = threading.Thread(target=self._read, name=f"pen {self.name}", daemon=True)
        self._keeper = threading.Thread(target=self._keep_lease, name=f"lease {self.name}", daemon=True)
        self._reader.start()
        self._keeper.start()

    # --- requests ----------------------------------------------------------------------------------------------------
    def hello(self) -> dict[str, Any]:
        """Begin, or begin anew after the pen was reset; return the fields of the answer.

        Raises NoDevice PEN_SILENT, NOT_A_PEN, PORT_IN_USE or LINK_LOST, and PenRefused WIRE_PROTOCOL for another major
        version.
        """
        params = {
            "protocol_major": version.PROTOCOL_MAJOR,
            "protocol_minor": version.PROTOCOL_MINOR,
            "client": f"pinprick {__version__}",
        }
        with self._turn:
            with self._changed:
                if self.lost is not None and self.lost.code == PEN_SILENT:
                    # Silence is no broken line: the pen may have been without power.
                    self.lost = None
            # A stranger's greeting may have come before this line is reached.
            heard = self._received if self._nonce else 0
            line = wire.encode_request("hello", _HELLO_ID, params)
            try:
                # Nobody knows yet what was said on this port before: the newline ends it. The pen may complain of it.
                result = self._exchange(b"\n" + line, _HELLO_ID, "hello", HELLO_S, HELLO_REPEAT_S, patient=True)
            except NoDevice as error:
                if error.code == PEN_SILENT and self._received > heard:
                    message = f"What is connected to {self.name} does not answer as a pen."
                    raise NoDevice(NOT_A_PEN, message, field="--port") from None
                if error.code == LINK_LOST and not self._received and self.name.startswith("socket://"):
                    # A served pen has one host at a time, and shuts the door on the next without a word.
                    message = f"{self.name} took the connection and closed it again: another program has the pen."
                    raise NoDevice(PORT_IN_USE, message, field="--port", given=self.name) from None
                raise
            major = result["protocol_major"]
            if major != version.PROTOCOL_MAJOR:
                refusal = faults.Refusal(faults.WIRE_PROTOCOL, "protocol_major", major, version.PROTOCOL_MAJOR)
                raise PenRefused(refusal)
            self._nonce = result["nonce"]
            self._last_id = result["request_id"]
            return result

    def request(self, method: str, params: Params | None = None) -> dict[str, Any]:
        """Have the pen carry out `method` once, and return the fields of its answer.

        `params` without the nonce. Raises PenRefused, and NoDevice PEN_SILENT or LINK_LOST, or PinprickError
        PEN_RESTARTED when the pen was reset since the last hello; after those it is not known whether the pen has done
        it.
        """
        self._asked_at = time.monotonic()
        try:
            with self._turn:
                return self._request(method, params or {})
        except PenRefused as refused:
            if refused.code != faults.WIRE_BAD_NONCE:
                raise
            raise PinprickError(PEN_RESTARTED, wording.of(PEN_RESTARTED).what) from None

    def _request(self, method: str, params: Params) -> dict[str, Any]:
        self._last_id += 1
        made = params(self._last_id) if callable(params) else params
        try:
            line = wire.encode_request(method, self._last_id, {"nonce": self._nonce, **made})
        except wire.LineRefusal as refusal:
            raise PenRefused(refusal) from None
        return self._exchange(line, self._last_id, method, ANSWER_S, REPEAT_S)

    def _exchange(
        self, line: bytes, request_id: int, method: str, limit_s: float, repeat_s: float, patient: bool = False
    ) -> dict[str, Any]:
        """Send `line`, again and again when it must be, until it is answered; the caller holds the turn.

        A complaint of the pen about a line it didn't understand makes for an early repetition, unless `patient`.
        """
        limit_s, repeat_s = limit_s * self._patience, repeat_s * self._patience
        deadline = time.monotonic() + limit_s
        with self._changed:
            self._answer = None
            self._pending = {request_id: method}
        try:
            for _ in range(_REPEATS_MOST):
                complaints = None if patient else self._complaints
                self._send(line)
                answer = self._await_news(complaints, min(repeat_s, deadline - time.monotonic()))
                if answer is not None:
                    return self._result(answer, method)
                if time.monotonic() >= deadline:
                    break
            raise self._silent()
        finally:
            with self._changed:
                self._pending = {}

    def _await_news(self, complaints: int | None, wait_s: float) -> wire.Message | None:
        """Return the answer; None when none came in time, or when there are more than `complaints` (a number).

        Raises NoDevice when the link was lost.
        """

        def told() -> bool:
            complained = complaints is not None and self._complaints > complaints
            return self._answer is not None or complained or self.lost is not None

        with self._changed:
            self._changed.wait_for(told, max(0.0, wait_s))
            if self._answer is None and self.lost is not None:
                raise self.lost
            return self._answer

    def _result(self, answer: wire.Message, method: str) -> dict[str, Any]:
        if answer.refusal is not None:
            forbidden = answer.refusal.code == faults.STATE_FORBIDS
            raise PenRefused(answer.refusal, _when(method, answer.refusal.given) if forbidden else "")
        return answer.values

    def _send(self, line: bytes) -> None:
        if self._closing:
            raise _closed(self.name)
        self._sent_at = time.monotonic()
        self._sent_uptime_ms = self._uptime_ms
        try:
            self._transport.write(line)
        except NoDevice as error:
            raise self._lose(error) from None

    def send_stop(self) -> None:
        """Send the stop byte now, whatever else is under way; waits for nothing but the port itself."""
        if self._closing:
            raise _closed(self.name)
        try:
            self._transport.write(bytes((STOP_BYTE,)))
        except NoDevice as error:
            raise self._lose(error) from None

    def send_damaged(self, method: str, params: Mapping[str, Any], at: int, mask: int) -> PenRefused:
        """Send a request's line with one byte changed, and return the pen's complaint about it.

        Sent again when no complaint comes: the pen makes no more than two a second. NoDevice PEN_SILENT when none does.
        """
        with self._turn:
            self._last_id += 1
            line = bytearray(wire.encode_request(method, self._last_id, {"nonce": self._nonce, **params}))
            line[at] ^= mask
            self._answer = None
            for _ in range(_DAMAGED_MOST):
                complaints = self._complaints
                self._send(bytes(line))
                self._await_news(complaints, REPEAT_S * self._patience)
                if self._complaint is not None and self._complaints > complaints:
                    return PenRefused(self._complaint)
            raise self._silent()

    def _silent(self) -> NoDevice:
        message = f"The pen at {self.name} does not answer. {alone(self.state)}".rstrip()
        return NoDevice(PEN_SILENT, message, field="--port")

    # --- what the pen says -------------------------------------------------------------------------------------------
    def _read(self) -> None:
        reader = wire.LineReader()
        try:
            while not self._closing:
                data = self._transport.read(_READ_S)
                self._received += len(data)
                for start in range(0, len(data), FEED_MAX):
                    reader.feed(data[start : start + FEED_MAX])
                    self._take_lines(reader)
        except NoDevice as error:
            self._lose(error)
        finally:
            # A listener that raises ends the thread, and is told of as every uncaught exception is.
            self._lose(NoDevice(LINK_LOST, f"Nobody listens to {self.name} any more.", field="--port"))

    def _take_lines(self, reader: wire.LineReader) -> None:
        while True:
            try:
                line = reader.take()
                if line is None:
                    return
                message = wire.decode_message(line, self._pending)
            except wire.LineRefusal:
                # Noise, an answer that came too late, or a notification of a newer pen: nothing to act on.
                continue
            self._dispatch(message)

    def _dispatch(self, message: wire.Message) -> None:
        with self._changed:
            state = message.values.get("state")
            if state is not None:
                self.state = state
            self._uptime_ms = message.values.get("uptime_ms", self._uptime_ms)
            if message.kind != wire.NOTIFICATION:
                if message.id is None:
                    self._complaints += 1
                    self._complaint = message.refusal
                elif message.id in self._pending and self._answer is None:
                    # The first one holds, whatever else comes under its id: a repetition has an answer too.
                    self._answer = message
                self._changed.notify_all()
            elif message.name != "telemetry" or self._ping_wait_s() <= 0:
                self._changed.notify_all()
        if message.kind == wire.NOTIFICATION:
            self._notify(message)

    def _lose(self, error: NoDevice) -> NoDevice:
        """Know that the connection is lost, and return why: `error`, with what the pen does without it."""
        with self._changed:
            if self.lost is None and not self._closing:
                told = alone(self.state)
                if told and error.code == LINK_LOST:
                    error = NoDevice(error.code, f"{error.message} {told}", field=error.field)
                self.lost = error
            self._changed.notify_all()
            return self.lost or error

    # --- the lease ---------------------------------------------------------------------------------------------------
    def _ping_wait_s(self) -> float:
        """Return how long the pen may go without a line from now on; 0 or less when one is due."""
        if (self._uptime_ms - self._sent_uptime_ms) & 0xFFFFFFFF >= _PING_MS:
            return 0.0
        return self._sent_at + PING_S - time.monotonic()

    def _attended(self) -> bool:
        return self.lease_s is None or time.monotonic() - self._asked_at < self.lease_s

    def _keep_lease(self) -> None:
        """Ping while the pen counts on it; in a thread of its own, so that no command's pauses matter."""
        while True:
            with self._changed:
                while not self._closing:
                    leased = self.state in _LEASED and self.lost is None and self._attended()
                    wait_s = self._ping_wait_s() if leased else None
                    if wait_s is not None and wait_s <= 0:
                        break
                    self._changed.wait(_READ_S if wait_s is None and self.lease_s is not None else wait_s)
                if self._closing:
                    return
            try:
                with self._turn:
                    if self._ping_wait_s() <= 0:
                        self._request("ping", {})
            except PenRefused:
                # The pen was reset: its lease is none of ours until the next hello.
                with self._changed:
                    self.state = wire.BOOT
            except NoDevice as error:
                self._lose(error)

    # --- the end -----------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """End both threads and let go of the port. A leased pen then pauses by itself."""
        with self._changed:
            self._closing = True
            if self.lost is None:
                # Whoever waits for the pen, in whatever thread, waits no longer.
                self.lost = _closed(self.name)
            self._changed.notify_all()
        for thread in (self._keeper, self._reader):
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)
        self._transport.close()
