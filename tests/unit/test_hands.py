"""Each command of the hands, by what needle and pins then do; the one table, its words, its checks, its page."""

import json
from typing import Any

import pytest

from pencore import faults as codes
from pencore import signals, wire
from pensim import faults, handbook, hands
from pensim.world import World
from tests.architecture.source import ROOT
from tests.support import profiles
from tests.support.bench import Bench


def do(world: World, words: str) -> hands.Answer:
    """Carry out what somebody typed."""
    return hands.carry_out(world, hands.from_words(words))


def pins(world: World) -> hands.Answer:
    return do(world, "pins")


def cable_in(world: World) -> bool:
    """Return whether bytes come through the cable: it is in, and the pen has power."""
    return world.cable.plugged


def refusal(world: World, words: str) -> str:
    with pytest.raises(hands.BadCommand) as caught:
        do(world, words)
    return str(caught.value)


def pen() -> World:
    """Return a pen that is switched on and has booted."""
    world = World()
    world.power_on()
    world.run_ms(100)
    return world


def loaded(zones: tuple[profiles.ZoneSpec, ...] = ((profiles.CHEEK, 1, 400, 400, 20),)) -> Bench:
    bench = Bench()
    bench.load_new(zones)
    bench.arm()
    return bench


def at_work() -> Bench:
    """Return a pen in the middle of a zone."""
    bench = loaded()
    bench.release()
    bench.hold(150)
    do(bench, "press")
    bench.hold(400)
    assert do(bench, "oracle")["total"]["strokes"] > 3
    return bench


# --- what each does -------------------------------------------------------------------------------------------------
def test_the_trigger_makes_strokes_until_it_comes_up() -> None:
    bench = at_work()
    assert pins(bench)["trigger"]
    assert pins(bench)["driver_on"]
    do(bench, "release")
    bench.hold(300)
    made = do(bench, "oracle")["total"]["strokes"]
    bench.hold(1000)
    assert not pins(bench)["trigger"]
    assert do(bench, "oracle")["total"]["strokes"] == made
    bench.check()


def test_the_stop_button_cuts_the_motor() -> None:
    bench = at_work()
    bench.may_coast = True
    do(bench, "stop down")
    shown = pins(bench)
    assert (shown["stop"], shown["driver_on"]) == (True, False)
    bench.run_ms(500)
    assert bench.status()["fault"] == codes.STOP_BUTTON
    do(bench, "stop up")
    assert not pins(bench)["stop"]
    bench.check()


def test_the_service_button_reaches_the_firmware() -> None:
    bench = Bench()
    assert not bench.status()["inputs"] & signals.SERVICE
    do(bench, "service hold")
    bench.run_ms(100)
    assert pins(bench)["service"]
    assert bench.status()["inputs"] & signals.SERVICE
    do(bench, "service release")
    bench.run_ms(100)
    assert not bench.status()["inputs"] & signals.SERVICE


def test_the_cartridge_is_opened_closed_and_changed() -> None:
    bench = loaded()
    do(bench, "cartridge open")
    assert not pins(bench)["cartridge"]
    bench.run_ms(300)
    assert bench.status()["fault"] == codes.CARTRIDGE_OPENED
    do(bench, "cartridge close")
    assert pins(bench)["cartridge"]
    other = Bench()
    do(other, "cartridge change")
    assert pins(other)["cartridge"]
    other.load(profiles.data(other.hello()))  # refused with a cartridge that is not new


def test_without_its_usb_cable_the_pen_ends_by_itself_and_keeps_its_power() -> None:
    bench = at_work()
    do(bench, "usb out")
    assert (pins(bench)["usb"], pins(bench)["power"]) == (False, True)
    bench.run_ms(4000)
    made = do(bench, "oracle")["total"]["strokes"]
    assert not pins(bench)["driver_on"]
    bench.run_ms(2000)
    assert do(bench, "oracle")["total"]["strokes"] == made
    nonce = bench.greeting["nonce"]
    do(bench, "usb in")
    bench._heard = b""
    assert bench.hello()["nonce"] == nonce
    bench.check()


