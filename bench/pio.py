"""Measures the PIO programs on two emulated PIOs, in cycles of 125 MHz: cuts, rates, gaps, room. Host only.

    python bench/pio.py [--json]

Every figure is read off the pads of a chip that runs the pen's own code, on two independent emulators, which must
agree: what differs is an error, not a spread. The machine that this runs on has no part in them. `--json` also
writes build/bench-pio.json.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

# As a script this file sees only its own folder; the emulated chip is found from the root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.parts.command import carry_out
from bench.parts.machine import machine
from pencore.limits import cruise_ticks
from pencore.units import TICK_HZ, Geometry
from tests.pio.rigs import BACK, BOARD, EMULATORS, GUARD_PIO, OUT, STROKE_PIO, GuardRig, PenRig, stroke

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "build" / "bench-pio.json"
MEMORY = 32
PHASES = 12
"""A cut is measured from each of as many ticks, one after the other: more than any guard's loop takes."""
STEPS = 20
LOOK_STEPS = 40
CHIPS = {"rp2040py": "rp2040py", "pioemu": "rp2040-pio-emulator"}

Row = tuple[str, str, str]
Range = tuple[int, int]


class EmulatorsDiffer(Exception):
    """Two emulators give two figures."""


# --- what is measured ------------------------------------------------------------------------------------------------
def ranged(values: Iterable[int]) -> Range:
    """Return the least and the most."""
    found = list(values)
    return min(found), max(found)


def cut_ticks(emulator: str, limits: tuple[int, int], pin: int, prepare: Callable[[GuardRig], None]) -> Range:
    """Return the ticks from `pin` rising on its pad to the driver's enable being off, over the guards' phases."""
    found = []
    for phase in range(PHASES):
        rig = GuardRig(emulator)
        rig.guards.load(*limits)
        prepare(rig)
        rig.chip.run(100 + phase)
        began = rig.chip.now
        rig.chip.drive(pin, 1)
        rig.chip.run(100)
        found.append(rig.watch.switched[-1][0] - began)
    return ranged(found)


def counted_at(emulator: str, spacing: int, direction: int) -> bool:
    """Return whether the depth guard counts every STEP edge `spacing` ticks apart, one tick high."""
    rig = GuardRig(emulator)
    rig.guards.load(LOOK_STEPS, 9)
    first = OUT if direction == BACK else BACK
    rig.steps([first] * LOOK_STEPS)
    rig.chip.drive(BOARD.DIR, direction)
    rig.chip.run(20)
    for _ in range(LOOK_STEPS):
        rig.chip.drive(BOARD.STEP, 1)
        rig.chip.run(1)
        rig.chip.drive(BOARD.STEP, 0)
        rig.chip.run(spacing - 1)
    rig.chip.run(40)
    # What is left to extend tells how many were counted: all of it after retracting, none after extending.
    rig.steps([OUT] * (LOOK_STEPS if direction == BACK else 0))
    before = rig.watch.on
    rig.steps([OUT])
    return before and not rig.watch.on


def play(emulator: str, delay: int, strokes: int = 2) -> PenRig:
    """Return a pen that has played equal strokes one after the other."""
    pen = PenRig(emulator, STEPS, strokes)
    for _ in range(strokes):
        pen.play(stroke(STEPS, delay))
    pen.run(strokes * (2 * STEPS + 2) * max(delay, 2 * STROKE_PIO.SHORTEST_TICKS))
    return pen


def last_edge_after_stop(emulator: str) -> int:
    """Return the most ticks after the stop line opened at which a STEP edge still came."""
    delay = 200
    latest = 0
    for phase in range(0, 2 * delay, 5):
        pen = PenRig(emulator, STEPS, 1)
        pen.play(stroke(STEPS, delay))
        pen.run(1000 + phase)
        began = pen.chip.now
        pen.chip.drive(BOARD.STOP, BOARD.STOP_OPEN)
        pen.run(1000)
        latest = max([latest, *(at - began for at, _ in pen.watch.steps)])
    return latest


def shortest_pulses(pen: PenRig) -> tuple[int, int, int]:
    """Return the shortest high and low of STEP, and the shortest time from DIR to the edge after it."""
    rises = [at for at, _ in pen.watch.steps]
    highs = [fall - at for at, fall in zip(rises, pen.watch.falls, strict=True)]
    lows = [at - fall for at, fall in zip(rises[1:], pen.watch.falls, strict=False)]
    turns = [min(at - turn for at in rises if at >= turn) for turn, _ in pen.watch.turns if turn <= rises[-1]]
    return min(highs), min(lows), min(turns)


def turned_out(rig: GuardRig) -> None:
    """Turn DIR to extending, long before the STEP edge that the time is taken from."""
    rig.chip.drive(BOARD.DIR, OUT)


def at_rest(_: GuardRig) -> None:
    """Leave DIR retracting."""


