"""`pinprick demo`: a whole session on a virtual pen, then five things that must not happen. Host only.

The host talks to the pen as it would to a real one, through a port; the virtual pen's operator presses the trigger; and
the plant, which shares nothing with the firmware, says what the needle did. The command fails unless the two accounts
agree.
"""

import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pencore import faults, wire
from pencore.profile import Profile
from pencore.profile import decode as decode_profile
from pencore.record import Record
from pinprick.cli import pictures
from pinprick.cli.live import SessionView, on_terminal, watching, zone_views
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.cli.pictures import Column
from pinprick.cli.trials import Bench, Trial, trials
from pinprick.cli.virtual_pen import NeedleReport, Operator, VirtualPen, virtual_pen
from pinprick.device import Loaded, Pen, PenFault, StateChange, Telemetry, Update
from pinprick.errors import CHECK_FAILED, FILE_UNWRITABLE, InputError, PinprickError, code_name
from pinprick.profiles import ProfileFile, load_profile, parse_profile
from pinprick.profiles.templates import examples
from pinprick.profiles.units import counted, mm, mm_number
from pinprick.records import RecordStore, SavedRecord

EXAMPLE = "full-face-session-2.toml"
_EXAMPLES = Path(__file__).parents[3] / "examples"
_SHOW_SPEED = 200.0
"""On a terminal the session is slowed down to this many simulated seconds per second, so that it can be watched."""
_BEFORE_PRESS_MS = 200
_PAUSE_MS = 800
_LIFT_MS = 400
_PAUSE_FROM_S = 60
"""Zones that take longer than this get a pause in their middle."""
_ASK_S = 1.0
_STUCK_S = 20.0


