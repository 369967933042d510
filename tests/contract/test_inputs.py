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


def test_what_moved_in_between_is_told_of_once(rig: Rig) -> None:
    rig.press_trigger(True)
    assert rig.inputs.moved() == TRIGGER
    assert rig.inputs.moved() == 0
    for down in (False, True):
        rig.press_trigger(down)
        rig.run_ms(1)
    assert rig.inputs.read() & TRIGGER
    assert rig.inputs.moved() == TRIGGER
    assert rig.inputs.moved() == 0


def test_a_pen_at_rest_is_at_home(rig: Rig) -> None:
    assert rig.inputs.read() & HOME
