"""Every fault of `pensim.faults` on the whole chip: done to it, or said to be impossible; those inside it where they
are told to be.
"""

from functools import partial
from typing import Any

import pytest

from pencore import faults as codes
from pencore import wire
from pensim import faults
from pensim.bench import CannotBeDone
from pensim.chip.copies import in_copy
from pensim.chip.heap import Heap
from pensim.clock import TICKS_PER_MS
from pensim.faults.memory import CounterBit
from tests.chip.bench import ChipBench
from tests.chip.witness import reach
from tests.support import profiles
from tests.support.bench import NoAnswer

pytestmark = pytest.mark.chip

INSTANCES = [fault for kind in faults.ALL for fault in faults.typical(kind)]
CLASSES = [*faults.classes()]


def do(pen: ChipBench, name: str, **parameters: Any) -> None:
    """Do a fault."""
    pen.damage.do(faults.fault(name, **parameters))


def is_done_or_refused(pen: ChipBench, fault: faults.Fault) -> None:
    """Do a fault in the midst of a stroke, mend it, and leave the needle in peace."""
    reach(pen, wire.RUNNING)
    pen.may_coast = pen.may_garble = True
    before = pen.image.snapshot()
    if not faults.fits_chip(fault):
        with pytest.raises(CannotBeDone) as refused:
            pen.damage.do(fault)
        assert str(refused.value) == faults.not_on_chip(type(fault))
        assert not pen.damage.present()
        assert pen.image.snapshot() == before
        return
    pen.damage.do(fault)
    pen.run_ms(20)
    for present in pen.damage.present():
        pen.damage.mend(present.NAME)
    assert not pen.damage.present()


@pytest.mark.parametrize("name", CLASSES)
def test_each_fault_of_a_class_is_done_or_said_to_be_impossible(armed_pen: ChipBench, name: str) -> None:
    for fault in INSTANCES:
        if name == fault.CLASS:
            in_copy(partial(is_done_or_refused, armed_pen, fault))


# --- power ------------------------------------------------------------------------------------------------------------
def test_the_power_goes_again_in_the_middle_of_the_recovery(armed_pen: ChipBench) -> None:
    def act() -> None:
        pen = armed_pen
        reach(pen, wire.RUNNING)
        pen.may_coast = True
        do(pen, "power-cut-recovering", off_ms=50, torn="half")
        pen.release()
        pen.keep_inside()
        operations = pen.flash.operations
        pen.run_ms(51)
        assert pen.powered
        assert pen.run_until(lambda: not pen.powered, 4000)
        assert pen.flash.operations == operations + 1
        pen.run_ms(51)
        pen.greet()
        assert pen.greeting["open_session"] == 1
        pen.check()

    in_copy(act)


def test_a_dip_resets_the_chip_and_it_is_up_again(armed_pen: ChipBench) -> None:
    def act() -> None:
        pen = armed_pen
        nonce = pen.greeting["nonce"]
        pen.keep_inside()
        do(pen, "brown-out", resets="chip")
        assert not pen.plant.energised
        pen.greet()
        assert pen.greeting["nonce"] != nonce
        pen.check()

    in_copy(act)


# --- wire -------------------------------------------------------------------------------------------------------------
def answers(pen: ChipBench, times: int) -> list[bool]:
    """Ask so many times; return which were answered."""
    found = []
    for _ in range(times):
        try:
            pen.ask("ping")
        except NoAnswer:
            found.append(False)
        else:
            found.append(True)
    return found


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("wire-drop", {"way": "to-host", "after": 1}, [True, False, True]),
        ("wire-corrupt", {"way": "to-pen", "after": 8}, [False, True]),
        ("wire-duplicate", {"way": "both", "count": 4}, [True, True]),
        ("two-hosts", {"does": "mixes", "every": 2}, [True, False]),
    ],
)
def test_the_tap_is_on_the_chip_s_cable_too(
    safe_pen: ChipBench, name: str, parameters: dict[str, Any], expected: list[bool]
) -> None:
    def act() -> None:
        pen = safe_pen
        do(pen, name, **parameters)
        assert answers(pen, len(expected)) == expected
        pen.damage.mend(name)
        assert answers(pen, 2)[-1]

    in_copy(act)


def test_a_deaf_host_lets_the_chip_s_buffers_fill_for_so_long(safe_pen: ChipBench) -> None:
    def act() -> None:
        pen = safe_pen
        do(pen, "host-deaf", for_ms=300)
        pen.send(pen.line("ping"))
        pen.run_ms(299)
        pen.listen()
        assert not pen._answers
        pen.run_ms(20)
        pen.listen()
        assert pen._answers

    in_copy(act)


