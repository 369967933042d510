"""`pinprick sim run`: scenario files against a virtual pen in this process, a served one, or a board. Host only."""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pinprick import simulated
from pinprick.cli import sim_chip
from pinprick.cli.chip_image import Uf2Option
from pinprick.cli.extras import needing_extra
from pinprick.cli.live import on_terminal
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.errors import (
    EXPECTATION_BROKEN,
    FILE_MISSING,
    SCENARIO_BAD,
    TARGET_LACKS,
    USAGE,
    InputError,
    NoDevice,
    PinprickError,
    Problem,
    ValidationFailed,
)
from pinprick.files import read_bounded
from pinprick.profiles.positions import path_text, positions
from pinprick.profiles.source import SIZE_MAX, Source, read
from pinprick.profiles.units import counted
from pinprick.transport import SerialTransport

if TYPE_CHECKING:
    from pensim.scenario.form import Finding
    from pensim.scenario.model import Scenario
    from pensim.scenario.run import Outcome
    from pensim.scenario.targets import Lacks, Target
    from pensim.stroke import StrokeBook

IN_PROCESS = "inproc"
CHIP = "chip"
_NAME_WIDTH = 36
_PROFILE = "This is a session profile, not a scenario."
_NOT_PROFILE = "Name a scenario, whose profile.file may name this one. `pinprick profile check` checks profiles."
_TARGETS = "A target is inproc, chip, socket://HOST:PORT, /dev/... or COMn."
_PORT = re.compile(r".*[/:].*|COM\d+", re.IGNORECASE)


def run(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Scenario files, and folders of them.", show_default=False, readable=False
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="TARGET",
            help="`inproc`: a new virtual pen in this process for each file; `chip`: the same with the whole chip,"
            " which wants --uf2; `socket://HOST:PORT` or `/dev/...`: a pen that is there, simulated or not.",
        ),
    ] = IN_PROCESS,
    uf2: Uf2Option = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="What is random about the pen is drawn from this; else the file says it."),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Print everything that happened, of each file.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Play scenario files: what is done to a pen, what goes wrong, and what must come of it.

    Prints the first thing that did not come as expected, with what happened around it, and the command that plays it
    once more. Exit codes: 0 all came as expected; 1 something did not; 2 a file is no scenario, or the target lacks
    what it needs: hands for pressing the trigger, say, that only simulated pens have. Then each such file is named, and
    none is played, those that could be neither.
    """
    with reporting(json_lines) as out:
        _check_target(target)
        with needing_extra():
            from pensim.stroke import StrokeBook

            scenarios = _read_all(_found(files))
        book = StrokeBook()
        make = sim_chip.chip_targets(uf2, out) if target == CHIP else _targets(target, seed, book)
        broken: list[Outcome] = []
        shown = Shown(out, slow=target == CHIP)
        with _lacking(target):
            _check_needs(scenarios, target, make)
            for scenario in scenarios:
                outcome = _play(scenario, make, seed, shown)
                _tell(out, outcome, log)
                if not outcome.ok:
                    broken.append(outcome)
        out.result(scenarios=len(scenarios), broken=len(broken), target=target)
        if broken:
            from pensim.scenario.report import again

            message = f"{len(broken)} of {counted(len(scenarios), 'scenario')} did not come as expected."
            hint = f"See the first one again: {again(broken[0])}"
            raise PinprickError(EXPECTATION_BROKEN, message, field=broken[0].scenario.file, hint=hint)
        out.say(f"{counted(len(scenarios), 'scenario')}, all as expected.", style="bold")


def scenario_page(text: str) -> str:
    """Return the page about scenario files with its tables made anew; EXTRA_MISSING without the `sim` extra."""
    with needing_extra():
        from pensim.scenario.handbook import filled_in

        return filled_in(text)


# --- files ------------------------------------------------------------------------------------------------------------
def _found(files: Sequence[Path]) -> list[Path]:
    """Return the files, with those of a folder in its place; InputError when there is none."""
    found: list[Path] = []
    for path in files:
        found += sorted(path.glob("*.toml")) if _is_folder(path) else [path]
    if not found:
        raise InputError(FILE_MISSING, f"There is no scenario in {files[0]}.", field="FILE", given=str(files[0]))
    return found


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        # A name that no file can have: reading it says so.
        return False


def _read_all(files: Sequence[Path]) -> "list[Scenario]":
    """Return the scenarios; ValidationFailed with everything that is wrong in any of the files."""
    from pensim.scenario.form import BadScenario
    from pensim.scenario.model import parse

    scenarios = []
    problems: list[Problem] = []
    for path in files:
        try:
            text = read(path)
        except ValidationFailed as failed:
            problems += failed.problems
            continue
        try:
            scenarios.append(parse(text, str(path), _beside(path)))
        except BadScenario as bad:
            if bad.toml and _is_profile(text):
                problems.append(Problem(SCENARIO_BAD, _PROFILE, file=str(path), hint=_NOT_PROFILE))
                continue
            source = _source(path, text, bad.toml)
            problems += [_problem(finding, source) for finding in bad.findings]
    if problems:
        raise ValidationFailed(problems)
    return scenarios


def _is_profile(text: str) -> bool:
    """Return whether a TOML text holds what only session profiles have, and nothing that only scenarios have."""
    there = tomllib.loads(text).keys()
    return {"course", "zone"} <= there and not {"act", "expect"} & there


def _beside(path: Path) -> Callable[[str], str]:
    """Return what reads the files that a scenario names: they lie beside it."""

    def opened(name: str) -> str:
        return read_bounded(path.parent / name, SIZE_MAX).decode()

    return opened


def _source(path: Path, text: str, is_toml: bool) -> Source:
    lines = tuple(text.replace("\r\n", "\n").split("\n"))
    return Source(str(path), lines, positions(text) if is_toml else {})


def _problem(finding: "Finding", source: Source) -> Problem:
    place = source.place(finding.path)
    line = finding.line or (place.line if place else None)
    return Problem(
        SCENARIO_BAD,
        finding.message,
        field=path_text(finding.path),
        given=finding.given or None,
        allowed=finding.allowed,
        file=source.file,
        line=line,
        column=place.column if place else None,
        excerpt=source.excerpt(line),
    )


# --- targets ----------------------------------------------------------------------------------------------------------
class ScenarioPort:
    """A pen's port as scenarios take it: a lost one is a ConnectionError."""

    def __init__(self, name: str) -> None:
        self._transport = SerialTransport(name)

    def read(self, timeout_s: float) -> bytes:
        """Return what has arrived."""
        try:
            return self._transport.read(timeout_s)
        except NoDevice as error:
            raise ConnectionError(error.message) from None

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._transport.write(data)
        except NoDevice as error:
            raise ConnectionError(error.message) from None

    def close(self) -> None:
        """Let go of the port."""
        self._transport.close()


