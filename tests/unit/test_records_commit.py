"""Nothing leaves the pen before this computer's copy is on the disk: whatever call fails, is the last, comes between.

A pen of a few lines, which forgets as the real one does, is pulled from once for each call that the tool makes to the
system. Afterwards every record is on the pen or whole on the disk; acknowledged ones would outlive a loss of power.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from pencore import wire
from pencore.digest import ZERO_DIGEST
from pinprick import errors, files
from pinprick.errors import InputError, Mismatch, PinprickError
from pinprick.records import RecordStore, import_records, pull_records, to_json, write_export
from tests.support.records import SERIAL, chain, keep, make
from tests.support.system_calls import CHANGING, LOOKING, Act, Calls, Disk, Killed, failing, half

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


@dataclass
class Greeting:
    """What the pen says of itself."""

    serial: str
    state: int
    last_session: int
    ledger_head: bytes
    fault: int = 0


class Forgetting:
    """A pen that keeps what isn't acknowledged, and the last; `asked` is called before each acknowledgement."""

    def __init__(self, sealed: list[bytes]) -> None:
        self.sealed = dict(enumerate(sealed, 1))
        self.on_it = dict(self.sealed)
        self.acked = 0
        self.asked: Callable[[int], None] = lambda _: None

    def hello(self) -> Greeting:
        last = max(self.sealed, default=0)
        return Greeting(SERIAL, wire.SAFE, last, self.sealed[last][-32:] if last else ZERO_DIGEST)

    def status(self) -> Greeting:
        return self.hello()

    def record_list(self) -> tuple[list[int], int]:
        return sorted(self.on_it), self.acked

    def record_read(self, session: int) -> bytes:
        return self.on_it[session]

    def record_ack(self, session: int, digest: bytes) -> None:
        assert session == self.acked + 1
        assert digest == self.sealed[session][-32:]
        self.asked(session)
        self.acked = session
        for old in [old for old in self.on_it if old < session]:
            del self.on_it[old]


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """Return an empty store whose folders aren't there yet."""
    return RecordStore(tmp_path / "data" / "records")


def nothing_lost(pen: Forgetting, store: RecordStore) -> None:
    """Fail unless each record is on the pen or whole on the disk, and what was acknowledged is on the disk."""
    for session, data in pen.sealed.items():
        if session <= pen.acked:
            assert store.load(SERIAL, session).data == data
        else:
            assert pen.on_it[session] == data
    for session in store.sessions(SERIAL):
        assert store.load(SERIAL, session).data == pen.sealed[session]
    assert store.inspect(SERIAL).first_bad is None


def raised(pen: Forgetting, store: RecordStore) -> PinprickError | None:
    """Pull; return what it raises."""
    try:
        pull_records(pen, store)
    except PinprickError as error:
        return error
    return None


def goes_on(pen: Forgetting, store: RecordStore) -> None:
    """Pull again, with nothing in the way; fail unless all is kept and acknowledged then."""
    pen.asked = lambda _: None
    pull_records(pen, RecordStore(store.folder))
    assert pen.acked == len(pen.sealed)
    assert store.sessions(SERIAL) == list(pen.sealed)
    assert store.inspect(SERIAL).good
    nothing_lost(pen, store)


