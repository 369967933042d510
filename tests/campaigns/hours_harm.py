"""What a fault may lead to in a pen's life, where it meets other faults and all its parameters are drawn. Host only.

What follows on a kind of fault says `events_model`, the same for both campaigns. Here parameters go to their bounds: a
rotor may slip by a whole turn, so that of depth behind the chip's pads only the mechanical stop is certain; and what
holds the needles out may be taken away at any moment.
"""

from dataclasses import dataclass

from pensim.faults.core import Fault
from pensim.oracle import DEPTH_LIMIT, EDGE_DISABLED, FLASH_IN_MOTION, NEEDLE_OUT, NO_CONSENT
from tests.campaigns.events_model import after

_STOP_UM = 2600.0
"""Where the mechanical stop is: nothing is deeper."""
_WINDOW_UM = 45.0
"""How far home may be off without the pen taking it for lost steps: two full steps and a microstep or two."""


@dataclass(frozen=True)
class Harm:
    """What one fault may do.

    `kinds`: of the oracle's violations; `deeper_um`: by how much the needle may be deeper then, at most.
    `flash`: what the pen remembers may be gone, and the pen with it. `counts`: it
    may count on from too little. `memory`: over with the next power-up alone. `raises`: an exception resets the pen.
    """

    kinds: frozenset[str] = frozenset()
    deeper_um: float = _STOP_UM
    flash: bool = False
    counts: bool = False
    memory: bool = False
    raises: bool = False


_MORE: dict[str, tuple[str, ...]] = {
    "broken-spring": (NEEDLE_OUT, FLASH_IN_MOTION),
    "needle-jam": (NEEDLE_OUT, FLASH_IN_MOTION),
    "weak-motor": (NEEDLE_OUT,),
    "direction-inverted": (NEEDLE_OUT,),
    "driver-failed": (EDGE_DISABLED, FLASH_IN_MOTION),
    "cpu-hang": (NO_CONSENT,),
    "home-chatter": (DEPTH_LIMIT, FLASH_IN_MOTION),
}
"""What the oracle may tell of besides: the needles can't come in, and what mends that moves them in a flash write too;
until the driver is asked, steps fall on one that has switched itself off, and the pen takes the needle to be home; a
dead CPU leaves an engine that makes the one or two strokes it was credited, whoever lets go; a sensor that chatters may
say that it sees the carriage some steps beside home, where it stands.
"""


def harm_of(fault: Fault) -> Harm:
    """Return what a fault may do."""
    follows = after(fault.NAME)
    kinds = {*follows.allow, *_MORE.get(fault.NAME, ())}
    if follows.deeper_um:
        kinds |= {DEPTH_LIMIT, NEEDLE_OUT}
    return Harm(
        kinds=frozenset(kinds),
        deeper_um=_WINDOW_UM if fault.NAME == "home-chatter" else _STOP_UM,
        flash=not (follows.goes_on and follows.keeps),
        counts=not follows.counts,
        memory=fault.CLASS == "memory",
        raises=follows.crashes,
    )
