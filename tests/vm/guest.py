"""The half of the harness that runs inside the Python under test: the same file in MicroPython and in CPython.

Takes a request as a JSON line, does it, answers with a JSON line. JSON knows neither bytes nor tuples, so they, dicts
and objects travel tagged, as an object with one key:

| value | JSON |
|---|---|
| None, bool, int, str, list | itself |
| bytes, bytearray | {"bytes": "00ff"}, {"bytearray": "00ff"} |
| tuple (named ones too) | {"tuple": [...]} |
| dict | {"dict": [[key, value], ...]}, sorted: MicroPython keeps no order |
| object, as a result | {"object": [class name, [[attribute, value], ...]]}, sorted |
| object, as an argument | {"make": [module, class, [argument, ...]]} |

Requests: ["call", module, "function" or "Class.method", [argument, ...]] and ["run", source], whose result is what the
source leaves in `result`. Answers: {"value": v}, or {"raised": class name, "as": "Refusal" or "Fault" or "", "args":
[...], "trace": text}, where `args` of a Refusal (or of a class made from it) are its code, field, given, limit and
zone, of a Fault code and aux, and of any other exception none.
"""

import json
import sys

from pencore.faults import Fault, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def encode(value: "Any") -> "Any":
    """Return `value` in the tagged form; TypeError for what has none (floats: the project has no use for them)."""
    if value is None or value is True or value is False or isinstance(value, (int, str)):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, bytearray):
        return {"bytearray": bytes(value).hex()}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": _pairs(value)}
    if isinstance(value, float) or not hasattr(value, "__dict__"):
        raise TypeError("no tagged form for %r" % (value,))
    return {"object": [type(value).__name__, _pairs(value.__dict__)]}


def _pairs(mapping: "dict[Any, Any]") -> "list[list[Any]]":
    pairs = [[encode(key), encode(value)] for key, value in mapping.items()]
    return sorted(pairs, key=lambda pair: repr(pair[0]))


def decode(value: "Any") -> "Any":
    """Return the value that `value`, a tagged form, stands for."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag, inner = next(iter(value.items()))
    if tag == "bytes":
        return bytes.fromhex(inner)
    if tag == "bytearray":
        return bytearray(bytes.fromhex(inner))
    if tag == "tuple":
        return tuple([decode(item) for item in inner])
    if tag == "dict":
        return {decode(key): decode(item) for key, item in inner}
    if tag == "make":
        return _find(inner[0], inner[1])(*[decode(item) for item in inner[2]])
    raise ValueError("unknown tag %r" % (tag,))


def echo(value: "Any") -> "Any":
    """Return `value`: it crossed the border twice."""
    return value


def _find(module: str, path: str) -> "Any":
    found = __import__(module)
    for name in module.split(".")[1:] + path.split("."):
        found = getattr(found, name)
    return found


def _do(request: "list[Any]") -> "Any":
    if request[0] == "call":
        return _find(request[1], request[2])(*[decode(item) for item in request[3]])
    names: "dict[str, Any]" = {"result": None}
    exec(request[1], names)  # noqa: S102  # the harness's own snippets
    return names["result"]


def _told(error: Exception) -> "tuple[str, list[Any]]":
    if isinstance(error, Refusal):
        return "Refusal", [error.code, error.field, error.given, error.limit, error.zone]
    if isinstance(error, Fault):
        return "Fault", [error.code, error.aux]
    return "", []


def _trace(error: BaseException) -> str:
    if sys.implementation.name == "micropython":
        import io

        text = io.StringIO()
        sys.print_exception(error, text)  # type: ignore[attr-defined]  # MicroPython alone has it
        return text.getvalue()
    import traceback

    return "".join(traceback.format_exception(error))


def serve(line: str) -> str:
    """Do the request of one line and return the answer's line; never raises an Exception."""
    try:
        return json.dumps({"value": encode(_do(json.loads(line)))})
    except Exception as error:  # noqa: BLE001  # whatever it is, the other side must hear of it
        kind, args = _told(error)
        return json.dumps({"raised": type(error).__name__, "as": kind, "args": args, "trace": _trace(error)})
