"""A TMC2209 at the other end of its one wire, as its data sheet (rev. 1.09) tells it. Host only; pure.

Time is an argument: bytes go in with the time at which their stop bit ended, and come out with theirs: first the byte
itself, because PDN_UART is one wire and who sends hears it, then what the driver answers. Times are nanoseconds of any
clock that doesn't run back. Written from the data sheet and not from the pen's code: the check byte is computed on
bits, as the sheet draws it.

Left out: what it makes of two talking at once, its one-time memory, and the mode without a wire.
Registers that nobody has a use for keep what is written and read as 0.
"""

from dataclasses import dataclass

GCONF, GSTAT, IFCNT, SLAVECONF, IOIN = 0x00, 0x01, 0x02, 0x03, 0x06
IHOLD_IRUN, TPOWERDOWN, TSTEP, TCOOLTHRS, VACTUAL = 0x10, 0x11, 0x12, 0x14, 0x22
SGTHRS, SG_RESULT = 0x40, 0x41
CHOPCONF, DRV_STATUS = 0x6C, 0x6F

RESET, DRIVER_ERROR, UNDERVOLTAGE = 1 << 0, 1 << 1, 1 << 2
"""GSTAT: reset, drv_err, uv_cp."""
WARM, HOT = 1 << 0, 1 << 1
"""DRV_STATUS: otpw, ot."""
SHORTS = 0b1111 << 2
"""DRV_STATUS: s2ga, s2gb, s2vsa, s2vsb."""
STANDSTILL = 1 << 31
"""DRV_STATUS: stst."""
REGISTERS_RULE = 1 << 7
"""GCONF.mstep_reg_select: the microsteps are CHOPCONF's and not the straps'."""

WARM_C, HOT_C = 120, 143
"""Over-temperature warning and shutdown, as delivered. The shutdown ends when the warning does."""
STANDSTILL_STEP = (1 << 20) - 1
"""TSTEP when the motor stands."""
DATAGRAM = 8
REQUEST = 4

_POWER_UP = {GCONF: 0x101, IHOLD_IRUN: 31 << 8 | 16 | 1 << 16, TPOWERDOWN: 20, CHOPCONF: 0x1000_0053}
_READABLE = frozenset({GCONF, GSTAT, IFCNT, IOIN, TSTEP, SG_RESULT, CHOPCONF, DRV_STATUS})
_WRITE = 0x80
_SYNC = 0x5
_HOST = 0xFF
_VERSION = 0x21
_STRAPPED_MICROSTEPS = {0b00: 8, 0b01: 32, 0b10: 64, 0b11: 16}
_CLOCK_KHZ = 12_000
_BITS_PER_BYTE = 10
_PAUSE_MOST_BITS = 63
"""Between the start bits of two bytes of a datagram."""
_RECOVERY_BITS = 12
"""So long the wire must be idle after a datagram that was none, before the next is listened to."""
_LONG_AGO_NS = -(1 << 62)
_TEMPERATURES_C = ((120, 1 << 8), (143, 1 << 9), (150, 1 << 10), (157, 1 << 11))
"""DRV_STATUS: t120, t143, t150, t157."""


@dataclass(frozen=True)
class Heard:
    """A byte on the wire, and the time (ns) at which its stop bit ends."""

    byte: int
    at_ns: int


def check_byte(data: bytes | bytearray) -> int:
    """Return the check byte: a shift register over x8 + x2 + x + 1, fed with each byte's lowest bit first."""
    register = [0] * 8
    for byte in data:
        for position in range(8):
            fed = register[7] ^ (byte >> position & 1)
            register = [fed, register[0] ^ fed, register[1] ^ fed, *register[2:7]]
    return sum(bit << place for place, bit in enumerate(register))


