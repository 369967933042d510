"""UART 0 of the emulated chip with the real image, and the motor driver at its one wire."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

from pensim.chip.uart import DriverLine
from pensim.driver_chip import GSTAT, IFCNT, IHOLD_IRUN, DriverChip
from tests.chip.console import Console
from tests.support.driver_port import datagram

pytestmark = pytest.mark.chip

BAUD = 115_200
BYTE_US = 10_000_000 / BAUD
SETUP = """
import machine, time
uart = machine.UART(0, 115200, tx=machine.Pin(12), rx=machine.Pin(13), timeout=0, timeout_char=0)
def ask(data, ms=3):
    uart.read()
    uart.write(data)
    time.sleep_ms(ms)
    return uart.read() or b''
"""


@pytest.fixture
def console(uf2_path: Path) -> Console:
    made = Console(uf2_path)
    made.prompt()
    return made


@pytest.fixture
def line(console: Console) -> DriverLine:
    made = DriverLine(console.emulator.chip)
    console.run(SETUP)
    return made


def asked(console: Console, *datagrams: bytearray) -> list[bytes]:
    """Send datagrams from the chip; return what it hears after each."""
    said = console.run(f"print([ask(each) for each in {[bytes(each) for each in datagrams]}])")
    return list(ast.literal_eval(said))


def test_bytes_leave_one_after_another_at_the_baud_rate(console: Console) -> None:
    sent: list[tuple[float, int]] = []
    console.emulator.chip.uart[0].on_byte = lambda byte: sent.append((console.now_us(), byte))
    console.run(SETUP)
    took_us, count = console.run(
        "began = time.ticks_us(); count = uart.write(bytes(range(200)))\n"
        "print(time.ticks_us() - began, count); time.sleep_ms(20)"
    ).split()
    assert [byte for _, byte in sent] == list(range(200))
    gaps_us = [after - before for (before, _), (after, _) in pairwise(sent)]
    assert max(gaps_us) - min(gaps_us) < 0.02, "no byte waits for the CPU"
    assert abs(gaps_us[0] - BYTE_US) < 0.05
    # Buffer and FIFO take all 200: the write doesn't wait for the wire.
    assert (int(count), int(took_us) < 2000) == (200, True)


def test_the_transmit_interrupt_ends(console: Console) -> None:
    console.run(SETUP)
    console.run("uart.write(b'0123456789' * 10)")
    console.run_ms(30)
    uart = console.emulator.chip.uart[0]
    assert not uart.tx_fifo.item_count
    before = console.emulator.chip.core.cycles
    console.run_ms(100)
    # 12.5 million while an interrupt is never done.
    assert console.emulator.chip.core.cycles - before < 200_000


def test_the_pen_hears_itself_and_then_the_driver(console: Console, line: DriverLine) -> None:
    writes = [datagram(GSTAT, 1), datagram(IHOLD_IRUN, 20 << 8 | 8)]
    first, *echoes, status, count = asked(console, datagram(GSTAT), *writes, datagram(GSTAT), datagram(IFCNT))
    assert first[:4] == datagram(GSTAT)
    assert first[4:7] == bytes((0x05, 0xFF, GSTAT))
    assert first[7:11] == b"\0\0\0\1"
    assert echoes == writes
    assert status[7:11] == b"\0\0\0\0"
    assert count[7:11] == b"\0\0\0\2"
    assert (line.driver.run_current, line.driver.hold_current) == (20, 8)


def test_an_answer_takes_its_time(console: Console, line: DriverLine) -> None:
    took_us = int(
        console.run(
            f"began = time.ticks_us(); uart.write({bytes(datagram(IFCNT))!r})\n"
            "while uart.any() < 12: pass\n"
            "print(time.ticks_us() - began)"
        )
    )
    wire_us = 12 * BYTE_US + 8 * BYTE_US / 10
    assert wire_us < took_us < wire_us + 200


def test_a_dip_of_its_supply_is_seen_and_none_is_silence(console: Console, line: DriverLine) -> None:
    assert asked(console, datagram(GSTAT, 1), datagram(IHOLD_IRUN, 5 << 8))[0]
    line.supply(False)
    assert asked(console, datagram(GSTAT)) == [bytes(datagram(GSTAT))]
    line.supply(True)
    (status,) = asked(console, datagram(GSTAT))
    assert status[7:11] == b"\0\0\0\1"
    assert line.driver.run_current == 31


def test_a_supply_lost_in_an_answer_cuts_it_off(console: Console, line: DriverLine) -> None:
    console.begin(f"print(ask({bytes(datagram(IFCNT))!r}, 20))")
    for _ in range(100):
        if line.answering:
            break
        console.run_ms(0.05)
    console.run_ms(0.3)
    talking = [line.answering]
    line.supply(False)
    talking.append(line.answering)
    assert talking == [True, False]
    heard = ast.literal_eval(console.until(b"\x04>").split(b"\r")[0].removeprefix(b"OK").decode())
    assert 4 < len(heard) < 12
    line.supply(True)
    assert len(asked(console, datagram(IFCNT))[0]) == 12


def test_a_chip_that_resets_leaves_the_driver_as_it_was(console: Console, line: DriverLine) -> None:
    asked(console, datagram(GSTAT, 1), datagram(IHOLD_IRUN, 7 << 8))
    console.emulator.reset()
    console.run_ms(300)
    console.prompt()
    console.run(SETUP)
    count, status = asked(console, datagram(IFCNT), datagram(GSTAT))
    assert (count[10], status[10]) == (2, 0)
    assert line.driver.run_current == 7


def test_without_a_wire_nothing_comes_back(console: Console) -> None:
    chip = DriverChip(echo=False)
    chip.present = False
    DriverLine(console.emulator.chip, chip)
    console.run(SETUP)
    assert asked(console, datagram(IFCNT)) == [b""]
