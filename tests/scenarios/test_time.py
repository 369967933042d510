"""The pen has no clock (I11): which times it takes from a profile, and what gets a clinic out of a wrong one.

Times are seconds since 1970, UTC. What a leap day or a year is, is reckoned by the calendar of the standard library.
"""

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pencore import course, faults, profile, wire
from pencore.faults import Refusal
from pencore.units import U32_MAX
from tests.scenarios.test_clock_correction import KEY, KEY_ID, with_key
from tests.support import flash_files, profiles
from tests.support.bench import Bench

DAY_S = 86_400
ONE_ZONE = ((profiles.CHEEK, profiles.LEFT, 300, 5, 30),)
FAR_DAY = 0xFFFF
"""The last day of expiry that a profile can name: in 2149."""


def at(text: str) -> int:
    """Return the seconds since 1970 of a moment, UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def load(pen: Bench, issued_at: int, **fields: Any) -> int:
    """Load a profile of a course of its own, signed; return the code of its refusal, 0 for none."""
    number = pen.hello()["session_id"]
    wanted = {"issued_at": issued_at, "expires_day": FAR_DAY, "course_id": f"K-{number}", "course_index": 1, **fields}
    before = pen.snapshot_flash()
    try:
        pen.load(profile.encode(profiles.make(pen.greeting, ONE_ZONE, **wanted), KEY_ID, KEY))
    except Refusal as refusal:
        assert pen.snapshot_flash() == before
        assert not pen.plant.driver_enabled()
        return refusal.code
    return 0


def play(pen: Bench, issued_at: int, **fields: Any) -> None:
    """Play a session of that time, which the pen has to take."""
    pen.change_cartridge()
    assert load(pen, issued_at, **fields) == 0
    pen.finish_session()
    pen.pull()


def correct(pen: Bench, time_s: int, reason: str = "the laptop was years ahead") -> int:
    """Correct the pen's time, signed; return the code of its refusal, 0 for none."""
    said = pen.hello()

    def signature(request_id: int) -> str:
        return course.correction_hmac(KEY, said["serial"], said["nonce"], request_id, time_s, reason).hex()

    return pen.refusal("clock.correct", time=time_s, reason=reason, key_id=KEY_ID, hmac=signature)


def pen_at(floor_s: int) -> Bench:
    """Return a pen that was last told `floor_s`, with a new cartridge."""
    pen = with_key()
    play(pen, floor_s)
    pen.change_cartridge()
    assert pen.hello()["time_floor"] == floor_s
    return pen


FLOORS = {
    "any day": profiles.NOW,
    "before a leap day": at("2028-02-28T12:00:00"),
    "on a leap day": at("2028-02-29T23:59:59"),
    "before 2038": 2**31 - 20 * DAY_S,
    "the last second before 2038": 2**31 - 1,
    "before the end of February 2100, which is no leap year": at("2100-02-28T12:00:00"),
}


@pytest.mark.parametrize("floor_s", FLOORS.values(), ids=FLOORS.keys())
def test_forty_five_days_ahead_and_not_a_second_back(floor_s: int) -> None:
    pen = pen_at(floor_s)
    ahead = {
        0: 0,
        1: 0,
        44 * DAY_S: 0,
        45 * DAY_S - 1: 0,
        45 * DAY_S: 0,
        45 * DAY_S + 1: faults.TIME_JUMP,
        46 * DAY_S: faults.TIME_JUMP,
        3652 * DAY_S: faults.TIME_JUMP,
        -1: faults.TIME_BACK,
        -DAY_S: faults.TIME_BACK,
    }
    for by_s, code in ahead.items():
        if floor_s + by_s > U32_MAX:
            continue
        assert load(pen, floor_s + by_s) == code, by_s
        if code == 0:
            # Taken, and unloaded without a stroke: that moves no time.
            pen.insist("finish")
            assert pen.hello()["time_floor"] == floor_s
    pen.check()


def test_a_day_is_a_day_over_leap_days_and_years_without() -> None:
    """45 days are so many seconds: one calendar day less where there is a 29 February."""
    for start, last in (("2028-02-20", "2028-04-05"), ("2027-02-20", "2027-04-06"), ("2100-02-20", "2100-04-06")):
        floor_s = at(f"{start}T10:00:00")
        assert floor_s + 45 * DAY_S == at(f"{last}T10:00:00")
        pen = pen_at(floor_s)
        assert load(pen, at(f"{last}T10:00:00")) == 0
        pen.insist("finish")
        assert load(pen, at(f"{last}T10:00:01")) == faults.TIME_JUMP


