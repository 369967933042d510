"""Every fault of a whole pen does to it what its name says, as needle, plant, flash or cable show; mending ends it."""

from collections.abc import Callable
from typing import Any

import pytest

from pencore import faults as codes
from pencore import wire
from pencore.faults import Refusal
from pensim import faults, tap
from pensim.bench import CannotBeDone
from pensim.clock import TICKS_PER_MS
from pensim.faults.memory import CounterBit, LimitBit
from pensim.flash import Operation
from pensim.ports import WATCHDOG_MS
from pensim.tripwire import ANY, CALLS, RAISED
from tests.support import profiles
from tests.support.bench import Bench, NoAnswer
from tests.unit import test_sim_faults

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, 0, 1000, 60, 18), (profiles.NOSE, 0, 200, 5, 18))


def idle() -> Bench:
    """Return a pen that is SAFE."""
    pen = Bench()
    pen.may_coast = pen.may_garble = True
    return pen


def armed() -> Bench:
    """Return a pen that is ARMED, and would take a press."""
    pen = idle()
    pen.load_new(ZONES)
    pen.arm()
    pen.hold(200)
    return pen


def burst() -> Bench:
    """Return a pen in the midst of a burst."""
    pen = armed()
    pen.press()
    pen.hold(300)
    return pen


def shown(pen: Bench) -> int:
    """Return the code that the pen shows."""
    return pen.indicator.shown[1]


def changes(look: Callable[[], bool], pen: Bench, ms: int) -> list[bool]:
    """Let so long pass; return what was seen, one after the other."""
    seen: list[bool] = []
    for _ in range(ms):
        if seen[-1:] != [look()]:
            seen.append(look())
        pen.run_ms(1)
    return seen


def has_power(pen: Bench) -> bool:
    """Return whether the supply is on, as it is now."""
    return pen.powered


def reads(pen: Bench) -> bool:
    """Return whether the host reads, as it is now."""
    return pen.host.reading


def do(pen: Bench, name: str, **parameters: Any) -> None:
    """Do a fault."""
    pen.damage.do(faults.fault(name, **parameters))


# --- all of them ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", faults.ALL, ids=lambda kind: kind.NAME)
def test_what_stands_for_a_kind_is_of_it_and_can_be_done(kind: type[faults.Fault]) -> None:
    few = faults.typical(kind)
    assert 1 <= len(few) <= 4
    for each in few:
        assert faults.fault(kind.NAME, **faults.described(each)) == each
        pen = burst()
        pen.damage.do(each)
        pen.run_ms(20)
        for present in pen.damage.present():
            pen.damage.mend(present.NAME)
        assert not pen.damage.present()
    assert len({str(each) for each in few}) == len(few)


# --- power ------------------------------------------------------------------------------------------------------------
def test_the_power_is_cut_for_so_long_or_until_it_is_mended() -> None:
    pen = burst()
    do(pen, "power-cut", for_ms=200)
    assert not has_power(pen)
    assert not pen.plant.energised
    pen.run_ms(199)
    assert not has_power(pen)
    pen.run_ms(2)
    assert has_power(pen)
    assert not pen.damage.present()
    do(pen, "power-cut", for_ms=0)
    pen.run_ms(5000)
    assert not has_power(pen)
    assert pen.damage.mend("power-cut")
    assert has_power(pen)


def test_a_dip_resets_the_driver_alone_or_the_chip_too() -> None:
    pen = armed()
    resets, nonce = pen.plant.driver_resets, pen.greeting["nonce"]
    do(pen, "brown-out")
    assert pen.plant.driver_resets == resets + 1
    assert has_power(pen)
    assert pen.state() == wire.ARMED
    do(pen, "brown-out", resets="chip")
    assert pen.plant.driver_resets > resets + 1
    assert not pen.plant.energised
    assert pen.hello()["nonce"] != nonce


def test_the_power_goes_twice() -> None:
    pen = burst()
    do(pen, "power-cut-twice", off_ms=50, on_ms=20)
    assert changes(lambda: pen.powered, pen, 150) == [False, True, False, True]


