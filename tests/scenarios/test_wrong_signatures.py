"""Who guesses at a clinic's key is slowed down, and nobody is shut out for longer than a minute."""

from typing import Any

import pytest

from pencore import faults, profile
from pencore.faults import Refusal
from tests.scenarios.test_clock_correction import KEY, KEY_ID, signed, with_key
from tests.support import profiles
from tests.support.bench import Bench

WRONG = bytes(32)[:-1] + b"\x01"


def profile_with(pen: Bench, key: bytes) -> bytes:
    """Return a profile for the pen's next session, signed with `key`."""
    return profile.encode(profiles.make(pen.greeting), KEY_ID, key)


def loaded(pen: Bench, data: bytes) -> Refusal | None:
    """Return how a profile is refused, or None."""
    try:
        pen.load(data)
    except Refusal as refusal:
        return refusal
    return None


def waits(pen: Bench) -> int:
    """Return the seconds that the pen wants to wait before it looks at a signature again; 0: it looks."""
    refusal = loaded(pen, profile_with(pen, WRONG))
    assert refusal is not None
    assert refusal.code in (faults.SIGNATURE_WAIT, faults.SIGNATURE_WRONG)
    return refusal.given or 0 if refusal.code == faults.SIGNATURE_WAIT else 0


@pytest.fixture
def pen() -> Bench:
    pen = with_key()
    pen.change_cartridge()
    pen.hello()
    return pen


def test_after_five_each_wrong_one_doubles_the_wait_up_to_a_minute(pen: Bench) -> None:
    assert [waits(pen) for _ in range(5)] == [0] * 5
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        assert waits(pen) == seconds
        pen.run_ms(seconds * 1000 - 200)
        assert waits(pen) == 1, "asking meanwhile neither helps nor prolongs"
        pen.run_ms(200)
        assert waits(pen) == 0


def test_the_right_one_waits_as_well_and_forgets_nothing(pen: Bench) -> None:
    """Whoever has recorded what the clinic signed, for any of its pens, has right ones without end."""
    for _ in range(5):
        waits(pen)
    right = profile_with(pen, KEY)
    refusal = loaded(pen, right)
    assert refusal is not None
    assert (refusal.code, refusal.field, refusal.given) == (faults.SIGNATURE_WAIT, "hmac", 1)
    pen.run_ms(1000)
    assert loaded(pen, right) is None
    assert [waits(pen) for _ in range(3)] == [0, 2, 2]
    pen.run_ms(2000)
    assert loaded(pen, right) is None
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)


def test_old_profiles_rightly_signed_end_no_wait(pen: Bench) -> None:
    """As many guesses as there are: six of them are looked at."""
    old = profile_with(pen, KEY)
    pen.load(old)
    pen.finish_session()
    pen.change_cartridge()
    pen.hello()
    looked = 0
    for _ in range(12):
        looked += sum(waits(pen) == 0 for _ in range(4))
        refusal = loaded(pen, old)
        assert refusal is not None
        assert refusal.code in (faults.PROFILE_SESSION_ID, faults.SIGNATURE_WAIT)
    assert looked == 5


def test_ten_minutes_without_a_wrong_one_forget_all(pen: Bench) -> None:
    def five_and_a_wait() -> None:
        assert [waits(pen) for _ in range(5)] == [0] * 5
        assert waits(pen) == 1

    five_and_a_wait()
    pen.run_ms(599_000)
    assert waits(pen) == 0, "the sixth"
    assert waits(pen) == 2
    pen.run_ms(600_000)
    five_and_a_wait()


def test_a_correction_of_the_time_counts_and_waits_with_the_profiles(pen: Bench) -> None:
    def corrected(**changes: Any) -> int:
        return pen.refusal("clock.correct", **{**signed(pen, profiles.NOW), **changes})

    for _ in range(3):
        assert waits(pen) == 0
    for _ in range(2):
        assert corrected(hmac="0" * 64) == faults.SIGNATURE_WRONG
    assert waits(pen) == 1
    assert corrected() == faults.SIGNATURE_WAIT
    pen.run_ms(1000)
    pen.insist("clock.correct", **signed(pen, profiles.NOW))


def test_what_is_not_signed_or_of_another_key_is_no_guess(pen: Bench) -> None:
    for _ in range(10):
        for key_id, code in ((0, faults.SIGNATURE_MISSING), (KEY_ID + 1, faults.KEY_UNKNOWN)):
            refusal = loaded(pen, profile.encode(profiles.make(pen.greeting), key_id, KEY if key_id else b""))
            assert refusal is not None
            assert refusal.code == code
    assert waits(pen) == 0


def test_a_new_boot_forgets(pen: Bench) -> None:
    """Who can cut the power can open the case."""
    for _ in range(5):
        waits(pen)
    assert waits(pen) == 1
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.change_cartridge()
    assert waits(pen) == 0


@pytest.mark.parametrize("edge", [2**31, 2**32])
def test_a_wait_that_the_clock_wraps_in_ends(edge: int) -> None:
    pen = with_key(start_ms=edge - 1_500)
    pen.change_cartridge()
    pen.hello()
    for _ in range(6):
        waits(pen)
    pen.run_ms(900)
    waits(pen)
    assert waits(pen) in (1, 2)
    pen.run_ms(2_000)
    assert waits(pen) == 0
