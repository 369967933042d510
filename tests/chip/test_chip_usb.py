"""The serial port of the emulated chip with the real image: what a host sees that reads, doesn't, goes, comes back."""

import ast
import hashlib
import random
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rp2040py.boards import build_rp2040

from pensim.chip import usb
from pensim.chip.usb import UsbHost
from tests.chip.console import Console

pytestmark = pytest.mark.chip

ENDPOINT_AND_FIFO = 64 + 256
"""Bytes the chip holds for a host that doesn't read."""
PORT_FULL = 64 + 512 + 256
"""Bytes it takes at most from one that it doesn't listen to: endpoint, MicroPython's buffer, TinyUSB's."""

ECHO = """
import sys, micropython
micropython.kbd_intr(-1)
port = sys.stdin.buffer
while True:
    line = port.read(64)
    port.write(line)
"""
TAKE = """
import sys, time, micropython, hashlib
micropython.kbd_intr(-1)
time.sleep_ms(300)
digest, piece = hashlib.sha256(), bytearray(50)
for _ in range(400):
    sys.stdin.buffer.readinto(piece)
    digest.update(piece)
print(digest.digest().hex())
"""
GIVE = """
import sys, time
took = []
for place in range(8):
    began = time.ticks_ms()
    count = sys.stdout.buffer.write(bytes([97 + place]) * 100)
    took.append((count, time.ticks_diff(time.ticks_ms(), began)))
time.sleep_ms(500)
print(took)
"""
COUNT = """
import sys, time
time.sleep_ms(50)
began = time.ticks_ms()
for number in range(250):
    sys.stdout.buffer.write(b'%03d.' % number)
took = time.ticks_diff(time.ticks_ms(), began)
time.sleep_ms(500)
print('took', took)
"""
LOST = """
import sys, time, select
port = select.poll()
port.register(sys.stdin.buffer, select.POLLOUT)
rows = []
time.sleep_ms(100)
for _ in range(5):
    writable = bool(port.poll(0))
    began = time.ticks_ms()
    count = sys.stdout.buffer.write(b'0123456789' * 10)
    rows.append((writable, count, time.ticks_diff(time.ticks_ms(), began)))
time.sleep_ms(1500)
print('rows', rows)
"""


@pytest.fixture
def console(uf2_path: Path) -> Console:
    made = Console(uf2_path)
    made.prompt()
    return made


def test_the_emulator_still_moves_whatever_is_offered() -> None:
    """When this fails, its controller waits for a host's token, and `pensim.chip.usb` needn't hold buffers back."""
    chip: Any = build_rp2040("pico")
    available, full = 1 << 10, 1 << 15
    chip.write_uint32(0x50100088, available | full | 1)
    assert not chip.read_uint32(0x50100088) & available
    UsbHost(chip)
    chip.write_uint32(0x50100088, available | full | 1)
    assert chip.read_uint32(0x50100088) & available


def test_the_port_is_found_as_a_hub_finds_it(uf2_path: Path) -> None:
    console = Console(uf2_path)
    console.connect()
    least_us = usb.ATTACH_US + usb.RESET_US + usb.RECOVERY_US
    assert least_us < console.now_us() < least_us + 50_000
    console.prompt()
    assert console.run("print(6 * 7)") == "42\r\n"


def _note(console: Console, seen: list[tuple[float, bytes]], data: bytes) -> None:
    seen.append((console.now_us(), data))


def test_two_runs_are_the_same_run(uf2_path: Path) -> None:
    runs = []
    for _ in range(2):
        console = Console(uf2_path)
        console.prompt()
        console.begin(ECHO)
        seen: list[tuple[float, bytes]] = []
        console.host.on_data = partial(_note, console, seen)
        for number in range(20):
            console.host.send(bytes([number]) * 64)
            console.run_ms(0.7)
        runs.append((seen, hashlib.sha256(console.emulator.chip.sram).hexdigest()))
    assert runs[0] == runs[1]


def test_a_line_of_64_bytes_is_back_within_a_millisecond(console: Console) -> None:
    console.begin(ECHO)
    line = bytes(range(64, 128))
    console.host.send(line)
    console.until(line)
    for _ in range(5):
        began_us = console.now_us()
        console.host.send(line)
        got = b""
        while len(got) < len(line) and console.now_us() - began_us < 5000:
            console.run_ms(0.02)
            got += console.host.receive()
        assert got == line
        # Twice the packet's time on the bus, and MicroPython's own.
        assert 2 * 51 < console.now_us() - began_us < 1500


