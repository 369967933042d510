"""Records on this computer, whatever happens to the files: damage is found where it is, exports come back whole."""

import csv
import io
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pencore.digest import text_problem
from pencore.profile import NAME_SIZE
from pinprick.records import RecordStore, SavedRecord, import_records, parse, to_csv, to_json, write_export
from tests.support.records import SERIAL, keep, make

_TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=NAME_SIZE).filter(
    lambda text: not text_problem(text, NAME_SIZE)
)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_first_damaged_record_is_the_first_bad_link(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 6))
    absent = data.draw(st.sets(st.integers(1, length), max_size=length - 1))
    kept = [session for session in range(1, length + 1) if session not in absent]
    damaged = data.draw(st.sets(st.sampled_from(kept)))
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(Path(folder))
        keep(store, length, without=tuple(absent))
        for session in damaged:
            path = store.path(SERIAL, session)
            held = bytearray(path.read_bytes())
            held[data.draw(st.integers(0, len(held) - 1))] ^= data.draw(st.integers(1, 255))
            path.write_bytes(held)
        report = store.inspect(SERIAL)
    first = min(damaged, default=None)
    assert (report.first_bad.session if report.first_bad else None) == first
    assert report.count == sum(first is None or session < first for session in kept)
    assert report.unverified == tuple(session for session in kept if first is not None and session > first)
    missing = {session for gap in report.gaps for session in range(gap.first, gap.last + 1)}
    assert missing == {session for session in absent if session < kept[-1]}


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from([SERIAL, "PP-2", "../x"]), st.sets(st.integers(1, 6)), max_size=3))
def test_whatever_is_kept_is_exported_and_comes_back(pens: dict[str, set[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here, there = RecordStore(Path(folder, "here")), RecordStore(Path(folder, "there"))
        for serial, kept in pens.items():
            keep(here, 6, serial, without=tuple({*range(1, 7)} - kept))
        text = to_json(here.load_all(here.serials()))
        path = Path(folder, "out.json")
        write_export(text, path)
        assert len(import_records(path, there).new) == sum(map(len, pens.values()))
        assert to_json(there.load_all(there.serials())) == text


@settings(max_examples=100, deadline=None)
@given(_TEXTS)
def test_every_text_is_one_cell_and_no_formula(text: str) -> None:
    data = make(profile_name=text)
    saved = SavedRecord(Path("x.ppr"), data, parse(data), new=False)
    for row in csv.DictReader(io.StringIO(to_csv([saved]), newline="")):
        assert row["profile"] in (text, f"'{text}")
        assert not row["profile"].startswith(("=", "+", "-", "@"))
