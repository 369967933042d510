"""The session: which event is allowed in which state, and how many strokes are left. Runs on the pen and in the
simulator.

Pure: no port, no time. `next_state` answers for every (state, event) pair from one table; `Session` joins the loaded
profile with the counters and knows the one rule that everything else serves: no stroke without a reservation, no
reservation above what zone, session and cartridge still allow. Allocates lists of one number per zone at load; nothing
per stroke.
"""

from pencore import faults, limits
from pencore.compat import const
from pencore.faults import Fault, Refusal
from pencore.ledger import CONFIRM, INTERRUPT, NO_ZONE, OPEN, RESERVE, Entry, OpenSession
from pencore.wire import ARMED, FAULT, HOMING, LOADED, PAUSED, RUNNING, SAFE, SEALING

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional

    from pencore.limits import Bounds
    from pencore.profile import Profile

# --- events ----------------------------------------------------------------------------------------------------------
BOOTED = const(0)
RESUMED = const(1)
LOAD = const(2)
ARM = const(3)
HOMED = const(4)
ABANDON = const(5)
PRESS = const(6)
RELEASE = const(7)
SPENT = const(8)
SELECT = const(9)
PAUSE = const(10)
LAPSE = const(11)
FINISH = const(12)
DISCARD = const(13)
SEALED = const(14)
STOP = const(15)
CLEAR_OPEN = const(16)
CLEAR_SHUT = const(17)
EVENT_NAMES = (
    "BOOTED",
    "RESUMED",
    "LOAD",
    "ARM",
    "HOMED",
    "ABANDON",
    "PRESS",
    "RELEASE",
    "SPENT",
    "SELECT",
    "PAUSE",
    "LAPSE",
    "FINISH",
    "DISCARD",
    "SEALED",
    "STOP",
    "CLEAR_OPEN",
    "CLEAR_SHUT",
)
"""Names of the events: BOOTED without and RESUMED with an open session; ABANDON ends an arming that can't be completed;
SPENT means the zone has no strokes left; LAPSE is a lost lease or 15 minutes without a stroke; FINISH seals an open
session, DISCARD unloads a profile that made no stroke; STOP stands for every stop and fault; CLEAR_OPEN and CLEAR_SHUT
leave FAULT with and without an open session."""

REFUSED = const(0x80)
"""The event is a request and isn't allowed in this state."""
IGNORED = const(0x81)
"""The event means nothing in this state."""

_TABLE = (
    # BOOT, SAFE, LOADED, HOMING, ARMED, RUNNING, PAUSED, SEALING, FAULT
    (SAFE, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED),
    (LOADED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED),
    (REFUSED, LOADED, LOADED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED),
    (REFUSED, REFUSED, HOMING, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED),
    (IGNORED, IGNORED, IGNORED, ARMED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED),
    (IGNORED, IGNORED, IGNORED, LOADED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED),
    (IGNORED, IGNORED, IGNORED, IGNORED, RUNNING, IGNORED, RUNNING, IGNORED, IGNORED),
    (IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, PAUSED, IGNORED, IGNORED, IGNORED),
    (IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, PAUSED, IGNORED, IGNORED, IGNORED),
    (REFUSED, REFUSED, REFUSED, REFUSED, ARMED, REFUSED, PAUSED, REFUSED, REFUSED),
    (REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, PAUSED, PAUSED, REFUSED, REFUSED),
    (IGNORED, IGNORED, IGNORED, IGNORED, LOADED, LOADED, LOADED, IGNORED, IGNORED),
    (REFUSED, REFUSED, SEALING, REFUSED, SEALING, REFUSED, SEALING, REFUSED, REFUSED),
    (REFUSED, REFUSED, SAFE, REFUSED, SAFE, REFUSED, SAFE, REFUSED, REFUSED),
    (IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, SAFE, IGNORED),
    (FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT),
    (REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, LOADED),
    (REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, SAFE),
)
"""Row: event; column: state; cell: the next state, REFUSED or IGNORED."""

# No const(): to the pen's compiler, names from another module are no constants.
DRIVEN = (1 << HOMING) | (1 << ARMED) | (1 << RUNNING) | (1 << PAUSED)
"""States in which the driver is on."""
LEASED = (1 << ARMED) | (1 << RUNNING) | (1 << PAUSED)
"""States that need a live host."""


def next_state(state: int, event: int) -> int:
    """Return the state after `event` in `state` (0..8), REFUSED or IGNORED."""
    return _TABLE[event][state]


def is_in(state: int, mask: int) -> bool:
    """Return whether `state` is one of the bits of `mask`."""
    return mask >> state & 1 == 1


