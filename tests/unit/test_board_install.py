"""Installing the firmware: what is removed, what is not, and that a half of it is never run, wherever it is cut off."""

import ast
import binascii
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

from pinprick import errors, firmware_files
from pinprick.board import service
from pinprick.board.build import MANIFEST, Build, build
from pinprick.board.image import Lock, locked
from pinprick.board.install import About, Step, differences, install, verified
from pinprick.errors import Mismatch, NoDevice, PinprickError
from pinprick.told import PenInfo
from tests.support.fake_board import FakeBoard, Unplugged, ancestors

SOURCES = {
    "pen/boot.py": b"X = 1\n",
    "pen/main.py": b"Y = 2\n",
    "pencore/__init__.py": b"",
    "pencore/units.py": b"Z = 3\n",
    "pendevice/app.py": b"def run(build):\n    pass\n",
}
LOCK = Lock("RPI_PICO", "1.28.0", "", "", "")

MEMORY = {
    "prov.bin": b"who I am",
    "ledger.bin": b"strokes",
    "ledger.tmp": b"strokes, half",
    "session.bin": b"profile",
    "cart.bin": b"used",
    "course.bin": b"courses",
    "rec00000001.bin": b"record",
    "witness/seq.bin": b"12",
}
"""What a pen remembers, and a file of its own that a cut left."""
LOOKS = ("about", "start_anew", "files", "folders", "digests")
"""Operations that change nothing in the flash."""
OLD = {
    "boot.py": b"old boot",
    "main.py": b"old main",
    "main.mpy": b"shadowed",
    "pencore/units.py": b"an older layout, and MicroPython would take it before the .mpy",
    "pencore/gone.mpy": b"no part of it any more",
    "pencore/old/deep/er.mpy": b"of a folder that is gone",
    "pendevice/notes.txt": b"no code, but in our folder",
    "lib/struct.py": b"instead of the built-in",
    "pencore/units/nothing.txt": b"MicroPython would take the folder before the .mpy",
    "machine/nothing.txt": b"instead of the built-in",
    "pencore/units.mpy.new": b"cut off",
    "manifest.txt.new": b"cut off",
    "manifest.txt": b"old manifest",
}


@pytest.fixture(scope="module")
def made() -> Build:
    """Return a small firmware, built."""
    return build(SOURCES)


def ignored(_step: Step) -> None:
    """Hear of a step."""


@cache
def rules() -> CodeType:
    """Return the pen's own main.py, compiled, without what it does by its rules."""
    source = ast.parse(firmware_files()["pen/main.py"])
    source.body = [
        node
        for node in source.body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) != "sys.path[:]")
    ]
    return compile(source, "main.py", "exec")


