"""Measures the whole pen on an emulated chip: stock image, real files, plant at the pins; in cycles. Host only.

    python bench/chip.py [--uf2 FILE] [--moments 100] [--json]

The image is the stock MicroPython UF2 that `--uf2` or PINPRICK_UF2 names; without one nothing is measured, and that is
said. One cycle is 8 ns of the emulated chip. The computer that this runs on has no part in the figures: the same image
and files give the same ones, which is checked by a second pen that must do the same to the cycle, its memory included.
What the emulator doesn't know is in none of them: waits for the flash's cache and for the bus that DMA shares with the
CPU, the cycles of an interrupt's entry. So times of the CPU are least times. `--json` also writes
build/bench-chip.json.
"""

import argparse
import json
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# As a script this file sees only its own folder; its parts and the tests' bench are found from the root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.link import spread
from bench.parts import chip_bare, chip_peers, chip_pen
from bench.parts.goals import EXACTLY, OVER, UNDER, Figure, missed, rows
from bench.parts.machine import machine
from pencore.units import TICK_HZ
from pensim.chip.copies import in_copy
from pinprick.board.build import build
from pinprick.cli.chip_image import ALLOW_VARIABLE, UF2_VARIABLE, ChosenImage, chosen
from pinprick.errors import PinprickError
from tests.pio.rigs import STROKE_PIO

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "build" / "bench-chip.json"
MOMENTS = 100
KLIPPER_PER_S = 4_000_000
"""Klipper's figure for an RP2040 and one stepper, of its documentation."""
GAP_US = 20
_WIDTH = 120

PENS_DIFFER = "Two pens with the same files did not do the same: these figures are worth nothing."


# --- what is measured ------------------------------------------------------------------------------------------------
def _us(ticks: float) -> float:
    return ticks * 1_000_000 / TICK_HZ


def _ms(ticks: float) -> float:
    return ticks * 1000 / TICK_HZ


def measure(image: ChosenImage, moments: int) -> dict[str, Any]:
    """Return all that is measured, in ticks and bytes."""
    begun = time.perf_counter()
    built = build()

    def running() -> tuple[chip_pen.Subject, dict[str, Any], tuple[str, int]]:
        pen, boot = chip_pen.booted(image.for_chip(), built)
        played = in_copy(lambda: chip_pen.play(pen), chip_pen.LONG_S)
        pen.mark()
        chip_pen.run_largest(pen)
        return pen, {"boot": boot, "played": played}, chip_pen.print_of(pen)

    def again() -> tuple[str, int]:
        other, _ = chip_pen.booted(image.for_chip(), built)
        other.mark()
        chip_pen.run_largest(other)
        return chip_pen.print_of(other)

    pen, found, done = running()
    found["repeated"] = in_copy(again, chip_pen.LONG_S) == done
    found["loop"] = chip_pen.look(pen)
    found["hung"] = chip_pen.hang(pen, chip_pen.planned(*pen.first_zone()))
    found["stops"] = chip_pen.stops(pen, moments)
    bare = chip_bare.bare_chip(image.path, built)
    found["cpu"] = chip_bare.cpu_cost(bare)
    found["fastest"] = chip_bare.fastest(bare, STROKE_PIO.SHORTEST_TICKS)
    found["ways"] = chip_peers.compare(bare, found["fastest"])
    return {
        "machine": machine(),
        "image": {"sha256": image.image.sha256, "says": image.image.version, "official": image.official},
        "firmware": built.identity,
        **found,
        "seconds": time.perf_counter() - begun,
    }


