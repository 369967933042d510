"""Guards that no host, no hand and no flash reaches: what only a flipped bit or a mistake of ours would bring about.

Each is reached by changing the pen's memory behind its back.
"""

import struct
from collections.abc import Iterator

import pytest

from pencore import course, faults, ledger, lines, motion, session, signals, tasks, wire
from pencore.digest import crc32
from pencore.faults import Fault, Refusal
from pencore.ledger import CHECKPOINT, CONFIRM, INTERRUPT, OPEN, RESERVE, Entry, Ledger, OpenSession
from pencore.ports import HomingEvidence
from pencore.units import Geometry
from tests.portable import samples
from tests.portable.ideal_ports import Files
from tests.unit.test_motion import Engine
from tests.unit.test_requests import with_records
from tests.unit.test_runner import booted, in_state, state_of


def test_a_fault_says_its_code_its_name_and_what_goes_with_it() -> None:
    assert str(Fault(faults.DEPTH_GUARD, 7)) == f"{faults.DEPTH_GUARD} DEPTH_GUARD aux=7"
    assert str(Fault(999)) == "999 ? aux=0"


# --- the runner -------------------------------------------------------------------------------------------------------
def test_a_burst_ends_without_an_engine() -> None:
    pen = in_state("RUNNING")
    pen.runner.motion = None
    pen.runner.end_burst(session.RELEASE, 0)
    assert state_of(pen) == "PAUSED"


def test_a_request_that_no_state_allows_is_refused_and_what_means_nothing_is_passed_over() -> None:
    pen = in_state("SAFE")
    with pytest.raises(Refusal) as refused:
        pen.runner.fire(session.ARM)
    assert (refused.value.code, refused.value.given) == (faults.STATE_FORBIDS, wire.SAFE)
    pen.runner.fire(session.PRESS)
    assert state_of(pen) == "SAFE"


def test_a_task_that_put_another_in_its_place_is_not_dropped_for_it() -> None:
    pen = in_state("SAFE")
    runner = pen.runner

    def other() -> Iterator[None]:
        yield

    after = other()

    def first() -> Iterator[None]:
        runner._task = after
        yield from ()

    runner._task = first()
    runner._work()
    assert runner._task is after


def test_a_driven_pen_without_parts_still_says_when_it_wants_to_be_called() -> None:
    pen = in_state("ARMED")
    pen.runner.motion = None
    assert 1 <= pen.runner._wait_ms() <= 1000
    pen.runner.session = None
    assert pen.runner._telemetry()[9] == 0
    pen = in_state("HOMING")
    pen.runner._task = None
    assert 1 <= pen.runner._wait_ms() <= 1000


def test_a_burst_waits_for_an_engine_that_is_not_idle_after_its_last_stroke() -> None:
    pen = in_state("RUNNING")
    runner = pen.runner
    assert runner.session is not None
    assert runner.motion is not None
    runner.session._outstanding.set(0)
    runner.engine_bits = signals.ENABLED
    before = (runner.state, runner._task)
    runner._drive()
    assert (runner.state, runner._task) == before


def test_a_flipped_latch_of_an_opened_cartridge_is_cleared_by_nothing() -> None:
    pen = in_state("FAULT")
    pen.advance(200)
    pen.runner.must_seal = True
    pen.runner.session = None
    assert pen.code("clear") == faults.BUSY
    assert state_of(pen) == "FAULT"


# --- tasks ------------------------------------------------------------------------------------------------------------
def test_a_task_without_the_pen_s_parts_is_a_fault() -> None:
    for name in ("session", "motion", "provision"):
        pen = in_state("LOADED")
        setattr(pen.runner, name, None)
        with pytest.raises(Fault) as fault:
            tasks._parts(pen.runner)
        assert fault.value.code == faults.INTERNAL


def test_another_profile_s_bytes_are_never_planned() -> None:
    pen = in_state("LOADED")
    assert pen.runner.session is not None
    pen.runner.session.profile.digest = bytes(32)
    assert pen.code("arm", zone=None) == 0
    pen.advance(500)
    assert pen.runner.fault_code == faults.MEMORY_CORRUPT


