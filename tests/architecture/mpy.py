"""The firmware's sizes, compiled as it is flashed, against their budgets. Host only.

`python -m tests.architecture.mpy` prints them (`make sizes`).
"""

import sys
import tomllib
from pathlib import Path

from pinprick.board.build import build
from tests.architecture import names

BUDGETS: dict[str, int] = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text(encoding="utf-8"))["mpy"]


def sizes() -> dict[str, int]:
    """Return the size on the board of each file in bytes, by its path there."""
    return {path: len(data) for path, data in build().files.items()}


def totals(table: dict[str, int]) -> dict[str, int]:
    """Return the bytes of each part that has a budget: the largest file, the folders, all of it."""
    parts = {
        folder: sum(size for path, size in table.items() if path.startswith(folder + "/"))
        for folder in ("pencore", "pendevice")
    }
    return {"file": max(table.values()), **parts, "all": sum(table.values())}


def main() -> None:
    """Print a table of the sizes, the largest first, then what is left of each budget."""
    table = sizes()
    lines = [f"{size:8,}  {path}" for path, size in sorted(table.items(), key=lambda item: -item[1])]
    for part, size in totals(table).items():
        lines.append(f"{size:8,}  {'largest file' if part == 'file' else part}, of {BUDGETS[part]:,}")
    lines.append(f"{len(names.new(build())):8,}  names, of {names.room(names.POOLS):,}")
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
