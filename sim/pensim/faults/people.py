"""Faults of those who use a pen, and of the computer's clock. Host only."""

from dataclasses import dataclass
from typing import ClassVar

from pensim.bench import Bench
from pensim.faults.core import FOR_MOST_MS, Fault, lasting, whole

_DAY_S = 86_400
_OFF_MOST_S = 20 * 365 * _DAY_S
_TRIGGER, _STOP = "trigger", "stop"


@dataclass(frozen=True)
class TriggerHeld:
    """Somebody presses the trigger and holds it, whatever the pen does."""

    NAME: ClassVar[str] = "trigger-held"
    CLASS: ClassVar[str] = "people"
    TYPICAL: ClassVar = ({"for_ms": 1500},)
    place: ClassVar[str] = _TRIGGER
    for_ms: int = lasting(1500, "how long")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.press()
        bench.damage.end_later(self, _TRIGGER, self.for_ms)

    def mend(self, bench: Bench) -> None:
        """Let it go."""
        bench.never(_TRIGGER)
        bench.release()


@dataclass(frozen=True)
class DoublePress:
    """Somebody presses the trigger twice in quick succession; the second time for so long, or until it is mended."""

    NAME: ClassVar[str] = "double-press"
    CLASS: ClassVar[str] = "people"
    TYPICAL: ClassVar = ({"down_ms": 30, "up_ms": 30, "for_ms": 400},)
    place: ClassVar[str] = _TRIGGER
    down_ms: int = whole(40, 1, FOR_MOST_MS, "how long the first time", (1, 400))
    up_ms: int = whole(40, 1, FOR_MOST_MS, "how long in between", (1, 400))
    for_ms: int = lasting(400, "how long the second time")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.press()
        bench.later(_TRIGGER, self.down_ms, lambda: self._let_go(bench))

    def mend(self, bench: Bench) -> None:
        """Let it go."""
        bench.never(_TRIGGER)
        bench.release()

    def _let_go(self, bench: Bench) -> None:
        bench.release()
        bench.later(_TRIGGER, self.up_ms, lambda: self._again(bench))

    def _again(self, bench: Bench) -> None:
        bench.press()
        bench.damage.end_later(self, _TRIGGER, self.for_ms)


@dataclass(frozen=True)
class StopHammered:
    """Somebody hits the stop button again and again; in the end it is out."""

    NAME: ClassVar[str] = "stop-hammered"
    CLASS: ClassVar[str] = "people"
    TYPICAL: ClassVar = ({"times": 8, "apart_ms": 25},)
    times: int = whole(8, 1, 1000, "how many times", (1, 30))
    apart_ms: int = whole(25, 1, FOR_MOST_MS, "how long it is in each time, and out in between", (1, 200))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        self._hit(bench, self.times)

    def mend(self, bench: Bench) -> None:
        """Leave it alone, out."""
        bench.never(_STOP)
        bench.stop_button(False)

    def _hit(self, bench: Bench, left: int) -> None:
        bench.stop_button(True)
        bench.later(_STOP, self.apart_ms, lambda: self._pull(bench, left - 1))

    def _pull(self, bench: Bench, left: int) -> None:
        if not left:
            bench.damage.mend(self.NAME)
            return
        bench.stop_button(False)
        bench.later(_STOP, self.apart_ms, lambda: self._hit(bench, left))


@dataclass(frozen=True)
class LaptopClockWrong:
    """The clock of the host's computer is wrong: what it writes into a profile or a correction is off by as much."""

    NAME: ClassVar[str] = "laptop-clock-wrong"
    CLASS: ClassVar[str] = "people"
    TYPICAL: ClassVar = ({"by_s": -400 * _DAY_S},)
    by_s: int = whole(-_DAY_S, -_OFF_MOST_S, _OFF_MOST_S, "by how many seconds", (-3 * 365 * _DAY_S, 3 * 365 * _DAY_S))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.host.clock_off_s = self.by_s

    def mend(self, bench: Bench) -> None:
        """Set it right."""
        bench.host.clock_off_s = 0


KINDS: tuple[type[Fault], ...] = (
    TriggerHeld,
    DoublePress,
    StopHammered,
    LaptopClockWrong,
)
