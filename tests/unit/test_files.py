"""Files that are whole or not there, and readable by whom they should be."""

import os
import stat
from pathlib import Path

import pytest

from pinprick.files import write_whole


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
