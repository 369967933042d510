"""The firmware's engine on the emulated blocks: what the contract doesn't ask for, step by step and tick by tick."""

import struct
from itertools import pairwise
from typing import Any

import pytest

from pencore.planner import Plan
from pencore.ports import (
    DRIVER_FAULT,
    DRIVER_RESET,
    ENABLED,
    HOME_WAIT,
    IDLE,
    TRIP_COUNT,
    TRIP_DEPTH,
    TRIP_STOP,
)
from pencore.units import Geometry
from pendevice.tmc2209 import ABSENT, PRESENT, Tmc2209
from pensim.clock import TICKS_PER_MS
from pensim.driver_chip import IHOLD_IRUN, DriverChip
from pensim.faults.mechanics import HomeChatter
from tests.pio.chip import CALL_TICKS
from tests.pio.rigs import BOARD, EMULATORS, STROKE_PIO
from tests.support.driver_port import DriverPort
from tests.support.pio_engine import MODULES, EnginePen

MARGIN, BACKOFF, CAP, STEP_TICKS = 8, 120, 1440, 25_000
Misuse = MODULES.engine.Misuse
SHORT = 30


def table(steps: int = SHORT, ticks: int = 40_000, rest: int = 0) -> bytearray:
    """Return the table of a stroke without ramps, with a rest at its end."""
    words = [ticks << 1 | 1] * steps + [ticks << 1] * (steps - 1) + [(ticks + rest) << 1, 0]
    return bytearray(struct.pack(f"<{len(words)}I", *words))


