"""Clinic keys in the computer's keyring, in a file where there is none, and never in what anybody gets to see."""

import stat
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

from pinprick import errors, keychain, keys
from pinprick.errors import PinprickError
from pinprick.files import Staged
from pinprick.keys import FILE, KEYRING, ClinicKey, KeyStore, find_key, key_path, load_key, new_key, save_key
from tests.support.cli import Run, settle_terminal

SECRET = bytes(range(1, 33))
KEY = ClinicKey(7, SECRET)
OTHER = ClinicKey(7, SECRET[::-1])


class OwnKeyring(KeyringBackend):
    """A keyring in memory, taken for one of the system; `broken` is what it raises, `forgets` what it loses."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the library's constructors have no types
        self.content: dict[tuple[str, str], str] = {}
        self.broken: Exception | None = None
        self.forgets = False

    @property
    def name(self) -> str:
        return "Own Keyring"

    def _answer(self) -> None:
        if self.broken is not None:
            raise self.broken

    def get_password(self, service: str, username: str) -> str | None:
        self._answer()
        return self.content.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._answer()
        if not self.forgets:
            self.content[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._answer()
        if not self.forgets:
            del self.content[service, username]


@contextmanager
def own_keys(monkeypatch: pytest.MonkeyPatch, folder: Path, columns: int) -> Iterator[None]:
    """Keep keys and keyring apart from the user's, at a terminal of so many columns."""
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(folder / "data"))
    monkeypatch.setattr(keychain, "_OF_THE_SYSTEM", (OwnKeyring.__module__,))
    settle_terminal(monkeypatch, columns)
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Keep keys and keyring of these tests apart from the user's."""
    with own_keys(monkeypatch, tmp_path, 200):
        yield


@pytest.fixture
def own() -> OwnKeyring:
    """Return a keyring that can be used, and is."""
    found = OwnKeyring()
    keyring.set_keyring(found)
    return found


def made(kind: type[KeyringBackend]) -> KeyringBackend:
    """Return a keyring of the library's own."""
    return kind()


def entries(own: OwnKeyring) -> dict[str, str]:
    """Return {number: what is kept}."""
    return {number: kept for (service, number), kept in own.content.items() if service == keychain.SERVICE}


def files() -> list[str]:
    """Return the names of all files of keys."""
    folder = key_path(1).parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


# --- where -----------------------------------------------------------------------------------------------------------
def test_a_key_goes_into_the_keyring_and_no_file_has_it(own: OwnKeyring) -> None:
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert (kept.how, kept.place, kept.why_file) == (KEYRING, "Own Keyring", "")
    assert entries(own) == {"7": SECRET.hex()}
    assert files() == ["key-7.note.toml"]
    found = find_key(7)
    assert found == KEY
    assert found is not None
    assert found.kept == kept
    for path in key_path(7).parent.iterdir():
        assert SECRET.hex() not in path.read_text()


class PlaintextKeyring(OwnKeyring):
    """A keyring of no system, as other libraries bring them."""


PlaintextKeyring.__module__ = "keyrings.alt.file"


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        (null.Keyring, "switched off"),
        (fail.Keyring, "offers none without a desktop session"),
        (PlaintextKeyring, "PlaintextKeyring is not one that Pinprick uses"),
    ],
)
def test_without_a_keyring_a_key_goes_into_a_file_and_the_reason_is_told(
    backend: type[KeyringBackend], why: str
) -> None:
    keyring.set_keyring(made(backend))
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert kept.how == FILE
    assert why in kept.why_file
    assert stat.S_IMODE(key_path(7).stat().st_mode) == 0o600
    assert stat.S_IMODE(key_path(7).parent.stat().st_mode) == 0o700
    found = find_key(7)
    assert found == KEY
    assert found is not None
    assert found.kept is not None
    assert found.kept.how == FILE


