"""Bounds of the firmware that no other test would miss: each is held to its number, and to what it is a bound of."""

import struct
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from pencore import consent, course, faults, ledger, limits, lines, provision, runner, signals, wire
from pencore.faults import Fault, Refusal
from pencore.ledger import Entry, Ledger
from pencore.motion import Motion
from pencore.planner import Plan
from pencore.units import TICK_HZ, Geometry
from pendevice import watchdog
from pendevice.engine import Misuse, StrokeEngine
from pendevice.tmc2209 import ABSENT, UNKNOWN, WATCH_MS, Tmc2209
from pensim.driver_chip import DriverChip
from pensim.flash import WORST_TIMING, FlashDevice, FlashImage, Operation, SimStore
from tests.portable import device, samples
from tests.safety.firmware import Firmware
from tests.support.cuts import aged
from tests.unit.test_conversation import Desk, ping
from tests.unit.test_motion import Engine
from tests.unit.test_pendevice_ports import Port, link_over
from tests.unit.test_runner import booted, in_state, running, state_of
from tests.unit.test_tmc2209 import Bench

FIRMWARE = Firmware(Path(__file__).parents[2])


def constant(module: str, name: str) -> int:
    """Return a constant of a module that can't be imported here, or doesn't hand it out."""
    return FIRMWARE.modules[module].integers[name]


# --- motion ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("microsteps", [16, 32])
def test_homing_is_no_faster_than_its_own_bound(microsteps: int) -> None:
    """However steep the pen's ramp and however fine its steps: 0.2 ms a step, in both directions."""
    steep = Geometry(microsteps=microsteps, a_max_mm_s2=100_000, v_max_um_s=200_000)
    assert limits.ramp_ticks(1, steep) < 25_000
    engine = Engine()
    Motion(engine, steep, 300).home(0)
    assert engine.calls[0][-1] == 25_000 == TICK_HZ // 5_000


def test_a_task_waits_two_seconds_for_home() -> None:
    """Sealing begins with the carriage held away from home: it is given up after 2,000 ms, not sooner, not later."""
    pen = in_state("PAUSED")
    pen.ask("finish")
    pen.engine.stuck_away = True
    began_ms = pen.time.total_ms
    while state_of(pen) != "FAULT":
        pen.advance(1)
        assert pen.time.total_ms < began_ms + 3_000
    assert pen.runner.fault_code == faults.HOME_LOST
    assert 1_990 <= pen.time.total_ms - began_ms <= 2_010


def test_flash_rests_fifty_milliseconds_after_a_cut() -> None:
    """For so long a carriage that was cut counts as moving, whatever its sensor says."""
    pen = running()
    pen.runner.stop(faults.OPERATOR_STOP)
    cut_ms = pen.runner.now_ms
    assert pen.runner.coasting()
    for after_ms in (0, 1, 49, 50, 51):
        pen.runner.now_ms = cut_ms + after_ms
        assert pen.runner.coasting() == (after_ms < 50), after_ms
    pen.runner.now_ms = cut_ms + 49
    with pytest.raises(Fault) as fault:
        pen.runner.append([Entry(ledger.CLOCK, aux=1)])
    assert fault.value.code == faults.FLASH_IN_MOTION


def test_a_pen_at_rest_is_looked_after_every_second() -> None:
    """The loop never rests longer than a quarter of the watchdog's time."""
    pen = booted()
    pen.advance(5_000)
    assert state_of(pen) == "SAFE"
    waits = [pen.runner.step(pen.time.now_ms() + turn) for turn in range(5)]
    assert max(waits) == 1_000 == runner._WAIT_MAX_MS
    assert 4 * max(waits) <= watchdog.TIMEOUT_MS


class Waiting(device.Feed):
    """Plays nothing: its stroke waits for home."""

    def waits_for_home(self) -> bool:
        return True


