"""The stock MicroPython that an emulated chip runs: which file it came from, and its bytes. Host only.

What a UF2 file holds, and whether it is the image that pens run, is known to the host's tool, which says so of any
file it is given; here its bytes are only put where the boot ROM expects them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from rp2040py.rp2040 import RP2040

from pensim.chip.flash import FILES_AT


@dataclass(frozen=True, slots=True)
class Image:
    """A program for the chip: its file, that file's SHA-256, and its bytes from the flash's beginning.

    ValueError for one that is empty or reaches into the file system.
    """

    path: Path
    sha256: str
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.data) <= FILES_AT:
            raise ValueError(
                f"{self.path} puts {len(self.data):,} bytes into flash; there is room for 1 to {FILES_AT:,}"
                " before the file system"
            )

    def put_into(self, mcu: RP2040) -> None:
        """Write it into the chip's flash, where nothing else lies."""
        mcu.flash[: len(self.data)] = self.data
