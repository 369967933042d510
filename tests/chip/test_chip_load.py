"""What hosts and memory do to a pen that runs: one that doesn't read, one that floods, a cable pulled, garbage.

Strokes go on meanwhile, each step at its very tick. That the loop goes on shows in the strokes that are credited and
in the lease: what is neither is not asked.
"""

import random
from collections.abc import Callable

import pytest

from pencore import wire
from pensim.chip.copies import in_copy
from pensim.chip.image import Image
from pensim.world import default_provision
from pinprick.board.build import build
from pinprick.firmware import firmware_files
from tests.chip import moves
from tests.chip.bench import ChipBench, flash_of
from tests.chip.moves import Moves
from tests.support import profiles

pytestmark = pytest.mark.chip

FLOOD = 20_000
LEASE_MS = 2000
LEASE_SLACK_MS = 50


def garbage(seed: int) -> bytes:
    """Return bytes that mean nothing, line ends among them, and no stop."""
    seeded = random.Random(seed)
    return bytes(seeded.choice([number for number in range(256) if number != 0x18]) for _ in range(FLOOD))


def pings(pen: ChipBench) -> bytes:
    """Return legal requests, each with an id of its own."""
    lines = b""
    while len(lines) < FLOOD:
        lines += pen.line("ping")
    return lines


def check_strokes(pen: ChipBench, moved: Moves, least: int, *, seamless: bool = True) -> None:
    """Fail unless at least so many strokes were made, each as planned."""
    strokes = moved.strokes()
    assert len(strokes) >= least
    moves.check_timing(strokes, moves.planned(pen, 0), seamless=seamless)


def plug_in(pen: ChipBench) -> None:
    """Put the cable back and open the port. What the pen was saying when it was pulled is lost in mid-line."""
    pen.plug(True)
    assert pen.run_until(lambda: pen.usb_host.connected, 1000, 5)
    pen.send(b"\n")
    pen.run_ms(100)
    pen.begin_line()


def settle(pen: ChipBench) -> None:
    """Release, wait, and look at what needle and pen say."""
    pen.release()
    pen.run_ms(80)
    pen.hello()
    pen.hold(60)
    assert pen.state() == wire.PAUSED
    check_counts(pen)


def check_counts(pen: ChipBench) -> None:
    """Fail unless pen and needle agree, to the stroke."""
    status = pen.status()
    assert (status["made"][0], status["forfeited"][0]) == (pen.needle_strokes()["1.0"], 0)
    pen.check(exact=True)


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(lambda _pen: garbage(1), id="garbage"),
        pytest.param(lambda _pen: garbage(2).replace(b"\n", b"x"), id="a line without end"),
        pytest.param(pings, id="pings"),
    ],
)
def test_a_host_that_floods_doesnt_move_a_step(running_pen: ChipBench, flood: Callable[[ChipBench], bytes]) -> None:
    def trial() -> None:
        pen = running_pen
        moved = Moves(pen)
        pen.send(flood(pen))
        pen.run_ms(400)
        # The port holds back what isn't taken; what was taken was taken by the loop.
        assert FLOOD - pen.usb_host.unsent > 1000
        # Who has so much to listen to may credit a stroke late: it waits at home.
        check_strokes(pen, moved, 8, seamless=False)
        pen.release()
        pen.run_ms(100)
        strokes = len(moved.strokes())
        assert pen.run_until(lambda: not pen.usb_host.unsent, 10_000, 20)
        pen.send(b"\n")
        pen.run_ms(300)
        pen.hello()
        assert len(moved.strokes()) == strokes
        check_counts(pen)
        # Nothing in garbage is a sign of life.
        assert pen.state() == (wire.PAUSED if flood is pings else wire.LOADED)

    in_copy(trial)


