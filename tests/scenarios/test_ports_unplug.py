"""The cable is pulled at any line of any command: a plain sentence, exit code 3, and the next try works."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pencore import wire
from pinprick import device, errors, urgent
from pinprick.device import Pen
from pinprick.errors import LINK_LOST, NoDevice
from pinprick.profiles import load_profile
from pinprick.records import RecordStore
from pinprick.sent import SentProfiles
from pinprick.transport import Transport
from tests.support.cli import Run, settle_terminal
from tests.support.served import Served, served, until

LARGEST = Path(__file__).parents[2] / "examples" / "full-face-session-2.toml"
MOST_LINES = 40


class Frail:
    """A cable that breaks at line `last` of the host: before it is sent, on its way, or as soon as it is."""

    def __init__(self, under: Transport, last: int, how: str) -> None:
        self.name = under.name
        self.lines = 0
        self._under = under
        self._last = last
        self._how = how
        self._broken = threading.Event()

    def _lost(self) -> NoDevice:
        return NoDevice(LINK_LOST, f"The connection to {self.name} broke off.", field="--port")

    def read(self, timeout_s: float) -> bytes:
        heard = b"" if self._broken.is_set() else self._under.read(timeout_s)
        if self._broken.is_set():
            raise self._lost()
        return heard

    def write(self, data: bytes) -> None:
        if self._broken.is_set():
            raise self._lost()
        self.lines += 1
        if self.lines < self._last:
            self._under.write(data)
            return
        self._broken.set()
        if self._how != "before":
            self._under.write(data if self._how == "after" else data[: len(data) // 2])
        if self._how != "after":
            raise self._lost()

    def close(self) -> None:
        self._under.close()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    """Return a pen at a pipe, with a host's folders apart from the user's."""
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    with served() as pen:
        yield pen


def lines_of_load(bench: Served) -> int:
    """Return how many lines the host says to load the largest profile; the pen is as before afterwards."""
    cable = Frail(bench.connect(), MOST_LINES, "before")
    with Pen(cable) as pen:
        pen.load(load_profile(LARGEST))
        lines = cable.lines
        pen.finish()
    assert 5 < lines < MOST_LINES
    return lines


@pytest.mark.parametrize("how", ["before", "within", "after"])
def test_unplugged_at_every_line_of_load(bench: Served, how: str) -> None:
    source, sent, records = load_profile(LARGEST), SentProfiles(), RecordStore()
    for last in range(1, lines_of_load(bench) + 1):
        with pytest.raises(NoDevice) as caught, Pen(Frail(bench.connect(), last, how)) as pen:
            pen.load(source, sent=sent, records=records)
        assert caught.value.code == LINK_LOST
        assert ("when last heard of" in caught.value.message) == (last > 1)
        # The pen took it whole, or not at all.
        until(lambda: not bench.server.end.present)
        assert bench.state in (wire.SAFE, wire.LOADED)
        with Pen(bench.connect()) as pen:
            loaded = pen.load(source, sent=sent, records=records)
            assert pen.status().left[0] == source.zones[0].strokes
            assert sent.get("SIM-0001", 1) == loaded.data
            pen.finish()
            assert pen.state == wire.SAFE
    needle = bench.operator.needle()
    assert (needle.total.begun, needle.violations) == (0, ())


def _nothing(_: Served) -> None:
    pass


def _load(bench: Served) -> None:
    with Pen(bench.connect()) as pen:
        pen.load(load_profile(LARGEST), sent=SentProfiles())


def _paused(bench: Served) -> None:
    _session(bench, release=True)


def _running(bench: Served) -> None:
    _session(bench, release=False)


def _session(bench: Served, *, release: bool) -> None:
    with Pen(bench.connect()) as pen:
        pen.load(load_profile(LARGEST), sent=SentProfiles())
        pen.arm()
        bench.press()
        until(lambda: bench.operator.needle().total.crossings > 20)
        if release:
            bench.operator.do("release")
            pen.wait_for(wire.PAUSED)


def _stopped(bench: Served) -> None:
    with Pen(bench.connect()) as pen:
        pen.stop()


COMMANDS: dict[str, tuple[list[str], Callable[[Served], None]]] = {
    "load": (["load", str(LARGEST)], _nothing),
    "load again": (["load", str(LARGEST)], _load),
    "status": (["status"], _load),
    "arm": (["arm", "cheek", "left"], _load),
    "zone": (["zone", "1"], _paused),
    "pause": (["pause"], _running),
    "finish": (["finish"], _paused),
    "clear": (["clear"], _stopped),
    "stop": (["stop"], _running),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_unplugged_at_every_line_of_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    argv, prepare = COMMANDS[name]
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    last = 0
    while True:
        last += 1
        assert last < MOST_LINES
        monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / f"data-{last}"))
        with served() as bench:
            prepare(bench)
            until(lambda here=bench: not here.server.end.present)  # type: ignore[misc]  # mypy knows no default
            cables: list[Frail] = []

            def plug(_: str, here: Served = bench, cables: list[Frail] = cables, last: int = last) -> Frail:
                cables.append(Frail(here.connect(), last, "before" if last % 2 else "after"))
                return cables[-1]

            for module in (device, urgent):
                monkeypatch.setattr(module, "SerialTransport", plug)
            run = Run(capsys, *argv, "--port", "/dev/ttyACM0")
            if run.exit == 0 and cables[0].lines < last:
                break
            text = run.text
            assert run.exit == 3, text
            assert "LINK_LOST" in text
            assert "Safe?" in text
            until(lambda here=bench: here.state not in (wire.HOMING, wire.RUNNING, wire.SEALING))  # type: ignore[misc]  # as above
            needle = bench.operator.needle()
            assert needle.violations == ()
            until(lambda here=bench: not here.operator.needle().driver_on)  # type: ignore[misc]  # as above
    assert last > 2


def test_what_the_pen_does_by_itself_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bench: Served
) -> None:
    _running(bench)
    until(lambda: not bench.server.end.present)
    monkeypatch.setattr(device, "SerialTransport", lambda _: Frail(bench.connect(), 2, "before"))
    run = Run(capsys, "pause", "--port", "/dev/ttyACM0", "--json")
    error = run.result["error"]
    assert (run.exit, error["code"]) == (3, errors.LINK_LOST)
    # Its simulated time runs fast: by now the lease of the host before may be over.
    assert "The pen was " in error["message"]
    assert "when last heard of." in error["message"]
    assert "driver" in error["message"]
