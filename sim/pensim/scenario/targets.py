"""What a scenario runs against: bytes both ways, hands, and time. Host only.

In this process a virtual pen is exact and the same every time. One that is served keeps a clock of its own: at work it
runs as fast as it can, so a scenario for both leaves room in its numbers. A board has no hands and no oracle.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pensim import hands
from pensim.clock import TICKS_PER_MS
from pensim.faults import Fault, fault
from pensim.faults.people import LaptopClockWrong
from pensim.flash import FlashDevice, FlashImage, SimStore
from pensim.oracle import ConsentRule, LeaseRule
from pensim.scenario.acts import FAULTS, FILES, HANDS, ORACLE
from pensim.scenario.model import Scenario, provisioning
from pensim.stroke import StrokeBook
from pensim.world import World

_ANSWER_S = 0.5
"""How long, in real time, a served pen's clock waits for what is on its way: the pen's time runs much faster."""
_LOOK_S = 0.02
CHANGE_MS = 300
"""How long the cartridge holder stays open when the cartridge is changed."""


class Lacks(Exception):
    """The target has not got what a scenario needs; `first` says what needs it."""

    def __init__(self, need: str, first: str) -> None:
        super().__init__(f"{need}: {first}")
        self.need = need
        self.first = first


class Port(Protocol):
    """A way to a pen, as `pinprick.transport` has them; ConnectionError when it is lost."""

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived, b"" for nothing in `timeout_s`."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def close(self) -> None:
        """Let go of it."""


class Target(Protocol):
    """A pen and what can be done to it; `offers` names what it has of hands, oracle and files."""

    name: str
    offers: frozenset[str]
    fresh: bool
    """Whether the pen was made for this scenario, just as its `[pen]` says."""
    grain_ms: int
    """Longest time that may pass unseen while something is waited for."""
    reading: bool
    """Whether the host takes what the pen says."""

    @property
    def clock_off_s(self) -> int:
        """By how many seconds the clock of the host's computer is wrong."""

    def now_ms(self) -> int:
        """Return the pen's time."""

    def moves(self, says_so: bool) -> bool:
        """Return whether the pen is in motion; `says_so`: the last state it told of is one of motion."""

    def advance(self, ms: int) -> None:
        """Let up to `ms` (1 at least) pass; return earlier when something happens."""

    def send(self, data: bytes) -> None:
        """Send bytes to the pen; with the cable out they are gone."""

    def receive(self) -> bytes:
        """Return what the pen has said."""

    def do(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have hands do something; Lacks where there are none."""

    def plug(self, plugged: bool) -> None:
        """Pull the cable or put it back."""

    def tamper(self, file: str, change: Callable[[bytes], bytes | None]) -> None:
        """Replace a file on the flash of a pen without power by what `change` makes of it; None removes it."""

    def takes(self, done: Fault) -> bool:
        """Return whether a fault can be done to it."""

    def close(self) -> None:
        """Let go of everything."""


class InProcess:
    """A virtual pen in this process, made as the scenario's `[pen]` says; `book` may be shared by many."""

    grain_ms = 20
    fresh = True

    def __init__(self, scenario: Scenario, seed: int | None = None, book: StrokeBook | None = None) -> None:
        self.name = "inproc"
        self.offers = frozenset((HANDS, ORACLE, FILES))
        pen = scenario.pen
        self.world = World(
            seed=pen.get("seed", 0) if seed is None else seed,
            setup=provisioning(pen),
            blank=pen.get("provisioned") is False,
            strict=False,
            book=book,
        )
        self.world.oracle.watch_consent(ConsentRule())
        self.world.oracle.watch_lease(LeaseRule())
        if pen.get("powered", True):
            self.world.power_on()
            self.world.run_ms(100)

    @property
    def reading(self) -> bool:
        """Whether the host takes what the pen says."""
        return self.world.host.reading

    @reading.setter
    def reading(self, reading: bool) -> None:
        self.world.host.reading = reading

    @property
    def clock_off_s(self) -> int:
        """By how much the clock of the host's computer is wrong."""
        return self.world.host.clock_off_s

    def now_ms(self) -> int:
        """Return the virtual time."""
        return self.world.clock.now // TICKS_PER_MS

    def moves(self, says_so: bool) -> bool:
        """Believe what it says."""
        return says_so

    def advance(self, ms: int) -> None:
        """Go on to the next event, at most `ms`."""
        self.world.step(ms)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.world.host.send(data)

    def receive(self) -> bytes:
        """Return what the pen has said, unless nobody reads."""
        return self.world.host.receive() if self.reading else b""

    def do(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have hands do something now."""
        return hands.carry_out(self.world, command)

    def plug(self, plugged: bool) -> None:
        """Pull the cable or put it back."""
        if plugged:
            self.world.host.plug()
        else:
            self.world.host.unplug()

    def tamper(self, file: str, change: Callable[[bytes], bytes | None]) -> None:
        """Replace a file; ValueError while the pen has power, OSError where its file system says no."""
        tampered(self.world, file, change)

    def takes(self, done: Fault) -> bool:  # noqa: ARG002  # the target's form
        """Return True: it takes all of them."""
        return True

    def close(self) -> None:
        """Cut the power: nobody looks at this pen again."""
        self.world.power_cut()


class Served:
    """A virtual pen in another process: its port and the hands at its control channel.

    `connect` opens the port anew, and raises ConnectionError when it can't; `release` lets go of the hands.
    """

    grain_ms = 10
    fresh = False

    def __init__(
        self,
        name: str,
        port: Port,
        connect: Callable[[], Port],
        act: Callable[[dict[str, Any]], dict[str, Any]],
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.offers = frozenset((HANDS, ORACLE))
        self.clock_off_s = 0
        self._release = release
        self.reading = True
        self._connect = connect
        self._act = act
        self._now_ms = 0
        self._pulled = False
        self._heard = b""
        self._wait_until_s = 0.0
        self._port: Port | None = port
        self.do({"do": "wait"})

    def now_ms(self) -> int:
        """Return the pen's time when it was last heard."""
        return self._now_ms

    def moves(self, says_so: bool) -> bool:
        """Believe what it says."""
        return says_so

    def advance(self, ms: int) -> None:
        """Let `ms` of the pen's time pass, once what was sent last has had the time to be answered."""
        while self.reading and self._port is not None and time.monotonic() < self._wait_until_s:
            self._hear(_LOOK_S)
        self.do({"do": "wait", "after_ms": ms})

    def send(self, data: bytes) -> None:
        """Send bytes; a port that broke off by itself is opened anew."""
        try:
            if self._port is None and not self._pulled:
                self._port = self._connect()
            if self._port is not None:
                self._port.write(data)
                self._wait_until_s = time.monotonic() + _ANSWER_S
        except ConnectionError:
            self._let_go()

    def receive(self) -> bytes:
        """Return what the pen has said, unless nobody reads."""
        if self._port is not None and self.reading:
            self._hear(0)
        heard, self._heard = self._heard, b""
        return heard

    def _hear(self, timeout_s: float) -> None:
        try:
            data = b"" if self._port is None else self._port.read(timeout_s)
        except ConnectionError:
            self._let_go()
            return
        if data:
            self._heard += data
            self._wait_until_s = 0.0

    def do(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have hands do something now, and wait until it is done."""
        answer = self._act(dict(command))
        self._now_ms = int(answer.get("at_ms", self._now_ms))
        if command.get("name") == LaptopClockWrong.NAME:
            # The computer whose clock it is, is this one: nothing of the pen's.
            self.clock_off_s = int(answer["parameters"]["by_s"]) if "parameters" in answer else 0
        return answer

    def plug(self, plugged: bool) -> None:
        """Close the port or open it again."""
        self._pulled = not plugged
        if not plugged:
            self._let_go()
        elif self._port is None:
            self._port = self._connect()

    def _let_go(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def tamper(self, file: str, change: Callable[[bytes], bytes | None]) -> None:  # noqa: ARG002  # the target's form
        """Nobody can, from here."""
        raise Lacks(FILES, f"tamper {file}")

    def takes(self, done: Fault) -> bool:  # noqa: ARG002  # the target's form
        """Return True: what it doesn't take it refuses."""
        return True

    def close(self) -> None:
        """Let go of the port and of the hands."""
        self.plug(False)
        self._release()


class Board:
    """A pen of which only the port is known: time is real, and nobody but the host does anything to it."""

    grain_ms = 10
    fresh = False

    def __init__(self, name: str, port: Port, connect: Callable[[], Port]) -> None:
        self.name = name
        self.offers: frozenset[str] = frozenset()
        self.clock_off_s = 0
        self.reading = True
        self._connect = connect
        self._port: Port | None = port
        self._begun_s = time.monotonic()
        self._heard = b""

    def now_ms(self) -> int:
        """Return the real time since the connection."""
        return int((time.monotonic() - self._begun_s) * 1000)

    def moves(self, says_so: bool) -> bool:
        """Believe what it says."""
        return says_so

    def advance(self, ms: int) -> None:
        """Wait for a word, at most `ms`."""
        if self._port is None or not self.reading:
            time.sleep(ms / 1000)
            return
        try:
            self._heard += self._port.read(ms / 1000)
        except ConnectionError:
            self.plug(False)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self._port is not None:
            try:
                self._port.write(data)
            except ConnectionError:
                self.plug(False)

    def receive(self) -> bytes:
        """Return what the pen has said."""
        heard, self._heard = self._heard, b""
        return heard

    def do(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        """Nobody has a hand on it."""
        raise Lacks(HANDS, str(command.get("do")))

    def plug(self, plugged: bool) -> None:
        """Close the port or open it again."""
        if not plugged and self._port is not None:
            self._port.close()
            self._port = None
        elif plugged and self._port is None:
            self._port = self._connect()

    def tamper(self, file: str, change: Callable[[bytes], bytes | None]) -> None:  # noqa: ARG002  # the target's form
        """Nobody can, from here."""
        raise Lacks(FILES, f"tamper {file}")

    def takes(self, done: Fault) -> bool:  # noqa: ARG002  # the target's form
        """Return False: nobody has a hand on it."""
        return False

    def close(self) -> None:
        """Let go of the port."""
        self.plug(False)


class Opened(Protocol):
    """A pen whose flash somebody can get at, if it has no power."""

    @property
    def powered(self) -> bool:
        """Whether it has power."""

    @property
    def image(self) -> FlashImage:
        """What its flash holds."""


def tampered(pen: Opened, file: str, change: Callable[[bytes], bytes | None]) -> None:
    """Replace a file on a pen's flash by what `change` makes of it; None removes it.

    ValueError while the pen has power, OSError where its file system says no.
    """
    if pen.powered:
        raise ValueError("the pen has power: nobody gets at its flash")
    store = SimStore(FlashDevice(pen.image))
    try:
        size = store.size(file)
        data = change(store.read(file, 0, size) if size > 0 else b"")
        if size >= 0:
            store.remove(file)
        if data is not None:
            store.append(file, data)
    finally:
        store.close()


def needed(scenario: Scenario, target: Target) -> None:
    """Raise Lacks for the first thing that the scenario needs and the target has not got."""
    for need, first in scenario.needs.items():
        if need not in target.offers:
            raise Lacks(need, first)
    for act in scenario.faults:
        if act.do in FAULTS and not target.takes(fault(act.do, **act.keys)):
            raise Lacks("a fault that can be done to it", str(act))