def test_an_idle_console_costs_next_to_nothing(console: Console) -> None:
    """Every armed read answered at once with nothing, as the emulator has it, keeps the CPU busy for ever."""
    console.run_ms(100)
    tokens: list[int] = []
    console.emulator.chip.usb_ctrl.on_endpoint_read = lambda endpoint, _size: tokens.append(endpoint)
    core = console.emulator.chip.core
    before = core.cycles
    console.run_ms(5000)
    assert tokens == []
    # 625 million for a CPU that never rests.
    assert core.cycles - before < 1_000_000


def test_a_flood_waits_in_the_host_and_nothing_is_lost(console: Console) -> None:
    flood = random.Random(1).randbytes(20_000)
    console.begin(TAKE)
    console.host.send(flood)
    console.run_ms(200)
    assert 0 < len(flood) - console.host.unsent <= PORT_FULL, "the device holds the rest back"
    assert hashlib.sha256(flood).hexdigest().encode() in console.until(b"\x04>")
    assert console.host.unsent == 0


def test_writes_to_a_host_that_does_not_read_block_half_a_second_each(console: Console) -> None:
    console.begin(GIVE)
    console.host.reading = False
    console.run_ms(3200)
    assert console.host.receive() == b""
    console.host.reading = True
    got = console.until(b"\x04>")
    data, _, rows = got.partition(b"[")
    took = ast.literal_eval("[" + rows.split(b"]")[0].decode() + "]")
    assert data == b"".join(bytes([97 + place]) * count for place, (count, _) in enumerate(took))
    assert len(data) == ENDPOINT_AND_FIFO
    assert [count for count, _ in took] == [100, 100, 100, 20, 0, 0, 0, 0]
    assert all(ms < 5 for _, ms in took[:3])
    # MicroPython asks a second time for what of a write was left.
    assert 1000 <= took[3][1] <= 1003
    assert all(500 <= ms <= 502 for _, ms in took[4:])


def test_a_host_that_does_not_read_is_still_heard(console: Console) -> None:
    console.host.reading = False
    console.host.send(b"import machine\rmachine.Pin(2, machine.Pin.OUT, value=1)\r")
    console.run_ms(50)
    pin = console.emulator.chip.gpio[2]
    assert (pin.output_enable, pin.output_value) == (True, True)


def test_a_closed_port_is_told_of_and_what_is_written_meanwhile_is_overwritten(console: Console) -> None:
    console.begin(COUNT)
    console.host.close()
    console.run_ms(300)
    told = [console.host.connected]
    assert console.host.receive() == b""
    console.host.open()
    console.run_ms(5)
    told.append(console.host.connected)
    assert told == [False, True]
    got = console.until(b"\x04>")
    # One packet was under way to nobody; of what came after it, the port keeps the newest.
    assert got.startswith(b"000.")
    numbers, took = got.split(b"took")
    assert b"249." in numbers
    assert len(numbers) <= ENDPOINT_AND_FIFO
    assert int(took.split(b"\r")[0]) < 50, "nobody is waited for"


def test_a_chip_that_resets_itself_comes_back_with_the_port_open(console: Console) -> None:
    began_us = console.now_us()
    console.host.send(b"import machine\rmachine.reset()\r" + b"#" * 5000)
    while console.host.present and console.now_us() - began_us < 100_000:
        console.run_ms(1)
    assert console.host.unsent == 0, "what was queued went with the device"
    console.connect()
    assert usb.ATTACH_US < console.now_us() - began_us < 300_000
    console.prompt()
    assert console.run("import machine; print(machine.reset_cause())") == "3\r\n"


def test_without_power_there_is_no_port_and_with_it_a_new_one(console: Console) -> None:
    console.host.send(b"print(1)" * 20)
    console.emulator.power_off()
    assert (console.host.present, console.host.connected, console.host.unsent) == (False, False, 0)
    console.run_ms(500)
    console.host.send(b"to nobody")
    console.emulator.power_on()
    assert not console.host.present
    console.prompt()


def test_a_closed_port_stays_closed_over_a_reset(uf2_path: Path) -> None:
    console = Console(uf2_path, opened=False)
    console.run_ms(300)
    for _ in range(2):
        assert (console.host.present, console.host.connected) == (True, False)
        console.emulator.reset()
        assert not console.host.present
        console.run_ms(300)
    console.host.open()
    console.prompt()


