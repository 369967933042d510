"""A profile with one value out of range, or one bit flipped, is refused, and the pen is as if it had never come.

The bytes are put together here, at offsets written down here: what is tested is the pen, not the encoder.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore import faults, limits, profile
from pencore.digest import hmac_sha256
from pencore.faults import Refusal
from pencore.units import Geometry
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 400, 60, 25),
    (profiles.CHEEK, 0, 1200, 40, 20),
)
KEY = bytes(range(32))
KEY_ID = 7
TRAILER = 68
DAY_S = 86_400

U8, U16, U32 = 0xFF, 0xFFFF, 0xFFFFFFFF
RATE_MAX = {400: limits.max_rate(400, Geometry()), 1200: limits.max_rate(1200, Geometry())}

Patch = tuple[int, bytes]

# --- numbers: name -> (offset, format, first value too low or None, first too high, largest there is room for) -------
NUMBERS: dict[str, tuple[int, str, int | None, int, int]] = {
    "schema": (4, "<B", 0, 2, U8),
    "head": (5, "<B", None, 1, U8),
    "zones": (6, "<B", 1, 3, U8),
    "spare header byte": (7, "<B", None, 1, U8),
    "session id": (24, "<I", 0, 2, U32),
    "issued at": (60, "<I", 1_750_000_000 - 1, 30_001 * DAY_S, U32),
    "course index": (128, "<B", 0, 13, U8),
    "course of": (129, "<B", 0, 13, U8),
    "interval": (130, "<H", 3, 366, U16),
    "depth step": (132, "<H", None, 501, U16),
    "spare course number": (134, "<H", None, 1, U16),
    "expires": (184, "<H", profiles.NOW // DAY_S - 1, U16 + 1, U16),
    "needles": (186, "<B", 0, 65, U8),
    "spare cartridge byte": (187, "<B", None, 1, U8),
    "session depth": (188, "<H", 1199, 2501, U16),
    "spare limit": (190, "<H", None, 1, U16),
    "session strokes": (192, "<I", 99, 200_001, U32),
    "zone 0 area": (196, "<B", None, 12, U8),
    "zone 0 side": (197, "<B", None, 3, U8),
    "zone 0 depth": (198, "<H", 99, 501, U16),
    "zone 0 strokes": (200, "<I", 0, 61, U32),
    "zone 0 rate": (204, "<H", 0, RATE_MAX[400] + 1, U16),
    "zone 0 spare": (206, "<H", None, 1, U16),
    "zone 0 spare word": (208, "<I", None, 1, U32),
    "zone 1 area": (212, "<B", None, 12, U8),
    "zone 1 side": (213, "<B", None, 3, U8),
    "zone 1 depth": (214, "<H", 99, 1201, U16),
    "zone 1 strokes": (216, "<I", 0, 41, U32),
    "zone 1 rate": (220, "<H", 0, RATE_MAX[1200] + 1, U16),
    "zone 1 spare": (222, "<H", None, 1, U16),
    "zone 1 spare word": (224, "<I", None, 1, U32),
}

TEXTS: dict[str, tuple[int, int]] = {
    "serial": (8, 16),
    "name": (64, 40),
    "course id": (104, 24),
    "cartridge id": (136, 24),
    "cartridge lot": (160, 24),
}

# Whatever is good in one field and wrong for another one.
OTHERS: dict[str, list[Patch]] = {
    "magic": [(3, b"2")],
    "another pen's serial": [(8, b"SIM-0002")],
    "another head of the chain": [(28, b"\x01")],
    "a zone twice": [(212, bytes([profiles.PERIORBITAL, profiles.LEFT]))],
    "zone below its cap, above the session": [(188, struct.pack("<H", 399))],
    "session below every zone's strokes": [(192, struct.pack("<I", 99))],
    "index beyond its course": [(128, bytes([5, 4]))],
}


def sealed(body: bytes, key_id: int = 0, key: bytes = b"") -> bytes:
    """Return `body` with a right SHA-256, and signed when there is a key."""
    signed = body + hashlib.sha256(body).digest() + struct.pack("<I", key_id)
    return signed + (hmac_sha256(key, signed) if key_id else bytes(32))


def patched(good: bytes, *patches: Patch) -> bytes:
    """Return a profile with some of its bytes replaced, sealed anew."""
    body = bytearray(good[:-TRAILER])
    for offset, data in patches:
        body[offset : offset + len(data)] = data
    return sealed(bytes(body))


def number(good: bytes, name: str, value: int) -> bytes:
    """Return a profile with one number replaced."""
    offset, form, _, _, _ = NUMBERS[name]
    return patched(good, (offset, struct.pack(form, value)))


def observed(pen: Bench) -> tuple[Any, ...]:
    """Return all that may not change: status, what hello says, flash, driver, needle."""
    greeting = {name: value for name, value in pen.hello().items() if name != "request_id"}
    return pen.status(), greeting, pen.snapshot_flash(), pen.plant.energised, pen.needle_strokes()


def refused(pen: Bench, data: bytes) -> int:
    """Send a profile that must not be taken; return the code, after making sure that nothing changed."""
    before = observed(pen)
    pen.transfer(data)
    with pytest.raises(Refusal) as refusal:
        pen.ask("load.commit")
    assert refusal.value.field, "a refusal names the field"
    assert observed(pen) == before
    return refusal.value.code


def ready(*, loaded: bool) -> tuple[Bench, bytes]:
    """Return a pen that waits for a profile, or has one that is good, and a good one for it."""
    pen = Bench()
    pen.change_cartridge()
    good = profiles.data(pen.greeting, ZONES)
    if loaded:
        pen.load(good)
    return pen, good


def plays(pen: Bench, good: bytes) -> None:
    """Fail unless the pen still carries out the good profile, and that one."""
    pen.load(good)
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert pen.sealed[1].profile_digest == hashlib.sha256(good[:-TRAILER]).digest()


def edge_cases(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield profiles with one value just out of range, or as far out as its field allows."""
    for name, (_, _, below, above, most) in NUMBERS.items():
        values = {below, below // 2, 0} if below is not None else set()
        values |= {value for value in (above, above + 1, most) if above <= value <= most}
        for value in sorted(values):
            yield f"{name} = {value}", number(good, name, value)
    for name, (offset, size) in TEXTS.items():
        for text in (b"", b'a"b', b"a\\b", b"a\x7f", b"a\x1f", b"a\x00b", b"\x00a", b"\xc3\xa4"):
            yield f"{name} = {text!r}", patched(good, (offset, text.ljust(size, b"\x00")))
    for name, patches in OTHERS.items():
        yield name, patched(good, *patches)
    for size in (0, 1, 195, 196, 212, 279):
        yield f"{size} bytes", (good[:size] or b"\x00")
    yield "a byte more", good + b"\x00"
    yield "a zone more than it says", sealed(good[:-TRAILER] + bytes(16))
    yield "claims a key", sealed(good[:-TRAILER], KEY_ID, KEY)
    yield "hmac without a key", good[:-1] + b"\x01"


@pytest.mark.parametrize("loaded", [False, True])
def test_each_value_out_of_range_is_refused_whole(loaded: bool) -> None:
    pen, good = ready(loaded=loaded)
    cases = list(edge_cases(good))
    assert len(cases) > 150
    for name, data in cases:
        assert data != good
        code = refused(pen, data)
        assert code in faults.NAMES, name
        assert 200 <= code < 500 or code in (faults.KEY_UNKNOWN, faults.TIME_BACK), (name, code)
    plays(pen, good)


@settings(max_examples=150)
@given(data=st.data())
def test_any_value_out_of_range_is_refused_whole(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(NUMBERS)))
    _, _, below, above, most = NUMBERS[name]
    outside = st.integers(above, most) if above <= most else st.nothing()
    if below is not None:
        outside = outside | st.integers(0, below)
    value = data.draw(outside)
    pen, good = ready(loaded=data.draw(st.booleans()))
    refused(pen, number(good, name, value))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issued_at": profiles.NOW - 1}, faults.TIME_BACK),
        ({"issued_at": profiles.NOW + 45 * DAY_S + 1}, faults.TIME_JUMP),
        ({"issued_at": profiles.NOW + 30 * DAY_S - 1}, faults.COURSE_TOO_EARLY),
        ({"course_index": 1}, faults.COURSE_INDEX_DONE),
        ({"interval_days": 29}, faults.COURSE_CHANGED),
        ({"max_step_um": 99}, faults.COURSE_STEP),
        ({"cartridge_id": "C-1"}, faults.CARTRIDGE_USED),
        ({"session_id": 1}, faults.PROFILE_SESSION_ID),
        ({"session_id": 3}, faults.PROFILE_SESSION_ID),
        ({"ledger_head": bytes(32)}, faults.PROFILE_LEDGER_HEAD),
    ],
)
def test_what_the_pen_remembers_refuses_as_well(changes: dict[str, Any], code: int) -> None:
    pen = Bench()
    pen.play_session([(profiles.CHEEK, 0, 400, 3, 20)])
    pen.change_cartridge()
    zones = [(profiles.CHEEK, 0, 500, 3, 20)]
    good = profiles.data(pen.hello(), zones)
    assert refused(pen, profiles.data(pen.greeting, zones, **changes)) == code
    pen.load(good)
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)


