"""`pinprick profile`: new, check, show, schema, diff. Host only; thin, the work is done in `pinprick.profiles`."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from pencore import limits
from pinprick import errors
from pinprick.cli import pictures
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.pictures import Column
from pinprick.errors import InputError, Problem, ValidationFailed
from pinprick.profiles import Change, ProfileFile, ZoneEntry, changes, default_bounds, load_profile, parse_profile
from pinprick.profiles import edit as editing
from pinprick.profiles.model import AREA_NAMES
from pinprick.profiles.units import counted, mm_number, to_mm, whole_um

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

Template = Literal["full-face", "scalp", "stretch-marks", "acne-scar"]

_FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A profile file.", show_default=False)]


@app.callback()
def profile() -> None:
    """Make, check, show and compare session profiles: the files that say where, how deep and how often."""


# --- new ------------------------------------------------------------------------------------------------------------


@app.command()
def new(
    template: Annotated[
        Template | None, typer.Option(help="The course to start from; full-face when left out.", show_default=False)
    ] = None,
    session: Annotated[
        int | None,
        typer.Option(
            min=1, help="Which session of the template's course; the first when left out.", show_default=False
        ),
    ] = None,
    after: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Make the session after this profile instead; its comments are kept."),
    ] = None,
    course_id: Annotated[str | None, typer.Option(help="Names the course; no client name.")] = None,
    cartridge_id: Annotated[str | None, typer.Option(help="The cartridge's own number.")] = None,
    lot: Annotated[str | None, typer.Option(help="The cartridge's lot.")] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The cartridge's expiry date.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it here, not to the screen.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Write a profile with comments, from a template or as the next session of a course.

    What only you know (course id; cartridge id, lot and expiry) is left as a placeholder unless you give it here. A
    placeholder for the expiry is today's date: the file is refused from tomorrow on until you write the real one.
    """
    with reporting(json_lines) as out_:
        if after is not None and (template is not None or session is not None):
            message = "--after makes the next session of a file; it goes with neither --template nor --session."
            raise InputError(errors.USAGE, message, field="--after", hint="Leave one of them out.")
        text = _next_of(after) if after is not None else _from_template(template or "full-face", session or 1)
        given = {
            ("course", "id"): course_id,
            ("cartridge", "id"): cartridge_id,
            ("cartridge", "lot"): lot,
            ("cartridge", "expires"): expires.date() if expires else None,
        }
        text = editing.edit(text, {path: value for path, value in given.items() if value is not None})
        made = parse_profile(text, "new profile")
        if out is not None:
            _write(out, text, force)
        remarks = editing.remarks(made, _today())
        out_.result(file=out, name=made.name, remarks=remarks, text=None if out else text)
        if out is None:
            out_.verbatim(text)
        else:
            out_.say(f"Wrote {out}: {made.name}.")
            for remark in remarks:
                out_.say(f"  Still to do: {remark}")


def _today() -> date:
    """Return today's date as the pen counts days, in UTC."""
    return datetime.now(UTC).date()


def _from_template(name: str, session: int) -> str:
    from pinprick.profiles.templates import PLANS, placeholders, render

    plan = PLANS[name]
    if session > plan.sessions:
        raise InputError(
            errors.USAGE,
            f"The course {name} has {plan.sessions} sessions; there is no session {session}.",
            field="--session",
            given=session,
            limit=plan.sessions,
            hint=f"Choose 1 to {plan.sessions}.",
        )
    return render(plan, session, placeholders(_today()))


def _next_of(path: Path) -> str:
    from pinprick.profiles.source import read

    text = read(path)
    # The cartridge of the last session may have expired since; the new one's expiry is what counts.
    last = parse_profile(text, str(path), issued_at=0)
    return editing.next_session(text, last.course.index, last.name, _today(), str(path))


def _write(path: Path, text: str, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(errors.FILE_EXISTS, f"{path} exists already and was left as it is.", field="--out") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(errors.FILE_UNWRITABLE, f"{path} cannot be written: {reason}.", field="--out") from None


# --- check ----------------------------------------------------------------------------------------------------------


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Profile files.", show_default=False)],
    json_lines: JsonOption = False,
) -> None:
    """Say everything that is wrong with profile files, with line, field, what is allowed and what to do.

    Nothing is sent to a pen. The limits are the widest ones; a pen may be set up with tighter ones, and refuses then.
    """
    with reporting(json_lines) as out:
        problems: list[Problem] = []
        for path in files:
            try:
                _report_good(out, path, load_profile(path))
            except ValidationFailed as failed:
                problems += failed.problems
                out.event("profile", file=path, ok=False, problems=len(failed.problems))
        out.result(files=len(files))
        if problems:
            raise ValidationFailed(problems)


