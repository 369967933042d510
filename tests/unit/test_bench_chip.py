"""What the benchmark of the chip makes of edges, turns, memory and goals is right; no image is needed for that."""

import copy
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import chip
from bench.parts import chip_peers, chip_pen
from bench.parts.chip_heap import BLOCK, Heap, NoHeap
from bench.parts.chip_pen import Compared, Edge, Turn, WrongRun
from bench.parts.goals import EXACTLY, OVER, UNDER, Figure, missed, rows, shown
from pencore.units import TICK_HZ
from pinprick.cli.chip_image import UF2_VARIABLE

SRAM = 0x2000_0000
TABLE: list[Edge] = [(1, 400), (1, 300), (-1, 200), (-1, 900)]
"""A stroke of two steps: directions, and the ticks to the next edge."""


def edges(strokes: int, gap: int = 64) -> list[Edge]:
    """Return the edges of strokes that follow their table, `gap` ticks between them."""
    at, made = 1000, []
    for _ in range(strokes):
        for turn, delay in TABLE:
            made.append((turn, at))
            at += delay
        at += gap
    return made


# --- goals -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bound", "value", "met"),
    [
        (UNDER, 4.99, True),
        (UNDER, 5, False),
        (OVER, 5, False),
        (OVER, 5.01, True),
        (EXACTLY, 5, True),
        (EXACTLY, 4.99, False),
    ],
)
def test_a_goal_is_met_or_not(bound: str, value: float, met: bool) -> None:
    figure = Figure("it", value, "ms", bound, 5)
    assert figure.met() is met
    assert missed([figure]) == ([] if met else ["it"])
    assert figure.told()["met"] is met
    assert figure.wanted() == ("5" if bound == EXACTLY else f"{bound} 5")


def test_a_figure_without_a_goal_is_neither_met_nor_missed() -> None:
    figure = Figure("it", 3, "us", note="why")
    assert (figure.met(), figure.wanted(), missed([figure])) == (None, "", [])
    first, note = rows([figure])
    assert first.split() == ["it", "3", "us"]
    assert note.strip() == "why"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (781_250, "781,250"), (0.512, "0.512"), (5963.136, "5,963.1"), (8, "8"), (12.34, "12.3")],
)
def test_numbers_are_shown(value: float, text: str) -> None:
    assert shown(value) == text


# --- steps -----------------------------------------------------------------------------------------------------------
def test_strokes_that_follow_their_table_are_exact() -> None:
    assert chip_pen.compare(edges(3), TABLE) == Compared(3, 12, 0, (64, 64))


@pytest.mark.parametrize("off", [-3, 162])
def test_one_interval_off_is_found(off: int) -> None:
    played = edges(3)
    moved = [(turn, at + (off if index > 5 else 0)) for index, (turn, at) in enumerate(played)]
    made = chip_pen.compare(moved, TABLE)
    assert (made.error, made.gaps) == (abs(off), (64, 64))


def test_a_long_gap_is_no_error_of_a_step() -> None:
    assert chip_pen.compare(edges(2, 5000), TABLE) == Compared(2, 8, 0, (5000,))


def test_edges_that_are_no_whole_strokes_have_no_figures() -> None:
    for wrong in ([], edges(2)[:-1], edges(2)[1:], [(1, 0), *edges(1)]):
        with pytest.raises(WrongRun, match="no whole strokes"):
            chip_pen.compare(wrong, TABLE)
    turned = edges(2)
    turned[5] = (-1, turned[5][1])
    with pytest.raises(WrongRun, match="edge 5 goes the other way"):
        chip_pen.compare(turned, TABLE)


def test_the_planned_table_is_one_whole_stroke_of_its_rate() -> None:
    table = chip_pen.planned(500, 20)
    assert [turn for turn, _ in table] == [1] * 400 + [-1] * 400  # 500 um and the way from home, of 2.5 um each
    assert sum(delay for _, delay in table) == TICK_HZ // 20


