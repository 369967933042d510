"""`pencore.ledger`: what a damaged journal is taken for, what is written when, what compaction keeps."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from pencore import faults, ledger
from pencore.faults import Fault
from pencore.ledger import (
    ACK,
    CHECKPOINT,
    CLOCK,
    CONFIRM,
    COURSE,
    ENTRY_SIZE,
    FAULTS_KEPT,
    FILE,
    INTERRUPT,
    NEW_SUFFIX,
    NO_ZONE,
    OPEN,
    RESERVE,
    SEAL,
    SLOT_SIZE,
    WITNESS,
    Entry,
    Ledger,
)
from tests.portable.ideal_ports import ENOSPC, Files, PowerCut
from tests.support.ledger import HISTORY, mark, new_book, open_state, reread, state, store_of


def written(history: list[list[Entry]] = HISTORY) -> tuple[Ledger, list[tuple[int, dict[str, Any]]]]:
    """Return a ledger that took `history`, and (size, state) after each append."""
    book = new_book()
    states = [(book.size, state(book))]
    for entries in history:
        book.append(entries)
        states.append((book.size, state(book)))
    return book, states


def image() -> bytes:
    """Return the file of the whole history."""
    return store_of(written()[0]).files[FILE]


def code_of(data: bytes) -> tuple[int, int]:
    """Return code and aux of the fault that reading `data` ends in."""
    with pytest.raises(Fault) as fault:
        reread(data)
    return fault.value.code, fault.value.aux


# --- reading ----------------------------------------------------------------------------------------------------------
def test_every_append_is_what_a_fresh_reader_sees() -> None:
    book, states = written()
    data = store_of(book).files[FILE]
    for size, seen in states:
        assert state(reread(data[:size])) == seen
    assert book.seq == reread(data).seq == len(data) // SLOT_SIZE


def test_every_prefix_of_whole_slots_is_a_ledger_unless_the_witness_knows_better() -> None:
    """A cut leaves whole appends, the witness at the one before; a journal that lost some is no journal."""
    data = image()
    last = len(data) // SLOT_SIZE
    for slots in range(1, last + 1):
        prefix = data[: slots * SLOT_SIZE]
        for known in (1, slots - 1, slots):
            assert reread(prefix, mark(known)).seq == slots
        for known in (slots + 1, last + 1):
            with pytest.raises(Fault) as fault:
                reread(prefix, mark(known))
            assert (fault.value.code, fault.value.aux) == (faults.LEDGER_SHORT, slots)


def test_a_flip_in_one_copy_is_survived_and_counted() -> None:
    data = store_of(written(HISTORY[:9])[0]).files[FILE]
    whole = state(reread(data))
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        book = reread(bytes(changed))
        assert book.single_copies == 1
        assert state(book) == whole


def test_flips_in_both_copies_of_a_slot_are_a_fault() -> None:
    data = image()
    for slot in range(len(data) // SLOT_SIZE):
        for bit in range(0, 8 * ENTRY_SIZE, 7):
            changed = bytearray(data)
            other = bit * 5 % (8 * ENTRY_SIZE)
            for at in (8 * SLOT_SIZE * slot + bit, 8 * (SLOT_SIZE * slot + ENTRY_SIZE) + other):
                changed[at // 8] ^= 1 << at % 8
            assert code_of(bytes(changed)) == (faults.LEDGER_CORRUPT, slot)


def test_a_flip_in_one_copy_of_every_slot_is_survived() -> None:
    data = bytearray(image())
    slots = len(data) // SLOT_SIZE
    for slot in range(slots):
        data[slot * SLOT_SIZE + (slot * 13) % SLOT_SIZE] ^= 0x40
    assert reread(bytes(data)).single_copies == slots


@pytest.mark.parametrize("gone", [FILE, WITNESS])
def test_a_missing_file_is_a_fault(gone: str) -> None:
    """With either of the two there was a journal, and the pen is no new one."""
    book, _ = written()
    store = store_of(book)
    del store.files[gone]
    assert book.exists()
    with pytest.raises(Fault) as fault:
        book.replay()
    assert fault.value.code == faults.LEDGER_MISSING
    assert not Ledger(Files()).exists()


def test_a_spoilt_witness_is_a_fault() -> None:
    data = image()
    for bit in range(64):
        changed = bytearray(mark(3))
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Fault) as fault:
            reread(data, mark(2) + bytes(changed))
        assert fault.value.code == faults.LEDGER_CORRUPT
    for size in range(8):
        with pytest.raises(Fault):
            reread(data, mark(3)[:size])


def test_the_witness_follows_every_append_and_stays_small() -> None:
    book = new_book()
    store = store_of(book)
    for _ in range(100):
        book.append([Entry(CLOCK, aux=1)])
        assert store.files[WITNESS][-8:] == mark(book.seq)
        assert len(store.files[WITNESS]) <= 256
    book.compact()
    assert store.files[WITNESS][-8:] == mark(book.seq)
    assert set(store.files) == {FILE, WITNESS}


def test_an_empty_and_a_cut_file_are_faults() -> None:
    data = image()
    for size in range(len(data)):
        if size % SLOT_SIZE or size == 0:
            assert code_of(data[:size]) == (faults.LEDGER_SHORT, size)


def test_a_store_that_gives_less_than_it_promised_is_a_fault() -> None:
    class Short(Files):
        def read(self, name: str, offset: int, length: int) -> bytes:
            data = super().read(name, offset, length)
            return data[:-SLOT_SIZE] if name == FILE else data

    store = Short()
    store.files[FILE] = image()
    store.files[WITNESS] = mark(1) * 16
    with pytest.raises(Fault) as fault:
        Ledger(store).replay()
    assert fault.value.code == faults.LEDGER_SHORT


def slots_of(data: bytes) -> list[bytes]:
    return [data[at : at + SLOT_SIZE] for at in range(0, len(data), SLOT_SIZE)]


def disorders() -> Iterator[tuple[str, list[bytes]]]:
    """Yield journals of whole slots that no pen writes."""
    slots = slots_of(image())
    last = len(slots) - 1
    for at in range(last):
        yield "dropped", slots[:at] + slots[at + 1 :]
        swapped = [*slots]
        swapped[at], swapped[at + 1] = slots[at + 1], slots[at]
        yield "swapped", swapped
    for at in range(last + 1):
        yield "twice", slots[: at + 1] + slots[at:]
        yield "blank", [*slots[:at], bytes(SLOT_SIZE), *slots[at + 1 :]]
        yield "erased", [*slots[:at], b"\xff" * SLOT_SIZE, *slots[at + 1 :]]
        other = slots[at - 1]
        yield "two entries", [*slots[:at], slots[at][:ENTRY_SIZE] + other[:ENTRY_SIZE], *slots[at + 1 :]]
    yield "two ledgers", slots + slots
    yield "begun anew", [*slots, ledger.pack(Entry(CHECKPOINT), last + 2)]


@pytest.mark.parametrize("what", sorted({kind for kind, _ in disorders()}))
def test_slots_in_disorder_are_a_fault(what: str) -> None:
    for slots in [slots for kind, slots in disorders() if kind == what]:
        assert code_of(b"".join(slots))[0] == faults.LEDGER_CORRUPT


# --- the entries ------------------------------------------------------------------------------------------------------
def test_an_entry_is_32_bytes_twice() -> None:
    slot = ledger.pack(Entry(RESERVE, 7, 3, 1_000, 900, 50, 12), 99)
    fields = struct.unpack("<BBBBIIIIIII", slot[:32])
    assert fields == (RESERVE, ledger.VERSION, 3, 0, 99, 7, 1_000, 900, 50, 12, zlib.crc32(slot[:28]))
    assert slot[32:] == slot[:32]


@pytest.mark.parametrize("number", ["session", "reserved", "made", "forfeited", "aux"])
@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_number_that_does_not_fit_is_a_fault_and_never_wraps(number: str, value: int) -> None:
    entry = Entry(CONFIRM)
    setattr(entry, number, value)
    for wrong, seq in ((entry, 1), (Entry(CONFIRM), value)):
        with pytest.raises(Fault) as fault:
            ledger.pack(wrong, seq)
        assert fault.value.code == faults.INTERNAL


@pytest.mark.parametrize("name", ["kind", "zone", "flags"])
@pytest.mark.parametrize("value", [-1, 256])
def test_a_byte_that_does_not_fit_is_a_fault(name: str, value: int) -> None:
    entry = Entry(CONFIRM)
    setattr(entry, name, value)
    with pytest.raises(Fault):
        ledger.pack(entry, 1)


IMPOSSIBLE: list[tuple[str, list[list[Entry]], Entry]] = [
    ("no such kind", [], Entry(11)),
    ("no kind at all", [], Entry(0)),
    ("a second checkpoint", [], Entry(CHECKPOINT)),
    ("a session out of turn", [], Entry(OPEN, 2, 3)),
    ("a session without zones", [], Entry(OPEN, 1, 0)),
    ("a session with 33 zones", [], Entry(OPEN, 1, 33)),
    ("two sessions at once", HISTORY[:2], Entry(OPEN, 2, 3)),
    ("a session again", HISTORY[:9], Entry(OPEN, 1, 3)),
    ("strokes without a session", [], Entry(RESERVE, 1, 0, 50)),
    ("strokes of another session", HISTORY[:2], Entry(RESERVE, 2, 0, 50)),
    ("strokes of a zone too many", HISTORY[:2], Entry(RESERVE, 1, 3, 50)),
    ("strokes of no zone", HISTORY[:2], Entry(RESERVE, 1, NO_ZONE, 50)),
    ("fewer reserved than counted", HISTORY[:2], Entry(RESERVE, 1, 0, 49, 40, 10)),
    ("a confirmation that keeps some", HISTORY[:2], Entry(CONFIRM, 1, 0, 50, 40, 9)),
    ("made strokes unmade", HISTORY[:3], Entry(CONFIRM, 1, 0, 40, 39, 1)),
    ("forfeited strokes won back", HISTORY[:3], Entry(CONFIRM, 1, 0, 40, 40, 0)),
    ("forfeited strokes for made ones", HISTORY[:3], Entry(CONFIRM, 1, 0, 41, 39, 2)),
    ("the seal of no session", [], Entry(SEAL, 1)),
    ("the seal of another session", HISTORY[:2], Entry(SEAL, 2)),
    ("a fault of no session", [], Entry(INTERRUPT, 1, 0, 5, aux=704)),
    ("a fault of a sealed session", HISTORY[:9], Entry(INTERRUPT, 1, 0, 5, aux=704)),
    ("an acknowledgement ahead", HISTORY[:9], Entry(ACK, 2)),
    ("an acknowledgement again", HISTORY[:10], Entry(ACK, 1)),
]


@pytest.mark.parametrize(("history", "entry"), [case[1:] for case in IMPOSSIBLE], ids=[case[0] for case in IMPOSSIBLE])
def test_what_cannot_follow_is_refused_when_read_and_never_written(history: list[list[Entry]], entry: Entry) -> None:
    book, states = written(history)
    store = store_of(book)
    before = store.files[FILE]
    with pytest.raises(Fault) as fault:
        book.append([Entry(CLOCK, aux=5), entry])
    assert fault.value.code == faults.INTERNAL
    assert store.files[FILE] == before, "a pen would never boot again"
    assert book.stale
    book.replay()
    assert state(book) == states[-1][1]
    assert code_of(before + ledger.pack(entry, book.seq + 1)) == (faults.LEDGER_CORRUPT, book.seq)


def test_the_first_sixteen_faults_are_kept_and_the_others_counted() -> None:
    book, _ = written()
    assert book.open is not None
    assert len(book.open.interruptions) == FAULTS_KEPT == 16
    assert book.open.more_interruptions == 3
    assert book.open.has_interruption(511)
    assert not book.open.has_interruption(705)
    assert book.latched == 705


def test_the_next_session() -> None:
    for end, session in ((0, 1), (2, 1), (9, 2), (13, 2)):
        assert written(HISTORY[:end])[0].next_session() == session


# --- writing ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("end", range(len(HISTORY) + 1))
def test_compaction_keeps_the_whole_state(end: int) -> None:
    book, states = written(HISTORY[:end])
    store = store_of(book)
    seq = book.seq
    book.compact()
    assert state(book) == states[-1][1]
    assert set(store.files) == {FILE, WITNESS}
    data = store.files[FILE]
    again = reread(data)
    assert state(again) == states[-1][1]
    assert (again.seq, again.size) == (book.seq, book.size) == (seq + len(data) // SLOT_SIZE, len(data))
    for entries in HISTORY[end:]:
        book.append(entries)
    assert state(reread(store.files[FILE])) == written()[1][-1][1]


def test_compaction_keeps_the_time_of_a_session_without_a_stroke() -> None:
    """Opened, and let go before the first stroke: no zone has a count, the session has its time all the same."""
    book = written([*HISTORY[:2], [Entry(CONFIRM, 1, 0, 0, aux=77)]])[0]
    assert book.open is not None
    assert (book.open.total(), book.open.elapsed_s) == (0, 77)
    book.compact()
    account = reread(store_of(book).files[FILE]).open
    assert account is not None
    assert account.elapsed_s == 77


@pytest.mark.parametrize("kind", ["cut", "cut done", "fail", "fail done"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_compaction_that_breaks_off_leaves_the_old_or_the_new_journal(number: int, kind: str) -> None:
    book, states = written()
    store = store_of(book)
    store.trouble_at, store.trouble = store.writes + number, kind
    with pytest.raises((PowerCut, OSError)):
        book.compact()
    assert book.stale
    ledger.sweep(store)
    assert store.names() == [FILE]
    assert state(reread(store.files[FILE])) == states[-1][1]
    book.append([Entry(CLOCK, aux=7)])
    assert reread(store.files[FILE]).time_floor_s == book.time_floor_s == 7


def test_a_leftover_of_an_earlier_compaction_is_overwritten() -> None:
    book, states = written()
    store_of(book).files[FILE + NEW_SUFFIX] = b"half a journal"
    book.compact()
    assert state(reread(store_of(book).files[FILE])) == states[-1][1]


@pytest.mark.parametrize("kind", ["fail", "fail done"])
@pytest.mark.parametrize("end", range(len(HISTORY)))
def test_a_failed_append_is_there_once_or_not_at_all(end: int, kind: str) -> None:
    """The store fails before or after the write: the next append finds what was written, and doesn't count it twice."""
    book, states = written(HISTORY[:end])
    store = store_of(book)
    store.trouble_at, store.trouble = store.writes + 1, kind
    store.error = ENOSPC
    with pytest.raises(OSError):  # noqa: PT011  # any of the store's errors
        book.append(HISTORY[end])
    assert book.stale
    truth = reread(store.files[FILE])
    assert state(truth) == (written(HISTORY[: end + 1])[1][-1][1] if kind == "fail done" else states[-1][1])
    book.append([Entry(CLOCK, aux=3)])
    truth.append([Entry(CLOCK, aux=3)])
    assert state(book) == state(truth)
    assert state(reread(store.files[FILE])) == state(truth)


