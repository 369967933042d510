"""The pen's port never leads to MicroPython's prompt, whatever is typed and whenever; the service button's does.

What is typed are the keys that MicroPython's console listens to, alone, in floods, and as mpremote types them when it
takes a board over. The host is as quick as none can be: without the waits that USB prescribes its port is open 5 ms
after the chip has shown itself on the bus.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from pencore import wire
from pensim.chip import usb
from pensim.chip.copies import in_copy
from pensim.chip.image import Image
from pensim.chip.pen import ENABLE
from pensim.world import default_provision
from pinprick.board.build import Build
from tests.chip.bench import ChipBench, flash_of
from tests.chip.witness import Witness, reach

pytestmark = pytest.mark.chip

ATTACH = (b"\r\x03", b"\r\x01", b"\x04", b"\x03\x03", b"\r\x02")
"""What mpremote types, one after the other: interrupt, raw prompt, soft reset, interrupt, friendly prompt."""
FLOODS: dict[str, tuple[bytes, ...]] = {
    "ctrl-c": (b"\x03",),
    "ctrl-a to e": (b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"),
    "mpremote": ATTACH,
    "packets of ctrl-c and ctrl-d": (b"\x03" * 63 + b"\x04", b"\x03\x04" * 32),
}
SPOKEN_MOST_MS = 2500
SAFE_MS = 1600
AWAY_MS = 40
"""From the moment the chip is on the bus: by then main.py has long put Ctrl-C out of action."""
ASKED_MS = 150
"""From the supply to main.py's last look at the service button."""
ANSWERED_MS = 60
"""An interpreter would have said something by then."""


@pytest.fixture
def quickest_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host wait no longer than the chip needs to follow."""
    waits = {"ATTACH_US": 1, "RESET_US": 1000, "RECOVERY_US": 500, "ADDRESS_RECOVERY_US": 200, "REQUEST_GAP_US": 50}
    for name, us in waits.items():
        monkeypatch.setattr(usb, name, us)


def new_pen(image: Image, firmware: Build) -> tuple[ChipBench, Witness]:
    """Return a pen without power, and who looks at it."""
    pen = ChipBench(image, flash_of(firmware, default_provision()))
    return pen, Witness(pen)


def keys(pieces: tuple[bytes, ...]) -> Iterator[bytes]:
    """Yield them again and again."""
    while True:
        yield from pieces


def boots_under(pen: ChipBench, witness: Witness, pieces: tuple[bytes, ...], phase_ms: float) -> None:
    """Switch on; type one piece each millisecond until the pen has spoken and for a while after."""
    pen.power_on()
    pen.run_ms(phase_ms)
    typed = keys(pieces)
    spoke = 0
    for number in range(SPOKEN_MOST_MS):
        # A pen takes 110 us for each byte: what it hasn't taken is no flood, but a queue.
        if pen.usb_host.unsent < usb.PACKET:
            pen.host.send(next(typed))
        pen.run_ms(1)
        witness.prompts()
        spoke = spoke or (number if pen.notes else 0)
        if spoke and number > spoke + ANSWERED_MS:
            break
    assert spoke, "the pen doesn't boot"
    assert spoke < SAFE_MS + 400


def is_a_pen_still(pen: ChipBench, witness: Witness, state: int) -> None:
    """Fail unless it answers as a pen does, is in `state`, and has said nothing that an interpreter says."""
    pen.run_ms(ANSWERED_MS)
    # What was typed is the beginning of a line, which this ends.
    pen.send(b"\n")
    pen.run_ms(20)
    pen.listen()
    pen.hello()
    assert pen.greeting["state"] == state
    assert witness.prompts() == []
    assert pen.crashes == []


@pytest.mark.parametrize("phase_ms", [0, 0.5])
@pytest.mark.parametrize("flood", FLOODS)
def test_no_flood_through_a_boot_reaches_a_prompt(
    chip_image: Image, firmware: Build, quickest_host: None, flood: str, phase_ms: float
) -> None:
    def act() -> None:
        pen, witness = new_pen(chip_image, firmware)
        boots_under(pen, witness, FLOODS[flood], phase_ms)
        is_a_pen_still(pen, witness, wire.SAFE)
        assert witness.edges == []

    in_copy(act)


def test_keys_at_any_moment_around_the_first_statement_are_lost(
    chip_image: Image, firmware: Build, quickest_host: None
) -> None:
    """From the tick at which the chip shows itself on the bus, every quarter of a millisecond a copy types all keys at
    once, however little of it there is room for.
    """
    pen, witness = new_pen(chip_image, firmware)
    pen.power_on()
    assert pen.run_until(lambda: pen.usb_host.present, 1000, 0.05)

    def act() -> None:
        pen.host.send(b"\x03\x03\x02\x04")
        for _ in range(ANSWERED_MS // 2):
            pen.host.send(b"\x03\x01\x04")
            pen.run_ms(2)
        assert witness.prompts() == []
        assert pen.host.receive() == b""
        assert pen.crashes == []
        assert witness.edges == []

    for _ in range(AWAY_MS * 2):
        in_copy(act)
        pen.run_ms(0.5)


STATES = (wire.SAFE, wire.LOADED, wire.HOMING, wire.ARMED, wire.RUNNING, wire.PAUSED, wire.FAULT)


@pytest.mark.parametrize("state", STATES)
def test_no_key_in_any_state_reaches_a_prompt_or_changes_the_state(armed_pen: ChipBench, state: int) -> None:
    def act() -> None:
        pen = armed_pen
        reach(pen, state)
        witness = Witness(pen)
        strokes = sum(pen.needle_strokes().values())
        for flood in FLOODS.values():
            for piece in flood:
                pen.send(piece)
                pen.run_ms(5)
                # A line of its own, so that what the pen says to it is one refusal, and the lease is kept.
                pen.send(b"\n")
                pen.ask("ping")
        pen.listen()
        after = pen.state()
        assert after == (wire.ARMED if state == wire.HOMING and after == wire.ARMED else state)
        assert pen.strays
        assert witness.prompts() == []
        assert pen.crashes == []
        assert (sum(pen.needle_strokes().values()) > strokes) == (state == wire.RUNNING)
        if state in (wire.ARMED, wire.RUNNING, wire.PAUSED):
            assert witness.edges == []

    in_copy(act)


def takes_over(pen: ChipBench) -> Callable[[bytes, int], bytes]:
    """Return what waits for words of the interpreter at the pen's port."""

    def until(wanted: bytes, most_ms: int = 1000) -> bytes:
        got = bytearray()
        for _ in range(most_ms):
            got += pen.host.receive()
            if wanted in got:
                return bytes(got)
            pen.run_ms(1)
        raise AssertionError(f"no {wanted!r} in {bytes(got)!r}")

    return until


