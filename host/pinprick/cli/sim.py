"""`pinprick sim serve` and `pinprick sim poke`: virtual pens in processes of their own, for any program that can open a
serial port, and the hands of whoever tries them. Host only.
"""

import json
import os
import secrets
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, unquote

import typer
from typer.core import TyperCommand

from pencore.digest import text_problem
from pencore.profile import SERIAL_SIZE
from pinprick import simulated
from pinprick.cli import scenario
from pinprick.cli.extras import needing_extra
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.cli.pens import PortOption, SerialNumberOption
from pinprick.cli.sim_shown import show
from pinprick.errors import (
    FILE_UNWRITABLE,
    NO_DEVICE,
    SEVERAL_PENS,
    USAGE,
    InputError,
    NoDevice,
    PinprickError,
)
from pinprick.firmware import firmware_files
from pinprick.keys import load_key
from pinprick.places import runtime_folder

if TYPE_CHECKING:
    from pensim.control import Control
    from pensim.ends import End
    from pensim.hands import Command
    from pensim.making import Made, Wish
    from pensim.serve import PenServer

Sink = Callable[[dict[str, Any]], None]

_TURN_S = 30.0
"""Longest wait for other pens that are being started."""
_ASK_AGAIN_S = 0.02
_TOKEN_BYTES = 16
_THEN = "then"
_HINTS = {
    "--flash": "Name the file of a virtual pen that isn't running, or one that isn't there yet.",
    "--serial": "Leave --serial out; `pinprick devices` lists the pens that run.",
    "--key": "Leave --key out, or begin with a new --flash.",
    "--blank": "Leave --blank out, or begin with a new --flash.",
}


class _WithCommands(TyperCommand):
    """A command whose help ends with the commands for a virtual pen, which only the simulator's library knows."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        before = self.help
        try:
            with needing_extra():
                from pensim.handbook import for_help

                self.help = f"{before}\n\n{for_help()}"
        except PinprickError as missing:
            self.help = f"{before}\n\n{missing.message} {missing.hint}"
        try:
            super().format_help(ctx, formatter)
        finally:
            self.help = before


app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def sim() -> None:
    """Virtual pens: the firmware's own logic with a plant in place of a motor."""


# --- serve ------------------------------------------------------------------------------------------------------------
@app.command(cls=_WithCommands)
def serve(
    tcp: Annotated[
        bool, typer.Option("--tcp", help="Serve on a TCP port of this computer, not a pseudo-terminal.")
    ] = False,
    tcp_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, show_default=False, help="The TCP port to serve on; any, when left out."),
    ] = None,
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
    serial: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Serial number of the pen. Left out: what --flash says, else the first of SIM-0001, SIM-0002, ... that"
            " no running pen has.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            show_default=False,
            help="What is random about the pen (its nonces) is drawn from this. Left out: 0, and with --flash at"
            " random.",
        ),
    ] = None,
    flash: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            help="Keep the pen's flash in this file, which is made when it is missing. Left out: forget it at the end.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(show_default=False, help="Provision the pen with the clinic key in this file."),
    ] = None,
    no_cartridge: Annotated[
        bool, typer.Option("--no-cartridge", help="Begin with an open, empty cartridge holder.")
    ] = False,
    blank: Annotated[bool, typer.Option("--blank", help="Serve a pen that was never provisioned.")] = False,
    unlisted: Annotated[
        bool,
        typer.Option("--unlisted", help="Tell no other program of the pen: `devices` doesn't list it, `poke` can't."),
    ] = False,
    control_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, show_default=False, help="TCP port of its control channel; any, if left out."),
    ] = None,
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
        ways = _Ways(tcp or tcp_port is not None, tcp_port or 0, not unlisted, control_port or 0)
        with needing_extra():
            from pensim.making import Wish

            wish = Wish(_plain(serial), seed, flash, _key(key), blank, not no_cartridge, _build())
            pen = _start(wish, ways, 1.0 if realtime else speed, lambda answer: show(out, answer), stack)
        out.event("serving", **pen.fields())
        out.say(f"Virtual pen {pen.made.serial} on {pen.server.end.address}", style="bold")
        out.say("Ctrl-C ends it. Commands: see pinprick sim serve --help", style="dim")
        _follow_input(pen.server, out)
        pen.server.run()
        if pen.broken is not None:
            message = f"{flash} can no longer be written: {pen.broken.strerror or pen.broken}."
            raise PinprickError(FILE_UNWRITABLE, message, field="--flash", given=str(flash))
        out.say("The virtual pen has ended.")


