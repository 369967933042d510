"""The guides for users: every command that they show is run, and prints what they say that it prints."""

import re
from pathlib import Path

import pytest

from pencore import faults
from pinprick import errors
from tests.support import guide

_LINK = re.compile(r"\]\(([^)#]+)?(?:#([^)]+))?\)")
_CODE = re.compile(r"`([A-Z]+(?:_[A-Z]+)+)`")
_NAMES = {*faults.NAMES.values(), *errors.HOST_NAMES.values()}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", guide.PAGES, ids=lambda path: path.stem)
def test_a_guide_shows_what_its_commands_print(path: Path, tmp_path: Path) -> None:
    page = guide.read(path)
    assert len(page.commands()) >= 10
    for outcome in guide.carry_out(page, tmp_path):
        command = outcome.command
        told, printed = guide.normal(page.told(command)), guide.normal(outcome.printed)
        assert printed == told, f"{path.name}:{command.line}: {command.text}"


def test_there_is_a_guide_for_each_reader() -> None:
    assert [path.stem for path in guide.PAGES] == ["ci", "practitioner", "technician"]


def test_nothing_is_made_equal_that_no_guide_shows() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in guide.PAGES)
    for what, pattern, instead in guide.VARIES:
        assert re.search(pattern, shown), what
        assert not re.search(pattern, instead), what


@pytest.mark.parametrize("path", guide.PAGES, ids=lambda path: path.stem)
def test_the_links_and_codes_of_a_guide_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target, heading in _LINK.findall(text):
        page = path.parent / target if target else path
        assert page.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in headings]
    named = {code for code in _CODE.findall(text) if not code.startswith("PINPRICK_")}
    assert named <= _NAMES


def test_the_jobs_use_what_the_guide_has_shown() -> None:
    page = guide.read(next(path for path in guide.PAGES if path.stem == "ci"))
    shown = {command.text for command in page.commands()}
    jobs = re.findall(r"^```yaml\n(.*?)^```$", "\n".join(page.lines), re.MULTILINE | re.DOTALL)
    assert len(jobs) == 2
    for job in jobs:
        used = re.findall(r"^ +(?:- )?(?:run: )?((?:pinprick|until|sh) .+)$", job, re.MULTILINE)
        assert len(used) == 5
        assert set(used) <= shown


# --- the harness itself ----------------------------------------------------------------------------------------------
LYING = """# A page

<!-- guide: file hello.txt -->
```text
hello
```

<!-- guide: run grep -q hello hello.txt -->
<!-- guide: when "three" run touch seen -->
```console
$ cat hello.txt
good-bye
$ ls seen
$ printf '%s\\n' one \\
    three
one
three
$ ls seen
seen
$ (exit 3)
$ echo $?
3
$ date -u '+%Y-%m-%d is a day'
1999-12-31 is a day
```
"""


def test_a_page_that_lies_is_found_and_put_right(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(LYING, encoding="utf-8")
    page = guide.read(path)
    folder = tmp_path / "here"
    folder.mkdir()
    outcomes = list(guide.carry_out(page, folder))
    wrong = [at.command.text for at in outcomes if guide.normal(at.printed) != guide.normal(page.told(at.command))]
    assert wrong == ["cat hello.txt", "ls seen"]
    assert [at.exit for at in outcomes[2:6]] == [0, 0, 3, 0]
    # The date is another one, and stays as it is: only what is wrong is written anew.
    missing = outcomes[1].printed
    right = LYING.replace("good-bye", "hello").replace("$ ls seen\n$", f"$ ls seen\n{missing}$")
    assert guide.rewritten(page, outcomes) == right


def test_a_hidden_command_has_to_succeed(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("<!-- guide: run false -->\n", encoding="utf-8")
    folder = tmp_path / "here"
    folder.mkdir()
    with pytest.raises(guide.BadGuide, match="exit code 1"):
        list(guide.carry_out(guide.read(path), folder))


@pytest.mark.parametrize("comment", ["sleep 1", "run", 'when "x" sing'])
def test_a_comment_that_is_none_is_refused(comment: str, tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"<!-- guide: {comment} -->\n", encoding="utf-8")
    with pytest.raises(guide.BadGuide, match=r"page\.md:1"):
        guide.read(path)


def test_a_command_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guide, "_COMMAND_S", 0.3)
    with guide.Shell(tmp_path) as shell, pytest.raises(guide.BadGuide, match="still running"):
        shell.run("sleep 60")


def test_a_ctrl_c_reaches_the_command_when_it_says_so(tmp_path: Path) -> None:
    with guide.Shell(tmp_path) as shell:
        waiting = "trap 'echo stopped; exit 7' INT; echo go; while :; do sleep 0.1; done"
        printed, code = shell.run(waiting, [("go", None)])
    assert (printed, code) == ("go\nstopped\n", 7)
