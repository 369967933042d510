"""A virtual pen served in a thread of the test's process, at any end; tests hold the world, the hands and the host.

The world belongs to the serving thread: a test only reads plain values of it, and acts through the operator.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pencore.profile import Profile, Zone
from pensim.control import Control
from pensim.ends import End, PipeEnd, PtyEnd, TcpEnd
from pensim.oracle import ConsentRule, LeaseRule
from pensim.serve import PenServer
from pensim.world import World
from pinprick.cli.virtual_pen import Operator
from pinprick.device import Pen
from pinprick.link import PenRefused
from pinprick.transport import PipeTransport, SerialTransport, Transport
from tests.support.bench import BOOK
from tests.support.profiles import CHEEK, NOW, PERIORBITAL, ZoneSpec, make

ENDS: dict[str, Callable[[], End]] = {"pipe": PipeEnd, "pty": PtyEnd, "tcp": TcpEnd}
LONG_ZONES: tuple[ZoneSpec, ...] = ((PERIORBITAL, 1, 200, 5000, 20), (CHEEK, 2, 400, 100, 20))
"""A first zone of 250 s, for tests that want something to happen in the middle of it."""


class Served:
    """A pen, switched on, with a new cartridge, and everybody around it. Answers the Operator as a VirtualPen does."""

    def __init__(self, end: End, speed: float | None = None, control: Control | None = None, **world: Any) -> None:
        self.where = end.address
        self.world = World(book=BOOK, **world)
        self.world.oracle.watch_consent(ConsentRule())
        self.world.oracle.watch_lease(LeaseRule())
        self.world.power_on()
        self.world.run_ms(100)
        self.world.change_cartridge()
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.server = PenServer(self.world, end, self._answers.put, speed=speed, control=control)
        self.operator = Operator(self)
        self._end = end
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="served pen", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:
            self._failed = error
            raise

    def connect(self) -> Transport:
        """Open the pen's port."""
        return PipeTransport(self._end.connect()) if isinstance(self._end, PipeEnd) else SerialTransport(self.where)

    def send(self, command: dict[str, Any]) -> None:
        """Have the hands do something."""
        self.server.submit(command)

    def answer(self) -> dict[str, Any]:
        """Return what they say."""
        return self._answers.get(timeout=20)

    def stop(self) -> None:
        """End the serving; raises what ended it before."""
        self.server.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()
        if self._failed is not None:
            raise self._failed

    @property
    def state(self) -> int:
        """The pen's state, by the pen itself."""
        return self.world.runner.state

    def press(self) -> None:
        """Let go, and press so that it is a consent."""
        self.operator.begin("release")
        self.operator.do("press", 200)


@contextmanager
def served(
    end: End | str = "pipe", speed: float | None = None, control: Control | None = None, **world: Any
) -> Iterator[Served]:
    """Serve a pen at `end` (an End, or one of ENDS) for the length of a with block."""
    pen = Served(ENDS[end]() if isinstance(end, str) else end, speed, control, **world)
    try:
        yield pen
    finally:
        pen.stop()


def small(
    zones: tuple[ZoneSpec, ...] = ((PERIORBITAL, 1, 200, 60, 20), (CHEEK, 2, 400, 40, 20)), **fields: Any
) -> Profile:
    """Return a small profile, still to be filled in for a pen; `fields` change what they name."""
    greeting = {"session_id": fields.pop("session", 1), "serial": "", "ledger_head": "00" * 32}
    return make(greeting, zones, **fields)


def load(pen: Pen, profile: Profile | None = None, **options: Any) -> None:
    """Have `pen` accept `profile` (a small one, when left out) as of its own issue time."""
    profile = profile or small()
    pen.load(profile, issued_at=options.pop("issued_at", profile.issued_at or NOW), **options)


def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait, in real time, until `condition` holds; fail when it doesn't in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def refused(act: Callable[[], object]) -> PenRefused:
    """Do `act`, which the pen must refuse; return its refusal."""
    with pytest.raises(PenRefused) as caught:
        act()
    return caught.value


class Tampered:
    """A way to a pen that is worse than it should be; passes everything on but what a test changes."""

    def __init__(self, under: Transport) -> None:
        self.name = under.name
        self.under = under
        self.sent: list[bytes] = []
        self.on_write: Callable[[bytes], bytes | None] = lambda data: data
        self.on_read: Callable[[bytes], bytes] = lambda data: data

    def read(self, timeout_s: float) -> bytes:
        return self.on_read(self.under.read(timeout_s))

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        changed = self.on_write(data)
        if changed:
            self.under.write(changed)

    def close(self) -> None:
        self.under.close()


def deeper(profile: Profile, depth_um: int) -> Profile:
    """Return `profile` with its first zone and its limit at `depth_um`."""
    first = profile.zones[0]
    profile.zones[0] = Zone(first.area, first.side, depth_um, first.strokes, first.rate_per_s)
    profile.depth_um = max(profile.depth_um, depth_um)
    return profile
