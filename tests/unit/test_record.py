"""`pencore.record`: layout, round trip, every flipped bit, and the chain."""

import struct
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pencore import faults, record
from pencore.faults import Refusal
from pencore.record import FAULT_SIZE, HEADER_SIZE, SIZE_MAX, ZONE_SIZE, Record, RecordZone

U32 = 0xFFFFFFFF


def made(zones: int = 3, fault_count: int = 2, **changes: Any) -> Record:
    """Return a record with something in every field."""
    one = Record()
    one.previous = bytes(range(32))
    one.profile_digest = bytes(range(32, 64))
    one.serial = "PEN-0007"
    one.session = 41
    one.profile_name = "full face"
    one.course_id = "course-1"
    one.course_index, one.course_of = 2, 6
    one.cartridge_id, one.cartridge_lot = "cartridge-1", "lot 9"
    one.expires_day = 65_535
    one.build = "0123456789abcdef"
    one.start_s, one.end_s, one.calibration_s = 1_900_000_000, U32, 864_000
    one.session_depth_um, one.session_strokes = 1500, 200_000
    one.end_reason = record.END_SPENT
    one.key_id = U32
    one.zones = [RecordZone(index % 12, index % 3, 1500, 1000, 900 + index, 10, 1500, 20) for index in range(zones)]
    one.faults = [(700 + index, 255 if index % 2 else index, 10 * index) for index in range(fault_count)]
    one.more_faults = 7
    for name, value in changes.items():
        setattr(one, name, value)
    return one


def described(one: Record) -> dict[str, Any]:
    return vars(one) | {"zones": [vars(zone) for zone in one.zones]}


@pytest.mark.parametrize(("zones", "fault_count"), [(1, 0), (3, 2), (32, 0), (32, 16)])
def test_what_is_encoded_is_decoded(zones: int, fault_count: int) -> None:
    one = made(zones, fault_count)
    data = record.encode(one)
    assert len(data) == HEADER_SIZE + zones * ZONE_SIZE + fault_count * FAULT_SIZE + 32 <= SIZE_MAX
    assert described(record.decode(data)) == described(one)
    assert one.digest == data[-32:] == sha256(data[:-32]).digest()


def test_the_largest_record_is_as_large_as_promised() -> None:
    assert len(record.encode(made(32, 16))) == SIZE_MAX


def test_the_layout_does_not_change() -> None:
    """Records are kept for years; this digest stands for every offset in them."""
    digest = sha256(record.encode(made())).hexdigest()
    assert digest == "13eaa519f7fa284931e231f3dfd5799ff5f203c8c9efa42c6b8104849e6daff9"


def test_sums() -> None:
    one = made()
    assert (one.made(), one.forfeited(), one.counted()) == (2703, 30, 2733)
    assert one.zones[1].counted() == 911


def test_every_single_bit_flip_is_refused() -> None:
    data = record.encode(made())
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refusal) as refused:
            record.decode(bytes(changed))
        assert refused.value.code == faults.RECORD_CORRUPT


def test_every_other_length_is_refused() -> None:
    data = record.encode(made())
    for wrong in [data[:size] for size in range(len(data))] + [data + b"\x00", data + data]:
        with pytest.raises(Refusal):
            record.decode(wrong)


def resealed(data: bytes, at: int, value: bytes) -> bytes:
    body = data[:at] + value + data[at + len(value) : -32]
    return body + sha256(body).digest()


def test_a_zone_that_counts_above_its_budget_is_refused_whatever_its_seal() -> None:
    data = record.encode(made(zones=2))
    start = HEADER_SIZE + ZONE_SIZE
    at_budget = resealed(data, start, struct.pack("<BBHIII", 1, 0, 1500, 1000, 999, 1))
    assert record.decode(at_budget).zones[1].counted() == 1000
    with pytest.raises(Refusal) as refused:
        record.decode(resealed(data, start, struct.pack("<BBHIII", 1, 0, 1500, 1000, 1000, 1)))
    told = refused.value
    assert (told.field, told.given, told.limit, told.zone) == ("zone.counted", 1001, 1000, 1)


@pytest.mark.parametrize("zones", [0, 33])
def test_too_few_and_too_many_zones_are_refused(zones: int) -> None:
    with pytest.raises(Refusal) as refused:
        record.decode(record.encode(made(zones)))
    assert refused.value.field == "size"


@pytest.mark.parametrize(("at", "value"), [(0, b"PPR2"), (4, b"\x02")])
def test_another_kind_of_file_is_refused(at: int, value: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        record.decode(resealed(record.encode(made()), at, value))
    assert refused.value.field == "header"


@given(sessions=st.integers(2, 6), bit=st.integers(0, 2**20), victim=st.integers(0, 2**10))
def test_a_chain_shows_where_it_was_changed(sessions: int, bit: int, victim: int) -> None:
    """Each record carries the digest of the one before, so a record made anew breaks the one after it."""
    head, chain = bytes(32), []
    for session in range(1, sessions + 1):
        chain.append(record.encode(made(session=session, previous=head)))
        head = chain[-1][-32:]
    at = victim % (sessions - 1)
    changed = bytearray(chain[at][:-32])
    changed[40 + bit % 28] ^= 1 << bit % 8
    forged = bytes(changed) + sha256(changed).digest()
    assert record.decode(chain[at + 1]).previous == chain[at][-32:] != record.decode(forged).digest
