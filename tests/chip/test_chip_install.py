"""The tool puts the firmware onto the emulated board by way of mpremote, starts it, and hears from it what it runs."""

import time
from collections.abc import Callable

import pytest

from pensim.chip.files import files_in, image_of
from pensim.chip.image import Image
from pensim.flash import FlashImage, Torn
from pensim.world import default_provision
from pinprick.board import image as images
from pinprick.board import install as installing
from pinprick.board import repl, service
from pinprick.board.build import MANIFEST, Build
from pinprick.errors import BOARD_CLOSED, BOARD_LOST, PinprickError
from tests.chip.bench import ChipBench, flash_of
from tests.chip.wired_board import WiredBoard
from tests.chip.witness import Witness

pytestmark = [pytest.mark.chip, pytest.mark.slow, pytest.mark.timeout(600)]

UP_S = 120.0
CUT_AFTER = 150
"""Operations on the flash until the power goes: about a third of an installation."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer than for a real board: this one may share its processor."""
    monkeypatch.setattr(repl, "_ANSWER_S", 60.0)


def switched_on(pen: ChipBench, served: WiredBoard, *, service_held: bool) -> None:
    """Switch the pen on, with the service button held for a moment or not, and wait for its port."""

    def act() -> None:
        pen.service(service_held)
        pen.power_on()
        pen.run_ms(400)
        pen.service(False)
        assert pen.usb_host.connected

    served.do(act)


def installed(served: WiredBoard, firmware: Build, tell: Callable[[installing.Step], None]) -> installing.Installed:
    """Install, reset, and wait for the pen, as the command does."""
    with service.taken(served.port) as board:
        done = installing.install(board, firmware, images.locked(), tell)
        board.reset()
    info = service.started(served.port, firmware.identity, within_s=UP_S)
    assert info.build == firmware.identity
    return done


def nothing(_step: installing.Step) -> None:
    """Hear of a step."""


def holds(pen: ChipBench, firmware: Build) -> bool:
    """Return whether the flash has all of the firmware, file by file."""
    found = files_in(pen.image.to_bytes())
    return all(found.get(path) == data for path, data in {**firmware.files, MANIFEST: firmware.manifest}.items())


def test_a_bare_board_becomes_a_pen_though_the_power_goes_in_between(
    chip_image: Image, firmware: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    pen = ChipBench(chip_image, FlashImage.from_bytes(image_of({})))
    witness = Witness(pen)
    with WiredBoard(pen) as served:
        switched_on(pen, served, service_held=False)
        served.do(lambda: pen.cut_at_operation(CUT_AFTER, Torn.GARBAGE, seed=1))
        with pytest.raises(PinprickError) as caught:
            installed(served, firmware, nothing)
        assert caught.value.code == BOARD_LOST
        assert not pen.powered
        assert MANIFEST not in files_in(pen.image.to_bytes())
        switched_on(pen, served, service_held=True)
        done = installed(served, firmware, nothing)
        assert done.copied
        assert done.kept
        assert set(done.copied) | set(done.kept) == firmware.files.keys()
        assert holds(pen, firmware)
        # A pen now: its port takes no files any more.
        monkeypatch.setattr(repl, "_ANSWER_S", 2.0)
        with pytest.raises(PinprickError) as refused:
            service.taken(served.port)
        assert refused.value.code == BOARD_CLOSED
    assert witness.edges == []


def test_a_pen_with_other_files_is_brought_back_and_remembers_what_it_did(chip_image: Image, firmware: Build) -> None:
    """The service button opens its port; what is right already stays, as does the pen's memory."""
    spoilt: dict[str, bytes | None] = {"pencore/wire.mpy": b"M\x06\x00\x1f", "lib/drivers.py": b"print(1)\n"}
    pen = ChipBench(chip_image, flash_of(firmware, default_provision(), spoilt))
    remembered = {
        path: data
        for path, data in files_in(pen.image.to_bytes()).items()
        if path not in firmware.files and path not in {*spoilt, MANIFEST}
    }
    assert remembered
    witness = Witness(pen)
    told: list[str] = []
    with WiredBoard(pen) as served:
        switched_on(pen, served, service_held=True)
        began = time.monotonic()
        done = installed(served, firmware, lambda step: told.append(step.kind))
        assert time.monotonic() - began < UP_S * 2
        assert done.copied == ("pencore/wire.mpy",)
        assert "lib/drivers.py" in done.purged
        assert told[-1] == installing.SEAL
        info = service.answering(served.port)
        assert info is not None
        assert info.serial == default_provision().serial
    assert holds(pen, firmware)
    found = files_in(pen.image.to_bytes())
    assert {path: found.get(path) for path in remembered} == remembered
    assert witness.edges == []