def test_the_power_goes_again_in_the_middle_of_the_recovery() -> None:
    pen = burst()
    pen.release()
    operations: list[int] = []
    do(pen, "power-cut-recovering", off_ms=50, after=1, torn="half")
    before, note = pen._flash_operation, operations.append

    def told(operation: Operation) -> None:
        note(operation.number)
        before(operation)

    vars(pen)["_flash_operation"] = told
    pen.run_ms(51)
    assert has_power(pen)
    assert pen.run_until(lambda: not pen.powered, 2000)
    assert operations == [0, 1]
    pen.run_ms(51)
    assert has_power(pen)
    pen.run_ms(2000)
    assert has_power(pen), "only once"
    assert pen.hello()["open_session"] == 1


def test_a_cut_for_good_after_it_is_for_good() -> None:
    pen = burst()
    do(pen, "power-cut-recovering", off_ms=50, after=1000)
    pen.run_ms(300)
    assert has_power(pen)
    do(pen, "power-cut", for_ms=0)
    pen.run_ms(3000)
    assert not has_power(pen)


# --- flash ------------------------------------------------------------------------------------------------------------
def test_the_flash_goes_back_to_the_last_power_up() -> None:
    pen = idle()
    pen.play_session(((profiles.NOSE, 0, 100, 2, 30),))
    pen.unpower()
    pen.restart()
    pen.play_session(((profiles.NOSE, 0, 100, 2, 30),))
    assert pen.hello()["session_id"] == 3
    pen.unpower()
    do(pen, "flash-rolled-back")
    pen.restart()
    assert pen.greeting["session_id"] == 2


# --- wire -------------------------------------------------------------------------------------------------------------
def answered(pen: Bench) -> bool:
    """Return whether a ping is answered."""
    try:
        pen.ask("ping")
    except NoAnswer:
        return False
    return True


ON_THE_WAY: list[tuple[dict[str, Any], list[bool]]] = [
    ({"name": "wire-drop", "way": "to-pen", "after": 1, "count": 2}, [True, False, False, True]),
    ({"name": "wire-drop", "way": "to-host", "count": 1}, [False, True]),
    ({"name": "wire-drop", "way": "to-pen", "unit": "byte", "after": 5}, [False, True]),
    ({"name": "wire-duplicate", "way": "both", "count": 5}, [True, True]),
    ({"name": "wire-corrupt", "way": "to-pen", "after": 8}, [False, True]),
    ({"name": "wire-corrupt", "way": "to-host", "after": 8}, [False, True]),
    ({"name": "wire-truncate", "way": "to-pen", "keep": 20}, [False, True]),
    ({"name": "wire-truncate", "way": "to-pen", "keep": 20, "newline": False}, [False, False, True]),
    ({"name": "wire-reorder", "way": "to-pen", "count": 1}, [False, True, True]),
    ({"name": "two-hosts", "does": "greets", "every": 1}, [True, True]),
    ({"name": "two-hosts", "does": "guesses", "every": 1}, [True, True]),
    ({"name": "two-hosts", "does": "mixes", "every": 2}, [True, False, True, False]),
]


@pytest.mark.parametrize(("given_", "expected"), ON_THE_WAY, ids=lambda value: str(value)[:40])
def test_what_happens_on_the_way_is_heard_and_over_when_it_is_mended(
    given_: dict[str, Any], expected: list[bool]
) -> None:
    pen = idle()
    given_ = dict(given_)
    name = given_.pop("name")
    do(pen, name, **given_)
    assert [answered(pen) for _ in expected] == expected
    assert pen.damage.mend(name)
    assert not pen.host.tap.disturbed or answered(pen)
    do(pen, name, **given_)
    pen.damage.mend(name)
    assert [answered(pen) for _ in expected] == [True] * len(expected)


def test_a_host_that_knows_the_nonce_takes_the_ids_away() -> None:
    pen = idle()
    do(pen, "two-hosts", does=tap.KNOWS, every=1)
    pen.ask("ping")
    with pytest.raises(Refusal) as refused:
        pen.ask("ping")
    assert refused.value.code == codes.WIRE_STALE_ID
    pen.damage.mend("two-hosts")
    pen.hello()
    pen.ask("ping")


def test_what_is_garbled_or_lost_keeps_no_lease() -> None:
    """The oracle's lease hangs on what reaches the pen, not on what a host has sent."""
    pen = armed()
    do(pen, "wire-drop", way="to-pen", count=1000)
    for _ in range(30):
        pen.send(pen.line("ping"))
        pen.run_ms(100)
    assert not pen.plant.energised
    pen.press()
    pen.run_ms(300)
    pen.damage.mend("wire-drop")
    pen.check()


