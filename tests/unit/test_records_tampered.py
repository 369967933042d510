"""Whatever is done to the files of a chain, `verify` names the first bad link, and what is wrong with it.

Exhaustive on a small chain: each byte, each length, each file taken away, put twice, put elsewhere, set back. What the
files alone can't tell (nobody kept them, the newest are gone) is tested as such.
"""

import itertools
import json
import shutil
from pathlib import Path

import pytest

from pinprick import errors
from pinprick.device import Pen
from pinprick.records import Gap, Kind, RecordStore, describe, parse, verify_chains
from pinprick.records.chain import BadLink, LinkError
from tests.support.cli import Run, settle_terminal
from tests.support.records import SERIAL, chain, keep, make, make_session
from tests.support.served import served

LENGTH = 4


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RecordStore:
    """Return the user's own store, with four records in it."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    kept = RecordStore()
    keep(kept, LENGTH)
    return kept


def bad(store: RecordStore, serial: str = SERIAL) -> BadLink:
    """Return the first bad link, of which there must be one."""
    report = store.inspect(serial)
    assert report.first_bad is not None
    assert not report.good
    assert report.first_bad.session not in report.unverified
    assert report.count == sum(session < report.first_bad.session for session in store.sessions(serial))
    return report.first_bad


def put(store: RecordStore, session: int, data: bytes, *, copy: bool = True) -> None:
    """Put `data` in the place of a record and, with `copy`, the JSON that fits it beside it."""
    path = store.path(SERIAL, session)
    path.write_bytes(data)
    if copy:
        path.with_suffix(".json").write_text(json.dumps(describe(parse(data))))


@pytest.mark.parametrize("session", range(1, LENGTH + 1))
def test_each_changed_byte(store: RecordStore, session: int) -> None:
    path = store.path(SERIAL, session)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        found = bad(store)
        assert (found.session, found.kind, found.where) == (session, Kind.CHANGED, str(path))


@pytest.mark.parametrize("session", range(1, LENGTH + 1))
def test_each_length(store: RecordStore, session: int) -> None:
    path = store.path(SERIAL, session)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert (bad(store).session, bad(store).kind) == (session, Kind.CHANGED)
    for more in (b"\x00", data):
        path.write_bytes(data + more)
        assert (bad(store).session, bad(store).kind) == (session, Kind.CHANGED)


@pytest.mark.parametrize("session", range(1, LENGTH + 1))
def test_a_file_that_cannot_be_read(store: RecordStore, session: int) -> None:
    path = store.path(SERIAL, session)
    path.unlink()
    path.mkdir()
    assert (bad(store).session, bad(store).kind) == (session, Kind.UNREADABLE)


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, LENGTH + 1))))
def test_each_order_of_the_files(store: RecordStore, order: tuple[int, ...]) -> None:
    made = chain(LENGTH)
    for place, session in enumerate(order, 1):
        put(store, place, made[session - 1])
    wrong = [place for place, session in enumerate(order, 1) if place != session]
    if wrong:
        assert (bad(store).session, bad(store).kind) == (wrong[0], Kind.MISPLACED)
    else:
        assert store.inspect(SERIAL).good


@pytest.mark.parametrize(("source", "place"), list(itertools.permutations(range(1, LENGTH + 1), 2)))
def test_each_record_put_twice(store: RecordStore, source: int, place: int) -> None:
    put(store, place, chain(LENGTH)[source - 1])
    assert (bad(store).session, bad(store).kind) == (place, Kind.DUPLICATE)


@pytest.mark.parametrize(
    "gone", [set(some) for size in (1, 2, 3) for some in itertools.combinations(range(1, 5), size)]
)
def test_each_set_of_files_taken_away(store: RecordStore, gone: set[int]) -> None:
    for session in gone:
        store.path(SERIAL, session).unlink()
    assert (bad(store).session, bad(store).kind) == (min(gone), Kind.GONE)
    assert bad(store).expected == chain(LENGTH)[min(gone) - 1][-32:].hex()
    for session in gone:
        store.path(SERIAL, session).with_suffix(".json").unlink()
    # Now nobody can tell them from records that another computer pulled: they are gaps, and the newest not even that.
    report = store.inspect(SERIAL)
    kept = store.sessions(SERIAL)
    assert report.good
    missing = {session for gap in report.gaps for session in range(gap.first, gap.last + 1)}
    assert missing == {session for session in gone if session < kept[-1]}
    for complete in (store.inspect(SERIAL, complete=True, last=LENGTH), store.inspect(SERIAL, complete=True)):
        seen = missing if not complete.gaps or complete.gaps[-1].last < LENGTH else gone
        assert (complete.first_bad and complete.first_bad.session) == min(seen, default=None)
    whole = store.inspect(SERIAL, complete=True, last=LENGTH)
    assert whole.first_bad is not None
    assert (whole.first_bad.session, whole.first_bad.kind, whole.good) == (min(gone), Kind.MISSING, False)


@pytest.mark.parametrize("session", range(1, LENGTH + 1))
def test_a_record_of_another_pen(store: RecordStore, session: int) -> None:
    put(store, session, chain(LENGTH, "PP-2")[session - 1])
    assert (bad(store).session, bad(store).kind) == (session, Kind.FOREIGN)
    assert "PP-2" in bad(store).what


def test_a_whole_folder_of_another_pen(store: RecordStore) -> None:
    shutil.copytree(store.pen_folder(SERIAL), store.folder / "pen-PP-2")
    assert (bad(store, "PP-2").session, bad(store, "PP-2").kind) == (1, Kind.FOREIGN)
    assert store.inspect(SERIAL).good


@pytest.mark.parametrize("session", range(1, LENGTH))
def test_a_record_that_was_made_anew_does_not_fit_the_next(store: RecordStore, session: int) -> None:
    """Whole in itself, and it follows the one before. Which of the two is false shows the copy, if it is there."""
    made = chain(LENGTH)
    previous = made[session - 2][-32:] if session > 1 else bytes(32)
    anew = make(session, previous, start_s=5)
    put(store, session, anew)
    found = bad(store)
    assert (found.session, found.kind) == (session + 1, Kind.DOES_NOT_FOLLOW)
    assert (found.expected, found.found) == (anew[-32:].hex(), made[session - 1][-32:].hex())
    put(store, session, made[session - 1])
    put(store, session, anew, copy=False)
    found = bad(store)
    assert (found.session, found.kind, found.where) == (session, Kind.EXCHANGED, str(store.path(SERIAL, session)))
    assert (found.expected, found.found) == (made[session - 1][-32:].hex(), anew[-32:].hex())
    assert store.inspect(SERIAL).unverified == tuple(range(session + 1, LENGTH + 1))


def test_a_newest_record_that_was_made_anew_shows_by_its_copy_alone(store: RecordStore) -> None:
    made = chain(LENGTH)
    anew = make(LENGTH, made[-2][-32:], start_s=5)
    put(store, LENGTH, anew, copy=False)
    report = store.inspect(SERIAL)
    assert [(copy.session, copy.field) for copy in report.edited] == [(LENGTH, "sha256")]
    put(store, LENGTH, anew)
    assert store.inspect(SERIAL).good  # the pen knows better
    with pytest.raises(errors.Mismatch) as caught:
        store.check_head(SERIAL, LENGTH, made[-1][-32:])
    assert caught.value.code == errors.RECORDS_FORK


@pytest.mark.parametrize("session", range(1, LENGTH + 1))
def test_a_record_that_names_another_one_before_it(store: RecordStore, session: int) -> None:
    put(store, session, make(session, b"\x07" * 32))
    assert (bad(store).session, bad(store).kind) == (session, Kind.DOES_NOT_FOLLOW)
    assert bad(store).found == "07" * 32


def test_a_session_that_no_pen_has(store: RecordStore) -> None:
    put(store, 0, make(0))
    assert (bad(store).session, bad(store).kind) == (0, Kind.ORDER)


def test_the_first_of_several_is_named(store: RecordStore) -> None:
    made = chain(LENGTH)
    for session, spoilt in ((4, b""), (3, made[0]), (2, make(2, b"\x07" * 32))):
        put(store, session, spoilt, copy=False)
        assert bad(store).session == session


def test_a_folder_set_back_shows_at_the_pen_alone(store: RecordStore, tmp_path: Path) -> None:
    """A backup of an earlier day is whole."""
    for back in range(LENGTH):
        for session in range(back + 1, LENGTH + 1):
            store.path(SERIAL, session).unlink(missing_ok=True)
            store.path(SERIAL, session).with_suffix(".json").unlink(missing_ok=True)
        keep(RecordStore(tmp_path / str(back)), back)
        old = RecordStore(tmp_path / str(back))
        assert old.inspect(SERIAL).good
        assert old.inspect(SERIAL, last=LENGTH).gaps == (Gap(back + 1, LENGTH),)


def test_chains_of_several_pens_at_once() -> None:
    mixed = [parse(data) for pair in zip(chain(3), chain(3, "PP-2"), strict=True) for data in pair]
    verify_chains(mixed)
    with pytest.raises(LinkError) as caught:
        verify_chains([*mixed, mixed[0]])
    assert caught.value.kind is Kind.ORDER


# --- what the command says --------------------------------------------------------------------------------------------
def test_verify_says_what_is_wrong_to_programs(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    put(store, 2, make(2, b"\x07" * 32))
    run = Run(capsys, "records", "verify", "--json")
    assert run.exit == errors.EXIT_MISMATCH
    assert run.lines[0]["first_bad"] == {
        "session": 2,
        "file": str(store.path(SERIAL, 2)),
        "kind": "does-not-follow",
        "what": f"The record of session 2 of pen {SERIAL} does not follow the record of session 1.",
        "expected": chain(1)[0][-32:].hex(),
        "found": "07" * 32,
    }
    assert run.result["error"]["field"] == "session 2"


def test_a_gap_is_a_bad_link_for_whom_it_must_not_be(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    for suffix in (".ppr", ".json"):
        store.path(SERIAL, 2).with_suffix(suffix).unlink()
    assert Run(capsys, "records", "verify").exit == 0
    run = Run(capsys, "records", "verify", "--complete", "--json")
    assert run.exit == errors.EXIT_MISMATCH
    first = run.lines[0]["first_bad"]
    assert (first["session"], first["kind"], first["file"]) == (2, "missing", None)
    assert first["expected"] == chain(2)[1][-32:].hex()  # the next one names it
    assert "session 2 of pen SIM-0001 is not kept here" in Run(capsys, "records", "verify", "--complete").text


def test_only_the_pen_knows_that_the_newest_are_gone(
    capsys: pytest.CaptureFixture[str], store: RecordStore, tmp_path: Path
) -> None:
    shutil.rmtree(store.folder)
    with served("tcp") as bench:
        with Pen(bench.connect()) as pen:
            for number in (1, 2, 3):
                make_session(bench, pen, number)
            pen.pull_records(store)
        ask = ("records", "verify", "--on-pen", "--port", bench.where)
        assert Run(capsys, *ask, "--complete").exit == 0
        for session in (2, 3):
            for suffix in (".ppr", ".json"):
                store.path(SERIAL, session).with_suffix(suffix).unlink()
        assert Run(capsys, "records", "verify", "--complete").exit == 0  # from the files alone nobody can tell
        run = Run(capsys, *ask, "--json")
        assert (run.exit, run.lines[0]["gaps"]) == (0, [{"first": 2, "last": 3}])
        run = Run(capsys, *ask, "--complete", "--json")
        assert (run.exit, run.lines[0]["first_bad"]["session"]) == (4, 2)
        assert Run(capsys, "records", "pull", "--port", bench.where).exit == 0  # the pen still had its last one
        assert store.sessions(SERIAL) == [1, 3]
        assert Run(capsys, *ask, "--complete", "--json").lines[0]["first_bad"]["session"] == 2
        put(store, 3, make(3, b"\x07" * 32, start_s=5))
        run = Run(capsys, *ask, "--json")
        assert (run.exit, run.result["error"]["name"]) == (4, "RECORDS_FORK")
    for option in ("--port", "--serial-number"):
        run = Run(capsys, "records", "verify", option, "x", "--json")
        assert (run.exit, run.result["error"]["field"]) == (2, option)


def test_what_cannot_be_believed_is_not_exported(
    capsys: pytest.CaptureFixture[str], store: RecordStore, tmp_path: Path
) -> None:
    put(store, 3, make(3, b"\x07" * 32))
    for form in ("json", "csv"):
        out = tmp_path / f"out.{form}"
        run = Run(capsys, "records", "export", "--format", form, "--out", str(out), "--json")
        assert (run.exit, run.result["error"]["name"], out.exists()) == (4, "RECORD_MISMATCH", False)
        assert "session 3" in run.result["error"]["message"]
        assert Run(capsys, "records", "export", "--format", form, "--to", "2", "--out", str(out)).exit == 0
