"""Simulated pens on their way up: who waits for whom, how long a boot may take, which signals are heard meanwhile."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pencore.provision import Provision
from pensim.chip import making
from pensim.chip.files import files_in, image_of, with_files
from pensim.chip.making import DoesNotBoot, boot, put_firmware
from pensim.clock import TICKS_PER_MS, VirtualClock
from pensim.flash import FlashImage
from pensim.locks import lock
from pensim.making import Wish, logic_alone
from pensim.undisturbed import undisturbed
from pensim.world import World
from pinprick import simulated
from pinprick.cli import serving
from pinprick.cli.endings import Ended, ended_by_signals
from pinprick.cli.serving import Ways, start
from pinprick.errors import PinprickError

pytestmark = pytest.mark.timeout(60)

LISTED = Ways(tcp=True, port=0, listed=True, control_port=0)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a runtime folder of its own."""
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Return what lets go of the pens of a test."""
    with ExitStack() as found:
        yield found


def begun(stack: ExitStack, switch_on: Any = None, **wish: Any) -> serving.Serving:
    """Start a pen as the commands do."""
    return start(Wish(**wish), LISTED, 1.0, lambda _answer: None, stack, switch_on)


# --- who waits for whom -----------------------------------------------------------------------------------------------
def test_while_one_boots_another_starts_with_a_serial_number_of_its_own(stack: ExitStack, runtime: Path) -> None:
    others: list[str] = []

    def slow(wish: Wish, setup: Provision, seed: int, flash: FlashImage, used: bool) -> World:
        others.append(begun(stack).made.serial)
        with pytest.raises(PinprickError, match="SIM-0001 is running already"):
            begun(stack, serial="SIM-0001")
        return logic_alone(wish, setup, seed, flash, used)

    assert begun(stack, slow).made.serial == "SIM-0001"
    assert others == ["SIM-0002"]
    assert simulated.listed() == {"SIM-0001", "SIM-0002"}
    assert not list((runtime / "starting").iterdir())


def test_one_that_did_not_come_up_leaves_its_number_to_others(stack: ExitStack, runtime: Path) -> None:
    def failing(*_: object) -> World:
        raise DoesNotBoot

    with pytest.raises(DoesNotBoot):
        begun(stack, failing)
    assert not list((runtime / "starting").iterdir())
    # As of a process that was killed.
    (runtime / "starting" / "SIM-0001").touch()
    assert begun(stack).made.serial == "SIM-0001"


def test_a_number_that_another_process_has_reserved_is_not_chosen(stack: ExitStack, runtime: Path) -> None:
    (runtime / "starting").mkdir()
    with (runtime / "starting" / "SIM-0001").open("ab") as other:
        assert lock(other)
        assert begun(stack).made.serial == "SIM-0002"


# --- how long a boot may take -----------------------------------------------------------------------------------------
class Silent:
    """A pen that says nothing, each millisecond of which takes so many seconds of the computer's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, each_s: float) -> None:
        self.clock = VirtualClock()
        self.host = SimpleNamespace(receive=lambda: b"")
        self.port = False
        self.crashes = ["a crash"]
        self.now_s = 1000.0
        self._each_s = each_s
        monkeypatch.setattr(making, "time", SimpleNamespace(monotonic=lambda: self.now_s))

    def power_on(self) -> None:
        self.now_s += 1

    def run_ms(self, ms: int) -> None:
        self.clock.advance(ms * TICKS_PER_MS)
        self.now_s += self._each_s


@pytest.mark.parametrize(
    ("each_s", "ms", "words"),
    [
        (0.1, 600, "nothing was heard in 0.6 s of the chip's time, which took the computer 60 s; it shows no port"),
        (0.001, 10_000, "nothing was heard in 10.0 s of the chip's time; it shows no port; the last of 1 resets"),
    ],
)
def test_a_boot_ends_by_either_clock(monkeypatch: pytest.MonkeyPatch, each_s: float, ms: int, words: str) -> None:
    pen: Any = Silent(monkeypatch, each_s)
    with pytest.raises(DoesNotBoot, match=words):
        boot(pen)
    assert abs(pen.clock.now / TICKS_PER_MS - ms) < 3


# --- which signals are heard meanwhile --------------------------------------------------------------------------------
class Calls:
    """Raises a signal at the second call."""

    def __init__(self, number: signal.Signals) -> None:
        self.calls = 0
        self._number = number

    def __call__(self, *_: object) -> None:
        self.calls += 1
        if self.calls == 2:
            signal.raise_signal(self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_in_the_middle_of_littlefs_is_heard_afterwards_and_spoils_nothing(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = image_of({"boot.py": b"old" * 900, "journal": b"j" * 900})
    calls = Calls(number)
    real = with_files
    monkeypatch.setattr("littlefs.UserContext.read", _calling(calls))
    made: list[bytes] = []

    def noted(*given: Any) -> bytes:
        made.append(real(*given))
        return made[-1]

    monkeypatch.setattr(making, "with_files", noted)
    flash = FlashImage.from_bytes(before)
    with pytest.raises(Ended), ended_by_signals():
        put_firmware(flash, {"boot.py": b"new" * 900})
    assert calls.calls > 2
    assert files_in(flash.to_bytes()) == {"boot.py": b"new" * 900, "journal": b"j" * 900}
    assert flash.to_bytes() == made[0]


def _calling(calls: Calls) -> Any:
    from littlefs import UserContext

    read = UserContext.read

    def calling(context: Any, *given: Any) -> Any:
        calls()
        return read(context, *given)

    return calling


def test_a_pen_whose_start_is_ended_is_not_left_open(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash = tmp_path / "flash"

    def ended(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    real = World.run_ms
    monkeypatch.setattr(World, "run_ms", ended)
    with pytest.raises(Ended), ended_by_signals():
        begun(stack, flash=flash)
    monkeypatch.setattr(World, "run_ms", real)
    stack.close()
    assert begun(stack, flash=flash).made.serial == "SIM-0001"


def test_a_boot_of_the_chip_can_be_ended(stack: ExitStack) -> None:
    went_on = False

    def booting(*_: object) -> World:
        nonlocal went_on
        signal.raise_signal(signal.SIGTERM)
        went_on = True
        raise DoesNotBoot

    with pytest.raises(Ended), ended_by_signals():
        begun(stack, booting)
    assert not went_on


def test_blocks_may_be_nested_and_give_every_handler_back() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        handler = signal.getsignal(signal.SIGTERM)
        with undisturbed():
            with undisturbed():
                signal.raise_signal(signal.SIGTERM)
            assert heard == []
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_elsewhere_than_in_the_main_thread_there_is_nothing_to_hold_back() -> None:
    held: list[bytes] = []
    thread = threading.Thread(target=lambda: held.append(with_files(image_of({}), {"a": b"1"})))
    thread.start()
    thread.join(30)
    assert files_in(held[0]) == {"a": b"1"}
