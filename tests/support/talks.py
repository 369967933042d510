"""A recorded conversation, all of it said again or a part: what the host said and the trigger did, with their times.

`test_replay` and the campaign `replay` say it again in the same boot, after a reset, in part, twice, by a host that
forgot.
"""

from contextlib import suppress
from functools import cache
from typing import Any

from pencore import wire
from pencore.faults import Refusal
from pensim.clock import TICKS_PER_MS
from pensim.world import World
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, 0, 100, 9, 30), (profiles.CHEEK, 1, 200, 6, 30))

STOP = b"\x18"

Act = tuple[int, str, Any]


class Halted(Exception):
    """The conversation ends before this line."""


class Talker(Bench):
    """A host that has one session to talk through, and can be stopped before, or made to repeat itself at, any line.

    `WHOLE`: every session is played to its end, so that how many strokes are made doesn't hang on times.
    """

    WHOLE = True

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
                # A stop that is said again is another stop.
                if what == "send" and value != STOP:
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


class Stopper(Talker):
    """Has two sessions to talk through: one with a stop in a burst, that is finished early, and the next one."""

    WHOLE = False

    def talk(self) -> None:
        """Load, arm, strokes, stop, clear, arm again, finish, the record; and again from the load on."""
        self.may_coast = True
        self.power_on()
        self.hello()
        self.load_new(ZONES)
        self.arm()
        self.stroke_for(60)
        self.press()
        self.hold(70)
        self.send(STOP)
        self.run_ms(50)
        self.release()
        self.hold(50)
        self.recover_from_fault()
        self.hello()
        self.arm(1)
        self.stroke_for(80)
        self.insist("finish")
        self.wait_for(wire.SAFE)
        self.pull()
        self.acknowledge()
        self.load_new(ZONES[:1])
        self.finish_session()
        self.pull()
        self.ask("stop")
        self.run_ms(50)
        self.recover_from_fault()
        self.acknowledge()


TALKS: dict[str, type[Talker]] = {"session": Talker, "stopped": Stopper}
"""The recorded conversations."""


@cache
def recording(kind: type[Talker] = Talker) -> tuple[Act, ...]:
    """Return the conversation: bytes and the trigger, with their times."""
    talker = kind()
    talker.talk()
    talker.check(exact=kind.WHOLE)
    return script(talker)


@cache
def length(kind: type[Talker] = Talker) -> int:
    """Return how many lines the conversation has."""
    return sum(what == "send" for _, what, _ in recording(kind))


def script(bench: Bench) -> tuple[Act, ...]:
    """Return what bench's host and trigger did."""
    return tuple(act for act in bench.history if act[1] in ("send", "press", "release"))


def halted(lines: int, kind: type[Talker] = Talker) -> Talker:
    """Return a talker whose conversation ended after so many lines; ValueError when it hasn't got as many."""
    if not 0 <= lines <= length(kind):
        raise ValueError(f"the conversation has {length(kind)} lines, not {lines}")
    talker = kind(halt_at=lines)
    with suppress(Halted):
        talker.talk()
    talker.halt_at = -1
    talker.may_coast = True
    return talker


def replay(bench: World, acts: tuple[Act, ...]) -> None:
    """Carry out `acts` at their times, then press once more on what they left."""
    start = bench.clock.now
    first = acts[0][0] if acts else 0
    for at, what, value in acts:
        due_ms = (start + at - first - bench.clock.now) // TICKS_PER_MS
        if due_ms > 0:
            bench.run_ms(due_ms)
        if what == "send":
            bench.host.send(value)
        else:
            _pull_trigger(bench, what == "press")
        bench.host.receive()
    for down in (False, True, False):
        _pull_trigger(bench, down)
        bench.run_ms(200)
    bench.host.receive()


def _pull_trigger(bench: World, down: bool) -> None:
    """Press the trigger or let it go; a bench's record doesn't hear of it."""
    (World.press if down else World.release)(bench)


def prefix(acts: tuple[Act, ...], lines: int) -> tuple[Act, ...]:
    """Return the acts up to and with the line of that number, and the trigger's right after it."""
    seen = 0
    for number, act in enumerate(acts):
        if act[1] == "send":
            if seen == lines:
                return acts[:number]
            seen += 1
    return acts


def ask_anew(talker: Talker, kind: type[Talker] = Talker) -> None:
    """Ask for everything in the recording with the present nonce and new ids, and press as it did."""
    given = b""
    for _, what, value in recording(kind):
        if what != "send":
            (talker.press if what == "press" else talker.release)()
        elif value == STOP:
            talker.send(STOP)
        else:
            request = wire.decode_request(value)
            params = {name: given for name, given in request.params.items() if name != "nonce"}
            given = given + params["data"] if request.method == "load.chunk" else given
            if request.method == "load.begin":
                given = b""
            _ask(talker, request.method, params, given)
        talker.run_ms(30)


def _ask(talker: Talker, method: str, params: dict[str, Any], given: bytes) -> None:
    """Ask for something; know what comes of it: `given` is the profile that was sent."""
    if method == "hello":
        return
    try:
        answer = talker.ask(method, **params)
    except Refusal:
        return
    if method == "load.commit":
        talker.keep_inside()
        talker.remember(given)
    if method == "ping" and answer["state"] in (wire.ARMED, wire.PAUSED):
        zone = talker.status()["zone"]
        if zone is not None:
            talker.allow_zone(zone)
