"""Faults of the chip's CPU, of the program on it, and of its clock. Host only."""

from dataclasses import dataclass
from typing import ClassVar

from pensim.bench import Bench
from pensim.faults.core import MANY, Fault, choice, flag, whole
from pensim.tripwire import ANY, CALLS, RAISED

_WRAPS = ("32", "31", "30")
_NO_WIRES = "only where the firmware was built with wires across its ports: nothing outside of it knows its calls"


@dataclass(frozen=True)
class CpuHang:
    """The CPU does nothing more, until the watchdog bites; engine and guards go on."""

    NAME: ClassVar[str] = "cpu-hang"
    CLASS: ClassVar[str] = "cpu"
    needs_power: ClassVar[bool] = True

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.hang()


@dataclass(frozen=True)
class WatchdogBite:
    """The watchdog resets the chip though it was fed."""

    NAME: ClassVar[str] = "watchdog-bite"
    CLASS: ClassVar[str] = "cpu"
    needs_power: ClassVar[bool] = True

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.reset()


@dataclass(frozen=True)
class PortRaises:
    """A call of a port raises an exception, once; after a reset no more."""

    NAME: ClassVar[str] = "port-raises"
    CLASS: ClassVar[str] = "cpu"
    NOT_ON_CHIP: ClassVar[str] = _NO_WIRES
    TYPICAL: ClassVar = (
        {"call": "store.append", "error": "OSError"},
        {"call": "engine.poll", "error": "RuntimeError"},
    )
    place: ClassVar[str] = "calls of ports"
    until_boot: ClassVar[bool] = True
    call: str = choice("engine.poll", (*CALLS, ANY), "which call; any: of any port")
    after: int = whole(0, 0, MANY, "calls that work before", (0, 40))
    error: str = choice("RuntimeError", RAISED, "what is raised")
    next_boot: bool = flag(False, "not now, but counted from the beginning of the next boot")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.raise_at(self.call, self.after, self.error, self.next_boot)

    def mend(self, bench: Bench) -> None:
        """Let it work again."""
        bench.spare_calls()

    @property
    def needs_power(self) -> bool:
        """Whether the program must run already."""
        return not self.next_boot


@dataclass(frozen=True)
class OutOfMemory:
    """The program finds no memory, once: MemoryError in the `after`-th call of a port from now."""

    NAME: ClassVar[str] = "out-of-memory"
    CLASS: ClassVar[str] = "cpu"
    NOT_ON_CHIP: ClassVar[str] = _NO_WIRES
    TYPICAL: ClassVar = ({"after": 3},)
    place: ClassVar[str] = PortRaises.place
    needs_power: ClassVar[bool] = True
    until_boot: ClassVar[bool] = True
    after: int = whole(0, 0, MANY, "calls of ports that work before", (0, 60))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.raise_at(ANY, self.after, MemoryError.__name__)

    def mend(self, bench: Bench) -> None:
        """Let there be memory again."""
        bench.spare_calls()


@dataclass(frozen=True)
class ClockWraps:
    """The chip is reset, or boots when it is switched on, and its millisecond clock soon wraps."""

    NAME: ClassVar[str] = "clock-wraps"
    CLASS: ClassVar[str] = "cpu"
    NOT_ON_CHIP: ClassVar[str] = (
        "bits=30 alone, where MicroPython's milliseconds wrap: the pen's own are counted from 0 at each boot"
    )
    TYPICAL: ClassVar = ({"bits": "32"}, {"bits": "31"})
    bits: str = choice("32", _WRAPS, "where: at 2 to this power; 31 is where differences change their sign")
    before_ms: int = whole(2000, 0, MANY, "how long after the boot's beginning", (0, 5000))

    @property
    def fits_chip(self) -> bool:
        """Whether an emulated chip's clock wraps there."""
        return self.bits == "30"

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.start_clock(self.before_ms, int(self.bits))
        if bench.powered:
            bench.reset()


KINDS: tuple[type[Fault], ...] = (
    CpuHang,
    WatchdogBite,
    PortRaises,
    OutOfMemory,
    ClockWraps,
)
