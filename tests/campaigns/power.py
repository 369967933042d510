"""The power goes: at every operation of the flash, torn in every way; once more while the pen recovers; at any time.

Commit: one cut at each operation of a short session and of one of a pen with a past, everything that it can leave, and
both ways to go on: the session is played to its end, or finished. Nightly: two cuts of the short session, each pair.
Release: sessions, pasts and cuts that are drawn (`power_drawn`). What must hold is `tests.support.cuts.go_on`: the
practitioner can go on, the needle made no more strokes than are counted, no sealed record is lost. Host only.
"""

import re
from collections.abc import Iterator

from tests.campaigns import power_drawn
from tests.campaigns.frame import SHRUNK, Done, Plan, Ranges, Size, Violation, broken, out_of_time, range_of
from tests.support.cuts import Cut, Recorded, Recorder, awake, busy_session, go_on, short_session

WAYS = ("resume", "finish")
DRAWN = 10_000_000
_EACH = 40
_DRAWN_EACH = 100
_RUNS = {"short": short_session, "past": busy_session}
_CASE = re.compile(r"(short|past|two):(\d+):([a-z]+):([a-z]+)(?::(\d+):([a-z]+):([a-z]+))?")


class Power:
    """See the module."""

    NAME = "power"
    ABOUT = "the power is cut at every flash operation, torn in every way, and the practitioner goes on"

    def planned(self, size: Size, seed: int) -> Plan:
        """Return what is to be done."""
        if size is Size.RELEASE:
            return Plan(DRAWN, Ranges(DRAWN, _DRAWN_EACH), "runs")
        if size is Size.NIGHTLY:
            # How many second cuts there are shows when the first has been recovered from.
            firsts = [f"two:{_name(cut, way)}" for cut in short_session().cuts for way in WAYS]
            return Plan(None, firsts, "pairs of cuts")
        shards = []
        total = 0
        for name in _RUNS:
            cases = len(_cases(name))
            shards += [f"{name}:{shard}" for shard in Ranges(cases, _EACH)]
            total += cases
        return Plan(total, shards, "cuts")

    def play(self, shard: str, size: Size, seed: int, deadline: float | None) -> Done:
        """Play a shard."""
        done = Done()
        if size is Size.RELEASE:
            for number in range_of(shard):
                if out_of_time(deadline):
                    break
                _play_drawn(done, seed, number)
        elif size is Size.NIGHTLY:
            _play_pairs(done, shard, deadline)
        else:
            name, _, numbers = shard.partition(":")
            for number in range_of(numbers):
                if out_of_time(deadline):
                    break
                cut, way = _cases(name)[number]
                done.count(f"{name} {cut.torn}")
                done.case(_one(name, cut, way))
        return done

    def replay(self, case: str, seed: int) -> Violation | None:
        """Play one case again."""
        if case.startswith("seed="):
            return power_drawn.shrunk_violation(*power_drawn.seeds_of(case))
        found = _CASE.fullmatch(case)
        if found is None:
            raise ValueError(f"{case!r} names no cut")
        name, number, torn, way, number2, torn2, way2 = found.groups()
        if (name == "two") != (number2 is not None):
            raise ValueError(f"{case!r} names two cuts, or one")
        cut = _cut_of(_RUNS["short" if name == "two" else name]().cuts, int(number), torn)
        if name != "two":
            return _one(name, cut, way)
        recovered = _recovered(short_session(), cut, way)
        again = _cut_of(list(recovered.cuts()), int(number2), torn2)
        return _again(cut, way, again, way2)


def _name(cut: Cut, way: str) -> str:
    return f"{cut.number}:{cut.torn}:{way}"


def _cases(name: str) -> list[tuple[Cut, str]]:
    """Return every cut of a run with each way to go on."""
    return [(cut, way) for cut in _RUNS[name]().cuts for way in WAYS]


def _cut_of(cuts: "tuple[Cut, ...] | list[Cut]", number: int, torn: str) -> Cut:
    for cut in cuts:
        if (cut.number, str(cut.torn)) == (number, torn):
            return cut
    raise ValueError(f"there is no cut of operation {number} left {torn}, or another leaves the same")


def _one(name: str, cut: Cut, way: str) -> Violation | None:
    """Cut once and go on; return what that breaks."""
    run = _RUNS[name]()
    data = run.profiles[max(run.profiles)]

    def play() -> None:
        bench = awake(run, cut)
        go_on(bench, bench.loaded_data or data, finish=way == "finish")

    return _told(broken(f"{name}:{_name(cut, way)}", play), _acts(cut, way))


def _acts(cut: Cut, way: str) -> str:
    then = "played to its end" if way == "resume" else "finished"
    return f"the power goes in flash operation {cut.number} and leaves {cut.torn} of it; then the session is {then}"


def _told(violation: Violation | None, *acts: str) -> Violation | None:
    """Return a violation with the acts that it takes, none of which can be left out, and where it broke."""
    if violation is None:
        return None
    return Violation(violation.case, violation.what, (*acts, *violation.trace[-6:]))


def _recovered(run: Recorded, cut: Cut, way: str) -> Recorder:
    """Return the pen that has recovered from a cut and gone on to the end of its session."""
    bench = awake(run, cut)
    go_on(bench, bench.loaded_data, finish=way == "finish", another=False)
    return bench


def _play_pairs(done: Done, shard: str, deadline: float | None) -> None:
    """Play every second cut after a first one."""
    _, number, torn, way = shard.split(":")
    run = short_session()
    cut = _cut_of(run.cuts, int(number), torn)
    recovered: list[Recorder] = []
    violation = broken(f"short:{number}:{torn}:{way}", lambda: recovered.append(_recovered(run, cut, way)))
    if violation is not None:
        done.violations.append(violation)
        return
    for again, way2 in _pairs(recovered[0]):
        if out_of_time(deadline):
            break
        done.count(f"second {again.torn}")
        done.case(_again(cut, way, again, way2))


def _pairs(recovered: Recorder) -> Iterator[tuple[Cut, str]]:
    for again in recovered.cuts():
        for way in WAYS:
            yield again, way


def _again(cut: Cut, way: str, again: Cut, way2: str) -> Violation | None:
    """Go on after the second cut of a pair; return what that breaks."""
    run = short_session()

    def play() -> None:
        bench = awake(run, again)
        go_on(bench, bench.loaded_data, finish=way2 == "finish", another=way2 == "finish")

    return _told(broken(f"two:{_name(cut, way)}:{_name(again, way2)}", play), _acts(cut, way), _acts(again, way2))


def _play_drawn(done: Done, seed: int, number: int) -> None:
    violation = power_drawn.violation(power_drawn.drawn(seed, number), done, power_drawn.case_of(seed, number))
    if violation is not None and len(done.violations) < SHRUNK:
        violation = power_drawn.shrunk_violation(seed, number) or violation
    done.case(violation)


POWER = Power()
