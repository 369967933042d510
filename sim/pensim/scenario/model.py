"""A scenario as it was read: every table checked, every condition parsed, nothing left to find out at run time. Host
only.

`parse` takes the text of a file; whoever opens files hands it the texts of the profiles that it names.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pencore import limits
from pencore.faults import Refusal
from pencore.limits import Bounds
from pencore.provision import Provision
from pencore.provision import check as check_provision
from pencore.units import Geometry
from pensim import faults, hands, oracle
from pensim.scenario import profiles
from pensim.scenario.acts import (
    BYTES_MOST,
    COMMON,
    FAULTS,
    HANDS,
    HANDS_ACTS,
    HOST,
    MEND,
    ORACLE,
    TIMING,
    WAITS_MOST_MS,
    WITHIN_MS,
)
from pensim.scenario.conditions import (
    NEEDLE,
    OPS,
    PINS,
    TOLERANCE_MOST,
    Comparison,
    Condition,
    comparison,
    parse_condition,
    what_of,
)
from pensim.scenario.form import (
    ANY,
    NUMBER,
    TABLE,
    TEXT,
    WHOLE,
    WHOLES,
    WORD,
    WORDS,
    YES_NO,
    BadScenario,
    Finding,
    Key,
    Path,
    check,
    meant,
    shown,
)
from pensim.world import CALIBRATED_AT, DEFAULT_SERIAL

SCHEMA = 1
_MOTION_LONG_MOST_S = 3600
MOTION_MOST_S = 3
"""Most seconds of motion of a scenario that is not `long`: on a board they are real ones."""
VIOLATIONS = tuple(
    value for name, value in vars(oracle).items() if name.isupper() and isinstance(value, str) and name[0] != "_"
)
"""The kinds of what must never happen, as the oracle calls them."""

TOP: dict[str, Key] = {
    "schema": Key(WHOLE, "the form of the file", needed=True, low=SCHEMA, high=SCHEMA),
    "name": Key(TEXT, "what it shows, in a few words", needed=True),
    "summary": Key(TEXT, "what happens and what must come of it", needed=True),
    "motion_s": Key(
        NUMBER, "most seconds that the pen may be homing or making strokes", needed=True, high=_MOTION_LONG_MOST_S
    ),
    "long": Key(YES_NO, f"`motion_s` may be more than {MOTION_MOST_S}"),
    "greet": Key(YES_NO, "say hello before the first act; true when left out"),
    "allow": Key(WORDS, "violations that this scenario provokes", words=VIOLATIONS),
    "pen": Key(TABLE, "which pen it wants"),
    "profile": Key(TABLE, "the session profile, with the keys of profile files", needed=True),
    "act": Key(ANY, "what is done, one after the other"),
    "fault": Key(ANY, "what goes wrong beside it"),
    "expect": Key(ANY, "what must come of it", needed=True),
}
PEN: dict[str, Key] = {
    "serial": Key(TEXT, "its serial number"),
    "seed": Key(WHOLE, "what its nonces are drawn from"),
    "ceiling_um": Key(WHOLE, "deepest it goes at all", high=limits.DEPTH_CEILING_UM),
    "calibration_um": Key(WHOLE, "deepest it is calibrated for", high=limits.DEPTH_CEILING_UM),
    "zone_caps_um": Key(WHOLES, "its cap for each area, in the order of the area codes", high=limits.DEPTH_CEILING_UM),
    "cartridge_strokes": Key(WHOLE, "most strokes of one cartridge"),
    "interval_days": Key(WHOLE, "shortest interval of a course"),
    "key_id": Key(WHOLE, "number of its clinic key; 0: it has none"),
    "provisioned": Key(YES_NO, "false: a pen that has never been provisioned"),
    "new_cartridge": Key(YES_NO, "change the cartridge before the start; true when left out"),
    "powered": Key(YES_NO, "false: without power at the start; greet it yourself"),
}
FACTS = ("serial", "ceiling_um", "calibration_um", "zone_caps_um", "cartridge_strokes", "interval_days", "key_id")
"""Keys of `[pen]` that a pen's hello tells about."""

