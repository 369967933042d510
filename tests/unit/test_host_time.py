"""The computer's clock, its zone and its owner: what the tool makes of them, and the command that corrects a pen."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pencore import faults
from pencore.units import U32_MAX
from pensim.world import default_provision
from pinprick import errors
from pinprick.clock import moment, now_s, shown
from pinprick.corrections import Correction, CorrectionLog
from pinprick.device import Pen
from pinprick.errors import InputError
from pinprick.keys import ClinicKey, KeyStore, find_key, save_key
from tests.support import flash_files, profiles
from tests.support.cli import Run, settle_terminal
from tests.support.served import Served, load, refused, served, small

KEY = ClinicKey(7, bytes(range(1, 33)))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Australia/Lord_Howe")
SWITCHES = (1_806_195_600, 1_825_549_200, 1_836_273_600)
"""Around the hours in which summer time begins and ends somewhere in 2027 and 2028, in seconds since 1970."""
REASON = "battery of the laptop was flat"
DAY_S = 86_400


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settle_terminal(monkeypatch, 200)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def zone() -> Iterator[None]:
    """Give the zone of this process back afterwards."""
    before = os.environ.get("TZ")
    yield
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


def set_zone(name: str) -> None:
    os.environ["TZ"] = name
    time.tzset()


def shows(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let this computer's clock show another time."""
    monkeypatch.setattr(time, "time", lambda: float(seconds))


@pytest.fixture
def keyed() -> Iterator[Served]:
    """Return a pen with a clinic key, at a TCP port; the key is kept on this computer."""
    KeyStore().keep(KEY)
    setup = default_provision()
    setup.key_id, setup.key = KEY.key_id, KEY.key
    with served("tcp", setup=setup) as pen:
        yield pen


# --- the clock -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seconds", [0, 2**31 - 1, 2**31, 2**31 + 0.9, U32_MAX])
def test_the_year_2038_is_a_year_like_any_other(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    shows(monkeypatch, seconds)
    assert now_s() == int(seconds)


@pytest.mark.parametrize("seconds", [-1, 2**32, 2**40])
def test_a_clock_that_no_pen_can_count_is_the_computer_s_fault(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    shows(monkeypatch, seconds)
    with pytest.raises(InputError) as caught:
        now_s()
    assert (caught.value.code, caught.value.given) == (errors.CLOCK_WRONG, seconds)


def test_neither_zone_nor_summer_time_changes_what_is_sent(
    zone: None, keyed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = small()
    with Pen(keyed.connect()) as pen:
        for base in SWITCHES:
            for by_s in (-3601, -1, 0, 1, 3599, 3600, 7200):
                made = set()
                for name in ZONES:
                    set_zone(name)
                    shows(monkeypatch, base + by_s)
                    assert now_s() == base + by_s
                    filled = pen._filled(source, pen.info, now_s())
                    said = (moment("2027-03-28T02:30:00+01:00", "--to"), shown(base + by_s))
                    made.add((filled.issued_at, filled.expires_day, said))
                assert len(made) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0),
        ("2028-02-29", 1_835_395_200),
        ("20280229", 1_835_395_200),
        ("2028-02-29T00:00:00Z", 1_835_395_200),
        ("2028-02-29T01:00:00+01:00", 1_835_395_200),
        ("2028-02-28T19:00:00-05:00", 1_835_395_200),
        ("2038-01-19T03:14:08Z", 2**31),
        ("2106-02-07T06:28:15Z", U32_MAX),
        ("2028-02-29T00:00:00.9Z", 1_835_395_200),
    ],
)
def test_a_moment_says_its_zone(zone: None, text: str, seconds: int) -> None:
    for name in ZONES:
        set_zone(name)
        assert moment(text, "--to") == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2028-02-30",
        "2027-02-29",
        "2100-02-29",
        "2028-02-29T00:00:00",
        "2028-02-29T00",
        "20280229T0000",
        "2028-02-29 10:00",
        "1969-12-31T23:59:59Z",
        "2106-02-07T06:28:16Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "1835395200",
    ],
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(InputError) as caught:
        moment(text, "--to")
    assert (caught.value.code, caught.value.field) == (errors.USAGE, "--to")
    assert caught.value.hint


def test_there_is_a_29_february_2028_and_none_in_2100() -> None:
    assert moment("2028-03-01", "-") - moment("2028-02-28", "-") == 2 * DAY_S
    assert moment("2100-03-01", "-") - moment("2100-02-28", "-") == DAY_S


