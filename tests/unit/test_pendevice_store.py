"""The pen's store over a folder that stands in for its flash: the contract's words, and what follows an error."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pendevice import store
from pendevice.store import FlashStore

_FILE, _FOLDER = 0x8000, 0x4000


class Mount:
    """Mounts the flash anew, and counts how often; fails while `broken`."""

    def __init__(self) -> None:
        self.mounts = 0
        self.broken = False

    def __call__(self) -> None:
        if self.broken:
            raise OSError(5)
        self.mounts += 1


@pytest.fixture
def mount() -> Mount:
    return Mount()


@pytest.fixture
def files(mount: Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlashStore:
    def ilistdir(folder: str) -> Iterator[tuple[str, int, int, int]]:
        for entry in sorted(Path(folder).iterdir()):
            yield entry.name, _FOLDER if entry.is_dir() else _FILE, 0, 0

    monkeypatch.setattr(store, "_ROOT", f"{tmp_path}/")
    monkeypatch.setattr(os, "ilistdir", ilistdir, raising=False)
    return FlashStore(mount)


def test_files_are_appended_renamed_and_removed(files: FlashStore) -> None:
    assert files.size("ledger.bin") == -1
    files.append("ledger.bin", b"one")
    files.append("ledger.bin", b"two")
    files.append("ledger.bin.new", b"new")
    assert files.size("ledger.bin") == 6
    assert files.read("ledger.bin", 2, 2) == b"et"
    assert files.read("ledger.bin", 6, 2) == b""
    files.rename("ledger.bin.new", "ledger.bin")
    assert files.names() == ["ledger.bin"]
    assert files.read("ledger.bin", 0, 99) == b"new"
    files.remove("ledger.bin")
    assert files.names() == []


def test_a_file_s_folder_is_made_with_it_and_not_listed(files: FlashStore) -> None:
    files.append("witness/seq.bin", b"1")
    files.append("witness/seq.bin", b"2")
    assert files.read("witness/seq.bin", 0, 9) == b"12"
    assert files.names() == []
    files.append("witness/other.bin", b"")
    assert files.size("witness/other.bin") == 0


def test_a_file_that_is_not_there_is_no_reason_for_distrust(files: FlashStore, mount: Mount) -> None:
    assert files.size("nothing.bin") == -1
    files.append("a.bin", b"")
    assert mount.mounts == 0


@pytest.mark.parametrize("call", ["read", "rename", "remove", "append", "names", "size"])
def test_after_any_error_the_next_call_mounts_anew(
    files: FlashStore, mount: Mount, call: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "folder.bin").mkdir()
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise OSError(5, "flash")

        broken.setattr(os, "ilistdir", fail)
        if call == "size":
            broken.setattr(os, "stat", fail)
        calls: dict[str, Callable[[], object]] = {
            "read": lambda: files.read("nothing.bin", 0, 1),
            "rename": lambda: files.rename("nothing.bin", "else.bin"),
            "remove": lambda: files.remove("nothing.bin"),
            "append": lambda: files.append("folder.bin", b"x"),
            "names": files.names,
            "size": lambda: files.size("a.bin"),
        }
        with pytest.raises(OSError):  # noqa: PT011  # the kind is the contract
            calls[call]()
    assert mount.mounts == 0
    mount.broken = True
    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011  # whatever mounting raises
            files.size("a.bin")
    mount.broken = False
    assert files.size("a.bin") == -1
    files.append("a.bin", b"1")
    assert mount.mounts == 1


def test_garbage_is_collected_before_each_append_and_at_no_other_call(
    files: FlashStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of strokes begins with an append: so it has the whole heap before it, and needs no collection itself."""
    sizes: list[int] = []
    monkeypatch.setattr("pendevice.store.gc.collect", lambda: sizes.append(files.size("ledger.bin")))
    files.append("ledger.bin", b"one")
    assert sizes == [-1]
    files.append("ledger.bin", b"two")
    assert sizes == [-1, 3]
    files.read("ledger.bin", 0, 6)
    files.rename("ledger.bin", "old.bin")
    files.remove("old.bin")
    files.names()
    assert sizes == [-1, 3]
