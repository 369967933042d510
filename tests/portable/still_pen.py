"""A pen on ports that cost nothing: what a turn of its loop takes is the pen's own. Both Pythons.

Time stands still unless it is told to go on. Bytes are MicroPython's `gc.mem_alloc`: in the desktop VM no garbage is
collected inside a call, so the difference of two readings is all that was allocated in between. On CPython, which has
no such count, they are 0.
"""

import gc
import time

from pencore import digest, limits, profile, signals, wire
from pencore.runner import Runner
from tests.portable import samples
from tests.portable.ideal_pen import IdealPen
from tests.portable.ideal_ports import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

ZONES = tuple([(area, side, limits.AREAS[area][2], 6_000, 15) for area in range(12) for side in (0, 1, 2)][:32])
"""The largest profile: 32 zones, each to the cap of its area; the last ones have the largest tables."""
DEEPEST = 31
_CHUNK = 384
_STEPS_MOST = 20_000


def used_bytes() -> int:
    """Return the bytes of heap in use; 0 where the Python doesn't count them."""
    count: "Callable[[], int] | None" = getattr(gc, "mem_alloc", None)
    return 0 if count is None else count()


def now_us() -> int:
    """Return a time in us, for differences."""
    ticks: "Callable[[], int] | None" = getattr(time, "ticks_us", None)
    return time.perf_counter_ns() // 1000 if ticks is None else ticks()


class Levels:
    """The inputs: what they were set to."""

    def __init__(self) -> None:
        self.bits = signals.HOME | signals.CARTRIDGE

    def read(self) -> int:
        """Return the bits."""
        return self.bits

    def moved(self) -> int:
        """Return 0: nothing has changed."""
        return 0


class Cable:
    """The link: gives `piece` once, keeps the last that was written."""

    def __init__(self) -> None:
        self.piece = b""
        self.said = b""

    def read(self) -> bytes:
        """Return what was put there."""
        piece = self.piece
        self.piece = b""
        return piece

    def room(self) -> int:
        """Return that there is always room."""
        return 4096

    def write(self, data: "bytes | memoryview") -> int:
        """Take all."""
        self.said = bytes(data)
        return len(data)


class Evidence:
    """Evidence of homings and strokes alike; one object serves them all."""

    def __init__(self, margin_steps: int) -> None:
        self.found_step = 0
        self.index = 0
        self.clear_step = margin_steps + 2
        self.return_step = 2
        self.net_steps = 0
        self.flags = 0


class StillEngine:
    """An engine in which a stroke is over when `finished` says so."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.waiting = 0
        self.finished = 0
        self.on = False

    def poll(self) -> int:
        """Return the state bits."""
        bits = signals.ENABLED if self.on else 0
        return bits if self.waiting else bits | signals.IDLE

    def home(self, _cap_steps: int, _backoff_steps: int, _margin_steps: int, _step_ticks: int) -> None:
        """Be home."""
        self.on = True

    def homing(self) -> Evidence:
        """Return that all is well."""
        return self.evidence

    def load(self, _table: "bytes | bytearray") -> None:
        """Have no need of a table: nothing moves."""

    def arm(self, _limit_steps: int, _strokes: int) -> None:
        """Be on."""
        self.on = True
        self.evidence.index = -1

    def allow(self, _strokes: int) -> None:
        """Count nothing."""

    def credit(self) -> None:
        """Queue a stroke."""
        self.waiting += 1

    def withdraw(self) -> int:
        """Let go of the stroke that hasn't begun."""
        taken = 1 if self.waiting > 1 else 0
        self.waiting -= taken
        return taken

    def take(self) -> "Evidence | None":
        """Return the one evidence for each stroke finished."""
        if not self.finished:
            return None
        self.finished -= 1
        self.waiting -= 1
        self.evidence.index += 1
        return self.evidence

    def disarm(self) -> None:
        """Be off."""
        self.on = False
        self.waiting = 0


