"""Fetching records from a pen: everything is saved before anything is acknowledged. Host only.

The pen forgets a record once it is acknowledged. So all of them are read and found in their place in the chain, then
saved and read back from the disk; only then does the first acknowledgement go out, and each only after its record was
read once more. Whatever goes wrong before leaves the pen as it was, and what was saved by then is found again the next
time.

A record that can't be had, or can't be believed, doesn't keep the others on the pen: they are saved, and nothing is
acknowledged. A pen whose chain doesn't continue what is kept here gets nothing merged and nothing acknowledged: what it
has is set apart, as evidence.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pencore import faults, wire
from pencore.record import Record
from pinprick.errors import RECORD_MISMATCH, RECORDS_AHEAD, RECORDS_FORK, Mismatch, PinprickError, code_name
from pinprick.records.chain import LinkError, verify_chain
from pinprick.records.store import RecordStore, SavedRecord

_ON_THE_WAY = (wire.SAFE, wire.LOADED)
"""States in which a pen may be given a profile, and asked for its records."""
_MEMORY = (
    faults.PROVISION_MISSING,
    faults.PROVISION_CORRUPT,
    faults.LEDGER_MISSING,
    faults.LEDGER_SHORT,
    faults.LEDGER_CORRUPT,
    faults.RECORD_CORRUPT,
    faults.STORE_FAILED,
)
"""Faults with which a pen doesn't know for certain what records it has."""


class Greeting(Protocol):
    """What a pen says of itself that matters here; see `pinprick.device.PenInfo`."""

    @property
    def serial(self) -> str:
        """The pen's serial number."""

    @property
    def state(self) -> int:
        """Its state."""

    @property
    def last_session(self) -> int:
        """Id of the last sealed session; 0 before the first."""

    @property
    def ledger_head(self) -> bytes:
        """Digest of its record."""


class Condition(Protocol):
    """How a pen is; see `pinprick.device.Status`."""

    @property
    def fault(self) -> int:
        """Code of what stopped it; 0 for nothing."""


