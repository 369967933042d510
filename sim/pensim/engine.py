"""The stroke engine and the three guards at the pins, as a virtual pen has them: `Engine` of the ports. Host only.

As on the board, nothing here needs the CPU once a stroke is credited: queued strokes go on, guards cut, whether or
not the firmware ever looks. Time is the clock's; every question first brings the engine up to now. A stroke whose
outcome is known (see `pensim.stroke`) is one event on the clock; the moment anything could make it different (a
fault, a stop, a cut, a guard that would trip, a question only the edges can answer) it is played edge by edge from
its beginning. Both ways give the same needle, the same evidence, the same times.

A broken precondition of the port is noted by the oracle and raised as `PortMisuse`: the firmware must never do it.
"""

import struct
from collections import deque

from pencore.ports import (
    DRIVER_FAULT,
    DRIVER_RESET,
    ENABLED,
    HOME_WAIT,
    IDLE,
    TRIP_COUNT,
    TRIP_DEPTH,
    TRIP_STOP,
    HomingEvidence,
    StrokeEvidence,
)
from pensim.clock import TICKS_PER_MS, TICKS_PER_US, Event, VirtualClock
from pensim.errors import PortMisuse
from pensim.homing import HomingMove
from pensim.oracle import FLASH_IN_MOTION, PORT_MISUSE
from pensim.plant import EdgeFault, Plant
from pensim.stroke import Play, StrokeBook, StrokeOutcome, read_table

QUEUE_MAX = 2
CHAIN_TICKS = 1325
"""Between the end of a stroke and the first edge of a queued one: 10.6 us, measured with two chained transfers."""
CUT_TICKS = 38
"""From a guard's decision to the driver's outputs being off: some 300 ns."""
HOME_WAIT_TICKS = 50 * TICKS_PER_MS
DRIVER_WATCH_TICKS = 50 * TICKS_PER_MS
"""How often the driver is asked whether it was reset or has failed: every 40 ms, and two turns of the pen's loop for
question and answer. Before it moves in a homing it is asked as well.
"""

_LOOK_TICKS = 100 * TICKS_PER_US
_LOOK_LATE_TICKS = TICKS_PER_MS
"""How often the sensor is looked at while a stroke waits for home: often until HOME_WAIT, then only now and then."""
_HOMING_LOOK_TICKS = 2 * TICKS_PER_MS
_NEVER = 1 << 62


