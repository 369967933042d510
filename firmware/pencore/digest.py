"""SHA-256, HMAC and fixed-width text for the binary formats. Runs on pen and host; allocates a few hundred bytes a
call.

MicroPython's hashlib has sha256 without hexdigest and no hmac module, so HMAC (RFC 2104) is made here from its
definition.
"""

import binascii
import hashlib

from pencore.compat import const

_BLOCK = const(64)
DIGEST_SIZE = const(32)
ZERO_DIGEST = bytes(32)


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of `data`."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the 32-byte HMAC-SHA-256 of `message` under `key` (1..64 bytes)."""
    padded = key + bytes(_BLOCK - len(key))
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
    inner.update(message)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
    outer.update(inner.digest())
    return outer.digest()


def equal(one: bytes, other: bytes) -> bool:
    """Return whether two byte strings are equal, in a time that doesn't tell where they differ."""
    if len(one) != len(other):
        return False
    difference = 0
    for index in range(len(one)):
        difference |= one[index] ^ other[index]
    return difference == 0


def to_hex(data: bytes) -> str:
    """Return `data` as lower-case hex digits."""
    return binascii.hexlify(data).decode()


def crc32(data: "bytes | bytearray | memoryview", begin: int = 0) -> int:
    """Return the CRC-32 (as in zlib) of `data` as uint32; `begin`: that of what comes before it."""
    # Both Pythons return it unsigned; a mask would allocate a second big integer on the pen, for every stroke.
    return binascii.crc32(data, begin)


def text_problem(text: str, size: int) -> bool:
    """Return True unless `text` is 1..`size` characters of `[ -~]` without quote and backslash."""
    if not 0 < len(text) <= size:
        return True
    # Bytes, not characters: MicroPython keeps each character that it was ever asked for, for good.
    for byte in text.encode():
        if not 32 <= byte < 127 or byte == 34 or byte == 92:
            return True
    return False


def pack_text(text: str, size: int) -> bytes:
    """Return `text` (already checked by `text_problem`) as `size` bytes, padded with zeros."""
    raw = text.encode()
    return raw + bytes(size - len(raw))


def unpack_text(raw: bytes) -> str:
    """Return the text of a zero-padded field, or "" when the field is not canonical (see `text_problem`)."""
    end = raw.find(b"\x00")
    if end < 0:
        end = len(raw)
    for byte in raw[end:]:
        if byte:
            return ""
    for byte in raw[:end]:
        if not 32 <= byte < 127:
            return ""
    text = raw[:end].decode()
    return "" if text_problem(text, len(raw)) else text
