"""What the commands at a board share: a port that is always named, and words for what takes a while. Host only."""

from typing import Any

import typer

from pinprick.board import service
from pinprick.cli.output import Output

_PORT = "The board's port: /dev/..., COMn or socket://host:port. Always named:"
_WAITING = {
    service.PEN: "Asking whether a pen runs at {port}: a few seconds at most.",
    service.PROMPT: "Asking for MicroPython's prompt at {port}: ten seconds at most.",
    service.START: "Waiting for the pen to check its files and answer: half a minute at most.",
}


def port_option(why: str) -> Any:
    """Return a `--port` that has to be named, and `why`; there is no looking for a board."""

    def named(port: str) -> str:
        if not port:
            raise typer.BadParameter("no port is named")
        return port

    return typer.Option(
        "--port", metavar="PORT", envvar="PINPRICK_PORT", show_default=False, callback=named, help=f"{_PORT} {why}"
    )


def say_waiting(out: Output, what: str, port: str) -> None:
    """Say what of `pinprick.board.service` may take a while, before it is waited for."""
    out.event("waiting", what=what, port=port)
    out.say(_WAITING[what].format(port=port), style="dim")
