"""What takes the pen several turns of its loop: arming, reserving, settling, sealing, logging. Pen and simulator.

Each task is a generator that the runner takes one step further per turn; between two `yield`s it makes at most one
flash write (`pen.write`, `pen.append`), so that a slow flash never starves the watchdog. A task may be dropped at any
`yield` (a fault, a power cut): every write leaves the flash in a state from which the next boot or the next task goes
on.

Allocates one generator per task, one plan per arming or zone change, one record per session. Nothing per stroke.
"""

from pencore import faults, limits, profile, provision, record, session, wire
from pencore.compat import const
from pencore.digest import DIGEST_SIZE, ZERO_DIGEST, crc32
from pencore.faults import Fault, Refusal
from pencore.ledger import (
    CARTRIDGE,
    COURSE,
    FLAG_LATCHED,
    INTERRUPT,
    NO_ZONE,
    SEAL,
    Entry,
    Ledger,
    OpenSession,
    sweep,
    write_new,
)
from pencore.motion import Motion
from pencore.planner import Plan
from pencore.session import Session
from pencore.units import ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pencore.ports import Store
    from pencore.runner import Runner

SESSION_FILE = "session.bin"
RECORDS_MAX = const(64)
"""Unacknowledged records the pen keeps; with so many it takes no new session."""
_RECORD_PREFIX = const("rec")
_RECORD_NAME = const("rec%08x.bin")
_PLAN_PIECE = const(16)
_REST_MS = const(2000)
_NO_SPACE = const(28)


# --- files -----------------------------------------------------------------------------------------------------------
def record_name(session_id: int) -> str:
    """Return the name of the file that holds the record of `session_id`."""
    return _RECORD_NAME % session_id


def oldest_kept(ledger: Ledger) -> int:
    """Return the lowest id a kept record can have: all that are not acknowledged, and the last one."""
    return max(1, min(ledger.acked + 1, ledger.last_session))


def read_record(store: "Store", session_id: int) -> bytes:
    """Return the bytes of a record; b"" when the pen has none of that session."""
    name = record_name(session_id)
    size = store.size(name)
    return store.read(name, 0, size) if size > 0 else b""


def read_head(store: "Store", ledger: Ledger) -> bytes:
    """Return the digest of the last sealed record (zeros when there is none); Fault RECORD_CORRUPT when it isn't
    whole.
    """
    if ledger.last_session == 0:
        return ZERO_DIGEST
    data = read_record(store, ledger.last_session)
    if not data or crc32(data) != ledger.seal_crc:
        raise Fault(faults.RECORD_CORRUPT, ledger.last_session)
    return data[len(data) - DIGEST_SIZE :]


def read_provision(store: "Store") -> provision.Provision:
    """Return the pen's provisioning as flash has it; Fault PROVISION_MISSING or PROVISION_CORRUPT."""
    size = store.size(provision.FILE)
    if size < 0:
        raise Fault(faults.PROVISION_MISSING)
    try:
        return provision.decode(store.read(provision.FILE, 0, size))
    except Refusal:
        raise Fault(faults.PROVISION_CORRUPT, size) from None


def renew(pen: "Runner") -> provision.Provision:
    """Read the provisioning from flash anew, with all that is made of it, and return it: no bit flipped in memory shall
    move a limit or home. Only at rest; raises as `read_provision`.
    """
    fresh = read_provision(pen.ports.store)
    pen.provision = fresh
    pen.motion = Motion(pen.ports.engine, fresh.bounds.geometry, fresh.backoff_um)
    return fresh


def read_session(store: "Store", account: OpenSession) -> bytes:
    """Return the open session's profile as it was loaded; Fault LEDGER_CORRUPT when it isn't the one in the ledger."""
    size = store.size(SESSION_FILE)
    data = store.read(SESSION_FILE, 0, size) if size > 0 else b""
    if crc32(data) != account.profile_crc or not data:
        raise Fault(faults.LEDGER_CORRUPT, account.session)
    return data


