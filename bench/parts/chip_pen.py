"""What the pen on the emulated chip does, in cycles: its boot, loop, heap, steps, stops, and what a dead CPU leaves.
Host only.

The firmware is as it is built, nothing is added to it: turns of its loop are told apart by the watchdog's register,
which it writes once in each, the heap is looked at from outside. The host pings twice a second, as real ones do, and
reads what it is told. What is tried at many moments is tried in copies of the running pen.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import pairwise
from typing import Any

from bench.link import largest_profile
from bench.parts.chip_heap import Heap
from pencore import profile, wire
from pencore.planner import EXTEND, WORD_SIZE, Plan
from pensim.chip.copies import in_copy
from pensim.chip.image import Image
from pensim.clock import TICKS_PER_MS
from pensim.world import default_provision
from pinprick.board.build import Build
from tests.chip.bench import BOOT_MOST_MS, ChipBench, flash_of
from tests.support.profiles import CHEEK, LEFT, PERIORBITAL, RIGHT, ZoneSpec

PING_MS = 500
PLAYED: tuple[ZoneSpec, ...] = ((CHEEK, RIGHT, 1500, 40, 21), (PERIORBITAL, LEFT, 500, 45, 37))
"""The session whose every step is compared: as fast as the reference pen goes at each depth, a zone in one block."""
RUN_MS = 2500
"""How long the loop and the heap are looked at."""
_STOP_MOST_MS = 500
_GRAIN_MS = 0.1
"""How often the host looks for the pen's first word."""
_APART_MS = (1.0, 12.0)
"""Least and most time between two moments of a stop."""
_AFTER_HANG_MS = 400
_HANGS_MS = (1.0, 6.0, 12.0, 24.0, 36.0)
"""After a stroke's beginning, which comes every 50 ms: when the CPU hangs."""
LONG_S = 1800.0
"""What takes seconds of the chip's time may take minutes of a busy computer's."""
_SEED = 5
_STOP = b"\x18"
_WATCHDOG = (0x4005_8000 >> 14) << 2
_LOAD = 0x04
_REGISTER = 0xFFF

Edge = tuple[int, int]
"""+1 or -1, and the tick of a STEP edge."""


class WrongRun(Exception):
    """What was to be measured did not happen."""


@dataclass(frozen=True)
class Turn:
    """A turn of the loop: its first tick, its length, bytes allocated in it (None: the garbage was collected), and
    whether the flash was written in it.
    """

    began: int
    ticks: int
    allocated: int | None
    flash: bool


class _Watchdog:
    """The watchdog's registers as the bus sees them; `fed` is called at each feed."""

    def __init__(self, registers: Any, fed: Callable[[], None]) -> None:
        self._registers = registers
        self._fed = fed

    def read_uint32(self, offset: int) -> int:
        """Read a register."""
        value: int = self._registers.read_uint32(offset)
        return value

    def write_uint32_atomic(self, offset: int, value: int, kind: int) -> None:
        """Write a register."""
        if offset & _REGISTER == _LOAD:
            self._fed()
        self._registers.write_uint32_atomic(offset, value, kind)

    def reset(self) -> None:
        """Reset them with the chip."""
        self._registers.reset()


class Subject(ChipBench):
    """A pen without power whose loop is watched: `turns` since `mark`. `edges`: every STEP edge; `switched`: every
    change of the enable.
    """

    def __init__(self, image: Image, built: Build) -> None:
        super().__init__(image, flash_of(built, default_provision()))
        self.edges: list[Edge] = []
        self.switched: list[tuple[bool, int]] = []
        self.feeds: list[tuple[int, int, int]] = []
        self.heap: Heap | None = None
        self._ping_at = 0
        self.on_step = lambda turn, at: self.edges.append((turn, at))
        self.on_enable = lambda on, at: self.switched.append((on, at))
        windows = self.emulator.chip.peripherals
        windows[_WATCHDOG] = _Watchdog(windows[_WATCHDOG], self._fed)

    def _fed(self) -> None:
        allocated = self.heap.allocated() if self.heap is not None else 0
        self.feeds.append((self.emulator.now(), allocated, self.flash.operations))

    def mark(self) -> None:
        """Forget all turns and edges so far."""
        self.edges.clear()
        self.feeds.clear()

    def turns(self) -> list[Turn]:
        """Return the turns between the feeds since `mark`."""
        made = []
        for (began, had, operations), (ended, has, later) in pairwise(self.feeds):
            allocated = has - had if has >= had else None
            made.append(Turn(began, ended - began, allocated, operations != later))
        return made

    def attend(self, ms: float) -> None:
        """Let `ms` pass with a host that reads, pings every `PING_MS`, and asks nothing else."""
        end = self.clock.now + round(ms * TICKS_PER_MS)
        while self.clock.now < end:
            if self.clock.now >= self._ping_at:
                self.send(self.line("ping"))
                self._ping_at = self.clock.now + PING_MS * TICKS_PER_MS
            self.emulator.run_until(min(end, self._ping_at))
            self.listen()
        self.echoes.clear()
        self.notes.clear()

    def first_zone(self) -> tuple[int, int]:
        """Return depth and rate of the loaded profile's first zone."""
        if self.loaded is None:
            raise WrongRun("nothing is loaded")
        return self.loaded.zones[0].depth_um, self.loaded.zones[0].rate_per_s

    def load_largest(self) -> None:
        """Load the largest profile there is, for this pen."""
        self.change_cartridge()
        greeting = self.hello()
        made = largest_profile(greeting["session_id"])
        made.serial, made.ledger_head = greeting["serial"], bytes.fromhex(greeting["ledger_head"])
        self.load(profile.encode(made))


