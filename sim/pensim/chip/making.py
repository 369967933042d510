"""A pen on the emulated chip switched on as somebody wishes it: firmware into its flash, boot, cartridge. Host only."""

import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from pencore.provision import Provision
from pensim.chip.files import NoFiles, files_in, image_of, with_files
from pensim.chip.image import Image
from pensim.chip.pen import ChipPen
from pensim.clock import TICKS_PER_MS
from pensim.flash import BLOCK_COUNT, BLOCK_SIZE, FlashImage
from pensim.making import BadWish, Wish
from pensim.oracle import ConsentRule, LeaseRule
from pensim.undisturbed import undisturbed
from pensim.world import parameters_of

BOOT_MOST_MS = 10_000
"""Longest time from the supply to the first word, of the chip's own."""
BOOT_MOST_S = 60.0
"""And of the computer's: with an image that only keeps crashing, a millisecond of the chip's may take 0.1 s."""
ERASED = b"\xff"
"""What each byte of an erased flash is."""
_CODE = (".py", ".mpy")
_TELL_MS = 100


class DoesNotBoot(Exception):
    """The pen was switched on and says nothing; tells what became of it."""


@undisturbed()
def put_firmware(flash: FlashImage, files: Mapping[str, bytes]) -> None:
    """Bring the code in a flash in line with `files`, as an installation does; what the pen remembers stays.

    Only blocks that differ are changed. A flash that is erased gets a file system first, as the stock image makes one
    there. Raises NoFiles where something else is, and OSError when the files don't fit.
    """
    before = flash.to_bytes()
    ground = before if before.strip(ERASED) else image_of({})
    there = files_in(ground)
    changes: dict[str, bytes | None] = {path: data for path, data in files.items() if there.get(path) != data}
    changes |= {path: None for path in there if PurePosixPath(path).suffix in _CODE and path not in files}
    if not changes:
        return
    after = with_files(ground, changes)
    for block in range(BLOCK_COUNT):
        piece = slice(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE)
        if before[piece] != after[piece]:
            flash.put(block, 0, after[piece])


def first_words(pen: ChipPen, *, silent: bool = False, tell: Callable[[int], None] = lambda _ms: None) -> bytes:
    """Let a pen that was switched on come up; return its first words, of a `silent` one b"" when its port is there.

    b"" after BOOT_MOST_MS or BOOT_MOST_S as well. `tell` is told the ms that have passed, now and then.
    """
    end_s = time.monotonic() + BOOT_MOST_S
    for passed_ms in range(BOOT_MOST_MS):
        if passed_ms % _TELL_MS == 0:
            tell(passed_ms)
        pen.run_ms(1)
        said = pen.host.receive()
        if said or (silent and pen.port):
            return said
        if time.monotonic() >= end_s:
            break
    return b""


def boot(pen: ChipPen, *, silent: bool = False, tell: Callable[[int], None] = lambda _ms: None) -> bytes:
    """Switch a pen on and return as `first_words`; DoesNotBoot when there are none, or for a `silent` one no port."""
    pen.power_on()
    began = pen.clock.now
    said = first_words(pen, silent=silent, tell=tell)
    if said or (silent and pen.port):
        return said
    resets = len(pen.crashes)
    port = "it shows a port" if pen.port else "it shows no port"
    last = f"; the last of {resets} resets: {pen.crashes[-1]}" if resets else ""
    passed_ms = (pen.clock.now - began) // TICKS_PER_MS
    slowly = "" if passed_ms >= BOOT_MOST_MS else f", which took the computer {BOOT_MOST_S:.0f} s"
    heard = f"nothing was heard in {passed_ms / 1000:.1f} s of the chip's time{slowly}"
    raise DoesNotBoot(f"{heard}; {port}{last}")


class ChipSwitchOn:
    """Switches pens on that run `image` with the firmware `files`; `service`: with the service button held."""

    def __init__(
        self,
        image: Image,
        files: Mapping[str, bytes],
        *,
        service: bool = False,
        tell: Callable[[int], None] = lambda _ms: None,
    ) -> None:
        self._image = image
        self._files = files
        self._service = service
        self._tell = tell

    def __call__(self, wish: Wish, setup: Provision, seed: int, flash: FlashImage, used: bool) -> ChipPen:  # noqa: ARG002  # the chip draws by itself
        """Return the pen, booted; BadWish for a flash that holds something else or is full, DoesNotBoot."""
        try:
            put_firmware(flash, self._files)
        except (NoFiles, OSError) as error:
            # Only one that somebody brought can be such a flash.
            given = str(wish.flash)
            raise BadWish(f"The firmware does not go into {given}: {error}", "--flash", given) from None
        pen = ChipPen(self._image, flash, parameters_of(setup))
        pen.oracle.watch_consent(ConsentRule())
        pen.oracle.watch_lease(LeaseRule())
        pen.cartridge(wish.cartridge)
        pen.service(self._service)
        boot(pen, silent=self._service, tell=self._tell)
        if wish.cartridge and not used and not self._service:
            pen.change_cartridge()
        return pen
