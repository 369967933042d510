"""`pinprick explain`: every code of pen and tool is worded, and nothing else is."""

import json
import re
from typing import Any

import pytest

from pencore import faults
from pinprick import errors, wording
from pinprick.cli import main
from pinprick.cli.explain import find
from pinprick.errors import InputError, code_name

CODES = sorted(wording.WORDING)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the result of `explain` as JSON."""
    code = main(["explain", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_every_code_of_the_pen_is_worded_and_no_other() -> None:
    assert {code for code in CODES if code < 1000} == set(faults.NAMES)


def test_every_code_of_the_tool_is_worded_and_no_other() -> None:
    assert {code for code in CODES if code >= 1000} == set(errors.HOST_NAMES)


def test_the_tools_names_are_its_constants() -> None:
    constants = {
        value: name
        for name, value in vars(errors).items()
        if name.isupper() and isinstance(value, int) and not name.startswith("EXIT_")
    }
    assert constants == errors.HOST_NAMES


def test_names_are_unique_and_codes_stand_in_order() -> None:
    names = [code_name(code) for code in CODES]
    assert len(set(names)) == len(names)
    assert "UNKNOWN" not in names
    assert list(wording.WORDING) == CODES


def test_every_family_has_a_title_and_codes() -> None:
    assert {code // 100 for code in CODES} == set(wording.FAMILIES)
    assert wording.family(707) == "motion"
    assert wording.family(9900) == ""


@pytest.mark.parametrize("code", CODES)
def test_each_wording_is_whole_sentences(code: int) -> None:
    words = wording.WORDING[code]
    for text in (words.what, words.client, words.todo):
        assert re.fullmatch(r"[A-Z`].*[.]", text), text
        assert "  " not in text
        assert text.count("`") % 2 == 0


def test_no_two_codes_say_the_same() -> None:
    said = [words.what for words in wording.WORDING.values()]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("code", [code for code in CODES if code // 100 in (2, 3, 4)])
def test_what_a_profile_is_refused_for_moves_nothing(code: int) -> None:
    assert wording.WORDING[code].client.startswith("Yes. The pen ")


@pytest.mark.parametrize("code", [code for code in CODES if code // 100 == 7])
def test_a_motion_fault_tells_to_lift_the_pen_off_the_skin(code: int) -> None:
    assert "off the skin" in wording.WORDING[code].client


def test_a_code_of_a_newer_pen_has_words_too() -> None:
    assert "does not know" in wording.of(799).what
    assert wording.of(707) is wording.WORDING[707]


@pytest.mark.parametrize("word", ["311", "RATE_TOO_HIGH", "rate_too_high", " Rate-Too-High "])
def test_a_code_is_found_by_number_and_by_name_in_any_case(word: str) -> None:
    assert find(word) == 311


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("RATE_TOO_HI", "RATE_TOO_HIGH"),
        ("zone_cap", "DEPTH_ABOVE_ZONE_CAP"),
        ("RAET_TOO_LOW", "RATE_TOO_LOW"),
        ("²", ""),
        ("9" * 5000, ""),
        ("", ""),
    ],
)
def test_an_unknown_code_is_refused_with_the_nearest(word: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        find(word)
    assert caught.value.name == "CODE_UNKNOWN"
    assert hint in caught.value.hint


def test_explain_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, result = run(capsys, "DEPTH_ABOVE_ZONE_CAP")
    assert code == 0
    assert (result["code"], result["name"], result["ok"]) == (303, "DEPTH_ABOVE_ZONE_CAP", True)
    assert (result["family"], result["what"]) == ("limits of depth, strokes and rate", wording.WORDING[303].what)
    assert (result["client"], result["todo"]) == (wording.WORDING[303].client, wording.WORDING[303].todo)
    assert main(["explain", "303"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        "303 DEPTH_ABOVE_ZONE_CAP",
        "What happened A zone is deeper",
        "Is the client safe? Yes.",
        "What to do",
    ):
        assert text in said


def test_explain_all(capsys: pytest.CaptureFixture[str]) -> None:
    code, result = run(capsys)
    assert code == 0
    assert [entry["code"] for entry in result["codes"]] == CODES
    assert main(["explain"]) == 0
    said = capsys.readouterr().out
    for number in CODES:
        assert re.search(rf"^ *{number}  {code_name(number)}  ", said, re.MULTILINE), number


def test_explain_of_nothing_known(capsys: pytest.CaptureFixture[str]) -> None:
    code, result = run(capsys, "42")
    assert (code, result["error"]["name"], result["error"]["given"]) == (2, "CODE_UNKNOWN", "42")
