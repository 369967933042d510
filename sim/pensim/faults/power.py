"""Faults of the supply. Host only."""

from dataclasses import dataclass
from typing import ClassVar

from pensim import supply
from pensim.bench import Bench
from pensim.faults.core import FOR_MOST_MS, MANY, Fault, choice, drawn_from, lasting, whole
from pensim.flash import Torn

DRIVER, CHIP = "driver", "chip"
_BLINK_MS = 100


@dataclass(frozen=True)
class PowerCut:
    """The supply goes, for so long or until it is mended: driver and CPU are off at once."""

    NAME: ClassVar[str] = "power-cut"
    CLASS: ClassVar[str] = "power"
    TYPICAL: ClassVar = ({"for_ms": 200}, {"for_ms": 0})
    place: ClassVar[str] = "supply"
    needs_power: ClassVar[bool] = True
    until_boot: ClassVar[bool] = True
    for_ms: int = lasting(500, "how long it is gone")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        supply.cut_power(bench, self.for_ms)

    def mend(self, bench: Bench) -> None:
        """Switch the supply on again."""
        supply.switch_on(bench)


@dataclass(frozen=True)
class BrownOut:
    """The supply dips for a moment: only the driver loses what it was set to, or the chip is reset as well."""

    NAME: ClassVar[str] = "brown-out"
    CLASS: ClassVar[str] = "power"
    TYPICAL: ClassVar = ({"resets": DRIVER}, {"resets": CHIP})
    needs_power: ClassVar[bool] = True
    resets: str = choice(DRIVER, (DRIVER, CHIP), "what doesn't get through it: driver, or chip and driver")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        if self.resets == CHIP:
            supply.cut_power(bench)
            supply.switch_on(bench)
        else:
            bench.reset_driver()


@dataclass(frozen=True)
class PowerCutTwice:
    """The supply goes, comes back, and goes again so long after: in the middle of the recovery. Then it is back."""

    NAME: ClassVar[str] = "power-cut-twice"
    CLASS: ClassVar[str] = "power"
    TYPICAL: ClassVar = ({"on_ms": 20},)
    needs_power: ClassVar[bool] = True
    off_ms: int = whole(_BLINK_MS, 1, FOR_MOST_MS, "how long it is gone, both times", (1, 1000))
    on_ms: int = whole(20, 1, FOR_MOST_MS, "how long it is there in between", (1, 500))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.damage.at_boot(lambda: bench.later("power", self.on_ms, lambda: supply.cut_power(bench, self.off_ms)))
        supply.cut_power(bench, self.off_ms)


@dataclass(frozen=True)
class PowerCutRecovering:
    """The supply goes, and after it is back goes again in the middle of a flash operation. Then it is back."""

    NAME: ClassVar[str] = "power-cut-recovering"
    CLASS: ClassVar[str] = "power"
    TYPICAL: ClassVar = ({"after": 0, "torn": "half"},)
    needs_power: ClassVar[bool] = True
    off_ms: int = whole(_BLINK_MS, 1, FOR_MOST_MS, "how long it is gone, both times", (1, 1000))
    after: int = whole(0, 0, MANY, "operations that are done before", (0, 12))
    torn: str = choice(Torn.NONE, tuple(Torn), "what is left of the operation")
    seed: int = drawn_from()

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.damage.at_boot(lambda: self._again(bench))
        supply.cut_power(bench, self.off_ms)

    def _again(self, bench: Bench) -> None:
        number = bench.flash.operations + self.after
        bench.flash.cut_at(number, Torn(self.torn), self.seed)
        bench.damage.at_cut(lambda: self._gone(bench, number))

    def _gone(self, bench: Bench, number: int) -> None:
        if bench.flash.operations > number:
            bench.host.unplug()
            bench.later("power", self.off_ms, lambda: supply.switch_on(bench))


KINDS: tuple[type[Fault], ...] = (
    PowerCut,
    BrownOut,
    PowerCutTwice,
    PowerCutRecovering,
)
