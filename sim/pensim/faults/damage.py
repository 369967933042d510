"""What a pen suffers from: done, remembered, mended. Host only."""

from collections.abc import Callable

from pensim.bench import Bench
from pensim.faults.core import Fault, Mendable, can_mend
from pensim.faults.kinds import kind_of


class Damage:
    """What a pen suffers from: the faults that were done to it and can be mended.

    A place (the home sensor, the motor's wires) holds one fault: the next one there takes the place of the one before.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._faults: dict[str, Mendable] = {}
        self._at_boot: list[Callable[[], None]] = []
        self._at_cut: list[Callable[[], None]] = []

    def do(self, done: Fault) -> None:
        """Do a fault now, and remember it if it can be mended. CannotBeDone: then nothing has happened."""
        done.apply(self._bench)
        if isinstance(done, Mendable):
            self._faults[place_of(done)] = done

    def mend(self, name: str) -> bool:
        """Undo the faults called `name`; return whether there was one. ValueError for one that can't be mended."""
        if not can_mend(kind_of(name)):
            raise ValueError(f"{name} can't be mended: what it did is done")
        found = [place for place, done in self._faults.items() if name == done.NAME]
        for place in found:
            self._faults.pop(place).mend(self._bench)
        return bool(found)

    def end_later(self, done: Mendable, what: str, ms: int) -> None:
        """Have a fault mended `ms` from now (0: never), unless another has its place by then."""

        def end() -> None:
            if self._faults.get(place_of(done)) is done:
                del self._faults[place_of(done)]
                done.mend(self._bench)

        self._bench.never(what)
        if ms:
            self._bench.later(what, ms, end)

    def present(self) -> tuple[Fault, ...]:
        """Return the faults that the pen suffers from now."""
        return tuple(self._faults.values())

    def at_boot(self, act: Callable[[], None]) -> None:
        """Have `act` done once, at the beginning of the next boot."""
        self._at_boot.append(act)

    def at_cut(self, act: Callable[[], None]) -> None:
        """Have `act` done once, when the power has gone the next time."""
        self._at_cut.append(act)

    def booted(self) -> None:
        """The chip has been switched on or reset: what was done inside it is over, what is wrong around it lasts."""
        for place, done in list(self._faults.items()):
            if getattr(done, "until_boot", False):
                del self._faults[place]
            elif getattr(done, "lasts", False):
                done.apply(self._bench)
        acts, self._at_boot = self._at_boot, []
        for act in acts:
            act()

    def unpowered(self) -> None:
        """The power has gone."""
        acts, self._at_cut = self._at_cut, []
        for act in acts:
            act()


def place_of(done: Fault) -> str:
    """Return where a fault sits: one that holds that place is followed by the next there."""
    return str(getattr(done, "place", done.NAME))