def reopened(name: str) -> ScenarioPort:
    """Open a port that was open before; ConnectionError where it can't be."""
    try:
        return ScenarioPort(name)
    except NoDevice as error:
        raise ConnectionError(error.message) from None


def _targets(target: str, seed: int | None, book: "StrokeBook") -> "Callable[[Scenario], Target]":
    """Return what makes the target of a scenario; a port that a simulated pen registered has its hands as well."""
    from pensim.hands import BadCommand
    from pensim.scenario.targets import Board, InProcess, Served

    if target == IN_PROCESS:
        return lambda scenario: InProcess(scenario, seed, book)

    found = [pen for pen in simulated.registered() if pen.port == target]
    if not found:
        return lambda _: Board(target, ScenarioPort(target), lambda: reopened(target))

    def served(_: "Scenario") -> "Target":
        control = simulated.Control(found[0])

        def act(command: dict[str, Any]) -> dict[str, Any]:
            try:
                return control.do(command)
            except InputError as error:
                if error.code != USAGE:
                    raise
                raise BadCommand(error.message) from None

        try:
            return Served(target, ScenarioPort(target), lambda: reopened(target), act, control.close)
        except BaseException:
            control.close()
            raise

    return served


@contextmanager
def _closing(target: "Target") -> "Iterator[Target]":
    try:
        yield target
    finally:
        target.close()


def _check_target(target: str) -> None:
    """Refuse what is neither a target nor can be the name of a port; InputError USAGE."""
    if target in (IN_PROCESS, CHIP) or _PORT.fullmatch(target):
        return
    meant = difflib.get_close_matches(target, (IN_PROCESS, CHIP), 1)
    hint = f"Did you mean {meant[0]}? {_TARGETS}" if meant else _TARGETS
    raise InputError(USAGE, f"There is no target {target or '(empty)'}.", field="--target", given=target, hint=hint)


def _check_needs(scenarios: "Sequence[Scenario]", target: str, make: "Callable[[Scenario], Target]") -> None:
    """Refuse scenarios that need what the target has not got, all of them at once; ValidationFailed TARGET_LACKS."""
    from pensim.scenario.targets import Lacks, needed

    problems = []
    # One without power has all that it ever has, and takes no time to come up.
    first = replace(scenarios[0], pen={**scenarios[0].pen, "powered": False})
    with _closing(make(first)) as pen:
        for scenario in scenarios:
            try:
                needed(scenario, pen)
            except Lacks as lacks:
                problems.append(_lack(lacks, target, scenario.file, len(scenarios)))
    if problems:
        raise ValidationFailed(problems)


