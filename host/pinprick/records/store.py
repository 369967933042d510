"""The records kept on this computer: files that are whole or not there, never replaced. Host only; owns a folder.

A record is kept twice: byte for byte as the pen sealed it (`session-00000007.ppr`, which alone counts) and, written
after it, as JSON beside it, for people and other programs; so a JSON without its record shows that one was taken away.
The highest one kept is the pen's head as this computer knows it; a pen whose memory says otherwise was tampered with or
set back, and `check_head` finds it. So only a folder that isn't there holds no records: one that can't be read is an
error everywhere, or whoever takes its rights away would switch that off.

What `save` returns is on the disk, its names and those of its folders too: the pen is told so and may forget it then.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from pencore.digest import sha256
from pencore.record import Record
from pinprick.errors import (
    FILE_MISSING,
    FILE_TOO_BIG,
    FILE_UNREADABLE,
    FILE_UNWRITABLE,
    RECORD_MISMATCH,
    RECORDS_AHEAD,
    RECORDS_FORK,
    InputError,
    Mismatch,
    PinprickError,
)
from pinprick.files import (
    Staged,
    TooBig,
    folder_name,
    is_there,
    make_private,
    names_in,
    read_bounded,
    sync_file,
    sync_folder,
    sync_way,
    text_of,
    write_private,
)
from pinprick.places import data_folder
from pinprick.records.chain import ChainReport, EditedCopy, Kind, Link, LinkError, follow, parse, verify_chain
from pinprick.records.words import describe, difference

_PEN = "pen-"
_SESSION = "session-"
_APART = "apart"
"""Subfolder for what contradicts the records that are kept."""

_DIGITS_MOST = 10
"""Digits of a session's id, which is below 2**32."""
_RECORD_MOST = 64 * 1024
"""Bytes of a file that is still read as a record; one has about a thousand."""
_COPY_MOST = 1024 * 1024
"""Bytes of a JSON copy."""


def default_folder() -> Path:
    """Return where this user's records are kept."""
    return data_folder() / "records"


@dataclass(frozen=True, slots=True)
class SavedRecord:
    """A record as it is kept: `path` is the binary file, `data` its bytes; `new` when it wasn't there before."""

    path: Path
    data: bytes = field(repr=False)
    record: Record = field(repr=False)
    new: bool


