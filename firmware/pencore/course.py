"""What a pen remembers beyond one session: courses, used cartridges, and the time it has been told. Pen and simulator.

`course.bin` and `cart.bin` hold fixed-size entries, each written twice in one synced append and read back; the ledger
holds how many there must be at least, so a lost or cut file is a fault. Entries that the ledger doesn't know of are
what power cuts between the two writes leave; they are kept, and refuse more, never less. Also the checks of a new
session against that memory.

Allocates one read buffer of up to 4 kB per look-up; nothing per stroke.
"""

import struct

from pencore import faults, limits
from pencore.compat import const
from pencore.digest import crc32, hmac_sha256, pack_text, sha256
from pencore.faults import Fault, Refusal
from pencore.ledger import write_new
from pencore.profile import ID_SIZE, Profile
from pencore.units import DAY_S

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional

    from pencore.ports import Store

COURSE_FILE = "course.bin"
CARTRIDGE_FILE = "cart.bin"
COURSES_MAX = const(256)
"""Entries after which the course file is compacted; twice as many different courses within a year fill it."""
CARTRIDGES_MAX = const(4096)

_COURSE = const("<24sBBHIIHH")
_COURSE_SIZE = const(44)
_CARTRIDGE = const("<16sI")
_CARTRIDGE_SIZE = const(24)
_READ_SLOTS = const(40)
_FORGET_S = const(365 * 86_400)


class CourseMemory:
    """The last sealed session of a course: `index`, `of`, `interval_days`, `session`, `time_s` (issue), `depth_um`."""

    def __init__(
        self, course_id: bytes, index: int, of: int, interval_days: int, session: int, time_s: int, depth_um: int
    ):
        self.course_id = course_id
        self.index = index
        self.of = of
        self.interval_days = interval_days
        self.session = session
        self.time_s = time_s
        self.depth_um = depth_um