def test_with_the_service_button_held_the_prompt_is_there_and_the_driver_off(
    chip_image: Image, firmware: Build
) -> None:
    def act() -> None:
        pen, witness = new_pen(chip_image, firmware)
        until = takes_over(pen)
        pen.service(True)
        pen.power_on()
        assert pen.run_until(lambda: pen.usb_host.connected, 1000)
        pen.run_ms(50)
        for key in (b"\r\x03", b"\r\x01"):
            pen.host.send(key)
            pen.run_ms(20)
        until(b"raw REPL; CTRL-B to exit\r\n>", 500)
        pen.host.send(b"import os; print(6 * 7, os.listdir('/'))\x04")
        said = until(b"\x04>", 500)
        assert b"OK42" in said
        assert b"'manifest.txt'" in said
        # mpremote starts the interpreter anew by this, and boot.py runs once more.
        pen.host.send(b"\x04")
        until(b"soft reboot", 500)
        until(b"raw REPL; CTRL-B to exit\r\n>", 1000)
        assert witness.is_off()
        assert pen.emulator.drives(ENABLE)
        assert witness.edges == []
        assert pen.crashes == []
        # Let go of, it is a pen again after the next power-up.
        pen.service(False)
        pen.power_cut()
        pen.run_ms(20)
        witness.forget()
        pen.power_on()
        witness.keeps_off_until_it_speaks()

    in_copy(act)


def test_the_service_button_is_nothing_but_at_power_up(chip_image: Image, firmware: Build) -> None:
    """Pressed when the boot has come further, or in a pen that works, it opens nothing."""

    def act(ms: int) -> None:
        pen.run_ms(ms)
        pen.service(True)
        typed = keys(FLOODS["ctrl-a to e"])

        def spoken() -> bool:
            pen.host.send(next(typed))
            return bool(witness.prompts() or pen.notes)

        assert pen.run_until(spoken, SPOKEN_MOST_MS)
        is_a_pen_still(pen, witness, wire.SAFE)
        assert witness.edges == []

    pen, witness = new_pen(chip_image, firmware)
    pen.power_on()
    # main.py has asked by then, and again it will not.
    pen.run_ms(ASKED_MS)
    for ms in (0, 300, 900):
        in_copy(partial(act, ms))


def test_the_service_button_opens_nothing_on_a_pen_that_works(armed_pen: ChipBench) -> None:
    def act() -> None:
        pen = armed_pen
        witness = Witness(pen)
        pen.service(True)
        pen.hold(300)
        for piece in ATTACH:
            pen.send(piece)
            pen.run_ms(5)
        is_a_pen_still(pen, witness, wire.ARMED)
        assert witness.edges == []

    in_copy(act)