@dataclass(frozen=True)
class _Ways:
    """How a pen is reached: on TCP (`port` 0: any) or a pseudo-terminal; `listed` with a control channel."""

    tcp: bool
    port: int
    listed: bool
    control_port: int


class _Serving:
    """A pen that was made and is about to be served."""

    def __init__(self, made: "Made", server: "PenServer", control: "Control | None") -> None:
        self.made = made
        self.server = server
        self.control = control
        self.broken: OSError | None = None
        if made.file is not None:
            made.file.failed = self._break_off

    def _break_off(self, error: OSError) -> None:
        self.broken = error
        self.server.stop()

    def fields(self) -> dict[str, Any]:
        """Return what programs are told of it."""
        fields: dict[str, Any] = {"port": self.server.end.address, "serial": self.made.serial, "seed": self.made.seed}
        if self.control is not None:
            fields["control"] = self.control.address
        if self.made.file is not None:
            fields["flash"] = str(self.made.file.path)
        return fields


def _start(wish: "Wish", ways: _Ways, speed: float | None, answer: Sink, stack: ExitStack) -> _Serving:
    """Make the pen, its ways and its server, and list it until `stack` ends."""
    from pensim.control import Control
    from pensim.serve import PenServer

    with ExitStack() as turn:
        taken: set[str] = set()
        doubtful: set[str] = set()
        if ways.listed:
            turn.enter_context(_turn())
            taken = {pen.serial for pen in simulated.registered()}
            doubtful = _listed()
        made = _made(wish, taken, doubtful)
        stack.callback(made.close)
        end = _end(made.serial, ways)
        control = None
        token = secrets.token_hex(_TOKEN_BYTES)
        try:
            if ways.listed:
                with _port_taken("--control-port", ways.control_port):
                    control = Control(token, {"serial": made.serial, "port": end.address}, ways.control_port)
            server = PenServer(made.world, end, answer, speed=speed, control=control)
        except BaseException:
            end.close()
            raise
        stack.callback(server.close)
        stack.enter_context(_ending(server))
        if control is not None:
            registration = simulated.Registration(made.serial, end.address, control.address, token, os.getpid())
            stack.enter_context(simulated.registering(registration))
        # Not before the pen is listed: the name of its port may still be that of one which is only slow to answer.
        with _port_taken("--tcp-port", ways.port):
            end.plug(True)
    return _Serving(made, server, control)


def _listed() -> set[str]:
    """Return the serial numbers under which pens are listed, also those that are too busy to answer."""
    return {unquote(path.stem) for path in (runtime_folder() / "pens").glob("*.json")}


def _made(wish: "Wish", taken: set[str], doubtful: set[str]) -> "Made":
    from pensim.making import BadWish, make

    try:
        return make(wish, taken, doubtful)
    except BadWish as bad:
        message = f"{str(bad)[:1].upper()}{str(bad)[1:]}."
        raise InputError(USAGE, message, field=bad.option, given=bad.given, hint=_HINTS.get(bad.option, "")) from None
    except OSError as error:
        message = f"{wish.flash} cannot be used as a flash: {error.strerror or error}."
        raise InputError(FILE_UNWRITABLE, message, field="--flash", given=str(wish.flash)) from None


def _end(serial: str, ways: _Ways) -> "End":
    """Return the pen's end of its port; of one that is listed, a pseudo-terminal has a name that stays.

    A pseudo-terminal has to be plugged in before anybody finds it.
    """
    from pensim.ends import best_end

    link = None
    if ways.listed and not ways.tcp:
        link = _made_folder(runtime_folder() / "ports") / quote(serial, safe="").replace(".", "%2E")
    with _port_taken("--tcp-port", ways.port):
        return best_end(ways.tcp, port=ways.port, link=link, plugged=False)


