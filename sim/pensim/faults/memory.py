"""Faults of the chip's memory: a bit flips in what the firmware holds there. Host only."""

from dataclasses import dataclass
from typing import ClassVar

from pensim.bench import Bench, Parts
from pensim.faults.core import MANY, Fault, choice, flag, whole

COUNTERS = ("made", "forfeited", "outstanding", "limit_steps", "others")
"""The session's counters, as `flip_counter` takes them."""
GEOMETRY = "geometry."
LIMITS = (
    "ceiling_um",
    "calibration_um",
    "cartridge_strokes",
    "interval_days",
    "head",
    f"{GEOMETRY}full_steps",
    f"{GEOMETRY}microsteps",
    f"{GEOMETRY}lead_um",
    f"{GEOMETRY}v_max_um_s",
    f"{GEOMETRY}a_max_mm_s2",
    f"{GEOMETRY}retract_offset_um",
    f"{GEOMETRY}home_margin_steps",
    f"{GEOMETRY}stop_um",
    f"{GEOMETRY}dwell_us",
)
"""The numbers that bound what a pen does, as `flip_limit` takes them."""
_BIT_MOST = 29
"""Highest bit of a number that the chip keeps in one word."""


@dataclass(frozen=True)
class ProfileBit:
    """One bit of the loaded profile flips in RAM; counted from its first byte's lowest."""

    NAME: ClassVar[str] = "profile-bit"
    CLASS: ClassVar[str] = "memory"
    TYPICAL: ClassVar = ({"bit": 1200},)
    needs_power: ClassVar[bool] = True
    bit: int = whole(0, 0, MANY, "which bit", (0, 8 * 400))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flip_profile(self.bit)


@dataclass(frozen=True)
class LimitBit:
    """One bit of the numbers that bound what the pen does flips in RAM."""

    NAME: ClassVar[str] = "limit-bit"
    CLASS: ClassVar[str] = "memory"
    TYPICAL: ClassVar = ({"limit": f"{GEOMETRY}home_margin_steps", "bit": 3},)
    needs_power: ClassVar[bool] = True
    limit: str = choice("ceiling_um", LIMITS, "which of the pen's bounds")
    bit: int = whole(12, 0, _BIT_MOST, "which bit of it", (0, 17))

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flip_limit(self.limit, self.bit)


@dataclass(frozen=True)
class CounterBit:
    """One bit of a counter of the session flips in RAM."""

    NAME: ClassVar[str] = "counter-bit"
    CLASS: ClassVar[str] = "memory"
    TYPICAL: ClassVar = ({"counter": "made", "bit": 0}, {"counter": "limit_steps", "bit": 8, "inverse": True})
    needs_power: ClassVar[bool] = True
    counter: str = choice("made", COUNTERS, "which of them")
    bit: int = whole(0, 0, _BIT_MOST, "which bit", (0, 12))
    inverse: bool = flag(False, "in its second copy, which is kept inverted")

    def apply(self, bench: Bench) -> None:
        """Do it now."""
        bench.flip_counter(self.counter, self.inverse, self.bit)


@dataclass(frozen=True)
class TableBit:
    """One bit of the loaded stroke table flips in RAM; counted from its first word's lowest."""

    NAME: ClassVar[str] = "table-bit"
    CLASS: ClassVar[str] = "memory"
    TYPICAL: ClassVar = ({"bit": 2000},)
    needs_power: ClassVar[bool] = True
    bit: int = whole(0, 0, MANY, "which bit", (0, 32 * 1200))

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.corrupt_table(self.bit)


KINDS: tuple[type[Fault], ...] = (
    ProfileBit,
    LimitBit,
    CounterBit,
    TableBit,
)
