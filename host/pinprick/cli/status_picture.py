"""The picture of a connected pen: its state, its session zone by zone, its inputs, in words and bars. Host only; draws.

Also what the zones of a session are called: the pen knows areas and depths, but tells counts alone, so the names come
from what this computer has sent to it.
"""

from contextlib import suppress
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from pencore import limits, signals, wire
from pencore.faults import NAMES
from pencore.profile import Profile
from pencore.profile import decode as decode_profile
from pinprick import wording
from pinprick.cli import pictures
from pinprick.cli.output import Output, printable
from pinprick.cli.pictures import Column
from pinprick.clock import shown
from pinprick.device import Pen, PenInfo, Status
from pinprick.errors import InputError
from pinprick.profiles.units import counted, mm_number
from pinprick.sent import SentProfiles
from pinprick.wording.states import MEANING

_BAR_LEAST = 8
_BAR_MOST = 40
_UNITS_LEAST = 60
_DISPENSABLE = ("rate", "#", "limit", "forfeited")
"""Columns that a narrow terminal does without, the first of them first; the bar goes before any."""

INPUTS: tuple[tuple[str, int, str, str], ...] = (
    ("trigger", signals.TRIGGER, "pressed", "released"),
    ("stop", signals.STOP, "pressed, or its wire is broken", "not pressed"),
    ("cartridge", signals.CARTRIDGE, "in", "not in"),
    ("home", signals.HOME, "needles at home", "not at home, or not homed"),
)
"""(name, bit of the pen's inputs, what it means when set, when clear)."""


def sent_profile(pen: Pen, status: Status, sent: SentProfiles) -> Profile | None:
    """Return the profile that the pen has loaded, if this computer sent it, and None else; by its digest."""
    if not status.left:
        return None
    # What was said when the connection began may be older than what is loaded.
    info = pen.info if any(pen.info.open_digest) else pen.hello()
    data = None
    with suppress(InputError):
        # What the pen says is worth showing all the same.
        data = sent.get(info.serial, status.session_id, info.open_digest)
    return None if data is None else decode_profile(data)


@dataclass(frozen=True, slots=True)
class ZoneLine:
    """A zone as it stands: `depth_um`, `limit_um` and `rate_per_s` are None where the profile isn't known here."""

    index: int
    name: str
    made: int
    forfeited: int
    left: int
    depth_um: int | None = None
    limit_um: int | None = None
    rate_per_s: int | None = None

    def as_fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "zone": self.index,
            "name": self.name,
            "made": self.made,
            "forfeited": self.forfeited,
            "counted": self.made + self.forfeited,
            "left": self.left,
            "depth_um": self.depth_um,
            "limit_um": self.limit_um,
            "rate_per_s": self.rate_per_s,
        }


def zone_lines(info: PenInfo, status: Status, profile: Profile | None) -> list[ZoneLine]:
    """Return the zones of the session, named where `profile` says how; "zone 1" for the second one elsewhere."""
    lines = []
    for index, left in enumerate(status.left):
        made, forfeited = status.made[index], status.forfeited[index]
        if profile is None:
            lines.append(ZoneLine(index, f"zone {index}", made, forfeited, left))
            continue
        zone = profile.zones[index]
        limit_um = limits.effective_um(info.bounds(), zone.area, profile.depth_um, zone.depth_um)
        name = limits.zone_name(zone.area, zone.side)
        lines.append(ZoneLine(index, name, made, forfeited, left, zone.depth_um, limit_um, zone.rate_per_s))
    return lines


def as_fields(pen: Pen, status: Status, profile: Profile | None) -> dict[str, object]:
    """Return the whole status for programs."""
    info = pen.info
    return {
        "serial": info.serial,
        "port": pen.port,
        "firmware": info.firmware,
        "build": info.build,
        "state": wire.STATE_NAMES[status.state],
        "fault": {"code": status.fault, "name": NAMES.get(status.fault, "UNKNOWN")} if status.fault else None,
        "session": status.session_id if status.left else None,
        "open": info.open_session != 0,
        "resumed": status.resumed,
        "profile": None if profile is None else profile.name,
        "zone": status.zone,
        "counted": status.counted,
        "left": status.session_left,
        "zones": [line.as_fields() for line in zone_lines(info, status, profile)],
        "inputs": {name: bool(status.inputs & bit) for name, bit, _, _ in INPUTS},
        "ceiling_um": info.ceiling_um,
        "calibration_um": info.calibration_um,
        "key_id": info.key_id or None,
        "time_floor": info.time_floor or None,
        "records": info.records,
    }


