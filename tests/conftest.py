"""What all tests share: hypothesis's settings and the MicroPython VM."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.vm.machine import MicroPythonVM

# On CI the same examples every time; elsewhere new ones, so that they are explored. No deadline: machines differ.
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.register_profile("local", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def vm() -> Iterator[MicroPythonVM]:
    """Return a real MicroPython, one for each worker; a call that kills it fails its own test and all after it."""
    with MicroPythonVM() as machine:
        yield machine
