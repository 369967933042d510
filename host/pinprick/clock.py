"""What time this computer says it is, in the way a pen counts it. Host only; asks the system's clock."""

import time

from pencore.units import U32_MAX
from pinprick.errors import CLOCK_WRONG, InputError


def now_s() -> int:
    """Return the seconds since 1970, UTC, 0..2**32-1; InputError CLOCK_WRONG when the clock shows anything else."""
    shown = int(time.time())
    if not 0 <= shown <= U32_MAX:
        side = "before the year 1970" if shown < 0 else "after the year 2105"
        message = f"This computer's clock is wrong: it shows a time {side}."
        raise InputError(CLOCK_WRONG, message, field="clock", given=shown, limit=U32_MAX)
    return shown