def measured(emulator: str) -> dict[str, Any]:
    """Return the figures of one emulator, in ticks."""
    fastest = play(emulator, STROKE_PIO.SHORTEST_TICKS)
    nothing = play(emulator, 0)
    chained = play(emulator, 300)
    spacing = next(
        ticks for ticks in range(2, 40) if counted_at(emulator, ticks, OUT) and counted_at(emulator, ticks, BACK)
    )
    intervals = fastest.watch.intervals()
    high, low, turn = map(min, zip(shortest_pulses(fastest), shortest_pulses(nothing), strict=True))
    return {
        "depth_cut": cut_ticks(emulator, (0, 9), BOARD.STEP, turned_out),
        "count_cut": cut_ticks(emulator, (9, 0), BOARD.DIR, at_rest),
        "stop_cut": cut_ticks(emulator, (9, 9), BOARD.STOP, at_rest),
        "stop_to_last_edge": last_edge_after_stop(emulator),
        "shortest_interval": min(intervals),
        "interval_of_no_delay": min(nothing.watch.intervals()),
        "counted_interval": spacing,
        "gap": chained.watch.intervals()[2 * STEPS - 1] - 300,
        "high": high,
        "low": low,
        "turn": turn,
    }


def measure() -> dict[str, Any]:
    """Return all figures; EmulatorsDiffer unless both emulators give the same."""
    begun = time.perf_counter()
    found = {emulator: measured(emulator) for emulator in EMULATORS}
    one, other = found.values()
    if one != other:
        raise EmulatorsDiffer(f"{found}")
    programs = {
        "block 0": {program.name: len(program.words) for program in (STROKE_PIO.stroke, STROKE_PIO.sample)},
        "block 1": {program.name: len(program.words) for program in (GUARD_PIO.depth, GUARD_PIO.count, GUARD_PIO.stop)},
    }
    return {
        "machine": machine(),
        "emulators": {name: version(package) for name, package in CHIPS.items()},
        "ticks": one,
        "instructions": programs,
        "seconds": time.perf_counter() - begun,
    }


# --- what is shown ---------------------------------------------------------------------------------------------------
def _ns(ticks: int) -> str:
    return f"{ticks * 1_000_000_000 // TICK_HZ:,} ns"


def _range(values: Range) -> str:
    return f"{values[0]}" if values[0] == values[1] else f"{values[0]} to {values[1]}"


def cut_rows(ticks: dict[str, Any]) -> Iterator[Row]:
    """Yield how long a guard takes, pad to pad."""
    yield "depth: the STEP edge too many", _range(ticks["depth_cut"]), _ns(ticks["depth_cut"][1])
    note = f"{_ns(ticks['count_cut'][1])}; the STEP edge comes {ticks['turn']} after DIR, or not at all"
    yield "count: DIR rising once too often", _range(ticks["count_cut"]), note
    yield "stop: the line opening", _range(ticks["stop_cut"]), _ns(ticks["stop_cut"][1])
    yield "stop to the last STEP edge, at most", f"{ticks['stop_to_last_edge']}", "one on its way; the driver is off"


def rate_rows(ticks: dict[str, Any]) -> Iterator[Row]:
    """Yield how fast steps can be."""
    played, counted = ticks["shortest_interval"], ticks["counted_interval"]
    needed = cruise_ticks(Geometry())
    note = f"{TICK_HZ // played:,} steps/s; the reference pen asks for {TICK_HZ // needed:,}"
    yield "shortest interval played to the tick", f"{played}", note
    yield (
        "interval of a delay of 0",
        f"{ticks['interval_of_no_delay']}",
        "no table makes STEP faster than the one above",
    )
    yield "shortest interval the guards count", f"{counted}", f"{TICK_HZ // counted:,} steps/s"
    yield "STEP high, at least", f"{ticks['high']}", _ns(ticks["high"])
    yield "STEP low, at least", f"{ticks['low']}", _ns(ticks["low"])
    yield "DIR before STEP, at least", f"{ticks['turn']}", _ns(ticks["turn"])
    yield "gap between two queued strokes", f"{ticks['gap']}", f"{_ns(ticks['gap'])} after the last delay's end"


def room_rows(instructions: dict[str, dict[str, int]]) -> Iterator[Row]:
    """Yield what each block holds."""
    for block, programs in instructions.items():
        parts = ", ".join(f"{name} {count}" for name, count in programs.items())
        yield block, f"{sum(programs.values())}", f"of {MEMORY}: {parts}"


def table(figures: dict[str, Any]) -> str:
    """Return the figures for people, at most 100 columns wide."""
    ticks = figures["ticks"]
    names = " and ".join(f"{name} {release}" for name, release in figures["emulators"].items())
    lines = [
        f"The pen's programs on {names}: the same figures on both.",
        f"Pad to pad, two ticks of input synchroniser included; 1 tick is 8 ns. {figures['seconds']:.0f} s of this",
        "computer's time, which has no part in them.",
    ]
    sections: list[tuple[str, Iterator[Row]]] = [
        ("From cause to the driver's enable off, in ticks", cut_rows(ticks)),
        ("Steps, in ticks", rate_rows(ticks)),
        ("Instructions", room_rows(figures["instructions"])),
    ]
    for title, rows in sections:
        lines += ["", title]
        lines += [f"  {name:<39}{value:>9}  {note}".rstrip() for name, value, note in rows]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, show, and write the result if asked to."""
    return carry_out(arguments, "the PIO programs", None, lambda _: measure(), table, RESULT)


if __name__ == "__main__":
    sys.exit(main())
