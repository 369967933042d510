"""What the samples of a stroke say: where home was left, where it came back, what was played. Runs on the pen.

The sampling program of `stroke_pio` writes a byte for each STEP edge, DIR << 1 | HOME << 2, into a ring by DMA. They
are levels at the pads, not what was asked for. Searching is left to `find` and `count` of the buffer: a loop over the
steps of a stroke would take this CPU as long as the stroke. Allocates nothing.
"""

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Protocol

    class Evidence(Protocol):
        """What `judge` sets of `pendevice.engine.Evidence`."""

        clear_step: int
        return_step: int
        net_steps: int


BITS = const(13)
SIZE = const(8192)
"""Bytes of the ring, a power of two: more than two strokes of the longest travel."""

AWAY_BACK = b"\x04"
AWAY_OUT = b"\x06"
HOME_BACK = b"\x00"
HOME_OUT = b"\x02"
"""The four samples: home or away, stepping back or out. HOME reads 0 while the carriage is seen."""


def find(ring: bytearray, sample: bytes, begin: int, end: int) -> int:
    """Return the first place of `sample` from `begin` up to `end`, counted since the ring was empty; -1: nowhere."""
    low = begin & (SIZE - 1)
    stop = low + end - begin
    place = ring.find(sample, low, stop if stop < SIZE else SIZE)
    if place < 0 and stop > SIZE:
        place = ring.find(sample, 0, stop - SIZE)
        if place >= 0:
            place += SIZE
    return place if place < 0 else place - low + begin


def _count(ring: bytearray, sample: bytes, begin: int, end: int) -> int:
    """Return how often `sample` stands from `begin` up to `end`."""
    low = begin & (SIZE - 1)
    stop = low + end - begin
    if stop <= SIZE:
        return ring.count(sample, low, stop)
    return ring.count(sample, low, SIZE) + ring.count(sample, 0, stop - SIZE)


def clear_step(ring: bytearray, begin: int, end: int) -> int:
    """Return how many extension steps were made when home was seen no more; -1 where it always was.

    `begin`, `end`: which samples are the stroke's, counted since the ring was empty; at most SIZE of them.
    """
    place = find(ring, AWAY_OUT, begin, end)
    if place < 0:
        return -1
    return _count(ring, HOME_OUT, begin, place) + 1


def _out(ring: bytearray, begin: int, end: int) -> int:
    """Return how many of the samples from `begin` up to `end` are extension steps."""
    return _count(ring, HOME_OUT, begin, end) + _count(ring, AWAY_OUT, begin, end)


def judge(evidence: "Evidence", ring: bytearray, begin: int, end: int) -> None:
    """Set what the samples from `begin` up to `end` say of a stroke.

    `clear_step` as above; `return_step`: how many retraction steps were made when home was seen again, -1 where it
    never was, or never left; `net_steps`: extension minus retraction steps, 0 for a whole stroke. Each sample is looked
    at three times, at 0.2 us each.
    """
    evidence.clear_step = clear_step(ring, begin, end)
    place = find(ring, AWAY_OUT, begin, end)
    if place >= 0:
        place = find(ring, HOME_BACK, place, end)
    until = place if place >= 0 else end
    out = _out(ring, begin, until)
    # Whatever isn't an extension step is a retraction step; the one that shows home is one too.
    evidence.return_step = until - begin - out + 1 if place >= 0 else -1
    evidence.net_steps = 2 * (out + _out(ring, until, end)) - (end - begin)
