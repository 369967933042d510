"""Measures the way between host and pen: round trips, loading, records, stop, telemetry, over PTY and TCP. Host only.

    python bench/link.py [--rounds 5] [--json]

The same virtual pen, in a process of its own, behind a pair of sockets (pipe), a pseudo-terminal and TCP; and once in a
thread of the host's own process. They are measured by turns in one run, so ratios hold whatever else the computer does.
How soon a stop is felt is measured apart, in simulated time and by the plant. Each figure is of something that was
checked: a pull that is not whole, a stop without effect, a lease that lapsed end the run. `--json` also writes
build/bench-link.json. Nothing here fails for being slow.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

# As a script this file sees only its own folder; its parts and the tests' bench are found from the root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.parts import feeds, stops
from bench.parts.command import carry_out
from bench.parts.machine import machine
from bench.parts.ways import PIPE, WAYS, WayPen, echo_by, pen_by
from pencore import faults, limits, profile, record, wire
from pencore.profile import Profile
from pensim.flash import Snapshot
from pinprick.cli.virtual_pen import Operator
from pinprick.device import Pen, StateChange, Telemetry, Update
from pinprick.records import RecordStore
from tests.support import profiles
from tests.support.bench import Bench
from tests.support.profiles import CHEEK, RIGHT, ZoneSpec

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "build" / "bench-link.json"
RECORDS = 64
"""As many as a pen keeps."""
FAULTS = 16
"""As many as a record names."""
_ROUND_TRIPS = 400
_ECHOES = 400
_LOADS = 10
_READS = 20
_STOPS = 10
_STROKES = 12_000
_FED = 20_000
_ASKED = 2_000
_MOMENTS = 200
_RUN_S = 60.0
_ECHO = b"x" * 120

Row = tuple[str, Sequence[str]]


class WrongRun(Exception):
    """What was to be measured did not happen."""


# --- what is said ----------------------------------------------------------------------------------------------------
def largest_profile(session: int = 1) -> Profile:
    """Return a profile of as many zones as there may be, and of texts as long as they may be."""
    areas = [(area, side) for area in range(len(limits.AREAS)) for side in range(3)][: limits.ZONES_MAX]
    zones: list[ZoneSpec] = [(area, side, 500, 100, 20) for area, side in areas]
    greeting = {"session_id": session, "serial": "", "ledger_head": "00" * 32}
    number = f"{session:03d}"
    texts = {
        "name": number.rjust(profile.NAME_SIZE, "N"),
        "course_id": f"{(session - 1) // limits.COURSE_SESSIONS_MAX:03d}".rjust(profile.ID_SIZE, "K"),
        "cartridge_id": number.rjust(profile.ID_SIZE, "C"),
        "cartridge_lot": number.rjust(profile.ID_SIZE, "L"),
    }
    return profiles.make(greeting, zones, **texts)


def full_memory(count: int) -> Snapshot:
    """Return the flash of a pen with `count` records of as many zones as there may be; the first names 16 faults."""
    bench = Bench()
    bench.may_coast = True
    for session in range(1, count + 1):
        bench.change_cartridge()
        greeting = bench.hello()
        made = largest_profile(session)
        made.serial, made.ledger_head = greeting["serial"], bytes.fromhex(greeting["ledger_head"])
        bench.load(profile.encode(made))
        bench.arm(0)
        bench.stroke_for(100)
        for _ in range(FAULTS if session == 1 else 0):
            bench.send(stops.STOP)
            bench.hold(100)
            bench.recover_from_fault()
        bench.insist("finish")
        bench.wait_for(wire.SAFE)
    bench.pull()
    if len(bench.sealed) != count or len(bench.sealed_data[1]) != record.SIZE_MAX:
        raise WrongRun(f"{len(bench.sealed)} records, the first of {len(bench.sealed_data[1])} bytes")
    return bench.snapshot_flash()


# --- what is measured ------------------------------------------------------------------------------------------------
def timed(act: Callable[[], object]) -> float:
    """Return the seconds that `act` took."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, 99th percentile, most and sum of times in s."""
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        "most": ordered[-1],
        "mean": statistics.fmean(ordered),
    }


