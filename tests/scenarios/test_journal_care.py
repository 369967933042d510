"""What a pen at rest does for its flash by itself: one bad copy is told and mended, a full journal is written anew,
what a power cut has left is tidied up.
"""

from functools import partial

import pytest

from pencore import faults, ledger, provision, tasks, wire
from pencore.digest import to_hex
from pensim.flash import Snapshot
from tests.support import flash_files, profiles
from tests.support.bench import Bench
from tests.support.cuts import ONE_STROKE, SHORT, aged


def told_at_boot(pen: Bench) -> list[tuple[int, int]]:
    """Return (state, code) of what the pen has said of its states since it was switched on."""
    pen.listen()
    return [(note.values["state"], note.values["code"]) for note in pen.notes if note.name == "state"]


# --- one bad copy ----------------------------------------------------------------------------------------------------
def with_a_past() -> Bench:
    """Return a pen that has a sealed session behind it and another one open."""
    pen = Bench()
    pen.play_session(ONE_STROKE)
    pen.load_new(SHORT)
    pen.arm()
    pen.stroke_for(300)
    pen.unpower()
    return pen


def with_a_bad_copy(flash: Snapshot, slot: int, copy: int) -> Snapshot:
    """Return the flash with a bit flipped in one of the two copies of an entry."""
    data = bytearray(flash_files.read(flash, ledger.FILE))
    data[slot * ledger.SLOT_SIZE + copy * ledger.ENTRY_SIZE + 9] ^= 0x10
    return flash_files.rewritten(flash, ledger.FILE, bytes(data))


@pytest.mark.parametrize("copy", [0, 1])
@pytest.mark.parametrize("slot", [0, 3, -1])
def test_one_bad_copy_of_an_entry_is_told_and_mended(slot: int, copy: int) -> None:
    past = with_a_past()
    whole = past.snapshot_flash()
    number = slot % (len(flash_files.read(whole, ledger.FILE)) // ledger.SLOT_SIZE)
    flash = with_a_bad_copy(whole, number, copy)
    assert flash_files.journal(flash).single_copies == 1
    pen = Bench(flash=flash, earlier=past.needle_strokes(), seed=1)
    pen.budgets.update(past.budgets)
    pen.remember(past.loaded_data)
    assert told_at_boot(pen) == [(wire.LOADED, faults.LEDGER_ONE_COPY)]
    pen.hold(300)
    assert flash_files.journal(pen.snapshot_flash()).single_copies == 0
    pen.unpower()
    pen.run_ms(100)
    pen.notes.clear()
    pen.restart()
    assert told_at_boot(pen) == [(wire.LOADED, 0)]
    pen.finish_session()
    pen.pull()
    pen.check()


def test_a_bad_copy_after_another_never_makes_two_of_one_entry() -> None:
    """Mended in between, an entry outlives one flip in each of its copies; not mended it is a fault."""
    past = with_a_past()
    flash = past.snapshot_flash()
    both = with_a_bad_copy(with_a_bad_copy(flash, 0, 0), 0, 1)
    assert Bench(flash=both, seed=1).status()["fault"] == faults.LEDGER_CORRUPT
    for copy in (0, 1):
        pen = Bench(flash=with_a_bad_copy(flash, 0, copy), seed=1)
        pen.hold(300)
        pen.unpower()
        flash = pen.snapshot_flash()
    assert Bench(flash=flash, seed=1).greeting["state"] == wire.LOADED


# --- a full journal --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("entries", [383, 500])
def test_a_crowded_journal_is_written_anew_though_nobody_asks_for_anything(entries: int) -> None:
    pen = Bench(flash=aged(entries), greet=False)
    before = flash_files.journal(pen.snapshot_flash())
    pen.power_on()
    pen.run_ms(1000)
    assert pen.store.size(ledger.FILE) < 1024
    after = flash_files.journal(pen.snapshot_flash())
    assert after.seq > before.seq
    assert after.last_session == before.last_session
    assert flash_files.names(pen.snapshot_flash()) == [ledger.FILE, provision.FILE]


def test_a_journal_that_is_not_full_is_left_alone() -> None:
    pen = Bench(flash=aged(382))
    size = pen.store.size(ledger.FILE)
    pen.hold(2000)
    assert pen.store.size(ledger.FILE) == size


def test_a_host_that_asks_for_entries_for_ever_fills_no_flash() -> None:
    pen = Bench(flash=aged(300))
    correction = {"time": profiles.NOW, "reason": "x", "key_id": 0, "hmac": "0" * 64}
    sizes = []
    for _ in range(200):
        pen.insist("clock.correct", **correction)
        sizes.append(pen.store.size(ledger.FILE))
    assert max(sizes) <= 24_576 + ledger.SLOT_SIZE
    assert sizes[-1] < sizes[0]


# --- what a power cut has left ---------------------------------------------------------------------------------------
def records(flash: Snapshot) -> list[str]:
    """Return the names of the records in flash."""
    return [name for name in flash_files.names(flash) if name.startswith("rec")]


def test_acknowledged_records_leave_however_the_power_goes_meanwhile() -> None:
    """A cut at each operation of an acknowledgement, which first writes down that a record may go, then removes it."""
    past = Bench()
    for _ in range(3):
        past.play_session(ONE_STROKE)
    left = set()
    every_operation = False
    for number in range(20):
        pen = Bench(flash=past.snapshot_flash(), seed=1)
        pen.hold(1500)
        pen.insist("record.ack", session=1, sha256=to_hex(past.sealed[1].digest))
        pen.hold(300)
        pen.cut_at_operation(pen.flash.operations + number)
        pen.without_power(partial(pen.insist, "record.ack", session=2, sha256=to_hex(past.sealed[2].digest)))
        pen.run_ms(300)
        every_operation = pen.powered
        if every_operation:
            break
        kept = len(records(pen.snapshot_flash()))
        pen.restart()
        pen.hold(1500)
        acked = pen.ask("record.list", after=0)["acked"]
        assert records(pen.snapshot_flash()) == [tasks.record_name(session) for session in range(acked + 1, 4)]
        left.add((acked, kept))
    assert every_operation, "every operation was cut"
    assert left == {(1, 3), (2, 3)}, "the power went before the acknowledgement, and between it and the removal"
