"""What the pen tells of itself and of its sessions: hello, status, the list of records, and a record's every word."""

from typing import Any

import pytest

from pencore import faults, provision, record, signals, tasks, wire
from pencore.faults import Refusal
from pencore.requests import Denials
from tests.portable import samples
from tests.portable.ideal_pen import IdealPen
from tests.portable.samples import KEY, KEY_ID
from tests.unit.test_requests import ZERO_DIGEST, refused, with_records
from tests.unit.test_runner import SMALL, booted, in_state, sealed, state_of


def test_a_pause_has_no_reason_to_tell() -> None:
    pen = in_state("RUNNING")
    pen.ask("pause")
    assert [entry for entry in pen.log.entries if entry[:2] == ["show", wire.PAUSED]] == [["show", wire.PAUSED, 0]]


def test_a_pen_without_provisioning_says_that_it_allows_nothing() -> None:
    pen = IdealPen(None)
    pen.boot()
    said = pen.greet()
    for name in ("nonce", "request_id", "firmware", "build", "state", "head", "protocol_major", "protocol_minor"):
        del said[name]
    assert said.pop("session_id") == 1
    assert said.pop("geometry") == [0] * 9
    assert {name: value for name, value in said.items() if value not in (0, "", [], ZERO_DIGEST)} == {}


RECORDED: dict[str, Any] = {
    "name": "left cheek",
    "course_id": "spring",
    "course_index": 2,
    "course_of": 5,
    "cartridge_id": "box-7",
    "cartridge_lot": "lot-9",
    "expires_day": samples.TODAY_S // samples.DAY_S + 33,
    "depth_um": 1_700,
    "strokes": 90,
    "issued_at": samples.TODAY_S + 7,
}


def test_a_record_says_of_its_session_what_the_profile_said() -> None:
    pen = IdealPen(samples.provisioned(KEY_ID, KEY))
    pen.boot()
    pen.ready(samples.filled(SMALL, **RECORDED))
    assert pen.runner.session is not None
    digest = pen.runner.session.profile.digest
    pen.press(300)
    pen.until(wire.PAUSED)
    pen.ask("finish")
    pen.until(wire.SAFE)
    kept = sealed(pen)
    assert (kept.previous, kept.profile_digest, kept.serial, kept.session) == (bytes(32), digest, samples.SERIAL, 1)
    assert (kept.profile_name, kept.course_id, kept.course_index, kept.course_of) == ("left cheek", "spring", 2, 5)
    assert (kept.cartridge_id, kept.cartridge_lot, kept.expires_day) == ("box-7", "lot-9", RECORDED["expires_day"])
    assert (kept.session_depth_um, kept.session_strokes) == (1_700, 90)
    assert (kept.head, kept.build, kept.key_id) == (0, "0123456789abcdef", KEY_ID)
    assert kept.start_s == samples.TODAY_S + 7
    assert kept.start_s <= kept.end_s <= kept.start_s + 2
    assert kept.calibration_s == kept.start_s - samples.CALIBRATED_S
    assert (kept.end_reason, kept.faults, kept.more_faults) == (record.END_FINISHED, [], 0)
    made = pen.needle.strokes
    assert [vars(zone) for zone in kept.zones] == [
        {
            "area": samples.CHEEK,
            "side": samples.LEFT,
            "depth_um": 1_500,
            "budget": 60,
            "made": made,
            "forfeited": 0,
            "deepest_um": 1_500,
            "rate_per_s": 20,
        },
        {
            "area": samples.NOSE,
            "side": samples.NONE,
            "depth_um": 500,
            "budget": 20,
            "made": 0,
            "forfeited": 0,
            "deepest_um": 0,
            "rate_per_s": 30,
        },
    ]


# --- hello and status -------------------------------------------------------------------------------------------------
def test_hello_tells_the_bounds_of_cartridge_and_course_and_the_records_that_wait() -> None:
    pen = IdealPen(samples.provisioned(cartridge_strokes=1_234, interval_days=17))
    pen.boot()
    said = pen.greet()
    assert (said["cartridge_strokes"], said["interval_days"], said["records"]) == (1_234, 17, 0)
    pen = with_records(3)
    pen.ask("record.ack", session=1, sha256=pen.store.files[tasks.record_name(1)][-32:].hex())
    assert pen.greet()["records"] == 2


def test_status_of_a_pen_without_a_profile_counts_nothing() -> None:
    pen = in_state("SAFE")
    assert pen.ask("status") == {
        "state": wire.SAFE,
        "fault": 0,
        "session_id": 0,
        "resumed": 0,
        "zone": None,
        "inputs": pen.runner.inputs,
        "counted": 0,
        "session_left": 0,
        "made": [],
        "forfeited": [],
        "left": [],
    }


def test_status_of_a_session_that_a_cut_interrupted() -> None:
    pen = in_state("RUNNING")
    assert pen.ask("status")["resumed"] == 0
    pen.cut_power()
    pen.set_level(signals.TRIGGER, False)
    pen.boot()
    pen.advance(200)
    pen.greet()
    work = pen.runner.session
    assert work is not None
    made, forfeited = work.made(0), work.forfeited(0)
    assert made + forfeited == 50
    said = pen.ask("status")
    assert (said["session_id"], said["resumed"], said["zone"]) == (1, 1, None)
    assert (said["made"], said["forfeited"], said["left"]) == ([made, 0], [forfeited, 0], [10, 20])
    assert (said["counted"], said["session_left"]) == (50, 30)


