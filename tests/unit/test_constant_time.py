"""Comparing a signature takes the same steps wherever the first wrong byte is; steps are counted, not timed."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pencore import digest, faults, profile
from pencore.faults import Refusal
from tests.support import profiles

KEY = bytes(range(1, 33))
GREETING = {"serial": "SIM-0001", "session_id": 1, "ledger_head": "00" * 32}
COUNTED = (digest.__file__, profile.__file__, __file__)


def steps(act: Callable[[], object]) -> int:
    """Return how many instructions of the interpreter `act` takes in the modules that compare."""
    count = 0

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in COUNTED:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def hasty(one: bytes, other: bytes) -> bool:
    """Compare as one would who doesn't think of it."""
    return all(one[index] == other[index] for index in range(len(one)))


def with_wrong(data: bytes, *places: int) -> bytes:
    """Return `data` with these bytes wrong."""
    wrong = bytearray(data)
    for place in places:
        wrong[place] ^= 0x55
    return bytes(wrong)


def counts(compare: Callable[[bytes, bytes], bool], size: int) -> set[int]:
    """Return the numbers of steps of all comparisons with one byte wrong, with all, with some and with none."""
    right = bytes(range(1, size + 1))
    tried = [(at,) for at in range(size)] + [tuple(range(at, size)) for at in range(0, size, 5)] + [()]
    found = set()
    for places in tried:
        given = with_wrong(right, *places)
        assert compare(right, given) == (not places)
        found.add(steps(lambda given=given: compare(right, given)))  # type: ignore[misc]  # bound for this turn
    return found


@pytest.mark.parametrize("size", [32, 64])
def test_equal_does_the_same_work_wherever_the_difference_lies(size: int) -> None:
    """32 bytes of a profile's HMAC, 64 hex digits of a correction's."""
    (work,) = counts(digest.equal, size)
    assert work > 5 * size


def test_the_count_sees_a_comparison_that_ends_early() -> None:
    assert len(counts(hasty, 32)) > 30


def test_a_profile_s_signature_is_checked_in_the_same_steps_whatever_is_wrong_with_it() -> None:
    data = profile.encode(profiles.make(GREETING), 7, KEY)
    found = set()
    for at in range(len(data) - 32, len(data)):
        wrong = with_wrong(data, at)

        def check(wrong: bytes = wrong) -> None:
            with pytest.raises(Refusal) as caught:
                profile.check_signature(wrong, 7, KEY)
            assert caught.value.code == faults.SIGNATURE_WRONG

        found.add(steps(check))
    assert len(found) == 1
