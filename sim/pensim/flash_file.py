"""A virtual pen's flash in a file, which outlives the process that serves the pen. Host only.

Every program and every erase is written to the file before the pen goes on, so that a server that is killed leaves what
a power cut would: each operation wholly done, or not at all. Nothing is forced onto the disk; when the computer itself
loses its power, the file is as good as its file system. One pen at a time: the file is locked while it is open.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pensim.flash import BLOCK_COUNT, BLOCK_SIZE, FlashImage
from pensim.locks import lock

SIZE = BLOCK_SIZE * BLOCK_COUNT
"""Bytes of a flash, and of its file."""
_MAGIC = b"littlefs"
_MAGIC_AT = 8


class FlashFileError(Exception):
    """A file that can't be a pen's flash, now or at all; says why."""


class FlashInUse(FlashFileError):
    """Another pen has the file."""


class NotAFlash(FlashFileError):
    """The file holds something else."""


class FlashFile(FlashImage):
    """The flash in an open file, made by `open_flash` or `create_flash`.

    `failed` is told of an OSError by which a change did not reach the file; the flash then keeps what it held, in
    memory as in the file.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        data = _read_all(file)
        super().__init__(tuple(data[at : at + BLOCK_SIZE] for at in range(0, SIZE, BLOCK_SIZE)))
        self.path = path
        self.failed: Callable[[OSError], None] | None = None
        self._file = file

    def _set(self, block: int, data: bytes) -> None:
        before = self._blocks[block]
        super()._set(block, data)
        after = self._blocks[block]
        if after == before:
            return
        try:
            size = os.fstat(self._file.fileno()).st_size
            if size != SIZE:
                # Writing on would give it its size back, and nobody would see that the rest is gone.
                raise OSError(f"somebody else has changed its size to {size:,} bytes")
            self._file.seek(block * BLOCK_SIZE)
            written = self._file.write(after)
            if written != BLOCK_SIZE:
                raise OSError(f"{written} of {BLOCK_SIZE} bytes written")
        except OSError as error:
            self._hold(block, before)
            # Littlefs is under way, and no exception passes through C.
            if self.failed is not None:
                self.failed(error)

    def close(self) -> None:
        """Let go of the file: another pen may have it."""
        self._file.close()


def open_flash(path: Path) -> FlashFile:
    """Return the flash in the file at `path`; FlashInUse, NotAFlash, or OSError (FileNotFoundError for none)."""
    file = path.open("r+b", buffering=0)
    try:
        _lock(file, path)
        size = os.fstat(file.fileno()).st_size
        if size != SIZE:
            raise NotAFlash(f"{path} has {size:,} bytes; the flash of a virtual pen has {SIZE:,}")
        blocks = [_read_at(file, block * BLOCK_SIZE, _MAGIC_AT + len(_MAGIC)) for block in (0, 1)]
        if not any(block[_MAGIC_AT:] == _MAGIC for block in blocks) and _read_all(file).strip(b"\xff"):
            raise NotAFlash(f"{path} is not the flash of a virtual pen: it holds no littlefs file system")
        return FlashFile(file, path)
    except BaseException:
        file.close()
        raise


def create_flash(path: Path, image: FlashImage) -> FlashFile:
    """Return the flash in a new file at `path`, holding what `image` holds; FileExistsError, FlashInUse or OSError.

    The file is there whole or not at all, and locked from its first moment.
    """
    descriptor, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    temporary = Path(name)
    file = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        file.write(image.to_bytes())
        _lock(file, path)
        _name(temporary, path)
        return FlashFile(file, path)
    except BaseException:
        file.close()
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _name(temporary: Path, path: Path) -> None:
    """Give a file its name; FileExistsError when that is taken."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links.
        if path.exists():
            raise FileExistsError(path) from None
        temporary.rename(path)


def _lock(file: IO[bytes], path: Path) -> None:
    if not lock(file):
        raise FlashInUse(f"{path} is the flash of another virtual pen that runs now")


def _read_at(file: IO[bytes], at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _read_all(file: IO[bytes]) -> bytes:
    """Return the whole file, which an unbuffered read may give in pieces."""
    file.seek(0)
    pieces = []
    while piece := file.read(SIZE):
        pieces.append(piece)
    return b"".join(pieces)
