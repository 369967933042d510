"""Lines found by libFuzzer, where `atheris` is installed: coverage of branches and comparisons, seen from inside of C.

`atheris` takes over the process it runs in, so it gets one of its own: `python -m tests.campaigns.lines_atheris FOLDER
RUNS SEED` fuzzes the decoder against the definition read literally, and leaves what it kept in FOLDER. A shard of the
campaign begins such a process and says what it kept to a pen. Without atheris there are no such shards. Host only.
"""

import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tests.campaigns.lines_grammar import NEXT, Piece, first_pieces
from tests.support.wire_lines import code_of, reference_code, sealed

RUNS = 20_000
BODY_MOST = 1013
_AN_ID = b"7"
"""Stands where a piece has the mark of the next id: what is fuzzed is whole lines."""
TIMEOUT_S = 600
_ROOT = Path(__file__).parents[2]


def installed() -> bool:
    """Return whether atheris can be imported here."""
    return find_spec("atheris") is not None


def check(body: bytes) -> None:
    """Fail when the decoder takes the line of `body` for something else than the definition does."""
    line = sealed(body.replace(b"\n", b" "))
    if code_of(line) != reference_code(line):
        raise AssertionError(f"{line!r} is refused with {code_of(line)}, not {reference_code(line)}")


def found(seed: int) -> list[Piece]:
    """Let libFuzzer run, and return what it kept; AssertionError with its words when it broke something."""
    with tempfile.TemporaryDirectory() as folder:
        for number, piece in enumerate(first_pieces()):
            Path(folder, f"seed-{number}").write_bytes(piece.body.replace(NEXT, _AN_ID, 1))
        module = "tests.campaigns.lines_atheris"
        command = [sys.executable, "-m", module, folder, str(RUNS), str(seed % 2**31 or 1)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode:
            raise AssertionError(" ".join(done.stderr.splitlines()[-12:]))
        kept = sorted(path for path in Path(folder).iterdir() if not path.name.startswith("seed-"))
        return [Piece(path.read_bytes().replace(b"\n", b" ").replace(_AN_ID, NEXT, 1)) for path in kept]


def main(folder: str, runs: str, seed: str) -> None:
    """Fuzz; ends the process."""
    from pencore import lines, wire

    # It is installed where it can be, and is no part of anybody's environment.
    atheris = import_module("atheris")

    for module in (lines, wire):
        for name, value in list(vars(module).items()):
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and not isinstance(value, type):
                setattr(module, name, atheris.instrument_func(value))
            elif isinstance(value, type) and value.__module__ == module.__name__:
                for inner, method in list(vars(value).items()):
                    if callable(method) and hasattr(method, "__code__"):
                        setattr(value, inner, atheris.instrument_func(method))
    arguments = [sys.argv[0], f"-runs={runs}", f"-seed={seed}", f"-max_len={BODY_MOST}", "-verbosity=0", folder]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
