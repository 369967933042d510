"""Whether records may be believed: each by its own seal, all by their chain. Host only; pure.

Every record carries the digest of the one before it, so that none can be changed, dropped or put in without a break.
Where sessions are missing on this computer nothing can be said across the gap, nor whether another computer pulled them
or somebody took them away. Nor can the newest be missed: what the chain's end is only the pen knows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

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


class Kind(StrEnum):
    """What can be wrong with a link."""

    CHANGED = "changed"
    """Its bytes are not those that were sealed: some differ, are missing, or are too many."""
    UNREADABLE = "unreadable"
    """It can't be read at all."""
    GONE = "gone"
    """It was kept here: its JSON copy is left."""
    FOREIGN = "foreign"
    """It is another pen's."""
    MISPLACED = "misplaced"
    """It is the record of another session, which isn't kept in its own place."""
    DUPLICATE = "duplicate"
    """It is the record of another session, which is kept in its own place, too."""
    ORDER = "order"
    """No pen has such a session here."""
    DOES_NOT_FOLLOW = "does-not-follow"
    """It names another record before it than the one that is kept: one of the two isn't of this chain."""
    EXCHANGED = "exchanged"
    """It is whole, but the record after it, and its own JSON copy, name another one."""
    MISSING = "missing"
    """It isn't kept here. Only where somebody asked for a chain without gaps."""


@dataclass(frozen=True, slots=True)
class BadLink:
    """The first record that can't be believed: `what` is wrong, for people, with the digests (hex) `expected` and
    `found` where it is one that differs.
    """

    session: int
    where: str
    kind: Kind
    what: str
    expected: str | None = None
    found: str | None = None


class LinkError(Mismatch):
    """A record that can't be believed, and why."""

    def __init__(
        self, kind: Kind, message: str, *, field: str, given: int | str | None = None, limit: int | str | None = None
    ) -> None:
        super().__init__(RECORD_MISMATCH, message, field=field, given=given, limit=limit)
        self.kind = kind


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
    JSON is there; `apart` the files of records that the pen gave and that contradict those kept here.
    """

    serial: str
    count: int
    gaps: tuple[Gap, ...]
    first_bad: BadLink | None
    unverified: tuple[int, ...]
    edited: tuple[EditedCopy, ...] = ()
    orphans: tuple[int, ...] = ()
    apart: tuple[Path, ...] = ()

    @property
    def good(self) -> bool:
        """Whether no link is bad, no copy edited, and nothing set apart. Gaps are no fault."""
        return self.first_bad is None and not self.edited and not self.apart


@dataclass(frozen=True, slots=True)
class Link:
    """One record on its way into a chain: `sealed`, or why it can't be read. `copy_digest` is what its JSON copy gives
    as its digest (hex), where there is one.
    """

    session: int
    where: str
    sealed: Record | PinprickError
    copy_digest: str | None = None


def parse(data: bytes, where: str = "The record") -> Record:
    """Return the Record in `data`; LinkError CHANGED unless size, checksum and counters agree."""
    try:
        return record.decode(data)
    except Refusal as refusal:
        message = f"{where} is not whole: its {refusal.field} is wrong."
        given: int | str | None = refusal.given
        limit: int | str | None = refusal.limit
        if refusal.field == "sha256":
            given, limit = sha256(data[:-DIGEST_SIZE]).hex(), data[-DIGEST_SIZE:].hex()
        raise LinkError(Kind.CHANGED, message, field=refusal.field, given=given, limit=limit) from None


def verify_chain(chain: Iterable[Record]) -> int:
    """Check that each record of `chain` (of one pen, oldest first) follows the one before; return how many there are.

    A gap in the session ids is no break: the records between are not here. Raises LinkError.
    """
    before: Record | None = None
    count = 0
    for sealed in chain:
        bad = _break(before, sealed, "")
        if bad is not None:
            raise LinkError(bad.kind, bad.what, field="previous", given=bad.found, limit=bad.expected)
        before = sealed
        count += 1
    return count


def verify_chains(records: Iterable[Record]) -> None:
    """Check the chain of each pen in `records`, in the order that they come; raises LinkError."""
    pens: dict[str, list[Record]] = {}
    for sealed in records:
        pens.setdefault(sealed.serial, []).append(sealed)
    for chain in pens.values():
        verify_chain(chain)


def follow(serial: str, links: Iterable[Link], *, complete: bool = False, last: int = 0) -> ChainReport:
    """Follow a pen's chain through `links` (oldest first) to its end or its first bad link; raises nothing.

    `last` is the pen's last session, by its own words, or 0: records are missing up to it. With `complete` a gap is a
    bad link as well.
    """
    whole: list[Link] = []
    bad: BadLink | None = None
    sessions: list[int] = []
    for link in links:
        sessions.append(link.session)
        if bad is not None:
            continue
        before = whole[-1] if whole else None
        bad = _missing(serial, before, link.session, link.sealed) if complete else None
        if bad is None and isinstance(link.sealed, PinprickError):
            bad = _unreadable(link.session, link.where, link.sealed)
        elif bad is None:
            bad = _bad_place(before, link)
            if bad is not None and bad.session < link.session:
                whole.pop()
        if bad is None:
            whole.append(link)
    if complete and bad is None:
        bad = _missing(serial, whole[-1] if whole else None, last + 1, None)
    behind = tuple(session for session in sessions if bad is not None and session > bad.session)
    return ChainReport(serial, len(whole), tuple(gaps(sessions, last)), bad, behind)


def gaps(sessions: Iterable[int], last: int = 0) -> Iterator[Gap]:
    """Yield what is missing below and between `sessions`, which ascend, and up to `last`; a pen's first one is 1."""
    expected = 1
    for session in sessions:
        if session > expected:
            yield Gap(expected, session - 1)
        expected = session + 1
    if last >= expected:
        yield Gap(expected, last)


