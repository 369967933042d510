"""`pinprick records`: pull, list, show, verify, export, import. Host only; thin, `pinprick.records` does the work."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from pencore.record import Record
from pinprick import errors
from pinprick.cli import record_pictures
from pinprick.cli.live import on_terminal
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.pens import PortOption, SerialNumberOption, TimeoutOption, connected
from pinprick.device import WAIT_S
from pinprick.errors import InputError, Mismatch, PinprickError
from pinprick.profiles.units import counted
from pinprick.records import (
    COLUMNS,
    ChainReport,
    Gap,
    Pulled,
    RecordStore,
    SavedRecord,
    check_target,
    describe,
    gaps,
    import_records,
    read_record,
    to_csv,
    to_json,
    verify_chains,
    write_export,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

_BAR_FROM = 8
"""Fewer records than this are pulled before a progress bar could be read."""
_SCREEN = "-"
_HOW_TO_GET = "`pinprick records pull` fetches what a pen has."

_PenArgument = Annotated[
    str | None,
    typer.Argument(metavar="PEN", help="A pen's serial number; all pens when left out.", show_default=False),
]


@app.callback()
def records() -> None:
    """Fetch, keep, check and pass on the sealed records of sessions."""


# --- pull -----------------------------------------------------------------------------------------------------------


@app.command()
def pull(
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = WAIT_S,
    no_ack: Annotated[
        bool,
        typer.Option(
            "--no-ack", help="Acknowledge nothing: the pen keeps its records for the computer that they are for."
        ),
    ] = False,
    json_lines: JsonOption = False,
) -> None:
    """Save all records of a pen here, verify them, and only then acknowledge them to the pen, which may forget them.

    With --json: an event `record` (session, new, file, sha256) for each record saved, `acknowledged` (session) for each
    that the pen was told of; the result has serial, new, kept, acknowledged (lists of sessions), gaps and folder.
    """
    with reporting(json_lines) as out, connected(port, serial_number, timeout) as pen:
        store = RecordStore()
        serial = pen.info.serial
        folder = store.pen_folder(serial)
        with _Told(out, serial, folder) as told:
            pen.pull_records(store, acknowledge=not no_ack, heard=told.heard)
        told.conclude(list(gaps(store.sessions(serial))))


class _Told:
    """What is said while records are pulled; whatever is known when the pull fails is in the result all the same."""

    def __init__(self, out: Output, serial: str, folder: Path) -> None:
        self._out = out
        self._serial = serial
        self._folder = folder
        self._bar: Progress | None = None
        self._stack = ExitStack()
        self.new: list[int] = []
        self.kept: list[int] = []
        self.acknowledged: list[int] = []
        out.result(serial=serial, folder=folder, new=self.new, kept=self.kept, acknowledged=self.acknowledged, gaps=[])

    def __enter__(self) -> "_Told":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def heard(self, step: Pulled) -> None:
        """Take in one step of the pull."""
        session = step.saved.record.session
        if step.acknowledged:
            self.acknowledged.append(session)
            self._out.event("acknowledged", session=session)
        else:
            (self.new if step.saved.new else self.kept).append(session)
            self._out.event(
                "record", session=session, new=step.saved.new, file=step.saved.path, sha256=step.saved.record.digest
            )
            if step.saved.new:
                self._out.say(_line(step.saved.record))
        if step.of >= _BAR_FROM and on_terminal(self._out):
            self._draw("acknowledging" if step.acknowledged else "saving", step)

    def _draw(self, what: str, step: Pulled) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = self._stack.enter_context(Progress(*columns, console=self._out.console, transient=True))
            self._bar.add_task(what)
        self._bar.update(self._bar.task_ids[0], description=what, completed=step.number, total=step.of)

    def conclude(self, missing: Sequence[Gap]) -> None:
        """Say what the pull came to."""
        out = self._out
        out.result(gaps=_gap_fields(missing))
        if self.new:
            out.say(Text.assemble((f"{counted(len(self.new), 'record')} saved and verified", "bold green"), " in"))
            out.say(Text(f"  {printable(str(self._folder))}", overflow="fold"))
        elif self.kept:
            are = "is" if len(self.kept) == 1 else "are"
            out.say(f"Nothing new: {record_pictures.sessions(self.kept)} {are} kept here already.")
        else:
            out.say(f"Nothing to pull: pen {printable(self._serial) or 'without a serial number'} has no records.")
        if self.acknowledged:
            out.say(f"Acknowledged to the pen: {record_pictures.sessions(self.acknowledged)}.")
        elif self.new:
            out.say("Nothing was acknowledged; the pen has its records still.")
        if missing:
            gone = record_pictures.missing(missing)
            why = "acknowledged before, from another computer or from this one, where it was taken away since"
            out.say(Text(f"Not kept here: {gone}; {why}.", "yellow"))


def _line(sealed: Record) -> Text:
    return Text.assemble(
        f"  session {sealed.session}  {describe(sealed)['start'][:10]}  ",
        (printable(sealed.profile_name), "bold"),
        f"  {counted(sealed.counted(), 'stroke')}",
    )


def _gap_fields(missing: Sequence[Gap]) -> list[dict[str, int]]:
    return [{"first": gap.first, "last": gap.last} for gap in missing]


# --- list -----------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    context: typer.Context,
    pen: _PenArgument = None,
    on_pen: Annotated[
        bool, typer.Option("--on-pen", help="Ask a connected pen what records it has, instead of this computer.")
    ] = False,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = WAIT_S,
    json_lines: JsonOption = False,
) -> None:
    """List the records that are kept here, or with --on-pen those that a pen has.

    With --json: an event `record` for each (serial, session, start, profile, counted, deepest_commanded_um, ended,
    faults, file; `problem` instead for a file that is not whole), with --on-pen (serial, session, acknowledged, kept);
    the result has serials and records (how many), with --on-pen serial, records and acknowledged (up to which session).
    """
    with reporting(json_lines) as out:
        if on_pen:
            with connected(port, pen or serial_number, timeout) as reached:
                _list_on_pen(out, RecordStore(), reached.info.serial, *reached.record_list())
            return
        _refuse_port(context)
        _list_kept(out, RecordStore(), pen)


def _refuse_port(context: typer.Context) -> None:
    """Refuse options that only a connected pen has a use for; as environment variables they may stand."""
    for name, option in (("port", "--port"), ("serial_number", "--serial-number")):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(errors.USAGE, f"{option} goes with --on-pen alone.", field=option, hint="Add --on-pen.")


def _list_on_pen(out: Output, store: RecordStore, serial: str, sessions: Sequence[int], acked: int) -> None:
    kept = set(store.sessions(serial))
    rows = [(session, session <= acked, session in kept) for session in sessions]
    for session, acknowledged, here in rows:
        out.event("record", serial=serial, session=session, acknowledged=acknowledged, kept=here)
    out.result(serial=serial, records=len(rows), acknowledged=acked)
    if not rows:
        out.say(f"Pen {printable(serial)} has no records.")
        return
    out.say(Text.assemble("On pen ", (printable(serial), "bold"), f": {counted(len(rows), 'record')}"))
    out.say(record_pictures.on_pen_table(out.console.width, rows))
    if any(not acknowledged for _, acknowledged, _ in rows):
        out.say(Text("`pinprick records pull` saves and acknowledges them.", "dim"))


def _list_kept(out: Output, store: RecordStore, pen: str | None) -> None:
    serials = _chosen(store, pen)
    total, bad = 0, 0
    for serial in serials:
        rows = [(session, _attempt(store, serial, session)) for session in store.sessions(serial)]
        total += len(rows)
        bad += sum(isinstance(found, PinprickError) for _, found in rows)
        for session, found in rows:
            out.event("record", serial=serial, session=session, **_kept_fields(found))
        out.say(Text.assemble("Pen ", (printable(serial), "bold"), f": {counted(len(rows), 'record')}"))
        shown = [(session, found if isinstance(found, PinprickError) else found.record) for session, found in rows]
        out.say(record_pictures.kept_table(out.console.width, shown))
        out.say()
    out.result(serials=serials, records=total)
    if not serials:
        out.say(f"No records are kept here yet. {_HOW_TO_GET}")
        return
    out.say(Text("strokes: counted/allowed. mm: deepest protrusion commanded. Dates are UTC.", "dim"))
    if bad:
        message = f"{counted(bad, 'record')} cannot be read whole."
        raise Mismatch(errors.RECORD_MISMATCH, message, given=bad, limit=0, hint="See `pinprick records verify`.")


def _attempt(store: RecordStore, serial: str, session: int) -> SavedRecord | PinprickError:
    try:
        return store.load(serial, session)
    except PinprickError as error:
        return error


def _kept_fields(found: SavedRecord | PinprickError) -> dict[str, object]:
    if isinstance(found, PinprickError):
        return {"problem": found.message}
    told = describe(found.record)
    picked = ("start", "profile", "course", "counted", "limits", "ended")
    return {
        **{name: told[name] for name in picked},
        "deepest_commanded_um": record_pictures.deepest_um(found.record),
        "faults": len(told["faults"]) + told["more_faults"],
        "file": found.path,
    }


def _chosen(store: RecordStore, pen: str | None) -> list[str]:
    """Return the pens meant: all whose records are kept, or `pen`, which must be one of them."""
    serials = store.serials()
    if pen is None:
        return serials
    if pen in serials:
        return [pen]
    known = ", ".join(serials)
    hint = f"Kept here: {known}." if serials else _HOW_TO_GET
    raise InputError(errors.FILE_MISSING, f"No record of pen {pen} is kept here.", field="PEN", given=pen, hint=hint)


# --- show -----------------------------------------------------------------------------------------------------------


@app.command()
def show(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="A session's id, or a .ppr file.")],
    serial_number: SerialNumberOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Draw a record: each zone's depth and strokes against what was set, faults, cartridge, digests.

    With --json the result has record (all that is in it, in words), file and follows.
    """
    with reporting(json_lines) as out:
        store = RecordStore()
        if session.isascii() and session.isdigit():
            saved = _find(store, int(session), serial_number)
            follows = _follows(store, saved.record)
        else:
            saved = read_record(Path(session))
            follows = "read from a file of its own; `pinprick records verify` follows the chain of those kept here"
        out.result(file=saved.path, follows=follows, record=describe(saved.record))
        for part in record_pictures.record_picture(out.console, saved.record, follows):
            out.say(part)


