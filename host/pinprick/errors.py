"""What the tool says when something can't be done: errors, file problems, exit codes. Host only; holds no state.

Every error carries a code. Codes below 1000 are the pen's (`pencore.faults`); the tool's own start at 1001 and, like
the pen's, are never renumbered and never reused. `pinprick explain` words both kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import ClassVar

from pencore import faults

EXIT_OK = 0
EXIT_FAILED = 1
"""The command was understood and failed: the pen's refusals and faults included."""
EXIT_INPUT = 2
"""Bad arguments or a bad input file; nothing was done."""
EXIT_NO_DEVICE = 3
EXIT_MISMATCH = 4
"""A hash, a chain of records or a signature does not match."""

# --- 10xx files -----------------------------------------------------------------------------------------------------
FILE_MISSING = 1001
FILE_IS_FOLDER = 1002
FILE_UNREADABLE = 1003
FILE_TOO_BIG = 1004
FILE_EMPTY = 1005
FILE_NOT_TEXT = 1006
FILE_EXISTS = 1007
FILE_UNWRITABLE = 1008
FILE_NOT_RECORDS = 1009

# --- 11xx the form of a profile file --------------------------------------------------------------------------------
TOML_SYNTAX = 1101
FIELD_UNKNOWN = 1102
FIELD_MISSING = 1103
FIELD_TYPE = 1104
FIELD_UNIT = 1105
FIELD_TOO_FINE = 1106
FIELD_NOT_FINITE = 1107
FIELD_PLACEHOLDER = 1108

# --- 12xx the command -----------------------------------------------------------------------------------------------
USAGE = 1201
CODE_UNKNOWN = 1202
INTERRUPTED = 1203
GENERATED_STALE = 1204
EXTRA_MISSING = 1205
KEY_MISSING = 1206
KEY_BAD = 1207
KEY_TAKEN = 1208
KEYRING_FAILED = 1209

# --- 13xx the way to the pen ----------------------------------------------------------------------------------------
NO_DEVICE = 1301
PEN_SILENT = 1302
CHECK_FAILED = 1303
RECORD_MISMATCH = 1304
PORT_DENIED = 1305
PORT_IN_USE = 1306
NOT_A_PEN = 1307
LINK_LOST = 1308
RECORDS_AHEAD = 1309
RECORDS_FORK = 1310
SEVERAL_PENS = 1311
WRONG_PEN = 1312
SESSION_ELSEWHERE = 1313
SIM_UNREACHABLE = 1314
NOT_DONE = 1315
NOT_REACHED = 1316
PEN_RESTARTED = 1317
CLOCK_WRONG = 1318

# --- 14xx scenarios -------------------------------------------------------------------------------------------------
SCENARIO_BAD = 1401
EXPECTATION_BROKEN = 1402
TARGET_LACKS = 1403

# --- 15xx boards and what goes onto them -----------------------------------------------------------------------------
NOT_A_BOARD = 1501
BOARD_CLOSED = 1502
BOARD_WRONG = 1503
BOARD_FAILED = 1504
BOARD_DIFFERS = 1505
BOARD_NOT_UP = 1506
BUILD_FAILED = 1507
IMAGE_BAD = 1508
IMAGE_UNKNOWN = 1509
IMAGE_DIFFERS = 1510
BOARD_LOST = 1511
PROVISION_LOOSER = 1512
PROVISION_OTHER_PEN = 1513
PEN_MEMORY_BROKEN = 1514

