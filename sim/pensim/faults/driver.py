"""Faults of the motor's driver. Host only."""

from dataclasses import dataclass
from typing import ClassVar

from pensim.bench import Parts
from pensim.faults.core import Fault


@dataclass(frozen=True)
class DriverReset:
    """A dip of the supply resets the motor driver."""

    NAME: ClassVar[str] = "driver-reset"
    CLASS: ClassVar[str] = "driver"

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.reset_driver()


@dataclass(frozen=True)
class DriverFailed:
    """The motor driver switches itself off for heat or a short, and says so."""

    NAME: ClassVar[str] = "driver-failed"
    CLASS: ClassVar[str] = "driver"

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.fail_driver(True)

    def mend(self, bench: Parts) -> None:
        """Let it work again."""
        bench.fail_driver(False)


@dataclass(frozen=True)
class DriverSilent:
    """The motor driver's serial line is cut: it goes on as it was set, and answers nothing."""

    NAME: ClassVar[str] = "driver-silent"
    CLASS: ClassVar[str] = "driver"

    def apply(self, bench: Parts) -> None:
        """Do it now."""
        bench.silence_driver(True)

    def mend(self, bench: Parts) -> None:
        """Join the line again."""
        bench.silence_driver(False)


KINDS: tuple[type[Fault], ...] = (
    DriverReset,
    DriverFailed,
    DriverSilent,
)
