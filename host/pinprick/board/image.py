"""The stock MicroPython that a pen's board runs: which one it has to be, and what a downloaded file is. Host only.

`firmware/image.lock` names it. As long as the official file's SHA-256 isn't in there, nothing here says of any file
that it is the right one: a file's own words (it holds its version as text) are shown, and vouch for nothing.
"""

import re
import struct
import tomllib
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from pinprick.errors import (
    FILE_MISSING,
    FILE_TOO_BIG,
    FILE_UNREADABLE,
    IMAGE_BAD,
    IMAGE_DIFFERS,
    IMAGE_UNKNOWN,
    InputError,
    Mismatch,
    PinprickError,
)
from pinprick.files import TooBig, read_bounded
from pinprick.firmware import image_lock

UNKNOWN = "unknown"
"""What stands in the lock for what nobody has looked up yet."""
IMAGE_MOST = 8_000_000
"""Most bytes of a file that is read as an image; a Pico's flash, as UF2, is half of that."""

_BLOCK = 512
_HEAD = struct.Struct("<8I")
_MAGIC = (0x0A324655, 0x9E5D5157)
_END = 0x0AB16F30
_NOT_FLASHED = 0x1
_WITH_FAMILY = 0x2000
_RP2040 = 0xE48BFF56
_PAGE = 256
_FLASH = range(0x10000000, 0x10000000 + 2 * 1024 * 1024)
_SAYS = re.compile(rb"MicroPython v(\d[\w.+-]*) on (\d{4}-\d\d-\d\d)")
_MACHINE = b"Raspberry Pi Pico with RP2040"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Lock:
    """The image that pens run: MicroPython's name of the board, its release, the official file's name and SHA-256 (64
    hex digits; either is "" while it isn't known), and the page it is offered on."""

    board: str
    version: str
    file: str
    sha256: str
    page: str

    def __str__(self) -> str:
        return f"MicroPython {self.version} for {self.board}"


@dataclass(frozen=True, slots=True)
class Image:
    """A file that is an image for the RP2040: its SHA-256, the bytes it puts into flash from its beginning on, and what
    it says of itself ("1.28.0", "" when it says nothing)."""

    sha256: str
    flash: bytes = field(repr=False)
    version: str
    built: str
    for_pico: bool

    @property
    def size(self) -> int:
        """Bytes of flash it fills."""
        return len(self.flash)


def parsed(text: str) -> Lock:
    """Return what the text of an image.lock says; PinprickError IMAGE_UNKNOWN when it is no such text."""
    try:
        fields = tomllib.loads(text)["image"]
        lock = Lock(*(str(fields[name]) for name in ("board", "version", "file", "sha256", "page")))
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise PinprickError(IMAGE_UNKNOWN, f"image.lock cannot be read: {error}.") from None
    if lock.sha256 != UNKNOWN and not _SHA256.fullmatch(lock.sha256):
        raise PinprickError(IMAGE_UNKNOWN, "The SHA-256 in image.lock is none.", field="sha256", given=lock.sha256)
    file, digest = ("" if value == UNKNOWN else value for value in (lock.file, lock.sha256))
    return Lock(lock.board, lock.version, file, digest, lock.page)


@cache
def locked() -> Lock:
    """Return what this tool's image.lock says."""
    return parsed(image_lock())


def read(data: bytes) -> Image:
    """Return what the bytes of a UF2 file are; InputError IMAGE_BAD when they are no whole image for an RP2040."""
    count = _blocks(data)
    flash = bytearray()
    due = _FLASH.start
    for number in range(count):
        block = data[number * _BLOCK : (number + 1) * _BLOCK]
        first, second, flags, address, size, index, blocks, family = _HEAD.unpack_from(block)
        if (first, second) != _MAGIC or block[-4:] != struct.pack("<I", _END):
            raise _bad(f"block {number} lacks the marks of UF2")
        if flags & _NOT_FLASHED or not flags & _WITH_FAMILY or family != _RP2040:
            raise _bad(f"block {number} is not for the RP2040")
        if (index, blocks, size) != (number, count, _PAGE):
            raise _bad(f"block {number} of {count} is missing or out of order")
        if address != due or address not in _FLASH:
            raise _bad(f"block {number} goes to the wrong place")
        flash += block[_HEAD.size : _HEAD.size + size]
        due += size
    said = _SAYS.search(flash)
    return Image(
        sha256(data).hexdigest(),
        bytes(flash),
        said[1].decode() if said else "",
        said[2].decode() if said else "",
        _MACHINE in flash,
    )


def _blocks(data: bytes) -> int:
    """Return how many blocks there are; InputError IMAGE_BAD when that isn't as many as there have to be."""
    if not data:
        raise _bad("it is empty")
    if not data.startswith(struct.pack("<2I", *_MAGIC)):
        raise _bad("it does not begin as a UF2 file does")
    count, rest = divmod(len(data), _BLOCK)
    wanted = _HEAD.unpack(data[: _HEAD.size])[6] if count else 0
    if not count or count < wanted:
        raise _bad(f"it is cut short, after {count:,} of {wanted:,} blocks" if wanted else "it is cut short")
    if rest:
        raise _bad(f"{rest} bytes come after its {count:,} blocks")
    return count


def from_file(path: Path, field: str = "FILE") -> Image:
    """Return what a UF2 file is; InputError at `field`, as `read` or for a file that can't be read."""
    try:
        return read(read_bounded(path, IMAGE_MOST))
    except TooBig:
        raise InputError(FILE_TOO_BIG, f"{path} is far bigger than an image for a Pico.", field=field) from None
    except FileNotFoundError:
        raise InputError(FILE_MISSING, f"There is no file {path}.", field=field) from None
    except OSError as error:
        raise InputError(FILE_UNREADABLE, f"{path} cannot be read: {error.strerror or error}.", field=field) from None
    except InputError as bad:
        raise InputError(bad.code, bad.message, field=field, given=str(path)) from None


def compare(image: Image, lock: Lock) -> None:
    """Return only if `image` is, by its SHA-256, the one that `lock` names.

    Raises IMAGE_UNKNOWN when the lock knows no SHA-256 (then no file is the right one), Mismatch IMAGE_DIFFERS when
    it is another.
    """
    if not lock.sha256:
        message = (
            f"The SHA-256 of the official image ({lock}) is not in image.lock yet, so this file was compared with"
            " nothing."
        )
        raise PinprickError(IMAGE_UNKNOWN, message, field="sha256", given=image.sha256)
    if image.sha256 != lock.sha256:
        message = f"This is not the official image of {lock}."
        raise Mismatch(IMAGE_DIFFERS, message, field="sha256", given=image.sha256, limit=lock.sha256)


def _bad(why: str) -> InputError:
    return InputError(IMAGE_BAD, f"This is no image for an RP2040: {why}.", field="FILE")
