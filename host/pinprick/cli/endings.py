"""How a process that is told to end comes to its end: Ctrl-C and its like, from the first moment, each of them heard.

Host only. Imports nothing that takes time: what comes while the rest is imported ends the tool with a result as well.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_S = 0.05
"""How long after an exception that nobody could catch it is raised again."""
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Ended(KeyboardInterrupt):
    """The process was told to end.

    Of a class of its own because Python kills a process, whatever that returns, once a KeyboardInterrupt itself has
    passed through the exec of a text, as in the making of a dataclass.
    """


def _end(_number: int, _frame: FrameType | None) -> None:
    raise Ended


@contextmanager
def ended_by_signals(*, even_ignored: bool = False) -> Iterator[None]:
    """Have the signals that end a process raise Ended in the main thread until the block ends.

    What is ignored already (nohup, a script's `&`) stays so, unless `even_ignored`: then SIGINT and SIGTERM are heard
    all the same, for what serves others ends by nothing else. Whoever listens to signals within the block goes before
    this. One that comes where no exception gets through, in a finaliser or a callback from C, is raised again.
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
    again: list[threading.Timer] = []
    hook = sys.unraisablehook

    def lost(unraisable: "UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, Ended):
            hook(unraisable)
            return
        timer = threading.Timer(AGAIN_S, signal.raise_signal, (signal.SIGINT,))
        timer.daemon = True
        again.append(timer)
        timer.start()

    try:
        for number in before:
            signal.signal(number, _end)
        sys.unraisablehook = lost
        yield
    finally:
        for timer in again:
            timer.cancel()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