class Visit:
    """A connected pen and the hands at it. Each method returns seconds, and leaves the pen as it found it: SAFE."""

    def __init__(self, served: WayPen) -> None:
        self.pen = Pen(served.connect())
        self.operator = Operator(served)

    def round_trips(self, count: int) -> list[float]:
        """Ask for the status."""
        return [timed(self.pen.status) for _ in range(count)]

    def loads(self, count: int) -> list[float]:
        """Load the largest profile: hello, filling in, checks, transfer, the pen's own checks and its flash."""
        self.operator.new_cartridge()
        source = largest_profile(self.pen.hello().session_id)
        took = []
        for _ in range(count):
            took.append(timed(lambda: self.pen.load(source, issued_at=source.issued_at)))
            self.pen.finish()
        return took

    def _run(self, strokes: int) -> None:
        """Have a new session RUNNING."""
        self.operator.new_cartridge()
        info = self.pen.hello()
        greeting = {"session_id": info.session_id, "serial": info.serial, "ledger_head": info.ledger_head.hex()}
        source = profiles.make(greeting, ((CHEEK, RIGHT, 500, strokes, 20),))
        self.pen.load(source, issued_at=source.issued_at)
        self._press()

    def _press(self) -> None:
        """Arm and press."""
        self.operator.begin("release")
        self.operator.do("wait", 100)
        self.pen.arm()
        self.operator.begin("press", 200)
        # A session is open once its first strokes are reserved.
        self.operator.do("wait", 300)

    def _leave(self) -> None:
        """Wait until the session is sealed, and take its record."""
        self.operator.do("release")
        self.pen.wait_for(wire.SAFE)
        for session in self.pen.record_list()[0]:
            self.pen.record_ack(session, record.decode(self.pen.record_read(session)).digest)

    def stops(self, count: int) -> list[float]:
        """Stop a RUNNING pen: from the call until its word that it has stopped."""
        took: list[float] = []
        self._run(limits.SESSION_STROKES_MAX)
        for _ in range(count):
            took.append(timed(self.pen.stop))
            if self.operator.needle().driver_on:
                raise WrongRun("the driver is on after a stop")
            self.pen.clear()
            self._press()
        self.pen.stop()
        self.pen.clear()
        self.pen.finish()
        self._leave()
        return took

    def telemetry(self, strokes: int) -> dict[str, float]:
        """Hear a zone of `strokes` strokes, made as fast as they can be computed."""
        heard: list[tuple[float, Update]] = []
        end = self.pen.listen(lambda update: heard.append((time.perf_counter(), update)))
        self._run(strokes)
        self._await_spent(heard)
        end()
        self._leave()
        lines = [(at, told) for at, told in heard if isinstance(told, Telemetry) and told.state == wire.RUNNING]
        gaps = [after.uptime_ms - before.uptime_ms for (_, before), (_, after) in pairwise(lines)]
        return {
            "lines": len(lines),
            "wall_s": lines[-1][0] - lines[0][0],
            "simulated_s": sum(gaps) / 1000,
            "dropped": sum(gap // 100 - 1 for gap in gaps if gap >= 200),
        }

    def _await_spent(self, heard: Sequence[tuple[float, Update]]) -> None:
        """Wait until the zone is spent; WrongRun when the lease ends it, or nothing."""
        deadline = time.monotonic() + _RUN_S
        while time.monotonic() < deadline:
            codes = {update.code for _, update in heard if isinstance(update, StateChange)}
            if faults.LEASE_EXPIRED in codes:
                raise WrongRun("the lease lapsed")
            if faults.ZONE_SPENT in codes:
                return
            time.sleep(0.01)
        raise WrongRun("the zone does not end")


def measure_ways(rounds: int) -> dict[str, dict[str, Any]]:
    """Return what requests, loads, stops and telemetry take by each way, measured by turns."""
    raw: dict[str, dict[str, list[Any]]] = {way: {} for way in WAYS}

    def note(way: str, name: str, values: Sequence[Any]) -> None:
        raw[way].setdefault(name, []).extend(values)

    with ExitStack() as stack:
        visits = {way: Visit(stack.enter_context(pen_by(way))) for way in WAYS}
        for visit in visits.values():
            stack.callback(visit.pen.close)
        for _ in range(rounds):
            for way, visit in visits.items():
                note(way, "status", visit.round_trips(_ROUND_TRIPS))
                note(way, "load", visit.loads(_LOADS))
            for way, visit in visits.items():
                note(way, "stop", visit.stops(_STOPS))
                note(way, "telemetry", [visit.telemetry(_STROKES)])
    for way in WAYS:
        with echo_by(way) as echo:
            note(way, "echo", echoes(echo, rounds * _ECHOES))
    return {way: _figures(raw[way]) for way in WAYS}


def _figures(raw: dict[str, list[Any]]) -> dict[str, Any]:
    heard = raw.pop("telemetry")
    wall_s = sum(run["wall_s"] for run in heard)
    return {
        **{name: spread(values) for name, values in raw.items()},
        "telemetry_per_s": sum(run["lines"] for run in heard) / wall_s,
        "simulated_per_s": sum(run["simulated_s"] for run in heard) / wall_s,
        "dropped": sum(run["dropped"] for run in heard) / sum(run["lines"] + run["dropped"] for run in heard),
    }


def echoes(served: WayPen, count: int) -> list[float]:
    """Return how long a line takes there and back with nobody thinking about it, from one thread."""
    transport = served.connect()

    def there_and_back() -> None:
        transport.write(_ECHO)
        back = b""
        while len(back) < len(_ECHO):
            back += transport.read(1.0)

    try:
        return [timed(there_and_back) for _ in range(count)]
    finally:
        transport.close()


def measure_records(memory: Snapshot, rounds: int) -> dict[str, dict[str, Any]]:
    """Return what reading the largest record takes, and pulling all of them, by each way."""
    figures: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        with pen_by(way, memory) as served, Pen(served.connect()) as pen, tempfile.TemporaryDirectory() as folder:
            figures[way] = _pull(pen, RecordStore(Path(folder)), rounds * _READS)
    return figures


def _pull(pen: Pen, store: RecordStore, reads: int) -> dict[str, Any]:
    """Read the first record `reads` times, then all of them, then pull them."""
    one = [timed(lambda: pen.record_read(1)) for _ in range(reads)]
    sessions, acked = pen.record_list()
    read_all_s = timed(lambda: [pen.record_read(session) for session in sessions])
    pull_all_s = timed(lambda: pen.pull_records(store))
    kept = store.sessions(pen.info.serial)
    if acked or kept != sessions or pen.record_list()[1] != sessions[-1]:
        raise WrongRun("the pull was not whole")
    return {
        "record_read": spread(one),
        "records": len(sessions),
        "read_all_s": read_all_s,
        "pull_all_s": pull_all_s,
    }


def measure_host() -> dict[str, float]:
    """Return what the host alone can bear, and what host's and pen's words cost without any way between them."""
    bench = Bench()
    chatter = feeds.Chatter(bench.greeting, _FED)
    heard: list[Update] = []
    with Pen(chatter) as pen:
        pen.listen(heard.append)
        before = chatter.said
        begin = time.perf_counter()
        deadline = begin + _RUN_S
        while len(heard) < _FED - before and time.perf_counter() < deadline:
            time.sleep(0.001)
        fed_per_s = len(heard) / (time.perf_counter() - begin)
    if len(heard) < _FED - before:
        raise WrongRun(f"{len(heard)} lines heard of {_FED - before}")
    asked_s = timed(lambda: [bench.ask("status") for _ in range(_ASKED)])
    return {
        "fed_per_s": fed_per_s,
        "fed_requests": chatter.requests,
        "fed_simulated_per_s": fed_per_s / 10,
        "no_way_per_s": _ASKED / asked_s,
    }


def measure_stops(moments: int) -> list[dict[str, Any]]:
    """Return how soon a stop is felt, case by case, in ms of simulated time."""
    figures = []
    for case in stops.CASES:
        made = stops.measure(case, moments)
        figures.append(
            {
                "case": case.name,
                "moments": moments,
                "off_ms": stops.spread_ms([one.off_us for one in made]),
                "inside_ms": stops.spread_ms([one.inside_us for one in made]),
                "home_ms": stops.spread_ms([one.home_us for one in made]),
                "coast_um": max(one.coast_um for one in made),
            }
        )
    return figures


def measure(rounds: int) -> dict[str, Any]:
    """Return all figures."""
    here = machine()
    ways = measure_ways(rounds)
    records = measure_records(full_memory(RECORDS), rounds)
    return {
        "machine": here,
        "rounds": rounds,
        "profile_bytes": len(profile.encode(largest_profile())),
        "ways": {way: {**ways[way], **records[way]} for way in WAYS},
        "host": measure_host(),
        "stops": measure_stops(_MOMENTS),
    }


# --- what is shown ---------------------------------------------------------------------------------------------------
def _rows(figures: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each thing measured by way: one text a way."""
    ways = figures["ways"]

    def ms(name: str, which: str) -> list[str]:
        return [f"{1000 * ways[way][name][which]:.2f}" for way in WAYS]

    yield "status round trips a second", [f"{1 / ways[way]['status']['mean']:,.0f}" for way in WAYS]
    yield "  one of them, ms: median", ms("status", "median")
    floor = ways[PIPE]["status"]["median"]
    yield "  the pipe's is 1", [f"{ways[way]['status']['median'] / floor:.2f}" for way in WAYS]
    yield "  99th percentile", ms("status", "p99")
    yield "120 bytes there and back, no pen, ms", ms("echo", "median")
    yield f"load of {figures['profile_bytes']} bytes, 32 zones, ms: median", ms("load", "median")
    yield "  99th percentile", ms("load", "p99")
    yield f"read the largest record ({record.SIZE_MAX:,} bytes), ms", ms("record_read", "median")
    yield f"read {ways[PIPE]['records']} records, s", [f"{ways[way]['read_all_s']:.2f}" for way in WAYS]
    yield "  and verify, keep, acknowledge them, s", [f"{ways[way]['pull_all_s']:.2f}" for way in WAYS]
    yield "stop, from the call to the pen's word, ms", ms("stop", "median")
    yield "  99th percentile", ms("stop", "p99")
    yield "telemetry, lines heard a second", [f"{ways[way]['telemetry_per_s']:,.0f}" for way in WAYS]
    yield "  simulated seconds a second", [f"{ways[way]['simulated_per_s']:,.0f}" for way in WAYS]
    yield "  lines that the pen dropped, %", [f"{100 * ways[way]['dropped']:.2f}" for way in WAYS]


def _stop_rows(figures: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each case of a stop: median, 99th percentile, most."""
    for case in figures["stops"]:
        cells = ["/".join(f"{case[name][which]:.1f}" for which in ("median", "p99", "most")) for name in _STOP_COLUMNS]
        yield case["case"], [*cells, f"{case['coast_um']:.0f}"]


_STOP_COLUMNS = ("off_ms", "inside_ms", "home_ms")


def table(figures: dict[str, Any]) -> str:
    """Return the figures for people, at most 100 columns wide."""
    here, host = figures["machine"], figures["host"]
    load = "unknown" if here["load"] is None else f"{here['load']:.1f}"
    lines = [
        f"{here['cpu']}, {here['cores']} cores, {here['system']}, {here['python']}; load before: {load}",
        f"{figures['rounds']} rounds, the ways by turns. A virtual pen that computes as fast as it can; in a",
        "thread it shares the host's interpreter, else it is a process of its own.",
        "",
        f"{'':<48}" + "".join(f"{way:>11}" for way in WAYS),
    ]
    lines += [f"{name:<48}" + "".join(f"{cell:>11}" for cell in cells) for name, cells in _rows(figures)]
    lines += [
        "",
        f"The host alone: {host['fed_per_s']:,.0f} lines of telemetry a second and the lease kept by",
        f"{host['fed_requests']:,} requests: {host['fed_simulated_per_s']:,.0f} simulated seconds a second.",
        f"Host's and pen's words without a way between them: {host['no_way_per_s']:,.0f} requests a second.",
        "",
        f"A stop in simulated time, by the plant, at {figures['stops'][0]['moments']} moments: ms, median/p99/most",
        f"{'':<40}{'driver off':>16}{'inside nose':>16}{'at home':>16}{'um on':>8}",
    ]
    for name, cells in _stop_rows(figures):
        lines.append(f"{name:<40}" + "".join(f"{cell:>16}" for cell in cells[:3]) + f"{cells[3]:>8}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, show, and write the result if asked to."""
    option = ("rounds", 5, "how often each way has its turn")
    return carry_out(arguments, "the way between host and pen", option, measure, table, RESULT)


if __name__ == "__main__":
    sys.exit(main())
