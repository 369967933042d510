"""Run campaigns, print what they found, and write it to build/campaign.json.

    python -m tests.campaigns [--size commit|nightly|release] [--only NAME ...] [--jobs N] [--minutes M] [--seed S]
                              [--json PATH]
    python -m tests.campaigns --replay NAME CASE [--seed S] [--size ...]

Exits 1 when something was broken. With `--minutes` the time is shared out evenly among the campaigns, and what there
was no time for is told as not run; no figure is ever of more than was run. The seed moves what is drawn, and nothing
that is exhaustive.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.campaigns import pool, report
from tests.campaigns.frame import SHARD_CASE, Campaign, Size, Violation
from tests.campaigns.registry import CAMPAIGNS

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "build" / "campaign.json"
SEED = 1
INTERRUPTED = 130
"""What a shell tells of a program that was interrupted, and what this one exits with then, its result written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit code."""
    asked = _parsed(arguments)
    if asked.replay is not None:
        return _replay(asked)
    chosen = [CAMPAIGNS[name] for name in CAMPAIGNS if name in (asked.only or CAMPAIGNS)]
    begun_at = time.monotonic()
    ends_at = None if asked.minutes is None else begun_at + 60 * asked.minutes
    results = {}
    interrupted = False
    for number, campaign in enumerate(chosen):
        now = time.monotonic()
        deadline = None if ends_at is None else now + max(ends_at - now, 0.0) / (len(chosen) - number)
        # After an interrupt the others have no time, and are told as not run.
        results[campaign.NAME], stopped = _run(campaign, asked, now if interrupted else deadline)
        interrupted |= stopped
    whole = report.whole(asked.size, asked.seed, asked.jobs, asked.minutes, time.monotonic() - begun_at, results)
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    if interrupted:
        return INTERRUPTED
    return 0 if whole["ok"] else 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description="Run campaigns.")
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.COMMIT)
    parser.add_argument("--only", nargs="+", choices=list(CAMPAIGNS), metavar="NAME", help=", ".join(CAMPAIGNS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; 0: none but this one")
    parser.add_argument("--minutes", type=float, help="end after so long")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", type=Path, default=RESULT, help="where to write the result")
    parser.add_argument("--replay", nargs=2, metavar=("NAME", "CASE"), help="play one case again")
    asked = parser.parse_args(arguments)
    if asked.jobs < 0 or (asked.minutes is not None and asked.minutes < 0):
        parser.error("processes and minutes are counted from 0")
    if asked.replay is not None and asked.replay[0] not in CAMPAIGNS:
        parser.error(f"no campaign is called {asked.replay[0]!r}; there are {', '.join(CAMPAIGNS)}")
    return asked


def _run(campaign: Campaign, asked: argparse.Namespace, deadline: float | None) -> tuple[dict[str, Any], bool]:
    """Run a campaign and print what came of it; return its part of the result, and whether it was interrupted."""
    begun_at = time.monotonic()
    _print(f"{campaign.NAME}: {campaign.ABOUT}")
    job = pool.Job(campaign, asked.size, asked.seed, deadline)
    run = pool.planned_run(job, asked.jobs, _progress(campaign.NAME))
    run.wall_s = time.monotonic() - begun_at
    part = report.part(campaign, run, asked.size, asked.seed)
    _print(report.said(campaign.NAME, part))
    for line in report.violations_said(part):
        _print(line)
    return part, run.interrupted


def _progress(name: str) -> Callable[[pool.Run], None]:
    """Return what shows how far a campaign has come, on a terminal."""
    shown = sys.stderr.isatty()

    def show(run: pool.Run) -> None:
        if shown:
            of = f" of {len(run.plan.shards):,} shards"
            found = f", {len(run.done.violations)} VIOLATIONS" if run.done.violations else ""
            line = f"  {name}: {run.ended:,}{of}, {run.done.cases:,} {run.plan.unit}, {run.wall_s:.0f} s{found}"
            end = "\n" if run.ended == len(run.plan.shards) else ""
            sys.stderr.write(f"\r\x1b[K{line}{end}")
            sys.stderr.flush()

    return show


def _replay(asked: argparse.Namespace) -> int:
    """Play one case, or one shard, again; return the exit code."""
    name, case = asked.replay
    campaign = CAMPAIGNS[name]
    found: list[Violation]
    if case.startswith(SHARD_CASE):
        outcome = pool.play(pool.Job(campaign, asked.size, asked.seed, None), case.removeprefix(SHARD_CASE))
        found = [outcome] if isinstance(outcome, Violation) else outcome.violations
    else:
        try:
            violation = campaign.replay(case, asked.seed)
        except ValueError as error:
            _print(f"{name} has no such case: {error}")
            return 2
        found = [] if violation is None else [violation]
    for violation in found:
        _print(f"{name} {violation.case}: {violation.what}")
        for line in violation.trace:
            _print(f"    {line}")
    if not found:
        _print(f"{name} {case}: nothing is broken")
    return 1 if found else 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
