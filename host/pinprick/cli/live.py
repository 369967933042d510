"""The live picture of a session: needle against limit, strokes against budget, zone by zone. Host only; draws, asks
nothing.

`SessionView` holds what is known; whoever hears of the pen writes into it, from any thread. `watching` shows it: as a
picture that is drawn anew several times a second on a terminal, as one line per finished zone elsewhere, as events for
a program.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pencore import wire
from pinprick.cli import pictures
from pinprick.cli.output import Output
from pinprick.device import Telemetry
from pinprick.profiles.units import mm_number

_FRAMES_PER_S = 12
_DEPTH_MOST = 24
_STROKES_MOST = 30
_BAR_LEAST = 6
_GAP = 2
_OTHER_LINES = 6
_STATE_STYLES = {wire.RUNNING: "bold green", wire.FAULT: "bold red"}


@dataclass
class ZoneView:
    """A zone as it is shown. Depths in um: `deepest_um` is what the needle reached, `cap_um` the cap of the area."""

    name: str
    limit_um: int
    cap_um: int
    budget: int
    counted: int = 0
    deepest_um: int = 0
    done: bool = False


@dataclass
class SessionView:
    """A session as it is shown; `zone` is the index of the zone at work, None before the first."""

    title: str
    pen: str
    zones: list[ZoneView] = field(default_factory=list)
    zone: int | None = None
    state: int = wire.LOADED
    trigger: bool = False
    elapsed_ms: int = 0
    began_ms: int | None = None

    def heard(self, telemetry: Telemetry) -> None:
        """Take in what the pen says of the zone at work."""
        self.state = telemetry.state
        if self.began_ms is None:
            self.began_ms = telemetry.uptime_ms
        self.elapsed_ms = (telemetry.uptime_ms - self.began_ms) & 0xFFFFFFFF
        if telemetry.zone is not None and telemetry.zone < len(self.zones):
            zone = self.zones[telemetry.zone]
            zone.counted = max(zone.counted, telemetry.made + telemetry.forfeited)
            if zone.counted and not zone.done:
                zone.deepest_um = telemetry.depth_um

    @property
    def counted(self) -> int:
        """Strokes of all zones."""
        return sum(zone.counted for zone in self.zones)

    @property
    def budget(self) -> int:
        """Strokes that all zones may make."""
        return sum(zone.budget for zone in self.zones)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _picture(self, console, options.max_width, options.height or console.height)


def _picture(view: SessionView, console: Console, width: int, height: int) -> RenderableType:
    """Return the whole picture, at most `width` wide and, where that is possible, no higher than `height`."""
    names = max(len(zone.name) for zone in view.zones)
    depths = len("0.000/0.000" if any(zone.limit_um % 10 for zone in view.zones) else "0.00/0.00")
    counts = max(len("strokes"), *(len(_of(zone.budget, zone.budget)) for zone in view.zones))
    depth_bar, strokes_bar = _bars(width - names - depths - counts - 1 - _GAP * 3)
    scale = max(zone.cap_um for zone in view.zones)
    table = Table.grid(padding=(0, _GAP, 0, 0))
    columns = [(names, "zone"), (depth_bar, "depth"), (depths, "mm"), (strokes_bar, ""), (counts, "strokes"), (1, "")]
    shown = [index for index, (size, _) in enumerate(columns) if size]
    for index in shown:
        table.add_column(width=columns[index][0], no_wrap=True, justify="right" if index in (2, 4) else "left")
    table.add_row(*(Text(columns[index][1], "dim") for index in shown))
    for index in _shown(view, height):
        zone = view.zones[index]
        here = index == view.zone and not zone.done
        style = "bold" if here else "" if zone.done else "dim"
        row = (
            Text(zone.name, style),
            pictures.bar(console, depth_bar, scale, (zone.deepest_um, zone.limit_um, zone.cap_um)),
            Text(f"{mm_number(zone.deepest_um)}/{mm_number(zone.limit_um)}", style),
            pictures.bar(console, strokes_bar, zone.budget, (zone.counted, zone.counted, zone.budget)),
            Text(_of(zone.counted, zone.budget), style),
            Text(_mark(console, zone, here), "green"),
        )
        table.add_row(*(row[column] for column in shown))
    legend = pictures.legend(console, ("the needle so far", "limit of the zone", "cap of the area"))
    legend.no_wrap = True
    return Group(_head(view, console, width), Text(""), table, Text(""), legend)


def _bars(left: int) -> tuple[int, int]:
    """Return how wide the bars of depth and of strokes are when `left` characters are left for both; 0: no bar."""
    both = left - 2 * _GAP
    if both >= 2 * _BAR_LEAST:
        depth = min(_DEPTH_MOST, max(_BAR_LEAST, both * 2 // 5))
        return depth, min(_STROKES_MOST, both - depth)
    one = left - _GAP
    return (0, min(_STROKES_MOST, one)) if one >= _BAR_LEAST else (0, 0)


def _of(part: int, whole: int) -> str:
    return f"{part:,}/{whole:,}"


def _mark(console: Console, zone: ZoneView, here: bool) -> str:
    plain = console.options.ascii_only
    if zone.done:
        return "*" if plain else "✓"
    return (">" if plain else "◂") if here else " "


def _head(view: SessionView, console: Console, width: int) -> RenderableType:
    """Return two lines: what runs where, and how far it is."""
    on, off = ("[x]", "[ ]") if console.options.ascii_only else ("●", "○")
    state = Text(wire.STATE_NAMES[view.state], _STATE_STYLES.get(view.state, ""))
    trigger = Text(f"{on} trigger pressed", "bold green") if view.trigger else Text(f"{off} trigger released", "dim")
    strokes = f"{view.counted:,} of {view.budget:,} strokes"
    elapsed = pictures.duration(view.elapsed_ms / 1000)
    grid = Table.grid()
    grid.width = width
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(Text(view.title, "bold"), Text.assemble((f"{view.pen}  ", "dim"), state))
    grid.add_row(trigger, Text.assemble(f"{strokes}  ", (elapsed, "bold")))
    return grid


def _shown(view: SessionView, height: int) -> range:
    """Return the indices of the zones that fit: all, or those around the one at work."""
    room = max(1, height - _OTHER_LINES - 1)
    if len(view.zones) <= room:
        return range(len(view.zones))
    first = min(max(0, (view.zone or 0) - room // 2), len(view.zones) - room)
    return range(first, first + room)


class Watch:
    """Shows a SessionView while a session runs; made by `watching`."""

    def __init__(self, out: Output, view: SessionView, live: Live | None) -> None:
        self._out = out
        self._view = view
        self._live = live

    def zone_done(self, index: int, seconds: float) -> None:
        """Say that a zone is finished after so many simulated seconds; the view holds the rest."""
        zone = self._view.zones[index]
        zone.done = True
        self._out.event(
            "zone",
            zone=zone.name,
            index=index,
            limit_um=zone.limit_um,
            deepest_um=zone.deepest_um,
            counted=zone.counted,
            budget=zone.budget,
            simulated_s=round(seconds, 3),
        )
        if self._live is None:
            names = max(len(other.name) for other in self._view.zones)
            self._out.say(
                f"  {index + 1:>2}/{len(self._view.zones)}  {zone.name:<{names}}"
                f"  {mm_number(zone.deepest_um)} of {mm_number(zone.limit_um)} mm"
                f"  {zone.counted:>7,} of {zone.budget:>7,} strokes  {pictures.duration(seconds):>5}"
            )


def on_terminal(out: Output) -> bool:
    """Return whether there is a terminal that a picture can be drawn on again and again."""
    return not out.json_lines and out.console.is_terminal and not out.console.is_dumb_terminal


@contextmanager
def watching(out: Output, view: SessionView) -> Iterator[Watch]:
    """Show `view` until the block ends; on a terminal its last picture stays."""
    if not on_terminal(out):
        yield Watch(out, view, None)
        return
    with Live(view, console=out.console, refresh_per_second=_FRAMES_PER_S, vertical_overflow="crop") as live:
        yield Watch(out, view, live)
