"""Serving a simulated pen to other programs: its port, its control channel, its place in the list, and the commands on
standard input. Host only.
"""

import json
import os
import secrets
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from pencore.profile import SERIAL_SIZE
from pencore.provision import Provision
from pinprick import simulated
from pinprick.cli.extras import needing_extra
from pinprick.cli.output import Output
from pinprick.cli.plain_text import plain_text
from pinprick.errors import FILE_UNWRITABLE, USAGE, InputError, PinprickError
from pinprick.files import file_name, make_private, text_of
from pinprick.keys import load_key
from pinprick.places import runtime_folder

if TYPE_CHECKING:
    from pensim.control import Control
    from pensim.ends import End
    from pensim.flash import FlashImage
    from pensim.making import Made, SwitchOn, Wish
    from pensim.serve import Pen, PenServer

Sink = Callable[[dict[str, Any]], None]

TcpOption = Annotated[bool, typer.Option("--tcp", help="Serve on a TCP port of this computer, not a pseudo-terminal.")]
TcpPortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, show_default=False, help="The TCP port to serve on; any, when left out."),
]
SerialOption = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        help="Serial number of the pen. Left out: what --flash says, else the first of SIM-0001, SIM-0002, ... that"
        " no running pen has.",
    ),
]
FlashOption = Annotated[
    Path | None,
    typer.Option(
        show_default=False,
        help="Keep the pen's flash in this file, which is made when it is missing. Left out: forget it at the end.",
        readable=False,
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(show_default=False, help="Provision the pen with the clinic key in this file.", readable=False),
]
NoCartridgeOption = Annotated[bool, typer.Option("--no-cartridge", help="Begin with an open, empty cartridge holder.")]
BlankOption = Annotated[bool, typer.Option("--blank", help="Serve a pen that was never provisioned.")]
UnlistedOption = Annotated[
    bool,
    typer.Option("--unlisted", help="Tell no other program of the pen: `devices` doesn't list it, `poke` can't."),
]
ControlPortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, show_default=False, help="TCP port of its control channel; any, if left out."),
]

_TURN_S = 30.0
"""Longest wait for other pens that choose their serial numbers."""
_ASK_AGAIN_S = 0.02
_RESERVED = "starting"
"""The folder in which a pen has a locked file, named for its serial number, from its choice until it is listed."""
_TOKEN_BYTES = 16
_HINTS = {
    "--flash": "Name the file of a virtual pen that isn't running, or one that isn't there yet.",
    "--serial": "Leave --serial out; `pinprick devices` lists the pens that run.",
    "--key": "Leave --key out, or begin with a new --flash.",
    "--blank": "Leave --blank out, or begin with a new --flash.",
}


class WithCommands(TyperCommand):
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


@dataclass(frozen=True)
class Ways:
    """How a pen is reached: on TCP (`port` 0: any) or a pseudo-terminal; `listed` with a control channel, and with the
    `patience` that it wants of its hosts.
    """

    tcp: bool
    port: int
    listed: bool
    control_port: int
    patience: float = 1.0


class Serving:
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
        fields: dict[str, Any] = {"port": self.server.end.address, "serial": self.made.serial}
        if self.control is not None:
            fields["control"] = self.control.address
        if self.made.file is not None:
            fields["flash"] = str(self.made.file.path)
        return fields


def start(
    wish: "Wish",
    ways: Ways,
    speed: float | None,
    answer: Sink,
    stack: ExitStack,
    switch_on: "SwitchOn | None" = None,
) -> Serving:
    """Make the pen, its ways and its server, and list it until `stack` ends; see `pensim.making` for `switch_on`."""
    from pensim.control import Control
    from pensim.serve import PenServer

    with ExitStack() as reserved, ExitStack() as turn:
        taken: set[str] = set()
        doubtful: set[str] = set()
        if ways.listed:
            turn.enter_context(_turn())
            # In this order: one that has come up in between is registered.
            taken = _starting()
            taken |= {pen.serial for pen in simulated.registered()}
            # Also those that are too busy to answer.
            doubtful = simulated.listed()

        def chosen(serial: str) -> None:
            if ways.listed:
                reserved.enter_context(_reserved(serial))
            # A chip takes seconds to boot, a bad image minutes: others may choose meanwhile.
            turn.close()

        made = _made(wish, taken, doubtful, switch_on, chosen, stack)
        end = _end(made.serial, ways)
        control = None
        token = secrets.token_hex(_TOKEN_BYTES)
        try:
            if ways.listed:
                with _port_taken("--control-port", ways.control_port):
                    control = Control(token, {"serial": made.serial, "port": end.address}, ways.control_port)
            server = PenServer(made.pen, end, answer, speed=speed, control=control)
        except BaseException:
            end.close()
            raise
        stack.callback(server.close)
        stack.enter_context(_ending(server))
        if control is not None:
            listed = simulated.Registration(
                made.serial, end.address, control.address, token, os.getpid(), ways.patience
            )
            stack.enter_context(simulated.registering(listed))
        # Not before the pen is listed: the name of its port may still be that of one which is only slow to answer.
        with _port_taken("--tcp-port", ways.port):
            end.plug(True)
    return Serving(made, server, control)


