"""Only a fresh press on the pen starts strokes: after 100 ms of release in that same state, with a host that lives.

The oracle holds every beginning stroke against that rule by itself (`NO_CONSENT`, `NO_LEASE`); what it can't know, that
a state was left and entered again, is counted here.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore import faults, wire
from pensim.clock import TICKS_PER_MS
from pensim.flash import WORST_TIMING
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
