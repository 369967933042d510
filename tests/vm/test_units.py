"""`pencore.units`: CPython and MicroPython give the same answers, and the right ones."""

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pencore.units import Geometry
from tests.vm.geometry import as_argument, geometries
from tests.vm.machine import MicroPythonVM, agreed

UNITS = "pencore.units"

u32 = st.integers(0, 2**32 - 1)
spans_ms = st.integers(-(2**31), 2**31 - 1)
distances_um = st.integers(0, 10_000)


@given(value=st.integers(0, 2**128) | st.integers(0, 2**31).map(lambda root: root * root))
def test_isqrt(vm: MicroPythonVM, value: int) -> None:
    assert agreed(vm, UNITS, "isqrt", [value]).value == math.isqrt(value)


@given(then_ms=u32, delta_ms=u32)
def test_ms_add(vm: MicroPythonVM, then_ms: int, delta_ms: int) -> None:
    assert agreed(vm, UNITS, "ms_add", [then_ms, delta_ms]).value == (then_ms + delta_ms) % 2**32


@given(then_ms=u32, span_ms=spans_ms)
def test_ms_since(vm: MicroPythonVM, then_ms: int, span_ms: int) -> None:
    assert agreed(vm, UNITS, "ms_since", [(then_ms + span_ms) % 2**32, then_ms]).value == span_ms


@given(geometry=geometries, distance_um=distances_um)
def test_steps_of_a_distance(vm: MicroPythonVM, geometry: Geometry, distance_um: int) -> None:
    exact = Fraction(distance_um * geometry.steps_per_turn, geometry.lead_um)
    pen = as_argument(geometry)
    assert agreed(vm, UNITS, "Geometry.steps_floor", [pen, distance_um]).value == math.floor(exact)
    assert agreed(vm, UNITS, "Geometry.steps_ceil", [pen, distance_um]).value == math.ceil(exact)


@given(geometry=geometries, steps=st.integers(0, 512_000))
def test_um_of_steps(vm: MicroPythonVM, geometry: Geometry, steps: int) -> None:
    exact = Fraction(steps * geometry.lead_um, geometry.steps_per_turn)
    pen = as_argument(geometry)
    assert agreed(vm, UNITS, "Geometry.um_ceil", [pen, steps]).value == math.ceil(exact)
    reached = math.ceil(exact) - geometry.retract_offset_um
    assert agreed(vm, UNITS, "Geometry.depth_um", [pen, steps]).value == max(0, reached)


@given(geometry=geometries, depth_um=st.integers(100, 2_500))
def test_a_stroke_never_goes_deeper_than_asked(vm: MicroPythonVM, geometry: Geometry, depth_um: int) -> None:
    steps = agreed(vm, UNITS, "Geometry.stroke_steps", [as_argument(geometry), depth_um]).value
    assert isinstance(steps, int)
    step_um = Fraction(geometry.lead_um, geometry.steps_per_turn)
    asked_um = geometry.retract_offset_um + depth_um
    assert steps * step_um <= asked_um < (steps + 1) * step_um
