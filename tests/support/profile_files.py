"""A good profile file and ways to spoil it, for tests of profiles and of their commands."""

import re

from pinprick.errors import Problem, ValidationFailed
from pinprick.profiles import parse_profile

NOW = 1_900_000_000
"""2030-03-17, in seconds since 1970."""

GOOD = """\
# A comment that stays.
schema = 1
name = "Cheeks, session 2 of 6"
head = "pen"

[course]
id = "course-7"
index = 2
of = 6
interval_days = 30
max_step_mm = 0.25

[cartridge]
id = "A-1234"
lot = "LOT-17"
expires = 2031-06-30
needles = 14

[limits]
depth_mm = 1.50
strokes = 3_000

[[zone]]
area = "cheek" # the left one
side = "left"
depth_mm = 1.25
strokes = 1_000
rate_per_s = 20

[[zone]]
area = "cheek"
side = "right"
depth_mm = 1
strokes = 1_000
rate_per_s = 20

[[zone]]
area = "nose"
side = "none"
depth_mm = 0.5
strokes = 500
rate_per_s = 15
"""


def spoilt(old: str, new: str, text: str = GOOD) -> str:
    """Return `text` with the first `old` replaced by `new`."""
    assert old in text
    return text.replace(old, new, 1)


def without(pattern: str, text: str = GOOD) -> str:
    """Return `text` without the first line that `pattern` matches."""
    found = re.search(rf"^{pattern}.*\n", text, re.MULTILINE)
    assert found
    return text.replace(found[0], "", 1)


def all_problems(text: str) -> list[Problem]:
    """Return every problem of `text`, read as the file face.toml at NOW."""
    try:
        parse_profile(text, "face.toml", issued_at=NOW)
    except ValidationFailed as failed:
        return list(failed.problems)
    return []


def only_problem(text: str) -> Problem:
    """Return the one problem that `text` has."""
    found = all_problems(text)
    assert len(found) == 1, found
    return found[0]
