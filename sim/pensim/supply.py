"""What hands do to a pen's supply and to its cable, with what belongs to it: one way for people and for faults. Host
only.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pensim.bench import Hands


def cut_power(pen: "Hands", for_ms: int = 0) -> None:
    """Cut the supply, for good or for so long; what was on its way through the cable is gone with the pen."""
    pen.never("power")
    pen.power_cut()
    pen.host.unplug()
    if for_ms:
        pen.later("power", for_ms, lambda: switch_on(pen))


def switch_on(pen: "Hands") -> None:
    """Switch the supply on, if it is off; a cable that is in carries again."""
    pen.never("power")
    if pen.usb:
        pen.host.plug()
    pen.power_on()


def pull_cable(pen: "Hands", for_ms: int = 0) -> None:
    """Pull the USB cable, for good or for so long."""
    pen.never("usb")
    pen.plug(False)
    if for_ms:
        pen.later("usb", for_ms, lambda: pen.plug(True))


def put_cable_in(pen: "Hands") -> None:
    """Put the USB cable in."""
    pen.never("usb")
    pen.plug(True)
