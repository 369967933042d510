"""What a planted bug is. Host only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A bug: in `file` of pencore each `old` text, which stands there once, becomes `new`; `test` has to fail."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    test: str


def one(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    """Return the bug of one place: in `file` the text `old` becomes `new`; `test` has to fail."""
    return Mutant(name, file, ((old, new),), test)
