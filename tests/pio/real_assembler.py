"""Compare with MicroPython's own assembler: `python -m tests.pio.real_assembler RP2_PY`. Host only.

RP2_PY is `ports/rp2/modules/rp2.py` of a MicroPython source tree. It belongs to MicroPython and comes with no package,
so it is no part of the checks: whoever has it runs this. The file is executed by the real MicroPython of tests/vm,
over stand-ins for the constants that it takes from the chip, and given the pen's programs as they are.
"""

import sys
from pathlib import Path

from tests.pio.assembler import Program
from tests.pio.rigs import GUARD_PIO, STROKE_PIO
from tests.vm.machine import MicroPythonVM

_CHIP = "from _rp2 import *"
_CONSTANTS = """
class PIO:
    IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH = range(4)
    SHIFT_LEFT, SHIFT_RIGHT = range(2)
    JOIN_NONE, JOIN_TX, JOIN_RX = range(3)
"""
_WRAP_BITS = 0x1F

_ASK = """
import sys
class Module: pass
space = {"__name__": "rp2"}
exec(%r, space)
module = Module()
for name in space:
    setattr(module, name, space[name])
sys.modules["rp2"] = module
result = {}
for text in %r:
    programs = {"__name__": "programs"}
    exec(text, programs)
    for name in %r:
        if name in programs:
            made = programs[name]
            result[name] = [list(made[0]), made[space["_PROG_EXECCTRL"]], made[space["_PROG_SHIFTCTRL"]]]
"""


def shiftctrl(program: Program) -> int:
    """Return the SHIFTCTRL register (data sheet 3.7) that the program's decorator asks for."""
    settings = {name: int(str(value)) for name, value in program.settings.items() if not isinstance(value, bool)}
    threshold = settings.get("push_thresh", 32) % 32 << 20
    directions = settings.get("out_shiftdir", 0) << 19 | settings.get("in_shiftdir", 0) << 18
    return threshold | directions | bool(program.settings.get("autopush")) << 16


def main(arguments: list[str]) -> int:
    """Print what differs; return how many programs do."""
    source = Path(arguments[0]).read_text(encoding="utf-8")
    if source.count(_CHIP) != 1:
        raise SystemExit(f"{arguments[0]} is no rp2.py")
    source = source.replace(_CHIP, _CONSTANTS)
    programs = [STROKE_PIO.stroke, STROKE_PIO.sample, GUARD_PIO.depth, GUARD_PIO.count, GUARD_PIO.stop]
    texts = [Path(module.__file__).read_text(encoding="utf-8") for module in (STROKE_PIO, GUARD_PIO)]
    # Underscored constants are folded away by MicroPython; here they are asked for by name.
    source = source.replace("_PROG_EXECCTRL = const(", "_PROG_EXECCTRL = int(").replace(
        "_PROG_SHIFTCTRL = const(", "_PROG_SHIFTCTRL = int("
    )
    with MicroPythonVM() as vm:
        found = vm.run(_ASK % (source, texts, [program.name for program in programs]))
    different = 0
    for program in programs:
        words, execctrl, shift = found[program.name]
        wraps = execctrl >> 12 & _WRAP_BITS, execctrl >> 7 & _WRAP_BITS
        ours = program.words, (program.wrap, program.wrap_target), shiftctrl(program)
        same = (words, wraps, shift & 0x01FFFFFF) == ours
        different += not same
        sys.stdout.write(f"{program.name:8}{len(words):3} words  {'the same' if same else 'DIFFERENT'}\n")
    return different


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
