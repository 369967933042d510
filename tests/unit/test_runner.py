"""`pencore.runner` on ideal ports: sessions from loading to the sealed record, consent, lease, cartridge, stop."""

import pytest

from pencore import course, faults, record, signals, tasks, wire
from pencore.record import Record
from tests.portable import samples
from tests.portable.ideal_pen import WATCHDOG, IdealPen
from tests.portable.ideal_ports import Needle

SMALL = ((samples.CHEEK, samples.LEFT, 1500, 60, 20), (samples.NOSE, samples.NONE, 500, 20, 30))


def booted(start_ms: int = 1000) -> IdealPen:
    """Return a pen that is on."""
    pen = IdealPen(samples.provisioned(), start_ms)
    pen.boot()
    return pen


def armed() -> IdealPen:
    """Return a pen that is armed for the first zone of SMALL."""
    pen = booted()
    pen.ready(samples.filled(SMALL))
    return pen


def running(pen: IdealPen | None = None) -> IdealPen:
    """Return a pen in the midst of strokes, its trigger held."""
    pen = armed() if pen is None else pen
    pen.advance(120)
    pen.set_level(signals.TRIGGER, True)
    pen.advance(330)
    assert pen.runner.state == wire.RUNNING
    return pen


def paused() -> IdealPen:
    pen = running()
    pen.set_level(signals.TRIGGER, False)
    pen.until(wire.PAUSED)
    return pen


def sealed(pen: IdealPen, session: int = 1) -> Record:
    """Return the record of a session that is sealed."""
    assert pen.runner.ledger.last_session >= session
    return record.decode(tasks.read_record(pen.store, session))


def state_of(pen: IdealPen) -> str:
    return wire.STATE_NAMES[pen.runner.state]


def in_state(name: str) -> IdealPen:
    """Return a pen in a state, by the shortest way."""
    if name in ("SAFE", "LOADED", "HOMING"):
        pen = booted()
        pen.new_cartridge()
        if name == "SAFE":
            pen.greet()
        else:
            assert pen.load(samples.filled(SMALL)) == 0
        if name == "HOMING":
            pen.ask("arm", zone=None)
    elif name == "SEALING":
        pen = paused()
        pen.ask("finish")
    elif name == "FAULT":
        pen = armed()
        pen.ask("stop")
        pen.advance(50)
    else:
        pen = {"ARMED": armed, "RUNNING": running, "PAUSED": paused}[name]()
    assert state_of(pen) == name
    return pen


STATES = ["SAFE", "LOADED", "HOMING", "ARMED", "RUNNING", "PAUSED", "SEALING", "FAULT"]


# --- a session --------------------------------------------------------------------------------------------------------
def test_a_session_from_loading_to_its_record() -> None:
    pen = armed()
    pen.press(4_000)
    pen.until(wire.PAUSED)
    assert pen.needle.strokes == 60
    pen.ask("zone.select", zone=1)
    pen.until(wire.PAUSED)
    pen.press(2_000)
    pen.until(wire.SAFE)
    kept = sealed(pen)
    assert [(zone.made, zone.forfeited, zone.deepest_um) for zone in kept.zones] == [(60, 0, 1500), (20, 0, 500)]
    assert (kept.end_reason, kept.session, kept.previous) == (record.END_SPENT, 1, bytes(32))
    assert kept.digest == pen.runner.head
    assert pen.needle.strokes == 80
    assert pen.needle.deepest_steps == samples.coarse().stroke_steps(1500)
    assert pen.log.breaches == []
    assert not pen.engine.poll() & signals.ENABLED


def test_a_trigger_held_past_the_budget_makes_no_stroke_more() -> None:
    pen = armed()
    pen.press(20_000)
    assert pen.needle.strokes == 60
    assert pen.code("zone.select", zone=0) == faults.ZONE_SPENT


def test_the_next_session_hangs_on_the_last() -> None:
    pen = paused()
    pen.ask("finish")
    pen.until(wire.SAFE)
    first = sealed(pen)
    pen.ready(samples.filled(SMALL, course_id="another", cartridge_id="new", issued_at=samples.TODAY_S + 60))
    pen.press(300)
    pen.until(wire.PAUSED)
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert sealed(pen, 2).previous == first.digest


