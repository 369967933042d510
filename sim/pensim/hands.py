"""What somebody at the virtual pen can do, as commands: press, release, open the cartridge, cut the power, ask the
needle.

Host only; a pen is known by what can be done to it, be it the firmware's logic alone or the whole chip. A command is a
dict `{"do": NAME, ...}`, from a JSON line or from the words of a person who types. `TABLE` holds every command with its
keys, its words and what it does; the parser, the checks, the help of the command line and the table in
docs/simulator.md all come from there.

Every command may carry `after_ms`: it is carried out so many simulated ms after it came, or after the one before it if
that is later. The answer names when. A command with any other key is none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pensim import faults, supply
from pensim.bench import Bench, CannotBeDone
from pensim.faults.flash import MARK

Command = Mapping[str, Any]
Answer = dict[str, Any]

AFTER_MOST_MS = 3_600_000
"""Longest `after_ms` and `for_ms`."""
LIMIT_MOST_UM = 10_000
"""Largest `limit_um`: more than any needle can come out."""
LABEL_MOST = 60
"""Longest label."""

_DIGITS_MOST = 20
_YES_NO = "true or false"
_NUMBER = "a whole number"
_TEXT = "a text"
_VALUES = "an object"


class BadCommand(ValueError):
    """A command that is none; says why."""


class Pen(Bench, Protocol):
    """A pen that hands can be laid on."""

    @property
    def crashes(self) -> Sequence[object]:
        """What went wrong inside it until it reset itself, in words, one after the other."""


@dataclass(frozen=True)
class Key:
    """A key of a command: a number from `low` to `high`, a text of `high` characters at most, true or false, or values
    by name. `stands_for` is what it is called among the words, `example` a word of it.
    """

    name: str
    kind: str
    low: int = 0
    high: int = 0
    needed: bool = True
    nullable: bool = False
    stands_for: str = ""
    example: str = ""

    def allowed(self) -> str:
        """Say what it may be."""
        if self.kind == _NUMBER:
            return f"a whole number from {self.low} to {self.high}" + (" or null" if self.nullable else "")
        return f"a text of 1 to {self.high} characters" if self.kind == _TEXT else self.kind

    def takes(self, value: object) -> bool:
        """Return whether it may be `value`."""
        if value is None:
            return self.nullable
        if self.kind == _NUMBER:
            return type(value) is int and self.low <= value <= self.high
        if self.kind == _TEXT:
            return isinstance(value, str) and 1 <= len(value) <= self.high
        return isinstance(value, bool if self.kind == _YES_NO else dict)


@dataclass(frozen=True)
class Phrase:
    """Words for a command: those that are fixed, the keys that they mean, and the keys that further words fill."""

    words: str
    keys: tuple[tuple[str, Any], ...] = ()
    takes: tuple[Key, ...] = ()

    def form(self) -> str:
        """Return it as a help text shows it: "power cut [MS]"."""
        takes = [key.stands_for if key.needed else f"[{key.stands_for}]" for key in self.takes]
        return " ".join([self.words, *takes])

    def example(self) -> str:
        """Return a line that somebody could type."""
        return " ".join([self.words, *(key.example for key in self.takes)])

    def read(self, words: Sequence[str]) -> dict[str, Any] | None:
        """Return the keys that `words` give, None when they are not this phrase's."""
        fixed = self.words.split()
        rest = list(words[len(fixed) :])
        if list(words[: len(fixed)]) != fixed:
            return None
        found: dict[str, Any] = dict(self.keys)
        for key in self.takes:
            if key.kind == _VALUES:
                found[key.name] = _values(rest)
                rest = []
            elif rest:
                word = rest.pop(0)
                if key.kind == _NUMBER and not (word.isascii() and word.isdigit() and len(word) <= _DIGITS_MOST):
                    return None
                found[key.name] = int(word) if key.kind == _NUMBER else word
            elif key.needed:
                return None
        return None if rest else found


@dataclass(frozen=True)
class Act:
    """A command: its name, what happens, its keys, its words, and what carries it out."""

    name: str
    summary: str
    carry_out: Callable[[Pen, Command], Answer]
    keys: tuple[Key, ...] = ()
    phrases: tuple[Phrase, ...] = ()


