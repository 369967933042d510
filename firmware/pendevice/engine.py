"""Strokes, homing, evidence and guards in one hand: `Engine` of the ports. Runs on the pen.

Once a stroke is credited nothing here is needed for it: words go by DMA, the stroke program waits for home, guards cut
the driver. Each question first looks at what became of it. What a stroke's evidence says is read from the samples of
its STEP edges, taken at the pads.

A broken precondition of the port is a Misuse, which the root answers as any error: driver off, hard reset.

Allocates four pieces of evidence once, two small tables per homing; nothing per stroke, look or question.
"""

import struct

from pencore.compat import const
from pencore.signals import DRIVER_FAULT, ENABLED, HOME_WAIT, IDLE, TRIP_COUNT, TRIP_DEPTH, TRIP_STOP
from pendevice import samples

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Callable, Optional, Protocol

    class Feed(Protocol):
        """What is used of `pendevice.player.Player`."""

        ring: bytearray
        shortest_ticks: int

        def begin(self) -> None:
            """Empty everything, start anew."""

        def anywhere(self) -> None:
            """Don't wait for home before the next words."""

        def halt(self) -> None:
            """Stop."""

        def send(self, address: int, words: int) -> None:
            """Queue words."""

        def nudge(self) -> None:
            """Start what a chain missed."""

        def take_back(self) -> bool:
            """Take back what was sent last."""

        def ended(self) -> int:
            """Return how many tables have ended since."""

        def sampled(self) -> int:
            """Return how many edges were sampled."""

        def waits_for_home(self) -> bool:
            """Return whether a stroke waits for home."""

        def under_way(self) -> bool:
            """Return whether one has begun."""

        def home_seen(self) -> bool:
            """Return the sensor's level."""

    class Guard(Protocol):
        """What is used of `pendevice.guards.Guards`."""

        def load(self, limit_steps: int, strokes: int) -> None:
            """Load and start, driver on."""

        def allow(self, strokes: int) -> None:
            """Reload the count."""

        def bits(self) -> int:
            """Return ENABLED and TRIP_*."""

        def off(self) -> None:
            """Driver off."""

    class Driver(Protocol):
        """What is used of `pendevice.tmc2209.Tmc2209`."""

        def bits(self) -> int:
            """Return DRIVER_*."""

        def ready(self) -> bool:
            """Return whether its settings have arrived, or there is none."""

        def look(self) -> None:
            """Begin to look after it."""

        def forgive(self) -> None:
            """Forget what was found, set it up anew."""


HOME_WAIT_MS = const(50)
SETTLE_MS = const(500)
"""How long homing may wait for the driver's settings: eleven transfers, some of them three times, in slow turns."""
_TICKS_MASK = const(0x3FFFFFFF)
"""MicroPython's milliseconds wrap at 2**30."""
_TRIPS = TRIP_DEPTH | TRIP_COUNT | TRIP_STOP
_QUEUE = const(2)
_POOL = const(4)
_WORD = const(4)
_WORDS_MIN = const(3)
_WORDS_MAX = const(4096)
"""Half of the samples' ring: two strokes fit into it."""
_END = const(b"\x00\x00\x00\x00")
_OUT = const(1)

_AT_REST = const(0)
_SEEKING = const(1)
_MARGIN = const(2)
_CLEARING = const(3)
_RETURNING = const(4)
_LAST_MARGIN = const(5)
_SETTLING = const(6)
"""Before all others: the driver is off, and its settings are on their way."""


class Misuse(Exception):
    """The engine was asked for something out of its order."""


class Evidence:
    """`StrokeEvidence` of the ports; used again four strokes later."""

    def __init__(self) -> None:
        self.index = 0
        self.clear_step = -1
        self.return_step = -1
        self.net_steps = 0
        self.flags = 0


class Homed:
    """`HomingEvidence` of the ports."""

    def __init__(self) -> None:
        self.found_step = -1
        self.clear_step = -1
        self.return_step = -1


