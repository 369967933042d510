"""One PIO block on either of two emulators, behind one interface; their known faults are worked around here alone.

A machine's instruction at tick t sees the inputs of tick t; what it writes is on the pin at t + 1. A block is run at
the ticks when it is due; in between nothing happens in it. Host only.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from pioemu.emulation import emulate
from pioemu.shift_register import ShiftRegister
from pioemu.state import State
from rp2040py.peripherals import pio_registers as registers
from rp2040py.rp2040 import RP2040

NEVER = 1 << 60
MACHINES = 4
FIFO_DEPTH = 4
_PINS = 30
_U32 = 0xFFFFFFFF
_CTRL, _IRQ = 0x00, 0x30
_TXF0 = 0x10
_MACHINE_SIZE = 0x18
_JOIN_RX = 1 << 31

_WAIT, _IN, _OUT, _FIFO, _MOV, _IRQ_CODE, _SET = 1, 2, 3, 4, 5, 6, 7
_PULL_NOBLOCK = 0x8080
_NULL = 3
_SHIFTERS = {6: "input_shift_register", 7: "output_shift_register"}
"""What MOV calls them."""


@dataclass(frozen=True)
class Settings:
    """How a machine is set up; addresses and pins are absolute."""

    wrap_target: int = 0
    wrap: int = 31
    in_base: int = 0
    out_base: int = 0
    out_count: int = 0
    set_base: int = 0
    set_count: int = 0
    jmp_pin: int = 0
    in_right: bool = False
    out_right: bool = False
    autopush: bool = False
    push_thresh: int = 32


class Picture(NamedTuple):
    """One machine: how far off its next instruction is (-1: nothing is), where it stands, what it holds."""

    due: int
    address: int
    x: int
    y: int
    rest: tuple[int, ...]


class Block(Protocol):
    """Four machines and their 32 instructions."""

    @property
    def levels(self) -> int:
        """What the block puts on its pins, from the tick after the last one run."""

    @property
    def driven(self) -> int:
        """The pins that it drives."""

    def load(self, address: int, words: list[int]) -> None:
        """Write instructions."""

    def init(self, machine: int, settings: Settings, address: int) -> None:
        """Stop a machine, empty its FIFOs, set it up and place it at `address`."""

    def execute(self, now: int, machine: int, word: int) -> None:
        """Have a stopped machine execute one instruction at once."""

    def enable(self, now: int, machine: int, on: bool) -> None:
        """Start or stop a machine."""

    def put(self, now: int, machine: int, word: int) -> None:
        """Write a word to a FIFO that isn't full."""

    def get(self, now: int, machine: int) -> int:
        """Read a word from a FIFO that isn't empty."""

    def tx_level(self, machine: int) -> int:
        """Return how many words wait for a machine."""

    def rx_level(self, machine: int) -> int:
        """Return how many words wait for the CPU."""

    def address(self, machine: int) -> int:
        """Return where a machine stands."""

    def flags(self) -> int:
        """Return the IRQ register."""

    def clear_flags(self, flags: int) -> None:
        """Write to the IRQ register."""

    def picture(self, now: int, machine: int) -> "Picture":
        """Return all that decides what a machine will do."""

    def leap(self, machine: int, ticks: int, x: int) -> None:
        """Have a machine do `ticks` later what it is to do next, with another X."""

    def due(self) -> int:
        """Return the next tick at which a machine executes something; NEVER while all are stopped or stalled."""

    def run(self, now: int, inputs: int) -> None:
        """Let every machine that is due at `now` execute, the inputs being as they are."""


