"""`pinprick profile`: new, check, show, schema, diff. Host only; thin, the work is done in `pinprick.profiles`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from pencore import limits
from pencore.digest import ZERO_DIGEST
from pinprick import errors
from pinprick.cli import pictures
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.profile_picture import cap_um, draw, today
from pinprick.errors import InputError, Problem, ValidationFailed
from pinprick.profiles import (
    Change,
    ProfileFile,
    ZoneEntry,
    changes,
    default_bounds,
    load_profile,
    parse_profile,
    to_core,
)
from pinprick.profiles import edit as editing
from pinprick.profiles.model import AREA_NAMES
from pinprick.profiles.units import counted, mm_number, to_mm, whole_um
from pinprick.records import write_export

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

_DIFF_WIDTH = 72
"""Columns from which a comparison is a table; below it two texts side by side are folded past reading."""

_SAME_CARTRIDGE = (
    'cartridge.id "{id}" is that of {after}; a cartridge is for one session, and the pen refuses it a second time'
)

Template = Literal["full-face", "scalp", "stretch-marks", "acne-scar"]

_FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A profile file.", show_default=False, readable=False)
]


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
        typer.Option(
            metavar="FILE", help="Make the session after this profile instead; its comments are kept.", readable=False
        ),
    ] = None,
    course_id: Annotated[str | None, typer.Option(help="Names the course; no client name.")] = None,
    cartridge_id: Annotated[str | None, typer.Option(help="The cartridge's own number.")] = None,
    lot: Annotated[str | None, typer.Option(help="The cartridge's lot.")] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The cartridge's expiry date.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it here, not to the screen.", readable=False),
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
        before = None if after is None else _last(after)
        if before is None:
            text = _from_template(template or "full-face", session or 1)
        else:
            text = editing.next_session(before[0], before[1].course.index, before[1].name, today(), str(after))
        given = {
            ("course", "id"): course_id,
            ("cartridge", "id"): cartridge_id,
            ("cartridge", "lot"): lot,
            ("cartridge", "expires"): expires.date() if expires else None,
        }
        text = editing.edit(text, {path: value for path, value in given.items() if value is not None})
        made = parse_profile(text, "new profile")
        if out is not None:
            write_export(text, out, force=force)
        remarks = editing.remarks(made, today())
        if before is not None and before[1].cartridge.id == made.cartridge.id:
            remarks = [*remarks, _SAME_CARTRIDGE.format(id=made.cartridge.id, after=after)]
        out_.result(file=out, name=made.name, remarks=remarks, text=None if out else text)
        if out is None:
            out_.verbatim(text)
        else:
            out_.say(f"Wrote {out}: {made.name}.")
            for remark in remarks:
                out_.say(f"  Still to do: {remark}")


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
    return render(plan, session, placeholders(today()))


def _last(path: Path) -> tuple[str, ProfileFile]:
    """Return the text of a profile and what it says."""
    from pinprick.profiles.source import read

    text = read(path)
    # The cartridge of the last session may have expired since; the new one's expiry is what counts.
    return text, parse_profile(text, str(path), issued_at=0)


# --- check ----------------------------------------------------------------------------------------------------------


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Profile files.", show_default=False, readable=False)
    ],
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
    remarks = editing.remarks(good, today())
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
        draw(out, to_core(shown, "", 0, ZERO_DIGEST, 0), default_bounds())


def _cap_um(zone: ZoneEntry) -> int:
    return cap_um(default_bounds(), AREA_NAMES.index(zone.area))


def _as_fields(shown: ProfileFile) -> dict[str, object]:
    return {
        **shown.model_dump(by_alias=True, exclude={"zones"}),
        "expired": shown.cartridge.expires < today(),
        "strokes": shown.strokes,
        "trigger_s": round(shown.trigger_s, 1),
        "zones": [
            {
                "zone": index,
                "name": zone.label,
                **zone.model_dump(),
                "limit_mm": to_mm(min(_cap_um(zone), whole_um(shown.limits.depth_mm))),
                "cap_mm": to_mm(_cap_um(zone)),
                "highest_rate_per_s": limits.max_rate(zone.depth_um, default_bounds().geometry),
                "trigger_s": round(zone.trigger_s, 1),
            }
            for index, zone in enumerate(shown.zones)
        ],
    }


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
    before: Annotated[Path, typer.Argument(metavar="A", help="A profile file.", show_default=False, readable=False)],
    after: Annotated[
        Path, typer.Argument(metavar="B", help="The one to compare with it.", show_default=False, readable=False)
    ],
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
        wide = _diff_table(found)
        out.say(wide if out.console.width >= _DIFF_WIDTH else _diff_lines(found))


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


def _diff_lines(found: list[Change]) -> Text:
    """Return what `_diff_table` says, one below the other, for a terminal that has no room for its columns."""
    lines = Text()
    last = ""
    for change in found:
        if change.zone != last:
            lines.append(f"{change.zone}\n", style="dim")
            last = change.zone
        before, after = (_shown(change.field, value) for value in (change.before, change.after))
        lines.append(f"  {change.field}", style="cyan")
        growth = _growth(change)
        lines.append(f"  {growth}\n" if growth else "\n", style="yellow")
        lines.append(f"    A {before}\n    B {after}\n")
    lines.rstrip()
    return lines


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
