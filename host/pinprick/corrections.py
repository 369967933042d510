"""What corrections of a pen's time this computer has asked for, and why. Host only; owns a folder.

The pen keeps of a correction the time before it, the time after it and the CRC-32 of its reason. The words themselves
are here alone, with that CRC, so that both can be compared. A correction is written down before it is asked for; what
the pen refuses is removed again, and one whose answer got lost stays, unconfirmed.
"""

import contextlib
import json
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pinprick.errors import FILE_UNREADABLE, FILE_UNWRITABLE, InputError
from pinprick.files import file_name, names_in, read_bounded, write_whole
from pinprick.places import data_folder

_MOST_BYTES = 4096
_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of pen `serial` from `from_s` to `to_s`, asked for when this computer's clock showed `asked_at`; all
    in seconds since 1970. `session_id` is the pen's next one, `key_id` 0 for an unsigned one.
    """

    serial: str
    asked_at: int
    session_id: int
    from_s: int
    to_s: int
    reason: str
    key_id: int
    confirmed: bool = False

    @property
    def reason_crc(self) -> str:
        """What the pen keeps of the reason: CRC-32, 8 hex digits."""
        return f"{zlib.crc32(self.reason.encode()):08x}"


class CorrectionLog:
    """The corrections, in `folder` (the user's own, when left out), one subfolder per pen."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = data_folder() / "corrections" if folder is None else folder

    def _path(self, made: Correction) -> Path:
        name = f"{made.asked_at:010d}-{made.from_s:010d}-{made.to_s:010d}-{made.reason_crc}{_ENDING}"
        return self.folder / f"pen-{file_name(made.serial)}" / name

    def keep(self, made: Correction) -> None:
        """Write a correction down; InputError FILE_UNWRITABLE."""
        path = self._path(made)
        text = json.dumps({**asdict(made), "reason_crc": made.reason_crc}, indent=1) + "\n"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, text.encode(), private=True)
        except OSError as error:
            message = f"The correction cannot be written down at {path}: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None

    def settle(self, made: Correction) -> Correction:
        """Know that the pen made this correction."""
        done = replace(made, confirmed=True)
        self.keep(done)
        return done

    def drop(self, made: Correction) -> None:
        """Forget a correction that the pen refused."""
        with contextlib.suppress(OSError):
            self._path(made).unlink()

    def listed(self) -> list[Correction]:
        """Return all corrections, those of a pen together, in the order of this computer's clock; InputError
        FILE_UNREADABLE.
        """
        found: list[Correction] = []
        place = self.folder
        try:
            for pen in names_in(self.folder):
                place = self.folder / pen
                for name in names_in(place) if place.is_dir() else ():
                    if name.endswith(_ENDING):
                        place = self.folder / pen / name
                        fields = json.loads(read_bounded(place, _MOST_BYTES))
                        fields.pop("reason_crc")
                        found.append(Correction(**fields))
        except OSError as error:
            raise _unreadable(place, str(error.strerror)) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise _unreadable(place, "it is not what this tool wrote") from None
        return found


def _unreadable(place: Path, why: str) -> InputError:
    return InputError(FILE_UNREADABLE, f"The corrections cannot be read from {place}: {why}.", given=str(place))
