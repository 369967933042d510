"""What the firmware holds in memory, weighed in CPython. Host only."""

import gc
import sys
from collections import deque

HELD_MOST = 40_000
"""Bytes that the firmware's own objects may take in CPython; a pen with a session of 32 zones has the most."""
GROWTH_MOST = 6_000
"""How many of them may come and go while nothing happens: the stored answer, a profile on its way, what waits to be
sent.
"""

_KEPT_TYPES = (list, tuple, dict, set, bytes, bytearray, str, int, memoryview, deque)


def held_bytes(root: object) -> int:
    """Return how many bytes CPython uses for the firmware's objects that `root` holds, those of the ports aside."""
    seen = {id(root)}
    waiting = [root]
    held = 0
    while waiting:
        each = waiting.pop()
        held += sys.getsizeof(each)
        for other in gc.get_referents(each):
            if id(other) in seen:
                continue
            kind = type(other)
            if kind in _KEPT_TYPES or (kind.__module__.startswith("pencore.") and kind.__name__ != "Ports"):
                seen.add(id(other))
                waiting.append(other)
    return held