def test_time_goes_on_for_a_pen_that_has_something_to_say_and_no_cable() -> None:
    bench = at_work()
    for _ in range(60):
        # A host that talks and doesn't listen, until the pen is stuck in the middle of a line.
        bench.send(bench.line("ping"))
        bench.run_ms(100)
    assert bench.cable._short
    do(bench, "usb out")
    begin = bench.clock.now_ms()
    for _ in range(3000):
        bench.step(1000)
        assert bench.host.receive() == b""
    assert bench.clock.now_ms() - begin > 5000
    assert not pins(bench)["driver_on"]


def test_a_cable_comes_back_after_its_time() -> None:
    world = pen()
    do(world, "usb out 700")
    world.run_ms(699)
    assert not pins(world)["usb"]
    world.run_ms(1)
    assert pins(world)["usb"]
    assert cable_in(world)
    do(world, "usb out 700")
    do(world, "usb in")
    do(world, "usb out")
    world.run_ms(2000)
    assert not pins(world)["usb"]  # what was to be done later on the cable was taken back


def test_a_pen_without_power_has_no_usb_either_until_it_is_back() -> None:
    world = pen()
    do(world, "power off")
    do(world, "usb out 100")
    world.run_ms(200)
    assert pins(world)["usb"]
    assert not cable_in(world)
    do(world, "power on")
    assert cable_in(world)
    do(world, "usb out")
    do(world, "power cut 50")
    world.run_ms(100)
    assert pins(world)["power"]
    assert not cable_in(world)


def test_a_power_cut_ends_after_its_time_and_no_stroke_is_lost() -> None:
    bench = at_work()
    bench.may_coast = True
    do(bench, "power cut 500")
    assert (pins(bench)["power"], pins(bench)["driver_on"]) == (False, False)
    bench.run_ms(499)
    assert not pins(bench)["power"]
    begun = do(bench, "oracle")["total"]["begun"]
    bench.run_ms(200)
    assert pins(bench)["power"]
    do(bench, "release")
    bench._heard = b""
    bench.hello()
    status = bench.status()
    assert (status["state"], status["resumed"]) == (wire.LOADED, 1)  # interrupted, and to be gone on with
    assert begun <= status["counted"] <= begun + 50
    bench.check()


def test_the_last_word_on_the_supply_is_the_one_that_counts() -> None:
    world = pen()
    do(world, "power cut 500")
    world.run_ms(100)
    do(world, "power off")
    world.run_ms(2000)
    assert not pins(world)["power"]
    do(world, "power cut 500")
    do(world, "power on")
    assert pins(world)["power"]


def test_a_reset_boots_the_pen_with_the_driver_off() -> None:
    bench = at_work()
    bench.may_coast = True
    do(bench, "reset")
    assert not pins(bench)["driver_enable"]
    before = bench.greeting["nonce"]
    assert bench.hello()["nonce"] != before
    bench.check()


def test_a_hung_cpu_is_reset_by_the_watchdog_after_what_was_credited() -> None:
    bench = at_work()
    bench.may_coast = True
    begun = do(bench, "oracle")["total"]["begun"]
    do(bench, "hang")
    bench.run_ms(3000)
    assert do(bench, "oracle")["total"]["begun"] <= begun + 2
    assert pins(bench)["driver_on"]  # nobody has told it to go off
    bench.run_ms(2000)
    assert not pins(bench)["driver_on"]
    before = bench.greeting["nonce"]
    assert bench.hello()["nonce"] != before
    bench.check()


def test_a_hung_cpu_that_loses_its_power_boots_as_any_other() -> None:
    world = pen()
    do(world, "hang")
    do(world, "power cut 100")
    turns = world.turns
    world.run_ms(1000)
    assert world.turns > turns


def test_without_power_some_things_can_not_be_done() -> None:
    world = pen()
    do(world, "power off")
    for words in ("reset", "hang", "fault table-bit", "fault flash-full", "fault edges-dropped where=pin"):
        assert refusal(world, words).endswith(": the pen has no power")
    do(world, "fault edges-dropped where=wire")
    do(world, "fault flash-bit-rot address=5000 bit=3")


def test_the_oracle_counts_under_a_label_and_minds_a_depth() -> None:
    bench = loaded()
    do(bench, "zone shallow 300")
    bench.stroke_for(400)
    said = do(bench, "oracle")
    assert said["labels"]["shallow"]["strokes"] > 0
    assert any("depth_limit" in violation for violation in said["violations"])
    do(bench, "zone any")
    known = len(said["violations"])
    bench.stroke_for(400)
    said = do(bench, "oracle")
    assert said["labels"]["any"]["strokes"] > 0
    assert len(said["violations"]) == known
    assert json.loads(json.dumps(said)) == said


