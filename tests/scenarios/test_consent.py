"""Only a fresh press on the pen starts strokes: after 100 ms of release in that same state, with a host that lives.

The oracle holds every beginning stroke against that rule by itself (`NO_CONSENT`, `NO_LEASE`); what it can't know, that
a state was left and entered again, is counted here.
"""

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore import faults, wire
from pensim.clock import TICKS_PER_MS
from pensim.flash import WORST_TIMING, FlashTiming, Operation
from pensim.oracle import ConsentRule
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 150, 60, 30),
    (profiles.CHEEK, 0, 300, 20, 25),
)
PERIOD_MS = 40


def loaded() -> Bench:
    """Return a pen with a session loaded."""
    pen = Bench()
    pen.load_new(ZONES)
    return pen


def armed() -> Bench:
    """Return a pen that was armed this very moment."""
    pen = loaded()
    pen.arm()
    return pen


def strokes(pen: Bench) -> int:
    """Return how many strokes the needle has begun."""
    return sum(pen.needle_strokes().values())


def quiet(pen: Bench, ms: int = 600) -> None:
    """Fail unless `ms` pass without a stroke, with a host that lives."""
    before = strokes(pen)
    pen.hold(ms)
    assert strokes(pen) == before


# --- let go while the flash is written -------------------------------------------------------------------------------
@pytest.mark.parametrize("after_ms", range(1, 40, 3))
def test_let_go_while_strokes_are_reserved_nothing_starts(after_ms: int) -> None:
    """The press is a consent, and its reservation takes long: who has let go by its end has taken it back."""
    pen = Bench(timing=WORST_TIMING)
    pen.load_new(ZONES)
    pen.arm()
    pen.release()
    pen.hold(150)
    pen.oracle.watch_consent(ConsentRule(grace_ms=1))
    pen.press()
    pen.clock.after(after_ms * TICKS_PER_MS, pen.release)
    pen.run_ms(600)
    pen.hold(200)
    pen.check()


SLOW_FLASH = FlashTiming(erase_us=150_000, program_us=60_000, erase_64k_us=2_000_000)
Hands = tuple[tuple[float, str, Any], ...]


class Fidget(Bench):
    """While flash operation number `at` from `fidget` on is under way, hands do things: (ms after it began, a method of
    the bench, its argument or None).
    """

    left = -1
    hands: Hands = ()

    def fidget(self, at: int, *hands: tuple[float, str, Any]) -> None:
        self.left, self.hands = at, hands

    def _flash_operation(self, operation: Operation) -> None:
        super()._flash_operation(operation)
        if self.left == 0:
            for after_ms, name, argument in self.hands:
                act = getattr(self, name)
                self.clock.after(int(after_ms * TICKS_PER_MS), act if argument is None else partial(act, argument))
        self.left -= 1


def pressed_in(zone: profiles.ZoneSpec) -> Fidget:
    """Return a pen whose trigger was pressed just now."""
    pen = Fidget(timing=SLOW_FLASH)
    pen.load_new((zone,))
    pen.arm()
    pen.release()
    pen.hold(150)
    pen.press()
    return pen


def at_rest_in(pen: Fidget, state: int) -> None:
    """Fail unless hands did what they were to do, and the pen is in that state and no stroke too many was made."""
    assert pen.left < 0, "nothing was written"
    assert pen.state() == state
    pen.release()
    pen.hold(200)
    pen.check()


@pytest.mark.parametrize("away_ms", [1, 10, 31, 80])
@pytest.mark.parametrize("operation", range(3))
@pytest.mark.parametrize("block", [0, 1])
def test_let_go_for_a_moment_while_strokes_are_reserved_nothing_goes_on(
    block: int, operation: int, away_ms: int
) -> None:
    """Pressed again before the write has ended: the pen couldn't look meanwhile, and the press isn't a fresh one."""
    pen = pressed_in((profiles.NOSE, profiles.NONE, 100, 120, 30))
    if block:
        assert pen.run_until(lambda: sum(pen.needle_strokes().values()) == 50, 10_000)
    pen.fidget(operation, (0.5, "release", None), (away_ms, "press", None))
    pen.hold(3000)
    assert sum(pen.needle_strokes().values()) == 50 * block
    at_rest_in(pen, wire.PAUSED)


