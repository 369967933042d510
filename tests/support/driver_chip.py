"""A TMC2209 at the other end of its wire, as its data sheet tells: registers, check bytes, echo, reset. Host only.

Written from the data sheet and not from the pen's code: the check byte is computed on bits, as the sheet draws it.
"""

GSTAT, IFCNT, DRV_STATUS, SG_RESULT = 0x01, 0x02, 0x6F, 0x41


def check_byte(data: bytes) -> int:
    """Return the check byte: a shift register over x8 + x2 + x + 1, fed with each byte's lowest bit first."""
    register = [0] * 8
    for byte in data:
        for position in range(8):
            fed = register[7] ^ (byte >> position & 1)
            register = [fed, register[0] ^ fed, register[1] ^ fed, *register[2:7]]
    return sum(bit << place for place, bit in enumerate(register))


class DriverChip:
    """The chip and its one wire, as `machine.UART` shows them: what is sent comes back before any answer."""

    def __init__(self, *, present: bool = True, echo: bool = True) -> None:
        self.present = present
        self.echo = echo
        self.registers = {GSTAT: 1, IFCNT: 0, DRV_STATUS: 0, SG_RESULT: 0x1A3}
        self.written: list[tuple[int, int]] = []
        self.damage = 0
        """So many answers from now on have a flipped bit."""
        self._wire = bytearray()

    def reset(self) -> None:
        """Lose everything, as when the supply dips."""
        self.registers = {GSTAT: 1, IFCNT: 0, DRV_STATUS: 0, SG_RESULT: 0}

    # --- machine.UART ------------------------------------------------------------------------------------------------
    def any(self) -> int:
        return len(self._wire)

    def read(self, nbytes: int) -> bytes | None:
        data = bytes(self._wire[:nbytes])
        del self._wire[:nbytes]
        return data or None

    def write(self, data: bytearray) -> int:
        if self.echo:
            self._wire += data
        if self.present and data[0] == 0x05 and check_byte(bytes(data[:-1])) == data[-1]:
            self._take(bytes(data))
        return len(data)

    def _take(self, data: bytes) -> None:
        register = data[2] & 0x7F
        if data[2] & 0x80:
            value = int.from_bytes(data[3:7], "big")
            self.written.append((register, value))
            self.registers[IFCNT] = (self.registers[IFCNT] + 1) % 256
            if register == GSTAT:
                # Written ones clear.
                self.registers[GSTAT] &= ~value
            else:
                self.registers[register] = value
            return
        answer = bytearray(b"\x05\xff" + bytes([register]) + self.registers.get(register, 0).to_bytes(4, "big"))
        answer.append(check_byte(bytes(answer)))
        if self.damage:
            self.damage -= 1
            answer[5] ^= 0x10
        self._wire += answer
