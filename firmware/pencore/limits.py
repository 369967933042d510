"""What is allowed at all: absolute caps, zones, and the fastest rate a depth can have. Runs on pen and host.

These are the bounds nothing can raise: a provisioned pen may tighten them, a profile may tighten them further, in the
order device ceiling > calibration > zone cap > session limit > zone depth. The zone caps are a proposal drawn from
published charts of makers (upper end of the usual range per area), not clinical evidence; a clinic tightens them at
provisioning. Allocates the zone table at import.
"""

from pencore import faults
from pencore.compat import const
from pencore.units import TICK_HZ, isqrt

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional

    from pencore.units import Geometry

# --- absolute bounds -------------------------------------------------------------------------------------------------
DEPTH_MIN_UM = const(100)
"""Shallowest depth that is a stroke at all; the shallowest in the makers' charts is 200 um."""

DEPTH_CEILING_UM = const(2500)
"""Deepest protrusion of any pen: the deepest setting of the first cleared device of this kind (2.5 mm)."""

ZONES_MAX = const(32)
STROKES_MIN = const(1)
SESSION_STROKES_MAX = const(200_000)
"""Strokes of one session: 20 trigger-on minutes of the fastest pen on the market are about 140,000."""

CARTRIDGE_STROKES_MAX = const(200_000)
"""Strokes of one cartridge; a cartridge serves one session."""

RATE_MIN_PER_S = const(1)
RATE_MAX_PER_S = const(200)
"""Range of a rate in files and on the wire: above what any pen that can be provisioned reaches (`max_rate`)."""

STEP_TICKS_MIN = const(120)
"""Shortest delay of a table's word that the stroke program keeps to the tick (0.96 us); no pen may ask for less."""

HOME_WINDOW_FULL_STEPS = const(2)
"""How far the home sensor's edges may wander between strokes: a stepper loses whole cycles of four full steps, so half
of one tells wear and noise from lost steps."""

COURSE_SESSIONS_MAX = const(12)
INTERVAL_MIN_DAYS = const(4)
"""Shortest interval any author in the sources uses; provisioning may raise it, the usual course has 30 days."""
INTERVAL_MAX_DAYS = const(365)
COURSE_STEP_MAX_UM = const(500)
"""Most a course may go deeper from one session to the next; the usual course plans 250 um or less."""

NEEDLES_MAX = const(64)

TIME_JUMP_MAX_S = const(45 * 86_400)
"""Furthest the time may jump forward from one session to the next without a signed correction."""

# --- stroke blocks, in strokes ---------------------------------------------------------------------------------------
_BLOCK_MIN = const(50)
_BLOCK_MAX = const(500)
_BLOCKS_PER_SESSION = const(20)

# --- zones: code, area, usual low, cap (um) --------------------------------------------------------------------------
SIDES = ("none", "left", "right")
"""Side of a zone; its code on the wire and in records is its index."""

AREAS = (
    ("forehead", 250, 750),
    ("glabella", 250, 1000),
    ("periorbital", 200, 500),
    ("nose", 250, 750),
    ("cheek", 500, 1500),
    ("upper-lip", 250, 750),
    ("chin-jaw", 500, 1500),
    ("neck", 250, 1000),
    ("scalp", 500, 1500),
    ("abdomen", 500, 2000),
    ("stretch-marks", 1000, 2000),
    ("facial-acne-scar", 500, 1500),
)
"""(name, usual low um, cap um) of each area; its code is its index. Only ever appended to."""

AREA_CODES_MAX = const(32)
"""Room for area codes in the provisioning's table of caps."""


def area_name(code: int) -> str:
    """Return the name of area `code`; "area-N" for a code this build doesn't know."""
    return AREAS[code][0] if 0 <= code < len(AREAS) else "area-%d" % code


def zone_name(area: int, side: int) -> str:
    """Return "cheek left", "nose": how a zone is called, from its codes."""
    name = area_name(area)
    return "%s %s" % (name, SIDES[side]) if 0 < side < len(SIDES) else name


def zone_cap_um(area: int) -> int:
    """Return the absolute cap of area `code` in um; Refusal PROFILE_ZONE_AREA for a code this build doesn't know."""
    if not 0 <= area < len(AREAS):
        raise faults.Refusal(faults.PROFILE_ZONE_AREA, "zone.area", area, len(AREAS) - 1)
    return AREAS[area][2]


class Bounds:
    """What one pen allows: the absolute bounds above, tightened by its provisioning and calibration.

    `head` code, `ceiling_um` 100..2,500, `calibration_um` 100..ceiling, `caps_um` one cap per area code (missing ones
    are the absolute ones), `cartridge_strokes` 1..200,000, `interval_days` 4..365 (shortest interval), `geometry`. The
    host makes one from the pen's `hello`, the pen from its provisioning.
    """

    def __init__(
        self,
        geometry: "Geometry",
        head: int = 0,
        ceiling_um: int = DEPTH_CEILING_UM,
        calibration_um: int = DEPTH_CEILING_UM,
        caps_um: "Sequence[int]" = (),
        cartridge_strokes: int = CARTRIDGE_STROKES_MAX,
        interval_days: int = INTERVAL_MIN_DAYS,
    ) -> None:
        self.geometry = geometry
        self.head = head
        self.ceiling_um = ceiling_um
        self.calibration_um = calibration_um
        self.caps_um = caps_um
        self.cartridge_strokes = cartridge_strokes
        self.interval_days = interval_days

    def zone_cap_um(self, area: int) -> int:
        """Return the tighter of the absolute and the provisioned cap of area `code`, in um."""
        cap = zone_cap_um(area)
        if area < len(self.caps_um) and self.caps_um[area] < cap:
            cap = self.caps_um[area]
        return cap


