"""A stop byte that arrives while the flash is written: no stroke begins after it, whatever was reserved meanwhile."""

from typing import Any

import pytest

from pencore import faults, wire
from pensim.flash import Operation
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, profiles.LEFT, 400, 130, 30),)


class Stopping(Bench):
    """A pen whose host stops it in the middle of flash operation `number`, counted from the first press."""

    def __init__(self, number: int, **arguments: Any) -> None:
        self.left = -1
        self.number = number
        self.begun = -1
        super().__init__(**arguments)

    def _flash_operation(self, operation: Operation) -> None:
        super()._flash_operation(operation)
        if self.left == 0:
            self.begun = self.plant.report().total.begun
            self.send(b"\x18")
        self.left -= 1

    def play(self) -> None:
        """Press for longer than the session takes."""
        self.load_new(ZONES)
        self.arm(0)
        self.release()
        self.hold(150)
        self.left = self.number
        self.press()
        for _ in range(100):
            if self.begun >= 0:
                break
            self.hold(100)
        self.run_ms(500)


@pytest.mark.parametrize("number", range(24))
def test_no_stroke_begins_after_a_stop_that_came_during_a_write(number: int) -> None:
    pen = Stopping(number)
    pen.play()
    assert pen.begun >= 0, "no such operation"
    assert pen.status()["fault"] == faults.OPERATOR_STOP
    assert pen.state() == wire.FAULT
    assert pen.plant.report().total.begun == pen.begun
    assert not pen.plant.energised
    pen.release()
    pen.hold(100)
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()
