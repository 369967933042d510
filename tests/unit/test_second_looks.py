"""What the pen looks at a second time, because flash, hands or a technician may have changed it since the first."""

import pytest

from pencore import faults, ledger, profile, provision, session, signals, tasks, wire
from pencore.ledger import Entry, Ledger, OpenSession
from pencore.requests import Denials
from tests.portable import samples
from tests.portable.ideal_pen import IdealPen
from tests.portable.ideal_ports import Files
from tests.unit.test_requests import with_records
from tests.unit.test_runner import SMALL, in_state, running, state_of


def interrupted() -> IdealPen:
    """Return a pen whose power went amid a session; it is off."""
    pen = in_state("PAUSED")
    pen.cut_power()
    return pen


def on(pen: IdealPen) -> IdealPen:
    """Switch on and greet."""
    pen.boot()
    pen.advance(200)
    pen.greet()
    return pen


@pytest.mark.parametrize("name", ["steps_per_turn", "lead_um", "dwell_us"])
def test_a_zone_is_planned_with_the_geometry_that_flash_has(name: str) -> None:
    """What flips after the arming moves no needle: table and guard are made of what is read anew."""
    pen = in_state("ARMED")
    assert pen.runner.provision is not None
    geometry = pen.runner.provision.bounds.geometry
    setattr(geometry, name, getattr(geometry, name) * 2)
    assert pen.code("zone.select", zone=1) == 0
    pen.until(wire.ARMED)
    assert pen.runner.motion is not None
    plan = pen.runner.motion.plan
    assert plan is not None
    assert plan.steps == samples.coarse().stroke_steps(plan.depth_um)
    good = in_state("ARMED")
    good.code("zone.select", zone=1)
    good.until(wire.ARMED)
    assert good.runner.motion is not None
    assert good.runner.motion.plan is not None
    assert plan.table == good.runner.motion.plan.table


def test_an_interrupted_session_goes_on_with_its_own_profile_alone() -> None:
    """Another one in the file, whole and right in itself, is not taken for it."""
    pen = interrupted()
    other = profile.encode(samples.filled(SMALL, depth_um=1_600))
    assert len(other) == len(pen.store.files[tasks.SESSION_FILE])
    pen.store.files[tasks.SESSION_FILE] = other
    pen.boot()
    assert (state_of(pen), pen.runner.fault_code) == ("FAULT", faults.LEDGER_CORRUPT)


def test_a_pen_that_is_provisioned_anew_refuses_what_it_no_longer_allows() -> None:
    pen = interrupted()
    pen.store.files[provision.FILE] = provision.encode(samples.provisioned(calibration_um=1_000))
    on(pen)
    assert pen.code("arm", zone=0) == faults.DEPTH_ABOVE_CALIBRATION
    assert state_of(pen) == "LOADED"


def test_the_count_guard_is_given_each_block_and_no_stroke_more() -> None:
    pen = running()
    book = Ledger(pen.store)
    book.replay()
    assert book.open is not None
    allowed = [entry[1] for entry in pen.log.entries if entry[0] == "allow"]
    assert allowed == [book.open.reserved[0]]


@pytest.mark.parametrize(("method", "state"), [("zone.select", "ARMED"), ("finish", "PAUSED")])
def test_a_wish_waits_for_the_task_in_hand(method: str, state: str) -> None:
    pen = in_state(state)
    assert pen.code("zone.select", zone=1) == 0
    assert pen.runner.busy()
    params = {"zone": 0} if method == "zone.select" else {}
    assert pen.code(method, **params) == faults.BUSY
    pen.until(wire.STATE_NAMES.index(state))
    assert pen.runner.fault_code == 0


def test_a_cartridge_whose_change_was_forgotten_is_not_armed_with() -> None:
    """No hand can do that between load and arming: what opens the holder is seen, and closing it is a change."""
    pen = in_state("LOADED")
    pen.runner.cartridge.changed = False
    assert pen.code("arm", zone=None) == faults.CARTRIDGE_NOT_CHANGED
    assert state_of(pen) == "LOADED"


def test_a_microstep_may_have_twenty_micrometres() -> None:
    made = samples.provisioned()
    made.bounds.geometry.lead_um, made.bounds.geometry.steps_per_turn = 20_000, 1_000
    provision.check(made)
    made.bounds.geometry.steps_per_turn = 999
    with pytest.raises(faults.Refusal) as refused:
        provision.check(made)
    assert (refused.value.field, refused.value.limit) == ("geometry.step_um", 20)


def test_a_stop_pressed_while_flash_is_written_for_a_task_ends_it() -> None:
    """The button is let go before the write is over."""
    pen = in_state("LOADED")
    assert pen.code("arm", zone=None) == 0
    append = pen.store.append

    def busy(name: str, data: bytes) -> None:
        append(name, data)
        pen.inputs.level |= signals.STOP
        pen.inputs.level &= ~signals.STOP

    pen.store.append = busy  # type: ignore[method-assign]  # from here on
    pen.advance(2_000)
    assert pen.runner.fault_code == faults.STOP_BUTTON
    assert not session.is_in(pen.runner.state, session.DRIVEN)
    assert ledger.FILE in pen.store.files


def test_a_zone_has_what_the_others_have_left_it() -> None:
    """A cartridge for 80 strokes, 60 of them made: the second zone's own 60 are no longer there."""
    made = samples.filled(((samples.CHEEK, samples.LEFT, 1500, 60, 20), (samples.CHEEK, samples.RIGHT, 1500, 60, 20)))
    account = OpenSession(1, 2, 0, 0)
    account.reserved[0] = account.made[0] = 60
    work = session.Session(made, account, 80)
    work.enter(1, 100, made, 80)
    assert work.left(1) == 20
    assert work.block() == 20
    assert work.left(0) == 0


