"""What to say when a part of the tool that was not installed is asked for. Host only."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pinprick.errors import EXTRA_MISSING, PinprickError

# By the name that is imported: who needs it, and what to install. The emulator is a beta, which nobody gets unasked.
PARTS: Mapping[str, tuple[str, str]] = {
    "littlefs": ("Virtual pens need littlefs-python", "littlefs-python"),
    "rp2040py": ("The emulated chip needs rp2040py", "rp2040py==1.0.0b1"),
}


@contextmanager
def needing_extra() -> Iterator[None]:
    """Say what to install when a library of the simulators is not there; no other module may be missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        part = PARTS.get((error.name or "").partition(".")[0])
        if part is None:
            raise
        need, requirement = part
        message, hint = f"{need}, which is not installed.", f"Install it with: pip install {requirement}"
        raise PinprickError(EXTRA_MISSING, message, hint=hint) from None