def test_a_stroke_may_wait_fifty_milliseconds_for_home() -> None:
    now = [7]
    engine = StrokeEngine(Waiting(), device.Guards(), device.Driver(), lambda _: 16, lambda: now[0])
    engine.load(struct.pack("<3I", 1000 << 1 | 1, 1000 << 1, 0))
    engine.arm(1, 1)
    engine.credit()
    engine.turn()
    for after_ms in (0, 1, 49):
        now[0] = 7 + after_ms
        assert not engine.poll() & signals.HOME_WAIT, after_ms
    now[0] = 7 + 50
    assert engine.poll() & signals.HOME_WAIT


def last_steps_ms(geometry: Geometry, depth_um: int) -> float:
    """Return how long the last three steps of the fastest plan take: the words behind the last edges."""
    plan = Plan(depth_um, limits.max_rate(depth_um, geometry), geometry)
    while not plan.advance(1_000):
        pass
    words: tuple[int, ...] = struct.unpack(f"<{len(plan.table) // 4}I", plan.table)
    return sum(word >> 1 for word in words[-5:-2]) * 1000 / TICK_HZ


def test_a_withdrawal_waits_longer_than_the_last_three_steps_of_any_plan() -> None:
    """A hundred times as long as the reference pen needs, and longer than the slowest pen that can be provisioned."""
    tail_ms = constant("pendevice/player.py", "_TAIL_MS")
    slow = Geometry(400, 1, 8_000, 1_000, 100, 100, 0, 2_600, 0)
    made = provision.Provision("slowest", limits.Bounds(slow))
    made.backoff_um = 50
    provision.check(made)
    assert slow.um_ceil(1) == constant("pencore/provision.py", "_STEP_MAX_UM")
    assert tail_ms == 65 > last_steps_ms(slow, limits.DEPTH_MIN_UM) > 59
    for depth_um in (limits.DEPTH_MIN_UM, 500, limits.DEPTH_CEILING_UM):
        assert 0.1 < last_steps_ms(Geometry(), depth_um) < tail_ms / 100


class Settling(device.Driver):
    """Never has its settings."""

    def ready(self) -> bool:
        return False


def test_homing_waits_half_a_second_for_settings() -> None:
    now = [7]
    engine = StrokeEngine(device.Feed(), device.Guards(), Settling(), lambda _: 16, lambda: now[0])
    engine.home(1_000, 100, 8, 25_000)
    for after_ms, over in ((0, False), (499, False), (500, True)):
        now[0] = 7 + after_ms
        assert (engine.homing() is not None) == over, after_ms
    assert engine.poll() & signals.DRIVER_FAULT


@pytest.mark.parametrize(("words", "taken"), [(2, False), (3, True), (4_001, True), (4_096, True), (4_097, False)])
def test_a_table_has_three_words_to_four_thousand_and_ninety_six(words: int, taken: bool) -> None:
    """The longest that can be planned has 4,001: out and back of 2,000 steps, and its end."""
    engine = StrokeEngine(device.Feed(), device.Guards(), device.Driver(), lambda _: 16, lambda: 0)
    table = b"\x01\x02\x03\x04" * (words - 1) + bytes(4)
    if taken:
        engine.load(table)
    else:
        with pytest.raises(Misuse):
            engine.load(table)


@pytest.mark.parametrize(("lead_um", "step_um"), [(4_000, 20), (4_001, 21)])
def test_a_microstep_is_no_coarser_than_a_fifth_of_the_shallowest_depth(lead_um: int, step_um: int) -> None:
    coarse = Geometry(full_steps=200, microsteps=1, lead_um=lead_um, home_margin_steps=1)
    assert coarse.um_ceil(1) == step_um
    made = provision.Provision("pen", limits.Bounds(coarse))
    if 5 * step_um <= limits.DEPTH_MIN_UM:
        provision.check(made)
        return
    with pytest.raises(Refusal) as told:
        provision.check(made)
    assert (told.value.field, told.value.given, told.value.limit) == ("geometry.step_um", 21, 20)


# --- flash and CPU ---------------------------------------------------------------------------------------------------
def test_the_watchdog_outlasts_three_of_the_worst_appends() -> None:
    """On a flash that takes its worst times, an append with its witness that meets every erase it can."""
    device_ = FlashDevice(FlashImage(aged(200)), WORST_TIMING)
    store = SimStore(device_)
    try:
        book = Ledger(store)
        book.replay()
        worst_us = 0
        for _ in range(150):
            before_us = device_.busy_us
            book.append([Entry(ledger.CLOCK, aux=1)])
            worst_us = max(worst_us, device_.busy_us - before_us)
    finally:
        store.close()
    assert worst_us > 400_000
    assert 3 * worst_us <= 1000 * watchdog.TIMEOUT_MS == 4_000_000


