"""The `pinprick` command: how it begins and how it ends. Host only.

Whatever happens, a person reads a sentence and a code, a program a result line, and nobody a stack trace unasked. That
goes for the time in which the commands (`pinprick.cli.commands`) are imported as well, so this module imports little.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pinprick.cli.endings import ended_by_signals

if TYPE_CHECKING:
    import typer

_SERVING = (("sim", "serve"), ("sim", "chip"))
"""The commands that go on until they are told to end."""
_ENDED = 130
"""What a shell, and the library under the commands, says of what Ctrl-C ended; no exit code of this tool."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return its exit code; never raises an Exception."""
    words = list(sys.argv[1:] if argv is None else argv)
    # A closed standard output is none for Python. What is asked for is done all the same: it may be a stop.
    missing = sys.stdout is None
    if missing:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # open until the process ends
    try:
        with ended_by_signals(even_ignored=_serves(words)):
            code = _carry_out(words)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return _unheard(str(error))
    return code or (_unheard("it is closed") if missing else 0)


def _serves(words: list[str]) -> bool:
    return tuple(word for word in words if not word.startswith("-"))[:2] in _SERVING


def _carry_out(words: list[str]) -> int:
    options = words[: words.index("--")] if "--" in words else words
    json_lines = "--json" in options
    try:
        code = _called(words, json_lines)
    except KeyboardInterrupt:
        code = _ENDED
    except Exception as error:  # noqa: BLE001  # the outermost frame: an error becomes a sentence and a code here
        from pinprick.cli.output import crashed

        trace = "--debug" in options or os.environ.get("PINPRICK_DEBUG", "") not in ("", "0")
        return crashed(error, words, json_lines, trace)
    if code == _ENDED:
        # Before or after what `reporting` covers: in the middle of an import, say.
        from pinprick.cli.output import interrupted

        return interrupted(json_lines)
    return code


def _called(words: list[str], json_lines: bool) -> int:
    """Carry out a command; return its exit code, _ENDED when it was ended from outside and has not said so."""
    import typer
    from typer.main import get_command

    from pinprick.cli.commands import app

    try:
        return int(get_command(app)(args=words, prog_name="pinprick", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _misused(error, words, json_lines)
    except typer.Abort:
        return _ENDED


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


def _misused(error: "typer.TyperException", words: list[str], json_lines: bool) -> int:
    """Word an error of usage; return the exit code."""
    import typer

    from pinprick.cli.commands import path_of
    from pinprick.cli.output import Output
    from pinprick.errors import USAGE, InputError

    context = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "")
    path = context.command_path if context else path_of(words)
    if type(error).__name__ == "NoArgsIsHelpError":
        if not json_lines:
            typer.echo(message)
            return InputError.exit_code
        message = "Missing command."
    Output(json_lines).fail(InputError(USAGE, message, hint=f"See {path} --help"))
    return InputError.exit_code
