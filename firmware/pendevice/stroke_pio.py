"""The programs of PIO block 0: one plays stroke tables, one samples what came of it. Run on the pen.

The stroke program takes the words of `pencore.planner` as they lie in RAM, by DMA: no copy, so that the table whose
CRC was checked is the table that is played. A word's STEP edge comes at its start; the next one follows exactly its
delay later, if that is at least `SHORTEST_TICKS`. Shorter delays, which no plan has, take between one and little more
than two times that: no table can make STEP faster than the guards can count, nor shorter than 288 ns high and 672 ns
low. What a delay has beyond the shortest is waited half in the high time and half in the low time, so that both grow
with it: at 390 ticks they are 1.4 and 1.7 us.

Nothing moves before home is seen, nor while the driver is off: a stroke whose driver is cut makes no further edge, and
the machine stays so until it is initialised. At the end of each table one word is pushed, which is never waited for:
a CPU that hangs stops no stroke. What is queued behind a stroke lies in the FIFO already, so strokes follow each other
within `GAP_TICKS` of the last word's end.

How an engine uses it: machine 0 of block 0, FIFO first given `HOLD_WORD`, then DMA to the FIFO paced by its request.
Homing enters at `ANYWHERE_AT` instead of the top, which is the same but for the first wait; depth and count guard are
what keeps it short. A machine that stands at `WAIT_AT` has a stroke and waits for home.

The sampling program is machine 1. At each falling edge of STEP, in the middle of a step's time, it pushes one word of
three bits: the levels of STEP (now 0), DIR and HOME. They are DMA'd as bytes into a ring; see `pendevice.samples`.

The functions below are assembled when the module is imported, by `rp2`; their words are made of names that exist only
there. Allocates the programs.
"""

import rp2

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from rp2.asm_pio import (
        block,
        in_,
        jmp,
        label,
        mov,
        noblock,
        not_x,
        osr,
        out,
        pin,
        pins,
        pull,
        push,
        set,  # noqa: A004  # the PIO's own instruction
        wait,
        wrap,
        wrap_target,
        x,
        x_dec,
        x_not_y,
        y,
    )

HOLD_WORD = const(30)
"""First word of the FIFO after each initialisation: a quarter of what a word takes beside its delay, in ticks."""
SHORTEST_TICKS = const(120)
"""Least time from one STEP edge to the next: 1,041,666 steps/s."""
PULL_AT = const(2)
"""Where the stroke program waits for a stroke's first word; places are counted from its first instruction."""
WAIT_AT = const(3)
"""Where it waits for home."""
HOLDING_AT = (12, 18, 15, 20)
"""Between which places it waits a word's delay: the first two with STEP high, the others with STEP low."""
ANYWHERE_AT = const(16)
"""Where it takes a word without asking for home: homing starts here."""
OFF_AT = const(22)
"""Where it stays when it finds the driver off."""
GAP_TICKS = const(47)
"""From the end of a stroke's last delay to the first edge of one that is queued, home being seen."""


# STEP is the SET pin, DIR the OUT pin, HOME the first IN pin, ENABLE the JMP pin (high: off).
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW, out_init=rp2.PIO.OUT_LOW, out_shiftdir=rp2.PIO.SHIFT_RIGHT)
def stroke() -> None:
    """Play tables for ever; 24 instructions."""
    pull(block)
    mov(y, osr)
    wrap_target()
    pull(block)
    wait(0, pin, 0)
    label("word")
    mov(x, osr)[10]
    out(pins, 1)[31]
    jmp(not_x, "over")
    # Asked in the tick before the edge: a driver that the turn of DIR has cut gets none.
    jmp(pin, "off")
    set(pins, 1)[31]
    # The last two bits of the delay are waited here, what is left of it in two loops, two ticks for each of it.
    out(x, 2)
    label("rest")
    jmp(x_dec, "rest")
    mov(x, osr)
    label("high")
    # Ends where X meets Y: twice that, in both loops, are all the ticks that the other instructions take. X counts no
    # further than 0, so that a delay too short ends as well.
    jmp(x_not_y, "higher")
    label("fall")
    set(pins, 0)[17]
    mov(x, osr)
    label("low")
    jmp(x_not_y, "lower")
    label("next")
    pull(block)
    jmp("word")[17]
    label("higher")
    jmp(x_dec, "high")
    jmp("fall")
    label("lower")
    jmp(x_dec, "low")
    jmp("next")
    label("off")
    jmp("off")
    label("over")
    push(noblock)
    wrap()


# STEP is the first IN pin.
@rp2.asm_pio(in_shiftdir=rp2.PIO.SHIFT_LEFT, autopush=True, push_thresh=3)
def sample() -> None:
    """Push STEP, DIR and HOME at each falling edge of STEP; 3 instructions."""
    wait(1, pin, 0)
    wait(0, pin, 0)
    in_(pins, 3)
