"""Which MicroPython an emulated chip runs: found, read, compared with image.lock, told of in every report. Host only.

An image that isn't, by its SHA-256, the one of image.lock runs only for who names that very SHA-256, and every report
says that it was so. While the lock knows no SHA-256, that is so of any image.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pinprick.board import image as images
from pinprick.cli.output import Output
from pinprick.errors import IMAGE_BAD, USAGE, InputError, PinprickError

if TYPE_CHECKING:
    from pensim.chip.image import Image

UF2_VARIABLE = "PINPRICK_UF2"
ALLOW_VARIABLE = "PINPRICK_UF2_ALLOW_HASH"

Uf2Option = Annotated[
    Path | None,
    typer.Option(
        "--uf2",
        metavar="FILE",
        envvar=UF2_VARIABLE,
        show_default=False,
        help="The stock MicroPython image, a .uf2 file; `pinprick board image` tells where to get it.",
        readable=False,
    ),
]


@dataclass(frozen=True, slots=True)
class ChosenImage:
    """An image that may run; `official`: it is the one of image.lock, and not only allowed."""

    path: Path
    image: images.Image
    official: bool

    def fields(self) -> dict[str, Any]:
        """Return what programs are told of it."""
        return {"path": self.path, "sha256": self.image.sha256, "says": self.image.version, "official": self.official}

    def tell(self, out: Output) -> None:
        """Say what runs; of one that is only allowed, that it is."""
        out.result(image=self.fields())
        says = f"MicroPython {self.image.version}" if self.image.version else "nothing of MicroPython"
        out.say(f"Image {self.path}, which says of itself: {says}.", style="dim")
        if not self.official:
            warning = f"NOT COMPARED WITH THE OFFICIAL IMAGE, allowed by {ALLOW_VARIABLE}: SHA-256 {self.image.sha256}"
            out.say(Text(warning, "bold yellow"))

    def for_chip(self) -> "Image":
        """Return it as the emulated chip takes it; InputError IMAGE_BAD when it has no room there."""
        from pensim.chip.image import Image

        try:
            return Image(self.path, self.image.sha256, self.image.flash)
        except ValueError as error:
            raise InputError(IMAGE_BAD, f"{error}.", field="--uf2", given=str(self.path)) from None


def chosen(path: Path | None) -> ChosenImage:
    """Return the image in a file.

    Raises InputError USAGE when none is named, what `images.from_file` raises, and IMAGE_UNKNOWN or IMAGE_DIFFERS for
    one that isn't the lock's and whose SHA-256 nobody allows.
    """
    if path is None:
        lock = images.locked()
        message = f"The emulated chip runs the stock image of {lock}, and none is named."
        hint = f"Get the .uf2 file of {lock.version} from {lock.page} and name it: --uf2 FILE, or in {UF2_VARIABLE}."
        raise InputError(USAGE, message, field="--uf2", hint=hint)
    found = images.from_file(path, "--uf2")
    try:
        images.compare(found, images.locked())
    except PinprickError as error:
        allowed = os.environ.get(ALLOW_VARIABLE, "").strip().lower()
        if allowed != found.sha256:
            other = f" (it names another one now: {allowed})" if allowed else ""
            hint = (
                f"To run it all the same, on your own word: {ALLOW_VARIABLE}={found.sha256}{other}; in PowerShell"
                f" $env:{ALLOW_VARIABLE} = '{found.sha256}'"
            )
            raise type(error)(
                error.code, error.message, field=error.field, given=error.given, limit=error.limit, hint=hint
            ) from None
        return ChosenImage(path, found, False)
    return ChosenImage(path, found, True)
