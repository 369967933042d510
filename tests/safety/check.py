"""Finds every orphan: a row without proof, a limit or a code without a row, a place or a number that isn't so.

`standing` looks at what is written and needs no run; `unproven` looks at what ran. Host only.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.safety.firmware import Firmware
from tests.safety.ran import NOT_RUN, Campaigns, Result, Run
from tests.safety.rows import CAP, CONSTANT, RANGE, Code, Hazard, Limit, Rows
from tests.safety.suite import Named, Suite, named

CHIP = "chip"
CAMPAIGN = "campaign:"
_NOT_A_CODE = frozenset({"TYPE_CHECKING"})
_PAGE = re.compile(r"(docs/[\w/-]+\.md): (.+)")

Row = Hazard | Limit | Code


@dataclass(frozen=True)
class Orphan:
    """Something that stands alone: of which row, and what is wrong with it."""

    row: str
    what: str

    def __str__(self) -> str:
        return f"{self.row}: {self.what}"


class Case:
    """The safety case of a tree: its rows, its firmware and its tests."""

    def __init__(self, root: Path, rows: Rows, campaigns: frozenset[str]) -> None:
        self.root = root
        self.rows = rows
        self.firmware = Firmware(root)
        self.suite = Suite(root)
        self.campaigns = campaigns

    def all_rows(self) -> list[Row]:
        """Return all rows, in the page's order."""
        return [*self.rows.hazards, *self.rows.limits, *self.rows.codes]

    # --- what is written ---------------------------------------------------------------------------------------------
    def standing(self) -> Iterator[Orphan]:
        """Yield what is wrong with the rows as they are written, whatever has run."""
        for row in self.all_rows():
            yield from self._proofs_exist(row)
        for hazard in self.rows.hazards:
            yield from self._places_exist(hazard)
        yield from self._limits()
        yield from self._codes()

    def _proofs_exist(self, row: Row) -> Iterator[Orphan]:
        alone = True
        for proof in row.tests:
            if proof.startswith(CAMPAIGN):
                alone = False
                if proof.removeprefix(CAMPAIGN) not in self.campaigns:
                    yield Orphan(row.name, f"there is no {proof}")
                continue
            test = named(proof)
            if test is None or not self.suite.has(test):
                yield Orphan(row.name, f"there is no test {proof}")
                continue
            alone = alone and test.tier == CHIP
        if alone:
            yield Orphan(row.name, "rests on nothing that runs without an image")

    def _places_exist(self, hazard: Hazard) -> Iterator[Orphan]:
        for place in hazard.where:
            page = _PAGE.fullmatch(place)
            path, _, name = place.partition(": ")
            if page is not None:
                there = self.root / page[1]
                found = there.is_file() and page[2] in there.read_text(encoding="utf-8")
            else:
                module = self.firmware.module(path)
                found = module is not None and name in module.names
            if not found:
                yield Orphan(hazard.name, f"there is no {place}")

    def _limits(self) -> Iterator[Orphan]:
        there: dict[str, dict[str, int | str]] = {
            CONSTANT: {
                f"{path}: {name}": value
                for path, module in self.firmware.modules.items()
                for name, value in module.integers.items()
                if not (name in self.firmware.codes and path.endswith("/faults.py"))
            },
            CAP: dict(self.firmware.caps_um),
            RANGE: dict(self.firmware.ranges),
        }
        for kind, values in there.items():
            rows = {limit.where: limit for limit in self.rows.limits if limit.kind == kind}
            for where, limit in rows.items():
                if where not in values:
                    yield Orphan(limit.name, "the code has no such bound")
                elif values[where] != limit.value:
                    yield Orphan(limit.name, f"is {limit.value} here and {values[where]} in the code")
            if len(rows) < sum(limit.kind == kind for limit in self.rows.limits):
                yield Orphan(f"limits of kind {kind}", "one has two rows")
            accounted = set(rows) | self._no_bounds(set(values) - set(rows)) if kind == CONSTANT else set(rows)
            for where in sorted(set(values) - accounted):
                yield Orphan(f"limit {where}", f"{values[where]} has no row, and is not said to bound nothing")
        yield from self._idle_exceptions(set(there[CONSTANT]))
        for path, module in self.firmware.modules.items():
            for name in sorted(module.unread):
                yield Orphan(f"limit {path}: {name}", "is reckoned in a way that can't be read")

    def _no_bounds(self, without_row: set[str]) -> set[str]:
        """Return which of the integers without a row are said to bound nothing."""
        said = set()
        for entry in self.rows.no_bounds:
            if entry.names:
                said |= {f"{entry.module}: {name}" for name in entry.names}
            else:
                said |= {where for where in without_row if where.startswith(f"{entry.module}: ")}
        return said & without_row

    def _idle_exceptions(self, there: set[str]) -> Iterator[Orphan]:
        rows = {limit.where for limit in self.rows.limits}
        for entry in self.rows.no_bounds:
            for name in entry.names:
                where = f"{entry.module}: {name}"
                if where not in there:
                    yield Orphan(f"no bound {where}", "the code has no such integer")
                elif where in rows:
                    yield Orphan(f"no bound {where}", "it has a row as a limit")
            if not any(where.startswith(f"{entry.module}: ") for where in there):
                yield Orphan(f"no bound {entry.module}", "has no integers")

    def _codes(self) -> Iterator[Orphan]:
        codes = self.firmware.codes.keys() - _NOT_A_CODE
        rows = {row.code: row for row in self.rows.codes}
        for code in sorted(codes - rows.keys()):
            yield Orphan(f"code {code}", "has no row")
        for code in sorted(rows.keys() - codes):
            yield Orphan(f"code {code}", "the pen has no such code")
        for code in sorted(codes):
            if not self.firmware.givers[code]:
                yield Orphan(f"code {code}", "nothing gives it out")
        answers = {code for hazard in self.rows.hazards for code in hazard.codes}
        for code in sorted(codes - answers):
            yield Orphan(f"code {code}", "answers no hazard")
        for hazard in self.rows.hazards:
            for code in sorted(set(hazard.codes) - codes):
                yield Orphan(hazard.name, f"the pen has no code {code}")
        for row in rows.values():
            for test in filter(None, map(named, row.tests)):
                if self.suite.has(test) and row.code not in self.suite.said_by(test):
                    yield Orphan(row.name, f"{test} doesn't name it")

    # --- what ran ----------------------------------------------------------------------------------------------------
    def unproven(self, run: Run, campaigns: Campaigns) -> Iterator[Orphan]:
        """Yield each row that what ran doesn't prove, and why; what keeps a run from proving anything comes first."""
        for problem in run.problems:
            yield Orphan("the tests", problem)
        if any(proof.startswith(CAMPAIGN) for row in self.all_rows() for proof in row.tests):
            for problem in campaigns.problems:
                yield Orphan("the campaigns", problem)
        for row in self.all_rows():
            yield from self._unproven(row, run, campaigns)

    def _unproven(self, row: Row, run: Run, campaigns: Campaigns) -> Iterator[Orphan]:
        proven = False
        for proof in row.tests:
            result = result_of(proof, run, campaigns)
            if result.passed:
                proven = proven or not proof.startswith(f"{CHIP}/")
            elif not (result.wants_an_image and proof.startswith(f"{CHIP}/")):
                yield Orphan(row.name, f"{proof} {result.outcome}" + (f": {result.told}" if result.told else ""))
        if not proven:
            yield Orphan(row.name, "nothing that proves it ran and passed")


def result_of(proof: str, run: Run, campaigns: Campaigns) -> Result:
    """Return how a proof came out: a test by its name, or a campaign."""
    if proof.startswith(CAMPAIGN):
        return campaigns.result(proof.removeprefix(CAMPAIGN))
    test: Named | None = named(proof)
    return Result(NOT_RUN, "there is no such test") if test is None else run.result(test)
