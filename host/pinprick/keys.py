"""Clinic keys: what profiles and corrections of the time are signed with. Host only.

A pen that was provisioned with a key takes only what is signed with it; its `hello` says which number the key has,
never the key. Here a key lies in the computer's keyring, or, where there is none that can be used, in a file that its
owner alone can read: TOML with `key_id = 7`, `key = "64 hex digits"` and, if it is known, `made`. Beside it lies a note
with all that is no secret. No key is ever printed, logged or put into an exception.
"""

import contextlib
import hashlib
import os
import secrets
import stat
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pencore.units import U32_MAX
from pinprick.errors import (
    FILE_EXISTS,
    FILE_UNREADABLE,
    FILE_UNWRITABLE,
    KEY_BAD,
    KEY_MISSING,
    KEY_TAKEN,
    InputError,
    PinprickError,
)
from pinprick.files import TooBig, is_there, names_in, read_bounded, read_with_mode, write_whole
from pinprick.keychain import Keychain
from pinprick.places import data_folder

_SIZE = 32
_MOST_BYTES = 4096
_FINGERPRINT_LABEL = b"pinprick clinic key fingerprint\x00"
_FINGERPRINT_DIGITS = 8
_DRAWN = range(100_000, 1_000_000)
"""Numbers are drawn, not counted, so that two computers don't give two keys one number; six digits can be read out."""
KEYRING = "keyring"
FILE = "file"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a key lies: `how` is KEYRING or FILE, `place` the keyring's name or the file's path; `why_file` says why a
    new key went into a file.
    """

    how: str
    place: str
    why_file: str = ""

    def __str__(self) -> str:
        return f"the keyring ({self.place})" if self.how == KEYRING else f"the file {self.place}"


@dataclass(frozen=True, slots=True)
class ClinicKey:
    """The key that a clinic signs with: number 1..2**32-1 and 32 bytes; `made_at` in seconds since 1970 (0: unknown),
    `kept` where it was found (None: nowhere yet).
    """

    key_id: int
    key: bytes = field(repr=False)
    made_at: int = field(default=0, compare=False)
    kept: Kept | None = field(default=None, compare=False)

    @property
    def fingerprint(self) -> str:
        """What tells two keys apart without telling either: 8 hex digits."""
        return hashlib.sha256(_FINGERPRINT_LABEL + self.key).hexdigest()[:_FINGERPRINT_DIGITS]


@dataclass(frozen=True, slots=True)
class Listed:
    """A key as a list shows it; `fingerprint` is "" and `problem` says why where it can't be read."""

    key_id: int
    kept: Kept
    fingerprint: str
    made_at: int
    problem: str = ""


def new_key(key_id: int) -> ClinicKey:
    """Return a new random key of this number."""
    return ClinicKey(key_id, secrets.token_bytes(_SIZE), int(time.time()))


def key_path(key_id: int) -> Path:
    """Return the file in which the key of this number lies where there is no keyring."""
    return data_folder() / "keys" / f"key-{key_id}.toml"


def find_key(key_id: int, path: Path | None = None) -> ClinicKey | None:
    """Return the key with number `key_id`, from the file at `path`, else as `KeyStore.find`; None for number 0 (a pen
    that wants no signature). Raises InputError KEY_MISSING, KEY_BAD, and PinprickError KEYRING_FAILED.
    """
    if not key_id:
        return None
    if path is None:
        return KeyStore().find(key_id)
    key = load_key(path)
    if key.key_id != key_id:
        message = f"{path} holds key {key.key_id}, but the pen wants key {key_id}."
        raise InputError(KEY_BAD, message, field="key_id", given=key.key_id, limit=key_id)
    return key