def from_words(line: str) -> Command:
    """Return the command that a person typed, such as "press", "cartridge open" or "wait 500"; BadCommand for none."""
    words = line.split()
    near = []
    for act in TABLE:
        for phrase in act.phrases:
            keys = phrase.read(words)
            if keys is not None:
                return {"do": act.name, **keys}
            if words and words[0] == phrase.words.split()[0]:
                near.append(phrase.form())
    known = near or [phrase.form() for act in TABLE for phrase in act.phrases]
    raise BadCommand(f"unknown: {line.strip()!r:.80}; known: {', '.join(known)}")


def delay_ms(command: Command) -> int:
    """Return the `after_ms` of a command, 0..AFTER_MOST_MS; BadCommand for one that is none, and says what of it."""
    name = command.get("do")
    act = _BY_NAME.get(name) if isinstance(name, str) else None
    if act is None:
        raise BadCommand(f"do is one of {', '.join(COMMANDS)}")
    keys = {key.name: key for key in (*act.keys, _AFTER)}
    for given in command:
        if given != "do" and given not in keys:
            raise BadCommand(f"{act.name} has no key {given!r:.60}; known: {', '.join(['do', *keys])}")
    for key in keys.values():
        if key.name not in command:
            if key.needed:
                raise BadCommand(f"{act.name} wants {key.name}: {key.allowed()}")
        elif not key.takes(command[key.name]):
            raise BadCommand(f"{key.name} of {act.name} is {key.allowed()}")
    if act.name == "fault":
        _fault_of(command)
    return int(command.get("after_ms", 0))


def carry_out(pen: Pen, command: Command) -> Answer:
    """Do what `command` says and return what there is to say of it; BadCommand for one that is none, or that can't be
    done now.
    """
    delay_ms(command)
    return _BY_NAME[command["do"]].carry_out(pen, command)


# --- hands and cables -------------------------------------------------------------------------------------------------
def _press(pen: Pen, _: Command) -> Answer:
    pen.press()
    return {}


def _release(pen: Pen, _: Command) -> Answer:
    pen.release()
    return {}


def _stop_button(pen: Pen, command: Command) -> Answer:
    pen.stop_button(command["down"])
    return {}


def _service(pen: Pen, command: Command) -> Answer:
    pen.service(command["held"])
    return {}


def _cartridge(pen: Pen, command: Command) -> Answer:
    pen.cartridge(command["closed"])
    return {}


def _cartridge_change(pen: Pen, _: Command) -> Answer:
    pen.change_cartridge()
    return {}


def _usb(pen: Pen, command: Command) -> Answer:
    if not command["plugged"]:
        supply.pull_cable(pen, command.get("for_ms", 0))
    elif "for_ms" in command:
        raise BadCommand("for_ms of usb goes with plugged: false")
    else:
        supply.put_cable_in(pen)
    return {}


def _power_cut(pen: Pen, command: Command) -> Answer:
    supply.cut_power(pen, command.get("for_ms", 0))
    return {}


def _power_on(pen: Pen, _: Command) -> Answer:
    supply.switch_on(pen)
    return {}


def _flash_mark(pen: Pen, _: Command) -> Answer:
    pen.image.mark(MARK)
    return {}


# --- what goes wrong --------------------------------------------------------------------------------------------------
def _need_power(pen: Pen, what: str) -> None:
    if not pen.powered:
        raise BadCommand(f"{what}: the pen has no power")


def _reset(pen: Pen, _: Command) -> Answer:
    _need_power(pen, "reset")
    pen.reset()
    return {}


def _hang(pen: Pen, _: Command) -> Answer:
    _need_power(pen, "hang")
    pen.hang()
    return {}


def _fault_of(command: Command) -> faults.Fault:
    try:
        return faults.fault(command["name"], **command.get("parameters", {}))
    except ValueError as error:
        raise BadCommand(str(error)) from None


