"""From depth and rate to the table of words that makes one stroke. Runs on the pen and in the simulator.

A table is little-endian 32-bit words: `delay_ticks << 1 | direction` (1 extends), one STEP edge at the word's start,
then the delay; a zero word ends it. Ramp out, dwell, ramp back: the dwell is in the last extending word, the wait at
home that a slower rate needs in the last retracting word, so the delays of a table sum up to the period of its rate.

Steps are rounded down, times up. The work is cut into pieces (`advance`) so that no loop of the pen waits for a plan,
and a finished table is counted through once more from its bytes before anyone may use it. Allocates the table (8 bytes
a step) and the ramp's times once per plan; nothing per stroke.
"""

import struct

from pencore import faults, limits
from pencore.compat import const
from pencore.digest import crc32
from pencore.faults import Fault, Refusal
from pencore.units import TICK_HZ

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from pencore.units import Geometry

EXTEND = const(1)
WORD_SIZE = const(4)

_RAMP = const(0)
_FILL = const(1)
_CHECK = const(2)
_AUDIT = const(3)
_READY = const(4)
_SMALL = const(0x3FFFFFFF)
_TRIES = const(64)
_TRY_PIECES = const(15)


class Plan:
    """One stroke table in the making: `advance` until `ready`, then `table`, `crc`, `steps`, `limit_steps`.

    `depth_um` and `rate_per_s` have passed the profile's checks; a rate above `limits.max_rate` is refused here again.
    """

    def __init__(self, depth_um: int, rate_per_s: int, geometry: "Geometry") -> None:
        self.depth_um = depth_um
        self.steps = geometry.stroke_steps(depth_um)
        highest = limits.max_rate(depth_um, geometry)
        if not 0 < rate_per_s <= highest:
            raise Refusal(faults.RATE_TOO_HIGH, "zone.rate_per_s", rate_per_s, highest)
        self.period_ticks = -(-TICK_HZ // rate_per_s)
        self._dwell_ticks = geometry.dwell_us * (TICK_HZ // 1_000_000)
        self._rest_ticks = self.period_ticks - limits.stroke_ticks(depth_um, geometry)
        self._geometry = geometry
        self._ramp = limits.ramp_steps(self.steps, geometry)
        self._cruise_ticks = limits.cruise_ticks(geometry)
        self._delays: "list[int]" = []
        self._ramp_time = 0
        self._stage = _RAMP
        self._at = 0
        self._net = 0
        self._deepest = 0
        self._ticks = 0
        self.table = bytearray((2 * self.steps + 1) * WORD_SIZE)
        self.crc = 0
        self._begin = 0

    def ready(self) -> bool:
        """Return whether the table is complete and audited."""
        return self._stage == _READY

    def advance(self, pieces: int) -> bool:
        """Do at most `pieces` (>= 1) steps of the work; return whether the table is ready.

        Raises Fault TABLE_CORRUPT when the finished table isn't the stroke that was asked for.
        """
        while pieces > 0 and self._stage != _READY:
            pieces -= 1
            if self._stage == _RAMP:
                self._add_ramp_step()
            elif self._stage == _FILL:
                self._fill_word()
            elif self._stage == _CHECK:
                self._choose_check()
                # It takes as long as so many steps.
                pieces -= _TRY_PIECES
            else:
                self._audit_word()
        return self._stage == _READY

    def intact(self) -> bool:
        """Return whether the table still is, bit for bit, the one that was audited."""
        return self._stage == _READY and crc32(self.table, self._begin) == self.crc

    def _next_stage(self, stage: int) -> None:
        self._stage = stage
        self._at = 0

    def _add_ramp_step(self) -> None:
        if self._at < self._ramp:
            time = limits.ramp_ticks(self._at + 1, self._geometry)
            self._delays.append(time - self._ramp_time)
            self._ramp_time = time
            self._at += 1
        if self._at >= self._ramp:
            self._next_stage(_FILL)

    def _fill_word(self) -> None:
        steps = self.steps
        at = self._at
        extend = at < steps
        step = at if extend else at - steps
        from_end = steps - 1 - step
        nearest = step if step < from_end else from_end
        delay = self._delays[nearest] if nearest < self._ramp else self._cruise_ticks
        if from_end == 0:
            delay += self._dwell_ticks if extend else self._rest_ticks
        struct.pack_into("<I", self.table, at * WORD_SIZE, delay << 1 | (EXTEND if extend else 0))
        self._at = at + 1
        if self._at == 2 * steps:
            self._delays = []
            # Taken before the audit, so that what changes during it or after it is noticed.
            self.crc = crc32(self.table)
            self._next_stage(_CHECK)

    def _choose_check(self) -> None:
        """Try one beginning of the CRC: of those whose sum is below 2**30 the first is kept, for on the pen no other
        sum can be compared, before every stroke, without allocating. One in four is; without any the plain CRC stays.
        """
        self._at += 1
        crc = crc32(self.table, self._at)
        if crc < _SMALL:
            # Of the same bytes as the plain one: that was taken first, so what changed since shows here.
            if crc32(self.table) != self.crc:
                raise Fault(faults.TABLE_CORRUPT, self._at)
            self._begin = self._at
            self.crc = crc
        if crc < _SMALL or self._at == _TRIES:
            self._next_stage(_AUDIT)

    def _audit_word(self) -> None:
        word = struct.unpack_from("<I", self.table, self._at * WORD_SIZE)[0]
        self._at += 1
        if word:
            self._net += 1 if word & EXTEND else -1
            self._deepest = max(self._deepest, self._net)
            self._ticks += word >> 1
            if self._net < 0 or self._net > self.steps or self._at > 2 * self.steps:
                raise Fault(faults.TABLE_CORRUPT, self._at)
        else:
            whole = crc32(self.table, self._begin) == self.crc
            if self._net or self._deepest != self.steps or self._ticks != self.period_ticks or not whole:
                raise Fault(faults.TABLE_CORRUPT, self._at)
            self._next_stage(_READY)
