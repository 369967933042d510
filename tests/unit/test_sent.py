"""The profiles sent are kept as they were sent: before the pen is asked, and for as long as a session may go on."""

import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pencore import faults, profile, wire
from pinprick import errors
from pinprick.device import Pen
from pinprick.errors import InputError, NoDevice, PinprickError
from pinprick.keys import ClinicKey
from pinprick.link import PenRefused
from pinprick.records import RecordStore
from pinprick.sent import SentProfiles
from tests.support.profiles import CHEEK, NOW, PERIORBITAL, data
from tests.support.served import LONG_ZONES, Served, Tampered, refused, small, until

SERIAL = "SIM-0001"


def made(session: int = 1, **fields: Any) -> bytes:
    """Return the bytes of a profile for `session`."""
    return data({"session_id": session, "serial": SERIAL, "ledger_head": "00" * 32}, **fields)


def digest_of(sent: bytes) -> bytes:
    return profile.decode(sent).digest


@pytest.fixture
def sent(tmp_path: Path) -> SentProfiles:
    """Return an empty store of its own."""
    return SentProfiles(tmp_path / "sent")


# --- the folder ------------------------------------------------------------------------------------------------------
def test_what_is_kept_is_given_back(sent: SentProfiles) -> None:
    one = made()
    assert sent.get(SERIAL, 1) is None
    assert sent.keep(SERIAL, 1, one)
    assert not sent.keep(SERIAL, 1, one)
    assert sent.get(SERIAL, 1) == sent.get(SERIAL, 1, digest_of(one)) == one
    assert sent.get(SERIAL, 1, bytes(32)) is None
    assert sent.get(SERIAL, 2) is None
    assert sent.get("SIM-0002", 1) is None


def test_of_two_the_digest_says_which(sent: SentProfiles) -> None:
    one, other = made(), made(issued_at=NOW + 1)
    for each in (one, other):
        sent.keep(SERIAL, 1, each)
    assert sent.get(SERIAL, 1) is None
    assert sent.get(SERIAL, 1, digest_of(one)) == one
    sent.settle(SERIAL, 1, other)
    assert sent.get(SERIAL, 1) == other
    assert sent.get(SERIAL, 1, digest_of(one)) is None


def test_what_was_refused_is_forgotten(sent: SentProfiles) -> None:
    sent.keep(SERIAL, 1, made())
    sent.drop(SERIAL, 1, made())
    sent.drop(SERIAL, 1, made())
    assert sent.get(SERIAL, 1) is None