def test_a_profile_that_made_no_stroke_leaves_no_record() -> None:
    pen = armed()
    pen.ask("finish")
    assert state_of(pen) == "SAFE"
    assert pen.runner.ledger.last_session == 0
    assert pen.greet()["session_id"] == 1


def test_elapsed_time_is_the_time_under_power() -> None:
    pen = paused()
    pen.advance(7_000)
    pen.ask("finish")
    pen.until(wire.SAFE)
    kept = sealed(pen)
    assert kept.start_s == samples.TODAY_S
    assert 7 <= kept.end_s - kept.start_s <= 8
    assert kept.calibration_s == samples.TODAY_S - samples.CALIBRATED_S


# --- consent ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", STATES)
def test_a_held_trigger_starts_nothing(name: str) -> None:
    """Whatever is done with the trigger down all the time, no stroke is begun that was not under way."""
    pen = in_state(name)
    pen.set_level(signals.TRIGGER, True)
    if name == "RUNNING":
        pen.ask("pause")
        pen.until(wire.PAUSED)
    before = pen.needle.strokes
    pen.advance(300)
    for method, params in (
        ("pause", {}),
        ("zone.select", {"zone": 1}),
        ("zone.select", {"zone": 0}),
        ("stop", {}),
        ("clear", {}),
        ("arm", {"zone": None}),
    ):
        pen.code(method, **params)
        pen.advance(1_000)
    assert pen.needle.strokes == before
    assert pen.log.breaches == []


def test_arming_with_the_trigger_down_is_refused() -> None:
    pen = in_state("LOADED")
    pen.set_level(signals.TRIGGER, True)
    pen.advance(50)
    assert pen.code("arm", zone=None) == faults.TRIGGER_HELD
    assert state_of(pen) == "LOADED"


def test_a_press_while_homing_ends_the_arming() -> None:
    pen = in_state("HOMING")
    pen.set_level(signals.TRIGGER, True)
    pen.advance(30)
    assert state_of(pen) == "LOADED"
    assert not pen.engine.poll() & signals.ENABLED
    assert ["show", wire.LOADED, faults.TRIGGER_HELD] in pen.log.entries


@pytest.mark.parametrize(("release_ms", "starts"), [(0, False), (60, False), (99, False), (115, True)])
def test_a_burst_after_a_burst_needs_its_release(release_ms: int, starts: bool) -> None:
    """The release must fall into PAUSED, which the pen enters when it sees the trigger up."""
    pen = running()
    pen.set_level(signals.TRIGGER, False)
    pen.advance(release_ms)
    pen.set_level(signals.TRIGGER, True)
    pen.advance(1_000)
    assert (state_of(pen) == "RUNNING") == starts


def test_a_release_withdraws_the_stroke_that_has_not_begun() -> None:
    pen = running()
    begun = pen.needle.strokes
    pen.set_level(signals.TRIGGER, False)
    pen.advance(1)
    assert state_of(pen) == "PAUSED"
    pen.advance(1_000)
    assert pen.needle.strokes == begun
    assert pen.ask("status")["made"][0] == begun


# --- lease ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ARMED", "RUNNING", "PAUSED"])
def test_a_lost_host_ends_in_loaded_with_the_driver_off(name: str) -> None:
    pen = in_state(name)
    pen.host_alive = False
    pen.advance(1_300)
    assert state_of(pen) == name
    pen.advance(1_000)
    assert state_of(pen) == "LOADED"
    assert not pen.engine.poll() & signals.ENABLED
    made = pen.needle.strokes
    pen.advance(3_000)
    assert pen.needle.strokes == made
    pen.advance(50)
    assert pen.runner.session is not None
    assert pen.runner.session.made(0) == made
    assert pen.log.breaches == []


def test_a_host_that_comes_back_at_once_may_arm_at_once() -> None:
    """The burst is not settled yet, and the carriage still on its way home: the task waits for both."""
    pen = in_state("RUNNING")
    pen.host_alive = False
    while state_of(pen) != "LOADED":
        pen.advance(1)
    assert pen.runner.unsettled()
    assert not pen.runner.at_rest()
    pen.host_alive = True
    pen.set_level(signals.TRIGGER, False)
    pen.advance(1)
    pen.ask("arm", zone=None)
    pen.until(wire.ARMED)
    assert pen.ask("status")["made"][0] == pen.needle.strokes


