"""Where the tool keeps things on this computer. Host only; makes nothing, reads two environment variables."""

import os
import warnings
from pathlib import Path

import platformdirs

DATA_VARIABLE = "PINPRICK_DATA_DIR"
"""Environment variable that names the data folder instead of the platform."""
RUNTIME_VARIABLE = "PINPRICK_RUNTIME_DIR"
"""Environment variable that names the runtime folder instead of the platform."""


def data_folder() -> Path:
    """Return where this user's records, sent profiles and keys are kept."""
    wanted = os.environ.get(DATA_VARIABLE)
    return Path(wanted) if wanted else platformdirs.user_data_path("pinprick", appauthor=False)


def runtime_folder() -> Path:
    """Return where the simulated pens of this user register while they run."""
    wanted = os.environ.get(RUNTIME_VARIABLE)
    if wanted:
        return Path(wanted)
    with warnings.catch_warnings():
        # A computer without XDG_RUNTIME_DIR (CI, say) gets a folder below the temporary one, which serves as well.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        return platformdirs.user_runtime_path("pinprick", appauthor=False)
