"""What the firmware makes of the samples of a stroke, against a count that goes step by step; on both Pythons."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pio.rigs import PEN
from tests.support.pio_engine import MODULES
from tests.vm.machine import MicroPythonVM

SAMPLES = PEN.samples
SOURCE = Path(SAMPLES.__file__).read_text(encoding="utf-8")

any_stroke = st.lists(st.sampled_from([0, 2, 4, 6]), max_size=40)
clean_stroke = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda runs: [2] * runs[0] + [6] * runs[1] + [4] * runs[2] + [0] * runs[3]
)


@st.composite
def long_stroke(draw: st.DrawFn) -> list[int]:
    """Draw a stroke as it is planned, of up to 1,300 steps, a few of whose samples may be wrong."""
    out, away, back = draw(st.integers(0, 40)), draw(st.integers(0, 1260)), draw(st.integers(0, 40))
    stroke = [2] * out + [6] * away + [4] * max(0, out + away - back) + [0] * back
    for _ in range(draw(st.integers(0, 2)) if stroke else 0):
        stroke[draw(st.integers(0, len(stroke) - 1))] = draw(st.sampled_from([0, 2, 4, 6]))
    return stroke


def counted(stroke: list[int]) -> tuple[int, int, int]:
    """Return clear step, return step and net steps as the port's words have them."""
    clear = back = -1
    out = into = 0
    for sample in stroke:
        away = sample & 4
        if sample & 2:
            out += 1
            if clear < 0 and away:
                clear = out
        else:
            into += 1
            if back < 0 <= clear and not away:
                back = into
    return clear, back, out - into


@given(
    stroke=any_stroke | clean_stroke | long_stroke(),
    begin=st.integers(0, 3 * SAMPLES.SIZE),
    noise=st.integers(0, 7),
)
@settings(max_examples=300)
def test_evidence_is_what_a_count_step_by_step_gives(stroke: list[int], begin: int, noise: int) -> None:
    """Anywhere in the ring, wrapped or not, whatever else it holds."""
    ring = bytearray([noise]) * SAMPLES.SIZE
    for place, sample in enumerate(stroke, begin):
        ring[place % SAMPLES.SIZE] = sample
    end = begin + len(stroke)
    made = SimpleNamespace()
    SAMPLES.judge(made, ring, begin, end)
    assert (made.clear_step, made.return_step, made.net_steps) == counted(stroke)


@given(stroke=any_stroke | clean_stroke, before_end=st.integers(0, 60))
@settings(max_examples=20)
def test_micropython_s_buffers_find_and_count_alike(vm: MicroPythonVM, stroke: list[int], before_end: int) -> None:
    begin = SAMPLES.SIZE - before_end
    question = f"""
ring = bytearray(SIZE)
for place, sample in enumerate({stroke}, {begin}):
    ring[place % SIZE] = sample
class Made:
    pass
made = Made()
judge(made, ring, {begin}, {begin + len(stroke)})
result = [made.clear_step, made.return_step, made.net_steps]
"""
    assert vm.run(SOURCE + question) == list(counted(stroke))


def test_the_ring_holds_two_of_the_longest_strokes() -> None:
    longest_steps = (2600 + 500 + 500) * 400 // 1000
    assert 4 * longest_steps < SAMPLES.SIZE == 1 << SAMPLES.BITS


class Heap:
    """Gives buffers places from below, as MicroPython does; the first `holes` small ones go elsewhere."""

    def __init__(self, first: int, holes: int) -> None:
        self._next = first
        self._holes = holes
        self._known: list[tuple[bytearray, int]] = []

    def addressof(self, buffer: bytearray) -> int:
        for known, place in self._known:
            if known is buffer:
                return place
        if len(buffer) < SAMPLES.SIZE and self._holes:
            self._holes -= 1
            return 0
        place = self._next
        self._next += len(buffer)
        self._known.append((buffer, place))
        return place

    def bytearray_at(self, address: int, size: int) -> bytearray:
        made = bytearray(size)
        self._known.append((made, address))
        return made


def placed(heap: Heap, size: int) -> bytearray:
    """Return a buffer that has its place in `heap`."""
    made = bytearray(size)
    heap.addressof(made)
    return made


PLAYER = MODULES.player


@given(block=st.integers(0, 20_000), holes=st.integers(0, 9))
@settings(max_examples=100)
def test_the_ring_lies_where_dma_can_wrap_in_it(block: int, holes: int) -> None:
    """Up to three holes that take what was to lie before it cost nothing; with more it has twice its size."""
    heap = Heap(0x2000_4000 + 16 * block, holes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PLAYER, "uctypes", heap)
        # Each buffer takes its place as it is made.
        patch.setattr(PLAYER, "bytearray", lambda size: placed(heap, size), raising=False)
        ring, kept = PLAYER._ring()
    place, begin = heap.addressof(ring), heap.addressof(kept)
    assert place % SAMPLES.SIZE == 0
    assert len(ring) == SAMPLES.SIZE
    assert begin <= place
    assert place + SAMPLES.SIZE <= begin + len(kept)
    assert kept is ring or holes > 2
