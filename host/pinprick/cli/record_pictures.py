"""Records of sessions as the terminal shows them: tables, bars, chains. Host only; draws, reads nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pencore.record import Record
from pinprick.cli import pictures
from pinprick.cli.output import printable
from pinprick.cli.pictures import Column
from pinprick.errors import PinprickError
from pinprick.profiles.units import counted, mm, mm_number
from pinprick.records import ChainReport, Gap, describe

_GAP = 2
_BAR_LEAST = 8
_DEPTH_MOST = 20
_STROKES_MOST = 30
_DISPENSABLE_KEPT = ("course", "ended", "profile")
_DISPENSABLE_ZONES = ("rate", "budget", "forfeited")
_DAY = len("2027-01-15")


def sessions(numbers: Sequence[int]) -> str:
    """Return ascending session ids for people: "session 4", "sessions 1 to 3, 5, 7 to 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)
    return f"session{'' if len(numbers) == 1 else 's'} {told}"


def missing(gaps: Sequence[Gap]) -> str:
    """Return gaps for people: "sessions 2 to 4, session 7"."""
    return ", ".join(map(str, gaps))


# --- many ------------------------------------------------------------------------------------------------------------
def kept_table(width: int, rows: Sequence[tuple[int, Record | PinprickError]]) -> Table:
    """Return the table of a pen's records, by session; one that can't be read says so in its row."""
    cells = [_kept_row(session, sealed) for session, sealed in rows]
    columns = [
        Column("session", [row[0] for row in cells]),
        Column("date", [row[1] for row in cells]),
        Column("profile", [row[2] for row in cells], left=True),
        Column("course", [row[3] for row in cells], left=True),
        Column("strokes", [row[4] for row in cells]),
        Column("mm", [row[5] for row in cells], "cyan"),
        Column("ended", [row[6] for row in cells], left=True),
        Column("faults", [row[7] for row in cells], "yellow"),
    ]
    if pictures.table_width([column for column in columns if column.title not in _DISPENSABLE_KEPT]) > width:
        columns[0] = Column("#", columns[0].cells)
    return pictures.table(columns, width, _DISPENSABLE_KEPT)


def _kept_row(session: int, sealed: Record | PinprickError) -> tuple[str | Text, ...]:
    if isinstance(sealed, PinprickError):
        return (str(session), Text("NOT WHOLE", "bold red"), "", "", "", "", "", "")
    told = describe(sealed)
    return (
        str(session),
        told["start"][:_DAY],
        printable(sealed.profile_name),
        f"{printable(sealed.course_id)} {sealed.course_index}/{sealed.course_of}",
        f"{sealed.counted():,}/{sealed.session_strokes:,}",
        mm_number(deepest_um(sealed)),
        told["ended"],
        str(len(sealed.faults) + sealed.more_faults or ""),
    )


def deepest_um(sealed: Record) -> int:
    """Return the deepest protrusion that was commanded in any zone; 0 for none."""
    return max((zone.deepest_um for zone in sealed.zones), default=0)


def on_pen_table(width: int, rows: Sequence[tuple[int, bool, bool]]) -> Table:
    """Return the table of the records on a pen: session, whether acknowledged, whether kept here."""
    columns = [
        Column("session", [str(session) for session, _, _ in rows]),
        Column("acknowledged", ["yes" if acknowledged else "no" for _, acknowledged, _ in rows], left=True),
        Column("kept here", ["yes" if kept else "no" for _, _, kept in rows], left=True),
    ]
    return pictures.table(columns, width)


# --- one -------------------------------------------------------------------------------------------------------------
def record_picture(console: Console, sealed: Record, follows: str) -> Iterator[RenderableType]:
    """Yield, part by part, the picture of a record; `follows` says what is known of the one before."""
    told = describe(sealed)
    yield Text(printable(sealed.profile_name), "bold")
    yield _facts(told, sealed)
    yield Text("")
    table, has_bars = _zone_table(console, sealed)
    yield table
    if has_bars:
        yield pictures.legend(console, ("commanded / made", "forfeited", "set / left of the budget"))
    yield Text("mm: deepest protrusion commanded/depth set.", "dim")
    if any(zone.forfeited for zone in sealed.zones):
        yield Text("Forfeited: reserved when something interrupted the pen; they count as made.", "dim")
    yield Text("")
    yield from _fault_lines(told)
    yield _chain(told, follows)


def _grid(rows: Sequence[tuple[str, str | Text]]) -> Table:
    grid = Table.grid(padding=(0, _GAP))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(label, printable(value) if isinstance(value, str) else value)
    return grid


def _facts(told: Mapping[str, Any], sealed: Record) -> Table:
    course, cartridge = told["course"], told["cartridge"]
    times = f"{_minute(told['start'])}, {pictures.duration(sealed.end_s - sealed.start_s)} min with power on"
    signed = f"signed with key {sealed.key_id}" if sealed.key_id else "unsigned"
    return _grid(
        [
            ("Pen", f"{sealed.serial}, session {sealed.session}"),
            ("When", times),
            ("Ended", told["ended"]),
            ("Course", f"{course['id']}, session {course['index']} of {course['of']}"),
            ("Cartridge", f"{cartridge['id']}, lot {cartridge['lot']}, expiry {cartridge['expires']}"),
            ("Limits", f"{mm(sealed.session_depth_um)}, {counted(sealed.session_strokes, 'stroke')}"),
            (
                "Counted",
                f"{counted(sealed.counted(), 'stroke')}: {sealed.made():,} made, {sealed.forfeited():,} forfeited",
            ),
            ("Firmware", f"build {sealed.build}; calibrated {_age(sealed.calibration_s)} before; profile {signed}"),
        ]
    )


