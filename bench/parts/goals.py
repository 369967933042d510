"""Figures against their goals: what was measured, what it should be, and whether it is. Host only; pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

UNDER, OVER, EXACTLY = "under", "over", "exactly"


@dataclass(frozen=True)
class Figure:
    """One measured figure. `bound` and `goal` say what it should be, in `unit`; None: nothing was asked of it."""

    name: str
    value: float
    unit: str
    bound: str = EXACTLY
    goal: float | None = None
    note: str = ""

    def met(self) -> bool | None:
        """Return whether the goal is met; None without one."""
        if self.goal is None:
            return None
        if self.bound == UNDER:
            return self.value < self.goal
        if self.bound == OVER:
            return self.value > self.goal
        return self.value == self.goal

    def wanted(self) -> str:
        """Return the goal in words, "" without one."""
        if self.goal is None:
            return ""
        amount = shown(self.goal)
        return amount if self.bound == EXACTLY else f"{self.bound} {amount}"

    def told(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "met": self.met()}


def shown(value: float) -> str:
    """Return a number for people: whole ones with separators, others with three digits at least."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


def missed(figures: Sequence[Figure]) -> list[str]:
    """Return the names of figures that don't meet their goals."""
    return [figure.name for figure in figures if figure.met() is False]


def rows(figures: Sequence[Figure]) -> list[str]:
    """Return a line for each figure, and one for each note."""
    lines = []
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met()]
        number = f"{shown(figure.value)} {figure.unit}"
        lines.append(f"  {figure.name:<45}{number:>18}  {figure.wanted():<18}{verdict}".rstrip())
        if figure.note:
            lines.append(f"      {figure.note}")
    return lines
