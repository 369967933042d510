"""Goes on twice from one moment: a copy of this process tries something, and the process itself goes on as if nothing
had been. Host only; wants a system that can copy a process (`os.fork`).

It spares playing the way to that moment again for each thing that is tried there, and whatever the copy does, and be it
that it dies, is its own affair.
"""

import os
import pickle
import warnings
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

Answer = TypeVar("Answer")


class Lost(Exception):
    """The copy died before it had told anything."""


class Copy:
    """This process, after `split`, in the copy."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, answer: object) -> NoReturn:
        """Tell the process that this is a copy of, and end."""
        try:
            with os.fdopen(self._pipe, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            # Nothing else of this process shall happen twice: no handler at exit, no buffer written out.
            os._exit(0)


class Original:
    """This process, after `split`, as it was."""

    def __init__(self, process: int, pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    def answer(self) -> Any:
        """Wait for the copy's end and return what it has told; Lost."""
        with os.fdopen(self._pipe, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(self._process, 0)
        if not told:
            raise Lost(f"the copy died: exit code {os.waitstatus_to_exitcode(status)}")
        return pickle.loads(told)


def split() -> "Copy | Original":
    """Go on twice from here."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Newer Pythons warn of threads, whose locks a copy may find held; those of a test runner are none of ours.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process:
        os.close(writing)
        return Original(process, reading)
    os.close(reading)
    return Copy(writing)


def tried(act: Callable[[], Answer]) -> Answer:
    """Return what `act` returns in a copy of this process; raises Lost, or what `act` raises."""
    side = split()
    if isinstance(side, Copy):
        try:
            answer: tuple[Answer | None, BaseException | None] = act(), None
        except BaseException as raised:  # noqa: BLE001  # raised again by the original
            answer = None, raised
        side.tell(answer)
    value, error = side.answer()
    if error is not None:
        raise error
    result: Answer = value
    return result
