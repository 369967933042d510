"""One thing goes wrong at any moment of a stroke: the pen ends de-energised, needles in, latched, logged, counted.

Stated times: the driver is off within `STOP_MS` of a stop and within `OFF_MS` of any other fault (a stroke that brings
no evidence is waited for 250 ms beyond its period); the spring has the needles in `IN_MS` after that. Depth: what sits
between the chip's pads and the needle (lost steps, the wiring) is not the guards' to see; how far it can go is stated.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from pencore import faults as codes
from pencore import wire
from pencore.ports import StrokeEvidence
from pensim import faults
from pensim.clock import TICKS_PER_MS, TICKS_PER_US
from pensim.faults.driver import DriverFailed, DriverReset
from pensim.faults.mechanics import (
    BrokenSpring,
    DirectionInverted,
    EdgesDropped,
    EdgesExtra,
    HomeChatter,
    HomeStuck,
    LostSteps,
    WeakMotor,
)
from pensim.faults.memory import TableBit
from pensim.mechanics import PenParameters
from pensim.oracle import DEPTH_LIMIT, FLASH_IN_MOTION, NEEDLE_OUT
from tests.support import profiles
from tests.support.bench import COAST_MOST_UM, Bench

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, profiles.LEFT, 1200, 60, 18), (profiles.NOSE, 0, 200, 5, 18))
LIMIT_UM = 1200
PERIOD_MS = 56
STOP_MS = 2
OFF_MS = 500
IN_MS = 100
UNKNOWN_FLAG = 1 << 15
"""A bit of a stroke's evidence that stands for nothing."""
OFFSETS_US = (300, 900, 1_300, 4_100, 9_700, 14_900, 19_300, 24_500, 31_000, 39_000, 47_000, 54_800)
"""After the first edge of a stroke: extension, dwell, retraction, and the rest at home until the next one."""

Act = Callable[[Bench], None]


@dataclass(frozen=True)
class Case:
    """A fault: how it comes, how it goes, which codes may tell of it, how much deeper it may drive the needle, within
    how many ms the driver is off. `harmless`: it may fall where it does nothing, and then nothing happens.
    """

    name: str
    come: Act
    go: Act
    codes: tuple[int, ...]
    deeper_um: float = 0.0
    off_ms: int = OFF_MS
    harmless: bool = False


def mended(kind: faults.Fault) -> Act:
    """Return the act that mends a fault of the library, or does nothing where it was over at once."""
    mend: Act = getattr(kind, "mend", lambda _bench: None)
    return mend


def of(kind: faults.Fault, *expected: int, deeper_um: float = 0.0, harmless: bool = False, suffix: str = "") -> Case:
    """Return the case of a fault from the library."""
    return Case(kind.NAME + suffix, kind.apply, mended(kind), expected, deeper_um, harmless=harmless)


def nothing(_pen: Bench) -> None:
    """Do nothing: there is nothing to mend."""


def motor(factor: float) -> Act:
    """Return the act that leaves the motor only a part of its torque; 1: all of it again."""
    pullout = tuple((speed, torque * factor) for speed, torque in PenParameters().pullout)
    return lambda pen: pen.plant.set_parameters(replace(pen.plant.parameters, pullout=pullout))


def speak_in_tongues(pen: Bench) -> None:
    """Let the engine say of each stroke what no version of the pen has a word for."""
    take = pen.engine.take

    def taken() -> StrokeEvidence | None:
        evidence = take()
        return None if evidence is None else evidence._replace(flags=UNKNOWN_FLAG)

    vars(pen.engine)["take"] = taken


def speak_plainly(pen: Bench) -> None:
    """Take the engine by its word again."""
    vars(pen.engine).pop("take", None)


_LOST = (codes.LOST_STEPS, codes.HOME_LOST, codes.HOME_NOT_CLEARED, codes.STROKE_OVERDUE, codes.STROKE_RATE)
_TABLE = (*_LOST, codes.NET_STEPS, codes.DEPTH_GUARD, codes.STROKE_SEQUENCE)