# --- what tasks need of the pen --------------------------------------------------------------------------------------
def _parts(pen: "Runner") -> "tuple[Session, Motion, provision.Provision]":
    """Return session, motion and provision of a pen that has all three."""
    if pen.session is None or pen.motion is None or pen.provision is None:
        raise Fault(faults.INTERNAL)
    return pen.session, pen.motion, pen.provision


def _rest(pen: "Runner") -> "Iterator[None]":
    """Wait until flash may be written; Fault HOME_LOST when the carriage doesn't come home in time."""
    since_ms = pen.now_ms
    while not pen.at_rest():
        # While a task is in hand neither lease nor idle time ends a state, so the wait itself has an end.
        if ms_since(pen.now_ms, since_ms) > _REST_MS:
            raise Fault(faults.HOME_LOST)
        yield


def _append(pen: "Runner", entries: "list[Entry]") -> "Iterator[None]":
    """Append `entries` at rest, compacting the journal a turn earlier when it is crowded."""
    yield from _rest(pen)
    if pen.ledger.crowded():
        pen.write(pen.ledger.compact)
        yield
        yield from _rest(pen)
    pen.append(entries)


def _settle(pen: "Runner") -> "Iterator[None]":
    """Tell the ledger what became of the last block, once the engine has finished it."""
    work, motion, _ = _parts(pen)
    while motion.queued:
        yield
    entry = work.settle_entry(pen.elapsed_s())
    if entry is not None:
        yield from _append(pen, [entry])
        work.settled()
        yield


def _decoded(pen: "Runner", work: Session) -> profile.Profile:
    """Return the profile decoded anew: its digest proves that it still is the one that was loaded; Fault MEMORY_CORRUPT
    when it isn't.
    """
    try:
        decoded = profile.decode(pen.profile_data)
    except Refusal:
        raise Fault(faults.MEMORY_CORRUPT, work.session) from None
    if decoded.digest != work.profile.digest:
        raise Fault(faults.MEMORY_CORRUPT, work.session)
    return decoded


def _plan(pen: "Runner", zone: int) -> "Iterator[None]":
    """Make the table of `zone` from the profile's bytes, load the guards with its limit, and make it the zone at
    work.
    """
    work, motion, _ = _parts(pen)
    # Anew from flash, as in `renew`, which would lose the engine's homing.
    bounds = read_provision(pen.ports.store).bounds
    checked = _decoded(pen, work)
    try:
        chosen = checked.zones[zone]
        limit_um = limits.effective_um(bounds, chosen.area, checked.depth_um, chosen.depth_um)
        plan = Plan(chosen.depth_um, chosen.rate_per_s, bounds.geometry)
    except Refusal:
        # All of it was accepted at load, so it isn't what it was.
        raise Fault(faults.MEMORY_CORRUPT, zone) from None
    limit_steps = bounds.geometry.stroke_steps(limit_um)
    while not plan.advance(_PLAN_PIECE):
        yield
    yield from _rest(pen)
    work.enter(zone, limit_steps, checked, bounds.cartridge_strokes)
    motion.arm(plan, limit_steps)


# --- tasks -----------------------------------------------------------------------------------------------------------
def recover(pen: "Runner") -> "Iterator[None]":
    """Log that the open session was interrupted, and the strokes that were forfeited for it."""
    yield from _append(pen, pen.recovery)
    pen.recovery = []


def tidy(pen: "Runner") -> "Iterator[None]":
    """Remove what cuts have left: files written beside and not renamed, acknowledged records that are not the last."""
    yield from _rest(pen)
    pen.untidy = False
    store = pen.ports.store
    pen.write(lambda: sweep(store))
    kept = oldest_kept(pen.ledger)
    for name in store.names():
        if name.startswith(_RECORD_PREFIX) and name < record_name(kept):
            yield
            yield from _rest(pen)
            pen.write(_remover(store, name))


def _remover(store: "Store", name: str) -> "Callable[[], None]":
    return lambda: store.remove(name)


def compact(pen: "Runner") -> "Iterator[None]":
    """Write the journal anew, short."""
    yield from _rest(pen)
    pen.write(pen.ledger.compact)


