"""Records for others: CSV as RFC 4180 has it, JSON that nothing is lost in, whole files or none, and the way back."""

import base64
import csv
import io
import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pencore.record import RecordZone
from pinprick import errors
from pinprick.errors import InputError, Mismatch, PinprickError
from pinprick.records import (
    COLUMNS,
    RecordStore,
    SavedRecord,
    describe,
    import_records,
    parse,
    read_export,
    to_csv,
    to_json,
    write_export,
)
from tests.support.records import SERIAL, keep, make


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """Return an empty store."""
    return RecordStore(tmp_path / "records")


@pytest.fixture
def exported(store: RecordStore, tmp_path: Path) -> Path:
    """Return a JSON export of three records of one pen and one of another."""
    keep(store, 3)
    keep(store, 1, "PP-2")
    path = tmp_path / "export.json"
    write_export(to_json(store.load_all(store.serials())), path)
    return path


def saved(data: bytes) -> SavedRecord:
    """Return a record as if it were kept."""
    return SavedRecord(Path("x.ppr"), data, parse(data), new=False)


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV export."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def raised(kind: type[PinprickError], code: int, act: Callable[[], object]) -> PinprickError:
    """Do `act`, which must raise `kind` with `code`."""
    with pytest.raises(kind) as caught:
        act()
    assert (caught.value.code, caught.value.exit_code) == (code, kind.exit_code)
    return caught.value


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change what an export holds."""
    held = json.loads(path.read_text())
    edit(held)
    path.write_text(json.dumps(held))


# --- CSV -------------------------------------------------------------------------------------------------------------
def test_a_row_per_session_and_zone_in_a_stable_order(store: RecordStore) -> None:
    keep(store, 11)
    keep(store, 1, "PP-2")
    text = to_csv(store.load_all(store.serials()))
    assert text == to_csv(store.load_all(store.serials()))
    assert text.endswith("\r\n")
    assert text.count("\r\n") == text.count("\n") == 1 + 2 * 12
    found = rows(text)
    assert [row["session"] for row in found[2:]] == [str(n) for n in range(1, 12) for _ in range(2)]
    assert [(row["serial"], row["zone"]) for row in found[:3]] == [
        ("PP-2", "cheek left"),
        ("PP-2", "nose"),
        (SERIAL, "cheek left"),
    ]


def test_every_cell_says_what_the_record_says() -> None:
    data = make()
    text = to_csv([saved(data)])
    assert text.split("\r\n")[0].split(",") == [name for name, _ in COLUMNS]
    assert len({name for name, _ in COLUMNS}) == len(COLUMNS)
    assert rows(text)[0] == {
        "serial": SERIAL,
        "session": "1",
        "start": "2027-01-15T08:00:00Z",
        "end": "2027-01-15T08:01:30Z",
        "ended": "finished",
        "profile": "Cheeks, session 2 of 6",
        "course": "course-7",
        "course_index": "2",
        "course_of": "6",
        "cartridge": "A-1234",
        "lot": "LOT-17",
        "expires": "2030-03-27",
        "session_limit_um": "750",
        "session_strokes": "300",
        "session_counted": "170",
        "zone": "cheek left",
        "depth_um": "750",
        "deepest_commanded_um": "750",
        "rate_per_s": "21",
        "budget": "200",
        "made": "150",
        "forfeited": "20",
        "counted": "170",
        "faults": "POWER_LOST 615 after 31 s in cheek left; STOP_BUTTON 511 after 44 s",
        "more_faults": "0",
        "firmware_build": "00112233445566ff",
        "calibration_age_s": "1000",
        "key_id": "0",
        "profile_sha256": bytes(range(32)).hex(),
        "previous_sha256": "00" * 32,
        "sha256": data[-32:].hex(),
    }


def test_nothing_to_export_is_a_header() -> None:
    assert rows(to_csv([])) == []
    assert to_csv([]).count("\r\n") == 1


@pytest.mark.parametrize("first", ["=", "+", "-", "@"])
@pytest.mark.parametrize("field", ["profile_name", "course_id", "cartridge_id", "cartridge_lot", "serial", "build"])
def test_no_text_is_a_formula(field: str, first: str) -> None:
    text = f"{first}SUM(A1)"
    fields: dict[str, Any] = {field: text}
    (row, _) = rows(to_csv([saved(make(**fields))]))
    assert f"'{text}" in row.values()
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


def test_commas_stay_in_their_cells() -> None:
    name = "cheeks, nose; 'both' =1"
    (row, _) = rows(to_csv([saved(make(profile_name=name))]))
    assert row["profile"] == name


# --- JSON ------------------------------------------------------------------------------------------------------------
def test_json_holds_the_words_and_the_sealed_bytes(store: RecordStore) -> None:
    made = keep(store, 2)
    held = json.loads(to_json(store.load_all([SERIAL])))
    assert (held["format"], held["schema"]) == ("pinprick-records", 1)
    for said, data in zip(held["records"], made, strict=True):
        assert base64.b64decode(said.pop("sealed_base64")) == data
        assert said == describe(parse(data))


def test_what_is_exported_comes_back_byte_for_byte(store: RecordStore, exported: Path, tmp_path: Path) -> None:
    other = RecordStore(tmp_path / "other")
    imported = import_records(exported, other)
    assert [(entry.record.serial, entry.record.session) for entry in imported.new] == [
        ("PP-2", 1),
        (SERIAL, 1),
        (SERIAL, 2),
        (SERIAL, 3),
    ]
    assert imported.kept == ()
    for entry in store.load_all(store.serials()):
        assert other.load(entry.record.serial, entry.record.session).data == entry.data
    assert to_json(other.load_all(other.serials())) == exported.read_text()
    again = import_records(exported, other)
    assert (again.new, len(again.kept)) == ((), 4)


def test_the_order_in_the_file_does_not_matter(exported: Path, tmp_path: Path) -> None:
    change(exported, lambda held: held["records"].reverse())
    other = RecordStore(tmp_path / "other")
    assert len(import_records(exported, other).new) == 4
    assert other.inspect(SERIAL).good


def test_an_empty_export_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    write_export(to_json([]), path)
    assert import_records(path, RecordStore(tmp_path / "other")).new == ()


# --- what is not imported --------------------------------------------------------------------------------------------
def untouched(path: Path, tmp_path: Path, kind: type[PinprickError], code: int) -> PinprickError:
    """Import what can't be, and see that nothing was kept of it."""
    other = RecordStore(tmp_path / "other")
    error = raised(kind, code, lambda: import_records(path, other))
    assert not other.folder.exists()
    return error


