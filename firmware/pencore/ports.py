"""The seam between logic and machine: what a pen must offer. Types only; never flashed, never imported at run time.

Implemented once for the board (`pendevice`) and once for the simulator (`pensim`), with one contract suite for both
(`tests/contract`). The logic never waits in a port: every call returns at once, except a `Store` write, which may take
as long as the flash takes (up to 1.2 s) and is only made at home with the engine idle.
"""

from typing import NamedTuple, Optional, Protocol

from pencore.signals import (
    CARTRIDGE,
    DRIVER_FAULT,
    DRIVER_RESET,
    ENABLED,
    HOME,
    HOME_WAIT,
    IDLE,
    SERVICE,
    STOP,
    TRIGGER,
    TRIP_COUNT,
    TRIP_DEPTH,
    TRIP_STOP,
)

__all__ = [
    "CARTRIDGE",
    "DRIVER_FAULT",
    "DRIVER_RESET",
    "ENABLED",
    "HOME",
    "HOME_WAIT",
    "IDLE",
    "SERVICE",
    "STOP",
    "TRIGGER",
    "TRIP_COUNT",
    "TRIP_DEPTH",
    "TRIP_STOP",
    "Clock",
    "Engine",
    "HomingEvidence",
    "Identity",
    "Indicator",
    "Inputs",
    "Link",
    "Ports",
    "Store",
    "StrokeEvidence",
    "Watchdog",
]


class StrokeEvidence(NamedTuple):
    """What the engine saw of one finished stroke, for the logic to judge before the next credit.

    `index`: 0, 1, 2 ... since the last `arm`. `clear_step`: extension steps made when the sensor stopped seeing home;
    `return_step`: retraction steps made when it saw home again; -1 where that never happened. `net_steps`: extension
    minus retraction steps played (0 for a whole stroke). `flags`: 0, or the Engine.poll() bits that fell meanwhile.
    """

    index: int  # type: ignore[assignment]  # the vocabulary's name; nobody calls tuple.index on evidence
    clear_step: int
    return_step: int
    net_steps: int
    flags: int


class HomingEvidence(NamedTuple):
    """How a homing ended. All in steps; -1 where that was never seen.

    `found_step`: retraction steps until home was seen; `clear_step`: extension steps from home until it was no longer
    seen; `return_step`: retraction steps from the end of that back-off until it was seen again. After a good homing the
    carriage stands at position 0: `home_margin_steps` behind the point where the sensor came on.
    """

    found_step: int
    clear_step: int
    return_step: int


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since power-up as uint32, wrapping at 2**32."""


class Link(Protocol):
    """The bytes to and from the host. Never blocks in either direction."""

    def read(self) -> bytes:
        """Return what has arrived, at most 512 bytes; b"" when there is nothing."""

    def room(self) -> int:
        """Return how many bytes `write` would take right now; 0 when the host does not read."""

    def write(self, data: "bytes | memoryview") -> int:
        """Take as many bytes of `data` as there is room for; return how many. Keeps none of it by reference."""


class Inputs(Protocol):
    def read(self) -> int:
        """Return the present level of every input as bits TRIGGER STOP CARTRIDGE HOME SERVICE; not debounced."""

    def moved(self) -> int:
        """Return as bits TRIGGER STOP CARTRIDGE which of these have changed since the last call, however shortly, also
        while nobody could look."""


class Engine(Protocol):
    """Plays stroke tables and owns the guards. Starts nothing without a credit; cannot be asked to exceed a guard.

    Order of use: `home` -> `homing` until evidence -> `load` -> `arm` -> `credit` ... -> `take` ... -> `disarm`.
    """

    def poll(self) -> int:
        """Return the state bits IDLE ENABLED TRIP_* HOME_WAIT DRIVER_*; trips stay until the next `home` or `arm`."""

    def home(self, cap_steps: int, backoff_steps: int, margin_steps: int, step_ticks: int) -> None:
        """Begin homing: guards loaded with `backoff_steps` as depth limit and for its one extension, driver on, retract
        until home is seen (at most `cap_steps`), `margin_steps` more, extend until it clears (at most `backoff_steps`),
        retract until it is seen again and `margin_steps` more; one step per `step_ticks`. Flushes any queue first. A
        driver that takes settings gets them before it is on; it has half a second for that, else DRIVER_FAULT."""

    def homing(self) -> Optional[HomingEvidence]:
        """Return None while homing goes on, then its evidence (until the next `home`)."""

    def load(self, table: "bytes | bytearray") -> None:
        """Take the stroke table (32-bit little-endian words, last one 0; see `pencore.planner`). Only when IDLE."""

    def arm(self, limit_steps: int, strokes: int) -> None:
        """Load the guards at home: depth guard with `limit_steps`, count guard with `strokes`; enabler last: the driver
        is on afterwards. Clears trips, restarts the evidence index at 0. Only when IDLE and home is seen."""

    def allow(self, strokes: int) -> None:
        """Reload the count guard with the absolute number of strokes it may still let begin. Only when IDLE."""

    def queued(self) -> int:
        """Return how many credited strokes are not finished yet (0..2), the one in progress included."""

    def credit(self) -> None:
        """Queue one more stroke; only while `queued()` < 2. It starts as soon as the one before is over and home is
        seen."""

    def withdraw(self) -> int:
        """Take back the queued stroke that has not begun; return how many were taken back (0 or 1). The stroke in
        progress is finished."""

    def take(self) -> Optional[StrokeEvidence]:
        """Return the evidence of the oldest finished stroke not taken yet, or None."""

    def disarm(self) -> None:
        """Driver off now, queue flushed, whatever moves stops where it is and the spring retracts. Always allowed."""


class Store(Protocol):
    """A folder of small files on the pen's flash; a name may put its file one folder deeper ("witness/seq.bin"), where
    the file system keeps its books in other blocks. Every method raises OSError when the flash or its file system
    fails, and the next call mounts it anew: what it holds in memory may no longer be what the flash holds. Each write
    is synced when it returns, and is wholly old or wholly new after a power cut; only a file that its first `append`
    makes may be left there empty."""

    def names(self) -> "list[str]":
        """Return the names of all files, those of folders aside, in any order."""

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; -1 when there is none of that name."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`; fewer at the end of the file."""

    def append(self, name: str, data: bytes) -> None:
        """Append `data` in one synced write; makes the file when there is none, and its folder."""

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, in place of any file that had it: after a cut all is as before, or all is done."""

    def remove(self, name: str) -> None:
        """Remove a file."""


class Watchdog(Protocol):
    def feed(self) -> None:
        """Tell the watchdog that one whole loop was completed (4,000 ms until it resets the pen)."""


class Indicator(Protocol):
    def show(self, state: int, code: int) -> None:
        """Show a state of `pencore.session` (and its fault code, or 0) by light and sound."""


class Identity(Protocol):
    def nonce(self) -> str:
        """Return 16 hex digits drawn at random once per boot."""

    def build(self) -> str:
        """Return the build hash of the firmware: 16 hex digits."""

    def reset_cause(self) -> int:
        """Return 1 after power-up, 3 after a watchdog or software reset."""


class Ports(NamedTuple):
    """Everything the runner needs, in one argument."""

    clock: Clock
    link: Link
    inputs: Inputs
    engine: Engine
    store: Store
    watchdog: Watchdog
    indicator: Indicator
    identity: Identity
