"""The board in memory against littlefs itself: what the one refuses, the other refuses, for the same reason."""

from collections.abc import Callable
from itertools import product
from typing import Any

import littlefs
import pytest
from littlefs.errors import LittleFSError

from tests.support.fake_board import FakeBoard, ancestors

FILES = {"file": b"1", "full/file": b"2", "full/deep/file": b"3"}
EMPTY = "empty"
PATHS = ["file", "full/file", EMPTY, "full", "none", "none/file", "file/file", f"{EMPTY}/file", "full/deep"]

Act = Callable[[Any], object]


def flash() -> littlefs.LittleFS:
    """Return a littlefs with the files and the empty folder."""
    made = littlefs.LittleFS(block_size=4096, block_count=32)
    made.mkdir(EMPTY)
    for path, data in FILES.items():
        for folder in reversed(ancestors(path)):
            made.makedirs(folder, exist_ok=True)
        with made.open(path, "wb") as file:
            file.write(data)
    return made


def board() -> FakeBoard:
    """Return a board with the same."""
    made = FakeBoard(FILES)
    made.dirs.add(EMPTY)
    return made


def tree(of: littlefs.LittleFS) -> tuple[dict[str, bytes], set[str]]:
    """Return all files and all folders of a littlefs."""
    files: dict[str, bytes] = {}
    folders: set[str] = set()
    for root, inside, names in of.walk("/"):
        at = root.strip("/") + "/" if root.strip("/") else ""
        folders |= {at + name for name in inside}
        for name in names:
            with of.open(at + name, "rb") as file:
                files[at + name] = file.read()
    return files, folders


def refusal(act: Act, on: object) -> type[Exception] | None:
    """Return the kind of OSError that `act` is refused with; None when it is done."""
    try:
        act(on)
    except LittleFSError as error:
        return type(OSError(-error.code, ""))
    except OSError as error:
        return type(error)
    return None


def written(on: littlefs.LittleFS, path: str) -> None:
    with on.open(path, "wb") as file:
        file.write(b"new")


def read(on: littlefs.LittleFS, path: str) -> bytes:
    with on.open(path, "rb") as file:
        data: bytes = file.read()
    return data


PAIRS: list[tuple[str, Act, Act]] = [
    *((f"write {p}", lambda on, p=p: on.write(p, b"new"), lambda on, p=p: written(on, p)) for p in PATHS),
    *((f"read {p}", lambda on, p=p: on.read(p), lambda on, p=p: read(on, p)) for p in PATHS),
    *((f"make {p}", lambda on, p=p: on.make_folder(p), lambda on, p=p: on.mkdir(p)) for p in PATHS),
    # littlefs removes an empty folder as it does a file, and renames folders; nothing here may ask for that.
    *(
        (f"remove {p}", lambda on, p=p: on.remove(p), lambda on, p=p: on.remove(p))
        for p in PATHS
        if p not in (EMPTY, "full", "full/deep")
    ),
    *(
        (f"remove folder {p}", lambda on, p=p: on.remove_folder(p), lambda on, p=p: on.remove(p))
        for p in ("empty", "full", "full/deep", "none")
    ),
    *(
        (f"rename {old} {new}", lambda on, p=old, q=new: on.rename(p, q), lambda on, p=old, q=new: on.rename(p, q))
        for old, new in product(["file", "full/file", "none"], PATHS)
    ),
]


@pytest.mark.parametrize(("_what", "fake", "real"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_the_board_in_memory_refuses_what_littlefs_refuses(_what: str, fake: Act, real: Act) -> None:
    ours, theirs = board(), flash()
    assert refusal(fake, ours) == refusal(real, theirs)
    assert (ours.content, ours.dirs) == tree(theirs)