CASES: tuple[Case, ...] = (
    Case("stop byte", lambda pen: pen.send(b"\x18"), nothing, (codes.OPERATOR_STOP,), off_ms=STOP_MS),
    Case(
        "stop request",
        lambda pen: pen.send(pen.line("stop")),
        nothing,
        (codes.OPERATOR_STOP,),
        off_ms=STOP_MS,
    ),
    Case(
        "stop button",
        lambda pen: pen.stop_button(True),
        lambda pen: pen.stop_button(False),
        (codes.STOP_BUTTON, codes.STOP_GUARD),
        off_ms=STOP_MS,
    ),
    Case(
        "cartridge opened",
        lambda pen: pen.cartridge(False),
        lambda pen: pen.cartridge(True),
        (codes.CARTRIDGE_OPENED,),
        off_ms=20,
    ),
    of(DriverReset(), codes.DRIVER_RESET, *_LOST, deeper_um=80.0),
    of(DriverFailed(), codes.DRIVER_FAULT, *_LOST),
    of(LostSteps(-1), *_LOST, suffix=" homewards"),
    of(LostSteps(1), *_LOST, deeper_um=80.0, suffix=" downwards"),
    of(LostSteps(-3), *_LOST, suffix=" homewards, three cycles"),
    of(HomeStuck(seen=True), codes.HOME_NOT_CLEARED, codes.HOME_LOST, *_LOST, suffix=" on"),
    of(HomeStuck(seen=False), codes.HOME_LOST, codes.HOME_NOT_CLEARED, *_LOST, suffix=" off"),
    of(DirectionInverted(), *_TABLE, deeper_um=2600.0),
    # In full motion a motor without torque is a pen that coasts.
    Case("jam", motor(0.0), motor(1.0), _LOST, deeper_um=COAST_MOST_UM),
    of(TableBit(0), codes.TABLE_CORRUPT, suffix=" first direction"),
    of(TableBit(32 * 300), codes.TABLE_CORRUPT, suffix=" a direction on the way out"),
    of(TableBit(32 * 900), codes.TABLE_CORRUPT, suffix=" a direction on the way back"),
    of(TableBit(32 * 700 + 20), codes.TABLE_CORRUPT, suffix=" a delay"),
    # On the way back: against the rear stop, and into the place before; within the window, and shallower.
    of(EdgesExtra(after=20, count=40), *_TABLE, harmless=True, suffix=" at the pins"),
    Case("flags of no known meaning", speak_in_tongues, speak_plainly, (codes.INTERNAL,)),
    # Two whole cycles that the carriage's inertia may make good.
    of(EdgesDropped(after=700, count=64), *_TABLE, deeper_um=160.0, harmless=True, suffix=" on the wire"),
    of(EdgesDropped(after=20, count=64, where="pin"), *_TABLE, deeper_um=160.0, suffix=" at the pins"),
)


def running(case: Case) -> Bench:
    """Return a pen in the midst of a burst, at the beginning of a stroke."""
    pen = Bench()
    pen.may_coast = True
    pen.load_new(ZONES)
    pen.arm()
    pen.hold(150)
    pen.press()
    pen.hold(4 * PERIOD_MS)
    begun = pen.plant.oracle.tally.begun
    pen.ask("ping")
    assert pen.run_until(lambda: pen.plant.oracle.tally.begun > begun, 200)
    return pen


def strike(pen: Bench, case: Case, offset_us: int) -> None:
    """Let the fault come `offset_us` from now."""

    def come() -> None:
        case.come(pen)

    pen.clock.schedule(pen.clock.now + offset_us * TICKS_PER_US, come)
    # The fault is in the world at that moment; whether the firmware looks then is its own business.
    pass_time(pen, offset_us)


def pass_time(pen: Bench, us: int) -> None:
    """Let microseconds go by, the firmware taking its turns."""
    end = pen.clock.now + us * TICKS_PER_US
    while pen.clock.now < end:
        pen._advance(end)


def ends_off(pen: Bench, case: Case) -> bool:
    """Fail unless the driver goes off in time and the needles come in; return whether there was a fault at all."""
    struck_at = pen.clock.now

    def off() -> bool:
        return not pen.plant.energised and pen.indicator.shown[0] == wire.FAULT

    if not pen.run_until(off, case.off_ms):
        assert case.harmless, f"still {pen.indicator.shown} after {case.off_ms} ms"
        return False
    assert pen.clock.now - struck_at <= case.off_ms * TICKS_PER_MS
    pen.run_ms(IN_MS)
    assert pen.plant.depth_um() < 0
    return True


