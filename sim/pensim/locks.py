"""Locks on open files, which end with the process that holds them, however it ends. Host only."""

import sys
from typing import IO

_BEHIND = 1 << 30
"""Windows keeps everybody from the bytes that are locked, so the one it locks lies behind all that are there."""


def lock(file: IO[bytes]) -> bool:
    """Lock an open file for as long as it is open; return whether nobody else has it. Waits for nobody."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_BEHIND)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
