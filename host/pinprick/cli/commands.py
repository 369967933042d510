"""The commands of `pinprick`: their names, where they are, what the tool says of itself. Host only.

A command is imported when it is called (or listed), so that `pinprick profile check` never waits for the simulator.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from pinprick.cli.endings import heed

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
    "key": ("pinprick.cli.key", "app"),
    "clock": ("pinprick.cli.clock", "app"),
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
            target = getattr(import_module(module), attribute)
            heed()
            self._loaded[name] = _command(name, target)
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


def path_of(words: Sequence[str]) -> str:
    """Return the command that a command line names, as far as it names one: "pinprick board build"."""
    group: Any = get_command(app)
    path = ["pinprick"]
    for word in words:
        commands = getattr(group, "commands", {})
        if word in commands:
            path.append(word)
            group = commands[word]
        elif not word.startswith("-"):
            break
    return " ".join(path)
