"""What the pen remembers over sessions: records until they are acknowledged, cartridges, courses, its own journal."""

from itertools import pairwise
from pathlib import Path

import pytest

from pencore import faults, ledger, record, wire
from pencore.digest import to_hex
from pencore.faults import Refusal
from tests.support import profiles
from tests.support.bench import Bench, label
from tests.support.cuts import ONE_STROKE, aged

DAY_S = 86_400
CHEEK: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, profiles.LEFT, 500, 12, 30),)


def refused(pen: Bench, data: bytes) -> int:
    """Return the code with which a profile is refused; 0 when it is taken."""
    try:
        pen.load(data)
    except Refusal as refusal:
        return refusal.code
    return 0


def test_a_pen_full_of_records_takes_no_new_session_and_forgets_none() -> None:
    pen = Bench()
    for _ in range(64):
        pen.load_new(ONE_STROKE)
        pen.finish_session()
    pen.change_cartridge()
    assert pen.hello()["records"] == 64
    assert refused(pen, profiles.data(pen.greeting, ONE_STROKE)) == faults.RECORDS_FULL
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.change_cartridge()
    assert refused(pen, profiles.data(pen.hello(), ONE_STROKE)) == faults.RECORDS_FULL
    pen.pull()
    assert sorted(pen.sealed) == list(range(1, 65))
    pen.insist("record.ack", session=1, sha256=to_hex(pen.sealed[1].digest))
    pen.play_session(ONE_STROKE)
    assert pen.hello()["records"] == 64
    pen.acknowledge()
    assert pen.hello()["records"] == 0
    pen.play_session(ONE_STROKE)
    pen.check(exact=True)
    assert len(pen.sealed) == 66


def test_records_are_acknowledged_in_order_and_by_what_they_say() -> None:
    pen = Bench()
    for _ in range(3):
        pen.play_session(ONE_STROKE)
    digests = {session: to_hex(sealed.digest) for session, sealed in pen.sealed.items()}
    assert pen.refusal("record.ack", session=2, sha256=digests[2]) == faults.RECORD_ACK_ORDER
    assert pen.refusal("record.ack", session=1, sha256=digests[2]) == faults.RECORD_DIGEST
    assert pen.refusal("record.ack", session=4, sha256=digests[3]) == faults.RECORD_ACK_ORDER
    for session in (1, 2, 3):
        pen.insist("record.ack", session=session, sha256=digests[session])
        assert pen.refusal("record.ack", session=session, sha256=digests[session]) == faults.RECORD_ACK_ORDER
    assert pen.read_record(3) == pen.sealed_data[3], "the last one stays: its digest is the chain's head"
    assert pen.refusal("record.read", session=1, offset=0) == faults.RECORD_UNKNOWN
    assert pen.hello()["ledger_head"] == digests[3]


def test_the_chain_is_unbroken_and_a_changed_record_is_found() -> None:
    pen = Bench()
    for _ in range(3):
        pen.play_session(CHEEK)
    heads = [bytes(32)]
    for session in (1, 2, 3):
        assert pen.sealed[session].previous == heads[-1]
        heads.append(pen.sealed[session].digest)
        data = pen.sealed_data[session]
        for at in range(0, len(data), 7):
            spoilt = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            with pytest.raises(Refusal):
                record.decode(spoilt)
    assert pen.hello()["ledger_head"] == heads[-1].hex()


def test_the_same_session_again_is_refused_and_moves_nothing() -> None:
    pen = Bench()
    data = pen.load_new(CHEEK)
    pen.finish_session()
    strokes = pen.needle_strokes()
    pen.change_cartridge()
    for _ in range(2):
        assert refused(pen, data) == faults.PROFILE_SESSION_ID
        assert pen.refusal("arm", zone=None) == faults.STATE_FORBIDS
        pen.press()
        pen.hold(500)
        pen.release()
        pen.unpower()
        pen.run_ms(100)
        pen.restart()
        pen.change_cartridge()
    assert pen.needle_strokes() == strokes
    pen.check()


def test_a_sealed_sessions_cartridge_is_refused_after_a_power_cut_as_well() -> None:
    pen = Bench()
    pen.play_session(CHEEK)
    for _ in range(2):
        pen.change_cartridge()
        assert refused(pen, profiles.data(pen.hello(), CHEEK, cartridge_id="C-1")) == faults.CARTRIDGE_USED
        pen.unpower()
        pen.run_ms(100)
        pen.restart()
    pen.play_session(CHEEK)
    pen.change_cartridge()
    assert refused(pen, profiles.data(pen.hello(), CHEEK, cartridge_id="C-1")) == faults.CARTRIDGE_USED
    pen.check(exact=True)


