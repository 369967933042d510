"""How else steps are made in MicroPython, beside the pen's player: on the same chip, at the same pad. Host only.

Four ways that one meets again and again, written for this comparison: a timer's callback that moves the pin, a loop
that sleeps between two moves, a PIO machine that makes steps at its own frequency while Python counts them and stops
it, and one that is given a number of steps and makes them at a fixed frequency. Each is asked for the same: `STEPS`
steps, `RATE` a second; each is tried alone, while garbage is collected, while a file is written, and with a CPU that
hangs in the middle. All trials are in copies of one chip.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from bench.parts.chip_bare import PLAYER, Bench
from pencore.units import TICK_HZ
from pensim.chip.copies import in_copy
from pensim.chip.pen import STEP
from pensim.clock import TICKS_PER_MS

RATE = 1000
STEPS = 100
_MIDDLE_MS = 50
_REST_MS = 70
_IDLE_MS = 100
_AFTER_HANG_MS = 200
_TRIES = (1000, 2000, 5000, 10_000, 20_000, 40_000)
_SERVED = 0.99
"""Of the steps asked for, so many must have come in their time."""
_MOST_MS = 3000

_WORK = """
import gc, time
keep = [[number] for number in range(3000)]
def nothing():
    pass
def collect():
    gc.collect()
def write():
    with open("file", "wb") as file:
        file.write(bytes(8192))
def idle(ms):
    turns = 0
    end = time.ticks_add(time.ticks_us(), 1000 * ms)
    while time.ticks_diff(end, time.ticks_us()) > 0:
        turns += 1
    return turns
"""
_PLAYER = (
    PLAYER
    + """
