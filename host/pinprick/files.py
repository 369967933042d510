"""Files that are whole or not there, and reading ones that could be anything. Host only."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

# Without O_NONBLOCK the opening of a pipe waits for somebody who writes into it. Windows has neither, but text mode.
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)

_PART = 1024 * 1024
"""Most bytes asked for at once."""

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """What the name stands for is no file of its own bytes but a pipe, a socket or a device; `strerror` says which."""


class TooBig(OSError):
    """The file has more bytes than whoever reads it can use; `size` is how many, None where the system doesn't say."""

    def __init__(self, path: Path, most: int, size: int | None) -> None:
        has = f"more than {most:,}" if size is None else f"{size:,}"
        super().__init__(errno.EFBIG, f"it has {has} bytes", str(path))
        self.size = size


def read_bounded(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file of at most `most` bytes, or raise an OSError that has its `strerror`; never
    wait for a writer, and never read on without end.

    FileNotFoundError, IsADirectoryError, NotRegular, TooBig (nothing kept of it); any other for what the system refuses
    and for a name that no file can have.
    """
    return read_with_mode(path, most)[0]


def read_with_mode(path: Path, most: int) -> tuple[bytes, int]:
    """Return as `read_bounded`, and the mode (`st_mode`) of the very file that was read."""
    with _possible(path):
        # Looked at before it is opened: opening some devices already does something to them.
        _require_regular(path, path.stat().st_mode)
        # And by the descriptor afterwards, because the name may mean something else by then.
        descriptor = os.open(path, _READ_FLAGS)
    data = bytearray()
    try:
        found = os.fstat(descriptor)
        _require_regular(path, found.st_mode)
        if found.st_size > most:
            raise TooBig(path, most, found.st_size)
        while len(data) <= most and (part := os.read(descriptor, min(most + 1 - len(data), _PART))):
            data += part
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise TooBig(path, most, None)
    return bytes(data), found.st_mode


@contextlib.contextmanager
def _possible(path: Path) -> Iterator[None]:
    """Make an error of the system of a name that Python itself refuses: one with a NUL, or that can't be encoded."""
    try:
        yield
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have such a name ({error})", str(path)) from None


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = next((name for holds, name in _KINDS if holds(mode)), "something else")
        raise NotRegular(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def names_in(folder: Path) -> list[str]:
    """Return the names of what is in `folder`, in order; [] only when there is no such folder, an OSError that has its
    `strerror` whenever that can't be told.
    """
    try:
        with _possible(folder), os.scandir(folder) as found:
            return sorted(entry.name for entry in found)
    except FileNotFoundError:
        _require_absent(folder)
        return []


def is_there(path: Path) -> bool:
    """Return whether there is anything of this name, a link that leads nowhere included; OSError as `names_in`."""
    try:
        with _possible(path):
            path.lstat()
    except FileNotFoundError:
        _require_absent(path)
        return False
    return True


def _require_absent(path: Path) -> None:
    """Refuse to take for absent what lies behind a link that leads nowhere: to a drive that isn't mounted, say."""
    nearest = next((place for place in (path, *path.parents) if os.path.lexists(place)), None)
    if nearest is not None and not nearest.exists():
        raise NotADirectoryError(errno.ENOTDIR, f"the link {nearest} leads nowhere", str(path))


def file_name(text: str) -> str:
    """Return a name of one file or folder that stands for `text`, whatever that holds."""
    return quote(text, safe="").replace(".", "%2E")


def text_of(name: str) -> str:
    """Return the text that `file_name` made `name` of."""
    return unquote(name)


def write_whole(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file so that, whatever happens meanwhile, it is afterwards either whole or as it was; OSError.

    Its folder must be there. A `private` one can be read by its owner alone, where the system knows of owners.
    """
    descriptor, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if not private:
            # mkstemp's files are private; these get what any new file gets.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        # The name is in the folder, and the folder must reach the disk too. Not every file system can do that.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)
