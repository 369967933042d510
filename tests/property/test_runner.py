"""Whatever is done to a pen on ideal ports, in whatever order: what the needle did stays within what may be counted.

The needle's own count is the oracle. Held against it: the ledger and the records in flash, as a fresh reader sees them.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from pencore import ledger, record, tasks, wire
from tests.portable import samples
from tests.portable.ideal_pen import IdealPen, carry_out
from tests.support.core_scripts import Act, ledger_entries, scripts, start_times_ms


def pen_with(entries: int, start_ms: int, key_id: int) -> IdealPen:
    """Return a booted pen, as `play` makes it."""
    pen = IdealPen(samples.provisioned(key_id, samples.KEY if key_id else bytes(32)), start_ms)
    for seq in range(entries):
        pen.store.files[ledger.FILE] += ledger.pack(ledger.Entry(ledger.CLOCK, aux=samples.CALIBRATED_S), seq + 2)
    pen.boot()
    return pen


def in_flash(pen: IdealPen) -> tuple[int, int, int]:
    """Return (made, counted, counted and reserved) over all sessions, read from the files alone."""
    book = ledger.Ledger(pen.store)
    book.replay()
    records = [record.decode(tasks.read_record(pen.store, number)) for number in range(1, book.last_session + 1)]
    made = sum(one.made() for one in records)
    counted = sum(one.counted() for one in records)
    reserved = counted
    if book.open is not None:
        made += sum(book.open.made)
        counted += book.open.total()
        reserved += sum(book.open.reserved)
    return made, counted, reserved


@settings(max_examples=150)
@given(script=scripts, start_ms=start_times_ms, key_id=st.sampled_from([0, 7]), entries=ledger_entries)
def test_the_needle_never_makes_more_than_counts(script: list[Act], start_ms: int, key_id: int, entries: int) -> None:
    pen = pen_with(entries, start_ms, key_id)
    damaged = False
    for act in script:
        damaged = damaged or act[-1] == "spoil"
        carry_out(pen, act)
        assert pen.log.breaches == []
        assert pen.needle.deepest_steps <= samples.coarse().stroke_steps(1500)
        work = pen.runner.session
        if work is not None and pen.runner.state != wire.FAULT:
            for zone, limit in enumerate(work.profile.zones):
                assert 0 <= work.counted(zone) + (work.outstanding() if zone == work.zone else 0) <= limit.strokes
            assert work.total() + work.outstanding() <= work.profile.strokes
        if not damaged:
            made, _, reserved = in_flash(pen)
            assert made <= pen.needle.strokes <= reserved
