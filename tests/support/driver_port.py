"""`machine.UART` with a motor driver at the other end of its wire; the time is moved by hand. Host only."""

from pensim.driver_chip import DriverChip, Heard, check_byte

BIT_NS = 1_000_000_000 // 115_200
_BYTE_NS = 10 * BIT_NS


def datagram(register: int, value: int | None = None, address: int = 0) -> bytearray:
    """Return what reads a register, or writes `value` into it."""
    said = bytearray((0x05, address, register if value is None else register | 0x80))
    if value is not None:
        said += value.to_bytes(4, "big")
    said.append(check_byte(said))
    return said


class DriverPort:
    """The UART; what `driver` says arrives when `now_ns` has come to it."""

    def __init__(self, driver: DriverChip) -> None:
        self.now_ns = 0
        self.spoilt: int | None = None
        """Writes of this register lose a bit on their way."""
        self.asked: list[int] = []
        """The registers that were read or written, the latter with 0x80."""
        self.driver = driver
        self._free_ns = 0
        self._coming: list[Heard] = []

    def any(self) -> int:
        """Return how many bytes have arrived."""
        return sum(heard.at_ns <= self.now_ns for heard in self._coming)

    def readinto(self, buf: bytearray) -> int | None:
        """Fill `buf` from its start with what has arrived; return how many bytes, None without any."""
        count = min(len(buf), self.any())
        taken, self._coming = self._coming[:count], self._coming[count:]
        buf[:count] = bytes(heard.byte for heard in taken)
        return count or None

    def stray(self, byte: int, at_ns: int) -> None:
        """Let a byte that nobody sent arrive at `at_ns`."""
        self._come([Heard(byte, at_ns)])

    def _come(self, heard: list[Heard]) -> None:
        self._coming = sorted([*self._coming, *heard], key=lambda one: one.at_ns)

    def write(self, data: bytearray | memoryview) -> int:
        """Send bytes, one after the other from now, or from the end of what is still being sent."""
        sent = bytearray(data)
        self.asked.append(sent[2])
        if self.spoilt is not None and sent[2] == self.spoilt | 0x80:
            sent[4] ^= 1
        self._free_ns = max(self._free_ns, self.now_ns)
        for byte in sent:
            self._free_ns += _BYTE_NS
            self._come(self.driver.hear(byte, self._free_ns, BIT_NS))
        return len(data)
