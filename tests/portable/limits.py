"""Checks of `pencore.limits` that both Pythons run."""

from pencore import faults, limits
from pencore.units import Geometry
from tests.portable.expect import equal, refused, true


def check_rates_of_the_reference_pen() -> None:
    """The envelope's worked numbers: 21 strokes/s at 1.5 mm, 37 at 0.5 mm."""
    pen = Geometry()
    equal(limits.max_rate(1500, pen), 21)
    equal(limits.max_rate(500, pen), 37)
    true(limits.max_rate(2500, pen) < limits.max_rate(1500, pen), "deeper strokes are slower")


def check_a_stroke_at_the_highest_rate_fits_and_one_more_does_not() -> None:
    """The bound itself, at every tenth of a millimetre."""
    pen = Geometry()
    for depth_um in range(limits.DEPTH_MIN_UM, limits.DEPTH_CEILING_UM + 1, 100):
        rate, ticks = limits.max_rate(depth_um, pen), limits.stroke_ticks(depth_um, pen)
        true(rate * ticks <= 125_000_000 < (rate + 1) * ticks, "%d um" % depth_um)


def check_blocks() -> None:
    """min(500, max(50, ceil(budget / 20)), what is left)."""
    for budget, left, block in (
        (25_000, 25_000, 500),
        (10_000, 10_000, 500),
        (9_980, 9_980, 499),
        (1_001, 1_001, 51),
        (1_000, 1_000, 50),
        (20, 20, 20),
        (25_000, 499, 499),
        (25_000, 0, 0),
        (200_000, 200_000, 500),
    ):
        equal(limits.block_strokes(budget, left), block, "budget %d, left %d" % (budget, left))


def check_every_area_has_a_cap_below_the_ceiling() -> None:
    """No cap reaches past what any pen may do, and each area's usual low lies below its cap."""
    for code, (name, low_um, cap_um) in enumerate(limits.AREAS):
        true(limits.DEPTH_MIN_UM <= low_um < cap_um <= limits.DEPTH_CEILING_UM, name)
        equal(limits.zone_cap_um(code), cap_um, name)
        equal(limits.area_name(code), name)


def check_an_unknown_area_is_refused() -> None:
    """The first code past the table, and one below it."""
    past = len(limits.AREAS)
    refusal = refused(faults.PROFILE_ZONE_AREA, limits.zone_cap_um, past)
    equal((refusal.field, refusal.given, refusal.limit), ("zone.area", past, past - 1))
    refused(faults.PROFILE_ZONE_AREA, limits.zone_cap_um, -1)
    equal(limits.area_name(past), "area-%d" % past)


def check_a_range_includes_its_ends_and_names_the_broken_bound() -> None:
    """At the bounds nothing is refused; one past each of them is."""
    for given in (100, 101, 2500):
        limits.check_range(faults.DEPTH_TOO_SMALL, "zone.depth_um", given, 100, 2500)
    low = refused(faults.DEPTH_TOO_SMALL, limits.check_range, faults.DEPTH_TOO_SMALL, "zone.depth_um", 99, 100, 2500, 3)
    equal((low.field, low.given, low.limit, low.zone), ("zone.depth_um", 99, 100, 3))
    high = refused(faults.DEPTH_TOO_SMALL, limits.check_range, faults.DEPTH_TOO_SMALL, "zone.depth_um", 2501, 100, 2500)
    equal((high.given, high.limit, high.zone), (2501, 2500, None))


def check_each_bound_can_only_tighten() -> None:
    """Whichever of the five is least is the one that holds."""
    pen = Geometry()
    cheek = 4
    for at in range(5):
        values = [2000, 2000, 2000, 2000, 2000]
        values[at] = 1000
        ceiling, calibration, cap, session, depth = values
        bounds = limits.Bounds(pen, 0, ceiling, calibration, (2500, 2500, 2500, 2500, cap))
        wanted = 1000
        equal(limits.effective_um(bounds, cheek, session, depth), wanted, "bound %d" % at)
    loose = limits.Bounds(pen, 0, 2500, 2500, (2500,) * 32)
    equal(limits.effective_um(loose, cheek, 2500, 2500), 1500, "a provisioned cap never raises the absolute one")
