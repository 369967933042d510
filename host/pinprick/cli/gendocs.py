"""`python -m pinprick.cli.gendocs`: writes the generated files of the project, or checks that they are up to date.

Host only, and only in a checkout: the wire protocol's page, the profile's JSON Schema, the example profiles and the
tables of the virtual pen's page and of the hardware's are made from the code that is run, so that none of them can say
something else.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pinprick import protocol_doc
from pinprick.cli.output import JsonOption, reporting
from pinprick.cli.scenario import scenario_page
from pinprick.cli.sim import simulator_page
from pinprick.errors import FILE_UNWRITABLE, GENERATED_STALE, InputError, PinprickError
from pinprick.profiles.schema import schema_text
from pinprick.profiles.templates import examples
from pinprick.wiring import drawing
from pinprick.wiring import page as hardware_page
from pinprick.wiring.pins import pins

_FILLED_IN = {
    "docs/simulator.md": simulator_page,
    "docs/scenarios.md": scenario_page,
    hardware_page.PATH: hardware_page.filled_in,
}
_CHECKOUT = Path(__file__).parents[3]


def generated() -> dict[str, str]:
    """Return every generated file's text by its path below the project's root."""
    files = {protocol_doc.PATH: protocol_doc.render(), "docs/profile.schema.json": schema_text()}
    return files | {f"examples/{name}": text for name, text in examples().items()}


def gendocs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is not up to date.")] = False,
    root: Annotated[Path, typer.Option(help="The project's root.", show_default=False)] = _CHECKOUT,
    json_lines: JsonOption = False,
) -> None:
    """Write the generated documents and examples of a checkout, or check that they are up to date."""
    with reporting(json_lines) as out:
        files = generated() | _filled_in(root)
        stale = [path for path, text in files.items() if _current(root / path) != text.encode()]
        out.result(files=list(files), stale=stale)
        if not (root / "docs").is_dir():
            raise InputError(FILE_UNWRITABLE, f"{root} is not the root of a checkout: it has no docs folder.")
        if check and stale:
            raise PinprickError(
                GENERATED_STALE, f"Not up to date: {', '.join(stale)}.", hint="Run `make docs` and commit the result."
            )
        for path in [] if check else stale:
            (root / path).write_bytes(files[path].encode())
            out.say(f"wrote {path}")
        out.say(f"{len(files)} generated files are up to date.")


def _filled_in(root: Path) -> dict[str, str]:
    """Return the pages of which only the tables are generated, and the drawing that one of them shows."""
    there = {path: fill for path, fill in _FILLED_IN.items() if (root / path).is_file()}
    files = {path: fill((root / path).read_text(encoding="utf-8")) for path, fill in there.items()}
    return files | ({drawing.PATH: drawing.drawing(pins())} if hardware_page.PATH in files else {})


def _current(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


if __name__ == "__main__":
    from pinprick.cli import main

    sys.exit(main(["gendocs", *sys.argv[1:]]))
