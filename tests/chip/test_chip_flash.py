"""The emulated chip's flash: commands as the boot ROM gives them take their time, and a cut leaves what a board has."""

import errno
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rp2040py.boards import build_rp2040

from pensim import faults
from pensim.bench import Bench
from pensim.chip.files import NoFiles, files_in, image_of, with_files
from pensim.chip.flash import FILES_AT, SIZE, ChipFlash, OutsideFiles
from pensim.chip.image import Image
from pensim.faults.flash import FlashFailsWrites
from pensim.flash import (
    BLOCK_SIZE,
    PROGRAM_SIZE,
    WORST_TIMING,
    FlashDevice,
    FlashImage,
    FlashTiming,
    Operation,
    SimStore,
    Torn,
)
from tests.chip.console import Console

SSI = 0x18000000
ENABLE, RECEIVED, DATA = SSI + 0x08, SSI + 0x24, SSI + 0x60
CHIP_SELECT = 0x4001800C
LOW, HIGH = 2 << 8, 3 << 8
XIP = 0x10000000
BLOCK = 5
AT = FILES_AT + BLOCK * BLOCK_SIZE
MARKS = bytes(range(256)) * 16


class Bus:
    """A chip whose flash is given commands through its registers, as the boot ROM does, with a clock moved by hand."""

    def __init__(self, image: FlashImage | None = None, timing: FlashTiming | None = None) -> None:
        self.mcu: Any = build_rp2040("pico")
        self.flash = ChipFlash(self.mcu, image, timing, unique_id=b"PINPRICK")
        self.image = self.flash.image
        self.mcu.write_uint32(ENABLE, 1)
        self.mcu.write_uint32(CHIP_SELECT, HIGH)

    def command(self, *sent: int) -> list[int]:
        """Give a command; return what comes back, byte by byte."""
        self.mcu.write_uint32(CHIP_SELECT, LOW)
        answers = []
        for byte in sent:
            self.mcu.write_uint32(DATA, byte)
            assert self.mcu.read_uint32(RECEIVED) == 1
            answers.append(self.mcu.read_uint32(DATA))
        self.mcu.write_uint32(CHIP_SELECT, HIGH)
        return answers

    def change(self, kind: int, address: int, data: Iterable[int] = ()) -> None:
        """Enable writing and give a command with an address."""
        self.command(0x06)
        self.command(kind, *address.to_bytes(3, "big"), *data)

    def erase(self, address: int = AT) -> None:
        """Begin to erase a sector."""
        self.change(0x20, address)

    def program(self, address: int, data: bytes) -> None:
        """Begin to program a page."""
        self.change(0x02, address, data)

    def status(self) -> int:
        """Return the first status register."""
        return self.command(0x05, 0)[1]

    def busy(self) -> bool:
        """Return what the boot ROM's loop asks."""
        return bool(self.status() & 1)

    def pass_us(self, us: float) -> None:
        """Let time pass."""
        self.mcu.clock.tick(us * 1000)

    def settle(self) -> None:
        """Wait as the boot ROM does."""
        for _ in range(3000):
            if not self.busy():
                return
            self.pass_us(1000)
        raise AssertionError("busy for ever")

    def read(self, address: int, size: int) -> bytes:
        """Return what the CPU reads at an address of the flash."""
        return bytes(self.mcu.read_uint8(XIP + address + at) for at in range(size))


def marked() -> FlashImage:
    """Return a flash in which three blocks hold something."""
    image = FlashImage()
    for block in (BLOCK - 1, BLOCK, BLOCK + 1):
        image.put(block, 0, MARKS)
    return image


# --- time and cells ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("timing", [FlashTiming(), WORST_TIMING])
def test_an_erase_takes_its_time_and_says_so_to_its_last_cycle(timing: FlashTiming) -> None:
    bus = Bus(marked(), timing)
    assert not bus.busy()
    bus.erase()
    bus.pass_us(timing.erase_us - 0.008)
    assert bus.busy()
    assert bus.flash.busy
    assert bus.image.read(BLOCK, 0, BLOCK_SIZE) == MARKS
    bus.pass_us(0.008)
    assert not bus.busy()
    assert bus.read(AT - 2, 4) == b"\xfe\xff\xff\xff"
    assert bus.read(AT + BLOCK_SIZE - 2, 4) == b"\xff\xff\x00\x01"
    assert bus.image.read(BLOCK, 0, BLOCK_SIZE) == b"\xff" * BLOCK_SIZE
    assert (bus.flash.operations, bus.flash.erases, bus.flash.busy_us) == (1, 1, timing.erase_us)
    assert bus.flash.block_erases[BLOCK] == 1


