"""The flash forgets, wears out, fills up, is emptied: the pen survives it or says so, and never counts low.

"Survives" means: it goes on with the session that was open, or with the chain that was sealed, and what the needle did
is counted. Everything else is a fault that a clear alone does not end, or a pen that is not provisioned and never arms.
"""

from functools import cache
from typing import Any, NamedTuple

import pytest

from pencore import course, faults, ledger, provision, tasks, wire
from pencore.faults import Refusal
from pensim.flash import (
    BLOCK_SIZE,
    WORST_TIMING,
    FlashDevice,
    FlashImage,
    Operation,
    SimStore,
    Snapshot,
)
from tests.support import profiles
from tests.support.bench import Bench, NoAnswer
from tests.support.cuts import ONE_STROKE, SHORT, aged, go_on

ERASED = b"\xff" * BLOCK_SIZE
OF_THE_FLASH = range(faults.LEDGER_MISSING, faults.POWER_LOST)
SHARDS = 4


# --- pens with something to lose -------------------------------------------------------------------------------------
class Past(NamedTuple):
    """A flash, the profile of its open session, the needle's strokes, the budgets."""

    flash: Snapshot
    data: bytes
    strokes: dict[str, int]
    budgets: dict[str, tuple[int, int]]


@cache
def interrupted(entries: int) -> Past:
    """Return a pen that lost its power in a burst of its second session, with a journal of so many older entries."""
    pen = Bench(flash=aged(entries)) if entries else Bench()
    pen.may_coast = True
    pen.play_session(ONE_STROKE)
    data = pen.load_new(SHORT)
    pen.arm()
    pen.play_zone()
    pen.select(1)
    pen.hold(150)
    pen.press()
    pen.hold(110)
    pen.unpower()
    strokes = pen.needle_strokes()
    assert strokes["2.0"] == 53
    assert strokes["2.1"] > 1
    return Past(pen.snapshot_flash(), data, strokes, dict(pen.budgets))


def woken(past: Past, image: FlashImage) -> Bench:
    """Return a bench whose pen wakes up with `image`."""
    pen = Bench(flash=image.snapshot(), earlier=past.strokes, seed=3)
    pen.budgets.update(past.budgets)
    pen.remember(past.data)
    return pen


def survives_or_says_so(pen: Bench, past: Past) -> str:
    """Return how the pen took it; fail when it counts low, forgets in silence, or moves without knowing."""
    greeting = pen.hello()
    if not greeting["serial"] and greeting["state"] == wire.SAFE:
        pen.change_cartridge()
        with pytest.raises(Refusal) as refused:
            pen.load(past.data)
        assert refused.value.code == faults.NOT_PROVISIONED
        return "not provisioned"
    if greeting["state"] == wire.FAULT:
        code = pen.status()["fault"]
        assert code in OF_THE_FLASH, code
        pen.refusal("clear")
        pen.hold(100)
        assert pen.state() == wire.FAULT, "a clear reads it all anew, and finds the same"
        assert pen.refusal("arm", zone=None) == faults.STATE_FORBIDS
        assert not pen.plant.energised
        pen.check()
        return "fault"
    assert greeting["open_session"] == 2
    pen.run_ms(50)
    go_on(pen, past.data, finish=True, another=False)
    return "survived"


# --- bits, blocks, files ---------------------------------------------------------------------------------------------
def rotten_places(flash: Snapshot, stride: int, start: int) -> list[tuple[int, int]]:
    """Return (address, bit) of every `stride`-th byte that is in use, bits in turn."""
    found = []
    for block, content in enumerate(flash):
        for offset in range(start, len(content.rstrip(b"\xff")), stride):
            found.append((block * BLOCK_SIZE + offset, (offset * 5 + block) % 8))
    return found


@pytest.mark.parametrize(
    ("entries", "stride"), [(0, 19), (90, 37)], ids=["a journal in the metadata", "a journal in blocks of its own"]
)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_flipped_bit_anywhere_is_survived_or_told(entries: int, stride: int, shard: int) -> None:
    past = interrupted(entries)
    outcomes = set()
    for address, bit in rotten_places(past.flash, stride * SHARDS, stride * shard + shard):
        image = FlashImage(past.flash)
        image.flip(address, bit)
        outcomes.add(survives_or_says_so(woken(past, image), past))
    assert {"survived", "fault"} <= outcomes


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_bit_that_flips_in_a_session_is_survived_or_told(shard: int) -> None:
    """Under power, between two writes; looked at again after the next power-up."""
    places = rotten_places(interrupted(0).flash, 307, 41 * shard)
    for address, bit in places:
        pen = Bench()
        pen.may_coast = True
        data = pen.load_new(SHORT)
        pen.arm()
        pen.stroke_for(200)
        pen.image.flip(address, bit)
        try:
            pen.finish_session()
            pen.pull()
        except (AssertionError, Refusal):
            assert pen.indicator.shown[0] == wire.FAULT
            assert pen.indicator.shown[1] in OF_THE_FLASH
        pen.release()
        pen.run_ms(300)
        pen.check()
        pen.unpower()
        pen.run_ms(100)
        pen.restart()
        if pen.greeting["state"] == wire.FAULT:
            assert pen.status()["fault"] in OF_THE_FLASH
        elif pen.greeting["serial"]:
            pen.run_ms(100)
            pen.hello()
            go_on(pen, data, finish=True, another=False)


