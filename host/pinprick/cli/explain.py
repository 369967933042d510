"""`pinprick explain`: a code in words. Host only."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pinprick import wording
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.errors import CODE_UNKNOWN, InputError, code_name

_NAME_WIDTH = max(len(code_name(code)) for code in wording.WORDING)


def _complete(incomplete: str) -> list[str]:
    wanted = incomplete.upper()
    return [name for code in wording.WORDING for name in (code_name(code), str(code)) if name.startswith(wanted)]


def explain(
    code: Annotated[
        str | None,
        typer.Argument(
            help="A code or its name, such as 311 or RATE_TOO_HIGH; all of them when left out.",
            autocompletion=_complete,
            show_default=False,
        ),
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Say what a code means: what happened, whether the client is safe, what to do next."""
    with reporting(json_lines) as out:
        if code is None:
            _explain_all(out)
        else:
            _explain_one(out, find(code))


def find(word: str) -> int:
    """Return the code that `word` means, its number or its name in any case; InputError CODE_UNKNOWN for none."""
    names = {code_name(code): code for code in wording.WORDING}
    wanted = word.strip().upper().replace("-", "_")
    if wanted in names:
        return names[wanted]
    if wanted.isascii() and wanted.isdigit() and int(wanted[:9]) in wording.WORDING and len(wanted) <= 9:
        return int(wanted)
    known = [*names, *(str(number) for number in names.values())]
    holding = [name for name in names if len(wanted) >= 3 and wanted in name]
    near = holding[:3] or get_close_matches(wanted, known, n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else ""
    raise InputError(CODE_UNKNOWN, f"There is no code {word!r}.", field="CODE", given=word, hint=hint)


def _fields(code: int) -> dict[str, object]:
    words = wording.WORDING[code]
    return {
        "code": code,
        "name": code_name(code),
        "family": wording.family(code),
        "what": words.what,
        "client": words.client,
        "todo": words.todo,
    }


def _explain_one(out: Output, code: int) -> None:
    words = wording.WORDING[code]
    out.result(**_fields(code))
    out.say(Text.assemble((f"{code} {code_name(code)}", "bold"), (f"  {wording.family(code)}", "dim")))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=20, style="cyan")
    grid.add_column(ratio=1)
    grid.add_row("What happened", words.what)
    grid.add_row("Is the client safe?", words.client)
    grid.add_row("What to do", words.todo)
    out.say(grid)


def _explain_all(out: Output) -> None:
    out.result(codes=[_fields(code) for code in wording.WORDING])
    for number, title in wording.FAMILIES.items():
        out.say(Text(f"{number}xx  {title}", style="bold"))
        out.say(_family_table(code for code in wording.WORDING if code // 100 == number))
    out.say(Text("pinprick explain CODE says what happened, whether the client is safe, and what to do.", style="dim"))


def _family_table(codes: Iterable[int]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=4, justify="right", style="cyan")
    table.add_column(width=_NAME_WIDTH)
    table.add_column(ratio=1, style="dim")
    for code in codes:
        table.add_row(str(code), code_name(code), wording.WORDING[code].what)
    return table
