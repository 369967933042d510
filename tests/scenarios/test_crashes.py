"""The firmware fails: an exception at any call of a port, a CPU that hangs. The root switches off and resets.

Whatever was reserved is counted then, what was sealed is there, and the session goes on.
"""

from collections.abc import Callable
from typing import Any

import pytest

from pencore import faults, wire
from pencore.faults import Refusal
from pencore.ports import Ports
from pensim import world
from pensim.clock import TICKS_PER_US
from pensim.faults.cpu import PortRaises
from tests.support import profiles
from tests.support.bench import Bench, NoAnswer
from tests.support.cuts import go_on

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.NOSE, 0, 100, 7, 30), (profiles.CHEEK, 1, 200, 4, 30))
ERRORS = ("RuntimeError", "MemoryError", "ValueError")


class Listener:
    """Stands between the firmware and its ports, and writes down every call: (port.method, state shown), in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.shown: Callable[[], int] = lambda: wire.BOOT

    def wrap(self, **ports: Any) -> Ports:
        """Return ports that go through this."""
        self.shown = lambda: int(ports["indicator"].shown[0])
        return Ports(**{name: _Wrapped(self, name, port) for name, port in ports.items()})

    def note(self, name: str) -> None:
        """Write down one call."""
        self.calls.append((name, self.shown()))


class _Wrapped:
    """A port whose every call is noted before it is made."""

    def __init__(self, listener: Listener, name: str, port: Any) -> None:
        self._listener = listener
        self._name = name
        self._port = port

    def __getattr__(self, method: str) -> Callable[..., Any]:
        act = getattr(self._port, method)

        def call(*arguments: Any) -> Any:
            self._listener.note(f"{self._name}.{method}")
            return act(*arguments)

        return call


class Crashing(Bench):
    """A bench whose root does what the board's does; `off`: whether the driver was off after each reset.

    `planted`: what the calls of its first boot do.
    """

    def __init__(self, planted: PortRaises | None = None) -> None:
        self.off: list[bool] = []
        super().__init__(greet=False, strict=False)
        self.may_coast = True
        if planted is not None:
            planted.apply(self)

    def crashed(self, error: Exception) -> bool:
        """Reset, and look at the driver."""
        done = super().crashed(error)
        self.off.append(not self.plant.energised)
        return done

    def talk(self) -> None:
        """Play a session with a fault in it, from power-up to the acknowledged record."""
        self.power_on()
        self.hello()
        self.load_new(ZONES)
        self.arm()
        self.stroke_for(100)
        self.send(b"\x18")
        self.run_ms(100)
        self.recover_from_fault()
        self.finish_session()
        self.pull()
        self.acknowledge()
        self.run_ms(100)

    def end(self) -> None:
        """Let go, wait for the needle, and do what a practitioner does."""
        self.release()
        self.run_ms(300)
        self.restart()
        self.run_ms(300)
        data = self.loaded_data or profiles.data(self.hello(), ZONES)
        if self.loaded is None:
            self.remember(data)
        if self.hello()["state"] == wire.FAULT:
            self.recover_from_fault()
            self.hello()
        go_on(self, data, finish=False)


def calls_of_a_session(patch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return every call of a port in an undisturbed session."""
    listener = Listener()
    patch.setattr(world, "Ports", listener.wrap)
    pen = Crashing()
    pen.talk()
    pen.check()
    assert not pen.crashes
    patch.undo()
    return listener.calls


def raising(calls: list[tuple[str, int]], number: int, error: str) -> PortRaises:
    """Return the fault that lets the call of that number raise, and none before."""
    name = calls[number][0]
    return PortRaises(name, sum(call[0] == name for call in calls[:number]), error, next_boot=True)


def chosen(calls: list[tuple[str, int]], shard: int, shards: int) -> list[int]:
    """Return which calls are let fail: of each method in each state the first two, one in the middle, the last."""
    places: dict[tuple[str, int], list[int]] = {}
    for number, call in enumerate(calls):
        places.setdefault(call, []).append(number)
    found = {where[at] for where in places.values() for at in (0, min(1, len(where) - 1), len(where) // 2, -1)}
    return sorted(found)[shard::shards]


@pytest.mark.parametrize("shard", range(4))
def test_an_exception_at_any_call_of_a_port(shard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of_a_session(monkeypatch)
    assert {"engine.credit", "store.append", "store.rename", "link.write", "indicator.show"} <= {
        name for name, _ in calls
    }
    for number in chosen(calls, shard, 4):
        pen = Crashing(raising(calls, number, ERRORS[number % len(ERRORS)]))
        try:
            pen.talk()
        except (Refusal, NoAnswer, AssertionError):
            # The nonce is another one now, and the state isn't what the host takes it for.
            assert pen.crashes
        assert len(pen.crashes) == 1, calls[number]
        assert pen.off == [True], calls[number]
        pen.end()


@pytest.mark.parametrize("shard", range(4))
def test_an_error_of_the_flash_at_any_call_of_the_store(shard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An OSError is a fault of the pen, not a crash: de-energised, latched until a clear that reads everything anew."""
    calls = calls_of_a_session(monkeypatch)
    numbers = [number for number, call in enumerate(calls) if call[0].startswith("store.")]
    for number in numbers[shard::4]:
        pen = Crashing(raising(calls, number, "OSError"))
        try:
            pen.talk()
        except (Refusal, NoAnswer, AssertionError):
            assert pen.indicator.shown[0] == wire.FAULT
            assert pen.indicator.shown[1] in (faults.STORE_FAILED, faults.OPERATOR_STOP)
            assert not pen.plant.energised
            pen.release()
            pen.run_ms(300)
            pen.recover_from_fault()
        assert not pen.crashes
        pen.end()


@pytest.mark.parametrize("offset_us", range(0, 36_000, 3_300))
def test_a_hung_cpu_leaves_at_most_two_strokes_and_is_reset(offset_us: int) -> None:
    """The engine finishes what was credited, the watchdog resets the pen, and the strokes were counted beforehand."""
    pen = Bench()
    pen.may_coast = True
    data = pen.load_new(((profiles.CHEEK, 1, 400, 60, 28),))
    pen.arm()
    pen.hold(150)
    pen.press()
    pen.hold(400)
    pen.clock.run_until(pen.clock.now + offset_us * TICKS_PER_US)
    before = sum(pen.needle_strokes().values())
    pen.hung = True
    pen.run_ms(500)
    strokes = sum(pen.needle_strokes().values())
    assert strokes <= before + 2
    assert pen.plant.depth_um() < 0
    pen.run_ms(3600)
    assert not pen.plant.energised
    assert sum(pen.needle_strokes().values()) == strokes
    pen.release()
    pen.keep_inside()
    pen.hello()
    assert pen.greeting["open_session"] == 1
    pen.run_ms(200)
    go_on(pen, data, finish=offset_us % 6_600 == 0)
    assert faults.WATCHDOG_RESET in [fault[0] for fault in pen.sealed[1].faults]
