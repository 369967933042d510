"""The whole runner on both Pythons: the same script must give the same lines, lights, files and strokes, byte for byte."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core_scripts import Act, ledger_entries, scripts, start_times_ms
from tests.vm.machine import MicroPythonVM, agreed

IDEAL_PEN = "tests.portable.ideal_pen"


@settings(max_examples=40)
@given(script=scripts, start_ms=start_times_ms, key_id=st.sampled_from([0, 7]), entries=ledger_entries)
def test_a_session_is_the_same_on_both(
    vm: MicroPythonVM, script: list[Act], start_ms: int, key_id: int, entries: int
) -> None:
    seen: Any = agreed(vm, IDEAL_PEN, "play", [script, start_ms, key_id, entries])
    assert seen.raised == "", seen.trace
    assert seen.value[1] == []