def booted(image: Image, built: Build) -> tuple[Subject, dict[str, int]]:
    """Return a pen that is SAFE and greeted, and the ticks from power to its first whole turn and its first word."""
    pen = Subject(image, built)
    pen.power_on()

    def spoken() -> bool:
        pen.listen()
        return bool(pen.notes)

    said = pen.run_until(spoken, BOOT_MOST_MS, _GRAIN_MS)
    told = pen.clock.now
    pen.hello()
    if not said or pen.greeting["state"] != wire.SAFE:
        raise WrongRun("the pen is not SAFE")
    return pen, {"first_turn": pen.feeds[0][0], "safe": told}


# --- steps -----------------------------------------------------------------------------------------------------------
def planned(depth_um: int, rate_per_s: int) -> list[Edge]:
    """Return a stroke's directions and delays as the planner has them."""
    plan = Plan(depth_um, rate_per_s, default_provision().bounds.geometry)
    while not plan.advance(1000):
        pass
    words = memoryview(bytes(plan.table)).cast("I")[: 2 * plan.steps]
    if len(plan.table) != (len(words) + 1) * WORD_SIZE:
        raise WrongRun("a table of another length")
    return [(1 if word & EXTEND else -1, word >> 1) for word in words]


@dataclass(frozen=True)
class Compared:
    """Strokes compared with their table: steps, the most that an interval differs, and the ticks from each stroke's
    last delay's end to the next stroke's first edge.
    """

    strokes: int
    steps: int
    error: int
    gaps: tuple[int, ...]


