"""Whole courses to start from: the templates of `pinprick profile new` and the files in `examples/`. Host only; pure.

The depths and budgets are a starting point drawn from makers' published charts, not clinical evidence: whoever treats
decides, under the caps. One table makes both, so that an example is exactly what the tool would write.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from pencore import limits
from pinprick.profiles.edit import EXPIRES_NOTE, PLACEHOLDERS
from pinprick.profiles.model import AREA_NAMES
from pinprick.profiles.units import mm_number

_MIDDLE = ("none",)
_BOTH = ("left", "right")
_ALL = ("left", "right", "none")

_INTERVAL_DAYS = 30
_STEP_UM = 250
_NEEDLES = 14


class ZonePlan(NamedTuple):
    """An area over a course: `depths_um` has one depth for each session, `strokes` is the budget of each side."""

    area: str
    sides: Sequence[str]
    strokes: int
    rate_per_s: int
    depths_um: Sequence[int]
    note: str = ""


class CoursePlan(NamedTuple):
    """A course: `title` names it, `about` says what it is for, `zones` have as many depths as there are sessions."""

    title: str
    about: str
    zones: Sequence[ZonePlan]

    @property
    def sessions(self) -> int:
        """How many sessions the course has."""
        return len(self.zones[0].depths_um)


class Fittings(NamedTuple):
    """What belongs to one client and one visit rather than to the plan."""

    course_id: str
    cartridge_id: str
    lot: str
    expires: date
    expires_note: str = ""


PLANS = {
    "full-face": CoursePlan(
        "Full face",
        "A course for the whole face and the neck, left and right apart.",
        (
            ZonePlan("forehead", _BOTH, 2_400, 22, (250, 400, 500, 600, 750)),
            ZonePlan("glabella", _MIDDLE, 800, 20, (250, 500, 600, 750, 750), "between the eyebrows"),
            ZonePlan(
                "periorbital", _BOTH, 900, 20, (200, 250, 300, 400, 400), "around the eye, never inside the orbital rim"
            ),
            ZonePlan("nose", _MIDDLE, 1_200, 20, (250, 400, 500, 600, 600)),
            ZonePlan("cheek", _BOTH, 3_600, 21, (500, 750, 1000, 1250, 1500)),
            ZonePlan("upper-lip", _BOTH, 700, 20, (250, 400, 500, 600, 600)),
            ZonePlan("chin-jaw", _BOTH, 2_200, 21, (500, 750, 1000, 1250, 1250)),
            ZonePlan("neck", _BOTH, 1_700, 22, (250, 400, 500, 600, 750)),
        ),
    ),
    "scalp": CoursePlan(
        "Scalp",
        "A course for the scalp; the middle is the parting.",
        (ZonePlan("scalp", _ALL, 4_000, 20, (500, 750, 1000, 1000)),),
    ),
    "stretch-marks": CoursePlan(
        "Stretch marks",
        "A course for stretch marks; the middle is the belly, left and right are hips or thighs.",
        (ZonePlan("stretch-marks", _ALL, 6_000, 17, (1000, 1250, 1500, 1500, 1500)),),
    ),
    "acne-scar": CoursePlan(
        "Facial acne scars",
        "A course for acne scars of the face, with zones for the scarred skin alone; the middle is chin and forehead.",
        (ZonePlan("facial-acne-scar", _ALL, 4_500, 20, (500, 750, 1000, 1250, 1500)),),
    ),
}
"""Template name -> course."""


def placeholders(today: date) -> Fittings:
    """Return the Fittings of a file that nobody has filled in; it expires `today`, so that it can't be forgotten."""
    return Fittings(
        PLACEHOLDERS["course", "id"],
        PLACEHOLDERS["cartridge", "id"],
        PLACEHOLDERS["cartridge", "lot"],
        today,
        f" {EXPIRES_NOTE}",
    )


def render(plan: CoursePlan, session: int, fittings: Fittings) -> str:
    """Return the profile file, with comments, of `session` (1..plan.sessions) of `plan`."""
    zones = [(zone, side) for zone in plan.zones for side in zone.sides]
    strokes = sum(zone.strokes for zone, _ in zones)
    deepest_um = max(zone.depths_um[session - 1] for zone in plan.zones)
    parts = [
        f"""\
# {plan.title}. {plan.about}
#
# Depths are commanded protrusion: how far the needles come out of the nose piece, in mm, exact to 0.001 mm. They are a
# starting point drawn from makers' published charts, not clinical evidence: whoever treats decides, under the caps.
# `pinprick profile check FILE` says what the pen would refuse; `pinprick profile show FILE` draws it.

schema = 1
name = "{plan.title}, session {session} of {plan.sessions}"
head = "pen"

[course]
id = "{fittings.course_id}" # one for each client and area; the pen remembers it. No client name.
index = {session} # which session of the course this is
of = {plan.sessions}
interval_days = {_INTERVAL_DAYS} # the pen refuses the next session before that
max_step_mm = {mm_number(_STEP_UM)} # a zone may go deeper by this much from one session to the next, or stay

# One sterile cartridge, one session: copy these from its pouch. The pen never takes the same id again.
[cartridge]
id = "{fittings.cartridge_id}"
lot = "{fittings.lot}"
expires = {fittings.expires.isoformat()}{fittings.expires_note}
needles = {_NEEDLES}

# The session's own limits. They tighten what the pen and each area's cap allow; they never widen it.
[limits]
depth_mm = {mm_number(deepest_um)}
strokes = {strokes:_}
"""
    ]
    last = ""
    for zone, side in zones:
        if zone.area != last:
            cap = mm_number(limits.zone_cap_um(AREA_NAMES.index(zone.area)))
            note = f" {zone.note[0].upper()}{zone.note[1:]}." if zone.note else ""
            parts.append(f"\n# {zone.area}: cap {cap} mm.{note}")
            last = zone.area
        parts.append(
            f"""
[[zone]]
area = "{zone.area}"
side = "{side}"
depth_mm = {mm_number(zone.depths_um[session - 1])}
strokes = {zone.strokes:_}
rate_per_s = {zone.rate_per_s}
"""
        )
    return "".join(parts)


_EXAMPLE_EXPIRES = date(2035, 12, 31)


def examples() -> dict[str, str]:
    """Return the example files by name: the whole full-face course, and the first session of each other one."""
    files = {}
    for name, plan in PLANS.items():
        for session in range(1, plan.sessions + 1) if name == "full-face" else (1,):
            suffix = f"-session-{session}" if name == "full-face" else ""
            fittings = Fittings(f"demo-{name}", f"DEMO-{name}-{session}", "DEMO-LOT-1", _EXAMPLE_EXPIRES)
            files[f"{name}{suffix}.toml"] = render(plan, session, fittings)
    return files
