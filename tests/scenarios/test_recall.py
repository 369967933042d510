"""What a pen does at power-up with a file that is whole by its CRC and yet makes no sense: nothing but say so."""

import pytest

from pencore import faults, ledger, tasks, wire
from pencore.digest import crc32
from tests.support import flash_files
from tests.support.bench import Bench
from tests.support.cuts import SHORT


def with_session_file(pen: Bench, data: bytes) -> Bench:
    """Return a pen with the flash of `pen`, but `data` as its open session's profile, and a journal that agrees."""
    flash = flash_files.rewritten(pen.snapshot_flash(), tasks.SESSION_FILE, data)
    journal = b""
    old = flash_files.read(flash, ledger.FILE)
    for at in range(0, len(old), ledger.SLOT_SIZE):
        entry, seq, _ = ledger.unpack(old[at : at + ledger.SLOT_SIZE])
        assert entry is not None
        if entry.kind == ledger.OPEN:
            entry.reserved = crc32(data)
        journal += ledger.pack(entry, seq)
    other = Bench(flash=flash_files.rewritten(flash, ledger.FILE, journal), earlier=pen.needle_strokes(), seed=1)
    other.budgets.update(pen.budgets)
    return other


def interrupted() -> Bench:
    """Return a pen that lost its power in a session."""
    pen = Bench()
    pen.load_new(SHORT)
    pen.arm()
    pen.stroke_for(300)
    pen.unpower()
    return pen


def changed(data: bytes, at: int, byte: int) -> bytes:
    """Return `data` with another byte in one place."""
    return data[:at] + bytes([byte]) + data[at + 1 :]


def test_the_way_to_spoil_it_spoils_nothing_by_itself() -> None:
    past = interrupted()
    assert with_session_file(past, past.loaded_data).greeting["state"] == wire.LOADED


@pytest.mark.parametrize("what", ["another schema", "not a profile", "cut short", "one byte", "a flipped digest"])
def test_a_profile_in_flash_that_cannot_be_read_is_a_fault(what: str) -> None:
    past = interrupted()
    good = past.loaded_data
    data = {
        "another schema": changed(good, 4, good[4] + 1),
        "not a profile": b"\x00" * len(good),
        "cut short": good[:-40],
        "one byte": b"P",
        "a flipped digest": changed(good, len(good) - 40, good[-40] ^ 1),
    }[what]
    pen = with_session_file(past, data)
    assert (pen.greeting["state"], pen.status()["fault"]) == (wire.FAULT, faults.LEDGER_CORRUPT)
    pen.hold(100)
    assert pen.refusal("clear") == faults.LEDGER_CORRUPT, "read anew, and found the same"
    pen.hold(200)
    assert pen.refusal("arm", zone=None) == faults.STATE_FORBIDS
    pen.press()
    pen.hold(300)
    assert not pen.plant.energised
    assert pen.needle_strokes() == past.needle_strokes()
    pen.check()
