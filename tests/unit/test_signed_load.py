"""Loading a pen that wants a signature: which key is used and where it was, and what is said of a wrong one."""

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail, null

from pencore import faults
from pensim.world import default_provision
from pinprick import keychain
from pinprick.keys import ClinicKey, KeyStore, key_path, save_key
from tests.support.cli import Run, settle_terminal
from tests.support.served import Served, served
from tests.unit.test_keychain import OwnKeyring, made

KEY = ClinicKey(7, bytes(range(1, 33)))
OTHER = ClinicKey(7, KEY.key[::-1])


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    settle_terminal(monkeypatch, 200)
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(keychain, "_OF_THE_SYSTEM", (OwnKeyring.__module__,))
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture
def pen() -> Iterator[Served]:
    """Return a pen with the clinic's key, at a TCP port."""
    setup = default_provision()
    setup.key_id, setup.key = KEY.key_id, KEY.key
    with served("tcp", setup=setup) as found:
        yield found


@pytest.fixture
def profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the path of a profile that can be loaded."""
    path = tmp_path / "profile.toml"
    text = Path(__file__).parents[2].joinpath("examples", "scalp.toml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    return str(path)


def load(capsys: pytest.CaptureFixture[str], pen: Served, profile: str, *more: str) -> Run:
    return Run(capsys, "load", profile, "--port", pen.where, *more)


@pytest.mark.parametrize("how", ["keyring", "file"])
def test_the_key_is_found_by_its_number_and_its_place_is_told(
    capsys: pytest.CaptureFixture[str], pen: Served, profile: str, how: str
) -> None:
    keyring.set_keyring(OwnKeyring() if how == "keyring" else made(null.Keyring))
    KeyStore().keep(KEY)
    result = load(capsys, pen, profile, "--json").result
    assert (result["ok"], result["key_id"], result["key_kept"]) == (True, 7, how)
    place = "the keyring (Own Keyring)" if how == "keyring" else f"the file {key_path(7)}"
    assert f"signed with key 7 of {place}." in load(capsys, pen, profile).text


def test_a_named_file_goes_before_all_else(
    capsys: pytest.CaptureFixture[str], pen: Served, profile: str, tmp_path: Path
) -> None:
    keyring.set_keyring(OwnKeyring())
    KeyStore().keep(OTHER)
    save_key(KEY, tmp_path / "key")
    result = load(capsys, pen, profile, "--key", str(tmp_path / "key"), "--json").result
    assert (result["ok"], result["key_id"], result["key_kept"]) == (True, 7, None)


def test_another_key_of_the_right_number_is_told_by_the_pen_alone(
    capsys: pytest.CaptureFixture[str], pen: Served, profile: str
) -> None:
    """Five of them, and then the pen wants its time."""
    keyring.set_keyring(OwnKeyring())
    KeyStore().keep(OTHER)
    for _ in range(5):
        error = load(capsys, pen, profile, "--json").result["error"]
        assert error["code"] == faults.SIGNATURE_WRONG
        assert error["message"].endswith(
            f"made with key 7, fingerprint {OTHER.fingerprint}, of the keyring (Own Keyring)."
        )
        assert f"Compare {OTHER.fingerprint} with the fingerprint that `pinprick key list` shows" in error["hint"]
    waiting = load(capsys, pen, profile).text
    assert "SIGNATURE_WAIT" in waiting
    assert "given 1 s" in waiting


@pytest.mark.parametrize("command", ["load", "run", "clock"])
def test_a_wrong_key_that_somebody_named_is_told_by_its_file(
    capsys: pytest.CaptureFixture[str], pen: Served, profile: str, tmp_path: Path, command: str
) -> None:
    save_key(OTHER, tmp_path / "key")
    line = ["clock", "correct", "--reason", "flat"] if command == "clock" else [command, profile]
    run = Run(capsys, *line, "--port", pen.where, "--key", str(tmp_path / "key"), "--json")
    error = run.result["error"]
    assert error["code"] == faults.SIGNATURE_WRONG
    assert error["message"].endswith(f"fingerprint {OTHER.fingerprint}, of the file {tmp_path / 'key'}.")
    assert KEY.key.hex() not in run.out


def test_a_key_whose_keyring_cannot_be_reached_is_not_said_to_be_missing(
    capsys: pytest.CaptureFixture[str], pen: Served, profile: str
) -> None:
    keyring.set_keyring(OwnKeyring())
    KeyStore().keep(KEY)
    keyring.set_keyring(made(fail.Keyring))
    words = load(capsys, pen, profile).text
    assert "KEYRING_FAILED" in words
    assert "was kept in Own Keyring, which can't be reached from here" in " ".join(words.split())
    assert "key import" not in words


def test_a_pen_whose_key_is_not_here(capsys: pytest.CaptureFixture[str], pen: Served, profile: str) -> None:
    keyring.set_keyring(made(null.Keyring))
    result = load(capsys, pen, profile, "--json").result
    assert (result["exit"], result["error"]["name"], result["error"]["given"]) == (2, "KEY_MISSING", 7)
    assert "no keyring can be used" in result["error"]["message"]
    assert "`pinprick key import FILE`" in result["error"]["hint"]
    assert pen.world.runner.session is None
