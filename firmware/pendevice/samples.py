"""What the samples of a stroke say: where home was left, where it came back, what was played. Runs on the pen.

The sampling program of `stroke_pio` writes a byte for each STEP edge, DIR << 1 | HOME << 2, into a ring by DMA. They
are levels at the pads, not what was asked for. Searching is left to the methods of the buffer: a loop over the
steps of a stroke would take this CPU as long as the stroke. Allocates two runs of 128 samples at import, nothing else.
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

_RUN = const(128)
_WAYS = ((AWAY_OUT, AWAY_OUT * _RUN, AWAY_BACK), (AWAY_BACK, AWAY_BACK * _RUN, HOME_BACK))
"""Most of a stroke is of two samples, on the way out and back: compared in runs, they take a tenth of the time that
counting takes. Of each way: its sample, a run of it, and the sample that ends it.
"""


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
    end -= begin
    begin &= SIZE - 1
    end += begin
    if end <= SIZE:
        return ring.count(sample, begin, end)
    count = ring.count(sample, begin, SIZE)
    return count + ring.count(sample, 0, end - SIZE)


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


def _run_end(ring: bytearray, way: int, begin: int, end: int) -> int:
    """Return where the samples from `begin` on, all far from home and this `way`, give way to the next; else -1."""
    at = begin
    while end - at >= _RUN:
        begin = at & (SIZE - 1)
        if begin + _RUN > SIZE:
            if _count(ring, _WAYS[way][0], at, at + _RUN) < _RUN:
                break
        elif not ring.startswith(_WAYS[way][1], begin):
            break
        at += _RUN
    begin = at
    at = find(ring, _WAYS[way][2], begin, end)
    return at if at >= 0 and _count(ring, _WAYS[way][0], begin, at) == at - begin else -1


def _judge_whole(evidence: "Evidence", ring: bytearray, begin: int, end: int) -> bool:
    """Judge a stroke that went out, back, and saw home leave and return once each; return False for any other."""
    place = find(ring, AWAY_OUT, begin, end)
    if place < 0 or _count(ring, HOME_OUT, begin, place) != place - begin:
        return False
    evidence.clear_step = place - begin + 1
    place = _run_end(ring, 0, place, end)
    if place < 0:
        return False
    evidence.net_steps = 2 * (place - begin) - (end - begin)
    # From here on it goes back.
    begin = place
    place = _run_end(ring, 1, begin, end)
    if place < 0 or _count(ring, HOME_BACK, place, end) != end - place:
        return False
    evidence.return_step = place - begin + 1
    return True


def judge(evidence: "Evidence", ring: bytearray, begin: int, end: int) -> None:
    """Set what the samples from `begin` up to `end` say of a stroke.

    `clear_step` as above; `return_step`: how many retraction steps were made when home was seen again, -1 where it
    never was, or never left; `net_steps`: extension minus retraction steps, 0 for a whole stroke. One that went as
    planned is compared in runs, which takes 1 ms for the longest; only of any other is each sample counted, for 8 ms.
    """
    if not _judge_whole(evidence, ring, begin, end):
        _judge_any(evidence, ring, begin, end)


def _judge_any(evidence: "Evidence", ring: bytearray, begin: int, end: int) -> None:
    evidence.clear_step = clear_step(ring, begin, end)
    place = find(ring, AWAY_OUT, begin, end)
    if place >= 0:
        place = find(ring, HOME_BACK, place, end)
    until = place if place >= 0 else end
    out = _out(ring, begin, until)
    # Whatever isn't an extension step is a retraction step; the one that shows home is one too.
    evidence.return_step = until - begin - out + 1 if place >= 0 else -1
    evidence.net_steps = 2 * (out + _out(ring, until, end)) - (end - begin)
