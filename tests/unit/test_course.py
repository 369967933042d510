"""`pencore.course`: the two memory files, lost and damaged, and the rules between sessions at each bound."""

import struct
import zlib

import pytest

from pencore import course, faults, profile
from pencore.course import CARTRIDGE_FILE, CARTRIDGES_MAX, COURSE_FILE, COURSES_MAX, CourseMemory, Memory
from pencore.faults import Fault, Refusal
from tests.portable import samples
from tests.portable.ideal_ports import Files
from tests.portable.samples import CALIBRATED_S, DAY_S, TODAY_S


def twin(payload: bytes) -> bytes:
    """Return an entry as it lies in flash: payload and CRC, twice."""
    return (payload + struct.pack("<I", zlib.crc32(payload))) * 2


def course_entry(number: int, session: int) -> bytes:
    return twin(struct.pack("<24sBBHIIHH", b"course-%d" % number, 1, 6, 30, session, TODAY_S + session, 1000, 0))


def cartridge_entry(number: int) -> bytes:
    return twin(struct.pack("<16sI", b"cartridge-%d" % number, number + 1))


def memory(courses: int = 0, cartridges: int = 0) -> tuple[Memory, Files]:
    """Return a memory of so many entries, and its files."""
    store = Files()
    if courses:
        store.files[COURSE_FILE] = b"".join(course_entry(number, number + 1) for number in range(courses))
    if cartridges:
        store.files[CARTRIDGE_FILE] = b"".join(cartridge_entry(number) for number in range(cartridges))
    kept = Memory(store)
    kept.check(courses, cartridges)
    return kept, store


# --- what is kept -----------------------------------------------------------------------------------------------------
def test_a_course_is_remembered_with_all_that_the_next_session_is_held_against() -> None:
    kept, store = memory()
    made = samples.filled(course_index=3, interval_days=28)
    assert kept.course("course-1") is None
    assert kept.remember_course(made, 7, TODAY_S, 1499)
    last = kept.course("course-1")
    assert last is not None
    assert vars(last) == {
        "course_id": b"course-1".ljust(24, b"\x00"),
        "index": 3,
        "of": 6,
        "interval_days": 28,
        "session": 7,
        "time_s": TODAY_S,
        "depth_um": 1499,
    }
    again = Memory(store)
    again.check(1, 0)
    found = again.course("course-1")
    assert found is not None
    assert vars(found) == vars(last)


def test_the_newest_entry_of_a_course_counts() -> None:
    kept, _ = memory()
    for session in (1, 2, 3):
        kept.remember_course(samples.filled(course_index=session), session, TODAY_S, 500)
        kept.remember_course(samples.filled(course_id="another"), 10 + session, TODAY_S, 500)
    last = kept.course("course-1")
    assert last is not None
    assert (last.index, last.session) == (3, 3)


@pytest.mark.parametrize("courses", [1, 39, 40, 41, 80, 81, 121])
def test_a_course_is_found_wherever_it_lies(courses: int) -> None:
    kept, _ = memory(courses)
    for number in {0, 1, 38, 39, 40, 41, courses - 1} & set(range(courses)):
        last = kept.course(f"course-{number}")
        assert last is not None
        assert last.session == number + 1
    assert kept.course("course-x") is None
    assert kept.course(f"course-{courses}") is None


@pytest.mark.parametrize("cartridges", [0, 1, 40, 41, 100])
def test_a_cartridge_is_found_wherever_it_lies(cartridges: int) -> None:
    kept, _ = memory(0, cartridges)
    assert kept.cartridge_session("mine") == 0
    assert kept.remember_cartridge("mine", 777)
    for number in range(45):
        kept.remember_cartridge(f"later-{number}", 800 + number)
    assert kept.cartridge_session("mine") == 777
    assert kept.cartridge_session("Mine") == 0
    assert kept.cartridge_count() == cartridges + 46


