"""A store of records that can't be read is never taken for an empty one: that would switch its checks off."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pinprick import errors
from pinprick.device import Pen
from pinprick.errors import InputError
from pinprick.records import RecordStore, read_record
from tests.support.cli import Run, settle_terminal
from tests.support.records import SERIAL, chain, keep, make_session
from tests.support.served import served


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RecordStore:
    """Return the user's own store, empty, in a folder of the test's own."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    return RecordStore()


def refused(act: Callable[[], object]) -> InputError:
    """Return the refusal of `act` to say what is kept."""
    with pytest.raises(InputError) as caught:
        act()
    assert caught.value.code == errors.FILE_UNREADABLE
    return caught.value


def every_use(store: RecordStore) -> list[Callable[[], object]]:
    """Return all that rests on what is kept of a pen."""
    return [
        lambda: store.sessions(SERIAL),
        lambda: store.head(SERIAL),
        lambda: store.check_head(SERIAL, 2, bytes(32)),
        lambda: store.inspect(SERIAL),
        lambda: store.verify(SERIAL),
        lambda: list(store.load_all([SERIAL])),
        lambda: store.admit(chain(4)[3], SERIAL, 4),
        lambda: store.save(chain(4)[3], SERIAL, 4),
    ]


@pytest.mark.parametrize("where", ["above", "store", "pen"])
@pytest.mark.parametrize("how", ["a file", "a link to nowhere"])
def test_something_else_in_place_of_the_folder_is_not_none(store: RecordStore, where: str, how: str) -> None:
    keep(store, 3)
    store = RecordStore(store.folder / "deeper") if where == "above" else store
    folder = store.folder.parent if where == "above" else store.folder if where == "store" else store.pen_folder(SERIAL)
    folder.rename(folder.with_name("elsewhere"))
    if how == "a file":
        folder.write_text("")
    else:
        folder.symlink_to(folder.with_name("unplugged") / "drive")
    for act in [*every_use(store), store.serials]:
        assert "cannot be read: " in refused(act).message


@pytest.mark.parametrize("which", ["store", "pen"])
def test_a_folder_without_rights_is_not_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, store: RecordStore, which: str
) -> None:
    keep(store, 3)
    closed = store.folder if which == "store" else store.pen_folder(SERIAL)
    scan, look = os.scandir, Path.lstat

    # Whoever runs the tests as root may read everything: refuse as the system does for others.
    def scandir(folder: Path) -> object:
        if closed in (folder, *folder.parents):
            raise PermissionError(13, os.strerror(13), str(folder))
        return scan(folder)

    def lstat(path: Path) -> os.stat_result:
        if closed in path.parents:
            raise PermissionError(13, os.strerror(13), str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "lstat", lstat)
    for act in [*every_use(store), store.serials]:
        assert "cannot be read: Permission denied." in refused(act).message


def test_a_disk_that_fails_while_it_is_listed_is_not_empty(monkeypatch: pytest.MonkeyPatch, store: RecordStore) -> None:
    keep(store, 3)
    scan = os.scandir

    @contextmanager
    def scandir(folder: Path) -> Iterator[Iterator[object]]:
        def broken() -> Iterator[object]:
            with scan(folder) as found:
                yield next(found)
            raise OSError(5, os.strerror(5))

        yield broken()

    monkeypatch.setattr(os, "scandir", scandir)
    for act in (store.serials, *every_use(store)[:5]):
        assert "Input/output error" in refused(act).message


@pytest.mark.parametrize("folder", ["n" * 256, "a/" * 3000, "a\x00b"])
def test_a_folder_that_cannot_be_is_not_an_empty_one(tmp_path: Path, folder: str) -> None:
    store = RecordStore(tmp_path / folder)
    for act in [*every_use(store), store.serials]:
        assert "name" in refused(act).message


def test_a_record_that_is_a_pipe_keeps_nobody_waiting(store: RecordStore) -> None:
    made = keep(store, 3)
    for name in (store.path(SERIAL, 3), store.path(SERIAL, 2).with_suffix(".json")):
        name.unlink()
        os.mkfifo(name)
    for act in (lambda: store.check_head(SERIAL, 3, made[2][-32:]), lambda: store.save(made[2], SERIAL, 3)):
        assert "it is a pipe, not a regular file" in refused(act).message
    report = store.inspect(SERIAL)
    assert report.first_bad is not None
    assert (report.first_bad.session, report.edited[0].session) == (3, 2)
    assert "it is a pipe" in report.first_bad.what
    assert "it is a device" in refused(lambda: read_record(Path("/dev/zero"))).message


def test_a_record_that_leads_nowhere_is_not_written_over(store: RecordStore) -> None:
    made = keep(store, 2)
    path = store.path(SERIAL, 2)
    path.unlink()
    path.symlink_to("unplugged")
    with pytest.raises(InputError) as caught:
        store.save(made[1], SERIAL, 2)
    assert caught.value.code == errors.FILE_MISSING
    assert path.is_symlink()


def test_what_is_far_too_big_is_no_record(store: RecordStore) -> None:
    keep(store, 2)
    with store.path(SERIAL, 2).open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError) as caught:
        store.load(SERIAL, 2)
    assert (caught.value.code, caught.value.given) == (errors.FILE_TOO_BIG, 1 << 40)
    bad = store.inspect(SERIAL).first_bad
    assert bad is not None
    assert bad.session == 2


def test_only_folders_that_the_store_names_are_its_own(store: RecordStore) -> None:
    keep(store, 1)
    (store.folder / "pen-notes.txt").write_text("mine")
    (store.folder / "session-00000001.ppr").write_text("mine")
    (store.pen_folder(SERIAL) / f"session-{'1' * 200}.ppr").write_text("mine")
    assert store.serials() == [SERIAL]
    assert store.sessions(SERIAL) == [1]


# --- and what the commands say ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("spoilt", ["records", "pen"])
@pytest.mark.parametrize(
    "command", [["list"], ["verify"], ["show", "1"], ["export", "--out", "out.csv"], ["import", "export.json"]]
)
def test_what_cannot_be_read_is_not_called_empty(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    store: RecordStore,
    tmp_path: Path,
    spoilt: str,
    command: list[str],
) -> None:
    keep(store, 2)
    monkeypatch.chdir(tmp_path)
    assert Run(capsys, "records", "export", "--out", "export.json").exit == 0
    folder = store.folder if spoilt == "records" else store.pen_folder(SERIAL)
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("")
    run = Run(capsys, "records", *command)
    assert run.exit == 2
    assert "FILE_UNREADABLE" in run.text
    assert "No records" not in run.text
    assert not (tmp_path / "out.csv").exists()


def test_nothing_is_pulled_into_what_cannot_be_read(capsys: pytest.CaptureFixture[str], store: RecordStore) -> None:
    store.folder.parent.mkdir(parents=True)
    store.folder.write_text("")
    with served("tcp") as bench:
        with Pen(bench.connect()) as pen:
            make_session(bench, pen, 1)
        run = Run(capsys, "records", "pull", "--port", bench.where, "--json")
        assert (run.exit, run.result["error"]["name"]) == (2, "FILE_UNREADABLE")
        with Pen(bench.connect()) as pen:
            assert pen.record_list() == ([1], 0)


@pytest.mark.parametrize("folder", ["n" * 256, "a/" * 3000])
def test_a_data_folder_with_a_name_that_cannot_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / folder))
    for command in ("list", "verify", "export"):
        run = Run(capsys, "records", command, "--json")
        assert (run.exit, run.result["error"]["name"]) == (2, "FILE_UNREADABLE")