def _find(store: RecordStore, session: int, serial_number: str | None) -> SavedRecord:
    """Return the kept record of `session`; InputError unless exactly one pen has it."""
    serials = _chosen(store, serial_number)
    having = [serial for serial in serials if session in store.sessions(serial)]
    if len(having) == 1:
        return store.load(having[0], session)
    if having:
        message = f"A record of session {session} is kept of {len(having)} pens: {', '.join(having)}."
        hint = "Name one with --serial-number."
        raise InputError(errors.USAGE, message, field="--serial-number", given=session, hint=hint)
    message = f"No record of session {session} is kept here."
    kept = store.sessions(serials[0]) if len(serials) == 1 else []
    hint = f"Kept here: {record_pictures.sessions(kept)}." if kept else f"See `pinprick records list`. {_HOW_TO_GET}"
    raise InputError(errors.FILE_MISSING, message, field="SESSION", given=session, hint=hint)


def _follows(store: RecordStore, sealed: Record) -> str:
    """Say how a kept record follows the one before."""
    if not any(sealed.previous):
        return "nothing: this is the pen's first session"
    before = sealed.session - 1
    if before not in store.sessions(sealed.serial):
        return f"session {before}, which is not kept here"
    found = _attempt(store, sealed.serial, before)
    if isinstance(found, PinprickError) or found.record.digest != sealed.previous:
        return f"NOT the record of session {before} that is kept here: see `pinprick records verify`"
    return f"session {before}, kept here, with this digest"


