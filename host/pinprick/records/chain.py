"""Whether records may be believed: each by its own seal, all by their chain. Host only; pure.

Every record carries the digest of the one before it, so that none can be changed, dropped or put in without a break.
Where sessions are missing on this computer (another one pulled them) nothing can be said across the gap.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pencore import record
from pencore.digest import DIGEST_SIZE, ZERO_DIGEST, sha256
from pencore.faults import Refusal
from pencore.record import Record
from pinprick.errors import RECORD_MISMATCH, Mismatch, PinprickError


@dataclass(frozen=True, slots=True)
class Gap:
    """Sessions `first`..`last` that are not kept here."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"session {self.first}" if self.first == self.last else f"sessions {self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class BadLink:
    """The first record that can't be believed: `what` is wrong, for people, with the digests (hex) `expected` and
    `found` where it is one that differs.
    """

    session: int
    where: str
    what: str
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class EditedCopy:
    """The JSON copy `where` says something else than the record beside it; `field` is the first such place."""

    session: int
    where: str
    field: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What is known of one pen's records: `count` of them are whole and in their place; `unverified` are the sessions
    behind the first bad link, which say nothing until it is settled.

    `edited` are JSON copies that differ from their records, which alone count; `orphans` the sessions of which only the
    JSON is there.
    """

    serial: str
    count: int
    gaps: tuple[Gap, ...]
    first_bad: BadLink | None
    unverified: tuple[int, ...]
    edited: tuple[EditedCopy, ...] = ()
    orphans: tuple[int, ...] = ()

    @property
    def good(self) -> bool:
        """Whether no link is bad and no copy edited. Gaps are no fault."""
        return self.first_bad is None and not self.edited


@dataclass(frozen=True, slots=True)
class Link:
    """One record on its way into a chain: `sealed`, or why it can't be read."""

    session: int
    where: str
    sealed: Record | PinprickError


def parse(data: bytes, where: str = "The record") -> Record:
    """Return the Record in `data`; Mismatch RECORD_MISMATCH unless size, checksum and counters agree."""
    try:
        return record.decode(data)
    except Refusal as refusal:
        message = f"{where} is not whole: its {refusal.field} is wrong."
        given: int | str | None = refusal.given
        limit: int | str | None = refusal.limit
        if refusal.field == "sha256":
            given, limit = sha256(data[:-DIGEST_SIZE]).hex(), data[-DIGEST_SIZE:].hex()
        raise Mismatch(RECORD_MISMATCH, message, field=refusal.field, given=given, limit=limit) from None


def verify_chain(chain: Iterable[Record]) -> int:
    """Check that each record of `chain` (of one pen, oldest first) follows the one before; return how many there are.

    A gap in the session ids is no break: the records between are not here. Raises Mismatch RECORD_MISMATCH.
    """
    before: Record | None = None
    count = 0
    for sealed in chain:
        bad = _break(before, sealed, "")
        if bad is not None:
            raise Mismatch(RECORD_MISMATCH, bad.what, field="previous", given=bad.found, limit=bad.expected)
        before = sealed
        count += 1
    return count


def follow(serial: str, links: Iterable[Link]) -> ChainReport:
    """Follow a pen's chain through `links` (oldest first) to its end or its first bad link; raises nothing."""
    before: Record | None = None
    bad: BadLink | None = None
    sessions: list[int] = []
    count = 0
    for link in links:
        sessions.append(link.session)
        if bad is not None:
            continue
        if isinstance(link.sealed, Record):
            bad = _break(before, link.sealed, link.where)
            before = link.sealed
        else:
            bad = _unreadable(link.session, link.where, link.sealed)
        count += bad is None
    return ChainReport(serial, count, tuple(gaps(sessions)), bad, tuple(sessions[count + 1 :]))


def gaps(sessions: Iterable[int]) -> Iterator[Gap]:
    """Yield what is missing below and between `sessions`, which ascend; a pen's first session is 1."""
    expected = 1
    for session in sessions:
        if session > expected:
            yield Gap(expected, session - 1)
        expected = session + 1


def _unreadable(session: int, where: str, error: PinprickError) -> BadLink:
    digests = (error.limit, error.given) if error.field == "sha256" else (None, None)
    expected, found = (digest if isinstance(digest, str) else None for digest in digests)
    return BadLink(session, where, error.message, expected, found)


def _break(before: Record | None, sealed: Record, where: str) -> BadLink | None:
    """Return what is wrong with `sealed` as the next record after `before` (None: the first one that is here)."""
    who = f"The record of session {sealed.session} of pen {sealed.serial}"
    if before is not None and (sealed.serial != before.serial or sealed.session <= before.session):
        return BadLink(sealed.session, where, f"{who} comes out of its order.")
    found = sealed.previous.hex()
    if sealed.session == 1 and sealed.previous != ZERO_DIGEST:
        what = f"{who} is the first one and yet names a record before it."
        return BadLink(1, where, what, ZERO_DIGEST.hex(), found)
    if before is not None and sealed.session == before.session + 1 and sealed.previous != before.digest:
        what = f"{who} does not follow the record of session {before.session}."
        return BadLink(sealed.session, where, what, before.digest.hex(), found)
    return None