def test_a_cartridge_counts_as_new_only_when_its_change_was_seen_under_power() -> None:
    pen = Bench()
    good = profiles.data(pen.greeting, CHEEK)
    assert refused(pen, good) == faults.CARTRIDGE_NOT_CHANGED
    pen.unpower()
    pen.cartridge(False)
    pen.run_ms(50)
    pen.cartridge(True)
    pen.restart()
    assert refused(pen, good) == faults.CARTRIDGE_NOT_CHANGED, "changed, but with the power off"
    pen.cartridge(False)
    pen.run_ms(50)
    assert refused(pen, good) == faults.CARTRIDGE_OPEN
    pen.unpower()
    pen.run_ms(50)
    pen.restart()
    pen.run_ms(50)
    pen.cartridge(True)
    pen.run_ms(50)
    pen.load(good)
    pen.finish_session()
    pen.pull()
    assert refused(pen, profiles.data(pen.hello(), CHEEK)) == faults.CARTRIDGE_NOT_CHANGED, "the same one again"
    pen.check(exact=True)


@pytest.mark.parametrize("moment", ["before the first stroke", "in a burst", "paused", "loaded", "power off"])
def test_a_cartridge_opened_in_a_session_ends_it(moment: str) -> None:
    pen = Bench()
    pen.may_coast = True
    pen.load_new(CHEEK)
    pen.arm()
    if moment != "before the first stroke":
        pen.hold(150)
        pen.press()
        pen.hold(60)
    if moment == "paused":
        pen.release()
        pen.hold(200)
    if moment == "loaded":
        pen.release()
        pen.run_ms(2500)
    if moment == "power off":
        pen.unpower()
        pen.run_ms(100)
    pen.cartridge(False)
    if moment == "power off":
        pen.run_ms(50)
        pen.restart()
    pen.run_ms(600)
    assert pen.indicator.shown == (wire.FAULT, faults.CARTRIDGE_OPENED)
    assert not pen.plant.energised
    pen.release()
    pen.cartridge(True)
    pen.run_ms(50)
    pen.recover_from_fault()
    assert pen.state() == wire.SAFE
    pen.pull()
    if moment == "before the first stroke":
        assert not pen.sealed
        pen.play_session(CHEEK)
        pen.check(exact=True)
    else:
        assert pen.sealed[1].end_reason == record.END_CARTRIDGE
        assert faults.CARTRIDGE_OPENED in [fault[0] for fault in pen.sealed[1].faults]
        pen.play_session(CHEEK)
        pen.check()


def test_two_sessions_of_a_course_keep_their_distance() -> None:
    """Interval, order, step of depth and the clock, each against the pen's own memory, after a reset too."""
    pen = Bench()
    pen.play_session(CHEEK)
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.change_cartridge()
    greeting = pen.hello()
    due_s = profiles.NOW + 30 * DAY_S
    deeper: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, profiles.LEFT, 751, 4, 30),)
    attempts = [
        (profiles.data(greeting, CHEEK, issued_at=due_s - 1), faults.COURSE_TOO_EARLY),
        (profiles.data(greeting, CHEEK, issued_at=profiles.NOW - 1), faults.TIME_BACK),
        (profiles.data(greeting, CHEEK, issued_at=profiles.NOW + 45 * DAY_S + 1), faults.TIME_JUMP),
        (profiles.data(greeting, CHEEK, course_index=1), faults.COURSE_INDEX_DONE),
        (profiles.data(greeting, deeper, issued_at=due_s), faults.COURSE_STEP),
        (profiles.data(greeting, CHEEK, issued_at=due_s, interval_days=7), faults.COURSE_CHANGED),
    ]
    for data, code in attempts:
        assert refused(pen, data) == code
    pen.load(profiles.data(greeting, CHEEK, issued_at=due_s))
    pen.finish_session()
    pen.pull()
    assert [pen.sealed[session].course_index for session in (1, 2)] == [1, 2]
    pen.check(exact=True)


def test_a_journal_that_is_compacted_in_a_session_keeps_every_count() -> None:
    """Hundreds of short bursts: the journal fills up and is written anew between two of them, more than once."""
    zones = [(area, 0, 100, 70, 30) for area in range(6)]
    pen = Bench()
    pen.load_new(zones)
    sizes: list[int] = []
    for zone in range(6):
        if zone:
            pen.select(zone)
        else:
            pen.arm()
        while pen.status()["left"][zone]:
            pen.release()
            pen.hold(120)
            pen.press()
            pen.run_ms(25)
            pen.release()
            pen.run_ms(60)
            sizes.append(pen.store.size(ledger.FILE))
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert pen.sealed[1].made() == 420
    assert sum(after < before for before, after in pairwise(sizes)) >= 2
    assert max(sizes) <= 24_576 + 128
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    assert pen.greeting["ledger_head"] == pen.sealed[1].digest.hex()


