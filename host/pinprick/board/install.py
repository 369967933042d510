"""Puts the firmware onto a board so that a half-installed one never runs, and finishes what was interrupted. Host only.

The order is the safety: the manifest goes first and comes last. Without a whole manifest the pen's main.py starts
nothing, so between the two anything may be cut off, at any operation, any number of times. Running it again compares
what is there by its hash, and does the rest.

What is purged: code that isn't part of this build, wherever it lies (MicroPython would import it, and a `.py` before a
`.mpy`), every folder that is neither the firmware's nor of the pen's memory, with all that lies in it (MicroPython
would take it for a module, before any file), whatever else lies in the firmware's own folders, and what an interrupted
installation left. Nothing else is touched: what the pen remembers (provisioning, journal, records, used cartridges)
survives.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Protocol

from pinprick.board.build import MANIFEST, MEMORY_FOLDERS, Build, identity_of
from pinprick.board.image import Lock
from pinprick.errors import BOARD_DIFFERS, BOARD_WRONG, Mismatch, PinprickError

UNFINISHED = ".new"
"""What a file is called, after its name, until all of it is there."""
_CODE = (".py", ".mpy")
_LAST = "main.py"

CHECK = "check"
PURGE = "purge"
COPY = "copy"
VERIFY = "verify"
SEAL = "seal"


@dataclass(frozen=True, slots=True)
class About:
    """What a board says it runs: MicroPython's release ("1.28.0"), the name of its build ("RPI_PICO"), the machine."""

    version: str
    board: str
    machine: str


class Board(Protocol):
    """A board with MicroPython and its file system. Paths are below the root, without a slash in front.

    Every operation may raise NoDevice BOARD_LOST (the board is gone) and PinprickError BOARD_FAILED (it can't).
    """

    def about(self) -> About:
        """Return what it runs."""

    def start_anew(self) -> None:
        """End whatever runs or waits on it, and start its interpreter anew: nothing but the flash is left."""

    def files(self) -> list[str]:
        """Return the paths of all files."""

    def folders(self) -> list[str]:
        """Return the paths of all folders."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of these files, in hex, as they are read back from the flash."""

    def make_folder(self, path: str) -> None:
        """Make a folder."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file; cut off, it leaves a part of it."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of a file that had it; cut off, it is done or not done."""

    def remove(self, path: str) -> None:
        """Remove a file."""

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, told before it is done: `kind` is one of CHECK PURGE COPY VERIFY SEAL; `done` of `of` bytes of the
    firmware are on the board by then."""

    kind: str
    path: str
    done: int
    of: int


Tell = Callable[[Step], None]
"""Hears of the steps."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did: the paths it copied and purged (folders end with a slash), and those that were right
    already."""

    copied: tuple[str, ...]
    purged: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """How a board differs from a build: paths that are not there, that are other bytes, and code and folders that are
    no part of it. A folder ends with a slash and comes after what lies in it."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    foreign: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.foreign)


def check_about(about: About, lock: Lock) -> None:
    """Refuse a board that doesn't run the locked release on the locked board; PinprickError BOARD_WRONG."""
    if about.version != lock.version:
        message = (
            f"The board runs MicroPython {about.version or 'of no known release'}; the firmware needs {lock.version}."
        )
        raise PinprickError(BOARD_WRONG, message, field="version", given=about.version, limit=lock.version)
    if about.board != lock.board:
        message = f"The board is {about.machine or 'an unknown one'}, its MicroPython is not built for {lock.board}."
        raise PinprickError(BOARD_WRONG, message, field="board", given=about.board, limit=lock.board)


def differences(board: Board, build: Build) -> Differences:
    """Return how `board` differs from `build`, by hash; changes nothing."""
    wanted = _wanted(build)
    there, folders = board.files(), board.folders()
    found = board.digests(path for path in there if path in wanted)
    return Differences(
        tuple(path for path in wanted if path not in found),
        tuple(path for path, digest in found.items() if digest != wanted[path]),
        _foreign(there, folders, build),
    )


