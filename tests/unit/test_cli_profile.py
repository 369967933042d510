"""`pinprick profile ...` and how every command ends: text, JSON lines, exit codes, usage, crashes."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pinprick import __version__
from pinprick.cli import main
from pinprick.cli import profile as commands
from pinprick.errors import HOST_NAMES
from pinprick.profiles import load_profile
from pinprick.profiles.schema import json_schema
from pinprick.profiles.templates import PLANS
from tests.support.cli import Run, settle_terminal
from tests.support.profile_files import GOOD, spoilt

ROOT = Path(__file__).parents[2]
SESSION_2 = ROOT / "examples" / "full-face-session-2.toml"
SESSION_3 = ROOT / "examples" / "full-face-session-3.toml"
FRESH = (datetime.now(UTC) + timedelta(days=300)).date().isoformat()


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test run in the same terminal: 80 columns, no colour."""
    settle_terminal(monkeypatch)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return the path of a good profile file."""
    path = tmp_path / "good.toml"
    path.write_text(spoilt("2031-06-30", FRESH))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Return the path of a profile file with two mistakes."""
    path = tmp_path / "bad.toml"
    path.write_text(spoilt("2031-06-30", FRESH, spoilt("depth_mm = 0.5", "depth_mm = 0.8", spoilt("of = 6", "of = 1"))))
    return path


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_of_a_good_file(capsys: pytest.CaptureFixture[str], good: Path) -> None:
    run = Run(capsys, "profile", "check", str(good))
    assert run.exit == 0
    assert "Cheeks, session 2 of 6: 3 zones, 2,500 strokes, 1.25 mm at most, 2:14 min" in run.text


def test_check_of_a_bad_file_names_line_field_allowed_and_remedy(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    run = Run(capsys, "profile", "check", str(bad))
    assert run.exit == 2
    assert run.out == ""
    assert (
        run.text
        == f"""\
{bad}:8  course.index
  COURSE_INDEX 401
  | index = 2
  Session 2 of 1 does not exist.
  Allowed: 1 to 1
  To do:   Correct index, or of if the course has more sessions.

{bad}:40  zone[2].depth_mm  (nose)
  DEPTH_ABOVE_ZONE_CAP 303
  | depth_mm = 0.8
  0.80 mm is deeper than the cap of the area nose, 0.75 mm; no profile can raise
  a cap.
  Allowed: 0.10 to 0.75 mm
  To do:   Set depth_mm to 0.75 or less.

2 problems. Nothing is changed, no pen was involved.
More about a code: pinprick explain 401"""
    )


def test_check_as_json(capsys: pytest.CaptureFixture[str], good: Path, bad: Path) -> None:
    run = Run(capsys, "profile", "check", str(good), str(bad), "--json")
    assert run.exit == 2
    first, second, result = run.lines
    assert first == {
        "event": "profile",
        "file": str(good),
        "ok": True,
        "name": "Cheeks, session 2 of 6",
        "zones": 3,
        "strokes": 2500,
        "deepest_mm": 1.25,
        "trigger_s": 133.3,
        "remarks": [],
    }
    assert second == {"event": "profile", "file": str(bad), "ok": False, "problems": 2}
    assert result["error"]["name"] == "COURSE_INDEX"
    assert result["files"] == 2
    assert [problem["name"] for problem in result["problems"]] == ["COURSE_INDEX", "DEPTH_ABOVE_ZONE_CAP"]
    assert result["problems"][1] == {
        "file": str(bad),
        "line": 40,
        "column": 1,
        "code": 303,
        "name": "DEPTH_ABOVE_ZONE_CAP",
        "field": "zone[2].depth_mm",
        "zone": "nose",
        "given": 0.8,
        "limit": 0.75,
        "allowed": "0.10 to 0.75 mm",
        "hint": "Set depth_mm to 0.75 or less.",
        "message": "0.80 mm is deeper than the cap of the area nose, 0.75 mm; no profile can raise a cap.",
    }


def test_check_goes_on_after_a_bad_file(capsys: pytest.CaptureFixture[str], good: Path, tmp_path: Path) -> None:
    run = Run(capsys, "profile", "check", str(tmp_path / "nowhere.toml"), str(tmp_path), str(good))
    assert run.exit == 2
    assert "FILE_MISSING 1001" in run.err
    assert "FILE_IS_FOLDER 1002" in run.err
    assert "2 problems in 2 files." in run.err
    assert run.out.startswith("ok")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "FILE_EMPTY"),
        (b"\x00\x01\x02", "FILE_NOT_TEXT"),
        (b"a = [", "TOML_SYNTAX"),
        (b"#" * 10_000_000, "FILE_TOO_BIG"),
        (GOOD.replace("1.25", '"1.25 mm"').encode(), "FIELD_UNIT"),
        (GOOD.replace("1.25", "1e400").encode(), "DEPTH_ABOVE_CEILING"),
        (GOOD.replace("1_000", "9" * 400).encode(), "STROKES_ABOVE_SESSION"),
        (GOOD.replace("1.25", "nan").encode(), "FIELD_NOT_FINITE"),
        (GOOD.replace("2031-06-30", "2149-06-07").encode(), "WIRE_BAD_PARAM"),
    ],
)
def test_bad_input_ends_in_2_and_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: bytes, name: str
) -> None:
    path = tmp_path / "face.toml"
    path.write_bytes(data)
    run = Run(capsys, "profile", "check", str(path), "--json")
    assert run.exit == 2
    assert name in [problem["name"] for problem in run.result["problems"]]
    assert Run(capsys, "profile", "check", str(path)).text


