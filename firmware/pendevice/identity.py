"""Who this boot of this pen is: `Identity` of the ports. Runs on the pen; allocates its two strings once."""

import binascii

from pencore.compat import const

_NONCE_BYTES = const(8)


class ChipIdentity:
    """`random` is 8 bytes or more drawn by the chip at this boot; `build` the build's 16 hex digits; `cause`
    MicroPython's cause of the reset.
    """

    def __init__(self, random: bytes, build: str, cause: int) -> None:
        self._nonce = binascii.hexlify(random[:_NONCE_BYTES]).decode()
        self._build = build
        self._cause = cause

    def nonce(self) -> str:
        """Return 16 hex digits drawn at random once per boot."""
        return self._nonce

    def build(self) -> str:
        """Return the build hash of the firmware: 16 hex digits."""
        return self._build

    def reset_cause(self) -> int:
        """Return 1 after power-up, 3 after a watchdog or software reset."""
        return self._cause
