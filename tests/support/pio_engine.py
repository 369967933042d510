"""The pen's engine as it is flashed, on two emulated PIO blocks with a plant on their pins: ports for the contract.

Beside what `tests.pio` has, the engine needs DMA channels with their registers, memory that has addresses, and
milliseconds. Channels chain, pause and abort as the data sheet says (2.5.2 to 2.5.7); a transfer takes `DMA_TICKS`.
Host only.
"""

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

from pensim.clock import TICKS_PER_MS
from pensim.plant import PenParameters
from tests.pio import chip as emulated
from tests.pio.assembler import Program, asm_pio
from tests.pio.blocks import FIFO_DEPTH
from tests.pio.chip import DMA_TICKS, Chip, StateMachine
from tests.pio.rigs import PenRig

_EN, _CHAIN_SHIFT, _BUSY = 1, 11, 1 << 24
_READ, _WRITE, _COUNT, _CTRL, _READ_TRIGGER = 0, 1, 2, 4, 15
_FEED, _SAMPLED, _ADDRESS = 0x50200010, 0x50200024, 0x502000D4
_RAM = 0x20000000


class Memory:
    """Where buffers lie: each is given a place once, and its bytes are read there as they are when they are read."""

    def __init__(self) -> None:
        self._places: list[tuple[int, Any]] = []
        self._end = _RAM + 16

    def addressof(self, buffer: bytes | bytearray) -> int:
        for start, known in self._places:
            if known is buffer:
                return start
        start = self._end
        self._places.append((start, buffer))
        self._end = (start + len(buffer) + 31) & ~15
        return start

    def bytearray_at(self, address: int, size: int) -> memoryview | bytearray:
        """Return the bytes at `address`, inside of a buffer known, as a buffer of its own that DMA finds there."""
        made = bytearray(size)
        self._places.insert(0, (address, made))
        return made

    def find(self, address: int) -> tuple[Any, int]:
        for start, buffer in self._places:
            if start <= address < start + len(buffer):
                return buffer, address - start
        raise AssertionError(f"DMA reads or writes at {address:#x}, where nothing lies")

    def word(self, address: int) -> int:
        buffer, at = self.find(address)
        return int.from_bytes(buffer[at : at + 4], "little")


class Registers:
    """A channel's registers, by index."""

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel

    def __getitem__(self, index: int) -> int:
        channel = self._channel
        channel.chip.run(emulated.CALL_TICKS)
        if index == _CTRL:
            return channel.ctrl | (_BUSY if channel.busy else 0)
        return {_READ: channel.read, _COUNT: channel.left}[index]

    def __setitem__(self, index: int, value: int) -> None:
        channel = self._channel
        channel.chip.run(emulated.CALL_TICKS)
        if index == _CTRL:
            channel.ctrl = value
            channel.look()
        elif index == _COUNT:
            channel.count = value
        else:
            channel.read = value
            if index == _READ_TRIGGER:
                channel.start()


class Channel:
    """rp2.DMA, feeding machine 0 of block 0 or taking from machine 1."""

    made: ClassVar[list["Channel"]] = []
    memory: ClassVar[Memory]

    def __init__(self) -> None:
        self.chip = Chip.plugged
        self.channel = len(Channel.made)
        Channel.made.append(self)
        self.registers = Registers(self)
        self.read = self.write = self.count = self.left = self.ctrl = self.ring = 0
        self.busy = False
        self._due = False
        self._generation = 0
        self.chip.dmas.append(self)  # type: ignore[arg-type]  # looked at by the chip as the other kind is

    def pack_ctrl(self, **fields: int) -> int:
        ring = fields.get("ring_size", 0) << 6
        return int(fields.get("enable", True)) | ring | fields.get("chain_to", self.channel) << _CHAIN_SHIFT

    def config(self, *, trigger: bool = False, **registers: int) -> None:
        self.read = registers.get("read", self.read)
        self.write = registers.get("write", self.write)
        self.count = registers.get("count", self.count)
        self.ctrl = registers.get("ctrl", self.ctrl)
        if trigger:
            self.start()

    def active(self, on: int) -> None:
        assert not on
        self._forget()

    def _forget(self) -> None:
        self.busy = self._due = False
        self._generation += 1

    def start(self) -> None:
        if self.ctrl & _EN and not self.busy:
            self.busy = True
            self.left = self.count
            if self.read == _SAMPLED:
                self.chip.sinks = [(0, 1, self._take)]
            self.look()

    def look(self) -> None:
        """Begin a transfer if one is due and there is room for it."""
        wanted = self.busy and self.ctrl & _EN and self.write == _FEED and not self._due
        if wanted and self.chip.blocks[0].tx_level(0) < FIFO_DEPTH:
            self._due = True
            generation = self._generation
            self.chip.after(DMA_TICKS, lambda: self._transfer(generation))

    def abort(self) -> None:
        """Forget what is not transferred yet, as the chip's other kind does."""
        self._forget()

    def _transfer(self, generation: int) -> None:
        if generation != self._generation:
            return
        self._due = False
        if not self.ctrl & _EN:
            return
        self.chip.blocks[0].put(self.chip.now, 0, Channel.memory.word(self.read))
        self.read += 4
        self.left -= 1
        if self.left:
            return
        self.busy = False
        then = self.ctrl >> _CHAIN_SHIFT & 0xF
        if then != self.channel:
            Channel.made[then].start()

    def _take(self, word: int) -> None:
        if not self.busy:
            return
        buffer, at = Channel.memory.find(self.write)
        buffer[at] = word & 0xFF
        size = 1 << (self.ctrl >> 6 & 0xF)
        self.write = self.write & -size | (self.write + 1) & (size - 1)
        self.left -= 1


