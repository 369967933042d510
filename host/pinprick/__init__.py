"""The host's side of Pinprick: makes profiles, pushes them to a pen, keeps the records. Host only.

`firmware_files()` is the one way to the files that are flashed onto a pen; `pencore` beside this package is the same
logic as an importable library.
"""

from pencore.version import FIRMWARE
from pinprick.firmware import firmware_files

__all__ = ["__version__", "firmware_files"]

__version__ = FIRMWARE
