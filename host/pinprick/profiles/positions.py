"""Where things stand in a TOML text: the line and column of every key, table and array element. Host only; pure.

tomllib gives values without places and tomlkit hides its places, so this module walks the text once more. It only ever
sees text that tomllib has accepted, and so it recognises shapes (strings, brackets, comments) without judging them.
Allocates one Place per key.
"""

import tomllib
from collections.abc import Mapping
from typing import NamedTuple

Path = tuple[str | int, ...]
"""A place in the document: keys and, inside arrays, indexes from 0: ("zone", 3, "depth_mm")."""


class Place(NamedTuple):
    """A line and a column of the text, both counted from 1."""

    line: int
    column: int


def positions(text: str) -> Mapping[Path, Place]:
    """Return the place of every key, table header and array element of `text`, a TOML document that tomllib accepts.

    A table that dotted keys or deeper headers only imply stands where it is first implied.
    """
    walker = _Walker(text)
    walker.document()
    return walker.places


def path_text(path: Path) -> str:
    """Return a path as people read it: `zone[3].depth_mm`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


class _Walker:
    """One pass over the text; `places` grows as it goes."""

    def __init__(self, text: str) -> None:
        # tomllib reads CR LF as LF, and no column counts the CR.
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.places: dict[Path, Place] = {}
        self._arrays: dict[Path, int] = {}
        self._line = 1
        self._line_start = 0
        self._counted = 0

    def document(self) -> None:
        """Walk the whole text."""
        table: Path = ()
        while self._skip(" \t\n"):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        """Walk `[a.b]` or `[[a.b]]`; return the path of the table that it opens."""
        place = self._place()
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = [key for key, _ in self._key()]
        self.at += 2 if is_array else 1
        path: Path = ()
        for depth, key in enumerate(keys, start=1):
            path += (key,)
            self.places.setdefault(path, place)
            if is_array and depth == len(keys):
                index = self._arrays.get(path, 0)
                self._arrays[path] = index + 1
                path += (index,)
            elif path in self._arrays:
                path += (self._arrays[path] - 1,)
            self.places.setdefault(path, place)
        if not is_array:
            # `[a]` after `[a.b]`: the table's own header says better where it is than the one that implied it.
            self.places[path] = place
        return path

    def _pair(self, table: Path) -> None:
        """Walk `key = value`, the key perhaps dotted."""
        path = table
        for key, place in self._key():
            path += (key,)
            self.places.setdefault(path, place)
        self._skip(" \t")
        self.at += 1
        self._skip(" \t")
        self._value(path)

    def _key(self) -> list[tuple[str, Place]]:
        """Walk a key up to what ends it; return its dotted parts, each with its place."""
        parts: list[tuple[str, Place]] = []
        while True:
            self._skip(" \t", comments=False)
            place = self._place()
            start = self.at
            if self.text[start] in "\"'":
                self._string()
                raw = self.text[start : self.at]
                parts.append((str(tomllib.loads(f"key = {raw}")["key"]), place))
            else:
                while self.text[self.at].isalnum() or self.text[self.at] in "_-":
                    self.at += 1
                parts.append((self.text[start : self.at], place))
            self._skip(" \t", comments=False)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def _value(self, path: Path) -> None:
        char = self.text[self.at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._array(path)
        elif char == "{":
            self._inline_table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self._skip(" \t\n,") and self.text[self.at] != "]":
            self.places[(*path, index)] = self._place()
            self._value((*path, index))
            index += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self._skip(" \t\n,") and self.text[self.at] != "}":
            self._pair(path)
        self.at += 1

    def _string(self) -> None:
        """Walk a string of any of the four kinds."""
        quote = self.text[self.at]
        long = self.text.startswith(quote * 3, self.at)
        end = quote * 3 if long else quote
        self.at += len(end)
        while not self.text.startswith(end, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(end)
        # A long string may end in up to two quotes of its own right before the closing three.
        while long and self.text.startswith(quote, self.at):
            self.at += 1

    def _skip(self, blanks: str, comments: bool = True) -> bool:
        """Go past `blanks` and comments; return whether there is text left."""
        while self.at < len(self.text):
            if self.text[self.at] in blanks:
                self.at += 1
            elif comments and self.text[self.at] == "#":
                while self.at < len(self.text) and self.text[self.at] != "\n":
                    self.at += 1
            else:
                return True
        return False

    def _place(self) -> Place:
        """Return where the walk stands; called with growing positions only, so that counting lines stays linear."""
        while (end := self.text.find("\n", self._counted, self.at)) >= 0:
            self._line += 1
            self._line_start = self._counted = end + 1
        self._counted = self.at
        return Place(self._line, self.at - self._line_start + 1)
