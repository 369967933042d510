"""What the pen waits for: home before every write, a task in hand before the next wish, strokes on their way."""

from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from pencore import faults, ledger, profile, signals, tasks, wire
from pencore.consent import RELEASE_MS, CartridgeSwitch, Trigger
from tests.portable import samples
from tests.portable.ideal_pen import CHUNK, IdealPen
from tests.portable.samples import KEY, KEY_ID
from tests.unit.test_requests import PARAMS, correction, refused, with_records
from tests.unit.test_runner import SMALL, booted, in_state, sealed, state_of
from tests.unit.test_runner_faults import crowded_courses

PUSH_MS = 100


def pushed(pen: IdealPen, state: int) -> int:
    """Advance until the pen is in `state` and owes nothing, while a hand pushes the carriage off home after every write
    and lets it come back; return how often.
    """
    end_ms, times = pen.time.total_ms + 30_000, 0
    while pen.runner.state != state or pen.runner.busy() or pen.runner.unsettled():
        assert pen.time.total_ms < end_ms
        assert state_of(pen) != "FAULT", pen.runner.fault_code
        writes = pen.store.writes
        pen.advance(1)
        if pen.store.writes != writes:
            times += 1
            pen.engine.stuck_away = True
            pen.advance(PUSH_MS)
            pen.engine.stuck_away = False
    return times


# --- home before every write ------------------------------------------------------------------------------------------
def test_a_session_waits_for_home_before_every_write() -> None:
    pen = in_state("LOADED")
    pen.send("arm", zone=None)
    assert pushed(pen, wire.ARMED) >= 1
    pen.advance(120)
    pen.set_level(signals.TRIGGER, True)
    pen.advance(20)
    assert state_of(pen) == "RUNNING"
    # A journal that is due for compaction amid a burst takes a write more.
    pen.runner.ledger.single_copies = 1
    assert pushed(pen, wire.PAUSED) >= 4
    pen.set_level(signals.TRIGGER, False)
    pen.send("finish")
    pen.advance(1)
    assert pushed(pen, wire.SAFE) >= 4
    assert sealed(pen).made() == pen.needle.strokes == 60
    assert tasks.SESSION_FILE not in pen.store.files
    assert pen.log.breaches == []


def test_a_seal_that_shortens_the_courses_waits_for_home_before_every_write() -> None:
    pen = crowded_courses()
    pen.send("finish")
    pen.advance(1)
    assert pushed(pen, wire.SAFE) >= 6
    assert pen.runner.memory.course_count() == 4
    assert tasks.SESSION_FILE not in pen.store.files
    assert pen.log.breaches == []


def test_an_arming_waits_for_home_before_it_writes() -> None:
    pen = in_state("HOMING")
    pen.engine.stuck_away = True
    pen.advance(500)
    assert state_of(pen) == "HOMING"
    assert tasks.SESSION_FILE not in pen.store.files
    pen.engine.stuck_away = False
    pen.until(wire.ARMED)
    assert pen.log.breaches == []


def test_a_burst_waits_for_home_before_it_reserves() -> None:
    pen = in_state("ARMED")
    pen.advance(120)
    pen.set_level(signals.TRIGGER, True)
    pen.engine.stuck_away = True
    pen.advance(300)
    assert state_of(pen) == "RUNNING"
    assert pen.runner.ledger.open is None
    pen.engine.stuck_away = False
    pen.advance(300)
    assert pen.needle.strokes
    assert pen.log.breaches == []


def untidy() -> IdealPen:
    """Return a pen, off, with what a cut leaves."""
    pen = with_records(3)
    pen.cut_power()
    book = ledger.Ledger(pen.store)
    book.replay()
    book.append([ledger.Entry(ledger.ACK, 1), ledger.Entry(ledger.ACK, 2)])
    pen.store.files["ledger.bin.new"] = b"half"
    return pen


def test_tidying_up_waits_for_home_before_every_write() -> None:
    pen = untidy()
    pen.boot()
    assert pushed(pen, wire.SAFE) == 0, "not begun"
    pen.advance(60)
    assert pushed(pen, wire.SAFE) >= 2
    assert [name for name in pen.store.names() if name.endswith(".new") or name.startswith("rec")] == [
        tasks.record_name(3)
    ]
    assert pen.log.breaches == []


def test_an_acknowledged_record_is_removed_at_home() -> None:
    pen = with_records(2)
    pen.advance(200)
    for session in (1, 2):
        data = pen.store.files[tasks.record_name(session)]
        pen.send("record.ack", session=session, sha256=data[-32:].hex())
        pen.advance(1)
        assert pushed(pen, wire.SAFE) == session - 1
        pen.advance(200)
    assert [name for name in pen.store.names() if name.startswith("rec")] == [tasks.record_name(2)]
    assert state_of(pen) == "SAFE"


