"""A bit of a limit flips in the pen's memory, before or after a zone was made ready. No stroke too many, none too deep.

What has a checksum is read anew for each load, arming and zone; what counts in between is kept twice.
"""

from collections.abc import Callable
from typing import Any

import pytest

from pencore import faults, limits, units
from pencore.faults import Refusal
from pencore.provision import Provision
from pensim.faults import fault
from tests.support import profiles
from tests.support.bench import Bench

ZONES: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, 0, 1000, 8, 25), (profiles.NOSE, 0, 300, 8, 25))
Spoil = Callable[[Any], None]


def flip(holder: str, name: str, bit: int) -> Spoil:
    """Return what flips a bit of a number below the session: `holder` is "" or "profile" or "profile.zones.0"."""

    def act(session: Any) -> None:
        found = session
        for part in filter(None, holder.split(".")):
            found = found[int(part)] if part.isdigit() else getattr(found, part)
        setattr(found, name, getattr(found, name) ^ 1 << bit)

    return act


BUDGETS: dict[str, Spoil] = {
    "the zone's": flip("profile.zones.0", "strokes", 5),
    "the session's": flip("profile", "strokes", 10),
    "the cartridge's": flip("", "_cartridge_strokes", 6),
    "the room": flip("_room", "_value", 5),
}


@pytest.mark.parametrize("at_work", [False, True])
@pytest.mark.parametrize("name", BUDGETS)
def test_a_flipped_budget_allows_no_stroke_more(name: str, at_work: bool) -> None:
    """With a cartridge for 9 strokes, of which one zone may have 8."""
    setup = Provision("SIM-0001", limits.Bounds(units.Geometry(), cartridge_strokes=9))
    setup.calibrated_at = 1_750_000_000
    pen = Bench(setup=setup)
    pen.may_coast = True
    pen.load_new((ZONES[0], (*ZONES[1][:3], 1, 25)))
    if not at_work:
        BUDGETS[name](pen.runner.session)
    pen.arm(0)
    pen.hold(150)
    if at_work:
        BUDGETS[name](pen.runner.session)
    pen.press()
    pen.hold(1500)
    assert pen.needle_strokes()["1.0"] in (0, 8)
    pen.release()
    pen.hold(200)
    if pen.status()["fault"]:
        # Found before anything was reserved, so that there is no session to go on with.
        assert (pen.status()["fault"], sum(pen.needle_strokes().values())) == (faults.MEMORY_CORRUPT, 0)
        pen.recover_from_fault()
    else:
        pen.finish_session()
        assert sum(pen.needle_strokes().values()) == 9
    pen.pull()
    pen.check()


def test_a_flipped_bound_of_the_cartridge_takes_no_bigger_profile() -> None:
    setup = Provision("SIM-0001", limits.Bounds(units.Geometry(), cartridge_strokes=100))
    setup.calibrated_at = 1_750_000_000
    pen = Bench(setup=setup)
    pen.change_cartridge()
    data = profiles.data(pen.hello(), ((profiles.CHEEK, 0, 300, 120, 25),))
    pen.damage.do(fault("limit-bit", limit="cartridge_strokes", bit=10))
    with pytest.raises(Refusal) as refused:
        pen.load(data)
    assert refused.value.code == faults.STROKES_ABOVE_CARTRIDGE


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_margin_of_home_moves_no_needle_deeper(bit: int) -> None:
    pen = Bench()
    pen.may_coast = True
    pen.load_new(ZONES)
    pen.damage.do(fault("limit-bit", limit="geometry.home_margin_steps", bit=bit))
    pen.finish_session()
    pen.pull()
    pen.check(exact=True)


@pytest.mark.parametrize("bit", [561, 1200, 1263])
def test_a_profile_that_flips_before_the_first_press_spoils_nothing(bit: int) -> None:
    """What the journal is told of the profile is so of the one in flash, or no boot would find it whole."""
    pen = Bench()
    pen.may_coast = True
    pen.load_new(ZONES)
    pen.arm()
    pen.hold(150)
    pen.damage.do(fault("profile-bit", bit=bit))
    pen.press()
    pen.hold(300)
    pen.release()
    pen.hold(400)
    assert pen.status()["fault"] == faults.MEMORY_CORRUPT
    assert sum(pen.needle_strokes().values()) == 0
    pen.unpower()
    pen.run_ms(200)
    pen.restart()
    pen.run_ms(300)
    assert pen.status()["fault"] == 0
    pen.play_session(ZONES)
    pen.check()
