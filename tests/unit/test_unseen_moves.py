"""What hands do while flash is written, when nobody can look: as if the switch had been let go, never as a consent."""

from collections.abc import Callable

import pytest

from pencore import faults, ledger, signals, wire
from pencore.consent import RELEASE_MS, CartridgeSwitch, Trigger
from pencore.ledger import Entry
from tests.portable.ideal_pen import IdealPen
from tests.unit.test_runner import in_state, state_of

UP, DOWN = False, True


def released(start_ms: int) -> Trigger:
    """Return an armed trigger that has been up for long enough."""
    trigger = Trigger()
    trigger.sample(UP, start_ms)
    trigger.rearm(start_ms)
    trigger.sample(UP, start_ms + RELEASE_MS & 0xFFFFFFFF)
    return trigger


@pytest.mark.parametrize("level", [UP, DOWN])
def test_a_trigger_that_moved_unseen_is_up_whatever_is_seen_next(level: bool) -> None:
    trigger = released(0)
    trigger.sample(DOWN, 110)
    trigger.sample(DOWN, 130)
    assert trigger.wants()
    trigger.missed(200)
    assert not trigger.down
    trigger.sample(level, 200)
    assert not trigger.down
    assert not trigger.wants()


def test_a_press_that_was_not_seen_to_begin_is_none_however_long_it_lasts() -> None:
    trigger = released(0)
    trigger.missed(150)
    for now_ms in range(150, 1_000):
        trigger.sample(DOWN, now_ms)
        assert not trigger.wants()


def test_a_release_that_was_not_seen_whole_is_none() -> None:
    """It may have begun any time before: what counts begins with the first look after."""
    trigger = Trigger()
    trigger.sample(UP, 0)
    trigger.rearm(0)
    trigger.missed(90)
    for now_ms in (90, 91, 100, 189):
        trigger.sample(UP, now_ms)
    trigger.sample(DOWN, 189)
    trigger.sample(DOWN, 300)
    assert not trigger.wants()
    trigger.sample(UP, 301)
    trigger.sample(UP, 301 + RELEASE_MS)
    trigger.sample(DOWN, 410)
    trigger.sample(DOWN, 420)
    assert trigger.wants()


def test_a_press_unseen_after_a_whole_release_needs_another() -> None:
    trigger = released(0)
    trigger.missed(120)
    trigger.sample(UP, 120)
    trigger.sample(DOWN, 130)
    trigger.sample(DOWN, 160)
    assert not trigger.wants()


def test_a_holder_that_was_open_unseen_closes_anew() -> None:
    switch = CartridgeSwitch()
    switch.sample(True, 0)
    switch.sample(True, 50)
    closed = [switch.closed]
    switch.missed()
    closed.append(switch.closed)
    for now_ms in (60, 69, 70):
        switch.sample(True, now_ms)
        closed.append(switch.closed)
    assert closed == [True, False, False, False, True]
    assert not switch.changed, "that may have been contact noise"


@pytest.mark.parametrize("unseen", ["the opening", "the closing"])
def test_a_holder_that_was_seen_open_has_been_changed(unseen: str) -> None:
    switch = CartridgeSwitch()
    switch.sample(True, 0)
    switch.sample(True, 50)
    if unseen == "the opening":
        switch.missed()
        switch.sample(False, 60)
        switch.sample(False, 70)
    else:
        switch.sample(False, 60)
        switch.sample(False, 75)
        switch.missed()
    for now_ms in (100, 110):
        switch.sample(True, now_ms)
    assert switch.closed
    assert switch.changed


@pytest.mark.parametrize("low_ms", range(1, 10))
@pytest.mark.parametrize("when", ["at boot", "after a write"])
def test_contact_noise_at_a_first_look_is_no_change(when: str, low_ms: int) -> None:
    """Nothing is known of what was before: a used cartridge that stays in must not count as changed."""
    switch = CartridgeSwitch()
    if when == "after a write":
        switch.sample(True, 0)
        switch.sample(True, 50)
        switch.missed()
    for now_ms in range(100, 100 + low_ms):
        switch.sample(False, now_ms)
    for now_ms in range(100 + low_ms, 200):
        switch.sample(True, now_ms)
    assert switch.closed
    assert not switch.changed