class Rest:
    """Clock, watchdog, indicator and identity in one."""

    def __init__(self) -> None:
        self.ms = 1000

    def now_ms(self) -> int:
        """Return the time."""
        return self.ms

    def feed(self) -> None:
        """Bite nobody."""

    def show(self, _state: int, _code: int) -> None:
        """Show nothing."""

    def nonce(self) -> str:
        """Return the nonce of every boot."""
        return "0123456789abcdef"

    def build(self) -> str:
        """Return the build hash."""
        return "0123456789abcdef"

    def reset_cause(self) -> int:
        """Return that the power came on."""
        return 1


class StillPorts:
    """What `pencore.ports.Ports` holds."""

    def __init__(self, margin_steps: int, store: Files) -> None:
        rest = Rest()
        self.clock = rest
        self.link = Cable()
        self.inputs = Levels()
        self.engine = StillEngine(Evidence(margin_steps))
        self.store = store
        self.watchdog = rest
        self.indicator = rest
        self.identity = rest


class StillPen:
    """A provisioned pen on still ports, booted."""

    def __init__(self) -> None:
        made = samples.provisioned()
        geometry = made.bounds.geometry
        geometry.microsteps, geometry.home_margin_steps = 8, 8
        geometry.steps_per_turn = geometry.full_steps * 8
        self.ports = StillPorts(geometry.home_margin_steps, IdealPen(made).store)
        self.geometry = geometry
        self.runner = Runner(self.ports)  # type: ignore[arg-type]  # Ports is a class for type checkers alone
        self.runner.boot(self.ports.clock.ms)
        self.last_id = 0

    def turn(self, later_ms: int = 1) -> None:
        """Let the pen take one turn, `later_ms` after the last."""
        self.ports.clock.ms += later_ms
        self.runner.step(self.ports.clock.ms)

    def turns(self, count: int, later_ms: int = 1) -> None:
        """Let the pen take `count` turns."""
        for _ in range(count):
            self.turn(later_ms)

    def until(self, state: int) -> None:
        """Take turns until the pen is in `state` with no task in hand; AssertionError if that doesn't come about."""
        for _ in range(_STEPS_MOST):
            if self.runner.state == state and not self.runner.busy():
                return
            self.turn()
        raise AssertionError("state %d, not %d" % (self.runner.state, state))

    def request(self, method: str, **params: "Any") -> bytes:
        """Return the line of the next request."""
        self.last_id += 1
        if method != "hello":
            params["nonce"] = self.ports.identity.nonce()
        return wire.encode_request(method, self.last_id, params)

    def ask(self, method: str, **params: "Any") -> "dict[str, Any]":
        """Put a request to the pen and return the result; raises its Refusal."""
        line = self.request(method, **params)
        for at in range(0, len(line), 512):
            self.ports.link.piece = line[at : at + 512]
            self.turns(2)
        message = wire.decode_message(self.ports.link.said, {self.last_id: method})
        if message.refusal is not None:
            raise message.refusal
        return message.values

    # --- the way to strokes ------------------------------------------------------------------------------------------
    def load(self) -> None:
        """Load the largest profile."""
        for bits in (signals.HOME, signals.HOME | signals.CARTRIDGE):
            self.ports.inputs.bits = bits
            self.turns(3, 20)
        said = self.ask("hello", protocol_major=1, protocol_minor=0, client="still")
        strokes = sum([zone[3] for zone in ZONES])
        made = samples.filled(ZONES, session_id=said["session_id"], depth_um=limits.DEPTH_CEILING_UM, strokes=strokes)
        data = profile.encode(made, 0, bytes(32))
        self.ask("load.begin", size=len(data), sha256=digest.to_hex(digest.sha256(data)))
        for offset in range(0, len(data), _CHUNK):
            self.ask("load.chunk", offset=offset, data=data[offset : offset + _CHUNK])
        self.ask("load.commit")

    def arm(self) -> None:
        """Arm for the deepest zone: its table is the largest."""
        self.ask("arm", zone=DEEPEST)
        self.until(wire.ARMED)

    def press(self) -> None:
        """Press the trigger, after a release that lasted; RUNNING afterwards, with strokes reserved."""
        self.turn(120)
        self.ports.inputs.bits |= signals.TRIGGER
        self.turns(2, 15)
        self.until(wire.RUNNING)
        steps = self.geometry.stroke_steps(ZONES[DEEPEST][2])
        self.ports.engine.evidence.return_step = steps - self.geometry.home_margin_steps
        self.turn()


