"""Millimetres as people write them, micrometres as the pen counts them, counts in words. Host only; exact, no float."""

from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation

_UM = Decimal("0.001")
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])


def to_um(value_mm: Decimal) -> int | None:
    """Return `value_mm` (finite) in whole um, None when it is finer than 1 um; never rounds.

    Values of 10**40 mm and more come out as 10**43 um: nobody means them, and the exact number could fill the memory.
    """
    if value_mm and value_mm.adjusted() >= 40:
        return -(10**43) if value_mm < 0 else 10**43
    try:
        return int(value_mm.quantize(_UM, context=_EXACT).scaleb(3, _EXACT))
    except Inexact:
        return None


def whole_um(value_mm: Decimal | int) -> int:
    """Return `value_mm`, known to be no finer than 1 um, in um; ValueError when it is finer after all."""
    value_um = to_um(Decimal(value_mm))
    if value_um is None:
        raise ValueError(f"{value_mm} mm is finer than 1 um")
    return value_um


def neighbours_um(value_mm: Decimal) -> tuple[int, int]:
    """Return the whole um next below and above `value_mm`, a depth finer than 1 um (below 10**40 mm)."""
    low = int(value_mm.quantize(_UM, ROUND_FLOOR, Context(prec=60)).scaleb(3, _EXACT))
    return low, low + 1


def to_mm(value_um: int) -> Decimal:
    """Return `value_um` in mm, exactly: 1500 -> Decimal("1.5")."""
    return Decimal(value_um).scaleb(-3, _EXACT).normalize(_EXACT)


def mm(value_um: int) -> str:
    """Return `value_um` for people, "1.50 mm": two decimals, a third only where there is one."""
    return f"{mm_number(value_um)} mm"


def counted(count: int, thing: str) -> str:
    """Return a count for people: "1 zone", "2,400 strokes"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def mm_number(value_um: int) -> str:
    """Return `value_um` for people without the unit: "1.50", "0.501"."""
    if abs(value_um) >= 10**12:
        return f"{to_mm(value_um):.1E}"
    sign = "-" if value_um < 0 else ""
    whole, rest = divmod(abs(value_um), 1000)
    return f"{sign}{whole}.{rest // 10:02d}" if rest % 10 == 0 else f"{sign}{whole}.{rest:03d}"
