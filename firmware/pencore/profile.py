"""The profile as the pen takes it: binary form, its checks, its seal. Runs on pen and host.

Form (`decode`) and limits (`problems`) are apart: form says whether the bytes are a profile at all, limits whether this
pen may carry it out. The host shows every problem at once, the pen refuses with the first. Nothing is clamped.

Layout, little-endian: header of 196 bytes, 16 bytes a zone, SHA-256 of all before it, key id (u32), HMAC-SHA-256 of all
before it; key id and HMAC are zero when unsigned. Allocates one Profile with its zones (about 100 bytes each).
"""

import struct

from pencore import faults, limits
from pencore.compat import const
from pencore.digest import (
    DIGEST_SIZE,
    ZERO_DIGEST,
    equal,
    hmac_sha256,
    pack_text,
    sha256,
    text_problem,
    unpack_text,
)
from pencore.faults import Refusal
from pencore.units import DAY_S

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pencore.limits import Bounds

MAGIC = b"PPF1"
SCHEMA = const(1)
HEAD_PEN = const(0)
HEAD_ROLLER = const(1)
HEADS = ("pen", "roller")
"""Head names; the code is the index. Only `pen` is accepted so far."""

SERIAL_SIZE = const(16)
NAME_SIZE = const(40)
ID_SIZE = const(24)

_HEADER = const("<4sBBBB16sI32sI40s24sBBHHH24s24sHBBHHI")
_ZONE = const("<BBHIHHI")
HEADER_SIZE = const(196)
ZONE_SIZE = const(16)
TRAILER_SIZE = const(68)
SIZE_MIN = const(280)
SIZE_MAX = const(776)


class Zone:
    """One zone of a profile: `area`, `side` codes (see `limits`), `depth_um` 100..2,500, `strokes` 1..200,000,
    `rate_per_s` 1..200."""

    def __init__(self, area: int, side: int, depth_um: int, strokes: int, rate_per_s: int) -> None:
        self.area = area
        self.side = side
        self.depth_um = depth_um
        self.strokes = strokes
        self.rate_per_s = rate_per_s


class Profile:
    """A session profile, filled in for one pen and one session.

    `serial`, `session_id`, `ledger_head` (32 bytes) and `issued_at` (seconds since 1970, uint32) are what the host
    fills in at load; `expires_day` is in days since 1970; the rest are the words of the profile file. `digest` is the
    SHA-256 that names the profile in records (zero until encoded or decoded); `key_id` is 0 when unsigned.
    """

    def __init__(self) -> None:
        self.head = HEAD_PEN
        self.serial = ""
        self.session_id = 0
        self.ledger_head = ZERO_DIGEST
        self.issued_at = 0
        self.name = ""
        self.course_id = ""
        self.course_index = 1
        self.course_of = 1
        self.interval_days = 30
        self.max_step_um = 250
        self.cartridge_id = ""
        self.cartridge_lot = ""
        self.expires_day = 0
        self.needles = 1
        self.depth_um = 0
        self.strokes = 0
        self.zones: "list[Zone]" = []
        self.digest = ZERO_DIGEST
        self.key_id = 0

    def deepest_um(self) -> int:
        """Return the deepest zone depth in um."""
        return max(zone.depth_um for zone in self.zones)


