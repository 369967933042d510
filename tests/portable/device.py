"""The parts of the pen's own half that need no board, on both Pythons: engine, samples, driver's line, lights.

On MicroPython strokes are made with the heap locked: whoever allocates then gets a MemoryError.
"""

from pencore import wire
from pencore.planner import Plan
from pencore.signals import DRIVER_FAULT, ENABLED, IDLE, TRIP_COUNT
from pendevice import samples
from pendevice.engine import Evidence, StrokeEngine
from pendevice.indicator import PATTERNS, Lights
from pendevice.tmc2209 import ABSENT, Tmc2209, crc8
from tests.portable import samples as samples_of_a_pen
from tests.portable.expect import equal, raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEPS = 40
CLEARED = 12
"""The step at which the sensor lets go; it takes hold again one step earlier."""
STROKE = (
    samples.HOME_OUT * (CLEARED - 1)
    + samples.AWAY_OUT * (STEPS - CLEARED + 1)
    + samples.AWAY_BACK * (STEPS - CLEARED + 1)
    + samples.HOME_BACK * (CLEARED - 1)
)


def _locked(act: "Any") -> None:
    """Do `act` with the heap locked, where there is a lock."""
    try:
        import micropython  # type: ignore[import-not-found]  # on MicroPython alone

        lock, unlock = micropython.heap_lock, micropython.heap_unlock
    except (ImportError, AttributeError):
        act()
        return
    lock()
    try:
        act()
    finally:
        unlock()


class Feed:
    """Plays a table in no time, whenever `play` says so."""

    def __init__(self) -> None:
        self.ring = bytearray(samples.SIZE)
        self.shortest_ticks = 120
        self.queue = 0
        self.done = 0
        self.made = 0

    def begin(self) -> None:
        self.queue = self.done = self.made = 0

    def anywhere(self) -> None:
        pass

    def halt(self) -> None:
        self.queue = 0

    def send(self, address: int, words: int) -> None:
        self.queue += 1

    def nudge(self) -> None:
        pass

    def take_back(self) -> bool:
        self.queue -= 1
        return True

    def ended(self) -> int:
        done = self.done
        self.done = 0
        return done

    def sampled(self) -> int:
        return self.made

    def waits_for_home(self) -> bool:
        return False

    def under_way(self) -> bool:
        return False

    def home_seen(self) -> bool:
        return True

    def play(self, strokes: int) -> None:
        """Finish so many of those queued."""
        for _ in range(strokes):
            at = self.made % samples.SIZE
            for sample in STROKE:
                self.ring[at] = sample
                at = at + 1 if at + 1 < samples.SIZE else 0
            self.made += len(STROKE)
            self.queue -= 1
            self.done += 1


class Guards:
    """Guards that trip when they are told to."""

    def __init__(self) -> None:
        self.said = 0

    def load(self, limit_steps: int, strokes: int) -> None:
        self.said = ENABLED

    def allow(self, strokes: int) -> None:
        pass

    def bits(self) -> int:
        return self.said

    def off(self) -> None:
        self.said &= ~ENABLED


class Driver:
    """A driver without a word."""

    def bits(self) -> int:
        return 0

    def ready(self) -> bool:
        return True

    def look(self) -> None:
        pass

    def forgive(self) -> None:
        pass


def _armed() -> "tuple[StrokeEngine, Feed, Guards]":
    feed, guards = Feed(), Guards()
    engine = StrokeEngine(feed, guards, Driver(), lambda buffer: 16, lambda: 0)  # noqa: ARG005  # it lies anywhere
    engine.load(b"\x01\x02\x03\x04" * (2 * STEPS) + bytes(4))
    engine.arm(STEPS, 10)
    return engine, feed, guards


def check_strokes_allocate_nothing() -> None:
    """Credits, evidence, withdrawals and questions, round the ring of samples and more than once round the pool."""
    engine, feed, _ = _armed()
    wrong = [0, 0]

    def strokes() -> None:
        for number in range(150):
            engine.credit()
            engine.credit()
            if number % 3 == 0 and engine.withdraw() != 1:
                wrong[0] += 1
            feed.play(feed.queue)
            while True:
                evidence = engine.take()
                if evidence is None:
                    break
                if evidence.clear_step != CLEARED or evidence.net_steps or evidence.flags:
                    wrong[0] += 1
                if evidence.return_step != STEPS - CLEARED + 2 or evidence.index != wrong[1]:
                    wrong[0] += 1
                wrong[1] += 1
            if engine.poll() != IDLE | ENABLED or engine.queued():
                wrong[0] += 1

    _locked(strokes)
    equal(wrong, [0, 250])