def test_a_flood_reaches_the_pen_and_it_goes_on() -> None:
    pen = armed()
    do(pen, "wire-flood", of=tap.PINGS, size=2000)
    assert pen.unheard() > 1900
    pen.run_ms(1000)
    pen.listen()
    assert {stray.code for stray in pen.strays} | {
        echo.refusal.code for echo in pen.echoes if echo.refusal is not None
    } == {codes.WIRE_BAD_NONCE}
    pen.ask("ping")


def test_a_deaf_host_takes_nothing_for_so_long() -> None:
    pen = idle()
    do(pen, "host-deaf", for_ms=500)
    assert not reads(pen)
    pen.run_ms(499)
    assert not reads(pen)
    pen.run_ms(2)
    assert reads(pen)
    do(pen, "host-deaf", for_ms=0)
    pen.run_ms(5000)
    assert not reads(pen)
    pen.damage.mend("host-deaf")
    assert answered(pen)


def test_the_cable_is_out_for_so_long_and_what_was_on_its_way_is_lost() -> None:
    pen = idle()
    pen.send(pen.line("ping"))
    do(pen, "unplugged", for_ms=400)
    assert changes(lambda: pen.usb and pen.cable.plugged, pen, 399) == [False]
    assert changes(lambda: pen.usb and pen.cable.plugged, pen, 3) == [False, True]
    pen.listen()
    assert not pen.echoes
    assert answered(pen)


# --- mechanics --------------------------------------------------------------------------------------------------------
def test_the_holder_springs_open_and_is_closed_again() -> None:
    pen = burst()
    do(pen, "cartridge-opened", for_ms=300)
    assert levels(pen, "cartridge_seated", 100) == [False]
    assert shown(pen) == codes.CARTRIDGE_OPENED
    assert not pen.plant.energised
    assert levels(pen, "cartridge_seated", 203)[-1]
    assert not pen.damage.present()


# --- cpu --------------------------------------------------------------------------------------------------------------
def test_a_hung_cpu_takes_no_turn_until_the_watchdog_bites() -> None:
    pen = burst()
    turns = pen.turns
    do(pen, "cpu-hang")
    pen.run_ms(WATCHDOG_MS - 100)
    assert pen.turns == turns
    pen.run_ms(200)
    assert pen.turns > turns
    assert not pen.plant.energised


def test_the_watchdog_bites_though_it_was_fed() -> None:
    pen = burst()
    do(pen, "watchdog-bite")
    assert not pen.plant.energised
    assert has_power(pen)
    pen.release()
    pen.run_ms(10)
    assert pen.hello()["open_session"] == 1


@pytest.mark.parametrize("error", RAISED)
def test_a_call_raises_once_after_those_that_work(error: str) -> None:
    pen = burst()
    calls: list[int] = []
    poll = pen.engine.poll

    def counted() -> int:
        calls.append(1)
        return poll()

    vars(pen.engine)["poll"] = counted
    do(pen, "port-raises", call="engine.poll", after=5, error=error)
    assert pen.run_until(lambda: not pen.plant.energised, 1000)
    if error != "OSError":
        assert len(calls) == 5
        assert [type(crash).__name__ for crash in pen.crashes] == [error]
    pen.release()
    pen.run_ms(500)
    assert len(pen.crashes) <= 1
    pen.hello()


def test_an_error_of_the_flash_comes_once_and_the_session_goes_on() -> None:
    pen = armed()
    do(pen, "port-raises", call="store.append", error="OSError")
    pen.press()
    pen.run_ms(100)
    assert shown(pen) == codes.STORE_FAILED
    assert [fault.NAME for fault in pen.damage.present()] == ["port-raises"], "until it is mended or the pen boots"
    pen.release()
    pen.run_ms(300)
    pen.recover_from_fault()
    pen.load(pen.loaded_data)
    pen.finish_session()
    assert not pen.crashes


def test_a_call_that_was_spared_raises_nothing_and_a_reset_spares_it() -> None:
    for end in (lambda pen: pen.damage.mend("port-raises"), Bench.reset):
        pen = idle()
        do(pen, "port-raises", call="inputs.read")
        end(pen)
        assert not pen.damage.present()
        pen.run_ms(1000)
        assert not pen.crashes


def test_the_first_boot_is_reached_too() -> None:
    pen = Bench(greet=False)
    do(pen, "port-raises", call="identity.nonce", error="MemoryError", next_boot=True)
    pen.power_on()
    assert [type(crash) for crash in pen.crashes] == [MemoryError]
    pen.hello()


