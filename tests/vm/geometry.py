"""Any geometry that a pen may be provisioned with, for hypothesis. Host only."""

from hypothesis import strategies as st

from pencore.units import Geometry
from tests.vm.machine import Make

# The ranges are those of `Geometry`'s docstring.
geometries: st.SearchStrategy[Geometry] = st.builds(
    Geometry,
    full_steps=st.integers(20, 400),
    microsteps=st.sampled_from([1, 2, 4, 8, 16, 32, 64]),
    lead_um=st.integers(500, 20_000),
    v_max_um_s=st.integers(1_000, 1_000_000),
    a_max_mm_s2=st.integers(100, 100_000),
    retract_offset_um=st.integers(100, 2_000),
    home_margin_steps=st.integers(0, 80),
    stop_um=st.integers(100, 5_000),
    dwell_us=st.integers(0, 20_000),
)


def as_argument(geometry: Geometry) -> Make:
    """Return the argument from which either Python makes this geometry."""
    return Make("pencore.units", "Geometry", geometry.as_list())