@pytest.mark.parametrize("timing", [FlashTiming(), WORST_TIMING])
def test_a_program_takes_its_time_and_only_clears_bits(timing: FlashTiming) -> None:
    bus = Bus(timing=timing)
    for data in (b"\x0c" * PROGRAM_SIZE, b"\x0a" * PROGRAM_SIZE):
        bus.program(AT + PROGRAM_SIZE, data)
        bus.pass_us(timing.program_us - 0.008)
        assert bus.busy()
        bus.pass_us(0.008)
        assert not bus.busy()
    assert bus.read(AT + PROGRAM_SIZE - 1, 3) == b"\xff\x08\x08"
    assert bus.image.read(BLOCK, PROGRAM_SIZE, PROGRAM_SIZE) == b"\x08" * PROGRAM_SIZE
    assert bus.image.read(BLOCK, 2 * PROGRAM_SIZE, 1) == b"\xff"
    assert (bus.flash.programs, bus.flash.programmed_bytes) == (2, 2 * PROGRAM_SIZE)


def test_nobody_can_read_a_flash_that_is_busy() -> None:
    bus = Bus(marked())
    bus.mcu.flash[:4] = b"BOOT"
    assert bus.read(0, 4) == b"BOOT"
    bus.erase()
    assert bus.read(0, 4) == b"\xff" * 4
    assert bus.read(AT - 4, 4) == b"\xff" * 4
    bus.image.flip((BLOCK - 1) * BLOCK_SIZE, 7)
    assert bus.read(AT - BLOCK_SIZE, 1) == b"\xff"
    bus.settle()
    assert bus.read(0, 4) == b"BOOT"
    assert bus.read(AT - BLOCK_SIZE, 2) == b"\x80\x01"


def test_a_page_wraps_and_of_too_much_data_the_last_bytes_count() -> None:
    bus = Bus()
    bus.program(AT + 250, bytes(range(1, 11)))
    bus.settle()
    assert bus.read(AT + 250, 7) == bytes((1, 2, 3, 4, 5, 6, 0xFF))
    assert bus.read(AT, 5) == bytes((7, 8, 9, 10, 0xFF))
    bus.program(AT + PROGRAM_SIZE, bytes(300 * [0xA5])[:44] + bytes(256 * [0x3C]))
    bus.settle()
    assert bus.image.read(BLOCK, PROGRAM_SIZE, PROGRAM_SIZE) == b"\x3c" * PROGRAM_SIZE


def test_an_address_is_masked_to_what_is_erased_and_to_the_size_of_the_flash() -> None:
    bus = Bus(marked())
    bus.erase(AT + 0x123 + SIZE)
    bus.settle()
    assert bus.image.read(BLOCK, 0, BLOCK_SIZE) == b"\xff" * BLOCK_SIZE
    assert bus.image.read(BLOCK - 1, 0, BLOCK_SIZE) == bus.image.read(BLOCK + 1, 0, BLOCK_SIZE) == MARKS


def test_64_kib_are_erased_at_once_in_a_time_of_their_own() -> None:
    image = FlashImage()
    for block in range(48):
        image.put(block, 0, b"\0")
    bus = Bus(image)
    told: list[Operation] = []
    bus.flash.before = told.append
    bus.change(0xD8, FILES_AT + 0x1FFFF)
    bus.pass_us(FlashTiming().erase_64k_us - 0.008)
    assert bus.busy()
    bus.pass_us(0.008)
    assert not bus.busy()
    assert [image.read(block, 0, 1) for block in (15, 16, 31, 32)] == [b"\0", b"\xff", b"\xff", b"\0"]
    assert told == [Operation(0, "erase", 16, 0, 0x10000)]
    assert bus.flash.block_erases[15:33] == [0, *[1] * 16, 0]