def test_a_new_witness_has_both_of_its_folder_s_blocks_in_use() -> None:
    """A folder of littlefs begins in one block of a pair; from then on either block alone holds what it says."""
    image = FlashImage()
    SimStore(FlashDevice(image)).close()
    device_ = FlashDevice(image)
    written: list[int] = []

    def note(operation: Operation) -> None:
        if operation.kind == "program":
            written.append(operation.block)

    store = SimStore(device_)
    marks: list[int] = []
    try:
        device_.before = note
        append = store.append
        for name, data in _appends_of_a_new_pen():
            written.clear()
            append(name, data)
            if name == ledger.WITNESS:
                marks.append(written[-1])
    finally:
        store.close()
    assert len(marks) == 20
    assert len(set(marks)) >= 2


def _appends_of_a_new_pen() -> list[tuple[str, bytes]]:
    class Noting:
        def __init__(self) -> None:
            self.appends: list[tuple[str, bytes]] = []

        def append(self, name: str, data: bytes) -> None:
            self.appends.append((name, data))

    noting: Any = Noting()
    ledger.create(noting)
    found: list[tuple[str, bytes]] = noting.appends
    return found


def test_switches_are_looked_at_as_often_as_a_press_must_last() -> None:
    """A press that lasts is seen twice at rest as well; while something goes on every turn looks."""
    assert constant("pendevice/app.py", "_LOOK_MS") == 10 <= constant("pencore/consent.py", "_SETTLE_MS")
    assert 10 * constant("pendevice/app.py", "_LOOK_MS") <= consent.RELEASE_MS


# --- memories, queues ------------------------------------------------------------------------------------------------
def test_memories_have_the_room_that_is_promised() -> None:
    """As many as the guides say, and together far less than the flash has for files."""
    assert (course.COURSES_MAX, course.CARTRIDGES_MAX) == (256, 4_096)
    course_bytes = 2 * course.COURSES_MAX * 2 * constant("pencore/course.py", "_COURSE_SIZE")
    cartridge_bytes = course.CARTRIDGES_MAX * 2 * constant("pencore/course.py", "_CARTRIDGE_SIZE")
    assert course_bytes + cartridge_bytes < 256 * 1024


def test_a_provisioning_has_room_for_thirty_two_caps() -> None:
    for caps, refused in ((32, False), (33, True)):
        made = samples.provisioned(caps_um=[500] * caps)
        if not refused:
            provision.check(made)
            continue
        with pytest.raises(Refusal) as told:
            provision.check(made)
        assert (told.value.field, told.value.given, told.value.limit) == ("zone_caps_um", 33, 32)


def test_what_waits_for_a_host_is_four_lines_of_which_one_is_kept_for_an_answer() -> None:
    desk = Desk()
    desk.link.room_left = 0
    told = {"state": wire.SAFE, "code": 0, "session_id": 0}
    line = len(wire.encode_notification("state", told))
    for _ in range(100):
        desk.talk.notify("state", told)
    waiting = len(desk.talk._out)
    assert 3 * 1_024 - line < waiting <= 3 * 1_024
    desk.say(*[ping(number) for number in range(1, 101)])
    assert waiting < len(desk.talk._out)
    assert 4 * 1_024 - 100 < len(desk.talk._out) <= 4 * 1_024


def test_no_more_is_read_ahead_than_sixty_four_bytes() -> None:
    """In pieces as the port gives them: two behind the one in hand; a third waits in the port."""
    pen = booted()
    given = iter(range(100))
    pen.link.read = lambda: b"%032d" % next(given)  # type: ignore[method-assign]  # the port's own pieces are larger
    for _ in range(10):
        pen.runner._look_ahead()
    assert len(pen.runner.talk._ahead) == 64


