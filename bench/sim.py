"""Measures the virtual pen: how fast a session goes, what it takes of wire, flash and memory. Host only.

    python bench/sim.py [--runs 5] [--json]

Each session is checked as it is measured: needle and record agree zone by zone, the oracle saw no violation, equal
sessions have equal counts. Ratios are of things measured side by side in this one run. `--json` also writes
build/bench-sim.json. Nothing here fails for being slow.
"""

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# As a script this file sees only its own folder; its parts and the tests' VM are found from the root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.parts import flash, session, vm
from bench.parts.command import carry_out
from bench.parts.machine import machine
from pencore.profile import Profile
from pensim.flash import WORST_TIMING
from pinprick.profiles import ProfileFile, load_profile, to_core
from tests.vm.machine import CPython, MicroPythonVM

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "examples" / "full-face-session-2.toml"
RESULT = ROOT / "build" / "bench-sim.json"
GOAL = 1000
"""Simulated seconds per second of the wall's clock."""
STILL_PEN = "tests.portable.still_pen"
SHORT_ZONES = 2
SHORT_STROKES = 150
_PAIRS = 3
_APPENDS = 2000
_TURNS = 2000
_LINES = 500
_ROUNDS = 5

Row = tuple[str, str, str]


# --- what is measured ------------------------------------------------------------------------------------------------
def filled(source: ProfileFile, zones: int | None = None, strokes: int | None = None) -> session.Fill:
    """Return what fills `source` in for a pen; only its first `zones`, of `strokes` each at most, where given."""

    def fill(greeting: dict[str, Any]) -> Profile:
        head = bytes.fromhex(greeting["ledger_head"])
        made = to_core(source, greeting["serial"], greeting["session_id"], head, session.ISSUED_AT)
        made.zones = made.zones[:zones]
        for zone in made.zones:
            zone.strokes = min(zone.strokes, strokes or zone.strokes)
        made.strokes = min(made.strokes, sum(zone.strokes for zone in made.zones))
        return made

    return fill


def equal(runs: list[session.Figures]) -> session.Figures:
    """Return the first of `runs`; WrongRun unless all have the same counts."""
    for run in runs[1:]:
        if run.counts() != runs[0].counts():
            raise session.WrongRun(f"equal sessions differ: {runs[0].counts()}, {run.counts()}")
    return runs[0]


def spread(values: list[float]) -> dict[str, float]:
    """Return median, least and most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def measure_sessions(source: ProfileFile, runs: int) -> dict[str, Any]:
    """Return what whole sessions took, `runs` of them, and one more with the flash's worst times."""
    made = [session.Visit().play(filled(source)) for _ in range(runs)]
    worst = session.Visit(timing=WORST_TIMING).play(filled(source))
    one = equal(made)
    return {
        "runs": runs,
        "zones": len(source.zones),
        "counts": one.counts(),
        "worst_flash": {name: worst.counts()[name] for name in ("flash_ms", "pressed_ms", "reserving_ms")},
        "wall_s": spread([run.wall_s for run in made]),
        "cpu_s": spread([run.cpu_s for run in made]),
        "simulated_per_wall": spread([run.simulated_ms / 1000 / run.wall_s for run in made]),
        "simulated_per_cpu": spread([run.simulated_ms / 1000 / run.cpu_s for run in made]),
    }


def measure_edges(source: ProfileFile) -> dict[str, Any]:
    """Return what short sessions took, alternately with strokes known beforehand and played edge by edge."""
    fill = filled(source, SHORT_ZONES, SHORT_STROKES)
    known: list[tuple[session.Figures, bytes]] = []
    edges: list[tuple[session.Figures, bytes]] = []
    for _ in range(_PAIRS):
        for way, runs in ((False, known), (True, edges)):
            visit = session.Visit(edge_by_edge=way)
            runs.append((visit.play(fill), visit.sealed))
    one = equal([figures for figures, _ in known + edges])
    if len({sealed for _, sealed in known + edges}) != 1:
        raise session.WrongRun("the record depends on how strokes are played")
    known_s, edges_s = ([figures.wall_s for figures, _ in runs] for runs in (known, edges))
    return {
        "strokes": one.strokes,
        "known_wall_s": spread(known_s),
        "edge_by_edge_wall_s": spread(edges_s),
        "ratio": statistics.median(edges_s) / statistics.median(known_s),
    }