class Rp2040pyBlock:
    """A block of rp2040py.

    Its faults: a stall that ends by an input ends a tick early if the block's own time stands still meanwhile, so that
    is set first; starting a machine lets a thousand ticks pass at once, unless the block is told that it is running
    already.
    """

    _spare: list[RP2040] = []  # noqa: RUF012  # shared on purpose: a chip takes 30 ms to make

    def __init__(self, index: int) -> None:
        self._chip = self._spare.pop() if self._spare else RP2040()
        self._pio: Any = self._chip.pio[index]
        self._pio.reset()
        self._pio.stopped = False
        self._inputs = 0
        self._on = 0
        for pin in self._chip.gpio:
            pin.set_input_value(False)

    def __del__(self) -> None:
        self._spare.append(self._chip)

    @property
    def levels(self) -> int:
        return int(self._pio.pin_values)

    @property
    def driven(self) -> int:
        return int(self._pio.pin_directions)

    def load(self, address: int, words: list[int]) -> None:
        for place, word in enumerate(words, address):
            self._pio.write_uint32(registers.INSTR_MEM0 + 4 * place, word)

    def init(self, machine: int, settings: Settings, address: int) -> None:
        self._on &= ~(1 << machine)
        self._pio.write_uint32(_CTRL, self._on | 1 << (4 + machine))
        self._pio.stopped = False
        wraps = settings.wrap << 12 | settings.wrap_target << 7
        shift = settings.push_thresh % 32 << 20 | settings.out_right << 19 | settings.in_right << 18
        pins = settings.set_count << 26 | settings.out_count << 20 | settings.in_base << 15
        self._write(machine, registers.SM0_CLKDIV, 1 << 16)
        self._write(machine, registers.SM0_EXECCTRL, settings.jmp_pin << 24 | wraps)
        for joined in (_JOIN_RX, 0):  # a change of their joining empties the FIFOs
            self._write(machine, registers.SM0_SHIFTCTRL, joined | shift | settings.autopush << 16)
        self._write(machine, registers.SM0_PINCTRL, pins | settings.set_base << 5 | settings.out_base)
        self._write(machine, registers.SM0_INSTR, address)

    def _write(self, machine: int, register: int, value: int) -> None:
        self._pio.write_uint32(register + machine * _MACHINE_SIZE, value)

    def execute(self, now: int, machine: int, word: int) -> None:
        self._pio.cycle_fp = now << 8
        self._write(machine, registers.SM0_INSTR, word)

    def enable(self, now: int, machine: int, on: bool) -> None:
        self._pio.cycle_fp = now << 8
        self._on = self._on | 1 << machine if on else self._on & ~(1 << machine)
        self._pio.stopped = False
        self._pio.write_uint32(_CTRL, self._on)
        self._pio.stopped = False

    def put(self, now: int, machine: int, word: int) -> None:
        self._pio.cycle_fp = now << 8
        self._pio.write_uint32(_TXF0 + 4 * machine, word)

    def get(self, now: int, machine: int) -> int:
        self._pio.cycle_fp = now << 8
        return int(self._pio.machines[machine].read_fifo())

    def tx_level(self, machine: int) -> int:
        return int(self._pio.machines[machine].tx_fifo.item_count)

    def rx_level(self, machine: int) -> int:
        return int(self._pio.machines[machine].rx_fifo.item_count)

    def address(self, machine: int) -> int:
        return int(self._pio.machines[machine].pc)

    def flags(self) -> int:
        return int(self._pio.irq)

    def clear_flags(self, flags: int) -> None:
        self._pio.raw_write_value = flags
        self._pio.write_uint32(_IRQ, flags)

    def picture(self, now: int, machine: int) -> Picture:
        made = self._pio.machines[machine]
        idle = made.waiting or not made.enabled
        rest = (made.input_shift_reg, made.output_shift_reg, made.tx_fifo.item_count, made.rx_fifo.item_count)
        return Picture(-1 if idle else (made.next_due_fp >> 8) - now, made.pc, made.x, made.y, rest)

    def leap(self, machine: int, ticks: int, x: int) -> None:
        made = self._pio.machines[machine]
        made.next_due_fp += ticks << 8
        made.x = x
        self._pio.recompute_due()

    def due(self) -> int:
        due = self._pio.next_due_fp
        return NEVER if due >= NEVER else (due + 255) >> 8

    def run(self, now: int, inputs: int) -> None:
        pio = self._pio
        pio.cycle_fp = now << 8
        changed = inputs ^ self._inputs
        if changed:
            self._inputs = inputs
            gpio = self._chip.gpio
            while changed:
                pin = (changed & -changed).bit_length() - 1
                gpio[pin].set_input_value(bool(inputs >> pin & 1))
                changed &= changed - 1
        pio.advance(0)


