"""What a planted bug is. Host only."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Mutant:
    """A bug: in `file` of pencore each `old` text, which stands there once, becomes `new`; `test` has to fail."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    test: str

    @property
    def module(self) -> str:
        """The module's file, without the folders that lead there."""
        return PurePosixPath(self.file).name

    def planted(self, text: str) -> str:
        """Return the file's `text` with the bug in it; ValueError when a place of it isn't there, or is twice."""
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {self.file} holds {text.count(old)} times: {old}")
            text = text.replace(old, new)
        return text

    def row(self) -> str:
        """Return the line of the table that a page shows."""
        return f"| {self.name} | `{self.module}` | `{self.test.rpartition('::')[2]}` |"


def one(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    """Return the bug of one place: in `file` the text `old` becomes `new`; `test` has to fail."""
    return Mutant(name, file, ((old, new),), test)
