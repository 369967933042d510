"""The `pinprick` command: how it begins and how it ends. Host only.

Whatever happens, a person reads a sentence and a code, a program a result line, and nobody a stack trace unasked. That
goes for the time in which the commands (`pinprick.cli.commands`) are imported as well, so this module imports little.
"""

import os
import sys
from contextlib import suppress

from pinprick.cli.endings import ended_by_signals, heed, see_through, told_to_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    import typer

_SERVING = (("sim", "serve"), ("sim", "chip"))
"""The commands that go on until they are told to end."""
_ENDED = 130
"""What a shell, and the library under the commands, says of what Ctrl-C ended; no exit code of this tool."""


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run the command line `argv` and return its exit code; never raises an Exception.

    Without `argv` it is this process's own: no signal changes any more how it ends after that.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # A closed standard output is none for Python. What is asked for is done all the same: it may be a stop.
    missing = sys.stdout is None
    if missing:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # open until the process ends
    try:
        with ended_by_signals(even_ignored=_serves(words), at_heed=True, for_good=argv is None):
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
        try:
            heed()
            code = _called(words, json_lines)
        finally:
            see_through()
    except KeyboardInterrupt:
        # One that came just now, too; the next is not heard so soon.
        see_through()
        code = _ENDED
    except Exception as error:  # noqa: BLE001  # the outermost frame: an error becomes a sentence and a code here
        if not told_to_end():
            from pinprick.cli.output import crashed

            trace = "--debug" in options or os.environ.get("PINPRICK_DEBUG", "") not in ("", "0")
            return crashed(error, words, json_lines, trace)
        # The library that it came into may have made another error of it.
        code = _ENDED
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

    heed()
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
    field, given, limit = _about(error, words)
    Output(json_lines).fail(
        InputError(USAGE, message, field=field, given=given, limit=limit, hint=f"See {path} --help")
    )
    return InputError.exit_code


def _about(error: "typer.TyperException", words: list[str]) -> "tuple[str, str | None, Decimal | None]":
    """Return which option or argument `error` is about ("" for neither), what `words` gave it, and the bound that this
    broke.
    """
    from decimal import Decimal

    parameter = getattr(error, "param", None)
    if parameter is None:
        return str(getattr(error, "option_name", "")), None, None
    names = [name for name in parameter.opts if name.startswith("-")]
    if not names:
        return str(parameter.metavar or parameter.name), None, None
    given = None
    for word, following in zip(words, [*words[1:], None], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            given = value if equals else following
    limit = None
    with suppress(ArithmeticError):
        number = Decimal(given or "")
        for bound, sign in ((getattr(parameter, "min", None), 1), (getattr(parameter, "max", None), -1)):
            if bound is not None and (Decimal(str(bound)) - number) * sign > 0:
                limit = Decimal(str(bound))
    return max(names, key=len), given, limit