def _report_good(out: Output, path: Path, good: ProfileFile) -> None:
    remarks = editing.remarks(good, _today())
    deepest_um = max(zone.depth_um for zone in good.zones)
    out.event(
        "profile",
        file=path,
        ok=True,
        name=good.name,
        zones=len(good.zones),
        strokes=good.strokes,
        deepest_mm=to_mm(deepest_um),
        trigger_s=round(good.trigger_s, 1),
        remarks=remarks,
    )
    out.say(
        Text.assemble(
            ("ok  ", "bold green"),
            (printable(str(path)), "bold"),
            f"\n    {good.name}: {counted(len(good.zones), 'zone')}, {counted(good.strokes, 'stroke')}, "
            f"{mm_number(deepest_um)} mm at most, {pictures.duration(good.trigger_s)} min",
        )
    )
    for remark in remarks:
        out.say(Text(f"    Still to do: {remark}", style="yellow"))


# --- show -----------------------------------------------------------------------------------------------------------


@app.command()
def show(file: _FileArgument, json_lines: JsonOption = False) -> None:
    """Draw a profile: each zone's depth against its limit and cap, strokes against the session, rate and time."""
    with reporting(json_lines) as out:
        # A profile of the past may be looked at, so its cartridge's expiry refuses nothing here.
        shown = load_profile(file, issued_at=0)
        out.result(file=file, **_as_fields(shown))
        _draw(out, shown)


def _limit_um(shown: ProfileFile, zone: ZoneEntry) -> int:
    """Return the tightest bound on a zone's depth: its area's cap or the session's limit."""
    return min(_cap_um(zone), whole_um(shown.limits.depth_mm))


def _cap_um(zone: ZoneEntry) -> int:
    return default_bounds().zone_cap_um(AREA_NAMES.index(zone.area))


def _highest_rate(zone: ZoneEntry) -> int:
    return limits.max_rate(zone.depth_um, default_bounds().geometry)


def _as_fields(shown: ProfileFile) -> dict[str, object]:
    return {
        **shown.model_dump(by_alias=True, exclude={"zones"}),
        "expired": shown.cartridge.expires < _today(),
        "strokes": shown.strokes,
        "trigger_s": round(shown.trigger_s, 1),
        "zones": [
            {
                "zone": index,
                "name": zone.label,
                **zone.model_dump(),
                "limit_mm": to_mm(_limit_um(shown, zone)),
                "cap_mm": to_mm(_cap_um(zone)),
                "highest_rate_per_s": _highest_rate(zone),
                "trigger_s": round(zone.trigger_s, 1),
            }
            for index, zone in enumerate(shown.zones)
        ],
    }


def _draw(out: Output, shown: ProfileFile) -> None:
    course, cartridge = shown.course, shown.cartridge
    expired = cartridge.expires < _today()
    out.say(Text(shown.name, style="bold"))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("Course", f"{course.id}, session {course.index} of {course.of}")
    step = mm_number(whole_um(course.max_step_mm))
    facts.add_row("", f"at least {course.interval_days} days apart, at most {step} mm deeper each time")
    facts.add_row(
        "Cartridge",
        Text.assemble(
            f"{cartridge.id}, lot {cartridge.lot}, {cartridge.needles} needles, ",
            (f"expire{'d' if expired else 's'} {cartridge.expires}", "bold red" if expired else ""),
        ),
    )
    limit = mm_number(whole_um(shown.limits.depth_mm))
    facts.add_row("Session", f"at most {limit} mm and {counted(shown.limits.strokes, 'stroke')}")
    out.say(facts)
    out.say()
    table, has_bars = _zone_table(out, shown)
    out.say(table)
    if has_bars:
        out.say(pictures.legend(out.console, ("depth set", "up to the session's limit", "up to the area's cap")))
    has_rate = any(column.header == "rate" for column in table.columns)
    rate = " Rate: set/highest possible, per second." if has_rate else ""
    out.say(Text(f"Depth: commanded protrusion, mm.{rate}", "dim"))


_SHARE_WIDTH = 16
_BAR_LEAST = 8
_BAR_MOST = 36
_DISPENSABLE = ("rate", "#", "cap", "min", "limit")
"""Columns that a narrow terminal does without, the first of them first; the depth bar goes before any."""