def _fault(pen: Pen, command: Command) -> Answer:
    done = _fault_of(command)
    if faults.needs_power(done):
        _need_power(pen, done.NAME)
    try:
        pen.damage.do(done)
    except CannotBeDone as why:
        raise BadCommand(f"{done.NAME}: {why}") from None
    return _described(done)


def _mend(pen: Pen, command: Command) -> Answer:
    try:
        mended = pen.damage.mend(command["name"])
    except ValueError as error:
        raise BadCommand(str(error)) from None
    if not mended:
        raise BadCommand(f"the pen doesn't suffer from {command['name']}")
    return {}


def _faults(pen: Pen, _: Command) -> Answer:
    known = [
        {
            "name": kind.NAME,
            "class": kind.CLASS,
            "summary": summary_of(kind),
            "mendable": faults.can_mend(kind),
            "not_on_chip": faults.not_on_chip(kind),
            "parameters": [
                {
                    "name": parameter.name,
                    "default": parameter.default,
                    "allowed": parameter.allowed(),
                    "text": parameter.text,
                }
                for parameter in faults.parameters(kind)
            ],
        }
        for kind in faults.ALL
    ]
    return {"present": [_described(done) for done in pen.damage.present()], "known": known}


def _described(done: faults.Fault) -> Answer:
    return {"name": done.NAME, "parameters": dict(faults.described(done))}


def summary_of(kind: type[faults.Fault]) -> str:
    """Return what a kind of fault does, in a sentence."""
    return " ".join((kind.__doc__ or "").split())


# --- what can be seen -------------------------------------------------------------------------------------------------
def _zone(pen: Pen, command: Command) -> Answer:
    pen.plant.label(command["label"])
    pen.plant.set_limit_um(command.get("limit_um"))
    return {}


def _oracle(pen: Pen, _: Command) -> Answer:
    report = pen.plant.report()
    return {
        "total": asdict(report.total),
        "labels": {label: asdict(tally) for label, tally in report.labels.items()},
        "violations": [str(violation) for violation in report.violations],
        "slips": report.slips,
        "powered": pen.powered,
        "driver_on": pen.plant.energised,
        "crashes": len(pen.crashes),
    }


def _pins(pen: Pen, _: Command) -> Answer:
    plant = pen.plant
    return {
        "driver_enable": plant.driver_enabled(),
        "driver_on": plant.energised,
        "home": plant.home_seen(),
        "trigger": plant.trigger_down,
        "stop": plant.stop_open,
        "cartridge": plant.cartridge_seated,
        "service": plant.service_held,
        "usb": pen.usb,
        "power": pen.powered,
        "depth_um": round(plant.depth_um(), 1),
    }


def _nothing(_pen: Pen, _command: Command) -> Answer:
    return {}


# --- the table --------------------------------------------------------------------------------------------------------
_AFTER = Key("after_ms", _NUMBER, 0, AFTER_MOST_MS, needed=False)
_WAIT = Key("after_ms", _NUMBER, 0, AFTER_MOST_MS, stands_for="MS", example="500")
_FOR = Key("for_ms", _NUMBER, 1, AFTER_MOST_MS, needed=False, stands_for="MS", example="500")
_LABEL = Key("label", _TEXT, 1, LABEL_MOST, stands_for="LABEL", example="cheek")
_LIMIT = Key("limit_um", _NUMBER, 0, LIMIT_MOST_UM, needed=False, nullable=True, stands_for="UM", example="500")
_NAME = Key("name", _TEXT, 1, LABEL_MOST, stands_for="NAME", example="home-stuck")
_PARAMETERS = Key("parameters", _VALUES, needed=False, stands_for="KEY=VALUE ...", example="seen=true")
_DOWN = Key("down", _YES_NO)
_CLOSED = Key("closed", _YES_NO)
_HELD = Key("held", _YES_NO)
_PLUGGED = Key("plugged", _YES_NO)

