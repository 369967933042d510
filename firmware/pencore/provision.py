"""What makes a board this pen: serial, geometry, ceiling, caps, calibration, clinic key. Runs on pen, host and
simulator.

Kept in `/prov.bin`, written by a technician's tool, never sent over the wire. A pen without a valid one never arms.

Layout, little-endian: header of 98 bytes, one u16 zone cap in um per area code given, CRC-32 of all
before it. Allocates one Provision.
"""

import struct

from pencore import faults, limits
from pencore.compat import const
from pencore.digest import crc32, pack_text, text_problem, unpack_text
from pencore.faults import Refusal
from pencore.limits import Bounds
from pencore.profile import HEAD_PEN, SERIAL_SIZE
from pencore.units import Geometry

FILE = "prov.bin"
MAGIC = b"PPV1"
VERSION = const(1)
KEY_SIZE = const(32)

_HEADER = const("<4sBBBB16sHBBIIIHHHHHIHHII32s")
HEADER_SIZE = const(98)
_STEP_MAX_UM = const(20)
STROKE_STEPS_MAX = const(2000)
"""Most steps from home to the ceiling: bounds the stroke table (8 bytes a step) and the planner's arithmetic, and lets
the board's ring of samples hold two strokes."""


class Provision:
    """A pen's identity and bounds; `key` is 32 bytes under `key_id` (both zero without a clinic key); `calibrated_at`
    in seconds since 1970; `backoff_um` how far homing may extend to see the sensor clear (needles stay inside)."""

    def __init__(self, serial: str, bounds: Bounds) -> None:
        self.serial = serial
        self.bounds = bounds
        self.backoff_um = 300
        self.calibrated_at = 0
        self.key_id = 0
        self.key = bytes(KEY_SIZE)


def check(provision: Provision) -> None:
    """Refuse a provision with a value out of range, naming field and bound: it may only tighten what `limits`
    allows.
    """
    geometry = provision.bounds.geometry
    bounds = provision.bounds
    if text_problem(provision.serial, SERIAL_SIZE):
        raise Refusal(faults.PROFILE_TEXT, "serial", len(provision.serial), SERIAL_SIZE)
    if bounds.head != HEAD_PEN:
        raise Refusal(faults.PROFILE_HEAD, "head", bounds.head, HEAD_PEN)
    if geometry.microsteps not in (1, 2, 4, 8, 16, 32, 64):
        raise Refusal(faults.PROVISION_CORRUPT, "geometry.microsteps", geometry.microsteps, 64)
    # These two divide in what follows.
    limits.check_range(faults.PROVISION_CORRUPT, "geometry.full_steps", geometry.full_steps, 20, 400)
    limits.check_range(faults.PROVISION_CORRUPT, "geometry.lead_um", geometry.lead_um, 500, 20_000)
    ranges = (
        ("geometry.v_max_um_s", geometry.v_max_um_s, 1_000, 1_000_000),
        ("geometry.a_max_mm_s2", geometry.a_max_mm_s2, 100, 100_000),
        ("geometry.retract_offset_um", geometry.retract_offset_um, 100, 2_000),
        ("geometry.home_margin_steps", geometry.home_margin_steps, 0, 2 * geometry.microsteps),
        ("geometry.stop_um", geometry.stop_um, limits.DEPTH_MIN_UM, 5_000),
        ("geometry.dwell_us", geometry.dwell_us, 0, 20_000),
        ("geometry.step_um", geometry.um_ceil(1), 1, _STEP_MAX_UM),
        ("geometry.stroke_steps", geometry.stroke_steps(bounds.ceiling_um), 1, STROKE_STEPS_MAX),
        ("backoff_um", provision.backoff_um, 50, geometry.retract_offset_um - 50),
        ("ceiling_um", bounds.ceiling_um, limits.DEPTH_MIN_UM, limits.DEPTH_CEILING_UM),
        ("ceiling_um", bounds.ceiling_um, limits.DEPTH_MIN_UM, geometry.stop_um),
        ("calibration_um", bounds.calibration_um, limits.DEPTH_MIN_UM, bounds.ceiling_um),
        ("cartridge_strokes", bounds.cartridge_strokes, 1, limits.CARTRIDGE_STROKES_MAX),
        ("interval_days", bounds.interval_days, limits.INTERVAL_MIN_DAYS, limits.INTERVAL_MAX_DAYS),
        ("zone_caps_um", len(bounds.caps_um), 0, limits.AREA_CODES_MAX),
        ("calibrated_at", provision.calibrated_at, 0, 0xFFFFFFFF),
        ("key_id", provision.key_id, 0, 0xFFFFFFFF),
        ("key", len(provision.key), KEY_SIZE, KEY_SIZE),
    )
    for field, given, low, high in ranges:
        limits.check_range(faults.PROVISION_CORRUPT, field, given, low, high)
    # The deepest stroke is the fastest; what it takes is worked out with values known to be in range.
    step_ticks = limits.fastest_ticks(geometry.stroke_steps(bounds.ceiling_um), geometry)
    if step_ticks < limits.STEP_TICKS_MIN:
        raise Refusal(faults.PROVISION_CORRUPT, "geometry.step_ticks", step_ticks, limits.STEP_TICKS_MIN)
    for area, cap_um in enumerate(bounds.caps_um):
        high = limits.zone_cap_um(area) if area < len(limits.AREAS) else limits.DEPTH_CEILING_UM
        limits.check_range(faults.PROVISION_CORRUPT, "zone_caps_um", cap_um, limits.DEPTH_MIN_UM, high, area)


