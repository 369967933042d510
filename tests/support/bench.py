"""A virtual pen with everybody around it who matters, in one thread: host, operator, inspector.

The host asks and waits for the answer, the operator presses and releases, the inspector compares what the needle did,
by the plant's own account, with what was allowed and with what the pen recorded. Times are virtual; nothing waits.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pencore import faults, profile, record, wire
from pencore.digest import sha256, to_hex
from pencore.faults import Refusal
from pencore.profile import Profile
from pencore.provision import Provision
from pencore.record import Record
from pensim.clock import TICKS_PER_MS, VirtualClock
from pensim.errors import PowerCut
from pensim.oracle import COAST_LIMIT, DEPTH_LIMIT, ConsentRule, LeaseRule, Oracle
from pensim.plant import Plant
from pensim.stroke import StrokeBook
from pensim.world import World
from tests.support import profiles

BOOK = StrokeBook()
"""Shared by all benches of a process: what a table does depends on nothing but table and mechanics."""

_HELLO_IDS = 4_000_000_000
"""Ids of hellos, apart from all others: a hello is answered under any id."""
PING_MS = 400
CHUNK = 384
COAST_MOST_UM = 400
"""Furthest that the reference pen coasts past a depth when the driver is cut in full motion, in um."""


class NoAnswer(Exception):
    """The pen said nothing in time, or has no power."""


def label(session: int, zone: int) -> str:
    """Return the heading under which the oracle counts the strokes of a zone."""
    return f"{session}.{zone}"


class Pen(Protocol):
    """A pen with its plant: the virtual one, or the emulated chip."""

    clock: VirtualClock
    plant: Plant
    oracle: Oracle
    setup: Provision

    host: Any
    """The host's end of its cable: send, receive, plug, unplug."""
    powered: bool

    def power_on(self) -> None: ...
    def power_cut(self) -> None: ...
    def run_ms(self, ms: int) -> None: ...
    def run_until(self, condition: Callable[[], bool], limit_ms: int) -> bool: ...
    def press(self) -> None: ...
    def release(self) -> None: ...
    def cartridge(self, closed: bool) -> None: ...
    def change_cartridge(self) -> None: ...


