"""Checks of `pencore.faults` that both Pythons run."""

from pencore.faults import INTERNAL, LOST_STEPS, NAMES, RATE_TOO_HIGH, Fault, Refusal
from tests.portable.expect import equal, faulted, refused, true


def refuse(code: int, field: str, given: "int | None", limit: "int | None", zone: "int | None") -> None:
    """Raise the Refusal that the arguments describe: what a refusal says of itself must cross every border whole."""
    raise Refusal(code, field, given, limit, zone)


def stop(code: int, aux: int) -> None:
    """Raise the Fault that the arguments describe."""
    raise Fault(code, aux)


def text_of_refusal(code: int, field: str, given: "int | None", limit: "int | None", zone: "int | None") -> str:
    """Return a refusal as one line."""
    return str(Refusal(code, field, given, limit, zone))


def text_of_fault(code: int, aux: int) -> str:
    """Return a fault as one line."""
    return str(Fault(code, aux))


def check_a_refusal_names_field_and_bound() -> None:
    """Every part that was given is kept; the parts not given are None."""
    refusal = refused(RATE_TOO_HIGH, refuse, RATE_TOO_HIGH, "zone.rate_per_s", 22, 21, 7)
    equal((refusal.field, refusal.given, refusal.limit, refusal.zone), ("zone.rate_per_s", 22, 21, 7))
    bare = Refusal(INTERNAL)
    equal((bare.field, bare.given, bare.limit, bare.zone), ("", None, None, None))


def check_a_refusal_s_line() -> None:
    """Zero is a number, not nothing."""
    equal(
        text_of_refusal(RATE_TOO_HIGH, "zone.rate_per_s", 22, 0, 0),
        "311 RATE_TOO_HIGH field=zone.rate_per_s zone=0 given=22 limit=0",
    )
    equal(text_of_refusal(999, "", None, None, None), "999 ? field= zone=None given=None limit=None")


def check_a_fault_s_line() -> None:
    """Code, name and the one number more."""
    fault = faulted(LOST_STEPS, stop, LOST_STEPS, -5)
    equal(fault.aux, -5)
    equal(str(fault), "704 LOST_STEPS aux=-5")


def check_names_are_of_nine_families() -> None:
    """No code lies outside 1xx..9xx; a name is upper case and of its own."""
    equal(sorted({code // 100 for code in NAMES}), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    equal(len(set(NAMES.values())), len(NAMES))
    for name in NAMES.values():
        true(name == name.upper(), name)
