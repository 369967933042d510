"""Profiles as the tests of safety load them: small ones, filled in for a pen from what its hello says."""

from collections.abc import Mapping, Sequence
from typing import Any

from pencore import limits, profile
from pencore.limits import Bounds
from pencore.profile import Profile, Zone
from pencore.provision import Provision
from pencore.units import Geometry

NOW = 1_800_000_000
"""When the first session of a test is issued: January 2027, in seconds since 1970."""
MONTH_S = 31 * 86_400
NONE, LEFT, RIGHT = range(3)
FOREHEAD, GLABELLA, PERIORBITAL, NOSE, CHEEK, UPPER_LIP, CHIN_JAW, NECK, SCALP = range(9)

ZoneSpec = tuple[int, int, int, int, int]
"""Area, side, depth in um, strokes, rate per s."""

TWO_ZONES: tuple[ZoneSpec, ...] = ((PERIORBITAL, LEFT, 200, 60, 30), (CHEEK, RIGHT, 400, 45, 30))
"""A short session of two depths; one block of 50 is less than the first zone and more than the second."""


def make(greeting: Mapping[str, Any], zones: Sequence[ZoneSpec] = TWO_ZONES, **fields: Any) -> Profile:
    """Return a profile for the pen that said `greeting`, with limits that are just met; `fields` change what they name.

    Course, cartridge and issue time follow from the session id, so that one session can come after the other.
    """
    made = Profile()
    number = greeting["session_id"]
    made.serial = greeting["serial"] or "SIM-0001"
    made.session_id = number
    made.ledger_head = bytes.fromhex(greeting["ledger_head"])
    made.issued_at = NOW + (number - 1) * MONTH_S
    made.name = "Session"
    made.course_id = f"K-{(number - 1) // limits.COURSE_SESSIONS_MAX}"
    made.course_index = (number - 1) % limits.COURSE_SESSIONS_MAX + 1
    made.course_of = limits.COURSE_SESSIONS_MAX
    made.interval_days = 30
    made.cartridge_id = f"C-{number}"
    made.cartridge_lot = "LOT-17"
    made.expires_day = 30_000
    made.needles = 14
    made.zones = [Zone(*zone) for zone in zones]
    made.depth_um = made.deepest_um()
    made.strokes = sum(zone.strokes for zone in made.zones)
    for name, value in fields.items():
        if not hasattr(made, name):
            raise AttributeError(name)
        setattr(made, name, value)
    return made


def data(greeting: Mapping[str, Any], zones: Sequence[ZoneSpec] = TWO_ZONES, **fields: Any) -> bytes:
    """Return the bytes of `make`, unsigned."""
    return profile.encode(make(greeting, zones, **fields))


def limit_um(setup: Provision, loaded: Profile, zone: int) -> int:
    """Return the depth that the needle may never pass in `zone`: the least of ceiling, calibration, cap, session, zone.

    Written out here, so that the tests' limit isn't the pen's own idea of it.
    """
    chosen = loaded.zones[zone]
    caps = [limits.AREAS[chosen.area][2]]
    caps += setup.bounds.caps_um[chosen.area : chosen.area + 1]
    return min(2500, setup.bounds.ceiling_um, setup.bounds.calibration_um, *caps, loaded.depth_um, chosen.depth_um)


def pen(geometry: Geometry | None = None, **bounds: Any) -> Provision:
    """Return a provisioning of the reference pen, or of another one."""
    setup = Provision("SIM-0001", Bounds(Geometry() if geometry is None else geometry, **bounds))
    setup.calibrated_at = 1_750_000_000
    return setup
