"""`pinprick sim serve` in a process of its own: it says where, does what it is told, and leaves nothing behind."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pencore import wire
from pencore.signals import CARTRIDGE
from pensim import hands
from pinprick import errors, simulated
from pinprick.cli import main
from pinprick.device import Pen
from pinprick.errors import NoDevice
from pinprick.keys import ClinicKey, save_key
from tests.support.served import LONG_ZONES, load, small, until


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a runtime folder of its own; return it."""
    folder = tmp_path / "runtime"
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    return folder


def ask_for_ever(pen: Pen) -> None:
    while True:
        pen.status()


class Serving:
    """`pinprick sim serve` in a process of its own; with `stdin` None its standard input is closed."""

    def __init__(self, *options: str, stdin: int | None = subprocess.PIPE) -> None:
        command = [sys.executable, "-m", "pinprick", "sim", "serve", *options]
        if stdin is None:
            command = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, text=True)

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self, *, by: Callable[[], object] | None = None) -> tuple[int, str]:
        """End it (by the end of its input, if not told otherwise); return exit code and what it still said."""
        if by is not None:
            by()
        out, err = self.process.communicate(timeout=10)
        assert err == ""
        return self.process.returncode, out

    def told(self) -> dict[str, Any]:
        """Return what its first line tells; of a pen that is listed, once others can reach it."""
        told: dict[str, Any] = json.loads(self.line())
        return told

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.process.communicate()


NOTHING_DONE = ["in", "all", "0", "0", "0.00", "mm", "0.00", "mm"]
"""The oracle's first row for people: a needle that has not moved."""


