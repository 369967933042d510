"""The words of the Inputs port, held by every set of inputs."""

from pencore.ports import HOME, TRIGGER
from tests.contract.rigs import Rig


def test_the_trigger_shows_at_once_and_alone(rig: Rig) -> None:
    before = rig.inputs.read()
    assert not before & TRIGGER
    rig.press_trigger(True)
    assert rig.inputs.read() == before | TRIGGER
    rig.press_trigger(False)
    assert rig.inputs.read() == before


def test_a_pen_at_rest_is_at_home(rig: Rig) -> None:
    assert rig.inputs.read() & HOME
