"""Every code the pen can say: refusals (nothing happened) and faults (the pen stopped). Runs on pen and host.

A code is a number and a NAME; wording for people lives in the host (`pinprick explain CODE`). Codes are never
renumbered and never reused. Families: 1xx wire, 2xx profile, 3xx limits, 4xx course and cartridge, 5xx state and
session, 6xx ledger and record, 7xx motion, 8xx access and time, 9xx internal.

Allocates: the NAMES table at import; one exception object per refusal (a refusal never happens per stroke).
"""

from pencore.compat import const

TYPE_CHECKING = const(False)
if TYPE_CHECKING:
    from typing import Optional

# --- 1xx wire: the line or the conversation is wrong; nothing was done -----------------------------------------------
WIRE_TOO_LONG = const(101)
WIRE_BAD_CRC = const(102)
WIRE_BAD_FORM = const(103)
WIRE_UNKNOWN_METHOD = const(104)
WIRE_BAD_PARAM = const(105)
WIRE_BAD_NONCE = const(106)
WIRE_STALE_ID = const(107)
WIRE_ID_REUSED = const(108)
WIRE_PROTOCOL = const(109)
LOAD_NOT_BEGUN = const(111)
LOAD_OFFSET = const(112)
LOAD_SIZE = const(113)
LOAD_DIGEST = const(114)

# --- 2xx profile: the file's form, or for whom it was made -----------------------------------------------------------
PROFILE_MAGIC = const(201)
PROFILE_SCHEMA = const(202)
PROFILE_SIZE = const(203)
PROFILE_DIGEST = const(204)
PROFILE_HEAD = const(205)
PROFILE_RESERVED = const(206)
PROFILE_TEXT = const(207)
PROFILE_ZONE_COUNT = const(208)
PROFILE_ZONE_AREA = const(209)
PROFILE_ZONE_SIDE = const(210)
PROFILE_ZONE_TWICE = const(211)
PROFILE_SERIAL = const(212)
PROFILE_SESSION_ID = const(213)
PROFILE_LEDGER_HEAD = const(214)

# --- 3xx limits ------------------------------------------------------------------------------------------------------
DEPTH_TOO_SMALL = const(301)
DEPTH_ABOVE_SESSION = const(302)
DEPTH_ABOVE_ZONE_CAP = const(303)
DEPTH_ABOVE_CEILING = const(304)
DEPTH_ABOVE_CALIBRATION = const(305)
STROKES_TOO_FEW = const(306)
STROKES_ABOVE_SESSION = const(307)
STROKES_ABOVE_MAX = const(308)
STROKES_ABOVE_CARTRIDGE = const(309)
RATE_TOO_LOW = const(310)
RATE_TOO_HIGH = const(311)

# --- 4xx course and cartridge ----------------------------------------------------------------------------------------
COURSE_INDEX = const(401)
COURSE_OF = const(402)
COURSE_INDEX_DONE = const(403)
COURSE_TOO_EARLY = const(404)
COURSE_STEP = const(405)
COURSE_CHANGED = const(406)
COURSE_INTERVAL = const(407)
COURSE_MEMORY_FULL = const(408)
CARTRIDGE_EXPIRED = const(411)
CARTRIDGE_USED = const(412)
CARTRIDGE_NOT_CHANGED = const(413)
CARTRIDGE_OPEN = const(414)
CARTRIDGE_MEMORY_FULL = const(415)
CARTRIDGE_NEEDLES = const(416)

# --- 5xx state and session -------------------------------------------------------------------------------------------
STATE_FORBIDS = const(501)
SESSION_OPEN = const(502)
ZONE_UNKNOWN = const(503)
ZONE_SPENT = const(504)
TRIGGER_HELD = const(505)
NOT_AT_HOME = const(506)
BUSY = const(507)
NOT_PROVISIONED = const(508)
NO_PROFILE = const(509)
OPERATOR_STOP = const(510)
STOP_BUTTON = const(511)
CARTRIDGE_OPENED = const(512)
LEASE_EXPIRED = const(513)
IDLE_TIMEOUT = const(514)
STOP_STILL_PRESSED = const(515)
SESSION_SPENT = const(516)

