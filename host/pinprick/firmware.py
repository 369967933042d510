"""The files that go onto a pen, as they were shipped with this tool. Host only; reads files, holds nothing.

`pencore` is read from the very package that this Python imports: what is flashed is what was tried in the virtual pen.
The pen's own files (`pendevice`, `pen`) and `image.lock` are no packages of a computer; an installed tool carries them
as data, a checkout has them beside `pencore`.
"""

from pathlib import Path

import pencore

_CHECKOUT = Path(__file__).parents[2] / "firmware"
_PACKAGED = Path(__file__).parent / "_firmware"

_NEVER_FLASHED = frozenset({"pencore/ports.py"})  # types only


def firmware_files() -> dict[str, bytes]:
    """Return every firmware file by its path below the firmware folder ("pencore/units.py", "pen/boot.py"), sorted.

    Raises FileNotFoundError when a file cannot be read (a damaged installation).
    """
    core, own = _core(), _own()
    files: dict[str, bytes] = {}
    for root, folder in ((core.parent, "pencore"), (own, "pen"), (own, "pendevice")):
        for path in (root / folder).rglob("*.py"):
            name = path.relative_to(root).as_posix()
            if name not in _NEVER_FLASHED:
                files[name] = path.read_bytes()
    return dict(sorted(files.items()))


def image_lock() -> str:
    """Return the text of image.lock, which names the MicroPython that a pen's board runs; FileNotFoundError."""
    return (_own() / "image.lock").read_text(encoding="utf-8")


def _core() -> Path:
    return Path(next(iter(pencore.__path__)))


def _own() -> Path:
    """Return the folder of the pen's own files."""
    return _CHECKOUT if _core() == _CHECKOUT / "pencore" else _PACKAGED
