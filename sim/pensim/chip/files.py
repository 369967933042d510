"""The files in a board's flash, as bytes: what a flash looks like with them, and what it holds. Host only.

The file system is the one that the stock image mounts: littlefs in the flash's last 1,408 KiB (`pensim.flash` has its
figures). Written beforehand like this, files cost an emulated chip no time. No signal is heard meanwhile: one that
raised in the middle of it would leave other bytes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from littlefs import LittleFS, LittleFSError, UserContext

from pensim.flash import LITTLEFS
from pensim.undisturbed import undisturbed

_SIZE = LITTLEFS["block_size"] * LITTLEFS["block_count"]


class NoFiles(ValueError):
    """A flash without a file system that can be mounted; the stock image would make it anew."""


@undisturbed()
def image_of(files: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a file system with these files, by their paths ("pencore/wire.mpy"), and nothing else."""
    context = UserContext(_SIZE)
    LittleFS(context=context, mount=False, **LITTLEFS).format()
    return with_files(bytes(context.buffer), files)


@undisturbed()
def files_in(flash: bytes) -> dict[str, bytes]:
    """Return the files of a file system by their paths, as a mount after a power cut finds them.

    Raises NoFiles when nothing can be mounted, ValueError for bytes of another length.
    """
    with _mounted(_context(flash)) as system:
        found = {}
        for folder, _, names in system.walk("/"):
            for name in names:
                path = f"{folder}/{name}".lstrip("/")
                with system.open(path, "rb") as file:
                    found[path] = bytes(file.read())
        return found


@undisturbed()
def with_files(flash: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """Return the bytes of a file system with files put in place, or removed where None stands; the others stay.

    Raises as `files_in` does, FileNotFoundError for a removal of none, OSError when the files don't fit.
    """
    context = _context(flash)
    with _mounted(context) as system:
        for path, data in changes.items():
            if data is None:
                system.remove(path)
                continue
            folder, _, _ = path.rpartition("/")
            if folder:
                system.makedirs(folder, exist_ok=True)
            with system.open(path, "wb") as file:
                file.write(data)
    return bytes(context.buffer)


def _context(flash: bytes) -> UserContext:
    """Return a flash in memory that holds these bytes."""
    if len(flash) != _SIZE:
        raise ValueError(f"a file system of {len(flash):,} bytes, not {_SIZE:,}")
    context = UserContext(_SIZE)
    context.buffer[:] = flash
    return context


@contextmanager
def _mounted(context: UserContext) -> Iterator[LittleFS]:
    """Mount the file system in a flash; NoFiles if that can't be done. What fails in there is an OSError."""
    system = LittleFS(context=context, mount=False, **LITTLEFS)
    try:
        system.mount()
    except LittleFSError as error:
        raise NoFiles(f"no file system can be mounted: {error}") from None
    try:
        yield system
    except LittleFSError as error:
        raise OSError(-error.code, error.name) from None
    finally:
        system.unmount()
