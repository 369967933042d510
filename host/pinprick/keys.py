"""Clinic keys: what profiles and corrections of the time are signed with. Host only.

A pen that was provisioned with a key takes only what is signed with it; its `hello` says which number the key has,
never the key. Here a key lies in the computer's keyring, or, where there is none that can be used, in a file that its
owner alone can read: TOML with `key_id = 7`, `key = "64 hex digits"` and, if it is known, `made`. Beside it lies a note
with all that is no secret. No key is ever printed, logged or put into an exception.
"""

import contextlib
import hashlib
import json
import os
import secrets
import stat
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pencore.units import U32_MAX
from pinprick.clock import now_s
from pinprick.errors import (
    FILE_EXISTS,
    FILE_UNREADABLE,
    FILE_UNWRITABLE,
    KEY_BAD,
    KEY_MISSING,
    KEY_TAKEN,
    KEYRING_FAILED,
    InputError,
    PinprickError,
)
from pinprick.files import (
    UNFINISHED,
    TooBig,
    is_there,
    make_private,
    names_in,
    read_bounded,
    read_with_mode,
    sync_way,
    write_new,
    write_private,
)
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
_OTHERS = 0o077
"""The rights of others than a file's owner."""
_KNOWN = "`pinprick key list` shows the keys that are here; `pinprick key import FILE` brings one."
_REACH_IT = (
    "Run it where that keyring can be reached: in the desktop session, and with none chosen by PYTHON_KEYRING_BACKEND."
)


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
    """Return a new random key of this number; InputError CLOCK_WRONG when this computer's clock can't date it."""
    return ClinicKey(key_id, secrets.token_bytes(_SIZE), now_s())


def key_path(key_id: int) -> Path:
    """Return the file in which the key of this number lies where there is no keyring."""
    return data_folder() / "keys" / f"key-{key_id}.toml"


def find_key(key_id: int, path: Path | None = None, waiting: Callable[[], object] | None = None) -> ClinicKey | None:
    """Return the key that a pen wants, number `key_id`, from the file at `path`, else as `KeyStore.find`; None for
    number 0 (a pen that wants no signature). Raises InputError KEY_MISSING, KEY_BAD, and PinprickError KEYRING_FAILED.
    """
    if not key_id:
        return None
    if path is None:
        try:
            return KeyStore(waiting).find(key_id)
        except PinprickError as error:
            if error.code == KEY_MISSING:
                # The usual words tell of --key, too.
                error.hint = ""
            elif error.code == KEYRING_FAILED and error.hint:
                error.hint += " Or name a copy of the key with --key."
            raise
    key = load_key(path)
    if key.key_id != key_id:
        message = f"{path} holds key {key.key_id}, but the pen wants key {key_id}."
        hint = (
            f"Bring key {key_id} (`pinprick key export FILE --number {key_id}` on the computer that has it), or give"
            " the pen another key with `pinprick board provision`. A number in a key file is never changed."
        )
        raise InputError(KEY_BAD, message, field="key_id", given=key.key_id, limit=key_id, hint=hint)
    return key


