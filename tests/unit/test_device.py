"""The host's Pen against the real firmware in a virtual pen: every operation, its results and its refusals."""

import ast
import inspect
import time
from pathlib import Path
from typing import Any

import pytest

from pencore import faults, limits, profile, record, wire
from pensim.world import default_provision
from pinprick import device, errors, link
from pinprick.device import ClinicKey, FaultNotice, Pen, PenFault, StateChange, Telemetry, Update
from pinprick.errors import Mismatch, NoDevice, PinprickError, ValidationFailed
from pinprick.link import PenRefused
from pinprick.profiles import load_profile, parse_profile
from pinprick.records import RecordStore
from tests.support.profile_files import GOOD
from tests.support.profile_files import NOW as GOOD_NOW
from tests.support.profiles import NOW
from tests.support.records import make_session
from tests.support.served import LONG_ZONES, Served, deeper, load, refused, served, small, until

SLOW = 0.2
"""Simulated seconds per second at which an arming, 0.1 s long, can be caught in the middle."""
ASKING = ("_ask", "_insist", "request", "_exchange")
"""What a request goes out by, in `Pen` and in `Link`."""
KEY = ClinicKey(7, bytes(range(32)))


def spent(pen: Pen, zone: int) -> bool:
    """Return whether `zone` has no strokes left; so it is once the session is sealed."""
    left = pen.status().left
    return not left or left[zone] == 0


class Lying:
    """A pen whose firmware is wrong: it answers some methods with `lies`, and has no other answers than its hello."""

    def __init__(self, **lies: Any) -> None:
        self.name = "liar"
        self.asked: list[str] = []
        self._lies = lies
        self._said = b""

    def read(self, timeout_s: float) -> bytes:
        if not self._said:
            time.sleep(min(timeout_s, 0.01))
        said, self._said = self._said, b""
        return said

    def write(self, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            if line.startswith(b"{"):
                request = wire.decode_request(line)
                self.asked.append(request.method)
                lie = self._lies.get(request.method.replace(".", "_"), LIARS_HELLO)
                answer = lie(request.params) if callable(lie) else lie
                self._said += wire.encode_result(request.method, request.id, answer)

    def close(self) -> None:
        pass


LIARS_HELLO: dict[str, Any] = {
    "protocol_major": 1,
    "protocol_minor": 0,
    "firmware": "0",
    "build": "0" * 16,
    "serial": "LIAR-1",
    "head": profile.HEAD_PEN,
    "nonce": "0" * 16,
    "request_id": 0,
    "state": wire.SAFE,
    "session_id": 2,
    "open_session": 0,
    "open_digest": "0" * 64,
    "ledger_head": "0" * 64,
    "ceiling_um": 2500,
    "calibration_um": 2500,
    "calibrated_at": 1,
    "cartridge_strokes": 1000,
    "interval_days": 4,
    "key_id": 0,
    "time_floor": 0,
    "records": 1,
    "zone_caps_um": [],
    "geometry": default_provision().bounds.geometry.as_list(),
}


# --- who and how -----------------------------------------------------------------------------------------------------
def test_hello_tells_who_the_pen_is_and_what_it_allows(bench: Served, pen: Pen) -> None:
    info = pen.info
    assert (info.serial, info.session_id, info.last_session, info.open_session) == ("SIM-0001", 1, 0, 0)
    assert info.ledger_head == bytes(32)
    assert info.state == pen.state == wire.SAFE
    bounds = info.bounds()
    assert (bounds.ceiling_um, bounds.cartridge_strokes) == (limits.DEPTH_CEILING_UM, limits.CARTRIDGE_STROKES_MAX)
    assert bounds.geometry.as_list() == bench.world.setup.bounds.geometry.as_list()
    assert pen.hello() == info


def test_status_and_ping(bench: Served, pen: Pen) -> None:
    status = pen.status()
    assert (status.state, status.session_id, status.zone, status.made, status.resumed) == (
        wire.SAFE,
        0,
        None,
        (),
        False,
    )
    assert pen.ping() <= pen.ping()
    load(pen)
    status = pen.status()
    assert (status.state, status.session_id, status.left, status.session_left) == (wire.LOADED, 1, (60, 40), 100)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, 5, 7])
def test_a_pen_with_bounds_that_no_pen_has_is_none(place: int) -> None:
    geometry = list(LIARS_HELLO["geometry"])
    geometry[place] = 0
    with pytest.raises(NoDevice) as caught:
        Pen(Lying(hello=LIARS_HELLO | {"geometry": geometry}))
    assert caught.value.code == errors.NOT_A_PEN
    assert caught.value.field.startswith("geometry.")
    with Pen(Lying()) as pen:  # nothing else is wrong with it
        assert pen.info.serial == "LIAR-1"


