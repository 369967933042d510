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
from pinprick.cli.live import on_terminal
from pinprick.cli.output import JsonOption, Output, reporting
from pinprick.cli.pictures import Column
from pinprick.errors import FILE_EXISTS, FILE_UNWRITABLE, InputError
from pinprick.files import write_whole
from pinprick.profiles.units import counted
from pinprick.told import PenInfo

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Build the firmware, put it onto a board, check a board.",
)

BoardPortOption = Annotated[
    str,
    typer.Option(
        "--port",
        metavar="PORT",
        envvar="PINPRICK_PORT",
        show_default=False,
        help="The board's port: /dev/..., COMn or socket://host:port. Always named: files on it are replaced.",
    ),
]
_WORDS = {
    installing.CHECK: "looking at what is there",
    installing.PURGE: "removing",
    installing.COPY: "copying",
    installing.VERIFY: "reading back",
    installing.SEAL: "writing the manifest",
}


@app.command()
def build(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Write the files into this new folder.")
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Compile the firmware and show the size of each file; the same sources always give the same bytes."""
    with reporting(json_lines) as out_:
        made = built()
        out_.result(build=made.identity, files={path: len(data) for path, data in made.files.items()}, folder=out)
        if out is not None:
            _write(made, out)
        out_.say(_sizes(made, out_.console.width))
        where = f", written to {out}" if out is not None else ""
        out_.say(f"build {made.identity}{where}")


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
def install(port: BoardPortOption, json_lines: JsonOption = False) -> None:
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
        with service.taken(port) as board:
            with _progress(out) as tell:
                done = installing.install(board, made, images.locked(), tell)
            out.result(copied=done.copied, purged=done.purged, kept=done.kept)
            board.reset()
        out.say(_account(done))
        info = service.started(port, made.identity)
        _say_running(out, info)


def _account(done: installing.Installed) -> str:
    if not done.copied and not done.purged:
        return f"All {counted(len(done.kept), 'file')} were there already. Starting the pen."
    parts = [f"{counted(len(done.copied), 'file')} copied", f"{len(done.kept)} were right already"]
    if done.purged:
        parts.append(f"removed: {', '.join(done.purged)}")
    return f"{'; '.join(parts)}. All read back and verified. Starting the pen."


def _say_running(out: Output, info: PenInfo) -> None:
    out.result(serial=info.serial or None, firmware=info.firmware)
    who = f"pen {info.serial}" if info.serial else "a pen that is not provisioned yet"
    out.say(Text(f"Running: {who}, firmware {info.firmware}, build {info.build}.", "bold green"))


@contextmanager
def _progress(out: Output) -> "Iterator[installing.Tell]":
    """Give what shows each step: a bar on a terminal, a line a phase elsewhere, an event a step for programs."""
    said: list[str] = []

    def tell(step: installing.Step) -> None:
        out.event("step", kind=step.kind, path=step.path, done=step.done, of=step.of)
        if bar is not None:
            bar.update(
                bar.task_ids[0], description=f"{_WORDS[step.kind]} {step.path}", completed=step.done, total=step.of
            )
        elif step.kind not in said:
            said.append(step.kind)
            out.say(f"  {_WORDS[step.kind]}")

    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=out.console, transient=True) if on_terminal(out) else None
    with bar or nullcontext():
        if bar is not None:
            bar.add_task("", total=None)
        yield tell


@app.command()
def verify(port: BoardPortOption, json_lines: JsonOption = False) -> None:
    """Compare a board with this tool's build: by the hash of each file, or, of a pen that runs, by what it says.

    A running pen has checked its own files against its manifest at power-up, and gives the manifest's build. A board
    whose service button was held is read file by file, and a pen is started anew afterwards.

    Anything else that runs MicroPython at PORT is interrupted, for only so can it be asked, and is not started anew:
    its own program goes on when it is switched off and on. Nothing on it is changed.
    """
    with reporting(json_lines) as out:
        made = built()
        out.result(build=made.identity, port=port)
        info = service.answering(port)
        if info is not None:
            out.result(by="pen")
            service.check_running(info, made.identity)
            _say_running(out, info)
            return
        out.result(by="files")
        with service.taken(port) as board:
            installing.check_about(board.about(), images.locked())
            try:
                installing.verified(board, made)
            finally:
                service.given_back(board)
        out.say(Text(f"The board holds build {made.identity}, every file as built.", "bold green"))


@app.command()
def image(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .uf2 file.", show_default=False)],
    json_lines: JsonOption = False,
) -> None:
    """Look at a MicroPython image before it goes onto a board, and compare it with the official one.

    Exit code 0 only when its SHA-256 is the one in firmware/image.lock. What the file says of itself proves nothing.
    """
    with reporting(json_lines) as out:
        found = images.from_file(file)
        lock = images.locked()
        out.result(file=file, sha256=found.sha256, size=found.size)
        out.result(says=found.version, built=found.built, for_pico=found.for_pico)
        out.result(wanted=lock.version, board=lock.board, page=lock.page, official=lock.sha256 or None)
        says = f"MicroPython {found.version} of {found.built}" if found.version else "nothing of MicroPython"
        out.say(f"{file}: {found.size:,} bytes for the RP2040. It says of itself: {says}.")
        out.say(f"SHA-256 {found.sha256}")
        images.compare(found, lock)
        out.say(Text(f"This is the official image of MicroPython {lock.version} for {lock.board}.", "bold green"))
