"""The flash of an emulated RP2040 as a board has it: a W25Q16JV that takes its time and can lose its power. Host only.

The emulator's own flash does each operation at once, whole, and wherever it begins. `ChipFlash` takes its place behind
the SSI's data register: what the boot ROM shifts out is a command of the chip's; an erase or a program takes its time,
in which the chip answers only that it is busy, so that the boot ROM's loop waits for as many cycles as it would.
Meanwhile the chip can't be read: whoever fetches code or data from it finds ones, as on the bus of a flash that doesn't
answer.

Everything happens at alarms of the emulator's clock: the same commands take the same cycles. What lasts is in the
`FlashImage`, which faults may be done to at any time. A reset of the RP2040 is nothing to its flash: an operation that
is under way goes on.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from rp2040py.gpio_pin import GPIOPinState
from rp2040py.rp2040 import RP2040

from pensim.flash import BLOCK_COUNT, BLOCK_SIZE, PROGRAM_SIZE, FlashCircuit, FlashImage, FlashTiming, Operation, Torn

SIZE: Final = 2 * 1024 * 1024
"""Bytes of a Pico's flash; the chip ignores the address bits above."""
FILES_AT: Final = SIZE - BLOCK_SIZE * BLOCK_COUNT
"""Where the stock image keeps its files, up to the flash's end: 0xA0000."""

_WRITE_ENABLE = 0x06
_WRITE_DISABLE = 0x04
_WRITE_STATUS = 0x01
_STATUS_1 = 0x05
_STATUS_2 = 0x35
_READ = 0x03
_PROGRAM = 0x02
_ERASE = 0x20
_ERASE_64K = 0xD8
_JEDEC_ID = 0x9F
_UNIQUE_ID = 0x4B
_UNKNOWN = 0x00

_BUSY = 0x01
_WRITE_ENABLED = 0x02
_QUAD_ENABLED = 0x02
_W25Q16JV = bytes((0xEF, 0x40, 0x15))
_ADDRESSED = 4
_UNIQUE_AT = 5
_SECTORS_64K = 16
_NO_ANSWER = 0xFF
_UNREADABLE = b"\xff" * SIZE
_NS_PER_US = 1000

# The SSI: its window in the emulator's table, and the registers that are answered here.
_SSI = (0x18000000 >> 14) << 2
_REGISTER = 0xFFF
_ENABLE = 0x08
_RECEIVED = 0x24
_SSI_STATUS = 0x28
_DATA = range(0x60, 0xF0)
_FIFO_DEPTH = 16
_SENT = 0x06
_NOT_EMPTY = 0x08
_FULL = 0x10
_CHIP_SELECT = 1


class OutsideFiles(Exception):
    """The firmware would change the part of the flash that holds MicroPython itself, which nothing on a pen does."""