def check_depth(pen: Bench, case: Case) -> None:
    """Fail when the needle was driven deeper than this fault can drive it."""
    deepest = pen.plant.report().total.deepest_um
    assert deepest <= min(LIMIT_UM + case.deeper_um, 2600) + 1e-6
    pen.check(allow=[DEPTH_LIMIT] if case.deeper_um else [])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_in_a_stroke_ends_safe_latched_and_logged(case: Case) -> None:
    for offset_us in OFFSETS_US:
        pen = running(case)
        strike(pen, case, offset_us)
        if not ends_off(pen, case):
            end_well(pen, case)
            continue
        check_depth(pen, case)
        strokes = pen.needle_strokes()
        code = pen.indicator.shown[1]
        assert code in case.codes, code
        # Latched: held trigger, arming and all else move nothing.
        assert pen.refusal("arm", zone=None) == codes.STATE_FORBIDS
        pen.hold(500)
        assert not pen.plant.energised
        assert pen.needle_strokes() == strokes
        case.go(pen)
        pen.release()
        pen.hold(300)
        pen.recover_from_fault()
        finish_after(pen, case, code)


def end_well(pen: Bench, case: Case) -> None:
    """Go on after a fault that fell where it did no harm: every stroke of the session is made and told."""
    case.go(pen)
    pen.finish_session()
    pen.pull()
    check_depth(pen, case)
    assert pen.sealed[1].made() == sum(pen.needle_strokes().values()) == 65


def finish_after(pen: Bench, case: Case, code: int) -> None:
    """Go on after a mended fault: a clear alone moves nothing, arming homes anew; the record tells of the fault."""
    strokes = pen.needle_strokes()
    pen.press()
    pen.hold(300)
    assert pen.needle_strokes() == strokes
    assert not pen.plant.energised
    pen.release()
    pen.hold(200)
    if pen.state() != wire.SAFE:
        assert pen.refusal("zone.select", zone=1) == codes.STATE_FORBIDS, "no motion without homing"
        pen.finish_session()
    pen.pull()
    check_depth(pen, case)
    assert code in [fault[0] for fault in pen.sealed[1].faults]
    if codes.CARTRIDGE_OPENED not in case.codes:
        assert pen.sealed[1].counted() == 65, "what the fault did not take was played afterwards"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_latched_fault_outlives_a_power_cut(case: Case) -> None:
    for offset_us in OFFSETS_US[2::5]:
        pen = running(case)
        strike(pen, case, offset_us)
        if not ends_off(pen, case):
            continue
        code = pen.indicator.shown[1]
        case.go(pen)
        pen.release()
        pen.run_ms(300)
        pen.unpower()
        pen.run_ms(100)
        pen.restart()
        if pen.greeting["open_session"]:
            pen.run_ms(100)
        status = pen.status()
        assert (status["state"], status["fault"]) == (wire.FAULT, code)
        assert pen.refusal("arm", zone=None) == codes.STATE_FORBIDS
        pen.recover_from_fault()
        finish_after(pen, case, code)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (HomeStuck(seen=False), codes.HOME_NOT_FOUND),
        (HomeStuck(seen=True), codes.HOME_NOT_CLEARED),
        (DirectionInverted(), 0),
        (WeakMotor(0.0), codes.HOME_NOT_CLEARED),
        (DriverFailed(), codes.DRIVER_FAULT),
    ],
    ids=lambda value: getattr(value, "NAME", value),
)
def test_homing_on_a_broken_pen_ends_in_a_fault_and_never_lets_the_needles_out(
    case: faults.Fault, expected: int
) -> None:
    pen = Bench()
    pen.load_new(ZONES)
    case.apply(pen)
    pen.ask("arm", zone=None)
    pen.hold(2500)
    status = pen.status()
    assert status["state"] == wire.FAULT
    assert status["fault"] == expected or not expected
    assert not pen.plant.energised
    assert pen.plant.report().total.deepest_um == 0
    mended(case)(pen)
    pen.check()


