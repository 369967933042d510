"""The pen's small ports, on stand-ins for what MicroPython offers: inputs, lights, link, watchdog, identity."""

import select
from collections.abc import Iterator

import pytest

from pencore import wire
from pencore.signals import CARTRIDGE, HOME, SERVICE, STOP, TRIGGER
from pendevice import board
from pendevice.identity import ChipIdentity
from pendevice.indicator import PATTERNS, SLOT_MS, Lights
from pendevice.inputs import PinInputs
from pendevice.link_usb import PACKET, UsbLink, packet_room
from pendevice.watchdog import TIMEOUT_MS, ChipWatchdog


class Level:
    """A pin that is read."""

    def __init__(self) -> None:
        self.level = 1

    def value(self) -> int:
        return self.level


class Output:
    """A pin that is set."""

    def __init__(self) -> None:
        self.level = 0

    def value(self, level: int) -> None:
        assert level in (0, 1)
        self.level = level


class Port:
    """A serial port: bytes that have arrived, room for so many; whatever would wait is an error.

    What doesn't fit is taken nevertheless, up to a packet, while the controller has none in hand: that one goes first.
    """

    def __init__(self) -> None:
        self.arrived = b""
        self.sent = b""
        self.room = 1 << 30
        self.in_hand = False
        self.writes = 0
        self.now_ms = 0
        self.cable = True
        self._frame = 0

    def ticks_ms(self) -> int:
        return self.now_ms

    def bus_frame(self) -> int:
        self._frame = (self._frame + self.cable) & 0xFF
        return self._frame

    def packet_room(self) -> int:
        return 1 if self.in_hand else PACKET

    def readinto(self, piece: memoryview) -> int:
        assert len(piece) <= len(self.arrived), "this would wait"
        piece[:] = self.arrived[: len(piece)]
        self.arrived = self.arrived[len(piece) :]
        return len(piece)

    def write(self, data: bytearray) -> int:
        assert len(data) <= self.room or (len(data) <= PACKET and not self.in_hand), "this would wait"
        self.room -= min(len(data), self.room)
        self.sent += data
        self.writes += 1
        return len(data)


class Poll:
    """select.poll of MicroPython, for one stream."""

    def __init__(self) -> None:
        self.waited: list[int] = []
        self._wanted = 0

    def register(self, port: Port, events: int) -> None:
        self._port = port
        self._wanted = events

    def ipoll(self, timeout_ms: int) -> Iterator[tuple[Port, int]]:
        self.waited.append(timeout_ms)
        events = (select.POLLIN if self._port.arrived else 0) | (select.POLLOUT if self._port.room else 0)
        if events & self._wanted:
            yield self._port, events & self._wanted


def link_over(port: Port, wake: Poll | None = None) -> UsbLink:
    """Return the link over a port."""
    return UsbLink(port, Poll(), Poll() if wake is None else wake, port.packet_room, port.bus_frame, port.ticks_ms)


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def link(port: Port) -> UsbLink:
    return link_over(port)


def test_each_input_shows_in_its_bit_and_a_broken_wire_says_the_safer_thing() -> None:
    pins: dict[int, Level] = {}

    def pin(number: int) -> Level:
        return pins.setdefault(number, Level())

    inputs = PinInputs(pin, {})
    assert sorted(pins) == sorted((board.TRIGGER, board.STOP, board.CARTRIDGE, board.HOME, board.SERVICE))
    # All pulled up and nothing connected.
    assert inputs.read() == STOP
    for number, bit in (
        (board.TRIGGER, TRIGGER),
        (board.CARTRIDGE, CARTRIDGE),
        (board.HOME, HOME),
        (board.SERVICE, SERVICE),
    ):
        pins[number].level = 0
        assert inputs.read() == STOP | bit
        pins[number].level = 1
    pins[board.STOP].level = 0
    assert inputs.read() == 0


