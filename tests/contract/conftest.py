"""Every test of the contract runs on every rig."""

import pytest

from tests.contract.rigs import RIGS, Rig


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest) -> Rig:
    """Return a fresh rig."""
    return RIGS[request.param]()
