"""The files that go onto a pen, as they were shipped with this tool. Host only; reads files, holds nothing.

What goes onto a pen is what its two scripts reach by their imports, however deep: a file that merely lies beside the
others, an editor's leftover or a module that nothing uses any more, is never flashed. A module that is reached only
where types are checked (`pencore.ports`) belongs to the firmware, and stays on the computer.

`pencore` is read from the very package that this Python imports: what is flashed is what was tried in the virtual pen.
The pen's own files (`pendevice`, `pen`) and `image.lock` are no packages of a computer; an installed tool carries them
as data, a checkout has them beside `pencore`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pencore
from pinprick.errors import BUILD_FAILED, PinprickError

_CHECKOUT = Path(__file__).parents[2] / "firmware"
_PACKAGED = Path(__file__).parent / "_firmware"

_SCRIPTS = ("pen/boot.py", "pen/main.py")
_GUARD = "TYPE_CHECKING"


def firmware_files() -> dict[str, bytes]:
    """Return every firmware file by its path below the firmware folder ("pencore/units.py", "pen/boot.py"), sorted.

    Raises FileNotFoundError when a file cannot be read (a damaged installation), and PinprickError BUILD_FAILED when
    one is no Python.
    """
    return _reached(_sources(), with_types=False)


def stray_modules() -> tuple[str, ...]:
    """Return the paths of modules that lie in the firmware's folders and that no import reaches, sorted.

    Hidden files aside (an editor's locks, another system's notes on a file): nobody takes them for modules.
    """
    sources = _sources()
    return tuple(sorted(sources.keys() - _reached(sources, with_types=True)))


def image_lock() -> str:
    """Return the text of image.lock, which names the MicroPython that a pen's board runs; FileNotFoundError."""
    return (_own() / "image.lock").read_text(encoding="utf-8")


def _sources() -> dict[str, bytes]:
    """Return every module that lies in the firmware's folders."""
    core, own = _core(), _own()
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for root, folder in ((core.parent, "pencore"), (own, "pen"), (own, "pendevice"))
        for path in (root / folder).rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    }


def _reached(sources: dict[str, bytes], *, with_types: bool) -> dict[str, bytes]:
    """Return those of `sources` that the scripts are or import, sorted; with those imported only `with_types`, too."""
    due = list(_SCRIPTS)
    found: dict[str, bytes] = {}
    while due:
        path = due.pop()
        if path in found:
            continue
        if path not in sources:
            raise FileNotFoundError(path)
        found[path] = sources[path]
        for module in _imported(_parsed(path, sources[path]), with_types):
            folders = module.split(".")
            places = ["/".join(folders[:depth]) for depth in range(1, len(folders) + 1)]
            due += [file for at in places for file in (f"{at}.py", f"{at}/__init__.py") if file in sources]
    return dict(sorted(found.items()))


def _parsed(path: str, source: bytes) -> list[ast.stmt]:
    try:
        return ast.parse(source, path).body
    except SyntaxError as error:
        message = f"{path} does not compile: line {error.lineno}, {error.msg}."
        raise PinprickError(BUILD_FAILED, message, field=path) from None


def _imported(body: list[ast.stmt], with_types: bool) -> Iterator[str]:
    """Yield the names of all that statements may import: modules, and what is taken from one and may be one."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)
        elif isinstance(statement, ast.If) and ast.unparse(statement.test) == _GUARD and not with_types:
            yield from _imported(statement.orelse, with_types)
        else:
            for part in ("body", "orelse", "finalbody"):
                yield from _imported(getattr(statement, part, []), with_types)
            for handler in getattr(statement, "handlers", []):
                yield from _imported(handler.body, with_types)


def _core() -> Path:
    return Path(next(iter(pencore.__path__)))


def _own() -> Path:
    """Return the folder of the pen's own files."""
    return _CHECKOUT if _core() == _CHECKOUT / "pencore" else _PACKAGED