def test_what_a_stroke_allocates_is_told_from_what_a_turn_does() -> None:
    ends = [tick for index, (_, tick) in enumerate(edges(3)[:-1]) if index % 4 == 3]
    assert chip_pen._ends(edges(3)) == ends
    turns = [Turn(at, 100, 672, False) for at in range(0, 6000, 100)]
    told = {"per_stroke": 0, "per_turn": 672, "strokes": 2}
    assert chip_pen._allocations(turns, ends) == told
    # Lines, telemetry and a collection among them change nothing ...
    mixed = [Turn(t.began, 100, {500: None, 900: 2000}.get(t.began, 672), False) for t in turns]
    assert chip_pen._allocations(mixed, ends) == told
    # ... but a stroke's own piece does, in its turn and the next.
    dearer = [
        Turn(t.began, 100, 704 if any(t.began - 100 <= e < t.began + 100 for e in ends) else 672, False) for t in turns
    ]
    assert chip_pen._allocations(dearer, ends)["per_stroke"] == 32
    with pytest.raises(WrongRun, match="no stroke ended"):
        chip_pen._allocations(turns, [])


def test_turns_without_those_that_collected() -> None:
    assert list(chip.turns_without([5, 9, 5, 7], [5, 9])) == [5, 7]


# --- the heap --------------------------------------------------------------------------------------------------------
class Memory:
    """A chip's memory with a heap of eight blocks: a head with a tail that points to one more, and a head nobody
    knows.
    """

    def __init__(self) -> None:
        self.sram = bytearray(4096)
        table, self.pool = 0x400, 0x800
        self.put(0x100, SRAM + table, 2, 0, SRAM + self.pool, SRAM + self.pool + 8 * BLOCK)
        self.put(0x100 + 4 * 40, 1, 3)  # collects by itself; three blocks since the last time
        # From block 0: head, tail, free, head, head, free, free, free.
        self.sram[table : table + 2] = bytes((0b01_00_10_01, 0b00_00_00_01))
        self.put(0x20, SRAM + self.pool)
        self.put(self.pool + BLOCK + 4, SRAM + self.pool + 3 * BLOCK)  # in the tail of block 0: keeps block 3

    def put(self, at: int, *words: int) -> None:
        """Write words."""
        self.sram[at : at + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)


def test_the_heap_is_counted_and_what_would_stay_is_marked() -> None:
    heap = Heap(Memory())
    assert heap.size() == 8 * BLOCK
    assert heap.allocated() == 3 * BLOCK
    assert heap.free() == 4 * BLOCK
    # Block 4 is garbage: blocks 2 and 4 to 7 would be free.
    assert heap.free_when_collected() == (5 * BLOCK, 4 * BLOCK)


def test_a_pointer_into_a_block_keeps_nothing() -> None:
    memory = Memory()
    memory.put(0x24, SRAM + memory.pool + 4 * BLOCK + 4)
    assert Heap(memory).free_when_collected()[0] == 5 * BLOCK
    memory.put(0x24, SRAM + memory.pool + 4 * BLOCK)
    assert Heap(memory).free_when_collected()[0] == 4 * BLOCK


def test_no_heap_and_two_heaps_are_none() -> None:
    with pytest.raises(NoHeap, match="0 places"):
        Heap(SimpleNamespace(sram=bytearray(4096)))
    memory = Memory()
    memory.sram[0xC00 : 0xC00 + 180] = memory.sram[0x100 : 0x100 + 180]
    with pytest.raises(NoHeap, match="2 places"):
        Heap(memory)


