"""Records of sessions on this computer: read, put into words, held against their chain, kept. Host only; owns a folder.

A record is kept twice: byte for byte as the pen sealed it (`session-00000007.ppr`, which alone counts) and as JSON
beside it, for people and other programs. The highest one kept is the pen's head as this computer knows it; a pen whose
memory says otherwise was tampered with or set back, and `check_head` finds it.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs

from pencore import limits, record
from pencore.digest import ZERO_DIGEST
from pencore.faults import Refusal
from pencore.profile import HEADS
from pencore.record import Record
from pinprick.errors import (
    FILE_UNREADABLE,
    FILE_UNWRITABLE,
    RECORD_MISMATCH,
    RECORDS_AHEAD,
    RECORDS_FORK,
    InputError,
    Mismatch,
    code_name,
)

_EPOCH = date(1970, 1, 1)
_NO_ZONE = 255


def default_folder() -> Path:
    """Return where this user's records are kept."""
    return platformdirs.user_data_path("pinprick", appauthor=False) / "records"


@dataclass(frozen=True, slots=True)
class SavedRecord:
    """A record as it is kept: `path` is the binary file, `data` its bytes; `new` when it wasn't there before."""

    path: Path
    data: bytes = field(repr=False)
    record: Record = field(repr=False)
    new: bool


# --- in words --------------------------------------------------------------------------------------------------------
def describe(sealed: Record) -> dict[str, Any]:
    """Return `sealed` in names and units for people and JSON: digests in hex, times in UTC, areas and codes by name."""
    return {
        "schema": 1,
        "serial": sealed.serial,
        "session": sealed.session,
        "profile": sealed.profile_name,
        "profile_sha256": sealed.profile_digest.hex(),
        "head": HEADS[sealed.head] if sealed.head < len(HEADS) else f"head-{sealed.head}",
        "course": {"id": sealed.course_id, "index": sealed.course_index, "of": sealed.course_of},
        "cartridge": {
            "id": sealed.cartridge_id,
            "lot": sealed.cartridge_lot,
            "expires": (_EPOCH + timedelta(days=sealed.expires_day)).isoformat(),
        },
        "firmware_build": sealed.build,
        "key_id": sealed.key_id,
        "start": _utc(sealed.start_s),
        "end": _utc(sealed.end_s),
        "calibration_age_s": sealed.calibration_s,
        "ended": _reason(sealed.end_reason),
        "limits": {"depth_um": sealed.session_depth_um, "strokes": sealed.session_strokes},
        "counted": sealed.counted(),
        "made": sealed.made(),
        "forfeited": sealed.forfeited(),
        "zones": [
            {
                "zone": limits.zone_name(zone.area, zone.side),
                "depth_um": zone.depth_um,
                "deepest_commanded_um": zone.deepest_um,
                "rate_per_s": zone.rate_per_s,
                "budget": zone.budget,
                "made": zone.made,
                "forfeited": zone.forfeited,
                "counted": zone.counted(),
            }
            for zone in sealed.zones
        ],
        "faults": [_fault(sealed, *entry) for entry in sealed.faults],
        "more_faults": sealed.more_faults,
        "previous_sha256": sealed.previous.hex(),
        "sha256": sealed.digest.hex(),
    }


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _reason(code: int) -> str:
    return record.END_REASONS[code] if code < len(record.END_REASONS) else f"reason-{code}"


def _fault(sealed: Record, code: int, zone: int, elapsed_s: int) -> dict[str, Any]:
    known = zone < len(sealed.zones)
    return {
        "code": code,
        "name": code_name(code),
        "zone": limits.zone_name(sealed.zones[zone].area, sealed.zones[zone].side) if known else None,
        "elapsed_s": elapsed_s,
    }


# --- checks ----------------------------------------------------------------------------------------------------------
def parse(data: bytes, where: str = "The record") -> Record:
    """Return the Record in `data`; Mismatch RECORD_MISMATCH unless size, checksum and counters agree."""
    try:
        return record.decode(data)
    except Refusal as refusal:
        message = f"{where} is not whole: its {refusal.field} is wrong."
        raise Mismatch(
            RECORD_MISMATCH, message, field=refusal.field, given=refusal.given, limit=refusal.limit
        ) from None


def verify_chain(chain: Iterable[Record]) -> int:
    """Check that each record of `chain` (of one pen, oldest first) follows the one before; return how many there are.

    A gap in the session ids is no break: the records between are not here. Raises Mismatch RECORD_MISMATCH.
    """
    before: Record | None = None
    count = 0
    for sealed in chain:
        if before is not None and (sealed.serial != before.serial or sealed.session <= before.session):
            raise _broken(sealed, "comes out of its order")
        if sealed.session == 1 and sealed.previous != ZERO_DIGEST:
            raise _broken(sealed, "is the first one and yet names a record before it")
        if before is not None and sealed.session == before.session + 1 and sealed.previous != before.digest:
            raise _broken(sealed, f"does not follow the record of session {before.session}")
        before = sealed
        count += 1
    return count


