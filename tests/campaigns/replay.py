"""What was said to a pen is said to it again: every prefix of every recorded conversation.

Commit: the conversations of `tests.support.talks`, four ways: said again by the same bytes when the session is over, in
between, or after a reset; and asked for anew by a host that forgot, under the new nonce. Nightly: the conversation of
every scenario file, each prefix said again in the same boot and after a reset. The trigger is pressed again as it was,
and once more at the end. No stroke may come of it that wasn't allowed then and there. Host only.
"""

import gc
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from pencore import faults, wire
from pensim.clock import TICKS_PER_MS
from pensim.oracle import COAST_LIMIT
from pensim.scenario.model import Scenario
from pensim.scenario.run import Player
from pensim.scenario.targets import InProcess
from tests.campaigns import forked
from tests.campaigns.frame import Done, Plan, Size, Violation, broken, out_of_time, told
from tests.support.bench import BOOK
from tests.support.cuts import go_on
from tests.support.scenario_files import FILES, FOLDER, read
from tests.support.talks import TALKS, Act, Talker, ask_anew, halted, length, prefix, recording, replay, script

_EACH = 40
_DARK_MS = 200
_CASE = re.compile(r"(talk|file)/([a-z-]+):([a-z]+):(\d+)")
_PAUSE_MS = 1000
"""A longer silence of a scenario's host is shortened to this when its bytes are said again."""


class Replay:
    """See the module."""

    NAME = "replay"
    ABOUT = "every prefix of every recorded conversation is said again, with resets; no stroke may come of it"

    def planned(self, size: Size, seed: int) -> Plan:
        """Return what is to be done."""
        if size is Size.RELEASE:
            return Plan(0, ())
        if size is Size.NIGHTLY:
            # How long a scenario's conversation is shows when it is played.
            return Plan(None, [f"file/{path.stem}" for path in FILES], "prefixes")
        cases = _talk_cases()
        return Plan(len(cases), [f"talks:{first}" for first in range(0, len(cases), _EACH)], "prefixes")

    def play(self, shard: str, size: Size, seed: int, deadline: float | None) -> Done:
        """Play a shard."""
        done = Done()
        kind, _, name = shard.partition("/")
        if kind == "file":
            _Prefixes(name, done, deadline).play()
            return done
        first = int(shard.partition(":")[2])
        for case in _talk_cases()[first : first + _EACH]:
            if out_of_time(deadline):
                break
            done.count(case.split(":")[1])
            done.case(self.replay(case, seed))
        return done

    def replay(self, case: str, seed: int) -> Violation | None:
        """Play one case again."""
        found = _CASE.fullmatch(case)
        if found is None:
            raise ValueError(f"{case!r} names no prefix")
        where, name, way, number = found.groups()
        if where == "file":
            return _one_of_a_file(name, way, int(number))
        if name not in TALKS or way not in _WAYS or not 0 <= int(number) <= length(TALKS[name]):
            raise ValueError(f"there is no prefix {case}")
        violation = broken(case, lambda: _WAYS[way](TALKS[name], int(number)))
        return violation and Violation(
            case, violation.what, _told(prefix(recording(TALKS[name]), int(number)), violation)
        )


def _told(acts: tuple[Act, ...], violation: Violation) -> tuple[str, ...]:
    """Return the acts that were carried out again, and where it broke. None is left out: the prefix is the case."""
    said = [repr(value)[:100] if what == "send" else what for _, what, value in acts]
    return (*said, *violation.trace[-3:])


# --- recorded conversations -------------------------------------------------------------------------------------------
def _talk_cases() -> list[str]:
    return [
        f"talk/{name}:{way}:{number}"
        for name, kind in TALKS.items()
        for way in _WAYS
        for number in range(length(kind) + (way != "between"))
    ]


def _afterwards(kind: type[Talker], lines: int) -> None:
    """All is over, and the beginning of it is said again in the same boot."""
    talker = kind()
    talker.talk()
    strokes = talker.needle_strokes()
    replay(talker, prefix(script(talker), lines))
    assert talker.needle_strokes() == strokes, "a stroke came of what was said again"
    talker.check(exact=kind.WHOLE)


