"""Hours of treatment: pens in the hands of random people, with faults at any time. Host only.

A shard is some hours: lives of pens, one after the other, until so many hours are full. Treatment is the simulated
time in which a pen has power and a session loaded or open; how much of it strokes were made is told apart. A life is
drawn from the seed as a list of acts, and played whole.
"""

import random
from collections.abc import Sequence
from functools import partial

from tests.campaigns.frame import Done, Plan, Ranges, Size, Violation, alike, broken, out_of_time, range_of, shrunk
from tests.campaigns.hours_pen import Used, play, play_on, seconds, shorter
from tests.campaigns.hours_people import Act, Life, life

COUNTS = {Size.COMMIT: 50, Size.NIGHTLY: 2_000, Size.RELEASE: 20_000}
HOUR_S = 3600
SHARD_HOURS = 5
SHRINK_TRIES = 100
"""After so many tries what is left of a broken life is told as it is."""


def drawn(seed: int, shard: str, number: int) -> tuple[Life, int]:
    """Return a shard's life of that number, and the seed of its pen."""
    rng = random.Random(f"hours {seed} {shard} {number}")
    return life(rng), rng.getrandbits(32)


class Hours:
    """The campaign of hours."""

    NAME = "hours"
    ABOUT = "treatment by random people, with faults at any time: limits, counts, consent, records, and back to work"

    def planned(self, size: Size, seed: int) -> Plan:
        """Return so many hours, five a shard."""
        return Plan(COUNTS[size], Ranges(COUNTS[size], SHARD_HOURS), "hours of treatment")

    def play(self, shard: str, size: Size, seed: int, deadline: float | None) -> Done:
        """Play lives until the shard's hours are full; only whole hours count, and none after a violation."""
        done = Done()
        treated = stroking = number = 0
        hours = len(range_of(shard))
        while seconds(treated) < hours * HOUR_S and not done.violations and not out_of_time(deadline):
            whole, pen_seed = drawn(seed, shard, number)
            pen = Used(whole.past, pen_seed)
            violation = broken(f"{shard}.{number}", partial(play_on, pen, whole))
            number += 1
            treated += pen.treated
            stroking += pen.stroking
            for name, times in pen.figures.items():
                done.count(name, times)
            done.count("strokes", pen.strokes_made())
            if violation is not None:
                done.violations.append(self._shrunk(violation, whole, pen_seed))
        done.cases = min(hours, seconds(treated) // HOUR_S)
        done.count("lives", number)
        done.count("treatment_s", seconds(treated))
        done.count("stroking_s", seconds(stroking))
        return done

    def replay(self, case: str, seed: int) -> Violation | None:
        """Play one life again, and shrink what it breaks."""
        shard, _, number = case.partition(".")
        whole, pen_seed = drawn(seed, shard, int(number))
        violation = broken(case, lambda: play(whole, pen_seed))
        return None if violation is None else self._shrunk(violation, whole, pen_seed)

    def _shrunk(self, first: Violation, whole: Life, pen_seed: int) -> Violation:
        def fails(acts: Sequence[Act]) -> bool:
            return alike(broken(first.case, lambda: play(shorter(whole, tuple(acts)), pen_seed)), first)

        try:
            acts = shrunk(whole.acts, fails, SHRINK_TRIES)
        except ValueError:
            return first
        return Violation(first.case, first.what, (f"a pen with {whole.past}", *(str(act) for act in acts)))


HOURS = Hours()
