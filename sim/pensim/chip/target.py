"""Scenarios on the whole chip: a target whose pen runs the real image with our files in its flash. Host only.

Each scenario has a fresh pen, provisioned as its `[pen]` says; what lies in its flash is put together once for each
kind of pen and cloned. The pen is booted before the scenario begins. The same file makes the same events: nothing is
drawn from a seed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pencore import provision
from pencore.provision import Provision
from pensim import hands
from pensim.chip.files import image_of, with_files
from pensim.chip.image import Image
from pensim.chip.making import boot, first_words
from pensim.chip.pen import ChipPen
from pensim.clock import TICKS_PER_MS
from pensim.faults import Fault, fits_chip
from pensim.flash import FlashImage
from pensim.oracle import ConsentRule, LeaseRule
from pensim.scenario.acts import FILES, HANDS, ORACLE
from pensim.scenario.model import Scenario, provisioning
from pensim.scenario.targets import tampered
from pensim.world import parameters_of, write_provision

_STILL_MS = 200
_ENDED_MS = 2
"""A motor that has stood for so long has ended its stroke, and the firmware has seen it."""
_COMES_HOME_MS = 40
"""From the needle's coming in to there, at most."""


def flash_with(files: Mapping[str, bytes], setup: Provision | None) -> FlashImage:
    """Return the flash of a new pen with the firmware `files`; without `setup`, of one never provisioned."""
    bare = image_of({})
    if setup is not None:
        image = FlashImage()
        write_provision(image, setup)
        bare = image.to_bytes()
    return FlashImage.from_bytes(with_files(bare, files))


class ChipTargets:
    """Makes the targets of scenarios, which all run `image` with the firmware `files`."""

    def __init__(self, image: Image, files: Mapping[str, bytes]) -> None:
        self._image = image
        self._files = files
        self._flashes: dict[bytes, FlashImage] = {}

    def __call__(self, scenario: Scenario) -> "OnChip":
        """Return the target of a scenario; its pen is booted."""
        setup = provisioning(scenario.pen)
        there = None if scenario.pen.get("provisioned") is False else setup
        kind = b"" if there is None else provision.encode(there)
        if kind not in self._flashes:
            self._flashes[kind] = flash_with(self._files, there)
        pen = ChipPen(self._image, self._flashes[kind].clone(), parameters_of(setup))
        return OnChip(pen, scenario.pen.get("powered", True))


class OnChip:
    """The pen of one scenario."""

    grain_ms = 20
    fresh = True

    def __init__(self, pen: ChipPen, powered: bool = True) -> None:
        self.name = "chip"
        self.offers = frozenset((HANDS, ORACLE, FILES))
        self.pen = pen
        pen.oracle.watch_consent(ConsentRule())
        pen.oracle.watch_lease(LeaseRule())
        self._heard = b""
        self._strokes = 0
        if powered:
            self._heard = boot(pen)

    @property
    def reading(self) -> bool:
        """Whether the host takes what the pen says."""
        return self.pen.host.reading

    @reading.setter
    def reading(self, reading: bool) -> None:
        self.pen.host.reading = reading

    @property
    def clock_off_s(self) -> int:
        """By how much the clock of the host's computer is wrong."""
        return self.pen.host.clock_off_s

    def now_ms(self) -> int:
        """Return the emulated time."""
        return self.pen.clock.now // TICKS_PER_MS

    def moves(self, says_so: bool) -> bool:
        """Return whether the motor has stepped lately: a chip also plans while it says that it homes, and a reset one
        says nothing until it is up again.
        """
        return says_so and self.pen.quiet_ms() < _STILL_MS

    def advance(self, ms: int) -> None:
        """Go on by up to `ms`, to the end of the first in which a word comes, the driver is switched, or a stroke has
        ended: not as soon as the needle is in, but when the motor stands, as with the firmware's logic alone. In
        between nobody looks, however long that takes.
        """
        pen = self.pen
        energised = pen.plant.energised
        for _ in range(ms):
            self._run_1_ms()
            if self._heard or self._ended() or pen.plant.energised != energised:
                break
        for _ in range(_COMES_HOME_MS):
            if pen.oracle.tally.strokes == self._strokes or self._ended():
                return
            self._run_1_ms()

    def _run_1_ms(self) -> None:
        self.pen.run_ms(1)
        self._heard += self.pen.host.receive()

    def _ended(self) -> bool:
        """Return whether a stroke has ended since the last time."""
        strokes = self.pen.oracle.tally.strokes
        ended = strokes != self._strokes and self.pen.quiet_ms() >= _ENDED_MS
        if ended:
            self._strokes = strokes
        return ended

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.pen.host.send(data)

    def receive(self) -> bytes:
        """Return what the pen has said."""
        heard, self._heard = self._heard, b""
        return heard

    def do(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have hands do something now; who switches the pen on waits until it is up, as the pen hears nobody before."""
        said = hands.carry_out(self.pen, command)
        if command["do"] == "power_on":
            self._heard += first_words(self.pen)
        return said

    def plug(self, plugged: bool) -> None:
        """Pull the cable or put it back."""
        self.pen.plug(plugged)

    def tamper(self, file: str, change: Callable[[bytes], bytes | None]) -> None:
        """Replace a file; ValueError while the pen has power, OSError where its file system says no."""
        tampered(self.pen, file, change)

    def takes(self, done: Fault) -> bool:
        """Return whether it can be done to a chip whose firmware is as it is."""
        return fits_chip(done)

    def close(self) -> None:
        """Cut the power: nobody looks at this pen again."""
        self.pen.power_cut()
