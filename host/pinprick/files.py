"""Files that are whole or not there, and reading ones that could be anything. Host only."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from string import ascii_letters
from urllib.parse import quote, unquote

# Without O_NONBLOCK the opening of a pipe waits for somebody who writes into it. Windows has neither, but text mode.
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)

_PART = 1024 * 1024
"""Most bytes asked for at once."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What file systems say that give a file one name only."""
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF)
"""What file systems say whose folders can't be synced."""

UNFINISHED = ".part"
"""How the name of a file ends that nobody has come to the end of writing."""

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


def folder_name(parent: Path, prefix: str, text: str) -> str:
    """Return the name of the folder below `parent` that stands for `text`; OSError when it can't be told what is there.

    It is `prefix` and `file_name(text)`, unless another one is there that differs from it in case alone: many file
    systems take the two for one. Then every letter is spelt by its number, which no case changes.
    """
    plain = prefix + file_name(text)
    there = names_in(parent)
    if plain in there:
        return plain
    spelt = prefix + "".join(f"%{ord(sign):02X}" if sign in ascii_letters else file_name(sign) for sign in text)
    if spelt in there or plain.casefold() in map(str.casefold, there):
        return spelt
    return plain


class Staged:
    """A file that is written, and on the disk, under a name of no meaning: `keep` or `replace` gives it its own.

    Its folder must be there. A `private` one can be read by its owner alone, where the system knows of owners. OSError
    leaves nothing behind; a program that ends before `keep`, or the computer, leaves a file of a name that ends in
    UNFINISHED.
    """

    def __init__(self, path: Path, data: bytes, *, private: bool = False) -> None:
        self.path = path
        descriptor, name = tempfile.mkstemp(prefix=path.name, suffix=UNFINISHED, dir=path.parent)
        self._temporary = Path(name)
        try:
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if not private:
                # mkstemp's files are private; these get what any new file gets.
                mask = os.umask(0)
                os.umask(mask)
                self._temporary.chmod(0o666 & ~mask)
        except BaseException:
            self.drop()
            raise

    def replace(self) -> None:
        """Give it its name, in place of any file that had it; OSError leaves nothing behind. It is on the disk once
        `sync_folder` was there.
        """
        try:
            self._temporary.replace(self.path)
        except BaseException:
            self.drop()
            raise

    def keep(self) -> None:
        """Give it its name, FileExistsError if there is anything of that name, be it since a moment ago. It is on the
        disk once `sync_folder` was there.
        """
        if os.name == "nt":
            # Replaces nothing there.
            self._temporary.rename(self.path)
            return
        try:
            self.path.hardlink_to(self._temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A memory stick's file system knows no second name, and then there is nothing that does it in one.
            if is_there(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path)) from None
            self.replace()
        else:
            self.drop()

    def drop(self) -> None:
        """Take away the name of no meaning; once it is gone nothing happens."""
        self._temporary.unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, all with rights for their owner alone, where the system knows
    of owners; one that is there stays as it is. OSError.
    """
    try:
        with _possible(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_new(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write as `write_whole` a file that isn't there yet; FileExistsError, with nothing changed, for one that is."""
    staged = Staged(path, data, private=private)
    try:
        staged.keep()
    finally:
        staged.drop()
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file so that, whatever happens meanwhile, it is afterwards either whole or as it was; OSError, also when
    it is there and can't be told to be on the disk.

    Its folder must be there. A `private` one can be read by its owner alone, where the system knows of owners.
    """
    Staged(path, data, private=private).replace()
    sync_folder(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Write a file as `write_whole` does, for its owner alone, in a folder that is made when there is none; OSError."""
    make_private(path.parent)
    write_whole(path, data, private=True)


def sync_file(path: Path) -> None:
    """Have what a file holds reach the disk, whoever wrote it; OSError."""
    _sync(path)


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` reach the disk; OSError. One that can't be asked to does it in its own time."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_way(folder: Path) -> None:
    """Have the names that lead to `folder` reach the disk, each of which may be new; OSError."""
    for place in folder.absolute().parents:
        try:
            sync_folder(place)
        except PermissionError:
            if os.access(place, os.W_OK):
                raise
            # Who may not write into it has made nothing there.
            return


def _sync(path: Path) -> None:
    # Elsewhere it takes the right to write; the file systems there keep names with the files.
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
