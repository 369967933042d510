"""The host's side of Pinprick: makes profiles, pushes them to a pen, keeps the records. Host only.

`firmware_files()` is the one way to the files that are flashed onto a pen; `pencore` beside this package is the same
logic as an importable library. Imports next to nothing: a command hears Ctrl-C only once this is imported.
"""

from pencore.version import FIRMWARE

__all__ = ["__version__", "firmware_files"]

__version__ = FIRMWARE


def firmware_files() -> dict[str, bytes]:
    """Return every firmware file by its path below the firmware folder; see `pinprick.firmware.firmware_files`."""
    from pinprick import firmware

    return firmware.firmware_files()
