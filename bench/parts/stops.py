"""How soon a stop is felt, in simulated time and by the plant: driver off, needles inside the nose, carriage at home.
Host only.

A stop is sent at many moments of a stroke, of homing, of a flash write; once the driver is off, the plant is looked at
every `LOOK_US`. The firmware's turn takes no time here: what is measured is what motor, screw and spring do, and how
long the logic and the flash keep a stop waiting. A board adds the length of one turn of its loop.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pencore import wire
from pensim.clock import TICKS_PER_MS, TICKS_PER_US
from pensim.flash import WORST_TIMING, FlashTiming, Operation
from tests.support.bench import PING_MS, Bench
from tests.support.profiles import CHEEK, PERIORBITAL, RIGHT, ZoneSpec

LOOK_US = 10
"""How often the plant is looked at after a stop: the grain of every figure here, and its error."""
_LONGEST_MS = 10_000
_STEADY_MS = 300
_STROKES = 1_000

STOP = b"\x18"


@dataclass(frozen=True)
class Stop:
    """One stop: us until the driver is off, the needles are inside the nose, the carriage is at home; um coasted."""

    off_us: int
    inside_us: int
    home_us: int
    coast_um: float


@dataclass(frozen=True)
class Case:
    """When to stop: in equal parts of `span_ms` after `begin`, or in the middle of the flash's next `operations`.

    `before` is sent at once, `data` to stop; `button`: the stop button instead.
    """

    name: str
    begin: Callable[[Bench], None]
    span_ms: float = 0
    operations: int = 0
    depth_um: int = 1500
    rate_per_s: int = 20
    data: bytes = STOP
    before: bytes = b""
    button: bool = False
    timing: FlashTiming | None = None


class NotStopped(Exception):
    """A pen did not stop: nothing is worth measuring then."""


def _running(bench: Bench) -> None:
    """Press, and let the pen come into its stride."""
    _pressing(bench)
    bench.hold(_STEADY_MS)
    if bench.state() != wire.RUNNING:
        raise NotStopped("the pen is not running")


def _pressing(bench: Bench) -> None:
    """Arm and press: the first strokes are reserved in flash next."""
    bench.arm(0)
    bench.release()
    bench.hold(150)
    bench.press()


def _homing(bench: Bench) -> None:
    """Have the pen home."""
    bench.keep_inside()
    bench.ask("arm", zone=0)


HALF_A_LINE = b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 478
"""The first half of a line of 1,024 bytes."""
OPERATIONS = 10
"""Those of the first reservation and, a block of strokes later, of the second: one of them erases."""
MANY_LINES = b"x" * 1023 + b"\n"

CASES = (
    Case("RUNNING, 0.5 mm", _running, 50, depth_um=500),
    Case("RUNNING, 1.0 mm", _running, 50, depth_um=1000),
    Case("RUNNING, 1.5 mm", _running, 50),
    Case("the same, half a line of 1 KB before it", _running, 50, before=HALF_A_LINE),
    Case("the same, behind 4 KB of noise", _running, 50, data=MANY_LINES * 4 + STOP),
    Case("the same, by the button", _running, 50, button=True),
    Case("HOMING", _homing, 110),
    Case("while flash is written", _pressing, operations=OPERATIONS),
    Case("while flash is written, its worst times", _pressing, operations=OPERATIONS, timing=WORST_TIMING),
)


def measure(case: Case, moments: int) -> list[Stop]:
    """Return what `moments` stops took, spread evenly over the case's span; NotStopped when one has no effect."""
    area = CHEEK if case.depth_um > 500 else PERIORBITAL
    zone: ZoneSpec = (area, RIGHT, case.depth_um, _STROKES, case.rate_per_s)
    bench = Bench(timing=case.timing)
    bench.may_coast = True
    stops = []
    for moment in range(moments):
        _make_ready(bench, zone)
        case.begin(bench)
        if case.before:
            bench.send(case.before)
        stops.append(_stop(bench, case, moment / moments))
    bench.check()
    return stops


def _make_ready(bench: Bench, zone: ZoneSpec) -> None:
    """Have a session of one `zone` loaded, with plenty of strokes left: those that a stop forfeits count."""
    if bench.state() == wire.FAULT:
        bench.stop_button(False)
        bench.release()
        bench.hold(50)
        bench.recover_from_fault()
    if bench.state() == wire.LOADED and bench.status()["session_left"] < _STROKES // 2:
        bench.insist("finish")
        bench.wait_for(wire.SAFE)
        bench.pull()
        bench.acknowledge()
    if bench.state() == wire.SAFE:
        bench.load_new((zone,))


def _at_operation(bench: Bench, number: int, act: Callable[[], None]) -> None:
    """Have `act` called in the middle of the flash operation `number` from now."""
    before = bench.flash.before
    left = [number]

    def count(operation: Operation) -> None:
        if before is not None:
            before(operation)
        if not left[0]:
            bench.clock.after(TICKS_PER_US, act)
            bench.flash.before = before
        left[0] -= 1

    bench.flash.before = count


def _stop(bench: Bench, case: Case, part: float) -> Stop:
    """Stop at `part` of the case's span; look at the plant from when the driver is off until the carriage is home."""
    clock, plant = bench.clock, bench.plant
    stopped: list[tuple[int, int]] = []

    def outings() -> int:
        """Return how often the needles have been outside, or -1 while they are."""
        return plant.report().total.crossings if plant.depth_um() <= 0 else -1

    def stop() -> None:
        stopped.append((clock.now, outings()))
        if case.button:
            bench.stop_button(True)
        else:
            bench.send(case.data)

    if case.operations:
        _at_operation(bench, int(part * case.operations), stop)
    else:
        clock.after(round(part * case.span_ms * TICKS_PER_MS), stop)
    # Nobody looks until the driver is off: each look is an event, and the polling firmware would take a turn for it.
    for _ in range(_LONGEST_MS // PING_MS):
        if bench.run_until(lambda: bool(stopped) and not plant.energised, PING_MS):
            break
        bench.ask("ping")
    else:
        raise NotStopped(f"{case.name}: the driver is still on after {_LONGEST_MS} ms")
    off, from_um = clock.now, plant.depth_um()
    begin, outings_before = stopped[0]
    deepest_um = from_um
    stayed_inside = outings_before == outings() >= 0
    inside = begin if stayed_inside else off
    home = begin if stayed_inside and plant.home_seen() else off
    while not plant.home_seen():
        clock.advance(LOOK_US * TICKS_PER_US)
        home = clock.now
        if plant.depth_um() > 0:
            deepest_um = max(deepest_um, plant.depth_um())
            inside = clock.now
        if home > off + _LONGEST_MS * TICKS_PER_MS:
            raise NotStopped(f"{case.name}: not at home after {_LONGEST_MS} ms")
    bench.run_ms(20)
    if case.before:
        bench.send(b"\n")
    off_us, inside_us, home_us = ((tick - begin) // TICKS_PER_US for tick in (off, inside, home))
    return Stop(off_us, inside_us, home_us, deepest_um - from_um)


def spread_ms(values_us: Sequence[int]) -> dict[str, float]:
    """Return median, 99th percentile and most of times in us, in ms."""
    ordered = sorted(values_us)
    return {
        "median": statistics.median(ordered) / 1000,
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1000,
        "most": ordered[-1] / 1000,
    }