EXPECT: dict[str, Key] = {
    "what": Key(TEXT, "what is asked", needed=True),
    "op": Key(WORD, "how it is compared", needed=True, words=OPS),
    "value": Key(ANY, "with what", needed=True),
    "tolerance": Key(NUMBER, "by how much a number may be off", high=TOLERANCE_MOST),
    **TIMING,
}
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$")


@dataclass(frozen=True)
class Timing:
    """When something is due: both of `at_ms` and `condition` must be, and then `after_ms` more."""

    at_ms: int | None = None
    condition: Condition | None = None
    after_ms: int = 0
    within_ms: int = WITHIN_MS

    @property
    def given(self) -> bool:
        """Whether it has a time of its own at all."""
        return self.at_ms is not None or self.condition is not None

    def __str__(self) -> str:
        parts = [f"at {self.at_ms} ms"] if self.at_ms is not None else []
        parts += [f"when {self.condition.text}"] if self.condition is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Act:
    """One act, or one fault: its name, its own keys, when, and the code with which it must be refused ("": done)."""

    path: Path
    do: str
    keys: Mapping[str, Any]
    timing: Timing
    refused: str = ""

    def __str__(self) -> str:
        keys = "".join(f" {name}={shown(value)}" for name, value in self.keys.items())
        return f"{self.do}{keys}"


@dataclass(frozen=True)
class Expectation:
    """What must hold, and when; at the end without a time."""

    path: Path
    test: Comparison
    timing: Timing


@dataclass(frozen=True)
class Scenario:
    """A whole scenario; `profile` is its complete table, `pen` the keys that its file gives."""

    file: str
    name: str
    summary: str
    motion_s: Decimal
    greet: bool
    allow: tuple[str, ...]
    pen: Mapping[str, Any]
    profile: Mapping[str, Any]
    acts: tuple[Act, ...]
    faults: tuple[Act, ...]
    expects: tuple[Expectation, ...]
    needs: Mapping[str, str] = field(default_factory=dict)
    """What it needs of the target, and the first place that does."""

    @property
    def key_id(self) -> int:
        """Number of the pen's clinic key; 0: it has none."""
        return int(self.pen.get("key_id", 0))


def provisioning(pen: Mapping[str, Any]) -> Provision:
    """Return the provisioning of the pen that a `[pen]` asks for."""
    bounds = Bounds(Geometry())
    bounds.ceiling_um = pen.get("ceiling_um", bounds.ceiling_um)
    bounds.calibration_um = pen.get("calibration_um", min(bounds.calibration_um, bounds.ceiling_um))
    bounds.caps_um = tuple(pen.get("zone_caps_um", ()))
    bounds.cartridge_strokes = pen.get("cartridge_strokes", bounds.cartridge_strokes)
    bounds.interval_days = pen.get("interval_days", bounds.interval_days)
    setup = Provision(pen.get("serial", DEFAULT_SERIAL), bounds)
    setup.calibrated_at = CALIBRATED_AT
    setup.key_id = pen.get("key_id", 0)
    if setup.key_id:
        setup.key = profiles.KEY
    return setup


def parse(text: str, file: str, open_file: Callable[[str], str]) -> Scenario:
    """Return the scenario in `text`; BadScenario with everything that is wrong with it.

    `open_file` gives the text of a profile that it names, and raises OSError or UnicodeDecodeError when it can't.
    """
    document = _toml(text)
    try:
        return _Parser(document, file, open_file).scenario()
    except RecursionError:
        raise _no_toml("its tables are nested too deep") from None


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        reason = _AT_LINE.sub("", str(error))
        line = int(at[1]) if at else None
        raise _no_toml(reason, line) from None
    except RecursionError:
        raise _no_toml("its lists or tables are nested too deep") from None
    except ValueError:
        # Python doesn't read whole numbers of thousands of digits.
        raise _no_toml("a number has far too many digits") from None


