"""The live picture of a session: state, depth, strokes, zone by zone, and how old all of it is. Host only; draws, asks
nothing.

`SessionView` holds what is known; whoever hears of the pen writes into it, from any thread. `watching` shows it on a
terminal, drawn anew several times a second. Where there is none, who watches says what changed, line by line. No
colour says anything that a word beside it doesn't say too.
"""

import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, ConsoleDimensions, ConsoleOptions, Group, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from pencore import limits, wire
from pencore.limits import Bounds
from pencore.profile import Profile
from pinprick import wording
from pinprick.cli import pictures
from pinprick.cli.output import Output, printable
from pinprick.device import Status, Telemetry
from pinprick.errors import code_name
from pinprick.profiles.units import counted, mm, mm_number
from pinprick.wording.states import MEANING, alone

FRESH_S = 1.0
"""What was heard longer ago than this is shown as old."""
DRIVEN = (wire.HOMING, wire.ARMED, wire.RUNNING, wire.PAUSED)
"""The states in which the driver is on; in all of them the pen tells of itself ten times a second."""
_FRAMES_PER_S = 10
_DEPTH_MOST = 24
_STROKES_MOST = 30
_BAR_LEAST = 6
_GAP = 2
_LABEL = 9
_TALL = 30
"""From this height on the state's band is three lines high."""
_TITLE_LEAST = 12

# Both colours are named, so that they are seen on light and on dark ground alike.
_BANDS = {
    wire.HOMING: "bold white on blue",
    wire.ARMED: "bold black on yellow",
    wire.RUNNING: "bold black on green",
    wire.PAUSED: "bold white on blue",
    wire.FAULT: "bold white on red",
}
_OTHER_BAND = "bold reverse"
_LOST_BAND = "bold white on red"


@dataclass
class ZoneView:
    """A zone as it is shown. Depths in um.

    `set_um` is the depth that the profile sets (None when the profile isn't known here), `limit_um` the least of what
    session, area, calibration and pen allow, `cap_um` the cap of the area. `deepest_um` is what the needle reached by
    its own account, which only a virtual pen has; None until it was asked.
    """

    name: str
    set_um: int | None
    limit_um: int
    cap_um: int
    budget: int
    made: int = 0
    forfeited: int = 0
    left: int = 0
    deepest_um: int | None = None
    done: bool = False

    @property
    def counted(self) -> int:
        """Strokes that count against the budget."""
        return self.made + self.forfeited


def zone_views(profile: Profile, bounds: Bounds) -> list[ZoneView]:
    """Return the zones of `profile` as they are on a pen with `bounds`, nothing made yet."""
    views = []
    for zone in profile.zones:
        cap_um = bounds.zone_cap_um(zone.area)
        limit_um = limits.effective_um(bounds, zone.area, profile.depth_um, cap_um)
        name = limits.zone_name(zone.area, zone.side)
        views.append(ZoneView(name, zone.depth_um, limit_um, cap_um, zone.strokes, left=zone.strokes))
    return views


@dataclass
class SessionView:
    """A session as it is shown; `zone` is the index of the zone at work, None before the first.

    `needle` when there is a needle that can be asked how deep it was. `keys` and `help_lines` are what the keys do, in
    short and at length, `helping` when the latter are wanted. `note` is the last thing to say, `lost` whether
    the connection is gone, `ended` when nothing more is expected of the pen.
    """

    title: str
    pen: str
    zones: list[ZoneView] = field(default_factory=list)
    zone: int | None = None
    state: int = wire.LOADED
    fault: int = 0
    trigger: bool | None = None
    needle: bool = False
    elapsed_ms: int = 0
    began_ms: int | None = None
    heard_at: float | None = None
    telemetry: Telemetry | None = None
    keys: Sequence[tuple[str, str]] = ()
    help_lines: Sequence[tuple[str, str]] = ()
    helping: bool = False
    note: str = ""
    lost: bool = False
    ended: bool = False

    def heard(self, telemetry: Telemetry) -> None:
        """Take in what the pen says of the zone at work."""
        self.state = telemetry.state
        self.telemetry = telemetry
        self.heard_at = time.monotonic()
        if self.began_ms is None:
            self.began_ms = telemetry.uptime_ms
        self.elapsed_ms = (telemetry.uptime_ms - self.began_ms) & 0xFFFFFFFF
        if telemetry.zone is not None:
            self.zone = telemetry.zone
        if telemetry.zone is not None and telemetry.zone < len(self.zones):
            zone = self.zones[telemetry.zone]
            zone.made = telemetry.made
            zone.forfeited = telemetry.forfeited
            zone.left = telemetry.left

    def told(self, status: Status) -> None:
        """Take in the pen's answer about the whole session; zones not known yet are numbered."""
        self.heard_at = time.monotonic()
        self.state = status.state
        self.fault = status.fault
        if not status.made:
            # No session any more: what is shown is what it came to.
            return
        if len(self.zones) != len(status.made):
            accounts = zip(status.made, status.forfeited, status.left, strict=True)
            self.zones = [ZoneView(f"zone {at}", None, 0, 0, sum(one)) for at, one in enumerate(accounts)]
        for zone, made, forfeited, left in zip(self.zones, status.made, status.forfeited, status.left, strict=True):
            zone.made, zone.forfeited, zone.left = made, forfeited, left
            zone.done = left == 0
        self.zone = status.zone

    def age_s(self) -> float:
        """Return for how long nothing was heard of the pen; 0 before its first word."""
        return 0.0 if self.heard_at is None else time.monotonic() - self.heard_at

    @property
    def stale(self) -> bool:
        """Whether what is shown may not be so any more."""
        return self.lost or (not self.ended and self.age_s() > FRESH_S)

    @property
    def at_work(self) -> ZoneView | None:
        """The zone at work."""
        return self.zones[self.zone] if self.zone is not None and self.zone < len(self.zones) else None

    @property
    def counted(self) -> int:
        """Strokes of all zones that count."""
        return sum(zone.counted for zone in self.zones)

    @property
    def budget(self) -> int:
        """Strokes that all zones may make."""
        return sum(zone.budget for zone in self.zones)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _Picture(self, console, options.max_width).drawn(options.height or console.height)


