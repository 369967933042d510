"""What people read about scenario files, made from the tables that are run. Host only; pure."""

from collections.abc import Callable, Iterator, Mapping

from pensim import handbook, hands
from pensim.scenario.acts import COMMON, HANDS_ACTS, HOST
from pensim.scenario.conditions import LIST, WHATS, What
from pensim.scenario.form import CODE, WORD, Key
from pensim.scenario.model import EXPECT, PEN, TOP

PATH = "docs/scenarios.md"
"""The page that holds the tables, seen from the top of the project."""
_MANY = 8


def filled_in(page: str) -> str:
    """Return `page` with the tables between its marks made anew; KeyError for a mark that names no table."""
    return handbook.filled_in(page, _TABLES)


def _keys_of(keys: Mapping[str, Key]) -> Iterator[str]:
    yield "| key | is | what it means |"
    yield "|---|---|---|"
    for name, key in keys.items():
        needed = ", needed" if key.needed else ""
        yield f"| `{name}` | {_allowed(key)}{needed} | {_cell(key.doc)} |"


def _allowed(key: Key) -> str:
    """Return what a key may be; the longest lists of words have tables or pages of their own."""
    return key.kind if key.kind in (CODE, WORD) and len(key.words) > _MANY else _cell(key.allowed())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _host() -> Iterator[str]:
    yield "| act | its keys | what the host does |"
    yield "|---|---|---|"
    for name, form in HOST.items():
        keys = "<br>".join(f"`{key}`: {_cell(spec.doc)}" for key, spec in form.keys.items())
        yield f"| `{name}` | {keys} | {form.doc} |"


def _hands() -> Iterator[str]:
    yield "| act | its keys | what happens |"
    yield "|---|---|---|"
    for act in hands.TABLE:
        if act.name in HANDS_ACTS:
            keys = "<br>".join(
                f"`{key.name}`{'' if key.needed else ' (optional)'}: {key.allowed()}" for key in act.keys
            )
            yield f"| `{act.name}` | {keys} | {act.summary} |"


def _whats() -> Iterator[str]:
    yield "| what | is a | from | which |"
    yield "|---|---|---|---|"
    for what in WHATS:
        yield f"| `{what.name}` | {_kind(what)} | {what.source} | {_cell(what.doc)} |"


def _kind(what: What) -> str:
    return f"list of {what.items}s" if what.kind == LIST else what.kind


_TABLES: Mapping[str, Callable[[], Iterator[str]]] = {
    "file": lambda: _keys_of(TOP),
    "pen": lambda: _keys_of(PEN),
    "timing": lambda: _keys_of(COMMON),
    "host": _host,
    "hands": _hands,
    "expect": lambda: _keys_of(EXPECT),
    "whats": _whats,
}