class Edges:
    """The chip's words of latched edges: a write clears the bits that are set in it."""

    def __init__(self) -> None:
        self.words = {0x400140F0 + 4 * word: 0 for word in range(4)}

    def edge(self, number: int, bit: int) -> None:
        self.words[0x400140F0 + 4 * (number // 8)] |= bit << 4 * (number % 8)

    def __getitem__(self, address: int) -> int:
        return self.words[address]

    def __setitem__(self, address: int, bits: int) -> None:
        self.words[address] &= ~bits


def test_what_moved_for_a_moment_is_in_the_chip_s_memory_of_edges() -> None:
    edges = Edges()
    inputs = PinInputs(lambda _number: Level(), edges)
    assert inputs.moved() == 0
    edges.edge(board.HOME, 8)
    edges.edge(board.TRIGGER + 1, 3)
    before = dict(edges.words)
    assert inputs.moved() == 0, "other pins, and levels"
    assert edges.words == before
    for number, bit in ((board.TRIGGER, TRIGGER), (board.STOP, STOP), (board.CARTRIDGE, CARTRIDGE)):
        for edge in (4, 8):
            edges.edge(number, edge)
            assert inputs.moved() == bit
            assert edges.words == before
            assert inputs.moved() == 0


def test_no_two_pins_of_the_board_are_one() -> None:
    pins = [
        board.STEP,
        board.DIR,
        board.HOME,
        board.ENABLE,
        board.STOP,
        board.TRIGGER,
        board.CARTRIDGE,
        board.SERVICE,
        board.UART_TX,
        board.UART_RX,
        board.LED_RED,
        board.LED_GREEN,
        board.LED_BLUE,
        board.BUZZER,
    ]
    assert len(set(pins)) == len(pins)
    assert all(0 <= pin <= 22 or 26 <= pin <= 28 for pin in pins)
    # UART 0 is at these only: GPIO 0, 12, 16 and 28 send, the next one hears.
    assert board.UART_TX % 4 == 0
    assert board.UART_RX == board.UART_TX + 1


def shown(lights: Lights, pins: list[Output], state: int) -> list[tuple[int, ...]]:
    """Return what the outputs do in two seconds of a state, slot by slot."""
    lights.show(state, 0)
    levels = []
    for slot in range(16):
        lights.turn((0xFFFFFF00 + slot * SLOT_MS) & 0xFFFFFFFF)
        levels.append(tuple(pin.level for pin in pins))
    return levels


def test_each_state_is_told_from_every_other_by_rhythm_alone() -> None:
    assert len(PATTERNS) == wire.FAULT + 1
    pins = [Output() for _ in range(4)]
    lights = Lights(*pins)
    told = {}
    for state in range(len(PATTERNS)):
        levels = shown(lights, pins, state)
        lit = [any(level[:3]) for level in levels]
        assert any(lit), "never dark for long"
        # Whoever looks doesn't know where the pattern begins.
        told[state] = min(tuple(lit[turned:] + lit[:turned]) for turned in range(16))
    assert len(set(told.values())) == len(told)


def test_sounds_are_made_once() -> None:
    pins = [Output() for _ in range(4)]
    lights = Lights(*pins)
    assert any(level[3] for level in shown(lights, pins, wire.FAULT))
    for slot in range(16, 64):
        lights.turn((0xFFFFFF00 + slot * SLOT_MS) & 0xFFFFFFFF)
        assert not pins[3].level
    # The same state again is no news.
    lights.show(wire.FAULT, 7)
    lights.turn((0xFFFFFF00 + 65 * SLOT_MS) & 0xFFFFFFFF)
    assert not pins[3].level


def test_reading_takes_what_is_there_in_order(port: Port, link: UsbLink) -> None:
    assert link.read() == b""
    port.arrived = sent = bytes(range(200))
    heard = b""
    while piece := link.read():
        assert len(piece) <= 512
        heard += piece
    assert heard == sent


def test_a_look_when_nothing_has_come_asks_once_and_a_piece_is_32_bytes(port: Port) -> None:
    """The loop looks many times a turn, for a stop byte."""
    wake = Poll()
    link = link_over(port, wake)
    assert link.read() == b""
    assert wake.waited == [0]
    port.arrived = bytes(range(100))
    assert [len(link.read()) for _ in range(5)] == [32, 32, 32, 4, 0]
    assert set(wake.waited) == {0}


def test_writing_waits_for_a_turn_and_keeps_the_order_round_the_ring(port: Port, link: UsbLink) -> None:
    said = b""
    for number in range(60):
        line = bytes(number * 7 + at & 0xFF for at in range(97))
        assert link.write(line) == 97
        said += line
        assert link.waiting()
        for _ in range(2):
            link.flush()
    while link.waiting():
        link.flush()
    assert port.sent == said


def test_whole_packets_go_while_the_controller_has_none_and_bytes_while_it_has(port: Port, link: UsbLink) -> None:
    link.write(bytes(range(200)))
    port.in_hand = True
    link.flush(True)
    assert port.sent == bytes(range(8))
    port.in_hand = False
    link.flush(True)
    assert port.sent == bytes(range(200))
    assert port.writes == 8 + 3


@pytest.mark.parametrize(("hurried", "most"), [(False, 96), (True, 8)])
def test_a_turn_writes_no_oftener_than_its_share(port: Port, link: UsbLink, hurried: bool, most: int) -> None:
    port.in_hand = True
    link.write(bytes(500))
    link.flush(hurried)
    assert (port.writes, len(port.sent)) == (most, most)


def test_a_packet_goes_round_the_end_of_the_ring_in_order(port: Port, link: UsbLink) -> None:
    said = b""
    for number in range(100):
        line = bytes(number * 11 + at & 0xFF for at in range(211))
        assert link.write(line) == 211
        said += line
        link.flush()
    assert port.sent == said


@pytest.mark.parametrize(
    ("kind", "halves", "room"),
    [
        (0x88, (0, 0), PACKET),
        (0xA8, (0x0B, 0x88), PACKET),
        (0x88, (0x04, 0), 1),
        (0x88, (0, 0x04), 1),
        (0x08, (0, 0), 1),
        (0x8C, (0, 0), 1),
        (0x84, (0, 0), 1),
        (0, (0, 0), 1),
    ],
)
def test_the_controller_s_memory_tells_whether_a_packet_is_in_hand(
    kind: int, halves: tuple[int, int], room: int
) -> None:
    """Data sheet 4.1.2.5: EP2_IN_CONTROL at 0x10, EP2_IN_BUFFER_CONTROL at 0x90; bit 10 of each half is "available"."""
    words = {0x50100010: kind << 24, 0x50100090: halves[1] << 24 | halves[0] << 8}
    memory = {at + byte: word >> 8 * byte & 0xFF for at, word in words.items() for byte in range(4)}
    assert packet_room(memory) == room


def test_a_host_that_does_not_read_costs_nothing_and_finds_what_fitted(port: Port, link: UsbLink) -> None:
    port.room = 10
    port.in_hand = True
    assert link.write(b"x" * 30) == 30
    link.flush()
    assert link.room() == 0
    assert link.write(b"lost?") == 0
    assert not link.waiting()
    port.room = 1000
    link.flush()
    assert link.room() > 1000
    assert link.write(b"again") == 5
    link.flush()
    assert port.sent == b"x" * 30 + b"again"


def test_no_more_is_taken_than_there_is_room_for(port: Port, link: UsbLink) -> None:
    room = link.room()
    assert room >= 1024
    data = bytes(at & 0xFF for at in range(room + 100))
    assert link.write(data) == room
    assert link.room() == 0
    while link.waiting():
        link.flush()
    assert port.sent == data[:room]


def test_a_port_that_promises_room_and_takes_nothing_is_tried_once_until_the_host_speaks(port: Port) -> None:
    """With the cable out the chip goes on saying that it has room, and each write would wait half a second."""
    tried: list[bytes] = []

    class Asleep(Port):
        def write(self, data: bytearray) -> int:
            tried.append(bytes(data))
            return 0

    asleep = Asleep()
    link = link_over(asleep)
    link.write(b"telemetry")
    for _ in range(20):
        link.flush()
    assert len(tried) == 1
    assert (link.room(), link.waiting()) == (0, False)
    asleep.arrived = b"?"
    assert link.read() == b"?"
    link.flush()
    assert len(tried) == 2


def test_nothing_is_written_on_a_bus_without_frames_and_all_of_it_afterwards(port: Port, link: UsbLink) -> None:
    """The cable is out: no write is begun, so that none can wait, and the telemetry behind it is dropped."""
    link.flush()
    port.cable = False
    link.write(b"telemetry")
    for port.now_ms in range(2, 600):
        link.flush()
        if port.now_ms == 2:
            assert port.sent == b"telemetry"
            link.write(b"more")
            port.sent, port.room = b"", 0
    assert (port.sent, link.room(), link.waiting()) == (b"", 0, False)
    port.cable, port.room = True, 1 << 30
    link.flush()
    assert port.sent == b"more"
    assert link.room() > 0


def test_waiting_ends_with_the_first_byte(port: Port) -> None:
    wake = Poll()
    link = link_over(port, wake)
    assert not link.wait(25)
    port.arrived = b"\x18"
    assert link.wait(25)
    assert wake.waited == [25, 25]


def test_the_watchdog_is_started_once_and_fed() -> None:
    started: list[int] = []
    fed: list[int] = []

    class Dog:
        def feed(self) -> None:
            fed.append(1)

    def make(timeout_ms: int) -> Dog:
        started.append(timeout_ms)
        return Dog()

    watchdog = ChipWatchdog(make)
    assert (started, fed) == ([TIMEOUT_MS], [])
    watchdog.feed()
    assert len(fed) == 1
    assert 3 * 1200 < TIMEOUT_MS <= 8388


def test_an_identity_is_what_the_boot_gave() -> None:
    identity = ChipIdentity(bytes(range(0xF0, 0xF8)), "0123456789abcdef", 3)
    assert identity.nonce() == "f0f1f2f3f4f5f6f7"
    assert identity.build() == "0123456789abcdef"
    assert identity.reset_cause() == 3