def test_the_pins_tell_the_depth_and_change_nothing() -> None:
    bench, same = loaded(), loaded()
    deepest = 0.0
    for each in (bench, same):
        each.release()
        each.hold(150)
        each.press()
    for _ in range(400):
        bench.run_ms(1)
        same.run_ms(1)
        deepest = max(deepest, pins(bench)["depth_um"])
    assert 300 < deepest <= 400
    assert do(bench, "oracle") == do(same, "oracle")
    assert bench.runner.state == same.runner.state


def test_a_needle_that_is_jammed_goes_no_deeper_and_the_pen_stops() -> None:
    bench = loaded()
    do(bench, "fault needle-jam at_um=150")
    bench.release()
    bench.hold(150)
    bench.press()
    bench.run_ms(500)
    said = do(bench, "oracle")
    assert 100 < said["total"]["deepest_um"] <= 150
    assert not said["driver_on"]
    assert bench.status()["state"] == wire.FAULT
    do(bench, "mend needle-jam")
    bench.release()
    bench.run_ms(300)
    bench.recover_from_fault()
    bench.arm()
    bench.stroke_for(300)
    assert do(bench, "oracle")["total"]["deepest_um"] == 400
    bench.check()


# --- faults ---------------------------------------------------------------------------------------------------------
def test_faults_are_done_told_of_and_mended() -> None:
    world = pen()
    assert do(world, "faults")["present"] == []
    assert do(world, "fault home-stuck") == {"name": "home-stuck", "parameters": {"seen": False}}
    assert not pins(world)["home"]
    present = do(world, "faults")["present"]
    assert present == [{"name": "home-stuck", "parameters": {"seen": False}}]
    # The sensor holds one fault: the next takes its place.
    do(world, "fault home-chatter steps=3 seed=7")
    assert [fault["name"] for fault in do(world, "faults")["present"]] == ["home-chatter"]
    assert refusal(world, "mend home-stuck") == "the pen doesn't suffer from home-stuck"
    do(world, "mend home-chatter")
    assert pins(world)["home"]
    assert do(world, "faults")["present"] == []


def test_what_is_wrong_around_the_chip_outlives_its_reset_and_what_is_wrong_in_it_does_not() -> None:
    world = pen()
    do(world, "fault flash-full")
    do(world, "fault edges-dropped where=pin")
    do(world, "fault edges-extra where=wire")
    do(world, "power cut 100")
    world.run_ms(300)
    assert [fault["name"] for fault in do(world, "faults")["present"]] == ["flash-full", "edges-extra"]
    with pytest.raises(OSError, match="no space"):
        world.store.append("file", b"x")
    do(world, "mend flash-full")
    world.store.append("file", b"x")