# --- what is measured ------------------------------------------------------------------------------------------------
def cost(act: "Callable[[], None]", count: int) -> "tuple[int, int]":
    """Return bytes allocated and ns spent by one `act`, the mean of `count` after one more."""
    act()
    us_before = now_us()
    bytes_before = used_bytes()
    for _ in range(count):
        act()
    bytes_after = used_bytes()
    us = now_us() - us_before
    return (bytes_after - bytes_before) // count, us * 1000 // count


def turn_costs(count: int) -> "dict[str, tuple[int, int]]":
    """Return (bytes, ns) of each kind of turn, the mean of `count` in which nothing happens, and of fewer others."""
    costs: "dict[str, tuple[int, int]]" = {}
    pen = StillPen()
    ports = pen.ports

    def nothing() -> None:
        pen.turn(0)

    def stroke() -> None:
        ports.engine.finished = 1
        pen.turn(0)

    def telemetry() -> None:
        pen.turn(100)

    def ping() -> None:
        # The second turn finds that there is no second line.
        ports.link.piece = pings.pop(0)
        pen.turns(2, 0)

    costs["turn, safe: nothing happens"] = cost(nothing, count)
    pen.load()
    pen.arm()
    pen.turn(100)
    costs["turn, armed: nothing happens"] = cost(nothing, count)
    pen.ask("ping")
    pen.press()
    # Slow strokes first: time stands still for the others, which would otherwise be faster than planned.
    for _ in range(5):
        ports.engine.finished = 1
        pen.turn(300)
    costs["turn, running: nothing happens"] = cost(nothing, count)
    costs["turn, running: a stroke is over"] = cost(stroke, 12)
    costs["turn, running: telemetry is due"] = cost(telemetry, 1)
    pings = [pen.request("ping") for _ in range(13)]
    costs["turn, running: a ping arrives"] = cost(ping, 12)
    if pen.runner.talk.last_id != pen.last_id:
        raise AssertionError("request %d of %d" % (pen.runner.talk.last_id, pen.last_id))
    if pen.runner.state != wire.RUNNING:
        raise AssertionError("the burst ended: state %d, fault %d" % (pen.runner.state, pen.runner.fault_code))
    return costs


def line_costs(count: int) -> "dict[str, tuple[int, int]]":
    """Return (bytes, ns) of encoding or decoding one line of each kind, the mean of `count`."""
    pen = StillPen()
    pen.load()
    pen.arm()
    pen.turn(100)
    telemetry_line = pen.ports.link.said
    telemetry = wire.decode_message(telemetry_line, {}).values
    stencil = wire.telemetry_stencil()
    values = [telemetry[field[0]] for field in wire.NOTIFICATIONS["telemetry"]]
    ping = pen.request("ping")
    chunk = pen.request("load.chunk", offset=0, data=bytes(range(256)) + bytes(128))
    status = pen.ask("status")
    status_line = pen.ports.link.said
    asked = {pen.last_id: "status"}
    return {
        "ping, decoded by the pen": cost(lambda: _drop(wire.decode_request(ping)), count),
        "load.chunk of 384 bytes, decoded by the pen": cost(lambda: _drop(wire.decode_request(chunk)), count),
        "telemetry, encoded by the pen": cost(lambda: _drop(stencil.fill(values)), count),
        "status of 32 zones, encoded by the pen": cost(lambda: _drop(wire.encode_result("status", 1, status)), count),
        "telemetry, decoded by the host": cost(lambda: _drop(wire.decode_message(telemetry_line, {})), count),
        "status of 32 zones, decoded by the host": cost(lambda: _drop(wire.decode_message(status_line, asked)), count),
    }


def _drop(_value: object) -> None:
    """Do nothing with a result."""
