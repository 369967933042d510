"""`pencore.profile`: every integer around each bound, every bit of the form, every way to sign wrongly."""

import struct
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import pytest

from pencore import faults, limits, profile
from pencore.faults import Refusal
from pencore.limits import Bounds
from pencore.profile import HEADER_SIZE, TRAILER_SIZE, ZONE_SIZE, Profile
from tests.portable import samples
from tests.portable.samples import KEY, KEY_ID

U8, U16, U32 = 0xFF, 0xFFFF, 0xFFFFFFFF
TODAY = samples.TODAY_S // samples.DAY_S

Set = Callable[[Profile, int], None]


def found(made: Profile, bounds: Bounds | None = None) -> list[Refusal]:
    """Return the problems of `made` after a way through the binary form: what the pen would say of it."""
    decoded = profile.decode(profile.encode(made))
    return list(profile.problems(decoded, samples.bounds() if bounds is None else bounds))


def taken(data: bytes, key_id: int = 0, key: bytes = bytes(32)) -> Profile:
    """Return what a pen with this key takes `data` for; Refusal when it doesn't."""
    decoded = profile.decode(data)
    profile.check_signature(data, key_id, key)
    return decoded


# --- every integer around each bound ----------------------------------------------------------------------------------
def attribute(name: str) -> Set:
    return lambda made, value: setattr(made, name, value)


def of_zone(index: int, name: str) -> Set:
    return lambda made, value: setattr(made.zones[index], name, value)


def zone_depth(made: Profile, value: int) -> None:
    """Zone 0 alone decides; the session's limit is out of its way."""
    made.zones[0].depth_um = value
    made.zones[0].rate_per_s = 1
    made.depth_um = 2500


def zone_strokes(made: Profile, value: int) -> None:
    made.zones = made.zones[:1]
    made.zones[0].strokes = value
    made.strokes = max(1, min(value, limits.SESSION_STROKES_MAX))


CHEEK_RATE = limits.max_rate(1500, samples.coarse())