def _made(
    wish: "Wish",
    taken: set[str],
    doubtful: set[str],
    switch_on: "SwitchOn | None",
    chosen: Callable[[str], None],
    stack: ExitStack,
) -> "Made":
    """Return the pen, switched on; `chosen` hears its serial number before that, and `stack` lets go of its flash."""
    from pensim.making import BadWish, logic_alone, make
    from pensim.undisturbed import undisturbed

    def switched_on(wish: "Wish", setup: "Provision", seed: int, flash: "FlashImage", used: bool) -> "Pen":
        chosen(setup.serial)
        if switch_on is None:
            return logic_alone(wish, setup, seed, flash, used)
        # The chip's flash is written without littlefs, and who waits for a boot may end it.
        quiet.close()
        return switch_on(wish, setup, seed, flash, used)

    try:
        with ExitStack() as quiet:
            quiet.enter_context(undisturbed())
            made = make(wish, taken, doubtful, switched_on)
            stack.callback(made.close)
            return made
    except BadWish as bad:
        raise InputError(USAGE, f"{bad}.", field=bad.option, given=bad.given, hint=_HINTS.get(bad.option, "")) from None
    except OSError as error:
        message = f"{wish.flash} cannot be used as a flash: {error.strerror or error}."
        raise InputError(FILE_UNWRITABLE, message, field="--flash", given=str(wish.flash)) from None


def _end(serial: str, ways: Ways) -> "End":
    """Return the pen's end of its port; of one that is listed, a pseudo-terminal has a name that stays.

    A pseudo-terminal has to be plugged in before anybody finds it.
    """
    from pensim.ends import best_end

    link = None
    if ways.listed and not ways.tcp:
        link = _made_folder(runtime_folder() / "ports") / file_name(serial)
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
    """Wait until no other pen chooses: two that start at once must not choose the same serial number."""
    from pensim.locks import lock

    path = _made_folder(runtime_folder()) / "serve.lock"
    deadline = time.monotonic() + _TURN_S
    with _opened(path) as file:
        while not lock(file):
            if time.monotonic() >= deadline:
                raise InputError(USAGE, f"Another pen has been starting for {_TURN_S:.0f} s; it holds {path}.")
            time.sleep(_ASK_AGAIN_S)
        yield


def _starting() -> set[str]:
    """Return the serial numbers that are reserved by pens on their way up; removes what dead ones left. In turn."""
    from pensim.locks import lock

    found = set()
    for path in list(_made_folder(runtime_folder() / _RESERVED).iterdir()):
        with _opened(path) as file:
            free = lock(file)
        if free:
            with suppress(OSError):
                path.unlink()
        else:
            found.add(text_of(path.name))
    return found


@contextmanager
def _reserved(serial: str) -> Iterator[None]:
    """Reserve a serial number, in turn, until the block ends; no longer than this process lives."""
    from pensim.locks import lock

    path = _made_folder(runtime_folder() / _RESERVED) / file_name(serial)
    with _opened(path) as file:
        if not lock(file):
            raise InputError(USAGE, f"A simulated pen {serial} is being started already.", field="--serial")
        try:
            yield
        finally:
            # Where an open file can't be removed, the next one that starts does it.
            with suppress(OSError):
                path.unlink()


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, given=str(path)) from None


def _made_folder(folder: Path) -> Path:
    try:
        make_private(folder)
    except OSError as error:
        message = f"The runtime folder {folder} cannot be made: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, given=str(folder)) from None
    return folder


def plain_serial(serial: str | None) -> str | None:
    """Return a serial number that a pen can have."""
    if serial is None:
        return None
    return plain_text(serial, SERIAL_SIZE, "--serial", "A serial number", "Write it without accents or quotes.")


def key_in(path: Path | None) -> tuple[int, bytes] | None:
    if path is None:
        return None
    key = load_key(path)
    return key.key_id, key.key


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


def serve_until_end(pen: Serving, out: Output, command: str) -> None:
    """Serve a pen, and carry out the commands on standard input, until somebody ends it; FILE_UNWRITABLE when its
    flash file can no longer be written. The help of `command` lists them.
    """
    out.say(f"Ctrl-C ends it. Commands: see pinprick {command} --help", style="dim")
    _follow_input(pen.server, out)
    pen.server.run()
    if pen.broken is not None and pen.made.file is not None:
        path = pen.made.file.path
        message = f"{path} can no longer be written: {pen.broken.strerror or pen.broken}."
        raise PinprickError(FILE_UNWRITABLE, message, field="--flash", given=str(path))
    out.say("The virtual pen has ended.")


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
                command = _json_object(line) if out.json_lines else from_words(line)
            except BadCommand as problem:
                command = problem
            server.submit(command)
    finally:
        server.submit({"do": "quit"})


def _json_object(line: str) -> dict[str, Any]:
    """Return the command in a line of JSON; BadCommand for anything else."""
    from pensim.hands import BadCommand

    try:
        command = json.loads(line)
    except (ValueError, RecursionError):
        command = None
    if not isinstance(command, dict):
        raise BadCommand('a command is a JSON object on a line of its own: {"do":"press"}, say')
    return command


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
