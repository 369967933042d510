"""What a line reaches in the modules that take it apart, and the corpus that grows by it. Host only.

A feature is something that was seen: an edge of the code (from one line of it to the next, and about how often) in a
state of the pen, or an answer of a kind in a state. A piece that shows one for the first time is kept, and what is kept
is changed further. `sys.settrace` sees the edges: it is in every CPython, and its cost falls on a share of the lines.
"""

import random
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pencore import conversation, lines, requests, wire
from tests.campaigns.lines_grammar import Piece, first_pieces

_MODULES = (lines, wire, conversation, requests)
_FILES = {module.__file__: number for number, module in enumerate(_MODULES)}

Feature = Hashable


class Tracer:
    """Sees which edges are taken while something is called under it."""

    def __init__(self) -> None:
        self._edges: dict[int, int] = {}
        self._at: dict[FrameType, int] = {}
        self.traced = 0

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch what is called inside; the edges seen before are forgotten."""
        before = sys.gettrace()
        self._edges.clear()
        self.traced += 1
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(before)
            self._at.clear()

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        number = _FILES.get(frame.f_code.co_filename)
        if number is None:
            return None
        self._at[frame] = number << 16 | frame.f_code.co_firstlineno
        return self._line

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        if event == "line":
            line = self._at[frame] & ~0xFFFF | frame.f_lineno
            edge = self._at[frame] << 16 | frame.f_lineno
            self._edges[edge] = self._edges.get(edge, 0) + 1
            self._at[frame] = line
        return self._line

    def features(self) -> Iterator[tuple[int, int]]:
        """Yield each edge with how often it was taken: once, twice, three to six times, more."""
        for edge, times in self._edges.items():
            yield edge, times if times < 3 else 3 if times < 7 else 4


class Corpus:
    """Pieces worth changing further, and all that was seen so far."""

    def __init__(self, pieces: Iterable[Piece] = ()) -> None:
        self.pieces: list[Piece] = [*first_pieces(), *pieces]
        self._known = set(self.pieces)
        self._seen: set[Feature] = set()
        self.found = 0
        """Pieces that were kept because of what they showed."""

    def saw(self, piece: Piece, features: Iterable[Feature]) -> bool:
        """Take note of what a piece showed; keep it, and return True, when some of it is new."""
        before = len(self._seen)
        self._seen.update(features)
        if len(self._seen) == before or piece in self._known:
            return False
        self.pieces.append(piece)
        self._known.add(piece)
        self.found += 1
        return True

    @property
    def features(self) -> int:
        """How much was seen."""
        return len(self._seen)

    def draw(self, rng: random.Random) -> Piece:
        """Return a piece to go on from; mostly one of the younger ones."""
        count = len(self.pieces)
        return self.pieces[max(rng.randrange(count), rng.randrange(count))]
