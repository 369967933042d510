"""Every fault of a pen's parts does to them what its name says; those of a whole pen are in test_faults_pen."""

import dataclasses
from collections.abc import Callable
from typing import cast

import pytest

from pencore.ports import DRIVER_FAULT, DRIVER_RESET, TRIP_DEPTH
from pensim import faults
from pensim.bench import Bench, CannotBeDone
from pensim.errors import PowerCut
from pensim.faults.driver import DriverSilent
from pensim.faults.flash import FlashCut, FlashIgnoresWrites, FlashRolledBack
from pensim.faults.mechanics import BrokenSpring, EdgesExtra, HomeChatter, NeedleJam, WeakMotor
from pensim.flash import Torn
from tests.support.sim_bench import MARGIN, SimBench, steps_of, stroke_table

DEPTH_UM = 1000
STEPS = steps_of(DEPTH_UM)
RETURN = STEPS - MARGIN


def whole(bench: SimBench) -> Bench:
    """Return the parts as the whole pen that faults are done to in general."""
    return cast(Bench, bench)


def ready() -> SimBench:
    bench = SimBench()
    bench.ready(stroke_table(DEPTH_UM), STEPS, 10)
    bench.store.append("file", b"1" * 64)
    return bench


def returned(bench: SimBench) -> int:
    """Make one stroke; return when its sensor came on again."""
    bench.engine.credit()
    bench.run_ms(100)
    evidence = bench.engine.take()
    assert evidence is not None
    return evidence.return_step


def bit(bench: SimBench, address: int) -> int:
    return bench.image.read(address // 4096, address % 4096, 1)[0]


def loses_the_write(bench: SimBench) -> bool:
    try:
        bench.store.append("file", b"2" * 64)
    except OSError:
        return bench.store.size("file") == 64
    return False


def let_go(bench: SimBench) -> float:
    """Switch the driver off; return where the carriage rests."""
    bench.engine.disarm()
    bench.run_ms(50)
    return bench.plant.position_steps()


def deepest(bench: SimBench) -> float:
    """Make one stroke; return how deep the needle came."""
    bench.engine.credit()
    bench.run_ms(100)
    return bench.plant.report().total.deepest_um


def told(bench: SimBench) -> int:
    """Let the driver be asked; return the engine's bits."""
    bench.run_ms(60)
    return bench.engine.poll()


CASES: list[tuple[str, dict[str, object], Callable[[SimBench], object], object]] = [
    ("lost-steps", {"cycles": 1}, lambda bench: bench.plant.position_steps(), 32),
    ("edges-dropped", {"after": 10, "count": 3}, returned, RETURN - 3),
    ("edges-dropped", {"after": STEPS + 10, "count": 3, "where": "pin"}, returned, RETURN + 3),
    ("edges-extra", {"after": 100, "count": 2, "where": "wire"}, returned, RETURN + 2),
    ("edges-extra", {"after": 100}, lambda bench: (returned(bench), bench.engine.poll() & TRIP_DEPTH)[1], TRIP_DEPTH),
    ("direction-inverted", {}, returned, -1),
    ("driver-reset", {}, lambda bench: told(bench) & DRIVER_RESET, DRIVER_RESET),
    ("driver-failed", {}, lambda bench: told(bench) & DRIVER_FAULT, DRIVER_FAULT),
    ("driver-silent", {}, lambda bench: told(bench) & DRIVER_FAULT, DRIVER_FAULT),
    ("weak-motor", {"factor": 0.5}, lambda bench: (returned(bench), bench.plant.report().slips > 0)[1], True),
    ("broken-spring", {}, let_go, 0),
    ("needle-jam", {"at_um": 600}, deepest, 600),
    ("needle-jam", {"at_um": -100}, deepest, 0),
    ("table-bit", {"bit": 0}, returned, RETURN - 1),
    ("home-stuck", {"seen": False}, lambda bench: bench.plant.home_seen(), False),
    ("home-stuck", {"seen": True}, returned, -1),
    ("flash-bit-rot", {"address": 5000, "bit": 3}, lambda bench: bit(bench, 5000), None),
    ("flash-stuck-bit", {"address": 1_400_000, "bit": 7}, lambda bench: bit(bench, 1_400_000), 0x7F),
    ("flash-block-lost", {"block": 0}, lambda bench: bench.image.read(0, 0, 8), b"\xff" * 8),
    ("flash-fails-writes", {}, loses_the_write, True),
    ("flash-full", {}, loses_the_write, True),
]


@pytest.mark.parametrize(("name", "parameters", "look", "expected"), CASES)
def test_a_fault_does_what_its_name_says(
    name: str, parameters: dict[str, object], look: Callable[[SimBench], object], expected: object
) -> None:
    bench = ready()
    if expected is None:
        expected = look(bench) ^ 1 << 3  # type: ignore[operator]  # the bit that rots
    else:
        assert look(ready()) != expected
    faults.fault(name, **parameters).apply(whole(bench))
    assert look(bench) == expected


def test_ignored_writes_are_lost_without_a_word() -> None:
    bench = ready()
    before = bench.image.snapshot()
    FlashIgnoresWrites(1).apply(bench)
    assert bench.flash.erase(None, 300) == bench.flash.prog(None, 300, 0, b"\0" * 256) == 0
    assert bench.image.snapshot()[:300] == before[:300]
    assert bench.image.read(300, 0, 1) == b"\0"


def test_a_flash_cut_falls_where_it_was_put() -> None:
    bench = ready()
    done = bench.flash.operations
    FlashCut(after=2, torn=Torn.HALF).apply(bench)
    with pytest.raises(PowerCut):
        bench.store.append("file", b"2" * 3000)
    assert bench.flash.operations == done + 3


def test_chatter_is_random_near_the_edge_the_same_for_the_same_seed_and_elsewhere_nothing() -> None:
    def levels(seed: int) -> list[bool]:
        bench = ready()
        HomeChatter(seed=seed, period_us=100).apply(bench)
        found = []
        for _ in range(200):
            bench.clock.advance(12_500)
            found.append(bench.plant.home_seen())
        return found

    assert all(levels(1))
    bench = ready()
    HomeChatter(steps=20.0, seed=1).apply(bench)
    found = []
    for _ in range(400):
        bench.clock.advance(6_250)
        found.append(bench.plant.home_seen())
    assert 100 < sum(found) < 300
    again = ready()
    HomeChatter(steps=20.0, seed=1).apply(again)
    for level in found:
        again.clock.advance(6_250)
        assert again.plant.home_seen() == level


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES if faults.can_mend(faults.kind_of(name))}))
def test_what_can_be_mended_is_as_new(name: str) -> None:
    bench = ready()
    wanted = faults.fault(name)
    wanted.apply(whole(bench))
    assert isinstance(wanted, faults.Mendable)
    wanted.mend(whole(bench))
    bench.ready(stroke_table(DEPTH_UM), STEPS, 10)
    assert returned(bench) == RETURN
    assert bench.engine.short_strokes == 1
    bench.store.append("file", b"2" * 64)
    assert bench.store.size("file") == 128