def measure_flash(counts: dict[str, Any]) -> dict[str, Any]:
    """Return what an append costs, and what a session of `counts` would take if each stroke had one of its own."""
    cost = flash.append_cost(_APPENDS)
    period_ms = counts["stroking_ms"] / counts["strokes"]
    return {
        **vars(cost),
        "every_stroke_erases": round(cost.erases * counts["strokes"]),
        "every_stroke_programs": round(cost.programs * counts["strokes"]),
        "every_stroke_lost_typical": flash.lost_share(cost.typical_ms, period_ms),
        "every_stroke_lost_worst": flash.lost_share(cost.worst_ms, period_ms),
    }


def measure_vm() -> dict[str, Any]:
    """Return memory in the MicroPython VM, and turns and lines in it and in this Python by turns: bytes, ns."""
    rounds: dict[str, list[dict[str, tuple[int, int]]]] = {"micropython": [], "cpython": []}
    with MicroPythonVM() as micropython:
        for _ in range(_ROUNDS):
            for python in (micropython, CPython()):
                turns = python.call(STILL_PEN, "turn_costs", [_TURNS])
                rounds[python.name].append({**turns, **python.call(STILL_PEN, "line_costs", [_LINES])})
    costs = {
        name: {
            "allocated_bytes": rounds["micropython"][0][name][0],
            "micropython_ns": statistics.median(made[name][1] for made in rounds["micropython"]),
            "cpython_ns": statistics.median(made[name][1] for made in rounds["cpython"]),
        }
        for name in rounds["cpython"][0]
    }
    return {"vm": vm.name_and_version(), "ram_bytes": vm.ram_bytes(), "costs": costs}


def measure(runs: int) -> dict[str, Any]:
    """Return all figures."""
    here = machine()
    source = load_profile(PROFILE)
    sessions = measure_sessions(source, runs)
    return {
        "machine": here,
        "profile": PROFILE.name,
        "goal": GOAL,
        "session": sessions,
        "edges": measure_edges(source),
        "flash": measure_flash(sessions["counts"]),
        "micropython": measure_vm(),
    }


