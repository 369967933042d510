"""What the samples of a stroke say: where home was left, where it came back, what was played. Runs on the pen.

The sampling program of `stroke_pio` writes a byte for each STEP edge, DIR << 1 | HOME << 2, into a ring by DMA. They
are levels at the pads, not what was asked for. Searching is left to `find` and `count` of the buffer: a loop over the
steps of a stroke would take this CPU as long as the stroke. Allocates nothing but what it returns.
"""

from pencore.compat import const

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


def return_step(ring: bytearray, begin: int, end: int) -> int:
    """Return how many retraction steps were made when home was seen again; -1 where it never was, or never left."""
    place = find(ring, AWAY_OUT, begin, end)
    if place < 0:
        return -1
    place = find(ring, HOME_BACK, place, end)
    if place < 0:
        return -1
    return _count(ring, AWAY_BACK, begin, place) + _count(ring, HOME_BACK, begin, place) + 1


def net_steps(ring: bytearray, begin: int, end: int) -> int:
    """Return extension minus retraction steps; 0 for a whole stroke."""
    out = _count(ring, HOME_OUT, begin, end) + _count(ring, AWAY_OUT, begin, end)
    return 2 * out - (end - begin)