def test_the_last_twenty_sessions_are_kept(sent: SentProfiles) -> None:
    for session in range(1, 31):
        sent.keep(SERIAL, session, made(session))
        sent.keep("SIM-0002", session // 2 + 1, made(session // 2 + 1))
    kept = [session for session in range(1, 31) if sent.get(SERIAL, session)]
    assert kept == list(range(11, 31))
    assert sent.get("SIM-0002", 1) == made(1)


def test_they_are_for_their_owner_alone(sent: SentProfiles) -> None:
    sent.keep(SERIAL, 1, made())
    (path,) = sent.folder.rglob("*.ppf")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_copy_that_was_changed_is_none(sent: SentProfiles) -> None:
    sent.keep(SERIAL, 1, made())
    (path,) = sent.folder.rglob("*.ppf")
    whole = path.read_bytes()
    for changed in (b"", whole[:-1], whole + b"\0", bytes([whole[0] ^ 1]) + whole[1:], whole[:90] + b"?" + whole[91:]):
        path.write_bytes(changed)
        assert sent.get(SERIAL, 1) is None
    path.write_bytes(made(2))  # whole, but of another session
    assert sent.get(SERIAL, 1) is None


@pytest.mark.parametrize("serial", ["..", "a/b", ".", "a.b", "x" * 16])
def test_whatever_the_pen_is_called_its_folder_is_below(sent: SentProfiles, serial: str) -> None:
    sent.keep(serial, 1, made())
    assert sent.get(serial, 1) == made()
    (path,) = sent.folder.rglob("*.ppf")
    assert path.parent.parent == sent.folder


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        SentProfiles(tmp_path / "file").keep(SERIAL, 1, made())
    assert caught.value.code == errors.FILE_UNWRITABLE


@pytest.mark.parametrize("name", ["n" * 256, "a/" * 3000, "file"])
def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    elsewhere = SentProfiles(tmp_path / name)
    with pytest.raises(InputError) as caught:
        elsewhere.get(SERIAL, 1)
    assert caught.value.code == errors.FILE_UNREADABLE
    with pytest.raises(InputError) as caught:
        elsewhere.keep(SERIAL, 1, made())
    assert caught.value.code == errors.FILE_UNWRITABLE
    elsewhere.settle(SERIAL, 1, made())  # no reason not to go on
    elsewhere.drop(SERIAL, 1, made())


def test_a_copy_that_is_a_pipe_keeps_nobody_waiting(sent: SentProfiles) -> None:
    sent.keep(SERIAL, 1, made())
    (path,) = sent.folder.rglob("*.ppf")
    os.mkfifo(path.with_name("session-00000001-0.ppf"))
    assert sent.get(SERIAL, 1) == made()
    path.unlink()
    with pytest.raises(InputError, match="it is a pipe") as caught:
        sent.get(SERIAL, 1)
    assert caught.value.code == errors.FILE_UNREADABLE


def test_sessions_of_nine_digits_are_kept_apart(sent: SentProfiles) -> None:
    first, second, later = (made(session, issued_at=NOW) for session in (123_456_780, 123_456_789, 123_456_801))
    sent.keep(SERIAL, 123_456_780, first)
    sent.keep(SERIAL, 123_456_789, second)
    sent.settle(SERIAL, 123_456_789, second)
    assert sent.get(SERIAL, 123_456_780) == first
    (sent.folder / "pen-SIM-0001" / "session-²-.ppf").write_text("mine")
    sent.keep(SERIAL, 123_456_801, later)
    assert sent.get(SERIAL, 123_456_780) is None
    assert sent.get(SERIAL, 123_456_789) == second


def test_it_is_in_the_data_folder_when_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path))
    assert SentProfiles().folder == tmp_path / "sent"


# --- at load ---------------------------------------------------------------------------------------------------------
def interrupted(bench: Served, pen: Pen, sent: SentProfiles) -> None:
    """Begin a session and cut the power in it; return when the pen is there again."""
    pen.load(small(LONG_ZONES), sent=sent, issued_at=NOW)
    pen.arm()
    bench.press()
    until(lambda: bench.world.runner.session is not None and bench.world.runner.session.total() > 60)
    bench.operator.do("power_cut")
    bench.operator.begin("release")
    bench.operator.do("power_on")
    bench.operator.do("wait", 500)


def test_load_keeps_exactly_what_the_pen_accepted(pen: Pen, sent: SentProfiles) -> None:
    first = pen.load(small(), sent=sent, issued_at=NOW)
    second = pen.load(small(), sent=sent, issued_at=NOW + 5)
    assert first.digest != second.digest
    assert sent.get(SERIAL, 1) == second.data


def test_a_profile_that_the_pen_refuses_is_not_kept(pen: Pen, sent: SentProfiles) -> None:
    good = pen.load(small(), sent=sent, issued_at=NOW)
    key = ClinicKey(7, bytes(range(32)))
    assert refused(lambda: pen.load(small(), key=key, sent=sent, issued_at=NOW + 1)).code == faults.KEY_UNKNOWN
    assert sent.get(SERIAL, 1) == good.data


def test_a_refusal_does_not_forget_the_copy_of_what_is_loaded(pen: Pen, sent: SentProfiles) -> None:
    loaded = pen.load(small(), sent=sent, issued_at=NOW)
    pen.arm()
    # The very same profile, within the same second: refused because of the state, not for what it is.
    assert refused(lambda: pen.load(small(), sent=sent, issued_at=NOW)).code == faults.STATE_FORBIDS
    assert sent.get(SERIAL, 1) == loaded.data


