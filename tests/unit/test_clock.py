"""The computer's clock: where it cannot be right, it is to blame and not what it is held against."""

import time
from pathlib import Path

import pytest

from pinprick import errors
from pinprick.clock import now_s
from pinprick.errors import InputError
from pinprick.profiles import check, load_profile
from tests.support.cli import Run, settle_terminal
from tests.support.profile_files import GOOD, NOW

EARLY, LATE = "before the year 1970", "after 2106-02-07 06:28:15 UTC"
WRONG = [(-0x8000_0000, EARLY), (-1.0, EARLY), (2.0**32, LATE)]


@pytest.mark.parametrize("shown", [0, 2**32 - 1])
def test_what_a_pen_can_count_is_told(monkeypatch: pytest.MonkeyPatch, shown: int) -> None:
    monkeypatch.setattr(time, "time", lambda: shown + 0.9)
    assert now_s() == shown


@pytest.mark.parametrize(("shown", "side"), WRONG)
def test_a_clock_that_is_wrong_is_to_blame(monkeypatch: pytest.MonkeyPatch, shown: float, side: str) -> None:
    monkeypatch.setattr(time, "time", lambda: shown)
    with pytest.raises(InputError) as caught:
        now_s()
    error = caught.value
    assert (error.code, error.given, error.exit_code) == (errors.CLOCK_WRONG, shown, errors.EXIT_INPUT)
    assert side in error.message


@pytest.mark.parametrize("shown", [shown for shown, _ in WRONG])
def test_no_profile_is_blamed_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: float
) -> None:
    settle_terminal(monkeypatch)
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    good = load_profile(path, issued_at=NOW)
    monkeypatch.setattr(time, "time", lambda: shown)
    with pytest.raises(InputError) as caught:
        check(good)
    assert caught.value.code == errors.CLOCK_WRONG
    assert check(good, issued_at=NOW) == []  # who names the time needs no clock
    run = Run(capsys, "profile", "check", str(path), "--json")
    assert (run.exit, run.result["error"]["name"]) == (2, "CLOCK_WRONG")
