"""`pinprick sim chip`: a pen that is the whole chip, the stock image with our files on an emulated RP2040, served as
`pinprick sim serve` serves others. Host only.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pinprick.board.build import MANIFEST, Build
from pinprick.board.build import build as built
from pinprick.cli.chip_image import Uf2Option, chosen
from pinprick.cli.extras import needing_extra
from pinprick.cli.live import on_terminal
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.cli.serving import (
    BlankOption,
    ControlPortOption,
    FlashOption,
    KeyOption,
    NoCartridgeOption,
    SerialOption,
    TcpOption,
    TcpPortOption,
    UnlistedOption,
    Ways,
    key_in,
    plain_serial,
    serve_until_end,
    start,
)
from pinprick.cli.sim_shown import show
from pinprick.errors import BOARD_NOT_UP, PinprickError

if TYPE_CHECKING:
    from pensim.chip.target import OnChip
    from pensim.scenario.model import Scenario

_PATIENCE = 10.0
"""Seconds that a stroke may take of one of its own, on a computer that nothing else keeps busy."""


def chip(
    uf2: Uf2Option = None,
    tcp: TcpOption = False,
    tcp_port: TcpPortOption = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=100.0,
            help="Emulated seconds per second while the pen works, at most: the computer may manage fewer.",
        ),
    ] = 1.0,
    serial: SerialOption = None,
    flash: FlashOption = None,
    key: KeyOption = None,
    no_cartridge: NoCartridgeOption = False,
    blank: BlankOption = False,
    service: Annotated[
        bool, typer.Option("--service", help="Boot with the service button held: the port is MicroPython's prompt.")
    ] = False,
    unlisted: UnlistedOption = False,
    control_port: ControlPortOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Serve a pen that is the whole chip until Ctrl-C, `quit`, or the end of standard input.

    The stock MicroPython image runs on an emulated RP2040, with this tool's firmware in its flash and the modelled
    mechanics on its pins; port, control channel and standard input are those of `pinprick sim serve`. In the flash file
    of another pen the firmware is replaced by this tool's, and what the pen remembers stays.

    The chip is slower than the firmware's logic alone: about as fast as a real one at rest, a tenth as fast in a
    stroke. It says so where it is listed, and this tool waits for it as much longer than for a real pen. A session of
    thousands of strokes takes hours: begin with a small profile. Times in commands are the chip's own, too.

    A reset takes its port away for as long as a real one's. With `--service`, `mpremote connect PORT` reaches the
    prompt; without, nothing does.

    An image that isn't the one in firmware/image.lock by its SHA-256 runs only if PINPRICK_UF2_ALLOW_HASH names that
    SHA-256, and every report says so.
    """
    with reporting(json_lines) as out, ExitStack() as stack:
        image = chosen(uf2)
        patience = _PATIENCE / min(speed, 1.0)
        ways = Ways(tcp or tcp_port is not None, tcp_port or 0, not unlisted, control_port or 0, patience)
        with needing_extra():
            from pensim.chip.making import ChipSwitchOn
            from pensim.making import Wish

            image.tell(out)
            build = built()
            wish = Wish(plain_serial(serial), None, flash, key_in(key), blank, not no_cartridge)
            with _booting(out) as tell, _not_up():
                switch_on = ChipSwitchOn(image.for_chip(), files_of(build), service=service, tell=tell)
                pen = start(wish, ways, speed, lambda answer: show(out, answer), stack, switch_on)
        out.event("serving", **pen.fields(), build=build.identity, image=image.fields(), service=service)
        what = "MicroPython's prompt of pen" if service else "Pen"
        out.say(f"{what} {pen.made.serial} on {pen.server.end.address}, the whole chip", style="bold")
        serve_until_end(pen, out, "sim chip")


def files_of(build: Build) -> dict[str, bytes]:
    """Return what lies in the flash of a board with this build."""
    return {**build.files, MANIFEST: build.manifest}


def chip_targets(uf2: Path | None, out: Output) -> "Callable[[Scenario], OnChip]":
    """Return what makes the targets of scenarios on the whole chip, and say which image it is."""
    image = chosen(uf2)
    with needing_extra():
        from pensim.chip.target import ChipTargets

        image.tell(out)
        targets = ChipTargets(image.for_chip(), files_of(built()))

    def made(scenario: "Scenario") -> "OnChip":
        with _not_up():
            return targets(scenario)

    return made


@contextmanager
def _not_up() -> Iterator[None]:
    """Word that a pen does not boot; PinprickError BOARD_NOT_UP."""
    from pensim.chip.making import DoesNotBoot

    try:
        yield
    except DoesNotBoot as error:
        hint = "Look at the image with `pinprick board image FILE`; on a busy computer, try again."
        raise PinprickError(BOARD_NOT_UP, f"The emulated pen does not boot: {error}.", hint=hint) from None


@contextmanager
def _booting(out: Output) -> Iterator[Callable[[int], None]]:
    """Give what shows how far a boot is: on a terminal as it goes, elsewhere that it has begun."""
    status = out.console.status("Booting ...") if on_terminal(out) else None
    said = False

    def tell(passed_ms: int) -> None:
        nonlocal said
        if status is not None:
            status.update(f"Booting: {passed_ms / 1000:.1f} s of the chip's time")
        elif not said:
            said = True
            out.event("booting")
            out.say("Booting ...")

    with status or nullcontext():
        yield tell