def test_a_pen_tidies_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pen = booted()
    looked: list[int] = []
    names = pen.store.names

    def noting() -> list[str]:
        looked.append(pen.time.total_ms)
        return names()

    monkeypatch.setattr(pen.store, "names", noting)
    for _ in range(100):
        pen.advance(10)
    assert len(set(looked)) == 1


# --- the task in hand before a wish -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "state"),
    [
        ("load.commit", "SAFE"),
        ("arm", "LOADED"),
        ("zone.select", "ARMED"),
        ("finish", "LOADED"),
        ("finish", "PAUSED"),
        ("clear", "FAULT"),
        ("clock.correct", "SAFE"),
        ("record.ack", "SAFE"),
    ],
)
def test_a_wish_that_needs_the_flash_waits_for_the_task_in_hand(method: str, state: str) -> None:
    def waiting() -> Iterator[None]:
        while True:
            yield

    pen = in_state(state)
    pen.advance(200)
    pen.runner.start(waiting())
    assert refused(pen, method, **PARAMS.get(method, {})).code == faults.BUSY


@pytest.mark.parametrize(("method", "state"), [("clear", "FAULT"), ("clock.correct", "SAFE"), ("record.ack", "SAFE")])
def test_a_wish_that_is_written_at_once_is_refused_away_from_home(method: str, state: str) -> None:
    pen = in_state(state)
    pen.advance(200)
    pen.engine.stuck_away = True
    assert refused(pen, method, **PARAMS.get(method, {})).code == faults.NOT_AT_HOME


def test_a_wish_just_after_a_cut_only_needs_a_moment() -> None:
    """The carriage may still coast: not the same as one that isn't home."""
    pen = in_state("ARMED")
    pen.ask("stop")
    told = refused(pen, "clear")
    assert (told.code, told.field) == (faults.BUSY, "home")
    pen.advance(200)
    assert pen.code("clear") == 0


def test_a_correction_is_taken_in_an_interrupted_session() -> None:
    """Its time was checked when it began; only a profile that is still to begin stands on the floor that this moves."""
    pen = IdealPen(samples.provisioned(KEY_ID, KEY))
    pen.boot()
    pen.ready(samples.filled(SMALL))
    pen.press(300)
    pen.until(wire.PAUSED)
    pen.cut_power()
    pen.boot()
    pen.advance(200)
    pen.greet()
    assert state_of(pen) == "LOADED"
    assert pen.ask("clock.correct", **correction(pen, samples.TODAY_S + 5)) == {"time_floor": samples.TODAY_S + 5}


# --- the cartridge in its holder --------------------------------------------------------------------------------------
def just_opened(pen: IdealPen) -> None:
    pen.set_level(signals.CARTRIDGE, False)


def opened(pen: IdealPen) -> None:
    just_opened(pen)
    pen.advance(50)


def just_closed(pen: IdealPen) -> None:
    opened(pen)
    pen.set_level(signals.CARTRIDGE, True)


@pytest.mark.parametrize("hand", [just_opened, opened, just_closed])
@pytest.mark.parametrize("method", ["load.commit", "arm"])
def test_a_cartridge_is_asked_for_as_soon_as_it_leaves_and_until_it_has_settled(
    method: str, hand: Callable[[IdealPen], None]
) -> None:
    pen = in_state("SAFE" if method == "load.commit" else "LOADED")
    if method == "load.commit":
        data = profile.encode(samples.filled(SMALL))
        pen.ask("load.begin", size=len(data), sha256=sha256(data).hexdigest())
        for offset in range(0, len(data), CHUNK):
            pen.ask("load.chunk", offset=offset, data=data[offset : offset + CHUNK])
    hand(pen)
    assert refused(pen, method, **PARAMS.get(method, {})).code == faults.CARTRIDGE_OPEN


# --- strokes on their way ---------------------------------------------------------------------------------------------
def test_another_zone_waits_for_the_stroke_in_progress() -> None:
    pen = in_state("RUNNING")
    pen.set_level(signals.TRIGGER, False)
    pen.advance(1)
    assert not pen.engine.poll() & signals.IDLE
    assert pen.code("zone.select", zone=1) == 0
    pen.until(wire.PAUSED)
    work = pen.runner.session
    assert work is not None
    assert (work.zone, work.made(0), work.forfeited(0)) == (1, pen.needle.strokes, 0)


def off_home_after_a_burst(pen: IdealPen) -> None:
    """Let the burst end with the carriage held off home, so that nothing can be written."""
    pen.set_level(signals.TRIGGER, False)
    pen.engine.stuck_away = True
    pen.advance(300)
    assert pen.runner.unsettled()


def test_a_block_that_could_not_be_settled_is_settled_before_the_seal() -> None:
    pen = in_state("RUNNING")
    off_home_after_a_burst(pen)
    assert pen.code("finish") == 0
    pen.engine.stuck_away = False
    pen.until(wire.SAFE)
    assert (sealed(pen).made(), sealed(pen).forfeited()) == (pen.needle.strokes, 0)


