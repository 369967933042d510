"""What all tests share: hypothesis's settings, the MicroPython VM, and which tests want an image that may be absent."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.safety import plugin
from tests.vm.machine import MicroPythonVM

# On CI the same examples every time; elsewhere new ones, so that they are explored. No deadline: machines differ.
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.register_profile("local", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# The keyring of whoever runs the tests is none of their business; processes that they start hear it too.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Let the processes that tests start keep what they compile, beside the tree: not each of them compiles it anew."""
    # One that was killed may be about to write there still.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", folder)
        yield


@pytest.fixture(scope="session")
def vm() -> Iterator[MicroPythonVM]:
    """Return a real MicroPython, one for each worker; a call that kills it fails its own test and all after it."""
    with MicroPythonVM() as machine:
        yield machine


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be asked to note what ran."""
    plugin.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Note what ran, where that was asked for."""
    plugin.take_notes(config)


UF2 = "PINPRICK_UF2"


def _chip_left_out(config: pytest.Config) -> bool:
    """Return whether the tests of the whole chip can't be run, and nobody has asked for them by their marker."""
    return not os.environ.get(UF2) and "chip" not in config.option.markexpr


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests of the whole chip out where there is no image for it; asked for by their marker, they fail.

    All of them are slow: first of all, before anybody asks which items are.
    """
    for item in items:
        if item.get_closest_marker("chip") is not None:
            item.add_marker(pytest.mark.slow)
    if _chip_left_out(config):
        kept = [item for item in items if item.get_closest_marker("chip") is None]
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("chip") is not None])
        items[:] = kept


CHIP_TESTS = Path(__file__).parent / "chip"


def _chip_meant(config: pytest.Config) -> bool:
    """Return whether the tests of the whole chip lie where this run was asked to look."""
    asked = [(config.invocation_params.dir / str(word).partition("::")[0]).resolve() for word in config.args]
    return any(CHIP_TESTS.is_relative_to(path) or path.is_relative_to(CHIP_TESTS) for path in asked)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say loudly what was left out, unless nobody asked for it: a run of a single other file."""
    if _chip_left_out(config) and _chip_meant(config):
        terminalreporter.section("TIER 4 WAS NOT RUN", sep="!", yellow=True)
        terminalreporter.line(
            f"The tests of the whole chip (marker `chip`) want a MicroPython image: set {UF2} to the path of its UF2."
        )
