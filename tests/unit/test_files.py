"""Files that are whole or not there, and readable by whom they should be."""

import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pinprick.files import (
    NotRegular,
    Staged,
    TooBig,
    file_name,
    folder_name,
    make_private,
    read_bounded,
    read_with_mode,
    sync_file,
    sync_folder,
    sync_way,
    text_of,
    write_new,
    write_private,
    write_whole,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("data", [b"", b"one", bytes(range(256)) * 1000])
def test_what_is_written_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    write_whole(path, b"before")
    write_whole(path, data)
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "rights"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_rights(tmp_path: Path, mask: int, rights: int) -> None:
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "open", b"x")
        write_whole(tmp_path / "private", b"x", private=True)
        assert os.umask(mask) == mask  # and the mask is as it was
    finally:
        os.umask(before)
    assert mode(tmp_path / "open") == rights
    assert mode(tmp_path / "private") == 0o600


@pytest.mark.parametrize("write", [write_whole, write_new])
def test_a_private_file_is_private_from_its_first_byte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write: Callable[..., None]
) -> None:
    """Under its own name and under the one before it, whatever the mask lets through."""
    seen = []
    real = os.write

    def watched(descriptor: int, data: bytes) -> int:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", watched)
    before = os.umask(0)
    try:
        write(tmp_path / "secret", b"x", private=True)
    finally:
        os.umask(before)
    assert seen == [0o600]
    assert mode(tmp_path / "secret") == 0o600


def test_each_folder_that_is_made_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        write_private(tmp_path / "data" / "keys" / "file", b"x")
        make_private(tmp_path / "data" / "keys")
    finally:
        os.umask(before)
    for path, rights in (("data/keys/file", 0o600), ("data/keys", 0o700), ("data", 0o700), (".", 0o755)):
        assert mode(tmp_path / path) == rights
    for name in ("data/keys/file", "data/keys/file/more"):
        with pytest.raises(NotADirectoryError):
            make_private(tmp_path / name)


def test_a_new_file_takes_no_other_s_place(tmp_path: Path) -> None:
    write_new(tmp_path / "file", b"one")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str) -> None:
    path = tmp_path / "file"
    write_whole(path, b"before")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os if step == "fsync" else Path, step, fail)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "no" / "file", b"x")


@pytest.mark.parametrize("data", [b"", b"one\r\n\x1a\x00two"])
def test_a_file_of_at_most_so_many_bytes_is_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    path.chmod(0o640)
    assert read_bounded(path, len(data)) == data
    assert read_with_mode(path, 100) == (data, stat.S_IFREG | 0o640)
    (tmp_path / "link").symlink_to(path)
    assert read_bounded(tmp_path / "link", 100) == data


def test_a_file_that_is_too_big_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1001))
    with pytest.raises(TooBig) as caught:
        read_bounded(path, 1000)
    assert (caught.value.size, caught.value.strerror) == (1001, "it has 1,001 bytes")
    # One that says nothing of its size, as those below /proc, is read no further than that.
    grown = os.stat_result((stat.S_IFREG, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda _: grown)
    with pytest.raises(TooBig) as caught:
        read_bounded(path, 1000)
    assert (caught.value.size, caught.value.strerror) == (None, "it has more than 1,000 bytes")


def test_a_system_that_gives_little_at_a_time_is_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(250)))
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 7)))
    assert read_bounded(path, 1000) == bytes(range(250))

    def not_now(*_: object) -> bytes:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "read", not_now)
    with pytest.raises(BlockingIOError):
        read_bounded(path, 1000)


def test_a_pipe_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(NotRegular, match="it is a pipe, not a regular file"):
        read_bounded(path, 1000)
    # And also when it took the place of a file since that was looked at.
    (tmp_path / "file").write_bytes(b"")
    looked_at = (tmp_path / "file").stat()
    with monkeypatch.context() as raced:
        raced.setattr(Path, "stat", lambda _: looked_at)
        with pytest.raises(NotRegular, match="it is a pipe"):
            read_bounded(path, 1000)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(NotRegular, match="it is a socket"):
            read_bounded(tmp_path / "socket", 1000)
    with pytest.raises(NotRegular, match="it is a device"):
        read_bounded(Path("/dev/zero"), 1000)
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        read_bounded(tmp_path, 1000)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "no", 1000)


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b", "n" * 256, "a/" * 5000])
def test_a_name_that_no_file_can_have_is_an_error_of_the_system(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="name") as caught:
        read_bounded(tmp_path / name, 1000)
    assert caught.value.errno in (errno.EINVAL, errno.ENAMETOOLONG)


@pytest.mark.parametrize("text", ["SIM-0001", ".", "..", "../../etc", "a/b\\c:d", "%2E", "Ä €"])
def test_whatever_a_text_holds_its_name_is_one_in_its_folder(tmp_path: Path, text: str) -> None:
    name = file_name(text)
    assert text_of(name) == text
    (tmp_path / name).touch()
    assert list(tmp_path.iterdir()) == [tmp_path / name]


# --- what is on the disk ----------------------------------------------------------------------------------------------
def test_a_staged_file_takes_no_name_that_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "file"
    Staged(path, b"one").keep()
    other = Staged(path, b"two")
    with pytest.raises(FileExistsError):
        other.keep()
    assert path.read_bytes() == b"one"
    other.drop()
    other.drop()
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "nowhere").symlink_to("unplugged")
    with pytest.raises(FileExistsError):
        Staged(tmp_path / "nowhere", b"two").keep()


def test_a_disk_that_fails_to_sync_is_not_believed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither with a file nor with the name of one."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    sync = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    sync_file(path)
    for act in (sync_folder, sync_way, lambda folder: write_whole(folder / "file", b"two")):
        with pytest.raises(OSError, match="Input/output error"):
            act(tmp_path)


def test_a_way_ends_where_nothing_can_have_been_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened = []
    real = os.open

    def closed(path: Path, *arguments: int) -> int:
        opened.append(path)
        if path == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *arguments)

    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(os, "open", closed)
    monkeypatch.setattr(os, "access", lambda *_: False)
    sync_way(tmp_path / "a" / "b")
    assert opened == [tmp_path / "a", tmp_path]
    monkeypatch.setattr(os, "access", lambda *_: True)
    with pytest.raises(PermissionError):
        sync_way(tmp_path / "a" / "b")


@pytest.mark.parametrize(
    ("there", "text", "name"),
    [
        ([], "PP-1a", "pen-PP-1a"),
        (["pen-PP-1a"], "PP-1a", "pen-PP-1a"),
        (["pen-PP-1A"], "PP-1a", "pen-%50%50-1%61"),
        (["pen-PP-1a"], "PP-1A", "pen-%50%50-1%41"),
        (["pen-%50%50-1%61"], "PP-1a", "pen-%50%50-1%61"),
        (["pen-%50%50-1%61"], "PP-1A", "pen-PP-1A"),
        (["pen-PP-1a", "pen-PP-1A"], "PP-1A", "pen-PP-1A"),
        (["pen-PP-1A."], "PP-1a", "pen-PP-1a"),
        (["pen-A%2EB"], "a.b", "pen-%61%2E%62"),
    ],
)
def test_a_folder_differs_from_others_by_more_than_case(tmp_path: Path, there: list[str], text: str, name: str) -> None:
    for folder in there:
        (tmp_path / folder).mkdir()
    assert folder_name(tmp_path, "pen-", text) == name
    assert text_of(name.removeprefix("pen-")) == text
