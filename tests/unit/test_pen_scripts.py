"""boot.py and main.py, run on this Python by MicroPython's rules of import: outputs off, files checked, no REPL."""

import ast
import binascii
import builtins
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import ClassVar

import pytest

from pencore import ledger
from pendevice import board
from pinprick.board.build import MEMORY_FOLDERS
from tests.support.fake_board import ancestors

PEN = Path(__file__).parents[2] / "firmware" / "pen"
SCRIPTS = {name: (PEN / name).read_bytes() for name in ("boot.py", "main.py")}
FILES = {**SCRIPTS, "pencore/units.mpy": bytes(1300), "pendevice/app.mpy": b"app"}
KEPT = {"prov.bin": b"p", ledger.WITNESS: b"w"}
FIXED = ("sys", "micropython", "gc")
"""Modules of MicroPython that nothing can stand in for."""
EXTENSIBLE = ("machine", "os", "binascii", "hashlib")
"""Those that a folder or a file on the path is taken for."""


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


@lru_cache(maxsize=8)
def compiled(source: bytes) -> CodeType:
    """Return a script compiled; main.py stays the same while another is spoilt."""
    return compile(source, "<script>", "exec")


@cache
def above(path: str) -> frozenset[str]:
    """Return the folders that a path lies in."""
    return frozenset(ancestors(path))


class Chip:
    """What the scripts run on: files, `empty` folders, and the import of MicroPython 1.28, which takes the modules that
    are FIXED, else what lies on the path, a folder before a file, else those that are EXTENSIBLE.
    """

    def __init__(self) -> None:
        self.interrupts: list[int] = []
        self.thresholds: list[int] = []
        self.ran: list[str] = []
        self.ends_with: BaseException | None = None
        self.files = {**FILES, **KEPT, "manifest.txt": manifest(FILES)}
        self.empty: set[str] = set()
        self._builtins = {**vars(builtins), "open": self._open, "__import__": self._import}
        self.sys = SimpleNamespace(path=["", ".frozen", "/lib"])
        Pin.log, Pin.levels = [], {}
        self._modules: dict[str, object] = {
            "sys": self.sys,
            "micropython": SimpleNamespace(kbd_intr=self.interrupts.append),
            "gc": SimpleNamespace(threshold=self.thresholds.append),
            "machine": SimpleNamespace(Pin=Pin, reset=self._reset),
            "os": SimpleNamespace(ilistdir=self._list),
            "binascii": binascii,
            "hashlib": hashlib,
        }

    def start(self) -> None:
        """Do what MicroPython does after a reset; returns when the REPL is reached."""
        names: dict[str, object] = {"__name__": "__main__", "__builtins__": self._builtins}
        for script in ("boot.py", "main.py"):
            try:
                if script in self.files:
                    exec(compiled(self.files[script]), names)  # noqa: S102  # the scripts themselves
            except Exception:  # noqa: BLE001  # whatever it is: it is printed, and nothing else is run
                return

    def _reset(self) -> None:
        raise Reset

    def _run(self, build: str) -> None:
        self.ran.append(build)
        if self.ends_with is not None:
            raise self.ends_with

    def _folders(self) -> set[str]:
        return self.empty.union(*map(above, (*self.files, *self.empty)))

    def _import(self, name: str, *_: object) -> object:
        if name in FIXED:
            return self._modules[name]
        for entry in self.sys.path:
            path = f"{entry}/{name}".lstrip("/")
            if path == "pendevice" and "pendevice/app" not in self._folders():
                return SimpleNamespace(app=SimpleNamespace(run=self._run))
            # MicroPython would take a .py before an .mpy; no test has both of a name.
            if path in self._folders() or f"{path}.mpy" in self.files:
                return SimpleNamespace()
            if f"{path}.py" in self.files:
                names: dict[str, object] = {"__name__": name, "__builtins__": self._builtins}
                exec(compiled(self.files[f"{path}.py"]), names)  # noqa: S102  # the scripts themselves, or a stranger
                return SimpleNamespace(**names)
        if name in EXTENSIBLE:
            return self._modules[name]
        raise ImportError(name)

    def _open(self, path: str, mode: str = "r") -> io.IOBase:
        data = self.files.get(path[1:])
        if data is None:
            raise OSError(2)
        # Nothing that lies about may be imported before all of it is verified.
        assert self.sys.path == [".frozen"] or path == "/boot.py"
        return io.BytesIO(data) if mode == "rb" else io.StringIO(data.decode())

    def _list(self, folder: str) -> Iterator[tuple[str, int, int]]:
        prefix = folder[1:]
        for paths, kind in ((self._folders(), 0x4000), (set(self.files), 0x8000)):
            for path in sorted(paths):
                if path.startswith(prefix) and "/" not in path[len(prefix) :]:
                    yield path[len(prefix) :], kind, 0