def test_an_interval_over_a_leap_day() -> None:
    first = at("2028-02-10T09:00:00")
    pen = pen_at(first)
    again = {"course_id": "K-1", "course_index": 2}
    due = datetime(2028, 2, 10, 9, tzinfo=UTC) + timedelta(days=30)
    assert due.isoformat() == "2028-03-11T09:00:00+00:00"
    assert load(pen, int(due.timestamp()) - 1, **again) == faults.COURSE_TOO_EARLY
    assert load(pen, int(due.timestamp()), **again) == 0
    pen.check()


def test_a_cartridge_that_expires_on_a_leap_day_is_good_until_its_end() -> None:
    last_day = at("2028-02-29T00:00:00") // DAY_S
    pen = pen_at(at("2028-02-20T10:00:00"))
    assert load(pen, at("2028-02-29T23:59:59"), expires_day=last_day) == 0
    pen.insist("finish")
    assert load(pen, at("2028-03-01T00:00:00"), expires_day=last_day) == faults.CARTRIDGE_EXPIRED


def test_over_2038_and_up_to_the_last_second_there_is() -> None:
    """Times are 32 bits without a sign: the middle is no end, and the end wraps nothing."""
    pen = pen_at(2**31 - 10 * DAY_S)
    play(pen, 2**31 + 20 * DAY_S)
    pen.change_cartridge()
    assert pen.sealed[2].start_s == 2**31 + 20 * DAY_S
    assert load(pen, 2**31 - 1) == faults.TIME_BACK
    assert correct(pen, U32_MAX - 10 * DAY_S, "to see the end") == 0
    play(pen, U32_MAX)
    pen.change_cartridge()
    assert pen.hello()["time_floor"] == U32_MAX
    assert load(pen, 0) == faults.TIME_BACK
    assert load(pen, U32_MAX - 1) == faults.TIME_BACK
    assert load(pen, U32_MAX) == 0
    with pytest.raises(Refusal) as caught:
        profile.encode(profiles.make(pen.greeting, issued_at=U32_MAX + 1))
    assert (caught.value.code, caught.value.field) == (faults.WIRE_BAD_PARAM, "issued_at")
    pen.check(exact=True)


def test_no_time_before_the_calibration() -> None:
    pen = with_key()
    pen.change_cartridge()
    calibrated_at = pen.hello()["calibrated_at"]
    assert load(pen, calibrated_at - 1) == faults.TIME_BACK
    assert correct(pen, calibrated_at - 1) == faults.TIME_BACK
    assert correct(pen, calibrated_at) == 0
    assert load(pen, calibrated_at) == 0


# --- a laptop that was years ahead -----------------------------------------------------------------------------------
def test_a_clock_that_was_years_ahead_shuts_nobody_out() -> None:
    """The first session of a new pen, by a laptop in 2036; then the laptop is set right."""
    now = profiles.NOW
    ahead = now + 3652 * DAY_S
    pen = with_key()
    play(pen, ahead)
    pen.change_cartridge()
    assert load(pen, now) == faults.TIME_BACK
    before = pen.hello()["time_floor"]
    assert before == ahead
    reason = "the laptop was years ahead"
    assert correct(pen, now, reason) == 0
    kept = flash_files.journal(pen.snapshot_flash())
    assert (kept.time_floor_s, kept.corrected_from_s, kept.correction_crc) == (now, ahead, zlib.crc32(reason.encode()))
    # From here on as on any other pen: other courses at once, their intervals by the right time, the usual window.
    play(pen, now + 3600, course_id="K-new")
    play(pen, now + DAY_S)
    pen.change_cartridge()
    again = {"course_id": "K-new", "course_index": 2}
    due = now + 3600 + 30 * DAY_S
    assert load(pen, due - 1, **again) == faults.COURSE_TOO_EARLY
    assert load(pen, now + 47 * DAY_S) == faults.TIME_JUMP
    play(pen, due, **again)
    assert [pen.sealed[number].start_s for number in (1, 2, 3, 4)] == [ahead, now + 3600, now + DAY_S, due]
    pen.check(exact=True)


def test_the_correction_is_still_in_force_after_a_power_cut() -> None:
    pen = pen_at(profiles.NOW + 3652 * DAY_S)
    assert correct(pen, profiles.NOW) == 0
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    play(pen, profiles.NOW)
    pen.check(exact=True)


