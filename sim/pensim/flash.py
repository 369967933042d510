"""The pen's flash: NOR cells with their timing, faults and torn operations, under the real littlefs. Host only.

`FlashImage` holds the cells: an erase sets a block of 4,096 bytes to ones, a program clears bits in pages of 256.
`FlashCircuit` is the chip in its circuit for one boot: operations with their time, power cuts and failures;
`FlashDevice` is the one that littlefs calls. `SimStore` is the `Store` port on littlefs, configured as the stock
MicroPython image mounts it. An image is a list of shared blocks, so that a power-cut campaign can clone thousands.

A littlefs callback must never raise: an exception cannot pass through C. After a cut each operation returns an error
and changes nothing; what went wrong is raised by the store once littlefs has returned. What must survive is in the
bytes alone.
"""

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypedDict

from littlefs import LittleFSError, lfs

from pensim.errors import PowerCut

BLOCK_SIZE = 4096
BLOCK_COUNT = 352
"""Blocks of the file system in the stock image for the Pico: 1,408 KiB."""
PROGRAM_SIZE = 256
READ_SIZE = 32


class FileSystem(TypedDict):
    """The figures that littlefs is told of a flash, in its own words."""

    block_size: int
    block_count: int
    read_size: int
    prog_size: int
    cache_size: int
    lookahead_size: int
    block_cycles: int


LITTLEFS: Final = FileSystem(
    block_size=BLOCK_SIZE,
    block_count=BLOCK_COUNT,
    read_size=READ_SIZE,
    prog_size=PROGRAM_SIZE,
    cache_size=4 * PROGRAM_SIZE,
    lookahead_size=32,
    block_cycles=100,
)
"""What extmod/vfs_lfsx.c and ports/rp2/modules/_boot.py of MicroPython configure."""

Snapshot = tuple[bytes, ...]
"""The bytes of a flash, block by block; immutable and cheap to keep."""

_ERASED_BLOCK = b"\xff" * BLOCK_SIZE
_ERASED_PAGE = b"\xff" * PROGRAM_SIZE
_IO_ERROR = -errno.EIO


class Torn(StrEnum):
    """What is left of an operation that the power left in the middle of."""

    NONE = "none"
    """Nothing of it was done."""
    ALL = "all"
    """It was just done."""
    HALF = "half"
    """The first half of its bytes was done."""
    BITS = "bits"
    """Some of the bits that had to change have changed, others not."""
    GARBAGE = "garbage"
    """An erase left the block's bits at random; a program left its page so where it had to clear bits (as BITS)."""


class Operation(NamedTuple):
    """One change of the flash: `number` counts programs (of one page each) and erases from 0 on."""

    number: int
    kind: str
    block: int
    offset: int
    size: int


@dataclass(frozen=True)
class FlashTiming:
    """How long the chip takes, in us. Typical and worst figures of the Pico's W25Q16JV."""

    erase_us: int = 45_000
    program_us: int = 700
    erase_64k_us: int = 150_000
    """Of 16 blocks at once; littlefs never asks for it."""


WORST_TIMING = FlashTiming(erase_us=400_000, program_us=3_000, erase_64k_us=2_000_000)