class _Listed:
    """A program as the pen's own assembler returns it: a list whose second entry tells where it lies in block 0."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

    def __getitem__(self, index: int) -> int:
        assert index == 1
        return Chip.plugged.place(0, self)  # type: ignore[arg-type]  # stands in for the program everywhere


def _listing(**settings: Any) -> Callable[[Callable[[], None]], _Listed]:
    assemble = asm_pio(**settings)
    return lambda function: _Listed(assemble(function))  # type: ignore[arg-type]  # a function is one


class _Words:
    """machine.mem32, as far as the player looks."""

    def __getitem__(self, address: int) -> int:
        assert address == _ADDRESS
        Chip.plugged.run(emulated.CALL_TICKS)
        return Chip.plugged.blocks[0].address(0)


class _Input(emulated.Pin):
    """machine.Pin with a mode."""

    IN = 0
    PULL_UP = 1

    def __init__(self, number: int, mode: int = 0, pull: int = 0) -> None:
        super().__init__(number)


def _ticks_ms() -> int:
    Chip.plugged.run(emulated.CALL_TICKS)
    return (Chip.plugged.now // TICKS_PER_MS) & 0x3FFFFFFF


def _modules() -> SimpleNamespace:
    """Import engine and player as the pen does, with what stands in for its modules here."""
    rp2 = {
        "PIO": SimpleNamespace(OUT_LOW=2, OUT_HIGH=3, SHIFT_LEFT=0, SHIFT_RIGHT=1),
        "asm_pio": _listing,
        "StateMachine": StateMachine,
        "DMA": Channel,
    }
    memory = SimpleNamespace(
        addressof=lambda buffer: Channel.memory.addressof(buffer),  # noqa: PLW0108  # not made yet
        bytearray_at=lambda address, size: Channel.memory.bytearray_at(address, size),  # noqa: PLW0108  # not made yet
    )
    time = {"ticks_ms": _ticks_ms, "ticks_diff": lambda end, start: end - start}
    machine = {"Pin": _Input, "mem32": _Words()}
    with emulated.modules(rp2=rp2, machine=machine, uctypes=vars(memory), time=time):
        return SimpleNamespace(
            engine=importlib.import_module("pendevice.engine"), player=importlib.import_module("pendevice.player")
        )


MODULES = _modules()


class Sound:
    """A motor driver that never has anything to say, unless told to."""

    def __init__(self) -> None:
        self.said = 0
        self.is_ready = True
        self.looks = 0
        self.forgiven = 0

    def bits(self) -> int:
        return self.said

    def ready(self) -> bool:
        return self.is_ready

    def look(self) -> None:
        self.looks += 1

    def forgive(self) -> None:
        self.forgiven += 1
        self.said = 0


class EnginePen(PenRig):
    """A pen whose engine is the firmware's own; where the carriage is let go it rests at home, driver off. `driver` is
    what the engine asks of its motor driver.
    """

    def __init__(self, emulator: str = "rp2040py", parameters: PenParameters | None = None, driver: Any = None) -> None:
        Channel.made = []
        Channel.memory = Memory()
        super().__init__(emulator, 1, 0, parameters)
        self.guards.off()
        self.driver: Any = Sound() if driver is None else driver
        self.player_port = MODULES.player.Player()
        self.engine: Any = MODULES.engine.StrokeEngine(
            self.player_port, self.guards, self.driver, Channel.memory.addressof, _ticks_ms
        )

    def begin(self) -> None:
        """Leave that to the engine."""

    def run_ms(self, ms: int) -> None:
        """Let time pass, and the sensor follow the carriage."""
        for _ in range(ms):
            self.chip.run(TICKS_PER_MS)
            self.clock.run_until(self.chip.now)
            self._look()