class KeyStore:
    """This user's clinic keys: those in the keyring, and those in files in the data folder.

    `waiting` is called once, if a keyring lets it be waited. `unasked` says after `listed` and `forget` why a keyring
    couldn't be asked that may have had more to tell; "" when there was none, or it answered.
    """

    def __init__(self, waiting: Callable[[], object] | None = None) -> None:
        self.folder = data_folder() / "keys"
        self.keychain = Keychain(waiting)
        self.unasked = ""

    def find(self, number: int) -> ClinicKey:
        """Return the key of this number: from its file first if its note says so, from the keyring first otherwise.

        Raises InputError KEY_MISSING, KEY_BAD (also for another key than was once kept here under the number), and
        PinprickError KEYRING_FAILED for one that may be in a keyring that can't be asked.
        """
        key, failed = self._there(number)
        if key is None:
            raise failed or self._missing(number)
        note = self._note(number)
        if note.fingerprint not in ("", key.fingerprint):
            message = (
                f"Another key {number} than was kept here is in {key.kept}: its fingerprint is {key.fingerprint},"
                f" not {note.fingerprint}."
            )
            hint = (
                f"The key that was kept is the one with the fingerprint {note.fingerprint}. With a copy of it:"
                f" `pinprick key forget {number} --yes` removes the other one, and `pinprick key import FILE` brings it"
                " back."
            )
            raise InputError(
                KEY_BAD, message, field="fingerprint", given=key.fingerprint, limit=note.fingerprint, hint=hint
            )
        return key

    def keep(self, key: ClinicKey) -> ClinicKey:
        """Keep a key in the keyring, or in a file where that can't be; return it with where it is.

        One that is here already stays as it is. Raises InputError KEY_TAKEN when its number has another key, KEY_BAD
        when what is kept under its number is no key, and FILE_UNWRITABLE.
        """
        there, failed = self._there(key.key_id)
        # A keyring that can't be asked may hold the key that the note tells of.
        note = self._note(key.key_id)
        noted = note.fingerprint
        known = [(noted, "the notes of this computer")] if noted else []
        if there is not None:
            known.insert(0, (there.fingerprint, str(there.kept)))
        for fingerprint, place in known:
            if fingerprint != key.fingerprint:
                message = (
                    f"There is another key {key.key_id} in {place}: its fingerprint is {fingerprint}, not"
                    f" {key.fingerprint}."
                )
                raise InputError(KEY_TAKEN, message, field="key_id", given=key.key_id)
        if there is not None and there.kept is not None:
            if not noted:
                self._write_note(there, there.kept)
            return there
        _make_own(self.folder)
        # Nothing is put into a keyring that can't be asked: what it holds under the number would be lost.
        why_file = failed.message if failed else self.keychain.why_none
        # The note comes first: by it alone a key in the keyring is known to be there.
        if not noted:
            self._write_note(key, Kept(FILE, "") if why_file else Kept(KEYRING, self.keychain.name))
        try:
            kept = self._put(key, why_file)
        except BaseException:
            if not noted:
                with contextlib.suppress(OSError):
                    _note_path(key.key_id).unlink()
            raise
        # What a keyring that can't be asked has by the note, it has beside the file.
        if (noted or kept.how == FILE) and not (failed and note.kept.how == KEYRING):
            self._write_note(key, kept)
        return replace(key, kept=kept)

    def _put(self, key: ClinicKey, why_file: str) -> Kept:
        """Put a key into the keyring, or, with a reason `why_file` or where that fails, into a file."""
        if not why_file:
            try:
                self.keychain.put(key.key_id, key.key.hex())
                return Kept(KEYRING, self.keychain.name)
            except PinprickError as error:
                # What it kept all the same would be a second copy that nobody knows of.
                with contextlib.suppress(PinprickError):
                    self.keychain.remove(key.key_id)
                why_file = error.message
        path = key_path(key.key_id)
        save_key(key, path)
        return Kept(FILE, str(path), why_file)

    def make(self, number: int | None = None) -> ClinicKey:
        """Make and keep a new key, of a free number when none is named; raises as `keep`."""
        taken = self.numbers()
        if number is None:
            number = secrets.choice(_DRAWN)
            while number in taken:
                number = secrets.choice(_DRAWN)
        elif number in taken or self._there(number)[0] is not None:
            hint = "Name another number, or none: then one is drawn."
            message = f"There is a key {number} here already."
            raise InputError(KEY_TAKEN, message, field="--number", given=number, hint=hint)
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
        """Return all keys by number; one that lies in the keyring and in a file, once for each. A keyring that can't
        be asked has those keys that their notes say it has.
        """
        self.unasked = ""
        found: list[Listed] = []
        for number in sorted(self.numbers()):
            note = self._note(number)
            in_keyring = note.kept if note.kept.how == KEYRING else Kept(KEYRING, self.keychain.name)
            entries = [
                self._looked_at(number, in_keyring, self._in_keyring, note),
                self._looked_at(number, Kept(FILE, str(key_path(number))), self._in_file, note),
            ]
            there = [entry for entry in entries if entry is not None]
            gone = "it is not in its file any more"
            if self.keychain.name and not self.unasked:
                gone = "it is neither in the keyring nor in its file any more"
            found += there or [Listed(number, note.kept, note.fingerprint, note.made_at, gone)]
        return found

    def _looked_at(
        self, number: int, place: Kept, look: Callable[[int], ClinicKey | None], note: Listed
    ) -> Listed | None:
        """Return the key that `look` finds at `place` as a list shows it, None for no key there."""
        try:
            key = look(number)
        except PinprickError as error:
            if error.code == KEYRING_FAILED and note.kept.how != KEYRING:
                self.unasked = error.message
                return None
            return Listed(number, place, "", note.made_at, error.message.removeprefix(f"Key {number} "))
        if key is None:
            return None
        other = note.fingerprint not in ("", key.fingerprint)
        problem = f"another key than was kept: that had the fingerprint {note.fingerprint}" if other else ""
        return Listed(number, key.kept or place, key.fingerprint, key.made_at or note.made_at, problem)

    def forget(self, number: int) -> list[Kept]:
        """Take the key of this number out of keyring, file and notes; return where it was.

        Raises InputError KEY_MISSING when it is nowhere, FILE_UNWRITABLE (what could be taken away is gone then), and
        PinprickError KEYRING_FAILED, with nothing removed, for one that may be in a keyring that can't be asked.
        """
        self.unasked = ""
        path, note = key_path(number), _note_path(number)
        was: list[Kept] = []
        try:
            # With the key in them are also those of a tool that was killed as it wrote the file.
            files = [path] if is_there(path) else []
            files += [
                self.folder / name
                for name in names_in(self.folder)
                if name.startswith(path.name) and name.endswith(UNFINISHED)
            ]
            known = is_there(note)
            try:
                self._kept_text(number)
                if self.keychain.remove(number):
                    was.append(Kept(KEYRING, self.keychain.name))
            except PinprickError as error:
                if self._note(number).kept.how == KEYRING or not (files or known):
                    error.message += " Nothing was removed."
                    if error.hint:
                        error.hint += f" Only if that keyring is gone for good, remove the key's note {note}."
                    raise
                self.unasked = error.message
            for file in files:
                file.unlink()
                was.append(Kept(FILE, str(file)))
            if known:
                note.unlink()
        except OSError as error:
            message = f"The key {number} cannot be removed: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, field="NUMBER", given=number) from None
        if not was and not known:
            raise self._missing(number)
        return was

    def _there(self, number: int) -> tuple[ClinicKey | None, PinprickError | None]:
        """Return the key of this number, looked for as `find` does, and why the keyring can't be asked.

        Raises InputError KEY_BAD, and KEY_MISSING for a file that can't be read.
        """
        if self._note(number).kept.how == FILE:
            # No keyring is asked, which might have to be waited for.
            found = self._in_file(number)
            if found is not None:
                return found, None
        found, failed = None, None
        try:
            found = self._in_keyring(number)
        except PinprickError as error:
            if error.code == KEY_BAD:
                raise
            failed = error
        return found or self._in_file(number), failed

    def _kept_text(self, number: int) -> str | None:
        """Return what the keyring has under this number; PinprickError KEYRING_FAILED also when the note tells of
        another keyring than the one in use.
        """
        text = self.keychain.get(number)
        noted = self._note(number).kept
        if text is None and noted.how == KEYRING and noted.place != self.keychain.name:
            why = self.keychain.why_none or f"the one in use is {self.keychain.name}"
            message = f"Key {number} was kept in {noted.place}, which can't be reached from here ({why})."
            raise PinprickError(KEYRING_FAILED, message, field="keyring", given=noted.place, hint=_REACH_IT)
        return text

    def _in_keyring(self, number: int) -> ClinicKey | None:
        text = self._kept_text(number)
        if text is None:
            return None
        key = _bytes_of(text)
        if not key:
            message = f"What the keyring ({self.keychain.name}) holds as key {number} is no key."
            hint = f"`pinprick key forget {number} --yes` removes it; `pinprick key import FILE` brings the key's copy."
            raise InputError(KEY_BAD, message, field="keyring", given=number, hint=hint)
        return ClinicKey(number, key, self._note(number).made_at, Kept(KEYRING, self.keychain.name))

    def _in_file(self, number: int) -> ClinicKey | None:
        path = key_path(number)
        try:
            if not is_there(path):
                return None
        except OSError as error:
            raise _unreadable(path, error, "") from None
        _make_own(self.folder)
        key = load_key(path, "")
        if key.key_id != number:
            message = f"{path} holds key {key.key_id}, not key {number}."
            hint = "Move it out of that folder and bring it with `pinprick key import FILE`; change nothing in it."
            raise InputError(KEY_BAD, message, field="key_id", given=key.key_id, limit=number, hint=hint)
        return replace(key, kept=Kept(FILE, str(path)))

    def _missing(self, number: int) -> InputError:
        keyring = f"the keyring ({self.keychain.name}) has none of that number"
        if self.keychain.why_none:
            keyring = f"no keyring can be used ({self.keychain.why_none})"
        message = f"Key {number} is not on this computer: {keyring}, and there is no file {key_path(number)}."
        return InputError(KEY_MISSING, message, field="key_id", given=number, hint=_KNOWN)

    def _note(self, number: int) -> Listed:
        """Return what was written down of a key; a note that is lost or spoilt says nothing."""
        found: dict[str, object] = {}
        with contextlib.suppress(OSError, *_NO_TOML):
            found = tomllib.loads(read_bounded(_note_path(number), _MOST_BYTES).decode())
        fingerprint, made = found.get("fingerprint"), found.get("made")
        how, place = found.get("how"), found.get("place")
        return Listed(
            number,
            Kept(KEYRING, place) if how == KEYRING and isinstance(place, str) else Kept(FILE, str(key_path(number))),
            fingerprint if isinstance(fingerprint, str) else "",
            made if type(made) is int and 0 <= made <= U32_MAX else 0,
        )

    def _write_note(self, key: ClinicKey, kept: Kept) -> None:
        # A file's place is known by its number, and its path needn't be a text that can be written.
        place = kept.place if kept.how == KEYRING else key_path(key.key_id).name
        fields = {"fingerprint": key.fingerprint, "made": key.made_at, "how": kept.how, "place": place}
        # A text in ASCII with JSON's escapes is one to TOML, too.
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())
        path = _note_path(key.key_id)
        try:
            write_private(path, text.encode())
        except OSError as error:
            message = f"The note of a key cannot be written to {path}: {error.strerror}."
            raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None


