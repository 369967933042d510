"""What to say when a part of the tool that was not installed is asked for. Host only."""

from collections.abc import Iterator
from contextlib import contextmanager

from pinprick.errors import EXTRA_MISSING, PinprickError


@contextmanager
def needing_extra() -> Iterator[None]:
    """Say what to install when the simulator's library is not there; no other module may be missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "littlefs":
            raise
        message = "Virtual pens need littlefs-python, which is not installed."
        raise PinprickError(EXTRA_MISSING, message, hint="Install it with: pip install littlefs-python") from None
