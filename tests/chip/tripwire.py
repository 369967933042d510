"""The firmware with a wire across each call of a port: what is chosen from outside raises there. Host only.

One build serves all: which call, which time and what is raised stand in a register (`pensim.chip.inside.WIRE`). A wire
trips once.
"""

import ast
from typing import Any

from pensim.chip.inside import ANY_WIRE, WIRE, wire_of
from pensim.faults.cpu import PortRaises
from pensim.tripwire import CALLS, RAISED
from pinprick.board.build import Build, build
from pinprick.firmware import firmware_files
from tests.chip.bench import ChipBench

_WIRE = f'''"""Raises what a scratch register asks for."""

import machine

_RAISED = ({", ".join(RAISED)})


def trip(call):
    cell = machine.mem32[{WIRE}]
    wanted = cell & 0xFF
    if wanted == call or wanted == {ANY_WIRE}:
        if cell >> 16:
            machine.mem32[{WIRE}] = cell - 0x10000
        else:
            machine.mem32[{WIRE}] = 0
            raise _RAISED[cell >> 8 & 3]("tripped")
'''
_MADE_BY = {
    "clock": ("pendevice/app.py", "ChipClock"),
    "link": ("pendevice/link_usb.py", "UsbLink"),
    "inputs": ("pendevice/inputs.py", "PinInputs"),
    "engine": ("pendevice/engine.py", "StrokeEngine"),
    "store": ("pendevice/store.py", "FlashStore"),
    "watchdog": ("pendevice/watchdog.py", "ChipWatchdog"),
    "indicator": ("pendevice/indicator.py", "Lights"),
    "identity": ("pendevice/identity.py", "ChipIdentity"),
}
"""Port -> where it is made for the board."""


def _wired(source: bytes, made: str, port: str) -> bytes:
    """Return a module's source with a wire as the first statement of each method of the port."""
    lines = source.decode().split("\n")
    tree = ast.parse(source)
    found: list[tuple[int, str]] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == made:
            for method in node.body:
                name = f"{port}.{method.name}" if isinstance(method, ast.FunctionDef) else ""
                if name in CALLS and isinstance(method, ast.FunctionDef):
                    # Behind the documentation, which each of them has.
                    found.append((method.body[0].end_lineno or 0, f"        trip({wire_of(name)})"))
    assert len(found) == sum(name.startswith(f"{port}.") for name in CALLS), made
    for place, line in sorted(found, reverse=True):
        lines.insert(place, line)
    lines.insert(tree.body[0].end_lineno or 0, "from pendevice.trip import trip")
    return "\n".join(lines).encode()


def wired_firmware() -> Build:
    """Return the firmware with its wires."""
    sources = dict(firmware_files())
    for port, (path, made) in _MADE_BY.items():
        sources[path] = _wired(sources[path], made, port)
    sources["pendevice/trip.py"] = _WIRE.encode()
    return build(sources)


def set_wire(pen: ChipBench, call: str, earlier: int, raised: str) -> None:
    """Have the call raise, after so many that still work."""
    pen.damage.do(PortRaises(call, earlier, raised))


def is_tripped(pen: ChipBench) -> bool:
    """Return whether the wire that was set has done it."""
    chip: Any = pen.emulator.chip
    return not chip.read_uint32(WIRE)
