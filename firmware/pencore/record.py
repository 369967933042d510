"""The sealed account of a session: binary form and hash chain. Runs on pen and host.

Layout, little-endian: header of 252 bytes, 20 bytes a zone, 8 bytes a fault, SHA-256 of all before it. The digest of a
record is that last SHA-256; each record carries its predecessor's, zeros for the first of a pen. Allocates one Record.
"""

import struct

from pencore import faults, limits
from pencore.compat import const
from pencore.digest import DIGEST_SIZE, ZERO_DIGEST, pack_text, sha256, unpack_text
from pencore.faults import Refusal
from pencore.profile import ID_SIZE, NAME_SIZE, SERIAL_SIZE

MAGIC = b"PPR1"
VERSION = const(1)

END_FINISHED = const(0)
END_SPENT = const(1)
END_CARTRIDGE = const(2)
END_REASONS = ("finished", "all zones spent", "cartridge opened")
"""Why a session ended; the code is the index."""

_HEADER = const("<4sBBBB32s32s16sI40s24sBBBB24s24sHHI16sIIIII")
HEADER_SIZE = const(252)
_ZONE = const("<BBHIIIHH")
ZONE_SIZE = const(20)
_BUILD_SIZE = const(16)
_FAULT = const("<HBBI")
FAULT_SIZE = const(8)
SIZE_MAX = const(252 + 32 * 20 + 16 * 8 + 32)


class RecordZone:
    """One zone's account: `area`, `side` codes, `depth_um` set, `budget`, `made`, `forfeited`, `deepest_um` commanded
    (0 when no stroke was reserved), `rate_per_s` set."""

    def __init__(
        self,
        area: int,
        side: int,
        depth_um: int,
        budget: int,
        made: int,
        forfeited: int,
        deepest_um: int,
        rate_per_s: int,
    ) -> None:
        self.area = area
        self.side = side
        self.depth_um = depth_um
        self.budget = budget
        self.made = made
        self.forfeited = forfeited
        self.deepest_um = deepest_um
        self.rate_per_s = rate_per_s

    def counted(self) -> int:
        """Return the strokes that count: made and forfeited."""
        return self.made + self.forfeited


class Record:
    """A sealed session. Digests are 32 bytes, times seconds since 1970; `end_s` is `start_s` plus the time the pen was
    powered with the session open (the pen has no clock); `calibration_s` is the calibration's age at the start;
    `faults` holds (code, zone or 255, elapsed seconds) for the first sixteen, `more_faults` counts the others."""

    def __init__(self) -> None:
        self.previous = ZERO_DIGEST
        self.profile_digest = ZERO_DIGEST
        self.serial = ""
        self.session = 0
        self.profile_name = ""
        self.course_id = ""
        self.course_index = 0
        self.course_of = 0
        self.head = 0
        self.cartridge_id = ""
        self.cartridge_lot = ""
        self.expires_day = 0
        self.build = ""
        self.start_s = 0
        self.end_s = 0
        self.calibration_s = 0
        self.session_depth_um = 0
        self.session_strokes = 0
        self.end_reason = END_FINISHED
        self.key_id = 0
        self.zones: "list[RecordZone]" = []
        self.faults: "list[tuple[int, int, int]]" = []
        self.more_faults = 0
        self.digest = ZERO_DIGEST

    def made(self) -> int:
        """Return the strokes made in all zones."""
        return sum(zone.made for zone in self.zones)

    def forfeited(self) -> int:
        """Return the forfeited strokes of all zones."""
        return sum(zone.forfeited for zone in self.zones)

    def counted(self) -> int:
        """Return the counted strokes of all zones."""
        return self.made() + self.forfeited()


def encode(record: Record) -> bytes:
    """Return `record` in binary and set its `digest`."""
    data = struct.pack(
        _HEADER,
        MAGIC,
        VERSION,
        record.head,
        len(record.zones),
        len(record.faults),
        record.previous,
        record.profile_digest,
        pack_text(record.serial, SERIAL_SIZE),
        record.session,
        pack_text(record.profile_name, NAME_SIZE),
        pack_text(record.course_id, ID_SIZE),
        record.course_index,
        record.course_of,
        record.end_reason,
        0,
        pack_text(record.cartridge_id, ID_SIZE),
        pack_text(record.cartridge_lot, ID_SIZE),
        record.expires_day,
        record.session_depth_um,
        record.session_strokes,
        pack_text(record.build, _BUILD_SIZE),
        record.start_s,
        record.end_s,
        record.calibration_s,
        record.key_id,
        record.more_faults,
    )
    for zone in record.zones:
        data += struct.pack(
            _ZONE,
            zone.area,
            zone.side,
            zone.depth_um,
            zone.budget,
            zone.made,
            zone.forfeited,
            zone.deepest_um,
            zone.rate_per_s,
        )
    for code, zone_index, elapsed_s in record.faults:
        data += struct.pack(_FAULT, code, zone_index, 0, elapsed_s)
    record.digest = sha256(data)
    return data + record.digest


def decode(data: bytes) -> Record:
    """Return the Record in `data`.

    Raises Refusal RECORD_CORRUPT (field: what is wrong) unless size, digest, texts and counters agree: the digest is
    what `encode` would give, and no zone counts more than its budget.
    """
    size = len(data)
    if size < HEADER_SIZE + DIGEST_SIZE or data[:4] != MAGIC or data[4] != VERSION:
        raise Refusal(faults.RECORD_CORRUPT, "header", size, HEADER_SIZE + DIGEST_SIZE)
    zone_count = data[6]
    fault_count = data[7]
    body_size = HEADER_SIZE + zone_count * ZONE_SIZE + fault_count * FAULT_SIZE
    if size != body_size + DIGEST_SIZE or not 1 <= zone_count <= limits.ZONES_MAX:
        raise Refusal(faults.RECORD_CORRUPT, "size", size, body_size + DIGEST_SIZE)
    if sha256(data[:body_size]) != data[body_size:]:
        raise Refusal(faults.RECORD_CORRUPT, "sha256")
    head = struct.unpack(_HEADER, data[:HEADER_SIZE])
    record = Record()
    record.head = head[2]
    record.previous = head[5]
    record.profile_digest = head[6]
    record.serial = unpack_text(head[7])
    record.session = head[8]
    record.profile_name = unpack_text(head[9])
    record.course_id = unpack_text(head[10])
    record.course_index = head[11]
    record.course_of = head[12]
    record.end_reason = head[13]
    record.cartridge_id = unpack_text(head[15])
    record.cartridge_lot = unpack_text(head[16])
    record.expires_day = head[17]
    record.session_depth_um = head[18]
    record.session_strokes = head[19]
    record.build = unpack_text(head[20])
    record.start_s = head[21]
    record.end_s = head[22]
    record.calibration_s = head[23]
    record.key_id = head[24]
    record.more_faults = head[25]
    at = HEADER_SIZE
    for index in range(zone_count):
        fields = struct.unpack(_ZONE, data[at : at + ZONE_SIZE])
        zone = RecordZone(*fields)
        if zone.counted() > zone.budget:
            raise Refusal(faults.RECORD_CORRUPT, "zone.counted", zone.counted(), zone.budget, index)
        record.zones.append(zone)
        at += ZONE_SIZE
    for _ in range(fault_count):
        code, zone_index, _spare, elapsed_s = struct.unpack(_FAULT, data[at : at + FAULT_SIZE])
        record.faults.append((code, zone_index, elapsed_s))
        at += FAULT_SIZE
    record.digest = data[body_size:]
    return record
