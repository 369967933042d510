"""The power goes in each operation on the flash of a short session, and the real boot finds a whole pen again.

One run is looked at from outside: what lay in the flash before each operation, and what the needle had done. What a cut
leaves of each is worked out from that, as for the virtual pen; a few are cut in place, and must leave the same.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from pencore import wire
from pensim.chip.copies import in_copy
from pensim.chip.image import Image
from pensim.flash import FlashImage, Operation, Snapshot, Torn
from pensim.world import default_provision
from pinprick.board.build import Build
from tests.chip.bench import ChipBench, flash_of
from tests.chip.witness import Witness, counted
from tests.support import profiles
from tests.support.bench import NoAnswer
from tests.support.cuts import go_on, tear

pytestmark = pytest.mark.chip

FEW_STROKES: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, profiles.NONE, 100, 3, 30),)
PHASES = ("arm", "strokes", "finish", "acknowledge")
EVERY_WAY = ("strokes",)
"""Where each way is tried that a cut can leave an operation in: reserving strokes and confirming them. Everywhere would
be 118 boots of two seconds.
"""
CUT_TWICE = 3
GO_ON_EVERY = 4
"""Of so many cuts after one is the session gone on with, to its end."""


@dataclass(frozen=True)
class Moment:
    """An operation on the flash; before it: what the flash held, what the needle had done; what the host knew."""

    operation: Operation
    phase: str
    flash: Snapshot
    strokes: Mapping[str, int]
    sealed_data: Mapping[int, bytes]


@dataclass(frozen=True)
class Run:
    """A session and all that was done to the flash in it; `flash` is what is left, `data` the profile."""

    moments: tuple[Moment, ...]
    flash: Snapshot
    data: bytes
    budgets: Mapping[str, tuple[int, int]]

    def torn(self, index: int, torn: Torn) -> Snapshot:
        """Return what the flash holds when the power goes in the middle of an operation."""
        moment = self.moments[index]
        after = self.moments[index + 1].flash if index + 1 < len(self.moments) else self.flash
        return tear(moment.flash, after, moment.operation, torn)


def play(pen: ChipBench, phases: list[str]) -> bytes:
    """Play a session of a few strokes with the pen, and keep `phases` up to what is going on; return the profile."""
    data = pen.load_new(FEW_STROKES)
    phases.append("arm")
    pen.arm(0)
    phases.append("strokes")
    pen.play_zone()
    pen.keep_inside()
    phases.append("finish")
    pen.finish_session()
    pen.pull()
    phases.append("acknowledge")
    pen.acknowledge()
    return data


@pytest.fixture(scope="module")
def unpowered(chip_image: Image, firmware: Build) -> ChipBench:
    """Return a pen that never had power. Not to be used but in copies."""
    return ChipBench(chip_image, flash_of(firmware, default_provision()))


@pytest.fixture(scope="module")
def run(safe_pen: ChipBench) -> Run:
    """Return the session, played in a copy."""

    def act() -> Run:
        pen = safe_pen
        moments: list[Moment] = []
        phases: list[str] = []
        minded = pen.flash.before

        def before(operation: Operation) -> None:
            if minded is not None:
                minded(operation)
            strokes = dict(pen.needle_strokes())
            moments.append(Moment(operation, phases[-1], pen.image.snapshot(), strokes, dict(pen.sealed_data)))

        pen.flash.before = before
        data = play(pen, phases)
        pen.check(exact=True)
        return Run(tuple(moments), pen.image.snapshot(), data, dict(pen.budgets))

    return in_copy(act)


def wakes_up(pen: ChipBench, run: Run, moment: Moment, flash: Snapshot) -> Witness:
    """Put `flash` into a pen without power, with a host that knows what it knew then, and switch it on."""
    blocks = FlashImage(flash)
    for block, data in enumerate(flash):
        if data != pen.image.read(block, 0, len(data)):
            pen.image.put(block, 0, blocks.read(block, 0, len(data)))
    pen.earlier = dict(moment.strokes)
    pen.budgets.update(run.budgets)
    pen.remember(run.data)
    pen.sealed_data.update(moment.sealed_data)
    witness = Witness(pen)
    pen.power_on()
    return witness


def is_whole_again(pen: ChipBench, run: Run, moment: Moment, flash: Snapshot, *, goes_on: bool) -> None:
    """Boot from what a cut left, look whether everything is counted; go on as a practitioner does, or only read on."""
    witness = wakes_up(pen, run, moment, flash)
    witness.keeps_off_until_it_speaks()
    made = sum(moment.strokes.values())
    if pen.greeting["open_session"]:
        assert made <= counted(pen.image)
    elif made:
        # Sealed: its record tells.
        assert pen.greeting["session_id"] == 2
        if not goes_on:
            pen.sealed.clear()
            pen.pull()
            assert made == pen.sealed[1].counted()
    assert pen.greeting["state"] != wire.FAULT
    if goes_on:
        go_on(pen, run.data, finish=True, another=False)
        assert made <= pen.sealed[1].counted() <= 3
    pen.check()


def without_power(pen: ChipBench) -> None:
    """Cut the power again in one of the next operations, which a boot or the recovery makes; see that it went."""
    try:
        pen.greet()
        if pen.greeting["open_session"]:
            pen.load(pen.loaded_data)
            pen.insist("finish")
            pen.wait_for(wire.SAFE)
    except (NoAnswer, AssertionError):
        assert not pen.powered


def is_whole_after_another(pen: ChipBench, run: Run, moment: Moment, flash: Snapshot, number: int, torn: Torn) -> None:
    """As `is_whole_again`, with a second cut in the recovery from the first."""
    wakes_up(pen, run, moment, flash)
    pen.cut_at_operation(number, torn, seed=number)
    without_power(pen)
    if pen.powered:
        pen.power_cut()
    pen.run_ms(10)
    pen.keep_inside()
    is_whole_again(pen, run, moment, pen.image.snapshot(), goes_on=True)


@dataclass(frozen=True)
class Cut:
    """A cut in the operation `index` of a run, what it leaves of it, and whether the session is gone on with then."""

    index: int
    torn: Torn
    goes_on: bool


def cuts(run: Run) -> list[Cut]:
    """Return for each operation one way in which a cut leaves it, the ways by turns in an order that a seed draws; for
    those of the block of strokes every way that leaves something else than the cuts in it before.
    """
    ways = list(Torn)
    random.Random(11).shuffle(ways)
    chosen: list[Cut] = []
    seen: list[tuple[Snapshot, Mapping[str, int]]] = []
    for index, moment in enumerate(run.moments):
        way = ways[index % len(ways)]
        for torn in (way, *Torn) if moment.phase in EVERY_WAY else (way,):
            left = run.torn(index, torn), moment.strokes
            if moment.phase not in EVERY_WAY or left not in seen:
                seen.append(left)
                chosen.append(Cut(index, torn, torn is way and index % GO_ON_EVERY == 0))
    return chosen


def test_the_session_changes_the_flash_in_every_phase(run: Run) -> None:
    # What is loaded stays in memory until it is armed.
    assert {moment.phase for moment in run.moments} == set(PHASES)
    assert len(run.moments) > 25
    tried = cuts(run)
    assert {cut.index for cut in tried} == set(range(len(run.moments)))
    block = {index for index, moment in enumerate(run.moments) if moment.phase in EVERY_WAY}
    assert len({(cut.index, cut.torn) for cut in tried if cut.index in block}) > 2.5 * len(block)
    assert len(tried) == sum(len(cuts_of(run, phase, torn)) for phase, torn in GROUPS)


GROUPS: list[tuple[str, Torn | None]] = [
    *((phase, None) for phase in PHASES if phase not in EVERY_WAY),
    *((phase, torn) for phase in EVERY_WAY for torn in Torn),
]
"""The cuts in shares for several workers: those of a phase, or of a phase in one way."""


def cuts_of(run: Run, phase: str, torn: Torn | None) -> list[Cut]:
    """Return a share of the cuts."""
    return [cut for cut in cuts(run) if run.moments[cut.index].phase == phase and torn in (None, cut.torn)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("phase", "torn"), GROUPS)
def test_a_cut_in_any_operation_leaves_a_pen_that_counts_every_stroke(
    unpowered: ChipBench, run: Run, phase: str, torn: Torn | None
) -> None:
    for cut in cuts_of(run, phase, torn):
        flash = run.torn(cut.index, cut.torn)
        in_copy(partial(is_whole_again, unpowered, run, run.moments[cut.index], flash, goes_on=cut.goes_on))


def test_a_second_cut_in_the_recovery_changes_nothing(unpowered: ChipBench, run: Run) -> None:
    draw = random.Random(3)
    indexes = [index for index, moment in enumerate(run.moments) if sum(moment.strokes.values())]
    for number in range(CUT_TWICE):
        index = draw.choice(indexes)
        moment, flash = run.moments[index], run.torn(index, draw.choice(list(Torn)))
        again = draw.choice(list(Torn))
        in_copy(partial(is_whole_after_another, unpowered, run, moment, flash, number * 3, again))


def test_a_cut_in_place_leaves_what_was_worked_out(safe_pen: ChipBench, run: Run) -> None:
    def act(number: int, torn: Torn) -> Snapshot:
        pen = safe_pen
        pen.may_coast = True
        pen.flash.cut_at(run.moments[number].operation.number, torn, run.moments[number].operation.number)
        try:
            play(pen, [])
        except NoAnswer:
            assert not pen.powered
            assert not pen.plant.energised
            return pen.image.snapshot()
        raise AssertionError("the power didn't go")

    for number, torn in ((len(run.moments) // 2, Torn.HALF), (len(run.moments) - 3, Torn.BITS)):
        assert in_copy(partial(act, number, torn)) == run.torn(number, torn)