def draw(out: Output, pen: Pen, status: Status, profile: Profile | None) -> None:
    """Draw the status of `pen`."""
    info = pen.info
    style = "bold red" if status.state == wire.FAULT else "bold"
    out.say(
        Text.assemble(
            (f"{printable(info.serial) or 'A pen without a serial number'} ", "bold"),
            (f"on {printable(pen.port)}", "dim"),
        )
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(ratio=1)
    facts.add_row("State", Text.assemble((wire.STATE_NAMES[status.state], style), f"  {MEANING[status.state]}"))
    if status.fault:
        words = wording.of(status.fault)
        name = NAMES.get(status.fault, "UNKNOWN")
        facts.add_row("Fault", Text.assemble((f"{name} {status.fault}", "bold red"), f"  {words.what}"))
        facts.add_row("Safe?", words.client)
        facts.add_row("To do", words.todo)
    facts.add_row("Session", _session(info, status, profile))
    if status.left:
        counts = f"{counted(status.counted, 'stroke')} counted, {status.session_left:,} more allowed"
        facts.add_row("Strokes", counts)
    depth = f"at most {mm_number(min(info.ceiling_um, info.calibration_um))} mm"
    if profile is not None:
        depth += f"; this session at most {mm_number(profile.depth_um)} mm"
    facts.add_row("Depth", depth)
    if info.serial:
        key = f"{info.key_id}: profiles signed with it" if info.key_id else "none: unsigned profiles"
        facts.add_row("Key", f"{key} are taken")
        told = f"{shown(info.time_floor)}, the latest that it was told" if info.time_floor else "never told"
        facts.add_row("Time", told)
    for name, bit, down, up in INPUTS:
        facts.add_row(name.capitalize(), down if status.inputs & bit else up)
    if info.records:
        waiting = f"{counted(info.records, 'record')} not pulled yet: `pinprick records pull`"
        facts.add_row("Records", waiting)
    out.say(facts)
    if status.left:
        out.say()
        _draw_zones(out, status, zone_lines(info, status, profile))


def _session(info: PenInfo, status: Status, profile: Profile | None) -> str:
    if not status.left:
        return f"none; the next one is {info.session_id}"
    name = "a profile that was not sent from here" if profile is None else printable(profile.name)
    begun = "open" if info.open_session else "no stroke yet"
    return f"{status.session_id}, {begun}{', interrupted' if status.resumed else ''}: {name}"


def _draw_zones(out: Output, status: Status, lines: list[ZoneLine]) -> None:
    known = any(line.depth_um is not None for line in lines)
    total = [sum(getattr(line, name) for line in lines) for name in ("made", "forfeited", "left")]
    columns = [
        Column("#", [*(str(line.index) for line in lines), ""], "dim"),
        Column("zone", [*(_name(out, line, status) for line in lines), "all zones"], left=True),
        Column("made", [*(f"{line.made:,}" for line in lines), f"{total[0]:,}"], "cyan"),
        Column("forfeited", [*(f"{line.forfeited:,}" for line in lines), f"{total[1]:,}"], "yellow"),
        Column("left", [*(f"{line.left:,}" for line in lines), f"{total[2]:,}"]),
    ]
    if known:
        columns.append(Column("limit", [*(mm_number(line.limit_um or 0) for line in lines), ""]))
        columns.append(Column("rate", [*(str(line.rate_per_s) for line in lines), ""]))
    room = out.console.width - pictures.table_width(columns) - 4
    has_bars = room >= _BAR_LEAST
    if has_bars:
        width = min(_BAR_MOST, room)
        bars = [_bar(out, width, line.made, line.forfeited, line.left) for line in lines]
        columns.insert(2, Column("strokes", [*bars, ""], left=True))
    out.say(pictures.table(columns, out.console.width, _DISPENSABLE))
    if has_bars:
        out.say(pictures.legend(out.console, ("made", "forfeited", "left")))
    if known and out.console.width >= _UNITS_LEAST:
        out.say(Text("Limit: commanded protrusion, mm. Rate: strokes per second.", "dim"))


def _bar(out: Output, width: int, made: int, forfeited: int, left: int) -> Text:
    return pictures.bar(out.console, width, made + forfeited + left, (made, made + forfeited, made + forfeited + left))


def _name(out: Output, line: ZoneLine, status: Status) -> Text:
    """Return a zone's name, marked when it is the one at work."""
    if line.index != status.zone:
        return Text(line.name)
    return Text(f"{line.name} {'<' if out.console.options.ascii_only else '◂'}", "bold")