@pytest.mark.parametrize("seed", range(20))
def test_a_home_sensor_that_bounces_changes_no_depth_and_no_count(seed: int) -> None:
    """Within the window it is played through, beyond it is a fault; either way nothing is deeper or uncounted."""
    pen = Bench()
    pen.load_new(ZONES)
    HomeChatter(steps=1.0 + seed % 5 * 2, period_us=30 + 40 * (seed // 5), seed=seed).apply(pen)
    pen.may_coast = True
    pen.insist("arm", zone=None)
    pen.hold(1000)
    if pen.state() == wire.ARMED:
        pen.allow_zone(0)
        pen.stroke_for(1500)
    pen.run_ms(200)
    pen.plant.set_sensor_fault(None)
    pen.run_ms(100)
    assert pen.plant.depth_um() < 0
    if pen.state() == wire.FAULT:
        pen.recover_from_fault()
    if pen.state() != wire.SAFE:
        pen.finish_session()
    pen.pull()
    pen.check()


@pytest.mark.parametrize("offset_us", [20_300, 20_400, 20_600])
def test_nothing_is_written_while_the_needles_are_out(offset_us: int) -> None:
    """The return spring is broken, and a stop at full depth leaves the needles there: flash waits, the latch not."""
    case = Case("stop", lambda pen: pen.send(b"\x18"), nothing, (codes.OPERATOR_STOP,))
    pen = running(case)
    spring = pen.plant.parameters
    BrokenSpring().apply(pen)
    strike(pen, case, offset_us)
    pen.run_ms(300)
    assert pen.indicator.shown == (wire.FAULT, codes.OPERATOR_STOP)
    assert pen.plant.depth_um() > 0, "this was to leave the needles out"
    operations = pen.flash.operations
    pen.release()
    pen.hold(2000)
    assert pen.flash.operations == operations
    assert pen.refusal("clear") in (codes.BUSY, codes.NOT_AT_HOME)
    pen.check(allow=[NEEDLE_OUT])
    pen.plant.set_parameters(spring)
    pen.run_ms(500)
    assert pen.flash.operations > operations, "home again, the fault is logged"
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    # A spring that is mended by magic brings it in long after the cut: it passes the sensor while the flash is written.
    pen.check(allow=[NEEDLE_OUT, FLASH_IN_MOTION])


@pytest.mark.parametrize("offset_us", range(200, 1_500, 100))
def test_nothing_is_written_while_the_carriage_coasts(offset_us: int) -> None:
    """Cut at the very beginning of a stroke: the sensor still sees it, and it is on its way out all the same."""
    case = Case("stop", lambda pen: pen.send(b"\x18"), nothing, (codes.OPERATOR_STOP,))
    pen = running(case)
    strike(pen, case, offset_us)
    # Bytes make the firmware look again within the same millisecond, as a fast board does.
    for _ in range(200):
        pass_time(pen, 20)
        pen.send(b"\n")
    pen.release()
    pen.run_ms(300)
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()


def test_nothing_is_written_while_a_late_carriage_comes_home() -> None:
    """The spring brings the needles home only long after the cut: the sensor sees the carriage before it stands."""
    case = Case("stop", lambda pen: pen.send(b"\x18"), nothing, (codes.OPERATOR_STOP,))
    pen = running(case)
    spring = BrokenSpring()
    spring.apply(pen)
    strike(pen, case, 12_000)
    pen.release()
    pen.run_ms(300)
    assert pen.plant.depth_um() > 0
    spring.mend(pen)
    for _ in range(1500):
        pass_time(pen, 20)
        pen.send(b"\n")
    pen.recover_from_fault()
    assert FLASH_IN_MOTION not in pen.plant.report().kinds()
    pen.finish_session()
    pen.pull()
    assert sum(pen.needle_strokes().values()) <= pen.sealed[1].counted()


def test_a_stop_button_that_stays_pressed_cannot_be_cleared() -> None:
    pen = Bench()
    pen.load_new(ZONES)
    pen.stop_button(True)
    pen.run_ms(50)
    assert pen.state() == wire.FAULT
    assert pen.refusal("clear") == codes.STOP_STILL_PRESSED
    pen.stop_button(False)
    pen.recover_from_fault()
    pen.check()


@pytest.mark.parametrize("state", [wire.SAFE, wire.LOADED, wire.HOMING, wire.ARMED, wire.PAUSED, wire.SEALING])
@pytest.mark.parametrize("how", ["byte", "button", "request"])
def test_stop_works_in_every_state(state: int, how: str) -> None:
    pen = Bench()
    pen.may_coast = True
    if state != wire.SAFE:
        pen.load_new(ZONES)
    if state in (wire.ARMED, wire.PAUSED, wire.SEALING):
        pen.arm()
    if state in (wire.PAUSED, wire.SEALING):
        pen.stroke_for(200)
    if state == wire.HOMING:
        pen.ask("arm", zone=None)
    if state == wire.SEALING:
        pen.ask("finish")
    if how == "byte":
        pen.send(b"\x18")
    elif how == "button":
        pen.stop_button(True)
    else:
        pen.send(pen.line("stop"))
    pen.run_ms(60)
    assert not pen.plant.energised
    assert pen.indicator.shown[0] == wire.FAULT
    pen.stop_button(False)
    pen.run_ms(100)
    pen.recover_from_fault()
    if pen.hello()["open_session"]:
        pen.finish_session()
    pen.pull()
    pen.check()