# --- load ------------------------------------------------------------------------------------------------------------
def test_load_fills_in_what_the_pen_demands(pen: Pen) -> None:
    source = small(serial="OTHER")
    loaded = pen.load(source, issued_at=NOW)
    sent = profile.decode(loaded.data)
    assert (sent.serial, sent.session_id, sent.ledger_head, sent.issued_at) == ("SIM-0001", 1, bytes(32), NOW)
    assert (loaded.session_id, loaded.zones, loaded.resumed, loaded.digest) == (1, 2, False, sent.digest)
    assert source.serial == "OTHER"  # the caller's stays as it was


def test_load_takes_a_profile_file(pen: Pen) -> None:
    loaded = pen.load(parse_profile(GOOD, "good.toml", issued_at=GOOD_NOW), issued_at=GOOD_NOW)
    assert pen.status().session_id == loaded.session_id


def test_the_host_holds_a_file_against_this_very_pen() -> None:
    setup = default_provision()
    setup.bounds.ceiling_um = setup.bounds.calibration_um = 600
    with served(setup=setup) as bench, Pen(bench.connect()) as pen:
        file = parse_profile(GOOD, "good.toml", issued_at=GOOD_NOW)
        with pytest.raises(ValidationFailed) as caught:
            pen.load(file, issued_at=GOOD_NOW)
        assert {problem.code for problem in caught.value.problems} == {faults.DEPTH_ABOVE_CEILING}
        assert all(problem.line for problem in caught.value.problems)
        error = refused(lambda: load(pen, deeper(small(), 601)))
        assert (error.code, error.limit) == (faults.DEPTH_ABOVE_CEILING, 600)
        assert pen.status().state == wire.SAFE


def test_the_pen_refuses_by_itself_what_the_host_let_pass(pen: Pen) -> None:
    bad = deeper(small(), limits.DEPTH_CEILING_UM + 1)
    bad.serial, bad.session_id, bad.issued_at = "SIM-0001", 1, NOW
    error = refused(lambda: pen.load_bytes(profile.encode(bad)))
    assert (error.code, error.given, error.limit) == (faults.DEPTH_ABOVE_CEILING, 2501, 2500)
    assert (error.name, error.exit_code) == ("DEPTH_ABOVE_CEILING", 1)
    assert "given 2.501 mm, bound 2.50 mm" in error.message
    assert pen.status().state == wire.SAFE


def test_a_clinic_key_signs() -> None:
    setup = default_provision()
    setup.key_id, setup.key = KEY.key_id, KEY.key
    with served(setup=setup) as bench, Pen(bench.connect()) as pen:
        assert refused(lambda: load(pen)).code == faults.SIGNATURE_MISSING
        assert refused(lambda: load(pen, key=ClinicKey(8, KEY.key))).code == faults.KEY_UNKNOWN
        assert refused(lambda: load(pen, key=ClinicKey(7, bytes(32)))).code == faults.SIGNATURE_WRONG
        load(pen, key=KEY)
        assert pen.status().state == wire.LOADED


def test_a_pen_that_names_another_digest_is_not_believed(monkeypatch: pytest.MonkeyPatch, pen: Pen) -> None:
    ask = pen._ask

    def lie(method: str, **params: object) -> dict[str, object]:
        answer = ask(method, **params)
        return answer | {"sha256": "00" * 32} if method == "load.commit" else answer

    monkeypatch.setattr(pen, "_ask", lie)
    with pytest.raises(Mismatch) as caught:
        load(pen)
    assert caught.value.code == faults.LOAD_DIGEST


def test_an_unprovisioned_pen_takes_nothing() -> None:
    with served(blank=True) as bench, Pen(bench.connect()) as pen:
        assert pen.info.serial == ""
        assert refused(lambda: load(pen)).code == faults.NOT_PROVISIONED


# --- the session -----------------------------------------------------------------------------------------------------
def test_a_whole_session(bench: Served, pen: Pen, tmp_path: Path) -> None:
    load(pen)
    pen.arm()
    assert pen.status().zone == 0
    for zone in range(2):
        if zone:
            pen.zone_select(zone)
            assert pen.status().zone == zone
        bench.operator.count_under(str(zone), small().zones[zone].depth_um)
        bench.press()
        until(lambda at=zone: spent(pen, at))  # type: ignore[misc]  # mypy knows no default of a lambda
        bench.operator.do("release")
    assert pen.wait_for(wire.SAFE) == wire.SAFE
    needle = bench.operator.needle()
    assert [(needle.labels[zone].crossings, needle.labels[zone].deepest_um) for zone in "01"] == [(60, 200), (40, 400)]
    (saved,) = pen.pull_records(RecordStore(tmp_path))
    assert [zone.made for zone in saved.record.zones] == [60, 40]
    assert saved.record.end_reason == record.END_SPENT
    assert pen.hello().ledger_head == saved.record.digest
    assert needle.violations == ()


