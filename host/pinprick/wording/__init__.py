"""What every code means to a person: what happened, whether the client is safe, what to do next. Host only; tables.

The pen sends codes and integers alone, the words are here. One entry for each code of `pencore.faults` and each of the
tool's own (`pinprick.errors`); a test holds the lists equal. Nothing here is medical advice, and none of it speaks of
what the treatment does.
"""

from pinprick.wording.pen import PEN
from pinprick.wording.shape import Wording
from pinprick.wording.tool import TOOL

__all__ = ["FAMILIES", "NO_PEN", "WORDING", "Wording", "family", "of"]

WORDING = PEN | TOOL
"""Code -> Wording, in the order of the codes."""

FAMILIES = {
    1: "the line between computer and pen",
    2: "the profile's form",
    3: "limits of depth, strokes and rate",
    4: "course and cartridge",
    5: "state of the pen and the session",
    6: "the pen's memory and its records",
    7: "motion",
    8: "signature and time",
    9: "inside the pen or the tool",
    10: "files",
    11: "the profile file's form",
    12: "the command line",
    13: "finding a pen, comparing with it",
    14: "scenario files",
    15: "boards and what goes onto them",
}
"""First digits of a code (code // 100) -> what the family is about."""

NO_PEN = frozenset({10, 11, 12})
"""Families that no pen has to do with: whether the client is safe goes without saying."""

_UNHEARD_OF = Wording(
    "The pen sent a code that this version of the tool does not know.",
    "Lift the pen off the skin and see that the needles are inside the nose piece.",
    "Update the tool: the pen's firmware is newer.",
)


def of(code: int) -> Wording:
    """Return the wording of `code`; a general one for a code that only a newer pen can have sent."""
    return WORDING.get(code, _UNHEARD_OF)


def family(code: int) -> str:
    """Return what the family of `code` is about ("motion"); "" for a code outside every family."""
    return FAMILIES.get(code // 100, "")