# --- commands ---------------------------------------------------------------------------------------------------------
def test_the_flash_changes_nothing_without_leave_and_for_no_half_command() -> None:
    bus = Bus(marked())
    address = AT.to_bytes(3, "big")
    bus.command(0x20, *address)
    bus.command(0x06)
    assert bus.status() == 2
    bus.command(0x04)
    assert bus.status() == 0
    bus.command(0x20, *address)
    bus.command(0x06, 0)
    bus.command(0x20, *address)
    bus.command(0x06)
    bus.command(0x20, *address[:2])
    bus.command(0x20, *address, 0)
    bus.command(0x02, *address)
    assert bus.flash.operations == 0
    bus.command(0x20, *address)
    bus.settle()
    assert bus.status() == 0
    bus.command(0x20, *address)
    assert bus.flash.operations == 1


def test_a_busy_flash_takes_no_command() -> None:
    bus = Bus(marked())
    bus.erase()
    bus.erase(AT + BLOCK_SIZE)
    bus.program(AT - BLOCK_SIZE, b"\0")
    assert bus.command(0x9F, 0, 0, 0)[1:] == [0xFF] * 3
    assert bus.status() == 0xFF
    bus.settle()
    assert bus.flash.operations == 1
    assert bus.image.read(BLOCK + 1, 0, BLOCK_SIZE) == bus.image.read(BLOCK - 1, 0, BLOCK_SIZE) == MARKS


def test_a_busy_flash_takes_no_command_that_began_before_the_ssi_was_enabled_either() -> None:
    bus = Bus(marked())
    bus.erase()
    for sent, answered in (((0x05, 0), 3), ((0x9F, 0), 0xFF), ((0x20, *(AT + BLOCK_SIZE).to_bytes(3, "big")), 0xFF)):
        bus.mcu.write_uint32(ENABLE, 0)
        bus.mcu.write_uint32(CHIP_SELECT, LOW)
        bus.mcu.write_uint32(ENABLE, 1)
        for byte in sent:
            bus.mcu.write_uint32(DATA, byte)
        assert [bus.mcu.read_uint32(DATA) for _ in sent][-1] == answered
        bus.mcu.write_uint32(CHIP_SELECT, HIGH)
    bus.settle()
    assert bus.flash.operations == 1
    assert bus.image.read(BLOCK + 1, 0, BLOCK_SIZE) == MARKS


def test_the_flash_can_be_read_and_says_what_it_is() -> None:
    bus = Bus(marked())
    assert bus.command(0x03, *(AT + 0x41).to_bytes(3, "big"), 0, 0, 0)[4:] == [0x41, 0x42, 0x43]
    assert bus.command(0x9F, 0, 0, 0)[1:] == [0xEF, 0x40, 0x15]
    assert bytes(bus.command(0x4B, *[0] * 12)[5:]) == b"PINPRICK"
    assert bus.command(0x35, 0)[1] == 2
    assert bus.command(0xA5, 0)[1] == 0xFF


def test_what_is_sent_while_it_is_not_selected_is_no_command() -> None:
    bus = Bus(marked())
    for byte in (0x9F, *[0] * 19):
        bus.mcu.write_uint32(DATA, byte)
    assert bus.mcu.read_uint32(SSI + 0x28) == 0x1E
    assert [bus.mcu.read_uint32(DATA) for _ in range(17)] == [0xFF] * 16 + [0]
    bus.command(0x06)
    for byte in (0x20, *AT.to_bytes(3, "big")):
        bus.mcu.write_uint32(DATA, byte)
    assert bus.mcu.read_uint32(RECEIVED) == 4
    assert bus.mcu.read_uint32(SSI + 0x28) == 0x0E
    bus.mcu.write_uint32(ENABLE, 0)
    assert bus.mcu.read_uint32(RECEIVED) == 0
    assert bus.mcu.read_uint32(SSI + 0x28) == 0x06
    bus.mcu.write_uint32(DATA, 0)
    assert bus.mcu.read_uint32(RECEIVED) == 0
    bus.mcu.write_uint32(ENABLE, 1)
    bus.command()
    assert bus.flash.operations == 0


def test_micropython_itself_is_never_changed() -> None:
    bus = Bus()
    with pytest.raises(OutsideFiles, match="erase of 4096 bytes at 0x9f000"):
        bus.erase(FILES_AT - 1)
    assert bus.flash.operations == 0


