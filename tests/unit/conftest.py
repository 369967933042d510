"""A served virtual pen and the host's side of it, for the tests of what a host does with a pen."""

from collections.abc import Iterator

import pytest

from pinprick.device import Pen
from tests.support.served import Served, served


@pytest.fixture
def bench() -> Iterator[Served]:
    """Return a pen at a pipe."""
    with served() as pen:
        yield pen


@pytest.fixture
def pen(bench: Served) -> Iterator[Pen]:
    """Return the host's side of it."""
    with Pen(bench.connect()) as connected:
        yield connected
