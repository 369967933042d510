"""The flash model and the store on it: NOR rules, time, faults, errors, the shape littlefs has in the stock image."""

import errno
import time
from contextlib import suppress

import pytest
from littlefs import lfs

from pensim.errors import PowerCut
from pensim.flash import (
    BLOCK_COUNT,
    BLOCK_SIZE,
    PROGRAM_SIZE,
    WORST_TIMING,
    FlashDevice,
    FlashImage,
    Operation,
    SimStore,
    Torn,
)


def fresh() -> SimStore:
    """Return a store on a new flash, its first formatting done."""
    image = FlashImage()
    SimStore(FlashDevice(image)).close()
    return SimStore(FlashDevice(image))


# --- cells ------------------------------------------------------------------------------------------------------------


def test_programming_only_clears_bits_and_erasing_sets_a_block() -> None:
    image = FlashImage()
    image.program(3, 256, bytes([0b1100] * PROGRAM_SIZE))
    image.program(3, 256, bytes([0b1010] * PROGRAM_SIZE))
    assert image.read(3, 256, PROGRAM_SIZE) == bytes([0b1000] * PROGRAM_SIZE)
    assert image.read(3, 0, 256) == b"\xff" * 256
    assert image.read(2, 256, 4) == b"\xff" * 4
    image.erase(3)
    assert image.to_bytes() == b"\xff" * BLOCK_SIZE * BLOCK_COUNT


def test_an_image_can_be_kept_copied_and_carried_away() -> None:
    image = FlashImage()
    image.program(0, 0, b"\x00" * PROGRAM_SIZE)
    kept, twin, data = image.snapshot(), image.clone(), image.to_bytes()
    image.erase(0)
    for other in (FlashImage(kept), twin, FlashImage.from_bytes(data)):
        assert other.to_bytes() == data
        assert other.read(0, 0, 1) == b"\0"
    assert image.read(0, 0, 1) == b"\xff"
    with pytest.raises(ValueError, match="not 1441792"):
        FlashImage.from_bytes(data[:-1])


def test_a_stuck_bit_outlives_every_operation() -> None:
    image = FlashImage()
    image.stick(BLOCK_SIZE + 5, 0, 0)
    image.stick(BLOCK_SIZE + 6, 7, 1)
    assert image.read(1, 5, 2) == b"\xfe\xff"
    image.program(1, 0, b"\0" * PROGRAM_SIZE)
    assert image.read(1, 5, 2) == b"\0\x80"
    image.erase(1)
    assert image.read(1, 5, 2) == b"\xfe\xff"
    assert image.clone().read(1, 5, 1) == b"\xfe"


def test_beyond_the_flash_there_is_nothing() -> None:
    device = FlashDevice()
    assert device.read(None, BLOCK_COUNT, 0, 4) == b"\xff" * 4
    assert device.erase(None, BLOCK_COUNT) == -errno.EIO
    assert device.prog(None, BLOCK_COUNT, 0, b"\0" * PROGRAM_SIZE) == -errno.EIO
    assert device.operations == 0


# --- device -----------------------------------------------------------------------------------------------------------


def test_each_operation_is_told_counted_and_takes_its_time() -> None:
    device = FlashDevice(timing=WORST_TIMING)
    told: list[Operation] = []
    spent: list[int] = []
    device.before = told.append
    device.spend = spent.append
    assert device.erase(None, 9) == 0
    assert device.prog(None, 9, 512, b"\x55" * 3 * PROGRAM_SIZE) == 0
    assert told == [
        Operation(0, "erase", 9, 0, BLOCK_SIZE),
        Operation(1, "program", 9, 512, PROGRAM_SIZE),
        Operation(2, "program", 9, 768, PROGRAM_SIZE),
        Operation(3, "program", 9, 1024, PROGRAM_SIZE),
    ]
    assert spent == [400_000, 3_000, 3_000, 3_000]
    assert device.busy_us == sum(spent)
    assert (device.erases, device.programs, device.programmed_bytes) == (1, 3, 3 * PROGRAM_SIZE)
    assert device.block_erases[9] == 1