class Counter:
    """A count kept twice, the second time inverted, so that a flipped bit in memory is a fault and not a stroke."""

    def __init__(self) -> None:
        self._value = 0
        self._inverse = ~0

    def get(self) -> int:
        """Return the count; Fault MEMORY_CORRUPT when the two copies disagree."""
        if self._value != ~self._inverse:
            raise Fault(faults.MEMORY_CORRUPT, self._value & 0x3FFFFFFF)
        return self._value

    def set(self, value: int) -> None:
        """Make `value` the count."""
        self._value = value
        self._inverse = ~value


class Session:
    """The loaded profile and its strokes.

    Zones are indices 0..31 of the profile. For the zone at work, `outstanding` strokes are reserved in flash and
    neither made nor given back. The counters of the zones that rest are those of the ledger (`account`).
    """

    def __init__(self, profile: "Profile", account: "Optional[OpenSession]", cartridge_strokes: int) -> None:
        self.profile = profile
        self.session = profile.session_id
        self.resumed = account is not None
        self.opened = account is not None
        if account is None:
            account = OpenSession(profile.session_id, len(profile.zones), profile.issued_at, 0)
        self.account = account
        self._cartridge_strokes = cartridge_strokes
        self.zone = NO_ZONE
        self._made = Counter()
        self._forfeited = Counter()
        self._outstanding = Counter()
        self._limit_steps = Counter()
        self._others = Counter()
        self._room = Counter()

    # --- what is left ------------------------------------------------------------------------------------------------
    def made(self, zone: int) -> int:
        """Return the strokes made in `zone`."""
        return self._made.get() if zone == self.zone else self.account.made[zone]

    def forfeited(self, zone: int) -> int:
        """Return the strokes of `zone` that count without being known to have been made."""
        return self._forfeited.get() if zone == self.zone else self.account.forfeited[zone]

    def counted(self, zone: int) -> int:
        """Return the strokes of `zone` that count against every budget."""
        return self.made(zone) + self.forfeited(zone)

    def outstanding(self) -> int:
        """Return the strokes of the zone at work that are reserved and neither made nor forfeited."""
        return self._outstanding.get()

    def total(self) -> int:
        """Return the counted strokes of the session."""
        zone = self.zone
        return self.account.total() if zone == NO_ZONE else self._others.get() + self.counted(zone)

    def tell(self, values: "list[Optional[int]]", bounds: "Bounds") -> None:
        """Fill in what telemetry says of the session, and of the zone at work if there is one: its values 1 to 10."""
        counted = self.total()
        values[9] = counted
        values[10] = self.profile.strokes - counted
        zone = self.zone
        if zone != NO_ZONE:
            chosen = self.profile.zones[zone]
            values[1] = zone
            values[2] = chosen.depth_um
            values[3] = min(bounds.zone_cap_um(chosen.area), self.profile.depth_um)
            values[4] = chosen.rate_per_s
            values[5] = self.made(zone)
            values[6] = self.forfeited(zone)
            values[7] = self.counted(zone) + self.outstanding()
            values[8] = self.left(zone)

    def left(self, zone: int) -> int:
        """Return the strokes `zone` may still make: the least of what zone, session and cartridge allow, never below 0
        (a pen provisioned anew amid a session may allow less than was made).
        """
        if zone == self.zone:
            least = self._room.get() - self.counted(zone)
        else:
            least = self._room_of(zone, self.total() - self.counted(zone)) - self.counted(zone)
        return least if least > 0 else 0

    def _room_of(self, zone: int, others: int) -> int:
        """Return how many strokes `zone` may have in all, when the other zones have had so many."""
        return min(self.profile.zones[zone].strokes, min(self.profile.strokes, self._cartridge_strokes) - others)

    def first_unspent(self) -> int:
        """Return the first zone with strokes left, or NO_ZONE when all are spent."""
        for zone in range(len(self.profile.zones)):
            if self.left(zone) > 0:
                return zone
        return NO_ZONE

    # --- the zone at work --------------------------------------------------------------------------------------------
    def choose(self, zone: int) -> None:
        """Refuse `zone` when the profile has none of that index or it is spent; changes nothing."""
        if not 0 <= zone < len(self.profile.zones):
            raise Refusal(faults.ZONE_UNKNOWN, "zone", zone, len(self.profile.zones) - 1)
        if self.left(zone) <= 0:
            raise Refusal(faults.ZONE_SPENT, "zone", self.counted(zone), self.profile.zones[zone].strokes, zone)

    def enter(self, zone: int, limit_steps: int, profile: "Profile", cartridge_strokes: int) -> None:
        """Make `zone` the zone at work with its depth limit; nothing may be outstanding in the one before.

        Profile and cartridge's bound come anew from what has a checksum, and what they allow is kept as a counter is.
        """
        if self.outstanding():
            raise Fault(faults.INTERNAL, zone)
        self.zone = NO_ZONE
        made = self.made(zone)
        forfeited = self.forfeited(zone)
        self._made.set(made)
        self._forfeited.set(forfeited)
        self._limit_steps.set(limit_steps)
        # Only the zone at work counts on, so that what the others have used is summed up once, not per question.
        others = self.account.total() - made - forfeited
        self._others.set(others)
        self.profile = profile
        self._cartridge_strokes = cartridge_strokes
        self._room.set(self._room_of(zone, others))
        self.zone = zone

    def limit_steps(self) -> int:
        """Return the depth limit of the zone at work in steps from home."""
        return self._limit_steps.get()

    # --- reserve, make, settle ---------------------------------------------------------------------------------------
    def block(self) -> int:
        """Return how many strokes the next reservation takes; 0 when the zone at work is spent."""
        return limits.block_strokes(self.profile.strokes, self.left(self.zone))

    def opening_entries(self, profile_crc: int) -> "list[Entry]":
        """Return the entries that consume the session id and reserve its first block, for one append."""
        opening = Entry(OPEN, self.session, len(self.profile.zones), profile_crc, aux=self.profile.issued_at)
        return [opening, self.reserve_entry(0)]

    def reserve_entry(self, elapsed_s: int) -> Entry:
        """Return the entry that reserves the next block of the zone at work."""
        made = self._made.get()
        forfeited = self._forfeited.get()
        reserved = made + forfeited + self.block()
        return Entry(RESERVE, self.session, self.zone, reserved, made, forfeited, elapsed_s)

    def reserved(self, account: "Optional[OpenSession]") -> None:
        """Take up what the ledger now holds in flash, read back: only this makes strokes outstanding."""
        if account is None or account.session != self.session:
            raise Fault(faults.INTERNAL, self.zone)
        self.account = account
        self.opened = True
        reserved = account.reserved[self.zone] - account.counted(self.zone)
        if reserved > self.left(self.zone):
            raise Fault(faults.INTERNAL, reserved)
        self._outstanding.set(reserved)

    def made_one(self) -> None:
        """Count one finished stroke; Fault COUNT_GUARD when it wasn't reserved."""
        outstanding = self._outstanding.get()
        if outstanding <= 0:
            raise Fault(faults.COUNT_GUARD, self.zone)
        self._outstanding.set(outstanding - 1)
        self._made.set(self._made.get() + 1)

    def forfeit(self, strokes: int) -> None:
        """Count up to `strokes` of the outstanding ones without knowing that they were made."""
        outstanding = self._outstanding.get()
        lost = strokes if strokes < outstanding else outstanding
        self._outstanding.set(outstanding - lost)
        self._forfeited.set(self._forfeited.get() + lost)

    def settle_entry(self, elapsed_s: int) -> "Optional[Entry]":
        """Return the entry that confirms the zone at work and gives the rest of its block back; None when the ledger
        knows all already."""
        zone = self.zone
        if zone == NO_ZONE or not self.opened:
            return None
        made = self._made.get()
        forfeited = self._forfeited.get()
        account = self.account
        if account.reserved[zone] == made + forfeited == account.counted(zone):
            return None
        return Entry(CONFIRM, self.session, zone, made + forfeited, made, forfeited, elapsed_s)

    def settled(self) -> None:
        """Nothing is outstanding any more: the ledger holds the settlement."""
        self._outstanding.set(0)

    def adopt(self, account: "OpenSession") -> None:
        """Take the counters of a journal that was read anew after a failed write; the id is consumed in it."""
        if account.session != self.session:
            raise Fault(faults.INTERNAL, account.session)
        self.account = account
        self.opened = True


def recovery_entries(account: OpenSession, code: int) -> "list[Entry]":
    """Forfeit all that was reserved and not confirmed when the power went; return the entries that say so, and log
    `code`.

    `account` counts the forfeited strokes from here on, whether or not the entries ever reach the flash: no question is
    answered with a low count, and the next boot would forfeit the same.
    """
    entries = []
    interrupted = NO_ZONE
    for zone in range(len(account.made)):
        outstanding = account.reserved[zone] - account.counted(zone)
        if outstanding:
            interrupted = zone
            account.forfeited[zone] += outstanding
            entries.append(
                Entry(
                    CONFIRM,
                    account.session,
                    zone,
                    account.reserved[zone],
                    account.made[zone],
                    account.forfeited[zone],
                    account.elapsed_s,
                )
            )
    entries.append(Entry(INTERRUPT, account.session, interrupted, account.elapsed_s, aux=code))
    return entries
