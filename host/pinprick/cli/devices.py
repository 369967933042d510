"""`pinprick devices`: which pens there are, and what keeps a port from being one. Host only; asks, changes nothing."""

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from pencore import faults, wire
from pinprick import errors
from pinprick.cli import pictures
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.pictures import Column
from pinprick.discovery import Look, look, others, seen
from pinprick.profiles.units import counted
from pinprick.told import PenInfo

_DAY_S = 86_400
_SHORT = {
    errors.PORT_IN_USE: "in use",
    errors.PORT_DENIED: "denied",
    errors.NOT_A_PEN: "no pen",
    errors.PEN_SILENT: "silent",
    errors.NO_DEVICE: "gone",
    errors.LINK_LOST: "gone",
    faults.WIRE_PROTOCOL: "protocol",
}
"""Code -> what stands in the place of the pen's state; the sentence is below the table."""
_NOT_ASKED = "unasked"
_DISPENSABLE = ("firmware", "kind", "calibrated", "session")
"""Columns that a narrow terminal does without, the first of them first."""
_NONE = """No pen is connected, and no simulated one runs.
Plug a pen in, or start a simulated one with `pinprick sim serve`."""


def devices(
    everything: Annotated[
        bool, typer.Option("--all", help="List this computer's other serial ports too. Nothing is sent to them.")
    ] = False,
    json_lines: JsonOption = False,
) -> None:
    """List the pens: serial number, port, state, firmware, age of the calibration, open session.

    A port that another program holds, that this account may not use, or with something else at its end, is listed with
    the reason. That there is no pen is an answer too: the list is empty, and the exit code 0. It is 2 when it can't be
    seen which simulated pens there are.
    """
    with reporting(json_lines) as out:
        ports, problem = seen()
        found = look(ports)
        if everything:
            found += [Look(port) for port in others()]
        now_s = int(time.time())
        for told in found:
            out.event("device", **_as_fields(told, now_s))
        pens = sum(told.info is not None for told in found)
        out.result(pens=pens, ports=len(found))
        if found:
            out.say(pictures.table(_columns(found, now_s), out.console.width, _DISPENSABLE))
            _explain(out, found)
        elif problem is None:
            out.say(_NONE)
        if problem is not None:
            # The list is not all there may be.
            raise problem


def _as_fields(told: Look, now_s: int) -> dict[str, object]:
    """Return one port for programs; what is not known is null."""
    info, error = told.info, told.error
    return {
        "serial": told.candidate.serial or None,
        "port": told.candidate.port,
        "kind": told.candidate.kind,
        "description": told.candidate.description,
        "state": None if info is None else wire.STATE_NAMES[info.state],
        "firmware": None if info is None else info.firmware,
        "build": None if info is None else info.build,
        "calibration_age_days": None if info is None else _age_days(info, now_s),
        "open_session": None if info is None or not info.open_session else info.open_session,
        "records": None if info is None else info.records,
        "error": None if error is None else {"code": error.code, "name": error.name, "message": error.message},
    }


def _age_days(info: PenInfo, now_s: int) -> int | None:
    """Return how many whole days ago the pen was calibrated; None for never, 0 when this computer's clock is behind."""
    return max(0, now_s - info.calibrated_at) // _DAY_S if info.calibrated_at else None


def _age(info: PenInfo, now_s: int) -> str:
    days = _age_days(info, now_s)
    return "never" if days is None else f"{counted(days, 'day')} ago"


def _state(told: Look) -> Text:
    if told.error is not None:
        return Text(_SHORT.get(told.error.code, told.error.name.lower()), "red")
    if told.info is None:
        return Text(_NOT_ASKED, "dim")
    return Text(wire.STATE_NAMES[told.info.state], "bold red" if told.info.state == wire.FAULT else "bold")


def _columns(found: Sequence[Look], now_s: int) -> list[Column]:
    infos = [told.info for told in found]
    return [
        Column("serial", [_serial(told) for told in found], left=True),
        Column("port", [printable(told.candidate.port) for told in found], left=True),
        Column("kind", [told.candidate.kind for told in found], "dim", left=True),
        Column("state", [_state(told) for told in found], left=True),
        Column("session", ["" if info is None else str(info.open_session or "-") for info in infos]),
        Column("firmware", ["" if info is None else info.firmware for info in infos], "dim", left=True),
        Column("calibrated", ["" if info is None else _age(info, now_s) for info in infos]),
    ]


def _serial(told: Look) -> str:
    if told.info is not None and not told.info.serial:
        return "(none yet)"
    return printable(told.candidate.serial) or "?"


def _explain(out: Output, found: Sequence[Look]) -> None:
    """Say below the table why a port is no pen, and what a reader of its words may want to do."""
    for told in found:
        if told.error is not None:
            out.say(Text.assemble((f"{told.error.name} {told.error.code}", "red"), "  ", printable(told.error.message)))
        elif told.info is None and told.candidate.description:
            out.say(Text(f"{told.candidate.port}: {printable(told.candidate.description)}", "dim"))
    if any(told.error is not None for told in found):
        out.say(Text("More about a code, and what to do: pinprick explain CODE", "dim"))
    if any(told.info is not None and told.info.open_session for told in found):
        out.say(Text("An open session goes on with `pinprick load FILE`, or ends with `pinprick finish`.", "dim"))
