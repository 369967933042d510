"""Ways from a host to a virtual pen: the same pen in a thread, and in a process behind pipe, PTY and TCP. Host only.

A thread shares the interpreter with the host that is measured, a process doesn't: the first is what a program has that
keeps its pen to itself, the other three are what `pinprick sim serve` has and differ in nothing but the way.
"""

import multiprocessing
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from typing import Any

from pensim.ends import End, PipeEnd, PtyEnd, TcpEnd
from pensim.flash import Snapshot
from pensim.hands import Answer
from pensim.oracle import ConsentRule, LeaseRule
from pensim.serve import PenServer
from pensim.world import World
from pinprick.transport import PipeTransport, SerialTransport, Transport

THREAD, PIPE, PTY, TCP = "thread", "pipe", "pty", "tcp"
WAYS = (THREAD, PIPE, PTY, TCP)
_ANSWER_S = 60.0
_END_S = 10.0
_IDLE_S = 0.01
"""A pseudo-terminal that nobody has open can only be looked at now and then."""


class NoPen(Exception):
    """A pen to be measured did not start, or ended early."""


class WayPen:
    """A served pen with a new cartridge, as `pinprick.cli.virtual_pen.Operator` wants it; one connection."""

    def __init__(self, where: str, transport: Transport | None, hands: "Connection[Any, Any]") -> None:
        self.where = where
        self._transport = transport
        self._hands = hands

    def connect(self) -> Transport:
        """Open the pen's port."""
        return SerialTransport(self.where) if self._transport is None else self._transport

    def send(self, command: Answer) -> None:
        """Have the hands do something."""
        self._hands.send(command)

    def answer(self) -> Answer:
        """Return what they say."""
        if not self._hands.poll(_ANSWER_S):
            raise NoPen("the virtual pen does not answer")
        said: Answer = self._hands.recv()
        return said


def pen_by(way: str, flash: Snapshot | None = None) -> AbstractContextManager[WayPen]:
    """Serve a pen by one of WAYS for the length of a with block; `flash`: with this memory, not a new one."""
    return _started(way, _serve, flash)


def echo_by(way: str) -> AbstractContextManager[WayPen]:
    """Serve, instead of a pen, something that gives back every byte: what the way alone takes."""
    return _started(way, _echo, None)


@contextmanager
def _started(way: str, serve: "Serve", flash: Snapshot | None) -> Iterator[WayPen]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (way, theirs, flash)
    server: threading.Thread | multiprocessing.process.BaseProcess
    if way == THREAD:
        server = threading.Thread(target=serve, args=arguments, name="virtual pen", daemon=True)
        server.start()
    else:
        server = context.Process(target=serve, args=arguments, name="virtual pen", daemon=True)
        server.start()
        theirs.close()
    host = None
    try:
        made = WayPen("", None, ours)
        told = made.answer()
        host = told["host"]
        yield WayPen(told["port"], None if host is None else PipeTransport(host, way), ours)
    finally:
        if host is not None:
            host.close()
        ours.close()
        server.join(_END_S)


Serve = Callable[[str, "Connection[Any, Any]", Snapshot | None], None]


def _made_end(way: str, hands: "Connection[Any, Any]") -> End:
    """Return the pen's end of a way, and hand the host its own, where it can't be opened by name."""
    if way in (TCP, PTY):
        named = TcpEnd() if way == TCP else PtyEnd()
        hands.send({"port": named.address, "host": None})
        return named
    end = PipeEnd()
    with end.connect() as host:
        hands.send({"port": way, "host": host})
    return end


def _serve(way: str, hands: "Connection[Any, Any]", flash: Snapshot | None) -> None:
    """Serve a pen until the other end of `hands` is closed."""
    world = World(flash=flash)
    world.oracle.watch_consent(ConsentRule())
    world.oracle.watch_lease(LeaseRule())
    world.power_on()
    world.change_cartridge()
    server = PenServer(world, _made_end(way, hands), hands.send)

    def listen() -> None:
        try:
            while True:
                server.submit(hands.recv())
        except (EOFError, OSError):
            server.stop()

    listener = threading.Thread(target=listen, name="hands", daemon=True)
    listener.start()
    server.run()
    listener.join(_END_S)
    hands.close()


def _echo(way: str, hands: "Connection[Any, Any]", _: Snapshot | None) -> None:
    """Give back every byte until the other end of `hands` is closed."""
    end = _made_end(way, hands)
    while True:
        ready = select.select([hands.fileno(), *end.watched()], [], [], _IDLE_S)[0]
        if hands.fileno() in ready:
            break
        end.send(end.receive())
    end.close()
    hands.close()
