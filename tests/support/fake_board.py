"""A board in memory: what `pinprick.board.install` does to one, cut off wherever a test likes."""

from collections.abc import Iterable
from hashlib import sha256

from pinprick.board.install import About

RIGHT = About("1.28.0", "RPI_PICO", "Raspberry Pi Pico with RP2040")


class Unplugged(Exception):
    """The cable was pulled in the middle of an operation."""


class FakeBoard:
    """Implements `install.Board` as littlefs behaves: a write may leave a part of a file, a rename is done or not.

    `cut_at` is the number of the operation, counted from 0, in which the cable is pulled: a read or a rename is not
    done, or, with `late`, done; a write leaves half of the file, or all of it. `spoilt` are paths whose flash keeps
    something else than what was written.
    """

    def __init__(self, files: dict[str, bytes] | None = None, about: About = RIGHT) -> None:
        self.content = dict(files or {})
        self.dirs = {path.rpartition("/")[0] for path in self.content} - {""}
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

    def files(self) -> list[str]:
        self._end(self._cut("files"))
        return list(self.content)

    def folders(self) -> list[str]:
        self._end(self._cut("folders"))
        return sorted(self.dirs)

    def read(self, path: str) -> bytes:
        self._end(self._cut("read", path))
        return self.content[path]

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        wanted = list(paths)
        self._end(self._cut("digests", wanted[0] if wanted else ""))
        return {path: sha256(self.content[path]).hexdigest() for path in wanted}

    def make_folder(self, path: str) -> None:
        assert path not in self.dirs
        cut = self._cut("make_folder", path)
        self.dirs.add(path)
        self._end(cut)

    def write(self, path: str, data: bytes) -> None:
        folder = path.rpartition("/")[0]
        assert not folder or folder in self.dirs
        try:
            cut = self._cut("write", path)
        except Unplugged:
            self.content[path] = data[: len(data) // 2]
            raise
        self.content[path] = data[:-1] + b"!" if path.removesuffix(".new") in self.spoilt else data
        self._end(cut)

    def rename(self, old: str, new: str) -> None:
        cut = self._cut("rename", new)
        self.content[new] = self.content.pop(old)
        self._end(cut)

    def remove(self, path: str) -> None:
        cut = self._cut("remove", path)
        del self.content[path]
        self._end(cut)

    def remove_folder(self, path: str) -> None:
        cut = self._cut("remove_folder", path)
        assert not any(other.startswith(path + "/") for other in (*self.content, *self.dirs))
        self.dirs.remove(path)
        self._end(cut)
