"""`pinprick sim serve`: a virtual pen in a process of its own, for any program that can open a serial port. Host
only.
"""

import json
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pencore.digest import text_problem
from pencore.profile import SERIAL_SIZE
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.errors import EXTRA_MISSING, USAGE, InputError, PinprickError
from pinprick.firmware import firmware_files

if TYPE_CHECKING:
    from pensim.ends import End
    from pensim.serve import PenServer

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

_HELP = """Commands, one a line: press, release, cartridge open, cartridge close, stop down, stop up, power off, power
on, wait MS, oracle, quit."""


@app.callback()
def sim() -> None:
    """Virtual pens: the firmware's own logic with a plant in place of a motor."""


@app.command()
def serve(
    tcp: Annotated[
        bool, typer.Option("--tcp", help="Serve on a TCP port of this computer, not a pseudo-terminal.")
    ] = False,
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
    serial: Annotated[str, typer.Option(help="Serial number of the pen.")] = "SIM-0001",
    seed: Annotated[int, typer.Option(help="What is random about the pen (its nonces) is drawn from this.")] = 0,
    json_lines: JsonOption = False,
) -> None:
    """Serve a virtual pen until Ctrl-C, `quit`, or the end of standard input.

    Prints the port for any program to open: `pinprick.device.Pen`, pyserial, a terminal program. It is a freshly
    provisioned pen with a new cartridge, and it forgets everything when it ends.

    Each line on standard input is something done to the pen, in order: press, release, cartridge open, cartridge close,
    stop down, stop up, power off, power on, wait MS, oracle, quit. `oracle` tells what the needle did, by its own
    account. The end of the input is a `quit` too. `/dev/null` does not count as an end, nor does an input that was
    closed from the start: then it serves until Ctrl-C.

    With `--json` each line is a JSON object, and so is its answer:

    - `{"do":"press"}`, `{"do":"release"}`
    - `{"do":"cartridge","closed":false}`
    - `{"do":"stop_button","down":true}`
    - `{"do":"power_cut"}`, `{"do":"power_on"}`
    - `{"do":"wait","after_ms":500}`
    - `{"do":"oracle"}`
    - `{"do":"zone","label":"cheek","limit_um":500}`: the oracle counts under this label from now on, and minds this
      depth; null for none
    - `{"do":"quit"}`, which has no answer but the result

    Each may carry `after_ms`, simulated milliseconds after the one before it.
    """
    with reporting(json_lines) as out:
        if text_problem(serial, SERIAL_SIZE):
            message = f"A serial number has 1 to {SERIAL_SIZE} plain characters, without quotes and backslash."
            raise InputError(USAGE, message, field="--serial", given=serial, limit=SERIAL_SIZE)
        server = port_pen(serial, seed, 1.0 if realtime else speed, tcp, lambda answer: _show(out, answer))
        out.event("serving", port=server.end.address, serial=serial)
        out.say(f"Virtual pen {serial} on {server.end.address}", style="bold")
        out.say("Ctrl-C ends it. " + _HELP.replace("\n", " "), style="dim")
        with _ending(server):
            _follow_input(server, out)
            server.run()
        out.say("The virtual pen has ended.")


Sink = Callable[[dict[str, Any]], None]


def port_pen(serial: str, seed: int, speed: float | None, tcp: bool, answer: Sink) -> "PenServer":
    """Return the server of a new pen at a pseudo-terminal or a TCP port; EXTRA_MISSING without the `sim` extra."""
    with _extra():
        from pensim.ends import best_end

        return _server(best_end(tcp), serial, seed, speed, answer)


def pipe_pen(serial: str, speed: float | None, answer: Sink) -> "tuple[PenServer, Callable[[], socket.socket]]":
    """Return the server of a new pen in this process, and what connects to it; EXTRA_MISSING without the extra."""
    with _extra():
        from pensim.ends import PipeEnd

        end = PipeEnd()
        return _server(end, serial, 0, speed, answer), end.connect


def _server(end: "End", serial: str, seed: int, speed: float | None, answer: Sink) -> "PenServer":
    """Return the server of a pen that is switched on and has a new cartridge."""
    from pensim.oracle import ConsentRule, LeaseRule
    from pensim.ports import build_hash
    from pensim.serve import PenServer
    from pensim.world import World

    world = World(serial=serial, seed=seed, strict=False, build=build_hash(firmware_files()))
    world.oracle.watch_consent(ConsentRule())
    world.oracle.watch_lease(LeaseRule())
    world.power_on()
    world.run_ms(100)
    world.change_cartridge()
    return PenServer(world, end, answer, speed=speed)


@contextmanager
def _extra() -> Iterator[None]:
    """Say what to install when the simulator's library is not there; no other module may be missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "littlefs":
            raise
        message = "Virtual pens need littlefs-python, which is not installed."
        raise PinprickError(EXTRA_MISSING, message, hint="Install it with: pip install littlefs-python") from None


def _show(out: Output, answer: Mapping[str, Any]) -> None:
    """Print the answer to a command."""
    fields = dict(answer)
    out.event(fields.pop("event"), **fields)
    if "problem" in answer:
        out.say(str(answer["problem"]), style="red")
    elif answer["do"] == "oracle":
        total = answer["total"]
        out.say(f"strokes {total['strokes']:,}   deepest {total['deepest_um']:.1f} um")
        for violation in answer["violations"]:
            out.say(violation, style="red")


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
