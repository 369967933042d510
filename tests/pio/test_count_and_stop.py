"""The count guard lets DIR rise as often as it was allowed, reloads included; the stop guard cuts within ticks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore.ports import ENABLED, TRIP_COUNT, TRIP_DEPTH, TRIP_STOP
from tests.pio.rigs import BACK, BOARD, EMULATORS, OUT, GuardRig, PenRig, stroke

STOP_CUT_TICKS = 5
"""From the stop line on its pad to the enable on its pad: 40 ns."""
COUNT_CUT_TICKS = (6, 9)
"""From DIR on its pad to the enable on its pad, by where in its loop the guard was."""

blocks = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=5)


@pytest.mark.parametrize("emulator", EMULATORS)
@given(first=st.integers(0, 4), made=st.integers(0, 5), more=blocks, twice=st.booleans())
@settings(max_examples=40)
def test_no_stroke_begins_beyond_what_was_allowed_last(
    emulator: str, first: int, made: int, more: list[tuple[int, int]], twice: bool
) -> None:
    """Each reload at a block boundary is absolute, whatever was left; of several the last one holds."""
    rig = GuardRig(emulator)
    rig.guards.load(100, first)
    left = first
    changes = len(rig.watch.switched)
    for index, (allowed, strokes) in enumerate([(first, made), *more]):
        if index:
            if twice:
                rig.guards.allow(allowed + 3)
            rig.guards.allow(allowed)
            left = allowed
        for _ in range(strokes):
            rig.extend_and_return()
            left -= 1
            assert rig.watch.on == (left >= 0)
            if left < 0:
                cut, _ = rig.watch.switched[-1]
                assert cut - rig.watch.turns[-2][0] in range(COUNT_CUT_TICKS[0], COUNT_CUT_TICKS[1] + 1)
                assert rig.guards.bits() == TRIP_COUNT
                rig.guards.allow(100)
                rig.extend_and_return()
                assert len(rig.watch.switched) == changes + 1
                return
    assert rig.guards.bits() == ENABLED


@pytest.mark.parametrize("emulator", EMULATORS)
def test_without_a_count_none_is_allowed(emulator: str) -> None:
    """X keeps its value through an initialisation: what a guard had left before is not the next one's."""
    rig = GuardRig(emulator)
    rig.guards.load(100, 9)
    rig.chip.run(20)
    rig.guards._count.put = lambda _: None
    rig.guards.load(100, 0)
    assert rig.guards.bits() == ENABLED
    rig.extend_and_return()
    assert rig.guards.bits() == TRIP_COUNT


@pytest.mark.parametrize("emulator", EMULATORS)
def test_it_counts_runs_of_extension_not_steps(emulator: str) -> None:
    rig = GuardRig(emulator)
    rig.guards.load(100, 2)
    rig.steps([OUT] * 5 + [BACK] * 5 + [OUT] * 5 + [BACK] * 5)
    assert rig.guards.bits() == ENABLED
    rig.chip.drive(BOARD.DIR, 1)
    rig.chip.run(COUNT_CUT_TICKS[1] + 1)
    assert not rig.watch.on
    assert rig.guards.bits() == TRIP_COUNT


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_stroke_too_many_makes_no_step(emulator: str) -> None:
    """DIR rises before the first STEP edge, so the driver is off, and the program halts, before there is one."""
    pen = PenRig(emulator, 20, 2)
    for _ in range(3):
        pen.play(stroke(3, 200))
    pen.run(10_000)
    assert len(pen.watch.steps) == 12
    assert pen.ended() == 2
    assert pen.guards.bits() == TRIP_COUNT


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_full_fifo_is_never_waited_for(emulator: str) -> None:
    """A guard that has tripped, or one kept busy by a DIR that stays high, takes no more words."""
    rig = GuardRig(emulator)
    rig.guards.load(100, 1)
    rig.chip.drive(BOARD.DIR, 1)
    rig.chip.run(20)
    for _ in range(10):
        rig.guards.allow(9)
    assert rig.guards.bits() == ENABLED


@pytest.mark.parametrize("emulator", EMULATORS)
@given(wait=st.integers(0, 2500))
@settings(max_examples=25)
def test_stop_cuts_within_ticks_anywhere_in_a_stroke(emulator: str, wait: int) -> None:
    pen = PenRig(emulator, 20, 5)
    pen.play(stroke(6, 200))
    pen.run(wait)
    at = pen.chip.now
    pen.chip.drive(BOARD.STOP, BOARD.STOP_OPEN)
    pen.run(1000)
    assert pen.watch.switched[-1] == (at + STOP_CUT_TICKS, False)
    # An edge within the synchroniser's ticks may still come; the next word finds the driver off.
    assert all(step <= at + STOP_CUT_TICKS + 4 for step, _ in pen.watch.steps)
    assert pen.guards.bits() == TRIP_STOP
    pen.chip.drive(BOARD.STOP, 0)
    pen.run(1000)
    assert pen.guards.bits() == TRIP_STOP
    assert not pen.watch.on


@pytest.mark.parametrize("emulator", EMULATORS)
def test_guards_that_trip_together_all_say_so(emulator: str) -> None:
    rig = GuardRig(emulator)
    rig.guards.load(0, 0)
    rig.chip.drive(BOARD.DIR, 1)
    rig.chip.drive(BOARD.STEP, 1)
    rig.chip.drive(BOARD.STOP, 1)
    rig.chip.run(40)
    assert rig.guards.bits() == TRIP_DEPTH | TRIP_COUNT | TRIP_STOP
    assert [on for _, on in rig.watch.switched[1:]] == [False]


@pytest.mark.parametrize("emulator", EMULATORS)
def test_homing_is_allowed_its_back_off_alone(emulator: str) -> None:
    """Loaded with the back-off and one run of extension: retract at will, once out, back; no second time."""
    rig = GuardRig(emulator)
    rig.guards.load(6, 1)
    rig.steps([BACK] * 30 + [OUT] * 6 + [BACK] * 14)
    assert rig.guards.bits() == ENABLED
    rig.steps([OUT])
    assert rig.guards.bits() == TRIP_COUNT
