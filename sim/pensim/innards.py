"""What can go wrong inside the chip of a virtual pen: calls that raise, memory that flips, a clock that wraps. Host
only.

The firmware's own objects are reached here to be spoilt, and for nothing else.
"""

from typing import TYPE_CHECKING, Any

from pensim.bench import CannotBeDone, VirtualParts
from pensim.clock import TICKS_PER_MS, VirtualClock
from pensim.tripwire import Tripwire, planted

if TYPE_CHECKING:
    from pencore.ports import Ports
    from pencore.runner import Runner
    from pensim.faults import Damage

_U32 = 0xFFFFFFFF


class LogicParts(VirtualParts):
    """The faults of a pen whose firmware runs in this process; who inherits it has them as attributes."""

    clock: VirtualClock
    ports: "Ports"
    runner: "Runner"
    damage: "Damage"
    wire: Tripwire | None = None
    """What lets a call of a port raise; it outlives its raising, for who wants to know whose error that was."""

    def raise_at(self, call: str, after: int, error: str, next_boot: bool = False) -> None:
        """Let a port's call raise once, after so many that work; until a reset."""
        if next_boot:
            self.damage.at_boot(lambda: self.raise_at(call, after, error))
            return
        self.spare_calls()
        self.wire = Tripwire(self.ports, call, after, planted(error))

    def spare_calls(self) -> None:
        """Let every call of a port work again."""
        if self.wire is not None:
            self.wire.cut()

    def start_clock(self, before_ms: int, bits: int) -> None:
        """Let the next boot have a millisecond clock that is `before_ms` from its wrap at 2**bits."""

        def start() -> None:
            self.clock.start_ms = ((1 << bits) - before_ms - self.clock.now // TICKS_PER_MS) & _U32

        self.damage.at_boot(start)

    def flip_profile(self, bit: int) -> None:
        """Flip a bit of the loaded profile."""
        data = bytearray(self.runner.profile_data)
        if not data:
            raise CannotBeDone("no profile is loaded")
        place = bit % (8 * len(data))
        data[place // 8] ^= 1 << place % 8
        self.runner.profile_data = bytes(data)

    def flip_limit(self, name: str, bit: int) -> None:
        """Flip a bit of one of the pen's bounds, its geometry's as "geometry.lead_um"."""
        if self.runner.provision is None:
            raise CannotBeDone("the pen has no bounds: it is not provisioned")
        part: Any = self.runner.provision.bounds
        *way, name = name.split(".")
        for step in way:
            part = getattr(part, step)
        setattr(part, name, getattr(part, name) ^ 1 << bit)

    def flip_counter(self, name: str, inverse: bool, bit: int) -> None:
        """Flip a bit of one of the session's counters, of its value or its inverse."""
        if self.runner.session is None:
            raise CannotBeDone("no session is loaded, so nothing is counted")
        counter: Any = getattr(self.runner.session, f"_{name}")
        half = "_inverse" if inverse else "_value"
        setattr(counter, half, getattr(counter, half) ^ 1 << bit)
