"""What is said of a part of the tool that is not installed."""

import pytest

from pinprick.cli.extras import PARTS, needing_extra
from pinprick.errors import EXTRA_MISSING, PinprickError


@pytest.mark.parametrize("name", sorted(PARTS))
@pytest.mark.parametrize("inside", ["", ".inside"])
def test_a_missing_part_says_what_to_install(name: str, inside: str) -> None:
    with pytest.raises(PinprickError) as caught, needing_extra():
        raise ModuleNotFoundError("away", name=name + inside)
    assert caught.value.code == EXTRA_MISSING
    assert caught.value.message.endswith(", which is not installed.")
    assert caught.value.hint == f"Install it with: pip install {PARTS[name][1]}"


@pytest.mark.parametrize("name", ["littlefsx", "json", None])
def test_another_missing_module_is_a_fault_of_the_tool(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError), needing_extra():
        raise ModuleNotFoundError("away", name=name)
