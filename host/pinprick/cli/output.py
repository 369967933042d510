"""The one way a command speaks: rich text for people, JSON lines for programs. Host only; owns a run's two consoles.

A command that others will script looks like this::

    def demo(json_lines: JsonOption = False) -> None:
        with reporting(json_lines) as out:
            out.say("Homing ...")                       # people only
            out.event("zone", zone="cheek left", made=40)  # programs only: {"event":"zone","zone":"cheek left",...}
            out.result(strokes=25000)                   # joins the last line: {"event":"result","ok":true,"exit":0,...}
            if wrong:
                raise Mismatch(errors.RECORD_MISMATCH, "...", hint="...")  # what was given to result() is kept

`reporting` turns a PinprickError into its exit code and its last line; anything else that is raised goes on to
`pinprick.cli.main`, which words it as INTERNAL. Once the command has come to its end, no signal changes what is told
of it. Nobody else prints. People read results on standard output, errors on
standard error; programs read everything on standard output, and the last line is always the result.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from pencore.faults import INTERNAL
from pinprick import wording
from pinprick.cli.endings import heed, see_through
from pinprick.errors import INTERRUPTED, PinprickError, Problem, ValidationFailed

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON lines instead of text; the last one is the result.")
]
"""The `--json` of every command."""

_SHOWN_MAX = 40
_WIDTH_OF_FILES = 200
"""How wide tables are where a file or another program reads along; sentences are one line each there."""
_EXCERPT_MAX = 100


class Output:
    """What one command says; made by `reporting`. `json_lines` tells which of the two readers it has."""

    def __init__(self, json_lines: bool = False) -> None:
        self.json_lines = json_lines
        self.console = _console()
        self.error_console = _console(stderr=True)
        self._result: dict[str, Any] = {}
        self._end: threading.Timer | None = None

    def say(self, *renderables: RenderableType, style: str | None = None) -> None:
        """Print for people; a program hears nothing. Text is printed as it is: rich's markup is off."""
        if not self.json_lines:
            _print(self.console, *renderables, style=style)

    def verbatim(self, text: str) -> None:
        """Print `text` for people exactly as it is, never wrapped: it may go into a file."""
        if not self.json_lines:
            sys.stdout.write(text)
            sys.stdout.flush()

    def event(self, event: str, **fields: object) -> None:
        """Print one JSON line for programs, `event` first; people see nothing."""
        if self.json_lines:
            self._line({"event": event, **fields})

    def result(self, **fields: object) -> None:
        """Add `fields` to the result, the last line that a program reads, whether the command ends well or not."""
        self._result.update(fields)

    def end_within(self, seconds: float, code: int) -> None:
        """End the process with `code` if the command hasn't ended by then: what it writes to may take nothing more."""
        if self._end is None:
            self._end = threading.Timer(seconds, os._exit, (code,))
            self._end.daemon = True
            self._end.start()

    def ended(self) -> None:
        """Know that the command has ended by itself."""
        if self._end is not None:
            self._end.cancel()

    def succeed(self) -> None:
        """End well: print the result line."""
        self.event("result", ok=True, exit=0, **self._result)

    def fail(self, error: PinprickError) -> None:
        """End badly: print `error`, and the result line with its code, name, field, given, limit and hint."""
        if self.json_lines:
            self._line(
                {"event": "result", "ok": False, "exit": error.exit_code, "error": _error_fields(error)}
                | ({"problems": error.problems} if isinstance(error, ValidationFailed) else {})
                | self._result
            )
        elif isinstance(error, ValidationFailed):
            self._show_problems(error.problems)
        else:
            self._show_error(error)

    def _line(self, fields: Mapping[str, object]) -> None:
        sys.stdout.write(json.dumps(plain(fields), separators=(",", ":"), allow_nan=False) + "\n")
        sys.stdout.flush()

    def _say_error(self, renderable: RenderableType, soft_wrap: bool = False) -> None:
        _print(self.error_console, renderable, soft_wrap=soft_wrap)

    def _show_error(self, error: PinprickError) -> None:
        words = wording.of(error.code)
        self._say_error(_headline(f"{error.name} {error.code}", error.message))
        if error.code // 100 not in wording.NO_PEN:
            self._say_error(_Labelled("Safe?", words.client))
        self._say_error(_Labelled("To do:", error.hint or words.todo))

    def _show_problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems[:_SHOWN_MAX]:
            # Never cut or wrapped: editors and terminals make a link of file:line.
            self._say_error(_problem_place(problem), soft_wrap=True)
            self._say_error(_problem_text(problem))
        more = len(problems) - _SHOWN_MAX
        files = len({problem.file for problem in problems})
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        where = f" in {files} files" if files > 1 else ""
        rest = f" ({more} more not shown; --json lists all)" if more > 0 else ""
        code = problems[0].code
        self._say_error(Text(f"{count}{where}{rest}. Nothing is changed, no pen was involved.", style="bold"))
        self._say_error(Text(f"More about a code: pinprick explain {code}", style="dim"))


