"""Power cuts, every one of them: a run that keeps the flash before each of its operations, and what each cut leaves.

While the flash is changed the needle rests at home and nothing is credited, so what a cut leaves is the flash (torn in
every way), and the needle's strokes so far. From that any number of worlds can start, without playing the way there
again. `test_power_cuts` also cuts a few in place, and compares; the campaign `power` goes through all of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pencore import faults, ledger, wire
from pencore.ledger import CLOCK, Entry, Ledger
from pensim.flash import FlashDevice, FlashImage, Operation, SimStore, Snapshot, Torn
from tests.support import profiles
from tests.support.bench import Bench, Watch

SHORT: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 100, 53, 30),
    (profiles.NOSE, 0, 150, 4, 30),
)
"""A session of two zones, the first of two blocks."""
ONE_STROKE: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, profiles.NONE, 100, 1, 30),)


@dataclass(frozen=True)
class Cut:
    """What is left when the power goes in operation `number`: the flash, the needle's strokes by label; and what the
    host knows by then, records and budgets."""

    number: int
    torn: Torn
    flash: Snapshot
    strokes: Mapping[str, int]
    sealed_data: Mapping[int, bytes]
    budgets: Mapping[str, tuple[int, int]]

    def __str__(self) -> str:
        return f"{self.number}-{self.torn}"


class Recorder(Bench):
    """A bench that remembers the flash before each of its operations."""

    def __init__(self, **arguments: Any) -> None:
        self._moments: list[tuple[Operation, Cut]] = []
        super().__init__(**arguments)

    def _flash_operation(self, operation: Operation) -> None:
        super()._flash_operation(operation)
        self._moments.append((operation, self._cut(operation.number)))

    def cuts(self) -> Iterator[Cut]:
        """Yield every cut that leaves another flash than the one before it, in order; call it when the run is over."""
        # What an operation did is seen in the flash before the next.
        states = [cut.flash for _, cut in self._moments] + [self.image.snapshot()]
        for (operation, before), after in zip(self._moments, states[1:], strict=True):
            seen: list[Snapshot] = []
            for torn in Torn:
                flash = tear(before.flash, after, operation, torn)
                if flash not in seen:
                    seen.append(flash)
                    yield replace(before, torn=torn, flash=flash)

    def _cut(self, number: int) -> Cut:
        flash = self.image.snapshot()
        return Cut(number, Torn.NONE, flash, self.needle_strokes(), dict(self.sealed_data), dict(self.budgets))

    def operations(self) -> int:
        """Return how many operations were made since the beginning."""
        return len(self._moments)


def tear(before: Snapshot, after: Snapshot, operation: Operation, torn: Torn) -> Snapshot:
    """Return what `operation`, which led from `before` to `after`, leaves when the power goes in its middle."""
    image = FlashImage(before)
    device = FlashDevice(image)
    device.cut_at(0, torn, seed=operation.number)
    block, offset = operation.block, operation.offset
    if operation.kind == "erase":
        device.erase(None, block)
    else:
        # Programming what came of it clears the very bits that the real data cleared.
        device.prog(None, block, offset, after[block][offset : offset + operation.size])
    return image.snapshot()


def after(cut: Cut, data: bytes, *, greet: bool = True) -> Recorder:
    """Return the pen that wakes up after `cut`; `data` is the profile that the host had loaded."""
    bench = Recorder(flash=cut.flash, earlier=cut.strokes, seed=1, greet=False)
    bench.budgets.update(cut.budgets)
    bench.remember(data)
    bench.sealed_data.update(cut.sealed_data)
    if greet:
        bench.power_on()
        bench.hello()
    return bench


def go_on(bench: Watch, data: bytes, *, finish: bool, another: bool = True) -> None:
    """Do what a practitioner does after a power cut, and fail unless all of it works.

    The open session is resumed and played to its end, or finished; one that never began is loaded anew. Its record must
    be there, one that the host had must be the same, and then `another` session must be possible.
    """
    had = dict(bench.sealed_data)
    bench.sealed_data.clear()
    bench.sealed.clear()
    assert bench.greeting["state"] != wire.FAULT, bench.status()
    session = bench.loaded.session_id if bench.loaded is not None else 0
    if bench.greeting["open_session"]:
        assert bench.load(data)["resumed"] == 1
        if finish:
            bench.insist("finish")
            bench.wait_for(wire.SAFE)
        else:
            bench.finish_session()
    elif bench.greeting["session_id"] == session:
        bench.change_cartridge()
        bench.load(data)
        bench.finish_session()
    acked = bench.ask("record.list", after=0)["acked"]
    bench.pull()
    for number in range(1, session + 1):
        assert number in bench.sealed_data or number <= acked
        assert number not in had or bench.sealed_data.get(number, had[number]) == had[number]
    bench.acknowledge()
    bench.check()
    if another:
        bench.play_session(ONE_STROKE)
        assert session + 1 in bench.sealed
        bench.check()


@dataclass(frozen=True)
class Recorded:
    """A run with all its cuts. `profiles`: what the host loaded, by session; `operations`: of the flash in all."""

    profiles: Mapping[int, bytes]
    cuts: tuple[Cut, ...]
    operations: int


def awake(run: Recorded, cut: Cut) -> Recorder:
    """Return the pen that wakes up after `cut` of `run`, greeted, its host at the session that it is in.

    A stop that was in the journal is still in force, for a cut is no clear; it is cleared here.
    """
    last = max(run.profiles)
    bench = after(cut, run.profiles[last])
    if bench.greeting["state"] == wire.FAULT:
        assert bench.status()["fault"] == faults.OPERATOR_STOP
        bench.recover_from_fault()
        bench.hello()
    bench.remember(run.profiles[min(bench.greeting["session_id"], last)])
    return bench


@cache
def short_session(zones: tuple[profiles.ZoneSpec, ...] = SHORT) -> Recorded:
    """Return a new pen's first session, from power-up to the acknowledged record."""
    pen = Recorder()
    data = pen.load_new(zones)
    pen.finish_session()
    pen.pull()
    pen.acknowledge()
    pen.run_ms(500)
    pen.check(exact=True)
    return Recorded({1: data}, tuple(pen.cuts()), pen.operations())


@cache
def busy_session() -> Recorded:
    """Return the same of a pen with a past: its journal is compacted in the session, a stop falls into a burst, the
    record before is acknowledged late.
    """
    pen = Recorder(flash=aged(366))
    pen.play_session(ONE_STROKE)
    before = pen.loaded_data
    data = pen.load_new(SHORT)
    pen.arm()
    pen.stroke_for(300)
    pen.press()
    pen.hold(200)
    pen.send(b"\x18")
    pen.run_ms(50)
    pen.release()
    assert pen.state() == wire.FAULT
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.acknowledge()
    pen.run_ms(500)
    pen.check()
    assert pen.store.size(ledger.FILE) < 24_576 // 2, "the journal was to be compacted"
    return Recorded({1: before, 2: data}, tuple(pen.cuts()), pen.operations())


def aged(entries: int) -> Snapshot:
    """Return the flash of a pen whose journal holds `entries` more than a new one's; at 384 in all it is compacted."""
    world = Bench(greet=False)
    store = SimStore(FlashDevice(world.image))
    book = Ledger(store)
    book.replay()
    book.append([Entry(CLOCK)] * entries)
    store.close()
    return world.snapshot_flash()
