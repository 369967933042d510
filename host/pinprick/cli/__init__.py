"""The `pinprick` command: what it is made of and how it ends. Host only.

A command is imported when it is called (or listed), so that `pinprick profile check` never waits for the simulator.
Whatever happens, a person reads a sentence and a code, a program a result line, and nobody a stack trace unasked.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

_COMMANDS = {
    "demo": ("pinprick.cli.demo", "demo"),
    "devices": ("pinprick.cli.devices", "devices"),
    "profile": ("pinprick.cli.profile", "app"),
    "load": ("pinprick.cli.session", "load"),
    "arm": ("pinprick.cli.session", "arm"),
    "zone": ("pinprick.cli.session", "zone"),
    "pause": ("pinprick.cli.session", "pause"),
    "stop": ("pinprick.cli.stop", "stop"),
    "finish": ("pinprick.cli.session", "finish"),
    "clear": ("pinprick.cli.session", "clear"),
    "status": ("pinprick.cli.session", "status"),
    "monitor": ("pinprick.cli.monitor", "monitor"),
    "run": ("pinprick.cli.run", "run"),
    "records": ("pinprick.cli.records", "app"),
    "explain": ("pinprick.cli.explain", "explain"),
    "board": ("pinprick.cli.board", "app"),
    "sim": ("pinprick.cli.sim", "app"),
    "gendocs": ("pinprick.cli.gendocs", "gendocs"),
}
"""Command -> (module, a function or a Typer of its own), in the order of the help."""

_HIDDEN = frozenset({"gendocs"})


class _LazyCommands(MutableMapping[str, Any]):
    """Name -> command, imported at its first look-up; names alone cost nothing."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module, attribute = _COMMANDS[name]
            self._loaded[name] = _command(name, getattr(import_module(module), attribute))
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


def _command(name: str, target: Any) -> Any:
    """Return the command that `target`, a Typer with subcommands or a plain function, makes under `name`."""
    if isinstance(target, typer.Typer):
        group = get_group(target)
        group.name = name
        return group
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name, hidden=name in _HIDDEN)(target)
    return get_command(single)


class _LazyGroup(TyperGroup):
    """The root command, whose subcommands are imported late."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _LazyCommands()


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from pinprick import __version__

        typer.echo(f"pinprick {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    _debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the trace of an unexpected error; PINPRICK_DEBUG=1 does the same."),
    ] = False,
) -> None:
    """Make session profiles for a stepper-driven microneedling pen, load them onto a connected one, keep its records.

    Commands for a pen find it by themselves when one is connected; with several, name it: --serial-number or --port.
    The pen's own trigger starts strokes, no command does. `pinprick stop` stops a pen in any state.

    Exit codes: 0 done; 1 failed, the pen's refusals and faults included; 2 bad arguments or input file; 3 no device;
    4 a hash, chain or signature does not match.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return its exit code; never raises an Exception."""
    words = list(sys.argv[1:] if argv is None else argv)
    # A closed standard output is none for Python. What is asked for is done all the same: it may be a stop.
    missing = sys.stdout is None
    if missing:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # open until the process ends
    try:
        with _ended_by_signals():
            code = _carry_out(words)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return _unheard(str(error))
    return code or (_unheard("it is closed") if missing else 0)


def _carry_out(words: list[str]) -> int:
    options = words[: words.index("--")] if "--" in words else words
    json_lines = "--json" in options
    try:
        return int(get_command(app)(args=words, prog_name="pinprick", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _misused(error, json_lines)
    except (KeyboardInterrupt, typer.Abort):
        # Before or after what `reporting` covers: in the middle of an import, say.
        from pinprick.cli.output import interrupted

        return interrupted(json_lines)
    except Exception as error:  # noqa: BLE001  # the outermost frame: an error becomes a sentence and a code here
        from pinprick.cli.output import crashed

        trace = "--debug" in options or os.environ.get("PINPRICK_DEBUG", "") not in ("", "0")
        return crashed(error, words, json_lines, trace)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have the signals that end a process end a command as Ctrl-C does: with a result, and the pen let go of.

    What is ignored already (nohup) stays so, and whoever listens to signals itself goes before this.
    """
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    found = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    found = [number for number in found if signal.getsignal(number) is signal.SIG_DFL]

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        for number in found:
            signal.signal(number, end)
        yield
    finally:
        for number in found:
            signal.signal(number, signal.SIG_DFL)


def _unheard(why: str) -> int:
    """Say, where that is possible, that standard output takes nothing; return the exit code."""
    with suppress(OSError, ValueError, AttributeError):
        # Else Python tries once more at its end, and complains in its own words.
        void = os.open(os.devnull, os.O_WRONLY)
        os.dup2(void, sys.stdout.fileno())
        os.close(void)
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"pinprick: standard output cannot be written to: {why}\n")
        sys.stderr.flush()
    return 1


def _misused(error: typer.TyperException, json_lines: bool) -> int:
    """Word an error of usage; return the exit code."""
    from pinprick.cli.output import Output
    from pinprick.errors import USAGE, InputError

    context = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "")
    path = context.command_path if context else "pinprick"
    if type(error).__name__ == "NoArgsIsHelpError":
        if not json_lines:
            typer.echo(message)
            return InputError.exit_code
        message = "Missing command."
    Output(json_lines).fail(InputError(USAGE, message, hint=f"See {path} --help"))
    return InputError.exit_code