def demo(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A profile; the second session of a full-face course when left out.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Keep the records here; a temporary folder when left out.",
            readable=False,
        ),
    ] = None,
    tcp: Annotated[bool, typer.Option("--tcp", help="Reach the pen over TCP rather than a pseudo-terminal.")] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Run the pen in this process, at a pipe instead of a port.")
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            max=100_000.0,
            show_default=False,
            help="Simulated seconds per second; 200 on a terminal, else as many as the computer can.",
        ),
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Run a whole session on a virtual pen, and see that its limits hold.

    Loads the profile, arms, has a scripted operator press the trigger zone by zone, pulls and verifies the record; then
    tries five forbidden things. In the end the needle's own account is held against the record. No real pen moves.
    """
    with reporting(json_lines) as output:
        profile_file = _example() if file is None else load_profile(file)
        if speed is None and on_terminal(output):
            speed = _SHOW_SPEED
        # A new pen each time: its records must not be taken for those of the one before.
        serial = f"SIM-{secrets.token_hex(4).upper()}"
        with _folder(out) as folder, virtual_pen(serial, in_process=in_process, tcp=tcp, speed=speed) as virtual:
            _run(output, virtual, profile_file, RecordStore(folder))


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """Give the folder of the records, made if need be: before a session and not after it is the time to find out.

    A temporary one is removed again when nothing was saved in it.
    """
    if wanted is None:
        folder = Path(tempfile.mkdtemp(prefix="pinprick-demo-"))
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"The folder {wanted} cannot be made: {error.strerror}."
        raise InputError(FILE_UNWRITABLE, message, field="--out", given=str(wanted)) from None
    yield wanted


def _example() -> ProfileFile:
    path = _EXAMPLES / EXAMPLE
    return load_profile(path) if path.exists() else parse_profile(examples()[EXAMPLE], EXAMPLE)


def _run(out: Output, virtual: VirtualPen, profile_file: ProfileFile, store: RecordStore) -> None:
    operator = Operator(virtual)
    pen = Pen(virtual.connect())
    try:
        out.event("pen", port=pen.port, serial=pen.info.serial, firmware=pen.info.firmware, build=pen.info.build)
        out.say(Text.assemble("Virtual pen ", (pen.info.serial, "bold"), f" on {virtual.where}"))
        session = _Session(out, operator, pen, store)
        session.run(profile_file)
        bench = Bench(pen, lambda: Pen(virtual.connect()), operator, store, session.loaded, session.profile)
        try:
            tried = _try(out, bench)
        finally:
            pen = bench.pen
        _conclude(out, session, tried, operator)
    finally:
        pen.close()


class _Session:
    """The session itself, from the file to the saved record."""

    def __init__(self, out: Output, operator: Operator, pen: Pen, store: RecordStore) -> None:
        self._out = out
        self._operator = operator
        self._pen = pen
        self._store = store
        self._changed = threading.Condition()
        self._spent = False
        self._ended = 0
        self._heard_at = 0.0
        self.view: SessionView
        self.loaded: Loaded
        self.profile: Profile
        self.saved: SavedRecord
        self.needle: NeedleReport
        self.simulated_s = 0.0
        self.wall_s = 0.0

    def run(self, profile_file: ProfileFile) -> None:
        """Load, arm, press through all zones, pull the record."""
        self._operator.new_cartridge()
        self.loaded = self._pen.load(profile_file, records=self._store)
        self.profile = decode_profile(self.loaded.data)
        zones = zone_views(self.profile, self._pen.info.bounds())
        self.view = SessionView(self.profile.name, self._pen.info.serial, zones, trigger=False, needle=True)
        self._out.event("loaded", session=self.loaded.session_id, zones=self.loaded.zones, profile=self.profile.name)
        deepest_um = max(zone.depth_um for zone in self.profile.zones)
        self._out.say(
            f"{self.profile.name}: {counted(self.loaded.zones, 'zone')}, {counted(self.view.budget, 'stroke')}, up to"
            f" {mm(deepest_um)}. The pen accepted it as its session {self.loaded.session_id}."
        )
        began_ms = self._operator.now_ms()
        began_at = time.monotonic()
        self._pen.arm()
        self._out.say("It has homed and is armed. The operator presses the trigger, zone by zone:")
        end = self._pen.listen(self._hear)
        try:
            self._out.say()
            with watching(self._out, self.view) as drawn:
                for index in range(len(self.view.zones)):
                    seconds = self._work(index)
                    self._zone_done(index, seconds, drawn)
                self._pen.wait_for(wire.SAFE)
                self.view.state = wire.SAFE
                self.view.trigger = None
                self.view.ended = True
        finally:
            end()
        self.wall_s = time.monotonic() - began_at
        self.simulated_s = (self._operator.now_ms() - began_ms) / 1000
        self.needle = self._operator.needle()
        (self.saved,) = self._pen.pull_records(self._store)
        self._out.event("record", session=self.saved.record.session, path=self.saved.path)
        self._out.say()
        self._out.say("All strokes are made; the pen has sealed the session. Its record, verified and acknowledged:")
        self._out.say(Text(f"  {self.saved.path}", overflow="fold", style="bold"))

    def _work(self, index: int) -> float:
        """Have the operator use up the budget of one zone; return how many simulated seconds it took."""
        zone = self.profile.zones[index]
        shown = self.view.zones[index]
        if index:
            self._pen.zone_select(index)
        self.view.zone = index
        self._operator.count_under(shown.name, zone.depth_um)
        with self._changed:
            self._spent = False
            self._ended = 0
        began_ms = self._operator.now_ms()
        self.view.trigger = True
        self._operator.begin("release")
        self._operator.begin("press", _BEFORE_PRESS_MS)
        duration_s = zone.strokes / zone.rate_per_s
        if duration_s > _PAUSE_FROM_S:
            self._operator.begin("release", int(duration_s * 500))
            self._operator.begin("press", _PAUSE_MS)
        self._await_spent(index)
        self.view.trigger = False
        ended_ms = int(self._operator.do("release", _LIFT_MS)["at_ms"])
        needle = self._operator.needle().labels[shown.name]
        shown.left = self._left(index)
        shown.made = zone.strokes - shown.left - shown.forfeited
        shown.deepest_um = -int(-needle.deepest_um // 1)
        shown.done = True
        return (ended_ms - began_ms) / 1000

    def _zone_done(self, index: int, seconds: float, drawn: bool) -> None:
        """Say that a zone is finished; where a picture is drawn, it says so already."""
        zone = self.view.zones[index]
        limit_um, deepest_um = self.profile.zones[index].depth_um, zone.deepest_um or 0
        self._out.event(
            "zone",
            zone=zone.name,
            index=index,
            limit_um=limit_um,
            deepest_um=deepest_um,
            counted=zone.counted,
            budget=zone.budget,
            simulated_s=round(seconds, 3),
        )
        if not drawn:
            names = max(len(other.name) for other in self.view.zones)
            self._out.say(
                f"  {index + 1:>2}/{len(self.view.zones)}  {zone.name:<{names}}"
                f"  {mm_number(deepest_um)} of {mm_number(limit_um)} mm"
                f"  {zone.counted:>7,} of {zone.budget:>7,} {'stroke' if zone.budget == 1 else 'strokes'}"
                f"  {pictures.duration(seconds):>5}"
            )

    def _left(self, index: int) -> int:
        """Return the strokes left in a zone; none once the session is sealed."""
        left = self._pen.status().left
        return left[index] if left else 0

    def _hear(self, update: Update) -> None:
        """Take in what the pen says; in the thread that reads."""
        if isinstance(update, Telemetry):
            self.view.heard(update)
        with self._changed:
            self._heard_at = time.monotonic()
            if isinstance(update, StateChange):
                self.view.state = update.state
                if update.code == faults.ZONE_SPENT:
                    self._spent = True
                elif update.state in (wire.FAULT, wire.LOADED):
                    self._ended = update.code or faults.STATE_FORBIDS
                self._changed.notify_all()

    def _await_spent(self, index: int) -> None:
        """Wait until the zone has no strokes left; PenFault when the pen stops or pauses for good before."""
        with self._changed:
            self._heard_at = time.monotonic()
        while True:
            with self._changed:
                told = self._changed.wait_for(lambda: self._spent or self._ended, _ASK_S)
                if self._spent:
                    return
                if self._ended:
                    raise PenFault(self._ended)
                heard_at = self._heard_at
            if not told:
                # A notice may have been dropped while this computer was busy: the count is never lost.
                if self._left(index) == 0:
                    return
                if time.monotonic() - heard_at > _STUCK_S:
                    raise PinprickError(CHECK_FAILED, f"Zone {self.view.zones[index].name} makes no progress.")


def _try(out: Output, bench: Bench) -> list[Trial]:
    """Try what must not happen, and show how each went."""
    out.say()
    out.say("Five things that must not happen:", style="bold")
    tried = []
    for trial in trials(bench):
        tried.append(trial)
        out.event(
            "refusal",
            what=trial.key,
            held=trial.held,
            code=trial.code,
            name=None if trial.code is None else code_name(trial.code),
            strokes=trial.needle.crossings,
            strokes_allowed=trial.allowed.crossings,
            needle_moved=trial.moved,
        )
        out.say(_trial_line(trial))
    return tried


def _trial_line(trial: Trial) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=11)
    grid.add_column(ratio=1)
    if trial.held:
        label = Text("  refused", "bold green")
    else:
        label = Text("NOT REFUSED" if trial.code is None else "  FAILED", "bold red")
    answer = "no code" if trial.code is None else f"{trial.code} {code_name(trial.code)}"
    if trial.moved:
        needle = f"the needle moved: {counted(trial.needle.crossings, 'stroke')}"
    elif trial.allowed.crossings:
        needle = f"the needle stopped after the {counted(trial.allowed.crossings, 'stroke')} allowed"
    else:
        needle = "the needle did not move"
    grid.add_row(label, Text.assemble(trial.what, "\n", (answer, "cyan"), f", {needle}."))
    return grid


@dataclass(frozen=True, slots=True)
class _Row:
    """A zone's two accounts."""

    zone: str
    limit_um: int
    deepest_um: float
    counted: int
    needle: int
    budget: int

    @property
    def agrees(self) -> bool:
        """Whether needle and record say the same, within budget and limit."""
        return self.needle == self.counted <= self.budget and self.deepest_um <= self.limit_um