class RecordStore:
    """The records kept in `folder` (the user's own, when left out), one subfolder per pen. Made when first written
    to.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder
        self._reached: set[Path] = set()
        """Folders whose own names are on the disk."""

    # --- what is there -----------------------------------------------------------------------------------------------
    def pen_folder(self, serial: str) -> Path:
        """Return the folder of one pen's records, one name below the store's folder whatever the serial holds; no
        other pen's, even where case makes no difference. InputError FILE_UNREADABLE.
        """
        try:
            return self.folder / folder_name(self.folder, _PEN, serial)
        except OSError as error:
            raise _unreadable(self.folder, error) from None

    def path(self, serial: str, session: int) -> Path:
        """Return where the record of `session` is, or would be, kept."""
        return self.pen_folder(serial) / f"{_SESSION}{session:08d}.ppr"

    def serials(self) -> list[str]:
        """Return the serial numbers of the pens of which records are kept, in order; InputError FILE_UNREADABLE."""
        found = {name: text_of(name.removeprefix(_PEN)) for name in _names_in(self.folder) if name.startswith(_PEN)}
        own = (serial for name, serial in found.items() if self.pen_folder(serial).name == name)
        return sorted(serial for serial in own if self.sessions(serial))

    def sessions(self, serial: str) -> list[int]:
        """Return the ids of the sessions whose records are kept, in order; InputError FILE_UNREADABLE."""
        return self._numbers(serial, ".ppr")

    def _numbers(self, serial: str, suffix: str) -> list[int]:
        """Return the sessions of the files with this suffix; whatever is called otherwise is somebody else's."""
        files = (name for name in _names_in(self.pen_folder(serial)) if name.startswith(_SESSION))
        names = (name[len(_SESSION) :].removesuffix(suffix) for name in files if name.endswith(suffix))
        # Looked at before int(), which reads no number of thousands of digits.
        digits = (name for name in names if name.isascii() and name.isdigit() and len(name) <= _DIGITS_MOST)
        return sorted(int(name) for name in digits if name == f"{int(name):08d}")

    def load(self, serial: str, session: int) -> SavedRecord:
        """Return a kept record, checked; InputError FILE_MISSING, FILE_UNREADABLE, FILE_TOO_BIG, Mismatch
        RECORD_MISMATCH.
        """
        path = self.path(serial, session)
        data = read_file(path, _RECORD_MOST)
        sealed = parse(data, str(path))
        if (sealed.serial, sealed.session) != (serial, session):
            message = f"{path} holds the record of session {sealed.session} of pen {sealed.serial}."
            if sealed.serial != serial:
                raise LinkError(Kind.FOREIGN, message, field="serial", given=sealed.serial, limit=serial)
            raise LinkError(self._misplaced(sealed), message, field="session", given=sealed.session, limit=session)
        return SavedRecord(path, data, sealed, new=False)

    def _misplaced(self, sealed: Record) -> Kind:
        """Return whether a record that lies in another one's place is in its own as well."""
        try:
            own = parse(read_file(self.path(sealed.serial, sealed.session), _RECORD_MOST))
        except PinprickError:
            return Kind.MISPLACED
        return Kind.DUPLICATE if own.digest == sealed.digest else Kind.MISPLACED

    def load_all(self, serials: Iterable[str], first: int = 0, last: int | None = None) -> Iterator[SavedRecord]:
        """Yield the kept records of pens, those of sessions `first`..`last` (no end: None); raises as `load`."""
        for serial in serials:
            for session in self.sessions(serial):
                if first <= session and (last is None or session <= last):
                    yield self.load(serial, session)

    def head(self, serial: str) -> Record | None:
        """Return the newest record kept of a pen, or None."""
        sessions = self.sessions(serial)
        return self.load(serial, sessions[-1]).record if sessions else None

    # --- whether it holds --------------------------------------------------------------------------------------------
    def check_head(self, serial: str, last_session: int, ledger_head: bytes) -> None:
        """Refuse a pen whose memory contradicts what is kept here; `last_session` and `ledger_head` are its own words.

        Raises Mismatch RECORDS_AHEAD when a session is kept that the pen has no memory of, RECORDS_FORK when the pen's
        last record is another than the one kept of the same session; InputError FILE_UNREADABLE when it can't be told
        what is kept.
        """
        kept = self.sessions(serial)
        if kept and kept[-1] > last_session:
            pen = f"the pen's last one is {last_session}"
            message = f"A record of session {kept[-1]} of pen {serial} is kept here, but {pen}."
            raise Mismatch(RECORDS_AHEAD, message, field="session_id", given=last_session, limit=kept[-1])
        if last_session in kept and self.load(serial, last_session).record.digest != ledger_head:
            raise _fork(serial, last_session)

    def inspect(self, serial: str, *, complete: bool = False, last: int = 0) -> ChainReport:
        """Follow a pen's chain as it is kept, and hold the JSON copies against the records; `complete` and `last` as
        `pinprick.records.chain.follow` has them. Raises InputError FILE_UNREADABLE when it can't be told what is kept,
        else nothing.
        """
        copies = {session: self._copy(serial, session) for session in self._numbers(serial, ".json")}
        kept = self.sessions(serial)
        links = [self._link(serial, session, copies.get(session)) for session in sorted({*kept, *copies})]
        edited = (self._edited(link, copies[link.session]) for link in links if link.session in copies)
        return replace(
            follow(serial, links, complete=complete, last=last),
            edited=tuple(copy for copy in edited if copy),
            orphans=tuple(session for session in copies if session not in set(kept)),
            apart=tuple(self.apart(serial)),
        )

    def _link(self, serial: str, session: int, copy: object) -> Link:
        path, digest = self.path(serial, session), _digest_in(copy)
        try:
            if copy is None or self._has(serial, session):
                return Link(session, str(path), self.load(serial, session).record, digest)
            message = f"The record of session {session} of pen {serial} was kept here: only its JSON copy is left."
            return Link(session, str(path), LinkError(Kind.GONE, message, field="sha256", limit=digest))
        except PinprickError as error:
            return Link(session, str(path), error, digest)

    def _copy(self, serial: str, session: int) -> object:
        """Return what the JSON beside a record holds; a text where that is no JSON."""
        try:
            return json.loads(read_file(self._copy_path(serial, session), _COPY_MOST))
        except (InputError, ValueError, RecursionError):
            return ""

    def _copy_path(self, serial: str, session: int) -> Path:
        return self.path(serial, session).with_suffix(".json")

    def _edited(self, link: Link, copy: object) -> EditedCopy | None:
        """Return what the JSON beside a whole record says otherwise than the record."""
        if not isinstance(link.sealed, Record):
            return None
        told = describe(link.sealed)
        place = difference(copy, told)
        if place and link.copy_digest not in (None, told["sha256"]):
            place = "sha256"
        return EditedCopy(link.session, str(Path(link.where).with_suffix(".json")), place) if place else None

    def verify(self, serial: str) -> int:
        """Check every kept record of a pen and its chain; return how many there are. Raises Mismatch."""
        return verify_chain(self.load(serial, session).record for session in self.sessions(serial))

    # --- keeping -----------------------------------------------------------------------------------------------------
    def admit(self, data: bytes, serial: str, session: int) -> Record:
        """Return the record in `data`, given as that of `session`, if it may be kept beside its neighbours.

        Raises Mismatch RECORD_MISMATCH, and RECORDS_FORK when another record of the same session is kept, or one whose
        chain this record doesn't continue; InputError FILE_UNREADABLE when it can't be told what is kept.
        """
        sealed = parse(data, f"The record of session {session}")
        if (sealed.serial, sealed.session) != (serial, session):
            message = f"The pen gave the record of session {sealed.session} of pen {sealed.serial} for another one."
            kind = Kind.FOREIGN if sealed.serial != serial else Kind.MISPLACED
            raise LinkError(kind, message, field="session", given=sealed.session, limit=session)
        if self._has(serial, session):
            if self.load(serial, session).data != data:
                raise _fork(serial, session)
        elif self._copy_of_another(sealed):
            raise _fork(serial, session)
        verify_chain([sealed])
        if self._has(serial, session - 1) and self.load(serial, session - 1).record.digest != sealed.previous:
            raise _fork(serial, session - 1)
        if self._has(serial, session + 1) and self.load(serial, session + 1).record.previous != sealed.digest:
            raise _fork(serial, session)
        return sealed

    def _copy_of_another(self, sealed: Record) -> bool:
        """Return whether a JSON copy is here whose record, another one, was taken away."""
        if not _there(self._copy_path(sealed.serial, sealed.session)):
            return False
        return _digest_in(self._copy(sealed.serial, sealed.session)) not in (None, sealed.digest.hex())

    def save(self, data: bytes, serial: str, session: int) -> SavedRecord:
        """Keep the record in `data`, which a pen gave as that of `session`; return it as it was read back.

        It is checked by itself and against its neighbours first; raises as `admit` (all stays as it is), InputError
        FILE_UNWRITABLE.
        """
        return self.save_all([(data, self.admit(data, serial, session))])[0]

    def save_all(self, admitted: Sequence[tuple[bytes, Record]]) -> list[SavedRecord]:
        """Keep records that `admit` has let in and that follow each other; return them as they were read back.

        All are written before the first gets its name, so that a full disk leaves nothing of them. InputError
        FILE_UNWRITABLE; Mismatch RECORDS_FORK when another program has meanwhile kept another record of a session.
        """
        path = Path()
        new: set[Path] = set()
        places = [(self.path(sealed.serial, sealed.session), data, sealed) for data, sealed in admitted]
        try:
            with ExitStack() as parts:
                staged: list[Staged] = []
                for path, data, sealed in places:
                    make_private(path.parent)
                    if not self._has(sealed.serial, sealed.session):
                        staged.append(Staged(path, data, private=True))
                        parts.callback(staged[-1].drop)
                for part in staged:
                    path = part.path
                    new.add(path)
                    try:
                        part.keep()
                    except FileExistsError:
                        # Another program was faster. Whether with the same record is seen when it is read back.
                        new.discard(path)
            for path, _, _ in places:
                if path not in new:
                    # Whoever wrote it may not have lived to see it on the disk.
                    sync_file(path)
            folders = {path.parent for path, _, _ in places}
            for path in folders:
                # Before a JSON has its name: alone, it would say that its record was taken away.
                self._reach(path)
            for path, _, sealed in places:
                copy = path.with_suffix(".json")
                if path in new or not is_there(copy):
                    Staged(copy, (json.dumps(describe(sealed), indent=2) + "\n").encode(), private=True).replace()
            for path in folders:
                sync_folder(path)
        except OSError as error:
            message = f"The record cannot be written to {path}: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None
        for path, data, sealed in places:
            if path in new and self.load(sealed.serial, sealed.session).data != data:
                message = f"{path} was read back differently than it was written."
                raise Mismatch(RECORD_MISMATCH, message, field="sha256")
            # Once more, beside what other programs have kept meanwhile.
            self.admit(data, sealed.serial, sealed.session)
        return [SavedRecord(path, data, sealed, path in new) for path, data, sealed in places]

    def _reach(self, folder: Path) -> None:
        """Have the names in `folder`, and those that lead to it, reach the disk."""
        sync_folder(folder)
        if folder not in self._reached:
            sync_way(folder)
            self._reached.add(folder)

    # --- what contradicts it -----------------------------------------------------------------------------------------
    def apart(self, serial: str) -> list[Path]:
        """Return the files of records that contradict those kept of a pen, in order; InputError FILE_UNREADABLE."""
        folder = self.pen_folder(serial) / _APART
        return [folder / name for name in _names_in(folder) if name.endswith(".ppr")]

    def set_apart(self, data: bytes, serial: str, session: int) -> Path:
        """Keep, as evidence, a record that must not be kept among the others; return its file. InputError."""
        folder = self.pen_folder(serial) / _APART
        path = folder / f"{_SESSION}{session:08d}-{sha256(data).hex()[:16]}.ppr"
        try:
            write_private(path, data)
        except OSError as error:
            raise InputError(FILE_UNWRITABLE, f"{path} cannot be written: {error.strerror}.", given=str(path)) from None
        return path

    def _has(self, serial: str, session: int) -> bool:
        return _there(self.path(serial, session))


