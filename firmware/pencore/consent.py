"""The people's side of the pen: when a press is a consent, and whether the cartridge has been changed. Pen and
simulator.

Pure: levels and times come in, decisions go out. A level counts after two samples that agree, `_SETTLE_MS` apart; a
release counts at once, because stopping needs no second thought. Allocates nothing after construction.
"""

from pencore.compat import const
from pencore.units import ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional

_SETTLE_MS = const(10)
RELEASE_MS = const(100)
"""A press starts strokes only after this much release seen in the same state."""


class Trigger:
    """Turns the trigger's level into consent.

    `rearm` on every entry into a state that may start strokes: from then on at least 100 ms of release must be seen,
    and then a press that lasts two samples, before `wants` is True. Nothing seen in an earlier state counts.
    """

    def __init__(self) -> None:
        self.down = True
        self._since_ms = 0
        self._armed = False
        self._released = False
        self._level = True
        self._missed = False

    def rearm(self, now_ms: int) -> None:
        """Forget what was seen: the next release starts at `now_ms` at the earliest."""
        self._armed = True
        self._released = False
        self._since_ms = now_ms

    def missed(self, now_ms: int) -> None:
        """It has moved while nobody could look: it is up until the next sample but one, and no release counts yet."""
        self._released = False
        self._since_ms = now_ms
        self.down = False
        self._missed = True

    def disarm(self) -> None:
        """No press means anything until `rearm`."""
        self._armed = False
        self._released = False

    def sample(self, level: bool, now_ms: int) -> None:
        """Take the present level (True: down)."""
        if self._missed:
            self._missed = False
            self._level = level
            return
        if level != self._level:
            if not level and ms_since(now_ms, self._since_ms) >= _SETTLE_MS:
                # A press that wasn't taken: the next one needs a release of its own.
                self._released = False
            self._level = level
            self._since_ms = now_ms
        held_ms = ms_since(now_ms, self._since_ms)
        if not level:
            self.down = False
            if self._armed and held_ms >= RELEASE_MS:
                self._released = True
        elif held_ms >= _SETTLE_MS:
            self.down = True
        elif not self._released:
            # A press that comes before the release was long enough is no consent, however long it lasts.
            self.down = True

    def wants(self) -> bool:
        """Return whether there is a fresh press: down now, after the release that `rearm` asked for."""
        return self._armed and self._released and self.down and self._level

    def wait_ms(self, now_ms: int) -> int:
        """Return how many ms from now the next decision can fall without a new level; a large number when none can."""
        held_ms = ms_since(now_ms, self._since_ms)
        if self._level and held_ms < _SETTLE_MS:
            return _SETTLE_MS - held_ms
        if not self._level and self._armed and not self._released:
            return max(1, RELEASE_MS - held_ms)
        return 1_000_000


class CartridgeSwitch:
    """Watches the cartridge switch: `closed`, and whether it `changed` (opened and closed, both seen under power).

    A cut of power forgets what was seen: after it nothing counts as changed until the switch opens and closes again.
    """

    def __init__(self) -> None:
        self.closed = False
        self.changed = False
        self._level: "Optional[bool]" = None
        self._since_ms = 0
        self._begun = False
        self._opened = False

    def sample(self, level: bool, now_ms: int) -> None:
        """Take the present level (True: closed). The first level ever seen is where watching begins."""
        if not self._begun:
            self._begun = True
            self.closed = level
        if level != self._level:
            self._level = level
            self._since_ms = now_ms
        if ms_since(now_ms, self._since_ms) < _SETTLE_MS:
            return
        if not level:
            self._opened = True
            self.closed = self.changed = False
        elif not self.closed:
            # What was not seen to stay open, at a first look or while nobody could look, may have been contact noise.
            self.closed = True
            self.changed = self._opened
            self._opened = False

    def missed(self) -> None:
        """It has moved while nobody could look: it counts as open, and as a change only once it is seen to stay so."""
        self._level = None
        self.closed = self.changed = False

    def used(self) -> None:
        """A session has been sealed with this cartridge: only a newly seen change counts from here on."""
        self.changed = False

    def wait_ms(self, now_ms: int) -> int:
        """Return how many ms from now the level in hand will count; a large number when none is waiting."""
        if self._level is None:
            return 1
        settled = self.closed if self._level else self._opened
        if settled:
            return 1_000_000
        return max(1, _SETTLE_MS - ms_since(now_ms, self._since_ms))