TRIED = {case[0] for case in CASES} | {"flash-ignores-writes", "flash-cut", "home-chatter", "flash-rolled-back"}


def test_names_are_unique_and_every_kind_is_a_dataclass() -> None:
    names = [kind.NAME for kind in faults.ALL]
    assert sorted(names) == sorted(set(names))
    assert all(dataclasses.is_dataclass(kind) for kind in faults.ALL)


def test_a_flash_goes_back_to_its_mark_and_nowhere_without_one() -> None:
    bench = ready()
    with pytest.raises(CannotBeDone, match="there is no mark"):
        FlashRolledBack("mark").apply(bench)
    bench.image.mark("mark")
    marked = bench.image.snapshot()
    bench.image.stick(5000, 0, 0)
    bench.store.append("file", b"2" * 64)
    assert bench.image.snapshot() != marked
    FlashRolledBack("mark").apply(bench)
    bench.image.stick(5000, 0, 1)
    assert bench.image.snapshot() == marked
    assert bench.image.clone().roll_back("mark")


def test_a_driver_that_never_answered_is_a_plain_one_and_one_that_did_is_missed_before_homing() -> None:
    plain = SimBench()
    DriverSilent().apply(plain)
    plain.ready(stroke_table(DEPTH_UM), STEPS, 10)
    assert not told(plain) & DRIVER_FAULT
    bench = ready()
    let_go(bench)
    DriverSilent().apply(bench)
    assert bench.home().found_step == -1
    assert bench.engine.poll() & DRIVER_FAULT
    assert not bench.plant.energised


def test_wrong_names_and_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="no fault is called 'gremlins'; there are power-cut"):
        faults.fault("gremlins")
    with pytest.raises(ValueError, match="lost-steps has no parameter 'steps'; it has cycles"):
        faults.fault("lost-steps", steps=3)
    with pytest.raises(ValueError, match="seed of home-chatter is a whole number from 0 to 2,147,483,647, not -1"):
        faults.fault("home-chatter", seed=-1)
    with pytest.raises(ValueError, match="not at 'moon'"):
        EdgesExtra(where="moon").apply(ready())


def test_a_needle_is_jammed_where_it_is_when_it_is_past_the_obstacle() -> None:
    bench = ready()
    bench.engine.credit()
    while bench.plant.depth_um() < 700:
        bench.clock.advance(1_000)
    here_um = bench.plant.depth_um()
    NeedleJam(300).apply(bench)
    bench.clock.advance(12_500)
    assert here_um - 3 <= bench.plant.depth_um() <= here_um + 3  # it was not thrown back to the obstacle
    bench.run_ms(100)
    assert here_um <= bench.plant.report().total.deepest_um <= here_um + 3
    assert bench.plant.built.stop_um == 2600


def test_mechanics_are_mended_one_by_one() -> None:
    bench = ready()
    built = bench.plant.parameters
    done: list[faults.Mendable] = [WeakMotor(0.3), BrokenSpring(), NeedleJam(500)]
    for fault in done:
        fault.apply(whole(bench))
    WeakMotor(0.5).apply(bench)
    assert bench.plant.parameters.pullout == tuple((speed, torque * 0.5) for speed, torque in built.pullout)
    for fault, name in zip(done, ("pullout", "spring_n", "stop_um"), strict=True):
        assert getattr(bench.plant.parameters, name) != getattr(built, name)
        fault.mend(whole(bench))
        assert getattr(bench.plant.parameters, name) == getattr(built, name)
    assert bench.plant.parameters == built


def test_every_parameter_says_what_it_may_be_and_takes_its_default_alone() -> None:
    for kind in faults.ALL:
        for parameter in faults.parameters(kind):
            assert parameter.takes(parameter.default), (kind.NAME, parameter)
            assert parameter.text
            assert parameter.allowed()
            assert not parameter.takes(None)
            assert not parameter.takes([parameter.default])
            if not isinstance(parameter.default, str | bool):
                assert parameter.takes(parameter.low)
                assert parameter.takes(parameter.high)
                assert not parameter.takes(parameter.high + 1)
                assert not parameter.takes(parameter.low - 1)
                assert not parameter.takes(float("inf"))
        assert faults.described(kind()) == {each.name: each.default for each in faults.parameters(kind)}
