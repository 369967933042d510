"""Only the enabler switches the driver on, once after each loading, by any order of trips and loadings."""

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pencore.ports import ENABLED, TRIP_STOP
from tests.pio.blocks import Settings
from tests.pio.chip import Chip
from tests.pio.rigs import BACK, BOARD, EMULATORS, GUARD_PIO, OUT, PEN, STROKE_PIO, GuardRig, Watch

_SET_PINS_ON = 0xE000
_SET_PINS_OFF = 0xE001
FIRMWARE = Path(__file__).parents[2] / "firmware"

acts = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("step"), st.sampled_from([OUT, BACK]), st.integers(1, 4)),
        st.tuples(st.just("stop"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("allow"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("off"), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@pytest.mark.parametrize("emulator", EMULATORS)
@given(acts=acts)
@settings(max_examples=60)
def test_by_any_order_of_trips_and_loadings(emulator: str, acts: list[tuple[str, int, int]]) -> None:
    rig = GuardRig(emulator)
    watch = rig.watch
    for name, first, second in acts:
        was_on, changes = watch.on, len(watch.switched)
        if name == "load":
            rig.chip.drive(BOARD.DIR, BACK)
            rig.chip.run(20)
            rig.guards.load(first, second)
            allowed = not rig.chip.level(BOARD.STOP)
            assert [on for _, on in watch.switched[changes:]] == ([False] * was_on + [True] * allowed)
            assert watch.on == allowed
            continue
        if name == "step":
            rig.steps([first] * second)
        elif name == "stop":
            rig.chip.drive(BOARD.STOP, first)
            rig.chip.run(20)
            assert not (first and watch.on)
        elif name == "allow":
            rig.guards.allow(first)
        else:
            rig.guards.off()
            assert not watch.on
        assert [on for _, on in watch.switched[changes:]] in ([], [False] if was_on else [])


def late(rig: GuardRig, delay: int) -> Callable[[int], None]:
    """Return the start of the enabler, but that DIR rises before, when the count guard is already there to see it."""
    start = rig.guards._depth.active

    def active(on: int) -> None:
        if on:
            rig.chip.drive(BOARD.DIR, 1)
            rig.chip.run(20 + delay)
        start(on)

    return active


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_trip_before_the_enabler_writes_keeps_the_driver_off_in_every_tick(emulator: str) -> None:
    """A guard that has tripped writes off in each tick, and the higher machine wins: not one tick of on."""
    for tripped_by in ("stop", "count"):
        for delay in range(12):
            rig = GuardRig(emulator)
            rig.chip.call_ticks += delay
            if tripped_by == "stop":
                rig.chip.drive(BOARD.STOP, 1)
            else:
                rig.guards._depth.active = late(rig, delay)
            rig.guards.load(5, 0)
            rig.chip.run(100)
            assert rig.watch.switched_on() == []
            assert not rig.guards.bits() & ENABLED


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_stop_line_that_is_broken_off_never_lets_the_driver_on(emulator: str) -> None:
    """Nothing drives the pad: it wakes pulled down, like a closed line, until the guards pull it up."""
    chip = Chip(emulator)
    assert chip.level(BOARD.STOP) != BOARD.STOP_OPEN
    assert chip.level(BOARD.ENABLE) == BOARD.ENABLE_OFF, "before anything runs, by its resistor"
    watch = Watch(chip)
    guards = PEN.guards.Guards()
    guards.load(5, 5)
    assert guards.bits() == TRIP_STOP
    assert watch.switched_on() == []


@pytest.mark.parametrize("emulator", EMULATORS)
def test_stop_in_the_very_tick_of_the_enabler_s_write(emulator: str) -> None:
    """Stop at every tick around the write: the driver is on for at most the guard's few ticks, then off for good."""
    rig = GuardRig(emulator)
    began = rig.chip.now
    rig.guards.load(5, 0)
    wrote = rig.watch.switched_on()[0] - began
    longest = 0
    never = 0
    for offset in range(-12, 13):
        rig = GuardRig(emulator)
        rig.chip.after(wrote + offset, partial(rig.chip.drive, BOARD.STOP, 1))
        rig.guards.load(5, 0)
        rig.chip.run(100)
        assert not rig.watch.on
        on = rig.watch.switched_on()
        assert len(on) <= 1
        never += not on
        if on:
            longest = max(longest, rig.watch.switched[-1][0] - on[0])
    assert 0 < never < 25
    assert longest <= 12 + 5


@pytest.mark.parametrize("emulator", EMULATORS)
def test_the_highest_machine_wins_a_pin_written_in_one_tick(emulator: str) -> None:
    """What the guards rest on: machine 0 writes on, 2 writes off, both in the same tick, for ever."""
    rig = GuardRig(emulator)
    rig.guards.load(5, 0)
    block = rig.chip.blocks[1]
    place = rig.chip.place(4, GUARD_PIO.depth)
    for winner, low, high in ((False, _SET_PINS_ON, _SET_PINS_OFF), (True, _SET_PINS_OFF, _SET_PINS_ON)):
        block.load(0, [low, 0x0000, high, 0x0002])
        for machine in (0, 2):
            block.init(machine, Settings(set_base=BOARD.ENABLE, set_count=1), machine)
        for machine in (0, 2):
            block.enable(rig.chip.now, machine, True)
        rig.chip.run(4)
        changes = len(rig.watch.switched)
        rig.chip.run(100)
        assert rig.watch.on == winner
        assert len(rig.watch.switched) == changes
    assert place >= 4


def test_the_programs_say_on_in_one_place_that_nothing_leads_back_to() -> None:
    programs = [GUARD_PIO.depth, GUARD_PIO.count, GUARD_PIO.stop]
    ons = [
        (program.name, place)
        for program in programs
        for place, word in enumerate(program.words)
        if word & 0xE0FF == _SET_PINS_ON
    ]
    assert ons == [("depth", 3)]
    backward = [word & 31 for word in GUARD_PIO.depth.words if not word >> 13]
    assert min([*backward, GUARD_PIO.depth.wrap_target]) > 3
    for program in programs:
        assert program.words[-1] == _SET_PINS_OFF
        assert program.wrap_target == program.wrap == len(program.words) - 1
        # Nothing that writes pins otherwise: OUT and MOV to pins or their directions, SET of directions.
        for word in program.words:
            kind, target = word >> 13, word >> 5 & 7
            assert not (kind == 3 and target in (0, 4))
            assert not (kind == 5 and target == 0)
            assert not (kind == 7 and target == 4)
    assert all(word >> 13 not in (6,) for word in STROKE_PIO.stroke.words)


_PIN_METHODS = frozenset({"high", "init", "low", "off", "on", "toggle"})
_DRIVEN = frozenset({"out_base", "set_base", "sideset_base"})


def is_enable(node: ast.expr) -> bool:
    """Return whether an expression names the enable pin: board.ENABLE, ENABLE, self._enable."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("ENABLE", "_enable", "enable")


def enable_writes(source: str) -> list[str]:
    """Return every way in which a module could write the enable pin, but for driving it off at once."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Attribute) and is_enable(function.value):
            if function.attr in _PIN_METHODS or (function.attr == "value" and node.args):
                found.append(ast.unparse(node))
        elif node.args and is_enable(node.args[0]) and len(node.args) + len(node.keywords) > 1:
            value = {word.arg: ast.unparse(word.value) for word in node.keywords}.get("value", "")
            if value not in ("board.ENABLE_OFF", "ENABLE_OFF", str(BOARD.ENABLE_OFF), str(bool(BOARD.ENABLE_OFF))):
                found.append(ast.unparse(node))
        found += [f"{word.arg}=" for word in node.keywords if word.arg in _DRIVEN and is_enable(word.value)]
    return found


@pytest.mark.parametrize(
    "bad",
    [
        "machine.Pin(board.ENABLE, machine.Pin.OUT)",
        "machine.Pin(board.ENABLE, machine.Pin.OUT, value=0)",
        "machine.Pin(board.ENABLE, machine.Pin.OUT, value=False)",
        "self._enable.value(0)",
        "self._enable.off()",
        "self._enable.init(machine.Pin.OUT)",
        "player.init(stroke, set_base=self._enable)",
        "player.init(stroke, out_base=machine.Pin(2), sideset_base=board.ENABLE)",
    ],
)
def test_a_write_to_the_enable_pin_is_found(bad: str) -> None:
    assert len(enable_writes(bad)) == 1


def test_no_other_module_of_the_pen_writes_the_enable_pin() -> None:
    """Looking at it is free to all, the stroke program's JMP pin included; so is driving it off at boot."""
    writers = {}
    for folder in ("pendevice", "pen"):
        for path in (FIRMWARE / folder).glob("*.py"):
            found = enable_writes(path.read_text(encoding="utf-8"))
            if found:
                writers[path.name] = found
    assert writers == {"guards.py": ["set_base="] * 3}
    fine = "machine.Pin(board.ENABLE)\nself._enable.value()\nmachine.Pin(board.ENABLE, 1, value=board.ENABLE_OFF)\n"
    assert enable_writes(fine + "player.init(stroke, jmp_pin=self._enable, set_base=self._step)") == []
