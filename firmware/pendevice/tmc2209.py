"""The motor driver's serial line: set its current, see whether it was reset, is too hot, or is gone. Runs on the pen.

A TMC2209 on one wire (PDN_UART), 115,200 baud. Nothing here moves or stops anything, and nothing depends on it: steps
come from the stroke program, the driver's enable belongs to the guards, and the microsteps are those of the straps MS1
and MS2, so that a driver that was reset keeps the geometry. A plain STEP/DIR driver, which never answers, works as
well; one that has answered and then doesn't is a fault.

A driver that answers is asked by itself every `WATCH_MS` whether it was reset or has failed, by one register; at an
arming and before each block by all of them. What it says stays until `forgive`.

Never waits: `turn` is called once per loop and does at most one transfer's step. Register numbers and bits are those of
the maker's data sheet (TMC2209, rev. 1.09). Allocates its buffers once, and nothing in a turn.
"""

from pencore.compat import const
from pencore.signals import DRIVER_FAULT, DRIVER_RESET
from pencore.units import ms_since

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional, Protocol

    class Uart(Protocol):
        """What is used of `machine.UART`."""

        def any(self) -> int:
            """Return how many bytes have arrived."""

        def readinto(self, buf: bytearray) -> "Optional[int]":
            """Fill `buf` from its start with what has arrived; return how many bytes."""

        def write(self, data: "bytearray | memoryview") -> "Optional[int]":
            """Send bytes."""


BAUD = const(115_200)

_SYNC = const(0x05)
_HOST = const(0xFF)
_WRITE = const(0x80)
_GCONF = const(0x00)
_GSTAT = const(0x01)
_IFCNT = const(0x02)
_IHOLD_IRUN = const(0x10)
_TPOWERDOWN = const(0x11)
_TCOOLTHRS = const(0x14)
_SGTHRS = const(0x40)
_SG_RESULT = const(0x41)
_CHOPCONF = const(0x6C)
_DRV_STATUS = const(0x6F)

_GCONF_VALUE = const((1 << 6) | (1 << 8))
"""pdn_disable (the pin is the serial line) and multistep_filt; mstep_reg_select stays 0: the straps rule."""
_CHOPCONF_VALUE = const((1 << 28) | (2 << 15) | (0 << 7) | (5 << 4) | 3)
"""intpol, tbl 2, hend 0, hstrt 5, toff 3: the data sheet's start values. Its mres field is not used."""
_TPOWERDOWN_VALUE = const(20)
_STALL_ABOVE = const(0xFFFFF)
_RESET = const(1)
_TROUBLE = const(0b110)
"""GSTAT: drv_err, uv_cp."""
_HOT_OR_SHORT = const(0b111110)
"""DRV_STATUS: ot, and the four short-circuit bits; the warning otpw (bit 0) alone stops nothing."""

_ANSWER_MS = const(5)
"""A read is 4 bytes out and 8 back, 1.04 ms, and the driver's pause before it answers is below 1 ms."""
_IDLE_MS = const(3)
"""After a try that failed the wire must have been idle for so long: longer than all that the driver may still say."""
_NOISE_MS = const(30)
"""A wire that isn't idle by then has failed the next try as well."""
WATCH_MS = const(40)
"""How long after a transfer a settled driver is asked again: 1 ms on the wire, and two turns to send and to hear."""
_TRIES = const(3)
_REQUEST = const(4)
_DATAGRAM = const(8)
_BUFFERFUL = const(22)
"""Readings of a request and a datagram that empty the port's 256 bytes: a line never silent holds no turn up."""

_WATCH = (_GSTAT,)
_LOOK = (_GSTAT, _IFCNT, _DRV_STATUS, _SG_RESULT)
"""What is asked by itself, and what at a `look`. The first in both: so the one can become the other under way."""

_FED = b"\x00\x07\x0e\x09\x1c\x1b\x12\x15\x38\x3f\x36\x31\x24\x23\x2a\x2d"
"""The check byte's polynomial, 0x07, fed with four bits at once."""
_TURNED = b"\x00\x08\x04\x0c\x02\x0a\x06\x0e\x01\x09\x05\x0d\x03\x0b\x07\x0f"
"""Four bits in the other order."""

UNKNOWN = const(0)
"""It has not been heard of yet."""
ABSENT = const(1)
"""It doesn't answer and never did: a plain STEP/DIR driver."""
PRESENT = const(2)
"""It answers."""


