"""The virtual pen's small ports: clock, cable, inputs, watchdog, indicator, identity. Host only.

Engine and store have modules of their own (`engine`, `flash`). Each class here implements one protocol of
`pencore.ports` against the plant and the virtual clock.
"""

import hashlib
import random
from collections.abc import Callable

from pencore import ports
from pensim.clock import TICKS_PER_MS, VirtualClock
from pensim.plant import Plant

_READ_MOST = 512
_OUT_ROOM = 4096
WATCHDOG_MS = 4000
POWER_UP = 1
WATCHDOG_RESET = 3


class Cable:
    """The USB cable between a host and the pen: two queues of bytes.

    The pen's end is `read`, `room`, `write` (the Link port); the host's end is `send`, `receive`, `reading`, `plugged`.
    Nothing is lost on the way but by `unplug`; what the pen writes waits until the host takes it, 4 KiB at most.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._to_pen = bytearray()
        self._to_host = bytearray()
        self._short = False
        self.reading = True
        self.plugged = True
        self.sent_bytes = 0
        self.received_bytes = 0

    # --- the pen's end -----------------------------------------------------------------------------------------------
    def read(self) -> bytes:
        """Return what has arrived, at most 512 bytes."""
        if not self._to_pen:
            return b""
        piece = bytes(self._to_pen[:_READ_MOST])
        del self._to_pen[:_READ_MOST]
        return piece

    def room(self) -> int:
        """Return how many bytes fit; none while the host doesn't read or the cable is out."""
        return self._room()

    def _room(self) -> int:
        return _OUT_ROOM - len(self._to_host) if self.reading and self.plugged else 0

    def write(self, data: bytes | memoryview) -> int:
        """Take what fits of `data`; return how much."""
        taken = min(len(data), self._room())
        self._short = taken < len(data)
        self._to_host += data[:taken]
        self.received_bytes += taken
        return taken

    def waiting(self) -> int:
        """Return how many bytes wait for the pen."""
        return len(self._to_pen)

    # --- the host's end ----------------------------------------------------------------------------------------------
    def send(self, data: bytes) -> None:
        """Send bytes to the pen; with the cable out they are gone."""
        if self.plugged:
            self._to_pen += data
            self.sent_bytes += len(data)
            self._wake()

    def receive(self) -> bytes:
        """Return all that the pen has said since the last call; a pen that had no room for more goes on at once."""
        data = bytes(self._to_host)
        self._to_host.clear()
        if self._short and self._room():
            # Without a host there is no more room than before: waking the pen for nothing would let no time pass.
            self._short = False
            self._wake()
        return data

    def unplug(self) -> None:
        """Pull the cable: what was on its way is lost."""
        self.plugged = False
        self._to_pen.clear()
        self._to_host.clear()

    def plug(self) -> None:
        """Put the cable back."""
        self.plugged = True


class SimClock:
    """The pen's millisecond counter."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        """Return ms as uint32."""
        return self._clock.now_ms()


class SimInputs:
    """The levels of the plant's switches and sensor."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    def read(self) -> int:
        """Return the present levels as bits."""
        plant = self._plant
        bits = ports.HOME if plant.home_seen() else 0
        if plant.trigger_down:
            bits |= ports.TRIGGER
        if plant.stop_open:
            bits |= ports.STOP
        if plant.cartridge_seated:
            bits |= ports.CARTRIDGE
        if plant.service_held:
            bits |= ports.SERVICE
        return bits

    def moved(self) -> int:
        """Return which of trigger, stop button and cartridge have changed since the last call."""
        plant = self._plant
        bits = ports.TRIGGER if plant.trigger_moved else 0
        bits |= ports.STOP if plant.stop_moved else 0
        bits |= ports.CARTRIDGE if plant.cartridge_moved else 0
        plant.trigger_moved = plant.stop_moved = plant.cartridge_moved = False
        return bits


class SimWatchdog:
    """Bites 4,000 ms after it was last fed; it can't be stopped."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.due = clock.now + WATCHDOG_MS * TICKS_PER_MS
        self.feeds = 0

    def feed(self) -> None:
        """Wait another 4,000 ms."""
        self.feeds += 1
        self.due = self._clock.now + WATCHDOG_MS * TICKS_PER_MS


class SimIndicator:
    """Remembers what light and sound show: (state, code)."""

    def __init__(self) -> None:
        self.shown: tuple[int, int] = (0, 0)

    def show(self, state: int, code: int) -> None:
        """Show a state."""
        self.shown = (state, code)


class SimIdentity:
    """Nonce of this boot, build hash of the logic under test, and why the pen started."""

    def __init__(self, rng: random.Random, cause: int, build: str) -> None:
        self._nonce = f"{rng.getrandbits(64):016x}"
        self._cause = cause
        self._build = build

    def nonce(self) -> str:
        """Return 16 hex digits, new at every boot."""
        return self._nonce

    def build(self) -> str:
        """Return the first 16 hex digits of the SHA-256 over the firmware's files."""
        return self._build

    def reset_cause(self) -> int:
        """Return 1 after power-up, 3 after a watchdog or software reset."""
        return self._cause


def build_hash(files: dict[str, bytes]) -> str:
    """Return the build hash of a set of firmware files: names and contents, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\x00" + hashlib.sha256(files[name]).digest())
    return digest.hexdigest()[:16]
