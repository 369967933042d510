"""A stop is the last word, however much stood before it in what the host sent."""

import pytest

from pencore import wire
from tests.support.bench import Bench


def stopped() -> Bench:
    """Return a pen that was stopped in the midst of a session."""
    pen = Bench()
    pen.may_coast = True
    pen.load_new()
    pen.arm()
    pen.stroke_for(200)
    pen.send(b"\x18")
    pen.run_ms(300)
    assert pen.state() == wire.FAULT
    return pen


@pytest.mark.parametrize("between", [0, 1, 3])
def test_a_clear_and_an_arming_before_a_stop_switch_nothing_on(between: int) -> None:
    """The stop is heard before those lines are looked at, in FAULT, where it has nothing more to end."""
    pen = stopped()
    pings = b"".join(pen.line("ping") for _ in range(between))
    pen.send(pen.line("clear") + pen.line("arm", zone=None) + pings + b"\x18")
    for _ in range(50):
        pen.run_ms(20)
        assert not pen.plant.energised
    assert pen.state() == wire.FAULT
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()


def test_a_clear_after_a_stop_in_the_same_packet_is_carried_out() -> None:
    pen = stopped()
    pen.send(b"\x18" + pen.line("clear"))
    pen.run_ms(200)
    assert pen.state() == wire.LOADED