@pytest.mark.parametrize("after_ms", range(105, 300, 30))
def test_a_press_that_waits_for_a_write_and_is_let_go_in_it_starts_nothing(after_ms: int) -> None:
    """A fresh press after a burst, while what became of the burst is still to be written."""
    pen = pressed_in((profiles.CHEEK, profiles.LEFT, 500, 60, 2))
    for _ in range(400):
        if pen.plant.report().total.begun == 2 and pen.plant.depth_um() > 0:
            break
        pen.hold(5)
    pen.release()
    pen.run_ms(after_ms)
    pen.press()
    pen.fidget(0, (2, "release", None), (52, "press", None))
    pen.hold(2500)
    assert sum(pen.needle_strokes().values()) == 2
    at_rest_in(pen, wire.PAUSED)


@pytest.mark.parametrize("up_ms", range(20, 200, 12))
def test_a_release_that_nobody_could_see_whole_is_none(up_ms: int) -> None:
    """Up at the look before a write and at the one after it, and down in between."""
    pen = pressed_in((profiles.NOSE, profiles.NONE, 100, 60, 30))
    assert pen.run_until(lambda: sum(pen.needle_strokes().values()) == 3, 5_000)
    pen.fidget(0, (1, "press", None), (1 + up_ms, "release", None), (26 + up_ms, "press", None))
    pen.release()
    pen.hold(2000)
    at_rest_in(pen, wire.PAUSED)


def test_a_press_that_was_not_taken_lends_its_release_to_no_other() -> None:
    """At one stroke a second the last one's rest lasts on, and no press is taken meanwhile."""
    pen = Bench()
    pen.load_new([(profiles.CHEEK, profiles.LEFT, 300, 50, 1)])
    pen.arm()
    pen.hold(200)
    pen.press()
    pen.hold(1300)
    pen.release()
    pen.hold(150)
    pen.press()
    pen.hold(50)
    pen.release()
    pen.run_ms(60)
    pen.press()
    pen.hold(1500)
    pen.release()
    pen.hold(1500)
    pen.check()


# --- other switches during a write ------------------------------------------------------------------------------------
def test_a_cartridge_that_is_changed_during_a_write_ends_the_session() -> None:
    pen = pressed_in((profiles.NOSE, profiles.NONE, 100, 120, 30))
    assert pen.run_until(lambda: sum(pen.needle_strokes().values()) == 50, 10_000)
    pen.fidget(0, (1, "cartridge", False), (90, "cartridge", True))
    pen.hold(3000)
    assert sum(pen.needle_strokes().values()) == 50
    at_rest_in(pen, wire.FAULT)
    assert pen.status()["fault"] == faults.CARTRIDGE_OPENED


@pytest.mark.parametrize("driven", [False, True])
def test_a_stop_that_is_only_tapped_during_a_write_stops(driven: bool) -> None:
    pen = pressed_in((profiles.NOSE, profiles.NONE, 100, 120, 30))
    if not driven:
        # The driver goes off with the lease, and what became of the burst is written after it.
        assert pen.run_until(lambda: sum(pen.needle_strokes().values()) == 10, 10_000)
        pen.run_ms(2_000)
    pen.fidget(0, (1, "stop_button", True), (40, "stop_button", False))
    pen.run_ms(3000)
    pen.release()
    pen.hold(200)
    assert pen.left < 0, "nothing was written"
    assert pen.status()["fault"] in (faults.STOP_BUTTON, faults.STOP_GUARD)
    pen.check()


# --- the trigger held through every transition -----------------------------------------------------------------------
def test_held_while_arming_is_asked_for() -> None:
    pen = loaded()
    pen.press()
    pen.hold(50)
    assert pen.refusal("arm", zone=None) == faults.TRIGGER_HELD
    quiet(pen)
    assert pen.state() == wire.LOADED


@pytest.mark.parametrize("after_ms", [0, 1, 5, 15, 30, 60])
def test_pressed_while_homing(after_ms: int) -> None:
    pen = loaded()
    pen.ask("arm", zone=None)
    pen.run_ms(after_ms)
    if pen.state() == wire.HOMING:
        pen.press()
        pen.run_ms(60)
        assert pen.state() == wire.LOADED
        assert any(note.values.get("code") == faults.TRIGGER_HELD for note in pen.notes)
        assert not pen.plant.energised
    quiet(pen)


