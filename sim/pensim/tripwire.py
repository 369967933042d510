"""The calls of the firmware's ports by name, and what lets one of them raise on a virtual pen. Host only.

`Tripwire` stands in place of a port's method from its making until it has raised, or is cut; while there is none, a
call costs what it always does.
"""

import errno
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pencore import ports

RAISED = ("OSError", "MemoryError", "RuntimeError", "ValueError")
"""What a call may raise."""
ANY = "any"
"""Any call of any port."""
_TEXT = "planted"


def _calls() -> tuple[str, ...]:
    return tuple(
        f"{port}.{method}"
        for port in inspect.get_annotations(ports.Ports)
        for method in vars(getattr(ports, port.capitalize()))
        if not method.startswith("_")
    )


CALLS = _calls()
"""Each call that the ports know, as "port.method"."""


def planted(name: str) -> Exception:
    """Return the exception of that name."""
    kinds: Mapping[str, Exception] = {
        "OSError": OSError(errno.EIO, _TEXT),
        "MemoryError": MemoryError(_TEXT),
        "RuntimeError": RuntimeError(_TEXT),
        "ValueError": ValueError(_TEXT),
    }
    return kinds[name]


class Tripwire:
    """Lets `call` (or ANY) of `ports` raise `error` once, after so many that work."""

    def __init__(self, ports: ports.Ports, call: str, after: int, error: Exception) -> None:
        self.error = error
        self._left = after
        self._set: list[tuple[Any, str]] = []
        for each in CALLS if call == ANY else (call,):
            port, _, method = each.partition(".")
            self._put(getattr(ports, port), method)

    def _put(self, port: Any, method: str) -> None:
        act: Callable[..., Any] = getattr(port, method)

        def tripping(*arguments: Any) -> Any:
            if not self._left:
                self.cut()
                raise self.error
            self._left -= 1
            return act(*arguments)

        vars(port)[method] = tripping
        self._set.append((port, method))

    def cut(self) -> None:
        """Take it away."""
        for port, method in self._set:
            vars(port).pop(method, None)
        self._set.clear()