class DriverChip:
    """A driver whose straps MS1 and MS2 are at the given levels: microsteps after power-up, and address on the wire.

    `echo` False: the wire is cut before the driver, and nothing of what is sent comes back.
    """

    def __init__(self, ms1: int = 0, ms2: int = 0, *, echo: bool = True) -> None:
        self.straps = ms2 << 1 | ms1
        self.echo = echo
        self.present = True
        """False: it neither hears nor answers, as without its supply, or with another driver in its place."""
        self.damage = 0
        """So many answers from now on have a flipped bit."""
        self.celsius = 25
        """What it feels; see `heat`."""
        self.shorts = 0
        """Short circuits found, as bits of DRV_STATUS (`SHORTS`)."""
        self.charge_pump_low = False
        """The supply is too low for the bridges, and not low enough for a reset."""
        self.load = 0x1A3
        """SG_RESULT, 0..510: the less, the higher the motor's load."""
        self.enable_pin = self.step_pin = self.direction_pin = 0
        """Levels that IOIN shows; the enable pin is low for on."""
        self.written: list[tuple[int, int]] = []
        """Every register that was written, with its value, since the making."""
        self._registers: dict[int, int] = {}
        self._status = 0
        self._writes = 0
        self._too_hot = False
        self._step_ns: int | None = None
        self._stepped_ns: int | None = None
        self._datagram = bytearray()
        self._deaf = False
        self._heard_ns = 0
        self._power_up()

    # --- what happens to it ------------------------------------------------------------------------------------------
    def dip(self) -> None:
        """Lose everything, as when the supply dips: power-up values, GSTAT.reset set, counter at 0."""
        self._power_up()

    def heat(self, celsius: int) -> None:
        """Give it a temperature: a warning above 120 C; off above 143 C, until it is below 120 C again."""
        self.celsius = celsius
        if celsius >= HOT_C:
            self._too_hot = True
            self._status |= DRIVER_ERROR
        elif celsius < WARM_C:
            self._too_hot = False

    def short(self, bits: int) -> None:
        """Give it short circuits (`SHORTS`); ValueError for other bits."""
        if not bits & SHORTS or bits & ~SHORTS:
            raise ValueError("no short circuit's bit")
        self.shorts = bits
        self._status |= DRIVER_ERROR

    def stepped(self, at_ns: int) -> None:
        """Take a rising edge of STEP."""
        self._step_ns = at_ns - self._stepped_ns if self._stepped_ns is not None else None
        self._stepped_ns = at_ns

    # --- what it is doing --------------------------------------------------------------------------------------------
    @property
    def microsteps(self) -> int:
        """Microsteps per full step: the straps', or CHOPCONF.mres once GCONF.mstep_reg_select is set."""
        if self._registers[GCONF] & REGISTERS_RULE:
            return 256 >> min(self._registers[CHOPCONF] >> 24 & 0xF, 8)
        return _STRAPPED_MICROSTEPS[self.straps]

    @property
    def run_current(self) -> int:
        """IRUN, 0..31."""
        return self._registers[IHOLD_IRUN] >> 8 & 0x1F

    @property
    def hold_current(self) -> int:
        """IHOLD, 0..31."""
        return self._registers[IHOLD_IRUN] & 0x1F

    @property
    def velocity(self) -> int:
        """VACTUAL, -2^23..2^23-1: other than 0, the motor turns by itself, whatever STEP does."""
        value = self._registers.get(VACTUAL, 0) & 0xFF_FFFF
        return value - (1 << 24) if value & 1 << 23 else value

    @property
    def bridges_on(self) -> bool:
        """Whether it may drive the motor at all: enabled, toff not 0, neither too hot nor shorted."""
        return bool(
            self.present
            and not self.enable_pin
            and self._registers[CHOPCONF] & 0xF
            and not self._too_hot
            and not self.shorts
            and not self.charge_pump_low
        )

    def diag(self, at_ns: int) -> bool:
        """Return the level of DIAG: an error, or a stall while StallGuard is on."""
        thresholds = self._registers.get(SGTHRS, 0), self._registers.get(TCOOLTHRS, 0)
        stalled = thresholds[1] >= self._tstep(at_ns) and self.load <= 2 * thresholds[0]
        return bool(self._status & DRIVER_ERROR) or stalled

    def register(self, number: int, at_ns: int) -> int:
        """Return what a read of register `number` (0..127) gives at a time."""
        if number not in _READABLE:
            return 0
        if number == GSTAT:
            return self._status | (UNDERVOLTAGE if self.charge_pump_low else 0)
        if number == IFCNT:
            return self._writes
        if number == IOIN:
            return self._inputs(at_ns)
        if number == TSTEP:
            return self._tstep(at_ns)
        if number == SG_RESULT:
            return self.load & 0x3FF
        if number == DRV_STATUS:
            return self._drive_status(at_ns)
        return self._registers[number]

    # --- the wire ----------------------------------------------------------------------------------------------------
    def hear(self, byte: int, at_ns: int, bit_ns: int) -> list[Heard]:
        """Take a byte of the pen's whose stop bit ends at `at_ns`, its bits `bit_ns` long; return what the pen hears.

        In the order of their times: the byte itself, and after the last of a request the answer's eight.
        """
        heard = [Heard(byte, at_ns)] if self.echo else []
        if not self.present:
            self._datagram.clear()
            return heard
        idle_ns = at_ns - self._heard_ns - _BITS_PER_BYTE * bit_ns
        late = at_ns - self._heard_ns > _PAUSE_MOST_BITS * bit_ns
        self._heard_ns = at_ns
        if self._deaf:
            if idle_ns < _RECOVERY_BITS * bit_ns:
                return heard
            self._deaf = False
        if late:
            # A datagram that was broken off is none; its wire has been idle for longer than it takes.
            self._datagram.clear()
        self._datagram.append(byte)
        data = bytes(self._datagram)
        if data[0] & 0xF != _SYNC:
            self._fail()
        elif len(data) >= REQUEST and len(data) == (DATAGRAM if data[2] & _WRITE else REQUEST):
            if check_byte(data[:-1]) != data[-1]:
                self._fail()
            else:
                self._datagram.clear()
                if data[1] == self.straps:
                    heard += self._carry_out(data, at_ns, bit_ns)
        return heard

    def _fail(self) -> None:
        self._datagram.clear()
        self._deaf = True

    def _carry_out(self, data: bytes, at_ns: int, bit_ns: int) -> list[Heard]:
        number = data[2] & ~_WRITE
        if data[2] & _WRITE:
            self._write(number, int.from_bytes(data[3:7], "big"))
            return []
        answer = bytearray((_SYNC, _HOST, number)) + self.register(number, at_ns).to_bytes(4, "big")
        answer.append(check_byte(answer))
        if self.damage:
            self.damage -= 1
            answer[5] ^= 0x10
        delay_bits = 8 * (self._registers.get(SLAVECONF, 0) >> 8 & 0xE | 1)
        first_ns = at_ns + delay_bits * bit_ns
        said = [Heard(byte, first_ns + (i + 1) * _BITS_PER_BYTE * bit_ns) for i, byte in enumerate(answer)]
        self._heard_ns = said[-1].at_ns
        return said

    def _write(self, number: int, value: int) -> None:
        self._writes = (self._writes + 1) % 256
        self.written.append((number, value))
        if number == GSTAT:
            # Written ones clear, but for an error that is still there.
            self._status &= ~value
            if self._too_hot or self.shorts:
                self._status |= DRIVER_ERROR
        else:
            self._registers[number] = value

    def _power_up(self) -> None:
        self._registers = dict(_POWER_UP)
        self._status = RESET
        self._writes = 0
        self._too_hot = self.celsius >= HOT_C
        self._step_ns = None
        self._stepped_ns = None
        self._datagram.clear()
        self._deaf = False
        self._heard_ns = _LONG_AGO_NS

    def _inputs(self, at_ns: int) -> int:
        levels = self.enable_pin | self.straps << 2 | int(self.diag(at_ns)) << 4 | 1 << 6
        return levels | self.step_pin << 7 | self.direction_pin << 9 | _VERSION << 24

    def _tstep(self, at_ns: int) -> int:
        """Return the time of a 1/256 microstep in its own 12 MHz clocks."""
        if self._step_ns is None or self._stepped_ns is None:
            return STANDSTILL_STEP
        slower_ns = max(self._step_ns, at_ns - self._stepped_ns)
        return min(slower_ns * _CLOCK_KHZ * self.microsteps // (256 * 1_000_000), STANDSTILL_STEP)

    def _drive_status(self, at_ns: int) -> int:
        status = self.shorts | (WARM if self.celsius >= WARM_C else 0) | (HOT if self._too_hot else 0)
        status |= sum(bit for limit_c, bit in _TEMPERATURES_C if self.celsius >= limit_c)
        standing = self._stepped_ns is None or at_ns - self._stepped_ns > STANDSTILL_STEP * 1_000_000 // _CLOCK_KHZ
        current = self.hold_current if standing else self.run_current
        return status | current << 16 | (STANDSTILL if standing else 0)
