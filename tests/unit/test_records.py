"""Records on this computer: read strictly, chained, written whole or not at all, never replaced."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import platformdirs
import pytest

from pencore.digest import ZERO_DIGEST
from pinprick import errors
from pinprick.errors import InputError, Mismatch
from pinprick.files import Staged
from pinprick.records import (
    BadLink,
    EditedCopy,
    Gap,
    Kind,
    RecordStore,
    describe,
    gaps,
    parse,
    read_record,
    verify_chain,
)
from pinprick.records import store as stores
from pinprick.records.words import difference
from tests.support.records import SERIAL, chain, keep, make


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """Return an empty store."""
    return RecordStore(tmp_path / "records")


def mismatch(code: int, act: object, *arguments: object) -> Mismatch:
    assert callable(act)
    with pytest.raises(Mismatch) as caught:
        act(*arguments)
    assert caught.value.code == code
    assert caught.value.exit_code == errors.EXIT_MISMATCH
    return caught.value


# --- in words --------------------------------------------------------------------------------------------------------
def test_a_record_in_words() -> None:
    data = make()
    told = describe(parse(data))
    assert told["zones"][0] == {
        "zone": "cheek left",
        "depth_um": 750,
        "deepest_commanded_um": 750,
        "rate_per_s": 21,
        "budget": 200,
        "made": 150,
        "forfeited": 20,
        "counted": 170,
    }
    assert told["zones"][1]["zone"] == "nose"
    assert (told["counted"], told["made"], told["forfeited"]) == (170, 150, 20)
    assert told["cartridge"] == {"id": "A-1234", "lot": "LOT-17", "expires": "2030-03-27"}
    assert (told["start"], told["end"]) == ("2027-01-15T08:00:00Z", "2027-01-15T08:01:30Z")
    assert told["faults"] == [
        {"code": 615, "name": "POWER_LOST", "zone": "cheek left", "elapsed_s": 31},
        {"code": 511, "name": "STOP_BUTTON", "zone": None, "elapsed_s": 44},
    ]
    assert told["sha256"] == data[-32:].hex()
    assert (told["head"], told["ended"]) == ("pen", "finished")


def test_words_for_codes_that_only_a_newer_pen_knows() -> None:
    sealed = parse(make())
    sealed.head, sealed.end_reason = 9, 200
    sealed.zones[0].area = 31
    sealed.faults = [(999, 1, 0)]
    told = describe(sealed)
    assert (told["head"], told["ended"]) == ("head-9", "reason-200")
    assert told["zones"][0]["zone"] == "area-31 left"
    assert told["faults"][0]["name"] == "UNKNOWN"


# --- checks ----------------------------------------------------------------------------------------------------------
def test_every_changed_byte_is_found() -> None:
    data = make()
    for at in range(len(data)):
        mismatch(errors.RECORD_MISMATCH, parse, data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
    for size in (0, 1, 100, len(data) - 1):
        mismatch(errors.RECORD_MISMATCH, parse, data[:size])
    mismatch(errors.RECORD_MISMATCH, parse, data + b"\x00")


def test_a_chain_is_followed() -> None:
    made = [parse(data) for data in chain(4)]
    assert verify_chain(made) == 4
    assert verify_chain([]) == 0
    assert verify_chain(made[2:]) == 2
    assert verify_chain([made[0], made[3]]) == 2  # a gap: who knows what lay between


def test_a_broken_chain_is_found() -> None:
    first, second, third = (parse(data) for data in chain(3))
    mismatch(errors.RECORD_MISMATCH, verify_chain, [second, first])
    mismatch(errors.RECORD_MISMATCH, verify_chain, [first, first])
    other = parse(make(2, bytes(32)))
    assert "session 1" in mismatch(errors.RECORD_MISMATCH, verify_chain, [first, other, third]).message
    mismatch(errors.RECORD_MISMATCH, verify_chain, [parse(make(1, b"\x01" * 32))])
    mismatch(errors.RECORD_MISMATCH, verify_chain, [first, parse(make(2, first.digest, "SIM-0002"))])


# --- kept ------------------------------------------------------------------------------------------------------------
def test_what_is_saved_is_what_is_read(store: RecordStore) -> None:
    data = make()
    saved = store.save(data, SERIAL, 1)
    assert saved.new
    assert saved.path.read_bytes() == data == saved.data
    assert json.loads(saved.path.with_suffix(".json").read_text()) == describe(saved.record)
    assert sorted(path.name for path in saved.path.parent.iterdir()) == [
        "session-00000001.json",
        "session-00000001.ppr",
    ]
    again = store.save(data, SERIAL, 1)
    assert not again.new
    assert store.sessions(SERIAL) == [1]
    assert store.load(SERIAL, 1).record.digest == data[-32:]


def test_the_head_is_the_newest(store: RecordStore) -> None:
    assert store.head(SERIAL) is None
    for number, data in enumerate(chain(12), 1):
        store.save(data, SERIAL, number)
    head = store.head(SERIAL)
    assert head is not None
    assert head.session == 12
    assert store.verify(SERIAL) == 12
    assert store.head("SIM-0002") is None


def test_a_pen_is_held_against_what_is_kept(store: RecordStore) -> None:
    first, second, _third = chain(3)
    store.check_head(SERIAL, 5, b"\x05" * 32)  # nothing kept: nothing to say
    store.save(first, SERIAL, 1)
    store.save(second, SERIAL, 2)
    store.check_head(SERIAL, 2, second[-32:])
    store.check_head(SERIAL, 3, b"\x03" * 32)  # one more was made since; it will be pulled
    ahead = mismatch(errors.RECORDS_AHEAD, store.check_head, SERIAL, 1, first[-32:])
    assert (ahead.given, ahead.limit) == (1, 2)
    mismatch(errors.RECORDS_AHEAD, store.check_head, SERIAL, 0, ZERO_DIGEST)
    mismatch(errors.RECORDS_FORK, store.check_head, SERIAL, 2, first[-32:])
    store.check_head("SIM-0002", 0, ZERO_DIGEST)


def test_another_record_of_the_same_session_replaces_nothing(store: RecordStore) -> None:
    data = make()
    store.save(data, SERIAL, 1)
    mismatch(errors.RECORDS_FORK, store.save, make(start_s=1), SERIAL, 1)
    assert store.load(SERIAL, 1).data == data


def test_a_record_that_does_not_fit_its_neighbours_is_not_kept(store: RecordStore) -> None:
    first, second, third = chain(3)
    store.save(second, SERIAL, 2)
    assert mismatch(errors.RECORDS_FORK, store.save, make(3, b"\x07" * 32), SERIAL, 3).given == 2
    assert mismatch(errors.RECORDS_FORK, store.save, make(1, start_s=1), SERIAL, 1).given == 1
    mismatch(errors.RECORD_MISMATCH, store.save, make(1, b"\x01" * 32, start_s=1), SERIAL, 1)
    assert store.sessions(SERIAL) == [2]
    store.save(third, SERIAL, 3)
    store.save(first, SERIAL, 1)
    assert store.verify(SERIAL) == 3


def test_a_record_given_for_another_one_is_not_kept(store: RecordStore) -> None:
    mismatch(errors.RECORD_MISMATCH, store.save, make(2, b"\x01" * 32), SERIAL, 1)
    mismatch(errors.RECORD_MISMATCH, store.save, make(), "SIM-0002", 1)
    assert not store.folder.exists()


def test_a_record_changed_on_the_disk_is_found(store: RecordStore) -> None:
    saved = store.save(make(), SERIAL, 1)
    saved.path.write_bytes(saved.data[:-1] + b"\x00")
    assert str(saved.path) in mismatch(errors.RECORD_MISMATCH, store.verify, SERIAL).message
    mismatch(errors.RECORD_MISMATCH, store.check_head, SERIAL, 1, saved.record.digest)
    saved.path.write_bytes(make(2, b"\x01" * 32))
    mismatch(errors.RECORD_MISMATCH, store.load, SERIAL, 1)


@pytest.mark.parametrize("serial", ["..", ".", "../../x", "a/b\\c", "C:x", " ", "nul", "x.", "%2E", "*?<>|"])
def test_whatever_a_serial_holds_its_records_stay_below_the_folder(store: RecordStore, serial: str) -> None:
    folder = store.pen_folder(serial)
    assert folder.parent == store.folder
    assert folder.resolve().parent == store.folder.resolve()
    if "\\" not in serial:
        store.save(make(serial=serial), serial, 1)
        assert store.sessions(serial) == [1]
        assert [path.parent.name for path in store.folder.rglob("*.ppr")] == [folder.name]


def test_no_two_serials_share_a_folder(store: RecordStore) -> None:
    serials = ["A", "A.", "A%2E", "A/", "A%2F", "a b", "a%20b", ".", ".."]
    assert len({store.pen_folder(serial) for serial in serials}) == len(serials)


CASES = ["PP-1a", "PP-1A", "pp-1a", "pp-1A", "Pp-1a"]


@pytest.mark.parametrize("order", [CASES, CASES[::-1]])
def test_serials_that_differ_in_case_alone_share_no_folder(store: RecordStore, order: list[str]) -> None:
    """Nor do they where the file system makes no difference: it takes for one what it folds to one."""
    for number, serial in enumerate(order, 1):
        keep(store, number, serial)
    folders = [path.name for path in store.folder.iterdir()]
    assert len({name.casefold() for name in folders}) == len(order)
    assert store.pen_folder(order[0]).name == f"pen-{order[0]}"  # as ever, while there is no other
    assert store.serials() == sorted(order)
    for number, serial in enumerate(order, 1):
        assert store.sessions(serial) == list(range(1, number + 1))
        assert store.inspect(serial).good


def test_folders_that_differ_in_case_alone_are_found_again_as_they_are(store: RecordStore) -> None:
    """Those that were made where case makes a difference, before it was minded."""
    for serial in ("PP-1a", "PP-1A"):
        folder = store.folder / f"pen-{serial}"
        folder.mkdir(parents=True)
        (folder / "session-00000001.ppr").write_bytes(make(serial=serial))
    assert store.serials() == ["PP-1A", "PP-1a"]
    assert store.load("PP-1a", 1).record.serial == "PP-1a"


def test_a_folder_keeps_its_name_when_the_other_is_gone(store: RecordStore) -> None:
    for serial in ("PP-1a", "PP-1A"):
        keep(store, 2, serial)
    spelt = store.pen_folder("PP-1A")
    assert spelt.name == "pen-%50%50-1%41"
    shutil.rmtree(store.pen_folder("PP-1a"))
    assert store.pen_folder("PP-1A") == spelt
    assert store.serials() == ["PP-1A"]


def test_other_files_in_the_folder_are_left_alone(store: RecordStore) -> None:
    saved = store.save(make(), SERIAL, 1)
    for name in ("session-x.ppr", "session-.ppr", "notes.txt", "session-٣.ppr"):
        (saved.path.parent / name).write_text("mine")
    assert store.sessions(SERIAL) == [1]


@pytest.mark.parametrize("step", ["mkstemp", "write", "fsync", "link"])
def test_a_write_that_fails_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, store: RecordStore, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(tempfile if step == "mkstemp" else os, step, fail)
        with pytest.raises(InputError) as caught:
            store.save(make(), SERIAL, 1)
    assert caught.value.code == errors.FILE_UNWRITABLE
    assert "No space left" in caught.value.message
    assert list(store.pen_folder(SERIAL).iterdir()) == []
    store.save(make(), SERIAL, 1)


def test_the_json_comes_after_its_record(monkeypatch: pytest.MonkeyPatch, store: RecordStore) -> None:
    """So that one without its record shows that the record was taken away."""

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", no_room)
        with pytest.raises(InputError):
            store.save(make(), SERIAL, 1)
    assert [path.name for path in store.pen_folder(SERIAL).iterdir()] == ["session-00000001.ppr"]
    assert not store.save(make(), SERIAL, 1).new
    assert store.path(SERIAL, 1).with_suffix(".json").exists()


def test_a_disk_that_keeps_something_else_is_not_believed(monkeypatch: pytest.MonkeyPatch, store: RecordStore) -> None:
    class Mixing(Staged):
        def __init__(self, path: Path, data: bytes, *, private: bool = False) -> None:
            super().__init__(path, make(start_s=5) if data == make() else data, private=private)

    monkeypatch.setattr(stores, "Staged", Mixing)
    assert "differently" in mismatch(errors.RECORD_MISMATCH, store.save, make(), SERIAL, 1).message


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        RecordStore(tmp_path / "file").save(make(), SERIAL, 1)
    assert caught.value.code == errors.FILE_UNREADABLE  # who knows what is kept there
    with pytest.raises(InputError) as caught:
        RecordStore(Path("/proc/no/records")).save(make(), SERIAL, 1)
    assert caught.value.code == errors.FILE_UNWRITABLE


def test_a_record_that_is_not_there(store: RecordStore) -> None:
    with pytest.raises(InputError) as caught:
        store.load(SERIAL, 1)
    assert caught.value.code == errors.FILE_MISSING


def test_records_are_kept_with_the_users_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PINPRICK_DATA_DIR", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: tmp_path)
    assert RecordStore().folder == tmp_path / "records"
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "elsewhere"))
    assert RecordStore().folder == tmp_path / "elsewhere" / "records"


def test_records_are_for_their_owner_alone(store: RecordStore) -> None:
    saved = store.save(make(), SERIAL, 1)
    for path in (saved.path.parent, *saved.path.parent.iterdir()):
        assert path.stat().st_mode & 0o077 == 0


def test_a_part_left_by_a_crash_is_no_record(store: RecordStore) -> None:
    keep(store, 2)
    folder = store.pen_folder(SERIAL)
    for name in ("session-00000003.pprx7k2_.part", "session-00000001.jsonq1.part"):
        (folder / name).write_bytes(b"PPR1 half")
    assert store.sessions(SERIAL) == [1, 2]
    assert store.inspect(SERIAL).good
    third = chain(3)[2]
    assert store.save(third, SERIAL, 3).new


def test_a_lost_copy_is_written_again(store: RecordStore) -> None:
    saved = store.save(make(), SERIAL, 1)
    saved.path.with_suffix(".json").unlink()
    assert store.inspect(SERIAL).good
    assert not store.save(make(), SERIAL, 1).new
    assert json.loads(saved.path.with_suffix(".json").read_text()) == describe(saved.record)


def test_only_names_that_the_store_gives_are_its_own(store: RecordStore) -> None:
    saved = store.save(make(), SERIAL, 1)
    saved.path.with_name("session-1.ppr").write_bytes(saved.data)
    saved.path.with_name("session-000000002.ppr").write_bytes(saved.data)
    assert store.sessions(SERIAL) == [1]


def test_pens_are_known_by_their_folders(store: RecordStore) -> None:
    assert store.serials() == []
    for serial in ("B/2", "a.b", "A 1"):
        store.save(make(serial=serial), serial, 1)
    (store.folder / "pen-empty").mkdir()
    (store.folder / "notes").mkdir()
    assert store.serials() == ["A 1", "B/2", "a.b"]
    assert [(entry.record.serial, entry.record.session) for entry in store.load_all(store.serials())] == [
        ("A 1", 1),
        ("B/2", 1),
        ("a.b", 1),
    ]


def test_a_range_of_sessions(store: RecordStore) -> None:
    keep(store, 6)
    assert [entry.record.session for entry in store.load_all([SERIAL], 2, 4)] == [2, 3, 4]
    assert [entry.record.session for entry in store.load_all([SERIAL], 5)] == [5, 6]


def test_a_record_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "copy.ppr"
    path.write_bytes(make(7, b"\x01" * 32))
    assert read_record(path).record.session == 7
    path.write_bytes(make()[:-1])
    mismatch(errors.RECORD_MISMATCH, read_record, path)
    for code, where in ((errors.FILE_MISSING, tmp_path / "no"), (errors.FILE_UNREADABLE, tmp_path)):
        with pytest.raises(InputError) as caught:
            read_record(where)
        assert caught.value.code == code


# --- the chain as it is kept -----------------------------------------------------------------------------------------
def test_a_whole_chain_is_reported(store: RecordStore) -> None:
    empty = store.inspect(SERIAL)
    assert (empty.count, empty.gaps, empty.first_bad, empty.good) == (0, (), None, True)
    keep(store, 9)
    report = store.inspect(SERIAL)
    assert (report.serial, report.count, report.gaps, report.unverified, report.good) == (SERIAL, 9, (), (), True)


def test_gaps_are_no_breaks(store: RecordStore) -> None:
    keep(store, 9, without=(1, 2, 5, 9))
    report = store.inspect(SERIAL)
    assert report.good
    assert (report.count, report.gaps) == (5, (Gap(1, 2), Gap(5, 5)))
    assert [str(gap) for gap in report.gaps] == ["sessions 1 to 2", "session 5"]
    assert list(gaps([])) == []


def test_the_first_bad_link_is_named_and_nothing_is_said_of_what_comes_after(store: RecordStore) -> None:
    made = keep(store, 6)
    path = store.path(SERIAL, 3)
    other = make(3, made[1][-32:], start_s=5)  # whole in itself, sealed anew
    path.write_bytes(other)
    path.with_suffix(".json").write_text(json.dumps(describe(parse(other))))
    report = store.inspect(SERIAL)
    assert (report.count, report.good, report.unverified) == (3, False, (5, 6))
    assert report.first_bad == BadLink(
        4,
        str(store.path(SERIAL, 4)),
        Kind.DOES_NOT_FOLLOW,
        f"The record of session 4 of pen {SERIAL} does not follow the record of session 3.",
        expected=other[-32:].hex(),
        found=made[2][-32:].hex(),
    )
    found = mismatch(errors.RECORD_MISMATCH, store.verify, SERIAL)
    assert (found.given, found.limit) == (made[2][-32:].hex(), other[-32:].hex())


@pytest.mark.parametrize("at", [4, 60, 100, 260, -1])
def test_a_changed_byte_is_a_bad_link(store: RecordStore, at: int) -> None:
    keep(store, 4, without=(1,))
    path = store.path(SERIAL, 3)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    report = store.inspect(SERIAL)
    assert report.first_bad is not None
    assert (report.count, report.first_bad.session, report.first_bad.where) == (1, 3, str(path))
    assert (report.gaps, report.unverified) == ((Gap(1, 1),), (4,))
    if at != 4:
        assert report.first_bad.expected == bytes(data[-32:]).hex()
        assert report.first_bad.found == hashlib.sha256(data[:-32]).hexdigest()


def test_records_that_changed_places_are_found(store: RecordStore) -> None:
    made = keep(store, 4)
    store.path(SERIAL, 2).write_bytes(made[2])
    report = store.inspect(SERIAL)
    assert report.first_bad is not None
    assert (report.count, report.first_bad.session, report.unverified) == (1, 2, (3, 4))
    assert "holds the record of session 3" in report.first_bad.what


def test_a_first_record_that_names_one_before_it_is_found(store: RecordStore) -> None:
    path = store.path(SERIAL, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(make(1, b"\x01" * 32))
    bad = store.inspect(SERIAL).first_bad
    assert bad is not None
    assert (bad.expected, bad.found) == ("00" * 32, "01" * 32)


def test_a_folder_where_a_record_should_be_is_a_bad_link(store: RecordStore) -> None:
    keep(store, 2)
    store.path(SERIAL, 1).unlink()
    store.path(SERIAL, 1).mkdir()
    bad = store.inspect(SERIAL).first_bad
    assert bad is not None
    assert "cannot be read" in bad.what
    assert (bad.expected, bad.found) == (None, None)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"made": 150', '"made": 149', "made"),
        ('"budget": 200', '"budget": 2000', "zones[0].budget"),
        ('"serial": "SIM-0001"', '"serial": "SIM-0002"', "serial"),
        ('"zone": "nose"', '"zone": "neck"', "zones[1].zone"),
        ('"more_faults": 0', '"more_faults": false', "more_faults"),
        ('"more_faults": 0,', "", "more_faults"),
        ('"schema": 1', '"schema": 1, "note": "mine"', "note"),
        ("{", "[", "the whole"),
    ],
)
def test_a_copy_that_somebody_edited_is_found(store: RecordStore, old: str, new: str, place: str) -> None:
    keep(store, 2)
    path = store.path(SERIAL, 2).with_suffix(".json")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    report = store.inspect(SERIAL)
    assert report.edited == (EditedCopy(2, str(path), place),)
    assert (report.good, report.first_bad, report.count) == (False, None, 2)
    assert store.verify(SERIAL) == 2  # the record alone counts


@pytest.mark.parametrize("text", ["", "[]", "null", '"' + "x" * 9, "[" * 100_000, "\udce9"])
def test_a_copy_that_is_anything_else_is_found(store: RecordStore, text: str) -> None:
    path = store.save(make(), SERIAL, 1).path.with_suffix(".json")
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert [copy.field for copy in store.inspect(SERIAL).edited] == ["the whole"]


def test_a_copy_written_before_a_code_had_its_name_is_no_edit() -> None:
    told = describe(parse(make()))
    older = json.loads(json.dumps(told))
    older["faults"][0]["name"] = "UNKNOWN"
    older["zones"][0]["zone"] = "area-4 left"
    older["ended"] = "reason-0"
    assert difference(older, told) is None
    older["profile"] = "area-4 up"
    assert difference(older, told) == "profile"


def test_a_copy_without_its_record_is_a_bad_link(store: RecordStore) -> None:
    made = keep(store, 3)
    store.path(SERIAL, 2).unlink()
    report = store.inspect(SERIAL)
    assert (report.orphans, report.gaps, report.unverified, report.count) == ((2,), (), (3,), 1)
    assert report.first_bad is not None
    assert (report.first_bad.session, report.first_bad.kind) == (2, Kind.GONE)
    assert (report.first_bad.expected, report.first_bad.found) == (made[1][-32:].hex(), None)


def test_a_copy_whose_record_was_taken_away_keeps_others_from_its_place(store: RecordStore) -> None:
    made = keep(store, 3)
    store.path(SERIAL, 3).unlink()
    other = make(3, made[1][-32:], start_s=5)
    assert mismatch(errors.RECORDS_FORK, store.save, other, SERIAL, 3).given == 3
    assert store.save(made[2], SERIAL, 3).new
    assert store.inspect(SERIAL).good