# --- 6xx ledger and record -------------------------------------------------------------------------------------------
LEDGER_MISSING = const(601)
LEDGER_CORRUPT = const(602)
LEDGER_SHORT = const(603)
LEDGER_READ_BACK = const(604)
LEDGER_ONE_COPY = const(605)
STORE_FAILED = const(606)
STORE_FULL = const(607)
RECORDS_FULL = const(608)
RECORD_UNKNOWN = const(609)
RECORD_ACK_ORDER = const(610)
RECORD_DIGEST = const(611)
RECORD_CORRUPT = const(612)
PROVISION_MISSING = const(613)
PROVISION_CORRUPT = const(614)
POWER_LOST = const(615)

# --- 7xx motion ------------------------------------------------------------------------------------------------------
HOME_NOT_FOUND = const(701)
HOME_NOT_CLEARED = const(702)
HOME_LOST = const(703)
LOST_STEPS = const(704)
DEPTH_GUARD = const(705)
COUNT_GUARD = const(706)
STOP_GUARD = const(707)
DRIVER_RESET = const(708)
DRIVER_FAULT = const(709)
TABLE_CORRUPT = const(710)
STROKE_SEQUENCE = const(711)
STROKE_RATE = const(712)
STROKE_OVERDUE = const(713)
NET_STEPS = const(714)

# --- 8xx access and time ---------------------------------------------------------------------------------------------
SIGNATURE_MISSING = const(801)
SIGNATURE_WRONG = const(802)
KEY_UNKNOWN = const(803)
SIGNATURE_WAIT = const(804)
TIME_BACK = const(811)
TIME_JUMP = const(812)

# --- 9xx internal ----------------------------------------------------------------------------------------------------
INTERNAL = const(901)
MEMORY_CORRUPT = const(902)
WATCHDOG_RESET = const(904)
FLASH_IN_MOTION = const(905)