def manifest(files: dict[str, bytes]) -> bytes:
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())).encode()
    return lines + f"build {hashlib.sha256(lines).hexdigest()[:16]}\n".encode()


BUILD = manifest(FILES)[-17:-1].decode()


@pytest.fixture
def chip() -> Chip:
    return Chip()


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
    del chip.files["main.py"]
    chip.start()
    assert len(Pin.log) == 3
    assert driver_off()
    constants = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in ast.parse(SCRIPTS["boot.py"]).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert {name: constants[name] for name in ("ENABLE", "STEP", "DIR", "SERVICE")} == {
        "ENABLE": board.ENABLE,
        "STEP": board.STEP,
        "DIR": board.DIR,
        "SERVICE": board.SERVICE,
    }


def test_the_folder_that_the_pen_makes_is_known_to_all_who_look_for_strangers() -> None:
    folders = {path.rpartition("/")[0] + "/" for path in KEPT} - {"/"}
    [known] = [
        ast.literal_eval(node.value)
        for node in ast.parse(SCRIPTS["main.py"]).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MEMORY"
    ]
    assert set(known) == folders == {f"{folder}/" for folder in MEMORY_FOLDERS}


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
        lines = files["manifest.txt"].splitlines(keepends=True)
        del files[lines.pop(2).split()[1].decode()]
        files["manifest.txt"] = b"".join(lines)
    elif how == "manifest cut":
        files["manifest.txt"] = files["manifest.txt"][:-25]
    elif how == "a line too many":
        files["manifest.txt"] += b"build 0123456789abcdef\n"
    elif how == "no end of the last line":
        files["manifest.txt"] = files["manifest.txt"][:-1]
    elif how == "empty manifest":
        files["manifest.txt"] = b""
    elif how.endswith("/"):
        chip.empty.add(how[:-1])
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
        "a line too many",
        "no end of the last line",
        "empty manifest",
        "pencore/units.py",
        "lib/other.mpy",
        "os.py",
        "machine.py",
        "boot.mpy",
        "notes/picture.jpg",
        "lib/",
        "boot/",
        "machine/",
        "os/",
        "hashlib/",
        "rp2/",
        "manifest/",
        "pencore/units/",
        "pendevice/app/",
        "witness/old/",
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


@pytest.mark.parametrize("stranger", ["", "boot/", "machine/", "os/", "pencore/units/", "machine.py", "boot.mpy"])
def test_with_the_service_button_held_there_is_a_repl_and_no_app(chip: Chip, stranger: str) -> None:
    if stranger:
        spoil(chip, stranger)
    Pin.levels[board.SERVICE] = [board.SERVICE_HELD]
    chip.start()
    assert chip.ran == []
    assert chip.interrupts == [-1, 3]
    assert Pin.log.pop() == (board.SERVICE, Pin.IN, None)
    assert driver_off()


def test_a_module_that_was_checked_is_found_and_nothing_beside_it(chip: Chip) -> None:
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == [BUILD]
    assert chip.sys.path == [".frozen", ""]


def test_a_button_that_bounces_is_not_held(chip: Chip) -> None:
    Pin.levels[board.SERVICE] = [0] * 30 + [1] + [0]
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == [BUILD]


@pytest.mark.parametrize("folder", ["", "machine", "os", "hashlib"])
@pytest.mark.parametrize("boot", [None, b"", b"def service_held():\n    return False"])
def test_without_its_boot_the_pen_resets(chip: Chip, boot: bytes | None, folder: str) -> None:
    """What main.py imports is the image's own, whatever ran before it."""
    chip.empty |= {folder} - {""}
    del chip.files["boot.py"]
    if boot is not None:
        chip.files["boot.py"] = boot
    with pytest.raises(Reset):
        chip.start()
    assert chip.ran == []


@pytest.mark.slow
def test_no_flipped_bit_of_boot_switches_the_driver_on_or_makes_an_edge() -> None:
    """Nobody has looked at the file when it runs: it is found to be spoilt a third of a second later."""
    boot = SCRIPTS["boot.py"]
    drives: list[bytes] = []
    ends = Counter[str]()
    for bit in range(8 * len(boot)):
        flipped = boot[: bit // 8] + bytes((boot[bit // 8] ^ 1 << bit % 8,)) + boot[bit // 8 + 1 :]
        chip = Chip()
        chip.files["boot.py"] = flipped
        try:
            chip.start()
            ends["prompt"] += 1
        except Reset:
            ends["reset"] += 1
        wrong = {(board.ENABLE, False), (board.STEP, True), (board.DIR, True)}
        if any(mode == Pin.OUT and (pin, bool(value)) in wrong for pin, mode, value in Pin.log):
            drives.append(flipped.splitlines()[boot[: bit // 8].count(b"\n")])
        assert chip.ran == []
    assert drives == []
    assert min(ends["prompt"], ends["reset"]) > 1000
