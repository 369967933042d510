"""The core's modules, asked in whole sequences, so that both Pythons can be compared; and checks of worked numbers."""

from pencore import course, digest, faults, ledger, planner, profile, provision, record, session, wire
from pencore.consent import CartridgeSwitch, Trigger
from pencore.faults import Fault, Refusal
from pencore.limits import Bounds
from pencore.units import TICK_HZ, Geometry, ms_add
from tests.portable import samples
from tests.portable.expect import equal, faulted, refused, true
from tests.portable.ideal_ports import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def told(refusal: Refusal) -> "list[Any]":
    """Return what a refusal says of itself."""
    return [refusal.code, refusal.field, refusal.given, refusal.limit, refusal.zone]


# --- profile, provision, record --------------------------------------------------------------------------------------
def profile_bytes(changes: "dict[str, Any]", zones: "list[Any]", key_id: int) -> bytes:
    """Return a sample profile with changes, in binary."""
    return profile.encode(samples.filled(zones, **changes), key_id, samples.KEY)


def judge_profile(data: bytes, key_id: int, ceiling_um: int, caps_um: "list[int]") -> "list[Any]":
    """Return everything a pen makes of `data`: its fields, and each problem."""
    decoded = profile.decode(data)
    profile.check_signature(data, key_id, samples.KEY)
    problems = profile.problems(decoded, samples.bounds(ceiling_um=ceiling_um, caps_um=caps_um))
    zones = [[z.area, z.side, z.depth_um, z.strokes, z.rate_per_s] for z in decoded.zones]
    return [
        decoded.digest,
        decoded.name,
        decoded.course_id,
        decoded.cartridge_id,
        decoded.issued_at,
        decoded.expires_day,
        decoded.strokes,
        zones,
        [told(problem) for problem in problems],
    ]


def reread_provision(data: bytes) -> "list[Any]":
    """Return the fields of a provision and its bytes when encoded again."""
    made = provision.decode(data)
    bounds = made.bounds
    return [made.serial, bounds.geometry.as_list(), list(bounds.caps_um), made.key_id, provision.encode(made)]


def reread_record(data: bytes) -> "list[Any]":
    """Return the sums of a record and its bytes when encoded again."""
    one = record.decode(data)
    return [one.serial, one.made(), one.forfeited(), one.faults, record.encode(one)]


# --- tables ----------------------------------------------------------------------------------------------------------
def table(depth_um: int, rate_per_s: int, numbers: "list[int]") -> "list[Any]":
    """Return a finished table with its CRC, made in pieces of 7."""
    plan = planner.Plan(depth_um, rate_per_s, Geometry(*numbers))
    turns = 1
    while not plan.advance(7):
        turns += 1
    return [plan.table, plan.crc, plan.steps, plan.period_ticks, turns, plan.intact()]


# --- ledger ----------------------------------------------------------------------------------------------------------
def journal(acts: "list[list[Any]]") -> "list[Any]":
    """Append entries (lists of Entry's arguments), compact ("compact") and fail ("fail", "fail done"); tell of each."""
    store = Files()
    ledger.create(store)
    book = ledger.Ledger(store)
    book.replay()
    seen: "list[Any]" = []
    for act in acts:
        try:
            if act[0] == "compact":
                book.compact()
            elif act[0] == "replay":
                book.replay()
            elif isinstance(act[0], str):
                store.trouble_at = store.writes + 1
                store.trouble = act[0]
            else:
                book.append([ledger.Entry(*act)])
        except Fault as fault:
            seen.append([fault.code, fault.aux])
        except OSError:
            seen.append("failed")
        seen.append(ledger_state(book))
    return seen + [store.image()]


def ledger_state(book: ledger.Ledger) -> "list[Any]":
    """Return what a ledger says."""
    account = book.open
    known: "list[Any]" = [book.seq, book.size, book.last_session, book.acked, book.time_floor_s, book.courses]
    known += [book.cartridges, book.latched, book.seal_crc, book.single_copies, book.stale, book.next_session()]
    if account is not None:
        known += [account.session, account.reserved, account.made, account.forfeited, account.elapsed_s]
        known += [account.interruptions, account.more_interruptions, account.total()]
    return known


