"""An emulated pen at a TCP port of this computer, so that a tool made for real ports can talk to it.

One thread turns the chip, everything that is done to the pen is done there, between two milliseconds of its time.
"""

import queue
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.chip.bench import ChipBench

_WAIT_S = 120.0


class WiredBoard:
    """A pen, served from `with` to its end; one host at a time, whose connection ends when the port vanishes."""

    def __init__(self, pen: ChipBench) -> None:
        self._pen = pen
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self.port = f"socket://127.0.0.1:{self._listening.getsockname()[1]}"
        self._acts: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="wired board")
        self._host: socket.socket | None = None
        self._failed: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_WAIT_S)
        self._hang_up()
        self._listening.close()
        if self._failed is not None:
            raise self._failed

    def do(self, act: Callable[[], None]) -> None:
        """Do something to the pen, and wait until it is done."""
        done = threading.Event()

        def acted() -> None:
            act()
            done.set()

        self._acts.put(acted)
        assert done.wait(_WAIT_S), "the pen's thread has ended"

    def _serve(self) -> None:
        try:
            while not self._ended.is_set():
                self._turn()
        except Exception as error:  # noqa: BLE001  # raised again where the test is
            self._failed = error

    def _turn(self) -> None:
        """Let a millisecond pass."""
        while not self._acts.empty():
            self._acts.get()()
        pen = self._pen
        self._meet()
        if self._host is not None and not pen.usb_host.present:
            self._hang_up()
        pen.run_ms(1)
        said = pen.host.receive()
        if self._host is None:
            if pen.powered:
                return
            self._ended.wait(0.01)
            return
        try:
            if said:
                self._host.setblocking(True)
                self._host.sendall(said)
                self._host.setblocking(False)
            data = self._host.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            pen.host.send(data)
        else:
            self._hang_up()

    def _meet(self) -> None:
        """Take a host that waits, if there is a port for it."""
        if self._host is None and self._pen.usb_host.connected:
            try:
                self._host, _ = self._listening.accept()
            except BlockingIOError:
                return
            self._host.setblocking(False)

    def _hang_up(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None