def test_every_fault_can_be_done_by_its_words_alone() -> None:
    known = {fault["name"]: fault for fault in do(pen(), "faults")["known"]}
    assert list(known) == [kind.NAME for kind in faults.ALL]
    for name, fault in known.items():
        world = loaded()
        done = do(world, f"fault {name}")
        assert done["parameters"] == {each["name"]: each["default"] for each in fault["parameters"]}
        if fault["mendable"]:
            do(world, f"mend {name}")
        else:
            assert refusal(world, f"mend {name}").startswith(f"{name} can't be mended")
        assert fault["summary"].endswith(".")
        assert fault["class"] in faults.CLASSES
    assert json.loads(json.dumps(known)) == known


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("fault gremlins", "no fault is called 'gremlins'; there are power-cut, "),
        ("fault home-stuck level=true", "home-stuck has no parameter 'level'; it has seen"),
        ("fault driver-reset now=true", "driver-reset has no parameter 'now'; it has none"),
        ("fault home-stuck seen=1", "seen of home-stuck is true or false, not 1"),
        ("fault lost-steps cycles=true", "cycles of lost-steps is a whole number from -50 to 50, not True"),
        ("fault lost-steps cycles=51", "cycles of lost-steps is a whole number from -50 to 50, not 51"),
        ("fault lost-steps cycles=1.5", "cycles of lost-steps is a whole number from -50 to 50, not 1.5"),
        ("fault weak-motor factor=2", "factor of weak-motor is a number from 0 to 1, not 2"),
        ("fault edges-extra where=moon", "where of edges-extra is one of pin, wire, not 'moon'"),
        ("fault flash-cut torn=a-bit", "torn of flash-cut is one of none, all, half, bits, garbage, not 'a-bit'"),
        ("fault flash-bit-rot bit=8", "bit of flash-bit-rot is a whole number from 0 to 7, not 8"),
        ("fault flash-bit-rot address=1441792", "address of flash-bit-rot is a whole number from 0 to 1,441,791, not"),
        ("fault home-stuck seen", "'seen' is not KEY=VALUE"),
        ("fault home-stuck seen=true seen=false", "'seen' is given twice"),
        ("mend gremlins", "no fault is called 'gremlins'"),
        ("mend lost-steps", "lost-steps can't be mended: what it did is done"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_what_there_is(words: str, problem: str) -> None:
    world = pen()
    assert refusal(world, words).startswith(problem)
    assert world.damage.present() == ()


# --- words and checks -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("press", {"do": "press"}),
        ("  release ", {"do": "release"}),
        ("cartridge open", {"do": "cartridge", "closed": False}),
        ("cartridge  close", {"do": "cartridge", "closed": True}),
        ("cartridge change", {"do": "cartridge_change"}),
        ("stop down", {"do": "stop_button", "down": True}),
        ("stop up", {"do": "stop_button", "down": False}),
        ("service hold", {"do": "service", "held": True}),
        ("usb out", {"do": "usb", "plugged": False}),
        ("usb out 300", {"do": "usb", "plugged": False, "for_ms": 300}),
        ("usb in", {"do": "usb", "plugged": True}),
        ("power off", {"do": "power_cut"}),
        ("power cut", {"do": "power_cut"}),
        ("power cut 500", {"do": "power_cut", "for_ms": 500}),
        ("power on", {"do": "power_on"}),
        ("wait 250", {"do": "wait", "after_ms": 250}),
        ("zone cheek", {"do": "zone", "label": "cheek"}),
        ("zone cheek 500", {"do": "zone", "label": "cheek", "limit_um": 500}),
        ("oracle", {"do": "oracle"}),
        ("quit", {"do": "quit"}),
        ("mend home-stuck", {"do": "mend", "name": "home-stuck"}),
        ("fault driver-reset", {"do": "fault", "name": "driver-reset", "parameters": {}}),
        (
            "fault edges-extra after=-1 where=pin",
            {"do": "fault", "name": "edges-extra", "parameters": {"after": -1, "where": "pin"}},
        ),
        (
            "fault weak-motor factor=0.25 x=1.2.3",
            {"do": "fault", "name": "weak-motor", "parameters": {"factor": 0.25, "x": "1.2.3"}},
        ),
    ],
)
def test_commands_in_words(words: str, command: dict[str, Any]) -> None:
    assert hands.from_words(words) == command


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("", "press, release, "),
        ("jump", "press, release, "),
        ("wait", "wait MS"),
        ("wait x", "wait MS"),
        ("wait -1", "wait MS"),
        ("wait ٣", "wait MS"),
        ("wait " + "9" * 5000, "wait MS"),
        ("press hard", "press"),
        ("cartridge", "cartridge open, cartridge close, cartridge change"),
        ("power cut soon", "power cut [MS], power off, power on"),
        ("fault", "fault NAME [KEY=VALUE ...]"),
    ],
)
def test_words_that_mean_nothing_are_told_what_does(words: str, known: str) -> None:
    with pytest.raises(hands.BadCommand, match="unknown") as caught:
        hands.from_words(words)
    assert f"; known: {known}" in str(caught.value)
    assert len(str(caught.value)) < 500


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "do is one of press, "),
    ({"do": "jump"}, "do is one of press, "),
    ({"do": ["press"]}, "do is one of press, "),
    ({"do": float("nan")}, "do is one of press, "),
    ({"do": "cartridge"}, "cartridge wants closed: true or false"),
    ({"do": "cartridge", "closed": 1}, "closed of cartridge is true or false"),
    ({"do": "stop_button", "down": "yes"}, "down of stop_button is true or false"),
    ({"do": "zone"}, "zone wants label: a text of 1 to 60 characters"),
    ({"do": "zone", "label": ""}, "label of zone is a text of 1 to 60 characters"),
    ({"do": "zone", "label": "x" * 61}, "label of zone is a text of 1 to 60 characters"),
    ({"do": "zone", "label": "x", "limit_um": "deep"}, "limit_um of zone is a whole number from 0 to 10000 or null"),
    ({"do": "zone", "label": "x", "limit_um": True}, "limit_um of zone"),
    ({"do": "zone", "label": "x", "limit_um": -1}, "limit_um of zone"),
    ({"do": "zone", "label": "x", "limit_um": hands.LIMIT_MOST_UM + 1}, "limit_um of zone"),
    ({"do": "zone", "label": "x", "limit_um": 10**400}, "limit_um of zone"),
    ({"do": "press", "after_ms": -1}, "after_ms of press is a whole number from 0 to 3600000"),
    ({"do": "press", "after_ms": 1.5}, "after_ms of press"),
    ({"do": "press", "after_ms": True}, "after_ms of press"),
    ({"do": "press", "after_ms": None}, "after_ms of press"),
    ({"do": "press", "after_ms": hands.AFTER_MOST_MS + 1}, "after_ms of press"),
    ({"do": "quit", "after_ms": -1}, "after_ms of quit"),
    ({"do": "power_cut", "for_ms": 0}, "for_ms of power_cut is a whole number from 1 to 3600000"),
    ({"do": "power_cut", "for_ms": hands.AFTER_MOST_MS + 1}, "for_ms of power_cut"),
    ({"do": "usb", "for_ms": 10}, "usb wants plugged: true or false"),
    ({"do": "usb", "plugged": True, "for_ms": 10}, "for_ms of usb goes with plugged: false"),
    ({"do": "service", "held": None}, "held of service is true or false"),
    ({"do": "fault"}, "fault wants name"),
    ({"do": "fault", "name": 7}, "name of fault is a text"),
    ({"do": "fault", "name": "home-stuck", "parameters": [1]}, "parameters of fault is an object"),
    ({"do": "fault", "name": "home-stuck", "parameters": {"seen": None}}, "seen of home-stuck is true or false"),
    ({"do": "fault", "name": "weak-motor", "parameters": {"factor": float("nan")}}, "factor of weak-motor is a number"),
    ({"do": "press", "after_m": 5}, "press has no key 'after_m'; known: do, after_ms"),
    ({"do": "cartridge", "closed": True, "open": False}, "cartridge has no key 'open'; known: do, closed, after_ms"),
]