def test_a_record_is_made_of_the_session_that_the_ledger_has_open() -> None:
    for account in (None, OpenSession(2, 2, 0, 0)):
        pen = in_state("PAUSED")
        pen.runner.ledger.open = account
        with pytest.raises(Fault) as fault:
            tasks._make_record(pen.runner, 0)
        assert (fault.value.code, fault.value.aux) == (faults.INTERNAL, 1)


def test_no_record_is_made_with_strokes_in_the_air() -> None:
    pen = in_state("PAUSED")
    assert pen.runner.ledger.open is not None
    pen.runner.ledger.open.reserved[1] += 1
    with pytest.raises(Fault) as fault:
        tasks._make_record(pen.runner, 0)
    assert (fault.value.code, fault.value.aux) == (faults.INTERNAL, 1)


# --- memory and journal apart -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["SAFE", "LOADED", "PAUSED"])
def test_an_entry_that_cannot_follow_is_a_fault_and_the_journal_is_read_anew(state: str) -> None:
    """Before it is written: flash is sound, and the fault is logged there."""
    pen = in_state(state)
    runner = pen.runner

    def impossible() -> Iterator[None]:
        runner.append([Entry(CHECKPOINT)])
        yield

    runner.start(impossible())
    pen.step()
    assert runner.fault_code == faults.INTERNAL
    stale = [runner.ledger.stale]
    pen.advance(300)
    stale.append(runner.ledger.stale)
    assert stale == [True, False]
    book = Ledger(pen.store)
    book.replay()
    assert book.latched == faults.INTERNAL
    if state == "PAUSED":
        assert runner.session is not None
        assert runner.session.account is runner.ledger.open
        assert runner.session.total() == pen.needle.strokes
    assert pen.code("clear") == 0


def test_a_session_takes_no_other_session_s_counters() -> None:
    work = session.Session(samples.filled(), OpenSession(1, 3, 0, 0), 200_000)
    with pytest.raises(Fault) as fault:
        work.adopt(OpenSession(2, 3, 0, 0))
    assert (fault.value.code, fault.value.aux) == (faults.INTERNAL, 2)
    account = OpenSession(1, 3, 0, 0)
    work.adopt(account)
    assert work.account is account


# --- files ------------------------------------------------------------------------------------------------------------
class Forgetful(Files):
    """A store that forgets what `forgets` names: appends to the witness, or that a file was renamed."""

    forgets = ""

    def append(self, name: str, data: bytes) -> None:
        if self.forgets != "witness" or name != ledger.WITNESS:
            super().append(name, data)

    def rename(self, name: str, new_name: str) -> None:
        if self.forgets != "rename":
            super().rename(name, new_name)


def forgetful() -> tuple[Forgetful, Ledger]:
    store = Forgetful()
    ledger.create(store)
    book = Ledger(store)
    book.replay()
    return store, book


def test_a_witness_that_was_not_written_is_noticed() -> None:
    store, book = forgetful()
    store.forgets = "witness"
    with pytest.raises(Fault) as fault:
        book.append([Entry(ledger.CLOCK, aux=1)])
    assert (fault.value.code, fault.value.aux) == (faults.LEDGER_READ_BACK, 1)
    assert book.stale


def test_a_rename_that_was_not_done_is_noticed() -> None:
    store, book = forgetful()
    book.append([Entry(ledger.CLOCK, aux=1)])
    store.forgets = "rename"
    with pytest.raises(Fault) as fault:
        book.compact()
    assert fault.value.code == faults.LEDGER_READ_BACK
    assert book.stale


def test_a_file_written_beside_is_read_back_before_it_takes_the_other_s_place() -> None:
    store = Files()
    store.append("a", b"old")
    store.trouble_at, store.trouble = store.writes + 1, "spoil"
    with pytest.raises(Fault):
        ledger.write_new(store, "a", b"new")
    assert store.files["a"] == b"old"


