"""Decision 0001, measured anew: `const` from `pencore.compat` costs the pen nothing, a guarded import never happens."""

import pytest

from pinprick.board.build import compiled
from tests.vm.machine import MicroPythonVM

HEAD = "from pencore.compat import const\n"


def mpy(source: str) -> bytes:
    """Return `source` compiled for the pen."""
    return compiled("m", source.encode())


def test_a_private_constant_leaves_no_trace() -> None:
    named = mpy(HEAD + "_LIMIT = const(5)\n\ndef f():\n    return _LIMIT\n")
    literal = mpy(HEAD + "\n\ndef f():\n    return 5\n")
    assert named == literal


def test_a_public_constant_is_a_literal_where_used_and_a_global_besides() -> None:
    public = mpy(HEAD + "LIMIT = const(5)\n\ndef f():\n    return LIMIT\n")
    unused = mpy(HEAD + "LIMIT = const(5)\n\ndef f():\n    return 5\n")
    assert len(public) == len(unused)
    assert b"LIMIT" in public


def test_a_guarded_import_is_compiled_away() -> None:
    guarded = "if TYPE_CHECKING:\n    from typing import Optional\n"
    assert b"typing" not in mpy(HEAD + "TYPE_CHECKING = const(False)\n" + guarded)
    assert b"typing" in mpy(HEAD + "TYPE_CHECKING = False\n" + guarded)


@pytest.mark.parametrize(
    "source",
    [
        HEAD + "_LIMIT: int = const(5)\ndef f():\n    return _LIMIT\n",
        "from pencore.compat import const as c\n_LIMIT = c(5)\ndef f():\n    return _LIMIT\n",
        "from pencore import compat\n_LIMIT = compat.const(5)\ndef f():\n    return _LIMIT\n",
        "_LIMIT = 5\ndef f():\n    return _LIMIT\n",
    ],
)
def test_any_other_form_stays_a_global(source: str) -> None:
    assert b"_LIMIT" in mpy(source)


def test_the_vm_keeps_what_the_compiler_keeps(vm: MicroPythonVM) -> None:
    source = (
        HEAD + "_A = const(5)\nB = const(_A + 1)\nTYPE_CHECKING = const(False)\nif TYPE_CHECKING:\n    import typing\n"
    )
    names = vm.run(f"names = {{}}\nexec({source!r}, names)\nresult = sorted(names)")
    assert [name for name in names if not name.startswith("__")] == ["B", "TYPE_CHECKING", "const"]
