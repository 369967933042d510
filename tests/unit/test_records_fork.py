"""A pen whose chain doesn't continue what is kept here: reported, nothing merged, nothing acknowledged, both kept.

The firmware itself makes the chains: a pen seals four sessions, its flash is set back to each earlier one, and it goes
on from there otherwise. Each of these pens meets each folder that a computer may have of the true chain.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from pencore import ledger, provision, tasks
from pensim.flash import FlashDevice, FlashImage, SimStore, Snapshot
from pinprick import errors
from pinprick.device import Pen
from pinprick.errors import InputError, Mismatch
from pinprick.files import write_whole
from pinprick.records import RecordStore, parse
from tests.support.bench import Bench
from tests.support.cli import Run, settle_terminal
from tests.support.cuts import ONE_STROKE
from tests.support.profile_files import GOOD
from tests.support.records import SERIAL, keep, make
from tests.support.served import Served, load, served, small

LENGTH = 4
MORE = 2


@dataclass
class Past:
    """A pen as it was after its last session, and the records it has sealed."""

    flash: Snapshot
    sealed: dict[int, bytes] = field(default_factory=dict)


def played(bench: Bench, name: str, acked: bool) -> Past:
    """Play one session; return the pen as it is then."""
    bench.play_session(ONE_STROKE, name=name)
    if acked:
        bench.acknowledge()
    bench.run_ms(500)
    return Past(bench.snapshot_flash(), dict(bench.sealed_data))


@cache
def true_chain(acked: bool) -> list[Past]:
    """Return a pen as it was after none, one, two ... of its sessions, acknowledged at once or never."""
    bench = Bench()
    bench.run_ms(500)
    return [Past(bench.snapshot_flash()), *(played(bench, "Session", acked) for _ in range(LENGTH))]


@cache
def set_back(to: int, more: int, acked: bool) -> Past:
    """Return a pen that was set back to its session `to`, and has made `more` others since."""
    past = true_chain(acked)[to]
    if not more:
        return past
    before = set_back(to, more - 1, acked)
    bench = Bench(flash=before.flash, seed=7 + more)
    bench.sealed_data.update(before.sealed)
    bench.sealed.update({session: parse(data) for session, data in before.sealed.items()})
    return played(bench, "Another", acked)


@contextmanager
def connected(past: Past) -> Iterator[Pen]:
    """Yield a pen with the flash of `past`."""
    with served(flash=past.flash) as bench, Pen(bench.connect()) as pen:
        yield pen


def contents(folder: Path) -> dict[Path, bytes]:
    """Return all files below a folder but what is set apart."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent.name != "apart"}


def refused(act: Callable[[RecordStore], object], store: RecordStore) -> Mismatch:
    """Do `act` with a store, which must be refused with exit code 4."""
    with pytest.raises(Mismatch) as caught:
        act(store)
    assert caught.value.exit_code == errors.EXIT_MISMATCH
    return caught.value


def expected(kept: int, to: int, more: int, *, acked: bool) -> int | None:
    """Return the code with which such a pen is to be reported; None when it continues what is kept."""
    last = to + more
    if kept > last:
        return errors.RECORDS_AHEAD
    if kept <= to or not more:
        return None
    # Acknowledged records but the last are gone from the pen, and nothing can be said across a gap.
    return None if acked and last > kept + 1 else errors.RECORDS_FORK


@pytest.mark.parametrize("acked", [False, True], ids=["waiting", "acknowledged"])
@pytest.mark.parametrize("to", range(LENGTH + 1))
@pytest.mark.parametrize("more", range(MORE + 1))
def test_a_pen_set_back(tmp_path: Path, to: int, more: int, acked: bool) -> None:
    past = set_back(to, more, acked)
    true = true_chain(acked)[LENGTH].sealed
    with connected(past) as pen:
        for kept in range(LENGTH + 1):
            store = RecordStore(tmp_path / str(kept))
            for session in range(1, kept + 1):
                store.save(true[session], SERIAL, session)
            before = contents(store.folder)
            on_pen = pen.record_list()
            code = expected(kept, to, more, acked=acked)
            if code is None:
                pen.check_records(store)
                pen.pull_records(store, acknowledge=False)
                assert store.inspect(SERIAL).good
                assert [store.load(SERIAL, session).data for session in on_pen[0]] == [
                    past.sealed[session] for session in on_pen[0]
                ]
            else:
                for act in (pen.check_records, lambda here: load(pen, small(), records=here)):
                    assert refused(act, store).code == code
                error = refused(pen.pull_records, store)
                assert error.code == code
                assert contents(store.folder) == before
                apart = {path.read_bytes() for path in store.apart(SERIAL)}
                assert apart == {past.sealed[session] for session in on_pen[0]} - set(before.values())
                assert bool(apart) == ("as evidence" in error.hint)
                assert store.inspect(SERIAL).good == (not apart)
            assert pen.record_list() == on_pen