def test_the_host_alone_starts_no_stroke(bench: Served, pen: Pen) -> None:
    load(pen)
    assert refused(lambda: pen.zone_select(0)).code == faults.STATE_FORBIDS
    pen.arm(1)
    assert pen.status().zone == 1
    assert refused(pen.arm).code == faults.STATE_FORBIDS
    assert refused(pen.pause).code == faults.STATE_FORBIDS
    pen.zone_select(0)
    assert bench.operator.needle().total.begun == 0


def test_arm_says_why_it_was_given_up(bench: Served, pen: Pen) -> None:
    load(pen)
    bench.operator.do("press")
    until(lambda: bool(pen.status().inputs & 1))
    assert refused(pen.arm).code == faults.TRIGGER_HELD
    assert pen.status().state == wire.LOADED
    bench.operator.do("release", 100)
    pen.arm()


def test_arm_is_told_when_the_trigger_goes_down_while_homing() -> None:
    with served(speed=SLOW) as bench, Pen(bench.connect()) as pen:
        load(pen)
        bench.operator.begin("press", 20)
        assert refused(pen.arm).code == faults.TRIGGER_HELD
        assert pen.status().state == wire.LOADED


def test_arm_raises_the_fault_that_ended_it() -> None:
    with served(speed=SLOW) as bench, Pen(bench.connect()) as pen:
        load(pen)
        bench.operator.begin("stop_button", 20, down=True)
        with pytest.raises(PenFault) as caught:
            pen.arm()
        assert caught.value.code == faults.STOP_BUTTON
        assert pen.status().fault == faults.STOP_BUTTON
        assert refused(pen.clear).code == faults.STOP_STILL_PRESSED
        assert refused(pen.arm).code == faults.STATE_FORBIDS
        bench.operator.do("stop_button", down=False)
        until(lambda: not pen.status().inputs & 2)
        pen.clear()
        assert pen.status().state != wire.FAULT


def test_zone_select_refuses_what_is_not_there(pen: Pen) -> None:
    load(pen)
    pen.arm()
    error = refused(lambda: pen.zone_select(2))
    assert (error.code, error.given, error.limit) == (faults.ZONE_UNKNOWN, 2, 1)
    assert refused(lambda: pen.zone_select(99)).code == faults.WIRE_BAD_PARAM  # found before it is sent
    pen.zone_select(1)
    pen.zone_select(0, wait=False)
    pen.zone_select(1)  # busy with the one before for a moment: asked again, unseen
    assert pen.status().zone == 1


def test_a_busy_pen_is_asked_again_until_it_is_not(monkeypatch: pytest.MonkeyPatch, pen: Pen) -> None:
    asked = []
    request = pen._link.request

    def busy(method: str, params: dict[str, object]) -> dict[str, object]:
        asked.append(method)
        if len(asked) < 4:
            raise PenRefused(faults.Refusal(faults.BUSY, "state", wire.PAUSED))
        return request(method, params)

    monkeypatch.setattr(pen._link, "request", busy)
    assert pen.status().state == wire.SAFE
    assert len(asked) == 4
    monkeypatch.setattr(device, "BUSY_S", 0.05)

    def always_busy(*_: object) -> None:
        raise PenRefused(faults.Refusal(faults.BUSY))

    monkeypatch.setattr(pen._link, "request", always_busy)
    assert refused(pen.status).code == faults.BUSY


def test_pause_and_finish(bench: Served, pen: Pen, tmp_path: Path) -> None:
    load(pen, small(LONG_ZONES))
    pen.arm()
    heard: list[Update] = []
    pen.listen(heard.append)
    bench.press()
    until(lambda: any(isinstance(update, Telemetry) and update.made > 50 for update in heard))
    pen.pause()
    pen.wait_for(wire.PAUSED)
    pen.finish()
    assert pen.status().state == wire.SAFE
    (saved,) = pen.pull_records(RecordStore(tmp_path))
    assert saved.record.end_reason == record.END_FINISHED
    assert saved.record.made() == bench.operator.needle().total.crossings > 50


