"""A pen on the emulated chip switched on as somebody wishes it: firmware into its flash, boot, cartridge. Host only."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from pencore.provision import Provision
from pensim.chip.files import NoFiles, files_in, with_files
from pensim.chip.image import Image
from pensim.chip.pen import ChipPen
from pensim.flash import BLOCK_COUNT, BLOCK_SIZE, FlashImage
from pensim.making import BadWish, Wish
from pensim.oracle import ConsentRule, LeaseRule
from pensim.world import parameters_of

BOOT_MOST_MS = 10_000
"""Longest time from the supply to the first word."""
_CODE = (".py", ".mpy")
_TELL_MS = 100


class DoesNotBoot(Exception):
    """The pen was switched on and says nothing; tells what became of it."""


def put_firmware(flash: FlashImage, files: Mapping[str, bytes]) -> None:
    """Bring the code in a flash in line with `files`, as an installation does; what the pen remembers stays.

    Only blocks that differ are changed. Raises NoFiles, and OSError when the files don't fit.
    """
    before = flash.to_bytes()
    there = files_in(before)
    changes: dict[str, bytes | None] = {path: data for path, data in files.items() if there.get(path) != data}
    changes |= {path: None for path in there if PurePosixPath(path).suffix in _CODE and path not in files}
    if not changes:
        return
    after = with_files(before, changes)
    for block in range(BLOCK_COUNT):
        piece = slice(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE)
        if before[piece] != after[piece]:
            flash.put(block, 0, after[piece])


def first_words(pen: ChipPen, *, silent: bool = False, tell: Callable[[int], None] = lambda _ms: None) -> bytes:
    """Let a pen that was switched on come up; return its first words, of a `silent` one b"" when its port is there.

    b"" after BOOT_MOST_MS as well. `tell` is told the ms that have passed, now and then.
    """
    for passed_ms in range(BOOT_MOST_MS):
        if passed_ms % _TELL_MS == 0:
            tell(passed_ms)
        pen.run_ms(1)
        said = pen.host.receive()
        if said or (silent and pen.port):
            return said
    return b""


def boot(pen: ChipPen, *, silent: bool = False, tell: Callable[[int], None] = lambda _ms: None) -> bytes:
    """Switch a pen on and return as `first_words`; DoesNotBoot when there are none, or for a `silent` one no port."""
    pen.power_on()
    said = first_words(pen, silent=silent, tell=tell)
    if said or (silent and pen.port):
        return said
    resets = len(pen.crashes)
    port = "it shows a port" if pen.port else "it shows no port"
    last = f"; the last of {resets} resets: {pen.crashes[-1]}" if resets else ""
    raise DoesNotBoot(f"nothing was heard in {BOOT_MOST_MS // 1000} s; {port}{last}")


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
        """Return the pen, booted; BadWish for a flash without a file system, DoesNotBoot."""
        try:
            put_firmware(flash, self._files)
        except (NoFiles, OSError) as error:
            raise BadWish(f"{wish.flash}: {error}", "--flash", str(wish.flash)) from None
        pen = ChipPen(self._image, flash, parameters_of(setup))
        pen.oracle.watch_consent(ConsentRule())
        pen.oracle.watch_lease(LeaseRule())
        pen.cartridge(wish.cartridge)
        pen.service(self._service)
        boot(pen, silent=self._service, tell=self._tell)
        if wish.cartridge and not used and not self._service:
            pen.change_cartridge()
        return pen
