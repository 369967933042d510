"""The stroke program's supply: two DMA channels that feed it, one that takes its samples. Runs on the pen.

Knows words, channels and the FIFO, not what a stroke is for; `pendevice.engine` does. A table that is sent while
another one is under way waits in the second channel, which the first one triggers at its end; whichever was sent last
ends the chain. So at most two are queued, and a CPU that hangs leaves just those. Only a channel that has finished is
set up anew.

Allocates the sample ring (three times its size until garbage is collected) and the channels' registers once;
`begin` what MicroPython's calls do; nothing else allocates. Numbers above 2**30, which would, are kept ready.
"""

import time

import machine
import rp2
import uctypes

from pencore.compat import const
from pendevice import board, samples, stroke_pio

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

# Registers of a channel, as indices of `DMA.registers`: RP2040 data sheet, 2.5.7. Only the last one triggers.
_READ = const(0)
_COUNT = const(2)
_CTRL = const(4)
_READ_AND_START = const(15)
_BUSY = const(1 << 24)

_FEED_REQUEST = const(0)
"""DREQ_PIO0_TX0."""
_SAMPLE_REQUEST = const(5)
"""DREQ_PIO0_RX1."""
_FEED = const(0x50200010)  # TXF0 of block 0
_SAMPLED = const(0x50200024)  # RXF1 of block 0
_ADDRESS = const(0x502000D4)  # SM0_ADDR of block 0
_SAMPLES_MOST = const(0x3FFFFFFF)

_PULL = const(0x8080)
"""The instruction pull(noblock)."""
_CLEAR_OSR = const(0xA0E3)
"""The instruction mov(osr, null)."""
_KEEP_OSR = const(0xA0C7)
_KEPT_OSR = const(0xA0E6)
"""The instructions mov(isr, osr) and mov(osr, isr): the stroke program has no use for its ISR."""
_TRIES = const(4)
_TAIL_MS = const(65)
"""Longer than the last three steps of any plan: 60 ms, of a pen with 20 um a step and 1 mm/s."""


def _ring() -> "tuple[bytearray, bytearray]":
    """Return the sample ring, where DMA can wrap in it (at a multiple of its size), and what must be kept for it."""
    before = []
    for _ in range(_TRIES):
        ring = bytearray(samples.SIZE)
        gap = -uctypes.addressof(ring) & (samples.SIZE - 1)
        if not gap:
            return ring, ring
        # Memory is given out from below: what comes next lies behind these two, of which nothing stays. But the gap may
        # have found a hole further down, which is full by the next time.
        before.append(ring)
        before.append(bytearray(gap))
    before.clear()
    # A piece of twice the size has the place somewhere in it, wherever it lies.
    memory = bytearray(2 * samples.SIZE)
    start = (uctypes.addressof(memory) + samples.SIZE - 1) & -samples.SIZE
    return uctypes.bytearray_at(start, samples.SIZE), memory


