"""How a command that needs a pen names it and gets hold of it. Host only; imports the way to pens when it is used."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pinprick.device import Pen

PortOption = Annotated[
    str | None,
    typer.Option(
        "--port",
        metavar="PORT",
        envvar="PINPRICK_PORT",
        show_default=False,
        help="The pen's port: /dev/..., COMn or socket://host:port. Not needed when one pen is connected.",
    ),
]
SerialNumberOption = Annotated[
    str | None,
    typer.Option(
        "--serial-number",
        metavar="SERIAL",
        envvar="PINPRICK_SERIAL_NUMBER",
        show_default=False,
        help="The pen's serial number, as `pinprick devices` lists it; upper and lower case count.",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.1,
        max=3600.0,
        show_default=False,
        help="Longest wait for what the pen does on its own: homing, changing the zone, sealing. 30 when left out.",
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        show_default=False,
        help="The clinic's key file, when it is not in its usual place.",
        readable=False,
    ),
]


@contextmanager
def connected(port: str | None, serial_number: str | None, timeout: float | None = None) -> "Iterator[Pen]":
    """Give the pen that is meant, and let go of it afterwards; raises as `discovery.find`."""
    from pinprick import discovery
    from pinprick.device import WAIT_S

    pen = discovery.find(port, serial_number, wait_s=WAIT_S if timeout is None else timeout)
    try:
        yield pen
    finally:
        pen.close()