# --- the report ------------------------------------------------------------------------------------------------------
WAY: dict[str, Any] = {
    "name": chip_peers.PEN,
    "how": "how",
    "hung": "what is left",
    "steps": chip_peers.STEPS,
    "off": 0,
    "collecting": {"steps": chip_peers.STEPS, "off": -250},
    "writing": {"steps": chip_peers.STEPS + 152, "off": 0},
    "share": 0.0213,
    "after_hang": {"steps": 50, "ends": True},
    "rate": 781_250,
}
FOUND: dict[str, Any] = {
    "image": {"sha256": "0" * 64, "says": "1.28.0", "official": False},
    "firmware": "0123456789abcdef",
    "boot": {"first_turn": TICK_HZ, "safe": TICK_HZ + TICK_HZ // 4},
    "played": {"strokes": 3, "steps": 12, "error": 0, "gaps": [64, 64]},
    "repeated": True,
    "loop": {
        "turns": [500_000] * 20 + [1_000_000],
        "collecting": [1_000_000],
        "heap": 245_888,
        "free": 100_768,
        "longest": 60_288,
        "per_stroke": 0,
        "per_turn": 672,
        "strokes": 50,
    },
    "hung": {"strokes": 2, "error": 0, "gap": 64, "hangs": 5},
    "stops": {"byte": [125_000] * 99 + [TICK_HZ], "line": [5] * 100},
    "cpu": {"alone": 400_000, "played": 400_000, "steps": 1300, "per_step": 0.0},
    "fastest": {"pen": {"steps": 8000, "least": 120, "most": 120}, "bare": {"steps": 8000, "least": 5, "most": 5}},
    "ways": [WAY, {**WAY, "name": "counted PIO", "after_hang": {"steps": 200, "ends": False}}],
    "seconds": 1.0,
}
SPOILT: dict[str, tuple[tuple[str, ...], Any]] = {
    "step timing error against the table": (("played", "error"), 1),
    "CPU cycles per step while running": (("cpu", "per_step"), 0.1),
    "gap between credited strokes, the longest": (("played", "gaps"), [64, 2500]),
    "the same without a CPU": (("hung", "gap"), 2500),
    "strokes finished with a hung CPU, at most": (("hung", "strokes"), 3),
    "highest step rate sustained": (("fastest", "pen", "most"), 160),
    "stop line to enable off, at most": (("stops", "line"), [5, 125]),
    "stop byte to enable off, RUNNING, p99": (("stops", "byte"), [125_000] * 98 + [TICK_HZ] * 2),
    "free heap, largest profile, RUNNING": (("loop", "free"), 100_000),
    "bytes allocated per stroke": (("loop", "per_stroke"), 16),
    "power-up to SAFE": (("boot", "safe"), TICK_HZ * 3 // 2),
    "worst loop time while RUNNING, flash apart": (("loop", "turns"), [500_000, 1_250_000, 1_000_000]),
}


def test_every_goal_is_met_by_what_is_good_enough_and_each_is_missed_alone() -> None:
    # The 99th of a hundred stops is the last but one: one that is late alone is not the p99's.
    good = copy.deepcopy(FOUND)
    good["stops"]["byte"] = [125_000] * 100
    assert missed(chip.figures_of(good)) == []
    assert [figure.name for figure in chip.figures_of(good) if figure.goal is not None] == list(SPOILT)
    for name, (path, value) in SPOILT.items():
        found = copy.deepcopy(good)
        place = found
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert missed(chip.figures_of(found)) == [name]


def test_the_table_says_what_is_missed_and_what_ran() -> None:
    spoilt = copy.deepcopy(FOUND)
    spoilt["played"].update(error=162, gaps=[64, 10**6])
    spoilt["loop"].update(free=99_000, turns=[10**7, 10**6])
    shown_lines = chip.table(spoilt).splitlines()
    assert max(map(len, shown_lines)) <= 120
    text = "\n".join(shown_lines)
    assert "NOT COMPARED WITH THE OFFICIAL IMAGE" in text
    assert "Goals missed: step timing error against the table" in text
    assert "A second pen did the same to the cycle." in text
    pen, counted = (
        next(line for line in shown_lines if line.startswith(f"  {name}")) for name in (WAY["name"], "counted")
    )
    assert "-2 us" in pen
    assert "+152 steps" in pen
    assert "without end" in counted
    official = {**FOUND, "image": {**FOUND["image"], "official": True}, "repeated": False}
    assert "NOT COMPARED" not in chip.table(official)
    assert chip.PENS_DIFFER in chip.table(official)


def test_without_an_image_nothing_is_measured_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv(UF2_VARIABLE, raising=False)
    assert chip.main([]) == 0
    assert "NOTHING WAS MEASURED" in capsys.readouterr().out
    assert chip.main(["--uf2", str(tmp_path / "none.uf2")]) == 2
    assert "NOTHING WAS MEASURED" in capsys.readouterr().err
    broken = tmp_path / "broken.uf2"
    broken.write_bytes(b"no image")
    monkeypatch.setenv(UF2_VARIABLE, str(broken))
    assert chip.main([]) == 2