# what is set, values accepted, and values refused with (code, field, limit, zone)
BOUNDS_OF: dict[str, tuple[Set, list[int], Sequence[tuple[int, int, str, int, int | None]]]] = {
    "head": (
        attribute("head"),
        [0],
        [(value, faults.PROFILE_HEAD, "head", 0, None) for value in (1, 2, U8)],
    ),
    "course.of": (
        attribute("course_of"),
        [1, 2, 12],
        [(0, faults.COURSE_OF, "course.of", 1, None)]
        + [(value, faults.COURSE_OF, "course.of", 12, None) for value in (13, U8)],
    ),
    "course.index": (
        attribute("course_index"),
        [1, 5, 6],
        [(0, faults.COURSE_INDEX, "course.index", 1, None)]
        + [(value, faults.COURSE_INDEX, "course.index", 6, None) for value in (7, U8)],
    ),
    "course.interval_days": (
        attribute("interval_days"),
        [4, 5, 364, 365],
        [(value, faults.COURSE_INTERVAL, "course.interval_days", 4, None) for value in (0, 3)]
        + [(value, faults.COURSE_INTERVAL, "course.interval_days", 365, None) for value in (366, U16)],
    ),
    "course.max_step_mm": (
        attribute("max_step_um"),
        [0, 499, 500],
        [(value, faults.COURSE_STEP, "course.max_step_mm", 500, None) for value in (501, U16)],
    ),
    "cartridge.needles": (
        attribute("needles"),
        [1, 2, 63, 64],
        [(0, faults.CARTRIDGE_NEEDLES, "cartridge.needles", 1, None)]
        + [(value, faults.CARTRIDGE_NEEDLES, "cartridge.needles", 64, None) for value in (65, U8)],
    ),
    "cartridge.expires": (
        attribute("expires_day"),
        [TODAY, TODAY + 1, U16],
        [(value, faults.CARTRIDGE_EXPIRED, "cartridge.expires", TODAY, None) for value in (0, TODAY - 1)],
    ),
    "limits.depth_mm": (
        attribute("depth_um"),
        [1500, 1501, 2499, 2500],
        [(value, faults.DEPTH_TOO_SMALL, "limits.depth_mm", 100, None) for value in (0, 99)]
        + [(value, faults.DEPTH_ABOVE_CEILING, "limits.depth_mm", 2500, None) for value in (2501, U16)],
    ),
    "limits.strokes": (
        attribute("strokes"),
        [150, 151, 199_999, 200_000],
        [(0, faults.STROKES_TOO_FEW, "limits.strokes", 1, None)]
        + [(value, faults.STROKES_ABOVE_MAX, "limits.strokes", 200_000, None) for value in (200_001, U16 * 4, U32)],
    ),
    "zone.area": (
        of_zone(1, "area"),
        [4, 6, 8],
        [(value, faults.PROFILE_ZONE_AREA, "zone.area", 11, 1) for value in (12, U8)],
    ),
    "zone.side": (
        of_zone(0, "side"),
        [0, 1],
        [(value, faults.PROFILE_ZONE_SIDE, "zone.side", 2, 0) for value in (3, U8)],
    ),
    "zone.depth_mm": (
        zone_depth,
        [100, 101, 1499, 1500],
        [(value, faults.DEPTH_TOO_SMALL, "zone.depth_mm", 100, 0) for value in (0, 99)]
        + [(value, faults.DEPTH_ABOVE_ZONE_CAP, "zone.depth_mm", 1500, 0) for value in (1501, 2499, 2500)]
        + [(value, faults.DEPTH_ABOVE_CEILING, "zone.depth_mm", 2500, 0) for value in (2501, U16)],
    ),
    "zone.strokes": (
        zone_strokes,
        [1, 2, 199_999, 200_000],
        [(0, faults.STROKES_TOO_FEW, "zone.strokes", 1, 0)]
        + [(value, faults.STROKES_ABOVE_MAX, "zone.strokes", 200_000, 0) for value in (200_001, U32)],
    ),
    "zone.rate_per_s": (
        of_zone(0, "rate_per_s"),
        [1, 2, CHEEK_RATE - 1, CHEEK_RATE],
        [(0, faults.RATE_TOO_LOW, "zone.rate_per_s", 1, 0)]
        + [(rate, faults.RATE_TOO_HIGH, "zone.rate_per_s", CHEEK_RATE, 0) for rate in (CHEEK_RATE + 1, 200, 201, U16)],
    ),
}


@pytest.mark.parametrize("name", BOUNDS_OF)
def test_a_value_within_its_bounds_is_accepted(name: str) -> None:
    change, accepted, _ = BOUNDS_OF[name]
    for value in accepted:
        made = samples.filled()
        change(made, value)
        assert found(made) == [], value


@pytest.mark.parametrize("name", BOUNDS_OF)
def test_a_value_out_of_its_bounds_refuses_the_profile_and_names_field_and_bound(name: str) -> None:
    change, _, refused = BOUNDS_OF[name]
    for value, code, field, limit, zone in refused:
        made = samples.filled()
        change(made, value)
        problems = found(made)
        told = [(problem.code, problem.field, problem.given, problem.limit, problem.zone) for problem in problems]
        assert (code, field, value, limit, zone) in told, told


def test_negative_numbers_and_overflows_are_refused_as_well() -> None:
    """The binary form has no room for them; the host asks the same function before it encodes."""
    for name, (change, _, _) in BOUNDS_OF.items():
        for value in (-1, -(2**31)):
            made = samples.filled()
            change(made, value)
            assert any(problem.field == name for problem in profile.problems(made, samples.bounds())), (name, value)
            with pytest.raises(Refusal) as refused:
                profile.encode(made)
            assert (refused.value.code, refused.value.field) == (faults.WIRE_BAD_PARAM, name)
        made = samples.filled()
        change(made, U32 + 1)
        with pytest.raises(Refusal) as refused:
            profile.encode(made)
        assert (refused.value.code, refused.value.field, refused.value.given) == (faults.WIRE_BAD_PARAM, name, U32 + 1)


