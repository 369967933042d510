"""What reaches a user: the wheel, built and installed into a clean environment, and the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

import pencore
from pencore.version import FIRMWARE
from pinprick import firmware_files
from tests.architecture.source import ROOT, known_modules

pytestmark = pytest.mark.slow

PACKAGES = {"pencore", "pensim", "pinprick"}
NEVER_INSTALLED = ("boot", "main", "micropython", "pen", "pendevice", "tests")


def ran(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Return what `command` printed; fail with all it said when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Installed:
    """A wheel in an environment that holds nothing else but pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ran(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist", cwd=ROOT)
        (self.wheel,) = (folder / "dist").glob("*.whl")
        venv.create(folder / "env", with_pip=True)
        self.python = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        before = self.top_level()
        ran(self.python, "-m", "pip", "install", "--no-deps", "--no-index", self.wheel, cwd=folder)
        self.added = self.top_level() - before

    def top_level(self) -> set[str]:
        """Return the names in the environment's library folder."""
        return {path.name for path in Path(self.evaluated("sysconfig.get_path('purelib')", "sysconfig")).iterdir()}

    def evaluated(self, expression: str, *modules: str, libraries: bool = False) -> Any:
        """Return what `expression` is there, after importing `modules`, away from the checkout.

        `libraries` lends it the libraries of this environment: as plain folders, so not the checkout that they name.
        """
        imports = "".join(f"import {module}\n" for module in modules)
        code = f"import json\n{imports}print(json.dumps({expression}))"
        lent = {"PYTHONPATH": sysconfig.get_path("purelib")} if libraries else {"PYTHONPATH": ""}
        return json.loads(ran(self.python, "-c", code, cwd=self.folder, **lent))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return the wheel, installed once for the tests of this file (once in each worker that runs some of them)."""
    return Installed(tmp_path_factory.mktemp("wheel"))


def test_only_the_three_packages_reach_an_environment(installed: Installed) -> None:
    names = {name for name in installed.added if not name.endswith(".dist-info")}
    assert names == PACKAGES


def test_nothing_of_the_pen_can_be_imported(installed: Installed) -> None:
    found = installed.evaluated(
        f"[name for name in {NEVER_INSTALLED} if importlib.util.find_spec(name)]", "importlib.util"
    )
    assert found == []


def test_the_wheel_holds_the_firmware_byte_for_byte(installed: Installed) -> None:
    there = installed.evaluated("{name: data.hex() for name, data in pinprick.firmware_files().items()}", "pinprick")
    assert there == {name: data.hex() for name, data in firmware_files().items()}


def test_the_wheel_holds_the_name_of_the_image(installed: Installed) -> None:
    there = installed.evaluated("pinprick.firmware.image_lock()", "pinprick.firmware")
    assert there == (ROOT / "firmware" / "image.lock").read_text(encoding="utf-8")


def test_the_firmware_of_the_wheel_is_read_from_the_wheel(installed: Installed) -> None:
    home = installed.evaluated("[pinprick.__file__, pencore.__file__]", "pinprick", "pencore")
    assert all(Path(path).is_relative_to(installed.folder) for path in home)


def test_every_module_of_the_wheel_can_be_imported(installed: Installed) -> None:
    wanted = {name for name in known_modules() if name.partition(".")[0] in PACKAGES and "__main__" not in name}
    code = (
        "sorted(importlib.import_module(found.name).__name__ for package in (pencore, pensim, pinprick)"
        " for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.')"
        " if not found.name.endswith('__main__'))"
    )
    modules = installed.evaluated(code, "importlib", "pkgutil", *sorted(PACKAGES), libraries=True)
    assert set(modules) | PACKAGES == wanted


def test_the_command_is_installed_and_says_its_version(installed: Installed) -> None:
    command = installed.python.parent / ("pinprick.exe" if sys.platform == "win32" else "pinprick")
    said = ran(command, "--version", cwd=installed.folder, PYTHONPATH=sysconfig.get_path("purelib"))
    assert FIRMWARE in said


def test_a_checkout_hands_out_its_own_files() -> None:
    firmware = ROOT / "firmware"
    assert Path(next(iter(pencore.__path__))) == firmware / "pencore"
    on_disk = {
        path.relative_to(firmware).as_posix(): path.read_bytes()
        for folder in ("pencore", "pendevice", "pen")
        for path in (firmware / folder).rglob("*.py")
    }
    del on_disk["pencore/ports.py"]
    assert firmware_files() == on_disk
    assert list(firmware_files()) == sorted(on_disk)
