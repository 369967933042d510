"""What corrections of a pen's time this computer has asked for, and why. Host only; owns a folder.

The pen keeps of a correction the time before it, the time after it and the CRC-32 of its reason. The words themselves
are here alone, with that CRC, so that both can be compared. A correction is written down before it is asked for; what
the pen refuses is removed again, and one whose answer got lost stays, unconfirmed.
"""

import contextlib
import json
import re
import zlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from pencore.units import U32_MAX
from pinprick.errors import FILE_UNREADABLE, FILE_UNWRITABLE, InputError
from pinprick.files import file_name, names_in, read_bounded, write_private
from pinprick.places import data_folder

_MOST_BYTES = 4096
_ENDING = ".json"
_NUMBER = re.compile(r"(\d{6})-\d{10}-")


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of pen `serial` from `from_s` to `to_s`, asked for when this computer's clock showed `asked_at`; all
    in seconds since 1970. `session_id` is the pen's next one, `key_id` 0 for an unsigned one. `number` counts those of
    the pen, from 1; 0 before it is written down.
    """

    serial: str
    asked_at: int
    session_id: int
    from_s: int
    to_s: int
    reason: str
    key_id: int
    confirmed: bool = False
    number: int = 0

    @property
    def reason_crc(self) -> str:
        """What the pen keeps of the reason: CRC-32, 8 hex digits."""
        return f"{zlib.crc32(self.reason.encode()):08x}"


class CorrectionLog:
    """The corrections, in `folder` (the user's own, when left out), one subfolder per pen."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = data_folder() / "corrections" if folder is None else folder

    def _path(self, made: Correction) -> Path:
        times = f"{made.asked_at:010d}-{made.from_s:010d}-{made.to_s:010d}"
        return self._of(made.serial) / f"{made.number:06d}-{times}-{made.reason_crc}{_ENDING}"

    def _of(self, serial: str) -> Path:
        return self.folder / f"pen-{file_name(serial)}"

    def keep(self, made: Correction) -> Correction:
        """Write a correction down, as the last one of its pen if it has no number yet, and return it with its number;
        InputError FILE_UNWRITABLE or FILE_UNREADABLE.
        """
        if not made.number:
            made = replace(made, number=self._last(made.serial) + 1)
        path = self._path(made)
        text = json.dumps({**asdict(made), "reason_crc": made.reason_crc}, indent=1) + "\n"
        try:
            write_private(path, text.encode())
        except OSError as error:
            message = f"The correction cannot be written down at {path}: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None
        return made

    def _last(self, serial: str) -> int:
        """Return the number of the pen's last correction."""
        place = self._of(serial)
        try:
            found = [_NUMBER.match(name) for name in names_in(place)] if place.is_dir() else []
        except OSError as error:
            raise _unreadable(place, str(error.strerror)) from None
        return max((int(match[1]) for match in found if match), default=0)

    def settle(self, made: Correction) -> Correction:
        """Know that the pen made this correction."""
        return self.keep(replace(made, confirmed=True))

    def drop(self, made: Correction) -> None:
        """Forget a correction that the pen refused."""
        with contextlib.suppress(OSError):
            self._path(made).unlink()

    def listed(self) -> list[Correction]:
        """Return all corrections, those of a pen together, in the order in which they were made: this computer's clock
        was wrong when most of them were. InputError FILE_UNREADABLE.
        """
        found: list[Correction] = []
        place = self.folder
        try:
            for pen in names_in(self.folder):
                place = self.folder / pen
                begin = len(found)
                for name in names_in(place) if place.is_dir() else ():
                    if name.endswith(_ENDING):
                        place = self.folder / pen / name
                        found.append(_read(place))
                found[begin:] = sorted(found[begin:], key=lambda made: made.number)
        except OSError as error:
            raise _unreadable(place, str(error.strerror)) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            hint = "Look at the file; once it is moved elsewhere the others are listed."
            raise _unreadable(place, "it is not what this tool wrote", hint) from None
        return found


def _read(path: Path) -> Correction:
    """Return the correction in a file; OSError, or ValueError and its like for anything but what `keep` writes."""
    told = json.loads(read_bounded(path, _MOST_BYTES))
    crc = told.pop("reason_crc")
    made = Correction(**told)
    values = [(getattr(made, each.name), each.type) for each in fields(made)]
    whole = all(type(value) is kind for value, kind in values)
    if not whole or crc != made.reason_crc or any(not 0 <= value <= U32_MAX for value, kind in values if kind is int):
        raise ValueError
    return made


def _unreadable(place: Path, why: str, hint: str = "") -> InputError:
    message = f"The corrections cannot be read from {place}: {why}."
    return InputError(FILE_UNREADABLE, message, given=str(place), hint=hint)
