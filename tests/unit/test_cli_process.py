"""The command as a process of its own: it runs as a module, and imports no more than it needs."""

import json
import os
import subprocess
import sys

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
