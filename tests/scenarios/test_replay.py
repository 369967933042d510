"""What was said to the pen once is said again: in the same boot, after a reset, in part, twice, by a host that forgot.

The trigger is pressed again by the script of the recording. The needle makes no stroke by it.
"""

import pytest

from pencore import wire
from tests.support.cuts import go_on
from tests.support.talks import Talker, ask_anew, halted, length, prefix, recording, replay, script


def test_the_conversation_is_worth_replaying() -> None:
    methods = {wire.decode_request(value).method for _, what, value in recording() if what == "send"}
    assert {"load.commit", "arm", "pause", "zone.select", "record.ack"} <= methods
    assert length() > 50


def test_every_prefix_in_the_same_boot_after_the_session_makes_no_stroke() -> None:
    talker = Talker()
    talker.talk()
    strokes = talker.needle_strokes()
    flash = talker.snapshot_flash()
    acts = script(talker)
    for lines in range(1, length() + 1):
        replay(talker, prefix(acts, lines))
        assert talker.needle_strokes() == strokes
    assert talker.snapshot_flash() == flash
    talker.check(exact=True)


@pytest.mark.parametrize("at", range(0, 52, 7))
def test_everything_said_so_far_is_said_again_in_between(at: int) -> None:
    """The pen answers none of it a second time, and the session ends as it would have."""
    talker = Talker(stutter_at=at)
    talker.talk()
    talker.check(exact=True)
    assert sum(talker.needle_strokes().values()) == 15


def test_a_line_said_twice_is_carried_out_once_and_answered_twice_alike() -> None:
    """A retry never repeats an effect: it gets the stored answer."""
    talker = Talker(twice=True)
    talker.talk()
    talker.run_ms(50)
    talker.listen()
    repeated = [echo for echo in talker.echoes if echo.id is not None and echo.id <= talker.sends]
    assert len(repeated) > 50
    for echo in repeated:
        assert echo.id is not None
        first = talker.answers[echo.id]
        assert (echo.kind, echo.values, str(echo.refusal)) == (first.kind, first.values, str(first.refusal))
    talker.check(exact=True)
    assert sum(talker.needle_strokes().values()) == 15


@pytest.mark.parametrize("lines", range(0, 52, 5))
def test_every_prefix_after_a_reset_makes_no_stroke(lines: int) -> None:
    """Some of them; the campaign has them all."""
    talker = halted(lines)
    said = script(talker)
    talker.unpower()
    talker.release()
    talker.run_ms(200)
    before = talker.needle_strokes()
    talker.keep_inside()
    talker.host.plug()
    talker.power_on()
    replay(talker, said)
    assert talker.needle_strokes() == before
    talker.restart()
    if talker.loaded is not None:
        go_on(talker, talker.loaded_data, finish=lines % 2 == 0, another=False)
    talker.check()


@pytest.mark.parametrize("lines", range(5, 51, 9))
def test_a_host_that_forgot_and_asks_for_all_of_it_anew_gets_no_more_than_the_budget(lines: int) -> None:
    """Same requests, new nonce and ids: after a reset in mid-session, and again after the session is sealed."""
    talker = halted(lines)
    talker.unpower()
    talker.release()
    talker.run_ms(200)
    talker.restart()
    for _ in range(2):
        ask_anew(talker)
        talker.keep_inside()
    talker.hello()
    go_on(talker, talker.loaded_data, finish=False, another=False)
    strokes = talker.needle_strokes()
    assert max(strokes["1.0"], 9) == 9
    assert max(strokes.get("1.1", 0), 6) == 6
    ask_anew(talker)
    assert talker.needle_strokes() == strokes
    talker.check()
