"""The operator's stop: from the key or the signal to the byte on the wire, past everything else. Host only.

A signal's number is written into a pipe by the interpreter's own handler, whatever the main thread is at, and a thread
that waits at its other end stops the pen. So neither the drawing of a picture nor a request in flight nor a main thread
that waits for something stands between Ctrl-C and the pen.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pinprick.device import Pen
from pinprick.errors import PinprickError

UNCONFIRMED = "Nothing confirms the stop. Lift the pen off the skin and press its own stop button."
_JOIN_S = 6.0
"""Longest wait for a stop under way: a pen that doesn't answer is given up after about five seconds."""


class Stopper:
    """Stops `pen`, from any thread. `stopped` is told afterwards, in a thread of its own: whether a signal asked for
    it, and what went wrong, or None.

    `sent` is set once a stop is on its way, `by_signal` once Ctrl-C or the system asked for one, `ended` when the last
    one has been confirmed or given up; then `error` is what went wrong with it, or None.
    """

    def __init__(self, pen: Pen, stopped: Callable[[bool, PinprickError | None], None]) -> None:
        self._pen = pen
        self._stopped = stopped
        self.sent = threading.Event()
        self.by_signal = threading.Event()
        self.ended = threading.Event()
        self.error: PinprickError | None = None
        self._lock = threading.Lock()
        self._confirming = False

    def stop(self, by_signal: bool = False) -> None:
        """Send a stop byte, each time, and return; another thread waits for the pen to say that it has stopped."""
        with self._lock:
            # Nothing that holds the pen's port clears a stop: once confirmed it stays so.
            stopped = self.ended.is_set() and self.error is None
            first = not self._confirming and not stopped
            if first:
                self._confirming = True
                self.ended.clear()
        if by_signal:
            self.by_signal.set()
        try:
            if first:
                confirm = self._pen.begin_stop()
                threading.Thread(target=self._wait, args=(confirm,), name="stopped", daemon=True).start()
            else:
                self._pen.send_stop()
                if stopped:
                    self._stopped(self.by_signal.is_set(), None)
        except PinprickError as error:
            # Another one is waited for already, and comes to the same end.
            if first:
                self._end(error)
        finally:
            self.sent.set()

    def _wait(self, confirm: Callable[[], None]) -> None:
        try:
            confirm()
        except PinprickError as error:
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: PinprickError | None) -> None:
        with self._lock:
            self._confirming = False
            self.error = error
            self.ended.set()
        self._stopped(self.by_signal.is_set(), error)


def _signals() -> list[signal.Signals]:
    """Return the signals that stop the pen: Ctrl-C, the end of the process, the end of the terminal."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    found = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    # What is ignored already (nohup) stays so.
    return [number for number in found if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def stopping_on_signals(stopper: Stopper) -> Iterator[None]:
    """Have Ctrl-C and its like stop the pen until the block ends.

    Each one sends a stop. The first lets the main thread find its own end. Another one, once the stop was sent, ends
    whatever the main thread waits for as well, with a KeyboardInterrupt, which is raised once. Does nothing outside of
    the main thread, which alone gets signals. At the end a stop under way is waited for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = _signals()
    wake_in, wake_out = socket.socketpair()
    wake_out.setblocking(False)

    def follow() -> None:
        while data := wake_in.recv(64):
            for number in data:
                if number in wanted:
                    stopper.stop(by_signal=True)

    asked_for, raised = 0, False

    def asked(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked_for, raised
        asked_for += 1
        if asked_for > 1 and not raised and stopper.sent.is_set():
            raised = True
            raise KeyboardInterrupt

    thread = threading.Thread(target=follow, name="stop", daemon=True)
    thread.start()
    before_wake = signal.set_wakeup_fd(wake_out.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, asked) for number in wanted}
    try:
        yield
    finally:
        if stopper.by_signal.is_set():
            stopper.ended.wait(_JOIN_S)
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_wake)
        wake_out.close()
        thread.join(_JOIN_S)
        wake_in.close()
