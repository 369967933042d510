"""Rigs for the contract suite: one set of ports each, with the hands that the suite needs.

What a rig can't do is not asked of it: the suite speaks of the ports' words alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from pencore import ports
from pencore.planner import Plan
from pencore.units import Geometry
from pensim.clock import TICKS_PER_MS
from pensim.ports import Cable, SimInputs
from tests.portable import ideal_ports
from tests.support.pio_engine import EnginePen
from tests.support.sim_bench import SimBench

GEOMETRY = Geometry()
DEPTH_UM = 1000
RATE_PER_S = 20
CAP_STEPS = 1440
BACKOFF_STEPS = 120
STEP_TICKS = 25_000


@dataclass
class Rig:
    """Ports under test, and the world's side of them."""

    engine: ports.Engine
    store: ports.Store
    link: ports.Link
    inputs: ports.Inputs
    run_ms: Callable[[int], None]
    send: Callable[[bytes], None]
    received: Callable[[], bytes]
    host_reads: Callable[[bool], None]
    press_trigger: Callable[[bool], None]


def simulated() -> Rig:
    """Return the ports of the virtual pen: plant, guards, littlefs."""
    bench = SimBench()
    cable = Cable(lambda: None)

    def host_reads(reading: bool) -> None:
        cable.reading = reading

    return Rig(
        engine=bench.engine,
        store=bench.store,
        link=cable,
        inputs=SimInputs(bench.plant),
        run_ms=bench.run_ms,
        send=cable.send,
        received=cable.receive,
        host_reads=host_reads,
        press_trigger=bench.plant.press_trigger,
    )


def ideal() -> Rig:
    """Return the ports without physics that run on both Pythons."""
    log = ideal_ports.Log()
    time = ideal_ports.Time(1000)
    engine = ideal_ports.PerfectEngine(time, log, ideal_ports.Needle())
    store = ideal_ports.Files()
    link = ideal_ports.Pipe(log)
    inputs = ideal_ports.Levels(engine, 0)

    def run_ms(ms: int) -> None:
        time.total_ms += ms

    def send(data: bytes) -> None:
        link.to_pen += data

    def received() -> bytes:
        data = link.to_host
        link.to_host = b""
        return data

    def host_reads(reading: bool) -> None:
        link.room_left = None if reading else 0

    def press_trigger(down: bool) -> None:
        inputs.level = ports.TRIGGER if down else 0

    return Rig(
        # Evidence is a class of its own there, for MicroPython has no NamedTuple; its fields are the port's.
        engine=cast(ports.Engine, engine),
        store=store,
        link=link,
        inputs=inputs,
        run_ms=run_ms,
        send=send,
        received=received,
        host_reads=host_reads,
        press_trigger=press_trigger,
    )


def emulated() -> Rig:
    """Return the engine as it is flashed, on emulated PIO blocks; the other ports are the virtual pen's."""
    pen = EnginePen()
    cable = Cable(lambda: None)

    def host_reads(reading: bool) -> None:
        cable.reading = reading

    return Rig(
        engine=pen.engine,
        store=SimBench().store,
        link=cable,
        inputs=SimInputs(pen.plant),
        run_ms=pen.run_ms,
        send=cable.send,
        received=cable.receive,
        host_reads=host_reads,
        press_trigger=pen.plant.press_trigger,
    )


RIGS: dict[str, Callable[[], Rig]] = {"simulated": simulated, "ideal": ideal, "emulated": emulated}


def plan(depth_um: int = DEPTH_UM, rate_per_s: int = RATE_PER_S) -> Plan:
    """Return the finished plan of a stroke."""
    made = Plan(depth_um, rate_per_s, GEOMETRY)
    while not made.advance(1000):
        pass
    return made


def homed(rig: Rig) -> ports.HomingEvidence:
    """Home the rig's engine; return how that ended."""
    rig.engine.home(CAP_STEPS, BACKOFF_STEPS, GEOMETRY.home_margin_steps, STEP_TICKS)
    for _ in range(2000):
        evidence = rig.engine.homing()
        if evidence is not None:
            return evidence
        rig.run_ms(1)
    raise AssertionError("homing takes longer than two seconds")


def armed(rig: Rig, strokes: int) -> Plan:
    """Home, load the plan of a stroke, arm with `strokes` allowed; return the plan."""
    homed(rig)
    made = plan()
    rig.engine.load(made.table)
    rig.engine.arm(made.steps, strokes)
    return made


def period_ms(made: Plan) -> int:
    """Return the ms of one stroke, rounded up."""
    return -(-made.period_ticks // TICKS_PER_MS)
