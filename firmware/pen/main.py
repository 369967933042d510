"""The pen's program: Ctrl-C out of action, every file checked, then the app. Runs on the pen, as source.

Whatever ends it, an error or an exit of any kind, takes the driver off and resets the chip; the REPL is never reached.
With the service button held at power-up nothing of this happens, and the REPL is open: that is how firmware is put on.

Files that don't fit the manifest make the pen reset for ever, dark, driver off; so does any folder or code beside
them: MicroPython takes a folder for a module before a file, and a file before most modules of its own. Until all is
verified only what is inside the image can be imported. Allocates a piece of 512 bytes and the manifest's names.
"""
# ruff: noqa: E402  # what may be imported depends on the statements in between

import micropython

micropython.kbd_intr(-1)

import sys

# Nothing can stand in for the two above, and from here on for no other.
sys.path[:] = [".frozen"]

import binascii
import gc
import hashlib
import os

import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOOT = "/boot.py"
MANIFEST = "/manifest.txt"
_PIECE = 512
_CTRL_C = 3
_BUILD_DIGITS = 16
_COLLECT_EVERY = 65_536
_FOLDER = 0x4000
_CODE = (".py", ".mpy")
_MEMORY = ("witness/",)
"""The folders that the pen makes for what it remembers."""


def booted() -> "dict[str, Any]":
    """Run boot.py by its path, as MicroPython did, and return its names: `import` might find something else."""
    names: "dict[str, Any]" = {}
    with open(BOOT) as file:
        exec(file.read(), names)  # noqa: S102  # what ran before this
    return names


def digest(path: str) -> str:
    """Return a file's SHA-256 as hex digits."""
    sha256 = hashlib.sha256()
    piece = bytearray(_PIECE)
    view = memoryview(piece)
    with open(path, "rb") as file:
        count = file.readinto(piece)
        while count:
            sha256.update(view[:count])
            count = file.readinto(piece)
    return binascii.hexlify(sha256.digest()).decode()


def importable(folder: str = "") -> "list[str]":
    """Return the paths of all that an import may find below `folder` ("" or "name/"): code, and folders ("name/")."""
    found = []
    for entry in os.ilistdir("/" + folder):
        path = folder + entry[0]
        if entry[1] == _FOLDER:
            found.append(path + "/")
            found += importable(path + "/")
        elif path.endswith(_CODE):
            found.append(path)
    return found


def verified() -> str:
    """Return the build's 16 hex digits; ValueError unless each file is the manifest's and no import finds another."""
    strangers = [path for path in importable() if path not in _MEMORY]
    # The build is the digest of all lines before it, so that no line can be missing.
    lines = hashlib.sha256()
    with open(MANIFEST, "rb") as manifest:
        for line in manifest:
            wanted, path = line.decode().split()
            if wanted == "build":
                build = binascii.hexlify(lines.digest()).decode()[:_BUILD_DIGITS]
                if strangers or build != path or line[-1] != 10 or manifest.read(1):
                    raise ValueError("build")
                return path
            lines.update(line)
            if digest("/" + path) != wanted:
                raise ValueError(path)
            for known in (path, path[: path.rfind("/") + 1]):
                if known in strangers:
                    strangers.remove(known)
    raise ValueError("build")


def run() -> None:
    """Check the files, be a pen."""
    # What is left over from loading a file must not lie between what stays: a stroke table wants one piece of memory.
    gc.threshold(_COLLECT_EVERY)
    build = verified()
    sys.path.append("")
    from pendevice import app

    app.run(build)


serving = False
boot: "dict[str, Any]" = {}
try:
    boot = booted()
    serving = boot["service_held"]()
    if serving:
        micropython.kbd_intr(_CTRL_C)
    else:
        run()
finally:
    if not serving:
        try:
            boot["outputs_off"]()
        finally:
            machine.reset()