def _note_path(number: int) -> Path:
    return key_path(number).with_suffix(".note.toml")


def _make_own(folder: Path) -> None:
    """Take others' rights away from the folder of the keys, if there is one; InputError KEY_BAD when they stay."""
    if os.name != "posix":
        return
    try:
        if not is_there(folder):
            return
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & _OTHERS:
            folder.chmod(mode & ~_OTHERS)
    except OSError as error:
        message = f"Others than you can get at the folder of the keys, {folder}, and it stays so: {error.strerror}."
        hint = f"Have it belong to you alone: chmod 700 {folder}"
        raise InputError(KEY_BAD, message, given=str(folder), limit="0o700", hint=hint) from None


# --- key files -------------------------------------------------------------------------------------------------------
_NO_TOML = (ValueError, RecursionError)
"""What reading raises for a text that isn't TOML, and for one of brackets within brackets without end."""


def load_key(path: Path, field: str = "--key") -> ClinicKey:
    """Return the key in the file at `path`, which `field` names; InputError KEY_MISSING, or KEY_BAD also for one that
    others can read.
    """
    try:
        data, mode = read_with_mode(path, _MOST_BYTES)
    except TooBig:
        raise _bad(path, "it is far too big", field) from None
    except OSError as error:
        raise _unreadable(path, error, field) from None
    if os.name == "posix" and stat.S_IMODE(mode) & _OTHERS:
        message = f"Others than its owner can get at {path}."
        hint = f"Take the others' rights away: chmod 600 {path}"
        raise InputError(KEY_BAD, message, field=field, given=oct(stat.S_IMODE(mode)), limit="0o600", hint=hint)
    try:
        found = tomllib.loads(data.decode())
    except _NO_TOML:
        raise _bad(path, "it is not TOML", field) from None
    number, text, made = found.pop("key_id", None), found.pop("key", None), found.pop("made", 0)
    if found:
        # Which other name is not said: it may be the key itself.
        raise _bad(path, "only key_id, key and made may be in it", field)
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