@pytest.mark.parametrize(
    ("tighter", "code"),
    [
        ({"ceiling_um": 1499}, faults.DEPTH_ABOVE_CEILING),
        ({"calibration_um": 1499}, faults.DEPTH_ABOVE_CALIBRATION),
        ({"caps_um": [750, 1000, 500, 750, 1499]}, faults.DEPTH_ABOVE_ZONE_CAP),
        ({"ceiling_um": 1499, "calibration_um": 1400}, faults.DEPTH_ABOVE_CEILING),
    ],
)
def test_a_pen_may_be_tighter_than_the_absolute_bounds(tighter: dict[str, Any], code: int) -> None:
    """One micrometre is enough, and the widest limit that is broken is the one that is named."""
    problems = found(samples.filled(), samples.bounds(**tighter))
    assert [(problem.code, problem.given) for problem in problems if problem.zone == 0] == [(code, 1500)]
    looser: dict[str, Any] = {name: [2000] * 5 if name == "caps_um" else 1500 for name in tighter}
    assert found(samples.filled(), samples.bounds(**looser)) == []


def test_the_session_s_own_depth_limits_its_zones() -> None:
    assert [(p.code, p.given, p.limit, p.zone) for p in found(samples.filled(depth_um=1499))] == [
        (faults.DEPTH_ABOVE_SESSION, 1500, 1499, 0)
    ]


def test_a_cartridge_bounds_a_session() -> None:
    assert found(samples.filled(), samples.bounds(cartridge_strokes=150)) == []
    told = found(samples.filled(), samples.bounds(cartridge_strokes=149))
    assert [(p.code, p.field, p.given, p.limit) for p in told] == [
        (faults.STROKES_ABOVE_CARTRIDGE, "limits.strokes", 150, 149)
    ]


def test_a_clinic_may_ask_for_longer_intervals() -> None:
    assert found(samples.filled(), samples.bounds(interval_days=30)) == []
    told = found(samples.filled(), samples.bounds(interval_days=31))
    assert [(p.code, p.given, p.limit) for p in told] == [(faults.COURSE_INTERVAL, 30, 31)]


def test_zone_budgets_stay_within_the_session_s() -> None:
    told = found(samples.filled(strokes=149))
    assert [(p.code, p.field, p.given, p.limit) for p in told] == [
        (faults.STROKES_ABOVE_SESSION, "zone.strokes", 150, 149)
    ]


def test_a_zone_is_there_once() -> None:
    told = found(samples.filled([*samples.ZONES, samples.ZONES[1]]))
    assert [(p.code, p.field, p.limit, p.zone) for p in told] == [(faults.PROFILE_ZONE_TWICE, "zone", 1, 3)]


def test_an_expired_cartridge_may_be_used_until_its_day_is_over() -> None:
    last_second = (TODAY + 1) * samples.DAY_S - 1
    assert found(samples.filled(expires_day=TODAY, issued_at=last_second)) == []
    told = found(samples.filled(expires_day=TODAY, issued_at=last_second + 1))
    assert [p.code for p in told] == [faults.CARTRIDGE_EXPIRED]


def test_every_problem_is_told() -> None:
    made = samples.filled(course_index=9, needles=0, depth_um=3000)
    made.zones[2].rate_per_s = 0
    assert [problem.code for problem in found(made)] == [
        faults.COURSE_INDEX,
        faults.CARTRIDGE_NEEDLES,
        faults.DEPTH_ABOVE_CEILING,
        faults.RATE_TOO_LOW,
    ]


# --- form -------------------------------------------------------------------------------------------------------------
def many_zones(count: int) -> list[tuple[int, int, int, int, int]]:
    pairs = [(area, side) for side in range(3) for area in range(12)]
    return [(area, side, 500, 1, 1) for area, side in pairs[:count]]


