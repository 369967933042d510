"""One session at a virtual pen, from power-up to the acknowledged record: host, operator and inspector. Host only.

The host has a real one's habits, by the virtual clock: it reads ten times a second and decodes all that it reads,
pings twice a second, and asks for the status only when a zone is spent. The operator presses once for each zone. The
inspector compares needle and record zone by zone; a run that was not right has no figures.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pencore import profile, record, wire
from pencore.digest import sha256, to_hex
from pencore.profile import Profile
from pencore.record import Record
from pensim.clock import TICKS_PER_MS
from pensim.flash import FlashTiming
from pensim.oracle import ConsentRule, LeaseRule
from pensim.world import World

READ_MS = 100
PING_MS = 500
MOVE_MS = 1500
"""How long the operator takes from one zone to the next."""
ISSUED_AT = 1_800_000_000
"""When the sessions are issued: January 2027, in seconds since 1970."""
_CHUNK = 384
_ANSWER_MS = 5_000
_ZONE_MS = 600_000

Fill = Callable[[dict[str, Any]], Profile]
"""From the pen's answer to hello to the profile for its next session."""


class WrongRun(Exception):
    """The run was not what was to be measured: needle and record differ, or something happened that must not."""


@dataclass
class Figures:
    """What a session took. All but the two last follow from the acts alone: two equal sessions agree in them."""

    simulated_ms: int = 0
    strokes: int = 0
    turns: int = 0
    presses: int = 0
    to_pen: Counter[str] = field(default_factory=Counter)
    """Lines to the pen by method."""
    to_host: Counter[str] = field(default_factory=Counter)
    """Lines to the host: results by method, notifications by name."""
    to_pen_bytes: int = 0
    to_host_bytes: int = 0
    telemetry_bytes: int = 0
    erases: int = 0
    programs: int = 0
    flash_ms: int = 0
    """Time in which the flash was busy."""
    pressed_ms: int = 0
    """Time with the trigger down while the pen was RUNNING."""
    stroking_ms: int = 0
    """Strokes times the period of their zone's rate."""
    reserving_ms: int = 0
    """Of `pressed_ms`: waited at home for the flash."""
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def counts(self) -> dict[str, Any]:
        """Return all that must be the same in every equal session."""
        return {name: value for name, value in vars(self).items() if name not in ("wall_s", "cpu_s")}


