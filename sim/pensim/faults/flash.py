"""Faults of the flash and of what it holds. Host only."""

from dataclasses import dataclass
from typing import ClassVar

from pensim.bench import CannotBeDone, Parts
from pensim.faults.core import MANY, Fault, choice, drawn_from, whole
from pensim.flash import BLOCK_COUNT, BLOCK_SIZE, Torn

_BYTES = BLOCK_SIZE * BLOCK_COUNT
_USED = (0, 8 * BLOCK_SIZE - 1)
"""Where a pen that has seen little has most of what it remembers."""
MARK, POWER_UP = "mark", "power-up"


@dataclass(frozen=True)
class FlashCut:
    """The power goes in the middle of the flash operation that comes after `after` more."""

    NAME: ClassVar[str] = "flash-cut"
    CLASS: ClassVar[str] = "flash"
    TYPICAL: ClassVar = ({"torn": "bits"}, {"torn": "garbage"})
    needs_power: ClassVar[bool] = True
    after: int = whole(0, 0, MANY, "operations that are done before", (0, 20))
    torn: str = choice(Torn.NONE, tuple(Torn), "what is left of the operation")
    seed: int = drawn_from()

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.flash.cut_at(bench.flash.operations + self.after, Torn(self.torn), self.seed)


@dataclass(frozen=True)
class FlashBitRot:
    """One bit of the flash flips."""

    NAME: ClassVar[str] = "flash-bit-rot"
    CLASS: ClassVar[str] = "flash"
    TYPICAL: ClassVar = ({"address": 2 * BLOCK_SIZE + 40, "bit": 3},)
    address: int = whole(0, 0, _BYTES - 1, "byte of the file system", _USED)
    bit: int = whole(0, 0, 7, "bit of that byte")

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.image.flip(self.address, self.bit)


@dataclass(frozen=True)
class FlashStuckBit:
    """One bit of the flash keeps its level whatever is written."""

    NAME: ClassVar[str] = "flash-stuck-bit"
    CLASS: ClassVar[str] = "flash"
    TYPICAL: ClassVar = ({"address": 2 * BLOCK_SIZE + 300, "bit": 0, "level": 1},)
    address: int = whole(0, 0, _BYTES - 1, "byte of the file system", _USED)
    bit: int = whole(0, 0, 7, "bit of that byte")
    level: int = whole(0, 0, 1, "what it is stuck at")

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.image.stick(self.address, self.bit, self.level)


@dataclass(frozen=True)
class FlashBlockLost:
    """A whole block of the flash reads as erased."""

    NAME: ClassVar[str] = "flash-block-lost"
    CLASS: ClassVar[str] = "flash"
    TYPICAL: ClassVar = ({"block": 2},)
    block: int = whole(0, 0, BLOCK_COUNT - 1, "which block of 4,096 bytes", (0, 7))

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.image.erase(self.block)


@dataclass(frozen=True)
class FlashRolledBack:
    """The flash holds again what it held earlier: all that was written since is undone."""

    NAME: ClassVar[str] = "flash-rolled-back"
    CLASS: ClassVar[str] = "flash"
    to: str = choice(POWER_UP, (POWER_UP, MARK), "when: at the last power-up, or at the last `flash_mark`")

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        if not bench.image.roll_back(self.to):
            raise CannotBeDone(f"nobody has remembered what the flash held: there is no {self.to}")


@dataclass(frozen=True)
class FlashIgnoresWrites:
    """The next operations report success and change nothing: worn cells."""

    NAME: ClassVar[str] = "flash-ignores-writes"
    CLASS: ClassVar[str] = "flash"
    TYPICAL: ClassVar = ({"count": 4},)
    needs_power: ClassVar[bool] = True
    count: int = whole(1, 1, MANY, "how many operations", (1, 8))

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.flash.ignore_writes(self.count)


@dataclass(frozen=True)
class FlashFailsWrites:
    """Every operation reports an error and changes nothing."""

    NAME: ClassVar[str] = "flash-fails-writes"
    CLASS: ClassVar[str] = "flash"
    needs_power: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.flash.fail_writes(True)

    def mend(self, bench: Parts) -> None:
        """Let it work again."""
        bench.flash.fail_writes(False)


@dataclass(frozen=True)
class FlashFull:
    """Every write finds the flash full."""

    NAME: ClassVar[str] = "flash-full"
    CLASS: ClassVar[str] = "flash"
    NOT_ON_CHIP: ClassVar[str] = "an emulated chip's file system is filled by its firmware alone"
    needs_power: ClassVar[bool] = True
    lasts: ClassVar[bool] = True

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.refuse_space(True)

    def mend(self, bench: Parts) -> None:
        """Let there be room again."""
        bench.refuse_space(False)


KINDS: tuple[type[Fault], ...] = (
    FlashCut,
    FlashBitRot,
    FlashStuckBit,
    FlashBlockLost,
    FlashRolledBack,
    FlashIgnoresWrites,
    FlashFailsWrites,
    FlashFull,
)