HOST_NAMES = {
    1001: "FILE_MISSING",
    1002: "FILE_IS_FOLDER",
    1003: "FILE_UNREADABLE",
    1004: "FILE_TOO_BIG",
    1005: "FILE_EMPTY",
    1006: "FILE_NOT_TEXT",
    1007: "FILE_EXISTS",
    1008: "FILE_UNWRITABLE",
    1009: "FILE_NOT_RECORDS",
    1101: "TOML_SYNTAX",
    1102: "FIELD_UNKNOWN",
    1103: "FIELD_MISSING",
    1104: "FIELD_TYPE",
    1105: "FIELD_UNIT",
    1106: "FIELD_TOO_FINE",
    1107: "FIELD_NOT_FINITE",
    1108: "FIELD_PLACEHOLDER",
    1201: "USAGE",
    1202: "CODE_UNKNOWN",
    1203: "INTERRUPTED",
    1204: "GENERATED_STALE",
    1205: "EXTRA_MISSING",
    1206: "KEY_MISSING",
    1207: "KEY_BAD",
    1208: "KEY_TAKEN",
    1209: "KEYRING_FAILED",
    1301: "NO_DEVICE",
    1302: "PEN_SILENT",
    1303: "CHECK_FAILED",
    1304: "RECORD_MISMATCH",
    1305: "PORT_DENIED",
    1306: "PORT_IN_USE",
    1307: "NOT_A_PEN",
    1308: "LINK_LOST",
    1309: "RECORDS_AHEAD",
    1310: "RECORDS_FORK",
    1311: "SEVERAL_PENS",
    1312: "WRONG_PEN",
    1313: "SESSION_ELSEWHERE",
    1314: "SIM_UNREACHABLE",
    1315: "NOT_DONE",
    1316: "NOT_REACHED",
    1317: "PEN_RESTARTED",
    1318: "CLOCK_WRONG",
    1401: "SCENARIO_BAD",
    1402: "EXPECTATION_BROKEN",
    1403: "TARGET_LACKS",
    1501: "NOT_A_BOARD",
    1502: "BOARD_CLOSED",
    1503: "BOARD_WRONG",
    1504: "BOARD_FAILED",
    1505: "BOARD_DIFFERS",
    1506: "BOARD_NOT_UP",
    1507: "BUILD_FAILED",
    1508: "IMAGE_BAD",
    1509: "IMAGE_UNKNOWN",
    1510: "IMAGE_DIFFERS",
    1511: "BOARD_LOST",
    1512: "PROVISION_LOOSER",
    1513: "PROVISION_OTHER_PEN",
    1514: "PEN_MEMORY_BROKEN",
}
"""Code -> NAME of the tool's own codes. A test holds it equal to the constants above."""

Value = str | int | Decimal | date | None
"""A value as a file or a command line gives it; a depth is a Decimal of millimetres."""


def code_name(code: int) -> str:
    """Return the NAME of `code`, the pen's or the tool's; "UNKNOWN" for a number that neither says."""
    return faults.NAMES.get(code) or HOST_NAMES.get(code) or "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file: where, what was given, what is allowed, what to do.

    `field` is the path in the file ("zone[3].depth_mm", "course.index", "" for the whole file), counting from 0 as the
    pen does; `zone` names the zone meant ("cheek left"). `line` and `column` count from 1 and are None where the file
    has no such place; `excerpt` is that line's text. `given` and `limit` are the bare values, in the field's unit;
    `allowed` says for people what would be right.
    """

    code: int
    message: str
    field: str = ""
    given: Value = None
    limit: Value = None
    allowed: str = ""
    hint: str = ""
    zone: str = ""
    file: str = ""
    line: int | None = None
    column: int | None = None
    excerpt: str = ""

    @property
    def name(self) -> str:
        """The code's NAME."""
        return code_name(self.code)


class PinprickError(Exception):
    """A command could not do what it was asked; `message` says why, `hint` what to do next.

    `exit_code` comes from the class: 1 here, else see the subclasses. The last line of `--json` carries the rest.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(
        self,
        code: int,
        message: str,
        *,
        field: str = "",
        given: Value = None,
        limit: Value = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.given = given
        self.limit = limit
        self.hint = hint

    @property
    def name(self) -> str:
        """The code's NAME."""
        return code_name(self.code)


class InputError(PinprickError):
    """Bad arguments or a bad input file."""

    exit_code = EXIT_INPUT


class NoDevice(PinprickError):
    """No pen, or none that answers, where one was looked for."""

    exit_code = EXIT_NO_DEVICE


class Mismatch(PinprickError):
    """A hash, a chain of records or a signature does not match."""

    exit_code = EXIT_MISMATCH


class ValidationFailed(InputError):
    """One file or more that can't be used; holds every problem found (at least one), by file and line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(
            first.code, first.message, field=first.field, given=first.given, limit=first.limit, hint=first.hint
        )
        self.problems = tuple(problems)
