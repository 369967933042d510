"""`pinprick board`: the firmware built, put onto a board, compared with what is there; a MicroPython image looked at.
Host only. Nothing here moves a pen, and nothing is asked: a command that can't go on says why, and can be run again.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from pinprick.board import image as images
from pinprick.board import install as installing
from pinprick.board import service
from pinprick.board.build import MANIFEST, Build
from pinprick.board.build import build as built
from pinprick.cli import pictures
from pinprick.cli.board_port import port_option, say_waiting
from pinprick.cli.live import on_terminal
from pinprick.cli.output import JsonOption, Output, printable, reporting
from pinprick.cli.pictures import Column
from pinprick.cli.provision import provision
from pinprick.errors import FILE_EXISTS, FILE_UNWRITABLE, InputError
from pinprick.files import write_whole
from pinprick.profiles.units import counted
from pinprick.told import PenInfo

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Build the firmware, put it onto a board, check a board.",
)
app.command()(provision)

InstallPortOption = Annotated[str, port_option("files on it are replaced.")]
VerifyPortOption = Annotated[str, port_option("a board at its prompt looks like any other.")]
_WORDS = {
    installing.CHECK: "looking at what is there",
    installing.PURGE: "removing",
    installing.COPY: "copying",
    installing.VERIFY: "reading back",
    installing.SEAL: "writing the manifest",
}
_OTHER_BUILD = (
    "Another version of this tool installed it. To have this one's: hold the service button while you switch the pen"
    " off and on, and run `pinprick board install`. `sim serve` runs the sources, which are no build of this kind."
)


@app.command()
def build(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Write the files into this new folder.", readable=False),
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Compile the firmware and show the size of each file; the same sources always give the same bytes.

    The build's name is made from the compiled files, and a pen on a board gives it as its own. A simulated pen runs the
    sources, except for `sim chip`, and names its build after those.
    """
    with reporting(json_lines) as out_:
        made = built()
        out_.result(build=made.identity, files={path: len(data) for path, data in made.files.items()}, folder=out)
        if out is not None:
            _write(made, out)
        out_.say(_sizes(made, out_.console.width))
        where = f", written to {out}" if out is not None else ""
        out_.say(f"build {made.identity}{where}")
        out_.say(
            "A pen with these files gives this as its build; `sim serve` runs the sources, and another.", style="dim"
        )


def _sizes(made: Build, width: int) -> Table:
    sizes = [(path, len(data)) for path, data in made.files.items()]
    total = sum(size for _, size in sizes)
    return pictures.table(
        [
            Column("file", [*(path for path, _ in sizes), Text(counted(len(sizes), "file"), "bold")], left=True),
            Column("bytes", [*(f"{size:,}" for _, size in sizes), Text(f"{total:,}", "bold")]),
        ],
        width,
    )


