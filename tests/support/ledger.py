"""A ledger's state as plain values, and histories that a pen could have written."""

import struct
import zlib
from typing import Any

from pencore.ledger import (
    ACK,
    CARTRIDGE,
    CLOCK,
    CONFIRM,
    COURSE,
    FILE,
    FLAG_CLEARED,
    FLAG_LATCHED,
    INTERRUPT,
    OPEN,
    RESERVE,
    SEAL,
    WITNESS,
    Entry,
    Ledger,
    OpenSession,
    create,
)
from tests.portable.ideal_ports import Files

# One append of a pen each: a session that is sealed and acknowledged, and one that was interrupted and goes on.
HISTORY: list[list[Entry]] = [
    [Entry(CARTRIDGE, 1, aux=1)],
    [Entry(OPEN, 1, 3, 0xC0FFEE, aux=1_000_000), Entry(RESERVE, 1, 0, 50, aux=0)],
    [Entry(CONFIRM, 1, 0, 41, 40, 1, aux=9)],
    [Entry(RESERVE, 1, 2, 20, aux=12)],
    [Entry(CONFIRM, 1, 2, 20, 0, 20, aux=12), Entry(INTERRUPT, 1, 2, 12, aux=615)],
    [Entry(RESERVE, 1, 0, 91, 40, 1, aux=20)],
    [Entry(CONFIRM, 1, 0, 60, 58, 2, aux=30), Entry(INTERRUPT, 1, 0, 30, aux=704, flags=FLAG_LATCHED)],
    [Entry(INTERRUPT, 0, aux=704, flags=FLAG_CLEARED)],
    [Entry(COURSE, 1, aux=1), Entry(SEAL, 1, made=58, forfeited=22, aux=0xDEADBEEF)],
    [Entry(ACK, 1)],
    [Entry(CLOCK, 1, reserved=1_000_000, made=0xBADC0DE, forfeited=1_500_000, aux=1_500_000)],
    [Entry(CARTRIDGE, 2, aux=2)],
    [Entry(OPEN, 2, 32, 0xFFFFFFFF, aux=2_000_000), Entry(RESERVE, 2, 31, 500, aux=0)],
    [Entry(CONFIRM, 2, 31, 200_000, 199_999, 1, aux=4_000)],
    [Entry(RESERVE, 2, 5, 50, aux=4_001)],
    [Entry(CLOCK, 2, reserved=2_000_000, made=0xFEED, forfeited=1_900_000, aux=1_900_000)],
    *([Entry(INTERRUPT, 2, 5, 4_001 + index, aux=511)] for index in range(18)),
    [Entry(INTERRUPT, 2, 5, 5_000, aux=705, flags=FLAG_LATCHED)],
]


def new_book(*entries: Entry) -> Ledger:
    """Return a ledger that was provisioned and took `entries`, one append each."""
    store = Files()
    create(store)
    book = Ledger(store)
    book.replay()
    for entry in entries:
        book.append([entry])
    return book


def store_of(book: Ledger) -> Files:
    """Return the store that `new_book` made."""
    store = book._store
    assert isinstance(store, Files)
    return store


def open_state(account: OpenSession | None) -> dict[str, Any] | None:
    """Return what is known of an open session; lists are copies."""
    if account is None:
        return None
    return {name: list(value) if isinstance(value, list) else value for name, value in vars(account).items()}


def state(book: Ledger) -> dict[str, Any]:
    """Return all that a ledger says, but for how it is stored."""
    kept = {name: value for name, value in vars(book).items() if name not in ("_store", "seq", "size", "single_copies")}
    kept["open"] = open_state(book.open)
    return kept


def mark(seq: int) -> bytes:
    """Return what the witness holds of a journal that has come to `seq`."""
    number = struct.pack("<I", seq)
    return number + struct.pack("<I", zlib.crc32(number))


def reread(data: bytes, witness: bytes = mark(1)) -> Ledger:
    """Return the ledger that a fresh reader sees in `data`; Fault when it isn't whole, or falls short of `witness`."""
    store = Files()
    store.files[FILE] = data
    store.files[WITNESS] = witness
    book = Ledger(store)
    book.replay()
    return book