def _turned(value: int, by: int) -> int:
    """Return 32 bits turned right."""
    return (value >> by | value << (32 - by)) & _U32


class _PioemuMachine:
    """One machine of pioemu.

    Its faults: it ends at `irq`, which is done here; it takes the index of `wait pin` for a GPIO and knows no IN
    base, so all pins are turned until the IN base is 0; it has no other machines, so pins are joined by the block.
    """

    def __init__(self, memory: list[int]) -> None:
        self._memory = memory
        self.state = State()
        self.settings = Settings()
        self.on = False
        self.stalled = False
        self.due = NEVER
        self.inputs = 0
        self._steps: Generator[tuple[State, State], None, None] | None = None

    def init(self, settings: Settings, address: int) -> None:
        self.settings = settings
        self.on = False
        self.due = NEVER
        self.stalled = False
        pins = self._mask(settings.set_base, settings.set_count) | self._mask(settings.out_base, settings.out_count)
        old = self.state
        self.state = State(
            program_counter=address,
            pin_directions=pins,
            x_register=old.x_register,
            y_register=old.y_register,
            output_shift_register=ShiftRegister(old.output_shift_register.contents, 32),
        )
        self._steps = None

    def _mask(self, base: int, count: int) -> int:
        return _turned((1 << count) - 1, (self.settings.in_base - base) % 32) if count else 0

    def go_to(self, state: State) -> None:
        """Go on from another state."""
        self.state = state
        self._steps = None

    def _begin(self) -> Generator[tuple[State, State], None, None]:
        settings = self.settings

        def pins(_: State) -> int:
            return self.inputs

        pins.__annotations__["_"] = State
        return emulate(
            self._memory,
            stop_when=lambda _, __: False,
            initial_state=self.state,
            input_source=pins,
            auto_push=settings.autopush,
            push_threshold=settings.push_thresh,
            shift_isr_right=settings.in_right,
            shift_osr_right=settings.out_right,
            out_base=(settings.out_base - settings.in_base) % 32,
            out_count=settings.out_count,
            set_base=(settings.set_base - settings.in_base) % 32,
            set_count=settings.set_count,
            jmp_pin=(settings.jmp_pin - settings.in_base) % 32,
            wrap_target=settings.wrap_target,
            wrap_top=settings.wrap,
        )

    def run(self, now: int, block: "PioemuBlock") -> None:
        """Execute one instruction at tick `now`."""
        state = self.state
        word = self._memory[state.program_counter]
        kind = word >> 13
        if kind == _IRQ_CODE:
            block.raised |= 1 << (word & 7)
            at = state.program_counter
            following = self.settings.wrap_target if at == self.settings.wrap else at + 1
            self.go_to(replace(state, program_counter=following))
            self.due = now + 1 + (word >> 8 & 31)
            return
        if self._steps is None:
            self._steps = self._begin()
        before, after = next(self._steps)
        self.state = after
        waits = kind in (_WAIT, _FIFO)
        self.stalled = waits and after.program_counter == before.program_counter
        if self.stalled:
            self.due = NEVER
            return
        self.due = now + after.clock - before.clock
        if kind == _SET and not word >> 5 & 7:
            block.write(after.pin_values, self._mask(self.settings.set_base, self.settings.set_count), self.settings)
        elif kind == _OUT and not word >> 5 & 7:
            block.write(after.pin_values, self._mask(self.settings.out_base, self.settings.out_count), self.settings)