class RecordSource(Protocol):
    """A pen as far as its records go; `pinprick.device.Pen` is one."""

    def hello(self) -> Greeting:
        """Return what the pen says of itself now."""

    def status(self) -> Condition:
        """Return how it is."""

    def record_list(self) -> tuple[list[int], int]:
        """Return the ids of the records on the pen, and up to which they are acknowledged."""

    def record_read(self, session: int) -> bytes:
        """Return the bytes of a record."""

    def record_ack(self, session: int, digest: bytes) -> None:
        """Tell the pen that the record with this digest is kept."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """One step of a pull: record `number` of `of` was saved, or (`acknowledged`) the pen was told so."""

    saved: SavedRecord
    number: int
    of: int
    acknowledged: bool


def pull_records(
    pen: RecordSource,
    store: RecordStore,
    *,
    acknowledge: bool = True,
    heard: Callable[[Pulled], None] | None = None,
) -> list[SavedRecord]:
    """Save every record of `pen` in `store`, verified, then acknowledge those that were not yet; oldest first.

    `heard` is told of each step. Returns what is now kept of the records on the pen. Raises Mismatch RECORDS_AHEAD,
    RECORDS_FORK (nothing is mixed then) or RECORD_MISMATCH, InputError when the folder can't be written, PinprickError
    with the pen's own code when its memory isn't whole, and what the pen's requests raise.
    """
    tell = heard or (lambda _: None)
    info = pen.hello()
    fault = pen.status().fault if info.state == wire.FAULT else 0
    sessions, acked = pen.record_list()
    saved: list[SavedRecord] = []
    try:
        if fault not in _MEMORY:
            store.check_head(info.serial, info.last_session, info.ledger_head)
        gathered, first = _gathered(pen, store, info.serial, sessions)
        for number, (data, sealed) in enumerate(gathered, 1):
            saved.append(store.save(data, info.serial, sealed.session))
            tell(Pulled(saved[-1], number, len(gathered), acknowledged=False))
        if fault in _MEMORY:
            raise _memory(info.serial, fault)
        if first is not None:
            raise first
        _check_complete(info, sessions, acked)
        store.check_head(info.serial, info.last_session, info.ledger_head)
    except Mismatch as error:
        if error.code in (RECORDS_AHEAD, RECORDS_FORK):
            _set_apart(pen, store, info.serial, sessions, error)
        raise
    waiting = [entry for entry in saved if entry.record.session > acked] if acknowledge else []
    for number, entry in enumerate(waiting, 1):
        _check_kept(store, entry)
        pen.record_ack(entry.record.session, entry.record.digest)
        tell(Pulled(entry, number, len(waiting), acknowledged=True))
    return saved


def check_continues(pen: RecordSource, store: RecordStore, info: Greeting) -> None:
    """Refuse a pen whose records don't continue those kept here; writes nothing, asks only what it must.

    `info` is its latest hello. Raises as `RecordStore.check_head` for its last session. Where that isn't kept, those
    that the pen still has are held against their neighbours here: Mismatch as `RecordStore.admit`.
    """
    store.check_head(info.serial, info.last_session, info.ledger_head)
    kept = set(store.sessions(info.serial))
    if info.state not in _ON_THE_WAY or not kept or info.last_session in kept:
        return
    for session in pen.record_list()[0]:
        if not kept.isdisjoint((session - 1, session, session + 1)):
            store.admit(pen.record_read(session), info.serial, session)


def _gathered(
    pen: RecordSource, store: RecordStore, serial: str, sessions: list[int]
) -> tuple[list[tuple[bytes, Record]], PinprickError | None]:
    """Return the records of `sessions` as the pen has them, and what is wrong with the first that can't be had or
    believed; nothing is written. Raises Mismatch RECORDS_FORK when any doesn't fit what is kept, or another of them.
    """
    gathered: list[tuple[bytes, Record]] = []
    first: PinprickError | None = None
    for session in sessions:
        try:
            data = pen.record_read(session)
            gathered.append((data, store.admit(data, serial, session)))
        except PinprickError as error:
            if not _of_one_record(error):
                raise
            first = first or error
    try:
        verify_chain(sealed for _, sealed in gathered)
    except LinkError as error:
        message = f"Pen {serial} contradicts itself. {error.message}"
        raise Mismatch(RECORDS_FORK, message, field=error.field, given=error.given, limit=error.limit) from None
    return gathered, first


def _of_one_record(error: PinprickError) -> bool:
    """Return whether a record, and not the way to it or to the disk, is what is wrong."""
    return error.code in (RECORD_MISMATCH, faults.RECORD_CORRUPT, faults.RECORD_UNKNOWN)


def _memory(serial: str, fault: int) -> PinprickError:
    who = f"Pen {serial}" if serial else "The pen"
    message = f"{who} is stopped by {code_name(fault)}: it can't tell for certain what records it has."
    hint = "What it gave is kept here. Have a technician look at the pen; its memory may hold more."
    return PinprickError(fault, message, field="state", hint=hint)


def _set_apart(pen: RecordSource, store: RecordStore, serial: str, sessions: list[int], error: Mismatch) -> None:
    """Keep what the pen has and what isn't kept here beside it, and say so in `error`, whatever that meets."""
    apart = []
    for session in sessions:
        with suppress(PinprickError):
            data = pen.record_read(session)
            if session not in store.sessions(serial) or store.load(serial, session).data != data:
                apart.append(store.set_apart(data, serial, session))
    if apart:
        error.hint = f"Don't use the pen. Its own records are kept apart, as evidence: {apart[0].parent}"


def _check_kept(store: RecordStore, entry: SavedRecord) -> None:
    """Refuse to acknowledge what isn't on the disk any more as it was saved."""
    sealed = entry.record
    if store.load(sealed.serial, sealed.session).data != entry.data:
        message = f"{entry.path} was changed since it was written; the pen was not told that it is kept."
        raise Mismatch(RECORD_MISMATCH, message, field="sha256")


def _check_complete(info: Greeting, sessions: list[int], acked: int) -> None:
    """Refuse a pen that has lost a record which nobody has acknowledged: no pen forgets those."""
    here = set(sessions)
    for session in range(acked + 1, info.last_session + 1):
        if session not in here:
            message = f"Pen {info.serial} has no record of session {session}, and nobody has acknowledged one."
            raise Mismatch(RECORD_MISMATCH, message, field="sessions", given=session, limit=info.last_session)
