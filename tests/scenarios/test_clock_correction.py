"""A correction of the pen's time: when it is taken, that it is good for once, and what is kept of it."""

import hashlib
import hmac
import zlib
from typing import Any

import pytest

from pencore import course, faults, ledger, profile, wire
from pensim.world import default_provision
from tests.support import flash_files, profiles
from tests.support.bench import Bench
from tests.support.cuts import aged

KEY_ID, KEY = 7, bytes(range(32))
REASON = "the laptop's battery was flat"
NO_HMAC = "0" * 64
DAY_S = 86_400


def with_key(**world: Any) -> Bench:
    """Return a pen that knows a clinic key."""
    setup = default_provision()
    setup.key_id, setup.key = KEY_ID, KEY
    return Bench(setup=setup, **world)


def unsigned(time_s: int) -> dict[str, Any]:
    """Return the params of a correction for a pen without a key."""
    return {"time": time_s, "reason": REASON, "key_id": 0, "hmac": NO_HMAC}


def signed(pen: Bench, time_s: int) -> dict[str, Any]:
    """Return the params of a correction, signed for whichever request makes it."""
    said = pen.hello()

    def hmac_of(request_id: int) -> str:
        return course.correction_hmac(KEY, said["serial"], said["nonce"], request_id, time_s, REASON).hex()

    return {"time": time_s, "reason": REASON, "key_id": KEY_ID, "hmac": hmac_of}


def as_of(request_id: int, params: dict[str, Any]) -> dict[str, Any]:
    """Return `params` as they were signed for that one request."""
    return {**params, "hmac": params["hmac"](request_id)}


def recorded(pen: Bench, time_s: int) -> dict[str, Any]:
    """Have a correction made; return what whoever listens on the cable has of it."""
    params = signed(pen, time_s)
    pen.insist("clock.correct", **params)
    return as_of(pen.request_id, params)


def play(pen: Bench, issued_at: int) -> None:
    """Play a short session signed with the clinic's key."""
    pen.change_cartridge()
    made = profiles.make(pen.hello(), issued_at=issued_at)
    pen.load(profile.encode(made, KEY_ID, KEY))
    pen.finish_session()
    pen.pull()


# --- when ------------------------------------------------------------------------------------------------------------
def test_a_loaded_profile_keeps_the_time_it_was_checked_against() -> None:
    pen = Bench()
    pen.load_new()
    with pytest.raises(faults.Refusal) as told:
        pen.ask("clock.correct", **unsigned(profiles.NOW + DAY_S))
    assert (told.value.code, told.value.field) == (faults.STATE_FORBIDS, "state")
    assert pen.hello()["time_floor"] == 0
    pen.insist("finish")
    assert pen.insist("clock.correct", **unsigned(profiles.NOW + DAY_S)) == {"time_floor": profiles.NOW + DAY_S}
    assert pen.refusal("arm", zone=None) != 0, "what was loaded before is gone"
    pen.check()


def test_an_open_session_goes_on_after_a_correction() -> None:
    """Its id is consumed: its time was taken with the first stroke, and is sealed as it was."""
    pen = Bench()
    pen.load_new()
    pen.arm()
    pen.stroke_for(300)
    pen.run_ms(2500)
    assert pen.wait_for(wire.LOADED) == wire.LOADED
    later = profiles.NOW + 3 * DAY_S
    assert pen.insist("clock.correct", **unsigned(later)) == {"time_floor": later}
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert pen.sealed[1].start_s == profiles.NOW
    assert pen.hello()["time_floor"] == later


# --- once ------------------------------------------------------------------------------------------------------------
def test_a_correction_is_signed_as_the_protocol_says() -> None:
    """HMAC-SHA-256 over pen, boot and request, written out here a second time."""
    pen = with_key()
    pen.run_ms(1000)
    said = pen.hello()
    text = f"CLK1 {said['serial']} {said['nonce']} {said['request_id'] + 1} {profiles.NOW} {REASON}"
    made = hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
    params = {"time": profiles.NOW, "reason": REASON, "key_id": KEY_ID, "hmac": made}
    assert pen.ask("clock.correct", **params) == {"time_floor": profiles.NOW}


def test_a_correction_is_good_for_once_in_a_boot() -> None:
    pen = with_key()
    first = recorded(pen, profiles.NOW)
    assert pen.refusal("clock.correct", **first) == faults.SIGNATURE_WRONG, "at once"
    second = recorded(pen, profiles.NOW - DAY_S)
    for used in (first, second):
        assert pen.refusal("clock.correct", **used) == faults.SIGNATURE_WRONG, "after another one"
    assert pen.hello()["time_floor"] == profiles.NOW - DAY_S


def test_a_correction_that_was_taken_back_is_not_made_again_by_who_recorded_it() -> None:
    """Nor is one that moved nothing: each would cost the flash a write."""
    pen = with_key()
    recorded(pen, profiles.NOW)
    ahead = recorded(pen, profiles.NOW + 3652 * DAY_S)
    recorded(pen, profiles.NOW)
    assert pen.refusal("clock.correct", **ahead) == faults.SIGNATURE_WRONG
    same = recorded(pen, profiles.NOW)
    assert pen.refusal("clock.correct", **same) == faults.SIGNATURE_WRONG
    assert pen.hello()["time_floor"] == profiles.NOW


def test_a_correction_that_was_not_used_is_no_good_after_another_request() -> None:
    pen = with_key()
    pen.run_ms(1000)
    unused = signed(pen, profiles.NOW)
    unused = as_of(pen.request_id + 1, unused)
    pen.ask("ping")
    assert pen.refusal("clock.correct", **unused) == faults.SIGNATURE_WRONG
    assert pen.hello()["time_floor"] == 0


# --- what is kept ----------------------------------------------------------------------------------------------------
def kept(pen: Bench) -> tuple[int, ...]:
    """Return, as the flash has them, the floor, the floor before and after its last correction, the last session begun
    before that, and the CRC of the reason.
    """
    book = flash_files.journal(pen.snapshot_flash())
    return (
        book.time_floor_s,
        book.corrected_from_s,
        book.corrected_to_s,
        book.corrected_session,
        book.correction_crc,
    )


@pytest.mark.parametrize("session_open", [False, True])
def test_a_correction_is_still_on_the_books_after_a_compaction(session_open: bool) -> None:
    pen = Bench(flash=aged(340))
    pen.play_session()
    if session_open:
        pen.load_new()
        pen.arm()
        pen.stroke_for(200)
        pen.run_ms(2500)
    floor_s = pen.hello()["time_floor"]
    expected = kept(pen)
    for number in range(1, 100):
        crowded = pen.store.size(ledger.FILE)
        corrected_s = floor_s + number % 2 * DAY_S + 1
        pen.insist("clock.correct", **unsigned(corrected_s))
        expected = (corrected_s, floor_s, corrected_s, 1 + session_open, zlib.crc32(REASON.encode()))
        floor_s = corrected_s
        pen.hold(100)
        assert kept(pen) == expected
        if pen.store.size(ledger.FILE) < crowded:
            break
    assert pen.store.size(ledger.FILE) < 2048, "it was to be compacted"
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    assert pen.greeting["time_floor"] == floor_s
    assert kept(pen) == expected
