"""What the benchmark of the link measures is what happened, and a wrong run has no figures. No test asks how fast."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import link
from bench.parts import stops, ways
from pencore import faults, limits, profile, record, wire
from pensim.flash import WORST_TIMING
from pinprick.device import Pen
from pinprick.records import RecordStore
from tests.support.bench import Bench
from tests.support.served import refused

CASES = {case.name: case for case in stops.CASES}
RUNNING = CASES["RUNNING, 1.5 mm"]


def test_the_largest_profile_is_the_largest_there_is() -> None:
    made = link.largest_profile()
    data = profile.encode(made)
    assert len(data) == profile.SIZE_MAX
    assert len(made.zones) == limits.ZONES_MAX
    for text, size in ((made.name, profile.NAME_SIZE), (made.course_id, profile.ID_SIZE)):
        assert len(text) == size
    bench = Bench()
    made.serial = bench.greeting["serial"]
    assert list(profile.problems(made, bench.setup.bounds)) == []


def test_a_full_memory_is_pulled_whole(tmp_path: Path) -> None:
    with ways.pen_by(ways.THREAD, link.full_memory(2)) as served, Pen(served.connect()) as pen:
        assert len(pen.record_read(1)) == record.SIZE_MAX
        store = RecordStore(tmp_path)
        figures = link._pull(pen, store, 1)
        assert figures["records"] == 2
        made = store.load("SIM-0001", 1).record
        # The faults of the record are the stops.
        assert [code for code, _, _ in made.faults] == [faults.OPERATOR_STOP] * link.FAULTS
        assert refused(lambda: pen.record_read(1)).code == faults.RECORD_UNKNOWN  # acknowledged


@pytest.mark.parametrize("way", ways.WAYS)
def test_a_visit_by_each_way(way: str) -> None:
    with ways.pen_by(way) as served:
        visit = link.Visit(served)
        with visit.pen:
            assert len(visit.round_trips(3)) == 3
            assert len(visit.loads(2)) == 2
            assert len(visit.stops(2)) == 2
            heard = visit.telemetry(100)
            assert heard["lines"] + heard["dropped"] >= 45  # 5 s of ten lines each
            needle = visit.operator.needle()
            assert needle.violations == ()
            assert visit.pen.status().state == wire.SAFE
    with ways.echo_by(way) as echo:
        assert len(link.echoes(echo, 3)) == 3


def test_the_host_alone_hears_every_line_and_keeps_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_FED", 300)
    monkeypatch.setattr(link, "_ASKED", 3)
    figures = link.measure_host()
    # At most 15 lines between two of its requests: else the pen stands still.
    assert figures["fed_requests"] >= 300 / 15 - 1


def test_a_stop_ends_the_stroke_it_falls_into() -> None:
    made = stops.measure(RUNNING, 10)
    assert len(made) == 10
    # The driver goes off in the turn of the stop; some stops fell while the needles were out.
    assert all(stop.off_us == 0 for stop in made)
    assert any(stop.inside_us > 0 for stop in made)
    assert all(stop.off_us <= stop.inside_us <= stop.home_us for stop in made)
    assert any(stop.coast_um > 0 for stop in made)


def test_a_stop_waits_for_the_flash_with_the_needles_inside() -> None:
    case = CASES["while flash is written, its worst times"]
    assert case.timing == WORST_TIMING
    made = stops.measure(case, 6)
    assert max(stop.off_us for stop in made) > 1000
    assert all(stop.inside_us == 0 and stop.coast_um == 0 for stop in made)


def test_noise_and_half_a_line_hold_a_stop_up_by_no_more_than_reading_them() -> None:
    # 512 bytes a turn of 1 ms; in a turn that gave a credit nothing more is worked off.
    for name, most_us in (("the same, half a line of 1 KB before it", 1000), ("the same, behind 4 KB of noise", 9000)):
        assert all(stop.off_us <= most_us for stop in stops.measure(CASES[name], 4))


def test_a_stop_without_effect_has_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "_LONGEST_MS", 800)
    deaf = stops.Case("deaf", RUNNING.begin, 50, data=b"")
    with pytest.raises(stops.NotStopped, match="still on"):
        stops.measure(deaf, 1)


def test_spreads() -> None:
    assert stops.spread_ms([3000, 1000, 2000]) == {"median": 2.0, "p99": 3.0, "most": 3.0}
    assert link.spread([0.3, 0.1, 0.2])["median"] == 0.2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_table_is_whole_and_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few: dict[str, Any] = {"_MOMENTS": 3, "_STROKES": 200, "_FED": 300, "_STOPS": 2, "_ROUND_TRIPS": 10, "RECORDS": 2}
    for name, number in few.items():
        monkeypatch.setattr(link, name, number)
    monkeypatch.setattr(link, "RESULT", tmp_path / "build" / "result.json")
    assert link.main(["--rounds", "1", "--json"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    figures = json.loads((tmp_path / "build" / "result.json").read_text())
    assert set(figures["ways"]) == set(ways.WAYS)
    assert len(figures["stops"]) == len(stops.CASES)