# --- what is shown ---------------------------------------------------------------------------------------------------
def _n(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _range(values: dict[str, float], digits: int = 0) -> str:
    return f"{_n(values['least'], digits)} to {_n(values['most'], digits)}"


def speed_rows(figures: dict[str, Any]) -> Iterator[Row]:
    """Yield how fast a session goes."""
    made, edges = figures["session"], figures["edges"]
    wall, cpu = made["simulated_per_wall"], made["simulated_per_cpu"]
    simulated_s = made["counts"]["simulated_ms"] / 1000
    yield "simulated s per wall s", _n(wall["median"]), f"{_range(wall)}; goal {_n(GOAL)} or better"
    yield "simulated s per CPU s", _n(cpu["median"]), _range(cpu)
    yield "wall s for a session", _n(made["wall_s"]["median"], 2), f"of {_n(simulated_s, 1)} simulated s"
    yield "turns of the pen's loop", _n(made["counts"]["turns"]), f"for {_n(made['counts']['strokes'])} strokes"
    known, played = edges["known_wall_s"]["median"], edges["edge_by_edge_wall_s"]["median"]
    note = f"{edges['strokes']} strokes in {known:.3f} s and {played:.2f} s"
    yield "strokes known beforehand : edge by edge", f"{edges['ratio']:.0f} : 1", note


def line_rows(micropython: dict[str, Any]) -> Iterator[Row]:
    """Yield lines per second in both Pythons."""
    for name, cost in micropython["costs"].items():
        if not name.startswith("turn"):
            here, there = 1e9 / cost["cpython_ns"], 1e9 / cost["micropython_ns"]
            note = f"{_n(there)} in the VM, {here / there:.0f} : 1; {_n(cost['allocated_bytes'])} bytes"
            yield name, _n(here), note


def wire_rows(counts: dict[str, Any]) -> Iterator[Row]:
    """Yield what goes over the wire in a session."""
    seconds = counts["simulated_ms"] / 1000
    told = counts["telemetry_bytes"]
    yield "to the pen", _n(counts["to_pen_bytes"]), f"{_n(counts['to_pen'].total())} lines"
    yield "to the host", _n(counts["to_host_bytes"]), f"{_n(counts['to_host'].total())} lines"
    yield "of it telemetry", _n(told), f"{_n(counts['to_host']['telemetry'])} lines"
    both = counts["to_pen_bytes"] + counts["to_host_bytes"]
    yield "both, per simulated second", _n(both / seconds), ""


def flash_rows(figures: dict[str, Any]) -> Iterator[Row]:
    """Yield what a session does to the flash, and what it would do if each stroke were reserved by itself."""
    counts, worst, model = figures["session"]["counts"], figures["session"]["worst_flash"], figures["flash"]
    times = f"{_n(counts['flash_ms'] / 1000, 1)} s busy, {_n(worst['flash_ms'] / 1000, 1)} s at worst"
    yield "erases, reserving blocks", _n(counts["erases"]), f"{counts['presses']} presses; {times}"
    yield "programs of 256 bytes", _n(counts["programs"]), ""
    lost, lost_worst = (run["reserving_ms"] / run["pressed_ms"] for run in (counts, worst))
    note = f"{_percent(lost_worst)} with worst times"
    yield "trigger-on time lost to reserving", _percent(lost), note
    yield "erases for one append, the mean", _n(model["erases"], 2), f"and {_n(model['programs'], 1)} programs"
    note = f"{_n(model['worst_ms'])} with worst times, the longest {_n(model['longest_ms'])}"
    yield "ms for one append, the mean", _n(model["typical_ms"]), note
    yield "erases, were each stroke reserved", _n(model["every_stroke_erases"]), "by that mean"
    note = f"{_percent(model['every_stroke_lost_worst'])} with worst times"
    yield "trigger-on time then lost", _percent(model["every_stroke_lost_typical"]), note


def memory_rows(micropython: dict[str, Any]) -> Iterator[Row]:
    """Yield what pencore takes of a MicroPython's heap."""
    ram = micropython["ram_bytes"]
    share = _percent(ram["modules"] / vm.PEN_HEAP_BYTES)
    note = f"{share} of {_n(vm.PEN_HEAP_BYTES)}; {_n(ram['source'])} from source"
    yield "all modules, imported as .mpy", _n(ram["modules"]), note
    yield "the .mpy files themselves", _n(ram["mpy"]), "in flash"
    for state in vm.STATES:
        yield f"a pen, {state}", _n(ram[state]), "beside the modules"
    for name, cost in micropython["costs"].items():
        if name.startswith("turn"):
            yield name, _n(cost["allocated_bytes"]), "left as garbage"


def table(figures: dict[str, Any]) -> str:
    """Return the figures for people, at most 100 columns wide."""
    made, here = figures["session"], figures["machine"]
    micropython = figures["micropython"]
    lines = [
        f"{here['cpu']}, {here['cores']} cores, {here['system']}, {here['python']}; {micropython['vm']} in Node.js",
        f"Load before the first session: {'unknown' if here['load'] is None else _n(here['load'], 1)}.",
        f"{figures['profile']}: {made['zones']} zones, {_n(made['counts']['strokes'])} strokes. The host reads ten",
        "times and pings twice a second; telemetry, lease, ledger and oracle are on. In every session needle",
        f"and record agreed zone by zone, and the oracle saw no violation. Medians of {made['runs']}.",
    ]
    sections: list[tuple[str, Iterator[Row]]] = [
        ("Speed", speed_rows(figures)),
        ("Lines per second on CPython; in the MicroPython VM, and what one allocates there", line_rows(micropython)),
        ("Bytes on the wire, per session", wire_rows(made["counts"])),
        ("Flash, per session", flash_rows(figures)),
        ("Bytes of heap in the MicroPython VM", memory_rows(micropython)),
    ]
    for title, rows in sections:
        lines += ["", title]
        lines += [f"  {name:<43}{value:>11}  {note}".rstrip() for name, value, note in rows]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, show, and write the result if asked to."""
    option = ("runs", 5, "whole sessions to take the median of")
    return carry_out(arguments, "the virtual pen", option, measure, table, RESULT)


if __name__ == "__main__":
    sys.exit(main())
