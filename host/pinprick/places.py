"""Where the tool keeps things on this computer. Host only; makes nothing, reads two environment variables."""

import errno
import os
import warnings
from pathlib import Path

import platformdirs

from pinprick.errors import FILE_UNREADABLE, InputError

DATA_VARIABLE = "PINPRICK_DATA_DIR"
"""Environment variable that names the data folder instead of the platform."""
RUNTIME_VARIABLE = "PINPRICK_RUNTIME_DIR"
"""Environment variable that names the runtime folder instead of the platform."""

_BELOW = "folder-in-it/" + "n" * 64
"""About as long as what is kept in such a folder is called."""


def data_folder() -> Path:
    """Return where this user's records, sent profiles and keys are kept."""
    wanted = os.environ.get(DATA_VARIABLE)
    return Path(wanted) if wanted else platformdirs.user_data_path("pinprick", appauthor=False)


def runtime_folder() -> Path:
    """Return where the simulated pens of this user register while they run; InputError FILE_UNREADABLE for a name too
    long for any folder.
    """
    wanted = os.environ.get(RUNTIME_VARIABLE)
    if wanted:
        _require_room(Path(wanted))
        return Path(wanted)
    with warnings.catch_warnings():
        # A computer without XDG_RUNTIME_DIR (CI, say) gets a folder below the temporary one, which serves as well.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        return platformdirs.user_runtime_path("pinprick", appauthor=False)


def _require_room(folder: Path) -> None:
    try:
        (folder / _BELOW).lstat()
    except OSError as error:
        # All else is for whoever uses the folder to see.
        if error.errno == errno.ENAMETOOLONG:
            message = f"{RUNTIME_VARIABLE} names a folder that cannot be: {error.strerror}."
            raise InputError(FILE_UNREADABLE, message, field=RUNTIME_VARIABLE, given=str(folder)) from None
