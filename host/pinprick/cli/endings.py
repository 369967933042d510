"""How a process that is told to end comes to its end: Ctrl-C and its like, from the first moment, each of them heard.

Host only. Imports nothing that takes time: what comes while the rest is imported ends the tool with a result as well.
What was heard waits before `heed` opens the ears, during an import, and from `see_through` on: so no module is left
half made, and no result told that isn't the end.
"""

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from sys import UnraisableHookArgs
    from types import FrameType
    from typing import Any

AGAIN_S = 0.05
"""How long after an exception that nobody could catch, or that an import kept waiting, it is raised again."""
SAME_S = 0.25
"""What comes so soon after it was heard wants the same and changes nothing: the tool is on its way to its end."""
_IMPORT_MOST_S = 2.0
"""How long an import is let go on."""
_LAST_S = 20.0
"""How long a tool that was told to end may go on with what it sees through: twice what a pen's answer may take."""
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_IMPORTING = "<frozen importlib._bootstrap>"


class Ended(KeyboardInterrupt):
    """The process was told to end.

    Of a class of its own because Python kills a process, whatever that returns, once a KeyboardInterrupt itself has
    passed through the exec of a text, as in the making of a dataclass.
    """


class _Ears:
    """What was heard within one `ended_by_signals`; `told` is whether Ended was raised for it."""

    def __init__(self) -> None:
        self.told = False
        self._open = False
        self._through = False
        self._owed_since: float | None = None
        self._raised_at = -SAME_S
        self._number: int = signal.SIGINT
        self._timers: list[threading.Timer] = []
        self._lock = threading.Lock()

    def hear(self, number: int, frame: "FrameType | None") -> None:
        """Raise Ended, now or as soon as it may be; the handler of a signal."""
        now = time.monotonic()
        if self._through:
            self._later(_LAST_S, os._exit, 1)
            return
        if now - self._raised_at < SAME_S:
            return
        self._number = number
        if self._owed_since is None:
            self._owed_since = now
        if not self._open:
            return
        if _imports(frame) and now - self._owed_since < _IMPORT_MOST_S:
            self._later(AGAIN_S, self._repeat)
            return
        self._raise()

    def heed(self) -> None:
        """Hear from now on, and raise Ended for what was heard already."""
        self._open = True
        if self._owed_since is not None and not self._through:
            self._raise()

    def see_through(self) -> None:
        """Raise no more."""
        self._through = True

    def lost(self) -> None:
        """Know that nobody could catch what was raised."""
        self._raised_at = -SAME_S
        self._later(AGAIN_S, self._repeat)

    def close(self) -> None:
        """Leave no timer behind."""
        self._through = True
        with self._lock:
            for timer in self._timers:
                timer.cancel()

    def _raise(self) -> None:
        self.told = True
        self._raised_at = time.monotonic()
        self._owed_since = None
        raise Ended

    def _later(self, seconds: float, act: "Callable[..., None]", *arguments: int) -> None:
        timer = threading.Timer(seconds, act, arguments)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _repeat(self) -> None:
        with self._lock:
            if self._through:
                return
            if sys.platform == "win32":
                signal.raise_signal(self._number)
            else:
                # To the thread that is meant: it may be waiting for something.
                signal.pthread_kill(threading.main_thread().ident or 0, self._number)


def _imports(frame: "FrameType | None") -> bool:
    """Return whether `frame` is within an import."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


_ears: list[_Ears] = []
"""Those of each `ended_by_signals` under way, the innermost last."""


def heed() -> None:
    """Raise Ended if the process was told to end and that had to wait: before anything is begun."""
    if _ears:
        _ears[-1].heed()


def see_through() -> None:
    """Let nothing that is heard from here on end the process: what it says next is true, and so is its exit code.

    For what is short and ends by itself; whoever was told to end meanwhile is gone within 20 seconds all the same.
    """
    if _ears:
        _ears[-1].see_through()


def told_to_end() -> bool:
    """Return whether Ended was raised: what fails afterwards may have failed by that."""
    return bool(_ears) and _ears[-1].told


@contextmanager
def ended_by_signals(*, even_ignored: bool = False, at_heed: bool = False, for_good: bool = False) -> "Iterator[None]":
    """Have the signals that end a process raise Ended in the main thread until the block ends.

    What is ignored already (nohup, a script's `&`) stays so, unless `even_ignored`: then SIGINT and SIGTERM are heard
    all the same, for what serves others ends by nothing else. Whoever listens to signals within the block goes before
    this. One that comes where no exception gets through, in a finaliser or a callback from C, is raised again.
    With `at_heed` nothing is raised before the first `heed`. With `for_good` the process is at its end after the block,
    and ignores them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    named = [signal.Signals[name] for name in _ENDING if name in signal.Signals.__members__]
    taken = [signal.SIG_DFL, signal.default_int_handler]
    before: dict[signal.Signals, Any] = {}
    for number in named:
        handler = signal.getsignal(number)
        unheard = even_ignored and handler is signal.SIG_IGN and number in (signal.SIGINT, signal.SIGTERM)
        if handler in taken or unheard:
            before[number] = handler
    ears = _Ears()
    hook = sys.unraisablehook

    def lost(unraisable: "UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, Ended):
            ears.lost()
        else:
            hook(unraisable)

    _ears.append(ears)
    try:
        for number in before:
            signal.signal(number, ears.hear)
        sys.unraisablehook = lost
        if not at_heed:
            ears.heed()
        yield
    finally:
        ears.close()
        sys.unraisablehook = hook
        for number, handler in before.items():
            # A handler of Python's would be taken away before the end of all, and the process be killed after all.
            signal.signal(number, signal.SIG_IGN if for_good else handler)
        # What came while they were given back.
        ears.close()
        _ears.remove(ears)