# --- a wrong clock, by the tool --------------------------------------------------------------------------------------
def test_who_refuses_a_wrong_clock(keyed: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pen does, by its memory; the computer only a time that can't be."""
    source = small()
    with Pen(keyed.connect()) as pen:
        pen.clock_correct(profiles.NOW, REASON, KEY)
        for by_s, code in (
            (-1, faults.TIME_BACK),
            (45 * DAY_S + 1, faults.TIME_JUMP),
            (3652 * DAY_S, faults.TIME_JUMP),
        ):
            source.expires_day = 60_000
            shows(monkeypatch, profiles.NOW + by_s)
            error = refused(lambda: pen.load(source, key=KEY))
            assert (error.code, error.field) == (code, "issued_at")
            assert "UTC" in error.message
        shows(monkeypatch, 2**32)
        with pytest.raises(InputError) as caught:
            pen.load(source, key=KEY)
        assert caught.value.code == errors.CLOCK_WRONG
        load(pen, source, key=KEY, issued_at=profiles.NOW + 44 * DAY_S)


# --- the command -----------------------------------------------------------------------------------------------------
def correct(capsys: pytest.CaptureFixture[str], pen: Served, *more: str) -> Run:
    return Run(capsys, "clock", "correct", "--port", pen.where, *more)


def test_a_correction_is_on_the_pen_and_its_words_are_here(
    capsys: pytest.CaptureFixture[str], keyed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows(monkeypatch, profiles.NOW)
    result = correct(capsys, keyed, "--reason", REASON, "--json").result
    assert (result["ok"], result["from"], result["to"], result["confirmed"]) == (True, 0, profiles.NOW, True)
    assert result["key"]["fingerprint"] == KEY.fingerprint
    back = correct(capsys, keyed, "--reason", "years ahead", "--to", "2026-06-01T12:00:00+02:00")
    assert "The time of pen SIM-0001 is 2026-06-01 10:00:00 UTC now." in back.text
    keyed.stop()
    book = flash_files.journal(keyed.world.snapshot_flash())
    logged = Run(capsys, "clock", "log", "--json").lines[:-1]
    assert [each["reason"] for each in logged] == [REASON, "years ahead"]
    assert [each["confirmed"] for each in logged] == [True, True]
    last = logged[-1]
    assert (book.time_floor_s, book.corrected_from_s) == (last["to"], last["from"])
    assert f"{book.correction_crc:08x}" == last["reason_crc"]
    text = Run(capsys, "clock", "log").text
    assert REASON in text
    assert "2 corrections" in text


def test_a_correction_that_the_pen_refuses_is_not_on_the_books(
    capsys: pytest.CaptureFixture[str], keyed: Served, tmp_path: Path
) -> None:
    before = keyed.world.snapshot_flash()
    early = correct(capsys, keyed, "--reason", REASON, "--to", "1999-01-01", "--json").result
    assert (early["exit"], early["error"]["name"]) == (1, "TIME_BACK")
    assert "calibration" in early["error"]["message"]
    assert early["error"]["hint"]
    save_key(ClinicKey(7, KEY.key[::-1]), tmp_path / "other")
    wrong = correct(capsys, keyed, "--reason", REASON, "--key", str(tmp_path / "other"), "--json").result
    assert (wrong["exit"], wrong["error"]["name"]) == (1, "SIGNATURE_WRONG")
    assert "fingerprint" in wrong["error"]["hint"]
    assert KEY.key.hex() not in str(wrong) + str(early)
    assert Run(capsys, "clock", "log", "--json").result["corrections"] == 0
    assert keyed.world.snapshot_flash() == before


@pytest.mark.parametrize(
    ("reason", "given", "limit", "named"),
    [
        ("", "", None, "1 to 64"),
        ("   ", "   ", None, "not only spaces"),
        ("x" * 65, 65, 64, "64 characters at most; this one has 65"),
        ('a "quote"', '"', None, '" (U+0022)'),
        ("back\\slash", "\\", None, "\\ (U+005C)"),
        ("die Größe", "ö", None, "ö (U+00F6)"),
        ("two\nlines", "\n", None, "(U+000A)"),
        ("caf\udce9", "\udce9", None, "(U+DCE9)"),
    ],
)
def test_a_reason_is_plain_words(
    capsys: pytest.CaptureFixture[str], reason: str, given: int | str, limit: int | None, named: str
) -> None:
    error = Run(capsys, "clock", "correct", "--reason", reason, "--json").result["error"]
    assert (error["code"], error["field"]) == (errors.USAGE, "--reason")
    assert (error["given"], error["limit"]) == (given, limit)
    assert named in error["message"]
    assert "--reason '" in error["hint"]


def test_without_the_key_nothing_is_asked(capsys: pytest.CaptureFixture[str], keyed: Served) -> None:
    KeyStore().forget(7)
    result = correct(capsys, keyed, "--reason", REASON, "--json").result
    assert (result["exit"], result["error"]["name"]) == (2, "KEY_MISSING")
    assert CorrectionLog().listed() == []


def test_an_answer_that_got_lost_leaves_the_correction_unconfirmed(
    capsys: pytest.CaptureFixture[str], keyed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> int:
        raise errors.NoDevice(errors.LINK_LOST, "gone")

    monkeypatch.setattr(Pen, "clock_correct", lost)
    assert correct(capsys, keyed, "--reason", REASON).exit == 3
    (made,) = CorrectionLog().listed()
    assert not made.confirmed
    assert "got lost" in Run(capsys, "clock", "log").text


def test_the_log_is_whole_or_said_to_be_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = Correction("PP/1", 5, 2, 3, 4, REASON, 7)
    made = CorrectionLog().keep(made)
    (path,) = (tmp_path / "data" / "corrections").rglob("*.json")
    for private in (path, path.parent, path.parent.parent):
        assert private.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text())["reason_crc"] == made.reason_crc
    assert CorrectionLog().listed() == [made]
    whole = json.loads(path.read_text())
    changed: list[dict[str, Any]] = [
        {"reason": "another"}, {"to_s": -1}, {"to_s": 2**32}, {"to_s": 4.0}, {"to_s": True}, {"serial": 5},
        {"confirmed": 1}, {"key_id": None}, {"number": "1"},
    ]  # fmt: skip
    for text in ("", "[]", "{}", '{"reason_crc": "", "more": 1}', *(json.dumps({**whole, **more}) for more in changed)):
        path.write_text(text)
        error = Run(capsys, "clock", "log", "--json").result["error"]
        assert (error["code"], error["given"]) == (errors.FILE_UNREADABLE, str(path))
        assert "moved elsewhere" in error["hint"]


def test_corrections_are_listed_in_the_order_they_were_made_whatever_the_clock_showed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log, asked, made = CorrectionLog(), [U32_MAX, 0, profiles.NOW, 0, 5], []
    for at, asked_at in enumerate(asked):
        made.append(log.settle(log.keep(Correction("PP-1", asked_at, 2, at % 2, (at + 1) % 2, REASON, 7))))
        log.keep(Correction("PP-0", asked_at, 2, at, at + 1, REASON, 7))
    log.drop(made.pop(2))
    assert [each for each in log.listed() if each.serial == "PP-1"] == made
    told = Run(capsys, "clock", "log", "--json").lines[:-1]
    assert [(each["serial"], each["asked_at"]) for each in told] == [
        *(("PP-0", asked_at) for asked_at in asked),
        *(("PP-1", each.asked_at) for each in made),
    ]
    assert log.keep(Correction("PP-1", 1, 2, 3, 4, REASON, 7)).number == 6


def test_a_correction_with_a_profile_loaded_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], keyed: Served
) -> None:
    with Pen(keyed.connect()) as pen:
        load(pen, key=KEY)
    error = correct(capsys, keyed, "--reason", REASON, "--to", "2028-01-01", "--json").result["error"]
    assert error["name"] == "STATE_FORBIDS"
    assert "`pinprick finish` unloads it" in error["hint"]
    assert "only while it is" not in error["hint"]
    assert CorrectionLog().listed() == []
    assert Run(capsys, "finish", "--port", keyed.where).exit == 0
    assert correct(capsys, keyed, "--reason", REASON, "--to", "2028-01-01").exit == 0


