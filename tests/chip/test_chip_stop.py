"""Stops on the whole chip: by the byte, the line and the button, wherever a stroke is and whatever the pen does.

The driver's enable and STEP are watched at the pads, the needle by the plant. All begin at the same cycle of one boot.
"""

from collections.abc import Callable
from functools import partial

import pytest

from pencore import faults, wire
from pensim.chip.copies import in_copy
from pensim.chip.pen import STOP
from pensim.clock import TICKS_PER_US
from tests.chip import moves
from tests.chip.bench import ChipBench
from tests.chip.moves import Moves

pytestmark = pytest.mark.chip

BYTE, LINE, SPIKE, BUTTON = "byte", "line", "spike", "button"
CODES = {
    BYTE: {faults.OPERATOR_STOP},
    LINE: {faults.STOP_BUTTON, faults.STOP_GUARD},
    SPIKE: {faults.STOP_BUTTON, faults.STOP_GUARD},
    BUTTON: {faults.STOP_BUTTON, faults.STOP_GUARD},
}
"""What the pen says of it. The loop sees an open line, or that it was open during a write, or what the guard made of
it, whichever it looks at first."""
LINE_US = 1
BYTE_MS = {"moving": 5, "homing": 5, "writing": 400}
"""How long the driver may stay on after a stop byte. A flash write isn't broken off, it is at rest meanwhile."""
NEEDLE_MS = 100
PHASES = ("arming", "homing", "writing", "waiting", "extending", "at depth", "retracting", "between")


def give(pen: ChipBench, how: str) -> None:
    """Ask for a stop."""
    if how == BYTE:
        pen.send(b"\x18")
    elif how == BUTTON:
        pen.stop_button(True)
    else:
        # The line alone: the motor keeps its supply.
        pen.emulator.drive(STOP, 1)
        if how == SPIKE:
            pen.after(0.001, lambda: pen.emulator.drive(STOP, 0))


def arming(pen: ChipBench, _moved: Moves) -> None:
    """Ask for arming; the driver waits for its settings."""
    pen.load_new()
    pen.insist("arm", zone=0)


def homing(pen: ChipBench, moved: Moves) -> None:
    """Be in the middle of homing."""
    arming(pen, moved)
    assert pen.run_until(lambda: len(moved.edges) > 40, 1000)


def writing(pen: ChipBench, _moved: Moves) -> None:
    """Press; strokes are being reserved in flash."""
    pen.release()
    pen.hold(150)
    pen.press()
    assert pen.run_until(lambda: pen.flash.busy, 100, moves.FINE_MS)


REACHED: dict[str, Callable[[ChipBench, Moves], None]] = {
    "arming": arming,
    "homing": homing,
    "writing": writing,
    "waiting": moves.wait_for_home,
    "extending": partial(moves.reach, place=moves.extending),
    "at depth": partial(moves.reach, place=moves.at_depth),
    "retracting": partial(moves.reach, place=moves.retracting),
    "between": partial(moves.reach, place=moves.between),
}


@pytest.fixture
def pens(safe_pen: ChipBench, armed_pen: ChipBench, running_pen: ChipBench) -> dict[str, ChipBench]:
    """Return the pen from which each phase is reached."""
    early = {"arming": safe_pen, "homing": safe_pen, "writing": armed_pen}
    return {phase: early.get(phase, running_pen) for phase in PHASES}


def told(pen: ChipBench) -> set[int]:
    """Return the codes of the faults that the pen has told of."""
    pen.listen()
    return {note.values["code"] for note in pen.notes if note.name == "fault"}


def check_stopped(pen: ChipBench, moved: Moves, phase: str, how: str) -> float:
    """Stop the pen, and look whether it stays so; return how many us the driver was still on."""
    begun = pen.clock.now
    was_on = pen.plant.driver_enabled()
    give(pen, how)
    most_ms = BYTE_MS.get(phase, BYTE_MS["moving"]) if how == BYTE else 1
    pen.run_ms(most_ms)
    off_at = moved.off_at()
    if phase == "arming":
        assert not was_on
        off_at = begun
    else:
        assert was_on
    assert off_at is not None, "still on"
    took_us = (off_at - begun) / TICKS_PER_US
    if how != BYTE:
        assert took_us <= LINE_US
    pen.plant.set_sensor_fault(None)
    pen.run_ms(NEEDLE_MS)
    assert pen.plant.depth_um() <= 0
    pen.hold(20)
    assert told(pen) == told(pen) & CODES[how]
    assert told(pen)
    assert pen.state() == wire.FAULT
    assert not moved.after(off_at), "edges after the driver was off"
    assert moved.off_at() == (off_at if was_on else None), "on again"
    pen.may_coast = True
    pen.check()
    return took_us


# Before the driver has its settings no guard runs: what lasts a microsecond then is seen by nobody, and cuts nothing.
TRIALS = [(phase, how) for phase in PHASES for how in CODES if (phase, how) != ("arming", SPIKE)]


@pytest.mark.parametrize(("phase", "how"), TRIALS)
def test_a_stop_takes_the_driver_off_in_time_and_nothing_moves_after_it(
    pens: dict[str, ChipBench], phase: str, how: str
) -> None:
    def trial() -> None:
        pen = pens[phase]
        moved = Moves(pen)
        REACHED[phase](pen, moved)
        check_stopped(pen, moved, phase, how)

    in_copy(trial)


def check_presses_move_nothing(pen: ChipBench, moved: Moves) -> None:
    """Press anew, and see nothing come of it."""
    edges = len(moved.edges)
    pen.release()
    pen.hold(150)
    pen.press()
    pen.hold(60)
    pen.release()
    pen.hold(20)
    assert len(moved.edges) == edges


@pytest.mark.parametrize("how", [BYTE, LINE, BUTTON])
def test_only_a_clear_and_a_homing_lead_back_from_a_stop(running_pen: ChipBench, how: str) -> None:
    def trial() -> None:
        pen = running_pen
        moved = Moves(pen)
        moves.reach(pen, moved, moves.extending)
        check_stopped(pen, moved, "extending", how)
        pen.release()
        if how == LINE:
            # Hands that move bring all pads in line with the plant, whose button is out.
            give(pen, LINE)
        pen.run_ms(20)
        if how != BYTE:
            assert pen.refusal("clear") == faults.STOP_STILL_PRESSED
            pen.emulator.drive(STOP, 0)
            pen.stop_button(False)
        check_presses_move_nothing(pen, moved)
        assert pen.refusal("arm", zone=0) == faults.STATE_FORBIDS
        pen.recover_from_fault()
        assert pen.state() == wire.LOADED
        check_presses_move_nothing(pen, moved)
        assert moved.off_at() is not None
        homed = len(moved.edges)
        pen.arm(0)
        assert len(moved.edges) > homed
        assert moved.off_at() is None
        needles = pen.needle_strokes()["1.0"]
        assert needles <= pen.status()["made"][0] + pen.status()["forfeited"][0]
        pen.running()
        pen.release()
        pen.hold(400)
        assert pen.needle_strokes()["1.0"] > needles
        pen.check()

    in_copy(trial)
