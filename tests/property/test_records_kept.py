"""Records on this computer, whatever happens to the files: damage is found where it is, exports come back whole."""

import csv
import io
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore.digest import text_problem
from pencore.profile import ID_SIZE, NAME_SIZE, SERIAL_SIZE
from pencore.record import RecordZone
from pinprick.records import RecordStore, SavedRecord, import_records, parse, to_csv, to_json, write_export
from tests.support.records import SERIAL, keep, make
from tests.support.records import chain as chained


def _texts(size: int, least: int = 0) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=least, max_size=size).filter(
        lambda text: not text_problem(text, size)
    )


_TEXTS = _texts(NAME_SIZE)


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


def _numbers(bits: int) -> st.SearchStrategy[int]:
    return st.sampled_from([0, 1, 2**bits - 1]) | st.integers(0, 2**bits - 1)


def _zone(places: tuple[int, int, int], made: int, forfeited: int, left: int, depth: tuple[int, int]) -> RecordZone:
    area, side, depth_um = places
    return RecordZone(area, side, depth_um, made + forfeited + left, made, forfeited, *depth)


_ZONES = st.builds(
    _zone,
    st.tuples(_numbers(8), _numbers(8), _numbers(16)),
    _numbers(30),
    _numbers(30),
    _numbers(30),
    st.tuples(_numbers(16), _numbers(16)),
)


_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "start_s": _numbers(32),
    "end_s": _numbers(32),
    "profile_digest": st.binary(min_size=32, max_size=32),
    "profile_name": _texts(NAME_SIZE),
    "course_id": _texts(ID_SIZE),
    "course_index": _numbers(8),
    "course_of": _numbers(8),
    "head": _numbers(8),
    "cartridge_id": _texts(ID_SIZE),
    "cartridge_lot": _texts(ID_SIZE),
    "expires_day": _numbers(16),
    "build": _texts(16),
    "calibration_s": _numbers(32),
    "session_depth_um": _numbers(16),
    "session_strokes": _numbers(32),
    "end_reason": _numbers(8),
    "key_id": _numbers(32),
    "zones": st.lists(_ZONES, min_size=1, max_size=3) | _ZONES.map(lambda zone: [zone] * 32),
    "faults": st.lists(st.tuples(_numbers(16), _numbers(8), _numbers(32)), max_size=3),
    "more_faults": _numbers(32),
}


@settings(max_examples=60, deadline=None)
@given(_texts(SERIAL_SIZE, 1), st.lists(st.fixed_dictionaries(_FIELDS), min_size=1, max_size=3), st.data())
def test_every_record_that_can_be_is_exported_and_comes_back(
    serial: str, chain: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Into an empty folder and into one that has some of them: byte for byte."""
    made: list[bytes] = []
    first = data.draw(st.sampled_from([1, 7, 2**32 - len(chain)]))
    for session, fields in enumerate(chain, first):
        previous = made[-1][-32:] if made else bytes(32) if session == 1 else b"\x07" * 32
        made.append(make(session, previous, serial, **fields))
    there = data.draw(st.sets(st.integers(0, len(made) - 1)))
    with tempfile.TemporaryDirectory() as folder:
        here, other = RecordStore(Path(folder, "here")), RecordStore(Path(folder, "there"))
        here.save_all([(sealed, parse(sealed)) for sealed in made])
        for index in there:
            other.save(made[index], serial, first + index)
        path = Path(folder, "out.json")
        write_export(to_json(here.load_all(here.serials())), path)
        imported = import_records(path, other)
        assert (len(imported.new), len(imported.kept)) == (len(made) - len(there), len(there))
        kept = [saved.data for saved in other.load_all([serial])]
        assert kept == made
        assert other.inspect(serial).first_bad is None
        assert not other.inspect(serial).edited
        assert to_json(other.load_all([serial])) == path.read_text()


def test_two_thousand_records_come_back_in_no_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As many as a pen seals in years. What the disk takes to keep them is its own affair."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    made = [SavedRecord(Path("x.ppr"), data, parse(data), new=False) for data in chained(2000)]
    begin = time.process_time()
    path = tmp_path / "out.json"
    write_export(to_json(made), path)
    store = RecordStore(tmp_path / "records")
    assert len(import_records(path, store).new) == len(made)
    assert [saved.data for saved in store.load_all([SERIAL])] == [saved.data for saved in made]
    assert store.inspect(SERIAL).count == len(made)
    assert time.process_time() - begin < 30


@settings(max_examples=100, deadline=None)
@given(_TEXTS)
def test_every_text_is_one_cell_and_no_formula(text: str) -> None:
    data = make(profile_name=text)
    saved = SavedRecord(Path("x.ppr"), data, parse(data), new=False)
    for row in csv.DictReader(io.StringIO(to_csv([saved]), newline="")):
        assert row["profile"] in (text, f"'{text}")
        assert not row["profile"].startswith(("=", "+", "-", "@"))