def arm(pen: "Runner", zone: int) -> "Iterator[None]":
    """Home, keep the profile in flash, plan the first zone, load the guards: HOMING -> ARMED."""
    yield from _settle(pen)
    renew(pen)
    work, motion, _ = _parts(pen)
    motion.home(pen.now_ms)
    yield
    while not motion.homed(pen.now_ms):
        yield
    yield from _rest(pen)
    if not work.opened:
        pen.write(lambda: write_new(pen.ports.store, SESSION_FILE, pen.profile_data))
        yield
    yield from _plan(pen, zone)
    pen.fire(session.HOMED)


def select(pen: "Runner", zone: int) -> "Iterator[None]":
    """Settle the zone at work and make another one ready, at home."""
    yield from _settle(pen)
    yield from _plan(pen, zone)
    pen.fire(session.SELECT)


def reserve(pen: "Runner") -> "Iterator[None]":
    """Reserve the next block in flash, read back; only then let the engine have it. The first one consumes id and
    cartridge.
    """
    work, motion, _ = _parts(pen)
    if work.opened:
        yield from _append(pen, [work.reserve_entry(pen.elapsed_s())])
    else:
        yield from _rest(pen)
        pen.write(lambda: pen.memory.remember_cartridge(work.profile.cartridge_id, work.session))
        yield
        # What the journal is told of the profile must be so of the one in flash, or no boot finds it whole.
        _decoded(pen, work)
        entries = [Entry(CARTRIDGE, work.session, aux=pen.memory.cartridge_count())]
        entries.extend(work.opening_entries(crc32(pen.profile_data)))
        yield from _append(pen, entries)
        pen.opened_session()
    work.reserved(pen.ledger.open)
    motion.allow(work.outstanding(), pen.now_ms)


def settle(pen: "Runner") -> "Iterator[None]":
    """Settle the last block; when every zone is spent, seal."""
    yield from _settle(pen)
    work = pen.session
    if work is not None and pen.state == wire.PAUSED and work.first_unspent() == NO_ZONE:
        pen.cut()
        pen.fire(session.FINISH)
        yield from _seal(pen, record.END_SPENT)
        pen.fire(session.SEALED)


def seal(pen: "Runner", reason: int) -> "Iterator[None]":
    """Seal the open session (SEALING -> SAFE)."""
    yield from _settle(pen)
    yield from _seal(pen, reason)
    pen.fire(session.SEALED)


def seal_opened(pen: "Runner") -> "Iterator[None]":
    """Seal a session whose cartridge was opened, in whatever state of rest the pen is."""
    yield from _settle(pen)
    yield from _seal(pen, record.END_CARTRIDGE)


def log_faults(pen: "Runner") -> "Iterator[None]":
    """Write the faults that the ledger doesn't hold yet, with what became of the strokes."""
    yield from _rest(pen)
    _resync(pen)
    entries: "list[Entry]" = []
    work = pen.session
    codes = pen.unlogged
    if work is not None:
        settlement = work.settle_entry(pen.elapsed_s())
        if settlement is not None:
            entries.append(settlement)
    for code in codes:
        if work is not None and work.opened:
            entries.append(Entry(INTERRUPT, work.session, work.zone, pen.elapsed_s(), aux=code, flags=FLAG_LATCHED))
        else:
            entries.append(Entry(INTERRUPT, 0, aux=code, flags=FLAG_LATCHED))
    yield from _append(pen, entries)
    pen.unlogged = pen.unlogged[len(codes) :]
    if work is not None:
        work.settled()


def _resync(pen: "Runner") -> None:
    """Read the journal anew when an entry didn't fit it, and take its counters for the session in hand."""
    if pen.ledger.stale:
        pen.ledger.replay()
        work = pen.session
        account = pen.ledger.open
        if work is not None and account is not None:
            work.adopt(account)