def test_who_is_told_first_can_refuse() -> None:
    bus = Bus(marked())

    def refuse(operation: Operation) -> None:
        assert operation == Operation(0, "program", BLOCK, 256, 256)
        raise RuntimeError("in motion")

    bus.flash.before = refuse
    with pytest.raises(RuntimeError, match="in motion"):
        bus.program(AT + 256 + 3, b"\0")
    bus.flash.before = None
    assert (bus.flash.busy, bus.flash.operations, bus.image.read(BLOCK, 0, BLOCK_SIZE)) == (False, 0, MARKS)


# --- power ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("torn", Torn)
def test_a_cut_leaves_what_it_leaves_of_the_virtual_pens_flash(torn: Torn) -> None:
    """The same operation, cut in its middle with the same seed, under littlefs' calls and under the boot ROM's."""
    for kind in ("erase", "program"):
        bus, twin = Bus(marked()), FlashDevice(marked())
        cut: list[int] = []
        bus.flash.on_cut = partial(cut.append, 1)
        bus.flash.cut_at(1, torn, seed=9)
        twin.cut_at(0, torn, seed=9)
        bus.erase(AT - BLOCK_SIZE)
        bus.settle()
        bus.image.put(BLOCK - 1, 0, MARKS)
        page = bytes(reversed(range(256)))
        if kind == "erase":
            bus.erase()
            twin.erase(None, BLOCK)
            half_us = FlashTiming().erase_us / 2
        else:
            bus.program(AT, page)
            twin.prog(None, BLOCK, 0, page)
            half_us = FlashTiming().program_us / 2
        bus.pass_us(half_us - 0.008)
        assert not cut
        bus.pass_us(0.008)
        assert cut == [1]
        assert bus.flash.dead
        assert bus.image.to_bytes() == twin.image.to_bytes() == bytes(bus.mcu.flash[FILES_AT:SIZE])
        bus.pass_us(1_000_000)
        bus.erase()
        assert bus.image.to_bytes() == twin.image.to_bytes()
        assert (bus.flash.operations, bus.flash.busy) == (2, False)


def test_a_cut_of_64_kib_leaves_the_first_half_erased_or_bits_in_every_block() -> None:
    for torn, left in ((Torn.HALF, [0xFF, 0xFF, 0x00, 0x00]), (Torn.ALL, [0xFF] * 4), (Torn.NONE, [0] * 4)):
        image = FlashImage()
        for block in range(16):
            image.put(block, 0, bytes(BLOCK_SIZE))
        bus = Bus(image)
        bus.flash.cut_at(0, torn)
        bus.change(0xD8, FILES_AT)
        bus.pass_us(75_000)
        assert [image.read(block, BLOCK_SIZE - 1, 1)[0] for block in (0, 7, 8, 15)] == left


