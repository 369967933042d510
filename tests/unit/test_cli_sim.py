"""`pinprick sim poke`: which pen it takes, what it does, what it shows; and what `sim serve` makes of its options."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pensim.control import Control
from pensim.world import World
from pinprick import simulated
from pinprick.cli import main
from pinprick.cli.sim import simulator_page
from pinprick.errors import EXIT_INPUT, EXIT_NO_DEVICE, EXIT_OK
from tests.support.served import Served, load, served, small, until

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a runtime folder of its own; return it."""
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("PINPRICK_PORT", "PINPRICK_SERIAL_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@contextmanager
def listed(serial: str = "SIM-0001", **options: Any) -> Iterator[Served]:
    """Serve a pen that is registered as `sim serve` does it."""
    port = f"/dev/{serial}"
    control = Control(f"token {serial}", {"serial": serial, "port": port})
    with served(control=control, **options) as pen:
        registration = simulated.Registration(serial, port, control.address, f"token {serial}", 1)
        with simulated.registering(registration):
            yield pen


def poke(words: str, *options: str) -> int:
    return main(["sim", "poke", *words.split(), *options])


def hands_of(pen: Served) -> tuple[bool, bool]:
    """Return whether trigger and stop button are down."""
    return pen.world.plant.trigger_down, pen.world.plant.stop_open


def events(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def error(capsys: Capture) -> dict[str, Any]:
    """Return the error in the only line that was printed: nothing was done before."""
    (result,) = events(capsys)
    found: dict[str, Any] = result["error"]
    return found


# --- what it does -----------------------------------------------------------------------------------------------------
def test_commands_are_carried_out_in_order(capsys: Capture) -> None:
    with listed() as pen:
        assert poke("press then wait 500 then release then oracle", "--json") == EXIT_OK
        said = events(capsys)
        assert [event.get("do") for event in said] == ["press", "wait", "release", "oracle", None]
        # The pen rests in between, and rest takes its time: the second comes when it comes.
        assert 500 <= said[1]["at_ms"] - said[0]["at_ms"] <= 5000
        assert said[-1] == {"event": "result", "ok": True, "exit": 0, "serial": "SIM-0001"}
        assert hands_of(pen) == (False, False)
        assert main(["sim", "poke", "press then stop down"]) == EXIT_OK  # a shell's quotes
        assert hands_of(pen) == (True, True)
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words", ["press then jump", "then press", "press then", "press then then release", "wait 9999999"]
)
def test_nothing_is_done_when_one_of_them_is_none(words: str, capsys: Capture) -> None:
    with listed() as pen:
        assert poke(words, "--json") == EXIT_INPUT
        assert error(capsys)["name"] == "USAGE"
        assert not pen.world.plant.trigger_down


def test_what_the_pen_refuses_ends_it(capsys: Capture) -> None:
    with listed() as pen:
        assert poke("power off then reset then press", "--json") == EXIT_INPUT
        first, result = events(capsys)
        assert first["do"] == "power_cut"
        assert "the pen has no power" in result["error"]["message"]
        assert not pen.world.plant.trigger_down


def test_what_the_needle_did_is_shown_in_millimetres(capsys: Capture) -> None:
    from pinprick.device import Pen

    with listed() as pen, Pen(pen.connect()) as host:
        load(host, small())
        host.arm()
        assert poke("zone cheek 100 then release then wait 200 then press") == EXIT_OK
        until(lambda: pen.world.plant.oracle.report(0, False).total.strokes >= 60)
        assert poke("oracle") == EXIT_OK
        shown = capsys.readouterr().out.splitlines()
        assert shown[0].split() == ["needle", "strokes", "begun", "deepest", "with", "coasting"]
        rows = {line[:10].strip(): line.split()[-6:] for line in shown[1:4]}
        assert rows["in all"] == rows["cheek"] == ["60", "60", "0.20", "mm", "0.20", "mm"]
        assert rows["no zone"] == ["0", "0", "0.00", "mm", "0.00", "mm"]
        assert "depth_limit depth_um=" in shown[4]


def test_the_pins_are_shown_in_words(capsys: Capture) -> None:
    with listed():
        assert poke("pins then usb out then stop down then pins") == EXIT_OK
        before, after = capsys.readouterr().out.split("pin  ")[1:]
        assert [line.split("  ")[-1].strip() for line in before.splitlines()[1:]] == [
            "off",
            "off",
            "sees home",
            "released",
            "released",
            "closed",
            "released",
            "in",
            "on",
            "-0.56 mm",
        ]
        assert "USB cable         out" in after
        assert "stop button       pressed" in after


def test_the_faults_are_shown_as_they_are_typed(capsys: Capture) -> None:
    with listed():
        assert poke("fault home-chatter steps=2.5 then faults") == EXIT_OK
        shown = capsys.readouterr().out
        assert "\nhome-stuck seen=false\n" in shown
        assert "\nedges-dropped after=0 count=1 where=wire\n" in shown
        assert "One bit of the flash flips. It can not be mended." in shown
        assert shown.endswith("The pen suffers from home-chatter steps=2.5 period_us=50 seed=0\n")


def test_a_firmware_that_gave_up_is_told_of(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    with listed(strict=False) as pen:

        def give_up(_: int) -> int:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(pen.world.runner, "step", give_up)
        assert poke("press then wait 100 then oracle") == EXIT_OK
        assert "the firmware gave up 1 time" in capsys.readouterr().out


# --- which pen --------------------------------------------------------------------------------------------------------
def test_without_a_pen_it_says_how_to_start_one(capsys: Capture) -> None:
    assert poke("press", "--json") == EXIT_NO_DEVICE
    told = error(capsys)
    assert (told["name"], told["hint"]) == ("NO_DEVICE", "Start one with: pinprick sim serve")


def test_of_two_pens_one_must_be_named(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    with listed("A") as first, listed("B") as second:
        assert poke("press", "--json") == EXIT_NO_DEVICE
        told = error(capsys)
        assert told["name"] == "SEVERAL_PENS"
        assert told["message"] == "2 simulated pens are running: A on /dev/A, B on /dev/B."
        assert hands_of(first) == hands_of(second) == (False, False)
        assert poke("press", "--serial-number", "B") == EXIT_OK
        assert (hands_of(first)[0], hands_of(second)[0]) == (False, True)
        assert poke("press", "--port", "/dev/A") == EXIT_OK
        assert hands_of(first)[0]
        monkeypatch.setenv("PINPRICK_SERIAL_NUMBER", "B")
        assert poke("release") == EXIT_OK
        assert (hands_of(first)[0], hands_of(second)[0]) == (True, False)


def test_a_serial_number_in_another_case_is_told_of(capsys: Capture) -> None:
    with listed("A"), listed("B"):
        assert poke("press", "--json", "--serial-number", "b") == EXIT_NO_DEVICE
    assert error(capsys)["hint"] == "Upper and lower case count: B."


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (("--serial-number", "C"), "--serial-number"),
        (("--port", "/dev/ttyACM0"), "--port"),
        (("--port", "/dev/A", "--serial-number", "B"), "--serial-number"),
    ],
)
def test_a_pen_that_is_not_simulated_or_not_there_is_never_reached(
    options: tuple[str, ...], field: str, capsys: Capture
) -> None:
    with listed("A"), listed("B"):
        assert poke("press", "--json", *options) == EXIT_NO_DEVICE
        told = error(capsys)
        assert (told["name"], told["field"]) == ("NO_DEVICE", field)
        assert "there is A on /dev/A, B on /dev/B" in told["message"]


def test_a_pen_that_ends_while_it_is_asked_is_unreachable(capsys: Capture) -> None:
    with listed():
        assert poke("quit then press", "--json") == EXIT_NO_DEVICE
        said = events(capsys)
        assert said[0]["do"] == "quit"
        assert said[-1]["error"]["name"] == "SIM_UNREACHABLE"


# --- serve, as far as it can be had in this process -------------------------------------------------------------------
def test_a_flash_that_can_no_longer_be_written_ends_the_serving(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    flash = runtime / "pen.flash"
    monkeypatch.setattr("sys.stdin", None)

    from pensim.flash_file import FlashFile
    from pensim.serve import PenServer

    run = PenServer.run

    def run_broken(server: PenServer) -> None:
        assert isinstance(server.pen, World)
        image = server.pen.image
        assert isinstance(image, FlashFile)
        assert image.failed is not None
        breaking = threading.Timer(0.2, image.failed, [OSError(28, "No space left on device")])
        breaking.start()
        run(server)
        breaking.join()

    monkeypatch.setattr(PenServer, "run", run_broken)
    assert main(["sim", "serve", "--json", "--flash", str(flash)]) == 1
    said = events(capsys)
    assert said[0]["event"] == "serving"
    assert said[-1]["error"]["name"] == "FILE_UNWRITABLE"
    assert said[-1]["error"]["message"] == f"{flash} can no longer be written: No space left on device."
    assert simulated.registered() == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (("--blank", "--key", "KEY"), "--key"),
        (("--serial", 'a"b'), "--serial"),
        (("--serial", ""), "--serial"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...], field: str, runtime: Path, capsys: Capture
) -> None:
    from pinprick.keys import new_key, save_key

    save_key(new_key(7), runtime / "KEY")
    words = [str(runtime / word) if word == "KEY" else word for word in options]
    assert main(["sim", "serve", "--json", *words]) == EXIT_INPUT
    assert error(capsys)["field"] == field


def test_a_seed_is_no_negative_number(runtime: Path, capsys: Capture) -> None:
    assert main(["sim", "serve", "--json", "--seed", "-1"]) == EXIT_INPUT
    said = error(capsys)
    assert said["name"] == "USAGE"
    assert "--seed" in said["message"]
    assert not runtime.exists() or not list(runtime.rglob("*.json"))


def test_the_tables_of_the_page_are_made_anew() -> None:
    page = "<!-- table: commands -->\n<!-- end of table -->\n"
    assert "| `usb out [MS]`<br>`usb in` |" in simulator_page(page)
