"""The harness itself: values cross whole, errors are never lost, a hung VM is ended, memory is given back."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pencore.faults import DEPTH_ABOVE_CEILING, LOST_STEPS, Fault, Refusal
from tests.vm import nodejs
from tests.vm.machine import CPython, Instance, Interpreter, Make, MicroPythonVM, PythonError, VmDied, agreed

GUEST = "tests.vm.guest"
FAULTS = "tests.portable.faults"

texts = st.text(st.characters(exclude_categories=["Cs"]))
hashable = st.integers() | texts | st.binary()
values = st.recursive(
    st.none() | st.booleans() | hashable | st.binary().map(bytearray),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(hashable, inner),
    max_leaves=8,
)


@pytest.fixture(params=["cpython", "micropython"])
def python(request: pytest.FixtureRequest, vm: MicroPythonVM) -> Interpreter:
    """Return each of the two Pythons."""
    return vm if request.param == "micropython" else CPython()


def same(one: object, other: object) -> bool:
    """Return whether two values are equal and of the same classes throughout (True is not 1)."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


@given(value=values)
def test_a_value_comes_back_as_it_went(vm: MicroPythonVM, value: object) -> None:
    assert same(vm.call(GUEST, "echo", [value]), value)


def test_it_is_micropython_with_the_pen_s_small_integers(vm: MicroPythonVM) -> None:
    assert vm.run("import sys\nresult = [sys.implementation.name, sys.maxsize]") == ["micropython", 2**31 - 1]


def test_only_what_is_flashed_can_be_imported(vm: MicroPythonVM) -> None:
    for module in ("pencore.ports", "pinprick", "pensim", "tests.vm.machine"):
        with pytest.raises(PythonError, match="ImportError"):
            vm.run(f"import {module}")


@pytest.mark.parametrize("detail", [("zone.depth_um", 2501, 2500, 31), ("", None, None, None), ("é\n", -1, 0, 0)])
def test_a_refusal_crosses_whole(python: Interpreter, detail: tuple[object, ...]) -> None:
    field, given_value, limit, zone = detail
    with pytest.raises(Refusal) as caught:
        python.call(FAULTS, "refuse", [DEPTH_ABOVE_CEILING, field, given_value, limit, zone])
    refusal = caught.value
    assert refusal.code == DEPTH_ABOVE_CEILING
    assert (refusal.field, refusal.given, refusal.limit, refusal.zone) == detail


def test_a_fault_crosses_whole(python: Interpreter) -> None:
    with pytest.raises(Fault) as caught:
        python.call(FAULTS, "stop", [LOST_STEPS, -12])
    assert (caught.value.code, caught.value.aux) == (LOST_STEPS, -12)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def f():\n    return 1 // 0\nf()", "ZeroDivisionError"),
        ("x = (", "SyntaxError"),
        ("raise ValueError('é')", "ValueError"),
        ("import nothing_of_that_name", "ImportError"),
        ("result = 0.5", "TypeError"),
    ],
)
def test_an_exception_is_reported_by_name_with_its_traceback(vm: MicroPythonVM, source: str, name: str) -> None:
    with pytest.raises(PythonError) as caught:
        vm.run(source)
    assert caught.value.name == name
    assert "Traceback" in str(caught.value)
    assert vm.run("result = 'still there'") == "still there"


def test_a_traceback_names_the_line(vm: MicroPythonVM) -> None:
    with pytest.raises(PythonError, match="line 2, in f"):
        vm.run("def f():\n    return 1 // 0\nf()")


def test_a_failed_check_fails(python: Interpreter) -> None:
    with pytest.raises(PythonError, match="the sum: 3 is not 4"):
        python.call("tests.portable.expect", "equal", [3, 4, "the sum"])


def test_what_is_printed_is_kept_apart(vm: MicroPythonVM) -> None:
    assert vm.run("print('one'); print('=two')\nresult = 3") == 3
    assert vm.printed == ["one", "=two"]
    assert vm.run("result = 4") == 4
    assert vm.printed == []


def test_objects_are_made_there_and_come_back_as_their_attributes(python: Interpreter) -> None:
    bounds = python.call("pencore.limits", "Bounds", [Make("pencore.units", "Geometry", [400]), 0, 2000])
    assert isinstance(bounds, Instance)
    fields = dict(bounds.fields)
    assert (bounds.name, fields["ceiling_um"]) == ("Bounds", 2000)
    geometry = fields["geometry"]
    assert isinstance(geometry, Instance)
    assert dict(geometry.fields)["full_steps"] == 400


def test_a_difference_between_the_pythons_is_found(vm: MicroPythonVM) -> None:
    with pytest.raises(AssertionError, match=r"(?s)micropython: .*cpython: "):
        agreed(vm, "struct", "pack", ["<B", 300])  # wraps in silence on the pen


def test_thousands_of_calls_leave_no_memory_behind(vm: MicroPythonVM) -> None:
    used = "import gc\nresult = gc.mem_alloc()"
    vm.run(used)
    before = vm.run(used)
    for _ in range(2_000):
        vm.call(GUEST, "echo", [bytes(2_000)])
    assert vm.run(used) < before + 20_000  # some thirty million bytes of lines and values went through


def test_a_hung_vm_is_ended_and_says_so() -> None:
    with MicroPythonVM(timeout_s=0.5) as hung:
        assert hung.run("result = 1") == 1
        with pytest.raises(VmDied, match=r"no answer within 0\.5 s"):
            hung.run("while True:\n    pass")
        with pytest.raises(VmDied, match="closed"):
            hung.run("result = 1")


def test_an_exit_inside_is_a_death_with_its_reason() -> None:
    with MicroPythonVM() as dying, pytest.raises(VmDied, match=r"(?s)exit code 1.*SystemExit"):
        dying.run("raise SystemExit")


def test_node_is_the_one_on_path_and_the_bundled_one_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_path = shutil.which("node")
    if on_path is not None:
        assert nodejs.node_command() == [on_path]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nodejs, "bundled_folder", lambda: tmp_path)
    assert Path(nodejs.node_command()[0]).parts[: len(tmp_path.parts)] == tmp_path.parts
    node, npm = nodejs.npm_command()
    assert node == nodejs.node_command()[0]
    assert npm.endswith("npm-cli.js")