# --- verify ---------------------------------------------------------------------------------------------------------


@app.command()
def verify(
    context: typer.Context,
    pen: _PenArgument = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="Take a gap for a bad link: no other computer pulls from this pen.")
    ] = False,
    on_pen: Annotated[
        bool,
        typer.Option(
            "--on-pen", help="Hold the chain's end against a connected pen, too: it alone knows its last record."
        ),
    ] = False,
    port: PortOption = None,
    serial_number: SerialNumberOption = None,
    timeout: TimeoutOption = WAIT_S,
    json_lines: JsonOption = False,
) -> None:
    """Check every record kept here: each whole, in order, following the one before; names the first bad link.

    Sessions that are not kept here are gaps, and no break: another computer may have pulled them. From the files alone
    nobody can tell that the newest were taken away; --on-pen can. The JSON beside each record is compared with it. Exit
    code 4 when anything is wrong.

    With --json: an event `pen` for each (serial, good, count, gaps, first_bad: session, file, kind, what, expected,
    found; unverified, edited, orphans, apart); the result has pens and records (verified). A kind is one of changed,
    unreadable, gone, foreign, misplaced, duplicate, order, does-not-follow, exchanged, missing.
    """
    with reporting(json_lines) as out:
        store = RecordStore()
        if on_pen:
            with connected(port, pen or serial_number, timeout) as reached:
                reached.check_records(store)
                info = reached.info
                reports = [store.inspect(info.serial, complete=complete, last=info.last_session)]
        else:
            _refuse_port(context)
            reports = [store.inspect(serial, complete=complete) for serial in _chosen(store, pen)]
        for report in reports:
            out.event("pen", **_report_fields(report))
            for part in record_pictures.report_picture(report):
                out.say(part)
        out.result(pens=len(reports), records=sum(report.count for report in reports))
        if not reports:
            out.say(f"No records are kept here yet. {_HOW_TO_GET}")
        wrong = [report for report in reports if not report.good]
        if wrong:
            raise _verdict(wrong)


