"""Plays the shards of a campaign over worker processes, and keeps account of what was played. Host only.

A worker that dies or never ends takes its shard with it, which is a violation, and another one takes its place. What
such a shard did is not known, so none of its cases counts.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from tests.campaigns.frame import SHARD_CASE, Campaign, Done, Plan, Size, Violation, out_of_time, told

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext

HUNG_S = 900.0
"""After so long without an end a shard is taken to hang; a shard is some 20 s of work, and computers may be busy."""
PLAN_CASE = "plan"
"""The case that stands for an account that doesn't come out."""
_POLL_S = 0.5


@dataclass
class Run:
    """What was done of a campaign. `begun`, `ended`: shards; `late`: some shard came to its end after the deadline."""

    plan: Plan
    done: Done = field(default_factory=Done)
    begun: int = 0
    ended: int = 0
    lost: int = 0
    """Shards that told nothing: their worker died, or they raised."""
    late: bool = False
    interrupted: bool = False
    wall_s: float = 0.0

    def take(self, outcome: Done | Violation) -> None:
        """Take in what came of a shard."""
        self.ended += 1
        if isinstance(outcome, Violation):
            self.lost += 1
            self.done.violations.append(outcome)
        else:
            self.done.add(outcome)

    @property
    def complete(self) -> bool:
        """Whether all that was planned was run: all cases, or, where nobody knew how many, all shards to their end."""
        if self.ended < len(self.plan.shards) or self.lost:
            return False
        return not self.late if self.plan.total is None else self.done.cases + self.done.void == self.plan.total


@dataclass(frozen=True)
class Job:
    """What a worker has to know of the shards that it is going to get."""

    campaign: Campaign
    size: Size
    seed: int
    deadline: float | None


def play(job: Job, shard: str) -> Done | Violation:
    """Play a shard here; return what was done, or the violation that it is when it raises."""
    try:
        return job.campaign.play(shard, job.size, job.seed, job.deadline)
    except Exception as error:  # noqa: BLE001  # a campaign that breaks down is told like whatever else breaks
        return Violation(f"{SHARD_CASE}{shard}", *told(error))


def planned_run(job: Job, jobs: int, notice: Callable[[Run], None], hung_s: float = HUNG_S) -> Run:
    """Plan and run what there is to do; see `run`. That it can't even be planned is a violation."""
    try:
        plan = job.campaign.planned(job.size, job.seed)
    except Exception as error:  # noqa: BLE001  # see `play`
        failed = Run(Plan(None, ()), lost=1)
        failed.done.violations.append(Violation(PLAN_CASE, *told(error)))
        return failed
    return run(job, plan, jobs, notice, hung_s)


def run(job: Job, plan: Plan, jobs: int, notice: Callable[[Run], None], hung_s: float = HUNG_S) -> Run:
    """Play the shards of a plan over `jobs` processes, or in this one if `jobs` is 0, until all are done or the job's
    deadline has come; `notice` is told each time that something has ended.
    """
    begun_at = time.monotonic()
    result = Run(plan)
    players = _here(job, plan.shards, result) if not jobs else _over(job, plan.shards, jobs, result, hung_s)
    try:
        for outcome in players:
            result.wall_s = time.monotonic() - begun_at
            result.take(outcome)
            result.late |= out_of_time(job.deadline)
            notice(result)
    except KeyboardInterrupt:
        result.interrupted = True
    finally:
        players.close()
    result.wall_s = time.monotonic() - begun_at
    _settle(result)
    return result


def _settle(result: Run) -> None:
    """Make a violation of it when everything ran, in time, and was not what was planned: some cases got lost."""
    all_ended = result.ended == len(result.plan.shards) and not result.late and not result.lost
    if all_ended and not result.complete:
        done, plan = result.done, result.plan
        what = f"{done.cases} {plan.unit} and {done.void} void ones were played where {plan.total} were planned"
        result.done.violations.append(Violation(PLAN_CASE, what))


def _to_play(shards: Sequence[str], deadline: float | None, result: Run) -> Iterator[str]:
    """Yield the shards that there is time to begin."""
    for number in range(len(shards)):
        if out_of_time(deadline):
            return
        result.begun += 1
        yield shards[number]


def _here(job: Job, shards: Sequence[str], result: Run) -> Generator[Done | Violation]:
    for shard in _to_play(shards, job.deadline, result):
        yield play(job, shard)


def _over(job: Job, shards: Sequence[str], jobs: int, result: Run, hung_s: float) -> Generator[Done | Violation]:
    waiting = _to_play(shards, job.deadline, result)
    workers: list[_Worker] = []
    try:
        while True:
            while len(workers) < jobs and (shard := next(waiting, None)) is not None:
                workers.append(_Worker(job, shard))
            if not workers:
                return
            ready = wait([worker.pipe for worker in workers], timeout=_POLL_S)
            for worker in list(workers):
                if worker.pipe in ready:
                    yield worker.outcome()
                elif worker.busy_s() > hung_s:
                    yield worker.given_up(f"no end after {hung_s:g} s")
                else:
                    continue
                if worker.gone or not worker.take(waiting):
                    workers.remove(worker)
                    worker.end()
    finally:
        for worker in workers:
            worker.end()


def _context() -> "ForkContext | SpawnContext":
    """Return how workers are started: as copies of this process where that can be, so that what a campaign recorded for
    its plan is there already.
    """
    if "fork" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


class _Worker:
    """A process that plays one shard after the other."""

    def __init__(self, job: Job, shard: str) -> None:
        context = _context()
        self.pipe, theirs = context.Pipe()
        self.gone = False
        self._process = context.Process(target=_work, args=(job, theirs, self.pipe), daemon=True)
        self._process.start()
        theirs.close()
        self._begin(shard)

    def take(self, shards: Iterator[str]) -> bool:
        """Give it the next shard; return False when there is none."""
        shard = next(shards, None)
        if shard is not None:
            self._begin(shard)
        return shard is not None

    def _begin(self, shard: str) -> None:
        self._shard = shard
        self._since = time.monotonic()
        # One that died at rest can't take it; reading from it will tell.
        with suppress(OSError):
            self.pipe.send(shard)

    def busy_s(self) -> float:
        """Return for how long it has been playing its shard."""
        return time.monotonic() - self._since

    def outcome(self) -> Done | Violation:
        """Return what came of its shard."""
        try:
            outcome: Done | Violation = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return self.given_up(f"the worker was lost, exit code {self._process.exitcode}")
        return outcome

    def given_up(self, why: str) -> Violation:
        """Give up a worker that won't tell any more; return its shard as a violation."""
        self.gone = True
        return Violation(f"{SHARD_CASE}{self._shard}", why)

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self.pipe.close()


def _work(job: Job, pipe: Connection, other_end: Connection) -> None:
    """Play the shards that come through the pipe until it is closed: what a worker process does."""
    # This copy of the other end would keep the pipe open when the process that holds it has died.
    other_end.close()
    # An interrupt goes to all processes of a terminal; the one that started the workers ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(play(job, pipe.recv()))