@pytest.mark.parametrize("count", [1, 2, 31, 32])
def test_what_is_encoded_is_decoded(count: int) -> None:
    made = samples.filled(many_zones(count), issued_at=U32, interval_days=365, expires_day=U16)
    data = profile.encode(made, KEY_ID, KEY)
    assert len(data) == HEADER_SIZE + count * ZONE_SIZE + TRAILER_SIZE
    decoded = taken(data, KEY_ID, KEY)
    one, other = vars(made), vars(decoded)
    zones = one.pop("zones"), other.pop("zones")
    assert one == other
    assert [vars(zone) for zone in zones[0]] == [vars(zone) for zone in zones[1]]
    assert decoded.digest == sha256(data[:-TRAILER_SIZE]).digest()


@pytest.mark.parametrize("count", [0, 33])
def test_too_few_and_too_many_zones_have_no_form(count: int) -> None:
    made = samples.filled(many_zones(count))
    bound = 32 if count else 1
    with pytest.raises(Refusal) as refused:
        profile.encode(made)
    assert (refused.value.code, refused.value.given, refused.value.limit) == (faults.PROFILE_ZONE_COUNT, count, bound)
    assert faults.PROFILE_ZONE_COUNT in [problem.code for problem in profile.problems(made, samples.bounds())]


def test_the_layout_does_not_change() -> None:
    """Records name profiles by this digest for ever."""
    made = samples.filled()
    profile.encode(made)
    assert made.digest.hex() == "72f6fc6e51eb2dc8f26ab393d91972135b1cd36d2f33746cd9d0ddbd8541fe16"


