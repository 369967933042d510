"""Reading a profile file: every way in which it is no readable TOML text has its own message."""

import os
from pathlib import Path

import pytest

from pinprick.errors import Problem, ValidationFailed
from pinprick.profiles import SIZE_MAX, load_profile
from tests.support.profile_files import GOOD, NOW


def problem_of(path: Path) -> Problem:
    """Return the one problem of the file at `path`."""
    with pytest.raises(ValidationFailed) as caught:
        load_profile(path, issued_at=NOW)
    assert len(caught.value.problems) == 1
    assert caught.value.exit_code == 2
    assert caught.value.code == caught.value.problems[0].code
    return caught.value.problems[0]


def problem_in(tmp_path: Path, data: bytes) -> Problem:
    """Return the one problem of a file of `data`."""
    path = tmp_path / "face.toml"
    path.write_bytes(data)
    return problem_of(path)


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"
    problem = problem_of(path)
    assert problem.name == "FILE_MISSING"
    assert problem.message == f"There is no file {path}."
    assert problem.file == str(path)


def test_name_that_no_file_can_have() -> None:
    assert problem_of(Path("a\x00b")).name == "FILE_UNREADABLE"


def test_folder(tmp_path: Path) -> None:
    problem = problem_of(tmp_path)
    assert (problem.name, problem.message) == ("FILE_IS_FOLDER", f"{tmp_path} is a folder, not a file.")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "face.toml"
    path.write_text(GOOD)

    # Whoever runs the tests as root may read everything: refuse as the system does for others.
    def refuse(path: Path, _: int) -> None:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(os, "open", refuse)
    problem = problem_of(path)
    assert (problem.name, problem.message) == ("FILE_UNREADABLE", f"{path} cannot be read: Permission denied.")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "face.toml"
    os.mkfifo(path)
    problem = problem_of(path)
    assert problem.name == "FILE_UNREADABLE"
    assert problem.message == f"{path} cannot be read: it is a pipe, not a regular file."
    assert problem_of(Path("/dev/zero")).name == "FILE_UNREADABLE"


@pytest.mark.parametrize("data", [b"", b"  \n\t\n", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path: Path, data: bytes) -> None:
    problem = problem_in(tmp_path, data)
    assert problem.name == "FILE_EMPTY"
    assert problem.message.endswith("face.toml is empty.")


def test_file_of_comments(tmp_path: Path) -> None:
    problem = problem_in(tmp_path, b"# nothing yet\n")
    assert problem.name == "FILE_EMPTY"
    assert problem.message.endswith("holds nothing but comments.")


def test_binary_file(tmp_path: Path) -> None:
    problem = problem_in(tmp_path, bytes(range(256)) * 4)
    assert problem.name == "FILE_NOT_TEXT"
    assert problem.message.endswith("face.toml is a binary file, not a text.")


def test_text_in_another_encoding(tmp_path: Path) -> None:
    problem = problem_in(tmp_path, GOOD.replace("LOT", "Läuse").encode("latin-1"))
    assert (problem.name, problem.line) == ("FILE_NOT_TEXT", 15)
    assert "the byte 0xE4 in line 15 does not belong there" in problem.message


def test_utf_16(tmp_path: Path) -> None:
    problem = problem_in(tmp_path, GOOD.encode("utf-16"))
    assert (problem.name, problem.hint) == ("FILE_NOT_TEXT", "Save it again with the encoding UTF-8.")


def test_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "face.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    profile = load_profile(path, issued_at=NOW)
    place = profile.source.place(("zone", 1, "depth_mm"))
    assert place is not None
    assert place.line == 33


def test_file_of_10_mb_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "face.toml"
    with path.open("wb") as file:
        file.truncate(10_000_000)

    def refuse(self: Path, mode: str) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(Path, "open", refuse)
    problem = problem_of(path)
    assert (problem.name, problem.given, problem.limit) == ("FILE_TOO_BIG", 10_000_000, 65_536)
    assert problem.message.endswith("has 10,000,000 bytes; no profile has more than 65,536, so it was not read.")


def test_size_is_held_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "face.toml"
    fitting = GOOD + "#" * (SIZE_MAX - len(GOOD))
    path.write_text(fitting)
    assert load_profile(path, issued_at=NOW).name == "Cheeks, session 2 of 6"
    assert problem_in(tmp_path, fitting.encode() + b"#").name == "FILE_TOO_BIG"


def test_file_that_hides_its_size_is_read_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the system makes up as it is read says 0 bytes and may never end."""
    path = tmp_path / "face.toml"
    path.write_bytes(b"#" * (SIZE_MAX + 1))
    told = os.stat_result([*path.stat()[:6], 0, *path.stat()[7:]])
    monkeypatch.setattr(os, "fstat", lambda _: told)
    problem = problem_of(path)
    assert (problem.name, problem.given) == ("FILE_TOO_BIG", None)
    assert problem.message.endswith("has more than 65,536 bytes; no profile has more than 65,536, so it was not read.")


WORDS = 'Put words in quotation marks: side = "left".'
POINT = "Write depth_mm = 1.5."
ONCE = "A key or a [table] may be given once; further zones each begin with [[zone]]."


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        ("side = left\n", 1, 8, "Line 1, column 8 is not TOML: invalid value.", WORDS),
        ("a = 1\ndepth_mm = 1,5\n", 2, 13, None, POINT),
        ("a = 1\na = 2\n", 2, 6, None, ONCE),
        ("[course]\n[course]\n", 2, 8, None, ONCE),
        ("a = [1,\n\n", 1, 8, "Line 1, column 8 is not TOML: invalid value.", ""),
        ('a = "open\n', 1, 10, None, ""),
        ("just words\n", 1, 6, None, ""),
        ("{}", 1, 1, "Line 1, column 1 is not TOML: invalid statement.", ""),
        ("a = " + "[" * 30_000, None, None, "The file is not TOML: tables or lists are nested too deep.", ""),
        ("a = " + "1" * 5_000, None, None, "The file is not TOML: a number has far too many digits.", ""),
    ],
)  # fmt: skip
def test_text_that_is_not_toml(
    tmp_path: Path, text: str, line: int | None, column: int | None, message: str | None, hint: str
) -> None:
    problem = problem_in(tmp_path, text.encode())
    assert (problem.name, problem.line, problem.column) == ("TOML_SYNTAX", line, column)
    assert problem.hint == hint
    if message is None:
        assert problem.message.startswith(f"Line {line}, column {column} is not TOML: ")
    else:
        assert problem.message == message
    if line:
        assert problem.excerpt == text.splitlines()[line - 1]