def effective_um(bounds: Bounds, area: int, session_um: int, depth_um: int) -> int:
    """Return the depth limit that holds in a zone: the least of ceiling, calibration, zone cap, session limit and
    depth.
    """
    return min(bounds.ceiling_um, bounds.calibration_um, bounds.zone_cap_um(area), session_um, depth_um)


def block_strokes(session_budget: int, left: int) -> int:
    """Return how many strokes to reserve at once: min(500, max(50, ceil(budget / 20)), left); `left` is what zone,
    session and cartridge all still allow.

    Twenty blocks bound both the flash wear of a session and what a power cut can forfeit.
    """
    block = -(-session_budget // _BLOCKS_PER_SESSION)
    if block < _BLOCK_MIN:
        block = _BLOCK_MIN
    if block > _BLOCK_MAX:
        block = _BLOCK_MAX
    return block if block < left else left


# --- motion envelope -------------------------------------------------------------------------------------------------
def ramp_ticks(step: int, geometry: "Geometry") -> int:
    """Return the ticks from rest to the `step`-th step (0..4,000) at constant a_max, rounded up.

    t = sqrt(2 s / a): with the distance in um and `a` in mm/s2 (= 1,000 um/s2), t2 in ticks2 is
    2 * step * lead / steps_per_turn / (1,000 a) * TICK_HZ2. Rounding up never asks for more than a_max.
    """
    square = 2 * step * geometry.lead_um * TICK_HZ * TICK_HZ // (geometry.steps_per_turn * geometry.a_max_mm_s2 * 1000)
    return isqrt(square) + 1 if step else 0


def cruise_ticks(geometry: "Geometry") -> int:
    """Return the ticks between two steps at v_max, rounded up."""
    return -(-geometry.lead_um * TICK_HZ // (geometry.steps_per_turn * geometry.v_max_um_s))


def ramp_steps(steps: int, geometry: "Geometry") -> int:
    """Return how many of a move's `steps` accelerate: until v_max or half-way, the middle step of an odd move included.

    A step belongs to the ramp while a_max alone keeps its mean speed at or below v_max: with F = v_max2 / (2 a_max) in
    steps, step i (0, 1, ...) has the mean speed v_max (sqrt(i) + sqrt(i + 1)) / (2 sqrt(F)), which is at most v_max for
    i + 1/2 <= F + 1 / (16 F), or never when F < 1/4. The move slows down as it sped up, the middle step aside.
    """
    square = geometry.v_max_um_s * geometry.v_max_um_s * geometry.steps_per_turn
    step = 2 * geometry.a_max_mm_s2 * 1000 * geometry.lead_um
    if 4 * square < step:
        return 0
    full = (4 * square + step) * (4 * square + step) // (16 * square * step)
    half = (steps + 1) // 2
    return full if full < half else half


def move_ticks(steps: int, geometry: "Geometry") -> int:
    """Return the ticks of one move of `steps` (1..2,000) from rest to rest at full speed: ramp, cruise, ramp."""
    up = ramp_steps(steps, geometry)
    down = min(up, steps // 2)
    return ramp_ticks(up, geometry) + (steps - up - down) * cruise_ticks(geometry) + ramp_ticks(down, geometry)


def fastest_ticks(steps: int, geometry: "Geometry") -> int:
    """Return the ticks of the shortest delay in a move of `steps` (1..2,000) at full speed, to the rounding of one."""
    up = ramp_steps(steps, geometry)
    if steps > up + min(up, steps // 2):
        return cruise_ticks(geometry)
    return ramp_ticks(up, geometry) - ramp_ticks(up - 1, geometry)


def stroke_ticks(depth_um: int, geometry: "Geometry") -> int:
    """Return the ticks of the fastest stroke to `depth_um`: out, dwell, back."""
    dwell = geometry.dwell_us * (TICK_HZ // 1_000_000)
    return 2 * move_ticks(geometry.stroke_steps(depth_um), geometry) + dwell


def max_rate(depth_um: int, geometry: "Geometry") -> int:
    """Return the highest whole stroke rate per second at `depth_um` (1..2,500 um); 0 if not even one is possible.

    The reference pen reaches 21 /s at 1.5 mm and 37 /s at 0.5 mm.
    """
    return TICK_HZ // stroke_ticks(depth_um, geometry)


def check_range(code: int, field: str, given: int, low: int, high: int, zone: "Optional[int]" = None) -> None:
    """Refuse `given` with `code` unless low <= given <= high; the refusal names the bound that was broken."""
    if given < low:
        raise faults.Refusal(code, field, given, low, zone)
    if given > high:
        raise faults.Refusal(code, field, given, high, zone)
