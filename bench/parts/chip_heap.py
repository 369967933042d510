"""MicroPython's heap looked at from outside, in an emulated chip's memory: what is free, what was allocated. Host only.

Nothing is added to the firmware, so nothing is measured along with it. The heap's own account is found by what must
hold of it: a table of two bits for each block of 16 bytes, and a pool of just as many blocks right behind it. What a
collection would leave is marked here as MicroPython does it, but from every word of the memory that isn't heap: all
that MicroPython itself begins from, and more, so that the figure is never too good.
"""

from typing import Any

BLOCK = 16
_SRAM = 0x2000_0000
_WORD = 4
_FREE, _HEAD, _TAIL = 0, 1, 2
# Words of mp_state_mem_t (py/mpstate.h of 1.28, one area): the area's head, and whether and what is collected.
_TABLE, _TABLE_BYTES, _POOL, _POOL_END = 0, 1, 3, 4
_AUTO_COLLECT, _ALLOCATED = 40, 41
_PER_BYTE = 4


class NoHeap(Exception):
    """No heap is found where one should be."""


class Heap:
    """The heap of MicroPython that runs on `chip`, found once; NoHeap unless there is just one candidate."""

    def __init__(self, chip: Any) -> None:
        self._sram = chip.sram
        words = self._words()
        self._at = _found(words)
        self._table = words[self._at + _TABLE] - _SRAM
        self._length = words[self._at + _TABLE_BYTES]
        self._pool = words[self._at + _POOL]

    def _words(self) -> memoryview:
        memory = bytes(self._sram)
        return memoryview(memory[: len(memory) // _WORD * _WORD]).cast("I")

    def size(self) -> int:
        """Return its bytes, free or not."""
        return self._length * _PER_BYTE * BLOCK

    def allocated(self) -> int:
        """Return the bytes allocated since the last collection; any that were freed again since then are in it."""
        at = (self._at + _ALLOCATED) * _WORD
        return int.from_bytes(self._sram[at : at + _WORD], "little") * BLOCK

    def _kinds(self) -> bytearray:
        """Return what each block is: free, a head, a tail of the block before."""
        kinds = bytearray()
        for byte in bytes(self._sram[self._table : self._table + self._length]):
            kinds += bytes((byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6))
        return kinds

    def free(self) -> int:
        """Return the bytes that are free now, as `gc.mem_free()` counts them: what a collection would free is not."""
        return self._kinds().count(_FREE) * BLOCK

    def free_when_collected(self) -> tuple[int, int]:
        """Return the bytes that would be free after a collection now, and those of the longest piece of them."""
        kinds, words = self._kinds(), self._words()
        kept = bytearray(len(kinds))
        first, last = (self._pool - _SRAM) // _WORD, (self._pool - _SRAM + len(kinds) * BLOCK) // _WORD
        waiting = [*words[:first], *words[last:]]
        while waiting:
            block, rest = divmod(waiting.pop() - self._pool, BLOCK)
            if rest or not 0 <= block < len(kinds) or kept[block] or kinds[block] != _HEAD:
                continue
            end = block + 1
            while end < len(kinds) and kinds[end] == _TAIL:
                end += 1
            kept[block:end] = b"\x01" * (end - block)
            begin = first + block * BLOCK // _WORD
            waiting += words[begin : begin + (end - block) * BLOCK // _WORD]
        pieces = bytes(kept).split(b"\x01")
        return sum(map(len, pieces)) * BLOCK, max(map(len, pieces)) * BLOCK


def _found(words: memoryview) -> int:
    """Return where the heap's account stands, in words."""
    end = _SRAM + len(words) * _WORD
    places = []
    for at in range(len(words) - _ALLOCATED):
        table, length, pool, pool_end = (words[at + index] for index in (_TABLE, _TABLE_BYTES, _POOL, _POOL_END))
        if (
            length
            and _SRAM <= table < pool < pool_end <= end
            and pool_end - pool == length * _PER_BYTE * BLOCK
            and words[at + _AUTO_COLLECT] == 1
        ):
            places.append(at)
    if len(places) != 1:
        raise NoHeap(f"{len(places)} places look like the account of a heap")
    return places[0]
