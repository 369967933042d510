"""Two Pythons behind one interface: MicroPython, a WebAssembly VM run by Node.js, and the CPython that runs the tests.

Both answer `call`, `run` and `outcome` through the same `guest.serve`, so that a difference between two answers is a
difference between the Pythons. One VM is one process; a test session (each xdist worker has its own) starts one.
"""

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from pencore.faults import Fault, Refusal
from pinprick import firmware_files
from tests.vm import guest, nodejs

ROOT = Path(__file__).parents[2]

CALL_TIMEOUT_S = 30.0
"""How long one call may take before the VM is taken for hung and ended."""


class Make(NamedTuple):
    """An argument that the Python under test builds itself: `Make("pencore.units", "Geometry", [200, 8, 4000])`."""

    module: str
    name: str
    args: Sequence[object] = ()


class Instance(NamedTuple):
    """An object that came back: its class's name and its attributes, sorted by name."""

    name: str
    fields: tuple[tuple[str, object], ...]


class Outcome(NamedTuple):
    """How a call ended.

    `raised` is "" or the exception's class; `kind` is "Refusal" or "Fault" where that class is or derives from one, and
    `detail` what it then says of itself: (code, field, given, limit, zone) or (code, aux).
    """

    value: object
    raised: str
    kind: str
    detail: tuple[object, ...]
    trace: str

    def comparable(self) -> tuple[object, str, tuple[object, ...]]:
        """Return all that two Pythons must agree on: everything but the words of the traceback."""
        return self.value, self.raised, self.detail


class PythonError(Exception):
    """The Python under test raised what is neither Refusal nor Fault; the message is its traceback."""

    def __init__(self, name: str, trace: str) -> None:
        super().__init__(f"{name}\n{trace}")
        self.name = name


class VmDied(Exception):
    """The VM's process ended, hung or broke its protocol; the message says what it left behind."""


def _tagged(value: object) -> object:
    if isinstance(value, Make):
        return {"make": [value.module, value.name, [_tagged(item) for item in value.args]]}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_tagged(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    return guest.encode(value)


def _untagged(value: Any) -> object:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if isinstance(value, dict):
        ((tag, inner),) = value.items()
        if tag == "object":
            return Instance(inner[0], tuple((name, _untagged(item)) for name, item in inner[1]))
        if tag == "tuple":
            return tuple(_untagged(item) for item in inner)
        if tag == "dict":
            return {_untagged(key): _untagged(item) for key, item in inner}
        return guest.decode(value)
    return value


class Interpreter:
    """What both Pythons offer; `_serve` carries a request's line to `guest.serve` there and brings its answer back."""

    name: str

    def _serve(self, line: str) -> str:
        raise NotImplementedError

    def _ask(self, request: list[object]) -> Outcome:
        answer = json.loads(self._serve(json.dumps(request, ensure_ascii=False)))
        if "raised" in answer:
            return Outcome(None, answer["raised"], answer["as"], tuple(answer["args"]), answer["trace"])
        return Outcome(_untagged(answer["value"]), "", "", (), "")

    def outcome(self, module: str, function: str, args: Sequence[object] = ()) -> Outcome:
        """Call `module.function(*args)` and return how it ended, whatever it raised; "Class.method" works as well."""
        return self._ask(["call", module, function, [_tagged(item) for item in args]])

    def call(self, module: str, function: str, args: Sequence[object] = ()) -> Any:
        """Return `module.function(*args)`; raises the Refusal or Fault it raised, and PythonError for anything else."""
        return _value(self.outcome(module, function, args))

    def run(self, source: str) -> Any:
        """Execute `source` in fresh globals and return what it leaves in `result`; raises like `call`."""
        return _value(self._ask(["run", source]))


def _value(outcome: Outcome) -> Any:
    detail: tuple[Any, ...] = outcome.detail
    if outcome.kind == "Refusal":
        code, field, given, limit, zone = detail
        raise Refusal(code, field, given, limit, zone)
    if outcome.kind == "Fault":
        code, aux = detail
        raise Fault(code, aux)
    if outcome.raised:
        raise PythonError(outcome.raised, outcome.trace)
    return outcome.value


class CPython(Interpreter):
    """This very interpreter, asked the way the VM is."""

    name = "cpython"

    def _serve(self, line: str) -> str:
        return guest.serve(line)


class MicroPythonVM(Interpreter):
    """MicroPython in a process of its own, holding what is flashed of `pencore` and `pendevice`, the portable checks
    and the harness.

    Use it in a `with` block, or `close` it. After `VmDied` it is closed. `printed` holds the lines that the last
    request printed.
    """

    name = "micropython"

    def __init__(self, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self.printed: list[str] = []
        self._timeout_s = timeout_s
        self._deadline = float("inf")
        self._closing = threading.Event()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process; `close` closes it
        self._process = subprocess.Popen(
            [*nodejs.node_command(), str(ROOT / "tests" / "vm" / "driver.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        self._watch = threading.Thread(target=self._end_when_overdue, name="vm-watch", daemon=True)
        self._watch.start()
        try:
            self._write(json.dumps(_files()))
        except BrokenPipeError as error:
            raise self._death("is it installed? `make vm` does that") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; harmless when it has ended already."""
        self._closing.set()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            if pipe is not None:
                pipe.close()

    def _end_when_overdue(self) -> None:
        while not self._closing.wait(0.1):
            if time.monotonic() > self._deadline:
                self._process.kill()
                return

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _serve(self, line: str) -> str:
        if self._closing.is_set():
            raise VmDied("the VM has been closed")
        assert self._process.stdout is not None
        self.printed.clear()
        self._deadline = time.monotonic() + self._timeout_s
        try:
            self._write(line)
            while True:
                answer = self._process.stdout.readline().decode()
                if answer.startswith("="):
                    return answer[1:]
                if not answer.startswith(">"):
                    raise self._death(answer)
                self.printed.append(answer[1:-1])
        except BrokenPipeError as error:
            raise self._death("") from error
        finally:
            self._deadline = float("inf")

    def _death(self, last_line: str) -> VmDied:
        overdue = time.monotonic() > self._deadline
        try:
            code = self._process.wait(timeout=5.0)  # a driver that failed is about to end by itself
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace")
        self.close()
        why = f"no answer within {self._timeout_s} s" if overdue else f"exit code {code}"
        told = "\n".join([*self.printed, last_line.strip().replace("\\n", "\n"), said])
        return VmDied(f"the MicroPython VM ended: {why}\n{told}")


def _files() -> dict[str, str]:
    """Return every file the VM gets, by path: pencore and pendevice as flashed, tests/portable, and the guest."""
    files = {name: data.decode() for name, data in firmware_files().items() if not name.startswith("pen/")}
    for path in [*(ROOT / "tests" / "portable").rglob("*.py"), ROOT / "tests" / "vm" / "guest.py"]:
        files[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
    return files


def agreed(vm: Interpreter, module: str, function: str, args: Sequence[object] = ()) -> Outcome:
    """Return the outcome of a call that CPython and `vm` agree on; AssertionError with both when they do not."""
    there = vm.outcome(module, function, args)
    here = CPython().outcome(module, function, args)
    if there.comparable() != here.comparable():
        raise AssertionError(f"{module}.{function}{tuple(args)!r}\n  {vm.name}: {there}\n  cpython: {here}")
    return here