def _write(made: Build, folder: Path) -> None:
    """Write a build into a folder that isn't there or is empty: nobody takes files of two builds for one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            message = f"{folder} is not empty; the files of two builds must not mix."
            raise InputError(FILE_EXISTS, message, field="--out", hint="Name a folder that isn't there yet.")
        for path, data in {**made.files, MANIFEST: made.manifest}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(folder / path, data)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror or error}."
        raise InputError(FILE_UNWRITABLE, message, field="--out") from None


@app.command()
def install(port: InstallPortOption, json_lines: JsonOption = False) -> None:
    """Put the firmware onto a board that runs MicroPython, check it by hash, start it, and hear which build it runs.

    What the pen remembers (provisioning, journal, records) is not touched; other Python files and other folders on the
    board are removed. Cut off at any point, the board runs no part of it, and running the command again finishes.

    What runs on the board is interrupted. One with another MicroPython than the pen's is refused, and left as it is:
    its own program goes on when it is switched off and on.
    """
    with reporting(json_lines) as out:
        made = built()
        out.result(build=made.identity, port=port)
        out.say(f"Build {made.identity}, {counted(len(made.files), 'file')}; board at {port}.")
        with service.taken(port, lambda what: say_waiting(out, what, port)) as board:
            with _progress(out) as tell:
                done = installing.install(board, made, images.locked(), tell)
            out.result(copied=done.copied, purged=done.purged, kept=done.kept)
            board.reset()
        out.say(_account(done))
        say_waiting(out, service.START, port)
        info = service.started(port, made.identity)
        _say_running(out, info, made)


def _account(done: installing.Installed) -> str:
    if not done.copied and not done.purged:
        return f"All {counted(len(done.kept), 'file')} were there already. Starting the pen."
    parts = [f"{counted(len(done.copied), 'file')} copied", f"{len(done.kept)} were right already"]
    if done.purged:
        parts.append(f"removed: {printable(', '.join(done.purged))}")
    return f"{'; '.join(parts)}. All read back and verified. Starting the pen."


def _say_running(out: Output, info: PenInfo, made: Build) -> None:
    """Say which pen runs; its build has been compared with `made`."""
    out.result(serial=info.serial or None, firmware=info.firmware)
    who = f"pen {printable(info.serial)}" if info.serial else "a pen that is not provisioned yet"
    same = f"build {made.identity}, the same as this tool's"
    out.say(Text(f"Running: {who}, firmware {printable(info.firmware)}, {same}.", "bold green"))


@contextmanager
def _progress(out: Output) -> "Iterator[installing.Tell]":
    """Give what shows each step: a bar on a terminal, a line a phase elsewhere, an event a step for programs."""
    said: list[str] = []

    def tell(step: installing.Step) -> None:
        out.event("step", kind=step.kind, path=step.path, done=step.done, of=step.of)
        if bar is not None:
            bar.update(
                bar.task_ids[0],
                description=f"{_WORDS[step.kind]} {printable(step.path)}",
                completed=step.done,
                total=step.of,
            )
        elif step.kind not in said:
            said.append(step.kind)
            out.say(f"  {_WORDS[step.kind]}")

    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.description}", markup=False))
    bar = Progress(*columns, console=out.console, transient=True) if on_terminal(out) else None
    with bar or nullcontext():
        if bar is not None:
            bar.add_task("", total=None)
        yield tell


@app.command()
def verify(port: VerifyPortOption, json_lines: JsonOption = False) -> None:
    """Compare a board with this tool's build: by the hash of each file, or, of a pen that runs, by what it says.

    A running pen has checked its own files against its manifest at power-up, and gives the manifest's build. A board
    whose service button was held is read file by file, and a pen is started anew afterwards.

    Anything else that runs MicroPython at PORT is interrupted, for only so can it be asked, and is not started anew:
    its own program goes on when it is switched off and on. Nothing on it is changed.
    """
    with reporting(json_lines) as out:
        made = built()
        out.result(build=made.identity, port=port)
        say_waiting(out, service.PEN, port)
        info = service.answering(port)
        if info is not None:
            out.result(by="pen")
            service.check_running(info, made.identity, _OTHER_BUILD)
            _say_running(out, info, made)
            return
        out.result(by="files")
        with service.taken(port, lambda what: say_waiting(out, what, port)) as board:
            installing.check_about(board.about(), images.locked())
            try:
                installing.verified(board, made)
            finally:
                service.given_back(board)
        out.say(Text(f"The board holds build {made.identity}, every file as built.", "bold green"))


@app.command()
def image(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A .uf2 file.", show_default=False, readable=False)
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Say which MicroPython a pen's board runs and where to get it; look at an image before it goes onto a board.

    With a FILE the exit code is 0 only when its SHA-256 is the one in firmware/image.lock. What the file says of itself
    proves nothing.
    """
    with reporting(json_lines) as out:
        lock = images.locked()
        out.result(wanted=lock.version, board=lock.board, page=lock.page, official=lock.sha256 or None)
        out.say(f"Pens run {lock}, a .uf2 file from {lock.page}", style="bold")
        if file is None:
            known = f"its SHA-256 is {lock.sha256}" if lock.sha256 else "its SHA-256 is not known to this tool yet"
            out.say(f"The official file: {known}.")
            return
        found = images.from_file(file)
        out.result(file=file, sha256=found.sha256, size=found.size)
        out.result(says=found.version, built=found.built, for_pico=found.for_pico)
        says = f"MicroPython {found.version} of {found.built}" if found.version else "nothing of MicroPython"
        out.say(f"{file}: {found.size:,} bytes for the RP2040. It says of itself: {says}.")
        out.say(f"SHA-256 {found.sha256}")
        images.compare(found, lock)
        out.say(Text(f"This is the official image of {lock}.", "bold green"))