@pytest.mark.parametrize("method", ["finish", "lapse"])
def test_a_state_that_is_left_is_left_with_the_driver_off(method: str) -> None:
    for state in ("ARMED", "PAUSED"):
        pen = in_state(state)
        assert pen.engine.poll() & signals.ENABLED
        if method == "finish":
            pen.ask(method)
        else:
            pen.host_alive = False
            pen.advance(2_500)
        assert not pen.engine.poll() & signals.ENABLED


def test_a_spent_session_that_lapsed_before_it_was_settled_is_left_to_its_host() -> None:
    pen = booted()
    pen.ready(samples.filled(SMALL[:1]))
    pen.advance(120)
    pen.set_level(signals.TRIGGER, True)
    while pen.needle.strokes < 60:
        pen.advance(1)
    off_home_after_a_burst(pen)
    pen.host_alive = False
    pen.advance(2_500)
    pen.engine.stuck_away = False
    pen.advance(500)
    assert (state_of(pen), pen.runner.unsettled(), pen.runner.ledger.last_session) == ("LOADED", False, 0)
    pen.host_alive = True
    pen.ask("finish")
    pen.until(wire.SAFE)
    assert sealed(pen).made() == 60


def test_a_cut_right_after_a_fault_is_logged_forfeits_no_stroke_more() -> None:
    """What became of the strokes is written with the fault, in one append."""
    pen = in_state("RUNNING")
    pen.ask("stop")
    writes = pen.store.writes
    while pen.store.writes == writes:
        pen.advance(1)
    work = pen.runner.session
    assert work is not None
    counted = work.counted(0)
    pen.cut_power()
    book = ledger.Ledger(pen.store)
    book.replay()
    assert book.latched == faults.OPERATOR_STOP
    assert book.open is not None
    assert book.open.reserved[0] == book.open.counted(0) == counted


def test_nothing_is_credited_to_a_trigger_that_is_let_go_in_the_very_turn() -> None:
    """After the turn's first look at it, and without a write that would remember."""
    pen = in_state("RUNNING")
    runner = pen.runner
    assert runner.session is not None
    assert runner.motion is not None
    while runner.motion.queued:
        runner._take_evidence()
        pen.time.total_ms += 1
    assert runner.session.outstanding()
    credited = pen.log.entries.count(["credit"])
    pen.inputs.level &= ~signals.TRIGGER
    runner._drive()
    assert pen.log.entries.count(["credit"]) == credited
    pen.inputs.level |= signals.TRIGGER
    runner._drive()
    assert pen.log.entries.count(["credit"]) == credited + 1


# --- a stop button ----------------------------------------------------------------------------------------------------
def test_a_stop_button_that_stays_pressed_keeps_nothing_from_being_written() -> None:
    pen = in_state("PAUSED")
    pen.set_level(signals.STOP, True)
    pen.advance(300)
    book = ledger.Ledger(pen.store)
    book.replay()
    assert book.latched == faults.STOP_BUTTON


def test_a_stop_that_was_tapped_in_a_write_stops_once() -> None:
    pen = in_state("PAUSED")
    pen.runner._stopped = True
    pen.advance(200)
    assert pen.runner.fault_code == faults.STOP_BUTTON
    assert pen.code("clear") == 0
    pen.advance(200)
    assert (state_of(pen), pen.runner.fault_code) == ("LOADED", 0)


# --- the holder, before any stroke ------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["HOMING", "ARMED"])
def test_a_cartridge_opened_before_the_first_stroke_ends_the_arming_alone(state: str) -> None:
    pen = in_state(state)
    opened(pen)
    assert (pen.runner.fault_code, pen.runner.must_seal) == (faults.CARTRIDGE_OPENED, False)
    assert not pen.engine.poll() & signals.ENABLED


def test_a_pen_that_was_never_provisioned_has_no_session_to_lose() -> None:
    pen = IdealPen(None)
    pen.boot()
    opened(pen)
    assert state_of(pen) == "SAFE"


@pytest.mark.parametrize(("span_ms", "wanted"), [(9, True), (10, False)])
def test_a_press_as_long_as_one_that_counts_takes_its_release_with_it(span_ms: int, wanted: bool) -> None:
    """Seen once only it starts nothing; shorter, it is contact noise, and the release before it goes on."""
    trigger = Trigger()
    trigger.sample(False, 0)
    trigger.rearm(0)
    trigger.sample(False, RELEASE_MS)
    trigger.sample(True, 110)
    trigger.sample(False, 110 + span_ms)
    trigger.sample(True, 125)
    trigger.sample(True, 135)
    assert trigger.wants() == wanted


@pytest.mark.parametrize("opened_before", [False, True])
def test_a_holder_that_moved_unseen_is_looked_at_again_at_once(opened_before: bool) -> None:
    switch = CartridgeSwitch()
    switch.sample(True, 0)
    if opened_before:
        for now_ms in (20, 40):
            switch.sample(False, now_ms)
    switch.missed()
    assert switch.wait_ms(41) == 1
