"""`pencore.runner` when something is wrong: memory, sensors, engine, files. Each ends de-energised and latched."""

import struct
import zlib
from typing import Any

import pytest

from pencore import course, faults, ledger, provision, record, session, signals, tasks, wire
from pencore.faults import Fault
from pencore.session import Counter
from tests.portable import samples
from tests.portable.ideal_pen import IdealPen
from tests.unit.test_course import course_entry
from tests.unit.test_runner import SMALL, booted, in_state, running, sealed, state_of


def faulted(pen: IdealPen, code: int) -> None:
    """Assert the safe state of a fault."""
    assert state_of(pen) == "FAULT"
    assert pen.runner.fault_code == code
    assert not pen.engine.poll() & signals.ENABLED
    assert pen.log.breaches == []


def recovered(pen: IdealPen) -> None:
    """Clear, go on with the session, seal it; its record holds at least what the needle did."""
    pen.set_level(signals.TRIGGER, False)
    pen.advance(200)
    if pen.code("clear"):
        # The first clear reads the flash anew; what it finds is owed to the ledger before the fault is left.
        pen.advance(200)
        assert pen.code("clear") == 0
    assert state_of(pen) == "LOADED"
    assert pen.code("arm", zone=1) == 0
    pen.until(wire.ARMED)
    pen.press(5_000)
    pen.until(wire.PAUSED)
    pen.ask("finish")
    pen.until(wire.SAFE)
    kept = sealed(pen)
    assert kept.made() <= pen.needle.strokes <= kept.counted() <= 80
    assert kept.zones[1].made == 20


# --- memory -----------------------------------------------------------------------------------------------------------
COUNTERS = ["_made", "_forfeited", "_outstanding", "_limit_steps"]


@pytest.mark.parametrize("name", COUNTERS)
@pytest.mark.parametrize("state", ["RUNNING", "PAUSED"])
def test_a_flipped_bit_in_a_counter_is_a_fault_and_what_was_reserved_counts(name: str, state: str) -> None:
    for copy in ("_value", "_inverse"):
        for bit in (0, 1, 7, 17):
            pen = in_state(state)
            work = pen.runner.session
            assert work is not None
            counter: Counter = getattr(work, name)
            setattr(counter, copy, getattr(counter, copy) ^ 1 << bit)
            pen.advance(200)
            if name == "_limit_steps" and state == "PAUSED":
                # Nobody asks for the limit of a zone until a stroke is to be credited.
                pen.press(200)
            faulted(pen, faults.MEMORY_CORRUPT)
            recovered(pen)


def test_a_counter_that_is_found_flipped_while_answering() -> None:
    """The host asks in the very step in which the bit falls."""
    pen = in_state("PAUSED")
    work = pen.runner.session
    assert work is not None
    pen.send("status")
    original = pen.runner._listen

    def flip_first() -> None:
        work._made._value ^= 4
        pen.runner._listen = original  # type: ignore[method-assign]  # back as it was
        original()

    pen.runner._listen = flip_first  # type: ignore[method-assign]  # just before the request is carried out
    pen.step()
    faulted(pen, faults.MEMORY_CORRUPT)
    recovered(pen)


def test_a_counter_that_is_found_flipped_while_reporting() -> None:
    pen = in_state("PAUSED")
    work = pen.runner.session
    assert work is not None
    original = pen.runner._tell

    def flip_first() -> None:
        work._forfeited._inverse ^= 64
        pen.runner._tell = original  # type: ignore[method-assign]  # back as it was
        pen.runner._telemetry_ms = pen.runner.now_ms - 100
        original()

    pen.runner._tell = flip_first  # type: ignore[method-assign]  # just before the telemetry is made
    pen.step()
    faulted(pen, faults.MEMORY_CORRUPT)
    recovered(pen)


