"""`pencore.requests`: what a host may ask, what it is refused, and that a refusal changes nothing."""

from hashlib import sha256
from typing import Any

import pytest

from pencore import course, digest, faults, ledger, profile, record, requests, signals, tasks, wire
from pencore.faults import Refusal
from pencore.ledger import OPEN, SEAL, Entry
from tests.portable import samples
from tests.portable.ideal_pen import IdealPen
from tests.portable.samples import KEY, KEY_ID
from tests.unit.test_runner import SMALL, STATES, booted, in_state, sealed, state_of

ZERO_DIGEST = "0" * 64


def seen(pen: IdealPen) -> tuple[Any, ...]:
    """Return all that a refused request must leave as it was."""
    work = pen.runner.session
    zones = range(0 if work is None else len(work.profile.zones))
    return (
        pen.runner.state,
        pen.runner.session_id(),
        None if work is None else (work.profile.digest, work.zone, [(work.made(z), work.forfeited(z)) for z in zones]),
        pen.runner.profile_data,
        dict(pen.store.files),
        pen.needle.strokes,
        [entry for entry in pen.log.entries if entry[0] not in ("sent", "boot", "disarm")],
    )


def refused(pen: IdealPen, method: str, **params: Any) -> Refusal:
    """Return how the pen refuses; fail when it doesn't, or when anything changed."""
    before = seen(pen)
    with pytest.raises(Refusal) as told:
        pen.ask(method, **params)
    assert seen(pen) == before
    return told.value


PARAMS: dict[str, dict[str, Any]] = {
    "hello": {"protocol_major": 1, "protocol_minor": 0, "client": "test"},
    "load.begin": {"size": 300, "sha256": ZERO_DIGEST},
    "load.chunk": {"offset": 0, "data": b"abc"},
    "arm": {"zone": None},
    "zone.select": {"zone": 0},
    "clock.correct": {"time": samples.TODAY_S, "reason": "battery", "key_id": 0, "hmac": ZERO_DIGEST},
    "record.list": {"after": 0},
    "record.read": {"session": 1, "offset": 0},
    "record.ack": {"session": 1, "sha256": ZERO_DIGEST},
}


def test_every_method_has_its_handler() -> None:
    assert set(requests.HANDLERS) == set(wire.METHODS)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("method", wire.METHODS)
def test_a_method_is_refused_in_every_state_it_is_not_for(state: str, method: str) -> None:
    pen = in_state(state)
    if wire.allowed(method, pen.runner.state):
        return
    request = wire.Request(9, method, {"nonce": pen.nonce} | PARAMS.get(method, {}))
    before = seen(pen)
    with pytest.raises(Refusal) as told:
        pen.runner._answer(request)
    assert (told.value.code, told.value.given) == (faults.STATE_FORBIDS, pen.runner.state)
    assert seen(pen) == before


def test_hello_tells_what_a_profile_must_carry() -> None:
    pen = IdealPen(samples.provisioned(KEY_ID, KEY, caps_um=(700, 900), ceiling_um=2000, calibration_um=1900))
    pen.boot()
    said = pen.greet()
    assert (said["serial"], said["session_id"], said["open_session"]) == (samples.SERIAL, 1, 0)
    assert (said["ledger_head"], said["open_digest"]) == ("0" * 64, "0" * 64)
    assert (said["ceiling_um"], said["calibration_um"], said["zone_caps_um"]) == (2000, 1900, [700, 900])
    assert (said["key_id"], said["calibrated_at"], said["time_floor"]) == (KEY_ID, samples.CALIBRATED_S, 0)
    assert said["geometry"] == samples.coarse().as_list()
    assert said["request_id"] == 0
    assert pen.code("hello", protocol_major=2, protocol_minor=0, client="x") == faults.WIRE_PROTOCOL


@pytest.mark.parametrize(("state", "open_session"), [("LOADED", 0), ("PAUSED", 1)])
def test_hello_names_the_open_session_and_the_loaded_profile(state: str, open_session: int) -> None:
    pen = in_state(state)
    work = pen.runner.session
    assert work is not None
    said = pen.greet()
    assert (said["session_id"], said["open_session"]) == (1, open_session)
    assert said["open_digest"] == work.profile.digest.hex()


# --- load -------------------------------------------------------------------------------------------------------------
def fitted() -> IdealPen:
    """Return a pen with a new cartridge, greeted."""
    pen = booted()
    pen.new_cartridge()
    pen.greet()
    return pen


