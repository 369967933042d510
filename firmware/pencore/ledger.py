"""The pen's memory of strokes: an append-only journal that never counts low. Runs on the pen and in the simulator.

`ledger.bin` holds 32-byte entries, each written twice in one synced append (a slot of 64 bytes) and read back before
its effect is used. Values are absolute, so the last entry of a kind says all. One valid copy of the two is enough and
is reported; anything else that isn't whole is a fault, never a silent fresh start. Strokes are reserved here before
they are made; what is reserved and not confirmed when the power goes is forfeited (`counted = made + forfeited`).

Two copies side by side don't help when the file system itself loses its newest commits (a flipped bit in its metadata
takes it back to an older state, whole and unsuspicious). So a second, tiny file in a folder of its own, which the file
system keeps in other blocks, says how far the journal had come: a journal that falls short of it is a fault.

Entry: type u8, version u8, zone u8, flags u8, seq u32, session u32, reserved u32, made u32, forfeited u32, aux u32,
crc32 u32, little-endian. What `aux` and the counters mean depends on the type; see the `_apply` of each.

Allocates: the counters of the open session (three lists of up to 32), one slot per append. Nothing per stroke.
"""

import struct

from pencore import faults, limits
from pencore.compat import const
from pencore.digest import crc32
from pencore.faults import Fault
from pencore.units import U32_MAX

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional

    from pencore.ports import Store

FILE = "ledger.bin"
WITNESS = "witness/seq.bin"
"""Holds the last sequence numbers; in a folder, because each has its own metadata blocks in littlefs."""
NEW_SUFFIX = ".new"

OPEN = const(1)
RESERVE = const(2)
CONFIRM = const(3)
INTERRUPT = const(4)
SEAL = const(5)
ACK = const(6)
COURSE = const(7)
CARTRIDGE = const(8)
CLOCK = const(9)
CHECKPOINT = const(10)

NO_ZONE = const(0xFF)
FLAG_LATCHED = const(1)
FLAG_CLEARED = const(2)

VERSION = const(1)
ENTRY_SIZE = const(32)
SLOT_SIZE = const(64)
_ENTRY = const("<BBBBIIIIII")
_CROWDED_BYTES = const(24_576)
_READ_BYTES = const(4096)
_MARK_SIZE = const(8)
_WITNESS_BYTES = const(256)
"""The witness starts over at this size: so small a file lies inside its folder's metadata and costs no erase."""
_FIRST_MARKS = const(20)
"""So many writes bring the second of a new folder's two metadata blocks into use: from then on one of them may fail."""
FAULTS_KEPT = const(16)
"""Faults a record names one by one; more are counted."""


class Entry:
    """One line of the journal; the sequence number is given at the append."""

    def __init__(
        self,
        kind: int,
        session: int = 0,
        zone: int = NO_ZONE,
        reserved: int = 0,
        made: int = 0,
        forfeited: int = 0,
        aux: int = 0,
        flags: int = 0,
    ) -> None:
        self.kind = kind
        self.session = session
        self.zone = zone
        self.reserved = reserved
        self.made = made
        self.forfeited = forfeited
        self.aux = aux
        self.flags = flags


def pack(entry: Entry, seq: int) -> bytes:
    """Return the 64-byte slot (two equal copies) of `entry` with sequence number `seq`; Fault INTERNAL out of range."""
    for number in (entry.session, entry.reserved, entry.made, entry.forfeited, entry.aux, seq):
        if not 0 <= number <= U32_MAX:
            raise Fault(faults.INTERNAL, entry.kind)
    if not (0 <= entry.kind <= 0xFF and 0 <= entry.zone <= 0xFF and 0 <= entry.flags <= 0xFF):
        raise Fault(faults.INTERNAL, entry.kind)
    data = struct.pack(
        _ENTRY,
        entry.kind,
        VERSION,
        entry.zone,
        entry.flags,
        seq,
        entry.session,
        entry.reserved,
        entry.made,
        entry.forfeited,
        entry.aux,
    )
    data += struct.pack("<I", crc32(data))
    return data + data


def unpack(slot: bytes) -> "tuple[Optional[Entry], int, int]":
    """Return (entry, seq, valid copies 0..2) of a 64-byte slot; no entry when no copy is valid or the two disagree."""
    first = slot[:ENTRY_SIZE]
    second = slot[ENTRY_SIZE:]
    first_good = _valid(first)
    second_good = _valid(second)
    if (not first_good and not second_good) or (first_good and second_good and first != second):
        return None, 0, 0
    fields = struct.unpack(_ENTRY, (first if first_good else second)[: ENTRY_SIZE - 4])
    entry = Entry(fields[0], fields[5], fields[2], fields[6], fields[7], fields[8], fields[9], fields[3])
    return entry, fields[4], 2 if first_good and second_good else 1