def _report_fields(report: ChainReport) -> dict[str, object]:
    bad = report.first_bad
    return {
        "serial": report.serial,
        "good": report.good,
        "count": report.count,
        "gaps": _gap_fields(report.gaps),
        "first_bad": bad
        and {
            "session": bad.session,
            "file": bad.where or None,
            "kind": bad.kind,
            "what": bad.what,
            "expected": bad.expected,
            "found": bad.found,
        },
        "unverified": report.unverified,
        "edited": [{"session": copy.session, "file": copy.where, "field": copy.field} for copy in report.edited],
        "orphans": report.orphans,
        "apart": report.apart,
    }


def _verdict(wrong: Sequence[ChainReport]) -> Mismatch:
    """Return what to say of pens whose records don't hold: the first broken chain, or else the first fork, or else the
    first edited copy.
    """
    report = min(wrong, key=lambda report: (report.first_bad is None, not report.apart))
    others = f" (and {counted(len(wrong) - 1, 'pen')} more)" if len(wrong) > 1 else ""
    if report.first_bad:
        bad = report.first_bad
        return Mismatch(
            errors.RECORD_MISMATCH,
            f"{bad.what.removesuffix('.')}{others}.",
            field=f"session {bad.session}",
            given=bad.found,
            limit=bad.expected,
            hint="Keep the file as it is, and compare it with a copy or with the pen before the pen's next use.",
        )
    if report.apart:
        return Mismatch(
            errors.RECORDS_FORK,
            f"Pen {report.serial} once had another record than the one kept here{others}.",
            field="apart",
            given=str(report.apart[0]),
            hint="Both are kept. Have a technician look at the pen; move the file elsewhere once it is settled.",
        )
    copy = report.edited[0]
    return Mismatch(
        errors.RECORD_MISMATCH,
        f"The JSON copy of session {copy.session} of pen {report.serial} was changed, in {copy.field}{others}.",
        field=copy.field,
        given=copy.where,
        hint="The record itself is whole, and it alone counts. Find out who changed the copy, then delete it.",
    )


# --- export and import ----------------------------------------------------------------------------------------------


_CSV_HELP = "\n".join(["**The columns of the CSV**", "", *(f"- {name}: {meaning}" for name, meaning in COLUMNS)])


@app.command(epilog=_CSV_HELP)
def export(
    pen: _PenArgument = None,
    form: Annotated[
        Literal["json", "csv"],
        typer.Option("--format", help="json: lossless, can be imported; csv: a row per session and zone."),
    ] = "json",
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Write it here; - is the screen.")] = _SCREEN,
    first: Annotated[
        int | None, typer.Option("--from", metavar="SESSION", min=1, help="First session.", show_default=False)
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", metavar="SESSION", min=1, help="Last session.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Write the records kept here into one file, for spreadsheets (csv) or other programs (json).

    The file is written whole or not at all; the same records give the same file. JSON holds each record byte for byte,
    and `import` takes it back. CSV is a view, from which no record can be made again. In it depths are in um, times in
    UTC, what is said of a session repeats in each of its rows, and a text that a spreadsheet would take for a formula
    begins with an apostrophe.

    With --json the result has format, records, file, and text when it goes to the screen.
    """
    with reporting(json_lines) as out_:
        if first is not None and last is not None and first > last:
            message = f"There are no sessions from {first} to {last}."
            raise InputError(errors.USAGE, message, field="--from", given=first, limit=last)
        path = None if out == _SCREEN else Path(out)
        if path is not None:
            check_target(path, force)
        store = RecordStore()
        saved = list(store.load_all(_chosen(store, pen), first or 0, last))
        # What can't be believed is not passed on, nor would it be imported.
        verify_chains(entry.record for entry in saved)
        text = to_csv(saved) if form == "csv" else to_json(saved)
        out_.result(format=form, records=len(saved), file=path, text=None if path else text)
        if path is None:
            out_.verbatim(text)
        else:
            write_export(text, path, force=force)
            out_.say(f"Wrote {counted(len(saved), 'record')} to {printable(str(path))}.")


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `export --format json` wrote.", show_default=False)
    ],
    json_lines: JsonOption = False,
) -> None:
    """Keep the records of an exported file here, those that are not kept yet. Nothing that is kept is ever replaced.

    All are checked first: seals, chain, words, and what is kept here. If anything does not fit, or there is no room for
    all of them, nothing is imported.

    With --json the result has new and kept, lists of serial and session.
    """
    with reporting(json_lines) as out:
        imported = import_records(file, RecordStore())
        out.result(new=_names(imported.new), kept=_names(imported.kept))
        out.say(f"{counted(len(imported.new), 'record')} imported; {len(imported.kept):,} kept here already.")


def _names(saved: Sequence[SavedRecord]) -> list[dict[str, Any]]:
    return [{"serial": entry.record.serial, "session": entry.record.session} for entry in saved]
