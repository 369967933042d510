"""Checks of `pencore.units` that both Pythons run."""

from pencore.units import Geometry, isqrt, ms_add, ms_since
from tests.portable.expect import equal, true


def check_roots_of_squares_and_their_neighbours() -> None:
    """Worked numbers on both sides of every square, past the pen's 31-bit small integers."""
    for root in (1, 2, 3, 10, 181, 46_340, 65_536, 1_000_003, 2**40 + 1):
        equal(isqrt(root * root), root)
        equal(isqrt(root * root - 1), root - 1)
        equal(isqrt(root * root + 2 * root), root)
    equal(isqrt(0), 0)


def check_milliseconds_wrap_at_32_bits() -> None:
    """A clock just before its wrap and just after it."""
    equal(ms_add(0xFFFF_FFFF, 1), 0)
    equal(ms_add(0xFFFF_FF00, 0x200), 0x100)
    equal(ms_since(0, 0xFFFF_FFFF), 1)
    equal(ms_since(0xFFFF_FFFF, 0), -1)
    equal(ms_since(0x7FFF_FFFF, 0), 2**31 - 1)
    equal(ms_since(0x8000_0000, 0), -(2**31))


def check_the_reference_pen_s_geometry() -> None:
    """400 steps a millimetre; 1.5 mm lie 800 steps from home."""
    pen = Geometry()
    equal(pen.steps_per_turn, 1600)
    equal(pen.steps_floor(1000), 400)
    equal(pen.stroke_steps(1500), 800)
    equal(pen.depth_um(800), 1500)
    equal(pen.depth_um(200), 0)
    equal(pen.depth_um(201), 3)


def check_depths_are_rounded_down_and_reports_up() -> None:
    """Between two steps the needle stops at the upper one, and the depth told is never less than the one reached."""
    pen = Geometry()
    equal(pen.steps_floor(1499), 599)
    equal(pen.steps_ceil(1499), 600)
    equal(pen.um_ceil(1), 3)
    for depth_um in (100, 501, 999, 1499, 2499):
        steps = pen.stroke_steps(depth_um)
        true(pen.um_ceil(steps) <= pen.retract_offset_um + depth_um, "deeper than %d um" % depth_um)


def check_the_largest_products_stay_exact() -> None:
    """The finest screw the provisioning takes: products far past 2**31."""
    fine = Geometry(400, 64, 500, 1_000_000, 100_000, 2000, 1600, 5000, 20_000)
    equal(fine.steps_floor(10_000), 512_000)
    equal(fine.um_ceil(512_000), 10_000)