def check_what_a_credit_compares_allocates_nothing() -> None:
    """The table's sum, whatever the plan: as a large number it would be allocated before each stroke."""
    for rate_per_s in (5, 15, 30):
        plan = Plan(200, rate_per_s, samples_of_a_pen.coarse())
        while not plan.advance(50):
            pass
        found = [False]

        def compare(plan: Plan = plan, found: "list[bool]" = found) -> None:
            found[0] = plan.intact()

        _locked(compare)
        equal(found, [True])


def check_telemetry_s_stencil_writes_what_the_encoder_does() -> None:
    """Each time, whatever it wrote before; a value out of its range is refused."""
    stencil = wire.telemetry_stencil()
    fields = wire.NOTIFICATIONS["telemetry"]
    values: "list[int | None]" = []
    for number in range(12):
        values = [min(field[3], number ** (number + index % 3)) for index, field in enumerate(fields)]
        if number % 2:
            values[1] = None
        told = {}
        for index, field in enumerate(fields):
            told[field[0]] = values[index]
        equal(bytes(stencil.fill(values)), wire.encode_notification("telemetry", told))
    for wrong in (None, -1, fields[0][3] + 1, True):
        raised(ValueError, stencil.fill, [wrong] + values[1:])


def check_a_cut_between_two_strokes_is_no_stroke() -> None:
    """A guard that trips with a stroke queued that has not begun leaves no evidence of it, and credits come to
    nothing.
    """
    engine, feed, guards = _armed()
    engine.credit()
    engine.credit()
    feed.play(1)
    guards.said = TRIP_COUNT
    equal(engine.poll(), IDLE | TRIP_COUNT)
    first = engine.take()
    equal(first is not None and first.flags, 0)
    equal(engine.take(), None)
    engine.credit()
    equal(engine.queued(), 0)


def check_evidence_of_strokes_that_lost_something() -> None:
    """What is not in the samples is not made up."""
    ring = bytearray(samples.SIZE)
    never_left = samples.HOME_OUT * 5 + samples.HOME_BACK * 5
    never_back = samples.HOME_OUT * 2 + samples.AWAY_OUT * 3 + samples.AWAY_BACK * 4
    at = samples.SIZE - 4
    for piece, wanted in ((never_left, (-1, -1, 0)), (never_back, (3, -1, 1))):
        for offset, sample in enumerate(piece):
            ring[(at + offset) % samples.SIZE] = sample
        end = at + len(piece)
        found = Evidence()
        samples.judge(found, ring, at, end)
        equal((found.clear_step, found.return_step, found.net_steps), wanted)


class Silence:
    """A wire with nobody at its other end."""

    def any(self) -> int:
        return 0

    def readinto(self, buf: bytearray) -> None:
        return None

    def write(self, data: "bytearray | memoryview") -> int:
        return len(data)


def check_the_driver_s_line() -> None:
    """The check byte of a known request; a driver that never answers is a plain one."""
    equal(crc8(b"\x05\x00\x02", 3), 0x8F)
    driver = Tmc2209(Silence(), 20, 8)
    for now_ms in range(60):
        driver.turn(now_ms)
    equal(driver.presence, ABSENT)
    equal(driver.bits() & DRIVER_FAULT, 0)


class Output:
    """A pin."""

    def __init__(self) -> None:
        self.level = 0

    def value(self, level: int) -> None:
        self.level = level


def check_the_lights_turn_without_allocating() -> None:
    """Every state, with the clock still a small integer."""
    pins = [Output(), Output(), Output(), Output()]
    lights = Lights(pins[0], pins[1], pins[2], pins[3])

    def turns() -> None:
        for state in range(len(PATTERNS)):
            lights.show(state, 0)
            for slot in range(20):
                lights.turn(1000 + slot * 125)

    _locked(turns)
    equal(pins[3].level, 0)
