"""The programs of PIO block 1: three guards that watch the pins and own the driver's enable. Run on the pen.

They share no instruction, pin or memory with what plays the strokes, and see only what leaves the chip. The enable is
low for on. Whatever a guard has cut stays off: each ends in an instruction that writes "off" in every cycle, for
ever, and of several machines that write one pin in one cycle the highest wins. So the *enabler* is the lowest machine.

| machine | program | watches | cuts | flag |
|---|---|---|---|---|
| 0 | `depth`, the enabler | STEP, DIR | at the step of net extension after its limit | 0 |
| 1 | `count` | DIR | when DIR rises once more than it was allowed | 1 |
| 2 | `stop` | the stop line | when it is open | 2 |

*Depth*: X is what may still be extended, Y the limit; a retracting step gives one back, up to the limit and no
further, so that homing can't inflate it. It writes "on" once, after it was given its limit, and has no way back there.
*Count*: each stroke starts with DIR low and makes it rise once; the guard acts on that, before the first STEP edge.
While DIR is low it takes a new count from its FIFO within five ticks; the last one given holds. Without one it
allows none. Homing extends once, so it is loaded with one.
*Stop*: latches on a single sample.

The flags are those of the block's IRQ register. `pendevice.guards` alone starts the programs. The functions below are
assembled when the module is imported, by `rp2`. Allocates the programs.
"""

import rp2

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from rp2.asm_pio import (
        block,
        invert,
        irq,
        jmp,
        label,
        mov,
        noblock,
        osr,
        pin,
        pins,
        pull,
        set,  # noqa: A004  # the PIO's own instruction
        wait,
        wrap,
        wrap_target,
        x,
        x_dec,
        x_not_y,
        y,
    )

FASTEST_TICKS = const(8)
"""STEP edges at least this far apart are all counted, however short the pulses. DIR is taken a tick after the edge."""


# STEP is the first IN pin, DIR the JMP pin, ENABLE the SET pin.
@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH)
def depth() -> None:
    """Switch on, count net extension, cut at limit + 1; 16 instructions."""
    pull(block)
    mov(x, osr)
    mov(y, osr)
    set(pins, 0)
    label("low")
    wait(0, pin, 0)
    wait(1, pin, 0)
    jmp(pin, "extended")
    jmp(x_not_y, "retracted")
    jmp("low")
    label("retracted")
    # X + 1 is the complement of its complement less 1.
    mov(x, invert(x))
    jmp(x_dec, "less")
    label("less")
    mov(x, invert(x))
    jmp("low")
    label("extended")
    jmp(x_dec, "low")
    irq(0)
    wrap_target()
    set(pins, 1)
    wrap()


# DIR is the JMP pin, ENABLE the SET pin.
@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH)
def count() -> None:
    """Let DIR rise as often as allowed, then cut; 9 instructions."""
    set(x, 0)
    label("extending")
    jmp(pin, "extending")
    label("retracting")
    pull(noblock)
    mov(x, osr)
    jmp(pin, "risen")
    jmp("retracting")
    label("risen")
    jmp(x_dec, "extending")
    irq(1)
    wrap_target()
    set(pins, 1)
    wrap()


# The stop line is the first IN pin, ENABLE the SET pin.
@rp2.asm_pio(set_init=rp2.PIO.OUT_HIGH)
def stop() -> None:
    """Cut when the stop line opens; 3 instructions."""
    wait(1, pin, 0)
    irq(2)
    wrap_target()
    set(pins, 1)
    wrap()