def _console(stderr: bool = False) -> Console:
    """Return a console as wide as its terminal or COLUMNS says; an endless one where there is neither."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if _endless(console):
        console.width = _WIDTH_OF_FILES
    return console


def _endless(console: Console) -> bool:
    """Return whether nothing limits its lines, so that none is broken: a path, a command stay whole."""
    return not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit()


def _print(console: Console, *renderables: RenderableType, style: str | None = None, soft_wrap: bool = False) -> None:
    """Print to `console`, and outside of terminals without the blanks that rich fills lines up with."""
    if console.is_terminal:
        console.print(*renderables, style=style, soft_wrap=soft_wrap)
        return
    with console.capture() as captured:
        console.print(*renderables, style=style, soft_wrap=soft_wrap or _endless(console))
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().split("\n")[:-1]))
    console.file.flush()


@contextmanager
def reporting(json_lines: bool = False) -> Iterator[Output]:
    """Give a command its Output; print the result line at its end, or its error, and leave with the exit code."""
    out = Output(json_lines)
    try:
        heed()
        yield out
    except PinprickError as error:
        see_through()
        out.fail(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        see_through()
        raise typer.Exit(_interrupted(out)) from None
    else:
        see_through()
        out.succeed()
    finally:
        out.ended()


def _interrupted(out: Output) -> int:
    stopped = PinprickError(INTERRUPTED, wording.of(INTERRUPTED).what)
    out.fail(stopped)
    return stopped.exit_code


def interrupted(json_lines: bool) -> int:
    """Say that the tool was ended from outside; return the exit code."""
    return _interrupted(Output(json_lines))


def crashed(error: BaseException, argv: Sequence[str], json_lines: bool, trace: bool) -> int:
    """Word an exception that nobody expected, with its trace only when `trace`; return the exit code."""
    if trace:
        import traceback

        traceback.print_exception(error)
    command = " ".join(["pinprick --debug", *argv])
    hint = wording.of(INTERNAL).todo if trace else f"Run it again for the trace: {command}"
    shown = PinprickError(INTERNAL, f"The tool gave up: {type(error).__name__}: {error}", hint=hint)
    Output(json_lines).fail(shown)
    return shown.exit_code


def plain(value: object) -> Any:
    """Return `value` as JSON has it: Decimal as a number, date and Path as text, bytes as hex, Problem as an object."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Decimal):
        # Beyond what a double holds exactly enough, a number would be a lie or no JSON at all (1E+400, NaN).
        return _number(value) if value.is_finite() and abs(value.adjusted()) < 15 else str(value)
    if isinstance(value, Problem):
        return plain(_problem_fields(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _error_fields(error: PinprickError) -> dict[str, object]:
    return {
        "code": error.code,
        "name": error.name,
        "field": error.field,
        "given": error.given,
        "limit": error.limit,
        "hint": error.hint or wording.of(error.code).todo,
        "message": error.message,
    }


def _problem_fields(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "name": problem.name,
        "field": problem.field,
        "zone": problem.zone,
        "given": problem.given,
        "limit": problem.limit,
        "allowed": problem.allowed,
        "hint": problem.hint,
        "message": problem.message,
    }


def _headline(label: str, message: str) -> Text:
    return Text.assemble((label, "bold red"), "  ", printable(message))


class _Labelled:
    """`label` and `text`, whose further lines, if there have to be any, hang under the first."""

    def __init__(self, label: str, text: str) -> None:
        self._label = label
        self._text = printable(text)

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        from rich.table import Table

        if _endless(console):
            yield Text(f"  {self._label:<8} {self._text}" if self._label else f"  {self._text}")
            return
        if not self._label:
            yield Padding(Text(self._text), (0, 0, 0, 2))
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=8, style="dim", no_wrap=True)
        # A path or a command is never cut.
        grid.add_column(ratio=1, overflow="fold")
        grid.add_row(self._label, self._text)
        yield Padding(grid, (0, 0, 0, 2))


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT_MAX else f"{text[:_EXCERPT_MAX]} ..."


def _problem_place(problem: Problem) -> Text:
    place = problem.file + (f":{problem.line}" if problem.line else "")
    head = Text(printable(place), "bold")
    if problem.field:
        head.append(f"  {problem.field}", "cyan")
    if problem.zone:
        head.append(f"  ({problem.zone})", "dim")
    return head


def _problem_text(problem: Problem) -> RenderableType:
    parts: list[RenderableType] = [Text.assemble("  ", (f"{problem.name} {problem.code}", "bold red"))]
    if problem.excerpt:
        parts.append(Text(f"  | {_cut(printable(problem.excerpt))}", "yellow"))
    parts.append(_Labelled("", problem.message))
    if problem.allowed:
        parts.append(_Labelled("Allowed:", problem.allowed))
    parts.append(_Labelled("To do:", problem.hint or wording.of(problem.code).todo))
    parts.append(Text(""))
    return Group(*parts)


def printable(text: str) -> str:
    """Return `text` without control characters: what a file holds must not steer the terminal."""
    spaced = text.replace("\t", " ")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in spaced)
