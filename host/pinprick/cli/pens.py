"""How every command that needs a pen names it and gets hold of it. Host only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from pinprick import discovery
from pinprick.device import WAIT_S, Pen

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
        help="The pen's serial number, as `pinprick devices` lists it.",
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.1,
        max=3600.0,
        help="Longest wait for what the pen does on its own: homing, changing the zone, sealing.",
    ),
]


@contextmanager
def connected(port: str | None, serial_number: str | None, timeout: float = WAIT_S) -> Iterator[Pen]:
    """Give the pen that is meant, and let go of it afterwards; raises as `discovery.find`."""
    pen = discovery.find(port, serial_number, wait_s=timeout)
    try:
        yield pen
    finally:
        pen.close()
