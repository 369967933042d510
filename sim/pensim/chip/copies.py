"""Copies of a running emulated pen: a fork of this process, in which something is tried and from which the outcome
comes back. Host only, on systems that can fork.

A boot takes seconds, a copy milliseconds, and nothing that is done in one touches the pen it was made from: so a
hundred trials begin at the same cycle. One thread only, and nothing open that both would write to.
"""

import os
import pickle
import select
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

Outcome = TypeVar("Outcome")

_PIECE = 65_536


class CopyFailed(AssertionError):
    """What was tried in a copy raised; says what, and where."""


def in_copy(act: Callable[[], Outcome], timeout_s: float = 300.0) -> Outcome:
    """Return what `act` returns in a copy of this process; it must be picklable.

    Raises CopyFailed with the copy's traceback when `act` raises there, when the copy dies, or after `timeout_s`.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _try(act, writing)
    os.close(writing)
    try:
        said = _read_all(reading, time.monotonic() + timeout_s)
    except TimeoutError:
        os.kill(child, 9)
        raise CopyFailed(f"the copy was not done after {timeout_s:g} s") from None
    finally:
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if not said:
        raise CopyFailed(f"the copy died with status {os.waitstatus_to_exitcode(status)}")
    done, outcome = pickle.loads(said)  # from this program's own child
    if not done:
        raise CopyFailed(outcome)
    result: Outcome = outcome
    return result


def _try(act: Callable[[], object], writing: int) -> None:
    """Run `act` in the child, send what came of it, and be gone: nothing of the parent's is closed or flushed."""
    try:
        said = pickle.dumps((True, act()))
    except BaseException:  # noqa: BLE001  # a copy that ends in whatever way has to say so, and never to go on
        said = pickle.dumps((False, traceback.format_exc()))
    try:
        while said:
            said = said[os.write(writing, said) :]
    finally:
        os._exit(0)


def _read_all(source: int, until_s: float) -> bytes:
    """Return all that is written to a pipe; TimeoutError at `until_s`."""
    pieces: list[bytes] = []
    while True:
        if not select.select([source], [], [], max(0.0, until_s - time.monotonic()))[0]:
            raise TimeoutError
        piece = os.read(source, _PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
