"""A board in memory: what `pinprick.board.install` does to one, cut off wherever a test likes."""

import errno
from collections.abc import Iterable
from hashlib import sha256
from pathlib import PurePosixPath

from pinprick.board.install import About

RIGHT = About("1.28.0", "RPI_PICO", "Raspberry Pi Pico with RP2040")


class Unplugged(Exception):
    """The cable was pulled in the middle of an operation."""


class FakeBoard:
    """Implements `install.Board` as littlefs behaves: a write may leave a part of a file, a rename is done or not, and
    what is asked of a folder as of a file, or the other way round, is an OSError with littlefs's number. It is stricter
    than littlefs in one thing: that removes an empty folder as it does a file.

    `cut_at` is the number of the operation, counted from 0, in which the cable is pulled: a read or a rename is not
    done, or, with `late`, done; a write leaves half of the file, or all of it. `spoilt` are paths whose flash keeps
    something else than what was written.
    """

    def __init__(self, files: dict[str, bytes] | None = None, about: About = RIGHT) -> None:
        self.content = dict(files or {})
        self.dirs = {folder for path in self.content for folder in ancestors(path)}
        self.is_about = about
        self.done: list[tuple[str, str]] = []
        self.cut_at: int | None = None
        self.late = False
        self.spoilt: set[str] = set()
        self._number = 0

    def plug_in(self) -> None:
        """Go on after a cut, with the same flash."""
        self.cut_at = None
        self._number = 0
        self.done.clear()

    def _cut(self, what: str, path: str = "") -> bool:
        """Count an operation; return whether the cable is pulled in it, and raise when that is before it is done."""
        cut = self._number == self.cut_at
        self._number += 1
        if cut and not self.late:
            raise Unplugged
        self.done.append((what, path))
        return cut

    def _end(self, cut: bool) -> None:
        if cut:
            raise Unplugged

    def about(self) -> About:
        self._end(self._cut("about"))
        return self.is_about

    def start_anew(self) -> None:
        self._end(self._cut("start_anew"))

    def files(self) -> list[str]:
        self._end(self._cut("files"))
        return list(self.content)

    def folders(self) -> list[str]:
        self._end(self._cut("folders"))
        return sorted(self.dirs)

    def read(self, path: str) -> bytes:
        self._end(self._cut("read", path))
        return self._file(path)

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        wanted = list(paths)
        self._end(self._cut("digests", wanted[0] if wanted else ""))
        return {path: sha256(self._file(path)).hexdigest() for path in wanted}

    def make_folder(self, path: str) -> None:
        self._has_place(path)
        if path in self.dirs or path in self.content:
            raise OSError(errno.EEXIST, path)
        cut = self._cut("make_folder", path)
        self.dirs.add(path)
        self._end(cut)

    def write(self, path: str, data: bytes) -> None:
        self.check_open(path)
        try:
            cut = self._cut("write", path)
        except Unplugged:
            self.content[path] = data[: len(data) // 2]
            raise
        self.content[path] = data[:-1] + b"!" if path.removesuffix(".new") in self.spoilt else data
        self._end(cut)

    def append(self, path: str, data: bytes) -> None:
        self.check_open(path)
        cut = self._cut("append", path)
        self.content[path] = self.content.get(path, b"") + (
            data[:-1] + b"!" if path.removesuffix(".new") in self.spoilt else data
        )
        self._end(cut)

    def rename(self, old: str, new: str) -> None:
        data = self._file(old)
        self.check_open(new)
        cut = self._cut("rename", new)
        self.content[new] = data
        if new != old:
            del self.content[old]
        self._end(cut)

    def remove(self, path: str) -> None:
        self._file(path)
        cut = self._cut("remove", path)
        del self.content[path]
        self._end(cut)

    def remove_folder(self, path: str) -> None:
        if path not in self.dirs:
            raise OSError(errno.ENOTDIR if path in self.content else errno.ENOENT, path)
        if any(other.startswith(path + "/") for other in (*self.content, *self.dirs)):
            raise OSError(errno.ENOTEMPTY, path)
        cut = self._cut("remove_folder", path)
        self.dirs.remove(path)
        self._end(cut)

    def check_open(self, path: str) -> None:
        """Refuse to write a file in place of a folder, in a folder that isn't there, or in a file."""
        self._has_place(path)
        if path in self.dirs:
            raise OSError(errno.EISDIR, path)

    def _has_place(self, path: str) -> None:
        for folder in reversed(ancestors(path)):
            if folder in self.content:
                raise OSError(errno.ENOTDIR, path)
            if folder not in self.dirs:
                raise OSError(errno.ENOENT, path)

    def _file(self, path: str) -> bytes:
        """Return the bytes of a file that is there."""
        self.check_open(path)
        if path not in self.content:
            raise OSError(errno.ENOENT, path)
        return self.content[path]


def ancestors(path: str) -> list[str]:
    """Return the folders that `path` lies in, the innermost first."""
    return [folder.as_posix() for folder in PurePosixPath(path).parents][:-1]