def test_a_zone_is_entered_with_the_cartridge_s_bound_of_now() -> None:
    """What the other zones have left is reckoned with it as well."""
    made = samples.filled(((samples.CHEEK, samples.LEFT, 1500, 60, 20), (samples.CHEEK, samples.RIGHT, 1500, 60, 20)))
    work = session.Session(made, OpenSession(1, 2, 0, 0), 200_000)
    work.enter(0, 100, made, 40)
    assert [work.left(zone) for zone in (0, 1)] == [40, 40]


@pytest.mark.parametrize("state", ["ARMED", "RUNNING", "PAUSED"])
def test_telemetry_says_what_status_says(state: str) -> None:
    pen = in_state(state)
    work = pen.runner.session
    assert work is not None
    if state == "PAUSED":
        work._forfeited.set(3)
    told = dict(zip([field[0] for field in wire.NOTIFICATIONS["telemetry"]], pen.runner._telemetry(), strict=True))
    zone = work.profile.zones[work.zone]
    assert told == {
        "state": pen.runner.state,
        "zone": work.zone,
        "depth_um": zone.depth_um,
        "limit_um": work.profile.depth_um,
        "rate_per_s": zone.rate_per_s,
        "made": work.made(0),
        "forfeited": work.forfeited(0),
        "reserved": work.counted(0) + work.outstanding(),
        "left": work.left(0),
        "session_counted": work.total(),
        "session_left": work.profile.strokes - work.total(),
        "uptime_ms": pen.runner.now_ms,
    }
    assert told["forfeited"] == (3 if state == "PAUSED" else 0)
    assert (told["reserved"] == told["made"]) == (state == "ARMED")


def test_a_journal_that_was_mended_is_not_mended_again() -> None:
    store = Files()
    ledger.create(store)
    book = Ledger(store)
    book.replay()
    book.append([Entry(ledger.CLOCK, aux=1)])
    store.files[ledger.FILE] = store.files[ledger.FILE][:-1] + b"\x00"
    book.replay()
    assert book.crowded()
    book.compact()
    assert not book.crowded()


@pytest.mark.parametrize("zones", [1, 2])
def test_compaction_keeps_the_time_of_a_session_that_has_reserved_nothing(zones: int) -> None:
    store = Files()
    ledger.create(store)
    book = Ledger(store)
    book.replay()
    book.append([Entry(ledger.OPEN, 1, zones, aux=samples.TODAY_S), Entry(ledger.CONFIRM, 1, 0, aux=9)])
    book.compact()
    book.replay()
    assert book.open is not None
    assert book.open.elapsed_s == 9


def test_a_pen_that_got_slower_since_plans_no_zone_too_fast_for_it() -> None:
    """Provisioned anew amid an arming, which no technician can: flash is read again and doesn't allow the rate."""
    pen = in_state("ARMED")
    slower = samples.provisioned()
    slower.bounds.geometry.v_max_um_s = 1_000
    pen.store.files[provision.FILE] = provision.encode(slower)
    assert pen.code("zone.select", zone=1) == 0
    pen.advance(300)
    assert pen.runner.fault_code == faults.MEMORY_CORRUPT


# --- a store that raises ----------------------------------------------------------------------------------------------
class Broken(OSError):
    """What a store raises that can't be read."""


def unreadable(pen: IdealPen) -> None:
    def read(name: str, offset: int, length: int) -> bytes:
        raise Broken(5)

    pen.store.read = read  # type: ignore[method-assign]  # from here on


def test_a_pen_whose_flash_cannot_be_read_boots_into_fault() -> None:
    pen = interrupted()
    unreadable(pen)
    pen.boot()
    assert (state_of(pen), pen.runner.fault_code) == ("FAULT", faults.STORE_FAILED)


def test_a_request_that_the_flash_fails_is_refused_and_a_fault() -> None:
    pen = with_records(1)
    pen.boot()
    pen.advance(100)
    pen.greet()
    unreadable(pen)
    assert pen.code("record.read", session=1, offset=0) == faults.STORE_FAILED
    assert state_of(pen) == "FAULT"


def test_no_more_than_sixty_four_records_are_listed_at_once() -> None:
    """More than the pen keeps; what comes after is asked for with the last one's id."""
    pen = with_records(66)
    pen.boot()
    pen.advance(100)
    pen.greet()
    assert pen.ask("record.list", after=0)["sessions"] == list(range(1, 65))
    assert pen.ask("record.list", after=64)["sessions"] == [65, 66]


def test_a_guesser_of_a_month_ago_is_looked_at() -> None:
    """What lies more than 2**31 ms back reads as lying ahead, and is no reason to wait."""
    denials = Denials()

    def wrong() -> None:
        raise faults.Refusal(faults.SIGNATURE_WRONG, "hmac")

    codes = []
    for now_ms in [*range(6), 2**31 + 2_000, 2**31 + 2_001]:
        with pytest.raises(faults.Refusal) as refused:
            denials.look(now_ms, wrong)
        codes.append(refused.value.code)
    assert codes == [faults.SIGNATURE_WRONG] * 5 + [
        faults.SIGNATURE_WAIT,
        faults.SIGNATURE_WRONG,
        faults.SIGNATURE_WRONG,
    ]
