"""Which pens there are, and which one is meant. Host only; opens ports, and only those that can be a pen's.

Candidates are the USB ports of an RP2040 that runs MicroPython and the simulated pens that registered. Nothing is ever
written to another port unless it is named: it may be a modem, or somebody else's machine.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from serial.tools import list_ports

from pinprick import simulated
from pinprick.device import WAIT_S, Pen, PenInfo
from pinprick.errors import NO_DEVICE, NOT_A_PEN, SEVERAL_PENS, WRONG_PEN, NoDevice, PinprickError

USB = "usb"
SIM = "sim"

_RASPBERRY_PI = 0x2E8A
"""USB vendor id of the RP2040's own stack; MicroPython uses it."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A port that may be a pen's: `kind` is USB or SIM; `serial` the pen's serial number where it is known already."""

    port: str
    kind: str
    serial: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at a candidate: the pen's own words, or why there are none."""

    candidate: Candidate
    info: PenInfo | None = None
    error: PinprickError | None = None


def candidates() -> list[Candidate]:
    """Return the ports that may be a pen's, USB first, in the order of their names."""
    found = [
        Candidate(port.device, USB, description=port.description or "")
        for port in list_ports.comports()
        if port.vid == _RASPBERRY_PI
    ]
    sims = [Candidate(pen.port, SIM, pen.serial, "simulated pen") for pen in simulated.registered()]
    return sorted(found, key=lambda candidate: candidate.port) + sims


def look(found: Sequence[Candidate]) -> list[Look]:
    """Ask all of `found` at once who they are, in their order; takes as long as the slowest, three seconds at most."""
    opened = _open_all(found, WAIT_S)
    for _, pen in opened:
        if pen is not None:
            pen.close()
    return [told for told, _ in opened]


def _open_all(found: Sequence[Candidate], wait_s: float) -> list[tuple[Look, Pen | None]]:
    """Open all of `found` at once; whoever calls closes the pens."""

    def open_one(candidate: Candidate) -> tuple[Look, Pen | None]:
        try:
            pen = Pen.open(candidate.port, wait_s=wait_s)
        except PinprickError as error:
            return Look(candidate, error=error), None
        return Look(replace(candidate, serial=pen.info.serial), pen.info), pen

    if not found:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(found))) as pool:
        return list(pool.map(open_one, found))


def find(port: str | None = None, serial_number: str | None = None, *, wait_s: float = WAIT_S) -> Pen:
    """Return the one pen that is meant, connected; `wait_s` as `Pen` has it.

    Without `port`, the only pen there is, or the only one with `serial_number`. Raises NoDevice NO_DEVICE when there is
    none, SEVERAL_PENS when it isn't clear which, WRONG_PEN when the pen at `port` has another serial number, and what
    `Pen.open` raises.
    """
    if port is not None:
        pen = Pen.open(port, wait_s=wait_s)
        if serial_number is None or pen.info.serial == serial_number:
            return pen
        pen.close()
        message = f"The pen at {port} is {pen.info.serial or 'not provisioned'}, not {serial_number}."
        raise NoDevice(WRONG_PEN, message, field="--serial-number", given=serial_number)
    found = candidates()
    if serial_number is not None:
        # Of a simulated pen it is known beforehand; a pen on USB has to be asked.
        found = [candidate for candidate in found if candidate.serial in ("", serial_number)]
    if not found:
        raise _none(serial_number)
    if len(found) == 1 and serial_number is None:
        return Pen.open(found[0].port, wait_s=wait_s)
    return _only(found, serial_number, wait_s)


def _none(serial_number: str | None) -> NoDevice:
    if serial_number is None:
        return NoDevice(NO_DEVICE, "No pen is connected, and no simulated one runs.", field="--port")
    message = f"No pen {serial_number} is connected, and no simulated one of that serial number runs."
    return NoDevice(NO_DEVICE, message, field="--serial-number", given=serial_number)


def _only(found: Sequence[Candidate], serial_number: str | None, wait_s: float) -> Pen:
    """Return the only one of `found` that is a pen, and has `serial_number`; let go of all others."""
    chosen: list[tuple[Look, Pen | None]] = []
    for told, pen in _open_all(found, wait_s):
        asked = told.info is not None
        wanted = serial_number is None or (asked and told.candidate.serial == serial_number)
        # What doesn't answer like a pen is none; what doesn't answer at all, or is held by others, may be one.
        maybe = not asked and serial_number is None and told.error is not None and told.error.code != NOT_A_PEN
        named = not asked and told.candidate.serial == serial_number is not None
        if (asked and wanted) or maybe or named:
            chosen.append((told, pen))
        elif pen is not None:
            pen.close()
    if len(chosen) == 1:
        told, pen = chosen[0]
        if pen is not None:
            return pen
        if told.error is not None:
            raise told.error
    for _, pen in chosen:
        if pen is not None:
            pen.close()
    if not chosen:
        raise _none(serial_number)
    names = ", ".join(_name(told) for told, _ in chosen)
    raise NoDevice(
        SEVERAL_PENS, f"{len(chosen)} pens are connected: {names}.", field="--serial-number", given=serial_number
    )


def _name(told: Look) -> str:
    return f"{told.candidate.serial or 'unknown'} on {told.candidate.port}"