def _between(kind: type[Talker], lines: int) -> None:
    """All that was said so far is said again before the next line, and the session ends as it would have."""
    talker = kind(stutter_at=lines)
    talker.talk()
    talker.check(exact=kind.WHOLE)
    # Where the trigger is let go in time, what is said in between takes some of it.
    assert not kind.WHOLE or talker.needle_strokes() == _strokes(kind), "other strokes than without it"


@cache
def _strokes(kind: type[Talker]) -> Mapping[str, int]:
    talker = kind()
    talker.talk()
    return talker.needle_strokes()


def _after_a_reset(kind: type[Talker], lines: int) -> None:
    """The power goes, and what was said so far is said again to the pen that wakes up."""
    talker = halted(lines, kind)
    said = script(talker)
    _dark(talker)
    before = talker.needle_strokes()
    talker.keep_inside()
    talker.host.plug()
    talker.power_on()
    replay(talker, said)
    assert talker.needle_strokes() == before, "a stroke came of what was said again"
    talker.restart()
    _end(talker, finish=lines % 2 == 0)


def _by_one_who_forgot(kind: type[Talker], lines: int) -> None:
    """The power goes, and all of it is asked for anew: twice, and once more when the session is sealed."""
    talker = halted(lines, kind)
    _dark(talker)
    talker.restart()
    for _ in range(2):
        ask_anew(talker, kind)
        talker.keep_inside()
    talker.hello()
    _end(talker, finish=False)
    before = talker.needle_strokes()
    ask_anew(talker, kind)
    after = talker.needle_strokes()
    sealed = [name for name in before if int(name.partition(".")[0] or 0) in talker.sealed]
    assert {name: after[name] for name in sealed} == {name: before[name] for name in sealed}, "a sealed zone grew"
    talker.check()


_WAYS = {
    "afterwards": _afterwards,
    "between": _between,
    "reset": _after_a_reset,
    "forgot": _by_one_who_forgot,
}


def _dark(talker: Talker) -> None:
    talker.unpower()
    talker.release()
    talker.run_ms(_DARK_MS)


def _end(talker: Talker, *, finish: bool) -> None:
    """Go on to the end of the session that is open, if any, once a stop is cleared."""
    if talker.greeting["state"] == wire.FAULT:
        assert talker.status()["fault"] == faults.OPERATOR_STOP
        talker.recover_from_fault()
        talker.hello()
    if talker.loaded is not None:
        go_on(talker, talker.loaded_data, finish=finish, another=False)
    talker.check()


# --- scenario files ---------------------------------------------------------------------------------------------------
_TRIGGER = ("press", "release")
_GOING = (wire.HOMING, wire.ARMED, wire.RUNNING, wire.PAUSED)
"""States in which a press of the trigger may be a consent, or lead to a state in which it is."""


