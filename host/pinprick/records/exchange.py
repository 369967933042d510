"""Records for others: CSV for spreadsheets, JSON that nothing is lost in, and the way back. Host only; writes one file.

An export of the same records is the same bytes: it holds no date of its own, pens come by serial number, sessions by
id, zones in the order of the session.
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pencore.record import Record
from pinprick.errors import (
    FILE_EXISTS,
    FILE_NOT_RECORDS,
    FILE_UNWRITABLE,
    RECORD_MISMATCH,
    InputError,
    Mismatch,
)
from pinprick.files import write_whole
from pinprick.records.chain import parse, verify_chains
from pinprick.records.store import RecordStore, SavedRecord, read_file
from pinprick.records.words import describe, difference

FORMAT = "pinprick-records"
"""What the JSON export calls itself, in its field `format`."""
SCHEMA = 1
_EXPORT_MOST = 256 * 1024 * 1024
"""Bytes of an export that is still read: some ten thousand sessions."""
_SEALED = "sealed_base64"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

COLUMNS: tuple[tuple[str, str], ...] = (
    ("serial", "the pen's serial number"),
    ("session", "the session's id, 1 for a pen's first"),
    ("start", "when it began, UTC"),
    ("end", "start and the time the pen was powered since, UTC"),
    ("ended", "why it ended"),
    ("profile", "the profile's name"),
    ("course", "the course's id"),
    ("course_index", "which session of the course"),
    ("course_of", "of how many"),
    ("cartridge", "the cartridge's id"),
    ("lot", "its lot"),
    ("expires", "its expiry date"),
    ("session_limit_um", "the session's depth limit"),
    ("session_strokes", "strokes allowed in the session"),
    ("session_counted", "strokes counted in the session"),
    ("zone", "area and side; a row each"),
    ("depth_um", "the zone's depth as set"),
    ("deepest_commanded_um", "deepest protrusion commanded; 0: none"),
    ("rate_per_s", "strokes per second as set"),
    ("budget", "strokes allowed in the zone"),
    ("made", "strokes made"),
    ("forfeited", "strokes reserved and not confirmed; they count"),
    ("counted", "made + forfeited"),
    ("faults", "the session's faults: name, code, after how long, zone"),
    ("more_faults", "faults beyond the sixteen recorded"),
    ("firmware_build", "the pen's firmware"),
    ("calibration_age_s", "the calibration's age at the start"),
    ("key_id", "the key that signed the profile; 0: unsigned"),
    ("profile_sha256", "digest of the profile"),
    ("previous_sha256", "digest of the record before"),
    ("sha256", "digest of the record"),
)
"""The columns of the CSV export, (name, meaning), in their order; what is said of a session repeats in each of its
rows.
"""


# --- out -------------------------------------------------------------------------------------------------------------
def to_csv(saved: Iterable[SavedRecord]) -> str:
    """Return records as CSV (RFC 4180): a header, then a row per session and zone; see COLUMNS. Depths are in um.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([name for name, _ in COLUMNS])
    for entry in saved:
        told = describe(entry.record)
        for zone in told["zones"]:
            row = _row(told, zone)
            writer.writerow([_cell(row[name]) for name, _ in COLUMNS])
    return text.getvalue()


def to_json(saved: Iterable[SavedRecord]) -> str:
    """Return records as JSON: what `describe` says of each, and its sealed bytes, so that it can be imported again."""
    records = [{**describe(entry.record), _SEALED: base64.b64encode(entry.data).decode("ascii")} for entry in saved]
    return json.dumps({"format": FORMAT, "schema": SCHEMA, "records": records}, indent=2) + "\n"


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _row(told: dict[str, Any], zone: dict[str, Any]) -> dict[str, object]:
    """Return the cells of a zone by the names of their columns."""
    course, cartridge, limits = told["course"], told["cartridge"], told["limits"]
    return {
        **told,
        "course": course["id"],
        "course_index": course["index"],
        "course_of": course["of"],
        "cartridge": cartridge["id"],
        "lot": cartridge["lot"],
        "expires": cartridge["expires"],
        "session_limit_um": limits["depth_um"],
        "session_strokes": limits["strokes"],
        "session_counted": told["counted"],
        "faults": "; ".join(map(_fault, told["faults"])),
        **zone,
    }