def test_a_transfer_comes_in_order_and_whole() -> None:
    pen = fitted()
    data = profile.encode(samples.filled(SMALL))
    assert refused(pen, "load.commit").code == faults.LOAD_NOT_BEGUN
    assert refused(pen, "load.chunk", offset=0, data=data[:30]).code == faults.LOAD_NOT_BEGUN
    pen.ask("load.begin", size=len(data), sha256=sha256(data).hexdigest())
    assert pen.ask("load.chunk", offset=0, data=data[:30]) == {"received": 30}
    for offset in (0, 29, 31):
        told = refused(pen, "load.chunk", offset=offset, data=data[30:60])
        assert (told.code, told.given, told.limit) == (faults.LOAD_OFFSET, offset, 30)
    told = refused(pen, "load.commit")
    assert (told.code, told.given, told.limit) == (faults.LOAD_SIZE, 30, len(data))
    told = refused(pen, "load.chunk", offset=30, data=data[30:] + b"xxx")
    assert (told.code, told.given, told.limit) == (faults.LOAD_SIZE, len(data) + 3, len(data))
    pen.ask("load.chunk", offset=30, data=data[30:])
    done = pen.ask("load.commit")
    assert (done["session_id"], done["zones"], done["resumed"]) == (1, 2, 0)
    assert refused(pen, "load.commit").code == faults.LOAD_NOT_BEGUN


def test_a_transfer_that_is_not_what_was_announced_is_refused() -> None:
    pen = fitted()
    data = profile.encode(samples.filled(SMALL))
    pen.ask("load.begin", size=len(data), sha256=ZERO_DIGEST)
    pen.ask("load.chunk", offset=0, data=data)
    assert refused(pen, "load.commit").code == faults.LOAD_DIGEST
    assert pen.push(data) == 0


ADDRESSED_WRONGLY: list[tuple[dict[str, Any], int]] = [
    ({"serial": "PEN-0008"}, faults.PROFILE_SERIAL),
    ({"session_id": 0}, faults.PROFILE_SESSION_ID),
    ({"session_id": 2}, faults.PROFILE_SESSION_ID),
    ({"session_id": 0xFFFFFFFF}, faults.PROFILE_SESSION_ID),
    ({"ledger_head": b"\x01" + bytes(31)}, faults.PROFILE_LEDGER_HEAD),
    ({"issued_at": samples.CALIBRATED_S - 1}, faults.TIME_BACK),
    ({"depth_um": 2501}, faults.DEPTH_ABOVE_CEILING),
    ({"needles": 0}, faults.CARTRIDGE_NEEDLES),
]


@pytest.mark.parametrize(("changes", "code"), ADDRESSED_WRONGLY)
def test_a_refused_profile_leaves_the_one_loaded_before(changes: dict[str, Any], code: int) -> None:
    pen = fitted()
    assert pen.push(profile.encode(samples.filled(SMALL))) == 0
    before = seen(pen)
    assert pen.push(profile.encode(samples.filled(SMALL, **changes))) == code
    assert seen(pen) == before
    assert pen.code("arm", zone=None) == 0


@pytest.mark.parametrize("state", ["SAFE", "LOADED"])
def test_a_broken_profile_is_refused_whole(state: str) -> None:
    pen = in_state(state)
    data = bytearray(profile.encode(samples.filled(SMALL)))
    data[210] ^= 1
    before = seen(pen)
    assert pen.push(bytes(data)) == faults.PROFILE_DIGEST
    assert seen(pen) == before


def test_a_pen_with_a_key_takes_only_what_it_signed() -> None:
    pen = IdealPen(samples.provisioned(KEY_ID, KEY))
    pen.boot()
    pen.new_cartridge()
    pen.greet()
    assert pen.push(profile.encode(samples.filled(SMALL))) == faults.SIGNATURE_MISSING
    assert pen.push(profile.encode(samples.filled(SMALL), KEY_ID + 1, KEY)) == faults.KEY_UNKNOWN
    assert pen.push(profile.encode(samples.filled(SMALL), KEY_ID, bytes(32))) == faults.SIGNATURE_WRONG
    assert state_of(pen) == "SAFE"
    assert pen.push(profile.encode(samples.filled(SMALL), KEY_ID, KEY)) == 0


def test_a_session_s_profile_is_good_for_one_session() -> None:
    pen = in_state("PAUSED")
    work = pen.runner.session
    assert work is not None
    data = pen.runner.profile_data
    pen.ask("finish")
    pen.until(wire.SAFE)
    pen.new_cartridge()
    assert pen.push(data) == faults.PROFILE_SESSION_ID
    pen.cut_power()
    pen.boot()
    pen.new_cartridge()
    pen.greet()
    assert pen.push(data) == faults.PROFILE_SESSION_ID


