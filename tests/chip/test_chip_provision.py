"""The tool provisions the emulated board, the pen starts with it, and takes only what is signed with its key."""

from functools import partial
from pathlib import Path

import pytest

from pencore import faults, ledger, profile, provision
from pensim.chip.files import files_in
from pensim.chip.image import Image
from pinprick.board import repl, service
from pinprick.board.build import Build
from pinprick.device import Pen
from pinprick.keys import KeyStore
from tests.chip.bench import ChipBench, flash_of
from tests.chip.test_chip_install import UP_S, switched_on
from tests.chip.wired_board import WiredBoard
from tests.chip.witness import Witness
from tests.support.cli import Run
from tests.support.served import refused, small

pytestmark = [pytest.mark.chip, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wait longer than for a real board: this one may share its processor."""
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(repl, "_ANSWER_S", 60.0)
    monkeypatch.setattr(service, "START_S", UP_S)


def test_a_blank_board_gets_serial_limits_and_a_new_key(
    chip_image: Image, firmware: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    pen = ChipBench(chip_image, flash_of(firmware, None))
    witness = Witness(pen)
    with WiredBoard(pen) as served:
        switched_on(pen, served, service_held=True)
        result = Run(
            capsys,
            *("board", "provision", "--port", served.port, "--serial", "PP-7", "--key", "new"),
            *("--ceiling-mm", "1.2", "--cap", "cheek=0.9", "--calibrated-at", "2025-06-15", "--json"),
        ).result
        assert (result["ok"], result["new"], result["verified"], result["ceiling_um"]) == (True, True, True, 1200)
        key = KeyStore().find(result["key_id"])
        with Pen.open(served.port) as connected:
            assert (connected.info.serial, connected.info.key_id) == ("PP-7", key.key_id)
            filled = connected._filled(small(), connected.info, 1_800_000_000)
            for signing in ((0, b""), (key.key_id, key.key[::-1])):
                data = profile.encode(filled, *signing)
                error = refused(partial(connected.load_bytes, data))
                assert error.code in (faults.SIGNATURE_MISSING, faults.SIGNATURE_WRONG)
            served.do(pen.change_cartridge)
            assert connected.load(small(), key=key, issued_at=1_800_000_000).session_id == 1
    files = files_in(pen.image.to_bytes())
    setup = provision.decode(files[provision.FILE])
    assert (setup.key, setup.bounds.zone_cap_um(4)) == (key.key, 900)
    assert files[ledger.FILE] == ledger.fresh()
    assert witness.edges == []