def period_ms(made: bytearray) -> int:
    """Return the ms of a table, rounded up."""
    ticks: int = sum(word >> 1 for word in struct.unpack(f"<{len(made) // 4}I", made))
    return -(-ticks // TICKS_PER_MS)


def homed(pen: EnginePen, margin: int = MARGIN) -> tuple[int, int, int]:
    """Home; return the evidence."""
    pen.engine.home(CAP, BACKOFF, margin, STEP_TICKS)
    for _ in range(2000):
        evidence = pen.engine.homing()
        if evidence is not None:
            return evidence.found_step, evidence.clear_step, evidence.return_step
        pen.run_ms(1)
    raise AssertionError("homing takes longer than two seconds")


def armed(pen: EnginePen, made: bytearray, limit: int = SHORT, strokes: int = 10) -> None:
    homed(pen)
    pen.engine.load(made)
    pen.engine.arm(limit, strokes)


@pytest.fixture
def pen() -> EnginePen:
    return EnginePen()


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_homed_carriage_stands_at_0_and_every_step_counts(emulator: str) -> None:
    pen = EnginePen(emulator)
    found, clear, back = homed(pen)
    assert (found, pen.plant.position_steps()) == (0, 0)
    assert MARGIN <= clear <= BACKOFF
    directions = [direction for _, direction in pen.watch.steps]
    out = directions.count(1)
    assert out >= clear
    assert len(directions) - out == MARGIN + (out - clear) + back + MARGIN
    assert pen.watch.on


@pytest.mark.parametrize("seed", range(12))
def test_homing_with_a_sensor_that_chatters_finds_its_edge(seed: int) -> None:
    """What it shows again in the steps that were made beyond its edge is no return."""
    pen = EnginePen()
    bench: Any = pen
    HomeChatter(steps=2.0, seed=seed).apply(bench)
    found, clear, back = homed(pen)
    assert found == 0
    assert MARGIN <= clear <= BACKOFF
    assert back > 0
    assert abs(pen.plant.position_steps()) <= 4


def test_homing_from_afar_counts_the_way(pen: EnginePen) -> None:
    pen.sensor = 1 - BOARD.HOME_SEEN
    pen._look()
    pen.engine.home(CAP, BACKOFF, MARGIN, STEP_TICKS)
    while len(pen.watch.steps) < 3 * MARGIN + 2:
        assert pen.engine.homing() is None
        pen.run_ms(1)
    steps = len(pen.watch.steps)
    pen.sensor = None
    pen._look()
    pen.run_ms(1)
    while (evidence := pen.engine.homing()) is None:
        pen.run_ms(1)
    assert steps - 1 <= evidence.found_step <= steps + 2
    assert abs(pen.plant.position_steps()) <= 1


def test_homing_gives_up_at_its_cap(pen: EnginePen) -> None:
    pen.sensor = 1 - BOARD.HOME_SEEN
    pen._look()
    pen.engine.home(21, BACKOFF, MARGIN, STEP_TICKS)
    pen.run_ms(1)
    for _ in range(100):
        pen.engine.poll()
        pen.run_ms(1)
    assert [direction for _, direction in pen.watch.steps] == [0] * 21
    assert (pen.engine.homing().found_step, pen.engine.poll()) == (-1, IDLE | ENABLED)


def test_homing_with_the_sensor_stuck_at_home_extends_no_more_than_the_back_off(pen: EnginePen) -> None:
    pen.sensor = BOARD.HOME_SEEN
    found, clear, back = homed(pen)
    assert (found, clear, back) == (0, -1, -1)
    assert [direction for _, direction in pen.watch.steps].count(1) == BACKOFF
    assert pen.engine.poll() == IDLE | ENABLED


def test_homing_without_a_margin(pen: EnginePen) -> None:
    found, clear, back = homed(pen, 0)
    assert found == 0
    assert clear > 0
    assert back > 0


def test_stop_ends_a_homing(pen: EnginePen) -> None:
    pen.engine.home(CAP, BACKOFF, MARGIN, STEP_TICKS)
    pen.run_ms(1)
    pen.chip.drive(BOARD.STOP, BOARD.STOP_OPEN)
    pen.run_ms(1)
    assert pen.engine.poll() == IDLE | TRIP_STOP
    assert pen.engine.homing() is not None
    steps = len(pen.watch.steps)
    pen.run_ms(20)
    assert len(pen.watch.steps) == steps


def test_homing_with_the_stop_line_open_moves_nothing(pen: EnginePen) -> None:
    pen.chip.drive(BOARD.STOP, BOARD.STOP_OPEN)
    assert homed(pen) == (-1, -1, -1)
    assert pen.watch.steps == []


def test_credits_go_on_and_on_without_a_gap_in_count(pen: EnginePen) -> None:
    """Credited whenever there is room, at every phase of the stroke before: each plays once, in order, and whole."""
    made = table(SHORT, 2_000, 50_000)
    armed(pen, made, SHORT, 60)
    pen.watch.forget()
    given = taken = 0
    for turn in range(4000):
        if given < 60 and pen.engine.queued() < 2:
            pen.engine.credit()
            given += 1
        evidence = pen.engine.take()
        if evidence is not None:
            assert (evidence.index, evidence.net_steps, evidence.flags) == (taken, 0, 0)
            taken += 1
        if taken == 60:
            break
        pen.chip.run(turn * 7 % 13_001)
    assert taken == 60
    directions = [direction for _, direction in pen.watch.steps]
    assert directions == ([1] * SHORT + [0] * SHORT) * 60
    assert pen.engine.poll() == IDLE | ENABLED


def test_a_withdrawal_at_any_moment_leaves_whole_strokes() -> None:
    """Whenever it comes: what was begun is finished, what was not is never made, and the next credit works."""
    made = table(6, 20_000, 200_000)
    period = sum(word >> 1 for word in struct.unpack(f"<{len(made) // 4}I", made))
    outcomes = set()
    for moment in range(0, period + 60_000, 17_341):
        pen = EnginePen()
        armed(pen, made, 6, 10)
        pen.watch.forget()
        pen.sensor = BOARD.HOME_SEEN
        pen._look()
        pen.engine.credit()
        pen.engine.credit()
        pen.chip.run(moment)
        back = pen.engine.withdraw()
        outcomes.add(back)
        pen.chip.run(2 * period + 10_000)
        assert pen.engine.queued() == 0
        strokes = 2 - back
        pen.engine.credit()
        pen.chip.run(period + 10_000)
        assert pen.engine.queued() == 0
        strokes += 1
        directions = [direction for _, direction in pen.watch.steps]
        assert directions == ([1] * 6 + [0] * 6) * strokes, moment
        assert min(later - at for (at, _), (later, _) in pairwise(pen.watch.steps)) >= 20_000
        assert pen.engine.poll() == IDLE | ENABLED
    assert outcomes == {0, 1}


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("part", [0.05, 0.45, 0.55, 0.95])
def test_a_withdrawal_in_a_rest_leaves_the_rest_as_it_is(emulator: str, part: float) -> None:
    """In the half with STEP high and in the one with STEP low, at once: a stroke credited anew follows as any other."""
    rest = 60 * TICKS_PER_MS
    made = table(6, 20_000, rest)
    pen = EnginePen(emulator)
    armed(pen, made, 6, 10)
    pen.watch.forget()
    pen.sensor = BOARD.HOME_SEEN
    pen._look()
    pen.engine.credit()
    pen.engine.credit()
    while len(pen.watch.steps) < 12:
        pen.chip.run(20_000)
    pen.chip.run(int(part * rest))
    began = pen.chip.now
    assert len(pen.watch.falls) == (11 if part < 0.5 else 12)
    assert pen.engine.withdraw() == 1
    took = pen.chip.now - began
    assert took < 50 * CALL_TICKS
    pen.engine.credit()
    pen.chip.run(2 * rest + 300_000)
    (last, _), (first, _) = pen.watch.steps[11:13]
    assert 0 <= first - last - rest - 20_000 - STROKE_PIO.GAP_TICKS < took
    assert len(pen.watch.steps) == 24
    assert pen.engine.queued() == 0


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("high", [0, 1])
def test_the_fall_of_a_step_that_was_halted_is_no_step(emulator: str, high: int) -> None:
    """Homing after a stroke that ended with STEP low, or high: as many samples as edges."""
    pen = EnginePen(emulator)
    armed(pen, table())
    pen.watch.forget()
    pen.engine.credit()
    while pen.chip.level(BOARD.STEP) != high or len(pen.watch.steps) < 5:
        pen.chip.run(1_000)
    pen.engine.disarm()
    pen.run_ms(100)
    assert pen.chip.level(BOARD.STEP) == high
    pen.watch.forget()
    homed(pen)
    assert pen.engine._player.sampled() == len(pen.watch.steps)


def test_a_stroke_that_waits_for_home_is_told_of_and_can_be_withdrawn(pen: EnginePen) -> None:
    armed(pen, table())
    pen.watch.forget()
    pen.sensor = 1 - BOARD.HOME_SEEN
    pen._look()
    pen.engine.credit()
    pen.run_ms(1)
    assert pen.engine.poll() == ENABLED
    pen.run_ms(49)
    assert pen.engine.poll() == ENABLED
    pen.run_ms(3)
    assert pen.engine.poll() == ENABLED | HOME_WAIT
    assert pen.engine.withdraw() == 1
    pen.sensor = BOARD.HOME_SEEN
    pen.run_ms(30)
    assert pen.watch.steps == []
    pen.engine.credit()
    pen.run_ms(period_ms(table()) + 1)
    assert len(pen.watch.steps) == 2 * SHORT


def test_a_stroke_cut_by_the_depth_guard_tells_how_far_it_came(pen: EnginePen) -> None:
    armed(pen, table(), SHORT - 10)
    pen.engine.credit()
    pen.engine.credit()
    pen.run_ms(period_ms(table()))
    assert pen.engine.poll() == IDLE | TRIP_DEPTH
    evidence = pen.engine.take()
    assert (evidence.index, evidence.flags) == (0, TRIP_DEPTH)
    assert evidence.net_steps == SHORT - 10 + 1
    assert pen.engine.take() is None


def test_a_stroke_not_allowed_for_makes_no_edge(pen: EnginePen) -> None:
    made = table()
    armed(pen, made, SHORT, 1)
    pen.watch.forget()
    pen.engine.credit()
    pen.engine.credit()
    pen.run_ms(2 * period_ms(made))
    assert len(pen.watch.steps) == 2 * SHORT
    assert pen.engine.poll() == IDLE | TRIP_COUNT
    first, second = pen.engine.take(), pen.engine.take()
    assert (first.index, first.flags, first.net_steps) == (0, 0, 0)
    assert (second.index, second.flags, second.net_steps) == (1, TRIP_COUNT, 0)
    pen.engine.credit()
    assert pen.engine.queued() == 0


def test_stop_while_nothing_moves_forgets_what_waits(pen: EnginePen) -> None:
    armed(pen, table())
    pen.chip.drive(BOARD.STOP, BOARD.STOP_OPEN)
    pen.run_ms(1)
    assert pen.engine.poll() == IDLE | TRIP_STOP
    pen.engine.credit()
    assert pen.engine.queued() == 0


def test_a_hung_cpu_leaves_what_was_credited(pen: EnginePen) -> None:
    made = table()
    armed(pen, made)
    pen.watch.forget()
    pen.engine.credit()
    pen.engine.credit()
    pen.run_ms(100)
    assert len(pen.watch.steps) == 4 * SHORT
    assert abs(pen.plant.position_steps()) <= 1


def test_what_the_driver_says_is_among_the_bits_and_it_is_asked_at_each_block(pen: EnginePen) -> None:
    armed(pen, table())
    assert pen.driver.forgiven == 1
    asked = pen.driver.looks
    pen.engine.allow(3)
    assert pen.driver.looks == asked + 1
    pen.driver.said = DRIVER_RESET
    assert pen.engine.poll() == IDLE | ENABLED | DRIVER_RESET


SETTINGS = 7


def settling(pen: EnginePen, port: DriverPort, written: int) -> int:
    """Begin to home, and let the driver's line get on until the carriage is driven; return how many ms that took.

    Not before `written` settings have reached the chip may it be driven, let alone moved.
    """
    pen.watch.forget()
    pen.engine.home(CAP, BACKOFF, MARGIN, STEP_TICKS)
    for ms in range(1000):
        # Looked at first: what was done in this ms was allowed by what the chip had before it.
        arrived = len(port.driver.written)
        pen.driver.turn(port.now_ns // 1_000_000)
        port.now_ns += 1_000_000
        pen.engine.turn()
        pen.run_ms(1)
        if pen.watch.on or pen.watch.steps:
            assert arrived == written
            return ms
    return -1


def test_not_driven_and_not_moved_before_the_driver_has_its_settings() -> None:
    port = DriverPort(DriverChip())
    pen = EnginePen(driver=Tmc2209(port, 20, 8))
    for homing in (1, 2):
        # The second time after a dip of the motor's supply, which has left the chip with its own defaults.
        assert settling(pen, port, homing * SETTINGS) > SETTINGS
        assert pen.driver.presence == PRESENT
        while pen.engine.homing() is None:
            pen.run_ms(1)
        assert pen.engine.homing().return_step > 0
        assert pen.engine.poll() == IDLE | ENABLED
        port.driver.dip()


def test_a_plain_driver_is_waited_for_until_it_is_known_to_be_none() -> None:
    port = DriverPort(DriverChip())
    port.driver.present = False
    pen = EnginePen(driver=Tmc2209(port, 20, 8))
    assert 3 * 5 <= settling(pen, port, 0) < 40
    assert pen.driver.presence == ABSENT


def test_a_driver_that_falls_silent_among_its_settings_never_moves() -> None:
    class Falling(DriverPort):
        def write(self, data: bytearray | memoryview) -> int:
            self.driver.present = len(self.driver.written) < 3
            return super().write(data)

    port = Falling(DriverChip())
    pen = EnginePen(driver=Tmc2209(port, 20, 8))
    assert settling(pen, port, SETTINGS) == -1
    assert pen.engine.poll() == IDLE | DRIVER_FAULT
    assert pen.engine.homing().found_step == -1


def test_a_setting_that_never_arrived_never_moves() -> None:
    port = DriverPort(DriverChip())
    port.spoilt = IHOLD_IRUN
    pen = EnginePen(driver=Tmc2209(port, 20, 8))
    assert settling(pen, port, SETTINGS) == -1
    assert pen.engine.poll() == IDLE | DRIVER_RESET


def test_settings_that_nobody_sends_are_not_waited_for_without_end(pen: EnginePen) -> None:
    pen.driver.is_ready = False
    pen.engine.home(CAP, BACKOFF, MARGIN, STEP_TICKS)
    pen.run_ms(MODULES.engine.SETTLE_MS - 1)
    assert (pen.engine.homing(), pen.engine.poll()) == (None, 0)
    pen.run_ms(2)
    assert pen.engine.homing().found_step == -1
    assert pen.engine.poll() == IDLE | DRIVER_FAULT
    assert pen.watch.steps == []
    pen.driver.is_ready = True
    assert homed(pen)[0] == 0
    assert pen.engine.poll() == IDLE | ENABLED


def test_a_stop_while_the_settings_are_waited_for_leaves_nothing_to_come(pen: EnginePen) -> None:
    pen.driver.is_ready = False
    pen.engine.home(CAP, BACKOFF, MARGIN, STEP_TICKS)
    pen.engine.disarm()
    pen.driver.is_ready = True
    pen.run_ms(20)
    assert (pen.engine.homing(), pen.engine.poll(), pen.watch.steps) == (None, IDLE, [])


def test_old_trips_are_forgotten_while_the_settings_are_waited_for(pen: EnginePen) -> None:
    armed(pen, table())
    pen.chip.drive(BOARD.STOP, BOARD.STOP_OPEN)
    pen.run_ms(1)
    assert pen.engine.poll() == IDLE | TRIP_STOP
    pen.chip.drive(BOARD.STOP, 0)
    pen.driver.is_ready = False
    pen.engine.home(CAP, BACKOFF, MARGIN, STEP_TICKS)
    assert pen.engine.poll() == 0
    assert not pen.watch.on
    with pytest.raises(Misuse, match="arm"):
        pen.engine.arm(SHORT, 1)


def test_a_driver_without_its_settings_is_not_armed(pen: EnginePen) -> None:
    homed(pen)
    pen.engine.disarm()
    pen.driver.is_ready = False
    with pytest.raises(Misuse, match="arm"):
        pen.engine.arm(SHORT, 1)
    assert not pen.watch.on


def test_a_plan_is_taken_as_it_lies(pen: EnginePen) -> None:
    plan = Plan(400, 20, Geometry())
    while not plan.advance(1000):
        pass
    pen.engine.load(plan.table)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        bytes(4),
        b"\x01\x00\x00\x00" * 3,
        b"\x01\x00\x00\x00" + bytes(8),
        b"\x01\x00\x00\x00" * 2 + bytes(5),
        b"\x01\x00\x00\x00" * 5000 + bytes(4),
    ],
)
def test_what_is_no_table_is_refused(pen: EnginePen, bad: bytes) -> None:
    with pytest.raises(Misuse):
        pen.engine.load(bad)


def test_what_is_out_of_order_is_refused(pen: EnginePen) -> None:
    engine = pen.engine
    with pytest.raises(Misuse):
        engine.credit()
    with pytest.raises(Misuse):
        engine.arm(0, 1)
    armed(pen, table())
    engine.credit()
    with pytest.raises(Misuse):
        engine.load(table())
    with pytest.raises(Misuse):
        engine.arm(10, 1)
    with pytest.raises(Misuse):
        engine.allow(1)
    engine.credit()
    with pytest.raises(Misuse):
        engine.credit()
    engine.disarm()
    with pytest.raises(Misuse):
        engine.credit()