def test_a_hello_keeps_no_lease() -> None:
    pen = in_state("ARMED")
    pen.host_alive = False
    for _ in range(6):
        pen.greet()
        pen.advance(500)
    assert state_of(pen) == "LOADED"


def test_a_press_without_a_lease_starts_nothing() -> None:
    pen = in_state("ARMED")
    pen.host_alive = False
    pen.advance(1_990)
    pen.runner.talk.heard_ms -= 500
    pen.set_level(signals.TRIGGER, True)
    pen.advance(500)
    assert pen.needle.strokes == 0
    assert state_of(pen) == "LOADED"


def test_flash_time_is_not_the_host_s_fault() -> None:
    pen = in_state("ARMED")
    pen.store.write_ms = 1_200
    pen.advance(120)
    pen.set_level(signals.TRIGGER, True)
    pen.advance(5_500)
    assert state_of(pen) == "RUNNING"
    assert pen.needle.strokes > 20


def test_fifteen_minutes_without_a_stroke() -> None:
    pen = in_state("ARMED")
    pen.time.total_ms += 890_000
    pen.runner.talk.heard_ms = pen.time.now_ms()
    pen.advance(5_000)
    assert state_of(pen) == "ARMED"
    pen.advance(6_000)
    assert state_of(pen) == "LOADED"
    assert ["show", wire.LOADED, faults.IDLE_TIMEOUT] in pen.log.entries


# --- stop -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("how", ["byte", "in noise", "request", "button", "behind unread answers"])
def test_stop_works_in_every_state(name: str, how: str) -> None:
    pen = in_state(name)
    if how == "request":
        pen.send("stop")
    elif how == "button":
        pen.set_level(signals.STOP, True)
    elif how == "behind unread answers":
        pen.link.room_left = 0
        for _ in range(20):
            pen.send("status")
        pen.link.to_pen += b"\x18"
    else:
        pen.link.to_pen += b"\x18" if how == "byte" else b'{"jsonrpc"\x18:"\xff*\n'
    pen.host_alive = False
    pen.advance(150)
    assert state_of(pen) == "FAULT"
    assert not pen.engine.poll() & signals.ENABLED
    made = pen.needle.strokes
    pen.set_level(signals.TRIGGER, False)
    pen.advance(200)
    pen.set_level(signals.TRIGGER, True)
    pen.advance(200)
    assert pen.needle.strokes == made
    assert pen.log.breaches == []


def test_a_fault_is_left_by_a_clear_and_a_new_homing_only() -> None:
    pen = in_state("RUNNING")
    pen.set_level(signals.STOP, True)
    pen.advance(100)
    assert pen.code("clear") == faults.STOP_STILL_PRESSED
    pen.set_level(signals.STOP, False)
    pen.set_level(signals.TRIGGER, False)
    pen.advance(100)
    assert pen.runner.ledger.latched == faults.STOP_BUTTON
    assert pen.ask("clear")["state"] == wire.LOADED
    assert pen.runner.ledger.latched == 0
    made, homings = pen.needle.strokes, [entry[0] for entry in pen.log.entries].count("home")
    pen.press(500)
    assert pen.needle.strokes == made
    pen.ask("arm", zone=None)
    pen.until(wire.ARMED)
    assert [entry[0] for entry in pen.log.entries].count("home") == homings + 1


def test_a_latched_fault_outlives_the_power() -> None:
    pen = in_state("FAULT")
    pen.cut_power()
    pen.boot()
    pen.advance(50)
    assert state_of(pen) == "FAULT"
    assert pen.runner.fault_code == faults.OPERATOR_STOP
    pen.greet()
    assert pen.ask("clear")["state"] == wire.SAFE


def test_a_stop_in_fault_does_not_keep_a_record_from_being_sealed() -> None:
    """Stop bytes without end: the driver stays off, and what the ledger is owed is written all the same."""
    pen = in_state("RUNNING")
    pen.set_level(signals.CARTRIDGE, False)
    for _ in range(200):
        pen.link.to_pen += b"\x18"
        pen.advance(1)
    assert sealed(pen).end_reason == record.END_CARTRIDGE
    assert not pen.runner.must_seal
    pen.set_level(signals.TRIGGER, False)
    assert pen.ask("clear")["state"] == wire.SAFE


