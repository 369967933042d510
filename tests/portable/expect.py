"""What portable checks assert with. Runs on both Pythons, in place of pytest, which only one of them has."""

from pencore.faults import Fault, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def true(condition: object, what: str = "") -> None:
    """Fail unless `condition` holds; `what` says what was expected."""
    if not condition:
        raise AssertionError(what or "the condition does not hold")


def equal(given: object, wanted: object, what: str = "") -> None:
    """Fail unless `given` equals `wanted`; both are shown."""
    if given != wanted:
        raise AssertionError("%s%r is not %r" % (what and what + ": ", given, wanted))


def raised(kind: "type[Exception]", function: "Callable[..., Any]", *args: object) -> "Any":
    """Return the exception of just this class that `function(*args)` raises; fail when it returns or raises another."""
    try:
        value = function(*args)
    except Exception as error:
        if type(error) is not kind:
            raise
        return error
    raise AssertionError("%s was expected, %r was returned" % (kind.__name__, value))


def refused(code: int, function: "Callable[..., Any]", *args: object) -> "Refusal":
    """Return the Refusal with which `function(*args)` refuses; fail unless its code is `code`."""
    refusal: "Refusal" = raised(Refusal, function, *args)
    equal(refusal.code, code, "the code of %s" % refusal)
    return refusal


def faulted(code: int, function: "Callable[..., Any]", *args: object) -> "Fault":
    """Return the Fault that `function(*args)` raises; fail unless its code is `code`."""
    fault: "Fault" = raised(Fault, function, *args)
    equal(fault.code, code, "the code of %s" % fault)
    return fault