@pytest.mark.parametrize("field", ["made", "profile", "sha256"])
def test_an_export_whose_words_were_changed_is_refused(exported: Path, tmp_path: Path, field: str) -> None:
    def edit(held: dict[str, Any]) -> None:
        held["records"][3][field] = 7

    change(exported, edit)
    error = untouched(exported, tmp_path, Mismatch, errors.RECORD_MISMATCH)
    assert field in error.message
    assert "session 3" in error.message


def test_an_export_whose_bytes_were_changed_is_refused(exported: Path, tmp_path: Path) -> None:
    def edit(held: dict[str, Any]) -> None:
        sealed = bytearray(base64.b64decode(held["records"][2]["sealed_base64"]))
        sealed[100] ^= 1
        held["records"][2]["sealed_base64"] = base64.b64encode(sealed).decode()

    change(exported, edit)
    assert "Record 3" in untouched(exported, tmp_path, Mismatch, errors.RECORD_MISMATCH).message


@pytest.mark.parametrize("text", ["%%%", "é", "AAA"])
def test_an_export_that_is_not_base64_is_refused(exported: Path, tmp_path: Path, text: str) -> None:
    change(exported, lambda held: held["records"][0].update(sealed_base64=text))
    assert "base64" in untouched(exported, tmp_path, Mismatch, errors.RECORD_MISMATCH).message


def test_an_export_whose_chain_is_broken_is_refused(exported: Path, tmp_path: Path) -> None:
    data = make(2, b"\x07" * 32)

    def edit(held: dict[str, Any]) -> None:
        held["records"][2] = {**describe(parse(data)), "sealed_base64": base64.b64encode(data).decode()}

    change(exported, edit)
    assert "session 1" in untouched(exported, tmp_path, Mismatch, errors.RECORD_MISMATCH).message


