"""A sealed record outlives every fault that leaves the flash readable; where the flash itself is damaged, it is told.

A pen that has one sealed record makes a second session. At some moment of it, the sealing above all, it suffers a
fault; everything is mended, the power goes and comes back. Then each record that was ever sealed can be read from the
pen, byte for byte; what the pen or the host's checks report instead is allowed for faults of the flash's own cells
alone, and silence never.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import pytest

from pencore import faults as codes
from pencore import record, wire
from pencore.digest import to_hex
from pencore.faults import Refusal
from pensim import faults
from pensim.bench import CannotBeDone
from pensim.flash import Snapshot
from tests.support.bench import Bench, NoAnswer
from tests.support.cuts import ONE_STROKE
from tests.support.profiles import LEFT, PERIORBITAL

ZONES = ((PERIORBITAL, LEFT, 100, 60, 30),)
OF_THE_CELLS = {
    "flash-bit-rot",
    "flash-stuck-bit",
    "flash-block-lost",
    "flash-rolled-back",
    "flash-ignores-writes",
}
"""Faults after which the flash holds something else than what was written."""
OF_THE_MEMORY = range(codes.LEDGER_MISSING, codes.POWER_LOST)
DRAWN = 16
"""Faults of each kind that are drawn, beside the typical ones."""
SEALED_MS = 700
"""About how long a sealing takes, and what follows it."""


class Sealing(Bench):
    """A pen of which every sealing is noted: session -> digest, as the firmware took it for sealed."""

    def __init__(self, **world: Any) -> None:
        self.digests: dict[int, bytes] = {}
        super().__init__(strict=False, **world)
        self.may_coast = True

    def _boot(self, cause: int) -> None:
        super()._boot(cause)
        if not self.powered:
            return
        runner = self.runner
        sealed = runner.sealed

        def note(digest: bytes) -> None:
            sealed(digest)
            self.digests[runner.ledger.last_session] = digest

        runner.sealed = note  # type: ignore[method-assign]  # nothing else tells the moment


@cache
def past() -> tuple[Snapshot, bytes]:
    """Return the flash of a pen with one record that nobody has acknowledged, and the record."""
    bench = Bench()
    bench.play_session(ONE_STROKE)
    bench.run_ms(500)
    return bench.snapshot_flash(), bench.sealed_data[1]


def steps(bench: Bench) -> list[Callable[[], object]]:
    """Return what makes a second session, act by act; each may fail once a fault is there."""
    return [
        lambda: bench.load_new(ZONES),
        lambda: bench.insist("arm", zone=None),
        lambda: bench.wait_for(wire.ARMED, wire.LOADED, wire.FAULT, limit_ms=1000),
        lambda: bench.allow_zone(0),
        lambda: let(bench, bench.release, 150),
        lambda: let(bench, bench.press, 500),
        lambda: let(bench, bench.release, 400),
        lambda: bench.insist("finish"),
        lambda: bench.run_ms(SEALED_MS),
        lambda: bench.hold(300),
    ]


def let(bench: Bench, act: Callable[[], None], ms: int) -> None:
    """Do something with the trigger and wait."""
    act()
    bench.hold(ms)


STEPS = 10
SEALING = 8
"""The step in which the session is sealed."""
SEALING_OPERATIONS = 20
"""How many operations of the flash that takes."""


def suffer(bench: Sealing, done: faults.Fault, step: int, later_ms: int) -> bool:
    """Make the session, with a fault `later_ms` after the beginning of `step`; return whether it could be done."""
    possible = True

    def do() -> None:
        nonlocal possible
        if faults.needs_power(done) and not bench.powered:
            possible = False
            return
        try:
            bench.damage.do(done)
        except CannotBeDone:
            possible = False

    for number, act in enumerate(steps(bench)):
        if number == step:
            if later_ms:
                bench.later("the fault", later_ms, do)
            else:
                do()
        # What a host says of a pen with a fault is for others to test.
        with suppress(Exception):
            act()
    bench.never("the fault")
    return possible


def mend(bench: Sealing) -> None:
    """Undo all that can be undone, let go, switch off and on until the pen answers."""
    for _ in range(4):
        for suffered in bench.damage.present():
            bench.damage.mend(suffered.NAME)
        bench.release()
        bench.stop_button(False)
        bench.run_ms(5000)
        if bench.powered:
            bench.unpower()
        bench.cartridge(True)
        bench.plug(True)
        bench.run_ms(200)
        with suppress(NoAnswer):
            bench.restart()
            bench.run_ms(300)
            bench.hello()


def readable(bench: Bench) -> dict[int, bytes]:
    """Return what a host gets of the pen's records."""
    return {session: bench.read_record(session) for session in bench.ask("record.list", after=0)["sessions"]}