def test_without_the_key_nobody_moves_the_time() -> None:
    pen = pen_at(profiles.NOW)
    for key_id, code in ((0, faults.SIGNATURE_MISSING), (KEY_ID + 1, faults.KEY_UNKNOWN), (KEY_ID, None)):
        before = pen.snapshot_flash()
        found = pen.refusal("clock.correct", time=profiles.NOW - 1, reason="-", key_id=key_id, hmac="00" * 32)
        assert found == (faults.SIGNATURE_WRONG if code is None else code)
        assert pen.snapshot_flash() == before
    assert pen.hello()["time_floor"] == profiles.NOW


def test_a_course_begun_years_ahead_goes_on_an_interval_after_the_correction() -> None:
    """Later than its session really was, so that no interval is too short."""
    now = profiles.NOW
    pen = with_key()
    play(pen, now + 3652 * DAY_S, course_id="K-1")
    pen.change_cartridge()
    assert correct(pen, now) == 0
    play(pen, now + 20 * DAY_S)
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.change_cartridge()
    again = {"course_id": "K-1", "course_index": 2}
    assert load(pen, now + 30 * DAY_S - 1, **again) == faults.COURSE_TOO_EARLY
    assert load(pen, now + 30 * DAY_S, **again) == 0


@pytest.mark.parametrize("after_ms", range(0, 200, 20))
def test_a_cut_after_a_correction_changes_nothing_of_that(after_ms: int) -> None:
    """The correction alone is written: the course itself stays as it was sealed."""
    now = profiles.NOW
    pen = with_key()
    play(pen, now + 3652 * DAY_S, course_id="K-1")
    pen.change_cartridge()
    assert correct(pen, now) == 0
    pen.run_ms(after_ms)
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.run_ms(1_500)
    pen.change_cartridge()
    again = {"course_id": "K-1", "course_index": 2}
    assert load(pen, now + 30 * DAY_S - 1, **again) == faults.COURSE_TOO_EARLY
    assert load(pen, now + 30 * DAY_S, **again) == 0


def test_a_course_that_was_passed_by_its_clock_s_time_is_not_shut_for_another_interval() -> None:
    """50 days ahead when it was held: what the clock showed then means nothing, also once it has come."""
    now = profiles.NOW
    pen = with_key()
    play(pen, now)
    pen.change_cartridge()
    assert correct(pen, now + 50 * DAY_S) == 0
    play(pen, now + 50 * DAY_S, course_id="K-ahead")
    pen.change_cartridge()
    assert correct(pen, now) == 0
    for days in (40, 60):
        play(pen, now + days * DAY_S)
    pen.change_cartridge()
    assert load(pen, now + 60 * DAY_S, course_id="K-ahead", course_index=2) == 0


def test_a_correction_back_by_mistake_and_forward_again_shortens_no_interval() -> None:
    """A laptop whose battery was flat, believed for a day."""
    now = profiles.NOW
    pen = with_key()
    play(pen, now, course_id="K-1")
    pen.change_cartridge()
    assert correct(pen, now - 60 * DAY_S) == 0
    pen.run_ms(1000)
    assert correct(pen, now + DAY_S) == 0
    pen.run_ms(1000)
    again = {"course_id": "K-1", "course_index": 2}
    assert load(pen, now + 30 * DAY_S - 1, **again) == faults.COURSE_TOO_EARLY
    assert load(pen, now + 30 * DAY_S, **again) == 0


def test_a_session_corrected_while_it_was_open_shuts_its_course_for_an_interval_alone() -> None:
    """It is sealed after the correction, with a time that lies years ahead of it."""
    now = profiles.NOW
    pen = with_key()
    pen.change_cartridge()
    wanted: dict[str, Any] = {"issued_at": now + 3652 * DAY_S, "expires_day": FAR_DAY, "course_id": "K-1"}
    pen.load(profile.encode(profiles.make(pen.hello(), **wanted), KEY_ID, KEY))
    pen.arm()
    pen.stroke_for(200)
    pen.run_ms(2500)
    assert pen.wait_for(wire.LOADED) == wire.LOADED
    assert correct(pen, now) == 0
    pen.finish_session()
    pen.change_cartridge()
    again = {"course_id": "K-1", "course_index": 2}
    assert load(pen, now + 30 * DAY_S - 1, **again) == faults.COURSE_TOO_EARLY
    assert load(pen, now + 30 * DAY_S, **again) == 0
