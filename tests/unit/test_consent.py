"""`pencore.consent`: what is a press, what is a release, what is a changed cartridge; at every wrap of the clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pencore.consent import RELEASE_MS, CartridgeSwitch, Trigger
from pencore.units import ms_add

STARTS = [0, 1_000, 2**30 - 60, 2**31 - 60, 2**32 - 200, 2**32 - 100, 2**32 - 60, 2**32 - 5]
UP, DOWN = False, True

starts = pytest.mark.parametrize("start_ms", STARTS)


class Finger:
    """A trigger sampled every millisecond by a pen that has been on for `start_ms`."""

    def __init__(self, start_ms: int) -> None:
        self.trigger = Trigger()
        self.now_ms = start_ms

    def hold(self, level: bool, span_ms: int) -> bool:
        """Keep the level for so long; return whether it was a consent at any time."""
        wanted = False
        for _ in range(span_ms):
            self.trigger.sample(level, self.now_ms)
            wanted = wanted or self.trigger.wants()
            self.now_ms = ms_add(self.now_ms, 1)
        return wanted

    def rearm(self) -> None:
        self.trigger.rearm(self.now_ms)


def armed(start_ms: int) -> Finger:
    finger = Finger(start_ms)
    finger.hold(UP, 300)
    finger.rearm()
    return finger


def test_the_release_that_is_asked_for() -> None:
    assert RELEASE_MS == 100


@starts
@pytest.mark.parametrize(("release_ms", "consent"), [(0, False), (1, False), (99, False), (100, False), (101, True)])
def test_a_press_after_100_ms_of_release_is_a_consent(start_ms: int, release_ms: int, consent: bool) -> None:
    """Sampled each millisecond, 101 samples span 100 ms."""
    finger = armed(start_ms)
    assert not finger.hold(UP, release_ms)
    assert finger.hold(DOWN, 11) == consent
    if not consent:
        assert not finger.hold(DOWN, 5_000), "held on, it never becomes one"
        assert not finger.hold(UP, 101)
        assert finger.hold(DOWN, 11)


@starts
@pytest.mark.parametrize(("press_ms", "consent"), [(1, False), (10, False), (11, True)])
def test_a_press_lasts_ten_milliseconds(start_ms: int, press_ms: int, consent: bool) -> None:
    finger = armed(start_ms)
    finger.hold(UP, 150)
    assert finger.hold(DOWN, press_ms) == consent
    assert not finger.hold(UP, 1)
    assert not finger.trigger.down


@starts
def test_a_trigger_held_from_before_is_no_consent(start_ms: int) -> None:
    finger = Finger(start_ms)
    finger.hold(DOWN, 500)
    finger.rearm()
    assert not finger.hold(DOWN, 3_000)
    assert not finger.hold(UP, 101)
    assert finger.hold(DOWN, 11)


@starts
def test_a_release_in_an_earlier_state_does_not_count(start_ms: int) -> None:
    finger = armed(start_ms)
    finger.hold(UP, 5_000)
    finger.rearm()
    finger.hold(UP, 99)
    assert not finger.hold(DOWN, 1_000)


@starts
def test_nothing_is_a_consent_without_rearming(start_ms: int) -> None:
    finger = Finger(start_ms)
    assert not finger.hold(UP, 500)
    assert not finger.hold(DOWN, 500)
    finger = armed(start_ms)
    finger.hold(UP, 200)
    finger.trigger.disarm()
    assert not finger.hold(DOWN, 500)
    assert not finger.hold(UP, 500)
    assert not finger.hold(DOWN, 500)


@starts
def test_a_press_that_cannot_be_a_consent_counts_at_its_first_sample(start_ms: int) -> None:
    """Where it can only be in the way (while arming), it is seen at once, however long the release before it was."""
    finger = Finger(start_ms)
    finger.hold(UP, 500)
    assert not finger.trigger.down
    finger.hold(DOWN, 1)
    assert finger.trigger.down


@starts
def test_a_release_counts_at_its_first_sample(start_ms: int) -> None:
    """Stopping needs no second thought: one sample up ends a burst."""
    finger = armed(start_ms)
    finger.hold(UP, 150)
    finger.hold(DOWN, 50)
    assert finger.trigger.down
    finger.trigger.sample(UP, finger.now_ms)
    assert not finger.trigger.down


@starts
@pytest.mark.parametrize("bounce_ms", [1, 3, 9])
def test_chatter_is_no_release_and_no_press(start_ms: int, bounce_ms: int) -> None:
    finger = armed(start_ms)
    wanted = False
    for _ in range(200):
        wanted = finger.hold(UP, bounce_ms) or wanted
        wanted = finger.hold(DOWN, bounce_ms) or wanted
    assert not wanted
    assert not finger.hold(UP, 99)
    assert not finger.hold(DOWN, 50)


@starts
def test_a_new_pen_takes_the_trigger_for_held(start_ms: int) -> None:
    assert Trigger().down
    finger = Finger(start_ms)
    finger.hold(DOWN, 1)
    assert finger.trigger.down
    finger.hold(UP, 1)
    assert not finger.trigger.down


@starts
def test_the_trigger_says_when_it_has_to_be_looked_at_again(start_ms: int) -> None:
    """Called just when it asks to be, it decides as if it were called every millisecond."""
    finger = armed(start_ms)
    finger.trigger.sample(UP, finger.now_ms)
    assert finger.trigger.wait_ms(finger.now_ms) == 100
    finger.now_ms = ms_add(finger.now_ms, 100)
    finger.trigger.sample(UP, finger.now_ms)
    assert finger.trigger.wait_ms(finger.now_ms) >= 1_000
    finger.trigger.sample(DOWN, finger.now_ms)
    assert not finger.trigger.wants()
    assert finger.trigger.wait_ms(finger.now_ms) == 10
    finger.now_ms = ms_add(finger.now_ms, 10)
    finger.trigger.sample(DOWN, finger.now_ms)
    assert finger.trigger.wants()
    assert finger.trigger.wait_ms(finger.now_ms) >= 1_000


@given(
    start_ms=st.sampled_from(STARTS),
    spans=st.lists(st.tuples(st.booleans(), st.integers(1, 130)), max_size=12),
    rearm_at=st.integers(0, 11),
)
def test_a_consent_has_its_release_behind_it(start_ms: int, spans: list[tuple[bool, int]], rearm_at: int) -> None:
    """Against the plain reading: 100 ms up without a break after rearming, then 10 ms down without a break."""
    finger = Finger(start_ms)
    levels: list[bool] = []
    armed_from = None
    for index, (level, span_ms) in enumerate(spans):
        if index == rearm_at:
            finger.rearm()
            armed_from = len(levels)
        for _ in range(span_ms):
            finger.hold(level, 1)
            levels.append(level)
            assert finger.trigger.wants() == (armed_from is not None and consents(levels[armed_from:]))


def consents(levels: list[bool]) -> bool:
    """Return whether these samples, one a millisecond since rearming, end in a consent."""
    released = False
    up = down = 0
    for level in levels:
        if level:
            up, down = 0, down + 1
            continue
        # Bounces amid a long release don't undo it; a press that nobody took does.
        released = released and down < 10
        up, down = up + 1, 0
        released = released or up >= 101
    return released and down >= 11


def test_a_press_that_was_looked_at_once_takes_the_release_before_it() -> None:
    """The next look finds it up again: in between flash was written."""
    trigger = Trigger()
    trigger.sample(UP, 0)
    trigger.rearm(0)
    trigger.sample(UP, 150)
    trigger.sample(DOWN, 200)
    trigger.sample(UP, 262)
    trigger.sample(DOWN, 312)
    trigger.sample(DOWN, 325)
    assert not trigger.wants()


# --- the cartridge switch ---------------------------------------------------------------------------------------------
class Holder:
    """A cartridge holder sampled every millisecond."""

    def __init__(self, start_ms: int, closed: bool) -> None:
        self.switch = CartridgeSwitch()
        self.now_ms = start_ms
        self.hold(closed, 50)

    def hold(self, closed: bool, span_ms: int) -> None:
        for _ in range(span_ms):
            self.switch.sample(closed, self.now_ms)
            self.now_ms = ms_add(self.now_ms, 1)


OPEN, CLOSED = False, True


@starts
def test_a_cartridge_that_was_there_at_power_up_has_not_changed(start_ms: int) -> None:
    """It may have been swapped without power; it may have been used: only what is seen counts."""
    holder = Holder(start_ms, CLOSED)
    assert holder.switch.closed
    assert not holder.switch.changed


@starts
def test_opening_and_closing_under_power_is_a_change(start_ms: int) -> None:
    holder = Holder(start_ms, CLOSED)
    holder.hold(OPEN, 20)
    assert (holder.switch.closed, holder.switch.changed) == (False, False)
    holder.hold(CLOSED, 20)
    assert (holder.switch.closed, holder.switch.changed) == (True, True)
    holder.hold(OPEN, 20)
    assert not holder.switch.changed, "an open holder has no cartridge, changed or not"


@starts
def test_closing_a_holder_that_was_open_at_power_up_is_a_change(start_ms: int) -> None:
    holder = Holder(start_ms, OPEN)
    assert not holder.switch.closed
    holder.hold(CLOSED, 20)
    assert holder.switch.changed


@starts
def test_a_used_cartridge_must_be_changed_again(start_ms: int) -> None:
    holder = Holder(start_ms, OPEN)
    holder.hold(CLOSED, 20)
    holder.switch.used()
    assert not holder.switch.changed
    holder.hold(CLOSED, 5_000)
    assert not holder.switch.changed
    holder.hold(OPEN, 20)
    holder.hold(CLOSED, 20)
    assert holder.switch.changed


@starts
def test_a_session_that_ends_with_the_holder_open_needs_only_a_closing(start_ms: int) -> None:
    holder = Holder(start_ms, CLOSED)
    holder.hold(OPEN, 20)
    holder.switch.used()
    holder.hold(CLOSED, 20)
    assert holder.switch.changed


@starts
@pytest.mark.parametrize(("span_ms", "seen"), [(1, False), (10, False), (11, True)])
def test_contact_noise_is_neither_opening_nor_closing(start_ms: int, span_ms: int, seen: bool) -> None:
    holder = Holder(start_ms, CLOSED)
    holder.hold(OPEN, span_ms)
    assert holder.switch.closed != seen
    holder.hold(CLOSED, 20)
    assert holder.switch.changed == seen
    for _ in range(100):
        holder.hold(OPEN, 5)
        holder.hold(CLOSED, 5)
    assert holder.switch.closed
    assert holder.switch.changed == seen


@starts
def test_the_switch_says_when_it_has_to_be_looked_at_again(start_ms: int) -> None:
    holder = Holder(start_ms, CLOSED)
    assert holder.switch.wait_ms(holder.now_ms) >= 1_000
    holder.switch.sample(OPEN, holder.now_ms)
    assert holder.switch.wait_ms(holder.now_ms) == 10
    assert holder.switch.wait_ms(ms_add(holder.now_ms, 30)) == 1