def test_a_pulled_cable_looks_writable_and_blocks(console: Console) -> None:
    console.begin(LOST)
    console.run_ms(50)
    console.host.unplug()
    console.host.unplug()
    assert not console.host.present
    console.host.send(b"to nobody")
    console.run_ms(2700)
    assert console.host.receive() == b""
    console.host.plug()
    console.connect()
    got = console.until(b"\x04>", most_ms=8000)
    rows = ast.literal_eval(got.split(b"rows ")[1].split(b"\r")[0].decode())
    assert all(writable for writable, _, _ in rows), "poll says yes to a port that is suspended"
    assert sum(count for _, count, _ in rows) <= ENDPOINT_AND_FIFO
    assert any(count == 0 and 500 <= ms <= 502 for _, count, ms in rows), "and a write waits for nobody"


def test_pulled_for_longer_than_a_frame_but_not_for_three_is_a_new_device_all_the_same(console: Console) -> None:
    console.host.unplug()
    console.run_ms(1.5)
    console.host.plug()
    assert not console.host.present
    console.prompt()


def test_pulled_in_the_middle_of_its_enumeration(uf2_path: Path) -> None:
    for ms in (100, 122, 131, 132, 133, 135, 137, 139, 140, 141, 142, 143, 144, 145):
        console = Console(uf2_path)
        console.run_ms(ms)
        console.host.unplug()
        console.run_ms(10)
        console.host.plug()
        console.prompt()


def test_one_that_is_no_serial_port_is_left_alone(uf2_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "_serial_port", lambda _descriptors: None)
    console = Console(uf2_path)
    console.run_ms(400)
    assert not console.host.present
    console.host.open()
    console.host.send(b"x")
    assert console.host.unsent == 0


def test_a_device_that_does_not_answer_is_reset(uf2_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb, "REQUEST_MOST_US", 20_000)
    console = Console(uf2_path)
    console.run_ms(131)
    # The controller's interrupts (INTE) off, then on as they were.
    console.emulator.chip.usb_ctrl.write_uint32(0x90, 0)
    console.run_ms(100)
    assert not console.host.present
    assert console.emulator.chip.usb_ctrl.read_uint32(0x50) & 1 << 19, "SIE_STATUS: reset, and nobody has seen it"
    console.emulator.chip.usb_ctrl.write_uint32(0x90, 1 << 4 | 1 << 12 | 1 << 14 | 1 << 15 | 1 << 16)
    console.prompt()


def test_the_firmware_hears_of_frames_when_it_asks(console: Console) -> None:
    """MicroPython counts 16 frames after DTR before it gives out what has waited."""
    inte, start_of_frame = 0x90, 1 << 17
    controller = console.emulator.chip.usb_ctrl
    asks = []
    console.host.close()
    console.run_ms(30)
    console.host.open()
    for _ in range(8):
        console.run_ms(5)
        asks.append(bool(controller.read_uint32(inte) & start_of_frame))
    assert (asks[0], asks[-1]) == (True, False)


def test_a_packet_takes_its_time_on_the_bus(console: Console) -> None:
    memory = console.emulator.chip.usb_dpram
    for line, least_us in ((b"#" * 64, 51), (b"%", 9)):
        console.run_ms(5)
        console.host.send(line)
        console.run_ms((least_us - 2) / 1000)
        assert line not in bytes(memory[0x100:])
        console.run_ms(4 / 1000)
        assert line in bytes(memory[0x100:])


def test_the_bus_carries_one_packet_at_a_time(console: Console) -> None:
    packets: list[tuple[float, float]] = []
    console.begin(ECHO)
    controller = console.emulator.chip.usb_ctrl
    inner = controller.endpoint_read_done

    def outward(endpoint: int, data: bytes, packet_us: int) -> None:
        packets.append((console.now_us(), console.now_us() + packet_us))
        inner(endpoint, data, packet_us)

    def inward(data: bytes) -> None:
        # Told of 10 us after its end.
        end_us = console.now_us() - controller.host_reaction_microseconds
        packets.append((end_us - 8 - -(-len(data) * 2 // 3), end_us))

    controller.endpoint_read_done = outward
    console.host.on_data = inward
    console.host.send(bytes(range(64)) * 200)
    console.run_ms(100)
    assert len(packets) > 200
    packets.sort()
    assert all(after[0] - before[1] > -0.1 for before, after in pairwise(packets))


def test_frames_are_counted_while_the_bus_runs(console: Console) -> None:
    controller = console.emulator.chip.usb_ctrl
    before = controller.read_uint32(0x48)
    console.run_ms(50)
    assert (controller.read_uint32(0x48) - before) % 2048 == 50
    console.host.unplug()
    stopped = controller.read_uint32(0x48)
    console.run_ms(50)
    assert controller.read_uint32(0x48) == stopped
