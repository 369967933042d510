"""The runner's hold on the stroke engine: homing judged, evidence judged, credits given. Pen and simulator.

Everything the engine reports is judged here before the next credit: a stroke that didn't leave home, didn't come back,
lost steps, came out of turn or faster than planned is a fault. Allocates nothing per stroke.
"""

from pencore import faults, limits, signals
from pencore.compat import const
from pencore.faults import Fault
from pencore.units import TICK_HZ, ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional

    from pencore.planner import Plan
    from pencore.ports import Engine, HomingEvidence, StrokeEvidence
    from pencore.units import Geometry


_HOMING_STEP_TICKS = const(25_000)
_HOMING_SLACK_MS = const(700)
"""Beyond the way: an engine may wait half a second until the motor's driver has its settings."""
_TRAVEL_SPARE_UM = const(500)
_QUEUE = const(2)
_RATE_SLACK_STROKES = const(3)
_OVERDUE_MS = const(250)

_TRIPS = (
    (signals.TRIP_DEPTH, faults.DEPTH_GUARD),
    (signals.TRIP_COUNT, faults.COUNT_GUARD),
    (signals.TRIP_STOP, faults.STOP_GUARD),
    (signals.HOME_WAIT, faults.HOME_LOST),
    (signals.DRIVER_RESET, faults.DRIVER_RESET),
    (signals.DRIVER_FAULT, faults.DRIVER_FAULT),
)