@pytest.mark.parametrize("wait_ms", [0, 10, 40, 70, 90])
def test_pressed_too_soon_after_arming(wait_ms: int) -> None:
    """Released for minutes before, but not for 100 ms since the pen is ARMED."""
    pen = loaded()
    pen.insist("arm", zone=None)
    assert pen.run_until(lambda: pen.indicator.shown[0] == wire.ARMED, 1000)
    pen.run_ms(wait_ms)
    pen.press()
    quiet(pen, 1500)
    pen.release()
    pen.allow_zone(0)
    pen.stroke_for(100)
    assert strokes(pen) > 0
    pen.check()


@pytest.mark.parametrize("released_ms", [5, 20, 60, 90, 95])
def test_a_release_that_is_too_short_starts_nothing(released_ms: int) -> None:
    pen = armed()
    pen.stroke_for(200)
    pen.press()
    pen.hold(200)
    pen.release()
    pen.run_ms(released_ms)
    before = strokes(pen)
    pen.press()
    pen.hold(800)
    # The stroke in progress at the release is finished, and the queued one withdrawn.
    assert strokes(pen) <= before + 1
    pen.check()


@pytest.mark.parametrize("released_ms", [115, 130, 300])
def test_a_release_that_is_long_enough_starts_again(released_ms: int) -> None:
    pen = armed()
    pen.stroke_for(200)
    before = strokes(pen)
    pen.press()
    pen.hold(100)
    pen.release()
    pen.hold(released_ms + PERIOD_MS)
    pen.press()
    pen.hold(300)
    assert strokes(pen) > before + 4
    pen.check()


def test_held_through_a_pause_of_the_host() -> None:
    pen = armed()
    pen.hold(150)
    pen.press()
    pen.hold(200)
    pen.ask("pause")
    pen.run_ms(PERIOD_MS)
    quiet(pen, 1000)
    assert pen.state() == wire.PAUSED
    pen.check()


def test_held_through_the_end_of_a_zone_and_into_the_next() -> None:
    pen = armed()
    pen.hold(150)
    pen.press()
    pen.hold(3000)
    assert pen.status()["left"][0] == 0
    quiet(pen)
    pen.select(1)
    quiet(pen)
    pen.release()
    pen.run_ms(60)
    pen.press()
    quiet(pen)
    pen.check()


@pytest.mark.parametrize("from_state", [wire.ARMED, wire.PAUSED])
def test_pressed_while_another_zone_is_made_ready(from_state: int) -> None:
    pen = armed()
    if from_state == wire.PAUSED:
        pen.stroke_for(200)
    pen.hold(200)
    pen.ask("zone.select", zone=1)
    pen.press()
    quiet(pen)
    assert pen.state() == from_state
    pen.check()


def test_held_through_a_lost_lease_and_the_arming_after_it() -> None:
    pen = armed()
    pen.hold(150)
    pen.press()
    pen.run_ms(2600)
    assert pen.indicator.shown == (wire.LOADED, faults.LEASE_EXPIRED)
    quiet(pen)
    assert pen.refusal("arm", zone=None) == faults.TRIGGER_HELD
    pen.release()
    pen.arm()
    quiet(pen)
    pen.check()


def test_held_through_a_stop_and_its_clear() -> None:
    pen = armed()
    pen.may_coast = True
    pen.hold(150)
    pen.press()
    pen.hold(150)
    pen.send(b"\x18")
    pen.run_ms(100)
    quiet(pen)
    pen.recover_from_fault()
    quiet(pen)
    assert pen.refusal("arm", zone=None) == faults.TRIGGER_HELD
    pen.check()


@pytest.mark.parametrize("power", [True, False])
def test_held_through_a_reset_or_a_power_cut(power: bool) -> None:
    pen = armed()
    pen.may_coast = True
    pen.hold(150)
    pen.press()
    pen.hold(150)
    before = strokes(pen)
    if power:
        pen.unpower()
        pen.run_ms(100)
        pen.restart()
    else:
        pen.reset()
        pen.run_ms(100)
        pen.keep_inside()
        pen.hello()
    quiet(pen)
    assert strokes(pen) == before
    pen.run_ms(100)
    pen.load(pen.loaded_data)
    assert pen.refusal("arm", zone=None) == faults.TRIGGER_HELD
    quiet(pen)
    pen.check()


def test_held_through_the_end_of_a_session_and_into_the_next() -> None:
    pen = armed()
    pen.stroke_for(100)
    pen.press()
    pen.hold(100)
    pen.ask("pause")
    pen.hold(200)
    pen.insist("finish")
    pen.wait_for(wire.SAFE)
    quiet(pen)
    pen.pull()
    pen.load_new(ZONES)
    assert pen.refusal("arm", zone=None) == faults.TRIGGER_HELD
    quiet(pen)
    pen.check()