def test_it_prints_its_port_and_ends_with_its_input() -> None:
    with Serving("--json", "--serial", "SIM-7", "--seed", "3") as serving:
        told = serving.told()
        assert (told["event"], told["serial"], told["seed"]) == ("serving", "SIM-7", 3)
        with Pen.open(told["port"]) as pen:
            assert pen.info.serial == "SIM-7"
            assert pen.info.build != "0" * 16
            load(pen)  # it comes with a new cartridge
        assert serving.end() == (0, '{"event":"result","ok":true,"exit":0}\n')
        with pytest.raises(NoDevice):
            Pen.open(told["port"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quietly_when_it_is_told_to(number: signal.Signals) -> None:
    with Serving("--tcp", stdin=subprocess.DEVNULL) as serving:
        assert "Virtual pen SIM-0001 on socket://127.0.0.1:" in serving.line()
        time.sleep(0.2)
        assert serving.process.poll() is None  # an input that nobody can write to is no reason to end
        code, out = serving.end(by=lambda: serving.process.send_signal(number))
        assert code == 0
        assert out.endswith("The virtual pen has ended.\n")


@pytest.mark.parametrize("options", [(), ("--tcp",)])
def test_with_a_closed_input_it_serves_until_it_is_told_to_end(options: tuple[str, ...]) -> None:
    with Serving("--json", *options, stdin=None) as serving:
        told = json.loads(serving.line())
        with Pen.open(told["port"]) as pen:
            assert pen.info.serial == "SIM-0001"
        assert serving.process.poll() is None
        code, out = serving.end(by=lambda: serving.process.send_signal(signal.SIGINT))
        assert (code, out) == (0, '{"event":"result","ok":true,"exit":0}\n')


@pytest.mark.parametrize("end", ["", "\n", "\nquit\n", "\nquit\npress hard\n"])
def test_words_before_the_end_of_the_input_are_all_answered_in_order(end: str) -> None:
    # The wait keeps all of it in the queue until the input has long ended.
    with Serving() as serving:
        out, err = serving.process.communicate("press\nwait 600000\noracle\nrelease\nbla\noracle" + end, timeout=20)
    assert (serving.process.returncode, err) == (0, "")
    said = out.splitlines()
    first, last = (number for number, line in enumerate(said) if line.split() == NOTHING_DONE)
    refusal = [number for number, line in enumerate(said) if line.startswith("unknown: ")]
    assert len(refusal) == 1
    assert first < refusal[0] < last
    assert "'bla'" in said[refusal[0]]
    assert said[last + 1 :] == ["The virtual pen has ended."]


@pytest.mark.parametrize("end", ["", "\n", '\n{"do":"quit"}\n', '\n{"do":"quit"}\n{"do":"press"}\n'])
def test_objects_before_the_end_of_the_input_are_all_answered_in_order(end: str) -> None:
    lines = '{"do":"wait","after_ms":600000}\nnot json\n{"do":"press","after_m":5}\n{"do":"oracle"}'
    with Serving("--json") as serving:
        out, err = serving.process.communicate(lines + end, timeout=20)
    assert (serving.process.returncode, err) == (0, "")
    said = [json.loads(line) for line in out.splitlines()]
    assert [(line["event"], line.get("do")) for line in said] == [
        ("serving", None),
        ("done", "wait"),
        ("refused", None),
        ("refused", "press"),
        ("done", "oracle"),
        ("result", None),
    ]
    assert "'after_m'" in said[3]["problem"]
    assert "Expecting" not in said[2]["problem"]
    assert "a JSON object on a line of its own" in said[2]["problem"]


@pytest.mark.parametrize("command", ["serve", "poke"])
def test_every_command_is_in_the_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    commands = [json.loads(found) for found in re.findall(r'\{"do"[^{}]*(?:\{[^{}]*\}[^{}]*)?\}', told)]
    assert [found["do"] for found in commands] == list(hands.COMMANDS)
    for found in commands:
        hands.delay_ms(found)
    for act in hands.TABLE:
        for phrase in act.phrases:
            assert phrase.form() in told


def test_the_help_of_a_tool_without_the_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pensim", "littlefs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "littlefs", None)
    assert main(["sim", "poke", "--help"]) == 0
    assert "pip install littlefs-python" in capsys.readouterr().out
    assert main(["sim", "poke", "--json", "press"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["name"] == "EXTRA_MISSING"


def test_hands_in_words() -> None:
    with Serving("--realtime") as serving:
        serving.line()
        serving.say("press\nnonsense\noracle\n")
        said = ""
        while "in all" not in said:
            said += serving.line()
        assert "unknown: 'nonsense'" in said
        assert said.splitlines()[-1].split() == NOTHING_DONE
        serving.say("quit\n")
        assert serving.end() == (0, "The virtual pen has ended.\n")


def test_hands_in_json() -> None:
    with Serving("--json", "--speed", "10") as serving:
        serving.line()
        serving.say('{"do":"oracle"}\nnot json\n[1]\n{"do":"press","after_ms":"x"}\n')
        said = [json.loads(serving.line()) for _ in range(4)]
        assert [answer["event"] for answer in said] == ["done", "refused", "refused", "refused"]
        serving.say('{"do":"quit"}\n')
        assert serving.end() == (0, '{"event":"result","ok":true,"exit":0}\n')


def test_a_line_that_json_can_not_fathom_is_refused_and_the_next_is_not() -> None:
    with Serving("--json") as serving:
        serving.line()
        serving.say("[" * 200_000 + '\n{"do":"wait"}\n')
        said = [json.loads(serving.line()) for _ in range(2)]
        assert [answer["event"] for answer in said] == ["refused", "done"]
        assert serving.end() == (0, '{"event":"result","ok":true,"exit":0}\n')


def test_wrong_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "serve", "--json", "--serial", "x" * 17]) == 2
    result = json.loads(capsys.readouterr().out)
    assert (result["error"]["name"], result["error"]["field"]) == ("USAGE", "--serial")
    assert main(["sim", "serve", "--json", "--speed", "0"]) == 2


def test_a_missing_part_of_the_tool_is_not_taken_for_the_missing_library(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pensim.ends", None)
    assert main(["sim", "serve", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["name"] == "INTERNAL"


# --- several pens ----------------------------------------------------------------------------------------------------
def test_pens_that_start_at_once_have_names_of_their_own_and_are_all_listed(runtime: Path) -> None:
    with Serving("--json") as one, Serving("--json", "--tcp") as two, Serving("--json", "--unlisted") as hidden:
        told = [one.told(), two.told()]
        assert {each["serial"] for each in told} == {"SIM-0001", "SIM-0002"}
        unlisted = hidden.told()
        assert (unlisted["serial"], "control" in unlisted) == ("SIM-0001", False)
        registered = {pen.serial: pen for pen in simulated.registered()}
        assert len(registered) == 2
        for each in told:
            found = registered[each["serial"]]
            assert (found.port, found.control) == (each["port"], each["control"])
            with simulated.Control(found) as control:
                assert control.do({"do": "pins"})["power"]
            with Pen.open(each["port"]) as pen:
                assert pen.info.serial == each["serial"]
        with simulated.Control(registered[told[1]["serial"]]) as control:
            assert control.do({"do": "quit"})["event"] == "done"
        assert two.end() == (0, '{"event":"result","ok":true,"exit":0}\n')
        assert [pen.serial for pen in simulated.registered()] == [told[0]["serial"]]
        assert one.end(by=lambda: one.process.send_signal(signal.SIGTERM))[0] == 0
        assert hidden.end()[0] == 0
    assert simulated.registered() == []
    assert [path.name for path in runtime.rglob("*") if not path.is_dir()] == ["serve.lock"]


def test_a_pen_that_hangs_keeps_its_serial_number_and_its_port(
    runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Serving("--json") as first:
        port = Path(first.told()["port"])
        leads_to = port.readlink()
        first.process.send_signal(signal.SIGSTOP)
        with Serving("--json") as second:
            assert second.told()["serial"] == "SIM-0002"
            assert main(["sim", "serve", "--json", "--serial", "SIM-0001"]) == 2
            assert "SIM-0001 is running already" in json.loads(capsys.readouterr().out)["error"]["message"]
            assert port.readlink() == leads_to
            first.process.send_signal(signal.SIGCONT)
            with Pen.open(str(port)) as pen:
                assert pen.info.serial == "SIM-0001"
            assert second.end()[0] == 0
        assert first.end()[0] == 0
    assert [path.name for path in runtime.rglob("*") if not path.is_dir()] == ["serve.lock"]


def test_a_serial_number_that_is_taken_is_refused_until_its_pen_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    with Serving("--json", "--serial", "P/9.") as first:
        first.told()
        assert main(["sim", "serve", "--json", "--serial", "P/9."]) == 2
        error = json.loads(capsys.readouterr().out)["error"]
        assert (error["name"], error["field"], error["given"]) == ("USAGE", "--serial", "P/9.")
        first.kill()  # and can't clean up behind itself
        with Serving("--json", "--serial", "P/9.") as second, Pen.open(second.told()["port"]) as pen:
            assert pen.info.serial == "P/9."


def test_ports_can_be_chosen_and_a_taken_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with Serving("--json", "--tcp") as first:
        told = first.told()
        for option, address in (("--tcp-port", told["port"]), ("--control-port", told["control"])):
            assert main(["sim", "serve", "--json", option, address.rpartition(":")[2]]) == 2
            assert json.loads(capsys.readouterr().out)["error"]["field"] == option
        first.end()
    ports = [told[name].rpartition(":")[2] for name in ("port", "control")]
    with Serving("--json", "--tcp-port", ports[0], "--control-port", ports[1]) as second:
        again = second.told()
        assert (again["port"], again["control"]) == (told["port"], told["control"])


def test_a_runtime_folder_that_can_not_be_made_is_an_error(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runtime.write_text("a file")
    assert main(["sim", "serve", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["name"] == "FILE_UNWRITABLE"


def test_a_turn_that_cannot_be_waited_for_is_an_error(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runtime / "serve.lock").mkdir(parents=True)
    assert main(["sim", "serve", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["name"] == "FILE_UNWRITABLE"


def test_no_word_of_the_user_is_changed_in_what_is_said_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pen.flash").write_bytes(b"holiday")
    assert main(["sim", "serve", "--json", "--flash", "pen.flash"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"].startswith("pen.flash has 7 bytes")
    assert main(["sim", "poke", "--json", "fault", "home-stuck", "seen"]) == 2
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "Fault" not in message
    assert message[0].isupper()


# --- a flash that is kept --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strokes", [1, 180, 420])
def test_a_pen_that_is_killed_in_the_middle_of_a_session_goes_on_from_its_flash(tmp_path: Path, strokes: int) -> None:
    flash = str(tmp_path / "pen.flash")
    with Serving("--json", "--tcp", "--flash", flash, "--serial", "P-1", "--speed", "50") as serving:
        told = serving.told()
        assert told["flash"] == flash
        with Pen.open(told["port"]) as pen, simulated.Control(simulated.registered()[0]) as control:
            nonce = pen.info.nonce
            load(pen, small(LONG_ZONES))
            pen.arm()
            control.do({"do": "release"})
            control.do({"do": "press", "after_ms": 200})
            until(lambda: control.do({"do": "oracle"})["total"]["begun"] >= strokes, 30)
            begun = control.do({"do": "oracle"})["total"]["begun"]
            serving.kill()
            with pytest.raises(NoDevice) as caught:
                ask_for_ever(pen)
            assert caught.value.code == errors.LINK_LOST
    with Serving("--json", "--tcp", "--flash", flash) as serving:
        told = serving.told()
        assert told["serial"] == "P-1"
        with Pen.open(told["port"]) as pen, simulated.Control(simulated.registered()[0]) as control:
            assert pen.info.nonce != nonce
            status = pen.status()
            assert (status.state, status.resumed) == (wire.LOADED, True)
            # The needle of the pen that was killed made no stroke that this one does not count.
            assert begun <= status.counted
            assert control.do({"do": "oracle"})["total"]["begun"] == 0
            pen.arm()
            control.do({"do": "release"})
            control.do({"do": "press", "after_ms": 200})
            until(lambda: pen.status().counted > status.counted or pen.status().made[0] > status.made[0], 30)
            said = control.do({"do": "oracle"})
            assert said["total"]["deepest_um"] == 200
            assert said["violations"] == []


def test_a_wrong_flash_or_key_is_refused_and_says_what_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flash, key = tmp_path / "pen.flash", tmp_path / "key.toml"
    save_key(ClinicKey(7, bytes(range(1, 33))), key)

    def error(*options: str) -> dict[str, Any]:
        assert main(["sim", "serve", "--json", *options]) == 2
        found: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
        return found

    flash.write_bytes(b"holiday")
    told = error("--flash", str(flash))
    assert (told["name"], told["field"]) == ("USAGE", "--flash")
    assert "has 7 bytes; the flash of a virtual pen has 1,441,792" in told["message"]
    assert told["hint"]
    assert error("--flash", str(tmp_path / "no" / "folder"))["name"] == "FILE_UNWRITABLE"
    assert error("--key", str(tmp_path / "nowhere"))["name"] == "KEY_MISSING"
    flash.unlink()
    with Serving("--json", "--flash", str(flash), "--key", str(key), "--no-cartridge") as serving:
        with Pen.open(serving.told()["port"]) as pen:
            assert pen.info.key_id == 7
            assert not pen.status().inputs & CARTRIDGE
        assert "runs now" in error("--flash", str(flash))["message"]
        serving.end()
    assert error("--flash", str(flash), "--serial", "P-2")["field"] == "--serial"
    assert error("--flash", str(flash), "--blank")["field"] == "--blank"
