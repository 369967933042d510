"""The ports that may be a pen's. Host only; opens none of them, imports no more than it needs (a stop is in a hurry).

Candidates are the USB ports of an RP2040 that runs stock MicroPython, and the simulated pens that registered.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serial.tools import list_ports

from pinprick import simulated
from pinprick.errors import InputError

USB = "usb"
SIM = "sim"
OTHER = "other"

HURRY_S = 0.5
_RASPBERRY_PI = 0x2E8A
_MICROPYTHON = 0x0005
"""USB product id of MicroPython's RPI_PICO image. The vendor's others are debug probes with a port of somebody else's
machine behind them, and boards that run something else."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A port that may be a pen's: `kind` is USB or SIM; `serial` the pen's serial number where it is known already.

    `others` lists ports of the kind OTHER, which nobody takes for a pen's.
    """

    port: str
    kind: str
    serial: str = ""
    description: str = ""


def candidates() -> list[Candidate]:
    """Return the ports that may be a pen's, USB first, in the order of their names.

    Raises InputError FILE_UNREADABLE when there is none on USB, and it can't be seen which simulated pens there are.
    """
    return _or_raised(*seen())


def hurried_candidates(*, busy: bool) -> list[Candidate]:
    """Return the same in half a second at most, for a stop; with simulated pens too busy to answer only if `busy`."""
    return _or_raised(*seen(HURRY_S, busy=busy))


def seen(within_s: float | None = None, *, busy: bool = False) -> tuple[list[Candidate], InputError | None]:
    """Return the same, and what is in the way of seeing which simulated pens there are, if anything is: nobody who
    holds a real pen has to care for that.
    """
    problem = None
    sims: list[Candidate] = []
    try:
        registered = simulated.registered(within_s, busy=busy)
    except InputError as error:
        problem = error
    else:
        sims = [Candidate(pen.port, SIM, pen.serial, "simulated pen") for pen in registered]
    return [port for port in _serial_ports() if port.kind == USB] + sims, problem


def _or_raised(found: list[Candidate], problem: InputError | None) -> list[Candidate]:
    if problem is not None and not found:
        raise problem
    return found


def named(found: Sequence[Candidate], serial_number: str) -> tuple[list[Candidate], list[Candidate]]:
    """Return which of `found` may have this serial number, and which are known to have another.

    Of a simulated pen it is known beforehand; a pen on USB has to be asked.
    """
    maybe = [candidate for candidate in found if candidate.serial in ("", serial_number)]
    return maybe, [candidate for candidate in found if candidate not in maybe]


def misspelt(serial_number: str, there: Iterable[str]) -> str:
    """Return what to say to whoever wrote a serial number that is `there` in other upper and lower case; "" else.

    It is never taken for the other one: nothing keeps two pens from being told apart by case alone.
    """
    alike = [serial for serial in there if serial.lower() == serial_number.lower()]
    return f"Upper and lower case count: {' or '.join(alike)}." if alike else ""


def others() -> list[Candidate]:
    """Return this computer's other serial ports; nothing is ever written to one of them unless it is named."""
    return [port for port in _serial_ports() if port.kind == OTHER]


def _serial_ports() -> list[Candidate]:
    found = [
        Candidate(
            port.device,
            USB if (port.vid, port.pid) == (_RASPBERRY_PI, _MICROPYTHON) else OTHER,
            description="" if port.description in (None, "n/a") else port.description,
        )
        for port in list_ports.comports()
    ]
    return sorted(found, key=lambda candidate: candidate.port)
