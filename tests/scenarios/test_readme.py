"""Every command that the README shows is run, and every file it links to exists."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ALONE, WITH_A_PEN = README.split("### With a pen")
COMMANDS = re.findall(r"^\$ pinprick (.+)$", ALONE, re.MULTILINE)
PEN_COMMANDS = re.findall(r"^\$ pinprick (.+)$", WITH_A_PEN, re.MULTILINE)
(HAND,) = re.findall(r"`pinprick (sim poke release .*)` is the hand", WITH_A_PEN)
(PROGRAM,) = re.findall(r"```python\n(.*?)```", WITH_A_PEN, re.DOTALL)


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 7
    assert len(PEN_COMMANDS) >= 7


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(command: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    carry_out(["-m", "pinprick", *shlex.split(command)], tmp_path)


def carry_out(arguments: list[str], folder: Path) -> str:
    """Have Python carry something out with data and runtime folders of its own; it has to succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | places(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def places(folder: Path) -> dict[str, str]:
    return {"PINPRICK_DATA_DIR": str(folder / "data"), "PINPRICK_RUNTIME_DIR": str(folder / "run")}


@pytest.fixture
def virtual_pen(tmp_path: Path) -> Iterator[Path]:
    """Serve a pen as the README says, and give the folder that it is found from."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    serving = subprocess.Popen(
        [sys.executable, "-m", "pinprick", "sim", "serve", "--json"],
        env=os.environ | places(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    with serving:
        assert serving.stdout is not None
        assert '"event":"serving"' in serving.stdout.readline()
        try:
            yield tmp_path
        finally:
            serving.terminate()


@pytest.mark.slow
def test_the_commands_for_a_pen_run_in_their_order(virtual_pen: Path) -> None:
    said = {}
    for command in PEN_COMMANDS:
        if command.startswith("run "):
            running = subprocess.Popen(
                [sys.executable, "-m", "pinprick", *shlex.split(command)],
                cwd=virtual_pen,
                env=os.environ | places(virtual_pen),
                stdout=subprocess.PIPE,
                text=True,
            )
            with running:
                assert running.stdout is not None
                for line in running.stdout:
                    if "Press its trigger" in line or "NEXT ZONE" in line:
                        carry_out(["-m", "pinprick", *shlex.split(HAND)], virtual_pen)
            assert running.returncode == 0
        else:
            said[command] = carry_out(["-m", "pinprick", *shlex.split(command)], virtual_pen)
    assert "SIM-0001" in said["devices"]
    assert "13,500" in said["sim poke oracle"]
    assert carry_out(["-c", PROGRAM], virtual_pen) == "(4000, 4000, 4000)\n"


def test_the_links_of_the_readme_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) >= 8
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"make ([a-z]+)", README))
    assert {"demo", "test", "mutants"} <= targets
    for target in targets - {"it"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