def _bad(path: Path, why: str, field: str) -> InputError:
    return InputError(KEY_BAD, f"{path} is no key file: {why}.", field=field, given=str(path))


def _unreadable(path: Path, error: OSError, field: str) -> InputError:
    message = f"The key file {path} cannot be read: {error.strerror}."
    hint = "Check its name, and that this account may read it."
    return InputError(KEY_MISSING, message, field=field, given=str(path), hint=hint)


def save_key(key: ClinicKey, path: Path, field: str = "") -> None:
    """Write a key file that its owner alone can read, from its first byte on; InputError FILE_EXISTS for one that is
    there, FILE_UNWRITABLE, both at `field`.
    """
    made = f"made = {key.made_at}\n" if key.made_at else ""
    try:
        make_private(path.parent)
        write_new(path, f'key_id = {key.key_id}\nkey = "{key.key.hex()}"\n{made}'.encode(), private=True)
        # The folders' names may be new as well, and a pen may be the only other place that has the key.
        sync_way(path.parent)
    except FileExistsError:
        hint = "Choose another name: no key file is ever written over."
        raise InputError(FILE_EXISTS, f"{path} is there already.", field=field, given=str(path), hint=hint) from None
    except OSError as error:
        message = f"The key cannot be written to {path}: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, field=field, given=str(path)) from None
