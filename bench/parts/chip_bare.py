"""The pen's stroke player by itself, on a chip with the stock image and no pen's program: rates and costs. Host only.

The firmware's own modules lie in the flash as on a pen, without the scripts that would run them; what is typed at the
prompt uses them. Home is seen and the driver on, by levels at the pads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pensim.chip.copies import in_copy
from pensim.chip.files import image_of
from pensim.chip.flash import ChipFlash
from pensim.chip.pen import DIR, ENABLE, HOME, STEP
from pensim.flash import FlashImage
from pinprick.board.build import Build
from tests.chip.console import Console

MARK = 20
"""A pad that the CPU moves to say where it is."""
SCRIPTS = frozenset({"boot.py", "main.py"})
_COUNTED = 50_000
_INTERVAL = 300
_STEPS = 8_000

PLAYER = """
import array, machine, rp2, uctypes
from machine import Pin
from pendevice.player import Player
player = Player()
player.begin()
def play(interval, steps):
    global table
    table = array.array("I", [interval << 1 | 1] * steps + [0])
    player.send(uctypes.addressof(table), steps + 1)
"""
COUNT = """
import micropython
mark = Pin({mark}, Pin.OUT, value=0)
@micropython.viper
def spin(turns: int):
    while turns:
        turns -= 1
def count(turns):
    state = machine.disable_irq()
    mark.value(1)
    spin(turns)
    mark.value(0)
    machine.enable_irq(state)
"""
"""In machine code, since the interpreter looks after the USB between its own turns."""
BARE = """
import array, machine, rp2, uctypes
from machine import Pin
@rp2.asm_pio(
    out_init=rp2.PIO.OUT_LOW, set_init=rp2.PIO.OUT_LOW, out_shiftdir=rp2.PIO.SHIFT_RIGHT, autopull=True, pull_thresh=32
)
def bare():
    out(pins, 1)
    out(x, 31)
    set(pins, 1)
    label("hold")
    jmp(x_dec, "hold")
    set(pins, 0)
machine0 = rp2.StateMachine(0, bare, out_base=Pin({dir}), set_base=Pin({step}))
machine0.active(1)
table = array.array("I", [1] * {steps})
feed = rp2.DMA()
feed.config(
    read=table, write=machine0, count={steps}, ctrl=feed.pack_ctrl(inc_write=False, treq_sel=0), trigger=True
)
"""
"""Words of delay and direction, and nothing that the pen's program asks for beside them."""


@dataclass
class Edges:
    """Ticks at which pads rose and fell."""

    rises: dict[int, list[int]] = field(default_factory=dict)
    falls: dict[int, list[int]] = field(default_factory=dict)

    def add(self, pin: int, level: int, at: int) -> None:
        """Take in an edge."""
        (self.rises if level else self.falls).setdefault(pin, []).append(at)

    def steps(self) -> list[int]:
        """Return the ticks of STEP rising."""
        return self.rises.get(STEP, [])


class Bench(Console):
    """A chip at its prompt with `files` in its flash, which takes its time; `edges` are those of STEP, DIR and MARK."""

    def __init__(self, uf2: Path, files: Mapping[str, bytes]) -> None:
        super().__init__(uf2, mirrored=(STEP, DIR, MARK))
        self.flash = ChipFlash(self.emulator.chip, FlashImage.from_bytes(image_of(files)))
        self.edges = Edges()
        self.emulator.on_edge = self.edges.add
        self.prompt()
        self.emulator.drive(HOME, 0)
        self.emulator.drive(ENABLE, 0)
        self.run_ms(1)

    def clear(self) -> None:
        """Forget all edges so far."""
        self.edges.rises.clear()
        self.edges.falls.clear()


def bare_chip(uf2: Path, built: Build) -> Bench:
    """Return a chip with the pen's modules in its flash, and none of the scripts that would run them."""
    return Bench(uf2, {path: data for path, data in built.files.items() if path not in SCRIPTS})


def cpu_cost(chip: Bench) -> dict[str, Any]:
    """Return what a loop of the CPU, interrupts off, takes by itself and while steps are played: in a copy."""

    def measured() -> dict[str, Any]:
        chip.run(PLAYER + COUNT.format(mark=MARK))
        chip.run(f"count(1)\ncount({_COUNTED})\nplay({_INTERVAL}, {_STEPS})\ncount({_COUNTED})")
        (_, began, again), (_, ended, last) = chip.edges.rises[MARK], chip.edges.falls[MARK]
        steps = sum(again < tick < last for tick in chip.edges.steps())
        alone, played = ended - began, last - again
        return {"alone": alone, "played": played, "steps": steps, "per_step": (played - alone) / steps}

    return in_copy(measured)


def sustained(chip: Bench, source: str) -> dict[str, int]:
    """Return how many steps a program makes that is run by `source`, and the least and most between two, in ticks: in a
    copy.
    """

    def measured() -> dict[str, int]:
        chip.clear()
        chip.run(source)
        chip.run_ms(60)
        spaces = [then - tick for tick, then in pairwise(chip.edges.steps())]
        return {"steps": len(spaces) + 1, "least": min(spaces), "most": max(spaces)}

    return in_copy(measured)


def fastest(chip: Bench, shortest: int) -> dict[str, dict[str, int]]:
    """Return what the pen's program sustains at its shortest interval, and what a bare one does."""
    return {
        "pen": sustained(chip, PLAYER + f"play({shortest}, {_STEPS})"),
        "bare": sustained(chip, BARE.format(dir=DIR, step=STEP, steps=_STEPS)),
    }