class TwinFile:
    """A file of entries of `size` bytes (CRC-32 included), each stored twice; one valid copy is enough.

    Raises Fault LEDGER_CORRUPT when no copy of an entry is valid and LEDGER_SHORT when fewer than `known` are there.
    """

    def __init__(self, store: "Store", name: str, size: int) -> None:
        self._store = store
        self._name = name
        self._size = size
        self.count = 0

    def check(self, known: int) -> None:
        """Read every entry once (at boot); `known` is the number the ledger says there are at least."""
        size = self._store.size(self._name)
        if size < 0:
            size = 0
        slot = 2 * self._size
        # littlefs appends are whole or absent, so a part of a slot is damage.
        if size % slot or size // slot < known:
            raise Fault(faults.LEDGER_SHORT, size)
        self.count = size // slot
        for number in range(0, self.count, _READ_SLOTS):
            self.read(number, _READ_SLOTS)

    def read(self, number: int, most: int) -> "list[bytes]":
        """Return the payloads of up to `most` entries from `number` on."""
        slot = 2 * self._size
        wanted = min(most, self.count - number)
        data = self._store.read(self._name, number * slot, wanted * slot)
        if len(data) != wanted * slot:
            raise Fault(faults.LEDGER_SHORT, number)
        payloads = []
        for at in range(0, len(data), slot):
            payload = self._valid(data[at : at + self._size])
            if payload is None:
                payload = self._valid(data[at + self._size : at + slot])
            if payload is None:
                raise Fault(faults.LEDGER_CORRUPT, number + at // slot)
            payloads.append(payload)
        return payloads

    def _valid(self, copy: bytes) -> "Optional[bytes]":
        payload = copy[: self._size - 4]
        if struct.unpack("<I", copy[self._size - 4 :])[0] != crc32(payload):
            return None
        return payload

    def append(self, payload: bytes) -> None:
        """Add one entry, read it back; Fault LEDGER_READ_BACK when the flash gives back something else."""
        data = payload + struct.pack("<I", crc32(payload))
        data += data
        self._store.append(self._name, data)
        if self._store.read(self._name, self.count * len(data), len(data) + 1) != data:
            raise Fault(faults.LEDGER_READ_BACK, self.count)
        self.count += 1

    def rewrite(self, payloads: "list[bytes]") -> None:
        """Replace all entries, written beside and verified first."""
        data = bytearray()
        for payload in payloads:
            copy = payload + struct.pack("<I", crc32(payload))
            data.extend(copy)
            data.extend(copy)
        write_new(self._store, self._name, bytes(data))
        self.count = len(payloads)


def _cartridge_key(cartridge_id: str) -> bytes:
    return sha256(cartridge_id.encode())[:16]


class Memory:
    """Courses and used cartridges of this pen."""

    def __init__(self, store: "Store") -> None:
        self._courses = TwinFile(store, COURSE_FILE, _COURSE_SIZE)
        self._cartridges = TwinFile(store, CARTRIDGE_FILE, _CARTRIDGE_SIZE)

    def check(self, courses: int, cartridges: int) -> None:
        """Verify both files against the counts of the ledger; Fault when an entry is lost or damaged."""
        self._courses.check(courses)
        self._cartridges.check(cartridges)

    def course_count(self) -> int:
        """Return how many course entries there are."""
        return self._courses.count

    def cartridge_count(self) -> int:
        """Return how many cartridge entries there are."""
        return self._cartridges.count

    def course(self, course_id: str) -> "Optional[CourseMemory]":
        """Return the last sealed session of `course_id`, or None when this pen knows none."""
        wanted = pack_text(course_id, ID_SIZE)
        # The newest entry of a course wins, so the search runs backwards.
        end = self._courses.count
        while end > 0:
            start = max(0, end - _READ_SLOTS)
            payloads = self._courses.read(start, end - start)
            for at in range(len(payloads) - 1, -1, -1):
                if payloads[at][:ID_SIZE] == wanted:
                    fields = struct.unpack(_COURSE, payloads[at])
                    return CourseMemory(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6])
            end = start
        return None

    def remember_course(self, profile: Profile, session: int, time_s: int, depth_um: int) -> bool:
        """Append the session of `profile` that is being sealed; False when its entry is there already (after a cut)."""
        last = self.course(profile.course_id)
        if last is not None and last.session == session:
            return False
        self._courses.append(
            struct.pack(
                _COURSE,
                pack_text(profile.course_id, ID_SIZE),
                profile.course_index,
                profile.course_of,
                profile.interval_days,
                session,
                time_s,
                depth_um,
                0,
            )
        )
        return True

    def cartridge_session(self, cartridge_id: str) -> int:
        """Return the session that used `cartridge_id`, 0 when none did."""
        key = _cartridge_key(cartridge_id)
        session = 0
        for number in range(0, self._cartridges.count, _READ_SLOTS):
            for payload in self._cartridges.read(number, _READ_SLOTS):
                if payload[:16] == key:
                    session = struct.unpack(_CARTRIDGE, payload)[1]
        return session

    def remember_cartridge(self, cartridge_id: str, session: int) -> bool:
        """Append that `session` uses `cartridge_id`; False when that entry is there already (after a cut)."""
        if self.cartridge_session(cartridge_id) == session:
            return False
        self._cartridges.append(struct.pack(_CARTRIDGE, _cartridge_key(cartridge_id), session))
        return True

    def check_room(self) -> None:
        """Refuse a new session when its cartridge or its course could not be remembered."""
        if self._cartridges.count >= CARTRIDGES_MAX:
            raise Refusal(faults.CARTRIDGE_MEMORY_FULL, "cartridge.id", self._cartridges.count, CARTRIDGES_MAX)
        if self._courses.count >= 2 * COURSES_MAX:
            raise Refusal(faults.COURSE_MEMORY_FULL, "course.id", self._courses.count, 2 * COURSES_MAX)

    def courses_crowded(self) -> bool:
        """Return whether the course file is due for `keep_courses`."""
        return self._courses.count >= COURSES_MAX

    def newest_courses(self, floor_s: int) -> "list[bytes]":
        """Return the newest entry of each course, oldest session first. Courses whose last session lies longer before
        `floor_s` than the longest interval are left out: no interval of theirs can be too short any more.
        """
        newest = {}
        for number in range(0, self._courses.count, _READ_SLOTS):
            for payload in self._courses.read(number, _READ_SLOTS):
                newest[payload[:ID_SIZE]] = payload
        payloads = [item for item in newest.values() if _time_of(item) + _FORGET_S >= floor_s]
        payloads.sort(key=_session_of)
        return payloads

    def keep_courses(self, payloads: "list[bytes]") -> None:
        """Replace all course entries by `payloads`; the ledger must know of no more than these."""
        self._courses.rewrite(payloads)


