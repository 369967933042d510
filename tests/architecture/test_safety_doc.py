"""docs/safety.md stands on what there is: places, numbers, tests by name. What ran, `python -m tests.safety` says."""

import re
from pathlib import Path

import pytest

from tests.safety import page
from tests.safety.__main__ import campaign_names
from tests.safety.check import Case
from tests.safety.rows import HAZARDS_MIN, read

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / page.PATH).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(ROOT, read(ROOT), campaign_names(ROOT))


def test_every_row_stands_on_something(case: Case) -> None:
    orphans = [str(orphan) for orphan in case.standing()]
    assert not orphans, "\n" + "\n".join(orphans)


def test_the_page_is_up_to_date(case: Case) -> None:
    assert page.made_anew(case) == TEXT, "run `make docs`"


def test_every_hazard_limit_and_code_is_in_the_page(case: Case) -> None:
    assert len(case.rows.hazards) >= HAZARDS_MIN
    for hazard in case.rows.hazards:
        assert f"### {hazard.number}. {hazard.hazard}\n" in TEXT
    for limit in case.rows.limits:
        assert f"| `{limit.where}` |" in TEXT
    for code in case.rows.codes:
        assert f"`{code.code}` |" in TEXT


def test_every_link_of_the_page_leads_somewhere() -> None:
    anchors = {f"#{anchor}" for anchor in re.findall(r'<a id="([\w-]+)">', TEXT)}
    links = set(re.findall(r"\]\(([^)]+)\)", TEXT))
    assert len(links) > 100
    for link in links:
        assert link in anchors if link.startswith("#") else (ROOT / "docs" / link).exists(), link


@pytest.mark.parametrize(
    "said",
    [
        "class B in the sense of IEC 62304",
        "class C",
        "classifies it anew",
        "What no test here shows",
        "No test has run on a board.",
    ],
)
def test_the_page_says_what_it_assumes_and_what_it_cannot_show(said: str) -> None:
    assert said in TEXT