@pytest.mark.parametrize("only", [{3}, {2, 4}, {1, 4}, {4}])
def test_nothing_is_merged_before_the_fork_is_found(tmp_path: Path, only: set[int]) -> None:
    """A folder with gaps, into which the first records of another chain would fit."""
    store = RecordStore(tmp_path)
    for session in only:
        store.save(true_chain(False)[LENGTH].sealed[session], SERIAL, session)
    before = contents(tmp_path)
    other = set_back(0, LENGTH + 1, False)
    with connected(other) as pen:
        for act in (pen.check_records, pen.pull_records):
            assert refused(act, store).code == errors.RECORDS_FORK
        assert pen.record_list()[1] == 0
    assert contents(tmp_path) == before
    assert {path.read_bytes() for path in store.apart(SERIAL)} == set(other.sealed.values())


def test_a_pen_that_contradicts_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    true, other = true_chain(False)[LENGTH], set_back(1, 2, False)
    with connected(true) as pen:
        read = pen.record_read
        monkeypatch.setattr(pen, "record_read", lambda session: other.sealed[2] if session == 2 else read(session))
        error = refused(pen.pull_records, store)
        assert error.code == errors.RECORDS_FORK
        assert "session 3" in error.message
        assert "does not follow" in error.message
        assert pen.record_list()[1] == 0
    assert store.sessions(SERIAL) == []
    assert len(store.apart(SERIAL)) == LENGTH


def test_across_a_gap_nothing_is_known_until_another_computer_closes_it(tmp_path: Path) -> None:
    """The honest limit, of a pen that was set back and has forgotten what would show it."""
    true = true_chain(True)[LENGTH].sealed
    past = set_back(1, 3, True)
    store = RecordStore(tmp_path)
    for session in (1, 2):
        store.save(true[session], SERIAL, session)
    with connected(past) as pen:
        assert pen.record_list() == ([4], 4)
        pen.check_records(store)
        pen.pull_records(store)
    assert store.inspect(SERIAL).good
    with pytest.raises(Mismatch) as caught:
        store.save(past.sealed[3], SERIAL, 3)
    assert (caught.value.code, caught.value.given) == (errors.RECORDS_FORK, 2)


def test_a_computer_set_back_goes_on_with_a_gap(tmp_path: Path) -> None:
    """A folder restored from an older backup, and a pen that has forgotten since."""
    store = RecordStore(tmp_path)
    true = true_chain(True)[LENGTH]
    store.save(true.sealed[1], SERIAL, 1)
    with connected(true) as pen:
        pen.check_records(store)
        pen.pull_records(store)
    report = store.inspect(SERIAL)
    assert (report.good, [str(gap) for gap in report.gaps]) == (True, ["sessions 2 to 3"])


