"""A bit flips in the pen's memory: in a counter, a limit, the stroke table, the profile. No stroke comes of it.

What follows is told by needle, light and wire.
"""

from collections.abc import Callable

import pytest

from pencore import faults, wire
from pensim.faults.driver import DriverReset
from pensim.faults.memory import CounterBit, ProfileBit, TableBit
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 300, 60, 25),
    (profiles.CHEEK, 0, 1000, 9, 15),
)


def burst() -> Bench:
    """Return a pen in the midst of a burst."""
    pen = Bench()
    pen.may_coast = True
    pen.load_new(ZONES)
    pen.arm()
    pen.hold(150)
    pen.press()
    pen.hold(300)
    return pen


def stops_within(pen: Bench, strokes: int) -> None:
    """Fail unless the pen stops after so many strokes more, at the most, and for good."""
    before = sum(pen.needle_strokes().values())
    pen.run_ms(400)
    assert pen.indicator.shown[0] == wire.FAULT
    assert not pen.plant.energised
    assert sum(pen.needle_strokes().values()) <= before + strokes
    pen.release()
    pen.hold(300)
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()


@pytest.mark.parametrize("bit", [0, 1, 5, 16, 29])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("name", ["made", "forfeited", "outstanding", "limit_steps"])
def test_a_flipped_counter_or_limit_ends_the_burst(name: str, inverse: bool, bit: int) -> None:
    pen = burst()
    CounterBit(name, bit, inverse).apply(pen)
    stops_within(pen, 2)


STOPS: dict[str, Callable[[Bench], None]] = {
    "a stop byte": lambda pen: pen.send(b"\x18"),
    "a stop request": lambda pen: pen.send(pen.line("stop")),
    "the stop button": lambda pen: pen.stop_button(True),
    "an opened cartridge": lambda pen: pen.cartridge(False),
    "a driver that was reset": DriverReset().apply,
}


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("name", ["made", "forfeited", "outstanding"])
@pytest.mark.parametrize("stop", STOPS)
def test_a_flipped_counter_that_is_found_while_another_fault_is_handled(stop: str, name: str, inverse: bool) -> None:
    """Both in the same instant: the driver is off and the pen in FAULT, and goes on running to say so."""
    pen = burst()
    CounterBit(name, 3, inverse).apply(pen)
    STOPS[stop](pen)
    before = sum(pen.needle_strokes().values())
    pen.run_ms(200)
    assert pen.indicator.shown[0] == wire.FAULT
    assert not pen.plant.energised
    assert pen.status()["fault"] != 0
    pen.stop_button(False)
    pen.cartridge(True)
    pen.release()
    pen.hold(300)
    assert sum(pen.needle_strokes().values()) <= before + 2
    pen.insist("clear")
    pen.run_ms(300)
    if pen.state() == wire.FAULT:
        # What the first clear read from flash anew had to be sealed first.
        pen.insist("clear")
    pen.keep_inside()
    pen.finish_session()
    pen.pull()
    pen.check()


@pytest.mark.parametrize("name", ["made", "forfeited", "outstanding"])
@pytest.mark.parametrize("how", ["the host is gone", "a finish"])
def test_a_flipped_counter_that_is_found_while_the_driver_is_switched_off(how: str, name: str) -> None:
    pen = burst()
    pen.release()
    pen.hold(300)
    before = pen.needle_strokes()
    CounterBit(name, 3).apply(pen)
    if how == "a finish":
        assert pen.refusal("finish") in (faults.MEMORY_CORRUPT, faults.STATE_FORBIDS)
    else:
        pen.run_ms(2500)
    assert pen.indicator.shown == (wire.FAULT, faults.MEMORY_CORRUPT)
    assert not pen.plant.energised
    assert pen.needle_strokes() == before
    pen.hold(100)
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()


@pytest.mark.parametrize("place", range(0, 2556, 213))
def test_a_flipped_table_is_credited_no_more(place: int) -> None:
    """In the planner's table and in the engine's at once, as they are the same memory on a board."""
    pen = burst()
    TableBit(8 * place + place % 8).apply(pen)
    stops_within(pen, 2)


@pytest.mark.parametrize("place", range(0, 296, 23))
def test_a_flipped_profile_makes_no_zone_ready(place: int) -> None:
    pen = burst()
    pen.release()
    pen.hold(300)
    ProfileBit(8 * place + place % 8).apply(pen)
    before = pen.needle_strokes()
    pen.keep_inside()
    pen.insist("zone.select", zone=1)
    pen.hold(300)
    assert pen.indicator.shown[0] == wire.FAULT
    assert not pen.plant.energised
    assert pen.needle_strokes() == before
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()
    assert faults.MEMORY_CORRUPT in [fault[0] for fault in pen.sealed[1].faults]
