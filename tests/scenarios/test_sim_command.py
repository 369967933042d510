"""`pinprick sim serve` in a process of its own: it says where, does what it is told, and leaves nothing behind."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from pensim import hands
from pinprick.cli import main
from pinprick.device import Pen
from pinprick.errors import NoDevice
from tests.support.served import load


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


def test_it_prints_its_port_and_ends_with_its_input() -> None:
    with Serving("--json", "--serial", "SIM-7", "--seed", "3") as serving:
        told = json.loads(serving.line())
        assert (told["event"], told["serial"]) == ("serving", "SIM-7")
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
    first, last = (number for number, line in enumerate(said) if line == "strokes 0   deepest 0.0 um")
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


def test_every_command_of_the_help_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "serve", "--help"]) == 0
    told = capsys.readouterr().out
    commands = re.findall(r"\{.*?\}", told)
    assert sorted({json.loads(command)["do"] for command in commands}) == sorted(hands.COMMANDS)
    for command in commands:
        hands.delay_ms(json.loads(command))
    assert "--port" not in told


def test_hands_in_words() -> None:
    with Serving("--realtime") as serving:
        serving.line()
        serving.say("press\nnonsense\noracle\n")
        said = ""
        while "deepest" not in said:
            said += serving.line()
        assert "unknown: 'nonsense'" in said
        assert said.endswith("strokes 0   deepest 0.0 um\n")
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
