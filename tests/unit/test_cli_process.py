"""The command as a process of its own: it runs as a module, and imports no more than it needs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import Run
from tests.support.served import until
from tests.support.strangers import stranger
from tests.unit.test_cli_profile import SESSION_2


def python(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a Python of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, check=False, env=environment, timeout=60
    )


def test_the_command_runs_as_a_module() -> None:
    ran = python("-m", "pinprick", "profile", "check", str(SESSION_2), "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout.splitlines()[-1]) == {"event": "result", "ok": True, "exit": 0, "files": 1}
    assert python("-m", "pinprick", "profile", "check", "nowhere.toml").returncode == 2


def test_a_command_imports_only_what_it_needs() -> None:
    code = f"""
import sys
from pinprick.cli import main
main(["explain", "311"])
light = set(sys.modules)
main(["profile", "check", {str(SESSION_2)!r}])
for name in ("pensim", "littlefs", "serial", "tomlkit", "mpremote"):
    assert name not in sys.modules, name
for name in ("pinprick.profiles", "pinprick.cli.profile"):
    assert name not in light, name
"""
    ran = python("-c", code)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("command", ["devices --json", "devices", "profile new", "explain", "--help"])
@pytest.mark.parametrize("where", [">&-", ">/dev/full", ">/dev/full 2>&1", ">&- 2>&-"])
def test_an_output_that_takes_nothing_is_no_crash(tmp_path: Path, command: str, where: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PINPRICK_RUNTIME_DIR": str(tmp_path)}
    line = f"exec {sys.executable} -m pinprick {command} {where}"
    ran = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    if "2>" not in where:
        assert ran.stderr != ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_any_command_with_a_result(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PINPRICK_RUNTIME_DIR": str(tmp_path)}
    with (
        stranger("silence") as silent,
        subprocess.Popen(
            [sys.executable, "-m", "pinprick", "status", "--port", silent.port, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        ) as process,
    ):  # fmt: skip
        until(lambda: b"hello" in silent.heard, 30)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
    assert json.loads(out.splitlines()[-1])["error"]["name"] == "INTERRUPTED"


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("board", "build", "--out"), "pinprick board build"),
        (("sim", "serve", "--speed"), "pinprick sim serve"),
        (("profile", "new", "--template"), "pinprick profile new"),
        (("status", "--port"), "pinprick status"),
        (("--debug", "sim", "run", "x", "--seed"), "pinprick sim run"),
        (("--nothing",), "pinprick"),
    ],
)
def test_a_wrong_word_is_looked_up_where_it_was_written(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], where: str
) -> None:
    run = Run(capsys, *words)
    assert run.exit == 2
    assert run.err.endswith(f"See {where} --help\n")


@pytest.mark.parametrize(
    ("words", "field", "given", "limit"),
    [
        (("key", "new", "--number", "0"), "--number", "0", 1),
        (("key", "new", "--number=-3"), "--number", "-3", 1),
        (("key", "new", "--number", "5", "--number", "4294967296"), "--number", "4294967296", 4_294_967_295),
        (("status", "--timeout", "0.01"), "--timeout", "0.01", 0.1),
        (("sim", "serve", "--speed", "fast"), "--speed", "fast", None),
        (("profile", "check"), "FILE...", None, None),
        (("devices", "--nothing"), "--nothing", None, None),
        (("nothing",), "", None, None),
    ],
)
def test_a_wrong_value_is_named_with_its_option_and_the_bound(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], field: str, given: str | None, limit: float | None
) -> None:
    result = Run(capsys, *words, "--json").result
    error = result["error"]
    assert (result["exit"], error["name"]) == (2, "USAGE")
    assert (error["field"], error["given"], error["limit"]) == (field, given, limit)


def test_no_line_is_broken_where_nobody_looks_on() -> None:
    name = "/nowhere/" + "x" * 100 + " " + "y" * 100
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    for words in (("status", "--port", name), ("profile", "check", name), ("sim", "serve", "--key", name)):
        ran = subprocess.run(
            [sys.executable, "-m", "pinprick", *words],
            capture_output=True, text=True, check=False, env=environment, timeout=60,
        )  # fmt: skip
        assert ran.returncode != 0
        assert any(name in line for line in ran.stderr.splitlines()), ran.stderr
        assert max(map(len, ran.stderr.splitlines())) > 200