def reported(bench: Bench, found: dict[int, bytes]) -> bool:
    """Return whether pen or host say that something is wrong with the pen's memory; the host has the first record."""
    greeting = bench.greeting
    if not greeting["serial"] or (greeting["state"] == wire.FAULT and bench.status()["fault"] in OF_THE_MEMORY):
        return True
    last = greeting["session_id"] - 1
    if last < 1 or set(range(1, last + 1)) - set(found):
        return True
    before = bytes(32)
    for session, data in sorted(found.items()):
        try:
            read = record.decode(data)
        except Refusal:
            return True
        if (read.session, read.previous) != (session, before) or (session == 1 and data != past()[1]):
            return True
        before = read.digest
    return str(greeting["ledger_head"]) != to_hex(before)


def judged(done: faults.Fault, step: int, later_ms: int) -> str:
    """Return how the records took it: "kept", "reported", or "-" when the fault can't be done there; fail otherwise."""
    bench = Sealing(flash=past()[0], seed=11)
    if not suffer(bench, done, step, later_ms):
        return "-"
    mend(bench)
    found = readable(bench)
    case = f"{done} in step {step} after {later_ms} ms"
    sealed = {1: past()[1][-32:], **bench.digests}
    kept = all(session in found and found[session][-32:] == digest for session, digest in sealed.items())
    if not kept or reported(bench, found):
        assert done.NAME in OF_THE_CELLS, f"lost: {case}: {sorted(found)} of {sorted(sealed)}, {bench.status()}"
        # A flash set back to before the second record is whole: only who has that record knows.
        unseen = done.NAME == "flash-rolled-back" and sorted(found) == [1]
        assert unseen or reported(bench, found), f"silently lost or different: {case}"
        return "reported"
    for session, data in found.items():
        read = record.decode(data)
        assert (read.session, read.digest) == (session, data[-32:]), case
    if done.NAME not in OF_THE_CELLS:
        goes_on(bench, found, case)
    return "kept"


def goes_on(bench: Sealing, found: dict[int, bytes], case: str) -> None:
    """Fail unless the fault can be cleared and the records acknowledged then."""
    if bench.status()["state"] == wire.FAULT:
        bench.insist("clear")
    bench.run_ms(500)
    assert bench.hello()["state"] in (wire.SAFE, wire.LOADED), f"{case}: {bench.status()}"
    for session, data in sorted(found.items()):
        bench.insist("record.ack", session=session, sha256=to_hex(data[-32:]))
    assert bench.ask("record.list", after=0)["acked"] == max(found), case


def moments(rng: random.Random) -> Iterator[tuple[int, int]]:
    """Yield (step, ms after its beginning) without end; every other one lies in the sealing."""
    while True:
        yield SEALING, rng.choice((0, rng.randrange(SEALED_MS)))
        yield rng.randrange(STEPS), rng.choice((0, rng.randrange(300)))


@pytest.mark.parametrize("kind", faults.ALL, ids=lambda kind: kind.NAME)
def test_a_record_outlives_a_fault(kind: type[faults.Fault]) -> None:
    rng = random.Random(kind.NAME)
    tried = [*faults.typical(kind), *(faults.drawn(rng, kind) for _ in range(DRAWN))]
    outcomes = [judged(done, *moment) for done, moment in zip(tried, moments(rng), strict=False)]
    assert set(outcomes) != {"-"}, "no such fault was done"


def test_without_a_fault_the_second_session_is_sealed_where_it_is_taken_to_be() -> None:
    bench = Sealing(flash=past()[0], seed=11)
    acts = steps(bench)
    assert len(acts) == STEPS
    for act in acts[:SEALING]:
        act()
    before = bench.flash.operations
    assert (bench.runner.state, bench.digests) == (wire.SEALING, {})
    acts[SEALING]()
    assert bench.flash.operations - before == SEALING_OPERATIONS
    assert list(bench.digests) == [2]
    assert readable(bench)[2][-32:] == bench.digests[2]


@pytest.mark.parametrize("operation", range(SEALING_OPERATIONS + 1))
def test_a_record_outlives_a_cut_in_each_operation_of_its_sealing(operation: int) -> None:
    for torn in ("none", "half", "bits", "garbage"):
        assert judged(faults.fault("flash-cut", after=operation, torn=torn, seed=operation), SEALING - 1, 0) == "kept"


def test_faults_of_the_cells_are_seen_here() -> None:
    """Else nothing above would say anything: of what spoils records, some is reported."""
    rng = random.Random(1)
    outcomes = {judged(faults.fault("flash-block-lost", block=block), *next(moments(rng))) for block in range(6)}
    assert "reported" in outcomes