@contextmanager
def watched(root: Path) -> Iterator[tuple[Calls, Disk]]:
    """Watch the calls of what is done meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch)
        yield calls, Disk(calls, root)


def durable(pen: Forgetting, store: RecordStore, disk: Disk) -> Callable[[int], None]:
    """Return what is asked at each acknowledgement: that its record, and all before, outlive a loss of power."""

    def check(session: int) -> None:
        for number in range(1, session + 1):
            assert disk.holds(path(store, number), pen.sealed[number]), f"session {number} is not on the disk"

    return check


def path(store: RecordStore, session: int) -> Path:
    """Return where a record is kept, without looking."""
    return store.folder / f"pen-{SERIAL}" / f"session-{session:08d}.ppr"


def calls_of_a_pull(root: Path, names: Container[str] = (*CHANGING, *LOOKING)) -> list[int]:
    """Return which calls of a pull of two records have one of `names`."""
    with watched(root) as (calls, _):
        pull_records(Forgetting(chain(2)), RecordStore(root / "counted" / "records"))
    return [at for at, name in enumerate(calls.names) if name in names]


def test_a_record_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path, store: RecordStore) -> None:
    pen = Forgetting(chain(3))
    with watched(tmp_path) as (calls, disk):
        pen.asked = durable(pen, store, disk)
        pull_records(pen, store)
    assert pen.acked == 3
    assert {"open", "write", "fsync", "link", "mkdir", "close", "unlink", "read"} <= set(calls.names)


def test_a_record_is_on_the_disk_before_its_json_has_a_name(tmp_path: Path) -> None:
    """Or a loss of power could leave a JSON alone, and that says that a record was taken away."""
    named = calls_of_a_pull(tmp_path, ("replace",))
    assert len(named) == 2
    for session, at in enumerate(named, 1):
        store = RecordStore(tmp_path / str(at) / "records")
        pen = Forgetting(chain(2))
        seen: list[bool] = []
        with watched(tmp_path) as (calls, disk):
            calls.at, calls.act = at, looking(disk, path(store, session), pen.sealed[session], seen)
            pull_records(pen, store)
        assert seen == [True]


def looking(disk: Disk, place: Path, data: bytes, seen: list[bool]) -> Act:
    """Return an act that looks whether `place` is on the disk before the call is made."""

    def look(_: str, call: Callable[..., object], arguments: tuple[object, ...]) -> object:
        seen.append(disk.holds(place, data))
        return call(*arguments)

    return look


def test_what_somebody_else_wrote_is_brought_to_the_disk_too(tmp_path: Path, store: RecordStore) -> None:
    """Records copied from a backup a moment ago: here, but nobody has waited for the disk."""
    pen = Forgetting(chain(2))
    with watched(tmp_path) as (_, disk):
        store.pen_folder(SERIAL).mkdir(parents=True)
        for session, data in pen.sealed.items():
            path(store, session).write_bytes(data)
            assert not disk.holds(path(store, session), data)
        pen.asked = durable(pen, store, disk)
        assert [saved.new for saved in pull_records(pen, store)] == [False, False]
    assert pen.acked == 2


def test_each_record_is_read_once_more_before_its_acknowledgement(store: RecordStore) -> None:
    pen = Forgetting(chain(3))

    def spoil(session: int) -> None:
        if session == 1:
            path(store, 2).write_bytes(b"")

    pen.asked = spoil
    with pytest.raises(Mismatch):
        pull_records(pen, store)
    assert pen.acked == 1

    def take_away(_: int) -> None:
        path(store, 3).unlink()

    path(store, 2).unlink()
    pen.asked = take_away
    with pytest.raises(InputError) as caught:
        pull_records(pen, store)
    assert (caught.value.code, pen.acked) == (errors.FILE_MISSING, 2)


@pytest.mark.parametrize("number", ERRORS, ids=[errno.errorcode[number] for number in ERRORS])
def test_a_call_that_fails_loses_no_record(tmp_path: Path, number: int) -> None:
    refused = 0
    for at in calls_of_a_pull(tmp_path):
        store = RecordStore(tmp_path / str(at) / "records")
        pen = Forgetting(chain(2))
        with watched(tmp_path) as (calls, disk):
            calls.at, calls.act = at, failing(number)
            pen.asked = durable(pen, store, disk)
            error = raised(pen, store)
            assert (pen.acked == 2) == (error is None)
            if error is not None:
                refused += 1
                assert isinstance(error, InputError)
            with calls.apart():
                nothing_lost(pen, store)
                goes_on(pen, store)
    assert refused > 50


def test_a_call_that_does_half_is_made_again(tmp_path: Path) -> None:
    for at in calls_of_a_pull(tmp_path, ("read", "write")):
        store = RecordStore(tmp_path / str(at) / "records")
        pen = Forgetting(chain(2))
        with watched(tmp_path) as (calls, disk):
            calls.at, calls.act = at, half
            pen.asked = durable(pen, store, disk)
            pull_records(pen, store)
        assert pen.acked == 2
        nothing_lost(pen, store)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_tool_killed_at_any_call_loses_no_record(tmp_path: Path, after: bool) -> None:
    """And the next one doesn't take for committed what the first left half done."""
    for at in calls_of_a_pull(tmp_path, CHANGING):
        store = RecordStore(tmp_path / str(at) / "records")
        pen = Forgetting(chain(2))
        with watched(tmp_path) as (calls, disk):
            pen.asked = durable(pen, store, disk)
            calls.kill_at(at, after=after)
            with pytest.raises(Killed):
                pull_records(pen, store)
            calls.revive()
            with calls.apart():
                nothing_lost(pen, store)
            pull_records(pen, RecordStore(store.folder))
            assert pen.acked == 2
            with calls.apart():
                goes_on(pen, store)


@pytest.mark.parametrize("fork", [False, True], ids=["the same records", "another chain"])
def test_two_tools_at_once_replace_nothing(tmp_path: Path, fork: bool) -> None:
    """The second does all it does between two calls of the first, be it with a pen of the same serial number."""
    taken = set()
    for at in calls_of_a_pull(tmp_path, (*CHANGING, "lstat", "scandir")):
        store = RecordStore(tmp_path / str(at) / "records")
        first, second = Forgetting(chain(2)), Forgetting(chain(2))
        if fork:
            begun = make(1, start_s=5)
            second = Forgetting([begun, make(2, begun[-32:], start_s=6)])
        with watched(tmp_path) as (calls, _):

            def other(
                name: str,
                call: Callable[..., object],
                arguments: tuple[object, ...],
                calls: Calls = calls,
                pen: Forgetting = second,
                store: RecordStore = store,
            ) -> object:
                with calls.apart(), suppress(Mismatch):
                    pull_records(pen, RecordStore(store.folder))
                return call(*arguments)

            calls.at, calls.act = at, other
            error = raised(first, store)
            assert error is None or (fork and error.code == errors.RECORDS_FORK)
        for pen in (first, second):
            for session in range(1, pen.acked + 1):
                assert store.load(SERIAL, session).data == pen.sealed[session]
        taken.add((first.acked, second.acked))
        assert not (fork and first.acked and second.acked)
    assert taken >= ({(2, 0), (0, 2)} if fork else {(2, 2)})


