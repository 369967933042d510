"""The emulators' known faults: each test tells when one is mended, and its way round in `blocks` can go."""

import inspect

import pytest
from pioemu.emulation import emulate
from pioemu.state import State
from rp2040py.peripherals import pio_registers as registers
from rp2040py.rp2040 import RP2040

from tests.pio.blocks import Rp2040pyBlock, Settings

_IRQ_0, _SET_PINS_1, _WAIT_PIN_2, _PULL, _JMP_5, _JMP_PIN_5 = 0xC000, 0xE001, 0x20A2, 0x80A0, 0x0005, 0x00C5


def steps(words: list[int], state: State, most: int = 3) -> list[State]:
    """Return the first states that pioemu goes through."""
    states = []
    for _, after in emulate(words, stop_when=lambda _, now: now.clock >= most, initial_state=state):
        states.append(after)
    return states


def test_pioemu_ends_at_irq() -> None:
    assert len(steps([_SET_PINS_1, _IRQ_0, _SET_PINS_1], State())) == 1


def test_pioemu_knows_no_in_base_and_takes_wait_pin_for_a_gpio() -> None:
    assert "in_base" not in inspect.signature(emulate).parameters
    assert steps([_WAIT_PIN_2, _SET_PINS_1], State(pin_values=4))[0].program_counter == 1


def test_pioemu_can_t_wrap_at_0() -> None:
    """Its programs here never do: they are placed at the end of the memory, as on the pen."""
    states = []
    words = [_SET_PINS_1, _SET_PINS_1, _SET_PINS_1]
    for _, after in emulate(words, stop_when=lambda _, now: now.clock >= 2, wrap_target=0, wrap_top=0):
        states.append(after.program_counter)
    assert states == [1, 2]


def test_rp2040py_starts_a_machine_with_a_thousand_ticks_at_once() -> None:
    pio = RP2040().pio[0]
    with pytest.raises(RuntimeError, match="event loop"):
        pio.write_uint32(0, 1)
    assert pio.cycle_fp == 1000 << 8


def test_rp2040py_leaves_a_stalled_machine_stalled_when_it_is_told_to_jump() -> None:
    """So machines are placed by `init`, which restarts them, or jump from a stall to the like of it."""
    block = Rp2040pyBlock(0)
    block.load(0, [_PULL, _SET_PINS_1])
    block.load(5, [_SET_PINS_1])
    block.init(0, Settings(set_count=1), 0)
    block.enable(0, 0, True)
    block.run(0, 0)
    block.execute(5, 0, _JMP_5)
    for now in range(6, 20):
        block.run(now, 0)
    assert block.levels == 0


def test_rp2040py_s_machines_read_the_pads_without_the_synchroniser_s_two_ticks() -> None:
    """So `Chip` carries the levels to the machines, two ticks late, on both emulators."""
    chip = RP2040()
    pio = chip.pio[0]
    chip.gpio[3].ctrl = 6
    pio.machines[0].pin_ctrl = 1 << 26 | 3 << 5
    pio.machines[0].exec_ctrl |= 3 << 24
    pio.pin_directions = 1 << 3
    for place, word in enumerate((_SET_PINS_1, _JMP_PIN_5)):
        pio.write_uint32(registers.INSTR_MEM0 + 4 * place, word)
    pio.stopped = False
    pio.write_uint32(0, 1)
    for ticks in (0, 1):
        pio.advance(ticks)
    assert pio.machines[0].pc == 5
