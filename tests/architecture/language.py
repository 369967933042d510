"""What the code of the pen may not say, read from the syntax trees. Host only.

CPython accepts all of it, and so does mpy-cross most of it; on the pen it fails late, or silently counts wrong.
"""

import ast
from collections.abc import Iterator

from tests.architecture.source import Source, is_guard

_ABSENT_NAMES = frozenset(
    {
        "FileNotFoundError",
        "ModuleNotFoundError",
        "PermissionError",
        "RecursionError",
        "TimeoutError",
        "UnicodeDecodeError",
        "UnicodeEncodeError",
        "ascii",
        "breakpoint",
        "format",
        "vars",
    }
)
_ABSENT_METHODS = frozenset(
    {
        "Struct",
        "bit_count",
        "bit_length",
        "capitalize",
        "casefold",
        "expandtabs",
        "hexdigest",
        "isalnum",
        "isascii",
        "isdecimal",
        "isidentifier",
        "isnumeric",
        "isprintable",
        "istitle",
        "iter_unpack",
        "ljust",
        "maketrans",
        "removeprefix",
        "removesuffix",
        "rjust",
        "swapcase",
        "title",
        "translate",
        "zfill",
    }
)
_ABSENT_KEYWORDS = frozenset({"errors", "maxsplit", "signed", "sort_keys", "strict", "usedforsecurity"})
_NOT_PURE = frozenset({"__import__", "compile", "eval", "exec", "globals", "input", "locals", "open", "print"})
_FLOATS = frozenset({"complex", "float", "round"})

_ABSENT_SYNTAX: dict[type[ast.AST], str] = {
    ast.AsyncFor: "async for",
    ast.AsyncFunctionDef: "async def",
    ast.AsyncWith: "async with",
    ast.Await: "await",
    ast.JoinedStr: "an f-string; use %",
    ast.Match: "match",
    ast.TryStar: "except*",
}


def integer_findings(source: Source) -> Iterator[str]:
    """Yield every float: literals, true division, float(), round(). The pen's are single precision, and allocate."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)):
            yield _finding(source, node, f"a float literal, {node.value!r}")
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
            yield _finding(source, node, "true division; use //")
        elif isinstance(node, ast.Name) and node.id in _FLOATS:
            yield _finding(source, node, f"{node.id}()")


def portable_findings(source: Source) -> Iterator[str]:
    """Yield what MicroPython lacks: syntax, methods, keywords, names."""
    for node in ast.walk(source.tree):
        place = node
        what = _ABSENT_SYNTAX.get(type(node), "")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ABSENT_METHODS:
            what = f".{node.func.attr}()"
        elif isinstance(node, ast.Name) and node.id in _ABSENT_NAMES:
            what = node.id
        elif isinstance(node, ast.keyword) and node.arg in _ABSENT_KEYWORDS:
            what = f"the keyword {node.arg}="
        elif isinstance(node, ast.arguments) and node.posonlyargs:
            what, place = "positional-only parameters", node.posonlyargs[0]
        elif isinstance(node, ast.Dict) and None in node.keys:
            what = "{**mapping}"
        elif isinstance(node, (ast.List, ast.Set, ast.Tuple)) and any(isinstance(e, ast.Starred) for e in node.elts):
            what = "a star-expression in a display"
        elif isinstance(node, ast.ClassDef) and node.keywords:
            what = "class keywords (metaclass=)"
        if what:
            yield _finding(source, place, f"{what}: MicroPython has none")


def explicit_findings(source: Source) -> Iterator[str]:
    """Yield every assert: it vanishes when optimised."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            yield _finding(source, node, "assert vanishes when optimised; check and raise")


def pure_findings(source: Source) -> Iterator[str]:
    """Yield calls that reach out of pure logic: print, open, eval and their kind."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NOT_PURE:
            yield _finding(source, node, f"{node.func.id}(): time, bytes and ports are arguments")


def import_findings(source: Source) -> Iterator[str]:
    """Yield top-level statements that do something: an import defines names and nothing else."""
    for node in source.tree.body:
        if isinstance(node, ast.If):
            if not is_guard(node.test) and ast.unparse(node.test) != "__name__ == '__main__'":
                yield _finding(source, node, "a condition at import")
        elif isinstance(node, ast.Expr):
            if not isinstance(node.value, ast.Constant):
                yield _finding(source, node, "an expression run at import")
        elif isinstance(node, (ast.For, ast.While, ast.With, ast.Try, ast.Delete)):
            yield _finding(source, node, "a statement run at import")


def const_findings(source: Source) -> Iterator[str]:
    """Yield uses of `const` that MicroPython does not fold: it looks for a plain NAME = const(...) (decision 0001)."""
    folded = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            folded.add(node.value)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "pencore.compat":
            for alias in node.names:
                if alias.asname is not None:
                    yield _finding(source, node, "const under another name is not folded")
        elif isinstance(node, ast.Attribute) and node.attr == "const":
            yield _finding(source, node, "only the bare name const is folded")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "const" and node not in folded:
            yield _finding(source, node, "const() is folded only as NAME = const(...), without an annotation")


def docstring_findings(source: Source) -> Iterator[str]:
    """Yield a missing module docstring."""
    if not ast.get_docstring(source.tree):
        yield f"{source.path}:1: no module docstring"


def _finding(source: Source, node: ast.AST, why: str) -> str:
    return f"{source.path}:{getattr(node, 'lineno', 1)}: {why}"
