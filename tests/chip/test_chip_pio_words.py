"""The stock image's own assembler makes of the pen's PIO programs what the test suite's makes of them.

`tests/pio` proves the programs on emulated machines with words of its own assembler; the pen assembles them itself, at
every boot. Asked on the chip, word for word, with the registers that go with them.
"""

import ast
from pathlib import Path

import pytest

from pensim.chip.files import image_of
from pensim.chip.flash import ChipFlash
from pensim.flash import FlashImage
from pinprick.board.build import PLAIN, Build
from tests.chip.console import Console
from tests.pio.assembler import Program
from tests.pio.real_assembler import shiftctrl
from tests.pio.rigs import GUARD_PIO, STROKE_PIO

pytestmark = pytest.mark.chip

PROGRAMS: tuple[Program, ...] = (
    STROKE_PIO.stroke,
    STROKE_PIO.sample,
    GUARD_PIO.depth,
    GUARD_PIO.count,
    GUARD_PIO.stop,
)
# EXECCTRL and SHIFTCTRL come before the three fields about pins, which end what `rp2.asm_pio` makes.
ASK = """
from pendevice import guard_pio, stroke_pio
made = {}
for module in guard_pio, stroke_pio:
    for name in %r:
        if hasattr(module, name):
            program = getattr(module, name)
            made[name] = [list(program[0]), program[-5], program[-4]]
print(made)
"""
_WRAP_BITS = 0x1F
_SHIFT_BITS = 0x01FF_FFFF
"""All of SHIFTCTRL but the joining of FIFOs and the threshold of pulls, which the pen's programs leave alone."""


def test_the_chip_assembles_the_same_words(uf2_path: Path, firmware: Build) -> None:
    console = Console(uf2_path)
    modules = {path: data for path, data in firmware.files.items() if path not in PLAIN}
    ChipFlash(console.emulator.chip, FlashImage.from_bytes(image_of(modules)))
    console.prompt()
    made = ast.literal_eval(console.run(ASK % ([program.name for program in PROGRAMS],)))
    assert made.keys() == {program.name for program in PROGRAMS}
    for program in PROGRAMS:
        words, execctrl, shift = made[program.name]
        assert words == program.words, program.name
        assert (execctrl >> 12 & _WRAP_BITS, execctrl >> 7 & _WRAP_BITS) == (program.wrap, program.wrap_target)
        assert execctrl & ~(_WRAP_BITS << 12 | _WRAP_BITS << 7) == 0, program.name
        assert shift & _SHIFT_BITS == shiftctrl(program), program.name
        assert shift >> 30 == 0, program.name
