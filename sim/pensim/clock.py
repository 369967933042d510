"""Virtual time: a clock that stands still until it is told to jump, and the events it passes on its way. Host only.

Counted in ticks of 8 ns, one cycle of the pen's 125 MHz system clock, so that a step of the engine and a millisecond
of the firmware are both whole numbers. Events fall in the order of their ticks, those of one tick in the order in
which they were scheduled: two runs with the same events are the same run. Allocates one small list per event.
"""

import heapq
from collections.abc import Callable

TICKS_PER_S = 125_000_000
TICKS_PER_MS = 125_000
TICKS_PER_US = 125
NS_PER_TICK = 8

_U32 = 0xFFFFFFFF

Event = list[Callable[[], None]]
"""A scheduled event, to be handed to `cancel`; what it holds is the clock's own business."""


class VirtualClock:
    """Time of one virtual world, from 0 ticks at its making; it never runs back.

    `start_ms` (uint32) is what the pen's millisecond counter shows at tick 0: tests start it near its wrap.
    """

    def __init__(self, start_ms: int = 0) -> None:
        self.now = 0
        self.start_ms = start_ms & _U32
        self._order = 0
        self._heap: list[tuple[int, int, Event]] = []

    def now_ms(self) -> int:
        """Return the pen's milliseconds: uint32, wrapping at 2**32."""
        return (self.start_ms + self.now // TICKS_PER_MS) & _U32

    def schedule(self, at: int, callback: Callable[[], None]) -> Event:
        """Have `callback` called when the clock reaches tick `at` (>= now); ValueError for a time that has passed."""
        if at < self.now:
            raise ValueError(f"tick {at} has passed; it is {self.now}")
        event: Event = [callback]
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, event))
        return event

    def after(self, ticks: int, callback: Callable[[], None]) -> Event:
        """Have `callback` called `ticks` (>= 0) from now."""
        return self.schedule(self.now + ticks, callback)

    def cancel(self, event: Event) -> None:
        """Take back an event; one that has fallen or was taken back already is left alone."""
        event.clear()

    def next_due(self) -> int | None:
        """Return the tick of the next event, or None when nothing is scheduled."""
        heap = self._heap
        while heap and not heap[0][2]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def run_until(self, at: int) -> None:
        """Let every event up to tick `at` fall, then stand at `at`; a time that has passed does nothing.

        An event may call this again (a flash write takes its time while strokes go on): what falls in the inner call
        has fallen for the outer one.
        """
        heap = self._heap
        while heap and heap[0][0] <= at:
            due, _, event = heapq.heappop(heap)
            if event:
                self.now = due
                event.pop()()
        if at > self.now:
            self.now = at

    def advance(self, ticks: int) -> None:
        """Let `ticks` (>= 0) pass."""
        self.run_until(self.now + ticks)