def test_a_flood_of_problems_is_cut_for_people_and_whole_for_programs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "face.toml"
    path.write_text("".join(f"a{number} = 1\n" for number in range(100)))
    told = " ".join(Run(capsys, "profile", "check", str(path)).text.split())
    assert "107 problems (67 more not shown; --json lists all)." in told
    assert len(Run(capsys, "profile", "check", str(path), "--json").result["problems"]) == 107


def test_what_a_file_holds_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "face.toml"
    path.write_text(spoilt('name = "Cheeks', 'name = "[red]\\u001b[2J\\u009bCheeks', GOOD.replace("LOT-17", "[bold]é")))
    text = Run(capsys, "profile", "check", str(path)).text
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "[bold]é" in text
    (tmp_path / "esc.toml").write_text("a = \x1b[2J\n")
    assert "\x1b" not in Run(capsys, "profile", "check", str(tmp_path / "esc.toml")).text


# --- show -----------------------------------------------------------------------------------------------------------


def test_show_draws_depth_limit_and_cap(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "profile", "show", str(SESSION_2))
    assert run.exit == 0
    assert run.text.startswith(
        """\
Full face, session 2 of 5
Course     demo-full-face, session 2 of 5
           at least 30 days apart, at most 0.25 mm deeper each time
Cartridge  DEMO-full-face-2, lot DEMO-LOT-1, 14 needles, expires 2035-12-31
Session    at most 0.75 mm and 25,000 strokes

 #  zone               depth           set  limit   cap  strokes   rate    min
 0  forehead left      ███▒▒▒         0.40   0.75  0.75    2,400  22/40   1:50
"""
    )
    assert " 6  cheek left         ██████░░░░░░░  0.75   0.75  1.50    3,600  21/31   2:52" in run.text
    assert "    all zones                                             25,000         19:46" in run.text


