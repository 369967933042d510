"""However a pen is built and set up, whatever profile it accepts, whoever holds it: the needle stays within the limits.

The plant says how deep the needle went; the limit is worked out by the test. Homing may not let the needles out at all.
"""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore import faults, wire
from pencore.faults import Refusal
from pencore.provision import Provision
from pencore.units import Geometry
from tests.support import profiles
from tests.support.bench import Bench, label
from tests.support.pens import pens, people, sessions


def exact_depth_um(setup: Provision, depth_um: int) -> Fraction:
    """Return the deepest point that whole steps reach without passing `depth_um`."""
    geometry = setup.bounds.geometry
    step_um = Fraction(geometry.lead_um, geometry.full_steps * geometry.microsteps)
    steps = (geometry.retract_offset_um + depth_um) // step_um
    return steps * step_um - geometry.retract_offset_um


@settings(max_examples=60)
@given(data=st.data())
def test_every_accepted_profile_is_played_to_its_depth_and_no_deeper(data: st.DataObject) -> None:
    setup = data.draw(pens())
    zones = data.draw(sessions(setup, most_strokes=4))
    pen = Bench(setup=setup)
    pen.play_session(zones)
    pen.check(exact=True)
    tallies = pen.plant.report().labels
    for zone, spec in enumerate(zones):
        tally = tallies[label(1, zone)]
        assert (tally.begun, tally.strokes) == (spec[3], spec[3])
        assert tally.deepest_um == pytest.approx(float(exact_depth_um(setup, spec[2])), abs=1e-6)


@settings(max_examples=60)
@given(data=st.data())
def test_no_one_gets_deeper_or_more(data: st.DataObject) -> None:
    setup = data.draw(pens())
    zones = data.draw(sessions(setup))
    script = data.draw(people())
    pen = Bench(setup=setup)
    pen.may_coast = True
    pen.load_new(zones)
    pen.arm()
    for name, value in script:
        use(pen, name, value)
    put_away(pen)
    pen.pull()
    pen.check()


def use(pen: Bench, name: str, value: Any) -> None:
    """Let somebody do one thing, sensible or not; what the pen refuses is refused."""
    if name == "press":
        pen.press()
        pen.hold(value)
    elif name == "release":
        pen.release()
        pen.hold(value)
    elif name == "leave":
        pen.run_ms(value)
    elif name == "cut":
        pen.unpower()
        pen.run_ms(value)
        pen.restart()
    elif name == "stop":
        pen.send(b"\x18")
        pen.run_ms(30)
    elif name == "button":
        pen.stop_button(True)
        pen.run_ms(60)
        pen.stop_button(False)
        pen.run_ms(60)
    elif name == "clear":
        pen.refusal("clear")
    elif name == "pause":
        pen.refusal("pause")
    elif name == "arm":
        ask_to_move(pen, "arm", value)
    else:
        ask_to_move(pen, "zone.select", value)


def ask_to_move(pen: Bench, method: str, zone: int | None) -> None:
    """Arm, or select a zone; when the pen does it, the inspector has to know the zone at work."""
    pen.hold(100)
    if pen.state() == wire.RUNNING:
        assert pen.refusal(method, zone=zone or 0)
        return
    pen.draw_in()
    pen.keep_inside()
    try:
        pen.insist(method, zone=zone if method == "arm" else zone or 0)
    except Refusal:
        pass
    else:
        pen.hold(1500)
    at_work = pen.status()["zone"]
    if at_work is not None:
        pen.allow_zone(at_work)


def put_away(pen: Bench) -> None:
    """End the session, whatever state it is in."""
    pen.release()
    pen.hold(300)
    pen.draw_in()
    pen.keep_inside()
    if pen.state() == wire.FAULT:
        pen.recover_from_fault()
    if pen.state() != wire.SAFE:
        pen.wait_for(wire.LOADED, wire.ARMED, wire.PAUSED, wire.SAFE)
        if pen.state() != wire.SAFE:
            try:
                pen.insist("finish")
            except Refusal as refusal:
                # A slow last stroke was judged only now: the pen seals by itself.
                if (refusal.code, refusal.given) != (faults.STATE_FORBIDS, wire.SEALING):
                    raise
        pen.wait_for(wire.SAFE)


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(),
        Geometry(400, 4, 2000, 38_963, 2_001, 300, 1, 2600, 151),
        Geometry(100, 8, 2000, 10_000, 2_000, 300, 0, 2600, 0),
        Geometry(48, 8, 7125, 65_674, 34_696, 1191, 8, 2600, 0),
    ],
    ids=["reference", "fine and heavy", "slow", "coarse"],
)
def test_homing_leaves_every_pen_where_the_depth_is_counted_from(geometry: Geometry) -> None:
    """Heavy screws and coarse steps, which a homing faster than a ramp's first step had left some steps off."""
    setup = profiles.pen(geometry, ceiling_um=2000, calibration_um=2000)
    setup.backoff_um = geometry.retract_offset_um - 50
    pen = Bench(setup=setup)
    pen.play_session([(profiles.CHEEK, 0, 317, 3, 5)])
    pen.check(exact=True)
    assert pen.plant.report().total.deepest_um == pytest.approx(float(exact_depth_um(setup, 317)), abs=1e-6)


def test_a_pen_is_refused_more_than_its_own_bounds() -> None:
    """Provisioning tightens: ceiling, calibration and zone cap each hold against a profile that is otherwise good."""
    setup = profiles.pen(ceiling_um=1200, calibration_um=900, caps_um=[400])
    pen = Bench(setup=setup)
    for area, depth_um, code in ((8, 1300, 304), (8, 1000, 305), (0, 450, 303), (8, 901, 305), (8, 1201, 304)):
        with pytest.raises(Refusal) as refused:
            pen.load_new([(area, 0, depth_um, 5, 5)])
        assert refused.value.code == code
    for area, depth_um in ((8, 900), (0, 400)):
        pen.play_session([(area, 0, depth_um, 5, 5)])
    pen.check(exact=True)
