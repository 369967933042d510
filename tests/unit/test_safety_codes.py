"""Codes that no other test of the pen's own code brought about by name: each from a host's question to its answer."""

import pytest

from pencore import course, faults, lines, tasks, wire
from tests.portable import samples
from tests.portable.ideal_pen import IdealPen
from tests.unit.test_course import cartridge_entry, course_entry
from tests.unit.test_requests import refused
from tests.unit.test_runner import SMALL, booted


def test_a_method_that_the_table_has_not_is_refused_by_its_name() -> None:
    """Also one that the pen sends itself; the line is whole, and carried out it is not."""
    pen = booted()
    pen.greet()
    for name in ("fire", "stroke", "telemetry", "load"):
        good = wire.encode_request("ping", pen.next_id, {"nonce": pen.nonce})
        line = lines.framed(good[: good.rindex(b"*")].replace(b'"ping"', b'"%s"' % name.encode()))
        with pytest.raises(lines.LineRefusal) as told:
            wire.decode_request(line)
        assert told.value.code == faults.WIRE_UNKNOWN_METHOD


def test_without_a_profile_there_is_nothing_to_arm() -> None:
    """A pen whose profile was dropped in the midst of everything refuses by name, and moves nothing."""
    pen = booted()
    pen.new_cartridge()
    assert pen.load(samples.filled(SMALL)) == 0
    pen.runner.session = None
    for method, params in (("arm", {"zone": None}), ("finish", {})):
        assert refused(pen, method, **params).code == faults.NO_PROFILE


@pytest.mark.parametrize(
    ("name", "entries", "code"),
    [
        (course.COURSE_FILE, 2 * course.COURSES_MAX, faults.COURSE_MEMORY_FULL),
        (course.CARTRIDGE_FILE, course.CARTRIDGES_MAX, faults.CARTRIDGE_MEMORY_FULL),
    ],
)
def test_a_full_memory_refuses_the_load(name: str, entries: int, code: int) -> None:
    """One entry fewer and the same profile is taken."""
    for more, told in ((0, code), (-1, 0)):
        pen = IdealPen(samples.provisioned())
        # Of other courses and cartridges than the profile's.
        numbers = range(1_000, 1_000 + entries + more)
        is_course = name == course.COURSE_FILE
        made = (course_entry(number, 1) if is_course else cartridge_entry(number) for number in numbers)
        pen.store.files[name] = b"".join(made)
        pen.boot()
        pen.new_cartridge()
        assert pen.load(samples.filled(SMALL)) == told
        assert pen.needle.strokes == 0


@pytest.mark.parametrize(("number", "code"), [(28, faults.STORE_FULL), (5, faults.STORE_FAILED)])
def test_an_error_of_the_store_is_told_by_its_kind(number: int, code: int) -> None:
    assert tasks.store_code(OSError(number)) == code
    assert tasks.store_code(OSError()) == faults.STORE_FAILED