def start(rate, steps):
    play(125_000_000 // rate, steps)
def stop():
    pass
"""
)
_TIMER = f"""
from machine import Pin, Timer
step = Pin({STEP}, Pin.OUT, value=0)
timer = Timer()
def move(_):
    global left
    if left:
        left -= 1
        step.value(1)
        step.value(0)
def start(rate, steps):
    global left
    left = steps
    timer.init(freq=rate, mode=Timer.PERIODIC, callback=move)
def stop():
    timer.deinit()
"""
_LOOP = f"""
import time
from machine import Pin
step = Pin({STEP}, Pin.OUT, value=0)
def run(rate, steps, work):
    half = 500_000 // rate
    for number in range(steps):
        step.value(1)
        time.sleep_us(half)
        step.value(0)
        time.sleep_us(half)
        if number == steps // 2:
            work()
def flat_out(steps):
    for _ in range(steps):
        step.value(1)
        step.value(0)
"""
_COUNTED = f"""
import rp2
from machine import Pin
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def wave():
    set(pins, 1)[24]
    set(pins, 0)[23]
    irq(rel(0))
def told(machine0):
    global left
    left -= 1
    if left <= 0:
        machine0.active(0)
def start(rate, steps):
    global left, machine0
    left = steps
    machine0 = rp2.StateMachine(0, wave, freq=50 * rate, set_base=Pin({STEP}))
    machine0.irq(told)
    machine0.active(1)
def stop():
    machine0.active(0)
"""
_BURST = f"""
import rp2
from machine import Pin
@rp2.asm_pio(set_init=rp2.PIO.OUT_LOW)
def burst():
    pull(block)
    mov(x, osr)
    label("step")
    set(pins, 1)[24]
    set(pins, 0)[23]
    jmp(x_dec, "step")
def start(rate, steps):
    global machine0
    machine0 = rp2.StateMachine(0, burst, freq=50 * rate, set_base=Pin({STEP}))
    machine0.active(1)
    machine0.put(steps - 1)
def stop():
    machine0.active(0)
"""


@dataclass(frozen=True)
class Way:
    """A way to make steps. `source` has start(rate, steps) and stop(), or run(rate, steps, work) if it `blocks`.

    `hung`: what a CPU that hangs in the middle of a stroke leaves of it.
    """

    name: str
    how: str
    source: str
    hung: str
    blocks: bool = False
    by_python: bool = True
    """Whether Python has a part in each step."""


PEN = "the pen's player"
WAYS = (
    Way(PEN, "PIO plays a table by DMA, there and back", _PLAYER, "the stroke is finished, at home", by_python=False),
    Way("timer", "machine.Timer, its callback moves the pin", _TIMER, "the needle stays where it is"),
    Way("loop", "pin, sleep_us, pin, sleep_us", _LOOP, "the needle stays where it is", blocks=True),
    Way("counted PIO", "PIO makes steps, Python counts and stops it", _COUNTED, "the needle goes on without end"),
    Way("PIO burst", "PIO makes the number it is given", _BURST, "the needle stays at its depth", by_python=False),
)


@dataclass(frozen=True)
class Trial:
    """One trial: steps made, the most that a step came off its time after the one before, in ticks (signed)."""

    steps: int
    off: int


def _judged(edges: list[int], rate: int = RATE) -> Trial:
    wanted = TICK_HZ // rate
    offs = [then - tick - wanted for tick, then in pairwise(edges)]
    return Trial(len(edges), max(offs, key=abs, default=0))


def _asked(way: Way, rate: int, steps: int, work: str) -> str:
    """Return what is typed to have steps made, and `work` done in their middle."""
    if way.blocks:
        return f"run({rate}, {steps}, {work})"
    middle_ms = _MIDDLE_MS * RATE // rate
    return f"start({rate}, {steps})\ntime.sleep_ms({middle_ms})\n{work}()\ntime.sleep_ms({_REST_MS})\nstop()"


def compare(chip: Bench, fastest: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Return the figures of each way; `fastest`: what the pen's program sustains, as measured elsewhere."""
    found = []
    for way in WAYS:
        figures = in_copy(partial(_measured, chip, way))
        if way.name == PEN:
            figures["rate"] = TICK_HZ // fastest["pen"]["most"]
        found.append({"name": way.name, "how": way.how, "hung": way.hung, **figures})
    return found


def _measured(chip: Bench, way: Way) -> dict[str, Any]:
    chip.run(_WORK + way.source)

    def trial(work: str) -> Trial:
        chip.clear()
        chip.run(_asked(way, RATE, STEPS, work), _MOST_MS)
        return _judged(chip.edges.steps())

    alone, collecting, writing = (in_copy(partial(trial, work)) for work in ("nothing", "collect", "write"))
    return {
        "off": alone.off,
        "steps": alone.steps,
        "collecting": vars(collecting),
        "writing": vars(writing),
        "share": 1.0 if way.blocks else in_copy(partial(_share, chip)),
        "after_hang": in_copy(partial(_hung, chip, way)),
        "rate": in_copy(partial(_highest, chip, way)),
    }


def _share(chip: Bench) -> float:
    """Return the share of the CPU that steps take from a loop of Python."""
    turns = int(chip.run(f"print(idle({_IDLE_MS}))"))
    left = int(chip.run(f"start({RATE}, {10 * STEPS})\nprint(idle({_IDLE_MS}))\nstop()"))
    return 1 - left / turns


def _hung(chip: Bench, way: Way) -> dict[str, Any]:
    """Return the steps that are made after the CPU hangs in the middle, and whether they end."""
    chip.clear()
    chip.begin(_asked(way, RATE, STEPS, "nothing"))
    while len(chip.edges.steps()) < STEPS // 2:
        chip.run_ms(0.5)
    chip.emulator.hang()
    before = len(chip.edges.steps())
    chip.run_ms(_AFTER_HANG_MS)
    edges = chip.edges.steps()
    return {"steps": len(edges) - before, "ends": chip.clock.now - edges[-1] > 5 * TICKS_PER_MS}


def _highest(chip: Bench, way: Way) -> int:
    """Return the highest rate of steps a second: as fast as a loop goes, or the highest tried that is kept up."""
    if way.blocks:
        return _rate_of(chip, f"flat_out({STEPS})")
    if not way.by_python:
        return _rate_of(chip, f"start({TICK_HZ // 50}, {STEPS})\ntime.sleep_ms(5)")
    kept = 0
    for rate in _TRIES:
        if not in_copy(partial(_keeps_up, chip, rate)):
            break
        kept = rate
    return kept


def _rate_of(chip: Bench, source: str) -> int:
    chip.clear()
    chip.run(source)
    edges = chip.edges.steps()
    return (len(edges) - 1) * TICK_HZ // (edges[-1] - edges[0])


def _keeps_up(chip: Bench, rate: int) -> bool:
    """Return whether steps at `rate` come in their time, but for one in a hundred."""
    chip.clear()
    steps = max(STEPS, rate // 20)
    try:
        chip.run(f"start({rate}, {steps})\ntime.sleep_ms({1000 * steps // rate + 5})\nstop()", _MOST_MS)
    except AssertionError:
        return False
    edges = chip.edges.steps()
    if abs(len(edges) - steps) > steps * (1 - _SERVED):
        return False
    return (edges[-1] - edges[0]) * rate * _SERVED <= (len(edges) - 1) * TICK_HZ