def encode(profile: Profile, key_id: int = 0, key: bytes = b"") -> bytes:
    """Return `profile` in binary, signed with `key` when there is one, and set its `digest` and `key_id`.

    Raises Refusal PROFILE_TEXT for a text and PROFILE_ZONE_COUNT for a number of zones that has no binary form, and
    WIRE_BAD_PARAM for a number outside its field; limits are `problems`' matter.
    """
    texts = (
        ("serial", profile.serial, SERIAL_SIZE),
        ("name", profile.name, NAME_SIZE),
        ("course.id", profile.course_id, ID_SIZE),
        ("cartridge.id", profile.cartridge_id, ID_SIZE),
        ("cartridge.lot", profile.cartridge_lot, ID_SIZE),
    )
    for field, text, size in texts:
        if text_problem(text, size):
            raise Refusal(faults.PROFILE_TEXT, field, len(text), size)
    numbers = (
        ("head", profile.head, 0xFF),
        ("session_id", profile.session_id, 0xFFFFFFFF),
        ("issued_at", profile.issued_at, 0xFFFFFFFF),
        ("course.index", profile.course_index, 0xFF),
        ("course.of", profile.course_of, 0xFF),
        ("course.interval_days", profile.interval_days, 0xFFFF),
        ("course.max_step_mm", profile.max_step_um, 0xFFFF),
        ("cartridge.expires", profile.expires_day, 0xFFFF),
        ("cartridge.needles", profile.needles, 0xFF),
        ("limits.depth_mm", profile.depth_um, 0xFFFF),
        ("limits.strokes", profile.strokes, 0xFFFFFFFF),
    )
    for field, number, high in numbers:
        limits.check_range(faults.WIRE_BAD_PARAM, field, number, 0, high)
    limits.check_range(faults.PROFILE_ZONE_COUNT, "zone", len(profile.zones), 1, limits.ZONES_MAX)
    body = struct.pack(
        _HEADER,
        MAGIC,
        SCHEMA,
        profile.head,
        len(profile.zones),
        0,
        pack_text(profile.serial, SERIAL_SIZE),
        profile.session_id,
        profile.ledger_head,
        profile.issued_at,
        pack_text(profile.name, NAME_SIZE),
        pack_text(profile.course_id, ID_SIZE),
        profile.course_index,
        profile.course_of,
        profile.interval_days,
        profile.max_step_um,
        0,
        pack_text(profile.cartridge_id, ID_SIZE),
        pack_text(profile.cartridge_lot, ID_SIZE),
        profile.expires_day,
        profile.needles,
        0,
        profile.depth_um,
        0,
        profile.strokes,
    )
    for index, zone in enumerate(profile.zones):
        limits.check_range(faults.WIRE_BAD_PARAM, "zone.area", zone.area, 0, 0xFF, index)
        limits.check_range(faults.WIRE_BAD_PARAM, "zone.side", zone.side, 0, 0xFF, index)
        limits.check_range(faults.WIRE_BAD_PARAM, "zone.depth_mm", zone.depth_um, 0, 0xFFFF, index)
        limits.check_range(faults.WIRE_BAD_PARAM, "zone.strokes", zone.strokes, 0, 0xFFFFFFFF, index)
        limits.check_range(faults.WIRE_BAD_PARAM, "zone.rate_per_s", zone.rate_per_s, 0, 0xFFFF, index)
        body += struct.pack(_ZONE, zone.area, zone.side, zone.depth_um, zone.strokes, zone.rate_per_s, 0, 0)
    profile.digest = sha256(body)
    profile.key_id = key_id
    signed = body + profile.digest + struct.pack("<I", key_id)
    return signed + (hmac_sha256(key, signed) if key_id else ZERO_DIGEST)


def decode(data: bytes) -> Profile:
    """Return the Profile in `data`, checked for form alone.

    Raises Refusal PROFILE_SIZE, _MAGIC, _SCHEMA, _DIGEST, _ZONE_COUNT, _RESERVED, _TEXT: every byte is either meaning
    or must be zero, so that no two byte strings are the same profile.
    """
    size = len(data)
    limits.check_range(faults.PROFILE_SIZE, "size", size, SIZE_MIN, SIZE_MAX)
    if data[:4] != MAGIC:
        raise Refusal(faults.PROFILE_MAGIC, "magic")
    if data[4] != SCHEMA:
        raise Refusal(faults.PROFILE_SCHEMA, "schema", data[4], SCHEMA)
    count = data[6]
    limits.check_range(faults.PROFILE_ZONE_COUNT, "zone", count, 1, limits.ZONES_MAX)
    body_size = HEADER_SIZE + count * ZONE_SIZE
    if size != body_size + TRAILER_SIZE:
        raise Refusal(faults.PROFILE_SIZE, "size", size, body_size + TRAILER_SIZE)
    digest = sha256(data[:body_size])
    if data[body_size : body_size + DIGEST_SIZE] != digest:
        raise Refusal(faults.PROFILE_DIGEST, "sha256")
    head = struct.unpack(_HEADER, data[:HEADER_SIZE])
    profile = Profile()
    profile.head = head[2]
    profile.session_id = head[6]
    profile.ledger_head = head[7]
    profile.issued_at = head[8]
    profile.course_index, profile.course_of, profile.interval_days, profile.max_step_um = head[11:15]
    profile.expires_day = head[18]
    profile.needles = head[19]
    profile.depth_um = head[21]
    profile.strokes = head[23]
    if head[4] or head[15] or head[20] or head[22]:
        raise Refusal(faults.PROFILE_RESERVED, "header")
    profile.serial = unpack_text(head[5])
    profile.name = unpack_text(head[9])
    profile.course_id = unpack_text(head[10])
    profile.cartridge_id = unpack_text(head[16])
    profile.cartridge_lot = unpack_text(head[17])
    texts = (
        ("serial", profile.serial),
        ("name", profile.name),
        ("course.id", profile.course_id),
        ("cartridge.id", profile.cartridge_id),
        ("cartridge.lot", profile.cartridge_lot),
    )
    for field, text in texts:
        if not text:
            raise Refusal(faults.PROFILE_TEXT, field)
    for index in range(count):
        start = HEADER_SIZE + index * ZONE_SIZE
        area, side, depth_um, strokes, rate, spare, spare_2 = struct.unpack(_ZONE, data[start : start + ZONE_SIZE])
        if spare or spare_2:
            raise Refusal(faults.PROFILE_RESERVED, "zone", None, None, index)
        profile.zones.append(Zone(area, side, depth_um, strokes, rate))
    profile.digest = digest
    profile.key_id = struct.unpack("<I", data[body_size + DIGEST_SIZE : body_size + DIGEST_SIZE + 4])[0]
    if profile.key_id == 0 and data[size - DIGEST_SIZE :] != ZERO_DIGEST:
        raise Refusal(faults.PROFILE_RESERVED, "hmac")
    return profile