def _seal(pen: "Runner", reason: int) -> "Iterator[None]":
    """Write the record, remember the course, close the session in the ledger. Each step may be repeated after a cut."""
    work, _, _ = _parts(pen)
    sealed = _make_record(pen, reason)
    data = record.encode(sealed)
    store = pen.ports.store
    yield from _rest(pen)
    pen.write(lambda: write_new(store, record_name(work.session), data))
    yield
    yield from _rest(pen)
    if sealed.counted():
        # A visit without a stroke is on record, but takes nothing from its course: no index, no interval, no depth.
        deepest_um = max(zone.deepest_um for zone in sealed.zones)
        pen.write(lambda: pen.memory.remember_course(work.profile, work.session, work.profile.issued_at, deepest_um))
        yield
    entries = [
        Entry(COURSE, work.session, aux=pen.memory.course_count()),
        Entry(SEAL, work.session, made=sealed.made(), forfeited=sealed.forfeited(), aux=crc32(data)),
    ]
    yield from _append(pen, entries)
    pen.sealed(sealed.digest)
    yield
    yield from _rest(pen)
    if pen.memory.courses_crowded():
        yield from _shorten_courses(pen)
    pen.write(lambda: store.remove(SESSION_FILE))


def _shorten_courses(pen: "Runner") -> "Iterator[None]":
    """Keep the newest session of each course alone."""
    payloads = pen.memory.newest_courses(pen.ledger.time_floor_s)
    # The ledger hears of the smaller number first: a cut in between leaves more entries than it knows, never fewer.
    yield from _append(pen, [Entry(COURSE, aux=len(payloads))])
    yield
    yield from _rest(pen)
    pen.write(lambda: pen.memory.keep_courses(payloads))
    yield
    yield from _rest(pen)


def _make_record(pen: "Runner", reason: int) -> record.Record:
    work, _, provision = _parts(pen)
    account = pen.ledger.open
    if account is None or account.session != work.session:
        raise Fault(faults.INTERNAL, work.session)
    source = work.profile
    made = record.Record()
    made.previous = pen.head
    made.profile_digest = source.digest
    made.serial = provision.serial
    made.session = work.session
    made.profile_name = source.name
    made.course_id = source.course_id
    made.course_index = source.course_index
    made.course_of = source.course_of
    made.head = source.head
    made.cartridge_id = source.cartridge_id
    made.cartridge_lot = source.cartridge_lot
    made.expires_day = source.expires_day
    made.build = pen.ports.identity.build()
    made.start_s = source.issued_at
    made.end_s = min(0xFFFFFFFF, source.issued_at + pen.elapsed_s())
    made.calibration_s = max(0, source.issued_at - provision.calibrated_at)
    made.session_depth_um = source.depth_um
    made.session_strokes = source.strokes
    made.end_reason = reason
    made.key_id = source.key_id
    geometry = provision.bounds.geometry
    for index, zone in enumerate(source.zones):
        if account.reserved[index] != account.counted(index):
            raise Fault(faults.INTERNAL, index)
        used = account.counted(index) > 0
        deepest_um = geometry.depth_um(geometry.stroke_steps(zone.depth_um)) if used else 0
        made.zones.append(
            record.RecordZone(
                zone.area,
                zone.side,
                zone.depth_um,
                zone.strokes,
                account.made[index],
                account.forfeited[index],
                deepest_um,
                zone.rate_per_s,
            )
        )
    for zone_index, code, elapsed_s in account.interruptions:
        made.faults.append((code, zone_index, elapsed_s))
    made.more_faults = account.more_interruptions
    return made


def drop_record(pen: "Runner", session_id: int) -> "Iterator[None]":
    """Remove the record before one that is acknowledged now: the last one stays, its digest is the chain's head."""
    yield from _rest(pen)
    store = pen.ports.store
    if store.size(record_name(session_id)) >= 0:
        pen.write(lambda: store.remove(record_name(session_id)))


def store_code(error: OSError) -> int:
    """Return the fault code of an error that the store raised."""
    return faults.STORE_FULL if error.args and error.args[0] == _NO_SPACE else faults.STORE_FAILED


def check_room(pen: "Runner") -> None:
    """Refuse a new session when records or cartridges have no room left: the pen forgets nothing to make some."""
    unacknowledged = pen.ledger.last_session - pen.ledger.acked
    if unacknowledged >= RECORDS_MAX:
        raise Refusal(faults.RECORDS_FULL, "records", unacknowledged, RECORDS_MAX)
    pen.memory.check_room()