class FlashImage:
    """The flash's bytes, block by block; new: erased.

    `changed` is told of each block that may hold something else now, and its bytes: for who keeps a copy.
    """

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.changed: Callable[[int, bytes], None] | None = None
        self._marks: dict[str, Snapshot] = {}
        self._blocks = [_ERASED_BLOCK] * BLOCK_COUNT if snapshot is None else list(snapshot)
        self._stuck: dict[int, list[tuple[int, int, int]]] = {}

    @staticmethod
    def from_bytes(data: bytes) -> "FlashImage":
        """Return an image of `data`; ValueError unless it is as long as the flash."""
        if len(data) != BLOCK_SIZE * BLOCK_COUNT:
            raise ValueError(f"a flash of {len(data)} bytes, not {BLOCK_SIZE * BLOCK_COUNT}")
        return FlashImage(tuple(data[at : at + BLOCK_SIZE] for at in range(0, len(data), BLOCK_SIZE)))

    def to_bytes(self) -> bytes:
        """Return all bytes in one piece."""
        return b"".join(self._blocks)

    def snapshot(self) -> Snapshot:
        """Return what the flash holds now; later changes do not touch it."""
        return tuple(self._blocks)

    def clone(self) -> "FlashImage":
        """Return an image of its own with the same cells, stuck ones too; blocks are shared until one changes."""
        twin = FlashImage(tuple(self._blocks))
        twin._stuck = {block: list(cells) for block, cells in self._stuck.items()}
        twin._marks = dict(self._marks)
        return twin

    def read(self, block: int, offset: int, size: int) -> bytes:
        """Return `size` bytes; ones where there is no flash."""
        if not 0 <= block < BLOCK_COUNT:
            return b"\xff" * size
        return self._blocks[block][offset : offset + size].ljust(size, b"\xff")

    def program(self, block: int, offset: int, data: bytes) -> None:
        """Clear the bits that are clear in `data`; no bit is ever set."""
        old = self._blocks[block]
        end = offset + len(data)
        page = old[offset:end]
        if page != _ERASED_PAGE:
            cleared = int.from_bytes(page, "little") & int.from_bytes(data, "little")
            data = cleared.to_bytes(len(data), "little")
        self._set(block, old[:offset] + data + old[end:])

    def erase(self, block: int) -> None:
        """Set all bits of a block."""
        self._set(block, _ERASED_BLOCK)

    def put(self, block: int, offset: int, data: bytes) -> None:
        """Let a block hold `data` at `offset`, however that came about: for faults."""
        old = self._blocks[block]
        self._set(block, old[:offset] + data + old[offset + len(data) :])

    def flip(self, address: int, bit: int) -> None:
        """Flip one bit (0..7) of the byte at `address`, counted from the beginning of the file system."""
        block, offset = divmod(address, BLOCK_SIZE)
        self.put(block, offset, bytes((self._blocks[block][offset] ^ 1 << bit,)))

    def stick(self, address: int, bit: int, level: int) -> None:
        """Let one bit (0..7) of the byte at `address` be stuck at `level` (0 or 1) from now on."""
        block, offset = divmod(address, BLOCK_SIZE)
        mask = 1 << bit
        self._stuck.setdefault(block, []).append((offset, 0xFF ^ mask, mask if level else 0))
        self._set(block, self._blocks[block])

    def mark(self, name: str) -> None:
        """Remember under a name what the flash holds now; cheap."""
        self._marks[name] = self.snapshot()

    def roll_back(self, name: str) -> bool:
        """Hold again what it held at that mark, but for stuck bits; return False when there is no such mark."""
        marked = self._marks.get(name)
        for block, data in enumerate(marked or ()):
            if data != self._blocks[block]:
                self._set(block, data)
        return marked is not None

    def _set(self, block: int, data: bytes) -> None:
        for offset, keep, level in self._stuck.get(block, ()):
            data = data[:offset] + bytes((data[offset] & keep | level,)) + data[offset + 1 :]
        self._hold(block, data)

    def _hold(self, block: int, data: bytes) -> None:
        self._blocks[block] = data
        if self.changed is not None:
            self.changed(block, data)