def test_another_pen_with_the_same_serial_number(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    kept = keep(store, 2)
    for sessions in range(LENGTH + 1):
        with connected(true_chain(False)[sessions]) as pen:
            code = errors.RECORDS_AHEAD if sessions < 2 else errors.RECORDS_FORK
            for act in (pen.check_records, pen.pull_records):
                assert refused(act, store).code == code
            assert pen.record_list()[1] == 0
    assert [store.load(SERIAL, session).data for session in store.sessions(SERIAL)] == kept
    assert len(store.apart(SERIAL)) == LENGTH


@pytest.mark.parametrize("place", range(1, LENGTH + 2))
def test_a_record_of_another_pen_in_the_folder_stops_the_pull(tmp_path: Path, place: int) -> None:
    """It lies where one of this pen's was, or will be."""
    store = RecordStore(tmp_path)
    true = true_chain(False)[LENGTH]
    for session in range(1, LENGTH):
        store.save(true.sealed[session], SERIAL, session)
    store.path(SERIAL, place).write_bytes(make(place, b"\x07" * 32, "PP-2"))
    before = contents(tmp_path)
    with connected(true) as pen:
        with pytest.raises(Mismatch) as caught:
            pen.pull_records(store)
        assert caught.value.code == (errors.RECORDS_AHEAD if place > LENGTH else errors.RECORD_MISMATCH)
        assert pen.record_list()[1] == 0
    assert before.items() <= contents(tmp_path).items()


def test_one_record_that_cannot_be_had_keeps_no_other_on_the_pen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    true = true_chain(False)[LENGTH]
    for spoilt in range(1, LENGTH + 1):
        store = RecordStore(tmp_path / str(spoilt))
        with connected(true) as pen:
            read = pen.record_read

            def rotten(session: int, spoilt: int = spoilt, read: Callable[[int], bytes] = read) -> bytes:
                data = read(session)
                return data[:-1] + bytes([data[-1] ^ 1]) if session == spoilt else data

            monkeypatch.setattr(pen, "record_read", rotten)
            with pytest.raises(Mismatch) as caught:
                pen.pull_records(store)
            assert caught.value.code == errors.RECORD_MISMATCH
            assert f"session {spoilt}" in caught.value.message
            assert pen.record_list() == (list(range(1, LENGTH + 1)), 0)
        assert store.sessions(SERIAL) == [session for session in range(1, LENGTH + 1) if session != spoilt]


def test_evidence_that_cannot_be_kept_hides_no_fork(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    keep(store, 1)

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pinprick.records.store.write_private", no_room)
    with connected(true_chain(False)[2]) as pen, pytest.raises(Mismatch) as caught:
        pen.pull_records(store)
    assert (caught.value.code, caught.value.hint) == (errors.RECORDS_FORK, "")
    with pytest.raises(InputError):
        store.set_apart(b"", SERIAL, 1)
    assert store.apart(SERIAL) == []


# --- what the commands say --------------------------------------------------------------------------------------------
@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Served, RecordStore]]:
    """Return a pen that was set back to session 2 and made two others, and the user's folder with three true ones."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    store = RecordStore()
    for session in (1, 2, 3):
        store.save(true_chain(False)[LENGTH].sealed[session], SERIAL, session)
    with served("tcp", flash=set_back(2, 2, False).flash) as bench:
        yield bench, store


@pytest.mark.parametrize("command", [["load"], ["run"], ["records", "pull"], ["records", "verify", "--on-pen"]])
def test_every_command_reports_it(
    capsys: pytest.CaptureFixture[str], forked: tuple[Served, RecordStore], tmp_path: Path, command: list[str]
) -> None:
    bench, store = forked
    profile = tmp_path / "good.toml"
    write_whole(profile, GOOD.encode())
    before = contents(store.folder)
    file = [str(profile)] if len(command) == 1 else []
    run = Run(capsys, *command, *file, "--port", bench.where, "--json")
    assert (run.exit, run.result["error"]["name"]) == (4, "RECORDS_FORK")
    assert contents(store.folder) == before
    with Pen(bench.connect()) as pen:
        assert pen.record_list() == ([1, 2, 3, 4], 0)
        assert pen.status().session_id == 0


def test_what_was_set_apart_is_told_until_it_is_taken_away(
    capsys: pytest.CaptureFixture[str], forked: tuple[Served, RecordStore]
) -> None:
    bench, store = forked
    run = Run(capsys, "records", "pull", "--port", bench.where)
    assert run.exit == 4
    said = " ".join(run.text.split())
    assert "Don't use the pen. Its own records are kept apart" in said
    assert [path.name[:16] for path in store.apart(SERIAL)] == ["session-00000003", "session-00000004"]
    run = Run(capsys, "records", "verify", "--json")
    assert (run.exit, run.result["error"]["name"]) == (4, "RECORDS_FORK")
    assert (run.lines[0]["first_bad"], run.lines[0]["count"]) == (None, 3)
    assert run.lines[0]["apart"] == [str(path) for path in store.apart(SERIAL)]
    assert "another record, as the pen gave it" in Run(capsys, "records", "verify").text
    shown = Run(capsys, "records", "show", str(store.apart(SERIAL)[0]))
    assert shown.exit == 0
    for path in store.apart(SERIAL):
        path.unlink()
    assert Run(capsys, "records", "verify").exit == 0


def test_a_pen_that_does_not_know_what_records_it_has_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It must not look like one that has none."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    for name, found in ((ledger.FILE, []), (provision.FILE, []), (tasks.record_name(4), [1, 2, 3])):
        image = FlashImage(true_chain(False)[LENGTH].flash)
        files = SimStore(FlashDevice(image))
        files.remove(name)
        files.close()
        with served("tcp", flash=image) as bench:
            run = Run(capsys, "records", "pull", "--port", bench.where, "--json")
        assert run.exit == errors.EXIT_FAILED
        assert run.result["error"]["name"] in ("LEDGER_MISSING", "PROVISION_MISSING", "RECORD_CORRUPT")
        assert "can't tell for certain" in run.result["error"]["message"]
        assert (run.result["new"], run.result["acknowledged"]) == (found, [])
