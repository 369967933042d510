"""Clinic keys: what profiles are signed with. Host only; reads and writes small private files.

A key file is TOML with two lines: `key_id = 7` and `key = "64 hex digits"`. A pen that was provisioned with a key takes
only profiles signed with it; its `hello` says which number the key has, never the key.
"""

import os
import secrets
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from pencore.units import U32_MAX
from pinprick.errors import FILE_EXISTS, FILE_UNWRITABLE, KEY_BAD, KEY_MISSING, InputError
from pinprick.files import TooBig, is_there, read_with_mode, write_whole
from pinprick.places import data_folder

_SIZE = 32
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ClinicKey:
    """The key that a clinic signs its profiles with: number 1..2**32-1 and 32 bytes."""

    key_id: int
    key: bytes = field(repr=False)


def key_path(key_id: int) -> Path:
    """Return where the key of this number is looked for when no file is named."""
    return data_folder() / "keys" / f"key-{key_id}.toml"


def find_key(key_id: int, path: Path | None = None) -> ClinicKey | None:
    """Return the key with number `key_id`, from the file at `path` or from its usual place; None for number 0 (a pen
    that wants no signature). Raises InputError KEY_MISSING, KEY_BAD.
    """
    if not key_id:
        return None
    where = key_path(key_id) if path is None else path
    key = load_key(where)
    if key.key_id != key_id:
        message = f"{where} holds key {key.key_id}, but the pen wants key {key_id}."
        raise InputError(KEY_BAD, message, field="key_id", given=key.key_id, limit=key_id)
    return key


def load_key(path: Path) -> ClinicKey:
    """Return the key in the file at `path`; InputError KEY_MISSING, or KEY_BAD also for one that others can read."""
    try:
        data, mode = read_with_mode(path, _MOST_BYTES)
    except TooBig:
        raise _bad(path, "it is far too big", "") from None
    except OSError as error:
        message = f"The key file {path} cannot be read: {error.strerror}."
        raise InputError(KEY_MISSING, message, field="--key", given=str(path)) from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        hint = f"Take the others' rights away: chmod 600 {path}"
        raise InputError(
            KEY_BAD, f"Others than its owner can read {path}.", field="--key", given=oct(stat.S_IMODE(mode)), hint=hint
        )
    try:
        found = tomllib.loads(data.decode())
    except ValueError:
        raise _bad(path, "it is not TOML", "") from None
    number, text = found.pop("key_id", None), found.pop("key", None)
    if found:
        raise _bad(path, "only key_id and key may be in it", next(iter(found)))
    if type(number) is not int or not 1 <= number <= U32_MAX:
        raise _bad(path, f"key_id must be a whole number from 1 to {U32_MAX}", "key_id")
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        key = b""
    if len(key) != _SIZE or not any(key):
        raise _bad(path, f"key must be {2 * _SIZE} hex digits, not all zero", "key")
    return ClinicKey(number, key)


def _bad(path: Path, why: str, name: str) -> InputError:
    return InputError(KEY_BAD, f"{path} is no key file: {why}.", field=name or "--key", given=str(path))


def save_key(key: ClinicKey, path: Path) -> None:
    """Write a key file that its owner alone can read; InputError FILE_EXISTS for one that is there, FILE_UNWRITABLE."""
    try:
        if is_there(path):
            raise InputError(FILE_EXISTS, f"{path} is there already.", field="--key", given=str(path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, f'key_id = {key.key_id}\nkey = "{key.key.hex()}"\n'.encode(), private=True)
    except OSError as error:
        message = f"The key cannot be written to {path}: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None


def new_key(key_id: int) -> ClinicKey:
    """Return a new random key of this number."""
    return ClinicKey(key_id, secrets.token_bytes(_SIZE))