def _broken(sealed: Record, what: str) -> Mismatch:
    message = f"The record of session {sealed.session} of pen {sealed.serial} {what}."
    return Mismatch(RECORD_MISMATCH, message, field="previous")


# --- kept ------------------------------------------------------------------------------------------------------------
class RecordStore:
    """The records kept in `folder` (the user's own, when left out), one subfolder per pen. Made when first written
    to.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder

    def pen_folder(self, serial: str) -> Path:
        """Return the folder of one pen's records. Whatever the serial holds, it is one name below the store's
        folder.
        """
        return self.folder / ("pen-" + quote(serial, safe="").replace(".", "%2E"))

    def path(self, serial: str, session: int) -> Path:
        """Return where the record of `session` is, or would be, kept."""
        return self.pen_folder(serial) / f"session-{session:08d}.ppr"

    def sessions(self, serial: str) -> list[int]:
        """Return the ids of the sessions whose records are kept, in order."""
        names = (path.stem.removeprefix("session-") for path in self.pen_folder(serial).glob("session-*.ppr"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def load(self, serial: str, session: int) -> SavedRecord:
        """Return a kept record, checked; InputError FILE_UNREADABLE, Mismatch RECORD_MISMATCH."""
        path = self.path(serial, session)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(FILE_UNREADABLE, f"{path} cannot be read: {error.strerror}.", given=str(path)) from None
        sealed = parse(data, str(path))
        if (sealed.serial, sealed.session) != (serial, session):
            message = f"{path} holds the record of session {sealed.session} of pen {sealed.serial}."
            raise Mismatch(RECORD_MISMATCH, message, field="session", given=sealed.session, limit=session)
        return SavedRecord(path, data, sealed, new=False)

    def head(self, serial: str) -> Record | None:
        """Return the newest record kept of a pen, or None."""
        sessions = self.sessions(serial)
        return self.load(serial, sessions[-1]).record if sessions else None

    def check_head(self, serial: str, last_session: int, ledger_head: bytes) -> None:
        """Refuse a pen whose memory contradicts what is kept here; `last_session` and `ledger_head` are its own words.

        Raises Mismatch RECORDS_AHEAD when a session is kept that the pen has no memory of, RECORDS_FORK when the pen's
        last record is another than the one kept of the same session.
        """
        kept = self.sessions(serial)
        if kept and kept[-1] > last_session:
            pen = f"the pen's last one is {last_session}"
            message = f"A record of session {kept[-1]} of pen {serial} is kept here, but {pen}."
            raise Mismatch(RECORDS_AHEAD, message, field="session_id", given=last_session, limit=kept[-1])
        if last_session in kept and self.load(serial, last_session).record.digest != ledger_head:
            raise self._fork(serial, last_session)

    def verify(self, serial: str) -> int:
        """Check every kept record of a pen and its chain; return how many there are. Raises Mismatch."""
        return verify_chain(self.load(serial, session).record for session in self.sessions(serial))

    def save(self, data: bytes, serial: str, session: int) -> SavedRecord:
        """Keep the record in `data`, which a pen gave as that of `session`; return it as it was read back.

        It is checked by itself and against its neighbours first. Raises Mismatch RECORD_MISMATCH, RECORDS_FORK when
        another record of the same session is kept (both stay as they are), InputError FILE_UNWRITABLE.
        """
        sealed = parse(data, f"The record of session {session}")
        if (sealed.serial, sealed.session) != (serial, session):
            message = f"The pen gave the record of session {sealed.session} of pen {sealed.serial} for another one."
            raise Mismatch(RECORD_MISMATCH, message, field="session", given=sealed.session, limit=session)
        kept = self.sessions(serial)
        if session in kept and self.load(serial, session).data != data:
            raise self._fork(serial, session)
        neighbours = [self.load(serial, near).record for near in (session - 1, session + 1) if near in kept]
        verify_chain(sorted([sealed, *neighbours], key=lambda item: item.session))
        path = self.path(serial, session)
        new = session not in kept
        if new:
            text = json.dumps(describe(sealed), indent=2) + "\n"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path.with_suffix(".json"), text.encode())
                _write(path, data)
            except OSError as error:
                message = f"The record cannot be written to {path}: {error.strerror}."
                raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None
        saved = self.load(serial, session)
        if saved.data != data:
            raise Mismatch(RECORD_MISMATCH, f"{path} was read back differently than it was written.", field="sha256")
        return SavedRecord(path, data, saved.record, new)

    def _fork(self, serial: str, session: int) -> Mismatch:
        message = f"Pen {serial} has another record of session {session} than the one kept here."
        return Mismatch(RECORDS_FORK, message, field="ledger_head", given=session)


def _write(path: Path, data: bytes) -> None:
    """Write a file so that, whatever happens meanwhile, it is afterwards either whole or not there."""
    descriptor, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        # The name is in the folder, and the folder must reach the disk too. Not every file system can do that.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)
