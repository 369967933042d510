"""The pins of `pendevice/board.py`, read from its syntax tree: no computer imports MicroPython's files. Host only."""

import ast
import re
from dataclasses import dataclass

from pinprick.firmware import firmware_files

FILE = "pendevice/board.py"
_WAY = re.compile(r"(In|Out)[,.] ?")
_HEADER = {
    **dict(zip(range(6), (1, 2, 4, 5, 6, 7), strict=True)),
    **dict(zip(range(6, 16), (9, 10, 11, 12, 14, 15, 16, 17, 19, 20), strict=True)),
    **dict(zip(range(16, 23), (21, 22, 24, 25, 26, 27, 29), strict=True)),
    26: 31, 27: 32, 28: 34,
}  # fmt: skip
"""GPIO -> pin of the Pico's header, counted around the board."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A pin: its name in board.py, GPIO number, header pin of the Pico, direction seen from the chip, and what board.py
    says of it after the direction ("PIO 0. A rising edge is one microstep."). `levels` are its named levels."""

    name: str
    gpio: int
    header: int
    is_output: bool
    text: str
    levels: tuple[tuple[str, int], ...] = ()


def pins(source: bytes | None = None) -> tuple[Pin, ...]:
    """Return the pins in board.py's order; `source` is that of this tool's firmware when it is left out.

    A constant is a level when its name goes on from a pin's ("HOME_SEEN"), else a pin. What stands below a pin begins
    with "In" or "Out"; a pin without such a text is like the one before. ValueError for anything else, and for a GPIO
    that is used twice or is on no header pin.
    """
    body = ast.parse(firmware_files()[FILE] if source is None else source).body
    numbers: dict[str, int] = {}
    texts: dict[str, str] = {}
    last = ""
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Call):
            last = node.targets[0].id
            numbers[last] = int(ast.literal_eval(node.value.args[0]))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            texts[last] = " ".join(str(node.value.value).split())
    levels = {name: pin for name in numbers for pin in numbers if name.startswith(pin + "_")}
    found: list[Pin] = []
    text = ""
    for name, gpio in numbers.items():
        if name in levels:
            continue
        text = texts.get(name, text)
        way = _WAY.match(text)
        if way is None:
            raise ValueError(f"{FILE}: {name} says neither In nor Out")
        if gpio not in _HEADER or gpio in [pin.gpio for pin in found]:
            raise ValueError(f"{FILE}: {name} is at GPIO {gpio}")
        own = tuple((level, numbers[level]) for level, pin in levels.items() if pin == name)
        found.append(Pin(name, gpio, _HEADER[gpio], way[1] == "Out", text[way.end() :] if name in texts else "", own))
    return tuple(found)
