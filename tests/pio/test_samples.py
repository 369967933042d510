"""What the firmware makes of the samples of a stroke, against a count that goes step by step; on both Pythons."""

from pathlib import Path
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pio.rigs import PEN
from tests.vm.machine import MicroPythonVM

SAMPLES = PEN.samples
SOURCE = Path(SAMPLES.__file__).read_text(encoding="utf-8")

any_stroke = st.lists(st.sampled_from([0, 2, 4, 6]), max_size=40)
clean_stroke = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda runs: [2] * runs[0] + [6] * runs[1] + [4] * runs[2] + [0] * runs[3]
)


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


@given(stroke=any_stroke | clean_stroke, begin=st.integers(0, 3 * SAMPLES.SIZE), noise=st.integers(0, 7))
@settings(max_examples=200)
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