def test_the_power_may_go_at_any_cycle_and_tears_only_what_is_under_way() -> None:
    bus = Bus(marked())
    bus.flash.cut_at(1, Torn.ALL)
    bus.flash.cut(Torn.GARBAGE, 3)
    assert bus.image.to_bytes() == marked().to_bytes()
    bus.flash.power_on()
    bus.erase()
    bus.pass_us(44_000)
    bus.flash.cut(Torn.HALF)
    assert bus.image.read(BLOCK, 0, BLOCK_SIZE) == b"\xff" * (BLOCK_SIZE // 2) + MARKS[BLOCK_SIZE // 2 :]
    bus.flash.cut(Torn.ALL)
    bus.pass_us(2_000)
    assert bus.image.read(BLOCK, BLOCK_SIZE - 1, 1) == MARKS[-1:]
    assert bus.status() == 0xFF
    bus.flash.power_on()
    assert bus.status() == 0
    bus.erase()
    bus.settle()
    assert bus.image.read(BLOCK, 0, BLOCK_SIZE) == b"\xff" * BLOCK_SIZE
    assert bus.flash.erases == 2


def test_a_reset_of_the_chip_is_nothing_to_its_flash() -> None:
    bus = Bus(marked())
    bus.erase()
    bus.pass_us(20_000)
    bus.mcu.enter_reset(from_watchdog=True)
    bus.mcu.leave_reset()
    bus.mcu.write_uint32(CHIP_SELECT, HIGH)
    bus.mcu.write_uint32(ENABLE, 1)
    assert bus.flash.busy
    bus.pass_us(24_990)
    assert bus.busy()
    bus.pass_us(10)
    assert not bus.busy()
    assert bus.image.read(BLOCK, 0, BLOCK_SIZE) == b"\xff" * BLOCK_SIZE


# --- faults -----------------------------------------------------------------------------------------------------------
def test_the_faults_of_a_virtual_pen_can_be_done_to_this_flash() -> None:
    bus = Bus(marked())
    bench = cast(Bench, SimpleNamespace(image=bus.image, flash=bus.flash))
    at = BLOCK * BLOCK_SIZE
    faults.fault("flash-bit-rot", address=at + 1, bit=1).apply(bench)
    assert bus.read(AT, 3) == b"\x00\x03\x02"
    faults.fault("flash-stuck-bit", address=at + 2, bit=1, level=0).apply(bench)
    assert bus.read(AT, 3) == b"\x00\x03\x00"
    faults.fault("flash-ignores-writes", count=1).apply(bench)
    bus.erase()
    bus.settle()
    assert bus.read(AT, 3) == b"\x00\x03\x00"
    bus.erase()
    bus.settle()
    assert bus.read(AT, 3) == b"\xff\xff\xfd"
    failing = FlashFailsWrites()
    failing.apply(bench)
    bus.program(AT, b"\0")
    bus.settle()
    assert bus.read(AT, 1) == b"\xff"
    failing.mend(bench)
    bus.program(AT, b"\0")
    bus.settle()
    assert bus.read(AT, 1) == b"\0"
    faults.fault("flash-block-lost", block=BLOCK + 1).apply(bench)
    assert bus.read(AT + BLOCK_SIZE, 4) == b"\xff" * 4
    faults.fault("flash-cut", after=1, torn="all").apply(bench)
    bus.erase()
    bus.settle()
    bus.erase()
    bus.pass_us(30_000)
    assert bus.flash.dead


# --- files ------------------------------------------------------------------------------------------------------------
FILES = {"main.py": b"", "pencore/wire.mpy": b"M" * 9000, "a/b/c.txt": b"deep", "boot.py": b"import gc\n"}


def test_files_written_into_an_image_are_found_there_and_by_the_pens_store() -> None:
    flash = image_of(FILES)
    assert len(flash) == SIZE - FILES_AT
    assert files_in(flash) == FILES
    assert flash == image_of(FILES)
    store = SimStore(FlashDevice(FlashImage.from_bytes(flash)))
    assert not store.reformatted
    assert sorted(store.names()) == ["boot.py", "main.py"]
    assert store.read("pencore/wire.mpy", 8990, 100) == b"M" * 10
    store.append("main.py", b"by the store")
    store.close()
    assert files_in(store.device.image.to_bytes()) == {**FILES, "main.py": b"by the store"}


def test_files_can_be_changed_in_an_image_that_has_some() -> None:
    flash = image_of(FILES)
    changed = with_files(flash, {"main.py": b"new", "boot.py": None, "x/y": b"1"})
    assert files_in(flash) == FILES
    assert files_in(changed) == {
        "main.py": b"new",
        "pencore/wire.mpy": b"M" * 9000,
        "a/b/c.txt": b"deep",
        "x/y": b"1",
    }
    with pytest.raises(FileNotFoundError):
        with_files(flash, {"none": None})
    with pytest.raises(OSError, match="NOSPC") as caught:
        with_files(flash, {"huge": bytes(1_500_000)})
    assert caught.value.errno == errno.ENOSPC


def test_a_flash_without_files_says_so() -> None:
    with pytest.raises(NoFiles, match="no file system"):
        files_in(FlashImage().to_bytes())
    with pytest.raises(ValueError, match=r"4 bytes, not 1,441,792"):
        files_in(b"1234")


def test_an_image_is_put_where_the_boot_rom_looks_and_no_further() -> None:
    mcu: Any = build_rp2040("pico")
    Image(Path("x.uf2"), "0" * 64, b"\x01\x02\x03").put_into(mcu)
    assert bytes(mcu.flash[:4]) == b"\x01\x02\x03\xff"
    Image(Path("x.uf2"), "0" * 64, bytes(FILES_AT))
    for data in (b"", bytes(FILES_AT + 1)):
        with pytest.raises(ValueError, match=r"x\.uf2 puts [0-9,]+ bytes into flash; there is room for 1 to 655,360"):
            Image(Path("x.uf2"), "0" * 64, data)


# --- MicroPython on it ------------------------------------------------------------------------------------------------
OLD, NEW, KEPT = b"old" * 300, b"new!" * 300, b"stay" * 100
REWRITE = """
f = open('state.new', 'wb')
f.write(b'new!' * 300)
f.close()
import os
os.rename('state.new', 'state')
"""
MEASURE = """
import rp2, time
flash = rp2.Flash()
page = bytes(256)
start = time.ticks_us()
flash.ioctl(6, 351)
erased = time.ticks_us()
flash.writeblocks(351, page, 0)
print(time.ticks_diff(erased, start), time.ticks_diff(time.ticks_us(), erased))
"""


def board(uf2_path: Path, image: FlashImage, timing: FlashTiming | None = None) -> tuple[Console, ChipFlash]:
    """Return a board at its prompt, with its flash."""
    console = Console(uf2_path)
    flash = ChipFlash(console.emulator.chip, image, timing)
    flash.on_cut = console.emulator.power_off
    console.prompt()
    return console, flash


@pytest.mark.chip
@pytest.mark.parametrize("timing", [FlashTiming(), WORST_TIMING])
def test_micropython_waits_as_long_as_the_flash_takes(uf2_path: Path, timing: FlashTiming) -> None:
    console, _ = board(uf2_path, FlashImage.from_bytes(image_of({})), timing)
    erase_us, program_us = map(int, console.run(MEASURE).split())
    assert timing.erase_us <= erase_us < timing.erase_us + 500
    assert timing.program_us <= program_us < timing.program_us + 500


@pytest.mark.chip
def test_the_emulators_own_flash_takes_no_time(uf2_path: Path) -> None:
    """What the model adds; should the emulator learn it, this file can go."""
    console = Console(uf2_path)
    console.emulator.chip.flash[FILES_AT:SIZE] = image_of({})
    console.prompt()
    assert max(map(int, console.run(MEASURE).split())) < 500


@pytest.mark.chip
@pytest.mark.parametrize("torn", Torn)
def test_a_file_is_old_or_new_wherever_the_power_goes(uf2_path: Path, torn: Torn) -> None:
    """Each operation of rewriting a file is cut in its middle; MicroPython finds what littlefs here finds."""
    before = image_of({"state": OLD, "kept": KEPT})
    image = FlashImage.from_bytes(before)
    console, flash = board(uf2_path, image)
    console.run(REWRITE)
    assert files_in(image.to_bytes()) == {"state": NEW, "kept": KEPT}
    operations, found = flash.operations, []
    for number in range(operations):
        image = FlashImage.from_bytes(before)
        console, flash = board(uf2_path, image)
        flash.cut_at(number, torn, seed=number)
        console.begin(REWRITE)
        console.run_ms(200)
        assert flash.dead
        left = files_in(image.to_bytes())
        assert left["kept"] == KEPT
        assert left["state"] in (OLD, NEW)
        found.append(left["state"])
    assert operations > 5
    assert found == [OLD] * (operations - 1) + found[-1:]
    assert (found[-1] == NEW) == (torn in (Torn.ALL, Torn.HALF))
    console, _ = board(uf2_path, image)
    said = console.run("print(open('state', 'rb').read(3) == b'new', open('kept').read())")
    assert said.split() == [str(found[-1] == NEW), KEPT.decode()]


@pytest.mark.chip
def test_the_same_commands_take_the_same_cycles(uf2_path: Path) -> None:
    runs = []
    for _ in range(2):
        image = FlashImage.from_bytes(image_of({"state": OLD}))
        console, flash = board(uf2_path, image)
        at: list[tuple[int, Operation]] = []

        def note(operation: Operation, at: list[tuple[int, Operation]] = at, console: Console = console) -> None:
            at.append((console.emulator.chip.clock.ticks, operation))

        flash.before = note
        console.run(REWRITE)
        runs.append((at, image.to_bytes(), console.emulator.chip.clock.ticks))
    assert runs[0] == runs[1]
    assert len(runs[0][0]) > 5