class Watch(Pen):
    """Everybody around a pen; a bench is a pen and this.

    `greeting`: the last answer to hello. `loaded`: the profile the pen last took, or None. `sealed`: records pulled so
    far, by session. `notes`: notifications. `strays`: refusals of lines that had no id. `answers`: the answer to
    each request, by id; `echoes`: whatever else had an id. `earlier`: needle strokes by label that were made before
    this world began. `may_coast`: this test cuts the driver in motion, so the needle may coast past its limit by no
    more than `COAST_MOST_UM`. `may_garble`: it disturbs the cable, so lines may come that are none: `garbled`.
    """

    def watch(self, earlier: Mapping[str, int] | None = None) -> None:
        """Begin: nothing is known of the pen, and no stroke is allowed."""
        self.oracle.watch_consent(ConsentRule())
        self.oracle.watch_lease(LeaseRule())
        self.greeting: dict[str, Any] = {}
        self.loaded: Profile | None = None
        self.loaded_data = b""
        self.budgets: dict[str, tuple[int, int]] = {}
        self.sealed: dict[int, Record] = {}
        self.sealed_data: dict[int, bytes] = {}
        self.notes: list[wire.Message] = []
        self.strays: list[Refusal] = []
        self.earlier = dict(earlier or {})
        self.may_coast = False
        self.may_garble = False
        self.garbled: list[bytes] = []
        self._nonce = ""
        self._id = 0
        self._hellos = 0
        self._heard = b""
        self.answers: dict[int, wire.Message] = {}
        self.echoes: list[wire.Message] = []
        self._answers: list[wire.Message] = []
        self._asked: dict[int, str] = {}
        self.keep_inside()

    def moving(self) -> bool:
        """Return whether a stroke is under way or queued."""
        raise NotImplementedError

    # --- the host: bytes ---------------------------------------------------------------------------------------------
    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self.host.send(data)

    def listen(self) -> None:
        """Take in what the pen has said."""
        self._heard += self.host.receive()
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            try:
                message = wire.decode_message(line + b"\n", self._asked)
            except Refusal:
                if not (self.may_garble or self.host.tap.disturbed):
                    raise
                self.garbled.append(line)
                continue
            if message.kind == wire.NOTIFICATION:
                self.notes.append(message)
            elif message.id is None:
                assert message.refusal is not None
                self.strays.append(message.refusal)
            elif message.id == self._id:
                self._answers.append(message)
            else:
                self.echoes.append(message)

    def line(self, method: str, **params: Any) -> bytes:
        """Return the line of the next request, which takes the next id; a param may be what makes it of that id."""
        self._id += 1
        self._asked[self._id] = method
        params = {name: value(self._id) if callable(value) else value for name, value in params.items()}
        if method != "hello":
            params = {"nonce": self._nonce, **params}
        return wire.encode_request(method, self._id, params)

    @property
    def request_id(self) -> int:
        """The id of the latest request."""
        return self._id

    # --- the host: requests ------------------------------------------------------------------------------------------
    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return the result; raises the pen's Refusal, or NoAnswer."""
        self.listen()
        self.echoes += self._answers
        self._answers.clear()
        self.send(self.line(method, **params))

        def answered() -> bool:
            self.listen()
            return bool(self._answers) or not self.powered

        if not self.run_until(answered, 5000) or not self._answers:
            raise NoAnswer(method)
        answer = self._answers.pop(0)
        self.answers[self._id] = answer
        if answer.refusal is not None:
            raise answer.refusal
        return answer.values

    def refusal(self, method: str, **params: Any) -> int:
        """Return the code with which a request is refused; 0 when it is carried out."""
        try:
            self.ask(method, **params)
        except Refusal as refusal:
            return refusal.code
        return 0

    def insist(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask again as long as the pen is busy, up to 5 s."""
        for _ in range(100):
            try:
                return self.ask(method, **params)
            except Refusal as refusal:
                if refusal.code not in (faults.BUSY, faults.NOT_AT_HOME):
                    raise
            self.run_ms(50)
        raise NoAnswer(method)

    def hello(self) -> dict[str, Any]:
        """Greet the pen, take over its nonce and ids."""
        self._id = _HELLO_IDS + self._hellos
        self._hellos += 1
        greeting = self.ask("hello", protocol_major=1, protocol_minor=0, client="bench")
        if greeting["nonce"] != self._nonce:
            self._nonce = greeting["nonce"]
            self._asked = {number: method for number, method in self._asked.items() if method == "hello"}
        self._id = greeting["request_id"]
        self.greeting = greeting
        return greeting

    def status(self) -> dict[str, Any]:
        """Return the pen's status."""
        return self.ask("status")

    def state(self) -> int:
        """Return the pen's state."""
        state: int = self.ask("ping")["state"]
        return state

    def hold(self, ms: int) -> None:
        """Let `ms` pass with a host that lives."""
        while ms > 0:
            self.ask("ping")
            self.run_ms(min(ms, PING_MS))
            ms -= PING_MS

    def wait_for(self, *states: int, limit_ms: int = 5000) -> int:
        """Let time pass until the pen is in one of `states`; return which."""
        end = self.clock.now + limit_ms * TICKS_PER_MS
        while (state := self.state()) not in states:
            assert self.clock.now < end, f"still {wire.STATE_NAMES[state]}"
            self.run_ms(20)
        return state

    # --- the host: profiles ------------------------------------------------------------------------------------------
    def transfer(self, data: bytes) -> None:
        """Send a profile up to its commit."""
        self.ask("load.begin", size=len(data), sha256=to_hex(sha256(data)))
        for offset in range(0, len(data), CHUNK):
            self.ask("load.chunk", offset=offset, data=data[offset : offset + CHUNK])

    def load(self, data: bytes) -> dict[str, Any]:
        """Load a profile; raises the pen's Refusal."""
        self.transfer(data)
        result = self.insist("load.commit")
        self.remember(data)
        return result

    def remember(self, data: bytes) -> None:
        """Know the profile in `data` as the loaded one, with the budgets and depths that it allows."""
        self.loaded = profile.decode(data)
        self.loaded_data = data
        for zone, spec in enumerate(self.loaded.zones):
            limit_um = profiles.limit_um(self.setup, self.loaded, zone)
            self.budgets[label(self.loaded.session_id, zone)] = (spec.strokes, limit_um)

    def load_new(self, zones: Sequence[profiles.ZoneSpec] = profiles.TWO_ZONES, **fields: Any) -> bytes:
        """Change the cartridge, greet, and load a profile for the next session; return its bytes."""
        self.change_cartridge()
        greeting = self.hello()
        if self.host.clock_off_s:
            fields = {"issued_at": profiles.make(greeting).issued_at + self.host.clock_off_s, **fields}
        data = profiles.data(greeting, zones, **fields)
        self.load(data)
        return data

    # --- the inspector's settings ------------------------------------------------------------------------------------
    def keep_inside(self) -> None:
        """Count under no zone, and allow no protrusion at all."""
        self.plant.label("")
        self.plant.set_limit_um(0)

    def allow_zone(self, zone: int) -> None:
        """Count under `zone` of the loaded profile, with its limit."""
        assert self.loaded is not None
        name = label(self.loaded.session_id, zone)
        self.plant.label(name)
        self.plant.set_limit_um(self.budgets[name][1])

    # --- the operator ------------------------------------------------------------------------------------------------
    def arm(self, zone: int | None = None) -> None:
        """Arm for a zone and wait until the pen is ARMED."""
        self.draw_in()
        self.keep_inside()
        self.insist("arm", zone=zone)
        state = self.wait_for(wire.ARMED, wire.LOADED, wire.FAULT)
        assert state == wire.ARMED, self.status()
        self.allow_zone(self.status()["zone"])

    def select(self, zone: int) -> None:
        """Make another zone the one at work; nothing may be going on."""
        self.draw_in()
        self.keep_inside()
        self.insist("zone.select", zone=zone)
        for _ in range(100):
            if self.status()["zone"] == zone:
                break
            self.run_ms(20)
        self.wait_for(wire.ARMED, wire.PAUSED)
        assert self.status()["zone"] == zone
        self.allow_zone(zone)

    def draw_in(self) -> None:
        """Wait until a stroke in progress has come home, one that is still on its way out of the nose too."""
        while self.moving():
            self.hold(20)

    def stroke_for(self, ms: int) -> None:
        """Release for long enough, press for `ms`, release, wait for the needle."""
        self.release()
        self.hold(150)
        self.press()
        self.hold(ms)
        self.release()
        self.hold(400)

    def play_zone(self) -> None:
        """Press until the zone at work is spent, or the pen stops by itself."""
        zone = self.status()["zone"]
        self.release()
        self.hold(150)
        self.press()
        self.hold(50)
        while (status := self.status())["state"] == wire.RUNNING and status["left"][zone]:
            self.run_ms(100)
        self.run_ms(20)
        self.release()
        self.hold(150)

    def finish_session(self) -> None:
        """Play all that is left of the session, whatever state it is in; ends SAFE and sealed. Never in FAULT."""
        for _ in range(300):
            status = self.status()
            state = status["state"]
            if state == wire.SAFE:
                self.keep_inside()
                return
            assert state != wire.FAULT, status
            unspent = [zone for zone, left in enumerate(status["left"]) if left]
            if state == wire.LOADED:
                if unspent:
                    self.release()
                    self.hold(50)
                    self.arm(unspent[0])
                else:
                    self.insist("finish")
            elif state in (wire.ARMED, wire.PAUSED) and unspent:
                if status["zone"] not in unspent:
                    self.select(unspent[0])
                self.play_zone()
            self.run_ms(50)
        raise AssertionError(f"the session doesn't end: {self.status()}")

    def play_session(self, zones: Sequence[profiles.ZoneSpec] = profiles.TWO_ZONES, **fields: Any) -> None:
        """Load and play a whole new session, and pull its record."""
        self.load_new(zones, **fields)
        self.finish_session()
        self.pull()

    def recover_from_fault(self) -> None:
        """Clear a fault, once its cause is gone."""
        self.keep_inside()
        self.insist("clear")

    # --- power -------------------------------------------------------------------------------------------------------
    def unpower(self) -> None:
        """Cut the power; what was on the cable is gone."""
        self.power_cut()
        self.host.unplug()

    def restart(self) -> None:
        """Power up again and greet."""
        self.keep_inside()
        self.host.unplug()
        self.host.plug()
        self._heard = b""
        self.power_on()
        self.hello()

    # --- records -----------------------------------------------------------------------------------------------------
    def read_record(self, session: int) -> bytes:
        """Return the bytes of a record, read piece by piece."""
        piece = self.ask("record.read", session=session, offset=0)
        data: bytes = piece["data"]
        while len(data) < piece["size"]:
            data += self.ask("record.read", session=session, offset=len(data))["data"]
        return data

    def pull(self) -> None:
        """Read every record that is on the pen and new; each must continue the chain."""
        for session in self.ask("record.list", after=max(self.sealed, default=0))["sessions"]:
            data = self.read_record(session)
            read = record.decode(data)
            assert read.session == session
            if session - 1 in self.sealed:
                assert read.previous == self.sealed[session - 1].digest
            elif session == 1:
                assert read.previous == bytes(32)
            self.sealed[session] = read
            self.sealed_data[session] = data

    def acknowledge(self) -> None:
        """Acknowledge every record that was pulled."""
        acked = self.ask("record.list", after=0)["acked"]
        for session in sorted(self.sealed):
            if session > acked:
                self.insist("record.ack", session=session, sha256=to_hex(self.sealed[session].digest))

    # --- the inspector -----------------------------------------------------------------------------------------------
    def needle_strokes(self) -> dict[str, int]:
        """Return the strokes the needle has made, by label, those of earlier worlds included; "" is for no zone."""
        counts = dict(self.earlier)
        for name, tally in self.plant.report().labels.items():
            counts[name] = counts.get(name, 0) + max(tally.begun, tally.crossings)
        return counts

    def check(self, *, allow: Sequence[str] = (), exact: bool = False) -> None:
        """Fail unless the needle did only what was allowed, and the records tell all of it.

        `allow`: kinds of violation that this test provokes. `exact`: no fault came between, so the needle's count is
        the recorded one and nothing is forfeited.
        """
        report = self.plant.report()
        allowed = {*allow, *([COAST_LIMIT] if self.may_coast else [])}
        found = [str(violation) for violation in report.violations if violation.kind not in allowed]
        assert not found, found
        counts = self.needle_strokes()
        assert counts.pop("", 0) == 0, "strokes outside of every zone"
        for name, strokes in counts.items():
            budget, limit_um = self.budgets[name]
            assert strokes <= budget, f"zone {name}: {strokes} strokes of {budget}"
            if name in report.labels and DEPTH_LIMIT not in allow:
                assert report.labels[name].deepest_um <= limit_um + 1e-6
                assert report.labels[name].deepest_coast_um <= limit_um + COAST_MOST_UM
            session, zone = (int(part) for part in name.split("."))
            if session in self.sealed:
                self._check_record(self.sealed[session].zones[zone], strokes, budget, limit_um, exact)
        for sealed in self.sealed.values():
            assert sealed.counted() <= sealed.session_strokes

    def _check_record(self, account: record.RecordZone, strokes: int, budget: int, limit_um: int, exact: bool) -> None:
        assert strokes <= account.counted() <= account.budget == budget
        assert account.deepest_um <= limit_um
        assert account.depth_um <= limit_um
        if exact:
            assert (account.made, account.forfeited) == (strokes, 0)

    # --- what a cut campaign needs -----------------------------------------------------------------------------------
    def without_power(self, act: Callable[[], object]) -> bool:
        """Carry out `act`; return whether the power went meanwhile."""
        try:
            act()
        except (NoAnswer, PowerCut):
            assert not self.powered
        return not self.powered


class Bench(World, Watch):
    """A virtual pen under watch. Powered and greeted unless `greet` is False; arguments as `World` has them.

    `history`: all that went into the pen: (tick, "send", bytes) and (tick, name of a hand's act, its level).
    """

    def __init__(self, *, greet: bool = True, earlier: Mapping[str, int] | None = None, **world: Any) -> None:
        self.history: list[tuple[int, str, Any]] = []
        super().__init__(book=BOOK, **world)
        self.watch(earlier)
        if greet:
            self.power_on()
            self.hello()

    def moving(self) -> bool:
        """Return whether a stroke is under way or queued, or the needle is out."""
        return self.plant.depth_um() > 0 or bool(self.engine.queued())

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        self.history.append((self.clock.now, "send", data))
        super().send(data)

    def press(self) -> None:
        """Press the trigger."""
        self.history.append((self.clock.now, "press", True))
        super().press()

    def release(self) -> None:
        """Let the trigger go."""
        self.history.append((self.clock.now, "release", False))
        super().release()

    def cartridge(self, closed: bool) -> None:
        """Close or open the cartridge holder."""
        self.history.append((self.clock.now, "cartridge", closed))
        super().cartridge(closed)