@pytest.mark.parametrize("columns", [44, 60, 80, 100, 120, 200])
def test_show_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = Run(capsys, "profile", "show", str(SESSION_2)).text
    assert max(len(line) for line in text.splitlines()) <= columns
    assert "…" not in text
    assert ("of the session" in text) == (columns >= 100)


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (68, ["6", "cheek", "left", "0.75", "0.75", "1.50", "3,600", "21/31", "2:52"]),
        (60, ["6", "cheek", "left", "0.75", "0.75", "1.50", "3,600", "2:52"]),
        (54, ["cheek", "left", "0.75", "0.75", "1.50", "3,600", "2:52"]),
        (44, ["cheek", "left", "0.75", "0.75", "3,600"]),
    ],
)
def test_show_in_a_narrow_terminal_leaves_out_columns_and_cuts_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, row: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = Run(capsys, "profile", "show", str(SESSION_2)).text
    assert row in [line.split() for line in text.splitlines()]
    assert "depth set" not in text
    assert ("Rate:" in text) == ("21/31" in row)


def test_outside_of_a_terminal_nothing_is_wrapped_or_filled_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, good: Path, bad: Path
) -> None:
    monkeypatch.delenv("COLUMNS")
    shown = Run(capsys, "profile", "show", str(SESSION_2)).out
    assert max(map(len, shown.splitlines())) > 100
    for run in (Run(capsys, "profile", "new", "--out", str(good)), Run(capsys, "profile", "check", str(bad))):
        assert run.exit == 2
        assert all(line == line.rstrip() for line in run.err.splitlines())
    assert all(line == line.rstrip() for line in shown.splitlines())
    path = good.parent / "no" / ("long" * 15)
    assert f"{path} cannot be written" in Run(capsys, "profile", "new", "--out", str(path)).err


def test_show_draws_with_plain_signs_where_there_are_no_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rich.console.Console.encoding", "latin-1")
    assert "###+++ " in Run(capsys, "profile", "show", str(SESSION_2)).text


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    result = Run(capsys, "profile", "show", str(SESSION_2), "--json").result
    assert (result["name"], result["strokes"], result["trigger_s"]) == ("Full face, session 2 of 5", 25_000, 1185.1)
    assert result["limits"] == {"depth_mm": 0.75, "strokes": 25_000}
    assert (result["expired"], result["cartridge"]["expires"]) == (False, "2035-12-31")
    assert result["zones"][6] == {
        "zone": 6,
        "name": "cheek left",
        "area": "cheek",
        "side": "left",
        "depth_mm": 0.75,
        "strokes": 3600,
        "rate_per_s": 21,
        "limit_mm": 0.75,
        "cap_mm": 1.5,
        "highest_rate_per_s": 31,
        "trigger_s": 171.4,
    }


def test_show_and_diff_take_a_profile_of_the_past(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, good: Path
) -> None:
    old = tmp_path / "old.toml"
    old.write_text(spoilt("2031-06-30", "2020-01-31"))
    assert "expired 2020-01-31" in Run(capsys, "profile", "show", str(old)).text
    assert Run(capsys, "profile", "show", str(old), "--json").result["expired"] is True
    assert Run(capsys, "profile", "diff", str(old), str(good)).exit == 0


