"""Keys whose keyring can't be reached from here: none is said to be gone, none is listed that was never there."""

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked

from pinprick import errors, keychain, wording
from pinprick.errors import PinprickError
from pinprick.keys import FILE, KEYRING, ClinicKey, KeyStore, find_key, key_path, save_key
from tests.support.cli import Run
from tests.unit.test_keychain import OwnKeyring, PlaintextKeyring, entries, files, made, own_keys

KEY = ClinicKey(7, bytes(range(1, 33)))
OTHER = ClinicKey(7, KEY.key[::-1])


class AnotherKeyring(OwnKeyring):
    """Another keyring of the system than the one that the key was kept in."""

    @property
    def name(self) -> str:
        return "Another Keyring"


AnotherKeyring.__module__ = OwnKeyring.__module__


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep keys and keyring of these tests apart from the user's."""
    with own_keys(monkeypatch, tmp_path, 300):
        yield


@pytest.fixture
def own() -> OwnKeyring:
    """Return a keyring that can be used, with key 7 in it."""
    found = OwnKeyring()
    keyring.set_keyring(found)
    KeyStore().keep(KEY)
    return found


ELSEWHERE = [
    (null.Keyring, "switched off"),
    (fail.Keyring, "without a desktop session"),
    (PlaintextKeyring, "PlaintextKeyring is not one that Pinprick uses"),
    (AnotherKeyring, "the one in use is Another Keyring"),
]


@pytest.mark.parametrize(("kind", "why"), ELSEWHERE)
def test_a_key_that_cannot_be_reached_is_not_said_to_be_gone(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str], kind: type[KeyringBackend], why: str
) -> None:
    keyring.set_keyring(made(kind))
    error = Run(capsys, "key", "forget", "7", "--yes", "--json").result["error"]
    assert (error["code"], error["given"]) == (errors.KEYRING_FAILED, "Own Keyring")
    assert "was kept in Own Keyring, which can't be reached from here" in error["message"]
    assert why in error["message"]
    assert error["message"].endswith("Nothing was removed.")
    assert error["hint"].endswith(f"remove the key's note {key_path(7).with_suffix('.note.toml')}.")
    assert (entries(own), files()) == ({"7": KEY.key.hex()}, ["key-7.note.toml"])
    (key, result) = Run(capsys, "key", "list", "--json").lines
    assert (key["key_id"], key["kept"], key["place"]) == (7, KEYRING, "Own Keyring")
    assert key["problem"].startswith("was kept in Own Keyring, which can't be reached from here")
    assert result["keys"] == 1
    keyring.set_keyring(own)
    assert find_key(7) == KEY
    gone = Run(capsys, "key", "forget", "7", "--yes", "--json").result
    assert [each["kept"] for each in gone["removed"]] == [KEYRING]
    assert (entries(own), files()) == ({}, [])


def test_what_to_do_for_a_key_that_cannot_be_reached(own: OwnKeyring, capsys: pytest.CaptureFixture[str]) -> None:
    keyring.set_keyring(made(fail.Keyring))
    with pytest.raises(PinprickError) as caught:
        find_key(7)
    error = caught.value
    assert error.code == errors.KEYRING_FAILED
    assert "in the desktop session" in error.hint
    assert error.hint.endswith("with --key.")
    hint = Run(capsys, "key", "export", "copy", "--json").result["error"]["hint"]
    assert "in the desktop session" in hint
    assert "--key" not in hint
    assert "remove" not in hint