class ChipFlash(FlashCircuit):
    """The flash chip of `mcu`, attached once, before `mcu` runs.

    The bytes from `FILES_AT` on are the image's; what lies below is put into `mcu.flash` by others and only read.
    `before` is told of each operation as it begins; what it raises comes out of the emulator's batch, and the operation
    is not begun. In the middle of the one that `cut_at` names, or at any moment by `cut`, the power goes: the operation
    under way is left torn, and until `power_on` nothing is changed or answered. `on_cut` is told of the first kind,
    within the emulator's batch: it has to stop that.
    """

    def __init__(
        self,
        mcu: RP2040,
        image: FlashImage | None = None,
        timing: FlashTiming | None = None,
        unique_id: bytes = b"\xff" * 8,
    ) -> None:
        super().__init__(image, timing)
        self.on_cut: Callable[[], None] | None = None
        self._bytes = mcu.flash
        self._unique_id = unique_id
        self._command = bytearray()
        self._may_write = False
        self._under_way: tuple[Operation, bytes] | None = None
        self._hidden = b""
        self._alarm = mcu.clock.create_alarm(self._due)
        self._bytes[FILES_AT:SIZE] = self.image.to_bytes()
        self.image.changed = self._show_block
        self._ssi = _Ssi(mcu, self)

    @property
    def busy(self) -> bool:
        """Whether an operation is under way."""
        return self._under_way is not None

    def cut(self, torn: Torn = Torn.NONE, seed: int = 0) -> None:
        """Cut the power now; the operation in progress, if any, is left `torn`."""
        super().cut(torn, seed)
        self._stop_torn()

    def power_on(self) -> None:
        """The power is back: the flash answers again, and no cut is ahead. Counters and faults stay."""
        self.dead = False
        self._may_write = False
        self._cut_number = None
        self._command.clear()
        self._ssi.restart()

    def chip_reset(self) -> None:
        """The RP2040 was reset: the command it was giving is none, an operation that is under way goes on."""
        self._ssi.restart()

    # --- what the bus does -------------------------------------------------------------------------------------------
    def select(self) -> None:
        """Begin a command."""
        self._command.clear()

    def shift(self, byte: int) -> int:
        """Take a byte of the command; return the one that comes back meanwhile."""
        command = self._command
        at = len(command)
        command.append(byte)
        if self.dead or not at:
            return _NO_ANSWER
        kind = command[0]
        if kind == _STATUS_1:
            return (_BUSY if self.busy else 0) | (_WRITE_ENABLED if self._may_write else 0)
        if kind == _STATUS_2:
            return _QUAD_ENABLED
        if self.busy:
            return _NO_ANSWER
        if kind == _READ and at >= _ADDRESSED:
            return self._bytes[(self._address() + at - _ADDRESSED) % SIZE]
        if kind == _JEDEC_ID:
            return _W25Q16JV[(at - 1) % len(_W25Q16JV)]
        if kind == _UNIQUE_ID and at >= _UNIQUE_AT:
            return self._unique_id[(at - _UNIQUE_AT) % len(self._unique_id)]
        return _NO_ANSWER

    def deselect(self) -> None:
        """End a command: what changes something begins now, if the chip takes it."""
        command = self._command
        if self.dead or self.busy or not command:
            return
        kind, length = command[0], len(command)
        if kind == _WRITE_ENABLE and length == 1:
            self._may_write = True
        elif kind in (_WRITE_DISABLE, _WRITE_STATUS):
            self._may_write = False
        elif not self._may_write:
            pass
        elif kind == _ERASE and length == _ADDRESSED:
            self._begin("erase", self._address() & -BLOCK_SIZE, BLOCK_SIZE, self.timing.erase_us)
        elif kind == _ERASE_64K and length == _ADDRESSED:
            size = _SECTORS_64K * BLOCK_SIZE
            self._begin("erase", self._address() & -size, size, self.timing.erase_64k_us)
        elif kind == _PROGRAM and length > _ADDRESSED:
            self._begin_program(self._address(), bytes(command[_ADDRESSED:]))
        command.clear()

    # --- operations --------------------------------------------------------------------------------------------------
    def _address(self) -> int:
        return int.from_bytes(self._command[1:_ADDRESSED], "big") % SIZE

    def _begin_program(self, address: int, data: bytes) -> None:
        """Begin to program a page: bytes beyond its end go to its beginning, and of too many the last ones count."""
        page = bytearray(b"\xff" * PROGRAM_SIZE)
        for at, byte in enumerate(data, address):
            page[at % PROGRAM_SIZE] = byte
        self._begin("program", address & -PROGRAM_SIZE, PROGRAM_SIZE, self.timing.program_us, bytes(page))

    def _begin(self, kind: str, address: int, size: int, time_us: int, page: bytes = b"") -> None:
        if address < FILES_AT:
            raise OutsideFiles(f"{kind} of {size} bytes at 0x{address:05x}, below the file system")
        block, offset = divmod(address - FILES_AT, BLOCK_SIZE)
        operation = Operation(self.operations, kind, block, offset, size)
        if self.before is not None:
            self.before(operation)
        if kind == "program":
            self.programs += 1
            self.programmed_bytes += size
        else:
            self.erases += 1
            for erased in range(block, block + size // BLOCK_SIZE):
                self.block_erases[erased] += 1
        self.busy_us += time_us
        self._under_way = operation, page
        self._hidden = bytes(self._bytes[:FILES_AT])
        self._bytes[:SIZE] = _UNREADABLE
        time_ns = time_us * _NS_PER_US
        self._alarm.schedule(time_ns // 2 if operation.number == self._cut_number else time_ns)

    def _due(self) -> None:
        """End the operation under way, or cut the power in its middle."""
        if self._under_way is None:
            return  # the power went before
        operation, page = self._under_way
        if operation.number == self._cut_number:
            self.dead = True
            self._stop_torn()
            if self.on_cut is not None:
                self.on_cut()
            return
        if self._works():
            self._change(Torn.ALL, operation, page)
        self._end()

    def _stop_torn(self) -> None:
        """Leave the operation under way, if any, as the power left it."""
        if self._under_way is not None:
            self._change(self._torn, *self._under_way)
            self._end()

    def _change(self, torn: Torn, operation: Operation, page: bytes) -> None:
        """Change the image's cells as an operation does that got so far."""
        if operation.kind == "program":
            self._tear_program(torn, operation.block, operation.offset, page)
            return
        blocks = range(operation.block, operation.block + operation.size // BLOCK_SIZE)
        if torn is Torn.HALF and len(blocks) > 1:
            torn, blocks = Torn.ALL, blocks[: len(blocks) // 2]
        for block in blocks:
            self._tear_erase(torn, block)

    def _end(self) -> None:
        """Let the chip be read again."""
        self._under_way = None
        self._may_write = False
        self._bytes[:FILES_AT] = self._hidden
        self._bytes[FILES_AT:SIZE] = self.image.to_bytes()

    def _show_block(self, block: int, data: bytes) -> None:
        if self._under_way is None:
            at = FILES_AT + block * BLOCK_SIZE
            self._bytes[at : at + BLOCK_SIZE] = data


class _Ssi:
    """The SSI's registers on the emulator's bus: data and fill levels are the flash's, all others the emulator's own.

    The emulator's block sees no command, so it never changes the flash by itself. While the flash is busy that block
    is put back on the bus, to let the wait pass at the emulator's own speed (a command in ten accesses, each through
    Python, would take ten times as long): it answers a command that it doesn't know, whatever follows, with ones,
    which say busy in the only bit that anybody looks at.
    """

    def __init__(self, mcu: RP2040, flash: ChipFlash) -> None:
        self._windows = mcu.peripherals
        self._registers = mcu.ssi
        self._flash = flash
        self._received: deque[int] = deque()
        self._pad = mcu.qspi[_CHIP_SELECT]
        self.restart()
        self._pad.add_listener(self._select_changed)

    def reset(self) -> None:
        """Set all registers to what they are after a reset."""
        self._registers.reset()
        self.restart()

    def restart(self) -> None:
        """Answer again, whatever was under way. Nobody tells of a pad that a reset lets go of: so it is looked at."""
        self._received.clear()
        self._waiting = False
        self._selected = self._pad.value == GPIOPinState.LOW
        self._flash.select()
        self._windows[_SSI] = self

    def read_uint32(self, offset: int) -> int:
        """Return a register; of the data, the oldest byte received, or 0."""
        register = offset & _REGISTER
        received = self._received
        if register in _DATA:
            return received.popleft() if received else 0
        if register == _RECEIVED:
            return len(received)
        if register == _SSI_STATUS:
            return _SENT | (_NOT_EMPTY if received else 0) | (_FULL if len(received) == _FIFO_DEPTH else 0)
        return self._registers.read_uint32(offset)

    def write_uint32(self, offset: int, value: int) -> None:
        """Set a register."""
        self.write_uint32_atomic(offset, value, 0)

    def write_uint32_atomic(self, offset: int, value: int, kind: int) -> None:
        """Set a register; a byte of data goes to the flash at once, and its answer is there."""
        if offset not in _DATA:
            self._registers.write_uint32_atomic(offset, value, kind)
            if offset == _ENABLE and not self._enabled():
                self._received.clear()
        elif self._enabled():
            answer = self._flash.shift(value & 0xFF) if self._selected else _NO_ANSWER
            if len(self._received) < _FIFO_DEPTH:
                self._received.append(answer)

    def _enabled(self) -> bool:
        return bool(self._registers.read_uint32(_ENABLE))

    def _select_changed(self, state: GPIOPinState, _before: GPIOPinState) -> None:
        """Begin or end a command. The emulator's block has heard of it before."""
        selected = state == GPIOPinState.LOW
        if selected == self._selected:
            return
        self._selected = selected
        if not selected:
            self._flash.deselect()
            return
        self._received.clear()
        self._flash.select()
        waiting = self._flash.busy and self._enabled()
        if waiting != self._waiting:
            self._waiting = waiting
            self._windows[_SSI] = self._registers if waiting else self
        if waiting:
            self._registers.write_uint32(_DATA.start, _UNKNOWN)
            self._registers.read_uint32(_DATA.start)