def _no_toml(reason: str, line: int | None = None) -> BadScenario:
    return BadScenario([Finding((), f"This is not TOML: {reason}.", "", "TOML", line)], toml=False)


class _Parser:
    """Reads one document; gathers findings."""

    def __init__(self, document: Mapping[str, Any], file: str, open_file: Callable[[str], str]) -> None:
        self._document = document
        self._file = file
        self._open = open_file
        self._found = check(document, TOP, ())
        self._needs: dict[str, str] = {}
        self._zones = 0

    def scenario(self) -> Scenario:
        """Return the scenario; BadScenario when anything was found."""
        document = self._document
        pen = self._pen(self._table("pen"))
        profile = self._profile(self._table("profile"))
        self._zones = self._zones_most(profile)
        acts = tuple(self._act(index, table, profile) for index, table in enumerate(self._tables("act")))
        disturbances = tuple(self._fault(index, table) for index, table in enumerate(self._tables("fault")))
        expects = tuple(self._expect(index, table) for index, table in enumerate(self._tables("expect")))
        if document.get("expect") == []:
            message = "A scenario that expects nothing shows nothing."
            self._found.append(Finding(("expect",), message, "[]", "at least one [[expect]]"))
        self._motion(document)
        self._waits()
        if self._found:
            raise BadScenario(self._found)
        return Scenario(
            self._file,
            document["name"],
            document["summary"],
            Decimal(document["motion_s"]),
            document.get("greet", True) and pen.get("powered", True),
            tuple(document.get("allow", ())),
            pen,
            profile,
            acts,
            disturbances,
            tuple(expect for expect in expects if expect is not None),
            self._needs,
        )

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self._document.get(name, {})
        return table if isinstance(table, Mapping) else {}

    def _tables(self, name: str) -> list[Mapping[str, Any]]:
        tables = self._document.get(name, [])
        if isinstance(tables, list) and all(isinstance(table, Mapping) for table in tables):
            return tables
        self._found.append(Finding((name,), f"Write each as a [[{name}]] with its keys below.", shown(tables)))
        return []

    def _motion(self, document: Mapping[str, Any]) -> None:
        motion_s = document.get("motion_s", 0)
        if TOP["motion_s"].fits(motion_s) and not document.get("long") and motion_s > MOTION_MOST_S:
            allowed = f"up to {MOTION_MOST_S}, or more with long = true"
            self._found.append(Finding(("motion_s",), "That is long.", shown(motion_s), allowed))

    def _waits(self) -> None:
        """Find waits that come to more than anybody would wait for; each by itself is within its bounds."""
        waits_ms = 0
        latest_ms = 0
        for name in ("act", "fault", "expect"):
            tables = self._document.get(name)
            for table in tables if isinstance(tables, list) else ():
                given = table if isinstance(table, Mapping) else {}
                waits_ms += given.get("after_ms", 0) if TIMING["after_ms"].fits(given.get("after_ms", 0)) else 0
                latest_ms = max(latest_ms, given.get("at_ms", 0) if TIMING["at_ms"].fits(given.get("at_ms", 0)) else 0)
        if waits_ms + latest_ms > WAITS_MOST_MS:
            given_ms = f"{waits_ms + latest_ms} ms"
            self._found.append(
                Finding(("act",), "All waits together are too long.", given_ms, f"up to {WAITS_MOST_MS} ms in all")
            )

    def _zones_most(self, profile: Mapping[str, Any]) -> int:
        """Return how many zones the profile has, at most, as a load may change it; 0 when nobody can say."""
        found = [profile.get("zone")]
        acts = self._document.get("act")
        for table in acts if isinstance(acts, list) else ():
            changes = table.get("with") if isinstance(table, Mapping) else None
            found.append(changes.get("zone") if isinstance(changes, Mapping) else None)
        return max(len(zones) if isinstance(zones, list) else 0 for zones in found)

    def _need(self, need: str, why: str) -> None:
        self._needs.setdefault(need, why)

    # --- tables ------------------------------------------------------------------------------------------------------
    def _pen(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        found = check(table, PEN, ("pen",))
        if not found:
            try:
                check_provision(provisioning(table))
            except Refusal as refusal:
                text = f"No pen can be provisioned so: {refusal.field} = {refusal.given}"
                found.append(Finding(("pen",), text, shown(refusal.given), f"bound {refusal.limit}"))
        self._found += found
        if table.get("powered") is False:
            self._need(HANDS, "[pen] powered = false")
        return table

    def _profile(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        whole = dict(table)
        name = whole.pop("file", None)
        if name is not None:
            base = self._profile_file(name)
            merged = profiles.changed(base, _flat(whole), ("profile",))
            if isinstance(merged, Finding):
                self._found.append(merged)
                return base
            whole = merged
        self._found += profiles.problems(whole, ("profile",))
        return whole

    def _profile_file(self, name: object) -> dict[str, Any]:
        if isinstance(name, str):
            try:
                return _toml(self._open(name))
            except OSError as error:
                self._found.append(
                    Finding(("profile", "file"), f"{shown(name)} cannot be read: {error.strerror}.", name)
                )
            except BadScenario as bad:
                self._found.append(Finding(("profile", "file"), f"{name}: {bad.findings[0].message}", name))
            except UnicodeDecodeError:
                self._found.append(Finding(("profile", "file"), f"{name} is no text in UTF-8.", name, "UTF-8"))
        else:
            self._found.append(Finding(("profile", "file"), "This is the name of a file.", shown(name), "a text"))
        return {}

    def _timing(self, table: Mapping[str, Any], path: Path) -> Timing:
        condition = None
        text = table.get("when")
        if isinstance(text, str) and text:
            parsed = parse_condition(text, (*path, "when"))
            if isinstance(parsed, Finding):
                self._found.append(parsed)
            else:
                condition = parsed
                for part in parsed.parts:
                    self._ask(part.what, f"{_place(path)} when {text}", (*path, "when"))
        return Timing(table.get("at_ms"), condition, table.get("after_ms", 0), table.get("within_ms", WITHIN_MS))

    def _ask(self, name: str, why: str, path: Path) -> None:
        parts = name.split(".")
        if parts[0] in ("needle", "record") and parts[1] == "zones" and 0 < self._zones <= int(parts[2]):
            allowed = f"zones 0 to {self._zones - 1}"
            self._found.append(Finding(path, f"{name}: the profile has no zone {parts[2]}.", parts[2], allowed))
        what = what_of(name)
        if what is not None and what.source in (NEEDLE, PINS):
            self._need(ORACLE, why)

    def _act(self, index: int, table: Mapping[str, Any], profile: Mapping[str, Any]) -> Act:
        path: Path = ("act", index)
        do = table.get("do")
        own = {name: value for name, value in table.items() if name not in COMMON}
        if isinstance(do, str) and do in HOST:
            form = HOST[do]
            self._found += check(table, {**COMMON, **form.keys}, path)
            if form.need:
                self._need(form.need, f"{_place(path)} {do}")
            if do == "load":
                self._load(own, profile, path)
            elif do == "bytes":
                self._bytes(own, path)
        elif isinstance(do, str) and do in HANDS_ACTS:
            self._found += check({name: table[name] for name in table if name in COMMON}, COMMON, path)
            self._hands(do, own, path)
        else:
            allowed = ", ".join((*HOST, *HANDS_ACTS))
            self._found.append(
                Finding((*path, "do"), f"There is no act {shown(do)!r}.{meant(do, allowed)}", shown(do), allowed)
            )
        return Act(path, str(do), own, self._timing(table, path), table.get("refused", ""))

    def _load(self, own: Mapping[str, Any], profile: Mapping[str, Any], path: Path) -> None:
        for offset, value in own["patch"] if HOST["load"].keys["patch"].fits(own.get("patch")) else ():
            if offset < 0 or not 0 <= value <= 255:
                allowed = "offsets from 0, values from 0 to 255"
                self._found.append(Finding((*path, "patch"), "That is no byte.", f"[{offset}, {value}]", allowed))
        changes = own.get("with", {})
        if not isinstance(changes, Mapping):
            return
        table = profiles.changed(profile, changes, (*path, "with"))
        if isinstance(table, Finding):
            self._found.append(table)
        else:
            known = {str(finding) for finding in self._found}
            found = profiles.problems(table, (*path, "with"))
            self._found += [finding for finding in found if str(finding) not in known]

    def _bytes(self, own: Mapping[str, Any], path: Path) -> None:
        if ("text" in own) == ("hex" in own):
            given = "both" if "text" in own else ""
            self._found.append(Finding(path, "Bytes are given in one way.", given, "either text or hex"))
            return
        text = own.get("text", "-")
        if not isinstance(text, str) or not text:
            self._found.append(Finding((*path, "text"), "There is nothing to send.", shown(text), "a text"))
            return
        size = len(text.encode()) if "text" in own else len(str(own["hex"])) // 2
        repeat = own.get("repeat", 1)
        if type(repeat) is int and size * repeat > BYTES_MOST:
            allowed = f"up to {BYTES_MOST} bytes in all"
            self._found.append(Finding((*path, "repeat"), "That is too much to send.", shown(repeat), allowed))

    def _hands(self, do: str, own: Mapping[str, Any], path: Path) -> None:
        self._need(HANDS, f"{_place(path)} {do}")
        try:
            hands.delay_ms({"do": do, **own})
        except hands.BadCommand as problem:
            self._found.append(Finding(path, f"{problem}."))

    def _fault(self, index: int, table: Mapping[str, Any]) -> Act:
        path: Path = ("fault", index)
        do = table.get("do")
        own = {name: value for name, value in table.items() if name not in TIMING and name != "do"}
        self._found += check({name: table[name] for name in table if name in TIMING}, TIMING, path)
        if isinstance(do, str) and do in HANDS_ACTS:
            self._hands(do, own, path)
        elif do == MEND:
            self._need(HANDS, f"{_place(path)} {do}")
            self._found += check(own, {"name": Key(WORD, "which", needed=True, words=FAULTS)}, path)
        elif isinstance(do, str) and do in FAULTS:
            self._need(HANDS, f"{_place(path)} {do}")
            own = {name: float(value) if isinstance(value, Decimal) else value for name, value in own.items()}
            try:
                faults.fault(do, **own)
            except ValueError as problem:
                self._found.append(Finding(path, f"{problem}."))
        else:
            allowed = ", ".join((*FAULTS, MEND, *HANDS_ACTS))
            self._found.append(
                Finding((*path, "do"), f"There is no fault {shown(do)!r}.{meant(do, allowed)}", shown(do), allowed)
            )
        timing = self._timing(table, path)
        if not timing.given:
            self._found.append(Finding(path, "A fault has an at_ms or a when.", "", "at_ms, when"))
        return Act(path, str(do), own, timing)

    def _expect(self, index: int, table: Mapping[str, Any]) -> Expectation | None:
        path: Path = ("expect", index)
        found = check(table, EXPECT, path)
        timing = self._timing(table, path)
        if found:
            self._found += found
            return None
        test = comparison(table["what"], table["op"], table["value"], table.get("tolerance", 0), path)
        if isinstance(test, Finding):
            self._found.append(test)
            return None
        self._ask(test.what, f"{_place(path)} {test}", path)
        return Expectation(path, test, timing)


def _place(path: Path) -> str:
    return f"[[{path[0]}]] number {int(path[1]) + 1}:"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of `table` by dotted key; lists stay whole."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