def _minute(utc: str) -> str:
    return utc[:16].replace("T", " ") + " UTC"


def _age(seconds: int) -> str:
    days, hours = seconds // 86_400, seconds // 3600
    return counted(days, "day") if days else counted(hours, "hour") if hours else "less than an hour"


def _zone_table(console: Console, sealed: Record) -> tuple[Table, bool]:
    """Return the table of zones and whether it has bars; they take what width the terminal has left."""
    zones, width = sealed.zones, console.width
    told = describe(sealed)["zones"]
    columns = [
        Column("zone", [*(zone["zone"] for zone in told), "all zones"], left=True),
        Column("mm", [*(f"{mm_number(zone.deepest_um)}/{mm_number(zone.depth_um)}" for zone in zones), ""], "cyan"),
        Column("made", [*(f"{zone.made:,}" for zone in zones), f"{sealed.made():,}"]),
        Column("forfeited", [*(f"{zone.forfeited:,}" for zone in zones), f"{sealed.forfeited():,}"], "yellow"),
        Column("budget", [*(f"{zone.budget:,}" for zone in zones), f"{sum(zone.budget for zone in zones):,}"]),
        Column("rate", [*(str(zone.rate_per_s) for zone in zones), ""], "dim"),
    ]
    if not sealed.forfeited():
        columns = [column for column in columns if column.title != "forfeited"]
    left = width - pictures.table_width(columns) - 3 * _GAP
    strokes_width = min(_STROKES_MOST, left * 3 // 5)
    depth_width = min(_DEPTH_MOST, left - strokes_width)
    has_bars = min(depth_width, strokes_width) >= _BAR_LEAST
    if has_bars:
        scale = max(zone.depth_um for zone in zones)
        depths = [
            pictures.bar(console, depth_width, scale, (zone.deepest_um, zone.deepest_um, zone.depth_um))
            for zone in zones
        ]
        strokes = [
            pictures.bar(console, strokes_width, zone.budget, (zone.made, zone.counted(), zone.budget))
            for zone in zones
        ]
        columns.insert(2, Column("strokes", [*strokes, ""], left=True))
        columns.insert(1, Column("depth", [*depths, ""], left=True))
    return pictures.table(columns, width, _DISPENSABLE_ZONES), has_bars


def _fault_lines(told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield what went wrong and when; nothing when nothing did."""
    if not told["faults"]:
        return
    rows: list[tuple[str, str | Text]] = []
    for fault in told["faults"]:
        where = f" in {fault['zone']}" if fault["zone"] else ""
        rows.append((pictures.duration(fault["elapsed_s"]), f"{fault['name']} {fault['code']}{where}"))
    if told["more_faults"]:
        rows.append(("", f"and {told['more_faults']} more, which the record has no room for"))
    yield Text("Interruptions and faults, minutes since the start:")
    yield Padding(_grid(rows), (0, 0, 1, _GAP))


def _chain(told: Mapping[str, Any], follows: str) -> Table:
    rows: list[tuple[str, str | Text]] = [("Record", told["sha256"]), ("Follows", follows)]
    if any(bytes.fromhex(told["previous_sha256"])):
        rows.append(("", told["previous_sha256"]))
    return _grid([*rows, ("Profile", told["profile_sha256"])])


# --- chains ----------------------------------------------------------------------------------------------------------
def report_picture(report: ChainReport) -> Iterator[RenderableType]:
    """Yield, part by part, what was found of a pen's chain."""
    mark, style = ("ok ", "bold green") if report.good else ("BAD", "bold red")
    count = f"{counted(report.count, 'record')} verified"
    yield Text.assemble((f"{mark}  ", style), (printable(report.serial), "bold"), f"  {count}")
    rows: list[tuple[str, str | Text]] = []
    if report.gaps:
        rows.append(("Not here", f"{missing(report.gaps)}: never pulled to this computer, or taken away"))
    bad = report.first_bad
    if bad:
        where = "" if bad.where in bad.what else f"  {printable(bad.where)}"
        rows.append(("First bad", Text.assemble((f"session {bad.session}", "bold red"), where)))
        rows.append(("", bad.what))
        if bad.expected is not None and bad.found is not None:
            rows += [("Expected", bad.expected), ("Found", Text(bad.found, "yellow"))]
    if report.unverified:
        rows.append(("After it", f"{sessions(report.unverified)}: unverified, nothing can be said behind a bad link"))
    for copy in report.edited:
        rows.append(("Edited", Text.assemble((f"session {copy.session}", "bold red"), f"  {printable(copy.where)}")))
        rows.append(("", f"says something else than its record, in {copy.field}; the record counts"))
    for path in report.apart:
        rows.append(("Set apart", Text.assemble(("another record, as the pen gave it", "bold red"))))
        rows.append(("", printable(str(path))))
    if report.orphans:
        rows.append(("JSON only", f"{sessions(report.orphans)}: the record itself is not here"))
    if rows:
        yield Padding(_grid(rows), (0, 0, 0, 5))