def test_a_memory_that_gives_less_than_it_has_is_a_fault() -> None:
    class Short(Files):
        def read(self, name: str, offset: int, length: int) -> bytes:
            return super().read(name, offset, length)[:-1]

    store = Short()
    memory = course.Memory(store)
    store.append(course.CARTRIDGE_FILE, bytes(2 * 24))
    with pytest.raises(Fault) as fault:
        memory.check(0, 1)
    assert fault.value.code == faults.LEDGER_SHORT


def test_a_record_that_is_gone_is_not_listed() -> None:
    pen = with_records(3)
    del pen.store.files[tasks.record_name(2)]
    pen.boot()
    pen.advance(100)
    pen.greet()
    assert pen.ask("record.list", after=0)["sessions"] == [1, 3]


def test_counts_that_no_journal_can_hold_are_not_applied() -> None:
    book = forgetful()[1]
    book.append([Entry(OPEN, 1, 2, aux=samples.TODAY_S), Entry(RESERVE, 1, 0, 50)])
    for entry in (
        Entry(OPEN, 1, 2, aux=samples.TODAY_S),
        Entry(RESERVE, 1, 2, 50),
        Entry(RESERVE, 2, 0, 60),
        Entry(CONFIRM, 1, 0, 50, 30, 10),
        Entry(INTERRUPT, 2, 0, aux=5),
    ):
        with pytest.raises(Fault):
            book.append([entry])
        book.replay()
        assert book.open is not None
        assert book.open.reserved == [50, 0]


def test_an_entry_of_another_version_is_not_read_whatever_its_sum() -> None:
    copy = bytearray(ledger.pack(Entry(ledger.CLOCK, aux=1), 2)[:28])
    copy[1] += 1
    copy += struct.pack("<I", crc32(copy))
    assert ledger.unpack(bytes(copy + copy)) == (None, 0, 0)


# --- lines and motion -------------------------------------------------------------------------------------------------
def test_a_line_cut_once_takes_no_value_out_of_its_range() -> None:
    stencil = wire.telemetry_stencil()
    values: list[int | None] = [0] * len(wire.NOTIFICATIONS["telemetry"])
    values[1] = None
    assert bytes(stencil.fill(values)) == wire.encode_notification(
        "telemetry", dict(zip([field[0] for field in wire.NOTIFICATIONS["telemetry"]], values, strict=True))
    )
    for at, value in ((0, 9), (0, -1), (2, None), (2, 2_501), (0, True)):
        changed = list(values)
        changed[at] = value
        with pytest.raises(ValueError, match="no value"):
            stencil.fill(changed)


def test_a_number_that_starts_its_line_is_written_whole() -> None:
    line = bytearray(12)
    assert [lines._put_digits(line, 0, value) for value in (0, 9, 10, 4_294_967_295)] == [1, 1, 2, 10]
    assert line[:10] == b"4294967295"


def test_a_trip_while_homing_comes_before_how_far_it_came() -> None:
    class Tripped(Engine):
        def poll(self) -> int:
            return signals.TRIP_STOP

    engine = Tripped()
    held = motion.Motion(engine, samples.coarse(), 300)
    held.home(0)
    engine.homing_evidence = motion_evidence(held)
    with pytest.raises(Fault) as fault:
        held.homed(10)
    assert fault.value.code == faults.STOP_GUARD


def motion_evidence(held: motion.Motion) -> HomingEvidence:
    return HomingEvidence(10, 6, 5)


def test_a_limit_that_became_less_is_not_credited_past() -> None:
    held = motion.Motion(Engine(), Geometry(), 300)
    with pytest.raises(Fault) as fault:
        held.credit(1, 100)
    assert fault.value.code == faults.TABLE_CORRUPT


def test_a_pen_at_its_first_boot_shows_no_session() -> None:
    pen = booted()
    assert pen.runner._telemetry()[1:11] == [None] + [0] * 9