def test_a_copy_is_kept_although_the_answer_got_lost(bench: Served, sent: SentProfiles) -> None:
    """The pen took the profile, and the cable went before it could say so: only the copy can go on with the session."""
    transport = Tampered(bench.connect())
    deaf = threading.Event()
    transport.on_read = lambda heard: b"" if deaf.is_set() else heard
    with Pen(transport) as pen:

        def cut_after_commit(written: bytes) -> bytes | None:
            if b"load.commit" in written:
                deaf.set()
                transport.under.write(written)
                until(lambda: bench.state == wire.LOADED)
                transport.close()
                return None
            return written

        transport.on_write = cut_after_commit
        with pytest.raises(NoDevice):
            pen.load(small(LONG_ZONES), sent=sent, issued_at=NOW)
    with Pen(bench.connect()) as again:
        again.arm()
        bench.press()
        until(lambda: bench.world.runner.session is not None and bench.world.runner.session.total() > 60)
        bench.operator.do("power_cut")
        bench.operator.begin("release")
        bench.operator.do("power_on")
        bench.operator.do("wait", 500)
        assert again.resume(sent).resumed


@pytest.mark.parametrize("how", ["file", "resume"])
def test_an_interrupted_session_goes_on_with_the_bytes_that_began_it(
    bench: Served, pen: Pen, sent: SentProfiles, how: str
) -> None:
    interrupted(bench, pen, sent)
    before = sent.get(SERIAL, 1)
    # A later issue time: filled in anew it would be another profile.
    went_on = pen.resume(sent) if how == "resume" else pen.load(small(LONG_ZONES), sent=sent, issued_at=NOW + 99)
    assert went_on.resumed
    assert went_on.data == before
    assert pen.status().left[0] < LONG_ZONES[0][3]


def test_another_profile_does_not_go_on_with_an_open_session(bench: Served, pen: Pen, sent: SentProfiles) -> None:
    interrupted(bench, pen, sent)
    other = small(((PERIORBITAL, 1, 200, 5000, 20), (CHEEK, 2, 401, 100, 20)))
    error = refused(lambda: pen.load(other, sent=sent, issued_at=NOW))
    assert error.code == faults.SESSION_OPEN
    assert "finish" in error.hint
    assert "Session" in error.hint  # the name of the one that began it


def test_a_session_that_was_begun_elsewhere(bench: Served, pen: Pen, sent: SentProfiles, tmp_path: Path) -> None:
    interrupted(bench, pen, sent)
    with pytest.raises(PinprickError) as caught:
        pen.load(small(LONG_ZONES), sent=SentProfiles(tmp_path / "other"), issued_at=NOW)
    assert (caught.value.code, caught.value.exit_code) == (errors.SESSION_ELSEWHERE, 1)


def test_what_has_no_binary_form_is_refused_like_any_other(pen: Pen, sent: SentProfiles) -> None:
    assert refused(lambda: pen.load(small(), sent=sent, issued_at=-1)).field == "issued_at"
    assert refused(lambda: pen.load(small(name=""), sent=sent, issued_at=NOW)).field == "name"
    assert not sent.folder.exists()


def test_nothing_is_loaded_while_what_is_kept_of_the_pen_cannot_be_read(
    bench: Served, pen: Pen, sent: SentProfiles, tmp_path: Path
) -> None:
    (tmp_path / "records").write_text("")
    with pytest.raises(InputError) as caught:
        pen.load(small(), records=RecordStore(tmp_path / "records"), sent=sent, issued_at=NOW)
    assert caught.value.code == errors.FILE_UNREADABLE
    assert bench.state == wire.SAFE
    assert not sent.folder.exists()


@pytest.mark.parametrize("shown", [-1.0, 2.0**32])
def test_a_clock_that_is_wrong_is_to_blame(
    monkeypatch: pytest.MonkeyPatch, bench: Served, pen: Pen, shown: float
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: shown)
        with pytest.raises(InputError) as caught:
            pen.load(small())
    assert caught.value.code == errors.CLOCK_WRONG
    assert bench.state == wire.SAFE


def test_there_is_nothing_to_go_on_with(pen: Pen, sent: SentProfiles) -> None:
    with pytest.raises(PenRefused) as caught:
        pen.resume(sent)
    assert caught.value.code == faults.NO_PROFILE
