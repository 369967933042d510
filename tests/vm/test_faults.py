"""`pencore.faults`: what a refusal or a fault says is the same in both Pythons, to the last character."""

from hypothesis import given
from hypothesis import strategies as st

from pencore.faults import NAMES
from tests.vm.machine import MicroPythonVM, agreed

FAULTS = "tests.portable.faults"

codes = st.sampled_from(sorted(NAMES)) | st.integers(0, 1_000)
numbers = st.none() | st.integers(-(2**31), 2**32 - 1)
fields = st.text("abcdefghijklmnopqrstuvwxyz._", max_size=24)


@given(code=codes, field=fields, given_value=numbers, limit=numbers, zone=st.none() | st.integers(0, 31))
def test_refusals(
    vm: MicroPythonVM, code: int, field: str, given_value: int | None, limit: int | None, zone: int | None
) -> None:
    parts = [code, field, given_value, limit, zone]
    outcome = agreed(vm, FAULTS, "refuse", parts)
    assert (outcome.raised, outcome.detail) == ("Refusal", tuple(parts))
    text = agreed(vm, FAULTS, "text_of_refusal", parts).value
    assert text == f"{code} {NAMES.get(code, '?')} field={field} zone={zone} given={given_value} limit={limit}"


@given(code=codes, aux=st.integers(-(2**31), 2**32 - 1))
def test_faults(vm: MicroPythonVM, code: int, aux: int) -> None:
    outcome = agreed(vm, FAULTS, "stop", [code, aux])
    assert (outcome.raised, outcome.detail) == ("Fault", (code, aux))
    assert agreed(vm, FAULTS, "text_of_fault", [code, aux]).value == f"{code} {NAMES.get(code, '?')} aux={aux}"
