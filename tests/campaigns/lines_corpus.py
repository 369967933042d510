"""The frozen corpus of lines: pieces that each reached something of the decoders that none before them did. Host only.

`python -m tests.campaigns.lines_corpus` grows it anew, with every line traced, and writes it to tests/vectors. It is
worth doing when the decoders have changed; a run begins with the corpus and grows its own from there.
"""

import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.campaigns.lines_cover import Corpus, Feature
from tests.campaigns.lines_grammar import End, Piece

FILE = Path(__file__).parents[1] / "vectors" / "lines-corpus.json"
SHARDS = 24
LONGEST = 400
"""Bytes of a piece that is frozen, at most: long ones are made anew by a change or two."""


@cache
def frozen() -> tuple[Piece, ...]:
    """Return the pieces of the frozen corpus."""
    held = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    return tuple(Piece(body.encode("latin-1"), End(end)) for body, end in held)


class Growing(Corpus):
    """A corpus that keeps a piece for what it shows in any state, and no longer ones than are to be frozen."""

    def saw(self, piece: Piece, features: Iterable[Feature]) -> bool:
        """Take note of what a piece showed, whatever state the pen was in."""
        if len(piece.body) > LONGEST:
            return False
        return super().saw(piece, [feature[1:] if isinstance(feature, tuple) else feature for feature in features])


def grow(shards: int = SHARDS) -> tuple[Piece, ...]:
    """Return the pieces that a run of so many shards keeps."""
    # Here, for the campaign begins with the corpus.
    from tests.campaigns import lines

    corpus = Growing()
    for number in range(shards):
        walk = lines.Walk(f"{number * lines.SHARD_LINES}+{lines.SHARD_LINES}", 0, corpus, traced=1.0)
        walk.go_on(lines.SHARD_LINES)
    return tuple(corpus.pieces[-corpus.found :])


def main() -> int:
    """Grow the corpus and write it; return the exit code."""
    pieces = grow()
    held = [[piece.body.decode("latin-1"), piece.end] for piece in pieces]
    FILE.write_text("[\n" + ",\n".join(json.dumps(one) for one in held) + "\n]\n", encoding="utf-8")
    sys.stdout.write(f"{len(pieces)} pieces in {FILE.name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
