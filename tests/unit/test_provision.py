"""`pencore.provision`: every bound, every bit, and files that only their CRC approves."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from pencore import faults, limits, provision
from pencore.faults import Refusal
from pencore.planner import Plan
from pencore.provision import HEADER_SIZE, Provision
from pencore.units import Geometry
from tests.portable import samples
from tests.portable.samples import KEY, KEY_ID

U32 = 0xFFFFFFFF
TOO_MANY_STEPS = ("geometry.stroke_steps", 2_000)
Change = Callable[[Provision, Any], None]


def of_geometry(name: str) -> Change:
    return lambda made, value: setattr(made.bounds.geometry, name, value)


def of_bounds(name: str) -> Change:
    return lambda made, value: setattr(made.bounds, name, value)


def of_provision(name: str) -> Change:
    return lambda made, value: setattr(made, name, value)


def turn(made: Provision, full_steps: int) -> None:
    made.bounds.geometry = Geometry(full_steps=full_steps, microsteps=8, lead_um=2_000)
    made.bounds.ceiling_um = made.bounds.calibration_um = 500


def lead(made: Provision, lead_um: int) -> None:
    made.bounds.geometry = Geometry(full_steps=200, microsteps=8, lead_um=lead_um)
    made.bounds.ceiling_um = made.bounds.calibration_um = 100


def ceiling(made: Provision, value: int) -> None:
    made.bounds.ceiling_um = value
    made.bounds.calibration_um = min(value, 2500)


def stop(made: Provision, value: int) -> None:
    made.bounds.geometry.stop_um = value
    made.bounds.ceiling_um = made.bounds.calibration_um = min(100 if value < 100 else value, 2500)


def offset(made: Provision, value: int) -> None:
    made.bounds.geometry.retract_offset_um = value
    made.backoff_um = max(50, min(300, value - 50))


# what is set, values accepted, and values refused with (field, limit)
BOUNDS_OF: dict[str, tuple[Change, list[int], list[tuple[int, str, int]]]] = {
    "full_steps": (
        turn,
        [20, 21, 399, 400],
        [(value, "geometry.full_steps", 20) for value in (-1, 0, 19)] + [(401, "geometry.full_steps", 400)],
    ),
    "lead_um": (
        lead,
        [500, 501, 19_999, 20_000],
        [(value, "geometry.lead_um", 500) for value in (-1, 0, 499)]
        + [(value, "geometry.lead_um", 20_000) for value in (20_001, U32)],
    ),
    "microsteps": (
        of_geometry("microsteps"),
        [2, 4, 8],
        [(value, "geometry.microsteps", 64) for value in (-1, 0, 3, 5, 12, 128, 255)],
    ),
    "v_max_um_s": (
        of_geometry("v_max_um_s"),
        [1_000, 1_000_000],
        [(999, "geometry.v_max_um_s", 1_000), (0, "geometry.v_max_um_s", 1_000)]
        + [(value, "geometry.v_max_um_s", 1_000_000) for value in (1_000_001, U32)],
    ),
    "a_max_mm_s2": (
        of_geometry("a_max_mm_s2"),
        [100, 100_000],
        [(value, "geometry.a_max_mm_s2", 100) for value in (0, 99)]
        + [(value, "geometry.a_max_mm_s2", 100_000) for value in (100_001, U32)],
    ),
    "retract_offset_um": (
        offset,
        [100, 101, 1_999, 2_000],
        [(value, "geometry.retract_offset_um", 100) for value in (0, 99)]
        + [(value, "geometry.retract_offset_um", 2_000) for value in (2_001, 0xFFFF)],
    ),
    "home_margin_steps": (
        of_geometry("home_margin_steps"),
        [0, 3, 4],
        [(-1, "geometry.home_margin_steps", 0), (5, "geometry.home_margin_steps", 4)],
    ),
    "stop_um": (
        stop,
        [100, 101, 4_999, 5_000],
        [(99, "geometry.stop_um", 100), (0, "geometry.stop_um", 100), (5_001, "geometry.stop_um", 5_000)],
    ),
    "dwell_us": (
        of_geometry("dwell_us"),
        [0, 1, 20_000],
        [(-1, "geometry.dwell_us", 0), (20_001, "geometry.dwell_us", 20_000)],
    ),
    "backoff_um": (
        of_provision("backoff_um"),
        [50, 51, 449, 450],
        [(49, "backoff_um", 50), (0, "backoff_um", 50), (451, "backoff_um", 450)],
    ),
    "ceiling_um": (
        ceiling,
        [100, 101, 2_499, 2_500],
        [(value, "ceiling_um", 100) for value in (0, 99)]
        + [(value, field, limit) for value, field, limit in ((2_501, "ceiling_um", 2_500), (0xFFFF, *TOO_MANY_STEPS))],
    ),
    "calibration_um": (
        of_bounds("calibration_um"),
        [100, 2_499, 2_500],
        [(99, "calibration_um", 100), (0, "calibration_um", 100), (2_501, "calibration_um", 2_500)],
    ),
    "cartridge_strokes": (
        of_bounds("cartridge_strokes"),
        [1, 200_000],
        [(0, "cartridge_strokes", 1), (200_001, "cartridge_strokes", 200_000), (U32, "cartridge_strokes", 200_000)],
    ),
    "interval_days": (
        of_bounds("interval_days"),
        [4, 365],
        [(3, "interval_days", 4), (0, "interval_days", 4), (366, "interval_days", 365)],
    ),
    "calibrated_at": (
        of_provision("calibrated_at"),
        [0, U32],
        [(-1, "calibrated_at", 0), (U32 + 1, "calibrated_at", U32)],
    ),
    "key_id": (of_provision("key_id"), [0, 1, U32], [(-1, "key_id", 0), (U32 + 1, "key_id", U32)]),
}


@pytest.mark.parametrize("name", BOUNDS_OF)
def test_a_value_within_its_bounds_is_kept(name: str) -> None:
    change, accepted, _ = BOUNDS_OF[name]
    for value in accepted:
        made = samples.provisioned(KEY_ID, KEY)
        change(made, value)
        assert describe(provision.decode(provision.encode(made))) == describe(made)


@pytest.mark.parametrize("name", BOUNDS_OF)
def test_a_value_out_of_its_bounds_is_refused_with_field_and_bound(name: str) -> None:
    change, _, refused = BOUNDS_OF[name]
    for value, field, limit in refused:
        made = samples.provisioned()
        change(made, value)
        for function in (provision.check, provision.encode):
            with pytest.raises(Refusal) as told:
                function(made)
            assert told.value.code == faults.PROVISION_CORRUPT
            assert (told.value.field, told.value.limit) == (field, limit), value


@pytest.mark.parametrize("area", range(limits.AREA_CODES_MAX))
def test_a_cap_may_only_tighten(area: int) -> None:
    """Codes that this build has no area for may be capped already, within the absolute ceiling."""
    high = limits.AREAS[area][2] if area < len(limits.AREAS) else 2500
    for cap_um in (100, high):
        provision.check(samples.provisioned(caps_um=[100] * area + [cap_um]))
    for cap_um, bound in ((99, 100), (0, 100), (high + 1, high), (65_535, high)):
        with pytest.raises(Refusal) as told:
            provision.check(samples.provisioned(caps_um=[100] * area + [cap_um]))
        assert (told.value.field, told.value.limit, told.value.zone) == ("zone_caps_um", bound, area)


def test_no_pen_reaches_below_its_mechanical_stop() -> None:
    provision.check(samples.provisioned(ceiling_um=2000, calibration_um=2000, geometry=Geometry(stop_um=2000)))
    with pytest.raises(Refusal) as told:
        provision.check(samples.provisioned(ceiling_um=2000, calibration_um=2000, geometry=Geometry(stop_um=1999)))
    assert (told.value.field, told.value.given, told.value.limit) == ("ceiling_um", 2000, 1999)


def finest(**changes: int) -> Provision:
    """Return a pen of the finest steps that there may be, 0.1 um, with a way of 200 um."""
    fine = {"full_steps": 400, "microsteps": 64, "lead_um": 2560, "retract_offset_um": 100, "dwell_us": 0} | changes
    made = Provision("fine", limits.Bounds(Geometry(**fine), ceiling_um=100, calibration_um=100))
    made.backoff_um = 50
    return made


@pytest.mark.parametrize(("v_max_um_s", "ticks"), [(103_306, 121), (105_042, 120), (105_043, 119), (1_000_000, 88)])
def test_steps_faster_than_the_stroke_program_are_refused(v_max_um_s: int, ticks: int) -> None:
    made = finest(v_max_um_s=v_max_um_s, a_max_mm_s2=100_000)
    if ticks >= limits.STEP_TICKS_MIN:
        provision.check(made)
        return
    with pytest.raises(Refusal) as refused:
        provision.check(made)
    told = refused.value
    assert (told.code, told.field, told.given, told.limit) == (
        faults.PROVISION_CORRUPT,
        "geometry.step_ticks",
        ticks,
        120,
    )


@pytest.mark.parametrize("a_max_mm_s2", [200, 10_000, 14_000, 15_000, 15_400, 16_000, 18_000, 100_000])
@pytest.mark.parametrize("v_max_um_s", [60_000, 78_000, 80_000, 1_000_000])
def test_what_is_taken_is_planned_with_no_delay_that_is_too_short(a_max_mm_s2: int, v_max_um_s: int) -> None:
    made = finest(v_max_um_s=v_max_um_s, a_max_mm_s2=a_max_mm_s2)
    geometry = made.bounds.geometry
    plan = Plan(100, limits.max_rate(100, geometry), geometry)
    while not plan.advance(1000):
        pass
    shortest = min(word >> 1 for (word,) in struct.iter_unpack("<I", plan.table[:-4]))
    assert abs(limits.fastest_ticks(plan.steps, geometry) - shortest) <= 1
    if shortest > 120:
        provision.check(made)
    elif shortest < 119:
        with pytest.raises(Refusal) as refused:
            provision.check(made)
        assert refused.value.field == "geometry.step_ticks"


def test_other_refusals() -> None:
    for change, code in (
        ({"head": 1}, faults.PROFILE_HEAD),
        ({"caps_um": [100] * 33}, faults.PROVISION_CORRUPT),
        ({"geometry": Geometry(microsteps=64, full_steps=400)}, faults.PROVISION_CORRUPT),
        ({"geometry": Geometry(microsteps=1, lead_um=4100)}, faults.PROVISION_CORRUPT),
    ):
        with pytest.raises(Refusal) as told:
            provision.check(samples.provisioned(**change))
        assert told.value.code == code, change
    for serial in ("", "x" * 17, 'a"b', "\u00fc"):
        made = samples.provisioned()
        made.serial = serial
        with pytest.raises(Refusal) as told:
            provision.check(made)
        assert told.value.code == faults.PROFILE_TEXT
    made = samples.provisioned()
    made.key = b"short"
    with pytest.raises(Refusal):
        provision.check(made)


def describe(made: Provision) -> tuple[object, ...]:
    """Return everything a provision holds."""
    bounds = made.bounds
    return (
        made.serial,
        bounds.head,
        bounds.ceiling_um,
        bounds.calibration_um,
        list(bounds.caps_um),
        bounds.cartridge_strokes,
        bounds.interval_days,
        bounds.geometry.as_list(),
        made.backoff_um,
        made.calibrated_at,
        made.key_id,
        made.key,
    )


@pytest.mark.parametrize("caps", [0, 1, 12, 32])
def test_what_is_encoded_is_decoded(caps: int) -> None:
    made = samples.provisioned(KEY_ID, KEY, caps_um=tuple(range(100, 100 + caps)), ceiling_um=2400, calibration_um=2300)
    data = provision.encode(made)
    assert len(data) == HEADER_SIZE + 2 * caps + 4
    assert describe(provision.decode(data)) == describe(made)


def test_every_single_bit_flip_and_every_other_length_is_refused() -> None:
    data = provision.encode(samples.provisioned(KEY_ID, KEY, caps_um=(500, 600)))
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refusal) as told:
            provision.decode(bytes(changed))
        assert told.value.code == faults.PROVISION_CORRUPT
    for wrong in [data[:size] for size in range(len(data))] + [data + b"\x00", data + data]:
        with pytest.raises(Refusal):
            provision.decode(wrong)


def test_a_right_crc_over_wrong_values_is_refused_and_never_another_error() -> None:
    """Each byte in turn 0 and 255, with its CRC made anew: a pen must be able to boot on anything."""
    data = provision.encode(samples.provisioned())
    refused = 0
    for at in range(len(data) - 4):
        for byte in (0x00, 0xFF):
            body = bytearray(data[:-4])
            body[at] = byte
            changed = bytes(body) + struct.pack("<I", zlib.crc32(body))
            try:
                made = provision.decode(changed)
            except Refusal:
                refused += 1
                continue
            assert provision.encode(made) == changed
    assert refused > 60


@pytest.mark.parametrize("at", [24, 28], ids=["full_steps", "lead_um"])
def test_a_turn_of_no_steps_or_no_travel_is_refused(at: int) -> None:
    """Both divide: written by a broken tool, they must not end in a ZeroDivisionError at every boot."""
    body = bytearray(provision.encode(samples.provisioned())[:-4])
    width = 2 if at == 24 else 4
    assert any(body[at : at + width])
    body[at : at + width] = bytes(width)
    with pytest.raises(Refusal):
        provision.decode(bytes(body) + struct.pack("<I", zlib.crc32(body)))