def _lack(lacks: "Lacks", target: str, file: str, files: int) -> Problem:
    message = f"{target} has not got what the scenario needs: {lacks.need} ({lacks.first})."
    hint = f"Only a virtual pen has that: pinprick sim run {file} --target inproc"
    if files > 1:
        hint += ". The other files can be played without this one."
    return Problem(TARGET_LACKS, message, file=file, field="--target", given=target, limit=lacks.need, hint=hint)


@contextmanager
def _lacking(target: str) -> Iterator[None]:
    """Word what a target turns out not to have while a scenario is played."""
    from pensim.scenario.targets import Lacks

    try:
        yield
    except Lacks as lacks:
        message = f"{target} has not got what the scenario needs: {lacks.need} ({lacks.first})."
        hint = "Only a virtual pen has that: pinprick sim run FILE --target inproc"
        raise InputError(TARGET_LACKS, message, field="--target", given=target, limit=lacks.need, hint=hint) from None


# --- playing ----------------------------------------------------------------------------------------------------------
class Shown:
    """Shows, where it takes its time and somebody looks on, which scenario is played and how far its pen's time is."""

    def __init__(self, out: Output, *, slow: bool) -> None:
        self._out = out
        self._slow = slow
        self._name = ""
        self._what = ""
        self.target: Target | None = None

    @contextmanager
    def during(self, scenario: "Scenario", what: str) -> Iterator[None]:
        """Show it until the block ends; programs hear that it begins."""
        if not self._slow:
            yield
            return
        self._name, self._what, self.target = Path(scenario.file).stem, what, None
        self._out.event("begins", file=scenario.file, what=what)
        with self._out.console.status(self) if on_terminal(self._out) else nullcontext():
            yield

    def __rich__(self) -> Text:
        """Return what is shown now; asked for whenever it is drawn."""
        passed = "" if self.target is None else f", {self.target.now_ms() / 1000:.1f} s of the chip's time"
        return Text(f"{self._name}: {self._what}{passed}")


def _play(scenario: "Scenario", make: "Callable[[Scenario], Target]", seed: int | None, shown: Shown) -> "Outcome":
    """Play a scenario. What nobody saw coming breaks the run of its file, which is named, and ends no other's."""
    from pensim.scenario.run import Broken, Outcome, play

    with shown.during(scenario, "booting"):
        made = make(scenario)
    with _closing(made) as target, shown.during(scenario, "playing"):
        shown.target = target
        try:
            return play(scenario, target, seed)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as bug:
            outcome = Outcome(scenario, target.name, scenario.pen.get("seed", 0) if seed is None else seed)
            outcome.broken = Broken((), "a run to its end", f"{type(bug).__name__}: {bug}")
            return outcome


def _tell(out: Output, outcome: "Outcome", log: bool) -> None:
    """Say how one scenario went."""
    from pensim.scenario.report import around, lines, place

    scenario = outcome.scenario
    broken = outcome.broken
    line = None if broken is None else _line_of(scenario.file, broken.path)
    out.event(
        "scenario",
        file=scenario.file,
        name=scenario.name,
        ok=outcome.ok,
        seed=outcome.seed,
        motion_ms=outcome.motion_ms,
        strokes=outcome.strokes,
        deepest_um=None if outcome.deepest_um is None else round(outcome.deepest_um, 1),
        expectations=outcome.expected,
        broken=None
        if broken is None
        else {
            "place": place(broken.path),
            "line": line,
            "expected": broken.expected,
            "found": broken.found,
            "around": [_fields(event) for event in around(outcome)],
        },
        events=[_fields(event) for event in outcome.events] if log else None,
    )
    name = Path(scenario.file).stem
    strokes = "" if outcome.strokes is None else counted(outcome.strokes, "stroke")
    verdict = ("ok    ", "green") if outcome.ok else ("BROKEN", "bold red")
    out.say(
        Text.assemble(
            verdict, f"  {name:<{_NAME_WIDTH}}  {strokes:>11}  ", (f"{outcome.motion_ms / 1000:>6.2f} s moving", "dim")
        )
    )
    width = out.console.width
    if log:
        out.verbatim(outcome.log())
    if broken is None:
        return
    where = f"  {scenario.file}{f':{line}' if line else ''}  {place(broken.path)}"
    out.verbatim(f"{printable(where)}\n")
    for text in lines(outcome):
        cut = text.startswith((" ", ">")) and not text.startswith("  pinprick")
        out.verbatim(f"  {printable(text)[: width - 2] if cut else printable(text)}".rstrip() + "\n")


def _fields(event: Any) -> dict[str, object]:
    return {"at_ms": event.at_ms, "who": event.who, "what": event.what}


def _line_of(file: str, path: tuple[str | int, ...]) -> int | None:
    """Return the line of a place in a scenario file, if it has one."""
    try:
        place = _source(Path(file), read(Path(file)), True).place(path)
    except ValidationFailed:
        # It is gone since it was played.
        return None
    return place.line if place else None
