"""`pinprick sim serve` and `pinprick sim poke`: virtual pens in processes of their own, for any program that can open a
serial port, and the hands of whoever tries them. Host only.
"""

import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from pinprick import simulated
from pinprick.candidates import misspelt
from pinprick.cli import scenario, sim_chip
from pinprick.cli.extras import needing_extra
from pinprick.cli.output import JsonOption, reporting
from pinprick.cli.pens import PortOption, SerialNumberOption
from pinprick.cli.serving import (
    BlankOption,
    ControlPortOption,
    FlashOption,
    KeyOption,
    NoCartridgeOption,
    SerialOption,
    Sink,
    TcpOption,
    TcpPortOption,
    UnlistedOption,
    Ways,
    WithCommands,
    key_in,
    plain_serial,
    serve_until_end,
    start,
)
from pinprick.cli.sim_shown import show
from pinprick.errors import NO_DEVICE, SEVERAL_PENS, USAGE, InputError, NoDevice
from pinprick.firmware import firmware_files

if TYPE_CHECKING:
    from pensim.hands import Command
    from pensim.serve import PenServer

_THEN = "then"

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def sim() -> None:
    """Virtual pens: the firmware's own logic with a plant in place of a motor."""


# --- serve ------------------------------------------------------------------------------------------------------------
@app.command(cls=WithCommands)
def serve(
    tcp: TcpOption = False,
    tcp_port: TcpPortOption = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Let strokes take their time; the same as --speed 1.")
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=100_000.0,
            show_default=False,
            help="Simulated seconds per second while the pen works; as many as the computer can when left out.",
        ),
    ] = None,
    serial: SerialOption = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            show_default=False,
            help="What is random about the pen (its nonces) is drawn from this. Left out: 0, and with --flash at"
            " random.",
        ),
    ] = None,
    flash: FlashOption = None,
    key: KeyOption = None,
    no_cartridge: NoCartridgeOption = False,
    blank: BlankOption = False,
    unlisted: UnlistedOption = False,
    control_port: ControlPortOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Serve a virtual pen until Ctrl-C, `quit`, or the end of standard input.

    Prints the port for any program to open: `pinprick`, `pinprick.device.Pen`, pyserial, a terminal program. It is a
    freshly provisioned pen with a new cartridge. With `--flash` it is the pen of that file, just switched on, with the
    cartridge that was in it.

    Each line on standard input is something done to the pen, in order; `pinprick sim poke` does the same from another
    terminal. The end of the input is a `quit`. `/dev/null` does not count as an end, nor does an input that was closed
    from the start: then it serves until Ctrl-C.

    With `--json` each line is a JSON object, and so is its answer. Each may carry `after_ms`, simulated milliseconds
    after the one before it.
    """
    with reporting(json_lines) as out, ExitStack() as stack:
        ways = Ways(tcp or tcp_port is not None, tcp_port or 0, not unlisted, control_port or 0)
        with needing_extra():
            from pensim.making import Wish

            wish = Wish(plain_serial(serial), seed, flash, key_in(key), blank, not no_cartridge, _build())
            pen = start(wish, ways, 1.0 if realtime else speed, lambda answer: show(out, answer), stack)
        out.event("serving", **pen.fields(), seed=pen.made.seed)
        out.say(f"Virtual pen {pen.made.serial} on {pen.server.end.address}", style="bold")
        serve_until_end(pen, out, "sim serve")


def _build() -> str:
    from pensim.ports import build_hash

    return build_hash(firmware_files())


def pipe_pen(serial: str, speed: float | None, answer: Sink) -> "tuple[PenServer, Callable[[], socket.socket]]":
    """Return the server of a new pen in this process, and what connects to it; EXTRA_MISSING without the extra."""
    with needing_extra():
        from pensim.ends import PipeEnd
        from pensim.making import Wish, make
        from pensim.serve import PenServer

        end = PipeEnd()
        made = make(Wish(serial, build=_build()))
        return PenServer(made.pen, end, answer, speed=speed), end.connect


def simulator_page(text: str) -> str:
    """Return the page about the virtual pen with its tables made anew; EXTRA_MISSING without the `sim` extra."""
    with needing_extra():
        from pensim.handbook import filled_in

        return filled_in(text)


# --- poke -------------------------------------------------------------------------------------------------------------
app.command("run")(scenario.run)
app.command("chip", cls=WithCommands)(sim_chip.chip)


@app.command(cls=WithCommands)
def poke(
    words: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", show_default=False, help="In words; `then` parts one from the next."),
    ],
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Lay hands on a virtual pen that `pinprick sim serve` serves: press its trigger, pull its cable, break something.

    Commands are separated by the word `then` and carried out in order: `press then wait 500 then release then oracle`.
    All of them are checked before the first is carried out. A real pen has no such channel: this never reaches one.
    """
    with reporting(json_lines) as out:
        with needing_extra():
            commands = _commands(words)
        registration = _registration(port, serial_number)
        out.result(serial=registration.serial)
        with simulated.Control(registration) as control:
            for command in commands:
                show(out, control.do(dict(command)))


def _commands(words: Sequence[str]) -> "list[Command]":
    """Return the commands in words; InputError USAGE for one that is none."""
    from pensim.hands import BadCommand, delay_ms, from_words

    # A shell may have handed over several words as one.
    spoken = " ".join(words).split()
    lines: list[list[str]] = [[]]
    for word in spoken:
        if word == _THEN:
            lines.append([])
        else:
            lines[-1].append(word)
    commands = []
    for line in lines:
        try:
            command = from_words(" ".join(line))
            delay_ms(command)
        except BadCommand as bad:
            message = f"No command for a virtual pen: {bad}."
            raise InputError(
                USAGE, message, field="COMMAND", given=" ".join(line), hint="See pinprick sim poke --help"
            ) from None
        commands.append(command)
    return commands


def _registration(port: str | None, serial_number: str | None) -> simulated.Registration:
    """Return the one pen that is meant; NoDevice NO_DEVICE or SEVERAL_PENS."""
    running = simulated.registered()
    found = [
        pen
        for pen in running
        if (port is None or pen.port == port) and (serial_number is None or pen.serial == serial_number)
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{pen.serial} on {pen.port}" for pen in found or running)
    if found:
        raise NoDevice(SEVERAL_PENS, f"{len(found)} simulated pens are running: {names}.", field="--serial-number")
    if not running:
        raise NoDevice(NO_DEVICE, "No simulated pen is running.", hint="Start one with: pinprick sim serve")
    option, given = ("--port", port) if serial_number is None else ("--serial-number", serial_number)
    hint = "" if serial_number is None else misspelt(serial_number, (pen.serial for pen in running))
    message = f"No simulated pen {given} is running; there is {names}."
    raise NoDevice(NO_DEVICE, message, field=option, given=given, hint=hint)
