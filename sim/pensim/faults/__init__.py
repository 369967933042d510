"""Faults that can be done to a virtual pen, by name and parameters: for tests, scenario files, command line. Host only.

Each is a small frozen dataclass; `apply` does it to a bench now, `mend` (where something can be mended) undoes it.
`fault` makes one from a name and parameters that somebody gave, `drawn` from chance, `typical` names the few that stand
for a kind; `Damage` does them, and remembers what a pen suffers from. The kinds are in one module per class of faults
(`pensim.faults.power`); what hands can do is done by hands' own methods.
"""

from pensim.faults.core import (
    CLASSES,
    Fault,
    Mendable,
    Parameter,
    Value,
    can_mend,
    described,
    fits_chip,
    needs_power,
    not_on_chip,
    parameters,
    typical,
)
from pensim.faults.damage import Damage
from pensim.faults.kinds import ALL, classes, drawn, fault, kind_of

__all__ = [
    "ALL",
    "CLASSES",
    "Damage",
    "Fault",
    "Mendable",
    "Parameter",
    "Value",
    "can_mend",
    "classes",
    "described",
    "drawn",
    "fault",
    "fits_chip",
    "kind_of",
    "needs_power",
    "not_on_chip",
    "parameters",
    "typical",
]
