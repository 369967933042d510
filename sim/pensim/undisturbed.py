"""Signals held back while C code calls back into Python, as littlefs does. Host only.

What a signal's handler raises in such a callback is lost, and what the callback was to fill stays as it was: the file
system would go on with garbage, and write it.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back the signals that end a process until the block ends, and let each one be heard then.

    Only those whose handler is Python's, and only in the main thread, which alone runs handlers. Blocks may be nested.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    with ExitStack() as stack:
        # Left last: the handlers are back.
        stack.callback(_hear, came)
        for number in (signal.Signals[name] for name in _ENDING if name in signal.Signals.__members__):
            handler = signal.getsignal(number)
            if callable(handler):
                stack.callback(signal.signal, number, handler)
                signal.signal(number, lambda number, _frame: came.append(number))
        yield


def _hear(came: list[int]) -> None:
    for number in dict.fromkeys(came):
        signal.raise_signal(number)
