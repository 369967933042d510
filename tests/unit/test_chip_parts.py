"""Parts of the emulated pen that need no image: faults inside the chip, and the firmware put into a flash."""

from types import SimpleNamespace
from typing import Any

import pytest

from pensim.bench import CannotBeDone
from pensim.chip.files import NoFiles, files_in, image_of
from pensim.chip.inside import ChipReset, PadFault, flip_table_bit
from pensim.chip.making import put_firmware
from pensim.clock import TICKS_PER_MS, VirtualClock
from pensim.flash import FlashImage

FEED = 0x50200010
TABLE_AT = 0x100
WORDS = 10


# --- edges between the stroke program and the pad ---------------------------------------------------------------------
class Pad:
    """A pad with a fault before it; `rises` counts what comes out."""

    def __init__(self, times: int) -> None:
        self.clock = VirtualClock()
        self.rises = 0
        self.level = 0
        self.asked: list[int] = []
        self.fault = PadFault(self._edges, self.clock, lambda: 1, self._look)
        self._times = times
        self._driven = 0

    def _edges(self, direction: int) -> tuple[int, ...]:
        self.asked.append(direction)
        return (direction,) * self._times

    def _look(self) -> None:
        level = self.fault.made(self._driven)
        self.rises += level > self.level
        self.level = level

    def pulse(self, high: int = TICKS_PER_MS // 2, low: int = 200) -> None:
        """Make a step, of half a millisecond and high for most of it."""
        for driven, ticks in ((1, high), (0, low)):
            self._driven = driven
            self._look()
            self.clock.advance(ticks)


@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_each_edge_comes_so_many_times(times: int) -> None:
    pad = Pad(times)
    for _ in range(3):
        pad.pulse()
        assert pad.level == 0, "low when what drives it is"
    assert pad.asked == [1, 1, 1]
    assert pad.rises == 3 * times


def test_what_is_owed_to_a_step_that_was_too_short_is_not_made_up_for_in_the_next() -> None:
    pad = Pad(2)
    pad.pulse(high=200, low=100)
    pad.pulse()
    assert pad.rises == 1 + 2


# --- the stroke table, by the registers of the DMA channels -----------------------------------------------------------
def chip(done: int, last: bytes = bytes(4), write: int = FEED) -> Any:
    """Return a chip whose second channel has played `done` of the words of a table."""
    sram = bytearray(0x1000)
    end = TABLE_AT + 4 * WORDS
    sram[TABLE_AT:end] = b"\x11" * (4 * WORDS)
    sram[end - 4 : end] = last
    registers = {0x40: 0x20000000 + TABLE_AT + 4 * done, 0x44: write, 0x48: WORDS - done, 0x844: WORDS}
    return SimpleNamespace(sram=sram, dma=SimpleNamespace(read_uint32=lambda offset: registers.get(offset, 0)))


@pytest.mark.parametrize("done", [0, 3, WORDS])
def test_a_bit_of_the_table_flips_wherever_the_transfer_is(done: int) -> None:
    found = chip(done)
    flip_table_bit(found, 37)
    assert found.sram[TABLE_AT + 4] == 0x11 ^ 1 << 5
    flip_table_bit(found, 37 + 32 * WORDS)
    assert found.sram == chip(done).sram, "beyond the end it begins anew"


@pytest.mark.parametrize("found", [chip(3, last=b"\x11\0\0\0"), chip(3, write=0x50200024)])
def test_without_a_stroke_nothing_tells_where_the_table_is(found: Any) -> None:
    before = bytes(found.sram)
    with pytest.raises(CannotBeDone, match="no stroke"):
        flip_table_bit(found, 0)
    assert found.sram == before


def test_what_reset_the_chip_is_told_in_words() -> None:
    assert str(ChipReset(True, 4012)) == "the watchdog was not fed; reset at 4,012 ms"
    assert str(ChipReset(False, 5)) == "the firmware ended; reset at 5 ms"


# --- the firmware in a flash ------------------------------------------------------------------------------------------
MEMORY = {"ledger.bin": b"journal", "prov.bin": b"set up", "witness/a": b"1"}
NEW = {"boot.py": b"new", "pencore/a.mpy": b"a", "manifest.txt": b"list"}


def test_the_code_is_brought_in_line_and_the_memory_stays() -> None:
    old = {"boot.py": b"old", "pencore/gone.mpy": b"g", "stray.py": b"s", "manifest.txt": b"list"}
    flash = FlashImage.from_bytes(image_of({**MEMORY, **old}))
    put_firmware(flash, NEW)
    assert files_in(flash.to_bytes()) == {**MEMORY, **NEW}


def test_a_flash_that_has_it_is_not_touched() -> None:
    flash = FlashImage.from_bytes(image_of({**MEMORY, **NEW}))
    changed = []
    flash.changed = lambda block, _data: changed.append(block)
    put_firmware(flash, NEW)
    assert changed == []


def test_an_erased_flash_gets_a_file_system_first_as_the_stock_image_makes_one() -> None:
    flash = FlashImage()
    put_firmware(flash, NEW)
    assert files_in(flash.to_bytes()) == NEW


def test_a_flash_that_holds_something_else_is_refused_and_left_alone() -> None:
    flash = FlashImage.from_bytes(b"other" + FlashImage().to_bytes()[5:])
    with pytest.raises(NoFiles):
        put_firmware(flash, NEW)
    assert flash.to_bytes().startswith(b"other\xff")