def test_a_turn_is_fed_half_a_line_at_most() -> None:
    assert lines.FEED_MAX == 512 == lines.LINE_MAX // 2
    wire.LineReader().feed(bytes(512))
    with pytest.raises(ValueError, match="513 bytes"):
        wire.LineReader().feed(bytes(513))


def test_the_port_s_own_queue_holds_two_of_the_longest_lines() -> None:
    port = Port()
    port.room = 0
    link = link_over(port)
    assert link.room() == 2_048 == 2 * lines.LINE_MAX
    assert link.write(bytes(3_000)) == 2_048
    assert link.room() == 0


def test_a_bus_is_asleep_after_three_milliseconds_without_a_frame() -> None:
    port = Port()
    link = link_over(port)
    link.flush()
    port.cable = False
    for after_ms, room in ((1, True), (2, True), (3, False), (4, False)):
        port.now_ms = after_ms
        link.flush()
        assert (link.room() > 0) == room, after_ms


# --- driver ----------------------------------------------------------------------------------------------------------
def amperes(setting: int, sense_ohm: float = 0.11) -> float:
    """Return the driver's current, A rms: data sheet, chapter 9, with 0.02 Ohm of its own."""
    return (setting + 1) / 32 * 0.325 / (sense_ohm + 0.02) / sqrt(2)


def test_the_currents_are_those_of_the_motor() -> None:
    """0.6 A while moving; half of it to hold against the spring, which is a quarter of the heat."""
    run, hold = (constant("pendevice/app.py", name) for name in ("_RUN_CURRENT", "_HOLD_CURRENT"))
    assert amperes(run) == pytest.approx(0.6, abs=0.02)
    assert amperes(run + 1) > 0.65
    assert amperes(hold) == pytest.approx(amperes(run) / 2, abs=0.03)


class SilentLine:
    """A wire on which nobody answers; notes when it was spoken on."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.spoken_ms: list[int] = []

    def any(self) -> int:
        return 0

    def readinto(self, buf: bytearray) -> int | None:
        return None

    def write(self, data: bytearray | memoryview) -> int | None:
        self.spoken_ms.append(self.now_ms)
        return len(data)


def test_a_driver_is_given_five_milliseconds_and_three_tries() -> None:
    """Each try waits 5 ms for an answer and 3 ms for a still wire; after the third there is none."""
    line = SilentLine()
    driver = Tmc2209(line, 10, 5)
    for now_ms in range(100):
        line.now_ms = now_ms
        before = driver.presence
        driver.turn(now_ms)
        if before == UNKNOWN and driver.presence == ABSENT:
            assert now_ms == line.spoken_ms[-1] + 6
    assert driver.presence == ABSENT
    assert len(line.spoken_ms) == 3
    assert [later - at for at, later in zip(line.spoken_ms, line.spoken_ms[1:], strict=False)] == [6 + 3, 6 + 3]


class NoisyLine(SilentLine):
    """A wire that is never still: a byte each millisecond."""

    def __init__(self) -> None:
        super().__init__()
        self._read_ms = -1

    def any(self) -> int:
        return int(self._read_ms < self.now_ms)

    def readinto(self, buf: bytearray) -> int | None:
        self._read_ms = self.now_ms
        buf[0] = 0x55
        return 1


def test_a_wire_that_is_never_still_has_failed_a_try_every_thirty_milliseconds() -> None:
    """It is spoken on once; two further tries are counted without, and then nobody is there."""
    line = NoisyLine()
    driver = Tmc2209(line, 10, 5)
    for now_ms in range(200):
        line.now_ms = now_ms
        driver.turn(now_ms)
        if driver.presence == ABSENT:
            break
    assert driver.presence == ABSENT
    assert len(line.spoken_ms) == 1
    assert 60 <= line.now_ms < 60 + 20


def test_a_driver_is_asked_some_twenty_times_a_second() -> None:
    """40 ms after each answer; what happens to it is known within some 50."""
    assert WATCH_MS == 40
    bench = Bench(DriverChip())
    bench.settle()
    before = len(bench.port.asked)
    bench.turns(1_000)
    assert 20 <= len(bench.port.asked) - before <= 25
