"""What somebody at the virtual pen can do, as commands: press, release, open the cartridge, cut the power, ask the
needle.

Host only. A command is a dict `{"do": NAME, ...}`, from a JSON line or from the words of a person who types.

| do | further keys | what happens |
|---|---|---|
| press, release | | the trigger goes down, comes up |
| stop_button | down: true or false | the stop button |
| cartridge | closed: true or false | the cartridge holder |
| power_cut, power_on | | the supply |
| zone | label, limit_um: a number or null | the oracle counts under `label` from now on, and minds `limit_um` |
| oracle | | the answer holds what the needle did, by its own account |
| wait | | nothing |
| quit | | the serving ends, without an answer |

Every command may carry `after_ms`: it is carried out so many simulated ms after it came, or after the one before it if
that is later. The answer names when. A command with any other key is none.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pensim.world import World

Command = Mapping[str, Any]
Answer = dict[str, Any]

AFTER_MOST_MS = 3_600_000
"""Longest `after_ms`."""
LIMIT_MOST_UM = 10_000
"""Largest `limit_um`: more than any needle can come out."""


class BadCommand(ValueError):
    """A command that is none; says why."""


def from_words(line: str) -> Command:
    """Return the command that a person typed, such as "press", "cartridge open" or "wait 500"; BadCommand for none."""
    words = line.split()
    pairs: dict[str, Command] = {
        "stop down": {"do": "stop_button", "down": True},
        "stop up": {"do": "stop_button", "down": False},
        "cartridge open": {"do": "cartridge", "closed": False},
        "cartridge close": {"do": "cartridge", "closed": True},
        "power off": {"do": "power_cut"},
        "power on": {"do": "power_on"},
        "press": {"do": "press"},
        "release": {"do": "release"},
        "oracle": {"do": "oracle"},
    }
    known = pairs.get(" ".join(words))
    if known is not None:
        return known
    if len(words) == 2 and words[0] == "wait" and words[1].isascii() and words[1].isdigit():
        return {"do": "wait", "after_ms": int(words[1])}
    raise BadCommand(f"unknown: {line.strip()!r}; known: {', '.join(pairs)}, wait MS, quit")


def delay_ms(command: Command) -> int:
    """Return the command's `after_ms`, 0..AFTER_MOST_MS; BadCommand for a wrong one, a wrong `do` or an unknown key."""
    name = command.get("do")
    if not isinstance(name, str) or name not in _ACTS:
        raise BadCommand(f"do is one of {', '.join(_ACTS)}")
    known = ("do", *_KEYS.get(name, ()), "after_ms")
    for key in command:
        if key not in known:
            raise BadCommand(f"{name} has no key {key!r:.60}; known: {', '.join(known)}")
    after_ms = command.get("after_ms", 0)
    if type(after_ms) is not int or not 0 <= after_ms <= AFTER_MOST_MS:
        raise BadCommand(f"after_ms is a whole number from 0 to {AFTER_MOST_MS}")
    return after_ms


def carry_out(world: World, command: Command) -> Answer:
    """Do what `command` says and return what there is to say of it; BadCommand for one that is none."""
    delay_ms(command)
    return _ACTS[command["do"]](world, command)


def _press(world: World, _: Command) -> Answer:
    world.press()
    return {}


def _release(world: World, _: Command) -> Answer:
    world.release()
    return {}


def _stop_button(world: World, command: Command) -> Answer:
    world.stop_button(_yes_no(command, "down"))
    return {}


def _cartridge(world: World, command: Command) -> Answer:
    world.cartridge(_yes_no(command, "closed"))
    return {}


def _power_cut(world: World, _: Command) -> Answer:
    world.power_cut()
    # What was on its way through the cable is gone with the pen.
    world.host.unplug()
    return {}


def _power_on(world: World, _: Command) -> Answer:
    world.host.plug()
    world.power_on()
    return {}


def _zone(world: World, command: Command) -> Answer:
    label = command.get("label")
    limit_um = command.get("limit_um")
    given = type(limit_um) is int and 0 <= limit_um <= LIMIT_MOST_UM
    if not isinstance(label, str) or not (limit_um is None or given):
        raise BadCommand(f"zone wants a label and a limit_um: a whole number from 0 to {LIMIT_MOST_UM} or null")
    world.plant.label(label)
    world.plant.set_limit_um(limit_um)
    return {}


def _oracle(world: World, _: Command) -> Answer:
    report = world.plant.report()
    return {
        "total": asdict(report.total),
        "labels": {label: asdict(tally) for label, tally in report.labels.items()},
        "violations": [str(violation) for violation in report.violations],
        "slips": report.slips,
        "powered": world.powered,
        "driver_on": world.plant.energised,
    }


def _nothing(_world: World, _command: Command) -> Answer:
    return {}


def _yes_no(command: Command, key: str) -> bool:
    value = command.get(key)
    if not isinstance(value, bool):
        raise BadCommand(f"{command['do']} wants {key}: true or false")
    return value


_ACTS: dict[str, Callable[[World, Command], Answer]] = {
    "press": _press,
    "release": _release,
    "stop_button": _stop_button,
    "cartridge": _cartridge,
    "power_cut": _power_cut,
    "power_on": _power_on,
    "zone": _zone,
    "oracle": _oracle,
    "wait": _nothing,
    "quit": _nothing,  # whoever serves the pen ends
}
_KEYS: dict[str, tuple[str, ...]] = {
    "stop_button": ("down",),
    "cartridge": ("closed",),
    "zone": ("label", "limit_um"),
}
COMMANDS = tuple(_ACTS)
"""What `do` may be."""
