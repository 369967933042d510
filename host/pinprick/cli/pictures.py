"""Bars, durations and tables for the terminal. Host only; pure, except that a console says what it can show."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

_BLOCKS = ("█", "▒", "░")
_PLAIN = ("#", "+", ".")
_STYLES = ("cyan", "yellow", "dim")


_GAP = 2


class Column(NamedTuple):
    """A column of a table: its cells, those of a footer last. A `left` one holds words, any other numbers."""

    title: str
    cells: Sequence[str | Text]
    style: str = ""
    left: bool = False

    @property
    def width(self) -> int:
        """The width at which no cell is cut."""
        return max(len(self.title), *(len(cell) for cell in self.cells))


def table_width(columns: Sequence[Column]) -> int:
    """Return how wide a table of `columns` is, gaps included."""
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def table(columns: Sequence[Column], most: int, dispensable: Sequence[str] = ()) -> Table:
    """Return the table of `columns`; if they are wider than `most`, without those titled `dispensable`, one by one.

    Where that is not enough, words are wrapped. A number is never cut.
    """
    kept = list(columns)
    for title in dispensable:
        if table_width(kept) <= most:
            break
        kept = [column for column in kept if column.title != title]
    made = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for column in kept:
        justify: Literal["left", "right"] = "left" if column.left else "right"
        least = None if column.left else column.width
        made.add_column(
            column.title, justify=justify, style=column.style, min_width=least, no_wrap=not column.left, overflow="fold"
        )
    for row in zip(*(column.cells for column in kept), strict=True):
        made.add_row(*row)
    return made


def glyphs(console: Console) -> Sequence[str]:
    """Return the three signs that bars are drawn with, dark to light; plain ones where the terminal has no others."""
    return _PLAIN if console.options.ascii_only else _BLOCKS


def bar(console: Console, width: int, scale: int, marks: Sequence[int]) -> Text:
    """Return a bar of `width` characters for 0..`scale`: dark up to the first of `marks`, lighter up to each next one.

    `marks` are at most three growing numbers. A mark above 0 is never drawn as nothing.
    """
    text = Text()
    drawn = 0
    for mark, sign, style in zip(marks, glyphs(console), _STYLES, strict=False):
        end = width * mark // scale if scale else 0
        if mark > 0 and end == 0:
            end = 1
        text.append(sign * max(0, end - drawn), style)
        drawn = max(drawn, end)
    text.append(" " * (width - drawn))
    return text


def legend(console: Console, words: Sequence[str]) -> Text:
    """Return what the signs of `bar` mean, one of `words` for each mark."""
    text = Text()
    for word, sign, style in zip(words, glyphs(console), _STYLES, strict=False):
        text.append(f"{sign * 2} ", style)
        text.append(f"{word}   ", "dim")
    return text


def duration(seconds: float) -> str:
    """Return `seconds`, rounded up to whole ones, as "19:46"."""
    whole = -int(-seconds // 1)
    return f"{whole // 60}:{whole % 60:02d}"