class SimEngine:
    """Engine and guards of one boot of a pen; a reset or power-up makes a new one on the same plant.

    `edge_by_edge` forbids the short way for whole strokes: slower, and never different.
    """

    def __init__(self, clock: VirtualClock, plant: Plant, book: StrokeBook | None = None) -> None:
        self.edge_by_edge = False
        self.short_strokes = 0
        """Strokes that went the short way, as one event."""
        self._clock = clock
        self._plant = plant
        self._oracle = plant.oracle
        self._book = StrokeBook() if book is None else book
        self._table: bytes | bytearray = b""
        self._read = b""
        self._words: tuple[int, ...] = ()
        self._outcome: StrokeOutcome | None = None
        self._outcome_version = -1
        self._due = _NEVER
        self._event: Event | None = None
        self._flying: StrokeOutcome | None = None
        self._play: Play | None = None
        self._begun_at = 0
        self._waiting = 0
        self._wait_since = 0
        self._homing: HomingMove | None = None
        self._homed: HomingEvidence | None = None
        self._evidence: deque[StrokeEvidence] = deque()
        self._index = 0
        self._bits = 0
        self._told_bits = 0
        self._armed = False
        self._fresh_homing = False
        self._enabled = False
        self._limit_steps = 0
        self._allowance_steps = 0
        self._allowed_strokes = 0
        self._driver_resets = plant.driver_resets
        self._asked_at = clock.now
        self._driver_heard = False
        self._pin_fault: EdgeFault | None = None
        plant.attach(self)

    # --- the port ----------------------------------------------------------------------------------------------------
    def poll(self) -> int:
        """Return the state bits IDLE ENABLED TRIP_* HOME_WAIT DRIVER_*."""
        self._sync()
        self._watch_driver()
        bits = self._bits
        if self._idle():
            bits |= IDLE
        return bits | ENABLED if self._enabled else bits

    def _idle(self) -> bool:
        return self._flying is None and self._play is None and self._homing is None and not self._waiting

    def home(self, cap_steps: int, backoff_steps: int, margin_steps: int, step_ticks: int) -> None:
        """Begin homing, whatever was going on."""
        if min(cap_steps, backoff_steps, margin_steps) < 0 or step_ticks <= 0:
            raise self._misuse(f"home({cap_steps}, {backoff_steps}, {margin_steps}, {step_ticks})")
        self.catch_up()
        now = self._clock.now
        self._halt()
        self._armed = False
        self._fresh_homing = True
        self._homed = None
        self._load_guards(backoff_steps, 0)
        self._ask_driver()
        if self._driver_heard and self._plant.driver_silent:
            # It must have its settings before it is on.
            self._switch_off(now)
        if self._enabled:
            self._homing = HomingMove(
                cap_steps, backoff_steps, margin_steps, step_ticks, now, self._plant, self._pass_pins
            )
            self._set_due(now + _HOMING_LOOK_TICKS)
        else:
            self._homed = HomingEvidence(-1, -1, -1)

    def homing(self) -> HomingEvidence | None:
        """Return None while homing goes on (or none was ever begun), then its evidence."""
        self._sync()
        return self._homed

    def load(self, table: bytes | bytearray) -> None:
        """Take a stroke table: it stays where it is, and is played from there."""
        self._sync()
        self._need_idle("load")
        read = bytes(table)
        try:
            self._words = read_table(read)
        except PortMisuse as misuse:
            raise self._misuse(str(misuse)) from None
        self._table = table
        self._read = read
        self._outcome_version = -1

    def arm(self, limit_steps: int, strokes: int) -> None:
        """Load the guards and switch the driver on."""
        self._sync()
        self._need_idle("arm")
        if limit_steps <= 0 or strokes < 0:
            raise self._misuse(f"arm({limit_steps}, {strokes})")
        if not self._plant.home_seen():
            raise self._misuse("arm while home is not seen")
        self._armed = True
        self._index = 0
        self._evidence.clear()
        self._load_guards(limit_steps, strokes)
        if self._fresh_homing:
            self._fresh_homing = False
            self._oracle.armed(self._clock.now)

    def allow(self, strokes: int) -> None:
        """Reload the count guard."""
        self._sync()
        self._need_idle("allow")
        if strokes < 0:
            raise self._misuse(f"allow({strokes})")
        self._allowed_strokes = strokes

    def queued(self) -> int:
        """Return how many credited strokes are not finished yet."""
        self._sync()
        return self._waiting + (self._flying is not None or self._play is not None)

    def credit(self) -> None:
        """Queue one more stroke; a guard that has tripped since `arm` lets it come to nothing."""
        self._sync()
        if not self._armed:
            raise self._misuse("credit while not armed")
        if not self._words:
            raise self._misuse("credit without a table")
        busy = self._flying is not None or self._play is not None
        if self._waiting + busy >= QUEUE_MAX:
            raise self._misuse("credit beyond a full queue")
        if not self._enabled:
            return
        self._waiting += 1
        if not busy and self._waiting == 1:
            self._next_stroke(self._clock.now, 0)

    def withdraw(self) -> int:
        """Take back the newest stroke that has not begun; return how many were taken back."""
        self._sync()
        if not self._waiting:
            return 0
        self._waiting -= 1
        return 1

    def take(self) -> StrokeEvidence | None:
        """Return the oldest evidence not taken yet, or None."""
        self._sync()
        return self._evidence.popleft() if self._evidence else None

    def disarm(self) -> None:
        """Driver off now, queue flushed."""
        self._disarm()

    def _disarm(self) -> None:
        self.catch_up()
        self._halt()
        self._armed = False
        self._switch_off(self._clock.now)

    # --- the world around the chip -----------------------------------------------------------------------------------
    def catch_up(self) -> None:
        """Play every edge up to now; a stroke in the air is played from its beginning."""
        self._sync()
        outcome = self._flying
        if outcome is not None:
            self._flying = None
            self._plant.land()
            self._play = Play(self._words, self._begun_at, self._plant, self._pass_pins)
            if self._begun_at <= self._clock.now:
                self._play.begun = True
            else:
                # In the gap before its first edge it has not begun after all; that edge will tell of itself.
                self._oracle.tally.begun -= 1
            self._run_play(self._clock.now)

    def stop_changed(self) -> None:
        """The stop guard: an open line ends everything within cycles."""
        if self._plant.stop_open and self._enabled:
            self._trip(TRIP_STOP, self._clock.now)
            self._end_tripped()

    def shut_down(self) -> None:
        """The chip is reset or loses its supply: the enable falls, everything else is forgotten. Ends this engine."""
        self._disarm()
        self._evidence.clear()
        self._bits = 0

    def set_pin_fault(self, fault: EdgeFault | None) -> None:
        """Let `fault` stand between the stroke program and its pins, where the guards see what comes of it."""
        self.catch_up()
        self._pin_fault = fault

    def corrupt_table(self, bit: int) -> None:
        """Flip one bit of the loaded table, as RAM may, under everybody who reads it; a table of `bytes` is copied."""
        self.catch_up()
        if not self._words:
            return
        table = self._table if isinstance(self._table, bytearray) else bytearray(self._table)
        place = bit % (len(self._words) * 32)
        table[place // 8] ^= 1 << place % 8
        self._table = table

    def _look_at_table(self) -> None:
        """Take in what has become of the loaded table since a stroke last began."""
        if self._table == self._read:
            return
        self._read = bytes(self._table)
        words = struct.unpack(f"<{len(self._read) // 4}I", self._read)
        self._words = words[: words.index(0)] if 0 in words else words
        self._outcome_version = -1

    def flash_operation(self, block: int) -> None:
        """The flash is about to be programmed or erased: only at home and at rest, only with the engine idle."""
        self.catch_up()
        self._watch_driver()
        busy = not self._idle()
        moving = not self._plant.at_rest()
        x_steps = self._plant.position_steps()
        if busy or moving or x_steps > self._plant.mechanics.home_off_steps:
            self._oracle.violate(
                FLASH_IN_MOTION, self._clock.now, block=block, x_steps=x_steps, busy=busy, moving=moving
            )

    # --- guards ------------------------------------------------------------------------------------------------------
    def _load_guards(self, limit_steps: int, strokes: int) -> None:
        """Load the guards, clear the trips, then let the enabler write "on" once, unless the stop line is open."""
        self._bits = self._told_bits = 0
        self._driver_resets = self._plant.driver_resets
        self._limit_steps = self._allowance_steps = limit_steps
        self._allowed_strokes = strokes
        if self._plant.stop_open:
            self._trip(TRIP_STOP, self._clock.now)
        else:
            self._enabled = True
            self._plant.enable(True, self._clock.now)

    def _pass_pins(self, direction: int, at: int) -> int:
        """Let an edge of the stroke program pass the pins; return the trip bits of the guards that it tripped."""
        if self._pin_fault is not None:
            for turn in self._pin_fault(direction):
                tripped = self._pass_guard(turn, at)
                if tripped:
                    return tripped
            return 0
        return self._pass_guard(direction, at)

    def _pass_guard(self, direction: int, at: int) -> int:
        """Count one edge on the pins; the one too many still reaches the driver, which is off some cycles later."""
        if direction > 0:
            if not self._allowance_steps:
                self._plant.step(direction, at)
                return self._trip(TRIP_DEPTH, at)
            self._allowance_steps -= 1
        elif self._allowance_steps < self._limit_steps:
            self._allowance_steps += 1
        self._plant.step(direction, at)
        return 0

    def _trip(self, bit: int, at: int) -> int:
        self._bits |= bit
        self._switch_off(at + CUT_TICKS)
        return bit

    def _switch_off(self, at: int) -> None:
        self._enabled = False
        self._plant.enable(False, at)

    def _watch_driver(self) -> None:
        """Ask the driver when it is time for that."""
        if self._clock.now - self._asked_at >= DRIVER_WATCH_TICKS:
            self._ask_driver()

    def _ask_driver(self) -> None:
        """Note a driver that was reset under its enable, reports a fault, or answers no more; one that never answered
        since the boot is a plain one that has no line.
        """
        self._asked_at = self._clock.now
        if self._plant.driver_silent:
            self._bits |= DRIVER_FAULT if self._driver_heard else 0
            return
        self._driver_heard = True
        if self._enabled and self._plant.driver_resets != self._driver_resets:
            self._bits |= DRIVER_RESET
        if self._plant.driver_failed:
            self._bits |= DRIVER_FAULT

    # --- strokes -----------------------------------------------------------------------------------------------------
    def _sync(self) -> None:
        """Bring the engine up to now."""
        now = self._clock.now
        while self._due <= now:
            self._fall_due()
        if self._play is not None:
            self._run_play(now)
        elif self._homing is not None:
            self._run_homing(now)

    def _wake(self) -> None:
        self._event = None
        self._sync()

    def _set_due(self, due: int) -> None:
        """Be woken at tick `due`, and only then."""
        self._due = due
        if self._event is not None:
            self._clock.cancel(self._event)
        self._event = None if due == _NEVER else self._clock.schedule(max(due, self._clock.now), self._wake)

    def _fall_due(self) -> None:
        """Do what was due: a stroke is over, homing goes on, the sensor is to be looked at."""
        at = self._due
        self._due = _NEVER
        if self._flying is not None:
            self._land(self._flying, at)
        elif self._play is not None:
            self._run_play(at)
            if self._play is not None:
                self._finish_play(self._play, at)
        elif self._homing is not None:
            self._run_homing(at)
            if self._homing is not None:
                self._set_due(at + _HOMING_LOOK_TICKS)
        elif self._waiting:
            self._look_for_home(at)

    def _next_stroke(self, at: int, gap_ticks: int) -> None:
        """Begin the next queued stroke `gap_ticks` after tick `at`, or wait for home."""
        if self._plant.home_level(at):
            self._begin(at + gap_ticks)
        else:
            self._wait_since = at
            self._set_due(at + _LOOK_TICKS)

    def _look_for_home(self, at: int) -> None:
        if self._plant.home_level(at):
            self._begin(at)
            return
        if at - self._wait_since >= HOME_WAIT_TICKS:
            self._bits |= HOME_WAIT
        self._set_due(at + (_LOOK_LATE_TICKS if self._bits & HOME_WAIT else _LOOK_TICKS))

    def _begin(self, at: int) -> None:
        """Begin a stroke: its first edge falls at tick `at`."""
        self._waiting -= 1
        self._begun_at = at
        self._look_at_table()
        if not self._allowed_strokes:
            # The guard counts a stroke by its first edge, which reaches the driver.
            self._play = Play(self._words, at, self._plant, self._pass_pins)
            tripped = self._play.run_until(at)
            if not tripped:
                self._trip(TRIP_COUNT, at)
            self._end_tripped()
            return
        self._allowed_strokes -= 1
        outcome = self._known()
        if outcome is None:
            self._play = Play(self._words, at, self._plant, self._pass_pins)
            self._set_due(self._play.end_at)
            return
        self._oracle.stroke_begun(at)
        self.short_strokes += 1
        self._flying = outcome
        self._plant.fly(outcome.transitions, at)
        self._set_due(at + outcome.ticks)

    def _known(self) -> StrokeOutcome | None:
        """Return the outcome of the stroke about to begin, if nothing can make it different from what is known."""
        plant = self._plant
        if self.edge_by_edge or self._pin_fault is not None or not plant.nominal():
            return None
        if self._outcome_version != plant.version:
            self._outcome = self._book.outcome(self._words, plant.parameters)
            self._outcome_version = plant.version
        outcome = self._outcome
        if outcome is None or not outcome.whole:
            return None
        if outcome.guarded_steps > self._limit_steps or self._allowance_steps != self._limit_steps:
            return None
        limit_um = self._oracle.limit_um
        return None if limit_um is not None and outcome.depth_um > limit_um else outcome

    def _land(self, outcome: StrokeOutcome, at: int) -> None:
        """A stroke of known outcome is over."""
        self._flying = None
        self._plant.land()
        tally = self._oracle.tally
        tally.crossings += outcome.crossings
        tally.strokes += outcome.strokes
        self._oracle.reached(outcome.depth_um, outcome.depth_um)
        self._give_evidence(outcome.clear_step, outcome.return_step, outcome.net_steps, at)

    def _run_play(self, until: int) -> None:
        play = self._play
        if play is not None and play.run_until(until):
            self._end_tripped()

    def _finish_play(self, play: Play, at: int) -> None:
        """A stroke played edge by edge is over."""
        self._plant.settle(at)
        self._play = None
        self._give_evidence(play.clear_step, play.return_step, play.down - play.back, at)

    def _give_evidence(self, clear_step: int, return_step: int, net_steps: int, at: int) -> None:
        """Hand out a stroke's evidence and begin the next."""
        self._watch_driver()
        bits = self._bits & ~self._told_bits
        self._told_bits = self._bits
        self._evidence.append(StrokeEvidence(self._index, clear_step, return_step, net_steps, bits))
        self._index += 1
        if self._waiting:
            self._next_stroke(at, CHAIN_TICKS)
        elif self._event is not None:
            self._set_due(_NEVER)

    def _end_tripped(self) -> None:
        """A guard has cut the driver: nothing goes on, and the stroke or homing in hand tells how far it came."""
        play = self._play
        homing = self._homing
        self._halt()
        if play is not None:
            self._give_evidence(play.clear_step, play.return_step, play.down - play.back, self._clock.now)
        if homing is not None:
            self._homed = HomingEvidence(homing.found_step, homing.clear_step, homing.return_step)

    def _halt(self) -> None:
        """Flush the queue and end what goes on, where it is."""
        self._waiting = 0
        self._play = None
        self._homing = None
        self._set_due(_NEVER)

    def _run_homing(self, until: int) -> None:
        move = self._homing
        if move is None:
            return
        if move.run_until(until):
            self._end_tripped()
        elif move.done:
            self._plant.settle(move.next_at)
            self._halt()
            self._homed = HomingEvidence(move.found_step, move.clear_step, move.return_step)

    # --- preconditions -----------------------------------------------------------------------------------------------
    def _need_idle(self, call: str) -> None:
        if not self.poll() & IDLE:
            raise self._misuse(f"{call} while not idle")

    def _misuse(self, what: str) -> PortMisuse:
        self._oracle.violate(PORT_MISUSE, self._clock.now, what)
        return PortMisuse(what)
