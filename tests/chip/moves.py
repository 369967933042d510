"""What left the pads: STEP edges and the driver's enable at their ticks, and where in a stroke a pen is. Host only.

A stroke's timing is held against a table that is planned here, on CPython, from the same profile: what the chip plays
has to be that, cycle by cycle.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from pencore.planner import Plan
from pensim.plant import PenParameters
from tests.chip.bench import ChipBench
from tests.support.stroke_oracle import Step, steps_of

GAP_MOST_TICKS = 64
"""From the end of a stroke's last delay to the next one's first edge, as `pendevice.stroke_pio` promises."""
FINE_MS = 0.02
"""Short against all that is looked for: the dwell lasts 0.2 ms."""


class Edge(NamedTuple):
    """One STEP edge: its tick, and +1 down or -1 home."""

    at: int
    turn: int


class Moves:
    """All that leaves the STEP and ENABLE pads of `pen` from now on."""

    def __init__(self, pen: ChipBench) -> None:
        self.edges: list[Edge] = []
        self._in_stroke = pen.plant.position_steps() > 0.5
        self.switched: list[tuple[int, bool]] = []
        """Each change of the driver's enable: its tick, and whether it is on."""
        pen.on_step = lambda turn, at: self.edges.append(Edge(at, turn))
        pen.on_enable = lambda on, at: self.switched.append((at, on))

    def off_at(self) -> int | None:
        """Return the tick at which the driver went off for good, None while it is as it was, or on."""
        return self.switched[-1][0] if self.switched and not self.switched[-1][1] else None

    def after(self, tick: int) -> list[Edge]:
        """Return the edges later than `tick`."""
        return [edge for edge in self.edges if edge.at > tick]

    def strokes(self) -> list[list[Edge]]:
        """Return the strokes that began since, each with all its edges."""
        found: list[list[Edge]] = []
        before = int(self._in_stroke)
        for edge in self.edges:
            if before <= 0 < edge.turn:
                found.append([])
            before = edge.turn
            if found:
                found[-1].append(edge)
        return found


def planned(pen: ChipBench, zone: int) -> list[Step]:
    """Return the steps of one stroke in `zone` of the profile that the pen holds."""
    assert pen.loaded is not None
    chosen = pen.loaded.zones[zone]
    plan = Plan(chosen.depth_um, chosen.rate_per_s, pen.setup.bounds.geometry)
    plan.advance(10_000)
    assert plan.ready()
    return steps_of(plan.table)


def timing_errors(strokes: list[list[Edge]], table: list[Step]) -> list[int]:
    """Return by how many ticks each edge is off its place in its stroke; AssertionError for a turn that is wrong."""
    errors = []
    for stroke in strokes:
        assert [edge.turn > 0 for edge in stroke] == [step.extends for step in table][: len(stroke)]
        due = stroke[0].at
        for edge, step in zip(stroke, table, strict=False):
            errors.append(edge.at - due)
            due += step.delay
    return errors


def gaps(strokes: list[list[Edge]], table: list[Step]) -> list[int]:
    """Return how many ticks after the end of each stroke's last delay the next one began."""
    return [later[0].at - earlier[-1].at - table[-1].delay for earlier, later in pairwise(strokes)]


def check_timing(strokes: list[list[Edge]], table: list[Step], *, seamless: bool) -> None:
    """Fail unless each edge has its very tick, and, if `seamless`, each stroke was waiting when the last one ended."""
    assert set(timing_errors(strokes, table)) == {0}
    assert all(len(stroke) == len(table) for stroke in strokes[:-1])
    assert min(gaps(strokes, table)) >= 0
    if seamless:
        assert max(gaps(strokes, table)) <= GAP_MOST_TICKS


Place = Callable[[ChipBench, Moves], bool]
"""Whether a pen is somewhere in a stroke, by its plant and by what has left its pads."""


# --- where in a stroke -----------------------------------------------------------------------------------------------
def _deepest(pen: ChipBench) -> float:
    """Return how far the zone at work goes, in steps from home, by what the plant may do at most."""
    limit_um = pen.oracle.limit_um
    assert limit_um
    parameters: PenParameters = pen.plant.parameters
    geometry = pen.setup.bounds.geometry
    return (parameters.retract_offset_um + limit_um) / (geometry.lead_um / geometry.steps_per_turn)


def _turned(moves: Moves) -> int:
    return moves.edges[-1].turn if moves.edges else 0


def extending(pen: ChipBench, moves: Moves) -> bool:
    """Return whether a stroke is about half-way down."""
    return _turned(moves) > 0 and 0.4 < pen.plant.position_steps() / _deepest(pen) < 0.7


def nearly_down(pen: ChipBench, moves: Moves) -> bool:
    """Return whether only a few steps are missing to its depth."""
    return _turned(moves) > 0 and 0.92 < pen.plant.position_steps() / _deepest(pen) < 0.96


def at_depth(pen: ChipBench, moves: Moves) -> bool:
    """Return whether it dwells at depth."""
    return _turned(moves) > 0 and pen.plant.position_steps() > 0.99 * _deepest(pen) and pen.quiet_ms() > 0.12


def retracting(pen: ChipBench, moves: Moves) -> bool:
    """Return whether it is about half-way back."""
    return _turned(moves) < 0 and 0.4 < pen.plant.position_steps() / _deepest(pen) < 0.7


def between(pen: ChipBench, moves: Moves) -> bool:
    """Return whether it rests at home, another stroke in the queue."""
    return _turned(moves) < 0 and pen.plant.position_steps() < 1 and pen.quiet_ms() > 3


def reach(pen: ChipBench, moves: Moves, place: Place) -> None:
    """Let time pass up to a place in a stroke."""
    assert pen.run_until(lambda: place(pen, moves), 200, FINE_MS), place.__name__


def reach_with_two_queued(pen: ChipBench, moves: Moves, place: Place) -> None:
    """Let time pass up to a place in a stroke behind which another one is queued already.

    It is credited some ms after the one under way has begun, not the same time in each.
    """
    assert pen.run_until(lambda: place(pen, moves) and queued(pen) == 2, 700, FINE_MS), place.__name__


def wait_for_home(pen: ChipBench, moves: Moves) -> None:
    """Let the sensor lose the carriage between two strokes, and time pass until the second one should have begun."""
    reach(pen, moves, between)
    began = len(moves.edges)
    pen.plant.set_sensor_fault(lambda _seen, _x, _at: False)
    pen.run_ms(18)
    assert len(moves.edges) == began


def queued(pen: ChipBench) -> int:
    """Return how many strokes are in the hands of the chip's DMA, by its registers; in the middle of a stroke."""
    count = 0
    for number, chained_to, busy in feeders(pen):
        if busy:
            count = 2 if chained_to != number else max(count, 1)
    return count


def feeders(pen: ChipBench) -> Iterator[tuple[int, int, bool]]:
    for number in range(12):
        base = 0x5000_0000 + 0x40 * number
        control = pen.emulator.chip.read_uint32(base + 0x10)
        if pen.emulator.chip.read_uint32(base + 4) == 0x5020_0010:
            yield number, control >> 11 & 0xF, bool(control >> 24 & 1)
