"""The depth guard: set to N it cuts the driver at the N + 1st step of net extension, whatever the edges were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore.ports import ENABLED, TRIP_DEPTH
from tests.pio.rigs import BACK, BOARD, EMULATORS, GUARD_PIO, OUT, GuardRig, PenRig

CUT_TICKS = 7
"""From the edge on the pad to the enable on its pad: 56 ns."""

directions = st.lists(st.sampled_from([OUT, BACK]), max_size=60) | st.lists(
    st.tuples(st.sampled_from([OUT, BACK]), st.integers(1, 14)).map(lambda run: [run[0]] * run[1]), max_size=8
).map(lambda runs: [direction for run in runs for direction in run])
limits = st.integers(0, 12)


def cut_by(limit: int, stream: list[int]) -> int:
    """Return the index of the first step that goes past `limit` of net extension, never made good below 0; or -1."""
    net = 0
    for index, direction in enumerate(stream):
        net = net + 1 if direction == OUT else max(net - 1, 0)
        if net > limit:
            return index
    return -1


@pytest.mark.parametrize("emulator", EMULATORS)
@given(before=directions, runs=st.lists(st.tuples(limits, directions), min_size=1, max_size=3))
@settings(max_examples=40)
def test_any_stream_is_cut_at_the_step_after_the_limit(
    emulator: str, before: list[int], runs: list[tuple[int, list[int]]]
) -> None:
    """Streams before arming, between one arming and the next, and after a trip."""
    rig = GuardRig(emulator)
    watch = rig.watch
    rig.steps(before)
    assert not watch.switched[1:]
    for limit, stream in runs:
        rig.chip.drive(BOARD.DIR, BACK)
        rig.chip.run(20)
        rig.guards.load(limit, 1000)
        assert rig.guards.bits() == ENABLED
        first = len(watch.steps)
        changes = len(watch.switched)
        rig.steps(stream)
        cut = cut_by(limit, stream)
        if cut < 0:
            assert watch.on
            assert rig.guards.bits() == ENABLED
        else:
            assert watch.switched[changes:] == [(watch.steps[first + cut][0] + CUT_TICKS, False)]
            assert rig.guards.bits() == TRIP_DEPTH


@pytest.mark.parametrize("emulator", EMULATORS)
@given(
    limit=limits,
    stream=st.lists(st.tuples(st.sampled_from([OUT, BACK]), st.integers(8, 14), st.integers(1, 7)), max_size=60),
)
@settings(max_examples=40)
def test_edges_eight_ticks_apart_are_all_counted(emulator: str, limit: int, stream: list[tuple[int, int, int]]) -> None:
    rig = GuardRig(emulator)
    rig.guards.load(limit, 1000)
    changes = len(rig.watch.switched)
    for direction, spacing, high in stream:
        assert spacing >= GUARD_PIO.FASTEST_TICKS
        rig.step(direction, spacing, high)
    rig.chip.run(40)
    cut = cut_by(limit, [direction for direction, _, _ in stream])
    wanted = [] if cut < 0 else [(rig.watch.steps[cut][0] + CUT_TICKS, False)]
    assert rig.watch.switched[changes:] == wanted


@pytest.mark.parametrize("emulator", EMULATORS)
def test_homing_does_not_inflate_it(emulator: str) -> None:
    """Without saturation, hundreds of retracting steps would be as many more to extend."""
    rig = GuardRig(emulator)
    rig.guards.load(10, 2)
    rig.steps([BACK] * 300 + [OUT] * 10 + [BACK] * 10 + [OUT] * 10)
    assert rig.watch.on
    rig.steps([OUT])
    assert rig.guards.bits() == TRIP_DEPTH


@pytest.mark.parametrize("emulator", EMULATORS)
def test_it_begins_anew_only_when_it_is_loaded(emulator: str) -> None:
    """A count left over from before is no part of the new one, and words sent later change nothing."""
    rig = GuardRig(emulator)
    rig.guards.load(10, 1)
    rig.steps([OUT] * 7)
    for word in (100, 0):
        rig.chip.blocks[1].put(rig.chip.now, 0, word)
    rig.steps([OUT] * 3)
    assert rig.guards.bits() == ENABLED
    rig.steps([BACK])
    rig.guards.load(5, 1)
    rig.steps([OUT] * 5)
    assert rig.guards.bits() == ENABLED
    rig.steps([OUT])
    assert rig.guards.bits() == TRIP_DEPTH
    rig.guards.load(5, 1)
    assert rig.guards.bits() == ENABLED


@pytest.mark.parametrize("emulator", EMULATORS)
@given(
    limit=st.integers(0, 8),
    words=st.lists(st.tuples(st.integers(0, 260) | st.integers(400, 900), st.sampled_from([OUT, BACK])), max_size=24),
)
@settings(max_examples=25)
def test_a_corrupted_table_is_cut_and_goes_no_further(emulator: str, limit: int, words: list[tuple[int, int]]) -> None:
    """Any words at all, played by the stroke program: at most one edge goes past the limit, and it is the last one."""
    pen = PenRig(emulator, limit, 1000)
    pen.sensor = BOARD.HOME_SEEN
    played = [word for word in words if any(word)]
    pen.play(played)
    pen.run(1000 * (len(words) + 2))
    made = [direction for _, direction in pen.watch.steps]
    cut = cut_by(limit, made)
    if cut < 0:
        assert pen.watch.on
        assert pen.ended() == 1
    else:
        assert cut == len(made) - 1
        assert pen.watch.switched[-1] == (pen.watch.steps[cut][0] + CUT_TICKS, False)
        assert pen.guards.bits() == TRIP_DEPTH
        # A table that was over anyway ends; the driver is off all the same.
        assert pen.ended() == (len(made) == len(played))