@pytest.mark.parametrize("entries", [0, 90])
@pytest.mark.parametrize("content", [ERASED, bytes(BLOCK_SIZE), bytes(range(256)) * 16], ids=["ones", "zeros", "other"])
def test_a_lost_block_is_survived_or_told(entries: int, content: bytes) -> None:
    past = interrupted(entries)
    for block, held in enumerate(past.flash):
        if held != ERASED:
            image = FlashImage(past.flash)
            image.put(block, 0, content)
            survives_or_says_so(woken(past, image), past)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (provision.FILE, faults.PROVISION_MISSING),
        (ledger.FILE, faults.LEDGER_MISSING),
        (ledger.WITNESS, faults.LEDGER_MISSING),
        (tasks.SESSION_FILE, faults.LEDGER_CORRUPT),
        (tasks.record_name(1), faults.RECORD_CORRUPT),
        (course.COURSE_FILE, faults.LEDGER_SHORT),
        (course.CARTRIDGE_FILE, faults.LEDGER_SHORT),
    ],
)
def test_a_file_that_is_gone_is_a_fault_and_stays_gone(name: str, code: int) -> None:
    past = interrupted(0)
    image = FlashImage(past.flash)
    store = SimStore(FlashDevice(image))
    store.remove(name)
    store.close()
    pen = woken(past, image)
    assert pen.status()["fault"] == code
    assert survives_or_says_so(pen, past) == "fault"
    assert pen.store.size(name) == -1, "nothing is made anew in silence"


def test_a_file_system_made_anew_leaves_a_pen_that_never_arms() -> None:
    """What the stock image does when it cannot mount its flash."""
    past = interrupted(0)
    image = FlashImage(past.flash)
    for block in (0, 1):
        image.put(block, 0, bytes(BLOCK_SIZE))
    pen = woken(past, image)
    assert pen.store.reformatted
    assert survives_or_says_so(pen, past) == "not provisioned"
    pen.check()


def test_a_journal_set_back_by_its_file_system_is_a_fault() -> None:
    """One flipped bit in littlefs' metadata takes a whole file back to an older, flawless state; the witness tells."""
    past = interrupted(0)
    back = 0
    for address, bit in rotten_places(past.flash[:2], 40, 0):
        image = FlashImage(past.flash)
        image.flip(address, bit)
        store = SimStore(FlashDevice(image))
        book = ledger.Ledger(store)
        older = store.size(ledger.FILE) < SimStore(FlashDevice(FlashImage(past.flash))).size(ledger.FILE)
        if older and store.size(ledger.FILE) > 0:
            back += 1
            with pytest.raises(faults.Fault) as fault:
                book.replay()
            assert fault.value.code == faults.LEDGER_SHORT
    assert back > 5, "no place was found where the file system goes back"


# --- writes that fail ------------------------------------------------------------------------------------------------
class Worn(Bench):
    """A pen whose flash fails from its operation `at` on: `ignored` operations do nothing, or all report an error."""

    def __init__(self, at: int, ignored: int) -> None:
        self._fail_at = at
        self._ignored = ignored
        self.failed = False
        super().__init__()
        self.may_coast = True

    def _flash_operation(self, operation: Operation) -> None:
        super()._flash_operation(operation)
        if operation.number == self._fail_at and not self.failed:
            self.failed = True
            if self._ignored:
                self.flash.ignore_writes(self._ignored)
            else:
                self.flash.fail_writes(True)

    def talk(self) -> None:
        """Play a session."""
        self.load_new(SHORT)
        self.finish_session()
        self.pull()
        self.acknowledge()


def operations() -> int:
    """Return how many operations of the flash that takes."""
    pen = Worn(-1, 0)
    pen.talk()
    return pen.flash.operations


def put_right(pen: Worn) -> None:
    """After a fault of the flash: mend it, let go, clear, go on; or switch off and on, if there was none."""
    pen.release()
    pen.run_ms(300)
    pen.keep_inside()
    pen.flash.fail_writes(False)
    pen.flash.ignore_writes(0)
    if pen.state() == wire.FAULT:
        pen.recover_from_fault()
    pen.unpower()
    pen.run_ms(100)
    pen.restart()
    pen.run_ms(100)
    pen.hello()
    go_on(pen, pen.loaded_data or profiles.data(pen.greeting, SHORT), finish=pen.flash.operations % 2 == 0)


