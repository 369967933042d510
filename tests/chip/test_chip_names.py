"""The names in a running pen's memory are those that its files bring, and no others: the account of `make sizes`.

MicroPython never forgets a name. Whatever made some of what a host sends would fill the pools while a pen is at work.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from pencore import wire
from pensim.chip.copies import in_copy
from pinprick.board.build import Build
from tests.architecture import names
from tests.chip.bench import ChipBench
from tests.support import profiles

pytestmark = pytest.mark.chip

_SRAM = 0x2000_0000
_FLASH = 0x1000_0000
_WORD = 4
# Words of qstr_pool_t (py/qstr.h of 1.28).
_BEFORE, _ROOM, _TAKEN, _HASHES, _LENGTHS, _FIRST = 0, 2, 3, 4, 5, 6


class Pools:
    """MicroPython's pools of names on `chip`, found by what must hold of each: its tables follow one another."""

    def __init__(self, chip: Any) -> None:
        self._memory = bytes(chip.sram)
        self._flash = bytes(chip.flash)
        words = memoryview(self._memory[: len(self._memory) // _WORD * _WORD]).cast("I")
        found = {}
        for at in range(len(words) - _FIRST):
            room = words[at + _ROOM]
            hashes = _SRAM + (at + _FIRST + room) * _WORD
            if words[at + _HASHES] == hashes and words[at + _LENGTHS] == hashes + room:
                found[words[at + _TAKEN], room] = at * _WORD + _SRAM
        self.rooms = sorted(room for _, room in found)
        self.made = {name for at in found.values() for name in self._names(at)}
        """The names in the heap's pools."""
        before = min(self._word(at + _BEFORE * _WORD) for at in found.values())
        self.given: set[str] = set()
        """Those in the image's."""
        while before:
            self.given |= set(self._names(before))
            before = self._word(before + _BEFORE * _WORD)

    def _read(self, at: int, size: int) -> bytes:
        memory, begin = (self._memory, _SRAM) if at >= _SRAM else (self._flash, _FLASH)
        return memory[at - begin : at - begin + size]

    def _word(self, at: int) -> int:
        return int.from_bytes(self._read(at, _WORD), "little")

    def _names(self, pool: int) -> Iterator[str]:
        lengths = self._read(self._word(pool + _LENGTHS * _WORD), self._word(pool + _TAKEN * _WORD))
        for number, length in enumerate(lengths):
            yield self._read(self._word(pool + (_FIRST + number) * _WORD), length).decode()


def test_a_pen_that_strokes_has_the_names_of_its_files_and_no_others(running_pen: ChipBench, firmware: Build) -> None:
    pools = Pools(running_pen.emulator.chip)
    brought = names.brought(firmware)
    assert pools.made == brought - pools.given
    assert pools.rooms == [names.FIRST_POOL << number for number in range(names.POOLS)]
    # What is listed as the image's is.
    assert names.in_image() == brought & pools.given


def test_what_a_host_sends_makes_no_name(safe_pen: ChipBench) -> None:
    def trial() -> None:
        pen = safe_pen
        before = Pools(pen.emulator.chip).made
        texts = ("~}|{zyxwvutsrqpo", "nmlkjihgfedcba`_", "^][ZYXWVUTSRQPON", "MLKJIHGFEDCBA@?>", "=<;:9876543210/.")
        for text in texts:
            pen.ask("hello", protocol_major=1, protocol_minor=0, client=text)
        for text in (*texts, "-,+*)('&%$#!"):
            pen.send(b'{"method":"%b"}\n' % text.encode())
            pen.run_ms(20)
        pen.hello()
        pen.load_new(((profiles.CHEEK, profiles.RIGHT, 300, 10, 20),))
        assert pen.state() == wire.LOADED
        assert Pools(pen.emulator.chip).made == before

    in_copy(trial)
