"""Every fault there is does to the pen what its name says."""

import dataclasses
from collections.abc import Callable

import pytest

from pencore.ports import DRIVER_FAULT, DRIVER_RESET, TRIP_DEPTH
from pensim import faults
from pensim.errors import PowerCut
from pensim.flash import Torn
from tests.sim_tools import MARGIN, SimBench, steps_of, stroke_table

DEPTH_UM = 1000
STEPS = steps_of(DEPTH_UM)
RETURN = STEPS - MARGIN


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


CASES: list[tuple[str, dict[str, object], Callable[[SimBench], object], object]] = [
    ("lost-steps", {"cycles": 1}, lambda bench: bench.plant.position_steps(), 32),
    ("edges-dropped", {"after": 10, "count": 3}, returned, RETURN - 3),
    ("edges-dropped", {"after": STEPS + 10, "count": 3, "where": "pin"}, returned, RETURN + 3),
    ("edges-extra", {"after": 100, "count": 2, "where": "wire"}, returned, RETURN + 2),
    ("edges-extra", {"after": 100}, lambda bench: (returned(bench), bench.engine.poll() & TRIP_DEPTH)[1], TRIP_DEPTH),
    ("direction-inverted", {}, returned, -1),
    ("driver-reset", {}, lambda bench: bench.engine.poll() & DRIVER_RESET, DRIVER_RESET),
    ("driver-failed", {}, lambda bench: bench.engine.poll() & DRIVER_FAULT, DRIVER_FAULT),
    ("weak-motor", {"factor": 0.5}, lambda bench: (returned(bench), bench.plant.report().slips > 0)[1], True),
    ("broken-spring", {}, let_go, 0),
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
    faults.fault(name, **parameters).apply(bench)
    assert look(bench) == expected


def test_ignored_writes_are_lost_without_a_word() -> None:
    bench = ready()
    before = bench.image.snapshot()
    faults.FlashIgnoresWrites(1).apply(bench)
    assert bench.flash.erase(None, 300) == bench.flash.prog(None, 300, 0, b"\0" * 256) == 0
    assert bench.image.snapshot()[:300] == before[:300]
    assert bench.image.read(300, 0, 1) == b"\0"


def test_a_flash_cut_falls_where_it_was_put() -> None:
    bench = ready()
    done = bench.flash.operations
    faults.FlashCut(after=2, torn=Torn.HALF).apply(bench)
    with pytest.raises(PowerCut):
        bench.store.append("file", b"2" * 3000)
    assert bench.flash.operations == done + 3


def test_chatter_is_random_near_the_edge_the_same_for_the_same_seed_and_elsewhere_nothing() -> None:
    def levels(seed: int) -> list[bool]:
        bench = ready()
        faults.HomeChatter(seed=seed, period_us=100).apply(bench)
        found = []
        for _ in range(200):
            bench.clock.advance(12_500)
            found.append(bench.plant.home_seen())
        return found

    assert all(levels(1))
    bench = ready()
    faults.HomeChatter(steps=20.0, seed=1).apply(bench)
    found = []
    for _ in range(400):
        bench.clock.advance(6_250)
        found.append(bench.plant.home_seen())
    assert 100 < sum(found) < 300
    again = ready()
    faults.HomeChatter(steps=20.0, seed=1).apply(again)
    for level in found:
        again.clock.advance(6_250)
        assert again.plant.home_seen() == level


@pytest.mark.parametrize("kind", [kind for kind in faults.ALL if hasattr(kind, "mend")], ids=lambda kind: kind.NAME)
def test_what_can_be_mended_is_as_new(kind: type[faults.Fault]) -> None:
    bench = ready()
    wanted = faults.fault(kind.NAME)
    wanted.apply(bench)
    wanted.mend(bench)  # type: ignore[attr-defined]  # chosen for having it
    bench.ready(stroke_table(DEPTH_UM), STEPS, 10)
    assert returned(bench) == RETURN
    assert bench.engine.short_strokes == 1
    bench.store.append("file", b"2" * 64)
    assert bench.store.size("file") == 128


def test_names_are_unique_and_each_fault_is_tried_here() -> None:
    names = [kind.NAME for kind in faults.ALL]
    tried = {case[0] for case in CASES} | {"flash-ignores-writes", "flash-cut", "home-chatter"}
    assert sorted(names) == sorted(set(names))
    assert tried == set(names)
    assert all(dataclasses.is_dataclass(kind) for kind in faults.ALL)


def test_wrong_names_and_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="no fault is called 'gremlins'; there are lost-steps"):
        faults.fault("gremlins")
    with pytest.raises(ValueError, match=r"lost-steps: .*unexpected"):
        faults.fault("lost-steps", steps=3)
    with pytest.raises(ValueError, match="not at 'moon'"):
        faults.EdgesExtra(where="moon").apply(ready())