@settings(max_examples=40)
@given(
    presses=st.lists(
        st.tuples(st.integers(1, 160) | st.sampled_from([94, 99, 100, 101, 106]), st.integers(11, 160)), max_size=12
    ),
    select=st.integers(0, 12),
)
def test_a_trigger_that_chatters_starts_nothing_without_a_release(presses: list[tuple[int, int]], select: int) -> None:
    """Ups and downs of random lengths (a down of less than 10 ms is no press, but contact noise).

    The oracle asks for the release before every stroke that begins.
    """
    pen = armed()
    for number, (up_ms, down_ms) in enumerate(presses):
        pen.release()
        pen.run_ms(up_ms)
        pen.press()
        pen.run_ms(down_ms)
        pen.ask("ping")
        if number == select:
            pen.release()
            pen.hold(150)
            pen.select(1)
    pen.release()
    pen.hold(200)
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)


def test_no_request_and_no_answer_starts_a_stroke() -> None:
    """Every request in every state of rest, with a trigger that nobody touches."""
    pen = armed()
    for _ in range(2):
        for method in ("arm", "pause", "finish", "clear", "zone.select", "status", "stop", "load.commit", "arm"):
            params = {"zone": 0} if method in ("arm", "zone.select") else {}
            pen.refusal(method, **params)
            pen.hold(300)
    assert strokes(pen) == 0
    pen.check()


# --- lease and idle time ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("silent_from_ms", range(0, 200, 17))
def test_a_host_that_is_gone_ends_the_burst(silent_from_ms: int) -> None:
    """The last ping falls anywhere into a stroke: it is finished, the driver goes off, the count is right."""
    pen = Bench()
    pen.load_new(((profiles.PERIORBITAL, profiles.LEFT, 150, 300, 30),))
    pen.arm()
    pen.hold(150)
    pen.press()
    pen.hold(100)
    pen.run_ms(silent_from_ms)
    pen.ask("ping")
    heard_at = pen.clock.now
    pen.host.unplug()
    assert pen.run_until(lambda: not pen.plant.energised, 3000)
    silent_ms = (pen.clock.now - heard_at) / TICKS_PER_MS
    assert 2000 <= silent_ms <= 2000 + 2 * PERIOD_MS + 30
    assert pen.plant.depth_um() <= 0
    pen.run_ms(100)
    before = strokes(pen)
    assert pen.indicator.shown == (wire.LOADED, faults.LEASE_EXPIRED)
    pen.run_ms(3000)
    assert strokes(pen) == before
    pen.host.plug()
    pen.release()
    status = pen.status()
    assert (status["made"][0], status["forfeited"][0]) == (before, 0)
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)


@pytest.mark.parametrize("state", [wire.ARMED, wire.PAUSED])
def test_a_host_that_is_gone_ends_an_arming(state: int) -> None:
    pen = armed()
    if state == wire.PAUSED:
        pen.stroke_for(100)
    pen.ask("ping")
    heard_at = pen.clock.now
    assert pen.run_until(lambda: not pen.plant.energised, 3000)
    # The answer came in the turn that heard the ping: to the millisecond.
    assert 2000 <= (pen.clock.now - heard_at) / TICKS_PER_MS < 2001
    assert pen.indicator.shown == (wire.LOADED, faults.LEASE_EXPIRED)
    pen.press()
    pen.run_ms(500)
    assert pen.state() == wire.LOADED
    pen.check()


def test_the_lease_is_not_lost_to_the_pens_own_flash() -> None:
    """The host is silent for just under the lease around a slow write: the burst goes on."""
    pen = armed()
    pen.hold(150)
    pen.press()
    pen.ask("ping")
    pen.run_ms(1950)
    assert pen.state() == wire.RUNNING
    pen.release()
    pen.check()


def test_fifteen_minutes_without_a_stroke_end_an_arming() -> None:
    pen = armed()
    pen.stroke_for(100)
    for _ in range(600):
        pen.ask("ping")
        pen.run_ms(1490)
        assert pen.plant.energised
    for _ in range(6):
        pen.ask("ping")
        pen.run_ms(1490)
    assert pen.indicator.shown == (wire.LOADED, faults.IDLE_TIMEOUT)
    assert not pen.plant.energised
    pen.press()
    quiet(pen)
    pen.check()