@pytest.mark.parametrize(("command", "problem"), WRONG)
def test_a_command_that_is_none_is_refused_with_a_reason(command: dict[str, Any], problem: str) -> None:
    world = pen()
    before = (do(world, "pins"), world.clock.now)
    with pytest.raises(hands.BadCommand) as caught:
        hands.carry_out(world, command)
    assert str(caught.value).startswith(problem)
    assert (do(world, "pins"), world.clock.now) == before


def test_every_command_is_tried_here_and_its_example_is_one() -> None:
    world = pen()
    for act in hands.TABLE:
        for phrase in act.phrases:
            command = hands.from_words(phrase.example())
            assert command["do"] == act.name
            hands.delay_ms(command)
        hands.delay_ms(json.loads(handbook.example(act)))
        if act.name != "mend":
            hands.carry_out(world, json.loads(handbook.example(act)))
        world.power_on()
    assert len(set(hands.COMMANDS)) == len(hands.TABLE)


# --- the page -------------------------------------------------------------------------------------------------------
def test_the_page_holds_the_tables_as_they_are() -> None:
    page = (ROOT / handbook.PATH).read_text(encoding="utf-8")
    assert handbook.filled_in(page) == page
    for name in (*hands.COMMANDS, *(kind.NAME for kind in faults.ALL)):
        assert name in page


def test_a_table_that_is_out_of_date_is_made_anew() -> None:
    page = "before\n<!-- table: faults -->\nOUTDATED\n<!-- end of table -->\nafter\n"
    made = handbook.filled_in(page)
    assert made.startswith("before\n<!-- table: faults -->\n\n| class | fault |")
    assert made.endswith(" |\n\n<!-- end of table -->\nafter\n")
    assert "OUTDATED" not in made
    assert handbook.filled_in(made) == made
    with pytest.raises(KeyError):
        handbook.filled_in(page.replace("faults", "gremlins"))