def test_one_look_at_an_open_holder_is_no_change_however_late_the_next_comes() -> None:
    switch = CartridgeSwitch()
    switch.sample(False, 0)
    for now_ms in (15, 30, 45):
        switch.sample(True, now_ms)
    assert switch.closed
    assert not switch.changed


def test_a_holder_that_moved_unseen_is_looked_at_at_once() -> None:
    switch = CartridgeSwitch()
    switch.sample(True, 0)
    switch.sample(True, 50)
    assert switch.wait_ms(60) > 1_000
    switch.missed()
    assert switch.wait_ms(60) == 1
    switch.sample(False, 61)
    assert switch.wait_ms(61) == 10
    switch.sample(False, 71)
    assert switch.wait_ms(71) > 1_000


def test_a_press_that_is_taken_back_before_it_counts_is_none() -> None:
    """`down` lasts until a release is seen; what is up at the last look starts nothing."""
    trigger = released(0)
    trigger.sample(DOWN, 110)
    trigger.sample(DOWN, 120)
    assert trigger.wants()
    trigger._level = UP
    assert not trigger.wants()


# --- in a write of the pen --------------------------------------------------------------------------------------------
def during_the_next_write(pen: IdealPen, act: Callable[[], None]) -> None:
    """Let `act` happen while flash is written the next time."""
    append = pen.store.append

    def busy(name: str, data: bytes) -> None:
        pen.store.append = append  # type: ignore[method-assign]  # once
        append(name, data)
        act()

    pen.store.append = busy  # type: ignore[method-assign]  # for one write


def flick(pen: IdealPen, bit: int) -> Callable[[], None]:
    """Return what changes an input and at once changes it back."""

    def act() -> None:
        pen.inputs.level ^= bit
        pen.inputs.level ^= bit

    return act


def write(pen: IdealPen) -> None:
    pen.runner.append([Entry(ledger.CLOCK, aux=1)])


def test_a_trigger_that_moved_in_a_write_is_up() -> None:
    pen = in_state("ARMED")
    pen.advance(200)
    pen.set_level(signals.TRIGGER, True)
    pen.advance(5)
    during_the_next_write(pen, flick(pen, signals.TRIGGER))
    write(pen)
    assert not pen.runner.trigger.down
    pen.advance(600)
    assert state_of(pen) == "ARMED"
    assert pen.needle.strokes == 0


def test_a_holder_that_was_open_in_a_write_has_been_opened() -> None:
    pen = in_state("PAUSED")
    during_the_next_write(pen, flick(pen, signals.CARTRIDGE))
    write(pen)
    assert not pen.runner.cartridge.closed
    pen.step()
    assert pen.runner.fault_code == faults.CARTRIDGE_OPENED


def test_a_stop_button_pressed_and_let_go_in_a_write_stops() -> None:
    pen = in_state("PAUSED")
    during_the_next_write(pen, flick(pen, signals.STOP))
    write(pen)
    # A task and a request may each write in one turn.
    write(pen)
    pen.step()
    assert pen.runner.fault_code == faults.STOP_BUTTON
    assert pen.runner.state == wire.FAULT


@pytest.mark.parametrize("bit", [signals.TRIGGER, signals.STOP, signals.CARTRIDGE])
def test_what_moved_before_a_write_was_seen_and_moves_nothing_in_it(bit: int) -> None:
    """Seen by its samples, and not told a second time."""
    pen = in_state("PAUSED")
    flick(pen, bit)()
    write(pen)
    assert pen.runner.cartridge.closed
    assert not pen.runner._stopped
    pen.advance(20)
    assert state_of(pen) == "PAUSED"


def test_nothing_is_credited_after_a_stop_button_in_the_very_turn_of_its_write() -> None:
    pen = in_state("RUNNING")
    runner = pen.runner
    work, motion = runner.session, runner.motion
    assert work is not None
    assert motion is not None
    while motion.queued:
        pen.set_level(signals.TRIGGER, True)
        runner._take_evidence()
        pen.time.total_ms += 1
        pen.engine.poll()
    assert work.outstanding()
    credited = pen.log.entries.count(["credit"])
    assert credited
    runner._stopped = True
    runner._drive()
    assert pen.log.entries.count(["credit"]) == credited
    runner._stopped = False
    runner._drive()
    assert pen.log.entries.count(["credit"]) == credited + 1