# --- against the goals -----------------------------------------------------------------------------------------------
def step_figures(found: dict[str, Any]) -> Iterator[Figure]:
    """Yield what strokes are like."""
    played, hung, cpu, fastest = found["played"], found["hung"], found["cpu"], found["fastest"]
    gaps = played["gaps"]
    late = sum(_us(gap) >= GAP_US for gap in gaps)
    note = f"{played['steps']:,} steps of {played['strokes']} strokes, every one compared"
    yield Figure("step timing error against the table", played["error"], "cycles", EXACTLY, 0, note)
    note = f"a loop of {cpu['alone']:,} cycles takes {cpu['played']:,} while {cpu['steps']:,} steps are played"
    yield Figure("CPU cycles per step while running", cpu["per_step"], "cycles", EXACTLY, 0, note)
    note = f"least {_us(min(gaps)):.3g} us; {late} of {len(gaps)} are {GAP_US} us or more: the loop credited too late"
    yield Figure("gap between credited strokes, the longest", _us(max(gaps)), "us", UNDER, GAP_US, note)
    if hung["gap"] is not None:
        note = "the second was queued when the CPU hung"
        yield Figure("the same without a CPU", _us(hung["gap"]), "us", UNDER, GAP_US, note)
    note = f"of {hung['hangs']} hangs; steps {hung['error']} cycles off, the needle at home each time"
    yield Figure("strokes finished with a hung CPU, at most", hung["strokes"], "", UNDER, 3, note)
    pen, bare = (TICK_HZ // fastest[name]["most"] for name in ("pen", "bare"))
    note = f"{fastest['pen']['most']} cycles a step; words with no guards: {bare:,}/s; Klipper: {KLIPPER_PER_S:,}/s"
    yield Figure("highest step rate sustained", pen, "/s", OVER, 1_000_000, note)


def other_figures(found: dict[str, Any]) -> Iterator[Figure]:
    """Yield what stops, loop, heap and boot are like."""
    stops, loop, boot = found["stops"], found["loop"], found["boot"]
    line, byte, turns = spread(stops["line"]), spread(stops["byte"]), spread(loop["turns"])
    yield Figure("stop line to enable off, at most", _us(line["most"]), "us", UNDER, 1, f"{len(stops['line'])} moments")
    note = f"median {_ms(byte['median']):.3g} ms, most {_ms(byte['most']):.3g} ms of {len(stops['byte'])} moments"
    yield Figure("stop byte to enable off, RUNNING, p99", _ms(byte["p99"]), "ms", UNDER, 5, note)
    note = f"of {loop['heap'] / 1000:,.1f} kB, after a collection; longest piece {loop['longest'] / 1000:,.1f} kB"
    yield Figure("free heap, largest profile, RUNNING", loop["free"] / 1000, "kB", OVER, 100, note)
    note = f"{loop['strokes']} strokes; a turn of the loop allocates {loop['per_turn']} bytes, stroke or not"
    yield Figure("bytes allocated per stroke", loop["per_stroke"], "B", EXACTLY, 0, note)
    note = f"as the host hears it; the first whole turn {boot['first_turn'] / TICK_HZ:.3g} s"
    yield Figure("power-up to SAFE", boot["safe"] / TICK_HZ, "s", UNDER, 1.5, note)
    collecting = loop["collecting"]
    other_ms = _ms(max(turns_without(loop["turns"], collecting)))
    note = (
        f"median {_ms(turns['median']):.3g} ms of {len(loop['turns'])} turns; {other_ms:.3g} ms without the"
        f" {len(collecting)} that collected garbage"
    )
    yield Figure("worst loop time while RUNNING, flash apart", _ms(turns["most"]), "ms", UNDER, 10, note)


def turns_without(turns: Sequence[int], some: Sequence[int]) -> Iterator[int]:
    """Yield `turns` less those in `some`, each as often as it is there."""
    left = list(some)
    for turn in turns:
        if turn in left:
            left.remove(turn)
        else:
            yield turn


def figures_of(found: dict[str, Any]) -> list[Figure]:
    """Return what was measured, beside its goals."""
    return [*step_figures(found), *other_figures(found)]


# --- what is shown ---------------------------------------------------------------------------------------------------
def _trial(figures: dict[str, Any]) -> str:
    """Return what became of the steps in a trial: too many, or off their time."""
    over = figures["steps"] - chip_peers.STEPS
    if over:
        return f"{over:+} steps"
    return f"{_us(figures['off']):,.0f} us" if figures["off"] else "exact"


def way_rows(ways: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line or two for each way to make steps."""
    yield f"  {'':<16}{'alone':>10}{'collecting':>12}{'writing':>12}{'CPU':>7}{'hung CPU':>16}{'highest rate':>15}"
    for way in ways:
        hung = f"{way['after_hang']['steps']} more" if way["after_hang"]["ends"] else "without end"
        yield (
            f"  {way['name']:<16}{_trial(way):>10}{_trial(way['collecting']):>12}{_trial(way['writing']):>12}"
            f"{max(0.0, way['share']):>7.0%}{hung:>16}{way['rate']:>13,}/s"
        )
        yield f"      {way['how']}; a hang in mid-stroke: {way['hung']}"


def table(found: dict[str, Any]) -> str:
    """Return the figures for people, at most 120 columns wide."""
    image = found["image"]
    figures = figures_of(found)
    names = missed(figures)
    marked = [] if image["official"] else [f"NOT COMPARED WITH THE OFFICIAL IMAGE, allowed by {ALLOW_VARIABLE}."]
    lines = [
        f"The pen on an emulated RP2040: firmware {found['firmware']}, MicroPython {image['says'] or 'unknown'}",
        f"(SHA-256 {image['sha256']}).",
        *marked,
        f"{found['seconds']:.0f} s of this computer's time, which has no part in the figures.",
        "A second pen did the same to the cycle." if found["repeated"] else PENS_DIFFER,
        "",
        f"  {'':<45}{'measured':>18}  goal",
        *rows(figures),
        "",
        *textwrap.wrap(f"Goals missed: {'; '.join(names)}." if names else "All goals are met.", _WIDTH),
        "",
        f"{chip_peers.STEPS} steps, {chip_peers.RATE:,} a second, and what comes of the worst one or of their number",
        *way_rows(found["ways"]),
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, show, and write the result if asked to. Returns 2 for an image that can't be used, 1 for pens that
    differ.
    """
    parser = argparse.ArgumentParser(description="Measure the pen on an emulated chip.")
    parser.add_argument("--uf2", type=Path, metavar="FILE", help=f"the stock image (default: {UF2_VARIABLE})")
    parser.add_argument("--moments", type=int, default=MOMENTS, help=f"of stops (default: {MOMENTS})")
    parser.add_argument("--json", action="store_true", help=f"also write build/{RESULT.name}")
    options = parser.parse_args(arguments)
    named = options.uf2 or os.environ.get(UF2_VARIABLE)
    if not named:
        print(f"NOTHING WAS MEASURED on the emulated chip: no image. Name one with --uf2 FILE or in {UF2_VARIABLE}.")
        return 0
    try:
        image = chosen(Path(named))
    except PinprickError as error:
        print(f"NOTHING WAS MEASURED on the emulated chip: {error.message} {error.hint}".rstrip(), file=sys.stderr)
        return 2
    found = measure(image, max(1, options.moments))
    print(table(found))
    if options.json:
        RESULT.parent.mkdir(exist_ok=True)
        told = {**found, "figures": [figure.told() for figure in figures_of(found)]}
        RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0 if found["repeated"] else 1


if __name__ == "__main__":
    sys.exit(main())
