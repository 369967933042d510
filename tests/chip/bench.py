"""The emulated chip with everybody around it who matters: `tests.support.bench` on the whole pen.

Building one costs a boot, so tests share one that is booted and try what they try in copies of it
(`pensim.chip.copies.in_copy`): each begins at the same cycle, and none sees what another did.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pencore import wire
from pencore.provision import Provision
from pensim.chip.files import with_files
from pensim.chip.image import Image
from pensim.chip.pen import ChipPen
from pensim.chip.target import flash_with
from pensim.flash import FlashImage, FlashTiming
from pensim.world import default_provision, parameters_of
from pinprick.board import image as images
from pinprick.board.build import Build
from pinprick.cli.sim_chip import files_of
from tests.support.bench import Watch

BOOT_MOST_MS = 4000
_QUIET_MS = 3


def image_at(path: Path) -> Image:
    """Return the MicroPython image in a UF2 file."""
    data = path.read_bytes()
    read = images.read(data)
    return Image(path, read.sha256, read.flash)


def flash_of(built: Build, setup: Provision | None, spoilt: Mapping[str, bytes | None] | None = None) -> FlashImage:
    """Return a flash with the firmware and a provisioning (None: a blank pen).

    `spoilt`: files that are put in afterwards, or removed where None stands.
    """
    flash = flash_with(files_of(built), setup)
    return FlashImage.from_bytes(with_files(flash.to_bytes(), spoilt)) if spoilt else flash


class ChipBench(ChipPen, Watch):
    """A pen under watch: image, firmware and provisioning in its flash, without power."""

    def __init__(
        self,
        image: Image,
        files: FlashImage,
        setup: Provision | None = None,
        timing: FlashTiming | None = None,
    ) -> None:
        self.setup = default_provision() if setup is None else setup
        super().__init__(image, files, parameters_of(self.setup), timing)
        self.watch()

    def boot(self) -> None:
        """Switch on and greet, once the pen has said its first word."""
        self.power_on()
        self.greet()

    def greet(self) -> None:
        """Wait for the pen's first word after a boot, then greet it."""
        self.listen()
        # What it said before may end in the middle of a line.
        self._heard = b""
        self.notes.clear()

        def spoken() -> bool:
            self.listen()
            return any(note.name == "state" for note in self.notes)

        assert self.run_until(spoken, BOOT_MOST_MS), "the pen doesn't boot"
        self.hello()

    def begin_line(self) -> None:
        """Forget what has arrived, up to the beginning of the line that is still on its way."""
        self._heard = self.host.receive().rpartition(b"\n")[2]

    def moving(self) -> bool:
        """Return whether a stroke is under way: the needle is out, or an edge came lately."""
        return self.plant.depth_um() > 0 or self.quiet_ms() < _QUIET_MS

    def running(self) -> None:
        """Press, and let time pass until the pen is RUNNING and its first stroke under way."""
        self.release()
        self.hold(150)
        self.press()
        assert self.run_until(lambda: self.plant.depth_um() > 0, 1000), wire.STATE_NAMES[self.state()]

    def after(self, ms: float, act: Callable[[], None]) -> None:
        """Have `act` done in `ms`, at that very tick."""
        self.clock.after(round(ms * 125_000), act)