def _time_of(payload: bytes) -> int:
    time_s: int = struct.unpack(_COURSE, payload)[5]
    return time_s


def _session_of(payload: bytes) -> int:
    session: int = struct.unpack(_COURSE, payload)[4]
    return session


def check_course(profile: Profile, last: "Optional[CourseMemory]", corrected_session: int, corrected_to_s: int) -> None:
    """Refuse a new session that its course doesn't allow yet: index, interval, depth step (COURSE_*).

    A session up to `corrected_session` was begun before the clock was corrected to `corrected_to_s`, whatever its issue
    says: its interval counts from there, if that is earlier.
    """
    if last is None:
        return
    if profile.course_index <= last.index:
        raise Refusal(faults.COURSE_INDEX_DONE, "course.index", profile.course_index, last.index + 1)
    if profile.interval_days < last.interval_days:
        raise Refusal(faults.COURSE_CHANGED, "course.interval_days", profile.interval_days, last.interval_days)
    held_s = min(last.time_s, corrected_to_s) if last.session <= corrected_session else last.time_s
    due_s = held_s + profile.interval_days * DAY_S
    if profile.issued_at < due_s:
        raise Refusal(faults.COURSE_TOO_EARLY, "issued_at", profile.issued_at, due_s)
    deepest_um = profile.deepest_um()
    if deepest_um > last.depth_um + profile.max_step_um:
        raise Refusal(faults.COURSE_STEP, "zone.depth_mm", deepest_um, last.depth_um + profile.max_step_um)


def check_cartridge(used_in: int, session: int) -> None:
    """Refuse a cartridge that a session before `session` has used (`used_in`: see `Memory.cartridge_session`)."""
    if 0 < used_in < session:
        raise Refusal(faults.CARTRIDGE_USED, "cartridge.id", used_in, session)


def check_time(issued_at: int, floor_s: int, calibrated_at: int) -> None:
    """Refuse a time before the last one taken (or before the calibration), or more than 45 days after it.

    `floor_s` is 0 on a pen that was never told a time: the first one is taken as it is.
    """
    earliest = max(floor_s, calibrated_at)
    if issued_at < earliest:
        raise Refusal(faults.TIME_BACK, "issued_at", issued_at, earliest)
    if floor_s and issued_at > floor_s + limits.TIME_JUMP_MAX_S:
        raise Refusal(faults.TIME_JUMP, "issued_at", issued_at, floor_s + limits.TIME_JUMP_MAX_S)


def correction_hmac(key: bytes, serial: str, nonce: str, request_id: int, time_s: int, reason: str) -> bytes:
    """Return the signature of a clock correction to `time_s`: good for one request, of one boot of one pen, so that
    nobody can make it a second time.

    HMAC-SHA-256 over "CLK1", serial, nonce, id of the request, new time, reason, with spaces between.
    """
    return hmac_sha256(key, ("CLK1 %s %s %d %d %s" % (serial, nonce, request_id, time_s, reason)).encode())