def test_show_of_a_bad_file(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    run = Run(capsys, "profile", "show", str(bad), "--json")
    assert run.exit == 2
    assert len(run.result["problems"]) == 2


# --- diff and schema ------------------------------------------------------------------------------------------------


def test_diff_shows_what_grows(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "profile", "diff", str(SESSION_2), str(SESSION_3))
    assert run.exit == 0
    assert "cheek left         depth_mm                      0.75               1.00   +0.25" in run.text
    assert "limits.depth_mm               0.75               1.00   +0.25" in run.text
    assert "course.index                     2                  3      +1" in run.text


@pytest.mark.parametrize("columns", [60])
def test_diff_in_a_narrow_terminal_cuts_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = Run(capsys, "profile", "diff", str(SESSION_2), str(SESSION_3)).text
    assert {"0.75", "1.00", "+0.25"} <= set(text.split())
    assert "…" not in text


@pytest.mark.parametrize("width", [30, 44, 71])
def test_diff_without_room_for_columns_puts_one_below_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = Run(capsys, "profile", "diff", str(SESSION_2), str(SESSION_3)).text.splitlines()
    at = lines.index("  course.index  +1")
    assert lines[at + 1 : at + 3] == ["    A 2", "    B 3"]
    at = lines.index("cheek left")
    assert lines[at + 1].startswith("  depth_mm  +")
    assert all(len(line) <= width for line in lines)


def test_diff_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    result = Run(capsys, "profile", "diff", str(SESSION_2), str(SESSION_3), "--json").result
    assert (result["a"], result["b"], result["equal"]) == (str(SESSION_2), str(SESSION_3), False)
    assert {"field": "depth_mm", "zone": "cheek left", "before": 0.75, "after": 1} in result["changes"]
    same = Run(capsys, "profile", "diff", str(SESSION_2), str(SESSION_2), "--json").result
    assert (same["equal"], same["changes"]) == (True, [])
    assert Run(capsys, "profile", "diff", str(SESSION_2), str(SESSION_2)).text == "The profiles say the same."


def test_diff_says_which_file_a_zone_is_in(capsys: pytest.CaptureFixture[str], good: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(good.read_text()[: good.read_text().rindex("[[zone]]")])
    assert "only in A" in Run(capsys, "profile", "diff", str(good), str(other)).text
    assert "only in B" in Run(capsys, "profile", "diff", str(other), str(good)).text


def test_diff_of_two_bad_files_names_the_problems_of_both(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    result = Run(capsys, "profile", "diff", str(bad), str(bad.parent / "nowhere.toml"), "--json").result
    assert [problem["name"] for problem in result["problems"]] == [
        "COURSE_INDEX",
        "DEPTH_ABOVE_ZONE_CAP",
        "FILE_MISSING",
    ]


def test_schema_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(capsys, "profile", "schema").out == (ROOT / "docs" / "profile.schema.json").read_text()
    assert Run(capsys, "profile", "schema", "--json").result["schema"] == json_schema()


# --- new ------------------------------------------------------------------------------------------------------------


def test_the_templates_offered_are_those_there_are() -> None:
    assert commands.Template.__args__ == tuple(PLANS)  # type: ignore[attr-defined]  # a Literal has its words there


@pytest.mark.parametrize("template", PLANS)
def test_new_makes_a_file_that_check_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path, template: str) -> None:
    path = tmp_path / "new.toml"
    made = Run(capsys, "profile", "new", "--template", template, "--out", str(path), "--expires", FRESH)
    assert made.exit == 0
    assert 'Still to do: course.id is the placeholder "COURSE-ID"; write the real one' in made.text
    checked = Run(capsys, "profile", "check", str(path), "--json")
    assert checked.exit == 0
    assert len(checked.lines[0]["remarks"]) == 3


def test_an_expiry_of_today_is_told_to_be_a_placeholder(capsys: pytest.CaptureFixture[str], good: Path) -> None:
    remark = "Still to do: cartridge.expires is today's date, the placeholder; write the date on the pouch"
    note = "# PLACEHOLDER (today): write the date on the pouch"
    path = good.parent / "new.toml"
    for start in (["--template", "scalp"], ["--after", str(good)]):
        made = Run(capsys, "profile", "new", *start, "--out", str(path), "--force")
        assert remark in " ".join(made.text.split())
        assert remark in " ".join(Run(capsys, "profile", "check", str(path)).text.split())
        assert note in path.read_text()
        dated = Run(capsys, "profile", "new", "--after", str(path), "--expires", FRESH).out
        assert f"\nexpires = {FRESH}\n" in dated
        assert note not in dated


def test_new_prints_a_file_when_none_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = Run(capsys, "profile", "new", "--expires", FRESH)
    path = tmp_path / "new.toml"
    path.write_text(run.out)
    assert run.err == ""
    assert "Full face, session 1 of 5" in Run(capsys, "profile", "check", str(path)).text
    assert Run(capsys, "profile", "new", "--expires", FRESH, "--json").result["text"] == run.out


def test_new_fills_in_what_is_given(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    given = ["--course-id", "c-1", "--cartridge-id", "k-1", "--lot", "l-1", "--expires", FRESH, "--session", "3"]
    result = Run(capsys, "profile", "new", "--template", "scalp", "-o", str(path), *given, "--json").result
    assert (result["file"], result["text"], result["remarks"]) == (str(path), None, [])
    shown = Run(capsys, "profile", "show", str(path), "--json").result
    assert (shown["course"]["id"], shown["course"]["index"]) == ("c-1", 3)
    assert shown["cartridge"] == {"id": "k-1", "lot": "l-1", "expires": FRESH, "needles": 14}


def test_new_never_replaces_a_file_unasked(capsys: pytest.CaptureFixture[str], good: Path) -> None:
    before = good.read_text()
    run = Run(capsys, "profile", "new", "--out", str(good))
    assert (run.exit, good.read_text()) == (2, before)
    assert "FILE_EXISTS 1007" in run.text
    assert Run(capsys, "profile", "new", "--out", str(good), "--force").exit == 0
    assert good.read_text() != before


def test_new_into_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = Run(capsys, "profile", "new", "--out", str(tmp_path / "no" / "new.toml"), "--json").result
    assert (result["exit"], result["error"]["name"]) == (2, "FILE_UNWRITABLE")


def test_new_into_what_is_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody reads it: whoever opened it would wait for ever
    for path in (str(tmp_path / "pipe"), "n" * 256):
        result = Run(capsys, "profile", "new", "--force", "--out", path, "--json").result
        assert (result["exit"], result["error"]["name"]) == (2, "FILE_UNWRITABLE")


def test_new_after_another_session(capsys: pytest.CaptureFixture[str], good: Path) -> None:
    good.write_text(good.read_text().replace(FRESH, "2020-01-31"))
    path = good.parent / "next.toml"
    assert Run(capsys, "profile", "new", "--after", str(good), "--out", str(path), "--expires", FRESH).exit == 0
    shown = Run(capsys, "profile", "show", str(path), "--json").result
    assert (shown["name"], shown["course"]["index"]) == ("Cheeks, session 3 of 6", 3)
    assert 'area = "cheek" # the left one' in path.read_text()


@pytest.mark.parametrize(
    ("options", "name", "field"),
    [
        (["--session", "9"], "USAGE", "--session"),
        (["--cartridge-id", "é"], "PROFILE_TEXT", "cartridge.id"),
        (["--expires", "2020-01-01"], "CARTRIDGE_EXPIRED", "cartridge.expires"),
        (["--expires", "soon"], "USAGE", "--expires"),
        (["--template", "elbow"], "USAGE", "--template"),
        (["--after", "FILE", "--template", "scalp"], "USAGE", "--after"),
        (["--after", "FILE", "--session", "2"], "USAGE", "--after"),
        (["--after", "nowhere.toml"], "FILE_MISSING", ""),
    ],
)
def test_new_refuses_wrong_options(
    capsys: pytest.CaptureFixture[str], good: Path, options: list[str], name: str, field: str
) -> None:
    options = [str(good) if option == "FILE" else option for option in options]
    out = good.parent / "new.toml"
    result = Run(capsys, "profile", "new", "--out", str(out), *options, "--json").result
    assert (result["exit"], result["error"]["name"], result["error"]["field"]) == (2, name, field)
    assert not out.exists()


def test_a_cartridge_named_again_for_the_next_session_is_told_of(
    capsys: pytest.CaptureFixture[str], good: Path
) -> None:
    used = load_profile(good).cartridge.id
    for named, told in ((used, True), ("another", False)):
        given = ("--cartridge-id", named, "--lot", "L", "--expires", FRESH)
        remarks = Run(capsys, "profile", "new", "--after", str(good), *given, "--json").result["remarks"]
        assert any(named in remark and "one session" in remark for remark in remarks) is told


def test_there_is_no_session_after_the_last(capsys: pytest.CaptureFixture[str], good: Path) -> None:
    good.write_text(good.read_text().replace("index = 2", "index = 6"))
    result = Run(capsys, "profile", "new", "--after", str(good), "--json").result
    assert result["error"]["message"] == "Session 7 of 6 does not exist."


# --- the command as a whole -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ["bogus"],
        ["--bogus"],
        ["profile"],
        ["profile", "bogus"],
        ["profile", "check"],
        ["profile", "check", "--bogus"],
        ["profile", "new", "--session", "x"],
        ["profile", "diff", "one.toml"],
        ["explain", "1", "2"],
    ],
)
def test_a_misused_command_ends_in_2(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    run = Run(capsys, *argv, "--json")
    assert run.exit == 2
    assert (run.result["error"]["code"], run.result["error"]["name"]) == (1201, "USAGE")
    assert run.result["error"]["message"]
    assert run.result["error"]["hint"].endswith("--help")
    told = Run(capsys, *argv)
    assert told.exit == 2
    assert "USAGE 1201" in told.text or "Usage: pinprick profile" in told.text


def test_json_after_two_dashes_is_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "profile", "check", "--", "--json")
    assert "There is no file --json." in run.text
    assert "USAGE 1201" in Run(capsys, "bogus", "--", "--json").err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "--help")
    assert run.exit == 0
    for word in ("demo", "profile", "explain", "sim", "--version", "--install-completion", "Exit codes"):
        assert word in run.text
    assert "gendocs" not in run.text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(capsys, "--version").out == f"pinprick {__version__}\n"


