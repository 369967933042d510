"""Cycle-exact time for the PIO blocks of the emulated chip. Host only.

The emulator advances its PIO blocks once per CPU instruction, one instruction of each machine at most, and forgets
what is owed beyond eight cycles: a machine that polls falls behind a busy CPU, and stands still while the CPU sleeps.
Here the blocks are taken out of its loop. They are advanced at the very ticks at which a machine is due, by whoever
holds the time, and brought up to now before the CPU or DMA touches one of their registers.

A machine that goes round in a loop without effect sleeps: its loop is found by its own doing (the same picture twice,
X falling by one or not at all), leapt over, and gone through once more to the right place when anything happens that
it could notice. A test holds that this changes no edge. Allocates a little for each loop that is found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_FP = 8
"""Ticks are counted in 256ths by the emulator."""
_NEVER = 1 << 61
_BASES = (0x5020_0000, 0x5030_0000)
_MACHINES = 4
_LEAP_LEAST = 4
_MARGIN = 2
"""Rounds of a falling loop that are left to the emulator, so that its end is its own."""
_ALL_PINS = 0xFFFF_FFFF

# Registers of a block, RP2040 data sheet 3.7.
_CTRL = 0x00
_FSTAT, _FLEVEL = 0x04, 0x0C
_TXF, _RXF, _RXF_END = 0x10, 0x20, 0x30
_SM_FIRST, _SM_SIZE, _SM_END = 0xC8, 0x18, 0x128
_INSTR = 0x10

# Instructions: the class is in the three highest bits.
_JMP, _OUT, _PUSH_PULL, _MOV, _SET = 0, 3, 4, 5, 7
_JMP_PIN = 6
_PINS = 0
_PINDIRS = 4
_MOV_EXEC = 4


@dataclass(frozen=True)
class _Sleep:
    """A loop that is leapt over. It stands at its head at `due`, with `x`; a round takes `period` and lowers X by
    `fall`. It must be gone through again at `until`. All times in 256ths of a tick.
    """

    due: int
    period: int
    x: int
    fall: int
    until: int
    pins: int
    writes: bool


class _Watch:
    """What is known of one machine: its last look at the head of a loop, and its sleep."""

    def __init__(self) -> None:
        self.asleep: _Sleep | None = None
        self.forget()

    def forget(self) -> None:
        """Look for a loop anew."""
        self.seen = -1
        self.pc = -1
        self.places = 0
        self.picture: tuple[int, ...] = ()
        self.x = 0
        self.due = 0


class PioTime:
    """The two blocks of `chip`. `now` returns the tick; `changed` is called when what is due may be sooner."""

    def __init__(self, chip: Any, now: Callable[[], int], changed: Callable[[], None]) -> None:
        self._now = now
        self._changed = changed
        self.blocks: tuple[Any, ...] = tuple(chip.pio)
        self.running_at: int | None = None
        """The tick whose instructions are being executed; None between them."""
        self.leaping = True
        self._watches = [[_Watch() for _ in range(_MACHINES)] for _ in self.blocks]
        self._enabled: list[list[int]] = [[] for _ in self.blocks]
        self._waking = _NEVER
        """When the first sleeper is due to wake, in 256ths of a tick."""
        self._writers = 0
        """How many of them write pins."""
        for index, base in enumerate(_BASES):
            chip.peripherals[(base >> 14) << 2] = _Window(self, index)
        self.restart()

    def restart(self) -> None:
        """Begin anew after a reset of the chip: no machine runs."""
        for index, block in enumerate(self.blocks):
            block.stopped = True
            block.cycle_fp = self._now() << _FP
            self._enabled[index] = []
            for watch in self._watches[index]:
                watch.asleep = None
                watch.forget()
            block.recompute_due()
        self._count_sleepers()

    def reset(self, index: int) -> None:
        """Reset a block, as the chip's reset does."""
        self.blocks[index].reset()
        for watch in self._watches[index]:
            watch.asleep = None
            watch.forget()
        self._enabled[index] = []
        self._count_sleepers()
        self.blocks[index].cycle_fp = self._now() << _FP
        self._after(index)

    # --- time --------------------------------------------------------------------------------------------------------
    def due(self) -> int | None:
        """Return the tick at which a machine is to be advanced next; None while none is."""
        first, second = self.blocks
        due = first.next_due_fp
        if second.next_due_fp < due:
            due = second.next_due_fp
        if self._waking < due:
            due = self._waking
        return None if due >= _NEVER else max((due + 255) >> _FP, first.cycle_fp >> _FP)

    def run(self, tick: int) -> None:
        """Execute what is due at `tick`, of both blocks."""
        now_fp = tick << _FP
        self.running_at = tick
        if self._waking <= now_fp:
            self._wake_due(now_fp)
        for index, block in enumerate(self.blocks):
            if block.next_due_fp > now_fp:
                block.cycle_fp = now_fp
                continue
            if self._writers:
                self._wake_writers(index, now_fp)
            block.advance((now_fp - block.cycle_fp) >> _FP)
            if self.leaping:
                for machine in self._enabled[index]:
                    self._look(index, machine)
        self.running_at = None

    def before_input(self, tick: int, pin: int) -> None:
        """Get ready for a change of an input at `tick`: whoever may poll it is awake."""
        now_fp = tick << _FP
        for index, block in enumerate(self.blocks):
            block.cycle_fp = now_fp
            for machine, watch in enumerate(self._watches[index]):
                if watch.asleep is not None and watch.asleep.pins >> pin & 1:
                    self._wake(index, machine, now_fp)
                elif watch.asleep is None:
                    watch.forget()

    # --- registers ---------------------------------------------------------------------------------------------------
    def read(self, index: int, offset: int) -> int:
        """Read a register for the CPU or DMA."""
        block = self.blocks[index]
        offset &= 0xFFF
        self._touch(index, offset, False)
        value: int = block.read_uint32(offset)
        if _RXF <= offset < _RXF_END:
            self._after(index)
        return value

    def write(self, index: int, offset: int, value: int, kind: int) -> None:
        """Write a register for the CPU or DMA; `kind`: 0 plain, 1 xor, 2 set, 3 clear."""
        offset &= 0xFFF
        self._touch(index, offset, True)
        self.running_at = None
        machine, register = divmod(offset - _SM_FIRST, _SM_SIZE)
        if _SM_FIRST <= offset < _SM_END and register == _INSTR:
            self._execute(index, machine, offset, value, kind)
        else:
            self.blocks[index].write_uint32_atomic(offset, value, kind)
        if offset == _CTRL:
            machines = self.blocks[index].machines
            self._enabled[index] = [number for number in range(_MACHINES) if machines[number].enabled]
        self._after(index)

    def _execute(self, index: int, machine: int, offset: int, value: int, kind: int) -> None:
        """Execute an instruction from outside in place of one that the machine may be waiting in.

        The emulator would leave the waiting as it was, and go on behind the instruction that it interrupted.
        """
        block = self.blocks[index]
        made = block.machines[machine]
        stalled, place = made.waiting, made.pc
        made.waiting = False
        block.write_uint32_atomic(offset, value, kind)
        if stalled and not made.waiting and value >> 13 != _JMP:
            # It meets its own instruction once more, and waits there again if it must.
            made.pc = place
        if not made.waiting and made.enabled:
            made.next_due_fp = max(made.next_due_fp, block.cycle_fp + 256)
        block.check_changed_pins()

    def _touch(self, index: int, offset: int, written: bool) -> None:
        """Bring a block up to now, and wake whose register this is."""
        now_fp = self._now() << _FP
        block = self.blocks[index]
        block.cycle_fp = max(block.cycle_fp, now_fp)
        if _TXF <= offset < _RXF:
            self._stir(index, (offset - _TXF) >> 2, now_fp)
        elif _RXF <= offset < _RXF_END:
            self._stir(index, (offset - _RXF) >> 2, now_fp)
        elif _SM_FIRST <= offset < _SM_END:
            self._stir(index, (offset - _SM_FIRST) // _SM_SIZE, now_fp)
        elif written or offset not in (_CTRL, _FSTAT, _FLEVEL):
            for machine in range(_MACHINES):
                self._stir(index, machine, now_fp)

    def _stir(self, index: int, machine: int, now_fp: int) -> None:
        watch = self._watches[index][machine]
        if watch.asleep is not None:
            self._wake(index, machine, now_fp)
        watch.forget()

    def _after(self, index: int) -> None:
        block = self.blocks[index]
        # Else the emulator's own loop would advance it as well.
        block.stopped = True
        block.recompute_due()
        self._changed()

    # --- loops -------------------------------------------------------------------------------------------------------
    def _look(self, index: int, machine: int) -> None:
        """Look whether a machine that may have been advanced goes round in circles; let it sleep if so."""
        watch = self._watches[index][machine]
        made = self.blocks[index].machines[machine]
        if watch.asleep is not None:
            return
        if made.waiting:
            watch.pc = -1
            watch.places = 0
            return
        due = made.next_due_fp
        if due == watch.seen:
            return
        watch.seen = due
        pc = made.pc
        here = 1 << pc
        if pc > watch.pc:
            watch.pc = pc
            watch.places |= here
            return
        # It has jumped back, or stays: this is the head of a loop, and these were the places of one round.
        watch.pc = pc
        places = watch.places | here
        watch.places = here
        x = made.x
        picture = (
            pc,
            made.y,
            made.input_shift_reg,
            made.input_shift_count,
            made.output_shift_reg,
            made.output_shift_count,
            made.fifo_stat,
            made.out_pin_values,
            made.out_pin_direction,
        )
        if picture == watch.picture and not self._sleeps(index, machine, places, due):
            watch.picture = ()
            return
        watch.picture = picture
        watch.x = x
        watch.due = due

    def _sleeps(self, index: int, machine: int, places: int, due: int) -> bool:
        """Let a machine sleep that has gone round once, by `places`, without effect; return False if it may not."""
        watch = self._watches[index][machine]
        made = self.blocks[index].machines[machine]
        x = made.x
        fall = watch.x - x
        period = due - watch.due
        effects = self._effects(index, made, places)
        if fall not in (0, 1) or period <= 0 or effects is None:
            return False
        pins, writes = effects
        until = _NEVER
        if fall:
            rounds = (x - made.y if x >= made.y else x) - _MARGIN
            if rounds < _LEAP_LEAST or writes:
                return True
            until = due + rounds * period
        watch.asleep = _Sleep(due, period, x, fall, until, pins, writes)
        made.next_due_fp = _NEVER
        self.blocks[index].recompute_due()
        self._count_sleepers()
        return True

    def _effects(self, index: int, made: Any, places: int) -> tuple[int, bool] | None:
        """Return which pins the instructions at `places` (bits) look at, and whether one writes pins; None if one does
        what can't be leapt over.
        """
        pins, writes = 0, bool(made.sideset_count)
        for place in range(places.bit_length()):
            if not places >> place & 1:
                continue
            word = self.blocks[index].instructions[place]
            kind, what = word >> 13, word >> 5 & 7
            if kind == _JMP:
                if what == _JMP_PIN:
                    pins |= 1 << made.jmp_pin
            elif kind == _SET:
                writes = writes or what in (_PINS, _PINDIRS)
            elif kind == _MOV:
                if what in (_PINS, _MOV_EXEC):
                    return None
                if word & 7 == _PINS:
                    pins = _ALL_PINS
            elif kind != _PUSH_PULL:
                return None
        return pins, writes

    def _wake(self, index: int, machine: int, now_fp: int) -> None:
        """End a sleep: the machine stands where it would stand at `now_fp`, what is due then not yet executed."""
        watch = self._watches[index][machine]
        sleep = watch.asleep
        if sleep is None:
            return
        block = self.blocks[index]
        made = block.machines[machine]
        watch.asleep = None
        watch.forget()
        self._count_sleepers()
        rounds = max(0, min(now_fp, sleep.until) - sleep.due) // sleep.period
        made.x = sleep.x - rounds * sleep.fall
        made.next_due_fp = sleep.due + rounds * sleep.period
        while made.next_due_fp < now_fp:
            made.step()
        block.recompute_due()

    def _wake_due(self, now_fp: int) -> None:
        """Wake those whose loop is about to end."""
        for index, watches in enumerate(self._watches):
            for machine, watch in enumerate(watches):
                if watch.asleep is not None and watch.asleep.until <= now_fp:
                    self._wake(index, machine, now_fp)

    def _count_sleepers(self) -> None:
        sleeps = [watch.asleep for watches in self._watches for watch in watches if watch.asleep is not None]
        self._waking = min((sleep.until for sleep in sleeps), default=_NEVER)
        self._writers = sum(sleep.writes for sleep in sleeps)

    def _wake_writers(self, index: int, now_fp: int) -> None:
        """Wake the machines that write pins in their sleep, if another one is about to: of those that write in one tick
        the highest wins.
        """
        watches = enumerate(self._watches[index])
        writers = [number for number, watch in watches if watch.asleep is not None and watch.asleep.writes]
        if not writers:
            return
        block = self.blocks[index]
        for number in self._enabled[index]:
            made = block.machines[number]
            if number in writers or made.waiting or made.next_due_fp > now_fp:
                continue
            word = block.instructions[made.pc]
            if word >> 13 in (_SET, _OUT, _MOV) or made.sideset_count:
                for writer in writers:
                    self._wake(index, writer, now_fp)
                return


class _Window:
    """A block's registers as the bus sees them."""

    def __init__(self, time: PioTime, index: int) -> None:
        self._time = time
        self._index = index

    def read_uint32(self, offset: int) -> int:
        """Read a register."""
        return self._time.read(self._index, offset)

    def write_uint32_atomic(self, offset: int, value: int, kind: int) -> None:
        """Write a register."""
        self._time.write(self._index, offset, value, kind)

    def reset(self) -> None:
        """Reset the block with the chip."""
        self._time.reset(self._index)