class Visit:
    """A powered pen with host, operator and inspector around it; `play` makes one session and returns its Figures.

    `lines` keeps every line to the pen, `sealed` the bytes of the record.
    """

    def __init__(self, *, timing: FlashTiming | None = None, edge_by_edge: bool = False) -> None:
        self.figures = Figures()
        self.lines: list[bytes] = []
        self.sealed = b""
        self.world = World(timing=timing)
        self.world.oracle.watch_consent(ConsentRule())
        self.world.oracle.watch_lease(LeaseRule())
        self.world.power_on()
        self.world.engine.edge_by_edge = edge_by_edge
        self._spend = self.world.flash.spend
        self.world.flash.spend = self._spend_flash_time
        self._reserving_us = 0
        self._nonce = ""
        self._id = 0
        self._pending: dict[int, str] = {}
        self._ping_at = 0
        self._heard = b""
        self._answer: wire.Message | None = None
        self._state: int = wire.BOOT

    def play(self, fill: Fill) -> Figures:
        """Load what `fill` makes of the pen's greeting, play it to its end, pull the record, check it.

        Raises WrongRun, and the pen's Refusal.
        """
        world = self.world
        begun = world.clock.now
        wall, cpu = time.perf_counter(), time.process_time()
        world.change_cartridge()
        greeting = self.ask("hello", protocol_major=1, protocol_minor=0, client="bench")
        self._nonce = greeting["nonce"]
        loaded = fill(greeting)
        self._load(profile.encode(loaded))
        self.ask("arm", zone=None)
        self._wait(lambda: self._state == wire.ARMED, _ANSWER_MS)
        for zone in range(len(loaded.zones)):
            self._play_zone(loaded, zone)
        self._wait(lambda: self._state == wire.SAFE, _ANSWER_MS)
        made = self._pull(loaded.session_id)
        figures = self.figures
        figures.wall_s = time.perf_counter() - wall
        figures.cpu_s = time.process_time() - cpu
        figures.simulated_ms = (world.clock.now - begun) // TICKS_PER_MS
        figures.turns = world.turns
        figures.strokes = world.plant.report().total.strokes
        figures.stroking_ms = sum(1000 * zone.made // zone.rate_per_s for zone in made.zones)
        figures.reserving_ms = self._reserving_us // 1000
        figures.to_pen_bytes = world.cable.sent_bytes
        figures.to_host_bytes = world.cable.received_bytes
        figures.erases, figures.programs = world.flash.erases, world.flash.programs
        figures.flash_ms = world.flash.busy_us // 1000
        self.inspect(loaded, made)
        return figures

    # --- the host ----------------------------------------------------------------------------------------------------
    def send(self, method: str, **params: Any) -> None:
        """Send a request and go on."""
        self._id += 1
        self._pending = {self._id: method}
        if method != "hello":
            params = {"nonce": self._nonce, **params}
        line = wire.encode_request(method, self._id, params)
        self.figures.to_pen[method] += 1
        self.lines.append(line)
        self._answer = None
        self._ping_at = self.world.clock.now + PING_MS * TICKS_PER_MS
        self.world.host.send(line)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return its result, read as soon as it is there; raises the pen's Refusal."""
        self.send(method, **params)

        def answered() -> bool:
            self.listen()
            return self._answer is not None

        self.world.run_until(answered, _ANSWER_MS)
        answer = self._answer
        if answer is None:
            raise WrongRun(f"no answer to {method}")
        if answer.refusal is not None:
            raise answer.refusal
        return answer.values

    def listen(self) -> None:
        """Take in what the pen has said."""
        self._heard += self.world.host.receive()
        *lines, self._heard = self._heard.split(b"\n")
        figures = self.figures
        for line in lines:
            message = wire.decode_message(line + b"\n", self._pending)
            figures.to_host[message.name] += 1
            if message.name == "telemetry":
                figures.telemetry_bytes += len(line) + 1
            if message.kind != wire.NOTIFICATION:
                self._answer = message
            self._state = message.values.get("state", self._state)

    def _wait(self, done: Callable[[], bool], limit_ms: int) -> None:
        """Let time pass with a host that lives until `done`; WrongRun after `limit_ms`."""
        if not self._pass(limit_ms, done):
            raise WrongRun(f"still {wire.STATE_NAMES[self._state]} after {limit_ms} ms")

    def _pass(self, ms: int, done: Callable[[], bool] = lambda: False) -> bool:
        """Let up to `ms` pass with a host that lives; return whether `done` ended it."""
        world = self.world
        end = world.clock.now + ms * TICKS_PER_MS
        while not done():
            if world.clock.now >= end:
                return False
            if world.clock.now >= self._ping_at:
                self.send("ping")
            world.run_ms(READ_MS)
            self.listen()
        return True

    def _load(self, data: bytes) -> None:
        self.ask("load.begin", size=len(data), sha256=to_hex(sha256(data)))
        for offset in range(0, len(data), _CHUNK):
            self.ask("load.chunk", offset=offset, data=data[offset : offset + _CHUNK])
        self.ask("load.commit")

    def _pull(self, session_id: int) -> Record:
        """Read the record, acknowledge it, return it."""
        if session_id not in self.ask("record.list", after=session_id - 1)["sessions"]:
            raise WrongRun("the session left no record")
        data, size = b"", 1
        while len(data) < size:
            piece = self.ask("record.read", session=session_id, offset=len(data))
            data, size = data + piece["data"], piece["size"]
        self.sealed = data
        made = record.decode(data)
        self.ask("record.ack", session=session_id, sha256=to_hex(made.digest))
        return made

    # --- the operator ------------------------------------------------------------------------------------------------
    def _play_zone(self, loaded: Profile, zone: int) -> None:
        """Go to `zone`, press until the pen has spent it, let go."""
        world = self.world
        if zone:
            self._state = wire.BOOT
            self.ask("zone.select", zone=zone)
            self._state = wire.BOOT
            self._wait(lambda: self._state in (wire.ARMED, wire.PAUSED), _ANSWER_MS)
        world.plant.label(str(zone))
        world.plant.set_limit_um(loaded.zones[zone].depth_um)
        self._pass(MOVE_MS)
        pressed = world.clock.now
        world.press()
        self.figures.presses += 1
        self._wait(lambda: self._state == wire.RUNNING, _ANSWER_MS)
        self._wait(lambda: self._state != wire.RUNNING, _ZONE_MS)
        self.figures.pressed_ms += (world.clock.now - pressed) // TICKS_PER_MS
        world.release()
        status = self.ask("status")
        if status["left"] and status["left"][zone]:
            raise WrongRun(f"zone {zone} ended early: {status}")

    # --- the inspector -----------------------------------------------------------------------------------------------
    def _spend_flash_time(self, us: int) -> None:
        """Let a flash operation's time pass, and note it when somebody holds the trigger for strokes meanwhile."""
        if self.world.plant.trigger_down and self.world.runner.state == wire.RUNNING:
            self._reserving_us += us
        if self._spend is not None:
            self._spend(us)

    def inspect(self, loaded: Profile, made: Record) -> None:
        """Raise WrongRun unless the needle did what `loaded` allows, all of it, and `made` says just that."""
        report = self.world.plant.report()
        if report.violations:
            raise WrongRun(f"the oracle saw {len(report.violations)} violations, first {report.violations[0]}")
        for index, (zone, account) in enumerate(zip(loaded.zones, made.zones, strict=True)):
            needle = report.labels[str(index)]
            told = (account.made, account.forfeited)
            if told != (needle.strokes, 0) or needle.begun != zone.strokes:
                raise WrongRun(f"zone {index}: record {told}, needle {needle}, budget {zone.strokes}")
            if not 0 < needle.deepest_um <= zone.depth_um:
                raise WrongRun(f"zone {index}: {needle.deepest_um} um, limit {zone.depth_um} um")
        if report.total.strokes != made.made():
            raise WrongRun(f"{report.total.strokes} strokes, {made.made()} in the record")