class _Picture:
    """One drawing of a view."""

    def __init__(self, view: SessionView, console: Console, width: int) -> None:
        self._view = view
        self._console = console
        self._plain = console.options.ascii_only
        self._width = width
        self._old = "dim" if view.stale else ""
        self._depth_bar = False

    def drawn(self, height: int) -> RenderableType:
        """Return the whole picture, no higher than `height` where that is possible; the keys are never left out."""
        view = self._view
        top = [*self._band(3 if height >= _TALL else 1), *self._freshness(), *self._trouble()]
        rows = [] if view.helping else self._rows()
        bottom = [*self._note(), *self._keys()]
        room = height - 1 - len(bottom)
        if len(top) < room:
            top.insert(0, self._title())
        top = top[: max(1, room)]
        room -= len(top)
        rows = rows[: max(0, room)]
        room -= len(rows)
        parts: list[RenderableType] = [*top, *rows]
        if view.helping:
            parts += self._help()[: max(0, room)]
        elif view.zones and room >= 4:
            shown = _shown(view, room - 3)
            parts += [Text(""), self._table(shown), self._legend(shown)]
        return Group(*parts, *bottom)

    # --- what is said above ------------------------------------------------------------------------------------------
    def _title(self) -> Text:
        view = self._view
        room = self._width - len(view.pen) - _GAP
        title = Text(printable(view.title), "bold", no_wrap=True, overflow="ellipsis")
        pen = printable(view.pen)
        if room < _TITLE_LEAST:
            title.truncate(self._width, overflow="ellipsis")
            return title
        title.truncate(room, overflow="ellipsis")
        title.append(" " * (self._width - len(title) - len(pen)))
        return title.append(pen, "not bold")

    def _band(self, lines: int) -> list[Text]:
        """Return the state, across the whole width."""
        view = self._view
        name, style = wire.STATE_NAMES[view.state], _BANDS.get(view.state, _OTHER_BAND)
        if view.lost:
            name, style = "CONNECTION LOST", _LOST_BAND
        elif view.stale:
            name = f"{name}?"
        words = [f"  {name}"]
        zone = view.at_work
        if zone is not None and view.state in DRIVEN and not view.lost:
            words.append(f"{zone.name}")
        if view.trigger is not None:
            on, off = ("[x]", "[ ]") if self._plain else ("●", "○")
            words.append(f"{on} trigger pressed" if view.trigger else f"{off} trigger released")
        text = "   ".join(words)[: self._width].ljust(self._width)
        padding = [Text(" " * self._width, style)] * (lines // 2)
        return [*padding, Text(text, style, no_wrap=True), *padding]

    def _freshness(self) -> list[Text]:
        """Return what the state means and how old the last word is."""
        view = self._view
        meaning = MEANING[view.state]
        if view.lost:
            # What is said below the last picture says it once more.
            return [] if view.ended else [Text(line, "bold red") for line in self._wrapped(alone(view.state))]
        if view.ended or view.heard_at is None:
            return [Text(meaning)]
        age = f"last word {view.age_s():.1f} s ago"
        if not view.stale:
            return self._packed([(meaning, ""), (age, "dim")])
        old = f"OLD: {age}. {alone(view.state)}"
        return [Text(line, "bold red") for line in self._wrapped(old)]

    def _trouble(self) -> list[Text]:
        """Return the fault the pen is in: what happened, what to do."""
        view = self._view
        if view.state != wire.FAULT or not view.fault or view.lost or view.ended:
            return []
        words = wording.of(view.fault)
        lines = [Text(f"{code_name(view.fault)} {view.fault}", "bold red")]
        for label, text in (("", words.what), ("Safe?   ", words.client), ("To do:  ", words.todo)):
            lines += [Text(line) for line in self._wrapped(label + text, " " * len(label))]
        return lines

    def _rows(self) -> list[Text]:
        """Return depth, strokes, rate, session and lease, each under its name."""
        view = self._view
        rows = self._zone_rows() if view.at_work is not None else []
        if view.zones:
            left = sum(zone.left for zone in view.zones)
            if view.telemetry is not None:
                # Session and cartridge may allow less than the zones together.
                left = min(left, view.telemetry.session_left)
            parts = [f"{view.counted:,} of {counted(view.budget, 'stroke')}", f"{left:,} left"]
            parts += [pictures.duration(view.elapsed_ms / 1000)] if view.began_ms is not None else []
            rows += self._labelled("session", parts)
        if view.keys:
            rows += self._labelled("lease", [self._lease()])
        return rows

    def _zone_rows(self) -> list[Text]:
        view = self._view
        zone = view.at_work
        if zone is None:
            return []
        rows = self._labelled("zone", [f"{zone.name}", f"{(view.zone or 0) + 1} of {len(view.zones)}"])
        told = view.telemetry if view.telemetry is not None and view.telemetry.zone == view.zone else None
        depths = [] if zone.set_um is None else [f"set {mm(zone.set_um)}"]
        limit_um = zone.limit_um or (told.limit_um if told is not None else 0)
        depths += [f"limit {mm(limit_um)}"] if limit_um else []
        depths += [f"pen reports {mm(told.depth_um)}"] if told is not None else []
        depths += [f"needle reached {mm(zone.deepest_um)}"] if zone.deepest_um is not None else []
        rows += self._labelled("depth", depths)
        if told is not None and zone.set_um not in (None, told.depth_um):
            rows.append(Text(" " * _LABEL + "THE PEN WORKS AT ANOTHER DEPTH THAN IS SET: STOP IT", "bold red"))
        made = [f"{zone.made:,} of {counted(zone.budget, 'stroke')} made"]
        made += [f"{told.reserved:,} reserved"] if told is not None else []
        made += [f"{zone.left:,} left", f"{zone.forfeited:,} forfeited"]
        rows += self._labelled("strokes", made)
        if told is not None:
            rows += self._labelled("rate", [f"{counted(told.rate_per_s, 'stroke')} a second"])
        return rows

    def _lease(self) -> str:
        view = self._view
        if view.lost:
            return "lost"
        if view.state not in DRIVEN:
            return "none needed, the driver is off"
        return "in danger: the pen is not heard" if view.stale else "held: the pen hears this computer"

    # --- zone by zone ------------------------------------------------------------------------------------------------
    def _table(self, shown: range) -> Table:
        view = self._view
        names = max(len(zone.name) for zone in view.zones)
        depths = max(len("0.00/0.00"), *(len(_depths(view, zone)) for zone in view.zones))
        counts = max(len("strokes"), *(len(_of(zone.budget, zone.budget)) for zone in view.zones))
        depth_bar, strokes_bar = _bars(self._width - names - depths - counts - 1 - _GAP * 3)
        self._depth_bar = depth_bar > 0
        scale = max(zone.cap_um for zone in view.zones)
        table = Table.grid(padding=(0, _GAP, 0, 0))
        columns = [(names, "zone"), (depth_bar, "depth"), (depths, "mm"), (strokes_bar, ""), (counts, "strokes")]
        columns += [(1, "")]
        drawn = [index for index, (size, _) in enumerate(columns) if size]
        for index in drawn:
            table.add_column(width=columns[index][0], no_wrap=True, justify="right" if index in (2, 4) else "left")
        table.add_row(*(Text(columns[index][1], "dim") for index in drawn))
        for index in shown:
            zone = view.zones[index]
            here = index == view.zone and not zone.done
            style = self._old or ("bold" if here else "" if zone.done else "dim")
            row = (
                Text(zone.name, style),
                pictures.bar(self._console, depth_bar, scale, _marks_um(view, zone)),
                Text(_depths(view, zone), style),
                pictures.bar(self._console, strokes_bar, zone.budget, (zone.counted, zone.counted, zone.budget)),
                Text(_of(zone.counted, zone.budget), style),
                Text(self._mark(zone, here), "green"),
            )
            table.add_row(*(row[column] for column in drawn))
        return table

    def _mark(self, zone: ZoneView, here: bool) -> str:
        if zone.done:
            return "*" if self._plain else "✓"
        return (">" if self._plain else "◂") if here else " "

    def _legend(self, shown: range) -> Text:
        """Return what the bars mean, if there are any, and which zones are shown, if not all are."""
        view = self._view
        words = ("the needle", "set", "cap of the area") if view.needle else ("set", "limit", "cap of the area")
        legend = pictures.legend(self._console, words) if self._depth_bar else Text()
        if len(shown) < len(view.zones):
            legend.append(f"zones {shown[0] + 1} to {shown[-1] + 1} of {len(view.zones)}", "bold")
        legend.no_wrap = True
        return legend

    # --- what is said below ------------------------------------------------------------------------------------------
    def _note(self) -> list[Text]:
        return [Text(line, "bold") for line in self._wrapped(printable(self._view.note))]

    def _keys(self) -> list[Text]:
        keys = () if self._view.ended else self._view.keys
        return self._packed([(f"{key} {what}", "") for key, what in keys])

    def _help(self) -> list[Text]:
        lines = []
        for key, what in self._view.help_lines:
            lines += [Text(line) for line in self._wrapped(f"{key:<{_LABEL}}{what}", " " * _LABEL)]
        return lines

    # --- lines -------------------------------------------------------------------------------------------------------
    def _wrapped(self, text: str, indent: str = "") -> list[str]:
        return textwrap.wrap(text, max(20, self._width), subsequent_indent=indent)

    def _labelled(self, label: str, parts: Sequence[str]) -> list[Text]:
        """Return `parts` in as few lines as they fit in, the first after its `label`."""
        lines = self._packed([(part, self._old) for part in parts], self._width - _LABEL)
        heads = [f"{label:<{_LABEL}}"] + [" " * _LABEL] * (len(lines) - 1)
        return [Text.assemble((head, "dim"), line) for head, line in zip(heads, lines, strict=True)]

    def _packed(self, parts: Sequence[tuple[str, str]], width: int | None = None) -> list[Text]:
        """Return lines of as many of `parts`, with their styles, as fit."""
        width = self._width if width is None else width
        lines: list[Text] = []
        for part, style in parts:
            if lines and len(lines[-1]) + 3 + len(part) <= width:
                lines[-1].append("   ").append(part, style)
            else:
                lines.append(Text(no_wrap=True, overflow="ellipsis").append(part, style))
        return lines


def _marks_um(view: SessionView, zone: ZoneView) -> tuple[int, int, int]:
    """Return the marks of a zone's depth bar, as `_Picture._legend` names them."""
    if view.needle:
        return zone.deepest_um or 0, zone.set_um or 0, zone.cap_um
    return zone.set_um or 0, zone.limit_um, zone.cap_um


def _depths(view: SessionView, zone: ZoneView) -> str:
    """Return the first two marks in mm."""
    if zone.set_um is None:
        return "-"
    first, second, _ = _marks_um(view, zone)
    return f"{'-' if view.needle and zone.deepest_um is None else mm_number(first)}/{mm_number(second)}"


def _of(part: int, whole: int) -> str:
    return f"{part:,}/{whole:,}"


def _bars(left: int) -> tuple[int, int]:
    """Return how wide the bars of depth and of strokes are when `left` characters are left for both; 0: no bar."""
    both = left - 2 * _GAP
    if both >= 2 * _BAR_LEAST:
        depth = min(_DEPTH_MOST, max(_BAR_LEAST, both * 2 // 5))
        return depth, min(_STROKES_MOST, both - depth)
    one = left - _GAP
    return (0, min(_STROKES_MOST, one)) if one >= _BAR_LEAST else (0, 0)


def _shown(view: SessionView, room: int) -> range:
    """Return the indices of the zones that fit: all, or those around the one at work."""
    room = max(1, room)
    if len(view.zones) <= room:
        return range(len(view.zones))
    first = min(max(0, (view.zone or 0) - room // 2), len(view.zones) - room)
    return range(first, first + room)


class _InWindow:
    """A view in a window that may change its size; then the next picture begins on an empty screen.

    Nobody knows where the lines of the last one have gone by then: some terminals wrap them anew, some cut them off.
    """

    def __init__(self, view: SessionView) -> None:
        self._view = view
        self._size: ConsoleDimensions | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._size not in (None, options.size):
            yield Control(ControlType.HOME, ControlType.CLEAR)
        self._size = options.size
        yield self._view


def on_terminal(out: Output) -> bool:
    """Return whether there is a terminal that a picture can be drawn on again and again."""
    return not out.json_lines and out.console.is_terminal and not out.console.is_dumb_terminal


@contextmanager
def watching(out: Output, view: SessionView) -> Iterator[bool]:
    """Show `view` until the block ends, and give whether there is a terminal to show it on; its last picture stays."""
    if not on_terminal(out):
        yield False
        return
    with Live(_InWindow(view), console=out.console, refresh_per_second=_FRAMES_PER_S, vertical_overflow="crop"):
        yield True
