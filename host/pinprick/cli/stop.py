"""`pinprick stop`. Host only. The stop byte goes out first; whatever can wait until then is imported after it."""

from typing import TYPE_CHECKING

from pencore import faults, wire
from pinprick import wording
from pinprick.candidates import Candidate, hurried_candidates
from pinprick.cli.output import JsonOption, reporting
from pinprick.cli.pens import PortOption, SerialNumberOption, TimeoutOption
from pinprick.errors import PORT_IN_USE, NoDevice
from pinprick.urgent import opened_with_stop

if TYPE_CHECKING:
    from pinprick.device import Pen

_IN_USE = "Stop it in the program that holds the port (Ctrl-C), or press the pen's own stop button."
_UNSURE = "The stop was sent, but nothing confirms it. Lift the pen off the skin and press its own stop button."


def stop(
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Stop the pen now, whatever it is doing. It asks nothing first, and works in every state.

    The stop byte is the first thing that the pen hears, wherever it is clear which pen is meant. Then the pen is asked:
    exit code 0 means that it says that it has stopped. It does nothing more until `pinprick clear`. With several pens
    connected and none named, none is stopped: name it, or press its own stop button.
    """
    with reporting(json_lines) as out:
        # A pen that doesn't answer is meant when it is named; another one doesn't wait for it.
        found = [] if port is not None else hurried_candidates(busy=serial_number is not None)
        pen = _stopped_first(found, port, serial_number, timeout)
        try:
            if pen.state != wire.FAULT:
                pen.stop()
        finally:
            pen.close()
        out.result(serial=pen.info.serial, port=pen.port, state=wire.STATE_NAMES[wire.FAULT])
        out.say(f"Stopped: {pen.info.serial or 'the pen'} on {pen.port}.", style="bold")
        out.say(wording.of(faults.OPERATOR_STOP).client)
        out.say("It does nothing until `pinprick clear`; then it is armed anew.", style="dim")


def _certain(found: list[Candidate], port: str | None, serial_number: str | None) -> str | None:
    """Return the port of the pen that is meant; None when pens have to be asked which of them it is."""
    if port is not None:
        return port if serial_number is None else None
    named = [candidate for candidate in found if serial_number in (None, candidate.serial)]
    return named[0].port if len(named) == 1 else None


def _stopped_first(found: list[Candidate], port: str | None, serial_number: str | None, timeout: float | None) -> "Pen":
    """Return the pen that is meant; when it is clear which, it hears the stop byte before anything else."""
    transport = None
    certain = _certain(found, port, serial_number)
    try:
        if certain is not None:
            transport = opened_with_stop(certain)
        from pinprick import discovery
        from pinprick.device import WAIT_S, Pen

        wait_s = WAIT_S if timeout is None else timeout
        if transport is None and port is None and serial_number is not None:
            return discovery.first(found, serial_number, wait_s=wait_s)
        if transport is None:
            return discovery.find(port, serial_number, wait_s=wait_s)
        return Pen(transport, wait_s=wait_s)
    except BaseException as error:
        if isinstance(error, NoDevice) and error.code == PORT_IN_USE:
            error.hint = _IN_USE
        elif isinstance(error, NoDevice) and transport is not None:
            error.hint = _UNSURE
        if transport is not None:
            transport.close()
        raise
