"""Firmware that isn't as it was built never runs: the pen resets for ever, dark, with the driver off and nothing said.

One file of the build after the other, whichever the build has; a byte is flipped at a place that a seed draws. Of the
two scripts, which run before they can be verified, only what leaves them able to run can be refused by them.
"""

import random
from functools import partial
from typing import Any

import pytest

from pensim.chip.copies import in_copy
from pensim.chip.image import Image
from pensim.chip.pen import ENABLE
from pensim.world import default_provision
from pinprick.board.build import MANIFEST, PLAIN, Build
from tests.chip.bench import ChipBench, flash_of
from tests.chip.moves import Moves
from tests.chip.witness import PROMPTS, Witness

pytestmark = pytest.mark.chip

REFUSED_MOST_MS = 900
"""Longest time from the supply to the reset; a whole build is verified in less."""
LEDS_AND_BUZZER = range(16, 20)
SCRIPT_FLIPS = 12
SPOKEN_MOST_MS = 2500


def refuses(image: Image, firmware: Build, spoilt: dict[str, bytes | None], times: int = 1) -> None:
    """Fail unless a pen with these files resets itself `times` times, says nothing, moves nothing and shows nothing.

    Somebody floods its port with Ctrl-C and Ctrl-D, as soon as there is one.
    """
    pen = ChipBench(image, flash_of(firmware, default_provision(), spoilt))
    witness = Witness(pen)
    lit: list[int] = []

    def note(pin: Any, number: int, _new: object, _old: object) -> None:
        if pin.output_value:
            lit.append(number)

    for number in LEDS_AND_BUZZER:
        pin = pen.emulator.chip.gpio[number]
        pin.add_listener(partial(note, pin, number))
    pen.power_on()

    def done() -> bool:
        pen.host.send(b"\x03\x04")
        return len(pen.crashes) >= times

    assert pen.run_until(done, REFUSED_MOST_MS * times), f"{sorted(spoilt)} is taken"
    said = pen.host.receive()
    assert said == b"", said
    assert witness.edges == []
    assert pen.emulator.level(ENABLE)
    assert lit == []
    assert not any(crash.by_watchdog for crash in pen.crashes)
    assert pen.flash.operations == 0


def flipped(data: bytes, draw: random.Random) -> bytes:
    """Return `data` with one bit of one byte flipped."""
    place = draw.randrange(len(data))
    return data[:place] + bytes((data[place] ^ 1 << draw.randrange(8),)) + data[place + 1 :]


def test_a_flipped_byte_in_any_compiled_file_is_refused(chip_image: Image, firmware: Build) -> None:
    paths = [path for path in firmware.files if path not in PLAIN]
    assert len(paths) > 25
    for path in paths:
        spoilt: dict[str, bytes | None] = {path: flipped(firmware.files[path], random.Random(path))}
        in_copy(partial(refuses, chip_image, firmware, spoilt))


def manifests(firmware: Build) -> dict[str, bytes | None]:
    """Return manifests that aren't the build's, by what is wrong with them."""
    lines = firmware.manifest.splitlines(keepends=True)
    return {
        "none": None,
        "empty": b"",
        "cut before its last line": b"".join(lines[:-1]),
        "cut within its last line": firmware.manifest[:-5],
        "a line short": b"".join(lines[:3] + lines[4:]),
        "a bit flipped": flipped(firmware.manifest, random.Random(7)),
    }


@pytest.mark.parametrize(
    "kind",
    ["none", "empty", "cut before its last line", "cut within its last line", "a line short", "a bit flipped"],
)
def test_a_manifest_that_is_not_whole_is_refused(chip_image: Image, firmware: Build, kind: str) -> None:
    in_copy(lambda: refuses(chip_image, firmware, {MANIFEST: manifests(firmware)[kind]}))


STRANGERS: dict[str, dict[str, bytes | None]] = {
    "a module missing": {"pencore/ledger.mpy": None},
    "a module beside": {"pencore/extra.mpy": b"M\x06\x00\x1f"},
    "a source before a module": {"pencore/wire.py": b"print('me first')\n"},
    "a module in the root": {"helper.py": b"print('me too')\n"},
    "another folder": {"lib/sensor.txt": b"nothing that can be run"},
    "a folder named as a module of MicroPython's own": {"machine/__init__.py": b"print('no pins')\n"},
    "a folder named as a script": {"boot/__init__.py": b"print('no boot')\n"},
    "a folder below the firmware's": {"pencore/units/x.txt": b""},
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_files_and_folders_that_are_not_the_build_s_are_refused(chip_image: Image, firmware: Build, kind: str) -> None:
    in_copy(lambda: refuses(chip_image, firmware, STRANGERS[kind]))


def test_a_pen_that_refuses_its_files_resets_again_and_again(chip_image: Image, firmware: Build) -> None:
    in_copy(lambda: refuses(chip_image, firmware, {"pencore/session.mpy": None}, times=5))


def ends(pen: ChipBench) -> str:
    """Switch a pen on and return what becomes of it: "reset", "prompt" or "pen"."""
    witness = Witness(pen)
    moved = Moves(pen)
    pen.on_enable = lambda on, at: witness.edges.append((at, on))
    pen.power_on()

    def told() -> bool:
        return bool(pen.crashes or pen.host.receive())

    assert pen.run_until(told, SPOKEN_MOST_MS, 2), "neither a pen nor a prompt nor a reset"
    if not pen.crashes:
        pen.run_ms(100)
        pen.host.receive()
    # Whatever runs there or doesn't: the driver is off, and nothing moves.
    assert witness.is_off()
    assert witness.edges == []
    assert moved.edges == []
    return "reset" if pen.crashes else "prompt" if any(word in witness.said for word in PROMPTS) else "pen"


@pytest.mark.parametrize("path", PLAIN)
def test_a_flipped_bit_in_a_script_resets_the_pen_or_leaves_a_prompt_with_the_driver_off(
    chip_image: Image, firmware: Build, path: str
) -> None:
    """MicroPython runs both scripts before anybody can look at them: what it can't read leads to its prompt."""
    draw = random.Random(path)
    found: list[str] = []
    for _ in range(SCRIPT_FLIPS):
        spoilt: dict[str, bytes | None] = {path: flipped(firmware.files[path], draw)}
        pen = ChipBench(chip_image, flash_of(firmware, default_provision(), spoilt))
        found.append(in_copy(partial(ends, pen)))
    assert set(found) == {"reset", "prompt"}


def test_a_comment_in_a_script_is_a_build_of_its_own(chip_image: Image, firmware: Build) -> None:
    for path in PLAIN:
        spoilt: dict[str, bytes | None] = {path: firmware.files[path] + b"# another\n"}
        in_copy(partial(refuses, chip_image, firmware, spoilt))
