"""Fetching records from a pen: everything is saved before anything is acknowledged. Host only.

The pen forgets a record once it is acknowledged. So all of them are read, saved, read back from the disk and found in
their place in the chain first; only then does the first acknowledgement go out. Whatever goes wrong before leaves the
pen as it was, and what was saved by then is found again the next time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pinprick.errors import RECORD_MISMATCH, Mismatch
from pinprick.records.store import RecordStore, SavedRecord


class Greeting(Protocol):
    """What a pen says of itself that matters here; see `pinprick.device.PenInfo`."""

    @property
    def serial(self) -> str:
        """The pen's serial number."""

    @property
    def last_session(self) -> int:
        """Id of the last sealed session; 0 before the first."""

    @property
    def ledger_head(self) -> bytes:
        """Digest of its record."""


class RecordSource(Protocol):
    """A pen as far as its records go; `pinprick.device.Pen` is one."""

    def hello(self) -> Greeting:
        """Return what the pen says of itself now."""

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
    RECORDS_FORK (nothing is mixed then) or RECORD_MISMATCH, InputError when the folder can't be written, and what the
    pen's requests raise.
    """
    tell = heard or (lambda _: None)
    info = pen.hello()
    store.check_head(info.serial, info.last_session, info.ledger_head)
    sessions, acked = pen.record_list()
    saved = []
    for number, session in enumerate(sessions, 1):
        saved.append(store.save(pen.record_read(session), info.serial, session))
        tell(Pulled(saved[-1], number, len(sessions), acknowledged=False))
    _check_complete(info, sessions, acked)
    store.check_head(info.serial, info.last_session, info.ledger_head)
    waiting = [entry for entry in saved if entry.record.session > acked] if acknowledge else []
    for number, entry in enumerate(waiting, 1):
        pen.record_ack(entry.record.session, entry.record.digest)
        tell(Pulled(entry, number, len(waiting), acknowledged=True))
    return saved


def _check_complete(info: Greeting, sessions: list[int], acked: int) -> None:
    """Refuse a pen that has lost a record which nobody has acknowledged: no pen forgets those."""
    here = set(sessions)
    for session in range(acked + 1, info.last_session + 1):
        if session not in here:
            message = f"Pen {info.serial} has no record of session {session}, and nobody has acknowledged one."
            raise Mismatch(RECORD_MISMATCH, message, field="sessions", given=session, limit=info.last_session)
