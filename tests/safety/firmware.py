"""What the safety page says of the code, read from the syntax trees: functions, bounds, and who gives a code out.

Host only. Nothing is imported: a number that stands in a page is compared with the number that stands in the source.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

PACKAGES = ("pencore", "pendevice", "pen")
_HOMES = ("firmware", "sim", "host", ".")
"""Where a path such as `pencore/motion.py` or `pinprick/records/chain.py` may begin."""
_CODES = "pencore/faults.py"
_RECKON: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.LShift: operator.lshift,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_ZONES = ("pencore/limits.py", "AREAS")
_RANGES = ("pencore/provision.py", "check")


class Place(NamedTuple):
    """A function of a module: where a code is given out."""

    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.module}: {self.function}"


class Module:
    """One file: its tree, the names it defines at any level, and its integers."""

    def __init__(self, text: str) -> None:
        self.tree = ast.parse(text)

    @cached_property
    def names(self) -> frozenset[str]:
        """The functions and classes of any level, alone and with their class, and what is assigned at the top."""
        found = {qualified for qualified, _ in self._definitions(self.tree, "")}
        found |= {qualified.rpartition(".")[2] for qualified in found}
        for target, _ in self._assignments():
            found.add(target)
        return frozenset(found)

    @cached_property
    def integers(self) -> dict[str, int]:
        """Every integer that is assigned at the top, by name; `const(...)` is looked through."""
        found: dict[str, int] = {}
        for target, value in self._assignments():
            number = _integer(value, found)
            if number is not None:
                found[target] = number
        return found

    @cached_property
    def unread(self) -> frozenset[str]:
        """The names of constants that are reckoned in a way that isn't read here: they might be bounds."""
        reckoned = [(name, value.args[0]) for name, value in self._assignments() if _is_const(value)]
        return frozenset(
            name
            for name, value in reckoned
            if name not in self.integers and not isinstance(value, (ast.Constant, ast.Tuple))
        )

    def _assignments(self) -> Iterator[tuple[str, ast.expr]]:
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                yield node.targets[0].id, node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                yield node.target.id, node.value

    def _definitions(self, node: ast.AST, within: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                name = f"{within}.{child.name}" if within else child.name
                yield name, child
                yield from self._definitions(child, name)
            else:
                yield from self._definitions(child, within)

    def given_out(self) -> Iterator[tuple[str, str]]:
        """Yield (name of a code, function) wherever a code stands but in a comparison: there it is only looked at."""
        yield from self._given_out(self.tree, "the module")

    def _given_out(self, node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.Compare):
            return
        code = _code(node)
        if code is not None:
            yield code, function
        for child in ast.iter_child_nodes(node):
            named = function
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                named = child.name if function == "the module" else f"{function}.{child.name}"
            elif isinstance(child, ast.Assign) and function == "the module" and isinstance(child.targets[0], ast.Name):
                named = child.targets[0].id
            yield from self._given_out(child, named)


@lru_cache(maxsize=512)
def _module(text: str) -> Module:
    """Return a file by its text: of two trees that differ in one file, one is read anew."""
    return Module(text)


class Firmware:
    """The firmware below `root`, and whatever else a row may name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, Module | None] = {}

    def module(self, path: str) -> Module | None:
        """Return the module at `path`, counted from one of the homes; None when there is none."""
        if path not in self._read:
            there = [self._root / home / path for home in _HOMES if (self._root / home / path).is_file()]
            self._read[path] = _module(there[0].read_text(encoding="utf-8")) if there else None
        return self._read[path]

    def home_of(self, path: str) -> str:
        """Return `path` counted from the root: "firmware/pencore/motion.py"."""
        for home in _HOMES:
            if (self._root / home / path).is_file():
                return (Path(home) / path).as_posix()
        return path

    @cached_property
    def modules(self) -> dict[str, Module]:
        """Every module of the firmware, by its path below `firmware`."""
        found = {}
        for package in PACKAGES:
            for path in sorted((self._root / "firmware" / package).glob("*.py")):
                found[f"{package}/{path.name}"] = _module(path.read_text(encoding="utf-8"))
        return found

    @cached_property
    def codes(self) -> dict[str, int]:
        """Every code of `pencore.faults`, by name."""
        return self.modules[_CODES].integers

    @cached_property
    def givers(self) -> dict[str, list[Place]]:
        """Where each code is given out, by its name; a code that nothing gives out has an empty list."""
        found: dict[str, list[Place]] = {name: [] for name in self.codes}
        for path, module in self.modules.items():
            if path == _CODES:
                continue
            for code, function in module.given_out():
                if code in found and Place(path, function) not in found[code]:
                    found[code].append(Place(path, function))
        return found

    @cached_property
    def caps_um(self) -> dict[str, int]:
        """The cap of each area, by its name."""
        module = self.modules[_ZONES[0]]
        table = dict(module._assignments())[_ZONES[1]]
        return {name: cap for name, _, cap in ast.literal_eval(table)}

    @cached_property
    def ranges(self) -> dict[str, str]:
        """What a provisioning may hold: field -> "low to high" in the words of the code, joined where there are two."""
        found: dict[str, list[str]] = {}
        for node in ast.walk(self._function(*_RANGES)):
            row: list[ast.expr] = []
            if isinstance(node, ast.Tuple) and len(node.elts) == 4:
                row = node.elts
            elif isinstance(node, ast.Call) and len(node.args) >= 5:
                row = node.args[1:5]
            if row and isinstance(row[0], ast.Constant) and isinstance(row[0].value, str):
                found.setdefault(row[0].value, []).append(f"{ast.unparse(row[2])} to {ast.unparse(row[3])}")
        return {field: ", ".join(texts) for field, texts in found.items()}

    def _function(self, path: str, name: str) -> ast.AST:
        for qualified, node in self.modules[path]._definitions(self.modules[path].tree, ""):
            if qualified == name:
                return node
        raise KeyError(name)


def _code(node: ast.AST) -> str | None:
    """Return "HOME_LOST" of `faults.HOME_LOST`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "faults":
        return node.attr
    return None


def _is_const(node: ast.expr) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const" and bool(node.args)
    )


def _integer(node: ast.expr, known: Mapping[str, int]) -> int | None:
    """Return the integer that an expression of constants makes, None for anything else."""
    if _is_const(node):
        return _integer(node.args[0], known)
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _integer(node.operand, known)
        return None if number is None else -number
    if isinstance(node, ast.BinOp):
        left, right = _integer(node.left, known), _integer(node.right, known)
        reckon = _RECKON.get(type(node.op))
        return None if left is None or right is None or reckon is None else reckon(left, right)
    return None
