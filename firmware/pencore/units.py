"""Units and the geometry that joins them: micrometres, microsteps, ticks, milliseconds. Runs on pen and host.

Integers only. A *step* is one microstep, one rising edge on STEP. A *tick* is one cycle of the RP2040's system clock.
Positions count from home: 0 is home, down (out of the nose piece) is positive; depth 0, the plane of the nose piece,
lies `retract_offset_um` below home. Allocates nothing but big integers where a product passes 2**30 (never per stroke).
"""

from pencore.compat import const

TICK_HZ = const(125_000_000)
"""Ticks per second: the RP2040's system clock under the stock MicroPython image (the PIO plays tables at it)."""

U32_MAX = 0xFFFFFFFF
_MS_HALF = const(0x80000000)
_NEAR_MS = const(0x3FFFFFFF)

DAY_S = const(86_400)


def ms_add(now_ms: int, delta_ms: int) -> int:
    """Return the uint32 millisecond count `delta_ms` (>= 0) after `now_ms`; wraps at 2**32."""
    later = now_ms + delta_ms
    # On the pen the mask would make a big integer of any number, and of all that is reckoned from it: all the time.
    return later if later < _NEAR_MS else later & U32_MAX


def ms_since(now_ms: int, then_ms: int) -> int:
    """Return how many ms `now_ms` lies after `then_ms`, both uint32 wrapping at 2**32; negative when it lies before.

    Exact while the two are less than 2**31 ms (24.8 days) apart.
    """
    delta = now_ms - then_ms
    if -_NEAR_MS < delta < _NEAR_MS:
        # No wrap in between: the usual case, and on the pen the one without big integers, which are allocated.
        return delta
    delta &= U32_MAX
    return delta - 0x100000000 if delta & _MS_HALF else delta


def isqrt(value: int) -> int:
    """Return floor(sqrt(value)) for value >= 0, by Newton's method on integers (MicroPython has no math.isqrt)."""
    if value < 2:
        return value
    # A start at or above the root makes the iteration fall monotonically; two bits of value are one bit of root.
    bits = 0
    shifted = value
    while shifted:
        shifted >>= 2
        bits += 1
    root = 1 << bits
    while True:
        better = (root + value // root) >> 1
        if better >= root:
            return root
        root = better


class Geometry:
    """The mechanics of one pen, all integers (provisioned; the defaults are those of the reference pen "pen-a").

    | field | unit | range |
    |---|---|---|
    | full_steps | full steps per turn | 20..400 |
    | microsteps | steps per full step (equals the driver's MS1/MS2 strap) | 1, 2, 4, 8, 16, 32, 64 |
    | lead_um | um of travel per turn | 500..20,000 |
    | v_max_um_s | um/s | 1,000..1,000,000 |
    | a_max_mm_s2 | mm/s2 | 100..100,000 |
    | retract_offset_um | um from home down to depth 0 | 100..2,000 |
    | home_margin_steps | steps that home lies behind the sensor's edge | 0..2 full steps |
    | stop_um | depth of the mechanical stop, um | 100..5,000 |
    | dwell_us | pause at full depth, us | 0..20,000 |

    Ranges are checked by `pencore.provision`; this class only converts.
    """

    def __init__(
        self,
        full_steps: int = 200,
        microsteps: int = 8,
        lead_um: int = 4000,
        v_max_um_s: int = 100_000,
        a_max_mm_s2: int = 30_000,
        retract_offset_um: int = 500,
        home_margin_steps: int = 8,
        stop_um: int = 2600,
        dwell_us: int = 200,
    ) -> None:
        self.full_steps = full_steps
        self.microsteps = microsteps
        self.lead_um = lead_um
        self.v_max_um_s = v_max_um_s
        self.a_max_mm_s2 = a_max_mm_s2
        self.retract_offset_um = retract_offset_um
        self.home_margin_steps = home_margin_steps
        self.stop_um = stop_um
        self.dwell_us = dwell_us
        self.steps_per_turn = full_steps * microsteps

    def as_list(self) -> "list[int]":
        """Return the nine numbers in the order of the constructor, as `hello` sends them."""
        return [
            self.full_steps,
            self.microsteps,
            self.lead_um,
            self.v_max_um_s,
            self.a_max_mm_s2,
            self.retract_offset_um,
            self.home_margin_steps,
            self.stop_um,
            self.dwell_us,
        ]

    def steps_floor(self, distance_um: int) -> int:
        """Return the most whole steps that do not pass `distance_um` (0..10,000 um): rounding is always down."""
        return distance_um * self.steps_per_turn // self.lead_um

    def steps_ceil(self, distance_um: int) -> int:
        """Return the fewest whole steps that reach `distance_um` (0..10,000 um)."""
        return -(-distance_um * self.steps_per_turn // self.lead_um)

    def um_ceil(self, steps: int) -> int:
        """Return `steps` (>= 0) in whole um, rounded up."""
        return -(-steps * self.lead_um // self.steps_per_turn)

    def stroke_steps(self, depth_um: int) -> int:
        """Return the steps from home to `depth_um`, rounded down as one distance: never deeper than asked."""
        return self.steps_floor(self.retract_offset_um + depth_um)

    def depth_um(self, steps: int) -> int:
        """Return the depth in um, rounded up, that `steps` from home reach; 0 while the needles are inside the nose."""
        reached = self.um_ceil(steps) - self.retract_offset_um
        return reached if reached > 0 else 0