def test_what_is_remembered_already_is_not_written_again() -> None:
    """A cut between the entry and the ledger's word of it makes the pen do it twice."""
    kept, store = memory()
    assert kept.remember_course(samples.filled(), 1, TODAY_S, 500)
    assert kept.remember_cartridge("mine", 1)
    before = dict(store.files)
    assert not kept.remember_course(samples.filled(), 1, TODAY_S, 500)
    assert not kept.remember_cartridge("mine", 1)
    assert store.files == before
    assert kept.remember_course(samples.filled(), 2, TODAY_S, 500)
    assert kept.remember_cartridge("mine", 2)


# --- damage -----------------------------------------------------------------------------------------------------------
def test_lost_entries_are_a_fault_and_more_than_known_are_not() -> None:
    _, store = memory(3, 2)
    for known, whole in ((0, True), (2, True), (3, True), (4, False)):
        again = Memory(store)
        if whole:
            again.check(known, 2)
            assert again.course_count() == 3
            continue
        with pytest.raises(Fault) as fault:
            again.check(known, 2)
        assert fault.value.code == faults.LEDGER_SHORT
    for name in (COURSE_FILE, CARTRIDGE_FILE):
        kept = store.files.pop(name)
        with pytest.raises(Fault):
            Memory(store).check(3, 2)
        store.files[name] = kept


def test_a_part_of_an_entry_is_a_fault() -> None:
    _, store = memory(2)
    whole = store.files[COURSE_FILE]
    for size in range(len(whole) + 1):
        store.files[COURSE_FILE] = whole[:size]
        if size % 88 == 0:
            Memory(store).check(0, 0)
            continue
        with pytest.raises(Fault) as fault:
            Memory(store).check(0, 0)
        assert (fault.value.code, fault.value.aux) == (faults.LEDGER_SHORT, size)