def _valid(copy: bytes) -> bool:
    if len(copy) != ENTRY_SIZE or copy[1] != VERSION or not OPEN <= copy[0] <= CHECKPOINT:
        return False
    return bool(struct.unpack("<I", copy[ENTRY_SIZE - 4 :])[0] == crc32(copy[: ENTRY_SIZE - 4]))


def fresh() -> bytes:
    """Return the ledger of a newly provisioned pen: one checkpoint that knows of nothing."""
    return pack(Entry(CHECKPOINT), 1)


def create(store: "Store") -> None:
    """Make the files of a newly provisioned pen; the witness first, so that no journal was ever without one."""
    for _ in range(_FIRST_MARKS):
        store.append(WITNESS, _mark(1))
    store.append(FILE, fresh())


def _mark(seq: int) -> bytes:
    number = struct.pack("<I", seq)
    return number + struct.pack("<I", crc32(number))


class OpenSession:
    """What the journal says of the session that isn't sealed: per-zone counters and its faults."""

    def __init__(self, session: int, zones: int, issued_at: int, profile_crc: int) -> None:
        self.session = session
        self.issued_at = issued_at
        self.profile_crc = profile_crc
        self.reserved = [0] * zones
        self.made = [0] * zones
        self.forfeited = [0] * zones
        self.elapsed_s = 0
        self.interruptions: "list[tuple[int, int, int]]" = []
        self.more_interruptions = 0

    def counted(self, zone: int) -> int:
        """Return the strokes of `zone` that count against its budget: made and forfeited."""
        return self.made[zone] + self.forfeited[zone]

    def total(self) -> int:
        """Return the counted strokes of all zones."""
        return sum(self.made) + sum(self.forfeited)

    def has_interruption(self, code: int) -> bool:
        """Return whether a fault of `code` was logged in this session."""
        for interruption in self.interruptions:
            if interruption[1] == code:
                return True
        return False