def read_journal(data: bytes) -> "list[Any]":
    """Return what a fresh reader makes of a file."""
    store = Files()
    ledger.create(store)
    store.files[ledger.FILE] = data
    book = ledger.Ledger(store)
    book.replay()
    return ledger_state(book)


# --- memory ----------------------------------------------------------------------------------------------------------
def memories(acts: "list[list[Any]]") -> "list[Any]":
    """Remember and look up courses and cartridges; tell of each."""
    store = Files()
    kept = course.Memory(store)
    seen: "list[Any]" = []
    for what, number, session_id in acts:
        name = "id-%d" % number
        if what == "course":
            made = samples.filled(course_id=name, course_index=1 + number % 12)
            seen.append(kept.remember_course(made, session_id, session_id * 60, number))
        elif what == "cartridge":
            seen.append(kept.remember_cartridge(name, session_id))
        elif what == "compact":
            kept.keep_courses(kept.newest_courses(31_000_000))
        elif what == "cartridge?":
            seen.append(kept.cartridge_session(name))
        else:
            last = kept.course(name)
            seen.append(None if last is None else [last.index, last.session, last.time_s, last.depth_um])
    return seen + [kept.course_count(), kept.cartridge_count(), store.image()]


def rules(issued_at: int, floor_s: int, calibrated_at: int, changes: "dict[str, Any]", last: "list[int]") -> int:
    """Return the code with which a session is refused between two others; 0 when it isn't."""
    try:
        course.check_time(issued_at, floor_s, calibrated_at)
        made = samples.filled(issued_at=issued_at, **changes)
        course.check_course(made, course.CourseMemory(b"", *last), floor_s % 9, floor_s)
    except Refusal as refusal:
        return refusal.code
    return 0


# --- session ---------------------------------------------------------------------------------------------------------
def strokes(budgets: "list[int]", session_budget: int, cartridge: int, acts: "list[list[Any]]") -> "list[Any]":
    """Reserve, make, forfeit, settle and change zones as the pen does; tell of each."""
    zones = [(index, 0, 500, budgets[index], 1) for index in range(len(budgets))]
    work = session.Session(samples.filled(zones, strokes=session_budget), None, cartridge)
    store = Files()
    ledger.create(store)
    book = ledger.Ledger(store)
    book.replay()
    seen: "list[Any]" = []
    for what, number in acts:
        try:
            _stroke_act(work, book, what, number, cartridge)
        except Refusal as refusal:
            seen.append(told(refusal))
        except Fault as fault:
            seen.append([fault.code, fault.aux])
        seen.append([[work.made(z), work.forfeited(z), work.left(z)] for z in range(len(budgets))])
        seen.append([work.zone, work.outstanding(), work.total(), work.first_unspent(), book.seq])
    return seen + [store.image()]


def _stroke_act(work: session.Session, book: ledger.Ledger, what: str, number: int, cartridge: int) -> None:
    if what == "choose":
        work.choose(number)
    elif what == "enter":
        work.enter(number % len(work.profile.zones), number, work.profile, cartridge)
    elif what == "make":
        for _ in range(number):
            work.made_one()
    elif what == "forfeit":
        work.forfeit(number)
    elif what == "settle":
        entry = work.settle_entry(number)
        if entry is not None:
            book.append([entry])
            work.settled()
    elif what == "reserve" and work.zone != ledger.NO_ZONE and work.block() > 0 and not work.outstanding():
        book.append([work.reserve_entry(number)] if work.opened else work.opening_entries(number))
        work.reserved(book.open)


# --- consent ---------------------------------------------------------------------------------------------------------
def consents(start_ms: int, spans: "list[list[Any]]") -> "list[Any]":
    """Sample trigger and cartridge switch with levels for so long at such a pace; tell of each sample."""
    trigger = Trigger()
    switch = CartridgeSwitch()
    now_ms = start_ms
    seen: "list[Any]" = []
    for level, span_ms, pace_ms, act in spans:
        if act == 1:
            trigger.rearm(now_ms)
        elif act == 2:
            trigger.disarm()
        elif act == 3:
            switch.used()
        for _ in range(0, span_ms, pace_ms):
            trigger.sample(level, now_ms)
            switch.sample(level, now_ms)
            seen.append([trigger.down, trigger.wants(), trigger.wait_ms(now_ms)])
            seen.append([switch.closed, switch.changed, switch.wait_ms(now_ms)])
            now_ms = ms_add(now_ms, pace_ms)
    return seen


