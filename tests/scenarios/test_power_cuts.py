"""The power goes at every operation of the flash, torn in every way, and once more while the pen recovers.

Whatever is left, the needle has made no more strokes than are counted, no sealed record is lost, and a practitioner
goes on: resumes, or finishes, and treats the next client.
"""

from functools import cache

import pytest

from pencore import faults, ledger, wire
from pencore.faults import Refusal
from pensim.flash import Torn
from tests.support import profiles
from tests.support.bench import Bench
from tests.support.cuts import ONE_STROKE, SHORT, Cut, Recorder, after, aged, go_on

SHARDS = 4
TWO_CUT_STRIDE = 97


@cache
def short_session() -> tuple[bytes, tuple[Cut, ...], int]:
    """Return the profile of a new pen's first session, the cuts from power-up to the acknowledged record, and how many
    operations those are."""
    pen = Recorder()
    data = pen.load_new(SHORT)
    pen.finish_session()
    pen.pull()
    pen.acknowledge()
    pen.run_ms(500)
    pen.check(exact=True)
    return data, tuple(pen.cuts()), pen.operations()


@cache
def busy_session() -> tuple[bytes, tuple[Cut, ...]]:
    """Return the same of a pen with a past: its journal is compacted in the session, a stop falls into a burst, the
    record before is acknowledged late."""
    pen = Recorder(flash=aged(366))
    pen.play_session(ONE_STROKE)
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
    return data, tuple(pen.cuts())


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_cut_at_every_flash_operation_of_a_short_session(shard: int) -> None:
    data, cuts, _ = short_session()
    for cut in cuts[shard::SHARDS]:
        for finish in (False, True):
            go_on(after(cut, data), data, finish=finish)


def test_every_operation_was_cut_in_every_way() -> None:
    """What the shards go through: of each operation all that its torn modes leave, equal flashes taken once."""
    _, cuts, operations = short_session()
    assert operations > 50
    assert [cut.number for cut in cuts if cut.torn is Torn.NONE] == list(range(operations))
    assert {cut.torn for cut in cuts} == set(Torn)
    assert max(sum(cut.strokes.values()) for cut in cuts) == 57


@pytest.mark.parametrize("number", range(0, 60, 9))
@pytest.mark.parametrize("torn", [Torn.BITS, Torn.ALL])
def test_a_cut_in_place_leaves_what_the_campaign_takes_it_to_leave(number: int, torn: Torn) -> None:
    data, cuts, _ = short_session()
    pen = Bench(greet=False)
    pen.cut_at_operation(number, torn, seed=number)

    def play() -> None:
        pen.power_on()
        pen.hello()
        pen.load_new(SHORT)
        pen.finish_session()
        pen.pull()
        pen.acknowledge()
        pen.run_ms(500)

    assert pen.without_power(play)
    left = pen.snapshot_flash()
    assert left in [cut.flash for cut in cuts if cut.number in (number, number + 1)]
    assert {name: strokes for name, strokes in pen.needle_strokes().items() if strokes} in [
        {name: strokes for name, strokes in cut.strokes.items() if strokes} for cut in cuts if cut.number == number
    ]
    pen.remember(data)
    pen.run_ms(300)
    pen.restart()
    go_on(pen, data, finish=False)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_cut_at_every_flash_operation_of_a_pen_with_a_past(shard: int) -> None:
    data, cuts = busy_session()
    for number, cut in enumerate(cuts[shard::SHARDS]):
        bench = after(cut, data, greet=False)
        bench.power_on()
        greeting = bench.hello()
        if greeting["state"] == wire.FAULT:
            # The stop was in the journal already: a cut is no clear.
            assert bench.status()["fault"] == faults.OPERATOR_STOP
            bench.recover_from_fault()
            bench.hello()
        if greeting["session_id"] == 1:
            continue  # of the session before, which the first campaign has cut
        go_on(bench, data, finish=number % 2 == 0)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_second_cut_at_every_operation_of_the_recovery(shard: int) -> None:
    """Exhaustive, for a session of one stroke: every cut, and every cut of what the next boot writes by itself."""
    pen = Recorder()
    data = pen.load_new(ONE_STROKE)
    pen.finish_session()
    pen.pull()
    pen.run_ms(500)
    pairs = 0
    for cut in list(pen.cuts())[shard::SHARDS]:
        recovering = after(cut, data, greet=False)
        recovering.power_on()
        recovering.run_ms(300)
        for again in recovering.cuts():
            pairs += 1
            go_on(after(again, data), data, finish=pairs % 2 == 0, another=False)
    assert pairs > 50


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_second_cut_while_the_practitioner_goes_on(shard: int) -> None:
    """A sample, spread evenly over all pairs: the second cut falls into resuming, sealing, acknowledging."""
    data, cuts, _ = short_session()
    pair = shard
    for cut in cuts[shard::SHARDS]:
        recovering = after(cut, data)
        go_on(recovering, data, finish=False, another=False)
        for again in recovering.cuts():
            pair += 1
            if pair % TWO_CUT_STRIDE == 0:
                go_on(after(again, data), data, finish=pair % 2 == 0)


@pytest.mark.parametrize("at_ms", range(1, 3300, 93))
def test_a_cut_at_any_time_even_in_a_stroke(at_ms: int) -> None:
    pen = Bench()
    pen.may_coast = True
    data = pen.load_new(SHORT)
    end = pen.clock.now + at_ms * 125_000 + at_ms * 977
    pen.clock.schedule(end, pen.unpower)
    assert pen.without_power(pen.finish_session) or pen.clock.now < end
    pen.clock.run_until(end)
    pen.release()
    pen.run_ms(100)
    assert pen.plant.depth_um() < 0, "the spring has drawn the needles in"
    pen.restart()
    go_on(pen, data, finish=at_ms % 2 == 0)


def test_what_was_reserved_and_not_told_is_forfeited() -> None:
    """The stated bound: a cut costs at most the block in hand, and the record says so."""
    pen = Bench()
    pen.may_coast = True
    data = pen.load_new(SHORT)
    pen.arm()
    pen.hold(150)
    pen.press()
    pen.hold(500)
    pen.unpower()
    made = pen.needle_strokes()["1.0"]
    pen.release()
    pen.run_ms(200)
    pen.restart()
    status = pen.status()
    assert (status["made"][0], status["forfeited"][0]) == (0, 50)
    assert 0 < made < 50
    go_on(pen, data, finish=True)
    assert [fault[0] for fault in pen.sealed[1].faults] == [faults.POWER_LOST]


def test_another_profile_is_refused_while_a_session_is_open() -> None:
    pen = Bench()
    pen.load_new(SHORT)
    pen.arm()
    pen.stroke_for(200)
    pen.unpower()
    pen.run_ms(200)
    pen.restart()
    pen.run_ms(100)
    other = profiles.data(pen.hello(), ONE_STROKE, cartridge_id="other")
    with pytest.raises(Refusal) as refused:
        pen.load(other)
    assert refused.value.code == faults.SESSION_OPEN
    pen.check()