def test_a_profile_that_changed_in_memory_is_never_planned() -> None:
    """Every byte of it: digest, sizes, texts; decoding anew must not raise anything but the fault."""
    pen = in_state("LOADED")
    data = pen.runner.profile_data
    for at in range(0, len(data) - 36, 3):
        pen = in_state("LOADED")
        changed = bytearray(data)
        changed[at] ^= 0x10
        pen.runner.profile_data = bytes(changed)
        assert pen.code("arm", zone=None) == 0
        pen.advance(500)
        faulted(pen, faults.MEMORY_CORRUPT)
        assert "load" not in [entry[0] for entry in pen.log.entries]


def test_a_table_that_changed_in_memory_is_never_credited() -> None:
    pen = running()
    assert pen.runner.motion is not None
    plan = pen.runner.motion.plan
    assert plan is not None
    begun = pen.needle.strokes
    plan.table[40] ^= 2
    pen.advance(200)
    faulted(pen, faults.TABLE_CORRUPT)
    assert pen.needle.strokes <= begun + 1
    recovered(pen)


GEOMETRY = ["steps_per_turn", "lead_um", "retract_offset_um", "full_steps", "microsteps", "a_max_mm_s2", "v_max_um_s"]


@pytest.mark.parametrize("name", GEOMETRY)
def test_a_geometry_that_changed_in_memory_moves_no_needle_deeper(name: str) -> None:
    """Table and depth guard come from the same numbers: these are read from flash for each."""
    for bit in range(0, 14):
        pen = in_state("LOADED")
        made = pen.runner.provision
        assert made is not None
        geometry = made.bounds.geometry
        setattr(geometry, name, max(1, getattr(geometry, name) ^ 1 << bit))
        pen.code("arm", zone=0)
        pen.advance(900)
        pen.press(400)
        assert pen.needle.deepest_steps in (0, samples.coarse().stroke_steps(1500))
        assert pen.log.breaches == []


def test_bounds_that_changed_in_memory_widen_nothing() -> None:
    pen = in_state("LOADED")
    pen.cut_power()
    pen.store.files[provision.FILE] = provision.encode(samples.provisioned(calibration_um=1400))
    pen.boot()
    assert pen.runner.provision is not None
    pen.runner.provision.bounds.calibration_um = 2500
    pen.advance(100)
    pen.new_cartridge()
    assert pen.load(samples.filled(SMALL)) == faults.DEPTH_ABOVE_CALIBRATION


def test_bounds_that_are_tighter_in_flash_than_when_the_profile_was_taken_make_no_zone_ready() -> None:
    pen = in_state("LOADED")
    pen.store.files[provision.FILE] = provision.encode(samples.provisioned(calibration_um=1400))
    pen.ask("arm", zone=0)
    pen.advance(600)
    faulted(pen, faults.TABLE_CORRUPT)
    assert pen.needle.strokes == 0


# --- engine and sensors -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["HOMING", "ARMED", "RUNNING", "PAUSED"])
@pytest.mark.parametrize(
    ("bit", "code"),
    [
        (signals.TRIP_DEPTH, faults.DEPTH_GUARD),
        (signals.TRIP_COUNT, faults.COUNT_GUARD),
        (signals.TRIP_STOP, faults.STOP_GUARD),
        (signals.HOME_WAIT, faults.HOME_LOST),
        (signals.DRIVER_RESET, faults.DRIVER_RESET),
        (signals.DRIVER_FAULT, faults.DRIVER_FAULT),
        (0, faults.DRIVER_FAULT),
    ],
)
def test_a_trip_is_a_fault_and_homing_anew_ends_it(state: str, bit: int, code: int) -> None:
    """Bit 0: the driver is off though nobody asked for it."""
    pen = in_state(state)
    pen.advance(20)
    pen.engine.trip(bit)
    pen.advance(100)
    if state == "HOMING" and bit == 0:
        return
    faulted(pen, code)
    assert pen.runner.ledger.latched == code
    pen.set_level(signals.TRIGGER, False)
    pen.advance(200)
    assert pen.code("clear") == 0
    if state_of(pen) == "SAFE":
        assert pen.load(samples.filled(SMALL)) == 0
    assert pen.code("arm", zone=1) == 0
    pen.until(wire.ARMED)
    pen.press(300)
    assert pen.needle.strokes > 0


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("net_steps", 4, faults.NET_STEPS),
        ("clear_step", -1, faults.HOME_NOT_CLEARED),
        ("return_step", -1, faults.HOME_LOST),
        ("return_step", 150, faults.LOST_STEPS),
        ("index", 77, faults.STROKE_SEQUENCE),
        ("flags", signals.TRIP_DEPTH, faults.DEPTH_GUARD),
    ],
)
def test_evidence_that_is_not_a_stroke_s_is_a_fault(name: str, value: int, code: int) -> None:
    pen = running()
    judged = pen.ask("status")["made"][0]
    pen.engine.bend = lambda evidence: setattr(evidence, name, value)
    pen.advance(200)
    faulted(pen, code)
    work = pen.runner.session
    assert work is not None
    assert work.made(0) <= judged + 1
    assert work.counted(0) >= pen.needle.strokes, "what was not judged is forfeited"
    pen.engine.bend = None
    recovered(pen)


