"""What was said to the pen once is said again: in the same boot, after a reset, in part, twice, by a host that forgot.

The trigger is pressed again by the script of the recording. The needle makes no stroke by it.
"""

from functools import cache
from typing import Any

import pytest

from pencore import wire
from pencore.faults import Refusal
from pensim.clock import TICKS_PER_MS
from tests.support import profiles
from tests.support.bench import Bench
from tests.support.cuts import go_on

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, 0, 100, 9, 30), (profiles.CHEEK, 1, 200, 6, 30))

Act = tuple[int, str, Any]


class Halted(Exception):
    """The conversation ends before this line."""


class Talker(Bench):
    """A host that has one session to talk through, and can be stopped before, or made to repeat itself at, any line."""

    def __init__(self, *, halt_at: int = -1, stutter_at: int = -1, twice: bool = False, **arguments: Any) -> None:
        self.sends = 0
        self.twice = twice
        self.halt_at = halt_at
        self.stutter_at = stutter_at
        super().__init__(greet=False, **arguments)

    def send(self, data: bytes) -> None:
        """Send a line, unless it is the one to halt at; say all again before the one to stutter at."""
        if self.sends == self.halt_at:
            raise Halted
        if self.sends == self.stutter_at:
            for _, what, value in list(self.history):
                if what == "send":
                    self.host.send(value)
        self.sends += 1
        super().send(data)
        if self.twice:
            self.host.send(data)

    def talk(self) -> None:
        """Hold the conversation: load, arm, strokes, pause, another zone and back, the rest, the record."""
        self.power_on()
        self.hello()
        self.load_new(ZONES)
        self.arm()
        self.stroke_for(100)
        self.press()
        self.hold(50)
        self.insist("pause")
        self.release()
        self.hold(100)
        self.select(1)
        self.stroke_for(80)
        self.select(0)
        self.stroke_for(40)
        self.ask("status")
        self.finish_session()
        self.pull()
        self.acknowledge()


@cache
def recording() -> tuple[Act, ...]:
    """Return the conversation: bytes and the trigger, with their times."""
    talker = Talker()
    talker.talk()
    talker.check(exact=True)
    return script(talker)


@cache
def length() -> int:
    """Return how many lines the conversation has."""
    return sum(what == "send" for _, what, _ in recording())


def script(bench: Bench) -> tuple[Act, ...]:
    """Return what bench's host and trigger did."""
    return tuple(act for act in bench.history if act[1] in ("send", "press", "release"))


def halted(lines: int) -> Talker:
    """Return a talker whose conversation ended after so many lines."""
    talker = Talker(halt_at=lines)
    with pytest.raises(Halted):
        talker.talk()
    talker.halt_at = -1
    talker.may_coast = True
    return talker


def replay(bench: Bench, acts: tuple[Act, ...]) -> None:
    """Carry out `acts` at their times, then press once more on what they left."""
    if not acts:
        return
    start = bench.clock.now
    first = acts[0][0]
    for at, what, value in acts:
        due_ms = (start + at - first - bench.clock.now) // TICKS_PER_MS
        if due_ms > 0:
            bench.run_ms(due_ms)
        if what == "send":
            bench.host.send(value)
        elif what == "press":
            bench.plant.press_trigger(True)
        else:
            bench.plant.press_trigger(False)
        bench.host.receive()
    for down in (False, True, False):
        bench.plant.press_trigger(down)
        bench.run_ms(200)
    bench.host.receive()


def prefix(acts: tuple[Act, ...], lines: int) -> tuple[Act, ...]:
    """Return the acts up to and with the line of that number, and the trigger's right after it."""
    seen = 0
    for number, act in enumerate(acts):
        if act[1] == "send":
            if seen == lines:
                return acts[:number]
            seen += 1
    return acts


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


@pytest.mark.parametrize("at", range(52))
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


@pytest.mark.parametrize("shard", range(4))
def test_every_prefix_after_a_reset_makes_no_stroke(shard: int) -> None:
    for lines in range(shard, length(), 4):
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
            go_on(talker, talker.loaded_data, finish=lines % 8 < 4, another=False)
        talker.check()


@pytest.mark.parametrize("lines", range(5, 51, 3))
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
    if talker.greeting["open_session"] or talker.greeting["session_id"] == 1:
        go_on(talker, talker.loaded_data or wanted(talker), finish=False, another=False)
    strokes = talker.needle_strokes()
    assert max(strokes["1.0"], 9) == 9
    assert max(strokes.get("1.1", 0), 6) == 6
    talker.pull()
    talker.check()
    ask_anew(talker)
    assert talker.needle_strokes() == strokes
    talker.check()


def wanted(talker: Talker) -> bytes:
    """Return the profile that the recorded conversation loads."""
    return profiles.data(talker.greeting, ZONES)


def ask_anew(talker: Talker) -> None:
    """Ask for everything in the recording with the present nonce and new ids, and press as it did."""
    talker.remember(wanted(talker) if not talker.loaded_data else talker.loaded_data)
    for _, what, value in recording():
        if what == "send":
            request = wire.decode_request(value)
            params = {name: given for name, given in request.params.items() if name != "nonce"}
            if request.method == "hello":
                continue
            try:
                answer = talker.ask(request.method, **params)
            except Refusal:
                continue
            if request.method == "ping" and answer["state"] in (wire.ARMED, wire.PAUSED):
                zone = talker.status()["zone"]
                if zone is not None:
                    talker.allow_zone(zone)
        elif what == "press":
            talker.press()
        else:
            talker.release()
        talker.run_ms(30)