# --- cartridge --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ARMED", "RUNNING", "PAUSED", "LOADED"])
def test_a_cartridge_opened_amid_a_session_ends_it(name: str) -> None:
    pen = in_state("PAUSED" if name == "LOADED" else name)
    if name == "LOADED":
        pen.host_alive = False
        pen.advance(2_500)
    opened = pen.runner.session is not None and pen.runner.session.opened
    pen.set_level(signals.CARTRIDGE, False)
    pen.advance(400)
    assert state_of(pen) == "FAULT"
    assert pen.runner.fault_code == faults.CARTRIDGE_OPENED
    if opened:
        kept = sealed(pen)
        assert kept.end_reason == record.END_CARTRIDGE
        assert kept.made() <= pen.needle.strokes <= kept.counted()
        assert faults.CARTRIDGE_OPENED in [fault[0] for fault in kept.faults]
    else:
        assert pen.runner.ledger.last_session == 0
    pen.host_alive = True
    pen.set_level(signals.CARTRIDGE, True)
    pen.set_level(signals.TRIGGER, False)
    pen.advance(50)
    assert pen.ask("clear")["state"] == wire.SAFE


def test_a_cartridge_opened_before_arming_only_has_to_be_closed_again() -> None:
    pen = in_state("LOADED")
    pen.set_level(signals.CARTRIDGE, False)
    pen.advance(50)
    assert state_of(pen) == "LOADED"
    assert pen.code("arm", zone=None) == faults.CARTRIDGE_OPEN
    pen.set_level(signals.CARTRIDGE, True)
    pen.advance(50)
    assert pen.code("arm", zone=None) == 0


def test_an_opened_cartridge_is_known_after_a_cut_though_seventeen_faults_came_before() -> None:
    """The record names sixteen faults; that the cartridge was opened must not be the one that is only counted."""
    pen = in_state("PAUSED")
    for _ in range(17):
        pen.ask("stop")
        pen.until(wire.FAULT)
        pen.ask("clear")
    assert pen.runner.ledger.open is not None
    assert pen.runner.ledger.open.more_interruptions > 0
    writes = pen.store.writes
    pen.set_level(signals.CARTRIDGE, False)
    while pen.store.writes < writes + 2:
        pen.advance(1)
    assert pen.runner.ledger.latched == faults.CARTRIDGE_OPENED
    assert pen.runner.ledger.last_session == 0
    pen.cut_power()
    pen.set_level(signals.CARTRIDGE, True)
    pen.boot()
    pen.advance(300)
    assert sealed(pen).end_reason == record.END_CARTRIDGE


@pytest.mark.parametrize("between", ["nothing", "power cut", "opened without power"])
def test_a_sealed_session_s_cartridge_serves_no_other(between: str) -> None:
    pen = paused()
    pen.ask("finish")
    pen.until(wire.SAFE)
    later = {"course_id": "another", "issued_at": samples.TODAY_S + 60}
    if between != "nothing":
        pen.cut_power()
        pen.boot(WATCHDOG)
    pen.advance(100)
    assert pen.load(samples.filled(SMALL, **later)) == faults.CARTRIDGE_USED
    assert pen.load(samples.filled(SMALL, cartridge_id="new", **later)) == faults.CARTRIDGE_NOT_CHANGED
    pen.new_cartridge()
    assert pen.load(samples.filled(SMALL, **later)) == faults.CARTRIDGE_USED
    assert pen.load(samples.filled(SMALL, cartridge_id="new", **later)) == 0


# --- a cut ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cause", [1, WATCHDOG])
def test_an_interrupted_session_goes_on_with_what_is_left(cause: int) -> None:
    pen = running()
    profile_in_hand = samples.filled(SMALL)
    begun = pen.needle.strokes
    pen.cut_power()
    pen.set_level(signals.TRIGGER, False)
    pen.boot(cause)
    pen.advance(100)
    assert state_of(pen) == "LOADED"
    account = pen.runner.ledger.open
    assert account is not None
    assert begun <= account.total() == 50, "the whole block that was reserved counts"
    assert account.interruptions[-1][1] == (faults.POWER_LOST if cause == 1 else faults.WATCHDOG_RESET)
    assert pen.load(samples.filled(SMALL, needles=13)) == faults.SESSION_OPEN
    assert pen.load(profile_in_hand) == 0
    pen.ask("arm", zone=0)
    pen.until(wire.ARMED)
    pen.press(5_000)
    pen.until(wire.PAUSED)
    pen.ask("finish")
    pen.until(wire.SAFE)
    kept = sealed(pen)
    assert (kept.zones[0].made, kept.zones[0].forfeited) == (10, 50)
    assert pen.needle.strokes == begun + 10