class PioemuBlock:
    """A block of pioemu's machines: the highest of those that write a pin in one tick wins."""

    def __init__(self, index: int) -> None:
        self._memory = [0] * 32
        self._machines = [_PioemuMachine(self._memory) for _ in range(MACHINES)]
        self.levels = 0
        self.driven = 0
        self.raised = 0
        self._inputs = 0

    def write(self, values: int, mask: int, settings: Settings) -> None:
        """Take what a machine has written to its pins."""
        back = (32 - settings.in_base) % 32
        mask = _turned(mask, back)
        self.levels = self.levels & ~mask | _turned(values, back) & mask

    def load(self, address: int, words: list[int]) -> None:
        self._memory[address : address + len(words)] = words

    def init(self, machine: int, settings: Settings, address: int) -> None:
        self._machines[machine].init(settings, address)

    def execute(self, now: int, machine: int, word: int) -> None:
        made = self._machines[machine]
        settings = made.settings
        kind = word >> 13
        if kind == 0 and not word >> 5 & 7:
            made.go_to(replace(made.state, program_counter=word & 31))
        elif kind == _SET and word >> 5 & 7 in (0, 4):
            mask = (1 << settings.set_count) - 1 << settings.set_base
            value = (word & 31) << settings.set_base & mask
            if word >> 5 & 7:
                self.driven = self.driven & ~mask | value
            else:
                self.levels = self.levels & ~mask | value
        elif word == _PULL_NOBLOCK and made.state.transmit_fifo:
            pulled = ShiftRegister(made.state.transmit_fifo.popleft(), 0)
            made.go_to(replace(made.state, output_shift_register=pulled))
        elif word >> 8 == _MOV << 5 and word >> 5 & 7 in _SHIFTERS and word & 31 in (_NULL, *_SHIFTERS):
            value = 0 if word & 31 == _NULL else getattr(made.state, _SHIFTERS[word & 31]).contents
            moved: dict[str, Any] = {_SHIFTERS[word >> 5 & 7]: ShiftRegister(value, 0)}
            made.go_to(replace(made.state, **moved))
        else:
            raise NotImplementedError(f"executing {word:#06x}")

    def enable(self, now: int, machine: int, on: bool) -> None:
        made = self._machines[machine]
        if on and not made.on:
            made.due = now
        elif not on:
            made.due = NEVER
        made.on = on

    def put(self, now: int, machine: int, word: int) -> None:
        made = self._machines[machine]
        made.state.transmit_fifo.append(word)
        if made.stalled and made.on:
            made.due = now

    def get(self, now: int, machine: int) -> int:
        made = self._machines[machine]
        if made.stalled and made.on:
            made.due = now
        return made.state.receive_fifo.popleft()

    def tx_level(self, machine: int) -> int:
        return len(self._machines[machine].state.transmit_fifo)

    def rx_level(self, machine: int) -> int:
        return len(self._machines[machine].state.receive_fifo)

    def address(self, machine: int) -> int:
        return self._machines[machine].state.program_counter

    def flags(self) -> int:
        return self.raised

    def clear_flags(self, flags: int) -> None:
        self.raised &= ~flags

    def picture(self, now: int, machine: int) -> Picture:
        made = self._machines[machine]
        state = made.state
        shifted = (state.input_shift_register.contents, state.output_shift_register.contents)
        rest = (*shifted, len(state.transmit_fifo), len(state.receive_fifo))
        due = -1 if made.due == NEVER else made.due - now
        return Picture(due, state.program_counter, state.x_register, state.y_register, rest)

    def leap(self, machine: int, ticks: int, x: int) -> None:
        made = self._machines[machine]
        if made.due != NEVER:
            made.due += ticks
        if made.state.x_register != x:
            made.go_to(replace(made.state, x_register=x))

    def due(self) -> int:
        return min(machine.due for machine in self._machines)

    def run(self, now: int, inputs: int) -> None:
        changed = inputs != self._inputs
        self._inputs = inputs
        for machine in self._machines:
            if not machine.on:
                continue
            if changed:
                machine.inputs = _turned(inputs, machine.settings.in_base)
                if machine.stalled:
                    machine.due = now
            if machine.due <= now:
                machine.inputs = _turned(inputs, machine.settings.in_base)
                machine.run(now, self)


BLOCKS: dict[str, Callable[[int], Block]] = {"rp2040py": Rp2040pyBlock, "pioemu": PioemuBlock}
