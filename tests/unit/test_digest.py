"""`pencore.digest` against the standard library, and the text fields of the binary formats."""

import hashlib
import hmac
import zlib

import pytest

from pencore import digest

PLAIN = {chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"}


@pytest.mark.parametrize("size", [1, 20, 31, 32, 33, 63, 64])
@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 776])
def test_hmac_is_the_standard_library_s(size: int, length: int) -> None:
    key, message = bytes(range(1, size + 1)), bytes(index * 7 & 0xFF for index in range(length))
    assert digest.hmac_sha256(key, message) == hmac.digest(key, message, "sha256")
    assert digest.sha256(message) == hashlib.sha256(message).digest()
    assert digest.crc32(message) == digest.crc32(bytearray(message)) == zlib.crc32(message)


def test_hmac_of_rfc_4231() -> None:
    assert digest.to_hex(digest.hmac_sha256(b"Jefe", b"what do ya want for nothing?")) == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_equal_sees_every_single_bit() -> None:
    one = bytes(range(32))
    assert digest.equal(one, bytes(one))
    for bit in range(256):
        other = bytearray(one)
        other[bit // 8] ^= 1 << bit % 8
        assert not digest.equal(one, bytes(other))
    assert not digest.equal(one, one[:-1])
    assert not digest.equal(b"", b"\x00")


def test_every_character_is_plain_or_a_problem() -> None:
    for code in range(0x180):
        assert digest.text_problem("a" + chr(code), 9) == (chr(code) not in PLAIN)


@pytest.mark.parametrize("size", [1, 16, 40])
def test_a_text_may_fill_its_field_and_not_be_empty(size: int) -> None:
    assert digest.text_problem("", size)
    assert digest.text_problem("x" * (size + 1), size)
    for length in range(1, size + 1):
        text = "x" * length
        assert not digest.text_problem(text, size)
        field = digest.pack_text(text, size)
        assert len(field) == size
        assert digest.unpack_text(field) == text


def test_no_other_bytes_are_the_same_text() -> None:
    """Whatever single byte of a field changes, it is another text or none."""
    field = digest.pack_text("lot 1", 8)
    for at in range(8):
        for byte in range(256):
            other = field[:at] + bytes([byte]) + field[at + 1 :]
            text = digest.unpack_text(other)
            assert text == "" or digest.pack_text(text, 8) == other
            assert (text == "lot 1") == (other == field)
