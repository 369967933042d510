"""What the rules look at: the project's files, read and parsed once. Host only."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

# Where each importable package lies. The folder `pen` holds no package but scripts, named boot and main.
_HOMES = {"pencore": "firmware", "pendevice": "firmware", "pen": "firmware", "pensim": "sim", "pinprick": "host"}
PACKAGES = tuple(_HOMES)


class Source(NamedTuple):
    """One Python file: its path below the root, its module's dotted name, its text and its syntax tree."""

    path: str
    module: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The top-level package: "pencore"."""
        return self.module.partition(".")[0]


class Import(NamedTuple):
    """One imported module. `guarded`: only under TYPE_CHECKING. `lazy`: inside a function."""

    line: int
    module: str
    guarded: bool
    lazy: bool


def parse(module: str, text: str, path: str = "") -> Source:
    """Return `text` as the source of `module`; `path` defaults to where such a module lies."""
    package = module.partition(".")[0]
    path = path or f"{_HOMES.get(package, '.')}/{module.replace('.', '/')}.py"
    return Source(path, module, text, ast.parse(text, path))


@functools.cache
def _files() -> dict[str, Path]:
    """Return {module's dotted name: its file} for all the project's packages, sorted by path."""
    found = {}
    for package, home in _HOMES.items():
        for path in sorted((ROOT / home / package).rglob("*.py")):
            parts = path.relative_to(ROOT / home).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def known_modules() -> frozenset[str]:
    """Return the dotted names of all the project's modules."""
    return frozenset(_files())


@functools.cache
def sources() -> tuple[Source, ...]:
    """Return every Python file of the project's packages, sorted by path."""
    return tuple(
        parse(module, path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
        for module, path in _files().items()
    )


@functools.cache
def tracked_texts() -> tuple[tuple[str, str], ...]:
    """Return (path, text) of every text file that git tracks or would track; binary files are left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
    found = []
    for name in sorted(set(names.decode().split("\0")) - {""}):
        path = ROOT / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            found.append((name, data.decode("utf-8")))
    return tuple(found)


def imports(source: Source) -> list[Import]:
    """Return every module that `source` imports, in order; `from package import module` names the module.

    What is imported from a top-level package of the project is taken for a module: those export nothing else. A module
    named by a literal in `__import__` or `import_module` counts as well. A relative import keeps its dots.
    """
    return list(_imports(source.tree, guarded=False, lazy=False))


def _imports(node: ast.AST, guarded: bool, lazy: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(node.lineno, alias.name, guarded, lazy)
    elif isinstance(node, ast.ImportFrom):
        for name in _imported_from(node):
            yield Import(node.lineno, name, guarded, lazy)
    elif isinstance(node, ast.Call):
        for name in _imported_by_call(node):
            yield Import(node.lineno, name, guarded, lazy)
    for field, value in ast.iter_fields(node):
        inside_guard = guarded or (isinstance(node, ast.If) and field == "body" and is_guard(node.test))
        inside_function = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _imports(child, inside_guard, inside_function)


def _imported_from(node: ast.ImportFrom) -> list[str]:
    base = "." * node.level + (node.module or "")
    names = [f"{base}.{alias.name}" for alias in node.names]
    modules = [name for name in names if base in _HOMES or name in known_modules()]
    return modules if len(modules) == len(names) else [*modules, base]


def _imported_by_call(node: ast.Call) -> list[str]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if called not in ("__import__", "import_module"):
        return []
    return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]


def is_guard(test: ast.expr) -> bool:
    """Return whether `test` is TYPE_CHECKING, bare or as an attribute."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
