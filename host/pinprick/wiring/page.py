"""The tables of docs/hardware.md, made anew between the page's marks. Host only; pure."""

import re
from collections.abc import Callable, Iterator
from math import sqrt

from pencore import limits
from pencore.units import Geometry
from pinprick.board.image import locked
from pinprick.wiring.circuit import MECHANICAL, PARTS, Part, nets, parts
from pinprick.wiring.pins import pins

PATH = "docs/hardware.md"
"""The page, seen from the top of the project."""
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def filled_in(page: str) -> str:
    """Return `page` with every table between its marks made anew; KeyError for a mark that names none."""
    return _MARKED.sub(lambda part: "\n".join([part[1].rstrip(), "", *_TABLES[part[2]](), "", part[3]]), page)


def _pins() -> Iterator[str]:
    yield "| name | GPIO | Pico pin | direction | levels | what it is |"
    yield "|---|---|---|---|---|---|"
    for pin in pins():
        way = "out" if pin.is_output else "in"
        levels = "<br>".join(f"`{name}` = {level}" for name, level in pin.levels) or "-"
        yield f"| `{pin.name}` | {pin.gpio} | {pin.header} | {way} | {levels} | {_sentence(pin.text)} |"


def _nets() -> Iterator[str]:
    yield "| net | terminals |"
    yield "|---|---|"
    for net, terminals in nets(pins()).items():
        yield f"| `{net}` | {', '.join(terminals)} |"


def _parts() -> Iterator[str]:
    return _list(parts(pins()))


def _mechanical() -> Iterator[str]:
    return _list(MECHANICAL)


def _list(listed: tuple[Part, ...]) -> Iterator[str]:
    yield "| ref | part | value or type | why |"
    yield "|---|---|---|---|"
    for part in listed:
        yield f"| {_ref(part)} | {part.what} | {part.value} | {part.why} |"


def _safety() -> Iterator[str]:
    yield "| ref | part | value or type | what it is for |"
    yield "|---|---|---|---|"
    for part in (*PARTS, *MECHANICAL):
        if part.safety:
            yield f"| {part.ref} | {part.what} | {part.value} | {part.why} |"


def _figures() -> Iterator[str]:
    """Yield what the firmware takes the mechanics to be, unless it is provisioned otherwise."""
    geometry = Geometry()
    per_mm = geometry.full_steps * geometry.microsteps * 1000 // geometry.lead_um
    yield "| figure | value |"
    yield "|---|---|"
    yield f"| full steps a turn, microsteps a full step | {geometry.full_steps}, {geometry.microsteps} |"
    yield f"| lead of the screw | {_mm(geometry.lead_um)} mm a turn: {per_mm} microsteps/mm |"
    yield f"| fastest, steepest | {geometry.v_max_um_s // 1000} mm/s, {geometry.a_max_mm_s2 // 1000} m/s² |"
    yield f"| home behind the nose's plane | {_mm(geometry.retract_offset_um)} mm |"
    step_us, window_us = edge_us(geometry)
    yield f"| home behind the sensor's edge | {geometry.home_margin_steps} microsteps |"
    yield f"| a microstep at the sensor's edge, steepest | {step_us} µs |"
    yield f"| from the sensor's edge to the end of its window, steepest | {window_us} µs |"
    yield f"| deepest stroke of any profile | {_mm(limits.DEPTH_CEILING_UM)} mm |"
    yield f"| mechanical stop | {_mm(geometry.stop_um)} mm |"


def edge_us(geometry: Geometry) -> tuple[int, int]:
    """Return how long the step at the home sensor's edge takes, and all steps from there to the end of the window that
    the edge is judged by; whole us, of a stroke that starts from rest as steeply as the pen may.
    """
    edge = geometry.home_margin_steps
    end = edge + limits.HOME_WINDOW_FULL_STEPS * geometry.microsteps
    return _passed_us(geometry, edge, edge + 1), _passed_us(geometry, edge, end)


def _passed_us(geometry: Geometry, first: int, last: int) -> int:
    """Return how long the way from microstep `first` to `last` takes, counted from rest: t = sqrt(2 s / a)."""
    step_um = geometry.lead_um / (geometry.full_steps * geometry.microsteps)
    first_s, last_s = (sqrt(2 * steps * step_um * 1e-6 / (geometry.a_max_mm_s2 * 1e-3)) for steps in (first, last))
    return round((last_s - first_s) * 1e6)


def _image() -> Iterator[str]:
    lock = locked()
    yield "| MicroPython | board | official file | its SHA-256 | page |"
    yield "|---|---|---|---|---|"
    unknown = "**not known yet**"
    yield f"| {lock.version} | {lock.board} | {lock.file or unknown} | {lock.sha256 or unknown} | <{lock.page}> |"


_TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "pins": _pins,
    "nets": _nets,
    "parts": _parts,
    "mechanical": _mechanical,
    "safety": _safety,
    "figures": _figures,
    "image": _image,
}


def _mm(value_um: int) -> str:
    return f"{value_um // 1000}.{value_um % 1000:03d}".rstrip("0").rstrip(".")


def _ref(part: Part) -> str:
    return f"**{part.ref}**" if part.safety else part.ref


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] if text else "as the one above"