NAMES = {
    101: "WIRE_TOO_LONG",
    102: "WIRE_BAD_CRC",
    103: "WIRE_BAD_FORM",
    104: "WIRE_UNKNOWN_METHOD",
    105: "WIRE_BAD_PARAM",
    106: "WIRE_BAD_NONCE",
    107: "WIRE_STALE_ID",
    108: "WIRE_ID_REUSED",
    109: "WIRE_PROTOCOL",
    111: "LOAD_NOT_BEGUN",
    112: "LOAD_OFFSET",
    113: "LOAD_SIZE",
    114: "LOAD_DIGEST",
    201: "PROFILE_MAGIC",
    202: "PROFILE_SCHEMA",
    203: "PROFILE_SIZE",
    204: "PROFILE_DIGEST",
    205: "PROFILE_HEAD",
    206: "PROFILE_RESERVED",
    207: "PROFILE_TEXT",
    208: "PROFILE_ZONE_COUNT",
    209: "PROFILE_ZONE_AREA",
    210: "PROFILE_ZONE_SIDE",
    211: "PROFILE_ZONE_TWICE",
    212: "PROFILE_SERIAL",
    213: "PROFILE_SESSION_ID",
    214: "PROFILE_LEDGER_HEAD",
    301: "DEPTH_TOO_SMALL",
    302: "DEPTH_ABOVE_SESSION",
    303: "DEPTH_ABOVE_ZONE_CAP",
    304: "DEPTH_ABOVE_CEILING",
    305: "DEPTH_ABOVE_CALIBRATION",
    306: "STROKES_TOO_FEW",
    307: "STROKES_ABOVE_SESSION",
    308: "STROKES_ABOVE_MAX",
    309: "STROKES_ABOVE_CARTRIDGE",
    310: "RATE_TOO_LOW",
    311: "RATE_TOO_HIGH",
    401: "COURSE_INDEX",
    402: "COURSE_OF",
    403: "COURSE_INDEX_DONE",
    404: "COURSE_TOO_EARLY",
    405: "COURSE_STEP",
    406: "COURSE_CHANGED",
    407: "COURSE_INTERVAL",
    408: "COURSE_MEMORY_FULL",
    411: "CARTRIDGE_EXPIRED",
    412: "CARTRIDGE_USED",
    413: "CARTRIDGE_NOT_CHANGED",
    414: "CARTRIDGE_OPEN",
    415: "CARTRIDGE_MEMORY_FULL",
    416: "CARTRIDGE_NEEDLES",
    501: "STATE_FORBIDS",
    502: "SESSION_OPEN",
    503: "ZONE_UNKNOWN",
    504: "ZONE_SPENT",
    505: "TRIGGER_HELD",
    506: "NOT_AT_HOME",
    507: "BUSY",
    508: "NOT_PROVISIONED",
    509: "NO_PROFILE",
    510: "OPERATOR_STOP",
    511: "STOP_BUTTON",
    512: "CARTRIDGE_OPENED",
    513: "LEASE_EXPIRED",
    514: "IDLE_TIMEOUT",
    515: "STOP_STILL_PRESSED",
    516: "SESSION_SPENT",
    601: "LEDGER_MISSING",
    602: "LEDGER_CORRUPT",
    603: "LEDGER_SHORT",
    604: "LEDGER_READ_BACK",
    605: "LEDGER_ONE_COPY",
    606: "STORE_FAILED",
    607: "STORE_FULL",
    608: "RECORDS_FULL",
    609: "RECORD_UNKNOWN",
    610: "RECORD_ACK_ORDER",
    611: "RECORD_DIGEST",
    612: "RECORD_CORRUPT",
    613: "PROVISION_MISSING",
    614: "PROVISION_CORRUPT",
    615: "POWER_LOST",
    701: "HOME_NOT_FOUND",
    702: "HOME_NOT_CLEARED",
    703: "HOME_LOST",
    704: "LOST_STEPS",
    705: "DEPTH_GUARD",
    706: "COUNT_GUARD",
    707: "STOP_GUARD",
    708: "DRIVER_RESET",
    709: "DRIVER_FAULT",
    710: "TABLE_CORRUPT",
    711: "STROKE_SEQUENCE",
    712: "STROKE_RATE",
    713: "STROKE_OVERDUE",
    714: "NET_STEPS",
    801: "SIGNATURE_MISSING",
    802: "SIGNATURE_WRONG",
    803: "KEY_UNKNOWN",
    804: "SIGNATURE_WAIT",
    811: "TIME_BACK",
    812: "TIME_JUMP",
    901: "INTERNAL",
    902: "MEMORY_CORRUPT",
    904: "WATCHDOG_RESET",
    905: "FLASH_IN_MOTION",
}
"""Code -> NAME, as it goes on the wire. A test holds it equal to the constants above."""


class Refusal(Exception):
    """A value or a request that is not accepted; nothing was changed.

    `code` is one of the constants above; `field` names what was wrong in the words of the profile or of the method
    ("zone.depth_um", "course.index"); `zone` is the index 0..31 of the zone meant, or None; `given` and `limit` are the
    number given and the bound it broke, or None where a number says nothing.
    """

    def __init__(
        self,
        code: int,
        field: str = "",
        given: "Optional[int]" = None,
        limit: "Optional[int]" = None,
        zone: "Optional[int]" = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.given = given
        self.limit = limit
        self.zone = zone

    def __str__(self) -> str:
        return "%d %s field=%s zone=%s given=%s limit=%s" % (
            self.code,
            NAMES.get(self.code, "?"),
            self.field,
            self.zone,
            self.given,
            self.limit,
        )


class Fault(Exception):
    """Something that must stop the pen: ends de-energised, latched, logged. `code` as above, `aux` one number more."""

    def __init__(self, code: int, aux: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.aux = aux

    def __str__(self) -> str:
        return "%d %s aux=%d" % (self.code, NAMES.get(self.code, "?"), self.aux)