@pytest.mark.parametrize("ignored", [1, 2, 6])
def test_writes_that_do_nothing_are_found_by_reading_back(ignored: int) -> None:
    for number in range(ignored % 2, operations(), 2):
        pen = Worn(number, ignored)
        try:
            pen.talk()
        except (AssertionError, Refusal, NoAnswer):
            assert pen.indicator.shown[0] == wire.FAULT
            assert pen.indicator.shown[1] in OF_THE_FLASH
            assert not pen.plant.energised
        assert pen.failed
        put_right(pen)


def test_writes_that_fail_are_a_fault_and_nothing_is_lost() -> None:
    for number in range(operations()):
        pen = Worn(number, 0)
        with pytest.raises((AssertionError, Refusal, NoAnswer)):
            pen.talk()
        assert pen.indicator.shown == (wire.FAULT, faults.STORE_FAILED)
        assert not pen.plant.energised
        put_right(pen)


class Forgetful(Bench):
    """A pen whose file system says of its `number`-th write that it is done, and has done nothing."""

    def __init__(self, number: int, method: str) -> None:
        self._left = number
        self._method = method
        self.forgot = False
        super().__init__(greet=False)
        self.may_coast = True

    def _boot(self, cause: int) -> None:
        super()._boot(cause)
        done = getattr(self.store, self._method)

        def forget(*arguments: Any) -> None:
            self._left -= 1
            if self._left == 0:
                self.forgot = True
            else:
                done(*arguments)

        setattr(self.store, self._method, forget)


@pytest.mark.parametrize("method", ["append", "rename"])
def test_a_file_system_that_forgets_a_write_is_found_by_reading_back(method: str) -> None:
    """Below it littlefs verifies what it programs; here it is littlefs itself that isn't believed."""
    for number in range(1, 60):
        pen = Forgetful(number, method)
        pen.power_on()
        pen.hello()
        data = pen.load_new(SHORT)
        try:
            pen.finish_session()
            pen.pull()
            pen.acknowledge()
        except (AssertionError, Refusal, NoAnswer):
            assert pen.indicator.shown[0] == wire.FAULT
            assert pen.indicator.shown[1] in OF_THE_FLASH
            assert not pen.plant.energised
        if not pen.forgot:
            assert number > 1
            return
        pen.release()
        pen.run_ms(300)
        pen.keep_inside()
        pen.unpower()
        pen.run_ms(100)
        pen.restart()
        assert pen.greeting["state"] != wire.FAULT
        pen.run_ms(100)
        pen.hello()
        go_on(pen, data, finish=number % 2 == 0)


@pytest.mark.parametrize("at", ["load", "arm", "burst", "release", "finish"])
def test_a_full_flash_is_a_fault_and_nothing_is_lost(at: str) -> None:
    pen = Bench()
    pen.may_coast = True
    data = pen.load_new(SHORT)
    if at != "load":
        pen.arm()
    if at in ("burst", "release", "finish"):
        pen.hold(150)
        pen.press()
        pen.hold(300)
    if at == "finish":
        pen.release()
        pen.hold(300)
    pen.store.refuse_space(True)
    if at == "load":
        pen.insist("arm", zone=None)
    elif at == "arm":
        pen.hold(150)
        pen.press()
    elif at == "release":
        pen.release()
    elif at == "finish":
        pen.ask("finish")
    pen.hold(2500)
    assert pen.indicator.shown == (wire.FAULT, faults.STORE_FULL)
    assert not pen.plant.energised
    pen.release()
    pen.run_ms(200)
    pen.store.refuse_space(False)
    pen.recover_from_fault()
    if pen.state() == wire.SAFE:
        pen.change_cartridge()
        pen.hello()
        pen.load(data)
    pen.finish_session()
    pen.pull()
    pen.check()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_stuck_bits_are_survived_or_told(shard: int) -> None:
    """Cells that keep a level, anywhere the file system is going to write."""
    for number in range(shard, 160, SHARDS):
        pen = Bench(greet=False)
        pen.may_coast = True
        block = number % 5 if number % 10 < 8 else 281 + number % 3
        pen.image.stick(block * BLOCK_SIZE + number * 677 % 3000, number % 8, number // 8 % 2)
        pen.power_on()
        pen.hello()
        if not pen.greeting["serial"] or pen.greeting["state"] == wire.FAULT:
            continue
        try:
            pen.play_session(SHORT)
        except (AssertionError, Refusal):
            assert pen.indicator.shown[0] == wire.FAULT
            assert pen.indicator.shown[1] in OF_THE_FLASH
        pen.release()
        pen.run_ms(300)
        pen.check()
        assert not pen.plant.energised


def test_the_slowest_flash_starves_no_watchdog() -> None:
    """Every erase and program takes its worst time: no reset, no lost lease, nothing written in motion."""
    pen = Bench(timing=WORST_TIMING, flash=aged(366))
    nonce = pen.greeting["nonce"]
    pen.play_session(SHORT)
    pen.acknowledge()
    assert pen.hello()["nonce"] == nonce, "the watchdog bit"
    pen.check(exact=True)
