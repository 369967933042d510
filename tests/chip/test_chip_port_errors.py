"""Whatever a port raises, wherever: driver off at once, the counts safe, a pen again; never a prompt."""

from collections.abc import Callable
from functools import partial

import pytest

from pencore import wire
from pensim.chip.copies import in_copy
from pensim.chip.image import Image
from pensim.chip.inside import wire_of
from pensim.faults.cpu import OutOfMemory, PortRaises
from pensim.tripwire import CALLS, RAISED
from pensim.world import default_provision
from tests.chip.bench import ChipBench, flash_of
from tests.chip.tripwire import is_tripped, set_wire, wired_firmware
from tests.chip.witness import Witness, counted, reach
from tests.support import profiles

pytestmark = pytest.mark.chip

OFF_MOST_MS = 30
"""Longest time from what is raised to the driver off: a collection of garbage may come between."""
TRIPS_MOST_MS = 4000


@pytest.fixture(scope="module")
def wired_pen(chip_image: Image) -> ChipBench:
    """Return a pen with wires, ARMED. Not to be used but in copies."""
    pen = ChipBench(chip_image, flash_of(wired_firmware(), default_provision()))
    pen.boot()
    pen.load_new(profiles.TWO_ZONES)
    pen.arm(0)
    return pen


def nothing(_pen: ChipBench) -> None:
    """Let it come by itself."""


def ask_hello(pen: ChipBench) -> None:
    """Greet, and wait for nothing."""
    pen.send(pen.line("hello", protocol_major=1, protocol_minor=0, client="bench"))


def ask_arm(pen: ChipBench) -> None:
    """Begin to arm."""
    pen.send(pen.line("arm", zone=0))


def ask_finish(pen: ChipBench) -> None:
    """Begin to seal."""
    pen.send(pen.line("finish"))


def press_stop(pen: ChipBench) -> None:
    """Press the stop button."""
    pen.stop_button(True)


# Call -> the state it is tried in, what makes it come, how many are let through.
TRIED: dict[str, tuple[int, Callable[[ChipBench], None], int]] = {
    "clock.now_ms": (wire.RUNNING, nothing, 3),
    "link.read": (wire.RUNNING, nothing, 0),
    "link.room": (wire.RUNNING, nothing, 1),
    "link.write": (wire.RUNNING, nothing, 0),
    "inputs.read": (wire.RUNNING, nothing, 2),
    "inputs.moved": (wire.ARMED, ChipBench.press, 0),
    "engine.poll": (wire.RUNNING, nothing, 5),
    "engine.home": (wire.LOADED, ask_arm, 0),
    "engine.homing": (wire.LOADED, ask_arm, 5),
    "engine.load": (wire.LOADED, ask_arm, 0),
    "engine.arm": (wire.LOADED, ask_arm, 0),
    "engine.allow": (wire.ARMED, ChipBench.press, 0),
    "engine.credit": (wire.RUNNING, nothing, 2),
    "engine.withdraw": (wire.RUNNING, ChipBench.release, 0),
    "engine.take": (wire.RUNNING, nothing, 1),
    "engine.disarm": (wire.RUNNING, press_stop, 0),
    "store.size": (wire.ARMED, ChipBench.press, 0),
    "store.read": (wire.ARMED, ChipBench.press, 0),
    "store.append": (wire.ARMED, ChipBench.press, 1),
    "store.rename": (wire.PAUSED, ask_finish, 0),
    "store.remove": (wire.PAUSED, ask_finish, 0),
    "watchdog.feed": (wire.RUNNING, nothing, 0),
    "indicator.show": (wire.RUNNING, ChipBench.release, 0),
    "identity.build": (wire.ARMED, ask_hello, 0),
}
AT_BOOT = ("clock.now_ms", "store.size", "store.names", "identity.nonce", "identity.reset_cause")
"""Those are tried in a boot; the last one is of interest only after a session was interrupted."""
NOBODY_S = ("engine.queued",)
"""The logic counts for itself."""


def test_every_call_of_every_port_is_tried() -> None:
    assert {*CALLS} == TRIED.keys() | {*AT_BOOT, *NOBODY_S}