class KeyStore:
    """This user's clinic keys: those in the keyring, and those in files in the data folder."""

    def __init__(self) -> None:
        self.folder = data_folder() / "keys"
        self.keychain = Keychain()

    def find(self, number: int) -> ClinicKey:
        """Return the key of this number, from the keyring or else from its file.

        Raises InputError KEY_MISSING, KEY_BAD (also for another key than was once kept here under the number), and
        PinprickError KEYRING_FAILED for one that may be in a keyring that can't be asked.
        """
        failed: PinprickError | None = None
        try:
            key = self._in_keyring(number)
        except PinprickError as error:
            if error.code == KEY_BAD:
                raise
            key, failed = None, error
        key = key or self._in_file(number)
        if key is None:
            raise failed or self._missing(number)
        note = self._note(number)
        if note.fingerprint not in ("", key.fingerprint):
            message = (
                f"{str(key.kept).capitalize()} holds another key {number} than was kept: its fingerprint is"
                f" {key.fingerprint}, not {note.fingerprint}."
            )
            raise InputError(KEY_BAD, message, field="fingerprint", given=key.fingerprint, limit=note.fingerprint)
        return key

    def keep(self, key: ClinicKey) -> ClinicKey:
        """Keep a key in the keyring, or in a file where that can't be; return it with where it is.

        One that is here already stays as it is. Raises InputError KEY_TAKEN when its number has another key, and
        FILE_UNWRITABLE.
        """
        there = self._there(key.key_id)
        if there is not None and there.key == key.key:
            return there
        # A keyring that is locked now may hold the key that the note tells of.
        known = self._note(key.key_id).fingerprint if there is None else there.fingerprint
        if known not in ("", key.fingerprint):
            where = f"in {there.kept}" if there is not None else "in the notes of this computer"
            message = f"There is another key {key.key_id} {where}: its fingerprint is {known}, not {key.fingerprint}."
            raise InputError(KEY_TAKEN, message, field="key_id", given=key.key_id)
        # The note comes first: by it alone a key in the keyring is known to be there.
        self._write_note(key, Kept(KEYRING, self.keychain.name))
        try:
            kept = self._put(key)
        except BaseException:
            with contextlib.suppress(OSError):
                _note_path(key.key_id).unlink()
            raise
        if kept.how == FILE:
            self._write_note(key, kept)
        return replace(key, kept=kept)

    def _put(self, key: ClinicKey) -> Kept:
        """Put a key into the keyring, else into a file."""
        why = self.keychain.why_none
        if not why:
            try:
                self.keychain.put(key.key_id, key.key.hex())
                return Kept(KEYRING, self.keychain.name)
            except PinprickError as error:
                # What it kept all the same would be a second copy that nobody knows of.
                with contextlib.suppress(PinprickError):
                    self.keychain.remove(key.key_id)
                why = error.message
        path = key_path(key.key_id)
        save_key(key, path)
        return Kept(FILE, str(path), why)

    def make(self, number: int | None = None) -> ClinicKey:
        """Make and keep a new key, of a free number when none is named; raises as `keep`."""
        if number is None:
            taken = self.numbers()
            number = secrets.choice(_DRAWN)
            while number in taken:
                number = secrets.choice(_DRAWN)
        return self.keep(new_key(number))

    def numbers(self) -> set[int]:
        """Return the numbers of all keys that were kept here; InputError FILE_UNREADABLE."""
        found = set()
        try:
            names = names_in(self.folder)
        except OSError as error:
            message = f"The folder of the keys {self.folder} cannot be read: {error.strerror}."
            raise InputError(FILE_UNREADABLE, message, given=str(self.folder)) from None
        for name in names:
            number = name.removesuffix(".note.toml").removesuffix(".toml").removeprefix("key-")
            if name.startswith("key-") and name.endswith(".toml") and number.isdecimal():
                found.add(int(number))
        return found

    def listed(self) -> list[Listed]:
        """Return all keys by number; one that lies in the keyring and in a file, once for each."""
        found: list[Listed] = []
        for number in sorted(self.numbers()):
            note = self._note(number)
            entries = [
                _looked_at(number, Kept(KEYRING, self.keychain.name), self._in_keyring, note),
                _looked_at(number, Kept(FILE, str(key_path(number))), self._in_file, note),
            ]
            there = [entry for entry in entries if entry is not None]
            gone = "it is neither in the keyring nor in its file any more"
            found += there or [Listed(number, note.kept, note.fingerprint, note.made_at, gone)]
        return found

    def forget(self, number: int) -> list[Kept]:
        """Take the key of this number out of keyring, file and notes; return where it was.

        Raises InputError KEY_MISSING when it is nowhere, FILE_UNWRITABLE, and PinprickError KEYRING_FAILED; what could
        be taken away is gone then.
        """
        path, note = key_path(number), _note_path(number)
        was: list[Kept] = []
        try:
            if is_there(path):
                path.unlink()
                was.append(Kept(FILE, str(path)))
            known = is_there(note)
            if self.keychain.remove(number):
                was.append(Kept(KEYRING, self.keychain.name))
            if known:
                note.unlink()
        except OSError as error:
            message = f"The key {number} cannot be removed: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, field="NUMBER", given=number) from None
        if not was and not known:
            raise self._missing(number)
        return was

    def _there(self, number: int) -> ClinicKey | None:
        """Return the key of this number, from wherever it is; a keyring that can't be asked has none."""
        with contextlib.suppress(PinprickError):
            found = self._in_keyring(number)
            if found is not None:
                return found
        return self._in_file(number)

    def _in_keyring(self, number: int) -> ClinicKey | None:
        text = self.keychain.get(number)
        if text is None:
            return None
        key = _bytes_of(text)
        if not key:
            message = f"What the keyring ({self.keychain.name}) holds as key {number} is no key."
            raise InputError(KEY_BAD, message, field="keyring", given=number)
        return ClinicKey(number, key, self._note(number).made_at, Kept(KEYRING, self.keychain.name))

    def _in_file(self, number: int) -> ClinicKey | None:
        path = key_path(number)
        try:
            if not is_there(path):
                return None
        except OSError as error:
            raise _unreadable(path, error) from None
        key = find_key(number, path)
        return None if key is None else replace(key, kept=Kept(FILE, str(path)))

    def _missing(self, number: int) -> InputError:
        keyring = f"the keyring ({self.keychain.name}) has none of that number"
        if self.keychain.why_none:
            keyring = f"no keyring can be used ({self.keychain.why_none})"
        message = f"Key {number} is not on this computer: {keyring}, and there is no file {key_path(number)}."
        return InputError(KEY_MISSING, message, field="key_id", given=number)

    def _note(self, number: int) -> Listed:
        """Return what was written down of a key; a note that is lost or spoilt says nothing."""
        found: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            found = tomllib.loads(read_bounded(_note_path(number), _MOST_BYTES).decode())
        fingerprint, made = found.get("fingerprint"), found.get("made")
        how, place = found.get("how"), found.get("place")
        return Listed(
            number,
            Kept(how, place) if isinstance(how, str) and isinstance(place, str) else Kept(FILE, str(key_path(number))),
            fingerprint if isinstance(fingerprint, str) else "",
            made if type(made) is int else 0,
        )

    def _write_note(self, key: ClinicKey, kept: Kept) -> None:
        place = kept.place.replace("\\", "\\\\").replace('"', '\\"')
        text = f'fingerprint = "{key.fingerprint}"\nmade = {key.made_at}\nhow = "{kept.how}"\nplace = "{place}"\n'
        path = _note_path(key.key_id)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, text.encode(), private=True)
        except OSError as error:
            message = f"The note of a key cannot be written to {path}: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None


