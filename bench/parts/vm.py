"""Asks a real MicroPython what `pencore` takes of its memory and its time. Host only; needs Node.js and `make vm`.

The VM has the pen's word size, small integers, block size of the heap and compiler; its clock is this computer's. It
collects garbage only between requests, never inside one: what a request leaves is measured by the next.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from pinprick import firmware_files
from pinprick.board import build as mpy
from tests.vm import nodejs

ROOT = Path(__file__).parents[2]
PEN_HEAP_BYTES = 240_000
"""What a stock image on an RP2040 leaves free after its boot."""
STATES = ("booted: SAFE", "32 zones loaded", "armed, 2 mm deep")

_GUEST = """
import gc, json
def serve(line):
    names = {"result": None}
    exec(json.loads(line), names)
    return json.dumps(names["result"])
"""
_COLLECT = "import gc; gc.collect()"
_MEASURE = "import gc; result = gc.mem_alloc()"
_COLLECTED = [_COLLECT, _COLLECT, _MEASURE]


class VmFailed(Exception):
    """The VM ended early; the message is what it said."""


def run(files: dict[str, str], requests: list[str]) -> list[Any]:
    """Return what each of `requests`, pieces of Python, leaves in `result`, in a new VM that has `files`."""
    lines = [json.dumps({**files, "tests/vm/guest.py": _GUEST}), *map(json.dumps, requests), ""]
    command = [*nodejs.node_command(), str(ROOT / "tests" / "vm" / "driver.mjs")]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=120, check=False)
    answers = [json.loads(line[1:]) for line in done.stdout.splitlines() if line.startswith("=")]
    if len(answers) != len(requests):
        said = done.stdout[-2000:] + done.stderr[-2000:]
        raise VmFailed(f"{len(answers)} answers to {len(requests)} requests\n{said}")
    return answers


def _core() -> dict[str, bytes]:
    return {name: data for name, data in firmware_files().items() if name.startswith("pencore/")}


def _portable() -> dict[str, str]:
    """Return the tests' portable files: the still pen is one of them."""
    paths = (ROOT / "tests" / "portable").glob("*.py")
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _install(compiled: dict[str, bytes]) -> list[str]:
    """Return requests that put the compiled files into the VM: its driver copies text only."""
    write = "file = open(%r, 'wb'); file.write(bytes.fromhex(%r)); file.close()"
    made = [write % (f"/{name.removesuffix('.py')}.mpy", data.hex()) for name, data in compiled.items()]
    return ["import os; os.mkdir('/pencore')", *made]


def ram_bytes() -> dict[str, int]:
    """Return bytes of heap in use, garbage collected: by the modules, then by a pen in each of STATES on top.

    `modules`: every runtime module of pencore, imported as .mpy, the way the pen gets them. `source`: the same,
    imported from source. `mpy`: the size of the .mpy files. Of a pen what is counted is what goes when it goes; the
    ports' own objects are not in it.
    """
    core = _core()
    compiled = {name: mpy.compiled(name, data) for name, data in core.items()}
    modules = [name.removesuffix(".py").replace("/", ".") for name in core if not name.endswith("__init__.py")]
    imports = "\n".join(f"import {module}" for module in modules)
    sizes = {"mpy": sum(map(len, compiled.values()))}
    install = _install(compiled)
    for name, files, first in (
        ("modules", {}, install),
        ("source", {name: data.decode() for name, data in core.items()}, []),
    ):
        before, _, _, _, after = run(files, [*first, *_COLLECTED, imports, *_COLLECTED])[len(first) + 2 :]
        sizes[name] = after - before
    for state in range(len(STATES)):
        sizes[STATES[state]] = _pen_bytes(install, state)
    return sizes


def _pen_bytes(install: list[str], state: int) -> int:
    """Return what a pen in one of STATES holds beside the modules."""
    way = ["", "still_pen.pen.load()", "still_pen.pen.load(); still_pen.pen.arm()"][state]
    requests = [
        *install,
        f"from tests.portable import still_pen; still_pen.pen = still_pen.StillPen(); {way}",
        *_COLLECTED,
        "from tests.portable import still_pen; still_pen.pen.runner = None",
        *_COLLECTED,
    ]
    held, _, _, _, rest = run(_portable(), requests)[-5:]
    return int(held - rest)


def name_and_version() -> str:
    """Return what the VM says it is."""
    request = "import sys; result = [sys.implementation.name, sys.version]"
    _, version = run({}, [request])[0]
    return str(version).partition("; ")[2].partition(" on ")[0]
