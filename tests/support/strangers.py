"""What else can be at the end of a port: things that are no pens, on pseudo-terminals; and a simulated pen's channel.

None of them knows anything of the firmware. POSIX only, as pseudo-terminals are.
"""

import json
import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace

from pinprick.simulated import Registration

Answer = Callable[[bytes], bytes]
"""What it says to what it hears; b"" for nothing."""


class Stranger:
    """Something at a pseudo-terminal: it says `greeting` when something is first written or at once, then answers.

    `unasked` is said again and again, whoever listens. `heard` is all that was written to it.
    """

    def __init__(self, answer: Answer, greeting: bytes = b"", unasked: bytes = b"") -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self.heard = b""
        self._answer = answer
        self._unasked = unasked
        self._ended = threading.Event()
        self._say(greeting)
        self._thread = threading.Thread(target=self._run, name="stranger", daemon=True)
        self._thread.start()

    def _say(self, words: bytes) -> None:
        # What nobody reads is lost, as on a real line.
        with suppress(BlockingIOError):
            os.write(self._master, words)

    def _run(self) -> None:
        while not self._ended.is_set():
            if select.select([self._master], [], [], 0.02)[0]:
                data = os.read(self._master, 4096)
                self.heard += data
                self._say(self._answer(data))
            else:
                self._say(self._unasked)

    def close(self) -> None:
        """Take it away."""
        self._ended.set()
        self._thread.join(10)
        os.close(self._master)
        os.close(self._slave)


def _modem(data: bytes) -> bytes:
    lines = [line for line in data.replace(b"\n", b"\r").split(b"\r") if line.strip()]
    return b"".join(b"\r\nOK\r\n" if line.strip().upper() == b"AT" else b"\r\nERROR\r\n" for line in lines)


def _printer(data: bytes) -> bytes:
    lines = [line for line in data.split(b"\n") if line]
    return b"".join(b'echo:Unknown command: "%s"\nok\n' % line[:30] for line in lines)


_GPS = b"$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*62\r\n$GPGSV,1,1,00*79\r\n"
_MARLIN = b"start\necho:Marlin bugfix-2.1.x\necho: Last Updated: 2026-01-01 | Author: (none, default config)\n"
_REPL = b"\r\nMicroPython v1.28.0 on 2026-01-01; Raspberry Pi Pico with RP2040\r\n>>> "

STRANGERS: dict[str, Callable[[], Stranger]] = {
    "modem": lambda: Stranger(_modem),
    "gps": lambda: Stranger(lambda _: b"", unasked=_GPS),
    "marlin": lambda: Stranger(_printer, greeting=_MARLIN),
    "repl": lambda: Stranger(lambda data: data.replace(b"\n", b"\r\n") + b">>> ", greeting=_REPL),
    "echo": lambda: Stranger(lambda data: data),
}
"""Name -> what makes one that talks."""


@contextmanager
def stranger(kind: str) -> Iterator[Stranger]:
    """Give one of STRANGERS, or one that is silent, for the length of a with block."""
    made = Stranger(lambda _: b"") if kind == "silence" else STRANGERS[kind]()
    try:
        yield made
    finally:
        made.close()


def usb_port(device: str, vid: int | None = 0x2E8A, pid: int | None = 0x0005) -> SimpleNamespace:
    """Return a port as pyserial lists it; one of a pen, unless told otherwise."""
    return SimpleNamespace(device=device, vid=vid, pid=pid, description="Board in FS mode")


@contextmanager
def control_channel(
    serial: str, port: str, token: str = "secret", reply: Callable[[bytes], bytes] | None = None
) -> Iterator[Registration]:
    """Answer at a control channel as a simulated pen does, or with `reply` to each line; give its registration."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_answer_all, args=(listener, serial, port, token, reply), daemon=True)
    thread.start()
    try:
        yield Registration(serial, port, f"127.0.0.1:{listener.getsockname()[1]}", token, os.getpid())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _answer_all(
    listener: socket.socket, serial: str, port: str, token: str, reply: Callable[[bytes], bytes] | None
) -> None:
    while True:
        try:
            connected, _ = listener.accept()
        except OSError:
            return
        with connected, connected.makefile("rwb") as file:
            welcome = False
            for line in file:
                if reply is not None:
                    said = reply(line)
                elif not welcome:
                    welcome = json.loads(line) == {"token": token}
                    if not welcome:
                        break
                    said = json.dumps({"event": "hello", "serial": serial, "port": port}).encode() + b"\n"
                elif json.loads(line).get("do") == "oracle":
                    said = b'{"event":"done","do":"oracle","at_ms":7}\n'
                else:
                    said = b'{"event":"refused","problem":"there is no such command"}\n'
                with suppress(OSError):
                    file.write(said)
                    file.flush()