@pytest.mark.parametrize("when", ["asked", "answered", "written down"])
def test_a_correction_is_told_whatever_signal_comes(
    capsys: pytest.CaptureFixture[str], keyed: Served, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    really, settle = Pen.clock_correct, CorrectionLog.settle

    def asked(*given: Any) -> int:
        if when == "asked":
            signal.raise_signal(signal.SIGINT)
        floor = really(*given)
        if when == "answered":
            signal.raise_signal(signal.SIGTERM)
        return floor

    def settled(*given: Any) -> Correction:
        made = settle(*given)
        if when == "written down":
            signal.raise_signal(signal.SIGHUP)
        return made

    monkeypatch.setattr(Pen, "clock_correct", asked)
    monkeypatch.setattr(CorrectionLog, "settle", settled)
    result = correct(capsys, keyed, "--reason", REASON, "--to", "2028-01-01", "--json").result
    assert (result["ok"], result["confirmed"]) == (True, True)
    assert [made.confirmed for made in CorrectionLog().listed()] == [True]


def test_a_correction_that_was_made_is_told_though_it_can_no_longer_be_written_down(
    capsys: pytest.CaptureFixture[str], keyed: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Correction:
        raise InputError(errors.FILE_UNWRITABLE, "full")

    monkeypatch.setattr(CorrectionLog, "settle", full)
    result = correct(capsys, keyed, "--reason", REASON, "--to", "2028-01-01", "--json").result
    assert (result["error"]["name"], result["confirmed"]) == ("FILE_UNWRITABLE", True)


def test_an_unsigned_pen_is_corrected_unsigned(capsys: pytest.CaptureFixture[str]) -> None:
    with served("tcp") as pen:
        result = correct(capsys, pen, "--reason", REASON, "--to", "2027-01-01", "--json").result
        assert (result["ok"], result["key_id"], result["key"]) == (True, None, None)
        assert find_key(0) is None