def test_the_rules_between_sessions_reach_the_load() -> None:
    pen = in_state("PAUSED")
    pen.ask("finish")
    pen.until(wire.SAFE)
    pen.new_cartridge()
    fresh: dict[str, Any] = {"cartridge_id": "new", "issued_at": samples.TODAY_S + 30 * samples.DAY_S}
    assert pen.load(samples.filled(SMALL, **fresh)) == faults.COURSE_INDEX_DONE
    changed = fresh | {"course_index": 2, "interval_days": 29}
    assert pen.load(samples.filled(SMALL, **changed)) == faults.COURSE_CHANGED
    early = fresh | {"course_index": 2, "issued_at": fresh["issued_at"] - 1}
    assert pen.load(samples.filled(SMALL, **early)) == faults.COURSE_TOO_EARLY
    back = fresh | {"course_id": "x", "issued_at": samples.TODAY_S - 1}
    assert pen.load(samples.filled(SMALL, **back)) == faults.TIME_BACK
    far = fresh | {"course_id": "x", "issued_at": samples.TODAY_S + 45 * samples.DAY_S + 1}
    assert pen.load(samples.filled(SMALL, **far)) == faults.TIME_JUMP
    assert pen.load(samples.filled(SMALL, **(fresh | {"course_index": 2}))) == 0


# --- zones ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("state", "method"), [("LOADED", "arm"), ("ARMED", "zone.select"), ("PAUSED", "zone.select")])
def test_a_zone_that_the_profile_has_not(state: str, method: str) -> None:
    pen = in_state(state)
    for zone in (2, 31):
        told = refused(pen, method, zone=zone)
        assert (told.code, told.field, told.given, told.limit) == (faults.ZONE_UNKNOWN, "zone", zone, 1)


def test_a_pen_with_nothing_left_is_not_armed() -> None:
    """The cut takes what was reserved in the last zone with it."""
    pen = in_state("ARMED")
    pen.press(4_000)
    pen.until(wire.PAUSED)
    pen.ask("zone.select", zone=1)
    pen.until(wire.PAUSED)
    pen.advance(120)
    pen.set_level(signals.TRIGGER, True)
    pen.advance(150)
    pen.cut_power()
    pen.set_level(signals.TRIGGER, False)
    pen.boot()
    pen.advance(200)
    pen.greet()
    assert pen.ask("status")["left"] == [0, 0]
    assert refused(pen, "arm", zone=None).code == faults.SESSION_SPENT
    assert refused(pen, "arm", zone=1).code == faults.ZONE_SPENT
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert sealed(pen).counted() == 80 > pen.needle.strokes > 60


# --- records ----------------------------------------------------------------------------------------------------------
def with_records(count: int) -> IdealPen:
    """Return a pen whose ledger has sealed `count` sessions, their records on it."""
    pen = IdealPen(samples.provisioned())
    head, seq = bytes(32), 1
    for session in range(1, count + 1):
        one = record.Record()
        one.previous, one.session, one.serial = head, session, samples.SERIAL
        one.zones = [record.RecordZone(0, 0, 500, 5, 5, 0, 500, 1)]
        data = record.encode(one)
        head = one.digest
        pen.store.files[tasks.record_name(session)] = data
        for entry in (Entry(OPEN, session, 1, aux=samples.TODAY_S), Entry(SEAL, session, aux=digest.crc32(data))):
            seq += 1
            pen.store.files[ledger.FILE] += ledger.pack(entry, seq)
    pen.boot()
    pen.new_cartridge()
    pen.greet()
    return pen


def test_records_are_listed_and_read_in_pieces() -> None:
    pen = in_state("PAUSED")
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert pen.ask("record.list", after=0) == {"sessions": [1], "acked": 0}
    assert pen.ask("record.list", after=1) == {"sessions": [], "acked": 0}
    data = b""
    while True:
        piece = pen.ask("record.read", session=1, offset=len(data))
        assert piece["offset"] == len(data)
        if not piece["data"]:
            break
        data += piece["data"]
    assert len(data) == piece["size"]
    assert record.decode(data).made() == pen.needle.strokes
    for session in (0, 2, 0xFFFFFFFF):
        assert refused(pen, "record.read", session=session, offset=0).code == faults.RECORD_UNKNOWN
    assert refused(pen, "record.read", session=1, offset=len(data) + 1).code == faults.WIRE_BAD_PARAM


