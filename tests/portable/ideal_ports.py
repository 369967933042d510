"""Ports without physics, for both Pythons: a store in a dict, a perfect engine, a pipe, levels set by a script.

Every stroke takes exactly its table's time, every flash write is whole, unless the script says otherwise. What happens
at a port goes into one shared `log`; what a port must never be asked for (see `pencore.ports`) goes into it as a
"breach". Stands in for the virtual pen where the Python is what is compared: MicroPython runs these same lines.
"""

import struct

from pencore import signals
from pencore.digest import crc32

TICKS_PER_MS = 125_000
HYSTERESIS_STEPS = 2
"""How much further out the home sensor lets go than it takes hold."""
EIO = 5
ENOSPC = 28

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PowerCut(Exception):
    """The power went in the middle of a flash write."""


class Log:
    """What happened, in order: lists of a word and its values."""

    def __init__(self) -> None:
        self.entries: "list[list[Any]]" = []
        self.breaches: "list[str]" = []

    def add(self, what: str, *values: "Any") -> None:
        """Take down one thing."""
        self.entries.append([what] + list(values))

    def breach(self, what: str) -> None:
        """Take down what must never happen."""
        self.breaches.append(what)
        self.add("breach", what)


class Time:
    """The clock, set forward by the script; `total_ms` doesn't wrap."""

    def __init__(self, start_ms: int) -> None:
        self.total_ms = start_ms

    def now_ms(self) -> int:
        """Return the pen's milliseconds."""
        return self.total_ms & 0xFFFFFFFF


class Pipe:
    """The link. `room_left` is None for a host that reads; else the bytes it still takes."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.to_pen = b""
        self.to_host = b""
        self.room_left: "int | None" = None

    def read(self) -> bytes:
        """Return up to 512 bytes of what the host sent."""
        piece = self.to_pen[:512]
        self.to_pen = self.to_pen[512:]
        return piece

    def room(self) -> int:
        """Return how much `write` would take."""
        return 4096 if self.room_left is None else self.room_left

    def write(self, data: "bytes | memoryview") -> int:
        """Take what there is room for."""
        taken = min(len(data), self.room())
        data = bytes(data)
        if self.room_left is not None:
            self.room_left -= taken
        if taken:
            self.to_host += data[:taken]
            self._log.add("sent", data[:taken])
        return taken


class Files:
    """The store: name -> bytes. Counts the writes, so that one of them can be made to go wrong.

    The write number `trouble_at` meets `trouble`: "cut" and "fail" do nothing, "cut done" and "fail done" come after it
    was done; "cut" ends in PowerCut, "fail" in OSError. "spoil" flips a bit of what is written, "lose" writes nothing
    and says nothing.
    """

    def __init__(self) -> None:
        self.files: "dict[str, bytes]" = {}
        self.writes = 0
        self.trouble_at = -1
        self.trouble = ""
        self.error = EIO
        self.write_ms = 12
        self._time: "Time | None" = None
        self._engine: "PerfectEngine | None" = None
        self._log: "Log | None" = None

    def attach(self, time: Time, engine: "PerfectEngine", log: Log) -> None:
        """Let writes take time, and be checked against the engine."""
        self._time = time
        self._engine = engine
        self._log = log

    def names(self) -> "list[str]":
        """Return the names outside of folders; sorted, for MicroPython's dict keeps no order."""
        return sorted([name for name in self.files if "/" not in name])

    def size(self, name: str) -> int:
        """Return a file's size, or -1."""
        return len(self.files[name]) if name in self.files else -1

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a piece of a file."""
        if name not in self.files:
            raise OSError(EIO)
        return self.files[name][offset : offset + length]

    def append(self, name: str, data: bytes) -> None:
        """Append to a file."""
        trouble = self._begin("append", name, data)
        old = self.files.get(name, b"")
        if trouble == "spoil":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if not trouble or trouble == "spoil" or trouble.endswith(" done"):
            self.files[name] = old + data
        self._end(trouble)

    def rename(self, name: str, new_name: str) -> None:
        """Move a file over another."""
        trouble = self._begin("rename", name, new_name)
        if not trouble or trouble == "spoil" or trouble.endswith(" done"):
            self.files[new_name] = self.files.pop(name)
        self._end(trouble)

    def remove(self, name: str) -> None:
        """Remove a file."""
        trouble = self._begin("remove", name)
        if not trouble or trouble == "spoil" or trouble.endswith(" done"):
            del self.files[name]
        self._end(trouble)

    def _begin(self, what: str, *values: "Any") -> str:
        self.writes += 1
        if self._log is not None:
            self._log.add(what, *values)
        if self._engine is not None and self._log is not None and not self._engine.at_rest():
            self._log.breach("flash written in motion")
        if self._time is not None:
            self._time.total_ms += self.write_ms
        return self.trouble if self.writes == self.trouble_at else ""

    def _end(self, trouble: str) -> None:
        if trouble.startswith("cut"):
            raise PowerCut
        if trouble.startswith("fail"):
            raise OSError(self.error)

    def image(self) -> "list[list[Any]]":
        """Return name, size and CRC of every file."""
        return [[name, len(self.files[name]), crc32(self.files[name])] for name in sorted(self.files)]


class Levels:
    """The inputs. The home sensor is the engine's."""

    def __init__(self, engine: "PerfectEngine", level: int) -> None:
        self._engine = engine
        self._level = level
        self._moved = 0

    @property
    def level(self) -> int:
        """The bits but for the sensor's."""
        return self._level

    @level.setter
    def level(self, level: int) -> None:
        self._moved |= (self._level ^ level) & (signals.TRIGGER | signals.STOP | signals.CARTRIDGE)
        self._level = level

    def read(self) -> int:
        """Return the bits."""
        return self.level | (signals.HOME if self._engine.at_home() else 0)

    def moved(self) -> int:
        """Return which of trigger, stop button and cartridge have changed since the last call."""
        seen = self._moved
        self._moved = 0
        return seen