def _looked_at(number: int, place: Kept, look: Callable[[int], ClinicKey | None], note: Listed) -> Listed | None:
    """Return the key that `look` finds at `place` as a list shows it, None for no key there."""
    try:
        key = look(number)
    except PinprickError as error:
        return Listed(number, place, "", note.made_at, error.message)
    if key is None:
        return None
    other = note.fingerprint not in ("", key.fingerprint)
    problem = f"another key than was kept: that had the fingerprint {note.fingerprint}" if other else ""
    return Listed(number, place, key.fingerprint, key.made_at or note.made_at, problem)


def _note_path(number: int) -> Path:
    return key_path(number).with_suffix(".note.toml")


# --- key files -------------------------------------------------------------------------------------------------------
def load_key(path: Path) -> ClinicKey:
    """Return the key in the file at `path`; InputError KEY_MISSING, or KEY_BAD also for one that others can read."""
    try:
        data, mode = read_with_mode(path, _MOST_BYTES)
    except TooBig:
        raise _bad(path, "it is far too big", "") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        hint = f"Take the others' rights away: chmod 600 {path}"
        raise InputError(
            KEY_BAD, f"Others than its owner can read {path}.", field="--key", given=oct(stat.S_IMODE(mode)), hint=hint
        )
    try:
        found = tomllib.loads(data.decode())
    except ValueError:
        raise _bad(path, "it is not TOML", "") from None
    number, text, made = found.pop("key_id", None), found.pop("key", None), found.pop("made", 0)
    if found:
        raise _bad(path, "only key_id, key and made may be in it", next(iter(found)))
    if type(number) is not int or not 1 <= number <= U32_MAX:
        raise _bad(path, f"key_id must be a whole number from 1 to {U32_MAX}", "key_id")
    if type(made) is not int or not 0 <= made <= U32_MAX:
        raise _bad(path, f"made must be seconds since 1970, 0 to {U32_MAX}", "made")
    key = _bytes_of(text)
    if not key:
        raise _bad(path, f"key must be {2 * _SIZE} hex digits, not all zero", "key")
    return ClinicKey(number, key, made)


def _bytes_of(text: object) -> bytes:
    """Return the key that these hex digits are, b"" for none."""
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
    return key if len(key) == _SIZE and any(key) else b""


def _bad(path: Path, why: str, name: str) -> InputError:
    return InputError(KEY_BAD, f"{path} is no key file: {why}.", field=name or "--key", given=str(path))


def _unreadable(path: Path, error: OSError) -> InputError:
    message = f"The key file {path} cannot be read: {error.strerror}."
    return InputError(KEY_MISSING, message, field="--key", given=str(path))


def save_key(key: ClinicKey, path: Path) -> None:
    """Write a key file that its owner alone can read; InputError FILE_EXISTS for one that is there, FILE_UNWRITABLE."""
    try:
        if is_there(path):
            raise InputError(FILE_EXISTS, f"{path} is there already.", field="--key", given=str(path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = f"made = {key.made_at}\n" if key.made_at else ""
        write_whole(path, f'key_id = {key.key_id}\nkey = "{key.key.hex()}"\n{made}'.encode(), private=True)
    except OSError as error:
        message = f"The key cannot be written to {path}: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None
