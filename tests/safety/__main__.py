"""Tell whether every row of docs/safety.md is proven by what ran, and make its tables anew.

    python -m tests.safety                   after `pytest --ran build/tests.json` and `python -m tests.campaigns`
    python -m tests.safety --write           write the tables of docs/safety.md anew, look at no run
    python -m tests.safety --check           see that they are up to date and stand on what there is, look at no run

Prints a short table, writes build/safety.json; exits 1 on an orphan.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pinprick.board.build import build
from pinprick.firmware import firmware_files
from tests.safety import page, ran
from tests.safety.check import CAMPAIGN, CHIP, Case, Orphan, Row, result_of
from tests.safety.ran import Campaigns, Run
from tests.safety.rows import CAP, CONSTANT, RANGE, BadRow, Code, Hazard, Limit, read

ROOT = Path(__file__).parents[2]
RESULT = Path("build/safety.json")
SHOWN = 40
"""Most orphans that are printed; all are written down."""
_KINDS: tuple[tuple[str, str], ...] = (
    ("hazards", ""),
    ("limits: constants", CONSTANT),
    ("limits: caps of zones", CAP),
    ("limits: of a provisioning", RANGE),
    ("codes", ""),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.safety", description="Check the safety case.")
    parser.add_argument("--write", action="store_true", help="write the tables of the page anew")
    parser.add_argument("--check", action="store_true", help="look at what is written, not at what ran")
    parser.add_argument("--tests", type=Path, default=ROOT / ran.TESTS, help="what pytest noted")
    parser.add_argument("--campaigns", type=Path, default=ROOT / ran.CAMPAIGNS, help="what the campaigns told")
    parser.add_argument("--json", type=Path, default=ROOT / RESULT, help="where to write the result")
    asked = parser.parse_args(arguments)
    try:
        case = Case(ROOT, read(ROOT), campaign_names(ROOT))
    except BadRow as bad:
        _print(f"docs/safety: {bad}")
        return 1
    if asked.write or asked.check:
        return _page(case, asked.write)
    campaigns = ran.read_campaigns(asked.campaigns, build(firmware_files()).identity)
    return _report(case, ran.read_run(asked.tests, ROOT), campaigns, asked.json)


def campaign_names(root: Path) -> frozenset[str]:
    """Return the names of the campaigns there are."""
    if not (root / "tests" / "campaigns" / "registry.py").is_file():
        return frozenset()
    from tests.campaigns.registry import CAMPAIGNS

    return frozenset(CAMPAIGNS)


def _page(case: Case, write: bool) -> int:
    """Write the page, or see that it is up to date; return the exit code."""
    orphans = list(case.standing())
    for orphan in orphans:
        _print(str(orphan))
    path = case.root / page.PATH
    made = page.made_anew(case)
    stale = path.read_text(encoding="utf-8") != made
    if stale and write:
        path.write_text(made, encoding="utf-8")
        _print(f"wrote {page.PATH}")
    elif stale:
        _print(f"{page.PATH} is not up to date: run `make docs` and commit the result")
    return 1 if orphans or (stale and not write) else 0


def _report(case: Case, run: Run, campaigns: Campaigns, result: Path) -> int:
    """Tell what is proven; return the exit code."""
    orphans = [*case.standing(), *case.unproven(run, campaigns)]
    told = _told(case, run, campaigns, orphans)
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for line in _table(case, told, {orphan.row for orphan in orphans}):
        _print(line)
    for orphan in orphans[:SHOWN]:
        _print(f"ORPHAN {orphan}")
    if len(orphans) > SHOWN:
        _print(f"and {len(orphans) - SHOWN} more; all of them are in {result.name}")
    return 1 if orphans else 0


def _told(case: Case, run: Run, campaigns: Campaigns, orphans: Sequence[Orphan]) -> dict[str, Any]:
    """Return the result for programs."""
    proofs = sorted({proof for row in case.all_rows() for proof in row.tests})
    results = {proof: result_of(proof, run, campaigns) for proof in proofs}
    return {
        "ok": not orphans,
        "orphans": [{"row": orphan.row, "what": orphan.what} for orphan in orphans],
        "proofs": {
            proof: {"outcome": result.outcome, "runs": result.runs, "told": result.told}
            for proof, result in results.items()
        },
        "rows": {row.name: list(row.tests) for row in case.all_rows()},
    }


def _table(case: Case, told: Mapping[str, Any], orphaned: set[str]) -> list[str]:
    lines = [f"{'safety case':28}{'rows':>6}{'proven':>8}"]
    for title, kind in _KINDS:
        rows = [row for row in case.all_rows() if _is_of(row, title, kind)]
        proven = sum(row.name not in orphaned for row in rows)
        lines.append(f"{title:28}{len(rows):6}{proven:8}")
    outcomes = [(proof, entry["outcome"], entry["told"]) for proof, entry in told["proofs"].items()]
    passed = sum(outcome == ran.PASSED for _, outcome, _ in outcomes)
    chip = [proof for proof, outcome, _ in outcomes if proof.startswith(f"{CHIP}/") and outcome == ran.NOT_RUN]
    campaigns = sum(proof.startswith(CAMPAIGN) for proof, _, _ in outcomes)
    lines.append(f"{len(outcomes)} proofs are named, {campaigns} of them campaigns; {passed} ran and passed.")
    if chip:
        lines.append(f"{len(chip)} were not run: they need an image (PINPRICK_UF2), and no row rests on them alone.")
    return lines


def _is_of(row: Row, title: str, kind: str) -> bool:
    if isinstance(row, Limit):
        return row.kind == kind
    return isinstance(row, Hazard if title == "hazards" else Code) and not kind


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
