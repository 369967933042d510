"""An assembler for `@rp2.asm_pio` functions, written from the encoding in the RP2040 data sheet (3.4). Host only.

It takes the functions as MicroPython's does: their names mean the PIO's words and nothing else, and a module's own
names can't be seen in them. It also writes each program as text, so that another assembler can be asked for the same.
"""

import types
from collections.abc import Callable
from dataclasses import dataclass, field

_DELAY_MAX = 31

_VALUES = {
    "gpio": 0,
    "pins": 0,
    "x": 1,
    "y": 2,
    "null": 3,
    "pindirs": 4,
    "pc": 5,
    "status": 5,
    "pin": 6,
    "isr": 6,
    "osr": 7,
    "not_x": 1,
    "x_dec": 2,
    "not_y": 3,
    "y_dec": 4,
    "x_not_y": 5,
    "not_osre": 7,
}
_BLOCK = 0x20
_NOBLOCK = 0
_INVERT = 8
_CONDITIONS = ("", "!x", "x--", "!y", "y--", "x!=y", "pin", "!osre")
_WAITED = {0: "gpio", 6: "pin"}
_SOURCES = ("pins", "x", "y", "null", "", "status", "isr", "osr")
_TARGETS = ("pins", "x", "y", "null", "pindirs", "pc", "isr", "osr")


class AssemblerError(Exception):
    """The program can't be encoded."""


@dataclass
class Program:
    """An assembled program: `words` with jumps counted from its first instruction, and what its decorator said."""

    name: str
    words: list[int] = field(default_factory=list)
    wrap_target: int = 0
    wrap: int = -1
    settings: dict[str, object] = field(default_factory=dict)
    text: str = ""


class _Instruction:
    """One instruction, to which a delay may be added: `set(pins, 1)[31]`."""

    def __init__(self, word: int, text: str, label: str | None = None) -> None:
        self.word = word
        self.text = text
        self.label = label

    def __getitem__(self, delay: int) -> "_Instruction":
        if not 0 <= delay <= _DELAY_MAX:
            raise AssemblerError(f"a delay of {delay}")
        self.word |= delay << 8
        self.text += f" [{delay}]"
        return self


class _Assembly:
    """A program in the making; its methods are the PIO's words."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._code: list[_Instruction] = []
        self._labels: dict[str, int] = {}
        self._lines: list[str | _Instruction] = []

    def names(self) -> dict[str, object]:
        """Return all that can be seen in a program."""
        words = (
            "wrap_target",
            "wrap",
            "label",
            "nop",
            "jmp",
            "wait",
            "in_",
            "out",
            "push",
            "pull",
            "mov",
            "irq",
            "set",
        )
        found: dict[str, object] = {name: getattr(self, f"_{name}") for name in words}
        return {**_VALUES, "block": _BLOCK, "noblock": _NOBLOCK, "invert": lambda value: value | _INVERT, **found}

    def finish(self) -> None:
        """Fill in the labels and write the text."""
        program = self._program
        for place in self._code:
            if place.label is not None:
                if place.label not in self._labels:
                    raise AssemblerError(f"no label {place.label}")
                place.word |= self._labels[place.label]
        program.words = [place.word for place in self._code]
        if not 0 < len(program.words) <= 32:
            raise AssemblerError(f"{len(program.words)} instructions")
        if max(self._labels.values(), default=0) >= len(program.words):
            raise AssemblerError("a label past the end")
        if program.wrap < 0:
            program.wrap = len(program.words) - 1
        lines = [line if isinstance(line, str) else line.text for line in self._lines]
        program.text = "\n".join([f".program {program.name}", *lines])

    def _add(self, word: int, text: str, label: str | None = None) -> _Instruction:
        made = _Instruction(word, text, label)
        self._code.append(made)
        self._lines.append(made)
        return made

    def _wrap_target(self) -> None:
        self._program.wrap_target = len(self._code)
        self._lines.append(".wrap_target")

    def _wrap(self) -> None:
        self._program.wrap = len(self._code) - 1
        self._lines.append(".wrap")

    def _label(self, name: str) -> None:
        if name in self._labels:
            raise AssemblerError(f"two labels {name}")
        self._labels[name] = len(self._code)
        self._lines.append(f"{name}_:")

    def _nop(self) -> _Instruction:
        return self._add(0xA042, "nop")

    def _jmp(self, condition: int | str, label: str | None = None) -> _Instruction:
        if isinstance(condition, str):
            return self._add(0, f"jmp {condition}_", condition)
        return self._add(condition << 5, f"jmp {_CONDITIONS[condition]} {label}_", label)

    def _wait(self, polarity: int, source: int, index: int) -> _Instruction:
        if source not in _WAITED or polarity not in (0, 1) or not 0 <= index <= 31:
            raise AssemblerError(f"wait({polarity}, {source}, {index})")
        word = 0x2000 | polarity << 7 | (source == 6) << 5 | index
        return self._add(word, f"wait {polarity} {_WAITED[source]} {index}")

    def _in_(self, source: int, bits: int) -> _Instruction:
        return self._add(0x4000 | source << 5 | self._bits(bits), f"in {_SOURCES[source]}, {bits}")

    def _out(self, target: int, bits: int) -> _Instruction:
        return self._add(0x6000 | target << 5 | self._bits(bits), f"out {_TARGETS[target]}, {bits}")

    def _push(self, block: int = _BLOCK) -> _Instruction:
        return self._add(0x8000 | block, "push block" if block else "push noblock")

    def _pull(self, block: int = _BLOCK) -> _Instruction:
        return self._add(0x8080 | block, "pull block" if block else "pull noblock")

    def _mov(self, target: int, source: int) -> _Instruction:
        inverted = "~" if source & _INVERT else ""
        return self._add(0xA000 | target << 5 | source, f"mov {_TARGETS[target]}, {inverted}{_SOURCES[source & 7]}")

    def _irq(self, index: int) -> _Instruction:
        if not 0 <= index <= 7:
            raise AssemblerError(f"irq({index})")
        return self._add(0xC000 | index, f"irq {index}")

    def _set(self, target: int, value: int) -> _Instruction:
        if not 0 <= value <= 31:
            raise AssemblerError(f"set({target}, {value})")
        return self._add(0xE000 | target << 5 | value, f"set {_TARGETS[target]}, {value}")

    def _bits(self, bits: int) -> int:
        if not 0 < bits <= 32:
            raise AssemblerError(f"{bits} bits")
        return bits & 0x1F


def assembled(name: str, write: Callable[[dict[str, object]], object], **settings: object) -> Program:
    """Return the program that `write` makes with the names it is given."""
    program = Program(name, settings=settings)
    assembly = _Assembly(program)
    write(assembly.names())
    assembly.finish()
    return program


def asm_pio(**settings: object) -> Callable[[types.FunctionType], Program]:
    """Return a decorator that makes a program of a function, as `rp2.asm_pio` does."""

    def decorate(function: types.FunctionType) -> Program:
        return assembled(function.__name__, lambda names: types.FunctionType(function.__code__, names)(), **settings)

    return decorate