OLD = bytes(range(256)) * 16
PAGE = b"\x0f" * PROGRAM_SIZE


def torn(kind: str, how: Torn) -> bytes:
    """Return block 0 after an operation that was torn: full of OLD, or erased before a program."""
    image = FlashImage()
    if kind == "erase":
        image.put(0, 0, OLD)
    device = FlashDevice(image)
    device.cut_at(0, how, seed=1)
    result = device.erase(None, 0) if kind == "erase" else device.prog(None, 0, 0, PAGE)
    assert result == -errno.EIO
    assert device.dead
    return image.read(0, 0, BLOCK_SIZE)


def bits(data: bytes) -> int:
    return int.from_bytes(data, "little")


def test_a_torn_program_leaves_what_it_may() -> None:
    assert torn("program", Torn.NONE)[:PROGRAM_SIZE] == b"\xff" * PROGRAM_SIZE
    assert torn("program", Torn.ALL)[:PROGRAM_SIZE] == PAGE
    assert torn("program", Torn.HALF)[:PROGRAM_SIZE] == PAGE[:128] + b"\xff" * 128
    for how in (Torn.BITS, Torn.GARBAGE):
        left = torn("program", how)
        assert bits(left[:PROGRAM_SIZE]) & bits(PAGE) == bits(PAGE)
        assert left[:PROGRAM_SIZE] not in (PAGE, b"\xff" * PROGRAM_SIZE)
        assert left[PROGRAM_SIZE:] == b"\xff" * (BLOCK_SIZE - PROGRAM_SIZE)