# --- driver -----------------------------------------------------------------------------------------------------------
def test_a_silent_driver_is_a_fault_until_it_answers(armed_pen: ChipBench) -> None:
    def act() -> None:
        pen = armed_pen
        do(pen, "driver-silent")
        pen.keep_inside()
        pen.run_ms(200)
        assert pen.hello()["state"] == wire.FAULT
        assert pen.status()["fault"] == codes.DRIVER_FAULT
        pen.damage.mend("driver-silent")
        pen.insist("clear")
        pen.hold(100)
        pen.load(pen.loaded_data)
        pen.arm(0)
        pen.check()

    in_copy(act)


# --- clock ------------------------------------------------------------------------------------------------------------
def test_milliseconds_wrap_soon_after_a_boot(armed_pen: ChipBench) -> None:
    def act() -> None:
        pen = armed_pen
        pen.keep_inside()
        at = pen.clock.now
        do(pen, "clock-wraps", bits="30", before_ms=4000)
        pen.greet()
        chip: Any = pen.emulator.chip

        def ticks_ms() -> int:
            low, high = chip.read_uint32(0x4005_4028), chip.read_uint32(0x4005_4024)
            return int(high << 32 | low) // 1000

        passed_ms = (pen.clock.now - at) // TICKS_PER_MS
        assert abs(ticks_ms() - ((1 << 30) - 4000 + passed_ms)) < 20
        pen.load_new(profiles.TWO_ZONES)
        pen.arm(0)
        while ticks_ms() < (1 << 30) + 300:
            pen.stroke_for(100)
        assert sum(pen.needle_strokes().values()) > 0
        pen.check()

    in_copy(act)


# --- memory -----------------------------------------------------------------------------------------------------------
def test_the_heap_holds_what_the_pen_says(armed_pen: ChipBench) -> None:
    def act() -> None:
        pen = armed_pen
        reach(pen, wire.PAUSED)
        pen.hold(200)
        counted = pen.status()["made"][0]
        heap = Heap(pen.emulator.chip)
        (runner,) = heap.objects("profile_data", "provision", "session", "motion")
        place = heap.bytes_at(runner["profile_data"])
        chip: Any = pen.emulator.chip
        assert bytes(chip.sram[place.start : place.stop]) == pen.loaded_data
        bounds = heap.inside(heap.inside(runner["provision"], "bounds")["bounds"], "ceiling_um", "geometry")
        assert heap.number(bounds["ceiling_um"]) == pen.greeting["ceiling_um"]
        lead = heap.inside(bounds["geometry"], "lead_um")
        assert heap.number(lead["lead_um"]) == pen.setup.bounds.geometry.lead_um
        counters = heap.inside(runner["session"], "_made", "_outstanding")
        made = heap.inside(counters["_made"], "_value", "_inverse")
        assert counted > 0
        assert (heap.number(made["_value"]), heap.number(made["_inverse"])) == (counted, ~counted)

    in_copy(act)


@pytest.mark.parametrize("counter", CounterBit.__dataclass_fields__["counter"].metadata["choices"])
@pytest.mark.parametrize("inverse", [False, True])
def test_a_flipped_counter_ends_the_burst(armed_pen: ChipBench, counter: str, inverse: bool) -> None:
    def act() -> None:
        pen = armed_pen
        reach(pen, wire.RUNNING)
        pen.may_coast = True
        before = sum(pen.needle_strokes().values())
        do(pen, "counter-bit", counter=counter, bit=3, inverse=inverse)
        pen.run_ms(400)
        assert not pen.plant.energised
        assert sum(pen.needle_strokes().values()) <= before + 2
        pen.release()
        assert pen.hello()["state"] == wire.FAULT
        assert pen.status()["fault"] == codes.MEMORY_CORRUPT
        pen.check()

    in_copy(act)


def test_a_flipped_profile_makes_no_zone_ready(armed_pen: ChipBench) -> None:
    def act() -> None:
        pen = armed_pen
        pen.keep_inside()
        do(pen, "profile-bit", bit=8 * 60 + 2)
        pen.insist("zone.select", zone=1)
        pen.hold(300)
        assert pen.hello()["state"] == wire.FAULT
        assert pen.status()["fault"] == codes.MEMORY_CORRUPT
        assert not sum(pen.needle_strokes().values())
        pen.check()

    in_copy(act)


def test_nothing_flips_that_is_not_there(safe_pen: ChipBench) -> None:
    def act() -> None:
        for name in ("profile-bit", "counter-bit"):
            with pytest.raises(CannotBeDone):
                do(safe_pen, name)

    in_copy(act)