TABLE = (
    Act("press", "The trigger goes down.", _press, phrases=(Phrase("press"),)),
    Act("release", "The trigger comes up.", _release, phrases=(Phrase("release"),)),
    Act(
        "stop_button",
        "The stop button is pressed, or pulled out again.",
        _stop_button,
        (_DOWN,),
        (Phrase("stop down", (("down", True),)), Phrase("stop up", (("down", False),))),
    ),
    Act(
        "service",
        "The service button inside the case is held, or let go.",
        _service,
        (_HELD,),
        (Phrase("service hold", (("held", True),)), Phrase("service release", (("held", False),))),
    ),
    Act(
        "cartridge",
        "The cartridge holder is opened, or closed.",
        _cartridge,
        (_CLOSED,),
        (Phrase("cartridge open", (("closed", False),)), Phrase("cartridge close", (("closed", True),))),
    ),
    Act(
        "cartridge_change",
        "The holder is opened and closed within 200 ms: a new cartridge.",
        _cartridge_change,
        phrases=(Phrase("cartridge change"),),
    ),
    Act(
        "usb",
        "The USB cable is pulled, for good or for so long, or put back: the host's port breaks, the pen keeps its"
        " power.",
        _usb,
        (_PLUGGED, _FOR),
        (Phrase("usb out", (("plugged", False),), (_FOR,)), Phrase("usb in", (("plugged", True),))),
    ),
    Act(
        "power_cut",
        "The supply is cut, for good or for so long.",
        _power_cut,
        (_FOR,),
        (Phrase("power cut", (), (_FOR,)), Phrase("power off")),
    ),
    Act("power_on", "The supply is switched on.", _power_on, phrases=(Phrase("power on"),)),
    Act("reset", "The chip is reset, as by its watchdog.", _reset, phrases=(Phrase("reset"),)),
    Act("hang", "The CPU does nothing more, until the watchdog bites.", _hang, phrases=(Phrase("hang"),)),
    Act(
        "fault",
        "A fault is done to the pen; `faults` lists them.",
        _fault,
        (_NAME, _PARAMETERS),
        (Phrase("fault", (), (_NAME, _PARAMETERS)),),
    ),
    Act("mend", "A fault that lasts is mended.", _mend, (_NAME,), (Phrase("mend", (), (_NAME,)),)),
    Act(
        "flash_mark",
        "What the flash holds now is remembered, for `flash-rolled-back`.",
        _flash_mark,
        phrases=(Phrase("flash mark"),),
    ),
    Act("faults", "Tells which faults there are, and which the pen has now.", _faults, phrases=(Phrase("faults"),)),
    Act(
        "zone",
        "The oracle counts under this label from now on, and minds this depth; null or none: any depth.",
        _zone,
        (_LABEL, _LIMIT),
        (Phrase("zone", (), (_LABEL, _LIMIT)),),
    ),
    Act("oracle", "Tells what the needle did, by its own account.", _oracle, phrases=(Phrase("oracle"),)),
    Act("pins", "Tells the levels of the pins, and the depth of the needle now.", _pins, phrases=(Phrase("pins"),)),
    Act("wait", "Nothing, for so long.", _nothing, phrases=(Phrase("wait", (), (_WAIT,)),)),
    # Whoever serves the pen ends.
    Act("quit", "The serving ends.", _nothing, phrases=(Phrase("quit"),)),
)
"""Every command there is, in the order in which they are documented."""

_BY_NAME = {act.name: act for act in TABLE}
COMMANDS = tuple(_BY_NAME)
"""What `do` may be."""


def _values(words: Sequence[str]) -> dict[str, Any]:
    """Return the values that somebody gave as words, each KEY=VALUE; BadCommand for a word that is none."""
    found: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name or not value:
            raise BadCommand(f"{word!r:.60} is not KEY=VALUE")
        if name in found:
            raise BadCommand(f"{name!r:.60} is given twice")
        found[name] = _value(value)
    return found


def _value(word: str) -> int | float | bool | str:
    """Return what a word stands for: true, false, a number, or itself."""
    if word in ("true", "false"):
        return word == "true"
    digits = word.removeprefix("-")
    if not digits.isascii() or len(digits) > _DIGITS_MOST or not digits.replace(".", "", 1).isdigit():
        return word
    return float(word) if "." in word else int(word)