def test_memory_runs_out_at_any_call() -> None:
    pen = burst()
    do(pen, "out-of-memory", after=7)
    pen.run_ms(200)
    assert [type(crash) for crash in pen.crashes] == [MemoryError]
    assert not pen.plant.energised


def test_what_the_pen_itself_gets_wrong_is_no_planted_error() -> None:
    pen = idle()
    do(pen, "port-raises", call="store.append", after=1000)

    def wrong() -> int:
        raise IndexError

    vars(pen.engine)["poll"] = wrong
    with pytest.raises(IndexError):
        pen.run_ms(2000)


def test_every_call_of_a_port_can_raise() -> None:
    for call in (*CALLS, ANY):
        pen = idle()
        do(pen, "port-raises", call=call, after=10**6)
        pen.run_ms(50)
        assert not pen.crashes


@pytest.mark.parametrize("bits", [30, 31, 32])
def test_the_clock_wraps_soon_after_the_next_boot(bits: int) -> None:
    pen = idle()
    do(pen, "clock-wraps", bits=str(bits), before_ms=700)
    assert pen.clock.now_ms() == (1 << bits) - 700
    pen.hello()
    pen.load_new(ZONES)
    pen.arm()
    while 0 < (1 << bits) - pen.clock.now_ms() <= 700:
        pen.stroke_for(100)
    pen.finish_session()
    pen.pull()
    pen.check()
    off = Bench(greet=False)
    do(off, "clock-wraps", bits=str(bits), before_ms=50)
    off.run_ms(500)
    off.power_on()
    assert off.clock.now_ms() == (1 << bits) - 50


# --- driver -----------------------------------------------------------------------------------------------------------
def test_a_silent_driver_is_a_fault_until_it_answers() -> None:
    pen = burst()
    do(pen, "driver-silent")
    pen.run_ms(200)
    assert shown(pen) == codes.DRIVER_FAULT
    pen.release()
    pen.run_ms(500)
    pen.recover_from_fault()
    with pytest.raises(AssertionError):
        pen.arm()
    assert shown(pen) == codes.DRIVER_FAULT
    pen.damage.mend("driver-silent")
    pen.recover_from_fault()
    pen.finish_session()
    pen.pull()
    pen.check()


# --- memory -----------------------------------------------------------------------------------------------------------
def test_bits_flip_where_they_are_told_to() -> None:
    pen = armed()
    runner: Any = pen.runner
    before = runner.profile_data
    do(pen, "profile-bit", bit=8 * 40 + 3)
    assert [at for at, byte in enumerate(runner.profile_data) if byte != before[at]] == [40]
    assert runner.profile_data[40] ^ before[40] == 8
    bounds = runner.provision.bounds
    ceiling_um, lead_um = bounds.ceiling_um, bounds.geometry.lead_um
    do(pen, "limit-bit", limit="ceiling_um", bit=12)
    do(pen, "limit-bit", limit="geometry.lead_um", bit=2)
    assert (bounds.ceiling_um ^ ceiling_um, bounds.geometry.lead_um ^ lead_um) == (1 << 12, 4)
    counter = runner.session._outstanding
    value = counter._value
    do(pen, "counter-bit", counter="outstanding", bit=5, inverse=True)
    assert (counter._value, counter._inverse ^ ~value) == (value, 32)
    do(pen, "counter-bit", counter="outstanding", bit=5)
    assert counter._value == ~counter._inverse == value ^ 32


@pytest.mark.parametrize("name", ["profile-bit", "counter-bit"])
def test_what_is_not_there_can_t_flip(name: str) -> None:
    pen = idle()
    with pytest.raises(CannotBeDone):
        do(pen, name)
    assert not pen.damage.present()


def test_a_pen_without_bounds_has_none_that_could_flip() -> None:
    blank = Bench(blank=True)
    with pytest.raises(CannotBeDone, match="not provisioned"):
        do(blank, "limit-bit")


def test_every_counter_and_every_limit_can_flip() -> None:
    pen = armed()
    for kind, parameter in ((CounterBit, "counter"), (LimitBit, "limit")):
        (choices,) = [each.choices for each in faults.parameters(kind) if each.name == parameter]
        for choice in choices:
            for _ in range(2):
                do(pen, kind.NAME, **{parameter: choice}, bit=1)


