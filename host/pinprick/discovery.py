"""Which pens there are, and which one is meant. Host only; opens ports, and only those that can be a pen's.

Nothing is ever written to a port that is no candidate (`pinprick.candidates`) unless it is named: it may be a modem, or
somebody else's machine.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue

from pinprick.candidates import OTHER, SIM, USB, Candidate, candidates, misspelt, named, others, seen
from pinprick.device import WAIT_S, Pen, PenInfo
from pinprick.errors import NO_DEVICE, NOT_A_PEN, SEVERAL_PENS, WRONG_PEN, NoDevice, PinprickError

__all__ = [
    "OTHER", "SIM", "USB", "Candidate", "Look", "candidates", "find", "first", "look", "others", "seen", "several",
]  # fmt: skip

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at a candidate: the pen's own words, or why there are none."""

    candidate: Candidate
    info: PenInfo | None = None
    error: PinprickError | None = None


def look(found: Sequence[Candidate]) -> list[Look]:
    """Ask all of `found` at once who they are, in their order; takes as long as the slowest, three seconds at most."""
    opened = _open_all(found, WAIT_S)
    for _, pen in opened:
        if pen is not None:
            pen.close()
    return [told for told, _ in opened]


def _open_all(found: Sequence[Candidate], wait_s: float) -> list[tuple[Look, Pen | None]]:
    """Open all of `found` at once; whoever calls closes the pens."""

    if not found:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(found))) as pool:
        return list(pool.map(lambda candidate: _open(candidate, wait_s), found))


def _open(candidate: Candidate, wait_s: float) -> tuple[Look, Pen | None]:
    try:
        pen = Pen.open(candidate.port, wait_s=wait_s)
    except PinprickError as error:
        return Look(candidate, error=error), None
    return Look(replace(candidate, serial=pen.info.serial), pen.info), pen


def first(found: Sequence[Candidate], serial_number: str, *, wait_s: float = WAIT_S) -> Pen:
    """Return the pen of `found` with this serial number as soon as it answers, whatever the others are at; for a stop.

    Raises as `find` when there is none. The others are let go of as they answer, behind the back of whoever called.
    """
    answers: SimpleQueue[tuple[Look, Pen | None]] = SimpleQueue()

    def ask(candidate: Candidate) -> None:
        told, pen = _open(candidate, wait_s)
        if pen is not None and told.candidate.serial != serial_number:
            pen.close()
        answers.put((told, pen))

    maybe, others_known = named(found, serial_number)
    for candidate in maybe:
        threading.Thread(target=ask, args=(candidate,), name=f"asking {candidate.port}", daemon=True).start()
    others_told: list[Look] = []
    for _ in maybe:
        told, pen = answers.get()
        if pen is not None and told.candidate.serial == serial_number:
            return pen
        if told.candidate.serial == serial_number and told.error is not None:
            raise told.error
        others_told.append(told)
    raise _none(serial_number, others_told, others_known)


def find(port: str | None = None, serial_number: str | None = None, *, wait_s: float = WAIT_S) -> Pen:
    """Return the one pen that is meant, connected; `wait_s` as `Pen` has it.

    Without `port`, the only pen there is, or the only one with `serial_number`. Raises NoDevice NO_DEVICE when there is
    none, SEVERAL_PENS when it isn't clear which, WRONG_PEN when the pen at `port` has another serial number, what
    `Pen.open` raises, and InputError FILE_UNREADABLE when it may be a simulated one that can't be seen.
    """
    if port is not None:
        pen = Pen.open(port, wait_s=wait_s)
        if serial_number is None or pen.info.serial == serial_number:
            return pen
        pen.close()
        message = f"The pen at {port} is {pen.info.serial or 'not provisioned'}, not {serial_number}."
        raise NoDevice(WRONG_PEN, message, field="--serial-number", given=serial_number)
    found, problem = seen()
    if serial_number is None and len(found) == 1:
        return Pen.open(found[0].port, wait_s=wait_s)
    try:
        return _only(found, serial_number, wait_s)
    except NoDevice as error:
        if problem is not None and error.code == NO_DEVICE:
            raise problem from None
        raise


def _none(serial_number: str | None, asked: Sequence[Look] = (), known: Sequence[Candidate] = ()) -> NoDevice:
    """Return what to say when the pen that is meant isn't there; those `asked` and those `known` beforehand are others,
    but for what could not be asked, which may be it.
    """
    if serial_number is None:
        return NoDevice(NO_DEVICE, "No pen is connected, and no simulated one runs.", field="--port")
    message = f"No pen {serial_number} is connected, and no simulated one of that serial number runs."
    unasked = [told.candidate.port for told in asked if told.error is not None and told.error.code != NOT_A_PEN]
    if unasked:
        message = f"No pen that answers is {serial_number}. What is at {', '.join(unasked)} could not be asked."
    there = [*(told.candidate for told in asked if told.info is not None), *known]
    if there:
        message += f" There is {_list(there)}."
    hint = misspelt(serial_number, (candidate.serial for candidate in there))
    return NoDevice(NO_DEVICE, message, field="--serial-number", given=serial_number, hint=hint)


def _list(there: Sequence[Candidate]) -> str:
    return ", ".join(f"{candidate.serial or 'unknown'} on {candidate.port}" for candidate in there)


def _only(found: Sequence[Candidate], serial_number: str | None, wait_s: float) -> Pen:
    """Return the only one of `found` that is a pen, and has `serial_number`; let go of all others."""
    maybe, others_known = (found, []) if serial_number is None else named(found, serial_number)
    chosen: list[tuple[Look, Pen | None]] = []
    other: list[Look] = []
    for told, pen in _open_all(maybe, wait_s):
        if pen is None:
            # What doesn't answer like a pen is none; what doesn't answer at all, or is held by others, may be one.
            is_meant = told.candidate.serial == serial_number is not None
            if is_meant or (serial_number is None and (told.error is None or told.error.code != NOT_A_PEN)):
                chosen.append((told, None))
            else:
                other.append(told)
        elif serial_number in (None, told.candidate.serial):
            chosen.append((told, pen))
        else:
            pen.close()
            other.append(told)
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
        raise _none(serial_number, other, others_known)
    raise several([told.candidate for told, _ in chosen], serial_number)


def several(found: Sequence[Candidate], serial_number: str | None = None) -> NoDevice:
    """Return what to say when more than one pen may be meant."""
    message = f"{len(found)} pens are connected: {_list(found)}."
    return NoDevice(SEVERAL_PENS, message, field="--serial-number", given=serial_number)
