"""The pen's files, on the littlefs of the stock image: `Store` of the ports. Runs on the pen.

MicroPython's own calls, and three things of ours. A write is synced when it returns, because the file is closed by
then. After an error the file system is mounted anew before it is used again: what littlefs holds in memory may no
longer be what the flash holds. Nothing is ever formatted here: a file system that cannot be mounted is an OSError, and
the logic makes a fault of it.

Allocates a file object per call; nothing is called while strokes are made.
"""

import gc
import os

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any, Callable

_ENOENT = const(2)
_EIO = const(5)
_FILE = const(0x8000)
_ROOT = "/"


class FlashStore:
    """Files below the root. `mount_anew` unmounts the flash and mounts it again; it raises OSError when it can't."""

    def __init__(self, mount_anew: "Callable[[], None]") -> None:
        self._mount_anew = mount_anew
        self._distrusted = False

    # --- the port ----------------------------------------------------------------------------------------------------
    def names(self) -> "list[str]":
        """Return the names of all files, those of folders aside."""
        self._ready()
        found = []
        try:
            for entry in os.ilistdir(_ROOT):
                if entry[1] == _FILE:
                    found.append(entry[0])
        except OSError:
            self._distrusted = True
            raise
        return found

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; -1 when there is none of that name."""
        self._ready()
        try:
            return int(os.stat(_ROOT + name)[6])
        except OSError as error:
            if error.errno == _ENOENT:
                return -1
            self._distrusted = True
            raise

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`."""
        self._ready()
        try:
            with open(_ROOT + name, "rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError:
            self._distrusted = True
            raise

    def append(self, name: str, data: bytes) -> None:
        """Append `data` in one synced write; makes the file, and the folder it lies in."""
        folder = name.rfind("/")
        if folder > 0 and self.size(name) < 0 and self.size(name[:folder]) < 0:
            self._change(os.mkdir, _ROOT + name[:folder])
        self._ready()
        # At rest, and about to take its time anyway: so it needn't be done in the middle of the strokes that follow.
        gc.collect()
        try:
            with open(_ROOT + name, "ab") as file:
                if file.write(data) != len(data):
                    raise OSError(_EIO)
        except OSError:
            self._distrusted = True
            raise

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, in place of any file that had it."""
        self._change(os.rename, _ROOT + name, _ROOT + new_name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._change(os.remove, _ROOT + name)

    # --- inside ------------------------------------------------------------------------------------------------------
    def _change(self, act: "Callable[..., None]", *paths: str) -> None:
        self._ready()
        try:
            act(*paths)
        except OSError:
            self._distrusted = True
            raise

    def _ready(self) -> None:
        """Mount anew after an error; until that works, every call fails."""
        if self._distrusted:
            self._mount_anew()
            self._distrusted = False


def mount_flash_anew() -> None:
    """Mount the board's own flash as the stock image does, but never format it."""
    import rp2
    import vfs

    try:
        vfs.umount(_ROOT)
    except OSError:
        # It was not mounted any more: an earlier attempt got as far as this.
        pass
    # The stubs know a block device only as a class that Python code derives.
    flash: "Any" = rp2.Flash()
    lfs: "Any" = vfs.VfsLfs2
    vfs.mount(lfs(flash, progsize=256), _ROOT)