class Ledger:
    """The journal and what it says: read whole by `replay`, changed only by `append`.

    `last_session`: id of the last sealed session (0: none yet). `open`: the session that isn't sealed, or None.
    `acked`: records up to this id are acknowledged. `time_floor_s`: no time before this is taken. `courses`,
    `cartridges`: how many entries the long-value files hold at least. `corrected_from_s`, `corrected_to_s`,
    `correction_crc`: the floor before and after the last correction of the clock, and the CRC-32 of its reason;
    `corrected_session`: the last session that was begun before it (0: none yet). `latched`: code of the fault
    that a clear must end, 0 when none. `seal_crc`: CRC-32 of the last record. `single_copies`: slots read from one
    valid copy. `stale`: a write failed half-way, so memory and flash may differ; `replay` before the next append.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._reset()

    def _reset(self) -> None:
        self.seq = 0
        self.size = 0
        self.last_session = 0
        self.acked = 0
        self.time_floor_s = 0
        self.corrected_from_s = 0
        self.corrected_to_s = 0
        self.corrected_session = 0
        self.correction_crc = 0
        self.courses = 0
        self.cartridges = 0
        self.latched = 0
        self.seal_crc = 0
        self.single_copies = 0
        self.stale = False
        self.open: "Optional[OpenSession]" = None

    def next_session(self) -> int:
        """Return the id that a profile must carry: the open session's, or the one after the last sealed."""
        return self.open.session if self.open is not None else self.last_session + 1

    def exists(self) -> bool:
        """Return whether there is a journal, or ever was one."""
        return self._store.size(FILE) >= 0 or self._store.size(WITNESS) >= 0

    def replay(self) -> None:
        """Read the whole journal; Fault LEDGER_MISSING, LEDGER_SHORT or LEDGER_CORRUPT (aux: the slot) if it isn't
        whole, or falls short of its witness.
        """
        self._reset()
        witnessed = self._witnessed()
        size = self._store.size(FILE)
        if size < 0:
            raise Fault(faults.LEDGER_MISSING)
        if size == 0 or size % SLOT_SIZE:
            raise Fault(faults.LEDGER_SHORT, size)
        for offset in range(0, size, _READ_BYTES):
            chunk = self._store.read(FILE, offset, _READ_BYTES)
            if len(chunk) != min(_READ_BYTES, size - offset):
                raise Fault(faults.LEDGER_SHORT, offset)
            for at in range(0, len(chunk), SLOT_SIZE):
                self._replay_slot(chunk[at : at + SLOT_SIZE], (offset + at) // SLOT_SIZE)
        # A cut between the two writes leaves the journal ahead. It is never behind, but where entries were lost.
        if self.seq < witnessed:
            raise Fault(faults.LEDGER_SHORT, self.seq)
        self.size = size

    def _replay_slot(self, slot: bytes, number: int) -> None:
        entry, seq, copies = unpack(slot)
        if entry is None or (number == 0) != (entry.kind == CHECKPOINT) or (number and seq != self.seq + 1):
            raise Fault(faults.LEDGER_CORRUPT, number)
        if copies == 1:
            self.single_copies += 1
        self.seq = seq
        if not self._apply(entry):
            raise Fault(faults.LEDGER_CORRUPT, number)

    def _witnessed(self) -> int:
        """Return the sequence number that the journal has reached at least."""
        size = self._store.size(WITNESS)
        if size < 0:
            raise Fault(faults.LEDGER_MISSING, 1)
        mark = self._store.read(WITNESS, size - _MARK_SIZE, _MARK_SIZE) if size >= _MARK_SIZE else b""
        seq: int = struct.unpack("<I", mark[:4])[0] if len(mark) == _MARK_SIZE else 0
        if mark != _mark(seq):
            raise Fault(faults.LEDGER_CORRUPT, 0)
        return seq

    def _bear_witness(self) -> None:
        """Write down, in other blocks than the journal's, how far it has come."""
        mark = _mark(self.seq)
        if self._store.size(WITNESS) >= _WITNESS_BYTES:
            write_new(self._store, WITNESS, mark)
        else:
            self._store.append(WITNESS, mark)
            if self._witnessed() != self.seq:
                raise Fault(faults.LEDGER_READ_BACK, 1)

    def append(self, entries: "list[Entry]") -> None:
        """Write `entries` in one synced append, read them back, then make them the present state.

        The caller has made sure that the pen is at home with the engine idle. When the read-back differs, the journal
        is written anew beside the old one (other flash blocks) with the entries in it; Fault LEDGER_READ_BACK when that
        differs too. Raises OSError as the store does; the ledger is `stale` then.
        """
        if self.stale:
            self.replay()
        data = b""
        seq = self.seq
        for entry in entries:
            seq += 1
            data += pack(entry, seq)
        # Tried on the state first: in flash, an entry that can't follow what is there would be a fault for ever.
        self.stale = True
        for entry in entries:
            if entry.kind == CHECKPOINT or not self._apply(entry):
                raise Fault(faults.INTERNAL, entry.kind)
        self._store.append(FILE, data)
        good = self._store.read(FILE, self.size, len(data) + 1) == data
        self.seq = seq
        self.size += len(data)
        if good:
            self._bear_witness()
            self.stale = False
        else:
            self.compact()

    def correction(self, time_s: int, reason_crc: int) -> Entry:
        """Return the entry that moves the time floor to `time_s`, for a reason."""
        begun = self.last_session if self.open is None else self.open.session
        return Entry(CLOCK, begun, NO_ZONE, self.time_floor_s, reason_crc, time_s, time_s)

    def crowded(self) -> bool:
        """Return whether the journal should be compacted before the next append."""
        return self.size >= _CROWDED_BYTES or self.single_copies > 0

    def compact(self) -> None:
        """Write the present state as a fresh journal beside the old one, verify it, and put it in the old one's place.

        It starts with a checkpoint; the open session follows with absolute counters and its interruptions.
        """
        data = b""
        seq = self.seq
        for entry in self._summary():
            seq += 1
            data += pack(entry, seq)
        self.stale = True
        write_new(self._store, FILE, data)
        self.seq = seq
        self.size = len(data)
        self.single_copies = 0
        self._bear_witness()
        self.stale = False

    def _summary(self) -> "list[Entry]":
        entries = [
            Entry(
                CHECKPOINT,
                self.last_session,
                NO_ZONE,
                self.acked,
                self.courses,
                self.cartridges,
                self.time_floor_s,
            )
        ]
        if self.last_session:
            entries.append(Entry(SEAL, self.last_session, aux=self.seal_crc))
        session = self.open
        if session is not None:
            entries.append(Entry(OPEN, session.session, len(session.made), session.profile_crc, aux=session.issued_at))
            for zone in range(len(session.made)):
                # Zone 0 always has an entry, for the time that it carries.
                if session.reserved[zone] or zone == 0:
                    entries.append(
                        Entry(
                            CONFIRM if session.reserved[zone] == session.counted(zone) else RESERVE,
                            session.session,
                            zone,
                            session.reserved[zone],
                            session.made[zone],
                            session.forfeited[zone],
                            session.elapsed_s,
                        )
                    )
            for zone, code, elapsed_s in session.interruptions:
                entries.append(Entry(INTERRUPT, session.session, zone, elapsed_s, aux=code))
            if session.more_interruptions:
                entries.append(Entry(INTERRUPT, session.session, NO_ZONE, made=session.more_interruptions))
        # OPEN sets the time floor to the session's issue; a correction may have moved it since, and stays on the books.
        if session is not None or self.corrected_from_s or self.correction_crc:
            entries.append(
                Entry(
                    CLOCK,
                    self.corrected_session,
                    NO_ZONE,
                    self.corrected_from_s,
                    self.correction_crc,
                    self.corrected_to_s,
                    self.time_floor_s,
                )
            )
        if self.latched:
            entries.append(Entry(INTERRUPT, 0, aux=self.latched, flags=FLAG_LATCHED))
        return entries

    def _apply(self, entry: Entry) -> bool:
        """Make `entry` part of the state; False when it can't follow what is there."""
        kind = entry.kind
        if kind == RESERVE or kind == CONFIRM:
            return self._apply_count(entry)
        if kind == INTERRUPT:
            return self._apply_interrupt(entry)
        if kind == OPEN:
            if (
                self.open is not None
                or entry.session != self.last_session + 1
                or not 1 <= entry.zone <= limits.ZONES_MAX
            ):
                return False
            self.open = OpenSession(entry.session, entry.zone, entry.aux, entry.reserved)
            self.time_floor_s = entry.aux
        elif kind == SEAL:
            if self.open is None:
                # The checkpoint of a compacted journal is followed by the last seal again, for its CRC alone.
                if entry.session != self.last_session:
                    return False
            elif entry.session != self.open.session:
                return False
            self.open = None
            self.last_session = entry.session
            self.seal_crc = entry.aux
        elif kind == ACK:
            if not self.acked < entry.session <= self.last_session:
                return False
            self.acked = entry.session
        elif kind == COURSE:
            self.courses = entry.aux
        elif kind == CARTRIDGE:
            self.cartridges = entry.aux
        elif kind == CLOCK:
            self.time_floor_s = entry.aux
            self.corrected_from_s = entry.reserved
            self.correction_crc = entry.made
            self.corrected_to_s = entry.forfeited
            self.corrected_session = entry.session
        elif kind == CHECKPOINT:
            self.last_session = entry.session
            self.acked = entry.reserved
            self.courses = entry.made
            self.cartridges = entry.forfeited
            self.time_floor_s = entry.aux
        else:
            return False
        return True

    def _apply_count(self, entry: Entry) -> bool:
        session = self.open
        zone = entry.zone
        if session is None or entry.session != session.session or zone >= len(session.made):
            return False
        counted = entry.made + entry.forfeited
        if counted > entry.reserved or (entry.kind == CONFIRM and counted != entry.reserved):
            return False
        if entry.made < session.made[zone] or entry.forfeited < session.forfeited[zone]:
            return False
        session.reserved[zone] = entry.reserved
        session.made[zone] = entry.made
        session.forfeited[zone] = entry.forfeited
        session.elapsed_s = entry.aux
        return True

    def _apply_interrupt(self, entry: Entry) -> bool:
        if entry.flags & FLAG_CLEARED:
            self.latched = 0
            return True
        if entry.flags & FLAG_LATCHED:
            self.latched = entry.aux
        if entry.session == 0:
            return True
        session = self.open
        if session is None or entry.session != session.session:
            return False
        if entry.made:
            session.more_interruptions += entry.made
        elif len(session.interruptions) < FAULTS_KEPT:
            session.interruptions.append((entry.zone, entry.aux, entry.reserved))
        else:
            session.more_interruptions += 1
        return True


def write_new(store: "Store", name: str, data: bytes) -> None:
    """Replace file `name` by `data`: write it beside, read it back, rename it into place, read it there.

    After a power cut `name` is wholly old or wholly new; a leftover `name.new` is swept at boot. Fault LEDGER_READ_BACK
    when the flash doesn't give back what was written; OSError as the store does.
    """
    beside = name + NEW_SUFFIX
    if store.size(beside) >= 0:
        store.remove(beside)
    store.append(beside, data)
    if store.read(beside, 0, len(data) + 1) != data:
        raise Fault(faults.LEDGER_READ_BACK)
    store.rename(beside, name)
    # A flash that takes writes without doing them takes a rename as well.
    if store.size(name) < 0 or store.read(name, 0, len(data) + 1) != data:
        raise Fault(faults.LEDGER_READ_BACK)


def sweep(store: "Store") -> None:
    """Remove what a cut between writing beside and renaming has left."""
    for name in store.names():
        if name.endswith(NEW_SUFFIX):
            store.remove(name)