def test_a_torn_erase_leaves_what_it_may() -> None:
    assert torn("erase", Torn.NONE) == OLD
    assert torn("erase", Torn.ALL) == b"\xff" * BLOCK_SIZE
    assert torn("erase", Torn.HALF) == b"\xff" * (BLOCK_SIZE // 2) + OLD[BLOCK_SIZE // 2 :]
    risen = torn("erase", Torn.BITS)
    assert bits(risen) & bits(OLD) == bits(OLD)
    assert risen not in (OLD, b"\xff" * BLOCK_SIZE)
    assert bits(torn("erase", Torn.GARBAGE)) & bits(OLD) != bits(OLD)


def test_a_dead_device_changes_nothing_and_raises_nothing() -> None:
    device = FlashDevice()
    device.cut()
    before = device.image.snapshot()
    assert device.erase(None, 0) == device.prog(None, 0, 0, PAGE) == device.sync(None) == -errno.EIO
    assert device.read(None, 0, 0, 4) == b"\xff" * 4
    assert device.image.snapshot() == before
    assert device.operations == 0


# --- store ------------------------------------------------------------------------------------------------------------


def test_an_empty_flash_is_formatted_as_the_stock_image_does() -> None:
    device = FlashDevice()
    store = SimStore(device)
    assert store.reformatted
    assert store.names() == []
    store.close()
    again = SimStore(FlashDevice(device.image))
    assert not again.reformatted


def test_the_file_system_has_the_stock_images_shape() -> None:
    """Read back by littlefs itself from the superblock, with a configuration that leaves the count open."""
    store = fresh()
    config = lfs.LFSConfig(store.device, block_size=BLOCK_SIZE, block_count=0, read_size=32, prog_size=256)
    fs = lfs.LFSFilesystem()
    lfs.mount(fs, config)
    found = lfs.fs_stat(fs)
    lfs.unmount(fs)
    assert (found.block_size, found.block_count) == (4096, 352)
    assert (found.name_max, found.disk_version) == (255, 0x00020001)


def test_files_can_be_made_read_renamed_and_removed() -> None:
    store = fresh()
    assert store.size("a") == -1
    store.append("a", b"hello ")
    store.append("a", b"world")
    store.append("b", b"old")
    assert sorted(store.names()) == ["a", "b"]
    assert store.size("a") == 11
    assert store.read("a", 6, 100) == b"world"
    assert store.read("a", 0, 5) == b"hello"
    assert store.read("a", 11, 5) == b""
    store.rename("a", "b")
    assert store.names() == ["b"]
    assert store.read("b", 0, 100) == b"hello world"
    store.remove("b")
    assert store.names() == []


def test_a_file_in_a_folder_brings_its_folder_along() -> None:
    store = fresh()
    store.append("lib/core.mpy", b"x" * 10)
    store.append("lib/more.mpy", b"y")
    assert store.size("lib/core.mpy") == 10
    assert store.read("lib/more.mpy", 0, 9) == b"y"
    assert store.names() == []


def test_what_was_written_is_there_after_a_reset() -> None:
    store = fresh()
    for number in range(200):
        store.append("ledger", bytes([number]) * 64)
    store.close()
    again = SimStore(FlashDevice(store.device.image))
    assert again.size("ledger") == 200 * 64
    assert again.read("ledger", 150 * 64, 64) == bytes([150]) * 64


@pytest.mark.parametrize("call", ["read", "rename", "remove"])
def test_a_missing_file_is_an_os_error(call: str) -> None:
    store = fresh()
    arguments = {"read": ("no", 0, 1), "rename": ("no", "b"), "remove": ("no",)}[call]
    with pytest.raises(FileNotFoundError):
        getattr(store, call)(*arguments)


def test_a_full_flash_says_so_and_keeps_what_it_has() -> None:
    store = fresh()
    store.append("keep", b"x" * 5000)

    def fill() -> None:
        for number in range(400):
            store.append(f"f{number}", b"y" * 60_000)

    with pytest.raises(OSError, match="NOSPC") as raised:
        fill()
    assert raised.value.errno == errno.ENOSPC
    assert store.read("keep", 0, 9999) == b"x" * 5000


def test_failing_cells_are_os_errors_and_ignored_writes_are_found_by_reading_back() -> None:
    store = fresh()
    store.append("a", b"1" * 600)
    store.device.fail_writes(True)
    with pytest.raises(OSError, match="IO"):
        store.append("a", b"2" * 600)
    store.device.fail_writes(False)
    assert store.read("a", 0, 2000) == b"1" * 600
    store.append("a", b"3" * 600)
    assert store.size("a") == 1200


@pytest.mark.parametrize("good", [1, 3, 4])
@pytest.mark.parametrize("name", ["ledger.bin", "new.bin"])
def test_flash_that_works_again_after_a_failed_write_is_written_on(name: str, good: int) -> None:
    """What littlefs remembers of the failed write would break an assertion in it, and end the whole process."""
    store = fresh()
    store.append("rec.bin", b"r" * 700)
    store.append("ledger.bin", b"x" * 64)
    device = store.device
    count = device.operations + good
    device.before = lambda operation: device.fail_writes(operation.number >= count)
    with pytest.raises(OSError, match="IO"):
        store.append("witness/seq.bin", b"a" * 64)
    device.before = None
    device.fail_writes(False)
    store.append(name, b"b" * 64)
    assert store.read(name, 0, 200)[-64:] == b"b" * 64
    assert store.read("ledger.bin", 0, 64) == b"x" * 64
    assert store.size("rec.bin") == 700


def test_a_file_system_that_can_no_longer_be_mounted_is_an_os_error_each_time() -> None:
    store = fresh()
    store.append("a", b"1" * 600)
    for block in (0, 1):
        store.device.image.put(block, 0, b"\0" * BLOCK_SIZE)
    for _ in range(4):
        with pytest.raises(OSError, match="CORRUPT"):
            store.append("a", b"2" * 600)
    store.close()


def test_a_store_without_power_mounts_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    store = fresh()
    store.device.fail_writes(True)
    with pytest.raises(OSError, match="IO"):
        store.append("a", b"1")
    store.device.cut()
    mounted: list[object] = []
    monkeypatch.setattr(lfs, "mount", lambda *given: mounted.append(given))
    with pytest.raises(PowerCut):
        store.names()
    assert mounted == []


def test_a_vanished_file_system_is_made_anew_and_tells() -> None:
    store = fresh()
    store.append("ledger", b"x")
    store.close()
    for block in (0, 1):
        store.device.image.erase(block)
    again = SimStore(FlashDevice(store.device.image))
    assert again.reformatted
    assert again.names() == []


@pytest.mark.parametrize("block", range(8))
def test_a_ruined_block_is_survived(block: int) -> None:
    """Whatever littlefs makes of it, it ends in a file system or an OSError, not in a crash."""
    store = fresh()
    for number in range(12):
        store.append(f"f{number}", bytes([number]) * 3000)
    store.close()
    image = store.device.image
    image.put(block, 0, bytes(range(256)) * 16)
    again = SimStore(FlashDevice(image))
    for name in again.names():
        with suppress(OSError):
            assert len(again.read(name, 0, 4000)) <= 3000
    again.append("new", b"x" * 500)
    assert again.size("new") == 500


# --- power ------------------------------------------------------------------------------------------------------------


def test_a_cut_is_raised_by_the_store_and_by_every_later_call() -> None:
    store = fresh()
    store.append("a", b"1")
    store.device.cut_at(store.device.operations + 1)
    with pytest.raises(PowerCut):
        store.append("a", b"2" * 3000)
    for call in (store.names, lambda: store.size("a"), lambda: store.append("b", b""), lambda: store.read("a", 0, 1)):
        with pytest.raises(PowerCut):
            call()


def test_a_power_cut_passes_every_handler_of_the_firmware() -> None:
    assert not issubclass(PowerCut, Exception)


def test_a_cut_while_time_passes_hits_the_operation_in_its_middle() -> None:
    store = fresh()
    device = store.device
    device.spend = lambda _us: device.cut(Torn.HALF) if device.operations == 3 else None
    with pytest.raises(PowerCut):
        store.append("a", b"\0" * 3000)
    written = bytes(device.image.to_bytes())
    assert b"\0" * 128 + b"\xff" * 128 in written


def test_what_the_world_raises_inside_an_operation_comes_out_of_the_store() -> None:
    store = fresh()

    def burst(_us: int) -> None:
        raise LookupError("in the middle")

    store.device.spend = burst
    with pytest.raises(LookupError, match="in the middle"):
        store.append("a", b"x")
    with pytest.raises(PowerCut):
        store.names()


def test_closing_inside_an_operation_waits_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Littlefs must not lose its memory while it is at work."""
    store = fresh()
    device = store.device
    pulling = [False]
    unmounted = []

    def unmount(fs: lfs.LFSFilesystem) -> int:
        unmounted.append(pulling[0])
        return unmount_really(fs)

    unmount_really = lfs.unmount
    monkeypatch.setattr(lfs, "unmount", unmount)

    def pull(_us: int) -> None:
        pulling[0] = True
        device.cut()
        store.close()
        pulling[0] = False

    device.spend = pull
    with pytest.raises(PowerCut):
        store.append("a", b"x" * 3000)
    assert unmounted == [False]
    store.close()
    assert unmounted == [False]
    with pytest.raises(PowerCut):
        store.names()
    assert SimStore(FlashDevice(device.image)).names() == []


def test_a_boot_is_quick_enough_for_campaigns() -> None:
    """A clone, a mount, an append: thousands of them make a campaign; measured at 0.2 ms of CPU, allowed 10."""
    store = fresh()
    for _ in range(50):
        store.append("ledger", b"x" * 64)
    begin = time.process_time()
    for _ in range(50):
        twin = SimStore(FlashDevice(store.device.image.clone()))
        twin.append("ledger", b"y" * 64)
        twin.close()
    assert (time.process_time() - begin) / 50 < 0.010
