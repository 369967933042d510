"""Where the tool keeps things: the platform's folders, unless the environment names others."""

import os
import warnings
from pathlib import Path

import pytest

from pinprick import errors, places
from pinprick.errors import InputError
from tests.support.cli import Run, settle_terminal


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PINPRICK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", str(tmp_path / "run"))
    assert places.data_folder() == tmp_path / "data"
    assert places.runtime_folder() == tmp_path / "run"
    assert list(tmp_path.iterdir()) == []  # nothing is made by asking


@pytest.mark.parametrize("runtime", ["here", "nowhere", None])
def test_else_the_platform_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runtime: str | None) -> None:
    for name in ("PINPRICK_DATA_DIR", "PINPRICK_RUNTIME_DIR", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if runtime is not None:
        if runtime == "here":
            (tmp_path / runtime).mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / runtime))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = places.runtime_folder()
    assert folder.is_absolute()
    assert "pinprick" in str(folder)
    assert "pinprick" in places.data_folder().name
    if os.name == "posix":
        assert tmp_path in places.data_folder().parents


@pytest.mark.parametrize("folder", ["n" * 256, "a/" * 2040])
def test_a_name_too_long_for_any_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    settle_terminal(monkeypatch)
    monkeypatch.setenv("PINPRICK_RUNTIME_DIR", f"/{folder}")
    with pytest.raises(InputError) as caught:
        places.runtime_folder()
    assert caught.value.code == errors.FILE_UNREADABLE
    assert "PINPRICK_RUNTIME_DIR" in caught.value.message
    run = Run(capsys, "devices", "--json")
    assert (run.exit, run.result["error"]["name"]) == (2, "FILE_UNREADABLE")


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPRICK_DATA_DIR", "")
    assert places.data_folder() != Path()