class Evidence:
    """What `pencore.ports.StrokeEvidence` holds."""

    def __init__(self, index: int, clear_step: int, return_step: int, net_steps: int, flags: int) -> None:
        self.index = index
        self.clear_step = clear_step
        self.return_step = return_step
        self.net_steps = net_steps
        self.flags = flags


class HomingEvidence:
    """What `pencore.ports.HomingEvidence` holds."""

    def __init__(self, found_step: int, clear_step: int, return_step: int) -> None:
        self.found_step = found_step
        self.clear_step = clear_step
        self.return_step = return_step


class Needle:
    """What the needle did, over all boots of a pen: strokes begun and the deepest step."""

    def __init__(self) -> None:
        self.strokes = 0
        self.deepest_steps = 0


class PerfectEngine:
    """Plays tables in no physics at all. `bend(evidence)` may spoil the evidence of a stroke before it is taken."""

    def __init__(self, time: Time, log: Log, needle: Needle) -> None:
        self._time = time
        self._log = log
        self._needle = needle
        self._enabled = False
        self._trips = 0
        self._margin = 0
        self._homing_end = -1
        self._steps = 0
        self._period = 0
        self._away = 0
        self._limit = 0
        self._allowed = 0
        self._index = 0
        self._queue: "list[list[int]]" = []  # start in ticks, 1 when begun
        self._seen: "list[Evidence]" = []
        self.stuck_away = False
        self.bend: "Any" = None
        self.spoil_homing: "Any" = None

    # --- what the pen asks -------------------------------------------------------------------------------------------
    def poll(self) -> int:
        """Return the state bits."""
        self._advance()
        bits = self._trips
        if self._still():
            bits |= signals.IDLE
        if self._enabled:
            bits |= signals.ENABLED
        return bits

    def home(self, cap_steps: int, backoff_steps: int, margin_steps: int, step_ticks: int) -> None:
        """Begin homing."""
        self._log.add("home", cap_steps, backoff_steps, margin_steps, step_ticks)
        self._queue = []
        self._seen = []
        self._trips = 0
        self._enabled = True
        self._margin = margin_steps
        self._homing_end = self._now() + 2 * backoff_steps * step_ticks

    def homing(self) -> "HomingEvidence | None":
        """Return the evidence when it is over."""
        if self._homing_end < 0 or self._now() < self._homing_end:
            return None
        evidence = HomingEvidence(0, self._margin + HYSTERESIS_STEPS, HYSTERESIS_STEPS)
        if self.spoil_homing is not None:
            self.spoil_homing(evidence)
        return evidence

    def load(self, table: "bytes | bytearray") -> None:
        """Take a table: read it as the stroke program would."""
        if not self._still():
            self._log.breach("table loaded in motion")
        net = deepest = ticks = last = at = 0
        while True:
            word = struct.unpack_from("<I", table, at)[0]
            at += 4
            if word == 0:
                break
            net += 1 if word & 1 else -1
            deepest = max(deepest, net)
            last = word >> 1
            ticks += last
        if net or at != len(table):
            self._log.breach("table of net %d" % net)
        self._steps = deepest
        self._period = ticks
        self._away = ticks - last
        self._log.add("load", deepest, ticks, crc32(table))

    def arm(self, limit_steps: int, strokes: int) -> None:
        """Load the guards."""
        if not self.at_rest():
            self._log.breach("armed away from home")
        self._log.add("arm", limit_steps, strokes)
        self._trips = 0
        self._enabled = True
        self._limit = limit_steps
        self._allowed = strokes
        self._index = 0
        self._seen = []

    def allow(self, strokes: int) -> None:
        """Reload the count guard."""
        if not self._still():
            self._log.breach("count guard reloaded in motion")
        self._log.add("allow", strokes)
        self._allowed = strokes

    def queued(self) -> int:
        """Return the credited strokes not finished."""
        self._advance()
        return len(self._queue)

    def credit(self) -> None:
        """Queue a stroke."""
        self._advance()
        if len(self._queue) >= 2:
            self._log.breach("a third stroke credited")
        if not self._enabled:
            self._log.breach("credited with the driver off")
        start = self._queue[-1][0] + self._period if self._queue else self._now()
        self._queue.append([start, 0])
        self._log.add("credit")
        self._advance()

    def withdraw(self) -> int:
        """Take back the stroke that has not begun."""
        self._advance()
        if self._queue and not self._queue[-1][1]:
            self._queue.pop()
            self._log.add("withdraw")
            return 1
        return 0

    def take(self) -> "Evidence | None":
        """Return the oldest evidence."""
        self._advance()
        return self._seen.pop(0) if self._seen else None

    def disarm(self) -> None:
        """Driver off."""
        self._advance()
        if self._enabled or self._queue:
            self._log.add("disarm", len(self._queue))
        self._queue = []
        self._homing_end = -1
        self._enabled = False

    # --- what the script sees ----------------------------------------------------------------------------------------
    def trip(self, bits: int) -> None:
        """Let guards cut the driver."""
        self._advance()
        self._trips |= bits
        self._enabled = False
        self._queue = []
        self._homing_end = -1

    def at_home(self) -> bool:
        """Return whether the sensor sees the carriage."""
        self._advance()
        if self.stuck_away:
            return False
        return not (self._queue and self._queue[0][1] and self._now() < self._queue[0][0] + self._away)

    def at_rest(self) -> bool:
        """Return whether nothing moves or will."""
        return self._still() and self.at_home()

    def next_ms(self) -> int:
        """Return in how many ms something happens by itself; a large number when nothing will."""
        self._advance()
        end = self._queue[0][0] + self._period if self._queue else self._homing_end
        left = end - self._now()
        return -(-left // TICKS_PER_MS) if left > 0 else 1_000_000

    def _now(self) -> int:
        return self._time.total_ms * TICKS_PER_MS

    def _still(self) -> bool:
        self._advance()
        return not self._queue and self._now() >= self._homing_end

    def _advance(self) -> None:
        now = self._now()
        while self._queue:
            start = self._queue[0][0]
            if start <= now and not self._queue[0][1] and not self._begin():
                return
            if start + self._period > now:
                return
            self._queue.pop(0)
            clear_step = self._margin + HYSTERESIS_STEPS
            evidence = Evidence(self._index, clear_step, self._steps - self._margin, 0, 0)
            self._index += 1
            if self.bend is not None:
                self.bend(evidence)
            self._seen.append(evidence)

    def _begin(self) -> bool:
        """Begin the stroke at the head of the queue; False when a guard cuts it."""
        self._queue[0][1] = 1
        if self._allowed <= 0:
            self._log.breach("count guard tripped")
            self._cut(signals.TRIP_COUNT)
            return False
        self._allowed -= 1
        self._needle.strokes += 1
        self._needle.deepest_steps = max(self._needle.deepest_steps, min(self._steps, self._limit + 1))
        if self._steps > self._limit:
            self._log.breach("depth guard tripped")
            self._cut(signals.TRIP_DEPTH)
            return False
        return True

    def _cut(self, bits: int) -> None:
        self._trips |= bits
        self._enabled = False
        self._queue = []


class Quiet:
    """Watchdog, indicator and identity in one."""

    def __init__(self, log: Log, boot: int, cause: int) -> None:
        self._log = log
        self._boot = boot
        self._cause = cause

    def feed(self) -> None:
        """Nothing bites here."""

    def show(self, state: int, code: int) -> None:
        """Take down what a person would see."""
        self._log.add("show", state, code)

    def nonce(self) -> str:
        """Return another one each boot."""
        return "%016x" % (0x5EED0000 + self._boot)

    def build(self) -> str:
        """Return a build hash."""
        return "0123456789abcdef"

    def reset_cause(self) -> int:
        """Return why the pen starts."""
        return self._cause


class IdealPorts:
    """What `pencore.ports.Ports` holds."""

    def __init__(
        self, time: Time, link: Pipe, inputs: Levels, engine: PerfectEngine, store: Files, others: Quiet
    ) -> None:
        self.clock = time
        self.link = link
        self.inputs = inputs
        self.engine = engine
        self.store = store
        self.watchdog = others
        self.indicator = others
        self.identity = others
