"""docs/security.md names only commands, options, codes and files that there are."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from pencore import faults
from pinprick.cli.commands import app
from pinprick.errors import HOST_NAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
TEXT = PAGE.read_text(encoding="utf-8")


def commands() -> list[str]:
    """Return every command line on the page, as it is written."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in (*lines, *re.findall(r"`(pinprick [^`]+)`", TEXT)) if line]


@pytest.mark.parametrize("line", commands())
def test_every_command_is_one(line: str) -> None:
    words = line.split()
    assert words.pop(0) == "pinprick"
    command = get_command(app)
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_every_code_is_one() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT)) - {"PINPRICK_DATA_DIR", "PYTHON_KEYRING_BACKEND"}
    assert len(named) > 10
    assert named <= {*faults.NAMES.values(), *HOST_NAMES.values()}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
