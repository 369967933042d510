"""docs/scenarios.md says what the code does, and its example runs."""

import re
from pathlib import Path

from pensim.scenario.acts import HANDS_ACTS, HOST
from pensim.scenario.conditions import WHATS
from pensim.scenario.handbook import PATH, filled_in
from tests.support.scenario_files import of, play_here

PAGE = (Path(__file__).parents[2] / PATH).read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    assert filled_in(PAGE) == PAGE, "run `make docs`"
    for name in (*HOST, *HANDS_ACTS, *(what.name for what in WHATS)):
        assert f"| `{name}` |" in PAGE


def test_a_table_that_is_changed_by_hand_is_found() -> None:
    assert filled_in(PAGE.replace("| `arm` |", "| `ready` |")) == PAGE


def test_the_example_goes_as_it_says() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    went = play_here(of(example))
    assert went.ok, went.log()