def compare(edges: list[Edge], table: list[Edge]) -> Compared:
    """Compare whole strokes with their table; WrongRun when an edge is missing, too many or of the other direction."""
    size = len(table)
    if not edges or len(edges) % size:
        raise WrongRun(f"{len(edges)} edges are no whole strokes of {size}")
    error = 0
    gaps = []
    for at, (turn, tick) in enumerate(edges):
        wanted, delay = table[at % size]
        if turn != wanted:
            raise WrongRun(f"edge {at} goes the other way")
        if at + 1 == len(edges):
            break
        over = edges[at + 1][1] - tick - delay
        if (at + 1) % size:
            error = max(error, abs(over))
        else:
            gaps.append(over)
    return Compared(len(edges) // size, len(edges), error, tuple(gaps))


def play(pen: Subject) -> dict[str, Any]:
    """Play a short session and compare every step of it; the pen is SAFE before and after."""
    pen.load_new(PLAYED)
    pen.arm(0)
    found = []
    for zone, (_, _, depth_um, strokes, rate_per_s) in enumerate(PLAYED):
        if zone:
            pen.select(zone)
        pen.mark()
        pen.play_zone()
        made = compare(pen.edges, planned(depth_um, rate_per_s))
        if made.strokes != strokes:
            raise WrongRun(f"{made.strokes} strokes of {strokes}")
        found.append(made)
    pen.finish_session()
    pen.pull()
    pen.acknowledge()
    pen.check(exact=True)
    gaps = [gap for made in found for gap in made.gaps]
    return {
        "strokes": sum(made.strokes for made in found),
        "steps": sum(made.steps for made in found),
        "error": max(made.error for made in found),
        "gaps": gaps,
    }


# --- the loop and the heap -------------------------------------------------------------------------------------------
def run_largest(pen: Subject) -> None:
    """Load the largest profile, arm, press: the pen is RUNNING afterwards, in its stride."""
    pen.load_largest()
    pen.arm(0)
    pen.running()
    pen.heap = Heap(pen.emulator.chip)
    pen.attend(200)


def print_of(pen: Subject) -> tuple[str, int]:
    """Return a digest of all that the pen has done since `mark`, and of its chip's memory; and the ticks that took."""
    done = sha256(repr((pen.edges, pen.feeds, pen.switched)).encode() + bytes(pen.emulator.chip.sram))
    return done.hexdigest(), pen.clock.now


def look(pen: Subject) -> dict[str, Any]:
    """Return what loop and heap do in `RUN_MS` of strokes, in a copy of the pen."""

    def watched() -> dict[str, Any]:
        pen.mark()
        heap = pen.heap
        if heap is None:
            raise WrongRun("the pen is not running")
        free = []
        for _ in range(RUN_MS // PING_MS):
            pen.attend(PING_MS)
            free.append(heap.free_when_collected())
        if pen.state() != wire.RUNNING:
            raise WrongRun("the pen is no longer running")
        turns = pen.turns()
        still = [turn for turn in turns if not turn.flash]
        return {
            "turns": [turn.ticks for turn in still],
            "flash_turns": len(turns) - len(still),
            "collecting": [turn.ticks for turn in still if turn.allocated is None],
            "heap": heap.size(),
            "free": min(each for each, _ in free),
            "longest": min(each for _, each in free),
            **_allocations(turns, _ends(pen.edges)),
        }

    return in_copy(watched, LONG_S)


def _ends(edges: list[Edge]) -> list[int]:
    """Return the ticks at which strokes ended: of the last edge before another direction out."""
    return [tick for (turn, tick), (then, _) in pairwise(edges) if turn < 0 < then]


def _allocations(turns: list[Turn], ends: list[int]) -> dict[str, int]:
    """Return what strokes allocate: the least that a turn allocates in which one ended or that comes next, over the
    least of any other turn. What lines and telemetry take is in neither: the least are turns without them.
    """
    first = [turn for turn in turns if any(turn.began <= tick < turn.began + turn.ticks for tick in ends)]
    starts = {turn.began for turn in first} | {turn.began + turn.ticks for turn in first}
    after = [turn.allocated for turn in turns if turn.began in starts and turn.allocated is not None]
    other = [turn.allocated for turn in turns if turn.began not in starts and turn.allocated is not None]
    if not after or not other:
        raise WrongRun("no stroke ended while the loop was watched")
    return {"per_stroke": min(after) - min(other), "per_turn": min(other), "strokes": len(ends)}


# --- stops -----------------------------------------------------------------------------------------------------------
def stops(pen: Subject, moments: int) -> dict[str, list[int]]:
    """Return the ticks to the enable's going off at seeded moments of RUNNING: by a stop byte, by the stop line."""
    chance = random.Random(_SEED)
    by_byte, by_line = [], []
    for _ in range(moments):
        pen.attend(chance.uniform(*_APART_MS))
        by_byte.append(in_copy(partial(_off_after, pen, partial(pen.host.send, _STOP))))
        by_line.append(in_copy(partial(_off_after, pen, partial(pen.stop_button, True))))
    if pen.state() != wire.RUNNING:
        raise WrongRun("the pen ran out of strokes")
    return {"byte": by_byte, "line": by_line}


def _off_after(pen: Subject, act: Callable[[], None]) -> int:
    began = pen.clock.now
    pen.switched.clear()
    act()
    if not pen.run_until(lambda: bool(pen.switched), _STOP_MOST_MS, 0.5) or pen.switched[0][0]:
        raise WrongRun(f"the driver is still on after {_STOP_MOST_MS} ms")
    return pen.switched[0][1] - began


# --- a CPU that hangs ------------------------------------------------------------------------------------------------
def hang(pen: Subject, table: list[Edge]) -> dict[str, Any]:
    """Return what is played from the stroke on in which the CPU hangs: strokes (the most), error of their steps, gap
    between them; in copies, at different times of a stroke.
    """
    found = [in_copy(partial(_hung, pen, table, after_ms)) for after_ms in _HANGS_MS]
    return {
        "strokes": max(made.strokes for made in found),
        "error": max(made.error for made in found),
        "gap": max((gap for made in found for gap in made.gaps), default=None),
        "hangs": len(found),
    }


def _hung(pen: Subject, table: list[Edge], after_ms: float) -> Compared:
    """Hang the CPU so long after a stroke's beginning; return what is played from there to the end."""
    pen.mark()
    if not pen.run_until(lambda: bool(_ends(pen.edges)), _STOP_MOST_MS, _GRAIN_MS):
        raise WrongRun("no stroke began")
    del pen.edges[: _beginning(pen.edges)]
    pen.run_ms(after_ms)
    pen.hang()
    pen.run_ms(_AFTER_HANG_MS)
    if not pen.plant.home_seen():
        raise WrongRun("a hung CPU left the needle outside")
    return compare(pen.edges, table)


def _beginning(edges: list[Edge]) -> int:
    """Return the place of the first edge of the last stroke that was seen to begin."""
    return max(at + 1 for at, ((turn, _), (then, _)) in enumerate(pairwise(edges)) if turn < 0 < then)