@pytest.mark.parametrize("text", ["", "x" * 41, 'a"b', "a\\b", "a\tb", "caf\u00e9", "\u20ac"])
@pytest.mark.parametrize("name", ["serial", "name", "course_id", "cartridge_id", "cartridge_lot"])
def test_a_text_without_a_form_is_refused(name: str, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        profile.encode(samples.filled(**{name: text}))
    assert (refused.value.code, refused.value.field) == (faults.PROFILE_TEXT, name.replace("_", "."))


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (byte, data with one bit of it flipped) for every bit."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit // 8, bytes(changed)


@pytest.mark.parametrize(("key_id", "key"), [(0, bytes(32)), (KEY_ID, KEY)])
def test_every_single_bit_flip_is_refused(key_id: int, key: bytes) -> None:
    data = profile.encode(samples.filled(), key_id, key)
    taken(data, key_id, key)
    body = len(data) - TRAILER_SIZE
    for at, changed in flips(data):
        with pytest.raises(Refusal) as refused:
            taken(changed, key_id, key)
        if at >= body + 36:
            assert refused.value.code == (faults.SIGNATURE_WRONG if key_id else faults.PROFILE_RESERVED)
        elif at >= body + 32:
            wanted = {faults.KEY_UNKNOWN, faults.PROFILE_RESERVED}
            assert refused.value.code in wanted
        elif at > 6:
            assert refused.value.code == faults.PROFILE_DIGEST


def test_every_other_length_is_refused() -> None:
    data = profile.encode(samples.filled())
    for size in range(len(data)):
        with pytest.raises(Refusal) as refused:
            profile.decode(data[:size])
        assert refused.value.code in (faults.PROFILE_SIZE, faults.PROFILE_MAGIC)
    for more in (b"\x00", bytes(16), data):
        with pytest.raises(Refusal) as refused:
            profile.decode(data + more)
        assert refused.value.code == faults.PROFILE_SIZE


def resealed(data: bytes, at: int, value: bytes) -> bytes:
    """Return unsigned `data` with bytes changed and the digest made anew, as a broken host would send it."""
    body = bytearray(data[:-TRAILER_SIZE])
    body[at : at + len(value)] = value
    return bytes(body) + sha256(body).digest() + bytes(36)


@pytest.mark.parametrize(
    ("at", "value", "code", "field"),
    [
        (0, b"PPF2", faults.PROFILE_MAGIC, "magic"),
        (4, b"\x02", faults.PROFILE_SCHEMA, "schema"),
        (6, b"\x00", faults.PROFILE_ZONE_COUNT, "zone"),
        (6, b"\x21", faults.PROFILE_ZONE_COUNT, "zone"),
        (6, b"\x02", faults.PROFILE_SIZE, "size"),
        (7, b"\x01", faults.PROFILE_RESERVED, "header"),
        (134, b"\x00\x01", faults.PROFILE_RESERVED, "header"),
        (187, b"\x01", faults.PROFILE_RESERVED, "header"),
        (190, b"\x01", faults.PROFILE_RESERVED, "header"),
        (8, b"\x00", faults.PROFILE_TEXT, "serial"),
        (20, b"x", faults.PROFILE_TEXT, "serial"),
        (64, b"\n", faults.PROFILE_TEXT, "name"),
        (104, b'"', faults.PROFILE_TEXT, "course.id"),
        (136, b"\x00", faults.PROFILE_TEXT, "cartridge.id"),
        (160, b"\xc3\xa9", faults.PROFILE_TEXT, "cartridge.lot"),
        (HEADER_SIZE + 10, b"\x01", faults.PROFILE_RESERVED, "zone"),
        (HEADER_SIZE + ZONE_SIZE + 15, b"\x80", faults.PROFILE_RESERVED, "zone"),
    ],
)
def test_a_form_that_only_its_digest_approves_is_refused(at: int, value: bytes, code: int, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        profile.decode(resealed(profile.encode(samples.filled()), at, value))
    assert (refused.value.code, refused.value.field) == (code, field)


def test_every_byte_of_the_body_is_meaning_or_must_be_zero() -> None:
    """Changed and sealed anew, each is refused or reads as something else: no two byte strings are one profile."""
    data = profile.encode(samples.filled())
    for at in range(len(data) - TRAILER_SIZE):
        changed = resealed(data, at, bytes([data[at] ^ 0x01]))
        try:
            decoded = profile.decode(changed)
        except Refusal:
            continue
        assert profile.encode(decoded) == changed


# --- signature --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("signed_by", "pen_key_id", "pen_key", "code"),
    [
        ((0, b""), KEY_ID, KEY, faults.SIGNATURE_MISSING),
        ((KEY_ID, KEY), 0, bytes(32), faults.KEY_UNKNOWN),
        ((KEY_ID + 1, KEY), KEY_ID, KEY, faults.KEY_UNKNOWN),
        ((KEY_ID, bytes(32)), KEY_ID, KEY, faults.SIGNATURE_WRONG),
        ((KEY_ID, KEY[:-1] + b"\x00"), KEY_ID, KEY, faults.SIGNATURE_WRONG),
        ((1, bytes(32)), 0, bytes(32), faults.KEY_UNKNOWN),
    ],
)
def test_a_wrong_signature_is_refused(signed_by: tuple[int, bytes], pen_key_id: int, pen_key: bytes, code: int) -> None:
    data = profile.encode(samples.filled(), *signed_by)
    with pytest.raises(Refusal) as refused:
        taken(data, pen_key_id, pen_key)
    assert refused.value.code == code


def test_a_signature_covers_the_whole_profile() -> None:
    """A body taken from one signed profile and a trailer from another are not a signed profile."""
    one = profile.encode(samples.filled(), KEY_ID, KEY)
    other = profile.encode(samples.filled(needles=13), KEY_ID, KEY)
    digest_of_one = sha256(one[:-TRAILER_SIZE]).digest()
    with pytest.raises(Refusal) as refused:
        taken(one[:-TRAILER_SIZE] + digest_of_one + other[-36:], KEY_ID, KEY)
    assert refused.value.code == faults.SIGNATURE_WRONG
    assert struct.unpack("<I", one[-36:-32])[0] == KEY_ID
