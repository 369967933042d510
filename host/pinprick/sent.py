"""The profiles this computer has sent to pens, byte for byte. Host only; owns a folder.

After a power cut a pen goes on with an open session only for the very bytes that opened it, and what the host filled in
(session id, ledger head, time, signature) is known nowhere else. A copy is written before the pen is asked to accept
the profile, so that no cut of anything can part the two; what the pen refuses is removed again. No record: losing these
files costs the rest of an interrupted session, never a count.
"""

import contextlib
from pathlib import Path

from pencore import profile as core
from pencore.faults import Refusal
from pinprick.errors import FILE_UNREADABLE, FILE_UNWRITABLE, InputError
from pinprick.files import TooBig, file_name, is_there, names_in, read_bounded, write_private
from pinprick.places import data_folder

_KEPT = 20
"""Sessions of a pen whose profiles are kept; the open one is always the newest."""


class SentProfiles:
    """The profiles sent, in `folder` (the user's own, when left out), one subfolder per pen."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = data_folder() / "sent" if folder is None else folder

    def _path(self, serial: str, session: int, digest: bytes) -> Path:
        return self.folder / f"pen-{file_name(serial)}" / f"session-{session:08d}-{digest.hex()[:16]}.ppf"

    def keep(self, serial: str, session: int, data: bytes) -> bool:
        """Keep a profile in its binary form, as that of `session`; return whether it is new here. InputError
        FILE_UNWRITABLE.
        """
        path = self._path(serial, session, core.decode(data).digest)
        try:
            new = not is_there(path)
            write_private(path, data)
        except OSError as error:
            message = f"The profile cannot be kept at {path}: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None
        self._forget(path.parent, session)
        return new

    def _forget(self, folder: Path, session: int) -> None:
        # What can't be cleared away is no reason not to go on.
        with contextlib.suppress(OSError):
            for name in names_in(folder):
                number = name.removeprefix("session-").partition("-")[0]
                if name.endswith(".ppf") and number.isdecimal() and int(number) <= session - _KEPT:
                    (folder / name).unlink()

    def settle(self, serial: str, session: int, data: bytes) -> None:
        """Know that the pen accepted this profile of `session` and no other."""
        path = self._path(serial, session, core.decode(data).digest)
        with contextlib.suppress(OSError):
            for name in _of_session(path):
                if name != path.name:
                    path.with_name(name).unlink()

    def drop(self, serial: str, session: int, data: bytes) -> None:
        """Forget a profile that the pen did not accept."""
        with contextlib.suppress(OSError):
            self._path(serial, session, core.decode(data).digest).unlink()

    def get(self, serial: str, session: int, digest: bytes | None = None) -> bytes | None:
        """Return the profile sent for `session`: the one with `digest`, or the only one; None when there is none, or
        when it isn't clear which the pen accepted. InputError FILE_UNREADABLE when it may be one that can't be read.
        """
        path = self._path(serial, session, b"")
        found: list[bytes] = []
        unreadable: InputError | None = None
        try:
            copies = [path.with_name(name) for name in _of_session(path)]
        except OSError as error:
            raise _unreadable(path.parent, error) from None
        for copy in copies:
            try:
                data = read_bounded(copy, core.SIZE_MAX)
                profile = core.decode(data)
            except (Refusal, TooBig):
                continue
            except OSError as error:
                unreadable = _unreadable(copy, error)
                continue
            if profile.session_id == session and digest in (None, profile.digest):
                found.append(data)
        if not found and unreadable is not None:
            raise unreadable
        return found[0] if len(found) == 1 else None


def _of_session(path: Path) -> list[str]:
    """Return the names of all copies of the session whose copy `path` is; OSError."""
    start = path.name.rpartition("-")[0] + "-"
    return [name for name in names_in(path.parent) if name.startswith(start) and name.endswith(".ppf")]


def _unreadable(path: Path, error: OSError) -> InputError:
    message = f"The profile that was sent cannot be read from {path}: {error.strerror}."
    return InputError(FILE_UNREADABLE, message, given=str(path))