def crash(*_args: object, **_options: object) -> None:
    """Fail as nobody expected."""
    raise ZeroDivisionError("a secret of the inside")


@pytest.mark.parametrize("asked", ["", "option", "variable"])
def test_a_crash_is_a_sentence_a_code_and_a_trace_only_when_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, good: Path, asked: str
) -> None:
    monkeypatch.setattr(commands, "load_profile", crash)
    if asked == "variable":
        monkeypatch.setenv("PINPRICK_DEBUG", "1")
    argv = [*(["--debug"] if asked == "option" else []), "profile", "check", str(good)]
    assert main(argv) == 1
    said = capsys.readouterr()
    assert "INTERNAL 901" in said.err
    assert ("Traceback" in said.err) == bool(asked)
    assert ("pinprick --debug profile check" in said.err.replace("\n", " ")) == (not asked)
    assert main([*argv, "--json"]) == 1
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert (result["exit"], result["error"]["code"], result["error"]["name"]) == (1, 901, "INTERNAL")
    assert ("Traceback" in said.err) == bool(asked)


def test_ctrl_c_ends_with_a_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, good: Path
) -> None:
    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "load_profile", interrupt)
    result = Run(capsys, "profile", "check", str(good), "--json").result
    assert (result["exit"], result["error"]["name"]) == (1, "INTERRUPTED")
    assert (
        "The tool was ended from outside, with Ctrl-C or by a signal."
        in Run(capsys, "profile", "check", str(good)).text
    )


def test_the_generated_files_can_be_checked_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert Run(capsys, "gendocs", "--check").exit == 0
    root = ["--root", str(tmp_path)]
    assert Run(capsys, "gendocs", *root, "--json").result["error"]["name"] == "FILE_UNWRITABLE"
    (tmp_path / "docs").mkdir()
    (tmp_path / "examples").mkdir()
    stale = Run(capsys, "gendocs", "--check", *root, "--json").result
    assert (stale["exit"], stale["error"]["name"], len(stale["stale"])) == (1, "GENERATED_STALE", 10)
    assert Run(capsys, "gendocs", *root).exit == 0
    assert Run(capsys, "gendocs", "--check", *root).exit == 0
    assert (tmp_path / "docs" / "protocol.md").read_bytes() == (ROOT / "docs" / "protocol.md").read_bytes()


def test_the_tools_codes_are_in_its_own_families() -> None:
    assert all(1000 < code < 2000 for code in HOST_NAMES)
