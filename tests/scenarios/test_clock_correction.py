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
    """Return the params of a correction, signed for what the pen says of itself now."""
    said = pen.hello()
    made = course.correction_hmac(
        KEY, said["serial"], said["nonce"], said["session_id"], said["time_floor"], time_s, REASON
    )
    return {"time": time_s, "reason": REASON, "key_id": KEY_ID, "hmac": made.hex()}


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
    """HMAC-SHA-256 over pen, boot, session and floor, written out here a second time."""
    pen = with_key()
    said = pen.hello()
    text = f"CLK1 {said['serial']} {said['nonce']} {said['session_id']} {said['time_floor']} {profiles.NOW} {REASON}"
    made = hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
    params = {"time": profiles.NOW, "reason": REASON, "key_id": KEY_ID, "hmac": made}
    assert pen.insist("clock.correct", **params) == {"time_floor": profiles.NOW}


def test_a_correction_is_good_for_once_in_a_boot() -> None:
    pen = with_key()
    first = signed(pen, profiles.NOW)
    assert pen.insist("clock.correct", **first) == {"time_floor": profiles.NOW}
    assert pen.refusal("clock.correct", **first) == faults.SIGNATURE_WRONG, "at once"
    second = signed(pen, profiles.NOW - DAY_S)
    assert pen.insist("clock.correct", **second) == {"time_floor": profiles.NOW - DAY_S}
    for used in (first, second):
        assert pen.refusal("clock.correct", **used) == faults.SIGNATURE_WRONG, "after another one"
    assert pen.hello()["time_floor"] == profiles.NOW - DAY_S


def test_a_correction_that_was_not_used_is_no_good_after_a_session() -> None:
    """The session leaves the floor where it was: the id alone tells that something came in between."""
    pen = with_key()
    pen.insist("clock.correct", **signed(pen, profiles.NOW))
    unused = signed(pen, profiles.NOW + 10 * DAY_S)
    nonce = pen.greeting["nonce"]
    play(pen, profiles.NOW)
    said = pen.hello()
    assert (said["time_floor"], said["nonce"]) == (profiles.NOW, nonce)
    assert pen.refusal("clock.correct", **unused) == faults.SIGNATURE_WRONG
    assert pen.hello()["time_floor"] == profiles.NOW
    pen.check(exact=True)


# --- what is kept ----------------------------------------------------------------------------------------------------
def kept(pen: Bench) -> tuple[int, int, int]:
    """Return floor, the floor before its last correction and the CRC of the reason, as the flash has them."""
    book = flash_files.journal(pen.snapshot_flash())
    return book.time_floor_s, book.corrected_from_s, book.correction_crc


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
        expected = (corrected_s, floor_s, zlib.crc32(REASON.encode()))
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
