"""Faults of the cable between host and pen, of its bytes and its lines, and of the hosts at its end. Host only."""

from dataclasses import dataclass
from typing import ClassVar

from pensim import supply, tap
from pensim.bench import Bench
from pensim.faults.core import MANY, Fault, choice, drawn_from, flag, lasting, whole

TO_PEN, TO_HOST, BOTH = "to-pen", "to-host", "both"
_WAYS = (TO_PEN, TO_HOST, BOTH)
LINE, BYTE = "line", "byte"
_LINE_MOST = 1024


@dataclass(frozen=True)
class _OnTheWay:
    """Something happens to bytes on their way; it can be taken off."""

    NAME: ClassVar[str]
    way: str = choice(TO_PEN, _WAYS, "which way: to the pen, to the host, or both")
    after: int = whole(0, 0, MANY, "how many pass before", (0, 6))
    count: int = whole(1, 1, MANY, "to how many it is done", (1, 4))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        ends = bench.host.tap
        for way, wanted in ((ends.to_pen, self.way != TO_HOST), (ends.to_host, self.way != TO_PEN)):
            way.take_off(self.NAME)
            if wanted:
                way.put(self.NAME, self.effect())

    def mend(self, bench: Bench) -> None:
        """Let all pass again."""
        ends = bench.host.tap
        ends.to_pen.take_off(self.NAME)
        ends.to_host.take_off(self.NAME)

    def effect(self) -> tap.Effect:
        """Return what happens to the bytes of one way."""
        raise NotImplementedError


@dataclass(frozen=True)
class WireDrop(_OnTheWay):
    """Lines, or single bytes, are lost on their way."""

    NAME: ClassVar[str] = "wire-drop"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"way": TO_PEN, "count": 2}, {"way": TO_HOST, "count": 2})
    unit: str = choice(LINE, (LINE, BYTE), "what is counted and lost")

    def effect(self) -> tap.Effect:
        """Return what happens to the bytes of one way."""
        made = tap.LinesDropped if self.unit == LINE else tap.BytesDropped
        return made(self.after, self.count)


@dataclass(frozen=True)
class WireDuplicate(_OnTheWay):
    """Lines come twice."""

    NAME: ClassVar[str] = "wire-duplicate"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"way": BOTH, "count": 2},)

    def effect(self) -> tap.Effect:
        """Return what happens to the bytes of one way."""
        return tap.LinesDoubled(self.after, self.count)


@dataclass(frozen=True)
class WireReorder(_OnTheWay):
    """Lines come behind the ones that follow them."""

    NAME: ClassVar[str] = "wire-reorder"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"way": BOTH, "count": 2},)

    def effect(self) -> tap.Effect:
        """Return what happens to the bytes of one way."""
        return tap.LinesSwapped(self.after, self.count)


@dataclass(frozen=True)
class WireCorrupt(_OnTheWay):
    """Bits of bytes flip."""

    NAME: ClassVar[str] = "wire-corrupt"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"way": BOTH, "after": 20, "count": 2},)
    after: int = whole(0, 0, MANY, "bytes that pass before", (0, 600))
    count: int = whole(1, 1, MANY, "bytes it is done to", (1, 8))
    apart: int = whole(97, 1, MANY, "from one to the next", (1, 300))
    mask: int = whole(1, 1, 255, "which bits of each")

    def effect(self) -> tap.Effect:
        """Return what happens to the bytes of one way."""
        return tap.BitsFlipped(self.after, self.count, self.apart, self.mask)


@dataclass(frozen=True)
class WireTruncate(_OnTheWay):
    """Lines lose their end."""

    NAME: ClassVar[str] = "wire-truncate"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"way": TO_PEN, "keep": 25, "newline": False},)
    keep: int = whole(25, 0, _LINE_MOST, "bytes of each that come", (0, 120))
    newline: bool = flag(True, "whether the newline comes all the same; else the next line is a part of this one")

    def effect(self) -> tap.Effect:
        """Return what happens to the bytes of one way."""
        return tap.LinesCut(self.after, self.count, self.keep, self.newline)


@dataclass(frozen=True)
class WireFlood:
    """The pen is sent far more than it can work off."""

    NAME: ClassVar[str] = "wire-flood"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"of": tap.NOISE, "size": 3000}, {"of": tap.PINGS, "size": 3000})
    of: str = choice(tap.NOISE, tap.FLOODS, "random bytes, one line without an end, or requests under a wrong nonce")
    size: int = whole(4096, 1, MANY, "how many bytes", (1, 8000))
    seed: int = drawn_from()

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.host.arrive(tap.flood(self.of, self.size, self.seed))


@dataclass(frozen=True)
class HostDeaf:
    """The host takes nothing of what the pen says."""

    NAME: ClassVar[str] = "host-deaf"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"for_ms": 3000},)
    for_ms: int = lasting(3000, "how long")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.host.reading = False
        bench.damage.end_later(self, "reading", self.for_ms)

    def mend(self, bench: Bench) -> None:
        """Let it read again."""
        bench.host.reading = True


@dataclass(frozen=True)
class Unplugged:
    """The USB cable is pulled: what was on its way is lost, the pen keeps its power."""

    NAME: ClassVar[str] = "unplugged"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"for_ms": 3000},)
    for_ms: int = lasting(1000, "how long it is out")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        supply.pull_cable(bench)
        bench.damage.end_later(self, "usb", self.for_ms)

    def mend(self, bench: Bench) -> None:
        """Put it back."""
        supply.put_cable_in(bench)


@dataclass(frozen=True)
class TwoHosts:
    """Another host's lines, legal in their form, come between the host's own."""

    NAME: ClassVar[str] = "two-hosts"
    CLASS: ClassVar[str] = "wire"
    TYPICAL: ClassVar = ({"does": tap.GREETS}, {"does": tap.MIXES})
    does: str = choice(
        tap.GREETS,
        tap.SECOND_HOST,
        "greets: says hello; guesses: asks under a wrong nonce; knows: under the right one, with ids far ahead; mixes:"
        " speaks in the middle of the host's lines",
    )
    every: int = whole(2, 1, MANY, "after how many lines of the host's each", (1, 6))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.host.tap.to_pen.put(self.NAME, tap.TwoHosts(self.does, self.every))

    def mend(self, bench: Bench) -> None:
        """Take the other one away."""
        bench.host.tap.to_pen.take_off(self.NAME)


KINDS: tuple[type[Fault], ...] = (
    WireDrop,
    WireDuplicate,
    WireReorder,
    WireCorrupt,
    WireTruncate,
    WireFlood,
    HostDeaf,
    Unplugged,
    TwoHosts,
)