def test_homing_that_fails_is_a_fault() -> None:
    pen = in_state("LOADED")
    pen.engine.spoil_homing = lambda evidence: setattr(evidence, "clear_step", -1)
    pen.ask("arm", zone=None)
    pen.advance(300)
    faulted(pen, faults.HOME_NOT_CLEARED)


@pytest.mark.parametrize("state", ["ARMED", "PAUSED"])
def test_a_carriage_that_is_not_home_does_not_keep_the_driver_on(state: str) -> None:
    """While a task waits for it, neither lease nor idle time are looked at; so the wait has an end of its own."""
    pen = in_state(state)
    pen.engine.stuck_away = True
    pen.ask("zone.select", zone=1)
    pen.host_alive = False
    pen.advance(2_600)
    faulted(pen, faults.HOME_LOST)
    assert pen.code("clear") == faults.NOT_AT_HOME
    pen.engine.stuck_away = False
    pen.advance(100)
    assert pen.code("clear") == 0


def test_a_seal_that_cannot_be_written_is_a_fault_and_can_be_done_again() -> None:
    pen = in_state("PAUSED")
    pen.ask("finish")
    pen.engine.stuck_away = True
    pen.advance(3_000)
    faulted(pen, faults.HOME_LOST)
    pen.engine.stuck_away = False
    pen.advance(100)
    assert pen.ask("clear")["state"] == wire.LOADED
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert sealed(pen).made() == pen.needle.strokes


def test_finish_waits_for_the_stroke_in_progress() -> None:
    pen = running()
    pen.set_level(signals.TRIGGER, False)
    pen.advance(1)
    assert state_of(pen) == "PAUSED"
    assert not pen.engine.poll() & signals.IDLE
    assert pen.code("finish") == faults.BUSY
    pen.until(wire.PAUSED)
    assert pen.code("finish") == 0
    pen.until(wire.SAFE)
    assert sealed(pen).forfeited() == 0
    assert ["disarm", 1] not in pen.log.entries


# --- files ------------------------------------------------------------------------------------------------------------
def rebooted(pen: IdealPen) -> IdealPen:
    pen.cut_power()
    pen.set_level(signals.TRIGGER, False)
    pen.boot()
    pen.advance(300)
    return pen


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (provision.FILE, faults.PROVISION_MISSING),
        (ledger.FILE, faults.LEDGER_MISSING),
        (ledger.WITNESS, faults.LEDGER_MISSING),
        (tasks.SESSION_FILE, faults.LEDGER_CORRUPT),
        (course.CARTRIDGE_FILE, faults.LEDGER_SHORT),
    ],
)
def test_a_vanished_file_is_a_fault_and_nothing_is_made_anew(name: str, code: int) -> None:
    pen = in_state("PAUSED")
    pen.cut_power()
    kept = pen.store.files.pop(name)
    before = dict(pen.store.files)
    rebooted(pen)
    faulted(pen, code)
    pen.greet()
    assert pen.code("clear") == code
    assert pen.store.files == before
    pen.store.files[name] = kept
    recovered(pen)