def _zone_table(out: Output, shown: ProfileFile) -> tuple[Table, bool]:
    """Return the table of zones and whether it has depth bars; they take what width the terminal has left."""
    zones, budget = shown.zones, shown.limits.strokes
    limits_um = [_limit_um(shown, zone) for zone in zones]
    caps_um = [_cap_um(zone) for zone in zones]
    columns = [
        Column("#", [*(str(index) for index in range(len(zones))), ""], "dim"),
        Column("zone", [*(zone.label for zone in zones), "all zones"], left=True),
        Column("set", [*(mm_number(zone.depth_um) for zone in zones), ""], "cyan"),
        Column("limit", [*(mm_number(um) for um in limits_um), ""], "yellow"),
        Column("cap", [*(mm_number(um) for um in caps_um), ""], "dim"),
        Column("strokes", [*(f"{zone.strokes:,}" for zone in zones), f"{shown.strokes:,}"]),
        Column("rate", [*(f"{zone.rate_per_s}/{_highest_rate(zone)}" for zone in zones), ""]),
        Column("min", [pictures.duration(time_s) for time_s in (*(zone.trigger_s for zone in zones), shown.trigger_s)]),
    ]
    if out.console.width >= 100:
        counts = [*(zone.strokes for zone in zones), shown.strokes]
        shares: list[str | Text] = [
            pictures.bar(out.console, _SHARE_WIDTH, budget, (count, budget)) for count in counts
        ]
        columns.insert(6, Column("of the session", shares, left=True))
        columns.insert(7, Column("", [f"{100 * count // budget}%" for count in counts], "dim"))
    # The bar's own gap, and as much to the right of the table.
    left = out.console.width - pictures.table_width(columns) - 4
    has_bars = left >= _BAR_LEAST
    if has_bars:
        marks = zip((zone.depth_um for zone in zones), limits_um, caps_um, strict=True)
        bars = [pictures.bar(out.console, min(_BAR_MOST, left), max(caps_um), mark) for mark in marks]
        columns.insert(2, Column("depth", [*bars, ""], left=True))
    return pictures.table(columns, out.console.width, _DISPENSABLE), has_bars


# --- schema ---------------------------------------------------------------------------------------------------------


@app.command()
def schema(json_lines: JsonOption = False) -> None:
    """Print the JSON Schema of profile files, for editors and other tools."""
    from pinprick.profiles.schema import json_schema, schema_text

    with reporting(json_lines) as out:
        out.result(schema=json_schema())
        out.verbatim(schema_text())


# --- diff -----------------------------------------------------------------------------------------------------------


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A profile file.", show_default=False)],
    after: Annotated[Path, typer.Argument(metavar="B", help="The one to compare with it.", show_default=False)],
    json_lines: JsonOption = False,
) -> None:
    """Say what differs from profile A to profile B, field by field; zones are matched by area and side."""
    with reporting(json_lines) as out:
        one, other = _load_both(before, after)
        found = changes(one, other)
        out.result(a=before, b=after, equal=not found, changes=[change._asdict() for change in found])
        if not found:
            out.say("The profiles say the same.")
            return
        out.say(Text(f"A: {before}, {pictures.duration(one.trigger_s)} min", style="dim"))
        out.say(Text(f"B: {after}, {pictures.duration(other.trigger_s)} min", style="dim"))
        out.say(_diff_table(found))


def _load_both(before: Path, after: Path) -> tuple[ProfileFile, ProfileFile]:
    """Return both profiles; ValidationFailed with the problems of both, an expired cartridge being none here."""
    loaded: list[ProfileFile] = []
    problems: list[Problem] = []
    for path in (before, after):
        try:
            loaded.append(load_profile(path, issued_at=0))
        except ValidationFailed as failed:
            problems += failed.problems
    if problems:
        raise ValidationFailed(problems)
    return loaded[0], loaded[1]


def _diff_table(found: list[Change]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("zone", no_wrap=True)
    table.add_column("field", style="cyan", no_wrap=True)
    table.add_column("A", justify="right", overflow="fold")
    table.add_column("B", justify="right", overflow="fold")
    table.add_column("change", justify="right", style="yellow", no_wrap=True)
    last = ""
    for change in found:
        label = "" if change.zone == last else change.zone
        last = change.zone
        before, after = (_shown(change.field, value) for value in (change.before, change.after))
        table.add_row(label, change.field, before, after, _growth(change))
    return table


def _shown(field: str, value: object) -> str:
    if value is None:
        return "-"
    if field.endswith("_mm"):
        return mm_number(whole_um(value))  # type: ignore[arg-type]  # fields of this name hold Decimals alone
    return f"{value:,}" if isinstance(value, int) else str(value)


def _growth(change: Change) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        return "only in B" if before is None else "only in A"
    if change.field.endswith("_mm"):
        step = whole_um(after) - whole_um(before)  # type: ignore[arg-type]  # as above
        return f"{'+' if step > 0 else ''}{mm_number(step)}"
    if isinstance(before, int) and isinstance(after, int):
        return f"{after - before:+,}"
    return ""
