"""What the tests of the virtual pen share: a bench with one pen, and stroke tables of their own making. Host only.

The tables come from closed formulas in floats, written for these tests alone: neither the firmware's planner nor the
simulator has a part in them.
"""

import itertools
import math
import struct

from pencore.ports import HomingEvidence, StrokeEvidence
from pensim.bench import VirtualParts
from pensim.clock import TICKS_PER_MS, TICKS_PER_S, TICKS_PER_US, VirtualClock
from pensim.engine import SimEngine
from pensim.flash import FlashDevice, FlashImage, SimStore
from pensim.plant import PenParameters, Plant
from pensim.stroke import StrokeBook

STEP_UM = 2.5
OFFSET_UM = 500
MARGIN = 8
BACKOFF = 120
CAP = 1440
HOMING_TICKS = 200 * TICKS_PER_US


def steps_of(depth_um: float) -> int:
    """Return the steps from home to a depth of the reference pen."""
    return int((OFFSET_UM + depth_um) / STEP_UM)


def move_delays(steps: int, v_mm_s: float, a_m_s2: float) -> list[int]:
    """Return the ticks between the steps of a move from rest to rest: accelerate, cruise, slow down."""
    step_m = STEP_UM * 1e-6
    way = steps * step_m
    speed = min(v_mm_s * 1e-3, math.sqrt(a_m_s2 * way))
    ramp_s = speed / a_m_s2
    ramp = 0.5 * speed * ramp_s
    total_s = 2 * ramp_s + (way - 2 * ramp) / speed

    def time_at(x: float) -> float:
        if x <= ramp:
            return math.sqrt(2 * x / a_m_s2)
        if x >= way - ramp:
            return total_s - math.sqrt(max(0.0, 2 * (way - x) / a_m_s2))
        return ramp_s + (x - ramp) / speed

    times = [round(time_at(index * step_m) * TICKS_PER_S) for index in range(steps + 1)]
    return [after - before for before, after in itertools.pairwise(times)]


def pack(words: list[int]) -> bytes:
    """Return a stroke table of `words`, with its end."""
    return struct.pack(f"<{len(words) + 1}I", *words, 0)


def stroke_table(
    depth_um: float, v_mm_s: float = 100.0, a_m_s2: float = 30.0, dwell_us: int = 200, rest_us: int = 1000
) -> bytes:
    """Return the table of one stroke to `depth_um` and back."""
    out = move_delays(steps_of(depth_um), v_mm_s, a_m_s2)
    back = list(out)
    out[-1] += dwell_us * TICKS_PER_US
    back[-1] += rest_us * TICKS_PER_US
    return pack([delay << 1 | 1 for delay in out] + [delay << 1 for delay in back])


def words_of(table: bytes) -> tuple[int, ...]:
    """Return the words of a table without its end."""
    return struct.unpack(f"<{len(table) // 4}I", table)[:-1]


class SimBench(VirtualParts):
    """One pen with everything around it but the firmware."""

    def __init__(self, parameters: PenParameters | None = None, book: StrokeBook | None = None) -> None:
        self.clock = VirtualClock()
        self.plant = Plant(self.clock, parameters)
        self.engine = SimEngine(self.clock, self.plant, book)
        self.image = FlashImage()
        self.flash = FlashDevice(self.image)
        self.store = SimStore(self.flash)

    def run_ms(self, ms: float) -> None:
        """Let time pass."""
        self.clock.advance(round(ms * TICKS_PER_MS))

    def home(self) -> HomingEvidence:
        """Home the pen; return how that ended."""
        self.engine.home(CAP, BACKOFF, MARGIN, HOMING_TICKS)
        end = self.clock.now + TICKS_PER_S
        while (evidence := self.engine.homing()) is None:
            due = self.clock.next_due()
            assert due is not None, "homing comes to no end"
            assert due <= end, "homing takes longer than a second"
            self.clock.run_until(due)
        return evidence

    def ready(self, table: bytes | bytearray, limit_steps: int, strokes: int) -> None:
        """Home the pen, load a table, arm."""
        evidence = self.home()
        assert evidence.return_step >= 0
        self.engine.load(table)
        self.engine.arm(limit_steps, strokes)

    def taken(self) -> list[StrokeEvidence]:
        """Return all the evidence there is."""
        found = []
        while (evidence := self.engine.take()) is not None:
            found.append(evidence)
        return found
