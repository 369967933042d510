"""The names that the firmware brings into MicroPython's pools, counted from the files that are flashed. Host only.

MicroPython keeps each name once, in pools that double: after the image's own, which cost nothing, come 20 in the heap,
then 40, then 80. Loading a module makes names of all that its code looks up by name, of its short texts, and of its own
path. A chip test holds this account against the pools of a running pen.
"""

import io
import keyword
import tokenize
import tomllib
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pinprick.board.build import PLAIN, Build

FOLDER = Path(__file__).parent
IMAGE_NAMES = FOLDER / "image_names.txt"
POOLS: int = tomllib.loads((FOLDER / "budgets.toml").read_text(encoding="utf-8"))["names"]["pools"]
FIRST_POOL = 20
_SHORT_TEXT = 10
"""Texts in a source of up to so many characters become names (MICROPY_ALLOC_PARSE_INTERN_STRING_LEN)."""
_HEADER = 4
_STATIC = 1


def in_image() -> frozenset[str]:
    """Return the names of ours that the image has, as they are listed: one that isn't costs a place here, and none on a
    pen, until a chip test asks for it.
    """
    return frozenset(IMAGE_NAMES.read_text(encoding="utf-8").splitlines())


def room(pools: int) -> int:
    """Return how many names there is room for in so many pools."""
    return sum(FIRST_POOL << number for number in range(pools))


def new(built: Build) -> set[str]:
    """Return the names that a build puts into the heap's pools."""
    return brought(built) - in_image()


def brought(built: Build) -> set[str]:
    """Return the names that loading all files of a build makes, those that the image has among them."""
    found: set[str] = set()
    for path, data in built.files.items():
        if path in PLAIN:
            found |= {path, *_in_source(data.decode())}
        else:
            found |= {path, *_of_module(path), *_in_compiled(data)}
    return found


def _of_module(path: str) -> Iterator[str]:
    """Yield the names of a module that is imported by its path, and of the packages around it."""
    parts = PurePosixPath(path).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])
        yield parts[count - 1]


def _in_compiled(data: bytes) -> Iterator[str]:
    """Yield the names in an .mpy file (version 6), but for those with fixed numbers, which every image has."""
    if data[:2] != b"M\x06":
        raise ValueError("no .mpy file of version 6")
    count, at = _number(data, _HEADER)
    _, at = _number(data, at)
    for _ in range(count):
        length, at = _number(data, at)
        if not length & _STATIC:
            length >>= 1
            yield data[at : at + length].decode()
            at += length + 1


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, the highest first, and the place behind it."""
    value = 0
    while True:
        byte = data[at]
        value = value << 7 | byte & 0x7F
        at += 1
        if byte < 0x80:
            return value, at


def _in_source(source: str) -> Iterator[str]:
    """Yield the names that compiling a source on the pen makes."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            yield token.string
        elif token.type == tokenize.STRING:
            text = literal_eval(token.string)
            if isinstance(text, str) and 0 < len(text) <= _SHORT_TEXT:
                yield text