def _rows(view: SessionView, record: Record, needle: NeedleReport) -> list[_Row]:
    rows = []
    for shown, zone in zip(view.zones, record.zones, strict=True):
        tally = needle.labels[shown.name]
        # A stroke counts for the needle as soon as it began or came out, whichever happened more often.
        made = max(tally.begun, tally.crossings, tally.strokes)
        deepest_um = int(tally.deepest_um) if tally.deepest_um == int(tally.deepest_um) else tally.deepest_um
        rows.append(_Row(shown.name, zone.depth_um, deepest_um, zone.counted(), made, zone.budget))
    return rows


def _conclude(out: Output, session: "_Session", tried: list[Trial], operator: Operator) -> None:
    """Hold needle against record, zone by zone, and give the result; PinprickError CHECK_FAILED when they differ."""
    record = session.saved.record
    rows = _rows(session.view, record, session.needle)
    violations = operator.needle().violations
    strokes_needle = sum(row.needle for row in rows)
    deepest_um = max(row.deepest_um for row in rows)
    speed = session.simulated_s / session.wall_s
    out.result(
        strokes_recorded=record.counted(),
        strokes_needle=strokes_needle,
        strokes_budget=record.session_strokes,
        deepest_um=deepest_um,
        limit_um=record.session_depth_um,
        zones=[asdict(row) for row in rows],
        refusals={trial.key: code_name(trial.wanted) if trial.held else None for trial in tried},
        speed=round(speed, 1),
        simulated_s=round(session.simulated_s, 3),
        record=session.saved.path,
        violations=list(violations),
    )
    out.say()
    out.say("What the needle did, and what the record says of it:", style="bold")
    out.say(_comparison(rows, out.console.width))
    wrong = [f"{row.zone}: needle and record differ" for row in rows if not row.agrees]
    wrong += [f"not held off: {trial.what[0].lower()}{trial.what[1:]}" for trial in tried if not trial.held]
    wrong += list(violations)
    if record.profile_digest != session.loaded.digest:
        wrong.append("the record names another profile than the one that was loaded")
    if strokes_needle > record.session_strokes:
        wrong.append("more strokes than the session allows")
    if wrong:
        raise PinprickError(CHECK_FAILED, "; ".join(wrong), given=strokes_needle, limit=record.counted())
    out.say(
        Text.assemble(
            ("Needle and record agree", "bold green"),
            f": {counted(strokes_needle, 'stroke')}, none deeper than {mm(-int(-deepest_um // 1))}.",
        )
    )
    minutes = f"{session.simulated_s / 60:.1f} simulated minutes in {session.wall_s:.1f} s"
    out.say(f"{minutes}, {speed:,.0f} times as fast as a real session.")


def _comparison(rows: list["_Row"], width: int) -> Table:
    """Return the two accounts side by side, at most `width` wide; a narrow one leaves out what the needle kept to."""
    marks = [Text("agree", "green") if row.agrees else Text("DIFFER", "bold red") for row in rows]
    columns = [
        Column("zone", [row.zone for row in rows], left=True),
        Column("limit mm", [mm_number(row.limit_um) for row in rows]),
        Column("needle mm", [f"{row.deepest_um / 1000:.3f}".removesuffix("0") for row in rows]),
        Column("needle strokes", [f"{row.needle:,}" for row in rows]),
        Column("record", [f"{row.counted:,}" for row in rows]),
        Column("budget", [f"{row.budget:,}" for row in rows]),
        Column("", marks),
    ]
    return pictures.table(columns, width, ("budget", "limit mm"))