class StrokeEngine:
    """The engine over the player, the guards and the driver's serial line. `address` gives a buffer's place in RAM,
    `ticks_ms` MicroPython's milliseconds.
    """

    def __init__(
        self,
        player: "Feed",
        guards: "Guard",
        driver: "Driver",
        address: "Callable[[bytes | bytearray], int]",
        ticks_ms: "Callable[[], int]",
    ) -> None:
        self._player = player
        self._guards = guards
        self._driver = driver
        self._address_of = address
        self._ticks_ms = ticks_ms
        self._table: "Optional[bytes | bytearray]" = None
        self._address = 0
        self._words = 0
        self._armed = False
        self._begin()
        self._pool = (Evidence(), Evidence(), Evidence(), Evidence())
        self._homed: "Optional[Homed]" = None
        self._homing = Homed()
        self._phase = _AT_REST
        self._cap = 0
        self._backoff = 0
        self._margin = 0
        self._since_ms = 0
        self._outdated = False
        self._piece = 1
        self._piece_back = b""
        self._piece_out = b""
        self._address_back = 0
        self._address_out = 0
        self._phase_began = 0
        self._piece_began = 0
        self._sent = 0
        self._over = 0

    def _begin(self) -> None:
        self._credited = 0
        self._finished = 0
        self._taken = 0
        self._waiting = False
        self._late = False
        self._unset = False
        self._wait_ms = 0

    # --- the port ----------------------------------------------------------------------------------------------------
    def poll(self) -> int:
        """Return the state bits IDLE ENABLED TRIP_* HOME_WAIT DRIVER_*."""
        self.turn()
        # From `home` on trips are forgotten, which the guards still tell of until they are loaded.
        bits = self._driver.bits() | (0 if self._outdated else self._guards.bits())
        if self._late:
            bits |= HOME_WAIT
        if self._unset:
            bits |= DRIVER_FAULT
        return bits | IDLE if self._is_idle() else bits

    def home(self, cap_steps: int, backoff_steps: int, margin_steps: int, step_ticks: int) -> None:
        """Begin homing, whatever was going on: driver off until it has its settings, then on, and the first step."""
        if min(cap_steps, backoff_steps, margin_steps) < 0 or step_ticks < self._player.shortest_ticks:
            raise Misuse("home")
        self._flush()
        self._begin()
        self._armed = False
        self._cap = cap_steps
        self._backoff = backoff_steps
        self._margin = margin_steps
        # What is sent can't be taken back in motion: so never more at once than may be gone too far.
        self._piece = max(1, margin_steps)
        self._piece_back = struct.pack("<I", step_ticks << 1) * self._piece
        self._piece_out = struct.pack("<I", step_ticks << 1 | _OUT) * self._piece
        self._address_back = self._address_of(self._piece_back)
        self._address_out = self._address_of(self._piece_out)
        self._guards.off()
        self._outdated = True
        self._driver.forgive()
        self._homed = None
        self._homing = Homed()
        self._phase = _SETTLING
        self._since_ms = self._ticks_ms()
        self._settle()

    def homing(self) -> "Optional[Homed]":
        """Return None while homing goes on (or none was ever begun), then its evidence."""
        self.turn()
        return self._homed

    def load(self, table: "bytes | bytearray") -> None:
        """Take a stroke table: it stays where it is, and is played from there."""
        self._need_idle("load")
        size = len(table)
        address = self._address_of(table)
        if size % _WORD or address % _WORD or not _WORDS_MIN <= size // _WORD <= _WORDS_MAX:
            raise Misuse("load")
        end = table.find(_END)
        while end >= 0 and end % _WORD:
            end = table.find(_END, end + 1)
        if end != size - _WORD:
            raise Misuse("load")
        self._table = table
        self._address = address
        self._words = size // _WORD

    def arm(self, limit_steps: int, strokes: int) -> None:
        """Load the guards and switch the driver on, which must have its settings: a homing sees to that."""
        self._need_idle("arm")
        if limit_steps <= 0 or strokes < 0 or not self._driver.ready() or not self._player.home_seen():
            raise Misuse("arm")
        self._begin()
        self._player.begin()
        self._guards.load(limit_steps, strokes)
        self._outdated = False
        self._driver.look()
        self._armed = True

    def allow(self, strokes: int) -> None:
        """Reload the count guard."""
        self._need_idle("allow")
        if strokes < 0:
            raise Misuse("allow")
        self._guards.allow(strokes)
        self._driver.look()

    def queued(self) -> int:
        """Return how many credited strokes are not finished yet."""
        self.turn()
        return self._credited - self._finished

    def credit(self) -> None:
        """Queue one more stroke; a guard that has tripped since `arm` lets it come to nothing."""
        self.turn()
        if not self._armed or self._table is None:
            raise Misuse("credit")
        if self._credited - self._finished >= _QUEUE or self._credited - self._taken >= _POOL:
            raise Misuse("credit: full")
        if self._guards.bits() & ENABLED:
            self._player.send(self._address, self._words)
            self._credited += 1

    def withdraw(self) -> int:
        """Take back the newest stroke that has not begun; return how many were taken back."""
        self.turn()
        queued = self._credited - self._finished
        # The only one queued has begun, unless it waits for home; what is in motion isn't even asked to pause.
        if not queued or (queued < _QUEUE and not self._player.waits_for_home()):
            return 0
        if not self._player.take_back():
            return 0
        self._credited -= 1
        self._waiting = False
        return 1

    def take(self) -> "Optional[Evidence]":
        """Return the oldest evidence not taken yet, or None."""
        self.turn()
        if self._taken == self._finished:
            return None
        evidence = self._pool[self._taken % _POOL]
        self._taken += 1
        return evidence

    def disarm(self) -> None:
        """Driver off now, queue flushed."""
        self._guards.off()
        self._armed = False
        self._flush()

    # --- looking -----------------------------------------------------------------------------------------------------
    def turn(self) -> None:
        """See what became of what was begun; called by every question, and once per loop for homing's sake."""
        queued = self._credited - self._finished
        if not queued and self._phase == _AT_REST:
            return
        if self._phase == _SETTLING:
            self._settle()
            return
        # The guards before the strokes: one that ended may still end by itself what is asked for next.
        bits = self._guards.bits()
        if queued:
            self._take_ended()
        if not bits & ENABLED:
            self._end_cut(bits & _TRIPS)
        elif self._credited != self._finished:
            self._player.nudge()
            self._watch_wait()
        elif self._phase != _AT_REST and self._player.sampled() >= self._sent:
            self._go_on_homing(self._player.sampled())

    def _take_ended(self) -> None:
        """Lay out the evidence of the strokes that have ended."""
        steps = self._words - 1
        ended = self._player.ended()
        while ended:
            begin = self._finished * steps
            self._give(begin, begin + steps, 0)
            self._waiting = False
            ended -= 1

    def busy(self) -> bool:
        """Return whether strokes are queued or homing goes on."""
        return not self._is_idle()

    def _watch_wait(self) -> None:
        """Note when the stroke program has waited too long for home."""
        if not self._player.waits_for_home():
            self._waiting = False
        elif not self._waiting:
            self._waiting = True
            self._wait_ms = self._ticks_ms()
        elif (self._ticks_ms() - self._wait_ms) & _TICKS_MASK >= HOME_WAIT_MS:
            self._late = True

    def _give(self, begin: int, end: int, flags: int) -> None:
        """Lay out the evidence of the oldest stroke queued, whose samples are `begin` to `end`."""
        evidence = self._pool[self._finished % _POOL]
        evidence.index = self._finished
        samples.judge(evidence, self._player.ring, begin, end)
        evidence.flags = flags
        self._finished += 1

    def _end_cut(self, trips: int) -> None:
        """The driver is off: nothing goes on, and the stroke or homing in hand tells how far it came."""
        player = self._player
        begin = self._finished * (self._words - 1)
        sampled = player.sampled()
        begun = sampled > begin or player.under_way()
        if self._phase != _AT_REST:
            self._end_homing()
        elif self._credited > self._finished and begun:
            self._give(begin, sampled, trips)
        self._flush()

    def _flush(self) -> None:
        """Stop where it is, with nothing queued and no homing; evidence and trips stay."""
        self._player.halt()
        self._phase = _AT_REST
        self._credited = self._finished
        self._waiting = False

    def _is_idle(self) -> bool:
        return self._credited == self._finished and self._phase == _AT_REST

    def _need_idle(self, call: str) -> None:
        self.turn()
        if not self._is_idle():
            raise Misuse(call)

    # --- homing ------------------------------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Begin to move once the driver has its settings, or there is none that takes any; give up when it has a fault
        or takes too long.
        """
        if self._driver.bits():
            self._end_homing()
        elif self._driver.ready():
            self._set_out()
        elif (self._ticks_ms() - self._since_ms) & _TICKS_MASK >= SETTLE_MS:
            self._unset = True
            self._end_homing()

    def _set_out(self) -> None:
        """Load the guards, driver on, and begin with the first phase."""
        player = self._player
        player.begin()
        player.anywhere()
        # Homing extends once.
        self._guards.load(self._backoff, 1)
        self._outdated = False
        self._sent = 0
        self._phase_began = 0
        if not self._guards.bits() & ENABLED:
            self._end_homing()
        elif player.home_seen():
            self._homing.found_step = 0
            self._next_phase(_MARGIN, self._margin)
        else:
            self._next_phase(_SEEKING, min(self._piece, self._cap))

    def _next_phase(self, phase: int, steps: int) -> None:
        """Begin a phase with so many steps (0 is none)."""
        self._phase = phase
        self._phase_began = self._sent
        self._step_on(steps)

    def _step_on(self, steps: int) -> None:
        """Make so many more steps, 0 to a piece; the next look comes when they are sampled."""
        self._piece_began = self._sent
        if steps:
            out = self._phase == _CLEARING
            self._player.send(self._address_out if out else self._address_back, steps)
            self._sent += steps

    def _seen(self, sample: bytes, made: int) -> int:
        """Return how many steps of the phase were made when the last piece first showed `sample`; 0 if it didn't."""
        place = samples.find(self._player.ring, sample, self._piece_began, made)
        return place + 1 - self._phase_began

    def _go_on_homing(self, made: int) -> None:
        """All steps sent are made: judge the last piece, send the next."""
        phase = self._phase
        done = made - self._phase_began
        if phase == _SEEKING:
            found = self._seen(samples.HOME_BACK, made)
            if found > 0:
                self._homing.found_step = found
                self._next_phase(_MARGIN, self._margin - (done - found))
            else:
                self._more(done, self._cap)
        elif phase == _MARGIN:
            if self._player.home_seen():
                self._next_phase(_CLEARING, min(self._piece, self._backoff))
            else:
                self._cleared(0, 0)
        elif phase == _CLEARING:
            clear = self._seen(samples.AWAY_OUT, made)
            if clear > 0:
                self._cleared(clear, done - clear)
            else:
                self._more(done, self._backoff)
        elif phase == _RETURNING:
            seen = self._seen(samples.HOME_BACK, made)
            if seen > 0:
                self._homing.return_step = seen - self._over
                self._next_phase(_LAST_MARGIN, self._margin - (done - seen))
            else:
                self._more(done - self._over, self._cap)
        else:
            self._end_homing()

    def _cleared(self, clear: int, over: int) -> None:
        """The sensor cleared after so many steps; `over` more were under way and don't count."""
        self._homing.clear_step = clear
        self._over = over
        self._next_phase(_RETURNING, min(self._piece, self._cap))
        # On the way back over those steps nothing is looked for: a sensor that chatters may show home again there.
        self._piece_began = min(self._piece_began + over, self._sent)

    def _more(self, done: int, most: int) -> None:
        """Go on with the phase, or give it up at its bound."""
        if done >= most:
            self._end_homing()
        else:
            self._step_on(min(self._piece, most - done))

    def _end_homing(self) -> None:
        self._phase = _AT_REST
        self._homed = self._homing