@contextmanager
def _port_taken(option: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"TCP port {port} is not to be had: {error.strerror or error}." if port else f"No port: {error}."
        raise InputError(USAGE, message, field=option, given=port) from None


@contextmanager
def _turn() -> Iterator[None]:
    """Wait until no other pen is being started: two that start at once must not choose the same serial number."""
    from pensim.locks import lock

    path = _made_folder(runtime_folder()) / "serve.lock"
    deadline = time.monotonic() + _TURN_S
    with path.open("ab") as file:
        while not lock(file):
            if time.monotonic() >= deadline:
                raise InputError(USAGE, f"Another pen has been starting for {_TURN_S:.0f} s; it holds {path}.")
            time.sleep(_ASK_AGAIN_S)
        yield


def _made_folder(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"The runtime folder {folder} cannot be made: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, given=str(folder)) from None
    return folder


def _plain(serial: str | None) -> str | None:
    """Return a serial number that a pen can have."""
    if serial is not None and text_problem(serial, SERIAL_SIZE):
        message = f"A serial number has 1 to {SERIAL_SIZE} plain characters, without quotes and backslash."
        raise InputError(USAGE, message, field="--serial", given=serial, limit=SERIAL_SIZE)
    return serial


def _key(path: Path | None) -> tuple[int, bytes] | None:
    if path is None:
        return None
    key = load_key(path)
    return key.key_id, key.key


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
        return PenServer(made.world, end, answer, speed=speed), end.connect


def simulator_page(text: str) -> str:
    """Return the page about the virtual pen with its tables made anew; EXTRA_MISSING without the `sim` extra."""
    with needing_extra():
        from pensim.handbook import filled_in

        return filled_in(text)


@contextmanager
def _ending(server: "PenServer") -> Iterator[None]:
    """End the serving at Ctrl-C or SIGTERM, quietly; put the signals back afterwards."""
    wanted = [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.signal(number, lambda *_: server.stop()) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- standard input ---------------------------------------------------------------------------------------------------
def _follow_input(server: "PenServer", out: Output) -> None:
    """Hand each line of standard input to the server, from a thread; its end is a quit.

    A standard input that nobody can write to (closed, or `/dev/null`, as of a service) means nothing.
    """
    if sys.stdin is None:
        # It was closed from the start, and its number may be the pen's port by now.
        return
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return
    if stat.S_ISCHR(mode) and not os.isatty(0):
        return
    threading.Thread(target=_read_commands, args=(server, out), name="commands", daemon=True).start()


def _read_commands(server: "PenServer", out: Output) -> None:
    from pensim.hands import BadCommand, Command, from_words

    command: Command | BadCommand
    try:
        for line in _input_lines():
            if line.strip() == "quit":
                break
            try:
                if out.json_lines:
                    command = json.loads(line)
                    if not isinstance(command, dict):
                        raise BadCommand("a command is a JSON object")
                else:
                    command = from_words(line)
            except (ValueError, RecursionError) as problem:
                command = BadCommand(str(problem))
            server.submit(command)
    finally:
        server.submit({"do": "quit"})


def _input_lines() -> Iterator[str]:
    """Yield the lines of standard input; read without Python's buffer, whose lock would hang the end of the process."""
    pending = b""
    while True:
        try:
            data = os.read(sys.stdin.fileno(), 65_536)
        except (OSError, ValueError):
            return
        # The last line may end with the input.
        *lines, pending = (pending + (data or b"\n")).split(b"\n")
        for line in lines:
            if line.strip():
                yield line.decode(errors="replace")
        if not data:
            return


# --- poke -------------------------------------------------------------------------------------------------------------
app.command("run")(scenario.run)


@app.command(cls=_WithCommands)
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
            message = f"{str(bad)[:1].upper()}{str(bad)[1:]}."
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
    raise NoDevice(NO_DEVICE, f"No simulated pen {given} is running; there is {names}.", field=option, given=given)
