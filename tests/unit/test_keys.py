"""Clinic keys: files that their owner alone can read, two lines, nothing else."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pinprick import errors, keys
from pinprick.errors import InputError
from pinprick.keys import ClinicKey, KeyStore, find_key, key_path, load_key, new_key, save_key

HEX = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the keys of these tests apart from the user's."""
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))


def written(path: Path, text: str, rights: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(rights)
    return path


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        load_key(path)
    return caught.value


def test_a_key_that_was_saved_is_found_by_its_number() -> None:
    made = new_key(7)
    save_key(made, key_path(7))
    assert find_key(7) == made
    assert find_key(7, key_path(7)) == made
    assert len(made.key) == 32
    assert new_key(7).key != made.key
    assert stat.S_IMODE(key_path(7).stat().st_mode) == 0o600 or os.name != "posix"
    assert stat.S_IMODE(key_path(7).parent.stat().st_mode) == 0o700 or os.name != "posix"


def test_a_pen_without_a_key_wants_none(tmp_path: Path) -> None:
    assert find_key(0) is None
    assert find_key(0, tmp_path / "nowhere") is None


def test_a_key_never_shows() -> None:
    key = bytes.fromhex(HEX)
    for shown in (repr(ClinicKey(7, key)), str(ClinicKey(7, key))):
        assert HEX[:8] not in shown
        assert repr(key)[2:10] not in shown


def test_a_key_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    save_key(new_key(7), tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(InputError) as caught:
        save_key(new_key(7), tmp_path / "key", "FILE")
    assert (caught.value.code, caught.value.field) == (errors.FILE_EXISTS, "FILE")
    assert "--force" not in caught.value.hint != ""
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        save_key(new_key(7), tmp_path / "file" / "key")
    assert caught.value.code == errors.FILE_UNWRITABLE


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_key(7)
    assert caught.value.code == errors.KEY_MISSING
    assert str(key_path(7)) in caught.value.message
    assert refused(tmp_path).code == errors.KEY_MISSING  # a folder
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "it is a pipe" in refused(tmp_path / "pipe").message  # and nobody waits for who writes into it
    for name in ("n" * 256, "a\x00b"):
        error = refused(tmp_path / name)
        assert error.code == errors.KEY_MISSING
        assert "name" in error.message


def test_a_key_is_not_written_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        save_key(new_key(7), tmp_path / ("n" * 256) / "key")
    assert caught.value.code == errors.FILE_UNWRITABLE


def test_another_key_than_the_pen_wants(tmp_path: Path) -> None:
    save_key(new_key(8), tmp_path / "key")
    with pytest.raises(InputError) as caught:
        find_key(7, tmp_path / "key")
    error = caught.value
    assert (error.code, error.field, error.given, error.limit) == (errors.KEY_BAD, "key_id", 8, 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key_id = 7",
        f'key = "{HEX}"',
        f'key_id = 0\nkey = "{HEX}"',
        f'key_id = -1\nkey = "{HEX}"',
        f'key_id = 4294967296\nkey = "{HEX}"',
        f'key_id = true\nkey = "{HEX}"',
        f'key_id = "7"\nkey = "{HEX}"',
        f'key_id = 7\nkey = "{HEX[:-2]}"',
        f'key_id = 7\nkey = "{HEX}00"',
        f'key_id = 7\nkey = "{HEX[:-1]}g"',
        f'key_id = 7\nkey = "{"0" * 64}"',
        "key_id = 7\nkey = 12",
        f'key_id = 7\nkey = "{HEX}"\nmore = 1',
        "key_id = 7\nkey = ",
        "\x00\xff",
        f'key_id = 7\nkey = "{HEX}"\n' + "# more\n" * 1000,
        f'{HEX} = 7\nkey = "{HEX}"',
        "a = " + "[" * 2000,
    ],
)
def test_what_is_no_key_file(tmp_path: Path, text: str) -> None:
    error = refused(written(tmp_path / "key", text))
    assert error.code == errors.KEY_BAD
    assert HEX[:16] not in f"{error.message}{error.field}{error.given}{error.hint}"


def test_the_highest_number_there_is(tmp_path: Path) -> None:
    key = load_key(written(tmp_path / "key", f'# clinic\nkey_id = 4294967295\nkey = "{HEX.upper()}"\n'))
    assert key == ClinicKey(4294967295, bytes.fromhex(HEX))


@pytest.mark.parametrize("rights", [0o604, 0o640, 0o602, 0o660, 0o777])
def test_a_key_that_others_can_read(tmp_path: Path, rights: int) -> None:
    error = refused(written(tmp_path / "key", f'key_id = 7\nkey = "{HEX}"', rights))
    assert (error.code, error.given) == (errors.KEY_BAD, oct(rights))
    assert "chmod 600" in error.hint


def test_the_folder_of_the_keys_is_their_owner_s_alone_again() -> None:
    folder = key_path(7).parent
    folder.mkdir(parents=True)
    acts: tuple[Callable[[], object], ...] = (lambda: KeyStore().make(7), lambda: find_key(7), KeyStore().listed)
    for act in acts:
        folder.chmod(0o777)
        act()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_of_the_keys_that_stays_open_to_others_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    save_key(new_key(7), key_path(7))
    key_path(7).parent.chmod(0o777)

    def denied(path: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", denied)
    acts: tuple[Callable[[], object], ...] = (lambda: KeyStore().make(8), lambda: find_key(7))
    for act in acts:
        with pytest.raises(InputError) as caught:
            act()
        assert (caught.value.code, caught.value.limit) == (errors.KEY_BAD, "0o700")
        assert "chmod 700" in caught.value.hint
    assert not key_path(8).exists()


def test_a_spoilt_note_says_nothing() -> None:
    KeyStore().keep(ClinicKey(7, bytes.fromhex(HEX)))
    for text in ("a = " + "[" * 2000, "\x00", "how = 7"):
        key_path(7).with_suffix(".note.toml").write_text(text)
        assert [(each.key_id, each.problem) for each in KeyStore().listed()] == [(7, "")]


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    assert refused(path).code == errors.KEY_BAD


@pytest.mark.parametrize("shown", [-1, 2**32])
def test_a_clock_that_is_wrong_dates_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: int) -> None:
    """A file with such a date would be no key file."""
    monkeypatch.setattr("time.time", lambda: float(shown))
    with pytest.raises(InputError) as caught:
        new_key(7)
    assert caught.value.code == errors.CLOCK_WRONG


def test_a_saved_key_is_on_the_disk_with_all_names_that_lead_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synced = set()
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    save_key(new_key(7), key_path(7))
    way = [key_path(7), *key_path(7).parents]
    assert {path.stat().st_ino for path in way[: way.index(tmp_path) + 1]} <= synced


def test_the_usual_place_is_below_the_data_folder(tmp_path: Path) -> None:
    assert keys.key_path(7) == tmp_path / "data" / "keys" / "key-7.toml"