@pytest.mark.parametrize("name", [provision.FILE, ledger.FILE, tasks.SESSION_FILE, course.CARTRIDGE_FILE])
def test_a_spoilt_file_is_a_fault(name: str) -> None:
    pen = in_state("PAUSED")
    pen.cut_power()
    spoilt = bytearray(pen.store.files[name])
    for at in range(0, len(spoilt), 5):
        spoilt[at] ^= 0x08
    pen.store.files[name] = bytes(spoilt)
    rebooted(pen)
    assert state_of(pen) == "FAULT"
    pen.greet()
    assert pen.code("clear") != 0
    assert pen.code("arm", zone=None) == faults.STATE_FORBIDS


def test_a_spoilt_last_record_breaks_no_chain_silently() -> None:
    pen = in_state("PAUSED")
    pen.ask("finish")
    pen.until(wire.SAFE)
    name = tasks.record_name(1)
    pen.store.files[name] = pen.store.files[name][:-1] + b"\x00"
    rebooted(pen)
    faulted(pen, faults.RECORD_CORRUPT)


def test_a_pen_that_was_never_provisioned_is_safe_and_takes_no_profile() -> None:
    pen = IdealPen(None)
    pen.boot()
    pen.advance(50)
    assert state_of(pen) == "SAFE"
    said = pen.greet()
    assert (said["serial"], said["ceiling_um"]) == ("", 0)
    assert pen.code("load.begin", size=300, sha256="0" * 64) == faults.NOT_PROVISIONED
    pen.ask("stop")
    assert state_of(pen) == "FAULT"
    pen.advance(100)
    assert pen.ask("clear")["state"] == wire.SAFE
    assert pen.store.files == {}


def test_leftovers_of_a_cut_are_swept_when_the_pen_is_at_rest() -> None:
    pen = booted()
    pen.cut_power()
    pen.store.files["ledger.bin.new"] = b"half"
    pen.boot()
    pen.engine.stuck_away = True
    pen.advance(200)
    assert "ledger.bin.new" in pen.store.files, "flash is written at home alone"
    pen.engine.stuck_away = False
    pen.advance(2_000)
    assert "ledger.bin.new" not in pen.store.files
    assert pen.log.breaches == []


def crowded_courses() -> IdealPen:
    """Return a paused pen whose course memory is due for compaction after the session in hand."""
    pen = IdealPen(samples.provisioned())
    known = course.COURSES_MAX - 1
    pen.store.files[course.COURSE_FILE] = b"".join(course_entry(number % 3, number + 1) for number in range(known))
    # None of them lies ahead of the pen's time, or it would be shortened before the session begins.
    now_s = samples.TODAY_S + known
    pen.store.files[ledger.FILE] += ledger.pack(ledger.Entry(ledger.COURSE, aux=known), 2)
    pen.store.files[ledger.FILE] += ledger.pack(ledger.Entry(ledger.CLOCK, aux=now_s), 3)
    pen.boot()
    pen.ready(samples.filled(SMALL, course_id="mine", issued_at=now_s))
    assert pen.runner.memory.course_count() == known
    pen.press(300)
    pen.until(wire.PAUSED)
    return pen


def writes_of_a_seal() -> int:
    pen = crowded_courses()
    before = pen.store.writes
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert pen.runner.memory.course_count() == 4 == pen.runner.ledger.courses
    return pen.store.writes - before


@pytest.mark.parametrize("trouble", ["cut", "cut done"])
def test_a_cut_at_every_write_of_a_seal_that_compacts_the_courses(trouble: str) -> None:
    for number in range(1, writes_of_a_seal() + 1):
        pen = crowded_courses()
        pen.store.trouble_at, pen.store.trouble = pen.store.writes + number, trouble
        pen.code("finish")
        pen.advance(500)
        assert pen.dead
        rebooted(pen)
        assert state_of(pen) in ("SAFE", "LOADED"), pen.runner.fault_code
        pen.greet()
        if state_of(pen) == "LOADED":
            assert pen.code("finish") == 0
            pen.until(wire.SAFE)
        assert sealed(pen).made() == pen.needle.strokes
        last = pen.runner.memory.course("mine")
        assert last is not None
        assert last.session == 1