def test_a_copy_beside_a_keyring_that_cannot_be_reached_hides_neither(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    keyring.set_keyring(made(fail.Keyring))
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert kept.how == FILE
    assert find_key(7) == KEY
    assert [each["kept"] for each in Run(capsys, "key", "list", "--json").lines[:-1]] == [KEYRING, FILE]
    assert Run(capsys, "key", "forget", "7", "--yes").exit == 1
    assert key_path(7).exists()
    keyring.set_keyring(own)
    assert Run(capsys, "key", "forget", "7", "--yes").exit == 0
    assert (entries(own), files()) == ({}, [])


def test_another_key_than_the_one_that_cannot_be_reached_is_refused(own: OwnKeyring) -> None:
    keyring.set_keyring(made(fail.Keyring))
    with pytest.raises(PinprickError) as caught:
        KeyStore().keep(OTHER)
    assert caught.value.code == errors.KEY_TAKEN


def test_a_locked_keyring_loses_nothing(own: OwnKeyring, capsys: pytest.CaptureFixture[str]) -> None:
    save_key(KEY, key_path(7))
    own.broken = KeyringLocked("no")
    error = Run(capsys, "key", "forget", "7", "--yes", "--json").result["error"]
    assert (error["code"], error["message"][-20:]) == (errors.KEYRING_FAILED, "Nothing was removed.")
    assert key_path(7).exists()


def test_a_locked_keyring_is_not_said_to_have_what_is_in_a_file(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    Run(capsys, "key", "forget", "7", "--yes")
    own.broken = KeyringLocked("no")
    KeyStore().keep(ClinicKey(70, KEY.key))
    run = Run(capsys, "key", "list", "--json")
    assert [(each["key_id"], each["kept"], each["problem"]) for each in run.lines[:-1]] == [(70, FILE, None)]
    assert "it is locked" in run.result["keyring_problem"]
    assert "Whether a keyring has any of them, too, is not known." in Run(capsys, "key", "list").text
    gone = Run(capsys, "key", "forget", "70", "--yes", "--json").result
    assert [each["kept"] for each in gone["removed"]] == [FILE]
    assert "it is locked" in gone["keyring_problem"]
    assert files() == []
    refused = Run(capsys, "key", "forget", "70", "--yes", "--json").result["error"]
    assert refused["code"] == errors.KEYRING_FAILED, "it may have it without a note"


def test_a_file_that_is_gone_is_told_whatever_the_keyring_says(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    own.broken = KeyringLocked("no")
    KeyStore().keep(ClinicKey(70, KEY.key))
    key_path(70).unlink()
    listed = {each["key_id"]: each for each in Run(capsys, "key", "list", "--json").lines[:-1]}
    assert listed[70]["problem"] == "it is not in its file any more"
    own.broken = None
    assert "neither in the keyring nor" in Run(capsys, "key", "list", "--json").lines[1]["problem"]
    assert "removed from the notes: it was nowhere else" in Run(capsys, "key", "forget", "70", "--yes").text


# --- hints -----------------------------------------------------------------------------------------------------------
def test_a_missing_key_is_told_what_this_command_takes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.set_keyring(made(null.Keyring))
    monkeypatch.chdir(tmp_path)
    for line in ("forget 7 --yes", "export copy --number 7", "export copy", "import nope.toml"):
        error = Run(capsys, "key", *line.split(), "--json").result["error"]
        assert error["code"] == errors.KEY_MISSING
        assert "--key" not in error["hint"] != ""
    with pytest.raises(PinprickError) as caught:
        find_key(7)
    assert "name its file with --key" in (caught.value.hint or wording.of(errors.KEY_MISSING).todo)


def test_the_hint_for_a_wrong_key_is_never_to_edit_it(own: OwnKeyring, tmp_path: Path) -> None:
    save_key(ClinicKey(70, KEY.key), tmp_path / "c2.toml")
    hints = []
    for text, path in ((KEY.key.hex(), tmp_path / "c2.toml"), (OTHER.key.hex(), None), ("no key", None)):
        own.content[keychain.SERVICE, "7"] = text
        with pytest.raises(PinprickError) as caught:
            find_key(7, path)
        assert caught.value.code == errors.KEY_BAD
        hints.append(caught.value.hint)
    own.content.clear()
    (tmp_path / "c2.toml").rename(key_path(7))
    with pytest.raises(PinprickError) as caught:
        find_key(7)
    hints.append(caught.value.hint)
    assert "Bring key 7" in hints[0]
    assert KEY.fingerprint in hints[1]
    assert "forget 7" in hints[2]
    assert "Move it out" in hints[3]
    assert not any("key_id =" in hint or "two lines" in hint for hint in hints)


def test_a_number_that_is_taken_is_told_before_a_key_is_drawn(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    own.content[keychain.SERVICE, "8"] = OTHER.key.hex()
    for number in ("7", "8"):
        error = Run(capsys, "key", "new", "--number", number, "--json").result["error"]
        assert (error["code"], error["field"], error["given"]) == (errors.KEY_TAKEN, "--number", int(number))
        assert "fingerprint" not in error["message"]
        assert error["hint"].startswith("Name another number")
    assert entries(own) == {"7": KEY.key.hex(), "8": OTHER.key.hex()}