def test_telemetry_of_another_session_s_homing_tells_nothing_of_the_one_before() -> None:
    pen = in_state("PAUSED")
    pen.runner._telemetry()
    pen.ask("finish")
    pen.until(wire.SAFE)
    pen.new_cartridge()
    assert pen.load(samples.filled(SMALL, course_id="another", cartridge_id="new", issued_at=samples.TODAY_S + 60)) == 0
    pen.ask("arm", zone=None)
    assert state_of(pen) == "HOMING"
    assert pen.runner._telemetry()[1:11] == [None, *[0] * 8, 80]


def test_the_limit_that_telemetry_tells_is_the_tighter_one() -> None:
    pen = booted()
    pen.ready(samples.filled(SMALL, depth_um=1_700))
    assert pen.runner._telemetry()[3] == 1_500
    pen.ask("zone.select", zone=1)
    pen.until(wire.ARMED)
    assert pen.runner._telemetry()[3] == 750


def test_the_whole_session_counts_whichever_zone_is_at_work() -> None:
    pen = in_state("PAUSED")
    pen.ask("zone.select", zone=1)
    pen.until(wire.PAUSED)
    said = pen.ask("status")
    assert (said["zone"], said["counted"], said["session_left"]) == (1, pen.needle.strokes, 80 - pen.needle.strokes)
    told = pen.runner._telemetry()
    assert told[9:11] == [said["counted"], said["session_left"]]


def test_what_a_zone_may_still_have_is_not_read_from_what_may_have_flipped() -> None:
    pen = in_state("ARMED")
    work = pen.runner.session
    assert work is not None
    left = work.left(0)
    work.profile.zones[0].strokes = work.profile.strokes = 100_000
    assert work.left(0) == left == 60


def test_a_wait_is_told_in_whole_seconds_and_never_too_short() -> None:
    denials = Denials()

    def wrong() -> None:
        raise Refusal(faults.SIGNATURE_WRONG, "hmac")

    told = []
    for now_ms in (0, 0, 0, 0, 0, 0, 1, 999):
        with pytest.raises(Refusal) as refusal:
            denials.look(now_ms, wrong)
        told.append(refusal.value.given)
    assert told[5:] == [1, 1, 1]


# --- records ----------------------------------------------------------------------------------------------------------
def test_a_record_whose_session_is_not_sealed_is_none_yet() -> None:
    """A cut between the record's write and the seal leaves one."""
    pen = with_records(2)
    pen.store.files[tasks.record_name(3)] = data = pen.store.files[tasks.record_name(2)]
    assert pen.ask("record.list", after=0)["sessions"] == [1, 2]
    assert refused(pen, "record.read", session=3, offset=0).code == faults.RECORD_UNKNOWN
    for session in (1, 2):
        pen.ask("record.ack", session=session, sha256=pen.store.files[tasks.record_name(session)][-32:].hex())
        pen.advance(50)
    assert refused(pen, "record.ack", session=3, sha256=data[-32:].hex()).code == faults.RECORD_ACK_ORDER


def test_one_stroke_is_as_deep_as_many() -> None:
    pen = in_state("PAUSED")
    account = pen.runner.ledger.open
    assert account is not None
    account.reserved[0] = account.made[0] = 1
    assert [zone.deepest_um for zone in tasks._make_record(pen.runner, 0).zones] == [1_500, 0]


def test_a_record_says_how_many_faults_it_has_no_room_for_and_no_age_below_zero() -> None:
    pen = in_state("PAUSED")
    assert pen.runner.ledger.open is not None
    assert pen.runner.provision is not None
    pen.runner.ledger.open.more_interruptions = 3
    # Calibrated anew amid the session.
    pen.runner.provision.calibrated_at = samples.TODAY_S + 1
    made = tasks._make_record(pen.runner, 0)
    assert (made.more_faults, made.calibration_s) == (3, 0)


def test_the_time_of_a_session_begins_with_its_first_stroke() -> None:
    """Not with the session before it."""
    pen = in_state("PAUSED")
    pen.advance(7_000)
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert sealed(pen).end_s - sealed(pen).start_s >= 7
    pen.ready(samples.filled(SMALL, course_id="another", cartridge_id="new", issued_at=samples.TODAY_S + 60))
    pen.press(300)
    pen.until(wire.PAUSED)
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert sealed(pen, 2).end_s - sealed(pen, 2).start_s <= 2


def test_a_session_at_the_end_of_time_ends_with_it() -> None:
    pen = booted()
    last_s = 0xFFFFFFFF
    pen.ready(samples.filled(SMALL, issued_at=last_s, expires_day=last_s // samples.DAY_S + 1))
    pen.press(300)
    pen.until(wire.PAUSED)
    pen.advance(2_000)
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert (sealed(pen).start_s, sealed(pen).end_s) == (last_s, last_s)


def test_an_empty_provisioning_is_a_damaged_one() -> None:
    pen = booted()
    pen.cut_power()
    pen.store.files[provision.FILE] = b""
    pen.boot()
    assert (state_of(pen), pen.runner.fault_code) == ("FAULT", faults.PROVISION_CORRUPT)
