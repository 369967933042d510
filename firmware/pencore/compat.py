"""The one place where the two Pythons of this project differ.

Runs on the pen, in the simulator and in the host tool. Allocates nothing.

MicroPython's compiler folds every `NAME = const(expression)` by the *name* `const`, wherever that name comes from, and
drops the store of names that start with an underscore. Under CPython `const` is the identity below. So no module called
`micropython` is needed on a computer, and none is ever put there (decision 0001).
"""


def const(value: "Constant") -> "Constant":
    """Return `value`, a number, string or bytes; MicroPython's compiler replaces the call by the value itself."""
    return value


TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import TypeVar

    Constant = TypeVar("Constant", int, str, bytes)
