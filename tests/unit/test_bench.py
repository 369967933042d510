"""What the benchmarks count is right, and a wrong run has no figures. How fast anything is, no test asks."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from bench import sim
from bench.parts import flash, session
from pencore import record
from pensim.clock import TICKS_PER_S
from pensim.flash import WORST_TIMING
from pensim.oracle import PORT_MISUSE
from pinprick.profiles import load_profile
from tests.portable import still_pen  # tests.portable.still_pen, as the VM calls it
from tests.vm.machine import MicroPythonVM

ZONES = 2
STROKES = 60
"""A block of 50 and one of 10 for each zone."""
FILL = sim.filled(load_profile(sim.PROFILE), ZONES, STROKES)


@pytest.fixture(scope="module")
def visit() -> session.Visit:
    """Return a pen after a tiny session."""
    made = session.Visit()
    made.play(FILL)
    return made


def test_a_session_is_counted(visit: session.Visit) -> None:
    figures = visit.figures
    assert figures.strokes == ZONES * STROKES
    assert figures.presses == ZONES
    assert figures.to_pen_bytes == sum(map(len, visit.lines))
    assert figures.to_pen.total() == len(visit.lines)
    # Every request got its answer; what else came is notifications.
    answered = {name: count for name, count in figures.to_host.items() if name in figures.to_pen}
    assert answered == dict(figures.to_pen)
    assert 0 < figures.telemetry_bytes < figures.to_host_bytes
    assert (figures.erases, figures.programs) == (visit.world.flash.erases, visit.world.flash.programs)
    assert figures.stroking_ms == ZONES * (1000 * STROKES // 22)
    assert 0 < figures.reserving_ms < figures.flash_ms
    assert figures.stroking_ms + figures.reserving_ms < figures.pressed_ms < figures.simulated_ms
    assert figures.simulated_ms <= 1000 * visit.world.clock.now // TICKS_PER_S
    assert record.decode(visit.sealed).made() == ZONES * STROKES


def test_the_host_keeps_its_habits(visit: session.Visit) -> None:
    figures = visit.figures
    seconds = figures.simulated_ms / 1000
    assert figures.to_host["telemetry"] <= 10 * seconds
    assert 1.5 * seconds < figures.to_pen["ping"] <= 2 * seconds
    assert figures.to_pen["status"] == ZONES


def test_equal_sessions_agree_and_so_do_both_ways_of_playing_strokes(visit: session.Visit) -> None:
    again, edges = session.Visit(), session.Visit(edge_by_edge=True)
    again.play(FILL)
    edges.play(FILL)
    assert sim.equal([visit.figures, again.figures, edges.figures]) is visit.figures
    assert visit.sealed == again.sealed == edges.sealed
    assert (visit.world.engine.short_strokes, edges.world.engine.short_strokes) == (ZONES * STROKES, 0)
    other = session.Visit().play(sim.filled(load_profile(sim.PROFILE), ZONES, STROKES - 1))
    with pytest.raises(session.WrongRun, match="differ"):
        sim.equal([visit.figures, other])


def test_a_session_goes_through_with_the_flash_s_worst_times(visit: session.Visit) -> None:
    worst = session.Visit(timing=WORST_TIMING).play(FILL)
    assert worst.strokes == visit.figures.strokes
    assert (worst.erases, worst.programs) == (visit.figures.erases, visit.figures.programs)
    assert worst.reserving_ms > 5 * visit.figures.reserving_ms


def test_a_wrong_run_has_no_figures(visit: session.Visit) -> None:
    made = record.decode(visit.sealed)
    loaded = FILL({"serial": made.serial, "session_id": 1, "ledger_head": bytes(32).hex()})
    visit.inspect(loaded, made)
    wrong = deepcopy(made)
    wrong.zones[1].made -= 1
    wrong.zones[1].forfeited += 1
    with pytest.raises(session.WrongRun, match="zone 1: record"):
        visit.inspect(loaded, wrong)
    shallow = deepcopy(loaded)
    shallow.zones[0].depth_um -= 1
    with pytest.raises(session.WrongRun, match="zone 0"):
        visit.inspect(shallow, made)
    visit.world.oracle.violate(PORT_MISUSE, 0)
    with pytest.raises(session.WrongRun, match="1 violation"):
        visit.inspect(loaded, made)
    visit.world.oracle.violations.clear()


def test_an_append_costs_what_the_flash_did() -> None:
    cost = flash.append_cost(40)
    assert cost.erases > 0
    assert cost.programs > 0
    assert cost.typical_ms == pytest.approx(45 * cost.erases + 0.7 * cost.programs)
    assert cost.worst_ms == pytest.approx(400 * cost.erases + 3 * cost.programs)
    assert cost.worst_ms <= cost.longest_ms
    assert flash.lost_share(50, 50) == 0.5


def test_a_turn_of_the_loop_allocates_next_to_nothing(vm: MicroPythonVM) -> None:
    turns = {name: size for name, (size, _) in vm.call(sim.STILL_PEN, "turn_costs", [8]).items()}
    assert set(turns) == set(still_pen.turn_costs(8))
    for name in ("safe", "armed", "running"):
        assert turns[f"turn, {name}: nothing happens"] == 0
    # The CRC of the stroke's table is a number past 2**30: one object, and its digits.
    assert turns["turn, running: a stroke is over"] <= 32
    assert turns["turn, running: telemetry is due"] > 0


@pytest.mark.slow
def test_the_table_is_whole_and_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sim, "RESULT", tmp_path / "build" / "result.json")
    # Of each figure one measurement, and of few: what it is, nobody asks here.
    for name, few in (("_PAIRS", 1), ("_ROUNDS", 1), ("_APPENDS", 100), ("_TURNS", 50), ("_LINES", 20)):
        monkeypatch.setattr(sim, name, few)
    assert sim.main(["--runs", "1", "--json"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    figures = json.loads((tmp_path / "build" / "result.json").read_text())
    assert figures["session"]["counts"]["strokes"] == 25_000
    assert figures["micropython"]["ram_bytes"]["modules"] > figures["micropython"]["ram_bytes"]["mpy"] / 2
    assert "25,000 strokes" in shown
