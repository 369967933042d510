"""The picture of a profile: each zone's depth against its limit and cap, strokes, rate and time. Host only; draws.

It is drawn of the profile as the pen takes it, so that a file and what was sent to a pen look the same.
"""

from datetime import UTC, date, datetime, timedelta

from rich.table import Table
from rich.text import Text

from pencore import limits
from pencore.limits import Bounds
from pencore.profile import Profile, Zone
from pinprick.cli import pictures
from pinprick.cli.output import Output
from pinprick.cli.pictures import Column
from pinprick.profiles.units import counted, mm_number

_EPOCH = date(1970, 1, 1)
_SHARE_WIDTH = 16
_BAR_LEAST = 8
_BAR_MOST = 36
_DISPENSABLE = ("rate", "#", "cap", "min", "limit")
"""Columns that a narrow terminal does without, the first of them first; the depth bar goes before any."""


def cap_um(bounds: Bounds, area: int) -> int:
    """Return the deepest that a pen with `bounds` goes in `area`, in um: cap, calibration and ceiling."""
    return min(bounds.zone_cap_um(area), bounds.calibration_um, bounds.ceiling_um)


def today() -> date:
    """Return today's date as the pen counts days, in UTC."""
    return datetime.now(UTC).date()


def draw(out: Output, shown: Profile, bounds: Bounds) -> None:
    """Draw `shown` as a pen with `bounds` would carry it out."""
    expires = _EPOCH + timedelta(days=shown.expires_day)
    expired = expires < today()
    out.say(Text(shown.name, style="bold"))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("Course", f"{shown.course_id}, session {shown.course_index} of {shown.course_of}")
    step = mm_number(shown.max_step_um)
    facts.add_row("", f"at least {shown.interval_days} days apart, at most {step} mm deeper each time")
    facts.add_row(
        "Cartridge",
        Text.assemble(
            f"{shown.cartridge_id}, lot {shown.cartridge_lot}, {shown.needles} needles, ",
            (f"expire{'d' if expired else 's'} {expires}", "bold red" if expired else ""),
        ),
    )
    facts.add_row("Session", f"at most {mm_number(shown.depth_um)} mm and {counted(shown.strokes, 'stroke')}")
    out.say(facts)
    out.say()
    table, has_bars = _zone_table(out, shown, bounds)
    out.say(table)
    if has_bars:
        out.say(pictures.legend(out.console, ("depth set", "up to the session's limit", "up to the area's cap")))
    has_rate = any(column.header == "rate" for column in table.columns)
    rate = " Rate: set/highest possible, per second." if has_rate else ""
    out.say(Text(f"Depth: commanded protrusion, mm.{rate}", "dim"))


def _zone_table(out: Output, shown: Profile, bounds: Bounds) -> tuple[Table, bool]:
    """Return the table of zones and whether it has depth bars; they take what width the terminal has left."""
    zones, budget = shown.zones, shown.strokes
    caps_um = [cap_um(bounds, zone.area) for zone in zones]
    limits_um = [min(cap, shown.depth_um) for cap in caps_um]
    counts = [*(zone.strokes for zone in zones), sum(zone.strokes for zone in zones)]
    times_s = [_trigger_s(zone) for zone in zones]
    rates = [f"{zone.rate_per_s}/{limits.max_rate(zone.depth_um, bounds.geometry)}" for zone in zones]
    columns = [
        Column("#", [*(str(index) for index in range(len(zones))), ""], "dim"),
        Column("zone", [*(limits.zone_name(zone.area, zone.side) for zone in zones), "all zones"], left=True),
        Column("set", [*(mm_number(zone.depth_um) for zone in zones), ""], "cyan"),
        Column("limit", [*(mm_number(um) for um in limits_um), ""], "yellow"),
        Column("cap", [*(mm_number(um) for um in caps_um), ""], "dim"),
        Column("strokes", [f"{count:,}" for count in counts]),
        Column("rate", [*rates, ""]),
        Column("min", [pictures.duration(time_s) for time_s in (*times_s, sum(times_s))]),
    ]
    if out.console.width >= 100:
        shares: list[str | Text] = [
            pictures.bar(out.console, _SHARE_WIDTH, budget, (count, budget)) for count in counts
        ]
        columns.insert(6, Column("of the session", shares, left=True))
        columns.insert(7, Column("", [f"{(200 * count + budget) // (2 * budget)}%" for count in counts], "dim"))
    # The bar's own gap, and as much to the right of the table.
    left = out.console.width - pictures.table_width(columns) - 4
    has_bars = left >= _BAR_LEAST
    if has_bars:
        marks = zip((zone.depth_um for zone in zones), limits_um, caps_um, strict=True)
        bars = [pictures.bar(out.console, min(_BAR_MOST, left), max(caps_um), mark) for mark in marks]
        columns.insert(2, Column("depth", [*bars, ""], left=True))
    return pictures.table(columns, out.console.width, _DISPENSABLE), has_bars


def _trigger_s(zone: Zone) -> float:
    """Return how long the trigger is held for the whole budget, in seconds."""
    return zone.strokes / zone.rate_per_s
