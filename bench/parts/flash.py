"""What an append to the ledger costs in flash, and what it would cost to reserve each stroke by itself. Host only."""

from dataclasses import dataclass

from pencore.ledger import OPEN, RESERVE, Entry, Ledger, create
from pensim.flash import WORST_TIMING, FlashDevice, FlashTiming, SimStore

_SESSION = 1
_ZONE = 0


@dataclass(frozen=True)
class AppendCost:
    """The mean of many appends of one entry each, compaction of the journal included."""

    appends: int
    erases: float
    programs: float
    typical_ms: float
    worst_ms: float
    """The mean with the flash's worst times."""
    longest_ms: float
    """The longest of them, with the flash's worst times."""


def append_cost(appends: int) -> AppendCost:
    """Measure `appends` reservations on a new pen's littlefs, read back and witnessed as the pen does it."""
    device = FlashDevice()
    store = SimStore(device)
    create(store)
    ledger = Ledger(store)
    ledger.replay()
    ledger.append([Entry(OPEN, _SESSION, 1)])
    erases, programs = device.erases, device.programs
    longest_us = 0
    for stroke in range(appends):
        before = (device.erases, device.programs)
        if ledger.crowded():
            ledger.compact()
            longest_us = max(longest_us, _us(device, before, WORST_TIMING))
            before = (device.erases, device.programs)
        ledger.append([Entry(RESERVE, _SESSION, _ZONE, stroke + 1, stroke)])
        longest_us = max(longest_us, _us(device, before, WORST_TIMING))
    store.close()
    mean = 1000 * appends
    return AppendCost(
        appends,
        (device.erases - erases) / appends,
        (device.programs - programs) / appends,
        _us(device, (erases, programs), FlashTiming()) / mean,
        _us(device, (erases, programs), WORST_TIMING) / mean,
        longest_us / 1000,
    )


def _us(device: FlashDevice, before: tuple[int, int], timing: FlashTiming) -> int:
    """Return how long what `device` did since `before` (erases, programs) takes with `timing`."""
    return (device.erases - before[0]) * timing.erase_us + (device.programs - before[1]) * timing.program_us


def lost_share(append_ms: float, period_ms: float) -> float:
    """Return the share of its time that a pen loses which waits for an append before each stroke of `period_ms`."""
    return append_ms / (append_ms + period_ms)
