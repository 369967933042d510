"""What is said of campaigns that were run: as the result that is written, and in lines for people. Host only.

Nothing is computed here that was not run, but for one figure that says so: how long all of it takes at the rate that
was measured.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from typing import Any

from pencore import version
from pinprick.board.build import build
from pinprick.firmware import firmware_files
from tests.campaigns.frame import Campaign, Size, Violation
from tests.campaigns.pool import Run

KEPT = 200
"""Most violations of a campaign that are written down; all are counted."""
PRINTED = 20
COMMAND = ".venv/bin/python -m tests.campaigns"


def replay_line(name: str, case: str, size: Size, seed: int) -> str:
    """Return the command that plays a case again."""
    return f"{COMMAND} --size {size} --seed {seed} --replay {name} {case}"


def part(campaign: Campaign, run: Run, size: Size, seed: int) -> dict[str, Any]:
    """Return what came of a campaign."""
    found = run.done.violations
    planned = run.plan.total
    rate = run.done.cases / run.wall_s if run.wall_s > 0 else 0.0
    shards = run.plan.shards
    result: dict[str, Any] = {
        "about": campaign.ABOUT,
        "unit": run.plan.unit,
        "planned": planned,
        "cases": run.done.cases,
        "void": run.done.void,
        "complete": run.complete,
        "seeds": {
            "seed": seed,
            "shards": len(shards),
            "played": run.ended - run.lost,
            "lost": run.lost,
            "first": shards[0] if run.begun else None,
            "last": shards[run.begun - 1] if run.begun else None,
        },
        "counts": dict(sorted(run.done.counts.items())),
        "violations": len(found),
        "broken": [_written(campaign.NAME, violation, size, seed) for violation in found[:KEPT]],
        "wall_s": round(run.wall_s, 2),
        "rate_per_s": round(rate, 2),
    }
    share = _share(run)
    if not run.complete and share > 0:
        result["whole_takes_h"] = round(run.wall_s / share / 3600, 4)
    return result


def _share(run: Run) -> float:
    """Return how much of all there is to do was done: by cases, or by shards where nobody knows how many cases."""
    if run.plan.total is not None:
        return (run.done.cases + run.done.void) / max(run.plan.total, 1)
    return run.ended / max(len(run.plan.shards), 1)


def _written(name: str, violation: Violation, size: Size, seed: int) -> dict[str, Any]:
    return {
        "case": violation.case,
        "what": violation.what,
        "replay": replay_line(name, violation.case, size, seed),
        "trace": list(violation.trace),
    }


def whole(
    size: Size, seed: int, jobs: int, minutes: float | None, wall_s: float, parts: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return what is written of all campaigns that were run."""
    return {
        "size": str(size),
        "seed": seed,
        "jobs": jobs,
        "minutes": minutes,
        "firmware": {"version": version.FIRMWARE, "build": build(firmware_files()).identity},
        "machine": {
            "system": platform.system(),
            "cores": os.cpu_count(),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
        },
        "campaigns": dict(parts),
        "violations": sum(part["violations"] for part in parts.values()),
        "complete": all(part["complete"] for part in parts.values()),
        "ok": not any(part["violations"] for part in parts.values()),
        "wall_s": round(wall_s, 2),
    }


def said(name: str, part: Mapping[str, Any]) -> str:
    """Return a line on a campaign for people."""
    planned, cases, unit = part["planned"], part["cases"], part["unit"]
    done = f"{cases:,} {unit}"
    if not part["complete"]:
        done += f" of {planned:,}, not all" if planned is not None else ", not all"
    elif not part["seeds"]["shards"]:
        done = "nothing in this size"
    line = (
        f"{name}: {done}; {part['violations']} violations; {part['wall_s']:.1f} s, {part['rate_per_s']:,.1f} a second"
    )
    if "whole_takes_h" in part:
        line += f"; all of it takes {part['whole_takes_h']:,.2f} h at that rate"
    return line


def violations_said(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines on what was broken, the first of them at length."""
    for broken in part["broken"][:PRINTED]:
        yield f"  BROKEN {broken['case']}: {broken['what']}"
        yield f"    {broken['replay']}"
        yield from (f"    | {line}" for line in broken["trace"])
    more = part["violations"] - PRINTED
    if more > 0:
        yield f"  and {more:,} more"