class _Heard(InProcess):
    """A target that keeps what the host says and the trigger does; `before_line` is told of each line to come."""

    def __init__(self, scenario: Scenario, before_line: Callable[[], None]) -> None:
        super().__init__(scenario, None, BOOK)
        self.acts: list[Act] = []
        self.lines = 0
        self._before_line = before_line

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._before_line()
        self.lines += 1
        self.acts.append((self.world.clock.now, "send", data))
        super().send(data)

    def do(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have hands do something now."""
        if command["do"] in _TRIGGER:
            self.acts.append((self.world.clock.now, str(command["do"]), None))
        return super().do(command)


class _Prefixes:
    """Plays a scenario and says again, at every line of its host's and at its end, all that was said before."""

    def __init__(self, name: str, done: Done, deadline: float | None = None, only: str = "") -> None:
        self._name = name
        self._done = done
        self._deadline = deadline
        self._only = only
        scenario = read(FOLDER / f"{name}.toml")
        self._target = _Heard(scenario, self._each_way)
        self._player = Player(scenario, self._target, scenario.pen.get("seed", 0))

    def play(self) -> None:
        """Do that; the scenario itself has its own tests."""
        gc.freeze()
        try:
            self._player.play()
            self._each_way()
        finally:
            self._target.close()
            gc.unfreeze()

    def _each_way(self) -> None:
        """Say it again, each way in a copy of this process."""
        for way, again in (("same", self._same), ("reset", self._reset)):
            case = f"file/{self._name}:{way}:{self._target.lines}"
            if out_of_time(self._deadline) or self._only not in ("", case):
                continue
            try:
                violation = forked.tried(partial(broken, case, again))
            except forked.Lost as lost:
                violation = Violation(case, *told(lost))
            if violation is not None:
                said = _told(tuple(self._target.acts), violation)
                violation = Violation(case, violation.what, said)
            self._done.count(way)
            self._done.case(violation)

    def _same(self) -> None:
        """Say it again in the same boot. While a session is going on a press may bring strokes: no deeper than its
        deepest zone, no more than all of its zones allow.

        Which zone that is nobody knows who has not asked since; the tests of zones ask.
        """
        world = self._target.world
        going = world.powered and world.runner.state in _GOING
        session = f"{self._player.session}."
        budgets = [budget for name, budget in self._player.budgets.items() if name.startswith(session)]
        if going:
            world.plant.label(f"{session}again")
            world.plant.set_limit_um(max((limit_um for _, limit_um in budgets), default=0))
        self._say_again(strokes=going, allow=())
        tallies = [one for name, one in world.plant.report().labels.items() if name.startswith(session)]
        # A stroke that was on its way counts as begun under one heading and as a crossing under the other.
        made = max(sum(tally.begun for tally in tallies), sum(tally.crossings for tally in tallies))
        allowed = sum(strokes for strokes, _ in budgets)
        assert made <= allowed, f"{made} strokes of a session of {allowed}"

    def _reset(self) -> None:
        """Say it again after a reset: nothing is armed."""
        world = self._target.world
        world.power_cut()
        world.host.unplug()
        world.release()
        world.run_ms(_DARK_MS)
        world.plant.label("again")
        world.plant.set_limit_um(0)
        world.host.plug()
        world.power_on()
        self._say_again(strokes=False, allow=(COAST_LIMIT,))

    def _say_again(self, *, strokes: bool, allow: Sequence[str]) -> None:
        world = self._target.world
        crashes = len(world.crashes)
        before = world.plant.report()
        replay(world, _shortened(self._target.acts))
        after = world.plant.report()
        assert not world.crashes[crashes:], f"the firmware crashed: {world.crashes[crashes:]}"
        allowed = {*allow, *self._player.scenario.allow}
        found = [str(one) for one in after.violations[len(before.violations) :] if one.kind not in allowed]
        assert not found, f"what must never happen: {found[:3]}"
        if not strokes:
            grown = max(after.total.begun - before.total.begun, after.total.crossings - before.total.crossings)
            assert not grown, f"{grown} strokes came of what was said again"


def _shortened(acts: Sequence[Act]) -> tuple[Act, ...]:
    """Return acts with no long silence between two of them."""
    kept: list[Act] = []
    cut_out = 0
    last = acts[0][0] if acts else 0
    for at, what, value in acts:
        cut_out += max(at - last - _PAUSE_MS * TICKS_PER_MS, 0)
        last = at
        kept.append((at - cut_out, what, value))
    return tuple(kept)


def _one_of_a_file(name: str, way: str, number: int) -> Violation | None:
    case = f"file/{name}:{way}:{number}"
    if not (FOLDER / f"{name}.toml").exists():
        raise ValueError(f"there is no scenario {name}")
    done = Done()
    _Prefixes(name, done, only=case).play()
    if not done.cases:
        raise ValueError(f"there is no prefix {case}")
    return done.violations[0] if done.violations else None


REPLAY = Replay()