def history() -> list[int]:
    """Return how many flash writes a whole short session makes, act by act."""
    pen = booted()
    short_session(pen)
    return [pen.store.writes]


def short_session(pen: IdealPen) -> None:
    """Load, arm, two bursts, another zone, finish; ends wherever the power goes."""
    zones = (SMALL[0], SMALL[1])
    for act in (
        pen.new_cartridge,
        lambda: pen.load(samples.filled(zones)),
        lambda: pen.code("arm", zone=0),
        lambda: pen.advance(600),
        lambda: pen.press(500),
        lambda: pen.press(500),
        lambda: pen.code("zone.select", zone=1),
        lambda: pen.advance(300),
        lambda: pen.press(300),
        lambda: pen.advance(300),
        lambda: pen.code("finish"),
        lambda: pen.advance(300),
    ):
        if pen.dead:
            return
        act()


@pytest.mark.parametrize("trouble", ["cut", "cut done", "fail", "fail done"])
def test_trouble_at_every_flash_write_of_a_session(trouble: str) -> None:
    """After it a practitioner can go on: clear, finish what is open, and start the next session."""
    for number in range(1, history()[0] - pen_writes() + 1):
        pen = booted()
        first = pen.store.writes
        pen.store.trouble_at, pen.store.trouble = first + number, trouble
        short_session(pen)
        assert pen.store.writes >= first + number, "the trouble never came"
        if pen.dead:
            pen.boot()
        pen.set_level(signals.TRIGGER, False)
        settle_everything(pen)
        assert pen.log.breaches == []
        counted = sum(sealed(pen, session).counted() for session in range(1, pen.runner.ledger.last_session + 1))
        made = sum(sealed(pen, session).made() for session in range(1, pen.runner.ledger.last_session + 1))
        assert made <= pen.needle.strokes <= counted <= 80
        next_session = pen.greet()["session_id"]
        pen.ready(samples.filled(SMALL, course_id="other", cartridge_id=f"n{number}", issued_at=samples.TODAY_S + 60))
        pen.press(300)
        pen.until(wire.PAUSED)
        pen.ask("finish")
        pen.until(wire.SAFE)
        assert sealed(pen, next_session).counted() > 0


def pen_writes() -> int:
    """Return the writes that provisioning makes."""
    return booted().store.writes


def settle_everything(pen: IdealPen) -> None:
    """Do what a practitioner does after trouble: clear, wait, finish."""
    pen.advance(300)
    pen.greet()
    for _ in range(5):
        if pen.runner.state == wire.FAULT:
            pen.code("clear")
            pen.advance(300)
    if pen.runner.state in (wire.LOADED, wire.ARMED, wire.PAUSED):
        assert pen.code("finish") == 0
        pen.advance(300)
    assert state_of(pen) == "SAFE"


def test_a_cut_at_the_first_press_of_three_cartridges_in_turn() -> None:
    """Each leaves an entry in cart.bin that the ledger doesn't know of; the pen boots all the same."""
    pen = booted()
    for cartridge in ("one", "two", "three"):
        pen.ready(samples.filled(SMALL, cartridge_id=cartridge))
        pen.store.trouble_at, pen.store.trouble = pen.store.writes + 1, "cut done"
        pen.press(500)
        assert pen.dead
        pen.set_level(signals.TRIGGER, False)
        pen.boot()
        pen.advance(100)
        assert state_of(pen) == "SAFE"
    assert len(pen.store.files[course.CARTRIDGE_FILE]) == 3 * 48
    pen.ready(samples.filled(SMALL, cartridge_id="four"))
    pen.press(300)
    assert isinstance(pen.needle, Needle)
    assert pen.needle.strokes > 0


def test_a_visit_without_a_stroke_takes_nothing_from_its_course() -> None:
    pen = armed()
    pen.store.write_ms = 200
    # Let go while the reservation is being written: the id is consumed, no stroke is made.
    pen.press(20)
    pen.store.write_ms = 12
    pen.advance(1_500)
    assert pen.needle.strokes == 0
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert sealed(pen).counted() == 0
    pen.new_cartridge()
    assert pen.load(samples.filled(SMALL, cartridge_id="another")) == 0, "the same index, on the same day"