def check_signature(data: bytes, key_id: int, key: bytes) -> None:
    """Refuse `data` (a decoded profile's bytes) unless it is signed as this pen demands.

    A pen with a clinic key (`key_id` != 0) takes nothing unsigned (SIGNATURE_MISSING), of another key (KEY_UNKNOWN) or
    wrongly signed (SIGNATURE_WRONG); a pen without one takes nothing that claims a signature it can't check.
    """
    split = len(data) - DIGEST_SIZE
    given = struct.unpack("<I", data[split - 4 : split])[0]
    if given != key_id:
        raise Refusal(faults.KEY_UNKNOWN if given else faults.SIGNATURE_MISSING, "key_id")
    if key_id and not equal(hmac_sha256(key, data[:split]), data[split:]):
        raise Refusal(faults.SIGNATURE_WRONG, "hmac")


def problems(profile: Profile, bounds: "Bounds") -> "Iterator[Refusal]":
    """Yield a Refusal for every value of `profile` that a pen with `bounds` would not carry out, widest limit first."""
    if profile.head != bounds.head:
        yield Refusal(faults.PROFILE_HEAD, "head", profile.head, bounds.head)
    yield from _course_problems(profile, bounds)
    yield from _cartridge_problems(profile)
    for code, high in (
        (faults.DEPTH_ABOVE_CEILING, bounds.ceiling_um),
        (faults.DEPTH_ABOVE_CALIBRATION, bounds.calibration_um),
    ):
        if profile.depth_um > high:
            yield Refusal(code, "limits.depth_mm", profile.depth_um, high)
            break
    if profile.depth_um < limits.DEPTH_MIN_UM:
        yield Refusal(faults.DEPTH_TOO_SMALL, "limits.depth_mm", profile.depth_um, limits.DEPTH_MIN_UM)
    if profile.strokes < limits.STROKES_MIN:
        yield Refusal(faults.STROKES_TOO_FEW, "limits.strokes", profile.strokes, limits.STROKES_MIN)
    elif profile.strokes > limits.SESSION_STROKES_MAX:
        yield Refusal(faults.STROKES_ABOVE_MAX, "limits.strokes", profile.strokes, limits.SESSION_STROKES_MAX)
    elif profile.strokes > bounds.cartridge_strokes:
        yield Refusal(faults.STROKES_ABOVE_CARTRIDGE, "limits.strokes", profile.strokes, bounds.cartridge_strokes)
    yield from _zone_problems(profile, bounds)


