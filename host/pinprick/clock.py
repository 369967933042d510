"""What time this computer says it is, in the way a pen counts it. Host only; asks the system's clock."""

import time
from datetime import UTC, date, datetime

from pencore.units import U32_MAX
from pinprick.errors import CLOCK_WRONG, USAGE, InputError


def now_s() -> int:
    """Return the seconds since 1970, UTC, 0..2**32-1; InputError CLOCK_WRONG when the clock shows anything else."""
    now = int(time.time())
    if not 0 <= now <= U32_MAX:
        side = "before the year 1970" if now < 0 else f"after {shown(U32_MAX)}"
        message = f"This computer's clock is wrong: it shows a time {side}."
        raise InputError(CLOCK_WRONG, message, field="clock", given=now, limit=U32_MAX)
    return now


def moment(text: str, option: str) -> int:
    """Return the time in `text` in seconds since 1970: a date (its first second, UTC), or a date and time that says its
    own zone, `Z` or an offset. No zone of this computer is taken for granted, so its summer time moves nothing.

    InputError USAGE at `option` for anything else, and for what no pen can count: before 1970, from 2**32 s on.
    """
    hint = "Write it as 2028-02-29, 2028-02-29T14:30:00Z or 2028-02-29T14:30:00+01:00."
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        message = f"{option} is no date or time that there is."
        raise InputError(USAGE, message, field=option, given=text[:40], hint=hint) from None
    if read.tzinfo is None:
        if not _is_date(text):
            message = f"{option} does not say which zone its time is of."
            raise InputError(USAGE, message, field=option, given=text[:40], hint=hint)
        read = read.replace(tzinfo=UTC)
    # In whole numbers: the first and last years that there are have no offset to go to.
    seconds = int((read - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)
    if not 0 <= seconds <= U32_MAX:
        message = f"{option} lies outside of what a pen counts, 1970 to 2106."
        raise InputError(USAGE, message, field=option, given=text[:40], limit="2106-02-07T06:28:15Z", hint=hint)
    return seconds


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def shown(seconds: int) -> str:
    """Return a time for people: "2028-02-29 14:30:00 UTC"."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