def would_run(board: FakeBoard) -> str:
    """Return the build that the pen's own main.py would start on this board; "" when it refuses."""

    def opened(path: str, mode: str = "r") -> io.BytesIO | io.StringIO:
        data = board.content.get(path[1:])
        if data is None:
            raise OSError
        return io.BytesIO(data) if mode == "rb" else io.StringIO(data.decode())

    def entries(folder: str) -> Iterator[tuple[str, int]]:
        inside = folder[1:].rstrip("/") + "/" if folder != "/" else ""
        names = [path.removeprefix(inside) for path in (*board.content, *board.dirs) if path.startswith(inside)]
        yield from {
            (name.partition("/")[0], 0x4000 if "/" in name or inside + name in board.dirs else 0) for name in names
        }

    names: dict[str, Any] = {
        "open": opened,
        "hashlib": hashlib,
        "binascii": binascii,
        "os": SimpleNamespace(ilistdir=entries),
    }
    exec(rules(), names)  # noqa: S102  # the pen's own
    try:
        return str(names["verified"]())
    except (OSError, ValueError):
        return ""


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return all folders that these files lie in, with the slash that foreign ones are named with."""
    return {f"{folder}/" for path in paths for folder in ancestors(path)}


def old_pen() -> FakeBoard:
    """Return a pen with an older firmware, whole, and a memory."""
    return FakeBoard({**MEMORY, **OLD})


def is_installed(board: FakeBoard, made: Build) -> None:
    """Fail unless `board` holds the build, the memory it had, and nothing else."""
    memory = {path: data for path, data in MEMORY.items() if path in board.content}
    assert board.content == {**made.files, MANIFEST: made.manifest, **memory}
    assert board.dirs == {folder for path in board.content for folder in ancestors(path)}
    assert would_run(board) == made.identity


def test_a_new_board_gets_everything(made: Build) -> None:
    board = FakeBoard()
    done = install(board, made, LOCK, ignored)
    assert (sorted(done.copied), done.purged, done.kept) == (list(made.files), (), ())
    is_installed(board, made)


def test_old_code_goes_and_the_memory_stays(made: Build) -> None:
    board = old_pen()
    done = install(board, made, LOCK, ignored)
    is_installed(board, made)
    assert {path: board.content[path] for path in MEMORY} == MEMORY
    assert set(done.purged) == set(OLD) - set(made.files) - {MANIFEST} | folders_of(OLD) - folders_of(made.files)
    assert board.dirs == {"pencore", "pendevice", "witness"}


STRANGERS = ["machine", "os", "lib", "boot", "rp2", "pencore/units", "pendevice/app", "notes/2026", "witness/old"]
IN_THE_WAY = ["main.py", "boot.py", MANIFEST, "pencore/units.mpy", "pencore/units.mpy.new", "prov.bin"]


@pytest.mark.parametrize("folder", STRANGERS + IN_THE_WAY)
def test_a_folder_that_is_not_the_pen_s_is_reported_and_goes(made: Build, folder: str) -> None:
    board = FakeBoard()
    install(board, made, LOCK, ignored)
    board.content.pop(folder, None)
    board.dirs |= {folder, *ancestors(folder)}
    assert would_run(board) == ""
    assert f"{folder}/" in differences(board, made).foreign
    with pytest.raises(Mismatch, match=re.escape(f"{folder}/")):
        verified(board, made)
    assert f"{folder}/" in install(board, made, LOCK, ignored).purged
    board.dirs.discard("witness")
    is_installed(board, made)


@pytest.mark.parametrize("name", ["pencore", "pendevice", "witness"])
def test_a_file_where_a_folder_has_to_be_goes(made: Build, name: str) -> None:
    board = FakeBoard({name: b"in the way"})
    assert install(board, made, LOCK, ignored).purged == (name,)
    is_installed(board, made)


def test_another_program_s_main_goes_before_anything_is_copied(made: Build) -> None:
    board = old_pen()
    board.content["main.py"] = b"print('another program')"
    install(board, made, LOCK, ignored)
    is_installed(board, made)
    writes = [place for place, (what, _) in enumerate(board.done) if what == "write"]
    assert board.done.index(("remove", "main.py")) < writes[0]


def test_a_file_that_only_ends_like_the_manifest_stays(made: Build) -> None:
    board = old_pen()
    board.content["notes-manifest.txt"] = b"mine"
    install(board, made, LOCK, ignored)
    assert board.content["notes-manifest.txt"] == b"mine"


def test_nothing_of_the_pen_s_memory_is_even_read(made: Build) -> None:
    board = old_pen()
    install(board, made, LOCK, ignored)
    assert {path for _, path in board.done} & {*MEMORY, "witness"} == set()


def test_a_board_that_has_it_all_is_left_as_it_is(made: Build) -> None:
    board = FakeBoard()
    install(board, made, LOCK, ignored)
    board.plug_in()
    done = install(board, made, LOCK, ignored)
    assert (done.copied, done.purged, done.kept) == ((), (), tuple(made.files))
    assert {what for what, _ in board.done} == {"about", "start_anew", "files", "folders", "digests"}


def test_only_what_differs_is_copied(made: Build) -> None:
    board = FakeBoard()
    install(board, made, LOCK, ignored)
    board.content["pencore/units.mpy"] = b"rotten"
    assert install(board, made, LOCK, ignored).copied == ("pencore/units.mpy",)
    is_installed(board, made)


def test_the_manifest_goes_first_and_comes_last_and_main_before_it(made: Build) -> None:
    board = old_pen()
    install(board, made, LOCK, ignored)
    changes = [entry for entry in board.done if entry[0] not in LOOKS]
    assert changes[0] == ("remove", MANIFEST)
    assert changes[-1] == ("rename", MANIFEST)
    assert [path for what, path in changes if what == "rename"][-2:] == ["main.py", MANIFEST]


def operations(begin: dict[str, bytes], made: Build) -> list[tuple[str, str]]:
    """Return the operations, in order, of an installation onto a board with these files."""
    board = FakeBoard(begin)
    install(board, made, LOCK, ignored)
    return board.done


@pytest.mark.parametrize("begin", [{}, MEMORY | OLD], ids=["new", "old"])
def test_cut_off_at_any_operation_it_runs_nothing_half_and_running_it_again_finishes(
    made: Build, begin: dict[str, bytes]
) -> None:
    done = operations(begin, made)
    assert len(done) >= 25
    for number, late in product(range(len(done)), (False, True)):
        board = FakeBoard(begin)
        board.cut_at, board.late = number, late
        with pytest.raises(Unplugged):
            install(board, made, LOCK, ignored)
        if would_run(board):
            # Only the last operations, which look at what is there, come after the manifest.
            is_installed(board, made)
        assert {path: board.content[path] for path in MEMORY if path in begin} == {
            path: MEMORY[path] for path in MEMORY if path in begin
        }
        board.plug_in()
        install(board, made, LOCK, ignored)
        is_installed(board, made)


def test_cut_off_again_and_again_it_still_finishes(made: Build) -> None:
    """The board loses its cable at the next operation every time: no attempt undoes what an earlier one did."""
    board = old_pen()
    for number in range(10_000):
        board.plug_in()
        board.cut_at, board.late = number, False
        try:
            install(board, made, LOCK, ignored)
        except Unplugged:
            continue
        break
    is_installed(board, made)


def test_a_board_cut_off_before_its_main_keeps_an_open_port(made: Build) -> None:
    board = FakeBoard()
    board.cut_at = operations({}, made).index(("write", "main.py.new"))
    with pytest.raises(Unplugged):
        install(board, made, LOCK, ignored)
    assert set(board.content) == {*made.files, "main.py.new"} - {"main.py"}


def test_flash_that_keeps_something_else_is_found_before_the_manifest(made: Build) -> None:
    board = FakeBoard()
    board.spoilt = {"pencore/units.mpy"}
    with pytest.raises(Mismatch) as caught:
        install(board, made, LOCK, ignored)
    assert (caught.value.code, caught.value.field) == (errors.BOARD_DIFFERS, "pencore/units.mpy")
    assert MANIFEST not in board.content


def test_a_manifest_that_is_not_kept_is_found(made: Build) -> None:
    board = FakeBoard()
    board.spoilt = {MANIFEST}
    with pytest.raises(Mismatch, match=MANIFEST):
        install(board, made, LOCK, ignored)


@pytest.mark.parametrize(
    ("about", "field"),
    [
        (About("1.27.0", "RPI_PICO", "Raspberry Pi Pico with RP2040"), "version"),
        (About("1.28.0", "RPI_PICO_W", "Raspberry Pi Pico W with RP2040"), "board"),
        (About("", "", ""), "version"),
    ],
)
def test_another_board_is_refused_before_anything_is_changed(made: Build, about: About, field: str) -> None:
    board = FakeBoard({**MEMORY, **OLD}, about)
    with pytest.raises(PinprickError) as caught:
        install(board, made, LOCK, ignored)
    assert (caught.value.code, caught.value.field) == (errors.BOARD_WRONG, field)
    assert board.content == {**MEMORY, **OLD}
    assert board.done == [("about", "")]


def test_steps_tell_how_far_it_is(made: Build) -> None:
    steps: list[Step] = []
    install(FakeBoard({"pencore/gone.mpy": b""}), made, LOCK, steps.append)
    of = sum(map(len, made.files.values()))
    assert {step.of for step in steps} == {of}
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1] == Step("seal", MANIFEST, of, of)
    kinds = [step.kind for step in steps]
    assert sorted(set(kinds), key=kinds.index) == ["check", "purge", "copy", "verify", "seal"]


def test_differences_are_named(made: Build) -> None:
    board = FakeBoard()
    install(board, made, LOCK, ignored)
    assert not verified(board, made)
    board.content["pencore/units.mpy"] = b"other"
    board.content["lib/x.py"] = b""
    board.dirs.add("lib")
    del board.content["boot.py"]
    found = differences(board, made)
    assert (found.missing, found.changed, found.foreign) == (
        ("boot.py",),
        ("pencore/units.mpy",),
        ("lib/x.py", "lib/"),
    )
    with pytest.raises(Mismatch, match=r"boot\.py"):
        verified(board, made)


def test_a_board_with_another_build_is_told_by_its_manifest(made: Build) -> None:
    other = build({**SOURCES, "pencore/units.py": b"Z = 4\n"})
    board = FakeBoard()
    install(board, other, LOCK, ignored)
    with pytest.raises(Mismatch, match=f"build {other.identity}") as caught:
        verified(board, made)
    assert caught.value.given == other.identity
    board.content[MANIFEST] = other.manifest[:-5]
    with pytest.raises(Mismatch) as unwhole:
        verified(board, made)
    assert unwhole.value.given is None


# --- the pen before and after ----------------------------------------------------------------------------------------
def info(identity: str) -> PenInfo:
    """Return what a pen with this build says of itself."""
    fields: dict[str, Any] = dict.fromkeys(PenInfo.__dataclass_fields__, 0)
    return PenInfo(**{**fields, "firmware": "0.1.0", "build": identity, "serial": "PP-1"})


class Waiting:
    """A clock that is moved by waiting alone."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


def test_a_pen_is_waited_for_until_it_answers(made: Build) -> None:
    answers = [None, None, info(made.identity)]
    time = Waiting()
    heard = service.started("P", made.identity, ask=lambda _: answers.pop(0), clock=time.clock, pause=time.pause)
    assert heard.build == made.identity
    assert 0 < time.now_s < 5


def test_a_pen_that_never_answers_is_reported(made: Build) -> None:
    time = Waiting()
    with pytest.raises(NoDevice) as caught:
        service.started("P", made.identity, ask=lambda _: None, clock=time.clock, pause=time.pause)
    assert caught.value.code == errors.BOARD_NOT_UP
    assert service.START_S <= time.now_s < service.START_S + 5


def test_a_pen_that_runs_another_build_is_reported(made: Build) -> None:
    with pytest.raises(Mismatch) as caught:
        service.started("P", made.identity, ask=lambda _: info("0" * 16))
    assert (caught.value.code, caught.value.limit) == (errors.BOARD_DIFFERS, made.identity)


def test_the_lock_is_that_of_the_project() -> None:
    assert (locked().board, locked().version) == (LOCK.board, LOCK.version)
