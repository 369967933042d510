"""A simulated pen made as somebody wishes it: new or from a flash file, with its serial number, key and cartridge. Host
only.

Whether the firmware's logic alone runs in it or the whole chip is up to who switches it on.
"""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pencore.provision import Provision
from pensim.flash import FlashImage
from pensim.flash_file import FlashFile, FlashFileError, create_flash, open_flash
from pensim.oracle import ConsentRule, LeaseRule
from pensim.serve import Pen
from pensim.world import World, default_provision, provision_in, write_provision

_SERIALS_MOST = 9999
_SETTLED_MS = 100


class BadWish(ValueError):
    """A wish that can't be met: says why in a sentence without its full stop; `option` is the one to blame, `given`
    what it said.
    """

    def __init__(self, problem: str, option: str, given: str) -> None:
        super().__init__(problem)
        self.option = option
        self.given = given


@dataclass(frozen=True)
class Wish:
    """What somebody wants of a pen; None leaves it open.

    `flash`: the file that keeps its flash; `key`: number and bytes of the clinic key that it is provisioned with;
    `blank`: never provisioned; `cartridge`: whether one is in its holder; `build`: what its firmware says it is.
    """

    serial: str | None = None
    seed: int | None = None
    flash: Path | None = None
    key: tuple[int, bytes] | None = None
    blank: bool = False
    cartridge: bool = True
    build: str = "0" * 16


@dataclass(frozen=True)
class Made:
    """A pen that is switched on: its serial number (of a blank one: what it is called), the seed that everything random
    is drawn from, and its flash file, to be closed at the end.
    """

    pen: Pen
    serial: str
    seed: int
    file: FlashFile | None = None

    def close(self) -> None:
        """Let go of the flash file, if there is one."""
        if self.file is not None:
            self.file.close()


SwitchOn = Callable[[Wish, Provision, int, FlashImage, bool], Pen]
"""Makes a pen with this provisioning, seed and flash, and switches it on; the last says whether the flash was there
before.
"""


def make(
    wish: Wish, taken: Collection[str] = (), doubtful: Collection[str] = (), switch_on: SwitchOn | None = None
) -> Made:
    """Return the pen, with a serial number that is not `taken`; BadWish, or OSError of the flash file.

    Without `switch_on` it runs the firmware's logic alone.

    One that is `doubtful` (its pen doesn't answer, but may be there) isn't chosen, but can be wished for.

    A new pen has a new cartridge. One from a file that was there is just switched on, with the cartridge that was in
    it: whether that is used up, its journal knows.
    """
    if wish.blank and wish.key is not None:
        raise BadWish("A pen that was never provisioned has no key", "--key", str(wish.key[0]))
    if wish.serial is not None and wish.serial in taken:
        raise BadWish(f"A simulated pen {wish.serial} is running already", "--serial", wish.serial)
    switch_on = switch_on or logic_alone
    if wish.flash is None:
        setup, seed = _setup(wish, {*taken, *doubtful}), wish.seed or 0
        return Made(switch_on(wish, setup, seed, _new_image(wish, setup), False), setup.serial, seed)
    # Drawn at random like a board's: a nonce must never come again, and this flash may have seen others.
    seed = secrets.randbits(32) if wish.seed is None else wish.seed
    try:
        file, setup, used = _flash(wish, wish.flash, taken, doubtful)
    except FlashFileError as error:
        raise BadWish(str(error), "--flash", str(wish.flash)) from None
    try:
        return Made(switch_on(wish, setup, seed, file, used), setup.serial, seed, file)
    except BaseException:
        file.close()
        raise


def _flash(
    wish: Wish, path: Path, taken: Collection[str], doubtful: Collection[str]
) -> tuple[FlashFile, Provision, bool]:
    """Return the flash in a file, its provisioning, and whether the file was there already."""
    try:
        file = open_flash(path)
    except FileNotFoundError:
        setup = _setup(wish, {*taken, *doubtful})
        return create_flash(path, _new_image(wish, setup)), setup, False
    try:
        return file, _setup_there(wish, file, taken, doubtful), True
    except BaseException:
        file.close()
        raise


def _new_image(wish: Wish, setup: Provision) -> FlashImage:
    image = FlashImage()
    if not wish.blank:
        write_provision(image, setup)
    return image


def _setup(wish: Wish, taken: Collection[str]) -> Provision:
    """Return the provisioning of a new pen."""
    setup = default_provision(wish.serial or _free(taken))
    if wish.key is not None:
        setup.key_id, setup.key = wish.key
    return setup


def _free(taken: Collection[str]) -> str:
    """Return the first serial number that is not taken."""
    for number in range(1, _SERIALS_MOST + 1):
        serial = f"SIM-{number:04d}"
        if serial not in taken:
            return serial
    raise BadWish("Every serial number up to SIM-9999 is taken", "--serial", "")


def _setup_there(wish: Wish, file: FlashFile, taken: Collection[str], doubtful: Collection[str]) -> Provision:
    """Return the provisioning in a flash that was there; BadWish when somebody wishes for another one."""
    setup = provision_in(file)
    if setup is None:
        # Never provisioned, or damaged: the firmware will say so.
        return _setup(wish, {*taken, *doubtful})
    if wish.blank:
        raise BadWish(f"{file.path} is the flash of pen {setup.serial}, not of a blank one", "--blank", str(file.path))
    if wish.serial not in (None, setup.serial):
        raise BadWish(f"{file.path} is the flash of pen {setup.serial}", "--serial", str(wish.serial))
    if setup.serial in taken:
        raise BadWish(f"A simulated pen {setup.serial} is running already", "--flash", str(file.path))
    if wish.key not in (None, (setup.key_id, setup.key)):
        has = f"with another key, number {setup.key_id}" if setup.key_id else "without a key"
        raise BadWish(f"The pen in {file.path} was provisioned {has}", "--key", str(file.path))
    return setup


def logic_alone(wish: Wish, setup: Provision, seed: int, image: FlashImage, used: bool) -> World:
    """Switch on a pen that runs the firmware's logic alone."""
    # The same seed draws other nonces for a flash in which something has happened since.
    drawn = int.from_bytes(sha256(image.to_bytes() + b"%d" % seed).digest()[:8], "little") if used else seed
    world = World(seed=drawn, strict=False, build=wish.build, flash=image, setup=setup)
    world.oracle.watch_consent(ConsentRule())
    world.oracle.watch_lease(LeaseRule())
    if not wish.cartridge:
        world.cartridge(False)
    world.power_on()
    world.run_ms(_SETTLED_MS)
    if wish.cartridge and not used:
        world.change_cartridge()
    return world