@pytest.mark.parametrize("entries", range(366, 377))
def test_a_compaction_keeps_what_the_pen_knows_of_before(entries: int) -> None:
    """Wherever it falls into the second session: an open session, a latched fault, a cartridge, a course, the time."""
    pen = Bench(flash=aged(entries))
    pen.play_session(CHEEK)
    crowded = pen.store.size(ledger.FILE)
    pen.load_new(CHEEK)
    pen.arm()
    pen.stroke_for(60)
    pen.send(b"\x18")
    pen.run_ms(200)
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    assert pen.status()["fault"] == faults.OPERATOR_STOP
    pen.recover_from_fault()
    pen.arm()
    for _ in range(3):
        pen.stroke_for(40)
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.run_ms(100)
    pen.finish_session()
    assert pen.store.size(ledger.FILE) < crowded, "it was to be compacted in this session"
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.pull()
    assert faults.OPERATOR_STOP in [fault[0] for fault in pen.sealed[2].faults]
    pen.change_cartridge()
    pen.hello()
    assert refused(pen, profiles.data(pen.greeting, CHEEK, cartridge_id="C-1")) == faults.CARTRIDGE_USED
    assert refused(pen, profiles.data(pen.greeting, CHEEK, course_index=2)) == faults.COURSE_INDEX_DONE
    assert refused(pen, profiles.data(pen.greeting, CHEEK, issued_at=profiles.NOW)) == faults.TIME_BACK
    pen.play_session(CHEEK)
    pen.check()


@pytest.mark.parametrize("entries", range(377, 384))
def test_a_compaction_between_sessions_keeps_the_time(entries: int) -> None:
    """Without an open session, what is kept is what the checkpoint alone holds."""
    pen = Bench(flash=aged(entries))
    pen.play_session(CHEEK)
    pen.acknowledge()
    pen.hold(300)
    assert pen.store.size(ledger.FILE) < 2048, "it was to be compacted"
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.change_cartridge()
    pen.hello()
    assert pen.greeting["session_id"] == 2
    assert refused(pen, profiles.data(pen.greeting, CHEEK, issued_at=profiles.NOW - 1)) == faults.TIME_BACK
    assert refused(pen, profiles.data(pen.greeting, CHEEK, cartridge_id="C-1")) == faults.CARTRIDGE_USED
    pen.play_session(CHEEK)
    pen.check(exact=True)


@pytest.mark.parametrize("entries", range(368, 384))
def test_a_compaction_keeps_a_latched_fault(entries: int) -> None:
    """An opened cartridge is logged, then the session sealed, with the journal made anew anywhere in between."""
    pen = Bench(flash=aged(entries))
    pen.load_new(CHEEK)
    pen.arm()
    pen.stroke_for(250)
    pen.cartridge(False)
    pen.run_ms(800)
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    status = pen.status()
    assert (status["state"], status["fault"]) == (wire.FAULT, faults.CARTRIDGE_OPENED)
    pen.cartridge(True)
    pen.run_ms(50)
    pen.recover_from_fault()
    pen.pull()
    assert pen.sealed[1].end_reason == record.END_CARTRIDGE
    pen.play_session(CHEEK)
    pen.check()


def test_the_record_says_what_the_needle_did() -> None:
    """Zone by zone, against the plant's own count and depth."""
    zones: list[profiles.ZoneSpec] = [
        (profiles.FOREHEAD, 0, 301, 21, 30),
        (profiles.CHEEK, profiles.LEFT, 1499, 13, 20),
        (profiles.CHEEK, profiles.RIGHT, 1001, 8, 20),
    ]
    pen = Bench()
    pen.play_session(zones)
    tallies = pen.plant.report().labels
    for zone, account in enumerate(pen.sealed[1].zones):
        tally = tallies[label(1, zone)]
        assert (account.made, account.forfeited) == (tally.strokes, 0)
        assert tally.deepest_um <= account.deepest_um <= account.depth_um == zones[zone][2]
        assert account.deepest_um - tally.deepest_um < 1, "rounded up to a whole um, no more"
    pen.check(exact=True)


def test_scenarios_look_at_needle_wire_and_flash_alone() -> None:
    """The firmware's insides are nobody's witness; one file reaches into them, to spoil them."""
    readers = set()
    for folder in ("scenarios", "property"):
        for path in (Path(__file__).parents[1] / folder).glob("test_*.py"):
            text = path.read_text(encoding="utf-8")
            if "tests.support.bench" in text and "pen.run" + "ner" in text:
                readers.add(path.name)
    assert readers == {"test_ram_limits.py"}