def has_counted(pen: ChipBench, made: int) -> bool:
    """Return whether the flash knows of so many strokes, of an open session or a sealed one."""
    if not pen.greeting["open_session"] and pen.greeting["session_id"] > 1:
        pen.pull()
        return pen.sealed[1].counted() >= made
    return max(counted(pen.image), 0) >= made


def is_tried(pen: ChipBench, call: str, raised: str) -> None:
    """Let `call` raise, look at needle, pad and flash; then let the pen boot, if it has reset itself."""
    state, provoke, earlier = TRIED[call]
    reach(pen, state)
    if state in (wire.ARMED, wire.PAUSED):
        # Long enough released for a press to count, and with nothing left to settle.
        pen.hold(300)
    witness = Witness(pen)
    pen.may_coast = True
    set_wire(pen, call, earlier, raised)
    provoke(pen)
    assert pen.run_until(lambda: is_tripped(pen), TRIPS_MOST_MS, 0.25), "it was never called"
    pen.run_ms(OFF_MOST_MS)
    assert witness.is_off()
    made = sum(pen.needle_strokes().values())
    witness.edges.clear()
    assert all(not crash.by_watchdog for crash in pen.crashes)
    if pen.crashes:
        pen.release()
        pen.keep_inside()
        witness.keeps_off_until_it_speaks()
    else:
        # The logic has answered it: an error of the file system's is a fault that can be cleared.
        assert raised == "OSError"
        pen.hello()
        assert pen.greeting["state"] == wire.FAULT
        assert witness.prompts() == []
    assert witness.was_on() == []
    assert sum(pen.needle_strokes().values()) == made
    assert has_counted(pen, made)
    pen.check()


@pytest.mark.parametrize("call", TRIED)
def test_what_a_port_raises_switches_the_driver_off_and_loses_no_stroke(wired_pen: ChipBench, call: str) -> None:
    raised = RAISED[wire_of(call) % len(RAISED)]
    in_copy(partial(is_tried, wired_pen, call, raised))


@pytest.mark.parametrize("raised", RAISED)
def test_whatever_is_raised_in_the_middle_of_the_strokes(wired_pen: ChipBench, raised: str) -> None:
    in_copy(partial(is_tried, wired_pen, "engine.take", raised))


def test_memory_that_runs_out_anywhere_is_a_reset(wired_pen: ChipBench) -> None:
    def act() -> None:
        pen = wired_pen
        reach(pen, wire.RUNNING)
        witness = Witness(pen)
        pen.may_coast = True
        pen.damage.do(OutOfMemory(after=50))
        assert pen.run_until(lambda: bool(pen.crashes), TRIPS_MOST_MS, 0.25)
        assert witness.is_off()
        assert pen.damage.present() == ()
        pen.release()
        pen.keep_inside()
        witness.keeps_off_until_it_speaks()
        pen.check()

    in_copy(act)


def test_a_wire_that_was_cut_trips_nobody(wired_pen: ChipBench) -> None:
    def act() -> None:
        pen = wired_pen
        set_wire(pen, "inputs.read", 0, "RuntimeError")
        assert pen.damage.mend(PortRaises.NAME)
        pen.hold(100)
        assert not pen.crashes

    in_copy(act)


@pytest.mark.parametrize("call", AT_BOOT)
def test_what_a_port_raises_in_a_boot_is_a_reset(wired_pen: ChipBench, call: str) -> None:
    def act() -> None:
        pen = wired_pen
        interrupted = call == "identity.reset_cause"
        if interrupted:
            pen.may_coast = True
            reach(pen, wire.RUNNING)
        made = sum(pen.needle_strokes().values())
        pen.power_cut()
        pen.keep_inside()
        pen.release()
        pen.run_ms(5)
        witness = Witness(pen)
        pen.power_on()
        set_wire(pen, call, 0, "RuntimeError")
        assert pen.run_until(lambda: bool(pen.crashes), TRIPS_MOST_MS)
        assert is_tripped(pen)
        assert witness.prompts() == []
        witness.keeps_off_until_it_speaks()
        assert len(pen.crashes) == 1
        assert pen.greeting["open_session"] == interrupted
        assert has_counted(pen, made)

    in_copy(act)