def test_finish_unloads_what_made_no_stroke(pen: Pen) -> None:
    load(pen)
    pen.finish()
    assert pen.status().state == wire.SAFE
    assert pen.record_list() == ([], 0)


@pytest.mark.parametrize(
    ("method", "states"),
    [
        ("stop", (wire.RUNNING, wire.SAFE)),
        ("pause", (wire.RUNNING, wire.ARMED)),
        ("finish", (wire.RUNNING, wire.PAUSED, wire.LOADED)),
        ("clear", (wire.FAULT, wire.RUNNING)),
    ],
)
def test_a_pen_that_does_not_do_what_it_was_asked_is_told_of(method: str, states: tuple[int, ...]) -> None:
    for state in states:
        with Pen(Lying(**{method: {"state": state}})) as pen:
            with pytest.raises(PinprickError) as caught:
                getattr(pen, method)()
            assert (caught.value.code, caught.value.field) == (errors.NOT_DONE, "state")
            assert wire.STATE_NAMES[state] in caught.value.message


def test_every_method_is_asked_by_somebody() -> None:
    """A method of the wire that no `Pen` asks is one that nobody can use."""
    trees = [ast.parse(inspect.getsource(module)) for module in (device, link)]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asking = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ASKING]
    named = {arg.value for call in asking for arg in call.args if isinstance(arg, ast.Constant)}
    assert set(wire.METHODS) - named == set()


# --- updates ---------------------------------------------------------------------------------------------------------
def test_updates_come_as_they_happen(bench: Served, pen: Pen) -> None:
    load(pen)
    pen.arm()
    bench.press()
    seen = []
    for update in pen.updates(timeout_s=5.0):
        seen.append(update)
        if isinstance(update, StateChange) and update.code == faults.ZONE_SPENT:
            break
    telemetry = [update for update in seen if isinstance(update, Telemetry)]
    assert telemetry
    assert all(update.zone == 0 and update.depth_um == 200 and update.made + update.left == 60 for update in telemetry)
    assert [update.made for update in telemetry] == sorted(update.made for update in telemetry)


def test_updates_end_when_none_come(pen: Pen) -> None:
    assert list(pen.updates(timeout_s=0.05)) == []


def test_a_fault_is_an_update(bench: Served, pen: Pen) -> None:
    heard: list[Update] = []
    end = pen.listen(heard.append)
    bench.operator.do("stop_button", down=True)
    until(lambda: any(isinstance(update, FaultNotice) for update in heard))
    assert FaultNotice(faults.STOP_BUTTON, 0) in heard
    end()
    end()
    heard.clear()
    bench.operator.do("stop_button", down=False)
    until(lambda: not pen.status().inputs & 2)
    pen.clear()
    assert heard == []


def test_whoever_is_slow_loses_the_oldest(monkeypatch: pytest.MonkeyPatch, bench: Served, pen: Pen) -> None:
    monkeypatch.setattr(device, "_QUEUE_MOST", 3)
    load(pen)
    updates = pen.updates(timeout_s=0.2)
    pen.arm()
    next(updates)
    bench.press()
    pen.wait_for(wire.PAUSED)
    bench.operator.do("release")
    pen.finish()
    left = list(updates)
    assert len(left) == 3
    assert isinstance(left[-1], StateChange)
    assert left[-1].state == wire.SAFE


# --- records ---------------------------------------------------------------------------------------------------------
def test_records_are_acknowledged_after_they_are_kept(
    monkeypatch: pytest.MonkeyPatch, bench: Served, pen: Pen, tmp_path: Path
) -> None:
    store = RecordStore(tmp_path)
    make_session(bench, pen, 1)
    make_session(bench, pen, 2)
    assert pen.record_list() == ([1, 2], 0)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("pinprick.records.store.Staged", full)
        with pytest.raises(PinprickError) as caught:
            pen.pull_records(store)
        assert caught.value.code == errors.FILE_UNWRITABLE
    assert pen.record_list() == ([1, 2], 0)  # nothing kept, nothing acknowledged
    pulled = pen.pull_records(store)
    assert [saved.record.session for saved in pulled] == [1, 2]
    assert pulled[1].record.previous == pulled[0].record.digest
    assert pen.record_list() == ([2], 2)
    assert [saved.new for saved in pen.pull_records(store)] == [False]
    assert store.verify("SIM-0001") == 2


