"""boot.py and main.py, run on this Python with stand-ins for MicroPython: outputs off, files checked, no REPL."""

import ast
import builtins
import hashlib
import io
import os
import runpy
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from pendevice import board

PEN = Path(__file__).parents[2] / "firmware" / "pen"
FILES = {"boot.py": b"boot", "main.py": b"main", "pencore/units.mpy": bytes(1300), "pendevice/app.mpy": b"app"}
KEPT = {"prov.bin": b"p", "witness/seq.bin": b"w"}


class Reset(BaseException):
    """The chip was reset: nothing after it is run."""


class Pin:
    """machine.Pin: remembers what was done to whom."""

    IN, OUT, PULL_UP = 0, 1, 2
    log: ClassVar[list[tuple[int, int, int | None]]] = []
    levels: ClassVar[dict[int, list[int]]] = {}

    def __init__(self, number: int, mode: int, pull: int | None = None, *, value: int | None = None) -> None:
        self.number = number
        Pin.log.append((number, mode, value))

    def value(self) -> int:
        levels = Pin.levels.get(self.number, [1])
        return levels.pop(0) if len(levels) > 1 else levels[0]


class Chip:
    """What main.py runs on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.interrupts: list[int] = []
        self.thresholds: list[int] = []
        self.ran: list[str] = []
        self.ends_with: BaseException | None = None
        self.files = {**FILES, **KEPT, "manifest.txt": manifest(FILES)}
        Pin.log, Pin.levels = [], {}
        machine = types.ModuleType("machine")
        vars(machine).update(Pin=Pin, reset=self._reset)
        micropython = types.ModuleType("micropython")
        vars(micropython).update(kbd_intr=self.interrupts.append)
        gc = types.ModuleType("gc")
        vars(gc).update(threshold=self.thresholds.append)
        app = types.ModuleType("pendevice.app")
        vars(app).update(run=self._run)
        for name, module in (("machine", machine), ("micropython", micropython), ("gc", gc), ("pendevice.app", app)):
            monkeypatch.setitem(sys.modules, name, module)
        package = sys.modules["pendevice"]
        monkeypatch.setattr(package, "app", app, raising=False)
        monkeypatch.delitem(sys.modules, "boot", raising=False)
        monkeypatch.syspath_prepend(PEN)
        monkeypatch.setattr(os, "ilistdir", self._list, raising=False)

    def start(self) -> None:
        """Run main.py to its end."""
        runpy.run_path(str(PEN / "main.py"), {"open": self._open}, "__main__")

    def _reset(self) -> None:
        raise Reset

    def _run(self, build: str) -> None:
        self.ran.append(build)
        if self.ends_with is not None:
            raise self.ends_with

    def _open(self, path: str, mode: str = "r") -> io.IOBase:
        data = self.files.get(path[1:])
        if data is None:
            raise OSError(2)
        return io.BytesIO(data) if mode == "rb" else io.StringIO(data.decode())

    def _list(self, folder: str) -> Iterator[tuple[str, int, int]]:
        prefix = folder[1:]
        seen = set()
        for name in self.files:
            if name.startswith(prefix):
                entry, slash, _ = name[len(prefix) :].partition("/")
                if entry not in seen:
                    seen.add(entry)
                    yield entry, 0x4000 if slash else 0x8000, 0


def manifest(files: dict[str, bytes]) -> bytes:
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())).encode()
    return lines + f"build {hashlib.sha256(lines).hexdigest()[:16]}\n".encode()


BUILD = manifest(FILES)[-17:-1].decode()


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    return Chip(monkeypatch)


def driver_off() -> bool:
    return Pin.log[-3:] == [
        (board.ENABLE, Pin.OUT, board.ENABLE_OFF),
        (board.STEP, Pin.OUT, 0),
        (board.DIR, Pin.OUT, 0),
    ]


def test_the_first_thing_main_does_is_to_disarm_ctrl_c() -> None:
    docstring, imported, first, *_ = ast.parse((PEN / "main.py").read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(imported) == "import micropython"
    assert ast.unparse(first) == "micropython.kbd_intr(-1)"


def test_boot_has_the_board_s_pins_and_sets_them_before_anything_else(chip: Chip) -> None:
    boot = runpy.run_path(str(PEN / "boot.py"))
    assert (boot["ENABLE"], boot["STEP"], boot["DIR"], boot["SERVICE"]) == (
        board.ENABLE,
        board.STEP,
        board.DIR,
        board.SERVICE,
    )
    assert len(Pin.log) == 3
    assert driver_off()


def test_a_sound_pen_runs_its_app_with_the_manifest_s_build(chip: Chip) -> None:
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == [BUILD]
    assert chip.interrupts == [-1]
    assert driver_off()


@pytest.mark.parametrize(
    "end",
    [SystemExit(), KeyboardInterrupt(), MemoryError(), ValueError(), OSError(5), GeneratorExit(), ImportError()],
    ids=lambda end: type(end).__name__,
)
def test_whatever_ends_the_app_takes_the_driver_off_and_resets(chip: Chip, end: BaseException) -> None:
    chip.ends_with = end
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran
    assert driver_off()
    assert chip.interrupts == [-1]


def spoil(chip: Chip, how: str) -> None:
    files = chip.files
    if how == "changed":
        files["pencore/units.mpy"] = bytes(1299) + b"\x01"
    elif how == "short":
        files["pendevice/app.mpy"] = b"ap"
    elif how == "missing":
        del files["pencore/units.mpy"]
    elif how == "no manifest":
        del files["manifest.txt"]
    elif how == "a line missing":
        first, _, rest = files["manifest.txt"].partition(b"\n")
        assert first.endswith(b"boot.py")
        files["manifest.txt"] = rest
        del files["boot.py"]
    elif how == "manifest cut":
        files["manifest.txt"] = files["manifest.txt"][:-25]
    elif how == "empty manifest":
        files["manifest.txt"] = b""
    else:
        files[how] = b"stranger"


@pytest.mark.parametrize(
    "how",
    [
        "changed",
        "short",
        "missing",
        "no manifest",
        "manifest cut",
        "a line missing",
        "empty manifest",
        "pencore/units.py",
        "lib/other.mpy",
        "os.py",
    ],
)
def test_files_that_do_not_fit_the_manifest_are_never_run(chip: Chip, how: str) -> None:
    spoil(chip, how)
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == []
    assert driver_off()


def test_the_files_of_the_pen_s_work_are_no_code(chip: Chip) -> None:
    chip.files["ledger.bin.new"] = b"x"
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == [BUILD]


def test_with_the_service_button_held_there_is_a_repl_and_no_app(chip: Chip) -> None:
    Pin.levels[board.SERVICE] = [board.SERVICE_HELD]
    chip.start()
    assert chip.ran == []
    assert chip.interrupts == [-1, 3]
    assert driver_off() or Pin.log[-1][0] == board.SERVICE


def test_a_button_that_bounces_is_not_held(chip: Chip) -> None:
    Pin.levels[board.SERVICE] = [0] * 30 + [1] + [0]
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == [BUILD]


def test_without_boot_the_pen_resets(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: object) -> object:
        if name == "boot":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == []
