"""From any reset to arming the driver's enable is off, on the pad itself and at every edge, whatever reset it was."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from pencore import wire
from pensim.chip.copies import in_copy
from pensim.chip.image import Image
from pensim.chip.inside import trigger_watchdog
from pensim.chip.pen import ENABLE
from pensim.flash import Operation
from pensim.world import default_provision
from pinprick.board.build import Build
from tests.chip.bench import ChipBench, flash_of
from tests.chip.witness import Witness, blink, counted, reach

pytestmark = pytest.mark.chip

LOOK_EVERY_MS = 25
"""From one moment of a boot that is reset to the next."""
BOOT_MS = 1550
OUTPUTS_SAFE_MS = 200
"""Longest time from a reset until the firmware itself holds the pad high."""
WATCHDOG_MS = 4000


def run_pin(pen: ChipBench) -> None:
    """Reset the chip at its RUN pin."""
    pen.emulator.reset()


def watchdog(pen: ChipBench) -> None:
    """Let the watchdog reset the chip now."""
    trigger_watchdog(pen.emulator.chip)


def hang(pen: ChipBench) -> None:
    """Let the CPU hang until the watchdog bites."""
    pen.hang()
    assert pen.run_until(lambda: bool(pen.crashes), WATCHDOG_MS + 200, 10)
    assert pen.crashes[-1].by_watchdog


RESETS: dict[str, Callable[[ChipBench], None]] = {
    "run pin": run_pin,
    "watchdog": watchdog,
    "hang": hang,
    "blink of 1 ms": partial(blink, ms=1),
    "blink of 7 ms": partial(blink, ms=7),
    "blink of 50 ms": partial(blink, ms=50),
}
STATES = (wire.SAFE, wire.LOADED, wire.HOMING, wire.ARMED, wire.RUNNING, wire.PAUSED, wire.SEALING, wire.FAULT)
DRIVEN = (wire.HOMING, wire.ARMED, wire.RUNNING, wire.PAUSED)


def is_reset(pen: ChipBench, state: int, kind: str) -> None:
    """Reset `pen` in `state`: the driver is off at that tick and stays off until the pen is armed anew."""
    reach(pen, state)
    witness = Witness(pen)
    pen.may_coast = True
    assert pen.plant.energised == (state in DRIVEN)
    at = pen.clock.now
    RESETS[kind](pen)
    assert witness.is_off()
    if state in DRIVEN and kind != "hang":
        assert witness.edges == [(at, False)]
    elif state not in DRIVEN:
        assert witness.edges == []
    pen.keep_inside()
    witness.forget()
    witness.keeps_off_until_it_speaks()
    assert witness.edges == []
    assert pen.emulator.drives(ENABLE)
    # What was reserved counts; the needle has made no more.
    assert max(counted(pen.image), 0) >= sum(pen.needle_strokes().values())
    pen.check(allow=("LEASE", "CONSENT") if kind == "hang" else ())


CASES = [
    *((state, "run pin") for state in STATES),
    *((state, kind) for state in (wire.RUNNING, wire.HOMING) for kind in ("watchdog", "blink of 7 ms")),
    (wire.RUNNING, "hang"),
    (wire.ARMED, "blink of 1 ms"),
    (wire.PAUSED, "watchdog"),
    (wire.SEALING, "watchdog"),
    (wire.SAFE, "blink of 50 ms"),
]


def test_nothing_switches_the_driver_on_from_power_up_until_the_pen_is_armed(
    chip_image: Image, firmware: Build
) -> None:
    pen = ChipBench(chip_image, flash_of(firmware, default_provision()))
    witness = Witness(pen)
    pen.power_on()
    assert not pen.emulator.drives(ENABLE)
    assert pen.run_until(lambda: pen.emulator.drives(ENABLE), OUTPUTS_SAFE_MS)
    witness.keeps_off_until_it_speaks()
    pen.load_new()
    assert witness.edges == []
    asked = pen.clock.now
    pen.arm(0)
    assert witness.edges
    assert min(witness.was_on()) > asked


@pytest.mark.parametrize(("state", "kind"), CASES)
def test_a_reset_in_any_state_leaves_the_driver_off(armed_pen: ChipBench, state: int, kind: str) -> None:
    in_copy(partial(is_reset, armed_pen, state, kind))


def test_a_reset_at_any_moment_of_a_boot_leaves_the_driver_off(chip_image: Image, firmware: Build) -> None:
    """Each such boot is followed until the firmware holds the pad by itself; a few to the pen's first word."""
    pen = ChipBench(chip_image, flash_of(firmware, default_provision()))
    witness = Witness(pen)
    pen.power_on()
    # Nobody is bitten by a watchdog that the firmware hasn't started.
    kinds = [kind for kind in RESETS if kind != "hang"]
    draw = random.Random(5)

    def again(kind: str, whole: bool) -> None:
        RESETS[kind](pen)
        assert witness.is_off()
        assert not pen.emulator.drives(ENABLE)
        assert pen.run_until(lambda: pen.emulator.drives(ENABLE), OUTPUTS_SAFE_MS)
        pen.run_ms(20)
        if whole:
            witness.keeps_off_until_it_speaks()
        assert witness.edges == []

    moments = range(0, BOOT_MS, LOOK_EVERY_MS)
    whole = set(draw.sample(moments, 3))
    for number, moment in enumerate(moments):
        in_copy(partial(again, kinds[number % len(kinds)], moment in whole))
        pen.run_ms(LOOK_EVERY_MS - 1 + 2 * draw.random())
    assert witness.edges == []


@pytest.mark.parametrize("kind", ["run pin", "watchdog"])
@pytest.mark.parametrize("operation", ["erase", "program"])
def test_a_reset_in_the_middle_of_a_flash_operation_leaves_the_driver_off(
    armed_pen: ChipBench, kind: str, operation: str
) -> None:
    """The flash goes on by itself; the chip starts when it can be read again."""

    def act() -> None:
        pen = armed_pen
        # The first block is reserved by programs alone; what is sealed is written to a block that is erased before.
        reach(pen, wire.ARMED if operation == "program" else wire.PAUSED)
        pen.release()
        pen.hold(150)
        witness = Witness(pen)
        minded = pen.flash.before
        hit: list[int] = []

        def before(begun: Operation) -> None:
            if minded is not None:
                minded(begun)
            if begun.kind == operation and not hit:
                hit.append(begun.number)
                pen.after(0.2, lambda: RESETS[kind](pen))

        pen.flash.before = before
        made = sum(pen.needle_strokes().values())
        if operation == "program":
            pen.press()
        else:
            pen.send(pen.line("finish"))
        assert pen.run_until(lambda: bool(hit), 2000, 0.1)
        pen.run_ms(0.3)
        assert witness.edges[-1][1] is False
        assert witness.is_off()
        assert pen.flash.busy
        # The boot ROM waits; what it would fetch now are ones.
        assert pen.emulator.chip.core.pc >> 28 == 2
        witness.forget()
        witness.keeps_off_until_it_speaks()
        assert pen.greeting["state"] != wire.FAULT
        assert sum(pen.needle_strokes().values()) == made
        assert made <= max(counted(pen.image), 0) or pen.greeting["session_id"] == 2
        assert (made > 0) == (operation == "erase")

    in_copy(act)