# --- the loop itself --------------------------------------------------------------------------------------------------
def test_telemetry_comes_after_a_month_of_rest() -> None:
    """What lies more than 2**31 ms back reads as lying ahead."""
    pen = in_state("ARMED")
    pen.ask("finish")
    for _ in range(26):
        pen.time.total_ms += samples.DAY_S * 1000
        pen.step()
    pen.new_cartridge()
    pen.ready(samples.filled(SMALL))
    pen.log.entries.clear()
    pen.advance(1_000)
    sent = b"".join(entry[1] for entry in pen.log.entries if entry[0] == "sent")
    assert 8 <= sent.count(b'"telemetry"') <= 11


def test_a_task_is_not_begun_over_another() -> None:
    pen = booted()
    pen.advance(50)
    pen.runner.start(tasks.tidy(pen.runner))
    with pytest.raises(Fault) as fault:
        pen.runner.start(tasks.tidy(pen.runner))
    assert fault.value.code == faults.INTERNAL


def test_no_flash_is_written_in_motion_whoever_asks() -> None:
    pen = running()
    while pen.runner.at_rest():
        pen.advance(1)
    with pytest.raises(Fault) as fault:
        pen.runner.append([ledger.Entry(ledger.CLOCK, aux=1)])
    assert fault.value.code == faults.FLASH_IN_MOTION


def test_a_step_writes_flash_for_one_entry_at_most() -> None:
    """The journal, the file written beside and renamed, and the witness: never two entries' worth in a turn."""
    pen = booted()
    pen.new_cartridge()
    pen.load(samples.filled(SMALL))
    pen.send("arm", zone=None)
    most = 0
    for turn in range(3_000):
        before = pen.store.writes
        pen.step()
        most = max(most, pen.store.writes - before)
        pen.time.total_ms += 1
        pen.set_level(signals.TRIGGER, 700 < turn < 1_500)
        if turn % 500 == 0:
            pen.send("ping")
        if turn == 2_000:
            pen.send("finish")
    assert state_of(pen) == "SAFE"
    assert sealed(pen).made() == pen.needle.strokes > 0
    assert most == 2


def test_the_states_of_the_session_module_are_those_of_the_wire() -> None:
    assert len(session.EVENT_NAMES) == 18
    assert record.END_REASONS[record.END_CARTRIDGE] == "cartridge opened"


def patched_provision(pen: IdealPen, at: int, value: bytes) -> None:
    """Change bytes of the provision in flash and make its CRC anew."""
    body = bytearray(pen.store.files[provision.FILE][:-4])
    body[at : at + len(value)] = value
    pen.store.files[provision.FILE] = bytes(body) + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize("value", [b"\x00\x00", b"\xff\xff"])
@pytest.mark.parametrize("at", range(24, 62, 2))
def test_a_provision_of_nonsense_that_its_crc_approves_is_a_fault_and_no_crash(at: int, value: bytes) -> None:
    pen = booted()
    pen.cut_power()
    patched_provision(pen, at, value)
    rebooted(pen)
    if state_of(pen) == "FAULT":
        faulted(pen, faults.PROVISION_CORRUPT)
    else:
        provision.check(provision.decode(pen.store.files[provision.FILE]))


def test_a_tighter_provision_in_the_midst_of_a_session_stops_it_without_a_crash() -> None:
    """Deeper than the pen now allows: it isn't armed, and can be finished."""
    pen = in_state("PAUSED")
    pen.cut_power()
    tighter: Any = samples.provisioned(ceiling_um=1000, calibration_um=1000, cartridge_strokes=5)
    pen.store.files[provision.FILE] = provision.encode(tighter)
    rebooted(pen)
    pen.greet()
    assert pen.ask("status")["left"] == [0, 0]
    for zone in (0, 1):
        assert pen.code("arm", zone=zone) != 0
    assert pen.code("finish") == 0
    pen.until(wire.SAFE)
    assert sealed(pen).counted() >= pen.needle.strokes
