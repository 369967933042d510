"""Records on this computer: read strictly, chained, written whole or not at all, never replaced."""

import json
import os
from pathlib import Path

import platformdirs
import pytest

from pencore import faults, record
from pencore.digest import ZERO_DIGEST
from pencore.record import Record, RecordZone
from pinprick import errors, records
from pinprick.errors import InputError, Mismatch
from pinprick.records import RecordStore, describe, parse, verify_chain

SERIAL = "SIM-0001"


def make(session: int = 1, previous: bytes = ZERO_DIGEST, serial: str = SERIAL, start_s: int = 1_800_000_000) -> bytes:
    """Return the bytes of a record."""
    sealed = Record()
    sealed.previous = previous
    sealed.profile_digest = bytes(range(32))
    sealed.serial = serial
    sealed.session = session
    sealed.profile_name = "Cheeks, session 2 of 6"
    sealed.course_id, sealed.course_index, sealed.course_of = "course-7", 2, 6
    sealed.cartridge_id, sealed.cartridge_lot, sealed.expires_day = "A-1234", "LOT-17", 22_000
    sealed.build = "00112233445566ff"
    sealed.start_s, sealed.end_s = start_s, start_s + 90
    sealed.calibration_s = 1000
    sealed.session_depth_um, sealed.session_strokes = 750, 300
    sealed.zones = [RecordZone(4, 1, 750, 200, 150, 20, 750, 21), RecordZone(3, 0, 400, 100, 0, 0, 0, 20)]
    sealed.faults = [(faults.POWER_LOST, 0, 31), (faults.STOP_BUTTON, 255, 44)]
    return record.encode(sealed)


def chain(length: int, serial: str = SERIAL) -> list[bytes]:
    """Return the records of sessions 1, 2 ... each naming the one before."""
    made: list[bytes] = []
    for session in range(1, length + 1):
        made.append(make(session, made[-1][-32:] if made else ZERO_DIGEST, serial))
    return made


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
    mismatch(errors.RECORD_MISMATCH, store.save, make(3, b"\x07" * 32), SERIAL, 3)
    mismatch(errors.RECORD_MISMATCH, store.save, make(1, start_s=1), SERIAL, 1)
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


def test_other_files_in_the_folder_are_left_alone(store: RecordStore) -> None:
    saved = store.save(make(), SERIAL, 1)
    for name in ("session-x.ppr", "session-.ppr", "notes.txt", "session-٣.ppr"):
        (saved.path.parent / name).write_text("mine")
    assert store.sessions(SERIAL) == [1]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, store: RecordStore, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(*((os, "fsync", fail) if step == "fsync" else (Path, "replace", fail)))
        with pytest.raises(InputError) as caught:
            store.save(make(), SERIAL, 1)
    assert caught.value.code == errors.FILE_UNWRITABLE
    assert "No space left" in caught.value.message
    assert list(store.pen_folder(SERIAL).iterdir()) == []
    store.save(make(), SERIAL, 1)


def test_the_json_is_there_before_the_record_counts(monkeypatch: pytest.MonkeyPatch, store: RecordStore) -> None:
    written: list[str] = []
    write = records._write

    def note(path: Path, data: bytes) -> None:
        written.append(path.suffix)
        write(path, data)

    monkeypatch.setattr(records, "_write", note)
    store.save(make(), SERIAL, 1)
    assert written == [".json", ".ppr"]


def test_a_disk_that_keeps_something_else_is_not_believed(monkeypatch: pytest.MonkeyPatch, store: RecordStore) -> None:
    other = make(start_s=5)
    write = records._write
    monkeypatch.setattr(records, "_write", lambda path, data: write(path, other if path.suffix == ".ppr" else data))
    mismatch(errors.RECORD_MISMATCH, store.save, make(), SERIAL, 1)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        RecordStore(tmp_path / "file").save(make(), SERIAL, 1)
    assert caught.value.code == errors.FILE_UNWRITABLE


def test_a_record_that_is_not_there(store: RecordStore) -> None:
    with pytest.raises(InputError) as caught:
        store.load(SERIAL, 1)
    assert caught.value.code == errors.FILE_UNREADABLE


def test_records_are_kept_with_the_users_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: tmp_path)
    assert RecordStore().folder == tmp_path / "records"
