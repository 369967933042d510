"""Adds the pen's own files to a built wheel as data of the `pinprick` package. Runs only when a wheel is built.

`pencore` is not copied: it is a package of the wheel already, and there shall be one copy of it. An editable install
gets nothing: there `pinprick.firmware_files()` reads the checkout, so an edit is never missed.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDERS = ("pendevice", "pen")


class FirmwareData(BuildHookInterface):  # type: ignore[type-arg]  # hatchling binds the parameter only for its own hooks
    """Maps firmware/{pendevice,pen}/**/*.py and firmware/image.lock to pinprick/_firmware/**."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files to be copied; `version` is "standard" for a wheel and "editable" for a checkout."""
        if version != "standard":
            return
        firmware = Path(self.root) / "firmware"
        modules = [path for folder in _FOLDERS for path in sorted((firmware / folder).rglob("*.py"))]
        for path in [*modules, firmware / "image.lock"]:
            build_data["force_include"][str(path)] = f"pinprick/_firmware/{path.relative_to(firmware).as_posix()}"
