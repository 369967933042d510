"""The pen put together: ports made, joined to the logic, and turned for ever. Runs on the pen.

The composition root: nothing else here makes a port, and no logic lives here. One loop, no interrupts, no threads; a
turn of it is one step of the runner and one turn of everything that has something to get on with. Whatever is raised
leaves `run`, and whoever called it de-energises and resets.

Allocates everything once; what a turn allocates is the runner's and the link's.
"""

import gc
import os
import time

import machine
import uctypes

from pencore import wire
from pencore.compat import const
from pencore.runner import Runner
from pencore.units import ms_add
from pendevice import board
from pendevice.engine import StrokeEngine
from pendevice.guards import Guards
from pendevice.identity import ChipIdentity
from pendevice.indicator import Lights
from pendevice.inputs import PinInputs
from pendevice.link_usb import UsbLink, usb_link
from pendevice.player import Player
from pendevice.store import FlashStore, mount_flash_anew
from pendevice.tmc2209 import BAUD, Tmc2209
from pendevice.watchdog import ChipWatchdog

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Any

_RUN_CURRENT = const(10)
_HOLD_CURRENT = const(5)
"""Of 31: 0.61 A rms and 0.33 A with the sense resistors of 0.11 Ohm that docs/hardware.md names: a motor of 0.6 A."""
_UART = const(0)
_NONCE_BYTES = const(8)
_LOOK_MS = const(10)
"""How long at most a pen at rest doesn't look at its switches; the guards watch the stop line in between."""
_LOOK_BUSY_MS = const(1)
_COLLECT_EVERY = const(65_536)
"""Bytes allocated from one collection to the next: so few that what stays isn't scattered over all of the heap."""
_COLLECT_NEVER = const(-1)
"""While strokes are made, until the heap is full: a collection takes 25 ms, and each block of strokes begins with one,
before its write to flash. What MicroPython counts as allocated is mostly given back at once.
"""


class ChipClock:
    """`Clock` of the ports: MicroPython's milliseconds, which wrap at 2**30, made to wrap at 2**32. Must be asked at
    least every six days.
    """

    def __init__(self) -> None:
        self._seen = time.ticks_ms()
        self._now_ms = 0

    def now_ms(self) -> int:
        """Return milliseconds since power-up as uint32."""
        seen = time.ticks_ms()
        self._now_ms = ms_add(self._now_ms, time.ticks_diff(seen, self._seen))
        self._seen = seen
        return self._now_ms


class PenPorts:
    """`Ports`, by name: on the pen there is no NamedTuple."""

    def __init__(self, build: str) -> None:
        # The guards first: they hold the driver off from here on.
        self.guards = Guards()
        self.clock = ChipClock()
        self.inputs = PinInputs(_input, machine.mem32)
        self.driver = Tmc2209(_driver_line(), _RUN_CURRENT, _HOLD_CURRENT)
        self.player = Player()
        ticks_ms: "Any" = time.ticks_ms
        self.engine = StrokeEngine(self.player, self.guards, self.driver, uctypes.addressof, ticks_ms)
        self.store = FlashStore(mount_flash_anew)
        self.link: UsbLink = usb_link(machine.mem8)
        self.indicator = Lights(
            _output(board.LED_RED), _output(board.LED_GREEN), _output(board.LED_BLUE), _output(board.BUZZER)
        )
        self.identity = ChipIdentity(os.urandom(_NONCE_BYTES), build, machine.reset_cause())
        # Last: what comes before is not in its time.
        self.watchdog = ChipWatchdog(_watchdog)


def _input(number: int) -> machine.Pin:
    return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)


def _output(number: int) -> "Any":
    return machine.Pin(number, machine.Pin.OUT, value=0)


def _driver_line() -> "Any":
    # What is sent fits its buffer and what is read has arrived: with no time to wait it never does.
    return machine.UART(
        _UART, BAUD, tx=machine.Pin(board.UART_TX), rx=machine.Pin(board.UART_RX), timeout=0, timeout_char=0
    )


def _watchdog(timeout_ms: int) -> machine.WDT:
    return machine.WDT(timeout=timeout_ms)


class Pen:
    """All of one pen. `turn` it for ever."""

    def __init__(self, build: str) -> None:
        self.ports = PenPorts(build)
        # The runner speaks to the ports by their names alone; evidence is of classes of its own here.
        ports: "Any" = self.ports
        self.runner = Runner(ports)
        self.runner.boot(self.ports.clock.now_ms())
        self._strokes = False

    def turn(self) -> None:
        """Take one step, feed the watchdog, and rest until the next is due or something happens."""
        ports = self.ports
        wait_ms = self.runner.step(ports.clock.now_ms())
        strokes = self.runner.state == wire.RUNNING
        if strokes != self._strokes:
            self._strokes = strokes
            gc.threshold(_COLLECT_NEVER if strokes else _COLLECT_EVERY)
        ports.watchdog.feed()
        self._get_on()
        if ports.engine.busy():
            ports.link.wait(_LOOK_BUSY_MS)
        else:
            self._rest(wait_ms)

    def _rest(self, wait_ms: int) -> None:
        """Let up to so many ms pass, until a byte arrives or an input differs from what the step saw."""
        ports = self.ports
        began_ms = time.ticks_ms()
        while not ports.engine.busy():
            left_ms = wait_ms - time.ticks_diff(time.ticks_ms(), began_ms)
            if left_ms <= 0:
                return
            look_ms = 0
            if not ports.link.waiting():
                look_ms = min(left_ms, _LOOK_MS if ports.driver.settled() else _LOOK_BUSY_MS)
            if ports.link.wait(look_ms) or ports.inputs.read() != self.runner.inputs:
                return
            self._get_on()

    def _get_on(self) -> None:
        """Let everything that works beside the runner get on."""
        ports = self.ports
        now_ms = ports.clock.now_ms()
        ports.engine.turn()
        ports.driver.turn(now_ms)
        ports.indicator.turn(now_ms)
        ports.link.flush(ports.engine.busy())


def run(build: str) -> None:
    """Be a pen; never returns. `build`: the build's 16 hex digits, as `hello` tells them."""
    pen = Pen(build)
    gc.collect()
    gc.threshold(_COLLECT_EVERY)
    while True:
        pen.turn()