def test_what_is_not_the_system_s_is_not_taken(own: OwnKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that keeps passwords in a plain file is a keyring, too, to the keyring library."""
    monkeypatch.undo()
    assert keychain.Keychain().name == ""
    assert all(name.startswith("keyring.backends.") for name in keychain._OF_THE_SYSTEM)


@pytest.mark.parametrize(("behind", "name"), [([], ""), (["null"], ""), (["own"], "Own Keyring")])
def test_a_chain_is_what_is_behind_it(
    own: OwnKeyring, monkeypatch: pytest.MonkeyPatch, behind: list[str], name: str
) -> None:
    monkeypatch.setattr(
        chainer.ChainerBackend, "backends", [own if each == "own" else made(null.Keyring) for each in behind]
    )
    keyring.set_keyring(made(chainer.ChainerBackend))
    assert keychain.Keychain().name == name


def test_a_keyring_that_cannot_even_be_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError(SECRET.hex())

    monkeypatch.setattr(keyring, "get_keyring", broken)
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert kept.how == FILE
    assert SECRET.hex() not in kept.why_file


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyringLocked("no"), "it is locked (KeyringLocked)"),
        (InitError(SECRET.hex()), "none has been set up yet, or it can't be started (InitError)"),
        (PasswordSetError(SECRET.hex()), "it does not take what it is given (PasswordSetError)"),
        (OSError("bus"), "it failed (OSError)"),
        (ValueError(), "it failed (ValueError)"),
    ],
)
def test_a_keyring_that_fails_gives_way_to_the_file(own: OwnKeyring, error: Exception, why: str) -> None:
    own.broken = error
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert kept.how == FILE
    assert f"(Own Keyring) could not be read: {why}." in kept.why_file
    assert SECRET.hex() not in kept.why_file
    found = find_key(7)
    assert found is not None
    assert found.kept is not None
    assert (found.key, found.kept.how) == (SECRET, FILE)


def test_a_keyring_that_keeps_nothing_gives_way_to_the_file(own: OwnKeyring) -> None:
    own.forgets = True
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert (kept.how, own.content) == (FILE, {})


@pytest.fixture
def silent(own: OwnKeyring, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return what a keyring that never answers is asked."""
    asked: list[str] = []
    over = threading.Event()

    def waits(name: str) -> Callable[..., None]:
        def act(*_: str) -> None:
            asked.append(name)
            over.wait(20)

        return act

    for name in ("get_password", "set_password", "delete_password"):
        monkeypatch.setattr(own, name, waits(name))
    monkeypatch.setattr(keychain, "_PATIENCE_S", 0.05)
    yield asked
    over.set()


def test_a_keyring_that_never_answers_is_given_up(silent: list[str]) -> None:
    chain = keychain.Keychain()
    for _ in range(2):
        with pytest.raises(PinprickError) as caught:
            chain.get(7)
        assert caught.value.code == errors.KEYRING_FAILED
        assert "did not answer" in caught.value.message
    assert silent == ["get_password"]


def test_a_command_waits_for_a_silent_keyring_once(silent: list[str]) -> None:
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert (kept.how, len(silent)) == (FILE, 1)
    assert "did not answer" in kept.why_file
    KeyStore().keep(ClinicKey(8, SECRET))
    silent.clear()
    assert [(each.key_id, each.kept.how) for each in KeyStore().listed()] == [(7, FILE), (8, FILE)]
    assert len(silent) == 1


def test_a_key_in_a_file_is_found_without_asking_a_silent_keyring(silent: list[str]) -> None:
    KeyStore().keep(KEY)
    silent.clear()
    found = find_key(7)
    assert found == KEY
    assert silent == []


@pytest.mark.parametrize("json", [False, True])
def test_it_is_told_that_a_keyring_is_waited_for(
    silent: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    monkeypatch.setattr(keychain, "_SOON_S", 0.01)
    run = Run(capsys, "key", "new", *(["--json"] if json else []))
    if json:
        assert [line for line in run.lines if line["event"] == "waiting"] == [{"event": "waiting", "what": "keyring"}]
    else:
        assert run.err == "Waiting for the keyring to be unlocked, a minute at most.\n"
        assert "Made key" in run.out


def test_a_keyring_that_answers_is_not_said_to_be_waited_for(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Run(capsys, "key", "new").err == ""


def test_nothing_is_put_into_a_keyring_that_cannot_be_read(own: OwnKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold another key of that number, which no other computer has."""
    own.content[keychain.SERVICE, "7"] = OTHER.key.hex()
    answers = iter([KeyringLocked("no")])

    def locked_once(service: str, username: str) -> str | None:
        for error in answers:
            raise error
        return own.content.get((service, username))

    monkeypatch.setattr(own, "get_password", locked_once)
    kept = KeyStore().keep(KEY).kept
    assert kept is not None
    assert kept.how == FILE
    assert entries(own) == {"7": OTHER.key.hex()}


def test_a_key_that_is_there_without_a_note_gets_one(own: OwnKeyring) -> None:
    """The same keyring with another data folder."""
    own.content[keychain.SERVICE, "7"] = SECRET.hex()
    assert KeyStore().numbers() == set()
    KeyStore().keep(KEY)
    assert [(each.key_id, each.fingerprint) for each in KeyStore().listed()] == [(7, KEY.fingerprint)]


def test_what_is_no_key_is_not_written_over(own: OwnKeyring) -> None:
    own.content[keychain.SERVICE, "7"] = "somebody else's"
    with pytest.raises(PinprickError) as caught:
        KeyStore().keep(KEY)
    assert caught.value.code == errors.KEY_BAD
    assert entries(own) == {"7": "somebody else's"}
    assert files() == []


def test_a_locked_keyring_is_told_when_the_key_may_be_in_it(own: OwnKeyring) -> None:
    KeyStore().keep(KEY)
    own.broken = KeyringLocked(SECRET.hex())
    with pytest.raises(PinprickError) as caught:
        find_key(7)
    assert caught.value.code == errors.KEYRING_FAILED
    assert "locked" in caught.value.message
    with pytest.raises(PinprickError) as caught:
        KeyStore().keep(OTHER)
    assert caught.value.code == errors.KEY_TAKEN, "the note tells of it"
    assert not key_path(7).exists()


def test_no_key_anywhere_names_both_places(own: OwnKeyring) -> None:
    with pytest.raises(PinprickError) as caught:
        find_key(7)
    assert caught.value.code == errors.KEY_MISSING
    assert "Own Keyring" in caught.value.message
    assert str(key_path(7)) in caught.value.message


# --- which -----------------------------------------------------------------------------------------------------------
def test_another_key_of_the_same_number_is_refused_and_the_first_stays(own: OwnKeyring) -> None:
    KeyStore().keep(KEY)
    for how in (KEYRING, FILE):
        with pytest.raises(PinprickError) as caught:
            KeyStore().keep(OTHER)
        error = caught.value
        assert (error.code, error.given) == (errors.KEY_TAKEN, 7)
        assert KEY.fingerprint in error.message
        assert OTHER.fingerprint in error.message
        assert find_key(7) == KEY
        if how == KEYRING:
            own.content.clear()
            save_key(KEY, key_path(7))
    assert KeyStore().keep(KEY).kept == keys.Kept(FILE, str(key_path(7)))


def test_a_key_that_was_changed_behind_our_back_is_not_signed_with(own: OwnKeyring) -> None:
    KeyStore().keep(KEY)
    own.content[keychain.SERVICE, "7"] = OTHER.key.hex()
    with pytest.raises(PinprickError) as caught:
        find_key(7)
    error = caught.value
    assert (error.code, error.given, error.limit) == (errors.KEY_BAD, OTHER.fingerprint, KEY.fingerprint)
    assert "in the keyring (Own Keyring):" in error.message
    with pytest.raises(PinprickError) as caught:
        KeyStore().keep(OTHER)
    assert caught.value.code == errors.KEY_TAKEN, "it could not be signed with"
    own.content[keychain.SERVICE, "7"] = "nothing of the kind"
    with pytest.raises(PinprickError) as caught:
        find_key(7)
    assert caught.value.code == errors.KEY_BAD
    assert "nothing of" not in caught.value.message


def test_a_fingerprint_is_of_the_key_alone() -> None:
    import hashlib

    label = b"pinprick clinic key fingerprint\0"
    assert KEY.fingerprint == hashlib.sha256(label + SECRET).hexdigest()[:8]
    assert ClinicKey(8, SECRET).fingerprint == KEY.fingerprint != OTHER.fingerprint


def test_numbers_are_drawn_and_not_given_twice(own: OwnKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([123456, 123456, 654321])
    monkeypatch.setattr("secrets.choice", lambda _: next(drawn))
    assert [KeyStore().make().key_id for _ in range(2)] == [123456, 654321]


def full(*_: Any) -> None:
    raise errors.InputError(errors.FILE_UNWRITABLE, "full")


def test_a_key_that_cannot_be_kept_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "save_key", full)
    with pytest.raises(PinprickError):
        KeyStore().keep(KEY)
    assert files() == []


def test_the_note_of_a_key_in_a_locked_keyring_is_not_lost(own: OwnKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    KeyStore().keep(KEY)
    note = key_path(7).with_suffix(".note.toml").read_bytes()
    own.broken = KeyringLocked("no")
    with monkeypatch.context() as broken:
        broken.setattr(keys, "save_key", full)
        with pytest.raises(PinprickError):
            KeyStore().keep(KEY)
    assert key_path(7).with_suffix(".note.toml").read_bytes() == note
    assert KeyStore().numbers() == {7}


@pytest.mark.parametrize("how", [KEYRING, FILE])
def test_a_tool_that_is_killed_as_it_keeps_a_key_has_noted_where(
    own: OwnKeyring, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    noted: list[str] = []

    def killed(*_: Any) -> None:
        noted.append(tomllib.loads(key_path(7).with_suffix(".note.toml").read_text())["how"])
        raise KeyboardInterrupt

    if how == KEYRING:
        monkeypatch.setattr(keychain.Keychain, "put", killed)
    else:
        keyring.set_keyring(made(null.Keyring))
    monkeypatch.setattr(keys, "save_key", killed)
    with pytest.raises(KeyboardInterrupt):
        KeyStore().keep(KEY)
    assert noted == [how]


@pytest.mark.parametrize("name", ["a\udcff", 'a"b\\c', "a\nb\x7f"])
def test_a_note_is_read_again_whatever_its_folder_is_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / name))
    KeyStore().keep(KEY)
    key_path(7).unlink()
    with pytest.raises(PinprickError) as caught:
        KeyStore().keep(OTHER)
    assert caught.value.code == errors.KEY_TAKEN, "the note tells of it"


@pytest.mark.parametrize("made_at", ["-1", "4294967296", "1e9", '"today"'])
def test_a_date_that_no_key_has_is_unknown(capsys: pytest.CaptureFixture[str], made_at: str) -> None:
    KeyStore().keep(KEY)
    key_path(7).unlink()
    note = key_path(7).with_suffix(".note.toml")
    note.write_text(note.read_text().replace("made = 0", f"made = {made_at}"))
    assert "unknown" in Run(capsys, "key", "list").text


# --- the commands ----------------------------------------------------------------------------------------------------
def test_a_key_s_way_from_one_computer_to_another(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = Run(capsys, "key", "new", "--json").result
    assert new["kept"] == KEYRING
    secret = entries(own)[str(new["key_id"])]
    file = tmp_path / "copy.toml"
    copied = Run(capsys, "key", "export", str(file), "--json")
    assert copied.exit == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_key(file).key.hex() == secret
    assert Run(capsys, "key", "export", str(file)).exit == 2, "nothing is written over"
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "elsewhere"))
    keyring.set_keyring(made(null.Keyring))
    brought = Run(capsys, "key", "import", str(file), "--json").result
    assert (brought["kept"], brought["fingerprint"]) == (FILE, new["fingerprint"])
    assert brought["made_at"] == new["made_at"]
    listed = Run(capsys, "key", "list", "--json").lines
    assert listed[0]["fingerprint"] == new["fingerprint"]
    assert listed[-1]["keys"] == 1
    assert listed[-1]["keyring"] is None
    refused = Run(capsys, "key", "forget", str(new["key_id"]), "--json").result
    assert (refused["error"]["code"], refused["error"]["field"]) == (errors.USAGE, "--yes")
    gone = Run(capsys, "key", "forget", str(new["key_id"]), "--yes", "--json").result
    assert [each["kept"] for each in gone["removed"]] == [FILE]
    assert files() == []
    assert Run(capsys, "key", "list").text == (
        "No clinic key is on this computer. `pinprick key new` makes one, `pinprick key import FILE` brings one."
    )


def test_forgetting_takes_it_from_everywhere(own: OwnKeyring, capsys: pytest.CaptureFixture[str]) -> None:
    KeyStore().keep(KEY)
    save_key(KEY, key_path(7))
    listed = Run(capsys, "key", "list", "--json").lines
    assert [each["kept"] for each in listed[:-1]] == [KEYRING, FILE]
    Run(capsys, "key", "forget", "7", "--yes")
    assert own.content == {}
    assert files() == []
    assert Run(capsys, "key", "forget", "7", "--yes", "--json").result["error"]["code"] == errors.KEY_MISSING


def test_what_a_killed_tool_left_of_a_key_is_forgotten_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    KeyStore().keep(ClinicKey(70, SECRET))
    for number in (7, 70):
        Staged(key_path(number), b"half a key", private=True)
    gone = Run(capsys, "key", "forget", "7", "--yes", "--json").result
    assert [each["kept"] for each in gone["removed"]] == [FILE]
    assert not [name for name in files() if name.startswith("key-7.")]
    assert len([name for name in files() if name.startswith("key-70.")]) == 3, "another key's"


def test_the_argument_that_is_wrong_is_named(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    KeyStore().keep(KEY)
    (tmp_path / "file").write_text("")
    for line, code in (
        (("export", str(tmp_path / "file")), errors.FILE_EXISTS),
        (("export", str(tmp_path / "file" / "key")), errors.FILE_UNWRITABLE),
        (("import", str(tmp_path / "file")), errors.KEY_BAD),
        (("import", str(tmp_path / "nowhere")), errors.KEY_MISSING),
    ):
        error = Run(capsys, "key", *line, "--json").result["error"]
        assert (error["code"], error["field"]) == (code, "FILE")


def test_a_key_that_a_keyring_will_not_forget_is_told(own: OwnKeyring, capsys: pytest.CaptureFixture[str]) -> None:
    KeyStore().keep(KEY)
    own.forgets = True
    assert Run(capsys, "key", "forget", "7", "--yes", "--json").result["error"]["code"] == errors.KEYRING_FAILED
    own.broken = PasswordDeleteError()
    run = Run(capsys, "key", "list", "--json")
    assert "could not be read" in run.lines[0]["problem"]
    assert run.exit == 0


def test_which_key_is_meant_is_never_guessed(
    own: OwnKeyring, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = str(tmp_path / "file")
    assert Run(capsys, "key", "export", file, "--json").result["error"]["code"] == errors.KEY_MISSING
    KeyStore().make(7)
    KeyStore().make(8)
    error = Run(capsys, "key", "export", file, "--json").result["error"]
    assert (error["code"], error["field"]) == (errors.USAGE, "--number")
    assert "7, 8" in error["hint"]
    assert Run(capsys, "key", "new", "--number", "8", "--json").result["error"]["code"] == errors.KEY_TAKEN


def test_no_command_ever_shows_a_key(own: OwnKeyring, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whatever goes wrong, and with a trace as well."""
    save_key(KEY, tmp_path / "key")
    save_key(OTHER, tmp_path / "other")
    (tmp_path / "spoilt").write_text(f'key_id = 7\nkey = "{SECRET.hex()}"\nmore = {SECRET.hex()!r}\n')
    (tmp_path / "spoilt").chmod(0o600)
    words: list[str] = []
    for broken in (None, KeyringLocked(SECRET.hex()), RuntimeError(SECRET.hex())):
        for line in (
            "import key", "import other", "import spoilt", "list", "export copy --number 7", "new --number 7", "new",
            "forget 7 --yes",
        ):  # fmt: skip
            own.broken = broken
            command, *rest = line.split()
            given = [str(tmp_path / word) if word in ("key", "other", "spoilt", "copy") else word for word in rest]
            for more in ([], ["--json"]):
                run = Run(capsys, "--debug", "key", command, *given, *more)
                words.append(run.out + run.err)
    said = "".join(words)
    for secret in (*entries(own).values(), SECRET.hex(), SECRET[::-1].hex(), repr(SECRET)):
        assert secret not in said
        assert secret[:16] not in said
    assert repr(new_key(7)).count("key=") == 0
    for note in key_path(7).parent.glob("*.note.toml"):
        assert set(tomllib.loads(note.read_text())) == {"fingerprint", "made", "how", "place"}