# --- bits ------------------------------------------------------------------------------------------------------------
def flipped(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit flipped."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def signed_pen() -> Bench:
    """Return a pen with a clinic key."""
    setup = profiles.pen()
    setup.key_id, setup.key = KEY_ID, KEY
    return Bench(setup=setup)


def verdict(pen: Bench) -> int:
    """Return how the pen refuses what it was sent; who has guessed at a signature too often waits until it is looked
    at.
    """
    code = pen.refusal("load.commit")
    if code == faults.SIGNATURE_WAIT:
        pen.run_ms(60_000)
        code = pen.refusal("load.commit")
    return code


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_every_single_bit_flip_is_refused(signed: bool, part: int) -> None:
    """Over the wire, announced with the SHA-256 of the flipped bytes: the profile's own checks have to find it."""
    pen = signed_pen() if signed else Bench()
    pen.change_cartridge()
    good = profiles.data(pen.greeting, ZONES[:1])
    if signed:
        good = sealed(good[:-TRAILER], KEY_ID, KEY)
    before = observed(pen)
    for bit in range(part, len(good) * 8, 4):
        pen.transfer(flipped(good, bit))
        assert verdict(pen) in faults.NAMES.keys() - {faults.SIGNATURE_WAIT}, bit
    assert observed(pen) == before
    pen.run_ms(60_000)
    pen.load(good)
    pen.finish_session()
    pen.check(exact=True)


def test_a_flip_on_the_way_is_refused_by_the_transfer() -> None:
    """The same bits, announced with the SHA-256 of what was meant."""
    pen, good = ready(loaded=False)
    before = observed(pen)
    for bit in range(0, len(good) * 8, 7):
        pen.ask("load.begin", size=len(good), sha256=hashlib.sha256(good).hexdigest())
        pen.ask("load.chunk", offset=0, data=flipped(good, bit))
        assert pen.refusal("load.commit") == faults.LOAD_DIGEST
    assert observed(pen) == before
    plays(pen, good)


def test_with_a_clinic_key_no_byte_can_be_changed_even_with_a_right_sha256() -> None:
    pen = signed_pen()
    pen.change_cartridge()
    good = profiles.data(pen.greeting, ZONES[:1])
    signature = profile.encode(profiles.make(pen.greeting, ZONES[:1]), KEY_ID, KEY)[-36:]
    assert pen.setup.key_id == KEY_ID
    pen.transfer(good)
    assert pen.refusal("load.commit") == faults.SIGNATURE_MISSING
    for bit in range(0, (len(good) - TRAILER) * 8, 3):
        body = flipped(good[:-TRAILER], bit)
        forged = body + hashlib.sha256(body).digest() + signature
        pen.transfer(forged)
        assert verdict(pen) in faults.NAMES.keys() - {faults.SIGNATURE_WAIT}
    stranger = sealed(good[:-TRAILER], KEY_ID, bytes(32))
    pen.transfer(stranger)
    assert verdict(pen) == faults.SIGNATURE_WRONG
    pen.run_ms(60_000)
    pen.load(sealed(good[:-TRAILER], KEY_ID, KEY))
    pen.finish_session()
    pen.check(exact=True)