def _course_problems(profile: Profile, bounds: "Bounds") -> "Iterator[Refusal]":
    if not 1 <= profile.course_of <= limits.COURSE_SESSIONS_MAX:
        bound = 1 if profile.course_of < 1 else limits.COURSE_SESSIONS_MAX
        yield Refusal(faults.COURSE_OF, "course.of", profile.course_of, bound)
    if not 1 <= profile.course_index <= profile.course_of:
        bound = 1 if profile.course_index < 1 else profile.course_of
        yield Refusal(faults.COURSE_INDEX, "course.index", profile.course_index, bound)
    if not bounds.interval_days <= profile.interval_days <= limits.INTERVAL_MAX_DAYS:
        bound = bounds.interval_days if profile.interval_days < bounds.interval_days else limits.INTERVAL_MAX_DAYS
        yield Refusal(faults.COURSE_INTERVAL, "course.interval_days", profile.interval_days, bound)
    if not 0 <= profile.max_step_um <= limits.COURSE_STEP_MAX_UM:
        bound = 0 if profile.max_step_um < 0 else limits.COURSE_STEP_MAX_UM
        yield Refusal(faults.COURSE_STEP, "course.max_step_mm", profile.max_step_um, bound)


def _cartridge_problems(profile: Profile) -> "Iterator[Refusal]":
    if not 1 <= profile.needles <= limits.NEEDLES_MAX:
        bound = 1 if profile.needles < 1 else limits.NEEDLES_MAX
        yield Refusal(faults.CARTRIDGE_NEEDLES, "cartridge.needles", profile.needles, bound)
    today = profile.issued_at // DAY_S
    if profile.expires_day < today:
        yield Refusal(faults.CARTRIDGE_EXPIRED, "cartridge.expires", profile.expires_day, today)


def _zone_problems(profile: Profile, bounds: "Bounds") -> "Iterator[Refusal]":
    count = len(profile.zones)
    if not 1 <= count <= limits.ZONES_MAX:
        yield Refusal(faults.PROFILE_ZONE_COUNT, "zone", count, 1 if count < 1 else limits.ZONES_MAX)
    total = 0
    for index, zone in enumerate(profile.zones):
        total += zone.strokes
        if not 0 <= zone.area < len(limits.AREAS):
            yield Refusal(faults.PROFILE_ZONE_AREA, "zone.area", zone.area, len(limits.AREAS) - 1, index)
            continue
        if not 0 <= zone.side < len(limits.SIDES):
            yield Refusal(faults.PROFILE_ZONE_SIDE, "zone.side", zone.side, len(limits.SIDES) - 1, index)
        for before in range(index):
            other = profile.zones[before]
            if other.area == zone.area and other.side == zone.side:
                yield Refusal(faults.PROFILE_ZONE_TWICE, "zone", index, before, index)
                break
        yield from _zone_limit_problems(profile, bounds, index, zone)
    if total > profile.strokes:
        yield Refusal(faults.STROKES_ABOVE_SESSION, "zone.strokes", total, profile.strokes)


def _zone_limit_problems(profile: Profile, bounds: "Bounds", index: int, zone: Zone) -> "Iterator[Refusal]":
    depth_um = zone.depth_um
    ladder = (
        (faults.DEPTH_ABOVE_CEILING, bounds.ceiling_um),
        (faults.DEPTH_ABOVE_CALIBRATION, bounds.calibration_um),
        (faults.DEPTH_ABOVE_ZONE_CAP, bounds.zone_cap_um(zone.area)),
        (faults.DEPTH_ABOVE_SESSION, profile.depth_um),
    )
    within = True
    for code, high in ladder:
        if depth_um > high:
            yield Refusal(code, "zone.depth_mm", depth_um, high, index)
            within = False
            break
    if depth_um < limits.DEPTH_MIN_UM:
        yield Refusal(faults.DEPTH_TOO_SMALL, "zone.depth_mm", depth_um, limits.DEPTH_MIN_UM, index)
        within = False
    if zone.strokes < limits.STROKES_MIN:
        yield Refusal(faults.STROKES_TOO_FEW, "zone.strokes", zone.strokes, limits.STROKES_MIN, index)
    elif zone.strokes > limits.SESSION_STROKES_MAX:
        yield Refusal(faults.STROKES_ABOVE_MAX, "zone.strokes", zone.strokes, limits.SESSION_STROKES_MAX, index)
    if zone.rate_per_s < limits.RATE_MIN_PER_S:
        yield Refusal(faults.RATE_TOO_LOW, "zone.rate_per_s", zone.rate_per_s, limits.RATE_MIN_PER_S, index)
    elif within:
        highest = limits.max_rate(depth_um, bounds.geometry)
        if zone.rate_per_s > highest:
            yield Refusal(faults.RATE_TOO_HIGH, "zone.rate_per_s", zone.rate_per_s, highest, index)
