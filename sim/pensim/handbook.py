"""What people read about a virtual pen's commands and faults, made from the tables that are run. Host only; pure."""

import json
import re
from collections.abc import Callable, Iterator, Mapping

from pensim import faults, hands

PATH = "docs/simulator.md"
"""The page that holds the tables, seen from the top of the project."""
_PART = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def filled_in(page: str, tables: Mapping[str, Callable[[], Iterator[str]]] | None = None) -> str:
    """Return `page` with the tables between its marks made anew; KeyError for a mark that names no table.

    `tables`: those of another page than the virtual pen's.
    """
    tables = tables or {"commands": _commands, "faults": _faults, "tiers": _tiers}
    return _PART.sub(lambda part: "\n".join([part[1].rstrip(), "", *tables[part[2]](), "", part[3]]), page)


def for_help() -> str:
    """Return the commands as the help of the command line shows them, in Markdown."""
    rows = []
    for act in hands.TABLE:
        forms = ", ".join(f"**{phrase.form()}**" for phrase in act.phrases)
        rows.append(f"- {forms}: {act.summary} `{example(act)}`")
    return "Commands:\n\n" + "\n".join(rows).replace("[", "\\[")


def example(act: hands.Act) -> str:
    """Return a command as one JSON line."""
    phrase = act.phrases[0]
    keys = phrase.read(phrase.example().split()) or {}
    return json.dumps({"do": act.name, **keys}, separators=(",", ":"))


def _commands() -> Iterator[str]:
    yield "| in words | in JSON | its keys | what happens |"
    yield "|---|---|---|---|"
    for act in hands.TABLE:
        words = "<br>".join(f"`{phrase.form()}`" for phrase in act.phrases)
        keys = "<br>".join(f"`{key.name}`{'' if key.needed else ' (optional)'}: {key.allowed()}" for key in act.keys)
        yield f"| {words} | `{example(act)}` | {keys} | {act.summary} |"


def _faults() -> Iterator[str]:
    yield "| class | fault | its parameters | what it does | mended |"
    yield "|---|---|---|---|---|"
    for name, kinds in faults.classes().items():
        for kind in kinds:
            values = "<br>".join(_parameter(parameter) for parameter in faults.parameters(kind))
            mended = "yes" if faults.can_mend(kind) else "no"
            yield f"| {name} | `{kind.NAME}` | {values} | {hands.summary_of(kind)} | {mended} |"


def _tiers() -> Iterator[str]:
    yield "| fault | on the whole chip (`sim chip`) |"
    yield "|---|---|"
    for kind in faults.ALL:
        why = faults.not_on_chip(kind)
        if why:
            yield f"| `{kind.NAME}` | {why} |"


def _parameter(parameter: faults.Parameter) -> str:
    default = json.dumps(parameter.default).strip('"')
    return f"`{parameter.name}={default}`: {parameter.text} ({parameter.allowed()})"
