"""The other end of the emulated chip's USB cable: a host with a serial port that somebody opens and reads. Host only.

The emulator's controller moves a buffer as soon as the firmware offers it, as if every host asked for everything at
once. Here the host decides: a buffer that the firmware has offered stays in the chip until the host sends a token for
its endpoint, as on a bus. So an idle console costs nobody anything, a host that doesn't read lets the chip's buffers
fill, and a cable that is out leaves them as they are.

One packet at a time, at the pace of a full-speed bus; control transfers go first, then both directions of the port by
turns. Frames start every millisecond, the firmware hears of them if it asks. All of it are alarms of the emulator's
clock: the same run twice is the same to the cycle. What MicroPython 1.28 makes of it is told in tests/chip.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

ATTACH_US = 100_000
"""A hub waits so long for the plug to sit still (USB 2.0, 7.1.7.3)."""
RESET_US = 20_000
"""So long it holds the bus in reset (10 to 20 ms)."""
RECOVERY_US = 10_000
ADDRESS_RECOVERY_US = 2_000
REQUEST_GAP_US = 1_000
"""Between two control transfers of the host's driver."""
REQUEST_MOST_US = 5_000_000
"""A device that leaves a request unanswered for so long is reset."""
FRAME_US = 1_000
SUSPEND_US = 3_000
"""An idle bus suspends the device after this."""
PACKET = 64

_NS_PER_US = 1_000

# Registers and bits of the controller (RP2040 data sheet, 4.1).
_MAIN_CTRL = 0x40
_SIE_CTRL = 0x4C
_CONTROLLER_ON = 1 << 0
_PULL_UP = 1 << 16
_BUS_RESET = 1 << 19
_SUSPENDED = 1 << 4
_START_OF_FRAME = 1 << 17
_FRAMES = 0x800
_BUFFER_CONTROL = 0x80
_AVAILABLE = 1 << 10
_LENGTH = 0x3FF

_DTR_RTS = 0b11
_CDC_CONTROL, _CDC_DATA = 2, 10
_INTERFACE, _ENDPOINT = 4, 5
_BULK = 2
_LINE_CODING = (115_200).to_bytes(4, "little") + bytes((0, 0, 8))

_DATA_IN, _DATA_OUT, _STATUS_IN, _STATUS_OUT = range(4)


@dataclass
class _Request:
    """A control transfer under way: its set-up packet, what is sent with it, what has come back."""

    setup: bytes
    data: bytes = b""
    answer: bytearray = field(default_factory=bytearray)
    stage: int = _STATUS_IN


_Steps = Generator["int | _Request | None", bytes, None]
"""What the host does one after another: waits of so many microseconds, requests, whose answers come back, and (None)
nothing until there is something new.
"""