def _unreadable(session: int, where: str, error: PinprickError) -> BadLink:
    digests = (error.limit, error.given) if error.field == "sha256" else (None, None)
    expected, found = (digest if isinstance(digest, str) else None for digest in digests)
    kind = error.kind if isinstance(error, LinkError) else Kind.UNREADABLE
    return BadLink(session, where, kind, error.message, expected, found)


def _missing(serial: str, before: Link | None, session: int, sealed: object) -> BadLink | None:
    """Return the gap before `session`, if there is one, as a bad link; its digest is known where `sealed` names it."""
    first = 1 if before is None else before.session + 1
    if session <= first:
        return None
    gap = Gap(first, session - 1)
    expected = sealed.previous.hex() if isinstance(sealed, Record) and gap.first == gap.last else None
    return BadLink(first, "", Kind.MISSING, f"The record of {gap} of pen {serial} is not kept here.", expected)


def _bad_place(before: Link | None, link: Link) -> BadLink | None:
    """Return what is wrong with a whole `link` after the whole `before`: with `link`, or, where the copy shows it, with
    `before`.
    """
    if not isinstance(link.sealed, Record):
        return None
    last = before.sealed if before is not None and isinstance(before.sealed, Record) else None
    bad = _break(last, link.sealed, link.where)
    if bad is None or before is None or last is None or bad.kind is not Kind.DOES_NOT_FOLLOW:
        return bad
    named = link.sealed.previous.hex()
    if before.copy_digest != named:
        return bad
    what = (
        f"The record of session {before.session} of pen {last.serial} is not the one that was kept: "
        f"its JSON copy, and the record of session {link.session}, name another one."
    )
    return BadLink(before.session, before.where, Kind.EXCHANGED, what, named, last.digest.hex())


def _break(before: Record | None, sealed: Record, where: str) -> BadLink | None:
    """Return what is wrong with `sealed` as the next record after `before` (None: the first one that is here)."""
    who = f"The record of session {sealed.session} of pen {sealed.serial}"
    if before is not None and sealed.serial != before.serial:
        return BadLink(sealed.session, where, Kind.FOREIGN, f"{who} is not one of pen {before.serial}.")
    if sealed.session < 1 or (before is not None and sealed.session <= before.session):
        return BadLink(sealed.session, where, Kind.ORDER, f"{who} comes out of its order.")
    found = sealed.previous.hex()
    if sealed.session == 1 and sealed.previous != ZERO_DIGEST:
        what = f"{who} is the first one and yet names a record before it."
        return BadLink(1, where, Kind.DOES_NOT_FOLLOW, what, ZERO_DIGEST.hex(), found)
    if before is not None and sealed.session == before.session + 1 and sealed.previous != before.digest:
        what = f"{who} does not follow the record of session {before.session}."
        return BadLink(sealed.session, where, Kind.DOES_NOT_FOLLOW, what, before.digest.hex(), found)
    return None