def install(board: Board, build: Build, lock: Lock, tell: Tell) -> Installed:
    """Make `board` hold exactly `build` besides the pen's memory; `tell` hears of each operation before it is done.

    Raises BOARD_WRONG before anything is changed, BOARD_DIFFERS when what is read back isn't what was written, and
    what `Board` raises. Whatever it raises, running it again goes on.
    """
    progress = _Progress(build, tell)
    progress.tell(CHECK, MANIFEST)
    check_about(board.about(), lock)
    board.start_anew()
    found = differences(board, build)
    # main.py last: cut off before it, a new board still has the open port that it came with.
    copies = tuple(sorted((*found.missing, *found.changed), key=lambda path: (path == _LAST, path)))
    copies = tuple(path for path in copies if path != MANIFEST)
    kept = tuple(path for path in build.files if path not in copies)
    for path in kept:
        progress.has(path)
    if not found:
        return Installed((), (), kept)
    if MANIFEST not in found.missing:
        progress.tell(PURGE, MANIFEST)
        board.remove(MANIFEST)
    # The other main.py that a board may have run goes with it, for nothing keeps that from starting half-way.
    for path in (*(path for path in found.changed if path == _LAST), *found.foreign):
        progress.tell(PURGE, path)
        if path.endswith("/"):
            board.remove_folder(path[:-1])
        else:
            board.remove(path)
    for folder in sorted(_folders(build).difference(board.folders())):
        board.make_folder(folder)
    for path in copies:
        progress.tell(COPY, path)
        _put(board, path, build.files[path])
        progress.has(path)
    _verify(board, build, progress)
    progress.tell(SEAL, MANIFEST)
    _put(board, MANIFEST, build.manifest)
    left = differences(board, build)
    if left:
        raise _differs((*left.missing, *left.changed, *left.foreign))
    return Installed(copies, found.foreign, kept)


def verified(board: Board, build: Build) -> Differences:
    """Return no differences, as `differences` does; Mismatch BOARD_DIFFERS names the files when there are any."""
    found = differences(board, build)
    if not found:
        return found
    other = identity_of(board.read(MANIFEST)) if MANIFEST in found.changed else ""
    raise _differs((*found.missing, *found.changed, *found.foreign), other)


def holds_pen(board: Board) -> bool:
    """Return whether there is the whole manifest of any build on `board`: whether it is a pen when it is started."""
    return MANIFEST in board.files() and identity_of(board.read(MANIFEST)) != ""


class _Progress:
    """Counts the bytes that are on the board."""

    def __init__(self, build: Build, tell: Tell) -> None:
        self._sizes = {path: len(data) for path, data in build.files.items()}
        self._of = sum(self._sizes.values())
        self._done = 0
        self._tell = tell

    def has(self, path: str) -> None:
        self._done += self._sizes[path]

    def tell(self, kind: str, path: str) -> None:
        self._tell(Step(kind, path, self._done, self._of))


def _wanted(build: Build) -> Mapping[str, str]:
    """Return the SHA-256 of all that has to be on the board, the manifest too."""
    return {path: sha256(data).hexdigest() for path, data in (*build.files.items(), (MANIFEST, build.manifest))}


def _folders(build: Build) -> set[str]:
    """Return the folders that the build needs."""
    return {folder.as_posix() for path in build.files for folder in PurePosixPath(path).parents} - {"."}


def _foreign(files: Iterable[str], folders: Iterable[str], build: Build) -> tuple[str, ...]:
    """Return which of these have to go: the files first, then the folders, the innermost first."""
    known = _folders(build).union(MEMORY_FOLDERS)
    return (
        *(path for path in files if path != MANIFEST and path not in build.files and _goes(path, known)),
        *(f"{folder}/" for folder in sorted(set(folders) - known, reverse=True)),
    )


def _goes(path: str, known: Container[str]) -> bool:
    """Return whether a file that isn't of the build has to go, for where it lies or for what it is."""
    folder = path.rpartition("/")[0]
    if folder not in ("", *MEMORY_FOLDERS) or path in known:
        return True
    name = path.removesuffix(UNFINISHED)
    return name == MANIFEST or name.endswith(_CODE)


def _put(board: Board, path: str, data: bytes) -> None:
    """Write a file so that under its own name it is old or new, and never a part of either."""
    board.write(path + UNFINISHED, data)
    board.rename(path + UNFINISHED, path)


def _verify(board: Board, build: Build, progress: _Progress) -> None:
    """Read every file back before the manifest vouches for it."""
    wanted = _wanted(build)
    for path in build.files:
        progress.tell(VERIFY, path)
        if board.digests([path]).get(path) != wanted[path]:
            raise _differs([path])


def _differs(paths: Iterable[str], other: str = "") -> Mismatch:
    """Return what to say of files that aren't as built; `other` is the build that the board's manifest is of."""
    names = tuple(paths)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    whose = f" The board's manifest is that of build {other}." if other else ""
    message = f"Not as built: {', '.join(names[:3])}{more}.{whose}"
    return Mismatch(BOARD_DIFFERS, message, field=names[0], given=other or None)