class Motion:
    """Homing and strokes of one pen.

    `home` -> `homed` until True -> `arm` with a plan -> `credit` while strokes are outstanding -> `collect`. `queued`
    strokes are credited and without evidence yet; `live` from `home` to `cut`, while the engine's trips mean something.
    """

    def __init__(self, engine: "Engine", geometry: "Geometry", backoff_um: int) -> None:
        self._engine = engine
        self._geometry = geometry
        self._backoff_steps = geometry.steps_floor(backoff_um)
        travel_um = geometry.retract_offset_um + geometry.stop_um + _TRAVEL_SPARE_UM
        self._cap_steps = geometry.steps_ceil(travel_um)
        # Homing starts, turns and stops without a ramp: no step may be shorter than the first one of a ramp.
        self._homing_ticks = max(_HOMING_STEP_TICKS, limits.cruise_ticks(geometry), limits.ramp_ticks(1, geometry))
        self._window_steps = limits.HOME_WINDOW_FULL_STEPS * geometry.microsteps
        self._clear_step = 0
        self._homing_since_ms = 0
        self.plan: "Optional[Plan]" = None
        self.live = False
        self.queued = 0
        self._next_index = 0
        self._burst_ms = 0
        self._burst_strokes = 0
        self._progress_ms = 0

    # --- homing ------------------------------------------------------------------------------------------------------
    def home(self, now_ms: int) -> None:
        """Begin to home; nothing is credited until `arm`."""
        self.queued = 0
        self.plan = None
        self.live = True
        self._homing_since_ms = now_ms
        self._engine.home(self._cap_steps, self._backoff_steps, self._geometry.home_margin_steps, self._homing_ticks)

    def homed(self, now_ms: int) -> bool:
        """Return whether homing is over and good; Fault HOME_NOT_FOUND, HOME_NOT_CLEARED or HOME_LOST when it isn't."""
        evidence = self._engine.homing()
        if evidence is None:
            # The longest homing is the whole travel and the back-off twice; an engine that takes longer is lost.
            longest = self._cap_steps + 2 * self._backoff_steps + 2 * self._geometry.home_margin_steps
            longest_ms = longest * self._homing_ticks // (TICK_HZ // 1000) + _HOMING_SLACK_MS
            if ms_since(now_ms, self._homing_since_ms) > longest_ms:
                raise Fault(faults.HOME_NOT_FOUND, longest)
            return False
        # What cut it short comes before how far it came.
        code = trip_code(self._engine.poll())
        if code:
            raise Fault(code)
        self._judge_homing(evidence)
        return True

    def _judge_homing(self, evidence: "HomingEvidence") -> None:
        margin = self._geometry.home_margin_steps
        if not 0 <= evidence.found_step <= self._cap_steps:
            raise Fault(faults.HOME_NOT_FOUND, evidence.found_step)
        if not margin <= evidence.clear_step <= self._backoff_steps:
            raise Fault(faults.HOME_NOT_CLEARED, evidence.clear_step)
        if not 0 < evidence.return_step <= self._backoff_steps:
            raise Fault(faults.HOME_LOST, evidence.return_step)
        # A stroke starts `margin` behind where the sensor came on, and clears where the back-off turned round.
        self._clear_step = margin + evidence.return_step

    # --- strokes -----------------------------------------------------------------------------------------------------
    def arm(self, plan: "Plan", limit_steps: int) -> None:
        """Give the engine the finished table and load the guards: depth limit in steps, no strokes yet; driver on."""
        if plan.steps > limit_steps or not plan.intact():
            raise Fault(faults.TABLE_CORRUPT, plan.steps)
        self._engine.load(plan.table)
        self._engine.arm(limit_steps, 0)
        self.plan = plan
        self.queued = 0
        self._next_index = 0

    def allow(self, strokes: int, now_ms: int) -> None:
        """Reload the count guard for a new block and start measuring its rate."""
        self._engine.allow(strokes)
        self._burst_ms = now_ms
        self._burst_strokes = 0
        self._progress_ms = now_ms

    def owed(self, outstanding: int) -> bool:
        """Return whether there is a stroke to `credit`."""
        return self.queued < _QUEUE and self.queued < outstanding

    def credit(self, outstanding: int, limit_steps: int) -> None:
        """Keep up to two strokes queued, never more than `outstanding` in all; Fault TABLE_CORRUPT before a bad one."""
        while self.owed(outstanding):
            plan = self.plan
            if plan is None or plan.steps > limit_steps or not plan.intact():
                raise Fault(faults.TABLE_CORRUPT, self._next_index)
            self._engine.credit()
            self.queued += 1

    def withdraw(self) -> None:
        """Take back the queued stroke that hasn't begun; the one in progress will be finished."""
        self.queued -= self._engine.withdraw()

    def collect(self, now_ms: int) -> bool:
        """Take and judge the evidence of one finished stroke; return whether there was one."""
        evidence = self._engine.take()
        if evidence is None:
            return False
        # Counted off only after it was judged: a stroke that is a fault stays among those that `cut` reports.
        self._judge_stroke(evidence, now_ms)
        self.queued -= 1
        return True

    def _judge_stroke(self, evidence: "StrokeEvidence", now_ms: int) -> None:
        plan = self.plan
        if plan is None or self.queued <= 0 or evidence.index != self._next_index:
            raise Fault(faults.STROKE_SEQUENCE, evidence.index)
        self._next_index += 1
        if evidence.flags:
            raise Fault(trip_code(evidence.flags) or faults.INTERNAL, evidence.index)
        if evidence.net_steps:
            raise Fault(faults.NET_STEPS, evidence.net_steps)
        if evidence.clear_step < 0:
            raise Fault(faults.HOME_NOT_CLEARED, evidence.index)
        if evidence.return_step < 0:
            raise Fault(faults.HOME_LOST, evidence.index)
        self._judge_edge(evidence.clear_step - self._clear_step)
        self._judge_edge(evidence.return_step - (plan.steps - self._geometry.home_margin_steps))
        self._judge_rate(plan, now_ms)

    def _judge_edge(self, error_steps: int) -> None:
        if not -self._window_steps <= error_steps <= self._window_steps:
            raise Fault(faults.LOST_STEPS, error_steps)

    def _judge_rate(self, plan: "Plan", now_ms: int) -> None:
        self._burst_strokes += 1
        self._progress_ms = now_ms
        elapsed_ms = ms_since(now_ms, self._burst_ms)
        # Faster than planned means that the table played isn't the one that was planned; slack covers the ms grid.
        least_ms = (self._burst_strokes - _RATE_SLACK_STROKES) * (plan.period_ticks // (TICK_HZ // 1000))
        if elapsed_ms < least_ms:
            raise Fault(faults.STROKE_RATE, self._burst_strokes)

    def check_progress(self, now_ms: int) -> None:
        """Fault STROKE_OVERDUE when a credited stroke has brought no evidence for its period and 250 ms more."""
        plan = self.plan
        if self.queued and plan is not None:
            period_ms = plan.period_ticks // (TICK_HZ // 1000)
            if ms_since(now_ms, self._progress_ms) > period_ms + _OVERDUE_MS:
                raise Fault(faults.STROKE_OVERDUE, self._next_index)

    def overdue_wait_ms(self, now_ms: int) -> int:
        """Return how many ms from now `check_progress` could first complain; a large number when nothing is queued."""
        plan = self.plan
        if not self.queued or plan is None:
            return 1_000_000
        period_ms = plan.period_ticks // (TICK_HZ // 1000)
        return max(1, period_ms + _OVERDUE_MS + 1 - ms_since(now_ms, self._progress_ms))

    def cut(self) -> int:
        """Driver off now; return how many credited strokes may have begun without being judged (0..2)."""
        self._engine.disarm()
        while self._engine.take() is not None:
            pass
        lost = self.queued
        self.queued = 0
        self.plan = None
        self.live = False
        return lost


def trip_code(bits: int) -> int:
    """Return the fault code of the engine's trip bits, the most telling first; 0 when there is none."""
    for bit, code in _TRIPS:
        if bits & bit:
            return code
    return 0
