"""A whole pen on ideal ports, with its host, driven by a script: the same script runs on both Pythons.

`play` takes acts and returns all that could be observed: every line, light, flash write and engine call in order, and
at the end the files and what the needle did. A property compares the two Pythons' answers byte for byte; tests of the
runner drive an `IdealPen` directly.
"""

from pencore import digest, faults, ledger, profile, provision, signals, wire
from pencore.faults import Refusal
from pencore.lines import LineRefusal
from pencore.runner import Runner
from tests.portable import samples
from tests.portable.ideal_ports import (
    Files,
    IdealPorts,
    Levels,
    Log,
    Needle,
    PerfectEngine,
    Pipe,
    PowerCut,
    Quiet,
    Time,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PING_MS = 500
ANSWER_MS = 900
CHUNK = 300
POWER_ON = 1
WATCHDOG = 3


class IdealPen:
    """A provisioned pen with a fresh ledger, a host beside it. `boot` starts it, also anew after a power cut."""

    def __init__(self, made: "provision.Provision | None", start_ms: int = 1000) -> None:
        self.log = Log()
        self.time = Time(start_ms)
        self.needle = Needle()
        self.store = Files()
        self.provision = made
        if made is not None:
            self.store.files[provision.FILE] = provision.encode(made)
            ledger.create(self.store)
        self.level = signals.CARTRIDGE
        self.boots = 0
        self.dead = True

    # --- power -------------------------------------------------------------------------------------------------------
    def boot(self, cause: int = POWER_ON) -> None:
        """Switch on: new ports on the same files, a new runner."""
        self.boots += 1
        self.engine = PerfectEngine(self.time, self.log, self.needle)
        self.store.attach(self.time, self.engine, self.log)
        self.link = Pipe(self.log)
        self.inputs = Levels(self.engine, self.level)
        ports = IdealPorts(
            self.time, self.link, self.inputs, self.engine, self.store, Quiet(self.log, self.boots, cause)
        )
        self.runner = Runner(ports)  # type: ignore[arg-type]  # the pen's Ports is for type checkers, MicroPython has none
        self.nonce = ""
        self.next_id = 1
        self.pending: "dict[int, str]" = {}
        self._line = b""
        self.heard: "list[wire.Message]" = []
        self.host_alive = True
        self._ping_at_ms = self.time.total_ms
        self.dead = False
        self.log.add("boot", cause)
        try:
            self.runner.boot(self.time.now_ms())
        except PowerCut:
            self._power_cut()

    def cut_power(self) -> None:
        """Switch off between two steps; what the needle had begun it has done."""
        self.engine.poll()
        self._power_cut()

    def _power_cut(self) -> None:
        self.log.add("power cut")
        self.dead = True

    # --- time --------------------------------------------------------------------------------------------------------
    def step(self) -> int:
        """Let the pen take one step; return in how many ms something is due."""
        if self.dead:
            return 1000
        self.inputs.level = self.level
        if self.level & signals.STOP:
            self.engine.trip(signals.TRIP_STOP)
        try:
            wait_ms = self.runner.step(self.time.now_ms())
        except PowerCut:
            self._power_cut()
            return 1000
        self._hear()
        return min(wait_ms, self.engine.next_ms())

    def advance(self, span_ms: int) -> None:
        """Let `span_ms` go by, with the host's pings in them."""
        end_ms = self.time.total_ms + span_ms
        while True:
            if self.nonce and self.host_alive and not self.pending and self.time.total_ms >= self._ping_at_ms:
                self.send("ping")
            wait_ms = self.step()
            if self.time.total_ms >= end_ms:
                return
            if self.host_alive and self.nonce:
                wait_ms = min(wait_ms, max(1, self._ping_at_ms - self.time.total_ms))
            self.time.total_ms = min(end_ms, self.time.total_ms + wait_ms)

    def until(self, state: int, limit_ms: int = 30_000) -> None:
        """Advance until the pen is in `state` with no task in hand."""
        end_ms = self.time.total_ms + limit_ms
        while self.runner.state != state or self.runner.busy() or self.runner.unsettled():
            if self.dead or self.time.total_ms >= end_ms:
                raise AssertionError("state %d after %d ms" % (self.runner.state, limit_ms))
            self.advance(1)

    # --- the host ----------------------------------------------------------------------------------------------------
    def _hear(self) -> None:
        """Take in the whole lines that have arrived."""
        while True:
            end = self.link.to_host.find(b"\n")
            if end < 0:
                return
            line = self.link.to_host[: end + 1]
            self.link.to_host = self.link.to_host[end + 1 :]
            try:
                message = wire.decode_message(line, self.pending)
            except LineRefusal as refusal:
                # Late answers: the host that waited for them is gone.
                if refusal.code != faults.WIRE_STALE_ID:
                    raise
                continue
            if message.id is not None and message.id in self.pending:
                del self.pending[message.id]
            self.heard.append(message)

    def send(self, method: str, **params: "Any") -> int:
        """Send a request without waiting; return its id."""
        if method != "hello":
            params["nonce"] = self.nonce
        request_id = self.next_id
        self.next_id += 1
        self._line = wire.encode_request(method, request_id, params)
        self.link.to_pen += self._line
        self.pending[request_id] = method
        self._ping_at_ms = self.time.total_ms + PING_MS
        return request_id

    def ask(self, method: str, **params: "Any") -> "dict[str, Any]":
        """Send a request, once more when no answer comes, and return its result; Refusal as the pen's.

        {} when the power went meanwhile; Refusal 0 when there was no answer to either.
        """
        request_id = self.send(method, **params)
        for _ in range(2):
            end_ms = self.time.total_ms + ANSWER_MS
            while self.time.total_ms < end_ms and not self.dead:
                self.advance(1)
                for message in self.heard:
                    if message.id == request_id:
                        self.heard = []
                        if message.refusal is not None:
                            raise message.refusal
                        return message.values
            if self.dead:
                return {}
            self.link.to_pen += self._line
        del self.pending[request_id]
        raise Refusal(0, method)

    def code(self, method: str, **params: "Any") -> int:
        """Send a request and return the code it is refused with, 0 when it is carried out, -1 without an answer."""
        try:
            self.ask(method, **params)
        except Refusal as refusal:
            return refusal.code or -1
        return 0

    def greet(self) -> "dict[str, Any]":
        """Say hello and keep what it tells: the nonce and the next id."""
        said = self.ask("hello", protocol_major=1, protocol_minor=0, client="script")
        if said:
            self.nonce = said["nonce"]
            self.next_id = said["request_id"] + 1
        return said

    def push(self, data: bytes) -> int:
        """Send a profile's bytes; return the code of the first refusal, 0 when it is loaded."""
        code = self.code("load.begin", size=len(data), sha256=digest.to_hex(digest.sha256(data)))
        for offset in range(0, len(data), CHUNK):
            if code:
                return code
            code = self.code("load.chunk", offset=offset, data=data[offset : offset + CHUNK])
        return code or self.code("load.commit")

    def load(self, made: "profile.Profile | None" = None) -> int:
        """Load `made`, filled in for the session that the pen expects; return the code, 0 when it is loaded."""
        try:
            said = self.greet()
        except Refusal as refusal:
            return refusal.code or -1
        if not said:
            return 0
        if made is None:
            made = samples.filled()
        made.session_id = said["session_id"]
        made.ledger_head = bytes([int(said["ledger_head"][at : at + 2], 16) for at in range(0, 64, 2)])
        key_id = 0 if self.provision is None else self.provision.key_id
        return self.push(profile.encode(made, key_id, samples.KEY))

    # --- hands -------------------------------------------------------------------------------------------------------
    def set_level(self, bit: int, on: bool) -> None:
        """Change an input from the next step on."""
        self.level = self.level | bit if on else self.level & ~bit

    def new_cartridge(self) -> None:
        """Open the holder and close it again."""
        self.set_level(signals.CARTRIDGE, False)
        self.advance(50)
        self.set_level(signals.CARTRIDGE, True)
        self.advance(50)

    def press(self, span_ms: int) -> None:
        """Hold the trigger for a while; some release before and after it."""
        self.advance(120)
        self.set_level(signals.TRIGGER, True)
        self.advance(span_ms)
        self.set_level(signals.TRIGGER, False)
        self.advance(1)

    def ready(self, made: "profile.Profile | None" = None, zone: "int | None" = None) -> None:
        """Fit a cartridge, load and arm."""
        self.new_cartridge()
        code = self.load(made)
        if code:
            raise AssertionError("load: %d" % code)
        self.ask("arm", zone=zone)
        self.until(wire.ARMED)

    # --- what can be observed ----------------------------------------------------------------------------------------
    def observed(self) -> "list[Any]":
        """Return state, counters, files and needle."""
        runner = self.runner
        work = runner.session
        counts = []
        if work is not None:
            for zone in range(len(work.profile.zones)):
                counts.append([work.made(zone), work.forfeited(zone), work.left(zone)])
        return [
            self.time.total_ms,
            runner.state,
            runner.fault_code,
            runner.session_id(),
            counts,
            runner.ledger.seq,
            runner.ledger.last_session,
            digest.to_hex(runner.head),
            self.store.image(),
            self.needle.strokes,
            self.needle.deepest_steps,
        ]


# --- scripts ---------------------------------------------------------------------------------------------------------
def play(
    script: "list[list[Any]]", start_ms: int = 1000, key_id: int = 0, entries: int = 0
) -> "tuple[list[list[Any]], list[str]]":
    """Carry out the acts of `script` on a new pen whose ledger has `entries` more than its checkpoint.

    Returns what could be observed, act by act, and the breaches.

    | act | |
    |---|---|
    | ["wait", ms] | let time go by |
    | ["level", bit, 0 or 1] | change an input |
    | ["cartridge"], ["press", ms] | open and close the holder; hold the trigger |
    | ["load", {attribute: value}, zones] | greet, fill in, push |
    | ["ask", method, {params}] | one request, its answer awaited |
    | ["bytes", bytes] | anything at all |
    | ["host", 0 or 1] | the host stops or starts pinging |
    | ["room", bytes or None] | how much the host still reads |
    | ["trouble", writes from now, kind] | see `Files` |
    | ["trip", bits] | a guard cuts the driver |
    | ["cut", cause] | power off and on |
    """
    made = samples.provisioned(key_id, samples.KEY if key_id else bytes(32))
    pen = IdealPen(made, start_ms)
    for seq in range(entries):
        pen.store.files[ledger.FILE] += ledger.pack(ledger.Entry(ledger.CLOCK, aux=samples.CALIBRATED_S), seq + 2)
    pen.boot()
    for act in script:
        pen.log.add("act", act[0])
        carry_out(pen, act)
        pen.log.add("now", *pen.observed())
    return pen.log.entries, pen.log.breaches


def carry_out(pen: IdealPen, act: "list[Any]") -> None:
    """Carry out one act; when the power went in it, switch on again."""
    _act(pen, act)
    if pen.dead:
        pen.boot()


def _act(pen: IdealPen, act: "list[Any]") -> None:
    what = act[0]
    if what == "wait":
        pen.advance(act[1])
    elif what == "level":
        pen.set_level(act[1], act[2] == 1)
    elif what == "cartridge":
        pen.new_cartridge()
    elif what == "press":
        pen.press(act[1])
    elif what == "load":
        pen.log.add("code", pen.load(samples.filled(act[2], **act[1])))
    elif what == "ask":
        pen.log.add("code", pen.code(act[1], **act[2]))
    elif what == "bytes":
        pen.link.to_pen += act[1]
        pen.advance(5)
    elif what == "host":
        pen.host_alive = act[1] == 1
    elif what == "room":
        pen.link.room_left = act[1]
    elif what == "trouble":
        pen.store.trouble_at = pen.store.writes + act[1]
        pen.store.trouble = act[2]
    elif what == "trip":
        pen.engine.trip(act[1])
    elif what == "cut":
        pen.cut_power()
        pen.boot(act[1])