class FlashCircuit:
    """The flash chip in its circuit for one boot: what it has done, when its power goes, and what is wrong with it.

    `before` is told of each operation before it is done (the world checks that the needle is at home); it may raise.
    """

    def __init__(self, image: FlashImage | None = None, timing: FlashTiming | None = None) -> None:
        self.image = FlashImage() if image is None else image
        self.timing = FlashTiming() if timing is None else timing
        self.before: Callable[[Operation], None] | None = None
        self.erases = 0
        self.programs = 0
        self.programmed_bytes = 0
        self.busy_us = 0
        self.block_erases = [0] * BLOCK_COUNT
        self.dead = False
        """The power is gone: nothing is changed any more. The next boot needs a device of its own on the same image."""
        self._torn = Torn.NONE
        self._random = random.Random(0)
        self._cut_number: int | None = None
        self._ignored = 0
        self._failing = False

    @property
    def operations(self) -> int:
        """Programs (of one page each) and erases begun so far."""
        return self.erases + self.programs

    # --- power -------------------------------------------------------------------------------------------------------
    def cut_at(self, number: int, torn: Torn = Torn.NONE, seed: int = 0) -> None:
        """Cut the power in the middle of operation `number` (see `operations`; the first is 0), leaving it `torn`."""
        self._cut_number = number
        self._torn = torn
        self._random = random.Random(seed)

    def cut(self, torn: Torn = Torn.NONE, seed: int = 0) -> None:
        """Cut the power now; the operation in progress, if any, is left `torn`."""
        self._torn = torn
        self._random = random.Random(seed)
        self.dead = True

    # --- faults ------------------------------------------------------------------------------------------------------
    def ignore_writes(self, count: int) -> None:
        """Let the next `count` operations report success and change nothing."""
        self._ignored = count

    def fail_writes(self, failing: bool) -> None:
        """Let operations report an error and change nothing, or work again."""
        self._failing = failing

    # --- inside ------------------------------------------------------------------------------------------------------
    def _works(self) -> bool:
        if self._ignored:
            self._ignored -= 1
            return False
        return not self._failing

    def _tear_program(self, torn: Torn, block: int, offset: int, page: bytes) -> None:
        if torn is Torn.ALL:
            self.image.program(block, offset, page)
        elif torn is Torn.HALF:
            half = len(page) // 2
            self.image.program(block, offset, page[:half] + b"\xff" * (len(page) - half))
        elif torn is not Torn.NONE:
            spared = self._random.randbytes(len(page))
            self.image.program(block, offset, bytes(byte | keep for byte, keep in zip(page, spared, strict=True)))

    def _tear_erase(self, torn: Torn, block: int) -> None:
        image = self.image
        if torn is Torn.ALL:
            image.erase(block)
        elif torn is Torn.HALF:
            image.put(block, 0, _ERASED_BLOCK[: BLOCK_SIZE // 2])
        elif torn is Torn.BITS:
            old = int.from_bytes(image.read(block, 0, BLOCK_SIZE), "little")
            risen = old | int.from_bytes(self._random.randbytes(BLOCK_SIZE), "little")
            image.put(block, 0, risen.to_bytes(BLOCK_SIZE, "little"))
        elif torn is Torn.GARBAGE:
            image.put(block, 0, self._random.randbytes(BLOCK_SIZE))


class FlashDevice(FlashCircuit):
    """The flash under littlefs, which calls it with signatures of its own.

    `spend` is told each operation's time in us and lets it pass before the bytes change, so that what happens
    meanwhile, a cut too, hits it in the middle. It may raise, as `before` may: the store raises that again.
    """

    def __init__(self, image: FlashImage | None = None, timing: FlashTiming | None = None) -> None:
        super().__init__(image, timing)
        self.spend: Callable[[int], None] | None = None
        self.error: BaseException | None = None
        """What `before` or `spend` raised inside an operation."""

    # --- what littlefs calls -----------------------------------------------------------------------------------------
    def read(self, _config: object, block: int, offset: int, size: int) -> bytes:
        """Return `size` bytes; littlefs' binding has no way to let a read fail, and a read changes nothing."""
        return self.image.read(block, offset, size)

    def prog(self, _config: object, block: int, offset: int, data: bytes) -> int:
        """Program whole pages; return 0, or a negative error."""
        for at in range(0, len(data), PROGRAM_SIZE):
            page = data[at : at + PROGRAM_SIZE]
            if self.dead or not 0 <= block < BLOCK_COUNT:
                return _IO_ERROR
            number = self.operations
            self.programs += 1
            self.programmed_bytes += len(page)
            torn = self._endure(Operation(number, "program", block, offset + at, len(page)), self.timing.program_us)
            if torn is not None:
                self._tear_program(torn, block, offset + at, page)
                return _IO_ERROR
            if self._works():
                self.image.program(block, offset + at, page)
            elif self._failing:
                return _IO_ERROR
        return 0

    def erase(self, _config: object, block: int) -> int:
        """Erase a block; return 0, or a negative error."""
        if self.dead or not 0 <= block < BLOCK_COUNT:
            return _IO_ERROR
        number = self.operations
        self.erases += 1
        self.block_erases[block] += 1
        torn = self._endure(Operation(number, "erase", block, 0, BLOCK_SIZE), self.timing.erase_us)
        if torn is not None:
            self._tear_erase(torn, block)
            return _IO_ERROR
        if self._works():
            self.image.erase(block)
        elif self._failing:
            return _IO_ERROR
        return 0

    def sync(self, _config: object) -> int:
        """Nothing is held back; return 0, or a negative error once the power is gone."""
        return _IO_ERROR if self.dead else 0

    def _endure(self, operation: Operation, spent_us: int) -> Torn | None:
        """Let the time of an operation pass; return None if the power held, else how the operation is left."""
        self.busy_us += spent_us
        try:
            if self.before is not None:
                self.before(operation)
            if self.spend is not None:
                self.spend(spent_us)
        except BaseException as error:  # noqa: BLE001  # nothing may pass through C; the store raises it again
            self.error = error
            self.dead = True
            return Torn.NONE
        if operation.number == self._cut_number:
            self.dead = True
        return self._torn if self.dead else None


_READ = lfs.LFSFileFlag["rdonly"]
_APPEND = lfs.LFSFileFlag["wronly"] | lfs.LFSFileFlag["creat"] | lfs.LFSFileFlag["append"]


class SimStore:
    """The pen's files on littlefs: `Store` of the ports. Construct it at power-up.

    Like the stock image it makes a new file system when it cannot mount the old one: `reformatted` tells, and the
    firmware finds its ledger missing. Raises OSError as the pen does; `PowerCut` once the power is gone. `close` gives
    littlefs' memory back.

    After an error it mounts anew before the next operation, as the real pen's store does: what littlefs then holds in
    memory may differ from the flash, and it ends the whole process when it finds that out. A pen without power mounts
    nothing.
    """

    def __init__(self, device: FlashDevice) -> None:
        self.device = device
        self.reformatted = False
        self._full = False
        self._config = lfs.LFSConfig(device, **LITTLEFS)
        self._fs = lfs.LFSFilesystem()
        self._mounted = False
        self._busy = False
        self._closed = False
        self._distrusted = False
        with self._powered():
            try:
                lfs.mount(self._fs, self._config)
            except LittleFSError:
                self.reformatted = True
                lfs.format(self._fs, self._config)
                lfs.mount(self._fs, self._config)
            self._mounted = True

    def close(self) -> None:
        """Give back littlefs' memory; changes nothing in the flash. Whoever uses the store afterwards is cut off.

        May be called inside one of the store's own operations (the power goes in its middle): it waits for its end.
        """
        self._closed = True
        if not self._busy:
            self._unmount()

    def refuse_space(self, full: bool) -> None:
        """Let every write find the flash full, or have room again."""
        self._full = full

    # --- the port ----------------------------------------------------------------------------------------------------
    def names(self) -> list[str]:
        """Return the names of all files."""
        with self._powered():
            found = []
            folder = lfs.dir_open(self._fs, "/")
            try:
                while (entry := lfs.dir_read(self._fs, folder)) is not None:
                    if entry.type == lfs.LFSStat.TYPE_REG:
                        found.append(entry.name)
            finally:
                lfs.dir_close(self._fs, folder)
            return found

    def size(self, name: str) -> int:
        """Return the size of a file in bytes, or -1."""
        return self._size(name)

    def _size(self, name: str) -> int:
        with self._powered():
            try:
                return lfs.stat(self._fs, name).size
            except LittleFSError as error:
                if error.code == LittleFSError.Error.LFS_ERR_NOENT:
                    return -1
                raise

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`."""
        with self._opened(name, _READ) as file:
            lfs.file_seek(self._fs, file, offset, 0)
            return lfs.file_read(self._fs, file, length)

    def append(self, name: str, data: bytes) -> None:
        """Append `data` in one synced write; makes the file, and the folder it lies in."""
        self._need_space()
        folder, slash, _ = name.rpartition("/")
        if slash and self._size(name) < 0:
            self._need_folder(folder)
        with self._opened(name, _APPEND) as file:
            lfs.file_write(self._fs, file, bytes(data))

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, in place of any file that had it."""
        self._need_space()
        with self._powered():
            lfs.rename(self._fs, name, new_name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._powered():
            lfs.remove(self._fs, name)

    # --- inside ------------------------------------------------------------------------------------------------------
    def _need_folder(self, folder: str) -> None:
        with self._powered():
            try:
                lfs.mkdir(self._fs, folder)
            except LittleFSError as error:
                if error.code != LittleFSError.Error.LFS_ERR_EXIST:
                    raise

    def _mount_anew(self) -> None:
        """Forget what littlefs holds in memory: after an operation that failed it may differ from the flash."""
        self._unmount()
        self._fs = lfs.LFSFilesystem()
        lfs.mount(self._fs, self._config)
        self._mounted = True
        self._distrusted = False

    def _unmount(self) -> None:
        """Give littlefs' memory back, once: a mount that failed has given it back by itself."""
        if self._mounted:
            self._mounted = False
            lfs.unmount(self._fs)

    def _need_space(self) -> None:
        if self._full:
            raise OSError(errno.ENOSPC, "no space left in flash")

    @contextmanager
    def _opened(self, name: str, flags: lfs.LFSFileFlag) -> Iterator[lfs.LFSFile]:
        """Open a file; closing it is what syncs it, and always takes it out of littlefs' books."""
        with self._powered():
            file = lfs.file_open(self._fs, name, flags)
            try:
                yield file
            finally:
                lfs.file_close(self._fs, file)

    @contextmanager
    def _powered(self) -> Iterator[None]:
        """Raise what littlefs could not: `PowerCut`, an error of the world, or OSError with its number."""
        self._raise_ended()
        self._busy = True
        try:
            if self._distrusted:
                self._mount_anew()
            yield
        except LittleFSError as error:
            self._distrusted = True
            self._raise_ended()
            raise OSError(-error.code, error.name) from None
        finally:
            self._busy = False
            if self._closed:
                self.close()
        self._raise_ended()

    def _raise_ended(self) -> None:
        error = self.device.error
        if error is not None:
            self.device.error = None
            raise error
        if self.device.dead or self._closed:
            raise PowerCut