class UsbHost:
    """A host at the port of `chip`, the cable in; the serial port is open (DTR up) and read unless told otherwise.

    Survives the chip's resets: the device goes from the bus, comes back and is enumerated again, with DTR as it was.
    What was sent and not yet taken by the device is lost with it, as in a real host; what had arrived is kept.
    """

    def __init__(self, chip: Any, *, opened: bool = True) -> None:
        self.on_data: Callable[[bytes], None] | None = None
        """Is given what arrives, packet by packet; without it `receive` is."""
        # The emulator's names for the controller's state are private; there is no other way to it.
        self._usb = chip.usb_ctrl
        self._memory = chip.usb_dpram
        self._clock = chip.clock
        self._frame = self._clock.create_alarm(self._start_frame)
        self._packet_over = self._clock.create_alarm(self._next_packet)
        self._pause = self._clock.create_alarm(self._advance)
        self._patience = self._clock.create_alarm(self._lose_patience)
        self._idle = self._clock.create_alarm(self._suspend)
        self._steps: _Steps | None = None
        self._request: _Request | None = None
        self._answer = b""
        self._resting = False
        self._plugged = True
        self._open = opened
        self._reading = True
        self._frames = False
        self._busy = False
        self._sending = False
        self._configured = False
        self._told: int | None = None
        self._control = self._in = self._out = 0
        self._queue = bytearray()
        self._arrived = bytearray()
        self._move = self._usb.dpram_updated
        self._usb.dpram_updated = self._offered
        self._usb.on_endpoint_read = self._give
        self._usb.on_endpoint_write = self._take
        self._usb.on_usb_enabled = self._gone
        self._usb.on_reset_received = None
        self._usb.on_reset = self._gone
        self._frame.schedule(FRAME_US * _NS_PER_US)

    # --- the port ----------------------------------------------------------------------------------------------------
    @property
    def present(self) -> bool:
        """Whether there is a port: the device is enumerated."""
        return self._configured

    @property
    def connected(self) -> bool:
        """Whether the device is enumerated and has been told that the port is open."""
        return self._configured and self._told == _DTR_RTS

    @property
    def unsent(self) -> int:
        """How many bytes the device hasn't taken yet."""
        return len(self._queue)

    def send(self, data: bytes) -> None:
        """Queue bytes for the device, which takes them in their order when it can.

        Without a port (see `present`) there is nobody who could take them: they are lost.
        """
        if self._configured:
            self._queue += data
            self._next_token()

    def receive(self) -> bytes:
        """Return what has arrived since the last call."""
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    @property
    def reading(self) -> bool:
        """Whether the host asks for the device's data while the port is open."""
        return self._reading

    @reading.setter
    def reading(self, wanted: bool) -> None:
        self._reading = wanted
        self._next_token()

    def open(self) -> None:
        """Open the port: DTR up, data is asked for."""
        self._open = True
        self._tell()
        self._next_token()

    def close(self) -> None:
        """Close the port: DTR down, nothing is asked for; what is under way still arrives.

        A packet that the device has offered by then waits in its endpoint for whoever opens the port next, as on a
        board: hosts stop asking, and nobody takes it back.
        """
        self._open = False
        self._tell()

    # --- the cable ---------------------------------------------------------------------------------------------------
    def unplug(self) -> None:
        """Pull the cable: no frames any more, the device is suspended 3 ms later; nothing happens if it is out."""
        if not self._plugged:
            return
        self._plugged = False
        self._frame.cancel()
        self._gone()
        self._idle.schedule(SUSPEND_US * _NS_PER_US)

    def plug(self) -> None:
        """Put the cable in: the device is found, reset and enumerated; nothing happens if it is in."""
        if self._plugged:
            return
        self._plugged = True
        self._idle.cancel()
        self._frame.schedule(FRAME_US * _NS_PER_US)

    def _pulled_up(self) -> bool:
        """Return whether the device shows itself on the bus."""
        usb = self._usb
        return bool(usb.read_uint32(_MAIN_CTRL) & _CONTROLLER_ON and usb.read_uint32(_SIE_CTRL) & _PULL_UP)

    def _start_frame(self) -> None:
        """Look after the port once in a millisecond, and start a frame if the bus runs."""
        self._frame.schedule(FRAME_US * _NS_PER_US)
        here = self._pulled_up()
        if self._frames:
            usb = self._usb
            usb._sof_frame_number = (usb._sof_frame_number + 1) % _FRAMES
            usb._int_raw |= _START_OF_FRAME
            usb.check_interrupts()
        if here and self._steps is None:
            self._begin(self._enumerate(ATTACH_US))
        elif not here and self._steps is not None:
            self._gone()

    def _suspend(self) -> None:
        if self._pulled_up():
            self._usb._sie_status |= _SUSPENDED
            self._usb._sie_status_updated()

    def _gone(self) -> None:
        """The device has gone from the bus, or the bus from the device."""
        for alarm in (self._packet_over, self._pause, self._patience):
            alarm.cancel()
        self._steps = None
        self._forget()

    def _forget(self) -> None:
        """Forget whatever was known of the device, and what it should have been sent."""
        self._request = None
        self._answer = b""
        self._frames = self._busy = self._resting = self._configured = False
        self._told = None
        self._queue.clear()

    # --- enumeration -------------------------------------------------------------------------------------------------
    def _enumerate(self, attach_us: int) -> _Steps:
        """Make the device known, as hosts do it; return early when it is no serial port."""
        yield attach_us
        self._usb._sie_status |= _BUS_RESET
        self._usb._sie_status_updated()
        yield RESET_US
        self._frames = True
        yield RECOVERY_US
        yield _descriptor(1, 8)
        yield _Request(bytes((0x00, 5, 1, 0, 0, 0, 0, 0)))
        yield ADDRESS_RECOVERY_US
        yield _descriptor(1, 18)
        head = yield _descriptor(2, 9)
        whole = yield _descriptor(2, int.from_bytes(head[2:4], "little"))
        found = _serial_port(whole)
        if found is None:
            return
        self._control, self._in, self._out = found
        yield _Request(bytes((0x00, 9, whole[5], 0, 0, 0, 0, 0)))
        yield _Request(bytes((0x21, 0x20, 0, 0, self._control, 0, len(_LINE_CODING), 0)), _LINE_CODING)
        self._configured = True
        self._next_token()
        while True:
            # From now on the only requests are those about DTR.
            lines = _DTR_RTS if self._open else 0
            if lines == (self._told or 0):
                yield None
            else:
                yield _Request(bytes((0x21, 0x22, lines, 0, self._control, 0, 0, 0)))
                self._told = lines

    def _tell(self) -> None:
        """Have the device told of DTR, now or after the request that is under way."""
        if self._resting:
            self._advance()

    def _begin(self, steps: _Steps) -> None:
        self._steps = steps
        self._follow(next(steps))

    def _advance(self) -> None:
        """Do the host's next step."""
        steps, answer = self._steps, self._answer
        self._answer = b""
        self._resting = False
        if steps is None:
            return
        try:
            step = steps.send(answer)
        except StopIteration:
            # No serial port: the device is left alone.
            step = None
        self._follow(step)

    def _follow(self, step: "int | _Request | None") -> None:
        if step is None:
            self._resting = True
            return
        if isinstance(step, int):
            self._pause.schedule(step * _NS_PER_US)
            return
        self._request = step
        incoming = step.setup[0] & 0x80
        step.stage = _DATA_IN if incoming else _DATA_OUT if step.data else _STATUS_IN
        self._patience.schedule(REQUEST_MOST_US * _NS_PER_US)
        self._usb.send_setup_packet(step.setup)

    def _finish(self, request: _Request) -> None:
        """A request is done; go on after a pause."""
        self._request = None
        self._patience.cancel()
        self._answer = bytes(request.answer)
        self._pause.schedule(REQUEST_GAP_US * _NS_PER_US)

    def _lose_patience(self) -> None:
        """The device has left a request unanswered: begin anew with a reset."""
        self._gone()
        self._begin(self._enumerate(FRAME_US))

    # --- packets -----------------------------------------------------------------------------------------------------
    def _offered(self, offset: int, _value: int) -> None:
        """The firmware has written into the controller's memory: a buffer may be there that the host waits for."""
        if offset >= _BUFFER_CONTROL:
            self._next_token()

    def _next_packet(self) -> None:
        self._busy = False
        self._next_token()

    def _next_token(self) -> None:
        """Move one packet, if the bus is free, the host wants to and the device can."""
        if self._busy or not self._plugged:
            return
        request = self._request
        if request is not None:
            inward = request.stage in (_DATA_IN, _STATUS_IN)
            if self._token(0, inward):
                return
        if not self._configured:
            return
        give, take = bool(self._queue), self._open and self._reading
        first, second = (take, give) if self._sending else (give, take)
        if first and self._token(self._in if self._sending else self._out, self._sending):
            self._sending = not self._sending
        elif second:
            self._token(self._out if self._sending else self._in, not self._sending)

    def _token(self, endpoint: int, inward: bool) -> bool:
        """Ask endpoint for a packet, or offer it one; return whether it had a buffer for it (else: a NAK)."""
        offset = _BUFFER_CONTROL + endpoint * 8 + (0 if inward else 4)
        word = int.from_bytes(self._memory[offset : offset + 4], "little")
        if not word & _AVAILABLE:
            return False
        self._busy = True
        if inward:
            packet_us = _packet_us(word & _LENGTH)
            self._usb.write_delay_microseconds = packet_us
            self._packet_over.schedule(packet_us * _NS_PER_US)
        self._move(offset, word)
        return True

    def _give(self, endpoint: int, size: int) -> None:
        """The device takes a packet of up to `size` bytes."""
        request = self._request
        if endpoint == 0:
            data = b""
            if request is not None and request.stage == _DATA_OUT:
                data, request.data = request.data[:size], request.data[size:]
                if not request.data:
                    request.stage = _STATUS_IN
            elif request is not None:
                self._finish(request)
        else:
            data = bytes(self._queue[:size])
            del self._queue[:size]
        packet_us = _packet_us(len(data))
        self._usb.endpoint_read_done(endpoint, data, packet_us)
        self._packet_over.schedule(packet_us * _NS_PER_US)

    def _take(self, endpoint: int, buffer: bytes) -> None:
        """A packet of the device has arrived."""
        request = self._request
        if endpoint == 0 and request is not None:
            if request.stage == _STATUS_IN:
                self._finish(request)
            else:
                request.answer += buffer
                wanted = int.from_bytes(request.setup[6:8], "little")
                if len(buffer) < PACKET or len(request.answer) >= wanted:
                    request.stage = _STATUS_OUT
                    self._next_token()
        elif endpoint == self._in and self._configured and buffer:
            if self.on_data is None:
                self._arrived += buffer
            else:
                self.on_data(bytes(buffer))


def _packet_us(length: int) -> int:
    """Return the time of a packet with its token and handshake at 12 Mbit/s, in whole us: 51 for 64 bytes."""
    return 8 + -(-length * 2 // 3)


def _descriptor(kind: int, length: int) -> _Request:
    return _Request(bytes((0x80, 6, 0, kind, 0, 0)) + length.to_bytes(2, "little"))


def _serial_port(descriptors: bytes) -> tuple[int, int, int] | None:
    """Return control interface, IN and OUT endpoint of the first serial port; None without a whole one."""
    control = into = out = None
    kind = place = 0
    while place + 1 < len(descriptors) and descriptors[place] >= 2:
        piece = descriptors[place : place + descriptors[place]]
        if piece[1] == _INTERFACE:
            kind = piece[5]
            if kind == _CDC_CONTROL and control is None:
                control = piece[2]
        elif piece[1] == _ENDPOINT and kind == _CDC_DATA and piece[3] & 3 == _BULK:
            if piece[2] & 0x80:
                into = piece[2] & 0xF if into is None else into
            else:
                out = piece[2] if out is None else out
        place += len(piece)
    if control is None or into is None or out is None:
        return None
    return control, into, out
