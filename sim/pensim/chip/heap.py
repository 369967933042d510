"""MicroPython's objects in the emulated chip's memory, found from outside: by the names of their attributes. Host only.

What is known of the interpreter is how version 1.28 lays things out on a 32-bit machine (object representation A): a
name is a number, its text lies in a pool; an object of a class of ours is four words, the last two of them the length
and the place of a table of name and value by turns; a whole number of up to 30 bits is a word of its own. Nothing is
asked of the interpreter, and nothing in it changes but what a fault changes. What can't be found is CannotBeDone.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from pensim.bench import CannotBeDone

_SRAM = 0x2000_0000
_WORD = 4
_BLOCK = 16
"""The heap is dealt out in such pieces: an object begins at one."""
_POOL_HEADER = 6
"""Words before a pool's row of texts: previous, total length before, room, length, hashes, lengths."""
_TOTAL = 0x7FFF_FFFF
_TABLE_MOST = 128
_SIZE_MOST = 2048


class Heap:
    """The memory of `chip` as it is now. Reading it costs some 30 ms; it is good until the chip goes on."""

    def __init__(self, chip: Any) -> None:
        self._sram = chip.sram
        raw = bytes(chip.sram)
        self._raw = raw
        self._words = struct.unpack(f"<{len(raw) // _WORD}I", raw)

    # --- names -------------------------------------------------------------------------------------------------------
    def name(self, text: str) -> int:
        """Return the word that stands for a name; CannotBeDone when the program knows no such name."""
        pattern = text.encode() + b"\0"
        at = self._raw.find(pattern)
        while at >= 0:
            number = self._number(_SRAM + at)
            if number is not None:
                return number << 3 | 2
            at = self._raw.find(pattern, at + 1)
        raise CannotBeDone(f"there is no name {text!r} in the chip's memory")

    def _number(self, address: int) -> int | None:
        """Return the number of the name whose text lies at an address; None when no pool has one there."""
        for at, word in enumerate(self._words):
            if word != address:
                continue
            # Its place in its pool is not known: the pool's header tells where the row of texts begins.
            for first in range(at, max(_POOL_HEADER, at - 4096), -1):
                _, before, room, length, hashes, _ = self._words[first - _POOL_HEADER : first]
                if hashes == _SRAM + (first + room) * _WORD and at - first < length <= room:
                    return int(before & _TOTAL) + at - first
        return None

    # --- objects -----------------------------------------------------------------------------------------------------
    def objects(self, *names: str) -> Iterator[dict[str, int]]:
        """Yield the objects with attributes of all these names: of each the places of their values, in words."""
        wanted = {self.name(text): text for text in names}
        told: list[dict[str, int]] = []
        for at in range(0, len(self._words) - 3, _BLOCK // _WORD):
            found = self._attributes(at, wanted)
            # What the collector has freed may still hold words that lead to the same table.
            if len(found) == len(wanted) and found not in told:
                told.append(found)
                yield found

    def inside(self, place: int, *names: str) -> dict[str, int]:
        """Return the places of attributes of the object to which the word at `place` leads; CannotBeDone."""
        wanted = {self.name(text): text for text in names}
        at, left = divmod(self._words[place] - _SRAM, _WORD)
        found = {} if left or not 0 <= at <= len(self._words) - 4 else self._attributes(at, wanted)
        if len(found) != len(wanted):
            raise CannotBeDone(f"there is no object with {', '.join(names)} where one should be")
        return found

    def _attributes(self, at: int, wanted: Mapping[int, str]) -> dict[str, int]:
        """Return the wanted attributes of the object whose first word is `at`; nothing where none can be."""
        words = self._words
        used, room, table = words[at + 1] >> 3, words[at + 2], words[at + 3]
        start = (table - _SRAM) // _WORD
        if not len(wanted) <= used <= room <= _TABLE_MOST or table % _WORD or not 0 <= start <= len(words) - 2 * room:
            return {}
        return {wanted[words[key]]: key + 1 for key in range(start, start + 2 * room, 2) if words[key] in wanted}

    # --- values ------------------------------------------------------------------------------------------------------
    def number(self, place: int) -> int:
        """Return the whole number in a word; CannotBeDone for anything else."""
        word = int(self._words[place])
        if not word & 1:
            raise CannotBeDone("what should be a number is none")
        return (word >> 1) - (1 << 31 if word >> 31 else 0)

    def flip_number(self, place: int, bit: int) -> None:
        """Flip a bit (0..29) of the whole number in a word."""
        self.number(place)
        self._flip(place * _WORD * 8 + 1 + bit)

    def bytes_at(self, place: int) -> range:
        """Return where the bytes of the `bytes` object lie to which a word leads, from the memory's beginning."""
        at = (self._words[place] - _SRAM) // _WORD
        if not 0 <= at <= len(self._words) - 4:
            raise CannotBeDone("what should be bytes is none")
        length, data = self._words[at + 2], self._words[at + 3] - _SRAM
        if length > _SIZE_MOST or not 0 <= data <= len(self._raw) - length:
            raise CannotBeDone("what should be bytes is none")
        return range(data, data + length)

    def flip_byte(self, place: int, bit: int) -> None:
        """Flip a bit (0..7) of a byte."""
        self._flip(place * 8 + bit)

    def _flip(self, bit: int) -> None:
        self._sram[bit // 8] ^= 1 << bit % 8