@pytest.mark.parametrize("kind", ["spoil", "lose"])
def test_an_append_that_reads_back_wrong_is_written_elsewhere(kind: str) -> None:
    book = written(HISTORY[:3])[0]
    store = store_of(book)
    store.trouble_at, store.trouble = store.writes + 1, kind
    book.append(HISTORY[3])
    assert state(book) == state(reread(store.files[FILE])) == written(HISTORY[:4])[1][-1][1]


@pytest.mark.parametrize("kind", ["spoil", "lose"])
def test_flash_that_gives_back_wrong_twice_is_a_fault(kind: str) -> None:
    class Worn(Files):
        def read(self, name: str, offset: int, length: int) -> bytes:
            data = super().read(name, offset, length)
            return data[:-1] + b"\x00" if kind == "spoil" and self.writes else data[: 64 * (not self.writes)]

    store = Worn()
    ledger.create(store)
    store.writes = 0
    book = Ledger(store)
    book.replay()
    with pytest.raises(Fault) as fault:
        book.append([Entry(COURSE, aux=1)])
    assert fault.value.code == faults.LEDGER_READ_BACK
    assert book.stale


def test_no_effect_before_the_flash_has_it() -> None:
    """The journal is in flash and read back when `append` returns; before that the state is not to be trusted."""

    class Watched(Files):
        def append(self, name: str, data: bytes) -> None:
            stale.append(book.stale)
            super().append(name, data)

        def read(self, name: str, offset: int, length: int) -> bytes:
            reads.append((name, offset, length, self.size(name)))
            return super().read(name, offset, length)

    reads: list[tuple[str, int, int, int]] = []
    stale: list[bool] = []
    store = Watched()
    book = Ledger(store)
    ledger.create(store)
    book.replay()
    reads.clear()
    stale.clear()
    book.append(HISTORY[1])
    assert stale == [True, True]
    assert reads[0] == (FILE, 64, 129, 192)
    assert not book.stale
    assert open_state(book.open) is not None


def test_crowded_from_24_kilobytes_on() -> None:
    book = new_book()
    while book.size < 24_576:
        assert not book.crowded()
        book.append([Entry(CLOCK, aux=1)])
    assert book.crowded()
    book.compact()
    assert not book.crowded()
    fullest = 3 + 32 + FAULTS_KEPT + 1 + 2
    assert fullest * SLOT_SIZE < 24_576 // 2


def test_sweeping_removes_leftovers_alone() -> None:
    store = Files()
    for name in ("ledger.bin", "ledger.bin.new", "rec00000001.bin", "rec00000002.bin.new"):
        store.files[name] = b"x"
    ledger.sweep(store)
    assert store.names() == ["ledger.bin", "rec00000001.bin"]