class Player:
    """Machines 0 and 1 of PIO block 0 and what feeds them. Idle and empty until `begin`."""

    def __init__(self) -> None:
        self._step = machine.Pin(board.STEP)
        self._dir = machine.Pin(board.DIR)
        self._home = machine.Pin(board.HOME, machine.Pin.IN, machine.Pin.PULL_UP)
        self._enable = machine.Pin(board.ENABLE)
        self._player = rp2.StateMachine(0)
        self._sampler = rp2.StateMachine(1)
        self.ring, self._memory = _ring()
        """The samples, a ring; see `pendevice.samples`."""
        self._ring_at = uctypes.addressof(self.ring)
        # The stubs lack a channel's number and registers.
        self._feeders: "tuple[Any, ...]" = (rp2.DMA(), rp2.DMA())
        collector: "Any" = rp2.DMA()
        self._collector = collector
        first: "Any" = self._feeders[0]
        second: "Any" = self._feeders[1]
        self._registers: "tuple[Any, ...]" = (first.registers, second.registers)
        self._collected = self._collector.registers
        # Three settings of each feeder: ends the chain, triggers the other one, answers no trigger and pauses.
        self._last = (self._feed_ctrl(first, first, True), self._feed_ctrl(second, second, True))
        self._chained = (self._feed_ctrl(first, second, True), self._feed_ctrl(second, first, True))
        self._paused = (self._feed_ctrl(first, first, False), self._feed_ctrl(second, second, False))
        self._starts = [0, 0]
        self._next = 0
        self.shortest_ticks = stroke_pio.SHORTEST_TICKS
        self._base = 0
        self._ended = 0
        self._end_word = bytearray(1)

    @staticmethod
    def _feed_ctrl(feeder: "Any", then: "Any", enabled: bool) -> int:
        return feeder.pack_ctrl(
            enable=enabled, size=2, inc_read=True, inc_write=False, treq_sel=_FEED_REQUEST, chain_to=then.channel
        )

    # --- beginning and ending ----------------------------------------------------------------------------------------
    def begin(self) -> None:
        """Forget all that is queued, start both machines and the ring anew: STEP and DIR low, nothing to play."""
        self.halt()
        self._collector.active(0)
        self._sampler.init(stroke_pio.sample, in_base=self._step)
        while self._sampler.rx_fifo():
            self._sampler.get()
        self._collector.config(
            read=_SAMPLED,
            write=self._ring_at,
            count=_SAMPLES_MOST,
            ctrl=self._collector.pack_ctrl(
                size=0,
                inc_read=False,
                inc_write=True,
                ring_sel=True,
                ring_size=samples.BITS,
                treq_sel=_SAMPLE_REQUEST,
            ),
            trigger=True,
        )
        self._start()
        # Not before STEP is low: where it was halted high, its fall is no step.
        self._sampler.active(1)
        self.ended()
        for feeder in self._feeders:
            feeder.config(write=_FEED)

    def _start(self) -> None:
        """Start the stroke program anew, with nothing to play."""
        self._player.init(
            stroke_pio.stroke,
            in_base=self._home,
            out_base=self._dir,
            set_base=self._step,
            jmp_pin=self._enable,
        )
        # What the assembler makes of a program is a list; its second entry is where the program lies in block 0.
        program: "Any" = stroke_pio.stroke
        self._base = program[1]
        self._drain()
        self._player.put(stroke_pio.HOLD_WORD)
        self._player.active(1)

    def anywhere(self) -> None:
        """Let the next words be played without waiting for home; after `begin`, before the first `send`."""
        self._player.exec(self._base + stroke_pio.ANYWHERE_AT)

    def halt(self) -> None:
        """Stop where it is, and forget all that is queued; the samples stay."""
        self._player.active(0)
        # Neither may trigger the other while both are aborted.
        for index in (0, 1):
            self._registers[index][_CTRL] = self._paused[index]
        for feeder in self._feeders:
            feeder.active(0)

    # --- feeding -----------------------------------------------------------------------------------------------------
    def send(self, address: int, words: int) -> None:
        """Queue `words` words (>= 1) that lie at `address`; only while one of the two channels has finished. They must
        stay there, unchanged, until they are played.
        """
        mine = self._next
        other = 1 - mine
        registers = self._registers[mine]
        registers[_READ] = address
        registers[_COUNT] = words
        registers[_CTRL] = self._last[mine]
        self._starts[mine] = address
        self._next = other
        if self._registers[other][_CTRL] & _BUSY:
            self._registers[other][_CTRL] = self._chained[other]
        self.nudge()

    def nudge(self) -> None:
        """Start what was sent last, if the channel before it has finished and hasn't done so."""
        other = self._next
        mine = 1 - other
        # In this order: a channel that is no longer busy has triggered the other one by the time that one is asked.
        if not self._registers[other][_CTRL] & _BUSY and not self._started(mine):
            self._registers[mine][_READ_AND_START] = self._starts[mine]

    def _started(self, index: int) -> bool:
        registers = self._registers[index]
        return registers[_CTRL] & _BUSY != 0 or registers[_READ] != self._starts[index]

    def take_back(self) -> bool:
        """Take back what was sent last, a stroke; return False, and change nothing, if it has begun.

        May wait for the last three steps of the stroke before it: what is in motion is never paused.
        """
        other = self._next
        mine = 1 - other
        registers = self._registers[mine]
        registers[_CTRL] = self._paused[mine]
        self._registers[other][_CTRL] = self._last[other]
        if self._started(mine) and not self._take_words_back(registers, self._starts[mine]):
            registers[_CTRL] = self._last[mine]
            return False
        self._feeders[mine].active(0)
        self._next = mine
        return True

    def _take_words_back(self, registers: "Any", start: int) -> bool:
        """Take words out of the FIFO that are those of a stroke not begun; return whether that was possible."""
        player = self._player
        since_ms = time.ticks_ms()
        sent = (registers[_READ] - start) >> 2
        while time.ticks_diff(time.ticks_ms(), since_ms) < _TAIL_MS:
            # How many of them the program has: -1 while the end word of the stroke before is still to come.
            taken = sent - player.tx_fifo()
            if taken < -1:
                continue
            if taken > 1:
                return False
            player.active(0)
            taken = sent - player.tx_fifo()
            at = self._at()
            if taken == -1 and at in stroke_pio.HOLDING_AT:
                # The last edge is made and only the rest goes on, whose second half still needs what the draining
                # overwrites.
                player.exec(_KEEP_OSR)
                self._drain()
                player.exec(_KEPT_OSR)
                player.put(0)
                player.active(1)
                return True
            if taken == 0:
                # Between the end word, which the draining must leave as it was, and the next.
                self._drain()
                player.exec(_CLEAR_OSR)
                player.active(1)
                return True
            if taken == 1 and at == stroke_pio.WAIT_AT:
                # It waits for home with the first word: let it begin anew. What it has told may be forgotten by that.
                self._ended = self.ended()
                self._start()
                return True
            player.active(1)
            if taken > 0:
                return False
        return False

    def _drain(self) -> None:
        """Empty the FIFO, as the SDK does it; overwrites what the program has pulled."""
        while self._player.tx_fifo():
            self._player.exec(_PULL)

    # --- looking -----------------------------------------------------------------------------------------------------
    def ended(self) -> int:
        """Return how many tables have ended since the last call."""
        count = self._ended
        self._ended = 0
        while self._player.rx_fifo():
            # Into a buffer, whose one byte takes one word: as a number it may lie above 2**30.
            self._player.get(self._end_word)
            count += 1
        return count

    def sampled(self) -> int:
        """Return how many STEP edges have been sampled since `begin`."""
        return _SAMPLES_MOST - self._collected[_COUNT]

    def waits_for_home(self) -> bool:
        """Return whether the stroke program has a stroke's first word and waits for home."""
        return self._at() == stroke_pio.WAIT_AT

    def under_way(self) -> bool:
        """Return whether it is anywhere behind that: in a stroke, or halted in one by a driver that is off."""
        return self._at() > stroke_pio.WAIT_AT

    def _at(self) -> int:
        """Return where the stroke program stands, counted from its first instruction."""
        return machine.mem32[_ADDRESS] - self._base

    def home_seen(self) -> bool:
        """Return whether the sensor sees the carriage now."""
        return self._home.value() == board.HOME_SEEN