def read_record(path: Path) -> SavedRecord:
    """Return the record in any `.ppr` file, checked by its own seal; raises as `RecordStore.load`."""
    data = read_file(path, _RECORD_MOST)
    return SavedRecord(path, data, parse(data, str(path)), new=False)


def read_file(path: Path, most: int) -> bytes:
    """Return what a file of at most `most` bytes holds; InputError FILE_MISSING, FILE_UNREADABLE, FILE_TOO_BIG."""
    try:
        return read_bounded(path, most)
    except FileNotFoundError:
        raise InputError(FILE_MISSING, f"There is no file {path}.", given=str(path)) from None
    except TooBig as error:
        message = f"{path} was not read: {error.strerror}, and {most:,} are the most that could be of use."
        raise InputError(FILE_TOO_BIG, message, given=error.size, limit=most) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _digest_in(copy: object) -> str | None:
    """Return the digest (hex) that a JSON copy gives for its record."""
    named = copy.get("sha256") if isinstance(copy, dict) else None
    return named if isinstance(named, str) else None


def _there(path: Path) -> bool:
    try:
        return is_there(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def _names_in(folder: Path) -> list[str]:
    try:
        return names_in(folder)
    except OSError as error:
        raise _unreadable(folder, error) from None


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(FILE_UNREADABLE, f"{path} cannot be read: {error.strerror}.", given=str(path))


def _fork(serial: str, session: int) -> Mismatch:
    message = f"Pen {serial} has another record of session {session} than the one kept here."
    return Mismatch(RECORDS_FORK, message, field="ledger_head", given=session)
