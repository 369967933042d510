"""What a fault is done to: a pen with its plant, be it the firmware's logic alone or the whole chip. Host only."""

from typing import Protocol

from pensim.engine import SimEngine
from pensim.flash import FlashCircuit, FlashImage, SimStore
from pensim.plant import EdgeFault, Plant


class CannotBeDone(Exception):
    """This bench can't do the fault, or not now; says why. Nothing has happened."""


class Bench(Protocol):
    """A pen with its plant. What it can't do is CannotBeDone."""

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

    def set_pin_fault(self, edges: EdgeFault | None) -> None:
        """Let `edges` stand between the stroke program and the chip's STEP pad; None: nothing."""

    def corrupt_table(self, bit: int) -> None:
        """Flip a bit of the loaded stroke table, counted from its first word's lowest."""

    def refuse_space(self, full: bool) -> None:
        """Let every write find the flash full, or have room again."""


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

    def set_pin_fault(self, edges: EdgeFault | None) -> None:
        """Let `edges` stand between the stroke program and the chip's STEP pad; None: nothing."""
        self.engine.set_pin_fault(edges)

    def corrupt_table(self, bit: int) -> None:
        """Flip a bit of the loaded stroke table, counted from its first word's lowest."""
        self.engine.corrupt_table(bit)

    def refuse_space(self, full: bool) -> None:
        """Let every write find the flash full, or have room again."""
        self.store.refuse_space(full)
