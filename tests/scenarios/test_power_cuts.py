"""The power goes at every operation of the flash, torn in every way, and once more while the pen recovers.

Whatever is left, the needle has made no more strokes than are counted, no sealed record is lost, and a practitioner
goes on: resumes, or finishes, and treats the next client.
"""

import pytest

from pencore import faults
from pencore.faults import Refusal
from pensim.flash import Torn
from tests.support import profiles
from tests.support.bench import Bench
from tests.support.cuts import ONE_STROKE, SHORT, Cut, Recorded, after, awake, busy_session, go_on, short_session

SHARDS = 4
TWO_CUT_STRIDE = 97


def of_each_operation(run: Recorded) -> list[Cut]:
    """Return one cut of each operation: in turn nothing of it is done, half of it, some bits, all of it."""
    chosen: dict[int, Cut] = {}
    for cut in run.cuts:
        if cut.number not in chosen or cut.torn is list(Torn)[cut.number % len(Torn)]:
            chosen[cut.number] = cut
    return list(chosen.values())


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_cut_at_every_flash_operation_of_a_short_session(shard: int) -> None:
    """One cut of each; the campaign goes through all that each can leave, and both ways to go on."""
    run = short_session()
    for cut in of_each_operation(run)[shard::SHARDS]:
        go_on(awake(run, cut), run.profiles[1], finish=cut.number % 2 == 0)


def test_every_operation_was_cut_in_every_way() -> None:
    """What the campaign goes through: of each operation all that its torn modes leave, equal flashes taken once."""
    run = short_session()
    assert run.operations > 50
    assert [cut.number for cut in run.cuts if cut.torn is Torn.NONE] == list(range(run.operations))
    assert {cut.torn for cut in run.cuts} == set(Torn)
    assert max(sum(cut.strokes.values()) for cut in run.cuts) == 57
    chosen = of_each_operation(busy_session())
    assert [cut.number for cut in chosen] == list(range(busy_session().operations))
    assert {cut.torn for cut in chosen} == set(Torn)


@pytest.mark.parametrize("number", range(0, 60, 9))
@pytest.mark.parametrize("torn", [Torn.BITS, Torn.ALL])
def test_a_cut_in_place_leaves_what_the_campaign_takes_it_to_leave(number: int, torn: Torn) -> None:
    run = short_session()
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
    assert left in [cut.flash for cut in run.cuts if cut.number in (number, number + 1)]
    assert {name: strokes for name, strokes in pen.needle_strokes().items() if strokes} in [
        {name: strokes for name, strokes in cut.strokes.items() if strokes} for cut in run.cuts if cut.number == number
    ]
    pen.remember(run.profiles[1])
    pen.run_ms(300)
    pen.restart()
    go_on(pen, run.profiles[1], finish=False)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_cut_at_every_flash_operation_of_a_pen_with_a_past(shard: int) -> None:
    """As for the short session: one cut of each, of either of the two sessions."""
    run = busy_session()
    for cut in of_each_operation(run)[shard::SHARDS]:
        bench = awake(run, cut)
        go_on(bench, bench.loaded_data, finish=cut.number % 2 == 0, another=False)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_second_cut_at_every_operation_of_the_recovery(shard: int) -> None:
    """Exhaustive, for a session of one stroke: every cut, and every cut of what the next boot writes by itself."""
    run = short_session(ONE_STROKE)
    data = run.profiles[1]
    pairs = 0
    for cut in run.cuts[shard::SHARDS]:
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
    run = short_session()
    data = run.profiles[1]
    pair = shard
    for cut in run.cuts[shard::SHARDS]:
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
