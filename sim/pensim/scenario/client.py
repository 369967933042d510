"""The host's side of a scenario's conversation: requests by line, what the pen says, and what is known from it. Host
only.

One thread, no clock of its own: `hear` takes in what has come, `due` says when a ping is. Everything that goes over the
wire is told to the log, but for pings and telemetry.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pencore import faults, version, wire
from pencore.faults import Refusal
from pencore.lines import frame
from pensim.scenario.conditions import NONE
from pensim.scenario.targets import Target

PING_MS = 400
_HELLO_IDS = 4_000_000_000
"""Ids of hellos, apart from all others: a hello is answered under any id."""
_LOST_MS = 1500
"""A ping that found no answer in this time is given up."""
_NO_NONCE = "0" * 16
"""What a host says that has not greeted the pen."""
_OLD_NONCE = "0123456789abcdef"

Log = Callable[[str, str], None]
Params = Mapping[str, Any] | Callable[[int], Mapping[str, Any]]
"""What a request says, or what makes it of the request's id."""


class Client:
    """What the host knows of the pen at `target`. `log(who, what)` is told what happens, `changed` of each notice."""

    def __init__(self, target: Target, log: Log, start_ms: int, changed: Callable[[], None]) -> None:
        self._target = target
        self._log = log
        self._start_ms = start_ms
        self._changed = changed
        self._heard = b""
        self._nonce = _NO_NONCE
        self._id = 0
        self._hellos = 0
        self._asked: dict[int, str] = {}
        self._pings: dict[int, int] = {}
        self._raw: dict[int, bytes] = {}
        self._quiet: set[int] = set()
        self._sent_ms = target.now_ms()
        self.greeted = False
        self.silent = False
        self.sent = b""
        """The last request's line; `last_line` is the last one that an act sent."""
        self.last_line = b""
        self.last_id = 0
        self.answers: dict[int, wire.Message] = {}
        self.complaints: list[Refusal] = []
        self.hello: dict[str, Any] = {}
        self.status: dict[str, Any] = {}
        self.telemetry: dict[str, Any] = {}
        self.state = wire.STATE_NAMES[wire.BOOT]
        self.code = NONE
        self.fault = NONE
        self.states: list[str] = []
        self.codes: list[str] = []
        self.faults: list[str] = []
        self.at_ms: dict[str, int] = {}

    def begin(self, start_ms: int) -> None:
        """Let the scenario start now: what was gone through before doesn't belong to it."""
        self._start_ms = start_ms
        self.last_line = b""
        self.states.clear()
        self.codes.clear()
        self.faults.clear()
        self.at_ms.clear()

    # --- saying ------------------------------------------------------------------------------------------------------
    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self._sent_ms = self._target.now_ms()
        self._target.send(data)

    def next_id(self) -> int:
        """Return the next id."""
        self._id += 1
        return self._id

    def request(self, method: str, params: Params, quiet: bool = False) -> int:
        """Send a request and return its id; Refusal for params that have no form on the wire. `quiet`: not logged."""
        if method == "hello":
            number = _HELLO_IDS + self._hellos
            self._hellos += 1
        else:
            number = self.next_id()
        made = params(number) if callable(params) else params
        if method != "hello":
            made = {"nonce": self._nonce, **made}
        self.send_line(wire.encode_request(method, number, made), number, method, quiet)
        if not quiet:
            self._log("host", f"{method}{_told(made)}")
        return number

    def send_line(self, line: bytes, number: int, method: str, quiet: bool = False) -> None:
        """Send a request's line, to be answered under `number`."""
        self._asked[number] = method
        self.sent = line
        if quiet:
            self._quiet.add(number)
        else:
            self.last_line = line
            self.last_id = number
        self.send(line)

    def forged(self, method: str, params: Mapping[str, Any], *, nonce: str | None = None, number: int = 0) -> int:
        """Send a request with another nonce, or another id than the next; return its id."""
        number = number or self.next_id()
        given = {"nonce": self._nonce if nonce is None else nonce, **params}
        self.answers.pop(number, None)
        self.send_line(wire.encode_request(method, number, given), number, method)
        self._log("host", f"{method} id={number} nonce={given['nonce']}")
        return number

    def framed(self, text: str) -> tuple[bytes, int]:
        """Return the line of `text` with its CRC, and the id in it; `$id` and `$nonce` are filled in."""
        number = self.next_id() if "$id" in text else 0
        return frame(text.replace("$id", str(number)).replace("$nonce", self._nonce)), number

    def damaged(self, method: str, params: Mapping[str, Any], at: int, mask: int) -> bytes:
        """Return the line of a request with one byte changed."""
        line = bytearray(wire.encode_request(method, self.next_id(), {"nonce": self._nonce, **params}))
        line[min(at, len(line) - 1)] ^= mask
        return bytes(line)

    @property
    def other_nonce(self) -> str:
        """A nonce that this boot has not."""
        return _OLD_NONCE

    @property
    def nonce(self) -> str:
        """The nonce of the boot that was greeted."""
        return self._nonce

    # --- the lease ---------------------------------------------------------------------------------------------------
    def ping_in_ms(self) -> int:
        """Return in how many ms a ping is due; a large number when none ever is."""
        if self.silent or not self.greeted:
            return 1_000_000
        return self._sent_ms + PING_MS - self._target.now_ms()

    def keep(self) -> None:
        """Ping if it is time to."""
        if self.ping_in_ms() > 0:
            return
        now = self._target.now_ms()
        self._pings = {number: at for number, at in self._pings.items() if now - at < _LOST_MS}
        if self._pings and self._target.reading:
            # One request at a time, also for a pen that says nothing.
            self._sent_ms = now
            return
        self._pings[self.request("ping", {}, quiet=True)] = now

    # --- hearing -----------------------------------------------------------------------------------------------------
    def hear(self) -> bool:
        """Take in what the pen has said; return whether there was anything."""
        data = self._target.receive()
        self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            try:
                message = wire.decode_message(line + b"\n", self._asked)
            except Refusal as refusal:
                self._log("pen", f"a line that is none: {faults.NAMES.get(refusal.code, refusal.code)}")
                continue
            self._take(message, line)
        return bool(data)

    def forget_line(self) -> None:
        """The cable was out: what had come of a line will not be ended."""
        self._heard = b""

    def _take(self, message: wire.Message, line: bytes) -> None:
        if message.kind == wire.NOTIFICATION:
            self._notice(message)
        elif message.id is None:
            if message.refusal is not None:
                self.complaints.append(message.refusal)
                self._log("pen", f"complains: {_refusal(message.refusal)}")
        else:
            self._answer(message, line)

    def _answer(self, message: wire.Message, line: bytes) -> None:
        number = message.id or 0
        if number not in self._asked:
            # Asked of the boot before, and heard only by the one that was greeted since.
            return
        again = self._raw.get(number)
        self._raw[number] = line
        self.answers[number] = message
        quiet = number in self._quiet
        self._pings.pop(number, None)
        if message.refusal is not None:
            if not quiet:
                self._log("pen", f"refuses: {_refusal(message.refusal)}")
            elif message.refusal.code == faults.WIRE_BAD_NONCE and self.greeted:
                self.greeted = False
                self._log("pen", "was started anew since it was greeted")
            return
        if message.name == "hello":
            self._greet(message.values)
        elif message.name == "status":
            self.status = dict(message.values)
            self._latched(self.status["fault"])
        if "state" in message.values:
            self._in_state(message.values["state"], None)
        if not quiet:
            shown = f" {self.state}" if message.name in ("hello", "status") else _told(message.values)
            self._log("pen", f"{'the same again: ' if again == line else ''}{message.name} done:{shown}")

    def _greet(self, values: Mapping[str, Any]) -> None:
        self.hello = dict(values)
        if values["nonce"] != self._nonce:
            self._nonce = values["nonce"]
            self._asked = {number: name for number, name in self._asked.items() if name == "hello"}
            self.answers = {number: answer for number, answer in self.answers.items() if number in self._asked}
            self._raw.clear()
            self._id = 0
        # A hello that was sent again is answered again, maybe after other requests.
        self._id = max(self._id, values["request_id"])
        self._pings.clear()
        self.greeted = True

    def same_again(self, number: int, before: bytes) -> bool:
        """Return whether the line that answered `number` last is `before`."""
        return self._raw.get(number) == before

    def raw(self, number: int) -> bytes:
        """Return the line that answered `number` last."""
        return self._raw.get(number, b"")

    def _notice(self, message: wire.Message) -> None:
        values = message.values
        if message.name == "telemetry":
            self.telemetry = dict(values)
            self._in_state(values["state"], None)
            return
        if message.name == "state":
            self._in_state(values["state"], values["code"])
        else:
            name = faults.NAMES.get(values["code"], str(values["code"]))
            self.faults.append(name)
            self._latched(values["code"])
            self._log("pen", f"fault {name} aux={values['aux']}")
        self._changed()

    def _latched(self, code: int) -> None:
        self.fault = faults.NAMES.get(code, str(code)) if code else NONE

    def _in_state(self, state: int, code: int | None) -> None:
        """Take up a state that was heard; `code` with a notice of a change, None with what merely mentions it."""
        name = wire.STATE_NAMES[state]
        told = code is not None
        if not told and name == self.state:
            return
        self.state = name
        if self.states[-1:] != [name]:
            self.states.append(name)
        self.at_ms[name] = self._target.now_ms() - self._start_ms
        if state != wire.FAULT:
            self.fault = NONE
        elif code:
            self._latched(code)
        if told:
            self.code = faults.NAMES.get(code or 0, NONE)
            if self.code != NONE:
                self.codes.append(self.code)
        reason = f" ({self.code})" if told and self.code != NONE else ""
        self._log("pen", f"is {name}{reason}")


def hello_params(major: int = version.PROTOCOL_MAJOR) -> dict[str, Any]:
    """Return the params of a hello."""
    return {"protocol_major": major, "protocol_minor": version.PROTOCOL_MINOR, "client": "scenario"}


def _told(values: Mapping[str, Any]) -> str:
    """Return what a message carries, in one line; the state by its name."""
    shown = {name: wire.STATE_NAMES[value] if name == "state" else value for name, value in values.items()}
    return "".join(f" {name}={_short(value)}" for name, value in shown.items() if name != "nonce" and value is not None)


def _short(value: object) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes | bytearray) else str(value)
    return text if len(text) <= 20 else f"{text[:12]}..."


def _refusal(refusal: Refusal) -> str:
    """Return a refusal in one line: its name, and what it names."""
    told = [f"{refusal.field}"] if refusal.field else []
    told += [f"zone {refusal.zone}"] if refusal.zone is not None else []
    told += [f"given {refusal.given}"] if refusal.given is not None else []
    told += [f"limit {refusal.limit}"] if refusal.limit is not None else []
    return faults.NAMES.get(refusal.code, str(refusal.code)) + (f" ({', '.join(told)})" if told else "")