def encode(provision: Provision) -> bytes:
    """Return the bytes of `/prov.bin`; Refusal when a value is out of range."""
    check(provision)
    bounds = provision.bounds
    geometry = bounds.geometry
    data = struct.pack(
        _HEADER,
        MAGIC,
        VERSION,
        bounds.head,
        len(bounds.caps_um),
        0,
        pack_text(provision.serial, SERIAL_SIZE),
        geometry.full_steps,
        geometry.microsteps,
        geometry.home_margin_steps,
        geometry.lead_um,
        geometry.v_max_um_s,
        geometry.a_max_mm_s2,
        geometry.retract_offset_um,
        geometry.stop_um,
        geometry.dwell_us,
        provision.backoff_um,
        bounds.ceiling_um,
        bounds.cartridge_strokes,
        bounds.calibration_um,
        bounds.interval_days,
        provision.calibrated_at,
        provision.key_id,
        provision.key,
    )
    for cap_um in bounds.caps_um:
        data += struct.pack("<H", cap_um)
    return data + struct.pack("<I", crc32(data))


def decode(data: bytes) -> Provision:
    """Return the Provision in `data`; Refusal PROVISION_CORRUPT unless every byte of it is as `encode` would write
    it.
    """
    if len(data) < HEADER_SIZE + 4 or data[:4] != MAGIC or data[4] != VERSION or data[7]:
        raise Refusal(faults.PROVISION_CORRUPT, "header", len(data), HEADER_SIZE + 4)
    caps = data[6]
    size = HEADER_SIZE + 2 * caps + 4
    if len(data) != size:
        raise Refusal(faults.PROVISION_CORRUPT, "size", len(data), size)
    if struct.unpack("<I", data[size - 4 :])[0] != crc32(data[: size - 4]):
        raise Refusal(faults.PROVISION_CORRUPT, "crc32")
    fields = struct.unpack(_HEADER, data[:HEADER_SIZE])
    geometry = Geometry(
        full_steps=fields[6],
        microsteps=fields[7],
        home_margin_steps=fields[8],
        lead_um=fields[9],
        v_max_um_s=fields[10],
        a_max_mm_s2=fields[11],
        retract_offset_um=fields[12],
        stop_um=fields[13],
        dwell_us=fields[14],
    )
    bounds = Bounds(
        geometry,
        head=fields[2],
        ceiling_um=fields[16],
        cartridge_strokes=fields[17],
        calibration_um=fields[18],
        caps_um=struct.unpack("<%dH" % caps, data[HEADER_SIZE : HEADER_SIZE + 2 * caps]),
        interval_days=fields[19],
    )
    provision = Provision(unpack_text(fields[5]), bounds)
    provision.backoff_um = fields[15]
    provision.calibrated_at = fields[20]
    provision.key_id = fields[21]
    provision.key = bytes(fields[22])
    check(provision)
    return provision