def crc8(data: "bytes | bytearray", length: int) -> int:
    """Return the check byte over the first `length` bytes: polynomial x8 + x2 + x + 1, least significant bit first."""
    crc = 0
    for index in range(length):
        byte = data[index]
        crc = crc << 4 & 0xFF ^ _FED[crc >> 4 ^ _TURNED[byte & 0xF]]
        crc = crc << 4 & 0xFF ^ _FED[crc >> 4 ^ _TURNED[byte >> 4]]
    return crc


class Tmc2209:
    """The driver at `uart`. `run_current` and `hold_current` are the chip's scale, 0..31 (of what the sense resistors
    allow); `stall` its StallGuard threshold, 0..255 (0: off). ValueError for anything else.
    """

    def __init__(self, uart: "Uart", run_current: int, hold_current: int, stall: int = 0) -> None:
        for value, most in ((run_current, 31), (hold_current, 31), (stall, 255)):
            if not 0 <= value <= most:
                raise ValueError("out of range")
        self._uart = uart
        self.presence = UNKNOWN
        self.stall_value = -1
        """Last StallGuard reading (load on the motor: 0 is a stall), -1 before the first: evidence for the record of a
        fault, never a reason for one."""
        self._settings = (
            (_GSTAT, 0b111),
            (_GCONF, _GCONF_VALUE),
            (_IHOLD_IRUN, hold_current | run_current << 8 | 1 << 16),
            (_TPOWERDOWN, _TPOWERDOWN_VALUE),
            (_CHOPCONF, _CHOPCONF_VALUE),
            (_TCOOLTHRS, _STALL_ABOVE),
            (_SGTHRS, stall),
        )
        self._bits = 0
        self._setting = 0
        self._confirmed = False
        self._void = False
        self._writes = -1
        self._out = bytearray(_DATAGRAM)
        self._request = memoryview(self._out)[:_REQUEST]
        self._in = bytearray(_REQUEST + _DATAGRAM)
        self._answer = bytearray(_DATAGRAM)
        self._heard = 0
        self._echo = 0
        self._register = -1
        self._tries = 0
        self._sent_ms = 0
        self._draining = False
        self._drain_ms = 0
        self._noise_ms = 0
        self._checks: "tuple[int, ...]" = (_IFCNT,)
        self._check = 0

    # --- what the engine asks ----------------------------------------------------------------------------------------
    def bits(self) -> int:
        """Return DRIVER_RESET and DRIVER_FAULT as they were last found; they stay until `forgive`."""
        return self._bits

    def settled(self) -> bool:
        """Return whether nothing is being asked or set."""
        return self.presence == ABSENT or (self._setting >= len(self._settings) and self._check >= len(self._checks))

    def ready(self) -> bool:
        """Return whether all settings were written and counted since `forgive`, or there is no driver to take any."""
        return self.presence == ABSENT or self._confirmed

    def look(self) -> None:
        """Begin to look after the driver, unless that is being done: its reset flag, its write counter, its errors."""
        if self.settled():
            self._check = 0
        elif self._checks is not _WATCH:
            return
        self._checks = _LOOK

    def forgive(self) -> None:
        """Forget what was found, and set the driver up anew: before a homing, which shows where the carriage is.

        One that was absent is looked for again: at power-up the motor's supply may have been off, or cut by the stop
        button.
        """
        self._bits = 0
        if self.presence == ABSENT:
            self.presence = UNKNOWN
        self._setting = 0
        self._confirmed = False
        self._checks = (_IFCNT,)
        self._check = 0
        self._tries = 0
        self._writes = -1
        # What is being asked belongs to what was before: its answer is waited for, so that it isn't taken for another.
        self._void = self._register >= 0

    def turn(self, now_ms: int) -> None:
        """Go on with what is to be asked and set; called once per loop, with the pen's uint32 milliseconds."""
        if self.settled():
            if self.presence != PRESENT or self._bits or 0 <= ms_since(now_ms, self._sent_ms) < WATCH_MS:
                return
            self._checks = _WATCH
            self._check = 0
        if self._register >= 0:
            if self._collect():
                self._take(now_ms)
            elif not 0 <= ms_since(now_ms, self._sent_ms) <= _ANSWER_MS:
                # No answer in time: ask again, or know that nobody is there.
                self._register = -1
                self._again(now_ms)
        if self._register < 0 and not self.settled() and self._idle(now_ms):
            self._begin(now_ms)

    # --- one transfer ------------------------------------------------------------------------------------------------
    def _begin(self, now_ms: int) -> None:
        """Send the next request: first see the write counter, then the settings, then whatever is to be looked at."""
        if self._writes >= 0 and self._setting < len(self._settings):
            register, value = self._settings[self._setting]
            self._send(register | _WRITE, value, now_ms)
            # A write has no answer; the counter, read at the end, tells that all of them arrived.
            self._setting += 1
            self._writes = (self._writes + 1) & 0xFF
            if self._setting == len(self._settings):
                self._checks = (_IFCNT, _GSTAT, _DRV_STATUS)
                self._check = 0
        else:
            self._send(self._checks[self._check], 0, now_ms)

    def _send(self, register: int, value: int, now_ms: int) -> None:
        out = self._out
        size = _DATAGRAM if register & _WRITE else _REQUEST
        out[0] = _SYNC
        out[1] = 0
        out[2] = register
        if register & _WRITE:
            out[3] = value >> 24 & 0xFF
            out[4] = value >> 16 & 0xFF
            out[5] = value >> 8 & 0xFF
            out[6] = value & 0xFF
        out[size - 1] = crc8(out, size - 1)
        # What is left over from before answers nothing.
        self._discard()
        self._uart.write(out if size == _DATAGRAM else self._request)
        self._register = register
        self._echo = size
        self._heard = 0
        self._sent_ms = now_ms

    def _collect(self) -> bool:
        """Take in what has arrived; return whether the transfer is over. One wire: what was sent comes back first."""
        count = self._arrived()
        index = 0
        while index < count:
            if self._echo:
                self._echo -= 1
            elif self._heard < _DATAGRAM:
                self._answer[self._heard] = self._in[index]
                self._heard += 1
            index += 1
        return self._echo == 0 and (self._register & _WRITE != 0 or self._heard == _DATAGRAM)

    def _arrived(self) -> int:
        """Return how many bytes of what has arrived now lie in the buffer."""
        # Asked first: a read with nothing there would wait for its time-out.
        return self._uart.readinto(self._in) or 0 if self._uart.any() else 0

    def _discard(self) -> bool:
        """Throw away what has arrived, a port's whole buffer at most; return whether there was anything."""
        found = False
        for _ in range(_BUFFERFUL):
            if not self._arrived():
                break
            found = True
        return found

    def _idle(self, now_ms: int) -> bool:
        """Return whether the wire may be used: at once, or, after a try that failed, when it has been idle for long
        enough. A byte too many would shift this answer, and what is left of that one the next.
        """
        if not self._draining:
            return True
        if self._discard():
            self._noise_ms = now_ms
        if not 0 <= ms_since(now_ms, self._noise_ms) < _IDLE_MS:
            self._draining = False
            return True
        if not 0 <= ms_since(now_ms, self._drain_ms) < _NOISE_MS:
            self._again(now_ms)
        return False

    def _take(self, now_ms: int) -> None:
        """Judge the answer of a finished transfer."""
        register, answer = self._register, self._answer
        self._register = -1
        if self._void:
            self._void = False
            return
        if register & _WRITE:
            return
        whole = answer[0] == _SYNC and answer[1] == _HOST and answer[2] == register
        if not whole or crc8(answer, _DATAGRAM - 1) != answer[_DATAGRAM - 1]:
            self._again(now_ms)
            return
        self._tries = 0
        self._check += 1
        self.presence = PRESENT
        low = answer[6]
        if register == _IFCNT:
            if self._writes < 0:
                self._writes = low
            elif low != self._writes:
                self._bits |= DRIVER_RESET
            else:
                self._confirmed = True
        elif register == _GSTAT:
            if low & _RESET:
                self._bits |= DRIVER_RESET
            if low & _TROUBLE:
                self._bits |= DRIVER_FAULT
        elif register == _DRV_STATUS:
            if low & _HOT_OR_SHORT:
                self._bits |= DRIVER_FAULT
        else:
            self.stall_value = (answer[5] << 8 | low) & 0x3FF

    def _again(self, now_ms: int) -> None:
        """Count a try that failed: let the wire become idle and ask again, or give up."""
        self._draining = True
        self._drain_ms = now_ms
        self._noise_ms = now_ms
        if self._void:
            self._void = False
            return
        self._tries += 1
        if self._tries < _TRIES:
            return
        self._tries = 0
        if self.presence == UNKNOWN:
            self.presence = ABSENT
            return
        self._bits |= DRIVER_FAULT
        self._check = len(self._checks)
        self._setting = len(self._settings)
