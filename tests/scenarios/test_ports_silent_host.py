"""A host that is gone after any line of a session, deaf for a minute, or drowned in noise; all of it in virtual time.

What counts is the needle: inside and without current within the lease and a stroke, and at the end exactly the strokes
that the record tells.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from pencore import faults, wire
from pensim.clock import TICKS_PER_MS
from tests.support import profiles
from tests.support.bench import Bench, NoAnswer

ZONES: tuple[profiles.ZoneSpec, ...] = (
    (profiles.PERIORBITAL, profiles.LEFT, 100, 14, 30),
    (profiles.CHEEK, 0, 300, 9, 30),
)
LEASE_MS = 2000
STROKE_MS = 50
TURN_MS = 50
"""What the pen may take beyond lease and stroke: a turn of its loop, a confirming write to flash."""
STOP = b"\x18"


class Gone(Exception):
    """The host has said its last line."""


class Mortal(Bench):
    """A bench whose host dies: after its line number `last`, or with that line on its way when not `said`."""

    def __init__(self, last: int | None = None, *, said: bool = True) -> None:
        self.said_lines = 0
        self._last = last
        self._said = said
        super().__init__()

    def send(self, data: bytes) -> None:
        self.said_lines += 1
        if self._last == self.said_lines:
            self._last = None
            if self._said:
                super().send(data)
            else:
                super().send(data[: len(data) // 2])
            raise Gone
        super().send(data)


def whole_session(pen: Mortal) -> None:
    """Do what a host and its practitioner do in a session, to the acknowledgement of its record."""
    pen.change_cartridge()
    data = profiles.data(pen.hello(), ZONES)
    pen.remember(data)
    pen.load(data)
    pen.arm(0)
    pen.hold(150)
    pen.press()
    pen.hold(150)
    pen.insist("pause")
    pen.release()
    pen.hold(200)
    pen.select(1)
    pen.hold(150)
    pen.press()
    pen.hold(100)
    pen.release()
    pen.hold(100)
    pen.insist("stop")
    pen.insist("clear")
    pen.finish_session()
    pen.pull()
    pen.acknowledge()


def lines_of_a_session() -> int:
    pen = Mortal()
    whole_session(pen)
    pen.check(exact=True)
    assert pen.sealed[1].made() == 23
    return pen.said_lines


LINES = lines_of_a_session()


@pytest.mark.parametrize("said", [True, False], ids=["after", "within"])
@pytest.mark.parametrize("last", range(1, LINES + 1))
def test_a_host_that_is_gone_after_any_line(last: int, said: bool) -> None:
    pen = Mortal(last, said=said) if last > 1 else _greeted_by_nobody(said)
    if last > 1:
        with pytest.raises(Gone):
            whole_session(pen)
    _pen_alone_is_safe(pen)
    # Another host comes, and the practitioner goes on.
    pen.send(b"\n")
    pen.release()
    pen.hello()
    state = pen.wait_for(wire.SAFE, wire.LOADED, wire.FAULT)
    if state == wire.FAULT:
        pen.insist("clear")
    if not pen.greeting["open_session"] and pen.greeting["session_id"] == 1:
        data = profiles.data(pen.greeting, ZONES)
        pen.remember(data)
        if last == 1:
            pen.change_cartridge()
        pen.load(data)
    pen.finish_session()
    pen.pull()
    pen.acknowledge()
    pen.check(exact=True)
    assert [(zone.made, zone.forfeited) for zone in pen.sealed[1].zones] == [(14, 0), (9, 0)]
    assert sum(pen.needle_strokes().values()) == 23


def _greeted_by_nobody(said: bool) -> Mortal:
    """Return a pen whose host died in its very first line."""
    pen = Mortal.__new__(Mortal)
    pen.said_lines, pen._last, pen._said = 0, 1, said
    Bench.__init__(pen, greet=False)
    pen.power_on()
    with pytest.raises(Gone):
        pen.hello()
    return pen


def _pen_alone_is_safe(pen: Mortal) -> None:
    """Let time pass without a host: fail unless the needle is inside, without current, within lease and stroke."""
    left_ms = LEASE_MS + STROKE_MS + TURN_MS
    end = pen.clock.now + left_ms * TICKS_PER_MS
    pen.run_until(lambda: not pen.plant.energised and pen.clock.now > end - 1000 * TICKS_PER_MS, left_ms)
    assert not pen.plant.energised
    assert pen.plant.depth_um() <= 0
    strokes = pen.needle_strokes()
    pen.run_ms(3000)
    assert pen.needle_strokes() == strokes
    assert not pen.plant.energised


# --- deaf ------------------------------------------------------------------------------------------------------------
def test_a_host_that_does_not_read_for_a_minute() -> None:
    pen = Bench()
    pen.load_new(((profiles.PERIORBITAL, profiles.LEFT, 200, 1300, 20), (profiles.CHEEK, 0, 300, 9, 30)))
    pen.arm(0)
    pen.hold(150)
    pen.host.reading = False
    pen.press()
    for _ in range(150):
        pen.send(pen.line("ping"))
        pen.run_ms(400)
    assert sum(pen.needle_strokes().values()) > 1100
    pen.release()
    pen.run_ms(300)
    pen.host.reading = True
    pen.run_ms(100)
    pen.listen()
    assert pen.state() == wire.PAUSED
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert pen.sealed[1].made() == 1309


# --- noise -----------------------------------------------------------------------------------------------------------
MEGABYTE = 1_000_000


def noise(seed: int, stop: bool = False) -> bytes:
    """Return a megabyte of noise; with a stop byte in its middle, or without any."""
    made = random.Random(seed).randbytes(MEGABYTE).replace(STOP, b"?")
    return made[: MEGABYTE // 2] + STOP + made[MEGABYTE // 2 + 1 :] if stop else made


def swallow(pen: Bench) -> None:
    """Let the pen hear all that is on its way, and forget what it says of it."""
    assert pen.run_until(lambda: pen.cable.waiting() == 0, 600_000)
    pen.run_ms(100)
    pen.listen()
    pen.strays.clear()


def _before(pen: Bench, line: bytes, din: bytes) -> None:
    pen.send(din + b"\n")
    swallow(pen)
    pen.send(line)


def _within(pen: Bench, line: bytes, din: bytes) -> None:
    pen.send(line[: len(line) // 2] + din + line[len(line) // 2 :])
    swallow(pen)
    pen.send(line)


def _after(pen: Bench, line: bytes, din: bytes) -> None:
    pen.send(line)
    pen.send(din + b"\n")
    swallow(pen)


PLACES: dict[str, Callable[[Bench, bytes, bytes], None]] = {"before": _before, "within": _within, "after": _after}


class Noisy(Bench):
    """A bench with a megabyte of noise at every line that is not in `QUIET`; a pen in those wants a word meanwhile."""

    def __init__(self, place: Callable[[Bench, bytes, bytes], None]) -> None:
        self._place = place
        self.noisy: list[str] = []
        super().__init__()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        if method in QUIET:
            return super().ask(method, **params)
        self.listen()
        self._answers.clear()
        self.noisy.append(method)
        self._place(self, self.line(method, **params), noise(len(self.noisy)))

        def answered() -> bool:
            self.listen()
            return bool(self._answers)

        if not self.run_until(answered, 5000):
            raise NoAnswer(method)
        answer = self._answers.pop(0)
        if answer.refusal is not None:
            raise answer.refusal
        return answer.values


QUIET = ("ping", "status", "zone.select", "arm")


@pytest.mark.parametrize("place", PLACES)
def test_a_megabyte_of_noise_at_each_line(place: str) -> None:
    pen = Noisy(PLACES[place])
    pen.load_new(ZONES)
    pen.finish_session()
    pen.pull()
    pen.acknowledge()
    pen.check(exact=True)
    assert pen.sealed[1].made() == 23
    assert set(pen.noisy) >= {"hello", "load.begin", "load.chunk", "load.commit", "record.read", "record.ack"}


def _loaded() -> Bench:
    pen = Bench()
    pen.load_new(ZONES)
    return pen


def _homing() -> Bench:
    pen = _loaded()
    pen.ask("arm", zone=0)
    pen.allow_zone(0)
    return pen


def _armed() -> Bench:
    pen = _loaded()
    pen.arm(0)
    pen.hold(150)
    return pen


def _running() -> Bench:
    pen = _armed()
    pen.press()
    pen.hold(100)
    return pen


def _paused() -> Bench:
    pen = _running()
    pen.insist("pause")
    pen.hold(100)
    return pen


def _sealing() -> Bench:
    pen = _paused()
    pen.ask("finish")
    return pen


STATES: dict[str, Callable[[], Bench]] = {
    "safe": Bench,
    "loaded": _loaded,
    "homing": _homing,
    "armed": _armed,
    "running": _running,
    "paused": _paused,
    "sealing": _sealing,
}


@pytest.mark.parametrize("state", STATES)
def test_a_megabyte_of_noise_is_no_word(state: str) -> None:
    """Noise takes the pen longer to hear than its lease: it goes safe by itself, and the session goes on afterwards."""
    pen = STATES[state]()
    before = pen.needle_strokes()
    pen.send(noise(7) + b"\n")
    swallow(pen)
    pen.release()
    assert pen.state() == (wire.SAFE if state in ("safe", "sealing") else wire.LOADED)
    assert not pen.plant.energised
    assert pen.needle_strokes() == before or state == "running"
    pen.hello()
    if state in ("safe", "sealing"):
        pen.pull()
        pen.check(exact=True)
        assert len(pen.sealed) == (state == "sealing")
        return
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)
    assert pen.sealed[1].made() == 23


@pytest.mark.parametrize("state", STATES)
def test_a_stop_in_a_megabyte_of_noise_stops(state: str) -> None:
    pen = STATES[state]()
    # The driver is cut wherever the needle is.
    pen.may_coast = True
    din = noise(8, stop=True)
    assert din.count(STOP) == 1
    pen.send(din + b"\n")
    swallow(pen)
    pen.release()
    status = pen.status()
    assert (status["state"], status["fault"]) == (wire.FAULT, faults.OPERATOR_STOP)
    assert not pen.plant.energised
    assert pen.plant.depth_um() <= 0
    pen.insist("clear")
    pen.hello()
    pen.pull()
    pen.check()


def test_an_early_stop_in_noise_is_heard_before_the_noise_ends() -> None:
    pen = _running()
    pen.may_coast = True
    pen.send(STOP + noise(9) + b"\n")
    assert pen.run_until(lambda: not pen.plant.energised, 100)
    assert pen.cable.waiting() > MEGABYTE // 2
    swallow(pen)
    assert pen.status()["state"] == wire.FAULT
    pen.check()