# --- checks ----------------------------------------------------------------------------------------------------------
def check_hmac_of_rfc_4231() -> None:
    """Cases 1 and 2: neither Python's own hmac is used."""
    equal(
        digest.to_hex(digest.hmac_sha256(b"\x0b" * 20, b"Hi There")),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    )
    equal(
        digest.to_hex(digest.hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    )
    equal(digest.crc32(b"123456789"), 0xCBF43926)


def check_numbers_that_do_not_fit_are_refused_before_they_are_packed() -> None:
    """MicroPython's struct wraps in silence where CPython's raises: neither is ever asked to."""
    for name, field in (
        ("session_id", "session_id"),
        ("issued_at", "issued_at"),
        ("course_of", "course.of"),
        ("interval_days", "course.interval_days"),
        ("needles", "cartridge.needles"),
        ("depth_um", "limits.depth_mm"),
        ("strokes", "limits.strokes"),
    ):
        for value in (-1, 2**32):
            refusal = refused(faults.WIRE_BAD_PARAM, profile_bytes, {name: value}, list(samples.ZONES), 0)
            equal(refusal.field, field)
    for at in range(5):
        zone = [4, 1, 1500, 60, 20]
        zone[at] = 2**32
        refused(faults.WIRE_BAD_PARAM, profile_bytes, {"strokes": 60}, [zone], 0)
    for name in ("session", "reserved", "made", "forfeited", "aux"):
        entry = ledger.Entry(ledger.CONFIRM)
        setattr(entry, name, 2**32)
        faulted(faults.INTERNAL, ledger.pack, entry, 1)


def check_every_single_bit_of_a_profile() -> None:
    """Signed: every eighth flip here, all of them under CPython alone."""
    data = profile_bytes({}, list(samples.ZONES), samples.KEY_ID)
    judge_profile(data, samples.KEY_ID, 2500, [])
    for bit in range(0, 8 * len(data), 9):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            judge_profile(bytes(changed), samples.KEY_ID, 2500, [])
        except Refusal:
            continue
        raise AssertionError("bit %d" % bit)


def check_every_bit_of_a_table() -> None:
    """A flipped bit of a finished table shows before its next stroke."""
    plan = planner.Plan(100, 20, Geometry(microsteps=1, retract_offset_um=100))
    while not plan.advance(50):
        pass
    for bit in range(8 * len(plan.table)):
        plan.table[bit // 8] ^= 1 << bit % 8
        true(not plan.intact(), "bit %d" % bit)
        plan.table[bit // 8] ^= 1 << bit % 8
    true(plan.intact(), "unchanged")


def check_the_reference_pen_s_words_are_small_integers() -> None:
    """Below 2**30 at one stroke a second: nothing of a stroke's making outlives it on the heap."""
    geometry = Geometry()
    for depth_um in (100, 1500, 2500):
        true(2 * (TICK_HZ + 1) < 2**30, "the whole period")
        words = table(depth_um, 1, geometry.as_list())[0]
        equal(len(words), 4 * (2 * geometry.stroke_steps(depth_um) + 1))


def check_every_flipped_bit_of_a_counter() -> None:
    """Past the small integers as well: the inverse of a count is negative."""
    for value in (0, 1, 200_000, 2**30, 2**32 - 1):
        for bit in range(34):
            counter = session.Counter()
            counter.set(value)
            equal(counter.get(), value)
            counter._inverse ^= 1 << bit
            faulted(faults.MEMORY_CORRUPT, counter.get)


def check_the_table_of_states_has_a_cell_for_each_pair() -> None:
    """And each cell is a state, refused, or ignored."""
    for event in range(len(session.EVENT_NAMES)):
        for state in range(len(wire.STATE_NAMES)):
            cell = session.next_state(state, event)
            no_state = cell in (session.REFUSED, session.IGNORED)
            true(no_state or 0 < cell < len(wire.STATE_NAMES), "%d %d" % (state, event))


def check_bounds_without_a_table_of_caps() -> None:
    """An empty table of caps packs and unpacks on both."""
    made = provision.decode(provision.encode(samples.provisioned(caps_um=())))
    equal(list(made.bounds.caps_um), [])
    equal(Bounds(Geometry()).zone_cap_um(samples.CHEEK), 1500)