def test_a_host_that_doesnt_read_and_goes_on_sending_holds_nothing_up(running_pen: ChipBench) -> None:
    def trial() -> None:
        pen = running_pen
        moved = Moves(pen)
        pen.host.reading = False
        # Its answers and what it is told unasked are more than port and queue hold.
        for _ in range(22):
            pen.send(pen.line("ping"))
            pen.run_ms(40)
        check_strokes(pen, moved, 25)
        pen.host.reading = True
        pen.run_ms(100)
        pen.listen()
        settle(pen)

    in_copy(trial)


def test_a_cable_that_is_pulled_and_put_back_in_mid_stroke_changes_no_stroke(running_pen: ChipBench) -> None:
    def trial() -> None:
        pen = running_pen
        moved = Moves(pen)
        moves.reach(pen, moved, moves.extending)
        pen.plug(False)
        pen.run_ms(250)
        moves.reach(pen, moved, moves.extending)
        plug_in(pen)
        nonce = pen.greeting["nonce"]
        assert pen.hello()["nonce"] == nonce
        assert pen.state() == wire.RUNNING
        check_strokes(pen, moved, 10)
        settle(pen)

    in_copy(trial)


SLOW = ((profiles.PERIORBITAL, profiles.LEFT, 200, 60, 5),)


@pytest.fixture(scope="module")
def slow_pen(safe_pen: ChipBench) -> Callable[[Callable[[ChipBench, Moves], None]], None]:
    """Return what tries something in a copy of a pen that makes five strokes a second."""

    def run(act: Callable[[ChipBench, Moves], None]) -> None:
        def trial() -> None:
            safe_pen.load_new(SLOW)
            safe_pen.arm(0)
            safe_pen.running()
            act(safe_pen, Moves(safe_pen))

        in_copy(trial)

    return run


@pytest.mark.parametrize("quiet", ["unplugged", "silent", "not reading", "talking nonsense"])
def test_a_host_that_is_gone_ends_the_strokes_with_its_lease(
    slow_pen: Callable[[Callable[[ChipBench, Moves], None]], None], quiet: str
) -> None:
    def act(pen: ChipBench, moved: Moves) -> None:
        pen.hold(1)
        begun = pen.clock.now
        if quiet == "unplugged":
            pen.plug(False)
        pen.host.reading = quiet != "not reading"
        for _ in range(30):
            if quiet == "talking nonsense":
                pen.send(b"nobody knows this\n")
            pen.run_ms(100)
        began_ms = [(stroke[0].at - begun) / 125_000 for stroke in moved.strokes()]
        assert LEASE_MS - 300 < began_ms[-1] <= LEASE_MS + LEASE_SLACK_MS
        check_strokes(pen, moved, 8)
        pen.host.reading = True
        plug_in(pen)
        pen.hello()
        # The burst ended with the lease, the arming with it: neither comes back with the host.
        assert pen.state() == wire.LOADED
        assert moved.off_at() is not None
        pen.check(exact=True)

    slow_pen(act)


def hungry(source: bytes) -> bytes:
    """Return the firmware's `app` with a loop that allocates all it can and collects again and again."""
    turn = b"        wait_ms = self.runner.step(ports.clock.now_ms())\n"
    waste = b"        [bytearray(96) for _ in range(40)]\n        gc.collect()\n"
    assert source.count(turn) == 1
    return source.replace(turn, waste + turn)


def test_garbage_collection_doesnt_move_a_step(chip_image: Image) -> None:
    def trial() -> None:
        sources = dict(firmware_files())
        sources["pendevice/app.py"] = hungry(sources["pendevice/app.py"])
        pen = ChipBench(chip_image, flash_of(build(sources), default_provision()))
        pen.boot()
        pen.load_new()
        pen.arm(0)
        pen.running()
        moved = Moves(pen)
        pen.run_ms(300)
        # It collects for longer than a stroke takes, so that strokes have to wait for their credit.
        check_strokes(pen, moved, 5, seamless=False)
        settle(pen)

    in_copy(trial)