# --- people -----------------------------------------------------------------------------------------------------------
def levels(pen: Bench, what: str, ms: int) -> list[bool]:
    """Let so long pass for a pen that writes nothing; return the levels that a button had, one after the other."""
    return changes(lambda: bool(getattr(pen.plant, what)), pen, ms)


def test_the_trigger_is_held_for_so_long_or_until_somebody_lets_go() -> None:
    pen = idle()
    do(pen, "trigger-held", for_ms=400)
    assert levels(pen, "trigger_down", 399) == [True]
    assert levels(pen, "trigger_down", 3) == [True, False]
    do(pen, "trigger-held", for_ms=0)
    assert levels(pen, "trigger_down", 3000) == [True]
    pen.damage.mend("trigger-held")
    assert not pen.plant.trigger_down
    ready = armed()
    do(ready, "trigger-held", for_ms=400)
    ready.hold(500)
    assert sum(ready.needle_strokes().values()) > 3


def test_a_double_press_is_two_presses() -> None:
    pen = idle()
    begun = pen.clock.now
    do(pen, "double-press", down_ms=30, up_ms=40, for_ms=50)
    assert levels(pen, "trigger_down", 119) == [True, False, True]
    assert levels(pen, "trigger_down", 3) == [True, False]
    assert pen.clock.now - begun < 130 * TICKS_PER_MS
    assert not pen.damage.present()
    do(pen, "double-press", down_ms=30, up_ms=40, for_ms=50)
    pen.damage.mend("double-press")
    assert levels(pen, "trigger_down", 300) == [False]


def test_the_stop_button_is_hit_again_and_again_and_left_out() -> None:
    pen = burst()
    do(pen, "stop-hammered", times=3, apart_ms=10)
    assert not pen.plant.energised
    assert levels(pen, "stop_open", 200) == [True, False] * 3
    assert not pen.damage.present()
    assert shown(pen) == codes.STOP_BUTTON
    do(pen, "stop-hammered", times=3, apart_ms=10)
    pen.damage.mend("stop-hammered")
    assert levels(pen, "stop_open", 200) == [False]


def test_a_wrong_laptop_clock_is_in_what_a_host_fills_in() -> None:
    pen = idle()
    small = ((profiles.NOSE, 0, 100, 2, 30),)
    pen.play_session(small)
    do(pen, "laptop-clock-wrong", by_s=-400 * 86_400)
    with pytest.raises(Refusal) as refused:
        pen.load_new(small)
    assert refused.value.code == codes.TIME_BACK
    pen.damage.mend("laptop-clock-wrong")
    pen.load_new(small)


# --- and that is all --------------------------------------------------------------------------------------------------
TRIED = """
    power-cut brown-out power-cut-twice power-cut-recovering flash-rolled-back wire-drop wire-duplicate wire-reorder
    wire-corrupt wire-truncate wire-flood host-deaf unplugged two-hosts cartridge-opened cpu-hang watchdog-bite
    port-raises out-of-memory clock-wraps driver-silent profile-bit limit-bit counter-bit trigger-held double-press
    stop-hammered laptop-clock-wrong
"""


def test_each_fault_is_tried_here_or_with_the_parts() -> None:
    assert {*TRIED.split()} | test_sim_faults.TRIED == {kind.NAME for kind in faults.ALL}


def test_places_hold_one_fault_and_what_is_done_to_the_chip_ends_with_its_boot() -> None:
    pen = armed()
    do(pen, "port-raises", call="store.append", after=1000)
    do(pen, "out-of-memory", after=100_000)
    do(pen, "edges-dropped", where="pin")
    do(pen, "edges-dropped", where="wire")
    do(pen, "wire-drop", count=1000, way="to-host", after=10**5)
    names = [fault.NAME for fault in pen.damage.present()]
    assert names == ["out-of-memory", "edges-dropped", "edges-dropped", "wire-drop"]
    pen.reset()
    assert [fault.NAME for fault in pen.damage.present()] == ["edges-dropped", "wire-drop"]


def test_what_follows_at_the_next_boot_or_cut_follows_once() -> None:
    pen = idle()
    told: list[str] = []
    acts: tuple[tuple[Callable[[Callable[[], None]], None], str], ...] = (
        (pen.damage.at_boot, "boot"),
        (pen.damage.at_cut, "cut"),
    )
    for later, name in acts:
        later(lambda name=name: told.append(name))  # type: ignore[misc]  # bound now, which a Callable can't tell
    for _ in range(2):
        pen.unpower()
        pen.restart()
    assert told == ["cut", "boot"]