def _fault(told: dict[str, Any]) -> str:
    where = f" in {told['zone']}" if told["zone"] else ""
    return f"{told['name']} {told['code']} after {told['elapsed_s']} s{where}"


def check_target(path: Path, force: bool) -> None:
    """Refuse a file that an export may not be written to: InputError FILE_EXISTS (without `force`), FILE_UNWRITABLE."""
    try:
        there, plain = path.exists(), path.is_file()
    except OSError as error:
        raise _unwritable(path, error.strerror) from None
    if there and not plain:
        raise _unwritable(path, "it is not a file")
    if there and not force:
        raise InputError(FILE_EXISTS, f"{path} exists already and was left as it is.", field="--out", given=str(path))


def write_export(text: str, path: Path, *, force: bool = False) -> None:
    """Write an export whole, or leave everything as it was; raises as `check_target`."""
    check_target(path, force)
    try:
        write_whole(path.resolve(), text.encode())
    except (OSError, ValueError) as error:
        # ValueError: a name no file can have, such as one with a NUL in it.
        raise _unwritable(path, getattr(error, "strerror", None) or str(error)) from None


def _unwritable(path: Path, why: str | None) -> InputError:
    return InputError(FILE_UNWRITABLE, f"{path} cannot be written: {why}.", field="--out", given=str(path))


# --- and in ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Imported:
    """What an import added, and what had been kept before; oldest first, pen by pen."""

    new: tuple[SavedRecord, ...]
    kept: tuple[SavedRecord, ...]


def read_export(path: Path) -> list[tuple[bytes, Record]]:
    """Return the sealed records in a JSON export, each checked, by pen and session.

    Raises InputError FILE_MISSING, FILE_UNREADABLE, FILE_TOO_BIG, FILE_NOT_RECORDS, Mismatch RECORD_MISMATCH for a
    record whose seal, chain or words don't fit.
    """
    data = read_file(path, _EXPORT_MOST)
    try:
        held = json.loads(data)
    except (ValueError, RecursionError):
        raise _no_export(path, "it is not JSON") from None
    if not isinstance(held, dict) or held.get("format") != FORMAT or not isinstance(held.get("records"), list):
        raise _no_export(path, f"it doesn't call itself {FORMAT}, or has no records")
    if held.get("schema") != SCHEMA:
        raise _no_export(path, f"this tool reads schema {SCHEMA} of it alone")
    entries = [_entry(path, index, said) for index, said in enumerate(held["records"])]
    entries.sort(key=lambda entry: (entry[1].serial, entry[1].session))
    verify_chains(sealed for _, sealed in entries)
    return entries


def _entry(path: Path, index: int, said: object) -> tuple[bytes, Record]:
    where = f"Record {index + 1} of {path}"
    if not isinstance(said, dict) or not isinstance(said.get(_SEALED), str):
        raise _no_export(path, f"its record {index + 1} has no {_SEALED}")
    try:
        data = base64.b64decode(said[_SEALED], validate=True)
    except (binascii.Error, ValueError):
        raise Mismatch(RECORD_MISMATCH, f"{where} is not base64.", field=_SEALED) from None
    sealed = parse(data, where)
    words = {key: value for key, value in said.items() if key != _SEALED}
    place = difference(words, describe(sealed))
    if place:
        message = f"{where}, of session {sealed.session}, says something else in {place} than the sealed record."
        raise Mismatch(RECORD_MISMATCH, message, field=place)
    return data, sealed


def _no_export(path: Path, why: str) -> InputError:
    return InputError(FILE_NOT_RECORDS, f"{path} is no export of records: {why}.", field="FILE", given=str(path))


def import_records(path: Path, store: RecordStore) -> Imported:
    """Keep the records of a JSON export that are not kept yet; all are checked, and written, before the first counts.

    Raises as `read_export`, `RecordStore.admit` and `save_all`; Mismatch RECORDS_FORK says that another record of a
    session is kept, or one that doesn't fit, and nothing is imported.
    """
    entries = read_export(path)
    for data, sealed in entries:
        store.admit(data, sealed.serial, sealed.session)
    saved = store.save_all(entries)
    return Imported(tuple(entry for entry in saved if entry.new), tuple(entry for entry in saved if not entry.new))