@pytest.mark.parametrize("same", [True, False], ids=["of the same session", "of the one before"])
def test_what_another_tool_keeps_meanwhile_is_not_taken_for_ours(tmp_path: Path, same: bool) -> None:
    """A save that returns has kept its record, in a chain; be the other one's there first, or beside it."""
    ours, theirs = (2, make(2, make(1)[-32:])), (2, make(2, b"\x07" * 32)) if same else (1, make(1, start_s=5))
    with watched(tmp_path) as (calls, _):
        RecordStore(tmp_path / "counted").save(ours[1], SERIAL, ours[0])
        count = len(calls.names)
    for at in range(count):
        store = RecordStore(tmp_path / str(at))
        with watched(tmp_path) as (calls, _):
            calls.at, calls.act = at, keeping(calls, RecordStore(store.folder), *theirs)
            try:
                store.save(ours[1], SERIAL, ours[0])
            except Mismatch as error:
                code = error.code
            else:
                code = 0
        if code:
            assert code == errors.RECORDS_FORK
        else:
            assert store.load(SERIAL, 2).data == ours[1]
            assert store.inspect(SERIAL).good


def keeping(calls: Calls, store: RecordStore, session: int, data: bytes) -> Act:
    """Return an act in which another tool keeps a record, if it can, before the call is made."""

    def keep_it(_: str, call: Callable[..., object], arguments: tuple[object, ...]) -> object:
        with calls.apart(), suppress(Mismatch):
            store.save(data, SERIAL, session)
        return call(*arguments)

    return keep_it


def test_a_file_system_without_links_keeps_what_is_there(monkeypatch: pytest.MonkeyPatch, store: RecordStore) -> None:
    """A memory stick's."""
    monkeypatch.setattr(os, "link", lambda *_, **__: failing(errno.EPERM)("link", print, ()))
    pen = Forgetting(chain(2))
    pull_records(pen, store)
    assert pen.acked == 2
    assert [item.suffix for item in store.pen_folder(SERIAL).iterdir()].count(".part") == 0
    staged = files.Staged(path(store, 2), b"other")
    with pytest.raises(FileExistsError):
        staged.keep()
    staged.drop()
    nothing_lost(pen, store)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_folders_that_cannot_be_synced_are_left_to_their_file_system(
    monkeypatch: pytest.MonkeyPatch, store: RecordStore, number: int
) -> None:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    pen = Forgetting(chain(2))
    pull_records(pen, store)
    assert pen.acked == 2


def test_an_import_killed_at_any_call_leaves_whole_records_or_none(tmp_path: Path) -> None:
    source = RecordStore(tmp_path / "source")
    keep(source, 2)
    export = tmp_path / "export.json"
    write_export(to_json(source.load_all([SERIAL])), export)

    with watched(tmp_path) as (calls, _):
        import_records(export, RecordStore(tmp_path / "all"))
        changing = [at for at, name in enumerate(calls.names) if name in CHANGING]
    for at, after in product(changing, (False, True)):
        store = RecordStore(tmp_path / f"{at}-{after}")
        with watched(tmp_path) as (calls, _):
            calls.kill_at(at, after=after)
            with pytest.raises(Killed):
                import_records(export, store)
            with calls.apart():
                for session in store.sessions(SERIAL):
                    assert store.load(SERIAL, session).data == source.load(SERIAL, session).data
                import_records(export, store)
                assert store.inspect(SERIAL).good
                assert store.sessions(SERIAL) == [1, 2]


PULL_FOR_EVER = """
import sys
from pathlib import Path
from pinprick.records import RecordStore
from tests.support.records import SERIAL, chain
store = RecordStore(Path(sys.argv[1]))
print("begun", flush=True)
for session, data in enumerate(chain(400), 1):
    store.save(data, SERIAL, session)
    print(session, flush=True)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.003, 0.02])
def test_a_tool_that_is_really_killed(store: RecordStore, wait_s: float) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PULL_FOR_EVER, str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "begun\n"
        time.sleep(wait_s)
        tool.kill()
        told = tool.stdout.read().split()
    assert tool.returncode == -signal.SIGKILL
    made = chain(400)
    kept = store.sessions(SERIAL)
    assert len(kept) in (len(told), len(told) + 1)
    assert [store.load(SERIAL, session).data for session in kept] == made[: len(kept)]
    assert store.inspect(SERIAL).good
    for session, data in enumerate(made[: len(kept) + 2], 1):
        store.save(data, SERIAL, session)
    assert store.inspect(SERIAL).count == len(kept) + 2