def test_a_record_that_is_in_the_file_twice_is_refused(exported: Path, tmp_path: Path) -> None:
    change(exported, lambda held: held["records"].append(held["records"][1]))
    untouched(exported, tmp_path, Mismatch, errors.RECORD_MISMATCH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"format":"pinprick-records","schema":1}',
        '{"format":"pinprick-records","schema":1,"records":7}',
        '{"format":"pinprick-records","schema":1,"records":[7]}',
        '{"format":"pinprick-records","schema":1,"records":[{}]}',
        '{"format":"pinprick-records","schema":1,"records":[{"sealed_base64":7}]}',
        '{"format":"pinprick-records","schema":2,"records":[]}',
        '{"format":"other","schema":1,"records":[]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "no.json"
    path.write_text(text)
    error = untouched(path, tmp_path, InputError, errors.FILE_NOT_RECORDS)
    assert "no export of records" in error.message


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    raised(InputError, errors.FILE_MISSING, lambda: read_export(tmp_path / "no"))
    raised(InputError, errors.FILE_UNREADABLE, lambda: read_export(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    raised(InputError, errors.FILE_UNREADABLE, lambda: read_export(tmp_path / "pipe"))
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    raised(InputError, errors.FILE_TOO_BIG, lambda: read_export(tmp_path / "huge"))


def test_nothing_is_imported_beside_what_cannot_be_read(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    raised(InputError, errors.FILE_UNREADABLE, lambda: import_records(exported, RecordStore(tmp_path / "file")))
    other = RecordStore(tmp_path / "other")
    other.pen_folder(SERIAL).parent.mkdir()
    other.pen_folder(SERIAL).write_text("")
    raised(InputError, errors.FILE_UNREADABLE, lambda: import_records(exported, other))
    assert [path.name for path in other.folder.iterdir()] == [other.pen_folder(SERIAL).name]


def test_a_fork_is_refused_before_anything_is_kept(exported: Path, tmp_path: Path) -> None:
    other = RecordStore(tmp_path / "other")
    other.save(make(3, b"\x07" * 32), SERIAL, 3)
    raised(Mismatch, errors.RECORDS_FORK, lambda: import_records(exported, other))
    assert other.serials() == [SERIAL]
    assert other.sessions(SERIAL) == [3]


def test_records_that_do_not_continue_what_is_kept_are_refused(exported: Path, tmp_path: Path) -> None:
    other = RecordStore(tmp_path / "other")
    other.save(make(4, b"\x07" * 32), SERIAL, 4)
    assert raised(Mismatch, errors.RECORDS_FORK, lambda: import_records(exported, other)).given == 3
    assert other.sessions(SERIAL) == [4]


# --- the file --------------------------------------------------------------------------------------------------------
def test_a_file_that_is_there_is_left_alone_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    raised(InputError, errors.FILE_EXISTS, lambda: write_export("yours", path))
    assert path.read_text() == "mine"
    write_export("yours", path, force=True)
    assert path.read_bytes() == b"yours"


def test_lines_end_as_they_were_made(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write_export(to_csv([saved(make())]), path)
    assert path.read_bytes() == to_csv([saved(make())]).encode()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    write_export("yours", link, force=True)
    assert link.is_symlink()
    assert target.read_text() == "yours"


@pytest.mark.parametrize("force", [False, True])
def test_what_is_not_a_file_is_never_replaced(tmp_path: Path, force: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, Path(os.devnull)):
        error = raised(InputError, errors.FILE_UNWRITABLE, partial(write_export, "x", path, force=force))
        assert "not a file" in error.message
    raised(InputError, errors.FILE_UNWRITABLE, lambda: write_export("x", tmp_path / "no" / "out", force=force))
    raised(InputError, errors.FILE_UNWRITABLE, lambda: write_export("x", tmp_path / "a\x00b", force=force))


@pytest.mark.parametrize("step", ["mkstemp", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr({"mkstemp": tempfile, "fsync": os, "replace": Path}[step], step, full)
    error = raised(InputError, errors.FILE_UNWRITABLE, lambda: write_export("yours", path, force=True))
    assert "No space left" in error.message
    assert path.read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("at", range(1, 5))
def test_a_full_disk_amid_an_import_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, exported: Path, tmp_path: Path, at: int
) -> None:
    other = RecordStore(tmp_path / "other")
    write = os.write
    written = []

    def full(descriptor: int, data: bytes) -> int:
        written.append(data)
        if len(written) == at:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        raised(InputError, errors.FILE_UNWRITABLE, lambda: import_records(exported, other))
    assert other.serials() == []
    assert [path for path in other.folder.rglob("*") if path.is_file()] == []
    assert len(import_records(exported, other).new) == 4


def test_the_largest_record_goes_there_and_back(store: RecordStore, tmp_path: Path) -> None:
    zones = [RecordZone(area, 1, 2500, 9999, 9999, 0, 2500, 37) for area in range(32)]
    data = make(zones=zones, faults=[(701, 0, 4_000_000)] * 16, more_faults=4_000_000_000, start_s=2**32 - 91)
    store.save(data, SERIAL, 1)
    path = tmp_path / "big.json"
    write_export(to_json(store.load_all([SERIAL])), path)
    assert [held for held, _ in read_export(path)] == [data]
    assert len(rows(to_csv(store.load_all([SERIAL])))) == 32