def test_a_record_changed_on_its_way_is_not_kept(bench: Served, pen: Pen, tmp_path: Path) -> None:
    make_session(bench, pen, 1)
    store = RecordStore(tmp_path)
    good = pen.record_read(1)
    with pytest.raises(Mismatch) as caught:
        store.save(good[:300] + bytes([good[300] ^ 1]) + good[301:], "SIM-0001", 1)
    assert (caught.value.code, caught.value.exit_code) == (errors.RECORD_MISMATCH, 4)
    assert refused(lambda: pen.record_ack(1, bytes(32))).code == faults.RECORD_DIGEST
    assert refused(lambda: pen.record_read(2)).code == faults.RECORD_UNKNOWN
    assert store.sessions("SIM-0001") == []


@pytest.mark.parametrize(
    "pieces", [[(0, b"")], [(0, b"x" * 30), (0, b"x")], [(0, b"x" * 101)], [(0, b"x" * 30), (30, b"")]]
)
def test_pieces_that_make_no_whole(monkeypatch: pytest.MonkeyPatch, pen: Pen, pieces: list[tuple[int, bytes]]) -> None:
    given = iter(pieces)

    def ask(_: str, **__: object) -> dict[str, object]:
        offset, data = next(given)
        return {"size": 100, "offset": offset, "data": data}

    monkeypatch.setattr(pen, "_ask", ask)
    with pytest.raises(Mismatch) as caught:
        pen.record_read(1)
    assert caught.value.code == errors.RECORD_MISMATCH


@pytest.mark.parametrize("pages", [[[1], [1]], [[5], [4]], [[1, 3, 2]], [[2, 2]], [[0]]])
def test_a_list_of_records_that_does_not_go_on_ends(pages: list[list[int]]) -> None:
    def listed(_: object) -> dict[str, Any]:
        return {"sessions": pages[min(transport.asked.count("record.list"), len(pages)) - 1], "acked": 0}

    transport = Lying(record_list=listed)
    with Pen(transport) as pen:
        with pytest.raises(Mismatch) as caught:
            pen.record_list()
        assert caught.value.code == errors.RECORD_MISMATCH
    assert transport.asked.count("record.list") == len(pages)


@pytest.mark.parametrize("acked", [0, 2])
def test_a_record_that_is_acknowledged_as_another_is_told_of(acked: int) -> None:
    with Pen(Lying(record_ack={"acked": acked})) as pen, pytest.raises(Mismatch) as caught:
        pen.record_ack(1, bytes(32))
    assert (caught.value.code, caught.value.given) == (errors.RECORD_MISMATCH, acked)


def test_a_pen_whose_memory_was_set_back_gets_no_profile(bench: Served, pen: Pen, tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    make_session(bench, pen, 1, records=store)
    pen.pull_records(store)
    with served() as fresh, Pen(fresh.connect()) as set_back:
        with pytest.raises(Mismatch) as caught:
            load(set_back, records=store)
        assert caught.value.code == errors.RECORDS_AHEAD
        assert set_back.status().state == wire.SAFE


def test_a_pen_with_another_history_gets_no_profile(bench: Served, pen: Pen, tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    make_session(bench, pen, 1)
    pen.pull_records(store)
    with served() as other, Pen(other.connect()) as fork:
        make_session(other, fork, 1, issued_at=NOW + 1)
        other.operator.new_cartridge()
        with pytest.raises(Mismatch) as caught:
            load(fork, small(session=2), records=store)
        assert caught.value.code == errors.RECORDS_FORK
        with pytest.raises(Mismatch) as caught:
            fork.pull_records(store)
        assert caught.value.code == errors.RECORDS_FORK
        assert fork.record_list() == ([1], 0)


def test_an_interrupted_session_goes_on_with_what_is_left(bench: Served, pen: Pen, tmp_path: Path) -> None:
    load(pen, small(LONG_ZONES))
    pen.arm()
    bench.press()
    until(lambda: bench.world.runner.session is not None and bench.world.runner.session.total() > 100)
    bench.operator.do("power_cut")
    bench.operator.begin("release")
    bench.operator.do("power_on")
    bench.operator.do("wait", 500)
    info = pen.hello()
    assert (info.open_session, info.state) == (1, wire.LOADED)
    assert refused(lambda: load(pen, small(LONG_ZONES), issued_at=NOW + 1)).code == faults.SESSION_OPEN
    status = pen.status()
    assert status.resumed
    assert status.forfeited[0] > 0
    pen.arm()
    pen.finish()
    (saved,) = pen.pull_records(RecordStore(tmp_path))
    assert saved.record.counted() >= bench.operator.needle().total.crossings


def test_the_example_loads(bench: Served, pen: Pen) -> None:
    example = Path(__file__).parents[2] / "examples" / "full-face-session-2.toml"
    assert pen.load(load_profile(example)).zones >= 12
