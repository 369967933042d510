"""What can be done to a pen that is spoken to: pieces that are said, rows that are sent, hands. Host only.

Nothing here knows a pen, so that any part of a list of acts can be played again.
"""

from dataclasses import dataclass

from tests.campaigns.lines_grammar import Piece


class Broken(Exception):
    """The pen did what no pen may do."""


@dataclass(frozen=True)
class Say:
    """A piece goes into the row that is sent next."""

    piece: Piece

    def __str__(self) -> str:
        return f"say {self.piece}"


@dataclass(frozen=True)
class Send:
    """The row is sent: all at once, or in packets of so many bytes; `deaf`: by a host that doesn't read. `foreign`: of
    another boot's nonce, and nothing legal comes for so long.
    """

    packet: int = 0
    gap_ms: int = 0
    deaf: bool = False
    foreign_ms: int = 0

    def __str__(self) -> str:
        packets = f" in packets of {self.packet} bytes, {self.gap_ms} ms apart" if self.packet else ""
        foreign = f" with a foreign nonce, for {self.foreign_ms} ms" if self.foreign_ms else ""
        return f"send{packets}{foreign}{' and do not read' if self.deaf else ''}"


@dataclass(frozen=True)
class Hand:
    """Somebody does something to the pen: press, release, power (off and on), wait; or a host that doesn't wait for
    answers lets a stop overtake them.
    """

    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Load:
    """The host changes the cartridge and loads a profile, good or spoilt, drawn from a number."""

    number: int
    spoilt: bool = False

    def __str__(self) -> str:
        return f"load {'spoilt ' if self.spoilt else ''}profile {self.number}"


Act = Say | Send | Hand | Load