def test_a_pen_keeps_sixty_four_records_and_then_takes_no_session() -> None:
    pen = with_records(63)
    another: dict[str, Any] = {"course_id": "new", "cartridge_id": "new", "issued_at": samples.TODAY_S + 5}
    assert pen.load(samples.filled(SMALL, **another)) == 0
    pen = with_records(64)
    assert len(pen.ask("record.list", after=0)["sessions"]) == 64
    assert pen.load(samples.filled(SMALL, **another)) == faults.RECORDS_FULL
    digest_of_first = pen.store.files[tasks.record_name(1)][-32:].hex()
    pen.ask("record.ack", session=1, sha256=digest_of_first)
    pen.advance(50)
    assert pen.load(samples.filled(SMALL, **another)) == 0


def test_records_are_acknowledged_oldest_first_and_by_their_digest() -> None:
    pen = with_records(3)
    digests = {session: pen.store.files[tasks.record_name(session)][-32:].hex() for session in (1, 2, 3)}
    for session in (0, 2, 3, 4):
        told = refused(pen, "record.ack", session=session, sha256=digests.get(session, ZERO_DIGEST))
        assert (told.code, told.given, told.limit) == (faults.RECORD_ACK_ORDER, session, 1)
    assert refused(pen, "record.ack", session=1, sha256=digests[2]).code == faults.RECORD_DIGEST
    for session in (1, 2, 3):
        assert pen.ask("record.ack", session=session, sha256=digests[session]) == {"acked": session}
        pen.advance(50)
    names = [name for name in pen.store.files if name.startswith("rec")]
    assert names == [tasks.record_name(3)], "the last one stays: its digest is the head of the chain"
    assert pen.ask("record.list", after=0) == {"sessions": [3], "acked": 3}
    assert refused(pen, "record.ack", session=3, sha256=digests[3]).code == faults.RECORD_ACK_ORDER
    pen.cut_power()
    pen.boot()
    assert state_of(pen) == "SAFE"
    assert pen.runner.head.hex() == digests[3]


# --- time -------------------------------------------------------------------------------------------------------------
def correction(pen: IdealPen, time_s: int, key: bytes = KEY, **changes: Any) -> dict[str, Any]:
    """Return the params of a signed correction; `changes` are made after signing."""
    hmac = course.correction_hmac(
        key,
        samples.SERIAL,
        pen.nonce,
        pen.runner.talk.last_id + 1,
        time_s,
        "battery",
    )
    return {"time": time_s, "reason": "battery", "key_id": KEY_ID, "hmac": hmac.hex()} | changes


def test_a_signed_correction_moves_the_time_and_is_logged() -> None:
    pen = IdealPen(samples.provisioned(KEY_ID, KEY))
    pen.boot()
    pen.advance(100)
    pen.greet()
    for changes, code in (
        ({"time": samples.TODAY_S + 1}, faults.SIGNATURE_WRONG),
        ({"reason": "another"}, faults.SIGNATURE_WRONG),
        ({"hmac": ZERO_DIGEST}, faults.SIGNATURE_WRONG),
        ({"key_id": KEY_ID + 1}, faults.KEY_UNKNOWN),
        ({"key_id": 0}, faults.SIGNATURE_MISSING),
    ):
        assert refused(pen, "clock.correct", **(correction(pen, samples.TODAY_S) | changes)).code == code
    early = correction(pen, samples.CALIBRATED_S - 1)
    told = refused(pen, "clock.correct", **early)
    assert (told.code, told.limit) == (faults.TIME_BACK, samples.CALIBRATED_S)
    assert pen.ask("clock.correct", **correction(pen, samples.TODAY_S)) == {"time_floor": samples.TODAY_S}
    assert pen.ask("clock.correct", **correction(pen, samples.TODAY_S - 5)) == {"time_floor": samples.TODAY_S - 5}
    book = ledger.Ledger(pen.store)
    book.replay()
    assert book.time_floor_s == samples.TODAY_S - 5
    good, good_id = correction(pen, samples.TODAY_S), pen.runner.talk.last_id
    pen.cut_power()
    pen.boot()
    pen.advance(100)
    pen.greet()
    while pen.runner.talk.last_id < good_id:
        pen.ask("ping")
    assert refused(pen, "clock.correct", **good).code == faults.SIGNATURE_WRONG, "signed for another boot"


def test_a_pen_without_a_key_takes_a_correction_without_a_signature() -> None:
    pen = booted()
    pen.advance(100)
    pen.greet()
    unsigned = {"time": samples.TODAY_S, "reason": "battery", "key_id": 0, "hmac": ZERO_DIGEST}
    assert refused(pen, "clock.correct", **(unsigned | {"hmac": "1" * 64})).code == faults.SIGNATURE_WRONG
    assert refused(pen, "clock.correct", **(unsigned | {"key_id": 1})).code == faults.KEY_UNKNOWN
    assert pen.ask("clock.correct", **unsigned) == {"time_floor": samples.TODAY_S}
