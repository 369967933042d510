"""Bars and durations for tables in the terminal. Host only; pure, except that a console says what it can show."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

_BLOCKS = ("█", "▒", "░")
_PLAIN = ("#", "+", ".")
_STYLES = ("cyan", "yellow", "dim")


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
