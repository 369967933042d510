"""A provision and a profile that are accepted, to be changed one value at a time. Both Pythons."""

from pencore import profile, provision
from pencore.digest import ZERO_DIGEST
from pencore.limits import Bounds
from pencore.units import Geometry
from tests.portable.expect import equal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DAY_S = 86_400
CALIBRATED_S = 20_000 * DAY_S
TODAY_S = CALIBRATED_S + 10 * DAY_S
SERIAL = "PEN-0007"
KEY_ID = 7
KEY = bytes(range(32))

FOREHEAD, GLABELLA, PERIORBITAL, NOSE, CHEEK = 0, 1, 2, 3, 4
NONE, LEFT, RIGHT = 0, 1, 2

ZONES = ((CHEEK, LEFT, 1500, 60, 20), (CHEEK, RIGHT, 1200, 60, 15), (FOREHEAD, NONE, 500, 30, 30))
"""(area, side, depth um, strokes, rate per s) of the sample's zones."""


def coarse() -> Geometry:
    """Return a geometry of 100 steps a millimetre: short tables."""
    return Geometry(microsteps=2, home_margin_steps=4)


def bounds(geometry: "Geometry | None" = None, **changes: "Any") -> Bounds:
    """Return the bounds of the sample pen: everything that the absolute limits allow, but for `changes`."""
    made = Bounds(coarse() if geometry is None else geometry)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def provisioned(key_id: int = 0, key: bytes = bytes(32), **changes: "Any") -> provision.Provision:
    """Return the sample pen's provision; `changes` are of its bounds."""
    made = provision.Provision(SERIAL, bounds(**changes))
    made.calibrated_at = CALIBRATED_S
    made.key_id = key_id
    made.key = key
    return made


def filled(zones: "Any" = ZONES, **changes: "Any") -> profile.Profile:
    """Return a profile for session 1 of the sample pen, `changes` being attributes of Profile."""
    made = profile.Profile()
    made.serial = SERIAL
    made.session_id = 1
    made.ledger_head = ZERO_DIGEST
    made.issued_at = TODAY_S
    made.name = "full face"
    made.course_id = "course-1"
    made.course_index = 1
    made.course_of = 6
    made.cartridge_id = "cartridge-1"
    made.cartridge_lot = "lot-1"
    made.expires_day = TODAY_S // DAY_S + 100
    made.needles = 12
    made.depth_um = 1500
    made.strokes = sum(zone[3] for zone in zones)
    made.zones = [profile.Zone(*zone) for zone in zones]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def check_the_samples_are_accepted() -> None:
    """What the other tests change one value of is good before the change, signed and unsigned."""
    for key_id, key in ((0, b""), (KEY_ID, KEY)):
        data = profile.encode(filled(), key_id, key)
        equal(list(profile.problems(profile.decode(data), bounds())), [])
        profile.check_signature(data, key_id, key)
    provision.check(provisioned(KEY_ID, KEY))
