"""What a fault is done to: a pen with its plant, be it the firmware's logic alone or the whole chip. Host only."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pensim.engine import SimEngine
from pensim.flash import FlashCircuit, FlashImage, SimStore
from pensim.host_end import HostEnd
from pensim.plant import EdgeFault, Plant

if TYPE_CHECKING:
    from pensim.faults.damage import Damage


class CannotBeDone(Exception):
    """This bench can't do the fault, or not now; says why. Nothing has happened."""


class Parts(Protocol):
    """A pen's parts, whether or not there is a pen of them. What can't be done to them is CannotBeDone."""

    @property
    def plant(self) -> Plant:
        """What there is outside the chip."""

    @property
    def image(self) -> FlashImage:
        """What the flash holds."""

    @property
    def flash(self) -> FlashCircuit:
        """The chip that holds it, for this boot."""

    def reset_driver(self) -> None:
        """Let the motor driver lose its supply for a moment."""

    def fail_driver(self, failed: bool) -> None:
        """Let the motor driver switch itself off and say so, or be well again."""

    def silence_driver(self, silent: bool) -> None:
        """Cut the motor driver's serial line, or join it again; the driver goes on."""

    def set_pin_fault(self, edges: EdgeFault | None) -> None:
        """Let `edges` stand between the stroke program and the chip's STEP pad; None: nothing."""

    def corrupt_table(self, bit: int) -> None:
        """Flip a bit of the loaded stroke table, counted from its first word's lowest."""

    def refuse_space(self, full: bool) -> None:
        """Let every write find the flash full, or have room again."""


class Hands(Protocol):
    """A pen that hands can be laid on."""

    @property
    def host(self) -> HostEnd:
        """Its way to the host."""

    @property
    def powered(self) -> bool:
        """Whether the supply is on."""

    @property
    def usb(self) -> bool:
        """Whether the USB cable is in."""

    def press(self) -> None:
        """Press the trigger."""

    def release(self) -> None:
        """Let it go."""

    def stop_button(self, down: bool) -> None:
        """Press the stop button, or pull it out again."""

    def service(self, held: bool) -> None:
        """Hold the service button, or let go."""

    def cartridge(self, closed: bool) -> None:
        """Close the cartridge holder, or open it."""

    def change_cartridge(self) -> None:
        """Open and close it."""

    def plug(self, plugged: bool) -> None:
        """Put the USB cable in, or pull it."""

    def power_cut(self) -> None:
        """Cut the supply."""

    def power_on(self) -> None:
        """Switch it on."""

    def reset(self) -> None:
        """Have the watchdog reset the chip."""

    def hang(self) -> None:
        """Let the CPU do nothing more."""

    def later(self, what: str, ms: int, act: Callable[[], None]) -> None:
        """Have `act` done `ms` from now, in place of an earlier act on `what`."""

    def never(self, what: str) -> None:
        """Take back what was to be done later on `what`."""


class Bench(Parts, Hands, Protocol):
    """A whole pen: its parts, the hands on it, and what goes on inside its chip. What it can't do is CannotBeDone."""

    @property
    def damage(self) -> "Damage":
        """What it suffers from."""

    def raise_at(self, call: str, after: int, error: str, next_boot: bool = False) -> None:
        """Let a port's call ("store.append", or "any") raise once, after `after` of them that work; until a reset.

        `error` names the exception. `next_boot`: not now, but counted from the beginning of the next boot.
        """

    def spare_calls(self) -> None:
        """Let every call of a port work again."""

    def start_clock(self, before_ms: int, bits: int) -> None:
        """Let the next boot have a millisecond clock that is `before_ms` from its wrap at 2**bits."""

    def flip_profile(self, bit: int) -> None:
        """Flip a bit of the loaded profile in memory, counted from its first byte's lowest."""

    def flip_limit(self, name: str, bit: int) -> None:
        """Flip a bit of one of the pen's bounds in memory ("ceiling_um", "geometry.lead_um", ...)."""

    def flip_counter(self, name: str, inverse: bool, bit: int) -> None:
        """Flip a bit of one of the session's counters in memory ("made", ...), of its value or its inverse."""


class VirtualParts:
    """The faults of a pen whose engine and store are virtual too; who inherits it has them as attributes."""

    plant: Plant
    engine: SimEngine
    store: SimStore

    def reset_driver(self) -> None:
        """Let the motor driver lose its supply for a moment."""
        self.plant.reset_driver()

    def fail_driver(self, failed: bool) -> None:
        """Let the motor driver switch itself off and say so, or be well again."""
        self.plant.fail_driver(failed)

    def silence_driver(self, silent: bool) -> None:
        """Cut the motor driver's serial line, or join it again; the driver goes on."""
        self.plant.silence_driver(silent)

    def set_pin_fault(self, edges: EdgeFault | None) -> None:
        """Let `edges` stand between the stroke program and the chip's STEP pad; None: nothing."""
        self.engine.set_pin_fault(edges)

    def corrupt_table(self, bit: int) -> None:
        """Flip a bit of the loaded stroke table, counted from its first word's lowest."""
        self.engine.corrupt_table(bit)

    def refuse_space(self, full: bool) -> None:
        """Let every write find the flash full, or have room again."""
        self.store.refuse_space(full)
