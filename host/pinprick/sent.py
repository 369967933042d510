"""The profiles this computer has sent to pens, byte for byte. Host only; owns a folder.

After a power cut a pen goes on with an open session only for the very bytes that opened it, and what the host filled in
(session id, ledger head, time, signature) is known nowhere else. A copy is written before the pen is asked to accept
the profile, so that no cut of anything can part the two; what the pen refuses is removed again. No record: losing these
files costs the rest of an interrupted session, never a count.
"""

import contextlib
from pathlib import Path
from urllib.parse import quote

from pencore import profile as core
from pencore.faults import Refusal
from pinprick.errors import FILE_UNWRITABLE, InputError
from pinprick.files import write_whole
from pinprick.places import data_folder

_KEPT = 20
"""Sessions of a pen whose profiles are kept; the open one is always the newest."""


class SentProfiles:
    """The profiles sent, in `folder` (the user's own, when left out), one subfolder per pen."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = data_folder() / "sent" if folder is None else folder

    def _path(self, serial: str, session: int, digest: bytes) -> Path:
        name = "pen-" + quote(serial, safe="").replace(".", "%2E")
        return self.folder / name / f"session-{session:08d}-{digest.hex()[:16]}.ppf"

    def keep(self, serial: str, session: int, data: bytes) -> bool:
        """Keep a profile in its binary form, as that of `session`; return whether it is new here. InputError
        FILE_UNWRITABLE.
        """
        path = self._path(serial, session, core.decode(data).digest)
        new = not path.exists()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, data, private=True)
        except OSError as error:
            message = f"The profile cannot be kept at {path}: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None
        self._forget(path.parent, session)
        return new

    def _forget(self, folder: Path, session: int) -> None:
        for path in folder.glob("session-*.ppf"):
            number = path.name[len("session-") :][:8]
            if number.isdigit() and int(number) <= session - _KEPT:
                with contextlib.suppress(OSError):
                    path.unlink()

    def settle(self, serial: str, session: int, data: bytes) -> None:
        """Know that the pen accepted this profile of `session` and no other."""
        path = self._path(serial, session, core.decode(data).digest)
        for other in path.parent.glob(f"session-{session:08d}-*.ppf"):
            if other != path:
                with contextlib.suppress(OSError):
                    other.unlink()

    def drop(self, serial: str, session: int, data: bytes) -> None:
        """Forget a profile that the pen did not accept."""
        with contextlib.suppress(OSError):
            self._path(serial, session, core.decode(data).digest).unlink()

    def get(self, serial: str, session: int, digest: bytes | None = None) -> bytes | None:
        """Return the profile sent for `session`: the one with `digest`, or the only one; None when there is none, or
        when it isn't clear which the pen accepted.
        """
        name = self._path(serial, session, b"").name.removesuffix(".ppf")
        found = []
        for path in sorted(self._path(serial, session, b"").parent.glob(f"{name}*.ppf")):
            with contextlib.suppress(OSError, Refusal):
                data = path.read_bytes()
                profile = core.decode(data)
                if profile.session_id == session and digest in (None, profile.digest):
                    found.append(data)
        return found[0] if len(found) == 1 else None