@pytest.mark.parametrize(("name", "size"), [(COURSE_FILE, 44), (CARTRIDGE_FILE, 24)])
def test_one_copy_is_enough_and_none_is_a_fault(name: str, size: int) -> None:
    _, store = memory(3, 3)
    whole = store.files[name]
    for bit in range(8 * 2 * size):
        changed = bytearray(whole)
        changed[2 * size + bit // 8] ^= 1 << bit % 8
        store.files[name] = bytes(changed)
        kept = Memory(store)
        kept.check(3, 3)
        course_2 = kept.course("course-1")
        assert course_2 is not None
        assert course_2.session == 2
        changed[2 * size + (size + bit // 8) % (2 * size)] ^= 0x10
        store.files[name] = bytes(changed)
        with pytest.raises(Fault) as fault:
            Memory(store).check(3, 3)
        assert (fault.value.code, fault.value.aux) == (faults.LEDGER_CORRUPT, 1)


@pytest.mark.parametrize("kind", ["spoil", "lose"])
def test_an_entry_that_reads_back_wrong_is_a_fault(kind: str) -> None:
    kept, store = memory(1, 1)
    store.trouble_at, store.trouble = store.writes + 1, kind
    with pytest.raises(Fault) as fault:
        kept.remember_course(samples.filled(), 9, TODAY_S, 500)
    assert fault.value.code == faults.LEDGER_READ_BACK
    store.trouble_at = store.writes + 1
    with pytest.raises(Fault) as fault:
        kept.remember_cartridge("mine", 9)
    assert fault.value.code == faults.LEDGER_READ_BACK
    assert (kept.course_count(), kept.cartridge_count()) == (1, 1)


# --- room -------------------------------------------------------------------------------------------------------------
def test_cartridges_have_room_up_to_their_number() -> None:
    memory(0, CARTRIDGES_MAX - 1)[0].check_room()
    with pytest.raises(Refusal) as refused:
        memory(0, CARTRIDGES_MAX)[0].check_room()
    assert (refused.value.code, refused.value.limit) == (faults.CARTRIDGE_MEMORY_FULL, CARTRIDGES_MAX)


def test_courses_have_room_up_to_their_number() -> None:
    assert not memory(COURSES_MAX - 1)[0].courses_crowded()
    assert memory(COURSES_MAX)[0].courses_crowded()
    memory(2 * COURSES_MAX - 1)[0].check_room()
    with pytest.raises(Refusal) as refused:
        memory(2 * COURSES_MAX)[0].check_room()
    assert (refused.value.code, refused.value.limit) == (faults.COURSE_MEMORY_FULL, 2 * COURSES_MAX)


def test_compaction_keeps_the_newest_entry_of_each_course() -> None:
    kept, store = memory(90)
    store.files[COURSE_FILE] += b"".join(course_entry(number, 200 + number) for number in (3, 50, 3))
    kept.check(93, 0)
    before = {number: kept.course(f"course-{number}") for number in range(90)}
    payloads = kept.newest_courses(TODAY_S + 1_000)
    kept.keep_courses(payloads)
    assert kept.course_count() == len(payloads) == 90
    for number, last in before.items():
        now = kept.course(f"course-{number}")
        assert last is not None
        assert now is not None
        assert vars(now) == vars(last)
    again = Memory(store)
    again.check(90, 0)


def test_a_course_is_forgotten_when_no_interval_can_reach_back_to_it() -> None:
    """Entry n was issued n + 1 seconds after TODAY_S; an interval has a year at most."""
    kept, _ = memory(3)
    year_s = 365 * DAY_S
    for floor_s, left in ((0, 3), (TODAY_S + 1 + year_s, 3), (TODAY_S + 2 + year_s, 2), (TODAY_S + 4 + year_s, 0)):
        assert len(kept.newest_courses(floor_s)) == left
    kept.keep_courses(kept.newest_courses(TODAY_S + 2 + year_s))
    assert kept.course("course-0") is None
    assert kept.course("course-1") is not None


# --- the rules --------------------------------------------------------------------------------------------------------
def last_session(**changes: int) -> CourseMemory:
    """Return session 2 of the sample's course, a month ago."""
    kept = CourseMemory(b"course-1", 2, 6, 30, 4, TODAY_S - 30 * DAY_S, 1250)
    for name, value in changes.items():
        setattr(kept, name, value)
    return kept


def check_course(made: profile.Profile, last: CourseMemory | None) -> None:
    """Check a session on a pen whose clock was never corrected."""
    course.check_course(made, last, 0, 0)


@pytest.mark.parametrize(
    ("corrected_session", "corrected_days", "due_days"),
    [
        (0, 0, 30),
        # Held before the correction, under a clock that was ahead: it counts from the correction.
        (4, -3652, -3622),
        (9, -3652, -3622),
        (4, -1, 29),
        # Under one that was right, or behind.
        (4, 0, 30),
        (4, 1, 30),
        (4, 3652, 30),
        # Held after it.
        (3, -3652, 30),
        (3, -1, 30),
    ],
)
def test_a_session_of_a_clock_that_was_corrected_since_counts_from_the_correction(
    corrected_session: int, corrected_days: int, due_days: int
) -> None:
    held_s = TODAY_S - 30 * DAY_S
    about = last_session(session=4, time_s=held_s), corrected_session, held_s + corrected_days * DAY_S
    due_s = held_s + due_days * DAY_S
    course.check_course(samples.filled(course_index=3, issued_at=due_s), *about)
    with pytest.raises(Refusal) as refused:
        course.check_course(samples.filled(course_index=3, issued_at=due_s - 1), *about)
    assert (refused.value.code, refused.value.limit) == (faults.COURSE_TOO_EARLY, due_s)


def test_the_first_session_of_a_course_is_free() -> None:
    check_course(samples.filled(course_index=5), None)


@pytest.mark.parametrize(
    ("changes", "code", "field", "given", "limit"),
    [
        ({"course_index": 3}, 0, "", 0, 0),
        ({"course_index": 6}, 0, "", 0, 0),
        ({"course_index": 2}, faults.COURSE_INDEX_DONE, "course.index", 2, 3),
        ({"course_index": 1}, faults.COURSE_INDEX_DONE, "course.index", 1, 3),
        # A clinic may add sessions or drop some: refused, it would begin a new course, which knows of no interval.
        ({"course_of": 5}, 0, "", 0, 0),
        ({"course_of": 7}, 0, "", 0, 0),
        ({"interval_days": 29}, faults.COURSE_CHANGED, "course.interval_days", 29, 30),
        ({"interval_days": 31}, faults.COURSE_TOO_EARLY, "issued_at", TODAY_S, TODAY_S + DAY_S),
        ({"interval_days": 31, "issued_at": TODAY_S + DAY_S}, 0, "", 0, 0),
        ({"issued_at": TODAY_S - 1}, faults.COURSE_TOO_EARLY, "issued_at", TODAY_S - 1, TODAY_S),
        ({"issued_at": TODAY_S + 1}, 0, "", 0, 0),
        ({"max_step_um": 250}, 0, "", 0, 0),
        ({"max_step_um": 249}, faults.COURSE_STEP, "zone.depth_mm", 1500, 1499),
        ({"max_step_um": 0}, faults.COURSE_STEP, "zone.depth_mm", 1500, 1250),
    ],
)
def test_the_next_session_of_a_course(changes: dict[str, int], code: int, field: str, given: int, limit: int) -> None:
    made = samples.filled(**{"course_index": 3, **changes})
    if code == 0:
        check_course(made, last_session())
        return
    with pytest.raises(Refusal) as refused:
        check_course(made, last_session())
    told = refused.value
    assert (told.code, told.field, told.given, told.limit) == (code, field, given, limit)


def test_a_course_may_stay_or_get_shallower() -> None:
    for depth_um in (1500, 1501, 2500):
        check_course(samples.filled(course_index=3, max_step_um=0), last_session(depth_um=depth_um))


@pytest.mark.parametrize(("used_in", "session", "refused"), [(0, 1, False), (4, 4, False), (3, 4, True), (1, 9, True)])
def test_a_cartridge_serves_one_session(used_in: int, session: int, refused: bool) -> None:
    if not refused:
        course.check_cartridge(used_in, session)
        return
    with pytest.raises(Refusal) as told:
        course.check_cartridge(used_in, session)
    assert (told.value.code, told.value.given) == (faults.CARTRIDGE_USED, used_in)


FORTY_FIVE_DAYS = 45 * DAY_S


@pytest.mark.parametrize(
    ("issued_at", "floor_s", "code", "limit"),
    [
        (TODAY_S, TODAY_S, 0, 0),
        (TODAY_S + 1, TODAY_S, 0, 0),
        (TODAY_S - 1, TODAY_S, faults.TIME_BACK, TODAY_S),
        (TODAY_S + FORTY_FIVE_DAYS, TODAY_S, 0, 0),
        (TODAY_S + FORTY_FIVE_DAYS + 1, TODAY_S, faults.TIME_JUMP, TODAY_S + FORTY_FIVE_DAYS),
        (0xFFFFFFFF, TODAY_S, faults.TIME_JUMP, TODAY_S + FORTY_FIVE_DAYS),
        (CALIBRATED_S, 0, 0, 0),
        (CALIBRATED_S - 1, 0, faults.TIME_BACK, CALIBRATED_S),
        (0xFFFFFFFF, 0, 0, 0),
        (CALIBRATED_S - 1, CALIBRATED_S - 2, faults.TIME_BACK, CALIBRATED_S),
        (CALIBRATED_S, CALIBRATED_S - 2, 0, 0),
    ],
)
def test_time_goes_forward_and_not_too_far(issued_at: int, floor_s: int, code: int, limit: int) -> None:
    if code == 0:
        course.check_time(issued_at, floor_s, CALIBRATED_S)
        return
    with pytest.raises(Refusal) as told:
        course.check_time(issued_at, floor_s, CALIBRATED_S)
    assert (told.value.code, told.value.field, told.value.given) == (code, "issued_at", issued_at)
    assert told.value.limit == limit
